"""The fake's pretended world: what the simulator builds on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from dure.backends.fake import FakeDriver, Script
from dure.backends.fake.driver import ONE_NODE
from dure.errors import BackendError
from dure.model.workload import Outcome, Worker, WorkloadSpec
from dure.ports import LaunchOrder


@dataclass
class ManualClock:
    ms: int = 1000

    def now_ms(self) -> int:
        return self.ms


NODES = [{**ONE_NODE[0], "name": name, "devices": 2, "accelerator": "h100"} for name in ("n1", "n2")]


def order(
    attempt: str = "a1", workload: str = "w1", nodes: tuple[str, ...] = ("s/n1",), limit_ms: int = 1000, **spec: Any
) -> Any:
    return LaunchOrder(
        attempt=attempt,
        epoch=3,
        workload=workload,
        project="p",
        array_index=-1,
        spec=WorkloadSpec(**{"name": "job", "command": ("x",), "workers": len(nodes), "grace_ms": 50, **spec}),
        workers=tuple(Worker(node=n) for n in nodes),
        accelerator="",
        limit_ms=limit_ms,
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def made(clock: ManualClock, **more: Any) -> FakeDriver:
    return FakeDriver(clock, NODES, **more)


def at(driver: FakeDriver, clock: ManualClock, ms: int, attempt: str = "a1") -> Any:
    clock.ms = ms
    return driver.observe([attempt])[0]


def test_work_without_a_script_takes_exactly_its_limit_and_succeeds(clock: ManualClock) -> None:
    driver = made(clock)
    driver.launch(order())
    assert at(driver, clock, 1999).phase == "running"
    end = at(driver, clock, 5000)
    assert (end.outcome, end.evidence.run_ms, end.evidence.ended_ms) == (Outcome.SUCCEEDED, 1000, 2000)


def test_durations_are_found_by_workload_before_name(clock: ManualClock) -> None:
    driver = made(clock, durations={"job": 700, "w1": 300})
    driver.launch(order())
    driver.launch(order("a2", "w2"))
    assert at(driver, clock, 1300).phase == "ended"
    assert (at(driver, clock, 1699, "a2").phase, at(driver, clock, 1700, "a2").phase) == ("running", "ended")


def test_what_takes_longer_than_its_limit_times_out_and_the_stubborn_after_their_grace(clock: ManualClock) -> None:
    driver = made(clock, scripts={"w1": Script(run_ms=9000), "w2": Script(run_ms=9000, term_ms=None)})
    driver.launch(order())
    driver.launch(order("a2", "w2"))
    first, second = at(driver, clock, 9999), at(driver, clock, 9999, "a2")
    assert (first.outcome, first.evidence.run_ms, first.evidence.signal) == (Outcome.TIMED_OUT, 1000, 15)
    assert (second.outcome, second.evidence.run_ms, second.evidence.signal) == (Outcome.TIMED_OUT, 1050, 9)


def test_a_stop_before_the_first_moment_of_running_costs_nothing(clock: ManualClock) -> None:
    driver = made(clock, default=Script(launch_ms=500))
    assert driver.launch(order()).phase == "launching"
    clock.ms = 1200
    driver.stop("a1", Outcome.CANCELLED, 0)
    end = at(driver, clock, 1200)
    assert (end.outcome, end.evidence.run_ms, end.evidence.started_ms) == (Outcome.CANCELLED, 0, 1200)


def test_a_stop_between_two_looks_is_not_seen_later_than_it_was(clock: ManualClock) -> None:
    driver = made(clock, scripts={"w1": Script(run_ms=900, term_ms=20)})
    driver.launch(order())
    clock.ms = 1500
    driver.stop("a1", Outcome.PREEMPTED, 100)
    assert at(driver, clock, 1519).phase == "running"
    end = at(driver, clock, 99_999)
    assert (end.outcome, end.evidence.ended_ms, end.evidence.run_ms) == (Outcome.PREEMPTED, 1520, 520)


def test_a_dead_node_loses_whole_gangs_up_to_that_moment_and_takes_nothing_new(clock: ManualClock) -> None:
    driver = made(clock)
    driver.launch(order(nodes=("s/n1", "s/n2")))
    driver.launch(order("a2", "w2", nodes=("s/n2",)))
    clock.ms = 1400
    driver.kill_node("n1")
    end = at(driver, clock, 1400)
    assert (end.outcome, end.evidence.run_ms, end.evidence.exit_code) == (Outcome.LOST, 400, None)
    assert at(driver, clock, 1401, "a2").phase == "running"
    assert driver.launch(order("a3", "w3")).evidence.detail == "node_down"
    assert [n["up"] for n in driver.inventory()] == [False, True]
    driver.revive_node("n1")
    assert driver.launch(order("a4", "w3")).phase == "running"
    assert at(driver, clock, 1402).outcome is Outcome.LOST


def test_an_end_before_the_node_died_stands(clock: ManualClock) -> None:
    driver = made(clock, durations={"w1": 100})
    driver.launch(order())
    clock.ms = 1500
    driver.kill_node("n1")
    assert at(driver, clock, 1500).outcome is Outcome.SUCCEEDED


def test_saved_work_is_not_done_again_also_after_it_was_forgotten(clock: ManualClock) -> None:
    driver = made(clock, durations={"w1": 1000})
    driver.launch(order(checkpoint_interval_ms=100, limit_ms=5000))
    clock.ms = 1450
    driver.stop("a1", Outcome.PREEMPTED, 0)
    end = at(driver, clock, 1450)
    assert (end.evidence.run_ms, end.evidence.checkpoint_ms) == (450, 1400)
    driver.forget("a1")
    driver.launch(order("a2", checkpoint_interval_ms=100, limit_ms=5000))
    assert at(driver, clock, 9999, "a2").evidence.run_ms == 600


def test_a_lost_request_has_no_effect_and_a_lost_reply_has(clock: ManualClock) -> None:
    driver = made(clock)
    driver.lose_request("launch")
    with pytest.raises(BackendError):
        driver.launch(order())
    assert driver.observe() == []
    driver.lose_reply("launch")
    with pytest.raises(BackendError):
        driver.launch(order())
    assert [o.attempt for o in driver.observe()] == ["a1"]
    assert driver.launch(order()).evidence.started_ms == 1000


def test_an_unreachable_backend_does_nothing_and_goes_on(clock: ManualClock) -> None:
    driver = made(clock)
    driver.launch(order())
    driver.unreachable = True
    for call in (driver.describe, driver.inventory, driver.observe, lambda: driver.launch(order("a2", "w2"))):
        with pytest.raises(BackendError):
            call()
    driver.unreachable = False
    assert [o.phase for o in driver.observe()] == ["running"]


def test_scripted_and_counted_rejections(clock: ManualClock) -> None:
    driver = made(clock, scripts={"w9": Script(reject="no_such_thing")})
    driver.reject_next("spawn_failed", 2)
    seen = [driver.launch(order(f"a{n}", f"w{n}")) for n in (1, 2, 3, 9)]
    assert [o.evidence.detail for o in seen] == ["spawn_failed", "spawn_failed", "", "no_such_thing"]
    assert driver.launch(replace(order("a1", "w1"))) == seen[0]


def test_what_changes_by_itself_is_told_once_and_only_when_it_has() -> None:
    clock = ManualClock()
    driver = FakeDriver(clock, NODES, durations={"w1": 100, "w2": 300})
    for n in (1, 2):
        driver.launch(order(f"a{n}", f"w{n}"))
    assert (driver.changed(), driver.next_change_ms()) == ([], 1100)
    clock.ms = 1100
    assert (driver.changed(), driver.changed(), driver.next_change_ms()) == (["a1"], [], 1300)
    driver.stop("a2", Outcome.CANCELLED, 50)  # its end is not its own any more
    assert (driver.changed(), driver.next_change_ms()) == ([], None)


def test_what_nobody_asked_about_is_forgotten_with_its_attempt() -> None:
    clock = ManualClock()
    driver = FakeDriver(clock, NODES, durations={"w1": 100})
    driver.launch(order())
    clock.ms = 1100
    assert driver.next_change_ms() is None
    driver.forget("a1")
    assert driver.changed() == []


def test_work_that_overstays_is_not_ended_at_its_limit() -> None:
    clock = ManualClock()
    driver = FakeDriver(clock, NODES, scripts={"w1": Script(run_ms=2500, overstays=True)})
    driver.launch(order(limit_ms=1000))
    assert driver.next_change_ms() == 3500
    clock.ms = 3500
    (seen,) = driver.observe(["a1"])
    assert (seen.outcome, seen.evidence.run_ms) == (Outcome.SUCCEEDED, 2500)


def test_with_common_storage_work_goes_on_at_another_site() -> None:
    clock, saved = ManualClock(), dict[tuple[str, str], int]()
    here, there = (FakeDriver(clock, NODES, durations={"w1": 1000}, saved=saved) for _ in range(2))
    here.launch(order(limit_ms=5000, checkpoint_interval_ms=300))
    clock.ms += 700
    here.stop("a1", Outcome.PREEMPTED, 50)
    here.forget("a1")
    there.launch(order("a2", limit_ms=5000, checkpoint_interval_ms=300))
    assert there.next_change_ms() == clock.ms + 400
