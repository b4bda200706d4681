"""Records to and from plain JSON values, by their dataclass fields. One place, for the store, the API and the agent.

What an older reader does with the words of a newer writer:

* a member that it does not know is ignored: members are only ever added, and mean by their absence what was meant before;
* a value that it does not know, of an enumeration, is refused (ValueError), and with it the whole record: nobody acts on half an
  order, and nothing stored is read as something else;
* but where a field is only information (`INFORMATIONAL`), it is dropped: the field takes its default;
* and where records come in a list of which each stands for itself (`one_by_one`), one that cannot be read does not take the
  others with it: something that says so stands in for it, or nothing."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from json.encoder import c_make_encoder, encode_basestring, encode_basestring_ascii  # type: ignore[attr-defined]  # of C
from typing import Any, TypeVar

T = TypeVar("T")

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)  # what making a record of something else may raise
_UNKNOWN = "unknown"
_STAND_IN = "stand-in"

# Of a field of an enumeration that only informs: a value that this version does not know becomes the default.
INFORMATIONAL: Mapping[str, Any] = types.MappingProxyType({_UNKNOWN: "default"})


def one_by_one(stand_in: Callable[[Any], Any]) -> Mapping[str, Any]:
    """Of a field whose items are read each for itself. stand_in: makes an item of plain JSON that cannot be read; None: it is
    left out."""
    return {_STAND_IN: stand_in}


def nothing(plain: Any) -> None:
    """A stand-in for what is worth nothing unless it can be read."""


def to_plain(value: Any) -> Any:
    """A JSON-able value: records become dicts, tuples lists, enums their text."""
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        return {k: to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    return {name: to_plain(getattr(value, name)) for name in field_names(type(value))}  # type: ignore[arg-type]


def json_writer(encoder: json.JSONEncoder) -> Callable[[Any], str]:
    """`encoder.encode`, for values that are no circle: made ready once, and not for each value, which for a small one takes most
    of the time."""
    if c_make_encoder is None:  # where json is not written in C
        return encoder.encode
    strings = encode_basestring_ascii if encoder.ensure_ascii else encode_basestring
    write = c_make_encoder(
        None, encoder.default, strings, encoder.indent, encoder.key_separator, encoder.item_separator, encoder.sort_keys,
        encoder.skipkeys, encoder.allow_nan,
    )  # fmt: skip
    return lambda value: "".join(write(value, 0))


@cache
def field_names(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind))


def changed(record: T, **changes: Any) -> T:
    """`dataclasses.replace` of a record (frozen, with slots, nothing done when it is made), at half its cost: every move of an
    attempt and every posting makes some."""
    made, by_name = _copier(type(record))  # type: ignore[arg-type]  # as above
    other: T = made(record)
    for name, value in changes.items():
        by_name[name](other, value)
    return other


@cache
def _copier(kind: type) -> tuple[Callable[[Any], Any], Mapping[str, Callable[[Any, Any], None]]]:
    """What copies a record of a class, and what sets its fields. Written out field by field, as dataclasses write `__init__`: a
    loop over them takes more than twice as long."""
    setters = {name: kind.__dict__[name].__set__ for name in field_names(kind)}
    lines = [f"    set_{name}(made, record.{name})" for name in setters]
    known: dict[str, Any] = {"new": object.__new__, "kind": kind, **{f"set_{name}": each for name, each in setters.items()}}
    exec("\n".join(["def copy(record):", "    made = new(kind)", *lines, "    return made"]), known)
    return known["copy"], setters


def filler(kind: type[T], decoders: Mapping[str, Callable[[Any], Any]]) -> Callable[[Sequence[Any]], T]:
    """What makes a record of the values of all its fields, in order. decoders: by field, what a value goes through on its way.
    For records (frozen, with slots, nothing done when they are made) that come by the thousand: it takes a third as long as
    `kind(...)`. It raises ValueError for another number of values."""
    names = field_names(kind)  # type: ignore[arg-type]  # as above
    lines = [f"    set_{name}(made, {f'decode_{name}(_{name})' if name in decoders else f'_{name}'})" for name in names]
    known: dict[str, Any] = {
        "new": object.__new__, "kind": kind, **{f"set_{name}": kind.__dict__[name].__set__ for name in names},
        **{f"decode_{name}": decode for name, decode in decoders.items()},
    }  # fmt: skip
    taken = f"    {''.join(f'_{name}, ' for name in names)} = values"
    exec("\n".join(["def fill(values):", taken, "    made = new(kind)", *lines, "    return made"]), known)
    made: Callable[[Sequence[Any]], T] = known["fill"]
    return made


def from_plain(kind: type[T], plain: Mapping[str, Any]) -> T:
    """The record that `to_plain` made `plain` of. Unknown members are ignored (an older reader, a newer writer);
    missing ones take the field's default. Raises TypeError when a member without default is missing."""
    makers = _makers(kind)  # type: ignore[arg-type]  # mypy: classes are hashable, whatever their instances are
    return kind(**{name: makers[name](value) for name, value in plain.items() if name in makers})


@cache
def _makers(kind: type) -> Mapping[str, Callable[[Any], Any]]:
    hints = typing.get_type_hints(kind)
    return {f.name: _field_maker(f, hints[f.name]) for f in dataclasses.fields(kind)}


def _field_maker(field: dataclasses.Field[Any], hint: Any) -> Callable[[Any], Any]:
    if _UNKNOWN in field.metadata:
        return lambda v: hint(v) if isinstance(v, str) and v in _values(hint) else field.default
    if _STAND_IN in field.metadata:
        return _each(_maker(typing.get_args(hint)[0]), field.metadata[_STAND_IN])
    return _maker(hint)


@cache
def _values(kind: type[StrEnum]) -> frozenset[Any]:
    return frozenset(member.value for member in kind)


def _each(item: Callable[[Any], Any], stand_in: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(plain: Any) -> Any:
        try:
            return item(plain)
        except UNREADABLE:
            return stand_in(plain)

    return lambda values: tuple(made for made in map(read, values) if made is not None)


def _maker(hint: Any) -> Callable[[Any], Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = _maker(next(a for a in args if a is not type(None)))
        return lambda v: None if v is None else inner(v)
    if origin is tuple:
        item = _maker(args[0])
        return lambda v: tuple(item(x) for x in v)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    if dataclasses.is_dataclass(hint):
        return lambda v: from_plain(typing.cast(type, hint), v)
    return lambda v: v
