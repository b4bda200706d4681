"""The loop over time of the fast path: jobs end and arrive, and who waits is decided about; kernels."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.board import Board
from dure.scheduler.kernels.ground import I64
from dure.scheduler.kernels.heap import pop, push
from dure.scheduler.kernels.jit import kernel, wide
from dure.scheduler.kernels.state import NEVER, Cycle
from dure.simulator.trial.columns import (
    AGAIN,
    ARRIVED,
    DONE,
    ENDED,
    ENTERED,
    HEAP,
    LIVE,
    LONGER,
    MORE,
    NOW,
    OVER,
    STEPS,
    STRETCHES,
    UNKEPT,
    UNSURE,
    URGENT,
    WAITING,
    Track,
)
from dure.simulator.trial.deciding import decide
from dure.simulator.trial.fragmentation import Wasted, look_at_jobs, sample
from dure.simulator.trial.history import KEPT, LEAST_MS, MARGIN, MEAN_OF
from dure.simulator.trial.lists import stir, wait
from dure.simulator.trial.places import leave, settle_use, sort_by

AGAIN_MAX = 100  # plans at one moment: what was preempted may find room elsewhere


@kernel
def advance(track: Track, cycle: Cycle, wasted: Wasted, steps: int) -> int:
    """So many steps, or until nothing happens any more (OVER). LONGER: call again with longer `stretches`, or `wasted`. UNSURE:
    what was decided rests on a promise that could not be made, and is of no worth."""
    tally, until = track.tally, track.tally[STEPS] + steps
    board, ptr = cycle.board, cycle.candidates.tenure_ptr
    while tally[STEPS] < until:
        if wasted.used[0] == len(wasted.samples):
            return LONGER
        if tally[AGAIN] == 0:
            if len(track.stretches) - tally[STRETCHES] < 2 * tally[LIVE] + 2:
                return LONGER
            if not _happens(track, board, ptr):
                return OVER
            look_at_jobs(wasted, board.ground, board.tenures, ptr, track.gone, tally[DONE])
        elif len(track.stretches) - tally[STRETCHES] < tally[LIVE] + 1:
            return LONGER
        tally[AGAIN] += 1
        _tidy(track)
        displaced = 0
        if tally[WAITING] > 0:
            displaced = decide(track, cycle)
            look_at_jobs(wasted, board.ground, board.tenures, ptr, track.entered, tally[ENTERED])
            look_at_jobs(wasted, board.ground, board.tenures, ptr, track.gone, displaced)
        if tally[UNKEPT] > 0:
            return UNSURE
        if displaced == 0 or tally[AGAIN] == AGAIN_MAX:
            tally[AGAIN] = 0
            tally[STEPS] += 1
            sample(wasted, tally[NOW])
    return MORE


@kernel
def _happens(track: Track, board: Board, ptr: I64) -> bool:
    """Go on to the next moment at which something happens; False: there is none."""
    tally, every = track.tally, track.way.every_ms
    at = _next(track)
    if at >= NEVER:
        return False
    tally[NOW] = -(-at // every) * every if every > 0 else at
    _end(track, board, ptr)
    _arrive(track)
    return True


@kernel
def _next(track: Track) -> int:
    """The moment of the next event."""
    jobs, tally, at = track.jobs, track.tally, NEVER
    if tally[ARRIVED] < len(jobs):
        at = min(at, jobs.submit[tally[ARRIVED]])
    _drop_stale(track)
    if tally[HEAP] > 0:
        at = min(at, track.heap_key[0])
    if len(track.steps) > 0 and tally[WAITING] > 0:
        at = min(at, _next_fall(track))
    if track.way.min_run_ms > 0 and tally[URGENT] > 0:
        at = min(at, _next_guarantee(track))
    return int(at)


@kernel
def _drop_stale(track: Track) -> None:
    """The first entry of the heap is the end of one that runs."""
    jobs, tally = track.jobs, track.tally
    while tally[HEAP] > 0:
        row = track.heap_row[0]
        if jobs.live[row] and jobs.finish[row] == track.heap_key[0]:
            return
        pop(track.heap_key, track.heap_row, 0, tally[HEAP])
        tally[HEAP] -= 1


@kernel
def _tidy(track: Track) -> None:
    """Keep the heap short enough for a plan that starts everybody."""
    jobs, tally = track.jobs, track.tally
    if tally[HEAP] + tally[WAITING] < len(track.heap_key):
        return
    tally[HEAP] = 0
    for i in range(tally[LIVE]):
        row = track.live[i]
        push(track.heap_key, track.heap_row, 0, tally[HEAP], jobs.finish[row], row)
        tally[HEAP] += 1


@kernel
def _next_fall(track: Track) -> int:
    """When the next running one has attained so much that others may take its place."""
    jobs, now, first = track.jobs, track.tally[NOW], NEVER
    for i in range(track.tally[LIVE]):
        row = track.live[i]
        had = jobs.attained[row] + (now - jobs.started[row]) * jobs.width[row]
        for step in track.steps:
            if step > had:
                first = min(first, now - (had - step) // jobs.width[row])
                break
    return int(first)


@kernel
def _next_guarantee(track: Track) -> int:
    """When the next running one has had its guaranteed run, while somebody waits who may take its place."""
    jobs, now, first = track.jobs, track.tally[NOW], NEVER
    for i in range(track.tally[LIVE]):
        row = track.live[i]
        until = jobs.started[row] + track.way.min_run_ms
        if until > now and jobs.preemptible[row]:
            first = min(first, until)
    return int(first)


@kernel
def _end(track: Track, board: Board, ptr: I64) -> None:
    """Everybody who is done by now leaves: places in the order of their starts, use in that of their ends."""
    jobs, tally, rows, count = track.jobs, track.tally, track.gone, 0
    _drop_stale(track)
    while tally[HEAP] > 0 and track.heap_key[0] <= tally[NOW]:
        row = pop(track.heap_key, track.heap_row, 0, tally[HEAP])
        tally[HEAP] -= 1
        rows[count], jobs.end[row] = row, jobs.finish[row]
        count += 1
        jobs.live[row] = False  # another entry of it is stale
        _drop_stale(track)
    sort_by(jobs.number, rows, track.merged, count)
    for i in range(count):
        leave(track, board, ptr, rows[i], jobs.end[rows[i]])
    for i in range(count):
        stir(track, board.cells.size, board.cells.cell.top, wide(jobs.site[rows[i]]))
    sort_by(jobs.end, rows, track.merged, count)
    for i in range(count):
        settle_use(track, rows[i], jobs.end[rows[i]], track.way.min_run_ms)
        jobs.left[rows[i]] = 0
        if track.way.foresees:
            _learn(track, rows[i])
    tally[ENDED] += count
    tally[DONE] = count


@kernel
def _arrive(track: Track) -> None:
    jobs, tally = track.jobs, track.tally
    happened = tally[DONE] > 0
    while tally[ARRIVED] < len(jobs) and jobs.submit[tally[ARRIVED]] <= tally[NOW]:
        row = tally[ARRIVED]
        if happened and jobs.apart[row]:
            return
        happened = True
        tally[ARRIVED] += 1
        if track.way.foresees:
            _foresee(track, row)
        wait(track, row)


# -- what is known of a job when it comes: as `history` has it -------------------------------------------------------------------


@kernel
def _learn(track: Track, row: int) -> None:
    past = track.past
    for kind in past.kinds[row]:
        if kind >= 0:
            past.ran[kind, past.ended[kind] % KEPT] = track.jobs.duration[row]
            past.ended[kind] += 1


@kernel
def _foresee(track: Track, row: int) -> None:
    """Its wall time is the caller's assumption until something was learned."""
    past, limits, like = track.past, track.limit, -1
    for kind in past.kinds[row]:
        if like < 0 and kind >= 0 and past.ended[kind] > 0:
            like = kind
    expected, longest = limits[row], np.int64(0)
    if like >= 0:
        ended, total = past.ended[like], np.int64(0)
        for i in range(min(ended, MEAN_OF)):
            total += past.ran[like, (ended - 1 - i) % KEPT]
        expected = total // min(ended, MEAN_OF)
        for i in range(min(ended, KEPT)):
            longest = max(longest, past.ran[like, i])
    past.expected[row] = track.jobs.width[row] * expected
    if track.way.learns and like >= 0 and not track.jobs.named[row]:
        limits[row] = max(np.int64(LEAST_MS), MARGIN * longest)
