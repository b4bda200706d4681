"""Why a workload waits, in full: every true reason, what each site says, what was promised, what would start it, and which event
comes next. All of it from the functions that plan, so that it can never say anything else than what they do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dure.model.reason import Reason, ReasonKind
from dure.scheduler.change import Change, NoChange, Rater
from dure.scheduler.cycle import Cycle, not_yet
from dure.scheduler.plan import WAIT_CODE, Plan, make_reason
from dure.scheduler.shapes import Group, Verdict, Way, allowed_sites, standing
from dure.scheduler.smallest import PLANS_MAX, suggest
from dure.scheduler.snapshot import CLAIMED, FOREVER_MS, Snapshot

TURN, RESERVED = WAIT_CODE[ReasonKind.WAITS_FOR_TURN], WAIT_CODE[ReasonKind.WAITS_RESERVED]


@dataclass(frozen=True, slots=True)
class NextEvent:
    """What happens next that helps. kind: pause_ends, attempt_ends, promise_starts; subject: workload or attempt id."""

    kind: str
    subject: str
    at_ms: int  # at the latest


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    reasons: tuple[Reason, ...]  # what the owner can do most about first; empty: it starts
    sites: tuple[tuple[str, Reason], ...] = ()  # each site's own answer
    promised_ms: int = 0  # 0: nothing is promised
    change: Change | None = None  # the smallest that starts it now
    no_change: NoChange | None = None  # why none is suggested
    next_event: NextEvent | None = None


def why(snapshot: Snapshot, plan: Plan, row: int, rate: Rater | None = None, plans_max: int = PLANS_MAX) -> Why:
    """Everything that can be said about the workload in `row`. `plan` is that of `snapshot`; `rate` as in `apply_change`.

    plans_max bounds the search for the smallest change, each step of which plans again; 0 leaves it out."""
    if plan.wait_code[row] < 0:
        return Why(reasons=_victims(snapshot, plan, row), no_change=NoChange.STARTS_ALREADY)
    cycle = Cycle(snapshot)
    cycle.run()
    own = (int(plan.wait_code[row]), tuple(plan.wait_facts[row].tolist()))
    codes = {own[0]: own} | {v[0]: v for v in _obstacles(cycle, row) if v[0] not in (own[0], TURN)}
    found = suggest(snapshot, row, rate, plans_max)
    promised = np.flatnonzero(plan.reserve_pending == row).tolist()
    return Why(
        reasons=tuple(_reason(snapshot, v) for v in codes.values()),
        sites=tuple((s, _reason(snapshot, _site(cycle, row, i))) for i, s in enumerate(snapshot.sites.ids)),
        promised_ms=int(plan.reserve_ms[promised[0]]) if promised else 0,
        change=found if isinstance(found, Change) else None,
        no_change=found if isinstance(found, NoChange) else None,
        next_event=_next_event(cycle, plan, row, own, promised),
    )


def _reason(s: Snapshot, verdict: Verdict) -> Reason:
    return make_reason(s, verdict[0], list(verdict[1]))


def _victims(s: Snapshot, plan: Plan, row: int) -> tuple[Reason, ...]:
    at = int(np.flatnonzero(plan.start_pending == row)[0])
    victims = int(plan.start_victim_ptr[at + 1] - plan.start_victim_ptr[at])
    return (Reason.of(ReasonKind.WAITS_VICTIMS, victims=victims),) if victims else ()


def _obstacles(cycle: Cycle, row: int) -> Iterator[Verdict]:
    """All that stands in its way once every one had their turn."""
    group = cycle.groups[cycle.group_of[row]]
    early = not_yet(cycle.s, row)
    if group.standing.verdict is not None:
        yield group.standing.verdict
    elif not cycle.ways(group):
        yield cycle.unpaid(group)
    if early is not None:
        yield early
    if group.standing.verdict is None:
        yield _blocked(cycle, group, row)


def _blocked(cycle: Cycle, group: Group, row: int) -> Verdict:
    """What stands in its way at the sites in question if it could pay; a promise of its own does not."""
    ways = [Way(i, group.shape.accelerators[i], 0, 0, sites) for i, sites in enumerate(group.standing.sites) if sites.any()]
    verdict = cycle.blocked(group, ways)
    own = verdict[0] == RESERVED and verdict[1][0] == row
    return (TURN, (0,)) if own or verdict[0] == TURN else verdict


def _site(cycle: Cycle, row: int, site: int) -> Verdict:
    """What one site says."""
    group = cycle.groups[cycle.group_of[row]]
    if not allowed_sites(cycle.ground, group.shape.sites)[site]:
        return WAIT_CODE[ReasonKind.NO_SITE_ALLOWED], ()
    shape = replace(group.shape, sites=(site,))
    here = replace(group, shape=shape, standing=standing(cycle.ground, shape), ways_at=-1, told=None)
    if here.standing.verdict is not None:
        return here.standing.verdict
    if not cycle.ways(here):
        return cycle.unpaid(here)
    return not_yet(cycle.s, row) or _blocked(cycle, here, row)


# -- what comes next ------------------------------------------------------------------------------------------------------


def _next_event(cycle: Cycle, plan: Plan, row: int, own: Verdict, promised: list[int]) -> NextEvent | None:
    """The next event that helps: the end of its pause, the start of the promise that it waits behind, or the end of an attempt:
    the one on which its own promise rests, else the first to leave a site in question."""
    s = cycle.s
    if s.pending.eligible_ms[row] > s.now_ms:
        return NextEvent("pause_ends", s.pending.ids[row], int(s.pending.eligible_ms[row]))
    if promised:
        nodes = plan.reserve_node[plan.reserve_worker_ptr[promised[0]] : plan.reserve_worker_ptr[promised[0] + 1]]
        at_ms = int(plan.reserve_ms[promised[0]])
        ending = [e for e in _endings(cycle, np.isin(np.arange(cycle.ground.size), nodes)) if e.at_ms <= at_ms]
        return ending[-1] if ending else NextEvent("promise_starts", s.pending.ids[row], at_ms)
    if own[0] == RESERVED:
        return NextEvent("promise_starts", s.pending.ids[own[1][0]], own[1][1])
    group = cycle.groups[cycle.group_of[row]]
    if group.standing.verdict is not None:
        return None
    return next(iter(_endings(cycle, np.logical_or.reduce(group.standing.sites)[cycle.ground.site])), None)


def _endings(cycle: Cycle, nodes: object) -> list[NextEvent]:
    """When attempts on these nodes end, in order, as far as anybody knows. Claims free nothing soon."""
    a, tenures = cycle.s.attempts, cycle.ground.tenures
    owner = np.repeat(np.arange(len(a.ids)), np.diff(a.worker_ptr))
    rows = np.flatnonzero(nodes[tenures.node[: len(owner)]] & (a.state[owner] != CLAIMED))  # type: ignore[index]
    ends = sorted({(int(tenures.end[r]), a.ids[owner[r]]) for r in rows.tolist()})
    return [NextEvent("attempt_ends", id, at_ms) for at_ms, id in ends if at_ms < FOREVER_MS]
