from __future__ import annotations

import pytest

from dure.errors import InvariantViolated
from dure.ledger import Settlement, open_remainder, settle_exact
from dure.model.funding import Remainder
from dure.model.money import NANO, nano_text

WON = NANO
CENT = NANO // 100


@pytest.mark.parametrize(
    ("carry", "charge", "refund", "held", "expected"),
    [
        (0, 43 * CENT, 0, 1, Settlement(0, 0, 43 * CENT)),  # less than a won is carried
        (60 * CENT, 40 * CENT, 0, 1, Settlement(1, 0, 0)),  # and posted with the next that makes one
        (99 * CENT, 3 * WON + 99 * CENT, 0, 4, Settlement(4, 0, 98 * CENT)),
        (NANO - 1, 4 * WON, 0, 4, Settlement(4, 0, NANO - 1)),  # the whole hold, and the carry stays what it was
        (0, 0, 0, 0, Settlement(0, 0, 0)),
        (50 * CENT, 30 * CENT, 30 * CENT, 1, Settlement(0, 0, 50 * CENT)),  # a refund comes out of the carry first
        (0, 6 * WON + 72 * CENT, 1 * WON + 92 * CENT, 7, Settlement(6, 2, 80 * CENT)),  # what is more is posted
        (90 * CENT, 20 * CENT, 20 * CENT, 1, Settlement(1, 1, 90 * CENT)),  # all of it back: as if it had not been
        (0, 5 * WON, 5 * WON, 5, Settlement(5, 5, 0)),
    ],
)  # fmt: skip
def test_whole_units_are_posted_and_the_rest_is_carried(
    carry: int, charge: int, refund: int, held: int, expected: Settlement
) -> None:
    assert settle_exact(carry, charge, refund, held) == expected


@pytest.mark.parametrize(("charge", "refund", "held"), [(1, 2, 1), (WON + 1, 0, 1), (5, -1, 1), (-1, -1, 0)])
def test_a_refund_beyond_the_charge_or_a_charge_beyond_the_hold_is_an_error_of_the_program(
    charge: int, refund: int, held: int
) -> None:
    with pytest.raises(InvariantViolated):
        settle_exact(0, charge, refund, held)


@pytest.mark.parametrize("carry", [-7 * WON, -1, NANO, 7 * WON + 3])
def test_a_damaged_carry_keeps_no_attempt_from_ending_and_nothing_is_lost(carry: int) -> None:
    made = settle_exact(carry, 2 * WON, CENT, 2)
    assert 0 <= made.refunded <= made.settled <= 2
    assert (made.settled - made.refunded) * NANO + made.carry_nano == carry + 2 * WON - CENT


def test_a_remainder_is_of_one_project_at_one_site_in_one_currency() -> None:
    assert open_remainder("uni", "pohang", "KRW") == Remainder(
        id="uni/pohang/KRW", project="uni", site="pohang", currency="KRW", nano=0, ends=0
    )


@pytest.mark.parametrize(
    ("nano", "places", "text"),
    [
        (0, 0, "0"),
        (0, 3, "0.000"),
        (437 * NANO // 1000, 0, "0.437"),
        (12_345, 3, "0.000012345"),
        (NANO // 1000, 0, "0.001"),
        (NANO - 1, 0, "1"),
        (3_846_400 * NANO // 1000, 0, "3,846.4"),
        (3_846_400 * NANO // 1000, 3, "3,846.400"),
        (-3 * NANO // 10, 0, "-0.3"),
    ],
)
def test_an_exact_amount_is_written_so_that_nothing_small_looks_like_nothing(nano: int, places: int, text: str) -> None:
    assert nano_text(nano, places) == text
