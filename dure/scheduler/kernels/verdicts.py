"""Why each waiting workload waits, once every one had its turn: what its owner can do most about comes first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.barred import AMOUNT, UNKNOWN, barred, limits, open_to, over_quota
from dure.scheduler.kernels.board import PROMISES, Board
from dure.scheduler.kernels.ground import I32, I64, column
from dure.scheduler.kernels.jit import constant, inlined, kernel, wide
from dure.scheduler.kernels.purse import covered, payable, unpaid
from dure.scheduler.kernels.quota import Quota
from dure.scheduler.kernels.short import Stocks, blocked, by_time, delayed, merged_stocks, shortage
from dure.scheduler.kernels.standing import somewhere
from dure.scheduler.kernels.state import CODE, FACT, NEVER, PROMISED, STARTED, Cycle, in_time
from dure.scheduler.kernels.waits import (
    CORES,
    DEPENDENCY,
    DEVICES,
    DRAINING,
    FACTS,
    PAUSE,
    RESERVED,
    SHARES,
    STARTS,
    TOO_LATE,
    TURN,
)  # fmt: skip

Bool = NDArray[np.bool_]

FIRST = constant(0)  # alternative


class Learned(NamedTuple):
    """What holds for many who wait, found out once."""

    order: I64  # promises by time
    least: I64  # what may be held at every site: shape as `Purse.held`, without sites
    code: I64  # by class that can pay wherever it could run: a shortage with its facts, or which promise it would delay first
    facts: I64
    clear: I64  # by class: until when nothing bars it from everywhere
    openings: I64  # by share: what is left of its quotas, see `open_to`; `UNKNOWN` at first
    somewhere: Bool  # by alternative: whether it could run at any site
    sites: Bool  # scratch, shape (alternatives, sites)
    there: Bool  # scratch, by alternative


def verdicts(cycle: Cycle, met: Bool, eligible: I64, draining: bool) -> tuple[I32, I64]:
    """The code of every row and its facts: shape (rows, FACTS). met: dependencies; eligible: moments."""
    rows, classes, resources = len(cycle.queue.klass), len(cycle.demands.sites), cycle.quota.used.shape[1]
    code, facts = np.zeros(rows, np.int32), np.zeros((rows, FACTS), np.int64)
    if (cycle.found.each.state == STARTED).all():  # nobody waits, and nobody asks what is left
        code[:] = STARTS
        return code, facts
    learned = Learned(
        by_time(cycle.board), covered(cycle.purse), np.full(classes, UNKNOWN, np.int64), np.zeros((classes, FACTS), np.int64),
        np.zeros(classes, np.int64), np.full((len(cycle.quota.used), 2, resources), UNKNOWN, np.int64),
        somewhere(cycle.standings.sites), np.zeros(cycle.found.promised_sites.shape[1:], np.bool_),
        np.zeros(cycle.found.promised_sites.shape[1], np.bool_),
    )  # fmt: skip
    _tell(cycle, learned, merged_stocks(cycle.board), met, eligible, draining, code, facts)
    return code, facts


@kernel
def _tell(
    cycle: Cycle, learned: Learned, stocks: Stocks, met: Bool, eligible: I64, draining: bool, code: I32, facts: I64
) -> None:  # fmt: skip
    """Most are kept off by their quota, or by what they ask for: those are told here, and what is handed on is for the few."""
    queue, demands, standings, quota = cycle.queue, cycle.demands, cycle.standings, cycle.quota
    state, now, quotas = cycle.found.each.state, cycle.board.now, limits(quota)
    for row in range(len(queue.klass)):
        c = queue.klass[row]
        if state[row] == STARTED:
            code[row] = STARTS
            continue
        if standings.code[c] != TURN:
            code[row], facts[row, 0], facts[row, 1] = standings.code[c], standings.facts[c, 0], standings.facts[c, 1]
            continue
        if state[row] == PROMISED:
            continue
        everywhere = _pays_everywhere(cycle, learned.least, row)
        in_time = not queue.uneven[row] and queue.latest[row] >= now
        if everywhere and in_time and quotas and met[row] and eligible[row] <= now and not draining:
            leaf = wide(queue.leaf[row])
            _learn_openings(quota, learned.openings, leaf)
            code[row] = over_quota(
                learned.openings[leaf], demands, wide(c), learned.somewhere, demands.each.kind_ptr[c], facts[row]
            )
            if code[row] != TURN:
                continue
        code[row] = _tell_one(cycle, learned, stocks, row, everywhere, met[row], eligible[row], draining, facts[row])
    _tell_promised(cycle, stocks, code, facts)


@kernel
def _tell_one(
    cycle: Cycle, learned: Learned, stocks: Stocks, row: int, everywhere: bool, met: bool, eligible: int, draining: bool,
    told: I64,
) -> int:  # fmt: skip
    """The code of a workload that could run on an empty farm, and was promised nothing. everywhere: whether it can pay so."""
    queue, demands, board = cycle.queue, cycle.demands, cycle.board
    c, own, project = wide(queue.klass[row]), queue.alt_ptr[row], queue.project[row]
    first, last = demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]
    sites, has_site, scratch = cycle.standings.sites[first:last], learned.somewhere[first:last], learned.sites[: last - first]
    if not everywhere:
        kinds, holds = demands.kind[first:last], queue.hold[own : own + last - first]
        if not payable(cycle.purse, cycle.rules.order, project, kinds, holds, sites, scratch):
            return unpaid(cycle.purse, project, kinds, holds, sites, told)
        sites = scratch
    code = _not_yet(met, eligible, board.now, draining, told)
    if queue.uneven[row] and in_time(queue, row, board.now, sites, scratch):
        sites, everywhere = scratch, False  # what is learned is of one limit for all
    elif code == TURN and (queue.uneven[row] or queue.latest[row] < board.now):
        code, told[0], told[1] = TOO_LATE, queue.latest[row] + queue.shortest[row], queue.shortest[row]
    if not everywhere:
        has_site = learned.there[: last - first]
        for alt in range(last - first):
            has_site[alt] = sites[alt].any()
    if code == TURN and limits(cycle.quota):
        leaf = wide(queue.leaf[row])
        _learn_openings(cycle.quota, learned.openings, leaf)
        code = over_quota(learned.openings[leaf], demands, c, has_site, FIRST, told)
    if code != TURN:
        return code
    end, more = board.now + queue.limit[row], queue.more[own : own + last - first]
    if not everywhere:
        code = blocked(board, learned.order, stocks, cycle.low, cycle.high, demands, c, sites, end, more, told)
    else:
        if learned.code[c] == UNKNOWN:
            learned.code[c] = _learn(cycle, learned.order, stocks, c, sites, more, learned.facts[c])
        code = _remembered(board, learned.order, learned.code[c], learned.facts[c], end, told)
    if code == TURN and not (everywhere and end <= learned.clear[c]):
        code = barred(board, cycle.power, cycle.low, cycle.high, demands, c, sites, end, more, told)
        if code == TURN and everywhere:
            learned.clear[c] = end
    if code == TURN:
        told[0] = cycle.found.each.ahead[row]
    return code


@kernel
def _learn_openings(quota: Quota, openings: I64, leaf: int) -> None:
    """What is left of a project's quotas, learned once. openings: those of all."""
    if openings[leaf, AMOUNT, 0] == UNKNOWN:
        open_to(quota, openings[leaf], leaf)


