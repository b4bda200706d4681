"""Cursors of lists: the last id of a page, with a mark of the list and the filters that it was given out for.

The mark guards against mistakes, not against people: a cursor opens nothing, since every item of a page is decided on."""

from __future__ import annotations

import hashlib

from starlette.requests import Request

from dure.model.reason import Reason, ReasonKind

MARK = 10  # characters of the mark
PAGING = ("cursor", "limit")  # what may change from page to page


def _mark(request: Request) -> str:
    """Of the address, and of every filter that is not left empty."""
    filters = sorted((name, value) for name, value in request.query_params.multi_items() if name not in PAGING and value)
    return hashlib.sha256(repr((request.url.path, filters)).encode("utf-8", "surrogatepass")).hexdigest()[:MARK]


def sealed(request: Request, id: str) -> str:
    """The cursor behind `id` on this list; "" behind the last page."""
    return f"{_mark(request)}.{id}" if id else ""


def opened(cursor: str) -> str:
    """The id in a cursor that `cursor_fault` found nothing wrong with."""
    return cursor[MARK + 1 :]


def cursor_fault(request: Request) -> Reason | None:
    """BAD_CURSOR for what was not given out on this list with these filters; None for one that was, and for none."""
    cursor = request.query_params.get("cursor", "")
    if not cursor or (cursor.startswith(f"{_mark(request)}.") and opened(cursor)):
        return None
    return Reason.of(ReasonKind.BAD_CURSOR)
