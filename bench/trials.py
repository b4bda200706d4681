"""How fast trials run: the compiled loop at every event of the Philly trace, beside a snapshot and a plan for each step.

The table goes to docs/benchmarks/policies.md."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from bench.policies import PAGE, clusters, national_week, philly_pool
from bench.results import Result, fill_page
from dure.scheduler.warm import warm as warm_plan
from dure.simulator.report import Run
from dure.simulator.traces import Fleet, Trace
from dure.simulator.trial import Assumptions, rules_of, trial
from dure.simulator.trial.warm import warm

GIVEN = Assumptions(whole_shares=True)
POLICIES = ("default", "easy", "conservative", "srtf", "las")
CUT_FROM, CUT = 20_000, 1_500  # jobs that the slow way is given: some minutes' worth
RUNS = 3
AIM = 20_000


def trials() -> list[Result]:
    """CPU seconds of one process, compiled beforehand."""
    warm_plan()
    warm()
    pool, tight, published = philly_pool(), clusters("tight"), clusters("published")
    cases = {"published": published, "tight": tight, "one pool": pool}
    rates = {name: _fast(*case, "default") for name, case in cases.items()}
    cut, national = _cut(*tight), national_week()
    slow, fast = _seconds(*cut, "default", compiled=False), _seconds(*cut, "default")
    rows = [(policy, *(_fast(*case, policy) for case in cases.values())) for policy in POLICIES[1:]]
    stepped = _seconds(*_first(*national, CUT), "default")
    fill_page(PAGE, {"speed": "".join(_table([("default", *rates.values()), *rows], CUT / slow, CUT / fast, CUT / stepped))})
    jobs, steps = len(tight[0]), "at every event, fair share, backfill, 16 promises; median of 3"
    return [
        Result(
            name=f"trial.fast.{name.replace(' ', '-')}", value=round(rate), unit="jobs per CPU second", aim=f">= {AIM:,}",
            against=f"a plan for each step {CUT / slow:,.0f} on {CUT:,} of the jobs, where this loop makes {CUT / fast:,.0f}",
            method=f"{jobs} Philly jobs, {name}, default policy {steps}",
        )
        for name, rate in rates.items()
    ]  # fmt: skip


def _fast(trace: Trace, fleet: Fleet, policy: str) -> float:
    return len(trace) / float(np.median([_seconds(trace, fleet, policy) for _ in range(RUNS)]))


def _seconds(trace: Trace, fleet: Fleet, policy: str, *, compiled: bool = True) -> float:
    began = time.process_time()
    run: Run = trial(trace, fleet, rules_of(policy), assumptions=GIVEN, compiled=compiled)
    spent = time.process_time() - began
    return spent if len(run) else 0.0


def _cut(trace: Trace, fleet: Fleet) -> tuple[Trace, Fleet]:
    return trace.take(np.arange(CUT_FROM, CUT_FROM + CUT)).rebased(), fleet


def _first(trace: Trace, fleet: Fleet, count: int) -> tuple[Trace, Fleet]:
    return trace.take(np.arange(count)), fleet


def _table(rows: list[tuple[str, float, float, float]], slow: float, fast: float, stepped: float) -> Iterator[str]:
    yield "Jobs a CPU second, at every event:\n\n"
    yield "| policy | published clusters | tight clusters | one pool |\n|---|---|---|---|\n"
    for policy, *rates in rows:
        yield f"| {policy} | " + " | ".join(f"{rate:,.0f}" for rate in rates) + " |\n"
    yield f"\nThe default with a plan for each step, on {CUT:,} jobs of the tight clusters: {slow:,.0f}; the compiled loop on "
    yield f"the same: {fast:,.0f}. On {CUT:,} of the national workload, whose sites have limits of power: "
    yield f"{stepped:,.0f}.\n"
