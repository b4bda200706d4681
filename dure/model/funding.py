"""Programmes, awards, accounts, remainders and transfers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TransferKind(StrEnum):
    FUND = "fund"  # treasury → programme
    AWARD = "award"  # programme → award
    HOLD = "hold"  # award → site, pending
    SETTLE = "settle"  # posts (part of) a hold; what is left of it is released
    RELEASE = "release"  # voids a hold
    REFUND = "refund"  # policy → award
    EXPIRE = "expire"  # award → programme, what is left after the last day
    WITHDRAW = "withdraw"  # award → programme, taken back before that by an officer


class TransferState(StrEnum):
    POSTED = "posted"
    PENDING = "pending"
    SETTLED = "settled"  # a hold, of which `settled` was posted
    RELEASED = "released"  # a hold, voided


class WithdrawalReason(StrEnum):
    """Why an officer took back of an award. One of these words, since its event is never erased and must name nobody."""

    OTHER = "other"  # none of these, or not said
    WRONG_PROJECT = "wrong_project"  # it was meant for another one
    WRONG_AMOUNT = "wrong_amount"  # more was awarded than was meant
    NOT_NEEDED = "not_needed"  # the project does not need it (any more)
    PROJECT_ENDED = "project_ended"
    RULES_BROKEN = "rules_broken"  # the programme's, by the project


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """A call with money behind it."""

    id: str
    name: str
    currency: str = "KRW"
    budget: int = 0
    starts_ms: int = 0
    ends_ms: int = 0
    created_ms: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """A voucher: an amount for a project, between two moments, under rules."""

    id: str
    programme: str
    project: str
    currency: str
    amount: int
    starts_ms: int
    expires_ms: int  # first moment at which nothing new can be held
    sites: tuple[str, ...] = ()  # eligible sites; empty means all
    accelerators: tuple[str, ...] = ()  # eligible types; empty means all, and CPU-only work
    awarded_by: str = ""
    created_ms: int = 0
    expired: bool = False  # what was left has gone back to the programme
    withdrawn: int = 0  # of `amount`: taken back by officers
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Double entry: four sums that only grow (pending ones also shrink as holds end)."""

    id: str  # "award:ID", "programme:ID", "site:ID:CUR", "policy:NAME:CUR", "treasury:CUR"
    currency: str
    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0
    # "credit": debits (posted and pending) never exceed posted credits. "debit": free (money comes from here).
    normal: str = "credit"
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """What a project has used at a site and what does not yet make a whole unit: carried to its next settlement there."""

    id: str  # "PROJECT/SITE/CURRENCY"
    project: str
    site: str
    currency: str
    nano: int = 0  # nano-units, less than one whole unit
    ends: int = 0  # how many ends of attempts went through it; numbers them, so that they can be told in order
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """An amount from the debited account to the credited one. Never changed but for a hold's state, once."""

    id: str  # made by the caller from what it is for, so that the same deed has the same id
    kind: TransferKind
    debit: str
    credit: str
    amount: int
    currency: str
    state: TransferState = TransferState.POSTED
    hold: str = ""  # of a settle or release: the hold it ends
    settled: int = 0  # of a hold: how much of it was posted
    project: str = ""
    workload: str = ""
    attempt: str = ""
    rule_version: int = 0  # version of the policy whose prices or rules made this posting
    at_ms: int = 0
    version: int = 1
