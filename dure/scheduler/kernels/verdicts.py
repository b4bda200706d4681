"""Why each waiting workload waits, once every one had its turn: what its owner can do most about comes first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.barred import AMOUNT, UNKNOWN, barred, limits, open_to, over_quota
from dure.scheduler.kernels.board import PROMISES, Board
from dure.scheduler.kernels.ground import I32, I64
from dure.scheduler.kernels.jit import inlined, kernel, wide
from dure.scheduler.kernels.purse import covered, payable, unpaid
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
    queue, demands, board, state = cycle.queue, cycle.demands, cycle.board, cycle.found.each.state
    order = learned.order
    for row in range(len(queue.klass)):
        c = queue.klass[row]
        first, last, own = demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1], queue.alt_ptr[row]
        holds, project = queue.hold[own : own + last - first], queue.project[row]
        sites, has_site, told = cycle.standings.sites[first:last], learned.somewhere[first:last], facts[row]
        if state[row] == STARTED:
            code[row] = STARTS
            continue
        if cycle.standings.code[c] != TURN:
            code[row], told[0], told[1] = cycle.standings.code[c], cycle.standings.facts[c, 0], cycle.standings.facts[c, 1]
            continue
        if state[row] == PROMISED:
            continue
        everywhere = _pays_everywhere(learned.least, cycle.purse.row[project], cycle.rules.order, demands.kind[first:last], holds)
        if not everywhere:
            found = learned.sites[: last - first]
            if not payable(cycle.purse, cycle.rules.order, project, demands.kind[first:last], holds, sites, found):
                code[row] = unpaid(cycle.purse, project, demands.kind[first:last], holds, sites, told)
                continue
            sites = found
        code[row] = _not_yet(met[row], eligible[row], board.now, draining, told)
        if queue.uneven[row] and in_time(queue, row, board.now, sites, learned.sites[: last - first]):
            sites, everywhere = learned.sites[: last - first], False  # what is learned is of one limit for all
        elif code[row] == TURN and (queue.uneven[row] or queue.latest[row] < board.now):
            code[row], told[0], told[1] = TOO_LATE, queue.latest[row] + queue.shortest[row], queue.shortest[row]
        if not everywhere:
            has_site = learned.there[: last - first]
            for alt in range(last - first):
                has_site[alt] = sites[alt].any()
        if code[row] == TURN and limits(cycle.quota):
            openings = learned.openings[queue.leaf[row]]
            if openings[AMOUNT, 0] == UNKNOWN:
                open_to(cycle.quota, openings, wide(queue.leaf[row]))
            code[row] = over_quota(openings, demands, wide(c), has_site, told)
        if code[row] != TURN:
            continue
        end, more = board.now + queue.limit[row], queue.more[own : own + last - first]
        if not everywhere:
            code[row] = blocked(board, order, stocks, cycle.low, cycle.high, demands, c, sites, end, more, told)
        else:
            if learned.code[c] == UNKNOWN:
                learned.code[c] = _learn(cycle, order, stocks, c, sites, more, learned.facts[c])
            code[row] = _remembered(board, order, learned.code[c], learned.facts[c], end, told)
        if code[row] == TURN and not (everywhere and end <= learned.clear[c]):
            code[row] = barred(board, cycle.power, cycle.low, cycle.high, demands, wide(c), sites, end, more, told)
            if code[row] == TURN and everywhere:
                learned.clear[c] = end
        if code[row] == TURN:
            told[0] = cycle.found.each.ahead[row]
    _tell_promised(cycle, stocks, code, facts)


@kernel
def _pays_everywhere(least: I64, purse_row: int, order: I64, kinds: I32, holds: I64) -> bool:
    """Whether every alternative is payable at every site, in one currency or another."""
    for alt in range(len(kinds)):
        pays = False
        for currency in order:
            hold = holds[alt, currency]
            pays = hold == 0 or (hold > 0 and purse_row >= 0 and least[purse_row, currency, kinds[alt]] >= hold)
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
