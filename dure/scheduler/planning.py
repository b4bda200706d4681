"""The plan: every waiting workload in its turn is started, or started as a claim behind victims, or promised a moment, or told
why it waits; and what a plan, once made or while it is, says to a workload that asks for something else."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from dure.model.reason import ReasonKind
from dure.scheduler.funds import KRW
from dure.scheduler.kernels.barred import barred, limits, open_to, over_quota
from dure.scheduler.kernels.board import KEPT, PROMISES
from dure.scheduler.kernels.cycle import run
from dure.scheduler.kernels.moves import PLACES
from dure.scheduler.kernels.purse import payable, unpaid
from dure.scheduler.kernels.short import Stocks, blocked, by_time, merged_stocks
from dure.scheduler.kernels.standing import Demands, Models, somewhere
from dure.scheduler.kernels.state import (
    ALTERNATIVE,
    CLAIMED,
    MORE_ROOM,
    OVER,
    ROW,
    SITE,
    STARTED,
    STARTS,
    TRIED,
    VICTIMS,
    WAITS,
    WORKERS,
    Cycle,
    in_time,
)
from dure.scheduler.kernels.verdicts import FIRST, verdicts
from dure.scheduler.kernels.waits import FACTS, TURN
from dure.scheduler.kernels.waits import STARTS as STARTS_NOW
from dure.scheduler.plan import WAIT_CODE, Plan
from dure.scheduler.snapshot import DEPENDENCY_MET, I32, Bool, Snapshot
from dure.scheduler.tables import cycle_of, larger, measured, node_models, purse_of, question

Pace = Callable[[], None]
PACE_EVERY = 4096  # turns: some milliseconds
ALL = 1 << 40  # turns

Verdict = tuple[int, tuple[int, ...]]  # wait code and its facts


def at_once() -> None:
    """The pace of a plan that nothing is more urgent than."""


class Chance(Enum):
    """What a workload would get if it were its turn."""

    WAITS = WAITS
    STARTS = STARTED
    CLAIMS = CLAIMED  # it would start behind victims


def plan(snapshot: Snapshot, *, reasons: bool = True) -> Plan:
    """Decide about every waiting workload. Pure: the same snapshot gives the same plan, byte for byte. Without reasons, who waits
    is told its turn."""
    planning = Planning(snapshot)
    planning.run()
    return planning.plan(reasons=reasons)


class Planning:
    """The state of one plan while it is made and afterwards.

    pace: called again and again meanwhile, so that a question can let something more urgent go first; it changes nothing.
    also: a row that gets a turn whatever keeps it from one."""

    def __init__(self, s: Snapshot, pace: Pace = at_once, also: int = -1) -> None:
        pace()
        self.s, self._pace = s, pace
        self.cycle = cycle_of(s, also)

    # -- deciding -------------------------------------------------------------------------------------------------------

    def run(self, before: int = -1) -> bool:
        """Give everybody their turn, or stop when it is that of row `before`; whether it came to that."""
        at_most = ALL if self._pace is at_once else PACE_EVERY
        while (came := self._run(before, at_most)) != OVER:
            if came != MORE_ROOM and self.cycle.found.used[ROW] == before:
                return True
            self._pace()
        return False

    def turn(self) -> None:
        """Give it to the row before which `run` has stopped."""
        came = MORE_ROOM
        while came == MORE_ROOM:
            came = self._run(-1, 1)

    def _run(self, before: int, at_most: int) -> int:
        came = run(measured(self.cycle), before, at_most)
        if came == MORE_ROOM:
            row = int(self.cycle.found.used[ROW])
            self.cycle = larger(self.cycle, int(self.cycle.demands.each.most[self.cycle.queue.klass[row]]))
        return came

    def site(self, row: int) -> str:
        """Where a row of its own got a place; "" nowhere."""
        start = self._start_of(row)
        return "" if start < 0 else self.s.sites.ids[self.cycle.found.starts.site[start]]

    def _start_of(self, row: int) -> int:
        starts = self.cycle.found.starts.row[: self.cycle.found.used[STARTS]]
        return int(np.flatnonzero(starts == row)[0]) if self.cycle.found.each.state[row] == STARTED else -1

    def chance(self, row: int) -> Chance:
        """What a row of its own got."""
        found, start = self.cycle.found, self._start_of(row)
        if start < 0:
            return Chance.WAITS
        return Chance.CLAIMS if found.starts.victim[start + 1] > found.starts.victim[start] else Chance.STARTS

    def ahead(self, row: int) -> int:
        """How many waiting ones had their turn before it; -1: it had none, or only one behind the bound on tries."""
        ahead = int(self.cycle.found.each.ahead[row])
        return ahead if ahead < self.cycle.found.used[TRIED] else -1

    def plan(self, *, reasons: bool = True) -> Plan:
        """The columns of what was decided, once everybody had their turn."""
        s, found, used, promises = self.s, self.cycle.found, self.cycle.found.used, self.cycle.board.promises
        board, starts, made = self.cycle.board, int(used[STARTS]), int(self.cycle.board.used[PROMISES])
        if reasons:
            code, facts = verdicts(self.cycle, s.pending.dependency == DEPENDENCY_MET, s.pending.eligible_ms, s.draining)
        else:
            code = np.where(found.each.state == STARTED, STARTS_NOW, TURN).astype(np.int32)
            facts = np.zeros((len(code), FACTS), np.int64)
        seats, kept = board.seats, int(board.used[KEPT])
        workers = seats.workers[:kept]
        promised = np.bincount(seats.promise[:kept], weights=workers, minlength=made)
        return Plan(
            start_pending=found.starts.row[:starts].copy(),
            start_alternative=found.starts.alt[:starts].copy(),
            start_site=found.starts.site[:starts].copy(),
            start_currency=found.starts.currency[:starts].copy(),
            start_worker_ptr=found.starts.worker[: starts + 1].astype(np.int32),
            start_node=found.workers.node[: used[WORKERS]].copy(),
            start_mask=found.workers.mask[: used[WORKERS]].copy(),
            start_victim_ptr=found.starts.victim[: starts + 1].astype(np.int32),
            victim_attempt=found.victim[: used[VICTIMS]].copy(),
            start_reclaims=found.starts.reclaims[:starts].copy(),
            reserve_pending=promises.pending[:made].copy(),
            reserve_ms=promises.at[:made].copy(),
            reserve_site=found.promised[:made, SITE].astype(np.int32),
            reserve_alternative=(s.pending.alt_ptr[promises.pending[:made]] + found.promised[:made, ALTERNATIVE]).astype(
                np.int32
            ),
            wait_code=code,
            wait_facts=facts,
            reserve_worker_ptr=np.concatenate([[0], np.cumsum(promised)]).astype(np.int32),
            reserve_node=np.repeat(seats.node[:kept], workers),
            reserve_mask=np.repeat(seats.mask[:kept], workers),
            **self._places(found.victim[: used[VICTIMS]]),
        )

    def _places(self, victims: I32) -> dict[str, Any]:
        """Where victims go on that are moved."""
        moves = self.cycle.moves
        if not len(moves.movers):
            return {"victim_place_ptr": np.zeros(len(victims) + 1, np.int32)}
        used = int(moves.used[PLACES])
        return {
            "victim_place_ptr": np.concatenate([[0], np.cumsum(moves.movers.workers[victims])]).astype(np.int32),
            "place_node": moves.places.node[:used].copy(),
            "place_mask": moves.places.mask[:used].copy(),
        }

    # -- asking ---------------------------------------------------------------------------------------------------------

    def about(self, own: Snapshot) -> Question:
        """What the state says to the workload that waits in row 0 of `own`, whose farm and shares are those of this plan. So are
        its awards; or others, as long as nobody had a turn. Nothing is changed by asking."""
        cycle = question(self.cycle, own, self.models)
        if own.awards is not self.s.awards:
            cycle = cycle._replace(purse=purse_of(own))
        return Question(self, cycle)

    @cached_property
    def models(self) -> Models:
        """The nodes, alike ones together."""
        return node_models(self.s)

    @cached_property
    def stocks(self) -> Stocks:
        """What is free now on the nodes in use, once everybody had their turn, and what they were built with."""
        return merged_stocks(self.cycle.board)


class Question:
    """One workload and the state of a plan."""

    def __init__(self, planning: Planning, cycle: Cycle) -> None:
        self._planning, self.cycle = planning, cycle
        self.project = int(cycle.queue.project[0])
        self.kinds, self.holds = cycle.demands.kind, cycle.queue.hold
        self.sites: Bool = cycle.standings.sites  # where it could run on an empty farm; shape (alternatives, sites)

    @property
    def standing(self) -> Verdict | None:
        """Why it can start nowhere, whatever else runs; None where it could."""
        code = int(self.cycle.standings.code[0])
        return None if code == TURN else (code, tuple(self.cycle.standings.facts[0].tolist()))

    @cached_property
    def chance(self) -> Chance:
        """What it would get if it were its turn now."""
        if self.standing is not None:
            return Chance.WAITS
        run(self.cycle, -1, 1)
        return Chance(int(self.cycle.found.each.state[0]))

    def payable(self, sites: Bool) -> Bool:
        """At which of these it could pay."""
        found = np.zeros(sites.shape, np.bool_)
        payable(self.cycle.purse, self.cycle.rules.order, self.project, self.kinds, self.holds, sites, found)
        return found

    def unpaid(self, sites: Bool) -> Verdict:
        """What money is missing where it can pay at none of these."""
        facts = np.zeros(FACTS, np.int64)
        code = unpaid(self.cycle.purse, self.project, self.kinds, self.holds, sites, facts)
        return int(code), tuple(facts.tolist())

    def blocked(self, sites: Bool, demands: Demands | None = None, c: int = 0) -> Verdict:
        """What keeps it from starting at these sites, if it can pay: that it would be over too late, too little room, a promise,
        maintenance, power, or only its turn.

        demands, c: another class of the same demand."""
        cycle, board, facts = self.cycle, self.cycle.board, np.zeros(FACTS, np.int64)
        there = np.zeros(sites.shape, np.bool_)
        if not in_time(cycle.queue, 0, board.now, sites, there) and sites.any():
            return self._too_late
        sites = there
        own, end, more = demands or cycle.demands, board.now + int(cycle.queue.limit[0]), cycle.queue.more
        code = blocked(
            board, by_time(board), self._planning.stocks, cycle.low, cycle.high, own, c, sites, end, more, facts
        )  # fmt: skip
        if code == TURN:
            code = barred(board, cycle.power, cycle.low, cycle.high, own, c, sites, end, more, facts)
        return int(code), tuple(facts.tolist())

    @property
    def late(self) -> Verdict | None:
        """That it could not be over by its deadline any more."""
        return self._too_late if int(self.cycle.queue.latest[0]) < self.cycle.board.now else None

    @property
    def _too_late(self) -> Verdict:
        latest, limit = int(self.cycle.queue.latest[0]), int(self.cycle.queue.shortest[0])
        return WAIT_CODE[ReasonKind.TOO_LATE], (latest + limit, limit)

    def beyond(self, sites: Bool) -> Verdict | None:
        """What of its project's quotas keeps it from these sites."""
        facts = np.zeros(FACTS, np.int64)
        if not limits(self.cycle.quota):
            return None
        quota, leaf = self.cycle.quota, int(self.cycle.queue.leaf[0])
        openings = np.zeros((2, quota.used.shape[1]), np.int64)
        open_to(quota, openings, leaf)
        code = over_quota(openings, self.cycle.demands, 0, somewhere(sites), FIRST, facts)
        return None if code == TURN else (int(code), tuple(facts.tolist()))

    def gaps(self) -> list[int]:
        """Amounts of won that are missing, smallest first, for one alternative and site or another."""
        purse, found = self.cycle.purse, set()
        row = int(purse.row[self.project])
        for alt, sites in enumerate(self.sites):
            held = purse.held[row, KRW, self.kinds[alt]] if row >= 0 else np.zeros(len(sites), np.int64)
            missing = self.holds[alt, KRW] - held[sites]
            found.update(missing[missing > 0].tolist())
        return sorted(found)


def not_yet(s: Snapshot, row: int) -> Verdict | None:
    """What has to pass before the workload takes part at all."""
    if s.pending.dependency[row] != DEPENDENCY_MET:
        return WAIT_CODE[ReasonKind.WAITS_DEPENDENCY], ()
    if s.pending.eligible_ms[row] > s.now_ms:
        return WAIT_CODE[ReasonKind.WAITS_PAUSE], (int(s.pending.eligible_ms[row]),)
    if s.draining:
        return WAIT_CODE[ReasonKind.WAITS_DRAINING], ()
    return None
