"""Every route does what it says, for those who may."""

from __future__ import annotations

import base64
import gzip
import hashlib
from typing import Any

import pytest

from tests.builders.api_plane import GANG, JOB, ApiPlane, problem


def test_health_needs_no_token(plane: ApiPlane) -> None:
    assert plane.http.get("/healthz").json() == {"status": "ok", "chain": "ok"}


def test_me_says_who_the_token_stands_for(plane: ApiPlane) -> None:
    me = plane.get("alice", "/me")
    assert (me["actor"], me["name"], me["projects"]) == (plane.actors["alice"], "alice", ["alpha"])
    assert plane.get("admin", "/me")["projects"] is None


def test_tenants_are_made_and_shown(plane: ApiPlane) -> None:
    plane.post("officer", "/organisations", {"id": "lab", "name": "Lab", "kind": "institute", "parent": "uni"})
    made = plane.post("officer", "/projects", {"id": "gamma", "name": "Gamma", "organisation": "lab", "partners": ["mill"]})
    assert made["organisation"] == "lab" and made["partners"] == ["mill"]
    assert [o["id"] for o in plane.get("officer", "/organisations")["items"]] == ["lab", "mill", "uni"]
    assert [o["id"] for o in plane.get("bob", "/organisations")["items"]] == ["mill"]
    assert plane.get("alice", "/organisations/uni")["kind"] == "university"
    assert [p["id"] for p in plane.get("officer", "/projects")["items"]] == ["alpha", "beta", "gamma"]


def test_a_manager_brings_people_in_and_takes_them_out(plane: ApiPlane) -> None:
    grants = [{"role": "member", "scope": "alpha"}]
    made = plane.post("manager", "/actors", {"name": "Kim", "email": "kim@uni.kr", "grants": grants})
    assert plane.get("manager", f"/actors/{made['id']}")["name"] == "Kim"
    plane.post("admin", "/projects/alpha/members", {"actor": plane.actors["nobody"], "role": "member"})
    members = {m["actor"] for m in plane.get("alice", "/projects/alpha")["members"]}
    assert {made["id"], plane.actors["nobody"]} <= members
    gone = plane.call("manager", "DELETE", "/projects/alpha/members", params={"actor": plane.actors["nobody"]})
    assert [g["role"] for g in gone.json()["items"]] == ["member"]
    assert plane.actors["nobody"] not in {m["actor"] for m in plane.get("alice", "/projects/alpha")["members"]}


def test_a_manager_can_give_no_role_outside_its_project(plane: ApiPlane) -> None:
    for grant in ({"role": "admin", "scope": "*"}, {"role": "member", "scope": "beta"}, {"role": "operator", "scope": "*"}):
        refused = plane.call("manager", "POST", "/actors", {"name": "x", "grants": [{"role": "member", "scope": "alpha"}, grant]})
        assert refused.status_code in (403, 404), refused.text
        refused = plane.call("manager", "POST", f"/actors/{plane.actors['manager']}/grants", grant)
        assert refused.status_code in (403, 404), refused.text
    assert len(plane.get("admin", "/actors")["items"]) == len(plane.actors) + 1  # and the founder


def test_roles_are_given_and_taken(plane: ApiPlane) -> None:
    actor = plane.actors["nobody"]
    problem(plane.call("nobody", "GET", "/accounts"), 403, "not_allowed")
    grant = plane.post("admin", f"/actors/{actor}/grants", {"role": "auditor"})
    assert plane.get("nobody", "/accounts")["items"]
    assert plane.call("admin", "DELETE", f"/grants/{grant['id']}").status_code == 200
    problem(plane.call("nobody", "GET", "/accounts"), 403, "not_allowed")


def test_an_erased_person_is_named_nowhere_and_opens_nothing(plane: ApiPlane) -> None:
    actor = plane.actors["alice"]
    plane.post("alice", f"/actors/{actor}/erase")
    problem(plane.call("alice", "GET", "/me"), 401, "not_signed_in")
    assert plane.get("admin", f"/actors/{actor}")["name"] == ""
    assert plane.get("admin", f"/actors/{actor}")["disabled"] is True


