"""Streams: events as they are sealed, logs as they are printed, both taken up again where they were."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest

from dure.errors import ApiError
from tests.api.test_policy import put, rules
from tests.builders.served_plane import Served, served_plane

TEXT = b"line one\nline two\n\xff\xfe binary"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_plane(tmp_path, stream_keep_alive_ms=50, log_want_again_ms=100) as made:
        yield made


def until(true: Callable[[], bool]) -> None:
    """Wait for what the server's own state shows; a test that waits for ever is ended by its time limit."""
    while not true():
        threading.Event().wait(0.005)


def agent_of(served: Served, epoch: int, text: bytes, *, ended: bool, size: int = 7) -> threading.Thread:
    """An agent that answers one want from `text`, as the real one does: pieces, then an empty one."""
    plane = served.plane

    def serve() -> None:
        while not (wants := plane.post("agent", "/agent/poll", {"epoch": epoch, "wait_ms": 5000})["logs"]):
            pass
        offset = wants[0]["offset"]
        while offset >= 0:
            data = text[offset : offset + size]
            chunk = {"epoch": epoch, "attempt": wants[0]["attempt"], "worker": 0, "offset": offset}
            piece = {**chunk, "data": base64.b64encode(data).decode(), "ended": ended and not data}
            answer = plane.post("agent", "/agent/logs", piece)["offset"]
            if not data and answer == offset:
                return
            offset = answer

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def test_a_log_comes_whole_and_ends(served: Served) -> None:
    workload, attempt, epoch = served.plane.run_one()
    agent = agent_of(served, epoch, TEXT, ended=True)
    pieces = list(served.client("alice").logs(workload, follow=True))
    agent.join(10)
    assert b"".join(p.data for p in pieces) == TEXT
    assert (pieces[-1].kind, pieces[-1].facts, pieces[-1].offset) == ("end", {"attempt": attempt}, len(TEXT))


def test_a_log_that_is_not_followed_ends_where_it_stands(served: Served) -> None:
    workload, _, epoch = served.plane.run_one()
    agent = agent_of(served, epoch, TEXT, ended=False)
    pieces = list(served.client("alice").logs(workload, offset=9))
    agent.join(10)
    assert b"".join(p.data for p in pieces) == TEXT[9:]


def test_a_log_that_is_not_followed_ends_though_the_job_never_stops_printing(served: Served) -> None:
    workload, _, epoch = served.plane.run_one()
    told: list[int] = []

    def serve() -> None:
        plane, offset = served.plane, 0
        while not (wants := plane.post("agent", "/agent/poll", {"epoch": epoch, "wait_ms": 5000})["logs"]):
            pass
        while offset >= 0:
            told.append(offset)
            chunk = {"epoch": epoch, "attempt": wants[0]["attempt"], "worker": 0, "offset": offset}
            piece = {**chunk, "data": base64.b64encode(b"step\n").decode(), "ended": False, "more": False}
            offset = plane.post("agent", "/agent/logs", piece)["offset"]

    agent = threading.Thread(target=serve, daemon=True)
    agent.start()
    pieces = list(served.client("alice").logs(workload))
    agent.join(10)
    assert pieces[-1].kind == "end"
    assert b"".join(p.data for p in pieces).startswith(b"step\n")
    assert not agent.is_alive()


def test_two_readers_at_different_places_both_get_everything(served: Served) -> None:
    workload, _, epoch = served.plane.run_one()
    got: Queue[bytes] = Queue()

    def read(offset: int) -> None:
        got.put(b"".join(p.data for p in served.client("alice").logs(workload, follow=True, offset=offset)))

    readers = [threading.Thread(target=read, args=(offset,), daemon=True) for offset in (0, 9)]
    for reader in readers:
        reader.start()
    hub = served.plane.app.state.api.hub
    until(lambda: sum(len(flow.readers) for flow in list(hub._flows.values())) == 2)
    agent = agent_of(served, epoch, TEXT, ended=True)
    for thread in (*readers, agent):
        thread.join(10)
    assert sorted(got.get_nowait() for _ in readers) == sorted((TEXT, TEXT[9:]))


def test_nobody_reads_what_nobody_wants(served: Served) -> None:
    _, attempt, epoch = served.plane.run_one()
    chunk = {"epoch": epoch, "attempt": attempt, "worker": 0, "offset": 0, "data": "aGk="}
    assert served.plane.post("agent", "/agent/logs", chunk) == {"offset": -1}


def test_a_reader_is_told_that_the_site_does_not_answer(tmp_path: Path) -> None:
    with served_plane(tmp_path, stream_keep_alive_ms=20) as served:
        assert put(served.plane, rules(served.plane, site_silent_ms=4000)).status_code == 200  # the policy's word, and no other
        workload, _, _ = served.plane.run_one()
        served.plane.clock.shift_ms = 5000
        pieces = list(served.client("alice").logs(workload))
        assert [p.kind for p in pieces] == ["status", "status", "end"]
        assert pieces[0].facts["status"] == "unreachable" and pieces[0].facts["silent_ms"] > 1000


def test_the_log_of_a_job_that_has_not_started_says_that_it_waits_and_then_comes(served: Served) -> None:
    plane = served.plane
    workload = plane.submit()["ids"][0]
    pieces = served.client("alice").logs(workload, follow=True)
    assert next(pieces).facts == {"status": "waiting"}
    epoch = plane.join()
    plane.controller.step()
    plane.controller.step()
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    plane.report(epoch, order["attempt"], order["epoch"], workload, "running")
    agent = agent_of(served, epoch, TEXT, ended=True)
    rest = list(pieces)
    agent.join(10)
    assert b"".join(p.data for p in rest) == TEXT


