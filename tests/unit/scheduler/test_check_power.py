"""The second program on power and maintenance: what is just right passes, one step further is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from dure.scheduler import Plan, Snapshot, check, plan
from dure.scheduler.snapshot import STOPPING
from tests.builders.world import World

LIMIT = 600
IDLE, DEVICE, CORE = 200_000, 700_000, 6_000
ONE = DEVICE + CORE  # what a job of one device and one core draws


def farm(**site: object) -> World:
    """Three nodes of two devices each, two cores; a job that wants one of each starts on one of them."""
    world = World().site("pohang", **site).site("other")  # type: ignore[arg-type]
    for i in range(3):
        world.node(f"n{i}", "pohang", cores=2, devices=2, accelerator="h100", idle_mw=IDLE, device_mw=DEVICE, core_mw=CORE)
    return world


def job(world: World, id: str = "job", **rest: object) -> World:
    return world.pending(id, devices=1, cores=1, limit=LIMIT, **rest)  # type: ignore[arg-type]


def capped(s: Snapshot, world: World, *steps: tuple[float, int], pue: int = 1000) -> Snapshot:
    """The same with an envelope of pohang: (seconds from now, milliwatts)."""
    at = np.array([world.now_ms + int(1000 * second) for second, _ in steps], np.int64)
    mw, ptr = np.array([mw for _, mw in steps], np.int64), np.array([0, len(steps), len(steps)], np.int32)
    sites = replace(s.sites, power_ptr=ptr, power_from_ms=at, power_mw=mw, pue_permille=np.array([pue, 1000]))
    return replace(s, sites=sites)


def closed(s: Snapshot, world: World, node: int, *windows: tuple[float, float]) -> Snapshot:
    """The same with windows of one node: (from, until), seconds from now."""
    ptr = np.where(np.arange(len(s.nodes.ids) + 1) > node, len(windows), 0).astype(np.int32)
    begin, end = (np.array([world.now_ms + int(1000 * w[i]) for w in windows], np.int64) for i in (0, 1))
    return replace(s, nodes=replace(s.nodes, closed_ptr=ptr, closed_from_ms=begin, closed_until_ms=end))


def promised(s: Snapshot, p: Plan, id: str, seconds: int, nodes: Sequence[int]) -> Plan:
    """The plan with a promise besides: a workload that waits gets these nodes, so many seconds from now."""
    row = s.pending.ids.index(id)
    return replace(
        p, reserve_pending=np.array([row], np.int32), reserve_alternative=s.pending.alt_ptr[row : row + 1],
        reserve_ms=np.array([s.now_ms + 1000 * seconds]),
        reserve_site=np.zeros(1, np.int32), reserve_node=np.array(nodes, np.int32), reserve_mask=np.zeros(len(nodes), np.uint64),
        reserve_worker_ptr=np.array([0, len(nodes)], np.int32),
    )  # fmt: skip


def one() -> tuple[World, Snapshot, Plan, int]:
    world = job(farm())
    s = world.snapshot()
    p = plan(s)
    assert len(p.start_pending) == 1 and check(s, p) == ()
    return world, s, p, int(p.start_node[0])


# -- maintenance ----------------------------------------------------------------------------------------------------------


def test_who_ends_by_its_limit_when_a_window_begins_may_start_and_who_would_end_in_it_or_after_it_may_not() -> None:
    world, s, p, node = one()
    assert check(closed(s, world, node, (LIMIT, 9000)), p) == ()
    for window in ((LIMIT - 0.001, 9000), (100, 101), (-5, 1)):
        begin, end = (world.now_ms + int(1000 * second) for second in window)
        assert check(closed(s, world, node, window), p) == (
            f"job starts on n{node} and may run until {world.now_ms + 1000 * LIMIT},"
            f" though nothing may run there from {begin} until {end}",
        )


def test_a_window_of_a_node_closes_no_other() -> None:
    world, s, p, node = one()
    assert check(closed(s, world, (node + 1) % 3, (100, 9000)), p) == ()


def test_each_window_that_is_in_the_way_is_named() -> None:
    world, s, p, node = one()
    assert len(check(closed(s, world, node, (100, 200), (300, 400), (9000, 9001)), p)) == 2


def test_a_claim_that_begins_late_is_held_to_its_own_end() -> None:
    """urgent waits for v, which is gone in 500 s at the latest, and then has its 600 s."""
    world = (
        farm().attempt("v", [("n0", 0b11)], cores=2, ends=500).attempt("x", [("n1", 0b11)], cores=2, ends=500, preemptible=False)
    )
    world.attempt("y", [("n2", 0b11)], cores=2, ends=500, preemptible=False)
    s = job(world, priority="urgent").snapshot()
    p = plan(s)
    assert p.victim_attempt.tolist() == [0] and check(s, p) == ()
    assert check(closed(s, world, 0, (500 + LIMIT, 9000)), p) == ()
    assert len(check(closed(s, world, 0, (500 + LIMIT - 1, 9000)), p)) == 1


@pytest.mark.parametrize(
    ("window", "fine"),
    [
        ((100, 1000), True),
        ((100, 1001), False),
        ((1000 + LIMIT, 9000), True),
        ((999 + LIMIT, 9000), False),
        ((1100, 1101), False),
    ],
)
def test_nobody_is_promised_a_place_within_a_window(window: tuple[int, int], fine: bool) -> None:
    world = job(farm(), "later", eligible=60)
    s = closed(world.snapshot(), world, 1, window)
    p = promised(s, plan(s), "later", 1000, [1])
    begin, end = (world.now_ms + 1000 * second for second in window)
    said = (
        f"later is promised n1 from {world.now_ms + 1_000_000} until {world.now_ms + 1000 * (1000 + LIMIT)},"
        f" though nothing may run there from {begin} until {end}"
    )
    assert check(s, p) == (() if fine else (said,))


# -- power ----------------------------------------------------------------------------------------------------------------


def test_a_start_may_draw_what_is_left_to_the_last_milliwatt() -> None:
    world, s, p, _ = one()
    meant = 3 * IDLE + ONE
    assert check(capped(s, world, (0, meant)), p) == ()
    assert check(capped(s, world, (-60, meant - 1)), p) == (
        f"pohang would draw {meant} mW at {world.now_ms}, where it may draw {meant - 1};"
        f" without what the plan starts and promises it would be {3 * IDLE}",
    )


def test_the_overhead_of_the_site_counts_rounded_up() -> None:
    world, s, p, _ = one()
    meant = -(-(3 * IDLE + ONE) * 1333 // 1000)
    assert check(capped(s, world, (0, meant), pue=1333), p) == ()
    assert len(check(capped(s, world, (0, meant - 1), pue=1333), p)) == 1


def test_a_cap_that_falls_later_binds_those_who_are_still_there_then() -> None:
    world, s, p, _ = one()
    assert check(capped(s, world, (0, -1), (LIMIT, 0)), p) == ()
    fallen = check(capped(s, world, (0, -1), (LIMIT - 1, 3 * IDLE), (LIMIT, 0)), p)
    assert len(fallen) == 1 and f"mW at {world.now_ms + 1000 * (LIMIT - 1)}, where" in fallen[0]


def test_a_site_that_draws_too_much_already_is_no_fault_of_a_plan_that_adds_nothing_to_it() -> None:
    world = farm().attempt("a", [("n0", 0b11)], cores=2, ends=300)
    s = capped(world.snapshot(), world, (0, 1))
    assert check(s, plan(s)) == ()
    added = job(world).snapshot()
    p = plan(added)
    assert len(p.start_pending) == 1
    assert [fault[:6] for fault in check(capped(added, world, (0, 1)), p)] == ["pohang"]
    gone = 3 * IDLE + ONE
    assert check(capped(added, world, (0, -1), (300, gone)), p) == ()
    assert len(check(capped(added, world, (0, -1), (299, gone)), p)) == 1


def test_a_claim_adds_only_what_it_draws_above_those_who_make_room() -> None:
    """v has both devices of n0 and leaves for urgent, which has one of them: until v is gone, v's draw counts and no more."""
    world = farm().attempt("v", [("n0", 0b11)], cores=2, ends=500)
    for node in ("n1", "n2"):
        world.attempt(node, [(node, 0b11)], cores=2, ends=2000, preemptible=False)
    s = job(world, priority="urgent").snapshot()
    p = plan(s)
    full = 3 * (IDLE + 2 * DEVICE + 2 * CORE)
    assert len(p.victim_attempt) == 1 and check(capped(s, world, (0, full)), p) == ()
    assert check(capped(s, world, (0, 1)), p) == ()  # overfull, and it adds nothing: less is drawn once v is gone
    late = full - 2 * DEVICE - 2 * CORE + ONE
    assert check(capped(s, world, (0, -1), (500, late)), p) == ()
    assert len(check(capped(s, world, (0, -1), (500, late - 1)), p)) == 1
    assert len(check(capped(s, world, (0, -1), (500 + LIMIT - 1, late - 1)), p)) == 1
    assert check(capped(s, world, (0, -1), (500 + LIMIT, late - 1)), p) == ()


