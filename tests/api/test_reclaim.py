"""Whoever makes room as it borrowed quota is told so, and whose quota it was where that may be known; and its event says it."""

from __future__ import annotations

from typing import Any

from dure.model.policy import Policy
from tests.api.test_policy import put, rules
from tests.builders.api_plane import JOB, ApiPlane

WHOLE = {"cores": 4, "memory": "1GiB"}
QUOTAS = [
    {"of": "project:alpha", "resource": "core", "nominal_milli": 4000},
    {"of": "project:beta", "resource": "core", "nominal_milli": 1000},
]


def reclaimed(plane: ApiPlane) -> tuple[str, str, str]:
    """Bob's workload borrows, and makes room for one of alpha: the victim, its attempt, and for whom."""
    put(plane, rules(plane, quotas=QUOTAS, reclaims=True))
    job = {**JOB, "resources": WHOLE, "limit": "1h", "grace": "7s"}
    victim, attempt, _ = plane.run_one(who="bob", project="beta", job={**job, "priority": "high"})
    own = plane.submit(job={**job, "priority": "low"})["ids"][0]
    plane.controller.step()
    return victim, attempt, own


def later(plane: ApiPlane) -> None:
    plane.clock.shift_ms += Policy().min_run_ms
    plane.join()
    plane.controller.step()
    plane.controller.step()


def test_who_waits_for_its_quota_hears_when_what_borrows_it_is_asked(plane: ApiPlane) -> None:
    victim, attempt, own = reclaimed(plane)
    answer = plane.get("admin", f"/workloads/{own}/why")
    assert answer["reason"]["kind"] == "quota_reached"
    event = answer["why"]["next_event"]
    assert (event["kind"], event["basis"], event["subject"], event["workload"]) == ("preemption", "quota", attempt, victim)
    assert plane.get("alice", f"/workloads/{own}/why")["why"]["next_event"]["workload"] == "…"


def test_a_victim_is_told_that_its_quota_was_borrowed_and_whose_it_is_where_it_may_know(plane: ApiPlane) -> None:
    victim, _, own = reclaimed(plane)
    later(plane)
    told = plane.get("admin", f"/workloads/{victim}/why")["reason"]
    assert (told["kind"], told["facts"]) == ("makes_room", {"by": own, "reclaimed_by": "alpha"})
    assert plane.get("bob", f"/workloads/{victim}/why")["reason"]["facts"] == {"by": "…", "reclaimed_by": "…"}
    assert attempt_of(plane, "admin", victim)["reclaimed_by"] == "alpha"
    assert attempt_of(plane, "bob", victim)["reclaimed_by"] == "…"
    assert plane.get("admin", f"/workloads/{own}")["state"] == "starting"


def test_events_say_that_quota_was_the_reason(plane: ApiPlane) -> None:
    _, attempt, own = reclaimed(plane)
    later(plane)
    assert data_of(plane, attempt, "attempt.stopping")["by"] == "quota"
    assert data_of(plane, own, "workload.placed")["reclaims"] is True


def test_a_policy_may_leave_in_peace_what_borrows(plane: ApiPlane) -> None:
    put(plane, rules(plane, quotas=QUOTAS, reclaims=False))
    assert plane.get("admin", "/policy")["reclaims"] is False
    put(plane, rules(plane, quotas=QUOTAS, reclaims=False))
    job = {**JOB, "resources": WHOLE, "limit": "1h"}
    victim, _, _ = plane.run_one(who="bob", project="beta", job=job)
    own = plane.submit(job=job)["ids"][0]
    later(plane)
    assert plane.get("admin", f"/workloads/{own}")["state"] == "waiting"
    assert attempt_of(plane, "bob", victim)["reclaimed_by"] == ""


def attempt_of(plane: ApiPlane, who: str, workload: str) -> Any:
    return plane.get(who, f"/workloads/{workload}/attempts")["items"][-1]


def data_of(plane: ApiPlane, subject: str, kind: str) -> Any:
    (event,) = [e for e in plane.get("admin", "/events", subject=subject)["items"] if e["kind"] == kind]
    return event["data"]
