"""The agent's link over real sockets: what it sends, and what becomes of everything that can go wrong."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from dure.agent.link import Link, is_stale
from dure.client.link import HttpLink
from dure.errors import ApiError, ConfigError, LinkError
from dure.model.link import Hello, LogChunk, LogWant, Order, Poll, Report
from tests.contracts.agent.conftest import LoopbackPlane

HELLO = Hello(protocol=1, agent_version="0.1.0", boot_id="b", describe={"name": "local"}, nodes=({"name": "n"},))
PROBLEM = {
    "title": "Conflict",
    "status": 409,
    "detail": "…",
    "reason": {"kind": "epoch_stale", "facts": {"epoch": 1, "current": 2}},
}
CODE = b"code archive" * 1000
SHA = hashlib.sha256(CODE).hexdigest()


def test_it_is_what_an_agent_needs(link: HttpLink) -> None:
    needed: Link = link
    assert needed is link


def test_every_word_goes_where_it_belongs_with_the_token(plane: LoopbackPlane, link: HttpLink) -> None:
    plane.answer({"epoch": 4, "incarnation": 2, "now_ms": 9})
    plane.answer({"incarnation": 2, "orders": [{"verb": "stop", "attempt": "a", "epoch": 1}], "logs": [
        {"attempt": "a", "worker": 0, "offset": 5}], "head": {"seq": 1}})  # fmt: skip
    plane.answer({"recorded": ["a"]})
    plane.answer({"offset": 12})
    assert link.hello(HELLO).epoch == 4
    polled = link.poll(Poll(epoch=4, wait_ms=0, busy=("a:launch",)))
    assert polled.orders == (Order(verb="stop", attempt="a", epoch=1),)
    assert polled.logs == (LogWant(attempt="a", worker=0, offset=5),)
    assert link.report(Report(epoch=4)).recorded == ("a",)
    assert link.send_log(LogChunk(epoch=4, attempt="a", worker=0, offset=5, data="aGk=")).offset == 12
    assert [(a.method, a.path) for a in plane.asked] == [
        ("POST", "/api/v1/agent/hello"),
        ("POST", "/api/v1/agent/poll"),
        ("POST", "/api/v1/agent/report"),
        ("POST", "/api/v1/agent/logs"),
    ]
    assert {a.headers["Authorization"] for a in plane.asked} == {"Bearer token-of-the-site"}
    assert plane.asked[1].json == {"epoch": 4, "wait_ms": 0, "busy": ["a:launch"]}
    assert plane.asked[3].json["data"] == "aGk="


def test_the_connection_is_kept(plane: LoopbackPlane, link: HttpLink) -> None:
    for _ in range(3):
        plane.answer({"recorded": []})
        link.report(Report(epoch=1))
    assert len({a.peer for a in plane.asked}) == 1


def test_members_of_a_newer_plane_are_ignored(plane: LoopbackPlane, link: HttpLink) -> None:
    plane.answer({"epoch": 4, "incarnation": 2, "now_ms": 9, "protocol": 2, "greeting": "annyeong"})
    assert link.hello(HELLO).epoch == 4


def test_a_refusal_comes_with_its_problem_document(plane: LoopbackPlane, link: HttpLink) -> None:
    plane.answer(PROBLEM, status=409, kind="application/problem+json")
    with pytest.raises(ApiError) as refused:
        link.poll(Poll(epoch=1))
    assert refused.value.status == 409 and refused.value.problem == PROBLEM
    assert is_stale(refused.value)


@pytest.mark.parametrize("body", [b"<html>no</html>", b"", b"[1]"])
def test_a_refusal_by_something_in_between_is_a_refusal_without_reason(plane: LoopbackPlane, link: HttpLink, body: bytes) -> None:
    plane.answer(status=403, body=body, kind="text/html")
    with pytest.raises(ApiError) as refused:
        link.poll(Poll(epoch=1))
    assert refused.value.problem == {"title": "Forbidden", "status": 403} and not is_stale(refused.value)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408, 302])
def test_what_may_pass_is_a_fault_of_the_link(plane: LoopbackPlane, link: HttpLink, status: int) -> None:
    plane.answer({"title": "not now", "reason": {"kind": "plane_starting"}}, status=status)
    with pytest.raises(LinkError, match=f"{status} not now"):
        link.report(Report(epoch=1))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"null", b"[]", b"7", b'{"epoch": 1}', b"\xff\xfe", b'{"orders": 7, "incarnation": 1}']
)
def test_an_answer_that_makes_no_sense_is_a_fault_of_the_link(plane: LoopbackPlane, link: HttpLink, body: bytes) -> None:
    plane.answer(body=body)
    with pytest.raises(LinkError, match="could not be understood"):
        link.poll(Poll(epoch=1)) if b"orders" in body else link.hello(HELLO)


def test_an_answer_that_breaks_off_is_a_fault_of_the_link(plane: LoopbackPlane, link: HttpLink) -> None:
    plane.answer({"epoch": 4, "incarnation": 2, "now_ms": 9}, cut=5)
    with pytest.raises(LinkError, match="hello"):
        link.hello(HELLO)


def test_an_answer_without_end_is_not_read_to_its_end(
    plane: LoopbackPlane, link: HttpLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dure.client.link.ANSWER_MAX", 1000)
    plane.answer(body=b" " * 5000 + b"{}")
    with pytest.raises(LinkError, match="more than 1000 bytes"):
        link.hello(HELLO)
    plane.answer({"epoch": 4, "incarnation": 2, "now_ms": 9})
    assert link.hello(HELLO).epoch == 4


def test_nobody_there_is_a_fault_of_the_link() -> None:
    link = HttpLink("http://127.0.0.1:1", "t")
    with pytest.raises(LinkError, match="ConnectError"):
        link.hello(HELLO)
    link.close()


def test_a_plane_that_keeps_silent_is_given_up_after_the_wait_and_a_margin(plane: LoopbackPlane, link: HttpLink) -> None:
    silence = threading.Event()
    plane.answer({"incarnation": 1}, before=silence.wait)
    with pytest.raises(LinkError, match="ReadTimeout"):
        link.poll(Poll(epoch=1, wait_ms=50))
    silence.set()


def test_a_long_poll_may_take_as_long_as_it_asked_for(plane: LoopbackPlane, link: HttpLink) -> None:
    silence = threading.Event()
    plane.answer({"incarnation": 1}, before=lambda: silence.wait(0.3))
    assert link.poll(Poll(epoch=1, wait_ms=5_000)).incarnation == 1


def test_closing_ends_a_long_poll_in_another_thread(plane: LoopbackPlane) -> None:
    link = HttpLink(plane.url, "t", margin_ms=60_000)
    asked, over, faults = threading.Event(), threading.Event(), []

    def silent() -> None:
        asked.set()
        over.wait(30)

    def poll() -> None:
        try:
            link.poll(Poll(epoch=1, wait_ms=30_000))
        except LinkError as fault:
            faults.append(fault)

    plane.answer({"incarnation": 1}, before=silent)
    poller = threading.Thread(target=poll)
    poller.start()
    assert asked.wait(10)
    link.close()
    poller.join(5)
    over.set()
    assert not poller.is_alive() and len(faults) == 1
    with pytest.raises(LinkError, match="closed"):
        link.report(Report(epoch=1))


def test_several_threads_may_speak_at_once(plane: LoopbackPlane, link: HttpLink) -> None:
    together = threading.Barrier(4)
    answers: list[Any] = []
    for _ in range(4):
        plane.answer({"offset": 3}, before=together.wait)
    threads = [
        threading.Thread(target=lambda: answers.append(link.send_log(LogChunk(epoch=1, attempt="a", worker=0, offset=0)).offset))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [3, 3, 3, 3]


def test_certificates_that_are_not_there_are_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="certificates"):
        HttpLink("https://plane", "t", verify=str(tmp_path / "none.pem"))


# -- bundles


def test_a_bundle_arrives_whole_at_its_place(plane: LoopbackPlane, link: HttpLink, tmp_path: Path) -> None:
    plane.answer(body=CODE, kind="application/gzip")
    assert link.fetch_bundle("my/project", SHA, tmp_path / SHA, 1 << 20) == ""
    assert (tmp_path / SHA).read_bytes() == CODE
    assert plane.asked[0].path == f"/api/v1/agent/bundles/my%2Fproject/{SHA}"
    assert plane.asked[0].headers["Accept-Encoding"] == "identity"
    assert [p.name for p in tmp_path.iterdir()] == [SHA]


def test_bytes_with_another_hash_are_thrown_away(plane: LoopbackPlane, link: HttpLink, tmp_path: Path) -> None:
    plane.answer(body=CODE[:-1] + b"!")
    assert link.fetch_bundle("p", SHA, tmp_path / SHA, 1 << 20) == "bundle_corrupt"
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_over_the_bound_is_not_kept(plane: LoopbackPlane, link: HttpLink, tmp_path: Path) -> None:
    plane.answer(body=CODE)
    assert link.fetch_bundle("p", SHA, tmp_path / SHA, len(CODE) - 1) == "bundle_too_large"
    plane.answer(body=CODE)
    assert link.fetch_bundle("p", SHA, tmp_path / SHA, len(CODE)) == ""


def test_a_bundle_that_breaks_off_is_a_fault_of_the_link_and_leaves_nothing(
    plane: LoopbackPlane, link: HttpLink, tmp_path: Path
) -> None:
    plane.answer(body=CODE, cut=100)
    with pytest.raises(LinkError):
        link.fetch_bundle("p", SHA, tmp_path / SHA, 1 << 20)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_the_plane_has_not_is_no_exception(plane: LoopbackPlane, link: HttpLink, tmp_path: Path) -> None:
    plane.answer({"title": "Not Found", "status": 404}, status=404)
    assert link.fetch_bundle("p", SHA, tmp_path / SHA, 1 << 20) == "bundle_missing"
    plane.answer({"title": "Forbidden", "status": 403}, status=403)
    with pytest.raises(ApiError):
        link.fetch_bundle("p", SHA, tmp_path / SHA, 1 << 20)


def test_a_bundle_that_stands_stays_until_its_successor_is_whole(plane: LoopbackPlane, link: HttpLink, tmp_path: Path) -> None:
    (tmp_path / SHA).write_bytes(b"old")
    plane.answer(body=b"bad")
    link.fetch_bundle("p", SHA, tmp_path / SHA, 1 << 20)
    assert (tmp_path / SHA).read_bytes() == b"old"
