"""Whose money, whose code, whose word: what a role may not reach by way of another route."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from tests.builders.api_plane import DAY_MS, JOB, ApiPlane, problem

OFFICER = [{"role": "officer", "scope": "voucher"}]


def somebody(plane: ApiPlane, name: str, grants: list[dict[str, str]]) -> str:
    """An actor with a token of its own, made by the administrator."""
    plane.actors[name] = plane.post("admin", "/actors", {"name": name, "grants": grants})["id"]
    plane.tokens[name] = plane.post("admin", f"/actors/{plane.actors[name]}/tokens", {})["token"]
    return plane.actors[name]


def another_programme(plane: ApiPlane) -> str:
    """A second programme with an award to alpha: the award's id."""
    now_ms = plane.clock.now_ms()
    span = {"starts": now_ms - DAY_MS, "ends": now_ms + 90 * DAY_MS}
    plane.post("officer", "/programmes", {"id": "merit", "name": "Merit", "budget": 5000, **span})
    award = {"programme": "merit", "project": "alpha", "amount": 4000, "starts": now_ms - DAY_MS, "expires": now_ms + DAY_MS}
    return str(plane.post("officer", "/awards", award)["id"])


# -- money ------------------------------------------------------------------------------------------------------------


def test_who_runs_one_programme_awards_from_it_and_draws_nothing_from_the_treasury(plane: ApiPlane) -> None:
    somebody(plane, "narrow", OFFICER)
    refused = problem(plane.call("narrow", "POST", "/programmes/voucher/funds", {"amount": 1}), 403, "not_allowed")
    assert refused["reason"]["facts"] == {"action": "programme.fund", "roles": ["admin", "officer:*"]}
    problem(plane.call("narrow", "POST", "/programmes/none-such/funds", {"amount": 1}), 404, "not_found")
    assert plane.get("narrow", "/programmes/voucher")["budget"] == 10_000_000
    now_ms = plane.clock.now_ms()
    award = {"programme": "voucher", "project": "alpha", "amount": 8_000_001, "starts": now_ms, "expires": now_ms + DAY_MS}
    problem(plane.call("narrow", "POST", "/awards", award), 409, "budget_short")
    assert plane.post("narrow", "/awards", {**award, "amount": 8_000_000})["amount"] == 8_000_000
    assert plane.post("officer", "/programmes/voucher/funds", {"amount": 1})["budget"] == 10_000_001


def test_a_programme_that_the_treasury_cannot_fund_is_not_there_afterwards(plane: ApiPlane) -> None:
    now_ms = plane.clock.now_ms()
    span = {"name": "P", "budget": 2**53 - 1, "starts": now_ms, "ends": now_ms + DAY_MS}
    answers = [plane.call("officer", "POST", "/programmes", {"id": f"p{n}", **span}).status_code for n in range(1100)]
    assert set(answers) == {201, 422} and answers == sorted(answers)
    problem(plane.call("officer", "GET", f"/programmes/p{answers.index(422)}"), 404, "not_found")


@pytest.mark.parametrize("job", [JOB, {**JOB, "priority": "urgent"}])
def test_an_operator_spends_no_voucher(plane: ApiPlane, job: Any) -> None:
    for path in ("/workloads", "/quotes"):
        problem(plane.call("operator", "POST", path, {"project": "alpha", "job": job}), 403, "not_allowed")
    archive = {"content": gzip.compress(b"code", mtime=0), "headers": plane.headers("operator", content_type="application/gzip")}
    problem(plane.http.post("/api/v1/projects/alpha/bundles", **archive), 403, "not_allowed")
    assert plane.submit("admin", job=job)["ids"]


def test_an_operator_has_nobodys_code_run_again(plane: ApiPlane) -> None:
    old = plane.submit()["ids"][0]
    for scope in ("*", "pohang"):
        somebody(plane, "runner", [{"role": "operator", "scope": scope}])
        refused = plane.call("runner", "POST", f"/workloads/{old}/resubmit", {"job": {"command": ["cat", "/code"]}})
        assert refused.status_code in (403, 404), refused.text
    assert len(plane.get("alice", "/workloads")["items"]) == 1


# -- pages ------------------------------------------------------------------------------------------------------------

