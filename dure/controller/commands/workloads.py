"""Submitting and cancelling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dure.controller.commands.bundles import bundle_gone, use_bundle
from dure.controller.deed import Deed, record, touch
from dure.controller.lifecycle import move_attempt, move_workload, withdraw_claim
from dure.controller.origins import origins_of
from dure.controller.rates import quoted_won, shortest_ms
from dure.controller.rules import bad, known_accelerators, not_found, policy_of
from dure.model.accelerators import ACCELERATORS, SPEED_MILLI_MAX
from dure.model.codec import changed, to_plain
from dure.model.event import canonical
from dure.model.policy import Policy
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Bundle
from dure.model.site import Site
from dure.model.tenancy import Grant, Project
from dure.model.workload import (
    ANYWHERE,
    BLOCK,
    LIMIT_MS_MIN,
    TERMINAL,
    WHOLE_MILLI,
    Attempt,
    AttemptState,
    Demand,
    Outcome,
    Workload,
    WorkloadSpec,
    WorkloadState,
)
from dure.ports import Reader, Tx

# What no machine has, so that sums stay far from 64 bits; the scheduler says what the farm has.
CORES_MILLI_MAX = 10_000_000
MEMORY_MIB_MAX = 1 << 30
DEVICES_MAX = 64  # as many as a node may tell of
GRACE_MS_MAX = 600_000
CHECKPOINT_MS_MAX = 24 * 3_600_000
DEPENDENCIES_MAX = 100
SITES_TOLD = 20  # names of sites that a refusal tells
LIVE = tuple(state for state in WorkloadState if state not in TERMINAL)
ARRAY_BYTES_MAX = 32 << 20  # description times elements: every element is a row of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """ids: one for each element; array_id: "" outside arrays; quoted_won: the most that one element may cost, -1 when
    it cannot be paid in won."""

    ids: tuple[str, ...]
    array_id: str
    quoted_won: int
    spec: WorkloadSpec


def submit(tx: Tx, deed: Deed, *, project: str, spec: WorkloadSpec, array: int = 0, origin: str = "") -> Submitted | Reason:
    """Admit a workload, or an array of `array` elements (0: no array), to wait for its place.

    origin: the workload or array of which it is a changed copy, element by element; the event tells it, too."""
    if tx.get(Project, project) is None:
        return not_found("project", project)
    policy = policy_of(tx)
    if spec.bundle and use_bundle(tx, deed, project=project, sha256=spec.bundle) is None and origin:
        return bundle_gone(spec.bundle)
    fault = spec_fault(tx, policy, project, spec, array) or _late(policy, spec, deed.now_ms)
    if fault is not None:
        return fault
    origins = origins_of(tx, project, origin)
    if isinstance(origins, Reason):
        return origins
    waiting = deed.waiting(project) + max(array, 1)
    if waiting > policy.waiting_max:
        return Reason.of(ReasonKind.LIMIT_EXCEEDED, what="waiting", limit=policy.waiting_max, asked=waiting)
    spec = changed(spec, limit_ms=spec.limit_ms or policy.limit_ms_default)
    size = len(canonical(to_plain(spec))) * array if array else 0
    if size > ARRAY_BYTES_MAX:
        return Reason.of(ReasonKind.LIMIT_EXCEEDED, what="array_bytes", limit=ARRAY_BYTES_MAX, asked=size)
    quote = quoted_won(policy, spec)
    base = deed.new_id("wl")
    elements = _elements(base, array)
    for id, index in elements:
        tx.insert(
            Workload(
                id=id,
                project=project,
                owner=deed.actor,
                spec=spec,
                array_id=base if array else "",
                array_index=index,
                origin=origins.get(index, ""),
                submitted_ms=deed.now_ms,
                quoted_won=quote,
                policy_version=policy.version,
            )
        )
    touched = f"Array:{base}" if array else f"Workload:{base}"
    data = {"elements": len(elements), "origin": origin}
    record(tx, deed, "workload.submitted", base, project=project, data=data, touched=(touched,))
    return Submitted(ids=tuple(i for i, _ in elements), array_id=base if array else "", quoted_won=quote, spec=spec)


def _elements(base: str, array: int) -> list[tuple[str, int]]:
    return [(id, i) for i, id in enumerate(element_ids(base, array))] if array else [(base, -1)]


def element_ids(array: str, elements: int) -> list[str]:
    """The ids of an array's elements, in order: the index is padded so that they sort by it."""
    return [f"{array}.{i:05d}" for i in range(elements)]


