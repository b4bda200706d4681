"""In which order a policy gives turns, where that is not by fair share: as ranks, which the turns of a plan take for classes."""

from __future__ import annotations

import numpy as np

from dure.model.policy import TurnOrder
from dure.scheduler.snapshot import F64, I64, Snapshot, limits_ms


def by_demand(order: TurnOrder) -> bool:
    """Whether a turn depends on what a workload asks for."""
    return order in (TurnOrder.SHORTEST, TurnOrder.SMALLEST)


def turn_keys(s: Snapshot) -> F64:
    """By waiting workload, what its turn goes by within its class, the least first; equal ones go by row.

    Limits are those of the type on which they are least; work is that by the limit on the first type that it names."""
    p, order = s.pending, s.policy.order
    if not by_demand(order) or not len(p.ids):
        return np.zeros(len(p.ids))
    limit = limits_ms(s).astype(np.float64)
    first = p.alt_ptr[:-1]
    if order is TurnOrder.SHORTEST:
        return np.minimum.reduceat(limit, first)
    rate = s.core_rate[s.alternatives.accelerator[first]]  # the last one: of none
    devices = p.devices + p.share_milli / 1000
    work: F64 = p.workers * (p.cores_milli / 1000 + devices * rate) * limit[first] / 1000
    return work


def ranks(s: Snapshot) -> I64:
    """By waiting workload, a number that is higher the earlier its turn is: classes strictly, then keys, then rows."""
    count = len(s.pending.ids)
    found = np.empty(count, np.int64)
    found[np.lexsort((turn_keys(s), -s.pending.priority))] = np.arange(count, 0, -1)
    return found


def place_of(s: Snapshot, row: int, alone: Snapshot) -> int:
    """How many others would have their turn before the workload in `row`, were it the one in row 0 of `alone`."""
    p, own = s.pending, alone.pending.priority[0]
    keys, key = turn_keys(s), turn_keys(alone)[0]
    before = (p.priority > own) | ((p.priority == own) & ((keys < key) | ((keys == key) & (np.arange(len(keys)) < row))))
    before[row] = False
    return int(np.count_nonzero(before))
