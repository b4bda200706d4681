"""Builders: a small world of accounts, and a book that posts into dictionaries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dure.ledger import Posting, open_account, post_all
from dure.model.funding import Account, Award, Programme, Transfer, TransferKind
from dure.model.reason import Reason
from dure.model.workload import Attempt

PROGRAMME = Programme(id="prog", name="Call 2026", starts_ms=0, ends_ms=1_000_000)
ATTEMPT = Attempt(id="att", workload="job", project="uni", site="pohang", epoch=1, policy_version=3)


def award(id: str = "a1", *, amount: int = 1000, expires_ms: int = 1000, starts_ms: int = 0, **more: object) -> Award:
    return Award(id=id, programme="prog", project="uni", currency=str(more.pop("currency", "KRW")), amount=amount,
                 starts_ms=starts_ms, expires_ms=expires_ms, **more)  # type: ignore[arg-type]  # fmt: skip


def grant(award_id: str, amount: int, id: str = "", at_ms: int = 0) -> Transfer:
    """Money from the programme into an award."""
    return Transfer(id=id or f"award:{award_id}", kind=TransferKind.AWARD, debit="programme:prog", credit=f"award:{award_id}",
                    amount=amount, currency="KRW", project="uni", at_ms=at_ms)  # fmt: skip


def fund(amount: int, id: str = "fund:1") -> Transfer:
    return Transfer(id=id, kind=TransferKind.FUND, debit="treasury:KRW", credit="programme:prog", amount=amount, currency="KRW")


@dataclass
class Book:
    """What a store would keep."""

    accounts: dict[str, Account] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)

    def open(self, *ids: str, currency: str = "KRW") -> Book:
        self.accounts.update({id: open_account(id, currency) for id in ids})
        return self

    def post(self, *new: Transfer) -> Posting | Reason:
        outcome = post_all(self.accounts, self.transfers, new)
        if isinstance(outcome, Posting):
            self.accounts.update({a.id: a for a in outcome.accounts})
            self.transfers.update({t.id: t for t in outcome.transfers})
        return outcome

    def must(self, new: Iterable[Transfer]) -> Posting:
        outcome = self.post(*new)
        assert isinstance(outcome, Posting), outcome
        return outcome

    def holds(self, attempt: str = "att") -> list[Transfer]:
        return [t for t in self.transfers.values() if t.kind == TransferKind.HOLD and t.attempt == attempt]


def funded(**awards: int) -> Book:
    """A book in which a programme of one million has given these amounts."""
    book = Book().open("treasury:KRW", "programme:prog", "site:pohang:KRW", "policy:preemption:KRW")
    book.open(*(f"award:{a}" for a in awards))
    book.must([fund(1_000_000), *(grant(a, amount) for a, amount in awards.items() if amount)])
    return book
