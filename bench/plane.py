"""The whole plane on traces: jobs per CPU second, at every event and at a cadence, and beside it the trial of the same jobs; and
what a step costs, told apart from what a job costs, by cadences that put more jobs into a step.

The tables go to docs/benchmarks/whole-plane.md."""

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
# Both cuts have about one arrival or end in ten seconds. A cadence of a thousand is one of ten on a farm where a hundred times as
# much comes and goes: the same trace with all of its times, arrivals and lengths, divided by a hundred.
DENSE = (100_000, 1_000_000)
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

    @property
    def often(self) -> str:
        return f"every {self.every_ms // 1000:,} s" if self.every_ms else "every event"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """CPU ms of a step and of a job, as they fit the runs of one trace at all cadences best; off: the largest part by which a run
    took more or less than they say. Founding the farm and the proof at the end count as a job's."""

    step_ms: float
    job_ms: float
    off: float


def cost(found: list[Measured]) -> Cost:
    """By least squares. found: of one trace."""
    made_of = np.array([(m.steps, len(m.run)) for m in found], np.float64)
    took_ms = np.array([1000 * min(m.plane_s) for m in found])
    weight = 1 / took_ms  # what counts is by which part a run is missed
    (step_ms, job_ms), *_ = np.linalg.lstsq(made_of * weight[:, None], took_ms * weight, rcond=None)
    off = np.abs(made_of @ (step_ms, job_ms) / took_ms - 1).max()
    return Cost(step_ms=float(step_ms), job_ms=float(job_ms), off=float(off))


def plane() -> list[Result]:
    """Both cuts at both cadences, the fastest of some runs: what else a machine does can only slow one down."""
    warm()
    cases = {"Philly": cut(*philly_pool()), "national": cut(*national_week())}
    found = {case: [measure(case, *given, every_ms) for every_ms in (*CADENCES, *DENSE)] for case, given in cases.items()}
    aimed = [m for each in found.values() for m in each if m.every_ms in CADENCES]
    rates = "".join(_table(aimed, {case: given[1] for case, given in cases.items()}))
    fill_page(PAGE, {"rates": rates, "dense": "".join(_dense(found))})
    return [*map(_result, aimed), *(_told(case, each) for case, each in found.items())]


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
        spread = f"{len(m.run) / max(m.plane_s):,.0f} to {m.rate:,.0f}"
        yield (
            f"| {m.case}: {len(m.run):,} jobs, {fleets[m.case].devices:,} devices | {m.often} | **{m.rate:,.0f}** | "
            f"{CADENCES[m.every_ms]:,} | {spread} | {m.steps:,} | {1000 * min(m.plane_s) / m.steps:.2f} | "
            f"{m.run.notes['events']} | {len(m.run) / min(m.trial_s):,.0f} |\n"
        )


def _dense(found: Mapping[str, list[Measured]]) -> Iterator[str]:
    yield "| trace | decided | jobs/s, plane | steps | arrivals and ends a step | CPU ms a step | CPU ms a job |\n"
    yield "|---" * 7 + "|\n"
    for m in (m for each in found.values() for m in each if m.every_ms in DENSE):
        took_ms, moves = 1000 * min(m.plane_s), 2 * len(m.run) / m.steps
        yield (
            f"| {m.case} | {m.often} | **{m.rate:,.0f}** | {m.steps:,} | {moves:.0f} | {took_ms / m.steps:.1f} | "
            f"{took_ms / len(m.run):.2f} |\n"
        )
    yield "\n| trace | CPU ms of a step with one job | of each further job | largest miss |\n"
    yield "|---" * 4 + "|\n"
    for case, each in found.items():
        fit = cost(each)
        yield f"| {case} | **{fit.step_ms + fit.job_ms:.2f}** | **{fit.job_ms:.2f}** | {100 * fit.off:.0f} % |\n"


def _told(case: str, found: list[Measured]) -> Result:
    fit = cost(found)
    return Result(
        name=f"plane.{case.lower()}.further_job", value=round(fit.job_ms, 2), unit="CPU ms", aim="-", against="nothing",
        method=f"of a job beside others in one step; a step with one takes {fit.step_ms + fit.job_ms:.2f}: least squares over "
        f"{len(found)} cadences, missed by {100 * fit.off:.0f} % at most; founding and proof are in it",
    )  # fmt: skip


def _result(m: Measured) -> Result:
    return Result(
        name=f"plane.{m.case.lower()}.{m.often.replace(' ', '_')}", value=round(m.rate, 1), unit="jobs per CPU second",
        aim=f">= {CADENCES[m.every_ms]:,}",
        against="nothing; AccaSim (EASY, one process, no ledger) is quoted with 669",
        method=f"jobs {SETTLED + 1} to {SETTLED + JOBS} through the whole plane, default policy, {m.steps} steps, books and "
        f"chain proved at the end (included); the fastest of {RUNS} runs, {len(m.run) / max(m.plane_s):,.0f} the slowest",
    )  # fmt: skip
