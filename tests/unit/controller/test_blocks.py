"""A node tells in which block it stands, a job asks for one, and the plane keeps to it."""

from __future__ import annotations

from typing import Any

import pytest

from dure.controller.commands.workloads import Submitted, submit
from dure.controller.drift import drift
from dure.model.site import Node
from dure.model.workload import Attempt, Demand, WorkloadSpec
from dure.scheduler import Snapshot
from dure.simulator.crash import Teller
from dure.simulator.world import World
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node


@pytest.fixture
def tell() -> Teller:
    world = World(now_ms=NOW_MS, policy=POLICY)
    stood = [("n1", "r1", 4), ("n2", "r2", 4), ("n3", "r1", 4), ("n4", "r1", 0), ("n5", "", 4)]
    world.add_site("north", [{**node(name, devices=devices), "block": block} for name, block, devices in stood])
    teller = Teller(world)
    begin(teller)
    return teller


def asks(world: World, **changes: Any) -> str:
    spec = WorkloadSpec(name="gang", command=("run",), demand=Demand(devices=4), workers=2, limit_ms=60_000, **changes)
    deed = world.deed()
    made = world.store.transact(lambda tx: submit(tx, deed, project="lab", spec=spec))
    assert isinstance(made, Submitted)
    return made.ids[0]


def planned(world: World) -> Snapshot:
    """What the step before now planned with; followed, it is what is rebuilt."""
    world.settle()
    memory, view = world.controller._memory, world.controller.view()
    assert memory is not None and view is not None
    found = world.store.read(lambda reader: drift(reader, memory.mirror, memory.columns, world.clock.ms, 1))
    assert found == ""
    return view.snapshot


def test_blocks_are_numbered_by_site_type_and_name(tell: Teller) -> None:
    assert [n.block for n in tell.world.store.read(lambda reader: reader.find(Node))] == ["r1", "r2", "r1", "r1", ""]
    assert planned(tell.world).nodes.block.tolist() == [0, 1, 0, 2, -1]


def test_two_jobs_that_differ_only_in_topology_are_of_two_shapes(tell: Teller) -> None:
    tell.world.sites["north"].link.down = True
    tell.world.clock.ms += 2 * MINUTE_MS
    for topology in ("block", "", "block"):
        asks(tell.world, topology=topology)
    s = planned(tell.world)
    assert s.pending.block.tolist() == [True, False, True] and s.pending.shape.tolist() == [0, 1, 0]


def test_a_gang_starts_in_the_block_that_takes_it(tell: Teller) -> None:
    id = asks(tell.world, topology="block")
    tell.world.settle()
    (attempt,) = tell.world.store.read(lambda reader: reader.find(Attempt, {"workload": id}))
    assert [worker.node for worker in attempt.workers] == ["north/n1", "north/n3"]
