"""Postings are told in the order in which they were made, over as many pages as there are."""

from __future__ import annotations

import pytest

from tests.builders.api_plane import ApiPlane


def run_two(plane: ApiPlane) -> None:
    for _ in range(2):
        workload, attempt, epoch = plane.run_one()
        plane.clock.shift_ms += 300_000
        plane.report(epoch, attempt, 1, workload, "ended", outcome="succeeded", evidence={"run_ms": 300_000, "exit_code": 0})
        plane.clock.shift_ms += 60_000


@pytest.mark.parametrize(("who", "query"), [("alice", {"project": "alpha"}), ("auditor", {}), ("officer", {})])
def test_transfers_come_oldest_first_and_each_once(plane: ApiPlane, who: str, query: dict[str, str]) -> None:
    run_two(plane)
    seen, cursor = [], ""
    while not seen or cursor:
        page = plane.get(who, "/transfers", limit=2, cursor=cursor, **query)
        seen += page["items"]
        cursor = page["next"]
    assert [t["kind"] for t in seen if t["workload"]] == ["hold", "settle", "hold", "settle"]
    keys = [(t["at_ms"], t["id"]) for t in seen]
    assert keys == sorted(set(keys))
    assert {t["id"] for t in seen} == {t["id"] for t in plane.get(who, "/transfers", limit=500, **query)["items"]}
