"""Attempts that live although their end is recorded: attested lost by an operator, most of all, of whom the link proved nothing.

Their site is told to stop them, their place is nobody's until it has told of their end, and their workload is not placed again
meanwhile. What they still used is told in their quarantine row and billed to nobody: whoever attested bears it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dure.controller.deed import Deed, record, touch
from dure.controller.lifecycle import free_claim
from dure.model.codec import to_plain
from dure.model.link import AttemptReport
from dure.model.site import ATTESTED, Quarantine
from dure.model.workload import Attempt, Workload
from dure.ports import Reader, Tx

PHASES = {"launching": 0, "running": 1, "ended": 2}


def order_stop(tx: Tx, deed: Deed, attempt: Attempt, *, forced: bool) -> None:
    """An operator states that it is dead: its site is told to stop it all the same, with the first word that it hears again."""
    seen = {**_place(tx, attempt), "phase": ATTESTED, "evidence": to_plain(attempt.evidence)}
    row = Quarantine(
        id=attempt.id, site=attempt.site, workload=attempt.workload, seen_ms=deed.now_ms, observation=seen,
        resolved=ATTESTED, stopping=True,
    )  # fmt: skip
    row = _put(tx, row)
    data = {"workload": attempt.workload, "forced": forced}
    record(tx, deed, "attempt.attested", attempt.id, project=attempt.project, site=attempt.site, data=data, touched=touch(row))


def outlived(tx: Tx, deed: Deed, attempt: Attempt, seen: AttemptReport) -> bool:
    """Take in what its site says of an attempt whose end is recorded. True: the site may forget it."""
    row = tx.get(Quarantine, attempt.id)
    if seen.phase == "ended":
        if row is not None and row.stopping:
            _end_told(tx, deed, attempt, row, seen)
        return True
    if seen.phase in PHASES:
        _alive(tx, deed, attempt, row, seen)
    return False


def _alive(tx: Tx, deed: Deed, attempt: Attempt, row: Quarantine | None, seen: AttemptReport) -> None:
    told = _told(tx, attempt, seen)
    if row is not None and row.stopping and row.may_run:  # known, and being stopped
        if PHASES[seen.phase] > PHASES[row.observation["phase"]]:
            row = tx.update(replace(row, observation=told))
            record(tx, deed, "quarantine.observed", row.id, site=row.site, data={"phase": seen.phase}, touched=touch(row))
        return
    row = _put(
        tx,
        Quarantine(
            id=attempt.id, site=attempt.site, workload=attempt.workload, seen_ms=deed.now_ms, observation=told, stopping=True
        ),
    )
    data = {"workload": attempt.workload, "phase": seen.phase, "unbilled_ms": told["unbilled_ms"]}
    record(tx, deed, "attempt.resurfaced", attempt.id, project=attempt.project, site=attempt.site, data=data, touched=touch(row))


def _end_told(tx: Tx, deed: Deed, attempt: Attempt, row: Quarantine, seen: AttemptReport) -> None:
    """Nothing is left for anybody to decide. One that was attested lost and used nothing more was dead indeed."""
    told = _told(tx, attempt, seen)
    resolved = "ended" if not row.resolved or (row.resolved == ATTESTED and told["unbilled_ms"]) else row.resolved
    ended: Quarantine = tx.update(replace(row, observation=told, stopping=False, resolved=resolved))
    if resolved == row.resolved:
        record(tx, deed, "quarantine.observed", row.id, site=row.site, data={"phase": seen.phase}, touched=touch(ended))
    else:
        data = {"as": resolved, "unbilled_ms": told["unbilled_ms"]}
        record(tx, deed, "quarantine.resolved", row.id, site=row.site, data=data, touched=touch(ended))
    if attempt.beneficiary:
        free_claim(tx, deed, attempt.beneficiary)


def _put(tx: Tx, row: Quarantine) -> Quarantine:
    known = tx.get(Quarantine, row.id)
    if known is None:
        tx.insert(row)
        return row
    put: Quarantine = tx.update(replace(row, version=known.version))
    return put


def _told(reader: Reader, attempt: Attempt, seen: AttemptReport) -> dict[str, Any]:
    """What its site says now, at the place that the plane gave it; a site whose agent lost its journal knows none."""
    unbilled_ms = max(0, seen.evidence.run_ms - attempt.evidence.run_ms)
    return {**to_plain(seen), **_place(reader, attempt), "unbilled_ms": unbilled_ms}


def _place(reader: Reader, attempt: Attempt) -> Mapping[str, Any]:
    """Under the attempt's own epoch, below which its site would take an order to stop it for an older one."""
    workload = reader.get(Workload, attempt.workload)
    demand = workload.spec.demand if workload is not None else None
    return {
        "epoch": attempt.epoch,
        "workload": attempt.workload,
        "project": attempt.project,
        "workers": [to_plain(w) for w in attempt.workers],
        "accelerator": attempt.accelerator,
        "limit_ms": attempt.limit_ms,
        "cores_milli": demand.cores_milli if demand else 0,
        "memory_mib": demand.memory_mib if demand else 0,
    }
