"""Power and maintenance, from the operator's word to the columns of a snapshot: followed state equals rebuilt state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dure.controller.commands import envelopes, sites
from dure.controller.drift import drift
from dure.model.envelope import UNCAPPED, WATTS_MAX, Maintenance, PowerStep
from dure.model.event import Event
from dure.model.reason import Reason
from dure.model.site import Site
from dure.scheduler import Snapshot
from dure.scheduler.power import cap_mw, closing, draw_mw
from dure.simulator.world import World
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, node

HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def world() -> World:
    made = World(now_ms=NOW_MS, policy=POLICY)
    made.add_site("north", [{**node("n1", devices=4), "idle_mw": 100_000}, node("n2")])
    made.add_site("south", [node("s1")])
    made.settle()
    return made


def do(world: World, command: Callable[..., Any], **said: Any) -> Any:
    deed = world.deed()
    return world.store.transact(lambda tx: command(tx, deed, **said))


def power(world: World, watts: int | None, **said: Any) -> Any:
    return do(world, envelopes.set_power, site="north", watts=watts, **said)


def maintenance(world: World, **said: Any) -> Any:
    return do(world, envelopes.plan_maintenance, **{"site": "north", **said})


def told(world: World, kind: str) -> list[Event]:
    return world.store.read(lambda reader: reader.find(Event, {"kind": kind}))


def snapshot(world: World) -> Snapshot:
    """As it is followed, once it is certain that it would be the same if it were read anew."""
    world.settle()
    memory, now_ms = world.controller._memory, world.clock.ms
    assert memory is not None
    assert world.store.read(lambda r: drift(r, memory.mirror, memory.columns, now_ms, 1)) == ""
    return memory.columns.snapshot(now_ms, 1)


def steps(*pairs: tuple[int, int]) -> tuple[PowerStep, ...]:
    return tuple(PowerStep(from_ms=at, watts=watts) for at, watts in pairs)


# -- power ----------------------------------------------------------------------------------------------------------------


def test_a_cap_holds_from_now_or_from_a_moment_and_is_told_once(world: World) -> None:
    now = world.clock.ms
    assert power(world, 60_000).power == steps((now, 60_000))
    later = power(world, 40_000, from_ms=now + HOUR_MS, until_ms=now + 2 * HOUR_MS)
    assert later.power == steps((now, 60_000), (now + HOUR_MS, 40_000), (now + 2 * HOUR_MS, 60_000))
    assert power(world, 60_000, from_ms=now - HOUR_MS, until_ms=now + HOUR_MS) == later
    events = told(world, "site.power_set")
    assert [e.data for e in events] == [
        {"watts": 60_000, "from_ms": now, "until_ms": None},
        {"watts": 40_000, "from_ms": now + HOUR_MS, "until_ms": now + 2 * HOUR_MS},
    ]
    assert {(e.subject, e.site, e.touched) for e in events} == {("north", "north", ("Site:north",))}


def test_a_cap_is_lifted_and_what_is_over_is_forgotten(world: World) -> None:
    now = world.clock.ms
    power(world, 60_000)
    power(world, 50_000, from_ms=now + HOUR_MS)
    world.clock.ms = now + 2 * HOUR_MS
    assert power(world, 40_000, from_ms=now + 3 * HOUR_MS).power == steps((now + HOUR_MS, 50_000), (now + 3 * HOUR_MS, 40_000))
    assert power(world, None).power == ()
    assert told(world, "site.power_set")[-1].data["watts"] == UNCAPPED


@pytest.mark.parametrize(
    ("watts", "said", "field", "problem"),
    [
        (1, {"until_ms": NOW_MS}, "ends", "ends_before_start"),
        (1, {"from_ms": NOW_MS + 2 * HOUR_MS, "until_ms": NOW_MS + 2 * HOUR_MS}, "ends", "ends_before_start"),
        (-1, {}, "watts", "too_small"),
        (WATTS_MAX + 1, {}, "watts", "too_large"),
    ],
)
def test_a_cap_that_cannot_be_is_refused(world: World, watts: int, said: dict[str, int], field: str, problem: str) -> None:
    refused = power(world, watts, **said)
    assert isinstance(refused, Reason) and (refused.facts["field"], refused.facts["problem"]) == (field, problem)
    assert told(world, "site.power_set") == []


def test_an_envelope_has_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelopes, "STEPS_MAX", 2)
    now = world.clock.ms
    assert not isinstance(power(world, 5, from_ms=now, until_ms=now + 1), Reason)
    refused = power(world, 6, from_ms=now + 2, until_ms=now + 3)
    assert isinstance(refused, Reason) and refused.facts == {"field": "power", "problem": "too_many", "limit": 2}


def test_a_snapshot_has_the_cap_in_force_and_those_to_come_in_milliwatts(world: World) -> None:
    now = world.clock.ms
    power(world, 60_000, from_ms=now + HOUR_MS, until_ms=now + 2 * HOUR_MS)
    s = snapshot(world)
    sites = s.sites
    assert sites.ids == ("north", "south") and sites.pue_permille.tolist() == [1300, 1300]
    assert sites.power_ptr.tolist() == [0, 3, 3] and sites.power_from_ms[0] <= s.now_ms
    assert [cap_mw(sites, 0, now + h * HOUR_MS) for h in (0, 1, 2)] == [-1, 60_000_000, -1]
    assert draw_mw(s, now).tolist() == [130_000, 0]
    world.clock.ms = now + HOUR_MS + 1
    assert snapshot(world).sites.power_mw.tolist() == [60_000_000, -1]
    world.clock.ms = now + 3 * HOUR_MS
    assert snapshot(world).sites.power_ptr.tolist() == [0, 0, 0]


# -- maintenance ----------------------------------------------------------------------------------------------------------


def test_a_window_is_planned_once_told_without_its_note_and_taken_back(world: World) -> None:
    now = world.clock.ms
    window = maintenance(world, from_ms=now + HOUR_MS, until_ms=now + 2 * HOUR_MS, nodes=["n2", "n1", "n2"], note="new fans")
    assert isinstance(window, Maintenance) and (window.nodes, window.note) == (("n1", "n2"), "new fans")
    assert maintenance(world, from_ms=now + HOUR_MS, until_ms=now + 2 * HOUR_MS, nodes=["n1", "n2"]) == window
    (planned,) = told(world, "site.maintenance_planned")
    data = {"window": window.id, "from_ms": now + HOUR_MS, "until_ms": now + 2 * HOUR_MS, "nodes": ["n1", "n2"]}
    assert (planned.data, planned.site, planned.touched) == (data, "north", ("Site:north",))
    assert do(world, envelopes.cancel_maintenance, site="north", window=window.id) == window
    assert [e.data for e in told(world, "site.maintenance_cancelled")] == [data]
    gone = do(world, envelopes.cancel_maintenance, site="north", window=window.id)
    assert isinstance(gone, Reason) and gone.facts == {"what": "maintenance", "id": window.id}


@pytest.mark.parametrize(
    ("said", "facts"),
    [
        ({"until_ms": NOW_MS - 1}, {"field": "ends", "problem": "ends_before_start"}),
        ({"from_ms": NOW_MS - 9, "until_ms": NOW_MS - 1}, {"field": "ends", "problem": "in_the_past"}),
        ({"until_ms": NOW_MS + HOUR_MS, "nodes": ["n1", "n3"]}, {"what": "node", "id": "north/n3"}),
        ({"site": "east", "until_ms": NOW_MS + HOUR_MS}, {"what": "site", "id": "east"}),
    ],
)
def test_a_window_that_cannot_be_is_refused(world: World, said: dict[str, Any], facts: dict[str, Any]) -> None:
    refused = maintenance(world, **said)
    assert isinstance(refused, Reason) and refused.facts == facts
    assert told(world, "site.maintenance_planned") == []


def test_no_word_is_said_of_a_site_that_is_not_there(world: World) -> None:
    assert isinstance(do(world, envelopes.set_power, site="east", watts=1), Reason)
    assert isinstance(do(world, envelopes.cancel_maintenance, site="east", window="mw_1"), Reason)


def test_windows_have_a_bound_and_those_that_are_over_do_not_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelopes, "WINDOWS_MAX", 1)
    now = world.clock.ms
    maintenance(world, until_ms=now + HOUR_MS)
    refused = maintenance(world, until_ms=now + 2 * HOUR_MS)
    assert isinstance(refused, Reason) and refused.facts == {"field": "maintenance", "problem": "too_many", "limit": 1}
    world.clock.ms = now + HOUR_MS
    kept = maintenance(world, until_ms=now + 2 * HOUR_MS)
    assert world.store.read(lambda r: r.get(Site, "north")).maintenance == (kept,)


def test_a_snapshot_closes_the_nodes_that_are_meant_and_no_others(world: World) -> None:
    now = world.clock.ms
    assert snapshot(world).nodes.closed_ptr.tolist() == [0, 0, 0, 0]
    maintenance(world, from_ms=now + HOUR_MS, until_ms=now + 2 * HOUR_MS, nodes=["n1"])
    maintenance(world, from_ms=now + 2 * HOUR_MS, until_ms=now + 3 * HOUR_MS)
    s = snapshot(world)
    assert s.nodes.ids == ("north/n1", "north/n2", "south/s1")
    whole = (now + 2 * HOUR_MS, now + 3 * HOUR_MS)
    assert [closing(s.nodes, row, now) for row in range(3)] == [(now + HOUR_MS, whole[1]), whole, None]
    assert s.nodes.closed_ptr.tolist() == [0, 1, 2, 2]
    world.clock.ms = now + 3 * HOUR_MS
    assert snapshot(world).nodes.closed_ptr.tolist() == [0, 0, 0, 0]


def test_a_node_that_is_down_draws_nothing_and_one_that_is_drained_does(world: World) -> None:
    do(world, sites.drain_node, node="north/n1", drained=True)
    assert draw_mw(snapshot(world), NOW_MS).tolist() == [130_000, 0]
    world.sites["north"].driver.kill_node("n1")
    world.advance(world.clock.ms + 10 * MINUTE_MS)
    s = snapshot(world)
    assert (s.nodes.idle_mw.tolist(), s.nodes.device_mw.tolist(), s.nodes.core_mw.tolist()) == (
        [0, 0, 0], [700_000] * 3, [5_000] * 3,
    )  # fmt: skip
