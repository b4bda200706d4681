"""Why, and what it would cost: answers computed by the function that places, on the state of the last step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dure.controller.lifecycle import energy_of
from dure.controller.rates import accepted, hold_amounts, limit_on, most, occupied_ms, occupy_ms
from dure.ledger import rate_all
from dure.model.money import CURRENCIES
from dure.model.policy import Policy
from dure.model.reason import Reason, ReasonKind
from dure.model.workload import BLOCK, Attempt, AttemptState, Workload, WorkloadSpec, WorkloadState
from dure.ports import Reader
from dure.scheduler import (
    Change,
    Hypothetical,
    NoChange,
    Pace,
    Plan,
    Planning,
    Snapshot,
    Why,
    outlook,
    plan,
    why,
    why_claimed,
    with_hypothetical,
)
from dure.scheduler.snapshot import FOREVER_MS

LIMIT_MS_MIN = 1000  # the shortest limit that a job may name


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyAnswer:
    """as_of_ms: the moment of the state that the answer is about. why: None when the workload waits for nothing. change: the
    smallest change that would start it, as members of a job file; empty when there is none. hold, hold_then: currency → the most
    that an attempt holds as it is and with the change, -1 where it cannot be paid so; empty when there is none."""

    workload: Workload
    as_of_ms: int
    reason: Reason
    why: Why | None = None
    hold: dict[str, int] = field(default_factory=dict)
    hold_then: dict[str, int] = field(default_factory=dict)

    @property
    def change(self) -> dict[str, Any]:
        found = self.why.change if self.why else None
        return job_change(found, self.workload.spec) if found else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """What may be suggested to who asks, and nothing else. classes: priority classes by name, None: all. projects: ids of those
    to which the work could be submitted instead of its own."""

    classes: Sequence[str] | None = None
    projects: Sequence[str] = ()


EVERY_CLASS = Usable()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteAnswer:
    """What one element would cost and when it would start.

    hold: accelerator ("" for none) → currency → the most it can cost, -1 where it cannot be paid so. limit_ms_by_accelerator:
    for how long, where types differ in speed; limit_ms is for the first. starts_ms: now or the
    promised start, 0 when neither can be told. claims: it starts when others have made room. reason: why it would wait.
    price_permille: the factor of its priority class, preemptible_permille: that of preemptible work (1000 for other), in
    thousandths; the hold has both in it, and is for limit_ms + grace_ms. least_ms: the run that is charged at least, also if it
    is cancelled before it starts, because it would make others stop that are guaranteed a run; else 0."""

    as_of_ms: int
    priority: str
    price_permille: int
    preemptible_permille: int
    elements: int
    limit_ms: int
    grace_ms: int
    hold: dict[str, dict[str, int]]
    limit_ms_by_accelerator: dict[str, int]
    starts_now: bool
    claims: bool
    least_ms: int
    starts_ms: int
    site: str
    reason: Reason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SoFar:
    """What an attempt that still runs has used until now. Nothing is billed on it: that rests on the evidence in the end."""

    run_ms: int
    energy_mwh: int
    energy_basis: str


def so_far(reader: Reader, attempt: Attempt, workload: Workload, now_ms: int) -> SoFar | None:
    """Since the plane learned that it runs, and at most until its limit and grace have passed; None when it does not run."""
    if not attempt.running_ms or attempt.state == AttemptState.ENDED:
        return None
    run_ms = max(0, min(now_ms - attempt.running_ms, attempt.limit_ms + workload.spec.grace_ms))
    energy, basis = energy_of(reader, replace(attempt, evidence=replace(attempt.evidence, run_ms=run_ms)), workload)
    return SoFar(run_ms=run_ms, energy_mwh=energy, energy_basis=basis)


def answer_why(
    snapshot: Snapshot, decided: Plan, workload: Workload, plans_max: int, pace: Pace, usable: Usable = EVERY_CLASS,
    residual: Planning | None = None,
) -> WhyAnswer | None:  # fmt: skip
    """None when the snapshot does not know this waiting workload yet. plans_max bounds the search for the smallest change; pace
    is called while it goes on. residual: as in `why`."""
    if workload.state != WorkloadState.WAITING:
        claimed = why_claimed(snapshot, workload.id) if workload.state == WorkloadState.STARTING else None
        reason = claimed.reasons[0] if claimed else _state_reason(workload)
        return WhyAnswer(workload=workload, as_of_ms=snapshot.now_ms, reason=reason, why=claimed)
    row = row_of(snapshot, workload)
    if row is None:
        return None
    rater = PolicyRater(snapshot.policy, workload.spec.priority)
    projects = usable.projects if goes_elsewhere(workload) else ()
    found = why(snapshot, decided, row, rater, plans_max, pace, usable.classes, residual, projects)
    answer = _possible(found, workload.spec, snapshot.policy)
    reason = answer.reasons[0] if answer.reasons else Reason.of(ReasonKind.NOT_YET_PLANNED)
    told = WhyAnswer(workload=workload, as_of_ms=snapshot.now_ms, reason=reason, why=answer)
    if answer.change is None:
        return told
    hold, hold_then = (_most_held(snapshot, spec) for spec in (workload.spec, _changed(workload.spec, answer.change)))
    return replace(told, hold=hold, hold_then=hold_then)


def goes_elsewhere(workload: Workload) -> bool:
    """Whether a copy of it could be another project's as it is: code, checkpoints, arrays and what it waits for stay behind."""
    spec = workload.spec
    return not (spec.bundle or spec.depends_on or workload.origin or workload.array_id)


