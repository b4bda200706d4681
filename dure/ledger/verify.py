"""Proof of the books: from the transfers alone every sum is made again and compared, and each row that does not hold is named.

Slow and simple on purpose: it shares no code with `post` but the table of which accounts a kind runs between. Findings come
in one order (transfers by id, then accounts, currencies, attempts), so "the first bad row" is the same one each time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dure.ledger.book import AMOUNT_MAX, ENDS_HOLD, SIDES, account_kind, normal_of, transfer_body
from dure.model.event import digest
from dure.model.funding import Account, Transfer, TransferKind, TransferState
from dure.model.money import NANO

_COLUMNS = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")
_END_STATE = {TransferKind.SETTLE: TransferState.SETTLED, TransferKind.RELEASE: TransferState.RELEASED}


@dataclass(frozen=True, slots=True)
class Finding:
    """One row that does not hold.

    kind: wrong_accounts, bad_amount, bad_state, hold_missing, hold_ended_twice, hold_state_differs, account_missing,
    currency_differs, wrong_normal, sum_differs, overdrawn, unbalanced, attempt_missing, attempt_held_differs,
    attempt_hold_left, attempt_settled_differs, attempt_refunded_differs; of digests: altered, missing, unrecorded; of exact
    amounts see `verify_exact`."""

    kind: str
    subject: str  # id of the transfer, account or attempt, or the currency
    facts: Mapping[str, Any] = field(default_factory=dict)


class AttemptMoney(NamedTuple):
    """What an attempt says about its own money."""

    id: str
    live: bool
    held: int
    settled: int
    refunded: int
    remainder: str = ""  # id of the one that its end went through
    charge_rest_nano: int = 0  # with `settled`: the exact charge
    refund_rest_nano: int = 0  # with `refunded`: the exact refund

    @property
    def charge_nano(self) -> int:
        return self.settled * NANO + self.charge_rest_nano

    @property
    def refund_nano(self) -> int:
        return self.refunded * NANO + self.refund_rest_nano


def transfer_digest(transfer: Transfer) -> str:
    """32 hex digits over everything about a transfer that never changes: what the event chain seals of it."""
    return digest(transfer_body(transfer))


def verify_digests(recorded: Mapping[str, str], transfers: Iterable[Transfer]) -> tuple[Finding, ...]:
    """Compare the books with what the event chain recorded of them (transfer id → digest), sorted by transfer id.

    altered: the stored transfer is not the one recorded. missing: recorded, but no longer stored. unrecorded: stored, but no
    event tells of it."""
    stored = {t.id: transfer_digest(t) for t in transfers}
    found = []
    for id in sorted(recorded.keys() | stored.keys()):
        told, seen = recorded.get(id), stored.get(id)
        if told != seen:
            kind = "unrecorded" if told is None else "missing" if seen is None else "altered"
            found.append(Finding(kind, id, {"recorded": told, "stored": seen}))
    return tuple(found)


def verify_books(
    accounts: Iterable[Account], transfers: Iterable[Transfer], attempts: Iterable[AttemptMoney] | None = None
) -> tuple[Finding, ...]:
    """Everything about the books that does not hold; () when they are true. attempts: None leaves them out.

    Per currency debits equal credits; stored sums equal those made from the transfers; nobody is overdrawn; every hold has
    ended at most once and as its state says; a live attempt has exactly its holds pending, an ended one none."""
    rows = {t.id: t for t in sorted(transfers, key=lambda t: t.id)}
    books = {a.id: a for a in sorted(accounts, key=lambda a: a.id)}
    found = [*_bad_transfers(rows, books), *_bad_accounts(rows, books), *_unbalanced(books)]
    if attempts is not None:
        found += _bad_attempts(rows, attempts)
    return tuple(found)


def _bad_transfers(rows: Mapping[str, Transfer], books: Mapping[str, Account]) -> Iterator[Finding]:
    ended = Counter(t.hold for t in rows.values() if t.kind in ENDS_HOLD)
    enders = {t.hold: t for t in rows.values() if t.kind in ENDS_HOLD}
    for row in rows.values():
        yield from _bad_row(row, books)
        if row.kind in ENDS_HOLD and (row.hold not in rows or rows[row.hold].kind != TransferKind.HOLD):
            yield Finding("hold_missing", row.id, {"hold": row.hold})
        elif row.kind == TransferKind.HOLD and ended[row.id] > 1:
            yield Finding("hold_ended_twice", row.id, {"times": ended[row.id]})
        elif row.kind == TransferKind.HOLD:
            yield from _bad_hold(row, enders.get(row.id))


def _bad_row(row: Transfer, books: Mapping[str, Account]) -> Iterator[Finding]:
    """What is wrong with one transfer by itself."""
    if (account_kind(row.debit), account_kind(row.credit)) != SIDES[row.kind]:
        yield Finding("wrong_accounts", row.id, {"debit": row.debit, "credit": row.credit})
    if not (0 if row.kind == TransferKind.SETTLE else 1) <= row.amount <= AMOUNT_MAX:
        yield Finding("bad_amount", row.id, {"amount": row.amount})
    if row.kind != TransferKind.HOLD and (row.state != TransferState.POSTED or row.settled):
        yield Finding("bad_state", row.id, {"state": row.state.value, "settled": row.settled})
    for side in (row.debit, row.credit):
        if side not in books:
            yield Finding("account_missing", row.id, {"account": side})
        elif books[side].currency != row.currency:
            yield Finding("currency_differs", row.id, {"account": side, "stored": books[side].currency, "currency": row.currency})


def _bad_hold(hold: Transfer, ender: Transfer | None) -> Iterator[Finding]:
    """A hold's state and settled amount against the one transfer that ended it, or none."""
    if ender is None:
        expected, settled, amount_ok = TransferState.PENDING, 0, True
    else:
        settles = ender.kind == TransferKind.SETTLE
        expected, settled = _END_STATE[ender.kind], ender.amount if settles else 0
        amount_ok = ender.amount <= hold.amount if settles else ender.amount == hold.amount
        amount_ok = amount_ok and (ender.debit, ender.credit, ender.attempt) == (hold.debit, hold.credit, hold.attempt)
    if (hold.state, hold.settled) != (expected, settled) or not amount_ok:
        facts = {"state": hold.state.value, "settled": hold.settled, "amount": hold.amount,
                 "ended_by": ender.id if ender else "", "ended_amount": ender.amount if ender else 0}  # fmt: skip
        yield Finding("hold_state_differs", hold.id, facts)


