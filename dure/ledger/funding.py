"""Who pays: several awards fund one job in order of expiry, and the transfers that follow from it.

Ids are made of what a transfer is for, so that doing a deed again makes the same transfer: "hold:ATTEMPT:N", and of each
hold "settle:ATTEMPT:N" or "release:ATTEMPT:N" and "refund:ATTEMPT:N" with the same N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dure.errors import require
from dure.ledger.book import account_kind, award_account, programme_account, site_account, treasury_account
from dure.model.codec import changed
from dure.model.funding import Award, Programme, Transfer, TransferKind, TransferState
from dure.model.reason import Reason, ReasonKind
from dure.model.workload import Attempt

Parts = tuple[tuple[str, int], ...]  # (award id, amount), in the order in which they pay


def eligible(award: Award, *, site: str, accelerator: str, now_ms: int) -> bool:
    """Whether an award may pay for work that starts now, there, on that type ("" for none)."""
    open_now = not award.expired and award.starts_ms <= now_ms < award.expires_ms
    site_ok = not award.sites or site in award.sites
    return open_now and site_ok and (not award.accelerators or accelerator in award.accelerators)


def divide(
    amount: int, awards: Sequence[tuple[Award, int]], *, site: str, accelerator: str, now_ms: int, currency: str = ""
) -> Parts | Reason:
    """Which awards hold how much of `amount`: those that expire first pay first (then by id), none more than it has.

    awards: each with what is available on it. currency: look at awards in this one only; they must all be of one when it is
    not named. Nothing to pay needs nobody: (). Refusals: NO_AWARD; FUNDS_SHORT with hold, available, currency."""
    require(amount >= 0, "an amount is not negative")
    if amount == 0:
        return ()
    able = [(a, left) for a, left in awards if currency in ("", a.currency)]
    able = [(a, left) for a, left in able if eligible(a, site=site, accelerator=accelerator, now_ms=now_ms)]
    if not able:
        return Reason.of(ReasonKind.NO_AWARD)
    require(len({a.currency for a, _ in able}) == 1, "awards of several currencies cannot pay for one job")
    parts, due = [], amount
    for award, left in sorted(able, key=lambda pair: (pair[0].expires_ms, pair[0].id)):
        part = min(due, max(left, 0))
        due -= part
        if part:
            parts.append((award.id, part))
    if due:
        return Reason.of(ReasonKind.FUNDS_SHORT, hold=amount, available=amount - due, currency=able[0][0].currency)
    return tuple(parts)


def transfer_id(kind: TransferKind, attempt: str, number: int) -> str:
    """Of what is posted for an attempt: its holds count from 0 without gaps, and what follows upon one has its number."""
    return f"{kind}:{attempt}:{number}"


def hold_transfers(attempt: Attempt, parts: Parts, *, at_ms: int, first: int = 0) -> tuple[Transfer, ...]:
    """One HOLD for every part. first: number of the first one; an extension of an attempt goes on counting."""
    return tuple(
        Transfer(
            id=transfer_id(TransferKind.HOLD, attempt.id, n),
            kind=TransferKind.HOLD,
            debit=award_account(award),
            credit=site_account(attempt.site, attempt.currency),
            amount=part,
            currency=attempt.currency,
            state=TransferState.PENDING,
            project=attempt.project,
            workload=attempt.workload,
            attempt=attempt.id,
            rule_version=attempt.policy_version,
            at_ms=at_ms,
        )
        for n, (award, part) in enumerate(parts, first)
    )


def settle_transfers(holds: Sequence[Transfer], amount: int, *, at_ms: int) -> tuple[Transfer, ...]:
    """End all `holds` of an attempt so that `amount` is paid, in the order in which they were made, each up to what it
    holds; a hold of which nothing is needed is released. Raises InvariantViolated when they do not hold that much."""
    require(0 <= amount <= sum(h.amount for h in holds), f"{amount} is not covered by the holds")
    made = []
    for hold in sorted(holds, key=_number):
        part = min(amount, hold.amount)
        amount -= part
        kind, of = (TransferKind.SETTLE, part) if part else (TransferKind.RELEASE, hold.amount)
        made.append(changed(_follows(hold, kind, of, at_ms), hold=hold.id))
    return tuple(made)


def release_transfers(holds: Sequence[Transfer], *, at_ms: int) -> tuple[Transfer, ...]:
    """Void all these holds."""
    return settle_transfers(holds, 0, at_ms=at_ms)


def refund_transfers(holds: Sequence[Transfer], amount: int, *, payer: str, at_ms: int) -> tuple[Transfer, ...]:
    """Give `amount` back to the awards that paid, last payer first, to none more than it paid.

    holds: of one attempt, each with what was `settled` of it. payer: the policy account that makes good. Raises InvariantViolated
    when `amount` is more than was paid."""
    require(account_kind(payer) == "policy", f"{payer} is no policy account")
    require(0 <= amount <= sum(h.settled for h in holds), f"a refund of {amount} is more than was paid")
    made = []
    for hold in sorted(holds, key=_number, reverse=True):
        part = min(amount, hold.settled)
        amount -= part
        if part:
            back = _follows(hold, TransferKind.REFUND, part, at_ms)
            made.append(replace(back, debit=payer, credit=hold.debit))
    return tuple(made)


def fund_transfer(programme: Programme, amount: int, *, id: str, rule_version: int, at_ms: int) -> Transfer:
    """Money from the treasury of its currency into a programme."""
    debit, credit = treasury_account(programme.currency), programme_account(programme.id)
    return Transfer(id=id, kind=TransferKind.FUND, debit=debit, credit=credit, amount=amount, currency=programme.currency,
                    rule_version=rule_version, at_ms=at_ms)  # fmt: skip


def award_transfer(award: Award, amount: int, *, id: str, rule_version: int, at_ms: int) -> Transfer:
    """Money from its programme into an award, at first or as a top-up."""
    return Transfer(id=id, kind=TransferKind.AWARD, debit=programme_account(award.programme), credit=award_account(award.id),
                    amount=amount, currency=award.currency, project=award.project, rule_version=rule_version,
                    at_ms=at_ms)  # fmt: skip


def expire_transfer(award: Award, amount: int, *, id: str, rule_version: int, at_ms: int) -> Transfer:
    """What is left of an award, back into its programme."""
    given = award_transfer(award, amount, id=id, rule_version=rule_version, at_ms=at_ms)
    return replace(given, kind=TransferKind.EXPIRE, debit=given.credit, credit=given.debit)


def withdraw_transfer(award: Award, amount: int, *, id: str, rule_version: int, at_ms: int) -> Transfer:
    """A part of an award that an officer takes back, into its programme."""
    return replace(expire_transfer(award, amount, id=id, rule_version=rule_version, at_ms=at_ms), kind=TransferKind.WITHDRAW)


def _number(hold: Transfer) -> int:
    return int(hold.id.rpartition(":")[2])


def _follows(hold: Transfer, kind: TransferKind, amount: int, at_ms: int) -> Transfer:
    """A transfer between the hold's accounts, for the same work under the same rules."""
    return changed(hold, id=transfer_id(kind, hold.attempt, _number(hold)), kind=kind, amount=amount,
                   at_ms=at_ms, state=TransferState.POSTED, settled=0, version=1)  # fmt: skip
