"""What a plan prefers where it has the choice, and what it never takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dure.model.policy import NO_LIMIT, Policy, Preference, Taste
from dure.model.reason import ReasonKind
from dure.scheduler import check, plan, reason_of, why
from tests.builders.world import World


def preferring(*preferences: tuple[Taste, int, int]) -> Policy:
    """(taste, weight, most)."""
    return replace(Policy(), preferences=tuple(Preference(taste=t, weight=w, most=m) for t, w, m in preferences))


def farm(*preferences: tuple[Taste, int, int], **sites: dict[str, object]) -> World:
    world = World(policy=preferring(*preferences))
    for id, traits in sites.items():
        world.site(id, nodes=1, cores=8, **traits)  # type: ignore[arg-type]
    return world


def places(world: World) -> dict[str, str]:
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == ()
    return {s.pending.ids[row]: s.sites.ids[site] for row, site in zip(p.start_pending, p.start_site, strict=True)}


def told(world: World, row: int = 0) -> tuple[ReasonKind, dict[str, object]]:
    s = world.snapshot()
    reason = reason_of(s, plan(s), row)
    assert reason is not None
    return reason.kind, dict(reason.facts)


@pytest.mark.parametrize(("taste", "trait"), [(Taste.CARBON, "carbon"), (Taste.POWER_PRICE, "price")])
def test_the_site_that_lacks_least_is_taken_and_one_of_which_nobody_knows_last(taste: Taste, trait: str) -> None:
    world = farm((taste, 1, NO_LIMIT), a={trait: -1}, b={trait: 450}, c={trait: 200})
    for id in ("first", "second", "third"):
        world.pending(id, cores=8)
    # a, of which nobody knows, lacks as much as the worst: the lower of equals goes first
    assert places(world) == {"first": "c", "second": "a", "third": "b"}


def test_without_a_preference_the_site_with_the_least_to_spare_is_taken_as_ever() -> None:
    world = farm(a={"carbon": 450}, b={"carbon": 10}).attempt("x", [("a/n0", 0)], cores=2)
    assert places(world.pending("job", cores=1)) == {"job": "a"}


def test_work_goes_where_its_data_is_unless_there_is_no_room() -> None:
    world = farm((Taste.DATA, 1000, NO_LIMIT), a={}, b={"data": ("kcc",)}, c={"data": ("kcc", "weather")})
    world.pending("both", cores=8, data=("kcc", "weather")).pending("one", cores=8, data=("kcc", "weather"))
    assert places(world.pending("none", cores=8, data=("kcc", "weather"))) == {"both": "c", "one": "b", "none": "a"}


def test_data_that_is_nowhere_moves_nobody() -> None:
    world = farm((Taste.DATA, 1000, NO_LIMIT), a={}, b={"data": ("kcc",)})
    assert places(world.pending("job", data=("gone",))) == {"job": "a"}


def test_weights_are_weighed_against_each_other() -> None:
    sites = {"a": {"carbon": 100, "price": 200}, "b": {"carbon": 200, "price": 100}}
    assert places(farm((Taste.CARBON, 3, -1), (Taste.POWER_PRICE, 2, -1), **sites).pending("job")) == {"job": "a"}
    assert places(farm((Taste.CARBON, 2, -1), (Taste.POWER_PRICE, 3, -1), **sites).pending("job")) == {"job": "b"}


def test_what_a_bound_forbids_is_never_taken_and_the_reason_names_it() -> None:
    world = farm((Taste.CARBON, 0, 300), a={"carbon": 450}, b={"carbon": -1}).pending("job")
    assert told(world) == (ReasonKind.RULED_OUT, {"taste": "carbon"})
    assert places(farm((Taste.CARBON, 0, 300), a={"carbon": 450}, b={"carbon": 300}).pending("job")) == {"job": "b"}


def test_domestic_accelerators_may_be_all_that_is_allowed() -> None:
    world = World(policy=preferring((Taste.DOMESTIC, 0, 0)))
    world.site("a", nodes=1, devices=2, accelerator="h100").site("b", nodes=1, devices=2, accelerator="npu")
    world.pending("any", devices=1).pending("foreign", devices=1, accelerators=("h100",)).pending("none")
    assert set(places(world)) == {"any", "none"} and places(world)["any"] == "b"
    assert told(world, 1) == (ReasonKind.RULED_OUT, {"taste": "domestic"})


def test_a_promise_is_the_earliest_and_among_equals_where_least_is_lacked() -> None:
    world = farm((Taste.CARBON, 1, NO_LIMIT), a={"carbon": 450}, b={"carbon": 200})
    world.attempt("x", [("a/n0", 0)], cores=8, ends=100).attempt("y", [("b/n0", 0)], cores=8, ends=100)
    s = world.pending("job", cores=8).snapshot()
    p = plan(s)
    assert [s.sites.ids[site] for site in p.reserve_site] == ["b"]
    sooner = farm((Taste.CARBON, 1, NO_LIMIT), a={"carbon": 450}, b={"carbon": 200})
    sooner.attempt("x", [("a/n0", 0)], cores=8, ends=90).attempt("y", [("b/n0", 0)], cores=8, ends=100)
    s = sooner.pending("job", cores=8).snapshot()
    assert [s.sites.ids[site] for site in plan(s).reserve_site] == ["a"]


def test_why_tells_of_each_site_that_the_policy_keeps_work_off() -> None:
    world = farm((Taste.CARBON, 0, 300), a={"carbon": 450}, b={"carbon": 200}).attempt("x", [("b/n0", 0)], cores=8)
    s = world.pending("job", cores=4).snapshot()
    answer = why(s, plan(s), 0)
    assert [reason.kind for _, reason in answer.sites] == [ReasonKind.RULED_OUT, ReasonKind.WAITS_CORES]


def test_check_finds_work_where_a_bound_forbids_it() -> None:
    free = farm(a={"carbon": 450}).pending("job").snapshot()
    bound = replace(free, policy=preferring((Taste.CARBON, 0, 300)))
    assert check(bound, plan(free)) == ("job starts at a, which lacks 450 of carbon, where the policy allows 300",)
