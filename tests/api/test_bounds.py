"""What one caller may cost the others: bodies, questions, streams, and what agents say."""

from __future__ import annotations

import json
import shlex
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.api.intake import DEPTH_MAX, MEMBERS_MAX, parse_json
from dure.api.jobfile import COMMAND_BYTES_MAX, shell_words
from dure.api.lanes import Lane
from dure.api.sse import Turnstile
from dure.model.reason import Reason
from dure.model.site import Site
from tests.builders.api_plane import JOB, ApiPlane, api_plane, problem

HELLO: dict[str, Any] = {"protocol": 1, "agent_version": "1", "boot_id": "b", "describe": {}, "nodes": []}


# -- bodies


def test_a_body_of_a_mebibyte_of_members_is_refused_at_once() -> None:
    names = [f'"{n:07d}":0' for n in range(90_000)]
    began_s = time.process_time()
    for last in ([], names[-1:]):
        answer = parse_json(("{" + ",".join(names + last) + "}").encode())
        assert isinstance(answer, Reason) and str(MEMBERS_MAX) in answer.facts["problem"]
    assert time.process_time() - began_s < 2  # its square would be minutes


def test_a_member_that_stands_twice_is_named() -> None:
    names = [f'"m{n}":0' for n in range(MEMBERS_MAX - 1)]
    assert isinstance(parse_json(("{" + ",".join(names) + "}").encode()), dict)
    answer = parse_json(("{" + ",".join([*names, '"m7":1']) + "}").encode())
    assert isinstance(answer, Reason) and answer.facts["problem"] == "member 'm7' stands twice"


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_depth_is_bounded_exactly(opening: str, closing: str) -> None:
    inner = "[]"
    fits = opening * (DEPTH_MAX - 1) + inner + closing * (DEPTH_MAX - 1)
    assert not isinstance(parse_json(fits.encode()), Reason)
    for deeper in (DEPTH_MAX, 100_000):
        answer = parse_json((opening * deeper + inner + closing * deeper).encode())
        assert isinstance(answer, Reason) and "deeper" in answer.facts["problem"]


@given(st.text(st.sampled_from("ab '\"\\\n\t\r#é;|"), max_size=24))
def test_commands_are_split_as_by_a_shell(text: str) -> None:
    try:
        wanted = shlex.split(text)
    except ValueError:
        wanted = None
    assert shell_words(text) == wanted


def test_a_command_beyond_the_bound_is_not_split(plane: ApiPlane) -> None:
    for command, status in (("a" * (COMMAND_BYTES_MAX + 1), 422), ("a" * COMMAND_BYTES_MAX, 201)):
        began_s = time.process_time()
        answer = plane.call("alice", "POST", "/workloads", {"project": "alpha", "job": {**JOB, "command": command}})
        assert answer.status_code == status
        assert time.process_time() - began_s < 0.3
    open_quote = {"project": "alpha", "job": {**JOB, "command": "echo 'x"}}
    problem(plane.call("alice", "POST", "/workloads", open_quote), 422, "bad_field")


def test_who_may_not_is_told_so_before_a_byte_of_the_body_is_looked_at(plane: ApiPlane) -> None:
    rubbish = b"{" * 200_000
    for path in ("/agent/hello", "/agent/report", "/sites", "/policy"):
        method = "PUT" if path == "/policy" else "POST"
        headers = plane.headers("nobody", content_type="application/json")
        answer = plane.http.request(method, "/api/v1" + path, content=rubbish, headers=headers)
        assert answer.status_code in (403, 404), (path, answer.text)


def test_whom_no_body_could_make_allowed_is_not_listened_to_for_long(plane: ApiPlane) -> None:
    long = {"project": "alpha", "job": {**JOB, "env": {"A": "x" * 20_000}}}
    problem(plane.call("nobody", "POST", "/workloads", long), 413, "body_too_large")
    problem(plane.call("nobody", "POST", "/workloads", {"project": "alpha", "job": JOB}), 404, "not_found")
    assert plane.call("alice", "POST", "/workloads", long).status_code == 201


