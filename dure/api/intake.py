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


BOM = b"\xef\xbb\xbf"  # some editors begin every file with it


def parse_json(raw: bytes) -> Any | Reason:
    """The JSON value in `raw`, or BODY_NOT_JSON: also for duplicate keys, NaN, Infinity, lone surrogates, NUL, bad UTF-8, for
    nesting deeper than `DEPTH_MAX` and for objects of more than `MEMBERS_MAX` members. Takes time in proportion to its length."""
    try:
        text = raw.removeprefix(BOM).decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_Constant, parse_int=_whole)
        if _too_deep(value):
            return _not_json(_TOO_DEEP)
        if any(name in text for name in CONSTANTS):
            _no_constants(value, "")
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot be stored
            if _NUL.search(text):
                return _not_json(f"{_place_of_nul(value, '') or 'it'} holds the character NUL")
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


class _Constant(float):
    """NaN, Infinity or -Infinity, kept until it is known at which member it stands."""

    def __init__(self, name: str) -> None:
        self.name = name


CONSTANTS = ("NaN", "Infinity")
DIGITS_MAX = 4000  # of one number: Python itself would read a few more


def _no_constants(value: Any, path: str) -> None:
    """Refuse what Python takes for a number and JSON does not. Only called of what is not nested too deep to be walked."""
    if isinstance(value, _Constant):
        raise _Refused(f"{path.removeprefix('job.') or 'it'} is {value.name}, which is no number in JSON")
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        _no_constants(inner, f"{path}.{name}"[-200:].removeprefix("."))


def _place_of_nul(value: Any, path: str) -> str:
    """The member in whose name or text a NUL stands."""
    if isinstance(value, str) and "\0" in value:
        return path.removeprefix("job.")
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        place = f"{path}.{name}"[-200:].removeprefix(".")
        found = place if "\0" in str(name) else _place_of_nul(inner, place)
        if found:
            return found
    return ""


def _whole(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise _Refused(f"a number of more than {DIGITS_MAX} digits")
    return int(digits)


def _not_json(problem: str) -> Reason:
    return Reason.of(ReasonKind.BODY_NOT_JSON, problem=problem.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def is_id(text: str) -> bool:
    """Whether `text` could be the id of anything at all."""
    return ID.fullmatch(text) is not None


def idempotency_key(request: Request) -> str | Reason:
    """The `Idempotency-Key` header: 1 to 128 visible ASCII characters."""
    keys = request.headers.getlist("idempotency-key")
    if not any(keys):
        return Reason.of(ReasonKind.KEY_MISSING)
    if len(keys) > 1 or not KEY.fullmatch(keys[0]):
        return Reason.of(ReasonKind.BAD_FIELD, field="Idempotency-Key", problem="bad_format", detail="form_key")
    return keys[0]


def content_fault(request: Request) -> Reason | None:
    """Why a body is not taken for what its headers say it is, or None: it has to be JSON in UTF-8, as it is."""
    given = request.headers.get("content-type", "")
    kind, _, parameters = given.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if not given:
        return Reason.of(ReasonKind.MISSING_FIELD, field="Content-Type (application/json)")
    if kind.strip().lower() != "application/json":
        return Reason.of(ReasonKind.BAD_FIELD, field="Content-Type", problem="unknown_value", allowed="application/json")
    if parameters and charset not in ("utf-8", "utf8"):
        return Reason.of(ReasonKind.BAD_FIELD, field="Content-Type", problem="unknown_value", value=charset[:40], allowed="utf-8")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        return Reason.of(
            ReasonKind.BAD_FIELD, field="Content-Encoding", problem="unknown_value", value=encoding[:40], allowed="identity"
        )
    return None


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
