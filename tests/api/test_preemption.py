"""Whoever preempts is told who makes room and when; whose work that is stays with those who may see it."""

from __future__ import annotations

from typing import Any

import pytest

from dure.model.policy import Policy
from tests.builders.api_plane import JOB, ApiPlane, problem

WHOLE = {"cores": 4, "memory": "1GiB"}
MIN_RUN_MS = Policy().min_run_ms


def urgent_over(plane: ApiPlane, who: str, project: str) -> tuple[str, str, str]:
    """A job of `who` that runs on the whole node, and an urgent one of alpha's manager: victim, its attempt, urgent."""
    epoch = plane.join()
    plane.controller.step()
    job = {**JOB, "resources": WHOLE, "limit": "1h", "grace": "7s"}
    victim = plane.submit(who, project, job=job)["ids"][0]
    plane.controller.step()
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    plane.report(epoch, order["attempt"], order["epoch"], victim, "running")
    urgent = plane.submit("manager", job={**JOB, "resources": WHOLE, "priority": "urgent"})["ids"][0]
    plane.controller.step()
    return victim, order["attempt"], urgent


def attempt_of(plane: ApiPlane, who: str, workload: str) -> Any:
    return plane.get(who, f"/workloads/{workload}/attempts")["items"][-1]


def test_an_urgent_job_is_told_who_will_make_room_when_its_guaranteed_run_ends(plane: ApiPlane) -> None:
    victim, attempt, urgent = urgent_over(plane, "alice", "alpha")
    event = plane.get("alice", f"/workloads/{urgent}/why")["why"]["next_event"]
    guaranteed_ms = attempt_of(plane, "alice", victim)["running_ms"] + MIN_RUN_MS
    assert event == {
        "kind": "preemption", "subject": attempt, "workload": victim, "at_ms": guaranteed_ms, "basis": "guaranteed_run",
        "victims": 1, "yielding": 0, "moved": 0,
    }  # fmt: skip


def test_while_others_make_room_it_is_told_until_when_their_grace_runs(plane: ApiPlane) -> None:
    victim, attempt, urgent = urgent_over(plane, "alice", "alpha")
    plane.clock.shift_ms += MIN_RUN_MS
    plane.join()
    plane.controller.step()
    plane.controller.step()
    answer = plane.get("alice", f"/workloads/{urgent}/why")
    assert answer["workload"]["state"] == "starting"
    assert (answer["reason"]["kind"], answer["reason"]["facts"]) == ("waits_victims", {"victims": 1})
    ends_ms = attempt_of(plane, "alice", victim)["stop_asked_ms"] + 7_000
    assert answer["why"]["next_event"] == {
        "kind": "victim_leaves", "subject": attempt, "workload": victim, "at_ms": ends_ms, "basis": "grace", "victims": 1,
        "yielding": 0,
        "moved": 0,
    }  # fmt: skip
    assert answer["why"]["change"] is None and answer["change"] == {}


def test_a_quote_tells_what_is_charged_at_least_for_making_others_stop(plane: ApiPlane) -> None:
    job = {**JOB, "resources": WHOLE, "priority": "urgent", "limit": "1h"}
    _, _, urgent = urgent_over(plane, "alice", "alpha")
    plane.post("manager", f"/workloads/{urgent}/cancel")
    plane.controller.step()
    quote = plane.post("manager", "/quotes", {"project": "alpha", "job": job})
    assert (quote["claims"], quote["least_ms"]) == (False, 0)  # those that run are guaranteed to run on for now
    plane.clock.shift_ms += MIN_RUN_MS
    plane.join()
    plane.controller.step()
    quote = plane.post("manager", "/quotes", {"project": "alpha", "job": job})
    assert (quote["claims"], quote["least_ms"]) == (True, MIN_RUN_MS)


def background_of(plane: ApiPlane, who: str, project: str) -> str:
    """A job of the class that yields, on the whole node, that has only just begun."""
    epoch = plane.join()
    plane.controller.step()
    job = {**JOB, "resources": WHOLE, "limit": "1h", "priority": "background"}
    id: str = plane.submit(who, project, job=job)["ids"][0]
    plane.controller.step()
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    plane.report(epoch, order["attempt"], order["epoch"], id, "running")
    plane.controller.step()
    return id


