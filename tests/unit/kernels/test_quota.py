"""Quota, borrowing and lending, by value."""

from __future__ import annotations

import numpy as np
import pytest

from dure.errors import InvariantViolated
from dure.scheduler.kernels.quota import (
    AMOUNT_MAX,
    ENDLESS,
    NO_LIMIT,
    Quota,
    add,
    available,
    borrowed,
    borrows,
    fits,
    make_quota,
    remove,
)

# The cohort and two queues below it.
FLAT = [-1, 0, 0]


def quota_of(
    parent: list[int], nominal: list[int], *, borrow: list[int] | None = None, lend: list[int] | None = None,
    used: list[int] | None = None,
) -> Quota:  # fmt: skip
    """One resource."""
    none = [NO_LIMIT] * len(parent)
    columns = (nominal, borrow or none, lend or none, used or [0] * len(parent))
    return make_quota(np.array(parent, np.int32), *(np.array(column, np.int64)[:, None] for column in columns))


def left(quota: Quota) -> list[int]:
    return [available(quota, row, 0) for row in range(len(quota.parent))]


def test_queues_of_a_cohort_lend_each_other_what_they_do_not_use() -> None:
    quota = quota_of(FLAT, [0, 9, 12])
    assert left(quota) == [21, 21, 21]
    add(quota, 1, 0, 15)
    assert left(quota) == [6, 6, 6]
    assert [borrowed(quota, row, 0) for row in range(3)] == [0, 6, 0]


def test_a_borrowing_limit_is_how_far_a_queue_goes_beyond_its_own() -> None:
    quota = quota_of(FLAT, [0, 9, 12], borrow=[NO_LIMIT, 1, NO_LIMIT])
    assert left(quota) == [21, 10, 21]
    assert fits(quota, 1, 0, 10)
    assert not fits(quota, 1, 0, 11)


def test_a_lending_limit_keeps_the_rest_for_oneself() -> None:
    quota = quota_of(FLAT, [0, 9, 12], lend=[NO_LIMIT, NO_LIMIT, 4])
    assert left(quota) == [13, 13, 21]
    add(quota, 1, 0, 13)
    assert left(quota) == [0, 0, 8]
    add(quota, 2, 0, 8)
    assert left(quota) == [0, 0, 0]
    assert quota.used[:, 0].tolist() == [13, 13, 8]


def test_a_lending_limit_above_what_there_is_limits_nothing() -> None:
    quota = quota_of(FLAT, [0, 9, 12], lend=[NO_LIMIT, NO_LIMIT, 13])
    assert left(quota) == [21, 21, 21]


def test_quota_of_a_cohort_is_a_pool_on_top_of_what_its_queues_have() -> None:
    assert left(quota_of(FLAT, [5, 0, 3], borrow=[NO_LIMIT, NO_LIMIT, 0])) == [8, 8, 3]


def test_limits_of_a_cohort_hold_for_all_below_it() -> None:
    # root 0 with the cohorts 1 and 2; queues 3, 4 below 1 and 5 below 2
    tree = [-1, 0, 0, 1, 1, 2]
    assert left(quota_of(tree, [0, 0, 0, 10, 10, 10], borrow=[-1, 2, -1, -1, -1, -1])) == [30, 22, 30, 22, 22, 30]
    assert left(quota_of(tree, [0, 0, 0, 10, 10, 10], lend=[-1, 3, -1, -1, -1, -1])) == [13, 30, 13, 30, 30, 13]


def test_zero_is_a_quota_and_a_limit() -> None:
    quota = quota_of(FLAT, [0, 0, 7], borrow=[NO_LIMIT, NO_LIMIT, 0], lend=[NO_LIMIT, NO_LIMIT, 0])
    assert left(quota) == [0, 0, 7]
    assert not fits(quota, 1, 0, 1)
    assert not borrows(quota, 1, 0, 0)
    assert borrows(quota, 1, 0, 1)
    add(quota, 1, 0, 0)
    remove(quota, 1, 0, 0)
    assert not quota.used.any()


def test_a_queue_without_quota_stands_apart_from_its_cohort() -> None:
    quota = quota_of([-1, 0, 0, -1], [4, 5, NO_LIMIT, NO_LIMIT])
    assert left(quota) == [9, 9, ENDLESS, ENDLESS]
    add(quota, 2, 0, AMOUNT_MAX - 1)
    assert left(quota) == [9, 9, ENDLESS, ENDLESS]
    assert fits(quota, 2, 0, AMOUNT_MAX - 1)
    assert not borrows(quota, 2, 0, AMOUNT_MAX - 1)
    assert borrowed(quota, 2, 0) == 0
    remove(quota, 2, 0, AMOUNT_MAX - 1)
    assert not quota.used.any()


