"""Packing as its definitions say it: plain lists, exact fractions, every node looked at every time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from dure.scheduler.kernels import packing
from dure.scheduler.kernels.ground import Ground
from dure.scheduler.kernels.room import ANY, Demand


@dataclass
class Node:
    """What is free on a node: cores in thousandths, MiB, and thousandths of each device; groups that run there."""

    kind: int
    cores: int
    memory: int
    left: list[int]
    groups: list[int]

    @property
    def whole(self) -> list[int]:
        return [device for device, left in enumerate(self.left) if left == 1000]


def nodes_of(ground: Ground) -> list[Node]:
    spans = zip(ground.device_ptr[:-1].tolist(), ground.device_ptr[1:].tolist(), strict=True)
    left = [ground.share_free[a:b].tolist() for a, b in spans]
    rows = zip(ground.nodes.kind.tolist(), ground.nodes.cores_free.tolist(), ground.nodes.memory_free.tolist(), left, strict=True)
    return [Node(kind, cores, memory, list(own), []) for kind, cores, memory, own in rows]


def asked(demand: Demand) -> int:
    return demand.devices * 1000 + demand.share


def suits(node: Node, demand: Demand) -> bool:
    return demand.kinds == ANY or node.kind in {k for k in range(63) if demand.kinds & 1 << k}


def fits(node: Node, demand: Demand) -> bool:
    enough = len(node.whole) >= demand.devices and (not demand.share or max(node.left, default=0) >= demand.share)
    return suits(node, demand) and node.cores >= demand.cores and node.memory >= demand.memory and enough


def after(node: Node, demand: Demand, device: int) -> Node:
    left = list(node.left)
    for taken in node.whole[: demand.devices]:
        left[taken] = 0
    if demand.share:
        left[device] -= demand.share
    return Node(node.kind, node.cores - demand.cores, node.memory - demand.memory, left, node.groups)


def devices_for(node: Node, demand: Demand) -> list[int]:
    """Where a share may go; -1 where none is asked for."""
    return [device for device, left in enumerate(node.left) if left >= demand.share] if demand.share else [-1]


@dataclass
class Expected:
    """Shapes with how often they are expected."""

    shapes: list[tuple[Demand, int]]

    @property
    def total(self) -> int:
        return sum(weight for _, weight in self.shapes)

    def fragment(self, node: Node) -> Fraction:
        """The mean over the expected shapes of what is free on the devices and of no use to the shape."""
        return Fraction(sum(weight * self._useless(node, shape) for shape, weight in self.shapes), self.total)

    def _useless(self, node: Node, shape: Demand) -> int:
        hosts = suits(node, shape) and node.cores >= shape.cores
        wants = 1000 if shape.devices else shape.share
        enough = [left for left in node.left if left >= wants]
        if not asked(shape) or not hosts or len(enough) < max(shape.devices, 1):
            return sum(node.left)
        return sum(node.left) - sum(enough)

    def stranded(self, node: Node) -> int:
        wanted = [(shape, weight) for shape, weight in self.shapes if asked(shape)]
        devices = sum(asked(shape) * weight for shape, weight in wanted)
        cores = 1000 * sum(shape.cores * weight for shape, weight in wanted) // devices if devices else 0
        return max(0, sum(node.left) - node.cores * 1000 // cores) if cores else 0

    def gains(self, node: Node, demand: Demand) -> list[tuple[Fraction, int]]:
        then = [(after(node, demand, device), device) for device in devices_for(node, demand)]
        return [(self.fragment(node) - self.fragment(hence), device) for hence, device in then]

    def steps(self, node: Node, demand: Demand) -> list[tuple[int, int]]:
        return [(math.floor(100 / (1 + math.exp(-gain / 1000))), device) for gain, device in self.gains(node, demand)]


def score(policy: int, expected: Expected, node: Node, demand: Demand) -> Fraction:
    cores, devices = Fraction(node.cores, 128_000), Fraction(sum(node.left), 8_000)
    own, wanted = Fraction(demand.cores, 128_000), Fraction(asked(demand), 8_000)
    if policy == packing.BEST_FIT:
        return Fraction(math.floor(100 * (1 - (cores - own + devices - wanted) / 2)))
    if policy == packing.DOT_PRODUCT:
        return Fraction(math.floor(100 * (1 - (cores * own + devices * wanted) / 2)))
    if policy == packing.GPU_PACKING:
        return Fraction(gpu_packing(node, demand))
    if policy == packing.GPU_CLUSTERING:
        return Fraction(gpu_clustering(node, demand))
    if policy == packing.FGD:
        return Fraction(max(step for step, _ in expected.steps(node, demand)))
    if policy == packing.LEAST_WASTE:
        best = max(gain for gain, _ in expected.gains(node, demand))
        device = devices_for(node, demand)[0]  # what is stranded does not depend on which
        return best + expected.stranded(node) - expected.stranded(after(node, demand, device))
    return Fraction(0)


def gpu_packing(node: Node, demand: Demand) -> int:
    if not asked(demand):
        return 0
    if len(node.whole) == len(node.left):
        return max(33 - len(node.left), len(node.left))
    if demand.devices:
        return max(50 - demand.devices, 33)
    tight = min(left for left in node.left if left >= demand.share)
    return 49 if tight == 1000 else 100 - tight * 100 // 1000 // 10


def gpu_clustering(node: Node, demand: Demand) -> int:
    if not asked(demand):
        return 0
    groups, fullness = set(node.groups), 25 * max(8000 - sum(node.left), 0) // 8000
    if demand.devices in groups:
        return fullness + (75 if len(groups) == 1 else 50)
    return fullness + (0 if groups else 25)


def choice(policy: int, expected: Expected, nodes: list[Node], demand: Demand, draw: float) -> int:
    room = [at for at, node in enumerate(nodes) if fits(node, demand)]
    if not room:
        return -1
    if policy == packing.RANDOM:
        return room[int(draw * len(room))]
    return max(room, key=lambda at: (score(policy, expected, nodes[at], demand), -at))


def device(policy: int, expected: Expected, node: Node, demand: Demand, draw: float) -> int:
    own = devices_for(node, demand)
    if not demand.share:
        return -1
    if policy == packing.RANDOM:
        return own[int(draw * len(own))]
    if policy in (packing.FGD, packing.LEAST_WASTE):
        scored = expected.steps(node, demand) if policy == packing.FGD else expected.gains(node, demand)
        return max(scored, key=lambda pair: (pair[0], -pair[1]))[1]
    return min(own, key=lambda device: (node.left[device], device))
