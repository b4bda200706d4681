"""The exception tree. An exception means *broken*; "not now" and "not allowed" are a `Reason`, which is data.

DureError
├── InvariantViolated   the program is wrong: a `require(...)` failed; nothing was committed
├── ConfigError         a setting, or a file that it names, is wrong; the message names it and the remedy
├── StoreError
│   ├── Conflict        a row changed under a compare-and-set; the transaction is retried
│   ├── DuplicateKey    a unique key is taken
│   ├── StoreUnavailable  the database is gone, locked or unreachable
│   ├── Unreadable      a record that cannot be read
│   │   └── UnknownValue a newer version wrote what this one does not know; nothing is made of it
│   ├── StaleLeader     another controller has taken over; this one must stand down
│   └── ChainContradicted  the stored events contradict the last signed head; nothing more is sealed
├── BackendError        a backend could not be reached or answered nonsense
├── LinkError           the plane could not be reached (client and agent side)
└── ApiError            the plane answered with a problem document (client side)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DureError(Exception):
    """Root of every exception that Dure raises on purpose."""


class InvariantViolated(DureError):
    """Something that must always be true is not: the program is wrong, and the transaction is abandoned."""


class ConfigError(DureError):
    """A setting is wrong. The message names the setting and the remedy."""


class StoreError(DureError):
    """The store could not do what it was asked."""


class Conflict(StoreError):
    """A row changed under a compare-and-set. The caller's transaction is run again from its beginning."""


class DuplicateKey(StoreError):
    """A unique key is already taken."""


class StoreUnavailable(StoreError):
    """The database is gone, locked or cannot be reached, or it is not known whether it wrote what it was asked to."""


class Unreadable(StoreError):
    """A record cannot be read. Nobody acts on half a record, and to try again does not help."""


class UnknownValue(Unreadable):
    """A record holds a value that this version cannot read: mostly a newer one wrote it, or else it is damaged.

    kind, id, field: which. value: what stands there, or what is wrong with it."""

    def __init__(self, *, kind: str, id: str, field: str, value: str) -> None:
        super().__init__(
            f"{kind} {id}: the field {field} holds what this version of Dure cannot read: {value}. Either a newer version "
            "wrote it: run that version, or a newer one, on this database (see Upgrade in docs/guides/operate-a-farm.md). "
            "Or it is damaged: restore a backup"
        )
        self.kind, self.id, self.field, self.value = kind, id, field, value


class StaleLeader(StoreError):
    """Another controller holds a later epoch, so this one may write nothing more."""


class ChainContradicted(StoreError):
    """The stored event chain does not extend the last head that this plane signed: somebody or something changed what was sealed.

    seq: where; fault: as of `model.event.ChainFault`; event: its id, "" when none is to blame."""

    def __init__(self, seq: int, fault: str, event: str = "") -> None:
        named = f" ({event})" if event else ""
        super().__init__(f"the stored event chain does not extend the last signed head: {fault} at number {seq}{named}")
        self.seq = seq
        self.fault = fault
        self.event = event


class BackendError(DureError):
    """A backend could not be reached, or its answer could not be understood."""


class LinkError(DureError):
    """The plane could not be reached; nothing is known about whether it acted."""


class ApiError(DureError):
    """The plane refused with a problem document (RFC 9457).

    status: HTTP status; problem: the document, whose ``reason`` member is the Reason in JSON."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status = status
        self.problem = dict(problem)


def require(condition: bool, message: str) -> None:
    """An assertion that stays on in production (bare ``assert`` is lost under -O)."""
    if not condition:
        raise InvariantViolated(message)
