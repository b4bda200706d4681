"""What the default policy claims over time, on small farms that are never empty: docs/concepts/fairness.md."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.scheduler import plan
from dure.simulator.report import Run
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import make_trace
from dure.simulator.trial import rules_of, trial
from tests.builders.world import World
from tests.builders.worlds import examples
from tests.properties.claims.shares import go_on

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine
FORGOTTEN = 1.001  # these stories take minutes, and half of a use is forgotten in a week


def fleet(nodes: int, devices: int) -> Fleet:
    pool = Pool(name="p", nodes=nodes, accelerator="gpu", devices=devices, cores_milli=1000, memory_mib=1000)
    return make_fleet("few", [Site(name="s", pools=(pool,))], kinds=(Kind(id="gpu"),))


# -- everybody's share ------------------------------------------------------------------------------------------------------


@st.composite
def queues(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]]]:
    """How many devices there are, and for each tenant (seconds of a job, its limit, how many jobs): each cuts its work into
    pieces of its own and says of its own how long they take."""
    tenants = []
    for _ in range(draw(st.integers(2, 4))):
        runs = draw(st.sampled_from((1, 2, 3, 6)))
        tenants.append((runs, runs * draw(st.sampled_from((1, 1, 2, 10))), draw(st.integers(30, 50)) // runs))
    return draw(st.integers(1, 4)), tenants


def had_s(run: Run, tenant: np.ndarray, at_s: float) -> list[float]:
    """Device-seconds of each tenant until a moment."""
    start, end = run.start_ms / 1000, np.minimum(run.end_ms / 1000, at_s)
    return np.bincount(tenant, np.where(run.start_ms >= 0, np.maximum(end - start, 0), 0)).tolist()  # type: ignore[no-any-return]


@given(queues())
@examples(25, most=2000)
def test_projects_that_always_wait_get_equal_shares_however_they_cut_their_work(
    made: tuple[int, list[tuple[int, int, int]]],
) -> None:
    """Sharing incentive, and no envy: of two that wait all the time one is never further ahead than all devices for one job, of
    the run time of its own or of the limit of the other's. Whoever says too long a time falls behind alone, and no further."""
    devices, tenants = made
    tenant = np.repeat(np.arange(len(tenants)), [jobs for _, _, jobs in tenants])
    runs, limits = (np.array([t[column] for t in tenants])[tenant] * 1000 for column in (0, 1))
    trace = make_trace(
        len(tenant), submit_ms=[0] * len(tenant), duration_ms=runs, limit_ms=limits, devices=[1] * len(tenant), tenant=tenant,
        tenants=tuple("abcd"[: len(tenants)]), cores_milli=[0] * len(tenant), memory_mib=[0] * len(tenant),
    )  # fmt: skip
    run = trial(trace, fleet(1, devices), rules_of("default"))
    served = min(run.start_ms[tenant == t].max() for t in range(len(tenants))) / 1000  # from then on one of them has all it wants
    for at_s in sorted({*(run.start_ms / 1000).tolist(), *(run.end_ms / 1000).tolist()}):
        had = had_s(run, tenant, min(at_s, served))
        lag = [0.0] * len(had)
        for ahead, behind in permutations(range(len(had)), 2):
            bound = devices * max(tenants[ahead][0], tenants[behind][1])
            assert had[ahead] - had[behind] <= bound * FORGOTTEN
            lag[behind] += bound
        assert all(mine * len(had) >= sum(had) - lost * FORGOTTEN for mine, lost in zip(had, lag, strict=True))


# By organisation: its weight, and its projects' weights.
TREES = st.lists(st.tuples(st.integers(1, 3), st.lists(st.integers(1, 3), min_size=1, max_size=2)), min_size=2, max_size=3)


