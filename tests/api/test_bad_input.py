"""Everything that can be wrong with a request gets a clear 4xx with a Reason, and changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dure.errors import StoreError, StoreUnavailable
from dure.model.event import Event
from tests.builders.api_plane import JOB, ApiPlane, api_plane, problem

HUGE = 10**400


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiPlane]:
    with api_plane(tmp_path_factory.mktemp("bad")) as plane:
        yield plane


@pytest.fixture
def unchanged(shared: ApiPlane) -> Iterator[ApiPlane]:
    """The plane, which must hold the same number of events afterwards."""
    before = shared.store.read(lambda reader: reader.count(Event))
    yield shared
    assert shared.store.read(lambda reader: reader.count(Event)) == before


WRONG_JOBS: list[tuple[dict[str, Any], str, str, str]] = [
    # what is changed about a good job, reason, field, problem
    ({"colour": "red"}, "unknown_field", "colour", ""),
    ({"resources": {"gpus": 1}}, "unknown_field", "resources.gpus", ""),
    ({"code": "."}, "bad_field", "code", "not_over_the_api"),
    ({"name": None}, "bad_field", "name", "wrong_type"),
    ({"name": "Steel Faults"}, "bad_field", "name", "bad_format"),
    ({"name": "x" * 64}, "bad_field", "name", "bad_format"),
    ({"command": []}, "bad_field", "command", "too_short"),
    ({"command": ""}, "bad_field", "command", "too_short"),
    ({"command": "echo 'open"}, "bad_field", "command", "bad_format"),
    ({"command": [1]}, "bad_field", "command.0", "wrong_type"),
    ({"command": ["x" * 140_000]}, "bad_field", "command", "too_large"),
    ({"version": 2}, "bad_field", "version", "unknown_value"),
    ({"workers": 0}, "bad_field", "workers", "too_small"),
    ({"workers": -1}, "bad_field", "workers", "too_small"),
    ({"workers": 1.5}, "bad_field", "workers", "wrong_type"),
    ({"workers": "2"}, "bad_field", "workers", "wrong_type"),
    ({"workers": True}, "bad_field", "workers", "wrong_type"),
    ({"workers": 10**30}, "bad_field", "workers", "too_large"),
    ({"array": 0}, "bad_field", "array", "too_small"),
    ({"array": 10**9}, "bad_field", "array", "too_large"),
    ({"array": 10_001}, "bad_field", "array", "too_large"),
    ({"limit": 60}, "bad_field", "limit", "bad_format"),
    ({"limit": "-5m"}, "bad_field", "limit", "bad_format"),
    ({"limit": "0s"}, "bad_field", "limit", "too_small"),
    ({"limit": "999ms"}, "bad_field", "limit", "too_small"),
    ({"limit": "999d"}, "bad_field", "limit", "too_large"),
    ({"limit": "300d"}, "bad_field", "limit", "too_large"),
    ({"limit": "1m1h"}, "bad_field", "limit", "bad_format"),
    ({"grace": "11m"}, "bad_field", "grace", "too_large"),
    ({"checkpoint": "25h"}, "bad_field", "checkpoint", "too_large"),
    ({"priority": "vip"}, "bad_field", "priority", "unknown_value"),
    ({"retries": -1}, "bad_field", "retries", "too_small"),
    ({"retries": 11}, "bad_field", "retries", "too_large"),
    ({"preemptible": "yes"}, "bad_field", "preemptible", "wrong_type"),
    ({"sites": ["atlantis"]}, "bad_field", "sites", "unknown_value"),
    ({"env": {"1X": "a"}}, "bad_field", "env.1X", "bad_format"),
    ({"env": {"DURE_TOKEN": "a"}}, "bad_field", "env.DURE_TOKEN", "reserved"),
    ({"env": {"A": 1}}, "bad_field", "env.A", "wrong_type"),
    ({"env": {f"V{i}": "" for i in range(300)}}, "bad_field", "env", "too_many"),
    ({"bundle": "abc"}, "bad_field", "bundle", "bad_format"),
    ({"resources": {"cores": 0}}, "bad_field", "resources.cores", "too_small"),
    ({"resources": {"cores": -1}}, "bad_field", "resources.cores", "too_small"),
    ({"resources": {"cores": 1e9}}, "bad_field", "resources.cores", "too_large"),
    ({"resources": {"cores": 0.0001}}, "bad_field", "resources.cores", "too_small"),
    ({"resources": {"cores": 1.23456}}, "bad_field", "resources.cores", "bad_format"),
    ({"resources": {"cores": "2"}}, "bad_field", "resources.cores", "wrong_type"),
    ({"resources": {"memory": 512}}, "bad_field", "resources.memory", "bad_format"),
    ({"resources": {"memory": "-1GiB"}}, "bad_field", "resources.memory", "bad_format"),
    ({"resources": {"memory": "0MiB"}}, "bad_field", "resources.memory", "too_small"),
    ({"resources": {"memory": "99999TiB"}}, "bad_field", "resources.memory", "too_large"),
    ({"resources": {"devices": 65}}, "bad_field", "resources.devices", "too_large"),
    ({"resources": {"accelerators": ["h100"]}}, "bad_field", "resources.accelerators", "contradiction"),
    ({"resources": {"devices": 1, "accelerators": ["abacus"]}}, "bad_field", "resources.accelerators", "unknown_value"),
    ({"resources": []}, "bad_field", "resources", "wrong_type"),
    ({"depends_on": ["no-such"]}, "not_found", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "kind", "field", "code"), WRONG_JOBS, ids=lambda v: str(v)[:40])
def test_a_wrong_job_is_refused_by_the_name_of_its_field(
    unchanged: ApiPlane, wrong: dict[str, Any], kind: str, field: str, code: str
) -> None:
    for path in ("/workloads", "/quotes"):
        response = unchanged.call("alice", "POST", path, {"project": "alpha", "job": {**JOB, **wrong}})
        facts = problem(response, 404 if kind == "not_found" else 422, kind)["reason"]["facts"]
        assert (facts.get("field", ""), facts.get("problem", "")) == (field, code)


def test_an_unknown_field_comes_with_the_known_ones(unchanged: ApiPlane) -> None:
    refused = unchanged.call("alice", "POST", "/workloads", {"project": "alpha", "job": {**JOB, "comand": "x"}})
    assert "command" in problem(refused, 422, "unknown_field")["reason"]["facts"]["known"]
    refused = unchanged.call("alice", "POST", "/workloads", {"project": "alpha", "job": dict(JOB), "arrray": 3})
    assert problem(refused, 422, "unknown_field")["reason"]["facts"]["known"] == ["array", "job", "project"]


def test_every_fault_is_told_at_once(unchanged: ApiPlane) -> None:
    job = {"name": "A", "workers": -1, "limit": "soon"}
    document = problem(unchanged.call("alice", "POST", "/workloads", {"project": "alpha", "job": job}), 422, "bad_field")
    assert {r["facts"]["field"] for r in document["reasons"]} == {"name", "workers", "limit", "command"}


RAW: list[tuple[bytes, int, str]] = [
    (b"", 422, "missing_field"),
    (b"{", 400, "body_not_json"),
    (b"nonsense", 400, "body_not_json"),
    (b"\xff\xfe", 400, "body_not_json"),
    (b'{"project":"alpha","project":"beta","job":{}}', 400, "body_not_json"),
    (b'{"project":"alpha","job":{"name":"a","name":"b"}}', 400, "body_not_json"),
    (b'{"project":NaN}', 400, "body_not_json"),
    (b'{"project":"alpha","job":{"resources":{"cores":Infinity}}}', 400, "body_not_json"),
    (b"[" * 100_000, 400, "body_not_json"),
    (b'{"a":' * 50 + b"1" + b"}" * 50, 400, "body_not_json"),
    (b'{"project":"\\ud800"}', 400, "body_not_json"),
    (b'{"project":"alpha\\u0000"}', 400, "body_not_json"),
    (b'{"project":' + b"9" * 5000 + b"}", 400, "body_not_json"),
    (b"[]", 422, "bad_field"),
    (b'"text"', 422, "bad_field"),
    (b"null", 422, "bad_field"),
    (b"{}", 422, "missing_field"),
    (b'{"project":"alpha","job":"x"}', 422, "bad_field"),
    (b'{"project":"' + b"x" * (1 << 20) + b'"}', 413, "body_too_large"),
]


@pytest.mark.parametrize(("raw", "status", "kind"), RAW, ids=lambda v: str(v)[:40])
def test_a_body_that_is_not_what_it_should_be_is_refused(unchanged: ApiPlane, raw: bytes, status: int, kind: str) -> None:
    headers = unchanged.headers("alice", content_type="application/json")
    problem(unchanged.http.post("/api/v1/workloads", content=raw, headers=headers), status, kind)


def test_brackets_within_a_string_are_no_depth(unchanged: ApiPlane) -> None:
    job = {**JOB, "command": ["echo", '[{"\\' * 100]}
    assert unchanged.call("alice", "POST", "/quotes", {"project": "alpha", "job": job}).status_code != 400


def test_a_body_is_cut_off_while_it_streams(unchanged: ApiPlane) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    response = unchanged.http.post("/api/v1/workloads", content=endless(), headers=unchanged.headers("alice"))
    problem(response, 413, "body_too_large")
    assert sent < 3 << 20


def test_another_content_type_is_refused(unchanged: ApiPlane) -> None:
    headers = unchanged.headers("alice", content_type="text/plain")
    body = json.dumps({"project": "alpha", "job": dict(JOB)})
    facts = problem(unchanged.http.post("/api/v1/workloads", content=body, headers=headers), 422, "bad_field")["reason"]
    assert facts["facts"]["field"] == "Content-Type"


QUERIES: list[tuple[str, dict[str, str], str, str]] = [
    ("/workloads", {"limit": "0"}, "bad_field", "limit"),
    ("/workloads", {"limit": "501"}, "bad_field", "limit"),
    ("/workloads", {"limit": "many"}, "bad_field", "limit"),
    ("/workloads", {"limit": str(HUGE)}, "bad_field", "limit"),
    ("/workloads", {"state": "happy"}, "bad_field", "state"),
    ("/workloads", {"newest": "maybe"}, "bad_field", "newest"),
    ("/workloads", {"sate": "running"}, "unknown_field", "sate"),
    ("/workloads", {"cursor": "x" * 300}, "bad_field", "cursor"),
    ("/workloads", {"cursor": "\0"}, "bad_field", "cursor"),
    ("/workloads", {"project": "'; drop table"}, "bad_field", "project"),
    ("/events", {"after": "-1"}, "bad_field", "after"),
    ("/events", {"after": str(HUGE)[:200]}, "bad_field", "after"),
]


@pytest.mark.parametrize(("path", "query", "kind", "field"), QUERIES, ids=lambda v: str(v)[:30])
def test_a_wrong_query_is_refused(unchanged: ApiPlane, path: str, query: dict[str, str], kind: str, field: str) -> None:
    document = problem(unchanged.call("admin", "GET", path, params=query), 422, kind)
    assert document["reason"]["facts"]["field"] == field


@pytest.mark.parametrize("id", ["%00", "..", "a%2Fb", "%ED%A0%80", "x" * 500, "'--", "한국", " "])
def test_what_can_be_no_id_is_not_found(unchanged: ApiPlane, id: str) -> None:
    response = unchanged.http.get(f"/api/v1/workloads/{id}", headers=unchanged.headers("admin"))
    assert response.status_code in (200, 404), response.text  # ".." is the list, to an HTTP client
    assert response.status_code == 200 or response.json()["reason"]["kind"] == "not_found"


def test_addresses_and_methods_that_do_not_exist_are_refused_as_problems(unchanged: ApiPlane) -> None:
    problem(unchanged.call("alice", "GET", "/nothing"), 404, "not_found")
    problem(unchanged.http.get("/"), 404, "not_found")
    wrong = unchanged.call("alice", "DELETE", "/workloads")
    assert problem(wrong, 405, "method_not_allowed")["reason"]["facts"]["method"] == "DELETE"


WRITES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("officer", "/organisations", "id", {"id": "UPPER", "name": "x"}),
    ("officer", "/organisations", "kind", {"id": "a", "name": "x", "kind": "gang"}),
    ("officer", "/organisations", "weight", {"id": "a", "name": "x", "weight": 0}),
    ("officer", "/projects", "partners", {"id": "a", "name": "x", "organisation": "uni", "partners": ["p"] * 101}),
    ("officer", "/programmes", "budget", {"id": "a", "name": "x", "budget": -1, "starts": "2026-01-01", "ends": "2027-01-01"}),
    ("officer", "/programmes", "budget", {"id": "a", "name": "x", "budget": 2**53, "starts": "2026-01-01", "ends": "2027-01-01"}),
    ("officer", "/programmes", "budget", {"id": "a", "name": "x", "budget": 1.0, "starts": "2026-01-01", "ends": "2027-01-01"}),
    ("officer", "/programmes", "starts", {"id": "a", "name": "x", "budget": 1, "starts": "2026-02-30", "ends": "2027-01-01"}),
    ("officer", "/programmes", "ends", {"id": "a", "name": "x", "budget": 1, "starts": "2026-01-01", "ends": "2025-01-01"}),
    ("officer", "/programmes", "currency", {"id": "a", "name": "x", "budget": 1, "starts": 0, "ends": 1, "currency": "USD"}),
    ("officer", "/programmes/voucher/funds", "amount", {"amount": 0}),
    ("officer", "/awards", "amount", {"programme": "voucher", "project": "alpha", "amount": "5", "starts": 0, "expires": 1}),
    ("officer", "/awards", "expires", {"programme": "voucher", "project": "alpha", "amount": 5, "starts": 0, "expires": 1}),
    ("admin", "/actors", "email", {"name": "x", "email": "not an address"}),
    ("admin", "/actors", "grants.0.role", {"name": "x", "grants": [{"role": "king"}]}),
    ("admin", "/actors", "scope", {"name": "x", "grants": [{"role": "agent", "scope": "*"}]}),
    ("operator", "/sites", "pue_permille", {"id": "a", "pue_permille": 900}),
    ("operator", "/sites", "region", {"id": "a", "region": "Seoul"}),
]  # fmt: skip


@pytest.mark.parametrize(("who", "path", "field", "body"), WRITES, ids=lambda v: str(v)[:50])
def test_a_wrong_write_is_refused_by_the_name_of_its_field(
    unchanged: ApiPlane, who: str, path: str, field: str, body: dict[str, Any]
) -> None:
    facts = problem(unchanged.call(who, "POST", path, body), 422, "bad_field")["reason"]["facts"]
    assert facts["field"] == field


def test_what_exists_is_not_made_again(unchanged: ApiPlane) -> None:
    problem(unchanged.call("officer", "POST", "/organisations", {"id": "uni", "name": "x"}), 409, "already_exists")
    body = {"id": "alpha", "name": "x", "organisation": "uni"}
    problem(unchanged.call("officer", "POST", "/projects", body), 409, "already_exists")
    problem(unchanged.call("officer", "POST", "/projects", {**body, "id": "new", "organisation": "none"}), 404, "not_found")


def test_refusals_come_in_the_language_that_is_asked_for(unchanged: ApiPlane) -> None:
    def title(languages: str) -> str:
        response: httpx.Response = unchanged.call("alice", "GET", "/nothing", headers={"accept-language": languages})
        return str(response.json()["title"])

    english, korean = title("en"), title("ko")
    assert english != korean
    assert title("") == title("fr, de") == title("en;q=0.9, ko;q=0.8") == english
    assert title("ko-KR,ko;q=0.9,en;q=0.8") == title("fr, ko;q=0.1") == title("en;q=0, ko") == korean


def test_what_breaks_shows_a_reference_and_no_trace(shared: ApiPlane, caplog: pytest.LogCaptureFixture) -> None:
    def broken(id: str, classes: Any = None, **also: Any) -> Any:
        raise RuntimeError("a secret detail")

    shared.controller.why = broken  # type: ignore[method-assign,assignment]
    workload = shared.submit()["ids"][0]
    response = shared.call("alice", "GET", f"/workloads/{workload}/why")
    reference = problem(response, 500, "internal")["reason"]["facts"]["reference"]
    assert "secret" not in response.text
    assert reference in caplog.text and "a secret detail" in caplog.text


def test_a_store_without_room_asks_to_come_back(tmp_path: Path) -> None:
    with api_plane(tmp_path) as plane:

        def full(fn: Any, **_: Any) -> Any:
            raise StoreError("the queue is full")

        plane.store.submit = full  # type: ignore[method-assign]
        response = plane.call("alice", "POST", "/workloads", {"project": "alpha", "job": dict(JOB)})
        problem(response, 503, "plane_busy")
        assert response.headers["retry-after"] == "1"


def test_a_store_that_is_out_of_reach_says_that_it_is_not_known_what_was_done(tmp_path: Path) -> None:
    with api_plane(tmp_path) as plane:

        def gone(fn: Any, **_: Any) -> Any:
            raise StoreUnavailable("the connection was lost during a commit")

        plane.store.submit = gone  # type: ignore[method-assign]
        response = plane.call("alice", "POST", "/workloads", {"project": "alpha", "job": dict(JOB)})
        told = problem(response, 503, "store_unavailable")
        assert "nothing was done" not in told["detail"] and response.headers["retry-after"] == "1"


HINTS: list[tuple[dict[str, Any], str]] = [
    # what is changed about a good job, and what people read of it
    ({"limit": "999999d"}, "limit: too large; at most 14 d."),
    ({"limit": "9" * 30 + "d"}, "limit: too large; at most 14 d."),
    ({"limit": 90}, "for example 90s."),
    ({"grace": "1h"}, "grace: too large; at most 10 min."),
    ({"checkpoint": "9d"}, "checkpoint: too large; at most 1 d."),
    ({"retries": 1000}, "retries: too large; at most 10."),
    ({"resources": {"cores": 1e30}}, "resources.cores: too large; at most 10,000."),
    ({"resources": {"cores": "2"}}, "expected: number, 0.001 to 10,000."),
    ({"resources": {"memory": 512}}, "for example 512MiB."),
    ({"resources": {"memory": "9" * 30 + "GiB"}}, "resources.memory: too large; at most 1024TiB."),
    ({"workers": 2.0}, "workers: wrong type; expected: whole number; for example 2."),
    ({"resources": {"devices": 1, "speeds": {"h100": 0}}}, "resources.speeds.h100: too small; at least 0.001."),
    ({"resources": {"devices": 1, "speeds": {"h100": 101}}}, "resources.speeds.h100: too large; at most 100."),
    ({"resources": {"devices": 1, "speeds": {"h100": 0.1234}}}, "with at most three decimals; for example 0.45."),
    ({"resources": {"devices": 1, "speeds": {"H 100": 1}}}, "resources.speeds.H 100: wrong form; for example a100."),
    ({"resources": {"devices": 1, "speeds": {"h100": 2}}}, "resources.speeds: unknown value h100"),
    ({"workers": 2, "workers_min": 3}, "workers_min: too large; at most 2."),
    ({"workers_min": -1}, "workers_min: too small; at least 0."),
    ({"env": {"A": 1}}, 'env.A: wrong type; expected: text; write it in quotes: "1".'),
    ({"env": {"A": True}}, 'write it in quotes: "true".'),
    ({"env": {"A": None}}, 'write it in quotes: "".'),
    ({"command": ["sleep", 5]}, 'command.1: wrong type; expected: text; write it in quotes: "5".'),
    ({"sites": "pohang"}, "expected: list; for example [pohang]."),
    ({"sites": ["atlantis"]}, "unknown value atlantis; known: pohang."),
    ({"name": "Steel Faults"}, "1 to 63 of a–z, 0–9 and -, beginning with a letter; for example steel-faults."),
    ({"priority": "HIGH"}, "for example high."),
    ({"priority": "vip"}, "unknown value vip; known: background, low, normal, high, urgent."),
    ({"comand": "x"}, "Did you mean command?"),
    ({"dependsOn": []}, "Did you mean depends_on?"),
    ({"gpus": 1}, "Did you mean resources.devices?"),
    ({"timeout": "1h"}, "Did you mean limit?"),
    ({"resources": {"mem": "1GiB"}}, "Did you mean resources.memory?"),
    ({"code": "."}, "upload the archive and name it in bundle."),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "told"), HINTS, ids=lambda v: str(v)[:40])
def test_who_hurries_is_told_how_to_write_it(unchanged: ApiPlane, wrong: dict[str, Any], told: str) -> None:
    refused = unchanged.call("alice", "POST", "/workloads", {"project": "alpha", "job": {**JOB, **wrong}}).json()
    assert told in refused["detail"]
    assert not re.search(r"\{\d+,\d*\}|\[a-z", str(refused)), "nobody is shown a regular expression"


def test_the_known_fields_are_those_of_a_job_file(unchanged: ApiPlane) -> None:
    refused = unchanged.call("alice", "POST", "/workloads", {"project": "alpha", "job": {**JOB, "zzz": 1}})
    known = problem(refused, 422, "unknown_field")["reason"]["facts"]["known"]
    page = (Path(__file__).parents[2] / "docs" / "reference" / "job-file.md").read_text(encoding="utf-8")
    assert set(known) == set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def test_job_files_in_a_list_and_an_array_told_twice_are_refused(unchanged: ApiPlane) -> None:
    problem(unchanged.call("alice", "POST", "/workloads", [{"project": "alpha", "job": dict(JOB)}]), 422, "bad_field")
    problem(unchanged.call("alice", "POST", "/workloads", {"project": "alpha", "job": [dict(JOB)]}), 422, "bad_field")
    twice = {"project": "alpha", "job": {**JOB, "array": 3}, "array": 5}
    facts = problem(unchanged.call("alice", "POST", "/workloads", twice), 422, "bad_field")["reason"]["facts"]
    assert facts == {"field": "array", "problem": "duplicate"}


STEERING = ["a\x1b[2J", "a\nb", "a\u202eb", "a\x7f", "a\u2028b", "   "]


@pytest.mark.parametrize("name", STEERING, ids=repr)
def test_names_that_steer_a_terminal_are_refused(unchanged: ApiPlane, name: str) -> None:
    for who, path, field, body in (
        ("officer", "/organisations", "name", {"id": "new", "name": name}),
        ("officer", "/projects", "name", {"id": "new", "name": name, "organisation": "uni"}),
        ("admin", "/actors", "name", {"name": name}),
        ("operator", "/sites", "name", {"id": "new", "name": name + "x"}),
        ("alice", f"/actors/{unchanged.actors['alice']}/tokens", "label", {"label": name + "x"}),
    ):
        if name.strip() or (field == "name" and path != "/sites"):
            document = problem(unchanged.call(who, "POST", path, body), 422, "bad_field")
            assert document["reason"]["facts"]["field"] == field
            assert not set("\x1b\n\u202e\x7f\u2028") & set(document["detail"])


def test_names_of_every_script_are_taken(shared: ApiPlane) -> None:
    for name in ("포항 제철소", "Ærø 工業", "👩\N{ZERO WIDTH JOINER}🔬"):
        assert shared.call("admin", "POST", "/actors", {"name": name}).status_code == 201


def test_the_type_of_a_problem_leads_to_its_words(unchanged: ApiPlane) -> None:
    refused = problem(unchanged.call("alice", "GET", "/nothing"), 404, "not_found")
    path, _, anchor = refused["type"].partition("#")
    for lang, words in (("en", "Not found"), ("ko", "찾을 수 없음")):
        page = unchanged.http.get(path, headers={"accept-language": lang})
        assert page.status_code == 200 and f"### {anchor}\n\n{words}" in page.text
    page = (Path(__file__).parents[2] / path.lstrip("/")).read_text(encoding="utf-8")
    assert f"\n### {anchor}\n" in page
