"""Why a workload waits, in full: every true reason, what each site says, what was promised, what would start it, and which event
comes next. All of it from the functions that plan, so that it can never say anything else than what they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dure.model.reason import Reason, ReasonKind
from dure.scheduler.change import Change, NoChange, Rater, only
from dure.scheduler.estimate import Estimate, estimate
from dure.scheduler.kernels.standing import demands_as, standings_of
from dure.scheduler.plan import WAIT_CODE, Plan, make_reason
from dure.scheduler.planning import Pace, Planning, Question, Verdict, at_once, not_yet
from dure.scheduler.smallest import PLANS_MAX, suggest
from dure.scheduler.snapshot import Snapshot
from dure.scheduler.upcoming import Basis, NextEvent, asked_now, leaving, next_event

TURN, RESERVED = WAIT_CODE[ReasonKind.WAITS_FOR_TURN], WAIT_CODE[ReasonKind.WAITS_RESERVED]


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    reasons: tuple[Reason, ...]  # what the owner can do most about first; empty: it starts
    sites: tuple[tuple[str, Reason], ...] = ()  # each site's own answer
    promised_ms: int = 0  # 0: nothing is promised
    estimate: Estimate | None = None  # of a start that is not promised; None: it is, or no moment is known
    change: Change | None = None  # the smallest that starts it now
    change_site: str = ""  # where it starts then
    no_change: NoChange | None = None  # why none is suggested
    plans: int = 0  # plans of the whole queue that the search for a change made
    stopped: bool = False  # the search reached its bound: a smaller change than is told here may exist
    next_event: NextEvent | None = None


def why(
    snapshot: Snapshot,
    plan: Plan,
    row: int,
    rate: Rater | None = None,
    plans_max: int = PLANS_MAX,
    pace: Pace = at_once,
    classes: Sequence[str] | None = None,
    residual: Planning | None = None,
    projects: Sequence[str] = (),
) -> Why:
    """Everything that can be said about the workload in `row`. `plan` is that of `snapshot`; `rate` as in `apply_change`.
    residual: the state in which `plan` was left, where it is still there; else it is made again.

    plans_max bounds how often the search for the smallest change plans the whole queue; 0 leaves it out. pace: as in `Planning`;
    classes, projects: as in `suggest`."""
    if plan.wait_code[row] < 0:
        return _starts(snapshot, plan, row)
    planning = residual or Planning(snapshot, pace)
    if residual is None:
        planning.run()
    asked = planning.about(only(snapshot, row))
    own = (int(plan.wait_code[row]), tuple(plan.wait_facts[row].tolist()))
    codes = {own[0]: own} | {v[0]: v for v in _obstacles(snapshot, asked, row) if v[0] not in (own[0], TURN)}
    found = suggest(snapshot, row, rate, plans_max, pace, classes, projects)
    promised = np.flatnonzero(plan.reserve_pending == row).tolist()
    waits_for_time = not promised and not_yet(snapshot, row) is None
    return Why(
        reasons=tuple(_reason(snapshot, v) for v in codes.values()),
        sites=tuple(zip(snapshot.sites.ids, (_reason(snapshot, v) for v in _by_site(planning, asked, row)), strict=True)),
        promised_ms=int(plan.reserve_ms[promised[0]]) if promised else 0,
        estimate=estimate(planning, asked, row, pace) if waits_for_time else None,
        change=found.change,
        change_site=found.site,
        no_change=found.no_change,
        plans=found.plans,
        stopped=found.stopped,
        next_event=next_event(planning, asked, plan, row),
    )


def _reason(s: Snapshot, verdict: Verdict) -> Reason:
    return make_reason(s, verdict[0], list(verdict[1]))


def why_claimed(snapshot: Snapshot, workload: str) -> Why | None:
    """For a workload whose place is claimed already: who makes room, and until when. None when nobody has to leave."""
    event = leaving(snapshot, workload)
    return None if event is None else Why(reasons=(_victims(event),), next_event=event)


def _starts(s: Snapshot, plan: Plan, row: int) -> Why:
    event = asked_now(s, plan, int(np.flatnonzero(plan.start_pending == row)[0]))
    reasons = () if event is None else (_victims(event),)
    return Why(reasons=reasons, no_change=NoChange.STARTS_ALREADY, next_event=event)


def _victims(event: NextEvent) -> Reason:
    background = {"yielding": event.yielding} if event.yielding else {}
    borrowed = {"reclaimed": event.victims} if event.basis is Basis.QUOTA else {}
    elsewhere = {"moved": event.moved} if event.moved else {}
    return Reason.of(ReasonKind.WAITS_VICTIMS, victims=event.victims, **background, **borrowed, **elsewhere)


def _obstacles(s: Snapshot, asked: Question, row: int) -> Iterator[Verdict]:
    """All that stands in its way once every one had their turn."""
    early, paid = not_yet(s, row), asked.payable(asked.sites)
    if asked.standing is not None:
        yield asked.standing
    elif not paid.any():
        yield asked.unpaid(asked.sites)
    if early is not None:
        yield early
    if asked.standing is None and asked.late is not None:
        yield asked.late
    elif asked.standing is None:
        there = paid if paid.any() else asked.sites
        beyond = asked.beyond(there)
        if beyond is not None:
            yield beyond
        yield _others(asked.blocked(there), row)


def _others(verdict: Verdict, row: int) -> Verdict:
    """A promise of its own does not stand in its way."""
    own = verdict[0] == RESERVED and verdict[1][0] == row
    return (TURN, (0,)) if own or verdict[0] == TURN else verdict


def _by_site(planning: Planning, asked: Question, row: int) -> Iterator[Verdict]:
    """What each site says, were it the only one."""
    s, whole, kinds = planning.s, asked.cycle.demands, len(asked.kinds)
    count = len(s.sites.ids)
    names = ("workers", "most", "cores", "memory", "devices", "share", "block")
    column = {name: np.repeat(whole.each[name][:1], count) for name in names}
    alone = demands_as(
        **column, sites=np.eye(count, dtype=np.bool_) & whole.sites, kind_ptr=np.arange(count + 1) * kinds,
        kind=np.tile(whole.kind, count),
    )  # fmt: skip
    own = asked.cycle.standings
    again = np.tile(own.cost, (count, 1)), np.tile(own.barred, (count, 1))
    standings, early = standings_of(planning.models, alone, s.sites.reachable, s.sites.drained, *again), not_yet(s, row)
    for site in range(count):
        sites = standings.sites[site * kinds : (site + 1) * kinds]
        if not whole.sites[0, site]:
            yield WAIT_CODE[ReasonKind.NO_SITE_ALLOWED], ()
        elif standings.code[site] != TURN:
            yield int(standings.code[site]), tuple(standings.facts[site].tolist())
        elif not (paid := asked.payable(sites)).any():
            yield asked.unpaid(sites)
        else:
            yield early or asked.late or asked.beyond(paid) or _others(asked.blocked(paid, alone, site), row)
