"""Whoever is moved is told so and where it goes on, whoever waits that others move; and no tenant learns of another."""

from __future__ import annotations

from typing import Any

from dure.model.policy import Policy
from tests.api.test_policy import put, rules
from tests.builders.api_plane import JOB, ApiPlane

HALF: dict[str, Any] = {**JOB, "resources": {"cores": 4, "memory": "1GiB"}, "limit": "1h", "grace": "7s", "checkpoint": "1m"}
SECOND_MS = 1000


def hello(plane: ApiPlane) -> int:
    nodes = [{"name": name, "cores_milli": 8000, "memory_mib": 8192} for name in ("n1", "n2")]
    told = {"protocol": 1, "agent_version": "1", "boot_id": "b", "describe": {"name": "fake"}, "nodes": nodes}
    return int(plane.post("agent", "/agent/hello", told)["epoch"])


def run(plane: ApiPlane, epoch: int, who: str, project: str, job: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    workload = plane.submit(who, project, job=job)["ids"][0]
    plane.controller.step()
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    plane.report(epoch, order["attempt"], order["epoch"], workload, "running")
    plane.controller.step()
    return workload, order


def halves(plane: ApiPlane, **policy: Any) -> tuple[int, list[tuple[str, dict[str, Any]]]]:
    """Two nodes, each half in use by bob, who saved a checkpoint: the agent's epoch, and the workloads with their orders."""
    put(plane, rules(plane, moves=True, **policy))
    epoch = hello(plane)
    plane.controller.step()
    first, order = run(plane, epoch, "bob", "beta", HALF)
    stays = [run(plane, epoch, "bob", "beta", HALF) for _ in range(2)]
    done = {"outcome": "succeeded", "evidence": {"run_ms": 5, "exit_code": 0}}
    plane.report(epoch, order["attempt"], order["epoch"], first, "ended", **done)
    plane.clock.shift_ms += 60 * SECOND_MS  # as long as they said that it would take
    now_ms = plane.clock.now_ms()
    for workload, each in stays:
        saved = {"checkpoint_ms": now_ms, "run_ms": 60 * SECOND_MS}
        plane.report(epoch, each["attempt"], each["epoch"], workload, "running", evidence=saved)
    plane.controller.step()
    plane.clock.shift_ms += Policy().min_run_ms
    return hello(plane), stays


def moved(plane: ApiPlane) -> tuple[int, str, dict[str, Any], str]:
    """The agent's epoch, who is moved, its order to stop, and for whom."""
    epoch, stays = halves(plane)
    large = plane.submit(job={**JOB, "resources": {"cores": 8, "memory": "1GiB"}, "limit": "1h"})["ids"][0]
    plane.controller.step()
    plane.controller.step()
    (stop,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    assert stop["verb"] == "stop" and stop["attempt"] in [order["attempt"] for _, order in stays]
    return epoch, stop["workload"], stop, large


def test_who_is_moved_is_told_where_it_goes_on_and_who_waits_that_it_moves(plane: ApiPlane) -> None:
    _, workload, _, large = moved(plane)
    reason = plane.get("admin", f"/workloads/{workload}/why")["reason"]
    goes = attempts(plane, "bob", workload)[0]["move"]
    assert (reason["kind"], reason["facts"]) == ("makes_room", {"by": large, "moved_to": goes["workers"][0]["node"]})
    assert plane.get("bob", f"/workloads/{workload}/why")["reason"]["facts"]["by"] == "…"
    asked = plane.get("alice", f"/workloads/{large}/why")
    assert asked["reason"]["facts"] == {"victims": 1, "moved": 1} and asked["why"]["next_event"]["moved"] == 1
    assert asked["why"]["next_event"]["workload"] == "…"


def test_its_next_attempt_is_ordered_when_it_has_left_and_events_say_so(plane: ApiPlane) -> None:
    epoch, workload, stop, large = moved(plane)
    plane.clock.shift_ms += SECOND_MS
    evidence = {"run_ms": 70_000, "started_ms": 1, "ended_ms": plane.clock.now_ms(), "checkpoint_ms": plane.clock.now_ms() - 9}
    plane.report(epoch, stop["attempt"], stop["epoch"], workload, "ended", outcome="preempted", evidence=evidence)
    orders = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    assert {o["workload"]: o["verb"] for o in orders} == {workload: "launch", large: "launch"}
    old, new = attempts(plane, "bob", workload)
    assert new["moved_from"] == old["id"] and new["id"] == old["move"]["attempt"] and old["outcome"] == "preempted"
    assert new["held"] <= old["held"] - old["settled"] + old["refunded"]
    assert new["limit_ms"] == old["limit_ms"] - (70_000 - 9)
    plane.controller.step()
    assert plane.get("bob", f"/workloads/{workload}")["state"] == "starting"
    events = plane.get("admin", "/events", subject=workload)["items"]
    assert events[-1]["kind"] == "workload.placed" and events[-1]["data"]["moved_from"] == old["id"]
    (told,) = [e for e in plane.get("admin", "/events", subject=old["id"])["items"] if e["kind"] == "attempt.stopping"]
    assert told["data"]["by"] == "move"


def test_a_policy_may_leave_everybody_where_they_are(plane: ApiPlane) -> None:
    epoch, _ = halves(plane)
    put(plane, rules(plane, moves=False))
    assert plane.get("admin", "/policy")["moves"] is False
    large = plane.submit(job={**JOB, "resources": {"cores": 8, "memory": "1GiB"}, "limit": "1h"})["ids"][0]
    plane.controller.step()
    assert plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"] == []
    told = plane.post("alice", f"/workloads/{large}/why", {"what_if": ["policy moves 1"]})
    assert (told["now"]["starts"], told["then"]["starts"], told["then"]["claims"]) == (False, True, True)
    assert told["why"]["next_event"]["basis"] == "move"


def attempts(plane: ApiPlane, who: str, workload: str) -> Any:
    return plane.get(who, f"/workloads/{workload}/attempts")["items"]
