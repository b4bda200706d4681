"""Trials: against plain programs for the policies that the literature knows, and what holds for every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.errors import InvariantViolated
from dure.scheduler import Plan, Snapshot, plan
from dure.scheduler.kernels.board import empty_board
from dure.scheduler.kernels.index import make_index
from dure.scheduler.kernels.room import make_ground
from dure.simulator.replay import Jobs, make_seats, replay
from dure.simulator.report import Run
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site, Window
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import Trace, make_trace
from dure.simulator.trial import POLICIES, Assumptions, Progress, rules_of, trial
from tests.builders.worlds import examples

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine
DEVICES = 4
Row = tuple[int, int, int, int]  # submission and run time in seconds, workers, devices of each


def fleet(nodes: int, devices: int = DEVICES, sites: int = 1) -> Fleet:
    pool = Pool(name="p", nodes=nodes, accelerator="gpu", devices=devices, cores_milli=1000, memory_mib=1000)
    return make_fleet("few", [Site(name=f"s{n}", pools=(pool,)) for n in range(sites)], kinds=(Kind(id="gpu"),))


def trace_of(rows: Sequence[Row], **more: Any) -> Trace:
    submit, duration, workers, devices = (np.array(c, np.int64) for c in zip(*sorted(rows, key=lambda r: r[0]), strict=True))
    return make_trace(
        len(rows), submit_ms=submit * 1000, duration_ms=duration * 1000, workers=workers, devices=devices,
        cores_milli=[0] * len(rows), memory_mib=[0] * len(rows), **more,
    )  # fmt: skip


def started_s(run: Run) -> list[float]:
    return [ms / 1000 for ms in run.start_ms.tolist()]


def ended_s(run: Run) -> list[float]:
    return [ms / 1000 for ms in run.end_ms.tolist()]


@st.composite
def logs(draw: st.DrawFn, nodes: int) -> list[Row]:
    """Jobs that all fit on so many nodes."""
    count = draw(st.integers(1, 12))
    return [
        (draw(st.integers(0, 20)), draw(st.integers(0, 15)), draw(st.integers(1, nodes)), draw(st.integers(1, DEVICES)))
        for _ in range(count)
    ]


# -- policies that have a plain program ----------------------------------------------------------------------------------------


@given(st.integers(1, 3).flatmap(lambda n: st.tuples(st.just(n), logs(n))), st.sampled_from(("fifo", "sjf")))
@examples(40)
def test_where_nothing_passes_it_is_the_compiled_replay(made: tuple[int, list[Row]], policy: str) -> None:
    nodes, rows = made
    trace = trace_of(rows)
    key = trace.duration_ms if policy == "sjf" else trace.submit_ms
    zero = np.zeros(len(rows), np.int64)
    jobs = Jobs(trace.submit_ms, trace.duration_ms, key, zero, trace.workers, zero, zero, trace.devices, zero)
    ground = make_ground(kind=[0] * nodes, cores=[1000] * nodes, memory=[1000] * nodes, devices=[DEVICES] * nodes)
    board = empty_board(ground, make_index(ground, np.zeros(nodes, np.int32), 1))
    told = replay(board, jobs, make_seats(jobs), 1)
    assert trial(trace, fleet(nodes), rules_of(policy)).start_ms.tolist() == told.tolist()


def easy_plainly(rows: Sequence[Row], devices: int) -> list[int]:
    """EASY (Lifka 1995; Mu'alem and Feitelson 2001) on one pool of devices, when everybody knows how long they run."""
    jobs = sorted(rows, key=lambda r: r[0])
    start, running, waiting, arrived, now = [-1] * len(jobs), [], [], 0, 0
    while arrived < len(jobs) or running or waiting:
        now = min([jobs[j][0] for j in range(arrived, len(jobs))][:1] + [end for end, _ in running])
        running = [r for r in running if r[0] > now]
        while arrived < len(jobs) and jobs[arrived][0] == now:
            waiting.append(arrived)
            arrived += 1
        free = devices - sum(n for _, n in running)
        while waiting and jobs[waiting[0]][3] <= free:
            job = waiting.pop(0)
            start[job], free = now, free - jobs[job][3]
            running.append((now + jobs[job][1], jobs[job][3]))
        if waiting:
            shadow, then = now, free
            for end, n in sorted(running):
                if then >= jobs[waiting[0]][3]:
                    break
                shadow, then = end, then + n
            extra = free + sum(n for end, n in running if end <= shadow) - jobs[waiting[0]][3]
            for job in list(waiting[1:]):
                if jobs[job][3] <= free and (now + jobs[job][1] <= shadow or jobs[job][3] <= extra):
                    extra -= 0 if now + jobs[job][1] <= shadow else jobs[job][3]
                    start[job], free = now, free - jobs[job][3]
                    running.append((now + jobs[job][1], jobs[job][3]))
                    waiting.remove(job)
    return start


def pool_rows(draw: st.DrawFn, zero: int) -> list[Row]:
    return [
        (draw(st.integers(0, 20)), draw(st.integers(zero, 15)), 1, draw(st.integers(1, 8)))
        for _ in range(draw(st.integers(1, 12)))
    ]


@given(st.data())
@examples(60)
def test_easy_is_that_of_the_literature(data: st.DataObject) -> None:
    rows = pool_rows(data.draw, 1)
    run = trial(trace_of(rows), fleet(1, 8), rules_of("easy"), assumptions=Assumptions(exact_limits=True))
    assert [int(s) for s in started_s(run)] == easy_plainly(rows, 8)


def srtf_plainly(rows: Sequence[Row]) -> list[int]:
    """Shortest remaining time first on one device, second by second: when each job ends."""
    jobs = sorted(rows, key=lambda r: r[0])
    left, end, now = [r[1] for r in jobs], [-1] * len(jobs), 0
    holder = -1
    while any(e < 0 for e in end):
        there = [j for j in range(len(jobs)) if jobs[j][0] <= now and end[j] < 0]
        if there:
            best = min(there, key=lambda j: (left[j], j))
            holder = holder if holder in there and left[holder] <= left[best] else best
            left[holder] -= 1
            if left[holder] == 0:
                end[holder] = now + 1
        now += 1
    return end


@given(st.data())
@examples(40)
def test_the_shortest_that_is_left_takes_the_place_of_longer_ones(data: st.DataObject) -> None:
    rows = [(s, d, 1, 1) for s, d, _, _ in pool_rows(data.draw, 1)]
    run = trial(trace_of(rows), fleet(1, 1), rules_of("srtf"))
    assert [int(e) for e in ended_s(run)] == srtf_plainly(rows)
    assert run.lost_ms.sum() == 0


def test_who_had_least_goes_first_and_falls_behind_with_what_it_gets() -> None:
    """Steps of Tiresias: after 3,250 device-seconds a job makes room for one that had less, and goes on after it."""
    run = trial(trace_of([(0, 5000, 1, 4), (1000, 700, 1, 4)]), fleet(1), rules_of("las"))
    assert (started_s(run), ended_s(run)) == ([0, 1000], [5700, 1700])
    assert run.preemptions.tolist() == [1, 0]
    early = trial(trace_of([(0, 5000, 1, 4), (500, 700, 1, 4)]), fleet(1), rules_of("las"))
    assert (started_s(early), ended_s(early)) == ([0, 812.5], [5700, 1512.5])  # when the first has had its share of the step
    both = trial(trace_of([(0, 5000, 1, 4), (1000, 2000, 1, 4)]), fleet(1), rules_of("las"))
    assert ended_s(both) == [7000, 6500]  # at 7,200 device-seconds the second falls behind the first, until that falls too


def test_the_least_expected_goes_first_by_what_ended_before() -> None:
    """QSSF: nobody knows the run time of the fourth; its user's jobs were long, so the fifth passes it."""
    rows = [(0, 50, 1, 4), (50, 5, 1, 4), (55, 20, 1, 4), (56, 1, 1, 4), (57, 9, 1, 4)]
    run = trial(trace_of(rows, user=[0, 1, 2, 0, 1]), fleet(1), rules_of("qssf"))
    assert started_s(run) == [0, 50, 55, 84, 75]
    assert started_s(trial(trace_of(rows), fleet(1), rules_of("fifo"))) == [0, 50, 55, 75, 76]


def test_learned_wall_times_let_work_pass_that_would_not_otherwise() -> None:
    """A short job fits before a wide one's promised moment, but nobody named its wall time."""
    rows = [(0, 10, 1, 1), (20, 2000, 1, 2), (21, 10, 1, 4), (22, 10, 1, 1)]
    given = {"user": [0, 1, 2, 0], "limit_ms": [0, 4000_000, 60_000, 0]}
    named = trial(trace_of(rows, **given), fleet(1), rules_of("easy"))
    assert started_s(named) == [0, 20, 2020, 2030]
    learned = trial(trace_of(rows, **given), fleet(1), rules_of("easy"), assumptions=Assumptions(learned_limits=True))
    assert started_s(learned) == [0, 20, 2020, 22]
    assert learned.notes["assumed.limit_learned"] == "2"
    exact = Assumptions(learned_limits=True, exact_limits=True)
    assert started_s(trial(trace_of(rows, **given), fleet(1), rules_of("easy"), assumptions=exact)) == [0, 20, 2020, 22]


def test_who_lost_the_place_at_the_moment_of_getting_it_has_not_run() -> None:
    """At 20 s the shortest takes the large node. The longest sits on the small one until, in that moment, the third needs it."""
    pools = tuple(Pool(name=f"p{n}", nodes=1, accelerator="gpu", devices=n) for n in (8, 4))
    two = make_fleet("two", [Site(name="s", pools=pools)], kinds=(Kind(id="gpu"),))
    run = trial(trace_of([(0, 10, 1, 4), (5, 70, 1, 4), (20, 10, 1, 8), (20, 100, 1, 4)]), two, rules_of("srtf"))
    assert (started_s(run), run.preemptions.tolist()) == ([0, 5, 20, 30], [0, 1, 0, 0])


# -- the plane's own rules -----------------------------------------------------------------------------------------------------


def test_tenants_take_turns_by_what_they_used() -> None:
    rows = [(0, 100, 1, 4) for _ in range(8)]
    run = trial(trace_of(rows, tenant=[0] * 6 + [1] * 2, tenants=("many", "few")), fleet(1), rules_of("default"))
    assert started_s(run) == [0, 200, 400, 500, 600, 700, 100, 300]
    first = trial(trace_of(rows, tenant=[0] * 6 + [1] * 2, tenants=("many", "few")), fleet(1), rules_of("fifo"))
    assert started_s(first) == [100 * n for n in range(8)]


def test_urgent_work_takes_a_place_and_what_was_not_saved_is_done_again() -> None:
    rows = [(0, 1000, 1, 4), (350, 100, 1, 4)]
    given = {"priority": [200, 400], "preemptible": [True, True], "checkpoint_ms": [120_000, 0]}
    run = trial(trace_of(rows, **given), fleet(1), rules_of("default"))
    assert started_s(run) == [0, 350]
    assert ended_s(run) == [450 + 1000 - 240, 450]  # two checkpoints were written before 350 s
    assert (run.preemptions.tolist(), run.lost_ms.tolist()) == ([1, 0], [110_000, 0])
    young = trial(trace_of([(0, 1000, 1, 4), (30, 100, 1, 4)], **given), fleet(1), rules_of("default"))
    assert started_s(young) == [0, 60]  # nobody is preempted before having run for a minute
    firm = trial(trace_of(rows, **{**given, "preemptible": [False, True]}), fleet(1), rules_of("default"))
    assert started_s(firm) == [0, 1000]


def test_decisions_are_made_at_the_cadence_and_ends_are_exact() -> None:
    run = trial(trace_of([(1, 61, 1, 4), (2, 5, 1, 4)]), fleet(1), rules_of("fifo"), every_ms=10_000)
    assert (started_s(run), ended_s(run)) == ([10, 80], [71, 85])
    assert run.notes["cadence"] == "10 s"


# -- whatever the rules --------------------------------------------------------------------------------------------------------


@given(st.sampled_from(sorted(POLICIES)), st.data(), st.sampled_from((0, 7_000)))
@examples(80)
def test_work_is_done_once_and_whole(policy: str, data: st.DataObject, every_ms: int) -> None:
    rows = data.draw(logs(2))
    tenants = {"tenant": [n % 3 - 1 for n in range(len(rows))], "tenants": ("a", "b")}
    urgent = {"priority": [400 * (n % 4 == 3) for n in range(len(rows))], "preemptible": [True] * len(rows)}
    trace = trace_of(rows, **tenants, **urgent)
    run = trial(trace, fleet(2, sites=2), rules_of(policy), every_ms=every_ms)  # the run itself checks that nothing is overfull
    assert run.finished.all()
    long = run.duration_ms[run.stretches.job] > 0
    assert (run.stretches.until_ms - run.stretches.from_ms)[long].all(), "nobody is said to have run who has not"
    ran = np.bincount(run.stretches.job, run.stretches.until_ms - run.stretches.from_ms, len(run))
    assert ran.tolist() == (run.duration_ms + run.lost_ms).tolist()
    assert np.bincount(run.stretches.job, minlength=len(run)).tolist() == (run.preemptions + 1).tolist()
    again = trial(trace, fleet(2, sites=2), rules_of(policy), every_ms=every_ms)
    assert again.start_ms.tobytes() + again.end_ms.tobytes() == run.start_ms.tobytes() + run.end_ms.tobytes()
    assert not every_ms or (run.start_ms % every_ms == 0).all()


def test_what_can_never_start_is_told_and_holds_nobody_up() -> None:
    for policy in POLICIES:
        run = trial(trace_of([(0, 10, 3, 4), (1, 10, 2, 4)]), fleet(2), rules_of(policy))
        assert (run.start_ms.tolist(), run.finished.tolist()) == ([-1, 1000], [False, True])


def test_what_a_fleet_does_not_say_of_its_nodes_holds_nobody_up() -> None:
    pool = Pool(name="p", nodes=1, accelerator="gpu", devices=DEVICES)
    unknown = make_fleet("unknown", [Site(name="s", pools=(pool,))], kinds=(Kind(id="gpu"),))
    trace = make_trace(
        2, submit_ms=[0, 0], duration_ms=[1000, 1000], devices=[2, 2], cores_milli=[64_000] * 2, memory_mib=[1 << 20] * 2
    )
    assert trial(trace, unknown, rules_of("default")).start_ms.tolist() == [0, 0]


def test_a_trace_without_jobs_is_over_at_once() -> None:
    run = trial(trace_of([(0, 1, 1, 1)]).take(np.zeros(1, np.bool_)), fleet(1), rules_of("default"))
    assert (len(run), run.until_ms) == (0, 0)


@pytest.mark.parametrize(("compiled", "jobs"), [(False, 250), (True, 2500)])
def test_progress_is_told_on_the_way(compiled: bool, jobs: int) -> None:
    told: list[Progress] = []
    rows = [(10 * n, 5, 1, 4) for n in range(jobs)]
    trial(trace_of(rows), fleet(1), rules_of("fifo"), compiled=compiled, say=told.append)
    assert [(p.policy, p.jobs) for p in told] == [("fifo", jobs)] * 2
    assert [p.ended for p in told] == sorted(p.ended for p in told)
    assert 0 < told[0].ended < jobs


# -- power ---------------------------------------------------------------------------------------------------------------------


def powered(watts: int, windows: tuple[Window, ...] = (), every_ms: int = 0, nodes: int = 3) -> Fleet:
    """Nodes of 100 W with nothing to do, and 100 W more for each of their four devices; the meter shows 1.5 of it."""
    pool = Pool(name="p", nodes=nodes, accelerator="gpu", devices=DEVICES, cores_milli=1000, memory_mib=1000, idle_watts=100,
                node_watts=500)  # fmt: skip
    site = Site(name="s", pools=(pool,), pue_permille=1500, power_watts=watts, windows=windows, every_ms=every_ms)
    return make_fleet("powered", [site], kinds=(Kind(id="gpu"),))


def test_no_more_starts_than_a_site_may_draw() -> None:
    """Nine of twelve devices: 1.5 x (300 + 900) = 1,800 W."""
    run = trial(trace_of([(0, 10, 1, 1)] * 12), powered(1800), rules_of("default"))
    assert started_s(run) == [0.0] * 9 + [10.0] * 3
    assert run.notes["power"] == "limits kept"


def test_work_that_would_last_into_the_hours_of_less_power_waits_for_their_end() -> None:
    windows = (Window(from_ms=100_000, until_ms=200_000, watts=900),)
    rows = [(0, 50, 1, 4), (1, 150, 1, 4), (2, 30, 1, 1)]
    run = trial(trace_of(rows), powered(4000, windows), rules_of("easy"), assumptions=Assumptions(exact_limits=True))
    assert started_s(run) == [0.0, 200.0, 2.0]


def test_windows_that_repeat_are_waited_for_and_what_never_fits_under_them_ends_the_trial() -> None:
    windows = (Window(from_ms=10_000, until_ms=100_000, watts=600),)
    fits = trial(trace_of([(20, 5, 1, 2)]), powered(4000, windows, every_ms=100_000), rules_of("default"),
                 assumptions=Assumptions(exact_limits=True))  # fmt: skip
    assert started_s(fits) == [100.0]
    never = trial(trace_of([(20, 50, 1, 2), (500, 5, 1, 2)]), powered(4000, windows, every_ms=100_000), rules_of("default"),
                  assumptions=Assumptions(exact_limits=True))  # fmt: skip
    assert started_s(never) == [-0.001, 500.0]


@given(logs(3), st.sampled_from((900, 1050, 1500, 1800)), st.sampled_from(("default", "fifo", "easy", "srtf")))
@examples(40)
def test_at_no_moment_is_more_drawn_than_a_site_may(rows: list[Row], watts: int, policy: str) -> None:
    windows = (Window(from_ms=7_000, until_ms=15_000, watts=750),)
    given_fleet = powered(watts, windows)
    run = trial(trace_of(rows), given_fleet, rules_of(policy), assumptions=Assumptions(exact_limits=True))
    by_job = np.array([workers * devices for _, _, workers, devices in sorted(rows, key=lambda r: r[0])])
    for at in sorted({*run.start_ms[run.start_ms >= 0].tolist(), 7_000, 15_000}):
        on = (run.start_ms <= at) & (at < run.end_ms) & (run.start_ms >= 0)
        cap = 750 if 7_000 <= at < 15_000 else watts
        assert policy == "srtf" or 1.5 * (300 + 100 * int(by_job[on].sum())) <= cap


def test_a_trial_whose_plans_break_a_rule_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a broken plan would have led to is no result. Every hundredth plan is checked, from the first on."""
    stepping = import_module("dure.simulator.trial.trial")  # the package has a function of the same name

    def wrong(snapshot: Snapshot, *, reasons: bool) -> Plan:
        made = plan(snapshot, reasons=reasons)
        return replace(made, start_mask=made.start_mask * 0)

    monkeypatch.setattr(stepping, "plan", wrong)
    with pytest.raises(InvariantViolated, match=r"a plan of a trial failed its check: .* gets 0 devices"):
        trial(trace_of([(0, 10, 1, 1)]), fleet(1), rules_of("default"), compiled=False)
