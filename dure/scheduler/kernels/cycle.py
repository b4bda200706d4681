"""The plan's loop: every waiting workload in its turn is started, or started as a claim behind victims, or promised a moment, or
waits.

What failed before fails again, as a plan only uses up; so it is remembered for each alternative of a class and each site, by the
shortest limit that failed, and a class that failed wherever it may run costs one look at each turn. A claim frees something: it
clears that memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.barred import devices_milli, known_beyond, limits, use, within
from dure.scheduler.kernels.board import LASTS, PROMISES, leave_by, shortest_alike
from dure.scheduler.kernels.elastic import most_now, part_of
from dure.scheduler.kernels.future import earliest
from dure.scheduler.kernels.ground import WHOLE, column, run_of
from dure.scheduler.kernels.jit import constant, inlined, kernel, wide
from dure.scheduler.kernels.moves import MOVING, MOVING_MAX
from dure.scheduler.kernels.moving import cheapest_moves, seat_moved
from dure.scheduler.kernels.power import draw, limited, may_swap, swap, wanted_mw
from dure.scheduler.kernels.promised import explain, keep
from dure.scheduler.kernels.purse import held, pay
from dure.scheduler.kernels.reclaim import Asker, give_back, guarded
from dure.scheduler.kernels.seat import parts, seat
from dure.scheduler.kernels.sit import claim, start
from dure.scheduler.kernels.sites import longest, lowest_of, spare_at, tightest, weigh, worth
from dure.scheduler.kernels.standing import gang_of, resized
from dure.scheduler.kernels.state import (
    AHEAD,
    ASKING,
    CLAIMED,
    LOOKED,
    MORE_ROOM,
    NEVER,
    NOTHING,
    OVER,
    REACHED,
    ROW,
    STARTED,
    STARTS,
    TRIED,
    VICTIMS,
    WORKERS,
    Cycle,
    forget,
    limit_on,
    too_late,
    too_short,
)
from dure.scheduler.kernels.turns import charge, due, next_row
from dure.scheduler.kernels.victims import (
    FORCE,
    GENTLY,
    MOVE,
    RECLAIM,
    at_site,
    choose,
    copy_first,
    gone_behind,
    lasts,
    seat_behind,
    site_of,
    tenures_of,
    within_reach,
)

Bool = NDArray[np.bool_]

NOBODY = constant(0)  # victims
NOTHING_MORE = constant(0)  # mW


@kernel
def run(cycle: Cycle, before: int, at_most: int) -> int:
    """Give workloads their turn, `at_most` of them, or until it is that of row `before`, which the next call will give it.
    MORE_ROOM: a table could be too short for the next turn; call again with larger ones.

    Most turns end with one look at what failed before. Those are told apart here, as each array that a kernel is given costs time
    at each call, and a cycle has many."""
    turns, used, closed, calm, vain = cycle.turns, cycle.found.used, cycle.memory.closed, cycle.memory.calm, cycle.memory.vain
    klass, limit, priority, preempts = cycle.queue.klass, cycle.queue.shortest, cycle.queue.priority, cycle.queue.preempts
    ahead, promised, room = cycle.found.each.ahead, cycle.board.used, cycle.found.room
    demand, share = cycle.demands.each.most, cycle.demands.each.share
    seats, quotas, reclaims, moves = len(cycle.node), limits(cycle.quota), cycle.rules.reclaims, cycle.rules.moves
    pair, firm = cycle.queue.pair, cycle.queue.firm
    for _ in range(at_most):
        row = used[ROW]
        if row == NOTHING:
            row = next_row(turns)
            if row < 0:
                return OVER
            if row == before:
                used[ROW] = row
                return REACHED
        if used[LOOKED] >= cycle.rules.depth and promised[PROMISES] > 0:  # from here on nobody is looked at
            ahead[row] = used[AHEAD]
            used[AHEAD] += 1
            used[ROW] = NOTHING
            continue
        c = klass[row]
        over = closed[c] <= limit[row] and calm[GENTLY, c] >= priority[row]
        over = over and (not preempts[row] or calm[FORCE, c] >= priority[row])
        over = over and (not moves or not firm[row] or calm[MOVE, c] >= priority[row])
        over = over and promised[PROMISES] >= cycle.rules.promises
        beyond = quotas and not over and known_beyond(cycle.memory.beyond, wide(cycle.queue.leaf[row]), cycle.demands, wide(c))
        if reclaims and firm[row] and vain[RECLAIM, pair[row]] < priority[row]:
            over = beyond = False
        if beyond or over:
            ahead[row] = used[AHEAD]
            used[AHEAD] += 1
            used[TRIED] += 1
            used[ROW] = NOTHING
        else:
            workers = demand[c]
            if used[ASKING] == 0 and too_short(used, promised, room, workers, workers if share[c] > 0 else min(workers, seats)):
                used[ROW] = row
                return MORE_ROOM
            used[ROW] = NOTHING
            _turn(cycle, row)
    return REACHED


@inlined
def _turn(cycle: Cycle, row: int) -> None:
    """A turn that is more than a look: start, or make others leave, or promise; and charge the project for what it got."""
    board, queue, demands = cycle.board, cycle.queue, cycle.demands
    rules, memory, found = cycle.rules, cycle.memory, cycle.found
    c, charged = queue.klass[row], NOTHING
    in_time, workers = queue.latest[row] >= board.now, demands.each.workers[c]
    if in_time and memory.closed[c] > queue.shortest[row]:
        if workers < demands.each.most[c]:
            alt, workers = start_elastic(cycle, row)
        else:
            alt = start_now(cycle, row)
        charged = max(charged, alt)
    if charged == NOTHING and in_time:
        for how in (GENTLY, MOVE, RECLAIM, FORCE):  # the least disruptive first
            may = (
                how == GENTLY
                or (how == MOVE and rules.moves and queue.firm[row])
                or (how == RECLAIM and rules.reclaims and queue.firm[row])
                or (how == FORCE and queue.preempts[row])
            )
            failed = max(memory.calm[how, c], memory.vain[how, queue.pair[row]])
            if charged == NOTHING and may and failed < queue.priority[row]:
                charged = max(charged, make_way(cycle, row) if how == MOVE else displace(cycle, row, how))
    if found.used[ASKING] != 0:
        return
    if charged == NOTHING and in_time and board.used[PROMISES] < rules.promises and _promise(cycle, row):
        charged = demands.each.kind_ptr[c]
    if charged > NOTHING:
        _charge_for(cycle, row, int(charged), int(workers))
    if found.each.state[row] != STARTED:
        found.each.ahead[row] = found.used[AHEAD]
        found.used[AHEAD] += 1
        found.used[TRIED] += 1


@inlined
def _charge_for(cycle: Cycle, row: int, alt: int, workers: int) -> None:
    """Charge the project for what a workload gets on an alternative."""
    each, c, queue, rates = cycle.demands.each, cycle.queue.klass[row], cycle.queue, cycle.rules.core_rate
    rate = rates[column(wide(cycle.demands.kind[alt]), len(rates))]
    limit = limit_on(queue, row, queue.alt_ptr[row] + alt - each.kind_ptr[c])
    charge(
        cycle.turns, queue.leaf[row],
        due(workers, each.cores[c], each.devices[c] + each.share[c] / WHOLE, rate, limit),
    )  # fmt: skip


@inlined
def start_now(cycle: Cycle, row: int) -> int:
    """The alternative on which it starts now, -1: none has room."""
    board, lows, highs = cycle.board, cycle.low, cycle.high
    queue, demands, standings = cycle.queue, cycle.demands, cycle.standings
    purse, quota, power = cycle.purse, cycle.quota, cycle.power
    rules, memory, found = cycle.rules, cycle.memory, cycle.found
    seat_node, seat_workers, spare = cycle.node, cycle.workers, cycle.free
    cells = board.cells
    c, shared = queue.klass[row], shortest_alike(board, queue.limit[row])
    gang = gang_of(demands, c)
    looked, first = 0, demands.each.kind_ptr[c]
    for alt in range(first, demands.each.kind_ptr[c + 1]):
        kind, own = demands.kind[alt], queue.alt_ptr[row] + alt - first
        limit, alike = queue.limit[row] + queue.more[own], shared
        end = board.now + limit
        if queue.more[own] != 0:
            alike = shortest_alike(board, limit)
        if too_late(queue, row, end):
            continue
        if limits(quota) and not within(quota, memory.beyond, wide(queue.leaf[row]), demands, wide(c), wide(kind)):
            continue
        for currency in rules.order:
            hold = queue.hold[own, currency]
            if hold < 0:
                continue
            looked += weigh(
                spare, standings.sites[alt], memory.full[alt], memory.since, purse, queue.project[row], wide(kind), currency,
                hold, lows[:, kind], highs[:, kind], cells.cell.free if gang.devices + gang.share > 0 else cells.cell.cores,
                limit,
            )  # fmt: skip
            site = tightest(spare, standings.cost[alt])
            while site >= 0:
                if not worth(
                    memory.full[alt], memory.since, site, power, wide(kind), lows[:, kind], highs[:, kind], cells.size,
                    cells.cell.top, gang, board.now, limit, alike,
                ):  # fmt: skip
                    site = tightest(spare, standings.cost[alt])
                    continue
                low, high = run_of(lows, highs, site, wide(kind))
                seats = seat(board, low, high, gang, end, seat_node, seat_workers)
                if seats > 0 and found.used[ASKING] != 0:
                    found.each.state[row] = STARTED
                    return int(alt)
                if seats > 0:
                    found.used[LOOKED] += board.used[PROMISES] > 0
                    _sit(cycle, row, int(alt), currency, int(site), int(seats), int(end), NOBODY, gang.workers)
                    return int(alt)
                memory.full[alt, site] = alike - memory.since[site]
                site = tightest(spare, standings.cost[alt])
    if looked > 0:
        found.used[LOOKED] += board.used[PROMISES] > 0
        last = demands.each.kind_ptr[c + 1]
        memory.closed[c] = longest(standings.sites[first:last], memory.full[first:last], memory.since)
    return -1


@kernel
def start_elastic(cycle: Cycle, row: int) -> tuple[int, int]:
    """As `start_now`, for a gang that may have fewer workers than it asks for: the alternative, and how many it gets there; -1:
    none has room for the fewest."""
    board, queue, demands, memory, found = cycle.board, cycle.queue, cycle.demands, cycle.memory, cycle.found
    c, looked = queue.klass[row], 0
    first, last = demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]
    for alt in range(first, last):
        currency, site, workers, tried = most_now(cycle, row, alt)
        looked += tried
        if site < 0:
            continue
        if found.used[ASKING] != 0:
            found.each.state[row] = STARTED
            return int(alt), int(workers)
        low, high = run_of(cycle.low, cycle.high, site, wide(demands.kind[alt]))
        end = board.now + limit_on(queue, row, queue.alt_ptr[row] + alt - first)
        seats = seat(board, low, high, resized(gang_of(demands, c), workers), end, cycle.node, cycle.workers)
        found.used[LOOKED] += board.used[PROMISES] > 0
        _sit(cycle, row, int(alt), currency, int(site), int(seats), int(end), NOBODY, int(workers))
        return int(alt), int(workers)
    if looked > 0:
        found.used[LOOKED] += board.used[PROMISES] > 0
        memory.closed[c] = longest(cycle.standings.sites[first:last], memory.full[first:last], memory.since)
    return -1, int(demands.each.workers[c])


@kernel
def _sit(
    cycle: Cycle, row: int, alt: int, currency: int, site: int, seats: int, end: int, victims: int, workers: int
) -> None:  # fmt: skip
    """Take the seats in `node` and `workers`, behind the first so many `victims`, pay for them, and write it down. workers: how
    many there are in all."""
    board, queue, demands = cycle.board, cycle.queue, cycle.demands
    purse, quota, power = cycle.purse, cycle.quota, cycle.power
    candidates, found, ends = cycle.candidates, cycle.found, cycle.ends
    seat_node, seat_workers, displaced = cycle.node, cycle.workers, cycle.victims
    c = queue.klass[row]
    made, at = found.used[STARTS], found.used[WORKERS]
    gang = resized(gang_of(demands, c), workers)
    if victims == 0:
        written = start(
            board, gang, end, seat_node[:seats], seat_workers[:seats], found.workers.node[at:], found.workers.mask[at:]
        )  # fmt: skip
    else:
        written = claim(
            board, gang, end, seat_node[:seats], seat_workers[:seats],
            tenures_of(candidates.tenure_ptr, displaced[:victims]), found.workers.node[at:], found.workers.mask[at:],
        )  # fmt: skip
        for victim in displaced[:victims]:
            for tenure in range(candidates.tenure_ptr[victim], candidates.tenure_ptr[victim + 1]):
                leave_by(board, wide(tenure), candidates.gone[victim])
    own, kind = queue.alt_ptr[row] + alt - demands.each.kind_ptr[c], wide(demands.kind[alt])
    pay(
        purse, queue.project[row], kind, currency, site,
        part_of(queue.whole[own, currency], workers, wide(demands.each.most[c])),
    )  # fmt: skip
    if limits(quota):
        use(quota, wide(queue.leaf[row]), demands, wide(c), kind, workers)
    mw = wanted_mw(power, site, kind, gang)
    if victims == 0:
        draw(power, site, board.now, end, mw)
    elif limited(power, site):
        swap(power, site, board.now, at_site(board, candidates, site, displaced[:victims]), ends, end, mw)
    found.starts.row[made], found.starts.alt[made], found.starts.site[made], found.starts.currency[made] = (
        row,
        own,
        site,
        currency,
    )
    found.used[STARTS], found.used[WORKERS] = made + 1, at + written
    for i in range(victims):
        found.victim[found.used[VICTIMS] + i] = displaced[i]
    found.used[VICTIMS] += victims
    found.starts.worker[made + 1], found.starts.victim[made + 1] = found.used[WORKERS], found.used[VICTIMS]
    found.each.state[row] = STARTED


@kernel
def asker_of(cycle: Cycle, row: int, kind: int) -> Asker:
    """What quotas and classes know of one that wants a place on a type."""
    demands, queue = cycle.demands, cycle.queue
    c = wide(queue.klass[row])
    devices, cores = devices_milli(demands, c, kind), demands.each.cores[c] * demands.each.workers[c]
    return Asker(wide(queue.priority[row]), wide(queue.leaf[row]), kind, devices, wide(cores))


@kernel
def displace(cycle: Cycle, row: int, how: int) -> int:
    """The alternative on which it gets a claim: that with the cheapest victims, on the best of its ways that has any; or -1."""
    board, queue, demands, standings = cycle.board, cycle.queue, cycle.demands, cycle.standings
    quota, candidates, rules = cycle.quota, cycle.candidates, cycle.rules
    memory, found = cycle.memory, cycle.found
    c, displaced, alone = queue.klass[row], cycle.victims, False
    for alt in range(demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]):
        kind = wide(demands.kind[alt])
        if how != RECLAIM and limits(quota) and not within(quota, memory.beyond, wide(queue.leaf[row]), demands, wide(c), kind):
            continue
        if how == RECLAIM and not within_reach(board, candidates, cycle.rights, asker_of(cycle, row, kind)):
            continue
        for currency in rules.order:
            site, low, victims, own = _cheapest(cycle, row, alt, currency, how)
            alone = alone or own
            if site < 0:
                continue
            if found.used[ASKING] != 0:
                found.each.state[row] = CLAIMED
                return int(alt)
            found.starts.reclaims[found.used[STARTS]] = how == RECLAIM
            _claim(cycle, row, int(alt), int(currency), int(site), int(low), int(victims), how)
            for i in range(victims if guarded(cycle.rights) else 0):  # whoever moves instead goes on using what it uses
                give_back(cycle.rights, cycle.rights.stays, wide(displaced[i]))
            if how == RECLAIM:  # who makes room elsewhere leaves earlier there
                for i in range(victims):
                    forget(memory, site_of(board, candidates, wide(displaced[i])))
            return int(alt)
    if how != GENTLY and guarded(cycle.rights):  # for work of another project it may do
        if not alone:
            memory.vain[how, queue.pair[row]] = queue.priority[row]
        return -1
    first, last = demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]
    memory.calm[how, c] = lowest_of(standings.sites[first:last], memory.spared[how, :, first:last])
    return -1


@kernel
def make_way(cycle: Cycle, row: int) -> int:
    """The alternative on which it gets a claim as others move; or -1."""
    demands, memory, found, c = cycle.demands, cycle.memory, cycle.found, cycle.queue.klass[row]
    if cycle.moves.used[MOVING] >= MOVING_MAX:
        memory.calm[MOVE, c] = NEVER
        return -1
    alt, currency, site, low, moved = cheapest_moves(cycle, row)
    if site < 0:
        first, last = demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]
        memory.calm[MOVE, c] = lowest_of(cycle.standings.sites[first:last], memory.spared[MOVE, :, first:last])
        return -1
    if found.used[ASKING] != 0:
        found.each.state[row] = CLAIMED
        return alt
    cycle.moves.used[MOVING] += 1
    _claim(cycle, row, alt, currency, site, low, moved, MOVE)
    seat_moved(cycle, site, moved)
    return alt


@kernel
def _claim(cycle: Cycle, row: int, alt: int, currency: int, site: int, low: int, victims: int, how: int) -> None:
    """Start it behind the first so many `victims`, asked in one way, who leave room for it at a site from a cell on."""
    board, candidates, queue, demands = cycle.board, cycle.candidates, cycle.queue, cycle.demands
    kind, c, displaced = demands.kind[alt], queue.klass[row], cycle.victims
    gang = gang_of(demands, c)
    first, last = run_of(cycle.low, cycle.high, site, wide(kind))
    high = low + parts(gang, first, last)
    limit = limit_on(queue, row, queue.alt_ptr[row] + alt - demands.each.kind_ptr[c])
    gone = gone_behind(candidates, displaced[:victims], limit)
    for i in range(victims):
        candidates.taken[displaced[i]] = True
    if len(board.closed) > 0:
        board.used[LASTS] = lasts(candidates, site, how, limit)
    seats = seat_behind(board, candidates, low, high, gang, displaced[:victims], cycle.node, cycle.workers)
    _sit(cycle, row, alt, currency, site, int(seats), int(gone), victims, gang.workers)
    forget(cycle.memory, site)


@kernel
def _cheapest(cycle: Cycle, row: int, alt: int, currency: int, how: int) -> tuple[int, int, int, bool]:
    """The site with the cheapest victims, which are left in `victims`, from which cell on they make room, and how many they are;
    -1: there are none anywhere. And whether that may be for its own money, limit or deadline: others like it may find some."""
    board, lows, highs = cycle.board, cycle.low, cycle.high
    queue, demands, standings = cycle.queue, cycle.demands, cycle.standings
    purse, power, candidates = cycle.purse, cycle.power, cycle.candidates
    memory, ends, displaced = cycle.memory, cycle.ends, cycle.victims
    c = queue.klass[row]
    gang, asker = gang_of(demands, c), asker_of(cycle, row, wide(demands.kind[alt]))
    apart = how != GENTLY and guarded(cycle.rights)
    best, start, count, least, alone = -1, wide(0), 0, 0.0, len(board.closed) > 0
    kept = np.empty(len(displaced), np.int32)
    own = queue.alt_ptr[row] + alt - demands.each.kind_ptr[c]
    hold, limit = queue.hold[own, currency], limit_on(queue, row, own)
    for site in range(lows.shape[0]):
        payable = hold >= 0 and held(purse, queue.project[row], demands.kind[alt], currency, site) >= hold
        alone = alone or (hold >= 0 and not payable)
        if memory.spared[how, site, alt] >= queue.priority[row] or not payable or not standings.sites[alt, site]:
            continue
        low, high = run_of(lows, highs, site, wide(demands.kind[alt]))
        if len(board.closed) > 0:
            board.used[LASTS] = lasts(candidates, site, how, limit)
        step, some, mw = parts(gang, low, high), False, wanted_mw(power, site, demands.kind[alt], gang)
        for part in range(low, high, step):
            chosen = choose(board, candidates, cycle.rights, site, part, part + step, gang, asker, how, displaced)
            if chosen == 0:
                continue
            some, gone = True, gone_behind(candidates, displaced[:chosen], limit)
            if too_late(queue, row, gone):  # they may leave too late
                continue
            if limited(power, site):
                there = at_site(board, candidates, site, displaced[:chosen])
                if not may_swap(power, site, board.now, there, ends, gone, mw, NOTHING_MORE):
                    continue
            lost = 0.0
            for i in range(chosen):
                lost += candidates.lost[displaced[i]]
            if best < 0 or lost < least or (lost == least and chosen < count):
                best, start, count, least = site, part, chosen, lost
                copy_first(displaced, kept, chosen)
        alone = alone or some
        if not some and not apart and len(board.closed) == 0:  # where maintenance is to come, a shorter one could
            memory.spared[how, site, alt] = queue.priority[row]
    copy_first(kept, displaced, count)
    return best, start, count, alone


@kernel
def _promise(cycle: Cycle, row: int) -> bool:
    """Keep the earliest moment for it; whether there is any."""
    at, alt, site = soonest(cycle, row)
    if site < 0:
        return False
    explain(cycle, row)
    keep(cycle, row, alt, site, at)
    return True


@kernel
def soonest(cycle: Cycle, row: int) -> tuple[int, int, int]:
    """The moment at which it could start to be over earliest by its limit, on the best alternative among equals, and the site
    with the least to spare; site -1: there is none. Ends are told as the starts that they would be with the first one's limit."""
    board, lows, highs = cycle.board, cycle.low, cycle.high
    queue, demands, standings = cycle.queue, cycle.demands, cycle.standings
    purse, quota, power = cycle.purse, cycle.quota, cycle.power
    rules, memory = cycle.rules, cycle.memory
    c = queue.klass[row]
    gang, at_best, best_alt, best_site = gang_of(demands, c), NEVER, -1, -1
    best = NEVER if queue.latest[row] >= NEVER else queue.latest[row] + queue.shortest[row] - queue.limit[row] + 1  # no later
    for alt in range(demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]):
        kind, own = wide(demands.kind[alt]), queue.alt_ptr[row] + alt - demands.each.kind_ptr[c]
        more, limit = queue.more[own], limit_on(queue, row, own)
        if limits(quota) and not within(quota, memory.beyond, wide(queue.leaf[row]), demands, wide(c), kind):
            continue
        for currency in rules.order:
            way_at, way_site, least = NEVER if best >= NEVER else best - more, -1, 0
            hold = queue.hold[own, currency]
            for site in range(lows.shape[0]):
                payable = hold >= 0 and held(purse, queue.project[row], demands.kind[alt], currency, site) >= hold
                if memory.hopeless[site, alt] <= limit or not payable or not standings.sites[alt, site]:
                    continue
                low, high = run_of(lows, highs, site, kind)
                by = way_at + (way_site >= 0)  # as early as the best of this way, earlier than that of another
                at = earliest(board, power, site, low, high, gang, limit, by, wanted_mw(power, site, kind, gang))
                if at < 0:
                    if by >= NEVER:
                        memory.hopeless[site, alt] = limit
                    continue
                of_cell = board.cells.cell.free if gang.devices + gang.share > 0 else board.cells.cell.cores
                free = spare_at(lows[:, demands.kind[alt]], highs[:, demands.kind[alt]], of_cell, site)
                dearer = way_site >= 0 and standings.cost[alt, site] > standings.cost[alt, way_site]
                same = way_site >= 0 and standings.cost[alt, site] == standings.cost[alt, way_site]
                if way_site < 0 or at < way_at or (not dearer and (not same or free < least)):
                    way_at, way_site, least = at, site, free
            if way_site >= 0:
                best, at_best, best_alt, best_site = way_at + more, way_at, alt, way_site
    return int(at_best), int(best_alt), int(best_site)
