"""What of a plan can be kept when it breaks a rule, which is a fault of this program: the others' work must not wait for that.

Whoever brings the fault about is found by halving: a plan for the first so many that wait passes its check; with one more it
does not. That one is kept back and everybody is planned again, a few times; then all behind the last that passed are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dure.scheduler.check import check
from dure.scheduler.plan import Plan
from dure.scheduler.planning import plan
from dure.scheduler.snapshot import DEPENDENCY_MET, I64, Snapshot

KEPT_BACK_MAX = 3  # found one by one: each takes a plan for every time that the number of those who wait can be halved


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    snapshot: Snapshot  # those kept back pause
    plan: Plan  # passes its check
    kept_back: tuple[int, ...]  # rows of Pending, ascending


def paused(s: Snapshot, rows: I64, until_ms: int) -> Snapshot:
    """The same world, in which these rows are not to start before a moment."""
    eligible = s.pending.eligible_ms.copy()
    eligible[rows] = np.maximum(eligible[rows], until_ms)
    eligible.flags.writeable = False
    return replace(s, pending=replace(s.pending, eligible_ms=eligible))


def salvage(s: Snapshot, until_ms: int, decide: Callable[[Snapshot], Plan] = plan) -> Salvaged | None:
    """The most of a plan that passes its check, those kept back until a moment; None: not even a plan for nobody does.

    decide: makes a plan, which may be at fault, or break."""
    rows = np.flatnonzero((s.pending.dependency == DEPENDENCY_MET) & (s.pending.eligible_ms <= s.now_ms))
    kept: list[int] = []

    def tried(count: int) -> Salvaged | None:
        """Of those who might start, only the first so many may."""
        back = np.unique(np.append(rows[count:], np.array(kept, rows.dtype)))
        world = paused(s, back, until_ms)
        try:
            made = decide(world)
        except Exception:  # whatever broke it is what is looked for
            return None
        return None if check(world, made) else Salvaged(snapshot=world, plan=made, kept_back=tuple(back.tolist()))

    best = tried(0)
    for _ in range(KEPT_BACK_MAX + 1):
        if best is None or (whole := tried(len(rows))) is not None:
            return best and whole
        passes, fails = 0, len(rows)
        while fails - passes > 1:
            middle = (passes + fails) // 2
            found = tried(middle)
            best, passes, fails = (found, middle, fails) if found else (best, passes, middle)
        kept.append(int(rows[fails - 1]))
    return best
