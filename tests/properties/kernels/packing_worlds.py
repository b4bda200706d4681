"""Small worlds for the packing kernels: drawn by Hypothesis, and one that is always the same, whose story has one hash.

As a program it prints that hash: `python -m tests.properties.kernels.packing_worlds`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from dure.scheduler.kernels import packing
from dure.scheduler.kernels.fragments import Mix, fragment, make_mix, step_of, stranded
from dure.scheduler.kernels.ground import I32, Ground
from dure.scheduler.kernels.packing import Memo, choose, device_for, group_of, make_memo, score, touch
from dure.scheduler.kernels.room import ANY, Demand, Shapes, demand_of, give, guests_of, make_ground, take

POLICIES = {
    "first fit": packing.FIRST_FIT, "best fit": packing.BEST_FIT, "dot product": packing.DOT_PRODUCT,
    "GPU packing": packing.GPU_PACKING, "GPU clustering": packing.GPU_CLUSTERING, "random": packing.RANDOM, "FGD": packing.FGD,
    "least waste": packing.LEAST_WASTE,
}  # fmt: skip
KINDS = 3
DEVICES = 4  # of a node, at most
Row = tuple[int, int, int, int]  # kind, cores, memory, devices

CORES = st.integers(0, 24).map(lambda cores: cores * 1000)
NODE = st.tuples(st.integers(-1, KINDS - 1), CORES, st.integers(0, 64), st.integers(0, DEVICES))
WANTS = st.sampled_from([(0, 0), (1, 0), (2, 0), (4, 0), (0, 50), (0, 300), (0, 500), (0, 810), (0, 999)])
MASK = st.one_of(st.just(ANY), st.integers(0, 2**KINDS - 1))
DEMAND = st.builds(
    lambda wants, cores, memory, kinds: Demand(*wants, cores, memory, kinds), WANTS, CORES, st.integers(0, 32), MASK
)


def shapes_of(demands: list[Demand]) -> Shapes:
    return Shapes(*(np.array(column, np.int64) for column in zip(*demands, strict=True)))


@dataclass
class World:
    """A fleet that is being packed. runs: (node, demand, bits of its devices), oldest first."""

    ground: Ground
    demands: list[Demand]
    weight: list[int]
    policy: int
    runs: list[tuple[int, Demand, np.uint64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shapes = shapes_of(self.demands)
        self.mix: Mix = make_mix(self.shapes, np.array(self.weight), KINDS)
        self.guests: I32 = guests_of(len(self.ground.nodes.kind), DEVICES)
        self.memo: Memo = make_memo(len(self.demands), len(self.ground.nodes.kind))

    def choose(self, shape: int, draw: float) -> int:
        return int(choose(self.policy, self.ground, self.guests, self.mix, self.shapes, shape, self.memo, draw))

    def device(self, node: int, demand: Demand, draw: float) -> int:
        return int(device_for(self.policy, self.ground, self.mix, node, demand, draw))

    def start(self, node: int, demand: Demand, device: int) -> None:
        self.runs.append((node, demand, np.uint64(take(self.ground, node, demand, device))))
        self._count(node, demand, 1)

    def end(self, place: int) -> tuple[int, Demand, np.uint64]:
        node, demand, bits = self.runs.pop(place)
        give(self.ground, node, demand, bits)
        self._count(node, demand, -1)
        return node, demand, bits

    def _count(self, node: int, demand: Demand, by: int) -> None:
        if demand.devices or demand.share:
            self.guests[node, group_of(demand)] += by
        touch(self.memo, node)


def ground_of(rows: list[Row]) -> Ground:
    kind, cores, memory, devices = (list(column) for column in zip(*rows, strict=True))
    return make_ground(kind=kind, cores=cores, memory=memory, devices=devices)


# -- one world that is always the same --------------------------------------------------------------------------------

_ROWS: list[Row] = [
    (0, 16_000, 64, 4), (0, 8_000, 32, 2), (1, 24_000, 64, 4), (1, 12_000, 48, 1), (2, 20_000, 40, 3), (-1, 20_000, 64, 0),
    (2, 6_000, 64, 4), (0, 160_000, 64, 2),
]  # fmt: skip
_DEMANDS = [
    Demand(1, 0, 3_000, 6, ANY), Demand(2, 0, 4_000, 8, ANY), Demand(0, 500, 2_000, 2, ANY), Demand(0, 330, 1_000, 2, 0b011),
    Demand(0, 0, 5_000, 8, ANY), Demand(4, 0, 9_000, 9, 0b101), Demand(0, 810, 4_000, 1, ANY), Demand(1, 0, 1_000, 60, 0b010),
]  # fmt: skip


def story(policy: int) -> Iterator[bytes]:
    """Arrivals and departures in an order that a small congruence gives; every answer and every state, as bytes."""
    world, state = World(ground_of(_ROWS), _DEMANDS, [5, 2, 7, 3, 4, 1, 6, 0], policy), 12345
    for _ in range(160):
        state = (state * 1103515245 + 12345) % 2**31
        shape, draw = state // 7 % len(_DEMANDS), state / 2**31
        if state // 1009 % 4 == 0 and world.runs:
            world.end(state % len(world.runs))
        demand = demand_of(world.shapes, shape)
        node = world.choose(shape, draw)
        yield np.int64(node).tobytes()
        if node >= 0:
            device = world.device(node, demand, draw)
            yield np.int64(device).tobytes()
            world.start(node, demand, device)
        yield from (column.tobytes() for column in (world.ground.nodes, world.ground.share_free, world.guests))
        for at in range(len(_ROWS)):
            yield np.int64(fragment(world.mix, world.ground, at)).tobytes()
            yield np.int64(score(policy, world.ground, world.guests, world.mix, at, demand)).tobytes()
    yield from (np.int64(step_of(world.mix, gain)).tobytes() for gain in range(-(10**6), 10**6, 10**4))


NO_CORES = make_mix(shapes_of([Demand(1, 0, 0, 0, ANY)]), np.array([1]), KINDS)


def fingerprint() -> str:
    seen = hashlib.sha256()
    for policy in POLICIES.values():
        for piece in story(policy):
            seen.update(piece)
    seen.update(bytes([stranded(NO_CORES, 200, 0)]))
    return seen.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(fingerprint() + "\n")
