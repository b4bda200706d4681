"""Tokens that a manager made in somebody's name: who acted is told, nothing else is shown, and they end with their maker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dure.access import opens_no_more
from dure.client.transport import Plain
from dure.controller.forms import well_formed
from dure.model.codec import from_plain
from dure.model.event import Event, verify_chain
from dure.model.tenancy import Credential
from tests.api.test_separation import somebody
from tests.builders.api_plane import ApiPlane, problem


def borrowed(plane: ApiPlane, name: str = "as-alice", maker: str = "manager") -> Plain:
    """A token in alice's name that somebody else made, and has."""
    made: Plain = plane.post(maker, f"/actors/{plane.actors['alice']}/tokens", {"label": name})
    plane.tokens[name] = made["token"]
    return made


def told(plane: ApiPlane, subject: str, kind: str) -> Plain:
    plane.controller.step()
    (event,) = [e for e in plane.get("admin", "/events", subject=subject)["items"] if e["kind"] == kind]
    return dict(event)


def works(plane: ApiPlane, who: str) -> bool:
    return plane.call(who, "GET", "/me").status_code == 200


# -- who acted --------------------------------------------------------------------------------------------------------


def test_what_is_done_with_a_borrowed_token_tells_the_token_and_who_made_it(plane: ApiPlane) -> None:
    token, alice = borrowed(plane), plane.actors["alice"]
    event = told(plane, plane.submit("as-alice")["ids"][0], "workload.submitted")
    assert event["actor"] == alice
    assert (event["data"]["credential"], event["data"]["made_by"]) == (token["id"], plane.actors["manager"])


def test_what_somebody_does_with_a_token_that_nothing_binds_is_told_as_before(plane: ApiPlane) -> None:
    event = told(plane, plane.submit("alice")["ids"][0], "workload.submitted")
    assert not {"credential", "made_by"} & event["data"].keys()


def test_a_token_made_with_a_borrowed_one_leads_back_to_its_maker(plane: ApiPlane) -> None:
    first, alice = borrowed(plane), plane.actors["alice"]
    second = borrowed(plane, "child", "as-alice")
    made = told(plane, second["id"], "token.created")
    assert (made["actor"], made["data"]["credential"], made["data"]["made_by"]) == (alice, first["id"], plane.actors["manager"])
    event = told(plane, plane.submit("child")["ids"][0], "workload.submitted")
    assert (event["data"]["credential"], made["data"]["made_with"]) == (second["id"], first["id"])


def test_the_chain_and_the_rows_hold_with_what_borrowed_tokens_did(plane: ApiPlane) -> None:
    borrowed(plane)
    borrowed(plane, "child", "as-alice")
    plane.submit("child")
    plane.controller.step()
    events = [from_plain(Event, e) for e in plane.get("admin", "/events", limit=500)["items"]]
    assert verify_chain(events) is None
    seen = next(i for i, e in enumerate(events) if "credential" in e.data)
    altered = replace(events[seen], data={**events[seen].data, "made_by": plane.actors["alice"]})
    fault = verify_chain([*events[:seen], altered, *events[seen + 1 :]])
    assert fault is not None and fault.seq == altered.seq  # who acted is sealed too
    proof = plane.get("admin", "/audit/verify")
    assert proof["ok"] and not proof["findings"]


@pytest.mark.parametrize("member", ["credential", "made_by"])
def test_an_event_that_tells_a_token_by_anything_but_its_id_is_none_of_this_planes(member: str) -> None:
    event = Event(id="ev_1", at_ms=1, actor="a", kind="workload.submitted", subject="w", data={"credential": "c", "made_by": "m"})
    assert well_formed(event)
    assert not well_formed(replace(event, data={**event.data, member: {"name": "Zoe"}}))


