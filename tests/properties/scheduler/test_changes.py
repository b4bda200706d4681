"""A suggestion is proved before it is made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given

from dure.scheduler import Change, NoChange, apply_change, check, plan, smallest_change, suggest, why
from tests.builders.world import World
from tests.builders.worlds import examples, worlds


def rate(
    accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int, limit_ms: int, preemptible: bool
) -> tuple[int, ...]:
    price = {"": 0, "a100": 30, "npu": 10}[accelerator]
    won = workers * limit_ms * (cores_milli + 1000 * price * devices) // 1_000_000_000
    return (won * 8 // 10 if preemptible else won, -1)


@given(worlds(waiting_max=4))
@examples(25)
def test_the_smallest_change_always_starts_it(world: World) -> None:
    s = world.snapshot()
    for row in range(len(s.pending.ids)):
        change = smallest_change(s, row, rate)
        if change is None:
            continue
        assert 1 <= len(change.changed()) <= 2
        then = apply_change(s, row, change, rate)
        p = plan(then)
        at = np.flatnonzero(p.start_pending == row)
        assert len(at) == 1, change
        assert bool(p.start_victim_ptr[at[0] + 1] - p.start_victim_ptr[at[0]]) == change.claims
        assert check(then, p) == ()
        if change.funds_won:
            less = replace(change, funds_won=change.funds_won - 1)
            poorer = plan(apply_change(s, row, less, rate)) if less.changed() else plan(s)
            assert row not in poorer.start_pending


@given(worlds(waiting_max=4))
@examples(15)
def test_why_agrees_with_the_plan(world: World) -> None:
    s = world.snapshot()
    p = plan(s)
    for row in range(len(s.pending.ids)):
        answer = why(s, p, row, plans_max=0)
        if p.wait_code[row] < 0:
            assert answer.no_change is NoChange.STARTS_ALREADY
            continue
        assert len({r.kind for r in answer.reasons}) == len(answer.reasons) > 0
        assert [site for site, _ in answer.sites] == list(s.sites.ids)
        assert (answer.promised_ms > 0) == (row in p.reserve_pending)
        assert answer.next_event is None or answer.next_event.at_ms > s.now_ms


@given(worlds(waiting_max=3))
@examples(15)
def test_a_suggestion_or_a_typed_no(world: World) -> None:
    s = world.snapshot()
    started = plan(s).start_pending.tolist()
    for row in range(len(s.pending.ids)):
        found = suggest(s, row)
        assert isinstance(found, Change | NoChange)
        assert (found is NoChange.STARTS_ALREADY) == (row in started)
