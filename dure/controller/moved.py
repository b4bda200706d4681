"""Work that is moved: in the transaction that ends its attempt, the next one begins in the place that was kept for it.

There is never more than one live attempt of a workload. Until the old one ends, the new one is only what its row says (`Move`):
the plan keeps the place for it, and its id is known, so that nothing that dies in between can lose it or make it run twice.

The hold of the new attempt is for the whole of its own limit, as that of any. What the old one had left is mostly enough, but
not where work has to be done again that nobody refunds. Where the awards do not give it, the work waits, as after a
preemption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from dure.controller import money
from dure.controller.deed import Deed, record, touch
from dure.controller.money import Posted
from dure.controller.rates import amounts_for
from dure.controller.rules import plane_of
from dure.controller.strangers import strangers
from dure.model.money import CURRENCIES
from dure.model.policy import Policy
from dure.model.reason import Reason
from dure.model.site import Node, Quarantine, Site
from dure.model.workload import Attempt, AttemptState, Evidence, Outcome, Workload, WorkloadSpec, WorkloadState
from dure.ports import Reader, Tx


def rest_ms(policy: Policy, limit_ms: int, saved_ms: int) -> int:
    """Wall time for what work has not saved yet; no shorter than the run that it is guaranteed in each place."""
    return max(limit_ms - max(0, saved_ms), policy.min_run_ms)


def movable_ms(policy: Policy, attempt: Attempt, spec: WorkloadSpec, started_ms: int) -> int:
    """Limit and grace in another place; 0: it may not be moved. It may if it is preemptible, has saved enough where it is, and
    has no moment by which it must be over, as a second start could make it late. started_ms: by the plane's clock."""
    may = attempt.state == AttemptState.RUNNING and spec.preemptible and not spec.deadline_ms
    if not may or not _saves(policy, attempt, spec, started_ms):
        return 0
    return rest_ms(policy, attempt.limit_ms, attempt.evidence.checkpoint_ms - started_ms) + spec.grace_ms


def _saves(policy: Policy, attempt: Attempt, spec: WorkloadSpec, started_ms: int) -> bool:
    """Whether it has been seen to save checkpoints as it said that it would, where it is: work for as long as its interval, or as
    its guaranteed run where that is shorter. So there is progress between two moves. What earlier attempts saved is none: sites
    tell of it as saved at the start; nor is what only writes anew what it has read."""
    saved_ms = attempt.evidence.checkpoint_ms - (
        attempt.evidence.started_ms or started_ms
    )  # both by the site's clock, if it tells
    return spec.checkpoint_interval_ms > 0 and saved_ms >= min(spec.checkpoint_interval_ms, max(1, policy.min_run_ms))


def go_on(tx: Tx, deed: Deed, policy: Policy, workload: Workload, ended: Attempt) -> tuple[Attempt, Posted] | None:
    """Begin what an ended attempt was moved to, with its hold; None: it is not moved, or cannot be any more, and waits like all
    that made room. policy: of the attempt, by which it goes on being rated."""
    move, spec = ended.move, workload.spec
    saved_ms = ended.evidence.run_ms - lost_ms(ended.evidence)
    limit_ms = min(move.limit_ms, rest_ms(policy, ended.limit_ms, saved_ms))
    if not _may(tx, workload, ended, deed.now_ms, deed.now_ms + limit_ms + spec.grace_ms):
        return None
    amounts = amounts_for(policy, spec, ended.accelerator, len(move.workers), limit_ms)
    needed = amounts[CURRENCIES.index(ended.currency)]
    if needed < 0:
        return None
    heir = Attempt(
        id=move.attempt,
        workload=ended.workload,
        project=ended.project,
        site=ended.site,
        epoch=move.epoch,
        accelerator=ended.accelerator,
        workers=move.workers,
        state=AttemptState.LAUNCHING,
        moved_from=ended.id,
        placed_ms=_left_ms(ended, deed.now_ms),
        limit_ms=limit_ms,
        currency=ended.currency,
        held=needed,
        policy_version=ended.policy_version,
    )
    posted = money.hold(tx, heir, money.open_awards(tx, {heir.project})[heir.project], deed.now_ms)
    if isinstance(posted, Reason):
        return None
    tx.insert(heir)
    return heir, posted


def _left_ms(ended: Attempt, now_ms: int) -> int:
    """Since when it may be in its new place: since it has left the old one. That can be long ago, if a restored plane hears of it
    now; what it has run there meanwhile is then plausible."""
    return min(max(ended.evidence.ended_ms, ended.stop_asked_ms), now_ms)


