"""Who waits, in the order of turns, and of which classes; kernels of the fast path."""

from __future__ import annotations

from dure.scheduler.kernels.ground import I64, Gang, Table
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.seat import bound
from dure.simulator.trial.columns import ACTIVE, URGENT, WAITING, Track
from dure.simulator.trial.rules import ORDERS, Order

REMAINING, ATTAINED = ORDERS.index(Order.REMAINING), ORDERS.index(Order.ATTAINED)
SHORTEST, EXPECTED = ORDERS.index(Order.SHORTEST), ORDERS.index(Order.EXPECTED)


@kernel
def step_of(steps: I64, attained: int) -> int:
    """How many of the steps a job has fallen that attained so much."""
    found = 0
    while found < len(steps) and steps[found] <= attained:
        found += 1
    return found


@kernel
def key_of(track: Track, row: int) -> int:
    """In which order those who wait have their turn: smallest first, then the lower row."""
    order, jobs = track.way.order, track.jobs
    if order == SHORTEST:
        return int(jobs.duration[row])
    if order == EXPECTED:
        return int(track.past.expected[row])
    if order == REMAINING:
        return int(jobs.left[row])
    if order == ATTAINED:
        return step_of(track.steps, jobs.attained[row])
    return int(jobs.turn[row])


@kernel
def _place(jobs: Table, rows: I64, first: int, behind: int, row: int) -> int:
    """The first entry of a stretch that is not before a job."""
    key = jobs.key[row]
    while first < behind:
        middle = (first + behind) // 2
        other = rows[middle]
        if jobs.key[other] < key or (jobs.key[other] == key and other < row):
            first = middle + 1
        else:
            behind = middle
    return first


@kernel
def wait(track: Track, row: int) -> None:
    """A job waits from now on."""
    jobs, tally = track.jobs, track.tally
    urgent, c = jobs.urgent[row], jobs.klass[row]
    tally[WAITING] += 1
    tally[URGENT] += urgent
    track.tenants.waiting[jobs.tenant[row]] += 1
    if not jobs.standing[row]:
        return
    jobs.key[row] = key_of(track, row)
    if track.way.order == REMAINING or track.way.order == ATTAINED:
        track.priority[row] = -jobs.key[row]
    _line_up(jobs, track.rows, track.groups, row)
    classes = track.classes
    if classes.waiting[c] == 0:
        classes.place[c], classes.stuck[c], classes.open[c] = tally[ACTIVE], False, False
        track.active[tally[ACTIVE]] = c
        tally[ACTIVE] += 1
    classes.waiting[c] += 1
    classes.urgent[c] += urgent


@kernel
def _line_up(jobs: Table, rows: I64, groups: Table, row: int) -> None:
    group = jobs.group[row]
    first, behind = groups.first[group], groups.first[group] + groups.count[group]
    at = _place(jobs, rows, first, behind, row)
    for i in range(behind, at, -1):
        rows[i] = rows[i - 1]
    rows[at] = row
    groups.count[group] += 1


@kernel
def served(track: Track, row: int) -> None:
    """A job waits no more; it stands in its line until `leave_line`."""
    tally, classes, c = track.tally, track.classes, track.jobs.klass[row]
    urgent = track.jobs.urgent[row]
    tally[WAITING] -= 1
    tally[URGENT] -= urgent
    track.tenants.waiting[track.jobs.tenant[row]] -= 1
    classes.waiting[c] -= 1
    classes.urgent[c] -= urgent
    if classes.waiting[c] == 0:
        tally[ACTIVE] -= 1
        last, place = track.active[tally[ACTIVE]], classes.place[c]
        track.active[place], classes.place[last] = last, place


@kernel
def leave_line(jobs: Table, rows: I64, groups: Table, row: int) -> None:
    group = jobs.group[row]
    first, behind = groups.first[group], groups.first[group] + groups.count[group]
    for i in range(_place(jobs, rows, first, behind, row), behind - 1):
        rows[i] = rows[i + 1]
    groups.count[group] -= 1


@kernel
def stir(track: Track, size: I64, top: I64, site: int) -> None:
    """Something was freed at a site: of those classes that found no room, whom it may help is looked at again. Who wants more
    devices than the nodes of a run have free together is stuck as before. size, top: of the index."""
    classes, ways = track.classes, track.ways
    for i in range(track.tally[ACTIVE]):
        c = track.active[i]
        if not classes.stuck[c]:
            continue
        gang = Gang(classes.workers[c], classes.cores[c], classes.memory[c], classes.devices[c], 0, 0)
        for way in range(classes.way[c], classes.way[c + 1]):
            if ways.site[way] == site and bound(size, top, ways.low[way], ways.high[way], gang) >= gang.workers:
                classes.stuck[c] = False
                break