# -- what ends with its maker -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["disable", "erase"])
def test_what_a_manager_made_in_others_names_ends_with_the_manager(plane: ApiPlane, verb: str) -> None:
    first, second = borrowed(plane), borrowed(plane, "child", "as-alice")
    plane.post("admin", f"/actors/{plane.actors['manager']}/{verb}")
    assert not works(plane, "as-alice") and not works(plane, "child")
    assert works(plane, "alice")
    for token in (first, second):
        event = told(plane, token["id"], "token.revoked")
        assert (event["actor"], event["data"]["actor"]) == (plane.actors["admin"], plane.actors["alice"])
    plane.post("admin", f"/actors/{plane.actors['manager']}/disable")  # again changes nothing
    assert told(plane, first["id"], "token.revoked")
    assert plane.get("admin", "/audit/verify")["ok"]


def test_a_token_outlives_neither_its_maker_nor_the_revoked_one_that_it_was_made_with(plane: ApiPlane) -> None:
    first = borrowed(plane)
    borrowed(plane, "child", "as-alice")
    plane.call("manager", "DELETE", f"/tokens/{first['id']}")
    assert works(plane, "child")
    plane.post("admin", f"/actors/{plane.actors['manager']}/disable")
    assert not works(plane, "child")


def test_what_an_administrator_made_outlasts_that_administrator(plane: ApiPlane) -> None:
    somebody(plane, "second", [{"role": "admin", "scope": "*"}])
    borrowed(plane, maker="second")
    plane.post("admin", f"/actors/{plane.actors['second']}/disable")
    assert works(plane, "as-alice")


def taken_out(plane: ApiPlane, way: str, actor: str) -> None:
    paths = {"member": (f"/projects/alpha/members?actor={actor}"), "role": f"/grants/{actor}:manager:alpha"}
    assert plane.call("admin", "DELETE", paths[way]).status_code == 200


@pytest.mark.parametrize("way", ["member", "role"])
def test_a_manager_who_is_taken_out_of_a_project_has_no_way_back_into_it(plane: ApiPlane, way: str) -> None:
    alice, manager = plane.actors["alice"], plane.actors["manager"]
    plane.post("manager", f"/actors/{alice}/grants", {"role": "manager", "scope": "alpha"})
    first = borrowed(plane)
    ghost = plane.post("as-alice", "/actors", {"name": "ghost", "grants": [{"role": "manager", "scope": "alpha"}]})["id"]
    plane.tokens["ghost"] = plane.post("as-alice", f"/actors/{ghost}/tokens", {})["token"]
    taken_out(plane, way, manager)
    assert works(plane, "manager") and works(plane, "alice") and not works(plane, "as-alice") and not works(plane, "ghost")
    assert told(plane, first["id"], "token.revoked")["data"]["actor"] == alice
    assert plane.get("admin", "/audit/verify")["ok"]


def test_who_loses_one_project_keeps_what_was_made_for_another_and_an_administrator_all(plane: ApiPlane) -> None:
    for scope in ("alpha", "beta"):
        plane.post("admin", "/actors", {"name": scope, "grants": [{"role": "member", "scope": scope}]})
    both = somebody(plane, "mb", [{"role": "manager", "scope": "alpha"}, {"role": "manager", "scope": "beta"}])
    for scope in ("alpha", "beta"):
        made = plane.post("mb", "/actors", {"name": scope, "grants": [{"role": "member", "scope": scope}]})["id"]
        plane.tokens[scope] = plane.post("mb", f"/actors/{made}/tokens", {})["token"]
    taken_out(plane, "role", both)
    assert not works(plane, "alpha") and works(plane, "beta")
    plane.post("admin", f"/actors/{both}/grants", {"role": "admin", "scope": "*"})
    plane.call("admin", "DELETE", f"/grants/{both}:manager:beta")
    assert works(plane, "beta")  # may make it again as an administrator: to end it would keep nothing from anybody


# -- what is found ------------------------------------------------------------------------------------------------------


def ids(plane: ApiPlane, who: str, actor: str, **query: object) -> set[str]:
    return {t["id"] for t in plane.get(who, f"/actors/{plane.actors[actor]}/tokens", **query)["items"]}


def test_what_somebody_made_in_others_names_is_found(plane: ApiPlane) -> None:
    token = borrowed(plane)
    for who in ("admin", "manager"):
        assert ids(plane, who, "manager", made="true") == {token["id"]}
    assert token["id"] not in ids(plane, "manager", "manager")
    problem(plane.call("bob", "GET", f"/actors/{plane.actors['manager']}/tokens", params={"made": "true"}), 404, "not_found")


