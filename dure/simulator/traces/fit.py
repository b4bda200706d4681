"""How well the generator fits what was measured: the same statistic of a trace and of what is generated, and their distance.

    python -m dure.simulator.traces.fit FOLDER        the tables of docs/benchmarks/national-workload.md

FOLDER holds the Parquet files that the page names (Philly's jobs, openb's pods, Azure's requests)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dure.simulator.traces.faults import Faults
from dure.simulator.traces.fitted import F64, SESSION_S, distance, quantiles
from dure.simulator.traces.fleet import Fleet
from dure.simulator.traces.fleets import built_in
from dure.simulator.traces.generate import days, national, offered_load, submitted
from dure.simulator.traces.national import BATCH, CPU, JOB_KINDS, LAB, Workload
from dure.simulator.traces.options import ReadOptions
from dure.simulator.traces.parquet import read_columns
from dure.simulator.traces.registry import read_trace
from dure.simulator.traces.trace import I64, TIMEOUT, Bool, Trace

SEED, JOBS = 20_260_105, 1_000_000
BUSY_FROM_MS = 23 * 86_400_000  # Philly's first weeks are a trickle: hours and days are of the time after
LOAD_FLEETS, LOAD_JOBS, LOAD_SEEDS = ("kr-15000", "kr-50000", "kr-260000"), (1_500, 10_000, 100_000), 10
SHOWN = (5, 25, 50, 75, 95, 99)  # percentiles in the table


Sample = NDArray[np.float64] | NDArray[np.int64]


@dataclass(frozen=True)
class Fit:
    """One statistic, measured and generated. distance: Kolmogorov–Smirnov."""

    name: str
    trace: str
    measured: Sample
    generated: Sample

    @property
    def distance(self) -> float:
        return distance(self.measured, self.generated)

    @property
    def halves(self) -> float:
        """How far the trace's first half is from its second: no generator without a clock can be nearer to both."""
        middle = len(self.measured) // 2
        return distance(self.measured[:middle], self.measured[middle:])


def generated(jobs: int = JOBS, fleet: str = "kr-50000", seed: int = SEED) -> tuple[Fleet, Trace]:
    """The jobs that the report is about: those that are submitted. What is left of jobs in progress fits nothing measured."""
    made = built_in(fleet)
    return made, submitted(national(np.random.default_rng(seed), made, Workload(jobs=jobs)))


def measure(folder: Path, made: Trace) -> Iterator[Fit]:
    """Every fitted statistic. Raises TraceError when a file is missing."""
    yield from _philly(read_trace(folder / "philly_jobs.parquet").trace, made)
    yield from _openb(read_trace(folder / "openb_pods.parquet", ReadOptions(variant="default")).trace, made)


