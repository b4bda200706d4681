"""A run that cannot have been is refused; what there is, is told right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dure.errors import InvariantViolated
from dure.simulator.report import FINISHED, NEVER, UNFINISHED, Run, Stretches, facts_of, run_of
from dure.simulator.report.facts import facts_from
from dure.simulator.report.run import clock_of
from dure.simulator.traces import Pool, Site, built_in, make_fleet, make_trace
from tests.unit.report.made import one_site, run_of_rows, two_sites


def stretch(*rows: tuple[int, int, int, int]) -> Stretches:
    job, begin, end, held = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    none = np.zeros(len(rows), np.int32)
    return Stretches(job=job, from_ms=begin, until_ms=end, held_milli=held, site=none, accelerator=none.copy())


BROKEN: dict[str, Callable[[], Run]] = {
    "starts before it is submitted": lambda: run_of_rows([(5, 1, 4, 1)]),
    "ends before it starts": lambda: run_of_rows([(0, 5, 5, 1)], end_ms=[4_000]),
    "ended without a start": lambda: run_of_rows([(0, 5, -1, 1)], end_ms=[4_000]),
    "has a negative duration": lambda: run_of_rows([(0, -5, 5, 1)]),
    "has a tenant that is not there": lambda: run_of_rows([(0, 1, 0, 1)], tenant=[0]),
    "uses more than there is": lambda: run_of_rows([(0, 5, 0, 5), (0, 5, 4, 4)], one_site(8)),
    "was preempted nobody knows when": lambda: run_of_rows([(0, 5, 0, 1)], preemptions=[1]),
    "ran before its start": lambda: run_of_rows([(0, 5, 2, 1)], stretches=stretch((0, 1_000, 7_000, 1_000))),
    "ran after its end": lambda: run_of_rows([(0, 5, 2, 1)], stretches=stretch((0, 2_000, 8_000, 1_000))),
    "is of a job that is not there": lambda: run_of_rows([(0, 5, 2, 1)], stretches=stretch((1, 2_000, 7_000, 1_000))),
    "lacks a type on a fleet of several": lambda: run_of_rows([(0, 5, 2, 1)], two_sites()),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_is_refused(case: str) -> None:
    with pytest.raises(InvariantViolated):
        BROKEN[case]()


def test_who_takes_over_at_the_moment_of_an_end_is_not_too_much() -> None:
    assert len(run_of_rows([(0, 5, 0, 8), (0, 5, 5, 8)], one_site(8))) == 2


def test_times_say_the_state() -> None:
    run = run_of_rows([(0, 5, 0, 1), (0, 5, 1, 1), (0, 5, -1, 1)], end_ms=[5_000, -1, -1], until_ms=9_000)
    assert run.state.tolist() == [FINISHED, UNFINISHED, NEVER]
    assert run.span_ms == (0, 9_000) and run.stretches.until_ms.tolist() == [5_000, 9_000]


def test_columns_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        run_of_rows([(0, 5, 0, 1)]).start_ms[0] = 1


def test_a_trace_and_its_starts_make_a_run() -> None:
    trace = make_trace(2, submit_ms=[0, 1_000], duration_ms=[5_000, 5_000], workers=[2, 1], devices=[8, 0], share_milli=[0, 500],
                       rest=[4, 0], cores_milli=[8_000, -1], memory_mib=[100, -1], queue=[0, 0], queues=("q",),
                       zero="2017-10-01T09:30:00")  # fmt: skip
    run = run_of(trace, np.array([0, -1]), one_site(64), policy="p", trace="t", tenant=trace.queue, tenants=trace.queues)
    assert run.devices_milli.tolist() == [20_000, 500] and run.cores_milli.tolist() == [20_000, -1]
    assert run.memory_mib.tolist() == [250, -1] and run.tenants == ("q",) and run.name(1) == "2"
    assert run.clock_ms == (9 * 60 + 30) * 60_000 and run.end_ms.tolist() == [5_000, -1]


@pytest.mark.parametrize(
    ("zero", "clock"), [("", -1), ("yesterday", -1), ("2017-10-01 00:00:07", 7_000), ("2017-10-01T23:59", 86_340_000)]
)
def test_the_time_of_day_is_read_or_unknown(zero: str, clock: int) -> None:
    assert clock_of(zero) == clock


def test_a_fleet_is_told_by_site_and_type() -> None:
    facts = two_sites()
    assert facts.accelerators == ("h200", "rngd") and facts.domestic.tolist() == [0, 1, 0]
    assert facts.capacity_milli.tolist() == [[32_000, 32_000, 0], [32_000, 0, 0]]
    assert facts.full_watts.tolist() == [[36_000, 12_000, 0], [36_000, 0, 0]]
    assert facts.idle_watts.tolist() == [[4_000, 0, 0], [4_000, 0, 0]] and facts.watts_known
    assert facts.carbon_g_mwh[1].tolist() == [100_000 + 1_000 * h for h in range(24)] and set(facts.price_krw_mwh[0]) == {100_000}
    assert facts_from(facts.json()).json() == facts.json()


def test_watts_of_one_unknown_pool_make_its_cell_unknown() -> None:
    known = Pool(name="a", nodes=1, accelerator="h200", devices=8)
    assert facts_of(make_fleet("x", [Site(name="s", pools=(known,))])).watts_known
    assert not one_site().watts_known and one_site().domestic.tolist() == [-1, 0]


def test_a_fleet_without_devices_is_measured_in_cores() -> None:
    facts = facts_of(make_fleet("x", [Site(name="s", pools=(Pool(name="cpu", nodes=3, cores_milli=64_000, node_watts=500),))]))
    assert facts.measured == "cores" and facts.total_milli == 192_000 and facts.watts_known
    run = run_of_rows([(0, 5, 0, 0)], facts, cores_milli=[128_000])
    assert run.stretches.held_milli.tolist() == [128_000] and run.stretches.accelerator.tolist() == [-1]


def test_the_national_fleet_has_all_of_its_devices() -> None:
    facts = facts_of(built_in("kr-15000"))
    assert facts.total_milli == 15_000_000 and facts.watts_known and len(facts.sites) == 17