def test_events_are_streamed_as_they_are_sealed_and_taken_up_again(served: Served) -> None:
    plane = served.plane
    plane.controller.step()
    known = list(served.client("auditor").events())
    stream = served.client("auditor").follow_events(after=known[-1]["seq"])
    arrived: Queue[Any] = Queue()
    reader = threading.Thread(target=lambda: [arrived.put(e) for e in islice(stream, 1)], daemon=True)
    reader.start()
    workload = plane.submit()["ids"][0]
    plane.controller.step()
    event = arrived.get(timeout=10)
    assert (event["kind"], event["subject"], event["seq"]) == ("workload.submitted", workload, known[-1]["seq"] + 1)
    again = served.client("auditor").follow_events(after=0)
    assert [e["seq"] for e in islice(again, event["seq"])] == list(range(1, event["seq"] + 1))
    reader.join(10)


def test_a_stream_of_events_shows_a_tenant_only_its_own(served: Served) -> None:
    plane = served.plane
    plane.submit("bob", "beta")
    mine = plane.submit("alice")["ids"][0]
    plane.controller.step()
    stream = served.client("alice").follow_events()
    for event in stream:
        assert event["project"] == "alpha"
        if event["subject"] == mine:
            break
    with pytest.raises(ApiError) as refused:
        next(served.client("alice").follow_events(project="beta"))
    assert refused.value.status == 404


def test_a_silent_stream_is_kept_alive(served: Served) -> None:
    served.plane.controller.step()
    headers = {"authorization": f"Bearer {served.plane.tokens['bob']}", "last-event-id": "1000000"}
    with httpx.Client(timeout=10) as http, http.stream("GET", f"{served.url}/api/v1/events/stream", headers=headers) as stream:
        assert next(stream.iter_lines()).startswith(":")


def test_stopping_ends_streams_and_polls_at_once(tmp_path: Path) -> None:
    with served_plane(tmp_path) as served:
        plane = served.plane
        workload, _, epoch = plane.run_one()
        ended: Queue[str] = Queue()

        def watch(name: str, path: str, who: str) -> None:
            headers = {"authorization": f"Bearer {plane.tokens[who]}"}
            with httpx.Client(timeout=30) as http, http.stream("GET", served.url + path, headers=headers) as stream:
                for _ in stream.iter_bytes():
                    pass
            ended.put(name)

        def poll() -> None:
            plane.post("agent", "/agent/poll", {"epoch": epoch, "wait_ms": 60_000})
            ended.put("poll")

        def begin(target: Any, *args: str) -> None:
            threading.Thread(target=target, args=args, daemon=True).start()

        begin(watch, "events", "/api/v1/events/stream?after=0", "auditor")
        begin(watch, "log", f"/api/v1/workloads/{workload}/logs?follow=true", "alice")
        api = plane.app.state.api
        until(lambda: api.turnstile.open == 2)
        assert plane.post("agent", "/agent/poll", {"epoch": epoch, "wait_ms": 60_000}).get("logs")  # so that the next one waits
        told = api.polls["pohang"]
        begin(poll)
        until(lambda: api.polls["pohang"] == told + 1)
        served.stop()
        assert {ended.get(timeout=5) for _ in range(3)} == {"events", "log", "poll"}


def test_a_poll_is_answered_as_soon_as_there_is_an_order(served: Served) -> None:
    plane = served.plane
    epoch = plane.join()
    plane.controller.step()
    answers: Queue[Any] = Queue()
    poll = {"epoch": epoch, "wait_ms": 30_000}
    thread = threading.Thread(target=lambda: answers.put(plane.post("agent", "/agent/poll", poll)), daemon=True)
    thread.start()
    plane.submit()
    plane.controller.step()
    answer = answers.get(timeout=10)
    assert [o["verb"] for o in answer["orders"]] == ["launch"]
    assert answer["head"]["seq"] > 0
    thread.join(10)


def test_a_poll_ends_with_its_time(served: Served) -> None:
    epoch = served.plane.join()
    answer = served.plane.post("agent", "/agent/poll", {"epoch": epoch, "wait_ms": 30})
    assert answer["orders"] == answer["logs"] == []


def test_no_more_streams_than_there_is_room_for(tmp_path: Path) -> None:
    with served_plane(tmp_path, streams_max=0) as served, pytest.raises(ApiError) as refused:
        next(served.client("auditor").follow_events())
    assert refused.value.status == 503


def test_a_stream_ends_when_its_token_does(served: Served) -> None:
    plane = served.plane
    plane.controller.step()
    headers = {"authorization": f"Bearer {plane.tokens['bob']}"}
    with httpx.Client(timeout=10) as http, http.stream("GET", f"{served.url}/api/v1/events/stream", headers=headers) as stream:
        lines = stream.iter_lines()
        assert next(lines)
        plane.post("admin", f"/actors/{plane.actors['bob']}/disable")
        assert len(list(lines)) < 1000  # it ends by itself


def test_a_poll_given_up_takes_nothing_from_the_next(served: Served) -> None:
    plane = served.plane
    workload, _, epoch = plane.run_one()
    poll = {"epoch": epoch, "wait_ms": 30_000}
    first: Queue[Any] = Queue()
    api = plane.app.state.api
    begun = api.polls["pohang"]
    thread = threading.Thread(target=lambda: first.put(plane.post("agent", "/agent/poll", poll)), daemon=True)
    thread.start()
    until(lambda: api.polls["pohang"] > begun)
    agent = agent_of(served, epoch, TEXT, ended=True)
    answer = first.get(timeout=10)
    assert answer["orders"] == answer["logs"] == []
    assert b"".join(p.data for p in served.client("alice").logs(workload, follow=True)) == TEXT
    agent.join(10)
