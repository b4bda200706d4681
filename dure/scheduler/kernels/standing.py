"""What the farm as it was built says to a demand, everybody else gone.

Nodes that are alike (site, type, totals) are counted together, so the cost is that of the kinds of nodes and not of the nodes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.classes import classes
from dure.scheduler.kernels.ground import I32, I64, WHOLE, Columns, Gang, Table, table
from dure.scheduler.kernels.jit import kernel, wide
from dure.scheduler.kernels.seat import takes_one, workers_of
from dure.scheduler.kernels.waits import (
    BLOCK_TOO_SMALL,
    DRAINED,
    NO_TYPE,
    NOT_ALLOWED,
    RULED_OUT,
    SITE_TOO_SMALL,
    TOO_FEW_CORES,
    TOO_FEW_DEVICES,
    TOO_LITTLE_MEMORY,
    TURN,
    UNDIVIDED,
    UNREACHABLE,
)  # fmt: skip

Bool = NDArray[np.bool_]


class Models(NamedTuple):
    """Nodes that are alike, and how many of them there are; every node, whatever state it is in."""

    site: I32
    kind: I32
    block: I32  # -1: in none, or nobody asks; those of a site's block stand side by side
    cores: I64
    memory: I64
    devices: I64
    shares: Bool  # whether its devices are divided
    nodes: I64
    typed: I64  # all of them twice: as they stand; then by type, which begin at `ptr`
    ptr: I64  # by type, two more at the end: those without devices (-1), and where they end


GANG: Columns = [  # by class, and one row more for the end of the last one's alternatives
    ("workers", np.int64),  # the fewest that it can run with
    ("most", np.int64),  # and as many as it asks for: the same, unless the gang is elastic
    ("cores", np.int64),  # per worker, as are memory and devices
    ("memory", np.int64),
    ("devices", np.int64),
    ("share", np.int64),  # thousandths of one device, instead
    ("block", np.int64),  # 1: all workers within one topology block
    ("kind_ptr", np.int64),  # its alternatives in `Demands.kind`
]


class Demands(NamedTuple):
    """What waiting workloads ask for, one row a class."""

    each: Table  # GANG
    sites: Bool  # shape (classes, sites), allowed ones
    kind: I32  # accelerators, best first; -1: none is needed


def demands_as(
    workers: I64, most: I64, cores: I64, memory: I64, devices: I64, share: I64, block: I64, sites: Bool, kind_ptr: I64, kind: I32
) -> Demands:  # fmt: skip
    each, count = table(GANG, len(workers) + 1), len(workers)
    each.kind_ptr = kind_ptr
    columns = {"workers": workers, "most": most, "cores": cores, "memory": memory, "devices": devices, "share": share}
    for name, column in (*columns.items(), ("block", block)):
        each[name][:count] = column
    return Demands(each, sites, kind)


@kernel
def gang_of(demands: Demands, c: int) -> Gang:
    """What a class asks for at least."""
    each = demands.each
    return Gang(each.workers[c], each.cores[c], each.memory[c], each.devices[c], each.share[c], each.block[c])


@kernel
def resized(gang: Gang, workers: int) -> Gang:
    """The same gang with so many workers."""
    return Gang(workers, gang.cores, gang.memory, gang.devices, gang.share, gang.block)


@kernel
def anywhere(gang: Gang) -> Gang:
    """The same gang, if it asked for no block."""
    return Gang(gang.workers, gang.cores, gang.memory, gang.devices, gang.share, wide(0))


def somewhere(sites: Bool) -> Bool:
    """By alternative, whether it has any site. sites: shape (alternatives, sites)."""
    found: Bool = np.asarray(sites.any(axis=1))
    return found


class Standings(NamedTuple):
    """By class: a code, `TURN` where it could run, and two facts; by alternative of a class: at which sites it could run on an
    empty farm that is up."""

    code: I32
    facts: I64  # shape (classes, 2)
    sites: Bool  # shape (alternatives, sites)
    cost: I64  # likewise: what a place lacks of what the policy prefers, weighed
    barred: I32  # likewise: 1 + the number of the preference whose bound keeps work off, 0 if none does


def models_of(site: I32, kind: I32, block: I32, cores: I64, memory: I64, devices: I64, shares: Bool, types: int) -> Models:
    """types: how many of accelerators there are, also where no node has one."""
    of, first = classes(np.array([site, kind, block, cores, memory, devices, shares], np.int64))
    nodes, order = np.bincount(of).astype(np.int64), np.lexsort((block[first], site[first]))
    first = first[order]
    return Models(
        site[first], kind[first], block[first], cores[first], memory[first], devices[first], shares[first], nodes[order],
        *_by_type(kind[first], types),
    )  # fmt: skip


def _by_type(kind: I32, types: int) -> tuple[I64, I64]:
    rows = np.arange(len(kind))
    turned = np.where(kind < 0, types, kind)
    order = np.argsort(turned, kind="stable")
    ptr = np.searchsorted(turned[order], np.arange(types + 2))
    return np.concatenate([rows, order]).astype(np.int64), len(kind) + ptr.astype(np.int64)


@kernel
def _units(models: Models, m: int, share: int) -> int:
    """Whole devices of a model, or how many shares of this size it takes when empty."""
    if share == 0:
        return int(models.devices[m])
    return int(models.devices[m] * (WHOLE // share)) if models.shares[m] else 0


def standings_of(models: Models, demands: Demands, reachable: Bool, drained: Bool, cost: I64, barred: I32) -> Standings:
    """cost, barred: as in `Standings`."""
    count = len(demands.sites)
    found = Standings(
        np.zeros(count, np.int32), np.zeros((count, 2), np.int64), np.zeros((len(demands.kind), len(reachable)), np.bool_),
        cost, barred,
    )  # fmt: skip
    _stand(models, demands, reachable, drained, found)
    return found


@kernel
def _stand(models: Models, demands: Demands, reachable: Bool, drained: Bool, found: Standings) -> None:
    takes, within = np.zeros(len(reachable), np.int64), np.zeros(len(reachable), np.int64)
    for c in range(len(demands.sites)):
        gang = gang_of(demands, c)
        allowed, typed, most, inside, up, closed = demands.sites[c].any(), False, wide(0), wide(0), False, False
        ruled = wide(0)
        for alt in range(demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]):
            typed |= _count(models, demands, c, alt, gang, takes, within)
            for site in range(len(takes)):
                most, inside = max(most, takes[site]), max(inside, within[site])
                if within[site] >= gang.workers:
                    here = reachable[site] and not drained[site]
                    found.sites[alt, site] = here and found.barred[alt, site] == 0
                    up |= found.sites[alt, site]
                    if here and ruled == 0:
                        ruled = wide(found.barred[alt, site])
                    closed |= reachable[site] and drained[site]
        _tell(models, demands, c, allowed, typed, most, inside, up, closed, ruled, found)


@kernel
def _count(models: Models, demands: Demands, c: int, alt: int, gang: Gang, takes: I64, within: I64) -> bool:
    """Write how many workers each site takes on an alternative, and how many of them within what a gang asks for: one block, or
    all of it; where that is all of them, no more than that it is. Whether there are nodes for it at all."""
    takes[:], within[:] = 0, 0
    typed, last, inside = False, -1, np.int64(0)
    at, behind = _of_type(models, demands.kind[alt])
    for i in range(at, behind):
        m = models.typed[i]
        if not _asked(models, m, demands, c, alt):
            continue
        typed, site = True, models.site[m]
        room = (models.cores[m], models.memory[m], _units(models, m, gang.share))
        if not gang.block and models.nodes[m] >= gang.workers:  # one on each is enough, and to divide takes time
            fits = 1 if takes_one(room, gang) else 0
        else:
            fits = workers_of(room, gang)
        takes[site] += fits * models.nodes[m]
        if not gang.block:
            within[site] = takes[site]
            continue
        alone = models.block[m] < 0  # nodes in no block, each of which stands for itself
        same = not alone and last >= 0 and models.site[last] == site and models.block[last] == models.block[m]
        inside = inside * same + fits * (1 if alone else models.nodes[m])
        within[site], last = max(within[site], inside), m
    return typed


@kernel
def _of_type(models: Models, kind: int) -> tuple[int, int]:
    """Where the models of a type stand in `typed`; all of them where none is needed (-1)."""
    if kind < 0:
        return 0, len(models.site)
    return int(models.ptr[kind]), int(models.ptr[kind + 1])


@kernel
def _asked(models: Models, m: int, demands: Demands, c: int, alt: int) -> bool:
    """Work that wants devices of no known type finds no node."""
    if not demands.sites[c, models.site[m]]:
        return False
    if demands.kind[alt] < 0:
        return bool(demands.each.devices[c] + demands.each.share[c] == 0)
    return bool(models.kind[m] == demands.kind[alt])


@kernel
def _tell(
    models: Models, demands: Demands, c: int, allowed: bool, typed: bool, most: int, inside: int, up: bool, closed: bool,
    ruled: int, found: Standings,
) -> None:  # fmt: skip
    first, last = demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]
    if not allowed:
        found.code[c] = NOT_ALLOWED
    elif not typed:
        if demands.each.devices[c] + demands.each.share[c] > 0 or demands.kind[first:last].min() >= 0:
            found.code[c] = NO_TYPE
        else:  # sites without a single node
            found.code[c], found.facts[c, 0] = SITE_TOO_SMALL, demands.each.workers[c]
    elif most == 0 and demands.each.share[c] > 0 and not _divided(models, demands, c):
        found.code[c] = UNDIVIDED
    elif most == 0:
        _node_too_small(models, demands, c, found)
    elif most < demands.each.workers[c]:
        found.code[c], found.facts[c, 0], found.facts[c, 1] = SITE_TOO_SMALL, demands.each.workers[c], most
    elif inside < demands.each.workers[c]:
        found.code[c], found.facts[c, 0], found.facts[c, 1] = BLOCK_TOO_SMALL, demands.each.workers[c], inside
    elif not up and ruled > 0:
        found.code[c], found.facts[c, 0] = RULED_OUT, ruled - 1
    elif not up:
        found.code[c] = DRAINED if closed else UNREACHABLE
    if found.code[c] != TURN:
        found.sites[first:last] = False


@kernel
def _divided(models: Models, demands: Demands, c: int) -> bool:
    """Whether devices are divided on any node that is asked."""
    for m in range(len(models.site)):
        for alt in range(demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]):
            if _asked(models, m, demands, c, alt) and _units(models, m, demands.each.share[c]) > 0:
                return True
    return False


@kernel
def _node_too_small(models: Models, demands: Demands, c: int, found: Standings) -> None:
    """The dimension that fails: among nodes with enough devices, then cores, the largest there is."""
    devices, cores, memory, gang = 0, 0, 0, gang_of(demands, c)
    need = max(gang.devices, min(gang.share, 1))
    for step in range(3):
        for m in range(len(models.site)):
            for alt in range(demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]):
                if _asked(models, m, demands, c, alt):
                    units = _units(models, m, gang.share)
                    if step == 0:
                        devices = max(devices, units)
                    elif step == 1 and units >= need:
                        cores = max(cores, models.cores[m])
                    elif step == 2 and units >= need and models.cores[m] >= gang.cores:
                        memory = max(memory, models.memory[m])
        if step == 0 and devices < need:
            found.code[c], found.facts[c, 0], found.facts[c, 1] = TOO_FEW_DEVICES, need, devices
            return
        if step == 1 and cores < gang.cores:
            found.code[c], found.facts[c, 0], found.facts[c, 1] = TOO_FEW_CORES, gang.cores, cores
            return
    found.code[c], found.facts[c, 0], found.facts[c, 1] = TOO_LITTLE_MEMORY, gang.memory, memory
