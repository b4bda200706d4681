from __future__ import annotations

from dataclasses import replace

import pytest

from dure.ledger import (
    AttemptMoney,
    EndTold,
    Finding,
    hold_transfers,
    refund_transfers,
    settle_transfers,
    verify_ends,
    verify_remainders,
)
from dure.model.funding import Remainder
from dure.model.money import NANO
from tests.unit.ledger.books import ATTEMPT, Book, funded

TENTH = NANO // 10
HOME = "uni/pohang/KRW"
REST = Remainder(id=HOME, project="uni", site="pohang", currency="KRW", nano=2 * TENTH, ends=2)
# 6.7 won less 1.9, then 14.4: the 6, 2 and 15 won of it are posted, and 0.2 is carried.
ATTEMPTS = [
    AttemptMoney("att", False, 10, 6, 2, HOME, 7 * TENTH, -TENTH),
    AttemptMoney("att2", False, 20, 15, 0, HOME, -6 * TENTH, 0),
    AttemptMoney("live", True, 50, 0, 0, HOME),
    AttemptMoney("free", False, 0, 0, 0, "uni/ulsan/KRW"),
]
TOLD = [
    EndTold("att", 6, 2, 7 * TENTH, -TENTH, HOME, 1, 8 * TENTH),
    EndTold("att2", 15, 0, -6 * TENTH, 0, HOME, 2, 2 * TENTH),
    EndTold("free", 0, 0, 0, 0, "uni/ulsan/KRW", 0, 0),
]


def story() -> Book:
    book = funded(a1=100)
    for attempt, held, settled in (("att", 10, 6), ("att2", 20, 15)):
        book.must(hold_transfers(replace(ATTEMPT, id=attempt), (("a1", held),), at_ms=1))
        book.must(settle_transfers(book.holds(attempt), settled, at_ms=2))
    book.must(refund_transfers(book.holds(), 2, payer="policy:preemption:KRW", at_ms=2))
    book.must(hold_transfers(replace(ATTEMPT, id="live"), (("a1", 50),), at_ms=3))
    return book


def kinds(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(f.kind, f.subject) for f in findings]


def swapped(n: int, row: AttemptMoney | EndTold) -> list:  # type: ignore[type-arg]
    rows: list[AttemptMoney | EndTold] = list(ATTEMPTS if isinstance(row, AttemptMoney) else TOLD)
    rows[n] = row
    return rows


def test_what_is_posted_and_what_is_carried_are_the_exact_charges_less_the_exact_refunds() -> None:
    assert verify_remainders([REST], story().transfers.values(), ATTEMPTS) == ()
    assert verify_ends(TOLD, [REST], ATTEMPTS) == ()
    assert verify_remainders((), (), ()) == verify_ends((), (), ()) == ()


def test_a_carry_that_no_charge_explains_is_named_with_what_it_should_be() -> None:
    found = verify_remainders([replace(REST, nano=TENTH)], story().transfers.values(), ATTEMPTS)
    assert found == (Finding("carry_differs", HOME, {"stored": TENTH, "recomputed": 2 * TENTH}),)
    assert kinds(verify_remainders([], story().transfers.values(), ATTEMPTS)) == [("carry_differs", HOME)]
    strange = replace(REST, id="uni/mars/KRW", nano=1)
    assert kinds(verify_remainders([REST, strange], story().transfers.values(), ATTEMPTS)) == [("carry_differs", strange.id)]


@pytest.mark.parametrize("nano", [-1, NANO])
def test_a_carry_of_a_whole_unit_or_of_less_than_nothing_is_named(nano: int) -> None:
    found = verify_remainders([replace(REST, nano=nano)], story().transfers.values(), ATTEMPTS)
    assert kinds(found) == [("carry_out_of_bounds", HOME), ("carry_differs", HOME)]


def test_a_settlement_that_no_charge_explains_is_named() -> None:
    book = story()
    book.transfers["settle:att2:0"] = replace(book.transfers["settle:att2:0"], amount=16)
    found = verify_remainders([REST], book.transfers.values(), ATTEMPTS)
    assert found == (Finding("carry_differs", HOME, {"stored": 2 * TENTH, "recomputed": 2 * TENTH - NANO}),)


@pytest.mark.parametrize(
    "row",
    [
        ATTEMPTS[0]._replace(charge_rest_nano=5 * NANO),  # more than was held
        ATTEMPTS[0]._replace(refund_rest_nano=5 * NANO),  # more back than was charged
        ATTEMPTS[0]._replace(charge_rest_nano=-7 * NANO),
        ATTEMPTS[0]._replace(refund_rest_nano=-3 * NANO),
        ATTEMPTS[2]._replace(id="att", charge_rest_nano=1),  # it lives
        ATTEMPTS[2]._replace(id="att", refund_rest_nano=1),
    ],
)
def test_an_impossible_charge_is_the_first_finding(row: AttemptMoney) -> None:
    found = verify_remainders([REST], story().transfers.values(), swapped(0, row))
    assert kinds(found)[0] == ("charge_impossible", "att")
    assert found[0].facts["charge_rest_nano"] == row.charge_rest_nano


@pytest.mark.parametrize("change", [{"settled": 7}, {"refunded": 1}, {"charge_rest_nano": 1}, {"refund_rest_nano": 1}])
def test_an_attempt_whose_money_is_not_what_its_end_recorded_is_named(change: dict[str, int]) -> None:
    assert kinds(verify_ends(TOLD, [REST], swapped(0, ATTEMPTS[0]._replace(**change)))) == [("altered", "att")]


def test_a_charge_without_an_event_and_an_event_without_an_attempt_are_named() -> None:
    assert kinds(verify_ends(TOLD[1:], [REST], ATTEMPTS))[0] == ("unrecorded", "att")
    assert kinds(verify_ends(TOLD, [REST], ATTEMPTS[1:])) == [("missing", "att")]


@pytest.mark.parametrize(
    "end",
    [
        TOLD[1]._replace(carry_nano=3 * TENTH),
        TOLD[1]._replace(number=3),
        TOLD[1]._replace(number=1),
        TOLD[1]._replace(charge_rest_nano=2 * TENTH, carry_nano=NANO),
    ],
)
def test_an_end_that_does_not_go_on_from_the_one_before_is_named(end: EndTold) -> None:
    rows = swapped(1, ATTEMPTS[1]._replace(charge_rest_nano=end.charge_rest_nano))
    assert ("carry_broken", "att2") in kinds(verify_ends(swapped(1, end), [REST], rows))


def test_a_remainder_that_is_not_as_its_last_end_left_it_is_named() -> None:
    for wrong in (replace(REST, nano=TENTH), replace(REST, ends=3)):
        assert kinds(verify_ends(TOLD, [wrong], ATTEMPTS)) == [("remainder_altered", HOME)]
    assert kinds(verify_ends(TOLD, [], ATTEMPTS)) == [("remainder_altered", HOME)]
    assert kinds(verify_ends(TOLD, [REST, replace(REST, id="z")], ATTEMPTS)) == [("remainder_altered", "z")]
