"""Lists come in pages that neither repeat nor leave out."""

from __future__ import annotations

from typing import Any

from tests.builders.api_plane import ApiPlane


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
