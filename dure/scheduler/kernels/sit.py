"""Taking seats: now, or as a claim that waits for others to leave."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.board import CLAIMS, HOLDS, LEAVES, Board, add_tenure, has_of_each, named_within, room_then, set_cores
from dure.scheduler.kernels.ground import I32, I64, U64, WHOLE, Gang
from dure.scheduler.kernels.index import move
from dure.scheduler.kernels.jit import kernel, wide
from dure.scheduler.kernels.liking import device_liked
from dure.scheduler.kernels.packed import join
from dure.scheduler.kernels.room import count_whole, tightest_of
from dure.scheduler.kernels.slots import take_off, usable, whole_of

_ONE, _ZERO = np.uint64(1), np.uint64(0)


@kernel
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
    if gang.share > 0:
        return _start_shares(board, gang, end, seat_node, seat_workers, node_of, mask_of)
    for i in range(len(seat_node)):
        node, workers, taken = wide(seat_node[i]), seat_workers[i], _ZERO
        free = ground.nodes.whole_free[node] & ~named_within(board, node, board.now, end)
        for _ in range(workers):
            mask = lowest(free & ~taken, gang.devices)
            taken |= mask
            node_of[written], mask_of[written] = node, mask
            written += 1
        set_cores(board, node, ground.nodes.cores_free[node] - gang.cores * workers)
        ground.nodes.memory_free[node] -= gang.memory * workers
        _occupy(board, node, taken, WHOLE)
        add_tenure(board, node, HOLDS, end, taken, gang.share, gang.cores * workers, gang.memory * workers)
        _join(board, node, gang, workers)
    return written


@kernel
def _join(board: Board, node: int, gang: Gang, workers: int) -> None:
    """They are guests of the node, if they have devices."""
    if gang.devices > 0:
        join(board.packing, node, wide(gang.devices), wide(workers))


@kernel
def _start_shares(
    board: Board, gang: Gang, end: int, seat_node: I32, seat_workers: I64, node_of: I32, mask_of: U64
) -> int:  # fmt: skip
    ground, written, left = board.ground, 0, board.scratch[0]
    for i in range(len(seat_node)):
        node, workers = wide(seat_node[i]), seat_workers[i]
        devices = usable(board, node, gang.share, board.now, end, True, left)
        for _ in range(workers):
            device = device_liked(board, node, gang, left, devices)
            node_of[written], mask_of[written] = node, _sit_share(board, node, gang, HOLDS, end, left, device)
            written += 1
            set_cores(board, node, ground.nodes.cores_free[node] - gang.cores)
            ground.nodes.memory_free[node] -= gang.memory
    return written


@kernel
def _sit_share(board: Board, node: int, gang: Gang, role: int, end: int, left: I64, device: int) -> np.uint64:
    """Seat one worker on a device; its bit."""
    mask = _ONE << np.uint64(device)
    left[device] -= gang.share
    _occupy(board, node, mask, gang.share)
    add_tenure(board, node, role, end, mask, gang.share, gang.cores, gang.memory)
    join(board.packing, node, wide(0), wide(1))
    return mask


@kernel
def claim(
    board: Board, gang: Gang, end: int, seat_node: I32, seat_workers: I64, victims: I32, node_of: I32, mask_of: U64
) -> int:  # fmt: skip
    """Keep the seats for work that starts when the tenures `victims` have left, and ends by `end`. It takes their devices first,
    so that free ones stay of use to others meanwhile. Writes and returns what `start` does."""
    ground, tenures, written, left = board.ground, board.tenures, 0, board.scratch[0]
    for victim in victims:
        tenures.role[victim] = LEAVES
        board.here.claimed[tenures.node[victim]] += 1
    for i in range(len(seat_node)):
        node, workers, taken = wide(seat_node[i]), seat_workers[i], _ZERO
        devices = _behind(board, node, victims, left)
        if gang.share > 0:
            for _ in range(workers):
                device = tightest_of(left, 0, devices, gang.share)
                node_of[written], mask_of[written] = node, _sit_share(board, node, gang, CLAIMS, end, left, device)
                written += 1
            continue
        freed = whole_of(left, devices) & ~ground.nodes.whole_free[node]
        for _ in range(workers):
            mask = lowest(freed & ~taken, gang.devices)
            mask |= lowest(ground.nodes.whole_free[node] & ~taken & ~mask, gang.devices - count_whole(mask))
            taken |= mask
            node_of[written], mask_of[written] = node, mask
            written += 1
        _occupy(board, node, taken, WHOLE)
        add_tenure(board, node, CLAIMS, end, taken, gang.share, gang.cores * workers, gang.memory * workers)
        _join(board, node, gang, workers)
    for victim in victims:
        _look_again(board, wide(tenures.node[victim]))
    for node in seat_node:
        _look_again(board, wide(node))
    return written


@kernel
def _behind(board: Board, node: int, victims: I32, left: I64) -> int:
    """What is left of each device of a node once these tenures are gone, into `left`; how many devices it has."""
    ground, tenures = board.ground, board.tenures
    first = ground.device_ptr[node]
    devices = ground.device_ptr[node + 1] - first
    for device in range(devices):
        left[device] = ground.share_free[first + device]
    for victim in victims:
        if tenures.node[victim] == node:
            take_off(left, 0, devices, tenures.mask[victim], -has_of_each(board, victim))
    return int(devices)


@kernel
def _occupy(board: Board, node: int, taken: np.uint64, amount: int) -> None:
    """Take so many thousandths of each of these devices."""
    ground = board.ground
    first = ground.device_ptr[node]
    take_off(ground.share_free, first, ground.device_ptr[node + 1] - first, taken, amount)
    ground.nodes.whole_free[node] &= ~taken
    if amount < WHOLE or board.here.widest[node] > 0:
        _look_at_shares(board, node)
    move(board.cells, node, count_whole(ground.nodes.whole_free[node]))


@kernel
def _look_at_shares(board: Board, node: int) -> None:
    """The most that is left of a device of a node that is divided."""
    ground, widest = board.ground, wide(0)
    for device in range(ground.device_ptr[node], ground.device_ptr[node + 1]):
        if ground.share_free[device] < WHOLE:
            widest = max(widest, wide(ground.share_free[device]))
    board.here.widest[node] = widest


@kernel
def _look_again(board: Board, node: int) -> None:
    """What others may use now of a node whose claims have changed."""
    room = room_then(board, node, board.now)
    set_cores(board, node, room[0])
    board.ground.nodes.memory_free[node] = room[1]


@kernel
def settle(board: Board) -> None:
    """Write into the ground what others may use now, by the tenures that are there."""
    board.cells.cell.cores[:] = board.cells.cores[:] = 0
    for node in range(len(board.cells.node)):
        board.ground.nodes.cores_free[node] = 0
        settle_node(board, node)


@kernel
def settle_node(board: Board, node: int) -> None:
    """The same of one node."""
    ground, tenures = board.ground, board.tenures
    held, divided, tenure, first = _ZERO, False, board.here.tenure[node], ground.device_ptr[node]
    devices = ground.device_ptr[node + 1] - first
    for device in range(devices):
        exists = board.here.exists[node] & (_ONE << np.uint64(device)) != _ZERO
        ground.share_free[first + device] = WHOLE if exists else 0
    while tenure >= 0:
        held |= tenures.mask[tenure]
        divided |= tenures.share[tenure] > 0
        take_off(ground.share_free, first, devices, tenures.mask[tenure], has_of_each(board, tenure))
        tenure = tenures.next[tenure]
    ground.nodes.whole_free[node], board.here.widest[node] = board.here.exists[node] & ~held, 0
    if divided:
        _look_at_shares(board, node)
    move(board.cells, node, count_whole(ground.nodes.whole_free[node]))
    _look_again(board, node)
