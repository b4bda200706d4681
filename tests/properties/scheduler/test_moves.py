"""Who moves goes on elsewhere, so that others have room together: nobody loses a place by it, and it comes to an end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.policy import Policy
from dure.model.reason import ReasonKind
from dure.scheduler import Plan, Snapshot, check, plan
from dure.scheduler.attempts import rests
from dure.scheduler.snapshot import LAUNCHING, STOPPING
from tests.builders.plans import both
from tests.builders.world import PRIORITY, World
from tests.builders.worlds import examples, lent, movable, moving, scattered, worlds
from tests.properties.scheduler.oracle import answered, start_as_told, victims_of

# whoever comes first compiles: minutes on a busy machine
pytestmark = [pytest.mark.unmeasured, pytest.mark.timeout(1800)]
NAMES = {c.value: name for name, c in PRIORITY.items()}


ALL = {"power": True, "windows": True, "quotas": True, "blocks": True, "tastes": True, "yields": True, "shares": True}


@given(moving(8, **ALL, elastic=True, speeds=True))
@examples(400)
def test_every_plan_passes_the_check_whoever_moves(world: World) -> None:
    s = world.snapshot()
    assert check(s, plan(s)) == ()


@st.composite
def plain(draw: st.DrawFn) -> World:
    """What the plain program knows the rules of."""
    if draw(st.booleans()):
        return draw(scattered(8))
    return movable(draw, draw(worlds(yields=True, elastic=True, speeds=True)))


@given(plain())
@examples(300, most=5000)
def test_the_plain_program_moves_the_same(world: World) -> None:
    both(world.snapshot())


@given(scattered(waiting_max=1))
@examples(300)
def test_who_could_start_were_one_elsewhere_waits_for_nothing_else(world: World) -> None:
    """By brute force: each that may be moved, on each node that has the room."""
    s = world.snapshot()
    p = plan(s)
    if p.wait_code[0] < 0 or world.waiting[0]["workers"] > 1 or world.waiting[0]["class"].name == "background":
        return
    by_id = {node["id"]: node for node in world.nodes}
    for row in rests(s, s.now_ms).nonzero()[0].tolist():
        moved = next(a for a in world.attempts if a["id"] == s.attempts.ids[row])
        old, mask = moved["seats"][0]
        for node in by_id.values():
            taken = sum(m for a in world.attempts for n, m in a["seats"] if n == node["id"])
            free = [1 << d for d in range(8) if node["mask"] & ~taken & 1 << d]
            if node["site"] != by_id[old]["site"] or not node["usable"] or len(free) < mask.bit_count() or node["id"] == old:
                continue
            moved["seats"] = ((node["id"], sum(free[: mask.bit_count()])),)
            after = plan(world.snapshot())
            moved["seats"] = ((old, mask),)
            assert after.wait_code[0] >= 0 or after.victim_attempt.size, f"{moved['id']} could be on {node['id']}"


@given(moving(8, quotas=True, yields=True))
@examples(150)
def test_nobody_moves_where_less_will_do_and_nobody_for_nothing(world: World) -> None:
    """For one that waits alone: without moving it would wait, or make others leave whom it does not ask to."""
    world.waiting = world.waiting[:1]
    s = world.snapshot()
    p = plan(s)
    if not len(p.place_node):
        return
    rest = plan(replace(s, policy=replace(s.policy, moves=False)))
    assert rest.wait_code[0] >= 0 or len(victims_of(rest, 0)) > 0, "it would start at once"
    assert rest.wait_code[0] >= 0 or not s.attempts.yields[victims_of(rest, 0)].all() or rest.start_reclaims[0]
    for v in victims_of(p, 0):
        stays = world.attempts[:]
        held = next(a for a in stays if a["id"] == s.attempts.ids[v])
        held["rest_ms"], kept = 0, held["rest_ms"]
        others = plan(world.snapshot())
        held["rest_ms"] = kept
        again = [s.attempts.ids[x] for x in victims_of(p, 0) if x != v]
        spared = others.wait_code[0] < 0 and [s.attempts.ids[x] for x in others.victim_attempt.tolist()] == again
        assert not spared, f"{held['id']} could be spared"


@given(moving(8, quotas=True, yields=True))
@examples(100)
def test_a_policy_that_does_not_move_moves_nobody(world: World) -> None:
    world.policy = replace(world.policy, moves=False)
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == () and not len(p.place_node)


@given(st.one_of(scattered(10), scattered(10), lent(10)))
@examples(200)
def test_plan_after_plan_it_comes_to_an_end(world: World) -> None:
    """Whoever makes room leaves at once, and waits again or is where it is moved to; nobody is guaranteed any run, and nothing
    ends."""
    world.policy = replace(
        world.policy, moves=True, reclaims=True, min_run_ms=0, reservations_max=0, classes=Policy().classes
    )  # fmt: skip
    for attempt in world.attempts:
        attempt |= {"yields": attempt["priority"] == PRIORITY["background"].value, "rest_ms": 100_000}
    for _ in range(60):
        s = world.snapshot()
        p = plan(s)
        assert check(s, p) == ()
        if not len(p.start_pending):
            return
        _carry_out(world, s, p)
    raise AssertionError("it never ends")


@given(st.one_of(moving(8, quotas=True, yields=True), lent(8)))
@examples(150)
def test_while_some_move_every_plan_passes_the_check(world: World) -> None:
    """The plan after one that moved somebody, who is stopping while the new place is kept, which is counted as nobody's."""
    world.policy = replace(world.policy, moves=True, reclaims=True)
    for attempt in world.attempts:
        attempt["rest_ms"] = 100_000
    s = world.snapshot()
    p = plan(s)
    before = s.quotas.used
    _ask(world, s, p)
    then = world.snapshot()
    if len(then.attempts.ids) > len(s.attempts.ids):
        assert (then.quotas.used >= before).all(), "who moves uses no less"
    assert check(then, plan(then)) == ()


