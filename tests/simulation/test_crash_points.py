"""Kill the controller at every write of a small story: money and jobs are right every time."""

from __future__ import annotations

import pytest

from dure.simulator.crash import Teller, crash_points, ending_of
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import everything_once, open_world

SHARDS = 4  # so that the points are shared out over the test processes


@pytest.fixture(scope="module")
def world() -> World:
    told = open_world(MemoryStore())
    everything_once(Teller(told))
    return told


def test_the_undisturbed_story_has_all_that_moves_money(world: World) -> None:
    ending = ending_of(world)
    outcomes = {outcome for _, attempts in ending.workloads.values() for outcome, _, _ in attempts}
    assert ending.faults == ()
    assert {state for state, _ in ending.workloads.values()} == {"succeeded", "failed", "cancelled"}
    assert outcomes == {"succeeded", "failed", "cancelled", "preempted"}
    assert any(refunded for _, attempts in ending.workloads.values() for _, _, refunded in attempts)
    assert {id for id, nano in ending.carried if nano} == {"lab/north/KRW", "flood/north/KRW"}


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_story_ends_the_same_wherever_the_controller_dies(shard: int) -> None:
    report = crash_points(open_world, everything_once, every=SHARDS, first=shard)
    assert report.runs > 2 * report.writes // SHARDS - 2
    assert report.failures == ()
