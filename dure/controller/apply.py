"""Carrying a plan out: compare-and-set on what it was based on, with hold, state and event in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dure.controller import money
from dure.controller.deed import Deed
from dure.controller.lifecycle import move_workload, preempt
from dure.controller.mirror import Mirror
from dure.controller.moved import record_placed
from dure.ledger import award_account
from dure.model.funding import Account, Award
from dure.model.money import CURRENCIES
from dure.model.reason import Reason
from dure.model.workload import Attempt, AttemptState, Move, Worker, Workload, WorkloadState
from dure.ports import Store, Tx
from dure.scheduler import Plan, Snapshot
from dure.scheduler.funds import part_of
from dure.scheduler.snapshot import I32, I64, U64, limits_ms

GROUPS_AT_ONCE = 64  # groups in one transaction: long enough to be cheap, short enough not to keep others waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A start and the victims that make room for it: they win or lose together."""

    attempt: Attempt  # as it is to be inserted
    version: int  # of the workload, as the plan saw it
    victims: tuple[Attempt, ...]  # as the plan saw them
    reclaims: bool = False  # they borrow what its project has by its quota
    moves: tuple[Move, ...] = ()  # where they go on, one each; (): they wait again


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    started: tuple[str, ...]  # attempt ids
    lost: tuple[str, ...]  # workload ids of groups whose world had moved on; the next step sees them again


def groups_of(mirror: Mirror, snapshot: Snapshot, plan: Plan, new_id: Callable[[], str], now_ms: int) -> tuple[Group, ...]:
    """The plan's starts as attempts with everything decided: nodes, devices, currency, amount, epoch, victims."""
    limits = limits_ms(snapshot) if len(plan.start_pending) else np.zeros(0, np.int64)
    return tuple(_group(mirror, snapshot, plan, row, limits, new_id, now_ms) for row in range(len(plan.start_pending)))


def _group(
    mirror: Mirror, snapshot: Snapshot, plan: Plan, row: int, limits: I64, new_id: Callable[[], str], now_ms: int
) -> Group:
    workload = mirror.waiting[snapshot.pending.ids[int(plan.start_pending[row])]].workload
    alternative, currency = int(plan.start_alternative[row]), int(plan.start_currency[row])
    kind = int(snapshot.alternatives.accelerator[alternative])
    first, last = plan.start_victim_ptr[row], plan.start_victim_ptr[row + 1]
    victims = [mirror.attempts[snapshot.attempts.ids[int(v)]] for v in plan.victim_attempt[first:last]]
    workers = _workers(snapshot, plan, row)
    attempt = Attempt(
        id=new_id(),
        workload=workload.id,
        project=workload.project,
        site=snapshot.sites.ids[int(plan.start_site[row])],
        epoch=snapshot.epoch,
        accelerator=snapshot.accelerators[kind] if kind >= 0 else "",
        workers=workers,
        state=AttemptState.CLAIMED if victims else AttemptState.LAUNCHING,
        victims=tuple(v.id for v in victims),
        placed_ms=now_ms,
        limit_ms=int(limits[alternative]) - workload.spec.grace_ms,
        currency=CURRENCIES[currency].value,
        held=part_of(int(snapshot.alternatives.hold[alternative, currency]), len(workers), workload.spec.workers),
        policy_version=snapshot.policy.version,
    )
    moves = [_move(snapshot, plan, v, victim, mirror, new_id()) for v, victim in enumerate(victims, first) if plan.moved(row)]
    return Group(
        attempt=attempt,
        version=workload.version,
        victims=tuple(victims),
        reclaims=bool(plan.start_reclaims[row]),
        moves=tuple(moves),
    )


