"""Packing policies against the published results of Weng et al., ATC'23 (table B), and ours beside theirs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.fgd_replay import SEEDS as THEIR_SEEDS
from bench.fgd_replay import equal, float_curve, replay_curve, replays, spelled
from bench.results import Result, fill_page
from dure.scheduler.kernels import packing
from dure.simulator.fill import Workloads, arrivals, curve, fill, luck_of, typical, workloads_of
from dure.simulator.traces.faults import Faults
from dure.simulator.traces.fleet import Fleet
from dure.simulator.traces.fleetfile import read_fleet
from dure.simulator.traces.options import ReadOptions
from dure.simulator.traces.parquet import read_columns
from dure.simulator.traces.registry import read_trace
from dure.simulator.traces.trace import Trace

F64 = NDArray[np.float64]

TRACES = Path(os.environ.get("DURE_SHARED", Path(__file__).parents[2] / "shared")) / "traces"
PODS, NODES, REFERENCE = (TRACES / f"openb_{what}.parquet" for what in ("pods", "nodes", "fgd_reference"))
PAGE = Path(__file__).parent.parent / "docs/benchmarks/fgd.md"

PERCENT = 130  # the demand, of the fleet's devices
SEEDS = range(100, 130)  # not those with which the policy of ours was found
LEAST_TOLERANCE = 0.15  # points
THEIRS = {
    "Random": packing.RANDOM, "DotProd": packing.DOT_PRODUCT, "GpuClustering": packing.GPU_CLUSTERING,
    "GpuPacking": packing.GPU_PACKING, "BestFit": packing.BEST_FIT, "FGD": packing.FGD,
}  # fmt: skip
REPEATABLE = ("DotProd", "GpuClustering", "GpuPacking", "BestFit", "FGD")  # those that draw nothing while they place
OURS = {"FirstFit": packing.FIRST_FIT, "LeastWaste": packing.LEAST_WASTE}
WORKLOADS = (
    "default", "cpu050", "cpu100", "cpu250", "gpushare40", "gpushare60", "gpushare100", "gpuspec10", "gpuspec20", "gpuspec33",
    "multigpu20", "multigpu30", "multigpu50",
)  # fmt: skip

FLOATS = "FGD, summed as the authors do"

Curves = dict[tuple[str, str], F64]  # (workload, policy) to (run, percent of demand)
Same = dict[str, dict[str, int]]  # workload to policy to how many runs
Rank = tuple[str, str, str, bool]  # workload, better, worse, whether ours agree


@dataclass(frozen=True)
class Row:
    """One workload under one policy, at the whole demand: `mine` and `theirs`, an allocation in percent a run."""

    workload: str
    policy: str
    mine: F64
    theirs: F64
    gap: float  # the largest difference of the two mean curves, at any percent of demand

    @property
    def difference(self) -> float:
        return float(self.mine.mean() - self.theirs.mean())

    @property
    def tolerance(self) -> float:
        return tolerance(self.mine, self.theirs)

    @property
    def passes(self) -> bool:
        return abs(self.difference) <= self.tolerance


def tolerance(a: F64, b: F64) -> float:
    """Three standard errors of the difference of two means, and no less than 0.15 points."""
    return max(3 * float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))), LEAST_TOLERANCE)


def listed(name: str) -> Trace:
    return read_trace(PODS, ReadOptions(variant=name)).trace


def runs(fleet: Fleet, jobs: Workloads, policy: int, seeds: range) -> F64:
    """One curve a seed. Policies meet the same arrivals and the same order of nodes under the same seed."""
    milli, nodes, mix = fleet.devices * 1000, fleet.nodes(), typical(jobs, jobs.shape_of)
    orders = [arrivals(jobs, PERCENT / 100 * milli, seed) for seed in seeds]
    luck = [luck_of(len(nodes), len(order), seed) for seed, order in zip(seeds, orders, strict=True)]
    filled = [fill(nodes, jobs, order, policy, mix, own) for order, own in zip(orders, luck, strict=True)]
    return np.array([curve(run, milli, PERCENT) for run in filled])


def repeated(fleet: Fleet, trace: Trace, name: str, theirs: Curves) -> dict[str, int]:
    """How many of the authors' own runs of a workload come out again, at every percent of demand, given their draws."""
    jobs, expected, same = workloads_of(trace, fleet), spelled(PODS, name, fleet), dict.fromkeys([*REPEATABLE, FLOATS], 0)
    for place, run in enumerate(replays(jobs, trace.ids, fleet, PERCENT)):
        for policy in REPEATABLE:
            same[policy] += equal(replay_curve(fleet, jobs, run, THEIRS[policy], PERCENT), theirs[name, policy][place])
        same[FLOATS] += equal(float_curve(fleet, jobs, run, expected, PERCENT), theirs[name, "FGD"][place])
    return same


