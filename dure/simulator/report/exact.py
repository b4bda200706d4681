"""Sums and ranks that do not depend on the order of what is summed or ranked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.errors import require

I64 = NDArray[np.int64]
_HALF = 32
_LOW = (1 << _HALF) - 1
GROUPED_MAX = 1 << 30  # values: so that sums of halves stay inside 64 bits


def total(values: I64) -> int:
    """The exact sum, however large."""
    return (int((values >> _HALF).sum(dtype=np.int64)) << _HALF) + int((values & _LOW).sum(dtype=np.int64))


def times(left: I64, right: I64) -> I64:
    """Products of numbers that are not negative. Raises InvariantViolated where one could leave 64 bits."""
    most = int(left.max(initial=0)) * int(right.max(initial=0))
    require(most < 1 << 63, "a product of amount and time stays inside 64 bits")
    return left * right


def by_group(values: I64, group: NDArray[np.integer], groups: int) -> list[int]:
    """The exact sum of each group; entries of group -1 go to the last one."""
    require(len(values) <= GROUPED_MAX, "not more values than can be summed")
    high, low = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    np.add.at(high, group, values >> _HALF)
    np.add.at(low, group, values & _LOW)
    return [(a << _HALF) + b for a, b in zip(high.tolist(), low.tolist(), strict=True)]


def mean(values: I64) -> float | None:
    return total(values) / len(values) if len(values) else None


def rank(ordered: NDArray[Any], permille: int) -> float | None:
    """The nearest-rank percentile of sorted values: the smallest that at least so many permille do not exceed. Never a value that
    did not occur (Hyndman and Fan 1996, definition 1)."""
    if not len(ordered):
        return None
    return ordered[max(0, -(-permille * len(ordered) // 1000) - 1)].item()  # type: ignore[no-any-return]


def jain(shares: Sequence[float]) -> float | None:
    """Jain's index, (Σx)² / (n Σx²): 1 where all have the same, 1/n where one has everything. None for fewer than two, or where
    nobody has anything. Jain, Chiu and Hawe, DEC-TR-301, 1984."""
    squares = math.fsum(x * x for x in shares)
    return math.fsum(shares) ** 2 / (len(shares) * squares) if len(shares) > 1 and squares else None
