"""What the packing policy of a snapshot goes by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from dure.model.policy import Packing
from dure.scheduler.kernels.fragments import MIX_TOTAL_MAX, Mix, make_mix
from dure.scheduler.kernels.packed import GROUPS, minds_fragments, packed
from dure.scheduler.kernels.packing import (
    BEST_FIT,
    DOT_PRODUCT,
    FGD,
    FIRST_FIT,
    FULLEST,
    GPU_CLUSTERING,
    GPU_PACKING,
    LEAST_WASTE,
)
from dure.scheduler.kernels.room import ANY, KINDS_MAX, Shapes
from dure.scheduler.snapshot import I64, Bool, Snapshot

# A mix has a table of as many rows as there are different cores in it, and as many columns as there are shares: whoever submits
# chooses these, and must not choose how long everybody's plan takes.
SHAPES_MAX = 256
KERNEL: Mapping[Packing, int] = MappingProxyType({
    Packing.FULLEST: FULLEST, Packing.FIRST_FIT: FIRST_FIT, Packing.BEST_FIT: BEST_FIT, Packing.DOT_PRODUCT: DOT_PRODUCT,
    Packing.GPU_PACKING: GPU_PACKING, Packing.GPU_CLUSTERING: GPU_CLUSTERING, Packing.FGD: FGD, Packing.LEAST_WASTE: LEAST_WASTE,
})  # fmt: skip


def packing_of(s: Snapshot) -> I64:
    """As the board wants it (`kernels.packed`)."""
    policy = KERNEL[s.policy.packing]
    mix = running_mix(s) if minds_fragments(policy) else None
    return packed(policy, mix, guests_on(s) if policy == GPU_CLUSTERING else None)


def running_mix(s: Snapshot) -> Mix:
    """What is expected to come: such work as holds a place now, by how many workers it has, of which the most frequent shapes
    count (`SHAPES_MAX`); where nobody does, one whole device of any type. It does not depend on who waits, so that asking for
    something else changes nobody else's place.

    Of alternatives nothing is known any more: work counts as wanting the type on which it sits."""
    a, n = s.attempts, s.nodes
    some, devices = _sitting(s)
    first = a.worker_ptr[:-1][some]
    kind = n.accelerator[a.worker_node[first]].astype(np.int64)
    wants = (devices > 0) | (a.share_milli[some] > 0)
    told = wants & (kind >= 0) & (kind < KINDS_MAX)
    kinds = np.where(told, np.left_shift(1, np.where(told, kind, 0)), ANY)
    columns = np.array([devices, a.share_milli[some], a.cores_milli[some], kinds], np.int64)
    weight = np.diff(a.worker_ptr)[some].astype(np.int64)
    if not len(weight):
        columns, weight = np.array([[1], [0], [0], [ANY]], np.int64), np.ones(1, np.int64)
    alike, which = np.unique(columns, axis=1, return_inverse=True)
    each = np.bincount(which.reshape(-1), weights=weight).astype(np.int64)
    most = np.sort(np.argsort(-each, kind="stable")[:SHAPES_MAX])
    devices, share, cores, kinds = np.ascontiguousarray(alike[:, most])
    each = scaled(each[most])
    return make_mix(Shapes(devices, share, cores, np.zeros_like(cores), kinds), each, len(s.accelerators))


def scaled(weight: I64) -> I64:
    """The same weights against each other, halved until a mix can have them; none becomes nothing."""
    while weight.sum() > MIX_TOTAL_MAX:
        weight = (weight + 1) // 2
    return weight


def guests_on(s: Snapshot) -> I64:
    """By node and group, how many workers sit there, of work that has devices: see `packing.group_of`."""
    a, found = s.attempts, np.zeros((len(s.nodes.ids), GROUPS), np.int64)
    share = np.repeat(a.share_milli, np.diff(a.worker_ptr))
    devices = np.where(share > 0, 0, np.bitwise_count(a.worker_mask).astype(np.int64))
    has = (share > 0) | (devices > 0)
    np.add.at(found, (a.worker_node[has], devices[has]), 1)
    return found


def _sitting(s: Snapshot) -> tuple[Bool, I64]:
    """Which attempts hold a place, and how many whole devices a worker of each of these has."""
    a = s.attempts
    some = np.diff(a.worker_ptr) > 0
    devices = np.bitwise_count(a.worker_mask[a.worker_ptr[:-1][some]]).astype(np.int64)
    return some, np.where(a.share_milli[some] > 0, 0, devices)
