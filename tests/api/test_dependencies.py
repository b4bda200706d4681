"""Who waits for others is told what comes next of them, and nothing that does not help."""

from __future__ import annotations

from typing import Any

from tests.builders.api_plane import JOB, ApiPlane

WHOLE = {**JOB, "resources": {"cores": 4, "memory": "1GiB"}, "limit": "1h", "grace": "7s"}


def submit(plane: ApiPlane, **more: Any) -> Any:
    made = plane.submit(job={**JOB, **more})
    plane.controller.step()
    return made


def event(plane: ApiPlane, id: str, who: str = "alice") -> Any:
    return plane.get(who, f"/workloads/{id}/why")["why"]["next_event"]


def told(plane: ApiPlane, id: str) -> tuple[str, str, str]:
    found = event(plane, id)
    return found["kind"], found["subject"], found["basis"]


def test_the_end_of_the_one_that_runs_is_what_comes_next(plane: ApiPlane) -> None:
    first, attempt, _ = plane.run_one(job=WHOLE)
    then = submit(plane, depends_on=[first])["ids"][0]
    assert told(plane, then) == ("dependency_ends", first, "limit")
    running = plane.get("alice", f"/workloads/{first}/attempts")["items"][-1]
    assert running["id"] == attempt and event(plane, then)["at_ms"] == running["running_ms"] + 3_607_000
    plane.post("alice", f"/workloads/{first}/cancel")
    plane.controller.step()
    assert plane.get("alice", f"/workloads/{first}")["state"] == "running"
    assert told(plane, then) == ("dependency_ends", first, "grace")


def test_the_promised_start_of_one_that_waits_is(plane: ApiPlane) -> None:
    running, _, _ = plane.run_one(job=WHOLE)
    first = submit(plane, **{**WHOLE, "name": "first"})["ids"][0]
    then = submit(plane, depends_on=[running, first])["ids"][0]
    assert told(plane, then) == ("dependency_starts", first, "promise")
    assert event(plane, then)["at_ms"] == plane.get("alice", f"/workloads/{first}/why")["why"]["promised_ms"]


def test_of_one_that_can_start_nowhere_nothing_is_known_that_helps(plane: ApiPlane) -> None:
    """Somebody else's end does not."""
    plane.run_one(job=WHOLE)
    never = submit(plane, resources={"cores": 64})["ids"][0]
    then = submit(plane, depends_on=[never])["ids"][0]
    why = plane.get("alice", f"/workloads/{then}/why")["why"]
    assert why["next_event"] is None and why["estimate"] is None
    assert "waits_dependency" in [reason["kind"] for reason in why["reasons"]]


def test_of_an_array_the_last_element_counts(plane: ApiPlane) -> None:
    plane.join()
    plane.controller.step()
    array = submit(plane, name="parts", array=3, limit="30m")
    then = submit(plane, depends_on=[array["array_id"]])["ids"][0]
    found = told(plane, then)
    assert found[0] == "dependency_ends" and found[1] in array["ids"]


def test_an_end_that_the_last_plan_does_not_know_is_not_told(plane: ApiPlane) -> None:
    """It was placed by the plan that the answer is about, and is in no list of what runs."""
    plane.join()
    first = plane.submit()["ids"][0]
    then = submit(plane, depends_on=[first])["ids"][0]
    assert plane.get("alice", f"/workloads/{first}")["attempt"]
    assert event(plane, then) is None
    plane.controller.step()
    assert told(plane, then) == ("dependency_ends", first, "limit")


def test_who_is_promised_nothing_is_told_an_estimate(plane: ApiPlane) -> None:
    plane.run_one(job=WHOLE)
    waiting = [submit(plane, **{**WHOLE, "name": f"job-{i}"})["ids"][0] for i in range(18)]
    promised = plane.get("alice", f"/workloads/{waiting[15]}/why")["why"]
    assert promised["promised_ms"] and promised["estimate"] is None
    found = plane.get("alice", f"/workloads/{waiting[17]}/why")["why"]
    assert found["promised_ms"] == 0
    assert found["estimate"] == {"at_ms": promised["promised_ms"] + 2 * 3_607_000, "basis": "turns", "ahead": 17}
