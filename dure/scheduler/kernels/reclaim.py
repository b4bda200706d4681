"""Who may take room back by its quota, and from whom: kernels.

Two projects meet in the tree of shares at the nearest row above both; what counts is the two rows below that, one on the way up
from either. In one resource a row is *inside* if it uses no more than it has, and *over* if it uses more: what is beyond is
borrowed from its relatives. Work may reclaim the place of other work if

* with what it wants the row on its own side stays inside, in every resource that it wants and that has a quota there: so nothing
  that was reclaimed is borrowed; and
* in a resource that both want, every row on the other side is over, from its project up to the row below the meeting point.

What is over is told by those who were there before the plan (`stays`), less those who have been told to stop: what leaves
already is not asked for twice, and this only shrinks while a plan is made. Who moves goes on using what it uses, and stays.
What is inside is told by everything that holds a place and what the plan has started (`quota`), which only grows. So what was
refused stays refused while a plan goes on, but for claims. Whether a quota has room for the claim is told by the latter,
without those alone who make room for it: two who change places count both until the victim is gone, and nobody else gets before
then what it leaves.

**No way round.** Who was made to leave was over, so it cannot take its place back by quota. Nor by its class, from which quotas
shield: attempts of projects that have one make room by their class for another project only as far as that project is over
(`shielded`). Work of classes that yield stands apart: it makes room for everybody as ever, and reclaims nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dure.scheduler.kernels.ground import I32, I64
from dure.scheduler.kernels.jit import kernel, wide
from dure.scheduler.kernels.quota import ENDLESS, Quota, add, fits, remove


class Rights(NamedTuple):
    quota: Quota
    stays: Quota  # `used` alone is another; without rows where nobody reclaims
    leaf: I32  # by attempt: its project's share, -1: nobody knows
    uses: I64  # shape (attempts, resources), as quotas count it; empty where nobody reclaims
    bits: I64  # by attempt: bit r is set where it uses resource r
    leaves: I64  # the shares that attempts belong to
    without: Quota  # scratch: `used` of `quota` without who is chosen to leave
    allowed: I64  # scratch, by share: see `look_up`


class Asker(NamedTuple):
    """Who wants a place: on one alternative."""

    priority: int
    leaf: int
    kind: int  # resource of the devices, -1: it wants none
    devices: int  # thousandths in all
    cores: int


@kernel
def guarded(rights: Rights) -> bool:
    """Whether quotas guard places at all."""
    return bool(rights.stays.used.shape[0] > 0)


@kernel
def wants(asker: Asker, resource: int, last: int) -> int:
    """last: the resource of cores."""
    if resource == last:
        return asker.cores
    return asker.devices if resource == asker.kind else 0


@kernel
def inside(quota: Quota, row: int, upto: int, resource: int, amount: int) -> bool:
    """Whether, with so much more used at a row, the row `upto` on its way up would use no more than it has."""
    while row != upto and quota.kept[row, resource] != ENDLESS:
        amount = max(0, amount - max(0, quota.kept[row, resource] - quota.used[row, resource]))
        row = quota.parent[row]
    return bool(row != upto or quota.used[row, resource] + amount <= quota.subtree[row, resource])


@kernel
def over(quota: Quota, row: int, upto: int, resource: int) -> bool:
    """Whether a row uses more than it has, and so does every row above it up to `upto`."""
    while quota.used[row, resource] > quota.subtree[row, resource]:
        if row == upto:
            return True
        row = quota.parent[row]
    return False


@kernel
def sides(parent: I64, one: int, other: int) -> tuple[int, int]:
    """The rows below the nearest one above both, on the way to either; -1 for one that has none, as it is that row itself."""
    mine, theirs = -1, -1
    while one != other:
        if one > other:
            mine, one = one, parent[one]
        else:
            theirs, other = other, parent[other]
    return wide(mine), wide(theirs)


@kernel
def look_up(rights: Rights, asker: Asker) -> None:
    """Find out in which resources projects are over that somebody may reclaim from. There are few projects and many attempts."""
    for row in rights.leaves:
        rights.allowed[row] = _over_for(rights, asker, wide(row))


@kernel
def _over_for(rights: Rights, asker: Asker, leaf: int) -> int:
    """The resources in which its quota gives it places of this project, a bit each."""
    if leaf == asker.leaf:
        return 0
    quota, last, found = rights.quota, rights.quota.used.shape[1] - 1, np.int64(0)
    mine, theirs = sides(quota.parent, asker.leaf, leaf)
    for resource in range(last + 1):
        amount = wants(asker, wide(resource), last)
        if amount == 0 or quota.subtree[asker.leaf, resource] == ENDLESS:
            continue
        if not inside(quota, asker.leaf, mine, wide(resource), amount):
            return 0
        if over(rights.stays, leaf, theirs, wide(resource)):
            found |= np.int64(1) << np.int64(resource)
    return int(found)


@kernel
def may_reclaim(rights: Rights, asker: Asker, attempt: int) -> bool:
    """Whether its quota gives it the place of an attempt. `look_up` was asked before; if somebody has left since then, that can
    only mean less."""
    leaf = wide(rights.leaf[attempt])
    if leaf < 0 or (rights.allowed[leaf] & rights.bits[attempt]) == 0:
        return False
    rights.allowed[leaf] = _over_for(rights, asker, leaf)
    return bool((rights.allowed[leaf] & rights.bits[attempt]) != 0)


@kernel
def stays_within(rights: Rights, asker: Asker) -> bool:
    """Whether there is any row on its way up that has what it wants: without one it may ask nobody."""
    quota, row, last = rights.quota, asker.leaf, rights.quota.used.shape[1] - 1
    while row >= 0:
        within, limited = True, False
        for resource in range(last + 1):
            amount = wants(asker, wide(resource), last)
            if amount > 0 and quota.subtree[asker.leaf, resource] != ENDLESS:
                limited = True
                within = within and inside(quota, asker.leaf, wide(row), wide(resource), amount)
        if within:
            return limited
        row = quota.parent[row]
    return False


@kernel
def shielded(rights: Rights, asker: Asker, attempt: int) -> bool:
    """Whether quotas keep an attempt from making room by its class: it has one, and does not borrow what is wanted."""
    quota, leaf = rights.quota, wide(rights.leaf[attempt])
    if leaf < 0 or leaf == asker.leaf:
        return False
    theirs, limited = sides(quota.parent, asker.leaf, leaf)[1], False
    last = quota.used.shape[1] - 1
    for resource in range(last + 1):
        if rights.uses[attempt, resource] > 0 and quota.subtree[leaf, resource] != ENDLESS:
            limited = True
            if wants(asker, wide(resource), last) > 0 and over(rights.stays, leaf, theirs, wide(resource)):
                return False
    return limited


@kernel
def fits_quota(quota: Quota, asker: Asker) -> bool:
    """Whether what it wants is available to its project."""
    last, kind = quota.used.shape[1] - 1, asker.kind
    within = kind < 0 or fits(quota, asker.leaf, wide(kind), asker.devices)
    return bool(within and fits(quota, asker.leaf, wide(last), asker.cores))


@kernel
def with_all(rights: Rights) -> None:
    """Nobody is chosen to leave yet."""
    used = rights.quota.used
    for row in range(used.shape[0]):
        for resource in range(used.shape[1]):
            rights.without.used[row, resource] = used[row, resource]


@kernel
def give_back(rights: Rights, quota: Quota, attempt: int) -> None:
    """Count an attempt no more. Of a project that is not known nothing is counted."""
    if rights.leaf[attempt] >= 0:
        for resource in range(rights.uses.shape[1]):
            remove(quota, wide(rights.leaf[attempt]), wide(resource), rights.uses[attempt, resource])


@kernel
def take_again(rights: Rights, quota: Quota, attempt: int) -> None:
    if rights.leaf[attempt] >= 0:
        for resource in range(rights.uses.shape[1]):
            add(quota, wide(rights.leaf[attempt]), wide(resource), rights.uses[attempt, resource])
