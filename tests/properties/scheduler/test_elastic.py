"""Elastic gangs: as many workers as there are, never fewer than will do, and to everybody else no other than the fewest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.scheduler import Plan, Rater, Snapshot, check, freeze, plan
from dure.scheduler.change import only
from dure.scheduler.snapshot import fewest
from tests.builders.plans import both
from tests.builders.world import World
from tests.builders.worlds import examples, worlds
from tests.properties.scheduler.oracle import answered, changed, nothing_smaller_starts, priced, starts
from tests.properties.scheduler.test_changes import rater

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


def everything(waiting_max: int = 8) -> st.SearchStrategy[World]:
    return worlds(
        waiting_max=waiting_max, power=True, windows=True, quotas=True, shares=True, tastes=True, blocks=True, yields=True,
        elastic=True,
    )  # fmt: skip


@pytest.mark.unmeasured
@given(worlds(waiting_max=12, elastic=True))
@examples(200, most=2000)
def test_kernels_decide_what_the_plain_program_decides(world: World) -> None:
    s = world.snapshot()
    assert check(s, both(s)) == ()


@pytest.mark.unmeasured
@given(everything())
@examples(200)
def test_every_plan_gives_no_more_than_is_asked_for_and_no_fewer_than_will_do(world: World) -> None:
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == ()
    given_, rows = np.diff(p.start_worker_ptr), p.start_pending
    assert (given_ >= fewest(s.pending)[rows]).all() and (given_ <= s.pending.workers[rows]).all()
    behind = np.diff(p.start_victim_ptr) > 0
    assert (given_[behind] == fewest(s.pending)[rows[behind]]).all(), "others make room for the fewest alone"
    assert (np.diff(p.reserve_worker_ptr) == fewest(s.pending)[p.reserve_pending]).all()


@pytest.mark.unmeasured
@given(everything(waiting_max=1))
@examples(200, most=2000)
def test_it_starts_as_the_largest_gang_would_that_could(world: World) -> None:
    """By brute force, of one that nobody is before and nobody makes room for: on the first alternative on which a gang of the
    fewest would start, as the largest of the gangs up to its size that would start there; else it waits as one of the fewest."""
    s = world.snapshot()
    s = freeze(replace(s, policy=replace(s.policy, reclaims=False), pending=replace(s.pending, preempts=np.zeros(1, np.bool_)),
                       attempts=replace(s.attempts, yields=np.zeros(len(s.attempts.ids), np.bool_))))  # fmt: skip
    made = plan(s)
    least, most = int(fewest(s.pending)[0]), int(s.pending.workers[0])
    alternatives = range(len(s.alternatives.accelerator))
    larger = (plan(rigid(s, n, (alt,))) for alt in alternatives for n in range(most, least - 1, -1))
    found = next((p for p in larger if len(p.start_pending)), None)
    if found is None:
        waits = plan(rigid(s, least, tuple(alternatives)))
        assert told(waits) == told(made)
    else:
        assert seats(found) == seats(made)


def rigid(s: Snapshot, workers: int, alternatives: tuple[int, ...]) -> Snapshot:
    """The only one that waits as a gang of so many, on these of its alternatives, at its part of the price."""
    most, rows = int(s.pending.workers[0]), list(alternatives)
    hold = s.alternatives.hold[rows]
    part = np.array([[-(-h * workers // most) if h > 0 else h for h in each] for each in hold.tolist()], np.int64)
    size = {"workers": np.array([workers]), "workers_min": np.array([0]), "alt_ptr": np.array([0, len(rows)], np.int32)}
    given_ = replace(s.alternatives, accelerator=s.alternatives.accelerator[rows], hold=part)
    return freeze(replace(s, pending=replace(s.pending, **size), alternatives=given_))


def seats(p: Plan) -> list[object]:
    return [p.start_site.tolist(), p.start_currency.tolist(), p.start_node.tolist(), p.start_mask.tolist()]


def told(p: Plan) -> list[object]:
    return [p.wait_code.tolist(), p.wait_facts.tolist(), p.reserve_ms.tolist(), p.reserve_node.tolist()]


@pytest.mark.unmeasured
@given(worlds(waiting_max=4, elastic=True))
@examples(20, most=1000)
def test_the_smallest_change_starts_it(world: World) -> None:
    """To give up the whole is no change that is suggested to one that has given it up, and to be content with fewer is."""
    s = priced(world.snapshot(), rater)
    for row in range(len(s.pending.ids)):
        rate: Rater = rater(s, row)
        for _, change, p in changed(only(s, row), rate):
            assert not (change.workers and s.pending.workers_min[row])
            assert not change.workers_min or change.workers_min < s.pending.workers_min[row]
            assert starts(only(s, row), 0, change, rate)
            assert len(p.start_pending) == 1


@pytest.mark.unmeasured
@given(worlds(waiting_max=3, elastic=True))
@examples(6, most=200)
def test_no_smaller_change_starts_it(world: World) -> None:
    nothing_smaller_starts(priced(world.snapshot(), rater), rater)


@pytest.mark.unmeasured
@given(worlds(waiting_max=4, money=False, elastic=True))
@examples(25, most=300)
def test_why_tells_what_the_plan_tells(world: World) -> None:
    for _, answer, reason, _ in answered(world.snapshot()):
        assert reason is None or answer.reasons[0] == reason


@given(everything(waiting_max=6))
@examples(60)
def test_one_that_names_all_of_its_workers_as_the_fewest_is_like_one_that_names_none(world: World) -> None:
    s = world.snapshot()
    least = replace(s.pending, workers=fewest(s.pending), workers_min=np.zeros(len(s.pending.ids), np.int64))
    p = s.pending
    assert (fewest(least) == fewest(p)).all()
    named = freeze(replace(s, pending=replace(least, workers_min=least.workers)))
    first, second = plan(freeze(replace(s, pending=least))), plan(named)
    assert seats(first) == seats(second) and told(first) == told(second)
