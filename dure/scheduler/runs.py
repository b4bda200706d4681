"""Runs of any length in flat columns (CSR): those of a row are `values[ptr[row]:ptr[row + 1]]`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.classes import first_of
from dure.scheduler.snapshot import I64

Whole = NDArray[np.integer[Any]]


def gather(ptr: Whole, rows: Whole) -> tuple[I64, I64]:
    """The runs of these rows, one behind the other: their own ptr, and where each of their values stands now."""
    first = ptr[rows].astype(np.int64)
    length, behind = ptr[rows + 1] - first, np.zeros(len(rows) + 1, np.int64)
    length.cumsum(out=behind[1:])
    return behind, np.arange(behind[-1]) + (first - behind[:-1]).repeat(length)


def first_rows(numbers: Whole) -> I64:
    """The rows in which a number stands for the first time, ascending. Numbers are not negative."""
    first, seen = np.empty(len(numbers), np.int64), np.zeros(int(numbers.max(initial=-1)) + 1, np.bool_)
    return first[: first_of(numbers.astype(np.int32), seen, first)]  # compiled for one kind of column
