"""On a real farm an elastic gang gets as many workers as there is room for, knows how many they are, and pays for these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dure.ledger import charge_nano, hold_amount
from dure.model.policy import Policy, Price
from tests.demo.farms import eventually, real_farm, set_up

JOB = {
    "name": "elastic", "command": ["sh", "-c", "echo worker $DURE_WORKER of $DURE_WORKERS and $WORLD_SIZE; sleep 0.2"],
    "workers": 4, "workers_min": 1, "limit": "5m", "resources": {"cores": 1, "memory": "64MiB"},
}  # fmt: skip
pytestmark = pytest.mark.timeout(600)


def test_a_gang_of_one_to_four_has_two_workers_where_two_fit(tmp_path: Path) -> None:
    with real_farm(tmp_path, DURE_CORES="2") as farm:
        farm.up()
        with farm.client() as client:
            set_up(client)
            id = str(client.submit("steel", JOB)["ids"][0])
            eventually(lambda: client.workload(id)["state"] == "succeeded", "it succeeds", farm)
            (attempt,) = client.attempts(id)
            said = [b"".join(piece.data for piece in client.logs(id, worker=n)).decode() for n in (0, 1)]
            prices = tuple(Price(**p) for p in client.policy()["prices"])
    assert said == ["worker 0 of 2 and 2\n", "worker 1 of 2 and 2\n"]
    policy, run_ms = Policy(prices=prices), attempt["evidence"]["run_ms"]
    worker: dict[str, Any] = {
        "currency": "KRW", "accelerator": "", "cores_milli": 1000, "memory_mib": 64, "devices": 0, "preemptible": True,
        "priority": "normal",
    }  # fmt: skip
    assert len(attempt["workers"]) == 2 and run_ms > 0
    assert attempt["settled"] * 10**9 + attempt["charge_rest_nano"] == charge_nano(
        policy, workers=2, duration_ms=run_ms, **worker
    )
    whole = hold_amount(policy, workers=4, limit_ms=300_000, grace_ms=10_000, **worker)
    assert whole is not None and attempt["held"] == -(-whole * 2 // 4)