@given(TREES, st.integers(1, 3), st.data())
@examples(8, most=1000)
def test_organisations_and_projects_that_always_wait_get_the_shares_that_their_weights_say(
    tree: list[tuple[int, list[int]]], devices: int, data: st.DataObject
) -> None:
    """The same bound on use over weight, for siblings at every level of the tree."""
    world, limit_s = World(core_rate={"gpu": 1.0}).site("s", 1, devices=devices, accelerator="gpu"), {}
    for o, (weight, projects) in enumerate(tree):
        world.organisation(f"o{o}", weight=weight)
        for p, own in enumerate(projects):
            world.project(id := f"o{o}p{p}", organisation=f"o{o}", weight=own)
            limit_s[id] = data.draw(st.sampled_from((5, 10, 30)))
    bound = devices * max(limit_s.values())
    made = 0
    for _ in range(30):
        for id, limit in limit_s.items():
            while sum(w["project"] == id for w in world.waiting) < devices:
                world.pending(f"w{made:04}", project=id, devices=1, cores=0, memory=1, limit=limit)
                made += 1
        s = world.snapshot()
        p = plan(s)
        ends = [world.now_ms + int(s.pending.limit_ms[row]) for row in p.start_pending.tolist()]
        until = min([*ends, *(a["ends_ms"] for a in world.attempts)])
        go_on(world, s, p, (until - world.now_ms) // 1000)
        _fair(world, tree, bound)


def _fair(world: World, tree: list[tuple[int, list[int]]], bound: float) -> None:
    use = {id: project["use"] for id, project in world.projects.items()}
    levels = [[(w, sum(use[f"o{o}p{p}"] for p in range(len(ps)))) for o, (w, ps) in enumerate(tree)]]
    levels += [[(w, use[f"o{o}p{p}"]) for p, w in enumerate(ps)] for o, (_, ps) in enumerate(tree)]
    for level in levels:
        for (mine, had), (its, other) in permutations(level, 2):
            assert had / mine - other / its <= bound / min(mine, its) + 1e-6


# -- nobody starves ---------------------------------------------------------------------------------------------------------


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, int, dict[str, list[Any]]]:
    """Nodes of four devices; tenants who had something before the widest gang came, and never stop asking; when it comes."""
    nodes, tenants = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    jobs = [(0, draw(st.integers(30, 60)), 1, 1, tenant) for tenant in range(tenants)]
    for _ in range(draw(st.integers(5, 40))):
        jobs.append((draw(st.integers(0, 90)), draw(st.integers(1, 40)), draw(st.integers(1, nodes)), draw(st.integers(1, 4)),
                     draw(st.integers(0, tenants - 1))))  # fmt: skip
    comes = draw(st.integers(1, 29))
    jobs = sorted([*jobs, (comes, draw(st.integers(1, 20)), nodes, 4, tenants)], key=lambda job: job[0])
    submit, runs, workers, devices, tenant = (list(column) for column in zip(*jobs, strict=True))
    limits = [second * 1000 * draw(st.sampled_from((1, 1, 2, 5))) for second in runs]
    return nodes, tenant.index(tenants), {
        "submit_ms": [1000 * s for s in submit], "duration_ms": [1000 * r for r in runs], "limit_ms": limits, "workers": workers,
        "devices": devices, "tenant": tenant, "tenants": tuple("abcd"[: tenants + 1]),
    }  # fmt: skip


@given(streams())
@examples(40, most=5000)
def test_the_widest_gang_of_who_had_least_waits_no_longer_than_the_longest_limit(made: tuple[int, int, dict[str, Any]]) -> None:
    """It wants the whole farm, and others want parts of it without end. And in the end everybody has run."""
    nodes, gang, columns = made
    count = len(columns["tenant"])
    trace = make_trace(count, **columns, cores_milli=[0] * count, memory_mib=[0] * count)
    run = trial(trace, fleet(nodes, 4), rules_of("default"))
    others = [limit for job, limit in enumerate(columns["limit_ms"]) if job != gang]
    assert columns["submit_ms"][gang] <= run.start_ms[gang] <= columns["submit_ms"][gang] + max(others)
    assert run.finished.all()
