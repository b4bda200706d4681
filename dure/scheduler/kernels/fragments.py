"""How much of what is free on a node is of no use to what is expected to come.

The measure is that of fragmentation gradient descent: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads
with Fragmentation Gradient Descent", USENIX ATC 2023; the authors' simulator is
github.com/hkust-adsl/kubernetes-scheduler-simulator (Apache-2.0). For one expected shape, all that is free on a node's devices
is a fragment when the node cannot host the shape (too few devices or cores, the wrong type, or because it wants no device at
all); else only the devices that have less left than it wants. A node's fragment is the mean of that over the mix of expected
shapes.

Here it is an exact integer: thousandths of a device times the weight of a shape, so that no order of adding matters. Summed the
other way round, what is of use on a node is a sum over its devices of "what is left here" times "the weight of those whom that
much would serve", and this weight is looked up by accelerator type, cores left and thousandths left: the cost of a node does not
depend on how many shapes are expected.

Beside it stands what is *stranded* on a node: devices left for which it has too few cores left, going by the cores that the mix
wants a device on average. The fragment sees cores only where they are too few for a shape altogether; this sees them run out."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dure.errors import require
from dure.scheduler.kernels.ground import I32, I64, WHOLE, Ground
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.room import ANY, DEVICES_MAX, Demand, Shapes, count_whole

MIX_TOTAL_MAX = 1 << 32  # so that weight times the thousandths of 64 devices stays far inside 64 bits
STEPS = 100


class Mix(NamedTuple):
    """What is expected to come. Row k + 1 of the tables is for nodes of accelerator type k, row 0 for nodes without."""

    total: int  # weight of all shapes
    cores: I64  # the cores that some shape wants, ascending
    rank: I64  # by thousandths left: how many of the shares that some shape wants are no larger
    share: I64  # (kind, cores, rank): weight of the shares of a device that find cores and thousandths enough
    whole: I64  # (kind, cores, devices): weight of the whole devices that find cores and devices enough
    cores_per_device: int  # thousandths of cores that go with a whole device, over the shapes that want devices
    steps: I64  # change of the fragment from which on the sigmoid of it, in hundredths, is 1, 2, ... 99


def make_mix(shapes: Shapes, weight: I64, kinds: int) -> Mix:
    """kinds: how many accelerator types the ground has. weight: by shape, how often it is expected (integers of any scale)."""
    total = int(weight.sum())
    require(0 < total <= MIX_TOTAL_MAX and bool((weight >= 0).all()), "a mix has a weight, and not too large a one")
    cores, shares = np.unique(shapes.cores), np.unique(shapes.share[shapes.share > 0])
    share = np.zeros((kinds + 1, len(cores) + 1, len(shares) + 1), np.int64)
    whole = np.zeros((kinds + 1, len(cores) + 1, DEVICES_MAX + 1), np.int64)
    level, place = np.searchsorted(cores, shapes.cores) + 1, np.searchsorted(shares, shapes.share) + 1
    for i, heavy in enumerate(weight.tolist()):
        mask = int(shapes.kinds[i])
        rows = [k + 1 for k in range(-1, kinds) if mask == ANY or (k >= 0 and mask >> k & 1)]
        if shapes.devices[i] > 0:
            whole[rows, level[i] :, shapes.devices[i] :] += heavy
        elif shapes.share[i] > 0:
            share[rows, level[i] :, place[i] :] += heavy
    rank = np.searchsorted(shares, np.arange(WHOLE + 1), "right").astype(np.int64)
    return Mix(total, cores, rank, share, whole, _cores_per_device(shapes, weight), _steps(total))


def _cores_per_device(shapes: Shapes, weight: I64) -> int:
    milli = WHOLE * shapes.devices + shapes.share
    wanted = int((weight * milli).sum())
    return WHOLE * int((weight * shapes.cores)[milli > 0].sum()) // wanted if wanted else 0


def _steps(total: int) -> I64:
    """floor(100 / (1 + exp(-x / 1000))) >= s exactly where x >= 1000 ln(s / (100 - s)); x times the weight is what we compare."""
    return np.array([math.ceil(WHOLE * total * math.log(s / (STEPS - s))) for s in range(1, STEPS)], np.int64)


@kernel
def step_of(mix: Mix, gain: int) -> int:
    """The sigmoid of a gain, 0 to 99: how many steps it has reached."""
    low, high = 0, len(mix.steps)
    while low < high:
        middle = (low + high) // 2
        if mix.steps[middle] <= gain:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _level(mix: Mix, cores: int) -> int:
    low, high = 0, len(mix.cores)
    while low < high:
        middle = (low + high) // 2
        if mix.cores[middle] <= cores:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _useful_shares(mix: Mix, ground: Ground, node: int, level: int) -> int:
    row, useful = ground.nodes.kind[node] + 1, np.int64(0)
    for at in range(ground.device_ptr[node], ground.device_ptr[node + 1]):
        left = max(ground.share_free[at], np.int32(0))  # below 0 where a claim waits for who is there
        useful += left * mix.share[row, level, mix.rank[left]]
    return int(useful)


@kernel
def _useful_whole(mix: Mix, row: int, level: int, count: int) -> int:
    return int(WHOLE * count * mix.whole[row, level, count])


@kernel
def fragment(mix: Mix, ground: Ground, node: int) -> int:
    """What is free on the node's devices and of no use, in thousandths of a device times weight."""
    level, total = _level(mix, ground.nodes.cores_free[node]), np.int64(0)
    for at in range(ground.device_ptr[node], ground.device_ptr[node + 1]):
        total += max(ground.share_free[at], np.int32(0))
    whole = _useful_whole(mix, ground.nodes.kind[node] + 1, level, count_whole(ground.nodes.whole_free[node]))
    return int(mix.total * total - _useful_shares(mix, ground, node, level) - whole)


