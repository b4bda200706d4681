"""Would it run, and when: the plan itself, on a snapshot with one workload more."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from dure.model.reason import Reason
from dure.scheduler.plan import Plan, reason_of
from dure.scheduler.snapshot import DEPENDENCY_MET, FOREVER_MS, I32, Alternatives, Snapshot, freeze, unused_shape

_OF_NO_COLUMN = ("ids", "shape", "site_ptr", "site_row", "alt_ptr", "data_ptr", "data_row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothetical:
    """A workload that nobody has submitted. Indices are rows of the snapshot; limit_ms includes the grace."""

    id: str
    project: int
    priority: int
    workers: int
    cores_milli: int
    memory_mib: int
    devices: int
    limit_ms: int
    alternatives: tuple[tuple[int, tuple[int, ...]], ...]  # (accelerator, hold by currency), best first
    limits_ms: tuple[int, ...] = ()  # of each of these; empty: they have the same
    submitted_ms: int
    eligible_ms: int = 0
    dependency: int = DEPENDENCY_MET
    share_milli: int = 0
    preempts: bool = False
    preemptible: bool = True
    sites: tuple[int, ...] = ()  # empty: all
    deadline_ms: int = int(FOREVER_MS)
    workers_min: int = 0
    grace_ms: int = 0
    data: tuple[int, ...] = ()  # data sets; -1: one that is nowhere
    block: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a plan holds for one workload."""

    starts: bool
    claims: bool = False  # it starts when victims have left
    forced: bool = False  # and not all of these are of classes that yield
    site: str = ""  # where it starts, or is promised to
    promised_ms: int = 0  # 0: nothing is promised
    reason: Reason | None = None  # why it waits


def with_hypothetical(snapshot: Snapshot, extra: Hypothetical) -> tuple[Snapshot, int]:
    """The snapshot with one more waiting workload, and its row there. Rows behind it move up by one."""
    p = snapshot.pending
    submitted = p.submitted_ms.tolist()
    row = sum((at, id) <= (extra.submitted_ms, extra.id) for at, id in zip(submitted, p.ids, strict=True))
    site, alt = int(p.site_ptr[row]), int(p.alt_ptr[row])
    names = [f.name for f in fields(p) if f.name not in _OF_NO_COLUMN]
    columns = {name: np.insert(getattr(p, name), row, getattr(extra, name)) for name in names}
    columns["shape"] = np.insert(p.shape, row, unused_shape(p)).astype(np.int32)
    pending = replace(
        p,
        ids=(*p.ids[:row], extra.id, *p.ids[row:]),
        site_ptr=_grown(p.site_ptr, row, len(extra.sites)),
        site_row=np.insert(p.site_row, site, extra.sites).astype(np.int32),
        alt_ptr=_grown(p.alt_ptr, row, len(extra.alternatives)),
        data_ptr=_grown(p.data_ptr, row, len(extra.data)),
        data_row=np.insert(p.data_row, int(p.data_ptr[row]), extra.data).astype(np.int32),
        **columns,
    )
    old, kinds, holds = snapshot.alternatives, [a for a, _ in extra.alternatives], [h for _, h in extra.alternatives]
    limits = extra.limits_ms or (0,) * len(kinds)
    alternatives = Alternatives(
        np.concatenate([old.accelerator[:alt], np.array(kinds, np.int32), old.accelerator[alt:]]),
        np.concatenate([old.hold[:alt], np.array(holds, np.int64), old.hold[alt:]]),
        np.concatenate([old.limit_ms[:alt], np.array(limits, np.int64), old.limit_ms[alt:]]),
    )
    return freeze(replace(snapshot, pending=pending, alternatives=alternatives)), row


def _grown(ptr: I32, row: int, by: int) -> I32:
    """CSR offsets with a run of `by` entries put in before `row`."""
    return np.concatenate([ptr[: row + 1], ptr[row:] + by]).astype(np.int32)


def outlook(snapshot: Snapshot, plan: Plan, row: int) -> Outlook:
    """What `plan`, of `snapshot`, holds for the workload in `row`."""
    started = np.flatnonzero(plan.start_pending == row).tolist()
    if started:
        victims = plan.victim_attempt[plan.start_victim_ptr[started[0]] : plan.start_victim_ptr[started[0] + 1]]
        forced = bool((~snapshot.attempts.yields[victims]).any())
        return Outlook(starts=True, claims=len(victims) > 0, forced=forced, site=snapshot.sites.ids[plan.start_site[started[0]]])
    promised = np.flatnonzero(plan.reserve_pending == row).tolist()
    reason = reason_of(snapshot, plan, row)
    if not promised:
        return Outlook(starts=False, reason=reason)
    site, at_ms = snapshot.sites.ids[plan.reserve_site[promised[0]]], int(plan.reserve_ms[promised[0]])
    return Outlook(starts=False, site=site, promised_ms=at_ms, reason=reason)
