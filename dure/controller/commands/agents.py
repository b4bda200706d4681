"""What the agents of the sites say, and what they are told. An agent may touch only its own site's attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dure.controller import money
from dure.controller.commands.resurfaced import PHASES, outlived
from dure.controller.deed import Deed, record, touch
from dure.controller.lifecycle import end_attempt, move_attempt, move_workload, plausible
from dure.controller.origins import checkpoint_of
from dure.controller.rules import not_found, plane_of
from dure.errors import require
from dure.model.codec import changed, field_names, to_plain
from dure.model.link import (
    GRACE_MS,
    PROTOCOL,
    PROTOCOL_OLDEST,
    AttemptReport,
    Hello,
    HelloAnswer,
    Order,
    Poll,
    Report,
    ReportAnswer,
)
from dure.model.policy import Policy, policy_id
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Plane
from dure.model.site import Node, Quarantine, Site
from dure.model.tenancy import Project
from dure.model.workload import Attempt, AttemptState, Outcome, Workload, WorkloadState
from dure.ports import Reader, Search, Store, Tx

MAY_RUN = (AttemptState.RUNNING, AttemptState.STOPPING)  # what a site has been heard to have
ORDERS_MAX = 64  # orders in one answer; the next poll brings the rest
QUARANTINED_MAX = 10_000  # unresolved, per site: no more than a restore can have forgotten at one
HEARD_EVERY_MS = 10_000  # how stale `Site.last_seen_ms` may be before a poll writes it anew


def hello(tx: Tx, deed: Deed, *, site: str, hello: Hello) -> HelloAnswer | Reason:
    """An agent takes charge of its site: whoever did before is fenced off from now on.

    It brings the inventory and everything that its journal knows, so that the plane's incarnation counts as confirmed: by a
    hello in parts, with the last of them. EPOCH_STALE for a part of a hello that another has replaced."""
    row = tx.get(Site, site)
    if row is None:
        return not_found("site", site)
    if not PROTOCOL_OLDEST <= hello.protocol <= PROTOCOL:
        return Reason.of(ReasonKind.PROTOCOL_UNSUPPORTED, protocol=hello.protocol, oldest=PROTOCOL_OLDEST, newest=PROTOCOL)
    fault = epoch_fault(row, hello.epoch) if hello.epoch else None
    if fault is not None:
        return fault
    plane = plane_of(tx)
    nodes = [] if hello.epoch else take_inventory(tx, site, hello.nodes)
    epoch = hello.epoch or row.agent_epoch + 1
    known: Site = tx.update(
        replace(
            row,
            backend=dict(hello.describe),
            agent_epoch=epoch,
            incarnation=row.incarnation if hello.more else plane.incarnation,
            accounted=_accounted(tx, row, hello) if hello.more and row.incarnation < plane.incarnation else (),
            last_seen_ms=deed.now_ms,
        )
    )
    data = {"epoch": epoch, "incarnation": plane.incarnation, "version": hello.agent_version, "boot": hello.boot_id}
    record(
        tx, deed, "site.joining" if hello.more else "site.joined", site, site=site, data=data, touched=touch(known, *nodes)
    )  # fmt: skip
    _look_ahead(tx, hello.reports)
    room = _Room(tx, site)
    for attempt_report in _in_order(hello.reports):
        _take(tx, deed, known, attempt_report, room)
    if known.incarnation > row.incarnation:
        _set_aside_unaccounted(tx, deed, known, _told(row, hello))
    return HelloAnswer(epoch=epoch, incarnation=plane.incarnation, now_ms=deed.now_ms, more=hello.more)


def _told(site: Site, hello: Hello) -> frozenset[str]:
    """Attempts that this part tells of, and those of the parts before. A new hello starts over."""
    before = site.accounted if hello.epoch else ()
    return frozenset(before) | {r.attempt for r in hello.reports}


def _accounted(tx: Tx, site: Site, hello: Hello) -> tuple[str, ...]:
    """What has to be remembered until the last part: no more than what the plane believes to run at the site."""
    told = _told(site, hello)
    live = tx.find(Attempt, {"site": site.id, "state": MAY_RUN})
    return tuple(a.id for a in live if a.id in told)


_NODE_FIELDS = frozenset(field_names(Node)) - {"id", "site", "drained", "version"}


def take_inventory(tx: Tx, site: str, nodes: Iterable[Mapping[str, Any]]) -> list[Node]:
    """Bring the site's nodes up to what its backend says; those it no longer names are down, not gone. What changed."""
    stored = {n.name: n for n in tx.find(Node, {"site": site})}
    changed: list[Node] = []
    for plain in nodes:
        fields = {k: v for k, v in plain.items() if k in _NODE_FIELDS}
        old = stored.pop(fields["name"], None)
        if old is None:
            new = Node(id=f"{site}/{fields['name']}", site=site, **fields)
            tx.insert(new)
            changed.append(new)
        elif replace(old, **fields) != old:
            changed.append(tx.update(replace(old, **fields)))
    changed += [tx.update(replace(gone, up=False)) for gone in stored.values() if gone.up]
    return changed


