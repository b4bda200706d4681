"""The tables that the kernels of a cycle work on, made of the columns of a snapshot."""

from __future__ import annotations

import numpy as np

from dure.model.money import CURRENCIES
from dure.model.policy import TurnOrder
from dure.scheduler.attempts import followed, gone_if_asked, latest_ends, lost_work, rests, victims_first
from dure.scheduler.boards import board_of
from dure.scheduler.funds import PAY_ORDER, part_of
from dure.scheduler.kept import kept
from dure.scheduler.kernels.board import Board, Room, grown, longer
from dure.scheduler.kernels.classes import classes
from dure.scheduler.kernels.ground import table
from dure.scheduler.kernels.moves import MOVER, MOVES_MAX, NOBODY, SEARCHES, SPOT, Moves
from dure.scheduler.kernels.purse import Purse, make_purse
from dure.scheduler.kernels.quota import NO_LIMIT, Quota, make_quota
from dure.scheduler.kernels.reclaim import Rights
from dure.scheduler.kernels.sorting import sort_by
from dure.scheduler.kernels.standing import Demands, Models, Standings, demands_as, models_of, standings_of
from dure.scheduler.kernels.state import (
    ASKING,
    FACT,
    KEPT_ROOM,
    NEVER,
    NOTHING,
    OUTCOME,
    ROW,
    START,
    TENURE_ROOM,
    WORKER,
    WORKERS,
    Cycle,
    Found,
    Memory,
    Queue,
    Rules,
)
from dure.scheduler.kernels.turns import make_turns
from dure.scheduler.kernels.victims import GENTLY, WAYS, Candidates, some_yield
from dure.scheduler.kernels.waits import FACTS, TURN
from dure.scheduler.order import ranks
from dure.scheduler.powers import power_of
from dure.scheduler.preferences import preferred
from dure.scheduler.quotas import uses_of
from dure.scheduler.runs import first_rows, gather
from dure.scheduler.snapshot import (
    DEPENDENCY_MET,
    FOREVER_MS,
    I32,
    I64,
    STOPPING,
    U64,
    Bool,
    Snapshot,
    fewest,
    limits_ms,
    unused_shape,
)


def cycle_of(s: Snapshot, also: int = -1) -> Cycle:
    """Nobody had a turn yet. also: a row that gets one in any case."""
    ends = latest_ends(s)
    by_end = sort_by(ends, np.arange(len(ends)))
    of, demands, first = demands_of(s)
    standings = standings_of(node_models(s), demands, s.sites.reachable, s.sites.drained, *preferred(s, demands, first))
    queue = _queue(s, of)
    classes = queue.priority if s.policy.order is TurnOrder.FAIR else ranks(s)
    turns = make_turns(
        s.shares.parent.astype(np.int64), s.shares.weight, s.shares.use, queue.leaf, classes,
        _in_turn(s, standings.code[of], also), queue.latest,
    )  # fmt: skip
    most = int(demands.each.most.max(initial=1))
    seats, promises = min(most, len(s.nodes.ids)), s.policy.reservations_max
    likely = min(len(of), len(s.nodes.ids)) + 256  # workers that start; where they are more, tables grow
    board, runs = board_of(s, ends, by_end, Room(tenures=seats + likely, promises=promises, kept=seats + 256))
    candidates, quota = candidates_of(s, s.now_ms, len(board.ground.share_free), ends), _quota(s)
    rights = rights_of(s, quota)
    moves = moves_of(s)
    rules = _rules(s, rights, candidates, moves)
    attempts, waiting = len(s.attempts.ids), len(of)
    made = Cycle(
        board=board, low=runs.low, high=runs.high, queue=queue, demands=demands, standings=standings, purse=purse_of(s),
        quota=quota, rights=rights, power=power_of(s, ends, by_end, promises), turns=turns, candidates=candidates, moves=moves,
        rules=rules, memory=_memory(standings, len(demands.sites), queue, s.quotas.used.shape, candidates, rules),
        found=_found(waiting, most + likely, promises, attempts, standings, demands), ends=ends,
        node=np.zeros(max(seats, 1), np.int32), workers=np.zeros(max(seats, 1), np.int64), victims=np.zeros(attempts, np.int32),
        free=np.zeros(len(s.sites.ids), np.int64),
    )  # fmt: skip
    return measured(made)


def _in_turn(s: Snapshot, code: I32, also: int) -> I64:
    """Rows that may start at all, if there is room and money."""
    may = (s.pending.dependency == DEPENDENCY_MET) & (s.pending.eligible_ms <= s.now_ms) & (code == TURN)
    may &= not s.draining
    if also >= 0:
        may[also] = True
    return np.flatnonzero(may)


