"""Lists come in pages that neither repeat nor leave out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.api_plane import ApiPlane, problem


def walk(plane: ApiPlane, who: str, path: str, limit: int, **query: Any) -> list[str]:
    found: list[str] = []
    cursor = ""
    for _ in range(100):
        page = plane.get(who, path, limit=limit, cursor=cursor, **query)
        assert len(page["items"]) <= limit
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if not cursor:
            return found
    raise AssertionError("pages without end")


def test_every_page_size_gives_the_same_items(plane: ApiPlane) -> None:
    ids = plane.submit(array=7)["ids"]
    for limit in (1, 2, 3, 7, 8, 500):
        assert walk(plane, "alice", "/workloads", limit) == ids
        assert walk(plane, "alice", "/workloads", limit, newest="true") == ids[::-1]


def test_pages_of_every_list_end(plane: ApiPlane) -> None:
    plane.run_one()
    for path in (
        "/organisations", "/projects", "/actors", "/programmes", "/awards", "/transfers", "/accounts", "/sites",
        "/nodes", "/quarantine",
        f"/actors/{plane.actors['admin']}/tokens",
    ):  # fmt: skip
        everything = walk(plane, "admin", path, 500)
        assert walk(plane, "admin", path, 1) == everything == sorted(everything), path
        assert path == "/quarantine" or everything, path


def test_what_is_added_behind_the_cursor_is_still_seen(plane: ApiPlane) -> None:
    first = [plane.submit()["ids"][0] for _ in range(2)]
    page = plane.get("alice", "/workloads", limit=1)
    later = plane.submit()["ids"][0]
    rest = plane.get("alice", "/workloads", limit=10, cursor=page["next"])
    assert [w["id"] for w in page["items"] + rest["items"]] == [*first, later]


def test_a_tenant_pages_through_its_own_events_among_those_of_others(plane: ApiPlane) -> None:
    for _ in range(3):
        plane.submit("bob", "beta")
        mine = plane.submit("alice")["ids"][0]
    plane.controller.step()
    seen: list[str] = []
    after = "0"
    while after:
        page = plane.get("alice", "/events", after=after, limit=1)
        seen += [e["subject"] for e in page["items"]]
        after = page["next"]
    assert mine in seen
    everything = plane.get("auditor", "/events", project="alpha", limit=500)["items"]
    assert [e["subject"] for e in everything] == seen


@pytest.mark.parametrize("cursor", ["zzz", "wl_x", "..", "\xff", "\u202e", "0123456789.", "wl_01M80WND8YFVGDD7MYPQC5TM1Q"])
def test_a_cursor_that_was_never_given_out_is_refused(plane: ApiPlane, cursor: str) -> None:
    for path in ("/workloads", "/projects", "/organisations", "/awards", "/transfers", "/nodes", "/quarantine"):
        refused = plane.call("alice", "GET", path, params={"cursor": cursor})
        assert "filters" in problem(refused, 400, "bad_cursor")["remedy"]


def test_a_cursor_is_good_for_the_list_and_filters_that_it_was_given_for(plane: ApiPlane) -> None:
    ids = plane.submit(array=5)["ids"]
    cursor = plane.get("alice", "/workloads", limit=2)["next"]
    assert [w["id"] for w in plane.get("alice", "/workloads", limit=500, cursor=cursor)["items"]] == ids[2:]
    assert plane.get("alice", "/workloads", cursor=cursor, state="", project="")["items"]  # empty filters are none
    for path, query in (
        ("/workloads", {"state": "waiting"}),
        ("/workloads", {"newest": "true"}),
        ("/projects", {}),
        ("/awards", {}),
    ):
        problem(plane.call("alice", "GET", path, params={"cursor": cursor, **query}), 400, "bad_cursor")


def test_a_filter_that_is_given_twice_is_refused(plane: ApiPlane) -> None:
    refused = plane.call("alice", "GET", "/workloads?state=waiting&state=running")
    assert problem(refused, 422, "bad_field")["reason"]["facts"] == {"field": "state", "problem": "duplicate"}
