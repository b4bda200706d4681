"""Rules of a trial out of a policy: what it does as that says, and what it refuses."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from dure.errors import ConfigError
from dure.model.accelerators import Speed
from dure.model.policy import Policy, Preference, Price, PriorityClass, Quota, Taste, TurnOrder
from dure.simulator.trial import Order, rules_by, rules_of, unhonoured
from dure.simulator.trial.rules import HONOURED, said_by

CLASSES = Policy().classes


def test_the_first_policy_gives_the_rules_that_are_called_default() -> None:
    made, default = rules_by("default", Policy()), rules_of("default")
    assert made.policy() == default.policy() and (made.order, made.preferences) == (Order.FAIR, ())
    assert said_by(default) == {} and said_by(made) == {"rules": "none"}


def test_what_counts_is_in_the_policy_by_which_it_plans() -> None:
    price = Price(resource="device:*", nano=5)
    low_carbon = Preference(taste=Taste.CARBON, weight=2)
    normal = PriorityClass(name="normal", value=200, price_permille=1100)
    policy = Policy(order=TurnOrder.SMALLEST, reservations_max=3, backfill_depth=7, min_run_ms=9, half_life_ms=60_000, moves=True,
                    prices=(price,), preemptible_permille=500, preferences=(*Policy().preferences, low_carbon),
                    classes=(*CLASSES[:2], normal, *CLASSES[3:]))  # fmt: skip
    assert unhonoured(policy) == ()
    made = rules_by("mine", policy)
    planned = made.policy()
    for name in {field.name for field in fields(Policy)} - {"preferences"}:
        assert getattr(planned, name) == getattr(policy, name), name
    assert planned.preferences == (low_carbon,), "no trace names data"
    said = said_by(made)["rules"]
    assert "order = smallest" in said and "reservations_max = 3" in said and "prices.device:*.KRW = 5" in said


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (Policy(reclaims=True), "reclaims"),
        (Policy(quotas=(Quota(of="*", resource="core", nominal_milli=1),)), "quotas.*.core.nominal_milli"),
        (Policy(speeds=(Speed(accelerator="h100", milli=1000),)), "speeds.h100.milli"),
        (Policy(classes=CLASSES[1:]), "classes"),
        (Policy(classes=(*CLASSES[:-1], replace(CLASSES[-1], value=500))), "classes.urgent.value"),
        (Policy(preferences=()), "preferences.data.weight"),
        (Policy(limit_ms_default=1), "limit_ms_default"),
        (Policy(site_silent_ms=1000), "site_silent_ms"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_its_name(policy: Policy, field: str) -> None:
    assert field in unhonoured(policy)
    with pytest.raises(ConfigError, match="does not know"):
        rules_by("mine", policy)


def test_every_field_counts_or_is_refused() -> None:
    """A field that a policy gets is refused here until somebody says what a trial does with it."""
    given = {"id", "version", "created_ms", "written_by"}
    refused = {"quotas", "speeds", "reclaims", "classes"}
    assert {field.name for field in fields(Policy)} - given - refused >= HONOURED