def test_a_token_is_shown_once_and_stops_at_once(plane: ApiPlane) -> None:
    actor = plane.actors["alice"]
    headers = plane.headers("alice")
    first, again = (
        plane.http.post(f"/api/v1/actors/{actor}/tokens", json={"label": "laptop"}, headers=headers) for _ in range(2)
    )
    token = first.json()["token"]
    assert again.json()["token"] == "" and again.headers["idempotency-replayed"] == "true"
    plane.tokens["laptop"] = token
    assert plane.get("laptop", "/me")["name"] == "alice"
    listed = plane.get("alice", f"/actors/{actor}/tokens")["items"]
    assert "laptop" in {t["label"] for t in listed}
    assert all("digest" not in t and "token" not in t for t in listed)
    assert plane.call("alice", "DELETE", f"/tokens/{first.json()['id']}").status_code == 200
    assert problem(plane.call("laptop", "GET", "/me"), 401, "not_signed_in")["reason"]["facts"] == {"problem": "revoked"}


def test_money_is_budgeted_awarded_and_told(plane: ApiPlane) -> None:
    body = {"id": "call-2", "name": "Call", "budget": 500, "starts": "2026-01-01", "ends": "2099-12-31"}
    assert plane.post("officer", "/programmes", body)["available"] == 500
    assert plane.post("officer", "/programmes/call-2/funds", {"amount": 100})["budget"] == 600
    award = {"programme": "call-2", "project": "alpha", "amount": 250, "starts": "2026-06-01", "expires": "2099-06-30"}
    made = plane.post("officer", "/awards", award)
    assert (made["available"], made["held"], made["currency"]) == (250, 0, "KRW")
    assert plane.get("officer", "/programmes/call-2")["available"] == 350
    assert [a["amount"] for a in plane.get("alice", "/awards", project="alpha")["items"]].count(250) == 1
    assert plane.get("alice", f"/awards/{made['id']}")["project"] == "alpha"
    short = plane.call("officer", "POST", "/awards", {**award, "amount": 351})
    assert problem(short, 409, "budget_short")["reason"]["facts"]["available"] == 350
    assert {p["id"] for p in plane.get("officer", "/programmes")["items"]} == {"voucher", "call-2"}


def test_a_job_is_quoted_submitted_run_and_paid(plane: ApiPlane) -> None:
    plane.join()
    plane.controller.step()
    quote = plane.post("alice", "/quotes", {"project": "alpha", "job": dict(JOB)}, status=200)
    assert quote["hold"]["KRW"] > 0
    workload, attempt, epoch = plane.run_one()
    assert plane.get("alice", f"/workloads/{workload}")["state"] == "running"
    assert plane.get("alice", f"/workloads/{workload}/why")["reason"]["text"]["title"]
    (row,) = plane.get("alice", f"/workloads/{workload}/attempts")["items"]
    assert (row["id"], row["state"], row["currency"]) == (attempt, "running", "KRW")
    plane.clock.shift_ms = 590_000  # nothing is billed for longer than it can have run
    evidence = {"started_ms": 1, "ended_ms": 5, "run_ms": 590_000, "exit_code": 0}
    told = plane.report(epoch, attempt, row["epoch"], workload, "ended", outcome="succeeded", evidence=evidence)
    assert told == {"recorded": [attempt]}
    ended = plane.get("alice", f"/workloads/{workload}")
    assert (ended["state"], ended["reason"]["kind"]) == ("succeeded", "ended_succeeded")
    statement = plane.get("alice", "/projects/alpha/ledger")
    (line,) = statement["jobs"]
    assert line["held"] == line["settled"] + line["released"] and line["name"] == "tiny"
    assert statement["findings"] == []
    assert plane.get("officer", "/ledger/verify")["ok"] is True
    kinds = {t["kind"] for t in plane.get("alice", "/transfers", workload=workload)["items"]}
    assert kinds == {"hold", "settle"}
    assert plane.get("officer", "/transfers", account="site:pohang:KRW")["items"]


