"""A turn at which others move: where it is that least is lost by it, and what they get."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.barred import limits, within
from dure.scheduler.kernels.board import LASTS
from dure.scheduler.kernels.ground import Gang, run_of
from dure.scheduler.kernels.jit import kernel, wide
from dure.scheduler.kernels.moves import (
    PLACES,
    SEARCHES,
    SEARCHES_MAX,
    Here,
    choose_moves,
    drawn_by,
    enough,
    gang_moved,
    stays_until,
)
from dure.scheduler.kernels.power import draw, limited, may_swap, wanted_mw
from dure.scheduler.kernels.purse import held
from dure.scheduler.kernels.seat import parts
from dure.scheduler.kernels.sit import start
from dure.scheduler.kernels.standing import gang_of
from dure.scheduler.kernels.state import ASKING, NEVER, Cycle, limit_on, too_late
from dure.scheduler.kernels.victims import MOVE, gone_behind, lasts


@kernel
def cheapest_moves(cycle: Cycle, row: int) -> tuple[int, int, int, int, int]:
    """The alternative on which work can start because others move, how it pays, the site at which least is lost by that, from
    which cell on, and how many move, who are left in `victims` and where they go in `target`; site -1: it can on none."""
    demands, queue, rules, memory = cycle.demands, cycle.queue, cycle.rules, cycle.memory
    c = queue.klass[row]
    for alt in range(demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]):
        kind = wide(demands.kind[alt])
        if limits(cycle.quota) and not within(cycle.quota, memory.beyond, wide(queue.leaf[row]), demands, wide(c), kind):
            continue
        for currency in rules.order:
            site, low, moved = _cheapest_site(cycle, row, wide(alt), wide(currency))
            if site >= 0:
                return int(alt), int(currency), site, low, moved
    return -1, -1, -1, -1, 0


@kernel
def _cheapest_site(cycle: Cycle, row: int, alt: int, currency: int) -> tuple[int, int, int]:
    """On one alternative: the site, the cell, and how many move; -1: nowhere."""
    demands, queue, memory, board = cycle.demands, cycle.queue, cycle.memory, cycle.board
    candidates, moves, displaced = cycle.candidates, cycle.moves, cycle.victims
    c = queue.klass[row]
    kind, own, gang = wide(demands.kind[alt]), queue.alt_ptr[row] + alt - demands.each.kind_ptr[c], gang_of(demands, c)
    hold, limit = queue.hold[own, currency], limit_on(queue, row, own)
    best, start_at, count, least = wide(-1), wide(0), 0, np.inf
    for site in range(cycle.low.shape[0]):
        payable = hold >= 0 and held(cycle.purse, queue.project[row], kind, currency, site) >= hold
        if memory.spared[MOVE, site, alt] >= queue.priority[row] or not payable or not cycle.standings.sites[alt, site]:
            continue
        (low, high), some = run_of(cycle.low, cycle.high, site, kind), False
        if len(board.closed) > 0:
            board.used[LASTS] = lasts(candidates, site, MOVE, limit)
        step, looks = parts(gang, low, high), enough(board, cycle.low, cycle.high, site, kind, gang)
        looks = looks and moves.used[SEARCHES] < SEARCHES_MAX
        moves.used[SEARCHES] += looks and cycle.found.used[ASKING] == 0
        for part in range(low, high if looks else low, step):
            here = Here(cycle.low, cycle.high, wide(site), wide(part), wide(part + step))
            moved = choose_moves(board, candidates, moves, here, gang, displaced)
            if moved == 0:
                continue
            some, lost = True, 0.0
            for i in range(moved):
                lost += candidates.lost[displaced[i]]
            if _may(cycle, row, kind, gang, site, limit, moved) and (lost < least or (lost == least and moved < count)):
                best, start_at, count, least = wide(site), wide(part), moved, lost
        if not some and len(board.closed) == 0:  # where maintenance is to come, a shorter one could
            memory.spared[MOVE, site, alt] = NEVER
    if best >= 0:  # others were looked for since
        if len(board.closed) > 0:
            board.used[LASTS] = lasts(candidates, best, MOVE, limit)
        low, high = run_of(cycle.low, cycle.high, best, kind)
        here = Here(cycle.low, cycle.high, best, start_at, start_at + parts(gang, low, high))
        choose_moves(board, candidates, moves, here, gang, displaced)
    return int(best), int(start_at), int(count)


@kernel
def _may(cycle: Cycle, row: int, kind: int, gang: Gang, site: int, limit: int, moved: int) -> bool:
    """Whether it is over in time behind these, and the site may draw what all need, both places of those who move counted."""
    gone = gone_behind(cycle.candidates, cycle.victims[:moved], limit)
    if too_late(cycle.queue, row, gone):
        return False
    if not limited(cycle.power, site):
        return True
    there, power, now = cycle.victims[:moved], cycle.power, cycle.board.now
    elsewhere, until = drawn_by(power, cycle.board, cycle.candidates, cycle.moves, site, there)
    mw = wanted_mw(power, site, kind, gang)
    return bool(may_swap(power, site, now, there, cycle.ends, max(gone, until), mw, elsewhere))


@kernel
def seat_moved(cycle: Cycle, site: int, moved: int) -> None:
    """Give the first so many `victims` the places to which they move, from now on."""
    board, candidates, moves, power = cycle.board, cycle.candidates, cycle.moves, cycle.power
    node, workers = np.zeros(1, np.int32), np.zeros(1, np.int64)
    for i in range(moved):
        attempt = wide(cycle.victims[i])
        gang, end, at = gang_moved(board, candidates, attempt), stays_until(candidates, moves, attempt), moves.used[PLACES]
        node[0], workers[0] = moves.movers.target[attempt], gang.workers
        kind = wide(board.ground.nodes.kind[node[0]])
        moves.used[PLACES] += start(board, gang, end, node, workers, moves.places.node[at:], moves.places.mask[at:])
        moves.movers.workers[attempt] = gang.workers
        draw(power, site, board.now, end, wanted_mw(power, site, kind, gang))
