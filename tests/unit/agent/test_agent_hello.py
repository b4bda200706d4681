"""A hello that is too long for the plane, or for a proxy before it, is said in parts that count together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dure.errors import ApiError, LinkError
from dure.model.codec import to_plain
from dure.model.link import Hello, HelloAnswer
from dure.model.workload import Worker
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


def told(bench: Bench) -> list[str]:
    """Attempts of the hello that was said last, all its parts together."""
    begun = max(n for n, h in enumerate(bench.plane.hellos) if not h.epoch)
    return [r.attempt for h in bench.plane.hellos[begun:] for r in h.reports]


EVERYTHING = {f"v{n:05d}" for n in range(LIVE)} | {f"s{n:05d}" for n in range(SETTLED)}


def test_everything_is_told_where_there_is_room_and_the_settled_without_their_workers(large: Bench) -> None:
    assert len(hello_again(large, 64 << 20)) == 1
    (hello,) = large.plane.hellos[-1:]
    assert {r.attempt for r in hello.reports} == EVERYTHING and not hello.more
    assert {bool(r.workers) for r in hello.reports if r.phase == "ended"} == {False}
    assert {bool(r.workers) for r in hello.reports if r.phase == "running"} == {True}


@pytest.mark.parametrize("room", [4 / 5, 1 / 10])
def test_where_there_is_less_room_everything_is_told_in_parts(large: Bench, room: float) -> None:
    (whole,) = hello_again(large, 64 << 20)
    before = len(large.plane.hellos)
    sizes = hello_again(large, int(whole * room))
    parts = large.plane.hellos[before:]
    assert max(len(json.dumps(to_plain(h))) for h in parts) <= whole * room < max(sizes)
    assert sorted(told(large)) == sorted(EVERYTHING), "all of it, and nothing twice"
    assert [h.more for h in parts] == [True] * (len(parts) - 1) + [False]
    assert [h.epoch for h in parts] == [0] + [large.plane.epoch] * (len(parts) - 1)
    assert [bool(h.nodes) for h in parts] == [True] + [False] * (len(parts) - 1)
    assert {bool(r.workers) for h in parts for r in h.reports if r.phase == "running"} == {True}
    assert large.agent.connected


def test_a_hello_of_very_many_is_said_in_parts_that_are_one_transaction_each(tmp_path: Path) -> None:
    bench = Bench(tmp_path, hello_part_max=2)
    fill(bench, ["s"], ["a", "b", "c", "d"])
    bench.restart()
    before = len(bench.plane.hellos)
    bench.agent.connect()
    assert [[r.attempt for r in h.reports] for h in bench.plane.hellos[before:]] == [["d", "c"], ["b", "a"], ["s"]]
    assert bench.plane.confirmed == bench.plane.incarnation


def test_an_older_plane_is_told_in_one_hello_and_the_rest_in_reports_the_newest_first(large: Bench) -> None:
    large.plane.parts = False
    try:
        hello_again(large, 100_000)
        (hello,) = [h for h in large.plane.hellos if h.more][-1:]
        assert hello is large.plane.hellos[-1], "an older plane would take another part for another whole hello"
        greeted = [r.attempt for r in hello.reports]
        assert greeted == [f"v{n:05d}" for n in reversed(range(LIVE - len(greeted), LIVE))]
        assert 0 < len(greeted) < LIVE
        assert {r.attempt for r in large.plane.reports} == {f"v{n:05d}" for n in range(LIVE)}
    finally:
        large.plane.parts = True


def test_those_that_follow_arrive_before_an_older_plane_is_asked_for_orders(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.plane.parts = False
    fill(bench, [], ["a", "b", "c", "d"])
    bench.restart()
    bench.plane.hello_bytes_max = bench.plane.hello_sizes[-1] + 400
    bench.plane.reports.clear()
    bench.agent.connect()
    assert {r.attempt for r in bench.plane.reports} == {"a", "b", "c", "d"} > {r.attempt for r in bench.plane.hellos[-1].reports}


def test_one_attempt_that_is_too_long_alone_is_told_without_its_workers(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    gang = replace(launch("gang"), workers=tuple(Worker(node=f"site/n{n}") for n in range(500)))
    bench.plane.order(launch("a"), gang)
    bench.agent.step_orders(0)
    hello_again(bench, 5_000)
    (seen,) = [r for h in bench.plane.hellos[-2:] for r in h.reports if r.attempt == "gang"]
    assert (seen.phase, seen.workers) == ("running", ())
    assert bench.agent.connected and set(told(bench)) == {"a", "gang"}


@pytest.mark.parametrize("lost", ["lose_requests", "lose_replies"])
@pytest.mark.parametrize("at", range(3))
def test_a_hello_of_which_a_part_was_lost_is_said_anew_from_the_beginning(tmp_path: Path, lost: str, at: int) -> None:
    bench = Bench(tmp_path, hello_part_max=2)
    fill(bench, ["s"], ["a", "b", "c", "d"])
    bench.restart()
    bench.plane.confirmed = 0
    said = bench.plane.hello
    count = iter(range(99))

    def lossy(hello: Hello) -> HelloAnswer:
        if next(count) == at:
            getattr(bench.plane, lost).append("hello")
        return said(hello)

    bench.plane.hello = lossy  # type: ignore[method-assign]
    with pytest.raises(LinkError):
        bench.agent.connect()
    assert not bench.agent.connected
    assert bench.plane.confirmed == (bench.plane.incarnation if (lost, at) == ("lose_replies", 2) else 0)
    bench.agent.connect()
    assert sorted(told(bench)) == ["a", "b", "c", "d", "s"] and bench.plane.confirmed == bench.plane.incarnation


def test_another_agent_between_two_parts_ends_the_hello(tmp_path: Path) -> None:
    bench = Bench(tmp_path, hello_part_max=2)
    fill(bench, [], ["a", "b", "c"])
    bench.restart()
    said = bench.plane.hello

    def replaced(hello: Hello) -> HelloAnswer:
        answer = said(hello)
        bench.plane.epoch += 1
        return answer

    bench.plane.hello = replaced  # type: ignore[method-assign]
    with pytest.raises(ApiError):
        bench.agent.connect()
    assert not bench.agent.connected
    bench.plane.hello = said  # type: ignore[method-assign]
    bench.agent.connect()
    assert set(told(bench)) == {"a", "b", "c"}


def test_a_plane_that_was_restored_between_two_parts_is_told_everything_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path, hello_part_max=2)
    fill(bench, [], ["a", "b", "c"])
    bench.restart()
    said = bench.plane.hello

    def restored(hello: Hello) -> HelloAnswer:
        answer = said(hello)
        bench.plane.incarnation = 2
        return answer

    bench.plane.hello = restored  # type: ignore[method-assign]
    with pytest.raises(LinkError, match="restored"):
        bench.agent.connect()
    bench.agent.connect()
    assert bench.agent.connected and set(told(bench)) == {"a", "b", "c"} and bench.plane.confirmed == 2


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


def test_a_site_from_which_everything_was_taken_away_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.agent.step_orders(0)
    bench.driver.nodes = []
    bench.clock.advance(bench.settings.inventory_ms)
    bench.agent.step_observe()
    assert bench.plane.nodes == [()]
    bench.agent.step_observe()
    assert bench.plane.nodes == [()], "once"