def test_normal_work_starts_behind_background_work_and_owes_it_nothing(plane: ApiPlane) -> None:
    background = background_of(plane, "bob", "beta")
    job = {**JOB, "resources": WHOLE, "limit": "30s"}  # shorter than any guaranteed run
    quote = plane.post("alice", "/quotes", {"project": "alpha", "job": job})
    assert (quote["claims"], quote["starts_now"], quote["least_ms"]) == (True, False, 0)
    id = plane.submit("alice", "alpha", job=job)["ids"][0]
    plane.controller.step()
    plane.controller.step()
    answer = plane.get("alice", f"/workloads/{id}/why")
    assert answer["reason"]["facts"] == {"victims": 1, "yielding": 1}
    assert answer["why"]["next_event"]["yielding"] == 1
    assert attempt_of(plane, "bob", background)["stop_cause"] == "preempted"
    plane.post("alice", f"/workloads/{id}/cancel")
    (tried,) = plane.get("alice", f"/workloads/{id}/attempts")["items"]
    assert (tried["outcome"], tried["settled"], tried["charge_rest_nano"]) == ("withdrawn", 0, 0)


def test_a_policy_says_which_classes_yield(plane: ApiPlane) -> None:
    policy = plane.get("admin", "/policy")
    assert {c["name"] for c in policy["classes"] if c["yields"]} == {"background"}


def test_work_that_may_make_others_stop_has_at_least_the_limit_that_it_is_charged_for(plane: ApiPlane) -> None:
    short = {**JOB, "priority": "urgent", "limit": "59s"}
    for path in ("/quotes", "/workloads"):
        refused = problem(plane.call("manager", "POST", path, {"project": "alpha", "job": short}), 422, "bad_field")
        assert refused["reason"]["facts"] == {"field": "limit", "problem": "too_small", "limit_ms": MIN_RUN_MS}
    for fine in ({**short, "limit": "1m"}, {**short, "priority": "normal"}):
        assert plane.post("manager", "/workloads", {"project": "alpha", "job": fine})["ids"]


@pytest.mark.parametrize(("who", "project", "named"), [("alice", "alpha", True), ("bob", "beta", False)])
def test_who_is_made_to_stop_is_told_so_while_it_still_runs(plane: ApiPlane, who: str, project: str, named: bool) -> None:
    victim, _, urgent = urgent_over(plane, who, project)
    plane.clock.shift_ms += MIN_RUN_MS
    plane.join()
    plane.controller.step()
    plane.controller.step()
    reason = plane.get(who, f"/workloads/{victim}/why")["reason"]
    assert (reason["kind"], reason["facts"]) == ("makes_room", {"by": urgent if named else "…"})


def test_who_is_being_cancelled_is_told_so(plane: ApiPlane) -> None:
    workload, _, _ = plane.run_one()
    assert plane.get("alice", f"/workloads/{workload}/why")["reason"]["kind"] == "in_progress"
    plane.post("alice", f"/workloads/{workload}/cancel")
    assert plane.get("alice", f"/workloads/{workload}/why")["reason"]["kind"] == "being_cancelled"


def test_an_operators_stop_names_nobody(plane: ApiPlane) -> None:
    workload, attempt, _ = plane.run_one()
    plane.post("operator", f"/attempts/{attempt}/stop")
    told = plane.get("alice", f"/workloads/{workload}/why")
    assert (told["reason"]["kind"], told["reason"]["facts"]) == ("makes_room", {})


def test_a_stranger_that_makes_room_is_not_named(plane: ApiPlane) -> None:
    victim, attempt, urgent = urgent_over(plane, "bob", "beta")
    for state in ("waiting", "starting"):
        answer = plane.get("alice", f"/workloads/{urgent}/why")
        event = answer["why"]["next_event"]
        assert answer["workload"]["state"] == state
        assert (event["subject"], event["workload"], event["victims"]) == ("…", "…", 1)
        assert victim not in str(answer) and attempt not in str(answer)
        seen = plane.get("auditor", f"/workloads/{urgent}/why")["why"]["next_event"]
        assert (seen["subject"], seen["workload"]) == (attempt, victim)
        plane.clock.shift_ms += MIN_RUN_MS
        plane.join()
        plane.controller.step()
        plane.controller.step()