def _may(reader: Reader, workload: Workload, ended: Attempt, now_ms: int, until_ms: int) -> bool:
    """Whether it still is to go on there from now until then: nothing else has ended it, and the place is one where things
    start, that still is as it was when it was kept, and where nothing closes meanwhile."""
    current = workload.attempt == ended.id and workload.state == WorkloadState.RUNNING and not workload.cancel_asked_ms
    if not ended.move.attempt or ended.outcome != Outcome.PREEMPTED or not current or plane_of(reader).draining:
        return False
    others = reader.find(Quarantine, {"workload": workload.id})
    if any(one.holds_place and one.id not in (ended.id, ended.move.attempt) for one in others):
        return False  # after a restore it may run elsewhere already
    site, nodes = reader.get(Site, ended.site), reader.get_many(Node, {w.node for w in ended.move.workers})
    if site is None or site.drained or not _is_there(ended, nodes) or _taken(reader, workload.spec, ended, nodes):
        return False
    names = {node.name for node in nodes.values()}
    closing = [window for window in site.maintenance if window.from_ms < until_ms and now_ms < window.until_ms]
    return all(window.nodes and names.isdisjoint(window.nodes) for window in closing)


def _is_there(ended: Attempt, nodes: Mapping[str, Node]) -> bool:
    """Whether the nodes to which it goes start things, and have the devices that it was given there: a machine may have lost some
    since, or be another under the same name."""
    return all(
        w.node in nodes and nodes[w.node].up and not nodes[w.node].drained
        and ended.accelerator in ("", nodes[w.node].accelerator) and all(device < nodes[w.node].devices for device in w.devices)
        for w in ended.move.workers
    )  # fmt: skip


def _taken(reader: Reader, spec: WorkloadSpec, ended: Attempt, nodes: Mapping[str, Node]) -> bool:
    """Whether attempts of which only the site knows have, or may have, the place to which it goes, or leave too few cores or too
    little memory for it there; so has a machine that is smaller now."""
    own = (ended.id, ended.move.attempt)
    aside = [q for q in reader.find(Quarantine, {"site": ended.site}) if q.holds_place and q.id not in own]
    devices = {(w.node, device) for w in ended.move.workers for device in w.devices}
    others = strangers(aside, nodes, {})
    there = [(one, node, mask) for one in others for node, mask in one.workers]
    if any(not nodes.keys().isdisjoint(one.closes) for one in others):
        return True
    if any(mask >> device & 1 for _, node, mask in there for at, device in devices if at == node):
        return True
    cores, memory = Counter[str](), Counter[str]()
    for one, node, _ in there:
        cores[node] += one.cores_milli
        memory[node] += one.memory_mib
    for worker in ended.move.workers:
        cores[worker.node] += spec.demand.cores_milli
        memory[worker.node] += spec.demand.memory_mib
    return any(cores[id] > node.cores_milli or memory[id] > node.memory_mib for id, node in nodes.items())


def lost_ms(evidence: Evidence) -> int:
    """How much of a run is gone: since the last checkpoint that the site saw, or all of it."""
    if not evidence.checkpoint_ms or not evidence.ended_ms:
        return evidence.run_ms
    return max(0, min(evidence.run_ms, evidence.ended_ms - evidence.checkpoint_ms))


def record_placed(tx: Tx, deed: Deed, attempt: Attempt, posted: Posted, workload: Workload, **more: object) -> None:
    """Tell of an attempt's beginning. more: how it came to it, where that is worth telling."""
    data = {
        "attempt": attempt.id,
        "accelerator": attempt.accelerator,
        "nodes": sorted({w.node for w in attempt.workers}),
        "devices": sum(len(w.devices) for w in attempt.workers),
        "limit_ms": attempt.limit_ms,
        "victims": len(attempt.victims),
        **more,
        "held": attempt.held,
        "currency": attempt.currency,
        "policy": attempt.policy_version,
        "transfers": posted.digests,
    }
    touched = (*touch(workload, attempt), *posted.touched)
    record(tx, deed, "workload.placed", workload.id, project=workload.project, site=attempt.site, data=data, touched=touched)


def moved(attempt: Attempt) -> dict[str, str]:
    """The fact that it goes on elsewhere, for a reason about its making room."""
    return {"moved_to": ", ".join(sorted({w.node for w in attempt.move.workers}))} if attempt.move.attempt else {}
