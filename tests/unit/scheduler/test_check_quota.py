"""The plain program about quotas: by value, and that it says what a plan takes too much."""

from __future__ import annotations

import math
from dataclasses import replace

from dure.model.policy import NO_LIMIT
from dure.model.reason import ReasonKind
from dure.scheduler import WAIT_CODE, check, make_reason, plan
from dure.scheduler.check_quota import Cohorts, cohorts_of, over_quota
from tests.builders.world import World

FLAT = [-1, 0, 0]


def cohorts(nominal: list[int], borrow: list[int], lend: list[int], used: list[int]) -> Cohorts:
    return Cohorts(FLAT, nominal, borrow, lend, used)


def test_relatives_lend_what_they_do_not_use_as_far_as_limits_let_them() -> None:
    none = [NO_LIMIT] * 3
    assert [cohorts([0, 9, 12], none, none, [0, 0, 0]).available(row) for row in range(3)] == [21, 21, 21]
    limited = cohorts([0, 9, 12], [NO_LIMIT, 1, NO_LIMIT], [NO_LIMIT, NO_LIMIT, 4], [0, 0, 0])
    assert [limited.available(row) for row in range(3)] == [13, 10, 21]
    assert [limited.bound_by(row) for row in range(3)] == [0, 1, 0]


def test_what_is_borrowed_is_lent_where_it_is_missed() -> None:
    found = cohorts([0, 9, 12], [NO_LIMIT] * 3, [NO_LIMIT] * 3, [0, 0, 0])
    found.take(1, 15)
    assert [found.borrowed(row) for row in range(3)] == [0, 6, 0]
    assert [found.lent(row) for row in range(3)] == [0, 0, 6]
    found.take(2, 8)  # more than is left
    assert found.available(2) == -2 and found.lent(2) == 4


def test_who_has_no_quota_has_no_end_and_stands_apart() -> None:
    found = cohorts([0, NO_LIMIT, 3], [NO_LIMIT] * 3, [NO_LIMIT] * 3, [0, 100, 1])
    assert [found.available(row) for row in range(3)] == [2, math.inf, 2]
    assert (found.lent(1), found.borrowed(1)) == (0, 0)
    found.take(1, 50)
    assert found.available(0) == 2


def farm() -> World:
    """Eight devices and sixteen cores, a job of four devices and four cores, another of one core."""
    world = World().site("pohang", 2, cores=8, devices=4, accelerator="h100").site("busan", 1, cores=8)
    world.organisation("north").project("lab", organisation="north")
    return world.pending("wide", devices=2, workers=2, cores=2).pending("small", cores=1)


def faults(world: World) -> list[str]:
    """What is said of the plan that knows of no quotas."""
    free = replace(world, policy=replace(world.policy, quotas=())).snapshot()
    decided = plan(free)
    assert len(decided.start_pending) == 2 and check(free, decided) == ()
    snapshot = replace(free, quotas=world.snapshot().quotas)
    assert set(over_quota(snapshot, decided)) <= set(check(snapshot, decided))
    return list(over_quota(snapshot, decided))


def test_a_plan_within_quotas_is_fine() -> None:
    assert faults(farm()) == [] == faults(farm().quota("project:lab", "device:h100", 4).quota("project:lab", "core", 5))
    assert faults(farm().quota("organisation:north", "device:*", 4)) == []


def test_a_start_that_takes_too_much_is_named_with_its_project_and_the_numbers() -> None:
    assert faults(farm().quota("project:lab", "device:h100", 3)) == [
        "wide takes 4 device:h100, but project:lab may use 3 more",
    ]
    assert faults(farm().quota("*", "core", 4.5)) == ["small takes 1 core, but project:lab may use 0.5 more"]


def test_what_runs_is_in_use_and_more_than_all_is_as_good_as_all() -> None:
    world = farm().quota("organisation:north", "core", 2).attempt("runs", [("busan/n0", 0)], cores=3)
    assert faults(world) == [
        "wide takes 4 core, but project:lab may use 0 more", "small takes 1 core, but project:lab may use 0 more",
    ]  # fmt: skip


def test_a_start_that_takes_nothing_of_a_resource_is_never_too_much() -> None:
    world = farm().quota("organisation:north", "device:h100", 0).attempt("runs", [("pohang/n0", 1)])
    world.waiting = [p for p in world.waiting if p["id"] == "small"]
    snapshot = world.snapshot()
    assert list(over_quota(snapshot, plan(snapshot))) == []


def test_only_resources_with_a_quota_are_looked_at() -> None:
    assert cohorts_of(farm().snapshot()) == {}
    assert list(cohorts_of(farm().quota("project:lab", "core", 1).snapshot())) == [1]


def test_the_reason_names_resource_and_whose_limit_it_is() -> None:
    world = farm().quota("project:lab", "core", 1)
    s = world.snapshot()
    leaf = int(s.projects.share[0])
    told = [
        make_reason(s, WAIT_CODE[ReasonKind.QUOTA_REACHED], [4000, 500, column, row])
        for column, row in ((0, leaf), (1, 1), (1, 0))
    ]
    assert [dict(reason.facts) for reason in told] == [
        {"wanted_milli": 4000, "available_milli": 500, "resource": "device:h100", "quota_of": "project:lab"},
        {"wanted_milli": 4000, "available_milli": 500, "resource": "core", "quota_of": "organisation:north"},
        {"wanted_milli": 4000, "available_milli": 500, "resource": "core", "quota_of": "*"},
    ]
