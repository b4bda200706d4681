"""What sites draw, as the kernels of a plan want it."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.attempts import leaving
from dure.scheduler.kernels.ground import table
from dure.scheduler.kernels.power import GONE, LIMITED, MOMENTS, MORE, NONE, STEP, Power, no_power, note_steps
from dure.scheduler.power import attempts_mw, idle_mw
from dure.scheduler.snapshot import CLAIMED, I64, Nodes, Snapshot


def power_of(s: Snapshot, ends: I64, by_end: I64, promises: int) -> Power:
    """ends: of attempts, at the latest; by_end: they by those; promises: how many may be given. Nothing at all where no site has
    an envelope."""
    sites, kinds = len(s.sites.ids), len(s.accelerators) + 1
    if not len(s.sites.power_mw):
        return no_power(sites, kinds, len(s.attempts.ids))
    mw = attempts_mw(s)
    gone_ptr, gone_at, gone_left = _leaving(s, ends, by_end, mw)
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


def _leaving(s: Snapshot, ends: I64, by_end: I64, mw: I64) -> tuple[I64, I64, I64]:
    """By site, those who are there by their ends: CSR, when they end, and what those draw who end then or later."""
    a = s.attempts
    seated = int(np.count_nonzero((a.worker_ptr[1:] > a.worker_ptr[:-1]) & (a.beneficiary < 0)))
    ptr, at, left = (np.zeros(length, np.int64) for length in (len(s.sites.ids) + 1, seated, seated))
    leaving(
        a.worker_ptr, a.worker_node, s.nodes.site, by_end, a.beneficiary, a.state, CLAIMED, ends, mw, ptr, at, left
    )  # fmt: skip
    return ptr, at, left


def _hungriest(nodes: Nodes, mw: I64, sites: int, kinds: int) -> I64:
    """By site and type, the last for any: what the node draws that draws most."""
    most = np.zeros((sites, kinds), np.int64)
    typed = nodes.accelerator >= 0
    np.maximum.at(most, (nodes.site[typed], nodes.accelerator[typed]), mw[typed])
    np.maximum.at(most[:, kinds - 1], nodes.site, mw)
    return most
