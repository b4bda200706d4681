"""The typed client: keys, safe repeats, pages, refusals, and proofs that need no trust in the plane."""

from __future__ import annotations

import gzip
import inspect
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from dure.client import DureClient, Retries
from dure.client.audit import prove, prove_events
from dure.client.transport import parse_sse
from dure.errors import ApiError, LinkError
from dure.model.codec import from_plain, to_plain
from dure.model.event import Head
from tests.builders.api_plane import JOB
from tests.builders.served_plane import Served, served_plane


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_plane(tmp_path_factory.mktemp("client")) as made:
        yield made


def scripted(*answers: Callable[[httpx.Request], httpx.Response]) -> tuple[DureClient, list[httpx.Request], list[float]]:
    """A client whose requests get these answers in turn; what it sent, and how long it paused."""
    sent: list[httpx.Request] = []
    pauses: list[float] = []
    script = iter(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return next(script)(request)

    http = httpx.Client(transport=httpx.MockTransport(handle), base_url="http://plane")
    client = DureClient("http://plane", "t", http=http, pause=pauses.append, retries=Retries(3, 0.1, 0.3))
    return client, sent, pauses


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("connection reset", request=request)


def busy(_: httpx.Request) -> httpx.Response:
    return httpx.Response(503, json={"title": "busy"})


def fine(_: httpx.Request) -> httpx.Response:
    return httpx.Response(201, json={"ids": ["wl_1"]})


def test_a_write_is_repeated_under_its_key_until_it_is_answered() -> None:
    client, sent, pauses = scripted(lost, busy, lost, fine)
    assert client.submit("alpha", JOB) == {"ids": ["wl_1"]}
    assert len({r.headers["idempotency-key"] for r in sent}) == 1
    assert len({r.content for r in sent}) == 1
    assert pauses == [0.1, 0.2, 0.3]
    client, sent, _ = scripted(fine, fine)
    client.submit("alpha", JOB)
    client.submit("alpha", JOB, key="mine")
    assert sent[0].headers["idempotency-key"] != sent[1].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize("blank", ["", "  ", "\t\n"])
def test_an_empty_id_asks_the_plane_for_nothing_else(blank: str) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.url} was asked for")

    client = DureClient("http://plane", "t", http=httpx.Client(transport=httpx.MockTransport(handle), base_url="http://plane"))
    for ask in (client.workload, client.cancel, client.array, client.site, client.why, client.attest_lost, client.revoke_token):
        with pytest.raises(ValueError, match="an id is wanted"):
            ask(blank)
    with pytest.raises(ValueError, match="an id is wanted"):
        client.drain_node("pohang", blank)


def test_a_plane_that_cannot_be_reached_is_a_link_error_after_bounded_tries() -> None:
    client, sent, _ = scripted(lost, lost, lost, lost)
    with pytest.raises(LinkError):
        client.me()
    assert len(sent) == 4
    client, sent, _ = scripted(busy, busy, busy, busy)
    with pytest.raises(ApiError) as refused:
        client.me()
    assert (refused.value.status, len(sent)) == (503, 4)


def test_a_plane_that_is_silent_is_not_waited_for_longer_than_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with DureClient(url, retries=Retries(times=0), timeout_s=0.2) as client, pytest.raises(LinkError, match="timed out"):
            client.farm()


def test_a_page_that_is_not_of_a_plane_is_no_answer() -> None:
    client, _, _ = scripted(lambda _: httpx.Response(200, text="<html>hello"))
    with pytest.raises(LinkError, match="is this a Dure plane"):
        client.me()
    client, sent, _ = scripted(lambda _: httpx.Response(404, text="<html>nginx"))
    with pytest.raises(ApiError) as refused:
        client.me()
    assert refused.value.problem["status"] == 404 and len(sent) == 1


def test_a_stream_reconnects_behind_the_last_event_and_gives_up_in_the_end() -> None:
    def event(id: int, name: str = "log") -> bytes:
        data = {"offset": id - 1, "data": "eA=="} if name == "log" else {"attempt": "a", "offset": id}
        return f"id: {id}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()

    def streams(*bodies: bytes) -> Any:
        return [lambda _, b=body: httpx.Response(200, content=b) for body in bodies]

    client, sent, _ = scripted(*streams(event(1) + b": still here\n\n" + event(2)), lost, *streams(event(3) + event(3, "end")))
    assert [(p.kind, p.offset) for p in client.logs("wl_1", follow=True)] == [("log", 1), ("log", 2), ("log", 3), ("end", 3)]
    assert [r.headers.get("last-event-id") for r in sent] == [None, "2", "2"]
    client, sent, _ = scripted(lost, lost, lost, lost)
    with pytest.raises(LinkError):
        list(client.follow_events(after=7))
    assert {r.headers["last-event-id"] for r in sent} == {"7"}


def test_comments_and_unknown_fields_of_a_stream_are_passed_over() -> None:
    lines = [": hi", "", "retry: 5", "event: a", "data: {}", "", "data: 1", "id: 3", "", "event: cut"]
    assert [(e.event, e.id, e.data) for e in parse_sse(lines)] == [("a", "", {}), ("message", "3", 1)]