def reference() -> Curves:
    """What the authors published: ten runs a policy and workload."""
    columns = read_columns(REFERENCE, Faults(REFERENCE.name, skip_bad=False))
    curves = np.stack([np.asarray(columns[str(percent)], np.float64) for percent in range(PERCENT + 1)], axis=1)
    keys = list(zip(map(str, columns["variant"]), [str(name)[3:] for name in columns["sc_policy"]], strict=True))  # "06-FGD"
    return {key: curves[[k == key for k in keys]] for key in dict.fromkeys(keys)}


def fgd() -> list[Result]:
    """Every workload, every policy, every seed; the tables go to docs/benchmarks/fgd.md."""
    fleet, theirs, mine = read_fleet(NODES), reference(), Curves()
    began, done = time.process_time(), 0
    for name in WORKLOADS:
        jobs = workloads_of(listed(name), fleet)
        for policy, code in {**THEIRS, **OURS}.items():
            mine[name, policy] = runs(fleet, jobs, code, SEEDS)
            done += len(SEEDS)
    spent = time.process_time() - began
    rows = [compare(name, policy, mine, theirs) for name in WORKLOADS for policy in THEIRS]
    ranks = list(ranking(mine, theirs))
    same = {name: repeated(fleet, listed(name), name, theirs) for name in WORKLOADS}
    cost = f"{done} runs in {spent:.0f} s of CPU time on one core, compiling and reading included"
    write_page(rows, ranks, mine, same, cost)
    return results(rows, ranks, mine, same, spent / done)


def compare(name: str, policy: str, mine: Curves, theirs: Curves) -> Row:
    a, b = mine[name, policy], theirs[name, policy]
    return Row(name, policy, a[:, PERCENT], b[:, PERCENT], float(np.nanmax(np.abs(np.nanmean(a, 0) - np.nanmean(b, 0)))))


def ranking(mine: Curves, theirs: Curves) -> Iterator[Rank]:
    """(workload, better, worse, whether ours agree) for every pair that the authors' runs tell apart."""
    for name in WORKLOADS:
        for one, other in combinations(THEIRS, 2):
            a, b = theirs[name, one][:, PERCENT], theirs[name, other][:, PERCENT]
            if abs(a.mean() - b.mean()) > tolerance(a, b):
                better, worse = (one, other) if a.mean() > b.mean() else (other, one)
                yield name, better, worse, bool(mine[name, better][:, PERCENT].mean() > mine[name, worse][:, PERCENT].mean())


def spread(values: F64) -> str:
    return f"{values.mean():.2f} ({values.std(ddof=1):.2f})"


def write_page(rows: list[Row], ranks: list[Rank], mine: Curves, same: Same, cost: str) -> None:
    passed, agree = sum(row.passes for row in rows), sum(rank[3] for rank in ranks)
    parts = {
        "summary": f"{passed} of {len(rows)} rows pass, and {agree} of {len(ranks)} pairs are ranked alike. {cost}.\n",
        "repeated": "".join(_repeated(same)),
        "ours": "".join(_ours(mine)),
        "rows": "".join(_rows(rows)),
    }
    fill_page(PAGE, parts)


