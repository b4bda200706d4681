"""Every role against every action, as one picture that is read and reviewed: who may do what in its own scope."""

from __future__ import annotations

import pytest

from dure.access import (
    ANYONE,
    OWN,
    OWN_OF_AGENTS,
    OWN_WITHIN,
    PROJECT_ROLES,
    RIGHTS,
    Action,
    Identity,
    Resource,
    Scope,
    carried,
    may,
    opens_no_more,
    roles_that_may,
    visible_ids,
    visible_projects,
)
from dure.model.reason import Reason, ReasonKind
from dure.model.tenancy import Credential, Grant, Role, site_bound

# admin, operator, officer, manager, member, auditor, agent. "role:*": only who has it everywhere, whatever it is done to.
MATRIX = """
organisation.create      admin  .          officer:* .        .       .         .
organisation.read        admin  operator   officer   manager  member  auditor   .
project.create           admin  .          officer:* .        .       .         .
project.read             admin  operator   officer   manager  member  auditor   .
project.manage_members   admin  .          .         manager  .       .         .
actor.create             admin  .          .         manager  .       .         .
actor.read               admin  .          .         manager  .       auditor   .
actor.erase              admin  .          .         .        .       .         .
token.create             admin  .          .         manager  .       .         .
token.revoke             admin  .          .         manager  .       .         .
programme.create         admin  .          officer:* .        .       .         .
programme.read           admin  .          officer   .        .       auditor   .
programme.fund           admin  .          officer:* .        .       .         .
award.create             admin  .          officer   .        .       .         .
award.read               admin  .          officer   manager  member  auditor   .
award.withdraw           admin  .          officer   .        .       .         .
quote.create             admin  .          .         manager  member  .         .
workload.submit          admin  .          .         manager  member  .         .
workload.submit_urgent   admin  .          .         manager  .       .         .
workload.read            admin  operator   .         manager  member  auditor   .
workload.cancel          admin  operator   .         manager  member  .         .
workload.why             admin  operator   .         manager  member  auditor   .
workload.log             admin  .          .         manager  member  auditor   .
bundle.upload            admin  .          .         manager  member  .         .
bundle.read              admin  .          .         manager  member  .         .
checkpoint.read          admin  .          .         manager  member  .         .
ledger.read              admin  .          officer   manager  member  auditor   .
ledger.verify            admin  operator:* officer:* .        .       auditor:* .
event.read               admin  operator   .         manager  member  auditor   .
audit.verify             admin  operator:* .         .        .       auditor:* .
policy.read              *
policy.write             admin  .          .         .        .       .         .
site.create              admin  operator:* .         .        .       .         .
site.read                *
site.inspect             admin  operator   .         .        .       auditor   .
site.operate             admin  operator   .         .        .       .         .
agent.act                .      .          .         .        .       .         agent
farm.drain               admin  operator:* .         .        .       .         .
snapshot.read            admin  operator:* .         .        .       auditor:* .
me.read                  *
"""
TABLE = {line.split()[0]: line.split()[1:] for line in MATRIX.strip().splitlines()}
MINE = Resource(kind="thing", id="x", project="uni", site="pohang", programme="call")
OTHERS = Resource(kind="thing", id="x", project="corp", site="busan", programme="other", owner="somebody")
SCOPES = {Scope.FARM: "*", Scope.PROJECT: "uni", Scope.SITE: "pohang", Scope.PROGRAMME: "call"}


def who(*roles: Role, scope: str = "", site: str = "pohang", disabled: bool = False) -> Identity:
    grants = tuple(Grant(id=r, actor="me", role=r, scope=scope or SCOPES[RIGHTS[r][0]]) for r in roles)
    return Identity(id="me", grants=grants, site=site if Role.AGENT in roles else "", disabled=disabled)


def test_the_picture_names_every_action() -> None:
    assert set(TABLE) == {a.value for a in Action}
    assert set(RIGHTS) == set(Role)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_within_its_scope_what_the_picture_says_and_nothing_else(role: Role, action: Action) -> None:
    verdict = may(who(role), action, MINE)
    assert verdict.allowed == (TABLE[action] == ["*"] or role.value in TABLE[action])
    if f"{role.value}:*" in TABLE[action]:
        assert may(who(role, scope="*"), action, MINE).allowed
    assert (verdict.reason is None) == verdict.allowed
    if not verdict.allowed:
        roles = [r for r in TABLE[action] if r != "."]
        assert verdict.reason == Reason.of(ReasonKind.NOT_ALLOWED, action=action.value, roles=roles)


