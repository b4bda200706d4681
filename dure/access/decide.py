"""The decision: may this identity do this to that, and if not, how much of the reason may it know."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dure.access.rights import ANYONE, FARM_WIDE, OWN, OWN_OF_AGENTS, OWN_WITHIN, PROJECT_ROLES, RIGHTS, Action, Scope
from dure.model.reason import Reason, ReasonKind
from dure.model.tenancy import Credential, Grant, Role, site_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks: an actor with all its grants. site: of an agent, the one site that it runs at. credential: the token that it
    showed; expires_ms: when that ends, 0: never; within: as of its Credential; made_by: who
    made a token that has such a bound, "" for any other."""

    id: str
    disabled: bool = False
    grants: tuple[Grant, ...] = ()
    site: str = ""
    credential: str = ""
    expires_ms: int = 0
    within: tuple[str, ...] = ()
    made_by: str = ""

    def own(self) -> frozenset[Action]:
        """What it may do with what is its own."""
        if any(g.role == Role.AGENT for g in self.grants):
            return OWN_OF_AGENTS
        return OWN_WITHIN if self.within else OWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What is asked for, and whose it is. Empty members mean "of none", never "of any"; a list of all is `Resource(kind=...)`.

    kind: what it is called in a refusal. A project, site or programme itself belongs to itself: its id stands in for
    the member of the same name. owner: the actor that a token or an actor's record belongs to."""

    kind: str
    id: str = ""
    project: str = ""
    site: str = ""
    programme: str = ""
    owner: str = ""

    def scope_id(self, scope: Scope) -> str:
        """The id with which a grant's scope is compared; "" when it belongs to none of that kind."""
        if self.kind == scope.value:
            return self.id
        return {Scope.PROJECT: self.project, Scope.SITE: self.site, Scope.PROGRAMME: self.programme, Scope.FARM: ""}[scope]

    def private(self) -> bool:
        """Whether it belongs to somebody, so that its very existence is nobody else's business."""
        return bool(self.owner or self.scope_id(Scope.PROJECT) or self.scope_id(Scope.PROGRAMME))


@dataclass(frozen=True, slots=True)
class Verdict:
    """allowed, or the reason why not."""

    allowed: bool
    reason: Reason | None = None


_YES = Verdict(True)


def may(identity: Identity, action: Action, resource: Resource) -> Verdict:
    """Whether `identity` may do `action` to `resource`.

    Refusals: NOT_SIGNED_IN (the actor is disabled); NOT_FOUND for what belongs to others, whether it exists or not; NOT_ALLOWED,
    with the action and the roles that would suffice, for what the identity may know of."""
    if identity.disabled:
        return Verdict(False, Reason.of(ReasonKind.NOT_SIGNED_IN, problem="disabled"))
    if action in ANYONE:
        return _YES
    owns = bool(resource.owner) and resource.owner == identity.id
    if owns and action in identity.own():
        return _YES
    reaching = [g for g in identity.grants if _reaches(identity, g, resource)]
    if any(action in RIGHTS[g.role][1] and (g.scope == "*" or action not in FARM_WIDE) for g in reaching):
        return _YES
    if resource.private() and not reaching and not owns:
        return Verdict(False, Reason.of(ReasonKind.NOT_FOUND, what=resource.kind, id=resource.id))
    return Verdict(False, Reason.of(ReasonKind.NOT_ALLOWED, action=action.value, roles=list(roles_that_may(action))))


def roles_that_may(action: Action) -> tuple[str, ...]:
    """The roles that have a right to `action` within their scope, in the order of `Role`; "role:*" where no narrower one does."""
    roles = (role for role in Role if action in RIGHTS[role][1])
    return tuple(f"{r.value}:*" if action in FARM_WIDE and RIGHTS[r][0] != Scope.FARM else r.value for r in roles)


def visible_projects(identity: Identity, action: Action = Action.PROJECT_READ) -> frozenset[str] | None:
    """The projects in which `identity` may do `action`, for filtering a list; None means all."""
    return visible_ids(identity, action, Scope.PROJECT)


def carried(grants: Iterable[Grant], within: Collection[str]) -> tuple[Grant, ...]:
    """What of an actor's roles a token carries: all, or with `within` those in these projects and at these sites (`site_bound`),
    whatever was granted since."""
    return tuple(g for g in grants if not within or _bound(g) in within)


def _bound(grant: Grant) -> str:
    """By what name a role is let through a bound; "" by none."""
    if grant.role == Role.AGENT:
        return site_bound(grant.scope)
    return grant.scope if grant.role in PROJECT_ROLES else ""


def opens_no_more(token: Credential, projects: Collection[str]) -> bool:
    """Whether a token is bound, and opens nothing beyond these projects."""
    return bool(token.within) and set(token.within) <= set(projects)


def visible_ids(identity: Identity, action: Action, scope: Scope) -> frozenset[str] | None:
    """The projects, sites or programmes in which `identity` may do `action`; None means all."""
    if identity.disabled:
        return frozenset()
    able = [g for g in identity.grants if action in RIGHTS[g.role][1] and g.role != Role.AGENT]
    if any(g.scope == "*" for g in able):
        return None
    return frozenset(g.scope for g in able if RIGHTS[g.role][0] == scope)


def _reaches(identity: Identity, grant: Grant, resource: Resource) -> bool:
    """Whether a grant's scope covers the resource."""
    scope = RIGHTS[grant.role][0]
    of = resource.scope_id(scope)
    if grant.role == Role.AGENT:  # "*" would be every site, and an agent is the program of one
        return bool(of) and of == identity.site and grant.scope in ("*", of)
    return grant.scope == "*" or (bool(of) and grant.scope == of)
