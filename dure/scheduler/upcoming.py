"""Which event comes next that helps a workload on its way, and what its moment rests on."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dure.model.reason import ReasonKind
from dure.scheduler.capacity import latest_ends
from dure.scheduler.cycle import Cycle
from dure.scheduler.plan import WAIT_CODE, Plan
from dure.scheduler.shapes import Verdict
from dure.scheduler.snapshot import CLAIMED, FOREVER_MS, STOPPING, Bool, Snapshot
from dure.scheduler.victims import Candidates, cheapest, guaranteed_until, preemptible


class NextKind(StrEnum):
    """What happens. The subject of the first two is a workload, of the last an award, of the others an attempt of `workload`."""

    PAUSE_ENDS = "pause_ends"
    PROMISE_STARTS = "promise_starts"
    ATTEMPT_ENDS = "attempt_ends"
    PREEMPTION = "preemption"  # the subject is asked to make room for it
    VICTIM_LEAVES = "victim_leaves"  # the subject was asked to and is the last to be gone
    AWARD_OPENS = "award_opens"  # the subject is an award of the project; not of a plan, which knows open ones alone


class Basis(StrEnum):
    """What the moment of an event rests on."""

    PAUSE = "pause"
    PROMISE = "promise"
    LIMIT = "limit"  # of the attempt that ends, its grace included
    GRACE = "grace"  # it was told to stop
    GUARANTEED_RUN = "guaranteed_run"  # until its end nobody may take its place
    AWARD = "award"  # its first moment


@dataclass(frozen=True, slots=True)
class NextEvent:
    """What happens next that helps. Ids are of workloads and attempts; who may see them is not decided here."""

    kind: NextKind
    subject: str
    at_ms: int  # at the latest; of a preemption: not before
    basis: Basis
    workload: str = ""  # whose attempt the subject is
    victims: int = 0  # how many make room, the subject among them


def next_event(cycle: Cycle, plan: Plan, row: int) -> NextEvent | None:
    """For a workload that waits after `cycle` has run: the end of its pause; a preemption that comes before any promise to it;
    the start of the promise that it waits behind; or the end of an attempt: the one on which its own promise rests, else the
    first to leave a site in question."""
    s = cycle.s
    if s.pending.eligible_ms[row] > s.now_ms:
        return NextEvent(NextKind.PAUSE_ENDS, s.pending.ids[row], int(s.pending.eligible_ms[row]), Basis.PAUSE)
    promised = np.flatnonzero(plan.reserve_pending == row).tolist()
    before_ms = int(plan.reserve_ms[promised[0]]) if promised else int(FOREVER_MS)
    forced = by_force(cycle, row, before_ms)
    if forced is not None:
        return forced
    if promised:
        nodes = plan.reserve_node[plan.reserve_worker_ptr[promised[0]] : plan.reserve_worker_ptr[promised[0] + 1]]
        ending = [e for e in _endings(cycle, np.isin(np.arange(cycle.ground.size), nodes)) if e.at_ms <= before_ms]
        return ending[-1] if ending else NextEvent(NextKind.PROMISE_STARTS, s.pending.ids[row], before_ms, Basis.PROMISE)
    own: Verdict = (int(plan.wait_code[row]), tuple(plan.wait_facts[row].tolist()))
    if own[0] == WAIT_CODE[ReasonKind.WAITS_RESERVED]:
        return NextEvent(NextKind.PROMISE_STARTS, s.pending.ids[own[1][0]], own[1][1], Basis.PROMISE)
    group = cycle.groups[cycle.group_of[row]]
    if group.standing.verdict is not None:
        return None
    return next(iter(_endings(cycle, np.logical_or.reduce(group.standing.sites)[cycle.ground.site])), None)


def _endings(cycle: Cycle, nodes: Bool) -> list[NextEvent]:
    """When attempts on these nodes end, in order, as far as anybody knows. Claims free nothing soon."""
    a, tenures = cycle.s.attempts, cycle.ground.tenures
    owner = np.repeat(np.arange(len(a.ids)), np.diff(a.worker_ptr))
    rows = np.flatnonzero(nodes[tenures.node[: len(owner)]] & (a.state[owner] != CLAIMED))
    ends = sorted({(int(tenures.end[r]), a.ids[owner[r]], int(owner[r])) for r in rows.tolist()})
    return [_ending(cycle.s, i, at_ms) for at_ms, _, i in ends if at_ms < FOREVER_MS]


def _ending(s: Snapshot, attempt: int, at_ms: int) -> NextEvent:
    basis = Basis.GRACE if s.attempts.state[attempt] == STOPPING else Basis.LIMIT
    return NextEvent(NextKind.ATTEMPT_ENDS, s.attempts.ids[attempt], at_ms, basis, s.attempts.workloads[attempt])


# -- preemption -----------------------------------------------------------------------------------------------------------


def by_force(cycle: Cycle, row: int, before_ms: int) -> NextEvent | None:
    """For a waiting workload that may preempt: the event with which it can, if nothing else happens until then than that
    guaranteed runs end and attempts reach their limits. Mostly the end of a guaranteed run; or of an attempt beside which too few
    others could be asked. None when neither comes before `before_ms`."""
    group, ahead = cycle.groups[cycle.group_of[row]], cycle.done.ahead
    in_turn = ahead.get(row, cycle.done.tried) < cycle.done.tried
    if not (group.preempts and in_turn and cycle.ways(group)):
        return None
    s, taken = cycle.s, cycle.candidates.taken
    kept = [node for r, p in cycle.done.promises.items() if ahead[r] < ahead[row] for node in p.seats.nodes]
    guaranteed = guaranteed_until(s)
    moments = np.unique(np.concatenate([guaranteed[preemptible(s)], latest_ends(s)]))
    moments = moments[(moments > s.now_ms) & (moments < before_ms)]
    at = bisect_left(moments.tolist(), True, key=lambda at_ms: Candidates(s, cycle.ground, at_ms, taken).suffice(group, kept))
    if at == len(moments):
        return None
    at_ms = int(moments[at])
    found = cheapest(Candidates(s, cycle.ground, at_ms, taken), cycle.ground, group, kept)
    victims = found[2] if found else []
    due = [v for v in victims if guaranteed[v] == at_ms]
    if due:
        return _asked(s, due[0], at_ms, len(victims))
    usable = np.logical_or.reduce([cycle.ground.usable(w.accelerator) & w.sites[cycle.ground.site] for w in group.ways])
    return next((e for e in _endings(cycle, usable) if e.at_ms == at_ms), None)


def _asked(s: Snapshot, victim: int, at_ms: int, victims: int) -> NextEvent:
    a = s.attempts
    return NextEvent(NextKind.PREEMPTION, a.ids[victim], at_ms, Basis.GUARANTEED_RUN, a.workloads[victim], victims)


def asked_now(s: Snapshot, plan: Plan, start: int) -> NextEvent | None:
    """Whom a plan asks to make room for its start number `start`; None when that one starts at once."""
    victims = plan.victim_attempt[plan.start_victim_ptr[start] : plan.start_victim_ptr[start + 1]].tolist()
    return _asked(s, victims[0], s.now_ms, len(victims)) if victims else None


def leaving(s: Snapshot, workload: str) -> NextEvent | None:
    """For a workload that holds a claim: when the last of those that make room for it is gone, at the latest. None when it holds
    none, when they have left already, or when their site is not heard of: then nobody knows."""
    a = s.attempts
    claims = [i for i, id in enumerate(a.workloads) if id == workload and a.state[i] == CLAIMED]
    victims = np.flatnonzero(np.isin(a.beneficiary, claims)).tolist()
    if not victims or not s.sites.reachable[s.nodes.site[a.worker_node[a.worker_ptr[claims[0]]]]]:
        return None
    ends = latest_ends(s)
    last = max(victims, key=lambda v: (ends[v], a.ids[v]))
    return NextEvent(NextKind.VICTIM_LEAVES, a.ids[last], int(ends[last]), Basis.GRACE, a.workloads[last], len(victims))
