"""Whatever the order of turns: a plan passes its check, the plain program decides the same, and what is suggested starts."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dure.model.policy import TurnOrder
from dure.scheduler import NoChange, check, plan, suggest
from dure.scheduler.order import ranks
from tests.builders.plans import both
from tests.builders.world import World
from tests.builders.worlds import examples, worlds
from tests.properties.scheduler.oracle import priced, smaller, starts
from tests.properties.scheduler.test_changes import mates, rater

ORDERS = st.sampled_from([order for order in TurnOrder if order is not TurnOrder.FAIR])


@given(worlds(waiting_max=8), ORDERS)
@examples(100)
def test_kernels_decide_what_the_plain_program_decides(world: World, order: TurnOrder) -> None:
    world.policy = replace(world.policy, order=order)
    s = world.snapshot()
    assert check(s, both(s)) == ()


@given(worlds(waiting_max=8), ORDERS)
@examples(60)
def test_nobody_is_passed_by_whom_it_equals_in_all_but_its_turn(world: World, order: TurnOrder) -> None:
    """Two rows of one project that ask for the same start in the order of turns."""
    world.policy = replace(world.policy, order=order)
    world.waiting = [{**w, "id": f"{w['id']}-{i}"} for w in world.waiting for i in range(2)]
    s = world.snapshot()
    started, place = set(plan(s).start_pending.tolist()), ranks(s)
    for row, id in enumerate(s.pending.ids):
        for other in (at for at, name in enumerate(s.pending.ids) if name[:-2] == id[:-2] and place[at] < place[row]):
            assert other not in started or row in started


@given(worlds(waiting_max=3), ORDERS)
@examples(6, most=2000)
def test_the_smallest_change_starts_it_and_no_smaller_one_does(world: World, order: TurnOrder) -> None:
    """By brute force; less money may do where project mates wait, as with fair turns."""
    world.policy = replace(world.policy, order=order)
    s = priced(world.snapshot(), rater)
    for row in range(len(s.pending.ids)):
        found = suggest(s, row, rate := rater(s, row), plans_max=1000)
        assert not found.stopped
        if found.change is not None:
            assert starts(s, row, found.change, rate)
        if found.no_change not in (NoChange.STARTS_ALREADY, NoChange.NOT_YET):
            less = next((c for c in smaller(s, row, found.change) if starts(s, row, c, rate)), None)
            assert less is None or (less.funds_won and mates(s, row, less)), (s.pending.ids[row], found.change, less)