def test_a_claim_of_an_earlier_plan_counts_like_one_of_this() -> None:
    world = farm().attempt("v", [("n0", 0b1)], cores=1, state=STOPPING, ends=100).attempt("stray", [], cores=1)
    world.claim("x", [("n0", 0b11)], victims=["v"], cores=2, started=0, ends=300)
    s = job(world).snapshot()
    p = plan(s)
    assert len(p.start_pending) == 1
    now = 3 * IDLE + 2 * DEVICE + 2 * CORE + ONE
    assert check(capped(s, world, (0, now)), p) == () and len(check(capped(s, world, (0, now - 1)), p)) == 1
    late = 3 * IDLE + ONE
    assert check(capped(s, world, (0, -1), (400, late)), p) == () and len(check(capped(s, world, (0, -1), (399, late)), p)) == 1


def test_a_promise_has_its_power_when_it_begins() -> None:
    world = job(farm(), "later", eligible=60).attempt("a", [("n0", 0b1)], cores=1, ends=1000)
    s = world.snapshot()
    p = promised(s, plan(s), "later", 900, [1])
    both = 3 * IDLE + 2 * ONE
    assert check(capped(s, world, (0, both)), p) == ()
    assert [f"at {s.now_ms + 900_000}, " in fault for fault in check(capped(s, world, (0, both - 1)), p)] == [True]
    alone = promised(s, plan(s), "later", 1000, [1])
    assert check(capped(s, world, (0, both - 1)), alone) == ()


def test_a_start_does_not_take_the_power_of_a_promise() -> None:
    world = job(job(farm()), "later", eligible=60)
    s = world.snapshot()
    p = promised(s, plan(s), "later", LIMIT - 1, [1])
    assert len(p.start_pending) == 1
    both = 3 * IDLE + 2 * ONE
    assert check(capped(s, world, (0, both)), p) == () and len(check(capped(s, world, (0, both - 1)), p)) == 1
    assert check(capped(s, world, (0, both - 1)), promised(s, plan(s), "later", LIMIT, [1])) == ()