LISTS = ("/workloads", "/organisations", "/projects", "/programmes", "/awards", "/transfers", "/accounts", "/sites", "/nodes",
         "/quarantine", "/actors")  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_a_page_and_its_cursor_tell_of_nothing_but_what_may_be_seen(plane: ApiPlane, path: str) -> None:
    another_programme(plane)
    somebody(plane, "narrow", OFFICER)
    plane.run_one()
    for who in (*plane.tokens,):
        answer = plane.call(who, "GET", path, params={"limit": 500})
        if answer.status_code != 200:
            continue
        whole, walked, cursor = [row["id"] for row in answer.json()["items"]], [], ""
        for _ in whole or [""]:
            page = plane.get(who, path, limit=1, cursor=cursor)
            walked += [row["id"] for row in page["items"]]
            cursor = page["next"]
            assert cursor.partition(".")[2] == (walked[-1] if len(walked) < len(whole) else ""), (who, cursor)
        assert walked == whole, who


def test_a_project_that_is_not_ones_own_is_found_by_no_filter(plane: ApiPlane) -> None:
    for path in ("/awards", "/workloads", "/transfers", "/events"):
        foreign, unknown = (plane.call("bob", "GET", path, params={"project": id, "limit": 1}) for id in ("alpha", "none-such"))
        for answer, id in ((foreign, "alpha"), (unknown, "none-such")):
            assert problem(answer, 404, "not_found")["reason"]["facts"] == {"what": "project", "id": id}
        problem(plane.call("admin", "GET", path, params={"project": "none-such"}), 404, "not_found")
        assert plane.call("admin", "GET", path, params={"project": "alpha"}).status_code == 200


# -- members ----------------------------------------------------------------------------------------------------------


def hired(plane: ApiPlane, name: str = "Zoe") -> str:
    """Somebody whom the manager of alpha has made, with a token that the manager has made."""
    grants = [{"role": "member", "scope": "alpha"}]
    plane.actors[name] = plane.post("manager", "/actors", {"name": name, "grants": grants})["id"]
    made = plane.post("manager", f"/actors/{plane.actors[name]}/tokens", {"label": "first"})
    plane.tokens[name], plane.known[name] = made["token"], made["id"]
    assert (made["made_by"], made["within"]) == (plane.actors["manager"], ["alpha"])
    return plane.actors[name]


def test_a_project_takes_somebody_in_by_itself(plane: ApiPlane) -> None:
    zoe = hired(plane)
    assert plane.submit("Zoe")["ids"]
    assert [t["label"] for t in plane.get("manager", f"/actors/{zoe}/tokens")["items"]] == ["first"]
    assert plane.call("manager", "DELETE", f"/tokens/{plane.known['Zoe']}").json()["revoked_ms"]
    problem(plane.call("Zoe", "GET", "/me"), 401, "not_signed_in")


@pytest.mark.parametrize("wider", [{"role": "member", "scope": "beta"}, {"role": "officer"}, {"role": "admin"},
                                   {"role": "agent", "scope": "pohang"}])  # fmt: skip
def test_nobody_with_roles_elsewhere_is_a_managers_to_speak_as(plane: ApiPlane, wider: dict[str, str]) -> None:
    kim = somebody(plane, "kim", [{"role": "member", "scope": "alpha"}, wider])
    (token,) = plane.get("admin", f"/actors/{kim}/tokens")["items"]
    for method, path in (
        ("POST", f"/actors/{kim}/tokens"),
        ("GET", f"/actors/{kim}/tokens"),
        ("DELETE", f"/tokens/{token['id']}"),
    ):
        refused = plane.call("manager", method, path, {} if method == "POST" else None)
        assert problem(refused, 403, "not_allowed")["reason"]["facts"]["roles"] == ["admin"]
    for stranger in ("bob", "nobody", "admin"):
        problem(plane.call("manager", "POST", f"/actors/{plane.actors[stranger]}/tokens", {}), 404, "not_found")
    assert plane.get("kim", "/me")["actor"] == kim


