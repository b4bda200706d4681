"""Binary heaps of (key, row) in two arrays: the smallest key first, then the lowest row, so that no order is left to history.

A heap is a stretch of the arrays that begins at `base` and holds `size` entries, so many heaps can share two arrays. Both
functions leave the new size to the caller, who keeps it."""

from __future__ import annotations

from dure.scheduler.kernels.ground import I64
from dure.scheduler.kernels.jit import kernel


@kernel
def push(keys: I64, rows: I64, base: int, size: int, key: int, row: int) -> None:
    """Add an entry to a heap that has `size` of them."""
    at = size
    while at > 0:
        above = (at - 1) // 2
        if keys[base + above] < key or (keys[base + above] == key and rows[base + above] < row):
            break
        keys[base + at], rows[base + at] = keys[base + above], rows[base + above]
        at = above
    keys[base + at], rows[base + at] = key, row


@kernel
def pop(keys: I64, rows: I64, base: int, size: int) -> int:
    """Take the first of `size` entries out; its row."""
    first = rows[base]
    key, row, at, below = keys[base + size - 1], rows[base + size - 1], 0, 1
    while below < size - 1:
        other = below + 1
        if other < size - 1 and _before(keys, rows, base + other, base + below):
            below = other
        if key < keys[base + below] or (key == keys[base + below] and row < rows[base + below]):
            break
        keys[base + at], rows[base + at] = keys[base + below], rows[base + below]
        at, below = below, 2 * below + 1
    keys[base + at], rows[base + at] = key, row
    return int(first)


@kernel
def _before(keys: I64, rows: I64, one: int, other: int) -> bool:
    return bool(keys[one] < keys[other] or (keys[one] == keys[other] and rows[one] < rows[other]))
