"""Which nodes take who starts now under a packing policy, as its definition says: exact fractions, every node looked at."""

from __future__ import annotations

from fractions import Fraction

from dure.model.policy import Packing
from dure.scheduler.kernels import packing
from dure.scheduler.kernels.room import ANY, Demand
from dure.scheduler.packings import KERNEL
from dure.scheduler.snapshot import I64, Snapshot
from tests.plain.capacity import Ground
from tests.plain.place import CORES, MEMORY, Need, Seats
from tests.properties.kernels.packing_oracle import Expected, Node, score

NOTHING_RUNS = [(Demand(1, 0, 0, 0, ANY), 1)]


class Likes:
    """What a packing policy goes by, in a world in which devices are whole."""

    def __init__(self, s: Snapshot) -> None:
        a = s.attempts
        self._policy, self._kind = s.policy.packing, s.nodes.accelerator.tolist()
        self._groups: list[list[int]] = [[] for _ in s.nodes.ids]
        shapes: list[tuple[Demand, int]] = []
        for row in range(len(a.ids)):
            workers = range(a.worker_ptr[row], a.worker_ptr[row + 1])
            for worker in workers:
                self.join(int(a.worker_node[worker]), int(a.worker_mask[worker]).bit_count(), 1)
            if workers:
                devices, kind = int(a.worker_mask[workers[0]]).bit_count(), self._kind[a.worker_node[workers[0]]]
                kinds = 1 << kind if devices and kind >= 0 else ANY
                shapes.append((Demand(devices, 0, int(a.cores_milli[row]), 0, kinds), len(workers)))
        self._expected = Expected(shapes or NOTHING_RUNS)

    @property
    def fullest(self) -> bool:
        return self._policy is Packing.FULLEST

    def join(self, node: int, devices: int, workers: int) -> None:
        if devices:
            self._groups[node] += [devices] * workers

    def join_all(self, seats: Seats, need: Need) -> None:
        for node, workers in zip(seats.nodes, seats.counts, strict=True):
            self.join(node, need[2], workers)

    def seats(self, ground: Ground, site: int, per_node: I64, need: Need, workers: int) -> Seats:
        """The node that takes all and scores highest; else those that take most, and for the rest that which scores highest."""
        low, high = ground.bounds[site], ground.bounds[site + 1]
        room = {node: int(per_node[node]) for node in range(low, high) if per_node[node] > 0}
        found: list[tuple[int, int]] = []
        takes_all = [node for node in room if room[node] >= workers]
        if not takes_all:
            for node in sorted(room, key=lambda n: (-room[n], -self._score(ground, n, need, room[n]), n)):
                if room[node] >= workers:
                    break
                found.append((node, room.pop(node)))
                workers -= found[-1][1]
            takes_all = [node for node in room if room[node] >= workers]
        best = max(takes_all, key=lambda n: (self._score(ground, n, need, workers), -n))
        found.append((best, workers))
        return Seats(tuple(node for node, _ in found), tuple(count for _, count in found))

    def _score(self, ground: Ground, node: int, need: Need, workers: int) -> Fraction:
        policy = KERNEL[self._policy]
        count = 1 if policy == packing.GPU_CLUSTERING else workers
        exists, free = int(ground.exists[node]), ground.free_mask[node]
        left = [1000 if free >> device & 1 else 0 for device in range(exists.bit_length())]
        cores, memory = int(ground.rooms[0][CORES, node]), int(ground.rooms[0][MEMORY, node])
        here = Node(self._kind[node], cores, memory, left, self._groups[node])
        return score(policy, self._expected, here, Demand(count * need[2], 0, count * need[0], count * need[1], ANY))
