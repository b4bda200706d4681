"""When a blocked workload starts at the latest, if everything runs to its limit and nothing more important comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from dure.scheduler.snapshot import Bool
from tests.plain.capacity import Ground
from tests.plain.place import Need, Seats, emptiness, workers_in

Spot = tuple[int, int, Seats]  # moment, site, seats


def earliest(
    ground: Ground, need: Need, workers: int, limit_ms: int, accelerator: int, sites: Bool, spare: Sequence[int]
) -> Spot | None:
    """The first moment at which a gang can start on an accelerator type without delaying any promise, at the site with the least
    to spare; None when no end of what is in the way is known.

    It can only be a departure. Between the starts of promises, and the moments `limit` before them, room only grows with
    time, so each such stretch is searched by bisection: its last departure tells whether the stretch holds an answer."""
    usable = ground.usable(accelerator) & sites[ground.site]

    def takes(at_ms: int) -> bool:
        room = ground.room_at(at_ms, at_ms + limit_ms)
        return bool((ground.by_site(workers_in(room, need) * usable) >= workers).any())

    at_ms = _first(ground, limit_ms, takes)
    if at_ms is None:
        return None
    room = ground.room_at(at_ms, at_ms + limit_ms)
    per_node = workers_in(room, need) * usable
    per_site = ground.by_site(per_node)
    site = min(np.flatnonzero(per_site >= workers).tolist(), key=lambda x: (spare[x], x))
    return at_ms, site, ground.seats(site, per_node, emptiness(room), workers)


def _first(ground: Ground, limit_ms: int, takes: Callable[[int], bool]) -> int | None:
    moments: list[int] = ground.departures()
    turns = sorted({edge for p in ground.promises for edge in (p.at_ms, p.at_ms - limit_ms + 1)})
    edges = [0, *np.searchsorted(moments, turns).tolist(), len(moments)]
    for low, end in pairwise(edges):
        if low == end or not takes(moments[end - 1]):
            continue
        high = end - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if takes(moments[middle]) else (middle + 1, high)
        return int(moments[low])
    return None