def test_a_waiting_job_says_why(plane: ApiPlane) -> None:
    plane.join()
    plane.controller.step()
    workload = plane.submit(job=dict(GANG))["ids"][0]
    plane.controller.step()
    why = plane.get("alice", f"/workloads/{workload}/why")
    assert why["reason"]["kind"] == "node_too_small_cores"
    korean = plane.call("alice", "GET", f"/workloads/{workload}/why", headers={"accept-language": "ko-KR, en;q=0.5"}).json()
    assert korean["reason"]["text"]["title"] != why["reason"]["text"]["title"]


def test_arrays_are_counted_listed_and_cancelled_whole(plane: ApiPlane) -> None:
    submitted = plane.submit(array=5)
    array = submitted["array_id"]
    assert len(submitted["ids"]) == 5
    shown = plane.get("alice", f"/arrays/{array}")
    assert (shown["elements"], shown["states"]["waiting"], shown["ids"]) == (5, 5, submitted["ids"])
    cancelled = plane.post("alice", f"/workloads/{array}/cancel")
    assert cancelled == {"array_id": array, "states": {"cancelled": 5}, "elements": 5}
    assert len(plane.get("alice", "/workloads", array=array, state="cancelled")["items"]) == 5


def test_bundles_are_kept_by_content_and_handed_only_to_the_site_that_needs_them(plane: ApiPlane) -> None:
    archive = gzip.compress(b"code", mtime=0)
    digest = hashlib.sha256(archive).hexdigest()
    headers = plane.headers("alice", content_type="application/gzip", x_content_sha256=digest)
    kept = plane.http.post("/api/v1/projects/alpha/bundles", content=archive, headers=headers)
    assert kept.json() == {"project": "alpha", "sha256": digest, "size": len(archive)}
    again = plane.http.post("/api/v1/projects/alpha/bundles", content=archive, headers=headers)
    assert again.json() == kept.json() and again.headers["idempotency-replayed"] == "true"
    epoch = plane.join()
    problem(plane.call("agent", "GET", f"/agent/bundles/alpha/{digest}"), 404, "not_found")
    plane.controller.step()
    plane.submit(job={**JOB, "bundle": digest})
    plane.controller.step()
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    assert order["spec"]["bundle"] == digest
    fetched = plane.call("agent", "GET", f"/agent/bundles/alpha/{digest}")
    assert fetched.content == archive
    problem(plane.call("alice", "GET", f"/agent/bundles/alpha/{digest}"), 403, "not_allowed")


def test_a_bad_archive_leaves_nothing_behind(plane: ApiPlane) -> None:
    folder = plane.app.state.api.settings.blobs / "alpha"
    for content, extra, status, kind in (
        (b"not gzip", {}, 422, "bad_field"),
        (b"", {}, 422, "bad_field"),
        (gzip.compress(b"x"), {"x_content_sha256": "0" * 64}, 422, "bad_field"),
        (b"\x1f\x8b" + b"0" * (16 << 20), {}, 413, "body_too_large"),
    ):
        headers = plane.headers("alice", content_type="application/gzip", **extra)
        problem(plane.http.post("/api/v1/projects/alpha/bundles", content=content, headers=headers), status, kind)
    assert list(folder.iterdir()) == []


def test_sites_are_made_operated_and_shown(plane: ApiPlane) -> None:
    plane.post("operator", "/sites", {"id": "gumi", "region": "KR-47", "pue_permille": 1250})
    token = plane.post("operator", "/sites/gumi/tokens")["token"]
    plane.tokens["gumi"] = token
    plane.join()
    hello = {"protocol": 1, "agent_version": "1", "boot_id": "b", "describe": {}, "nodes": []}
    assert plane.post("gumi", "/agent/hello", hello)["epoch"] == 1
    assert [s["id"] for s in plane.get("alice", "/sites")["items"]] == ["gumi", "pohang"]
    shown = plane.get("alice", "/sites/pohang")
    assert shown["reachable"] is True and shown["use"]["cores_milli"] == 4000
    assert plane.post("operator", "/sites/pohang/drain")["drained"] is True
    assert plane.post("operator", "/sites/pohang/undrain")["drained"] is False
    assert plane.post("operator", "/nodes/pohang/n1/drain")["drained"] is True
    assert plane.post("operator", "/nodes/pohang/n1/undrain")["drained"] is False
    assert [n["id"] for n in plane.get("bob", "/nodes", site="pohang")["items"]] == ["pohang/n1"]


