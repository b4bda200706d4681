"""A scenario runs in two ways: played on a whole plane with its agents, and as a trial. Both make the same decisions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from dure.model.workload import Attempt, AttemptState, Workload
from dure.simulator.plane import whole_plane
from dure.simulator.report import Run
from dure.simulator.retold import Retold, retold_page
from dure.simulator.scenario import Play
from dure.simulator.story import blocks_of
from dure.simulator.trial import trial
from tests.builders.worlds import examples

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles

HEAD = """# A story
```scenario
{every}
{pools}
price   h100 3_600 won per hour
price   a100 1_800 won per hour
price   core 36 won per hour
policy  min_run 10m half_life {half_life}
{tenants}
"""
FAR_MS = 40 * 86_400_000


@st.composite
def stories(draw: st.DrawFn, urgent: bool = False) -> str:
    """Two dozen submissions of four tenants, some of one organisation, some at one moment; urgent ones, where they are wanted."""
    block = draw(st.sampled_from((0, 2)))
    most = draw(st.sampled_from((1, 1, 2)))
    pools = [
        f"pool {name} {draw(st.sampled_from((1, 1, 2, 3, 11)))} nodes x {most} {draw(st.sampled_from(('h100', 'a100')))} "
        f"{draw(st.sampled_from((2, 4)))} cores block {block}"
        for name in draw(st.permutations(("south", "north", "mid")))[: draw(st.integers(1, 3))]
    ]  # fmt: skip
    said = [word.split()[1] for word in pools]
    tenants = [
        f"tenant {name} share {draw(st.integers(1, 3))} {draw(st.sampled_from(('', 'of uni', 'of lab')))} budget {10**9} won"
        for name in ("d", "c", "b", "a")
    ]
    every = draw(st.sampled_from(("", "every event", "every 90 seconds", "every 10m")))
    head = HEAD.format(
        every=every, pools="\n".join(pools), tenants="\n".join(tenants), half_life=draw(st.sampled_from(("20m", "7d")))
    )
    minutes = sorted(draw(st.lists(st.integers(0, 60), min_size=1, max_size=24)))
    return head + "\n".join(_submit(draw, n, at, said, most, block, urgent=urgent) for n, at in enumerate(minutes)) + "\n```\n"


def _submit(draw: st.DrawFn, n: int, minute: int, pools: list[str], most: int, block: int, *, urgent: bool) -> str:
    gpus = draw(st.integers(0, most))
    words = [
        f"{9 + minute // 60:02}:{minute % 60:02} submit j{n} {draw(st.sampled_from('abcd'))} gpus {gpus}",
        f"workers {draw(st.integers(1, 4))} for {draw(st.sampled_from(('10m', '20m', '1h')))}",
        f"runs {draw(st.sampled_from(('0s', '7m', '20m', '70m')))}",
        draw(st.sampled_from(("", "", "on h100", "on a100,h100"))) if gpus else "",
        draw(st.sampled_from(("", "", "", "array 3", "fixed", "checkpoint 5m", "exits 1", "topology block" if block else ""))),
        draw(st.sampled_from(("", "", f"at {draw(st.sampled_from(pools))}"))),
        draw(st.sampled_from(("", "priority high", *(("priority urgent",) if urgent else ())))),
    ]
    return " ".join(word for word in words if word)


def played(page: str) -> dict[str, list[tuple[int, int, str, list[str]]]]:
    """By job, when it ran since midnight, at which site and on which nodes, as the plane has it in the end."""
    (block,) = blocks_of(page)
    play = Play(block)
    play.run()
    world = play.world
    world.run_out(world.clock.ms + FAR_MS)
    found: dict[str, list[tuple[int, int, str, list[str]]]] = {}
    for workload in world.store.read(lambda r: r.find(Workload)):
        name = f"{workload.spec.name}.{workload.array_index}" if workload.array_id else workload.spec.name
        found[name] = []
        for attempt in world.store.read(lambda r, id=workload.id: r.find(Attempt, {"workload": id})):  # type: ignore[misc]
            assert attempt.state == AttemptState.ENDED
            ran = attempt.evidence
            nodes = [worker.node.partition("/")[2] for worker in attempt.workers]
            found[name].append((ran.started_ms - play.midnight_ms, ran.ended_ms - play.midnight_ms, attempt.site, nodes))
    return found


def tried(told: Retold, run: Run) -> dict[str, list[tuple[int, int, str]]]:
    """The same of a trial, which says nothing of nodes."""
    found: dict[str, list[tuple[int, int, str]]] = {name: [] for name in told.trace.ids}
    part = run.stretches
    for job, since, until, site in zip(part.job, part.from_ms, part.until_ms, part.site, strict=True):
        found[told.trace.ids[int(job)]].append((int(since), int(until), told.fleet.sites[int(site)].name))
    return found


@given(stories())
@examples(120)
def test_a_story_is_decided_as_a_trial_of_it(page: str) -> None:
    """The same jobs at the same moments at the same sites: played, in the compiled loop, and with a plan for each step."""
    note(page)
    told = retold_page(page)
    plain = {name: [row[:3] for row in rows] for name, rows in played(page).items()}
    for compiled in (True, False):
        run = trial(told.trace, told.fleet, told.rules, every_ms=told.every_ms, compiled=compiled, charges=True)
        assert tried(told, run) == plain
        told.prove_funded(run)


@given(stories(urgent=True))
@examples(60)
def test_so_does_a_plane_that_is_run_from_it(page: str) -> None:
    """With urgent work too: what is preempted leaves at once here, and in a story a second later."""
    note(page)
    told = retold_page(page)
    ways: list[Any] = [
        whole_plane(told.trace, told.fleet, told.rules, every_ms=told.every_ms),
        trial(told.trace, told.fleet, told.rules, every_ms=told.every_ms, charges=True),
        trial(told.trace, told.fleet, told.rules, every_ms=told.every_ms, charges=True, compiled=False),
    ]
    assert tried(told, ways[0]) == tried(told, ways[1]) == tried(told, ways[2])
    assert int(ways[0].won.sum()) == int(ways[1].won.sum())
    assert ways[0].notes["steps"] == ways[1].notes["steps"] == ways[2].notes["steps"]
