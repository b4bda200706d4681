"""Whose is it: from a request to the `Resource` that the access decision is about. What is loaded is kept in `Call.record`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dure.access import PROJECT_ROLES, Action, Resource, visible_projects
from dure.api.call import Call
from dure.api.route import Of, named_in_body
from dure.controller.rules import not_found
from dure.model.event import Event
from dure.model.funding import Award, Programme
from dure.model.reason import Reason
from dure.model.site import Node, Quarantine, Site
from dure.model.tenancy import Actor, Credential, Grant, Organisation, Project, Role
from dure.model.workload import Attempt, Workload
from dure.ports import Reader

R = TypeVar("R")
Answer = Sequence[Resource] | Reason


def farm(kind: str) -> Of:
    """All of a kind, or the making of one: only a role that reaches everywhere will do."""

    async def of(call: Call) -> Answer:
        return [Resource(kind=kind)]

    return of


def stored(kind: type[R], what: str, owner: Callable[[R], Resource], *names: str) -> Of:
    """The record whose id is the path's `names` (default "id"), joined by "/"."""

    async def of(call: Call) -> Answer:
        id = "/".join(call.request.path_params[name] for name in names or ("id",))
        record = await call.read(lambda reader: reader.get(kind, id))
        if record is None:
            return not_found(what, id)
        call.record = record
        return [owner(record)]

    return of


project = stored(Project, "project", lambda p: Resource(kind="project", id=p.id))
programme = stored(Programme, "programme", lambda p: Resource(kind="programme", id=p.id))
award = stored(Award, "award", lambda a: Resource(kind="award", id=a.id, project=a.project, programme=a.programme))
site = stored(Site, "site", lambda s: Resource(kind="site", id=s.id))
node = stored(Node, "node", lambda n: Resource(kind="node", id=n.id, site=n.site), "site", "name")
attempt = stored(Attempt, "attempt", lambda a: Resource(kind="attempt", id=a.id, project=a.project, site=a.site))
quarantined = stored(Quarantine, "quarantine", lambda q: Resource(kind="quarantine", id=q.id, site=q.site))
token = stored(Credential, "token", lambda c: Resource(kind="token", id=c.id, owner=c.actor))


def grant_resource(grant: Grant) -> Resource:
    """A project's role belongs to the project, any other to the farm; and each to who holds it."""
    within = grant.scope if grant.role in PROJECT_ROLES else ""
    return Resource(kind="grant", id=grant.id, project=within, owner=grant.actor)


grant = stored(Grant, "grant", grant_resource)


async def workload(call: Call) -> Answer:
    """A workload, at the site of its live attempt if it has one."""
    id = call.request.path_params["id"]

    def load(reader: Reader) -> tuple[Workload | None, Attempt | None]:
        row = reader.get(Workload, id)
        return row, reader.get(Attempt, row.attempt) if row and row.attempt else None

    row, live = await call.read(load)
    if row is None:
        return not_found("workload", id)
    call.record = row
    return [Resource(kind="workload", id=id, project=row.project, site=live.site if live else "")]


async def workload_or_array(call: Call) -> Answer:
    """A workload, or the array of that id: its elements are all of one project."""
    id = call.request.path_params["id"]
    row = await call.read(lambda reader: reader.get(Workload, id) or _first_element(reader, id))
    if row is None:
        return not_found("workload", id)
    call.record = row
    return [Resource(kind="workload", id=id, project=row.project)]


def _first_element(reader: Reader, array: str) -> Workload | None:
    return next(iter(reader.find(Workload, {"array_id": array}, limit=1)), None)


async def array(call: Call) -> Answer:
    id = call.request.path_params["id"]
    row = await call.read(lambda reader: _first_element(reader, id))
    if row is None:
        return not_found("workload", id)
    call.record = row
    return [Resource(kind="workload", id=id, project=row.project)]


