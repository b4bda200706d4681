from __future__ import annotations

import numpy as np
import pytest

from dure.errors import InvariantViolated
from dure.simulator.traces.trace import make_trace


def test_what_is_not_said_is_unknown() -> None:
    trace = make_trace(2, submit_ms=[0, 5], workers=[1, 4])
    assert trace.duration_ms.tolist() == trace.cores_milli.tolist() == trace.accelerator.tolist() == [-1, -1]
    assert trace.workers_min.tolist() == [1, 4] and trace.limit_ms.tolist() == [0, 0] and trace.name(1) == "2"


def test_columns_cannot_be_written() -> None:
    trace = make_trace(1, submit_ms=[0], extra={"wait_ms": np.array([3])})
    for column in (trace.submit_ms, trace.extra["wait_ms"]):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_columns_have_one_length() -> None:
    with pytest.raises(InvariantViolated, match="length"):
        make_trace(2, submit_ms=[0])
    with pytest.raises(InvariantViolated, match="length"):
        make_trace(2, submit_ms=[0, 1], extra={"wait_ms": np.array([3])})


def test_a_selection_keeps_the_meaning_of_indices() -> None:
    extra = {"after": np.array([-1, 0, 1])}
    trace = make_trace(3, submit_ms=[0, 1, 2], queue=[0, 1, 0], queues=("a", "b"), ids=("x", "y", "z"), extra=extra)
    part = trace.take(np.array([False, True, True]))
    assert [part.queues[index] for index in part.queue] == ["b", "a"] and part.ids == ("y", "z")
    assert part.extra["after"].tolist() == [-1, 0], "the first one's predecessor is gone; the second one's has moved"
    assert trace.take(np.array([2, 0])).ids == ("z", "x")


def test_rebasing_moves_submissions_and_deadlines() -> None:
    trace = make_trace(2, submit_ms=[500, 700], deadline_ms=[0, 900], zero="2026-01-01T00:00:00").rebased()
    assert trace.submit_ms.tolist() == [0, 200] and trace.deadline_ms.tolist() == [0, 400] and trace.zero == ""
    untimed = make_trace(1)
    assert not untimed.timed and untimed.rebased() is untimed


def test_wide_jobs_become_whole_nodes_and_a_rest() -> None:
    trace = make_trace(4, submit_ms=[0] * 4, devices=[12, 8, 24, 16], workers=[1, 1, 1, 2], cores_milli=[1200, -1, 2401, 5])
    gangs = trace.gangs(8)
    assert (
        gangs.workers.tolist() == [1, 1, 3, 2] and gangs.devices.tolist() == [8, 8, 8, 16] and gangs.rest.tolist() == [4, 0, 0, 0]
    )
    assert gangs.cores_milli.tolist() == [800, -1, 800, 5], "by device, rounded down"
    assert gangs.devices_milli.tolist() == trace.devices_milli.tolist(), "no device is lost"
    assert gangs.workers_min.tolist() == gangs.workers.tolist()
