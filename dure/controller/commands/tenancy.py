"""Organisations, projects, actors, their roles and credentials."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dure.controller.deed import Deed, fingerprint, record, touch
from dure.controller.rules import bad, exists, not_found
from dure.model.funding import Programme
from dure.model.reason import Reason, ReasonKind
from dure.model.site import Site
from dure.model.tenancy import Actor, Credential, Grant, Organisation, Person, Project, Role, site_bound
from dure.ports import Reader, Tx

WEIGHT_MAX = 1_000_000
TREE_DEPTH_MAX = 16  # organisations above organisations; more is a mistake, and loops end here
SECRET_BYTES = 24  # 192 bits: not to be guessed


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A credential and the one time that its secret is seen."""

    credential: Credential
    token: str


def create_organisation(
    tx: Tx, deed: Deed, *, id: str, name: str, kind: str, parent: str = "", weight: int = 1
) -> Organisation | Reason:
    if tx.get(Organisation, id) is not None:
        return exists("organisation", id)
    if parent and tx.get(Organisation, parent) is None:
        return not_found("organisation", parent)
    if not 1 <= weight <= WEIGHT_MAX:
        return bad("weight", "too_small" if weight < 1 else "too_large", limit=WEIGHT_MAX)
    if _depth(tx, parent) >= TREE_DEPTH_MAX:
        return bad("parent", "too_many", limit=TREE_DEPTH_MAX)
    organisation = Organisation(id=id, name=name, kind=kind, parent=parent, weight=weight)
    tx.insert(organisation)
    record(tx, deed, "organisation.created", id, data={"kind": kind, "parent": parent}, touched=touch(organisation))
    return organisation


def _depth(reader: Reader, organisation: str) -> int:
    depth = 0
    while organisation and depth < TREE_DEPTH_MAX:
        row = reader.get(Organisation, organisation)
        organisation = row.parent if row else ""
        depth += 1
    return depth


def create_project(
    tx: Tx, deed: Deed, *, id: str, name: str, organisation: str, partners: Sequence[str] = (), weight: int = 1
) -> Project | Reason:
    if tx.get(Project, id) is not None:
        return exists("project", id)
    for member in (organisation, *partners):
        if tx.get(Organisation, member) is None:
            return not_found("organisation", member)
    if not 1 <= weight <= WEIGHT_MAX:
        return bad("weight", "too_small" if weight < 1 else "too_large", limit=WEIGHT_MAX)
    project = Project(
        id=id,
        name=name,
        organisation=organisation,
        partners=tuple(partners),
        weight=weight,
        use_ms=deed.now_ms,
        created_ms=deed.now_ms,
    )
    tx.insert(project)
    record(tx, deed, "project.created", id, project=id, data={"organisation": organisation}, touched=touch(project))
    return project


def create_actor(
    tx: Tx, deed: Deed, *, name: str, email: str = "", kind: str = "person", grants: Sequence[tuple[Role, str]] = ()
) -> Actor | Reason:
    """An actor, with its personal data in a row of its own, and the roles that it starts with."""
    for role, scope in grants:
        fault = scope_fault(tx, role, scope)
        if fault is not None:
            return fault
    actor = Actor(id=deed.new_id("actor"), kind=kind, made_by=deed.actor, created_ms=deed.now_ms)
    tx.insert(actor)
    tx.insert(Person(id=actor.id, name=name, email=email))
    record(tx, deed, "actor.created", actor.id, data={"kind": kind})
    for role, scope in grants:
        grant(tx, deed, actor=actor.id, role=role, scope=scope)
    return actor


_SCOPES: dict[Role, type] = {
    Role.OPERATOR: Site,
    Role.OFFICER: Programme,
    Role.MANAGER: Project,
    Role.MEMBER: Project,
    Role.AGENT: Site,
}


