"""The state of one plan while it is made: what is free now, who leaves when, and what is kept for whom.

**Now.** `ground` holds what others may use now; `cells` find it. **Later.** A tenure is somebody on a node until a moment at
which they are gone by their limit. A promise keeps room on nodes from a moment on. Between two promises' moments things only
leave, so work that starts now and ends by its limit at `end` delays nobody exactly if it fits now, and at the moment of every
promise on its nodes that comes before `end`; nodes without promises need no second look.

**Devices.** A promise of a share names its device, one of whole devices says how many. Whoever has a device whole, now or by a
promise, has none that is named while they have it. So when a promise of whole devices begins, of the devices that nobody has then
as many are not named until it ends as all such promises want that have begun. Then each finds its own, taken in the
order in which they begin: those that began before have at most the rest, and who begins later looks for others.

A node with claims. F: total less every tenure that sits there. V: of those among them that make room for a claim. R: of the
claims. Others may use min(F, F + V - R) of cores and memory, and the devices that nobody holds or claims.

Tables that grow (tenures, promises, their seats) are arrays with room to spare; `used` says how much of each is taken. A kernel
that may need more than there is says so before it changes anything, and the caller comes back with larger ones (`grown`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dure.scheduler.kernels.ground import I32, I64, U64, WHOLE, Columns, Ground, Table, table
from dure.scheduler.kernels.index import Index
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.packed import FULLEST_FIRST
from dure.scheduler.kernels.room import DEVICES_MAX, count_whole

# roles: sits there; sits there and makes room for a claim; will sit there
HOLDS, LEAVES, CLAIMS = constant(0, np.int32), constant(1, np.int32), constant(2, np.int32)
TENURES, PROMISES, KEPT = 0, 1, 2  # entries of `used`
BLIND = 3  # not 0: maintenance is not looked at
LASTS = 4  # until when a claim that is looked for could last: what is closed before then is kept off

_ZERO = np.uint64(0)


# Tenures: one entry a node of an attempt. Those of a node are chained, the latest first.
TENURE: Columns = [
    ("node", np.int32),
    ("role", np.int32),
    ("end", np.int64),
    ("mask", np.uint64),  # devices
    ("share", np.int64),  # thousandths that it has of each of them; 0: has them whole
    ("cores", np.int64),  # of all workers there
    ("memory", np.int64),
    ("next", np.int32),  # of its node; -1 ends it
    ("older", np.int32),  # the one before it in its cell; -1: there was none
]
# Promises: what is kept, in the order in which it was promised,
PROMISE: Columns = [
    ("at", np.int64),
    ("end", np.int64),
    ("pending", np.int32),
    ("cores", np.int64),  # per worker
    ("memory", np.int64),
    ("devices", np.int64),
    ("share", np.int64),  # thousandths of a device, instead
]
# and, chained by node, how many workers of which promise sit there; of shares, on which of its devices: an entry each.
SEAT: Columns = [
    ("promise", np.int32),
    ("node", np.int32),
    ("mask", np.uint64),
    ("workers", np.int64),
    ("next", np.int32),
]
HERE: Columns = [  # by node, and one row more, for the end of the last one's windows
    ("exists", np.uint64),  # its devices
    ("widest", np.int64),  # the most that is left of one of which somebody has a share; 0: of none
    ("tenure", np.int32),  # its first in the chain
    ("claimed", np.int32),  # tenures there that claim, or make room for a claim
    ("kept", np.int32),  # its first seat in the chain
    ("closed", np.int32),  # its first window in `closed`
]
# Windows that are not over, in which nothing may run on a node: disjoint and ascending.
WINDOW: Columns = [("since", np.int64), ("until", np.int64)]


class Board(NamedTuple):
    now: int
    ground: Ground
    cells: Index
    here: Table  # by node, HERE
    tenures: Table  # TENURE
    promises: Table  # PROMISE
    seats: Table  # SEAT
    used: I64  # TENURES, PROMISES, KEPT: how much of each table is taken
    order: I32  # the tenures that were there from the beginning, by (cell, end); those of no cell first
    settled: int  # how many those are
    closed: Table  # WINDOW
    scratch: I64  # shape (2, DEVICES_MAX): what is left of each device of a node, of nobody beyond the kernel that writes it
    packing: I64  # see `packed`


@kernel
def closed_within(board: Board, node: int, at: int, end: int) -> bool:
    """Whether nothing may run on a node at some moment from one until another."""
    closed = board.closed
    for window in range(board.here.closed[node], board.here.closed[node + 1]):
        if closed.since[window] < end and at < closed.until[window]:
            return bool(board.used[BLIND] == 0)
    return False


@kernel
def kept_off(board: Board, node: int) -> bool:
    """Whether claims keep off a node: it is promised to somebody, or closed before they could be over. How soon a victim leaves
    is not known well enough for less."""
    return bool(board.here.kept[node] >= 0 or closed_within(board, node, board.now, board.used[LASTS]))


@kernel
def add_tenure(board: Board, node: int, role: int, end: int, mask: np.uint64, share: int, cores: int, memory: int) -> None:
    t, at = board.tenures, board.used[TENURES]
    t.node[at], t.role[at], t.end[at], t.mask[at], t.cores[at], t.memory[at] = node, role, end, mask, cores, memory
    t.share[at] = share
    t.next[at] = board.here.tenure[node]
    cell = board.cells.node.cell[node]
    if cell >= 0:
        t.older[at], board.cells.cell.latest[cell] = board.cells.cell.latest[cell], at
    board.here.tenure[node] = at
    board.here.claimed[node] += role != HOLDS
    board.used[TENURES] = at + 1


@kernel
def leave_by(board: Board, tenure: int, end: int) -> None:
    """One that was there from the beginning is gone earlier than by its limit: in `order` it moves forward within its cell."""
    t, order, cell = board.tenures, board.order, board.cells.node.cell[board.tenures.node[tenure]]
    if cell < 0:
        t.end[tenure] = end
        return
    first, at = board.cells.cell.settled[cell], board.cells.cell.settled[cell + 1]
    while first < at:  # it stands behind all that end before it
        middle = (first + at) // 2
        if t.end[order[middle]] < t.end[tenure]:
            first = middle + 1
        else:
            at = middle
    while order[at] != tenure:
        at += 1
    t.end[tenure] = end
    while at > board.cells.cell.settled[cell] and t.end[order[at - 1]] > end:
        order[at] = order[at - 1]
        at -= 1
    order[at] = tenure


@kernel
def has_of_each(board: Board, tenure: int) -> int:
    """Thousandths that a tenure has of each device in its mask."""
    share = board.tenures.share[tenure]
    return int(share if share > 0 else WHOLE)


@kernel
def set_cores(board: Board, node: int, free: int) -> None:
    """So many cores of a node are free for others now."""
    cell = board.cells.node.cell[node]
    if cell >= 0:
        at = board.cells.cell.first[cell] + board.cells.node.slot[node]
        board.cells.cell.cores[cell] += max(free, 0) - board.cells.cores[at]
        board.cells.cores[at] = max(free, 0)
    board.ground.nodes.cores_free[node] = free


@kernel
def named_within(board: Board, node: int, at: int, end: int) -> np.uint64:
    """The devices of a node of which shares are promised at some moment from one until another."""
    p, seats, named = board.promises, board.seats, _ZERO
    kept = board.here.kept[node]
    while kept >= 0:
        promise = seats.promise[kept]
        if p.at[promise] < end and at < p.end[promise]:
            named |= seats.mask[kept]
        kept = seats.next[kept]
    return named


@kernel
def room_then(board: Board, node: int, at: int) -> tuple[int, int, int]:
    """Cores, memory and whole devices of a node that others may use at a moment if nothing more started; promises apart, but for
    devices of which shares are promised then."""
    return room_until(board, node, at, at + 1)


@kernel
def room_until(board: Board, node: int, at: int, end: int) -> tuple[int, int, int]:
    """The same for who stays until `end`: of the devices, those of which no share is promised until then."""
    t = board.tenures
    cores, memory, held = board.ground.nodes.cores[node], board.ground.nodes.memory[node], named_within(board, node, at, end)
    kept_cores, kept_memory = 0, 0  # V - R
    tenure = board.here.tenure[node]
    while tenure >= 0:
        if t.end[tenure] > at:
            held |= t.mask[tenure]
            if t.role[tenure] == CLAIMS:
                kept_cores -= t.cores[tenure]
                kept_memory -= t.memory[tenure]
            else:
                cores -= t.cores[tenure]
                memory -= t.memory[tenure]
                if t.role[tenure] == LEAVES:
                    kept_cores += t.cores[tenure]
                    kept_memory += t.memory[tenure]
        tenure = t.next[tenure]
    devices = count_whole(board.here.exists[node] & ~held)
    return min(cores, cores + kept_cores), min(memory, memory + kept_memory), devices


@kernel
def rooms_then(board: Board, at: int) -> tuple[I64, I64, I32]:
    """The same of every node, as columns."""
    nodes = len(board.cells.node)
    cores, memory, devices = np.empty(nodes, np.int64), np.empty(nodes, np.int64), np.empty(nodes, np.int32)
    for node in range(nodes):
        cores[node], memory[node], devices[node] = room_then(board, node, at)
    return cores, memory, devices


@kernel
def promised_then(board: Board, node: int, at: int) -> tuple[int, int, int]:
    """Cores, memory and devices of a node that promises keep at a moment."""
    p, seats = board.promises, board.seats
    cores, memory, devices = 0, 0, 0
    kept = board.here.kept[node]
    while kept >= 0:
        promise, workers = seats.promise[kept], seats.workers[kept]
        if p.at[promise] <= at < p.end[promise]:
            cores += workers * p.cores[promise]
            memory += workers * p.memory[promise]
            devices += workers * p.devices[promise]
        kept = seats.next[kept]
    return cores, memory, devices


@kernel
def room_beside(board: Board, node: int, promise: int) -> tuple[int, int, int]:
    """Cores, memory and whole devices of a node that others may have when a promise there begins, so that it is kept, and so are
    those that have begun."""
    p, at = board.promises, board.promises.at[promise]
    room = room_until(board, node, at, p.end[promise] if p.devices[promise] > 0 else at + 1)
    promised = promised_then(board, node, at)
    return room[0] - promised[0], room[1] - promised[1], room[2] - promised[2]


@kernel
def shortest_alike(board: Board, limit: int) -> int:
    """The shortest limit of work that starts now and would meet the same promises as with this one; where maintenance is to come,
    this one: with a shorter one it may end before."""
    if len(board.closed) > 0:
        return limit
    end, least = board.now + limit, 0
    for promise in range(board.used[PROMISES]):
        at = board.promises.at[promise]
        if at < end:
            least = max(least, at - board.now + 1)
    return int(least)


class Room(NamedTuple):
    """For so many entries more in the tables that grow."""

    tenures: int
    promises: int
    kept: int


NO_ROOM = Room(0, 0, 0)


def make_board(
    now: int, ground: Ground, index: Index, exists: U64, *, ptr: I32, node: I32, mask: U64, role: I32, end: I64, share: I64,
    cores: I64, memory: I64, by_end: I64, windows: tuple[I32, I64, I64] | None = None, room: Room = NO_ROOM,
    packing: I64 = FULLEST_FIRST,
) -> Board:  # fmt: skip
    """ground, index: with everything free; `settle` takes what tenures hold. ptr, node, mask: of attempts, the nodes that each
    has, a tenure each, as CSR; the other columns by attempt; by_end: they by their ends. windows: when nothing may run on nodes,
    as CSR. room: for more than those. packing: as in `packed`."""
    count, nodes = len(node), len(exists)
    closed_ptr, since, until = windows or (np.zeros(nodes + 1, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    here, closed = table(HERE, nodes + 1), table(WINDOW, len(since))
    here.exists[:nodes], here.tenure, here.kept, here.closed = exists, -1, -1, closed_ptr
    closed.since, closed.until = since, until
    order = np.empty(count, np.int32)
    _put_in_order(index, ptr, node, by_end, np.zeros(len(index.cell) + 1, np.int64), order)
    board = Board(
        now, ground, index, here, table(TENURE, count + room.tenures), table(PROMISE, room.promises), table(SEAT, room.kept),
        np.zeros(5, np.int64), order, count, closed, np.zeros((2, DEVICES_MAX), np.int64), packing.copy(),
    )  # fmt: skip
    _seat_all(board, ptr, node, mask, role, end, share, cores, memory)
    return board


def empty_board(ground: Ground, index: Index) -> Board:
    """A board on which nobody sits, at time 0."""
    none = np.zeros(0, np.int64)
    exists = np.array(ground.nodes.whole_free, np.uint64)
    return make_board(
        0, ground, index, exists, ptr=np.zeros(1, np.int32), node=none.astype(np.int32), mask=none.astype(np.uint64),
        role=none.astype(np.int32), end=none, share=none, cores=none, memory=none, by_end=none,
    )  # fmt: skip


@kernel
def board_at(board: Board, now: int) -> Board:
    """The same board at another moment."""
    return Board(
        now, board.ground, board.cells, board.here, board.tenures, board.promises, board.seats, board.used, board.order,
        board.settled, board.closed, board.scratch, board.packing,
    )  # fmt: skip


@kernel
def _put_in_order(index: Index, ptr: I32, node: I32, by_end: I64, place: I64, order: I32) -> None:
    """Write the tenures by (cell, end) into `order`, those of no cell first, and where each cell's begin. place: zeros, one for
    each cell and two more."""
    for tenure in range(len(node)):
        place[index.node.cell[node[tenure]] + 2] += 1  # the cell behind begins as much later
    for cell in range(1, len(place)):
        place[cell] += place[cell - 1]
    for cell in range(len(index.cell)):
        index.cell.settled[cell] = place[cell + 1]
    for attempt in by_end:
        for tenure in range(ptr[attempt], ptr[attempt + 1]):
            cell = index.node.cell[node[tenure]] + 1
            order[place[cell]] = tenure
            place[cell] += 1


@kernel
def _seat_all(
    board: Board, ptr: I32, node: I32, mask: U64, role: I32, end: I64, share: I64, cores: I64, memory: I64
) -> None:  # fmt: skip
    for row in range(len(end)):
        for i in range(ptr[row], ptr[row + 1]):
            add_tenure(board, wide(node[i]), role[row], end[row], mask[i], share[row], cores[row], memory[row])


def grown(board: Board, *, tenures: int = 0, promises: int = 0, kept: int = 0) -> Board:
    """The same board with room for so many entries more."""
    used = board.used
    return board._replace(
        tenures=longer(board.tenures, int(used[TENURES]) + tenures),
        promises=longer(board.promises, int(used[PROMISES]) + promises),
        seats=longer(board.seats, int(used[KEPT]) + kept),
    )  # fmt: skip


def longer(column: Any, length: int) -> Any:
    """A column with room for so many entries, and for half as many again as it has; the same where it is long enough."""
    if len(column) >= length:
        return column
    made = np.zeros(max(length, len(column) * 3 // 2), column.dtype).view(type(column))
    made[: len(column)] = column
    return made