def spec_fault(reader: Reader, policy: Policy, project: str, spec: WorkloadSpec, array: int) -> Reason | None:
    """The first thing that is wrong with a job, or None."""
    return next(_faults(reader, policy, project, spec, array), None)


def _late(policy: Policy, spec: WorkloadSpec, now_ms: int) -> Reason | None:
    """A deadline that could not be kept even if it started at once."""
    if not spec.deadline_ms:
        return None
    soonest_ms = now_ms + shortest_ms(policy, changed(spec, limit_ms=spec.limit_ms or policy.limit_ms_default))
    return bad("deadline", "too_early", limit=soonest_ms) if spec.deadline_ms < soonest_ms else None


def spec_faults(reader: Reader, policy: Policy, project: str, spec: WorkloadSpec, array: int) -> list[Reason]:
    """Everything that is wrong with a job, the first as `spec_fault` tells it: who mends one should not have to ask again to
    learn of the next."""
    return list(_faults(reader, policy, project, spec, array))


def _faults(reader: Reader, policy: Policy, project: str, spec: WorkloadSpec, array: int) -> Iterator[Reason]:
    yield from _shape_faults(spec)
    yield from _policy_faults(policy, spec, array)
    yield from _reference_faults(reader, project, spec)
    yield from _retry_faults(policy, spec)


