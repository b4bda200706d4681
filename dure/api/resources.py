"""Whose is it: from a request to the `Resource` that the access decision is about. What is loaded is kept in `Call.record`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dure.access import PROJECT_ROLES, Action, Identity, Resource, Scope, opens_no_more, visible_ids, visible_projects
from dure.api.call import Call
from dure.api.route import Of, named_in_body
from dure.controller.rules import not_found
from dure.model.funding import Award, Programme
from dure.model.reason import Reason, ReasonKind
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


programme = stored(Programme, "programme", lambda p: Resource(kind="programme", id=p.id))
award = stored(Award, "award", lambda a: Resource(kind="award", id=a.id, project=a.project, programme=a.programme))
site = stored(Site, "site", lambda s: Resource(kind="site", id=s.id))
node = stored(Node, "node", lambda n: Resource(kind="node", id=n.id, site=n.site), "site", "name")
attempt = stored(Attempt, "attempt", lambda a: Resource(kind="attempt", id=a.id, project=a.project, site=a.site))
quarantined = stored(Quarantine, "quarantine", lambda q: Resource(kind="quarantine", id=q.id, site=q.site))


def grant_resource(grant: Grant) -> Resource:
    """A project's role belongs to the project, any other to the farm; and each to who holds it."""
    within = grant.scope if grant.role in PROJECT_ROLES else ""
    return Resource(kind="grant", id=grant.id, project=within, owner=grant.actor)


grant = stored(Grant, "grant", grant_resource)


async def project(call: Call) -> Answer:
    """A project; for who runs a programme that has awarded something to it, of that programme."""
    id = call.request.path_params["id"]

    def load(reader: Reader) -> tuple[Project | None, str]:
        return reader.get(Project, id), funded(reader, _programmes(call), id).get(id, "")

    call.record, programme = await call.read(load)
    if call.record is None:
        return not_found("project", id)
    return [Resource(kind="project", id=id, programme=programme)]


def _programmes(call: Call) -> frozenset[str]:
    """The programmes of those who run some and not all."""
    return visible_ids(call.identity, Action.PROJECT_READ, Scope.PROGRAMME) or frozenset()


def funded(reader: Reader, programmes: frozenset[str], project: str = "") -> dict[str, str]:
    """Projects, or the one, that hold an award of one of these programmes → the first such programme."""
    if not programmes:
        return {}
    where = {"programme": sorted(programmes), **({"project": project} if project else {})}
    return {a.project: a.programme for a in reversed(reader.find(Award, where))}


def projects_seen(call: Call, reader: Reader, action: Action = Action.PROJECT_READ) -> dict[str, str] | None:
    """Projects that the caller sees → the programme through which, "" for one's own; None: all."""
    own = visible_projects(call.identity, action)
    return None if own is None else {**funded(reader, _programmes(call)), **dict.fromkeys(own, "")}


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
    """A workload, at the site of its live attempt if it has one; or the array of that id: its elements are all of one project."""
    found = await workload(call)
    return found if not isinstance(found, Reason) else await array(call)


async def copied(call: Call) -> Answer:
    """A workload or an array to be submitted once more: its code runs again, on what it saved, for its project's money. Who may
    do one of these may not therefore do the others."""
    found = await workload_or_array(call)
    if isinstance(found, Reason):
        return found
    needed = (Action.WORKLOAD_SUBMIT, Action.WORKLOAD_READ, Action.BUNDLE_READ, Action.CHECKPOINT_READ)
    return next((refusal for action in needed if (refusal := call.refusal(action, found))), found)


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
    if seen is not None and id not in seen:
        return not_found("organisation", id)
    project, programme = seen[id] if seen is not None else ("", "")
    return [Resource(kind="organisation", id=id, project=project, programme=programme)]


