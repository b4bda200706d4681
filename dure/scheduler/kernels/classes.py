"""Rows that ask for the same, found in one pass: what is learned of one holds for all of them.

A row is some numbers of fixed width and some runs of any length. Two rows are of one class exactly when all of these are equal;
classes are numbered in the order of their first rows, so the numbers depend on nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.ground import I32, I64, U64
from dure.scheduler.kernels.jit import kernel

Bool = NDArray[np.bool_]

# Mixing constants of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
_GOLDEN, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)


@kernel
def _mixed(hash: np.uint64, value: int) -> np.uint64:
    z = hash + _GOLDEN + np.uint64(value)
    z = (z ^ (z >> _30)) * _FIRST
    z = (z ^ (z >> _27)) * _SECOND
    return z ^ (z >> _31)


@kernel
def first_of(numbers: I32, seen: Bool, first: I64) -> int:
    """Write the rows in which a number stands for the first time; how many they are. seen: by number, False everywhere."""
    found = 0
    for row in range(len(numbers)):
        if not seen[numbers[row]]:
            seen[numbers[row]], first[found] = True, row
            found += 1
    return found


@kernel
def _hashes(fixed: I64, ptr: I64, values: I64) -> U64:
    """By row. ptr: shape (runs, rows + 1), CSR offsets into `values`."""
    rows = fixed.shape[1]
    found = np.empty(rows, np.uint64)
    for row in range(rows):
        hash = np.uint64(0)
        for column in range(fixed.shape[0]):
            hash = _mixed(hash, fixed[column, row])
        for run in range(ptr.shape[0]):
            hash = _mixed(hash, ptr[run, row + 1] - ptr[run, row])
            for at in range(ptr[run, row], ptr[run, row + 1]):
                hash = _mixed(hash, values[at])
        found[row] = hash
    return found


@kernel
def _same(fixed: I64, ptr: I64, values: I64, one: int, other: int) -> bool:
    for column in range(fixed.shape[0]):
        if fixed[column, one] != fixed[column, other]:
            return False
    for run in range(ptr.shape[0]):
        first, second = ptr[run, one], ptr[run, other]
        length = ptr[run, one + 1] - first
        if ptr[run, other + 1] - second != length:
            return False
        for i in range(length):
            if values[first + i] != values[second + i]:
                return False
    return True


@kernel
def _classes(fixed: I64, ptr: I64, values: I64, hashes: U64, table: I32, of: I32, first: I32) -> int:
    """Fills `of` and `first`; how many classes there are. table: empty places (-1), a power of two of them."""
    last, count = np.uint64(len(table) - 1), 0
    for row in range(len(of)):
        place = hashes[row] & last
        while True:
            known = table[place]
            if known < 0:
                table[place], first[count], of[row] = count, row, count
                count += 1
                break
            if hashes[first[known]] == hashes[row] and _same(fixed, ptr, values, first[known], row):
                of[row] = known
                break
            place = (place + np.uint64(1)) & last
    return count


def classes(fixed: I64, runs: tuple[tuple[I64 | I32, I64 | I32], ...] = ()) -> tuple[I32, I32]:
    """The class of each row, and the first row of each class.

    fixed: shape (columns, rows). runs: (ptr, values) each, where a row has `values[ptr[row]:ptr[row + 1]]`."""
    rows = fixed.shape[1]
    offsets, ptr, at = [], np.zeros((len(runs), rows + 1), np.int64), 0
    for number, (own, values) in enumerate(runs):
        ptr[number] = np.asarray(own, np.int64) + at
        offsets.append(np.asarray(values, np.int64))
        at += len(values)
    joined = np.concatenate([*offsets, np.zeros(0, np.int64)])
    fixed = np.ascontiguousarray(fixed, np.int64)
    table = np.full(1 << max(4, (2 * rows).bit_length()), -1, np.int32)
    of, first = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
    with np.errstate(over="ignore"):  # for kernels that run uncompiled: mixing is meant to overflow
        hashes = _hashes(fixed, ptr, joined)
    count = _classes(fixed, ptr, joined, hashes, table, of, first)
    return of, first[:count].copy()
