"""What the default policy claims of any one plan, and of plans that follow each other: docs/concepts/fairness.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dure.scheduler import check, plan
from tests.builders.world import World
from tests.builders.worlds import PROJECTS, examples, worlds
from tests.properties.claims.farms import ask, contests
from tests.properties.claims.shares import NEAR, Uses, calm, go_on, promised, siblings, started

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


# -- no envy ----------------------------------------------------------------------------------------------------------------


@st.composite
def twins(draw: st.DrawFn) -> World:
    """Anything that there may be, and for some of what waits just the same of other projects."""
    power, yields = draw(st.booleans()), draw(st.booleans())
    world = draw(worlds(money=False, power=power, windows=True, shares=True, tastes=True, blocks=True, yields=yields))
    for asked in list(world.waiting):
        for project in PROJECTS:
            if project != asked["project"] and draw(st.booleans()):
                world.waiting.append({**asked, "id": f"{asked['id']}-{project}", "project": project})
    return world


@given(st.one_of(contests(), twins()))
@examples(150)
def test_nobody_is_passed_by_equal_work_of_a_project_that_had_more(world: World) -> None:
    """Envy-freeness, for each pair of workloads that differ in nothing but their project and their age: when one starts and the
    other does not, the one that starts was not behind at its turn, by use over weight of the siblings that are compared."""
    s = world.snapshot()
    p = plan(s)
    alike, project = _alike(world), s.pending.project.tolist()
    waits = set(range(len(project))) - set(p.start_pending.tolist())
    uses, later = Uses(s), Uses(s)  # later: with every promise, as nobody is told when in between it was made
    for row, amount in promised(s, p):
        later.charge(project[row], amount)
    for row, amount in started(s, p):
        for other in waits:
            if alike[s.pending.ids[other]] == alike[s.pending.ids[row]] and project[other] != project[row]:
                mine, its = siblings(s, project[row], project[other])
                assert uses.level(mine) <= later.level(its) * (1 + NEAR) + NEAR, (s.pending.ids[row], s.pending.ids[other])
        uses.charge(project[row], amount)
        later.charge(project[row], amount)


def _alike(world: World) -> dict[str, str]:
    """By workload everything that it asks for, as text."""
    own = ("id", "project", "submitted_ms")
    return {asked["id"]: repr({name: value for name, value in asked.items() if name not in own}) for asked in world.waiting}


@st.composite
def two_organisations(draw: st.DrawFn) -> tuple[World, World]:
    """The same farm, use and queue: first with one project in the north, then with several that share what it had and wants."""
    farm = World(policy=replace(World().policy, reservations_max=draw(st.integers(0, 3))))
    farm.site("s", draw(st.integers(1, 3)), cores=8, devices=4, accelerator="a100")
    farm.organisation("north", weight=draw(st.integers(1, 3))).organisation("south", weight=draw(st.integers(1, 3)))
    parts = draw(st.lists(st.sampled_from((0, 60, 1_000, 30_000)), min_size=2, max_size=4))
    one, several = farm, World(policy=farm.policy, sites=farm.sites, nodes=farm.nodes, organisations=farm.organisations)
    one.project("n", organisation="north", use=float(sum(parts)))
    for i, part in enumerate(parts):
        several.project(f"n{i}", organisation="north", use=float(part), weight=draw(st.integers(1, 3)))
    for world in (one, several):
        world.project("south", organisation="south", use=float(draw(st.shared(st.sampled_from((0, 500, 31_000)), key="south"))))
    asked: dict[str, Any] = {"devices": draw(st.integers(0, 3)), "limit": draw(st.sampled_from((60, 3600)))}
    for i in range(draw(st.integers(1, 16))):
        north = draw(st.booleans())
        one.pending(f"w{i:02}", project="n" if north else "south", **asked)
        several.pending(f"w{i:02}", project=f"n{draw(st.integers(0, len(parts) - 1))}" if north else "south", **asked)
    return one, several


@given(two_organisations())
@examples(100)
def test_an_organisation_gains_nothing_by_having_more_projects(pair: tuple[World, World]) -> None:
    """What its projects had and want is compared as one; how it is divided decides only who of them goes first."""
    started_by = []
    for world in pair:
        s = world.snapshot()
        p = plan(s)
        started_by.append([s.projects.ids[s.pending.project[row]] == "south" for row in p.start_pending.tolist()])
    assert started_by[0] == started_by[1]


# -- asking for more than is needed -----------------------------------------------------------------------------------------

MORE: dict[str, tuple[int, ...]] = {
    "workers": (1, 2, 5), "cores_milli": (500, 1000, 4000), "memory": (1, 512, 4096), "limit_ms": (1000, 10**6),
    "hold": (1, 50, 10**6),
}  # fmt: skip


def more(draw: st.DrawFn, asked: dict[str, Any], world: World) -> dict[str, Any]:
    """The same work, that asks for more, takes fewer places, or both."""
    wants = dict(asked)
    for name in draw(st.sets(st.sampled_from((*MORE, "devices", "sites", "accelerators", "block")), min_size=1, max_size=3)):
        if name == "sites":
            wants["sites"] = draw(st.sampled_from([(site,) for site in asked["sites"] or world.sites]))
        elif name == "accelerators" and asked["devices"]:
            kinds = asked["accelerators"] or sorted({n["accelerator"] for n in world.nodes} - {""}) or ["none"]
            wants["accelerators"] = (draw(st.sampled_from(kinds)),)
        elif name == "block":
            wants["block"] = True
        elif name == "devices":
            wants["devices"], wants["share"] = max(asked["devices"], asked["share"] > 0) + draw(st.integers(0, 2)), 0
        elif name in MORE and asked[name] >= 0:  # a hold of -1 cannot be paid at all
            wants[name] = asked[name] + draw(st.sampled_from(MORE[name]))
    return wants


ANYTHING = worlds(power=True, windows=True, quotas=True, shares=True, blocks=True, yields=True)


@given(st.one_of(contests(), ANYTHING), st.data())
@examples(200)
def test_whoever_asks_for_more_than_is_needed_or_accepts_fewer_places_starts_no_sooner(world: World, data: st.DataObject) -> None:
    """Strategy-proofness of what is asked for: whoever starts with more, or in fewer places, would have started without that."""
    asked = data.draw(st.sampled_from(world.waiting))
    kept = dict(asked)
    wants = data.draw(st.composite(more)(kept, world))
    if wants["devices"] and not (kept["devices"] or kept["share"]):  # not claimed of money that only work on some types may use
        world.awards = [award for award in world.awards if not award["accelerators"]]
    modest = world.snapshot()
    asked.update(wants)
    greedy = world.snapshot()
    if greedy.pending.ids.index(asked["id"]) in plan(greedy).start_pending:
        assert modest.pending.ids.index(asked["id"]) in plan(modest).start_pending, (kept, asked)


# -- nobody starves ---------------------------------------------------------------------------------------------------------


@st.composite
def queues(draw: st.DrawFn) -> World:
    """A busy farm on which everybody keeps to limits, and a wide gang of the one project that had nothing yet."""
    anything = worlds(money=False, power=draw(st.booleans()), windows=draw(st.booleans()), shares=draw(st.booleans()))
    world = draw(anything if draw(st.booleans()) else contests())
    calm(world)
    world.policy = replace(world.policy, reservations_max=max(1, world.policy.reservations_max))
    devices = draw(st.integers(0, 4)) if any(node["mask"] for node in world.nodes) else 0
    world.project("new")
    world.pending("wide", project="new", workers=draw(st.integers(1, 3)), cores=draw(st.integers(1, 8)), memory=128, submitted=0,
                  devices=devices, limit=draw(st.sampled_from((60, 3600))))  # fmt: skip
    _had_something(world)
    return world


def _had_something(world: World) -> None:
    for id, project in world.projects.items():
        if id != "new":
            project["use"] = max(project["use"], 1.0)


def newcomers(draw: st.DrawFn, world: World, number: int) -> None:
    for i in range(draw(st.integers(0, 3))):
        ask(draw, world, f"late{number}-{i}")
    _had_something(world)


@given(queues(), st.data())
@examples(60)
def test_whoever_had_least_is_promised_a_moment_that_comes_no_later_whatever_others_do(world: World, data: st.DataObject) -> None:
    """Others start beside it, end sooner than they said and ask for more; when the moment has come, it starts."""
    until = 0
    for number in range(4):
        s = world.snapshot()
        p = plan(s)
        row = s.pending.ids.index("wide")
        if row in p.start_pending:
            assert check(s, p) == ()
            return
        if number == 0:
            assume(row in p.reserve_pending)  # else it fits nowhere, ever
        at = p.reserve_pending.tolist().index(row)
        promise = int(p.reserve_ms[at])
        assert not until or promise <= until, "a promise to whoever is first is kept"
        until = promise
        whole = -(-(until - s.now_ms) // 1000)
        seconds = whole if number == 2 else data.draw(st.integers(1, whole))
        go_on(world, s, p, seconds, stays=lambda id: data.draw(st.integers(0, 3)) > 0)
        newcomers(data.draw, world, number)
        if world.now_ms >= until:
            s = world.snapshot()
            assert s.pending.ids.index("wide") in plan(s).start_pending, "its moment has come"
            return
