"""Actors, their roles and tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from dure.access import PROJECT_ROLES, Action, carried, opens_no_more, visible_projects
from dure.api import resources
from dure.api.bodies import ActorIn, GrantIn, TokenIn
from dure.api.call import Call, CallDep
from dure.api.documents import Plain, actor_document, credential_document, new_token_document, page, plain
from dure.api.listing import Cursor, Limit, among, find_page, take_page
from dure.api.route import DureRoute, requires
from dure.api.shapes import ActorShape, CredentialShape, NewTokenShape, Page
from dure.controller.commands import tenancy
from dure.controller.commands.tenancy import NewToken
from dure.controller.deed import Deed
from dure.controller.rules import bad
from dure.model.reason import Reason
from dure.model.tenancy import Actor, Credential, Grant, Person, Role
from dure.ports import Reader, Tx

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["actors"])
Made = Annotated[bool, Query(description="those that it made, whosoever they are; else its own")]


class Secret:
    """Holds a token between the transaction that makes it and the one answer that shows it. It is kept nowhere else."""

    def __init__(self) -> None:
        self.token = ""

    def keep(self, new: NewToken | Reason) -> NewToken | Reason:
        if isinstance(new, NewToken):
            self.token = new.token
        return new

    def show(self, document: Plain) -> Plain:
        return {**document, "token": self.token}


def lasting(call: Call, expires_ms: int) -> int | Reason:
    """The end of a token made with the caller's: a brief or a stolen one must not beget one that outlives it."""
    own_ms = call.identity.expires_ms
    if own_ms and expires_ms > own_ms:
        return bad("expires", "too_large", limit=own_ms)
    return expires_ms or own_ms


@router.post("/actors", status_code=201, response_model=Actor)
@requires(Action.ACTOR_CREATE, resources.body_grants)
async def create_actor(call: CallDep, body: ActorIn) -> Response:
    """An actor with its first roles. Who manages a project may make actors with roles in that project."""
    return await call.write(
        lambda tx, deed: tenancy.create_actor(
            tx, deed, name=body.name, email=body.email, kind=body.kind, grants=[g.pair() for g in body.grants]
        ),
        plain,  # without personal data: this answer is kept, and must not outlive an erasure
        status=201,
        forget=True,
    )