@kernel
def gain_of(mix: Mix, ground: Ground, node: int, demand: Demand, coarse: bool) -> tuple[int, int]:
    """By how much the fragment of a node on which the demand fits would shrink, and the device on which a share would do best
    (the lowest of equals; -1 where no share is asked for). coarse: by how much is said in steps of the sigmoid."""
    return gain_on(mix, ground, node, demand, coarse, ground.share_free, ground.device_ptr[node])


@kernel
def gain_on(mix: Mix, ground: Ground, node: int, demand: Demand, coarse: bool, may: I32 | I64, at: int) -> tuple[int, int]:
    """The same where a share may have of each device no more than `may` says; `may[at]` is of device 0."""
    row, free = ground.nodes.kind[node] + 1, count_whole(ground.nodes.whole_free[node])
    before = _level(mix, ground.nodes.cores_free[node])
    after = _level(mix, ground.nodes.cores_free[node] - demand.cores)
    was = _useful_shares(mix, ground, node, before) + _useful_whole(mix, row, before, free)
    shares = _useful_shares(mix, ground, node, after) + mix.total * (WHOLE * demand.devices + demand.share) - was
    if demand.share == 0:
        shares -= WHOLE * demand.devices * mix.share[row, after, mix.rank[WHOLE]]
        gain = shares + _useful_whole(mix, row, after, free - demand.devices)
        return int(step_of(mix, gain) if coarse else gain), -1
    best, device, first = np.int64(0), -1, ground.device_ptr[node]
    for each in range(ground.device_ptr[node + 1] - first):
        left = ground.share_free[first + each]
        if min(left, may[at + each]) < demand.share:
            continue
        rest = left - demand.share
        gain = shares - left * mix.share[row, after, mix.rank[left]] + rest * mix.share[row, after, mix.rank[rest]]
        gain += _useful_whole(mix, row, after, free - 1 if left == WHOLE else free)
        gain = np.int64(step_of(mix, gain)) if coarse else gain
        if device < 0 or gain > best:
            best, device = gain, each
    return int(best), int(device)


@kernel
def stranded(mix: Mix, left: int, cores: int) -> int:
    """Thousandths of a device, of those `left`, that go without cores when this many are free."""
    if mix.cores_per_device == 0:
        return 0
    return int(max(0, left - cores * WHOLE // mix.cores_per_device))
