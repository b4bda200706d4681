"""Small farms on which there is never enough: nearly everybody wants what somebody else wants too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.builders.world import World

PROJECTS = ("ant", "bee", "cat", "dog")
CORES, DEVICES = 8, 4
SHAPES: tuple[dict[str, Any], ...] = (
    {"devices": 1}, {"devices": 2}, {"devices": 4, "cores": 4}, {"devices": 2, "workers": 2}, {"cores": 3},
    {"cores": 2, "workers": 3},
)  # fmt: skip
LIMITS = (60, 300, 3600)


@st.composite
def farms(draw: st.DrawFn) -> World:
    """Two or three nodes, some of which somebody has for a while, and projects in a tree of shares."""
    world = World(
        policy=replace(World().policy, reservations_max=draw(st.integers(1, 4)), backfill_depth=draw(st.integers(1, 30)))
    )
    for site in range(draw(st.integers(1, 2))):
        world.site(f"s{site}", draw(st.integers(1, 2)), cores=CORES, memory=8192, devices=DEVICES, accelerator="a100")
    world.organisation("north", weight=draw(st.integers(1, 3))).organisation("south", weight=draw(st.integers(0, 2)))
    world.organisation("east", parent="north")
    for project in PROJECTS:
        world.project(project, organisation=draw(st.sampled_from(("", "north", "south", "east"))), weight=draw(st.integers(1, 3)),
                      use=draw(st.sampled_from((0.0, 100.0, 4_000.0, 4_100.0, 60_000.0))))  # fmt: skip
    for node in world.nodes:
        for half in (3, 12):
            if draw(st.booleans()):
                world.attempt(f"{node['id']}-{half}", [(node["id"], half)], cores=draw(st.integers(1, 4)), memory=128,
                              project=draw(st.sampled_from(PROJECTS)), ends=draw(st.sampled_from((30, 60, 900, 4000))),
                              priority=draw(st.sampled_from(("low", "normal"))))  # fmt: skip
    return world


def ask(draw: st.DrawFn, world: World, id: str, **own: Any) -> None:
    shape = dict(draw(st.sampled_from(SHAPES)))
    world.pending(
        id, **{"project": draw(st.sampled_from(PROJECTS)), "memory": 64, "limit": draw(st.sampled_from(LIMITS)), **shape, **own}
    )


@st.composite
def contests(draw: st.DrawFn) -> World:
    """And each of a few demands is made by several of them, several times."""
    world = draw(farms())
    for number in range(draw(st.integers(1, 3))):
        shape, limit = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(LIMITS))
        priority = draw(st.sampled_from(("normal", "normal", "normal", "low", "urgent")))
        for copy in range(draw(st.integers(2, 8))):
            world.pending(f"w{number}-{copy}", project=draw(st.sampled_from(PROJECTS)), memory=64, limit=limit, priority=priority,
                          **shape)  # fmt: skip
    return world
