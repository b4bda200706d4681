"""The measures of a run: pure functions of its columns, the same whatever the order of the jobs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.simulator.report.exact import by_group, jain, mean, rank, times, total
from dure.simulator.report.run import NEVER, Run, Samples
from dure.simulator.report.usage import draw_of, ran_ms, steady_ms, utilisation

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Value = float | int | None  # None: not known, or of nothing

SHORT_MS = 10_000  # jobs shorter than this count as this long in slowdown, lest those of no length decide
PARTS = 24  # of the time, in each of which the shares of tenants are compared
PERMILLES = {"p50": 500, "p90": 900, "p99": 990}


def turnaround_ms(run: Run) -> I64:
    """JCT: from submission to end; of what has not ended, so far."""
    return np.where(run.finished, run.end_ms, run.until_ms) - run.submit_ms


def waited_ms(run: Run) -> I64:
    """Queueing: all the time since submission in which a job did not run, before its first start or after a preemption; of what
    has not ended, so far. Without preemption this is start less submission, as in HeliosArtifact and the Philly tables."""
    return turnaround_ms(run) - ran_ms(run)


def slowdown(run: Run) -> F64:
    """Bounded slowdown: max(1, turnaround / max(duration, 10 s)). Feitelson et al., "Theory and Practice in Parallel Job
    Scheduling", JSSPP 1997; the bound is theirs."""
    return np.maximum(1.0, turnaround_ms(run) / np.maximum(run.duration_ms, SHORT_MS))


