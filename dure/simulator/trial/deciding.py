"""One plan of the fast path: the turns of `scheduler.kernels.cycle`, without those that come to nothing.

Who starts, where, and who makes room is decided by the cycle's own kernels (`start_now`, `displace`, `soonest`, `keep`, and the
turns). What is left out decides nothing, because of this:

* **A class without room stays without.** If a demand finds no room though nothing is promised, no start can change that, in this
  plan or the next, until something is freed (`stuck`).
* **A promise can always be made** where nothing limits power, funds or quotas and no maintenance is to come: once everybody has
  left a site that could take the work when it was empty, it fits. So that it is given is known, and its project is charged for
  it, before it is known for when and where. These matter only to those who find room now, and it is made before they are tried
  (`owed`). Nobody can tell the difference, as nothing starts in between.
* **Realms do not meet.** Sites that no class has in common with others see none of the others' promises. A promise's end in
  another realm is a moment more at which the first moment of something is looked for, and it is not found there: between two
  departures of its own sites room only shrinks.
* **Promises hold for one plan.** So a plan in which nobody can get anything is over before it began.

Tries behind the first promise are bounded (`Rules.depth`), and what is left out would have been counted. Where there are so many
that the bound could be met, every turn is taken as in a plan (`EAGER`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.board import KEPT, PROMISES, TENURES, Board, board_at
from dure.scheduler.kernels.cycle import displace, soonest, start_now
from dure.scheduler.kernels.ground import I64, Table, column
from dure.scheduler.kernels.jit import constant, inlined, kernel, wide
from dure.scheduler.kernels.promised import keep
from dure.scheduler.kernels.sit import settle_node
from dure.scheduler.kernels.state import ASKING, LOOKED, NEVER, NOTHING, STARTS, WORKERS, Cycle, Found, Memory, cycle_at
from dure.scheduler.kernels.state import VICTIMS as DISPLACED
from dure.scheduler.kernels.turns import Turns, again, charge, due, line_up, next_row, sum_up
from dure.scheduler.kernels.victims import FORCE, Candidates
from dure.simulator.trial.candidates import know_candidates, sort_candidates
from dure.simulator.trial.columns import (
    ACTIVE,
    EAGER,
    ENTERED,
    FIRST,
    GIVEN,
    KNOWN,
    LIVE,
    LOWEST,
    MADE,
    NOW,
    NUMBER,
    OPEN,
    PLANS,
    UNKEPT,
    URGENT,
    VICTIMS,
    Track,
)
from dure.simulator.trial.lists import leave_line, served, stir, wait
from dure.simulator.trial.places import (
    attempt_of,
    claims_over,
    clear_place,
    decayed,
    lasts_until,
    leave,
    order_in,
    order_out,
    put_off,
    saved_since,
    seated,
    settle_use,
    sort_by,
)

F64 = NDArray[np.float64]

TAKES, ASKS = constant(0), constant(1)
NOTHING_LEAST = constant(0)  # ms of run time


@inlined
def decide(track: Track, cycle: Cycle) -> int:
    """One plan at this moment; how many made room."""
    tally = track.tally
    tally[OPEN] = tally[GIVEN] = tally[KNOWN] = tally[ENTERED] = tally[VICTIMS] = 0
    if _worth_it(track):
        _survey(track, cycle)
    if tally[OPEN] == 0:
        return 0
    own = _now(track, cycle)
    tally[PLANS] += 1
    put_off(own.board, tally[NOW])
    _take_turns(track, own)
    _end_promises(track, own.board)
    _forget(track, own.memory, own.demands.each.kind_ptr)
    return _settle(track, own.board, own.candidates)


@kernel
def _worth_it(track: Track) -> bool:
    """Whether anybody who waits may get something."""
    for i in range(track.tally[ACTIVE]):
        c = track.active[i]
        if not track.classes.stuck[c] or track.classes.urgent[c] > 0:
            return True
    return False


@inlined
def _survey(track: Track, cycle: Cycle) -> None:
    """Which classes may get something, now that nothing is promised."""
    tally, classes, every, looks = track.tally, track.classes, 0, 0
    for i in range(tally[ACTIVE]):
        c = track.active[i]
        classes.open[c] = False
        if not classes.stuck[c]:
            classes.stuck[c] = _seat(cycle, classes.row[c], ASKS) < 0
            classes.tried[c] = True
        every += classes.waiting[c]
        looks += 1 if classes.stuck[c] and classes.uniform[c] else classes.waiting[c]
    depth = cycle.rules.depth
    tally[EAGER] = depth > 0 and every > depth and (tally[URGENT] > 0 or looks > depth)
    _forget(track, cycle.memory, cycle.demands.each.kind_ptr)
    _open_all(track)


@kernel
def _open_all(track: Track) -> None:
    """What is known of the classes before anybody had a turn."""
    classes, eager = track.classes, track.tally[EAGER] != 0
    for i in range(track.tally[ACTIVE]):
        c = track.active[i]
        classes.stays[c], classes.calm[c] = classes.stuck[c] and not eager, classes.urgent[c] == 0
        _reckon(track, c)


@kernel
def _reckon(track: Track, c: int) -> None:
    classes = track.classes
    is_open = classes.waiting[c] > 0 and not (classes.stays[c] and classes.calm[c])
    if is_open != classes.open[c]:
        track.tally[OPEN] += 1 if is_open else -1
        classes.open[c] = is_open


@inlined
def _now(track: Track, cycle: Cycle) -> Cycle:
    """The cycle of this moment: nobody had a turn yet."""
    tally, turns, groups, lines = track.tally, cycle.turns, track.groups, 0
    tally[FIRST], cycle.found.used[LOOKED] = tally[NUMBER], 0
    for group in range(len(groups)):
        if groups.count[group] > 0:
            first = groups.first[group]
            line_up(turns, lines, groups.leaf[group], first, first + groups.count[group], groups.below_top[group])
            lines += 1
    if len(track.tenants) > 1:
        _use(track, turns)
    board = board_at(cycle.board, tally[NOW])
    return cycle_at(cycle, board, again(turns, lines), cycle.victims[: tally[LIVE]])


@kernel
def _use(track: Track, turns: Turns) -> None:
    """By tenant of whom somebody waits: what was used, decayed, and what runs for as long as it has run, added in the order of
    starts. Tenants are the rows behind the root, and behind organisations, where there are any: then all count."""
    tenants, jobs, now, use = track.tenants, track.jobs, track.tally[NOW], turns.use
    inner = len(use) - len(tenants)
    for tenant in range(len(tenants)):
        counts = inner > 1 or tenants.waiting[tenant] > 0
        use[inner + tenant] = decayed(track, tenants.use[tenant], now - tenants.use_ms[tenant]) if counts else 0.0
    for i in range(track.tally[LIVE]):
        row = track.live[i]
        use[inner + jobs.tenant[row]] += jobs.rate[row] * (now - jobs.started[row]) / 1000
    if inner > 1:
        use[:inner] = 0.0
        sum_up(turns)


# -- turns ---------------------------------------------------------------------------------------------------------------------


@inlined
def _take_turns(track: Track, cycle: Cycle) -> None:
    """Give everybody their turn who may yet get something. Most are told apart here: each array that a kernel is given costs time
    at each call."""
    tally, turns, used, rules = track.tally, cycle.turns, cycle.found.used, cycle.rules
    klass, limit, preempts, closed = cycle.queue.klass, cycle.queue.limit, cycle.queue.preempts, cycle.memory.closed
    stays, calm, kinds, first = track.classes.stays, track.classes.calm, cycle.demands.kind, cycle.demands.each.kind_ptr
    while tally[OPEN] > 0:
        row = next_row(turns)
        if row < 0 or (tally[GIVEN] > 0 and used[LOOKED] >= rules.depth):
            return  # nobody behind it is tried
        c, kind = klass[row], NOTHING - 1
        if not (stays[c] or closed[c] <= limit[row]) or (preempts[row] and not calm[c]):
            kind = _turn(track, cycle, row)
        if kind < NOTHING and tally[GIVEN] < rules.promises:
            kind = wide(kinds[first[c]])
            _owe(track, row)
            if tally[EAGER] != 0:
                _keep_owed(track, cycle, track.classes.realm[c])
        if kind >= NOTHING:
            _charge(track, turns, row, limit[row], kind)


@kernel
def _charge(track: Track, turns: Turns, row: int, limit: int, kind: int) -> None:
    classes, c = track.classes, track.jobs.klass[row]
    rate = track.core_rate[column(kind, len(track.core_rate))]
    use = due(classes.workers[c], classes.cores[c], classes.devices[c], rate, limit)
    charge(turns, len(turns.use) - len(track.tenants) + track.jobs.tenant[row], use)


@inlined
def _turn(track: Track, cycle: Cycle, row: int) -> int:
    """As a plan has it: start, or make others leave. On which type; less than NOTHING: neither."""
    classes, c, kind = track.classes, cycle.queue.klass[row], NOTHING - 1
    if not classes.stays[c] and cycle.memory.closed[c] > cycle.queue.limit[row]:
        kind = _start(track, cycle, row)
    if kind < NOTHING and cycle.queue.preempts[row] and not classes.calm[c]:
        kind = _claim(track, cycle, row)
    return kind


@kernel
def _seat(cycle: Cycle, row: int, asks: int) -> int:
    """The alternative on which it starts now beside the promises that are made; -1: there is no room. ASKS: nothing is taken, nor
    counted as a try."""
    used = cycle.found.used
    looked, used[ASKING] = used[LOOKED], asks
    alt = start_now(cycle, row)
    if asks != 0:
        used[LOOKED], used[ASKING] = looked, 0
    return int(alt)


@inlined
def _start(track: Track, cycle: Cycle, row: int) -> int:
    """The type on which it starts now; less than NOTHING: on none."""
    classes, c = track.classes, cycle.queue.klass[row]
    realm, board = track.realms[classes.realm[c]], cycle.board
    alt, classes.tried[c] = -1, True
    if realm.owed == 0 or _seat(cycle, row, ASKS) >= 0:
        _keep_owed(track, cycle, classes.realm[c])
        clear_place(board, cycle.candidates.tenure_ptr, row)
        alt = _seat(cycle, row, TAKES)
    if alt < 0:
        board.used[TENURES] = board.settled
        classes.stuck[c] |= realm.kept == 0
        classes.stays[c] = classes.stuck[c] or cycle.memory.closed[c] <= classes.least[c]
        _reckon(track, c)
        return NOTHING - 1
    kind = wide(cycle.demands.kind[alt])
    _got(track, board, cycle.found, cycle.candidates.tenure_ptr, row, kind)
    return kind


@kernel
def _got(track: Track, board: Board, found: Found, ptr: I64, row: int, kind: int) -> None:
    """It got a place; what the turn wrote down is taken over."""
    tally, c = track.tally, track.jobs.klass[row]
    seated(track, board, ptr, row, wide(found.starts.site[0]), kind)
    found.used[STARTS], found.used[WORKERS], found.used[DISPLACED] = 0, 0, 0
    served(track, row)
    track.entered[tally[ENTERED]] = row
    tally[ENTERED] += 1
    _reckon(track, c)


@inlined
def _claim(track: Track, cycle: Cycle, row: int) -> int:
    """The type on which it gets a place behind others that it makes leave; less than NOTHING: on none."""
    tally, classes, found, c = track.tally, track.classes, cycle.found, cycle.queue.klass[row]
    know_candidates(track, cycle.candidates, cycle.ends)
    alt = -1
    if cycle.queue.priority[row] > tally[LOWEST]:
        sort_candidates(track, cycle.candidates)
        _keep_owed(track, cycle, classes.realm[c])
        clear_place(cycle.board, cycle.candidates.tenure_ptr, row)
        classes.tried[c] = True
        alt = displace(cycle, row, FORCE)
    if alt < 0:
        cycle.board.used[TENURES] = cycle.board.settled
        classes.calm[c] = True
        _reckon(track, c)
        return NOTHING - 1
    harms = False
    for i in range(found.used[DISPLACED]):
        victim = found.victim[i] // 2
        own = track.jobs.tenant[victim] == track.jobs.tenant[row]
        harms, track.jobs.own[victim] = harms or not own, own
        track.gone[tally[VICTIMS]] = victim
        tally[VICTIMS] += 1
    track.jobs.claims[row], kind = True, wide(cycle.demands.kind[alt])
    _got(track, cycle.board, found, cycle.candidates.tenure_ptr, row, kind)
    track.jobs.harms[row] = harms
    for i in range(tally[ACTIVE]):  # it frees more than it takes, perhaps
        track.classes.stuck[track.active[i]] = False
    _open_all(track)
    return kind


# -- promises ------------------------------------------------------------------------------------------------------------------


@kernel
def _owe(track: Track, row: int) -> None:
    """It is promised a moment; which one is looked for when it matters."""
    tally, realm = track.tally, track.classes.realm[track.jobs.klass[row]]
    track.owed.row[tally[GIVEN]], track.owed.kept[tally[GIVEN]] = row, False
    tally[GIVEN] += 1
    track.realms.owed[realm] += 1


@kernel
def _keep_owed(track: Track, cycle: Cycle, realm: int) -> None:
    """Make the promises of a realm that were given and are not made yet, in the order in which they were given."""
    tally, owed, at = track.tally, track.owed, 0
    while track.realms.owed[realm] > 0 and at < tally[GIVEN]:
        row = owed.row[at]
        if not owed.kept[at] and track.classes.realm[track.jobs.klass[row]] == realm:
            moment, alt, site = soonest(cycle, row)
            tally[UNKEPT] += site < 0
            tally[MADE] += 1
            if site >= 0:
                keep(cycle, row, alt, site, moment)
            owed.kept[at] = True
            track.realms.owed[realm] -= 1
            track.realms.kept[realm] += 1
        at += 1


@kernel
def _end_promises(track: Track, board: Board) -> None:
    for i in range(board.used[KEPT]):
        board.here.kept[board.seats.node[i]] = -1
    for i in range(track.tally[GIVEN]):
        realm = track.realms[track.classes.realm[track.jobs.klass[track.owed.row[i]]]]
        realm.owed, realm.kept = 0, 0
    board.used[PROMISES], board.used[KEPT] = 0, 0


# -- afterwards ----------------------------------------------------------------------------------------------------------------


@kernel
def _forget(track: Track, memory: Memory, kind_ptr: I64) -> None:
    """What failed in this plan, of those who still wait and of those who do no more."""
    for i in range(track.tally[ACTIVE]):
        _forget_class(track.classes, memory, kind_ptr, track.active[i])
    for i in range(track.tally[ENTERED]):
        _forget_class(track.classes, memory, kind_ptr, wide(track.jobs.klass[track.entered[i]]))


@kernel
def _forget_class(classes: Table, memory: Memory, kind_ptr: I64, c: int) -> None:
    if not classes.tried[c]:
        return
    classes.tried[c] = False
    memory.closed[c], memory.calm[FORCE, c] = NEVER, -NEVER
    for alt in range(kind_ptr[c], kind_ptr[c + 1]):
        for site in range(memory.full.shape[1]):
            memory.full[alt, site], memory.spared[FORCE, site, alt] = NEVER, -NEVER


@kernel
def _settle(track: Track, board: Board, candidates: Candidates) -> int:
    """Who got a place waits no more; whoever makes room has left and waits again. How many those are."""
    tally, jobs, ptr, victims = track.tally, track.jobs, candidates.tenure_ptr, track.tally[VICTIMS]
    for i in range(tally[ENTERED]):
        leave_line(jobs, track.rows, track.groups, track.entered[i])
    if victims == 0:
        return 0
    for i in range(tally[ENTERED]):
        if jobs.claims[track.entered[i]]:
            claims_over(board, ptr, track.entered[i])
    for i in range(victims):
        claims_over(board, ptr, track.gone[i])
    sort_by(jobs.number, track.gone, track.merged, victims)
    for i in range(victims):
        candidates.taken[attempt_of(track.gone[i])] = False
        _displaced(track, board, ptr, track.gone[i])
    for i in range(tally[ENTERED]):
        if jobs.claims[track.entered[i]]:
            jobs.claims[track.entered[i]] = False
            _its_own(track, board, ptr, track.entered[i])
    return int(victims)


@kernel
def _its_own(track: Track, board: Board, ptr: I64, row: int) -> None:
    """A claim was reckoned from when the last of those who make room would have left; it begins now."""
    for tenure in range(ptr[attempt_of(row)], ptr[attempt_of(row) + 1]):
        order_out(board, tenure)
        board.tenures.end[tenure] = lasts_until(track, row)
        order_in(board, tenure)
        settle_node(board, wide(board.tenures.node[tenure]))


@kernel
def _displaced(track: Track, board: Board, ptr: I64, row: int) -> None:
    """It waits again, with what it has not saved to be done again."""
    jobs, now, cells = track.jobs, track.tally[NOW], board.cells
    saved, started, site = saved_since(track, row), jobs.started[row], wide(jobs.site[row])
    settle_use(track, row, now, NOTHING_LEAST)
    leave(track, board, ptr, row, now)
    stir(track, cells.size, cells.cell.top, site)
    jobs.left[row] -= saved - started
    jobs.lost[row] += now - saved
    if started < now:  # others were seated at this very moment, and somebody else is in their place
        jobs.preemptions[row] += 1
    elif jobs.start[row] == now and jobs.preemptions[row] == 0:
        jobs.start[row] = -1  # it has not run at all
    wait(track, row)