def orders(store: Store, *, site: str, poll: Poll) -> tuple[Order, ...] | Reason:
    """What the agent still has to do: an attempt's own row is the order, told until a report shows that it was carried out."""
    return polled(store, site=site, poll=poll)[0]


def polled(store: Store, *, site: str, poll: Poll) -> tuple[tuple[Order, ...] | Reason, int]:
    """The orders, and the plane's incarnation. What tells whether there are any is read together, as agents ask for it all day;
    and no more of it than an answer can hold, as much may be due."""
    busy = frozenset(poll.busy)
    most = ORDERS_MAX + len(busy)
    sites, planes, aside, *due = store.look(
        (
            Search(Site, {"id": site}),
            Search(Plane, {"id": "plane"}),
            Search(Quarantine, {"site": site, "stopping": True}, most),
            *(Search(Attempt, {"site": site, "state": state}, most) for state in _VERBS),
        )
    )
    require(bool(planes), "the store has no plane row: it was never initialised")
    fault = epoch_fault(sites[0], poll.epoch) if sites else not_found("site", site)
    if fault is not None:
        return fault, planes[0].incarnation
    left, chosen = _chosen(busy, aside, due)
    told = store.read(lambda reader: _orders(reader, chosen)) if chosen else ()
    return (*map(_stop_aside, left), *told), planes[0].incarnation


def _chosen(
    busy: frozenset[str], aside: Sequence[Quarantine], due: Sequence[Sequence[Attempt]]
) -> tuple[Sequence[Quarantine], Sequence[Attempt]]:
    """Stops first; what the agent is busy with is left out. due: by verb."""
    left = [q for q in aside if f"{q.id}:stop" not in busy][:ORDERS_MAX]
    chosen = [a for verb, some in zip(_VERBS.values(), due, strict=True) for a in some if f"{a.id}:{verb}" not in busy]
    return left, chosen[: ORDERS_MAX - len(left)]


def _orders(reader: Reader, chosen: Sequence[Attempt]) -> list[Order]:
    """What is told of their workloads never changes, but where they go on from; and that is best when it is read last."""
    workloads = reader.get_many(Workload, {a.workload for a in chosen})
    return [_order(reader, a, workloads[a.workload]) for a in chosen]


_VERBS = {AttemptState.STOPPING: "stop", AttemptState.LAUNCHING: "launch"}


def _order(reader: Reader, attempt: Attempt, workload: Workload) -> Order:
    """The site is told of a gang of the size that it got: what it might have been is the plane's matter alone."""
    stop = attempt.state == AttemptState.STOPPING
    spec = replace(workload.spec, workers=len(attempt.workers), workers_min=0) if workload.spec.is_elastic else workload.spec
    return Order(
        verb="stop" if stop else "launch",
        attempt=attempt.id,
        epoch=attempt.epoch,
        workload=attempt.workload,
        project=attempt.project,
        array_index=workload.array_index,
        spec=None if stop else spec,
        workers=attempt.workers,
        accelerator=attempt.accelerator,
        limit_ms=attempt.limit_ms,
        cause=attempt.stop_cause,
        grace_ms=workload.spec.grace_ms,
        origin="" if stop else checkpoint_of(reader, workload),
        owner="" if stop else workload.owner,
    )


def _stop_aside(row: Quarantine) -> Order:
    """To stop what was set aside: named as its site reported it, or the site would take the order for an older one."""
    seen = row.observation
    return Order(
        verb="stop",
        attempt=row.id,
        epoch=seen.get("epoch", 0),
        workload=seen.get("workload", ""),
        project=seen.get("project", ""),
        cause=Outcome.CANCELLED,
        grace_ms=GRACE_MS,
    )


def epoch_fault(site: Site, epoch: int) -> Reason | None:
    """Words of an agent that another has replaced are refused: it has to say hello again, or end."""
    if epoch == site.agent_epoch:
        return None
    return Reason.of(ReasonKind.EPOCH_STALE, epoch=epoch, current=site.agent_epoch)


def heard(tx: Tx, deed: Deed, *, site: str) -> None:
    """Note that the site's agent spoke. A heartbeat is no event."""
    row = tx.get(Site, site)
    if row is not None and abs(deed.now_ms - row.last_seen_ms) >= HEARD_EVERY_MS:
        tx.update(changed(row, last_seen_ms=deed.now_ms))


