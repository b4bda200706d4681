"""The whole plane on traces: jobs per CPU second, at every event and at a cadence, and beside it the trial of the same jobs.

The table goes to docs/benchmarks/whole-plane.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.policies import national_week, philly_pool
from bench.results import Result, fill_page
from dure.errors import require
from dure.scheduler.warm import warm
from dure.simulator.plane import whole_plane
from dure.simulator.report import Run
from dure.simulator.traces import Fleet, Trace
from dure.simulator.trial import EVERY_EVENT, Assumptions, rules_of, trial

PAGE = Path(__file__).parent.parent / "docs/benchmarks/whole-plane.md"
SETTLED = 3000  # jobs of a trace that are passed over: until then its fleet is filling
JOBS, RUNS = 1000, 3
WARMING = 50  # jobs before a measurement: what is compiled or made once is made then
CADENCES = {EVERY_EVENT: 300, 10_000: 2000}  # with their aims, jobs per CPU second
GIVEN = Assumptions(whole_shares=True)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """s: CPU seconds of each run, of plane and of trial."""

    case: str
    every_ms: int
    run: Run
    plane_s: tuple[float, ...]
    trial_s: tuple[float, ...]

    @property
    def rate(self) -> float:
        return len(self.run) / min(self.plane_s)

    @property
    def steps(self) -> int:
        return int(self.run.notes["steps"])


def plane() -> list[Result]:
    """Both cuts at both cadences, the fastest of some runs: what else a machine does can only slow one down."""
    warm()
    cases = {"Philly": cut(*philly_pool()), "national": cut(*national_week())}
    found = [measure(case, *given, every_ms) for case, given in cases.items() for every_ms in CADENCES]
    fill_page(PAGE, {"rates": "".join(_table(found, {case: given[1] for case, given in cases.items()}))})
    return [_result(each) for each in found]


def cut(trace: Trace, fleet: Fleet) -> tuple[Trace, Fleet]:
    return trace.take(np.arange(SETTLED, SETTLED + JOBS)).rebased(), fleet


def measure(case: str, trace: Trace, fleet: Fleet, every_ms: int) -> Measured:
    """The run is proved, and held against the trial."""
    rules = rules_of("default")

    def one(way: Callable[..., Run], jobs: Trace) -> tuple[float, Run]:
        began = time.process_time()
        run = way(jobs, fleet, rules, name=case, every_ms=every_ms, assumptions=GIVEN)
        return time.process_time() - began, run

    for way in (whole_plane, trial):
        one(way, trace.take(np.arange(WARMING)))
    planes, trials = [one(whole_plane, trace) for _ in range(RUNS)], [one(trial, trace) for _ in range(RUNS)]
    run, quick = planes[0][1], trials[0][1]
    require(bool((run.start_ms == quick.start_ms).all() and (run.end_ms == quick.end_ms).all()), "plane and trial decide alike")
    return Measured(
        case=case, every_ms=every_ms, run=run, plane_s=tuple(s for s, _ in planes), trial_s=tuple(s for s, _ in trials)
    )  # fmt: skip


def _table(found: list[Measured], fleets: Mapping[str, Fleet]) -> Iterator[str]:
    yield "| trace | decided | jobs/s, plane | aim | spread of the runs | steps | CPU ms a step | events | jobs/s, trial |\n"
    yield "|---" * 9 + "|\n"
    for m in found:
        often = f"every {m.every_ms // 1000} s" if m.every_ms else "every event"
        spread = f"{len(m.run) / max(m.plane_s):,.0f} to {m.rate:,.0f}"
        yield (
            f"| {m.case}: {len(m.run):,} jobs, {fleets[m.case].devices:,} devices | {often} | **{m.rate:,.0f}** | "
            f"{CADENCES[m.every_ms]:,} | {spread} | {m.steps:,} | {1000 * min(m.plane_s) / m.steps:.2f} | "
            f"{m.run.notes['events']} | {len(m.run) / min(m.trial_s):,.0f} |\n"
        )


def _result(m: Measured) -> Result:
    often = f"every_{m.every_ms // 1000}_s" if m.every_ms else "every_event"
    return Result(
        name=f"plane.{m.case.lower()}.{often}", value=round(m.rate, 1), unit="jobs per CPU second",
        aim=f">= {CADENCES[m.every_ms]:,}",
        against="nothing; AccaSim (EASY, one process, no ledger) is quoted with 669",
        method=f"jobs {SETTLED + 1} to {SETTLED + JOBS} through the whole plane, default policy, {m.steps} steps, books and "
        f"chain proved at the end (included); the fastest of {RUNS} runs, {len(m.run) / max(m.plane_s):,.0f} the slowest",
    )  # fmt: skip
