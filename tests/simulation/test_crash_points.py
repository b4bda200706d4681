"""Kill the controller at every write of a small story: money and jobs are right every time."""

from __future__ import annotations

import os

import pytest

from dure.simulator.crash import crash_points, ending_of
from tests.simulation.stories import everything_once, open_world

SPREAD = 1  # every crash point


def test_the_story_ends_the_same_wherever_the_controller_dies() -> None:
    report = crash_points(open_world, everything_once, every=SPREAD)
    assert report.failures == ()
    assert report.runs == 2 * report.writes
    assert report.ending.faults == ()
    assert {state for state, _ in report.ending.workloads.values()} == {"succeeded", "failed", "cancelled"}
