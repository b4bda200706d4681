"""Who operates a site is told in lists what a single look tells: what is placed there now, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.api_plane import JOB, ApiPlane, problem


@pytest.fixture
def pohang(plane: ApiPlane) -> ApiPlane:
    """With an operator of pohang alone, and one of another site."""
    plane.post("admin", "/sites", {"id": "busan", "name": "Busan"})
    for name, grants in {
        "local": [("operator", "pohang")],
        "far": [("operator", "busan")],
        "both": [("operator", "pohang"), ("member", "beta")],
    }.items():
        body = {"name": name, "grants": [{"role": role, "scope": scope} for role, scope in grants]}
        actor = plane.post("admin", "/actors", body)["id"]
        plane.tokens[name] = plane.post("admin", f"/actors/{actor}/tokens", {"label": name})["token"]
    return plane


def listed(plane: ApiPlane, who: str, **query: Any) -> list[str]:
    return [w["id"] for w in plane.get(who, "/workloads", **query)["items"]]


def test_what_runs_at_a_site_is_listed_to_its_operator_as_a_single_look_shows_it(pohang: ApiPlane) -> None:
    runs, _, _ = pohang.run_one()
    waits = pohang.submit(job={**JOB, "resources": {"cores": 64}})["ids"][0]
    assert pohang.get("local", "/workloads")["items"] == [pohang.get("local", f"/workloads/{runs}")]
    assert listed(pohang, "local", state="running") == [runs] and listed(pohang, "local", state="waiting") == []
    assert listed(pohang, "far") == [] == listed(pohang, "nobody")
    problem(pohang.call("local", "GET", f"/workloads/{waits}"), 404, "not_found")
    problem(pohang.call("local", "GET", "/workloads?project=alpha"), 404, "not_found")


def test_what_has_ended_there_is_listed_no_more(pohang: ApiPlane) -> None:
    workload, attempt, epoch = pohang.run_one()
    pohang.report(epoch, attempt, 1, workload, "ended", outcome="succeeded", evidence={"run_ms": 10, "exit_code": 0})
    assert listed(pohang, "local") == []


@pytest.mark.parametrize("newest", [False, True])
def test_pages_of_what_one_sees_by_site_and_by_project_hold_each_once_and_no_more(pohang: ApiPlane, newest: bool) -> None:
    runs, _, _ = pohang.run_one()
    own = [pohang.submit(who="bob", project="beta")["ids"][0] for _ in range(3)]
    pohang.submit(job={**JOB, "resources": {"cores": 64}})  # waits, and is of alpha
    pohang.controller.step()  # some of beta's are placed there too
    want, seen, cursor = sorted([runs, *own], reverse=newest), [], ""
    while not seen or cursor:
        page = pohang.get("both", "/workloads", limit=2, newest=newest, cursor=cursor)
        seen += [w["id"] for w in page["items"]]
        cursor = page["next"]
    assert seen == want
