from __future__ import annotations

from fractions import Fraction

import pytest

from dure.errors import InvariantViolated
from dure.ledger import charge_nano, energy_mwh, hold_amount, rate_all, refund_nano, run_charge_nano
from dure.ledger.rating import UNPAYABLE
from dure.model.money import NANO, round_half_up
from dure.model.policy import Policy, Price

WON_PER_HOUR = {"core": 30, "memory_gib": 4, "device:h100": 3000, "device:*": 500}
POLICY = Policy(
    prices=(
        *(Price(resource=r, nano=won * NANO // 3600) for r, won in WON_PER_HOUR.items()),
        Price(resource="device:h100", nano=2 * NANO, currency="ACS"),
        Price(resource="core", nano=NANO, currency="ACS"),
    )
)
HOUR = 3_600_000
WORK = {"accelerator": "h100", "workers": 2, "cores_milli": 1500, "memory_mib": 1536, "devices": 4}


def price_nano(policy: Policy = POLICY, ms: int = HOUR, **more: object) -> int | None:
    work = {"currency": "KRW", "preemptible": False, "priority": "normal", **WORK, **more}
    return charge_nano(policy, duration_ms=ms, **work)  # type: ignore[arg-type]


def price(policy: Policy = POLICY, ms: int = HOUR, **more: object) -> int | None:
    """In whole won, for prices that are some hairs off an even number."""
    nano = price_nano(policy, ms, **more)
    return None if nano is None else round_half_up(nano, NANO)


def test_an_hour_costs_what_its_parts_cost() -> None:
    # nano-prices cut off below a nano-won a second: 2 x (1.5 x 30 + 1.5 x 4 + 4 x 3000) = 24102, less a hair
    assert price() == 24_102
    assert price(preemptible=True) == round(24_102 * 0.8)
    assert price(ms=0) == 0


def test_charges_are_exact_and_rounded_once_half_up_to_a_nano_unit() -> None:
    policy = Policy(prices=(Price(resource="core", nano=500),))
    alone = {"devices": 0, "memory_mib": 0, "workers": 1, "cores_milli": 1000}
    assert [price_nano(policy, ms=ms, **alone) for ms in (0, 1, 2, 3, 999, 1000, 3001)] == [0, 1, 1, 2, 500, 500, 1501]
    huge = {**alone, "cores_milli": 10**12 + 1, "ms": 10**12 + 1}
    exact = Fraction(500 * (10**12 + 1) ** 2, 10**6)
    assert price_nano(policy, **huge) == int(exact + Fraction(1, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "permille"), [("background", 500), ("low", 800), ("normal", 1000), ("high", 1500), ("urgent", 2000)]
)
def test_a_class_costs_its_factor_exactly_in_won_and_in_merit(name: str, permille: int) -> None:
    for currency in ("KRW", "ACS"):
        plain = price_nano(ms=3_600_001, currency=currency, preemptible=True) or 0
        dear = price_nano(ms=3_600_001, currency=currency, preemptible=True, priority=name) or 0
        assert abs(1000 * dear - permille * plain) <= permille // 2 + 500  # each is rounded once
    assert price_nano(priority=name) == round_half_up((price_nano() or 0) * permille, 1000)


def test_work_of_a_class_that_is_no_more_pays_as_the_class_that_is_listed_first() -> None:
    assert price_nano(priority="gone") == price_nano(priority="background")


def test_a_job_of_seconds_costs_something() -> None:
    assert price_nano(ms=6000, workers=1, devices=0, cores_milli=1000, memory_mib=0) == 6 * (30 * NANO // 3600)


def test_an_unnamed_type_takes_the_fallback_price() -> None:
    alone = {"cores_milli": 0, "memory_mib": 0, "workers": 1, "devices": 1}
    assert price(accelerator="rngd", **alone) == 500
    assert price(accelerator="h100", **alone) == 3000


def test_devices_without_a_price_cannot_be_paid() -> None:
    assert price(Policy()) is None
    assert price(Policy(), devices=0) == 0
    assert price(accelerator="rngd", currency="ACS") is None


def test_merit_pays_for_devices_alone() -> None:
    assert price(currency="ACS") == 2 * 4 * 2 * 3600
    assert price(currency="ACS", devices=0) is None


def test_a_hold_covers_limit_and_grace_rounded_up() -> None:
    policy = Policy(prices=(Price(resource="core", nano=NANO),))
    rest = {"accelerator": "", "workers": 1, "cores_milli": 1000, "memory_mib": 0, "devices": 0, "preemptible": False,
            "priority": "normal"}  # fmt: skip
    assert hold_amount(policy, currency="KRW", limit_ms=1000, grace_ms=1, **rest) == 2  # type: ignore[arg-type]
    assert hold_amount(policy, currency="KRW", limit_ms=1000, **rest) == 1  # type: ignore[arg-type]
    assert hold_amount(policy, currency="ACS", limit_ms=1000, **rest) is None  # type: ignore[arg-type]


def test_a_row_of_rates_has_minus_one_where_a_currency_cannot_pay_and_always_fits_its_column() -> None:
    row = {**WORK, "limit_ms": HOUR, "preemptible": False, "priority": "normal"}
    assert rate_all(POLICY, **row) == (24_102, 57_600)  # type: ignore[arg-type]
    assert rate_all(POLICY, **{**row, "devices": 0})[1] == -1  # type: ignore[arg-type]
    assert rate_all(POLICY, **{**row, "limit_ms": 10**30}) == (UNPAYABLE, UNPAYABLE)  # type: ignore[arg-type]


def test_nobody_pays_for_more_than_the_limit() -> None:
    bill = {**WORK, "currency": "KRW", "limit_ms": HOUR, "preemptible": False, "priority": "normal"}
    assert run_charge_nano(POLICY, run_ms=10 * HOUR, **bill) == price_nano(ms=HOUR)  # type: ignore[arg-type]
    assert run_charge_nano(POLICY, run_ms=HOUR // 2, **bill) == price_nano(ms=HOUR // 2)  # type: ignore[arg-type]
    assert run_charge_nano(POLICY, run_ms=-5, **bill) == 0  # type: ignore[arg-type]
    with pytest.raises(InvariantViolated, match="no price in ACS"):
        run_charge_nano(Policy(), run_ms=1, **{**bill, "currency": "ACS"})  # type: ignore[arg-type]


def test_a_negative_demand_is_an_error_of_the_program() -> None:
    with pytest.raises(InvariantViolated):
        price(workers=-1)


@pytest.mark.parametrize(
    ("lost_ms", "interval_ms", "capped", "back"),
    [
        (300_000, 600_000, True, 300),  # since the last checkpoint
        (900_000, 600_000, True, 600),  # no more than the interval that it promised
        (900_000, 0, True, 60),  # no checkpoints: the guaranteed minimum run
        (900_000, 0, False, 900),  # the plane's own fault
        (5_000_000, 0, False, 1000),  # never more than was paid
        (-1, 0, True, 0),
    ],
)
def test_what_was_lost_is_given_back(lost_ms: int, interval_ms: int, capped: bool, back: int) -> None:
    facts = {"lost_ms": lost_ms, "checkpoint_interval_ms": interval_ms, "capped": capped}
    assert refund_nano(Policy(min_run_ms=60_000), charged_nano=1000, run_ms=1_000_000, **facts) == back  # type: ignore[arg-type]


def test_what_never_ran_is_not_refunded() -> None:
    assert refund_nano(Policy(), charged_nano=0, run_ms=0, lost_ms=5, checkpoint_interval_ms=0) == 0


def test_energy_counts_cores_devices_and_the_building() -> None:
    two_cores_and_one_device = {"cores_milli": 2000, "core_mw": 5000, "devices": 1, "device_mw": 700_000}
    assert energy_mwh(run_ms=HOUR, pue_permille=1000, **two_cores_and_one_device) == 710_000
    assert energy_mwh(run_ms=HOUR, pue_permille=1300, **two_cores_and_one_device) == 923_000
    assert energy_mwh(run_ms=1, cores_milli=1000, core_mw=1800, devices=0, device_mw=0, pue_permille=1000) == 0
    assert energy_mwh(run_ms=1000, cores_milli=1000, core_mw=1800, devices=0, device_mw=0, pue_permille=1000) == 1
