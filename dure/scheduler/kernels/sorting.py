"""Sorting by whole numbers, digit by digit, in time that grows with how many there are."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.ground import I64
from dure.scheduler.kernels.jit import kernel

FEW = 4096  # rows: for fewer, digits of a byte leave less to look at
SMALL, LARGE = 8, 16  # bits of a digit


@kernel
def sort_by(key: I64, order: I64) -> I64:
    """The rows in `order`, by the key of each; those of one key stay as they stood. From the lowest key to the highest it is less
    than 2^63. Nothing that is given is changed."""
    if len(order) == 0:
        return order.copy()
    least = most = key[order[0]]
    for row in order:
        least, most = min(least, key[row]), max(most, key[row])
    bits, length = SMALL if len(order) < FEW else LARGE, 0
    while length < 63 and (most - least) >> length > 0:
        length += 1
    if length > 0:  # digits of one size, none larger than it has to be
        digits = (length + bits - 1) // bits
        bits = (length + digits - 1) // digits
    place, shift = np.zeros((1 << bits) + 1, np.int64), 0
    now, then = order.copy(), np.empty_like(order)
    while shift < 63 and (most - least) >> shift > 0:
        _sort(key, least, shift, (1 << bits) - 1, place, now, then)
        now, then, shift = then, now, shift + bits
    return now


@kernel
def _sort(key: I64, least: int, shift: int, mask: int, place: I64, now: I64, then: I64) -> None:
    """By one digit of each key's distance from the least."""
    place[:] = 0
    for row in now:
        place[(((key[row] - least) >> shift) & mask) + 1] += 1
    for digit in range(mask):
        place[digit + 1] += place[digit]
    for row in now:
        digit = ((key[row] - least) >> shift) & mask
        then[place[digit]] = row
        place[digit] += 1
