"""Records to rows and back, worked out once per class: this runs for every record that is written or read."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from dure.errors import StoreError
from dure.model.codec import from_plain, to_plain
from dure.store.kinds import KINDS, Form, Shape, shape
from dure.store.rules import Gate, fits_text

Convert = Callable[[Any], Any]

# Nested records kept decoded, per field; larger ones are decoded each time. Together they bound the memory to a few megabytes.
KEPT_TEXTS = 1_000
KEPT_LENGTH = 4_000

_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class Mapper:
    """One class's way to a row (a list in the order of the columns) and back."""

    def __init__(self, shape: Shape) -> None:
        self.kind = shape.kind
        self.names = tuple(shape.forms)
        self._values = attrgetter(*self.names)
        self.gate = Gate(shape)
        forms = list(enumerate(shape.forms.items()))
        self._encoders = [(i, _encoder(form)) for i, (_, form) in forms if form in (Form.ENUM, Form.JSON)]
        self._decoders = [
            (i, _decoder(form, shape.hints[name])) for i, (name, form) in forms if form in (Form.ENUM, Form.JSON, Form.BOOL)
        ]

    def to_row(self, record: Any) -> list[Any]:
        """Raises StoreError when a nested value is no JSON. Scalars are for `gate` to check, as soon as a record is given."""
        row = list(self._values(record))
        for i, encode in self._encoders:
            row[i] = encode(row[i])
        return row

    def from_row(self, row: Sequence[Any]) -> Any:
        values = list(row)
        for i, decode in self._decoders:
            values[i] = decode(values[i])
        return self.kind(**dict(zip(self.names, values, strict=True)))


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
        text = _dump(to_plain(value))
    except (ValueError, TypeError, AttributeError) as failure:
        raise StoreError(f"a {type(value).__name__} cannot be written as JSON: {failure}") from failure
    if not fits_text(text):
        raise StoreError(f"a {type(value).__name__} holds half a surrogate pair")
    return text


def _decoder(form: Form, hint: Any) -> Convert:
    if form is Form.BOOL:
        return bool  # SQLite has none and keeps 0 or 1
    if form is Form.ENUM:
        return typing.cast(Convert, hint)
    build = _builder(hint)
    if not dataclasses.is_dataclass(hint):
        return lambda text: build(json.loads(text))
    # Frozen records can be shared: the elements of an array have one spec, and everything that has not run has the same evidence.
    kept = lru_cache(maxsize=KEPT_TEXTS)(lambda text: build(json.loads(text)))
    return lambda text: kept(text) if len(text) <= KEPT_LENGTH else build(json.loads(text))


def _builder(hint: Any) -> Convert:
    """How a field is built of plain JSON: a record, a tuple of anything, or the mapping itself."""
    if dataclasses.is_dataclass(hint):
        kind = typing.cast("type[Any]", hint)
        return lambda plain: from_plain(kind, plain)
    if typing.get_origin(hint) is tuple:
        item = _builder(typing.get_args(hint)[0])
        return lambda plain: tuple(item(value) for value in plain)
    return lambda plain: plain


_MAPPERS: Mapping[type[Any], Mapper] = {kind: Mapper(shape(kind)) for kind in KINDS}