def report(tx: Tx, deed: Deed, *, site: str, report: Report) -> ReportAnswer | Reason:
    """Bring what the site sees into the store. Reports may come late, twice, and in any order."""
    tx.read_ahead({Site: (site,), Attempt: [r.attempt for r in report.reports]})
    row = tx.get(Site, site)
    if row is None:
        return not_found("site", site)
    fault = epoch_fault(row, report.epoch)
    if fault is not None:
        return fault
    nodes = report.told_nodes()
    if nodes is not None:
        changed = take_inventory(tx, site, nodes)
        if changed:
            record(tx, deed, "site.inventory", site, site=site, data={"nodes": len(changed)}, touched=touch(*changed))
    _look_ahead(tx, report.reports)
    room = _Room(tx, site)
    recorded = [r.attempt for r in _in_order(report.reports) if _take(tx, deed, row, r, room)]
    return ReportAnswer(recorded=tuple(recorded))


def _look_ahead(tx: Tx, reports: Sequence[AttemptReport]) -> None:
    """Read together what taking these in will ask for one by one. Changes nothing."""
    attempts = tx.get_many(Attempt, [r.attempt for r in reports])
    known = attempts.values()
    ending = [attempts[r.attempt] for r in reports if r.phase == "ended" and r.attempt in attempts]
    money.look_ahead(
        tx,
        ending,
        {
            Workload: {a.workload for a in known} | {r.workload for r in reports if r.attempt not in attempts},
            Quarantine: {r.attempt for r in reports},
            Project: {a.project for a in known},
            Node: {w.node for a in ending for w in a.workers},
            Policy: {policy_id(a.policy_version) for a in ending},
        },
    )


def _in_order(reports: Iterable[AttemptReport]) -> list[AttemptReport]:
    """As the attempts were placed, whatever order the agent tells them in: ends that come together are billed in a defined order,
    which decides at which of them the won that they make together is posted."""
    return sorted(reports, key=lambda r: r.attempt)


class _Room:
    """How many attempts more may be set aside at a site: counted once, as one report may tell of thousands."""

    def __init__(self, tx: Tx, site: str) -> None:
        self._tx, self._site = tx, site
        self._left = -1  # nobody has asked

    def take(self) -> bool:
        """Whether there was room for another."""
        if self._left < 0:
            self._left = max(0, QUARANTINED_MAX - self._tx.count(Quarantine, {"site": self._site, "resolved": ""}))
        if self._left == 0:
            return False
        self._left -= 1
        return True


def _take(tx: Tx, deed: Deed, site: Site, seen: AttemptReport, room: _Room) -> bool:
    """Take one report in. True when the attempt's end is durably known, so that the agent may forget it."""
    attempt = tx.get(Attempt, seen.attempt)
    if attempt is None:
        return _unknown(tx, deed, site, seen, room)
    if attempt.site != site.id or seen.epoch > attempt.epoch:
        return False  # not this agent's to speak of, or of another life: its words change nothing
    if attempt.state == AttemptState.ENDED:
        return outlived(tx, deed, attempt, seen)
    if seen.epoch < attempt.epoch:
        return False
    settle_quarantine(tx, deed, attempt.id, "adopted")
    if seen.phase == "ended":
        end_attempt(tx, deed, attempt, _outcome(seen), seen.evidence)
        return True
    if seen.phase == "running":
        _running(tx, deed, attempt, seen)
    return False


def _outcome(seen: AttemptReport) -> Outcome:
    return seen.outcome if seen.outcome != Outcome.NONE else Outcome.LOST


def _running(tx: Tx, deed: Deed, attempt: Attempt, seen: AttemptReport) -> None:
    """It runs: learnt for the first time, or with a newer checkpoint. Nothing else is worth a write."""
    if attempt.state == AttemptState.LAUNCHING:
        evidence = plausible(attempt, seen.evidence, deed.now_ms)
        running = move_attempt(tx, attempt, AttemptState.RUNNING, running_ms=deed.now_ms, evidence=evidence)
        workload = tx.get(Workload, attempt.workload)
        if workload is not None and workload.attempt == attempt.id and workload.state == WorkloadState.STARTING:
            workload = move_workload(
                tx, workload, WorkloadState.RUNNING, started_ms=workload.started_ms or deed.now_ms, rejections=0
            )
        data = {"workload": attempt.workload, "workers": len(attempt.workers)}
        record(
            tx, deed, "attempt.running", attempt.id, project=attempt.project, site=attempt.site, data=data,
            touched=touch(running, *([workload] if workload else [])),
        )  # fmt: skip
        return
    evidence = plausible(attempt, seen.evidence, deed.now_ms)  # first: what lies in the future would be newer for ever
    if evidence.checkpoint_ms > attempt.evidence.checkpoint_ms:
        noted: Attempt = tx.update(replace(attempt, evidence=evidence))
        data = {"workload": attempt.workload, "checkpoint_ms": noted.evidence.checkpoint_ms}
        record(
            tx, deed, "attempt.checkpointed", attempt.id, project=attempt.project, site=attempt.site, data=data,
            touched=touch(noted),
        )  # fmt: skip


