"""How workloads and attempts move from state to state, with the money that goes along. Every caller goes through here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dure.controller import money
from dure.controller.deed import Deed, evidence_digest, record, touch
from dure.controller.moved import go_on, lost_ms, moved, record_placed
from dure.controller.rules import policy_of
from dure.errors import require
from dure.ledger import energy_mwh, refund_nano, run_charge_nano
from dure.model.accelerators import core_rate
from dure.model.codec import changed
from dure.model.money import NANO
from dure.model.policy import Policy
from dure.model.reason import Reason, ReasonKind
from dure.model.records import WaitNote
from dure.model.site import Node, Quarantine, Site
from dure.model.tenancy import Project
from dure.model.workload import (
    ATTEMPT_NEXT,
    TERMINAL,
    WORKLOAD_NEXT,
    Attempt,
    AttemptState,
    Evidence,
    Move,
    Outcome,
    Workload,
    WorkloadSpec,
    WorkloadState,
)
from dure.ports import Reader, Tx

# The longest that lost work is made good: who computes for hours without saving bears the risk. An hour for a preemption, which
# only ever comes after a checkpoint could have been written; four for a dying node, as at ALCF.
REFUND_MS_MAX = 3_600_000
LOSS_REFUND_MS_MAX = 4 * 3_600_000
CLOCK_SLACK_MS = 60_000  # how far the clocks of plane and site may be apart
LOST_MAX = 10  # tries that may be lost to dying nodes before the workload is given up: a job that kills its node must end


def move_workload(tx: Tx, workload: Workload, state: WorkloadState, **changes: Any) -> Workload:
    require(
        state == workload.state or state in WORKLOAD_NEXT[workload.state],
        f"workload {workload.id}: {workload.state} may not become {state}",
    )
    if workload.state == WorkloadState.WAITING and state != WorkloadState.WAITING:
        tx.delete(WaitNote, workload.id)
    moved: Workload = tx.update(changed(workload, state=state, **changes))
    return moved


def move_attempt(tx: Tx, attempt: Attempt, state: AttemptState, **changes: Any) -> Attempt:
    require(
        state == attempt.state or state in ATTEMPT_NEXT[attempt.state],
        f"attempt {attempt.id}: {attempt.state} may not become {state}",
    )
    moved: Attempt = tx.update(changed(attempt, state=state, **changes))
    return moved


def preempt(
    tx: Tx, deed: Deed, attempt: Attempt, *, by: str, beneficiary: str = "", reclaimed_by: str = "", move: Move | None = None
) -> Attempt:
    """Tell an attempt to make room. by: "plan", "quota" (the plan, as it borrows), "move" (the plan, as it goes on elsewhere) or
    "operator"; beneficiary: the workload that it makes room for, if there is one; reclaimed_by: the project whose quota it
    borrows; move: where it goes on.

    In an event of its own: victim and beneficiary may be tenants who know nothing of each other."""
    stopping = move_attempt(
        tx,
        attempt,
        AttemptState.STOPPING,
        stop_cause=Outcome.PREEMPTED,
        stop_asked_ms=deed.now_ms,
        beneficiary=beneficiary,
        reclaimed_by=reclaimed_by,
        move=move or Move(),
    )
    _tell_stopping(tx, deed, stopping, by)
    return stopping


def stays_stopped(tx: Tx, deed: Deed, attempt: Attempt, *, by: str) -> Attempt:
    """Let one that is moved only make room: its workload waits again."""
    stopping: Attempt = tx.update(replace(attempt, move=Move()))
    _tell_stopping(tx, deed, stopping, by)
    return stopping


def _tell_stopping(tx: Tx, deed: Deed, stopping: Attempt, by: str) -> None:
    data = {"workload": stopping.workload, "by": by}
    record(
        tx, deed, "attempt.stopping", stopping.id, project=stopping.project, site=stopping.site, data=data,
        touched=touch(stopping),
    )  # fmt: skip


def end_attempt(tx: Tx, deed: Deed, attempt: Attempt, outcome: Outcome, evidence: Evidence) -> Attempt:
    """Close an attempt: bill it from the evidence, refund what its preemption destroyed, and move its workload on.

    State, postings and event are in the caller's one transaction."""
    evidence = plausible(attempt, evidence, deed.now_ms)
    outcome = _final_outcome(attempt, outcome, evidence)
    policy = policy_at(tx, attempt.policy_version)
    workload = tx.get(Workload, attempt.workload)
    require(workload is not None, f"attempt {attempt.id} has no workload")
    assert workload is not None  # as just required; for the type checker
    ended = changed(attempt, outcome=outcome, evidence=evidence)
    run_ms = billed_ms(policy, ended, harmed=_harmed_others(tx, policy, ended))
    charge, refund = bill(policy, ended, workload, run_ms)
    refund = 0 if outcome == Outcome.PREEMPTED and _own_preemption(tx, ended) else refund
    paid = money.settle(tx, ended, charge, refund, deed.now_ms)
    energy, basis = energy_of(tx, ended, workload)
    heir = go_on(tx, deed, policy, workload, ended)
    closed = move_attempt(
        tx,
        attempt,
        AttemptState.ENDED,
        outcome=outcome,
        evidence=evidence,
        move=attempt.move if heir else Move(),
        ended_ms=deed.now_ms,
        settled=paid.settled,
        refunded=paid.refunded,
        charge_rest_nano=paid.charge_rest_nano,
        refund_rest_nano=paid.refund_rest_nano,
        energy_mwh=energy,
        energy_basis=basis,
    )
    project = _charge_use(tx, deed, policy, closed, workload, run_ms)
    then = _move_on(tx, deed, workload, closed, heir[0] if heir else None)
    data = {
        "workload": workload.id,
        "outcome": outcome.value,
        "exit_code": evidence.exit_code,
        "run_ms": evidence.run_ms,
        "settled": paid.settled,
        "refunded": paid.refunded,
        "charge_rest_nano": paid.charge_rest_nano,
        "refund_rest_nano": paid.refund_rest_nano,
        "carry_nano": paid.carry_nano,
        "carry_number": paid.ends,
        "currency": attempt.currency,
        "evidence": evidence_digest(evidence),
        "energy_mwh": energy,
        "energy_basis": basis,
        "next": then.state.value,
        "transfers": paid.posted.digests,
    }
    touched = (*touch(closed, then, project), *paid.posted.touched)
    record(tx, deed, "attempt.ended", attempt.id, project=attempt.project, site=attempt.site, data=data, touched=touched)
    if heir:
        record_placed(tx, deed, *heir, then, moved_from=closed.id)
    if attempt.beneficiary:
        free_claim(tx, deed, attempt.beneficiary)
    return closed


