"""What comes in, made safe before anything looks at it: bodies within their bound, strict JSON, ids, keys, languages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request

from dure.model.reason import Reason, ReasonKind

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@*-]{0,191}")  # the longest are grants: "ACTOR:ROLE:SCOPE"
KEY = re.compile(r"[\x21-\x7e]{1,128}")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # behind an even number of backslashes
LANGUAGES = ("en", "ko")
DEPTH_MAX = 32  # job files and agents' words are not deeper than six
MEMBERS_MAX = 1024  # of one object; the longest that anything takes is an environment of 256


_TOO_DEEP = f"nested deeper than {DEPTH_MAX} levels"


class _Refused(ValueError):
    """Ends the JSON parser early; never leaves this module."""


async def read_body(request: Request, bytes_max: int) -> bytes | Reason:
    """The whole body, or BODY_TOO_LARGE as soon as it is known to be longer than `bytes_max`."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > bytes_max:
        return Reason.of(ReasonKind.BODY_TOO_LARGE, limit_bytes=bytes_max)
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > bytes_max:
            return Reason.of(ReasonKind.BODY_TOO_LARGE, limit_bytes=bytes_max)
    return bytes(received)


def parse_json(raw: bytes) -> Any | Reason:
    """The JSON value in `raw`, or BODY_NOT_JSON: also for duplicate keys, NaN, Infinity, lone surrogates, NUL, bad UTF-8, for
    nesting deeper than `DEPTH_MAX` and for objects of more than `MEMBERS_MAX` members. Takes time in proportion to its length."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        if _too_deep(value):
            return _not_json(_TOO_DEEP)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot be stored
            if _NUL.search(text):
                return _not_json("holds the character NUL")
    except _Refused as refused:
        return _not_json(str(refused))
    except UnicodeError:
        return _not_json("not UTF-8")
    except RecursionError:
        return _not_json(_TOO_DEEP)
    except ValueError as error:
        return _not_json(str(error)[:200])
    return value


def _too_deep(value: Any) -> bool:
    """Whether lists and objects nest deeper than `DEPTH_MAX`, level by level."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [inner for item in level for inner in _within(item) if isinstance(inner, (dict, list))]
        if not level:
            return False
    return True


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MEMBERS_MAX:
        raise _Refused(f"an object of more than {MEMBERS_MAX} members")
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _Refused(f"member {twice[:64]!r} stands twice")
    return members


def _no_constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON")


def _not_json(problem: str) -> Reason:
    return Reason.of(ReasonKind.BODY_NOT_JSON, problem=problem)


def is_id(text: str) -> bool:
    """Whether `text` could be the id of anything at all."""
    return ID.fullmatch(text) is not None


def idempotency_key(request: Request) -> str | Reason:
    """The `Idempotency-Key` header: 1 to 128 visible ASCII characters."""
    key = request.headers.get("idempotency-key", "")
    if not key:
        return Reason.of(ReasonKind.KEY_MISSING)
    if not KEY.fullmatch(key):
        return Reason.of(ReasonKind.BAD_FIELD, field="Idempotency-Key", problem="bad_format", pattern=KEY.pattern)
    return key


def language(request: Request) -> str:
    """The best of `LANGUAGES` for the Accept-Language header; English when it names neither."""
    best, best_weight = "en", 0.0
    for part in request.headers.get("accept-language", "")[:200].split(","):
        tag, _, parameters = part.strip().partition(";")
        code, weight = tag.split("-")[0].strip().lower(), _weight(parameters)
        if code in LANGUAGES and weight > best_weight:
            best, best_weight = code, weight
    return best


def _weight(parameters: str) -> float:
    found = re.fullmatch(r"\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*", parameters)
    return float(found.group(1)) if found else 1.0