def test_what_a_site_may_draw_is_set_for_a_while_shown_to_all_and_lifted(plane: ApiPlane) -> None:
    since = plane.post("admin", "/sites/pohang/power", {"watts": 60_000})["power"][0]["from_ms"]
    day = {"watts": 40_000, "starts": "2030-01-01", "ends": "2030-01-01"}
    answer = plane.post("operator", "/sites/pohang/power", day)
    later = [(1_893_423_600_000, 40_000), (1_893_510_000_000, 60_000)]  # midnight in Korea, and the next
    for shown in (answer, plane.get("alice", "/sites/pohang"), *plane.get("alice", "/sites")["items"]):
        assert [(s["from_ms"], s["watts"]) for s in shown["power"]] == [(since, 60_000), *later]
    assert plane.get("alice", "/sites/pohang")["power_watts"] == 60_000
    assert plane.post("operator", "/sites/pohang/power", {"watts": None})["power"] == []
    assert plane.get("alice", "/sites/pohang")["power_watts"] == -1


@pytest.mark.parametrize(
    ("body", "kind"),
    [({}, "missing_field"), ({"watts": -1}, "bad_field"), ({"watts": "60kW"}, "bad_field"),
     ({"watts": 1, "ends": "2001-01-01"}, "bad_field"), ({"watts": 1, "until": 5}, "unknown_field")],
)  # fmt: skip
def test_a_cap_is_lifted_only_by_who_says_so_and_set_only_in_watts(plane: ApiPlane, body: dict[str, Any], kind: str) -> None:
    plane.post("operator", "/sites/pohang/power", {"watts": 60_000})
    problem(plane.call("operator", "POST", "/sites/pohang/power", body), 422, kind)
    assert plane.get("alice", "/sites/pohang")["power_watts"] == 60_000


def test_maintenance_is_planned_shown_to_all_over_when_its_time_is_and_taken_back(plane: ApiPlane) -> None:
    plane.join()
    hour_ms = 3_600_000
    begin, end = plane.clock.now_ms() + hour_ms, plane.clock.now_ms() + 2 * hour_ms
    said = {"starts": begin, "ends": end, "nodes": ["n1"], "note": "new fans"}
    window = plane.post("operator", "/sites/pohang/maintenance", said)
    assert window == {"id": window["id"], "from_ms": begin, "until_ms": end, "nodes": ["n1"], "note": "new fans"}
    whole = plane.post("operator", "/sites/pohang/maintenance", {"ends": end + hour_ms})
    for shown in (plane.get("alice", "/sites/pohang"), *plane.get("alice", "/sites")["items"]):
        assert shown["maintenance"] == [whole, window]
    problem(plane.call("operator", "POST", "/sites/pohang/maintenance", {**said, "nodes": ["n7"]}), 404, "not_found")
    assert plane.call("operator", "DELETE", f"/sites/pohang/maintenance/{whole['id']}").json() == whole
    problem(plane.call("operator", "DELETE", "/sites/pohang/maintenance/mw_1"), 404, "not_found")
    plane.clock.shift_ms = 2 * hour_ms + 1
    assert plane.get("alice", "/sites/pohang")["maintenance"] == []


def test_operators_stop_and_attest(plane: ApiPlane) -> None:
    workload, attempt, _ = plane.run_one()
    assert plane.post("operator", f"/attempts/{attempt}/stop")["state"] == "stopping"
    refused = problem(plane.call("operator", "POST", f"/attempts/{attempt}/attest-lost"), 409, "site_reachable")
    assert refused["reason"]["facts"] == {"attempt": attempt, "site": "pohang"}
    assert f"dure attempt stop {attempt}" in refused["remedy"]
    problem(plane.call("operator", "POST", f"/attempts/{attempt}/attest-lost", {"forced": True}), 422, "unknown_field")
    assert plane.post("operator", f"/attempts/{attempt}/attest-lost", {"force": True})["outcome"] == "lost"
    assert plane.post("operator", f"/attempts/{attempt}/attest-lost")["outcome"] == "lost"
    assert plane.get("alice", f"/workloads/{workload}")["state"] == "waiting"


