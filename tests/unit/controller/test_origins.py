"""Which checkpoint a workload goes on from, by what its origin is and what became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dure.controller.commands.workloads import Submitted, submit
from dure.controller.origins import ORIGINS_MAX, checkpoint_of, origins_of
from dure.model.reason import Reason, ReasonKind
from dure.model.workload import Workload, WorkloadSpec, WorkloadState
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import NOW_MS, begin, node

SPEC = WorkloadSpec(name="job", command=("run",), limit_ms=60_000, checkpoint_interval_ms=1000)
ENDED = Workload(id="w_old", project="lab", owner="ada", spec=SPEC, state=WorkloadState.FAILED, started_ms=5)


@pytest.fixture
def world() -> World:
    made = World(now_ms=NOW_MS, store=MemoryStore())
    made.add_site("north", [node("n1", devices=4)])
    begin(Teller(made))
    return made


def _insert(world: World, *rows: Workload) -> None:
    world.store.transact(lambda tx: [tx.insert(row) for row in rows])


def _goes_on_from(world: World, **changes: Any) -> str:
    row = replace(ENDED, id="w_new", state=WorkloadState.WAITING, started_ms=0, origin="w_old", **changes)
    return world.store.read(lambda reader: checkpoint_of(reader, row))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "w_old"),
        ({"state": WorkloadState.CANCELLED}, "w_old"),
        ({"state": WorkloadState.SUCCEEDED}, ""),
        ({"state": WorkloadState.RUNNING}, ""),
        ({"started_ms": 0}, ""),
        ({"project": "elsewhere"}, ""),
    ],
)
def test_it_goes_on_from_what_ended_without_success_in_its_own_project(
    world: World, changes: dict[str, Any], expected: str
) -> None:
    _insert(world, replace(ENDED, **changes))
    assert _goes_on_from(world) == expected


def test_a_job_that_declares_no_checkpoints_goes_on_from_none(world: World) -> None:
    _insert(world, ENDED)
    assert _goes_on_from(world, spec=replace(SPEC, checkpoint_interval_ms=0)) == ""


def test_copies_that_never_ran_are_passed_over_but_not_for_ever(world: World) -> None:
    never = {"state": WorkloadState.CANCELLED, "started_ms": 0}
    first = replace(ENDED, id="w_first")
    _insert(world, first, replace(ENDED, **never, origin="w_first"))
    assert _goes_on_from(world) == "w_first"
    chain = [replace(ENDED, **never, id=f"w_{n}", origin=f"w_{n + 1}") for n in range(ORIGINS_MAX)]
    _insert(world, *chain)
    far = replace(ENDED, id="w_x", origin="w_0")
    assert world.store.read(lambda reader: checkpoint_of(reader, far)) == ""


def test_another_projects_work_is_no_origin(world: World) -> None:
    _insert(world, replace(ENDED, project="elsewhere"))
    deed = world.deed()
    told = world.store.transact(lambda tx: submit(tx, deed, project="lab", spec=SPEC, origin="w_old"))
    assert isinstance(told, Reason) and told.kind is ReasonKind.NOT_FOUND
    assert [w.id for w in world.store.read(lambda reader: reader.find(Workload))] == ["w_old"]


def test_element_by_element_an_array_comes_from_an_array(world: World) -> None:
    old = [replace(ENDED, id=f"w_old.{n}", array_id="w_old", array_index=n) for n in range(2)]
    _insert(world, *old)
    deed = world.deed()
    told = world.store.transact(lambda tx: submit(tx, deed, project="lab", spec=SPEC, array=3, origin="w_old"))
    assert isinstance(told, Submitted)
    rows = world.store.read(lambda reader: reader.get_many(Workload, told.ids))
    assert [rows[id].origin for id in told.ids] == ["w_old.0", "w_old.1", ""]
    assert world.store.read(lambda reader: origins_of(reader, "lab", "w_old.1")) == {1: "w_old.1"}