def question(cycle: Cycle, s: Snapshot, models: Models) -> Cycle:
    """The same state with nothing in its queue but the workload in row 0 of `s`, which is asked about only: a turn of it takes
    nothing. models: of the nodes, as they are the same in both."""
    of, demands, first = demands_of(s)
    standings = standings_of(models, demands, s.sites.reachable, s.sites.drained, *preferred(s, demands, first))
    found = _found(1, 0, 1, 0, standings, demands)
    found.used[:] = cycle.found.used
    found.used[ROW], found.used[ASKING] = 0, 1
    seats = max(1, min(int(demands.each.most.max(initial=1)), len(s.nodes.ids)))
    more = seats > len(cycle.node)
    queue = _queue(s, of)
    return cycle._replace(
        queue=queue, demands=demands, standings=standings, found=found,
        memory=_memory(standings, 1, queue, s.quotas.used.shape, cycle.candidates, cycle.rules),
        node=np.zeros(seats, np.int32) if more else cycle.node, workers=np.zeros(seats, np.int64) if more else cycle.workers,
    )  # fmt: skip


def measured(cycle: Cycle) -> Cycle:
    """With the lengths of its tables written down."""
    found, board = cycle.found, cycle.board
    room = found.room
    room[WORKERS] = len(found.workers)
    room[TENURE_ROOM], room[KEPT_ROOM] = len(board.tenures), len(board.seats)
    return cycle


def larger(cycle: Cycle, workers: int) -> Cycle:
    board: Board = grown(cycle.board, tenures=workers + MOVES_MAX, kept=workers)
    found = cycle.found._replace(workers=longer(cycle.found.workers, int(cycle.found.used[WORKERS]) + workers))
    return cycle._replace(board=board, found=found)


def demands_of(s: Snapshot) -> tuple[I32, Demands, I32]:
    """The class of every row, what the classes ask for, and a row of each: shapes that ask for the same are one."""
    p, alt = s.pending, s.alternatives
    block = p.block & (p.workers > 1)  # one worker is always within one
    of, first = classes_of(s, block) if len(p.ids) > 1 else (np.zeros(len(p.ids), np.int32), np.arange(len(p.ids)))
    sites = np.zeros((len(first), len(s.sites.ids)), np.bool_)
    (site_ptr, site_at), (alt_ptr, alt_at) = gather(p.site_ptr, first), gather(p.alt_ptr, first)
    lengths = site_ptr[1:] - site_ptr[:-1]
    sites[lengths == 0] = True
    row, site = np.arange(len(first)).repeat(lengths), p.site_row[site_at]
    known = site >= 0
    sites[row[known], site[known]] = True
    least = p.workers_min[first]
    demands = demands_as(
        np.where(least > 0, least, p.workers[first]), p.workers[first], p.cores_milli[first], p.memory_mib[first],
        p.devices[first], p.share_milli[first], block[first].astype(np.int64), sites, alt_ptr, alt.accelerator[alt_at],
    )  # fmt: skip
    return of, demands, first.astype(np.int32)


def classes_of(s: Snapshot, block: Bool) -> tuple[I32, I64]:
    """The class of every row, and a row of each."""
    p, alt = s.pending, s.alternatives
    heads = first_rows(p.shape)
    (site_ptr, site_at), (alt_ptr, alt_at) = gather(p.site_ptr, heads), gather(p.alt_ptr, heads)
    data_ptr, data_at = gather(p.data_ptr, heads)
    columns = (p.workers, p.workers_min, p.cores_milli, p.memory_mib, p.devices, p.share_milli, block)
    of_head, first_head = classes(
        np.array([column[heads] for column in columns], np.int64),
        ((site_ptr, p.site_row[site_at]), (alt_ptr, alt.accelerator[alt_at]), (data_ptr, p.data_row[data_at])),
    )
    of_shape = np.zeros(unused_shape(p), np.int32)
    of_shape[p.shape[heads]] = of_head
    return of_shape[p.shape], heads[first_head]


def node_models(s: Snapshot) -> Models:
    n, blocks = s.nodes, bool(s.pending.block.any())
    return _models(n.site, n.accelerator, n.block, n.cores_milli, n.memory_mib, n.device_mask, n.shares, blocks,
                   len(s.accelerators))  # fmt: skip


@kept
def _models(
    site: I32, kind: I32, block: I32, cores: I64, memory: I64, devices: U64, shares: Bool, blocks: bool, types: int
) -> Models:  # fmt: skip
    """blocks: whether anybody asks for one."""
    asked = block if blocks else np.full(len(site), -1, np.int32)
    return models_of(site, kind, asked, cores, memory, np.bitwise_count(devices).astype(np.int64), shares, types)


