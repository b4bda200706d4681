"""What a national workload is made of: one record of parameters, each with its unit and what it was fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dure.simulator.traces import fitted

MINUTE_S, HOUR_S, DAY_S, WEEK_S = 60, 3600, 86_400, 604_800

# Kinds of job (the extra column `kind` numbers them), of tenant, and where each parameter is from: "Philly", "openb", "Azure":
# fitted,
# see docs/benchmarks/national-workload.md; "assumption": ours, to be varied.
JOB_KINDS = ("batch", "gang", "array", "lab", "service", "cpu")
BATCH, GANG, ARRAY, LAB, SERVICE, CPU = range(6)
TENANT_KINDS = ("university", "institute", "sme", "startup", "public", "enterprise")


def _table(rows: Mapping[str, tuple[float, ...]]) -> Mapping[str, tuple[float, ...]]:
    return MappingProxyType(dict(rows))


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Parameters of `generate.national`. Weights need not sum to one."""

    # -- how much
    jobs: int = 100_000  # that are submitted; those that are in progress when the time begins come on top (`stationary`)
    load: float = 0.9  # offered: device-seconds asked for in the time over what the fleet has; fixes how long the trace is
    tenants: int = 600  # organisations (assumption)
    activity_exponent: float = 0.9  # Zipf: the n-th tenant submits n^-exponent as much (assumption)
    users_per_tenant: int = 40  # at most; the first ones submit most (assumption)

    # -- which jobs (assumption: Philly has batch alone, openb labs, services and pods without devices)
    kinds: tuple[float, ...] = (0.60, 0.008, 0.15, 0.145, 0.004, 0.093)  # shares of jobs, in the order of JOB_KINDS
    tenant_kinds: tuple[float, ...] = (0.22, 0.10, 0.36, 0.20, 0.07, 0.05)  # shares of tenants, in the order of TENANT_KINDS
    appetite: Mapping[str, tuple[float, ...]] = field(
        default_factory=lambda: _table(
            {
                "university": (3, 0.5, 3, 4, 0.2, 1),
                "institute": (3, 3, 2, 1, 0.5, 1),
                "sme": (1, 0.1, 0.5, 1.5, 2, 1),
                "startup": (2, 1, 1, 1, 3, 0.5),
                "public": (0.5, 0.2, 0.2, 1, 2, 2),
                "enterprise": (4, 8, 3, 1, 6, 2),
            }
        )
    )  # fmt: skip - by tenant: relative weight of each kind of job (assumption)

    # -- sizes, in devices
    batch_sizes: Mapping[int, int] = field(default_factory=lambda: MappingProxyType(fitted.BATCH_SIZES))  # Philly
    gang_least: int = 16  # smallest training gang: 2 nodes (assumption)
    gang_most: int = 16_384  # and no more than the largest pool of its type has
    gang_ratio: float = 0.55  # gangs of twice the size, relative to those of the size (assumption; Philly's wide jobs: 0.34)
    array_tail: float = 1.1  # Pareto exponent of an array's elements (assumption)
    array_most: int = 2_000
    service_sizes: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({1: 0.5, 2: 0.15, 4: 0.15, 8: 0.2}))
    #                                                                         of one replica (assumption)
    service_replicas: float = 3.0  # mean of a geometric law, without head-room (assumption)
    service_peak: tuple[float, float] = (fitted.PEAK_CONVERSATION, fitted.PEAK_CODE)  # replicas at the peak, over the mean: Azure
    share_of_labs: float = fitted.SHARED / (fitted.SHARED + fitted.WHOLE)  # labs that share a device: openb

    # -- durations, in seconds
    batch_duration: tuple[tuple[float, ...], ...] = (
        fitted.DURATION_1,
        fitted.DURATION_2,
        fitted.DURATION_8,
        fitted.DURATION_WIDE,
    )  # fmt: skip - quantiles at fitted.LEVELS for 1, 2 to 4, 8 and more devices: Philly
    lab_duration: tuple[float, ...] = fitted.LAB_DURATION  # openb, cut at lab_most_s
    lab_most_s: int = 7 * DAY_S
    service_median_s: int = DAY_S  # lognormal (assumption: openb's services are still there when its trace ends)
    service_sigma: float = 1.2
    duration_most_s: int = 60 * DAY_S

    # -- arrivals
    session_jobs: tuple[float, ...] = fitted.SESSION_JOBS  # batch and cpu: Philly
    session_gap_s: tuple[float, ...] = fitted.SESSION_GAP  # Philly
    hours: tuple[float, ...] = fitted.SESSION_HOURS  # of all but labs, by hour of the day: Philly
    days: tuple[float, ...] = fitted.SESSION_DAYS  # from Monday: Philly
    lab_hours: tuple[float, ...] = (
        0.25,
        0.15,
        0.1,
        0.1,
        0.1,
        0.15,
        0.2,
        0.4,
        0.9,
        1.9,
        2.2,
        1.9,
        1.1,
        1.9,
        2.2,
        2.2,
        2.0,
        1.7,
        1.2,
        1.0,
        0.9,
        0.8,
        0.6,
        0.4,
    )  # fmt: skip - people at work (assumption)

    # -- what a worker needs beside devices: (thousandths of a core, MiB, weight), of one device: openb
    needs_whole: tuple[tuple[int, int, int], ...] = fitted.NEEDS_WHOLE
    needs_share: tuple[tuple[int, int, int], ...] = fitted.NEEDS_SHARE
    needs_cpu: tuple[tuple[int, int, int], ...] = fitted.NEEDS_CPU
    shares: Mapping[int, int] = field(default_factory=lambda: MappingProxyType(fitted.SHARES))  # thousandths of a device: openb

    # -- wall-time limits as users give them: run time over u, u uniform, rounded up to a usual one (Mu'alem & Feitelson 2001)
    limit_menu_s: tuple[int, ...] = tuple(MINUTE_S * m for m in (10, 30, 60, 120, 240, 480, 720)) + tuple(
        DAY_S * d for d in (1, 2, 3, 7, 14, 30, 60, 120)
    )
    limit_least_u: float = 0.05
    no_limit: float = 0.15  # of jobs that name none (assumption)
    timeout: float = 0.04  # of jobs that run into their limit (assumption)

    # -- how they may be treated (assumptions)
    background: float = 0.15  # of batch and array jobs: priority 0, preemptible
    high: float = 0.06  # of all
    urgent: float = 0.004
    preemptible: float = 0.3  # of other batch, array and gang jobs
    checkpoint_s: tuple[int, ...] = (600, 900, 1800, 3600)  # of gangs, and of half of the batch jobs above an hour
    elastic: float = 0.1  # of gangs that run with half of their workers
    deadline: float = 0.03  # of batch and gang jobs: submission + limit (or run time) times 1 + exponential of deadline_slack
    deadline_slack: float = 2.0

    # -- where they may run (assumptions)
    home: tuple[float, ...] = (0.03, 0.05, 0.08, 0.03, 0.35, 0.15)  # by kind of tenant: data that stays in its region
    zone: tuple[float, ...] = (0.10, 0.10, 0.12, 0.10, 0.30, 0.20)  # or in its zone (capital, central, south, Jeju)

    # -- on what: alternatives, best first, with weights, by kind of job; types that the fleet lacks are left out (assumptions)
    accelerators: Mapping[str, tuple[tuple[float, str], ...]] = field(default_factory=lambda: MappingProxyType({
        "batch": ((3, "h100|h200|b200"), (3, "h200|b200"), (2, "b200|h200|h100"), (1, "h100"), (1, "l40s|h100")),
        "gang": ((6, "b200"), (2, "b200|h200"), (1, "h200|b200")),
        "array": ((3, "h100|h200|b200"), (2, "l40s|h100|h200"), (2, "h200|b200")),
        "lab": ((4, "l40s|h100|h200|b200"), (2, "h100|h200"), (1, "rngd|l40s")),
        "service": ((3, "rngd|rebel100|l40s"), (3, "rebel100|h200|b200"), (2, "l40s|rngd|h100"), (2, "h200|b200"), (1, "rngd")),
    }))  # fmt: skip
