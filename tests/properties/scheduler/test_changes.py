"""A suggestion is proved before it is made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.policy import Policy
from dure.scheduler import Change, NextKind, NoChange, Rater, Snapshot, apply_change, check, plan, smallest_change, suggest, why
from dure.scheduler.snapshot import RUNNING
from tests.builders.world import World
from tests.builders.worlds import examples, worlds
from tests.properties.scheduler.oracle import later, preempted_then, priced, smaller, starts

pytestmark = pytest.mark.unmeasured


def rater(s: Snapshot, row: int) -> Rater:
    """Exact prices for the workload in a row: dearer classes cost more."""

    def rate(
        accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int, share_milli: int, limit_ms: int,
        preemptible: bool, priority: str,
    ) -> tuple[int, ...]:  # fmt: skip
        price = {"": 0, "a100": 30, "npu": 10}[accelerator]
        own = next(c for c in s.policy.classes if c.value == s.pending.priority[row])
        permille = s.policy.class_of(priority or own.name).price_permille * (800 if preemptible else 1000)
        return (workers * limit_ms * (cores_milli + price * (1000 * devices + share_milli)) * permille // 10**15, -1)

    return rate


@given(worlds(waiting_max=4))
@examples(25, most=2000)
def test_the_smallest_change_always_starts_it(world: World) -> None:
    s = priced(world.snapshot(), rater)
    for row in range(len(s.pending.ids)):
        change = smallest_change(s, row, rate := rater(s, row))
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


@given(worlds(waiting_max=4), st.sets(st.sampled_from([c.name for c in Policy().classes])))
@examples(20, most=1000)
def test_no_class_is_suggested_that_may_not_be_used_and_a_forbidden_one_is_named_only_when_it_would_help(
    world: World, usable: set[str]
) -> None:
    s = priced(world.snapshot(), rater)
    for row in range(len(s.pending.ids)):
        rate = rater(s, row)
        found = suggest(s, row, rate, plans_max=1000, classes=tuple(usable))
        free = suggest(s, row, rate, plans_max=1000)
        if found.change is not None:
            assert found.change.priority in ("", *usable) and starts(s, row, found.change, rate)
        elif found.no_change in (NoChange.FORBIDDEN_CLASS, NoChange.FORBIDDEN_PAIR):
            assert free.change is not None and free.change.priority not in ("", *usable)
            alone = found.no_change is NoChange.FORBIDDEN_CLASS
            assert alone == (free.change == Change(priority=free.change.priority, claims=free.change.claims))
        else:
            assert free.change is None


@given(worlds(waiting_max=4))
@examples(15, most=2000)
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
@examples(15, most=2000)
def test_a_suggestion_or_a_typed_no(world: World) -> None:
    s = world.snapshot()
    started = plan(s).start_pending.tolist()
    for row in range(len(s.pending.ids)):
        found = suggest(s, row)
        assert (found.change is None) != (found.no_change is None)
        assert (found.no_change is NoChange.STARTS_ALREADY) == (row in started)


@given(worlds(waiting_max=3), st.booleans())
@examples(6, most=200)
def test_no_smaller_change_starts_it(world: World, elsewhere: bool) -> None:
    """By brute force: nothing smaller than what is suggested starts it, and where nothing is suggested nothing at all does.
    elsewhere: it may be of another project."""
    s = priced(world.snapshot(), rater)
    projects = s.projects.ids if elsewhere else ()
    for row in range(len(s.pending.ids)):
        found = suggest(s, row, rate := rater(s, row), plans_max=1000, projects=projects)
        assert not found.stopped
        if found.no_change not in (NoChange.STARTS_ALREADY, NoChange.NOT_YET):
            less = next((c for c in smaller(s, row, found.change, projects) if starts(s, row, c, rate)), None)
            assert less is None or (less.funds_won and mates(s, row, less)), (s.pending.ids[row], found.change, less)


def mates(s: Snapshot, row: int, change: Change) -> bool:
    """Whether others of its project wait. Money may help them and hinder it: not every amount that would do is found then."""
    own = s.projects.ids.index(change.project) if change.project else s.pending.project[row]
    return bool((np.delete(s.pending.project, row) == own).any())


@given(worlds(waiting_max=4, quotas=True))
@examples(25, most=2000)
def test_another_project_is_suggested_only_where_it_helps(world: World) -> None:
    s = priced(world.snapshot(), rater)
    for row in range(len(s.pending.ids)):
        rate = rater(s, row)
        found, stays = suggest(s, row, rate, 1000, projects=s.projects.ids), suggest(s, row, rate, 1000)
        if found.change is None:
            assert stays.change is None
        elif found.change.project:
            assert found.change.project != s.projects.ids[s.pending.project[row]] and starts(s, row, found.change, rate)
            then = apply_change(s, row, found.change, rate)
            assert check(then, plan(then)) == ()
            assert stays.change is None or len(stays.change.changed()) >= len(found.change.changed())
        else:
            assert found.change == stays.change
        if found.change is not None:
            p = plan(then := apply_change(s, row, found.change, rate))
            start = int(np.flatnonzero(p.start_pending == row)[0])
            assert found.site == then.sites.ids[then.nodes.site[p.start_node[p.start_worker_ptr[start]]]]


@given(worlds(waiting_max=4))
@examples(10, most=500)
def test_a_search_that_is_cut_short_says_so_and_still_suggests_only_what_starts(world: World) -> None:
    s = world.snapshot()
    for row in range(len(s.pending.ids)):
        rate = rater(s, row)
        whole = suggest(s, row, rate, plans_max=1000)
        for plans_max in range(4):
            found = suggest(s, row, rate, plans_max)
            assert found.plans <= plans_max
            if not found.stopped:
                assert (found.change, found.no_change) == (whole.change, whole.no_change)
            elif found.change is not None:
                assert starts(s, row, found.change, rate)
            else:
                assert found.no_change is NoChange.SEARCH_ENDED


@given(worlds(waiting_max=5, money=False))
@examples(60)
def test_a_preemption_that_was_told_comes_and_not_before(world: World) -> None:
    """For the one workload that is most important: nothing but time passes, and then it gets the place that it was told of."""
    s = world.snapshot()
    urgent = np.flatnonzero(s.pending.preempts).tolist()
    p = plan(s)
    if len(urgent) != 1 or p.wait_code[urgent[0]] < 0:
        return
    answer = why(s, p, urgent[0], plans_max=0)
    event, id = answer.next_event, s.pending.ids[urgent[0]]
    until_ms = min(answer.promised_ms or 1 << 62, event.at_ms if event else 1 << 62)
    moments = s.attempts.started_ms[s.attempts.state == RUNNING] + s.policy.min_run_ms
    for at_ms in sorted({m for m in moments.tolist() if s.now_ms < m < until_ms}):
        then = later(s, p, at_ms)
        assert then.pending.ids.index(id) not in plan(then).start_pending, "it was told of nothing before"
    if event is None or event.kind is not NextKind.PREEMPTION:
        return
    then = preempted_then(s, p, id, event)
    assert event.workload == then.attempts.workloads[then.attempts.ids.index(event.subject)]
