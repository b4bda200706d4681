"""Posting: which accounts and transfers one new transfer changes. Values in, values out; the caller writes
them in one transaction.

The rules are TigerBeetle's two-phase transfers: a HOLD reserves on both sides, exactly one SETTLE or RELEASE ends it, and a
credit-normal account's debits, posted and pending, never exceed its posted credits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dure.errors import require
from dure.model.codec import changed
from dure.model.funding import Account, Transfer, TransferKind, TransferState
from dure.model.reason import Reason, ReasonKind

AMOUNT_MAX = 2**53  # of one transfer: the largest integer that every JSON reader keeps whole
SUM_MAX = 2**62  # of one account's column: leaves a bit of room in the 64 that stores and columns have

# Between which kinds of account a transfer of each kind runs: (debit, credit).
SIDES: Mapping[TransferKind, tuple[str, str]] = {
    TransferKind.FUND: ("treasury", "programme"),
    TransferKind.AWARD: ("programme", "award"),
    TransferKind.HOLD: ("award", "site"),
    TransferKind.SETTLE: ("award", "site"),
    TransferKind.RELEASE: ("award", "site"),
    TransferKind.REFUND: ("policy", "award"),
    TransferKind.EXPIRE: ("award", "programme"),
    TransferKind.WITHDRAW: ("award", "programme"),
}
ENDS_HOLD = frozenset({TransferKind.SETTLE, TransferKind.RELEASE})
DEBIT_NORMAL = frozenset({"treasury", "policy"})  # where money comes from: the state's budget, and a policy that has to make good


@dataclass(frozen=True, slots=True)
class Posting:
    """What a posting changes: records as they are to be stored, versions as they were read.

    `transfers` holds the new transfer, and of a settle or release also the hold that it ended. `repeated`: everything had
    been posted before, so nothing changes."""

    accounts: tuple[Account, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    repeated: bool = False


def treasury_account(currency: str) -> str:
    return f"treasury:{currency}"


def programme_account(programme: str) -> str:
    return f"programme:{programme}"


def award_account(award: str) -> str:
    return f"award:{award}"


def site_account(site: str, currency: str) -> str:
    """A site earns in every currency, and an account has one: so the currency is in the id."""
    return f"site:{site}:{currency}"


def policy_account(name: str, currency: str) -> str:
    """The account that pays for what a policy did to people, such as "preemption"."""
    return f"policy:{name}:{currency}"


def account_kind(account_id: str) -> str:
    return account_id.partition(":")[0]


def normal_of(account_id: str) -> str:
    """ "debit" for accounts that money comes from, else "credit"."""
    return "debit" if account_kind(account_id) in DEBIT_NORMAL else "credit"


def open_account(account_id: str, currency: str) -> Account:
    """A new, empty account with the normal side that its kind has."""
    return Account(id=account_id, currency=currency, normal=normal_of(account_id))


def available(account: Account) -> int:
    """What may still be debited from a credit-normal account."""
    return account.credits_posted - account.debits_posted - account.debits_pending


def transfer_body(transfer: Transfer) -> list[Any]:
    """Everything about a transfer that never changes, in a fixed order: the basis of its digest."""
    t = transfer
    return [t.id, t.kind.value, t.debit, t.credit, t.amount, t.currency, t.hold, t.project, t.workload, t.attempt,
            t.rule_version, t.at_ms]  # fmt: skip


def post(accounts: Mapping[str, Account], transfers: Mapping[str, Transfer], new: Transfer) -> Posting | Reason:
    """What `new` changes, or why it may not be posted.

    accounts: both sides of `new`, by id. transfers: the stored transfer with the id of `new` if there is one, and the hold that
    it ends if it ends one. The same id with the same body (the moment of asking aside) is a repetition and changes nothing.
    Refusals: EXISTS_DIFFERENT, LIMIT_EXCEEDED (amount out of bounds, or more than the hold), HOLD_ENDED, BALANCE_SHORT.
    Raises InvariantViolated for what no caller may ask: wrong kinds of account, a negative amount, a hold that is not there."""
    known = transfers.get(new.id)
    if known is not None:
        return Posting(repeated=True) if _same_deed(known, new) else Reason.of(ReasonKind.EXISTS_DIFFERENT, id=new.id)
    _require_shape(accounts, new)
    if new.amount > AMOUNT_MAX:
        return Reason.of(ReasonKind.LIMIT_EXCEEDED, what="amount", limit=AMOUNT_MAX, asked=new.amount)
    if new.kind in ENDS_HOLD:
        return _end_hold(accounts, transfers, new)
    pending = new.kind == TransferKind.HOLD
    moved = _move(accounts, new, posted=0 if pending else new.amount, pending=new.amount if pending else 0)
    return moved if isinstance(moved, Reason) else Posting(accounts=moved, transfers=(new,))


def post_all(accounts: Mapping[str, Account], transfers: Mapping[str, Transfer], news: Iterable[Transfer]) -> Posting | Reason:
    """Several transfers, each seeing what those before it did: all of them, or the first refusal and none."""
    books, rows = dict(accounts), dict(transfers)
    changed: dict[str, Account] = {}
    written: dict[str, Transfer] = {}
    fresh, asked = False, False
    for new in news:
        step = post(books, rows, new)
        if isinstance(step, Reason):
            return step
        for account in step.accounts:
            books[account.id] = changed[account.id] = account
        for row in step.transfers:
            rows[row.id] = written[row.id] = row
        fresh, asked = fresh or not step.repeated, True
    return Posting(accounts=tuple(changed.values()), transfers=tuple(written.values()), repeated=asked and not fresh)


def _same_deed(known: Transfer, new: Transfer) -> bool:
    """A retry is made at a later moment, so the moment is not part of what is asked."""
    return transfer_body(replace(known, at_ms=0)) == transfer_body(replace(new, at_ms=0))


def _require_shape(accounts: Mapping[str, Account], new: Transfer) -> None:
    sides = (account_kind(new.debit), account_kind(new.credit))
    require(sides == SIDES[new.kind], f"{new.id}: a {new.kind} does not run from {new.debit} to {new.credit}")
    for side in (new.debit, new.credit):
        require(side in accounts, f"{new.id}: account {side} is not open")
        require(accounts[side].currency == new.currency, f"{new.id}: {side} is not kept in {new.currency}")
        require(accounts[side].normal == normal_of(side), f"{new.id}: {side} has the wrong normal side")
    require(new.amount >= (0 if new.kind == TransferKind.SETTLE else 1), f"{new.id}: amount {new.amount} is too small")
    state = TransferState.PENDING if new.kind == TransferKind.HOLD else TransferState.POSTED
    require(new.state == state and new.settled == 0, f"{new.id}: a new {new.kind} is {state}, and nothing of it is settled")
    require(bool(new.hold) == (new.kind in ENDS_HOLD), f"{new.id}: a settle or release, and nothing else, names a hold")


def _end_hold(accounts: Mapping[str, Account], transfers: Mapping[str, Transfer], new: Transfer) -> Posting | Reason:
    hold = transfers.get(new.hold)
    require(hold is not None and hold.kind == TransferKind.HOLD, f"{new.id}: there is no hold {new.hold}")
    assert hold is not None  # as just required; for the type checker
    same_sides = (hold.debit, hold.credit, hold.currency) == (new.debit, new.credit, new.currency)
    require(same_sides, f"{new.id}: not between the accounts of {hold.id}")
    if hold.state != TransferState.PENDING:
        return Reason.of(ReasonKind.HOLD_ENDED, id=hold.id, state=hold.state.value)
    settles = new.kind == TransferKind.SETTLE
    if settles and new.amount > hold.amount:
        return Reason.of(ReasonKind.LIMIT_EXCEEDED, what="hold", limit=hold.amount, asked=new.amount)
    require(settles or new.amount == hold.amount, f"{new.id}: a release is of the whole hold")
    posted = new.amount if settles else 0
    moved = _move(accounts, new, posted=posted, pending=-hold.amount)
    state = TransferState.SETTLED if settles else TransferState.RELEASED
    return moved if isinstance(moved, Reason) else Posting(moved, (new, changed(hold, state=state, settled=posted)))


def _move(accounts: Mapping[str, Account], new: Transfer, *, posted: int, pending: int) -> tuple[Account, Account] | Reason:
    """Both sides with `posted` and `pending` added, or why not."""
    debit, credit = accounts[new.debit], accounts[new.credit]
    asked = posted + pending
    # What only lowers an account's debits is never refused: a hold can always be ended.
    if debit.normal == "credit" and asked > 0 and asked > available(debit):
        facts = {"account": debit.id, "asked": asked, "available": available(debit), "currency": new.currency}
        return Reason(ReasonKind.BALANCE_SHORT, facts)
    debit = changed(debit, debits_posted=debit.debits_posted + posted, debits_pending=debit.debits_pending + pending)
    credit = changed(credit, credits_posted=credit.credits_posted + posted, credits_pending=credit.credits_pending + pending)
    require(debit.debits_pending >= 0 and credit.credits_pending >= 0, f"{new.id}: more was held than the accounts say")
    largest = max(debit.debits_posted, debit.debits_pending, credit.credits_posted, credit.credits_pending)
    if largest > SUM_MAX:
        return Reason.of(ReasonKind.LIMIT_EXCEEDED, what="account", limit=SUM_MAX, asked=largest)
    return debit, credit
