"""What a simulated run produced, as columns: one entry a job, and one for each stretch of time in which a job ran somewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.errors import require
from dure.simulator.report.facts import FleetFacts
from dure.simulator.traces.trace import UNKNOWN, Trace

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I8 = NDArray[np.int8]
Bool = NDArray[np.bool_]

STATES = ("finished", "unfinished", "never_started")
FINISHED, UNFINISHED, NEVER = range(3)
_CLOCK = re.compile(r"\d{4}-\d\d-\d\d[T ](\d\d):(\d\d)(?::(\d\d))?")


@dataclass(frozen=True, kw_only=True)
class Stretches:
    """When a job held how much, and where. One job may have several, one after the other (it was preempted, moved, or its gang
    changed its size) or at once (its gang spans sites). Read-only."""

    job: I64  # row of the job
    from_ms: I64
    until_ms: I64  # not included
    held_milli: I64  # thousandths of what the fleet's facts measure: devices, or cores
    site: I32
    accelerator: I32  # into the fleet's; -1 none

    def __post_init__(self) -> None:
        for name, column in vars(self).items():
            require(len(column) == len(self.job), f"the column {name} has a length of its own")
            column.flags.writeable = False

    def __len__(self) -> int:
        return len(self.job)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Values at moments, ascending: each holds until the next."""

    at_ms: I64
    value: I64


@dataclass(frozen=True, kw_only=True)
class Run:
    """One policy on one trace and one fleet. Jobs in order of submission; every array has one entry a job and is read-only.

    fragmentation: thousandths of a device that are free and of no use to what is expected (`scheduler.kernels.fragments`, divided
    by the weight of its mix). notes: what a reader of the report needs to know: seed, cadence, versions, what was skipped."""

    policy: str
    trace: str
    fleet: FleetFacts
    submit_ms: I64
    duration_ms: I64  # what the job needs to run, without what is lost
    start_ms: I64  # first start; -1 never
    end_ms: I64  # -1 when it has not ended
    devices_milli: I64  # of the whole job
    cores_milli: I64  # of the whole job; -1 unknown
    memory_mib: I64  # of the whole job; -1 unknown
    tenant: I32  # into tenants; -1 unknown
    preemptions: I64
    lost_ms: I64  # run time that was done again
    won: I64  # charged; -1 unknown
    stretches: Stretches
    until_ms: int  # when the simulation ended
    tenants: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()  # empty: jobs are called by their row, from 1
    clock_ms: int = UNKNOWN  # time of day at 0; -1 unknown
    fragmentation: Samples | None = None
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name in COLUMNS:
            require(len(getattr(self, name)) == len(self.submit_ms), f"the column {name} has a length of its own")
            getattr(self, name).flags.writeable = False

    def __len__(self) -> int:
        return len(self.submit_ms)

    @property
    def state(self) -> I8:
        """STATES of every job, which its times say."""
        return np.where(self.start_ms < 0, NEVER, np.where(self.end_ms < 0, UNFINISHED, FINISHED)).astype(np.int8)

    @property
    def finished(self) -> Bool:
        return self.end_ms >= 0

    @property
    def asked_milli(self) -> I64:
        """Of what the fleet measures: devices, or cores."""
        return self.devices_milli if self.fleet.measured == "devices" else np.maximum(self.cores_milli, 0)

    @property
    def span_ms(self) -> tuple[int, int]:
        """From the first submission to the last end, or to the end of the simulation when something has not ended."""
        if not len(self):
            return 0, 0
        return int(self.submit_ms.min()), int(self.end_ms.max()) if self.finished.all() else self.until_ms

    def name(self, row: int) -> str:
        return self.ids[row] if self.ids else str(row + 1)

    def take(self, rows: NDArray[Any]) -> Run:
        """The run with its jobs in another order. rows: every row once."""
        require(len(np.unique(rows)) == len(rows) == len(self), "a run keeps all of its jobs")
        place = np.empty(len(self), np.int64)
        place[rows] = np.arange(len(self))
        changes: dict[str, Any] = {name: np.ascontiguousarray(getattr(self, name)[rows]) for name in COLUMNS}
        ids = tuple(self.name(row) for row in np.asarray(rows).tolist())
        return replace(self, **changes, ids=ids, stretches=replace(self.stretches, job=place[self.stretches.job]))


COLUMNS = ("submit_ms", "duration_ms", "start_ms", "end_ms", "devices_milli", "cores_milli", "memory_mib", "tenant",
           "preemptions", "lost_ms", "won")  # fmt: skip
_DEFAULTS = {"cores_milli": UNKNOWN, "memory_mib": UNKNOWN, "tenant": UNKNOWN, "preemptions": 0, "lost_ms": 0, "won": UNKNOWN}


