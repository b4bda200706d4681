"""On which nodes of one cell the workers of a gang sit.

The rule. The fullest node that takes all of them, so that big holes remain; else the nodes that take most are filled, the fullest
of these first, and what remains goes to the fullest node that takes it. Fuller means fewer devices wholly free, then fewer cores;
ties go to the lower node.

A seat is a node and how many workers sit on it. What the workers want of devices is a count of whole ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.ground import I32, I64, Ground
from dure.scheduler.kernels.index import Index, next_node
from dure.scheduler.kernels.jit import kernel

UNBOUNDED = 1 << 24  # workers that a node takes that want nothing of it
CORES_BITS = 40  # of a node's emptiness; devices rank above them


@kernel
def takes(ground: Ground, node: int, level: int, cores: int, memory: int, devices: int) -> int:
    """How many workers of this need a node takes that has `level` devices wholly free."""
    most = UNBOUNDED
    if devices > 0:
        most = min(most, level // devices)
    if cores > 0:
        most = min(most, ground.cores_free[node] // cores)
    if memory > 0:
        most = min(most, ground.memory_free[node] // memory)
    return max(most, 0)


@kernel
def fullest(ground: Ground, index: Index, cell: int, cores: int, memory: int, devices: int, workers: int) -> int:
    """The fullest node that takes all `workers`; -1: none does."""
    for level in range(min(workers * devices, index.top[cell] + 1), index.top[cell] + 1):
        best, least, slot = -1, 0, next_node(index, cell, level, 0)
        while slot >= 0:
            node = index.nodes[index.node_ptr[cell] + slot]
            if takes(ground, node, level, cores, memory, devices) >= workers and (best < 0 or ground.cores_free[node] < least):
                best, least = node, ground.cores_free[node]
            slot = next_node(index, cell, level, slot + 1)
        if best >= 0:
            return int(best)
    return -1


@kernel
def seat(
    ground: Ground, index: Index, cell: int, cores: int, memory: int, devices: int, workers: int,
    seat_node: I32, seat_workers: I32,
) -> int:  # fmt: skip
    """Seats for all workers, written to `seat_node` and `seat_workers`; how many, 0: they do not fit."""
    node = fullest(ground, index, cell, cores, memory, devices, workers)
    if node >= 0:
        seat_node[0], seat_workers[0] = node, workers
        return 1
    if bound(index, cell, devices) < workers:
        return 0
    return _scatter(ground, index, cell, cores, memory, devices, workers, seat_node, seat_workers)


@kernel
def bound(index: Index, cell: int, devices: int) -> int:
    """No more workers than this fit into the cell, going by devices alone."""
    if devices == 0:
        return int(index.node_ptr[cell + 1] - index.node_ptr[cell]) * UNBOUNDED
    most = 0
    for level in range(devices, index.top[cell] + 1):
        most += index.size[cell, level] * (level // devices)
    return int(most)


@kernel
def _scatter(
    ground: Ground, index: Index, cell: int, cores: int, memory: int, devices: int, workers: int,
    seat_node: I32, seat_workers: I32,
) -> int:  # fmt: skip
    first, size = index.node_ptr[cell], index.node_ptr[cell + 1] - index.node_ptr[cell]
    found, total = 0, 0
    room, empty = np.empty(size, np.int64), np.empty(size, np.int64)
    for slot in range(size):
        node = index.nodes[first + slot]
        room[slot] = takes(ground, node, index.level[node], cores, memory, devices)
        empty[slot] = (np.int64(index.level[node]) << CORES_BITS) + ground.cores_free[node]
        total += room[slot]
    if total < workers:
        return 0
    left, used = workers, np.zeros(size, np.bool_)
    while left > 0:
        most = 0
        for slot in range(size):
            if not used[slot]:
                most = max(most, room[slot])
        if most >= left:  # the rest fits on one: the fullest that takes it
            slot = _pick(room, empty, used, left, UNBOUNDED + 1)
            most = left
        else:
            slot = _pick(room, empty, used, most, most)
        used[slot] = True
        seat_node[found], seat_workers[found] = index.nodes[first + slot], most
        found += 1
        left -= most
    return found


@kernel
def _pick(room: I64, empty: I64, used: NDArray[np.bool_], low: int, high: int) -> int:
    """The fullest unused slot that takes from `low` to `high` workers."""
    best = -1
    for slot in range(len(room)):
        if not used[slot] and low <= room[slot] <= high and (best < 0 or empty[slot] < empty[best]):
            best = slot
    return best
