"""Whether the columns of a snapshot belong together: as long as each other, and naming only rows that there are.

What Dure itself makes always does. A file that somebody hands in may not, and a plan of it would end in the middle, or be of
something else: kernels look up rows without asking whether there are any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np

from dure.model.money import CURRENCIES
from dure.scheduler.snapshot import DEPENDENCY_FAILED, FOREVER_MS, STOPPING, Snapshot

# CSR offsets of each group, with the columns that they are offsets into
RUNS = {
    "sites.power_ptr": ("sites.power_from_ms", "sites.power_mw"),
    "nodes.closed_ptr": ("nodes.closed_from_ms", "nodes.closed_until_ms"),
    "attempts.worker_ptr": ("attempts.worker_node", "attempts.worker_mask"),
    "pending.site_ptr": ("pending.site_row",),
    "pending.alt_ptr": ("alternatives.accelerator",),
    "pending.data_ptr": ("pending.data_row",),
}
_ENTRIES = {column for name, columns in RUNS.items() if name != "pending.alt_ptr" for column in columns}


def unsound(s: Snapshot) -> tuple[str, ...]:
    """The columns that are of another length than their group, or hold a number beyond what they may; none of a snapshot that can
    be planned."""
    return tuple(dict.fromkeys(_misshapen(s))) or tuple(dict.fromkeys(_outside(s)))


def _column(s: Snapshot, name: str) -> np.ndarray:
    group, _, column = name.rpartition(".")
    found: np.ndarray = getattr(getattr(s, group), column)
    return found


def _misshapen(s: Snapshot) -> Iterator[str]:
    for name, shape in _shapes(s).items():
        if _column(s, name).shape != shape:
            yield name
    kinds = len(s.accelerators)
    yield from (name for name, column, rows in (("domestic", s.domestic, kinds), ("core_rate", s.core_rate, kinds + 1))
                if column.shape != (rows,))  # fmt: skip
    for name, columns in RUNS.items():
        ptr, lengths = _column(s, name), {_column(s, column).shape[:1] for column in columns}
        if not len(ptr) or ptr[0] != 0 or (np.diff(ptr) < (name == "pending.alt_ptr")).any() or lengths != {(int(ptr[-1]),)}:
            yield name


def _shapes(s: Snapshot) -> dict[str, tuple[int, ...]]:
    """By column, its rows, and how wide they are where they are more than a number."""
    sites, kinds, shares, alternatives = len(s.sites.ids), len(s.accelerators), len(s.shares.ids), len(s.alternatives.accelerator)
    wide = {
        "sites.has_data": (sites, len(s.data)), "alternatives.hold": (alternatives, len(CURRENCIES)),
        "awards.site_ok": (len(s.awards.ids), sites), "awards.accelerator_ok": (len(s.awards.ids), kinds + 1),
        **{f"quotas.{f.name}": (shares, kinds + 1) for f in fields(s.quotas)},
    }  # fmt: skip
    rows = {g: len(getattr(s, g).ids) for g in ("sites", "nodes", "attempts", "pending", "projects", "shares", "awards")}
    rows["alternatives"] = alternatives
    plain = [(g, f.name, f"{g}.{f.name}") for g in rows for f in fields(getattr(s, g)) if f.name != "ids"]
    named = {"attempts.workloads", *wide, *_ENTRIES}
    return wide | {name: (rows[g] + (name in RUNS),) for g, _, name in plain if name not in named}


def _outside(s: Snapshot) -> Iterator[str]:
    """Columns with a number that is less, or more, than any that may stand there."""
    if len(s.attempts.workloads) != len(s.attempts.ids):
        yield "attempts.workloads"
    for name, (least, most) in _bounds(s).items():
        column = _column(s, name)
        if ((column < least) | (column > most)).any():
            yield name
    parent = s.shares.parent
    if len(parent) and (parent[0] != -1 or (parent[1:] < 0).any() or (parent >= np.arange(len(parent))).any()):
        yield "shares.parent"  # parents come before children, the root first


def _bounds(s: Snapshot) -> dict[str, tuple[int, int]]:
    """By column: the least and the most that may stand there. -1 is none, where there may be none."""
    sites, nodes, attempts, projects = len(s.sites.ids), len(s.nodes.ids), len(s.attempts.ids), len(s.projects.ids)
    kinds, forever = len(s.accelerators), int(FOREVER_MS)
    spans = ("attempts.rest_ms", "attempts.grace_ms", "pending.limit_ms", "pending.grace_ms", "alternatives.limit_ms")
    return {
        "nodes.site": (0, sites - 1), "nodes.accelerator": (-1, kinds - 1), "nodes.block": (-1, nodes - 1),
        "attempts.state": (0, STOPPING), "attempts.project": (-1, projects - 1), "attempts.beneficiary": (-1, attempts - 1),
        "attempts.worker_node": (0, nodes - 1), "attempts.follows": (-1, attempts - 1),
        "pending.project": (0, projects - 1), "pending.dependency": (0, DEPENDENCY_FAILED), "pending.workers": (1, forever),
        "pending.site_row": (-1, sites - 1), "pending.data_row": (-1, len(s.data) - 1),
        "alternatives.accelerator": (-1, kinds - 1), "projects.share": (0, len(s.shares.ids) - 1),
        "awards.project": (0, projects - 1), "awards.currency": (0, len(CURRENCIES) - 1),
        **dict.fromkeys(spans, (0, forever)),
    }  # fmt: skip
