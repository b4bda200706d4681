"""What is known of those that have a place: when they are gone at the latest, which of them may be asked to make room, and what
work they would lose by it.

Whoever is asked to make room is gone within its grace, or by its limit where that comes first. So a claim begins no later than
that, and what is promised behind it rests on graces as other promises do on limits: the site keeps both in the same way, and who
is still there afterwards counts as gone a second from now, again and again.

Only RUNNING, preemptible attempts of strictly lower priority that have run their guaranteed time and make room for nobody yet
are victims; strictly lower, so no chain of preemptions comes back to its beginning. Work of a class that yields is guaranteed
none, and makes room for all work of a higher priority; other work only for what preempts. Those that yield go first. Then
cheapest first, by the work that would be lost: workers x (cores + devices x core_rate) x time since the last checkpoint, in
normalised core-seconds; then lowest priority, then youngest, then id."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.attempts import lost_by
from dure.scheduler.kernels.sorting import sort_by
from dure.scheduler.snapshot import CLAIMED, F64, FOREVER_MS, I32, I64, RUNNING, Attempts, Bool, Snapshot

OVERDUE_MS = 1_000  # an attempt past its latest end is expected to be reported gone within a second


def owners(s: Snapshot) -> I64:
    """The attempt of each worker."""
    ptr = s.attempts.worker_ptr
    return np.arange(len(s.attempts.ids)).repeat(ptr[1:] - ptr[:-1])


def projects_of(attempts: Attempts) -> I32:
    """Whose each is, also in the place to which it moves, which is counted as no project's; -1: nobody knows."""
    return np.where(attempts.follows >= 0, attempts.project[attempts.follows], attempts.project)


def latest_ends(s: Snapshot) -> I64:
    """When each live attempt is gone at the latest. A claim starts when its victims have left, so it ends later than planned; and
    what is moved begins in its new place when it has left the old one."""
    a = s.attempts
    ends = np.maximum(a.ends_ms, s.now_ms + OVERDUE_MS)
    leaving, moved = np.flatnonzero(a.beneficiary >= 0), np.flatnonzero(a.follows >= 0)
    if not len(leaving) and not len(moved):  # who is moved may outlast the claim that it made room for
        return ends
    start = np.zeros(len(a.ids), np.int64)
    np.maximum.at(start, a.beneficiary[leaving], ends[leaving])
    start[moved] = ends[a.follows[moved]]
    delayed = np.minimum(start + (a.ends_ms - a.started_ms), FOREVER_MS)
    return np.where(((a.state == CLAIMED) | (a.follows >= 0)) & (start > 0), np.maximum(ends, delayed), ends)


def gone_if_asked(s: Snapshot, at_ms: int, ends: I64) -> I64:
    """By attempt: when it is gone at the latest if it is told at a moment to make room: after its grace, and the second in which
    its end is expected to be reported; or by its limit. ends: as in `latest_ends`."""
    heard_ms = at_ms + OVERDUE_MS
    gone: I64 = np.minimum(np.maximum(ends, heard_ms), heard_ms + s.attempts.grace_ms)
    return gone


def preemptible(s: Snapshot) -> Bool:
    """Attempts that may be asked to make room once they have run their guaranteed time, if it is known where they are."""
    a = s.attempts
    may: Bool = (a.state == RUNNING) & a.preemptible & (a.beneficiary < 0) & (a.worker_ptr[1:] > a.worker_ptr[:-1])
    return may


def followed(attempts: Attempts) -> Bool:
    """Who goes on elsewhere once it has left: for quotas it stays."""
    found = np.zeros(len(attempts.ids), np.bool_)
    found[attempts.follows[attempts.follows >= 0]] = True
    return found


def rests(s: Snapshot, at_ms: int) -> I64:
    """By attempt: how long it may stay elsewhere if it is moved at a moment; 0: it is not. It has its guaranteed run in every
    place, whatever its class, sits on one node, and has its devices whole."""
    a, workers = s.attempts, np.diff(s.attempts.worker_ptr)
    may = preemptible(s) & (a.started_ms + s.policy.min_run_ms <= at_ms) & (a.share_milli == 0) & (workers > 0)
    first = np.append(a.worker_node, 0)[a.worker_ptr[:-1]]
    may[owners(s)[a.worker_node != np.repeat(first, workers)]] = False
    return np.where(may, a.rest_ms, 0)


def guaranteed_until(s: Snapshot) -> I64:
    """By attempt: until when it is left alone; 0: one that yields never is."""
    until: I64 = np.where(s.attempts.yields, 0, s.attempts.started_ms + s.policy.min_run_ms)
    return until


def lost_work(s: Snapshot, at_ms: int) -> F64:
    """By attempt, what is lost if it stops at a moment, in normalised core-seconds."""
    a, lost = s.attempts, np.empty(len(s.attempts.ids))
    lost_by(
        a.worker_ptr, a.worker_node, a.worker_mask, a.share_milli, a.cores_milli, s.nodes.accelerator, s.core_rate,
        a.checkpoint_ms, at_ms, lost,
    )  # fmt: skip
    return lost


def victims_first(s: Snapshot, at_ms: int, lost: F64, ends: I64) -> I32:
    """Rows of those that may be asked at a moment, if nothing but time changes until then: first those
    that yield, of either the cheapest first."""
    a = s.attempts
    rows = np.flatnonzero(preemptible(s) & (guaranteed_until(s) <= at_ms) & (ends > at_ms))
    # the order of rows is that of ids; and of numbers that are not negative the bits are in their order
    for key in (-a.started_ms, a.priority, lost.view(np.int64), ~a.yields):
        rows = sort_by(key.astype(np.int64), rows)
    return rows.astype(np.int32)
