"""On which nodes the workers of a gang sit.

They may sit anywhere in a run of cells (`low` up to and without `high`): one cell for a type of accelerator at a site, several
for work that does not care. The rule: the fullest node that takes all of them, so that big holes remain; else the nodes that take
most are filled, the fullest of these first, and what remains goes to the fullest node that takes it. Fuller means fewer devices
wholly free, then fewer cores; ties go to the lower node.

A gang may ask for one topology block: then a cell is a block (a node that is in none has a cell of its own), and only one cell is
taken of the run: of those that take all workers, the one with least devices wholly free, then fewest cores.

A seat is a node and how many workers sit on it. What the workers want of devices is a count of whole ones, or a share of one:
then nodes go first that have it without breaking into a device that is whole. Seats are for work that starts now and ends by
`end`: on a node that is promised to somebody it must fit beside the promise as well.

All of this is the policy `FULLEST`, the default. Under another packing policy its score stands for fullness (`liking`); the block
that is taken stays the same, and so do the places that are promised, or claimed behind those who make room.
"""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.board import Board, closed_within, named_within, room_beside
from dure.scheduler.kernels.ground import I32, I64, Gang
from dure.scheduler.kernels.index import next_node
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.liking import place_liked
from dure.scheduler.kernels.packed import POLICY
from dure.scheduler.kernels.packing import FULLEST
from dure.scheduler.kernels.room import count_whole
from dure.scheduler.kernels.slots import slots

UNBOUNDED = 1 << 24  # workers that a node takes that want nothing of it
FIRST = constant(0)  # slot
CORES_BITS = 40  # of a node's emptiness; devices rank above them