def scope_fault(reader: Reader, role: Role, scope: str) -> Reason | None:
    """Why this role cannot be held within this scope, or None."""
    kind = _SCOPES.get(role)
    if scope == "*":
        # a tenant's roles and an agent's never span everything: that would undo the walls between tenants and sites
        return bad("scope", "unknown_value", allowed="a project or site id") if role in _NEVER_GLOBAL else None
    if kind is None:
        return bad("scope", "unknown_value", allowed="*")
    return None if reader.get(kind, scope) is not None else not_found(kind.__name__.lower(), scope)


_NEVER_GLOBAL = frozenset({Role.MANAGER, Role.MEMBER, Role.AGENT})


def grant(tx: Tx, deed: Deed, *, actor: str, role: Role, scope: str = "*") -> Grant | Reason:
    if tx.get(Actor, actor) is None:
        return not_found("actor", actor)
    fault = scope_fault(tx, role, scope)
    if fault is not None:
        return fault
    row = Grant(id=f"{actor}:{role.value}:{scope}", actor=actor, role=role, scope=scope)
    if tx.get(Grant, row.id) is not None:
        return exists("grant", row.id)
    tx.insert(row)
    project = scope if role in (Role.MANAGER, Role.MEMBER) else ""
    record(tx, deed, "grant.created", actor, project=project, data={"role": role.value, "scope": scope})
    return row


def revoke_grant(tx: Tx, deed: Deed, *, grant: str) -> Grant | Reason:
    """Take a role. What its holder made in others' names by it ends with it: a secret once seen would be the role kept."""
    row = tx.get(Grant, grant)
    if row is None:
        return not_found("grant", grant)
    last = last_administrator(tx, deed.now_ms, row.actor) if row.role == Role.ADMIN else None
    if last is not None:
        return last
    tx.delete(Grant, grant)
    project = row.scope if row.role in (Role.MANAGER, Role.MEMBER) else ""
    record(tx, deed, "grant.revoked", row.actor, project=project, data={"role": row.role.value, "scope": row.scope})
    for credential in _seen_through(tx, row):
        _revoke(tx, deed, credential)
    return row


def erase_person(tx: Tx, deed: Deed, *, actor: str) -> Actor | Reason:
    """Erase who an actor is. What it did stays, under an id that names nobody; its credentials stop working."""
    row = tx.get(Actor, actor)
    if row is None:
        return not_found("actor", actor)
    disabled = disable_actor(tx, deed, actor=actor)
    if isinstance(disabled, Reason):
        return disabled
    tx.delete(Person, actor)
    record(tx, deed, "actor.erased", actor)
    return disabled


def disable_actor(tx: Tx, deed: Deed, *, actor: str) -> Actor | Reason:
    """Nothing that this actor holds opens a door any more, nor what it made in others' names: it has seen those secrets."""
    row = tx.get(Actor, actor)
    if row is None:
        return not_found("actor", actor)
    last = last_administrator(tx, deed.now_ms, actor)
    if last is not None:
        return last
    own = tx.find(Credential, {"actor": actor, "revoked_ms": 0})
    for credential in {c.id: c for c in (*own, *_seen_secrets(tx, actor)) if not c.revoked_ms}.values():
        _revoke(tx, deed, credential)
    if row.disabled:
        return row
    record(tx, deed, "actor.disabled", actor)
    disabled: Actor = tx.update(replace(row, disabled=True))
    return disabled


def _seen_through(reader: Reader, lost: Grant) -> list[Credential]:
    """The working credentials in others' names that an actor made by a role, and that it could not make by those which it has
    left: a secret once seen would be the role kept."""
    if lost.role not in (Role.MANAGER, Role.OPERATOR, Role.ADMIN) or _administers(reader, lost.actor):
        return []
    held = reader.find(Grant, {"actor": lost.actor})
    able = {g.scope for g in held if g.role == Role.MANAGER} | {site_bound(g.scope) for g in held if g.role == Role.OPERATOR}
    everywhere = site_bound("*") in able
    seen = (c for c in _seen_secrets(reader, lost.actor) if not c.revoked_ms)
    return [c for c in seen if not all(b in able or (everywhere and b.startswith(site_bound(""))) for b in c.within)]


