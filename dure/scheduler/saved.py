"""A snapshot as bytes, and back: one file that describes itself, so that what was planned once can be planned again elsewhere.

The file is gzip. Inside stand one line of JSON, the header, and behind it the columns, one after the other. The header:

    {"format": "dure-snapshot", "version": 1, "body_bytes": N,
     "fields": {"now_ms": {"value": 0}, "sites": {"fields": {"ids": {"texts": 2, "bytes": 9},
                                                             "reachable": {"dtype": "|b1", "shape": [2], "bytes": 2}, ...

`value`: plain JSON. `texts`: so many texts, each with a line end behind it, in UTF-8. `dtype`, `shape`: numbers, little-endian,
in C order. `zcat FILE | head -1` shows it. What is written and read follows the fields of the dataclasses: a new column needs
nothing here but what it was in files that are older than it (`SINCE`). A file with other columns than this version knows is
refused: a plan of half a snapshot would be another plan. So is one whose columns do not belong together (`sound`)."""

from __future__ import annotations

import json
import typing
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from dure.errors import require
from dure.model.codec import UNREADABLE, from_plain, to_plain
from dure.model.policy import Policy
from dure.model.reason import Reason, ReasonKind
from dure.scheduler.snapshot import FOREVER_MS, Snapshot, freeze
from dure.scheduler.sound import unsound

FORMAT, VERSION = "dure-snapshot", 1
GZIP, LEVEL = 31, 6  # zlib's word for a gzip frame (without a moment in it); and its usual level
BYTES_MAX = 4 << 30  # of a file when unpacked: a million waiting workloads take about a third of a GiB
HEADER_MAX = 1 << 20
# Columns that older files lack, with what every row of theirs has in it.
SINCE: Mapping[str, int | bool] = MappingProxyType({
    "nodes.block": -1, "pending.block": False, "attempts.yields": False, "pending.workers_min": 0,
    "pending.grace_ms": 0, "alternatives.limit_ms": 0,
    "attempts.rest_ms": 0, "attempts.follows": -1,
    "attempts.grace_ms": int(FOREVER_MS),  # claims were dated by the limits of those who make room
})  # fmt: skip

Plain = dict[str, Any]


class _Unreadable(Exception):
    """Within this module: what `decode` answers as a Reason."""

    def __init__(self, wrong: str, **facts: object) -> None:
        super().__init__(wrong)
        self.reason = Reason.of(ReasonKind.SNAPSHOT_UNREADABLE, wrong=wrong, **facts)


