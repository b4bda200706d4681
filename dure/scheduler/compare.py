"""Would another policy have done otherwise? The same snapshot under other rules, and what two plans of it say differently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dure.model.policy import Policy, PriorityClass
from dure.scheduler.change import NUMBERS, Rater
from dure.scheduler.plan import Plan
from dure.scheduler.quotas import quotas_of
from dure.scheduler.snapshot import I64, Attempts, Snapshot, freeze

# What a snapshot has already been made with, so that another value changes no plan of it: how past use has decayed, which sites
# were still taken to answer, the bounds on what may be submitted, and how long a limit lasts on each type.
BAKED_IN = (
    "half_life_ms", "site_silent_ms", "limit_ms_default", "limit_ms_max", "rejections_max", "retry_pause_ms", "array_max",
    "workers_max", "retries_max", "waiting_max", "speeds",
)  # fmt: skip

RaterOf = Callable[[Policy, str], Rater]  # of a policy, and the name of a class


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a plan of a snapshot decides, in numbers. starts: at once; claims: behind victims; promised: of those that wait."""

    starts: int
    claims: int
    waits: int
    promised: int
    victims: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Workloads by what the two plans say of them, in the order in which they wait. elsewhere: both start it, not at one site."""

    both: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    elsewhere: tuple[str, ...]


def class_of(policy: Policy, value: int, preempts: bool) -> PriorityClass | None:
    """The class of a row, which knows its value alone: the first with that value, by preference with that right to preempt."""
    found = [c for c in policy.classes if c.value == value]
    return next((c for c in found if c.preempts == preempts), found[0] if found else None)


def under_policy(snapshot: Snapshot, policy: Policy, rater: RaterOf) -> Snapshot:
    """The snapshot under other rules: classes by their name have their new value, what is held is rated anew where a price or
    factor differs. A class that the other rules no longer have counts as the one that they list first, as it does live."""
    p, old = snapshot.pending, snapshot.policy
    priority, preempts = p.priority.copy(), p.preempts.copy()
    holds = snapshot.alternatives.hold.copy()
    names = (*snapshot.accelerators, "")
    rated = rated_anew(old, policy)
    for row in range(len(p.ids)):
        own = class_of(old, int(p.priority[row]), bool(p.preempts[row]))
        if own is None:  # of rules older still: what it had it keeps
            continue
        new = policy.class_of(own.name)
        priority[row], preempts[row] = new.value, new.preempts
        if rated:
            holds[p.alt_ptr[row] : p.alt_ptr[row + 1]] = _holds(snapshot, row, rater(policy, new.name), names)
    attempts = replace(snapshot.attempts, **_classed(snapshot.attempts, old, policy))
    alternatives = replace(snapshot.alternatives, hold=holds)
    pending = replace(p, priority=priority, preempts=preempts)
    quotas = quotas_of(policy.quotas, snapshot.shares, snapshot.projects, snapshot.accelerators, snapshot.quotas.used)
    changed = replace(snapshot, policy=policy, pending=pending, alternatives=alternatives, attempts=attempts, quotas=quotas)
    return freeze(changed)


def rated_anew(old: Policy, new: Policy) -> bool:
    """Whether what has to be held may differ."""
    before, after = ({c.name: c.price_permille for c in p.classes} for p in (old, new))
    return old.prices != new.prices or old.preemptible_permille != new.preemptible_permille or before != after


def without_effect(old: Policy, new: Policy) -> tuple[str, ...]:
    """Fields of the new rules that differ and yet change nothing about a plan of a snapshot that was taken under the old ones."""
    return tuple(name for name in BAKED_IN if getattr(old, name) != getattr(new, name))


def tally(plan: Plan) -> Tally:
    behind = int(np.count_nonzero(np.diff(plan.start_victim_ptr)))
    started = len(plan.start_pending)
    return Tally(
        starts=started - behind,
        claims=behind,
        waits=len(plan.wait_code) - started,
        promised=len(plan.reserve_pending),
        victims=len(plan.victim_attempt),
    )


def difference(first: Snapshot, first_plan: Plan, second: Snapshot, second_plan: Plan) -> Difference:
    """What two plans of one farm start, in the order of the first; the second may have been made under suppositions."""
    a, b = _started(first, first_plan), _started(second, second_plan)
    return Difference(
        both=tuple(id for id in a if id in b),
        only_first=tuple(id for id in a if id not in b),
        only_second=tuple(id for id in b if id not in a),
        elsewhere=tuple(id for id in a if id in b and a[id] != b[id]),
    )


def _started(s: Snapshot, plan: Plan) -> dict[str, str]:
    """Workload to site, in the order in which the workloads wait."""
    sites = dict(zip(plan.start_pending.tolist(), plan.start_site.tolist(), strict=True))
    return {s.pending.ids[row]: s.sites.ids[sites[row]] for row in sorted(sites)}


def _holds(s: Snapshot, row: int, rate: Rater, names: tuple[str, ...]) -> I64:
    workers, cores_milli, memory_mib, devices, share_milli, limit_ms = (int(getattr(s.pending, name)[row]) for name in NUMBERS)
    demand, preemptible = (workers, cores_milli, memory_mib, devices, share_milli), bool(s.pending.preemptible[row])
    own = slice(int(s.pending.alt_ptr[row]), int(s.pending.alt_ptr[row + 1]))
    ways = zip(s.alternatives.accelerator[own].tolist(), s.alternatives.limit_ms[own].tolist(), strict=True)
    return np.array([rate(names[a], *demand, limit or limit_ms, preemptible, "") for a, limit in ways], np.int64)


def _classed(attempts: Attempts, old: Policy, new: Policy) -> dict[str, Any]:
    """What running work has of its class under the new rules; which class that is is known by its old value alone."""
    values = attempts.priority
    priority, yields = values.copy(), attempts.yields.copy()
    for value in np.unique(values).tolist():
        own = class_of(old, value, preempts=False)
        if own is not None:
            given = new.class_of(own.name)
            priority[values == value], yields[values == value] = given.value, given.yields
    return {"priority": priority, "yields": yields}
