"""Every measure by value, and what must hold whatever happened."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.simulator.report import Run, Samples, by_size, by_tenant, longest_wait, measure, widest_gang
from dure.simulator.report.exact import by_group, jain, rank, total
from dure.simulator.report.metrics import over_time, shares, slowdown, turnaround_ms, waited_ms
from dure.simulator.report.usage import DAY_MS, draw_of, in_hour, ran_ms, use_by_time, use_in, utilisation
from tests.builders.worlds import examples
from tests.unit.report.made import HOUR_MS, empty, one_site, run_from, run_of_rows, runs, two_sites

# Three jobs on 8 devices: the second waits for the first, the third beside it.
ROWS = [(0, 100, 0, 8), (10, 40, 100, 4), (20, 10, 100, 2)]


def test_waiting_and_completion_are_of_every_job() -> None:
    run = run_of_rows(ROWS, one_site(8))
    assert waited_ms(run).tolist() == [0, 90_000, 80_000]
    assert turnaround_ms(run).tolist() == [100_000, 130_000, 90_000]
    assert slowdown(run).tolist() == [1.0, 130 / 40, 9.0]


def test_measures_have_the_values_that_a_pencil_gives() -> None:
    found = measure(run_of_rows(ROWS, one_site(8)))
    assert found["queueing.mean"] == pytest.approx(170 / 3) and found["queueing.p50"] == 80 and found["queueing.p99"] == 90
    assert found["jct.mean"] == pytest.approx(320 / 3) and found["makespan"] == 140
    assert found["slowdown.mean"] == pytest.approx((1 + 3.25 + 9) / 3) and found["wait.longest"] == 90
    assert found["utilisation"] == (8 * 100 + 4 * 40 + 2 * 10) / (8 * 140)
    assert found["utilisation.steady"] == 1.0  # from 2 s to 20 s
    assert found["energy"] is None and found["domestic"] is None and found["charged_krw"] is None


def test_short_jobs_do_not_make_slowdown_endless() -> None:
    assert slowdown(run_of_rows([(0, 0, 30, 1), (0, 1, 4, 1)])).tolist() == [3.0, 1.0]


def test_a_preempted_job_waits_again() -> None:
    run = run_from([(0, 60_000, 10_000, 1_000, 0, 0, 25_000, 5)], 1)
    assert waited_ms(run).tolist() == [35_000] and ran_ms(run).tolist() == [60_000]
    assert measure(run)["preemptions"] == 1


def test_two_places_at_once_are_one_time() -> None:
    job = run_from([(0, 60_000, 0, 1_000, 0, 0, 0, 5)], 0)
    twice = {n: np.repeat(c, 2) for n, c in vars(job.stretches).items()}
    twice["site"] = np.array([0, 1], np.int32)
    both = Run(**{**vars(job), "stretches": type(job.stretches)(**twice)})
    assert ran_ms(both).tolist() == [60_000] and use_in(both.stretches, 0, 60_000) == 2 * 60_000 * 1_000


def test_who_never_starts_is_the_one_that_starves() -> None:
    run = run_of_rows([(0, 5, 0, 1), (1, 5, -1, 4), (2, 5, -1, 2), (0, 5, 3, 4)], until_ms=50_000)
    longest, widest = longest_wait(run), widest_gang(run)
    assert longest is not None and (longest.name, longest.wait_ms, longest.started) == ("2", 49_000, False)
    assert widest is not None and (widest.name, widest.milli) == ("2", 4_000)
    found = measure(run)
    assert found["jobs.never_started"] == 2 and found["makespan"] is None and found["queueing.mean"] == 1.5


def test_sizes_fall_into_their_classes() -> None:
    rows = [(0, 10, 0, d) for d in (0, 1, 2, 7, 8, 9, 64, 65, 512, 513)]
    run = run_of_rows(rows, two_sites(nodes=1000), accelerator=0)
    assert [(g.key, g.jobs) for g in by_size(run)] == [
        ("none", 1), ("1", 1), ("2-7", 2), ("8", 1), ("9-64", 2), ("65-512", 2), (">512", 1),
    ]  # fmt: skip


def test_a_part_of_a_device_is_a_class_of_its_own() -> None:
    run = run_from([(0, 9, 0, 500, 0, 0, 0, 0), (0, 9, 0, 1_000, 0, 0, 0, 0)], 0)
    assert [g.key for g in by_size(run)] == ["part", "1"]


def test_tenants_come_by_what_they_ask_for() -> None:
    run = run_of_rows([(0, 10, 0, 1), (0, 10, 5, 2), (0, 20, 0, 2)], tenant=[0, 1, -1], tenants=("ant", "bee"))
    assert [(g.key, g.jobs, g.queueing["mean"]) for g in by_tenant(run)] == [("", 1, 0.0), ("bee", 1, 5.0), ("ant", 1, 0.0)]


def test_fairness_is_one_when_all_are_served_and_less_when_one_is_not() -> None:
    tenant = {"tenant": [0, 1], "tenants": ("ant", "bee")}
    assert measure(run_of_rows([(0, 100, 0, 4), (0, 100, 0, 4)], **tenant))["fairness.jain"] == 1.0
    starved = run_of_rows([(0, 100, 0, 4), (0, 100, -1, 4)], **tenant)
    assert measure(starved)["fairness.jain"] == 0.5 and set(map(tuple, shares(starved))) == {(1.0, 0.0, None)}


def test_jain_has_its_known_values() -> None:
    assert jain([1, 1, 1, 1]) == 1.0 and jain([1, 0, 0, 0]) == 0.25 and jain([1]) is None and jain([0, 0]) is None


def test_energy_is_idle_and_use_times_pue() -> None:
    """One hour in which half of north's h200 is in use, from 05:00; south idles, and so does rngd, of which idle is unknown."""
    run = run_from([(0, HOUR_MS, 0, 16_000, 0, 0, 0, 0)], 0, fleet=two_sites(4))
    draw = draw_of(run)
    north, south = 1.2 * (4_000 + 32_000 / 2), 4_000
    assert draw is not None and draw.watt_hours[5] == pytest.approx(north + south)
    assert sum(draw.watt_hours) == draw.watt_hours[5] and draw.hours[5] == 1.0 and sum(draw.hours) == 1.0
    assert draw.grams[5] == pytest.approx((north * 400_000 + south * 105_000) / 1e6)
    assert draw.krw[5] == pytest.approx((north * 100_000 + south * 200_000) / 1e6) and draw.mean_watts[5] == draw.watt_hours[5]