def test_a_manager_sees_of_what_another_made_only_what_opens_nothing_beyond_its_projects(plane: ApiPlane) -> None:
    here = borrowed(plane)
    other = somebody(plane, "mb", [{"role": "manager", "scope": "alpha"}, {"role": "manager", "scope": "beta"}])
    elsewhere = plane.post("mb", f"/actors/{other}/tokens", {})["id"]  # its own: no bound
    there = borrowed(plane, "other", "mb")["id"]
    plane.call("admin", "DELETE", f"/grants/{other}:manager:beta")
    assert ids(plane, "mb", "mb", made="true") == {elsewhere, there}
    assert ids(plane, "manager", "mb", made="true") == {there}
    assert ids(plane, "manager", "manager", made="true") == {here["id"]}


def test_a_bounded_token_sees_only_tokens_that_open_no_more(plane: ApiPlane) -> None:
    token, alice = borrowed(plane), plane.actors["alice"]
    secret = plane.post("admin", f"/actors/{alice}/tokens", {"label": "secret project gamma"})["id"]
    child = borrowed(plane, "child", "as-alice")["id"]
    assert ids(plane, "as-alice", "alice") == {token["id"], child}
    assert ids(plane, "as-alice", "alice", made="true") == {child}
    assert {token["id"], secret, child} <= ids(plane, "alice", "alice")


def test_what_opens_no_more_is_bound_itself() -> None:
    def token(*within: str) -> Credential:
        return Credential(id="c", actor="a", digest="", within=within)

    assert opens_no_more(token("alpha"), ("alpha", "beta")) and opens_no_more(token("alpha", "beta"), ("alpha", "beta"))
    assert not opens_no_more(token(), ("alpha",)) and not opens_no_more(token("alpha", "beta"), ("alpha",))


def test_a_bounded_token_neither_sees_nor_draws_in_whom_its_actor_made_elsewhere(plane: ApiPlane) -> None:
    plane.post("manager", f"/actors/{plane.actors['alice']}/grants", {"role": "manager", "scope": "alpha"})
    borrowed(plane)
    plane.post("admin", f"/actors/{plane.actors['alice']}/grants", {"role": "manager", "scope": "beta"})
    zoe = plane.post("alice", "/actors", {"name": "Zoe", "grants": [{"role": "member", "scope": "beta"}]})["id"]
    assert zoe not in {a["id"] for a in plane.get("as-alice", "/actors")["items"]}
    problem(plane.call("as-alice", "GET", f"/actors/{zoe}"), 404, "not_found")
    problem(plane.call("as-alice", "POST", "/projects/alpha/members", {"actor": zoe, "role": "member"}), 404, "not_found")
    assert zoe in {a["id"] for a in plane.get("alice", "/actors")["items"]}
    assert plane.post("alice", "/projects/alpha/members", {"actor": zoe, "role": "member"})["scope"] == "alpha"


# -- agents -------------------------------------------------------------------------------------------------------------


def test_a_site_whose_agent_was_disabled_gets_a_token_for_a_fresh_one(plane: ApiPlane) -> None:
    old = plane.post("operator", "/sites/pohang/tokens")["actor"]
    plane.post("admin", f"/actors/{old}/disable")
    new = plane.post("operator", "/sites/pohang/tokens")
    assert new["actor"] != old
    plane.tokens["fresh"] = new["token"]
    assert [g["scope"] for g in plane.get("fresh", "/me")["grants"]] == ["pohang"]
    assert plane.post("operator", "/sites/pohang/tokens")["actor"] == new["actor"]  # and stays with it


HELLO = {"protocol": 1, "agent_version": "1", "boot_id": "b", "describe": {"name": "fake"}, "nodes": []}


def operated(plane: ApiPlane, *scopes: str) -> str:
    """An operator of these sites, who made an agent's token for pohang; the operator's id."""
    made = somebody(plane, "op", [{"role": "operator", "scope": scope} for scope in scopes])
    plane.tokens["site"] = plane.post("op", "/sites/pohang/tokens")["token"]
    return made


