"""The state of a plan while it is made: who waits, what is left, what failed, and what was decided."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.board import KEPT, TENURES, Board
from dure.scheduler.kernels.future import FOREVER
from dure.scheduler.kernels.ground import I32, I64, Columns, Table
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.moves import MOVES_MAX, Moves
from dure.scheduler.kernels.power import Power
from dure.scheduler.kernels.purse import Purse
from dure.scheduler.kernels.quota import Quota
from dure.scheduler.kernels.reclaim import Rights
from dure.scheduler.kernels.standing import Demands, Standings
from dure.scheduler.kernels.turns import Turns
from dure.scheduler.kernels.victims import Candidates

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]

AGO, LONG_AGO = 1 << 54, 1 << 61  # more than any limit (`sound.LIMIT_MAX`); and the most that can be added to NEVER
NEVER = FOREVER  # a limit that nothing reaches; a moment that never comes
NOTHING = -1

# what a run of turns came back with
OVER, REACHED, MORE_ROOM = 0, 1, 2
# entries of Found.used
STARTS, WORKERS, VICTIMS, AHEAD, TRIED, LOOKED, ROW = range(7)
ASKING = 7  # not 0: nothing is taken, what a turn would bring is told as a state alone
TENURE_ROOM, KEPT_ROOM = 8, 9  # in Found.room alone
# what became of a row; one that is only asked about starts, claims, or waits
WAITS, STARTED, PROMISED, CLAIMED = 0, 1, 2, 3
# columns of Found.promised: where, on which alternative of its class, and why it could not start at its turn
SITE, ALTERNATIVE, CODE, FACT = range(4)


class Queue(NamedTuple):
    """Waiting workloads, by row. Their alternatives stand side by side, in the order of their class."""

    klass: I32
    project: I32
    leaf: I32  # its project's share
    pair: I32  # equal ones are of one class and project
    priority: I64
    preempts: Bool
    firm: Bool  # it does not yield, so its quota gives it rights
    limit: I64  # on its first alternative
    shortest: I64  # on that on which it is shortest
    uneven: Bool  # whether its alternatives have limits of their own
    latest: I64  # the last moment at which it may start there, `NEVER` for any
    alt_ptr: I64
    more: I64  # by alternative: by how much its limit is longer than `limit`
    hold: I64  # shape (alternatives, currencies), for the fewest workers; -1: not payable so
    whole: I64  # likewise, for as many as are asked for


@kernel
def limit_on(queue: Queue, row: int, own: int) -> int:
    """own: one of its alternatives, in the queue's columns."""
    return int(queue.limit[row] + queue.more[own])


@kernel
def too_late(queue: Queue, row: int, end: int) -> bool:
    """Whether it would be over behind its deadline."""
    return bool(end > queue.latest[row] + queue.shortest[row])


@kernel
def in_time(queue: Queue, row: int, now: int, sites: Bool, found: Bool) -> bool:
    """Write into `found` at which of these sites it would be over by its deadline if it started now, as types may differ in
    speed; whether there are any. sites, found: shape (alternatives, sites)."""
    some = False
    for alt in range(sites.shape[0]):
        late = too_late(queue, row, now + limit_on(queue, row, queue.alt_ptr[row] + alt))
        for site in range(sites.shape[1]):
            found[alt, site] = sites[alt, site] and not late
            some |= found[alt, site]
    return some


class Rules(NamedTuple):
    depth: int  # tries behind the first promise
    promises: int
    order: I64  # currencies, in the order in which they pay
    reclaims: bool  # whether anybody may reclaim what others borrow
    moves: bool  # whether anybody may be moved
    core_rate: F64  # by type, the last (and -1) for none


