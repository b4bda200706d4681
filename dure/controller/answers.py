"""Why, and what it would cost: answers computed by the function that places, on the state of the last step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dure.model.policy import Policy
from dure.model.reason import Reason, ReasonKind
from dure.model.workload import Workload, WorkloadSpec, WorkloadState
from dure.scheduler import Plan, Snapshot, Why, why


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyAnswer:
    """as_of_ms: the moment of the state that the answer is about. why: None when the workload does not wait."""

    workload: Workload
    as_of_ms: int
    reason: Reason
    why: Why | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteAnswer:
    """What one element would cost and when it would start. hold: per currency, the most it can cost; -1 where it cannot be
    paid so. starts_ms: now, or the promised start; 0 when none can be told, and then `reason` says why."""

    as_of_ms: int
    elements: int
    hold: dict[str, int]
    currency: str  # that would pay, "" while none can
    accelerator: str  # that the start or promise is for
    starts_now: bool
    starts_ms: int
    site: str
    reason: Reason | None
    limit_ms: int


def answer_why(snapshot: Snapshot, decided: Plan, workload: Workload) -> WhyAnswer | None:
    """None when the snapshot does not know this waiting workload yet."""
    if workload.state != WorkloadState.WAITING:
        return WhyAnswer(workload=workload, as_of_ms=snapshot.now_ms, reason=_state_reason(workload))
    row = row_of(snapshot, workload)
    if row is None:
        return None
    answer = why(snapshot, decided, row, rater(snapshot.policy))
    reason = answer.reasons[0] if answer.reasons else Reason.of(ReasonKind.NOT_YET_PLANNED)
    return WhyAnswer(workload=workload, as_of_ms=snapshot.now_ms, reason=reason, why=answer)


def _state_reason(workload: Workload) -> Reason:
    if workload.reason:
        return Reason.from_json(workload.reason)
    return Reason.of(ReasonKind.IN_PROGRESS, state=workload.state.value)


def row_of(snapshot: Snapshot, workload: Workload) -> int | None:
    """Row of a waiting workload in the snapshot: pending is sorted by (submitted_ms, id)."""
    pending = snapshot.pending
    first = int(np.searchsorted(pending.submitted_ms, workload.submitted_ms, side="left"))
    last = int(np.searchsorted(pending.submitted_ms, workload.submitted_ms, side="right"))
    return next((r for r in range(first, last) if pending.ids[r] == workload.id), None)


def rater(policy: Policy) -> Any:
    """The ledger's rating in the shape that the scheduler's what-if asks for."""
    return PolicyRater(policy)


def answer_quote(snapshot: Snapshot, project: str, spec: WorkloadSpec, elements: int) -> QuoteAnswer:
    """Plan once more with this workload added, as if it were submitted now."""
    raise NotImplementedError
