"""The widest gang under steady overload: everybody else submits small jobs without end, and each alone would fill the farm.

How long it waits at most is what docs/concepts/fairness.md says under "Nobody starves"; first come first served without a
promise lets it wait for ever, in the same worlds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.simulator.report import Run
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import Trace, make_trace
from dure.simulator.trial import rules_of, trial
from tests.builders.worlds import examples

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine
DEVICES = 4  # of a node
FORGOTTEN = 1.001  # these stories take minutes, and half of a use is forgotten in a week
SETTLED = 3  # times the bound: so long small jobs keep coming


@dataclass(frozen=True)
class Overload:
    """Seconds. had: device-seconds of each project before the small jobs come, that of the gang first. runs, limit: of the small
    jobs, at most, by project."""

    nodes: int
    had: tuple[int, ...]
    runs: tuple[int, ...]
    limit: tuple[int, ...]
    mates: int  # small jobs that the gang's project submits together with it
    seed: int

    @property
    def devices(self) -> int:
        return self.nodes * DEVICES

    @property
    def longest(self) -> int:
        return max(self.limit)

    @property
    def bound(self) -> float:
        """Until what ran when it came is over, the others have caught up, and what they have started by then is over. While they
        catch up one device at least is theirs; all of them are where limits are what jobs run, but for L for each that passes."""
        mine = self.had[0] + self.mates * self.limit[0]  # the most that its project runs before it
        behind = [mine - other for other in self.had[1:] if other < mine]
        if not behind:
            return self.longest
        together = self.devices if self.runs == self.limit else 1
        return sum(behind) / together + (3 + len(behind)) * self.longest


@st.composite
def overloads(draw: st.DrawFn) -> Overload:
    runs = tuple(draw(st.lists(st.sampled_from((2, 5, 10, 20)), min_size=1, max_size=3)))
    stretch = draw(st.sampled_from((1, 1, 2, 5)))
    return Overload(
        nodes=draw(st.integers(1, 3)), had=tuple(draw(st.sampled_from((0, 10, 60, 200))) for _ in (0, *runs)), runs=runs,
        limit=tuple(stretch * s for s in runs), mates=draw(st.sampled_from((0, 0, 5))), seed=draw(st.integers(0, 10**6)),
    )  # fmt: skip


def queue(world: Overload) -> tuple[Trace, int, float]:
    """Its jobs, which of them is the gang, and the second until which small jobs come.

    First each project runs what it had. Then the small jobs of all others come: at once twice as many as the farm takes, and from
    then on of each more than it could do. The gang comes when they wait. No two jobs run equally long, so no chance frees the
    farm at once."""
    rng, devices = np.random.default_rng(world.seed), world.devices
    rows: list[tuple[float, float, float, int, int]] = []  # submitted, run time, limit, workers (-1: one device), project
    before = 1 + sum(-(-had // devices) for had in world.had) + len(world.had)
    at = 0.0
    for project, had in enumerate(world.had):
        if had:
            rows += [(at, had / devices, had / devices, world.nodes, project)]
            at += had / devices + 1
    until = before + 1 + SETTLED * world.bound
    for project, (runs, limit) in enumerate(zip(world.runs, world.limit, strict=True), 1):
        times = np.concatenate([np.full(2 * devices, before), np.arange(before, until, 0.8 * runs / devices)])
        ran = rng.uniform(0.8, 1.0, len(times)) * runs
        limits = ran if runs == limit else np.full(len(times), limit)
        rows += [(t, r, m, -1, project) for t, r, m in zip(times.tolist(), ran.tolist(), limits.tolist(), strict=True)]
    comes = before + 1 + float(rng.uniform(0, 1))
    rows += [(comes, 7.0, 7.0, world.nodes, 0)]
    rows += [(comes + 1, world.runs[0] * 0.9, world.limit[0], -1, 0)] * world.mates
    rows.sort(key=lambda row: row[0])
    submit, ran, limit, workers, tenant = (np.array(column) for column in zip(*rows, strict=True))
    trace = make_trace(
        len(rows), submit_ms=np.round(1000 * submit), duration_ms=np.round(1000 * ran), limit_ms=np.round(1000 * limit),
        workers=np.maximum(workers, 1), devices=np.where(workers < 0, 1, DEVICES), tenant=tenant,
        tenants=tuple("abcd"[: len(world.had)]), cores_milli=[0] * len(rows), memory_mib=[0] * len(rows),
    )  # fmt: skip
    return trace, [row[0] for row in rows].index(comes), until


def fleet(nodes: int) -> Fleet:
    pool = Pool(name="p", nodes=nodes, accelerator="gpu", devices=DEVICES, cores_milli=1000, memory_mib=1000)
    return make_fleet("few", [Site(name="s", pools=(pool,))], kinds=(Kind(id="gpu"),))


def waited(run: Run, gang: int) -> float:
    return float(run.start_ms[gang] - run.submit_ms[gang]) / 1000


@given(overloads())
@examples(60, most=5000)
def test_the_widest_gang_starts_under_endless_small_jobs_within_the_bound_and_without_a_promise_never_does(
    world: Overload,
) -> None:
    trace, gang, until = queue(world)
    run = trial(trace, fleet(world.nodes), rules_of("default"))
    assert 0 <= waited(run, gang) <= world.bound * FORGOTTEN
    late = trial(trace, fleet(world.nodes), rules_of("best-effort-fifo"))
    assert late.start_ms[gang] >= 1000 * until  # it runs when nothing else is left