def _most_held(snapshot: Snapshot, spec: WorkloadSpec) -> dict[str, int]:
    here = [a for a in snapshot.accelerators if _exists(snapshot, a)]
    return most(hold_amounts(snapshot.policy, spec, a) for a in accepted(spec, here))


def _changed(spec: WorkloadSpec, change: Change) -> WorkloadSpec:
    """The job with those fields of the change that count in its price."""
    demand = replace(
        spec.demand,
        cores_milli=change.cores_milli or spec.demand.cores_milli,
        memory_mib=change.memory_mib or spec.demand.memory_mib,
        devices=change.devices or (0 if change.share_milli else spec.demand.devices),
        share_milli=change.share_milli or (0 if change.devices else spec.demand.share_milli),
        accelerators=change.accelerators or spec.demand.accelerators,
        speeds=() if change.accelerators else spec.demand.speeds,
    )
    limit_ms = change.limit_ms - spec.grace_ms if change.limit_ms else spec.limit_ms
    workers, priority = change.workers or spec.workers, change.priority or spec.priority
    return replace(spec, demand=demand, limit_ms=limit_ms, workers=workers, priority=priority)


def _possible(answer: Why, spec: WorkloadSpec, policy: Policy) -> Why:
    """Without a change that no job may have: a limit so short that only the grace would be left of it, or one below the run that
    is guaranteed to others in a class that makes these stop."""
    change = answer.change
    if change is None:
        return answer
    asked = _changed(spec, change)
    klass = policy.priority_class(asked.priority)
    least_ms = max(LIMIT_MS_MIN, policy.min_run_ms if klass is not None and klass.preempts else 0)
    if asked.limit_ms >= least_ms or not (change.limit_ms or change.priority):
        return answer
    return replace(answer, change=None, change_site="", no_change=NoChange.NONE_SUFFICES)


def _state_reason(workload: Workload) -> Reason:
    if workload.reason:
        return Reason.from_json(workload.reason)
    return Reason.of(ReasonKind.IN_PROGRESS, state=workload.state.value)


def job_change(change: Change, spec: WorkloadSpec) -> dict[str, Any]:
    """A change in the words of a job file: only the members that change; "funds_won" is money and "project" whose it is, no
    members."""
    plain: dict[str, Any] = {}
    beside = ("priority", "project", "funds_won")
    for name in ("cores_milli", "memory_mib", "devices", "share_milli", "workers", "workers_min", *beside):
        if getattr(change, name):
            plain[name] = getattr(change, name)
    if change.accelerators:
        plain["accelerators"] = list(change.accelerators)
        plain |= {"speeds": None} if spec.demand.speeds else {}  # they are of types that it does not name any more
    if change.limit_ms:
        plain["limit_ms"] = change.limit_ms - spec.grace_ms
    if change.all_sites:
        plain["sites"] = []
    if change.topology:
        plain["topology"] = change.topology
    return plain


def row_of(snapshot: Snapshot, workload: Workload) -> int | None:
    """Row of a waiting workload in the snapshot: pending is sorted by (submitted_ms, id)."""
    pending = snapshot.pending
    first = int(np.searchsorted(pending.submitted_ms, workload.submitted_ms, side="left"))
    last = int(np.searchsorted(pending.submitted_ms, workload.submitted_ms, side="right"))
    return next((r for r in range(first, last) if pending.ids[r] == workload.id), None)