def test_a_managers_token_stays_within_the_projects_that_it_was_made_for(plane: ApiPlane) -> None:
    zoe = hired(plane)
    plane.tokens["child"] = plane.post("Zoe", f"/actors/{zoe}/tokens", {})["token"]  # and what it begets, too
    plane.tokens["whole"] = plane.post("admin", f"/actors/{zoe}/tokens", {})["token"]
    for grant in ({"role": "member", "scope": "beta"}, {"role": "admin"}):
        plane.post("admin", f"/actors/{zoe}/grants", grant)
    assert plane.call("whole", "GET", "/accounts").status_code == 200
    for who in ("Zoe", "child"):
        assert plane.get(who, "/me")["projects"] == ["alpha"]
        assert [g["scope"] for g in plane.get(who, "/me")["grants"]] == ["alpha"]
        assert [g["scope"] for g in plane.get(who, f"/actors/{zoe}")["grants"]] == ["alpha"]
        problem(plane.call(who, "GET", "/accounts"), 403, "not_allowed")
        problem(plane.call(who, "POST", "/workloads", {"project": "beta", "job": JOB}), 404, "not_found")
        for verb in ("erase", "disable"):
            problem(plane.call(who, "POST", f"/actors/{zoe}/{verb}"), 403, "not_allowed")
        whole = plane.tokens["whole"].split("_")[1]
        problem(plane.call(who, "DELETE", f"/tokens/{whole}"), 403, "not_allowed")
    problem(plane.call("manager", "POST", f"/actors/{zoe}/tokens", {}), 403, "not_allowed")
    assert plane.call("manager", "DELETE", f"/tokens/{plane.known['Zoe']}").status_code == 200  # one's own mistake can be undone
    assert plane.call("child", "DELETE", f"/tokens/{plane.tokens['child'].split('_')[1]}").status_code == 200


def test_a_token_shows_no_more_of_a_person_than_its_maker_may_know(plane: ApiPlane) -> None:
    body = {"name": "Kim", "email": "kim@uni.kr", "grants": [{"role": "member", "scope": "alpha"}]}
    kim = plane.post("admin", "/actors", body)["id"]
    plane.tokens["as-kim"] = plane.post("manager", f"/actors/{kim}/tokens", {})["token"]
    assert plane.get("as-kim", f"/actors/{kim}")["email"] == plane.get("manager", f"/actors/{kim}")["email"] == ""


def test_a_manager_sees_whom_they_made_and_with_whom_they_work_and_nobody_else(plane: ApiPlane) -> None:
    zoe = hired(plane)
    names = {a["name"] for a in plane.get("manager", "/actors")["items"]}
    assert names == {"manager", "alice", "Zoe"}
    plane.call("manager", "DELETE", "/projects/alpha/members", params={"actor": zoe})
    assert plane.get("manager", f"/actors/{zoe}")["name"] == "Zoe"
    listed = {a["name"]: a for a in plane.get("manager", "/actors")["items"]}
    assert listed.keys() == names and listed["Zoe"]["grants"] == [] and listed["alice"]["email"] == ""
    problem(plane.call("manager", "POST", f"/actors/{zoe}/tokens", {}), 403, "not_allowed")  # of no project of theirs now
    somebody(plane, "boss", [{"role": "manager", "scope": "beta"}])
    problem(plane.call("boss", "GET", f"/actors/{zoe}"), 404, "not_found")
    for who in ("alice", "operator", "officer", "nobody"):
        problem(plane.call(who, "GET", "/actors"), 403, "not_allowed")


# -- who runs one programme -------------------------------------------------------------------------------------------


def test_an_officer_of_a_programme_sees_the_projects_that_it_funds(plane: ApiPlane) -> None:
    merit = another_programme(plane)
    somebody(plane, "narrow", [{"role": "officer", "scope": "merit"}])
    assert [p["id"] for p in plane.get("narrow", "/projects")["items"]] == ["alpha"]
    shown = plane.get("narrow", "/projects/alpha")
    assert (shown["name"], shown["members"]) == ("alpha", [])
    assert [o["id"] for o in plane.get("narrow", "/organisations")["items"]] == ["uni"]
    assert plane.get("narrow", "/organisations/uni")["name"] == "University"
    assert plane.get("narrow", "/me")["projects"] == ["alpha"]
    assert [a["id"] for a in plane.get("narrow", "/awards")["items"]] == [merit]
    assert [a["id"] for a in plane.get("narrow", "/awards", project="alpha")["items"]] == [merit]
    for path in ("/projects/beta", "/organisations/mill", "/projects/beta/ledger"):
        problem(plane.call("narrow", "GET", path), 404, "not_found")
    problem(plane.call("narrow", "GET", "/awards", params={"project": "beta"}), 404, "not_found")
    assert plane.get("narrow", "/workloads")["items"] == []
    problem(plane.call("narrow", "GET", "/workloads", params={"project": "alpha"}), 404, "not_found")


