"""Whether a project can pay, and of which awards: open ones that are good for the site and the type, by order of expiry.

What may be held is kept by project, type, currency and site, so that asking costs one look; paying lowers it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.ground import I32, I64, column
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.waits import FUNDS_SHORT, NO_AWARD

Bool = NDArray[np.bool_]


class Purse(NamedTuple):
    """Awards stand by (project, currency), soonest to expire first. The last type (and type -1) is "no accelerator"."""

    row: I32  # by project: its row in `held`, -1: it has no award
    ptr: I64  # shape (projects, currencies + 1), into the next three
    left: I64
    site_ok: Bool  # shape (awards, sites)
    kind_ok: Bool  # shape (awards, types + 1)
    held: I64  # shape (projects with awards, currencies, types + 1, sites): what may be held


def make_purse(projects: int, currencies: int, project: I32, currency: I32, left: I64, site_ok: Bool, kind_ok: Bool) -> Purse:
    """Awards that may pay now, sorted by (project, currency, expiry)."""
    row, known = np.full(projects, -1, np.int32), np.unique(project)
    row[known] = np.arange(len(known))
    key = project.astype(np.int64) * currencies + currency
    first = np.searchsorted(key, np.arange(projects)[:, None] * currencies + np.arange(currencies + 1)[None, :])
    held = np.zeros((len(known), currencies, kind_ok.shape[1], site_ok.shape[1]), np.int64)
    purse = Purse(row, first.astype(np.int64), left.astype(np.int64), site_ok, kind_ok, held)
    _add_up(purse, project, currency)
    return purse


@kernel
def _add_up(purse: Purse, project: I32, currency: I32) -> None:
    for award in range(len(project)):
        _change(purse, award, purse.row[project[award]], currency[award], purse.left[award])


@kernel
def _change(purse: Purse, award: int, row: int, currency: int, by: int) -> None:
    for kind in range(purse.kind_ok.shape[1]):
        if purse.kind_ok[award, kind]:
            for site in range(purse.site_ok.shape[1]):  # without a branch, which processors do for many sites at once
                purse.held[row, currency, kind, site] += by if purse.site_ok[award, site] else 0


@kernel
def held(purse: Purse, project: int, kind: int, currency: int, site: int) -> int:
    """What may be held. Nothing where a project has no award: what costs nothing needs none."""
    row = purse.row[project]
    return int(purse.held[row, currency, column(kind, purse.held.shape[2]), site]) if row >= 0 else 0


@kernel
def pay(purse: Purse, project: int, kind: int, currency: int, site: int, hold: int) -> None:
    """Hold an amount that may be held there."""
    for award in range(purse.ptr[project, currency], purse.ptr[project, currency + 1]):
        if hold > 0 and purse.kind_ok[award, column(kind, purse.kind_ok.shape[1])] and purse.site_ok[award, site]:
            part = min(hold, purse.left[award])
            if part > 0:
                purse.left[award] -= part
                hold -= part
                _change(purse, award, purse.row[project], currency, -part)


@kernel
def payable(purse: Purse, order: I64, project: int, kinds: I32, holds: I64, sites: Bool, found: Bool) -> bool:
    """At which of `sites` a workload could pay now, by alternative; whether at any. order: currencies that pay.

    kinds: by alternative; holds: shape (alternatives, currencies); sites, found: shape (alternatives, sites)."""
    any_found = False
    for alt in range(len(kinds)):
        found[alt] = False
        for currency in order:
            hold = holds[alt, currency]
            if hold >= 0:
                for site in range(sites.shape[1]):
                    if sites[alt, site] and held(purse, project, kinds[alt], currency, site) >= hold:
                        found[alt, site] = any_found = True
    return any_found


@kernel
def unpaid(purse: Purse, project: int, kinds: I32, holds: I64, sites: Bool, facts: I64) -> int:
    """What is missing where nothing is payable: an award, or money in it. Won before merit, then the smallest gap, then the
    better alternative. Returns the code; facts: hold, available, currency."""
    code, least = NO_AWARD, 0
    for currency in range(holds.shape[1]):
        for alt in range(len(kinds)):
            hold, available = holds[alt, currency], -1
            if hold < 0:
                continue
            for site in range(sites.shape[1]):
                if sites[alt, site] and _awarded(purse, project, kinds[alt], currency, site):
                    available = max(available, held(purse, project, kinds[alt], currency, site))
            if available >= 0 and (code == NO_AWARD or hold - available < least):
                code, least = FUNDS_SHORT, hold - available
                facts[0], facts[1], facts[2] = hold, available, currency
        if code == FUNDS_SHORT:
            break
    return code


@kernel
def _awarded(purse: Purse, project: int, kind: int, currency: int, site: int) -> bool:
    """Whether there is an award for this, however empty."""
    for award in range(purse.ptr[project, currency], purse.ptr[project, currency + 1]):
        if purse.kind_ok[award, column(kind, purse.kind_ok.shape[1])] and purse.site_ok[award, site]:
            return True
    return False


@kernel
def covered(purse: Purse) -> I64:
    """What may be held at every site: shape as `Purse.held`, without sites."""
    least = np.zeros(purse.held.shape[:3], np.int64)
    for row in range(purse.held.shape[0]):
        for currency in range(purse.held.shape[1]):
            for kind in range(purse.held.shape[2]):
                for site in range(purse.held.shape[3]):
                    held_there = purse.held[row, currency, kind, site]
                    least[row, currency, kind] = held_there if site == 0 else min(least[row, currency, kind], held_there)
    return least
