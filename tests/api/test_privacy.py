"""What people learn of each other, and how far a token goes."""

from __future__ import annotations

from typing import Any

from dure.api.veil import HIDDEN, Veil
from tests.builders.api_plane import JOB, ApiPlane, problem

HELLO = {"protocol": 1, "agent_version": "1", "boot_id": "b", "describe": {"name": "fake"}}
NODE = {"name": "n1", "cores_milli": 1000, "memory_mib": 8192}
MEMBER = {"role": "member", "scope": "alpha"}


def test_a_manager_cannot_draw_a_stranger_in_by_id_alone(plane: ApiPlane) -> None:
    bob = plane.actors["bob"]
    for id in (bob, plane.actors["officer"], "actor_nonexistent"):
        first = problem(plane.call("manager", "POST", f"/actors/{id}/grants", MEMBER), 404, "not_found")
        second = problem(plane.call("manager", "POST", "/projects/alpha/members", {"actor": id}), 404, "not_found")
        assert first["reason"] == second["reason"] == {"kind": "not_found", "facts": {"what": "actor", "id": id}}
        problem(plane.call("manager", "GET", f"/actors/{id}"), 404, "not_found")


def test_a_manager_brings_in_whom_they_made_and_with_whom_they_share_a_project(plane: ApiPlane) -> None:
    made = plane.post("manager", "/actors", {"name": "Kim", "grants": [MEMBER]})["id"]
    plane.call("manager", "DELETE", "/projects/alpha/members", params={"actor": made})
    assert plane.post("manager", "/projects/alpha/members", {"actor": made})["actor"] == made
    manager = {"role": "manager", "scope": "alpha"}
    assert plane.post("manager", f"/actors/{plane.actors['alice']}/grants", manager)["role"] == "manager"
    plane.post("admin", "/projects/beta/members", {"actor": plane.actors["manager"]})
    assert plane.post("manager", "/projects/alpha/members", {"actor": plane.actors["bob"]})  # of beta, as the manager is
    assert plane.post("admin", "/projects/alpha/members", {"actor": plane.actors["nobody"]})  # anybody


def test_who_manages_a_project_sees_names_there_and_nothing_of_the_rest_of_a_life(plane: ApiPlane) -> None:
    grants = [MEMBER, {"role": "manager", "scope": "beta"}, {"role": "officer"}]
    kim = plane.post("admin", "/actors", {"name": "Kim", "email": "kim@uni.kr", "grants": grants})["id"]
    seen = plane.get("manager", f"/actors/{kim}")
    assert (seen["name"], seen["email"]) == ("Kim", "")
    assert [(g["role"], g["scope"]) for g in seen["grants"]] == [("member", "alpha")]
    plane.tokens["kim"] = plane.post("admin", f"/actors/{kim}/tokens", {})["token"]
    for who in ("admin", "auditor", "kim"):
        whole = plane.get(who, f"/actors/{kim}")
        assert whole["email"] == "kim@uni.kr" and len(whole["grants"]) == 3


def preempted(plane: ApiPlane) -> tuple[str, str, str, int, Any]:
    """Bob's workload runs and has to leave for alpha's urgent one: both ids, the attempt, the agent's epoch."""
    epoch = plane.post("agent", "/agent/hello", {**HELLO, "nodes": [NODE]})["epoch"]
    plane.controller.step()
    victim = plane.post("bob", "/workloads", {"project": "beta", "job": dict(JOB)})["ids"][0]
    plane.controller.step()
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    plane.report(epoch, order["attempt"], order["epoch"], victim, "running")
    plane.controller.step()
    plane.clock.shift_ms += 120_000
    epoch = plane.post("agent", "/agent/hello", {**HELLO, "nodes": [NODE]})["epoch"]
    urgent = plane.post("manager", "/workloads", {"project": "alpha", "job": {**JOB, "priority": "urgent"}})["ids"][0]
    plane.controller.step()
    plane.controller.step()
    return victim, urgent, order["attempt"], epoch, order["epoch"]


def test_a_site_does_not_tell_for_whom_room_was_made_nor_by_whom(plane: ApiPlane) -> None:
    victim, urgent, attempt, _, _ = preempted(plane)
    (theirs,) = plane.get("bob", "/sites/pohang")["attempts"]
    assert (theirs["workload"], theirs["beneficiary"]) == (victim, "…")
    (ours,) = plane.get("manager", "/sites/pohang")["attempts"]
    assert (ours["workload"], ours["victims"]) == (urgent, ["…"])
    whole = {a["workload"]: a for a in plane.get("admin", "/sites/pohang")["attempts"]}
    assert whole[victim]["beneficiary"] == urgent and whole[urgent]["victims"] == [attempt]


