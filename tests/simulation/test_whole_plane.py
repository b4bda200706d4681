"""The whole plane and the trial make the same decisions, and what a plane does besides is all there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fgd import TRACES
from bench.policies import philly_pool
from dure.controller import controller as looping
from dure.controller import verify_audit, verify_store_books
from dure.controller.drift import drift
from dure.errors import ConfigError, InvariantViolated
from dure.ledger.carry import Settlement
from dure.model.event import Event
from dure.model.funding import Transfer, TransferKind
from dure.model.policy import TurnOrder
from dure.model.workload import Attempt, Workload, WorkloadState
from dure.scheduler import check, plan
from dure.simulator.plane import refusal, whole_plane
from dure.simulator.plane.farm import Founded, site_id
from dure.simulator.plane.whole import ZERO_MS, WholePlane
from dure.simulator.report import Run
from dure.simulator.traces import Workload as Made
from dure.simulator.traces import national
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site, Window
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import Trace, make_trace
from dure.simulator.trial import POLICIES, Assumptions, Progress, Rules, rules_of, trial
from dure.simulator.trial.asks import asks_of
from dure.simulator.trial.envelopes import Envelopes
from dure.simulator.trial.rules import Order
from dure.simulator.trial.state import Farm, Live
from dure.simulator.trial.trial import _Trial
from tests.builders.worlds import examples

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


# -- worlds --------------------------------------------------------------------------------------------------------------------


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """A site or three, of pools of two types or none."""
    sites = []
    for number in range(draw(st.integers(1, 3))):
        pools = [
            Pool(
                name=f"p{n}", nodes=draw(st.integers(1, 2)), accelerator=kind,
                devices=draw(st.sampled_from((2, 4))) if kind else 0,
                cores_milli=draw(st.sampled_from((4000, 8000))), memory_mib=8192,
                block=draw(st.sampled_from((0, 1))),
            )
            for n, kind in enumerate(draw(st.lists(st.sampled_from(("gpu-a", "gpu-b", "")), min_size=1, max_size=2)))
        ]  # fmt: skip
        sites.append(Site(name=f"site{number}", region=f"KR-{number + 11}", pools=tuple(pools)))
    return make_fleet("few", sites, kinds=(Kind(id="gpu-a"), Kind(id="gpu-b")))


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Jobs of three tenants and of nobody: wide and narrow, urgent and background, some that save work, some of no length."""
    count = draw(st.integers(1, 14))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=count, max_size=count))

    submit, devices = sorted(column(st.integers(0, 200))), column(st.sampled_from((0, 1, 2, 4)))
    return make_trace(
        count, submit_ms=[1000 * s for s in submit],
        duration_ms=[1000 * d for d in column(st.sampled_from((0, 1, 7, 30, 90, 200)))],
        workers=column(st.sampled_from((1, 1, 1, 2, 3))), block=column(st.booleans()), devices=devices,
        share_milli=[0 if d else s for d, s in zip(devices, column(st.sampled_from((0, 0, 300, 500))), strict=True)],
        cores_milli=column(st.sampled_from((-1, 0, 1000, 3000))), memory_mib=column(st.sampled_from((-1, 512, 4096))),
        tenant=column(st.integers(-1, 2)), tenants=("a", "b", "c"),
        priority=column(st.sampled_from((0, 200, 200, 400))), preemptible=column(st.booleans()),
        checkpoint_ms=column(st.sampled_from((0, 10_000, 45_000))),
        limit_ms=column(st.sampled_from((0, 20_000, 60_000, 300_000))),
        accelerator=column(st.sampled_from((-1, -1, 0, 1, 2))), accelerators=(("gpu-a",), ("gpu-b", "gpu-a"), ("gpu-none",)),
        residency=column(st.sampled_from((-1, -1, 0, 1))), residencies=(("KR-11",), ("KR-12", "KR-11")),
        user=column(st.integers(0, 1)), users=("u", "v"),
    )  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    packings = ("fgd", "gpu-clustering", "gpu-packing")
    given = rules_of(draw(st.sampled_from(("default", "default", "default", *packings, "fifo", "easy", "best-effort-fifo"))))
    if given.order != Order.FAIR:
        return given
    turns = draw(st.sampled_from(tuple(TurnOrder)))
    return replace(
        given, promises=draw(st.sampled_from((0, 1, 16))), depth=draw(st.sampled_from((0, 1, 1000))),
        min_run_ms=draw(st.sampled_from((0, 20_000, 60_000))), moves=draw(st.booleans()), turns=turns,
    )  # fmt: skip


