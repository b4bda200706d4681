"""10,000 jobs submitted while half of them are cancelled at random: the books must balance and nothing may be stuck."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import Any

from bench.farm import Farm, furnish, running_farm
from bench.load import poster, submit_many
from bench.results import Result

JOBS = 10_000
CONNECTIONS = 8
SETTLE_S = 1800
SEED = 7


def storm() -> list[Result]:
    """Real processes on the local backend; the farm is asked for proofs at the end."""
    with running_farm(DURE_CORES="4") as farm:
        furnish(farm)
        began = time.monotonic()
        cancelled = _submit_and_cancel(farm)
        states = _wait_until_settled(farm)
        took = time.monotonic() - began
        with farm.client() as client:
            books, audit = client.verify_ledger(), client.verify_audit()
    faults = [str(f) for f in books["findings"][:3]] + ([str(audit["fault"])] if audit["fault"] else [])
    stuck = {s: n for s, n in states.items() if s not in ("succeeded", "cancelled")}
    if faults or stuck or sum(states.values()) != JOBS:
        raise RuntimeError(f"books or jobs are wrong: {faults}, {states}")
    return [
        Result(
            name="storm_jobs_per_second",
            value=round(JOBS / took, 1),
            unit="jobs/s from first submission to last end",
            aim="books balance, nothing stuck",
            against="-",
            method=f"{JOBS} jobs of `true` as real processes, over {CONNECTIONS} connections; {cancelled} cancels at random; "
            f"ended as {dict(states)}; {books['transfers']} transfers on {books['accounts']} accounts verified",
        )
    ]


def _submit_and_cancel(farm: Farm) -> int:
    body: dict[str, Any] = {
        "project": "bench",
        "job": {"name": "storm", "command": ["true"], "resources": {"cores": 0.25, "memory": "64MiB"}, "limit": "1m"},
    }
    chance, cancelled, lock = random.Random(SEED), 0, threading.Lock()
    known: list[str] = []

    def cancel_some(batch: list[str]) -> None:
        nonlocal cancelled
        post = poster(farm.url, farm.token)
        for id in batch:
            status, _ = post(f"/api/v1/workloads/{id}/cancel", b"{}")
            if status not in (200, 409):
                raise RuntimeError(f"cancelling {id} answered {status}")
            with lock:
                cancelled += 1

    threads = []
    for _ in range(10):
        done = submit_many(farm.url, farm.token, body, JOBS // 10, CONNECTIONS)
        if done.refused:
            raise RuntimeError(f"refused: {done.refused[0]}")
        known += [a["ids"][0] for a in done.answers]
        batch = chance.sample(known[-JOBS // 10 :], JOBS // 20)
        threads.append(threading.Thread(target=cancel_some, args=(batch,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return cancelled


def _wait_until_settled(farm: Farm) -> Counter[str]:
    deadline = time.monotonic() + SETTLE_S
    with farm.client() as client:
        while True:
            counts = client.farm()["workloads"]
            live = sum(n for s, n in counts.items() if s in ("waiting", "starting", "running"))
            if live == 0 or time.monotonic() > deadline:
                return Counter({s: n for s, n in counts.items() if n})
            time.sleep(2)
