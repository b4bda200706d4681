"""Programmes and awards: where the money comes from, and who may spend it, until when, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dure.controller import money
from dure.controller.deed import Deed, record, record_digest, touch
from dure.controller.rules import bad, exists, known_accelerators, not_found, policy_of
from dure.ledger import (
    available,
    award_account,
    award_transfer,
    expire_transfer,
    fund_transfer,
    programme_account,
    withdraw_transfer,
)
from dure.model.funding import Account, Award, Programme, Transfer, WithdrawalReason
from dure.model.money import CURRENCIES
from dure.model.reason import Reason, ReasonKind
from dure.model.site import Site
from dure.model.tenancy import Project
from dure.ports import Tx

AMOUNT_MAX = 2**53 - 1  # whole units; the largest integer that every JSON reader keeps


def create_programme(
    tx: Tx, deed: Deed, *, id: str, name: str, currency: str, budget: int, starts_ms: int, ends_ms: int
) -> Programme | Reason:
    """A programme, with its budget drawn from the treasury."""
    if tx.get(Programme, id) is not None:
        return exists("programme", id)
    if currency not in CURRENCIES:
        return bad("currency", "unknown_value", allowed=", ".join(CURRENCIES))
    if ends_ms <= starts_ms:
        return bad("ends", "ends_before_start")
    programme = Programme(
        id=id,
        name=name,
        currency=currency,
        budget=0,
        starts_ms=starts_ms,
        ends_ms=ends_ms,
        created_ms=deed.now_ms,
    )
    fault = _amount_fault("budget", budget)
    if fault is not None:
        return fault
    posted = _draw(tx, deed, programme, budget, f"fund:{id}:initial")  # the only one to refuse, so before anything is written
    if isinstance(posted, Reason):
        return posted
    tx.insert(programme)
    data = {"currency": currency, "starts_ms": starts_ms, "ends_ms": ends_ms}
    record(tx, deed, "programme.created", id, data=data, touched=touch(programme))
    return _funded(tx, deed, programme, budget, posted)


def _draw(tx: Tx, deed: Deed, programme: Programme, amount: int, transfer_id: str) -> money.Posted | Reason:
    """Move an amount from the treasury to a programme. A refusal has written nothing."""
    rule_version = policy_of(tx).version
    return money.book(tx, [fund_transfer(programme, amount, id=transfer_id, rule_version=rule_version, at_ms=deed.now_ms)])


def _funded(tx: Tx, deed: Deed, programme: Programme, amount: int, posted: money.Posted) -> Programme:
    funded: Programme = tx.update(replace(programme, budget=programme.budget + amount))
    data = {"amount": amount, "currency": programme.currency, "transfers": posted.digests}
    record(tx, deed, "programme.funded", programme.id, data=data, touched=(*touch(funded), *posted.touched))
    return funded


def _amount_fault(field: str, amount: int) -> Reason | None:
    if amount < 1:
        return bad(field, "too_small", limit=1)
    return bad(field, "too_large", limit=AMOUNT_MAX) if amount > AMOUNT_MAX else None


def fund_programme(tx: Tx, deed: Deed, *, programme: str, amount: int, transfer_id: str) -> Programme | Reason:
    """Raise a programme's budget. ALREADY_EXISTS, naming the transfer, when it has been posted: answers are kept for a while
    only, and whoever repeats a request after that has to hear that it funded nothing more."""
    row = tx.get(Programme, programme)
    if row is None:
        return not_found("programme", programme)
    posted_before = tx.get(Transfer, transfer_id)
    if posted_before is not None and posted_before.amount == amount:
        return exists("transfer", transfer_id)
    fault = _amount_fault("amount", amount)
    if fault is not None:
        return fault
    if row.budget + amount > AMOUNT_MAX:
        return bad("amount", "too_large", limit=AMOUNT_MAX - row.budget)
    posted = _draw(tx, deed, row, amount, transfer_id)
    return posted if isinstance(posted, Reason) else _funded(tx, deed, row, amount, posted)


def create_award(
    tx: Tx,
    deed: Deed,
    *,
    programme: str,
    project: str,
    amount: int,
    starts_ms: int,
    expires_ms: int,
    sites: Sequence[str] = (),
    accelerators: Sequence[str] = (),
) -> Award | Reason:
    """A voucher for a project, paid out of the programme at once: what is awarded cannot be awarded twice."""
    row = tx.get(Programme, programme)
    if row is None:
        return not_found("programme", programme)
    if tx.get(Project, project) is None:
        return not_found("project", project)
    fault = _amount_fault("amount", amount) or _dates_fault(row, starts_ms, expires_ms, deed.now_ms)
    fault = fault or _eligibility_fault(tx, sites, accelerators)
    if fault is not None:
        return fault
    account = tx.get(Account, programme_account(programme))
    left = available(account) if account else 0
    if amount > left:
        return Reason.of(ReasonKind.BUDGET_SHORT, asked=amount, available=left, currency=row.currency)
    award = Award(
        id=deed.new_id("award"),
        programme=programme,
        project=project,
        currency=row.currency,
        amount=amount,
        starts_ms=starts_ms,
        expires_ms=expires_ms,
        sites=tuple(sites),
        accelerators=tuple(accelerators),
        awarded_by=deed.actor,
        created_ms=deed.now_ms,
    )
    _pay_award(tx, deed, award)
    return award


def _pay_award(tx: Tx, deed: Deed, award: Award) -> None:
    tx.insert(award)
    rule = policy_of(tx).version
    transfer = award_transfer(award, award.amount, id=f"award:{award.id}", rule_version=rule, at_ms=deed.now_ms)
    posted = money.must(money.book(tx, [transfer]))
    data = {
        "programme": award.programme,
        "amount": award.amount,
        "currency": award.currency,
        "starts_ms": award.starts_ms,
        "expires_ms": award.expires_ms,
        "digest": record_digest(award),
        "transfers": posted.digests,
    }
    record(tx, deed, "award.created", award.id, project=award.project, data=data, touched=(*touch(award), *posted.touched))


def _dates_fault(programme: Programme, starts_ms: int, expires_ms: int, now_ms: int) -> Reason | None:
    if expires_ms <= starts_ms:
        return bad("expires", "ends_before_start")
    if expires_ms <= now_ms:
        return bad("expires", "in_the_past")
    if starts_ms < programme.starts_ms:
        return bad("starts", "too_early", limit=programme.starts_ms)
    return bad("expires", "too_late", limit=programme.ends_ms) if expires_ms > programme.ends_ms else None


def _eligibility_fault(tx: Tx, sites: Sequence[str], accelerators: Sequence[str]) -> Reason | None:
    for site in sites:
        if tx.get(Site, site) is None:
            return not_found("site", site)
    unknown = set(accelerators) - known_accelerators(tx)
    return bad("accelerators", "unknown_value", value=min(unknown)) if unknown else None


def withdraw_award(tx: Tx, deed: Deed, *, award: str, amount: int, reason: WithdrawalReason, transfer_id: str) -> Award | Reason:
    """Take back what is neither held nor spent of an award, or `amount` of it, into its programme. 0: all that there is.

    ALREADY_EXISTS, naming the transfer, when it has been posted; AWARD_IN_USE with what can be taken back when that is less."""
    row, account = tx.get(Award, award), tx.get(Account, award_account(award))
    if row is None or account is None:
        return not_found("award", award)
    if tx.get(Transfer, transfer_id) is not None:
        return exists("transfer", transfer_id)
    left = available(account)
    if amount > left or not left:
        facts = {"available": left, "held": account.debits_pending, "currency": row.currency}
        return Reason(ReasonKind.AWARD_IN_USE, {**facts, **({"asked": amount} if amount else {})})
    taken = amount or left
    rule = policy_of(tx).version
    transfer = withdraw_transfer(row, taken, id=transfer_id, rule_version=rule, at_ms=deed.now_ms)
    posted = money.must(money.book(tx, [transfer]))
    less: Award = tx.update(replace(row, withdrawn=row.withdrawn + taken))
    data = {"amount": taken, "currency": row.currency, "reason": reason.value, "transfers": posted.digests}
    record(tx, deed, "award.withdrawn", award, project=row.project, data=data, touched=(*touch(less), *posted.touched))
    return less


def expire_award(tx: Tx, deed: Deed, *, award: str) -> Award | None:
    """Give what is left of an award back to its programme, once its last day is over and nothing of it is held any more.

    None while there is nothing (yet) to do. Nothing comes back to it afterwards: only what is held is ever refunded."""
    row = tx.get(Award, award)
    account = tx.get(Account, award_account(award))
    if row is None or account is None or row.expired or row.expires_ms > deed.now_ms or account.debits_pending:
        return None
    left = available(account)
    posted = money.must(money.book(tx, _leftover(tx, row, left, deed.now_ms)))
    closed: Award = tx.update(replace(row, expired=True))
    data = {"amount": left, "currency": row.currency, "transfers": posted.digests}
    record(tx, deed, "award.expired", award, project=row.project, data=data, touched=(*touch(closed), *posted.touched))
    return closed


def _leftover(tx: Tx, award: Award, left: int, now_ms: int) -> list[Transfer]:
    if not left:
        return []
    rule = policy_of(tx).version
    return [expire_transfer(award, left, id=expiry_id(award.id), rule_version=rule, at_ms=now_ms)]


def expiry_id(award: str) -> str:
    """Of the transfer with which an award expired."""
    return f"expire:{award}"
