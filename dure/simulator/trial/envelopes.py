"""What the sites of a fleet may draw while a trial lasts, and what their nodes draw."""

from __future__ import annotations

import numpy as np

from dure.scheduler.snapshot import I32, I64
from dure.simulator.traces.fleet import Fleet

MILLI = 1000
UNCAPPED = -1
CHUNKS = 8  # envelopes are unrolled for so many times as far ahead as a plan looks

Columns = tuple[I64, I32, I64, I64]  # of Sites: pue_permille, power_ptr, power_from_ms, power_mw


class Envelopes:
    """The envelopes of a fleet, unrolled as time goes on; it only goes on."""

    def __init__(self, fleet: Fleet, ahead_ms: int) -> None:
        """ahead_ms: how far a plan looks."""
        self._fleet, self._ahead_ms, self._until_ms = fleet, max(ahead_ms, 1), -1
        self._pue = np.array([site.pue_permille for site in fleet.sites], np.int64)
        self.capped = tuple(n for n, site in enumerate(fleet.sites) if site.power_watts or any(w.watts for w in site.windows))
        # after so long without anything else, nothing that a cap keeps from starting will ever start
        self.period_ms = max((site.every_ms for site in fleet.sites), default=0)
        ends = max((window.until_ms for site in fleet.sites for window in site.windows), default=0)
        self._chunk_ms = max(CHUNKS * self._ahead_ms, 2 * self.period_ms, ends + 1)  # nothing that is to come is out of sight
        self._since: dict[int, I64] = {}
        self._mw: dict[int, I64] = {}

    def _unroll(self, now_ms: int) -> None:
        if now_ms + max(self._ahead_ms, self.period_ms) <= self._until_ms:
            return
        self._until_ms = now_ms + self._chunk_ms
        for site in self.capped:
            steps = self._fleet.envelope(site, now_ms, self._until_ms)
            self._since[site] = np.array([since for since, _, _ in steps], np.int64)
            self._mw[site] = np.array([MILLI * watts if watts else UNCAPPED for _, _, watts in steps], np.int64)

    def next_change(self, now_ms: int, never: int) -> int:
        """When a site may draw another amount next."""
        self._unroll(now_ms)
        later = (since[at] for since in self._since.values() if (at := int(since.searchsorted(now_ms, "right"))) < len(since))
        return min((int(at) for at in later), default=never)

    def columns(self, now_ms: int) -> Columns:
        """As a snapshot has them at a moment: the step in force, and those that begin before a plan looks no further."""
        self._unroll(now_ms)
        ptr, since, mw = np.zeros(len(self._pue) + 1, np.int32), [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for site in self.capped:
            own = self._since[site]
            low, high = int(own.searchsorted(now_ms, "right")) - 1, int(own.searchsorted(now_ms + self._ahead_ms))
            since.append(own[low:high])
            mw.append(self._mw[site][low:high])
            ptr[site + 1 :] += high - low
        return self._pue.copy(), ptr, np.concatenate(since), np.concatenate(mw)


def draws(fleet: Fleet) -> tuple[I64, I64, I64]:
    """By node, in milliwatts: what it draws with nothing to do, and besides for each of its devices; or, where it has none, for
    each of its cores. Rounded up; 0 where the fleet does not say."""
    idle, device, core = [], [], []
    for _, pool in fleet.pools():
        busy = MILLI * max(fleet.node_watts(pool) - pool.idle_watts, 0)
        idle.append(MILLI * pool.idle_watts)
        device.append(-(-busy // pool.devices) if pool.devices else 0)
        core.append(-(-busy * MILLI // pool.cores_milli) if not pool.devices and pool.cores_milli else 0)
    of = fleet.nodes().pool
    return np.array(idle, np.int64)[of], np.array(device, np.int64)[of], np.array(core, np.int64)[of]
