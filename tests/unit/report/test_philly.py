"""The report's numbers on a real trace are those of the benchmark's table."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from dure.simulator.philly import FROM_MS, SPAN_MS, philly_jobs, philly_starts
from dure.simulator.report import by_tenant, facts_of, page, run_of
from dure.simulator.traces import Kind, Pool, Site, make_fleet, read_trace
from tests.builders.shared import shared


def test_means_by_virtual_cluster_are_those_of_the_reference() -> None:
    with shared("traces/philly_reference.csv").open(encoding="utf-8") as file:
        rows = {row["queue"]: row for row in csv.DictReader(file) if (row["size"], row["policy"]) == ("tight", "fifo")}
    trace, queues = read_trace(shared("traces/philly_jobs.parquet")).trace, list(rows)
    nodes = [int(row["nodes"]) for row in rows.values()]
    pools = {queue: (Pool(name="gpu", nodes=n, accelerator="gpu", devices=8),) for queue, n in zip(queues, nodes, strict=True)}
    fleet = make_fleet("tight", [Site(name=queue, pools=own) for queue, own in pools.items()], kinds=(Kind(id="gpu"),))
    site = np.array([queues.index(name) if name in queues else -1 for name in (*trace.queues, "")])
    jobs = trace.take((trace.submit_ms >= FROM_MS) & (site[trace.queue] >= 0)).rebased()
    jobs = jobs.take(jobs.submit_ms <= SPAN_MS)
    run = run_of(jobs, philly_starts(philly_jobs(trace, queues), nodes), facts_of(fleet), policy="FIFO", trace="philly",
                 site=site[jobs.queue], tenant=jobs.queue, tenants=jobs.queues)  # fmt: skip
    groups = {group.key: group for group in by_tenant(run)}
    assert set(groups) == set(rows) and len(page([run])) < 200_000
    for queue, row in rows.items():
        assert groups[queue].jobs == int(row["jobs"]) and groups[queue].longest_s == float(row["max_queue_s"])
        assert groups[queue].jct["mean"] == pytest.approx(float(row["mean_jct_s"]), abs=0.001)
        assert groups[queue].queueing["mean"] == pytest.approx(float(row["mean_queue_s"]), abs=0.001)
