"""Whether a project can pay, and of which awards: open ones that are good for the site and the type, by order of expiry.

What may be held is kept by project, type, currency and site, so that asking costs one look; paying lowers it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.ground import I32, I64
from dure.scheduler.kernels.jit import kernel

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
            for site in range(purse.site_ok.shape[1]):
                if purse.site_ok[award, site]:
                    purse.held[row, currency, kind, site] += by


@kernel
def held(purse: Purse, project: int, kind: int, currency: int) -> I64:
    """What may be held, by site. Nothing where a project has no award: what costs nothing needs none."""
    row = purse.row[project]
    return purse.held[row, currency, kind] if row >= 0 else np.zeros(purse.held.shape[3], np.int64)


@kernel
def pay(purse: Purse, project: int, kind: int, currency: int, site: int, hold: int) -> None:
    """Hold an amount that may be held there."""
    for award in range(purse.ptr[project, currency], purse.ptr[project, currency + 1]):
        if hold > 0 and purse.kind_ok[award, kind] and purse.site_ok[award, site]:
            part = min(hold, purse.left[award])
            if part > 0:
                purse.left[award] -= part
                hold -= part
                _change(purse, award, purse.row[project], currency, -part)
