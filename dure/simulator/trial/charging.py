"""What the jobs of a trial would have cost: the ledger's own functions, on what ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dure.controller.lifecycle import REFUND_MS_MAX
from dure.ledger import refund_nano, run_charge_nano, settle_exact
from dure.model.money import NANO, Currency
from dure.model.policy import Policy, Price
from dure.scheduler.kernels.ground import I32, I64
from dure.scheduler.snapshot import Bool
from dure.simulator.traces.trace import Trace
from dure.simulator.trial.asks import Asks

# Where a policy names no prices: ordinary figures. 3,600 won for a device and hour, 36 for a core, 3.6 for a GiB.
PRICES = (
    Price(resource="device:*", nano=10**9),
    Price(resource="core", nano=10**7),
    Price(resource="memory_gib", nano=10**6),
)
NORMAL = "normal"  # the class of everybody where there are no classes


class Ran(NamedTuple):
    """What ran, a row a stretch: the columns of `columns.STRETCH`."""

    job: I64
    since: I64
    until: I64
    site: I32
    kind: I32
    limit: I64
    harms: Bool
    own: Bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """Of whom a trial is, and by which rules. end_ms: by job; tenant: by job, who pays. resumes: nothing of a run is lost when it
    is preempted. classes: whether priorities are of classes, as prices are."""

    trace: Trace
    asks: Asks
    policy: Policy
    end_ms: I64
    tenant: I32
    accelerators: Sequence[str]
    resumes: bool
    classes: bool


def won_of(billed: Billed, ran: Ran) -> I64:
    """By job: what is charged for its stretches, less what is refunded where it was preempted, in whole won, as a plane posts it:
    of a tenant's jobs at a site the rest below one won is carried to the next. What made others' work stop and ended by itself is
    charged for the run that those are guaranteed, at least; what made room for its own tenant's work gets nothing back. -1 for
    all where a type that was used has no price."""
    won, carried = np.zeros(len(billed.trace), np.int64), defaultdict[tuple[int, int], int](int)
    if not all(_priced(billed.policy, billed.accelerators[kind]) for kind in np.unique(ran.kind).tolist() if kind >= 0):
        return np.full(len(won), -1, np.int64)
    names = {c.value: c.name for c in billed.policy.classes}
    for row in np.lexsort((ran.job, ran.since, ran.until)).tolist():
        job, kind, run_ms, limit_ms = (
            int(ran.job[row]),
            int(ran.kind[row]),
            int(ran.until[row] - ran.since[row]),
            int(ran.limit[row]),
        )
        name = names[int(billed.asks.priority[job])] if billed.classes else NORMAL
        ended = int(ran.until[row]) == billed.end_ms[job]
        due_ms = max(run_ms, billed.policy.min_run_ms) if ended and ran.harms[row] else run_ms
        charge = _charge(billed, job, billed.accelerators[kind] if kind >= 0 else "", due_ms, limit_ms, name)
        keeps = ended or billed.resumes or ran.own[row]
        refund = 0 if keeps else _refund(billed, job, run_ms, limit_ms, charge)
        account = int(billed.tenant[job]), int(ran.site[row])
        made = settle_exact(carried[account], charge, refund, -(-charge // NANO))
        carried[account] = made.carry_nano
        won[job] += made.settled - made.refunded
    return won


def _priced(policy: Policy, accelerator: str) -> bool:
    named = {price.resource for price in policy.prices if price.currency == Currency.KRW}
    return not named.isdisjoint({f"device:{accelerator}", "device:*"})


def _charge(billed: Billed, job: int, accelerator: str, run_ms: int, limit_ms: int, priority: str) -> int:
    asks = billed.asks
    return run_charge_nano(
        billed.policy, currency=Currency.KRW, accelerator=accelerator, workers=int(asks.workers[job]),
        cores_milli=int(asks.cores_milli[job]), memory_mib=int(asks.memory_mib[job]), devices=int(asks.devices[job]),
        share_milli=int(asks.share_milli[job]), run_ms=run_ms, limit_ms=limit_ms,
        preemptible=bool(billed.trace.preemptible[job]), priority=priority,
    )  # fmt: skip


def _refund(billed: Billed, job: int, run_ms: int, limit_ms: int, charge: int) -> int:
    """Of a stretch that ended before its job: what was not saved is given back, as the policy has it."""
    every = int(billed.trace.checkpoint_ms[job])
    saved = run_ms // every * every if every > 0 else 0
    return refund_nano(
        billed.policy, charged_nano=charge, run_ms=min(run_ms, limit_ms),
        lost_ms=min(run_ms - saved, REFUND_MS_MAX), checkpoint_interval_ms=every if saved else 0,
    )  # fmt: skip
