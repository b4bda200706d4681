"""pydantic's errors as Reasons: which field, what is wrong with it, and how to write it right."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from dure.api.forms import BY_PATTERN, mended
from dure.model.reason import Reason, ReasonKind

K = ReasonKind
REASONS_MAX = 20  # of one answer: a body with a thousand faults is told twenty
NAME_MAX = 64  # characters of a field's name that are repeated
ECHO_MAX = 40  # characters of a value that are repeated

# pydantic's kind of error → (our problem, which of its facts is the limit)
_LIMITS = {
    "greater_than_equal": ("too_small", "ge"),
    "greater_than": ("too_small", "gt"),
    "less_than_equal": ("too_large", "le"),
    "less_than": ("too_large", "lt"),
    "string_too_short": ("too_short", "min_length"),
    "string_too_long": ("too_long", "max_length"),
    "too_short": ("too_short", "min_length"),
    "too_long": ("too_many", "max_length"),
}
_TYPES = {"string": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "list", "dict": "object"}
OWN_PROBLEMS = frozenset({
    "bad_format", "too_small", "too_large", "wrong_type", "reserved", "contradiction", "duplicate", "control_characters", "empty",
    "not_over_the_api",
})  # fmt: skip

# What people write for a field when they know it from elsewhere.
MEANT: Mapping[str, str] = {
    **dict.fromkeys(("cpu", "cpus", "core", "ncpus", "vcpus"), "resources.cores"),
    **dict.fromkeys(("mem", "ram", "memory"), "resources.memory"),
    **dict.fromkeys(("gpu", "gpus", "device", "accelerator_count"), "resources.devices"),
    **dict.fromkeys(("gpu_type", "gputype", "accelerator"), "resources.accelerators"),
    **dict.fromkeys(("timeout", "time", "walltime", "time_limit", "timelimit", "duration", "max_time"), "limit"),
    **dict.fromkeys(("nodes", "tasks", "ntasks", "replicas", "num_workers", "gang"), "workers"),
    **dict.fromkeys(("depends", "dependencies", "dependency", "after", "needs"), "depends_on"),
    **dict.fromkeys(("environment", "envs", "variables"), "env"),
    **dict.fromkeys(("cmd", "script", "run", "args", "entrypoint"), "command"),
    **dict.fromkeys(("count", "elements", "array_size"), "array"),
    **dict.fromkeys(("src", "files", "workdir"), "code"),
    **dict.fromkeys(("retry", "max_retries", "attempts"), "retries"),
    **dict.fromkeys(("site", "region", "cluster"), "sites"),
    **dict.fromkeys(("requests", "resource", "limits"), "resources"),
}


def reasons_of(errors: Iterable[Mapping[str, Any]], model: type[BaseModel] | None) -> list[Reason]:
    """pydantic's errors as Reasons. model: of the body, to name the members that are known, and bounds.

    Fields of a job are named as in a job file, without "job." before them, as the controller names them too."""
    reasons = [_reason(error, model) for error in list(errors)[:REASONS_MAX]]
    return reasons or [Reason.of(K.BAD_FIELD, field="body", problem="bad_format")]


def _reason(error: Mapping[str, Any], model: type[BaseModel] | None) -> Reason:
    place = tuple(error["loc"])
    path = place[1:] if place[:1] in (("body",), ("query",), ("path",), ("header",)) else place
    shown = path[1:] if path[:1] == ("job",) and path[1:] else path
    field = ".".join(str(part)[:NAME_MAX] for part in shown) or "body"
    kind = str(error["type"])
    if kind == "missing":
        return Reason.of(K.MISSING_FIELD, field=field)
    if kind == "extra_forbidden":
        if path[-1] in _in_files(_model_at(model, path[:-1])):
            return Reason.of(K.BAD_FIELD, field=field, problem="not_over_the_api", needs="bundle")
        return unknown_field(field, str(path[-1]), known_members(model, path[:-1]), prefix=".".join(map(str, shown[:-1])))
    given, context = error.get("input"), dict(error.get("ctx") or {})
    field = context.pop("of", field)  # a fault of the whole that is told of one member
    if kind in ("int_type", "int_from_float", "finite_number") and isinstance(given, float):
        return Reason.of(K.BAD_FIELD, field=field, **_no_whole_number(given, *bounds(model, path)))
    facts = _problem(kind, context, given, optional="env" in path)
    if facts["problem"] == "wrong_type" and facts.get("expected") == "integer":
        least, most = bounds(model, path)
        facts.update({"least": least, "limit": most} if least is not None and most is not None else {})
    return Reason.of(K.BAD_FIELD, field=field, **facts)


def _problem(kind: str, context: Mapping[str, Any], given: Any, *, optional: bool) -> dict[str, Any]:
    if kind in OWN_PROBLEMS:
        return {"problem": kind, **context}
    if kind in _LIMITS:
        code, limit = _LIMITS[kind]
        return {"problem": code, "limit": context[limit]}
    if kind in ("literal_error", "enum"):
        return {"problem": "unknown_value", "allowed": str(context.get("expected", "")).replace("'", "")}
    if kind == "string_pattern_mismatch":
        return _wrong_form(str(context["pattern"]), given)
    if kind.endswith(("_type", "_parsing")):
        expected = _TYPES.get(kind.partition("_")[0], "object")
        return {"problem": "wrong_type", "expected": expected, **_hint(expected, "" if given is None and optional else given)}
    return {"problem": "bad_format"}


def _wrong_form(pattern: str, given: Any) -> dict[str, Any]:
    """In words: no reader is shown a regular expression."""
    form = BY_PATTERN.get(pattern)
    if form is None:
        return {"problem": "bad_format"}
    example = mended(form, given)
    return {"problem": "bad_format", "detail": form.code, **({"example": example} if example else {})}


def _hint(expected: str, given: Any) -> dict[str, Any]:
    """How a value of another type would have been right."""
    if expected == "string" and (given == "" or isinstance(given, (int, float))):
        text = str(given).lower() if isinstance(given, bool) else _digits(given) if given != "" else ""
        return {"quoted": f'"{text}"'} if text or given == "" else {}
    if expected == "list" and isinstance(given, str) and given and len(given) <= ECHO_MAX:
        return {"example": f"[{given}]"}
    return {}


def _digits(number: float) -> str:
    """A number as it was probably written, "" when it is too long to be told again."""
    if isinstance(number, int) and abs(number) >= 10**ECHO_MAX:
        return ""
    return str(number)


def _no_whole_number(given: float, least: int | None, most: int | None) -> dict[str, Any]:
    """Of a number with a decimal point or an exponent: beyond the bounds it is too large, within it is no whole number."""
    if most is not None and given > most:
        return {"problem": "too_large", "limit": most}
    if least is not None and given < least:
        return {"problem": "too_small", "limit": least}
    example = {"example": str(int(given))} if math.isfinite(given) and given.is_integer() and abs(given) < 10**15 else {}
    return {"problem": "wrong_type", "expected": "integer", **example}


# -- names of fields --------------------------------------------------------------------------------------------------


def unknown_field(field: str, name: str, known: Sequence[str], *, prefix: str = "") -> Reason:
    """UNKNOWN_FIELD with those that are known, and the one that was probably meant."""
    close = nearest(name, known)
    facts: dict[str, Any] = {"field": field[: 2 * NAME_MAX], "known": [n for n in known if n not in UNLISTED]}
    if close:
        facts["nearest"] = f"{prefix}.{close}" if prefix and close in known else close
    return Reason.of(K.UNKNOWN_FIELD, **facts)


# Taken, but not told of: what the client puts in for `code`, which is what people write.
UNLISTED = frozenset({"bundle"})


def nearest(name: str, known: Sequence[str]) -> str:
    """The known name that was probably meant, "" when none is near."""
    plain = name[:NAME_MAX].lower().replace("-", "_")
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name[:NAME_MAX]).strip("_").replace("-", "_")
    for tried in (plain, snake):
        if tried in known:
            return tried
        meant = MEANT.get(tried, "")
        last = meant.rpartition(".")[2]
        if meant and (meant.partition(".")[0] in known or last in known):
            return last if last in known else meant
    close = difflib.get_close_matches(plain, known, n=1, cutoff=0.7)
    return close[0] if close else ""


def known_members(model: type[BaseModel] | None, path: Sequence[str | int]) -> list[str]:
    """Names that the object at `path` within `model` may have."""
    model = _model_at(model, path)
    if model is None:
        return []
    return sorted({*model.model_fields, *_in_files(model)})


def _in_files(model: type[BaseModel] | None) -> frozenset[str]:
    """Members that only job files have: the client makes something else of them."""
    found: frozenset[str] = getattr(model, "in_files", frozenset())
    return found


def bounds(model: type[BaseModel] | None, path: Sequence[str | int]) -> tuple[int | None, int | None]:
    """The least and the most that the field at `path` within `model` may be, as far as it has bounds."""
    model = _model_at(model, path[:-1])
    field = model.model_fields.get(str(path[-1])) if model is not None and path else None
    least: int | None = None
    most: int | None = None
    for rule in field.metadata if field is not None else ():
        least, most = getattr(rule, "ge", least), getattr(rule, "le", most)
    return least, most


def _model_at(model: type[BaseModel] | None, path: Sequence[str | int]) -> type[BaseModel] | None:
    for part in path:
        if model is not None and isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg)) is not None), None)
