"""Where types differ in speed, a limit is another on each: starts, promises and what is told follow it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.scheduler import Plan, Rater, Snapshot, check, freeze, plan
from dure.scheduler.change import only
from dure.scheduler.rows import picked
from dure.scheduler.snapshot import limits_ms
from tests.builders.plans import both
from tests.builders.world import World
from tests.builders.worlds import examples, worlds
from tests.properties.scheduler.oracle import answered, changed, nothing_smaller_starts, priced, starts
from tests.properties.scheduler.test_changes import rater

# whoever comes first compiles: minutes on a busy machine
pytestmark = [pytest.mark.unmeasured, pytest.mark.timeout(1800)]


def everything(waiting_max: int = 8, *, elastic: bool = True) -> st.SearchStrategy[World]:
    return worlds(
        waiting_max=waiting_max, power=True, windows=True, quotas=True, shares=True, tastes=True, blocks=True, yields=True,
        elastic=elastic, speeds=True,
    )  # fmt: skip


@given(worlds(waiting_max=12, elastic=True, speeds=True))
@examples(200, most=2000)
def test_kernels_decide_what_the_plain_program_decides(world: World) -> None:
    s = world.snapshot()
    assert check(s, both(s)) == ()


@given(everything())
@examples(200)
def test_every_plan_passes_the_check(world: World) -> None:
    s = world.snapshot()
    assert check(s, plan(s)) == ()


@given(everything(waiting_max=6))
@examples(60)
def test_limits_that_are_those_of_the_workload_change_nothing(world: World) -> None:
    s = world.snapshot()
    none = with_limits(s, np.zeros_like(s.alternatives.limit_ms))
    same = with_limits(none, limits_ms(none))
    assert told(plan(none)) == told(plan(same))


def with_limits(s: Snapshot, limit_ms: np.ndarray) -> Snapshot:
    return freeze(replace(s, alternatives=replace(s.alternatives, limit_ms=limit_ms)))


def told(p: Plan) -> list[object]:
    names = ("start_pending", "start_alternative", "start_node", "victim_attempt", "reserve_ms", "reserve_node", "wait_code")
    return [getattr(p, name).tolist() for name in (*names, "wait_facts", "reserve_alternative")]


@given(everything(waiting_max=1, elastic=False))
@examples(200, most=2000)
def test_it_starts_on_the_first_that_takes_it_and_is_promised_the_one_that_ends_first(world: World) -> None:
    """By brute force, of one that nobody is before and nobody makes room for: what each alternative by itself would give it."""
    s = world.snapshot()
    s = freeze(replace(s, policy=replace(s.policy, reclaims=False), pending=replace(s.pending, preempts=np.zeros(1, np.bool_)),
                       attempts=replace(s.attempts, yields=np.zeros(len(s.attempts.ids), np.bool_))))  # fmt: skip
    made, ends = plan(s), limits_ms(s)
    each = [(alt, plan(on(s, alt))) for alt in range(len(s.alternatives.accelerator))]
    begun = [alt for alt, p in each if len(p.start_pending)]
    promised = [(int(p.reserve_ms[0] + ends[alt]), alt) for alt, p in each if len(p.reserve_pending)]
    assert made.start_alternative.tolist() == begun[:1]
    if not begun:
        over = (made.reserve_ms + ends[made.reserve_alternative]).tolist()
        assert list(zip(over, made.reserve_alternative.tolist(), strict=True)) == sorted(promised)[:1]


def on(s: Snapshot, alt: int) -> Snapshot:
    """The only one that waits, with one of its alternatives: that is its first then, and its limit the limit there."""
    limit = {"limit_ms": limits_ms(s)[alt : alt + 1], "alt_ptr": np.array([0, 1], np.int32)}
    alternatives = replace(picked(s.alternatives, np.array([alt])), limit_ms=np.zeros(1, np.int64))
    return freeze(replace(s, pending=replace(s.pending, **limit), alternatives=alternatives))


@given(worlds(waiting_max=4, speeds=True))
@examples(20, most=1000)
def test_the_smallest_change_starts_it(world: World) -> None:
    s = priced(world.snapshot(), rater)
    for row in range(len(s.pending.ids)):
        rate: Rater = rater(s, row)
        for _, change, p in changed(only(s, row), rate):
            assert len(p.start_pending) == 1 and starts(only(s, row), 0, change, rate)


@given(worlds(waiting_max=3, speeds=True))
@examples(6, most=200)
def test_no_smaller_change_starts_it(world: World) -> None:
    nothing_smaller_starts(priced(world.snapshot(), rater), rater)


@given(worlds(waiting_max=4, money=False, speeds=True))
@examples(25, most=300)
def test_why_tells_what_the_plan_tells(world: World) -> None:
    for _, answer, reason, _ in answered(world.snapshot()):
        assert reason is None or answer.reasons[0] == reason
