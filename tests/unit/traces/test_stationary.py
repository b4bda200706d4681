"""The beginning of a window against what is known of stationary systems."""

from __future__ import annotations

import numpy as np
import pytest

from dure.simulator.traces.national import HOUR_S
from dure.simulator.traces.stationary import NEAR, Law, Shapes, Window, window
from dure.simulator.traces.trace import I64

ROWS = 4000


def shapes(devices: I64, duration_s: np.ndarray) -> Shapes:
    none = np.zeros(len(devices), np.int64)
    ms = np.maximum(np.rint(duration_s), 1).astype(np.int64) * 1000
    return Shapes(
        devices=devices, workers=none + 1, least=none + 1, shares=none, duration_ms=ms, limit_ms=2 * ms, status=none + 1
    )


def law(duration_s: np.ndarray, devices: int = 1) -> Law:
    count, none = len(duration_s), np.zeros(len(duration_s), np.int64)
    return Law(kinds=none, group=none, weight=np.full(count, 1 / count), shapes=shapes(none + devices, duration_s))


def found(seed: int, duration_s: np.ndarray, jobs: int, fleet: int, load: float = 0.8, devices: int = 1) -> tuple[Window, I64]:
    """A window of equally wide jobs that come at any moment alike; and how long each runs."""
    rng = np.random.default_rng(seed)
    own, at = rng.choice(duration_s, jobs), rng.random(jobs)
    new = shapes(np.full(jobs, devices), own)
    return window(rng, law(duration_s, devices), new, fleet, load, lambda s: (at * s * 1000).astype(np.int64)), new.duration_ms


def inside(made: Window, run_ms: I64, devices: int = 1) -> float:
    """Device-milliseconds within the window."""
    span = made.span_s * 1000
    return devices * float(np.minimum(made.begun.left_ms, span).sum() + np.clip(span - made.submit_ms, 0, run_ms).sum())


@pytest.mark.parametrize("jobs", [50, 1000, 30_000])
def test_in_progress_are_as_many_as_littles_law_says_and_the_load_is_the_one_asked_for(jobs: int) -> None:
    """Rate × mean run time, which with one device each is the load times the fleet."""
    hours = np.random.default_rng(9).exponential(3600, ROWS)
    counts = []
    for seed in range(10):
        made, run_ms = found(seed, hours, jobs, 500)
        assert inside(made, run_ms) / (500 * made.span_s * 1000) == pytest.approx(0.8, rel=2 * NEAR)
        assert made.load == pytest.approx(0.8, rel=NEAR)
        counts.append(len(made.begun.kinds))
    assert np.mean(counts) == pytest.approx(400, rel=0.06)


@pytest.mark.parametrize(("name", "spread"), [("alike", 0.0), ("exponential", 1.0), ("heavy", 3.0)])
def test_what_is_left_of_jobs_in_progress_is_longer_the_more_their_run_times_differ(name: str, spread: float) -> None:
    """The mean of what is left is E[S²] / 2 E[S] (of equal jobs, half of one; of exponential ones, a whole one)."""
    rng = np.random.default_rng(5)
    run = {"alike": np.full(ROWS, 5000.0), "exponential": rng.exponential(5000, ROWS), "heavy": rng.lognormal(7, 1.5, ROWS)}[name]
    assert run.std() / run.mean() == pytest.approx(spread, abs=0.5 * spread)
    left = np.concatenate([found(seed, run, 2000, 4000)[0].begun.left_ms for seed in range(6)]) / 1000
    assert left.mean() == pytest.approx((run**2).mean() / (2 * run.mean()), rel=0.08)


def test_they_are_in_the_order_in_which_they_began_and_keep_what_they_were_submitted_with() -> None:
    begun = found(1, np.random.default_rng(2).exponential(600, ROWS), 300, 200)[0].begun
    assert bool((np.diff(begun.age_ms) <= 0).all()) and bool((begun.left_ms >= 1000).all()) and bool((begun.age_ms >= 0).all())
    assert begun.shapes.limit_ms.tolist() == (2 * begun.shapes.duration_ms).tolist()


def test_where_one_job_is_a_third_of_the_fleet_the_load_is_as_near_as_whole_jobs_can_be() -> None:
    made, _ = found(3, np.full(ROWS, 90_000.0), 3, 3, load=0.9)
    assert 0.6 < made.load < 1.4 and made.span_s > 0


def test_jobs_of_which_none_has_devices_come_in_an_hour() -> None:
    made, _ = found(4, np.full(ROWS, 1800.0), 40, 10, devices=0)
    assert made.span_s == HOUR_S and made.load == 0
    assert 5 < len(made.begun.kinds) < 40, "forty an hour for half an hour each"


def test_a_window_grows_until_a_job_that_is_wider_than_the_fleet_has_left() -> None:
    """More than the fleet is asked for at once, so only time can bring the load down."""
    new = shapes(np.array([100]), np.array([1000.0]))
    made = window(np.random.default_rng(0), law(np.full(ROWS, 1.0)), new, 10, 0.5, lambda s: np.zeros(1, np.int64))
    assert made.load == pytest.approx(0.5, rel=NEAR) and made.span_s == pytest.approx(20_000, rel=0.01)