def _bad_accounts(rows: Mapping[str, Transfer], books: Mapping[str, Account]) -> Iterator[Finding]:
    sums = _sums(rows.values())
    for account in books.values():
        if account.normal != normal_of(account.id):
            yield Finding("wrong_normal", account.id, {"normal": account.normal})
        for column in _COLUMNS:
            stored, made = getattr(account, column), sums[account.id][column]
            if stored != made:
                yield Finding("sum_differs", account.id, {"column": column, "stored": stored, "recomputed": made})
        debits = account.debits_posted + account.debits_pending
        if normal_of(account.id) == "credit" and debits > account.credits_posted:
            yield Finding("overdrawn", account.id, {"debits": debits, "credits": account.credits_posted})


def _sums(rows: Iterable[Transfer]) -> defaultdict[str, Counter[str]]:
    """account → column → sum, from the transfers alone."""
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.kind == TransferKind.RELEASE or (row.kind == TransferKind.HOLD and row.state != TransferState.PENDING):
            continue  # moves nothing: what was held is free again, or its settlement tells of it
        column = "pending" if row.kind == TransferKind.HOLD else "posted"
        sums[row.debit][f"debits_{column}"] += row.amount
        sums[row.credit][f"credits_{column}"] += row.amount
    return sums


def _unbalanced(books: Mapping[str, Account]) -> Iterator[Finding]:
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for account in books.values():
        totals[account.currency].update({column: getattr(account, column) for column in _COLUMNS})
    for currency, total in sorted(totals.items()):
        for column in ("posted", "pending"):
            debits, credits = total[f"debits_{column}"], total[f"credits_{column}"]
            if debits != credits:
                yield Finding("unbalanced", currency, {"column": column, "debits": debits, "credits": credits})


def _bad_attempts(rows: Mapping[str, Transfer], attempts: Iterable[AttemptMoney]) -> Iterator[Finding]:
    known = {a.id: a for a in sorted(attempts)}
    paid: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows.values():
        if row.attempt:
            paid[row.attempt][_bucket(row)] += row.amount
    for id in sorted(paid.keys() - known.keys()):
        yield Finding("attempt_missing", id, dict(paid[id]))
    for attempt in known.values():
        yield from _bad_attempt(attempt, paid[attempt.id])


def _bucket(row: Transfer) -> str:
    pending = row.kind == TransferKind.HOLD and row.state == TransferState.PENDING
    return "pending" if pending else row.kind.value


def _bad_attempt(attempt: AttemptMoney, paid: Mapping[str, int]) -> Iterator[Finding]:
    pending = paid["pending"]
    if not attempt.live and pending:
        yield Finding("attempt_hold_left", attempt.id, {"pending": pending})
    told, seen = (attempt.held, pending) if attempt.live else (attempt.held, paid["hold"] + pending)
    if told != seen:
        yield Finding("attempt_held_differs", attempt.id, {"attempt": told, "books": seen})
    for name, told, seen in (("settled", attempt.settled, paid["settle"]), ("refunded", attempt.refunded, paid["refund"])):
        if told != seen:
            yield Finding(f"attempt_{name}_differs", attempt.id, {"attempt": told, "books": seen})
    if paid["refund"] > paid["settle"]:
        yield Finding("refund_exceeds", attempt.id, {"refunded": paid["refund"], "settled": paid["settle"]})