def decided(run: Run) -> dict[str, Any]:
    """All that two ways of running have to agree on."""
    part = run.stretches
    ran = np.array([part.job, part.from_ms, part.until_ms, part.site, part.accelerator, part.held_milli])
    columns = (run.start_ms, run.end_ms, run.preemptions, run.lost_ms)
    return {
        "columns": [column.tolist() for column in columns], "until": run.until_ms, "steps": run.notes["steps"],
        "ran": ran[:, np.lexsort(ran[::-1])].T.tolist(),
    }  # fmt: skip


# -- the same decisions --------------------------------------------------------------------------------------------------------


@given(traces(), fleets(), rules(), st.sampled_from((0, 0, 7_000)))
@examples(150)
def test_the_whole_plane_decides_as_a_trial(trace: Trace, fleet: Fleet, rules: Rules, every_ms: int) -> None:
    """The same jobs at the same moments at the same sites, with the same losses, in as many steps, for the same money."""
    plane = whole_plane(trace, fleet, rules, every_ms=every_ms)
    quick = trial(trace, fleet, rules, every_ms=every_ms, charges=True)
    assert decided(plane) == decided(quick)
    assert int(plane.won.sum()) == int(quick.won.sum())


@given(traces(), fleets())
@examples(40)
def test_what_is_known_of_run_times_changes_nothing_of_that(trace: Trace, fleet: Fleet) -> None:
    for given_ in (Assumptions(exact_limits=True), Assumptions(learned_limits=True)):
        both = [way(trace, fleet, rules_of("default"), assumptions=given_) for way in (whole_plane, trial)]
        assert decided(both[0]) == decided(both[1])


