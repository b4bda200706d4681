"""Two people do the same thing: the second is told what the first was told, or clearly why not."""

from __future__ import annotations

from typing import Any

import pytest

from dure.model.event import Event
from tests.builders.api_plane import ApiPlane, problem


def events(plane: ApiPlane) -> int:
    return plane.store.read(lambda reader: reader.count(Event))


def end(plane: ApiPlane, outcome: str, exit_code: int) -> tuple[str, str]:
    """A workload that came to this end, and its attempt."""
    workload, attempt, epoch = plane.run_one()
    plane.report(epoch, attempt, 1, workload, "ended", outcome=outcome, evidence={"run_ms": 10, "exit_code": exit_code})
    return workload, attempt


def test_a_waiting_workload_is_cancelled_by_two(plane: ApiPlane) -> None:
    id = plane.submit()["ids"][0]
    first = plane.post("alice", f"/workloads/{id}/cancel")
    before = events(plane)
    second = plane.post("manager", f"/workloads/{id}/cancel")
    assert first == second and second["items"][0]["state"] == "cancelled"
    assert events(plane) == before


def test_a_running_workload_is_cancelled_by_two(plane: ApiPlane) -> None:
    id, _, _ = plane.run_one()
    first = plane.post("alice", f"/workloads/{id}/cancel")["items"][0]
    before = events(plane)
    second = plane.post("manager", f"/workloads/{id}/cancel")["items"][0]
    assert first == second and second["cancel_asked_ms"]
    assert events(plane) == before


@pytest.mark.parametrize(("outcome", "exit_code", "state"), [("succeeded", 0, "succeeded"), ("failed", 3, "failed")])
def test_what_came_to_its_own_end_is_not_cancelled(plane: ApiPlane, outcome: str, exit_code: int, state: str) -> None:
    workload, _ = end(plane, outcome, exit_code)
    for who in ("alice", "manager"):
        document = problem(plane.call(who, "POST", f"/workloads/{workload}/cancel"), 409, "already_ended")
        assert document["reason"]["facts"]["state"] == state


def test_an_array_of_which_some_had_ended_is_cancelled_by_two(plane: ApiPlane) -> None:
    epoch = plane.join()
    plane.controller.step()
    made = plane.submit(array=6)
    plane.controller.step()
    for order in plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"][:1]:
        plane.report(epoch, order["attempt"], order["epoch"], made["ids"][0], "running")
        ended = {"outcome": "succeeded", "evidence": {"run_ms": 10, "exit_code": 0}}
        plane.report(epoch, order["attempt"], order["epoch"], made["ids"][0], "ended", **ended)
    path = f"/workloads/{made['array_id']}/cancel"
    first = plane.post("alice", path)
    assert first["states"].keys() >= {"succeeded", "cancelled"} and first["elements"] == 6
    assert plane.post("manager", path) == first


PAIRS = [("operator", "/sites/pohang/drain"), ("operator", "/sites/pohang/undrain"), ("operator", "/farm/drain"),
         ("operator", "/farm/undrain"), ("operator", "/nodes/pohang/n1/drain"), ("admin", "/actors/ALICE/disable")]  # fmt: skip


@pytest.mark.parametrize(("who", "path"), PAIRS)
def test_a_switch_that_is_set_stays_set(plane: ApiPlane, who: str, path: str) -> None:
    plane.join()
    path = path.replace("ALICE", plane.actors["alice"])
    first = plane.post(who, path)
    before = events(plane)
    assert plane.post(who, path) == first
    assert events(plane) == before


def test_a_token_is_revoked_by_two(plane: ApiPlane) -> None:
    made: dict[str, Any] = plane.post("alice", f"/actors/{plane.actors['alice']}/tokens", {"label": "ci"})
    first, second = (plane.call(who, "DELETE", f"/tokens/{made['id']}") for who in ("alice", "admin"))
    assert first.status_code == second.status_code == 200 and first.json() == second.json()


def test_an_attempt_is_stopped_by_two_and_not_once_it_has_ended(plane: ApiPlane) -> None:
    workload, attempt, epoch = plane.run_one()
    first = plane.post("operator", f"/attempts/{attempt}/stop")
    assert plane.post("admin", f"/attempts/{attempt}/stop") == first
    plane.report(epoch, attempt, 1, workload, "ended", outcome="preempted", evidence={"run_ms": 10})
    assert plane.post("admin", f"/attempts/{attempt}/stop")["outcome"] == "preempted"
    workload = plane.submit()["ids"][0]


def test_an_attempt_that_succeeded_is_neither_stopped_nor_attested_lost(plane: ApiPlane) -> None:
    _, attempt = end(plane, "succeeded", 0)
    for verb in ("stop", "attest-lost"):
        document = problem(plane.call("operator", "POST", f"/attempts/{attempt}/{verb}"), 409, "already_ended")
        assert document["reason"]["facts"]["state"] == "succeeded"


def test_an_attempt_is_attested_lost_by_two(plane: ApiPlane) -> None:
    _, attempt, _ = plane.run_one()
    first = plane.post("operator", f"/attempts/{attempt}/attest-lost", {"force": True})
    before = events(plane)
    assert plane.post("admin", f"/attempts/{attempt}/attest-lost") == first
    assert events(plane) == before


def test_what_takes_no_body_refuses_one(plane: ApiPlane) -> None:
    id = plane.submit()["ids"][0]
    before = events(plane)
    refused = problem(plane.call("alice", "POST", f"/workloads/{id}/cancel", {"force": True}), 422, "unknown_field")
    assert refused["reason"]["facts"]["field"] == "force"
    refused = problem(plane.call("alice", "POST", f"/workloads/{id}/cancel", [1]), 422, "bad_field")
    assert refused["reason"]["facts"]["problem"] == "no_body"
    assert events(plane) == before
    assert plane.call("alice", "POST", f"/workloads/{id}/cancel", {}).status_code == 200
