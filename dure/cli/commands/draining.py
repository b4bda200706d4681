"""Emptying a farm before it stops: nothing new starts, what runs may finish for a while, the rest is preempted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from dure.cli.run import Run
from dure.errors import ApiError
from dure.model.reason import ReasonKind

LOOK_S = 0.2
# After a preemption: the longest grace that a job may ask for (ten minutes) would be too long to hang silently, so this says
# what it waits for and goes on waiting; a site that does not answer is for the operator to attest.
TELL_S = 10.0


@dataclass(frozen=True, slots=True)
class Drained:
    """What had to be stopped. preempted: workloads, refunded by the rule, that wait again; quarantined: attempts."""

    preempted: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()


def drain(run: Run, patience_ms: int) -> Drained:
    """Nothing new starts; whatever runs ends by itself within `patience_ms`, or is stopped."""
    run.client.drain_farm()
    run.note("down.draining")
    live = _wait_idle(run, patience_ms / 1000)
    stopped = [attempt for attempt in live if _stop(run, attempt)]
    while live and (left := _wait_idle(run, TELL_S)):
        run.note("down.waiting", n=len(left))
    return Drained(
        preempted=tuple(sorted(a["workload"] for a in stopped if not _set_aside(a))),
        quarantined=tuple(sorted(a["id"] for a in stopped if _set_aside(a))),
    )


def _stop(run: Run, attempt: dict[str, Any]) -> bool:
    """Whether it still had to be stopped: it may have ended since it was looked at, or is being stopped already."""
    if attempt.get("stopping"):
        return False
    try:
        if _set_aside(attempt):
            run.client.stop_quarantined(attempt["id"])
        else:
            run.client.stop_attempt(attempt["id"])
    except ApiError as refusal:
        if (refusal.problem.get("reason") or {}).get("kind") != ReasonKind.ALREADY_ENDED:
            raise
        return False
    if _set_aside(attempt):
        run.note("down.stopping", id=attempt["id"])
    else:
        run.note("down.preempting", id=attempt["workload"])
    return True


def _set_aside(attempt: dict[str, Any]) -> bool:
    """Whether it is a quarantined one, of which the plane knows nothing but what its site tells."""
    return "resolved" in attempt


def _wait_idle(run: Run, patience_s: float) -> list[dict[str, Any]]:
    """The attempts that still live when patience is over, quarantined ones too; empty as soon as none does."""
    deadline_s = time.monotonic() + patience_s
    while True:
        sites = [run.client.site(site["id"]) for site in run.client.sites()]
        live = [attempt for site in sites for attempt in (*site["attempts"], *site.get("quarantined", ()))]
        if not live or time.monotonic() >= deadline_s:
            return live
        time.sleep(LOOK_S)
