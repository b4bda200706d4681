"""What sites draw, as the kernels of a plan want it."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.ground import table
from dure.scheduler.kernels.power import GONE, LIMITED, MOMENTS, MORE, NONE, STEP, Power, no_power, note_steps
from dure.scheduler.kernels.sorting import sort_by
from dure.scheduler.power import attempts_mw, idle_mw
from dure.scheduler.snapshot import CLAIMED, I64, Nodes, Snapshot


def power_of(s: Snapshot, ends: I64, promises: int) -> Power:
    """ends: of attempts, at the latest; promises: how many may be given. Nothing at all where no site has an envelope."""
    sites, kinds = len(s.sites.ids), len(s.accelerators) + 1
    if not len(s.sites.power_mw):
        return no_power(sites, kinds, len(s.attempts.ids))
    mw = attempts_mw(s)
    gone_ptr, gone_at, gone_left = _leaving(s, ends, mw)
    steps, waiting, attempts = len(s.sites.power_mw), len(s.pending.ids), len(s.attempts.ids)
    by_site, step, gone = table(LIMITED, sites + 1), table(STEP, steps), table(GONE, len(gone_at))
    by_site.step, by_site.gone, by_site.pue_permille[:sites], by_site.idle[:sites], by_site.first, by_site.more = (
        s.sites.power_ptr, gone_ptr, s.sites.pue_permille, idle_mw(s), NONE, NONE
    )  # fmt: skip
    step.since, step.cap, gone.at, gone.left = s.sites.power_from_ms, s.sites.power_mw, gone_at, gone_left
    power = Power(
        by_site, step, gone, mw, _hungriest(s.nodes, s.nodes.device_mw, sites, kinds),
        _hungriest(s.nodes, s.nodes.core_mw, sites, kinds), np.zeros((waiting + promises + 2 * attempts, 4), np.int64),
        np.zeros((sites + steps + promises, 4), np.int64), np.zeros(max(MORE, MOMENTS) + 1, np.int64),
    )  # fmt: skip
    note_steps(power, s.now_ms)
    return power


def _leaving(s: Snapshot, ends: I64, mw: I64) -> tuple[I64, I64, I64]:
    """By site, those who are there by their ends: CSR, when they end, and what those draw who end then or later.

    A claim and those who make room for it are one, that lasts as long as the claim and draws as the side that draws more."""
    a = s.attempts
    seated, leaves = np.diff(a.worker_ptr) > 0, a.beneficiary >= 0
    theirs = np.zeros(len(a.ids), np.int64)
    np.add.at(theirs, a.beneficiary[leaves], mw[leaves])
    drawn = np.where(a.state == CLAIMED, np.maximum(mw, theirs), mw)
    rows = np.flatnonzero(seated & ~leaves)
    site = s.nodes.site[a.worker_node[a.worker_ptr[rows]]]
    order = sort_by(site.astype(np.int64), sort_by(ends[rows], np.arange(len(rows))))
    site, rows = site[order], rows[order]
    ptr = np.searchsorted(site, np.arange(len(s.sites.ids) + 1)).astype(np.int64)
    later = np.cumsum(drawn[rows][::-1])[::-1]
    behind = np.append(later, 0)[ptr[site + 1]]  # of the sites behind
    return ptr, ends[rows], (later - behind).astype(np.int64)


def _hungriest(nodes: Nodes, mw: I64, sites: int, kinds: int) -> I64:
    """By site and type, the last for any: what the node draws that draws most."""
    most = np.zeros((sites, kinds), np.int64)
    typed = nodes.accelerator >= 0
    np.maximum.at(most, (nodes.site[typed], nodes.accelerator[typed]), mw[typed])
    np.maximum.at(most[:, kinds - 1], nodes.site, mw)
    return most
