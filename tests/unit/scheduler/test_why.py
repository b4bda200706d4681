"""Why, and what to do about it: by value."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dure.errors import InvariantViolated
from dure.model.money import Currency
from dure.model.reason import Reason, ReasonKind
from dure.scheduler import (
    Basis,
    Change,
    NextEvent,
    NextKind,
    NoChange,
    Why,
    apply_change,
    plan,
    smallest_change,
    suggest,
    why,
    why_claimed,
)
from dure.scheduler.plan import CAPACITY
from dure.scheduler.snapshot import DEPENDENCY_WAITS, STOPPING, Snapshot
from tests.builders.world import HOUR_S, World


def rate(
    accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int, share_milli: int, limit_ms: int,
    preemptible: bool, priority: str,
) -> tuple[int, ...]:  # fmt: skip
    """Ten won a device-hour of npu, a hundred of any other; cores are free."""
    return (workers * devices * limit_ms // 3_600_000 * (10 if accelerator == "npu" else 100), -1)


def row_of(s: Snapshot, id: str = "job") -> int:
    return s.pending.ids.index(id)


def told(world: World, id: str = "job") -> Why:
    s = world.snapshot()
    return why(s, plan(s), row_of(s, id))


def ends(attempt: str, at_ms: int, basis: Basis = Basis.LIMIT) -> NextEvent:
    return NextEvent(NextKind.ATTEMPT_ENDS, attempt, at_ms, basis, f"w-{attempt}")


def asks(attempt: str, at_ms: int, victims: int = 1) -> NextEvent:
    return NextEvent(NextKind.PREEMPTION, attempt, at_ms, Basis.GUARANTEED_RUN, f"w-{attempt}", victims)


def promised(workload: str, at_ms: int) -> NextEvent:
    return NextEvent(NextKind.PROMISE_STARTS, workload, at_ms, Basis.PROMISE)


def change(world: World, id: str = "job", **more: object) -> Change | NoChange | None:
    s = world.snapshot()
    found = suggest(s, row_of(s, id), **{"rate": rate, **more})
    assert (found.change is None) != (found.no_change is None)
    return found.change or found.no_change


def farm(**node: object) -> World:
    return World().site("pohang", 1, **{"cores": 8, **node})


# -- the smallest change ----------------------------------------------------------------------------------------------------


def test_every_field_can_be_the_smallest_change() -> None:
    two = World().site("busan", 1, cores=8).site("pohang", 1, cores=2)
    assert change(two.pending("job", cores=4, sites=("pohang",))) == Change(all_sites=True)
    types = World().site("s").node("a", "s", devices=1, accelerator="a100").node("n", "s", devices=2, accelerator="npu")
    types.award("lab", 20)
    assert change(types.pending("job", devices=2, accelerators=("a100",), hold=200)) == Change(accelerators=("npu",))
    assert change(farm().pending("job", cores=9)) == Change(cores_milli=8000)
    assert change(farm().pending("job", memory=40_000)) == Change(memory_mib=32_768)
    assert change(farm(devices=3, accelerator="npu").pending("job", devices=4), rate=None) == Change(devices=3)
    assert change(farm(memory=512).pending("job", workers=9, cores=0.1, memory=64)) == Change(workers=8)
    assert change(farm().pending("job", hold=70).award("lab", 30), rate=None) == Change(limit_ms=3_600_000 * 30 // 70)
    assert change(farm().pending("job", hold=70, limit=60).award("lab", 30), rate=None) == Change(funds_won=40)


def test_a_shorter_limit_lets_it_pass_a_promise() -> None:
    world = farm().attempt("a", [("pohang/n0", 0)], cores=6, ends=100).pending("wide", cores=8).pending("job", limit=500)
    assert change(world) == Change(limit_ms=100_000)


def test_a_higher_class_moves_it_ahead_and_says_that_it_claims() -> None:
    world = farm(cores=1).attempt("a", [("pohang/n0", 0)], cores=1, memory=512, ends=None)
    assert change(world.pending("job", memory=64, limit=60)) == Change(priority="urgent", claims=True)


def test_two_fields_when_one_is_not_enough() -> None:
    assert change(farm().pending("job", cores=9, memory=40_000)) == Change(cores_milli=8000, memory_mib=32_768)


def test_a_type_and_the_money_for_it() -> None:
    types = World().site("s").node("a", "s", devices=1, accelerator="a100").node("n", "s", devices=2, accelerator="npu")
    world = types.award("lab", 19).pending("job", devices=2, accelerators=("a100",), hold=200, limit=3600)
    assert change(world) == Change(accelerators=("npu",), limit_ms=3_600_000 - 1)
    world.waiting[0]["limit_ms"] = 60_000
    assert change(world, rate=lambda *_: (20, -1)) == Change(accelerators=("npu",), funds_won=1)


def test_money_that_a_project_mate_would_take_first_is_counted() -> None:
    """`first` takes 20 of any new money before `job` has its turn: 50 are needed, not 30, and 49 would not do."""
    world = farm().award("lab", 0).pending("first", hold=20, limit=60).pending("job", hold=30, limit=60)
    world.pending("other", project="other", hold=0)
    assert change(world, rate=None) == Change(funds_won=50)


def test_no_more_money_is_asked_for_than_lets_it_start_before_a_project_mate() -> None:
    """With money for both, `first` would take the only place; the gap alone leaves it to `job`."""
    world = farm().award("lab", 0).pending("first", cores=8, hold=90, limit=60).pending("job", cores=8, hold=30, limit=60)
    assert change(world, rate=None) == Change(funds_won=30)


def test_money_that_a_mate_takes_first_is_asked_for_as_well() -> None:
    world = farm(cores=4).award("lab", 0).pending("small", hold=13)
    world.pending("large", cores=4, hold=1172, limit=24 * 3600).pending("job", hold=308, limit=24 * 3600)
    assert change(world, rate=None) == Change(funds_won=321)


def test_merit_alone_cannot_be_helped_with_won() -> None:
    world = farm().award("lab", 5, currency=Currency.ACS).pending("job", hold=-1, merit=9, limit=60)
    assert change(world, rate=None) is NoChange.NONE_SUFFICES


def test_there_is_no_change_for_what_starts_or_is_not_yet_to_start() -> None:
    assert change(farm().pending("job")) is NoChange.STARTS_ALREADY
    assert change(farm().pending("job", dependency=DEPENDENCY_WAITS)) is NoChange.NOT_YET
    assert change(World().site("bare").pending("job")) is NoChange.NONE_SUFFICES
    assert change(farm().pending("job", cores=9), plans_max=0) is NoChange.SEARCH_ENDED
    s = World().site("bare").pending("job").snapshot()
    assert smallest_change(s, 0) is None
    s = farm().pending("job", cores=9).snapshot()
    assert smallest_change(s, 0) == Change(cores_milli=8000)


def behind_a_preemptible() -> World:
    return farm(cores=1).attempt("theirs", [("pohang/n0", 0)], project="bee", priority="low").pending("job")


def test_only_classes_that_may_be_used_are_suggested_and_the_rest_is_said_in_a_typed_no() -> None:
    world = behind_a_preemptible()
    assert change(world) == Change(priority="urgent", claims=True)
    assert change(world, classes=("background", "normal", "urgent")) == Change(priority="urgent", claims=True)
    assert change(world, classes=("background", "normal", "high")) is NoChange.FORBIDDEN_CLASS
    assert change(world, classes=()) is NoChange.FORBIDDEN_CLASS
    world.attempts[0]["preemptible"] = False
    assert change(world, classes=()) is NoChange.NONE_SUFFICES


def test_a_class_that_cannot_be_paid_is_suggested_with_the_money_for_it() -> None:
    def dear(*demand: object) -> tuple[int, int]:
        return (200 if demand[-1] == "urgent" else 100, -1)

    world = behind_a_preemptible().award("lab", 150)
    world.waiting[0]["hold"] = 100
    assert change(world, rate=dear) == Change(priority="urgent", funds_won=50, claims=True)
    assert change(world, rate=dear, classes=("normal",)) is NoChange.FORBIDDEN_PAIR


def test_of_a_class_that_helps_only_with_another_change_that_is_what_is_said() -> None:
    world = farm(cores=2).attempt("kept", [("pohang/n0", 0)], project="bee", preemptible=False)
    world.attempt("theirs", [("pohang/n0", 0)], project="bee", priority="low").pending("job", cores=2)
    assert change(world) == Change(cores_milli=1000, priority="urgent", claims=True)
    assert change(world, classes=("normal",)) is NoChange.FORBIDDEN_PAIR


# -- the world as it would be -----------------------------------------------------------------------------------------------


def test_without_a_rater_holds_follow_workers_and_limit_alone() -> None:
    s = farm().pending("job", workers=4, hold=101, merit=0, limit=1000).snapshot()
    then = apply_change(s, 0, Change(workers=3, limit_ms=500_000))
    assert then.alternatives.hold.tolist() == [[38, 0]]
    assert apply_change(s, 0, Change(cores_milli=500)).alternatives.hold.tolist() == [[101, 0]]
    with pytest.raises(InvariantViolated):
        apply_change(s, 0, Change(accelerators=("npu",)))
    with pytest.raises(InvariantViolated):
        apply_change(s, 0, Change(priority="nonsense"))


def test_a_dearer_class_holds_more_with_a_rater_or_without() -> None:
    s = farm().pending("job", hold=101, merit=3, limit=1000).snapshot()
    assert apply_change(s, 0, Change(priority="high")).alternatives.hold.tolist() == [[152, 5]]
    asked: list[str] = []

    def dear(*demand: object) -> tuple[int, int]:
        asked.append(str(demand[-1]))
        return (400 if demand[-1] == "urgent" else 100, -1)

    assert apply_change(s, 0, Change(priority="urgent"), dear).alternatives.hold.tolist() == [[400, -1]]
    assert apply_change(s, 0, Change(limit_ms=500_000), dear).alternatives.hold.tolist() == [[100, -1]]
    assert asked == ["urgent", ""]


def test_a_change_touches_nothing_of_the_others() -> None:
    world = World().site("s").node("a", "s", devices=2, accelerator="a100").node("n", "s", devices=2, accelerator="npu")
    world.award("ant", 9).award("bee", 5).award("bee", 7, currency=Currency.ACS)
    world.pending("x", project="ant", devices=1, sites=("s",), hold=(1, 2)).pending("job", project="bee", devices=1, sites=("s",))
    world.pending("y", project="ant", devices=1, sites=("s",), accelerators=("npu",), hold=3)
    s = world.snapshot()
    then = apply_change(s, 1, Change(accelerators=("npu",), all_sites=True, funds_won=4, priority="urgent"), rate)
    assert then.pending.alt_ptr.tolist() == [0, 2, 3, 4] and then.pending.site_ptr.tolist() == [0, 1, 1, 2]
    assert then.alternatives.accelerator.tolist() == [0, 1, 1, 1]
    assert then.alternatives.hold[:, 0].tolist() == [1, 2, 10, 3]
    assert then.pending.preempts.tolist() == [False, True, False] and then.pending.priority.tolist() == [200, 400, 200]
    assert then.awards.available.tolist() == [9, 5, 4, 7] and then.awards.project.tolist() == [0, 1, 1, 1]
    assert s.pending.alt_ptr.tolist() == [0, 2, 4, 5] and s.awards.available.tolist() == [9, 5, 7]


# -- the whole answer -------------------------------------------------------------------------------------------------------


def test_what_starts_needs_no_reason_and_a_claim_names_how_many_make_room() -> None:
    assert told(farm().pending("job")) == Why(reasons=(), no_change=NoChange.STARTS_ALREADY)
    world = farm().attempt("v", [("pohang/n0", 0)], cores=8).pending("job", priority="urgent")
    answer = told(world)
    assert answer.reasons == (Reason.of(ReasonKind.WAITS_VICTIMS, victims=1),)
    assert answer.next_event == asks("v", world.now_ms)


def test_each_site_gives_its_own_answer() -> None:
    world = World().site("a", 1, cores=2).site("b", 1, cores=8, reachable=False).site("c", 1, cores=8).site("d", 1, cores=8)
    world.site("e", 1, cores=8).attempt("x", [("c/n0", 0)], cores=7, ends=90).award("lab", 9, sites=("c",))
    world.pending("job", cores=4, sites=("a", "b", "c", "e"), hold=5)
    answer = told(world)
    kinds = {site: reason.kind for site, reason in answer.sites}
    assert kinds == {
        "a": ReasonKind.NODE_TOO_SMALL_CORES, "b": ReasonKind.NO_SITE_REACHABLE, "c": ReasonKind.WAITS_CORES,
        "d": ReasonKind.NO_SITE_ALLOWED, "e": ReasonKind.NO_AWARD,
    }  # fmt: skip
    assert answer.reasons[0].kind in CAPACITY
    assert answer.promised_ms == world.now_ms + 90_000
    assert answer.next_event == ends("x", world.now_ms + 90_000)
    assert answer.change == Change(cores_milli=1000)


def test_all_that_stands_in_the_way_is_said_what_the_owner_can_do_first() -> None:
    world = farm().attempt("x", [("pohang/n0", 0)], cores=8, ends=90).award("lab", 4).pending("job", hold=5, eligible=30)
    answer = told(world)
    assert [r.kind for r in answer.reasons] == [ReasonKind.FUNDS_SHORT, ReasonKind.WAITS_PAUSE, ReasonKind.WAITS_CORES]
    assert answer.next_event == NextEvent(NextKind.PAUSE_ENDS, "job", world.now_ms + 30_000, Basis.PAUSE)
    assert answer.no_change is NoChange.NOT_YET


def test_a_workload_behind_a_promise_hears_of_it_and_never_of_its_own() -> None:
    world = farm().attempt("a", [("pohang/n0", 0)], cores=6, ends=100).pending("wide", cores=8).pending("job", limit=500)
    world.policy = replace(world.policy, reservations_max=1)
    answer = told(world)
    assert answer.reasons == (Reason.of(ReasonKind.WAITS_RESERVED, for_workload="wide", until_ms=world.now_ms + 100_000),)
    assert answer.next_event == promised("wide", world.now_ms + 100_000)
    assert told(world, "wide").sites[0][1].kind in CAPACITY
    world.policy = replace(world.policy, reservations_max=2)
    later = told(world)
    assert later.promised_ms == world.now_ms + (100 + 3600) * 1000
    assert later.next_event == ends("a", world.now_ms + 100_000)


def test_a_promise_that_rests_on_starts_of_this_plan_names_itself() -> None:
    world = farm().pending("first", cores=8, limit=50).pending("job", cores=8)
    assert told(world).next_event == promised("job", world.now_ms + 50_000)


def test_what_fits_but_for_its_turn_is_told_so() -> None:
    world = farm().attempt("a", [("pohang/n0", 0)], cores=6, ends=100).pending("wide", cores=8)
    world.pending("s0", limit=90).pending("job", limit=80)
    world.policy = replace(world.policy, backfill_depth=1)
    answer = told(world)
    assert answer.reasons == (Reason.of(ReasonKind.WAITS_FOR_TURN, ahead=1),) and answer.change is not None
    assert answer.change.changed() == ("priority",)


def test_nothing_helps_where_no_end_is_known() -> None:
    world = farm().attempt("a", [("pohang/n0", 0)], cores=8, ends=None, state=STOPPING).pending("job", cores=1)
    assert told(world).next_event is None
    assert told(World().site("bare").pending("job")).next_event is None


# -- the preemption that comes ----------------------------------------------------------------------------------------------


def test_an_urgent_job_hears_who_is_asked_to_make_room_and_when() -> None:
    world = farm().attempt("v", [("pohang/n0", 0)], cores=8, started=-20).pending("job", priority="urgent", cores=4)
    guaranteed_ms = world.now_ms - 20_000 + world.policy.min_run_ms
    answer = told(world)
    assert answer.promised_ms == world.now_ms + HOUR_S * 1000  # what it would be without preemption
    assert answer.next_event == asks("v", guaranteed_ms)
    world.now_ms = guaranteed_ms
    s = world.snapshot()
    assert plan(s).victim_attempt.tolist() == [0]


def test_of_several_victims_the_one_whose_guarantee_ends_last_decides() -> None:
    world = (
        farm().attempt("old", [("pohang/n0", 0)], cores=4, started=-200).attempt("new", [("pohang/n0", 0)], cores=4, started=-10)
    )
    world.pending("job", priority="urgent", cores=8)
    assert told(world).next_event == asks("new", world.now_ms - 10_000 + world.policy.min_run_ms, victims=2)


def test_what_ends_by_itself_before_the_guarantee_does_comes_first() -> None:
    world = farm().attempt("v", [("pohang/n0", 0)], cores=8, started=-20, ends=30)
    assert told(world.pending("job", priority="urgent", cores=4)).next_event == ends("v", world.now_ms + 30_000)


def test_room_that_others_leave_beside_a_victim_comes_first() -> None:
    """At its guarantee's end `v` alone is not enough; `leaves` goes a little later, and then `v` is asked."""
    world = farm().attempt("v", [("pohang/n0", 0)], cores=4, started=-50)
    world.attempt("leaves", [("pohang/n0", 0)], cores=4, preemptible=False, ends=40).pending("job", priority="urgent", cores=8)
    assert told(world).next_event == ends("leaves", world.now_ms + 40_000)


