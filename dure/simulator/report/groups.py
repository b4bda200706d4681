"""The jobs of a run by who submitted them, and by how much they ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dure.simulator.report.exact import times, total
from dure.simulator.report.metrics import Value, slowdown, spread, turnaround_ms, waited_ms
from dure.simulator.report.run import NEVER, Run

I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
# Classes of size, each with the most that belongs to it, in thousandths of a device (or core).
SIZES = (("none", 0), ("part", 999), ("1", 1000), ("2-7", 7999), ("8", 8000), ("9-64", 64_000), ("65-512", 512_000),
         (">512", 1 << 62))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some jobs of a run. queueing, jct (s) and slowdown are of those that count, as in `metrics.measure`: mean, p50, p90, p99;
    longest_s, with all who still waited, of all of them."""

    key: str  # a size class, or a tenant's name; "" where the tenant is unknown
    jobs: int
    never_started: int
    asked_hours: float  # device-hours (or core-hours) that the jobs ask for
    queueing: dict[str, Value]
    jct: dict[str, Value]
    slowdown: dict[str, Value]
    longest_s: float


def by_size(run: Run, among: Bool | None = None) -> list[Group]:
    """The classes of size that have jobs, ascending."""
    bounds = np.array([most for _key, most in SIZES], np.int64)
    return _grouped(run, np.searchsorted(bounds, run.asked_milli), [key for key, _most in SIZES], among)


def by_tenant(run: Run, among: Bool | None = None) -> list[Group]:
    """Tenants that have jobs, by what they ask for, most first; those of equal demand by name."""
    code = np.where(run.tenant < 0, len(run.tenants), run.tenant)
    groups = _grouped(run, code, [*run.tenants, ""], among)
    return sorted(groups, key=lambda group: (-group.asked_hours, group.key))


def _grouped(run: Run, code: NDArray[np.integer], keys: list[str], among: Bool | None) -> list[Group]:
    counted = run.finished if among is None else among
    wait, jct, slow, asked = waited_ms(run), turnaround_ms(run), slowdown(run), times(run.asked_milli, run.duration_ms)
    order, never = np.argsort(code, kind="stable"), run.state == NEVER
    codes, first = np.unique(code[order], return_index=True)
    found = []
    for number, rows in zip(codes.tolist(), np.split(order, first[1:]) if len(codes) else [], strict=True):
        mine = rows[counted[rows]]
        found.append(
            Group(
                key=keys[number], jobs=len(rows), never_started=int(never[rows].sum()),
                asked_hours=total(asked[rows]) / 3.6e9, queueing=spread(wait[mine], 1000), jct=spread(jct[mine], 1000),
                slowdown=spread(slow[mine]), longest_s=int(wait[rows].max()) / 1000,
            )
        )  # fmt: skip
    return found
