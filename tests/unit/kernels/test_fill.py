"""Filling a fleet: who arrives, what is expected, and what is read off in the end."""

from __future__ import annotations

import numpy as np
import pytest

from dure.errors import InvariantViolated
from dure.scheduler.kernels.packing import BEST_FIT, FGD, FIRST_FIT, RANDOM
from dure.scheduler.kernels.room import ANY
from dure.simulator.fill import Filled, Workloads, arrivals, curve, fill, luck_of, typical, workloads_of
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import Trace, make_trace

KINDS = (Kind(id="new"), Kind(id="old"))


def fleet() -> Fleet:
    """Three nodes: 4 old devices, twice 2 new ones."""
    pools = (
        Pool(name="a", nodes=1, accelerator="old", devices=4, cores_milli=8_000, memory_mib=64),
        Pool(name="b", nodes=2, accelerator="new", devices=2, cores_milli=4_000, memory_mib=32),
    )
    return make_fleet("three", [Site(name="s", pools=pools)], kinds=KINDS)


def trace() -> Trace:
    """Four times one device, three times half a one, twice two new ones, once cores alone."""
    return make_trace(
        10,
        devices=[1, 1, 1, 1, 0, 0, 0, 2, 2, 0],
        share_milli=[0, 0, 0, 0, 500, 500, 500, 0, 0, 0],
        cores_milli=[1000] * 9 + [2000],
        memory_mib=[1, 2, 1, 1, -1, 4, 4, 4, 4, 8],
        accelerator=[-1] * 7 + [0, 0, -1],
        accelerators=(("new", "unheard-of"),),
    )


@pytest.fixture
def jobs() -> Workloads:
    return workloads_of(trace(), fleet())


def test_workloads_that_ask_for_the_same_share_a_shape(jobs: Workloads) -> None:
    rows = [tuple(int(column[shape]) for column in jobs.shapes) for shape in jobs.shape_of]
    one, half, pair, none = (1, 0, 1000, 1, ANY), (0, 500, 1000, 4, ANY), (2, 0, 1000, 4, 0b01), (0, 0, 2000, 8, ANY)
    assert rows == [one, (1, 0, 1000, 2, ANY), one, one, (0, 500, 1000, 0, ANY), half, half, pair, pair, none]
    assert jobs.milli[jobs.shape_of].sum() == 4_000 + 1_500 + 4_000


def test_gangs_are_not_for_filling() -> None:
    with pytest.raises(InvariantViolated, match="one worker"):
        workloads_of(make_trace(1, workers=[2], devices=[1]), fleet())


def test_what_is_expected_are_the_most_frequent_shapes(jobs: Workloads) -> None:
    assert typical(jobs, jobs.shape_of, 0.4).total == 4  # memory does not tell shapes apart
    assert typical(jobs, jobs.shape_of, 0.41).total == 7
    assert typical(jobs, jobs.shape_of, 1.0).total == 10
    assert typical(jobs, jobs.shape_of, 1.0).cores_per_device == 1000 * 9_000 // 9_500


def test_a_trace_grows_by_draws_until_the_next_one_would_exceed_the_target(jobs: Workloads) -> None:
    for seed in range(20):
        order = arrivals(jobs, 20_000, seed)
        assert sorted(order[:10].tolist()) == sorted(jobs.shape_of.tolist())
        assert 19_000 < jobs.milli[order].sum() <= 21_000  # of the last one, only one device is looked at
        assert order.tolist() == arrivals(jobs, 20_000, seed).tolist()
    assert arrivals(jobs, 20_000, 0).tolist() != arrivals(jobs, 20_000, 1).tolist()


def test_a_trace_that_asks_for_too_much_loses_workloads_until_it_does_not(jobs: Workloads) -> None:
    for seed in range(20):
        order = arrivals(jobs, 5_000, seed)
        assert 3_000 < jobs.milli[order].sum() <= 5_000
        assert not np.setdiff1d(order, jobs.shape_of).size


@pytest.mark.parametrize("policy", [FIRST_FIT, BEST_FIT, RANDOM, FGD])
def test_a_full_fleet_turns_away_and_holds_no_more_than_it_has(jobs: Workloads, policy: int) -> None:
    order = arrivals(jobs, 16_000, 1)
    filled = fill(fleet().nodes(), jobs, order, policy, typical(jobs, jobs.shape_of), luck_of(3, len(order), 3))
    placed = filled.node >= 0
    assert 0 < placed.sum() < len(order)
    assert filled.used[-1] == jobs.milli[order[placed]].sum() <= 8_000
    assert filled.arrived[-1] == jobs.milli[order].sum()
    assert (np.diff(filled.used) >= 0).all()
    pairs = jobs.shapes.kinds[order] == 0b01
    assert set(filled.node[placed & pairs].tolist()) <= {1, 2}  # new devices are on the second and third node
    for node, (cores, milli) in enumerate([(8_000, 4_000), (4_000, 2_000), (4_000, 2_000)]):
        here = order[filled.node == node]
        assert jobs.shapes.cores[here].sum() <= cores
        assert jobs.milli[here].sum() <= milli
    again = fill(fleet().nodes(), jobs, order, policy, typical(jobs, jobs.shape_of), luck_of(3, len(order), 3))
    assert again.node.tolist() == filled.node.tolist()


def test_the_curve_is_the_mean_allocation_while_the_demand_rounds_to_a_percent() -> None:
    arrived, used = np.array([5, 10, 14, 30, 30]), np.array([5, 10, 10, 20, 24])
    none = np.zeros(5, np.int32)
    said = curve(Filled(shape=none, node=none, arrived=arrived, used=used), 1000, 4)
    assert np.array_equal(said, [0.5, 1.0, np.nan, 2.2, np.nan], equal_nan=True)
