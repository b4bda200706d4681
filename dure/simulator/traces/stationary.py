"""A window of a system that has long been running: how long it is, and who is in progress when it begins.

A stream of jobs at a rate, each with a run time S, has a Poisson number of jobs in progress at any moment, with mean rate × E[S]:
theirs are run times drawn in proportion to their length, of which a uniform part is left (Wolff, *Stochastic Modeling and the
Theory of Queues*, 1989). With these at its beginning a window is asked for as much device-time as any other one, however short
it is beside the jobs; without them it begins with an idle fleet, and what is asked for lies mostly behind its end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from dure.simulator.traces.fitted import pick
from dure.simulator.traces.national import HOUR_S
from dure.simulator.traces.trace import I64

F64 = NDArray[np.float64]

NEAR = 0.005  # of the load: a draw that comes so near is taken
DRAWS = 24  # of those in progress, at most: where one gang is a quarter of the fleet some draws miss the load by as much
OCTAVES = 3  # the window may be so many times half or twice as long as expected
STEPS = 16  # bisections of six octaves or a few more: a window to a ten-thousandth


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """How much jobs hold, and for how long, one entry a job."""

    devices: I64  # per worker
    workers: I64
    least: I64  # workers that will do
    shares: I64  # thousandths of one device, where devices is 0
    duration_ms: I64
    limit_ms: I64  # 0 none
    status: I64

    @property
    def held(self) -> F64:
        """Devices of the whole job."""
        held: F64 = self.workers * (self.devices + self.shares / 1000)
        return held

    def take(self, rows: I64) -> Shapes:
        return Shapes(**{each.name: getattr(self, each.name)[rows] for each in fields(self)})

    def joined(self, other: Shapes) -> Shapes:
        pairs = ((each.name, getattr(self, each.name), getattr(other, each.name)) for each in fields(self))
        return Shapes(**{name: np.concatenate([mine, its]) for name, mine, its in pairs})


@dataclass(frozen=True, kw_only=True)
class Law:
    """A sample of what jobs are, from which those in progress are drawn. Run times depend on the group alone, so size and run
    time are drawn apart."""

    kinds: I64
    group: I64  # of equal law of run times
    weight: F64  # probability of the row among jobs that are submitted
    shapes: Shapes

    @property
    def mean_s(self) -> float:
        """Expected run time of a job."""
        return float((self.weight * self.shapes.duration_ms).sum()) / 1000

    @property
    def mean_device_s(self) -> float:
        """Expected device-seconds of a job."""
        return float((self.weight * self.shapes.held * self.shapes.duration_ms).sum()) / 1000


@dataclass(frozen=True, kw_only=True)
class InProgress:
    """Jobs at the beginning of the window. shapes: as they were submitted."""

    kinds: I64
    shapes: Shapes
    age_ms: I64  # for how long each has run
    due: F64  # ascending where they were drawn: the n-th is there if rate × E[S] reaches it

    @property
    def left_ms(self) -> I64:
        return self.shapes.duration_ms - self.age_ms

    def oldest_first(self, count: int) -> InProgress:
        """The first so many, in the order in which they began."""
        order = np.argsort(-self.age_ms[:count], kind="stable")
        return InProgress(
            kinds=self.kinds[order], shapes=self.shapes.take(order), age_ms=self.age_ms[order], due=self.due[:count]
        )


@dataclass(frozen=True, kw_only=True)
class Window:
    """span_s: how long jobs are submitted. load: device-time that falls into it over what the fleet has in it."""

    span_s: float
    submit_ms: I64  # of those that are submitted in it
    load: float
    begun: InProgress


def window(
    rng: np.random.Generator, law: Law, shapes: Shapes, devices: int, load: float, submitted: Callable[[float], I64]
) -> Window:  # fmt: skip
    """The window in which these jobs are submitted, such that with those in progress at its beginning the device-time that falls
    into it is `load` of what the fleet has.

    submitted: when each job is submitted, in ms, in a window of so many seconds. Those in progress are drawn anew until the load
    is NEAR, at most DRAWS times, and the nearest is taken: a stationary beginning, given that its load is the one that was asked
    for. A fleet that a single gang fills, or jobs of which none has devices, leave the load where it comes to be."""
    jobs = len(shapes.duration_ms)
    expected = jobs * law.mean_device_s / (load * devices)
    if not expected:
        begun = _draw(rng, law, jobs * law.mean_s / HOUR_S)
        return Window(span_s=HOUR_S, submit_ms=submitted(HOUR_S), load=0.0, begun=begun.oldest_first(len(begun.due)))
    found: list[Window] = []
    while len(found) < DRAWS and not (found and abs(found[-1].load - load) <= NEAR * load):
        begun = _draw(rng, law, jobs * law.mean_s / expected * (1 << OCTAVES))
        found.append(_fitted(begun, law, shapes, devices, load, submitted, expected))
    return min(found, key=lambda each: abs(each.load - load))


def _draw(rng: np.random.Generator, law: Law, mean: float) -> InProgress:
    """A Poisson number of jobs with this mean, in a random order, `due` one after another as events of unit rate."""
    count = int(rng.poisson(mean))
    row = pick(rng, law.weight * law.shapes.duration_ms, count)
    first, members = np.searchsorted(law.group, np.arange(law.group[-1] + 2)), law.group[row]
    size = first[members] + (rng.random(count) * (first[members + 1] - first[members])).astype(np.int64)
    duration = law.shapes.duration_ms[row]
    left = np.maximum(np.ceil(rng.random(count) * duration / 1000).astype(np.int64) * 1000, 1000)
    sizes, lengths = law.shapes.take(size), law.shapes.take(row)
    shapes = replace(sizes, duration_ms=duration, limit_ms=lengths.limit_ms, status=lengths.status)
    return InProgress(kinds=law.kinds[row], shapes=shapes, age_ms=duration - left, due=np.sort(rng.random(count) * mean))


def _fitted(
    begun: InProgress, law: Law, shapes: Shapes, devices: int, load: float, submitted: Callable[[float], I64], expected: float
) -> Window:  # fmt: skip
    """The window's length by bisection: the longer it is, the lower are the rate and the load."""
    jobs, held, run, late = len(shapes.duration_ms), shapes.held, shapes.duration_ms / 1000, begun.left_ms / 1000
    others = begun.shapes.held

    def there(span_s: float) -> int:
        return int(np.searchsorted(begun.due, jobs * law.mean_s / span_s, side="right"))

    def load_of(span_s: float) -> float:
        count = there(span_s)
        own = held @ np.clip(span_s - submitted(span_s) / 1000, 0, run)
        return float(own + others[:count] @ np.minimum(late[:count], span_s)) / (devices * span_s)

    low, high = expected / (1 << OCTAVES), expected * (1 << OCTAVES)
    while load_of(high) > load:
        low, high = high, 2 * high
    for _ in range(STEPS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if load_of(middle) > load else (low, middle)
    span_s = min((low, high), key=lambda each: abs(load_of(each) - load))
    begun = begun.oldest_first(there(span_s))
    return Window(span_s=span_s, submit_ms=submitted(span_s), load=load_of(span_s), begun=begun)
