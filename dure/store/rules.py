"""What every store holds to, whatever it is made of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from struct import Struct
from struct import error as PackingError
from types import MappingProxyType
from typing import Any

from dure.errors import DuplicateKey, StaleLeader, StoreError
from dure.model.records import Plane
from dure.ports import Tx, Where
from dure.store.kinds import Form, Shape

log = logging.getLogger(__name__)

# A closure that meets a Conflict is run again this often in all. Only another process can cause one again and again, and each
# time one of the two gets through: ten losses in a row mean that the closure does not read what it writes.
CONFLICT_TRIES = 10

INT_MIN, INT_MAX = -(2**63), 2**63 - 1  # what a BIGINT column and an SQLite integer hold

ALL: Where = MappingProxyType({})

PLANE_ID = "plane"


def require_lead(plane: Plane | None, fence: int) -> None:
    """Raises StaleLeader unless `fence` is the epoch of the controller that leads now."""
    epoch = plane.leader_epoch if plane is not None else 0
    if epoch != fence:
        raise StaleLeader(f"this controller's epoch is {fence}, but the plane is at {epoch}")


def take_lead(tx: Tx) -> int:
    """Raise the plane's leader epoch by one; the plane's row is made when there is none. Returns the new epoch."""
    plane = tx.get(Plane, PLANE_ID)
    if plane is None:
        tx.insert(Plane(leader_epoch=1))
        return 1
    tx.update(replace(plane, leader_epoch=plane.leader_epoch + 1))
    return plane.leader_epoch + 1


def run_calls(calls: Iterable[Callable[[], None]]) -> None:
    """What was asked to happen after a commit. A call that raises is logged: the transaction stands whatever it does."""
    for call in calls:
        try:
            call()
        except Exception:
            log.exception("a call after a commit failed")


def is_collection(wanted: Any) -> bool:
    return isinstance(wanted, (list, tuple, set, frozenset))


def storable(value: Any) -> bool:
    """Whether a scalar fits every database: integers in 64 bits, text in UTF-8 without NUL (which PostgreSQL has not)."""
    if isinstance(value, str):
        return fits_text(value)
    if isinstance(value, int):
        return INT_MIN <= value <= INT_MAX
    return value is not None


def fits_text(text: str) -> bool:
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can carry and UTF-8 cannot
        return False
    return True


def cursor_text(after: str) -> str:
    """A cursor that can be compared in every database. No stored id has what is cut off, so nothing is skipped going up."""
    return after.encode("utf-8", "replace").decode().split("\0", 1)[0]


class Gate:
    """Refuses a record whose scalars no database could keep. One per class; cheap enough for every insert."""

    def __init__(self, shape: Shape) -> None:
        self._kind = shape.kind.__name__
        self._texts = _getter(shape, {Form.TEXT})
        self._ints = _getter(shape, {Form.INT})
        self._pack = Struct(f"{sum(form is Form.INT for form in shape.forms.values()) + 1}q").pack

    def check(self, record: Any) -> None:
        """Raises StoreError naming the class and id."""
        if not fits_text("".join(self._texts(record))):
            raise StoreError(f"{self._kind} {record.id!r}: a text holds NUL or half a surrogate pair")
        ints = self._ints(record)
        try:
            self._pack(*ints)  # one look at all of them, which knows no number of more than 64 bits
        except PackingError:
            self._refuse_large(record, ints)

    def _refuse_large(self, record: Any, ints: Sequence[int]) -> None:
        if min(ints) < INT_MIN or max(ints) > INT_MAX:
            raise StoreError(f"{self._kind} {record.id!r}: an integer needs more than 64 bits")


def _getter(shape: Shape, forms: set[Form]) -> Callable[[Any], tuple[Any, ...]]:
    names = [name for name, form in shape.forms.items() if form in forms]
    # attrgetter of one name gives a bare value; every record has an id and a version, so asking for one twice is harmless
    return attrgetter(*names, names[0])


def check_paging(shape: Shape, where: Mapping[str, Any], order: str) -> None:
    """Raises StoreError for a search that no store answers the same way as another."""
    for name in where:
        shape.scalar(name)
    shape.scalar(order)


def duplicate(kind: type[Any], id: str) -> DuplicateKey:
    return DuplicateKey(f"{kind.__name__} {id!r} is there already")
