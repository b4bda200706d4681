"""What a plan remembers of searches that found nothing."""

from __future__ import annotations

from dure.scheduler.kernels.sites import longest
from dure.scheduler.kernels.state import AGO, LONG_AGO, NEVER, forget
from dure.scheduler.sound import LIMIT_MAX
from dure.scheduler.tables import cycle_of
from tests.builders.world import World


def test_a_site_is_forgotten_as_often_as_something_leaves_it_and_the_others_are_not() -> None:
    world = World().site("here", 1, cores=8).site("there", 1, cores=8)
    world.pending("short", cores=4, limit=1).pending("wide", cores=8)
    cycle = cycle_of(world.snapshot())
    memory, sites = cycle.memory, cycle.standings.sites
    assert LONG_AGO // AGO > 2
    for _ in range(3 * LONG_AGO // AGO):
        for site in (0, 1):
            memory.full[:, site] = LIMIT_MAX - memory.since[site]
        assert longest(sites, memory.full, memory.since) == LIMIT_MAX
        forget(memory, 0)
        told = memory.full + memory.since
        assert (told[:, 0] > LIMIT_MAX).all(), "whatever limit is asked for is looked for again"
        assert (told[:, 1] == LIMIT_MAX).all()
        assert told.min() >= 0 and told.max() <= NEVER + LONG_AGO
