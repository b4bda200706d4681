"""Work that has to be over by a moment: in time or not at all, and before mates that have time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dure.model.reason import ReasonKind
from dure.scheduler import Basis, NextEvent, NextKind, Plan, Snapshot, check, plan, reason_of, why
from dure.scheduler.snapshot import CLAIMED, STOPPING
from tests.builders.world import World


def farm(**node: object) -> World:
    return World().site("pohang", 1, **{"cores": 8, **node})  # type: ignore[arg-type]


def made(world: World) -> tuple[Snapshot, Plan]:
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == ()
    return s, p


def starts(world: World) -> list[str]:
    s, p = made(world)
    return [s.pending.ids[row] for row in p.start_pending.tolist()]


def promised(world: World) -> dict[str, float]:
    s, p = made(world)
    moments = zip(p.reserve_pending.tolist(), p.reserve_ms.tolist(), strict=True)
    return {s.pending.ids[row]: (at - s.now_ms) / 1000 for row, at in moments}


def test_of_one_project_and_class_whoever_has_to_start_first_goes_first() -> None:
    world = farm().pending("early", cores=8).pending("soon", cores=8, limit=100, deadline=500)
    world.pending("sooner", cores=8, limit=300, deadline=600)
    s, p = made(world)
    assert starts(world) == ["sooner"]
    assert [s.pending.ids[row] for row in p.reserve_pending] == ["soon", "early"]


def test_a_deadline_passes_nobody_of_another_project_or_of_a_higher_class() -> None:
    world = farm().project("ant", use=1.0).project("bee", use=2.0)
    world.pending("first", project="ant", cores=8).pending("late", project="bee", cores=8, limit=100, deadline=150)
    assert starts(world) == ["first"]
    world.pending("high", project="ant", cores=8, priority="high")
    assert starts(world) == ["high"]


def test_what_cannot_be_over_in_time_neither_starts_nor_is_promised_anything() -> None:
    world = farm().pending("job", limit=100, deadline=99)
    s, p = made(world)
    assert starts(world) == [] and promised(world) == {}
    reason = reason_of(s, p, 0)
    assert reason is not None and reason.kind == ReasonKind.TOO_LATE
    assert dict(reason.facts) == {"deadline_ms": s.now_ms + 99_000, "limit_ms": 100_000}
    assert starts(farm().pending("job", limit=100, deadline=100)) == ["job"]


def test_a_promise_comes_in_time_or_not_at_all() -> None:
    world = farm().attempt("x", [("pohang/n0", 0)], cores=8, ends=100)
    assert promised(world.pending("job", cores=8, limit=50, deadline=150)) == {"job": 100}
    late = farm().attempt("x", [("pohang/n0", 0)], cores=8, ends=101)
    assert promised(late.pending("job", cores=8, limit=50, deadline=150)) == {}
    s, p = made(late)
    reason = reason_of(s, p, 0)
    assert reason is not None and reason.kind == ReasonKind.WAITS_CORES  # others may end earlier than by their limits


def test_nobody_makes_room_for_what_would_come_too_late() -> None:
    world = farm().attempt("x", [("pohang/n0", 0)], cores=8, ends=1000)
    assert starts(world.pending("job", cores=8, limit=50, deadline=1049, priority="urgent")) == []
    assert made(world)[1].victim_attempt.tolist() == []
    assert starts(world.pending("more", cores=8, limit=50, deadline=1050, priority="urgent")) == ["more"]


def test_an_event_behind_the_latest_start_is_not_told_as_one_that_helps() -> None:
    world = farm().attempt("x", [("pohang/n0", 0)], cores=8, ends=1000).pending("job", cores=8, limit=50, deadline=1049)
    s, p = made(world)
    assert why(s, p, 0).next_event == passes("job", s.now_ms + 999_000)
    bound = replace(s, pending=replace(s.pending, deadline_ms=s.pending.deadline_ms + 2_000))
    told = why(bound, plan(bound), 0).next_event
    assert told is not None and told.at_ms == s.now_ms + 1_000_000
    world.pending("first", cores=8, limit=50, deadline=1060).pending("later", cores=8, limit=50, deadline=1040)
    s, p = made(world)
    passing = [(e := why(s, p, row).next_event) is not None and e.kind is NextKind.DEADLINE_PASSES for row in range(3)]
    assert passing == [True, False, True]


def passes(job: str, at_ms: int) -> NextEvent:
    return NextEvent(NextKind.DEADLINE_PASSES, job, at_ms, Basis.DEADLINE)


def test_of_what_is_too_late_already_or_can_start_nowhere_no_last_moment_is_told() -> None:
    s, p = made(farm().pending("late", limit=100, deadline=99).pending("wide", cores=9, limit=100, deadline=500))
    assert [why(s, p, row).next_event for row in range(2)] == [None, None]


def test_a_quota_that_is_reached_until_too_late_says_when_that_is() -> None:
    world = farm().quota("project:lab", "core", 2).attempt("x", [("pohang/n0", 0)], cores=2, ends=500)
    s, p = made(world.pending("soon", cores=1, limit=50, deadline=549).pending("job", cores=1, limit=50, deadline=550))
    assert why(s, p, 0).next_event == passes("soon", s.now_ms + 499_000)
    told = why(s, p, 1).next_event
    assert told is not None and (told.kind, told.subject) == (NextKind.ATTEMPT_ENDS, "x")


# -- who makes room leaves within its grace ---------------------------------------------------------------------------------


def long_run(grace: float, **more: object) -> World:
    """Until an hour from now by its limit; when it is asked, after its grace and the second in which that is reported."""
    return farm(**more).attempt("x", [("pohang/n0", 0)], cores=8, ends=3600, grace=grace)


def urgent(world: World, deadline: float | None = None, limit: float = 50) -> World:
    return world.pending("job", cores=8, limit=limit, deadline=deadline, priority="urgent")


def test_others_make_room_for_what_is_in_time_once_their_grace_is_over() -> None:
    assert starts(urgent(long_run(10), deadline=61)) == ["job"]
    assert starts(urgent(long_run(10), deadline=60)) == []
    assert starts(urgent(long_run(4000), deadline=3650)) == ["job"]  # by its limit it is gone before


def test_what_is_promised_behind_a_claim_rests_on_the_grace_of_those_who_make_room() -> None:
    world = urgent(long_run(10)).pending("next", cores=8, limit=30)
    assert promised(world) == {"next": 61}
    taken = farm().attempt("x", [("pohang/n0", 0)], cores=8, ends=10, grace=10, state=STOPPING, beneficiary="c")
    taken.attempt("c", [("pohang/n0", 0)], cores=8, started=0, ends=50, state=CLAIMED, priority="urgent")
    assert promised(taken.pending("next", cores=8, limit=30)) == {"next": 60}  # the next plan knows when it was told to stop


def test_maintenance_keeps_no_claim_away_that_is_over_before_by_graces() -> None:
    assert starts(urgent(World().site("pohang", 0).node("pohang/n0", "pohang", cores=8, closed=[(61, 90)])
                         .attempt("x", [("pohang/n0", 0)], cores=8, ends=3600, grace=10))) == ["job"]  # fmt: skip
    assert starts(urgent(World().site("pohang", 0).node("pohang/n0", "pohang", cores=8, closed=[(60, 90)])
                         .attempt("x", [("pohang/n0", 0)], cores=8, ends=3600, grace=10))) == []  # fmt: skip


def test_a_preemption_that_would_come_too_late_is_not_told() -> None:
    def told(deadline: float) -> NextEvent | None:
        world = farm().attempt("x", [("pohang/n0", 0)], cores=8, started=-20, ends=3600, grace=10)
        s, p = made(urgent(world, deadline=deadline))
        return why(s, p, 0).next_event

    in_time = told(40 + 11 + 50)  # its guaranteed run ends in 40 s
    assert in_time is not None and (in_time.kind, in_time.subject) == (NextKind.PREEMPTION, "x")
    late = told(40 + 11 + 49)
    assert late is not None and late.kind is NextKind.DEADLINE_PASSES


def test_a_shorter_limit_may_be_the_smallest_change() -> None:
    world = farm().pending("job", limit=200, deadline=150)
    s, p = made(world)
    answer = why(s, p, 0)
    assert [r.kind for r in answer.reasons] == [ReasonKind.TOO_LATE]
    assert answer.change is not None and answer.change.limit_ms == 150_000
    assert [r.kind for _, r in answer.sites] == [ReasonKind.TOO_LATE]


def test_check_finds_work_that_is_too_late() -> None:
    free = farm().pending("job", limit=100).snapshot()
    bound = replace(free, pending=replace(free.pending, deadline_ms=np.array([free.now_ms + 50_000])))
    assert check(bound, plan(free)) == ("job starts too late to be over by its deadline",)
    blocked = farm().attempt("x", [("pohang/n0", 0)], cores=8, ends=100).pending("job", cores=8, limit=50).snapshot()
    bound = replace(blocked, pending=replace(blocked.pending, deadline_ms=np.array([blocked.now_ms + 120_000])))
    assert check(bound, plan(blocked)) == ("job is promised a moment that is too late for its deadline",)
