"""Whose turn it is, by value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dure.errors import InvariantViolated
from dure.scheduler.kernels.turns import NOBODY, PRIORITY_MAX, Turns, charge, make_turns, next_row

# The root, two organisations (1, 2), and their projects: 3 and 4 of the first, 5 of the second.
PARENT = [-1, 0, 0, 1, 1, 2]


def turns_of(
    leaf: list[int], *, priority: list[int] | None = None, weight: list[int] | None = None, use: list[float] | None = None,
    rows: list[int] | None = None, parent: list[int] | None = None,
) -> Turns:  # fmt: skip
    tree = parent or PARENT
    weights, uses = np.array(weight or [1] * len(tree)), np.array(use or [0.0] * len(tree))
    named = np.array(list(range(len(leaf))) if rows is None else rows, np.int64)
    classes = np.array(priority or [0] * len(leaf), np.int64)
    return make_turns(np.array(tree, np.int32), weights, uses, np.array(leaf, np.int32), classes, named)


def order(turns: Turns) -> list[int]:
    found = []
    while (row := next_row(turns)) != NOBODY:
        found.append(row)
    return found


def test_without_charges_a_project_goes_on_until_it_has_nothing_left() -> None:
    assert order(turns_of([3, 5, 3, 4, 5, 3])) == [0, 2, 5, 3, 1, 4]


def test_the_least_used_for_its_weight_comes_first_at_each_level() -> None:
    used = [0, 0, 0, 30.0, 10.0, 39.0]
    assert order(turns_of([3, 4, 5], use=used)) == [2, 1, 0]  # 40 against 39
    assert order(turns_of([3, 4, 5], use=used, weight=[1, 2, 1, 4, 1, 1])) == [0, 1, 2]  # 20 against 39, 7.5 against 10


def test_a_weight_of_zero_comes_last_whatever_was_used() -> None:
    assert order(turns_of([3, 5], weight=[1, 0, 1, 1, 1, 1], use=[0, 0, 0, 0, 0, 1e300])) == [1, 0]


def test_equals_go_by_their_oldest_workload_of_this_priority() -> None:
    assert order(turns_of([5, 4, 3])) == [0, 1, 2]
    assert order(turns_of([4, 5, 3])) == [0, 2, 1]  # the first organisation is as old as its oldest project
    assert order(turns_of([3, 5, 4], priority=[1, 1, 0])) == [0, 1, 2]
    assert order(turns_of([3, 5, 3, 5], priority=[1, 0, 0, 1])) == [0, 3, 1, 2]


def test_a_higher_priority_comes_first_however_much_its_project_has_used() -> None:
    assert order(turns_of([3, 5, 3], priority=[-7, 0, 900], use=[0, 0, 0, 1e12, 0, 0])) == [2, 1, 0]


def test_priorities_may_be_far_apart() -> None:
    far = PRIORITY_MAX - 1
    assert order(turns_of([3] * 6, priority=[-far, far, 70_000, -1, far - 1, 1 << 40])) == [1, 4, 5, 2, 3, 0]


def test_a_charge_passes_the_turn_on() -> None:
    turns = turns_of([3, 3, 5, 5, 4])
    assert next_row(turns) == 0
    charge(turns, 3, 8.0)
    assert next_row(turns) == 2
    charge(turns, 5, 9.0)
    assert next_row(turns) == 4  # the first organisation has used 8, and within it the other project nothing
    charge(turns, 4, 0.5)
    assert next_row(turns) == 1
    assert order(turns) == [3]
    assert turns.use.tolist() == [17.5, 8.5, 9.0, 8.0, 0.5, 9.0]


def test_a_charge_to_another_project_counts_for_what_both_are_part_of() -> None:
    turns = turns_of([3, 3, 5, 4])
    assert next_row(turns) == 0
    charge(turns, 4, 1.0)
    assert next_row(turns) == 2
    charge(turns, 3, 5.0)
    assert order(turns) == [1, 3]  # what was put back before the charge is still worth what it was


def test_a_charge_of_nothing_lets_equals_take_turns_by_age() -> None:
    turns = turns_of([3, 5, 3, 5])
    assert next_row(turns) == 0
    charge(turns, 3, 0.0)
    assert order(turns) == [2, 1, 3]


def test_what_is_taken_back_counts_and_zero_has_one_sign() -> None:
    parent = [-1, 0, 0, 0]
    assert order(turns_of([1, 2, 3], parent=parent, use=[0, 0.0, -0.0, -1.0])) == [2, 0, 1]
    assert order(turns_of([1, 2, 3], parent=parent, use=[0, -1.0, -math.pi, -2.0])) == [1, 2, 0]


def test_when_all_had_their_turn_nobody_has_one() -> None:
    turns = turns_of([3])
    assert [next_row(turns) for _ in range(3)] == [0, NOBODY, NOBODY]
    charge(turns, 3, 1.0)
    assert next_row(turns) == NOBODY
    assert order(turns_of([])) == []
    assert order(turns_of([], parent=[-1])) == []


def test_only_the_rows_that_are_named_get_a_turn() -> None:
    assert order(turns_of([3, 5, 4, 3], rows=[1, 3], priority=[9, 0, 9, 1])) == [3, 1]


def test_a_tree_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvariantViolated, match="is its root"):
        turns_of([], parent=[0, 0])
    with pytest.raises(InvariantViolated, match="before children"):
        turns_of([], parent=[-1, 2, 0])
    with pytest.raises(InvariantViolated, match="before children"):
        turns_of([], parent=[-1, -1])
    with pytest.raises(InvariantViolated, match="finite"):
        turns_of([3], use=[0, 0, 0, math.inf, 0, 0])
    with pytest.raises(InvariantViolated, match="a priority is below"):
        turns_of([3, 3], priority=[0, PRIORITY_MAX])
    with pytest.raises(InvariantViolated, match="ascend"):
        turns_of([3, 3], rows=[1, 0])
    for inner in (0, 1):
        with pytest.raises(InvariantViolated, match="belongs to a leaf"):
            turns_of([inner])


def test_what_was_given_stays_as_it_was() -> None:
    given = [np.array(PARENT), np.ones(6, np.int64), np.arange(6.0), np.array([3, 5]), np.array([0, 1]), np.array([0, 1])]
    before = [column.tobytes() for column in given]
    turns = make_turns(*given)
    while (row := next_row(turns)) != NOBODY:
        charge(turns, int(given[3][row]), 2.5)
    assert [column.tobytes() for column in given] == before