def speaks(plane: ApiPlane) -> bool:
    return plane.call("site", "POST", "/agent/hello", HELLO).status_code == 200


@pytest.mark.parametrize("verb", ["disable", "erase"])
def test_an_operator_who_goes_does_not_go_on_speaking_for_the_site(plane: ApiPlane, verb: str) -> None:
    made = operated(plane, "pohang")
    assert speaks(plane)
    plane.post("admin", f"/actors/{made}/{verb}")
    assert not speaks(plane)


def test_an_agents_token_ends_with_the_last_role_by_which_its_maker_could_make_it(plane: ApiPlane) -> None:
    made = operated(plane, "pohang", "*")
    plane.call("admin", "DELETE", f"/grants/{made}:operator:*")
    assert speaks(plane)
    plane.call("admin", "DELETE", f"/grants/{made}:operator:pohang")
    assert not speaks(plane)
    assert plane.get("admin", "/audit/verify")["ok"]


@pytest.mark.parametrize("way", ["disable", "demote, then disable", "disable, demote, erase"])
def test_an_agents_token_that_an_administrator_made_outlasts_the_administrator(plane: ApiPlane, way: str) -> None:
    made = somebody(plane, "second", [{"role": "admin", "scope": "*"}])
    plane.tokens["site"] = plane.post("second", "/sites/pohang/tokens")["token"]
    for step in way.replace(" then", "").split(", "):
        if step == "demote":
            assert plane.call("admin", "DELETE", f"/grants/{made}:admin:*").status_code == 200
        else:
            plane.post("admin", f"/actors/{made}/{step}")
    assert speaks(plane)


@pytest.mark.parametrize("role", ["manager", "operator"])
def test_nothing_outlasts_a_role_by_way_of_a_higher_one_in_between(plane: ApiPlane, role: str) -> None:
    scope = "alpha" if role == "manager" else "pohang"
    made = somebody(plane, "climber", [{"role": role, "scope": scope}])
    if role == "manager":
        plane.tokens["site"] = plane.post("climber", f"/actors/{plane.actors['alice']}/tokens", {})["token"]
    else:
        plane.tokens["site"] = plane.post("climber", "/sites/pohang/tokens")["token"]
    plane.post("admin", f"/actors/{made}/grants", {"role": "admin", "scope": "*"})
    plane.call("admin", "DELETE", f"/grants/{made}:{role}:{scope}")
    assert plane.call("site", "GET", "/me").status_code == 200
    plane.call("admin", "DELETE", f"/grants/{made}:admin:*")
    assert plane.call("site", "GET", "/me").status_code == 401


def test_an_agents_token_speaks_for_its_site_alone_whatever_else_its_actor_became(plane: ApiPlane) -> None:
    operated(plane, "pohang")
    plane.post("admin", "/sites", {"id": "busan"})
    agent = plane.get("site", "/me")["actor"]
    plane.post("admin", f"/actors/{agent}/grants", {"role": "agent", "scope": "busan"})
    plane.post("admin", f"/actors/{agent}/grants", {"role": "admin", "scope": "*"})
    assert [(g["role"], g["scope"]) for g in plane.get("site", "/me")["grants"]] == [("agent", "pohang")]
    problem(plane.call("site", "POST", f"/actors/{agent}/tokens", {}), 403, "not_allowed")


@pytest.mark.parametrize("role", [{"role": "admin", "scope": "*"}, {"role": "agent", "scope": "busan"}])
def test_a_sites_token_is_never_one_of_an_actor_that_is_more_than_its_program(plane: ApiPlane, role: dict[str, str]) -> None:
    plane.post("admin", "/sites", {"id": "busan"})
    old = plane.post("operator", "/sites/pohang/tokens")["actor"]
    plane.post("admin", f"/actors/{old}/grants", role)
    new = plane.post("operator", "/sites/pohang/tokens")
    plane.tokens["fresh"] = new["token"]
    assert new["actor"] != old
    assert [(g["role"], g["scope"]) for g in plane.get("fresh", "/me")["grants"]] == [("agent", "pohang")]
