"""A better place in the queue has its price, and nobody is told to ask for one that is not theirs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.api_plane import JOB, ApiPlane

WHOLE = {"cores": 4}


def quoted(plane: ApiPlane, priority: str, who: str = "alice") -> Any:
    job = {**JOB, "priority": priority, "resources": WHOLE, "limit": "10h"}
    return plane.post(who, "/quotes", {"project": "alpha", "job": job}, status=200)


def test_a_higher_class_costs_more_and_the_quote_says_by_how_much(plane: ApiPlane) -> None:
    plane.join()
    plane.controller.step()
    normal = quoted(plane, "normal")
    factors = {c["name"]: c["price_permille"] for c in plane.get("alice", "/policy")["classes"]}
    assert factors == {"background": 500, "low": 800, "normal": 1000, "high": 1500, "urgent": 2000}
    for name, permille in factors.items():
        quote = quoted(plane, name)
        assert (quote["priority"], quote["price_permille"]) == (name, permille)
        assert abs(quote["hold"]["KRW"] * 1000 - normal["hold"]["KRW"] * permille) < 1000 + permille  # each rounded up once


def blocked(plane: ApiPlane, **job: Any) -> str:
    """A job of alice that waits behind one of bob, for whose place another waits already."""
    _, _, epoch = plane.run_one(job={**JOB, "resources": WHOLE, "limit": "20h"}, who="bob", project="beta")
    plane.clock.shift_ms = 120_000  # beyond the guaranteed run
    plane.post("agent", "/agent/poll", {"epoch": epoch})
    waiting: str = plane.submit("alice", job={**JOB, "resources": WHOLE, **job})["ids"][0]
    plane.controller.step()
    return waiting


def test_nobody_is_told_to_use_a_class_that_they_may_not(plane: ApiPlane) -> None:
    waiting = blocked(plane)
    mine = plane.get("alice", f"/workloads/{waiting}/why")["why"]
    assert mine["change"] is None and mine["no_change"] == "forbidden_class"
    change = plane.get("manager", f"/workloads/{waiting}/why")["change"]
    assert change == {"priority": "urgent"}
    assert plane.call("alice", "POST", f"/workloads/{waiting}/resubmit", {"job": change}).status_code == 403
    assert plane.call("manager", "POST", f"/workloads/{waiting}/resubmit", {"job": change}).status_code == 201
    assert plane.get("auditor", f"/workloads/{waiting}/why")["why"]["no_change"] == "forbidden_class"


def test_a_higher_class_is_suggested_with_its_price_and_holds_it(plane: ApiPlane) -> None:
    waiting = blocked(plane, limit="10h")
    answer = plane.get("manager", f"/workloads/{waiting}/why")
    assert answer["change"] == {"priority": "urgent"}
    assert answer["hold_then"]["KRW"] == quoted(plane, "urgent", "manager")["hold"]["KRW"] > answer["hold"]["KRW"] > 0
    again = plane.post("manager", f"/workloads/{waiting}/resubmit", {"job": answer["change"]})["ids"][0]
    plane.controller.step()
    (attempt,) = plane.get("manager", f"/workloads/{again}/attempts")["items"]
    assert attempt["held"] == answer["hold_then"]["KRW"]


@pytest.mark.parametrize(("priority", "permille"), [("normal", 1000), ("high", 1500), ("background", 500)])
def test_the_factor_in_force_at_the_hold_is_what_settles(plane: ApiPlane, priority: str, permille: int) -> None:
    workload, attempt, epoch = plane.run_one(job={**JOB, "resources": WHOLE, "limit": "10h", "priority": priority})
    policy = plane.get("admin", "/policy")
    dear = [{**c, "price_permille": 9000} for c in policy["classes"]]
    body = {"classes": dear, "prices": policy["prices"], "based_on": 1}
    assert plane.call("admin", "PUT", "/policy", body).status_code == 200
    plane.clock.shift_ms = 8 * 3_600_000
    evidence = {"started_ms": 1, "ended_ms": 5, "run_ms": 7_200_000, "exit_code": 0}
    plane.report(epoch, attempt, 1, workload, "ended", outcome="succeeded", evidence=evidence)
    (row,) = plane.get("alice", f"/workloads/{workload}/attempts")["items"]
    exact = row["settled"] * 10**9 + row["charge_rest_nano"]
    nano = {p["resource"]: p["nano"] for p in policy["prices"] if p["currency"] == "KRW"}
    mib = plane.get("alice", f"/workloads/{workload}")["spec"]["demand"]["memory_mib"]
    full = (nano["core"] * 4 * 1024 + nano["memory_gib"] * mib) * 7200
    assert exact == (2 * full * 800 * permille + 1024 * 10**6) // (2 * 1024 * 10**6)
    assert plane.get("officer", "/ledger/verify")["findings"] == []
