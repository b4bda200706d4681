"""Records to and from plain JSON values, by their dataclass fields. One place, for the store, the API and the agent."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


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


@cache
def field_names(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind))


def from_plain(kind: type[T], plain: Mapping[str, Any]) -> T:
    """The record that `to_plain` made `plain` of. Unknown members are ignored (an older reader, a newer writer);
    missing ones take the field's default. Raises TypeError when a member without default is missing."""
    makers = _makers(kind)  # type: ignore[arg-type]  # mypy: classes are hashable, whatever their instances are
    return kind(**{name: makers[name](value) for name, value in plain.items() if name in makers})


@cache
def _makers(kind: type) -> Mapping[str, Callable[[Any], Any]]:
    hints = typing.get_type_hints(kind)
    return {name: _maker(hints[name]) for name in field_names(kind)}


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
