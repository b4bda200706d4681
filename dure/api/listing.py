"""Pages: sorted by id, a cursor that holds the last id seen, and a filter to what the caller may see."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Annotated, Any, TypeVar

from fastapi import Query

from dure.access import Action, Resource, Scope, visible_ids, visible_projects
from dure.api.call import Call
from dure.api.cursors import opened
from dure.api.documents import Plain, page
from dure.api.forms import FILTER
from dure.controller.rules import not_found
from dure.model.reason import Reason
from dure.model.tenancy import Project
from dure.model.workload import ATTEMPT_LIVE, Attempt
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
) -> Plain:
    """One page. What the caller may not see is left out by `where`, never afterwards: the cursor names the last item."""
    rows, next = take_page(reader, kind, where, cursor, limit)
    return page([encode(row) for row in rows], next)


def take_page(
    reader: Reader, kind: type[R], where: dict[str, Any], cursor: str, limit: int, *, newest: bool = False
) -> tuple[list[R], str]:
    """The rows of a page and the id behind which the next goes on, "" behind the last. `Call.show` makes a cursor of it."""
    return _cut(reader.find(kind, where, after=opened(cursor), limit=limit + 1, descending=newest), limit)


def take_any(
    reader: Reader,
    kind: type[R],
    wheres: Iterable[dict[str, Any]],
    cursor: str,
    limit: int,
    *,
    newest: bool = False,
    order: str = "id",
) -> tuple[list[R], str]:
    """As `take_page`, of what any of several filters lets through. order: a field that never changes, then the id."""
    after = opened(cursor)
    pages = (reader.find(kind, w, after=after, limit=limit + 1, order=order, descending=newest) for w in wheres)
    found = {id_of(row): row for page in pages for row in page}
    return _cut(sorted(found.values(), key=attrgetter(order, "id"), reverse=newest), limit)


def _cut(rows: list[R], limit: int) -> tuple[list[R], str]:
    return rows[:limit], id_of(rows[limit - 1]) if len(rows) > limit else ""


def id_of(row: object) -> str:
    return str(getattr(row, "id", ""))


async def project_filter(call: Call, action: Action, project: str) -> dict[str, Any] | Reason:
    """A where-clause for the project asked for, or for all that the caller may see. One that does not exist is not found, nor is
    one that the caller does not see."""
    if project:
        return await project_refusal(call, action, Resource(kind="project", id=project)) or {"project": project}
    return among("project", visible_projects(call.identity, action))


def at_sites(call: Call, reader: Reader, action: Action) -> dict[str, Any] | None:
    """A where-clause for the workloads that have a live attempt at a site where the caller may do this, as the decision on a
    single one has it; None where there is none, or nothing needs it. Who may do it everywhere sees all projects anyway."""
    sites = visible_ids(call.identity, action, Scope.SITE)
    if not sites:
        return None
    live = reader.find(Attempt, {"site": sorted(sites), "state": ATTEMPT_LIVE})
    return {"id": sorted({a.workload for a in live}), "attempt": sorted(a.id for a in live)} if live else None


async def project_refusal(call: Call, action: Action, project: Resource) -> Reason | None:
    refusal = call.refusal(action, [project])
    if refusal is None and await call.read(lambda reader: reader.get(Project, project.id)) is None:
        return not_found("project", project.id)
    return refusal


def among(field: str, ids: Iterable[str] | None) -> dict[str, Any]:
    """A where-clause for what is of one of `ids`; None: of any."""
    return {} if ids is None else {field: sorted(ids)}