def plausible(attempt: Attempt, evidence: Evidence, now_ms: int) -> Evidence:
    """Evidence as it can be at most: nothing ran longer than since it was placed, or saved work later than now.

    A site's clock or program may be wrong; what is billed and recorded is then the longest that is possible."""
    longest_ms = max(0, now_ms - attempt.placed_ms) + CLOCK_SLACK_MS
    return changed(
        evidence,
        run_ms=max(0, min(evidence.run_ms, longest_ms)),
        checkpoint_ms=max(0, min(evidence.checkpoint_ms, now_ms + CLOCK_SLACK_MS)),
    )


def _final_outcome(attempt: Attempt, outcome: Outcome, evidence: Evidence) -> Outcome:
    """What an end counts as. Nobody but the plane decides that an attempt is stopped, and what has run was not rejected."""
    if outcome == Outcome.REJECTED and attempt.stop_cause and evidence.detail == "never_launched":
        return attempt.stop_cause
    if outcome in (Outcome.CANCELLED, Outcome.PREEMPTED):
        return attempt.stop_cause or Outcome.LOST
    ran = evidence.run_ms > 0 or attempt.state == AttemptState.RUNNING
    if outcome == Outcome.REJECTED and ran:
        return Outcome.LOST
    return Outcome.LOST if outcome == Outcome.WITHDRAWN and attempt.state != AttemptState.CLAIMED else outcome


