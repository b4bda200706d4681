"""Types of different speed through the plane: what is held, enforced and quoted follows the limit on the type that a job gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dure.backends.fake import Script
from dure.controller import QuoteAnswer
from dure.controller.answers import job_change
from dure.controller.commands import policy as policies
from dure.controller.commands.policy import policy_fault
from dure.controller.commands.workloads import Submitted, submit
from dure.controller.drift import drift
from dure.controller.rates import hold_amounts, limit_on, quoted_won, shortest_ms
from dure.controller.rules import policy_of
from dure.ledger import rate_all
from dure.model.accelerators import Speed
from dure.model.reason import Reason, ReasonKind
from dure.model.workload import Attempt, Demand, Outcome, Workload, WorkloadSpec, WorkloadState
from dure.scheduler import Change, Snapshot
from dure.simulator.crash import Teller
from dure.simulator.world import World
from tests.simulation.stories import DAY_MS, MINUTE_MS, NOW_MS, POLICY, begin, node

BOTH = ("h100", "a100")
HALF = (Speed(accelerator="a100", milli=500),)


@pytest.fixture
def tell() -> Teller:
    world = World(now_ms=NOW_MS, policy=POLICY)
    site = world.add_site("north", [{**node("n1"), "accelerator": "a100"}, {**node("n2"), "up": False}])
    site.driver.script("job", Script(run_ms=50 * MINUTE_MS, term_ms=1000))
    site.driver.script("endless", Script(run_ms=DAY_MS, term_ms=1000))
    teller = Teller(world)
    begin(teller)
    return teller


def spec(speeds: tuple[Speed, ...] = HALF, types: tuple[str, ...] = BOTH, **changes: Any) -> WorkloadSpec:
    demand = Demand(devices=4, accelerators=types, speeds=speeds)
    wants: dict[str, Any] = {"name": "job", "limit_ms": 30 * MINUTE_MS, "demand": demand, **changes}
    return WorkloadSpec(command=("run",), **wants)


def asks(world: World, *given: Any, **changes: Any) -> Submitted | Reason:
    deed = world.deed()
    return world.store.transact(lambda tx: submit(tx, deed, project="lab", spec=spec(*given, **changes)))


def asked(world: World, *given: Any, **changes: Any) -> str:
    made = asks(world, *given, **changes)
    assert isinstance(made, Submitted), made
    return made.ids[0]


def attempt_of(world: World, id: str) -> Attempt:
    (found,) = world.store.read(lambda reader: reader.find(Attempt, {"workload": id}))
    return found


def snapshot(world: World) -> Snapshot:
    world.settle()
    view = world.controller.view()
    assert view is not None
    return view.snapshot


def measures(world: World, **milli: int) -> None:
    speeds = tuple(Speed(accelerator=type_, milli=each) for type_, each in milli.items())
    deed = world.deed()
    policy = replace(world.store.read(policy_of), speeds=speeds)
    made = world.store.transact(lambda tx: policies.write_policy(tx, deed, policy=policy))
    assert not isinstance(made, Reason)


def test_a_slower_type_has_a_longer_limit_that_is_held_for_and_enforced(tell: Teller) -> None:
    world = tell.world
    id, endless = asked(world), asked(world, name="endless")
    world.settle()
    attempt = attempt_of(world, id)
    assert (attempt.accelerator, attempt.limit_ms) == ("a100", 60 * MINUTE_MS)
    whole = rate_all(
        POLICY, accelerator="a100", workers=1, cores_milli=1000, memory_mib=512, devices=4, limit_ms=60 * MINUTE_MS,
        grace_ms=10_000, preemptible=True, priority="normal",
    )  # fmt: skip
    assert attempt.held == whole[0] == hold_amounts(POLICY, spec(), "a100")[0]
    (record,) = world.sites["north"].driver._records.values()
    assert record.order.limit_ms == 60 * MINUTE_MS
    world.advance(NOW_MS + 3 * 60 * MINUTE_MS)
    assert attempt_of(world, id).outcome == Outcome.SUCCEEDED, "fifty minutes are within the limit there"
    ended = attempt_of(world, endless)
    assert ended.outcome == Outcome.TIMED_OUT and 60 * MINUTE_MS <= ended.evidence.run_ms <= 60 * MINUTE_MS + 10_000
    memory = world.controller._memory
    assert memory is not None
    assert world.store.read(lambda reader: drift(reader, memory.mirror, memory.columns, world.clock.ms, 1)) == ""


def test_the_columns_of_a_snapshot_tell_the_limit_where_it_is_another(tell: Teller) -> None:
    tell.world.sites["north"].link.down = True
    tell.world.clock.ms += 2 * MINUTE_MS
    for speeds in ((), HALF, ()):
        asked(tell.world, speeds)
    s = snapshot(tell.world)
    minute = MINUTE_MS
    assert s.alternatives.limit_ms.tolist() == [0, 0, 0, 60 * minute + 10_000, 0, 0] and s.pending.shape.tolist() == [0, 1, 0]
    assert s.pending.grace_ms.tolist() == [10_000] * 3
    measures(tell.world, h100=900, a100=300)
    s = snapshot(tell.world)
    assert s.alternatives.limit_ms.tolist() == [0, 90 * minute + 10_000, 0, 60 * minute + 10_000, 0, 90 * minute + 10_000]


def test_speeds_of_a_job_go_before_those_of_the_policy_which_want_several_types_measured() -> None:
    policy = replace(POLICY, speeds=(Speed(accelerator="h100", milli=900), Speed(accelerator="a100", milli=300)))
    minutes = {"a100": 60, "h100": 30}
    for type_, least in minutes.items():
        assert limit_on(policy, spec(), type_) == least * MINUTE_MS
    assert limit_on(policy, spec(()), "a100") == 90 * MINUTE_MS and limit_on(POLICY, spec(()), "a100") == 30 * MINUTE_MS
    assert limit_on(policy, spec((), ("a100", "h100")), "h100") == 10 * MINUTE_MS
    assert limit_on(policy, spec((), ("a100",)), "a100") == limit_on(policy, spec((), ()), "a100") == 30 * MINUTE_MS
    assert limit_on(policy, spec(HALF, (*BOTH, "npu")), "npu") == 30 * MINUTE_MS, "it has measured, and not that"
    fast = (Speed(accelerator="a100", milli=100_000),)
    assert limit_on(policy, spec(fast), "a100") == 18_000
    assert limit_on(policy, spec(fast, priority="urgent"), "a100") == POLICY.min_run_ms
    assert shortest_ms(policy, spec(fast)) == 28_000 and shortest_ms(policy, spec((), ())) == 30 * MINUTE_MS + 10_000
    assert quoted_won(POLICY, spec()) == hold_amounts(POLICY, spec(), "a100")[0]


@pytest.mark.parametrize(
    ("speeds", "field", "problem"),
    [
        ((Speed(accelerator="npu", milli=500),), "resources.speeds", "unknown_value"),
        ((Speed(accelerator="h100", milli=500),), "resources.speeds", "contradiction"),
        ((Speed(accelerator="a100", milli=0),), "resources.speeds.a100", "too_small"),
        ((Speed(accelerator="a100", milli=100_001),), "resources.speeds.a100", "too_large"),
    ],
)
def test_a_wrong_speed_is_named(tell: Teller, speeds: tuple[Speed, ...], field: str, problem: str) -> None:
    refused = asks(tell.world, speeds)
    assert isinstance(refused, Reason)
    assert (refused.kind, refused.facts["field"], refused.facts["problem"]) == (ReasonKind.BAD_FIELD, field, problem)


def test_that_the_first_is_as_fast_as_itself_may_be_said(tell: Teller) -> None:
    asked(tell.world, (Speed(accelerator="h100", milli=1000), *HALF))


def test_a_deadline_is_missed_when_not_even_the_fastest_type_could_keep_it(tell: Teller) -> None:
    world, twice = tell.world, (Speed(accelerator="a100", milli=2000),)
    refused = asks(world, twice, deadline_ms=NOW_MS + 15 * MINUTE_MS + 9_999)
    assert isinstance(refused, Reason) and refused.facts["field"] == "deadline"
    assert isinstance(asks(world, (), deadline_ms=NOW_MS + 16 * MINUTE_MS), Reason)
    first = asked(world, name="endless", limit_ms=60 * MINUTE_MS, preemptible=False)
    world.settle()
    id = asked(world, twice, deadline_ms=NOW_MS + 16 * MINUTE_MS)
    world.advance(NOW_MS + 2 * MINUTE_MS)
    late = world.store.read(lambda reader: reader.get(Workload, id))
    assert late is not None and late.state == WorkloadState.FAILED
    assert late.reason["kind"] == ReasonKind.TOO_LATE and late.reason["facts"]["limit_ms"] == 15 * MINUTE_MS + 10_000
    assert attempt_of(world, first).accelerator == "a100"


def test_a_policy_that_measures_moves_the_last_moment_of_those_that_wait(tell: Teller) -> None:
    world = tell.world
    asked(world, name="endless", preemptible=False)
    world.settle()
    id = asked(world, (), deadline_ms=NOW_MS + 31 * MINUTE_MS)
    measures(world, h100=1, a100=3)
    world.advance(NOW_MS + 5 * MINUTE_MS)
    waits = world.store.read(lambda reader: reader.get(Workload, id))
    assert waits is not None and waits.state == WorkloadState.WAITING


def test_a_quote_tells_the_limit_and_the_hold_of_each_type(tell: Teller) -> None:
    tell.world.settle()
    answer = tell.world.controller.quote("lab", spec())
    assert isinstance(answer, QuoteAnswer)
    assert answer.limit_ms_by_accelerator == {"h100": 30 * MINUTE_MS, "a100": 60 * MINUTE_MS}
    assert {a: hold["KRW"] for a, hold in answer.hold.items()} == {a: hold_amounts(POLICY, spec(), a)[0] for a in BOTH}
    assert answer.starts_now and answer.limit_ms == 30 * MINUTE_MS


def test_other_types_take_their_speeds_along() -> None:
    assert job_change(Change(accelerators=("npu",)), spec()) == {"accelerators": ["npu"], "speeds": None}
    assert job_change(Change(accelerators=("npu",)), spec(())) == {"accelerators": ["npu"]}


@pytest.mark.parametrize(
    ("speeds", "told"),
    [
        ((*HALF, *HALF), "speeds.accelerator duplicate"),
        ((Speed(accelerator="a100", milli=0),), "speeds.milli too_small"),
        ((Speed(accelerator="a100", milli=100_001),), "speeds.milli too_large"),
        (HALF, ""),
    ],
)
def test_speeds_of_a_policy_are_checked(speeds: tuple[Speed, ...], told: str) -> None:
    found = policy_fault(replace(POLICY, speeds=speeds))
    assert ("" if found is None else f"{found.facts['field']} {found.facts['problem']}") == told


def test_own_speeds_lead_no_further_than_anybody_may_ask() -> None:
    """Else who says that a type is a thousandth as fast has a limit of years there."""
    slow = (Speed(accelerator="a100", milli=1),)
    assert limit_on(POLICY, spec(slow), "a100") == POLICY.limit_ms_max
    longest = spec(slow, limit_ms=POLICY.limit_ms_max)
    assert limit_on(POLICY, longest, "a100") == limit_on(POLICY, longest, "h100") == POLICY.limit_ms_max
    measured = replace(POLICY, speeds=(Speed(accelerator="h100", milli=1000), *slow))  # the operator's own word
    assert limit_on(measured, spec(()), "a100") == 1000 * 30 * MINUTE_MS
