"""Who moves to other room of its site, so that work starts which has enough of it but not together.

Node by node, those first whose work loses least, room is made for one more worker each, until all fit; each of those who move
goes to the fullest node of its own type that takes it now, that is promised to nobody, and on which the claim has no use for the
room. Only RUNNING, preemptible attempts that have had their guaranteed run, sit on one node and may go on elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from dure.scheduler.attempts import rests
from dure.scheduler.snapshot import FOREVER_MS, I64, Bool, Snapshot
from tests.plain.capacity import Ground
from tests.plain.place import CORES, DEVICES, Need, Seats, workers_in
from tests.plain.shapes import Group, Way
from tests.plain.victims import Candidates

MOVES_MAX, MOVING_MAX, NODES_MAX = 8, 16, 32
Moving = tuple[Way, int, list[int], Bool, dict[int, int]]  # way, site, who moves, the nodes that may be used, where to


class Movers:
    """Those of a snapshot who may be moved."""

    def __init__(self, s: Snapshot, ground: Ground, candidates: Candidates) -> None:
        self.ground, self.candidates = ground, candidates
        self.rest: list[int] = rests(s, s.now_ms).tolist() if s.policy.moves else [0] * len(s.attempts.ids)
        a = s.attempts
        ptr = a.worker_ptr.tolist()
        self.node = [int(a.worker_node[first]) if first < last else -1 for first, last in pairwise(ptr)]
        self.workers = np.diff(a.worker_ptr).tolist()
        self.need: list[Need] = [
            (int(a.cores_milli[i]), int(a.memory_mib[i]), int(a.worker_mask[first]).bit_count() if first < last else 0)
            for i, (first, last) in enumerate(pairwise(ptr))
        ]
        self.kind = [int(s.nodes.accelerator[node]) for node in self.node]
        self.made = 0  # claims for which others move

    def until(self, attempt: int) -> int:
        """When it has left its new place at the latest."""
        return min(int(self.candidates.gone([attempt]).max()) + self.rest[attempt], int(FOREVER_MS))

    def cheapest(self, group: Group, kept: list[int]) -> Moving | None:
        """Who moves for a workload: those who lose least, on the best of its ways for which any can. kept: promised nodes."""
        if not any(self.rest) or not group.firm or self.made >= MOVING_MAX:
            return None
        for way in group.ways:
            usable = self.ground.usable(way.accelerator).copy()
            usable[kept] = False
            found = []
            for site in np.flatnonzero(way.sites).tolist():
                search = Search(self, group.shape.need, group.shape.workers, site, usable & (self.ground.site == site), kept)
                if self._enough(way, group, site) and search.run():
                    lost = 0.0
                    for attempt in search.away:
                        lost += self.candidates.lost[attempt]
                    found.append((lost, len(search.away), site, search))
            if found:
                _, _, site, search = min(found, key=lambda f: f[:3])
                return way, site, search.away, usable, search.target
        return None

    def _enough(self, way: Way, group: Group, site: int) -> bool:
        need, workers = group.shape.need, group.shape.workers
        return all(self.ground.spare(way.accelerator, d)[site] >= workers * need[d] for d in (DEVICES, CORES))

    def seats(self, attempt: int, target: int) -> Seats:
        return Seats((target,), (self.workers[attempt],))


@dataclass(slots=True)
class Search:
    """At one site, for workers of one need."""

    movers: Movers
    need: Need
    workers: int
    site: int
    usable: Bool  # by node
    kept: list[int]
    away: list[int] = field(default_factory=list)  # who moves
    target: dict[int, int] = field(default_factory=dict)  # and where each goes

    def run(self) -> bool:
        if self._total() >= self.workers:
            return False
        rounds: list[list[int]] = []
        going = True
        while going and self._total() < self.workers:
            before = len(rounds)
            self._round(rounds)
            self._singly(rounds)
            going = len(rounds) > before
        if self._total() < self.workers:
            return False
        for some in rounds[::-1]:
            targets = {i: self.target.pop(i) for i in some}
            stays = [i for i in self.away if i not in some]
            self.away, before_away = stays, self.away
            if self._total() < self.workers:
                self.away = before_away
                self.target |= targets
        return True

    def _fits(self, more: list[int]) -> I64:
        """By node, how many workers there is room for once these have left as well."""
        room = self._room([*self.away, *more])
        return workers_in(room, self.need) * self.usable

    def _total(self) -> int:
        return int(self._fits([]).sum())

    def _room(self, away: list[int]) -> I64:
        room = self.movers.candidates.room(away)
        for i, node in self.target.items():
            room[:, node] -= np.array(self.movers.need[i]) * self.movers.workers[i]
        return room

    def _round(self, rounds: list[list[int]]) -> None:
        m, asked, base = self.movers, dict[int, list[int]](), self._fits([])
        done: set[int] = set()
        for i in m.candidates.at_site(self.site):
            node = m.node[i]
            if not m.rest[i] or i in self.away or node in done or node in self.target.values() or not self.usable[node]:
                continue
            asked.setdefault(node, []).append(i)
            if self._fits(asked[node])[node] > base[node]:
                done.add(node)
        options: list[tuple[float, list[int]]] = []
        for node in (node for node in asked if node in done):
            needed = asked[node]
            for i in asked[node][::-1]:  # dearest first
                rest = [x for x in needed if x != i]
                needed = rest if self._fits(rest)[node] > base[node] else needed
            lost = 0.0
            for i in needed[::-1]:
                lost += m.candidates.lost[i]
            options.append((lost, needed))
        for _, needed in sorted(options, key=lambda option: option[0])[:NODES_MAX]:
            if self._total() < self.workers and m.node[needed[0]] not in self.target.values() and self._go(needed):
                rounds.append(needed)

    def _singly(self, rounds: list[list[int]]) -> None:
        """Whoever makes room for one more worker alone, cheapest first."""
        m, tried = self.movers, 0
        for i in m.candidates.at_site(self.site):
            node, fits = m.node[i], self._fits([])
            if int(fits.sum()) >= self.workers or len(self.away) >= MOVES_MAX or tried >= NODES_MAX:
                return
            if not m.rest[i] or i in self.away or node in self.target.values() or not self.usable[node]:
                continue
            if self._fits([i])[node] > fits[node]:
                tried += 1
                if self._go([i]):
                    rounds.append([i])

    def _go(self, needed: list[int]) -> bool:
        """Let these move, if all find a place."""
        own = self.movers.node[needed[0]]
        before = list(self.away)
        for i in needed:
            found = self._target(i, own) if len(self.away) < MOVES_MAX else None
            if found is None:
                self.away = before
                self.target = {x: node for x, node in self.target.items() if x in before}
                return False
            self.away.append(i)
            self.target[i] = found
        return True

    def _target(self, i: int, own: int) -> int | None:
        m, room = self.movers, self._room(self.away)
        left = {own, *(m.node[x] for x in self.away)}
        fits, mine = workers_in(room, m.need[i]), self._fits([])
        may = m.ground.usable(m.kind[i]) & (m.ground.site == self.site) & (fits >= m.workers[i]) & (mine == 0)
        nodes = [n for n in np.flatnonzero(may).tolist() if n not in left and n not in self.kept and self._typed(n, i)]
        return min(nodes, key=lambda n: (int(room[DEVICES, n]), int(room[CORES, n]), n), default=None)

    def _typed(self, node: int, i: int) -> bool:
        """Of the type of the node that it leaves, also where that is none."""
        return int(self.movers.ground.kind[node]) == self.movers.kind[i]
