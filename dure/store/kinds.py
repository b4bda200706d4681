"""Which records are stored, what their fields are to a store, and by which fields they are looked up."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from dure.errors import StoreError
from dure.model.event import Event
from dure.model.funding import Account, Award, Programme, Remainder, Transfer
from dure.model.policy import Policy
from dure.model.records import Bundle, Idempotency, Plane, WaitNote
from dure.model.site import Node, Quarantine, Site
from dure.model.tenancy import Actor, Credential, Grant, Organisation, Person, Project
from dure.model.workload import Attempt, Workload

# Also the order in which a transaction writes its tables: two processes that lock rows in one order cannot deadlock.
KINDS: tuple[type[Any], ...] = (
    Plane, Policy, Organisation, Project, Actor, Person, Grant, Credential, Programme, Award, Site, Node, Quarantine, Bundle,
    Workload, Attempt, WaitNote, Account, Remainder, Transfer, Event, Idempotency,
)  # fmt: skip

# Each becomes an index on these columns and the id, so that a page behind a cursor is read without sorting.
INDEXES: Mapping[type[Any], tuple[tuple[str, ...], ...]] = {
    Workload: (("project", "state"), ("project",), ("array_id",), ("state",)),
    Attempt: (("workload",), ("site", "state"), ("state",)),
    Remainder: (("project",),),
    Transfer: (("project", "at_ms"), ("attempt",), ("hold",), ("debit", "at_ms"), ("credit", "at_ms"), ("at_ms",)),
    Event: (("seq",), ("project", "seq"), ("subject",)),
    Idempotency: (("at_ms",),),
    Grant: (("actor",), ("scope",)),
    Credential: (("actor",), ("made_by",), ("made_with",)),
    Actor: (("made_by",),),
    Award: (("project",), ("programme",)),
    Node: (("site",),),
    Quarantine: (("site",), ("site", "stopping")),
    WaitNote: (("project",),),
    Bundle: (("project",),),
}

# Fields that count without gaps once they are given: unique where above zero.
SEQUENCES: Mapping[type[Any], str] = {Event: "seq"}


class Form(Enum):
    """How a field is kept: a scalar as a column of its own, everything else as JSON text."""

    TEXT = "text"
    ENUM = "enum"
    INT = "int"
    BOOL = "bool"
    FLOAT = "float"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Shape:
    """A record class as a store sees it: fields in order, each with its form and its type."""

    kind: type[Any]
    forms: Mapping[str, Form]
    hints: Mapping[str, Any]

    def scalar(self, name: str) -> Form:
        """The form of a field that may be searched or sorted by. Raises StoreError for any other."""
        form = self.forms.get(name)
        if form is None or form is Form.JSON:
            raise StoreError(f"{self.kind.__name__} cannot be searched or sorted by {name!r}")
        return form


def shape(kind: type[Any]) -> Shape:
    """Raises StoreError when records of this class are not stored."""
    found = _SHAPES.get(kind)
    if found is None:
        raise StoreError(f"records of class {kind.__name__} are not stored")
    return found


def _shape(kind: type[Any]) -> Shape:
    hints = typing.get_type_hints(kind)
    return Shape(kind, {f.name: _form(hints[f.name]) for f in dataclasses.fields(kind)}, hints)


def _form(hint: Any) -> Form:
    if not isinstance(hint, type):
        return Form.JSON
    if issubclass(hint, StrEnum):
        return Form.ENUM
    return {str: Form.TEXT, bool: Form.BOOL, int: Form.INT, float: Form.FLOAT}.get(hint, Form.JSON)


_SHAPES: Mapping[type[Any], Shape] = {kind: _shape(kind) for kind in KINDS}