def test_domestic_is_a_share_of_device_time() -> None:
    run = run_from([(0, HOUR_MS, 0, 1_000, 0, 0, 0, 0), (0, 3 * HOUR_MS, 0, 1_000, 0, 1, 0, 0)], 0)
    assert measure(run)["domestic"] == 0.75


def test_samples_hold_until_the_next() -> None:
    samples = Samples(at_ms=np.array([0, 10, 40]), value=np.array([5, 1, 9]))
    assert over_time(samples, (5, 50)) == (5 * 5 + 30 * 1 + 10 * 9) / 45
    assert over_time(samples, (50, 50)) is None and over_time(None, (0, 9)) is None
    found = measure(
        run_of_rows([(0, 100, 0, 8)], one_site(8), fragmentation=Samples(at_ms=np.array([0]), value=np.array([2_000])))
    )
    assert found["fragmentation"] == 0.25


def test_an_empty_run_has_no_measures_and_breaks_nothing() -> None:
    found = measure(empty())
    assert found["jobs"] == 0 and found["queueing.mean"] is None and longest_wait(empty()) is None and by_size(empty()) == []


@given(st.lists(st.integers(0, 10**6), min_size=1), st.integers(1, 1000))
def test_a_percentile_is_a_value_that_occurred_with_enough_below(values: list[int], permille: int) -> None:
    found = rank(np.sort(np.array(values, np.int64)), permille)
    assert found in values
    assert sum(v <= found for v in values) * 1000 >= permille * len(values) > sum(v < found for v in values) * 1000


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(-1, 2)), max_size=20))
def test_sums_are_exact_however_large(rows: list[tuple[int, int]]) -> None:
    values, group = (np.array([row[i] for row in rows], np.int64) for i in (0, 1))
    assert total(values) == sum(row[0] for row in rows)
    assert by_group(values, group, 4) == [sum(v for v, g in rows if g % 4 == n) for n in range(4)]


