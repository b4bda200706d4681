"""Who may be asked to make room at this moment, cheapest first; kernels of the fast path. Made when the first workload that takes
others' places finds none free, as `scheduler.tables.candidates_of` makes it of a snapshot."""

from __future__ import annotations

from dure.scheduler.attempts import OVERDUE_MS
from dure.scheduler.kernels.ground import I64
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.state import NEVER
from dure.scheduler.kernels.victims import Candidates
from dure.simulator.trial.columns import CANDIDATES, F64, FIRST, KNOWN, LIVE, LOWEST, NOW, Track
from dure.simulator.trial.lists import ATTAINED, REMAINING, step_of
from dure.simulator.trial.places import attempt_of, lasts_until, saved_since


@kernel
def know_candidates(track: Track, candidates: Candidates, ends: I64) -> None:
    """Who may be asked at all, and what there is to know of each, unless it is known already."""
    tally, jobs, found = track.tally, track.jobs, 0
    if tally[KNOWN] != 0:
        return
    tally[KNOWN], tally[LOWEST] = 1, NEVER
    for i in range(tally[LIVE]):
        row = track.live[i]
        if jobs.number[row] >= tally[FIRST] or jobs.started[row] + track.way.min_run_ms > tally[NOW]:
            continue
        if track.way.anyone or jobs.preemptible[row]:
            _describe(track, candidates.lost, candidates.gone, ends, row)
            track.candidates[found] = row
            found += 1
            tally[LOWEST] = min(tally[LOWEST], track.priorities[attempt_of(row)])
    tally[CANDIDATES] = found


@kernel
def sort_candidates(track: Track, candidates: Candidates) -> None:
    """By site, the cheapest first, if they are not yet."""
    if track.tally[KNOWN] < 2:
        track.tally[KNOWN] = 2
        _sort(candidates, track.jobs.started, track.candidates, track.merged, track.tally[CANDIDATES])
        _by_site(track, candidates, track.tally[CANDIDATES])


@kernel
def _describe(track: Track, lost: F64, gone: I64, ends: I64, row: int) -> None:
    jobs, order, at, now = track.jobs, track.way.order, attempt_of(row), track.tally[NOW]
    ends[at] = lasts_until(track, row)
    gone[at] = now + OVERDUE_MS  # nobody has a grace here
    lost[at] = jobs.worth[row] * max(now - saved_since(track, row), 0) / 1000
    priority = track.priority[row]
    if order == REMAINING:
        priority = now - jobs.finish[row]
    elif order == ATTAINED:
        priority = -step_of(track.steps, jobs.attained[row] + (now - jobs.started[row]) * jobs.width[row])
    track.priorities[at] = priority


@kernel
def _before(candidates: Candidates, started: I64, one: int, other: int) -> bool:
    """Whether one goes strictly before another: less lost work, lower priority, younger."""
    a, b = attempt_of(one), attempt_of(other)
    if candidates.lost[a] != candidates.lost[b]:
        return bool(candidates.lost[a] < candidates.lost[b])
    if candidates.priority[a] != candidates.priority[b]:
        return bool(candidates.priority[a] < candidates.priority[b])
    return bool(started[one] > started[other])


@kernel
def _sort(candidates: Candidates, started: I64, rows: I64, merged: I64, count: int) -> None:
    """By merging runs of twice the length each time; equal ones stay as they stand, which is the order of their starts."""
    length = 1
    while length < count:
        for first in range(0, count, 2 * length):
            middle, behind = min(first + length, count), min(first + 2 * length, count)
            one, other = first, middle
            for at in range(first, behind):
                if other < behind and (one >= middle or _before(candidates, started, rows[other], rows[one])):
                    merged[at] = rows[other]
                    other += 1
                else:
                    merged[at] = rows[one]
                    one += 1
        for at in range(count):
            rows[at] = merged[at]
        length *= 2


@kernel
def _by_site(track: Track, candidates: Candidates, count: int) -> None:
    """By site, those of a site as they stand."""
    ptr = candidates.ptr
    ptr[:] = 0
    for i in range(count):
        ptr[track.jobs.site[track.candidates[i]] + 1] += 1
    for site in range(len(ptr) - 1):
        ptr[site + 1] += ptr[site]
    for i in range(count):  # each site's beginning moves to its end,
        site = track.jobs.site[track.candidates[i]]
        candidates.attempt[ptr[site]] = attempt_of(track.candidates[i])
        ptr[site] += 1
    for site in range(len(ptr) - 1, 0, -1):  # which is where the next one begins
        ptr[site] = ptr[site - 1]
    ptr[0] = 0
    candidates.firm[:] = ptr[:-1]  # work that yields is not decided on here
