"""An attempt that still runs says what it has used until now, and one that has ended only what its evidence shows."""

from __future__ import annotations

from typing import Any

from tests.builders.api_plane import ApiPlane

MINUTE_MS = 60_000


def only_try(plane: ApiPlane, workload: str) -> Any:
    (attempt,) = plane.get("alice", f"/workloads/{workload}/attempts")["items"]
    return attempt


def run_with_watts(plane: ApiPlane) -> str:
    """A job that runs at pohang, on a node of which is known what its cores draw."""
    node = {"name": "n1", "cores_milli": 4000, "memory_mib": 8192, "core_mw": 10_000}
    hello = {"protocol": 1, "agent_version": "1", "boot_id": "b", "describe": {"name": "fake"}, "nodes": [node]}
    epoch = plane.post("agent", "/agent/hello", hello)["epoch"]
    plane.controller.step()
    workload = plane.submit()["ids"][0]
    plane.controller.step()
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    plane.report(epoch, order["attempt"], order["epoch"], workload, "running")
    return str(workload)


def test_a_running_attempt_tells_run_time_and_energy_so_far(plane: ApiPlane) -> None:
    workload = run_with_watts(plane)
    plane.clock.shift_ms += MINUTE_MS
    first = only_try(plane, workload)["so_far"]
    assert MINUTE_MS <= first["run_ms"] < 2 * MINUTE_MS
    assert first["energy_basis"] == "modelled" and first["energy_mwh"] > 0
    plane.clock.shift_ms += MINUTE_MS
    later = only_try(plane, workload)
    assert later["so_far"]["run_ms"] >= first["run_ms"] + MINUTE_MS
    assert later["so_far"]["energy_mwh"] > first["energy_mwh"]
    assert later["evidence"]["run_ms"] == later["energy_mwh"] == later["settled"] == 0  # nothing is billed on it


def test_it_never_tells_more_than_limit_and_grace_allow(plane: ApiPlane) -> None:
    """As of a site that has not been heard of for a day."""
    workload, _, _ = plane.run_one()
    plane.clock.shift_ms += 24 * 60 * MINUTE_MS
    told = only_try(plane, workload)
    grace_ms = plane.get("alice", f"/workloads/{workload}")["spec"]["grace_ms"]
    assert told["so_far"]["run_ms"] == told["limit_ms"] + grace_ms


def test_what_has_not_begun_or_has_ended_tells_nothing_so_far(plane: ApiPlane) -> None:
    epoch = plane.join()
    plane.controller.step()
    workload = plane.submit()["ids"][0]
    plane.controller.step()
    assert only_try(plane, workload)["so_far"] is None
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    evidence = {"run_ms": 5000, "exit_code": 0}
    plane.report(epoch, order["attempt"], order["epoch"], workload, "ended", outcome="succeeded", evidence=evidence)
    ended = only_try(plane, workload)
    assert ended["so_far"] is None and ended["evidence"]["run_ms"] == 5000
