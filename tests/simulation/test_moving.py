"""Trials and whole planes whose policy moves work: they decide the same, and what moves loses no more than it had not saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.simulator.plane import whole_plane
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import Trace, make_trace
from dure.simulator.trial import Rules, rules_of, trial
from tests.builders.worlds import examples
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
