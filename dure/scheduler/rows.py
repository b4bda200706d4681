"""Rows of a snapshot taken out, or put in: by the names and lengths of the columns, so that a new column goes along by itself.

A field `x_ptr` is a run of offsets into the fields `x_…` of its group; every other field has one entry a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.attempts import projects_of
from dure.scheduler.quotas import use_of
from dure.scheduler.runs import gather
from dure.scheduler.snapshot import I32, Bool, Nodes, Pending, Snapshot

G = TypeVar("G")


def without_pending(s: Snapshot, gone: Bool) -> Snapshot:
    """The snapshot without these waiting workloads."""
    kept = _flat(s.pending.alt_ptr, ~gone)
    return replace(s, pending=_kept(s.pending, ~gone), alternatives=_kept(s.alternatives, kept))


def without_attempts(s: Snapshot, gone: Bool) -> Snapshot:
    """The snapshot without these attempts: what they occupied is free, and nobody makes room for them any more. Who was moved and
    has left is in its new place, which quotas count as its project's from then on."""
    number = np.where(gone, -1, np.cumsum(~gone) - 1).astype(np.int32)
    freed = np.where(s.attempts.beneficiary >= 0, number[s.attempts.beneficiary], -1).astype(np.int32) if len(number) else number
    follows = np.where(s.attempts.follows >= 0, number[s.attempts.follows], -1).astype(np.int32) if len(number) else number
    project = np.where(follows >= 0, s.attempts.project, projects_of(s.attempts)).astype(np.int32)
    attempts = _kept(replace(s.attempts, beneficiary=freed, follows=follows, project=project), ~gone)
    used = use_of(attempts, s.nodes, s.projects, len(s.shares.ids), len(s.accelerators))
    return replace(s, attempts=attempts, quotas=replace(s.quotas, used=used))


def with_nodes(s: Snapshot, like: int, ids: tuple[str, ...], **columns: Any) -> Snapshot:
    """The snapshot with further nodes like that of row `like`, behind all nodes of its site. columns: what is different."""
    at = int(np.searchsorted(s.nodes.site, s.nodes.site[like], side="right"))
    rows = np.insert(np.arange(len(s.nodes.ids)), at, np.full(len(ids), like))
    new = (rows == like) & (np.arange(len(rows)) >= at) & (np.arange(len(rows)) < at + len(ids))
    grown = picked(s.nodes, rows)
    changed: dict[str, Any] = {"ids": (*s.nodes.ids[:at], *ids, *s.nodes.ids[at:])}
    for name, value in columns.items():
        changed[name] = getattr(grown, name).copy()
        changed[name][new] = value
    seats = s.attempts.worker_node
    moved = np.where(seats >= at, seats + len(ids), seats).astype(np.int32)
    nodes: Nodes = replace(grown, **changed)
    return replace(s, nodes=nodes, attempts=replace(s.attempts, worker_node=moved))


def with_column(s: Snapshot, group: str, name: str, row: int, value: Any) -> Snapshot:
    """The snapshot with one cell changed."""
    held = getattr(s, group)
    column = getattr(held, name).copy()
    column[row] = value
    changes: Mapping[str, Any] = {group: replace(held, **{name: column})}
    return replace(s, **changes)


def row_of_waiting(pending: Pending, workload: str) -> int | None:
    """Row of a waiting workload by its id alone."""
    return pending.ids.index(workload) if workload in pending.ids else None


def _kept(group: G, keep: Bool) -> G:
    """The rows of a group that are kept, with what their runs hold."""
    return picked(group, np.flatnonzero(keep))


def picked(group: G, rows: NDArray[np.int64]) -> G:
    """The group with these rows, in this order, and what their runs hold."""
    names = [f.name for f in fields(group)]  # type: ignore[arg-type]
    runs = {name.removesuffix("_ptr"): gather(getattr(group, name), rows) for name in names if name.endswith("_ptr")}
    columns: dict[str, Any] = {}
    for name in names:
        value = getattr(group, name)
        run = next((r for r in runs if name.startswith(r + "_")), None)
        if run is None:
            columns[name] = _at(value, rows)
        elif name == run + "_ptr":
            columns[name] = runs[run][0].astype(np.int32)
        else:
            columns[name] = _at(value, runs[run][1])
    return replace(group, **columns)  # type: ignore[type-var]


def _flat(ptr: I32, keep: Bool) -> Bool:
    """Which entries of the runs belong to rows that are kept."""
    return np.repeat(keep, np.diff(ptr))


def _at(value: Any, rows: NDArray[np.int64]) -> Any:
    return value[rows] if isinstance(value, np.ndarray) else tuple(value[row] for row in rows.tolist())