def test_nobody_is_asked_for_work_that_may_not_preempt_or_cannot_pay_or_has_no_turn() -> None:
    world = farm().attempt("v", [("pohang/n0", 0)], cores=8, started=-20)
    assert told(world.pending("job", priority="high", cores=4)).next_event == ends("v", world.now_ms + HOUR_S * 1000)
    world.waiting.clear()
    assert told(world.pending("job", priority="urgent", hold=5)).next_event == ends("v", world.now_ms + HOUR_S * 1000)
    world.waiting.clear()
    world.policy = replace(world.policy, backfill_depth=0)  # behind the first that is promised a moment nobody has a turn
    world.pending("first", cores=8, priority="urgent", hold=0, limit=1).pending("job", priority="urgent", cores=1)
    assert told(world).next_event == ends("v", world.now_ms + HOUR_S * 1000)


def test_a_preemption_keeps_off_the_promises_of_those_before_it() -> None:
    world = farm().attempt("v", [("pohang/n0", 0)], cores=8, started=-20)
    world.pending("first", priority="urgent", cores=8).pending("job", priority="urgent", cores=8)
    guaranteed_ms = world.now_ms - 20_000 + world.policy.min_run_ms
    assert told(world, "first").next_event == asks("v", guaranteed_ms)
    assert told(world).next_event == ends("v", world.now_ms + HOUR_S * 1000)


def test_a_claimed_workload_hears_who_makes_room_until_when() -> None:
    world = farm().attempt("v", [("pohang/n0", 0)], cores=4, state=STOPPING, ends=9)
    world.attempt("u", [("pohang/n0", 0)], cores=4, state=STOPPING, ends=4)
    world.claim("c", [("pohang/n0", 0)], ["u", "v"], cores=8).attempt("x", [("pohang/n0", 0)], cores=0)
    answer = why_claimed(world.snapshot(), "w-c")
    assert answer is not None and answer.reasons == (Reason.of(ReasonKind.WAITS_VICTIMS, victims=2),)
    assert answer.next_event == NextEvent(NextKind.VICTIM_LEAVES, "v", world.now_ms + 9000, Basis.GRACE, "w-v", 2)
    assert why_claimed(world.snapshot(), "w-x") is None
    world.sites["pohang"]["reachable"] = False
    assert why_claimed(world.snapshot(), "w-c") is None
