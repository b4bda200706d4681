"""Fill a fleet: workloads arrive one after the other, nobody leaves, and what finds no room is turned away.

The experiment of Weng et al., "Beware of Fragmentation", USENIX ATC 2023, section 6: a trace is shuffled and made as large as the
fleet's devices times a factor (more of it drawn at random, or some of it removed), and the share of the fleet's devices that is
allocated is recorded against the share that has been asked for. The rules are those of the authors' simulator
(github.com/hkust-adsl/kubernetes-scheduler-simulator, Apache-2.0): the nodes are shuffled too, once a run, because ties of a
score go to the lowest of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dure.errors import require
from dure.scheduler.kernels.fragments import MIX_TOTAL_MAX, Mix, make_mix
from dure.scheduler.kernels.ground import I32, I64, WHOLE, Ground
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.packing import Memo, asked, choose, device_for, group_of, make_memo, touch
from dure.scheduler.kernels.room import ANY, Shapes, demand_of, guests_of, make_ground, take
from dure.simulator.traces.fleet import Fleet, FleetNodes
from dure.simulator.traces.trace import Trace

F64 = NDArray[np.float64]
TYPICAL = 0.95  # of the workloads: the most frequent shapes that make up this much are what is expected
NODES, DRAWS = 1, 2  # what a seed's chance is for, beside the arrivals


@dataclass(frozen=True, slots=True, kw_only=True)
class Workloads:
    """A trace without its times: the different shapes in it, and the shape of each job. kinds: of accelerators in the fleet."""

    shapes: Shapes
    shape_of: I32
    kinds: int

    @property
    def milli(self) -> I64:
        """Thousandths of a device that a job takes in all, by shape."""
        total: I64 = WHOLE * self.shapes.devices + self.shapes.share
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """One entry an arrival. node: where it went, as the fleet numbers its nodes; -1: turned away. arrived, used: thousandths of a
    device that have been asked for, and are in use, after it."""

    shape: I32
    node: I32
    arrived: I64
    used: I64


@dataclass(frozen=True, slots=True)
class Luck:
    """What a run leaves to chance: the order of the nodes, which settles ties, and two draws an arrival for a random policy."""

    turn: I64
    draws: F64


def luck_of(nodes: int, arriving: int, seed: int) -> Luck:
    turn = np.random.Generator(np.random.PCG64([seed, NODES])).permutation(nodes)
    return Luck(turn, np.random.Generator(np.random.PCG64([seed, DRAWS])).random((arriving, 2)))


def workloads_of(trace: Trace, fleet: Fleet) -> Workloads:
    """The jobs of one worker each, on the fleet's accelerators. Unknown cores and memory count as none."""
    require(bool(((trace.workers == 1) & (trace.rest == 0)).all()), "filling knows jobs of one worker")
    masks = [
        sum(1 << fleet.accelerators.index(name) for name in names if name in fleet.accelerators) for names in trace.accelerators
    ]
    kinds = np.array([*masks, ANY], np.int64)[trace.accelerator]
    columns = (trace.devices, trace.share_milli, np.maximum(trace.cores_milli, 0), np.maximum(trace.memory_mib, 0), kinds)
    alike, shape_of = np.unique(np.stack(columns), axis=1, return_inverse=True)
    shapes = Shapes(*(np.ascontiguousarray(row) for row in alike))
    return Workloads(shapes=shapes, shape_of=shape_of.ravel().astype(np.int32), kinds=len(fleet.accelerators))


def typical(workloads: Workloads, shape_of: I32, threshold: float = TYPICAL) -> Mix:
    """The mix to expect: the most frequent shapes of these jobs, until they make up `threshold` of all; memory does not tell
    shapes apart. Among equally frequent ones those that want more cores, then more of devices, come first."""
    shapes, count = workloads.shapes, np.bincount(shape_of, minlength=len(workloads.shapes.cores))
    columns = np.stack([shapes.cores, workloads.milli, shapes.devices, shapes.kinds])
    return typical_of(columns, count, workloads.kinds, threshold)


