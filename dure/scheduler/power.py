"""What sites draw, by the model that everything here shares: the plan, the second program that checks it, and reports.

Of a site at a moment, in milliwatts at the meter:

    ceil(pue_permille × (Σ idle_mw of all of its nodes + Σ over the workers there then of
         ceil(devices_milli × device_mw / 1000) + ceil(cores_milli × core_mw / 1000)) / 1000)

Nodes that are down have an idle_mw of 0 in the snapshot; one that is drained draws like any other. Figures that nobody has told
are 0. Who is there: everybody until the latest end by its limit and grace. Of a claim and of those who make room for it only one
side is there at a time, and nobody knows when they change places: the one that draws more counts until it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dure.scheduler.attempts import latest_ends
from dure.scheduler.kernels.attempts import drawn_by
from dure.scheduler.snapshot import I64, Nodes, Sites, Snapshot

UNCAPPED = -1
MILLI = 1000


def at_meter_mw(mw: I64, pue_permille: I64) -> I64:
    """With what the site spends on top, rounded up."""
    shown: I64 = -(-mw * pue_permille // MILLI)
    return shown


def idle_mw(snapshot: Snapshot) -> I64:
    """By site: what its nodes draw with nothing to do, before its overhead."""
    drawn = np.zeros(len(snapshot.sites.ids), np.int64)
    np.add.at(drawn, snapshot.nodes.site, snapshot.nodes.idle_mw)
    return drawn


def attempts_mw(snapshot: Snapshot) -> I64:
    """By attempt: what its workers draw besides their idle nodes, each where it sits, before the overhead of the site."""
    a, n, drawn = snapshot.attempts, snapshot.nodes, np.empty(len(snapshot.attempts.ids), np.int64)
    drawn_by(a.worker_ptr, a.worker_node, a.worker_mask, a.share_milli, a.cores_milli, n.device_mw, n.core_mw, drawn)
    return drawn


def live_mw(snapshot: Snapshot, at_ms: int) -> I64:
    """By site: what all that lives now draws at a moment, nodes at rest included, before the overhead of the site."""
    a, drawn = snapshot.attempts, idle_mw(snapshot)
    mw = np.where(latest_ends(snapshot) > at_ms, attempts_mw(snapshot), 0)
    leaving = a.beneficiary >= 0
    room = np.zeros(len(a.ids), np.int64)  # by claim: what those who make room for it draw
    np.add.at(room, a.beneficiary[leaving], mw[leaving])
    counted = np.where(leaving, 0, np.maximum(mw, room))
    seated = np.flatnonzero(np.diff(a.worker_ptr))
    np.add.at(drawn, snapshot.nodes.site[a.worker_node[a.worker_ptr[seated]]], counted[seated])
    return drawn


def draw_mw(snapshot: Snapshot, at_ms: int) -> I64:
    """By site: what the meter shows at a moment, if nothing else started."""
    return at_meter_mw(live_mw(snapshot, at_ms), snapshot.sites.pue_permille)


def cap_mw(sites: Sites, site: int, at_ms: int) -> int:
    """What a site may draw at a moment that has not passed, -1 without a cap."""
    begin, end = int(sites.power_ptr[site]), int(sites.power_ptr[site + 1])
    step = int(np.searchsorted(sites.power_from_ms[begin:end], at_ms, side="right")) - 1
    return int(sites.power_mw[begin + step]) if step >= 0 else UNCAPPED


def caps_mw(sites: Sites, at_ms: int) -> I64:
    """By site, as `cap_mw`."""
    return np.array([cap_mw(sites, site, at_ms) for site in range(len(sites.ids))], np.int64)


def closing(nodes: Nodes, node: int, at_ms: int) -> tuple[int, int] | None:
    """The first window of a node that is not over at a moment (from, until); None: nothing is planned. Work may begin then and
    stay until `from`."""
    begin, end = int(nodes.closed_ptr[node]), int(nodes.closed_ptr[node + 1])
    row = begin + int(np.searchsorted(nodes.closed_until_ms[begin:end], at_ms, side="right"))
    return (int(nodes.closed_from_ms[row]), int(nodes.closed_until_ms[row])) if row < end else None


def in_the_way(nodes: Nodes, among: Sequence[int], from_ms: int, until_ms: int) -> tuple[int, int] | None:
    """The window, of any of these nodes, in which work from one moment to another would fall: the one that begins first."""
    found = [window for node in among if (window := closing(nodes, node, from_ms)) is not None and window[0] < until_ms]
    return min(found, default=None)