@kernel
def workers_of(room: tuple[int, int, int], gang: Gang) -> int:
    """How many workers of this need a room takes; never negative. room: cores, memory, and whole devices, or of those who want
    shares how many of these it has (`slots`)."""
    most = UNBOUNDED
    if gang.devices > 0:
        most = min(most, room[2] // gang.devices)
    if gang.share > 0:
        most = min(most, room[2])
    if gang.cores > 0:
        most = min(most, room[0] // gang.cores)
    if gang.memory > 0:
        most = min(most, room[1] // gang.memory)
    return max(most, 0)


@kernel
def takes_one(room: tuple[int, int, int], gang: Gang) -> bool:
    """Whether `workers_of` is more than 0. room: of which nothing is negative."""
    return bool(room[2] >= max(gang.devices, min(gang.share, 1)) and room[0] >= gang.cores and room[1] >= gang.memory)


@kernel
def takes(board: Board, node: int, level: int, gang: Gang, end: int, breaks: bool) -> int:
    """How many workers of this need, that end by `end`, a node takes that has `level` devices wholly free. breaks: shares may go
    on these too."""
    if closed_within(board, node, board.now, end):
        return 0
    seats, kept, units = board.seats, board.here.kept[node], level
    if gang.share > 0:
        units = slots(board, node, gang.share, board.now, end, breaks)
    elif kept >= 0:
        units = count_whole(board.ground.nodes.whole_free[node] & ~named_within(board, node, board.now, end))
    most = workers_of((board.ground.nodes.cores_free[node], board.ground.nodes.memory_free[node], units), gang)
    while kept >= 0 and most > 0:
        promise = seats.promise[kept]
        if board.promises.at[promise] < end:
            most = min(most, takes_beside(board, node, promise, gang, units))
        kept = seats.next[kept]
    return most


@kernel
def _takes_every(board: Board, node: int, level: int, gang: Gang, end: int, breaks: bool) -> bool:
    """Whether it takes all workers. Most have too little of something, which one look tells."""
    nodes = board.ground.nodes
    if gang.share > 0 and not breaks and board.here.widest[node] < gang.share:
        return False
    if gang.cores > 0 and nodes.cores_free[node] < gang.workers * gang.cores:
        return False
    if gang.memory > 0 and nodes.memory_free[node] < gang.workers * gang.memory:
        return False
    return takes(board, node, level, gang, end, breaks) >= gang.workers


@kernel
def takes_beside(board: Board, node: int, promise: int, gang: Gang, units: int) -> int:
    """The same when a promise begins. units: of shares, how many it has at any moment."""
    room = room_beside(board, node, promise)
    return workers_of((room[0], room[1], units if gang.share > 0 else room[2]), gang)


@kernel
def fullest(board: Board, low: int, high: int, gang: Gang, end: int) -> int:
    """The fullest node that takes all workers; -1: none does. For shares one that takes them without a device that is whole."""
    if gang.share > 0:
        node = _fullest(board, low, high, gang, end, False)
        if node >= 0:
            return node
    return _fullest(board, low, high, gang, end, True)


@kernel
def _fullest(board: Board, low: int, high: int, gang: Gang, end: int, breaks: bool) -> int:
    index, top = board.cells, 0
    for cell in range(low, high):
        top = max(top, index.cell.top[cell])
    for level in range(min(gang.workers * gang.devices, top + 1), top + 1):
        best, least = -1, 0
        for cell in range(low, high):
            slot = next_node(index, cell, level, FIRST)
            while slot >= 0:
                at = index.cell.first[cell] + slot
                node, free = wide(index.nodes[at]), index.cores[at]
                if (best < 0 or free < least or (free == least and node < best)) and _takes_every(
                    board, node, level, gang, end, breaks
                ):
                    best, least = node, free
                slot = next_node(index, cell, level, slot + 1)
        if best >= 0:
            return int(best)
    return -1


@kernel
def bound(size: I64, top: I64, low: int, high: int, gang: Gang) -> int:
    """No more workers than this fit now into the run, going by devices alone. size, top: of the index."""
    devices, most, total = gang.devices, np.int64(0), np.int64(0)
    for cell in range(low, high):
        if gang.block:
            total = np.int64(0)
        each, more = (UNBOUNDED if devices == 0 else 1), 0  # level // devices, without dividing
        for level in range(devices, top[cell] + 1):
            total += size[cell, level] * each
            more += 1
            if more == devices:
                each, more = each + 1, 0
        most = max(most, total)
    return int(most)


@kernel
def parts(gang: Gang, low: int, high: int) -> int:
    """How many cells of a run a gang may sit in at a time: the step with which to walk it."""
    return 1 if gang.block else max(high - low, 1)


@kernel
def seat(board: Board, low: int, high: int, gang: Gang, end: int, seat_node: I32, seat_workers: I64) -> int:
    """Seats for all workers, written to `seat_node` and `seat_workers`; how many, 0: they do not fit."""
    if bound(board.cells.size, board.cells.cell.top, low, high, gang) < gang.workers:
        return 0
    if gang.block:
        low = tightest_part(board, low, high, gang, end)
        if low < 0:
            return 0
        high = low + 1
    if board.packing[POLICY] != FULLEST:
        nodes, room, _ = rooms(board, low, high, gang, end)
        return place_liked(board, gang, end, nodes, room, seat_node, seat_workers)
    node = fullest(board, low, high, gang, end)
    if node >= 0:
        seat_node[0], seat_workers[0] = node, gang.workers
        return 1
    if gang.workers == 1:
        return 0
    return _seat_on_several(board, low, high, gang, end, seat_node, seat_workers)


@kernel
def _seat_on_several(board: Board, low: int, high: int, gang: Gang, end: int, seat_node: I32, seat_workers: I64) -> int:
    nodes, room, empty = rooms(board, low, high, gang, end)
    if room.sum() < gang.workers:
        return 0
    return spread(nodes, room, empty, gang.workers, seat_node, seat_workers)


@kernel
def tightest_part(board: Board, low: int, high: int, gang: Gang, end: int) -> int:
    """The cell with least to spare of those that take all workers; -1: none does."""
    index, best = board.cells, -1
    free, cores = index.cell.free, index.cell.cores
    for cell in range(low, high):
        tighter = best < 0 or free[cell] < free[best] or (free[cell] == free[best] and cores[cell] < cores[best])
        if tighter and takes_all(board, cell, cell + 1, gang, end):
            best = cell
    return best


@kernel
def takes_all(board: Board, low: int, high: int, gang: Gang, end: int) -> bool:
    """Whether a run of cells takes them, beside what is promised."""
    return fitting(board, low, high, gang, end) >= gang.workers


@kernel
def fitting(board: Board, low: int, high: int, gang: Gang, end: int) -> int:
    """How many of the workers a run of cells takes, beside what is promised; of a gang that asks for a block, that which takes
    most."""
    step, part, most = parts(gang, low, high), low, 0
    while part < high and most < gang.workers:
        most = max(most, _fitting(board, part, part + step, gang, end))
        part += step
    return most


@kernel
def _fitting(board: Board, low: int, high: int, gang: Gang, end: int) -> int:
    """The emptiest nodes are asked first: few are needed, mostly."""
    ground, index, total, top = board.ground, board.cells, 0, 0
    for cell in range(low, high):
        top = max(top, index.cell.top[cell])
    for level in range(top, gang.devices - 1, -1):
        for cell in range(low, high):
            slot = next_node(index, cell, wide(level), FIRST)
            while slot >= 0:
                node = wide(index.nodes[index.cell.first[cell] + slot])
                if ground.nodes.cores_free[node] >= gang.cores and ground.nodes.memory_free[node] >= gang.memory:
                    total += takes(board, node, wide(level), gang, end, True)
                    if total >= gang.workers:
                        return int(gang.workers)
                slot = next_node(index, cell, wide(level), slot + 1)
    return int(total)


@kernel
def rooms(board: Board, low: int, high: int, gang: Gang, end: int) -> tuple[I32, I64, I64]:
    """The nodes of a run that take any worker, in their order; how many each takes, and how empty it is."""
    index, most = board.cells, 0
    for cell in range(low, high):
        for level in range(gang.devices, index.cell.top[cell] + 1):
            most += index.size[cell, level]
    nodes, room, empty = np.empty(most, np.int32), np.empty(most, np.int64), np.empty(most, np.int64)
    found = 0
    for cell in range(low, high):
        for level in range(gang.devices, index.cell.top[cell] + 1):
            slot = next_node(index, cell, level, FIRST)
            while slot >= 0:
                node = wide(index.nodes[index.cell.first[cell] + slot])
                fits = takes(board, node, level, gang, end, True)
                if fits > 0:
                    nodes[found], room[found] = node, fits
                    empty[found] = emptiness(level, board.ground.nodes.cores_free[node])
                    found += 1
                slot = next_node(index, cell, level, slot + 1)
    order = np.argsort(nodes[:found], kind="mergesort")
    return nodes[:found][order], room[:found][order], empty[:found][order]


@kernel
def emptiness(devices: int, cores: int) -> int:
    """One number that grows with what is free on a node, devices before cores."""
    return int((np.int64(max(devices, 0)) << CORES_BITS) + min(max(cores, 0), (1 << CORES_BITS) - 1))


@kernel
def one_part(board: Board, low: int, high: int, nodes: I32, room: I64, empty: I64, workers: int) -> None:
    """Of nodes that take `room` each, leave room in one cell of the run alone: in the one with least to spare that takes all."""
    index = board.cells
    takes, spare, best = np.zeros(high - low, np.int64), np.zeros(high - low, np.int64), -1
    for i in range(len(nodes)):
        takes[index.node.cell[nodes[i]] - low] += room[i]
        spare[index.node.cell[nodes[i]] - low] += empty[i]
    for part in range(high - low):
        if takes[part] >= workers and (best < 0 or spare[part] < spare[best]):
            best = part
    for i in range(len(nodes)):
        if index.node.cell[nodes[i]] - low != best:
            room[i] = 0


@kernel
def place(nodes: I32, room: I64, empty: I64, workers: int, seat_node: I32, seat_workers: I64) -> int:
    """Seats on nodes, in their order, that take `room` each; how many, 0: they do not fit."""
    best = -1
    for i in range(len(nodes)):
        if room[i] >= workers and (best < 0 or empty[i] < empty[best]):
            best = i
    if best >= 0:
        seat_node[0], seat_workers[0] = nodes[best], workers
        return 1
    if room.sum() < workers:
        return 0
    return spread(nodes, room, empty, workers, seat_node, seat_workers)


@kernel
def spread(nodes: I32, room: I64, empty: I64, workers: int, seat_node: I32, seat_workers: I64) -> int:
    """Seats for a gang that no node takes alone, on nodes that take `room` each: together at least `workers`."""
    order = np.argsort(empty, kind="mergesort")
    order = order[np.argsort(-room[order], kind="mergesort")]
    left, at = workers, 0
    while room[order[at]] < left:
        seat_node[at], seat_workers[at] = nodes[order[at]], room[order[at]]
        left -= room[order[at]]
        at += 1
    best = order[at]
    for i in range(at, len(order)):
        other = order[i]
        if room[other] >= left and (empty[other] < empty[best] or (empty[other] == empty[best] and other < best)):
            best = other
    seat_node[at], seat_workers[at] = nodes[best], left
    return at + 1