@given(st.integers(0, 10 * DAY_MS))
def test_hours_of_the_day_make_up_all_time(at: int) -> None:
    assert sum(int(in_hour(np.int64(at), hour)) for hour in range(24)) == at


@examples(60)
@given(runs())
def test_the_integral_of_use_is_what_the_jobs_held(run: Run) -> None:
    part = run.stretches
    held = sum(int(h) * int(b - a) for h, a, b in zip(part.held_milli, part.from_ms, part.until_ms, strict=True))
    assert use_in(part, *run.span_ms) == held
    first, last = run.span_ms
    middle = (first + last) // 2
    assert use_in(part, first, middle) + use_in(part, middle, last) == held
    edges = np.linspace(first, max(last, first + 1), 8)
    over_edges = (use_by_time(run, edges) * np.diff(edges) * run.fleet.total_milli).sum()
    assert over_edges == pytest.approx(held, rel=1e-9, abs=1e-3)
    if not run.preemptions.any():
        assert held == sum(int(d) * int(r) for d, r in zip(run.devices_milli, ran_ms(run), strict=True))


@examples(60)
@given(runs(), st.randoms(use_true_random=False))
def test_the_order_of_the_jobs_changes_nothing(run: Run, luck: st.DataObject) -> None:
    order = list(range(len(run)))
    luck.shuffle(order)  # type: ignore[attr-defined]
    other = run.take(np.array(order, np.int64))
    assert measure(other) == measure(run)
    assert by_size(other) == by_size(run) and by_tenant(other) == by_tenant(run)
    assert [w and (w.name, w.wait_ms) for w in (longest_wait(other), widest_gang(other))] == [
        w and (w.name, w.wait_ms) for w in (longest_wait(run), widest_gang(run))
    ]


@examples(60)
@given(runs())
def test_bounds_hold_whatever_happened(run: Run) -> None:
    assert (waited_ms(run) >= 0).all() and (slowdown(run) >= 1).all()
    found = measure(run)
    for key in ("utilisation", "utilisation.steady", "domestic", "fairness.jain"):
        value = found[key]
        assert value is None or 0 <= value <= 1 + 1e-12
    assert all(x is None or 0 <= x <= 1 for moment in shares(run) for x in moment)
    if run.finished.any():
        ranks = [found[f"queueing.{p}"] for p in ("p50", "p90", "p99")]
        assert ranks == sorted(ranks) and ranks[-1] <= found["wait.longest"]  # type: ignore[type-var,operator]


@examples(40)
@given(runs())
def test_groups_are_all_jobs_once(run: Run) -> None:
    for groups in (by_size(run), by_tenant(run)):
        assert sum(group.jobs for group in groups) == len(run)
        assert sum(group.never_started for group in groups) == int((run.state == 2).sum())


@examples(40)
@given(runs())
def test_energy_lies_between_idle_and_full(run: Run) -> None:
    draw = draw_of(run)
    if draw is None:
        assert not len(run)
        return
    first, last = run.span_ms
    time, pue = (last - first) / HOUR_MS, run.fleet.pue_permille / 1000
    idle, full = (float((column.sum(axis=1) * pue).sum()) * time for column in (run.fleet.idle_watts, run.fleet.full_watts))
    assert math.fsum(draw.hours) == pytest.approx(time)
    assert idle * (1 - 1e-9) <= math.fsum(draw.watt_hours) <= full * (1 + 1e-9)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 64))
def test_one_job_alone_does_not_wait(submit: int, duration: int, devices: int) -> None:
    found = measure(run_of_rows([(submit, duration, submit, devices)]))
    assert found["queueing.mean"] == found["wait.longest"] == found["wait.widest"] == 0 and found["slowdown.mean"] == 1.0
    assert utilisation(run_of_rows([(submit, duration, submit, 64)]), (submit * 1000, (submit + duration) * 1000)) in (None, 1.0)
