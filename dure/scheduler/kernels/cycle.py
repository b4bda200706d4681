"""The plan's loop: every waiting workload in its turn is started, or started as a claim behind victims, or promised a moment, or
waits.

What failed before fails again, as a plan only uses up; so it is remembered for each alternative of a class and each site, by the
shortest limit that failed, and a class that failed wherever it may run costs one look at each turn. A claim frees something: it
clears that memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.barred import barred, known_beyond, limits, use, within
from dure.scheduler.kernels.board import KEPT, PROMISES, TENURES, shortest_alike
from dure.scheduler.kernels.future import earliest, promise, seat_then
from dure.scheduler.kernels.ground import I32, I64
from dure.scheduler.kernels.jit import constant, inlined, kernel, wide
from dure.scheduler.kernels.power import draw, limited, may_draw, may_swap, note, swap, wanted_mw
from dure.scheduler.kernels.purse import held, pay, payable
from dure.scheduler.kernels.seat import bound, seat
from dure.scheduler.kernels.short import blocked, by_time, stock_of
from dure.scheduler.kernels.sit import claim, start
from dure.scheduler.kernels.state import (
    AHEAD,
    ALTERNATIVE,
    ASKING,
    CLAIMED,
    CODE,
    FACT,
    KEPT_ROOM,
    LOOKED,
    MORE_ROOM,
    NEVER,
    NOTHING,
    OVER,
    PROMISED,
    REACHED,
    ROW,
    SEATS,
    SITE,
    STARTED,
    STARTS,
    TENURE_ROOM,
    TRIED,
    VICTIMS,
    WORKERS,
    Cycle,
    Memory,
)
from dure.scheduler.kernels.turns import charge, next_row
from dure.scheduler.kernels.victims import choose, seat_behind
from dure.scheduler.kernels.waits import TURN

Bool = NDArray[np.bool_]

NOBODY = constant(0)  # victims


@kernel
def run(cycle: Cycle, before: int, at_most: int) -> int:
    """Give workloads their turn, `at_most` of them, or until it is that of row `before`, which the next call will give it.
    MORE_ROOM: a table could be too short for the next turn; call again with larger ones.

    Most turns end with one look at what failed before. Those are told apart here, as each array that a kernel is given costs time
    at each call, and a cycle has many."""
    turns, used, closed, calm = cycle.turns, cycle.found.used, cycle.memory.closed, cycle.memory.calm
    klass, limit, priority, preempts = cycle.queue.klass, cycle.queue.limit, cycle.queue.priority, cycle.queue.preempts
    ahead, promised, room, demand = cycle.found.ahead, cycle.board.used, cycle.found.room, cycle.demands.workers
    seats, quotas = len(cycle.node), limits(cycle.quota)
    for _ in range(at_most):
        row = used[ROW]
        if row == NOTHING:
            row = next_row(turns)
            if row < 0:
                return OVER
            if row == before:
                used[ROW] = row
                return REACHED
        c, tried = klass[row], used[LOOKED] < cycle.rules.depth or promised[PROMISES] == 0
        over = closed[c] <= limit[row] and (not preempts[row] or calm[c] >= priority[row])
        beyond = quotas and known_beyond(cycle.memory.beyond, wide(cycle.queue.leaf[row]), cycle.demands, wide(c))
        if not tried or beyond or (over and promised[PROMISES] >= cycle.rules.promises):
            ahead[row] = used[AHEAD]
            used[AHEAD] += 1
            used[TRIED] += tried
            used[ROW] = NOTHING
        else:
            workers = demand[c]
            if used[ASKING] == 0 and _short(used, promised, room, workers, min(workers, seats)):
                used[ROW] = row
                return MORE_ROOM
            used[ROW] = NOTHING
            _turn(cycle, row)
    return REACHED


@kernel
def _short(used: I64, board_used: I64, room: I64, workers: int, seats: int) -> bool:
    """Whether a table could be too short for a turn. room: as in `Found`."""
    return bool(
        used[WORKERS] + workers > room[WORKERS]
        or used[SEATS] + seats > room[SEATS]
        or board_used[TENURES] + seats > room[TENURE_ROOM]
        or board_used[KEPT] + seats > room[KEPT_ROOM]
    )


@inlined
def _turn(cycle: Cycle, row: int) -> None:
    """A turn that is more than a look: start, or make others leave, or promise; and charge the project for what it got."""
    queue, demands, found = cycle.queue, cycle.demands, cycle.found
    c, limit, charged = queue.klass[row], queue.limit[row], NOTHING - 1
    if cycle.memory.closed[c] > limit:
        alt = _start(cycle, row)
        if alt >= 0:
            charged = demands.kind[alt]
    if charged < NOTHING and queue.preempts[row]:
        alt = _preempt(cycle, row)
        if alt >= 0:
            charged = demands.kind[alt]
    if found.used[ASKING] != 0:
        return
    if charged < NOTHING and cycle.board.used[PROMISES] < cycle.rules.promises and _promise(cycle, row):
        charged = demands.kind[demands.kind_ptr[c]]
    if charged >= NOTHING:  # in normalised core-seconds, by its limit
        rate = demands.cores[c] / 1000 + demands.devices[c] * cycle.rules.core_rate[charged]
        charge(cycle.turns, queue.leaf[row], demands.workers[c] * rate * limit / 1000)
    if found.state[row] != STARTED:
        found.ahead[row] = found.used[AHEAD]
        found.used[AHEAD] += 1
        found.used[TRIED] += 1


@kernel
def _spare(low: I64, high: I64, of_cell: I64, site: int) -> int:
    """How much is free at a site of what a workload wants."""
    total = 0
    for cell in range(low[site], high[site]):
        total += of_cell[cell]
    return int(total)


@kernel
def _weigh(
    free: I64, sites: Bool, full: I64, held: I64, hold: int, low: I64, high: I64, spare_of: I64, size: I64, top: I32,
    devices: int, workers: int, limit: int, alike: int,
) -> int:  # fmt: skip
    """Write into `free` what there is to spare at each site that a search is worth, -1 for others; how many were looked at:
    where it may run, can pay, and has not failed. Where the count of free devices tells that it fails, that is remembered."""
    looked = 0
    for site in range(len(free)):
        free[site] = -1
        if not sites[site] or full[site] <= limit or held[site] < hold:
            continue
        looked += 1
        if devices > 0 and bound(size, top, low[site], high[site], devices) < workers:
            full[site] = alike
        else:
            free[site] = _spare(low, high, spare_of, site)
    return looked


@kernel
def _tightest(free: I64) -> int:
    """The site with the least to spare, the lower among equals; it is crossed out. -1: none is left."""
    best = -1
    for site in range(len(free)):
        if free[site] >= 0 and (best < 0 or free[site] < free[best]):
            best = site
    if best >= 0:
        free[best] = -1
    return best


@inlined
def _start(cycle: Cycle, row: int) -> int:
    """The alternative on which it starts now, -1: none has room."""
    demands, queue, memory, cells = cycle.demands, cycle.queue, cycle.memory, cycle.board.cells
    c, end = queue.klass[row], cycle.board.now + queue.limit[row]
    cores, memory_mib, devices, workers = demands.cores[c], demands.memory[c], demands.devices[c], demands.workers[c]
    alike, looked, first = shortest_alike(cycle.board, queue.limit[row]), 0, demands.kind_ptr[c]
    if len(cycle.board.closed.until) > 0:  # a shorter one may end before
        alike = queue.limit[row]
    for alt in range(first, demands.kind_ptr[c + 1]):
        kind = demands.kind[alt]
        if limits(cycle.quota) and not within(cycle.quota, memory.beyond, wide(queue.leaf[row]), demands, wide(c), wide(kind)):
            continue
        for currency in cycle.rules.order:
            hold = queue.hold[queue.alt_ptr[row] + alt - first, currency]
            if hold < 0:
                continue
            funds = held(cycle.purse, queue.project[row], kind, currency)
            looked += _weigh(
                cycle.free, cycle.standings.sites[alt], memory.full[alt], funds, hold, cycle.low[:, kind], cycle.high[:, kind],
                cells.free if devices > 0 else cycle.board.cores, cells.size, cells.top, devices, workers, queue.limit[row],
                alike,
            )  # fmt: skip
            site = _tightest(cycle.free)
            while site >= 0:
                mw = wanted_mw(cycle.power, site, kind, cores, devices, workers)
                if not may_draw(cycle.power, site, cycle.board.now, end, mw):
                    memory.full[alt, site] = queue.limit[row]
                    site = _tightest(cycle.free)
                    continue
                seats = seat(
                    cycle.board, cycle.low[site, kind], cycle.high[site, kind], cores, memory_mib, devices, workers, end,
                    cycle.node, cycle.workers,
                )  # fmt: skip
                if seats > 0 and cycle.found.used[ASKING] != 0:
                    cycle.found.state[row] = STARTED
                    return int(alt)
                if seats > 0:
                    cycle.found.used[LOOKED] += cycle.board.used[PROMISES] > 0
                    _sit(cycle, row, int(alt), currency, int(site), int(seats), int(end), NOBODY)
                    return int(alt)
                memory.full[alt, site] = alike
                site = _tightest(cycle.free)
    if looked > 0:
        cycle.found.used[LOOKED] += cycle.board.used[PROMISES] > 0
        last = demands.kind_ptr[c + 1]
        memory.closed[c] = _most(cycle.standings.sites[first:last], memory.full[first:last])
    return -1


@kernel
def _most(sites: Bool, failed: I64) -> int:
    """The longest of the limits that failed wherever a class may run: what is not shorter fails everywhere."""
    most = 0
    for alt in range(sites.shape[0]):
        for site in range(sites.shape[1]):
            if sites[alt, site]:
                most = max(most, failed[alt, site])
    return most


@kernel
def _least(sites: Bool, failed: I64) -> int:
    """The lowest of the priorities that failed wherever a class may run: what is not higher fails everywhere."""
    least = NEVER
    for alt in range(sites.shape[0]):
        for site in range(sites.shape[1]):
            if sites[alt, site]:
                least = min(least, failed[alt, site])
    return least


@kernel
def _sit(cycle: Cycle, row: int, alt: int, currency: int, site: int, seats: int, end: int, victims: int) -> None:
    """Take the seats in `node` and `workers`, behind the first so many `victims`, pay for them, and write it down."""
    demands, c, found, queue = cycle.demands, cycle.queue.klass[row], cycle.found, cycle.queue
    made, at = found.used[STARTS], found.used[WORKERS]
    cores, memory, devices = demands.cores[c], demands.memory[c], demands.devices[c]
    if victims == 0:
        written = start(
            cycle.board, cores, memory, devices, end, cycle.node[:seats], cycle.workers[:seats], found.node[at:], found.mask[at:]
        )
    else:
        written = claim(
            cycle.board, cores, memory, devices, end, cycle.node[:seats], cycle.workers[:seats],
            _tenures(cycle.candidates.tenure_ptr, cycle.victims[:victims]), found.node[at:], found.mask[at:],
        )  # fmt: skip
    own, kind = queue.alt_ptr[row] + alt - demands.kind_ptr[c], wide(demands.kind[alt])
    pay(cycle.purse, queue.project[row], kind, currency, site, queue.hold[own, currency])
    if limits(cycle.quota):
        use(cycle.quota, wide(queue.leaf[row]), demands, wide(c), kind)
    mw = wanted_mw(cycle.power, site, kind, cores, devices, demands.workers[c])
    if victims == 0:
        draw(cycle.power, site, cycle.board.now, end, mw)
    else:
        swap(cycle.power, site, cycle.board.now, cycle.victims[:victims], cycle.ends, end, mw)
    found.row[made], found.alt[made], found.site[made], found.currency[made] = row, own, site, currency
    found.used[STARTS], found.used[WORKERS] = made + 1, at + written
    for i in range(victims):
        found.victim[found.used[VICTIMS] + i] = cycle.victims[i]
    found.used[VICTIMS] += victims
    found.worker_ptr[made + 1], found.victim_ptr[made + 1] = found.used[WORKERS], found.used[VICTIMS]
    found.state[row] = STARTED


@kernel
def _tenures(ptr: I64, attempts: I32) -> I32:
    """Those of these attempts, which stand one behind the other."""
    count = 0
    for attempt in attempts:
        count += ptr[attempt + 1] - ptr[attempt]
    rows, count = np.empty(count, np.int32), 0
    for attempt in attempts:
        for tenure in range(ptr[attempt], ptr[attempt + 1]):
            rows[count] = tenure
            count += 1
    return rows


@inlined
def _preempt(cycle: Cycle, row: int) -> int:
    """The alternative on which it gets a claim: that with the cheapest victims, on the best of its ways that has any; or -1."""
    demands, c, queue, memory = cycle.demands, cycle.queue.klass[row], cycle.queue, cycle.memory
    for alt in range(demands.kind_ptr[c], demands.kind_ptr[c + 1]):
        kind = wide(demands.kind[alt])
        if limits(cycle.quota) and not within(cycle.quota, memory.beyond, wide(queue.leaf[row]), demands, wide(c), kind):
            continue
        for currency in cycle.rules.order:
            site, victims = _cheapest(cycle, row, alt, currency)
            if site < 0:
                continue
            if cycle.found.used[ASKING] != 0:
                cycle.found.state[row] = CLAIMED
                return int(alt)
            low, high = cycle.low[site, demands.kind[alt]], cycle.high[site, demands.kind[alt]]
            gone = 0
            for i in range(victims):
                gone = max(gone, cycle.ends[cycle.victims[i]])
                cycle.candidates.taken[cycle.victims[i]] = True
            seats = seat_behind(
                cycle.board, cycle.candidates, low, high, demands.cores[c], demands.memory[c], demands.devices[c],
                demands.workers[c], cycle.victims[:victims], cycle.node, cycle.workers,
            )  # fmt: skip
            gone = min(gone + queue.limit[row], NEVER)
            _sit(cycle, row, int(alt), currency, int(site), int(seats), int(gone), int(victims))
            _forget(cycle.memory)
            return int(alt)
    first, last = demands.kind_ptr[c], demands.kind_ptr[c + 1]
    cycle.memory.calm[c] = _least(cycle.standings.sites[first:last], cycle.memory.spared[first:last])
    return -1


@inlined
def _cheapest(cycle: Cycle, row: int, alt: int, currency: int) -> tuple[int, int]:
    """The site with the cheapest victims, which are left in `victims`, and how many they are; -1: there are none anywhere."""
    demands, c, queue, memory = cycle.demands, cycle.queue.klass[row], cycle.queue, cycle.memory
    best, count, least = -1, 0, 0.0
    kept = np.empty(len(cycle.victims), np.int32)
    hold = queue.hold[queue.alt_ptr[row] + alt - demands.kind_ptr[c], currency]
    funds = held(cycle.purse, queue.project[row], demands.kind[alt], currency)
    for site in range(cycle.low.shape[0]):
        payable = hold >= 0 and funds[site] >= hold
        if memory.spared[alt, site] >= queue.priority[row] or not payable or not cycle.standings.sites[alt, site]:
            continue
        low, high = cycle.low[site, demands.kind[alt]], cycle.high[site, demands.kind[alt]]
        chosen = choose(
            cycle.board, cycle.candidates, site, low, high, demands.cores[c], demands.memory[c], demands.devices[c],
            demands.workers[c], queue.priority[row], cycle.victims,
        )  # fmt: skip
        if chosen == 0:
            memory.spared[alt, site] = queue.priority[row]
            continue
        if limited(cycle.power, site) and not _powered(cycle, row, alt, site, chosen):
            continue
        lost = 0.0
        for i in range(chosen):
            lost += cycle.candidates.lost[cycle.victims[i]]
        if best < 0 or lost < least or (lost == least and chosen < count):
            best, count, least = site, chosen, lost
            kept[:chosen] = cycle.victims[:chosen]
    cycle.victims[:count] = kept[:count]
    return best, count


@kernel
def _powered(cycle: Cycle, row: int, alt: int, site: int, chosen: int) -> bool:
    """Whether a site may draw what a claim does once the first so many `victims` have left."""
    c, gone, demands = cycle.queue.klass[row], np.int64(0), cycle.demands
    for i in range(chosen):
        gone = max(gone, cycle.ends[cycle.victims[i]])
    end = min(gone + cycle.queue.limit[row], NEVER)
    mw = wanted_mw(cycle.power, site, demands.kind[alt], demands.cores[c], demands.devices[c], demands.workers[c])
    return may_swap(cycle.power, site, cycle.board.now, cycle.victims[:chosen], cycle.ends, end, mw)


@kernel
def _forget(memory: Memory) -> None:
    memory.full[:] = NEVER
    memory.hopeless[:] = NEVER
    memory.spared[:] = -NEVER
    memory.closed[:] = NEVER
    memory.calm[:] = -NEVER


@inlined
def _promise(cycle: Cycle, row: int) -> bool:
    """Keep the earliest moment for it, on the best alternative among equals, at the site with the least to spare."""
    demands, c, queue = cycle.demands, cycle.queue.klass[row], cycle.queue
    limit, need = queue.limit[row], (demands.cores[c], demands.memory[c], demands.devices[c])
    best_at, best_alt, best_site = NEVER, -1, -1
    for alt in range(demands.kind_ptr[c], demands.kind_ptr[c + 1]):
        kind = wide(demands.kind[alt])
        if limits(cycle.quota) and not within(cycle.quota, cycle.memory.beyond, wide(queue.leaf[row]), demands, wide(c), kind):
            continue
        for currency in cycle.rules.order:
            way_at, way_site, least = best_at, -1, 0
            hold = queue.hold[queue.alt_ptr[row] + alt - demands.kind_ptr[c], currency]
            funds = held(cycle.purse, queue.project[row], demands.kind[alt], currency)
            for site in range(cycle.low.shape[0]):
                payable = hold >= 0 and funds[site] >= hold
                if cycle.memory.hopeless[alt, site] <= limit or not payable or not cycle.standings.sites[alt, site]:
                    continue
                low, high = cycle.low[site, demands.kind[alt]], cycle.high[site, demands.kind[alt]]
                by = way_at + (way_site >= 0)  # as early as the best of this way, earlier than that of another
                mw = wanted_mw(cycle.power, site, kind, need[0], need[2], demands.workers[c])
                at = earliest(
                    cycle.board, cycle.power, site, low, high, need[0], need[1], need[2], demands.workers[c], limit, by, mw
                )  # fmt: skip
                if at < 0:
                    if by >= NEVER:
                        cycle.memory.hopeless[alt, site] = limit
                    continue
                of_cell = cycle.board.cells.free if need[2] > 0 else cycle.board.cores
                free = _spare(cycle.low[:, demands.kind[alt]], cycle.high[:, demands.kind[alt]], of_cell, site)
                if way_site < 0 or at < way_at or free < least:
                    way_at, way_site, least = at, site, free
            if way_site >= 0:
                best_at, best_alt, best_site = way_at, alt, way_site
    if best_site < 0:
        return False
    _explain(cycle, row)
    _keep(cycle, row, int(best_alt), int(best_site), int(best_at))
    return True


@kernel
def _explain(cycle: Cycle, row: int) -> None:
    """Write down why one that is to be promised a moment could not start at its turn."""
    demands, c, found, queue, board = cycle.demands, cycle.queue.klass[row], cycle.found, cycle.queue, cycle.board
    first, last, made, own = demands.kind_ptr[c], demands.kind_ptr[c + 1], board.used[PROMISES], queue.alt_ptr[row]
    sites, told = found.promised_sites[made, : last - first], found.promised[made]
    payable(
        cycle.purse, cycle.rules.order, queue.project[row], demands.kind[first:last], queue.hold[own : own + last - first],
        cycle.standings.sites[first:last], sites,
    )  # fmt: skip
    told[CODE] = blocked(
        board, by_time(board), stock_of(board, False), stock_of(board, True), cycle.low, cycle.high, demands, c, sites,
        board.now + queue.limit[row], told[FACT:],
    )  # fmt: skip
    if told[CODE] == TURN:
        end = board.now + queue.limit[row]
        told[CODE] = barred(board, cycle.power, cycle.low, cycle.high, demands, c, sites, end, told[FACT:])


@inlined
def _keep(cycle: Cycle, row: int, alt: int, site: int, at: int) -> None:
    demands, c, found = cycle.demands, cycle.queue.klass[row], cycle.found
    low, high, end = cycle.low[site, demands.kind[alt]], cycle.high[site, demands.kind[alt]], at + cycle.queue.limit[row]
    need = (demands.cores[c], demands.memory[c], demands.devices[c])
    seats = seat_then(cycle.board, low, high, need[0], need[1], need[2], demands.workers[c], at, end, cycle.node, cycle.workers)
    made, first = cycle.board.used[PROMISES], found.used[SEATS]
    promise(cycle.board, row, need[0], need[1], need[2], at, end, cycle.node[:seats], cycle.workers[:seats])
    note(cycle.power, site, at)
    draw(cycle.power, site, at, end, wanted_mw(cycle.power, site, demands.kind[alt], need[0], need[2], demands.workers[c]))
    found.promised[made, SITE], found.promised[made, ALTERNATIVE] = site, alt - demands.kind_ptr[c]
    for i in range(seats):
        found.seat_node[first + i], found.seat_workers[first + i] = cycle.node[i], cycle.workers[i]
    found.used[SEATS] += seats
    found.seat_ptr[made + 1] = found.used[SEATS]
    found.state[row] = PROMISED