def _unknown(tx: Tx, deed: Deed, site: Site, seen: AttemptReport, room: _Room) -> bool:
    """A site has an attempt that the plane does not know: after a restore, it was placed later than the backup.

    It is set aside for an operator, never relaunched; its workload is kept from starting until then (see `quarantined`), and its
    place from being given away until the site tells of its end (see `strangers`)."""
    known = tx.get(Quarantine, seen.attempt)
    plain = to_plain(seen)
    if known is None:
        if not room.take():
            return False
        workload = seen.workload if _may_be_its(tx, site, seen) else ""
        row = Quarantine(id=seen.attempt, site=site.id, workload=workload, seen_ms=deed.now_ms, observation=plain)
        tx.insert(row)
        data = {"workload": workload}
        record(tx, deed, "attempt.quarantined", seen.attempt, site=site.id, data=data, touched=touch(row))
    elif known.site == site.id and _tells_more(known.observation, seen):
        kept = {name: known.observation[name] for name in _PLACE if known.observation.get(name) and not plain.get(name)}
        stopping = known.stopping and seen.phase != "ended"
        row = tx.update(replace(known, observation={**plain, **kept}, stopping=stopping))
        record(tx, deed, "quarantine.observed", row.id, site=site.id, data={"phase": seen.phase}, touched=touch(row))
    return seen.phase == "ended"


_PLACE = (
    "project",
    "workers",
    "accelerator",
    "limit_ms",
    "cores_milli",
    "memory_mib",
)  # told once: a short hello leaves them out


def _tells_more(known: Mapping[str, Any], seen: AttemptReport) -> bool:
    """It has come farther, or its place is told for the first time. Reports may come in any order, a phase never goes back."""
    before, now = PHASES.get(known.get("phase", ""), -1), PHASES.get(seen.phase, -1)
    return now > before or (now == before and bool(seen.workers) and not known.get("workers"))


UNACCOUNTED = "unaccounted"  # phase of a quarantined attempt that its site does not report


def _set_aside_unaccounted(tx: Tx, deed: Deed, site: Site, reported: frozenset[str]) -> None:
    """After a restore: attempts that the plane believes to run here and that the site's agent knows nothing of.

    They may run all the same (the agent may have lost its journal, not its machine), so nothing is released or relaunched; an
    operator sees them, and attests. A report that comes after all takes them out again."""
    for state in MAY_RUN:
        for attempt in tx.find(Attempt, {"site": site.id, "state": state}):
            if attempt.id in reported or tx.get(Quarantine, attempt.id) is not None:
                continue
            row = Quarantine(
                id=attempt.id, site=site.id, workload=attempt.workload, seen_ms=deed.now_ms, observation={"phase": UNACCOUNTED}
            )
            tx.insert(row)
            data = {"workload": attempt.workload, "phase": UNACCOUNTED}
            record(tx, deed, "attempt.quarantined", attempt.id, site=site.id, data=data, touched=touch(row))


def settle_quarantine(tx: Tx, deed: Deed, attempt: str, resolved: str) -> Quarantine | None:
    """What was set aside has been accounted for, as `resolved`. Settled once, it stays as it was, unless it holds a place still
    and is dismissed; None: nothing was set aside.

    A stop that was ordered outlasts a dismissal, which gives its place away and says nothing of its end."""
    row = tx.get(Quarantine, attempt)
    dismissed = resolved == "dismissed"
    if row is None or (row.resolved and not (dismissed and row.holds_place)):
        return row
    known: Quarantine = tx.update(replace(row, resolved=resolved, stopping=row.stopping and dismissed))
    record(tx, deed, "quarantine.resolved", attempt, site=row.site, data={"as": resolved}, touched=touch(known))
    return known


def _may_be_its(tx: Tx, site: Site, seen: AttemptReport) -> bool:
    """Whether the plane may really have placed this workload at this site and forgotten it. Only a restore forgets; and an
    agent's word alone must not hold up work that could never have been at its site."""
    if plane_of(tx).incarnation == 1:
        return False
    workload = tx.get(Workload, seen.workload)
    return workload is not None and (not workload.spec.sites or site.id in workload.spec.sites)