def _repeated(same: Same) -> Iterator[str]:
    columns = [*REPEATABLE, FLOATS]
    yield f"| workload | {' | '.join(columns)} |\n|---|{'--:|' * len(columns)}\n"
    for name, counts in same.items():
        yield f"| {name} | {' | '.join(str(counts[column]) for column in columns)} |\n"
    total = [sum(counts[column] for counts in same.values()) for column in columns]
    yield f"| **of {len(same) * len(THEIR_SEEDS)}** | {' | '.join(f'**{n}**' for n in total)} |\n"


def _rows(rows: list[Row]) -> Iterator[str]:
    yield "| workload | policy | Dure | authors | difference | tolerance | verdict | widest gap of the curve |\n"
    yield "|---|---|--:|--:|--:|--:|---|--:|\n"
    for row in rows:
        verdict = "pass" if row.passes else "**miss**"
        yield f"| {row.workload} | {row.policy} | {spread(row.mine)} | {spread(row.theirs)} | {row.difference:+.2f} | "
        yield f"{row.tolerance:.2f} | {verdict} | {row.gap:.2f} |\n"


def _ours(mine: Curves) -> Iterator[str]:
    yield "| workload | FGD | LeastWaste | LeastWaste - FGD, run by run | FirstFit | BestFit |\n|---|--:|--:|--:|--:|--:|\n"
    for name in WORKLOADS:
        theirs, best, *others = (mine[name, policy][:, PERCENT] for policy in ("FGD", "LeastWaste", "FirstFit", "BestFit"))
        gain, error = (best - theirs).mean(), (best - theirs).std(ddof=1) / np.sqrt(len(best))
        yield f"| {name} | {spread(theirs)} | {spread(best)} | {gain:+.2f} ± {3 * error:.2f} | "
        yield " | ".join(map(spread, others)) + " |\n"


def results(rows: list[Row], ranks: list[Rank], mine: Curves, same: Same, cpu_s: float) -> list[Result]:
    method = f"{len(SEEDS)} seeds against the authors' 10, at {PERCENT} % demand; docs/benchmarks/fgd.md has every row"
    gains = {name: mine[name, "LeastWaste"][:, PERCENT].mean() - mine[name, "FGD"][:, PERCENT].mean() for name in WORKLOADS}
    return [
        Result(
            name="fgd_rows_reproduced", value=sum(row.passes for row in rows), unit=f"of {len(rows)} rows",
            aim="all", against="Weng et al., ATC'23, published results",
            method=f"{method}; tolerance max(3 standard errors, 0.15)",
        ),
        Result(
            name="fgd_ranks_reproduced", value=sum(rank[3] for rank in ranks), unit=f"of {len(ranks)} pairs",
            aim="all", against="the same",
            method="pairs of policies that the authors' runs tell apart by more than the tolerance",
        ),
        Result(
            name="fgd_runs_repeated", value=sum(counts[p] for counts in same.values() for p in (*REPEATABLE[:-1], FLOATS)),
            unit=f"of {len(same) * len(THEIR_SEEDS) * len(REPEATABLE)} runs", aim="all", against="the same, run by run",
            method="with the draws of the authors' generator; equal to 0.01 points at every percent of demand from 0 to 130",
        ),
        Result(
            name="least_waste_over_fgd_points", value=round(gains["default"], 2), unit="points of allocation, default workload",
            aim="> 0", against=f"over all workloads {min(gains.values()):+.2f} to {max(gains.values()):+.2f}", method=method,
        ),
        Result(
            name="fgd_cpu_ms_per_run", value=round(cpu_s * 1000), unit="CPU ms for about 11,000 arrivals on 1,213 nodes",
            aim="-", against="the authors' simulator: 4.4 arrivals per CPU s; its authors say 10 minutes a run on 2 vCPU",
            method="process time over all runs and policies, reading and compiling included",
        ),
    ]  # fmt: skip
