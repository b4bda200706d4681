"""A Reason as an HTTP answer: one table from kind to status, one document (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from dure.api.faults import REASONS_MAX
from dure.model.reason import Reason, ReasonKind
from dure.model.reason_texts import REASON_TEXTS
from dure.model.render import render

K = ReasonKind
STATUS: Mapping[ReasonKind, int] = {
    K.BAD_FIELD: 422,
    K.UNKNOWN_FIELD: 422,
    K.MISSING_FIELD: 422,
    K.BODY_TOO_LARGE: 413,
    K.BODY_NOT_JSON: 400,
    K.BAD_CURSOR: 400,
    K.NOT_SIGNED_IN: 401,
    K.NOT_ALLOWED: 403,
    K.NOT_FOUND: 404,
    K.LAST_ADMINISTRATOR: 409,
    K.METHOD_NOT_ALLOWED: 405,
    K.ALREADY_EXISTS: 409,
    K.EXISTS_DIFFERENT: 409,
    K.KEY_MISSING: 400,
    K.KEY_REUSED: 409,
    K.ALREADY_ENDED: 409,
    K.STILL_RUNS: 409,
    K.SITE_REACHABLE: 409,
    K.UNACCOUNTED: 409,
    K.LIMIT_EXCEEDED: 422,
    K.BUNDLES_FULL: 422,
    K.BUNDLE_GONE: 409,
    K.DISK_LOW: 507,
    K.EPOCH_STALE: 409,
    K.PROTOCOL_UNSUPPORTED: 426,
    K.BUDGET_SHORT: 409,
    K.BALANCE_SHORT: 409,
    K.HOLD_ENDED: 409,
    K.AWARD_IN_USE: 409,
    K.POLICY_CHANGED: 409,
    K.POLICY_FREE: 422,
    K.BAD_SUPPOSITION: 422,
    K.SNAPSHOT_UNREADABLE: 422,
    K.PLANE_STARTING: 503,
    K.PLANE_BUSY: 503,
    K.STORE_UNAVAILABLE: 503,
    K.INTERNAL: 500,
}
PAGE = "/docs/reference/reasons.md"  # where every kind is told of: in the documentation, and at every plane
SHOWN_MAX = 500  # characters of a text among the facts
RETRY_AFTER_S = "1"


def status_of(reason: Reason) -> int:
    """409 for what is not in the table: the request was fine, the state of things is not (such as a shortage of funds)."""
    return STATUS.get(reason.kind, 409)


def reason_document(reason: Reason, lang: str) -> dict[str, Any]:
    """A Reason with its words in one language."""
    text = render(reason, lang)
    words = {"title": text.title, "detail": text.detail, "remedy": text.remedy}
    return {"kind": reason.kind.value, "facts": dict(reason.facts), "text": words}


def printable(text: str) -> str:
    """What was sent, fit to be shown: nothing in it can steer a terminal or turn a line of text around."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:SHOWN_MAX])


def _clean(reason: Reason) -> Reason:
    return Reason(reason.kind, {name: _clean_fact(value) for name, value in reason.facts.items()})


def _clean_fact(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_clean_fact(v) for v in value]
    return printable(value) if isinstance(value, str) else value


def problem(reasons: Reason | Sequence[Reason], lang: str = "en", instance: str = "") -> Response:
    """The answer that refuses. The first reason is the one in `reason`; all of them stand in `reasons`."""
    every = [_clean(r) for r in ([reasons] if isinstance(reasons, Reason) else list(reasons)[:REASONS_MAX])]
    document = problem_document(every, lang, instance)
    return Response(to_json(document), document["status"], _headers(every[0], lang), "application/problem+json")


def problem_document(reasons: Sequence[Reason], lang: str, instance: str = "") -> dict[str, Any]:
    first = reason_document(reasons[0], lang)
    document = {
        "type": f"{PAGE}#{reasons[0].kind.value}",
        "title": first["text"]["title"],
        "status": status_of(reasons[0]),
        "detail": first["text"]["detail"],
        "remedy": first["text"]["remedy"],
        "reason": {"kind": first["kind"], "facts": first["facts"]},
        "reasons": [r.to_json() for r in reasons],
    }
    return {**document, "instance": printable(instance)} if instance else document


def reasons_page(lang: str) -> str:
    """Every kind with its words, as Markdown with a heading each; names in braces stand for facts."""
    parts = []
    for kind, text in REASON_TEXTS.items():
        words = text.ko if lang == "ko" else text.en
        parts.append(f"### {kind.value}\n\n{words.title}. {words.detail} {words.remedy}\n")
    return "\n".join(parts)


def _headers(reason: Reason, lang: str) -> dict[str, str]:
    headers = {"content-language": lang}
    if reason.kind == K.NOT_SIGNED_IN:
        headers["www-authenticate"] = 'Bearer realm="dure"'
    if status_of(reason) == 503:
        headers["retry-after"] = RETRY_AFTER_S
    if reason.kind == K.METHOD_NOT_ALLOWED and reason.facts.get("allowed"):
        headers["allow"] = str(reason.facts["allowed"])
    return headers
