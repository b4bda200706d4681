"""The rules are replaced whole, by somebody who saw what they replace, and older ones can be read and put back."""

from __future__ import annotations

from typing import Any

from dure.model.event import Event
from tests.builders.api_plane import ApiPlane, problem

READ_ONLY = ("id", "version", "created_ms", "written_by", "changes")


def rules(plane: ApiPlane, **changes: Any) -> dict[str, Any]:
    """The policy in force as a body, with changes."""
    row = plane.get("admin", "/policy")
    return {**{k: v for k, v in row.items() if k not in READ_ONLY}, "based_on": row["version"], **changes}


def put(plane: ApiPlane, body: dict[str, Any], who: str = "admin") -> Any:
    return plane.call(who, "PUT", "/policy", body)


def test_a_policy_of_one_line_is_refused_and_says_what_is_missing(plane: ApiPlane) -> None:
    told = problem(put(plane, {"min_run_ms": 5000}), 422, "missing_field")
    assert {r["facts"]["field"] for r in told["reasons"]} == {"classes", "prices"}
    assert "Add it" in told["remedy"]
    assert plane.get("alice", "/policy")["version"] == 1


def test_nothing_becomes_free_unless_it_is_said_and_then_the_chain_tells_it(plane: ApiPlane) -> None:
    for free in ({"prices": []}, {"prices": [{"resource": "core", "nano": 0}]}, {"preemptible_permille": 0}):
        told = problem(put(plane, rules(plane, **free)), 422, "policy_free")
        assert "free" in told["remedy"]
    wrong = put(plane, rules(plane, free=True))
    assert problem(wrong, 422, "bad_field")["reason"]["facts"]["field"] == "free"
    written = put(plane, rules(plane, prices=[], free=True))
    assert written.status_code == 200, written.text
    (event,) = plane.store.read(lambda r: r.find(Event, {"subject": "policy:2"}))
    assert event.data["free"] is True and event.actor == plane.actors["admin"]
    assert put(plane, rules(plane, prices=[{"resource": "core", "nano": 7}])).status_code == 200
    (event,) = plane.store.read(lambda r: r.find(Event, {"subject": "policy:3"}))
    assert "free" not in event.data


def test_who_did_not_see_the_policy_in_force_does_not_replace_it(plane: ApiPlane) -> None:
    mine, theirs = rules(plane, min_run_ms=5000), rules(plane, retries_max=3)
    assert put(plane, theirs).json()["version"] == 2
    told = problem(put(plane, mine), 409, "policy_changed")
    assert told["reason"]["facts"] == {"based_on": 1, "version": 2}
    assert plane.get("alice", "/policy")["retries_max"] == 3


def test_every_policy_can_be_read_with_who_wrote_it_and_what_it_changed(plane: ApiPlane) -> None:
    first = plane.get("alice", "/policy")
    classes = [{**c, "price_permille": 3000} if c["name"] == "urgent" else c for c in first["classes"]]
    prices = [*first["prices"][1:], {"resource": "device:new", "nano": 5, "currency": "KRW"}]
    second = put(plane, rules(plane, min_run_ms=5000, classes=classes, prices=prices)).json()
    assert second["written_by"] == plane.actors["admin"]
    changes = {c["field"]: (c["old"], c["new"]) for c in second["changes"]}
    gone = first["prices"][0]
    assert changes == {
        "min_run_ms": (60_000, 5000),
        "classes.urgent.price_permille": (2000, 3000),
        f"prices.{gone['resource']}.{gone['currency']}": (gone["nano"], None),
        "prices.device:new.KRW": (None, 5),
    }
    listed = plane.get("alice", "/policies", limit=1)
    assert [p["version"] for p in listed["items"]] == [2]
    assert listed["items"][0] == plane.get("alice", "/policy") == second
    older = plane.get("alice", "/policies", cursor=listed["next"])
    assert [p["version"] for p in older["items"]] == [1] and older["next"] == "" and older["items"][0]["changes"] == []
    assert plane.get("alice", "/policy/1") == first
    problem(plane.call("alice", "GET", "/policy/9"), 404, "not_found")
    back = {k: v for k, v in plane.get("admin", "/policy/1").items() if k not in READ_ONLY}
    third = put(plane, {**back, "based_on": 2}).json()
    assert {k: third[k] for k in back} == back and third["version"] == 3
