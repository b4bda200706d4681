"""Runs of one trace side by side: one row a measure, one column a policy, in plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from dure.errors import require
from dure.simulator.report.metrics import Value, measure
from dure.simulator.report.run import Run

Bool = NDArray[np.bool_]
LOWER, HIGHER, NEITHER = "lower", "higher", "neither"
ALIKE = 0.001  # relative: what is within a thousandth of the best is as good, and where all are, none is the best


@dataclass(frozen=True, slots=True)
class Measure:
    """key: of its words (`texts`), and stable. unit: jobs, s, ratio, share (0 to 1), device_hours, wh, g, krw, count."""

    key: str
    unit: str
    better: str  # lower, higher, or neither


MEASURES = (
    Measure("jobs", "jobs", NEITHER), Measure("jobs.unfinished", "jobs", LOWER), Measure("jobs.never_started", "jobs", LOWER),
    *(Measure(f"{key}.{name}", unit, LOWER) for key, unit in (("queueing", "s"), ("jct", "s"), ("slowdown", "ratio"))
      for name in ("mean", "p50", "p90", "p99")),
    Measure("wait.longest", "s", LOWER), Measure("wait.widest", "s", LOWER), Measure("makespan", "s", LOWER),
    Measure("utilisation", "share", HIGHER), Measure("utilisation.steady", "share", HIGHER),
    Measure("fragmentation", "share", LOWER), Measure("fairness.jain", "ratio", HIGHER),
    Measure("slowdown.tenant_best", "ratio", NEITHER), Measure("slowdown.tenant_worst", "ratio", LOWER),
    Measure("preemptions", "count", NEITHER), Measure("lost", "device_hours", LOWER), Measure("energy", "wh", LOWER),
    Measure("carbon", "g", LOWER), Measure("power_krw", "krw", LOWER), Measure("charged_krw", "krw", NEITHER),
    Measure("domestic", "share", HIGHER),
)  # fmt: skip


_OF_WORK = ("wh", "g", "krw")


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of every policy. best: which are the best of them; none where all are alike, or nothing is better."""

    measure: Measure
    values: tuple[Value, ...]
    best: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """compared: how many jobs JCT, queueing and slowdown are of: those that finished under every policy, so that no policy looks
    better for what it left undone."""

    policies: tuple[str, ...]
    rows: tuple[Row, ...]
    jobs: int
    compared: int

    def row(self, key: str) -> Row:
        return next(row for row in self.rows if row.measure.key == key)


def common(runs: Sequence[Run]) -> Bool:
    """Which jobs finished in every run."""
    return reduce(np.logical_and, (run.finished for run in runs))


def compare(runs: Sequence[Run]) -> Table:
    """The table of runs, in their order. Rows of which nothing is known are left out. Raises InvariantViolated where they are not
    of the same jobs."""
    require(len(runs) > 0, "there is something to compare")
    require(all(same_jobs(runs[0], run) for run in runs[1:]), "runs of the same jobs can be compared, others cannot")
    among = common(runs)
    values = [measure(run, among) for run in runs]
    whole = all(run.finished.all() for run in runs)
    rows = [_row(each, tuple(found[each.key] for found in values), whole=whole) for each in MEASURES]
    kept = tuple(row for row in rows if any(value is not None for value in row.values))
    return Table(policies=tuple(run.policy for run in runs), rows=kept, jobs=len(runs[0]), compared=int(among.sum()))


def same_jobs(one: Run, other: Run) -> bool:
    """Whether two runs are of the same jobs in the same order."""
    columns = ("submit_ms", "duration_ms", "devices_milli")
    return (
        len(one) == len(other)
        and one.ids == other.ids
        and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)
    )


def _row(of: Measure, values: tuple[Value, ...], *, whole: bool) -> Row:
    """whole: whether every run did all of its work. Who does less draws less, and is not better for it."""
    known = [value for value in values if value is not None]
    if of.better == NEITHER or len(known) < 2 or (of.unit in _OF_WORK and not whole) or _alike(min(known), max(known)):
        return Row(of, values, (False,) * len(values))
    best = min(known) if of.better == LOWER else max(known)
    return Row(of, values, tuple(value is not None and _alike(value, best) for value in values))


def _alike(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=ALIKE, abs_tol=1e-9)
