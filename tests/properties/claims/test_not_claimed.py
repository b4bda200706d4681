"""What the default policy does not claim, each by an example: docs/concepts/fairness.md says so, and this keeps it true."""

from __future__ import annotations

import numpy as np
import pytest

from dure.scheduler import plan
from dure.simulator.traces.fleet import Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import make_trace
from dure.simulator.trial import rules_of, trial
from tests.builders.world import World
from tests.properties.claims.shares import go_on

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


def starts(world: World) -> list[str]:
    s = world.snapshot()
    return [s.pending.ids[row] for row in plan(s).start_pending.tolist()]


def test_shares_are_of_the_weighed_sum_and_not_of_each_resource() -> None:
    """As in asset fairness, and unlike DRF: with half of this farm to itself `wide` would run eight at a time; it runs six."""
    world = World().site("s", 1, cores=128, devices=16, accelerator="gpu")  # a device weighs as much as 16 cores
    for i in range(16):
        world.pending(f"narrow{i:02}", project="narrow", devices=1, cores=0, memory=1, submitted=i)
        world.pending(f"wide{i:02}", project="wide", devices=1, cores=8, memory=1, submitted=i)
    assert sum(id.startswith("wide") for id in starts(world)) == 6
    assert sum(id.startswith("narrow") for id in starts(world)) == 10


def test_whoever_names_a_shorter_time_passes_who_is_honest() -> None:
    for limit, runs in ((7200, []), (1800, ["short"])):
        world = World().site("s", 1, cores=8).attempt("there", [("s/n0", 0)], cores=4, ends=3600)
        world.pending("first", cores=8).pending("short", cores=4, limit=limit)
        assert starts(world) == runs


def test_two_projects_in_no_organisation_have_two_shares() -> None:
    for second, of_two in (("one", 2), ("other", 3)):
        world = World().site("s", 1, cores=4)
        for i in range(4):
            world.pending(f"rest{i}", project="rest", submitted=i)
            world.pending(f"own{i}", project="one" if i % 2 else second, submitted=i)
        assert sum(id.startswith("own") for id in starts(world)) == of_two


def test_a_promise_to_who_is_not_first_moves_when_somebody_who_had_less_comes_before_it() -> None:
    """A plan counts what it starts by its limit; the next one counts it for as long as it has run."""
    world = World().site("s", 1, devices=2, accelerator="gpu").project("less").project("more", use=30_000)
    for i in range(2):
        world.pending(f"less{i}", project="less", devices=1, limit=3600 * (i + 1))
    world.pending("pair", project="more", devices=2)
    s = world.snapshot()
    p = plan(s)
    assert [s.pending.ids[row] for row in p.start_pending] == ["less0"]
    assert s.pending.ids[p.reserve_pending[0]] == "pair"
    promised_ms = int(p.reserve_ms[0])
    go_on(world, s, p, 10)
    s = world.snapshot()
    p = plan(s)
    assert [s.pending.ids[row] for row in p.start_pending] == ["less1"]
    assert s.pending.ids[p.reserve_pending[0]] == "pair"
    assert int(p.reserve_ms[0]) - promised_ms == 3_610_000


def test_a_gang_whose_own_project_runs_on_waits_behind_one_that_wants_less_than_its_share() -> None:
    """On the work of its mates its project stays ahead in use for ever, and each small job of the other moves its promise; one
    promise in the order of submission (EASY) is kept."""
    rng, devices, until_s = np.random.default_rng(1), 64, 600
    rows = [(50.0, 7.0, 16, 4, 1)]  # submitted, runs, workers, devices, project
    for project, load in ((0, 0.3), (1, 1.5)):
        at = rng.uniform(0, until_s, int(load * devices * until_s / 10))
        rows += [(second, float(rng.uniform(8, 10)), 1, 1, project) for second in at.tolist()]
    submit, runs, workers, each, tenant = (np.array(column) for column in zip(*sorted(rows), strict=True))
    trace = make_trace(
        len(rows), submit_ms=np.round(1000 * submit), duration_ms=np.round(1000 * runs), limit_ms=np.round(1000 * runs),
        workers=workers, devices=each, tenant=tenant, tenants=("less", "more"), cores_milli=[0] * len(rows),
        memory_mib=[0] * len(rows),
    )  # fmt: skip
    pool = Pool(name="p", nodes=16, accelerator="gpu", devices=4, cores_milli=1000, memory_mib=1000)
    fleet = make_fleet("few", [Site(name="s", pools=(pool,))], kinds=(Kind(id="gpu"),))
    gang = int(np.argmax(workers))
    started = {policy: trial(trace, fleet, rules_of(policy)).start_ms[gang] for policy in ("default", "easy")}
    assert started["default"] > 0.95 * 1000 * until_s
    assert started["easy"] < 1000 * (50 + 60)