@router.get("/actors", response_model=Page[ActorShape])
@requires(Action.ACTOR_READ, resources.actors)
async def list_actors(call: CallDep, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """Every actor, with names and roles. Who manages projects gets those who have a role in them, those whom they made, and
    themselves: of others as much as `GET /actors/{id}` tells."""

    def look(reader: Reader) -> Plain | Reason:
        rows, next = take_page(reader, Actor, among("id", resources.actors_seen(call, reader)), cursor, limit)
        ids = [a.id for a in rows]
        people, grants = reader.get_many(Person, ids), reader.find(Grant, {"actor": ids})
        return page((_shown(call, a, people.get(a.id), [g for g in grants if g.actor == a.id]) for a in rows), next)

    return await call.show(look)


def _shown(call: Call, actor: Actor, person: Person | None, grants: list[Grant]) -> Plain:
    """An actor as the caller may know it."""
    own, within = actor.id == call.identity.id, call.identity.within
    managed = visible_projects(call.identity, Action.ACTOR_READ)
    if not within and (own or managed is None):
        return actor_document(actor, person, grants)
    nameless = replace(person, email="") if person else None
    shown = carried(grants, within) if own else [g for g in grants if g.role in PROJECT_ROLES and g.scope in (managed or ())]
    return actor_document(actor, nameless, shown)


@router.get("/actors/{id}", response_model=ActorShape)
@requires(Action.ACTOR_READ, resources.actor)
async def get_actor(call: CallDep, id: str) -> Response:
    """All of it for the actor itself, administrators and auditors. Who manages a project with it sees the name, and the roles in
    the projects that they manage: no e-mail, and nothing of what else the person does."""
    return await call.show(lambda reader: _shown(call, call.record, reader.get(Person, id), reader.find(Grant, {"actor": id})))


@router.post("/actors/{id}/erase", response_model=Actor)
@requires(Action.ACTOR_ERASE, resources.actor)
async def erase_actor(call: CallDep, id: str) -> Response:
    """Erase who it is. What it did stays, under an id that names nobody; its tokens stop working."""
    return await call.write(lambda tx, deed: tenancy.erase_person(tx, deed, actor=id), plain, forget=True)


@router.post("/actors/{id}/disable", response_model=Actor)
@requires(Action.ACTOR_ERASE, resources.actor)
async def disable_actor(call: CallDep, id: str) -> Response:
    """Nothing that it holds opens a door any more; its tokens are revoked. Again changes nothing."""
    return await call.write(lambda tx, deed: tenancy.disable_actor(tx, deed, actor=id), plain, forget=True)


@router.post("/actors/{id}/tokens", status_code=201, response_model=NewTokenShape)
@requires(Action.TOKEN_CREATE, resources.actor_spoken_for)
async def create_token(call: CallDep, id: str, body: TokenIn) -> Response:
    """The secret is in this answer alone: a repeated request gets the rest again, with an empty `token`.

    A token ends no later than the one with which it was made; without `expires`, with it. One that is made by who manages the
    actor's projects opens these alone (`within`), whatever roles the actor is given later, and so does what is made with it."""
    secret, ends_ms = Secret(), lasting(call, body.expires or 0)
    if isinstance(ends_ms, Reason):
        return call.refuse(ends_ms)
    within = await resources.bound_of(call, id)
    if isinstance(within, Reason):
        return call.refuse(within)

    def command(tx: Tx, deed: Deed) -> NewToken | Reason:
        return secret.keep(tenancy.create_token(tx, deed, actor=id, label=body.label, expires_ms=ends_ms, within=within))

    return await call.write(command, new_token_document, status=201, forget=True, seal=secret.show)


@router.get("/actors/{id}/tokens", response_model=Page[CredentialShape])
@requires(Action.TOKEN_CREATE, resources.actor_spoken_for)
async def list_tokens(call: CallDep, id: str, made: Made = False, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """The tokens of an actor, or those that it made for whomsoever, without their secrets. Who asks with a token that opens some
    projects alone sees those that open no more; so does who manages projects, of what somebody else made."""
    where, bound = {"made_by" if made else "actor": id}, resources.tokens_seen(call, id, made)

    def look(reader: Reader) -> Plain | Reason:
        seen = where if bound is None else {"id": [c.id for c in reader.find(Credential, where) if opens_no_more(c, bound)]}
        return find_page(reader, Credential, seen, cursor, limit, credential_document)

    return await call.show(look)


@router.delete("/tokens/{id}", response_model=CredentialShape)
@requires(Action.TOKEN_REVOKE, resources.token)
async def revoke_token(call: CallDep, id: str) -> Response:
    """It stops working. Again changes nothing."""
    return await call.write(lambda tx, deed: tenancy.revoke_token(tx, deed, credential=id), credential_document, forget=True)


@router.post("/actors/{id}/grants", status_code=201, response_model=Grant)
@requires(Action.ACTOR_CREATE, resources.body_grant)
async def create_grant(call: CallDep, id: str, body: GrantIn) -> Response:
    """Who manages a project gives its roles to actors that they made, or with whom they share a project already."""
    stranger = await resources.stranger(call, id)
    if stranger is not None:
        return call.refuse(stranger)
    return await call.write(
        lambda tx, deed: tenancy.grant(tx, deed, actor=id, role=Role(body.role), scope=body.scope),
        plain,
        status=201,
        forget=True,
    )


@router.delete("/grants/{id}", response_model=Grant)
@requires(Action.PROJECT_MANAGE_MEMBERS, resources.grant)
async def revoke_grant(call: CallDep, id: str) -> Response:
    """Take a role away."""
    return await call.write(lambda tx, deed: tenancy.revoke_grant(tx, deed, grant=id), plain, forget=True)