def policy_at(tx: Tx, version: int) -> Policy:
    """The rules under which something was decided, not those of today."""
    return tx.get(Policy, f"policy:{version}") or policy_of(tx)


def bill(policy: Policy, attempt: Attempt, workload: Workload, run_ms: int) -> tuple[int, int]:
    """(charge, refund) of an attempt that ended as `attempt.outcome`, exactly, in nano-units; never more than is held. run_ms: as
    `billed_ms` says."""
    if run_ms == 0 or attempt.held == 0:
        return 0, 0
    spec, demand, evidence = workload.spec, workload.spec.demand, attempt.evidence
    charge = run_charge_nano(
        policy,
        currency=attempt.currency,
        accelerator=attempt.accelerator,
        workers=len(attempt.workers),
        cores_milli=demand.cores_milli,
        memory_mib=demand.memory_mib,
        devices=demand.devices,
        share_milli=demand.share_milli,
        run_ms=run_ms,
        limit_ms=attempt.limit_ms,
        preemptible=spec.preemptible,
        priority=spec.priority,
    )
    charge = min(attempt.held * NANO, charge)
    if attempt.outcome not in money.REFUND_POLICY:
        return charge, 0
    most_ms = REFUND_MS_MAX if attempt.outcome == Outcome.PREEMPTED else LOSS_REFUND_MS_MAX
    refund = refund_nano(
        policy,
        charged_nano=charge,
        run_ms=min(evidence.run_ms, attempt.limit_ms),
        lost_ms=min(lost_ms(evidence), most_ms),
        # an interval that was declared but never kept is no interval
        checkpoint_interval_ms=spec.checkpoint_interval_ms if evidence.checkpoint_ms else 0,
        capped=attempt.outcome == Outcome.PREEMPTED,
    )
    return charge, refund


# Ends that the work itself or its owner brought about.
_OWN_ENDS = frozenset({Outcome.SUCCEEDED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CANCELLED})


# What a backend refuses because of what it was given to run, and not because of how things are at the site.
_OWN_REJECTIONS = frozenset({"bad_bundle"})


def billed_ms(policy: Policy, attempt: Attempt, *, harmed: bool) -> int:
    """The run time that is charged: what the evidence shows. Of what made others stop (`harmed`) at least the run that those are
    guaranteed, also when its own side cancels it before it starts, or gave it code that cannot be launched: who could stop
    others' work for nothing could do so all day."""
    launched = attempt.outcome not in (Outcome.REJECTED, Outcome.WITHDRAWN)
    run_ms = attempt.evidence.run_ms if launched else 0
    given_up = attempt.outcome == Outcome.WITHDRAWN and attempt.stop_cause == Outcome.CANCELLED
    refused = attempt.outcome == Outcome.REJECTED and attempt.evidence.detail in _OWN_REJECTIONS
    return max(run_ms, policy.min_run_ms) if harmed and (given_up or refused or attempt.outcome in _OWN_ENDS) else run_ms


def _harmed_others(tx: Tx, policy: Policy, attempt: Attempt) -> bool:
    """Whether work of another organisation was made to stop for it that is guaranteed a run: of a class that does not yield."""
    if not attempt.victims:
        return False
    asked = tx.get_many(Attempt, set(attempt.victims)).values()
    workloads = tx.get_many(Workload, {v.workload for v in asked})
    victims = [v for v in asked if not policy.class_of(workloads[v.workload].spec.priority).yields]
    return bool(victims) and not _of_one_organisation(tx, {attempt.project, *(v.project for v in victims)})


def _of_one_organisation(tx: Tx, projects: set[str]) -> bool:
    return len({p.organisation for p in tx.get_many(Project, projects).values()}) == 1