def test_queues_of_a_cohort_without_quota_are_held_by_their_own_limits_alone() -> None:
    quota = quota_of([-1, 0, 1, 1, 1], [3, NO_LIMIT, 6, 6, 6], borrow=[-1, -1, -1, 2, -1], lend=[-1, -1, -1, -1, 0])
    assert left(quota) == [3, ENDLESS, ENDLESS, 8, ENDLESS]
    add(quota, 3, 0, 7)
    assert left(quota) == [3, ENDLESS, ENDLESS, 1, ENDLESS]
    assert [borrowed(quota, row, 0) for row in range(5)] == [0, 0, 0, 1, 0]
    assert quota.used[:, 0].tolist() == [0, 7, 0, 7, 0]


def test_more_in_use_than_there_is_leaves_less_than_nothing() -> None:
    quota = quota_of(FLAT, [0, 9, 12], used=[0, 30, 0])
    assert left(quota) == [-9, -9, -9]
    assert fits(quota, 2, 0, 0)
    assert not fits(quota, 2, 0, 1)
    remove(quota, 1, 0, 11)
    assert left(quota) == [2, 2, 2]


def test_a_row_that_is_over_its_borrowing_limit_says_by_how_much() -> None:
    assert left(quota_of(FLAT, [100, 9, 12], borrow=[NO_LIMIT, 1, NO_LIMIT], used=[0, 30, 0])) == [91, -20, 91]


def test_amounts_up_to_the_bound_are_counted_exactly() -> None:
    depth, most = 2_000, AMOUNT_MAX - 1
    chain = quota_of([*range(-1, depth - 1)], [0] * (depth - 1) + [most], borrow=[-1] + [most] * (depth - 1))
    assert {available(chain, row, 0) for row in (0, 1, depth - 1)} == {most}
    add(chain, depth - 1, 0, most)
    assert set(chain.used[:, 0].tolist()) == {most}
    assert available(chain, depth - 1, 0) == 0
    kept = quota_of([-1, 0, 0], [0, most, 0], lend=[-1, 1, -1], borrow=[-1, most, most])
    assert left(kept) == [1, most, 1]


@pytest.mark.parametrize("resources", [0, 1, 3])
def test_resources_do_not_know_each_other(resources: int) -> None:
    none = np.full((3, resources), NO_LIMIT)
    nominal = np.arange(3 * resources).reshape(3, resources)
    quota = make_quota(np.array(FLAT), nominal, none, none, np.zeros((3, resources), np.int64))
    for resource in range(resources):
        add(quota, 1, resource, resource)
    assert quota.used.tolist() == [list(range(resources)), list(range(resources)), [0] * resources]


def test_quotas_that_cannot_be_are_refused() -> None:
    column = np.zeros((3, 1), np.int64)
    none = np.full((3, 1), NO_LIMIT)
    with pytest.raises(InvariantViolated, match="one entry a row"):
        make_quota(np.array(FLAT), column, none, none, np.zeros((3, 2), np.int64))
    with pytest.raises(InvariantViolated, match="one entry a row"):
        make_quota(np.array(FLAT), *(np.zeros(3, np.int64),) * 4)
    with pytest.raises(InvariantViolated, match="one entry a row"):
        make_quota(np.array([-1, 0]), column, none, none, column)
    for parent in ([1, -1, 0], [-1, 0, 2], [-2, 0, 0]):
        with pytest.raises(InvariantViolated, match="before children"):
            quota_of(parent, [0, 0, 0])
    for wrong in (-2, AMOUNT_MAX):
        with pytest.raises(InvariantViolated, match="below 2"):
            quota_of(FLAT, [0, wrong, 0])
        with pytest.raises(InvariantViolated, match="below 2"):
            quota_of(FLAT, [0, 0, 0], borrow=[-1, wrong, -1])
    with pytest.raises(InvariantViolated, match="0 or more"):
        quota_of(FLAT, [0, 0, 0], used=[0, -1, 0])
    with pytest.raises(InvariantViolated, match="all use"):
        quota_of(FLAT, [0, AMOUNT_MAX - 1, AMOUNT_MAX - 1])
    for limits in ([0, -1, -1], [-1, -1, 0]):
        with pytest.raises(InvariantViolated, match="no limits"):
            quota_of(FLAT, [0, 0, NO_LIMIT], borrow=limits)
        with pytest.raises(InvariantViolated, match="no limits"):
            quota_of(FLAT, [0, 0, NO_LIMIT], lend=limits)


def test_what_was_given_stays_as_it_was() -> None:
    given = [np.array([[0], [3], [3]]), np.full((3, 1), NO_LIMIT), np.full((3, 1), NO_LIMIT), np.array([[0], [2], [1]])]
    before = [column.tobytes() for column in given]
    quota = make_quota(np.array(FLAT), *given)
    add(quota, 1, 0, 3)
    assert quota.used[:, 0].tolist() == [6, 5, 1]
    assert [column.tobytes() for column in given] == before
