"""Money in a transaction: reads the accounts that a posting needs, asks the pure ledger, writes what it says.

Every function that posts returns the ids of what it touched and the digests of its transfers, for the event that tells of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from dure.errors import require
from dure.ledger import (
    available,
    award_account,
    divide,
    hold_transfers,
    open_account,
    open_remainder,
    policy_account,
    post_all,
    refund_transfers,
    remainder_id,
    settle_exact,
    settle_transfers,
    site_account,
    transfer_digest,
    transfer_id,
)
from dure.model.codec import changed
from dure.model.funding import Account, Award, Remainder, Transfer, TransferKind, TransferState
from dure.model.money import NANO
from dure.model.reason import Reason
from dure.model.workload import Attempt, Outcome
from dure.ports import Reader, Tx


@dataclass(frozen=True, slots=True)
class Posted:
    """What postings touched: for `Event.touched` and `Event.data["transfers"]`. Empty when all had been posted before."""

    touched: tuple[str, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)


def book(tx: Tx, transfers: Sequence[Transfer]) -> Posted | Reason:
    """Post transfers, all or none; opens the accounts that are missing. A refusal has written nothing."""
    if not transfers:
        return Posted()
    accounts = tx.get_many(Account, {side for t in transfers for side in (t.debit, t.credit)})
    missing = {side: t.currency for t in transfers for side in (t.debit, t.credit) if side not in accounts}
    opened = {id: open_account(id, currency) for id, currency in missing.items()}
    known = tx.get_many(Transfer, {i for t in transfers for i in (t.id, t.hold) if i})
    posting = post_all({**accounts, **opened}, known, transfers)
    if isinstance(posting, Reason):
        return posting
    for account in posting.accounts:
        if account.id in opened:
            tx.insert(account)
        else:
            tx.update(account)
    for row in posting.transfers:
        if row.id in known:
            tx.update(row)
        else:
            tx.insert(row)
    fresh = [row for row in posting.transfers if row.id not in known]
    return Posted(touched=tuple(f"Account:{a.id}" for a in posting.accounts), digests={r.id: transfer_digest(r) for r in fresh})


def must(outcome: Posted | Reason) -> Posted:
    """For postings that cannot be refused, because all that could refuse them was checked; if one is, nothing may commit."""
    require(isinstance(outcome, Posted), f"the ledger refused what it owed: {outcome}")
    assert isinstance(outcome, Posted)  # as just required; for the type checker
    return outcome


def _with_funds(reader: Reader, awards: Sequence[Award]) -> list[tuple[Award, int]]:
    """Awards with what is available of each."""
    accounts = reader.get_many(Account, [award_account(a.id) for a in awards])
    return [(a, available(accounts[award_account(a.id)])) for a in awards]


def open_awards(reader: Reader, projects: Collection[str]) -> dict[str, list[Award]]:
    """The unexpired awards of several projects, read together."""
    found: dict[str, list[Award]] = {project: [] for project in projects}
    for award in reader.find(Award, {"project": sorted(projects), "expired": False}):
        found[award.project].append(award)
    return found


def hold(tx: Tx, attempt: Attempt, awards: Sequence[Award], now_ms: int) -> Posted | Reason:
    """Hold `attempt.held` from the project's awards in order of expiry. A refusal has written nothing."""
    if attempt.held == 0:
        return Posted()
    parts = divide(
        attempt.held,
        _with_funds(tx, [a for a in awards if a.currency == attempt.currency]),
        currency=attempt.currency,
        site=attempt.site,
        accelerator=attempt.accelerator,
        now_ms=now_ms,
    )
    if isinstance(parts, Reason):
        return parts
    return must(book(tx, hold_transfers(attempt, parts, at_ms=now_ms)))


def _holds(tx: Reader, attempt: Attempt) -> list[Transfer]:
    """What is held for an attempt now."""
    return [hold for hold in _made(tx, attempt) if hold.state == TransferState.PENDING]


def _made(tx: Reader, attempt: Attempt) -> Iterator[Transfer]:
    """All its holds, read by their ids: they count without gaps, and `look_ahead` has read them together with others'."""
    number = 0
    while hold := tx.get(Transfer, transfer_id(TransferKind.HOLD, attempt.id, number)):
        yield hold
        number += 1


