"""Proof on demand: of the event chain, and of the books against it. Both name the first bad row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dure.controller.deed import record_digest
from dure.controller.rules import plane_of
from dure.controller.sealer import Signer, contradiction, row_fault, sealed_events
from dure.ledger import (
    AttemptMoney,
    EndTold,
    Finding,
    available,
    award_account,
    remainder_id,
    verify_books,
    verify_digests,
    verify_ends,
    verify_remainders,
)
from dure.model.chain import ChainProver, believed
from dure.model.event import NO_HEAD, ChainFault, Event, Head
from dure.model.funding import Account, Award, Remainder, Transfer
from dure.model.policy import Policy
from dure.model.workload import Attempt, AttemptState
from dure.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    events: int  # sealed
    unsealed: int  # the tail that the next step seals
    head: str  # hash of the last sealed event
    incarnation: int  # in which that was sealed
    fault: ChainFault | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksReport:
    accounts: int
    transfers: int
    attempts: int
    findings: tuple[Finding, ...]  # the first is the first bad row


def verify_audit(reader: Reader, signer: Signer | None = None, known: Head = NO_HEAD) -> AuditReport:
    """Hash the chain again from its beginning, and hold it against the plane's row and the signed head in it.

    signer: the plane's key, without which head and restores are believed to be signed; known: as of `contradiction`."""
    plane = plane_of(reader)
    prover = ChainProver([plane.head] if plane.head != NO_HEAD else (), signed=signer.made if signer is not None else believed)
    for events in sealed_events(reader):
        if not prover.take(events):
            break
    proof = prover.proof()
    fault = prover.fault or row_fault(plane, prover) or proof.fault
    if fault is None and signer is not None:
        fault = contradiction(reader, plane, signer, known)
    unsealed = reader.count(Event, {"seq": 0})
    return AuditReport(events=proof.last_seq, unsealed=unsealed, head=proof.last_hash, incarnation=proof.incarnation, fault=fault)


def verify_store_books(reader: Reader) -> BooksReport:
    """Make every sum again from the transfers and the exact charges, and compare each transfer and each end of an attempt with
    what the event chain recorded of it."""
    accounts, transfers, attempts = reader.find(Account), reader.find(Transfer), reader.find(Attempt)
    rows, remainders = [_money_of(a) for a in attempts], reader.find(Remainder)
    told = _recorded(reader)
    findings = (
        *verify_books(accounts, transfers, rows),
        *verify_remainders(remainders, transfers, rows),
        *verify_digests(told.transfers, transfers),
        *verify_ends(told.ends, remainders, rows),
        *_altered_rules(reader, told.rules),
        *_kept_by_closed(reader, accounts),
    )
    return BooksReport(accounts=len(accounts), transfers=len(transfers), attempts=len(attempts), findings=tuple(findings))


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


def _end_told(event: Event) -> EndTold:
    told = event.data
    return EndTold(
        attempt=event.subject,
        settled=told["settled"],
        refunded=told["refunded"],
        charge_rest_nano=told["charge_rest_nano"],
        refund_rest_nano=told["refund_rest_nano"],
        remainder=remainder_id(event.project, event.site, told["currency"]),
        number=told["carry_number"],
        carry_nano=told["carry_nano"],
    )


@dataclass(frozen=True, slots=True)
class _Recorded:
    transfers: dict[str, str] = field(default_factory=dict)  # id → digest
    ends: list[EndTold] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)  # id of a policy or an award → digest


def _recorded(reader: Reader) -> _Recorded:
    """What the events tell; also the unsealed ones, which the next step seals."""
    told = _Recorded()
    for events in (*sealed_events(reader), reader.find(Event, {"seq": 0})):
        for event in events:
            told.transfers.update(event.data.get("transfers", {}))
            if event.kind == "attempt.ended":
                told.ends.append(_end_told(event))
            if "digest" in event.data:
                told.rules["policy:1" if event.kind == "plane.founded" else event.subject] = event.data["digest"]
    return told


def _altered_rules(reader: Reader, told: dict[str, str]) -> Iterator[Finding]:
    """Policies and awards that are not what the chain recorded at their making: prices, dates, eligibility."""
    rows: list[Policy | Award] = [*reader.find(Policy), *reader.find(Award)]
    for row in rows:
        recorded, stored = told.get(row.id), record_digest(row)
        if recorded != stored:
            yield Finding("altered" if recorded else "unrecorded", row.id, {"recorded": recorded, "stored": stored})


def _kept_by_closed(reader: Reader, accounts: Iterable[Account]) -> Iterator[Finding]:
    """Closed awards that still have money. An award is closed once nothing of it is held, and only what is held is ever
    refunded, in the transaction that ends the hold: so nothing can come back to one, and nobody has to look for it."""
    left = {a.id: available(a) for a in accounts}
    for award in reader.find(Award, {"expired": True}):
        if left.get(award_account(award.id), 0):
            yield Finding("closed_award_not_empty", award.id, {"available": left[award_account(award.id)]})
