"""The load of a made workload is what a fleet gets to do, for as long as jobs come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dure.simulator.report.usage import utilisation
from dure.simulator.traces import Trace, Workload, built_in, make_fleet, national, offered_load, submitted
from dure.simulator.trial import Assumptions, rules_of, trial

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


def test_the_fleet_is_as_busy_from_the_first_hour_on_as_the_load_says() -> None:
    """Ten hours of jobs that run for days. A few points are lost to work that waits for its own region. Jobs that are submitted
    alone, without those that were in progress when the ten hours began, leave nine tenths of the fleet idle."""
    free = [replace(site, power_watts=0, windows=()) for site in built_in("kr-15000").sites]  # caps keep the load from running
    fleet = make_fleet("free", free)
    trace = national(np.random.default_rng(1), fleet, Workload(jobs=3_000, load=0.6))
    last = int(trace.submit_ms[-1])

    def busy(jobs: Trace) -> list[float]:
        run = trial(jobs, fleet, rules_of("default"), every_ms=300_000, assumptions=Assumptions(whole_shares=True))
        return [utilisation(run, (since, since + last // 4)) for since in range(0, last - last // 4 + 1, last // 4)]

    assert offered_load(trace, fleet.devices) == pytest.approx(0.6, abs=0.01)
    quarters = busy(trace)
    assert np.mean(quarters) == pytest.approx(0.6, abs=0.05) and min(quarters) > 0.45
    cold = busy(submitted(trace))
    assert np.mean(cold) < 0.15 and cold[0] < 0.05
