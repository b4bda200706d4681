"""What the events tell of records, and whether the records are so.

Each kind of event speaks of records of its own and no others. What was told first stands: a later event can add to it (an end, a
revocation) and never say it anew. Sealed events are taken first, so that nothing unsealed beats them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dure.controller.deed import evidence_digest, fingerprint, record_digest
from dure.controller.forms import well_formed
from dure.controller.sealer import sealed_events
from dure.ledger import EndTold, Finding, TransferTold, remainder_id
from dure.model.event import Event
from dure.model.funding import Award, Programme
from dure.model.policy import Policy
from dure.model.records import Plane
from dure.model.tenancy import Actor, Credential, Grant
from dure.model.workload import Attempt, AttemptState
from dure.ports import Reader

Fields = Mapping[str, Any]


class Statement(NamedTuple):
    """That a record has these fields. fields None: that it is gone. aspect: told once, but for "" (what comes and goes)."""

    what: type[Any]
    id: str
    aspect: str
    fields: Fields | None


def _picked(event: Event, *names: str) -> dict[str, Any]:
    """Those members that the event tells: older ones told fewer."""
    return {name: event.data[name] for name in names if name in event.data}


def _actor_made(event: Event) -> Iterator[Statement]:
    fields = {"kind": event.data["kind"], "made_by": event.actor, "created_ms": event.at_ms, "disabled": False}
    yield Statement(Actor, event.subject, "made", fields)


def _actor_disabled(event: Event) -> Iterator[Statement]:
    yield Statement(Actor, event.subject, "disabled", {"disabled": True})


def _granted(event: Event) -> Iterator[Statement]:
    fields = {"actor": event.subject, **_picked(event, "role", "scope")}
    id = f"{event.subject}:{fields['role']}:{fields['scope']}"
    yield Statement(Grant, id, "", fields if event.kind == "grant.created" else None)


def _token_made(event: Event) -> Iterator[Statement]:
    told = _picked(event, "actor", "expires_ms", "made_with", "within", "fingerprint")
    made = {"made_by": event.actor, "created_ms": event.at_ms, "revoked_ms": 0}
    yield Statement(Credential, event.subject, "made", told | made)


def _token_revoked(event: Event) -> Iterator[Statement]:
    yield Statement(Credential, event.subject, "revoked", {"revoked_ms": event.at_ms})


def _founded(event: Event) -> Iterator[Statement]:
    yield Statement(Plane, event.subject, "made", {"public_key": event.data["key"]})
    yield Statement(Policy, "policy:1", "made", {"version": 1, "digest": event.data["digest"]})


def _policy(event: Event) -> Iterator[Statement]:
    yield Statement(Policy, event.subject, "made", _picked(event, "version", "digest"))


def _programme(event: Event) -> Iterator[Statement]:
    yield Statement(Programme, event.subject, "made", _picked(event, "currency", "starts_ms", "ends_ms"))


def _award(event: Event) -> Iterator[Statement]:
    told = _picked(event, "programme", "amount", "currency", "starts_ms", "expires_ms", "digest")
    made = {"project": event.project, "awarded_by": event.actor, "created_ms": event.at_ms, "expired": False}
    yield Statement(Award, event.subject, "made", told | made)


def _award_closed(event: Event) -> Iterator[Statement]:
    yield Statement(Award, event.subject, "closed", {"expired": True})


def _placed(event: Event) -> Iterator[Statement]:
    told = _picked(event, "accelerator", "nodes", "devices", "limit_ms", "held", "currency")
    told["policy_version"] = event.data["policy"]
    where = {"workload": event.subject, "project": event.project, "site": event.site, "ended": False}
    yield Statement(Attempt, event.data["attempt"], "placed", told | where)


def _ended(event: Event) -> Iterator[Statement]:
    told = _picked(event, "workload", "outcome", "exit_code", "run_ms", "evidence", "currency", "energy_mwh", "energy_basis")
    where = {"project": event.project, "site": event.site, "ended": True, "ended_ms": event.at_ms}
    yield Statement(Attempt, event.subject, "ended", told | where)


_Says = Mapping[str, Callable[[Event], Iterator[Statement]]]
ACCESS: _Says = {
    "actor.created": _actor_made, "actor.disabled": _actor_disabled, "grant.created": _granted, "grant.revoked": _granted,
    "token.created": _token_made, "token.revoked": _token_revoked, "plane.founded": _founded,
}  # fmt: skip
BOOKS: _Says = {
    "plane.founded": _founded, "policy.written": _policy, "programme.created": _programme, "award.created": _award,
    "award.expired": _award_closed, "workload.placed": _placed, "attempt.ended": _ended,
}  # fmt: skip

# Told in other words than the row's own fields.
_READ: Mapping[str, Callable[[Any], Any]] = {
    "ended": lambda a: a.state == AttemptState.ENDED,
    "nodes": lambda a: sorted({w.node for w in a.workers}),
    "devices": lambda a: sum(len(w.devices) for w in a.workers),
    "run_ms": lambda a: a.evidence.run_ms,
    "exit_code": lambda a: a.evidence.exit_code,
    "evidence": lambda a: evidence_digest(a.evidence),
    "digest": record_digest,
    "fingerprint": fingerprint,
    "within": lambda c: list(c.within),
}
_SUMMARIES = frozenset({"digest", "evidence"})  # over fields of which others may be told by themselves


class Told:
    """What events tell, taken in order: sealed ones first."""

    def __init__(self, says: _Says) -> None:
        self._says = says
        self._said: dict[tuple[type[Any], str, str], Statement] = {}
        self.records: dict[type[Any], dict[str, dict[str, Any]]] = {}
        self.transfers: dict[str, TransferTold] = {}
        self.amounts: list[tuple[str, int, tuple[str, ...]]] = []  # (subject, amount, ids of the transfers that make it)
        self.ends: list[EndTold] = []
        self.findings: list[Finding] = []
        self.unsealed = 0
        self._unproved: set[tuple[str, str]] = set()

    @property
    def unproved(self) -> int:
        """How many records and transfers are told of, wholly or in part, by nothing but the unsealed tail."""
        return len(self._unproved)

    def take_all(self, events: Iterable[Event]) -> None:
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        self.unsealed += not event.seq
        if not well_formed(event):
            self.findings.append(Finding("misspoken", event.id, {"seq": event.seq, "event": event.kind}))
            return
        if event.kind not in self._says:
            self._take_money(event)
            return
        for statement in self._says[event.kind](event):
            self._take_statement(event, statement)
        self._take_money(event)

    def _take_statement(self, event: Event, statement: Statement) -> None:
        records = self.records.setdefault(statement.what, {})
        if statement.aspect:
            first = self._said.setdefault((statement.what, statement.id, statement.aspect), statement)
            if first is not statement:
                if first != statement:
                    self._twice(event, statement.id)
                return
        if statement.what is Attempt and statement.aspect == "ended":
            self.ends.append(_end_of(event))
        if statement.fields is None:
            records.pop(statement.id, None)
        else:
            records.setdefault(statement.id, {}).update(statement.fields)
        if not event.seq:
            self._unproved.add((statement.what.__name__, statement.id))

    def _take_money(self, event: Event) -> None:
        digests = event.data.get("transfers", {})
        of = event.data["attempt"] if event.kind == "workload.placed" else event.subject
        for id, digest in digests.items():
            told = TransferTold(digest, event.kind, of)
            if self.transfers.setdefault(id, told) is not told:
                self._twice(event, id)
            elif not event.seq:
                self._unproved.add(("Transfer", id))
        if "transfers" in event.data and "amount" in event.data:
            self.amounts.append((event.subject, event.data["amount"], tuple(digests)))

    def _twice(self, event: Event, subject: str) -> None:
        self.findings.append(Finding("told_twice", subject, {"event": event.id, "seq": event.seq}))

    def against(self, reader: Reader, *whats: type[Any]) -> Iterator[Finding]:
        """Records that are not what was told of them. altered: with the field that differs. missing: told of, and not stored.
        unrecorded: stored, and no event tells of it."""
        for what in whats:
            yield from _compared(self.records.get(what, {}), reader.find(what))


def _compared(told: Mapping[str, Fields], rows: Iterable[Any]) -> Iterator[Finding]:
    stored = {row.id: row for row in rows}
    for id in sorted(told.keys() | stored.keys()):
        if id not in told or id not in stored:
            yield Finding("unrecorded" if id in stored else "missing", id)
            continue
        seen = {name: _READ[name](stored[id]) if name in _READ else getattr(stored[id], name) for name in told[id]}
        differing = [name for name, value in told[id].items() if seen[name] != value]
        for name in [n for n in differing if n not in _SUMMARIES] or differing:
            yield Finding("altered", id, {"field": name, "recorded": told[id][name], "stored": seen[name]})


def _end_of(event: Event) -> EndTold:
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


def everything_told(reader: Reader, says: _Says) -> Told:
    """What the whole chain tells, and behind it the unsealed tail."""
    told = Told(says)
    for events in (*sealed_events(reader), reader.find(Event, {"seq": 0})):
        told.take_all(events)
    return told
