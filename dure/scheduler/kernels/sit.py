"""Taking seats: now, or as a claim that waits for others to leave."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.board import CLAIMS, HOLDS, LEAVES, Board, add_tenure, room_then, set_cores
from dure.scheduler.kernels.ground import I32, I64, U64, WHOLE, Gang
from dure.scheduler.kernels.index import move
from dure.scheduler.kernels.jit import inner, kernel, wide
from dure.scheduler.kernels.room import count_whole

_ONE, _ZERO = np.uint64(1), np.uint64(0)


@inner
def lowest(mask: np.uint64, count: int) -> np.uint64:
    """The `count` lowest bits of `mask`, or all that it has."""
    taken = _ZERO
    while count > 0 and mask != _ZERO:
        rest = mask & (mask - _ONE)
        taken |= mask ^ rest
        mask = rest
        count -= 1
    return taken


@kernel
def start(board: Board, gang: Gang, end: int, seat_node: I32, seat_workers: I64, node_of: I32, mask_of: U64) -> int:
    """Take the seats now, until `end`. Writes node and devices of each worker, node by node; how many workers."""
    ground, written = board.ground, 0
    for i in range(len(seat_node)):
        node, workers, taken = wide(seat_node[i]), seat_workers[i], _ZERO
        for _ in range(workers):
            mask = lowest(ground.nodes.whole_free[node] & ~taken, gang.devices)
            taken |= mask
            node_of[written], mask_of[written] = node, mask
            written += 1
        set_cores(board, node, ground.nodes.cores_free[node] - gang.cores * workers)
        ground.nodes.memory_free[node] -= gang.memory * workers
        _occupy(board, node, taken)
        add_tenure(board, node, HOLDS, end, taken, gang.cores * workers, gang.memory * workers)
    return written


@inner
def claim(
    board: Board, gang: Gang, end: int, seat_node: I32, seat_workers: I64, victims: I32, node_of: I32, mask_of: U64
) -> int:  # fmt: skip
    """Keep the seats for work that starts when the tenures `victims` have left, and ends by `end`. It takes their devices first,
    so that free ones stay of use to others meanwhile. Writes and returns what `start` does."""
    ground, tenures, written = board.ground, board.tenures, 0
    for victim in victims:
        tenures.role[victim] = LEAVES
        board.here.claimed[tenures.node[victim]] += 1
    for i in range(len(seat_node)):
        node, workers, taken, freed = wide(seat_node[i]), seat_workers[i], _ZERO, _ZERO
        for victim in victims:
            if tenures.node[victim] == node:
                freed |= tenures.mask[victim]
        for _ in range(workers):
            mask = lowest(freed & ~taken, gang.devices)
            mask |= lowest(ground.nodes.whole_free[node] & ~taken & ~mask, gang.devices - count_whole(mask))
            taken |= mask
            node_of[written], mask_of[written] = node, mask
            written += 1
        _occupy(board, node, taken)
        add_tenure(board, node, CLAIMS, end, taken, gang.cores * workers, gang.memory * workers)
    for victim in victims:
        _look_again(board, wide(tenures.node[victim]))
    for node in seat_node:
        _look_again(board, wide(node))
    return written


@inner
def _occupy(board: Board, node: int, taken: np.uint64) -> None:
    ground = board.ground
    first = ground.device_ptr[node]
    for at in range(first, ground.device_ptr[node + 1]):
        if taken & (_ONE << np.uint64(at - first)) != _ZERO:
            ground.share_free[at] = 0
    ground.nodes.whole_free[node] &= ~taken
    move(board.cells, node, count_whole(ground.nodes.whole_free[node]))


@inner
def _look_again(board: Board, node: int) -> None:
    """What others may use now of a node whose claims have changed."""
    room = room_then(board, node, board.now)
    set_cores(board, node, room[0])
    board.ground.nodes.memory_free[node] = room[1]


@kernel
def settle(board: Board) -> None:
    """Write into the ground what others may use now, by the tenures that are there."""
    board.cells.cell.cores[:] = 0
    for node in range(len(board.cells.node)):
        board.ground.nodes.cores_free[node] = 0
        settle_node(board, node)


@inner
def settle_node(board: Board, node: int) -> None:
    """The same of one node."""
    ground, tenures = board.ground, board.tenures
    held, tenure = _ZERO, board.here.tenure[node]
    while tenure >= 0:
        held |= tenures.mask[tenure]
        tenure = tenures.next[tenure]
    ground.nodes.whole_free[node] = board.here.exists[node] & ~held
    first = ground.device_ptr[node]
    for at in range(first, ground.device_ptr[node + 1]):
        free = ground.nodes.whole_free[node] & (_ONE << np.uint64(at - first)) != _ZERO
        ground.share_free[at] = WHOLE if free else 0
    move(board.cells, node, count_whole(ground.nodes.whole_free[node]))
    _look_again(board, node)
