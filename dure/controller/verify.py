"""Proof on demand: of the event chain, and of the books against it. Both name the first bad row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dure.controller.deed import record_digest
from dure.controller.rules import plane_of
from dure.ledger import AttemptMoney, Finding, verify_books, verify_digests
from dure.model.event import GENESIS, ChainFault, Event, verify_chain
from dure.model.funding import Account, Award, Transfer
from dure.model.policy import Policy
from dure.model.workload import Attempt, AttemptState
from dure.ports import Reader

EVENTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    events: int  # sealed
    unsealed: int  # the tail that the next step seals
    head: str  # hash of the last sealed event
    fault: ChainFault | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksReport:
    accounts: int
    transfers: int
    attempts: int
    findings: tuple[Finding, ...]  # the first is the first bad row


def sealed_events(reader: Reader) -> Iterator[list[Event]]:
    """All sealed events in order, some at a time. Ends at the first number that is missing."""
    last, seq = plane_of(reader).sealed_seq, 0
    while seq < last:
        numbers = list(range(seq + 1, min(last, seq + EVENTS_AT_ONCE) + 1))
        events = reader.find(Event, {"seq": numbers}, order="seq")
        yield events
        if len(events) < len(numbers):
            return
        seq = numbers[-1]


def verify_audit(reader: Reader) -> AuditReport:
    """Hash the chain again from its beginning and compare its end with what the plane says it is."""
    plane = plane_of(reader)
    seq, hash_ = 0, GENESIS
    fault: ChainFault | None = None
    for events in sealed_events(reader):
        fault = verify_chain(events, seq, hash_)
        if fault is not None:
            break
        if events:
            seq, hash_ = events[-1].seq, events[-1].hash
    if fault is None and seq != plane.sealed_seq:
        fault = ChainFault(seq=seq + 1, event="", fault="gap")
    if fault is None and hash_ != plane.sealed_hash:
        fault = ChainFault(seq=seq, event="", fault="head_mismatch")
    return AuditReport(events=seq, unsealed=reader.count(Event, {"seq": 0}), head=hash_, fault=fault)


def verify_store_books(reader: Reader) -> BooksReport:
    """Make every sum again from the transfers, and compare each transfer with what the event chain recorded of it."""
    accounts, transfers, attempts = reader.find(Account), reader.find(Transfer), reader.find(Attempt)
    rows = [AttemptMoney(a.id, a.state != AttemptState.ENDED, a.held, a.settled, a.refunded) for a in attempts]
    told = _recorded(reader)
    findings = (
        *verify_books(accounts, transfers, rows),
        *verify_digests(told.transfers, transfers),
        *_altered_rules(reader, told.rules),
    )
    return BooksReport(accounts=len(accounts), transfers=len(transfers), attempts=len(attempts), findings=tuple(findings))


@dataclass(frozen=True, slots=True)
class _Recorded:
    transfers: dict[str, str] = field(default_factory=dict)  # id → digest
    rules: dict[str, str] = field(default_factory=dict)  # id of a policy or an award → digest


def _recorded(reader: Reader) -> _Recorded:
    """What the events tell; also the unsealed ones, which the next step seals."""
    told = _Recorded()
    for events in (*sealed_events(reader), reader.find(Event, {"seq": 0})):
        for event in events:
            told.transfers.update(event.data.get("transfers", {}))
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
