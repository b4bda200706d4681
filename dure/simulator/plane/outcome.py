"""What a run was: read from what the plane has recorded, and proved before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from dure.controller import verify_audit, verify_store_books
from dure.controller.moved import lost_ms
from dure.errors import require
from dure.model.workload import Attempt, AttemptState, Outcome
from dure.ports import Reader, Store
from dure.simulator.plane.farm import Founded, site_id
from dure.simulator.report.facts import facts_of
from dure.simulator.report.run import Run, Stretches, run_of


def prove(reader: Reader) -> int:
    """Hash the chain again, and make every sum of the books again; how many events there are. Raises InvariantViolated."""
    audit, books = verify_audit(reader), verify_store_books(reader)
    require(audit.fault is None and not audit.findings, f"the chain of events does not hold: {audit.fault} {audit.findings[:3]}")
    require(not books.findings, f"the books do not hold: {books.findings[:3]}")
    return audit.events + audit.unsealed


def outcome(
    store: Store, founded: Founded, rows: Mapping[str, int], zero_ms: int, name: str, notes: Mapping[str, str], *, until_ms: int
) -> Run:  # fmt: skip
    """rows: the job of each workload. zero_ms: the trace's zero by the plane's clock."""
    trace, fleet, asks = founded.trace, founded.fleet, founded.farm.asks
    facts, devices = facts_of(fleet), asks.workers * asks.devices_milli
    held = devices if facts.measured == "devices" else asks.workers * asks.cores_milli
    columns = _columns(store.read(lambda r: r.find(Attempt)), founded, rows, zero_ms, until_ms)
    job, since, until, site, kind = (np.array(column, np.int64) for column in columns.stretches())
    where = {"site": site.astype(np.int32), "accelerator": kind.astype(np.int32)}
    stretches = Stretches(job=job, from_ms=since, until_ms=until, held_milli=held[job], **where)
    tenant, tenants = trace.owners
    return run_of(
        trace, columns.start_ms, facts, end_ms=columns.end_ms, devices_milli=devices, policy=founded.rules.name, trace=name,
        stretches=stretches, preemptions=columns.preemptions, lost_ms=columns.lost_ms, won=columns.won, until_ms=until_ms,
        tenant=tenant, tenants=tenants, notes=notes,
    )  # fmt: skip


class _Columns:
    """By job of the trace."""

    def __init__(self, jobs: int) -> None:
        self.start_ms, self.end_ms = np.full(jobs, -1, np.int64), np.full(jobs, -1, np.int64)
        self.preemptions, self.lost_ms, self.won = (np.zeros(jobs, np.int64) for _ in range(3))
        self.parts: list[tuple[int, int, int, int, int]] = []  # job, from, until, site, accelerator

    def stretches(self) -> Iterable[tuple[int, ...]]:
        return zip(*self.parts, strict=True) if self.parts else ((),) * 5


def _columns(attempts: Iterable[Attempt], founded: Founded, rows: Mapping[str, int], zero_ms: int, until_ms: int) -> _Columns:
    made = _Columns(len(founded.trace))
    site = {site_id(n): n for n in range(len(founded.fleet.sites))}
    kind = {name: n for n, name in enumerate(founded.fleet.accelerators)}
    for attempt in attempts:  # as they were placed
        job, evidence, ended = rows[attempt.workload], attempt.evidence, attempt.state == AttemptState.ENDED
        made.won[job] += attempt.settled - attempt.refunded
        if attempt.outcome == Outcome.PREEMPTED and not evidence.run_ms:
            continue  # its place was somebody else's in the moment in which it got it
        since = evidence.started_ms - zero_ms
        until = evidence.ended_ms - zero_ms if ended else until_ms
        made.parts.append((job, since, until, site[attempt.site], kind.get(attempt.accelerator, -1)))
        made.start_ms[job] = since if made.start_ms[job] < 0 else made.start_ms[job]
        if attempt.outcome == Outcome.PREEMPTED:
            made.preemptions[job] += 1
            made.lost_ms[job] += lost_ms(evidence)
        elif ended:
            made.end_ms[job] = until
    return made