async def organisation(call: Call) -> Answer:
    """An organisation is seen by those who see a project of its."""
    id = call.request.path_params["id"]
    row = await call.read(lambda reader: reader.get(Organisation, id))
    if row is None:
        return not_found("organisation", id)
    call.record = row
    seen = await call.read(lambda reader: organisations_seen(call, reader))
    within = next(iter(seen.get(id, ())), "") if seen is not None else ""
    if seen is not None and not within:
        return not_found("organisation", id)
    return [Resource(kind="organisation", id=id, project=within)]


def organisations_seen(call: Call, reader: Reader) -> dict[str, list[str]] | None:
    """Organisation → projects through which the caller sees it; None: all."""
    projects = visible_projects(call.identity, Action.ORGANISATION_READ)
    if projects is None:
        return None
    seen: dict[str, list[str]] = {}
    for row in reader.get_many(Project, projects).values():
        for id in (row.organisation, *row.partners):
            seen.setdefault(id, []).append(row.id)
    return seen


async def actor(call: Call) -> Answer:
    """An actor belongs to itself, and to those who manage a project in which it has a role."""
    id = call.request.path_params["id"]

    def load(reader: Reader) -> tuple[Actor | None, list[Grant]]:
        return reader.get(Actor, id), reader.find(Grant, {"actor": id})

    row, grants = await call.read(load)
    if row is None:
        return not_found("actor", id)
    call.record = row
    managed = visible_projects(call.identity, Action.ACTOR_READ) or frozenset()
    shared = next((g.scope for g in grants if g.role in PROJECT_ROLES and g.scope in managed), "")
    return [Resource(kind="actor", id=id, owner=id, project=shared)]


async def stranger(call: Call, id: str) -> Reason | None:
    """NOT_FOUND for an actor that the caller has nothing to do with, so that nobody is drawn into a project, and so into sight,
    by their id alone. Of those who may give roles only administrators know everybody."""
    if id == call.identity.id or visible_projects(call.identity, Action.PROJECT_MANAGE_MEMBERS) is None:
        return None
    known_in = visible_projects(call.identity)

    def acquainted(reader: Reader) -> bool:
        scopes = {g.scope for g in reader.find(Grant, {"actor": id}) if g.role in PROJECT_ROLES}
        shared = scopes if known_in is None else scopes & known_in
        made = {"subject": id, "kind": "actor.created", "actor": call.identity.id}
        return bool(shared or reader.find(Event, made, limit=1))

    return None if await call.read(acquainted) else not_found("actor", id)


# -- from bodies: what is not of the right type is left for validation to refuse ----------------------------------------------


def _member(call: Call, name: str) -> str:
    value = call.document.get(name) if isinstance(call.document, dict) else None
    return value if isinstance(value, str) else ""


@named_in_body
async def body_project(call: Call) -> Answer:
    """The project that the body names. Without one there is nothing to decide, and validation refuses."""
    id = _member(call, "project")
    return [Resource(kind="project", id=id)] if id else []


@named_in_body
async def body_programme(call: Call) -> Answer:
    id = _member(call, "programme")
    return [Resource(kind="programme", id=id)] if id else []


@named_in_body
async def body_grants(call: Call) -> Answer:
    """Who manages projects may make actors with roles in them; with any other role, or none, an administrator may."""
    grants: Any = call.document.get("grants") if isinstance(call.document, dict) else None
    grants = grants if isinstance(grants, list) and grants else [None]
    return [_granted(g) for g in grants[:50]]


@named_in_body
async def body_grant(call: Call) -> Answer:
    return [_granted(call.document)]


def _granted(grant: Any) -> Resource:
    if not isinstance(grant, dict):
        return Resource(kind="actor")
    role, scope = grant.get("role"), grant.get("scope")
    within = scope if role in (Role.MANAGER.value, Role.MEMBER.value) and isinstance(scope, str) else ""
    return Resource(kind="actor", project=within if within != "*" else "")


async def own_site(call: Call) -> Answer:
    """The one site that an agent speaks for."""
    return [Resource(kind="site", id=call.identity.site, site=call.identity.site)]
