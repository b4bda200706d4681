"""Who may do what: `may(identity, action, resource)` → Verdict, with a Reason when not. Pure; deny by default.

Here live the actions that the API knows, one table of which role may do them within which scope, and the one rule of
what a refusal reveals. Never here: credentials, sessions, HTTP, a look into the store, or a decision about capacity,
money or priority. What the decision needs (grants, and whose the resource is) is given as values.
"""

from dure.access.decide import (
    Identity,
    Resource,
    Verdict,
    carried,
    may,
    opens_no_more,
    roles_that_may,
    visible_ids,
    visible_projects,
)
from dure.access.rights import ANYONE, FARM_WIDE, OWN, OWN_OF_AGENTS, OWN_WITHIN, PROJECT_ROLES, RIGHTS, Action, Scope

__all__ = [
    "ANYONE",
    "FARM_WIDE",
    "OWN",
    "OWN_OF_AGENTS",
    "OWN_WITHIN",
    "PROJECT_ROLES",
    "RIGHTS",
    "Action",
    "Identity",
    "Resource",
    "Scope",
    "Verdict",
    "carried",
    "may",
    "opens_no_more",
    "roles_that_may",
    "visible_ids",
    "visible_projects",
]