class Memory(NamedTuple):
    """What failed. By site and alternative of a class, the shortest limit; by class, wherever it may run and could pay."""

    full: I64  # shape (alternatives, sites), as a start looks at all sites: less `since`, so that one addition forgets a site
    since: I64  # by site
    hopeless: I64
    ways: I64  # those of GENTLY, FORCE, RECLAIM and MOVE that anybody may ask in
    spared: I64  # by way, too, the highest priority for which nobody could make room; nothing in ways that nobody asks in
    closed: I64  # by class
    calm: I64  # by class: as `spared`, wherever it may run
    vain: I64  # shape (ways, pairs), by RECLAIM too: the same of a class and project, where quotas decide too
    beyond: I64  # by share and resource, the least amount that was beyond its quota; nothing clears it, as no claim frees quota


START: Columns = [  # one row more than there are starts, for the ends of the last one's runs
    ("row", np.int32),
    ("alt", np.int32),  # in Queue.hold
    ("site", np.int32),
    ("currency", np.int32),
    ("reclaims", np.bool_),  # its victims make room as they borrow
    ("worker", np.int64),  # where its workers begin
    ("victim", np.int64),  # where its victims begin
]
WORKER: Columns = [("node", np.int32), ("mask", np.uint64)]
OUTCOME: Columns = [
    ("ahead", np.int64),  # how many waiting ones had their turn before it, -1: it had none
    ("state", np.int32),  # WAITS, STARTED, PROMISED
]


class Found(NamedTuple):
    """What was decided, in its order. `used` says how much of each table is taken."""

    starts: Table  # START
    workers: Table  # WORKER
    victim: I32
    promised: I64  # shape (promises, FACT + FACTS): SITE, ALTERNATIVE, CODE, and the facts of that code
    promised_sites: Bool  # shape (promises, alternatives, sites): where it could run and pay at its turn
    each: Table  # by row, OUTCOME
    used: I64
    room: I64  # how long the tables are; behind its own, the board's of tenures and of kept seats


class Cycle(NamedTuple):
    board: Board
    low: I64  # runs of cells: shape (sites, types + 1)
    high: I64
    queue: Queue
    demands: Demands
    standings: Standings
    purse: Purse
    quota: Quota  # without rows: nobody has any
    rights: Rights  # of that quota
    power: Power
    turns: Turns
    candidates: Candidates
    moves: Moves
    rules: Rules
    memory: Memory
    found: Found
    ends: I64  # by attempt: when it is gone at the latest
    node: I32  # scratch: seats
    workers: I64
    victims: I32  # scratch
    free: I64  # scratch, by site


@kernel
def forget(memory: Memory, site: int) -> None:
    """A claim at a site has freed something there, and nowhere else. Ways that nobody may ask in stay shut."""
    memory.since[site] += AGO
    if memory.since[site] >= LONG_AGO:
        memory.full[:, site], memory.since[site] = NEVER, 0
    memory.hopeless[site] = NEVER
    memory.closed[:] = NEVER
    for how in memory.ways:
        memory.spared[how, site] = -NEVER
        memory.calm[how] = -NEVER
        memory.vain[how] = -NEVER


@kernel
def cycle_at(cycle: Cycle, board: Board, turns: Turns, victims: I32) -> Cycle:
    """The same state with another board, other turns, and scratch for victims of another length."""
    return Cycle(
        board, cycle.low, cycle.high, cycle.queue, cycle.demands, cycle.standings, cycle.purse, cycle.quota, cycle.rights,
        cycle.power, turns, cycle.candidates, cycle.moves, cycle.rules, cycle.memory, cycle.found, cycle.ends, cycle.node,
        cycle.workers, victims, cycle.free,
    )  # fmt: skip


@kernel
def too_short(used: I64, board_used: I64, room: I64, workers: int, seats: int) -> bool:
    """Whether a table could be too short for a turn that seats so many workers, on so many nodes, or so many that have
    shares, and lets others move. room: as in `Found`."""
    return bool(
        used[WORKERS] + workers > room[WORKERS]
        or board_used[TENURES] + seats + MOVES_MAX > room[TENURE_ROOM]
        or board_used[KEPT] + seats > room[KEPT_ROOM]
    )
