"""What is left of each device of a node, and how many workers that want a share of one it takes.

A share is on one device, beside others as long as their thousandths fit; never on one that somebody has whole. A promise of
shares keeps them on devices that it names, a promise of whole devices keeps only how many: so a share may go on a device that
would be whole when such a promise begins only while it finds enough others (see `board`)."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.board import Board, has_of_each, named_within, promised_then
from dure.scheduler.kernels.ground import I32, I64, WHOLE
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.room import DEVICES_MAX, count_whole

_ONE, _ZERO = np.uint64(1), np.uint64(0)


@kernel
def take_off(left: I64 | I32, first: int, devices: int, mask: np.uint64, amount: int) -> None:
    """So many thousandths fewer of each device in a mask; `left[first]` is device 0."""
    for device in range(devices):
        if mask & (_ONE << np.uint64(device)) != _ZERO:
            left[first + device] -= amount


@kernel
def left_then(board: Board, node: int, at: int, left: I64) -> None:
    """What is left of each device at a moment if nothing more started, beside shares that are promised then. Below 0 where a
    claim waits for who is there."""
    ground, t, seats = board.ground, board.tenures, board.seats
    devices = ground.device_ptr[node + 1] - ground.device_ptr[node]
    for device in range(devices):
        left[device] = WHOLE if board.here.exists[node] & (_ONE << np.uint64(device)) != _ZERO else 0
    tenure = board.here.tenure[node]
    while tenure >= 0:
        if t.end[tenure] > at:
            take_off(left, 0, devices, t.mask[tenure], has_of_each(board, tenure))
        tenure = t.next[tenure]
    kept = board.here.kept[node]
    while kept >= 0:
        promise = seats.promise[kept]
        if board.promises.share[promise] > 0 and board.promises.at[promise] <= at < board.promises.end[promise]:
            take_off(left, 0, devices, seats.mask[kept], board.promises.share[promise] * seats.workers[kept])
        kept = seats.next[kept]


@kernel
def lefts_then(board: Board, at: int) -> I32:
    """What is left of every device at a moment, as `Ground.share_free`."""
    ground, left = board.ground, np.empty(DEVICES_MAX, np.int64)
    lefts = np.empty(len(ground.share_free), np.int32)
    for node in range(len(board.cells.node)):
        left_then(board, node, at, left)
        first = ground.device_ptr[node]
        for device in range(ground.device_ptr[node + 1] - first):
            lefts[first + device] = left[device]
    return lefts


@kernel
def usable(board: Board, node: int, share: int, at: int, end: int, breaks: bool, left: I64) -> int:
    """What shares of this size may use of each device of a node from a moment, now or later, until another, delaying no promise;
    how many devices the node has. breaks: also of devices that are whole at the first moment."""
    ground, first = board.ground, board.ground.device_ptr[node]
    devices = ground.device_ptr[node + 1] - first
    if not ground.nodes.shares[node]:
        return 0
    if at == board.now and board.here.kept[node] < 0:
        for device in range(devices):
            left[device] = ground.share_free[first + device]
    else:
        left_then(board, node, at, left)
    if not breaks:
        for device in range(devices):
            if left[device] == WHOLE:
                left[device] = 0
    _spare_promised(board, node, share, at, end, left, int(devices))
    return int(devices)


@kernel
def _spare_promised(board: Board, node: int, share: int, at: int, end: int, left: I64, devices: int) -> None:
    """Take off `left` what is promised until `end`; and of devices that promises of whole ones could want, all but as many as
    the tightest of these can spare."""
    p, seats, kept = board.promises, board.seats, board.here.kept[node]
    if kept < 0:
        return
    then, wanted, spare = board.scratch[1], _ZERO, np.int64(DEVICES_MAX)
    while kept >= 0:
        promise = seats.promise[kept]
        begins, over = p.at[promise], p.end[promise]
        if begins < end and at < over:  # one that has begun keeps the devices that were there then
            left_then(board, node, begins, then)
            if p.devices[promise] > 0:
                whole = whole_of(then, devices) & ~named_within(board, node, begins, over)
                wanted |= whole
                spare = min(spare, np.int64(count_whole(whole) - promised_then(board, node, begins)[2]))
            for device in range(devices):
                if at < begins:
                    left[device] = min(left[device], then[device])
        kept = seats.next[kept]
    for device in range(devices):
        if wanted & (_ONE << np.uint64(device)) != _ZERO and left[device] >= share:
            spare -= 1
            if spare < 0:
                left[device] = 0


@kernel
def whole_of(left: I64, devices: int) -> np.uint64:
    """The devices of which all is left."""
    whole = _ZERO
    for device in range(devices):
        if left[device] >= WHOLE:
            whole |= _ONE << np.uint64(device)
    return whole


@kernel
def slots(board: Board, node: int, share: int, at: int, end: int, breaks: bool) -> int:
    """How many shares of this size a node takes; see `usable`."""
    ground, left, count = board.ground, board.scratch[0], 0
    if at == board.now and board.here.kept[node] < 0:  # mostly
        if not ground.nodes.shares[node]:
            return 0
        if breaks:
            count = count_whole(ground.nodes.whole_free[node]) * (WHOLE // share)
        if board.here.widest[node] >= share:
            for device in range(ground.device_ptr[node], ground.device_ptr[node + 1]):
                free = ground.share_free[device]
                if share <= free < WHOLE:  # to divide takes time
                    count += free // share
        return int(count)
    for device in range(usable(board, node, share, at, end, breaks, left)):
        count += max(left[device], 0) // share
    return int(count)
