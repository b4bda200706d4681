"""Which rows have a quota, and what is in use there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dure.model.policy import NO_LIMIT
from dure.scheduler.quotas import quota_of, quota_rows, resource_of, use_of
from dure.scheduler.snapshot import LAUNCHING, STOPPING
from tests.builders.world import World

H100, A100, CORES = 1, 0, 2  # columns: accelerators by name, then cores


def world() -> World:
    """Two organisations, one below the other; ant is at the outer one, bee at the inner one, cat at a third."""
    farm = World().site("pohang", 2, cores=16, devices=8, accelerator="h100").site("busan", 1, devices=4, accelerator="a100")
    farm.organisation("north").organisation("lab", parent="north").organisation("south")
    return farm.project("ant", organisation="north").project("bee", organisation="lab").project("cat", organisation="south")


def nominal(farm: World, column: int) -> dict[str, int]:
    s = farm.snapshot()
    return {of: int(s.quotas.nominal[row, column]) for of, row in quota_rows(s.shares, s.projects).items()}


def test_a_policy_without_quotas_limits_nobody() -> None:
    quotas = world().snapshot().quotas
    for column in (quotas.nominal, quotas.borrow_max, quotas.lend_max):
        assert column.shape == (7, 3) and (column == NO_LIMIT).all()


def test_a_quota_of_a_project_binds_nobody_beside_it_and_makes_those_above_it_pass_on() -> None:
    farm = world().quota("project:bee", "device:h100", 4, borrow=2, lend=0.5)
    assert nominal(farm, H100) == {
        "*": 0, "organisation:north": 0, "organisation:lab": 0, "organisation:south": NO_LIMIT,
        "project:ant": NO_LIMIT, "project:bee": 4000, "project:cat": NO_LIMIT,
    }  # fmt: skip
    assert set(nominal(farm, A100).values()) == {NO_LIMIT} == set(nominal(farm, CORES).values())
    s = farm.snapshot()
    row = quota_rows(s.shares, s.projects)["project:bee"]
    assert (s.quotas.borrow_max[row, H100], s.quotas.lend_max[row, H100]) == (2000, 500)


def test_a_quota_of_an_organisation_binds_all_below_it() -> None:
    farm = world().quota("organisation:north", "core", 100)
    assert nominal(farm, CORES) == {
        "*": 0, "organisation:north": 100_000, "organisation:lab": 0, "organisation:south": NO_LIMIT,
        "project:ant": 0, "project:bee": 0, "project:cat": NO_LIMIT,
    }  # fmt: skip


def test_a_quota_of_the_whole_farm_binds_everybody() -> None:
    found = nominal(world().quota("*", "device:h100", 16), H100)
    assert found.pop("*") == 16_000 and set(found.values()) == {0}


def test_what_is_named_goes_over_the_fallback_in_whatever_order() -> None:
    named = ("project:ant", "device:h100", 3)
    for farm in (
        world().quota("project:ant", "device:*", 1).quota(*named),
        world().quota(*named).quota("project:ant", "device:*", 1),
    ):
        assert (nominal(farm, H100)["project:ant"], nominal(farm, A100)["project:ant"]) == (3000, 1000)
        assert nominal(farm, CORES)["project:ant"] == NO_LIMIT


def test_what_is_not_there_counts_nowhere() -> None:
    farm = world().quota("project:gone", "core", 1).quota("organisation:ant", "core", 1).quota("project:ant", "device:gone", 1)
    for column in (H100, A100, CORES):
        assert set(nominal(farm, column).values()) == {NO_LIMIT}


def test_an_organisation_and_a_project_of_one_id_are_told_apart() -> None:
    farm = world().project("north", organisation="south").quota("organisation:north", "core", 5)
    found = nominal(farm, CORES)
    assert (found["organisation:north"], found["project:north"]) == (5000, NO_LIMIT)
    s = farm.snapshot()
    assert [quota_of(s, row) for row in quota_rows(s.shares, s.projects).values()] == list(quota_rows(s.shares, s.projects))


def test_resources_are_named_as_in_a_policy() -> None:
    assert [resource_of(("a100", "h100"), column) for column in range(3)] == ["device:a100", "device:h100", "core"]


def test_everything_that_holds_a_place_is_in_use_claims_too() -> None:
    farm = world()
    farm.attempt("run", [("pohang/n0", 0b11), ("pohang/n1", 0b1)], project="ant", cores=2)
    farm.attempt("stops", [("pohang/n1", 0b110)], project="bee", cores=1.5, state=STOPPING)
    farm.attempt("starts", [("busan/n0", 0b1)], project="bee", cores=0.5, state=LAUNCHING)
    farm.claim("claim", [("pohang/n1", 0b110)], ["stops"], project="ant", cores=1)
    s = farm.snapshot()
    used = {of: s.quotas.used[row].tolist() for of, row in quota_rows(s.shares, s.projects).items()}
    assert used["project:ant"] == [0, 5000, 5000] and used["project:bee"] == [1000, 2000, 2000]
    assert not any(any(use) for of, use in used.items() if not of.startswith("project:") or of == "project:cat")


def test_work_of_nobody_known_and_devices_of_no_type_count_nowhere() -> None:
    farm = world().node("odd", "busan", devices=2)
    s = farm.attempt("x", [("pohang/n0", 0b1), ("odd", 0b11)], project="ant").snapshot()
    used = use_of(s.attempts, s.nodes, s.projects, 7, 2)
    assert used.sum(axis=0).tolist() == [0, 1000, 2000]
    nobodys = replace(s.attempts, project=np.array([-1], np.int32))
    assert not use_of(nobodys, s.nodes, s.projects, 7, 2).any()
