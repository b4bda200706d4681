"""What a workload may cost, from the ledger's exact rating: the same figures for quote, snapshot and hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dure.ledger import UNPAYABLE, rate_all
from dure.model.money import CURRENCIES, Currency
from dure.model.policy import Policy
from dure.model.workload import WorkloadSpec
from dure.scheduler.funds import part_of

KRW = CURRENCIES.index(Currency.KRW)


def occupy_ms(spec: WorkloadSpec) -> int:
    """The longest that an attempt may hold its devices: its limit, and the grace between polite signal and kill."""
    return spec.limit_ms + spec.grace_ms


def hold_amounts(policy: Policy, spec: WorkloadSpec, accelerator: str) -> tuple[int, ...]:
    """What has to be held to start on this accelerator with all workers, per currency of CURRENCIES; -1 where it cannot be paid
    so."""
    demand = spec.demand
    amounts = rate_all(
        policy,
        accelerator=accelerator,
        workers=spec.workers,
        cores_milli=demand.cores_milli,
        memory_mib=demand.memory_mib,
        devices=demand.devices,
        share_milli=demand.share_milli,
        limit_ms=spec.limit_ms,
        grace_ms=spec.grace_ms,
        preemptible=spec.preemptible,
        priority=spec.priority,
    )
    # what no award can hold is told as one amount, whatever it is: nothing follows from it for fewer workers
    return tuple(-1 if amount == UNPAYABLE else amount for amount in amounts) if spec.is_elastic else amounts


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
