"""What sites draw, and when nothing may run: the formula, by value, and against a plain reading of it."""

from __future__ import annotations

import numpy as np
import pytest

from dure.scheduler.attempts import latest_ends
from dure.scheduler.power import (
    UNCAPPED,
    at_meter_mw,
    attempts_mw,
    cap_mw,
    caps_mw,
    closing,
    draw_mw,
    idle_mw,
    in_the_way,
    live_mw,
)
from dure.scheduler.powers import power_of
from dure.scheduler.snapshot import STOPPING
from tests.builders.world import World


def farm() -> World:
    """Two nodes at pohang, of which one is drained and one of another kind; nothing is known of busan."""
    world = World().site("pohang", pue=1300).site("busan", 1, cores=4, devices=2, accelerator="h100").site("empty")
    world.node("n0", "pohang", cores=8, devices=4, accelerator="h100", idle_mw=200_000, device_mw=700_000, core_mw=6_000)
    return world.node("n1", "pohang", cores=8, usable=False, idle_mw=50_001, core_mw=333)


def at(world: World, seconds: float) -> list[int]:
    return draw_mw(world.snapshot(), world.now_ms + int(seconds * 1000)).tolist()


def test_a_node_draws_when_nothing_runs_also_when_it_is_drained() -> None:
    world = farm()
    assert idle_mw(world.snapshot()).tolist() == [250_001, 0, 0]
    assert at(world, 0) == [325_002, 0, 0]  # 325,001.3 rounded up


def test_all_workers_of_a_gang_count_and_only_until_its_latest_end() -> None:
    world = farm().attempt("gang", [("n0", 0b11), ("n1", 0)], cores=1.5, ends=100).attempt("late", [("n0", 0b100)], ends=-5)
    assert attempts_mw(world.snapshot()).tolist() == [1_409_500, 706_000]  # of 499.5 rounded up
    both = 250_001 + 1_409_500 + 706_000
    assert live_mw(world.snapshot(), world.now_ms).tolist() == [both, 0, 0]
    assert at(world, 0)[0] == at(world, 0.999)[0] == -(-both * 13 // 10)
    assert at(world, 1)[0] == at(world, 99)[0] == -(-(both - 706_000) * 13 // 10)  # what is overdue counts for a second
    assert at(world, 100)[0] == 325_002


def test_of_a_claim_and_those_who_make_room_the_side_that_draws_more_counts_until_it_is_gone() -> None:
    """claim has 300 s once its victims have left, at the latest in 100 s."""
    world = farm().attempt("v", [("n0", 0b1)], cores=0, state=STOPPING, ends=100)
    world.attempt("w", [("n0", 0b10)], cores=0, state=STOPPING, ends=50)
    world.claim("x-claim", [("n0", 0b1)], victims=["v", "w"], cores=0, started=0, ends=300)
    drawn = [(draw * 10 // 13) // 100_000 for draw in (at(world, second)[0] for second in (0, 49, 50, 100, 399, 400))]
    assert drawn == [16, 16, 9, 9, 9, 2]  # two devices, then one of either, then none


def test_an_attempt_on_a_node_that_nobody_knows_draws_nothing() -> None:
    assert at(farm().attempt("a", []), 0)[0] == 325_002


def test_power_is_left_behind_at_the_site_where_an_attempt_is_known_to_be_and_by_its_end() -> None:
    world = World().site("a", power=[(0, 9_000)]).site("b", power=[(0, 9_000)])
    world.node("n0", "a", devices=4, accelerator="h100", device_mw=100).node(
        "n1", "b", devices=4, accelerator="h100", device_mw=7
    )
    world.attempt("late", [("n0", 0b1)], cores=0, ends=90).attempt("lost", [], ends=5).attempt(
        "soon", [("n0", 0b10)], cores=0, ends=30
    )
    world.attempt("there", [("n1", 0b11)], cores=0, ends=60)
    s = world.snapshot()
    ends = latest_ends(s)
    power = power_of(s, ends, np.argsort(ends, kind="stable"), 0)
    assert power.site.gone.tolist() == [0, 2, 3]
    assert ((power.gone.at - s.now_ms) // 1000).tolist() == [30, 90, 60]
    assert power.gone.left.tolist() == [200, 100, 14]


def test_the_meter_shows_the_overhead_rounded_up() -> None:
    assert at_meter_mw(np.array([1000, 1001, 0]), np.array([1300, 1300, 1300])).tolist() == [1300, 1302, 0]


def test_a_cap_holds_from_its_step_to_the_next() -> None:
    world = World().site("a", power=[(-60, 9_000), (60, -1), (120, 5_000)]).site("b")
    sites, now = world.snapshot().sites, world.now_ms
    assert [cap_mw(sites, 0, now + 1000 * s) for s in (-61, 0, 59, 60, 119, 120, 999)] == [
        UNCAPPED, 9_000, 9_000, UNCAPPED, UNCAPPED, 5_000, 5_000,
    ]  # fmt: skip
    assert caps_mw(sites, now).tolist() == [9_000, UNCAPPED]


@pytest.mark.parametrize(
    ("at_s", "found"), [(0, (-10, 20)), (19, (-10, 20)), (20, (40, 60)), (59, (40, 60)), (60, None), (99, None)]
)
def test_the_next_window_of_a_node_is_the_first_that_is_not_over(at_s: int, found: tuple[int, int] | None) -> None:
    world = World().site("a").node("n0", "a").node("n1", "a", closed=[(-10, 20), (40, 60)]).node("n2", "a", closed=[(70, 80)])
    nodes, now = world.snapshot().nodes, world.now_ms
    wanted = tuple(now + 1000 * s for s in found) if found else None
    assert closing(nodes, 1, now + 1000 * at_s) == wanted
    assert closing(nodes, 0, now + 1000 * at_s) is None


def test_the_window_in_the_way_is_the_first_that_begins_before_the_end() -> None:
    world = World().site("a").node("n0", "a", closed=[(50, 60)]).node("n1", "a", closed=[(40, 90)]).node("n2", "a")
    nodes, now = world.snapshot().nodes, world.now_ms

    def way(from_s: int, until_s: int, *among: int) -> tuple[int, int] | None:
        found = in_the_way(nodes, among, now + 1000 * from_s, now + 1000 * until_s)
        return None if found is None else ((found[0] - now) // 1000, (found[1] - now) // 1000)

    assert way(0, 40, 0, 1, 2) is None and way(0, 41, 0, 1, 2) == (40, 90) and way(0, 51, 0, 2) == (50, 60)
    assert way(60, 70, 0) is None and way(60, 70, 0, 1) == (40, 90)
