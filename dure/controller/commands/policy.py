"""The rules in force change by a new version; what was decided under an old one keeps its number."""

from __future__ import annotations

from dataclasses import replace

from dure.controller.commands.quotas import quota_fault
from dure.controller.deed import Deed, record, record_digest, touch
from dure.controller.rules import bad, policy_of
from dure.model.accelerators import SPEED_MILLI_MAX
from dure.model.money import CURRENCIES
from dure.model.policy import NO_LIMIT, PRICE_PERMILLE_MAX, WEIGHT_MAX, Policy
from dure.model.reason import Reason, ReasonKind
from dure.ports import Tx

PRICE_NANO_MAX = 10**18


def write_policy(tx: Tx, deed: Deed, *, policy: Policy, based_on: int = 0, free: bool = False) -> Policy | Reason:
    """Put a policy in force as the next version.

    based_on: the version that its maker saw in force, 0 not to tell; free: nothing is to cost anything, which the event tells."""
    fault = policy_fault(policy) or quota_fault(tx, policy) or _free_fault(policy, free)
    if fault is not None:
        return fault
    before = policy_of(tx).version
    if based_on not in (0, before):
        return Reason.of(ReasonKind.POLICY_CHANGED, based_on=based_on, version=before)
    version = before + 1
    written = replace(policy, id=f"policy:{version}", version=version, created_ms=deed.now_ms, written_by=deed.actor)
    tx.insert(written)
    record(
        tx,
        deed,
        "policy.written",
        written.id,
        data={"version": version, "digest": record_digest(written), **({"free": True} if free else {})},
        touched=touch(written),
    )
    return written


def _free_fault(policy: Policy, free: bool) -> Reason | None:
    """A slip must not make a farm free: with no price there is no hold, and nobody needs an award."""
    if policy.free and not free:
        return Reason.of(ReasonKind.POLICY_FREE)
    return bad("free", "contradiction", needs="prices: []") if free and not policy.free else None


def _outside(field: str, value: int, least: int, most: int) -> Reason:
    """A number that is beyond one of its bounds, and which."""
    return bad(field, "too_small", limit=least) if value < least else bad(field, "too_large", limit=most)


def policy_fault(policy: Policy) -> Reason | None:
    """The first thing that contradicts itself, or None."""
    names = [c.name for c in policy.classes]
    if not names or len(set(names)) != len(names):
        return bad("classes", "empty" if not names else "duplicate")
    if "normal" not in names:
        return bad("classes", "contradiction", needs="normal")
    for klass in policy.classes:
        if not 1 <= klass.price_permille <= PRICE_PERMILLE_MAX:
            return _outside("classes.price_permille", klass.price_permille, 1, PRICE_PERMILLE_MAX)
    if policy.limit_ms_default > policy.limit_ms_max:
        return bad("limit_ms_default", "too_large", limit=policy.limit_ms_max)
    keys = [(p.resource, p.currency) for p in policy.prices]
    if len(set(keys)) != len(keys):
        return bad("prices", "duplicate")
    for price in policy.prices:
        if price.currency not in CURRENCIES:
            return bad("prices.currency", "unknown_value", allowed=", ".join(CURRENCIES))
        if not 0 <= price.nano <= PRICE_NANO_MAX:
            return _outside("prices.nano", price.nano, 0, PRICE_NANO_MAX)
    tastes = [p.taste for p in policy.preferences]
    if len(set(tastes)) != len(tastes):
        return bad("preferences.taste", "duplicate")
    for preference in policy.preferences:
        if not 0 <= preference.weight <= WEIGHT_MAX:
            return _outside("preferences.weight", preference.weight, 0, WEIGHT_MAX)
        if preference.most < NO_LIMIT:
            return bad("preferences.most", "too_small", limit=NO_LIMIT)
    types = [s.accelerator for s in policy.speeds]
    if len(set(types)) != len(types):
        return bad("speeds.accelerator", "duplicate")
    for speed in policy.speeds:
        if not 1 <= speed.milli <= SPEED_MILLI_MAX:
            return _outside("speeds.milli", speed.milli, 1, SPEED_MILLI_MAX)
    for name, least in _LEAST.items():
        if getattr(policy, name) < least:
            return bad(name, "too_small", limit=least)
    return bad("preemptible_permille", "too_large", limit=1000) if policy.preemptible_permille > 1000 else None


_LEAST = {
    "limit_ms_default": 1000,
    "limit_ms_max": 1000,
    "min_run_ms": 0,
    "half_life_ms": 60_000,
    "backfill_depth": 0,
    "reservations_max": 0,
    "preemptible_permille": 0,
    "rejections_max": 1,
    "retry_pause_ms": 0,
    "array_max": 1,
    "workers_max": 1,
    "retries_max": 0,
    "waiting_max": 1,
    "site_silent_ms": 1000,
}
