"""Which sites a search is worth, in which order they are looked at, and what failing at all of them means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.future import FOREVER
from dure.scheduler.kernels.ground import I64, Gang, column
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.power import Power, may_draw, wanted_mw
from dure.scheduler.kernels.purse import Purse
from dure.scheduler.kernels.seat import bound

Bool = NDArray[np.bool_]


@kernel
def spare_at(low: I64, high: I64, of_cell: I64, site: int) -> int:
    """How much is free at a site of what a workload wants."""
    total = 0
    for cell in range(low[site], high[site]):
        total += of_cell[cell]
    return int(total)


@kernel
def weigh(
    free: I64, sites: Bool, full: I64, since: I64, purse: Purse, project: int, kind: int, currency: int, hold: int, low: I64,
    high: I64, spare_of: I64, limit: int,
) -> int:  # fmt: skip
    """Write into `free` what there is to spare at each site where a workload may run, can pay, and has not failed, -1 for others;
    how many these are."""
    looked, row, at = 0, purse.row[project], column(kind, purse.held.shape[2])
    for site in range(len(free)):
        free[site] = -1
        if not sites[site] or full[site] + since[site] <= limit:
            continue
        if (purse.held[row, currency, at, site] if row >= 0 else 0) >= hold:
            looked += 1
            free[site] = spare_at(low, high, spare_of, site)
    return looked


@kernel
def worth(
    full: I64, since: I64, site: int, power: Power, kind: int, low: I64, high: I64, size: I64, top: I64, gang: Gang, now: int,
    limit: int, alike: int,
) -> bool:  # fmt: skip
    """Whether power and the count of free devices leave anything to search for at a site; where not, that is remembered."""
    if not may_draw(power, site, now, now + limit, wanted_mw(power, site, kind, gang)):
        full[site] = limit - since[site]
        return False
    if gang.devices > 0 and bound(size, top, low[site], high[site], gang) < gang.workers:
        full[site] = alike - since[site]
        return False
    return True


@kernel
def tightest(free: I64, cost: I64) -> int:
    """The site of the least cost, among equals that with the least to spare, then the lower; it is crossed out. -1: none is
    left."""
    best = -1
    for site in range(len(free)):
        if free[site] < 0:
            continue
        if best < 0 or cost[site] < cost[best] or (cost[site] == cost[best] and free[site] < free[best]):
            best = site
    if best >= 0:
        free[best] = -1
    return best


@kernel
def longest(sites: Bool, full: I64, since: I64) -> int:
    """The longest of the limits that failed wherever a class may run: what is not shorter fails everywhere. sites, full: shape
    (alternatives, sites)."""
    most = 0
    for alt in range(sites.shape[0]):
        for site in range(sites.shape[1]):
            if sites[alt, site]:
                most = max(most, full[alt, site] + since[site])
    return most


@kernel
def lowest_of(sites: Bool, failed: I64) -> int:
    """The lowest of the priorities that failed wherever a class may run: what is not higher fails everywhere. failed: as
    for `longest`."""
    least = FOREVER
    for alt in range(sites.shape[0]):
        for site in range(sites.shape[1]):
            if sites[alt, site]:
                least = min(least, failed[site, alt])
    return least
