"""Proof of what awards say of themselves: that what was taken back of one is what its transfers took back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dure.ledger.book import award_account
from dure.ledger.verify import Finding
from dure.model.funding import Award, Transfer, TransferKind


def verify_withdrawals(awards: Iterable[Award], transfers: Iterable[Transfer]) -> tuple[Finding, ...]:
    """withdrawn_differs: an award's `withdrawn` is not the sum of its withdrawals, or is more than was awarded. By id."""
    taken: Counter[str] = Counter()
    for row in transfers:
        if row.kind == TransferKind.WITHDRAW:
            taken[row.debit] += row.amount
    told = {award_account(award.id): award.withdrawn for award in awards}
    return tuple(
        Finding("withdrawn_differs", account, {"stored": told.get(account, 0), "recomputed": taken[account]})
        for account in sorted(told.keys() | taken.keys())
        if told.get(account, 0) != taken[account]
    )