NOTHING: Mapping[type[Any], Collection[str]] = MappingProxyType({})

# A hold, the one that would be next, and what may follow upon the first: nearly all have but one.
_LIKELY = (
    (TransferKind.HOLD, 0),
    (TransferKind.HOLD, 1),
    (TransferKind.SETTLE, 0),
    (TransferKind.RELEASE, 0),
)


def look_ahead(tx: Tx, attempts: Collection[Attempt], besides: Mapping[type[Any], Collection[str]] = NOTHING) -> None:
    """Read together what holding or settling for each of these will ask for one by one, and what is wanted besides. Changes
    nothing, and is never needed."""
    likely = [transfer_id(kind, a.id, number) for a in attempts for kind, number in _LIKELY]
    tx.read_ahead({**besides, Transfer: likely, Remainder: {remainder_id(a.project, a.site, a.currency) for a in attempts}})
    made = tx.get_many(Transfer, likely)
    sides = {side for transfer in made.values() for side in (transfer.debit, transfer.credit)}
    tx.get_many(Account, sides | {site_account(a.site, a.currency) for a in attempts})


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What the end of an attempt came to: whole units that were posted, and what the remainder took up or gave.

    settled × 10⁹ + charge_rest_nano is the exact charge, refunded × 10⁹ + refund_rest_nano the exact refund. ends: the place of
    this end among those of its remainder, 0 when nothing was charged; carry_nano: what is carried after it."""

    settled: int = 0
    refunded: int = 0
    charge_rest_nano: int = 0
    refund_rest_nano: int = 0
    ends: int = 0
    carry_nano: int = 0
    posted: Posted = field(default_factory=Posted)


def settle(tx: Tx, attempt: Attempt, charge_nano: int, refund_nano: int, now_ms: int) -> Paid:
    """End all that is held for an attempt: post the whole units of its charge and of what was carried, release the rest, and
    give the whole units of the refund back at the policy's expense. What is left is carried to the project's next settlement at
    that site; ends are posted in the order in which they come here, which `Paid.ends` numbers."""
    holds = _holds(tx, attempt)
    if not charge_nano:
        return Paid(posted=must(book(tx, settle_transfers(holds, 0, at_ms=now_ms))))
    left = _remainder(tx, attempt)
    made = settle_exact(left.nano, charge_nano, refund_nano, attempt.held)
    transfers: list[Transfer] = list(settle_transfers(holds, made.settled, at_ms=now_ms))
    if made.refunded:
        transfers += _refunds(attempt, holds, transfers, made.refunded, now_ms)
    posted = must(book(tx, transfers))
    carried: Remainder = tx.update(changed(left, nano=made.carry_nano, ends=left.ends + 1))
    return Paid(
        settled=made.settled,
        refunded=made.refunded,
        charge_rest_nano=charge_nano - made.settled * NANO,
        refund_rest_nano=refund_nano - made.refunded * NANO,
        ends=carried.ends,
        carry_nano=carried.nano,
        posted=changed(posted, touched=(*posted.touched, f"Remainder:{carried.id}")),
    )


def _remainder(tx: Tx, attempt: Attempt) -> Remainder:
    """The one that an attempt's end goes through; opened when there is none."""
    row = tx.get(Remainder, remainder_id(attempt.project, attempt.site, attempt.currency))
    if row is None:
        row = open_remainder(attempt.project, attempt.site, attempt.currency)
        tx.insert(row)
    return row


REFUND_POLICY = {Outcome.PREEMPTED: "preemption", Outcome.LOST: "loss"}  # whose account pays for lost work


def _refunds(
    attempt: Attempt, holds: Sequence[Transfer], settles: Sequence[Transfer], refund: int, now_ms: int
) -> Sequence[Transfer]:
    payer = policy_account(REFUND_POLICY[attempt.outcome], attempt.currency)
    posted = {s.hold: s.amount for s in settles if s.kind == TransferKind.SETTLE}
    settled = [replace(h, settled=posted.get(h.id, 0)) for h in holds]
    return refund_transfers(settled, refund, payer=payer, at_ms=now_ms)