def test_an_attempt_attested_lost_that_lives_is_shown_and_stopped(plane: ApiPlane) -> None:
    workload, attempt, epoch = plane.run_one()
    plane.post("operator", f"/attempts/{attempt}/attest-lost", {"force": True})
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    assert (order["verb"], order["attempt"]) == ("stop", attempt)
    (row,) = plane.get("operator", "/sites/pohang")["quarantined"]
    assert (row["id"], row["stopping"], row["resolved"]) == (attempt, True, "attested"), "it holds its place"
    assert plane.post("operator", f"/quarantine/{attempt}/stop") == row
    plane.report(epoch, attempt, order["epoch"], workload, "running", evidence={"run_ms": 7000})
    (row,) = plane.get("operator", "/sites/pohang")["quarantined"]
    assert (row["id"], row["workload"], row["stopping"], row["resolved"]) == (attempt, workload, True, "")
    assert plane.get("operator", "/quarantine")["items"] == [row]
    plane.report(epoch, attempt, order["epoch"], workload, "ended", outcome="cancelled", evidence={"run_ms": 9000})
    (row,) = plane.get("operator", "/quarantine")["items"]
    assert (row["resolved"], row["stopping"], row["observation"]["unbilled_ms"]) == ("ended", False, 9000)
    assert plane.get("operator", "/sites/pohang")["quarantined"] == []
    assert plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"] == []


def test_the_place_of_one_that_is_gone_for_good_is_freed_by_force(plane: ApiPlane) -> None:
    _, attempt, _ = plane.run_one()
    plane.post("operator", f"/attempts/{attempt}/attest-lost", {"force": True})
    assert plane.get("operator", "/sites/pohang")["use"]["attempts"] == 1
    problem(plane.call("operator", "POST", f"/quarantine/{attempt}/dismiss", {}), 409, "still_runs")
    freed = plane.post("operator", f"/quarantine/{attempt}/dismiss", {"force": True})
    assert (freed["resolved"], freed["stopping"]) == ("dismissed", True)
    site = plane.get("operator", "/sites/pohang")
    assert (site["quarantined"], site["use"]["attempts"]) == ([], 0)


def test_a_site_shows_a_tenant_only_its_own_attempts(plane: ApiPlane) -> None:
    _, attempt, _ = plane.run_one()
    assert [a["id"] for a in plane.get("alice", "/sites/pohang")["attempts"]] == [attempt]
    assert plane.get("bob", "/sites/pohang")["attempts"] == []


def test_unknown_attempts_are_quarantined_and_dismissed(plane: ApiPlane) -> None:
    epoch = plane.join()
    plane.report(epoch, "at_ghost", 1, "wl_ghost", "running")
    (ghost,) = plane.get("operator", "/quarantine")["items"]
    assert ghost["id"] == "at_ghost"
    assert plane.get("alice", "/quarantine")["items"] == []
    refused = plane.call("operator", "POST", "/quarantine/at_ghost/dismiss", {})
    assert (refused.status_code, refused.json()["reason"]["kind"]) == (409, "still_runs")
    assert [q["id"] for q in plane.get("operator", "/sites/pohang")["quarantined"]] == ["at_ghost"]
    assert plane.get("alice", "/sites/pohang")["quarantined"] == []
    assert plane.post("operator", "/quarantine/at_ghost/stop")["stopping"] is True
    assert plane.post("operator", "/quarantine/at_ghost/dismiss", {"force": True})["resolved"] == "dismissed"


