"""Logs reach their readers whole, in order, and as fast as they read."""

from __future__ import annotations

import pytest

from dure.agent.agent import Agent
from dure.agent.journal import Journal
from dure.errors import ApiError, BackendError, LinkError
from dure.model.link import LogWant
from tests.unit.agent.fakes import Bench, launch


def read_from(bench: Bench, attempt: str, offset: int = 0, worker: int = 0) -> None:
    bench.plane.logs.append(LogWant(attempt=attempt, worker=worker, offset=offset))
    bench.agent.step_orders(0)


def started(bench: Bench, *attempts: str) -> None:
    bench.plane.order(*[launch(a) for a in attempts])
    bench.agent.step_orders(0)


def test_a_log_is_followed_to_its_end(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.logs["a", 0] = b"x" * 70_000
    read_from(bench, "a")
    bench.agent.step_logs()
    assert [len(c.data) for c in bench.plane.chunks] == [87384, 5952]  # 64 KiB and the rest, in base64
    bench.driver.logs["a", 0] += b"last words"
    bench.driver.end("a")
    bench.agent.step_observe()
    bench.clock.advance(200)
    bench.agent.step_logs()
    assert bench.plane.read["a", 0] == b"x" * 70_000 + b"last words"
    assert bench.plane.log_end == {("a", 0)}
    assert not bench.agent.reading()


def test_a_reader_gets_what_stands_behind_his_offset(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.logs["a", 0] = b"0123456789"
    bench.plane.read["a", 0] = b"0123"
    read_from(bench, "a", offset=4)
    bench.agent.step_logs()
    assert bench.plane.chunks[0].offset == 4
    assert bench.plane.read["a", 0] == b"0123456789"


def test_a_silent_log_is_not_sent_but_asks_now_and_then_whether_anybody_reads(bench: Bench) -> None:
    started(bench, "a")
    read_from(bench, "a")
    bench.agent.step_logs()
    asked = len(bench.plane.chunks)
    for _ in range(10):
        bench.clock.advance(200)
        bench.agent.step_logs()
    assert len(bench.plane.chunks) == asked == 1
    bench.plane.deaf = {("a", 0)}
    bench.clock.advance(15_000)
    bench.agent.step_logs()
    assert not bench.agent.reading()


def test_a_log_that_nobody_reads_any_more_is_dropped(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.logs["a", 0] = b"x" * 200_000
    bench.plane.deaf = {("a", 0)}
    read_from(bench, "a")
    bench.agent.step_logs()
    assert len(bench.plane.chunks) == 1 and not bench.agent.reading()


def test_a_lost_chunk_is_sent_again_and_nothing_is_missing(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.logs["a", 0] = b"abc" * 50_000
    bench.plane.lose_replies = ["logs"]
    read_from(bench, "a")
    with pytest.raises(LinkError):
        bench.agent.step_logs()
    bench.clock.advance(1_000)
    bench.agent.step_logs()
    assert bench.plane.read["a", 0] == b"abc" * 50_000


def test_a_new_reader_of_an_idle_log_is_served_from_his_own_offset(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.logs["a", 0] = b"0123456789"
    read_from(bench, "a")
    bench.agent.step_logs()
    bench.plane.read.clear()
    read_from(bench, "a", offset=0)
    bench.agent.step_logs()
    assert bench.plane.read["a", 0] == b"0123456789"


def test_the_log_of_an_unknown_attempt_ends_at_once(bench: Bench) -> None:
    bench.agent.connect()
    read_from(bench, "nobody")
    bench.agent.step_logs()
    assert bench.plane.log_end == {("nobody", 0)}


def test_the_log_of_a_settled_attempt_can_still_be_read(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.logs["a", 0] = b"result"
    bench.driver.end("a")
    bench.agent.step_observe()
    read_from(bench, "a")
    bench.agent.step_logs()
    assert bench.plane.read["a", 0] == b"result" and bench.plane.log_end == {("a", 0)}


def test_a_long_log_does_not_keep_a_short_one_waiting(bench: Bench) -> None:
    started(bench, "a", "b")
    bench.driver.logs["a", 0] = b"x" * (64 * 1024 * 40)
    bench.driver.logs["b", 0] = b"y"
    bench.plane.logs = [LogWant(attempt="a", worker=0, offset=0), LogWant(attempt="b", worker=0, offset=0)]
    bench.agent.step_orders(0)
    bench.agent.ship_log()
    bench.agent.ship_log()
    assert bench.plane.read["b", 0] == b"y"
    assert 0 < len(bench.plane.read["a", 0]) < len(bench.driver.logs["a", 0])
    bench.agent.step_logs()
    assert bench.plane.read["a", 0] == bench.driver.logs["a", 0]


def test_a_backend_that_cannot_read_now_is_asked_again(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.logs["a", 0] = b"late"
    bench.driver.faults = ["read_log"]
    read_from(bench, "a")
    with pytest.raises(BackendError):
        bench.agent.step_logs()
    bench.clock.advance(1_000)
    bench.agent.step_logs()
    assert bench.plane.read["a", 0] == b"late"


def test_a_refused_log_is_dropped_and_a_stale_session_keeps_it(bench: Bench) -> None:
    started(bench, "a")
    read_from(bench, "a")
    bench.plane.epoch += 1
    with pytest.raises(ApiError):
        bench.agent.step_logs()
    assert bench.agent.reading() and not bench.agent.connected
    assert bench.agent.step_logs() == 0  # without a session there is nobody to send to


def test_more_readers_than_the_site_serves_have_to_ask_again(bench: Bench) -> None:
    small = Bench(bench.settings.folder / "small", log_readers_max=1)
    started(small, "a", "b")
    small.driver.logs = {("a", 0): b"a", ("b", 0): b"b"}
    small.plane.logs = [LogWant(attempt=a, worker=0, offset=0) for a in "ab"]
    small.agent.step_orders(0)
    small.agent.step_logs()
    assert small.plane.read == {("a", 0): b"a"}


def test_a_backend_without_logs_says_so_to_every_reader(bench: Bench) -> None:
    class Mute:
        def __init__(self) -> None:
            self.describe, self.inventory, self.launch = bench.driver.describe, bench.driver.inventory, bench.driver.launch
            self.stop, self.observe = bench.driver.stop, bench.driver.observe

    bench.agent = Agent(Mute(), bench.plane, Journal.in_memory(), bench.clock, bench.settings)
    started(bench, "a")
    read_from(bench, "a")
    bench.agent.step_logs()
    assert bench.plane.log_end == {("a", 0)}
