"""What every node has left, now and at the start of each promise.

The representation. `rooms[0]` is what others may use now; `rooms[k]` is what the k-th promise (in order of time) leaves at
the moment at which it starts, after everything that by its limit still sits there then. Between two promises' starts
things only leave. So work that starts now and ends by its limit at `end` delays no promise exactly if it fits into the
minimum of rooms[0] and of every rooms[k] whose moment lies before `end`; `layers` keeps those running minima.

Devices are exact (masks) now and counted in the future: the devices of a node are alike, so a promise needs a number of them.

A node with claims. F: total less everything LAUNCHING, RUNNING or STOPPING. V: of the STOPPING ones that have a beneficiary.
R: of the claims. Others may use min(F, F + V - R) of cores and memory, and the devices that are neither held nor claimed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

import numpy as np

from dure.scheduler.attempts import latest_ends
from dure.scheduler.snapshot import CLAIMED, FOREVER_MS, I32, I64, STOPPING, Bool, Snapshot
from tests.plain.place import DEVICES, Need, Seats, emptiness, lowest, spread, workers_in

HOLDS, LEAVES, CLAIMS = 0, 1, 2  # roles: sits there; sits there and makes room for a claim; will sit there
REFRESH_MAX = 6  # changed nodes up to which a kept answer is mended one by one; above, numpy over all of them is faster
FLOORS_MAX = 256  # moments whose state is kept, to bound memory


@dataclass(frozen=True, slots=True, order=True)
class Promise:
    at_ms: int
    turn: int  # in which order promises were given
    pending: int = field(compare=False)
    end_ms: int = field(compare=False)
    need: Need = field(compare=False)
    seats: Seats = field(compare=False)
    alt: int = field(default=0, compare=False)


@dataclass(slots=True)
class Fit:
    """How many workers of one need fit, by node and by site, as of `seen` changes."""

    seen: int
    per_node: I64
    per_site: I64


class Tenures:
    """Who sits on which node until when. The first rows are the snapshot's workers; what the plan starts is added."""

    def __init__(self, s: Snapshot) -> None:
        a = s.attempts
        owner = np.repeat(np.arange(len(a.ids)), np.diff(a.worker_ptr))
        role = np.full(len(a.ids), HOLDS)
        role[a.state == CLAIMED] = CLAIMS
        role[(a.state == STOPPING) & (a.beneficiary >= 0)] = LEAVES
        self.node: I64 = a.worker_node.astype(np.int64)
        self.role: I64 = role[owner].astype(np.int64)
        self.end: I64 = latest_ends(s)[owner]
        self.mask = a.worker_mask
        self.load: I64 = np.array([a.cores_milli[owner], a.memory_mib[owner], np.bitwise_count(a.worker_mask)], np.int64)
        self._new: list[tuple[int, int, int, int, int, int, int]] = []

    def add(self, node: int, role: int, end: int, mask: int, load: Need) -> None:
        self._new.append((node, role, end, mask, *load))

    def settle(self) -> None:
        """Bring what was added into the columns."""
        if self._new:
            node, role, end, mask, *load = zip(*self._new, strict=True)
            self.node = np.concatenate([self.node, np.array(node, np.int64)])
            self.role = np.concatenate([self.role, np.array(role, np.int64)])
            self.end = np.concatenate([self.end, np.array(end, np.int64)])
            self.mask = np.concatenate([self.mask, np.array(mask, np.uint64)])
            self.load = np.concatenate([self.load, np.array(load, np.int64)], axis=1)
            self._new.clear()

    def sums(self, rows: Bool, size: int) -> I64:
        node = self.node[rows]
        return np.array([np.bincount(node, column[rows], size) for column in self.load]).astype(np.int64)


