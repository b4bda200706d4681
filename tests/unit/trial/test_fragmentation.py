"""How much of what is free is of no use to what is expected, over a trial."""

from __future__ import annotations

import numpy as np

from dure.simulator.report.metrics import measure, over_time
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import make_trace
from dure.simulator.trial import Assumptions, rules_of, trial
from dure.simulator.trial.asks import asks_of
from dure.simulator.trial.fragmentation import evened, expected
from dure.simulator.trial.state import Farm


def fleet(*, nodes: int = 2, devices: int = 4) -> Fleet:
    pools = (Pool(name="p", nodes=nodes, accelerator="g", devices=devices, cores_milli=64_000, memory_mib=1 << 20),)
    return make_fleet("f", [Site(name="s", pools=pools)], kinds=(Kind(id="g"),))


def test_free_devices_too_few_for_what_is_expected_are_counted_while_they_are_free() -> None:
    """Both jobs of three devices leave one free beside them, of no use to others of three; a node that is free is of use."""
    trace = make_trace(2, submit_ms=[0, 0], duration_ms=[10_000, 30_000], devices=[3, 3], cores_milli=[1000] * 2)
    for compiled in (True, False):
        run = trial(trace, fleet(), rules_of("default"), compiled=compiled)
        assert run.fragmentation is not None
        assert run.fragmentation.at_ms.tolist() == [0, 10_000, 30_000]
        # of a free node of four devices all are of use, as three of them fit
        assert run.fragmentation.value.tolist() == [2000, 1000, 0]
        assert over_time(run.fragmentation, (0, 30_000)) == (2000 * 10 + 1000 * 20) / 30
        assert measure(run)["fragmentation"] == (2000 * 10 + 1000 * 20) / 30 / 8000


def test_parts_of_devices_are_counted_by_device() -> None:
    """Of a device of which 600 thousandths are taken, 400 are left, of no use to others of 600."""
    trace = make_trace(1, submit_ms=[0], duration_ms=[10_000], share_milli=[600], cores_milli=[1000])
    run = trial(trace, fleet(nodes=1), rules_of("default"))
    assert run.notes["loop.why"] == "shares of devices" and run.fragmentation is not None
    assert run.fragmentation.value.tolist() == [400, 0]


def test_cores_that_are_gone_make_devices_useless_and_workers_count_one_each() -> None:
    columns = {"workers": [3, 1], "devices": [1, 1], "cores_milli": [60_000, 10_000], "duration_ms": [5000, 9000]}
    run = trial(make_trace(2, submit_ms=[0, 0], **columns), fleet(nodes=3), rules_of("default"))
    assert run.fragmentation is not None
    trace, farm = make_trace(2, submit_ms=[0, 0], **columns), fleet(nodes=3)
    asks = asks_of(trace, farm, Assumptions())
    mix = expected(asks, Farm(trace, farm, asks, rules_of("default")))
    assert mix is not None and mix.total == 4
    # three nodes with 4000 thousandths of a core left, on which no worker finds room: nine devices are free
    assert run.fragmentation.value[0] == 9000


def test_nothing_is_measured_where_nobody_wants_devices_or_there_are_none() -> None:
    trace = make_trace(1, submit_ms=[0], duration_ms=[1000], cores_milli=[1000])
    assert trial(trace, fleet(), rules_of("default")).fragmentation is None
    assert trial(trace, fleet(), rules_of("default"), compiled=False).fragmentation is None
    cpus = make_fleet("c", [Site(name="s", pools=(Pool(name="p", nodes=1, cores_milli=8000),))])
    wants = make_trace(1, submit_ms=[0], duration_ms=[1000], devices=[1])
    assert trial(wants, cpus, rules_of("default")).fragmentation is None


def test_many_values_become_means_over_equal_parts_with_the_same_mean_over_all() -> None:
    chance = np.random.default_rng(1)
    at, value = np.cumsum(chance.integers(1, 50, 5000)), chance.integers(0, 10**6, 5000)
    until = int(at[-1]) + 40
    few = evened(at, value, until, parts=100)
    assert len(few.at_ms) == 100 and few.at_ms[0] == at[0]
    exact = float(np.sum(value * np.diff([*at.tolist(), until]))) / (until - int(at[0]))
    assert abs((over_time(few, (int(at[0]), until)) or 0) - exact) < 1e-3 * exact
    assert evened(at[:50], value[:50], until, parts=100).value.tolist() == value[:50].tolist()
    assert evened(at, value, int(at[0]), parts=100).value.tolist() == value.tolist(), "no time is not cut into parts"
