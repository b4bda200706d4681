"""Quotas over the API: part of the policy, told to whom they concern."""

from __future__ import annotations

from typing import Any

from tests.api.test_policy import put, rules
from tests.builders.api_plane import ApiPlane, problem

UNI = {"of": "organisation:uni", "resource": "core", "nominal_milli": 4000}
ALPHA = {"of": "project:alpha", "resource": "device:h100", "nominal_milli": 8000, "borrow_max_milli": 0, "lend_max_milli": 500}
BETA = {"of": "project:beta", "resource": "core", "nominal_milli": 1000}
FARM = {"of": "*", "resource": "device:*", "nominal_milli": 0}


def whose(rows: list[dict[str, Any]]) -> list[str]:
    return [row["of"] for row in rows]


def test_quotas_are_put_shown_and_compared_with_the_policy(plane: ApiPlane) -> None:
    written = put(plane, rules(plane, quotas=[UNI, ALPHA])).json()
    assert written["quotas"] == [{**UNI, "borrow_max_milli": -1, "lend_max_milli": -1}, ALPHA]
    assert {c["field"]: c["new"] for c in written["changes"]} == {
        "quotas.organisation:uni.core.nominal_milli": 4000,
        "quotas.project:alpha.device:h100.nominal_milli": 8000,
        "quotas.project:alpha.device:h100.borrow_max_milli": 0,
        "quotas.project:alpha.device:h100.lend_max_milli": 500,
    }
    assert put(plane, rules(plane, quotas=[])).json()["quotas"] == []
    assert plane.get("admin", "/policy/2")["quotas"] == written["quotas"]


def test_what_is_wrong_with_a_quota_is_told_by_its_field(plane: ApiPlane) -> None:
    for wrong, field in (
        ({**UNI, "of": "uni"}, "quotas.0.of"),
        ({**UNI, "resource": "memory_gib"}, "quotas.0.resource"),
        ({**UNI, "nominal_milli": -1}, "quotas.0.nominal_milli"),
        ({**UNI, "lend_max_milli": -2}, "quotas.0.lend_max_milli"),
        ({**UNI, "of": "project:uni"}, "quotas.of"),
        ({**UNI, "resource": "device:none"}, "quotas.resource"),
        ({**FARM, "borrow_max_milli": 1}, "quotas.borrow_max_milli"),
    ):
        told = problem(put(plane, rules(plane, quotas=[wrong])), 422, "bad_field")
        assert told["reason"]["facts"]["field"] == field, told
    assert plane.get("admin", "/policy")["version"] == 1


def test_of_others_quotas_nobody_is_told(plane: ApiPlane) -> None:
    put(plane, rules(plane, quotas=[UNI, ALPHA, BETA, FARM]))
    for who, seen in (
        ("alice", ["organisation:uni", "project:alpha", "*"]), ("bob", ["project:beta", "*"]), ("nobody", ["*"]),
        ("operator", ["organisation:uni", "project:alpha", "project:beta", "*"]),
    ):  # fmt: skip
        for row in (plane.get(who, "/policy"), plane.get(who, "/policy/2"), plane.get(who, "/policies")["items"][0]):
            assert whose(row["quotas"]) == seen
            assert {c["field"].split(".")[1] for c in row["changes"]} == set(seen)


def test_members_are_told_what_their_projects_use_and_operators_what_all_do(plane: ApiPlane) -> None:
    problem(plane.call("alice", "GET", "/quotas"), 503, "plane_starting")
    plane.run_one()
    put(plane, rules(plane, quotas=[UNI, ALPHA, BETA]))
    plane.controller.step()
    everything = plane.get("operator", "/quotas")
    assert everything["policy_version"] == 2 and everything["as_of_ms"] > 0
    found = {(row["of"], row["resource"]): row for row in everything["items"]}
    assert {of for of, _ in found} == {"*", "organisation:uni", "project:alpha", "project:beta"}
    lab = found["project:alpha", "core"]
    assert (lab["nominal_milli"], lab["used_milli"], lab["borrowed_milli"]) == (0, 1000, 1000)
    assert found["organisation:uni", "core"]["available_milli"] == 4000 == lab["available_milli"]
    assert whose(plane.get("bob", "/quotas")["items"]) == ["project:beta"]
    assert set(whose(plane.get("alice", "/quotas")["items"])) == {"project:alpha"}
    assert plane.get("nobody", "/quotas")["items"] == [] == plane.get("alice", "/quotas", project="beta")["items"]
    assert set(whose(plane.get("admin", "/quotas", project="beta")["items"])) == {"*", "organisation:mill", "project:beta"}
