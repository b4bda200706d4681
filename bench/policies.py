"""Policies side by side (table C): Philly on one pool, also under each packing, and a made national workload.

The tables go to docs/benchmarks/policies.md."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.fgd import TRACES
from bench.philly import reference
from bench.results import Result, fill_page
from dure.simulator.philly import DEVICES, FROM_MS, SPAN_MS
from dure.simulator.report import Run
from dure.simulator.report.compare import MEASURES as MEASURED
from dure.simulator.report.compare import common
from dure.simulator.report.metrics import Value, longest_wait, measure
from dure.simulator.report.usage import utilisation
from dure.simulator.report.words import Words
from dure.simulator.traces import (
    Fleet,
    Kind,
    Pool,
    Site,
    Trace,
    Workload,
    built_in,
    make_fleet,
    national,
    read_trace,
    submitted,
)  # fmt: skip
from dure.simulator.trial import Assumptions, rules_of, trial

Bool = NDArray[np.bool_]

PAGE = Path(__file__).parent.parent / "docs/benchmarks/policies.md"
EVERY_MS = 60_000
POLICIES = ("default", "fifo", "best-effort-fifo", "easy", "conservative", "sjf", "qssf", "srtf", "las")
LIMITS = {
    "named": Assumptions(whole_shares=True),
    "learned": Assumptions(whole_shares=True, learned_limits=True),
    "exact": Assumptions(whole_shares=True, exact_limits=True),
}
PACKINGS = ("first-fit", "best-fit", "dot-product", "gpu-packing", "gpu-clustering", "fgd", "least-waste")
RESTS_ON_LIMITS = ("default", "easy")
# 256 promises at each of 80,000 steps of a pool that is always full take long
TOO_LONG = {"philly": ("conservative",)}
MEASURES = (
    "utilisation", "queueing.mean", "queueing.p50", "queueing.p90", "queueing.p99", "jct.mean", "slowdown.p90", "wait.longest",
    "wait.widest", "fairness.jain", "slowdown.tenant_worst", "preemptions", "lost",
)  # fmt: skip
NATIONAL_JOBS, SEED, LOAD, FULL = 20_000, 1, 0.9, 1.0


def policies() -> list[Result]:
    """Every policy on both; wall times as named, and for those whose promises rest on them also learned and exact."""
    return [compared("philly", *philly_pool()), compared("packings", *philly_pool()), compared("national", *contended())]


def compared(case: str, trace: Trace, fleet: Fleet) -> Result:
    """One of the tables, written to the page."""
    began = time.process_time()
    runs = [_one(trace, fleet, *each) for each in _variants(case)]
    spent = time.process_time() - began
    write(case, trace, runs)
    return Result(
        name=f"trial.{case}", value=round(len(runs) * len(trace) / spent), unit="jobs per CPU second",
        aim="none: three plan for each step" if case == "packings" else ">= 2,000",
        against="nothing here; AccaSim (EASY) is quoted with 669",
        method=f"{len(trace)} jobs under {len(runs)} sets of rules, decided every 60 s; see trials for every event",
    )  # fmt: skip


def _variants(case: str) -> list[tuple[str, str]]:
    """(policy, limits)"""
    if case == "packings":
        return [(policy, "named") for policy in ("default", *PACKINGS)]
    named = [(policy, "named") for policy in POLICIES if policy not in TOO_LONG.get(case, ())]
    return named + [(policy, limits) for policy in RESTS_ON_LIMITS for limits in ("learned", "exact")]


def philly_pool() -> tuple[Trace, Fleet]:
    """October and November 2017 on one pool that the jobs would fill for nine tenths of the time; each cluster is a tenant."""
    clusters = {row.queue: row.nodes for row in reference()["tight", "fifo"]}
    trace = read_trace(TRACES / "philly_jobs.parquet").trace
    known = np.isin(trace.queue, [trace.queues.index(name) for name in clusters])
    trace = trace.take((trace.submit_ms >= FROM_MS) & known).rebased()
    trace = trace.take(trace.submit_ms <= SPAN_MS)
    asked = int((trace.devices_milli / 1000 * trace.duration_ms).sum())
    pool = Pool(name="gpu", nodes=round(asked / (LOAD * DEVICES * SPAN_MS)), accelerator="gpu", devices=DEVICES)
    fleet = make_fleet("philly-pooled", [Site(name="pool", pools=(pool,))], kinds=(Kind(id="gpu"),))
    return replace(trace, tenant=trace.queue, tenants=trace.queues), fleet


def clusters(sizes: str) -> tuple[Trace, Fleet]:
    """The same months, every virtual cluster a site of its own that only its jobs use, with the "published" or "tight" sizes of
    table A."""
    nodes = {row.queue: row.nodes for row in reference()[sizes, "fifo"]}
    trace, _ = philly_pool()
    sites = [
        Site(name=name, pools=(Pool(name="gpu", nodes=nodes.get(name, 1), accelerator="gpu", devices=DEVICES),))
        for name in trace.queues
    ]
    return trace, make_fleet(f"philly-{sizes}", sites, kinds=(Kind(id="gpu"),))


def national_week() -> tuple[Trace, Fleet]:
    """The jobs that are submitted, for how fast something is: without those in progress at the start, which all come at once."""
    fleet = built_in("kr-15000")
    return submitted(national(np.random.default_rng(SEED), fleet, Workload(jobs=NATIONAL_JOBS))), fleet


def contended() -> tuple[Trace, Fleet]:
    """As much as all devices could do, from the first hour on. Sites draw what they like: under their caps no policy could let
    more than five eighths of the devices run what lasts beyond an afternoon."""
    capped = built_in("kr-15000")
    sites = [replace(site, power_watts=0, windows=()) for site in capped.sites]
    fleet = make_fleet(capped.name, sites, kinds=capped.kinds, source=capped.source)
    return national(np.random.default_rng(SEED), fleet, Workload(jobs=NATIONAL_JOBS, load=FULL)), fleet


def _one(trace: Trace, fleet: Fleet, policy: str, limits: str) -> Run:
    run = trial(trace, fleet, rules_of(policy), every_ms=EVERY_MS, assumptions=LIMITS[limits], name=fleet.name)
    return replace(run, policy=policy if limits == "named" else f"{policy}, {limits} limits")


def write(name: str, trace: Trace, runs: Sequence[Run]) -> None:
    fill_page(PAGE, {name: "".join(_table(trace, runs, (*MEASURES, "fragmentation") if name == "packings" else MEASURES))})


def _table(trace: Trace, runs: Sequence[Run], shown: Sequence[str]) -> Iterator[str]:
    """Waiting is of jobs that come while others run, not of those that were in progress at the start."""
    words, units = Words("en"), {measure.key: measure.unit for measure in MEASURED}
    arrivals = trace.extra["in_progress"] == 0 if "in_progress" in trace.extra else np.ones(len(trace), np.bool_)
    among = common(runs) & arrivals
    yield f"{arrivals.sum():,} jobs"
    yield f", and {len(trace) - arrivals.sum():,} in progress at the start" if not arrivals.all() else ""
    yield f"; waiting, completion and slowdown are of the {among.sum():,} of the former that ended under all.\n\n"
    yield "| policy | " + " | ".join(words.label(key) for key in shown) + " |\n"
    yield "|---" * (len(shown) + 1) + "|\n"
    for run in runs:
        found = _measures(run, arrivals, among)
        yield f"| {run.policy} | " + " | ".join(words.value(found[key], units[key]) for key in shown) + " |\n"


def _measures(run: Run, arrivals: Bool, among: Bool) -> Mapping[str, Value]:
    """As in a report, but utilisation is of the time in which jobs are submitted, and who stands out is one of the arrivals."""
    asked = np.where(arrivals, run.asked_milli, 0)
    longest, widest = longest_wait(run, arrivals), longest_wait(run, asked == asked.max())
    return {
        **measure(run, among), "utilisation": utilisation(run, (int(run.submit_ms.min()), int(run.submit_ms.max()))),
        "wait.longest": longest.wait_ms / 1000 if longest else None, "wait.widest": widest.wait_ms / 1000 if widest else None,
    }  # fmt: skip
