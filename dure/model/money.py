"""Money and merit, in integers.

Prices are integer nano-units per base unit; charges are exact in Python integers and rounded once, half up, to a nano-unit.
Won has no smaller coin, so whole units are posted and the rest is carried to the next settlement (`Remainder`); merit is
counted in accelerator-seconds.
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


def nano_text(nano: int, places: int = 0) -> str:
    """An amount in nano-units as people read it, in whole units: to the third decimal, or to the ninth where the third would
    say nothing. 3_846_400_000_000 is "3,846.4", 437_000_000 is "0.437", 12_345 is "0.000012345". places: decimals at least."""
    digits = 9 if 0 < abs(nano) < NANO // 1000 else 3
    whole, rest = divmod(round_half_up(abs(nano), 10 ** (9 - digits)), 10**digits)
    decimals = f"{rest:0{digits}d}".rstrip("0").ljust(places, "0")
    sign = "-" if nano < 0 and (whole or rest) else ""
    return f"{sign}{whole:,}" + (f".{decimals}" if decimals else "")


def round_up(numerator: int, denominator: int) -> int:
    """Smallest integer not below `numerator / denominator`; both non-negative."""
    return -(-numerator // denominator)