@given(traces(), fleets(), st.sampled_from((0, 7_000)), st.integers(1, 4))
@examples(40)
def test_nor_do_limits_of_power(trace: Trace, fleet: Fleet, every_ms: int, kilowatts: int) -> None:
    """Two windows in every hundred seconds, in which the first site may draw less. A trial looks ahead for the longest wall time,
    a plane is told more: here both see as far."""
    windows = (Window(from_ms=20_000, until_ms=40_000, watts=900), Window(from_ms=60_000, until_ms=70_000, watts=500))
    given_ = Assumptions(limit_ms=600_000)

    def capped(site: Site) -> Site:
        pools = tuple(replace(pool, idle_watts=50, node_watts=50 + 300 * max(pool.devices, 1)) for pool in site.pools)
        return replace(site, pools=pools, power_watts=1000 * kilowatts, windows=windows, every_ms=100_000)

    fleet = replace(fleet, sites=(capped(fleet.sites[0]), *fleet.sites[1:]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dure.simulator.trial.state.Envelopes", lambda fleet, ahead_ms: Envelopes(fleet, 10 * ahead_ms))
        both = [way(trace, fleet, rules_of("default"), every_ms=every_ms, assumptions=given_) for way in (whole_plane, trial)]
    assert decided(both[0]) == decided(both[1])


stepping = looping.stepping
Seat = tuple[int, int, tuple[tuple[int, int], ...]]  # job, moment, and by worker: node, devices as a mask


@contextmanager
def seats_of_trials() -> Iterator[list[Seat]]:
    """Every place that is given in a trial."""
    given_, add = list[Seat](), Live.add

    def noted(live: Live, more: Live) -> None:
        behind = np.cumsum(more.workers)
        for row, each in enumerate(more.job.tolist()):
            run = slice(int(behind[row] - more.workers[row]), int(behind[row]))
            workers = tuple(zip(more.node[run].tolist(), more.mask[run].tolist(), strict=True))
            given_.append((each, int(more.started_ms[row]), workers))
        add(live, more)

    Live.add = noted  # type: ignore[method-assign]
    try:
        yield given_
    finally:
        Live.add = add  # type: ignore[method-assign]


def made_plane(trace: Trace, fleet: Fleet, rules: Rules) -> WholePlane:
    farm = Farm(trace, fleet, asks_of(trace, fleet, Assumptions()), rules)
    return WholePlane(Founded(trace, fleet, farm, rules), learns=False)


def seats_of_plane(trace: Trace, fleet: Fleet, rules: Rules) -> list[Seat]:
    plane = made_plane(trace, fleet, rules)
    plane.run(0, lambda _: None)
    sites = plane.founded.farm.nodes.site.tolist()
    rows = {f"{site_id(s)}/n{row - sites.index(s):06d}": row for row, s in enumerate(sites)}
    return [
        (plane.rows[a.workload], a.placed_ms - ZERO_MS, tuple((rows[w.node], sum(1 << d for d in w.devices)) for w in a.workers))
        for a in plane.controller.store.read(lambda r: r.find(Attempt))
    ]


@given(traces(), fleets())
@examples(40)
def test_down_to_the_node_and_the_device(trace: Trace, fleet: Fleet) -> None:
    with seats_of_trials() as told:
        trial(trace, fleet, rules_of("default"), compiled=False)
    assert seats_of_plane(trace, fleet, rules_of("default")) == told


def test_what_was_learned_since_the_last_decision_is_the_one_difference() -> None:
    """The second comes at 11 s, the first ends at 12 s, it is decided at 20 s. A plane gives the second a wall time by what had
    ended when it came, which is nothing; a trial, at 20 s, hears of all ends before all arrivals."""
    trace = make_trace(
        3, submit_ms=[0, 11_000, 13_000], duration_ms=[12_000, 1_000, 1_000], devices=[1, 1, 1], tenant=[0] * 3, tenants=("a",)
    )
    _, fleet = crowd()
    common, rules = Assumptions().limit_ms, rules_of("default")
    planes = {every_ms: WholePlane(made_plane(trace, fleet, rules).founded, learns=True) for every_ms in (0, 10_000)}
    trials = {every_ms: _Trial(trace, fleet, asks_of(trace, fleet, Assumptions()), rules, learns=True) for every_ms in planes}
    for every_ms, plane in planes.items():
        plane.run(every_ms, lambda _: None)
        trials[every_ms].run(every_ms, lambda _: None)
    limits = [[ran.farm.limit_ms.tolist() for ran in (plane.founded, trials[n])] for n, plane in planes.items()]
    assert limits == [[[common, common, 600_000]] * 2, [[common, common, 600_000], [common, 600_000, 600_000]]]


# -- cuts of traces ------------------------------------------------------------------------------------------------------------


def both_ways(trace: Trace, fleet: Fleet, every_ms: int) -> Run:
    given_ = Assumptions(whole_shares=True)
    run = whole_plane(trace, fleet, rules_of("default"), every_ms=every_ms, assumptions=given_)
    assert decided(run) == decided(trial(trace, fleet, rules_of("default"), every_ms=every_ms, assumptions=given_))
    return run


@pytest.mark.parametrize("every_ms", [0, 60_000])
def test_a_made_workload_is_decided_alike(every_ms: int) -> None:
    """By eight tenants on two sites that are too small for it; every tenth job is urgent, and all others may be preempted."""
    pool = Pool(name="h", nodes=2, accelerator="h100", devices=8)
    few = make_fleet("few", [Site(name=f"s{n}", region=region, pools=(pool,)) for n, region in enumerate(("KR-11", "KR-26"))])
    made = national(np.random.default_rng(3), few, Made(jobs=250, tenants=8, load=1.3))
    urgent = np.arange(len(made)) % 10 == 0
    trace = replace(made, preemptible=~urgent, priority=np.where(urgent, 400, 200), checkpoint_ms=np.full(len(made), 600_000))
    run = both_ways(trace, few, every_ms)
    assert run.preemptions.sum() > 0 and run.finished.all(), "somebody's place was taken"


@pytest.mark.parametrize("every_ms", [0, 10_000])
def test_philly_is_decided_alike(every_ms: int) -> None:
    if not (TRACES / "philly_jobs.parquet").is_file():
        pytest.skip(f"the Philly trace is not in {TRACES}; name the folder above `traces` in DURE_SHARED")
    trace, fleet = philly_pool()
    run = both_ways(trace.take(np.arange(3000, 3400)).rebased(), fleet, every_ms)
    assert run.finished.all()


# -- everything that a plane does ----------------------------------------------------------------------------------------------


def crowd() -> tuple[Trace, Fleet]:
    """Four devices; the second job is urgent and takes a place of the first, which has saved its work twice."""
    trace = make_trace(
        3, submit_ms=[0, 130_000, 130_000], duration_ms=[300_000, 60_000, 50_000], devices=[4, 4, 4], tenant=[0, 1, 1],
        tenants=("a", "b"), priority=[200, 400, 0], preemptible=[True, False, False], checkpoint_ms=[50_000, 0, 0],
    )  # fmt: skip
    pool = Pool(name="p", nodes=1, accelerator="gpu-a", devices=4, cores_milli=8000, memory_mib=8192)
    return trace, make_fleet("one", [Site(name="s", pools=(pool,))], kinds=(Kind(id="gpu-a"),))


def test_events_holds_charges_and_refunds_are_those_of_a_plane() -> None:
    trace, fleet = crowd()
    plane = made_plane(trace, fleet, rules_of("default"))
    plane.run(0, lambda _: None)
    read = plane.controller.store.read
    assert {w.state for w in read(lambda r: r.find(Workload))} == {WorkloadState.SUCCEEDED}
    kinds = [e.kind for e in read(lambda r: r.find(Event)) if e.kind.split(".")[0] in ("workload", "attempt")]
    assert {k: kinds.count(k) for k in kinds} == {
        "workload.submitted": 3, "workload.placed": 4, "attempt.running": 4, "attempt.stopping": 1, "attempt.launching": 1,
        "attempt.checkpointed": 1, "attempt.ended": 4,
    }  # fmt: skip
    moved = [t.kind for t in read(lambda r: r.find(Transfer)) if t.attempt]
    assert {k: moved.count(k) for k in moved} == {TransferKind.HOLD: 4, TransferKind.SETTLE: 4, TransferKind.REFUND: 1}
    audit, books = read(verify_audit), read(verify_store_books)
    assert audit.fault is None and not audit.unsealed and not books.findings and not books.unproved


def test_a_run_tells_what_everybody_paid() -> None:
    """Won of the device, a core's thousandth and a MiB: what was preempted pays for what it had saved, and for the rest later."""
    run = whole_plane(*crowd(), rules_of("default"))
    assert run.preemptions.tolist() == [1, 0, 0] and run.lost_ms.tolist() == [30_000, 0, 0]
    assert run.won.tolist() == [960, 480, 100]  # 300 s, 60 s and 50 s of four devices; preemptible 0.8, urgent 2, background 0.5
    assert run.notes["way"] == "whole plane" and int(run.notes["events"]) > 20


def test_books_that_do_not_hold_are_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dure.controller.money.settle_exact", lambda *given_: Settlement(0, 0, 7))
    with pytest.raises(InvariantViolated, match="the books do not hold"):
        whole_plane(*crowd(), rules_of("default"))


@given(traces(), fleets(), rules())
@examples(30)
def test_what_steps_keep_between_them_is_what_they_would_read_anew(trace: Trace, fleet: Fleet, rules: Rules) -> None:
    """Column for column, at every step: the step itself refuses to go on otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dure.simulator.plane.whole.DRIFT_EVERY_MS", 1)
        seen = []
        patch.setattr(stepping, "drift", lambda *given_: seen.append(drift(*given_)) or seen[-1])
        whole_plane(trace, fleet, rules)
    assert set(seen) <= {"", None}


def test_where_nobody_waits_the_plan_is_the_plan_of_that() -> None:
    trace, fleet = crowd()
    plane = made_plane(trace, fleet, rules_of("default"))
    snapshot = plane.controller.step().snapshot  # type: ignore[union-attr]
    made = plan(snapshot)
    for field in fields(stepping.NOTHING):
        ours, theirs = getattr(stepping.NOTHING, field.name), getattr(made, field.name)
        assert (ours.dtype, ours.shape, ours.tolist()) == (theirs.dtype, theirs.shape, theirs.tolist())
    assert check(snapshot, stepping.NOTHING) == ()


# -- what there is not ---------------------------------------------------------------------------------------------------------


def test_policies_that_no_plane_has_are_refused_with_a_remedy() -> None:
    refused = [name for name, each in POLICIES.items() if refusal(each)]
    assert refused == ["domestic-first", "low-carbon", "cheap-power", "sjf", "qssf", "srtf", "las"]
    for name in refused:
        with pytest.raises(ConfigError, match=rf"policy: '{name}' .* Choose .*default.*without the whole plane\."):
            whole_plane(*crowd(), rules_of(name))


def test_jobs_that_the_plane_refuses_never_start_and_are_counted() -> None:
    kinds = {"accelerator": [0, -1], "accelerators": (("none",),)}
    trace = make_trace(2, submit_ms=[0, 1000], duration_ms=[1000, 1000], devices=[1, 1], **kinds)
    run = whole_plane(trace, crowd()[1], rules_of("default"))
    assert (run.start_ms.tolist(), run.notes["refused"]) == ([-1, 1000], "1")


def test_a_cadence_is_not_negative() -> None:
    with pytest.raises(InvariantViolated, match="cadence"):
        whole_plane(*crowd(), rules_of("default"), every_ms=-1)


def test_nothing_at_all_is_a_run_too() -> None:
    run = whole_plane(make_trace(0), crowd()[1], rules_of("default"))
    assert (len(run), run.notes["steps"]) == (0, "0")


def test_progress_is_told() -> None:
    told: list[Progress] = []
    count = 150
    trace = make_trace(count, submit_ms=[10_000 * n for n in range(count)], duration_ms=[1000] * count, devices=[1] * count)
    whole_plane(trace, crowd()[1], rules_of("default"), say=told.append)
    assert [(p.policy, p.jobs, p.ended) for p in told] == [("default", count, 100)]
