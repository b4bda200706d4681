"""How much was in use, when, and what it drew: integrals over the stretches of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dure.errors import require
from dure.simulator.report.exact import by_group, times, total
from dure.simulator.report.run import Run, Stretches
from dure.simulator.traces.fleet import HOURS

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
HOUR_MS = 3_600_000
DAY_MS = HOURS * HOUR_MS
WARM_UP = 10  # the steady window leaves out this part of the time of submissions: the fleet begins empty


def steady_ms(run: Run) -> tuple[int, int]:
    """From a tenth of the time of submissions on, until the last one: without the filling of an empty fleet, and without the
    tail in which nothing new comes. Our convention (what to cut off: Feitelson, Workload Modeling, 2015, chapter 10)."""
    if not len(run):
        return 0, 0
    first, last = int(run.submit_ms.min()), int(run.submit_ms.max())
    return first + (last - first) // WARM_UP, last


def use_in(part: Stretches, from_ms: int, until_ms: int) -> int:
    """The exact integral of what is held over a time: thousandths times ms."""
    held_ms = np.minimum(part.until_ms, until_ms) - np.maximum(part.from_ms, from_ms)
    return total(times(part.held_milli, np.maximum(held_ms, 0)))


def utilisation(run: Run, window: tuple[int, int]) -> float | None:
    """Integral of use over integral of capacity, 0 to 1; None over no time."""
    room = run.fleet.total_milli * (window[1] - window[0])
    return use_in(run.stretches, *window) / room if room > 0 else None


def use_by_time(run: Run, edges: F64) -> F64:
    """Mean utilisation, 0 to 1, between each two of these moments (ms): the mean over that time, not a sample from it."""
    at, integral = _integral(run)
    each = np.diff(np.interp(edges, at, integral))
    return each / np.maximum(run.fleet.total_milli * np.diff(edges), 1e-9)


def done_by(run: Run, part: float) -> float:
    """When so much of all use was over, ms."""
    at, integral = _integral(run)
    return float(np.interp(part * integral[-1], integral, at)) if integral[-1] else run.span_ms[1]


def _integral(run: Run) -> tuple[F64, F64]:
    """Use since the first submission, at every moment at which it changes its slope."""
    part = run.stretches
    at = np.concatenate([[run.span_ms[0]], part.from_ms, part.until_ms])
    order = np.argsort(at, kind="stable")
    level = np.cumsum(np.concatenate([[0], part.held_milli, -part.held_milli])[order])
    moments = at[order].astype(np.float64)
    return moments, np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(moments))])


def ran_ms(run: Run) -> I64:
    """How long each job ran, by its stretches; what ran at two places at once counts once."""
    part, most = run.stretches, run.until_ms + 1
    require(most * (len(run) + 1) < 1 << 62, "times of all jobs fit one after the other into 64 bits")
    order = np.lexsort((part.from_ms, part.job))
    job = part.job[order]
    begin, end = job * most + part.from_ms[order], job * most + part.until_ms[order]
    covered = np.concatenate([[0], np.maximum.accumulate(end)[:-1]]) if len(end) else end
    found = np.zeros(len(run), np.int64)
    np.add.at(found, job, np.maximum(end - np.maximum(begin, covered), 0))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What the fleet drew over a run, by local hour of the day (24 each)."""

    watt_hours: tuple[float, ...]
    grams: tuple[float, ...]  # of CO₂; of nothing where no site knows its carbon
    krw: tuple[float, ...]  # what the power cost
    hours: tuple[float, ...]  # how much time of the run fell into that hour of the day

    @property
    def mean_watts(self) -> tuple[float, ...]:
        return tuple(energy / time if time else 0.0 for energy, time in zip(self.watt_hours, self.hours, strict=True))


def draw_of(run: Run) -> Draw | None:
    """Energy, carbon and cost of power; None where the fleet does not say what everything draws.

    A node draws what it draws idle, and the rest up to its full draw in proportion to its devices in use; times PUE. Where the
    time of day of the trace's zero is unknown it counts as midnight."""
    fleet = run.fleet
    if not fleet.watts_known or not len(run):
        return None
    clock = max(run.clock_ms, 0)
    first, last = run.span_ms
    rows = []
    for hour in range(HOURS):
        time = int(in_hour(np.int64(last + clock), hour) - in_hour(np.int64(first + clock), hour))
        watt_hours = [_watt_ms(run, site, uses, time) / HOUR_MS for site, uses in enumerate(_use_by_cell(run, hour, clock))]
        parts = list(zip(watt_hours, fleet.carbon_g_mwh[:, hour].tolist(), fleet.price_krw_mwh[:, hour].tolist(), strict=True))
        rows.append((math.fsum(watt_hours), math.fsum(w * g for w, g, _ in parts) / 1e6,
                     math.fsum(w * p for w, _, p in parts) / 1e6, time / HOUR_MS))  # fmt: skip
    energy, grams, krw, hours = zip(*rows, strict=True)
    return Draw(watt_hours=energy, grams=grams, krw=krw, hours=hours)


def in_hour(at_ms: I64 | np.int64, hour: int) -> I64:
    """How much of the time from a midnight until then lies within this hour of the day, ms."""
    days, rest = np.divmod(at_ms, DAY_MS)
    found: I64 = days * HOUR_MS + np.clip(rest - hour * HOUR_MS, 0, HOUR_MS)
    return found


def _use_by_cell(run: Run, hour: int, clock: int) -> list[list[int]]:
    part, types = run.stretches, len(run.fleet.accelerators) + 1
    held_ms = in_hour(part.until_ms + clock, hour) - in_hour(part.from_ms + clock, hour)
    cell = part.site.astype(np.int64) * types + part.accelerator % types
    flat = by_group(times(part.held_milli, held_ms), cell, types * len(run.fleet.sites))
    return [flat[at : at + types] for at in range(0, len(flat), types)]


def _watt_ms(run: Run, site: int, uses: list[int], time_ms: int) -> float:
    fleet, parts = run.fleet, []
    for cell, use in enumerate(uses):
        room, full, idle = (int(column[site, cell]) for column in (fleet.capacity_milli, fleet.full_watts, fleet.idle_watts))
        if room:
            parts.append(idle * time_ms + (max(full, idle) - idle) * use / room)
    return math.fsum(parts) * int(fleet.pue_permille[site]) / 1000