class Ground:
    """The nodes of a snapshot while one plan is made."""

    def __init__(self, s: Snapshot) -> None:
        nodes = s.nodes
        self.now_ms, self.size, self.site_count = s.now_ms, len(nodes.ids), len(s.sites.ids)
        self.site, self.exists = nodes.site, nodes.device_mask
        self.total: I64 = np.array([nodes.cores_milli, nodes.memory_mib, np.bitwise_count(nodes.device_mask)], np.int64)
        self.site_up: Bool = s.sites.reachable & ~s.sites.drained
        self.site_drained: Bool = s.sites.reachable & s.sites.drained
        self.bounds: list[int] = np.searchsorted(nodes.site, np.arange(self.site_count + 1)).tolist()
        self._filled, self._first = np.unique(nodes.site, return_index=True)  # nodes are sorted by site
        self._up: Bool = nodes.usable & self.site_up[nodes.site]
        self._accelerator = self.kind = nodes.accelerator
        self._usable: dict[int, Bool] = {}
        self.tenures = Tenures(s)
        self.free_mask: list[int] = self._free_masks()
        self.promises: list[Promise] = []  # by time
        self._floors: dict[int, I64] = {}
        self._touched: list[int] = []
        self._fits: dict[tuple[Need, int, int], Fit] = {}
        self._rebuild()

    # -- looking ------------------------------------------------------------------------------------------------------

    def typed(self, accelerator: int) -> Bool:
        """Nodes of a type, in whatever state they are; -1: all."""
        return self._accelerator == accelerator if accelerator >= 0 else np.ones(self.size, np.bool_)

    def usable(self, accelerator: int) -> Bool:
        """Nodes of that type on which something may start now."""
        if accelerator not in self._usable:
            self._usable[accelerator] = self._up & self.typed(accelerator)
        return self._usable[accelerator]

    def by_site(self, per_node: I64) -> I64:
        sums = np.zeros(self.site_count, np.int64)
        sums[self._filled] = np.add.reduceat(per_node, self._first)
        return sums

    def layer(self, end_ms: int) -> int:
        """How many promises start before `end_ms`: those that work which starts now could delay."""
        return bisect_left(self._times, end_ms) - 1

    def spare(self, accelerator: int, dimension: int) -> list[int]:
        """How much of one thing is free now at each site, on nodes of a type."""
        free = self.by_site(np.maximum(self.rooms[0][dimension], 0) * self.usable(accelerator))
        spare: list[int] = free.tolist()
        return spare

    def shortest_alike(self, end_ms: int) -> int:
        """The shortest limit of work that starts now and would meet the same promises as work that ends at `end_ms`."""
        return max((at - self.now_ms + 1 for at in self._times[1:] if at < end_ms), default=0)

    def fit(self, need: Need, accelerator: int, layer: int) -> Fit:
        """How many workers could start now without delaying the first `layer` promises."""
        key = (need, accelerator, layer)
        fit = self._fits.get(key)
        if fit is None or len(self._touched) - fit.seen > REFRESH_MAX:
            per_node = workers_in(self.layers[layer], need) * self.usable(accelerator)
            fit = self._fits[key] = Fit(len(self._touched), per_node, self.by_site(per_node))
        elif fit.seen < len(self._touched):
            self._mend(fit, need, accelerator, layer)
        return fit

    def _mend(self, fit: Fit, need: Need, accelerator: int, layer: int) -> None:
        usable = self.usable(accelerator)
        for node in self._touched[fit.seen :]:
            if usable[node]:
                now = int(workers_in(self.layers[layer, :, node : node + 1], need)[0])
                fit.per_site[self.site[node]] += now - fit.per_node[node]
                fit.per_node[node] = now
        fit.seen = len(self._touched)

    def seats(self, site: int, per_node: I64, empty: I64, workers: int) -> Seats:
        low, high = self.bounds[site], self.bounds[site + 1]
        found = spread(per_node[low:high], empty[low:high], workers)
        return Seats(tuple(low + node for node, _ in found), tuple(count for _, count in found))

    # -- the future ---------------------------------------------------------------------------------------------------

    def floor(self, at_ms: int) -> I64:
        """What others may use at a moment if nothing more started: what by its limit ends until then has left."""
        if at_ms not in self._floors:
            if len(self._floors) >= FLOORS_MAX:
                self._floors.clear()
            self._floors[at_ms] = self._floor(at_ms)
        return self._floors[at_ms]

    def _floor(self, at_ms: int) -> I64:
        t = self.tenures
        t.settle()
        live = t.end > at_ms
        claims = live & (t.role == CLAIMS)
        free = self.total - t.sums(live & ~claims, self.size)
        if claims.any():
            kept = t.sums(live & (t.role == LEAVES), self.size) - t.sums(claims, self.size)
            free[:DEVICES] = np.minimum(free[:DEVICES], free[:DEVICES] + kept[:DEVICES])
            for node in np.unique(t.node[claims]).tolist():
                gone = int(np.bitwise_or.reduce(t.mask[live & (t.node == node)]))
                free[DEVICES, node] = (int(self.exists[node]) & ~gone).bit_count()
        return free

    def room_at(self, at_ms: int, end_ms: int) -> I64:
        """What work may use that starts at a moment and delays no promise until `end_ms`."""
        room = self.floor(at_ms) - self._promised(at_ms)
        for k in range(1, len(self._times)):
            if at_ms < self._times[k] < end_ms:
                room = np.minimum(room, self.rooms[k])
        return room

    def departures(self) -> list[int]:
        """Moments at which something leaves, in order, without those that nobody knows."""
        self.tenures.settle()
        ends = np.unique(np.concatenate([self.tenures.end, np.array([p.end_ms for p in self.promises], np.int64)]))
        known: list[int] = ends[(ends > self.now_ms) & (ends < FOREVER_MS)].tolist()
        return known

    def _promised(self, at_ms: int) -> I64:
        load = np.zeros((3, self.size), np.int64)
        for p in self.promises:
            if p.at_ms <= at_ms < p.end_ms:
                load[:, p.seats.nodes] += np.outer(p.need, p.seats.counts)
        return load

    # -- changing -----------------------------------------------------------------------------------------------------

    def start(self, seats: Seats, need: Need, end_ms: int) -> list[int]:
        """Take the seats now, until `end_ms`. Returns the device mask of each worker, node by node."""
        nodes = list(seats.nodes)
        masks = self._take_devices(seats, need, HOLDS, end_ms, {})
        before = bisect_left(self._times, end_ms)
        self.rooms[:before, :, nodes] -= np.outer(need, seats.counts)
        self.layers[:, :, nodes] = np.minimum.accumulate(self.rooms[:, :, nodes], axis=0)
        self.empty[nodes] = emptiness(self.rooms[0][:, nodes])
        self._touched.extend(nodes)
        self._floors.clear()
        return masks

    def claim(self, seats: Seats, need: Need, end_ms: int, victims: I32 | I64) -> list[int]:
        """Keep the seats for work that starts when `victims` (rows of the snapshot's workers) have left. It takes their
        devices first, so that free ones stay of use to others meanwhile."""
        freed: dict[int, int] = {}
        for row in victims.tolist():
            node = int(self.tenures.node[row])
            freed[node] = freed.get(node, 0) | int(self.tenures.mask[row])
        masks = self._take_devices(seats, need, CLAIMS, end_ms, freed)
        self.tenures.role[victims] = LEAVES
        self._rebuild()
        return masks

    def promise(self, promise: Promise) -> None:
        """Keep the seats from the promised moment on."""
        load = np.outer(promise.need, promise.seats.counts)
        for k in range(1, len(self._times)):
            if promise.at_ms <= self._times[k] < promise.end_ms:
                self.rooms[k][:, promise.seats.nodes] -= load
        insort(self.promises, promise)
        row = self.promises.index(promise) + 1
        left = self.floor(promise.at_ms) - self._promised(promise.at_ms)
        self._layer(np.insert(self.rooms, row, left, axis=0))

    def _take_devices(self, seats: Seats, need: Need, role: int, end_ms: int, freed: dict[int, int]) -> list[int]:
        masks: list[int] = []
        for node, count in zip(seats.nodes, seats.counts, strict=True):
            taken = 0
            for _ in range(count):
                first = lowest(freed.get(node, 0) & ~taken, need[2])
                mask = first | lowest(self.free_mask[node] & ~taken & ~first, need[2] - first.bit_count())
                taken |= mask
                masks.append(mask)
            self.free_mask[node] &= ~taken
            self.tenures.add(node, role, end_ms, taken, (need[0] * count, need[1] * count, need[2] * count))
        return masks

    def _rebuild(self) -> None:
        self._floors.clear()
        rooms = [self.floor(self.now_ms)] + [self.floor(p.at_ms) - self._promised(p.at_ms) for p in self.promises]
        self._layer(np.stack(rooms))

    def _layer(self, rooms: I64) -> None:
        self.rooms: I64 = rooms
        self.layers: I64 = np.minimum.accumulate(rooms, axis=0)
        self.empty: I64 = emptiness(rooms[0])
        self._times: list[int] = [self.now_ms, *(p.at_ms for p in self.promises)]
        self._fits.clear()

    def _free_masks(self) -> list[int]:
        free: list[int] = self.exists.tolist()
        for node, mask in zip(self.tenures.node.tolist(), self.tenures.mask.tolist(), strict=True):
            free[node] &= ~mask
        return free
