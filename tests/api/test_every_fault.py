"""A job with several faults is told all of them at once: those of form, and those against the rules."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.api_plane import JOB, ApiPlane

WRONG = {"limit": "9999d", "grace": "11m", "checkpoint": "25h", "retries": 11, "priority": "golden", "sites": ["mars"]}
FIELDS = {"limit", "grace", "checkpoint", "retries", "priority", "sites", "array"}


@pytest.mark.parametrize("path", ["/workloads", "/quotes"])
def test_every_bound_that_is_crossed_is_named(plane: ApiPlane, path: str) -> None:
    body = {"project": "alpha", "job": {**JOB, **WRONG}, "array": 10_001}
    answer: dict[str, Any] = plane.call("alice", "POST", path, body).json()
    assert {r["facts"]["field"] for r in answer["reasons"]} == FIELDS
    assert answer["reasons"][0] == answer["reason"] and len(answer["reasons"]) == len(FIELDS)


def test_so_it_is_when_a_job_is_submitted_again(plane: ApiPlane) -> None:
    old = plane.submit()["ids"][0]
    answer = plane.call("alice", "POST", f"/workloads/{old}/resubmit", {"job": {"grace": "11m", "retries": 11}}).json()
    assert {r["facts"]["field"] for r in answer["reasons"]} == {"grace", "retries"}


def test_a_refusal_of_another_kind_stands_alone(plane: ApiPlane) -> None:
    answer = plane.call("alice", "POST", "/workloads", {"project": "alpha", "job": {**JOB, "bundle": "0" * 64}}).json()
    assert [r["kind"] for r in answer["reasons"]] == ["not_found"]