def _own_preemption(tx: Tx, attempt: Attempt) -> bool:
    """Whether an attempt made room for work of its own organisation: that is no loss that others have to make good."""
    beneficiary = tx.get(Workload, attempt.beneficiary) if attempt.beneficiary else None
    return beneficiary is not None and _of_one_organisation(tx, {attempt.project, beneficiary.project})


def energy_of(reader: Reader, attempt: Attempt, workload: Workload) -> tuple[int, str]:
    """Milliwatt-hours for as long as the attempt's evidence says that it ran, and what they rest on."""
    site = reader.get(Site, attempt.site)
    nodes = reader.get_many(Node, {w.node for w in attempt.workers})
    demand = workload.spec.demand
    total = sum(
        energy_mwh(
            run_ms=attempt.evidence.run_ms,
            cores_milli=demand.cores_milli,
            core_mw=nodes[w.node].core_mw,
            devices=demand.devices,
            share_milli=demand.share_milli,
            device_mw=nodes[w.node].device_mw,
            pue_permille=site.pue_permille if site else 1000,
        )
        for w in attempt.workers
        if w.node in nodes
    )
    return total, "modelled"


def normalised_cores(workload: Workload, attempt: Attempt) -> float:
    """What a workload weighs in fair share while an attempt of it runs, in normalised cores."""
    demand = workload.spec.demand
    return len(attempt.workers) * (demand.cores_milli / 1000 + demand.devices_milli / 1000 * core_rate(attempt.accelerator))


def decayed(use: float, age_ms: int, half_life_ms: int) -> float:
    """Past use counts half after each half-life (Slurm's PriorityDecayHalfLife)."""
    return float(use * 0.5 ** (max(0, age_ms) / half_life_ms))


def _charge_use(tx: Tx, deed: Deed, policy: Policy, attempt: Attempt, workload: Workload, run_ms: int) -> Project:
    project = tx.get(Project, workload.project)
    require(project is not None, f"workload {workload.id} has no project")
    assert project is not None  # as just required; for the type checker
    used = normalised_cores(workload, attempt) * run_ms / 1000
    past = decayed(project.use, deed.now_ms - project.use_ms, policy.half_life_ms)
    charged: Project = tx.update(changed(project, use=past + used, use_ms=max(deed.now_ms, project.use_ms)))
    return charged


def _move_on(tx: Tx, deed: Deed, workload: Workload, attempt: Attempt, heir: Attempt | None) -> Workload:
    """The workload's next state after one of its attempts has ended. heir: the attempt that it goes on as."""
    if heir:
        return move_workload(tx, workload, WorkloadState.STARTING, attempt=heir.id, attempts=workload.attempts + 1, reason={})
    if workload.state in TERMINAL or workload.attempt != attempt.id:
        return workload
    state, reason, changes = after_attempt(policy_of(tx), workload, attempt, deed.now_ms)
    if state in TERMINAL:
        changes["ended_ms"] = deed.now_ms
    return move_workload(tx, workload, state, attempt="", reason=reason.to_json(), **changes)


def after_attempt(
    policy: Policy, workload: Workload, attempt: Attempt, now_ms: int
) -> tuple[WorkloadState, Reason, dict[str, Any]]:
    """Pure: (next state, why, further fields) of a workload whose live attempt ended as `attempt.outcome`."""
    reason = ended_reason(attempt, workload.spec)
    if workload.cancel_asked_ms and attempt.outcome != Outcome.SUCCEEDED:
        return WorkloadState.CANCELLED, Reason.of(ReasonKind.ENDED_CANCELLED), {}
    match attempt.outcome:
        case Outcome.SUCCEEDED:
            return WorkloadState.SUCCEEDED, reason, {}
        case Outcome.CANCELLED:
            return WorkloadState.CANCELLED, reason, {}
        case Outcome.TIMED_OUT:
            return WorkloadState.FAILED, reason, {}
        case Outcome.FAILED:
            failures = workload.failures + 1
            again = failures <= workload.spec.retries
            pause = {"eligible_ms": now_ms + policy.retry_pause_ms} if again else {}
            state = WorkloadState.WAITING if again else WorkloadState.FAILED
            return state, reason, {"failures": failures, **pause}
        case Outcome.REJECTED | Outcome.LOST:
            rejections = workload.rejections + 1
            most = policy.rejections_max if attempt.outcome == Outcome.REJECTED else LOST_MAX
            state = WorkloadState.WAITING if rejections < most else WorkloadState.FAILED
            pause_ms = policy.retry_pause_ms * 2 ** min(rejections - 1, 10)
            return state, reason, {"rejections": rejections, "eligible_ms": now_ms + pause_ms}
    return WorkloadState.WAITING, reason, {"rejections": 0}


