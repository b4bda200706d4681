"""What sites are preferred for and shares of devices, from people's words to the columns of a snapshot and to the bill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dure.backends.fake import Script
from dure.controller import verify_store_books
from dure.controller.commands import traits, workloads
from dure.controller.commands.policy import policy_fault
from dure.controller.drift import drift
from dure.model.event import Event
from dure.model.policy import Preference, Taste
from dure.model.reason import Reason
from dure.model.site import Site
from dure.model.workload import Attempt, Demand, Workload, WorkloadState
from dure.scheduler import Snapshot
from dure.simulator.crash import Teller
from dure.simulator.world import World
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec


@pytest.fixture
def world() -> World:
    made = World(now_ms=NOW_MS, policy=POLICY)
    north = made.add_site("north", [{**node("n1", devices=1), "shares": True}])
    south = made.add_site("south", [{**node("s1", devices=1), "shares": True}])
    begin(Teller(made))
    for site in (north, south):
        site.driver.script("serve", Script(run_ms=20 * MINUTE_MS))
    made.settle()
    return made


def do(world: World, command: Callable[..., Any], **said: Any) -> Any:
    deed = world.deed()
    return world.store.transact(lambda tx: command(tx, deed, **said))


def snapshot(world: World) -> Snapshot:
    """As it is followed, once it is certain that it would be the same if it were read anew."""
    world.settle()
    memory, now_ms = world.controller._memory, world.clock.ms
    assert memory is not None
    assert world.store.read(lambda r: drift(r, memory.mirror, memory.columns, now_ms, 1)) == ""
    return memory.columns.snapshot(now_ms, 1)


def submit(world: World, name: str, **changes: Any) -> str:
    demand = Demand(share_milli=changes.pop("share", 0), devices=changes.pop("devices", 0), cores_milli=1000)
    made = do(world, workloads.submit, project="lab", spec=replace(spec(name), demand=demand, **changes))
    assert not isinstance(made, Reason), made
    return str(made.ids[0])


def test_what_is_told_of_a_site_is_kept_changed_and_seen(world: World) -> None:
    site = do(world, traits.set_traits, site="north", carbon_g_kwh=320, datasets=["kcc", "weather", "kcc"])
    assert isinstance(site, Site)
    assert (site.carbon_g_kwh, site.power_krw_mwh, site.datasets) == (320, -1, ("kcc", "weather"))
    assert do(world, traits.set_traits, site="north", carbon_g_kwh=320) == site  # and says nothing twice
    later = do(world, traits.set_traits, site="north", power_krw_mwh=118_000, datasets=[])
    assert (later.carbon_g_kwh, later.power_krw_mwh, later.datasets) == (320, 118_000, ())
    events = world.store.read(lambda r: r.find(Event, {"kind": "site.traits_set"}))
    assert [e.data["datasets"] for e in events] == [["kcc", "weather"], []]
    s = snapshot(world)
    assert s.sites.carbon_g_kwh.tolist() == [320, -1]
    assert s.sites.power_krw_mwh.tolist() == [118_000, -1]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"site": "east", "carbon_g_kwh": 1}, ""),
        ({"carbon_g_kwh": -2}, "carbon_g_kwh"),
        ({"carbon_g_kwh": 10_001}, "carbon_g_kwh"),
        ({"power_krw_mwh": 10**10}, "power_krw_mwh"),
        ({"datasets": [f"d{i}" for i in range(1001)]}, "datasets"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(world: World, said: dict[str, Any], field: str) -> None:
    found = do(world, traits.set_traits, **{"site": "north", **said})
    assert isinstance(found, Reason)
    assert found.facts.get("field", "") == field


def test_preferences_of_a_policy_are_checked() -> None:
    def fault(*preferences: Preference) -> str:
        found = policy_fault(replace(POLICY, preferences=preferences))
        return "" if found is None else f"{found.facts['field']} {found.facts['problem']}"

    assert fault(Preference(taste=Taste.CARBON, weight=1000, most=300)) == ""
    assert fault(Preference(taste=Taste.CARBON), Preference(taste=Taste.CARBON)) == "preferences.taste duplicate"
    assert fault(Preference(taste=Taste.CARBON, weight=1001)) == "preferences.weight too_large"
    assert fault(Preference(taste=Taste.CARBON, weight=-1)) == "preferences.weight too_small"
    assert fault(Preference(taste=Taste.CARBON, most=-2)) == "preferences.most too_small"


def test_work_goes_where_its_data_is(world: World) -> None:
    do(world, traits.set_traits, site="south", datasets=["kcc"])
    anywhere = submit(world, "serve", datasets=("gone",))
    assert snapshot(world).data == ("kcc",)
    there = submit(world, "serve", datasets=("kcc",))  # north has less to spare by now
    snapshot(world)
    sites = {a.workload: a.site for a in world.store.read(lambda r: r.find(Attempt, {}))}
    assert (sites[anywhere], sites[there]) == ("north", "south")


def test_what_could_not_be_over_by_its_deadline_is_refused_at_once_and_fails_when_it_is_too_late(world: World) -> None:
    refused = do(world, workloads.submit, project="lab", spec=replace(spec("serve"), deadline_ms=NOW_MS + 30 * MINUTE_MS))
    assert isinstance(refused, Reason) and refused.facts["field"] == "deadline"
    first = submit(world, "serve", devices=1, sites=("north",))
    snapshot(world)
    late = submit(world, "serve", devices=1, sites=("north",), deadline_ms=NOW_MS + 45 * MINUTE_MS)
    soon = submit(world, "serve", devices=1, sites=("north",), deadline_ms=NOW_MS + 90 * MINUTE_MS)
    snapshot(world)
    world.run_out(NOW_MS + 60 * MINUTE_MS)
    rows = {id: world.store.read(lambda r, id=id: r.get(Workload, id)) for id in (first, late, soon)}  # type: ignore[misc]
    assert rows[late].state == WorkloadState.FAILED and rows[late].reason["kind"] == "too_late"
    assert {rows[id].state for id in (first, soon)} == {WorkloadState.SUCCEEDED}
    assert world.store.read(verify_store_books).findings == ()


def test_four_quarters_share_one_device_and_each_pays_a_quarter(world: World) -> None:
    quarters = [submit(world, "serve", share=250, sites=("north",)) for _ in range(4)]
    whole, late = submit(world, "serve", devices=1, sites=("south",)), submit(world, "serve", share=100, sites=("north",))
    s = snapshot(world)
    live = {a.workload: a for a in world.store.read(lambda r: r.find(Attempt, {}))}
    assert {live[q].workers[0].devices for q in quarters} == {(0,)}
    assert late not in live
    assert sorted(s.attempts.share_milli.tolist()) == [0, 250, 250, 250, 250]
    world.run_out(NOW_MS + 60 * MINUTE_MS)
    done = {a.workload: a for a in world.store.read(lambda r: r.find(Attempt, {}))}
    charged = [done[id].settled - done[id].refunded for id in (quarters[0], whole)]
    # 20 minutes of a core at 15 won an hour, and of a quarter of a device, or a whole one, at 4,000; preemptible, so 80 %
    assert charged == pytest.approx([0.8 * (5 + 4000 / 12), 0.8 * (5 + 4000 / 3)], abs=1)  # remainders are carried
    assert done[quarters[0]].energy_mwh == done[quarters[1]].energy_mwh
    assert done[whole].energy_mwh - done[quarters[0]].energy_mwh == pytest.approx(0.75 * 700_000 / 3 * 1.3, rel=1e-3)
    rows = world.store.read(lambda r: [r.get(Workload, id).state for id in (*quarters, late)])  # type: ignore[union-attr]
    assert set(rows) == {WorkloadState.SUCCEEDED}
    assert world.store.read(verify_store_books).findings == ()
