"""Turns by a policy that does not go by fair shares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dure.model.policy import NAMED, Policy, TurnOrder
from dure.scheduler import Change, Snapshot, check, smallest_change
from dure.scheduler.change import only
from dure.scheduler.order import place_of, ranks
from tests.builders.plans import both
from tests.builders.world import World


def farm(order: str, **more: int) -> World:
    """Two devices, and five who want one each: of the project that has used most the first three."""
    world = World(policy=replace(Policy(), order=TurnOrder(order), **{"reservations_max": 0, **more}))
    world.site("s", 1, cores=64, devices=2, accelerator="h100")
    world.project("heavy", use=10.0**9).project("light")
    for i, (limit, workers) in enumerate(((900, 1), (300, 1), (600, 1), (1200, 1), (60, 2))):
        world.pending(f"w{i}", project="heavy" if i < 3 else "light", devices=1, cores=1, limit=limit, workers=workers)
    return world


def starts(world: World) -> list[str]:
    s = world.snapshot()
    p = both(s)
    assert check(s, p) == ()
    return [s.pending.ids[row] for row in p.start_pending.tolist()]


def in_turn(s: Snapshot) -> list[str]:
    found = ranks(s)
    return sorted(s.pending.ids, key=lambda id: -int(found[s.pending.ids.index(id)]))


@pytest.mark.parametrize(
    ("order", "first"),
    [("fair", ["w3", "w0"]), ("submitted", ["w0", "w1"]), ("shortest", ["w4"]), ("smallest", ["w4"])],
)
def test_who_goes_first(order: str, first: list[str]) -> None:
    assert starts(farm(order)) == first


def test_classes_come_first_in_any_order() -> None:
    world = farm("shortest").pending("high", devices=1, limit=9000, priority="high", workers=2)
    assert starts(world) == ["high"]


def test_equal_ones_go_by_submission() -> None:
    world = farm("smallest")
    for each in world.waiting:
        each["limit_ms"], each["workers"] = 1000, 1
    assert in_turn(world.snapshot()) == ["w0", "w1", "w2", "w3", "w4"]


def test_work_counts_workers_devices_and_cores_and_a_limit_the_fastest_type() -> None:
    world = World(policy=replace(Policy(), order=TurnOrder.SMALLEST), core_rate={"h100": 10.0})
    world.site("s", 1, cores=64, devices=2, accelerator="h100").site("t", 1, cores=64, devices=2, accelerator="a100")
    world.pending("cores", cores=40, limit=10)
    world.pending("devices", devices=1, cores=1, limit=20, accelerators=("h100", "a100"), limits=(20, 5))
    world.pending("half", share=500, cores=1, limit=60, accelerators=("h100", "a100"))
    assert in_turn(world.snapshot()) == ["devices", "half", "cores"]  # 220, 360, 400
    world.policy = replace(world.policy, order=TurnOrder.SHORTEST)
    assert in_turn(world.snapshot()) == ["devices", "cores", "half"]


def test_a_shorter_limit_that_brings_its_turn_forward_is_a_change_that_starts_it() -> None:
    world = farm("shortest")
    s = world.snapshot()
    row = s.pending.ids.index("w3")
    assert smallest_change(s, row) == Change(limit_ms=60_000)  # as short as that of w4, which came later
    world.waiting[row]["limit_ms"] = 60_000
    alone = only(world.snapshot(), row)
    assert place_of(s, row, alone) == 0 and starts(world)[0] == "w3"


def test_names_of_the_literature_are_fields_of_a_policy() -> None:
    for name, fields in NAMED.items():
        made = replace(Policy(), **{**fields, "order": TurnOrder(fields["order"])})  # type: ignore[arg-type]
        assert made.order is not TurnOrder.FAIR, name
        assert (made.reservations_max == 0) == (name == "best-effort-fifo")