def _philly(trace: Trace, made: Trace) -> Iterator[Fit]:
    batch = made.take((made.extra["kind"] == BATCH) & (made.status != TIMEOUT))  # timeouts are an assumption on top of the fit
    yield Fit("GPUs of a job", "Philly", trace.devices_milli / 1000, batch.devices_milli / 1000)
    for name, least, most in (("1 GPU", 1, 1), ("2 to 4 GPUs", 2, 4), ("8 GPUs", 8, 8), ("more than 8 GPUs", 9, 1 << 20)):
        own = [t.duration_ms[(t.devices_milli >= least * 1000) & (t.devices_milli <= most * 1000)] / 1000 for t in (trace, batch)]
        yield Fit(f"run time, s: {name}", "Philly", *own)
    start, jobs, gaps = sessions(trace.submit_ms)
    own_jobs, own_gaps = _made_sessions(made)
    yield Fit("jobs of a session", "Philly", jobs, own_jobs)
    yield Fit("s between jobs of a session", "Philly", gaps, own_gaps)
    # Philly's zero is a Friday's midnight; the generator's is a Monday's.
    begin = _made_starts(made)
    yield Fit("hour of a session's start", "Philly", start // 3_600_000 % 24, begin // 3_600_000 % 24)
    yield Fit("day of the week of a session's start", "Philly", (start // 86_400_000 + 4) % 7, begin // 86_400_000 % 7)


def sessions(submit_ms: I64) -> tuple[F64, F64, F64]:
    """Start in ms, jobs, and gaps in s, of the sessions of one stream; only of the 23rd day on is the stream more than a
    trickle."""
    gap = np.diff(submit_ms) / 1000
    first = np.r_[True, gap > SESSION_S]
    start = submit_ms[first].astype(np.float64)
    jobs = np.diff(np.r_[np.flatnonzero(first), len(submit_ms)]).astype(np.float64)
    return start[start >= BUSY_FROM_MS], jobs, gap[gap <= SESSION_S]


def _made_sessions(made: Trace) -> tuple[F64, F64]:
    """Sessions of the generator are those of one user with one kind of job; told apart by the same rule."""
    jobs, gaps = [], []
    for rows in _streams(made):
        _start, own, between = sessions(made.submit_ms[rows])
        jobs.append(own)
        gaps.append(between)
    return np.concatenate(jobs), np.concatenate(gaps)


def _made_starts(made: Trace) -> F64:
    """Starts in whole weeks, so that the end of the trace takes no day twice."""
    whole = max(int(days(made)) // 7 * 7, 1) * 86_400_000
    found = [made.submit_ms[rows][np.r_[True, np.diff(made.submit_ms[rows]) > SESSION_S * 1000]] for rows in _streams(made)]
    starts = np.concatenate(found).astype(np.float64)
    return starts[starts < whole]


def _streams(made: Trace) -> Iterator[I64]:
    mine = np.flatnonzero((made.extra["kind"] == BATCH) | (made.extra["kind"] == CPU))
    key = made.user[mine].astype(np.int64) * len(JOB_KINDS) + made.extra["kind"][mine]
    order = np.argsort(key, kind="stable")
    edges = np.flatnonzero(np.diff(key[order])) + 1
    return iter(np.split(mine[order], edges))


def _openb(trace: Trace, made: Trace) -> Iterator[Fit]:
    labs = made.take(made.extra["kind"] == LAB)
    yield Fit("devices of a lab, thousandths (1000 is whole)", "openb", _up_to_one(trace), _up_to_one(labs))
    shared, own = trace.take(trace.share_milli > 0), labs.take(labs.share_milli > 0)
    yield Fit("cores, with a share of a device", "openb", shared.cores_milli / 1000, own.cores_milli / 1000)
    yield Fit("MiB, with a share of a device", "openb", shared.memory_mib, own.memory_mib)
    whole, own = trace.take(_one(trace)), made.take(_one(made))
    yield Fit("cores, with one device", "openb", whole.cores_milli / 1000, own.cores_milli / 1000)
    yield Fit("MiB, with one device", "openb", whole.memory_mib, own.memory_mib)
    none, own = trace.take(trace.devices_milli == 0), made.take(made.extra["kind"] == CPU)
    yield Fit("cores, without devices", "openb", none.cores_milli / 1000, own.cores_milli / 1000)
    known = shared.take(shared.duration_ms >= 0)
    within = labs.take(labs.status != TIMEOUT)
    most = Workload().lab_most_s
    yield Fit(f"life of a lab, s, cut at {most}", "openb", np.minimum(known.duration_ms / 1000, most), within.duration_ms / 1000)


def _one(trace: Trace) -> Bool:
    found: Bool = np.logical_and(trace.devices == 1, trace.workers == 1)
    return found


def _up_to_one(trace: Trace) -> F64:
    milli = trace.devices_milli
    return milli[(milli > 0) & (milli <= 1000)].astype(np.float64)


def peak_of_requests(folder: Path, name: str) -> float:
    """Requests of the busiest of a hundred minutes over the mean of all whole minutes."""
    file = folder / f"azure_llm2023_{name}.parquet"
    arrival = read_columns(file, Faults(file.name, skip_bad=False))["arrival_s"]
    minutes = np.bincount((np.asarray(arrival, np.float64) // 60).astype(np.int64))[:-1]
    return float(np.percentile(minutes, 99) / minutes.mean())


# -- the report -------------------------------------------------------------------------------------------------------


def report(folder: Path, jobs: int = JOBS) -> str:
    """The tables of the benchmark page, in Markdown."""
    _fleet, made = generated(jobs)
    fits = list(measure(folder, made))
    out = ["| statistic | trace | n measured | n generated | distance | halves of the trace |", "|---|---|--:|--:|--:|--:|"]
    for fit in fits:
        counts = f"{len(fit.measured):,} | {len(fit.generated):,}"
        out.append(f"| {fit.name} | {fit.trace} | {counts} | {fit.distance:.3f} | {fit.halves:.3f} |")
    out += ["", "| statistic | | " + " | ".join(f"{level} %" for level in SHOWN) + " |", "|---|---|" + "--:|" * len(SHOWN)]
    for fit in fits:
        for who, values in (("measured", fit.measured), ("generated", fit.generated)):
            cells = " | ".join(f"{value:,.6g}" for value in np.percentile(values, SHOWN))
            out.append(f"| {fit.name if who == 'measured' else ''} | {who} | {cells} |")
    out += ["", "| Azure's requests: busiest of 100 minutes over the mean | measured | in the generator |", "|---|--:|--:|"]
    for name, used in zip(("conv", "code"), Workload().service_peak, strict=True):
        out.append(f"| {name} | {peak_of_requests(folder, name):.3f} | {used:.3f} |")
    return "\n".join([*out, "", *_kinds(made), "", *_loads(), ""])


def _kinds(made: Trace) -> Iterator[str]:
    hours = made.devices_milli / 1000 * made.duration_ms / 3.6e6
    yield "| kind of job | jobs | device-hours | widest, devices | median run time, s | mean, h |"
    yield "|---|--:|--:|--:|--:|--:|"
    for number, name in enumerate(JOB_KINDS):
        own = made.extra["kind"] == number
        seconds = made.duration_ms[own] / 1000
        shares = f"{own.mean():.1%} | {hours[own].sum() / hours.sum():.1%}"
        widest = int(made.devices_milli[own].max(initial=0)) // 1000
        yield f"| {name} | {shares} | {widest:,} | {np.median(seconds):,.0f} | {seconds.mean() / 3600:.1f} |"


def _loads() -> Iterator[str]:
    """How near the load comes to the one that is asked for, whatever the fleet and however many jobs."""
    yield "| fleet | jobs submitted | in progress at the start | submissions last, h | load asked for | load offered |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name in LOAD_FLEETS:
        fleet = built_in(name)
        for jobs in LOAD_JOBS:
            made = [national(np.random.default_rng(seed), fleet, Workload(jobs=jobs)) for seed in range(LOAD_SEEDS)]
            begun = _between([int(trace.extra["in_progress"].sum()) for trace in made], ",.0f")
            hours = _between([24 * days(trace) for trace in made], ",.1f")
            offered = _between([offered_load(trace, fleet.devices) for trace in made], ".3f")
            yield f"| {name} | {jobs:,} | {begun} | {hours} | {Workload().load} | {offered} |"


def _between(values: Sequence[float], form: str) -> str:
    return f"{min(values):{form}} to {max(values):{form}}"


def refit(folder: Path) -> Workload:
    """Parameters with Philly's and openb's tables measured anew, as those of `fitted` were."""
    trace = read_trace(folder / "philly_jobs.parquet").trace
    pods = read_trace(folder / "openb_pods.parquet").trace
    sizes, counts = np.unique(trace.devices_milli // 1000, return_counts=True)
    durations = tuple(
        quantiles(trace.duration_ms[(trace.devices_milli >= least * 1000) & (trace.devices_milli < most * 1000)] / 1000)
        for least, most in ((1, 2), (2, 5), (5, 9), (9, 1 << 20))
    )
    _start, jobs, gaps = sessions(trace.submit_ms)
    shared = pods.take((pods.share_milli > 0) & (pods.duration_ms >= 0))
    return replace(
        Workload(), batch_sizes=dict(zip(sizes.tolist(), counts.tolist(), strict=True)), batch_duration=durations,
        session_jobs=quantiles(jobs), session_gap_s=quantiles(gaps), lab_duration=quantiles(shared.duration_ms / 1000),
        service_peak=(peak_of_requests(folder, "conv"), peak_of_requests(folder, "code")),
    )  # fmt: skip


def main(words: Sequence[str]) -> int:
    """Write the tables to standard output."""
    if len(words) != 1:
        sys.stderr.write("usage: python -m dure.simulator.traces.fit FOLDER\n")
        return 2
    sys.stdout.write(report(Path(words[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
