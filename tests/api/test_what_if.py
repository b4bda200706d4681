"""What if, at the door: beside what is, for those who may ask why, and without a trace; and the snapshot as a file."""

from __future__ import annotations

from typing import Any

import pytest

from dure.model.event import Event
from dure.model.funding import Account, Transfer
from dure.model.records import WaitNote
from dure.model.site import Node, Site
from dure.model.workload import Attempt, Workload
from dure.ports import Reader
from dure.scheduler import SUPPOSED_MAX, Snapshot, decode, plan
from tests.api.test_preemption import MIN_RUN_MS, WHOLE, urgent_over
from tests.builders.api_plane import JOB, ApiPlane, problem

KINDS = (Event, Workload, Attempt, WaitNote, Account, Transfer, Site, Node)


def everything(plane: ApiPlane) -> list[list[Any]]:
    def look(reader: Reader) -> list[list[Any]]:
        return [reader.find(kind, {}) for kind in KINDS]

    return plane.store.read(look)


def full(plane: ApiPlane) -> tuple[str, str]:
    """Bob's job has the whole node, Alice's waits for it: both ids."""
    plane.join()
    plane.controller.step()
    job = {**JOB, "resources": WHOLE, "limit": "1h"}
    runs = plane.submit("bob", "beta", job=job)["ids"][0]
    plane.controller.step()
    waits = plane.submit("alice", job=job)["ids"][0]
    plane.controller.step()
    return runs, waits


def ask(plane: ApiPlane, who: str, workload: str, *texts: str) -> Any:
    return plane.post(who, f"/workloads/{workload}/why", {"what_if": list(texts)})


def test_it_is_told_beside_what_is_now_and_from_the_same_function(plane: ApiPlane) -> None:
    _, waits = full(plane)
    now = plane.get("alice", f"/workloads/{waits}/why")
    answer = ask(plane, "alice", waits, "site  pohang +1 nodes")
    assert answer["suppositions"] == ["site pohang +1 nodes"]
    assert answer["reason"] == answer["now"]["reason"] == now["why"]["reasons"][0]
    assert (answer["now"]["starts"], answer["then"]["starts"], answer["then"]["site"]) == (False, True, "pohang")
    assert answer["now"]["promised_ms"] == now["why"]["promised_ms"] > 0
    assert answer["why"]["no_change"] == "starts_already"


def test_what_would_not_help_says_what_stands_in_the_way_then(plane: ApiPlane) -> None:
    _, waits = full(plane)
    answer = ask(plane, "alice", waits, "site pohang drained")
    assert (answer["then"]["starts"], answer["then"]["reason"]["kind"]) == (False, "sites_drained")
    assert answer["why"]["reasons"][0]["text"]["detail"]
    ko = plane.call(
        "alice", "POST", f"/workloads/{waits}/why", {"what_if": ["site pohang drained"]}, headers={"accept-language": "ko"}
    )
    assert ko.json()["then"]["reason"]["text"]["title"] == "사이트 비우는 중"


def test_of_a_job_that_asks_for_something_else_no_further_change_is_sought(plane: ApiPlane) -> None:
    _, waits = full(plane)
    answer = ask(plane, "alice", waits, "workload this priority high", f"workload {waits} limit 30m")
    assert (answer["change"], answer["why"]["change"], answer["why"]["no_change"]) == ({}, None, None)
    other = ask(plane, "alice", waits, "policy reservations_max 3")
    assert other["why"]["no_change"] or other["change"]


def test_a_limit_is_supposed_as_it_is_submitted_without_its_grace(plane: ApiPlane) -> None:
    _, waits = full(plane)
    same = ask(plane, "alice", waits, "workload this limit 1h", "workload this priority normal")
    assert same["now"] == same["then"]


def test_nothing_is_written_and_nothing_is_ordered(plane: ApiPlane) -> None:
    _, waits = full(plane)
    before, asked = everything(plane), plane.controller.snapshot()
    for text in ("site pohang +3 nodes", "project alpha funds +1000won", "project alpha gone", "now +2h", "site pohang down"):
        plane.call("alice", "POST", f"/workloads/{waits}/why", {"what_if": [text]})
    assert everything(plane) == before
    assert plane.controller.snapshot() == asked
    plane.controller.step()
    assert plane.get("alice", f"/workloads/{waits}")["state"] == "waiting"


def test_who_may_not_ask_why_may_not_suppose(plane: ApiPlane) -> None:
    _, waits = full(plane)
    for who, status in (("bob", 404), ("officer", 403), ("agent", 403)):
        refused = plane.call(who, "POST", f"/workloads/{waits}/why", {"what_if": ["farm open"]})
        assert refused.status_code in (403, 404), (who, status, refused.text)
    for who in ("manager", "operator", "auditor", "admin"):
        assert ask(plane, who, waits, "farm open")["then"] is not None


