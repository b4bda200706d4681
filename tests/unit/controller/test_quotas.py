"""Quotas are written with the policy, followed by the mirror, and answered with true numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dure.backends.fake import Script
from dure.controller.columns import Columns
from dure.controller.commands import tenancy
from dure.controller.commands.policy import write_policy
from dure.controller.drift import drift
from dure.controller.mirror import Mirror
from dure.controller.quotas import QuotaUse, answer_quotas
from dure.controller.rules import policy_of
from dure.model.policy import QUOTA_MILLI_MAX, QUOTAS_MAX, Policy, Price, Quota
from dure.model.reason import Reason, ReasonKind
from dure.model.render import render
from dure.simulator.crash import Teller
from dure.simulator.world import World
from tests.builders.world import World as Farm
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec


@pytest.fixture
def tell() -> Teller:
    world = World(now_ms=NOW_MS, policy=POLICY)
    world.add_site("north", [node("n1", devices=4)])
    teller = Teller(world)
    begin(teller)
    return teller


def quota(of: str, resource: str = "core", nominal: int = 8000, **limits: int) -> Quota:
    return Quota(of=of, resource=resource, nominal_milli=nominal, **limits)


def write(world: World, *quotas: Quota, **more: Any) -> Policy | Reason:
    deed = world.deed()
    return world.store.transact(
        lambda tx: write_policy(tx, deed, policy=replace(policy_of(tx), quotas=quotas, **more), free=policy_of(tx).free)
    )


@pytest.mark.parametrize(
    ("wrong", "field", "problem"),
    [
        (quota("project:gone"), "of", "no_such_tenant"),
        (quota("organisation:lab"), "of", "no_such_tenant"),
        (quota("lab"), "of", "bad_format"),
        (quota("project:lab", "memory_gib"), "resource", "unknown_value"),
        (quota("project:lab", "device:h1oo"), "resource", "unknown_value"),
        (quota("project:lab", nominal=-1), "nominal_milli", "too_small"),
        (quota("project:lab", nominal=QUOTA_MILLI_MAX + 1), "nominal_milli", "too_large"),
        (quota("project:lab", borrow_max_milli=-2), "borrow_max_milli", "too_small"),
        (quota("project:lab", lend_max_milli=QUOTA_MILLI_MAX + 1), "lend_max_milli", "too_large"),
        (quota("*", borrow_max_milli=0), "borrow_max_milli", "no_relatives"),
        (quota("*", lend_max_milli=5), "lend_max_milli", "no_relatives"),
    ],
)
def test_a_wrong_quota_is_refused_by_the_field_that_is_wrong(tell: Teller, wrong: Quota, field: str, problem: str) -> None:
    refused = write(tell.world, quota("project:flood"), wrong)
    assert isinstance(refused, Reason) and refused.kind == ReasonKind.BAD_FIELD
    assert (refused.facts["field"], refused.facts["problem"]) == (f"quotas.{field}", problem)
    assert "‹" not in str(render(refused)) and "‹" not in str(render(refused, "ko"))
    assert tell.world.store.read(policy_of).version == 1


def test_the_same_quota_twice_and_too_many_are_refused(tell: Teller) -> None:
    twice = write(tell.world, quota("project:lab"), quota("project:lab", nominal=1))
    assert isinstance(twice, Reason) and twice.facts == {"field": "quotas", "problem": "duplicate", "value": "project:lab core"}
    many = write(tell.world, *[quota("project:lab")] * (QUOTAS_MAX + 1))
    assert isinstance(many, Reason) and many.facts["problem"] == "too_many"


def test_a_type_is_known_by_the_catalogue_a_site_or_a_price(tell: Teller) -> None:
    priced = (*tell.world.store.read(policy_of).prices, Price(resource="device:newest", nano=1))
    written = write(
        tell.world, quota("project:lab", "device:h100"), quota("*", "device:*"), quota("*", "device:newest"), prices=priced
    )
    assert isinstance(written, Policy) and written.version == 2
    assert tell.world.store.read(policy_of).quotas == written.quotas


def test_followed_quotas_are_those_of_a_state_that_is_read_anew(tell: Teller) -> None:
    world = tell.world
    mirror = Mirror()
    columns = Columns(mirror)
    world.store.read(mirror.load)
    columns.snapshot(world.clock.ms, 1)
    assert isinstance(
        write(world, quota("organisation:uni", nominal=90_000), quota("project:lab", borrow_max_milli=1000)), Policy
    )
    tell.ask(tenancy.create_project, id="later", name="Later", organisation="uni")
    world.sites["north"].driver.script("job", Script(run_ms=MINUTE_MS))
    tell.submit(spec("job"))
    world.settle()
    assert world.store.read(lambda r: drift(r, mirror, columns, world.clock.ms, 1)) == ""
    snapshot = columns.snapshot(world.clock.ms, 1)
    assert snapshot.quotas.used.sum() > 0 and (snapshot.quotas.nominal >= 0).any()
    world.advance(NOW_MS + 2 * MINUTE_MS)
    assert world.store.read(lambda r: drift(r, mirror, columns, world.clock.ms, 1)) == ""
    assert columns.snapshot(world.clock.ms, 1).quotas.used.sum() == 0


def farm() -> Farm:
    """ant has 4 devices and uses 6, bee has 4 and uses 1, cat lives on the pool of its organisation, dog has no quota at all."""
    world = Farm().site("pohang", 2, cores=16, devices=8, accelerator="h100")
    world.organisation("north").organisation("south")
    world.project("ant").project("bee").project("cat", organisation="north").project("dog", organisation="south")
    world.quota("project:ant", "device:h100", 4).quota("project:bee", "device:h100", 4, borrow=1, lend=3)
    world.quota("organisation:north", "device:h100", 2)
    world.attempt("a", [("pohang/n0", 0b111111)], project="ant").attempt("b", [("pohang/n1", 0b1)], project="bee")
    return world.attempt("d", [("pohang/n1", 0b10)], project="dog")


def told(world: Farm, *args: Any) -> dict[str, tuple[int, ...]]:
    rows = answer_quotas(world.snapshot(), *args).items
    names = ("nominal_milli", "used_milli", "borrowed_milli", "lent_milli", "available_milli")
    return {use.of: tuple(getattr(use, name) for name in names) for use in rows}


def test_everybody_is_told_what_is_used_borrowed_lent_and_left() -> None:
    assert told(farm(), None) == {
        "*": (0, 7000, 0, 0, 3000),
        "organisation:north": (2000, 0, 0, 0, 3000),
        "project:ant": (4000, 6000, 2000, 0, 3000),
        "project:bee": (4000, 1000, 0, 0, 3000),
    }
    use = next(u for u in answer_quotas(farm().snapshot(), None).items if u.of == "project:bee")
    assert use == QuotaUse(
        of="project:bee", resource="device:h100", nominal_milli=4000, borrow_max_milli=1000, lend_max_milli=3000, used_milli=1000,
        borrowed_milli=0, lent_milli=0, available_milli=3000,
    )  # fmt: skip


def test_what_is_lent_is_what_cannot_be_had_now() -> None:
    world = farm().attempt("more", [("pohang/n1", 0b11110000)], project="cat")
    found = told(world, None)
    assert found["project:cat"] == (0, 4000, 4000, 0, 0)
    assert found["project:bee"] == (4000, 1000, 0, 3000, 0)
    assert found["*"] == (0, 11_000, 1000, 0, 0), "nobody lends to the whole farm: so much more is in use than there is"


def test_members_are_told_of_their_projects_alone_also_when_these_use_nothing() -> None:
    assert set(told(farm(), {"cat", "dog", "gone"})) == {"project:cat"}
    assert told(farm(), {"cat"}) == {"project:cat": (0, 0, 0, 0, 3000)}
    assert told(farm(), set()) == {}
    assert told(farm(), {"ant"}, "bee") == {}


def test_of_one_project_those_who_see_all_are_told_with_those_above_it() -> None:
    assert set(told(farm(), None, "cat")) == {"*", "organisation:north", "project:cat"}
    assert told(farm(), None, "gone") == {}


def test_without_quotas_there_is_nothing_to_tell() -> None:
    world = farm()
    world.policy = replace(world.policy, quotas=())
    assert told(world, None) == {}
