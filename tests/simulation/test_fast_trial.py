"""The fast path of trials makes the same run as a snapshot and a plan for each step."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fgd import TRACES
from bench.policies import clusters, philly_pool
from dure.model.policy import Packing, Policy, TurnOrder
from dure.scheduler.tables import cycle_of
from dure.scheduler.warm import nowhere
from dure.simulator.report import Run
from dure.simulator.traces import Fleet, Trace, built_in
from dure.simulator.traces.fleet import Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import make_trace
from dure.simulator.trial import COMPILED, POLICIES, STEPPED, Assumptions, Order, Rules, rules_by, rules_of, trial
from dure.simulator.trial.asks import asks_of
from dure.simulator.trial.fast import Fast
from dure.simulator.trial.state import Farm
from tests.architecture.tree import ROOT
from tests.builders.worlds import examples
from tests.simulation.test_trial import fleet, powered, trace_of

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine
KNOWS_WHO_RUNS = (Packing.GPU_CLUSTERING, Packing.FGD, Packing.LEAST_WASTE)
COVERED = tuple(
    name for name, rules in POLICIES.items() if not rules.preferences and not rules.moves and rules.packing not in KNOWS_WHO_RUNS
)
"""Bounds that small worlds meet: few tries behind the first promise, few promises."""
TIGHT = (
    Rules(name="few-tries", order=Order.FAIR, promises=2, depth=2, min_run_ms=5_000),
    Rules(name="one-try", order=Order.SUBMITTED, promises=3, depth=1),
    Rules(name="no-promise", order=Order.FAIR, promises=0, depth=1),
)


def told(run: Run) -> dict[str, Any]:
    """Everything that a run says, but by which loop."""
    columns = {name: column.tolist() for name, column in vars(run.stretches).items()}
    of_jobs = ("start_ms", "end_ms", "preemptions", "lost_ms", "devices_milli", "tenant")
    notes = {name: text for name, text in run.notes.items() if name not in ("loop", "loop.why")}
    sampled = vars(run.fragmentation).items() if run.fragmentation is not None else ()
    wasted = {name: column.tolist() for name, column in sampled}
    return {
        **columns,
        "wasted": wasted,
        **{name: getattr(run, name).tolist() for name in of_jobs},
        "until": run.until_ms,
        "notes": notes,
    }


def both(trace: Trace, farm: Fleet, rules: Rules, every_ms: int = 0, given: Assumptions | None = None) -> Run:
    """The run, which is the same either way."""
    fast = trial(trace, farm, rules, every_ms=every_ms, assumptions=given)
    slow = trial(trace, farm, rules, every_ms=every_ms, assumptions=given, compiled=False)
    assert (fast.notes["loop"], slow.notes["loop"], slow.notes["loop.why"]) == (COMPILED, STEPPED, "asked for")
    assert told(fast) == told(slow)
    return fast


# -- small worlds --------------------------------------------------------------------------------------------------------------


def small_fleet(chance: random.Random) -> Fleet:
    """Up to three sites, nodes of two types and without devices, narrow in cores here and there."""

    def pool(name: str, accelerator: str, devices: int) -> Pool:
        cores, memory = chance.choice(((2000, 2000), (16_000, 64_000)))
        return Pool(name=name, nodes=chance.randint(1, 3), accelerator=accelerator, devices=devices, cores_milli=cores,
                    memory_mib=memory)  # fmt: skip

    pools = (pool("big", "a", 4), pool("small", "b", 2), pool("plain", "", 0))
    chosen = [tuple(chance.sample(pools, chance.randint(1, 3))) for _ in range(chance.randint(1, 3))]
    sites = [Site(name=f"s{n}", region="KR-11" if n else "KR-26", pools=own) for n, own in enumerate(chosen)]
    return make_fleet("few", sites, kinds=(Kind(id="a"), Kind(id="b")))


def small_trace(chance: random.Random) -> Trace:
    """Jobs that want what such a fleet may have, or not; some that are over at once, or take longer than their limit."""
    count = chance.randint(1, 30)

    def column(*choices: int) -> list[int]:
        return [chance.choice(choices) for _ in range(count)]

    return make_trace(
        count, submit_ms=np.sort(np.array([chance.randint(0, 60) for _ in range(count)])) * 1000,
        duration_ms=np.array([chance.randint(0, 40) for _ in range(count)]) * 1000, workers=column(1, 1, 1, 2, 3),
        devices=column(0, 1, 1, 2, 3, 4), cores_milli=column(0, 500, 2000), memory_mib=column(0, 1000),
        accelerator=column(-1, 0, 1, 2), accelerators=(("a",), ("b",), ("b", "a")), limit_ms=column(0, 3000, 20_000, 60_000),
        priority=column(100, 200, 200, 400) if chance.random() < 0.5 else [0] * count,
        preemptible=np.array(column(0, 1, 1), np.bool_), checkpoint_ms=column(0, 4000), user=column(-1, 0, 1, 2),
        tenant=column(-1, 0, 1, 2), tenants=("x", "y", "z"), residency=column(-1, -1, -1, 0), residencies=(("KR-11",),),
    )  # fmt: skip


def assumed(chance: random.Random) -> Assumptions:
    limit_ms = chance.choice((15_000, 10**9))
    return Assumptions(limit_ms=limit_ms, exact_limits=chance.random() < 0.2, learned_limits=chance.random() < 0.4)


@given(st.integers(0, 2**32), st.sampled_from(COVERED), st.sampled_from((0, 0, 7_000)))
@examples(150)
def test_it_makes_the_same_run_as_a_plan_for_each_step(seed: int, policy: str, every_ms: int) -> None:
    chance = random.Random(seed)
    both(small_trace(chance), small_fleet(chance), rules_of(policy), every_ms, assumed(chance))


@given(st.integers(0, 2**32), st.sampled_from(TIGHT))
@examples(60)
def test_bounds_on_tries_and_promises_are_met_alike(seed: int, rules: Rules) -> None:
    chance = random.Random(seed)
    both(small_trace(chance), small_fleet(chance), rules, 0, assumed(chance))


BY_POLICY = tuple(
    rules_by(f"{turns}-{promises}", Policy(order=turns, reservations_max=promises, backfill_depth=depth, half_life_ms=60_000))
    for turns in TurnOrder
    for promises, depth in ((1, 0), (3, 2), (16, 1000))
)


@given(st.integers(0, 2**32), st.sampled_from(BY_POLICY), st.sampled_from((0, 7_000)))
@examples(100)
def test_turns_are_given_alike_whatever_a_policy_gives_them_by(seed: int, rules: Rules, every_ms: int) -> None:
    chance = random.Random(seed)
    given = replace(assumed(chance), learned_limits=False)
    both(small_trace(chance), small_fleet(chance), rules, every_ms, given)


def test_urgent_work_takes_places_alike() -> None:
    """Chains of them: who made room finds another place at the same moment, or waits."""
    chance = random.Random(5)
    rows = [(chance.randint(0, 900), chance.randint(20, 600), 1 + n % 2, chance.randint(1, 4)) for n in range(60)]
    given = {"priority": [200 + 200 * (n % 3 == 2) for n in range(60)], "preemptible": [n % 7 != 0 for n in range(60)]}
    runs = [both(trace_of(rows, **given), fleet(2, sites=2), rules_of(policy)) for policy in ("default", "srtf")]
    assert all(run.preemptions.sum() > 0 for run in runs), "somebody was preempted"


# -- real traces ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def traces() -> Path:
    if not (TRACES / "philly_jobs.parquet").is_file():
        pytest.skip(f"the Philly trace is not in {TRACES}; name the folder above `traces` in DURE_SHARED")
    return TRACES


@pytest.mark.usefixtures("traces")
@pytest.mark.parametrize("policy", ("default", "easy", "las"))
def test_a_cut_of_philly_runs_alike_on_few_nodes(policy: str) -> None:
    trace, _ = philly_pool()
    pool = Pool(name="gpu", nodes=3, accelerator="gpu", devices=8)
    farm = make_fleet("small", [Site(name="s", pools=(pool,))], kinds=(Kind(id="gpu"),))
    run = both(cut(trace, 6_000, 600), farm, rules_of(policy))
    assert (run.end_ms - run.submit_ms > run.duration_ms).mean() > 0.1, "many waited"


@pytest.mark.long
@pytest.mark.usefixtures("traces")
@pytest.mark.parametrize("policy", COVERED)
def test_longer_cuts_of_philly_run_alike(policy: str) -> None:
    trace, farm = philly_pool()
    both(cut(trace, 20_000, 3_000), farm, rules_of(policy))
    trace, farm = clusters("tight")
    both(cut(trace, 30_000, 3_000), farm, rules_of(policy), 60_000, Assumptions(learned_limits=True))


def cut(trace: Trace, first: int, count: int) -> Trace:
    return trace.take(np.arange(first, first + count)).rebased()


# -- what it does not cover ----------------------------------------------------------------------------------------------------


def test_what_it_does_not_cover_gets_a_plan_for_each_step_and_the_notes_say_so() -> None:
    rows, default = [(0, 10, 1, 1)] * 3, rules_of("default")
    assert trial(trace_of(rows), powered(1800), default).notes["loop.why"] == "limits of power"
    assert trial(trace_of(rows), fleet(1), rules_of("low-carbon")).notes["loop.why"] == "preferences"
    assert trial(trace_of(rows), fleet(1), rules_of("fgd")).notes["loop.why"] == "packing that knows who runs"
    blocks = trace_of(rows, block=[True, False, False])
    assert trial(blocks, fleet(1), default).notes["loop.why"] == "topology blocks"
    shares = make_trace(1, submit_ms=[0], duration_ms=[1000], share_milli=[500])
    assert trial(shares, built_in("openb"), default).notes["loop.why"] == "shares of devices"
    assert trial(shares, built_in("openb"), default, assumptions=Assumptions(whole_shares=True)).notes["loop"] == COMPILED


# -- compiled or not -----------------------------------------------------------------------------------------------------------


def flat(group: Any) -> list[Any]:
    return [column for part in group for column in flat(part)] if hasattr(group, "_fields") else [group]


def test_its_plan_has_the_types_of_any_plan_so_that_what_was_compiled_is_used() -> None:
    trace, farm = trace_of([(0, 10, 1, 1)]), fleet(1)
    asks, rules = asks_of(trace, farm, Assumptions()), rules_of("default")
    made = Fast(trace, Farm(trace, farm, asks, rules), asks, rules, np.zeros(1, np.bool_), learns=False, every_ms=0)
    plans = flat(cycle_of(nowhere()))
    assert [numba.typeof(column) for column in flat(made.cycle)] == [numba.typeof(column) for column in plans]


def digest() -> str:
    """Of what many small runs say."""
    found = hashlib.sha256()
    for seed in range(6):
        chance = random.Random(seed)
        trace, farm = small_trace(chance), small_fleet(chance)
        for policy in COVERED:
            found.update(repr(told(trial(trace, farm, rules_of(policy), assumptions=assumed(chance)))).encode())
    return found.hexdigest()


PRINT = "from tests.simulation.test_fast_trial import digest; print(digest())"


def test_compiled_or_not_it_is_the_same() -> None:
    environ = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", PRINT], capture_output=True, text=True, env=environ, check=True, cwd=ROOT)
    assert done.stdout.strip() == digest()
