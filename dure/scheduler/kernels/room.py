"""What fits on a node, and the taking and giving back of it.

Whole devices are exclusive and taken from the lowest index up; a share is so many thousandths of one device, which the caller
names. Everything is decided by what the ground holds now: two grounds that are equal answer equally, however they came to be.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dure.errors import require
from dure.scheduler.kernels.ground import I32, I64, NODE, WHOLE, Ground, table
from dure.scheduler.kernels.jit import kernel

ANY = -1  # `kinds` of a demand that takes any node, also one without devices
KINDS_MAX = 63
DEVICES_MAX = 64  # of a node: `whole_free` has that many bits

_ONE, _ZERO = np.uint64(1), np.uint64(0)


class Demand(NamedTuple):
    """devices: whole ones. share: thousandths of one device, below 1000; only one of the two is above 0. cores: thousandths.
    memory: MiB. kinds: bit k is set where accelerator type k will do, or `ANY`."""

    devices: int
    share: int
    cores: int
    memory: int
    kinds: int


class Shapes(NamedTuple):
    """Demands as columns, one entry a shape: workloads that ask for the same share one."""

    devices: I64
    share: I64
    cores: I64
    memory: I64
    kinds: I64


def make_ground(
    *, kind: ArrayLike, cores: ArrayLike, memory: ArrayLike, devices: ArrayLike,
    site: ArrayLike | None = None, block: ArrayLike | None = None,
) -> Ground:  # fmt: skip
    """Nodes with everything free. cores: thousandths, memory: MiB, devices: how many; site 0 and block -1 where not given."""
    count = np.asarray(devices, np.int64)
    require(bool(((count >= 0) & (count <= DEVICES_MAX)).all()), f"a node has at most {DEVICES_MAX} devices")
    whole = np.array([(1 << n) - 1 for n in count.tolist()], np.uint64)
    nodes = table(NODE, len(count))
    columns = {
        "site": 0 if site is None else site, "kind": kind, "block": -1 if block is None else block,
        "cores": cores, "memory": memory, "cores_free": cores, "memory_free": memory, "whole_free": whole,
    }  # fmt: skip
    for name, column in columns.items():
        require(np.ndim(column) == 0 or np.shape(column) == count.shape, "every column of nodes has one entry a node")
        nodes[name] = column
    device_ptr = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    ground = Ground(nodes, device_ptr, np.full(int(count.sum()), WHOLE, np.int32))
    require(bool((ground.nodes.kind < KINDS_MAX).all()), f"there are at most {KINDS_MAX} types of accelerator")
    return ground


@kernel
def demand_of(shapes: Shapes, shape: int) -> Demand:
    return Demand(shapes.devices[shape], shapes.share[shape], shapes.cores[shape], shapes.memory[shape], shapes.kinds[shape])


@kernel
def count_whole(free: np.uint64) -> int:
    """How many devices are wholly free."""
    count = 0
    while free != _ZERO:
        free &= free - _ONE
        count += 1
    return count


@kernel
def suits(kind: int, kinds: int) -> bool:
    """Whether a node with this type of accelerator (-1: none) is among the types asked for."""
    return kinds == ANY or (kind >= 0 and (kinds >> kind) & 1 == 1)


@kernel
def fits(ground: Ground, node: int, demand: Demand) -> bool:
    """Whether the node has room for this now."""
    if demand.cores > ground.nodes.cores_free[node] or demand.memory > ground.nodes.memory_free[node]:
        return False
    if not suits(ground.nodes.kind[node], demand.kinds):
        return False
    if demand.devices > 0:
        return count_whole(ground.nodes.whole_free[node]) >= demand.devices
    return demand.share == 0 or tightest(ground, node, demand.share) >= 0


@kernel
def tightest(ground: Ground, node: int, share: int) -> int:
    """The device with the least left that has room for the share, the lowest of equals; -1: none has."""
    first = ground.device_ptr[node]
    return tightest_of(ground.share_free, first, ground.device_ptr[node + 1] - first, share)


@kernel
def tightest_of(left: I64 | I32, first: int, devices: int, share: int) -> int:
    """The same of devices of which so much is left; `left[first]` is device 0."""
    best, least = -1, WHOLE + 1
    for device in range(devices):
        if share <= left[first + device] < least:
            best, least = device, left[first + device]
    return int(best)


@kernel
def take(ground: Ground, node: int, demand: Demand, device: int) -> np.uint64:
    """Take what `fits`: a share from `device`, whole devices from the lowest that are free. Returns their bits, for `give`."""
    ground.nodes.cores_free[node] -= demand.cores
    ground.nodes.memory_free[node] -= demand.memory
    if demand.devices > 0:
        return _take_whole(ground, node, demand.devices)
    if demand.share == 0:
        return _ZERO
    bit = _ONE << np.uint64(device)
    ground.share_free[ground.device_ptr[node] + device] -= demand.share
    ground.nodes.whole_free[node] &= ~bit
    return bit


@kernel
def _take_whole(ground: Ground, node: int, devices: int) -> np.uint64:
    taken, first = _ZERO, ground.device_ptr[node]
    for at in range(first, ground.device_ptr[node + 1]):
        if devices > 0 and ground.share_free[at] == WHOLE:
            ground.share_free[at] = 0
            taken |= _ONE << np.uint64(at - first)
            devices -= 1
    ground.nodes.whole_free[node] &= ~taken
    return taken


@kernel
def give(ground: Ground, node: int, demand: Demand, taken: np.uint64) -> None:
    """The opposite of the `take` that returned these bits."""
    ground.nodes.cores_free[node] += demand.cores
    ground.nodes.memory_free[node] += demand.memory
    amount = WHOLE if demand.devices > 0 else demand.share
    first = ground.device_ptr[node]
    for at in range(first, ground.device_ptr[node + 1]):
        bit = _ONE << np.uint64(at - first)
        if taken & bit != _ZERO:
            ground.share_free[at] += amount
            if ground.share_free[at] == WHOLE:
                ground.nodes.whole_free[node] |= bit


def guests_of(nodes: int, devices_max: int) -> I64:
    """How many run on each node of each group: shares of a device in column 0, n whole devices in column n. Nobody runs yet."""
    return np.zeros((nodes, devices_max + 1), np.int64)
