"""The plane's own row and the policy in force, and small checks that commands share."""

from __future__ import annotations

from typing import Any

from dure.errors import require
from dure.model.accelerators import ACCELERATORS
from dure.model.policy import Policy
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Plane
from dure.model.site import Node
from dure.ports import Reader


def plane_of(reader: Reader) -> Plane:
    plane = reader.get(Plane, "plane")
    require(plane is not None, "the store has no plane row: it was never initialised")
    assert plane is not None  # as just required; for the type checker
    return plane


def policy_of(reader: Reader) -> Policy:
    """The policy in force: the one with the highest version."""
    rows = reader.find(Policy, order="version", descending=True, limit=1)
    require(bool(rows), "the store has no policy: it was never initialised")
    return rows[0]


def bad(field: str, problem: str, **facts: Any) -> Reason:
    """A field of a request is wrong. `problem` is a code of the catalogue in model/reason_texts.py."""
    return Reason.of(ReasonKind.BAD_FIELD, field=field, problem=problem, **facts)


def not_found(what: str, id: str) -> Reason:
    return Reason.of(ReasonKind.NOT_FOUND, what=what, id=id)


def exists(what: str, id: str) -> Reason:
    return Reason.of(ReasonKind.ALREADY_EXISTS, what=what, id=id)


def known_accelerators(reader: Reader) -> frozenset[str]:
    """Types of the catalogue, and whatever the sites have."""
    return frozenset(ACCELERATORS) | {n.accelerator for n in reader.find(Node) if n.accelerator}
