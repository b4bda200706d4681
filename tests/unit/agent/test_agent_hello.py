"""A hello that is too long for the plane, or for a proxy before it: the agent says less, and is heard."""

from __future__ import annotations

from pathlib import Path

import pytest

from dure.errors import ApiError
from tests.unit.agent.fakes import Bench, launch

SETTLED, LIVE = 2_000, 3_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A site that has settled 2,000 attempts and runs 3,000."""
    bench = Bench(tmp_path_factory.mktemp("large"))
    fill(bench, [f"s{n:05d}" for n in range(SETTLED)], [f"v{n:05d}" for n in range(LIVE)])
    return bench


def fill(bench: Bench, settled: list[str], live: list[str]) -> None:
    bench.plane.order(*(launch(a) for a in settled))
    bench.agent.step_orders(0)
    for attempt in settled:
        bench.driver.end(attempt)
    bench.agent.step_observe()
    bench.plane.order(*(launch(a) for a in live))
    bench.agent.step_orders(0)


def hello_again(bench: Bench, bytes_max: int) -> list[int]:
    """What was tried until the plane, which takes so many bytes, took it; sizes of the hellos."""
    bench.restart()
    bench.plane.hello_bytes_max = bytes_max
    bench.plane.hello_sizes.clear()
    bench.plane.reports.clear()
    bench.agent.poll(0)
    bench.agent.send_reports()
    return bench.plane.hello_sizes


def test_everything_is_told_where_there_is_room_and_the_settled_without_their_workers(large: Bench) -> None:
    assert len(hello_again(large, 64 << 20)) == 1
    told = large.plane.hellos[-1].reports
    assert len(told) == SETTLED + LIVE
    assert {bool(r.workers) for r in told if r.phase == "ended"} == {False}
    assert {bool(r.workers) for r in told if r.phase == "running"} == {True}


def test_where_there_is_less_room_fewer_settled_ones_are_told(large: Bench) -> None:
    (whole,) = hello_again(large, 64 << 20)
    sizes = hello_again(large, whole * 4 // 5)
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] <= whole * 4 // 5 < sizes[-2]
    told = [r.attempt for r in large.plane.hellos[-1].reports]
    assert [a for a in told if a.startswith("v")] == [f"v{n:05d}" for n in range(LIVE)]
    assert 0 < len(told) - LIVE < SETTLED
    assert large.agent.connected


def test_live_ones_that_do_not_fit_follow_as_reports_and_the_newest_go_first(large: Bench) -> None:
    hello_again(large, 100_000)
    greeted = [r.attempt for r in large.plane.hellos[-1].reports]
    assert greeted == [f"v{n:05d}" for n in reversed(range(LIVE - len(greeted), LIVE))]
    assert 0 < len(greeted) < LIVE
    assert {r.attempt for r in large.plane.reports} == {f"v{n:05d}" for n in range(LIVE)}


def test_those_that_follow_arrive_before_the_plane_is_asked_for_orders(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    fill(bench, [], ["a", "b", "c", "d"])
    bench.restart()
    bench.plane.hello_bytes_max = bench.plane.hello_sizes[-1] + 400
    bench.plane.reports.clear()
    bench.agent.connect()
    assert {r.attempt for r in bench.plane.reports} == {"a", "b", "c", "d"} > {r.attempt for r in bench.plane.hellos[-1].reports}


def test_a_plane_that_takes_not_even_an_empty_hello_is_a_refusal(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    fill(bench, ["s"], ["a", "b"])
    bench.restart()
    bench.plane.hello_bytes_max = 10
    with pytest.raises(ApiError):
        bench.agent.connect()
    bench.plane.hello_bytes_max = 1 << 20
    bench.agent.step_orders(0)
    assert {"a", "b"} <= {r.attempt for r in bench.plane.reports}
