"""The plan: every waiting workload in its turn is started, or started as a claim behind victims, or promised a moment, or
told why it waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from functools import cached_property

import numpy as np

from dure.model.money import CURRENCIES
from dure.model.reason import ReasonKind
from dure.scheduler.funds import KRW, PAY_ORDER
from dure.scheduler.plan import CAPACITY, WAIT_CODE, WAIT_CODES, Plan
from dure.scheduler.snapshot import DEPENDENCY_MET, FOREVER_MS, I64, Bool, Snapshot
from tests.plain.capacity import Ground, Promise
from tests.plain.decisions import STARTS, Decisions, Start, assemble
from tests.plain.funds import Funds
from tests.plain.moves import Movers, Moving
from tests.plain.packing import Likes
from tests.plain.place import CORES, DEVICES, MEMORY, Seats, emptiness, without, workers_in
from tests.plain.promises import Spot, earliest
from tests.plain.shapes import Group, Shape, Verdict, Way, for_some, groups_of
from tests.plain.turns import Turns
from tests.plain.victims import Candidates, Taking, cheapest

Pace = Callable[[], None]
PACE_EVERY = 64  # turns: a few milliseconds


def at_once() -> None:
    """The pace of a plan that nothing is more urgent than."""


class Chance(Enum):
    """What a workload would get if it were its turn."""

    WAITS = 0
    STARTS = 1
    CLAIMS = 2  # it would start behind victims


def plan(snapshot: Snapshot) -> Plan:
    """Decide about every waiting workload. Pure: the same snapshot gives the same plan, byte for byte."""
    cycle = Cycle(snapshot)
    cycle.run()
    return assemble(snapshot, cycle.done, [verdict_of(cycle, row) for row in range(len(snapshot.pending.ids))])


class Cycle:
    """The state of one plan while it is made. pace: called again and again while it is, so that a question can let something more
    urgent go first; it changes nothing."""

    def __init__(self, s: Snapshot, pace: Pace = at_once) -> None:
        pace()
        self.s, self._pace = s, pace
        self.ground, self.funds = Ground(s), Funds(s)
        self.likes = Likes(s)
        self.groups, self.group_of = groups_of(s, self.ground)
        self.done = Decisions()
        # What failed before fails again, as a plan only uses up: the shortest limit that failed by (shape, alternative, site),
        # and the priority by (shape, payable sites) for preemption. Claims free something, so they clear both.
        self._full: dict[Shape, I64] = {}  # shape (alternatives, sites)
        self._spared: set[tuple[object, ...]] = set()
        self._looked = 0  # tries behind the first promise

    @cached_property
    def candidates(self) -> Candidates:
        return Candidates(self.s, self.ground)

    @cached_property
    def movers(self) -> Movers:
        return Movers(self.s, self.ground, self.candidates)

    # -- 1. deciding ----------------------------------------------------------------------------------------------------

    def run(self, until: int = -1) -> None:
        """Give every workload its turn, or stop after that of `until`: whoever comes later cannot change what it got."""
        turns = Turns(self.s, self._eligible())
        while (row := turns.next()) is not None:
            self._turn(turns, row)
            if row == until:
                return

    def lead_up(self, to: int) -> None:
        """Give those before `to` their turn, as though nothing but its turn kept it waiting: until then its demand, limit, sites
        and types cannot have changed anything, so `chance` may ask about any of them."""
        turns = Turns(self.s, sorted({*self._eligible(), to}))
        row = turns.next()
        while row is not None and row != to:
            self._turn(turns, row)
            row = turns.next()
        self.funds.forget()  # what it asks for may be more than the largest hold that those answers were kept for

    def chance(self, group: Group) -> Chance:
        """Whether a workload of this group would start if it were its turn. Changes nothing."""
        if group.standing.verdict is not None or not self._tries_left or not self.ways(group):
            return Chance.WAITS
        if self._spot(group) is not None:
            return Chance.STARTS
        return Chance.CLAIMS if self._forced(group) is not None else Chance.WAITS

    def _turn(self, turns: Turns, row: int) -> None:
        if len(self.done.ahead) % PACE_EVERY == 0:
            self._pace()
        tried = self._tries_left
        if tried and self._decide(row):
            turns.charge(row, self._use(row))
        if row not in self.done.starts:
            self.done.ahead[row] = len(self.done.ahead)
            self.done.tried += tried

    @property
    def _tries_left(self) -> bool:
        return self._looked < self.s.policy.backfill_depth or not self.done.promises

    def _eligible(self) -> list[int]:
        """Rows that may start at all, if there is room and money."""
        if self.s.draining:
            return []
        p = self.s.pending
        rows = np.flatnonzero((p.dependency == DEPENDENCY_MET) & (p.eligible_ms <= self.s.now_ms)).tolist()
        return [row for row in rows if self.groups[self.group_of[row]].standing.verdict is None]

    def _decide(self, row: int) -> bool:
        """Whether the workload got anything that its project is charged for."""
        group = self.groups[self.group_of[row]]
        if not self.ways(group):
            return False
        if self._start(row, group):
            return True
        if self._preempt(row, group):
            return True
        return len(self.done.promises) < self.s.policy.reservations_max and not group.hopeless and self._promise(row, group)

    def _use(self, row: int) -> float:
        """What it will have used by its limit, in normalised core-seconds, on the type that it got or else prefers."""
        group = self.groups[self.group_of[row]]
        start = self.done.starts.get(row)
        accelerator = start.way.accelerator if start else group.shape.accelerators[0]
        rate = group.shape.need[0] / 1000 + group.shape.need[DEVICES] * float(self.s.core_rate[accelerator])
        workers = sum(start.seats.counts) if start else group.shape.workers
        return workers * rate * group.limits[start.way.alt if start else 0] / 1000

    # -- 2. paying ------------------------------------------------------------------------------------------------------

    def ways(self, group: Group) -> list[Way]:
        """How the group could run and pay now: alternatives in order of preference, merit before won, at which sites."""
        version = self.funds.version[group.project]
        if group.ways_at != version:
            group.ways, group.ways_at = self._ways(group), version
            group.key = (group.shape, *((w.alt, w.sites.tobytes()) for w in group.ways))
        return group.ways

    def _ways(self, group: Group) -> list[Way]:
        ways = []
        for alt, sites in enumerate(group.standing.sites):
            accelerator = group.shape.accelerators[alt]
            for currency in PAY_ORDER:
                hold = group.holds[alt][currency]
                if hold < 0:
                    continue
                paid = sites
                if hold and not self.funds.covers(group.project, accelerator, currency, hold):
                    paid = sites & (self.funds.available(group.project, accelerator, currency) >= hold)
                if paid.any():
                    ways.append(Way(alt, accelerator, currency, hold, paid, group.wholes[alt][currency], group.limits[alt]))
        return ways

    # -- 3. starting ----------------------------------------------------------------------------------------------------

    def _start(self, row: int, group: Group) -> bool:
        if not any(self._open(group, way) for way in group.ways):
            return False
        self._looked += bool(self.done.promises)
        spot = self._spot(group)
        if spot is None:
            return False
        way, site, seats = spot
        way = replace(way, hold=for_some(way.whole, sum(seats.counts), group.shape.most))
        masks = self.ground.start(seats, group.shape.need, self.s.now_ms + way.limit_ms)
        self.likes.join_all(seats, group.shape.need)
        self._record(Start(row, way, site, seats, tuple(masks)))
        return True

    def _open(self, group: Group, way: Way) -> list[int]:
        """Sites at which it has not failed."""
        sites: list[int] = np.flatnonzero(way.sites & (self._failed(group)[way.alt] > way.limit_ms)).tolist()
        return sites

    def _failed(self, group: Group) -> I64:
        if group.failed is None:
            none = np.full((len(group.shape.accelerators), self.ground.site_count), FOREVER_MS)
            group.failed = self._full.setdefault(group.shape, none)
        return group.failed

    def _spot(self, group: Group) -> tuple[Way, int, Seats] | None:
        """Where it would start now: on the first of its ways that has room, at the site with the least to spare."""
        shape = group.shape
        if shape.workers < shape.most:
            return self._widest(group)
        for way in group.ways:
            end_ms = self.s.now_ms + way.limit_ms
            open_sites = self._open(group, way)
            if not open_sites:
                continue
            spare, fit = self.spare(group, way), self.ground.fit(shape.need, way.accelerator, self.ground.layer(end_ms))
            for site in sorted(open_sites, key=lambda x: (spare[x], x)):
                if fit.per_site[site] >= shape.workers:
                    return way, site, self._seats(site, fit.per_node, shape, shape.workers)
                self._failed(group)[way.alt, site] = self.ground.shortest_alike(end_ms)
        return None

    def _widest(self, group: Group) -> tuple[Way, int, Seats] | None:
        """The same for a gang that may have fewer workers than it asks for: on the first alternative that has room for the
        fewest, with as many as it can pay for at any one site."""
        shape = group.shape
        for alt in range(len(shape.accelerators)):
            found: list[tuple[int, Way, int, I64]] = []
            end_ms = self.s.now_ms + group.limits[alt]
            for way in [way for way in group.ways if way.alt == alt]:
                spare, fit = self.spare(group, way), self.ground.fit(shape.need, way.accelerator, self.ground.layer(end_ms))
                left = self.funds.available(group.project, way.accelerator, way.currency)
                for site in sorted(self._open(group, way), key=lambda x: (spare[x], x)):
                    if fit.per_site[site] < shape.workers:
                        self._failed(group)[way.alt, site] = self.ground.shortest_alike(end_ms)
                        continue
                    counts = range(shape.workers, min(shape.most, int(fit.per_site[site])) + 1)
                    paid = [n for n in counts if for_some(way.whole, n, shape.most) <= left[site]]
                    found.append((max(paid), way, site, fit.per_node))
            if found:
                workers, way, site, per_node = max(found, key=lambda f: f[0])  # the first of equals
                return way, site, self._seats(site, per_node, shape, workers)
        return None

    def _seats(self, site: int, per_node: I64, shape: Shape, workers: int) -> Seats:
        if self.likes.fullest:
            return self.ground.seats(site, per_node, self.ground.empty, workers)
        return self.likes.seats(self.ground, site, per_node, shape.need, workers)

    def spare(self, group: Group, way: Way) -> list[int]:
        """By site, how much is free now of what a workload wants: devices, or cores if it wants none."""
        return self.ground.spare(way.accelerator, DEVICES if group.shape.need[DEVICES] else CORES)

    def _record(self, start: Start) -> None:
        self.done.starts[start.row] = start
        if start.way.hold:
            project = self.groups[self.group_of[start.row]].project
            self.funds.take(project, start.way.accelerator, start.way.currency, start.site, start.way.hold)

    # -- 4. preempting --------------------------------------------------------------------------------------------------

    def _preempt(self, row: int, group: Group) -> bool:
        found = self._forced(group)
        if found is None:
            self._spared.add((group.priority, group.preempts, group.firm, *group.key))
            return False
        self._claim(row, group.shape, *found)
        return True

    def _forced(self, group: Group) -> Taking | Moving | None:
        """Whose place it could take: of those that yield, of those that can go on elsewhere, or of others. Claims keep off the
        nodes of every promise: how soon a victim leaves is not known well enough to go below one."""
        if (group.priority, group.preempts, group.firm, *group.key) in self._spared:
            return None
        promised = [node for p in self.done.promises.values() for node in p.seats.nodes]
        found = cheapest(self.candidates, self.ground, group, promised, force=False) or self.movers.cheapest(group, promised)
        by_force = found is None and group.preempts
        return cheapest(self.candidates, self.ground, group, promised, force=True) if by_force else found

    def _claim(
        self, row: int, shape: Shape, way: Way, site: int, victims: list[int], usable: Bool, to: dict[int, int] | None = None
    ) -> None:
        """to: where victims go on that are moved."""
        ground, until = self.ground, {v: self.movers.until(v) for v in to or ()}
        room = self.candidates.room(victims)
        seats = ground.seats(site, workers_in(room, shape.need) * usable, emptiness(room), shape.workers)
        rows = self.candidates.workers(victims)
        gone = self.candidates.gone(victims)
        end_ms = min(int(gone.max()) + way.limit_ms, int(FOREVER_MS))
        ground.tenures.end[rows] = gone
        masks = ground.claim(seats, shape.need, end_ms, rows)
        self.likes.join_all(seats, shape.need)
        self.candidates.take(victims)
        self.movers.made += bool(to)
        places = [(to[v], tuple(ground.start(self.movers.seats(v, to[v]), self.movers.need[v], until[v]))) for v in victims if to]
        for v in victims if to else ():
            self.likes.join_all(self.movers.seats(v, to[v]), self.movers.need[v])
        self._record(Start(row, way, site, seats, tuple(masks), tuple(victims), tuple(places)))
        for failed in self._full.values():
            failed[:] = FOREVER_MS
        self._spared.clear()
        for group in self.groups:
            group.hopeless = False

    # -- 5. promising ---------------------------------------------------------------------------------------------------

    def _promise(self, row: int, group: Group) -> bool:
        """Keep the moment for it from which on it is over earliest, on the best alternative among equals."""
        best: tuple[int, Way, Spot] | None = None
        for way in group.ways:
            spare = self.spare(group, way)
            spot = earliest(self.ground, group.shape.need, group.shape.workers, way.limit_ms, way.accelerator, way.sites, spare)
            if spot is not None and (best is None or spot[0] + way.limit_ms < best[0]):
                best = (spot[0] + way.limit_ms, way, spot)
        if best is None:
            group.hopeless = True
            return False
        end_ms, way, (at_ms, _, seats) = best
        self.done.blocked[row] = (self.blocked(group, group.ways), group.ways)
        promise = Promise(at_ms, len(self.done.promises), row, end_ms, group.shape.need, seats, way.alt)
        self.done.promises[row] = promise
        self.ground.promise(promise)
        return True

    # -- 6. telling why -------------------------------------------------------------------------------------------------

    def blocked(self, group: Group, ways: list[Way]) -> Verdict:
        """What keeps a workload that can pay from starting: too little room; a promise, the first that it would delay; or
        nothing but that its turn is over."""
        shape = group.shape
        fits = self._most(shape, ways, 0)
        if fits < shape.workers:
            empty = self._most_ever(shape, ways)
            out = empty < shape.workers
            return (WAIT_CODE[ReasonKind.NODES_OUT], (shape.workers, empty)) if out else self._scarcest(shape, ways, fits)
        for layer in range(1, max(self.ground.layer(self.s.now_ms + way.limit_ms) for way in ways) + 1):
            if self._most(shape, ways, layer) < shape.workers:
                promise = self.ground.promises[layer - 1]
                return WAIT_CODE[ReasonKind.WAITS_RESERVED], (promise.pending, promise.at_ms)
        return WAIT_CODE[ReasonKind.WAITS_FOR_TURN], ()

    def _scarcest(self, shape: Shape, ways: list[Way], fits: int) -> Verdict:
        """The dimension of which more would help most: how much of it each worker wants, and the most that is free on one node
        that has the rest. Where no node has the rest of any, that of which there is least. Devices go first among equals."""
        nodes = np.logical_or.reduce([self.ground.usable(w.accelerator) & w.sites[self.ground.site] for w in ways])
        free = np.maximum(self.ground.layers[0][:, nodes], 0)
        asked = [d for d in (DEVICES, CORES, MEMORY) if shape.need[d]]
        rest = {d: workers_in(free, without(shape.need, d)) for d in asked}
        short = max(asked, key=lambda d: (int(rest[d].sum()), -int((free[d] // max(1, shape.need[d])).sum())))
        most = int(free[short][rest[short] > 0].max(initial=0))
        return WAIT_CODE[CAPACITY[short]], (shape.workers, fits, shape.need[short], most)

    def _most(self, shape: Shape, ways: list[Way], layer: int) -> int:
        """The most workers that fit at one site, delaying none of the first `layer` promises that come before they end."""
        upto = [min(layer, self.ground.layer(self.s.now_ms + w.limit_ms)) for w in ways]
        fits = [self.ground.fit(shape.need, w.accelerator, n).per_site[w.sites].max() for w, n in zip(ways, upto, strict=True)]
        return int(max(fits))

    def _most_ever(self, shape: Shape, ways: list[Way]) -> int:
        """The most workers that the nodes in use at one site could take, everybody else gone."""
        room = workers_in(self.ground.total, shape.need)
        return max(int(self.ground.by_site(room * self.ground.usable(w.accelerator))[w.sites].max()) for w in ways)

    def unpaid(self, group: Group) -> Verdict:
        """What is missing: an award, or money in it. Won before merit, then the smallest gap, then the better alternative."""
        gaps = self._short(group)
        if not gaps:
            return WAIT_CODE[ReasonKind.NO_AWARD], ()
        currency, _, _, hold, available = min(gaps)
        return WAIT_CODE[ReasonKind.FUNDS_SHORT], (hold, available, currency)

    def gaps(self, group: Group) -> list[int]:
        """Amounts of won that are missing, smallest first, for one alternative and site or another."""
        found = set()
        for alt, sites in enumerate(group.standing.sites):
            available = self.funds.available(group.project, group.shape.accelerators[alt], KRW)
            missing = group.holds[alt][KRW] - available[sites]
            found.update(missing[missing > 0].tolist())
        return sorted(found)

    def _short(self, group: Group) -> list[tuple[int, int, int, int, int]]:
        """(currency, gap, alternative, hold, available) wherever there is an award."""
        gaps = []
        for alt, sites in enumerate(group.standing.sites):
            accelerator = group.shape.accelerators[alt]
            for currency in range(len(CURRENCIES)):
                hold = group.holds[alt][currency]
                awarded = sites & self.funds.award_sites(group.project, accelerator, currency)
                if hold >= 0 and awarded.any():
                    available = int(self.funds.available(group.project, accelerator, currency)[awarded].max())
                    gaps.append((currency, hold - available, alt, hold, available))
        return gaps


def verdict_of(cycle: Cycle, row: int) -> Verdict:
    """Why the workload in `row` waits once every one had its turn, what its owner can do most about first."""
    if row in cycle.done.starts:
        return STARTS, ()
    group = cycle.groups[cycle.group_of[row]]
    if group.standing.verdict is not None:
        return group.standing.verdict
    if row in cycle.done.promises:
        return _promised(cycle, group, *cycle.done.blocked[row])
    if not cycle.ways(group):
        group.told = group.told or cycle.unpaid(group)
        return group.told
    early = not_yet(cycle.s, row)
    if early is not None:
        return early
    group.told = group.told or cycle.blocked(group, group.ways)
    code, facts = group.told
    return code, (cycle.done.ahead[row],) if code == WAIT_CODE[ReasonKind.WAITS_FOR_TURN] else facts


def _promised(cycle: Cycle, group: Group, verdict: Verdict, ways: list[Way]) -> Verdict:
    """As it was at its turn, with the room that the plan leaves in the end."""
    now = cycle.blocked(group, ways)
    return now if WAIT_CODES[now[0]][0] in CAPACITY else verdict


def not_yet(s: Snapshot, row: int) -> Verdict | None:
    """What has to pass before the workload takes part at all."""
    if s.pending.dependency[row] != DEPENDENCY_MET:
        return WAIT_CODE[ReasonKind.WAITS_DEPENDENCY], ()
    if s.pending.eligible_ms[row] > s.now_ms:
        return WAIT_CODE[ReasonKind.WAITS_PAUSE], (int(s.pending.eligible_ms[row]),)
    if s.draining:
        return WAIT_CODE[ReasonKind.WAITS_DRAINING], ()
    return None
