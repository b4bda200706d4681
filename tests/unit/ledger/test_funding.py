from __future__ import annotations

from dataclasses import replace

import pytest

from dure.errors import InvariantViolated
from dure.ledger import (
    award_transfer,
    divide,
    eligible,
    expire_transfer,
    fund_transfer,
    hold_transfers,
    policy_account,
    refund_transfers,
    release_transfers,
    settle_transfers,
)
from dure.model.funding import Award, Transfer, TransferKind
from dure.model.reason import Reason, ReasonKind
from tests.unit.ledger.books import ATTEMPT, PROGRAMME, award, funded

PAYER = policy_account("preemption", "KRW")


def split(amount: int, *awards: tuple[Award, int], currency: str = "") -> object:
    return divide(amount, awards, site="pohang", accelerator="h100", now_ms=10, currency=currency)


def amounts(transfers: tuple[Transfer, ...]) -> list[tuple[str, int]]:
    return [(t.id, t.amount) for t in transfers]


def test_what_expires_first_pays_first_then_by_id() -> None:
    late, soon_b, soon_a = award("c", expires_ms=900), award("b", expires_ms=500), award("a", expires_ms=500)
    assert split(250, (late, 100), (soon_b, 100), (soon_a, 100)) == (("a", 100), ("b", 100), ("c", 50))


def test_an_award_with_nothing_left_takes_no_part() -> None:
    assert split(5, (award("a", expires_ms=500), 0), (award("b"), 5), (award("c", expires_ms=2000), -3)) == (("b", 5),)


def test_too_little_is_told_with_its_numbers() -> None:
    assert split(250, (award("a"), 100), (award("b"), 49)) == Reason.of(
        ReasonKind.FUNDS_SHORT, hold=250, available=149, currency="KRW"
    )


def test_without_an_award_that_may_pay_there_is_none() -> None:
    assert split(1, (award("a", sites=("busan",)), 100)) == Reason.of(ReasonKind.NO_AWARD)
    assert split(1, (award("a"), 100), currency="ACS") == Reason.of(ReasonKind.NO_AWARD)


def test_what_costs_nothing_needs_nobody() -> None:
    assert split(0) == ()


def test_currencies_do_not_mix() -> None:
    mixed = ((award("a"), 100), (award("b", currency="ACS"), 100))
    assert split(10, *mixed, currency="ACS") == (("b", 10),)
    with pytest.raises(InvariantViolated):
        split(10, *mixed)
    with pytest.raises(InvariantViolated):
        split(-1)


@pytest.mark.parametrize(
    ("rules", "may"),
    [
        ({}, True),
        ({"starts_ms": 10}, True),
        ({"starts_ms": 11}, False),
        ({"expires_ms": 10}, False),
        ({"expires_ms": 11}, True),
        ({"expired": True}, False),
        ({"sites": ("busan", "pohang")}, True),
        ({"sites": ("busan",)}, False),
        ({"accelerators": ("h100",)}, True),
        ({"accelerators": ("rngd",)}, False),
    ],
)
def test_an_award_pays_between_its_dates_for_its_sites_and_types(rules: dict[str, object], may: bool) -> None:
    assert eligible(award(**rules), site="pohang", accelerator="h100", now_ms=10) is may  # type: ignore[arg-type]


def test_an_award_for_named_types_does_not_pay_for_work_without_devices() -> None:
    assert not eligible(award(accelerators=("h100",)), site="pohang", accelerator="", now_ms=10)


def test_holds_carry_what_they_are_for() -> None:
    first, second = hold_transfers(ATTEMPT, (("a1", 60), ("a2", 40)), at_ms=7)
    assert (first.id, first.debit, first.credit, first.amount) == ("hold:att:0", "award:a1", "site:pohang:KRW", 60)
    assert (second.project, second.workload, second.attempt, second.rule_version, second.at_ms) == ("uni", "job", "att", 3, 7)
    assert [t.id for t in hold_transfers(ATTEMPT, (("a1", 1),), at_ms=8, first=2)] == ["hold:att:2"]


def test_a_settlement_consumes_the_holds_in_their_order_and_releases_the_rest() -> None:
    holds = hold_transfers(ATTEMPT, tuple((f"a{n}", 10) for n in range(12)), at_ms=1)
    ends = settle_transfers(sorted(holds, key=lambda h: h.id), 95, at_ms=9)  # as text "hold:att:10" comes before "hold:att:2"
    assert amounts(ends)[:10] == [(f"settle:att:{n}", 10) for n in range(9)] + [("settle:att:9", 5)]
    assert amounts(ends)[10:] == [("release:att:10", 10), ("release:att:11", 10)]
    assert all(e.hold == f"hold:att:{n}" and e.at_ms == 9 and e.rule_version == 3 for n, e in enumerate(ends))


def test_more_than_is_held_cannot_be_settled() -> None:
    holds = hold_transfers(ATTEMPT, (("a1", 10),), at_ms=1)
    for amount in (11, -1):
        with pytest.raises(InvariantViolated):
            settle_transfers(holds, amount, at_ms=9)


def test_a_release_voids_every_hold() -> None:
    holds = hold_transfers(ATTEMPT, (("a1", 10), ("a2", 5)), at_ms=1)
    assert amounts(release_transfers(holds, at_ms=2)) == [("release:att:0", 10), ("release:att:1", 5)]


def test_a_refund_goes_back_to_the_last_payer_first_and_never_beyond_what_it_paid() -> None:
    holds = hold_transfers(ATTEMPT, (("a1", 10), ("a2", 20), ("a3", 5)), at_ms=1)
    paid = [replace(h, settled=s) for h, s in zip(holds, (10, 8, 0), strict=True)]
    back = refund_transfers(paid, 9, payer=PAYER, at_ms=3)
    assert [(t.id, t.debit, t.credit, t.amount) for t in back] == [
        ("refund:att:1", PAYER, "award:a2", 8),
        ("refund:att:0", PAYER, "award:a1", 1),
    ]
    assert all(t.kind == TransferKind.REFUND and not t.hold and not t.settled for t in back)
    assert refund_transfers(paid, 0, payer=PAYER, at_ms=3) == ()
    for amount, payer in ((19, PAYER), (-1, PAYER), (1, "award:a1")):
        with pytest.raises(InvariantViolated):
            refund_transfers(paid, amount, payer=payer, at_ms=3)


def test_money_walks_from_the_treasury_to_a_job_and_what_is_left_back_to_the_programme() -> None:
    book = funded(a1=0)
    given = award("a1", amount=100)
    book.must([
        fund_transfer(PROGRAMME, 500, id="fund:2", rule_version=1, at_ms=1),
        award_transfer(given, 100, id="award:a1:1", rule_version=1, at_ms=2),
        *hold_transfers(ATTEMPT, (("a1", 80),), at_ms=3),
    ])  # fmt: skip
    book.must(settle_transfers(book.holds(), 50, at_ms=4))
    book.must(refund_transfers(book.holds(), 20, payer=PAYER, at_ms=5))
    book.must([expire_transfer(given, 70, id="expire:a1", rule_version=1, at_ms=6)])
    assert book.accounts["award:a1"].debits_posted == book.accounts["award:a1"].credits_posted == 120
    assert book.accounts["programme:prog"].credits_posted - book.accounts["programme:prog"].debits_posted == 1_000_470
    assert book.accounts["site:pohang:KRW"].credits_posted == 50