def test_of_the_ledger_an_officer_of_a_programme_sees_what_concerns_its_awards(plane: ApiPlane) -> None:
    merit = another_programme(plane)
    plane.run_one()
    somebody(plane, "narrow", [{"role": "officer", "scope": "merit"}])
    whole, told = (plane.get(who, "/projects/alpha/ledger") for who in ("alice", "narrow"))
    assert whole["jobs"] and len(whole["awards"]) == 2
    assert told["awards"] == [line for line in whole["awards"] if line["account"] == f"award:{merit}"]
    assert (told["jobs"], told["totals"], told["remainders"], told["findings"]) == ([], [], [], [])
    transfers = plane.get("narrow", "/transfers")["items"]
    concerned = {f"award:{merit}", "programme:merit"}
    assert {t["kind"] for t in transfers} >= {"fund", "award"}
    assert all(concerned & {t["debit"], t["credit"]} for t in transfers)
    assert plane.get("narrow", "/transfers", project="alpha")["items"] == [t for t in transfers if t["project"]]
    problem(plane.call("narrow", "GET", "/transfers", params={"project": "beta"}), 404, "not_found")
    assert plane.get("narrow", "/transfers", account="programme:voucher")["items"] == []
    mine = plane.get("narrow", "/transfers", account=f"award:{merit}")["items"]
    assert mine and all(f"award:{merit}" in (t["debit"], t["credit"]) for t in mine)


# -- the last administrator -------------------------------------------------------------------------------------------


def ways_out(plane: ApiPlane) -> list[tuple[str, str]]:
    admin = plane.actors["admin"]
    return [
        ("POST", f"/actors/{admin}/erase"),
        ("POST", f"/actors/{admin}/disable"),
        ("DELETE", f"/grants/{admin}:admin:*"),
        ("DELETE", f"/tokens/{plane.tokens['admin'].split('_')[1]}"),
    ]


@pytest.mark.parametrize("way", range(4))
def test_the_last_administrator_stays(plane: ApiPlane, way: int) -> None:
    method, path = ways_out(plane)[way]
    made = plane.post("admin", "/actors", {"name": "second", "grants": [{"role": "admin"}]})["id"]  # without a token
    refused = problem(plane.call("admin", method, path), 409, "last_administrator")
    assert refused["remedy"] and refused["reason"]["facts"] == {"id": plane.actors["admin"]}
    assert plane.get("admin", "/me")["name"] == "admin"
    brief = plane.post("admin", f"/actors/{made}/tokens", {"expires": plane.clock.now_ms() + 1000})
    plane.clock.shift_ms += 2000
    problem(plane.call("admin", method, path), 409, "last_administrator")
    assert brief["token"] and plane.post("admin", f"/actors/{made}/tokens", {})["token"]
    assert plane.call("admin", method, path).status_code == 200  # there is somebody else now


def test_who_is_not_the_last_administrator_may_go(plane: ApiPlane) -> None:
    first = plane.tokens["admin"].split("_")[1]
    fresh = plane.post("admin", f"/actors/{plane.actors['admin']}/tokens", {})
    assert plane.call("admin", "DELETE", f"/tokens/{first}").status_code == 200
    plane.tokens["admin"] = fresh["token"]
    assert plane.post("admin", f"/actors/{plane.actors['alice']}/erase")["disabled"]
    problem(plane.call("admin", "DELETE", f"/tokens/{fresh['id']}"), 409, "last_administrator")


def test_an_operator_of_a_site_ends_what_runs_there(plane: ApiPlane) -> None:
    workload, _, _ = plane.run_one()
    plane.post("operator", "/sites", {"id": "gumi"})
    for name in ("gumi", "pohang"):
        somebody(plane, name, [{"role": "operator", "scope": name}])
    problem(plane.call("gumi", "POST", f"/workloads/{workload}/cancel"), 404, "not_found")
    assert plane.post("pohang", f"/workloads/{workload}/cancel")["items"][0]["id"] == workload
