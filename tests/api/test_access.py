"""Who gets in, and what one tenant learns of another."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest
from fastapi.routing import APIRoute

from dure.api.app import OPEN_PATHS, bare_app
from dure.api.route import Access, DureRoute
from dure.controller.commands import tenancy
from dure.errors import ConfigError
from dure.model.event import Event
from tests.builders.api_plane import JOB, ApiPlane, problem


def test_every_route_has_an_access_decision_or_is_on_the_short_list() -> None:
    routes = bare_app().routes
    undecided = {getattr(r, "path", "") for r in routes if not isinstance(getattr(r, "access", None), Access)}
    assert undecided == OPEN_PATHS
    assert len(routes) > 60


def test_a_route_without_a_decision_cannot_be_built() -> None:
    async def careless() -> None: ...

    with pytest.raises(ConfigError, match="no access decision"):
        DureRoute("/careless", careless)


def test_lists_without_a_resource_decide_on_every_item() -> None:
    filtered = {r.path for r in bare_app().routes if isinstance(r, DureRoute) and r.access.of is None}
    assert filtered == {
        f"/api/v1/{name}"
        for name in (
            "workloads", "events", "events/stream", "audit/head", "organisations", "projects", "programmes", "awards",
            "transfers", "quarantine", "quotas",
        )
    }  # fmt: skip


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic abc", "Bearer dure_abc_short", "Bearer dure__" + "a" * 32])
def test_what_is_no_token_opens_nothing(plane: ApiPlane, header: str) -> None:
    response = plane.http.get("/api/v1/me", headers={"authorization": header} if header else {})
    problem(response, 401, "not_signed_in")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_a_wrong_secret_opens_nothing(plane: ApiPlane) -> None:
    plane.get("alice", "/me")  # so that the credential is remembered
    plane.tokens["thief"] = plane.tokens["alice"][:-4] + "AAAA"
    plane.tokens["stranger"] = re.sub("_[^_]{26}_", "_" + "0" * 26 + "_", plane.tokens["alice"])
    for who in ("thief", "stranger"):
        refused = problem(plane.call(who, "GET", "/me"), 401, "not_signed_in")
        assert refused["reason"]["facts"] == {"problem": "unknown"}


def test_a_token_ends_with_its_last_day(plane: ApiPlane) -> None:
    soon = plane.clock.now_ms() + 1000
    path = f"/actors/{plane.actors['alice']}/tokens"
    plane.tokens["brief"] = plane.post("alice", path, {"expires": soon})["token"]
    assert plane.get("brief", "/me")["name"] == "alice"
    plane.clock.shift_ms = 2000
    assert problem(plane.call("brief", "GET", "/me"), 401, "not_signed_in")["reason"]["facts"] == {"problem": "expired"}
    problem(plane.call("alice", "POST", path, {"expires": 1}), 422, "bad_field")


def test_a_known_token_costs_no_read_and_one_revoked_elsewhere_stops_within_seconds(plane: ApiPlane) -> None:
    reads = []
    read = plane.store.read
    plane.store.read = lambda fn: reads.append(fn) or read(fn)  # type: ignore[method-assign,func-returns-value]
    plane.call("alice", "GET", "/nothing-here")
    problem(plane.call("alice", "POST", "/workloads", {"project": "beta", "job": JOB}), 404, "not_found")
    first = len(reads)
    problem(plane.call("alice", "POST", "/workloads", {"project": "beta", "job": JOB}), 404, "not_found")
    assert (first, len(reads)) == (1, 1)
    from_elsewhere = plane.actors["alice"]
    plane.store.transact(lambda tx: _disable(plane, tx, from_elsewhere))
    plane.clock.shift_ms = 5001
    problem(plane.call("alice", "GET", "/me"), 401, "not_signed_in")


def _disable(plane: ApiPlane, tx: Any, actor: str) -> None:
    tenancy.disable_actor(tx, plane.controller.deed("elsewhere"), actor=actor)


def alphas(plane: ApiPlane) -> dict[str, str]:
    """One of everything of tenant alpha: path parameter → id, by the first word of the path."""
    workload, attempt, _ = plane.run_one()
    array = plane.submit(array=2)["array_id"]
    archive = gzip.compress(b"code", mtime=0)
    headers = plane.headers("alice", content_type="application/gzip")
    plane.http.post("/api/v1/projects/alpha/bundles", content=archive, headers=headers)
    (award,) = plane.get("alice", "/awards")["items"]
    token = plane.get("alice", f"/actors/{plane.actors['alice']}/tokens")["items"][0]["id"]
    return {
        "workloads": workload,
        "arrays": array,
        "attempts": attempt,
        "projects": "alpha",
        "organisations": "uni",
        "actors": plane.actors["alice"],
        "awards": award["id"],
        "programmes": "voucher",
        "tokens": token,
        "grants": f"{plane.actors['alice']}:member:alpha",
    }


PUBLIC = frozenset({"sites", "nodes"})  # whose existence is no secret
BODIES: dict[str, Any] = {
    "add_member": {"actor": "actor_x"},
    "create_token": {},
    "create_grant": {"role": "member", "scope": "alpha"},
    "fund_programme": {"amount": 1},
}


def id_routes() -> list[APIRoute]:
    found = [r for r in bare_app().routes if isinstance(r, DureRoute) and "{id}" in r.path]
    return [r for r in found if r.path.split("/")[3] not in PUBLIC | {"quarantine"}]


def test_the_other_tenant_finds_nothing_behind_any_id(plane: ApiPlane) -> None:
    ids = alphas(plane)
    seen = set()
    for route in id_routes():
        noun = route.path.split("/")[3]
        path = route.path.removeprefix("/api/v1").replace("{id}", ids[noun])
        (method,) = route.methods
        missing = route.path.removeprefix("/api/v1").replace("{id}", "none-such")
        body, query = BODIES.get(route.name), {"actor": "actor_x"} if route.name == "remove_member" else {}
        theirs = plane.call("bob", method, path, body, params=query)
        nobodys = plane.call("bob", method, missing, body, params=query)
        document = problem(theirs, 404, "not_found")
        assert document["reason"]["kind"] == problem(nobodys, 404, "not_found")["reason"]["kind"], route.path
        assert document["reason"]["facts"].keys() == nobodys.json()["reason"]["facts"].keys(), route.path
        assert document["reason"]["facts"]["what"] == nobodys.json()["reason"]["facts"]["what"], route.path
        seen.add(noun)
    assert seen == ids.keys()


def test_the_other_tenant_sees_nothing_in_any_list(plane: ApiPlane) -> None:
    ids = alphas(plane)
    plane.controller.step()
    secrets = [id for noun, id in ids.items() if noun != "programmes"]  # bob's own award is of it too
    for path in (
        "/workloads",
        "/projects",
        "/organisations",
        "/awards",
        "/transfers",
        "/events",
        "/programmes",
        "/me",
        "/sites/pohang",
    ):
        text = plane.call("bob", "GET", path).text
        assert [s for s in secrets if f'"{s}"' in text] == [], path
    for path in ("/workloads", "/transfers", "/events", "/awards"):
        problem(plane.call("bob", "GET", path, params={"project": "alpha"}), 404, "not_found")
    for path in ("/accounts", "/actors", "/ledger/verify", "/audit/verify"):
        problem(plane.call("bob", "GET", path), 403, "not_allowed")
    assert plane.call("bob", "GET", "/workloads", params={"array": ids["arrays"]}).json()["items"] == []


def test_the_other_tenant_can_put_nothing_into_a_project(plane: ApiPlane) -> None:
    ids = alphas(plane)
    before = plane.get("auditor", "/farm")["workloads"]
    for path, body in (
        ("/workloads", {"project": "alpha", "job": JOB}),
        ("/quotes", {"project": "alpha", "job": JOB}),
        ("/workloads", {"project": "beta", "job": {**JOB, "depends_on": [ids["workloads"]]}}),
        ("/workloads", {"project": "beta", "job": {**JOB, "bundle": "0" * 64}}),
    ):
        problem(plane.call("bob", "POST", path, body), 404, "not_found")
    assert plane.get("auditor", "/farm")["workloads"] == before


def test_who_stands_before_one_is_not_told_by_name(plane: ApiPlane) -> None:
    plane.join()
    plane.controller.step()
    job = {**JOB, "resources": {"cores": 4, "memory": "4GiB"}}
    running = plane.submit("alice", job=job)["ids"][0]
    plane.controller.step()
    (attempt,) = plane.get("alice", f"/workloads/{running}/attempts")["items"]
    blocked = plane.submit("alice", job={**job, "limit": "1h"})["ids"][0]
    later = plane.submit("bob", "beta", job={**job, "limit": "2h"})["ids"][0]
    plane.controller.step()
    answer = plane.get("bob", f"/workloads/{later}/why")
    assert answer["workload"]["state"] == "waiting"
    assert answer["why"]["next_event"]["subject"] == "…"
    listed = plane.get("bob", "/workloads")["items"]
    for secret in (running, blocked, attempt["id"]):
        assert secret not in str(answer) + str(listed)


def test_an_urgent_class_needs_a_right_of_its_own(plane: ApiPlane) -> None:
    job = {**JOB, "priority": "urgent"}
    problem(plane.call("alice", "POST", "/workloads", {"project": "alpha", "job": job}), 403, "not_allowed")
    assert plane.submit("manager", job=job)["ids"]


def test_an_agent_speaks_for_its_own_site_alone(plane: ApiPlane) -> None:
    workload, attempt, _ = plane.run_one()
    plane.post("operator", "/sites", {"id": "gumi"})
    plane.tokens["gumi"] = plane.post("operator", "/sites/gumi/tokens")["token"]
    hello = {"protocol": 1, "agent_version": "1", "boot_id": "b", "describe": {}, "nodes": []}
    epoch = plane.post("gumi", "/agent/hello", hello)["epoch"]
    told = {"attempt": attempt, "epoch": 1, "workload": workload, "phase": "ended", "outcome": "failed"}
    assert plane.post("gumi", "/agent/report", {"epoch": epoch, "reports": [told]}) == {"recorded": []}
    assert plane.get("alice", f"/workloads/{workload}")["state"] == "running"
    chunk = {"epoch": epoch, "attempt": attempt, "worker": 0, "offset": 0, "data": "aGk="}
    assert plane.post("gumi", "/agent/logs", chunk) == {"offset": -1}
    for who in ("admin", "operator", "alice"):
        problem(plane.call(who, "POST", "/agent/poll", {"epoch": 1}), 403, "not_allowed")
    for path in (f"/workloads/{workload}", f"/workloads/{workload}/logs", "/accounts", f"/projects/{workload}"):
        assert plane.call("agent", "GET", path).status_code in (403, 404)


def test_auditors_change_nothing(plane: ApiPlane) -> None:
    writes = [r for r in bare_app().routes if isinstance(r, DureRoute) and r.methods & {"POST", "PUT", "DELETE"}]
    before = plane.store.read(lambda reader: reader.count(Event))
    for route in writes:
        path = route.path.removeprefix("/api/v1").replace("{site}", "pohang").replace("{name}", "n1").replace("{id}", "alpha")
        (method,) = route.methods
        refused = plane.call("auditor", method, path, {}, params={"actor": "a"} if route.name == "remove_member" else {})
        assert refused.status_code in (403, 404, 422), (path, refused.text)
    assert plane.store.read(lambda reader: reader.count(Event)) == before