def organisations_seen(call: Call, reader: Reader) -> dict[str, tuple[str, str]] | None:
    """Organisation → a project, and maybe a programme, through which the caller sees it; None: all."""
    projects = projects_seen(call, reader, Action.ORGANISATION_READ)
    if projects is None:
        return None
    seen: dict[str, tuple[str, str]] = {}
    for row in reader.get_many(Project, projects).values():
        for id in (row.organisation, *row.partners):
            seen.setdefault(id, (row.id, projects[row.id]))
    return seen


def quotas_seen(call: Call, reader: Reader) -> Callable[[str], bool]:
    """Whether the caller may see whose quota it is: projects and organisations that it sees anyway, and the whole farm."""
    seen = {"project": projects_seen(call, reader), "organisation": organisations_seen(call, reader)}

    def sees(of: str) -> bool:
        kind, _, id = of.partition(":")
        known = seen.get(kind)
        return known is None or id in known

    return sees


# -- people -------------------------------------------------------------------------------------------------------------------


def managed(call: Call, action: Action = Action.ACTOR_READ) -> frozenset[str]:
    """The projects whose people the caller may see, or speak for; none for those to whom everybody's are open."""
    return visible_projects(call.identity, action) or frozenset()


async def actor(call: Call) -> Answer:
    """An actor belongs to itself, and to those who manage a project in which it has a role, or who made it."""
    id = call.request.path_params["id"]

    def load(reader: Reader) -> tuple[Actor | None, list[Grant]]:
        return reader.get(Actor, id), reader.find(Grant, {"actor": id})

    row, grants = await call.read(load)
    if row is None:
        return not_found("actor", id)
    call.record = row
    return [Resource(kind="actor", id=id, owner=id, project=_shared(call, managed(call), row, grants))]


def _shared(call: Call, within: frozenset[str], actor: Actor, grants: list[Grant]) -> str:
    """One of the projects `within` through which the caller knows an actor, "" for none."""
    made = min(within, default="") if _made(call.identity, actor) else ""
    return next((g.scope for g in grants if g.role in PROJECT_ROLES and g.scope in within), made)


async def actors(call: Call) -> Answer:
    """All of them, or for those who manage projects the people of these."""
    return [Resource(kind="actor", project=min(managed(call), default=""))]


def actors_seen(call: Call, reader: Reader) -> list[str] | None:
    """Those who have a role in a project that the caller manages, whom the caller made, and the caller; None: all."""
    within, me = visible_projects(call.identity, Action.ACTOR_READ), call.identity
    if within is None:
        return None
    here = {g.actor for g in reader.find(Grant, {"scope": sorted(within)}) if g.role in PROJECT_ROLES}
    return sorted({*here, *(a.id for a in reader.find(Actor, {"made_by": me.id}) if _made(me, a)), me.id})


def _made(caller: Identity, actor: Actor) -> bool:
    """Whether this caller made that actor. Whoever acts with a token bound to some projects did not: its actor may have made it
    for another project."""
    return actor.made_by == caller.id and not caller.within


async def actor_spoken_for(call: Call) -> Answer:
    """An actor whose tokens are made and listed. Who manages projects does so for actors all of whose roles are in these."""
    found = await actor(call)
    return found if isinstance(found, Reason) else await _spoken_for(call, "actor", call.record, Action.TOKEN_CREATE)


async def token(call: Call) -> Answer:
    """A token belongs to its actor. Who manages projects also ends what opens nothing beyond these, whosoever it is."""
    id = call.request.path_params["id"]

    def load(reader: Reader) -> tuple[Credential | None, Actor | None]:
        row = reader.get(Credential, id)
        return row, reader.get(Actor, row.actor) if row else None

    row, actor = await call.read(load)
    if row is None or actor is None:
        return not_found("token", id)
    call.record = row
    bound = call.identity.within
    if bound and row.actor == call.identity.id and not opens_no_more(row, bound):
        return _administrators(Action.TOKEN_REVOKE)  # a bounded token does not end what it could not have made
    within = managed(call, Action.TOKEN_REVOKE)
    if opens_no_more(row, within):
        return [Resource(kind="token", id=id, owner=row.actor, project=row.within[0])]
    return await _spoken_for(call, "token", actor, Action.TOKEN_REVOKE)