def test_the_policy_is_replaced_as_a_whole(plane: ApiPlane) -> None:
    first = plane.get("alice", "/policy")
    assert first["version"] == 1
    whole = {"classes": first["classes"], "prices": [{"resource": "core", "nano": 7}]}
    written = plane.call("admin", "PUT", "/policy", {**whole, "min_run_ms": 5000})
    assert written.json()["version"] == 2
    assert plane.get("alice", "/policy")["prices"] == [{"resource": "core", "nano": 7, "currency": "KRW"}]
    problem(plane.call("alice", "PUT", "/policy", whole), 403, "not_allowed")
    wrong = plane.call("admin", "PUT", "/policy", {**whole, "limit_ms_default": 5000, "limit_ms_max": 4000})
    problem(wrong, 422, "bad_field")


def test_the_farm_is_drained_and_opened(plane: ApiPlane) -> None:
    assert plane.post("operator", "/farm/drain")["draining"] is True
    assert plane.get("alice", "/farm")["draining"] is True
    assert plane.post("operator", "/farm/undrain")["draining"] is False
    plane.submit(array=3)
    assert plane.get("alice", "/farm")["workloads"]["waiting"] == 3


def test_events_are_paged_by_number_and_the_chain_holds(plane: ApiPlane) -> None:
    plane.controller.step()
    plane.submit()
    plane.controller.step()
    first = plane.get("auditor", "/events", limit=3)
    assert [e["seq"] for e in first["items"]] == [1, 2, 3] and first["next"] == "3"
    rest = plane.get("auditor", "/events", after=3, limit=500)
    assert rest["items"][0]["seq"] == 4 and rest["next"] == ""
    mine = plane.get("alice", "/events", limit=500)["items"]
    assert mine and {e["project"] for e in mine} == {"alpha"}
    assert plane.get("auditor", "/audit/verify")["ok"] is True
    assert plane.get("alice", "/audit/head")["seq"] > 0


def test_an_agent_of_an_earlier_session_is_refused(plane: ApiPlane) -> None:
    old, new = plane.join(), plane.join()
    assert new == old + 1
    piece = {"attempt": "a", "worker": 0, "offset": 0, "data": base64.b64encode(b"x").decode()}
    for path, words in (("poll", {}), ("report", {}), ("logs", piece)):
        problem(plane.call("agent", "POST", f"/agent/{path}", {"epoch": old, **words}), 409, "epoch_stale")


def test_an_agent_ignores_nothing_that_matters_but_may_say_more_than_is_known(plane: ApiPlane) -> None:
    epoch = plane.join()
    assert plane.post("agent", "/agent/poll", {"epoch": epoch, "mood": "fine"})["orders"] == []
    problem(plane.call("agent", "POST", "/agent/poll", {"epoch": "1"}), 422, "bad_field")
    problem(plane.call("agent", "POST", "/agent/poll", {}), 422, "missing_field")
    hello = {"protocol": 99, "agent_version": "1", "boot_id": "b", "describe": {}, "nodes": []}
    problem(plane.call("agent", "POST", "/agent/hello", hello), 426, "protocol_unsupported")
    problem(plane.call("agent", "POST", "/agent/hello", {**hello, "nodes": [{"cores_milli": -1}]}), 422, "missing_field")


def test_no_log_is_read_that_was_never_written(plane: ApiPlane) -> None:
    workload = plane.submit()["ids"][0]
    stream = plane.call("alice", "GET", f"/workloads/{workload}/logs")
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert 'event: end\ndata: {"attempt":"","offset":0}' in stream.text
    problem(plane.call("operator", "GET", f"/workloads/{workload}/logs"), 403, "not_allowed")
    problem(plane.call("alice", "GET", f"/workloads/{workload}/logs", params={"attempt": "at_1"}), 404, "not_found")


def test_who_is_kept_back_from_a_broken_plan_is_named_to_those_who_may_know(
    plane: ApiPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = plane.submit()["ids"][0]
    assert plane.get("admin", "/farm")["controller"]["kept_back"] == []
    monkeypatch.setattr(type(plane.controller), "kept_back", property(lambda _: (id,)))
    told = {who: plane.get(who, "/farm")["controller"] for who in ("admin", "alice", "bob")}
    assert {who: (row["kept_back"], row["kept_back_count"]) for who, row in told.items()} == {
        "admin": ([id], 1), "alice": ([id], 1), "bob": (["…"], 1)
    }  # fmt: skip
