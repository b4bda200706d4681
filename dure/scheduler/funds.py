"""In which order currencies pay, and where they stand in columns of amounts."""

from __future__ import annotations

from dure.model.money import CURRENCIES, Currency

KRW, ACS = CURRENCIES.index(Currency.KRW), CURRENCIES.index(Currency.ACS)
# Merit costs nobody money, so it goes first, but only where it covers the whole hold: one attempt, one currency.
PAY_ORDER = (ACS, KRW)
