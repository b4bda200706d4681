"""What of a plan can be kept when it breaks a rule, which is a fault of this program: the others' work must not wait for that.

Whoever brings the fault about is found by halving: a plan for the first so many that wait passes its check; with one more it
does not. That one is kept back, and if another of its project asked for the same before, all that do; then everybody is planned
again. After a few times all behind the last that passed wait as well, but only for a moment: who was found stays away longer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dure.scheduler.check import check
from dure.scheduler.plan import Plan
from dure.scheduler.planning import plan
from dure.scheduler.snapshot import DEPENDENCY_MET, I64, Bool, Snapshot

FOUND_MAX = 4  # one by one: each takes a plan for every time that the number of those who wait can be halved


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    snapshot: Snapshot  # those kept back pause
    plan: Plan  # passes its check
    kept_back: tuple[int, ...]  # rows of Pending, ascending: who was found to break a plan
    behind: tuple[int, ...]  # likewise: who may not have done anything


def paused(s: Snapshot, rows: I64, until_ms: int) -> Snapshot:
    """The same world, in which these rows are not to start before a moment."""
    eligible = s.pending.eligible_ms.copy()
    eligible[rows] = np.maximum(eligible[rows], until_ms)
    eligible.flags.writeable = False
    return replace(s, pending=replace(s.pending, eligible_ms=eligible))


def salvage(s: Snapshot, until_ms: int, behind_ms: int, decide: Callable[[Snapshot], Plan] = plan) -> Salvaged | None:
    """The most of a plan that passes its check; None: not even a plan for nobody does.

    until_ms, behind_ms: until when who is found pauses, and who is behind. decide: makes a plan, which may be at fault, or
    break."""
    rows = np.flatnonzero((s.pending.dependency == DEPENDENCY_MET) & (s.pending.eligible_ms <= s.now_ms))
    found: list[int] = []
    kept = np.zeros(len(s.pending.ids), np.bool_)

    def tried(count: int) -> Salvaged | None:
        """Of those who might start, only the first so many may."""
        behind = np.setdiff1d(rows[count:], np.flatnonzero(kept))
        world = paused(paused(s, np.flatnonzero(kept), until_ms), behind, behind_ms)
        try:
            made = decide(world)
            if check(world, made):
                return None
        except Exception:  # whatever broke either is what is looked for
            return None
        back = tuple(np.flatnonzero(kept).tolist())
        return Salvaged(snapshot=world, plan=made, kept_back=back, behind=tuple(behind.tolist()))

    best = tried(0)
    for _ in range(FOUND_MAX if best else 0):
        whole = tried(len(rows))
        if whole is not None:
            return whole
        passes, fails = 0, len(rows)
        while fails - passes > 1:
            middle = (passes + fails) // 2
            part = tried(middle)
            best, passes, fails = (part, middle, fails) if part else (best, passes, middle)
        found.append(int(rows[fails - 1]))
        kept |= _to_keep(s, found)
    return best and (tried(len(rows)) or best)


def _to_keep(s: Snapshot, found: list[int]) -> Bool:
    """By row: who was found; and of two that ask for the same for one project, all that do."""
    p = s.pending
    keep: Bool = np.isin(np.arange(len(p.ids)), found)
    alike = [(row, other) for i, row in enumerate(found) for other in found[:i]]
    for row, other in alike:
        if p.shape[row] == p.shape[other] and p.project[row] == p.project[other]:
            keep |= (p.shape == p.shape[row]) & (p.project == p.project[row])
    return keep