def _queue(s: Snapshot, of: I32) -> Queue:
    p, pair = s.pending, np.zeros(len(of), np.int32)
    if _guards(s):
        _, pair = np.unique(p.project.astype(np.int64) * (int(of.max(initial=0)) + 1) + of, return_inverse=True)
    shortest, uneven, more = _limits(s)
    latest = np.where(p.deadline_ms < FOREVER_MS, p.deadline_ms - shortest, NEVER)
    return Queue(
        of, p.project, s.projects.share[p.project], pair.astype(np.int32), p.priority, p.preempts, firm(s), p.limit_ms,
        shortest, uneven, latest, p.alt_ptr.astype(np.int64), more, _fewest_holds(s), s.alternatives.hold,
    )  # fmt: skip


def _limits(s: Snapshot) -> tuple[I64, Bool, I64]:
    """By row the shortest limit, and whether alternatives have some of their own; and by alternative by how much it is longer
    than that of its row. Mostly none has: then the first is the column itself."""
    p, more = s.pending, np.zeros(len(s.alternatives.accelerator), np.int64)
    if not s.alternatives.limit_ms.any():
        return p.limit_ms, np.zeros(len(p.ids), np.bool_), more
    first, of_row = p.alt_ptr[:-1], np.repeat(p.limit_ms, np.diff(p.alt_ptr))
    more = limits_ms(s) - of_row
    shortest = p.limit_ms + np.minimum.reduceat(more, first)
    shortest.flags.writeable = False  # as is the column of a snapshot: kernels are compiled for either
    return shortest, np.logical_or.reduceat(more != 0, first), more


def _fewest_holds(s: Snapshot) -> I64:
    """What has to be held on each alternative for the fewest workers. Those who wait are mostly of one size: then it is the
    column itself."""
    p, hold = s.pending, s.alternatives.hold
    if not p.workers_min.any():
        return hold
    least, most = (np.repeat(column, np.diff(p.alt_ptr))[:, None] for column in (fewest(p), p.workers))
    found: I64 = np.where(hold > 0, part_of(hold, least, most), hold)
    found.flags.writeable = False  # as is that of a snapshot: kernels are compiled for either
    return found


def firm(s: Snapshot) -> Bool:
    """By waiting workload: whether it will not yield, as its class does not or as it is not preemptible."""
    p, found = s.pending, np.ones(len(s.pending.ids), np.bool_)
    for each in s.policy.classes:
        if each.yields:
            found &= ~p.preemptible | (p.priority != each.value)
    return found


def purse_of(s: Snapshot) -> Purse:
    a = s.awards
    now = a.expires_ms > s.now_ms
    return make_purse(
        len(s.projects.ids), len(CURRENCIES), a.project[now], a.currency[now], a.available[now], a.site_ok[now],
        a.accelerator_ok[now],
    )  # fmt: skip


def _quota(s: Snapshot) -> Quota:
    """Nothing at all where nobody has any."""
    q, parent = s.quotas, s.shares.parent.astype(np.int64)
    if (q.nominal == NO_LIMIT).all():
        return _nobodys(q.nominal.shape[1])
    return make_quota(parent, q.nominal, q.borrow_max, q.lend_max, q.used)


@kept
def _nobodys(resources: int) -> Quota:
    """Of no rows, so that there is nothing in it that could be written to."""
    none = np.zeros((0, resources), np.int64)
    return make_quota(np.zeros(0, np.int64), none, none, none, none)


def _guards(s: Snapshot) -> bool:
    """Whether quotas guard what projects have: somebody has one, and the policy says so."""
    return s.policy.reclaims and bool((s.quotas.nominal != NO_LIMIT).any())


def rights_of(s: Snapshot, quota: Quota) -> Rights:
    """Nothing at all where quotas guard nothing."""
    if not _guards(s):
        none = np.zeros((0, s.quotas.nominal.shape[1]), np.int64)
        nothing = np.zeros(0, np.int64)
        return Rights(
            quota, _nobodys(none.shape[1]), np.zeros(0, np.int32), none, nothing, nothing, quota, nothing.copy()
        )  # fmt: skip
    a, q = s.attempts, s.quotas
    known = a.project >= 0
    leaf, uses, stays = staying(s)
    there = make_quota(s.shares.parent.astype(np.int64), q.nominal, q.borrow_max, q.lend_max, stays)
    bits = (np.left_shift(1, np.arange(uses.shape[1])) * (uses > 0)).sum(axis=1)
    return Rights(
        quota, there, leaf, uses, bits, np.unique(leaf[known]).astype(np.int64), quota._replace(used=quota.used.copy()),
        np.zeros(len(s.shares.parent), np.int64),
    )  # fmt: skip


def staying(s: Snapshot) -> tuple[I32, I64, I64]:
    """By attempt its share (-1: nobody knows) and what it uses; and by share what is used when those who stop have left."""
    a = s.attempts
    leaf, uses = np.full(len(a.ids), -1, np.int32), uses_of(a, s.nodes, len(s.accelerators))
    known = a.project >= 0
    leaf[known] = s.projects.share[a.project[known]]
    stays, leaves = s.quotas.used.copy(), known & (a.state == STOPPING) & ~followed(a)
    np.subtract.at(stays, leaf[leaves], uses[leaves])
    return leaf, uses, stays


