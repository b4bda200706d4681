"""Who moves to other room, so that work starts which has enough of it at a site but not together: kernels.

Nodes are emptied as far as one more worker needs it, those first whose work loses least since its checkpoints, until all workers
fit. Of a node the cheapest attempts are asked, as many as are needed, and none that could be spared; else whoever makes room
there alone. And a node is emptied only if each of them finds another at once: one of its site and of its own type that has the
room now, that is promised to nobody and open for as long as it may stay, and that is none which the claim could use. Of those it
gets the fullest.

Whoever moves sits on one node and has its devices whole. A claim moves few, a plan has few such claims, and of the nodes that
could be emptied few are tried: what these bounds leave undone the next plan can do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dure.scheduler.kernels.board import Board, closed_within
from dure.scheduler.kernels.future import FOREVER
from dure.scheduler.kernels.ground import I32, I64, Columns, Gang, Table, run_of
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.power import Power, wanted_mw
from dure.scheduler.kernels.room import count_whole
from dure.scheduler.kernels.seat import workers_of
from dure.scheduler.kernels.sites import spare_at
from dure.scheduler.kernels.victims import AWAY, BACK, Candidates, fit_now, free_for, room_on, usable_in

MOVES_MAX = 8  # attempts that move for one claim
MOVING_MAX = 16  # claims of a plan for which others move
NODES_MAX = 32  # nodes that are tried for one more worker
SEARCHES_MAX = 256  # looks at a site of a plan, for one alternative of one class, where there is enough room in all
PLACES, MOVING, SEARCHES = 0, 1, 2  # entries of `used`
NOBODY = constant(-1)

MOVER: Columns = [  # by attempt
    ("rest", np.int64),  # how long it may stay elsewhere by its limit; 0: it does not move
    ("workers", np.int64),  # how many of its workers have places in this plan
    ("target", np.int32),  # scratch: the node that it would go to
    ("next", np.int32),  # scratch: another of its node
]
SPOT: Columns = [  # by node, as at first between calls
    ("latest", np.int32),  # who was asked there; NOBODY
    ("gain", np.int64),  # how many more workers fit there without those
    ("left", np.int64),  # how many move away,
    ("taken", np.int64),  # or come
]


class Moves(NamedTuple):
    """Without rows where nobody moves."""

    movers: Table  # MOVER
    spots: Table  # SPOT
    places: Table  # state.WORKER, of one after the other
    used: I64  # PLACES: how much of `places` is taken; MOVING: claims for which others move; SEARCHES


class Here(NamedTuple):
    """Where somebody looks for room: a run of cells of a site, and where its types are."""

    low: I64
    high: I64
    site: int
    first: int  # the run, up to and without
    last: int


@kernel
def enough(board: Board, low: I64, high: I64, site: int, kind: int, gang: Gang) -> bool:
    """Whether a site has as much free in all as a gang wants: else to move others would not help."""
    cells, lows, highs = board.cells.cell, low[:, kind], high[:, kind]
    wanted = gang.workers * gang.devices + (gang.share > 0)
    devices, cores = spare_at(lows, highs, cells.free, site), spare_at(lows, highs, cells.cores, site)
    return bool(devices >= wanted and cores >= gang.workers * gang.cores)


@kernel
def choose_moves(board: Board, candidates: Candidates, moves: Moves, here: Here, gang: Gang, victims: I32) -> int:
    """Who moves, with the node to which each goes in `target`, so that all workers fit in a run of cells; how many, 0: to move
    does not suffice."""
    total, chosen, rounds = fit_now(board, candidates, here.first, here.last, gang), 0, 0
    ends = np.zeros(MOVES_MAX + 1, np.int64)
    going = total < gang.workers
    while going and total < gang.workers:
        before = rounds
        total, chosen, rounds = _round(board, candidates, moves, here, gang, victims, total, chosen, rounds, ends)
        if total < gang.workers:
            total, chosen, rounds = _singly(board, candidates, moves, here, gang, victims, total, chosen, rounds, ends)
        going = rounds > before
    suffice = total >= gang.workers and chosen > 0
    if suffice:
        chosen = _spare(board, candidates, moves, here, gang, victims, total, rounds, ends)
    for i in range(chosen):
        _go(board, candidates, moves, here, gang, wide(victims[i]), BACK)
    return chosen if suffice else 0


@kernel
def _round(
    board: Board, candidates: Candidates, moves: Moves, here: Here, gang: Gang, victims: I32, total: int, chosen: int,
    rounds: int, ends: I64,
) -> tuple[int, int, int]:  # fmt: skip
    """Let one more worker fit on each of some nodes, cheapest first, until all do; how many fit, how many move, and on how many
    nodes they did so. ends: by such a node, where its own end in `victims`."""
    nodes, spots = _asked(board, candidates, moves, here, gang), moves.spots
    cost = np.empty(len(nodes), np.float64)
    for i in range(len(nodes)):
        cost[i] = _least(board, candidates, moves, here, gang, wide(nodes[i]))
    order = np.argsort(cost, kind="mergesort")
    for i in range(len(nodes)):
        node = wide(nodes[order[i]])
        if total < gang.workers and i < NODES_MAX and cost[order[i]] < np.inf and spots.taken[node] == 0:
            fits, moved = _empty(board, candidates, moves, here, gang, node, victims, chosen)
            if moved > 0:
                total, chosen, rounds = total + fits, chosen + moved, rounds + 1
                ends[rounds] = chosen
        spots.latest[node], spots.gain[node] = NOBODY, 0
    return total, chosen, rounds


@kernel
def _singly(
    board: Board, candidates: Candidates, moves: Moves, here: Here, gang: Gang, victims: I32, total: int, chosen: int,
    rounds: int, ends: I64,
) -> tuple[int, int, int]:  # fmt: skip
    """As `_round`: those move, cheapest first, who alone make room for one more worker on their node. The cheapest together may
    find no places where a dearer one does."""
    movers, spots, tried = moves.movers, moves.spots, 0
    for at in range(candidates.ptr[here.site], candidates.ptr[here.site + 1]):
        attempt = wide(candidates.attempt[at])
        node = wide(board.tenures.node[candidates.tenure_ptr[attempt]])
        if total >= gang.workers or chosen >= MOVES_MAX or tried >= NODES_MAX:
            break
        if movers.rest[attempt] == 0 or candidates.taken[attempt] or spots.taken[node] > 0:
            continue
        if not usable_in(board, node, here.first, here.last):
            continue
        gain = free_for(board, candidates, attempt, here.first, here.last, gang, AWAY)
        free_for(board, candidates, attempt, here.first, here.last, gang, BACK)
        if gain > 0:
            tried += 1
            movers.next[attempt], spots.latest[node] = NOBODY, attempt
            fits, moved = _empty(board, candidates, moves, here, gang, node, victims, chosen)
            spots.latest[node] = NOBODY
            if moved > 0:
                total, chosen, rounds = total + fits, chosen + moved, rounds + 1
                ends[rounds] = chosen
    return total, chosen, rounds


@kernel
def _asked(board: Board, candidates: Candidates, moves: Moves, here: Here, gang: Gang) -> I32:
    """Let those leave who may move, cheapest first, until one more worker fits on their node; the nodes on which any did."""
    first, last, spots = candidates.ptr[here.site], candidates.ptr[here.site + 1], moves.spots
    nodes, count = np.empty(last - first, np.int32), 0
    for at in range(first, last):
        attempt = wide(candidates.attempt[at])
        node = wide(board.tenures.node[candidates.tenure_ptr[attempt]])
        if moves.movers.rest[attempt] == 0 or candidates.taken[attempt] or spots.gain[node] > 0 or spots.taken[node] > 0:
            continue
        if not usable_in(board, node, here.first, here.last):
            continue
        if spots.latest[node] == NOBODY:
            nodes[count] = node
            count += 1
        moves.movers.next[attempt], spots.latest[node] = spots.latest[node], attempt
        spots.gain[node] += free_for(board, candidates, attempt, here.first, here.last, gang, AWAY)
    return nodes[:count]


@kernel
def _least(board: Board, candidates: Candidates, moves: Moves, here: Here, gang: Gang, node: int) -> float:
    """Let all of a node come back, who from now on are only those who are needed; what they lose, endless: they do not
    suffice."""
    movers, gain, lost = moves.movers, moves.spots.gain[node], 0.0
    attempt, needed = wide(moves.spots.latest[node]), wide(NOBODY)
    while attempt != NOBODY:  # dearest first
        after = wide(movers.next[attempt])
        change = free_for(board, candidates, attempt, here.first, here.last, gang, BACK)
        if gain + change > 0:
            gain += change
        else:
            free_for(board, candidates, attempt, here.first, here.last, gang, AWAY)
            movers.next[attempt], needed = needed, attempt
            lost += candidates.lost[attempt]
        attempt = after
    moves.spots.latest[node], attempt = needed, needed
    while attempt != NOBODY:
        free_for(board, candidates, attempt, here.first, here.last, gang, BACK)
        attempt = wide(movers.next[attempt])
    return lost if gain > 0 else np.inf


@kernel
def _empty(
    board: Board, candidates: Candidates, moves: Moves, here: Here, gang: Gang, node: int, victims: I32, chosen: int
) -> tuple[int, int]:
    """Let those of a node move who are needed, if each finds a place; how many more workers fit then, and how many move."""
    attempt, fits, moved, found = wide(moves.spots.latest[node]), 0, 0, True
    moves.spots.left[node] += 1  # none of them is its own place
    while attempt != NOBODY and found:
        target = _target(board, candidates, moves, here, gang, attempt) if chosen + moved < MOVES_MAX else NOBODY
        found = target != NOBODY
        if found:
            moves.movers.target[attempt] = target
            fits += _go(board, candidates, moves, here, gang, attempt, AWAY)
            victims[chosen + moved] = attempt
            moved += 1
        attempt = wide(moves.movers.next[attempt])
    moves.spots.left[node] -= 1
    if found:
        return int(fits), moved
    for i in range(moved):
        _go(board, candidates, moves, here, gang, wide(victims[chosen + i]), BACK)
    return 0, 0


@kernel
def _spare(
    board: Board, candidates: Candidates, moves: Moves, here: Here, gang: Gang, victims: I32, total: int, rounds: int, ends: I64
) -> int:  # fmt: skip
    """Let those of a node stay, dearest first, without whom the workers still fit; how many move then."""
    kept = np.ones(rounds, np.bool_)
    for i in range(rounds - 1, -1, -1):
        change = 0
        for at in range(ends[i], ends[i + 1]):
            change += _go(board, candidates, moves, here, gang, wide(victims[at]), BACK)
        kept[i] = total + change < gang.workers
        total += 0 if kept[i] else change
        for at in range(ends[i], ends[i + 1]):
            if kept[i]:
                _go(board, candidates, moves, here, gang, wide(victims[at]), AWAY)
    chosen = 0
    for i in range(rounds):
        for at in range(ends[i], ends[i + 1]):
            if kept[i]:
                victims[chosen] = victims[at]
                chosen += 1
    return chosen


@kernel
def gang_moved(board: Board, candidates: Candidates, attempt: int) -> Gang:
    """An attempt as a gang, as it was planned: all of its workers on one node."""
    first, t = candidates.tenure_ptr[attempt], board.tenures
    return Gang(
        wide(candidates.tenure_ptr[attempt + 1] - first), wide(t.cores[first]), wide(t.memory[first]),
        wide(count_whole(t.mask[first])), 0, 0,
    )  # fmt: skip


@kernel
def stays_until(candidates: Candidates, moves: Moves, attempt: int) -> int:
    """When an attempt that moves has left its new place at the latest."""
    return int(min(candidates.gone[attempt] + moves.movers.rest[attempt], FOREVER))


@kernel
def _go(board: Board, candidates: Candidates, moves: Moves, here: Here, gang: Gang, attempt: int, sign: int) -> int:
    """Let an attempt move (AWAY) or come back (BACK); how many more workers fit then."""
    own, target = gang_moved(board, candidates, attempt), moves.movers.target[attempt]
    candidates.taken[attempt] = sign == AWAY  # nobody is asked twice
    candidates.freed[0, target] -= sign * own.workers * own.cores
    candidates.freed[1, target] -= sign * own.workers * own.memory
    candidates.freed[2, target] -= sign * own.workers * own.devices
    moves.spots.taken[target] += sign
    moves.spots.left[board.tenures.node[candidates.tenure_ptr[attempt]]] += sign
    return free_for(board, candidates, attempt, here.first, here.last, gang, sign)


@kernel
def _target(board: Board, candidates: Candidates, moves: Moves, here: Here, gang: Gang, attempt: int) -> int:
    """The fullest node that takes an attempt now; NOBODY: none does."""
    cells, own, end = board.cells, gang_moved(board, candidates, attempt), stays_until(candidates, moves, attempt)
    kind = wide(board.ground.nodes.kind[board.tenures.node[candidates.tenure_ptr[attempt]]])
    best, level, cores = wide(NOBODY), wide(0), wide(0)
    low, high = run_of(here.low, here.high, here.site, kind)
    if not _some(board, low, high, own.workers * own.devices):
        return best
    for at in range(cells.cell.first[low], cells.cell.first[high]):
        node = wide(cells.nodes[at])
        room = room_on(board, candidates, node, 0)
        fuller = best == NOBODY or room[2] < level or (room[2] == level and (room[0], node) < (cores, best))
        if not fuller or workers_of(room, own) < own.workers or not _open(board, moves, node, kind, end):
            continue
        if usable_in(board, node, here.first, here.last) and workers_of(room_on(board, candidates, node, gang.share), gang) > 0:
            continue
        best, level, cores = node, wide(room[2]), wide(room[0])
    return best


@kernel
def _some(board: Board, low: int, high: int, devices: int) -> bool:
    """Whether any node in a run of cells has so many devices wholly free: one look at how many nodes stand where."""
    for cell in range(low, high):
        for level in range(devices, board.cells.cell.top[cell] + 1):
            if board.cells.size[cell, level] > 0:
                return True
    return False


@kernel
def _open(board: Board, moves: Moves, node: int, kind: int, end: int) -> bool:
    """Whether work may move to a node and stay until a moment."""
    if board.ground.nodes.kind[node] != kind or moves.spots.left[node] > 0 or board.here.kept[node] >= 0:
        return False
    return not closed_within(board, node, board.now, end)


@kernel
def drawn_by(
    power: Power, board: Board, candidates: Candidates, moves: Moves, site: int, attempts: I32
) -> tuple[int, int]:  # fmt: skip
    """What these draw in their new places, and when the last of them leaves its own."""
    mw, until = 0, 0
    for row in attempts:
        attempt = wide(row)
        kind = wide(board.ground.nodes.kind[board.tenures.node[candidates.tenure_ptr[attempt]]])
        mw += wanted_mw(power, site, kind, gang_moved(board, candidates, attempt))
        until = max(until, stays_until(candidates, moves, attempt))
    return int(mw), int(until)
