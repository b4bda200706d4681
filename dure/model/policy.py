"""The rules in force, versioned as one document: order, limits, prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityClass:
    name: str
    value: int  # higher goes first
    preempts: bool = False  # may take the place of preemptible work of a lower value


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Nano-units of `currency` for one unit of `resource` during one second."""

    resource: str  # "core", "memory_gib", or "device:TYPE"; "device:*" is the fallback for unnamed types
    nano: int
    currency: str = "KRW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One version of the rules. Stored under id "policy:VERSION"; the highest version is in force."""

    id: str = "policy:1"
    classes: tuple[PriorityClass, ...] = (
        PriorityClass(name="background", value=0),
        PriorityClass(name="low", value=100),
        PriorityClass(name="normal", value=200),
        PriorityClass(name="high", value=300),
        PriorityClass(name="urgent", value=400, preempts=True),
    )
    prices: tuple[Price, ...] = ()
    limit_ms_default: int = HOUR_MS  # what a job gets that names no limit
    limit_ms_max: int = 14 * 24 * HOUR_MS
    min_run_ms: int = 60_000  # nobody is preempted before having run this long
    half_life_ms: int = 7 * 24 * HOUR_MS  # of past use in fair share, as Slurm's PriorityDecayHalfLife
    backfill_depth: int = 1000  # waiting workloads looked at behind the first reservation, per plan
    reservations_max: int = 16  # blocked workloads that get a promised start, per plan
    preemptible_permille: int = 800  # price of work that may be preempted, in thousandths
    rejections_max: int = 3  # launches in a row that a backend may refuse before the workload fails
    retry_pause_ms: int = 5_000  # doubled with each rejection in a row
    array_max: int = 10_000
    workers_max: int = 16_384
    retries_max: int = 10
    waiting_max: int = 100_000  # per project
    site_silent_ms: int = 60_000  # after this long without a word a site is unknown
    created_ms: int = 0
    version: int = 1  # equals the number in the id

    def priority_class(self, name: str) -> PriorityClass | None:
        return next((c for c in self.classes if c.name == name), None)


def price_table(policy: Policy, currency: str) -> Mapping[str, int]:
    """resource → nano-units per unit and second, for one currency."""
    return {p.resource: p.nano for p in policy.prices if p.currency == currency}
