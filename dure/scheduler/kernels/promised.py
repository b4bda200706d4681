"""What is written down when somebody is promised a moment: why it could not start, and what is kept for it."""

from __future__ import annotations

from dure.scheduler.kernels.barred import barred
from dure.scheduler.kernels.board import PROMISES
from dure.scheduler.kernels.future import promise, seat_then
from dure.scheduler.kernels.ground import run_of
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.power import draw, note, wanted_mw
from dure.scheduler.kernels.purse import payable
from dure.scheduler.kernels.short import blocked, by_time, stocks_of
from dure.scheduler.kernels.standing import gang_of
from dure.scheduler.kernels.state import ALTERNATIVE, CODE, FACT, PROMISED, SITE, Cycle, in_time, limit_on
from dure.scheduler.kernels.waits import TURN

ONE = constant(1)  # size of shares


@kernel
def explain(cycle: Cycle, row: int) -> None:
    """Write down why one that is to be promised a moment could not start at its turn."""
    board, lows, highs = cycle.board, cycle.low, cycle.high
    queue, demands, standings = cycle.queue, cycle.demands, cycle.standings
    purse, power, rules = cycle.purse, cycle.power, cycle.rules
    found = cycle.found
    c = queue.klass[row]
    first, last, made, own = demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1], board.used[PROMISES], queue.alt_ptr[row]
    sites, told, more = found.promised_sites[made, : last - first], found.promised[made], queue.more[own : own + last - first]
    payable(
        purse, rules.order, queue.project[row], demands.kind[first:last], queue.hold[own : own + last - first],
        standings.sites[first:last], sites,
    )  # fmt: skip
    in_time(queue, row, board.now, sites, sites)
    told[CODE] = blocked(
        board, by_time(board), stocks_of(board, ONE), lows, highs, demands, c, sites, board.now + queue.limit[row], more,
        told[FACT:],
    )  # fmt: skip
    if told[CODE] == TURN:
        end = board.now + queue.limit[row]
        told[CODE] = barred(board, power, lows, highs, demands, c, sites, end, more, told[FACT:])


@kernel
def keep(cycle: Cycle, row: int, alt: int, site: int, at: int) -> None:
    """Promise it this moment."""
    board, lows, highs = cycle.board, cycle.low, cycle.high
    queue, demands, power = cycle.queue, cycle.demands, cycle.power
    found, seat_node, seat_workers = cycle.found, cycle.node, cycle.workers
    c = queue.klass[row]
    low, high = run_of(lows, highs, site, wide(demands.kind[alt]))
    end = at + limit_on(queue, row, queue.alt_ptr[row] + alt - demands.each.kind_ptr[c])
    gang = gang_of(demands, c)
    seats = seat_then(board, low, high, gang, at, end, seat_node, seat_workers)
    made = board.used[PROMISES]
    promise(board, row, gang, at, end, seat_node[:seats], seat_workers[:seats])
    note(power, site, at)
    draw(power, site, at, end, wanted_mw(power, site, demands.kind[alt], gang))
    found.promised[made, SITE], found.promised[made, ALTERNATIVE] = site, alt - demands.each.kind_ptr[c]
    found.each.state[row] = PROMISED
