"""What keeps a demand from starting: how much room is missing and of what, or which promise it would delay.

Rooms that are alike are counted together (`Stock`): asking about many demands costs the kinds of rooms and not the nodes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.board import BLIND, PROMISES, Board
from dure.scheduler.kernels.classes import classes
from dure.scheduler.kernels.ground import I64, WHOLE, Gang, run_of
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.room import count_whole
from dure.scheduler.kernels.seat import UNBOUNDED, bound, parts, takes_all, takes_one, workers_of
from dure.scheduler.kernels.standing import Demands, anywhere, gang_of
from dure.scheduler.kernels.waits import CORES, DEVICES, NO_BLOCK, NODES_OUT, RESERVED, SHARES, TURN

Bool = NDArray[np.bool_]

_CORES, _MEMORY, _DEVICES = constant(0), constant(1), constant(2)  # dimensions, in the order of their codes
PLACES = 16  # for sizes of shares: people ask for few


class Stock(NamedTuple):
    """Rooms by cell, those of a cell side by side, and how many nodes have each."""

    ptr: I64
    cores: I64
    memory: I64
    devices: I64
    nodes: I64


@kernel
def stock_of(board: Board, whole: bool) -> Stock:
    """What is free on every node on which something may start; or, if `whole`, what it was built with."""
    ground, index = board.ground, board.cells
    count = len(index.nodes)
    cores, memory, devices = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    for i in range(count):
        node = index.nodes[i]
        if whole:
            cores[i], memory[i], devices[i] = (
                ground.nodes.cores[node],
                ground.nodes.memory[node],
                count_whole(board.here.exists[node]),
            )
        else:
            cores[i], memory[i] = max(ground.nodes.cores_free[node], 0), max(ground.nodes.memory_free[node], 0)
            devices[i] = index.node.level[node]
    return Stock(index.cell.first.copy(), cores, memory, devices, np.ones(count, np.int64))


def merged(stock: Stock) -> Stock:
    """The same, with rooms that are alike counted together."""
    cell = np.repeat(np.arange(len(stock.ptr) - 1), np.diff(stock.ptr))
    of, first = classes(np.array([cell, stock.cores, stock.memory, stock.devices], np.int64))
    ptr = np.searchsorted(cell[first], np.arange(len(stock.ptr))).astype(np.int64)  # those of a cell stay side by side
    nodes = np.bincount(of, weights=stock.nodes, minlength=len(first)).astype(np.int64)
    return Stock(ptr, stock.cores[first], stock.memory[first], stock.devices[first], nodes)


class Shared(NamedTuple):
    """For who wants a share of a device: rooms node by node, and how many shares of one size or another each has. What was
    counted of a size is kept until another takes its place."""

    now: Stock
    built: Stock
    size: I64  # by place; 0: empty
    now_units: I64  # shape (places, nodes)
    built_units: I64


class Stocks(NamedTuple):
    """What is free now, and what was built; for as long as nobody comes or leaves."""

    now: Stock
    built: Stock
    shared: Shared


@kernel
def stocks_of(board: Board, places: int) -> Stocks:
    """places: for sizes of shares."""
    now, built = stock_of(board, False), stock_of(board, True)
    count = len(now.nodes)
    shared = Shared(
        now, built, np.zeros(places, np.int64), np.empty((places, count), np.int64), np.empty((places, count), np.int64)
    )  # fmt: skip
    return Stocks(now, built, shared)


def merged_stocks(board: Board) -> Stocks:
    """The same, to be asked about many demands."""
    stocks = stocks_of(board, PLACES)
    return stocks._replace(now=merged(stocks.now), built=merged(stocks.built))


@kernel
def _sized(board: Board, shared: Shared, share: int) -> int:
    """The place of shares of this size, counted if they were not."""
    ground, at, places = board.ground, 0, len(shared.size)
    while at < places and shared.size[at] != share and shared.size[at] != 0:
        at += 1
    if at == places:
        at = share % places
    if shared.size[at] == share:
        return int(at)
    shared.size[at], now, built = share, shared.now_units[at], shared.built_units[at]
    for i in range(len(shared.now.nodes)):
        node, units, each = board.cells.nodes[i], np.int64(0), WHOLE // share
        if ground.nodes.shares[node]:
            units += count_whole(ground.nodes.whole_free[node]) * each
            if board.here.widest[node] >= share:
                for device in range(ground.device_ptr[node], ground.device_ptr[node + 1]):
                    if share <= ground.share_free[device] < WHOLE:
                        units += ground.share_free[device] // share
        now[i] = units
        built[i] = shared.built.devices[i] * each if ground.nodes.shares[node] else 0
    return int(at)


@kernel
def most_left(board: Board, cells: Bool, gang: Gang) -> int:
    """The most that is left of one device, in these cells, on a node that has the rest of a worker."""
    ground, index, most = board.ground, board.cells, 0
    for cell in range(len(cells)):
        if not cells[cell]:
            continue
        for i in range(index.cell.first[cell], index.cell.first[cell + 1]):
            node = index.nodes[i]
            if not ground.nodes.shares[node] or ground.nodes.cores_free[node] < gang.cores:
                continue
            if ground.nodes.memory_free[node] >= gang.memory:
                for at in range(ground.device_ptr[node], ground.device_ptr[node + 1]):
                    most = max(most, ground.share_free[at])
    return int(most)


@kernel
def most_in(stock: Stock, low: int, high: int, gang: Gang) -> int:
    """How many workers a run of cells takes together; of one that takes them all, not exactly."""
    step, most = parts(gang, low, high), 0
    for part in range(low, high, step):
        total = 0
        for i in range(stock.ptr[part], stock.ptr[part + step]):
            room = (stock.cores[i], stock.memory[i], stock.devices[i])
            if takes_one(room, gang):  # most are too full, and to divide takes time
                total += workers_of(room, gang) * stock.nodes[i]
                if total >= gang.workers:
                    return int(total)
        most = max(most, int(total))
    return most


@kernel
def most_at(stock: Stock, low: I64, high: I64, demands: Demands, c: int, sites: Bool, gang: Gang) -> int:
    """The most workers that one site takes; where one takes them all, no other is looked at. sites: those in question, shape
    (alternatives, sites)."""
    most, first = 0, demands.each.kind_ptr[c]
    for alt in range(sites.shape[0]):
        kind = wide(demands.kind[first + alt])
        for site in range(sites.shape[1]):
            if sites[alt, site]:
                cells = run_of(low, high, site, kind)
                most = max(most, most_in(stock, cells[0], cells[1], gang))
                if most >= gang.workers:
                    return most
    return most


@kernel
def shortage(board: Board, stocks: Stocks, low: I64, high: I64, demands: Demands, c: int, sites: Bool, facts: I64) -> int:
    """The code and the facts of too little room; `TURN` where there is enough."""
    if demands.each.share[c] == 0:
        return _shortage(board, stocks.now, stocks.built, low, high, demands, c, sites, facts)
    shared, at = stocks.shared, _sized(board, stocks.shared, demands.each.share[c])
    now, built = shared.now, shared.built
    return _shortage(
        board, Stock(now.ptr, now.cores, now.memory, shared.now_units[at], now.nodes),
        Stock(built.ptr, built.cores, built.memory, shared.built_units[at], built.nodes), low, high, demands, c, sites, facts,
    )  # fmt: skip


@kernel
def _shortage(
    board: Board, stock: Stock, whole: Stock, low: I64, high: I64, demands: Demands, c: int, sites: Bool, facts: I64
) -> int:  # fmt: skip
    gang = gang_of(demands, c)
    facts[0] = gang.workers
    facts[1] = most_at(stock, low, high, demands, c, sites, gang)
    if facts[1] >= facts[0]:
        return TURN
    ever = most_at(whole, low, high, demands, c, sites, gang)
    if ever < facts[0]:
        facts[1] = ever
        return NODES_OUT
    if gang.block and most_at(stock, low, high, demands, c, sites, anywhere(gang)) >= gang.workers:
        return NO_BLOCK
    cells = _cells(len(stock.ptr) - 1, low, high, demands, c, sites)
    code = _scarcest(stock, cells, demands, c, facts)
    if code == DEVICES and gang.share > 0:
        facts[2], facts[3] = gang.share, most_left(board, cells, gang)
        return SHARES
    return code


@kernel
def _cells(count: int, low: I64, high: I64, demands: Demands, c: int, sites: Bool) -> Bool:
    """Where it may run on one alternative or another."""
    found, first = np.zeros(count, np.bool_), demands.each.kind_ptr[c]
    for alt in range(sites.shape[0]):
        for site in range(sites.shape[1]):
            if sites[alt, site]:
                cells = run_of(low, high, site, wide(demands.kind[first + alt]))
                found[cells[0] : cells[1]] = True
    return found


@kernel
def _scarcest(stock: Stock, cells: Bool, demands: Demands, c: int, facts: I64) -> int:
    """The dimension of which more would help most: how much of it each worker wants, and the most that is free on one node
    that has the rest. Where no node has the rest of any, that of which there is least. Devices go first among equals."""
    need = (demands.each.cores[c], demands.each.memory[c], max(demands.each.devices[c], min(demands.each.share[c], 1)))
    rest, own, most = np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros(3, np.int64)
    for cell in range(len(cells)):
        if not cells[cell]:
            continue
        for i in range(stock.ptr[cell], stock.ptr[cell + 1]):
            nodes = stock.nodes[i]
            by = (_of(stock.cores[i], need[0]), _of(stock.memory[i], need[1]), _of(stock.devices[i], need[2]))
            without = (min(by[1], by[2]), min(by[0], by[2]), min(by[0], by[1]))
            for d in range(3):
                rest[d] += without[d] * nodes
                own[d] += by[d] * nodes
            if without[0] > 0:
                most[0] = max(most[0], stock.cores[i])
            if without[1] > 0:
                most[1] = max(most[1], stock.memory[i])
            if without[2] > 0:
                most[2] = max(most[2], stock.devices[i])
    short = -1
    for d in (_DEVICES, _CORES, _MEMORY):
        if need[d] > 0 and (short < 0 or rest[d] > rest[short] or (rest[d] == rest[short] and own[d] < own[short])):
            short = d
    facts[2], facts[3] = need[short], most[short]
    return CORES + short


@kernel
def _of(free: int, need: int) -> int:
    """How many workers one thing is enough for."""
    if need == 0:
        return UNBOUNDED
    return free // need if free >= need else 0


@kernel
def by_time(board: Board) -> I64:
    """Promises in the order of their moments; of equals, the one that was given first."""
    return np.argsort(board.promises.at[: board.used[PROMISES]].copy(), kind="mergesort")


@kernel
def fits_until(
    board: Board, low: I64, high: I64, demands: Demands, c: int, sites: Bool, until: int, end: int, more: I64
) -> bool:  # fmt: skip
    """Whether it could start now at one site, and delay nothing that is promised before `until`. end: by its limit; more: by how
    much later by that of each alternative."""
    first, index, gang = demands.each.kind_ptr[c], board.cells, gang_of(demands, c)
    for alt in range(sites.shape[0]):
        kind = wide(demands.kind[first + alt])
        for site in range(sites.shape[1]):
            cells = run_of(low, high, site, kind)
            if not sites[alt, site] or bound(index.size, index.cell.top, cells[0], cells[1], gang) < gang.workers:
                continue
            if takes_all(board, cells[0], cells[1], gang, min(until, end + more[alt])):
                return True
    return False


@kernel
def delayed(
    board: Board, order: I64, low: I64, high: I64, demands: Demands, c: int, sites: Bool, layers: int, end: int, more: I64
) -> int:  # fmt: skip
    """Which of the first `layers` promises by time is the first that a start now would delay; `layers`: none of them. end, more:
    as in `fits_until`.

    What fits until a moment fits until every earlier one, so it is found by halving."""
    least, most = 0, layers
    board.used[BLIND] = 1  # maintenance is another matter
    if layers > 0 and fits_until(board, low, high, demands, c, sites, board.promises.at[order[layers - 1]] + 1, end, more):
        least = layers
    while least < most:
        middle = (least + most) // 2
        if fits_until(board, low, high, demands, c, sites, board.promises.at[order[middle]] + 1, end, more):
            least = middle + 1
        else:
            most = middle
    board.used[BLIND] = 0
    return least


@kernel
def layers_of(board: Board, order: I64, end: int) -> int:
    """How many promises come before `end`."""
    count = 0
    while count < len(order) and board.promises.at[order[count]] < end:
        count += 1
    return count


@kernel
def blocked(
    board: Board, order: I64, stocks: Stocks, low: I64, high: I64, demands: Demands, c: int, sites: Bool, end: int, more: I64,
    facts: I64,
) -> int:  # fmt: skip
    """What keeps a workload that can pay from starting: too little room; a promise, the first that it would delay; or nothing but
    that its turn is over. Returns the code. end, more: as in `fits_until`."""
    code = shortage(board, stocks, low, high, demands, c, sites, facts)
    if code != TURN:
        return code
    facts[:] = 0
    layers = layers_of(board, order, end + more.max())
    first = delayed(board, order, low, high, demands, c, sites, layers, end, more)
    if first == layers:
        return TURN
    facts[0], facts[1] = board.promises.pending[order[first]], board.promises.at[order[first]]
    return RESERVED
