"""Work that its project cannot pay for is told that another project of who asks could, and goes there."""

from __future__ import annotations

import pytest

from tests.builders.api_plane import JOB, ApiPlane, problem


@pytest.fixture
def waiting(plane: ApiPlane) -> str:
    """A job of alice, in a project without money of which both alice and the manager of hers are members."""
    plane.post("admin", "/projects", {"id": "poor", "name": "poor", "organisation": "uni"})
    plane.post("admin", f"/actors/{plane.actors['alice']}/grants", {"role": "member", "scope": "poor"})
    plane.post("admin", f"/actors/{plane.actors['bob']}/grants", {"role": "member", "scope": "poor"})
    plane.join()
    plane.controller.step()
    id: str = plane.submit("alice", "poor")["ids"][0]
    plane.controller.step()
    return id


def test_who_may_submit_to_another_project_is_told_of_it_and_of_no_other(plane: ApiPlane, waiting: str) -> None:
    answer = plane.get("alice", f"/workloads/{waiting}/why")
    assert answer["change"] == {"project": "alpha"}
    assert plane.get("bob", f"/workloads/{waiting}/why")["change"] == {"project": "beta"}
    for who in ("admin", "auditor"):  # who may submit everywhere, or nowhere
        assert "project" not in plane.get(who, f"/workloads/{waiting}/why")["change"]


def test_it_starts_there_from_nothing(plane: ApiPlane, waiting: str) -> None:
    made = plane.post("alice", f"/workloads/{waiting}/resubmit", {"project": "alpha"})
    assert made["origin"] == ""
    plane.controller.step()
    row = plane.get("alice", f"/workloads/{made['ids'][0]}")
    assert (row["project"], row["state"], row["origin"]) == ("alpha", "starting", "")
    assert plane.get("alice", f"/workloads/{waiting}")["state"] == "waiting"  # the old one stays until it is cancelled


def test_nobody_gets_into_a_project_that_is_not_theirs(plane: ApiPlane, waiting: str) -> None:
    problem(plane.call("alice", "POST", f"/workloads/{waiting}/resubmit", {"project": "beta"}), 404, "not_found")
    problem(plane.call("admin", "POST", f"/workloads/{waiting}/resubmit", {"project": "nowhere"}), 404, "not_found")


@pytest.mark.parametrize("more", [{"array": 2}, {"job": {**JOB, "depends_on": ["it"]}}])
def test_what_is_tied_to_its_project_is_not_sent_to_another(plane: ApiPlane, waiting: str, more: dict[str, object]) -> None:
    if "job" in more:
        more = {"job": {**JOB, "depends_on": [waiting]}}
    id = plane.submit("alice", "poor", **more)["ids"][0]
    plane.controller.step()
    assert "project" not in plane.get("alice", f"/workloads/{id}/why")["change"]
    copy = plane.post("alice", f"/workloads/{waiting}/resubmit", {})["ids"][0]
    plane.controller.step()
    assert "project" not in plane.get("alice", f"/workloads/{copy}/why")["change"]


def test_no_project_is_suggested_in_which_its_class_may_not_be_used(plane: ApiPlane, waiting: str) -> None:
    plane.post("admin", f"/actors/{plane.actors['alice']}/grants", {"role": "manager", "scope": "poor"})
    urgent = plane.submit("alice", "poor", job={**JOB, "priority": "urgent"})["ids"][0]
    plane.controller.step()
    assert "project" not in plane.get("alice", f"/workloads/{urgent}/why")["change"]
    problem(plane.call("alice", "POST", f"/workloads/{urgent}/resubmit", {"project": "alpha"}), 403, "not_allowed")
    assert plane.get("alice", f"/workloads/{waiting}/why")["change"] == {"project": "alpha"}
