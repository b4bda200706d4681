"""Microsoft Philly as S-Lab's HeliosArtifact (MIT) simulates it: October and November 2017, every virtual cluster a fleet of its
own, whole GPUs, no limits, nothing passes the head of the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dure.scheduler.kernels.board import empty_board
from dure.scheduler.kernels.ground import I64
from dure.scheduler.kernels.index import make_index
from dure.scheduler.kernels.room import make_ground
from dure.simulator.replay import Jobs, make_seats, replay
from dure.simulator.traces.trace import Trace

DEVICES = 8  # per node
DAY_MS = 86_400_000
FROM_MS, SPAN_MS = 30 * DAY_MS, 61 * DAY_MS - 60_000
ORDERS = ("fifo", "sjf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One row of the table: means over the jobs of one virtual cluster, in seconds."""

    queue: str
    nodes: int
    jobs: int
    mean_jct_s: float
    mean_queue_s: float
    max_queue_s: float


def philly_jobs(trace: Trace, queues: Sequence[str]) -> Jobs:
    """The jobs of these virtual clusters in the two months, the first at 0; a gang is whole nodes and a remainder.

    Jobs that the log calls by a virtual cluster which is not named are left out."""
    number = np.array([queues.index(name) if name in queues else -1 for name in (*trace.queues, "")], np.int64)
    jobs = trace.take((trace.submit_ms >= FROM_MS) & (number[trace.queue] >= 0)).rebased()
    jobs = jobs.take(jobs.submit_ms <= SPAN_MS).gangs(DEVICES)
    none = np.zeros(len(jobs), np.int64)
    return Jobs(
        jobs.submit_ms, jobs.duration_ms, jobs.submit_ms, number[jobs.queue], jobs.workers, none, none, jobs.devices, jobs.rest
    )


def philly_table(jobs: Jobs, nodes: Mapping[str, int], order: str) -> list[Cluster]:
    """Mean JCT and queueing of every virtual cluster at these sizes, under FIFO or SJF (by true duration)."""
    key = jobs.duration if order == "sjf" else jobs.submit
    waited = philly_starts(jobs._replace(key=key), list(nodes.values())) - jobs.submit
    rows = []
    for number, (queue, size) in enumerate(nodes.items()):
        mine = jobs.queue == number
        wait, run = waited[mine] / 1000, jobs.duration[mine] / 1000
        rows.append(
            Cluster(
                queue=queue, nodes=size, jobs=int(mine.sum()), mean_jct_s=float((wait + run).mean()),
                mean_queue_s=float(wait.mean()), max_queue_s=float(wait.max()),
            )
        )  # fmt: skip
    return rows


def philly_starts(jobs: Jobs, nodes: Sequence[int]) -> I64:
    """When each job starts, ms, on clusters of so many nodes each."""
    size = sum(nodes)
    none = np.zeros(size, np.int64)
    ground = make_ground(kind=none, cores=none, memory=none, devices=none + DEVICES)
    cell = np.repeat(np.arange(len(nodes)), nodes).astype(np.int32)
    return replay(empty_board(ground, make_index(ground, cell, len(nodes))), jobs, make_seats(jobs), len(nodes))