def _ask(world: World, s: Snapshot, p: Plan) -> None:
    """Tell those who move for somebody to stop, keep their places, and claim theirs."""
    for i, row in enumerate(p.start_pending.tolist()):
        if not p.moved(i):
            continue
        w, names = next(w for w in world.waiting if w["id"] == s.pending.ids[row]), []
        for v in range(p.start_victim_ptr[i], p.start_victim_ptr[i + 1]):
            old = next(a for a in world.attempts if a["id"] == s.attempts.ids[p.victim_attempt[v]])
            at = range(p.victim_place_ptr[v], p.victim_place_ptr[v + 1])
            seats = tuple((s.nodes.ids[p.place_node[k]], int(p.place_mask[k])) for k in at)
            begun = {"started_ms": world.now_ms, "ends_ms": world.now_ms + old["rest_ms"]}
            world.attempts.append(old | begun | {
                "id": f"{old['id']}-next", "seats": seats, "follows": old["id"], "state": LAUNCHING, "preemptible": False,
                "yields": False, "rest_ms": 0,
            })  # fmt: skip
            old |= {"state": STOPPING, "rest_ms": 0}
            names.append(old["id"])
        at = range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1])
        world.claim(
            f"{w['id']}-claim", [(s.nodes.ids[p.start_node[k]], int(p.start_mask[k])) for k in at], names, project=w["project"],
            cores=w["cores_milli"] / 1000, memory=w["memory"], workload=w["id"], started=0, ends=w["limit_ms"] / 1000,
        )  # fmt: skip
        world.waiting.remove(w)


def _carry_out(world: World, s: Snapshot, p: Plan) -> None:
    moved: dict[str, Any] = {}
    for v, row in enumerate(p.victim_attempt.tolist()):
        at = range(p.victim_place_ptr[v], p.victim_place_ptr[v + 1])
        moved[s.attempts.ids[row]] = tuple((s.nodes.ids[p.place_node[k]], int(p.place_mask[k])) for k in at)
    left = [a for a in world.attempts if a["id"] in moved and not moved[a["id"]]]
    world.attempts = [a | {"seats": moved.get(a["id"]) or a["seats"]} for a in world.attempts if a not in left]
    asked = {w["id"]: w for w in world.waiting}
    started = [s.pending.ids[row] for row in p.start_pending.tolist()]
    world.waiting = [w for w in world.waiting if w["id"] not in started]
    for i, id in enumerate(started):
        at = range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1])
        seats, w = [(s.nodes.ids[p.start_node[k]], int(p.start_mask[k])) for k in at], asked[id]
        world.attempt(
            id, seats, project=w["project"], priority=NAMES[w["class"].value], cores=w["cores_milli"] / 1000, memory=w["memory"],
            preemptible=w["preemptible"], started=0, ends=None, yields=w["class"].name == "background", rest=100,
        )  # fmt: skip
    for a in left:
        world.pending(
            a["id"], project=a["project"], priority=NAMES[a["priority"]], workers=len(a["seats"]), cores=a["cores_milli"] / 1000,
            memory=a["memory"], devices=a["seats"][0][1].bit_count(), submitted=-2000,
        )  # fmt: skip


@given(scattered(waiting_max=4))
@examples(40, most=2000)
def test_the_smallest_change_starts_it_also_where_others_move(world: World) -> None:
    start_as_told(world.snapshot())


@given(scattered(waiting_max=4))
@examples(40, most=2000)
def test_why_says_who_moves_and_agrees_with_the_plan(world: World) -> None:
    for row, answer, reason, p in answered(world.snapshot()):
        if reason is not None:
            continue
        i = p.start_pending.tolist().index(row)
        told = [r.facts.get("moved", 0) for r in answer.reasons if r.kind == ReasonKind.WAITS_VICTIMS]
        assert told == [len(victims_of(p, i)) * p.moved(i)] * bool(victims_of(p, i))
