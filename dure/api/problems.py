"""A Reason as an HTTP answer: one table from kind to status, one document (RFC 9457), one translation of validation errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import Response

from dure.model.reason import Reason, ReasonKind
from dure.model.render import render

K = ReasonKind
STATUS: Mapping[ReasonKind, int] = {
    K.BAD_FIELD: 422,
    K.UNKNOWN_FIELD: 422,
    K.MISSING_FIELD: 422,
    K.BODY_TOO_LARGE: 413,
    K.BODY_NOT_JSON: 400,
    K.NOT_SIGNED_IN: 401,
    K.NOT_ALLOWED: 403,
    K.NOT_FOUND: 404,
    K.METHOD_NOT_ALLOWED: 405,
    K.ALREADY_EXISTS: 409,
    K.EXISTS_DIFFERENT: 409,
    K.KEY_MISSING: 400,
    K.KEY_REUSED: 409,
    K.ALREADY_ENDED: 409,
    K.LIMIT_EXCEEDED: 422,
    K.EPOCH_STALE: 409,
    K.PROTOCOL_UNSUPPORTED: 426,
    K.BUDGET_SHORT: 409,
    K.BALANCE_SHORT: 409,
    K.HOLD_ENDED: 409,
    K.PLANE_STARTING: 503,
    K.PLANE_BUSY: 503,
    K.INTERNAL: 500,
}
REASONS_MAX = 20  # of one answer: a body with a thousand faults is told twenty
RETRY_AFTER_S = "1"


def status_of(reason: Reason) -> int:
    """409 for what is not in the table: the request was fine, the state of things is not (such as a shortage of funds)."""
    return STATUS.get(reason.kind, 409)


def reason_document(reason: Reason, lang: str) -> dict[str, Any]:
    """A Reason with its words in one language."""
    text = render(reason, lang)
    words = {"title": text.title, "detail": text.detail, "remedy": text.remedy}
    return {"kind": reason.kind.value, "facts": dict(reason.facts), "text": words}


def problem(reasons: Reason | Sequence[Reason], lang: str = "en", instance: str = "") -> Response:
    """The answer that refuses. The first reason is the one in `reason`; all of them stand in `reasons`."""
    every = [reasons] if isinstance(reasons, Reason) else list(reasons)[:REASONS_MAX]
    first = reason_document(every[0], lang)
    status = status_of(every[0])
    document = {
        "type": f"urn:dure:reason:{every[0].kind.value}",
        "title": first["text"]["title"],
        "status": status,
        "detail": first["text"]["detail"],
        "remedy": first["text"]["remedy"],
        "reason": {"kind": first["kind"], "facts": first["facts"]},
        "reasons": [r.to_json() for r in every],
    }
    if instance:
        document["instance"] = instance
    return Response(to_json(document), status, _headers(every[0], lang), "application/problem+json")


def _headers(reason: Reason, lang: str) -> dict[str, str]:
    headers = {"content-language": lang}
    if reason.kind == K.NOT_SIGNED_IN:
        headers["www-authenticate"] = 'Bearer realm="dure"'
    if reason.kind in (K.PLANE_STARTING, K.PLANE_BUSY):
        headers["retry-after"] = RETRY_AFTER_S
    if reason.kind == K.METHOD_NOT_ALLOWED and reason.facts.get("allowed"):
        headers["allow"] = str(reason.facts["allowed"])
    return headers


# -- validation errors ------------------------------------------------------------------------------------------------

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


def reasons_of(errors: Iterable[Mapping[str, Any]], model: type[BaseModel] | None) -> list[Reason]:
    """pydantic's errors as Reasons. model: of the body, to name the members that are known.

    Fields of a job are named as in a job file, without "job." before them, as the controller names them too."""
    reasons = [_reason(error, model) for error in list(errors)[:REASONS_MAX]]
    return reasons or [Reason.of(K.BAD_FIELD, field="body", problem="bad_format")]


def _reason(error: Mapping[str, Any], model: type[BaseModel] | None) -> Reason:
    place = tuple(error["loc"])
    path = place[1:] if place[:1] in (("body",), ("query",), ("path",), ("header",)) else place
    field = ".".join(str(part)[:64] for part in (path[1:] if path[:1] == ("job",) and path[1:] else path)) or "body"
    kind = str(error["type"])
    if kind == "missing":
        return Reason.of(K.MISSING_FIELD, field=field)
    if kind == "extra_forbidden":
        return Reason.of(K.UNKNOWN_FIELD, field=field, known=known_members(model, path[:-1]))
    return Reason.of(K.BAD_FIELD, field=field, **_problem(kind, error.get("ctx") or {}, str(error.get("msg", ""))))


def _problem(kind: str, context: Mapping[str, Any], message: str) -> dict[str, Any]:
    if kind in _LIMITS:
        code, limit = _LIMITS[kind]
        return {"problem": code, "limit": context[limit]}
    if kind in ("literal_error", "enum"):
        return {"problem": "unknown_value", "allowed": str(context.get("expected", "")).replace("'", "")}
    if kind == "string_pattern_mismatch":
        return {"problem": "bad_format", "pattern": context["pattern"]}
    if kind.endswith(("_type", "_parsing")):
        return {"problem": "wrong_type", "expected": _TYPES.get(kind.partition("_")[0], "object")}
    if kind in OWN_PROBLEMS:
        return {"problem": kind, **context}
    return {"problem": "bad_format", "detail": message[:200]}


_TYPES = {"string": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "list", "dict": "object"}
OWN_PROBLEMS = frozenset({"bad_format", "too_small", "too_large", "wrong_type", "reserved", "contradiction", "duplicate"})


def known_members(model: type[BaseModel] | None, path: Sequence[str | int]) -> list[str]:
    """Names that the object at `path` within `model` may have."""
    for part in path:
        if model is not None and isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
    return sorted(model.model_fields) if model is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg)) is not None), None)