def test_a_long_body_is_made_sense_of_beside_the_loop(plane: ApiPlane) -> None:
    lanes: list[tuple[Lane, str]] = []
    run = plane.app.state.api._lanes.run

    async def noted(lane: Lane, fn: Any) -> Any:
        lanes.append((lane, fn.__module__))  # the sweep of archives, which begins when it pleases, goes by this lane too
        return await run(lane, fn)

    plane.app.state.api._lanes.run = noted
    for length, taken in ((1_000, False), (3 * 30_000, True)):
        lanes.clear()
        env = {f"V{n}": "x" * (length // 3) for n in range(3)}
        plane.post("alice", "/workloads", {"project": "alpha", "job": {**JOB, "env": env}})
        assert ((Lane.BODIES, "dure.api.route") in lanes) == taken


# -- agents


def told(n: int, phase: str, **more: Any) -> dict[str, Any]:
    evidence = dict.fromkeys(("started_ms", "ended_ms", "run_ms", "cpu_ms", "checkpoint_ms"), 1_767_571_200_000)
    return {
        "attempt": f"at_01M80YDTZXBA232PFKE5P{n:05d}", "epoch": 3, "workload": f"wl_01M80YDTZXBA232PFKE5P{n:05d}",
        "phase": phase, "evidence": evidence, "project": "alpha", "accelerator": "h100", "limit_ms": 3_600_000, **more,
    }  # fmt: skip


def test_a_site_with_two_thousand_settled_and_three_thousand_live_attempts_can_say_hello(plane: ApiPlane) -> None:
    workers = [{"node": "pohang/node1", "devices": [0, 1]}]
    reports = [told(n, "ended", outcome="succeeded") for n in range(2_000)]
    reports += [told(n, "running", workers=workers) for n in range(2_000, 5_000)]
    assert len(json.dumps(reports)) > 1 << 20
    assert plane.post("agent", "/agent/hello", {**HELLO, "reports": reports})["epoch"] == 1
    problem(plane.call("agent", "POST", "/agent/report", {"epoch": 1, "reports": reports}), 413, "body_too_large")


def test_a_node_named_twice_is_a_fault_of_the_words_and_not_of_the_plane(plane: ApiPlane) -> None:
    twice = [{"name": "n1"}, {"name": "n2"}, {"name": "n1"}]
    document = problem(plane.call("agent", "POST", "/agent/hello", {**HELLO, "nodes": twice}), 422, "bad_field")
    assert document["reason"]["facts"] == {"field": "nodes", "problem": "duplicate", "value": "n1"}
    epoch = plane.join()
    problem(plane.call("agent", "POST", "/agent/report", {"epoch": epoch, "nodes": twice}), 422, "bad_field")


def test_what_a_backend_says_of_itself_is_bounded_and_for_those_who_run_the_site(plane: ApiPlane) -> None:
    long = {**HELLO, "describe": {"name": "x" * 17_000}}
    document = problem(plane.call("agent", "POST", "/agent/hello", long), 422, "bad_field")
    assert document["reason"]["facts"]["field"] == "describe"
    plane.join()
    for who in ("admin", "operator", "auditor"):
        assert plane.get(who, "/sites/pohang")["backend"] == {"name": "fake"}
        assert plane.get(who, "/sites")["items"][0]["backend"] == {"name": "fake"}
    for who in ("alice", "manager", "nobody", "officer"):
        assert plane.get(who, "/sites/pohang")["backend"] == {}
        assert plane.get(who, "/sites")["items"][0]["backend"] == {}
    stored = plane.store.read(lambda reader: reader.get(Site, "pohang"))
    assert stored is not None and stored.backend == {"name": "fake"}


# -- questions


def test_the_questions_of_one_actor_hold_up_nobody_else(plane: ApiPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = plane.submit()["ids"][0]
    plane.controller.step()
    let, inside, most = threading.Event(), [], []
    why = plane.controller.why

    def slow(id: str, classes: Any = None, **also: Any) -> Any:
        inside.append(id)
        most.append(len(inside))
        assert let.wait(20)
        answer = why(id)
        inside.pop()
        return answer

    monkeypatch.setattr(plane.controller, "why", slow)
    asked = [{"method": "GET", "url": f"/api/v1/workloads/{workload}/why", "headers": plane.headers("alice")} for _ in range(8)]
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.extend(plane.http.together(asked)))
    thread.start()
    try:
        while not inside:
            time.sleep(0.005)
        assert plane.get("bob", "/policy") and plane.get("bob", "/workloads")["items"] == []  # others read
        assert plane.post("bob", "/quotes", {"project": "beta", "job": JOB})["hold"]  # and ask
        assert plane.join() == 1
        assert len(inside) == 1
    finally:
        let.set()
        thread.join(20)
    assert [a.status_code for a in answers] == [200] * 8 and max(most) == 1


def test_who_asks_too_much_at_once_is_asked_to_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_plane(tmp_path, questions_per_actor_max=2) as plane:
        workload = plane.submit()["ids"][0]
        plane.controller.step()
        asked = [{"method": "GET", "url": f"/api/v1/workloads/{workload}/why", "headers": plane.headers("alice")}] * 5
        answers = plane.http.together(asked)
        refused = [a for a in answers if a.status_code != 200]
        assert refused and len(answers) - len(refused) >= 2
        assert all(problem(a, 503, "plane_busy") and a.headers["retry-after"] == "1" for a in refused)
        assert plane.get("alice", f"/workloads/{workload}/why")
        assert plane.app.state.api.questions._lines == {}


# -- streams


def test_one_actor_cannot_take_all_streams() -> None:
    turnstile = Turnstile(5, 2)
    with turnstile.passing("a"), turnstile.passing("a"):
        assert turnstile.full("a") and not turnstile.full("b")
        with turnstile.passing("b"), turnstile.passing("b"), turnstile.passing("c"):
            assert turnstile.full("c") and turnstile.open == 5
    assert not turnstile.full("a") and turnstile.open == 0 and not turnstile._of


def test_a_stream_too_many_of_one_actor_is_refused_and_anothers_is_not(plane: ApiPlane) -> None:
    turnstile = plane.app.state.api.turnstile
    turnstile._of[plane.actors["alice"]] = plane.app.state.api.settings.streams_per_actor_max
    workload = plane.submit()["ids"][0]
    for path in ("/events/stream", f"/workloads/{workload}/logs"):
        problem(plane.call("alice", "GET", path), 503, "plane_busy")
    assert plane.call("manager", "GET", f"/workloads/{workload}/logs").status_code == 200