def spread(values: NDArray[Any], scale: float = 1.0) -> dict[str, Value]:
    """Mean and nearest-rank percentiles. scale: what one unit of the result is."""
    ordered = np.sort(values)
    middle = mean(values) if values.dtype == np.int64 else math.fsum(values.tolist()) / max(len(values), 1)
    found = {"mean": middle if len(values) else None} | {name: rank(ordered, p) for name, p in PERMILLES.items()}
    return {name: value / scale if value is not None else None for name, value in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """One job that stands out by its wait. ended: whether the wait is over, or only what it had come to."""

    row: int
    name: str
    milli: int  # what it asks for, of what the fleet measures
    wait_ms: int
    started: bool


def longest_wait(run: Run, rows: Bool | None = None) -> Waited | None:
    """Who waited longest, with those who never started, up to the end of the simulation: starvation shows here and not in a mean
    over jobs that finished. Of equals the first submitted."""
    chosen = np.arange(len(run)) if rows is None else np.flatnonzero(rows)
    if not len(chosen):
        return None
    wait = waited_ms(run)[chosen]
    among = chosen[wait == wait.max()]
    among = among[run.submit_ms[among] == run.submit_ms[among].min()]
    row = min(among.tolist(), key=run.name)
    return Waited(row=row, name=run.name(row), milli=int(run.asked_milli[row]), wait_ms=int(wait.max()),
                  started=bool(run.start_ms[row] >= 0))  # fmt: skip


def widest_gang(run: Run) -> Waited | None:
    """Of the jobs that ask for most, the one that waited longest."""
    asked = run.asked_milli
    return longest_wait(run, asked == asked.max()) if len(run) and asked.max() > 0 else None


def served(run: Run, from_ms: int, until_ms: int) -> tuple[list[int], list[int]]:
    """By tenant, over a time: what it received, and what an idle fleet would have given in that time to the jobs that it had
    (thousandths times ms). The last entry is of jobs whose tenant is unknown."""
    part, groups, asked = run.stretches, len(run.tenants) + 1, run.asked_milli
    before = np.zeros(len(run), np.int64)
    np.add.at(before, part.job, times(part.held_milli, np.clip(from_ms - part.from_ms, 0, part.until_ms - part.from_ms)))
    left = np.maximum(times(asked, run.duration_ms + run.lost_ms) - before, 0)
    present = np.maximum(until_ms - np.maximum(run.submit_ms, from_ms), 0)
    held = np.maximum(np.minimum(part.until_ms, until_ms) - np.maximum(part.from_ms, from_ms), 0)
    return (by_group(times(part.held_milli, held), run.tenant[part.job], groups),
            by_group(np.minimum(left, times(asked, present)), run.tenant, groups))  # fmt: skip


def moments_ms(run: Run) -> list[int]:
    """The ends of 24 equal parts of the time of submissions (of the run, where all were submitted at once), and its beginning."""
    if not len(run):
        return []
    first, last = int(run.submit_ms.min()), int(run.submit_ms.max())
    last = last if last > first else run.span_ms[1]
    return [first + (last - first) * turn // PARTS for turn in range(PARTS + 1)]


def shares(run: Run) -> list[list[float | None]]:
    """For each part of the time, by tenant: received over what an idle fleet would have given, at most 1; None where it had
    nothing to be served."""
    found = []
    for begin, end in pairwise(moments_ms(run)):
        got, could = served(run, begin, end)
        found.append([min(1.0, g / c) if c else None for g, c in zip(got, could, strict=True)])
    return found


def fairness(run: Run) -> float | None:
    """Jain's index over tenants of service received / demand, in each of 24 equal parts of the time of submissions, and of these
    the mean. Demand is what an idle fleet would have given in that time: a job that has just come cannot have been served yet.
    None where there are never two tenants at once."""
    indices = [jain([x for x in part if x is not None]) for part in shares(run)]
    known = [index for index in indices if index is not None]
    return math.fsum(known) / len(known) if known else None


def slowdown_by_tenant(run: Run, rows: Bool) -> dict[int, float]:
    """Mean bounded slowdown of each tenant that has such jobs; -1 is unknown."""
    values, tenant = slowdown(run)[rows], run.tenant[rows]
    order = np.argsort(tenant, kind="stable")
    codes, first = np.unique(tenant[order], return_index=True)
    pieces = np.split(values[order], first[1:]) if len(codes) else []
    return {int(code): math.fsum(piece.tolist()) / len(piece) for code, piece in zip(codes, pieces, strict=True)}


def domestic_share(run: Run) -> float | None:
    """Device-time on accelerators of domestic makers over all device-time; None where none ran, where a type that was used has a
    maker whose home is unknown, or where use is counted in cores."""
    part = run.stretches
    used = times(part.held_milli, part.until_ms - part.from_ms)
    everything = total(used)
    home = run.fleet.domestic[part.accelerator]
    if run.fleet.measured != "devices" or not everything or used[home < 0].any():
        return None
    return total(used[home == 1]) / everything


def over_time(samples: Samples | None, window: tuple[int, int]) -> float | None:
    """The mean of sampled values over a time, each holding until the next; None where nothing was sampled in it."""
    if samples is None or not len(samples.at_ms) or window[1] <= window[0]:
        return None
    until = np.concatenate([samples.at_ms[1:], [max(window[1], int(samples.at_ms[-1]))]])
    held = np.maximum(np.minimum(until, window[1]) - np.maximum(samples.at_ms, window[0]), 0)
    return total(times(samples.value, held)) / total(held) if held.any() else None


def charged_krw(run: Run) -> int | None:
    """What was charged for all jobs; None unless it is known of each."""
    return total(run.won) if len(run) and bool((run.won >= 0).all()) else None


def measure(run: Run, among: Bool | None = None) -> Mapping[str, Value]:
    """Every measure, by its key (`compare.MEASURES` has the units). among: the jobs whose JCT, queueing and slowdown count; by
    default those that finished. All else is of the whole run."""
    rows = run.finished if among is None else among
    found: dict[str, Value] = {"jobs": len(run), "jobs.unfinished": int((~run.finished).sum()),
                               "jobs.never_started": int((run.state == NEVER).sum())}  # fmt: skip
    for key, values, scale in (
        ("queueing", waited_ms(run), 1000),
        ("jct", turnaround_ms(run), 1000),
        ("slowdown", slowdown(run), 1),
    ):
        found |= {f"{key}.{name}": value for name, value in spread(values[rows], scale).items()}
    first, last = run.span_ms
    found["makespan"] = (last - first) / 1000 if len(run) and run.finished.all() else None
    return found | _standing_out(run) | _of_tenants(run, rows) | _of_fleet(run)


def _standing_out(run: Run) -> dict[str, Value]:
    longest, widest = longest_wait(run), widest_gang(run)
    return {
        "wait.longest": longest.wait_ms / 1000 if longest else None,
        "wait.widest": widest.wait_ms / 1000 if widest else None,
        "preemptions": total(run.preemptions),
        "lost": total(times(run.lost_ms, run.asked_milli)) / 3.6e9,
    }


def _of_tenants(run: Run, rows: Bool) -> dict[str, Value]:
    by_tenant = slowdown_by_tenant(run, rows).values()
    return {
        "fairness.jain": fairness(run),
        "slowdown.tenant_best": min(by_tenant) if len(by_tenant) > 1 else None,
        "slowdown.tenant_worst": max(by_tenant) if len(by_tenant) > 1 else None,
    }


def _of_fleet(run: Run) -> dict[str, Value]:
    whole, steady = run.span_ms, steady_ms(run)
    wasted, draw = over_time(run.fragmentation, whole), draw_of(run)
    carbon = draw is not None and bool(run.fleet.carbon_g_mwh.any())
    price = draw is not None and bool(run.fleet.price_krw_mwh.any())
    return {
        "utilisation": utilisation(run, whole),
        "utilisation.steady": utilisation(run, steady),
        "fragmentation": wasted / run.fleet.total_milli if wasted is not None else None,
        "domestic": domestic_share(run),
        "energy": math.fsum(draw.watt_hours) if draw else None,
        "carbon": math.fsum(draw.grams) if draw and carbon else None,
        "power_krw": math.fsum(draw.krw) if draw and price else None,
        "charged_krw": charged_krw(run),
    }
