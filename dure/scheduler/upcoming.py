"""Which event comes next that helps a workload on its way, and what its moment rests on."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dure.model.reason import ReasonKind
from dure.scheduler.attempts import followed, guaranteed_until, latest_ends, owners, preemptible
from dure.scheduler.kernels.barred import limits
from dure.scheduler.kernels.board import LASTS, PROMISES, Board, rooms_then
from dure.scheduler.kernels.cycle import asker_of
from dure.scheduler.kernels.reclaim import Asker, Rights, fits_quota, give_back, guarded
from dure.scheduler.kernels.seat import parts
from dure.scheduler.kernels.slots import lefts_then
from dure.scheduler.kernels.sorting import sort_by
from dure.scheduler.kernels.standing import gang_of
from dure.scheduler.kernels.state import limit_on, too_late
from dure.scheduler.kernels.victims import FORCE, GENTLY, RECLAIM, Candidates, choose, fit_now
from dure.scheduler.plan import WAIT_CODE, Plan
from dure.scheduler.planning import Planning, Question, Verdict
from dure.scheduler.snapshot import CLAIMED, DEPENDENCY_MET, FOREVER_MS, STOPPING, Bool, Snapshot
from dure.scheduler.tables import borrowing, candidates_of, somebody_borrows

MOMENTS_MAX = 256  # to come, that are looked at one by one
# what keeps from starting besides room: the end of an attempt need not change it
NOT_OF_ROOM = (WAIT_CODE[ReasonKind.POWER_SHORT], WAIT_CODE[ReasonKind.MAINTENANCE])


class NextKind(StrEnum):
    """What happens. The subject of a pause, a promise, a deadline and a dependency is a workload, of an opening an award, of the
    others an attempt of `workload`."""

    PAUSE_ENDS = "pause_ends"
    PROMISE_STARTS = "promise_starts"
    ATTEMPT_ENDS = "attempt_ends"
    PREEMPTION = "preemption"  # the subject is asked to make room for it
    VICTIM_LEAVES = "victim_leaves"  # the subject was asked to and is the last to be gone
    DEADLINE_PASSES = "deadline_passes"  # it may still start and be over in time, until then; nothing is known to help before
    # Not of a plan, which knows neither what is to come nor what waits for what:
    AWARD_OPENS = "award_opens"  # the subject is an award of the project
    DEPENDENCY_ENDS = "dependency_ends"  # the subject has to succeed first, and is the last of those to end
    DEPENDENCY_STARTS = "dependency_starts"  # likewise, and is the last of those to start


class Basis(StrEnum):
    """What the moment of an event rests on."""

    PAUSE = "pause"
    PROMISE = "promise"
    LIMIT = "limit"  # of the attempt that ends, its grace included
    GRACE = "grace"  # it was told to stop
    GUARANTEED_RUN = "guaranteed_run"  # until its end nobody may take its place
    QUOTA = "quota"  # likewise; it uses more than its project has, of what another has
    MOVE = "move"  # it goes on elsewhere at once, and loses only what it has not saved
    YIELDS = "yields"  # it is of a class that makes room whenever anybody of a higher one needs it
    DEADLINE = "deadline"  # less its limit and grace
    AWARD = "award"  # its first moment


@dataclass(frozen=True, slots=True)
class NextEvent:
    """What happens next that helps. Ids are of workloads and attempts; who may see them is not decided here."""

    kind: NextKind
    subject: str
    at_ms: int  # at the latest; of a preemption: not before
    basis: Basis
    workload: str = ""  # whose attempt the subject is
    victims: int = 0  # how many make room, the subject among them
    yielding: int = 0  # and how many of these are of a class that yields
    moved: int = 0  # or go on elsewhere


def next_event(planning: Planning, asked: Question, plan: Plan, row: int) -> NextEvent | None:
    """For a workload that waits after everybody had their turn: the end of its pause; a preemption that comes before any promise
    to it; the start of the promise that it waits behind; or the end of an attempt: the one on which its own promise rests, else
    the first to leave a site in question. Where none of these comes in time for its deadline: the last moment that does."""
    s = planning.s
    latest_ms = int(asked.cycle.queue.latest[0])  # on the type on which it is over soonest
    found = _helps(planning, asked, plan, row, min(latest_ms, int(FOREVER_MS) - 1))
    if found is not None or s.pending.deadline_ms[row] >= FOREVER_MS or latest_ms < s.now_ms or asked.standing is not None:
        return found
    return NextEvent(NextKind.DEADLINE_PASSES, s.pending.ids[row], latest_ms, Basis.DEADLINE)


def _helps(planning: Planning, asked: Question, plan: Plan, row: int, in_time_ms: int) -> NextEvent | None:
    """What comes next and helps. in_time_ms: what comes later helps nobody."""
    s = planning.s
    if s.pending.dependency[row] != DEPENDENCY_MET:  # whoever makes room, it may not have it
        return None
    if s.pending.eligible_ms[row] > s.now_ms:
        return NextEvent(NextKind.PAUSE_ENDS, s.pending.ids[row], int(s.pending.eligible_ms[row]), Basis.PAUSE)
    own: Verdict = (int(plan.wait_code[row]), tuple(plan.wait_facts[row].tolist()))
    if own[0] == WAIT_CODE[ReasonKind.QUOTA_REACHED]:  # what ends of its own project is its own again
        endings = _endings(s, np.ones(len(s.nodes.ids), np.bool_), s.attempts.project == s.pending.project[row])
        own_end = next((e for e in endings if e.at_ms <= in_time_ms), None)
        if not guarded(planning.cycle.rights):  # who makes room by class leaves no quota
            return own_end
        return by_force(planning, asked, row, in_time_ms + 1 if own_end is None else own_end.at_ms) or own_end
    promised = np.flatnonzero(plan.reserve_pending == row).tolist()
    before_ms = int(plan.reserve_ms[promised[0]]) if promised else in_time_ms + 1
    forced = by_force(planning, asked, row, before_ms)
    if forced is not None:
        return forced
    if promised and own[0] in NOT_OF_ROOM:
        return NextEvent(NextKind.PROMISE_STARTS, s.pending.ids[row], before_ms, Basis.PROMISE)
    if promised:
        nodes = plan.reserve_node[plan.reserve_worker_ptr[promised[0]] : plan.reserve_worker_ptr[promised[0] + 1]]
        ending = [e for e in _endings(s, np.isin(np.arange(len(s.nodes.ids)), nodes)) if e.at_ms <= before_ms]
        return ending[-1] if ending else NextEvent(NextKind.PROMISE_STARTS, s.pending.ids[row], before_ms, Basis.PROMISE)
    if own[0] == WAIT_CODE[ReasonKind.WAITS_RESERVED] and own[1][1] <= in_time_ms:
        return NextEvent(NextKind.PROMISE_STARTS, s.pending.ids[own[1][0]], own[1][1], Basis.PROMISE)
    if asked.standing is not None:
        return None
    somewhere: Bool = np.logical_or.reduce(asked.sites)
    return next((e for e in _endings(s, somewhere[s.nodes.site]) if e.at_ms <= in_time_ms), None)


def _endings(s: Snapshot, nodes: Bool, among: Bool | None = None) -> Iterator[NextEvent]:
    """When attempts on these nodes end, in order, as far as anybody knows. Claims free nothing soon. A place that is kept for one
    that moves is named as that one, which will be there until then. among: which attempts."""
    a, ends, owner = s.attempts, latest_ends(s), owners(s)
    there = (a.state != CLAIMED) & (ends < FOREVER_MS)
    there &= np.bincount(owner[nodes[a.worker_node]], minlength=len(a.ids)) > 0
    if among is not None:
        there &= among
    named = np.where(a.follows >= 0, a.follows, np.arange(len(a.ids))).tolist()
    by_id = np.array(sorted(np.flatnonzero(there).tolist(), key=lambda i: a.ids[named[i]]), np.int64)
    for i in sort_by(ends, by_id).tolist():
        basis = Basis.GRACE if a.state[i] == STOPPING else Basis.LIMIT
        yield NextEvent(NextKind.ATTEMPT_ENDS, a.ids[named[i]], int(ends[i]), basis, a.workloads[i])


# -- preemption -----------------------------------------------------------------------------------------------------------


def by_force(planning: Planning, asked: Question, row: int, before_ms: int) -> NextEvent | None:
    """For a waiting workload that may make others stop, as it preempts, as some yield, or as some borrow: the event with which it
    can, if nothing else happens until then than that guaranteed runs end and attempts reach their limits. Mostly the end of a
    guaranteed run; or of an attempt beside which too few others could be asked. None when neither comes before `before_ms`."""
    s, sites = planning.s, asked.payable(asked.sites)
    guaranteed, may, rights = guaranteed_until(s), preemptible(s), planning.cycle.rights
    reclaims = len(rights.uses) > 0 and bool(asked.cycle.queue.firm[0])
    borrow = may & borrowing(rights) if reclaims else np.zeros(len(may), np.bool_)
    may &= s.attempts.yields | borrow | s.pending.preempts[row]
    if not ((s.pending.preempts[row] or may.any()) and planning.ahead(row) >= 0 and sites.any()):
        return None
    moments = np.unique(np.concatenate([guaranteed[may], latest_ends(s)]))
    moments = moments[(moments > s.now_ms) & (moments < before_ms)]
    board = _without_later(planning, row)
    at = _first(moments.tolist(), lambda at_ms: Later(planning, asked, board, at_ms).suffice(sites), bool(borrow.any()))
    if at == len(moments):
        return None
    at_ms = int(moments[at])
    then = Later(planning, asked, board, at_ms)
    victims, how = then.cheapest(sites)
    if not victims and not then.fits(sites):  # they would leave too late for its deadline
        return None
    due = [v for v in victims if guaranteed[v] == at_ms]
    if due:
        return _asked(s, due[0], at_ms, victims, how == RECLAIM)
    return next((e for e in _endings(s, _nodes(asked, sites, board)) if e.at_ms == at_ms), None)


def _first(moments: list[int], suffice: Callable[[int], bool], one_by_one: bool) -> int:
    """The first moment that suffices, or as many as there are. Room only grows, so it is found by bisection; but who borrows
    comes and goes."""
    if not one_by_one:
        return bisect_left(moments, True, key=suffice)
    return next((i for i, at_ms in enumerate(moments[:MOMENTS_MAX]) if suffice(at_ms)), len(moments))


def _without_later(planning: Planning, row: int) -> Board:
    """The board with the promises alone that were given before the turn of this row."""
    board, ahead = planning.cycle.board, planning.cycle.found.each.ahead
    p = board.promises
    earlier = ahead[p.pending[: board.used[PROMISES]]] < ahead[row]
    here, seats = board.here.copy(), board.seats
    for node in np.flatnonzero(here.kept >= 0).tolist():
        kept = int(here.kept[node])
        while kept >= 0 and not earlier[seats.promise[kept]]:
            kept = int(seats.next[kept])
        here.kept[node] = kept
    return board._replace(here=here)


def _nodes(asked: Question, sites: Bool, board: Board) -> Bool:
    """Nodes on which it could run and pay."""
    cycle = asked.cycle
    found: Bool = np.zeros(len(board.cells.node), np.bool_)
    for alt, site in np.argwhere(sites).tolist():
        low, high = cycle.low[site, asked.kinds[alt]], cycle.high[site, asked.kinds[alt]]
        found |= (board.cells.node.cell >= low) & (board.cells.node.cell < high)
    return found


class Later:
    """A moment to come, if nothing but time changes: who has left by then, and who may be asked to."""

    def __init__(self, planning: Planning, asked: Question, board: Board, at_ms: int) -> None:
        cores, memory, level = rooms_then(board, at_ms)
        node = board.cells.node.copy()
        node.level = level
        farm = board.ground.nodes.copy()
        farm.cores_free, farm.memory_free = cores, memory
        ground = board.ground._replace(nodes=farm, share_free=lefts_then(board, at_ms))
        taken, s = planning.cycle.candidates.taken, planning.s
        self._candidates: Candidates = candidates_of(s, at_ms, len(ground.share_free), latest_ends(s))._replace(taken=taken)
        self._at_ms = at_ms
        self._last_ms = int(self._candidates.gone[self._candidates.attempt].max(initial=at_ms))
        cells = board.cells._replace(node=node, cores=np.maximum(cores[board.cells.nodes], 0))
        self._board = board._replace(used=board.used.copy(), ground=ground, cells=cells)
        self._asked = asked
        self._gang = gang_of(asked.cycle.demands, 0)
        self._rights = _rights_then(planning, at_ms)
        somebody = bool(asked.cycle.queue.firm[0]) and somebody_borrows(self._rights, self._candidates)
        self._hows = (GENTLY, *[RECLAIM] * somebody, *[FORCE] * bool(asked.cycle.queue.preempts[0]))

    def fits(self, sites: Bool) -> bool:
        """Whether there is room at one of the sites, and quota."""
        return any(
            fit_now(self._board, self._candidates, *part, self._gang) >= self._gang.workers and self._within(alt)
            for alt, _, part in self._all(sites)
        )

    def suffice(self, sites: Bool) -> bool:
        """Whether there is room at one of the sites if all who may be asked leave."""
        return self.fits(sites) or any(
            self._choose(alt, site, part, how) for how in self._hows[::-1] for alt, site, part in self._all(sites)
        )

    def _all(self, sites: Bool) -> Iterator[tuple[int, int, tuple[int, int]]]:
        return ((alt, site, part) for alt, site in np.argwhere(sites).tolist() for part in self._parts(alt, site))

    def cheapest(self, sites: Bool) -> tuple[list[int], int]:
        """Whose place it would take, and how: that of the cheapest victims, on the best of its alternatives that has any."""
        ranked = ((self._ranked(alt, sites[alt], how), how) for how in self._hows for alt in range(len(sites)))
        return next(((found[0][3], how) for found, how in ranked if found), ([], GENTLY))

    def _within(self, alt: int) -> bool:
        return not limits(self._rights.quota) or bool(fits_quota(self._rights.quota, self._asker(alt)))

    def _asker(self, alt: int) -> Asker:
        return Asker(*map(int, asker_of(self._asked.cycle, 0, int(self._asked.kinds[alt]))))

    def _ranked(self, alt: int, sites: Bool, how: int) -> list[tuple[float, int, int, list[int]]]:
        """What is lost, how many make room, where, and who: the least first."""
        found = [(self._choose(alt, at, part, how), at) for at in np.flatnonzero(sites).tolist() for part in self._parts(alt, at)]
        lost, gone, queue = self._candidates.lost, self._candidates.gone, self._asked.cycle.queue
        limit_ms = limit_on(queue, 0, alt)
        return sorted(
            (sum(lost[v] for v in victims), len(victims), site, victims)
            for victims, site in found
            if victims and not too_late(queue, 0, min(int(max(gone[v] for v in victims)) + limit_ms, int(FOREVER_MS)))
        )

    def _parts(self, alt: int, site: int) -> Iterator[tuple[int, int]]:
        """The runs of cells of a site in one of which it has to sit, if it would be over in time there; the board is told how
        long a claim would last."""
        cycle, kind = self._asked.cycle, self._asked.kinds[alt]
        limit_ms = limit_on(cycle.queue, 0, alt)
        self._board.used[LASTS] = min(self._last_ms + limit_ms, int(FOREVER_MS))
        if too_late(cycle.queue, 0, self._at_ms + limit_ms):
            return iter(())
        low, high = int(cycle.low[site, kind]), int(cycle.high[site, kind])
        step = parts(self._gang, low, high)
        return ((part, part + step) for part in range(low, high, step))

    def _choose(self, alt: int, site: int, part: tuple[int, int], how: int) -> list[int]:
        victims, asker = np.zeros(len(self._candidates.attempt), np.int32), self._asker(alt)
        if how != RECLAIM and not self._within(alt):
            return []
        count = choose(self._board, self._candidates, self._rights, site, *part, self._gang, asker, how, victims)
        chosen: list[int] = victims[:count].tolist()
        return chosen


def _rights_then(planning: Planning, at_ms: int) -> Rights:
    """What quotas say once those have ended who are gone by then."""
    s, now, taken, there = planning.s, planning.cycle.rights, planning.cycle.candidates.taken, planning.cycle.moves.movers
    then = now._replace(
        quota=now.quota._replace(used=now.quota.used.copy()), stays=now.stays._replace(used=now.stays.used.copy())
    )
    moves = there.workers > 0 if len(there) else np.zeros(len(taken), np.bool_)
    ends, kept = np.where(taken, planning.cycle.candidates.gone, latest_ends(s)), s.attempts.follows >= 0
    ends[moves] += there.rest[moves[: len(there)]]
    ends[s.attempts.follows[kept]] = ends[kept]  # who is moved is gone when it has left its new place
    left = (taken & ~moves) | ((s.attempts.state == STOPPING) & ~followed(s.attempts))  # those do not stay as it is
    for attempt in np.flatnonzero(ends <= at_ms).tolist() if len(now.uses) else ():
        give_back(then, then.quota, attempt)
        if not left[attempt]:
            give_back(then, then.stays, attempt)
    return then


def _asked(s: Snapshot, victim: int, at_ms: int, victims: list[int], reclaims: bool) -> NextEvent:
    a = s.attempts
    basis = Basis.QUOTA if reclaims else Basis.YIELDS if a.yields[victim] else Basis.GUARANTEED_RUN
    return NextEvent(NextKind.PREEMPTION, a.ids[victim], at_ms, basis, a.workloads[victim], len(victims), _yielding(s, victims))


def _moved(s: Snapshot, victims: list[int]) -> NextEvent:
    a, count = s.attempts, len(victims)
    return NextEvent(NextKind.PREEMPTION, a.ids[victims[0]], s.now_ms, Basis.MOVE, a.workloads[victims[0]], count, moved=count)


def _yielding(s: Snapshot, victims: list[int]) -> int:
    return int(np.count_nonzero(s.attempts.yields[victims]))


def asked_now(s: Snapshot, plan: Plan, start: int) -> NextEvent | None:
    """Whom a plan asks to make room for its start number `start`; None when that one starts at once."""
    victims = plan.victim_attempt[plan.start_victim_ptr[start] : plan.start_victim_ptr[start + 1]].tolist()
    if plan.moved(start):
        return _moved(s, victims)
    return _asked(s, victims[0], s.now_ms, victims, bool(plan.start_reclaims[start])) if victims else None


def leaving(s: Snapshot, workload: str) -> NextEvent | None:
    """For a workload that holds a claim: when the last of those that make room for it is gone, at the latest. None when it holds
    none, when they have left already, or when their site is not heard of: then nobody knows."""
    a = s.attempts
    claims = [i for i, id in enumerate(a.workloads) if id == workload and a.state[i] == CLAIMED]
    victims = np.flatnonzero(np.isin(a.beneficiary, claims)).tolist()
    if not victims or not s.sites.reachable[s.nodes.site[a.worker_node[a.worker_ptr[claims[0]]]]]:
        return None
    ends = latest_ends(s)
    last = max(victims, key=lambda v: (ends[v], a.ids[v]))
    moved = int(np.isin(victims, a.follows).sum())
    told = (len(victims), 0 if moved else _yielding(s, victims), moved)
    return NextEvent(NextKind.VICTIM_LEAVES, a.ids[last], int(ends[last]), Basis.GRACE, a.workloads[last], *told)
