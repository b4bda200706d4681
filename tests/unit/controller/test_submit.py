"""What may be submitted: every wrong job gets a reason that names the field, and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dure.controller.commands.workloads import Submitted, cancel, submit
from dure.model.event import Event
from dure.model.policy import Policy
from dure.model.reason import Reason, ReasonKind
from dure.model.render import render
from dure.model.workload import Demand, Workload, WorkloadSpec, WorkloadState
from dure.ports import Tx
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import NOW_MS, begin, node

SPEC = WorkloadSpec(name="job", command=("run",), limit_ms=60_000)


@pytest.fixture
def world() -> World:
    made = World(now_ms=NOW_MS, policy=Policy(array_max=100, waiting_max=5), store=MemoryStore())
    made.add_site("north", [node("n1", devices=4)])
    begin(Teller(made))
    return made


def _submit(world: World, project: str = "lab", array: int = 0, **changes: Any) -> Submitted | Reason:
    deed = world.deed()
    return world.store.transact(lambda tx: submit(tx, deed, project=project, spec=replace(SPEC, **changes), array=array))


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"command": ()}, "command", "empty"),
        ({"command": ("",)}, "command", "empty"),
        ({"demand": Demand(cores_milli=0)}, "resources.cores", "too_small"),
        ({"demand": Demand(cores_milli=10**9)}, "resources.cores", "too_large"),
        ({"demand": Demand(memory_mib=0)}, "resources.memory", "too_small"),
        ({"demand": Demand(memory_mib=1 << 31)}, "resources.memory", "too_large"),
        ({"demand": Demand(devices=-1)}, "resources.devices", "too_small"),
        ({"demand": Demand(devices=5000)}, "resources.devices", "too_large"),
        ({"demand": Demand(accelerators=("h100",))}, "resources.accelerators", "contradiction"),
        ({"demand": Demand(devices=1, accelerators=("abacus",))}, "resources.accelerators", "unknown_value"),
        ({"workers": 0}, "workers", "too_small"),
        ({"workers": 10**6}, "workers", "too_large"),
        ({"workers": 4, "workers_min": 5}, "workers_min", "too_large"),
        ({"workers": 4, "workers_min": -1}, "workers_min", "too_small"),
        ({"array": -1}, "array", "too_small"),
        ({"array": 101}, "array", "too_large"),
        ({"limit_ms": 10}, "limit", "too_small"),
        ({"limit_ms": -5}, "limit", "too_small"),
        ({"limit_ms": 10**12}, "limit", "too_large"),
        ({"topology": "rack"}, "topology", "unknown_value"),
        ({"priority": "royal"}, "priority", "unknown_value"),
        ({"retries": 11}, "retries", "too_large"),
        ({"retries": -1}, "retries", "too_small"),
        ({"grace_ms": 10**7}, "grace", "too_large"),
        ({"checkpoint_interval_ms": -1}, "checkpoint", "too_small"),
        ({"sites": ("atlantis",)}, "sites", "unknown_value"),
        ({"depends_on": ("x",) * 101}, "depends_on", "too_many"),
    ],
)
def test_a_wrong_job_names_its_field_and_changes_nothing(world: World, changes: dict[str, Any], field: str, problem: str) -> None:
    before = world.store.read(lambda r: r.count(Event))
    refused = _submit(world, **changes)
    assert isinstance(refused, Reason)
    assert (refused.kind, refused.facts["field"], refused.facts["problem"]) == (ReasonKind.BAD_FIELD, field, problem)
    assert world.store.read(lambda r: (r.count(Event), r.count(Workload))) == (before, 0)


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"project": "none"}, "project"), ({"bundle": "0" * 64}, "bundle"), ({"depends_on": ("nothing",)}, "workload")],
)
def test_what_does_not_exist_is_not_found(world: World, changes: dict[str, Any], what: str) -> None:
    refused = _submit(world, **changes)
    assert isinstance(refused, Reason)
    assert (refused.kind, refused.facts["what"]) == (ReasonKind.NOT_FOUND, what)


def test_a_project_that_has_too_much_waiting_is_told_so(world: World) -> None:
    for site in world.sites.values():
        site.link.down = True
    world.clock.ms += 120_000
    assert isinstance(_submit(world, array=5), Submitted)
    world.settle()
    refused = _submit(world)
    assert refused == Reason.of(ReasonKind.LIMIT_EXCEEDED, what="waiting", limit=5, asked=6)


def test_a_job_without_a_limit_gets_the_policys(world: World) -> None:
    made = _submit(world, limit_ms=0)
    assert isinstance(made, Submitted)
    assert world.workload(made.ids[0]).spec.limit_ms == Policy().limit_ms_default


def test_cancelling_an_array_cancels_all_of_it_and_again_changes_nothing(world: World) -> None:
    made = _submit(world, array=3)
    assert isinstance(made, Submitted)
    deed = world.deed()
    first = world.store.transact(lambda tx: cancel(tx, deed, id=made.array_id))
    again = world.store.transact(lambda tx: cancel(tx, deed, id=made.array_id))
    assert not isinstance(first, Reason)
    assert [w.state for w in first] == ["cancelled"] * 3
    assert again == first


def test_an_array_of_which_some_had_ended_is_cancelled_by_two(world: World) -> None:
    made = _submit(world, array=3)
    assert isinstance(made, Submitted)
    deed = world.deed()

    def end_one(tx: Tx) -> None:
        row = tx.get(Workload, made.ids[0])
        assert row is not None
        tx.update(replace(row, state=WorkloadState.SUCCEEDED))

    world.store.transact(end_one)
    first = world.store.transact(lambda tx: cancel(tx, deed, id=made.array_id))
    assert not isinstance(first, Reason)
    assert [w.state for w in first] == ["succeeded", "cancelled", "cancelled"]
    assert world.store.transact(lambda tx: cancel(tx, deed, id=made.array_id)) == first
    alone = world.store.transact(lambda tx: cancel(tx, deed, id=made.ids[0]))
    assert alone == Reason.of(ReasonKind.ALREADY_ENDED, what="workload", id=made.ids[0], state="succeeded")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"demand": Demand(cores_milli=10**9)}, "at most 10,000."),
        ({"demand": Demand(memory_mib=1 << 31)}, "at most 1024TiB."),
        ({"demand": Demand(devices=65)}, "at most 64."),
        ({"grace_ms": 10**7}, "at most 10 min."),
        ({"checkpoint_interval_ms": 10**9}, "at most 1 d."),
        ({"limit_ms": 10**12}, "at most 14 d."),
        ({"sites": ("atlantis",)}, "known: north."),
    ],
)
def test_bounds_are_told_in_the_units_that_people_write(world: World, changes: dict[str, Any], told: str) -> None:
    refused = _submit(world, **changes)
    assert isinstance(refused, Reason)
    assert told in render(refused).detail


def test_a_changed_copy_names_its_origin(world: World) -> None:
    first = _submit(world)
    assert isinstance(first, Submitted)
    deed = world.deed()
    copy = world.store.transact(lambda tx: submit(tx, deed, project="lab", spec=first.spec, origin=first.ids[0]))
    assert isinstance(copy, Submitted)
    told = {e.subject: e.data["origin"] for e in world.store.read(lambda r: r.find(Event, {"kind": "workload.submitted"}))}
    assert (told[first.ids[0]], told[copy.ids[0]]) == ("", first.ids[0])
