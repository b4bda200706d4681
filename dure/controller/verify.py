"""Proof on demand: of the event chain, and of the books against it. Both name the first bad row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dure.controller.forms import forged
from dure.controller.rules import plane_of
from dure.controller.sealer import Signer, contradiction, row_fault, sealed_events
from dure.controller.told import ACCESS, BOOKS, Told, everything_told
from dure.ledger import (
    AttemptMoney,
    Finding,
    available,
    award_account,
    remainder_id,
    verify_books,
    verify_budgets,
    verify_digests,
    verify_ends,
    verify_remainders,
    verify_told,
    verify_withdrawals,
)
from dure.model.chain import ChainProver, believed
from dure.model.event import NO_HEAD, ChainFault, Event, Head
from dure.model.funding import Account, Award, Programme, Remainder, Transfer
from dure.model.policy import Policy
from dure.model.records import Plane
from dure.model.tenancy import Actor, Credential, Grant
from dure.model.workload import Attempt, AttemptState
from dure.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    events: int  # sealed
    unsealed: int  # the tail that the next step seals
    head: str  # hash of the last sealed event
    incarnation: int  # in which that was sealed
    fault: ChainFault | None
    findings: tuple[Finding, ...] = ()  # actors, roles and credentials that are not what the chain says; none behind a fault
    unproved: int = 0  # of those, how many rest, wholly or in part, on the unsealed tail alone


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksReport:
    accounts: int
    transfers: int
    attempts: int
    findings: tuple[Finding, ...]  # the first is the first bad row
    unsealed: int = 0  # events in the tail that the next step seals
    unproved: int = 0  # rows of which, wholly or in part, that tail alone tells: no finding, and not proved either


def verify_audit(reader: Reader, signer: Signer | None = None, known: Head = NO_HEAD) -> AuditReport:
    """Hash the chain again from its beginning, and hold it against the plane's row and the signed head in it; then hold who may
    do what against what the chain tells of it.

    signer: the plane's key, without which head and restores are believed to be signed; known: as of `contradiction`."""
    plane = plane_of(reader)
    prover = ChainProver([plane.head] if plane.head != NO_HEAD else (), signed=signer.made if signer is not None else believed)
    told = Told(ACCESS)
    for events in sealed_events(reader):
        if not prover.take(events):
            break
        told.take_all(events)
    proof = prover.proof()
    fault = prover.fault or row_fault(plane, prover) or proof.fault
    if fault is None and signer is not None:
        fault = contradiction(reader, plane, signer, known)
    tail = reader.find(Event, {"seq": 0})
    told.take_all(tail)
    findings = [*told.against(reader, Plane, Actor, Grant, Credential), *told.findings] if fault is None else []
    return AuditReport(
        events=proof.last_seq,
        unsealed=len(tail),
        head=proof.last_hash,
        incarnation=proof.incarnation,
        fault=fault or forged(reader, plane, tail),
        findings=tuple(findings),
        unproved=told.unproved,
    )


def verify_store_books(reader: Reader) -> BooksReport:
    """Make every sum again from the transfers and the exact charges, and compare each transfer, each award, programme and policy,
    and each attempt with what the event chain recorded of it."""
    accounts, transfers, attempts = reader.find(Account), reader.find(Transfer), reader.find(Attempt)
    rows, remainders, awards = [_money_of(a) for a in attempts], reader.find(Remainder), reader.find(Award)
    told = everything_told(reader, BOOKS)
    findings = (
        # what was altered comes first: that other rows do not fit it any more follows from that
        *verify_digests({id: t.digest for id, t in told.transfers.items()}, transfers),
        *verify_books(accounts, transfers, rows),
        *verify_remainders(remainders, transfers, rows),
        *verify_ends(told.ends, remainders, rows),
        *verify_told(told.transfers, told.amounts, transfers),
        *verify_budgets(reader.find(Programme), transfers),
        *verify_withdrawals(awards, transfers),
        *told.against(reader, Policy, Programme, Award, Attempt),
        *_kept_by_closed(reader, accounts),
        *told.findings,
    )
    return BooksReport(
        accounts=len(accounts),
        transfers=len(transfers),
        attempts=len(attempts),
        findings=findings,
        unsealed=told.unsealed,
        unproved=told.unproved,
    )


def _money_of(attempt: Attempt) -> AttemptMoney:
    return AttemptMoney(
        id=attempt.id,
        live=attempt.state != AttemptState.ENDED,
        held=attempt.held,
        settled=attempt.settled,
        refunded=attempt.refunded,
        remainder=remainder_id(attempt.project, attempt.site, attempt.currency),
        charge_rest_nano=attempt.charge_rest_nano,
        refund_rest_nano=attempt.refund_rest_nano,
    )


def _kept_by_closed(reader: Reader, accounts: Iterable[Account]) -> Iterator[Finding]:
    """Closed awards that still have money. An award is closed once nothing of it is held, and only what is held is ever
    refunded, in the transaction that ends the hold: so nothing can come back to one, and nobody has to look for it."""
    left = {a.id: available(a) for a in accounts}
    for award in reader.find(Award, {"expired": True}):
        if left.get(award_account(award.id), 0):
            yield Finding("closed_award_not_empty", award.id, {"available": left[award_account(award.id)]})
