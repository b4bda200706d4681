"""Pages: sorted by id, a cursor that holds the last id seen, and a filter to what the caller may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Query

from dure.access import Action, Resource, visible_projects
from dure.api.call import Call
from dure.api.cursors import opened
from dure.api.documents import Plain, page
from dure.api.forms import FILTER
from dure.model.reason import Reason
from dure.ports import Reader

R = TypeVar("R")
LIMIT_MAX = 500
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="items a page")]
Cursor = Annotated[
    str, Query(max_length=208, description="`next` of the page before, with the same filters; absent: the first page")
]
IdFilter = Annotated[str, Query(max_length=192, pattern=FILTER.pattern, description="only those of this id; absent: all")]


def find_page(
    reader: Reader,
    kind: type[R],
    where: dict[str, Any],
    cursor: str,
    limit: int,
    encode: Callable[[R], Plain],
    *,
    keep: Callable[[R], bool] = lambda _: True,
    newest: bool = False,
) -> Plain:
    """One page. keep: who may not see an item does not get it; such a page is shorter, and the cursor goes on all the same."""
    rows, next = take_page(reader, kind, where, cursor, limit, newest=newest)
    return page([encode(row) for row in rows if keep(row)], next)


def take_page(
    reader: Reader, kind: type[R], where: dict[str, Any], cursor: str, limit: int, *, newest: bool = False
) -> tuple[list[R], str]:
    """The rows of a page and the id behind which the next goes on, "" behind the last. `Call.show` makes a cursor of it."""
    rows = reader.find(kind, where, after=opened(cursor), limit=limit + 1, descending=newest)
    return rows[:limit], str(getattr(rows[limit - 1], "id", "")) if len(rows) > limit else ""


def project_filter(call: Call, action: Action, project: str) -> dict[str, Any] | Reason:
    """A where-clause for the project asked for, or for all that the caller may see."""
    if project:
        return call.refusal(action, [Resource(kind="project", id=project)]) or {"project": project}
    visible = visible_projects(call.identity, action)
    return {} if visible is None else {"project": sorted(visible)}