@pytest.mark.parametrize("action", sorted(set(Action) - ANYONE))
@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMIN}))
def test_what_belongs_to_others_is_not_there(role: Role, action: Action) -> None:
    assert may(who(role), action, OTHERS).reason == Reason.of(ReasonKind.NOT_FOUND, what="thing", id="x")


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", Role)
def test_who_is_disabled_may_do_nothing(role: Role, action: Action) -> None:
    verdict = may(who(role, disabled=True), action, MINE)
    assert verdict.reason == Reason.of(ReasonKind.NOT_SIGNED_IN, problem="disabled")


@pytest.mark.parametrize("action", Action)
def test_without_a_grant_only_what_is_public_is_allowed(action: Action) -> None:
    assert may(who(), action, MINE).allowed == (action in ANYONE)
    assert may(who(), action, Resource(kind="farm")).allowed == (action in ANYONE)


@pytest.mark.parametrize("action", Action)
def test_what_is_ones_own_is_managed_by_oneself(action: Action) -> None:
    verdict = may(who(), action, Resource(kind="token", id="t", owner="me"))
    assert verdict.allowed == (action in ANYONE | OWN)
    if not verdict.allowed:
        assert verdict.reason is not None and verdict.reason.kind == ReasonKind.NOT_ALLOWED
    assert not may(Identity(id=""), Action.TOKEN_CREATE, Resource(kind="token")).allowed


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.OFFICER, Role.MANAGER, Role.MEMBER, Role.AUDITOR])
def test_a_role_everywhere_reaches_everything(role: Role) -> None:
    for action in RIGHTS[role][1]:
        assert may(who(role, scope="*"), action, OTHERS).allowed
        assert may(who(role, scope="*"), action, Resource(kind="farm")).allowed


def test_a_narrow_scope_does_not_reach_the_farm_or_what_has_no_owner() -> None:
    farm = ((Role.OPERATOR, Action.FARM_DRAIN), (Role.OFFICER, Action.PROGRAMME_CREATE), (Role.AUDITOR, Action.EVENT_READ))
    for role, action in farm:
        reason = may(who(role), action, Resource(kind="farm")).reason
        assert reason == Reason.of(ReasonKind.NOT_ALLOWED, action=action.value, roles=list(roles_that_may(action)))
    assert not may(who(Role.ADMIN, scope="uni"), Action.PROJECT_READ, MINE).allowed
    unscoped = Identity(id="me", grants=(Grant(id="g", actor="me", role=Role.MEMBER, scope=""),))
    assert not may(unscoped, Action.PROJECT_READ, Resource(kind="project")).allowed


def test_a_project_site_or_programme_belongs_to_itself() -> None:
    assert may(who(Role.MEMBER), Action.PROJECT_READ, Resource(kind="project", id="uni")).allowed
    assert may(who(Role.OPERATOR), Action.SITE_OPERATE, Resource(kind="site", id="pohang")).allowed
    assert may(who(Role.OFFICER), Action.AWARD_CREATE, Resource(kind="programme", id="call")).allowed
    other = may(who(Role.MEMBER), Action.PROJECT_READ, Resource(kind="project", id="corp"))
    assert other.reason == Reason.of(ReasonKind.NOT_FOUND, what="project", id="corp")


def test_sites_are_no_secret_so_a_refusal_there_says_who_may() -> None:
    reason = may(who(Role.MEMBER), Action.SITE_OPERATE, Resource(kind="site", id="pohang")).reason
    assert reason == Reason.of(ReasonKind.NOT_ALLOWED, action="site.operate", roles=["admin", "operator"])


def test_an_agent_speaks_for_its_own_site_only_whatever_its_grant_says() -> None:
    attempt = Resource(kind="attempt", id="a", site="pohang", project="uni")
    assert may(who(Role.AGENT), Action.AGENT_ACT, attempt).allowed
    assert may(who(Role.AGENT, scope="*"), Action.AGENT_ACT, attempt).allowed
    for agent in (who(Role.AGENT, scope="*", site="busan"), who(Role.AGENT, scope="pohang", site="busan"),
                  who(Role.AGENT, scope="busan", site="pohang"), who(Role.AGENT, site="")):  # fmt: skip
        assert may(agent, Action.AGENT_ACT, attempt).reason == Reason.of(ReasonKind.NOT_FOUND, what="attempt", id="a")
    assert not may(who(Role.AGENT, site=""), Action.AGENT_ACT, Resource(kind="site")).allowed