def ended_reason(attempt: Attempt, spec: WorkloadSpec) -> Reason:
    """Why an attempt ended, for people."""
    evidence = attempt.evidence
    match attempt.outcome:
        case Outcome.SUCCEEDED:
            return Reason.of(ReasonKind.ENDED_SUCCEEDED)
        case Outcome.FAILED if evidence.detail == "memory_limit":
            return Reason.of(ReasonKind.ENDED_MEMORY, wanted_mib=spec.demand.memory_mib, used_mib=evidence.rss_max_mib)
        case Outcome.FAILED if evidence.signal:
            return Reason.of(ReasonKind.ENDED_SIGNAL, signal=evidence.signal)
        case Outcome.FAILED:
            return Reason.of(ReasonKind.ENDED_EXIT_CODE, exit_code=evidence.exit_code, detail=evidence.detail)
        case Outcome.TIMED_OUT:
            saved_at = attempt.site if spec.checkpoint_interval_ms and evidence.checkpoint_ms else ""
            return Reason.of(ReasonKind.ENDED_TIMED_OUT, limit_ms=attempt.limit_ms, site=saved_at)
        case Outcome.CANCELLED:
            return Reason.of(ReasonKind.ENDED_CANCELLED)
        case Outcome.PREEMPTED | Outcome.WITHDRAWN:
            return Reason.of(ReasonKind.ENDED_PREEMPTED, by=attempt.beneficiary, **reclaimed(attempt), **moved(attempt))
        case Outcome.LOST:
            return Reason.of(ReasonKind.ENDED_LOST, detail=evidence.detail)
    return Reason.of(ReasonKind.ENDED_REJECTED, detail=evidence.detail)


def reclaimed(attempt: Attempt) -> dict[str, str]:
    """The fact that quota was reclaimed, for a reason about its making room."""
    return {"reclaimed_by": attempt.reclaimed_by} if attempt.reclaimed_by else {}


def free_claim(tx: Tx, deed: Deed, beneficiary: str) -> None:
    """A victim is gone: when it was the last one, the attempt that waited for it is launched.

    Not one that was attested lost before its site, which is told to stop it, has told of its end: it still has its place."""
    workload = tx.get(Workload, beneficiary)
    claim = tx.get(Attempt, workload.attempt) if workload and workload.attempt else None
    if claim is None or claim.state != AttemptState.CLAIMED:
        return
    victims = tx.get_many(Attempt, claim.victims)
    if any(v.state != AttemptState.ENDED for v in victims.values()):
        return
    if any(aside.holds_place for aside in tx.get_many(Quarantine, claim.victims).values()):
        return
    launching = move_attempt(tx, claim, AttemptState.LAUNCHING)
    record(
        tx, deed, "attempt.launching", claim.id, project=claim.project, site=claim.site,
        data={"workload": claim.workload}, touched=touch(launching),
    )  # fmt: skip


def withdraw_claim(tx: Tx, deed: Deed, claim: Attempt, *, by_its_own: bool = False) -> Attempt:
    """Give up a claimed attempt before anything of it was launched. by_its_own: because who acts for its project cancels it."""
    claim = replace(claim, stop_cause=Outcome.CANCELLED) if by_its_own else claim
    return end_attempt(tx, deed, claim, Outcome.WITHDRAWN, claim.evidence)
