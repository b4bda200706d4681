"""Whether the quotas of a policy say something about what there is: a slip in a name would leave somebody without a limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dure.controller.rules import bad, known_accelerators
from dure.model.policy import NO_LIMIT, QUOTA_MILLI_MAX, QUOTAS_MAX, WHOLE_FARM, Policy, Quota
from dure.model.reason import Reason
from dure.model.tenancy import Organisation, Project
from dure.ports import Reader

_TENANTS = {"project": Project, "organisation": Organisation}
_DEVICE = "device:"


def quota_fault(reader: Reader, policy: Policy) -> Reason | None:
    """The first quota that is wrong, or None. What a quota names has to be there when it is written; if it goes later, the quota
    counts nowhere."""
    if len(policy.quotas) > QUOTAS_MAX:
        return bad("quotas", "too_many", limit=QUOTAS_MAX)
    keys = [f"{q.of} {q.resource}" for q in policy.quotas]
    if len(set(keys)) < len(keys):
        return bad("quotas", "duplicate", value=next(k for k, n in Counter(keys).items() if n > 1))
    amounts = next((fault for quota in policy.quotas if (fault := _amounts_fault(quota))), None)
    return amounts or _resource_fault(reader, policy) or _tenant_fault(reader, {q.of for q in policy.quotas})


def _amounts_fault(quota: Quota) -> Reason | None:
    limits = (("borrow_max_milli", quota.borrow_max_milli), ("lend_max_milli", quota.lend_max_milli))
    for name, amount, least in (("nominal_milli", quota.nominal_milli, 0), *((n, a, NO_LIMIT) for n, a in limits)):
        if amount < least:
            return bad(f"quotas.{name}", "too_small", limit=least)
        if amount > QUOTA_MILLI_MAX:
            return bad(f"quotas.{name}", "too_large", limit=QUOTA_MILLI_MAX)
    given = next((name for name, amount in limits if amount != NO_LIMIT), "")
    return bad(f"quotas.{given}", "no_relatives") if given and quota.of == WHOLE_FARM else None


def _resource_fault(reader: Reader, policy: Policy) -> Reason | None:
    """A type counts as known when the catalogue, a site or a price of this policy has it."""
    if not policy.quotas:
        return None
    priced = {p.resource for p in policy.prices if p.resource.startswith(_DEVICE)}
    allowed = {"core", f"{_DEVICE}*", *priced, *(_DEVICE + type for type in known_accelerators(reader))}
    wrong = next((q.resource for q in policy.quotas if q.resource not in allowed), "")
    return bad("quotas.resource", "unknown_value", value=wrong, allowed=sorted(allowed)) if wrong else None


def _tenant_fault(reader: Reader, named: Iterable[str]) -> Reason | None:
    named = sorted(set(named) - {WHOLE_FARM})
    there = {f"{word}:{id}" for word, kind in _TENANTS.items() for id in reader.get_many(kind, _ids(named, word))}
    wrong = next((of for of in named if of not in there), "")
    if not wrong:
        return None
    if not any(wrong.startswith(f"{word}:") for word in _TENANTS):
        return bad("quotas.of", "bad_format", detail="form_quota_of", example="project:steel-faults")
    return bad("quotas.of", "no_such_tenant", tenant=wrong)


def _ids(named: Iterable[str], word: str) -> list[str]:
    return [of.removeprefix(f"{word}:") for of in named if of.startswith(f"{word}:")]
