"""The threads around the steps: they go on through every fault and end when they are told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dure.agent.backoff import Backoff
from dure.agent.journal import Journal
from dure.agent.runner import _Poller, run_agent
from dure.agent.settings import AgentSettings
from dure.errors import ConfigError, LinkError
from dure.model.link import LogWant
from tests.unit.agent.fakes import Bench, CountingEntropy, FakePlane, StrictDriver, launch, stop


class RealClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


@contextmanager
def running(folder: Path, plane: FakePlane, driver: StrictDriver, **settings: Any) -> Iterator[threading.Thread]:
    """An agent in its threads; when the block is left it is told to end, and must."""
    quick = AgentSettings(folder=folder, backoff_ms=1, backoff_ms_max=20, observe_busy_ms=2, observe_idle_ms=5, retry_ms=1)
    quick = replace(quick, resend_ms=5, resend_ms_max=10, **settings)
    ending = threading.Event()
    agent = threading.Thread(target=run_agent, args=(quick, driver, plane, RealClock(), CountingEntropy(), ending))
    agent.start()
    try:
        yield agent
    finally:
        ending.set()
        agent.join(2)
        assert not agent.is_alive(), "did not end within two seconds"


def told(plane: FakePlane, attempt: str, phase: str) -> Callable[[], bool]:
    return lambda: phase in plane.phases(attempt)


def test_an_order_runs_and_its_end_is_told(tmp_path: Path) -> None:
    plane, driver = FakePlane(), StrictDriver()
    with running(tmp_path, plane, driver):
        plane.order(launch("a"))
        plane.wait_for(told(plane, "a", "running"))
        driver.end("a")
        plane.wait_for(told(plane, "a", "ended"))
    assert driver.starts == {"a": 1}


def test_a_stop_does_not_wait_behind_a_slow_launch(tmp_path: Path) -> None:
    plane, driver = FakePlane(), StrictDriver()
    slow = threading.Event()
    with running(tmp_path, plane, driver, launch_workers=1):
        plane.order(launch("a"))
        plane.wait_for(told(plane, "a", "running"))
        driver.in_launch = slow.wait
        plane.order(launch("slow"), launch("slow2"))
        plane.order(stop("a"))
        plane.wait_for(told(plane, "a", "ended"))
        assert driver.starts == {"a": 1}
        slow.set()
        plane.wait_for(told(plane, "slow2", "running"))


def test_while_the_link_is_down_jobs_go_on_and_their_ends_arrive_when_it_is_back(tmp_path: Path) -> None:
    plane, driver = FakePlane(), StrictDriver()
    with running(tmp_path, plane, driver):
        plane.order(launch("a"), launch("b"))
        plane.wait_for(lambda: {"a", "b"} <= {r.attempt for r in plane.reports})
        plane.cut()
        driver.end("a")
        plane.cut(down=False)
        plane.wait_for(told(plane, "a", "ended"))
        assert driver.seen["b"].phase == "running"
    assert len(plane.hellos) == 1  # a link that was down is no new session


def test_many_orders_through_a_bad_link_run_once_each(tmp_path: Path) -> None:
    plane, driver = FakePlane(), StrictDriver()
    names = [f"a{i}" for i in range(40)]
    plane.lose_requests = ["hello", "poll", "report"] * 3
    plane.lose_replies = ["poll", "report", "hello", "report", "poll"] * 3
    driver.late_faults, driver.faults = ["launch"] * 5, ["launch", "observe", "stop"] * 3
    with running(tmp_path, plane, driver):
        for name in names:
            plane.order(launch(name))
        plane.wait_for(lambda: {n for n in names if "running" in plane.phases(n)} == set(names))
        for name in names:
            plane.order(stop(name))
        plane.wait_for(lambda: {n for n in names if "ended" in plane.phases(n)} == set(names))
    assert driver.starts == dict.fromkeys(names, 1)


def test_a_new_agent_goes_on_where_the_old_one_was(tmp_path: Path) -> None:
    plane, driver = FakePlane(), StrictDriver()
    with running(tmp_path, plane, driver):
        plane.order(launch("a"))
        plane.wait_for(told(plane, "a", "running"))
    assert driver.seen["a"].phase == "running"  # an agent that ends leaves its jobs alone
    driver.end("a")
    plane.closed = False
    with running(tmp_path, plane, driver):
        plane.wait_for(told(plane, "a", "ended"))
    assert driver.starts == {"a": 1} and driver.stops == []


def test_an_agent_that_ends_cuts_its_long_poll_short(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plane, driver = FakePlane(), StrictDriver()
    with running(tmp_path, plane, driver):
        plane.wait_for(lambda: any(poll.wait_ms >= 10_000 for poll in plane.polls))
    assert "left behind" not in caplog.text


def test_the_poll_that_gets_through_again_wakes_whoever_pauses(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    reporter = threading.Event()
    poller = _Poller(bench.agent, Backoff(CountingEntropy(), 20, 1_000), [reporter])
    bench.plane.down = True
    with pytest.raises(LinkError):
        poller.step()
    assert not reporter.is_set()
    bench.plane.down = False
    poller.step()
    assert reporter.is_set()


def test_a_restored_plane_gets_a_hello_with_everything(tmp_path: Path) -> None:
    plane, driver = FakePlane(), StrictDriver()
    with running(tmp_path, plane, driver):
        plane.order(launch("a"))
        plane.wait_for(told(plane, "a", "running"))
        plane.incarnation = 2
        plane.order(launch("b"))
        plane.wait_for(told(plane, "b", "running"))
    assert [r.attempt for r in plane.hellos[-1].reports] == ["a"]


def test_logs_are_followed_while_the_job_runs(tmp_path: Path) -> None:
    plane, driver = FakePlane(), StrictDriver()
    with running(tmp_path, plane, driver, log_idle_ms=2):
        plane.order(launch("a"))
        plane.wait_for(told(plane, "a", "running"))
        driver.logs["a", 0] = b"first\n"
        with plane.changed:
            plane.logs.append(LogWant(attempt="a", worker=0, offset=0))
            plane.changed.notify_all()
        plane.wait_for(lambda: plane.read.get(("a", 0)) == b"first\n")
        driver.logs["a", 0] += b"second\n"
        plane.wait_for(lambda: plane.read.get(("a", 0)) == b"first\nsecond\n")
        driver.end("a")
        plane.wait_for(lambda: ("a", 0) in plane.log_end)


def test_a_plane_that_repeats_itself_is_not_asked_in_a_circle(tmp_path: Path) -> None:
    plane, driver = FakePlane(heeds_busy=False), StrictDriver()
    driver.phase = "launching"
    with running(tmp_path, plane, driver):
        plane.order(launch("a"))  # repeated with every poll until it runs
        plane.wait_for(lambda: len(plane.polls) >= 6)
        before, count = time.monotonic(), len(plane.polls)
        plane.wait_for(lambda: len(plane.polls) >= count + 2)
        assert time.monotonic() - before > 0.15  # pauses have grown beyond 80 ms each
    assert driver.starts == {"a": 1}


def test_an_agent_whose_backend_and_plane_are_out_of_reach_ends_when_told(tmp_path: Path) -> None:
    plane, driver = FakePlane(down=True), StrictDriver()
    driver.faults = ["observe"] * 1000
    with running(tmp_path, plane, driver, backoff_ms=30_000, backoff_ms_max=60_000) as agent:
        agent.join(0.05)
        assert agent.is_alive()


def test_an_agent_that_is_launching_ends_in_time_and_frees_its_folder(tmp_path: Path) -> None:
    plane, driver = FakePlane(), StrictDriver()
    reached, release = threading.Event(), threading.Event()

    def hang() -> None:
        reached.set()
        release.wait()

    driver.in_launch = hang
    with running(tmp_path, plane, driver, stop_ms=100):
        plane.order(launch("a"))
        assert reached.wait(20)
    Journal.open(tmp_path).close()
    release.set()


def test_a_second_agent_in_the_same_folder_does_not_start(tmp_path: Path) -> None:
    plane, driver = FakePlane(), StrictDriver()
    with running(tmp_path, plane, driver):
        plane.wait_for(lambda: bool(plane.hellos))
        settings = AgentSettings(folder=tmp_path)
        with pytest.raises(ConfigError, match="is in use"):
            run_agent(settings, driver, FakePlane(), RealClock(), CountingEntropy(), threading.Event())
    assert plane.hellos[0].boot_id
