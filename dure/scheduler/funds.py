"""In which order currencies pay, and where they stand in columns of amounts."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dure.model.money import CURRENCIES, Currency

Whole = TypeVar("Whole", int, NDArray[np.int64])

KRW, ACS = CURRENCIES.index(Currency.KRW), CURRENCIES.index(Currency.ACS)
# Merit costs nobody money, so it goes first, but only where it covers the whole hold: one attempt, one currency.
PAY_ORDER = (ACS, KRW)


def part_of(hold: Whole, workers: Whole, most: Whole) -> Whole:
    """What is held for so many of `most` workers, for all of whom it is `hold` (0 or more): rounded up, so that it is never less
    than what those cost. No product of large numbers, that it stays within 64 bits."""
    return hold // most * workers + (hold % most * workers + most - 1) // most