@dataclass(frozen=True, slots=True)
class PolicyRater:
    """The ledger's rating in the shape that the scheduler's what-if asks for. Its limit_ms includes the grace."""

    policy: Policy
    priority: str  # the class that the workload has

    def __call__(
        self, accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int, share_milli: int, limit_ms: int,
        preemptible: bool, priority: str,
    ) -> tuple[int, ...]:  # fmt: skip
        return rate_all(
            self.policy,
            accelerator=accelerator,
            workers=workers,
            cores_milli=cores_milli,
            memory_mib=memory_mib,
            devices=devices,
            share_milli=share_milli,
            limit_ms=limit_ms,
            preemptible=preemptible,
            priority=priority or self.priority,
        )


def answer_quote(snapshot: Snapshot, project: str, spec: WorkloadSpec, elements: int) -> QuoteAnswer:
    """Plan once more with this workload added, as if it were submitted now. `spec.limit_ms` is already filled in."""
    here = [a for a in snapshot.accelerators if _exists(snapshot, a)]
    holds = {a: hold_amounts(snapshot.policy, spec, a) for a in accepted(spec, here)}
    klass = snapshot.policy.class_of(spec.priority)
    answer = QuoteAnswer(
        as_of_ms=snapshot.now_ms,
        priority=klass.name,
        price_permille=klass.price_permille,
        preemptible_permille=snapshot.policy.preemptible_permille if spec.preemptible else 1000,
        elements=elements,
        limit_ms=spec.limit_ms,
        grace_ms=spec.grace_ms,
        hold={a: {c.value: h for c, h in zip(CURRENCIES, hold, strict=True)} for a, hold in holds.items()},
        limit_ms_by_accelerator={a: limit_on(snapshot.policy, spec, a) for a in holds},
        starts_now=False,
        claims=False,
        least_ms=0,
        starts_ms=0,
        site="",
        reason=None,
    )
    known = {a: h for a, h in holds.items() if a in ("", *snapshot.accelerators)}
    if not known:
        return replace(answer, reason=Reason.of(ReasonKind.NO_SUCH_ACCELERATOR))
    extended, row = with_hypothetical(snapshot, _hypothetical(snapshot, project, spec, known))
    seen = outlook(extended, plan(extended), row)
    starts_ms = snapshot.now_ms if seen.starts and not seen.claims else seen.promised_ms
    return replace(
        answer,
        starts_now=seen.starts and not seen.claims,
        claims=seen.claims,
        least_ms=min(snapshot.policy.min_run_ms, spec.limit_ms) if seen.forced else 0,
        starts_ms=starts_ms,
        site=seen.site,
        reason=seen.reason,
    )


def _exists(snapshot: Snapshot, accelerator: str) -> bool:
    return bool((snapshot.nodes.accelerator == snapshot.accelerators.index(accelerator)).any())


def _hypothetical(snapshot: Snapshot, project: str, spec: WorkloadSpec, holds: dict[str, tuple[int, ...]]) -> Hypothetical:
    klass = snapshot.policy.class_of(spec.priority)
    index = {a: i for i, a in enumerate(snapshot.accelerators)}
    demand = spec.demand
    return Hypothetical(
        id="~",  # behind every id of the same moment
        project=snapshot.projects.ids.index(project),
        priority=klass.value,
        workers=spec.workers,
        workers_min=spec.fewest % max(spec.workers, 1),
        cores_milli=demand.cores_milli,
        memory_mib=demand.memory_mib,
        devices=demand.devices,
        share_milli=demand.share_milli,
        limit_ms=occupy_ms(spec),
        alternatives=tuple((index.get(a, -1), hold) for a, hold in holds.items()),
        limits_ms=tuple(occupied_ms(snapshot.policy, spec, a) for a in holds),
        grace_ms=spec.grace_ms,
        submitted_ms=snapshot.now_ms,
        preempts=klass.preempts,
        preemptible=spec.preemptible,
        block=spec.topology == BLOCK,
        sites=tuple(snapshot.sites.ids.index(s) for s in spec.sites if s in snapshot.sites.ids),
        deadline_ms=spec.deadline_ms or int(FOREVER_MS),
        data=tuple(snapshot.data.index(d) if d in snapshot.data else -1 for d in spec.datasets),
    )
