"""The fast path for head-of-line policies: against a plain program, uncompiled, and against a published simulator's figures."""

from __future__ import annotations

import csv
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.scheduler.kernels.board import empty_board
from dure.scheduler.kernels.index import make_index
from dure.scheduler.kernels.room import make_ground
from dure.simulator.philly import philly_jobs, philly_table
from dure.simulator.replay import Jobs, make_seats, replay
from dure.simulator.traces.registry import read_trace
from tests.builders.shared import shared
from tests.builders.worlds import examples
from tests.plain.place import emptiness, spread, workers_in

DEVICES = 4
Job = tuple[int, int, int, int, int, int, int]  # submit, duration, queue, workers, cores, devices, rest


def jobs_of(rows: Sequence[Job], shortest: bool) -> Jobs:
    submit, duration, queue, workers, cores, devices, rest = (np.array(c, np.int64) for c in zip(*rows, strict=True))
    return Jobs(submit, duration, duration if shortest else submit, queue, workers, cores, cores * 0, devices, rest)


def starts(jobs: Jobs, nodes: Sequence[int], cores: int = 1 << 40, devices: int = DEVICES) -> np.ndarray:
    size = sum(nodes)
    ground = make_ground(kind=[0] * size, cores=[cores] * size, memory=[0] * size, devices=[devices] * size)
    cell = np.repeat(np.arange(len(nodes)), nodes).astype(np.int32)
    started: np.ndarray = replay(empty_board(ground, make_index(ground, cell, len(nodes))), jobs, make_seats(jobs), len(nodes))
    assert (ground.nodes.cores_free == ground.nodes.cores).all() or (started < 0).any()
    return started


def plainly(jobs: Jobs, nodes: Sequence[int], cores: int) -> list[int]:
    """The same rules with lists: each moment frees, then lets in, then starts heads of line."""
    start = [-1] * len(jobs.submit)
    for queue, size in enumerate(nodes):
        room = np.array([[cores] * size, [0] * size, [DEVICES] * size], np.int64)
        mine = [j for j in range(len(start)) if jobs.queue[j] == queue]
        waiting: list[int] = []
        running: list[tuple[int, int, np.ndarray]] = []
        while mine or running:
            now = min([int(jobs.submit[j]) for j in mine[:1]] + [end for end, _, _ in running])
            for end, _, taken in running:
                room += taken if end == now else 0
            running = [r for r in running if r[0] > now]
            while mine and jobs.submit[mine[0]] == now:
                waiting.append(mine.pop(0))
            waiting.sort(key=lambda j: (jobs.key[j], j))
            while waiting and (took := _sit(jobs, waiting[0], room)) is not None:
                job = waiting.pop(0)
                start[job] = now
                running.append((now + int(jobs.duration[job]), job, took))
    return start


def _sit(jobs: Jobs, job: int, room: np.ndarray) -> np.ndarray | None:
    before, need = room.copy(), (int(jobs.cores[job]), 0, int(jobs.devices[job]))
    rest = (need[0] * int(jobs.rest[job]) // max(need[2], 1), 0, int(jobs.rest[job]))
    for part, workers in ((need, int(jobs.workers[job])), (rest, int(jobs.rest[job] > 0))):
        fit = workers_in(room, part)
        if fit.sum() < workers:
            room[:] = before
            return None
        for node, count in spread(fit, emptiness(room), workers) if workers else []:
            room[:, node] -= np.array(part) * count
    took: np.ndarray = before - room
    return took


ROWS = st.lists(
    st.tuples(
        st.integers(0, 20), st.integers(1, 9), st.integers(0, 1), st.integers(1, 4), st.integers(0, 3),
        st.integers(1, DEVICES), st.integers(0, DEVICES - 1),
    ), min_size=1, max_size=30,
)  # fmt: skip


@given(ROWS, st.lists(st.integers(1, 4), min_size=2, max_size=2), st.booleans())
@examples(100)
def test_it_starts_every_job_when_a_plain_program_does(rows: list[Job], nodes: list[int], shortest: bool) -> None:
    jobs = jobs_of(sorted(rows, key=lambda row: row[0]), shortest)
    assert starts(jobs, nodes, cores=5).tolist() == plainly(jobs, nodes, cores=5)


def test_what_never_fits_blocks_its_queue_and_no_other() -> None:
    jobs = jobs_of([(0, 5, 0, 3, 0, 4, 0), (1, 5, 0, 1, 0, 1, 0), (2, 5, 1, 1, 0, 1, 0)], shortest=False)
    assert starts(jobs, [2, 1]).tolist() == [-1, -1, 2]


@pytest.mark.parametrize(("size", "order"), [("published", "fifo"), ("published", "sjf"), ("tight", "fifo")])
def test_philly_is_reproduced_for_every_virtual_cluster(size: str, order: str) -> None:
    """Table A: mean JCT and queueing within 0.001 s, and the longest queueing, of what HeliosArtifact's simulator gives."""
    trace = read_trace(shared("traces/philly_jobs.parquet")).trace
    reference = csv.DictReader(shared("traces/philly_reference.csv").read_text().splitlines())
    rows = [row for row in reference if (row["size"], row["policy"]) == (size, order)]
    nodes = {row["queue"]: int(row["nodes"]) for row in rows}
    for ours, theirs in zip(philly_table(philly_jobs(trace, list(nodes)), nodes, order), rows, strict=True):
        assert (ours.queue, ours.jobs, ours.max_queue_s) == (theirs["queue"], int(theirs["jobs"]), float(theirs["max_queue_s"]))
        assert abs(ours.mean_jct_s - float(theirs["mean_jct_s"])) < 0.001
        assert abs(ours.mean_queue_s - float(theirs["mean_queue_s"])) < 0.001