def _move(snapshot: Snapshot, plan: Plan, v: int, victim: Attempt, mirror: Mirror, id: str) -> Move:
    """Where the victim number `v` of a plan goes on, as which attempt."""
    span = slice(int(plan.victim_place_ptr[v]), int(plan.victim_place_ptr[v + 1]))
    return Move(
        attempt=id,
        epoch=snapshot.epoch,
        workers=_seated(snapshot, plan.place_node[span], plan.place_mask[span]),
        limit_ms=int(snapshot.attempts.rest_ms[plan.victim_attempt[v]]) - mirror.placed[victim.workload].spec.grace_ms,
    )


def _workers(snapshot: Snapshot, plan: Plan, row: int) -> tuple[Worker, ...]:
    span = slice(int(plan.start_worker_ptr[row]), int(plan.start_worker_ptr[row + 1]))
    return _seated(snapshot, plan.start_node[span], plan.start_mask[span])


def _seated(snapshot: Snapshot, nodes: I32, masks: U64) -> tuple[Worker, ...]:
    seats = zip(nodes.tolist(), masks.tolist(), strict=True)
    return tuple(Worker(node=snapshot.nodes.ids[node], devices=_bits(mask)) for node, mask in seats)


def _bits(mask: int) -> tuple[int, ...]:
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)


def apply_groups(store: Store, deed: Deed, groups: Sequence[Group], fence: int) -> Applied:
    """Commit groups, some at a time. One that has lost its race is left out; the others of its chunk are not harmed."""
    started: list[str] = []
    lost: list[str] = []
    for first in range(0, len(groups), GROUPS_AT_ONCE):
        chunk = groups[first : first + GROUPS_AT_ONCE]
        done = store.transact(lambda tx, c=chunk: _apply_some(tx, deed, c), fence=fence)  # type: ignore[misc]
        started += [g.attempt.id for g, ok in zip(chunk, done, strict=True) if ok]
        lost += [g.attempt.workload for g, ok in zip(chunk, done, strict=True) if not ok]
    return Applied(started=tuple(started), lost=tuple(lost))


def _apply_some(tx: Tx, deed: Deed, groups: Sequence[Group]) -> list[bool]:
    """One after the other; what each will ask for by itself is read together before."""
    besides = {Workload: [g.attempt.workload for g in groups], Attempt: {v.id for g in groups for v in g.victims}}
    money.look_ahead(tx, [g.attempt for g in groups], besides)
    awards = money.open_awards(tx, {g.attempt.project for g in groups})
    tx.get_many(Account, [award_account(a.id) for some in awards.values() for a in some])
    return [_apply_one(tx, deed, g, awards[g.attempt.project]) for g in groups]


def _apply_one(tx: Tx, deed: Deed, group: Group, awards: Sequence[Award]) -> bool:
    """One group, or nothing: everything is checked before anything is written."""
    workload = tx.get(Workload, group.attempt.workload)
    if workload is None or workload.version != group.version or workload.state != WorkloadState.WAITING:
        return False
    victims = tx.get_many(Attempt, [v.id for v in group.victims])
    if any(not _same(victims.get(v.id), v) for v in group.victims):
        return False
    posted = money.hold(tx, group.attempt, awards, deed.now_ms)
    if isinstance(posted, Reason):
        return False
    by = "quota" if group.reclaims else "move" if group.moves else "plan"
    theirs = workload.project if group.reclaims else ""
    for victim, move in zip(group.victims, group.moves or (None,) * len(group.victims), strict=True):
        preempt(tx, deed, victims[victim.id], by=by, beneficiary=workload.id, reclaimed_by=theirs, move=move)
    attempt = group.attempt
    tx.insert(attempt)
    placed = move_workload(tx, workload, WorkloadState.STARTING, attempt=attempt.id, attempts=workload.attempts + 1, reason={})
    means = {"reclaims": True} if group.reclaims else {"moves": True} if group.moves else {}
    record_placed(tx, deed, attempt, posted, placed, **means)
    return True


def _same(stored: Attempt | None, planned: Attempt) -> bool:
    """A victim is what the plan saw; only a newer checkpoint, which makes it cheaper, does not matter."""
    if stored is None:
        return False
    return replace(stored, version=planned.version, evidence=planned.evidence) == planned
