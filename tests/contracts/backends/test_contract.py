"""What every backend promises: one list, run on the fake and on the real one of this machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dure.model.workload import Outcome, Worker
from dure.ports import Driver, Forgetter, LogReader

NODE_MEMBERS = {
    "name", "pool", "block", "cores_milli", "memory_mib", "accelerator", "devices", "shares", "core_mw", "device_mw", "idle_mw",
    "up",
}  # fmt: skip


def test_it_says_what_it_is_and_what_it_enforces(rig: Any) -> None:
    said = rig.driver.describe()
    assert said["name"] == rig.name
    assert said["authority"] == "exact"
    assert said["isolation"] in ("namespace+uid", "uid") or said["isolation"].startswith("none: ")
    assert said["limits"]["wall"]
    assert isinstance(rig.driver, Driver) and isinstance(rig.driver, LogReader) and isinstance(rig.driver, Forgetter)


def test_its_nodes_have_the_members_that_the_plane_wants(rig: Any) -> None:
    (node,) = rig.driver.inventory()
    assert set(node) == NODE_MEMBERS
    assert node["cores_milli"] > 0 and node["memory_mib"] > 0 and node["core_mw"] > 0 and node["up"] is True


def test_a_job_runs_and_succeeds_with_evidence(rig: Any) -> None:
    order = rig.order("succeeds")
    first = rig.driver.launch(order)
    assert first.phase in ("launching", "running") and (first.attempt, first.epoch) == (order.attempt, 7)
    end = rig.ended(order.attempt)
    assert (end.outcome, end.epoch, end.workload) == (Outcome.SUCCEEDED, 7, order.workload)
    seen = end.evidence
    assert (seen.exit_code, seen.signal, seen.detail) == (0, 0, "")
    assert 0 < seen.started_ms <= seen.ended_ms
    assert 40 <= seen.run_ms <= seen.ended_ms - seen.started_ms + 1000
    assert seen.rss_max_mib >= 1


def test_running_is_seen_before_the_end(rig: Any) -> None:
    order = rig.order("runs")
    rig.driver.launch(order)
    seen = rig.running(order.attempt)
    assert seen.outcome is Outcome.NONE and seen.evidence.started_ms > 0
    assert (seen.evidence.exit_code, seen.evidence.ended_ms) == (None, 0)


def test_launching_twice_runs_once_also_from_another_driver(rig: Any) -> None:
    order = rig.order("succeeds")
    rig.driver.launch(order)
    rig.driver.launch(order)
    rig.another().launch(order)
    rig.ended(order.attempt)
    again = rig.another().launch(order)
    assert (again.phase, again.outcome) == ("ended", Outcome.SUCCEEDED)
    assert rig.driver.read_log(order.attempt, 0, 0, 1000) == b"hello\n"


@pytest.mark.parametrize(
    ("behaviour", "exit_code", "signal", "detail"),
    [("exits_3", 3, 0, ""), ("dies_of_9", 137, 9, ""), ("missing", 127, 0, "no_such_command")],
)
def test_a_failure_says_how(rig: Any, behaviour: str, exit_code: int, signal: int, detail: str) -> None:
    order = rig.order(behaviour)
    rig.driver.launch(order)
    end = rig.ended(order.attempt)
    assert end.outcome is Outcome.FAILED
    assert (end.evidence.exit_code, end.evidence.signal, end.evidence.detail) == (exit_code, signal, detail)


def test_a_stop_is_polite_first(rig: Any) -> None:
    order = rig.order("runs")
    rig.driver.launch(order)
    rig.running(order.attempt)
    rig.driver.stop(order.attempt, Outcome.CANCELLED, 60_000)
    end = rig.ended(order.attempt)
    assert (end.outcome, end.evidence.signal) == (Outcome.CANCELLED, 15)


def test_what_ignores_a_stop_is_killed_after_the_grace(rig: Any) -> None:
    order = rig.order("stubborn")
    rig.driver.launch(order)
    rig.says(order.attempt, b"ready")
    rig.driver.stop(order.attempt, Outcome.PREEMPTED, 300)
    end = rig.ended(order.attempt)
    assert (end.outcome, end.evidence.signal, end.evidence.exit_code) == (Outcome.PREEMPTED, 9, 137)
    assert end.evidence.run_ms >= 300


def test_a_job_that_ends_well_because_it_was_preempted_has_not_succeeded(rig: Any) -> None:
    order = rig.order("saves_when_told")
    rig.driver.launch(order)
    rig.says(order.attempt, b"ready")
    rig.driver.stop(order.attempt, Outcome.PREEMPTED, 60_000)
    assert rig.ended(order.attempt).outcome is Outcome.PREEMPTED


def test_the_first_cause_wins(rig: Any) -> None:
    order = rig.order("stubborn")
    rig.driver.launch(order)
    rig.says(order.attempt, b"ready")
    rig.driver.stop(order.attempt, Outcome.PREEMPTED, 200)
    rig.another().stop(order.attempt, Outcome.CANCELLED, 200)
    assert rig.ended(order.attempt).outcome is Outcome.PREEMPTED


def test_a_stop_right_behind_the_launch_is_not_lost(rig: Any) -> None:
    order = rig.order("runs")
    rig.driver.launch(order)
    rig.driver.stop(order.attempt, Outcome.CANCELLED, 0)
    end = rig.ended(order.attempt)
    assert end.outcome is Outcome.CANCELLED and end.evidence.run_ms < 30_000


def test_stopping_the_unknown_and_the_ended_changes_nothing(rig: Any) -> None:
    order = rig.order("succeeds")
    rig.driver.stop("a_unknown", Outcome.CANCELLED, 0)
    rig.driver.launch(order)
    before = rig.ended(order.attempt)
    rig.another().stop(order.attempt, Outcome.CANCELLED, 0)
    assert rig.another().observe([order.attempt]) == [before]


def test_a_job_ends_at_its_limit(rig: Any) -> None:
    order = rig.order("runs", limit_ms=300)
    rig.driver.launch(order)
    end = rig.ended(order.attempt)
    assert end.outcome is Outcome.TIMED_OUT
    assert 300 <= end.evidence.run_ms < 30_000


def test_a_gang_ends_as_one(rig: Any) -> None:
    order = rig.order("succeeds", workers=3)
    rig.driver.launch(order)
    end = rig.ended(order.attempt)
    assert (end.outcome, end.evidence.exit_code) == (Outcome.SUCCEEDED, 0)
    assert [rig.driver.read_log(order.attempt, rank, 0, 100) for rank in range(4)] == [b"hello\n"] * 3 + [b""]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"limit_ms": 0}, "no_limit"),
        ({"workers": (Worker(node="site/elsewhere"),)}, "unknown_node"),
        ({"workers": (Worker(node="site/node"),) * 2}, "workers_mismatch"),
        ({"workers": (Worker(node="site/node", devices=(63,)),)}, "unknown_device"),
    ],
)
def test_what_cannot_be_launched_is_rejected_and_stays_so(rig: Any, change: dict[str, Any], detail: str) -> None:
    order = replace(rig.order("succeeds"), **change)
    seen = rig.driver.launch(order)
    assert (seen.phase, seen.outcome, seen.evidence.detail) == ("ended", Outcome.REJECTED, detail)
    assert (seen.evidence.run_ms, seen.evidence.started_ms, seen.evidence.exit_code) == (0, 0, None)
    assert rig.driver.launch(order) == seen
    assert rig.driver.observe([order.attempt]) == [seen]
    rig.driver.forget(order.attempt)
    assert rig.driver.observe([order.attempt]) == []


def test_a_log_is_read_from_any_byte(rig: Any) -> None:
    order = rig.order("prints_digits")
    rig.driver.launch(order)
    rig.ended(order.attempt)
    assert rig.driver.read_log(order.attempt, 0, 0, 4) == b"0123"
    assert rig.driver.read_log(order.attempt, 0, 4, 100) == b"456789"
    assert rig.driver.read_log(order.attempt, 0, 10, 100) == b""
    assert rig.driver.read_log(order.attempt, 1, 0, 100) == b""
    assert rig.driver.read_log("a_unknown", 0, 0, 100) == b""
    assert rig.driver.read_log("../../etc", 0, 0, 100) == b""


def test_the_unknown_is_not_listed_and_everything_remembered_is(rig: Any) -> None:
    orders = [rig.order("exits_3") for _ in range(3)]
    for order in orders:
        rig.driver.launch(order)
    assert rig.driver.observe(["a_unknown", "../x", ""]) == []
    assert [o.attempt for o in rig.another().observe()] == [o.attempt for o in orders]


def test_a_forgotten_attempt_is_gone_and_never_runs_again(rig: Any) -> None:
    order = rig.order("succeeds")
    rig.driver.launch(order)
    rig.ended(order.attempt)
    rig.driver.forget(order.attempt)
    rig.driver.forget(order.attempt)
    assert rig.driver.observe() == []
    late = rig.another().launch(order)
    assert (late.phase, late.outcome, late.evidence.detail) == ("ended", Outcome.REJECTED, "forgotten")
    assert rig.driver.observe() == []


def test_a_live_attempt_is_not_forgotten(rig: Any) -> None:
    order = rig.order("runs")
    rig.driver.launch(order)
    rig.running(order.attempt)
    rig.driver.forget(order.attempt)
    assert rig.running(order.attempt).phase == "running"


def test_work_that_was_saved_is_found_by_the_next_attempt(rig: Any) -> None:
    first = rig.order("checkpoints", workload="w_saved", checkpoint_interval_ms=10, limit_ms=100_000)
    rig.driver.launch(first)
    rig.says(first.attempt, b"ready")
    rig.until(first.attempt, lambda o: o.evidence.checkpoint_ms > 0)
    rig.driver.stop(first.attempt, Outcome.PREEMPTED, 60_000)
    end = rig.ended(first.attempt)
    assert end.evidence.checkpoint_ms >= end.evidence.started_ms - 1
    rig.driver.forget(first.attempt)
    second = rig.order("checkpoints", workload="w_saved", checkpoint_interval_ms=10, limit_ms=100_000)
    rig.driver.launch(second)
    end = rig.ended(second.attempt)
    assert end.outcome is Outcome.SUCCEEDED and end.evidence.run_ms < 60_000


def test_fifty_quick_jobs_are_all_accounted_for(rig: Any) -> None:
    orders = [rig.order("exits_3" if n % 5 == 0 else "prints_digits") for n in range(50)]
    for order in orders:
        assert rig.driver.launch(order).phase != "ended"
    ends = [rig.ended(order.attempt) for order in orders]
    assert sum(e.outcome is Outcome.SUCCEEDED for e in ends) == 40
    assert sum(e.outcome is Outcome.FAILED and e.evidence.exit_code == 3 for e in ends) == 10
    assert all(e.evidence.started_ms > 0 and e.evidence.ended_ms > 0 for e in ends)
    assert len(rig.another().observe()) == 50