@kernel
def _pays_everywhere(cycle: Cycle, least: I64, row: int) -> bool:
    """Whether every alternative is payable at every site, in one currency or another."""
    queue, demands, c = cycle.queue, cycle.demands, cycle.queue.klass[row]
    purse_row, own, first = cycle.purse.row[queue.project[row]], queue.alt_ptr[row], demands.each.kind_ptr[c]
    for alt in range(demands.each.kind_ptr[c + 1] - first):
        pays = False
        for currency in cycle.rules.order:
            hold = queue.hold[own + alt, currency]
            kind = column(wide(demands.kind[first + alt]), least.shape[2])
            pays = hold == 0 or (hold > 0 and purse_row >= 0 and least[purse_row, currency, kind] >= hold)
            if pays:
                break
        if not pays:
            return False
    return True


@kernel
def _not_yet(met: bool, eligible: int, now: int, draining: bool, told: I64) -> int:
    """What has to pass before a workload takes part at all."""
    if not met:
        return DEPENDENCY
    if eligible > now:
        told[0] = eligible
        return PAUSE
    return DRAINING if draining else TURN


@inlined
def _learn(cycle: Cycle, order: I64, stocks: Stocks, c: int, sites: Bool, more: I64, told: I64) -> int:
    """The code of a shortage; or `TURN`, with the place in `order` of the first promise that a start now would delay."""
    code = shortage(cycle.board, stocks, cycle.low, cycle.high, cycle.demands, c, sites, told)
    if code == TURN:
        told[0] = delayed(cycle.board, order, cycle.low, cycle.high, cycle.demands, c, sites, len(order), NEVER, more)
    return code


@kernel
def _remembered(board: Board, order: I64, code: int, learned: I64, end: int, told: I64) -> int:
    if code != TURN:
        for fact in range(FACTS):
            told[fact] = learned[fact]
        return code
    first = learned[0]
    if first == len(order) or board.promises.at[order[first]] >= end:
        return TURN
    told[0], told[1] = board.promises.pending[order[first]], board.promises.at[order[first]]
    return RESERVED


@kernel
def _tell_promised(cycle: Cycle, stocks: Stocks, code: I32, facts: I64) -> None:
    """Those that were promised a moment are told what kept them at their turn, with the room that the plan leaves in the end."""
    demands, found = cycle.demands, cycle.found
    for made in range(cycle.board.used[PROMISES]):
        row = cycle.board.promises.pending[made]
        c = cycle.queue.klass[row]
        sites = found.promised_sites[made, : demands.each.kind_ptr[c + 1] - demands.each.kind_ptr[c]]
        now = shortage(cycle.board, stocks, cycle.low, cycle.high, demands, c, sites, facts[row])
        code[row] = now
        if not CORES <= now <= DEVICES and now != SHARES:
            code[row] = found.promised[made, CODE]
            for fact in range(FACTS):
                facts[row, fact] = found.promised[made, FACT + fact]
