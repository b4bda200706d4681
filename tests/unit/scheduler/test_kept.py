"""What is kept of columns that are still the same, and what is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kept import kept

Column = NDArray[np.int64]


def frozen(*values: int) -> Column:
    column = np.array(values, np.int64)
    column.flags.writeable = False
    return column


class Sums:
    """Adds up, and counts how often it had to."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, column: Column, times: int) -> list[int]:
        self.made += 1
        return [int(column.sum()) * times]


def test_the_same_columns_and_equal_numbers_are_asked_for_once() -> None:
    sums, column = Sums(), frozen(1, 2)
    ask = kept(sums)
    assert ask(column, 1000) is ask(column, 10**3)
    assert sums.made == 1


def test_another_column_is_another_question_even_if_it_says_the_same() -> None:
    sums, column = Sums(), frozen(1, 2)
    ask = kept(sums)
    assert ask(column, 1) == ask(frozen(1, 2), 1) == [3]
    assert ask(column, 2) == [6]
    assert sums.made == 3


def test_only_the_last_answer_is_kept() -> None:
    sums, one, other = Sums(), frozen(1), frozen(2)
    ask = kept(sums)
    assert [ask(one, 1), ask(other, 1), ask(one, 1)] == [[1], [2], [1]]
    assert sums.made == 3


def test_what_may_still_be_written_to_is_never_trusted() -> None:
    sums, column = Sums(), np.array([1, 2])
    ask = kept(sums)
    assert ask(column, 1) == [3]
    column[0] = 5
    assert ask(column, 1) == [7]
