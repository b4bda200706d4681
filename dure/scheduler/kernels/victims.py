"""Who makes room for other work, at one site.

Attempts that may be asked stand by site: first those of classes that yield, which make room for all work of a higher priority
(GENTLY), then the others, which make room for work that preempts (by FORCE); of either the cheapest first. Whatever their
classes, those of projects that borrow make room for work that stays within what its project has (RECLAIM, `kernels.reclaim`); and
those that can go on elsewhere make room for anybody (MOVE, `kernels.moves`, which chooses for itself). As
many are taken as are needed, and then, dearest first, each one is let go without whom the rest still suffice, so no victim could
be spared.

Who reclaims may find room and still too little quota. Then those are asked who use what is short anywhere, site by site."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.board import Board, has_of_each, kept_off
from dure.scheduler.kernels.future import FOREVER
from dure.scheduler.kernels.ground import I32, I64, WHOLE, Gang
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.reclaim import (
    Asker,
    Rights,
    fits_quota,
    give_back,
    guarded,
    look_up,
    may_reclaim,
    shielded,
    stays_within,
    take_again,
    with_all,
)
from dure.scheduler.kernels.seat import emptiness, place, workers_of

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
AWAY, BACK = constant(1), constant(-1)
GENTLY, FORCE, RECLAIM, MOVE = constant(0), constant(1), constant(2), constant(3)
WAYS = 4
_ONE, _ZERO = np.uint64(1), np.uint64(0)


class Candidates(NamedTuple):
    ptr: I64  # by site, into `attempt`
    firm: I64  # by site: where those begin that do not yield
    attempt: I32  # cheapest first
    lost: F64  # by attempt: work that would be lost
    priority: I64  # by attempt
    gone: I64  # by attempt: when it is gone at the latest, if it is asked
    taken: Bool  # by attempt: it makes room for somebody already
    tenure_ptr: I64  # by attempt: its tenures stand one behind the other
    freed: I64  # shape (3, nodes), zero between calls: what the chosen ones leave
    freed_share: I64  # by device, likewise: thousandths


@kernel
def some_yield(candidates: Candidates) -> bool:
    """Whether anybody may be asked GENTLY."""
    some = False
    for site in range(len(candidates.firm)):
        some |= candidates.firm[site] > candidates.ptr[site]
    return bool(some)


@kernel
def choose(
    board: Board, candidates: Candidates, rights: Rights, site: int, low: int, high: int, gang: Gang, asker: Asker, how: int,
    victims: I32,
) -> int:  # fmt: skip
    """Victims who may be asked, dearest first, whose leaving makes room for all workers in a run of cells at a site, and by
    RECLAIM in the quota too; how many, 0: none suffice. how: GENTLY, by FORCE or RECLAIM. See `kept_off`."""
    total, chosen = fit_now(board, candidates, low, high, gang), 0
    short = how == RECLAIM and not fits_quota(rights.quota, asker)  # of quota; where it is not, leaving makes none short
    if short:
        with_all(rights)
    if how == RECLAIM:
        look_up(rights, asker)
    missing = short
    for at in range(candidates.ptr[site], candidates.firm[site] if how == GENTLY else candidates.ptr[site + 1]):
        if total >= gang.workers and not missing:
            break
        attempt = wide(candidates.attempt[at])
        yields = at < candidates.firm[site]
        if _may_ask(candidates, rights, asker, how, attempt, yields) and _touches(board, candidates, attempt, low, high):
            total += _move(board, candidates, rights, attempt, low, high, gang, short, AWAY)
            victims[chosen] = attempt
            chosen += 1
            missing = short and not fits_quota(rights.without, asker)
    suffice = total >= gang.workers
    if short and suffice:
        chosen = _more(board, candidates, rights, low, high, gang, asker, victims, chosen)
        total = fit_now(board, candidates, low, high, gang)
        suffice = fits_quota(rights.without, asker)
    suffice = suffice and chosen > 0
    if suffice:
        chosen = _spare(board, candidates, rights, low, high, gang, asker, short, total, victims, chosen)
    for i in range(chosen):
        _move(board, candidates, rights, wide(victims[i]), low, high, gang, short, BACK)
    return chosen if suffice else 0


@kernel
def copy_first(rows: I32, to: I32, count: int) -> None:
    """The first so many. Assigned as slices they would be compared, and the message for slices that differ takes seconds to
    compile."""
    for i in range(count):
        to[i] = rows[i]


@kernel
def _may_ask(candidates: Candidates, rights: Rights, asker: Asker, how: int, attempt: int, yields: bool) -> bool:
    if candidates.taken[attempt]:
        return False
    if how == RECLAIM:
        return bool(may_reclaim(rights, asker, attempt))
    if candidates.priority[attempt] >= asker.priority:
        return False
    return bool(yields or not guarded(rights) or not shielded(rights, asker, attempt))


@kernel
def _more(
    board: Board, candidates: Candidates, rights: Rights, low: int, high: int, gang: Gang, asker: Asker, victims: I32, chosen: int
) -> int:  # fmt: skip
    """There is room, but no quota: ask those who have it, wherever they are in reach; how many are chosen then."""
    enough = fits_quota(rights.without, asker)
    for row in candidates.attempt:
        attempt = wide(row)
        if enough:
            break
        if _may_ask(candidates, rights, asker, RECLAIM, attempt, False) and _in_reach(board, candidates, attempt):
            _move(board, candidates, rights, attempt, low, high, gang, True, AWAY)
            victims[chosen] = attempt
            chosen += 1
            enough = fits_quota(rights.without, asker)
    return chosen


@kernel
def within_reach(board: Board, candidates: Candidates, rights: Rights, asker: Asker) -> bool:
    """Whether its quota may give it places of others, and has room, or would have if all left who sit there. Where not, no site
    is worth a look."""
    if not stays_within(rights, asker):
        return False
    if fits_quota(rights.quota, asker):
        return True
    with_all(rights)
    look_up(rights, asker)
    for row in candidates.attempt:
        attempt = wide(row)
        if _may_ask(candidates, rights, asker, RECLAIM, attempt, False) and _in_reach(board, candidates, attempt):
            give_back(rights, rights.without, attempt)
    return bool(fits_quota(rights.without, asker))


@kernel
def _in_reach(board: Board, candidates: Candidates, attempt: int) -> bool:
    """Whether it sits on a node in use, with any of its workers."""
    for tenure in range(candidates.tenure_ptr[attempt], candidates.tenure_ptr[attempt + 1]):
        if board.cells.node.cell[board.tenures.node[tenure]] >= 0:
            return True
    return False


@kernel
def _move(
    board: Board, candidates: Candidates, rights: Rights, attempt: int, low: int, high: int, gang: Gang, short: bool, sign: int
) -> int:  # fmt: skip
    """Let an attempt leave (AWAY) or come back (BACK), with its quota; how many more workers fit on usable nodes then. short: of
    quota, so that what is used without them is kept as well."""
    candidates.taken[attempt] = sign == AWAY  # nobody is asked twice
    if short and sign == AWAY:
        give_back(rights, rights.without, attempt)
    elif short:
        take_again(rights, rights.without, attempt)
    if guarded(rights):
        if sign == AWAY:
            give_back(rights, rights.stays, attempt)
        else:
            take_again(rights, rights.stays, attempt)
    return free_for(board, candidates, attempt, low, high, gang, sign)


@kernel
def _spare(
    board: Board, candidates: Candidates, rights: Rights, low: int, high: int, gang: Gang, asker: Asker, short: bool,
    total: int, victims: I32, chosen: int,
) -> int:  # fmt: skip
    """Turn the chosen ones round, dearest first, and let go whoever is not needed. short: of quota, without them."""
    kept = 0
    for i in range(chosen // 2):
        victims[i], victims[chosen - 1 - i] = victims[chosen - 1 - i], victims[i]
    for i in range(chosen):
        attempt = wide(victims[i])
        change = _move(board, candidates, rights, attempt, low, high, gang, short, BACK)
        if total + change >= gang.workers and not (short and not fits_quota(rights.without, asker)):
            total += change
        else:
            _move(board, candidates, rights, attempt, low, high, gang, short, AWAY)
            victims[kept] = attempt
            kept += 1
    return kept


@kernel
def usable_in(board: Board, node: int, low: int, high: int) -> bool:
    return bool(low <= board.cells.node.cell[node] < high and not kept_off(board, wide(node)))


@kernel
def _touches(board: Board, candidates: Candidates, attempt: int, low: int, high: int) -> bool:
    for tenure in range(candidates.tenure_ptr[attempt], candidates.tenure_ptr[attempt + 1]):
        if usable_in(board, board.tenures.node[tenure], low, high):
            return True
    return False


@kernel
def room_on(board: Board, candidates: Candidates, node: int, share: int) -> tuple[int, int, int]:
    free, ground = candidates.freed, board.ground
    units = wide(board.cells.node.level[node]) + free[2, node]
    if share > 0:
        units = np.int64(0)
        for at in range(ground.device_ptr[node], ground.device_ptr[node + 1]):
            if ground.nodes.shares[node]:
                units += max(ground.share_free[at] + candidates.freed_share[at], 0) // share
    return ground.nodes.cores_free[node] + free[0, node], ground.nodes.memory_free[node] + free[1, node], units


@kernel
def free_for(board: Board, candidates: Candidates, attempt: int, low: int, high: int, gang: Gang, sign: int) -> int:
    """Let an attempt leave (AWAY) or come back (BACK); how many more workers fit on usable nodes then."""
    t, change = board.tenures, 0
    for tenure in range(candidates.tenure_ptr[attempt], candidates.tenure_ptr[attempt + 1]):
        node = t.node[tenure]
        before = workers_of(room_on(board, candidates, node, gang.share), gang)
        candidates.freed[0, node] += sign * t.cores[tenure]
        candidates.freed[1, node] += sign * t.memory[tenure]
        candidates.freed[2, node] += _free_devices(board, candidates, tenure, sign)
        if usable_in(board, node, low, high):
            change += workers_of(room_on(board, candidates, node, gang.share), gang) - before
    return change


@kernel
def _free_devices(board: Board, candidates: Candidates, tenure: int, sign: int) -> int:
    """Count what a tenure leaves of its devices; how many more are whole then. One is when all who share it have left."""
    ground, t, change = board.ground, board.tenures, 0
    first = ground.device_ptr[t.node[tenure]]
    amount = sign * has_of_each(board, tenure)
    for at in range(first, ground.device_ptr[t.node[tenure] + 1]):
        if t.mask[tenure] & (_ONE << np.uint64(at - first)) != _ZERO:
            change -= ground.share_free[at] + candidates.freed_share[at] >= WHOLE
            candidates.freed_share[at] += amount
            change += ground.share_free[at] + candidates.freed_share[at] >= WHOLE
    return change


@kernel
def fit_now(board: Board, candidates: Candidates, low: int, high: int, gang: Gang) -> int:
    """How many workers a run of cells takes, off what claims keep off."""
    total, cells = 0, board.cells
    for at in range(cells.cell.first[low], cells.cell.first[high]):
        node = cells.nodes[at]
        if not kept_off(board, wide(node)):
            total += workers_of(room_on(board, candidates, wide(node), gang.share), gang)
    return total


@kernel
def seat_behind(
    board: Board, candidates: Candidates, low: int, high: int, gang: Gang, victims: I32, seat_node: I32, seat_workers: I64
) -> int:  # fmt: skip
    """Where the workers sit once these victims have left; how many seats."""
    for victim in victims:
        free_for(board, candidates, victim, low, high, gang, AWAY)
    first, last = board.cells.cell.first[low], board.cells.cell.first[high]
    nodes = np.sort(board.cells.nodes[first:last])
    room, empty = np.zeros(len(nodes), np.int64), np.zeros(len(nodes), np.int64)
    for i in range(len(nodes)):
        free = room_on(board, candidates, wide(nodes[i]), gang.share)
        empty[i] = emptiness(free[2], free[0])
        if not kept_off(board, wide(nodes[i])):
            room[i] = workers_of(free, gang)
    for victim in victims:
        free_for(board, candidates, victim, low, high, gang, BACK)
    return place(nodes, room, empty, gang.workers, seat_node, seat_workers)


@kernel
def site_of(board: Board, candidates: Candidates, attempt: int) -> int:
    return wide(board.ground.nodes.site[board.tenures.node[candidates.tenure_ptr[attempt]]])


@kernel
def at_site(board: Board, candidates: Candidates, site: int, attempts: I32) -> I32:
    """Those of them that are at a site: who reclaims quota may ask others elsewhere, who draw nothing here."""
    found, count = np.empty(len(attempts), np.int32), 0
    for attempt in attempts:
        if site_of(board, candidates, wide(attempt)) == site:
            found[count] = attempt
            count += 1
    return found[:count]


@kernel
def tenures_of(ptr: I64, attempts: I32) -> I32:
    """Those of these attempts, which stand one behind the other."""
    count = 0
    for attempt in attempts:
        count += ptr[attempt + 1] - ptr[attempt]
    rows, count = np.empty(count, np.int32), 0
    for attempt in attempts:
        for tenure in range(ptr[attempt], ptr[attempt + 1]):
            rows[count] = tenure
            count += 1
    return rows


@kernel
def gone_behind(candidates: Candidates, attempts: I32, limit: int) -> int:
    """When work that begins once these, being asked, have left is gone at the latest."""
    last = np.int64(0)
    for attempt in attempts:
        last = max(last, candidates.gone[attempt])
    return min(int(last) + limit, FOREVER)


@kernel
def lasts(candidates: Candidates, site: int, how: int, limit: int) -> int:
    """When a claim at a site is over at the latest, whoever makes room: who reclaims quota may wait for others elsewhere."""
    if how == RECLAIM:
        return gone_behind(candidates, candidates.attempt, limit)
    return gone_behind(candidates, candidates.attempt[candidates.ptr[site] : candidates.ptr[site + 1]], limit)
