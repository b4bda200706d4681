"""What a workload may cost, from the ledger's exact rating: the same figures for quote, snapshot and hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dure.ledger import UNPAYABLE, rate_all
from dure.model.accelerators import exchange, exchanged_ms
from dure.model.money import CURRENCIES, Currency
from dure.model.policy import Policy
from dure.model.workload import LIMIT_MS_MIN, WorkloadSpec
from dure.scheduler.funds import part_of

KRW = CURRENCIES.index(Currency.KRW)


def occupy_ms(spec: WorkloadSpec) -> int:
    """The longest that an attempt may hold its devices: its limit, and the grace between polite signal and kill. On the first of
    its types, where they differ in speed."""
    return spec.limit_ms + spec.grace_ms


def limit_on(policy: Policy, spec: WorkloadSpec, accelerator: str) -> int:
    """Wall time on a type. The limit is for the first that a job names; on another it is as long as the same work takes there, by
    the job's own speeds, but no longer than the policy lets anybody ask for, else by those of the policy. Where neither has
    measured both, the same."""
    named, speeds = spec.demand.accelerators, spec.demand.speeds
    if len(named) < 2 or accelerator == named[0]:
        return spec.limit_ms
    own = next((s.milli for s in speeds if s.accelerator == accelerator), 1000)
    many, one = (1000, own) if speeds else exchange(policy.speeds, named[0], accelerator)
    least_ms = policy.min_run_ms if policy.class_of(spec.priority).preempts else LIMIT_MS_MIN
    limit_ms = exchanged_ms(spec.limit_ms, many, one, least_ms)
    return min(limit_ms, max(spec.limit_ms, policy.limit_ms_max)) if speeds else limit_ms


def occupied_ms(policy: Policy, spec: WorkloadSpec, accelerator: str) -> int:
    """As `occupy_ms`, on a type, where it is another time there; 0: it is the same."""
    limit_ms = limit_on(policy, spec, accelerator)
    return 0 if limit_ms == spec.limit_ms else limit_ms + spec.grace_ms


def shortest_ms(policy: Policy, spec: WorkloadSpec) -> int:
    """As `occupy_ms`, on the type on which that is shortest."""
    return min((limit_on(policy, spec, a) for a in spec.demand.accelerators), default=spec.limit_ms) + spec.grace_ms


def hold_amounts(policy: Policy, spec: WorkloadSpec, accelerator: str) -> tuple[int, ...]:
    """What has to be held to start on this accelerator with all workers, per currency of CURRENCIES; -1 where it cannot be paid
    so."""
    amounts = amounts_for(policy, spec, accelerator, spec.workers, limit_on(policy, spec, accelerator))
    # what no award can hold is told as one amount, whatever it is: nothing follows from it for fewer workers
    return tuple(-1 if amount == UNPAYABLE else amount for amount in amounts) if spec.is_elastic else amounts


def amounts_for(policy: Policy, spec: WorkloadSpec, accelerator: str, workers: int, limit_ms: int) -> tuple[int, ...]:
    """The same with so many workers, for so long."""
    demand = spec.demand
    return rate_all(
        policy,
        accelerator=accelerator,
        workers=workers,
        cores_milli=demand.cores_milli,
        memory_mib=demand.memory_mib,
        devices=demand.devices,
        share_milli=demand.share_milli,
        limit_ms=limit_ms,
        grace_ms=spec.grace_ms,
        preemptible=spec.preemptible,
        priority=spec.priority,
    )


def fewest_amounts(policy: Policy, spec: WorkloadSpec, accelerator: str) -> tuple[int, ...]:
    """What has to be held at least: `hold_amounts` for the fewest workers with which it starts."""
    amounts = hold_amounts(policy, spec, accelerator)
    return tuple(part_of(amount, spec.fewest, spec.workers) if amount > 0 else amount for amount in amounts)


def accepted(spec: WorkloadSpec, types: Sequence[str]) -> tuple[str, ...]:
    """Accelerator types on which it may run, best first: those it names, else any that there are; "" without devices."""
    if not spec.demand.wants_devices:
        return ("",)
    return spec.demand.accelerators or tuple(types) or ("any",)


def most(holds: Iterable[tuple[int, ...]]) -> dict[str, int]:
    """currency → the most of these amounts, one for each accelerator; -1 where it cannot be paid so."""
    rows = tuple(zip(*holds, strict=True)) or tuple((-1,) for _ in CURRENCIES)
    return {c.value: max(row) for c, row in zip(CURRENCIES, rows, strict=True)}


def quoted_won(policy: Policy, spec: WorkloadSpec) -> int:
    """The most that one attempt may cost on any of the types it names, in won; -1 when it has no price in won."""
    types = accepted(spec, [p.resource.removeprefix("device:") for p in policy.prices if p.resource.startswith("device:")])
    return max(hold_amounts(policy, spec, accelerator)[KRW] for accelerator in types)
