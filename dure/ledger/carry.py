"""From exact amounts to whole units: what an end posts, and what it leaves to be carried to the next one.

Won has no smaller coin, so a job of seconds is less than anything that can be posted. Rounding each by itself would bill
nothing for ever, or everything double. So what is posted are the whole units of a running sum, and the rest stays in it:

    posted net × 10⁹ + carry = Σ exact charges − Σ exact refunds        after every end, exactly
    0 ≤ carry < 10⁹                                                     if it was so before

The sum does not depend on the order of the ends, nor on how a charge is cut into attempts: both are the two halves of a
division by 10⁹.
"""

from __future__ import annotations

from dataclasses import dataclass

from dure.errors import require
from dure.model.funding import Remainder
from dure.model.money import NANO


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an end posts in whole units, and what is carried after it in nano-units."""

    settled: int
    refunded: int
    carry_nano: int


def remainder_id(project: str, site: str, currency: str) -> str:
    """One for each site: a settlement pays a site, and what was used at one is not to be paid to another."""
    return f"{project}/{site}/{currency}"


def open_remainder(project: str, site: str, currency: str) -> Remainder:
    """A new one, of nothing."""
    return Remainder(id=remainder_id(project, site, currency), project=project, site=site, currency=currency)


def settle_exact(carry_nano: int, charge_nano: int, refund_nano: int, held: int) -> Settlement:
    """Whole units that an attempt's end posts: the charge with what is carried, and of that the refund back.

    held: whole units, at least the charge. 0 ≤ refunded ≤ settled ≤ held, and with a carry in [0, 1) unit the one after it is
    there too. Proof: carry < 1 and charge ≤ held, so ⌊carry + charge⌋ ≤ held: the bounds below never bind, and the carry is the
    fraction of carry + charge − refund. A refund comes out of the carry first and is posted in units that this end settled, as
    charge − refund ≥ 0.

    Total for any carry: one that was damaged is a finding of the proof (`verify_remainders`), not a job that cannot end.
    Raises InvariantViolated unless 0 ≤ refund ≤ charge ≤ held."""
    require(0 <= refund_nano <= charge_nano <= held * NANO, f"0 <= {refund_nano} <= {charge_nano} <= {held} whole units")
    gross = carry_nano + charge_nano
    net = gross - refund_nano
    settled = max(0, min(gross // NANO, held))
    kept = max(0, min(net // NANO, settled))
    return Settlement(settled=settled, refunded=settled - kept, carry_nano=net - kept * NANO)
