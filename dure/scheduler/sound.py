"""Whether the columns of a snapshot belong together: as long as each other, and naming only rows that there are.

What Dure itself makes always does. A file that somebody hands in may not, and a plan of it would end in the middle, or be of
something else: kernels look up rows without asking whether there are any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from types import MappingProxyType

import numpy as np

from dure.model.money import CURRENCIES
from dure.model.workload import WHOLE_MILLI
from dure.scheduler.kernels.quota import sound_quotas
from dure.scheduler.kernels.room import DEVICES_MAX
from dure.scheduler.kernels.turns import PRIORITY_MAX
from dure.scheduler.snapshot import DEPENDENCY_FAILED, FOREVER_MS, I32, I64, STOPPING, Snapshot, unused_shape
from dure.scheduler.tables import classes_of, staying

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
    looks = (_misshapen, _outside, _contradicting, _unlike)  # each trusts what those before it have looked at
    return next((found for look in looks if (found := tuple(dict.fromkeys(look(s))))), ())


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
    """Columns with a number that is less, or more, than any that may stand there, and such numbers of the policy."""
    if len(s.attempts.workloads) != len(s.attempts.ids):
        yield "attempts.workloads"
    for name, (least, most) in {**_rows_of(s), **_AMOUNTS}.items():
        column = _column(s, name)
        if not ((column >= least) & (column <= most)).all():  # nor is a number that is none
            yield name
    if not ((s.core_rate >= 0) & (s.core_rate <= 1 << 31)).all():
        yield "core_rate"
    if not _NOW[0] <= s.now_ms <= _NOW[1]:
        yield "now_ms"
    yield from (f"policy.{name}" for name, (least, most) in _POLICY.items() if not least <= getattr(s.policy, name) <= most)


def _contradicting(s: Snapshot) -> Iterator[str]:
    """Columns that belong to another, and contradict it."""
    parent, leaf, p = s.shares.parent, s.projects.share, s.pending
    tree = not len(parent) or (parent[0] == -1 and (parent[1:] >= 0).all() and (parent < np.arange(len(parent))).all())
    if not tree:
        yield "shares.parent"  # parents come before children, the root first
    elif np.isin(leaf, parent).any():
        yield "projects.share"  # only leaves are projects
    elif not sound_quotas(parent, s.quotas.nominal, s.quotas.borrow_max, s.quotas.lend_max, s.quotas.used):
        yield "quotas"
    elif (staying(s)[2] < 0).any():
        yield "quotas.used"  # less than is used by those who stop
    if (p.limit_ms <= p.grace_ms).any():
        yield "pending.grace_ms"
    if (p.workers_min >= p.workers).any():
        yield "pending.workers_min"
    if ((p.share_milli > 0) & (p.devices > 0)).any():
        yield "pending.share_milli"
    if (s.nodes.closed_until_ms <= s.nodes.closed_from_ms).any() or _falls(s.nodes.closed_ptr, s.nodes.closed_from_ms):
        yield "nodes.closed_from_ms"
    if _falls(s.sites.power_ptr, s.sites.power_from_ms):
        yield "sites.power_from_ms"


def _falls(ptr: I32, column: I64) -> bool:
    """Whether one of the runs does not ascend."""
    within = np.ones(len(column) + 1, np.bool_)
    within[ptr] = False
    return bool((within[1:-1] & (np.diff(column) < 0)).any())


def _unlike(s: Snapshot) -> Iterator[str]:
    """Two waiting workloads that are said to be of one shape may ask for something else."""
    p = s.pending
    alone = replace(s, pending=replace(p, shape=np.arange(len(p.ids), dtype=np.int32)))
    own, _ = classes_of(alone, p.block & (p.workers > 1))
    first = np.zeros(unused_shape(p), np.int32)
    first[p.shape] = own
    if (first[p.shape] != own).any():
        yield "pending.shape"


def _rows_of(s: Snapshot) -> dict[str, tuple[int, int]]:
    """By column that names rows: the first and the last that there are. -1 is none, where there may be none."""
    sites, nodes, attempts, projects = len(s.sites.ids), len(s.nodes.ids), len(s.attempts.ids), len(s.projects.ids)
    kinds = len(s.accelerators)
    return {
        "nodes.site": (0, sites - 1), "nodes.accelerator": (-1, kinds - 1), "nodes.block": (-1, nodes - 1),
        "attempts.project": (-1, projects - 1), "attempts.beneficiary": (-1, attempts - 1),
        "attempts.worker_node": (0, nodes - 1), "attempts.follows": (-1, attempts - 1), "pending.project": (0, projects - 1),
        "pending.site_row": (-1, sites - 1), "pending.data_row": (-1, len(s.data) - 1),
        "alternatives.accelerator": (-1, kinds - 1), "projects.share": (0, len(s.shares.ids) - 1),
        "awards.project": (0, projects - 1),
    }  # fmt: skip


# The least and the most of every other column. They are wide: what is far beyond any farm, but no kernel leaves its tables for.
_FOREVER, _PRIORITY, _WORKERS, _SHAPES = int(FOREVER_MS), PRIORITY_MAX - 1, 1 << 17, 1 << 24
LIMIT_MAX = 1 << 53
_SPAN, _MOMENT, _SOME, _POWER, _MONEY = (0, LIMIT_MAX), (-(1 << 53), _FOREVER), (0, 1 << 40), (0, 10**13), (1 << 53) - 1
_AMOUNTS: Mapping[str, tuple[float, float]] = MappingProxyType({
    "sites.pue_permille": (1, 1 << 20), "sites.power_from_ms": _MOMENT, "sites.power_mw": (-1, _POWER[1]),
    "sites.carbon_g_kwh": (-1, 1 << 20), "sites.power_krw_mwh": (-1, 1 << 40),
    "nodes.cores_milli": _SOME, "nodes.memory_mib": _SOME, "nodes.idle_mw": _POWER, "nodes.device_mw": _POWER,
    "nodes.core_mw": _POWER, "nodes.closed_from_ms": _MOMENT, "nodes.closed_until_ms": _MOMENT,
    "attempts.state": (0, STOPPING), "attempts.priority": (-_PRIORITY, _PRIORITY), "attempts.started_ms": _MOMENT,
    "attempts.ends_ms": _MOMENT, "attempts.checkpoint_ms": _MOMENT, "attempts.cores_milli": _SOME, "attempts.memory_mib": _SOME,
    "attempts.share_milli": (0, WHOLE_MILLI - 1), "attempts.rest_ms": _SPAN, "attempts.grace_ms": (0, _FOREVER),
    "pending.priority": (-_PRIORITY, _PRIORITY), "pending.submitted_ms": _MOMENT, "pending.eligible_ms": _MOMENT,
    "pending.dependency": (0, DEPENDENCY_FAILED), "pending.workers": (1, _WORKERS), "pending.workers_min": (0, _WORKERS),
    "pending.cores_milli": _SOME, "pending.memory_mib": _SOME, "pending.devices": (0, DEVICES_MAX),
    "pending.limit_ms": (1, LIMIT_MAX),
    "pending.shape": (0, _SHAPES), "pending.share_milli": (0, WHOLE_MILLI - 1), "pending.deadline_ms": _MOMENT,
    "pending.grace_ms": _SPAN, "alternatives.hold": (-1, _MONEY), "alternatives.limit_ms": _SPAN,
    "shares.weight": (0, 1 << 31), "shares.use": (0, float(1 << 62)),
    "awards.currency": (0, len(CURRENCIES) - 1), "awards.available": (0, _MONEY), "awards.expires_ms": _MOMENT,
})  # fmt: skip
_NOW = (-(1 << 53), 1 << 53)
_POLICY = MappingProxyType({"reservations_max": (0, 10_000), "backfill_depth": (0, 1 << 40), "min_run_ms": _SPAN})
