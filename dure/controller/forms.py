"""What an event of each kind has to tell: by its form alone an event is known that no command of this plane wrote.

The leader seals none such (`sealer`), and proofs believe none (`told`). Members are only ever added, and kinds too: an event of
a kind that is unknown here is of a newer version, and is sealed; but none of them moves money or makes rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from dure.model.event import RESTORED, ChainFault, Event
from dure.model.records import Plane
from dure.model.workload import Attempt
from dure.ports import Reader

Form = Mapping[str, tuple[type, ...]]  # member of `data` → what it may be
_TEXT, _NUMBER, _MAP = (str,), (int,), (dict,)
_GRANT: Form = {"role": _TEXT, "scope": _TEXT}

FORMS: Mapping[str, Form] = {
    "actor.created": {"kind": _TEXT},
    "actor.disabled": {},
    "attempt.ended": {
        "workload": _TEXT, "outcome": _TEXT, "exit_code": (int, type(None)), "run_ms": _NUMBER, "settled": _NUMBER,
        "refunded": _NUMBER, "charge_rest_nano": _NUMBER, "refund_rest_nano": _NUMBER, "carry_nano": _NUMBER,
        "carry_number": _NUMBER, "currency": _TEXT, "energy_mwh": _NUMBER, "next": _TEXT, "transfers": _MAP,
    },
    "award.created": {
        "programme": _TEXT, "amount": _NUMBER, "currency": _TEXT, "starts_ms": _NUMBER, "expires_ms": _NUMBER, "digest": _TEXT,
        "transfers": _MAP,
    },
    "award.withdrawn": {"amount": _NUMBER, "currency": _TEXT, "transfers": _MAP},
    "award.expired": {"amount": _NUMBER, "currency": _TEXT, "transfers": _MAP},
    "grant.created": _GRANT,
    "grant.revoked": _GRANT,
    "plane.founded": {"key": _TEXT, "digest": _TEXT},
    "policy.written": {"version": _NUMBER, "digest": _TEXT},
    "programme.created": {"currency": _TEXT},
    "programme.funded": {"amount": _NUMBER, "currency": _TEXT, "transfers": _MAP},
    "token.created": {"actor": _TEXT},
    "token.revoked": {"actor": _TEXT},
    "workload.placed": {
        "attempt": _TEXT, "accelerator": _TEXT, "nodes": (list, tuple), "held": _NUMBER, "currency": _TEXT, "policy": _NUMBER,
        "transfers": _MAP,
    },
}  # fmt: skip

# Deeds that are done once and for all: a second event of one is none of this plane's. A placing is the attempt's; others are
# their subject's.
ONCE = frozenset(
    {"actor.created", "actor.disabled", "attempt.ended", "award.created", "award.expired", "plane.founded", "policy.written",
     "programme.created", "token.created", "token.revoked", "workload.placed"}
)  # fmt: skip
SUBJECTS_AT_ONCE = 500  # looked for in one query
_SHOWN = ("credential", "made_by")  # of a credential that opens some projects alone: in an event of any kind (`Deed.shown`)
_WEIGHTY = ("transfers", "digest")  # members that only those kinds may have whose form names them


def well_formed(event: Event) -> bool:
    """Whether a command may have written this, as far as its form tells."""
    form, data = FORMS.get(event.kind, _NOTHING), event.data
    if not isinstance(data, Mapping) or not event.subject:
        return False
    for name, kinds in form.items():  # loops, and no generators: this is asked of every event, and of all in a proof
        if name not in data or not isinstance(data[name], kinds) or isinstance(data[name], bool):
            return False
    for name in _WEIGHTY:
        if name in data and name not in form:
            return False
    for name in _SHOWN:
        if not isinstance(data.get(name, ""), str):
            return False
    return all(isinstance(value, str) for value in data.get("transfers", _NOTHING).values())


_NOTHING: Mapping[str, Any] = {}


def forged(reader: Reader, plane: Plane, fresh: Collection[Event]) -> ChainFault | None:
    """The first of these unsealed events that nothing of this plane has written, or None."""
    bad = next((e for e in fresh if not well_formed(e) or e.kind == RESTORED), None)
    bad = bad or next(_told_before(reader, plane, fresh), None)
    return ChainFault(seq=plane.sealed_seq + 1, event=bad.id, fault="forged") if bad is not None else None


def _told_before(reader: Reader, plane: Plane, fresh: Iterable[Event]) -> Iterator[Event]:
    """Events of what had been done before, once and for all."""
    once = [e for e in fresh if e.kind in ONCE]
    done: set[tuple[str, str]] = set()
    for first in range(0, len(once), SUBJECTS_AT_ONCE):
        some = once[first : first + SUBJECTS_AT_ONCE]
        wanted = {"subject": {e.subject for e in some} | _workloads(reader, some), "kind": {e.kind for e in some}}
        done |= {_deed(e) for e in reader.find(Event, wanted) if 0 < e.seq <= plane.sealed_seq}
        for event in some:
            if _deed(event) in done:
                yield event
            done.add(_deed(event))


def _deed(event: Event) -> tuple[str, str]:
    """Also of an event that was sealed before leaders looked at forms."""
    by_attempt = event.kind == "workload.placed" and isinstance(event.data, Mapping)
    return event.kind, str(event.data.get("attempt", "")) if by_attempt else event.subject


def _workloads(reader: Reader, events: Iterable[Event]) -> set[str]:
    """Whose attempts are told to be placed: a second telling may name another workload than the first."""
    attempts = {e.data["attempt"] for e in events if e.kind == "workload.placed"}
    return {attempt.workload for attempt in reader.get_many(Attempt, attempts).values()}