def test_why_does_not_name_the_tenant_who_came_first(plane: ApiPlane) -> None:
    victim, urgent, attempt, epoch, attempt_epoch = preempted(plane)
    plane.report(epoch, attempt, attempt_epoch, victim, "ended", outcome="preempted", evidence={"run_ms": 1000})
    plane.controller.step()
    plane.controller.step()
    answer = plane.get("bob", f"/workloads/{victim}/why")
    assert urgent not in str(answer)
    assert answer["workload"]["reason"]["facts"]["by"] == "…"
    assert plane.get("admin", f"/workloads/{victim}/why")["workload"]["reason"]["facts"]["by"] == urgent


def test_a_token_does_not_beget_one_that_outlives_it(plane: ApiPlane) -> None:
    path, soon = f"/actors/{plane.actors['alice']}/tokens", plane.clock.now_ms() + 60_000
    plane.tokens["brief"] = plane.post("alice", path, {"expires": soon})["token"]
    assert plane.post("brief", path, {})["expires_ms"] == soon
    assert plane.post("brief", path, {"expires": soon - 1000})["expires_ms"] == soon - 1000
    later = problem(plane.call("brief", "POST", path, {"expires": soon + 1}), 422, "bad_field")
    assert later["reason"]["facts"] == {"field": "expires", "problem": "too_large", "limit": soon}
    assert plane.post("alice", path, {})["expires_ms"] == 0
    operator = f"/actors/{plane.actors['operator']}/tokens"
    plane.tokens["shift"] = plane.post("operator", operator, {"expires": soon})["token"]
    assert plane.post("shift", "/sites/pohang/tokens")["expires_ms"] == soon
    assert plane.post("operator", "/sites/pohang/tokens")["expires_ms"] == 0


def test_an_agent_makes_ends_and_lists_no_tokens(plane: ApiPlane) -> None:
    agent = plane.actors["agent"]
    refused = problem(plane.call("agent", "POST", f"/actors/{agent}/tokens", {}), 403, "not_allowed")
    assert refused["reason"]["facts"] == {"action": "token.create", "roles": ["admin", "manager"]}
    problem(plane.call("agent", "GET", f"/actors/{agent}/tokens"), 403, "not_allowed")
    (token,) = plane.get("admin", f"/actors/{agent}/tokens")["items"]
    problem(plane.call("agent", "DELETE", f"/tokens/{token['id']}"), 403, "not_allowed")
    problem(plane.call("agent", "POST", f"/actors/{agent}/disable"), 403, "not_allowed")
    assert plane.get("agent", f"/actors/{agent}")["id"] == agent


def test_a_token_says_with_which_token_it_was_made(plane: ApiPlane) -> None:
    """Who finds a stolen token finds what was made with it, and so on."""
    path = f"/actors/{plane.actors['alice']}/tokens"
    own = plane.tokens["alice"].split("_")[1]
    first = plane.post("alice", path, {"label": "first"})
    plane.tokens["first"] = first["token"]
    second = plane.post("first", path, {"label": "second"})
    assert (first["made_with"], second["made_with"]) == (own, first["id"])
    listed = {t["id"]: t["made_with"] for t in plane.get("alice", path)["items"]}
    assert listed == {own: "", first["id"]: own, second["id"]: first["id"]}
    plane.controller.step()
    events = plane.get("auditor", "/events", subject=second["id"])["items"]
    assert [(e["kind"], e["data"]["made_with"]) for e in events] == [("token.created", first["id"])]
    site = plane.post("operator", "/sites/pohang/tokens")
    assert site["made_with"] == plane.tokens["operator"].split("_")[1]


def test_no_kind_of_next_event_names_what_is_anothers(plane: ApiPlane) -> None:
    victim, urgent, attempt, _, _ = preempted(plane)
    works = [(kind, urgent, victim) for kind in ("pause_ends", "promise_starts")]
    tries = [(kind, "at_x", attempt) for kind in ("attempt_ends", "preemption", "victim_leaves", "a_kind_of_tomorrow")]
    for kind, theirs, mine in works + tries:
        for subject, shown in ((theirs, HIDDEN), (mine, mine)):
            told = {"kind": kind, "subject": subject, "at_ms": 1, "workload": urgent}
            event = plane.store.read(lambda r, told=told: Veil(r, frozenset({"beta"})).next_event(told))  # type: ignore[misc]
            assert (event["subject"], event["workload"]) == (shown, HIDDEN), kind
            assert plane.store.read(lambda r, told=told: Veil(r, None).next_event(told)) == told  # type: ignore[misc]
