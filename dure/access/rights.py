"""The actions of the plane and the one table of rights. What is not in the table is denied."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from dure.model.tenancy import Role


class Action(StrEnum):
    """Everything that a request can ask for, as "noun.verb"."""

    ORGANISATION_CREATE = "organisation.create"
    ORGANISATION_READ = "organisation.read"
    PROJECT_CREATE = "project.create"
    PROJECT_READ = "project.read"
    PROJECT_MANAGE_MEMBERS = "project.manage_members"
    ACTOR_CREATE = "actor.create"
    ACTOR_READ = "actor.read"
    ACTOR_ERASE = "actor.erase"
    TOKEN_CREATE = "token.create"
    TOKEN_REVOKE = "token.revoke"
    PROGRAMME_CREATE = "programme.create"
    PROGRAMME_READ = "programme.read"
    PROGRAMME_FUND = "programme.fund"
    AWARD_CREATE = "award.create"
    AWARD_READ = "award.read"
    AWARD_WITHDRAW = "award.withdraw"
    QUOTE_CREATE = "quote.create"
    WORKLOAD_SUBMIT = "workload.submit"
    WORKLOAD_SUBMIT_URGENT = "workload.submit_urgent"  # in a priority class that preempts others
    WORKLOAD_READ = "workload.read"
    WORKLOAD_CANCEL = "workload.cancel"
    WORKLOAD_WHY = "workload.why"
    WORKLOAD_LOG = "workload.log"
    BUNDLE_UPLOAD = "bundle.upload"
    BUNDLE_READ = "bundle.read"  # have an archive of the project run
    CHECKPOINT_READ = "checkpoint.read"  # have work go on from what other work of the project saved
    LEDGER_READ = "ledger.read"
    LEDGER_VERIFY = "ledger.verify"
    EVENT_READ = "event.read"
    AUDIT_VERIFY = "audit.verify"
    POLICY_READ = "policy.read"
    POLICY_WRITE = "policy.write"
    SITE_CREATE = "site.create"
    SITE_READ = "site.read"
    SITE_INSPECT = "site.inspect"  # what its backend says of itself: versions, addresses
    SITE_OPERATE = "site.operate"
    AGENT_ACT = "agent.act"
    FARM_DRAIN = "farm.drain"
    SNAPSHOT_READ = "snapshot.read"  # all that a plan is made from: the work and the money of everybody, by their ids
    ME_READ = "me.read"


class Scope(StrEnum):
    """Which id of a resource a role's scope is compared with. A scope of "*" reaches everything, except for agents."""

    FARM = "farm"  # nothing but "*" counts
    PROJECT = "project"
    SITE = "site"
    PROGRAMME = "programme"


A = Action

# What anybody may do who is signed in: the rules and the sites are public to those who use them.
ANYONE: frozenset[Action] = frozenset({A.ME_READ, A.POLICY_READ, A.SITE_READ})
# What an actor may do with what is its own (`Resource.owner`), whatever its roles.
OWN: frozenset[Action] = frozenset({A.ACTOR_READ, A.ACTOR_ERASE, A.TOKEN_CREATE, A.TOKEN_REVOKE})
# A site's program does less with itself: its token lies on a machine where tenants' code runs, and must not beget others.
OWN_OF_AGENTS: frozenset[Action] = frozenset({A.ACTOR_READ})
# Nor does a token that somebody else made and that is held within some projects: it ends nobody's life on the farm.
OWN_WITHIN: frozenset[Action] = frozenset({A.ACTOR_READ, A.TOKEN_CREATE, A.TOKEN_REVOKE})
# What only a role at "*" may do, whatever it is done to: it draws on, or speaks of, what belongs to the farm as a whole.
FARM_WIDE: frozenset[Action] = frozenset({
    A.ORGANISATION_CREATE, A.PROJECT_CREATE, A.PROGRAMME_CREATE, A.PROGRAMME_FUND, A.LEDGER_VERIFY, A.AUDIT_VERIFY,
    A.SITE_CREATE, A.FARM_DRAIN, A.SNAPSHOT_READ,
})  # fmt: skip

_SEE_WORK = frozenset({A.PROJECT_READ, A.WORKLOAD_READ, A.WORKLOAD_WHY, A.LEDGER_READ, A.EVENT_READ, A.AWARD_READ})
_READ_ALL = _SEE_WORK | {A.ORGANISATION_READ, A.PROGRAMME_READ, A.ACTOR_READ, A.POLICY_READ, A.SITE_READ}
_MEMBER = _SEE_WORK | {
    A.ORGANISATION_READ, A.QUOTE_CREATE, A.WORKLOAD_SUBMIT, A.WORKLOAD_CANCEL, A.WORKLOAD_LOG, A.BUNDLE_UPLOAD,
    A.BUNDLE_READ, A.CHECKPOINT_READ,
}  # fmt: skip
_MANAGER = _MEMBER | {
    A.PROJECT_MANAGE_MEMBERS, A.ACTOR_CREATE, A.ACTOR_READ, A.TOKEN_CREATE, A.TOKEN_REVOKE, A.WORKLOAD_SUBMIT_URGENT,
}  # fmt: skip
_OFFICER = frozenset({
    A.ORGANISATION_CREATE, A.ORGANISATION_READ, A.PROJECT_CREATE, A.PROJECT_READ, A.PROGRAMME_CREATE, A.PROGRAMME_READ,
    A.PROGRAMME_FUND, A.AWARD_CREATE, A.AWARD_READ, A.AWARD_WITHDRAW, A.LEDGER_READ, A.LEDGER_VERIFY,
})  # fmt: skip
# An operator sees what runs and why, and may end it, but not what it prints: logs are the tenant's. Nor does an operator act
# as a tenant: to submit is to spend a project's money and to run its code.
_OPERATOR = frozenset({
    A.WORKLOAD_READ, A.WORKLOAD_WHY, A.WORKLOAD_CANCEL, A.PROJECT_READ, A.ORGANISATION_READ, A.EVENT_READ, A.LEDGER_VERIFY,
    A.AUDIT_VERIFY, A.SITE_CREATE, A.SITE_INSPECT, A.SITE_OPERATE, A.FARM_DRAIN, A.SNAPSHOT_READ,
})  # fmt: skip

# The table: role → what its scope names, and what it may do within. Only a site's own program speaks for the site, so that the
# fencing of agents rests on one of them: not even an administrator has `agent.act`.
RIGHTS: Mapping[Role, tuple[Scope, frozenset[Action]]] = MappingProxyType({
    Role.ADMIN: (Scope.FARM, frozenset(Action) - {A.AGENT_ACT}),
    Role.OPERATOR: (Scope.SITE, _OPERATOR),
    Role.OFFICER: (Scope.PROGRAMME, _OFFICER),
    Role.MANAGER: (Scope.PROJECT, _MANAGER),
    Role.MEMBER: (Scope.PROJECT, _MEMBER),
    Role.AUDITOR: (Scope.PROJECT, _READ_ALL | {A.WORKLOAD_LOG, A.LEDGER_VERIFY, A.AUDIT_VERIFY, A.SITE_INSPECT, A.SNAPSHOT_READ}),
    Role.AGENT: (Scope.SITE, frozenset({A.AGENT_ACT})),
})  # fmt: skip

# Roles that who manages a project's members may give and take, within that project.
PROJECT_ROLES: frozenset[Role] = frozenset({Role.MANAGER, Role.MEMBER})
