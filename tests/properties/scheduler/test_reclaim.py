"""What is lent comes back: who stays within its quota takes room from those who borrow, and from nobody else; and it comes to an
end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.policy import Policy
from dure.model.reason import ReasonKind
from dure.scheduler import Basis, Plan, Snapshot, check, freeze, plan, why
from dure.scheduler.check_quota import Cohorts, Guard, cohorts_of
from dure.scheduler.rows import without_attempts
from dure.scheduler.snapshot import RUNNING
from tests.builders.world import PRIORITY, World
from tests.builders.worlds import examples, lent, worlds
from tests.properties.scheduler.oracle import answered, may_start, preempted_then, start_as_told, victims_of

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine
NAMES = {c.value: name for name, c in PRIORITY.items()}


def lending(waiting_max: int = 6, **more: bool) -> st.SearchStrategy[World]:
    """Mostly farms that are full of what was lent; and any, where there is more than quotas to keep to."""
    return st.one_of(lent(waiting_max), lent(waiting_max), worlds(waiting_max=waiting_max, money=False, quotas=True, **more))


@pytest.mark.unmeasured
@given(lending(8, power=True, windows=True, blocks=True, shares=True, tastes=True, yields=True))
@examples(250)
def test_every_plan_passes_the_check_whoever_reclaims(world: World) -> None:
    s = world.snapshot()
    assert check(s, plan(s)) == ()


@given(lending(8, yields=True))
@examples(150)
def test_what_is_reclaimed_is_not_borrowed_and_who_makes_room_borrowed(world: World) -> None:
    """Its project, or an organisation above it, uses no more than it has then; who makes room was of a project that used more."""
    s = world.snapshot()
    p, a = plan(s), s.attempts
    now, before = cohorts_of(s), cohorts_of(s)
    guard = Guard(s, now)
    for i, row in enumerate(p.start_pending.tolist()):
        leaf = int(s.projects.share[s.pending.project[row]])
        wanted = {
            int(s.alternatives.accelerator[p.start_alternative[i]]): int(s.pending.devices[row]) * 1000,
            len(s.accelerators): int(s.pending.cores_milli[row]),
        }
        wanted = {c: amount * int(s.pending.workers[row]) for c, amount in wanted.items() if c in now and amount}
        for v in victims_of(p, i)[::-1] if p.start_reclaims[i] else ():
            other = int(s.projects.share[a.project[v]])
            assert any(before[c].borrowed(other) > 0 for c in wanted), "it uses more than it has of what is wanted"
            guard.count(before, v, -1)
        for column, amount in wanted.items():
            _take(now[column], leaf, amount)
        if p.start_reclaims[i]:
            way = _way(s, leaf)[:-1]
            assert all(any(now[c].borrowed(x) == 0 for x in way) for c in wanted if now[c].has[leaf] < np.inf)


def _take(cohorts: Cohorts, leaf: int, amount: int) -> None:
    cohorts.take(leaf, amount)


def _way(s: Snapshot, row: int) -> list[int]:
    return [row] if row == 0 else [row, *_way(s, int(s.shares.parent[row]))]


@given(lending(waiting_max=1, yields=True))
@examples(300)
def test_who_could_start_were_one_gone_whose_place_it_may_reclaim_waits_for_nothing_else(world: World) -> None:
    """By brute force: each that runs, one by one."""
    s = world.snapshot()
    p, a = plan(s), s.attempts
    if p.wait_code[0] < 0 or (a.beneficiary >= 0).any():  # what leaves already keeps its place for somebody
        return
    guard = Guard(s, cohorts_of(s))
    usable = s.nodes.usable & (s.sites.reachable & ~s.sites.drained)[s.nodes.site]
    for v in range(len(a.ids)):
        may = a.state[v] == RUNNING and a.preemptible[v] and (a.yields[v] or s.now_ms - a.started_ms[v] >= s.policy.min_run_ms)
        if not may or not usable[a.worker_node[a.worker_ptr[v]]]:
            continue
        then = freeze(without_attempts(s, np.arange(len(a.ids)) == v))
        after = plan(then)
        if after.wait_code[0] >= 0 or after.victim_attempt.size:
            continue
        kind = int(s.alternatives.accelerator[after.start_alternative[0]])
        wanted = {len(s.accelerators): int(s.pending.cores_milli[0] * s.pending.workers[0])}
        if kind >= 0:
            wanted[kind] = int(s.pending.devices[0] * s.pending.workers[0]) * 1000
        assert next(guard.asked(0, wanted, [v], True), None) is not None, f"{a.ids[v]} could make room"


@pytest.mark.unmeasured
@given(lending(10))
@examples(200)
def test_plan_after_plan_it_comes_to_an_end(world: World) -> None:
    """Whoever makes room leaves at once and waits again; nobody is guaranteed any run, and nothing ends."""
    world.policy = replace(world.policy, min_run_ms=0, reservations_max=0, classes=Policy().classes)
    for attempt in world.attempts:
        attempt["yields"] = attempt["priority"] == PRIORITY["background"].value
    for _ in range(40):
        s = world.snapshot()
        p = plan(s)
        assert check(s, p) == ()
        if not len(p.start_pending):
            return
        _carry_out(world, s, p)
    raise AssertionError("it never ends")


def _carry_out(world: World, s: Snapshot, p: Plan) -> None:
    gone = {s.attempts.ids[v] for v in p.victim_attempt.tolist()}
    left, waits = [a for a in world.attempts if a["id"] in gone], list(world.waiting)
    world.attempts = [a for a in world.attempts if a["id"] not in gone]
    started = [s.pending.ids[row] for row in p.start_pending.tolist()]
    world.waiting = [w for w in waits if w["id"] not in started]
    asked = {w["id"]: w for w in waits}
    for i, id in enumerate(started):
        at = range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1])
        seats = [(s.nodes.ids[p.start_node[k]], int(p.start_mask[k])) for k in at]
        w = asked[id]
        world.attempt(
            id, seats, project=w["project"], priority=NAMES[w["class"].value], cores=w["cores_milli"] / 1000, memory=w["memory"],
            preemptible=w["preemptible"], started=0, ends=None, yields=w["class"].name == "background",
        )  # fmt: skip
    for a in left:
        _wait_again(world, a)


def _wait_again(world: World, a: dict[str, Any]) -> None:
    world.pending(
        a["id"], project=a["project"], priority=NAMES[a["priority"]], workers=len(a["seats"]), cores=a["cores_milli"] / 1000,
        memory=a["memory"], devices=a["seats"][0][1].bit_count(), submitted=-2000,
    )  # fmt: skip


@pytest.mark.unmeasured
@given(lending(yields=True))
@examples(100)
def test_a_policy_that_does_not_reclaim_asks_by_class_alone(world: World) -> None:
    world.policy = replace(world.policy, reclaims=False)
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == () and not p.start_reclaims.any()
    for i, row in enumerate(p.start_pending.tolist()):
        assert (s.attempts.priority[victims_of(p, i)] < s.pending.priority[row]).all()


@pytest.mark.unmeasured
@given(lending(waiting_max=4, yields=True))
@examples(40, most=2000)
def test_the_smallest_change_starts_it_also_where_it_reclaims(world: World) -> None:
    start_as_told(world.snapshot())


@given(lending(waiting_max=4))
@examples(40, most=2000)
def test_why_says_who_reclaims_and_agrees_with_the_plan(world: World) -> None:
    for row, answer, reason, p in answered(world.snapshot()):
        if reason is not None:
            continue
        i = p.start_pending.tolist().index(row)
        told = [r.facts.get("reclaimed", 0) for r in answer.reasons if r.kind == ReasonKind.WAITS_VICTIMS]
        assert told == [len(victims_of(p, i)) * bool(p.start_reclaims[i])] * bool(victims_of(p, i))


@pytest.mark.unmeasured
@given(lending(waiting_max=5))
@examples(100)
def test_a_place_that_it_will_reclaim_is_told_and_comes_then_and_not_before(world: World) -> None:
    """For one workload alone: nothing but time passes."""
    world.waiting = world.waiting[:1]
    s = world.snapshot()
    p = plan(s)
    if p.wait_code[0] < 0 or not may_start(s):
        return
    event = why(s, p, 0, plans_max=0).next_event
    if event is None or event.basis is not Basis.QUOTA:
        return
    preempted_then(s, p, s.pending.ids[0], event)
