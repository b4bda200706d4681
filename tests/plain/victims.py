"""Who makes room for work that preempts.

Only RUNNING, preemptible attempts of strictly lower priority that have run their guaranteed time and make room for nobody
yet; strictly lower, so no chain of preemptions comes back to its beginning. Those of classes that yield are guaranteed none, go
first, and make room for whoever has a higher priority, by themselves if they suffice. Cheapest first, by the work that would be
lost: workers x (cores + devices x core_rate) x time since the last checkpoint, in normalised core-seconds; then lowest
priority, then youngest, then id. As many are taken as are needed, and then, dearest first, each one is let go without whom the
rest still suffice, so no victim could be spared.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from dure.scheduler.attempts import OVERDUE_MS, guaranteed_until, latest_ends, lost_work, preemptible
from dure.scheduler.snapshot import I64, Bool, Snapshot
from tests.plain.capacity import Ground
from tests.plain.place import Need, workers_in
from tests.plain.shapes import Group, Way

Taking = tuple[Way, int, list[int], Bool]  # way, site, victims, the nodes that may be used


class Candidates:
    """The attempts of a snapshot that may be preempted now, or at a later moment if nothing but time changes; cheapest first.

    taken: those that make room for somebody already."""

    def __init__(self, s: Snapshot, ground: Ground, at_ms: int | None = None, taken: Collection[int] = ()) -> None:
        a = s.attempts
        self._ground, self._priority, self._yields = ground, a.priority, a.yields
        self._at_ms = s.now_ms if at_ms is None else at_ms
        self._later = self._at_ms > s.now_ms
        self.lost: list[float] = lost_work(s, self._at_ms).tolist()
        legal = preemptible(s) & (guaranteed_until(s) <= self._at_ms) & (latest_ends(s) > self._at_ms)
        rows = np.flatnonzero(legal).tolist()
        rows.sort(key=lambda i: (not a.yields[i], self.lost[i], a.priority[i], -a.started_ms[i], a.ids[i]))
        self._order: list[int] = rows
        self._ptr = a.worker_ptr
        self._node = a.worker_node
        self._grace, self._owner = a.grace_ms, np.repeat(np.arange(len(a.ids)), np.diff(a.worker_ptr))
        self._site = [int(s.nodes.site[a.worker_node[ptr]]) for ptr in a.worker_ptr[:-1].tolist()]
        self.taken: set[int] = set(taken)

    def workers(self, attempts: list[int]) -> I64:
        """Rows of the snapshot's workers that belong to these attempts."""
        rows = [row for i in attempts for row in range(int(self._ptr[i]), int(self._ptr[i + 1]))]
        return np.array(rows, np.int64)

    def gone(self, attempts: list[int]) -> I64:
        """When each of their workers is gone at the latest: within its grace once it was asked, or by its limit."""
        rows = self.workers(attempts)
        asked_ms = self._at_ms + OVERDUE_MS + self._grace[self._owner[rows]]
        gone: I64 = np.minimum(self._ground.tenures.end[rows], asked_ms)
        return gone

    def at_site(self, site: int) -> list[int]:
        """Those that may be asked there and make room for nobody yet, cheapest first."""
        return [i for i in self._order if self._site[i] == site and i not in self.taken]

    def take(self, attempts: list[int]) -> None:
        self.taken.update(attempts)

    def suffice(self, group: Group, kept: list[int]) -> bool:
        """Whether a workload of this group would find room off the `kept` nodes if all who may be preempted for it left."""
        room = self.room([i for i in self._order if self._priority[i] < group.priority and i not in self.taken])
        fits = workers_in(room, group.shape.need)
        fits[kept] = 0
        return any(
            (way.sites & (self._ground.by_site(fits * self._ground.usable(way.accelerator)) >= group.shape.workers)).any()
            for way in group.ways
        )

    def choose(self, need: Need, workers: int, priority: int, force: bool, site: int, usable: Bool) -> list[int]:
        """Victims at a site, dearest first, whose leaving makes room on its `usable` nodes; empty when none suffice. force:
        also of those that do not yield."""
        ranked = [i for i in self._order if self._site[i] == site and self._priority[i] < priority and i not in self.taken]
        ranked = [i for i in ranked if force or self._yields[i]]

        def enough(chosen: list[int]) -> bool:
            return int((workers_in(self.room(chosen), need) * usable).sum()) >= workers

        usable = usable & (self._ground.site == site)
        ranked = [i for i in ranked if usable[self._node[self._ptr[i] : self._ptr[i + 1]]].any()]
        if not enough(ranked):
            return []
        low, high = 1, len(ranked)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(ranked[:middle]) else (middle + 1, high)
        chosen = ranked[:low][::-1]
        for victim in tuple(chosen):
            rest = [i for i in chosen if i != victim]
            chosen = rest if enough(rest) else chosen
        return chosen

    def room(self, attempts: list[int]) -> I64:
        """What a claim could use once these attempts have left."""
        rows = self.workers(attempts)
        node, load = self._ground.tenures.node[rows], self._ground.tenures.load[:, rows]
        freed = [np.bincount(node, column, self._ground.size).astype(np.int64) for column in load]
        free = self._ground.floor(self._at_ms) if self._later else self._ground.rooms[0]
        room: I64 = free + np.array(freed)
        return room


def cheapest(candidates: Candidates, ground: Ground, group: Group, kept: list[int], *, force: bool) -> Taking | None:
    """Whose place a workload takes: that of the cheapest victims, on the best of its ways that has any. `kept` are nodes that it
    has to keep off. force: not only those that yield are asked."""
    for way in group.ways:
        usable = ground.usable(way.accelerator).copy()
        usable[kept] = False
        found = []
        for site in np.flatnonzero(way.sites).tolist():
            victims = candidates.choose(group.shape.need, group.shape.workers, group.priority, force, site, usable)
            if victims:
                found.append((sum(candidates.lost[v] for v in victims), len(victims), site, victims))
        if found:
            _, _, site, victims = min(found)
            return way, site, victims, usable
    return None
