"""Whatever the packing: a plan passes its check, the plain program decides the same, who starts is as with any other as long as
one type at one site has room for each alone, and what is suggested starts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dure.model.policy import Packing
from dure.scheduler import check, plan, suggest
from tests.builders.plans import both
from tests.builders.world import World
from tests.builders.worlds import examples, roomy, scattered, worlds
from tests.properties.scheduler.oracle import priced, starts
from tests.properties.scheduler.test_changes import rater

PACKINGS = st.sampled_from([packing for packing in Packing if packing is not Packing.FULLEST])


@given(worlds(waiting_max=8), PACKINGS)
@examples(150)
def test_kernels_decide_what_the_plain_program_decides(world: World, packing: Packing) -> None:
    world.policy = replace(world.policy, packing=packing)
    s = world.snapshot()
    assert check(s, both(s)) == ()


@given(roomy(), PACKINGS)
@examples(300)
def test_where_there_is_a_choice_as_well(world: World, packing: Packing) -> None:
    world.policy = replace(world.policy, packing=packing)
    s = world.snapshot()
    assert check(s, both(s)) == ()


@given(scattered(), PACKINGS)
@examples(50)
def test_where_nodes_are_partly_in_use_as_well(world: World, packing: Packing) -> None:
    world.policy = replace(world.policy, packing=packing)
    s = world.snapshot()
    assert check(s, both(s)) == ()


@given(st.one_of(worlds(shares=True), roomy(shares=True)), PACKINGS)
@examples(200)
def test_plans_with_shares_pass_their_check(world: World, packing: Packing) -> None:
    world.policy = replace(world.policy, packing=packing)
    s = world.snapshot()
    assert check(s, plan(s)) == ()


@given(worlds(waiting_max=1), PACKINGS)
@examples(100)
def test_who_waits_alone_starts_under_one_as_under_any_other(world: World, packing: Packing) -> None:
    s = world.snapshot()
    other = plan(replace(s, policy=replace(s.policy, packing=packing)))
    assert plan(s).start_pending.tolist() == other.start_pending.tolist()


@given(worlds(waiting_max=3), PACKINGS)
@examples(10, most=2000)
def test_the_smallest_change_starts_it(world: World, packing: Packing) -> None:
    world.policy = replace(world.policy, packing=packing)
    s = priced(world.snapshot(), rater)
    for row in range(len(s.pending.ids)):
        found = suggest(s, row, rate := rater(s, row), plans_max=1000)
        assert not found.stopped
        if found.change is not None:
            assert starts(s, row, found.change, rate)


def test_each_takes_other_nodes_than_the_fullest_often_enough() -> None:
    """Else nothing is said above."""
    met = Counter[Packing]()

    @given(roomy())
    @examples(100)
    def compared(world: World) -> None:
        s = world.snapshot()
        nodes = {each: plan(replace(s, policy=replace(s.policy, packing=each))).start_node.tolist() for each in Packing}
        met.update(each for each in Packing if nodes[each] != nodes[Packing.FULLEST])

    compared()
    assert all(met[each] > 5 for each in Packing if each not in (Packing.FULLEST, Packing.BEST_FIT)), met  # these are much alike
