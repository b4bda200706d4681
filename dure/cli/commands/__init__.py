"""The commands, by what is typed. One table: the application, its help and its tests are made of it.

A name of two words is a verb of a noun (`dure site list`). One that begins with _ is for Dure itself and is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

# What is typed → module of this package, and function in it.
COMMANDS: Mapping[str, str] = {
    "up": "farm:up",
    "down": "stopping:down",
    "status": "sites:status",
    "demo": "demo:demo",
    "quickstart": "quickstart:quickstart",
    "submit": "jobs:submit",
    "quote": "jobs:quote",
    "jobs": "looking:jobs",
    "show": "looking:show",
    "why": "looking:why",
    "logs": "looking:logs",
    "cancel": "jobs:cancel",
    "resubmit": "jobs:resubmit",
    "ledger": "money:ledger",
    "award create": "money:award_create",
    "award list": "money:award_list",
    "award show": "money:award_show",
    "award withdraw": "money:award_withdraw",
    "programme create": "money:programme_create",
    "programme list": "money:programme_list",
    "programme show": "money:programme_show",
    "programme fund": "money:programme_fund",
    "organisation create": "people:organisation_create",
    "organisation list": "people:organisation_list",
    "project create": "people:project_create",
    "project list": "people:project_list",
    "project show": "people:project_show",
    "project add": "people:project_add",
    "project remove": "people:project_remove",
    "actor create": "people:actor_create",
    "actor list": "people:actor_list",
    "actor show": "people:actor_show",
    "actor grant": "people:actor_grant",
    "actor revoke": "people:actor_revoke",
    "actor disable": "people:actor_disable",
    "actor erase": "people:actor_erase",
    "token create": "people:token_create",
    "token list": "people:token_list",
    "token revoke": "people:token_revoke",
    "site list": "sites:site_list",
    "site show": "sites:site_show",
    "site add": "sites:site_add",
    "site drain": "sites:site_drain",
    "site undrain": "sites:site_undrain",
    "site power": "envelopes:site_power",
    "site maintenance": "envelopes:site_maintenance",
    "site traits": "traits:site_traits",
    "node list": "sites:node_list",
    "node drain": "sites:node_drain",
    "node undrain": "sites:node_undrain",
    "farm drain": "sites:farm_drain",
    "farm undrain": "sites:farm_undrain",
    "attempt stop": "sites:attempt_stop",
    "attempt attest-lost": "sites:attempt_attest",
    "quarantine list": "sites:quarantine_list",
    "quarantine dismiss": "sites:quarantine_dismiss",
    "quarantine stop": "sites:quarantine_stop",
    "audit verify": "system:audit_verify",
    "audit log": "system:audit_log",
    "policy show": "policy:policy_show",
    "policy list": "policy:policy_list",
    "policy set": "policy:policy_set",
    "quota": "quotas:quota",
    "snapshot save": "snapshots:snapshot_save",
    "snapshot plan": "snapshots:snapshot_plan",
    "simulate": "simulate:simulate",
    "backup": "data:backup",
    "restore": "data:restore",
    "migrate": "data:migrate",
    "settings": "system:settings",
    "openapi": "data:openapi",
    "version": "system:version",
    "_agent": "agent:agent",
}

# What tenants do all day: these commands speak with the token that `dure quickstart` kept, where there is one.
TENANTS = frozenset({"submit", "quote", "jobs", "show", "why", "logs", "cancel", "resubmit", "ledger"})


def load_command(name: str) -> Callable[..., Any]:
    """The function behind a command. Modules are loaded as they are needed: `dure jobs` has no use for a web server."""
    module, _, function = COMMANDS[name].partition(":")
    command: Callable[..., Any] = getattr(import_module(f"{__name__}.{module}"), function)
    return command


def wanted(words: list[str]) -> list[str]:
    """The commands that these words may mean: those with the first word's name, or all (for help, and for a slip)."""
    first = next((word for word in words if not word.startswith("-")), "")
    return [name for name in COMMANDS if name.split(" ")[0] == first] or list(COMMANDS)
