"""The authors' own runs, one by one: with the draws of their generator, a run of ours should be the same run.

Their simulator seeds Go's generator, throws one number away (for a line of its log), shuffles the list, which it has sorted by
name, draws what it adds (or removes), loses ten numbers (found by trying: with ten, all runs agree; they fit the watches that
Kubernetes starts then, each of which spreads its timeout by one), and numbers the nodes. Then nobody draws again except the
random policy, whose draws meet nodes in an order that many threads made: that one cannot be repeated.

FGD is told apart: the authors sum a fragment in floating point, so that a change of nothing may come out as minus 1e-12, and
cutting off makes 49 of a score of 50. `float_curve` sums as they do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.gochance import GoChance
from dure.scheduler.kernels.ground import I32, I64, WHOLE, Ground
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.packing import NOWHERE, Memo, asked, make_memo, touch
from dure.scheduler.kernels.room import ANY, Demand, Shapes, demand_of, fits, suits, take
from dure.simulator.fill import TYPICAL, Filled, Luck, Workloads, curve, fill, ground_of, typical
from dure.simulator.traces.faults import Faults
from dure.simulator.traces.fleet import Fleet, FleetNodes
from dure.simulator.traces.parquet import read_columns

F64 = NDArray[np.float64]

SEEDS = range(42, 52)  # the authors'
WATCHES = 10
EQUAL = 0.0051  # points: theirs are rounded to 0.01
LACKS_BOTH, LACKS_DEVICES, HOSTS, LACKS_CORES, WANTS_NONE, WANTS_CORES, WRONG_TYPE, SORTS = range(8)


@dataclass(frozen=True)
class Replay:
    """Who arrives, and the order of the nodes, in the authors' run of a seed."""

    order: I32
    luck: Luck


def replay(workloads: Workloads, names: tuple[str, ...], nodes: int, target: float, seed: int) -> Replay:
    """names: of the jobs. target: thousandths of a device to ask for. Nodes stand in the order of their names."""
    chance, milli = GoChance(seed), workloads.milli.tolist()
    chance.bits63()
    listed = workloads.shape_of[np.array(sorted(range(len(names)), key=names.__getitem__))].tolist()
    order = chance.shuffled(listed)
    total = sum(milli[shape] for shape in order)
    while total > target:
        total -= milli[order.pop(chance.below(len(order)))]
        if total <= target:
            return Replay(np.array(order, np.int32), _luck(chance, nodes, len(order)))
    while True:
        shape = listed[chance.below(len(listed))]
        if total + min(milli[shape], WHOLE) > target:
            return Replay(np.array(order, np.int32), _luck(chance, nodes, len(order)))
        total += milli[shape]
        order.append(shape)


def _luck(chance: GoChance, nodes: int, arriving: int) -> Luck:
    for _ in range(WATCHES):
        chance.bits63()
    return Luck(np.argsort(chance.permutation(nodes)), np.zeros((arriving, 2)))


def replays(workloads: Workloads, names: tuple[str, ...], fleet: Fleet, percent: int) -> Iterator[Replay]:
    for seed in SEEDS:
        yield replay(workloads, names, len(fleet.nodes()), percent / 100 * fleet.devices * WHOLE, seed)


def replay_curve(fleet: Fleet, workloads: Workloads, run: Replay, policy: int, percent: int) -> F64:
    mix = typical(workloads, workloads.shape_of)
    return curve(fill(fleet.nodes(), workloads, run.order, policy, mix, run.luck), fleet.devices * WHOLE, percent)


def equal(one: F64, other: F64) -> bool:
    """At every percent of demand."""
    return bool(np.nanmax(np.abs(one - other)) <= EQUAL)


# -- FGD as the authors add it up -------------------------------------------------------------------------------------


def spelled(pods: Path, variant: str, fleet: Fleet) -> tuple[Shapes, F64]:
    """The typical shapes and their frequency, from the most frequent down. Types are told apart by how they are spelled, so that
    a list which names one of them twice is another shape."""
    columns = read_columns(pods, Faults(pods.name, skip_bad=False), where={"variant": variant})
    numbers = zip(
        *(np.asarray(columns[name], np.float64).tolist() for name in ("cpu_milli", "gpu_milli", "num_gpu")), strict=True
    )
    words = (word or "" for word in columns["gpu_type"])
    count = Counter((*map(int, row), word if row[2] else "") for row, word in zip(numbers, words, strict=True))
    listed = sorted(((n, shape) for shape, n in count.items()), reverse=True)
    upto = np.cumsum([float(n) for n, _ in listed])
    kept = listed[: int(np.searchsorted(upto, TYPICAL * upto[-1])) + 1]
    share = float(upto[len(kept) - 1]) / float(upto[-1])
    frequency = np.array([n / float(upto[-1]) / share for n, _ in kept])
    rows = [(n if milli == WHOLE else 0, milli % WHOLE, cores, 0, _mask(word, fleet)) for _, (cores, milli, n, word) in kept]
    return Shapes(*(np.array(column, np.int64) for column in zip(*rows, strict=True))), frequency