def _shape_faults(spec: WorkloadSpec) -> Iterator[Reason]:
    demand = spec.demand
    # each with its bounds, and these as people write them
    bounds: tuple[tuple[str, int, int, int, dict[str, Any], dict[str, Any]], ...] = (
        ("resources.cores", demand.cores_milli, 1, CORES_MILLI_MAX, {"limit": 0.001}, {"limit": CORES_MILLI_MAX // 1000}),
        ("resources.memory", demand.memory_mib, 1, MEMORY_MIB_MAX, {"limit": "1MiB"}, {"limit": "1024TiB"}),
        ("resources.devices", demand.devices, 0, DEVICES_MAX, {"limit": 0}, {"limit": DEVICES_MAX}),
        ("grace", spec.grace_ms, 0, GRACE_MS_MAX, {"limit_ms": 0}, {"limit_ms": GRACE_MS_MAX}),
        ("checkpoint", spec.checkpoint_interval_ms, 0, CHECKPOINT_MS_MAX, {"limit_ms": 0}, {"limit_ms": CHECKPOINT_MS_MAX}),
    )
    for field, value, least, most, at_least, at_most in bounds:
        if not least <= value <= most:
            yield bad(field, "too_small", **at_least) if value < least else bad(field, "too_large", **at_most)
    if not spec.command or not spec.command[0]:
        yield bad("command", "empty")
    if not 0 <= demand.share_milli < WHOLE_MILLI or (demand.share_milli and demand.devices):
        yield bad("resources.devices", "bad_format", detail="form_devices", example="0.5")
    if spec.topology not in ("", BLOCK):
        yield bad("topology", "unknown_value", value=spec.topology, allowed=f"{ANYWHERE}, {BLOCK}")
    if demand.accelerators and not demand.wants_devices:
        yield bad("resources.accelerators", "contradiction", needs="resources.devices")
    yield from _speed_faults(demand)


def _speed_faults(demand: Demand) -> Iterator[Reason]:
    """Speeds are of types that it names, against the first of them."""
    named = demand.accelerators
    for speed in demand.speeds:
        if speed.accelerator not in named:
            yield bad("resources.speeds", "unknown_value", value=speed.accelerator, allowed=", ".join(named))
        elif speed.accelerator == named[0] and speed.milli != WHOLE_MILLI:
            yield bad("resources.speeds", "contradiction", needs=f"{named[0]}: 1")
        elif not 1 <= speed.milli <= SPEED_MILLI_MAX:
            too_small = speed.milli < 1
            yield bad(
                f"resources.speeds.{speed.accelerator}", "too_small" if too_small else "too_large",
                limit=0.001 if too_small else SPEED_MILLI_MAX // 1000,
            )  # fmt: skip


def _policy_faults(policy: Policy, spec: WorkloadSpec, array: int) -> Iterator[Reason]:
    if spec.workers < 1:
        yield bad("workers", "too_small", limit=1)
    if spec.workers > policy.workers_max:
        yield bad("workers", "too_large", limit=policy.workers_max)
    if spec.workers_min < 0:
        yield bad("workers_min", "too_small", limit=0)
    if spec.workers_min > max(spec.workers, 0):
        yield bad("workers_min", "too_large", limit=spec.workers)
    if array < 0 or array > policy.array_max:
        yield bad("array", "too_small" if array < 0 else "too_large", limit=1 if array < 0 else policy.array_max)
    if spec.limit_ms and spec.limit_ms < LIMIT_MS_MIN:  # 0: the policy's default
        yield bad("limit", "too_small", limit_ms=LIMIT_MS_MIN)
    if spec.limit_ms > policy.limit_ms_max:
        yield bad("limit", "too_large", limit_ms=policy.limit_ms_max)
    klass = policy.priority_class(spec.priority)
    if klass is not None and klass.preempts and LIMIT_MS_MIN <= spec.limit_ms < policy.min_run_ms:
        yield bad("limit", "too_small", limit_ms=policy.min_run_ms)  # what made others stop pays for the run they are guaranteed
    if klass is None:
        yield bad("priority", "unknown_value", value=spec.priority, allowed=", ".join(c.name for c in policy.classes))


def _retry_faults(policy: Policy, spec: WorkloadSpec) -> Iterator[Reason]:
    if not 0 <= spec.retries <= policy.retries_max:
        yield bad("retries", "too_small", limit=0) if spec.retries < 0 else bad("retries", "too_large", limit=policy.retries_max)


def _reference_faults(reader: Reader, project: str, spec: WorkloadSpec) -> Iterator[Reason]:
    if spec.bundle and reader.get(Bundle, f"{project}:{spec.bundle}") is None:
        yield not_found("bundle", spec.bundle)
    if not ACCELERATORS.keys() >= set(spec.demand.accelerators):  # what only sites have: their nodes say so, all of them
        known = known_accelerators(reader)
        unknown = set(spec.demand.accelerators) - known
        if unknown:
            yield bad("resources.accelerators", "unknown_value", value=min(unknown), allowed=", ".join(sorted(known)))
    for site in spec.sites:
        if reader.get(Site, site) is None:
            some = ", ".join(s.id for s in reader.find(Site, limit=SITES_TOLD))
            yield bad("sites", "unknown_value", value=site, allowed=some)
    if len(spec.depends_on) > DEPENDENCIES_MAX:
        yield bad("depends_on", "too_many", limit=DEPENDENCIES_MAX)
        return
    yield from (f for d in spec.depends_on if (f := _dependency_fault(reader, project, d)))


def _dependency_fault(reader: Reader, project: str, dependency: str) -> Reason | None:
    row = reader.get(Workload, dependency)
    rows = [row] if row else reader.find(Workload, {"array_id": dependency}, limit=1)
    # another project's work is as absent as work that never was
    return None if rows and rows[0].project == project else not_found("workload", dependency)


def find_workloads(reader: Reader, id: str) -> list[Workload]:
    """The workload with this id, or all elements of the array with this id."""
    row = reader.get(Workload, id)
    return [row] if row else reader.find(Workload, {"array_id": id})


def cancel(tx: Tx, deed: Deed, *, id: str) -> tuple[Workload, ...] | Reason:
    """Cancel a workload or every element of an array that has not ended. Cancelling again changes nothing.

    ALREADY_ENDED only of what came to its own end: whoever cancels second is told what whoever cancelled first was told."""
    rows = find_workloads(tx, id)
    if not rows:
        return not_found("workload", id)
    live = [w for w in rows if w.state not in TERMINAL]
    if not live and all(w.state != WorkloadState.CANCELLED for w in rows):
        return Reason.of(ReasonKind.ALREADY_ENDED, what="workload", id=id, state=_common_state(rows))
    cancelled = {w.id: _cancel_one(tx, deed, w) for w in live}
    return tuple(cancelled.get(w.id, w) for w in rows)


def cancel_array(tx: Tx, deed: Deed, *, array: str) -> Mapping[str, int] | Reason:
    """Cancel every element that has not ended, as `cancel` does; how many are in each state then.

    Reads only what it may have to change: cancelling ten thousand that were cancelled before costs counts."""
    live = tx.find(Workload, {"array_id": array, "state": LIVE})
    states = _counted(tx, array)
    if not live and not states.get(WorkloadState.CANCELLED.value):
        if not states:
            return not_found("workload", array)
        return Reason.of(ReasonKind.ALREADY_ENDED, what="workload", id=array, state=", ".join(sorted(states)))
    changed = [workload for workload in live if not workload.cancel_asked_ms]
    for workload in changed:
        _cancel_one(tx, deed, workload)
    return _counted(tx, array) if changed else states


def _counted(reader: Reader, array: str) -> dict[str, int]:
    counts = {state.value: reader.count(Workload, {"array_id": array, "state": state}) for state in WorkloadState}
    return {state: count for state, count in counts.items() if count}


def _common_state(rows: Iterable[Workload]) -> str:
    return ", ".join(sorted({w.state.value for w in rows}))


def _cancel_one(tx: Tx, deed: Deed, workload: Workload) -> Workload:
    if workload.cancel_asked_ms:
        return workload
    attempt = tx.get(Attempt, workload.attempt) if workload.attempt else None
    if attempt is None:
        return _cancel_waiting(tx, deed, workload)
    asked = move_workload(tx, workload, workload.state, cancel_asked_ms=deed.now_ms)
    stopping = attempt
    if attempt.state in (AttemptState.LAUNCHING, AttemptState.RUNNING):
        stopping = move_attempt(tx, attempt, AttemptState.STOPPING, stop_cause=Outcome.CANCELLED, stop_asked_ms=deed.now_ms)
    record(
        tx, deed, "workload.cancel_asked", workload.id, project=workload.project, site=attempt.site,
        data={"attempt": attempt.id}, touched=touch(asked, stopping),
    )  # fmt: skip
    if attempt.state == AttemptState.CLAIMED:
        withdraw_claim(tx, deed, attempt, by_its_own=_acts_for(tx, deed.actor, workload))
    return tx.get(Workload, workload.id) or asked


def _acts_for(reader: Reader, actor: str, workload: Workload) -> bool:
    """Whether an actor does so for the project, and not as somebody who keeps the farm in order."""
    return actor == workload.owner or bool(reader.find(Grant, {"actor": actor, "scope": workload.project}))


def _cancel_waiting(tx: Tx, deed: Deed, workload: Workload) -> Workload:
    reason = Reason.of(ReasonKind.ENDED_CANCELLED)
    cancelled = move_workload(
        tx, workload, WorkloadState.CANCELLED, cancel_asked_ms=deed.now_ms, ended_ms=deed.now_ms, reason=reason.to_json()
    )
    record(tx, deed, "workload.cancelled", workload.id, project=workload.project, touched=touch(cancelled))
    return cancelled
