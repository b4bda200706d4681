"""Which node takes the next one: the packing policies, each a score for a demand on a node.

The highest score wins, and of equal ones the lowest node; so a caller that wants another order among equals numbers its nodes in
that order. Scores are coarse where their authors made them so (whole numbers from 0 to 100): which of many equals is taken is
then most of what a policy does, and a finer score would be another policy. Scores of the six policies after first fit are
those of the simulator of Weng et al., ATC'23 (github.com/hkust-adsl/kubernetes-scheduler-simulator, Apache-2.0), written anew:

    best fit       least left over: mean of cores left of 128 and devices left of 8
    dot product    least alike what is free: after Grandl et al., "Multi-resource packing for cluster schedulers", SIGCOMM'14
    GPU packing    devices in use before free ones, free ones of nodes in use before idle nodes
    GPU clustering nodes that run only the same group, then those that also do, then idle ones; the fullest first
    random         any node that has room, any device that has
    FGD            the sigmoid of what the fragment of the node shrinks by (see `fragments`)

A share goes to the tightest device (best fit), except under random and the two that mind fragments. `LEAST_WASTE` is ours: what
the fragment and the stranded devices of the node shrink by together, exactly; docs/benchmarks/fgd.md says what it brings.

`choose` remembers the score of every shape on every node and scores again only where something has changed since."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dure.scheduler.kernels.fragments import Mix, gain_of, gain_on, stranded
from dure.scheduler.kernels.ground import I32, I64, WHOLE, Ground
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.room import Demand, Shapes, count_whole, demand_of, fits, tightest

FIRST_FIT, BEST_FIT, DOT_PRODUCT, GPU_PACKING, GPU_CLUSTERING, RANDOM, FGD, LEAST_WASTE = range(8)
FULLEST = 8  # it has no score: see `seat`

TOP = 100  # of a score
CORES_LARGEST, DEVICES_LARGEST = 128_000, 8_000  # thousandths: what the authors' scores are relative to
CORES_COUNTED = 1 << 24  # of what a node has; more is alike, so that products stay inside 64 bits
NOWHERE = np.iinfo(np.int64).min  # the score of a node without room


class Memo(NamedTuple):
    """What `choose` remembers. It changes how fast an answer comes, never the answer."""

    score: I64  # (shape, node)
    seen: I64  # by shape: the clock when its scores were true
    changed: I64  # by node: the clock when it changed last
    clock: I64  # one entry


def make_memo(shapes: int, nodes: int) -> Memo:
    return Memo(np.zeros((shapes, nodes), np.int64), np.full(shapes, -1), np.zeros(nodes, np.int64), np.zeros(1, np.int64))


@kernel
def touch(memo: Memo, node: int) -> None:
    """To be called whenever something was taken from a node, or given back."""
    memo.clock[0] += 1
    memo.changed[node] = memo.clock[0]


@kernel
def devices_left(ground: Ground, node: int) -> int:
    """Thousandths of a device, over all devices of the node."""
    left = np.int64(0)
    for at in range(ground.device_ptr[node], ground.device_ptr[node + 1]):
        left += max(ground.share_free[at], np.int32(0))  # below 0 where a claim waits for who is there
    return int(left)


@kernel
def asked(demand: Demand) -> int:
    """Thousandths of a device that a demand takes in all."""
    return WHOLE * demand.devices + demand.share


@kernel
def best_fit(ground: Ground, node: int, demand: Demand) -> int:
    """0 to 100, the higher the less is left over; below 0 on nodes larger than those."""
    cores = min(ground.nodes.cores_free[node] - demand.cores, CORES_COUNTED) * DEVICES_LARGEST
    devices = (devices_left(ground, node) - asked(demand)) * CORES_LARGEST
    full = 2 * CORES_LARGEST * DEVICES_LARGEST
    return int(TOP * (full - cores - devices) // full)


@kernel
def dot_product(ground: Ground, node: int, demand: Demand) -> int:
    """0 to 100, the higher the less of what is asked for is free; below 0 on larger nodes."""
    full, scale = 2 * CORES_LARGEST**2, (CORES_LARGEST // DEVICES_LARGEST) ** 2
    cores = min(ground.nodes.cores_free[node], CORES_COUNTED) * min(demand.cores, CORES_COUNTED)
    alike = cores + scale * devices_left(ground, node) * asked(demand)
    return int(TOP * (full - alike) // full)


@kernel
def gpu_packing(ground: Ground, node: int, demand: Demand) -> int:
    """From high to low: devices in use (100 less a tenth of what is left on it), free devices of a node in use (50 less how
    many), an idle node (33 less how many it has)."""
    if asked(demand) == 0:
        return 0
    free, devices = count_whole(ground.nodes.whole_free[node]), ground.device_ptr[node + 1] - ground.device_ptr[node]
    if free == devices:
        return max(TOP // 3 - free, free)
    if demand.devices > 0:
        return max(TOP // 2 - demand.devices, TOP // 3)
    left = ground.share_free[ground.device_ptr[node] + tightest(ground, node, demand.share)]
    if left == WHOLE:
        return TOP // 2 - 1
    return int(TOP - left * TOP // WHOLE // 10)


@kernel
def group_of(demand: Demand) -> int:
    """The column of `guests`: 0 for shares, n for n whole devices."""
    return demand.devices


@kernel
def gpu_clustering(ground: Ground, guests: I64, node: int, demand: Demand) -> int:
    """Four bands of 25: only its own group runs there, its group among others, nobody with a device, only other groups."""
    if asked(demand) == 0:
        return 0
    groups = 0
    for group in range(guests.shape[1]):
        groups += guests[node, group] > 0
    fullness = TOP // 4 * max(DEVICES_LARGEST - devices_left(ground, node), 0) // DEVICES_LARGEST
    if guests[node, group_of(demand)] > 0:
        return fullness + (TOP * 3 // 4 if groups == 1 else TOP // 2)
    return fullness + (TOP // 4 if groups == 0 else 0)


@kernel
def least_waste(ground: Ground, mix: Mix, node: int, demand: Demand, may: I32 | I64, at: int) -> int:
    """What the fragment and what is stranded shrink by, in thousandths of a device times the weight of the mix."""
    left, cores = devices_left(ground, node), ground.nodes.cores_free[node]
    relief = stranded(mix, left, cores) - stranded(mix, left - asked(demand), cores - demand.cores)
    return gain_on(mix, ground, node, demand, False, may, at)[0] + mix.total * relief


@kernel
def score(policy: int, ground: Ground, guests: I64, mix: Mix, node: int, demand: Demand) -> int:
    """How well the policy likes the demand on this node; `NOWHERE` where there is no room."""
    if not fits(ground, node, demand):
        return NOWHERE
    return liked(policy, ground, guests, mix, node, demand, ground.share_free, ground.device_ptr[node])


@kernel
def liked(policy: int, ground: Ground, guests: I64, mix: Mix, node: int, demand: Demand, may: I32 | I64, at: int) -> int:
    """The same of a node that has room. may, at: as in `gain_on`."""
    if policy == BEST_FIT:
        return best_fit(ground, node, demand)
    if policy == DOT_PRODUCT:
        return dot_product(ground, node, demand)
    if policy == GPU_PACKING:
        return gpu_packing(ground, node, demand)
    if policy == GPU_CLUSTERING:
        return gpu_clustering(ground, guests, node, demand)
    if policy == FGD:
        return gain_on(mix, ground, node, demand, True, may, at)[0]
    if policy == LEAST_WASTE:
        return least_waste(ground, mix, node, demand, may, at)
    return 0


@kernel
def choose(
    policy: int, ground: Ground, guests: I64, mix: Mix, shapes: Shapes, shape: int, memo: Memo, draw: float
) -> int:  # fmt: skip
    """The node for one of this shape; -1: no node has room. draw: from [0, 1), the chance of `RANDOM`; others ignore it."""
    demand, scores, seen = demand_of(shapes, shape), memo.score[shape], memo.seen[shape]
    best, node, room = NOWHERE, -1, 0
    for at in range(len(scores)):
        if memo.changed[at] > seen:
            scores[at] = score(policy, ground, guests, mix, at, demand)
        if scores[at] > best:
            best, node = scores[at], at
        room += scores[at] != NOWHERE
    memo.seen[shape] = memo.clock[0]
    if policy == RANDOM and room > 0:
        return _nth(scores, int(draw * room))
    return node


@kernel
def _nth(scores: I64, count: int) -> int:
    node = -1
    while count >= 0:
        node += 1
        count -= scores[node] != NOWHERE
    return node


@kernel
def device_for(policy: int, ground: Ground, mix: Mix, node: int, demand: Demand, draw: float) -> int:
    """The device of the node that a share goes to; -1 where none is asked for. draw: as for `choose`."""
    if demand.share == 0:
        return -1
    if policy in (FGD, LEAST_WASTE):
        return gain_of(mix, ground, node, demand, policy == FGD)[1]
    if policy == RANDOM:
        return _any_device(ground, node, demand.share, draw)
    return tightest(ground, node, demand.share)


@kernel
def _any_device(ground: Ground, node: int, share: int, draw: float) -> int:
    first, end = ground.device_ptr[node], ground.device_ptr[node + 1]
    room = 0
    for at in range(first, end):
        room += ground.share_free[at] >= share
    skip, device = int(draw * room), -1
    while skip >= 0:
        device += 1
        skip -= ground.share_free[first + device] >= share
    return device