def _mask(word: Any, fleet: Fleet) -> int:
    names = {name.lower() for name in word.split("|")} - {""}
    return sum(1 << fleet.accelerators.index(name) for name in names) if names else ANY


def float_curve(fleet: Fleet, workloads: Workloads, run: Replay, expected: tuple[Shapes, F64], percent: int) -> F64:
    """FGD with the fragment as a sum of floating-point numbers, by sort of shortage and in the order of frequency."""
    nodes: FleetNodes = fleet.nodes()
    memo, used = make_memo(len(workloads.shapes.cores), len(nodes)), np.empty(len(run.order), np.int64)
    _fill(ground_of(nodes, run.luck.turn), expected[0], expected[1], workloads.shapes, memo, run.order, used)
    arrived = np.cumsum(workloads.milli[run.order])
    return curve(Filled(shape=run.order, node=run.order, arrived=arrived, used=used), fleet.devices * WHOLE, percent)


@kernel
def _fill(ground: Ground, expected: Shapes, frequency: F64, shapes: Shapes, memo: Memo, order: I32, used: I64) -> None:
    total = np.int64(0)
    for i in range(len(order)):
        shape = order[i]
        demand, best, node = demand_of(shapes, shape), NOWHERE, -1
        for at in range(len(ground.nodes)):
            if memo.changed[at] > memo.seen[shape]:
                room = fits(ground, at, demand)
                memo.score[shape, at] = _score(ground, expected, frequency, at, demand)[0] if room else NOWHERE
            if memo.score[shape, at] > best:
                best, node = memo.score[shape, at], at
        memo.seen[shape] = memo.clock[0]
        if node >= 0:
            take(ground, node, demand, _score(ground, expected, frequency, node, demand)[1])
            touch(memo, node)
            total += asked(demand)
        used[i] = total


@kernel
def _score(ground: Ground, expected: Shapes, frequency: F64, node: int, demand: Demand) -> tuple[int, int]:
    left = ground.share_free[ground.device_ptr[node] : ground.device_ptr[node + 1]].astype(np.int64)
    kind, cores = ground.nodes.kind[node], ground.nodes.cores_free[node]
    was = _fragment(expected, frequency, kind, cores, left)
    best, device, whole = 0, -1, demand.devices
    for at in range(len(left)):
        if demand.share > 0 and left[at] >= demand.share:
            left[at] -= demand.share
            step = _step(was - _fragment(expected, frequency, kind, cores - demand.cores, left))
            left[at] += demand.share
            if device < 0 or step > best:
                best, device = step, at
        elif whole > 0 and left[at] == WHOLE:
            left[at] = 0
            whole -= 1
    if demand.share > 0:
        return best, device
    return _step(was - _fragment(expected, frequency, kind, cores - demand.cores, left)), -1


@kernel
def _step(gain: float) -> int:
    return int(1.0 / (1.0 + math.exp(-gain / WHOLE)) * 100.0)


@kernel
def _fragment(expected: Shapes, frequency: F64, kind: int, cores: int, left: I64) -> float:
    sums, total = np.zeros(SORTS), left.sum()
    for i in range(len(frequency)):
        sort, poor = _sort(demand_of(expected, i), kind, cores, left)
        if sort == HOSTS:
            sums[LACKS_DEVICES] += frequency[i] * float(poor)
        else:
            sums[sort] += frequency[i] * float(total)
    fragment = 0.0
    for sort in range(SORTS):
        if sort != HOSTS:
            fragment += sums[sort]
    return fragment


@kernel
def _sort(shape: Demand, kind: int, cores: int, left: I64) -> tuple[int, int]:
    """Why the node does not host the shape, or that it does; and what is left on devices that have too little for it."""
    enough, poor, wanted = 0, 0, WHOLE if shape.devices > 0 else shape.share
    for at in range(len(left)):
        enough += left[at] >= wanted
        poor += left[at] if left[at] < wanted else 0
    if asked(shape) == 0:
        return WANTS_NONE if cores >= shape.cores else WANTS_CORES, poor
    if not suits(kind, shape.kinds):
        return WRONG_TYPE, poor
    if enough >= max(shape.devices, 1):
        return HOSTS if cores >= shape.cores else LACKS_CORES, poor
    return LACKS_DEVICES if cores >= shape.cores else LACKS_BOTH, poor
