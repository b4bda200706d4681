"""Money and merit, in integers.

Prices are integer nano-units per base unit; charges are exact in Python integers and rounded once, at settlement,
half up, to the currency's whole unit. Won has no smaller coin; merit is counted in accelerator-seconds.
"""

from __future__ import annotations

from enum import StrEnum

NANO = 1_000_000_000


class Currency(StrEnum):
    """What an account is kept in. Accounts of different currencies never meet in one transfer."""

    KRW = "KRW"  # whole won
    ACS = "ACS"  # merit: normalised accelerator-seconds at price zero, for long research projects


CURRENCIES: tuple[Currency, ...] = (Currency.KRW, Currency.ACS)  # column order in the snapshot


def round_half_up(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest integer, halves up; both non-negative, exact at any size."""
    return (2 * numerator + denominator) // (2 * denominator)


def round_up(numerator: int, denominator: int) -> int:
    """Smallest integer not below `numerator / denominator`; both non-negative."""
    return -(-numerator // denominator)