def encode(snapshot: Snapshot) -> bytes:
    """The file of a snapshot: the same bytes for the same snapshot. It holds what the snapshot holds: ids, amounts, moments."""
    body: list[bytes] = []
    told = _told(snapshot, body)
    size = sum(map(len, body))
    header = {"format": FORMAT, "version": VERSION, "body_bytes": size, "fields": told}
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    parts = [packer.compress(json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")]
    parts += [packer.compress(part) for part in body]
    return b"".join([*parts, packer.flush()])


def decode(data: bytes, bytes_max: int = BYTES_MAX) -> Snapshot | Reason:
    """The snapshot of a file, or why there is none in it. bytes_max: that it may have when unpacked."""
    try:
        header, body = _unpacked(data, bytes_max)
        snapshot, at = _made(Snapshot, header["fields"], body, 0)
        if at != len(body):
            raise _Unreadable("damaged")
        if outside := unsound(snapshot):
            raise _Unreadable("columns", outside=list(outside))
    except _Unreadable as fault:
        return fault.reason
    except UNREADABLE:  # a header that is none: nobody but a hand can have written it
        return Reason.of(ReasonKind.SNAPSHOT_UNREADABLE, wrong="damaged")
    return freeze(snapshot)


# -- writing --------------------------------------------------------------------------------------------------------------


def _told(group: Any, body: list[bytes]) -> Plain:
    """What the header says of each field; the columns go to `body`."""
    return {f.name: _field_told(getattr(group, f.name), body) for f in fields(group)}


def _field_told(value: Any, body: list[bytes]) -> Plain:
    if isinstance(value, np.ndarray):
        column = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<"), copy=False))
        body.append(column.tobytes())
        return {"dtype": column.dtype.str, "shape": list(value.shape), "bytes": len(body[-1])}
    if isinstance(value, tuple):
        lines = "".join(f"{text}\n" for text in value)
        require(lines.count("\n") == len(value), "an id has no line end in it")
        body.append(lines.encode())
        return {"texts": len(value), "bytes": len(body[-1])}
    if is_dataclass(value) and not isinstance(value, Policy):
        return {"fields": _told(value, body)}
    return {"value": to_plain(value)}


# -- reading --------------------------------------------------------------------------------------------------------------


def _unpacked(data: bytes, bytes_max: int) -> tuple[Plain, bytes]:
    unpacker = zlib.decompressobj(GZIP)
    try:
        raw = unpacker.decompress(data, bytes_max)
    except zlib.error as fault:
        raise _Unreadable("damaged" if data[:2] == b"\x1f\x8b" else "not_one") from fault
    if unpacker.unconsumed_tail:
        raise _Unreadable("too_large", limit_bytes=bytes_max)
    if not unpacker.eof or unpacker.unused_data:
        raise _Unreadable("damaged")
    line, _, body = raw.partition(b"\n")
    header = _header(line)
    if header.get("body_bytes") != len(body):
        raise _Unreadable("damaged")
    return header, body


def _header(line: bytes) -> Plain:
    try:
        header = json.loads(line) if len(line) <= HEADER_MAX else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _Unreadable("not_one")
    if header.get("version") != VERSION:
        raise _Unreadable("version", found=str(header.get("version"))[:20], known=VERSION)
    return header


def _made(kind: type[Any], told: Mapping[str, Plain], body: bytes, at: int, group: str = "") -> tuple[Any, int]:
    """A group of columns out of what the header tells of it, and where the next one begins in the body."""
    known = _known(kind)  # type: ignore[arg-type]  # mypy: classes are hashable, whatever their instances are
    strange = [group + name for name in told if name not in known]
    lacks = [name for name, (field, _) in known.items() if name not in told and not _has_default(field)]
    missing = [group + name for name in lacks if group + name not in SINCE]
    if strange or missing:
        raise _Unreadable("columns", lacks=missing, strange=strange)
    values: Plain = {}
    for name, about in told.items():
        values[name], at = _field_made(known[name][1], about, body, at, group + name)
    for name in lacks:
        values[name] = np.full(len(next(iter(values.values()))), SINCE[group + name], next(_dtypes(known[name][1])))
    return kind(**values), at


@cache
def _known(kind: type[Any]) -> Mapping[str, tuple[Field[Any], Any]]:
    hints = typing.get_type_hints(kind)
    return {f.name: (f, hints[f.name]) for f in fields(kind)}


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _field_made(hint: Any, about: Plain, body: bytes, at: int, name: str) -> tuple[Any, int]:
    if is_dataclass(hint) and hint is not Policy:
        return _made(typing.cast(type, hint), about["fields"], body, at, name + ".")
    if "value" in about:
        return _value(hint, about["value"], name), at
    end = at + int(about["bytes"])
    part = body[at:end]
    if len(part) != about["bytes"]:
        raise _Unreadable("damaged")
    return (_texts(part, about, name) if "texts" in about else _column(hint, part, about, name)), end


def _value(hint: Any, value: Any, name: str) -> Any:
    if hint is Policy:
        return from_plain(Policy, value)
    if hint not in (int, bool, str) or type(value) is not hint:
        raise _Unreadable("columns", wrong_kind=[name])
    return value


def _texts(part: bytes, about: Plain, name: str) -> tuple[str, ...]:
    texts = tuple(part.decode().split("\n")[:-1])
    if len(texts) != about["texts"]:
        raise _Unreadable("columns", wrong_kind=[name])
    return texts


def _column(hint: Any, part: bytes, about: Plain, name: str) -> Any:
    """A column of numbers of just the type that this version plans with."""
    wanted = next(_dtypes(hint), None)
    shape = [int(n) for n in about["shape"]]
    if wanted is None or about["dtype"] != wanted.newbyteorder("<").str or min(shape, default=1) < 0:
        raise _Unreadable("columns", wrong_kind=[name])
    if prod(shape) * wanted.itemsize != len(part):
        raise _Unreadable("damaged")
    return np.frombuffer(part, wanted.newbyteorder("<")).astype(wanted).reshape(shape)


def _dtypes(hint: Any) -> Iterator[np.dtype[Any]]:
    """The element type that an annotation such as NDArray[np.int64] names."""
    for inner in typing.get_args(hint):
        if typing.get_origin(inner) is np.dtype:
            yield np.dtype(typing.get_args(inner)[0])