def make_run(
    *, submit_ms: Any, duration_ms: Any, start_ms: Any, devices_milli: Any, fleet: FleetFacts, end_ms: Any = None, site: Any = 0,
    accelerator: Any = None, stretches: Stretches | None = None, until_ms: int | None = None, **given: Any,
) -> Run:  # fmt: skip
    """A run, checked. end_ms: by default, a job that started ended when its duration was over.

    site, accelerator: of each job (or one for all), for a run without preemption; each job then has one stretch, from its start
    to its end. Where anything was preempted, or a gang spans sites, `stretches` says what ran when. accelerator by default is
    the fleet's only type. Raises InvariantViolated for what cannot be: ends before starts, more in use than there is."""
    plain = {"submit_ms": submit_ms, "duration_ms": duration_ms, "start_ms": start_ms, "devices_milli": devices_milli}
    columns: dict[str, Any] = {name: np.array(values, np.int64) for name, values in plain.items()}
    start = columns["start_ms"]
    ended = np.where(start >= 0, start + columns["duration_ms"], UNKNOWN) if end_ms is None else end_ms
    columns["end_ms"] = np.array(ended, np.int64)
    for name, default in _DEFAULTS.items():
        kind = np.int32 if name == "tenant" else np.int64
        columns[name] = np.broadcast_to(np.array(given.pop(name, default), kind), start.shape).copy()
    last = max(int(columns[name].max(initial=0)) for name in ("submit_ms", "start_ms", "end_ms"))
    until = last if until_ms is None else until_ms
    amount = columns["devices_milli"] if fleet.measured == "devices" else np.maximum(columns["cores_milli"], 0)
    if stretches is None:
        require(not columns["preemptions"].any(), "where jobs were preempted, stretches say when they ran")
        stretches = _one_each(start, columns["end_ms"], until, amount, fleet, site, accelerator)
    run = Run(**columns, stretches=stretches, until_ms=until, fleet=fleet, **given)
    _check(run)
    return run


def run_of(trace: Trace, start_ms: I64, fleet: FleetFacts, /, **given: Any) -> Run:
    """The run of a trace's jobs that started at these times (-1: never); what else there is to say as in `make_run`.

    A trace that names queues and no tenants may be told by queue: tenant=trace.queue, tenants=trace.queues. Cores and memory are
    of the whole job: those of its workers, and of a smaller last one in proportion to its devices."""
    parts = trace.workers * 1000 + np.where(trace.rest > 0, trace.rest * 1000 // np.maximum(trace.devices, 1), 0)

    def whole(column: I64) -> I64:
        return np.where(column < 0, UNKNOWN, column * parts // 1000)

    known = {
        "cores_milli": whole(trace.cores_milli), "memory_mib": whole(trace.memory_mib), "devices_milli": trace.devices_milli,
        "tenant": trace.tenant, "tenants": trace.tenants, "ids": trace.ids or tuple(map(str, trace.origin.tolist())),
        "clock_ms": clock_of(trace.zero),
    }  # fmt: skip
    return make_run(
        submit_ms=trace.submit_ms, duration_ms=trace.duration_ms, start_ms=start_ms, fleet=fleet, **{**known, **given}
    )


def clock_of(zero: str) -> int:
    """Time of day, ms, of a trace's zero in ISO 8601; -1 when it is not told."""
    found = _CLOCK.match(zero)
    return ((int(found[1]) * 60 + int(found[2])) * 60 + int(found[3] or 0)) * 1000 if found else UNKNOWN


def _one_each(
    start: I64, end: I64, until: int, amount: I64, fleet: FleetFacts, site: Any, accelerator: Any
) -> Stretches:  # fmt: skip
    if accelerator is None:
        require(len(fleet.accelerators) <= 1, "on a fleet of several types it is told which one a job has")
        accelerator = np.where(amount > 0, 0 if fleet.accelerators else UNKNOWN, UNKNOWN)
    ran = np.flatnonzero(start >= 0)
    places = (np.broadcast_to(np.array(column, np.int32), start.shape)[ran] for column in (site, accelerator))
    where, kind = places
    return Stretches(job=ran, from_ms=start[ran], until_ms=np.where(end[ran] < 0, until, end[ran]), held_milli=amount[ran],
                     site=where, accelerator=kind)  # fmt: skip


def _check(run: Run) -> None:
    """What must be so, whoever made the run."""
    started, part, fleet = run.start_ms >= 0, run.stretches, run.fleet
    require(bool((run.duration_ms >= 0).all() and (run.asked_milli >= 0).all()), "jobs have a duration and ask for something")
    require(bool((run.start_ms >= run.submit_ms)[started].all()), "nothing starts before it is submitted")
    require(bool((run.end_ms >= run.start_ms)[run.finished].all()), "nothing ends before it starts")
    require(bool(started[run.finished].all()), "only what started has ended")
    require(bool((run.tenant >= UNKNOWN).all() and (run.tenant < len(run.tenants)).all()), "tenants are in their table")
    require(not run.ids or len(run.ids) == len(run), "every job has a name, or none has")
    require(bool((part.job >= 0).all() and (part.job < len(run)).all()), "stretches are of jobs")
    require(bool((part.site >= 0).all() and (part.site < len(fleet.sites)).all()), "stretches are at sites")
    require(bool((part.accelerator >= -1).all() and (part.accelerator < len(fleet.accelerators)).all()), "on known types")
    last = np.where(run.end_ms < 0, run.until_ms, run.end_ms)[part.job]
    order = (run.start_ms[part.job] <= part.from_ms) & (part.from_ms <= part.until_ms) & (part.until_ms <= last)
    require(bool((order & started[part.job]).all()), "a stretch lies between its job's start and end")
    _never_too_much(run)


def _never_too_much(run: Run) -> None:
    """At no moment is more in use of a type at a site than there is."""
    part, types = run.stretches, len(run.fleet.accelerators) + 1
    cell = part.site.astype(np.int64) * types + part.accelerator % types
    at = np.concatenate([part.until_ms, part.from_ms])  # what ends at a moment is free before anything starts
    change = np.concatenate([-part.held_milli, part.held_milli])
    order = np.lexsort((change, at, np.concatenate([cell, cell])))
    level = np.cumsum(change[order])  # every cell is back at nothing when the next one begins
    over = level > run.fleet.capacity_milli.reshape(-1)[np.concatenate([cell, cell])[order]]
    require(not over.any(), "no more is in use than there is")
