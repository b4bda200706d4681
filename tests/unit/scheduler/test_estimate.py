"""When who is promised nothing may start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dure.model.policy import Policy
from dure.scheduler import Estimate, EstimateBasis, Snapshot, plan, why
from dure.scheduler.snapshot import DEPENDENCY_WAITS
from tests.builders.world import World

TURNS, WORK = EstimateBasis.TURNS, EstimateBasis.WORK
FEW = 6


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many are ahead at most that a moment is found for each; uncompiled, hundreds would take minutes."""
    monkeypatch.setattr("dure.scheduler.estimate.AHEAD_MAX", FEW)


def farm(promises: int = 1, **more: int) -> World:
    """Two places, taken for an hour by `runs`."""
    world = World(policy=replace(Policy(), reservations_max=promises, **more))
    world.site("s", 1, cores=8, devices=2, accelerator="h100")
    return world.attempt("runs", [("s/n0", 3)], ends=3600)


def line(world: World, count: int, **more: object) -> World:
    for i in range(count):
        world.pending(f"w{i:03}", **{"devices": 1, "limit": 600, **more})  # type: ignore[arg-type]
    return world


def told(s: Snapshot, id: str) -> Estimate | None:
    return why(s, plan(s), s.pending.ids.index(id), plans_max=0).estimate


def after(s: Snapshot, found: Estimate | None) -> tuple[float, EstimateBasis, int]:
    assert found is not None
    return (found.at_ms - s.now_ms) / 1000, found.basis, found.ahead


def test_those_ahead_are_given_their_moments_first() -> None:
    s = line(farm(), 6).snapshot()
    assert told(s, "w000") is None  # it has a promise
    assert [after(s, told(s, f"w00{i}")) for i in (1, 2, 5)] == [(3600, TURNS, 1), (4200, TURNS, 2), (4800, TURNS, 5)]


def test_it_is_the_promise_that_a_plan_with_more_of_them_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dure.scheduler.estimate.AHEAD_MAX", 30)
    world = line(line(farm(), 3), 2, devices=2)
    for i, limit in enumerate((60, 7200, 600, 30)):
        world.pending(f"x{i}", devices=1 + i % 2, limit=limit, project=f"p{i}")
    s = world.snapshot()
    conservative = plan(replace(s, policy=replace(s.policy, reservations_max=100)))
    moments = dict(zip(conservative.reserve_pending.tolist(), conservative.reserve_ms.tolist(), strict=True))
    p = plan(s)
    for row in range(len(s.pending.ids)):
        found = why(s, p, row, plans_max=0)
        assert moments[row] == (found.promised_ms or (found.estimate and found.estimate.at_ms)), s.pending.ids[row]


def test_behind_very_many_it_goes_by_their_work() -> None:
    """Each takes ten minutes of one of two devices; so does whoever runs, of both, for an hour."""
    s = line(farm(backfill_depth=10_000), FEW + 5).snapshot()
    assert after(s, told(s, f"w{FEW - 1:03}"))[1:] == (TURNS, FEW - 1)
    assert after(s, told(s, f"w{FEW:03}")) == (3600 + 300 * FEW, WORK, FEW)


def test_work_elsewhere_does_not_count() -> None:
    world = farm(backfill_depth=10_000).site("t", 1, cores=8, devices=2, accelerator="a100")
    world.attempt("there", [("t/n0", 3)], ends=60)
    line(world, FEW, accelerators=("h100",))
    world.pending("job", devices=1, accelerators=("a100",))
    s = world.snapshot()
    assert after(s, told(s, "job")) == (60, WORK, FEW)


def test_work_without_devices_is_counted_in_cores() -> None:
    world = World(policy=replace(Policy(), reservations_max=0, backfill_depth=10_000)).site("s", 1, cores=8)
    world.attempt("runs", [("s/n0", 0)], cores=8, ends=3600)
    line(world, FEW, devices=0, cores=4)
    s = world.pending("job", cores=8).snapshot()
    assert after(s, told(s, "job")) == (3600 + 300 * FEW, WORK, FEW)


def test_behind_the_bound_on_tries_those_of_earlier_rows_and_higher_classes_are_ahead() -> None:
    world = line(farm(backfill_depth=1), 5)
    world.pending("low", devices=1, priority="low", submitted=-5000)
    s = world.snapshot()
    assert after(s, told(s, "w004"))[2] == 4 and after(s, told(s, "low"))[2] == 5


def test_what_the_plan_did_not_come_to_may_start_at_once() -> None:
    world = World(policy=replace(Policy(), reservations_max=1, backfill_depth=0)).site(
        "s", 1, cores=8, devices=3, accelerator="h100"
    )
    world.attempt("runs", [("s/n0", 3)], ends=3600)
    s = world.pending("wide", devices=2).pending("job", devices=1, limit=60).snapshot()
    assert after(s, told(s, "job")) == (0, TURNS, 1)


@pytest.mark.parametrize("why_not", ["pause", "dependency", "money", "nowhere", "late", "closed"])
def test_whom_more_than_time_keeps_is_told_no_moment(why_not: str) -> None:
    world = line(farm(), 1)
    if why_not == "nowhere":
        world.pending("job", devices=9)
    elif why_not == "late":
        world.pending("job", devices=1, limit=600, deadline=60)
    else:
        world.pending(
            "job", devices=1, eligible=60 if why_not == "pause" else -60, hold=10 if why_not == "money" else 0,
            dependency=DEPENDENCY_WAITS if why_not == "dependency" else 0,
        )  # fmt: skip
    if why_not == "closed":
        world.draining = True
    s = world.snapshot()
    assert told(s, "job") is None


def test_without_a_usable_node_no_moment_is_known_by_work_either() -> None:
    world = line(farm(backfill_depth=10_000), FEW + 1)
    world.nodes[0]["usable"] = False
    s = world.snapshot()
    assert told(s, f"w{FEW:03}") is None


def test_of_quota_no_moment_is_known() -> None:
    """It comes back with the project's own work, which may be followed by more of it."""
    s = line(farm(0), 1).quota("project:lab", "core", 1, borrow=0).snapshot()
    assert told(s, "w000") is None


def test_ends_that_nobody_knows_are_left_out() -> None:
    world = farm(backfill_depth=10_000).attempt("on", [("s/n1", 3)], ends=None)
    world.node("s/n1", "s", cores=8, devices=2, accelerator="h100")
    s = line(world, FEW + 1).snapshot()
    assert after(s, told(s, f"w{FEW:03}")) == (1800 + 150 * FEW, WORK, FEW)


def test_whoever_waits_for_others_is_helped_by_nobodys_end() -> None:
    s = line(farm(), 1).pending("job", dependency=DEPENDENCY_WAITS).snapshot()
    assert why(s, plan(s), 0, plans_max=0).next_event is not None
    assert why(s, plan(s), 1, plans_max=0).next_event is None
