"""What sites draw, as the kernels of a plan want it."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kept import kept
from dure.scheduler.kernels.attempts import leaving
from dure.scheduler.kernels.ground import Table, table
from dure.scheduler.kernels.power import GONE, LIMITED, MOMENTS, MORE, NONE, STEP, Power, no_power, note_steps
from dure.scheduler.power import attempts_mw, idle_mw
from dure.scheduler.snapshot import CLAIMED, I32, I64, Snapshot


def power_of(s: Snapshot, ends: I64, by_end: I64, promises: int) -> Power:
    """ends: of attempts, at the latest; by_end: they by those; promises: how many may be given. Nothing at all where no site has
    an envelope."""
    n, sites, kinds = s.nodes, len(s.sites.ids), len(s.accelerators) + 1
    if not len(s.sites.power_mw):
        return no_power(sites, kinds, len(s.attempts.ids))
    mw = attempts_mw(s)
    gone_ptr, gone = _leaving(s, ends, by_end, mw)
    steps, waiting, attempts = len(s.sites.power_mw), len(s.pending.ids), len(s.attempts.ids)
    by_site, step = table(LIMITED, sites + 1), table(STEP, steps)
    by_site.step, by_site.gone, by_site.pue_permille[:sites], by_site.idle[:sites], by_site.first, by_site.more = (
        s.sites.power_ptr, gone_ptr, s.sites.pue_permille, idle_mw(s), NONE, NONE
    )  # fmt: skip
    step.since, step.cap = s.sites.power_from_ms, s.sites.power_mw
    power = Power(
        by_site, step, gone, mw, *_hungriest(n.site, n.accelerator, n.device_mw, n.core_mw, sites, kinds),
        np.zeros((waiting + promises + 2 * attempts, 4), np.int64), np.zeros((sites + steps + promises, 4), np.int64),
        np.zeros(max(MORE, MOMENTS) + 1, np.int64),
    )  # fmt: skip
    note_steps(power, s.now_ms)
    return power


def _leaving(s: Snapshot, ends: I64, by_end: I64, mw: I64) -> tuple[I64, Table]:
    """By site, those who are there by their ends, as CSR: where they begin, and GONE."""
    a = s.attempts
    seated = int(np.count_nonzero((a.worker_ptr[1:] > a.worker_ptr[:-1]) & (a.beneficiary < 0)))
    ptr, gone = np.zeros(len(s.sites.ids) + 1, np.int64), table(GONE, seated)
    leaving(a.worker_ptr, a.worker_node, s.nodes.site, by_end, a.beneficiary, a.state, CLAIMED, ends, mw, ptr, gone)
    return ptr, gone


@kept
def _hungriest(site: I32, kind: I32, device_mw: I64, core_mw: I64, sites: int, kinds: int) -> tuple[I64, I64]:
    """By site and type, the last for any: what the node draws that draws most, per device and per core."""
    most, typed = np.zeros((2, sites, kinds), np.int64), kind >= 0
    for found, mw in zip(most, (device_mw, core_mw), strict=True):
        np.maximum.at(found, (site[typed], kind[typed]), mw[typed])
        np.maximum.at(found[:, kinds - 1], site, mw)
    return most[0], most[1]
