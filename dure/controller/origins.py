"""What a workload that was submitted once more goes on from: the checkpoint of the one of which it is a copy."""

from __future__ import annotations

from dure.controller.rules import not_found
from dure.model.reason import Reason
from dure.model.workload import TERMINAL, Workload, WorkloadState
from dure.ports import Reader

ORIGINS_MAX = 20  # copies of copies that never ran, on the way to one that did


def origins_of(reader: Reader, project: str, origin: str) -> dict[int, str] | Reason:
    """Index of an element (-1: of no array) -> its origin: element i comes from element i. NOT_FOUND for another project's
    work, which is as absent as work that never was."""
    if not origin:
        return {}
    row = reader.get(Workload, origin)
    rows = [row] if row else reader.find(Workload, {"array_id": origin})
    if not rows or rows[0].project != project:
        return not_found("workload", origin)
    return {old.array_index: old.id for old in rows}


def checkpoint_of(reader: Reader, workload: Workload) -> str:
    """The workload whose checkpoint this one goes on from, "" for none.

    That is its origin, or where the origin never ran, the origin's own. It must have ended, or its files would change while they
    are copied; and not have succeeded, or nothing would be left to do."""
    row: Workload | None = workload
    for _ in range(ORIGINS_MAX if workload.spec.checkpoint_interval_ms else 0):
        row = reader.get(Workload, row.origin) if row and row.origin else None
        if row is None or row.project != workload.project or row.state not in TERMINAL or row.state == WorkloadState.SUCCEEDED:
            return ""
        if row.started_ms:
            return row.id
    return ""
