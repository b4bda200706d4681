"""Background work fills what is idle, and makes room for whoever is above it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dure.model.policy import Policy, PriorityClass
from dure.model.reason import Reason, ReasonKind
from dure.scheduler import Basis, Change, NextKind, Snapshot, check, plan, suggest, under_policy, why
from dure.scheduler.snapshot import LAUNCHING, STOPPING
from tests.builders.plans import both
from tests.builders.world import World


def farm(nodes: int = 2, **node: object) -> World:
    return World().site("pohang", nodes, **{"cores": 8, **node})


def background(world: World, id: str, node: int, cores: float = 8, **rest: object) -> World:
    given = {"priority": "background", "yields": True, "started": -10, **rest}
    return world.attempt(id, [(f"pohang/n{node}", 0)], cores=cores, **given)  # type: ignore[arg-type]


def victims_of(world: World, id: str = "job") -> list[str] | None:
    """Who makes room for it, None when it does not start; by both programs, and checked."""
    s = world.snapshot()
    p = both(s)
    assert check(s, p) == ()
    for i, row in enumerate(p.start_pending.tolist()):
        if s.pending.ids[row] == id:
            return [s.attempts.ids[v] for v in p.victim_attempt[p.start_victim_ptr[i] : p.start_victim_ptr[i + 1]].tolist()]
    return None


def test_normal_work_starts_at_once_behind_background_work_that_has_only_begun() -> None:
    assert victims_of(background(background(farm(), "a", 0), "b", 1, started=-5).pending("job", cores=4)) == ["b"]


def test_it_starts_without_victims_where_there_is_room() -> None:
    assert victims_of(background(farm(), "a", 0).pending("job", cores=4)) == []


@pytest.mark.parametrize(
    ("changes", "priority"),
    [
        ({"preemptible": False}, "normal"),
        ({"state": LAUNCHING}, "normal"),
        ({"state": STOPPING}, "normal"),
        ({"yields": False, "started": -600}, "normal"),
        ({}, "background"),
    ],
)
def test_nobody_else_makes_room_for_work_that_does_not_preempt(changes: dict[str, object], priority: str) -> None:
    world = background(farm(1), "a", 0, **changes).pending("job", cores=4, priority=priority)
    assert victims_of(world) is None


def test_urgent_work_asks_background_work_first_however_much_that_loses() -> None:
    world = background(farm(), "a", 0, started=-900).attempt("b", [("pohang/n1", 0)], cores=8, started=-100, checkpoint=0)
    assert victims_of(world.pending("job", cores=4, priority="urgent")) == ["a"]


def test_urgent_work_asks_others_besides_where_background_work_does_not_suffice() -> None:
    world = background(farm(), "a", 0).attempt("b", [("pohang/n1", 0)], cores=8, started=-100)
    assert victims_of(world.pending("job", cores=8, workers=2, priority="urgent")) == ["b", "a"]
    assert victims_of(background(farm(), "a", 0).pending("job", cores=8, workers=2, priority="low")) == ["a"]


def test_a_claim_of_one_leaves_the_next_to_ask_somebody_else() -> None:
    world = background(background(farm(), "a", 0, started=-30), "b", 1).pending("job", cores=8).pending("next", cores=8)
    assert (victims_of(world), victims_of(world, "next")) == (["b"], ["a"])


def test_what_failed_for_work_that_does_not_preempt_may_do_for_work_that_does() -> None:
    """And the other way round: the same demand, in turns."""
    world = farm(1).attempt("a", [("pohang/n0", 0)], cores=8, started=-600, priority="low")
    world.pending("first", cores=8, priority="urgent", limit=60).pending("job", cores=8, priority="high")
    assert (victims_of(world, "first"), victims_of(world)) == (["a"], None)
    twins = (PriorityClass(name="firm", value=300), PriorityClass(name="hard", value=300, preempts=True))
    world = farm(1).attempt("a", [("pohang/n0", 0)], cores=8, started=-600, priority="low")
    world.pending("job", cores=8).pending("next", cores=8)
    world.waiting[0]["class"], world.waiting[1]["class"] = twins
    background(world, "small", 0, cores=0)
    world.policy = replace(Policy(), reservations_max=0)  # nobody makes room where somebody is promised to start
    assert (victims_of(world), victims_of(world, "next")) == (None, ["a"])


def test_why_says_that_it_starts_behind_background_work_and_nothing_is_to_be_changed() -> None:
    s = background(background(farm(), "a", 0), "b", 1).pending("job", cores=8, workers=2).snapshot()
    answer = why(s, plan(s), 0)
    assert answer.reasons == (Reason.of(ReasonKind.WAITS_VICTIMS, victims=2, yielding=2),)
    event = answer.next_event
    assert event is not None and (event.kind, event.basis, event.yielding) == (NextKind.PREEMPTION, Basis.YIELDS, 2)


def test_why_of_work_that_makes_others_stop_says_how_many_of_them_are_background_work() -> None:
    world = background(farm(), "a", 0).attempt("b", [("pohang/n1", 0)], cores=8, started=-100)
    s = world.pending("job", cores=8, workers=2, priority="urgent").snapshot()
    answer = why(s, plan(s), 0)
    assert answer.reasons == (Reason.of(ReasonKind.WAITS_VICTIMS, victims=2, yielding=1),)
    assert answer.next_event is not None and answer.next_event.basis == Basis.GUARANTEED_RUN


def test_normal_work_hears_when_somebody_has_ended_beside_whom_background_work_was_not_enough() -> None:
    world = (
        background(farm(), "a", 0)
        .attempt("b", [("pohang/n1", 0)], cores=8, ends=100)
        .attempt("c", [("pohang/n0", 0)], cores=0, ends=50)
    )
    s = replace(world.pending("job", cores=8, workers=2).snapshot(), policy=replace(Policy(), reservations_max=0))
    event = why(s, plan(s), 0).next_event
    assert event is not None and (event.kind, event.subject) == (NextKind.ATTEMPT_ENDS, "b")


def test_a_class_above_the_background_is_a_change_that_starts_it() -> None:
    s = background(farm(1), "a", 0).pending("job", cores=8, limit=60, priority="background").snapshot()
    assert suggest(s, 0).change == Change(priority="low", claims=True)


def test_under_another_policy_running_work_yields_as_that_says() -> None:
    s = background(farm(1), "a", 0).pending("job", cores=8).snapshot()
    classes = tuple(replace(c, yields=False) for c in Policy().classes)
    firm = under_policy(s, replace(Policy(), classes=classes), lambda policy, name: lambda *demand: (0, -1))  # type: ignore[arg-type,return-value]
    assert firm.attempts.yields.tolist() == [False] and plan(firm).start_pending.tolist() == []
    again = under_policy(firm, Policy(), lambda policy, name: lambda *demand: (0, -1))  # type: ignore[arg-type,return-value]
    assert again.attempts.yields.tolist() == [True] and len(plan(again).victim_attempt) == 1


def altered(s: Snapshot, **columns: np.ndarray) -> Snapshot:
    return replace(s, attempts=replace(s.attempts, **columns))


def test_the_second_program_finds_victims_that_do_not_yield_and_leaves_those_alone_that_do() -> None:
    s = background(farm(1), "a", 0, started=-10).pending("job", cores=8).snapshot()
    p = plan(s)
    assert len(p.victim_attempt) == 1 and check(s, p) == ()
    found = check(altered(s, yields=np.zeros(1, np.bool_)), p)
    assert found == ("job may not preempt, but has victims that do not yield", "a has not had its guaranteed run")
    assert check(altered(s, preemptible=np.zeros(1, np.bool_)), p) == ("a may not be preempted",)
    assert check(altered(s, priority=np.full(1, 200)), p) == ("a has no lower priority than job",)
