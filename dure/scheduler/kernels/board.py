"""The state of one plan while it is made: what is free now, who leaves when, and what is kept for whom.

**Now.** `ground` holds what others may use now; `cells` find it. **Later.** A tenure is somebody on a node until a moment at
which they are gone by their limit. A promise keeps room on nodes from a moment on. Between two promises' moments things only
leave, so work that starts now and ends by its limit at `end` delays nobody exactly if it fits now, and at the moment of every
promise on its nodes that comes before `end`; nodes without promises need no second look.

A node with claims. F: total less every tenure that sits there. V: of those among them that make room for a claim. R: of the
claims. Others may use min(F, F + V - R) of cores and memory, and the devices that nobody holds or claims.

Tables that grow (tenures, promises, their seats) are arrays with room to spare; `used` says how much of each is taken. A kernel
that may need more than there is says so before it changes anything, and the caller comes back with larger ones (`grown`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dure.scheduler.kernels.ground import I32, I64, U64, Ground
from dure.scheduler.kernels.index import Index
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.room import count_whole

# roles: sits there; sits there and makes room for a claim; will sit there
HOLDS, LEAVES, CLAIMS = constant(0, np.int32), constant(1, np.int32), constant(2, np.int32)
TENURES, PROMISES, KEPT = 0, 1, 2  # entries of `used`
BLIND = 3  # not 0: maintenance is not looked at
TENURE_COLUMNS, PROMISE_COLUMNS, KEPT_COLUMNS = 7, 6, 3  # of the tables below, one after the other

_ZERO = np.uint64(0)


class Tenures(NamedTuple):
    """One entry a node of an attempt. Those of a node are chained: `head[node]`, then `next`, the latest first; -1 ends it."""

    node: I32
    role: I32
    end: I64
    mask: U64  # devices
    cores: I64  # of all workers there
    memory: I64
    next: I32
    head: I32  # by node
    claimed: I32  # by node: tenures there that claim, or make room for a claim


class Promises(NamedTuple):
    """What is kept, in the order in which it was promised; and, chained by node, how many workers of which promise sit there."""

    at: I64
    end: I64
    pending: I32
    cores: I64  # per worker
    memory: I64
    devices: I64
    kept_promise: I32
    kept_workers: I64
    kept_next: I32
    kept_head: I32  # by node


class Closed(NamedTuple):
    """When nothing may run on a node: windows that are not over, disjoint and ascending."""

    ptr: I32  # by node
    since: I64
    until: I64


class Board(NamedTuple):
    now: int
    ground: Ground
    cells: Index
    cores: I64  # by cell: free on its nodes, none counted where too many are given away
    exists: U64  # by node: its devices
    tenures: Tenures
    promises: Promises
    used: I64  # TENURES, PROMISES, KEPT: how much of each table is taken
    order: I32  # the tenures that were there from the beginning, by (cell, end)
    order_ptr: I64  # by cell; in front of the first: those of no cell
    settled: int  # how many those are
    closed: Closed


@kernel
def closed_within(board: Board, node: int, at: int, end: int) -> bool:
    """Whether nothing may run on a node at some moment from one until another."""
    closed = board.closed
    for window in range(closed.ptr[node], closed.ptr[node + 1]):
        if closed.since[window] < end and at < closed.until[window]:
            return bool(board.used[BLIND] == 0)
    return False


@kernel
def kept_off(board: Board, node: int) -> bool:
    """Whether claims keep off a node: it is promised to somebody, or will be closed. How soon a victim leaves is not known well
    enough."""
    return bool(board.promises.kept_head[node] >= 0 or board.closed.ptr[node] < board.closed.ptr[node + 1])


@kernel
def add_tenure(board: Board, node: int, role: int, end: int, mask: np.uint64, cores: int, memory: int) -> None:
    t, at = board.tenures, board.used[TENURES]
    t.node[at], t.role[at], t.end[at], t.mask[at], t.cores[at], t.memory[at] = node, role, end, mask, cores, memory
    t.next[at] = t.head[node]
    t.head[node] = at
    t.claimed[node] += role != HOLDS
    board.used[TENURES] = at + 1


@kernel
def set_cores(board: Board, node: int, free: int) -> None:
    """So many cores of a node are free for others now."""
    cell = board.cells.cell[node]
    if cell >= 0:
        board.cores[cell] += max(free, 0) - max(board.ground.cores_free[node], 0)
    board.ground.cores_free[node] = free


@kernel
def room_then(board: Board, node: int, at: int) -> tuple[int, int, int]:
    """Cores, memory and devices of a node that others may use at a moment if nothing more started, promises apart."""
    t = board.tenures
    cores, memory, held = board.ground.cores[node], board.ground.memory[node], _ZERO
    kept_cores, kept_memory = 0, 0  # V - R
    tenure = t.head[node]
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
    devices = count_whole(board.exists[node] & ~held)
    return min(cores, cores + kept_cores), min(memory, memory + kept_memory), devices


@kernel
def rooms_then(board: Board, at: int) -> tuple[I64, I64, I32]:
    """The same of every node, as columns."""
    nodes = len(board.exists)
    cores, memory, devices = np.empty(nodes, np.int64), np.empty(nodes, np.int64), np.empty(nodes, np.int32)
    for node in range(nodes):
        cores[node], memory[node], devices[node] = room_then(board, node, at)
    return cores, memory, devices


@kernel
def promised_then(board: Board, node: int, at: int) -> tuple[int, int, int]:
    """Cores, memory and devices of a node that promises keep at a moment."""
    p = board.promises
    cores, memory, devices = 0, 0, 0
    kept = p.kept_head[node]
    while kept >= 0:
        promise, workers = p.kept_promise[kept], p.kept_workers[kept]
        if p.at[promise] <= at < p.end[promise]:
            cores += workers * p.cores[promise]
            memory += workers * p.memory[promise]
            devices += workers * p.devices[promise]
        kept = p.kept_next[kept]
    return cores, memory, devices


@kernel
def shortest_alike(board: Board, limit: int) -> int:
    """The shortest limit of work that starts now and would meet the same promises as with this one."""
    end, least = board.now + limit, 0
    for promise in range(board.used[PROMISES]):
        at = board.promises.at[promise]
        if at < end:
            least = max(least, at - board.now + 1)
    return int(least)


def make_board(
    now: int, ground: Ground, index: Index, exists: U64, *, node: I32, role: I32, end: I64, mask: U64, cores: I64, memory: I64,
    closed: Closed | None = None,
) -> Board:  # fmt: skip
    """ground, index: with everything free; `settle` takes what tenures hold. The other columns: tenures, one entry a node."""
    count, nodes = len(node), len(exists)
    i32, i64 = np.zeros(0, np.int32), np.zeros(0, np.int64)
    nobody = np.full(nodes, -1, np.int32)
    tenures = Tenures(i32, i32, i64, np.zeros(0, np.uint64), i64, i64, i32, head=nobody, claimed=np.zeros(nodes, np.int32))
    promises = Promises(i64, i64, i32, i64, i64, i64, i32, i64, i32, kept_head=nobody.copy())
    cell = index.cell[node]
    order = np.lexsort((end, cell)).astype(np.int32)
    order_ptr = np.searchsorted(cell[order], np.arange(len(index.node_ptr))).astype(np.int64)
    cores_free, used = np.zeros(len(index.words), np.int64), np.zeros(4, np.int64)
    windows = closed or Closed(np.zeros(nodes + 1, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    board = Board(now, ground, index, cores_free, exists, tenures, promises, used, order, order_ptr, count, windows)
    board = grown(board, tenures=count)
    _seat_all(board, node, role, end, mask, cores, memory)
    return board


def empty_board(ground: Ground, index: Index) -> Board:
    """A board on which nobody sits, at time 0."""
    none = np.zeros(0, np.int64)
    exists = np.array(ground.whole_free, np.uint64)
    return make_board(
        0, ground, index, exists, node=none.astype(np.int32), role=none.astype(np.int32), end=none, mask=none.astype(np.uint64),
        cores=none, memory=none,
    )  # fmt: skip


@kernel
def _seat_all(board: Board, node: I32, role: I32, end: I64, mask: U64, cores: I64, memory: I64) -> None:
    for i in range(len(node)):
        add_tenure(board, wide(node[i]), role[i], end[i], mask[i], cores[i], memory[i])


def grown(board: Board, *, tenures: int = 0, promises: int = 0, kept: int = 0) -> Board:
    """The same board with room for so many entries more."""
    t, p, used = board.tenures, board.promises, board.used
    for name in t._fields[:TENURE_COLUMNS]:
        t = t._replace(**{name: longer(getattr(t, name), int(used[TENURES]) + tenures)})
    for name in p._fields[:PROMISE_COLUMNS]:
        p = p._replace(**{name: longer(getattr(p, name), int(used[PROMISES]) + promises)})
    for name in p._fields[PROMISE_COLUMNS : PROMISE_COLUMNS + KEPT_COLUMNS]:
        p = p._replace(**{name: longer(getattr(p, name), int(used[KEPT]) + kept)})
    return board._replace(tenures=t, promises=p)


def longer(column: Any, length: int) -> Any:
    """A column with room for so many entries, and for half as many again as it has; the same where it is long enough."""
    if len(column) >= length:
        return column
    made = np.zeros(max(length, len(column) * 3 // 2), column.dtype)
    made[: len(column)] = column
    return made
