"""Trials and whole planes whose policy moves work: they decide the same, and what moves loses no more than it had not saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dure.backends.fake import Script
from dure.model.workload import Attempt, AttemptState
from dure.simulator.crash import Teller
from dure.simulator.plane import whole_plane
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import Trace, make_trace
from dure.simulator.trial import Rules, rules_of, trial
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.builders.worlds import examples
from tests.simulation.stories import DAY_MS, NOW_MS, POLICY, begin, node, spec
from tests.simulation.test_whole_plane import decided

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


def fleet(nodes: int = 2, devices: int = 8) -> Fleet:
    pool = Pool(name="p", nodes=nodes, accelerator="gpu-a", devices=devices, cores_milli=64_000, memory_mib=65_536)
    return make_fleet("few", [Site(name="site", region="KR-11", pools=(pool,))], kinds=(Kind(id="gpu-a"),))


def jobs(rows: list[tuple[int, int, int]], checkpoint_ms: int = 10_000, **columns: Any) -> Trace:
    """(submitted, runs for, devices) of each, in seconds."""
    submit, runs, devices = ([row[i] for row in rows] for i in range(3))
    count = len(rows)
    return make_trace(
        count, submit_ms=[1000 * s for s in submit], duration_ms=[1000 * s for s in runs], devices=devices, workers=[1] * count,
        cores_milli=[1000] * count, memory_mib=[512] * count, priority=[200] * count, preemptible=[True] * count,
        checkpoint_ms=[checkpoint_ms] * count, limit_ms=[600_000] * count, **columns,
    )  # fmt: skip


RULES = replace(rules_of("moving"), min_run_ms=20_000)
# Two nodes, each half in use once the first job has ended; then one comes that wants a whole one.
HALVES = [(0, 30, 4), (0, 200, 4), (0, 200, 4), (55, 50, 8)]


def test_a_trial_moves_what_it_is_told_to() -> None:
    stays, moves = (trial(jobs(HALVES), fleet(), rules) for rules in (replace(RULES, moves=False), RULES))
    assert stays.start_ms.tolist()[3] == 200_000, "it waits for one of them to end"
    assert moves.start_ms.tolist()[3] == 55_000
    assert moves.preemptions.sum() == 1 and moves.lost_ms.sum() == 5000, "what was not saved since 50 s"
    assert sorted(moves.end_ms.tolist()) == [30_000, 105_000, 200_000, 205_000], "it is late by what it has lost"
    assert moves.notes["loop"] != "compiled" and "work that is moved" in moves.notes["loop.why"]


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Some that begin together and end one after the other, and larger ones that come meanwhile."""
    ends, sizes = st.sampled_from((30, 60, 100, 200)), st.sampled_from((2, 4, 4))
    first = [(0, draw(ends), draw(sizes)) for _ in range(draw(st.integers(3, 8)))]
    later = [
        (draw(st.integers(35, 150)), draw(st.sampled_from((7, 30, 90))), draw(st.sampled_from((2, 8, 8))))
        for _ in range(draw(st.integers(1, 5)))
    ]
    rows = [*first, *sorted(later)]
    tenants = {"tenant": [draw(st.integers(-1, 1)) for _ in rows], "tenants": ("a", "b")}
    return jobs(rows, draw(st.sampled_from((10_000, 15_000))), **tenants)


@given(traces(), st.integers(2, 4), st.sampled_from((0, 1, 16)), st.sampled_from((0, 20_000)), st.sampled_from((0, 0, 7_000)))
@examples(100)
def test_the_whole_plane_moves_as_a_trial_does(trace: Trace, nodes: int, promises: int, min_run_ms: int, every_ms: int) -> None:
    rules: Rules = replace(RULES, promises=promises, min_run_ms=min_run_ms)
    both = [way(trace, fleet(nodes), rules, every_ms=every_ms) for way in (whole_plane, trial)]
    assert decided(both[0]) == decided(both[1])


