"""A workload is submitted once more with changes, by the same rules as any other."""

from __future__ import annotations

from typing import Any

import pytest

from dure.model.event import Event
from tests.builders.api_plane import JOB, ApiPlane, problem


def out_of_memory(plane: ApiPlane) -> str:
    workload, attempt, epoch = plane.run_one()
    evidence = {"run_ms": 10, "exit_code": 137, "signal": 9, "detail": "memory_limit"}
    plane.report(epoch, attempt, 1, workload, "ended", outcome="failed", evidence=evidence)
    assert plane.get("alice", f"/workloads/{workload}")["reason"]["kind"] == "ended_memory"
    return workload


def test_what_ran_out_of_memory_is_submitted_again_with_more(plane: ApiPlane) -> None:
    old = out_of_memory(plane)
    made = plane.post("alice", f"/workloads/{old}/resubmit", {"job": {"resources": {"memory": "2GiB"}}}, 201)
    assert made["origin"] == old and made["ids"] != [old]
    before, after = (plane.get("alice", f"/workloads/{id}")["spec"] for id in (old, made["ids"][0]))
    assert after["demand"].pop("memory_mib") == 2048 and before["demand"].pop("memory_mib") == 512
    assert after == before
    (event,) = plane.store.read(lambda reader: reader.find(Event, {"subject": made["ids"][0]}))
    assert (event.kind, event.data["origin"]) == ("workload.submitted", old)
    assert [plane.get("alice", f"/workloads/{id}")["origin"] for id in (old, made["ids"][0])] == ["", old]


@pytest.mark.parametrize(("saved_ms", "checkpoint"), [(5, "5m"), (0, "5m"), (5, "")])
def test_what_hit_its_limit_is_told_to_go_on_where_it_can_and_its_copy_is_ordered_to(
    plane: ApiPlane, saved_ms: int, checkpoint: str
) -> None:
    workload, attempt, epoch = plane.run_one(job={**JOB, **({"checkpoint": checkpoint} if checkpoint else {})})
    evidence = {"run_ms": 10, "checkpoint_ms": saved_ms}
    plane.report(epoch, attempt, 1, workload, "ended", outcome="timed_out", evidence=evidence)
    reason = plane.get("alice", f"/workloads/{workload}")["reason"]
    assert ("at site pohang it goes on from its last checkpoint" in reason["text"]["remedy"]) == bool(saved_ms and checkpoint)
    plane.post("alice", f"/workloads/{workload}/resubmit", {"job": {"limit": "2h"}})
    plane.controller.step()
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    assert order["origin"] == (workload if checkpoint else "")


def test_without_changes_it_is_the_same_again(plane: ApiPlane) -> None:
    job = {**JOB, "env": {"A": "1"}, "checkpoint": "5m", "resources": {"cores": 0.25, "memory": "1GiB"}, "retries": 1}
    old = plane.submit(job=job)["ids"][0]
    made = plane.post("alice", f"/workloads/{old}/resubmit", {})
    assert plane.get("alice", f"/workloads/{made['ids'][0]}")["spec"] == plane.get("alice", f"/workloads/{old}")["spec"]


def test_an_array_is_resubmitted_as_a_whole(plane: ApiPlane) -> None:
    old = plane.submit(array=3)
    made = plane.post("alice", f"/workloads/{old['array_id']}/resubmit", {})
    assert len(made["ids"]) == 3 and made["array_id"] != old["array_id"]
    assert len(plane.post("alice", f"/workloads/{old['array_id']}/resubmit", {"array": 5})["ids"]) == 5
    refused = problem(plane.call("alice", "POST", f"/workloads/{old['ids'][0]}/resubmit", {}), 422, "bad_field")
    assert old["array_id"] in refused["detail"]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"job": {"comand": "x"}}, "unknown_field", "comand"),
    ({"job": {"resources": {"memory": 2}}}, "bad_field", "resources.memory"),
    ({"job": {"resources": 5}}, "bad_field", "resources"),
    ({"job": {"limit": "999999d"}}, "bad_field", "limit"),
    ({"job": {"name": None}}, "missing_field", "name"),
    ({"job": {"sites": ["atlantis"]}}, "bad_field", "sites"),
    ({"job": []}, "bad_field", "job"),
    ({"jobs": {}}, "unknown_field", "jobs"),
    ({"array": 0}, "bad_field", "array"),
    ({"array": 10**9}, "bad_field", "array"),
]


@pytest.mark.parametrize(("body", "kind", "field"), WRONG, ids=lambda v: str(v)[:40])
def test_wrong_changes_are_named_as_in_a_job(plane: ApiPlane, body: dict[str, Any], kind: str, field: str) -> None:
    old = plane.submit()["ids"][0]
    before = plane.store.read(lambda reader: reader.count(Event))
    refused = problem(plane.call("alice", "POST", f"/workloads/{old}/resubmit", body), 422, kind)
    assert refused["reason"]["facts"]["field"] == field
    assert plane.store.read(lambda reader: reader.count(Event)) == before


def test_others_work_and_urgent_classes_need_their_rights(plane: ApiPlane) -> None:
    old = plane.submit()["ids"][0]
    problem(plane.call("bob", "POST", f"/workloads/{old}/resubmit", {}), 404, "not_found")
    problem(plane.call("auditor", "POST", f"/workloads/{old}/resubmit", {}), 403, "not_allowed")
    problem(plane.call("alice", "POST", f"/workloads/{old}/resubmit", {"job": {"priority": "urgent"}}), 403, "not_allowed")
    assert plane.post("manager", f"/workloads/{old}/resubmit", {"job": {"priority": "urgent"}})["ids"]