async def _spoken_for(call: Call, kind: str, actor: Actor, action: Action) -> Answer:
    """An actor, or a token of it: for who knows it through a project, only if all roles of that actor are in such projects."""
    id = actor.id if kind == "actor" else call.record.id
    grants = await call.read(lambda reader: reader.find(Grant, {"actor": actor.id}))
    within = managed(call, action)
    shared = _shared(call, within, actor, grants)
    inside = bool(grants) and all(g.role in PROJECT_ROLES and g.scope in within for g in grants)
    if shared and not inside and actor.id != call.identity.id:
        return _administrators(action)
    return [Resource(kind=kind, id=id, owner=actor.id, project=shared)]


def _administrators(action: Action) -> Reason:
    return Reason.of(ReasonKind.NOT_ALLOWED, action=action.value, roles=[Role.ADMIN.value])


def tokens_seen(call: Call, actor: str, made: bool) -> frozenset[str] | None:
    """Which projects bound the tokens that the caller sees of an actor's, or of those that it `made`; None: all are seen."""
    if call.identity.within:
        return frozenset(call.identity.within)
    return visible_projects(call.identity, Action.TOKEN_CREATE) if made and actor != call.identity.id else None


async def bound_of(call: Call, actor: str) -> Sequence[str] | Reason:
    """The projects within which a token of `actor` is held that the caller makes: its own bound for itself; none for those who
    may make anybody's; else the projects in which the actor has roles today, and never those of a later day."""
    if actor == call.identity.id:
        return call.identity.within
    if visible_projects(call.identity, Action.TOKEN_CREATE) is None:
        return ()
    grants = await call.read(lambda reader: reader.find(Grant, {"actor": actor}))
    bound = sorted({g.scope for g in grants} & managed(call, Action.TOKEN_CREATE))
    return bound or _administrators(Action.TOKEN_CREATE)  # its roles went just now, and an empty bound would be none


async def stranger(call: Call, id: str) -> Reason | None:
    """NOT_FOUND for an actor that the caller has nothing to do with, so that nobody is drawn into a project, and so into sight,
    by their id alone. Of those who may give roles only administrators know everybody."""
    if id == call.identity.id or visible_projects(call.identity, Action.PROJECT_MANAGE_MEMBERS) is None:
        return None
    known_in = visible_projects(call.identity)

    def acquainted(reader: Reader) -> bool:
        scopes = {g.scope for g in reader.find(Grant, {"actor": id}) if g.role in PROJECT_ROLES}
        made = reader.get(Actor, id)
        return bool(scopes if known_in is None else scopes & known_in) or (made is not None and _made(call.identity, made))

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
    return _beyond_projects(call, grants[:50]) or [_granted(g) for g in grants[:50]]


@named_in_body
async def body_grant(call: Call) -> Answer:
    return _beyond_projects(call, [call.document]) or [_granted(call.document)]


def _beyond_projects(call: Call, grants: Sequence[Any]) -> Reason | None:
    """A refusal that names those who may, to who may give roles in some projects and gives one that is not a project's."""
    roles = {g["role"] for g in grants if isinstance(g, dict) and isinstance(g.get("role"), str)}
    others = roles & ({role.value for role in Role} - {role.value for role in PROJECT_ROLES})
    return _administrators(Action.ACTOR_CREATE) if others and managed(call, Action.ACTOR_CREATE) else None


def _granted(grant: Any) -> Resource:
    if not isinstance(grant, dict):
        return Resource(kind="actor")
    role, scope = grant.get("role"), grant.get("scope")
    within = scope if role in (Role.MANAGER.value, Role.MEMBER.value) and isinstance(scope, str) else ""
    return Resource(kind="actor", project=within if within != "*" else "")


async def own_site(call: Call) -> Answer:
    """The one site that an agent speaks for."""
    return [Resource(kind="site", id=call.identity.site, site=call.identity.site)]
