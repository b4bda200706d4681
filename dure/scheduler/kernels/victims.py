"""Who makes room for other work, at one site.

Attempts that may be asked stand by site: first those of classes that yield, which make room for all work of a higher priority
(GENTLY), then the others, which make room for work that preempts (by FORCE); of either the cheapest first. As many are taken as
are needed, and then, dearest first, each one is let go without whom the rest still suffice, so no victim could be spared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.board import Board, has_of_each, kept_off
from dure.scheduler.kernels.ground import I32, I64, WHOLE, Gang
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.seat import emptiness, place, workers_of

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
AWAY, BACK = constant(1), constant(-1)
GENTLY, FORCE = constant(0), constant(1)
_ONE, _ZERO = np.uint64(1), np.uint64(0)


class Candidates(NamedTuple):
    ptr: I64  # by site, into `attempt`
    firm: I64  # by site: where those begin that do not yield
    attempt: I32  # cheapest first
    lost: F64  # by attempt: work that would be lost
    priority: I64  # by attempt
    taken: Bool  # by attempt: it makes room for somebody already
    tenure_ptr: I64  # by attempt: its tenures stand one behind the other
    freed: I64  # shape (3, nodes), zero between calls: what the chosen ones leave
    freed_share: I64  # by device, likewise: thousandths


@kernel
def some_yield(candidates: Candidates) -> bool:
    """Whether anybody may be asked GENTLY."""
    some = False
    for site in range(len(candidates.firm)):
        some |= candidates.firm[site] > candidates.ptr[site]
    return bool(some)


@kernel
def choose(
    board: Board, candidates: Candidates, site: int, low: int, high: int, gang: Gang, priority: int, how: int, victims: I32
) -> int:  # fmt: skip
    """Victims at a site of lower priority, dearest first, whose leaving makes room for all workers in a run of cells; how many,
    0: none suffice. how: GENTLY or by FORCE. See `kept_off`."""
    total = fit_now(board, candidates, low, high, gang)
    chosen = 0
    for at in range(candidates.ptr[site], candidates.ptr[site + 1] if how == FORCE else candidates.firm[site]):
        attempt = candidates.attempt[at]
        if candidates.priority[attempt] >= priority or candidates.taken[attempt]:
            continue
        if not _touches(board, candidates, attempt, low, high):
            continue
        total += _free(board, candidates, attempt, low, high, gang, AWAY)
        victims[chosen] = attempt
        chosen += 1
        if total >= gang.workers:
            break
    if total >= gang.workers and chosen > 0:
        chosen = _spare(board, candidates, low, high, gang, total, victims, chosen)
    else:
        for i in range(chosen):
            _free(board, candidates, victims[i], low, high, gang, BACK)
        return 0
    for i in range(chosen):
        _free(board, candidates, victims[i], low, high, gang, BACK)
    return chosen


@kernel
def _spare(
    board: Board, candidates: Candidates, low: int, high: int, gang: Gang, total: int, victims: I32, chosen: int
) -> int:  # fmt: skip
    """Turn the chosen ones round, dearest first, and let go whoever is not needed."""
    kept = 0
    for i in range(chosen // 2):
        victims[i], victims[chosen - 1 - i] = victims[chosen - 1 - i], victims[i]
    for i in range(chosen):
        attempt = victims[i]
        change = _free(board, candidates, attempt, low, high, gang, BACK)
        if total + change >= gang.workers:
            total += change
        else:
            _free(board, candidates, attempt, low, high, gang, AWAY)
            victims[kept] = attempt
            kept += 1
    return kept


@kernel
def _usable(board: Board, node: int, low: int, high: int) -> bool:
    return bool(low <= board.cells.node.cell[node] < high and not kept_off(board, wide(node)))


@kernel
def _touches(board: Board, candidates: Candidates, attempt: int, low: int, high: int) -> bool:
    for tenure in range(candidates.tenure_ptr[attempt], candidates.tenure_ptr[attempt + 1]):
        if _usable(board, board.tenures.node[tenure], low, high):
            return True
    return False


@kernel
def _room(board: Board, candidates: Candidates, node: int, share: int) -> tuple[int, int, int]:
    free, ground = candidates.freed, board.ground
    units = wide(board.cells.node.level[node]) + free[2, node]
    if share > 0:
        units = np.int64(0)
        for at in range(ground.device_ptr[node], ground.device_ptr[node + 1]):
            if ground.nodes.shares[node]:
                units += max(ground.share_free[at] + candidates.freed_share[at], 0) // share
    return ground.nodes.cores_free[node] + free[0, node], ground.nodes.memory_free[node] + free[1, node], units


@kernel
def _free(board: Board, candidates: Candidates, attempt: int, low: int, high: int, gang: Gang, sign: int) -> int:
    """Let an attempt leave (AWAY) or come back (BACK); how many more workers fit on usable nodes then."""
    t, change = board.tenures, 0
    for tenure in range(candidates.tenure_ptr[attempt], candidates.tenure_ptr[attempt + 1]):
        node = t.node[tenure]
        before = workers_of(_room(board, candidates, node, gang.share), gang)
        candidates.freed[0, node] += sign * t.cores[tenure]
        candidates.freed[1, node] += sign * t.memory[tenure]
        candidates.freed[2, node] += _free_devices(board, candidates, tenure, sign)
        if _usable(board, node, low, high):
            change += workers_of(_room(board, candidates, node, gang.share), gang) - before
    return change


@kernel
def _free_devices(board: Board, candidates: Candidates, tenure: int, sign: int) -> int:
    """Count what a tenure leaves of its devices; how many more are whole then. One is when all who share it have left."""
    ground, t, change = board.ground, board.tenures, 0
    first = ground.device_ptr[t.node[tenure]]
    amount = sign * has_of_each(board, tenure)
    for at in range(first, ground.device_ptr[t.node[tenure] + 1]):
        if t.mask[tenure] & (_ONE << np.uint64(at - first)) != _ZERO:
            change -= ground.share_free[at] + candidates.freed_share[at] >= WHOLE
            candidates.freed_share[at] += amount
            change += ground.share_free[at] + candidates.freed_share[at] >= WHOLE
    return change


@kernel
def fit_now(board: Board, candidates: Candidates, low: int, high: int, gang: Gang) -> int:
    """How many workers a run of cells takes, off what claims keep off."""
    total, cells = 0, board.cells
    for at in range(cells.cell.first[low], cells.cell.first[high]):
        node = cells.nodes[at]
        if not kept_off(board, wide(node)):
            total += workers_of(_room(board, candidates, wide(node), gang.share), gang)
    return total


@kernel
def seat_behind(
    board: Board, candidates: Candidates, low: int, high: int, gang: Gang, victims: I32, seat_node: I32, seat_workers: I64
) -> int:  # fmt: skip
    """Where the workers sit once these victims have left; how many seats."""
    for victim in victims:
        _free(board, candidates, victim, low, high, gang, AWAY)
    first, last = board.cells.cell.first[low], board.cells.cell.first[high]
    nodes = np.sort(board.cells.nodes[first:last])
    room, empty = np.zeros(len(nodes), np.int64), np.zeros(len(nodes), np.int64)
    for i in range(len(nodes)):
        free = _room(board, candidates, wide(nodes[i]), gang.share)
        empty[i] = emptiness(free[2], free[0])
        if not kept_off(board, wide(nodes[i])):
            room[i] = workers_of(free, gang)
    for victim in victims:
        _free(board, candidates, victim, low, high, gang, BACK)
    return place(nodes, room, empty, gang.workers, seat_node, seat_workers)
