"""How fast jobs are taken in over HTTP, and how soon a trivial one runs."""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

import psutil

from bench.farm import Farm, furnish, running_farm
from bench.load import submit_many
from bench.results import Result

LATENCY_JOBS = 30
LATENCY_AIM_MS = 300
THROUGHPUT_JOBS = 6000
THROUGHPUT_RUNS = 3
THROUGHPUT_AIM = 300
CONNECTIONS = 48
SBATCH_PER_S = 123  # sequential sbatch by CLI on a machine of this kind, Slurm 22.05, measured 2026-11-22


def latency() -> list[Result]:
    """From just before the POST to the first line of the job, which prints the time; both on this machine's clock."""
    with running_farm() as farm:
        furnish(farm)
        to_first_line = [_one_latency(farm) for _ in range(LATENCY_JOBS)][1:]  # the first warms the caches of the farm
    spread = f"{min(to_first_line):.0f} to {max(to_first_line):.0f}"
    return [
        Result(
            name="submit_to_running_ms",
            value=round(statistics.median(to_first_line), 1),
            unit="ms, median",
            aim=f"< {LATENCY_AIM_MS}",
            against="Slurm 22.05 sbatch to first line, idle, same kind of machine: 700 ms",
            method=f"{len(to_first_line)} jobs one after the other on an idle `dure up` (SQLite, durable); from before the POST "
            f"to the job's first line, which is a Python that prints the time; spread {spread} ms",
        )
    ]


def _one_latency(farm: Farm) -> float:
    job = {"name": "now", "command": ["python", "-SEc", "import time; print(time.time())"], "limit": "1m"}
    with farm.client() as client:
        began = time.time()
        id = client.submit("bench", job)["ids"][0]
        while client.workload(id)["state"] not in ("succeeded", "failed"):
            time.sleep(0.02)
        line = b"".join(piece.data for piece in client.logs(id)).decode()
    return (float(line) - began) * 1000


def throughput() -> list[Result]:
    """Submissions with keys, full transaction, on a farm that also plans for what waits."""
    runs = [_one_throughput() for _ in range(THROUGHPUT_RUNS)]
    runs.sort(key=lambda r: r["per_cpu_s"])
    middle = runs[len(runs) // 2]
    spread = [round(r["per_cpu_s"]) for r in runs]
    method = (
        f"{THROUGHPUT_JOBS} POST /workloads with an Idempotency-Key each over {CONNECTIONS} connections to `dure up` (SQLite "
        f"WAL, synchronous FULL); the jobs wait, and the controller plans for them meanwhile; median of "
        f"{THROUGHPUT_RUNS} runs, all: {spread} jobs per CPU second"
    )
    client = f"client used {middle['client_cpu_ms']:.2f} ms CPU a job"
    answers = f"answer p50 {middle['p50']:.0f} ms, p99 {middle['p99']:.0f} ms"
    return [
        Result(
            name="submit_per_server_core_second",
            value=round(middle["per_cpu_s"], 1),
            unit="jobs/CPU-s of the server process",
            aim=f">= {THROUGHPUT_AIM}",
            against=f"Slurm sbatch: {SBATCH_PER_S}/s",
            method=method + "; CPU of the server process only, all its threads",
        ),
        Result(
            name="submit_per_second",
            value=round(middle["per_s"], 1),
            unit="jobs/s of wall time",
            aim=f">= {THROUGHPUT_AIM}",
            against=f"Slurm sbatch: {SBATCH_PER_S}/s",
            method=f"the same runs; server pinned to one core; {client}; {answers}",
        ),
    ]


def _one_throughput() -> dict[str, float]:
    with running_farm() as farm:
        furnish(farm)
        me, cpus = psutil.Process(), psutil.Process().cpu_affinity() or [0]
        _pin(farm.plane, cpus[0])
        before, mine = _cpu_s(farm.plane), _cpu_s(me)
        body: dict[str, Any] = {
            "project": "bench",
            "job": {"name": "wait", "command": ["true"], "resources": {"cores": 512}, "limit": "10m"},
        }
        done = submit_many(farm.url, farm.token, body, THROUGHPUT_JOBS, CONNECTIONS)
        server_s, client_s = _cpu_s(farm.plane) - before, _cpu_s(me) - mine
    if done.refused:
        raise RuntimeError(f"{len(done.refused)} submissions were refused, the first: {done.refused[0]}")
    latencies = sorted(done.latencies_ms)
    return {
        "per_cpu_s": THROUGHPUT_JOBS / server_s,
        "per_s": THROUGHPUT_JOBS / done.wall_s,
        "client_cpu_ms": client_s * 1000 / THROUGHPUT_JOBS,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
    }


def _pin(process: Any, cpu: int) -> None:
    """All threads of the process, also those that live already."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, {cpu})


def _cpu_s(process: Any) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