def test_a_tenant_learns_nothing_of_others_by_supposing(plane: ApiPlane) -> None:
    runs, waits = full(plane)
    for text in (f"workload {runs} gone", "project beta gone", "project beta funds +1won", f"workload {runs} workers 2"):
        told = problem(plane.call("alice", "POST", f"/workloads/{waits}/why", {"what_if": [text]}), 422, "bad_supposition")
        id = text.split()[1]
        nobodys = text.replace(id, "nobodys")
        none = problem(plane.call("alice", "POST", f"/workloads/{waits}/why", {"what_if": [nobodys]}), 422, "bad_supposition")
        assert str(told).replace(id, "nobodys") == str(none)
    assert ask(plane, "operator", waits, f"workload {runs} gone")["then"]["starts"] is True
    assert ask(plane, "operator", waits, "project beta gone")["then"]["starts"] is True


def test_a_stranger_that_would_make_room_is_not_named(plane: ApiPlane) -> None:
    victim, attempt, urgent = urgent_over(plane, "bob", "beta")
    plane.clock.shift_ms += MIN_RUN_MS // 2
    plane.join()
    answer = ask(plane, "alice", urgent, "policy min_run_ms 1h")
    assert victim not in str(answer) and attempt not in str(answer)
    assert answer["why"]["next_event"]["subject"] == "…"
    gone = ask(plane, "alice", urgent, f"policy min_run_ms {0}")
    assert gone["then"]["claims"] is True and victim not in str(gone) and attempt not in str(gone)
    assert ask(plane, "auditor", urgent, "policy min_run_ms 1h")["why"]["next_event"]["subject"] == attempt


def test_what_cannot_be_supposed_names_the_word_in_both_languages(plane: ApiPlane) -> None:
    _, waits = full(plane)
    for lang, word in (("en", "cannot stand there"), ("ko", "올 수 없는 말")):
        response = plane.call(
            "alice",
            "POST",
            f"/workloads/{waits}/why",
            {"what_if": ["site pohang mighty 1"]},
            headers={"accept-language": lang},
        )
        told = problem(response, 422, "bad_supposition")
        assert word in told["detail"] and "mighty" in told["detail"] and "site SITE drained|open" in told["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"what_if": []}, {"what_if": ["farm open"] * (SUPPOSED_MAX + 1)}, {"what_if": [3]}, {"x": 1}]
)
def test_a_body_that_supposes_nothing_is_refused(plane: ApiPlane, body: Any) -> None:
    _, waits = full(plane)
    assert plane.call("alice", "POST", f"/workloads/{waits}/why", body).status_code == 422


def test_the_job_in_question_cannot_be_supposed_away(plane: ApiPlane) -> None:
    _, waits = full(plane)
    for text in ("workload this gone", "project alpha gone"):
        body = {"what_if": ["now +1m", text, "farm open"]}
        told = problem(plane.call("alice", "POST", f"/workloads/{waits}/why", body), 422, "bad_supposition")
        assert (told["reason"]["facts"]["wrong"], told["reason"]["facts"]["supposition"]) == ("asked_gone", text)


def test_of_what_runs_nothing_would_be_different(plane: ApiPlane) -> None:
    runs, _ = full(plane)
    answer = ask(plane, "bob", runs, "site pohang drained")
    assert (answer["now"], answer["then"], answer["why"]) == (None, None, None)
    assert answer["reason"]["kind"] == "in_progress"
    plane.post("bob", f"/workloads/{runs}/cancel")
    assert ask(plane, "bob", runs, "farm open")["reason"]["kind"] == "being_cancelled"


def test_a_job_that_is_not_planned_yet_is_waited_for_and_then_told(plane: ApiPlane) -> None:
    plane.join()
    plane.controller.step()
    fresh = plane.submit()["ids"][0]
    assert problem(plane.call("alice", "POST", f"/workloads/{fresh}/why", {"what_if": ["farm open"]}), 503, "plane_starting")


# -- the snapshot ---------------------------------------------------------------------------------------------------------


def test_the_snapshot_is_a_file_that_plans_the_same(plane: ApiPlane) -> None:
    runs, waits = full(plane)
    response = plane.call("operator", "GET", "/snapshot")
    assert response.headers["content-type"] == "application/gzip"
    s = decode(response.content)
    assert isinstance(s, Snapshot)
    assert (s.pending.ids, s.attempts.workloads, s.sites.ids) == ((waits,), (runs,), ("pohang",))
    assert plan(s).wait_code.tolist() == [plan(s).wait_code[0]] and plan(s).wait_code[0] >= 0


def test_a_snapshot_names_nobody(plane: ApiPlane) -> None:
    full(plane)
    policy = {**plane.get("admin", "/policy")}
    assert policy["written_by"] == "" or policy
    s = plane.controller.snapshot()
    assert s is not None and s.policy.written_by == ""
    text = repr(s)
    assert not [
        name for name in ("alice", "bob", plane.actors["alice"], plane.actors["bob"], "University", "tiny") if name in text
    ]


def test_a_plane_without_a_plan_has_no_snapshot_yet(plane: ApiPlane) -> None:
    problem(plane.call("admin", "GET", "/snapshot"), 503, "plane_starting")


def test_who_asks_too_much_at_once_comes_back(plane: ApiPlane) -> None:
    full(plane)
    headers = {"authorization": f"Bearer {plane.tokens['operator']}"}
    answers = plane.http.together([{"method": "GET", "url": "/api/v1/snapshot", "headers": headers}] * 60)
    assert {a.status_code for a in answers} <= {200, 503}
    assert answers[0].status_code == 200
