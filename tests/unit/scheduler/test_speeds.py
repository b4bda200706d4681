"""Limits that differ by type, by value: what starts, what is promised, what is told, and what a change makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dure.model.accelerators import Speed, exchange, exchanged_ms
from dure.model.policy import Policy, policy_changes
from dure.model.reason import Reason, ReasonKind
from dure.scheduler import (
    Change,
    Hypothetical,
    NextKind,
    Snapshot,
    apply_change,
    check,
    decode,
    encode,
    outlook,
    plan,
    reason_of,
    why,
    with_hypothetical,
)
from dure.scheduler.snapshot import freeze, limits_ms
from tests.builders.plans import both
from tests.builders.world import World
from tests.unit.scheduler.test_saved import opened, place_of, sealed

BOTH = ("h100", "a100")


def farm(h100: float = 0, a100: float = 0, **site: object) -> World:
    """A node of either type, taken for so many seconds."""
    world = World().site("s", **site)  # type: ignore[arg-type]
    for type_, ends in (("h100", h100), ("a100", a100)):
        world.node(type_, "s", cores=8, devices=1, accelerator=type_)
        if ends:
            world.attempt(f"on-{type_}", [(type_, 1)], ends=ends, preemptible=False)
    return world


def made(world: World) -> tuple[Snapshot, list[tuple[str, int]]]:
    """What the first that waits starts on, or is promised and when, in seconds. The plan is checked."""
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == ()
    alternatives = [*p.start_alternative.tolist(), *p.reserve_alternative.tolist()]
    moments = [0] * len(p.start_pending) + ((p.reserve_ms - s.now_ms) // 1000).tolist()
    names = [s.accelerators[s.alternatives.accelerator[a]] for a in alternatives]
    return s, list(zip(names, moments, strict=True))


def test_a_limit_lasts_as_long_as_the_same_work_takes_rounded_up_and_no_shorter_than_the_least() -> None:
    assert exchanged_ms(3_600_000, 1000, 450, 1000) == 8_000_000
    assert exchanged_ms(1_000_000, 1000, 3000, 1000) == 333_334
    assert exchanged_ms(60_000, 1000, 100_000, 30_000) == 30_000 and exchanged_ms(20_000, 1000, 100_000, 30_000) == 20_000
    table = (Speed(accelerator="h100", milli=2000), Speed(accelerator="a100", milli=900))
    assert exchange(table, "h100", "a100") == (2000, 900) and exchange(table, "a100", "h100") == (900, 2000)
    assert [exchange(table, *pair) for pair in (("h100", "h100"), ("h100", "npu"), ("npu", "a100"))] == [(1, 1)] * 3


def test_it_starts_on_the_first_that_has_room_however_slow() -> None:
    world = farm(h100=60).pending("job", devices=1, accelerators=BOTH, limit=600, limits=(0, 1200))
    assert made(world)[1] == [("a100", 0)]


def test_a_promise_is_of_the_earliest_end_and_among_equals_of_the_first_alternative() -> None:
    asks = {"devices": 1, "accelerators": BOTH, "limit": 600}
    assert made(farm(100, 50).pending("job", **asks))[1] == [("a100", 50)], "as fast: the earliest start"  # type: ignore[arg-type]
    assert made(farm(100, 50).pending("job", limits=(0, 1200), **asks))[1] == [("h100", 100)]  # type: ignore[arg-type]
    assert made(farm(100, 50).pending("job", limits=(0, 650), **asks))[1] == [("h100", 100)]  # type: ignore[arg-type]
    assert made(farm(100, 400).pending("job", limits=(0, 200), **asks))[1] == [("a100", 400)]  # type: ignore[arg-type]
    assert made(farm(100, 600).pending("job", limits=(0, 200), **asks))[1] == [("h100", 100)]  # type: ignore[arg-type]


def test_backfill_goes_by_the_limit_of_the_type() -> None:
    world = World().site("s").node("n0", "s", cores=8, devices=2, accelerator="a100")
    world.attempt("a", [("n0", 1)], ends=1000, preemptible=False)
    world.pending("wide", devices=2, submitted=-9).node("n1", "s", cores=1, devices=1, accelerator="h100", usable=False)
    slow = {"devices": 1, "accelerators": BOTH, "limit": 600, "submitted": -8}
    assert made(world.pending("job", limits=(0, 999), **slow))[1] == [("a100", 0), ("a100", 1000)]  # type: ignore[arg-type]
    world.waiting.pop()
    s, found = made(world.pending("job", limits=(0, 1001), **slow))  # type: ignore[arg-type]
    assert found[0] == ("a100", 1000)
    told = reason_of(s, both(s), 1)
    assert told == Reason.of(ReasonKind.WAITS_RESERVED, for_workload="wide", until_ms=s.now_ms + 1_000_000)


@pytest.mark.parametrize(("deadline", "gets"), [(1300, [("a100", 0)]), (1199, [("h100", 60)]), (659, [])])
def test_a_deadline_is_kept_by_the_limit_of_the_type(deadline: int, gets: list[tuple[str, int]]) -> None:
    asks = {"devices": 1, "accelerators": BOTH, "limit": 600, "limits": (0, 1200)}
    assert made(farm(h100=60).pending("job", deadline=deadline, **asks))[1] == gets  # type: ignore[arg-type]


@pytest.mark.parametrize("deadline", [1199, 659])
def test_room_where_it_would_be_late_is_none(deadline: int) -> None:
    """A slow type has room, but there it would be over behind its deadline; the fast one is what it waits for."""
    asks = {"devices": 1, "accelerators": BOTH, "limit": 600, "limits": (0, 1200)}
    s, _ = made(farm(h100=60).pending("job", deadline=deadline, **asks))  # type: ignore[arg-type]
    short = Reason.of(ReasonKind.WAITS_DEVICES, workers=1, workers_fit_now=0, wanted=1, free=0)
    p = plan(s)
    answer = why(s, p, 0)
    kinds = [reason.kind for _, reason in answer.sites]
    assert (reason_of(s, p, 0), answer.reasons[0], kinds) == (short, short, [short.kind])


def test_what_could_be_over_in_time_only_where_it_may_not_pay_is_too_late() -> None:
    world = farm().pending("job", devices=1, accelerators=BOTH, limit=600, limits=(0, 300), deadline=400, hold=(100, 101))
    s, found = made(world.award("lab", 100))
    reason, p = reason_of(s, plan(s), 0), plan(s)
    assert found == [] and reason is not None and reason.kind == ReasonKind.TOO_LATE
    answer = why(s, p, 0)
    assert answer.reasons[0].kind == ReasonKind.TOO_LATE and answer.sites[0][1].kind == ReasonKind.TOO_LATE


def test_an_elastic_gang_does_not_start_where_it_would_be_late() -> None:
    world = World().site("s", 3, cores=8, devices=1, accelerator="a100").node("h", "s", cores=8, devices=1, accelerator="h100")
    world.pending("job", workers=4, workers_min=1, devices=1, accelerators=("a100", "h100"), limit=600, limits=(0, 1200))
    assert made(world)[1] == [("a100", 0)]
    world.waiting[0] |= {"deadline_ms": world.now_ms + 1_000_000, "accelerators": ("none", "h100"), "limits_ms": [0, 1_200_000]}
    assert made(world)[1] == []
    world.waiting[0]["limits_ms"] = [0, 900_000]
    assert made(world)[1] == [("h100", 0)]


def test_too_late_is_by_the_shortest_limit() -> None:
    asks = {"devices": 1, "accelerators": BOTH, "limit": 600}
    s, found = made(farm(60, 60).pending("job", deadline=299, limits=(0, 300), **asks))  # type: ignore[arg-type]
    assert found == []
    too_late = Reason.of(ReasonKind.TOO_LATE, deadline_ms=s.now_ms + 299_000, limit_ms=300_000)
    p = plan(s)
    assert reason_of(s, p, 0) == too_late and too_late in why(s, p, 0).reasons
    s, found = made(farm(60, 60).pending("job", deadline=400, limits=(0, 300), **asks))  # type: ignore[arg-type]
    assert found == [("a100", 60)]
    event = why(s, plan(s), 0).next_event
    assert event is not None and event.subject == "on-a100"


def test_the_last_moment_for_a_deadline_is_that_of_the_fastest_type() -> None:
    world = farm(5000, 5000).pending("job", devices=1, accelerators=BOTH, limit=600, limits=(0, 300), deadline=1000)
    s, found = made(world)
    event = why(s, plan(s), 0).next_event
    assert found == [] and event is not None and event.kind is NextKind.DEADLINE_PASSES and event.at_ms == s.now_ms + 700_000


def test_maintenance_and_power_go_by_the_limit_of_the_type() -> None:
    asks = {"devices": 1, "accelerators": BOTH, "limit": 600, "limits": (0, 1200)}
    world = farm(h100=60)
    world.nodes[1]["closed"] = [(world.now_ms + 1_100_000, world.now_ms + 2_000_000)]
    s, found = made(world.pending("job", **asks))  # type: ignore[arg-type]
    assert found == [("h100", 60)]
    world.attempts.clear()
    world.nodes[0]["usable"] = False
    s, _ = made(world)
    assert reason_of(s, plan(s), 0) == Reason.of(
        ReasonKind.MAINTENANCE, from_ms=s.now_ms + 1_100_000, until_ms=s.now_ms + 2_000_000
    )
    capped = farm(power=[(-60, 10_000), (700, 0)])
    for node in capped.nodes:
        node["device_mw"] = 5_000
    assert made(capped.pending("job", accelerators=BOTH, devices=1, limit=600))[1] == [("h100", 0)]
    capped.waiting.clear()
    capped.nodes[0]["usable"] = False
    s, found = made(capped.pending("job", **asks))  # type: ignore[arg-type]
    told = reason_of(s, plan(s), 0)
    assert found == [] and told is not None and told.kind == ReasonKind.POWER_SHORT


def test_what_a_type_has_no_room_for_is_remembered_by_the_limit_there() -> None:
    """Who is slow there fails before the promise, who is fast does not: of one class, one behind the other."""
    world = World().site("s", 1, cores=8, devices=2, accelerator="a100")
    world.attempt("a", [("s/n0", 1)], ends=1000, preemptible=False).pending("wide", devices=2, submitted=-9999)
    for i, limit in enumerate((5000, 3000, 900)):
        world.pending(f"job{i}", devices=1, accelerators=("none", "a100"), limit=2000, limits=(0, limit))
    s = world.snapshot()
    p = both(s)
    assert [s.pending.ids[row] for row in p.start_pending.tolist()] == ["job2"] and check(s, p) == ()


def test_a_claim_lasts_as_long_as_the_limit_of_its_type() -> None:
    world = farm()
    for type_ in BOTH:
        world.attempt(f"low-{type_}", [(type_, 1)], priority="low", started=-900, ends=5000)
    world.pending("now", priority="urgent", devices=1, accelerators=BOTH, limit=600, limits=(0, 1200), deadline=5700)
    world.nodes[0]["usable"] = False
    assert made(world)[1] == [], "they may leave too late for the slow type"
    world.waiting[0]["deadline_ms"] = world.now_ms + 6_200_000
    assert made(world)[1] == [("a100", 0)]
    world.nodes[1]["closed"] = [(world.now_ms + 6_100_000, world.now_ms + 9_000_000)]
    assert made(world)[1] == []


def test_a_preemption_is_foretold_on_a_type_on_which_it_would_be_in_time() -> None:
    world = farm()
    world.attempt("low", [("a100", 1)], priority="low", started=-10, ends=5000)
    world.nodes[0]["usable"] = False
    world.pending("now", priority="urgent", devices=1, accelerators=BOTH, limit=600, limits=(0, 1200), deadline=9000)
    s, _ = made(world)
    event = why(s, plan(s), 0).next_event
    assert event is not None and event.kind is NextKind.PREEMPTION and event.subject == "low"
    world.waiting[0]["deadline_ms"] = world.now_ms + 1_240_000
    s, _ = made(world)
    event = why(s, plan(s), 0).next_event
    assert event is not None and (event.kind, event.at_ms) == (NextKind.DEADLINE_PASSES, s.now_ms + 640_000)


def test_a_project_is_charged_by_the_limit_of_the_type_that_it_got() -> None:
    world = World().site("s", 2, cores=8, devices=1, accelerator="a100").site("t", 1, cores=1)
    slow = {"devices": 1, "cores": 0, "accelerators": ("h100", "a100"), "limit": 100}
    world.pending("a", project="ant", limits=(0, 900), submitted=-9, **slow)  # type: ignore[arg-type]
    world.pending("b", project="bee", limits=(0, 300), submitted=-8, **slow)  # type: ignore[arg-type]
    world.pending("ants", project="ant", cores=1, sites=["t"], submitted=-2)
    world.pending("bees", project="bee", cores=1, sites=["t"], submitted=-1)
    s = world.snapshot()
    p = both(s)
    assert [s.pending.ids[row] for row in p.start_pending.tolist()] == ["a", "b", "bees"]


def test_another_limit_of_a_workload_is_another_on_each_type() -> None:
    world = farm().pending("job", devices=1, accelerators=BOTH, limit=610, grace=10, limits=(0, 1210), hold=(1000, 2000))
    s = world.snapshot()
    half = apply_change(s, 0, Change(limit_ms=310_000))
    assert limits_ms(half).tolist() == [310_000, 610_000]
    assert half.alternatives.hold[:, 0].tolist() == [509, 1009]
    rated = apply_change(s, 0, Change(limit_ms=310_000), lambda *given: (given[6], -1))
    assert rated.alternatives.hold[:, 0].tolist() == [310_000, 610_000]
    none = apply_change(s, 0, Change(limit_ms=5_000))
    assert limits_ms(none).tolist() == [5_000, 10_002], "what no job could ask for is still more than nothing"
    fast = farm().pending("job", devices=1, accelerators=BOTH, limit=600, limits=(0, 300), priority="urgent").snapshot()
    assert limits_ms(apply_change(fast, 0, Change(limit_ms=100_000))).tolist() == [100_000, 60_000], "the run that is guaranteed"


def test_other_types_are_measured_by_the_policy_alone() -> None:
    speeds = (Speed(accelerator="h100", milli=1000), Speed(accelerator="a100", milli=500))
    world = farm().pending("job", devices=1, accelerators=BOTH, limit=610, grace=10, limits=(0, 5000))
    world.policy = replace(world.policy, speeds=speeds)
    s = world.snapshot()

    def rate(accelerator: str, *demand: object) -> tuple[int, ...]:
        return (int(str(demand[5])), -1)

    assert limits_ms(apply_change(s, 0, Change(accelerators=("a100", "h100")), rate)).tolist() == [610_000, 310_000]
    one = apply_change(s, 0, Change(accelerators=("a100",)), rate)
    assert limits_ms(one).tolist() == [610_000] and one.alternatives.hold[:, 0].tolist() == [610_000]


def test_a_question_goes_by_the_limit_of_each_type() -> None:
    extra = Hypothetical(
        id="~", project=0, priority=200, workers=1, cores_milli=1000, memory_mib=512, devices=1, limit_ms=600_000,
        alternatives=((1, (0, -1)), (0, (0, -1))), limits_ms=(0, 1_200_000), submitted_ms=0,
    )  # fmt: skip
    s, row = with_hypothetical(farm(100, 50).project("lab").snapshot(), extra)
    assert outlook(s, plan(s), row).promised_ms == s.now_ms + 100_000


def test_what_a_policy_measures_is_told_where_it_changes() -> None:
    speeds = (Speed(accelerator="a100", milli=500),)
    changes = policy_changes(Policy(), replace(Policy(), speeds=speeds))
    assert [(c.field, c.old, c.new) for c in changes] == [("speeds.a100.milli", None, 500)]


def test_a_promise_on_another_type_than_its_own_is_named() -> None:
    s = farm(100, 50).pending("job", devices=1, accelerators=BOTH).snapshot()
    p = plan(s)
    wrong = replace(p, reserve_alternative=1 - p.reserve_alternative)
    assert check(s, wrong) == ("job is promised places with another accelerator",)
    late = freeze(replace(s, pending=replace(s.pending, deadline_ms=np.array([s.now_ms + 3_650_000]))))
    assert check(late, p) == ()
    slow = freeze(replace(late, alternatives=replace(late.alternatives, limit_ms=np.array([0, 3_600_001]))))
    assert check(slow, p) == ("job is promised a moment that is too late for its deadline",)


def test_a_snapshot_that_was_saved_before_there_were_any_has_one_limit_for_all() -> None:
    s = farm().pending("job", devices=1, accelerators=BOTH).snapshot()
    header, body = opened(encode(s))
    for group, name in (("alternatives", "limit_ms"), ("pending", "grace_ms")):
        columns = header["fields"][group]["fields"]
        at = place_of(header["fields"], columns[name])
        body = body[:at] + body[at + columns.pop(name)["bytes"] :]
    again = decode(sealed({**header, "body_bytes": len(body)}, body))
    assert isinstance(again, Snapshot) and encode(again) == encode(s)
