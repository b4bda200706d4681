"""Gangs that may be smaller than they ask for: how many workers one gets now.

Of such a class `workers` are the fewest, and what is remembered, promised, told, or makes others leave is of so many: what
failed for the most has not failed for the fewest. So all that a plan does for other gangs holds for these too, and here alone
more is asked for: at the turn of one that finds room for the fewest."""

from __future__ import annotations

from dure.scheduler.kernels.barred import limits, most_within, within
from dure.scheduler.kernels.board import shortest_alike
from dure.scheduler.kernels.ground import Gang, run_of
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.power import may_draw, wanted_mw
from dure.scheduler.kernels.purse import held
from dure.scheduler.kernels.seat import fitting
from dure.scheduler.kernels.sites import tightest, weigh, worth
from dure.scheduler.kernels.standing import gang_of, resized
from dure.scheduler.kernels.state import Cycle, limit_on, too_late

ONE = constant(1)  # worker


@kernel
def part_of(hold: int, workers: int, most: int) -> int:
    """What is held for so many of `most` workers, for all of whom it is `hold`: rounded up. -1 stays what it is."""
    if hold <= 0 or workers == most:
        return hold
    return hold // most * workers + (hold % most * workers + most - 1) // most


@kernel
def most_now(cycle: Cycle, row: int, alt: int) -> tuple[int, int, int, int]:
    """In which currency, at which site and with how many workers a gang starts on an alternative now: with as many as one site
    takes that is payable, of equals in the usual order; site -1: none takes the fewest. And how many sites were looked at."""
    board, queue, demands, rules, cells = cycle.board, cycle.queue, cycle.demands, cycle.rules, cycle.board.cells
    quota, standings, memory, spare = cycle.quota, cycle.standings, cycle.memory, cycle.free
    c, kind, leaf = queue.klass[row], wide(cycle.demands.kind[alt]), wide(cycle.queue.leaf[row])
    gang, own = gang_of(demands, c), queue.alt_ptr[row] + alt - demands.each.kind_ptr[c]
    limit = limit_on(queue, row, own)
    asked, looked, paid, where, best = wide(demands.each.most[c]), 0, -1, -1, gang.workers - 1
    most, alike = asked, shortest_alike(board, limit)
    if too_late(queue, row, board.now + limit):
        return -1, -1, 0, 0
    if limits(quota):
        if not within(quota, memory.beyond, leaf, demands, wide(c), kind):
            return -1, -1, 0, 0
        most = most_within(quota, leaf, demands, wide(c), kind)
    for currency in rules.order:
        if queue.hold[own, currency] < 0 or best == most:
            continue
        looked += weigh(
            spare, standings.sites[alt], memory.full[alt], memory.since, cycle.purse, queue.project[row], kind, currency,
            queue.hold[own, currency], cycle.low[:, kind], cycle.high[:, kind],
            cells.cell.free if gang.devices + gang.share > 0 else cells.cell.cores, limit,
        )  # fmt: skip
        site = tightest(spare, standings.cost[alt])
        while site >= 0 and best < most:
            funds = wide(held(cycle.purse, queue.project[row], kind, currency, site))
            pays = _affordable(queue.whole[own, currency], asked, funds, gang.workers, most)
            workers = _workers_at(cycle, alt, site, gang, pays, limit, alike)
            if workers > best:
                paid, where, best = currency, site, workers
            site = tightest(spare, standings.cost[alt])
    return int(paid), int(where), int(best), int(looked)


@kernel
def _affordable(hold: int, asked: int, funds: int, fewest: int, most: int) -> int:
    """The most workers whose part of a hold can be paid; that of the fewest can."""
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if part_of(hold, middle, asked) <= funds:
            fewest = middle
        else:
            most = middle - 1
    return fewest


@kernel
def _workers_at(cycle: Cycle, alt: int, site: int, gang: Gang, most: int, limit: int, alike: int) -> int:
    """The most workers that a site has power and room for; fewer than it needs are none. That is remembered as in `start_now`."""
    board, power, memory = cycle.board, cycle.power, cycle.memory
    end, kind, cells = board.now + limit, wide(cycle.demands.kind[alt]), board.cells
    if not worth(
        memory.full[alt], memory.since, site, power, kind, cycle.low[:, kind], cycle.high[:, kind], cells.size, cells.cell.top,
        gang, board.now, limit, alike,
    ):  # fmt: skip
        return 0
    fewest, each = gang.workers, wanted_mw(power, site, kind, resized(gang, ONE))
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if may_draw(power, site, board.now, end, each * middle):
            fewest = middle
        else:
            most = middle - 1
    low, high = run_of(cycle.low, cycle.high, site, kind)
    workers = fitting(board, low, high, resized(gang, most), end)
    if workers < gang.workers:
        memory.full[alt, site] = alike - memory.since[site]
        return 0
    return int(workers)
