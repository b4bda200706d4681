"""A hello may be said in parts: together they are one, and only the last of them confirms the plane's incarnation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dure.controller.commands import agents, workloads
from dure.model.event import RESTORED, Event, seal
from dure.model.link import AttemptReport, Hello, HelloAnswer, Poll, Report
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Plane
from dure.model.site import Node, Quarantine, Site
from dure.model.workload import Attempt, AttemptState
from dure.ports import Tx
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import NOW_MS, POLICY, begin, node, spec


@pytest.fixture
def world() -> World:
    """Three jobs run at north, and the plane has just been restored."""
    made = World(now_ms=NOW_MS, policy=POLICY, store=MemoryStore())
    made.add_site("north", [node("n1")])
    tell = Teller(made)
    begin(tell)
    for name in ("one", "two", "three"):
        tell.submit(spec(name))
    made.settle()
    made.store.transact(_restored)
    return made


def _restored(tx: Tx) -> None:
    plane = _plane(tx)
    data = {"incarnation": 2, "after_seq": plane.sealed_seq, "after_hash": plane.sealed_hash, "signature": ""}
    told = Event(id="restored", at_ms=NOW_MS, actor="restore", kind=RESTORED, subject="plane", data=data)
    (told,) = seal(plane.sealed_seq, plane.sealed_hash, [told])
    tx.insert(told)
    tx.update(replace(plane, incarnation=2, sealed_seq=told.seq, sealed_hash=told.hash))


def _plane(reader: Any) -> Plane:
    row = reader.get(Plane, "plane")
    assert isinstance(row, Plane)
    return row


def _site(world: World) -> Site:
    row = world.store.read(lambda r: r.get(Site, "north"))
    assert row is not None
    return row


def _running(world: World) -> list[Attempt]:
    rows = world.store.read(lambda r: r.find(Attempt, {"state": AttemptState.RUNNING}))
    assert len(rows) == 3
    return rows


def _hello(world: World, *told: Attempt, **members: Any) -> HelloAnswer | Reason:
    reports = tuple(AttemptReport(attempt=a.id, epoch=a.epoch, workload=a.workload, phase="running") for a in told)
    said = Hello(protocol=1, agent_version="1", boot_id="b", describe={"name": "x"}, nodes=(node("n1"),), reports=reports)
    said, deed = replace(said, **members), world.deed("agent:north")
    return world.store.transact(lambda tx: agents.hello(tx, deed, site="north", hello=said))


def _answered(answer: HelloAnswer | Reason) -> HelloAnswer:
    assert isinstance(answer, HelloAnswer)
    return answer


def _aside(world: World) -> list[str]:
    return [q.id for q in world.store.read(lambda r: r.find(Quarantine, {"resolved": ""}))]


def _joined(world: World) -> list[str]:
    return [e.kind for e in world.store.read(lambda r: r.find(Event)) if e.kind.startswith("site.join")]


def test_what_all_parts_told_counts_together(world: World) -> None:
    one, two, three = _running(world)
    before = _site(world)
    first = _answered(_hello(world, one, more=True))
    assert (first.more, first.epoch, first.incarnation) == (True, before.agent_epoch + 1, 2)
    assert _answered(_hello(world, two, more=True, epoch=first.epoch)).epoch == first.epoch
    assert (_site(world).incarnation, _aside(world)) == (1, []), "nothing is confirmed, and nobody missed, before the last part"
    assert set(_site(world).accounted) == {one.id, two.id}
    last = _answered(_hello(world, epoch=first.epoch))
    assert (last.more, last.epoch) == (False, first.epoch)
    assert (_site(world).incarnation, _site(world).accounted, _aside(world)) == (2, (), [three.id])
    assert _joined(world)[-3:] == ["site.joining", "site.joining", "site.joined"]


def test_a_site_that_is_still_telling_is_given_nothing_new(world: World) -> None:
    first = _answered(_hello(world, *_running(world), more=True))
    deed, project = world.deed(), _running(world)[0].project
    made = world.store.transact(lambda tx: workloads.submit(tx, deed, project=project, spec=spec("four")))
    assert not isinstance(made, Reason)
    id = made.ids[0]
    world.controller.step()
    assert world.workload(id).state == "waiting"
    _hello(world, epoch=first.epoch)
    world.controller.step()
    world.controller.step()
    assert world.workload(id).state == "starting"


def test_an_agent_that_starts_over_has_told_nothing_yet(world: World) -> None:
    one, two, three = _running(world)
    first = _answered(_hello(world, one, two, more=True))
    again = _answered(_hello(world, three, more=True))
    assert again.epoch == first.epoch + 1
    assert _site(world).accounted == (three.id,)
    _hello(world, two, epoch=again.epoch)
    assert _aside(world) == [one.id]


def test_a_part_of_a_hello_that_another_has_replaced_is_refused_and_changes_nothing(world: World) -> None:
    one, *_ = _running(world)
    first = _answered(_hello(world, one, more=True))
    _hello(world, more=True)
    before = _site(world)
    refused = _hello(world, one, epoch=first.epoch)
    assert isinstance(refused, Reason) and refused.kind == ReasonKind.EPOCH_STALE
    assert _site(world) == before


def test_a_plane_that_is_started_again_between_two_parts_remembers_the_first(world: World) -> None:
    one, two, three = _running(world)
    first = _answered(_hello(world, one, two, more=True))
    world.restart_controller()
    _hello(world, three, epoch=first.epoch)
    assert (_site(world).incarnation, _aside(world)) == (2, [])


def test_an_attempt_that_ended_in_one_part_is_missed_by_none(world: World) -> None:
    one, two, three = _running(world)
    ended = AttemptReport(attempt=one.id, epoch=one.epoch, workload=one.workload, phase="ended")
    first = _answered(_hello(world, reports=(ended,), more=True))
    _hello(world, two, three, epoch=first.epoch)
    assert _aside(world) == []


def test_where_nothing_has_to_be_confirmed_nothing_is_remembered(world: World) -> None:
    _hello(world, *_running(world))
    first = _answered(_hello(world, *_running(world), more=True))
    assert (_site(world).incarnation, _site(world).accounted) == (2, ())
    _hello(world, epoch=first.epoch)
    assert _aside(world) == []


def test_a_hello_of_an_older_agent_is_a_whole_one(world: World) -> None:
    assert not _answered(_hello(world, *_running(world))).more
    assert (_site(world).incarnation, _aside(world)) == (2, [])


def test_only_the_first_part_tells_the_inventory(world: World) -> None:
    first = _answered(_hello(world, nodes=(node("n1"), node("n2")), more=True))
    _hello(world, nodes=(), epoch=first.epoch)
    assert [n.up for n in world.store.read(lambda r: r.find(Node))] == [True, True]


@pytest.mark.parametrize(
    ("members", "up"),
    [({}, True), ({"nodes": ()}, True), ({"nodes": (), "inventory": True}, False), ({"nodes": (node("n1"),)}, True)],
)
def test_an_empty_inventory_is_news_only_when_it_is_told_as_one(world: World, members: dict[str, Any], up: bool) -> None:
    """An older agent fills every report with an empty list: that says nothing."""
    epoch = _answered(_hello(world, *_running(world))).epoch
    deed = world.deed("agent:north")
    world.store.transact(lambda tx: agents.report(tx, deed, site="north", report=Report(epoch=epoch, **members)))
    assert [n.up for n in world.store.read(lambda r: r.find(Node))] == [up]


def test_an_agent_in_the_middle_of_its_hello_gets_orders_for_its_session_alone(world: World) -> None:
    first = _answered(_hello(world, more=True))
    stale = agents.orders(world.store, site="north", poll=Poll(epoch=first.epoch - 1))
    assert isinstance(stale, Reason)
