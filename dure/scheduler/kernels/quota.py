"""How much each queue may use: nominal quota, borrowing limits and lending limits over a tree of cohorts, for each resource.

The rules are Kueue's (kubernetes-sigs/kueue: keps/79-hierarchical-cohorts, keps/1224-lending-limit, and
pkg/cache/scheduler/resource_node.go, Apache-2.0). Queues are leaves, cohorts are inner rows; whatever is not used is lent to
relatives. In one resource, for a row x with children c:

    subtree(x)   = nominal(x) + sum of (subtree(c) - kept(c))           what it has, with what those below lend it
    kept(x)      = max(0, subtree(x) - lend_limit(x)), 0 without one    what it has for itself and those below alone
    used(x)      = own use + sum of max(0, used(c) - kept(c))           what counts against subtree(x)
    available(x) = subtree(x) - used(x)                                                        for a root
                 = max(0, kept(x) - used(x)) + available(parent), and no more than
                   subtree(x) - used(x) + borrow_limit(x), where it has one                    for others

A nominal quota of a cohort is a pool of its own, on top of what its queues have.

**No quota.** A nominal quota of `NO_LIMIT` means that the row has no quota in this resource, and no cap: it stands like a root
that has no end. It borrows nothing and lends nothing, and what is used at it or below it counts nowhere above; those below borrow
from it as far as their own limits let them. So one queue without a quota cannot make its cohort endless for all others, as it
would if it lent what it has. A queue that has nothing itself and shall live on what others lend has a nominal quota of 0.

**Bounds.** Amounts are integers in the resource's smallest unit, 0 or more and below 2^53; the nominal quotas of one resource
together stay below that too, and what is in use at any moment likewise. All sums here then stay far inside 64 bits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dure.errors import InvariantViolated, require
from dure.scheduler.kernels.ground import I32, I64
from dure.scheduler.kernels.jit import kernel

NO_LIMIT = -1
AMOUNT_MAX = 1 << 53
ENDLESS = 1 << 60  # what a row without quota has; above every sum of amounts

_ROOT = -1


class Quota(NamedTuple):
    """Columns of shape (rows, resources), but `parent`, by row. Only `used` changes."""

    parent: I64  # -1: a root, of which there may be several; parents come before their children
    borrow_limit: I64
    subtree: I64  # `ENDLESS` for a row without quota
    kept: I64  # `ENDLESS` for those that pass nothing upwards: roots, and rows without quota
    used: I64


def make_quota(parent: I64, nominal: I64, borrow_limit: I64, lend_limit: I64, used: I64) -> Quota:
    """parent: by row, -1 for a root. The rest: by row and resource; `NO_LIMIT` where there is no such quota or limit. used: by
    queues, it is counted upwards from here. Roots and rows without quota have neither limit, as they have nobody to borrow from
    or lend to. Nothing that is given is changed or kept.

    What a row could have if nobody used anything is what is `available` in a quota that is made with `used` 0."""
    _check(parent, nominal, borrow_limit, lend_limit, used)
    quota = Quota(
        parent.astype(np.int64), borrow_limit.astype(np.int64), np.zeros(nominal.shape, np.int64),
        np.zeros(nominal.shape, np.int64), used.astype(np.int64),
    )  # fmt: skip
    _gather(quota, nominal.astype(np.int64), lend_limit.astype(np.int64))
    return quota


def sound_quotas(parent: I64 | I32, nominal: I64, borrow_limit: I64, lend_limit: I64, used: I64) -> bool:
    """Whether `make_quota` takes them."""
    try:
        _check(parent, nominal, borrow_limit, lend_limit, used)
    except InvariantViolated:
        return False
    return True


def _check(parent: I64 | I32, nominal: I64, borrow_limit: I64, lend_limit: I64, used: I64) -> None:
    columns = (nominal, borrow_limit, lend_limit, used)
    shapes = {column.shape for column in columns}
    require(len(shapes) == 1 and nominal.ndim == 2 and len(nominal) == len(parent), "quotas have one entry a row and resource")
    require(bool(((parent >= _ROOT) & (parent < np.arange(len(parent)))).all()), "parents of quotas come before children")
    inside = all(bool(((column >= NO_LIMIT) & (column < AMOUNT_MAX)).all()) for column in columns)
    require(inside and bool((used >= 0).all()), "amounts of quotas are 0 or more and below 2^53")
    sums = [np.maximum(column, 0).sum(axis=0, dtype=np.float64) for column in (nominal, used)]
    require(all(bool((total < AMOUNT_MAX).all()) for total in sums), "all quota of a resource, and all use, are below 2^53")
    alone = (parent[:, None] == _ROOT) | (nominal == NO_LIMIT)
    limited = (borrow_limit != NO_LIMIT) | (lend_limit != NO_LIMIT)
    require(not bool((alone & limited).any()), "a root, or a row without quota, has nobody to borrow from or lend to: no limits")


@kernel
def _gather(quota: Quota, nominal: I64, lend_limit: I64) -> None:
    """What rows have, keep and use, from the leaves upwards."""
    rows, resources = nominal.shape
    for row in range(rows - 1, -1, -1):
        above = quota.parent[row]
        for of in range(resources):
            quota.subtree[row, of] += nominal[row, of]
            if nominal[row, of] == NO_LIMIT:
                quota.subtree[row, of] = ENDLESS
            if nominal[row, of] == NO_LIMIT or above == _ROOT:
                quota.kept[row, of] = ENDLESS
                continue
            if lend_limit[row, of] != NO_LIMIT:
                quota.kept[row, of] = max(0, quota.subtree[row, of] - lend_limit[row, of])
            quota.subtree[above, of] += quota.subtree[row, of] - quota.kept[row, of]
            quota.used[above, of] += max(0, quota.used[row, of] - quota.kept[row, of])


@kernel
def available(quota: Quota, row: int, resource: int) -> int:
    """How much more may be used here: own, lent by relatives, and borrowed; `ENDLESS` where nothing limits it. Negative when more
    is in use, here or above, than there is."""
    most, kept = ENDLESS, 0
    while quota.kept[row, resource] != ENDLESS:
        spare = quota.subtree[row, resource] - quota.used[row, resource]
        if quota.borrow_limit[row, resource] != NO_LIMIT:
            most = min(most, kept + spare + quota.borrow_limit[row, resource])
        kept += max(0, quota.kept[row, resource] - quota.used[row, resource])
        row = quota.parent[row]
    if quota.subtree[row, resource] == ENDLESS:
        return int(most)
    return int(min(most, kept + quota.subtree[row, resource] - quota.used[row, resource]))


@kernel
def bound_by(quota: Quota, row: int, resource: int) -> int:
    """Whose limit it is that no more is `available`: of a row on the way up its borrowing limit, the nearest if several; else the
    last, which has nobody to borrow from."""
    whose, most, kept = -1, ENDLESS, 0
    while quota.kept[row, resource] != ENDLESS:
        spare = quota.subtree[row, resource] - quota.used[row, resource]
        if quota.borrow_limit[row, resource] != NO_LIMIT and kept + spare + quota.borrow_limit[row, resource] < most:
            whose, most = row, kept + spare + quota.borrow_limit[row, resource]
        kept += max(0, quota.kept[row, resource] - quota.used[row, resource])
        row = quota.parent[row]
    left = ENDLESS if quota.subtree[row, resource] == ENDLESS else kept + quota.subtree[row, resource] - quota.used[row, resource]
    return int(whose if most <= left and whose >= 0 else row)


@kernel
def fits(quota: Quota, row: int, resource: int, amount: int) -> bool:
    """Whether this much more may be used here. Nothing always fits, also where more is in use than there is."""
    return amount <= max(0, available(quota, row, resource))


@kernel
def add(quota: Quota, row: int, resource: int, amount: int) -> None:
    """Count use of a queue, whether or not it fits. What goes beyond what a row keeps counts against its parent too."""
    while amount > 0:
        free = max(0, quota.kept[row, resource] - quota.used[row, resource])
        quota.used[row, resource] += amount
        amount -= free
        row = quota.parent[row]


@kernel
def remove(quota: Quota, row: int, resource: int, amount: int) -> None:
    """The opposite of `add`, in any order: no more than was added to this queue."""
    while amount > 0:
        above = quota.used[row, resource] - quota.kept[row, resource]
        quota.used[row, resource] -= amount
        amount = min(amount, above)
        row = quota.parent[row]


@kernel
def borrows(quota: Quota, row: int, resource: int, amount: int) -> bool:
    """Whether a row that used this much more would use more than it and those below have."""
    return bool(quota.used[row, resource] + amount > quota.subtree[row, resource])


@kernel
def borrowed(quota: Quota, row: int, resource: int) -> int:
    """How much a row uses beyond what it and those below have."""
    return int(max(0, quota.used[row, resource] - quota.subtree[row, resource]))