Job = tuple[int, int, int, int]  # when it comes, its devices, how long it works, and how often it saves (0: never), in seconds


def lived(story: list[Job], min_run_s: int) -> list[tuple[Attempt, Attempt, int]]:
    """Two nodes of 8 devices through a story: who was moved from where, to where, and its interval in milliseconds."""
    world = World(now_ms=NOW_MS, policy=replace(POLICY, moves=True, min_run_ms=1000 * min_run_s), store=MemoryStore())
    site, tell, interval_ms = world.add_site("north", [node(name, devices=8) for name in ("n1", "n2")]), Teller(world), {}
    begin(tell)

    def go_on(second: int) -> None:
        """Some look at it now and then: that something was saved is no event of its own in this world."""
        while (ahead_ms := NOW_MS + 1000 * second - world.clock.ms) > 0:
            world.advance(world.clock.ms + min(ahead_ms, 50_000))

    for i, (at, devices, works, saves) in enumerate(sorted(story)):
        site.driver.script(f"job-{i}", Script(run_ms=1000 * works))
        go_on(at)
        wanted = spec(f"job-{i}", devices=devices, checkpoint_interval_ms=1000 * saves, limit_ms=1000 * works + 60_000)
        interval_ms[tell.submit(wanted)] = 1000 * saves
        world.settle()
    go_on(6000)
    world.advance(NOW_MS + DAY_MS // 2)
    found = {a.id: a for a in world.store.read(lambda r: r.find(Attempt))}
    assert all(a.state == AttemptState.ENDED for a in found.values())
    return [(found[a.moved_from], a, interval_ms[a.workload]) for a in found.values() if a.moved_from]


def progress(moves: list[tuple[Attempt, Attempt, int]], min_run_s: int) -> None:
    for old, _, interval_ms in moves:
        seen = old.evidence
        assert seen.run_ms >= 1000 * min_run_s
        assert seen.checkpoint_ms - seen.started_ms >= min(interval_ms, max(1, 1000 * min_run_s)), "it saved where it was"


@st.composite
def stories(draw: st.DrawFn) -> list[Job]:
    """Work that saves, other work, and some that wants a whole node again and again."""
    when, works = st.integers(0, 3000), st.sampled_from((60, 200, 600, 1500))
    sizes, often = st.sampled_from((2, 4, 4)), st.sampled_from((7, 60, 400))
    saving = [(draw(st.integers(0, 100)), draw(sizes), draw(works), draw(often)) for _ in range(draw(st.integers(2, 4)))]
    others = [(draw(when), draw(sizes), draw(works), 0) for _ in range(draw(st.integers(0, 3)))]
    return [*saving, *others, *((draw(when), 8, draw(st.sampled_from((30, 120))), 0) for _ in range(draw(st.integers(1, 6))))]


SELDOM: list[Job] = [(0, 4, 100, 0), (1, 4, 3000, 400), (2, 4, 900, 0), (640, 4, 3000, 0), (600, 8, 30, 0), (910, 8, 30, 0)]


@given(stories(), st.sampled_from((0, 60, 300)))
@example(SELDOM, 60)
@examples(25)
def test_whoever_moves_again_has_saved_more_since(story: list[Job], min_run_s: int) -> None:
    """So nobody is moved for ever: each move is paid for by progress of the one that moves, which no later one takes back."""
    progress(lived(story, min_run_s), min_run_s)


def test_who_saves_seldom_is_not_moved_again_before_it_has_saved_there() -> None:
    """What lies in its folder from the place before is told at once, and is no progress."""
    moves = lived(SELDOM, 60)
    progress(moves, 60)
    (old, new, _), (same, _, _) = moves
    assert same == new and old.evidence.run_ms == 600_000 - 1000
    assert 400_000 <= new.evidence.run_ms < 500_000, "the second of those who want a whole node waits for it to save"