def typical_of(columns: I64, count: I64, kinds: int, threshold: float = TYPICAL, most: int = MIX_TOTAL_MAX) -> Mix:
    """The same out of columns of (cores, thousandths of devices, whole devices, mask of types) with how often each occurs. most:
    the weight of the mix may not be more; weights are halved until it is not."""
    alike, which = np.unique(columns, axis=1, return_inverse=True)
    weight = np.bincount(which.ravel(), weights=count).astype(np.int64)
    weight >>= max(0, int(weight.sum()).bit_length() - (min(most, MIX_TOTAL_MAX).bit_length() - 1))
    order = np.lexsort((*-alike[::-1], -weight))
    upto = np.cumsum(weight[order])
    kept = order[: int(np.searchsorted(upto, threshold * upto[-1])) + 1]
    cores, milli, devices, mask = alike[:, kept]
    share = np.where(devices > 0, 0, milli)
    return make_mix(Shapes(devices, share, cores, np.zeros(len(kept), np.int64), mask), weight[kept], kinds)


def arrivals(workloads: Workloads, target: float, seed: int) -> I32:
    """The shapes of those who arrive: the trace shuffled, then more of it drawn at random, or some of it removed, until they ask
    for `target` thousandths of a device."""
    chance, milli = np.random.Generator(np.random.PCG64(seed)), workloads.milli
    shuffled = chance.permutation(workloads.shape_of)
    upto = np.cumsum(milli[shuffled])
    if upto[-1] > target:  # what is removed of a shuffled trace may be its end
        return shuffled[: int(np.searchsorted(upto, target, "right"))]
    more: list[int] = []
    total = int(upto[-1])
    while True:
        shape = int(workloads.shape_of[chance.integers(len(workloads.shape_of))])
        if total + min(int(milli[shape]), WHOLE) > target:  # of those who ask for many devices, the authors count one here
            return np.concatenate([shuffled, np.array(more, np.int32)])
        total += int(milli[shape])
        more.append(shape)


def ground_of(nodes: FleetNodes, turn: I64) -> Ground:
    """The fleet with nothing on it, its nodes in this order."""
    return make_ground(
        kind=nodes.accelerator[turn], cores=nodes.cores_milli[turn], memory=nodes.memory_mib[turn], devices=nodes.devices[turn]
    )


def fill(nodes: FleetNodes, workloads: Workloads, order: I32, policy: int, mix: Mix, luck: Luck) -> Filled:
    """Place who arrives, in this order, by a policy of `kernels.packing`."""
    ground, shapes = ground_of(nodes, luck.turn), workloads.shapes
    guests = guests_of(len(nodes), int(max(shapes.devices.max(), 1)))
    memo = make_memo(len(shapes.cores), len(nodes))
    node, used = np.empty(len(order), np.int32), np.empty(len(order), np.int64)
    _fill(policy, ground, guests, mix, shapes, memo, order, luck.draws, node, used)
    where = np.where(node < 0, -1, luck.turn[node]).astype(np.int32)
    return Filled(shape=order, node=where, arrived=np.cumsum(workloads.milli[order]), used=used)


@kernel
def _fill(
    policy: int, ground: Ground, guests: I64, mix: Mix, shapes: Shapes, memo: Memo, order: I32, draws: F64, node: I32, used: I64
) -> None:  # fmt: skip
    total = np.int64(0)
    for i in range(len(order)):
        shape = order[i]
        at = choose(policy, ground, guests, mix, shapes, shape, memo, draws[i, 0])
        node[i] = at
        if at >= 0:
            demand = demand_of(shapes, shape)
            take(ground, at, demand, device_for(policy, ground, mix, at, demand, draws[i, 1]))
            touch(memo, at)
            total += asked(demand)
            if asked(demand) > 0:
                guests[at, group_of(demand)] += 1
        used[i] = total


def curve(filled: Filled, milli: int, percent_max: int) -> F64:
    """Allocation in percent of the fleet's `milli` thousandths, where 0, 1, ... `percent_max` percent of them have been asked
    for: as the authors take it, the mean over all arrivals after which the demand rounds to that percent. NaN: there was none."""
    asked_for = np.round(filled.arrived / (milli / WHOLE) / 10).astype(np.int64)
    allocated = np.round(filled.used / (milli / WHOLE) / 10, 2)
    count = np.bincount(asked_for, minlength=percent_max + 1)[: percent_max + 1]
    total = np.bincount(asked_for, allocated, minlength=percent_max + 1)[: percent_max + 1]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
