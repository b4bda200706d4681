"""Background work makes room for whoever is above it; nobody else does for work that does not preempt; and it comes to an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.reason import ReasonKind
from dure.scheduler import NextKind, check, freeze, plan, why
from dure.scheduler.rows import without_attempts
from dure.scheduler.snapshot import RUNNING
from tests.builders.plans import both
from tests.builders.world import World
from tests.builders.worlds import examples, worlds
from tests.properties.scheduler.oracle import answered, may_start, preempted_then, start_as_told

# whoever comes first compiles: minutes on a busy machine
pytestmark = [pytest.mark.unmeasured, pytest.mark.timeout(1800)]


def filled(waiting_max: int = 8) -> st.SearchStrategy[World]:
    return worlds(waiting_max=waiting_max, yields=True)


@given(filled())
@examples(200)
def test_kernels_and_the_plain_program_ask_the_same_to_make_room(world: World) -> None:
    both(world.snapshot())


@given(worlds(yields=True, power=True, windows=True, quotas=True, blocks=True, shares=True, tastes=True))
@examples(150)
def test_every_plan_passes_the_check_whoever_yields(world: World) -> None:
    s = world.snapshot()
    assert check(s, plan(s)) == ()


@given(worlds(yields=True, blocks=True))
@examples(150)
def test_only_what_yields_makes_room_for_work_that_does_not_preempt(world: World) -> None:
    s = world.snapshot()
    p, a = plan(s), s.attempts
    for i, row in enumerate(p.start_pending.tolist()):
        victims = p.victim_attempt[p.start_victim_ptr[i] : p.start_victim_ptr[i + 1]]
        assert (a.priority[victims] < s.pending.priority[row]).all() and a.preemptible[victims].all()
        assert s.pending.preempts[row] or a.yields[victims].all()


@given(worlds(yields=True, waiting_max=1, money=False))
@examples(200)
def test_nobody_is_promised_a_later_moment_who_could_start_behind_background_work(world: World) -> None:
    """By brute force: were all that yields below it gone, it would start; so it does, behind some of them."""
    s = world.snapshot()
    p, a = plan(s), s.attempts
    below = a.yields & a.preemptible & (a.state == RUNNING) & (a.beneficiary < 0) & (a.priority < s.pending.priority[0])
    if p.wait_code[0] < 0 or (a.beneficiary >= 0).any():  # what leaves already keeps its place for somebody
        return
    assert plan(freeze(without_attempts(s, below))).wait_code[0] >= 0


@given(filled(waiting_max=4))
@examples(30)
def test_the_smallest_change_starts_it_also_behind_background_work(world: World) -> None:
    start_as_told(world.snapshot())


@given(filled(waiting_max=4))
@examples(30)
def test_why_says_behind_how_many_it_starts_and_agrees_with_the_plan(world: World) -> None:
    s = world.snapshot()
    for row, answer, reason, p in answered(s):
        if reason is not None:
            continue
        i = p.start_pending.tolist().index(row)
        victims = p.victim_attempt[p.start_victim_ptr[i] : p.start_victim_ptr[i + 1]]
        told = [r.facts for r in answer.reasons if r.kind == ReasonKind.WAITS_VICTIMS]
        assert [f["victims"] for f in told] == [len(victims)] * bool(len(victims))
        assert [f.get("yielding", 0) for f in told] == [int(s.attempts.yields[victims].sum())] * bool(len(victims))


@given(worlds(waiting_max=5, money=False, yields=True))
@examples(60)
def test_room_that_is_told_of_comes_and_not_before(world: World) -> None:
    """For one workload alone: nothing but time passes, and then it gets the place that it was told of."""
    world.waiting = world.waiting[:1]
    s = world.snapshot()
    p = plan(s)
    if p.wait_code[0] < 0 or not may_start(s):
        return
    event, id = why(s, p, 0, plans_max=0).next_event, s.pending.ids[0]
    if event is None or event.kind is not NextKind.PREEMPTION:
        return
    assert event.subject in preempted_then(s, p, id, event).attempts.ids


@given(filled())
@examples(80)
def test_no_victim_comes_back_to_ask_whom_it_made_room_for(world: World) -> None:
    """Every one that makes room is below the one that it makes room for, so there is no way round."""
    s = world.snapshot()
    p = plan(s)
    chain = {
        int(v): int(s.pending.priority[row])
        for i, row in enumerate(p.start_pending.tolist())
        for v in p.victim_attempt[p.start_victim_ptr[i] : p.start_victim_ptr[i + 1]]
    }
    assert all(s.attempts.priority[v] < above for v, above in chain.items())
    assert len(chain) == len(p.victim_attempt)
