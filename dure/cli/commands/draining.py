"""Emptying a farm before it stops: nothing new starts, what runs may finish for a while, the rest is preempted."""

from __future__ import annotations

import time
from typing import Any

from dure.cli.run import Run

LOOK_S = 0.2
# After a preemption: the longest grace that a job may ask for (ten minutes) would be too long to hang silently, so this says
# what it waits for and goes on waiting; a site that does not answer is for the operator to attest.
TELL_S = 10.0


def drain(run: Run, patience_ms: int) -> list[str]:
    """Drain the farm. Returns the workloads that had to be preempted: they are refunded by the rule, and wait again."""
    run.client.drain_farm()
    run.note("down.draining")
    live = _wait_idle(run, patience_ms / 1000)
    for attempt in live:
        if "resolved" in attempt:
            run.note("down.stopping", id=attempt["id"])
            run.client.stop_quarantined(attempt["id"])
        else:
            run.note("down.preempting", id=attempt["workload"])
            run.client.stop_attempt(attempt["id"])
    while live and (left := _wait_idle(run, TELL_S)):
        run.note("down.waiting", n=len(left))
    return sorted(attempt["workload"] for attempt in live if "resolved" not in attempt)


def _wait_idle(run: Run, patience_s: float) -> list[dict[str, Any]]:
    """The attempts that still live when patience is over, quarantined ones too; empty as soon as none does."""
    deadline_s = time.monotonic() + patience_s
    while True:
        sites = [run.client.site(site["id"]) for site in run.client.sites()]
        live = [attempt for site in sites for attempt in (*site["attempts"], *site.get("quarantined", ()))]
        if not live or time.monotonic() >= deadline_s:
            return live
        time.sleep(LOOK_S)