def test_an_agent_may_not_make_tokens_of_its_own() -> None:
    own = Resource(kind="token", id="t", owner="me")
    allowed = {a for a in Action if may(who(Role.AGENT), a, own).allowed}
    assert allowed == ANYONE | OWN_OF_AGENTS == ANYONE | {Action.ACTOR_READ}
    assert may(who(Role.AGENT), Action.TOKEN_CREATE, own).reason == Reason.of(
        ReasonKind.NOT_ALLOWED, action="token.create", roles=["admin", "manager"]
    )


def test_a_bounded_token_carries_the_roles_of_its_projects_and_does_not_end_its_actor() -> None:
    roles = ((Role.MANAGER, "uni"), (Role.MEMBER, "lab"), (Role.ADMIN, "*"), (Role.OFFICER, "uni"))
    grants = [Grant(id=f"{r}:{s}", actor="me", role=r, scope=s) for r, s in roles]
    assert carried(grants, ()) == tuple(grants)
    assert [g.id for g in carried(grants, ("uni",))] == ["manager:uni"]
    bounded = Identity(id="me", grants=carried(grants, ("uni",)), within=("uni",))
    own = Resource(kind="actor", id="me", owner="me")
    assert {a for a in Action if may(bounded, a, own).allowed} == ANYONE | OWN_WITHIN
    assert not may(bounded, Action.ACTOR_ERASE, own).allowed


def test_a_token_bound_to_a_site_speaks_for_it_and_opens_no_project_of_that_name() -> None:
    roles = ((Role.AGENT, "uni"), (Role.AGENT, "lab"), (Role.MANAGER, "uni"), (Role.ADMIN, "*"))
    grants = [Grant(id=f"{r}:{s}", actor="me", role=r, scope=s) for r, s in roles]
    assert [g.id for g in carried(grants, (site_bound("uni"),))] == ["agent:uni"]
    assert [g.id for g in carried(grants, ("uni",))] == ["manager:uni"]
    agent = Identity(id="me", grants=carried(grants, (site_bound("uni"),)), site="uni", within=(site_bound("uni"),))
    assert agent.own() == OWN_OF_AGENTS, "it lies where tenants' code runs, and begets no tokens"


@pytest.mark.parametrize(("within", "seen"), [((), False), (("a",), True), (("a", "b"), True), (("a", "c"), False)])
def test_a_bounded_token_sees_only_tokens_that_open_no_more_than_it(within: tuple[str, ...], seen: bool) -> None:
    token = Credential(id="t", actor="alice", digest="", within=within)
    assert opens_no_more(token, ("a", "b")) is seen


def test_several_grants_add_up() -> None:
    both = Identity(id="me", grants=(*who(Role.MEMBER).grants, *who(Role.OPERATOR).grants))
    assert may(both, Action.WORKLOAD_LOG, MINE).allowed and may(both, Action.SITE_OPERATE, MINE).allowed


def test_lists_show_the_projects_in_which_one_may_look() -> None:
    two = Identity(id="me", grants=tuple(Grant(id=p, actor="me", role=Role.MEMBER, scope=p) for p in ("uni", "lab")))
    assert visible_projects(two) == {"uni", "lab"}
    assert visible_projects(two, Action.PROJECT_MANAGE_MEMBERS) == frozenset()
    assert visible_projects(who(Role.OPERATOR)) == frozenset()
    assert visible_projects(who(Role.OPERATOR, scope="*")) is None
    assert visible_projects(who(Role.OFFICER, scope="*"), Action.WORKLOAD_READ) == frozenset()
    assert visible_projects(who(Role.ADMIN)) is None
    assert visible_projects(who(Role.AGENT, scope="*"), Action.AGENT_ACT) == frozenset()
    assert visible_projects(who(Role.ADMIN, disabled=True)) == frozenset()


def test_lists_show_the_sites_and_programmes_in_which_one_may_look() -> None:
    assert visible_ids(who(Role.OFFICER), Action.PROGRAMME_READ, Scope.PROGRAMME) == {"call"}
    assert visible_ids(who(Role.OFFICER), Action.PROGRAMME_READ, Scope.PROJECT) == frozenset()
    assert visible_ids(who(Role.OPERATOR), Action.SITE_OPERATE, Scope.SITE) == {"pohang"}
    assert visible_ids(who(Role.OPERATOR, scope="*"), Action.SITE_OPERATE, Scope.SITE) is None


def test_managers_hand_out_only_roles_of_their_project() -> None:
    assert all(RIGHTS[role][0] == Scope.PROJECT for role in PROJECT_ROLES)
    assert {Role.MANAGER, Role.MEMBER} == PROJECT_ROLES
