"""Organisations and projects."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from dure.access import Action, Resource
from dure.api import resources
from dure.api.bodies import MemberIn, OrganisationIn, ProjectIn
from dure.api.call import CallDep
from dure.api.documents import Plain, plain, project_document
from dure.api.listing import Cursor, Limit, among, find_page
from dure.api.resources import organisations_seen, projects_seen
from dure.api.route import DureRoute, requires
from dure.api.shapes import Members, MeShape, Page, ProjectShape
from dure.controller.commands import tenancy
from dure.controller.deed import Deed
from dure.controller.rules import not_found
from dure.model.reason import Reason
from dure.model.tenancy import Actor, Grant, Organisation, Person, Project, Role
from dure.ports import Reader, Tx

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["tenancy"])
MEMBER_ROLES = (Role.MANAGER, Role.MEMBER)


@router.get("/me", response_model=MeShape)
@requires(Action.ME_READ, resources.farm("actor"))
async def me(call: CallDep) -> Response:
    """Who the token stands for, and what it may see."""

    def look(reader: Reader) -> Plain | Reason:
        visible = projects_seen(call, reader)
        actor, person = reader.get(Actor, call.identity.id), reader.get(Person, call.identity.id)
        return {
            "actor": call.identity.id,
            "kind": actor.kind if actor else "",
            "name": person.name if person else "",
            "grants": [plain(g) for g in call.identity.grants],
            "projects": None if visible is None else sorted(visible),
        }

    return await call.show(look)


@router.post("/organisations", status_code=201, response_model=Organisation)
@requires(Action.ORGANISATION_CREATE, resources.farm("organisation"))
async def create_organisation(call: CallDep, body: OrganisationIn) -> Response:
    """An organisation, which projects belong to. `parent` puts it below another: its weight is a share within that one."""
    return await call.write(lambda tx, deed: tenancy.create_organisation(tx, deed, **body.model_dump()), plain, status=201)


@router.get("/organisations", response_model=Page[Organisation])
@requires(Action.ORGANISATION_READ, None)
async def list_organisations(call: CallDep, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """Those of the projects that the caller sees."""

    def look(reader: Reader) -> Plain | Reason:
        seen = organisations_seen(call, reader)
        return find_page(reader, Organisation, among("id", seen), cursor, limit, plain)

    return await call.show(look)


@router.get("/organisations/{id}", response_model=Organisation)
@requires(Action.ORGANISATION_READ, resources.organisation)
async def get_organisation(call: CallDep, id: str) -> Response:
    """One organisation, for those who see a project of its."""
    return call.answer(plain(call.record))


@router.post("/projects", status_code=201, response_model=ProjectShape)
@requires(Action.PROJECT_CREATE, resources.farm("project"))
async def create_project(call: CallDep, body: ProjectIn) -> Response:
    """A project: what work, awards and members belong to."""
    return await call.write(lambda tx, deed: tenancy.create_project(tx, deed, **body.model_dump()), project_document, status=201)


@router.get("/projects", response_model=Page[ProjectShape])
@requires(Action.PROJECT_READ, None)
async def list_projects(call: CallDep, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """The projects that the caller sees; without their members. Who runs a programme sees those that hold an award of it."""

    def look(reader: Reader) -> Plain | Reason:
        return find_page(reader, Project, among("id", projects_seen(call, reader)), cursor, limit, project_document)

    return await call.show(look)


@router.get("/projects/{id}", response_model=ProjectShape)
@requires(Action.PROJECT_READ, resources.project)
async def get_project(call: CallDep, id: str) -> Response:
    """One project, with its members; without them for who runs a programme that funds it."""
    own = call.sees(Action.PROJECT_READ, Resource(kind="project", id=id))
    return await call.show(lambda reader: project_document(call.record, _members(reader, id) if own else ()))


def _members(reader: Reader, project: str) -> list[Grant]:
    return [g for g in reader.find(Grant, {"scope": project}) if g.role in MEMBER_ROLES]


@router.post("/projects/{id}/members", status_code=201, response_model=Grant)
@requires(Action.PROJECT_MANAGE_MEMBERS, resources.project)
async def add_member(call: CallDep, id: str, body: MemberIn) -> Response:
    """Administrators add anybody; who manages the project, actors that they made or with whom they share a project already."""
    stranger = await resources.stranger(call, body.actor)
    if stranger is not None:
        return call.refuse(stranger)
    return await call.write(
        lambda tx, deed: tenancy.grant(tx, deed, actor=body.actor, role=Role(body.role), scope=id),
        plain,
        status=201,
        forget=True,
    )


@router.delete("/projects/{id}/members", response_model=Members)
@requires(Action.PROJECT_MANAGE_MEMBERS, resources.project)
async def remove_member(call: CallDep, id: str, actor: Annotated[str, Query(min_length=1, max_length=192)]) -> Response:
    """Takes every role of the actor within the project; answers with the roles taken."""

    def command(tx: Tx, deed: Deed) -> list[Grant] | Reason:
        held = [g for g in _members(tx, id) if g.actor == actor]
        for grant in held:
            tenancy.revoke_grant(tx, deed, grant=grant.id)
        return held or not_found("actor", actor)

    return await call.write(command, lambda grants: {"items": [plain(g) for g in grants]}, forget=True)