def test_every_route_for_people_has_a_method(served: Served) -> None:
    """Each method is called once with arguments by name of its parameters; together they reach every route."""
    reached: set[tuple[str, str]] = set()

    def note(request: httpx.Request) -> httpx.Response:
        reached.add((request.method.lower(), request.url.path))
        if request.headers.get("accept") == "text/event-stream":
            return httpx.Response(200, content=b'event: end\ndata: {"offset":0}\n\nevent: event\ndata: {"seq":1}\n\n')
        return httpx.Response(200, json={"items": [], "next": ""})

    client = DureClient("http://plane", "t", http=httpx.Client(transport=httpx.MockTransport(note), base_url="http://plane"))
    values: dict[str, Any] = {
        "job": {},
        "archive": b"",
        "amount": 1,
        "budget": 1,
        "starts": 1,
        "ends": 2,
        "expires": 2,
        "policy": {},
        "version": 1,
        "changes": {},
        "headers": {},
    }
    for name, method in inspect.getmembers(client, inspect.ismethod):
        if name.startswith("_") or name == "close":
            continue
        needed = [p for p in inspect.signature(method).parameters.values() if p.default is p.empty]
        answer = method(**{p.name: values.get(p.name, "x") for p in needed})
        if isinstance(answer, Iterator):
            next(answer, None)
    document = served.plane.http.get("/api/v1/openapi.json").json()
    for path, operations in document["paths"].items():
        for verb in operations:
            filled = path.replace("{version}", "1")
            for name in ("{id}", "{site}", "{name}", "{window}"):
                filled = filled.replace(name, "x")
            assert "/agent/" in path or (verb, filled) in reached, (verb, path)
    assert ("get", "/healthz") in reached


def test_the_client_and_the_plane_understand_each_other(served: Served) -> None:
    admin, officer, alice = (served.client(who) for who in ("admin", "officer", "alice"))
    assert alice.healthz() == {"status": "ok", "chain": "ok"}
    officer.create_organisation("lab", "Lab", kind="institute")
    officer.create_project("gamma", "Gamma", "lab")
    person = admin.create_actor("Lee", email="lee@lab.kr", grants=[("member", "gamma")])
    token = admin.create_token(person["id"], label="cli", expires="2099-12-31")["token"]
    lee = served.client(token)
    assert lee.me()["projects"] == ["gamma"]
    officer.create_programme("extra", "Extra", 1_000_000, starts="2026-01-01", ends="2099-12-31")
    officer.create_award("extra", "gamma", 500_000, starts="2026-01-01", expires="2099-06-30")
    assert [a["amount"] for a in lee.awards(project="gamma")] == [500_000]
    kept = lee.upload_bundle("gamma", gzip.compress(b"code", mtime=0))
    ids = lee.submit("gamma", {**JOB, "bundle": kept["sha256"]}, array=3)["ids"]
    assert [w["id"] for w in lee.workloads(limit=1)] == ids
    assert lee.cancel(lee.workload(ids[0])["array_id"])["states"] == {"cancelled": 3}
    with pytest.raises(ApiError) as refused:
        alice.workload(ids[0])
    assert refused.value.problem["reason"]["kind"] == "not_found"
    with pytest.raises(ApiError) as korean:
        served.client("alice", lang="ko").workload(ids[0])
    assert korean.value.problem["title"] != refused.value.problem["title"]


def test_the_chain_is_proved_without_trusting_the_plane(served: Served) -> None:
    served.plane.controller.step()
    auditor = served.client("auditor")
    kept = from_plain(Head, auditor.audit_head())
    served.plane.submit()
    served.plane.controller.step()
    proof = prove(auditor, [kept], public_key=auditor.farm()["public_key"])
    assert proof.fault is None and proof.events == proof.last_seq and proof.heads >= 1
    assert auditor.verify_audit()["ok"] is True


def test_every_kind_of_tampering_is_found_and_named(served: Served) -> None:
    served.plane.controller.step()
    auditor = served.client("auditor")
    head = from_plain(Head, auditor.audit_head())
    events = list(auditor.events())[: head.seq]
    assert prove_events(events, [head]).fault is None
    altered = [*events[:3], {**events[3], "actor": "somebody-else"}, *events[4:]]
    cut = events[:-1]
    gap = [*events[:3], *events[4:]]
    for tampered, fault, seq in ((altered, "altered", 4), (cut, "head_beyond_end", head.seq), (gap, "gap", 4)):
        found = prove_events(tampered, [head]).fault
        assert found is not None and (found.fault, found.seq) == (fault, seq)
    forged = prove_events(events, [replace(head, hash="0" * 64)]).fault
    assert forged is not None and forged.fault == "bad_signature"
    other = prove_events(events, [head], public_key="00" * 32).fault
    assert other is not None and other.fault == "bad_signature"
    assert to_plain(head)["key"] == head.key


def test_a_head_of_another_history_does_not_match(served: Served, tmp_path: Path) -> None:
    with served_plane(tmp_path) as second:
        second.plane.submit()
        second.plane.controller.step()
        theirs = from_plain(Head, second.client("auditor").audit_head())
        events = list(served.client("auditor").events())
        padded = events[: theirs.seq]
        fault = prove_events(padded, [theirs]).fault
        assert fault is not None and fault.fault in ("head_mismatch", "head_beyond_end")
