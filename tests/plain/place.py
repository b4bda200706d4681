"""Which nodes a gang sits on, and which of their devices it takes. Values in, values out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dure.scheduler.snapshot import I64

CORES, MEMORY, DEVICES = 0, 1, 2  # rows of every "room": shape (3, nodes)
# As many workers as anybody may ask for: what a node takes of work that wants nothing of it. Small enough that a sum over
# all nodes is exact in a float's 53 bits.
UNBOUNDED = 1 << 24
DEVICES_FIRST = 40  # bits that cores get in a node's fullness; devices rank above them

Need = tuple[int, int, int]  # cores_milli, memory_mib, devices of one worker


@dataclass(frozen=True, slots=True)
class Seats:
    """How many workers of one gang sit on which nodes; every node once."""

    nodes: tuple[int, ...]
    counts: tuple[int, ...]


def workers_in(room: I64, need: Need) -> I64:
    """How many workers of this need each column of `room` takes; never negative."""
    fit: I64 = np.full(room.shape[1], UNBOUNDED, np.int64)
    for row, amount in zip(room, need, strict=True):
        if amount:
            np.minimum(fit, row // amount, out=fit)
    np.maximum(fit, 0, out=fit)
    return fit


def without(need: Need, dimension: int) -> Need:
    """The rest of a need."""
    cores_milli, memory_mib, devices = (0 if d == dimension else amount for d, amount in enumerate(need))
    return cores_milli, memory_mib, devices


def emptiness(room: I64) -> I64:
    """One number a node that grows with what is free on it, devices before cores: best fit takes the smallest, so that work
    without devices keeps off free ones and big holes remain."""
    empty: I64 = (np.maximum(room[DEVICES], 0) << DEVICES_FIRST) + np.clip(room[CORES], 0, (1 << DEVICES_FIRST) - 1)
    return empty


def spread(fit: I64, empty: I64, workers: int) -> list[tuple[int, int]]:
    """(node, workers on it) for a gang on nodes that take `fit` each; the sum of `fit` must reach `workers`.

    The fullest node that takes all of them; else the nodes that take most are filled, and what remains goes to the
    fullest node that takes it. Ties go to the lower row."""
    whole = fit >= workers
    if whole.any():
        return [(int(np.where(whole, empty, np.iinfo(np.int64).max).argmin()), workers)]
    order = np.lexsort((empty, -fit))
    takes = fit[order]
    left = workers - (np.cumsum(takes) - takes)
    turn = int((takes >= left).argmax())
    rest, tail = int(left[turn]), order[turn:]
    last = min(tail[takes[turn:] >= rest].tolist(), key=lambda node: (int(empty[node]), node))
    return [(int(n), int(c)) for n, c in zip(order[:turn], takes[:turn], strict=True)] + [(last, rest)]


def lowest(mask: int, count: int) -> int:
    """The `count` lowest bits of `mask`."""
    taken = 0
    for _ in range(count):
        bit = mask & -mask
        taken |= bit
        mask ^= bit
    return taken
