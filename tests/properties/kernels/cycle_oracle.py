"""The cycle in plain words: the plan as it is made with numpy, with the rules of the kernels where these differ from it.

They differ in two. Among sites with room, the one with the least to spare of what is wanted (devices, or cores) is taken, where
the plan takes the one into which fewest more of the same would fit. And what failed is remembered by site, not by all of them."""

from __future__ import annotations

import numpy as np

from dure.scheduler.capacity import Promise
from dure.scheduler.cycle import Cycle
from dure.scheduler.decisions import Start
from dure.scheduler.place import CORES, DEVICES
from dure.scheduler.promises import Spot, earliest
from dure.scheduler.shapes import Group, Way
from dure.scheduler.snapshot import I64, Snapshot

UNKNOWN = 1 << 62


class PlainCycle(Cycle):
    def __init__(self, s: Snapshot) -> None:
        super().__init__(s)
        self._failed: dict[tuple[object, ...], int] = {}

    def _spare(self, way: Way, group: Group) -> I64:
        row = DEVICES if group.shape.need[DEVICES] else CORES
        return self.ground.by_site(np.maximum(self.ground.rooms[0][row], 0) * self.ground.usable(way.accelerator))

    def _known_full(self, group: Group) -> bool:
        return False

    def _start(self, row: int, group: Group) -> bool:
        shape, end = group.shape, self.s.now_ms + group.limit_ms
        looked = False
        for way in group.ways:
            spare = self._spare(way, group)
            fit = self.ground.fit(shape.need, way.accelerator, self.ground.layer(end))
            open_sites = [x for x in np.flatnonzero(way.sites) if self._failed.get((shape, way.alt, x), UNKNOWN) > group.limit_ms]
            for site in sorted(open_sites, key=lambda x: (spare[x], x)):
                self._looked += bool(self.done.promises) and not looked
                looked = True
                if fit.per_site[site] >= shape.workers:
                    seats = self.ground.seats(int(site), fit.per_node, self.ground.empty, shape.workers)
                    masks = self.ground.start(seats, shape.need, end)
                    self._record(Start(row, way, int(site), seats, tuple(masks)))
                    return True
                met = [p.at_ms for p in self.ground.promises if p.at_ms < end]
                self._failed[(shape, way.alt, site)] = max((at - self.s.now_ms + 1 for at in met), default=0)
        return False

    def _claim(self, *args: object) -> None:
        super()._claim(*args)  # type: ignore[arg-type]
        self._failed.clear()

    def _promise(self, row: int, group: Group) -> bool:
        best: Spot | None = None
        for way in group.ways:
            spot = self._spot_of(way, group)
            if spot is not None and (best is None or spot[0] < best[0]):
                best = spot
        if best is None:
            return False
        promise = Promise(best[0], len(self.done.promises), row, best[0] + group.limit_ms, group.shape.need, best[2])
        self.done.promises[row] = promise
        self.ground.promise(promise)
        return True

    def _spot_of(self, way: Way, group: Group) -> Spot | None:
        spare, found = self._spare(way, group), []
        for site in np.flatnonzero(way.sites).tolist():
            only = np.arange(len(self.s.sites.ids)) == site
            spot = earliest(self.ground, group.shape.need, group.shape.workers, group.limit_ms, way.accelerator, only)
            if spot is not None:
                found.append((spot[0], int(spare[site]), site, spot))
        return min(found)[3] if found else None