def candidates_of(s: Snapshot, at_ms: int, devices: int, ends: I64) -> Candidates:
    """Who may be asked to make room at a moment, now or later. devices: as many as the board tells
    apart. ends: as in `latest_ends`."""
    a = s.attempts
    lost = lost_work(s, at_ms)
    rows = victims_first(s, at_ms, lost, ends)
    site = s.nodes.site[a.worker_node[a.worker_ptr[rows]]] if len(rows) else np.zeros(0, np.int32)
    by_site = sort_by(site.astype(np.int64), np.arange(len(rows)))
    ptr = np.searchsorted(site[by_site], np.arange(len(s.sites.ids) + 1)).astype(np.int64)
    firm = ptr[:-1] + np.bincount(site[a.yields[rows]], minlength=len(s.sites.ids))
    return Candidates(
        ptr, firm, rows[by_site].astype(np.int32), lost, a.priority, gone_if_asked(s, at_ms, ends),
        np.zeros(len(a.ids), np.bool_), a.worker_ptr.astype(np.int64), np.zeros((3, len(s.nodes.ids)), np.int64),
        np.zeros(devices, np.int64),
    )  # fmt: skip


def moves_of(s: Snapshot) -> Moves:
    """Nothing at all where nobody may be moved now."""
    rest = rests(s, s.now_ms) if s.policy.moves else np.zeros(0, np.int64)
    some = bool(rest.any())
    movers, spots = table(MOVER, len(rest) if some else 0), table(SPOT, len(s.nodes.ids) if some else 0)
    if some:
        movers.rest, spots.latest = rest, NOBODY
    return Moves(movers, spots, table(WORKER, len(s.attempts.worker_node) if some else 0), np.zeros(SEARCHES + 1, np.int64))


def _rules(s: Snapshot, rights: Rights, candidates: Candidates, moves: Moves) -> Rules:
    return Rules(
        s.policy.backfill_depth, s.policy.reservations_max, np.array(PAY_ORDER, np.int64), somebody_borrows(rights, candidates),
        len(moves.movers) > 0, s.core_rate,
    )  # fmt: skip


def somebody_borrows(rights: Rights, candidates: Candidates) -> bool:
    """Whether any of those who may be asked is of a project that uses more than it has of something that they use."""
    return bool(len(rights.uses)) and bool(borrowing(rights)[candidates.attempt].any())


def borrowing(rights: Rights) -> Bool:
    """By attempt: whether its project uses more than it has of something that it uses."""
    stays = rights.stays
    found: Bool = (rights.leaf >= 0) & ((rights.uses > 0) & (stays.used > stays.subtree)[rights.leaf]).any(axis=1)
    return found


def _memory(
    standings: Standings, count: int, queue: Queue, quotas: tuple[int, ...], candidates: Candidates, rules: Rules
) -> Memory:  # fmt: skip
    shape, pairs = standings.sites.T.shape, int(queue.pair.max(initial=0)) + 1
    asked = (some_yield(candidates), bool(queue.preempts.any()), rules.reclaims, rules.moves)
    ways = np.flatnonzero(np.array(asked, np.bool_))
    spared = np.empty((WAYS, *shape), np.int64)  # mostly of one way, and a good part of what is written to make a cycle
    spared[ways] = -NEVER
    memory = Memory(
        np.full(standings.sites.shape, NEVER, np.int64), np.zeros(shape[0], np.int64), np.full(shape, NEVER, np.int64), ways,
        spared, np.full(count, NEVER, np.int64), np.full((WAYS, count), -NEVER, np.int64),
        np.full((WAYS, pairs), -NEVER, np.int64), np.full(quotas, NEVER, np.int64),
    )  # fmt: skip
    if not some_yield(candidates):
        memory.calm[GENTLY] = NEVER
    return memory


def _found(waiting: int, workers: int, promises: int, attempts: int, standings: Standings, demands: Demands) -> Found:
    i32, i64 = np.int32, np.int64
    ptr, sites = demands.each.kind_ptr, standings.sites.shape[1]
    alternatives = int((ptr[1:] - ptr[:-1]).max(initial=1))
    found = Found(
        table(START, waiting + 1), table(WORKER, workers), np.zeros(attempts, i32), np.zeros((promises, FACT + FACTS), i64),
        np.zeros((promises, alternatives, sites), np.bool_),
        table(OUTCOME, waiting), np.zeros(ASKING + 1, i64), np.zeros(KEPT_ROOM + 1, i64),
    )  # fmt: skip
    found.each.ahead = -1
    found.used[ROW] = NOTHING
    return found
