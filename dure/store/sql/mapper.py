"""Records to rows and back, worked out once per class: this runs for every record that is written or read."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from operator import attrgetter, is_not
from typing import Any

from dure.errors import StoreError, UnknownValue, Unreadable
from dure.model.codec import UNREADABLE, field_names, filler, from_plain, json_writer
from dure.store.kinds import KINDS, Form, Shape, shape
from dure.store.rules import Gate, fits_text

Convert = Callable[[Any], Any]

# Nested records kept decoded, per field; larger ones are decoded each time. Together they bound the memory to a few megabytes.
KEPT_TEXTS = 1_000
KEPT_LENGTH = 4_000


def _members(value: Any) -> dict[str, Any]:
    """What the encoder asks for of a value that it does not know: one level of `to_plain`."""
    if isinstance(value, Mapping):
        return dict(value)
    return {name: getattr(value, name) for name in field_names(type(value))}  # type: ignore[arg-type]  # classes are hashable


# It takes tuples, and enumerations of text, as they are, so records go through it without being made plain before.
_dump = json_writer(json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_members))


class Mapper:
    """One class's way to a row (a list in the order of the columns) and back."""

    def __init__(self, shape: Shape) -> None:
        self.kind = shape.kind
        self.names = tuple(shape.forms)
        self._places = range(len(self.names))
        self.gate = Gate(shape)
        self._encoders = {name: _encoder(form) for name, form in shape.forms.items() if form in (Form.ENUM, Form.JSON)}
        decoders = {
            name: _decoder(form, shape.hints[name])
            for name, form in shape.forms.items()
            if form in (Form.ENUM, Form.JSON, Form.BOOL, Form.FLOAT)
        }
        self._decoders: Mapping[str, Convert] = decoders
        self._nested = frozenset(name for name, form in shape.forms.items() if form is Form.JSON)
        self.from_row: Convert = filler(shape.kind, decoders)
        self._id, self._version = self.names.index("id"), self.names.index("version")
        self._values = attrgetter(*self.names)
        self._ways: dict[tuple[str, ...], Convert] = {}
        self.to_row = self.way(self.names)

    def way(self, names: tuple[str, ...]) -> Convert:
        """What makes a list of these columns, two at least, of a record. It raises StoreError when a nested value is no JSON.
        Scalars are for `gate` to check, as soon as a record is given."""
        known = self._ways.get(names)
        if known is None:
            encoders = [(i, self._encoders[name]) for i, name in enumerate(names) if name in self._encoders]
            known = self._ways[names] = _way(attrgetter(*names), encoders)
        return known

    def changed(self, pairs: Iterable[tuple[Any, Any]]) -> tuple[str, ...]:
        """The columns, in order, in which any record is another than it was. pairs: before and after."""
        found, values = set[int](), self._values
        for before, after in pairs:
            found.update(compress(self._places, map(is_not, values(before), values(after))))
        return tuple(self.names[i] for i in sorted(found))

    def from_rows(self, rows: Sequence[Sequence[Any]], known: Mapping[str, Any]) -> list[Any]:
        """The records of these rows. known: by id, what was read before: a row of the same version is the same record.
        Raises UnknownValue where one holds what this program does not know."""
        try:
            return self._made(rows, known)
        except UNREADABLE as failure:
            raise self._unreadable(rows) or failure from failure

    def _made(self, rows: Sequence[Sequence[Any]], known: Mapping[str, Any]) -> list[Any]:
        from_row = self.from_row
        if not known:
            return [from_row(row) for row in rows]
        found, id, version = [], self._id, self._version
        for row in rows:
            record = known.get(row[id])
            found.append(record if record is not None and record.version == row[version] else from_row(row))
        return found

    def _unreadable(self, rows: Sequence[Sequence[Any]]) -> StoreError | None:
        """The first record and field that cannot be read, mostly as a newer program wrote a value that this one does not know."""
        for row in rows:
            for name, value in zip(self.names, row, strict=True):
                try:
                    self._decoders.get(name, str)(value)
                except json.JSONDecodeError as why:
                    return Unreadable(f"{self.kind.__name__} {row[self._id]}: the field {name} is no JSON: {why}")
                except UNREADABLE as why:
                    text = str(why) if name in self._nested else repr(value)
                    return UnknownValue(kind=self.kind.__name__, id=str(row[self._id]), field=name, value=text)
        return None


def _way(values: Convert, encoders: Sequence[tuple[int, Convert]]) -> Convert:
    def to_row(record: Any) -> list[Any]:
        row = list(values(record))
        for i, encode in encoders:
            row[i] = encode(row[i])
        return row

    return to_row


def mapper(kind: type[Any]) -> Mapper:
    return _MAPPERS[kind]


def _encoder(form: Form) -> Convert:
    return attrgetter("value") if form is Form.ENUM else _json_encoder()


def _json_encoder() -> Convert:
    """Remembers the last value: the elements of an array share one spec, and it is the largest part of each."""
    last: tuple[Any, str] = (None, "null")

    def encode(value: Any) -> str:
        nonlocal last
        known, text = last
        if known is not value:
            text = _json_text(value)
            last = (value, text)
        return text

    return encode


def _json_text(value: Any) -> str:
    try:
        text = _dump(value)
    except (ValueError, TypeError, AttributeError, RecursionError) as failure:
        raise StoreError(f"a {type(value).__name__} cannot be written as JSON: {failure}") from failure
    if not fits_text(text):
        raise StoreError(f"a {type(value).__name__} holds half a surrogate pair")
    return text


def _decoder(form: Form, hint: Any) -> Convert:
    if form is Form.BOOL:
        return bool  # SQLite has none and keeps 0 or 1
    if form is Form.FLOAT:
        return float  # which comes as text within JSON
    if form is Form.ENUM:
        return typing.cast(Convert, hint)
    build = _builder(hint)
    if build is None:
        return _load
    if not dataclasses.is_dataclass(hint):
        return lambda text: build(_load(text))
    # Frozen records can be shared: the elements of an array have one spec, and everything that has not run has the same evidence.
    kept = lru_cache(maxsize=KEPT_TEXTS)(lambda text: build(_load(text)))
    return lambda text: kept(text) if len(text) <= KEPT_LENGTH else build(_load(text))


_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # of C


def _load(text: str) -> Any:
    """`json.loads` of what stands here: written without a blank before or behind it, as `_dump` does, it is read at once."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    return value if end == len(text) else json.loads(text)


def _builder(hint: Any) -> Convert | None:
    """How a field is built of plain JSON: a record, or a tuple of anything; None: it is what it is, such as a mapping."""
    if dataclasses.is_dataclass(hint):
        kind = typing.cast("type[Any]", hint)
        return lambda plain: from_plain(kind, plain)
    if typing.get_origin(hint) is tuple:
        item = _builder(typing.get_args(hint)[0])
        return tuple if item is None else lambda plain: tuple([item(value) for value in plain])
    return None


_MAPPERS: Mapping[type[Any], Mapper] = {kind: Mapper(shape(kind)) for kind in KINDS}