def _seen_secrets(reader: Reader, actor: str) -> list[Credential]:
    """The credentials with a bound that an actor made, and those that were made with one of these: also with one that is revoked
    by now. What an administrator makes has no bound, and outlasts them."""
    found: dict[str, Credential] = {}
    fresh = reader.find(Credential, {"made_by": actor})
    while fresh:
        bounded = {c.id: c for c in fresh if c.within and c.id not in found}
        found |= bounded
        fresh = reader.find(Credential, {"made_with": sorted(bounded)}) if bounded else []
    return list(found.values())


def _administers(reader: Reader, actor: str) -> bool:
    return reader.get(Grant, f"{actor}:{Role.ADMIN.value}:*") is not None


def create_token(
    tx: Tx, deed: Deed, *, actor: str, label: str = "", expires_ms: int = 0, within: Sequence[str] = ()
) -> NewToken | Reason:
    """within: as of a Credential."""
    row = tx.get(Actor, actor)
    if row is None:
        return not_found("actor", actor)
    if row.disabled:
        return bad("actor", "disabled")
    if expires_ms and expires_ms <= deed.now_ms:
        return bad("expires", "in_the_past")
    secret = deed.entropy.secret(SECRET_BYTES)
    credential = Credential(
        id=deed.new_id("key").removeprefix("key_").lower(),
        actor=actor,
        digest=token_digest(secret),
        label=label,
        made_with=deed.credential,
        made_by=deed.actor,
        within=tuple(sorted(within)),
        created_ms=deed.now_ms,
        expires_ms=expires_ms,
    )
    tx.insert(credential)
    data = {
        "actor": actor,
        "expires_ms": expires_ms,
        "made_with": credential.made_with,
        "within": list(credential.within),
        "fingerprint": fingerprint(credential),
    }
    record(tx, deed, "token.created", credential.id, data=data)
    return NewToken(credential=credential, token=f"dure_{credential.id}_{secret}")


def token_digest(secret: str) -> str:
    """What is kept of a token's secret part. It has 192 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(secret.encode()).hexdigest()


def revoke_token(tx: Tx, deed: Deed, *, credential: str) -> Credential | Reason:
    row = tx.get(Credential, credential)
    if row is None:
        return not_found("token", credential)
    if row.revoked_ms:
        return row
    return last_administrator(tx, deed.now_ms, row.actor, credential) or _revoke(tx, deed, row)


def _revoke(tx: Tx, deed: Deed, credential: Credential) -> Credential:
    record(tx, deed, "token.revoked", credential.id, data={"actor": credential.actor})
    revoked: Credential = tx.update(replace(credential, revoked_ms=deed.now_ms))
    return revoked


def last_administrator(reader: Reader, now_ms: int, actor: str, credential: str = "") -> Reason | None:
    """LAST_ADMINISTRATOR when nobody could administer the farm any more without this actor, or without this credential of it."""
    if not _administers(reader, actor):
        return None
    holders = {g.actor for g in reader.find(Grant, {"role": Role.ADMIN, "scope": "*"})}
    able = [id for id, row in reader.get_many(Actor, holders).items() if not row.disabled]
    valid = [c for c in reader.find(Credential, {"actor": able, "revoked_ms": 0}) if _opens_everything(c, now_ms)]
    left = [c for c in valid if c.actor != actor or (credential and c.id != credential)]
    return None if left or not valid else Reason.of(ReasonKind.LAST_ADMINISTRATOR, id=actor)


def _opens_everything(credential: Credential, now_ms: int) -> bool:
    return not credential.within and (not credential.expires_ms or credential.expires_ms > now_ms)
