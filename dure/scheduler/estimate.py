"""When a workload that is promised nothing may start, and what that rests on. An estimate, not a promise: who comes later and has
more right may go first, and nearly everybody is done before its limit.

Where few are ahead, everybody ahead of it is promised a moment, in turn, and then it is (conservative backfill: Mu'alem and
Feitelson, IEEE TPDS 2001): so its moment holds unless somebody comes between. Where more are ahead than that can be done for,
what all of them ask for is poured into the places where it may run itself: none of these could start later than when all
others have had their room there one after the other, were there no gaps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from dure.model.workload import WHOLE_MILLI
from dure.scheduler.attempts import latest_ends, owners
from dure.scheduler.kernels.board import PROMISES
from dure.scheduler.kernels.state import STARTED
from dure.scheduler.order import ranks
from dure.scheduler.planning import Chance, Pace, Planning, Question, at_once
from dure.scheduler.snapshot import DEPENDENCY_MET, FOREVER_MS, I64, Bool, Snapshot, devices_milli

AHEAD_MAX = 256  # as many promises as a conservative plan gives


class EstimateBasis(StrEnum):
    """What an estimated start rests on."""

    TURNS = "turns"  # everybody ahead of it starts at the earliest moment at which it can, and uses its whole limit
    WORK = "work"  # what runs and waits ahead of it, poured into the places where it may run


@dataclass(frozen=True, slots=True)
class Estimate:
    at_ms: int
    basis: EstimateBasis
    ahead: int  # how many waiting ones come before it


def estimate(planning: Planning, asked: Question, row: int, pace: Pace = at_once) -> Estimate | None:
    """For a workload that waits after everybody had their turn, and that only time keeps from starting. planning: in that state;
    asked: about the workload in `row`. None: no moment is known at which it could."""
    sites = asked.payable(asked.sites)
    if asked.standing is not None or asked.late is not None or not sites.any():
        return None
    ahead = ahead_of(planning, row)
    if len(ahead) < AHEAD_MAX:
        return _by_turns(planning.s, row, len(ahead), pace)
    return _by_work(planning, asked, sites, ahead)


def ahead_of(planning: Planning, row: int) -> I64:
    """Rows that still wait and have their turn before it. The plan knows the turns as far as it has come; who had none comes
    behind these, in the order of classes and rows."""
    s, found = planning.s, planning.cycle.found
    turn, waits = found.each.ahead, found.each.state != STARTED
    own, had = planning.ahead(row), turn >= 0
    if own >= 0:
        first = had & (turn < own)
    else:
        place = ranks(s)
        first = had | (place > place[row])
    first &= waits & _takes_part(s)
    first[row] = False
    return np.flatnonzero(first)


def _takes_part(s: Snapshot) -> Bool:
    may: Bool = (s.pending.eligible_ms <= s.now_ms) & (s.pending.dependency == DEPENDENCY_MET)
    return may


def _by_turns(s: Snapshot, row: int, ahead: int, pace: Pace) -> Estimate | None:
    policy = replace(s.policy, reservations_max=ahead + 1, backfill_depth=max(len(s.pending.ids), s.policy.backfill_depth))
    then = Planning(replace(s, policy=policy), pace)
    then.run(before=row)
    then.turn()
    if then.chance(row) is not Chance.WAITS:
        return Estimate(s.now_ms, EstimateBasis.TURNS, ahead)
    board = then.cycle.board
    promised = np.flatnonzero(board.promises.pending[: board.used[PROMISES]] == row)
    if not len(promised):
        return None
    return Estimate(int(board.promises.at[promised[0]]), EstimateBasis.TURNS, ahead)


def _by_work(planning: Planning, asked: Question, sites: Bool, ahead: I64) -> Estimate | None:
    """Goes by devices, or by cores where it wants none. sites: shape (alternatives, sites), where it could pay."""
    s, cycle = planning.s, planning.cycle
    wants = bool(asked.cycle.demands.each.devices[0] or asked.cycle.demands.each.share[0])
    places = np.zeros((len(s.accelerators) + 1, len(s.sites.ids)), np.bool_)
    np.logical_or.at(places, asked.kinds, sites)
    if not wants:
        places[:] = sites.any(axis=0)
    nodes = s.nodes.usable & places[s.nodes.accelerator, s.nodes.site]  # the last row: of nodes without devices
    room = WHOLE_MILLI * np.bitwise_count(s.nodes.device_mask).astype(np.int64) if wants else s.nodes.cores_milli
    total = int(room[nodes].sum())
    if total == 0:
        return None
    overlaps = np.logical_or.reduceat(
        (cycle.standings.sites & places[np.minimum(cycle.demands.kind, len(places) - 1)]).any(axis=1),
        cycle.demands.each.kind_ptr[:-1],
    )
    waiting = ahead[overlaps[cycle.queue.klass[ahead]]]
    p, a, owner = s.pending, s.attempts, owners(s)
    each = WHOLE_MILLI * p.devices + p.share_milli if wants else p.cores_milli
    work = float((each[waiting] * p.workers[waiting] * p.limit_ms[waiting].astype(np.float64)).sum())
    left = np.where(latest_ends(s) < FOREVER_MS, latest_ends(s) - s.now_ms, 0).clip(0).astype(np.float64)
    mine = devices_milli(a) if wants else a.cores_milli[owner]
    work += float((mine * left[owner])[nodes[a.worker_node]].sum())
    return Estimate(s.now_ms + int(min(work / total, float(FOREVER_MS) - s.now_ms)), EstimateBasis.WORK, len(ahead))
