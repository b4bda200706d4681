"""What a site may draw and when nothing may run there: steps of power and windows of maintenance, over time."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

UNCAPPED = -1  # watts of a step from which on there is no cap
WATTS_MAX = 10**10  # ten gigawatts: more than any site; keeps sums of milliwatts far from 64 bits
_FROM = attrgetter("from_ms")
_UNITS = {"W": 1, "kW": 1_000, "MW": 1_000_000, "GW": 1_000_000_000}
_POWER = re.compile(r"([0-9]{1,11})(?:\.([0-9]{1,9}))? ?([kMG]?W)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerStep:
    """From a moment until the next step's, a site draws at most so much at the meter."""

    from_ms: int
    watts: int = UNCAPPED  # -1: no cap


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """A stretch of time in which nothing may run on a site, or on some of its nodes."""

    id: str
    from_ms: int
    until_ms: int  # first moment after it
    nodes: tuple[str, ...] = ()  # names within the site; (): all that it has or gets
    note: str = ""  # as everybody who uses the site reads it


def capped(steps: Sequence[PowerStep], watts: int, from_ms: int, until_ms: int | None = None) -> tuple[PowerStep, ...]:
    """The envelope with another cap from one moment to the next (None: for ever); behind that it is as it was. steps: as this
    makes them, ascending, of which each changes something."""
    kept = tuple(steps[: bisect_left(steps, from_ms, key=_FROM)])
    changed = [PowerStep(from_ms=from_ms, watts=watts)]
    behind: Sequence[PowerStep] = ()
    if until_ms is not None:
        changed.append(PowerStep(from_ms=until_ms, watts=watts_at(steps, until_ms)))
        behind = steps[bisect_right(steps, until_ms, key=_FROM) :]
    for step in changed:
        if step.watts != (kept[-1].watts if kept else UNCAPPED):
            kept = (*kept, step)
    return (*kept, *behind)


def watts_at(steps: Sequence[PowerStep], at_ms: int) -> int:
    """The cap at a moment, -1 for none. steps: ascending."""
    at = bisect_right(steps, at_ms, key=_FROM)
    return steps[at - 1].watts if at else UNCAPPED


def since(steps: Sequence[PowerStep], now_ms: int) -> tuple[PowerStep, ...]:
    """What still counts of an envelope: the step in force and those to come. () when nothing caps any more. steps: as `capped`
    makes them."""
    first = max(bisect_right(steps, now_ms, key=_FROM) - 1, 0)
    first += first < len(steps) and steps[first].watts == UNCAPPED  # before the first one there is no cap
    return tuple(steps[first:])


def ahead(windows: Iterable[Maintenance], now_ms: int) -> tuple[Maintenance, ...]:
    """Those that have not ended, by their begin."""
    return tuple(sorted((w for w in windows if w.until_ms > now_ms), key=lambda w: (w.from_ms, w.until_ms, w.id)))


def closed(windows: Iterable[Maintenance], name: str, now_ms: int) -> tuple[tuple[int, int], ...]:
    """When a node of this name takes no work: (from, until) without overlaps, ascending, those that end after now."""
    merged: list[tuple[int, int]] = []
    for window in ahead(windows, now_ms):
        if window.nodes and name not in window.nodes:
            continue
        if merged and window.from_ms <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], window.until_ms))
        else:
            merged.append((window.from_ms, window.until_ms))
    return tuple(merged)


def same_window(windows: Iterable[Maintenance], from_ms: int, until_ms: int, nodes: Collection[str]) -> Maintenance | None:
    """The one that says the same already."""
    wanted = (from_ms, until_ms, frozenset(nodes))
    return next((w for w in windows if (w.from_ms, w.until_ms, frozenset(w.nodes)) == wanted), None)


def parse_watts(text: str) -> int | None:
    """ "500W", "60kW", "1.5 MW" → watts; None when it is not that, is no whole number of watts, or is more than `WATTS_MAX`."""
    found = _POWER.fullmatch(text.strip())
    if found is None:
        return None
    whole, fraction, unit = found.groups(default="")
    scaled = int(whole + fraction) * _UNITS[unit]
    watts, rest = divmod(scaled, 10 ** len(fraction))
    return watts if not rest and watts <= WATTS_MAX else None
