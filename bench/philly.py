"""Microsoft Philly, per virtual cluster, against HeliosArtifact's simulator (table A), and how fast the replay is."""

from __future__ import annotations

import csv
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.fgd import TRACES
from bench.results import Result, fill_page
from dure.simulator.philly import Cluster, philly_jobs, philly_starts, philly_table
from dure.simulator.replay import Jobs
from dure.simulator.traces.registry import read_trace

PAGE = Path(__file__).parent.parent / "docs/benchmarks/philly.md"
CEILING = TRACES.parent / "tools/sim-ceiling/ceiling_events.py"
TOLERANCE_S = 0.001
RUNS = 15
Sizes = dict[str, int]


def philly() -> list[Result]:
    """Every row of the reference; the table goes to docs/benchmarks/philly.md."""
    trace, groups = read_trace(TRACES / "philly_jobs.parquet").trace, reference()
    rows, worst = [], 0.0
    for (size, order), theirs in groups.items():
        nodes = {row.queue: row.nodes for row in theirs}
        ours = philly_table(philly_jobs(trace, list(nodes)), nodes, order)
        for mine, other in zip(ours, theirs, strict=True):
            gap = max(abs(mine.mean_jct_s - other.mean_jct_s), abs(mine.mean_queue_s - other.mean_queue_s))
            worst = max(worst, gap)
            rows.append((size, order, mine, other, gap))
    exact = sum(gap < TOLERANCE_S for *_, gap in rows)
    nodes = {row.queue: row.nodes for row in groups["tight", "fifo"]}
    jobs = philly_jobs(trace, list(nodes))
    rate, spread = speed(jobs, nodes)
    prototype = ceiling()
    fill_page(PAGE, {"speed": speed_words(len(jobs.submit), rate, spread, prototype)})
    write_page(rows, f"{exact} of {len(rows)} rows agree within {TOLERANCE_S} s; the largest difference is {worst:.4f} s.")
    return [
        Result(
            name="philly.rows", value=exact, unit=f"of {len(rows)} rows", aim=f"all, to {TOLERANCE_S} s",
            against="HeliosArtifact's simulator on the same jobs",
            method=f"mean JCT and queueing; largest difference {worst:.5f} s",
        ),
        Result(
            name="replay.fifo", value=round(rate), unit="jobs per CPU second", aim=">= 200,000",
            against=f"HeliosArtifact 277, on such a machine but not in this run; the ceiling prototype {prototype}",
            method=f"{len(jobs.submit)} Philly jobs on the tight clusters, FIFO, every event; median of {RUNS}, {spread}",
        ),
    ]  # fmt: skip


def reference() -> dict[tuple[str, str], list[Cluster]]:
    groups: dict[tuple[str, str], list[Cluster]] = {}
    for row in csv.DictReader((TRACES / "philly_reference.csv").read_text().splitlines()):
        numbers = {name: float(row[name]) for name in ("mean_jct_s", "mean_queue_s", "max_queue_s")}
        cluster = Cluster(queue=row["queue"], nodes=int(row["nodes"]), jobs=int(row["jobs"]), **numbers)
        groups.setdefault((row["size"], row["policy"]), []).append(cluster)
    return groups


def speed(jobs: Jobs, nodes: Sizes) -> tuple[float, str]:
    """Jobs per second of CPU time, once compiled: the median and the range."""
    rates = []
    for _ in range(RUNS):
        began = time.process_time()
        philly_starts(jobs, list(nodes.values()))
        rates.append(len(jobs.submit) / (time.process_time() - began))
    return statistics.median(rates), f"{min(rates):,.0f} to {max(rates):,.0f}"


def speed_words(jobs: int, rate: float, spread: str, prototype: str) -> str:
    """FIFO on the fast path beside what could be reached."""
    return (
        f"FIFO on the tight clusters, {jobs:,} jobs at every event, in one process, compiled beforehand: {rate:,.0f} jobs a CPU "
        f"second (median of {RUNS}; {spread}; aim: 200,000). The ceiling prototype, a loop of order and nodes alone, by wall "
        f"time on another trace: {prototype}. HeliosArtifact on a machine of this kind: 277.\n"
    )


def ceiling() -> str:
    """The prototype without queues, clusters or evidence, in the same minute: jobs per second, or why there is none."""
    if not CEILING.exists():
        return "is not here"
    out = subprocess.run([sys.executable, str(CEILING), "100000", "6000"], capture_output=True, text=True, check=True).stdout
    spent = re.search(r"numba ([\d.]+) ms", out)
    return f"{100_000 / float(spent[1]) * 1000:,.0f} (100,000 made jobs, one queue)" if spent else "printed nothing"


def write_page(rows: list[tuple[str, str, Cluster, Cluster, float]], summary: str) -> None:
    fill_page(PAGE, {"rows": summary + "\n\n" + "".join(table(rows))})


def table(rows: list[tuple[str, str, Cluster, Cluster, float]]) -> Iterator[str]:
    yield "| sizes | order | virtual cluster | nodes | jobs | JCT, s | theirs | queueing, s | theirs | difference |\n"
    yield "|---|---|---|---|---|---|---|---|---|---|\n"
    for size, order, mine, other, gap in rows:
        yield (
            f"| {size} | {order.upper()} | {mine.queue} | {mine.nodes} | {mine.jobs:,} | {mine.mean_jct_s:,.3f} | "
            f"{other.mean_jct_s:,.3f} | {mine.mean_queue_s:,.3f} | {other.mean_queue_s:,.3f} | {gap:.4f} |\n"
        )
