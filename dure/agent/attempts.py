"""What the agent knows of one attempt, and what an order asks of it. Pure: no clock, no disk, no backend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from dure.model.link import AttemptReport, Order
from dure.model.workload import Evidence, Outcome
from dure.ports import LaunchOrder, Observation

NEVER_LAUNCHED = "never_launched"
VANISHED = "vanished"

_RANK = {"launching": 0, "running": 1, "ended": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One attempt, as it stands in the journal."""

    attempt: str
    fence: int  # highest epoch that an order named; an order with an older one is refused
    order: Order | None = None  # the launch order, None when the agent found or refused the attempt without one
    stop: Order | None = None
    report: AttemptReport | None = None  # what the backend last said; None while it has said nothing
    recorded: bool = False  # the plane has durably billed its end


class Stage(StrEnum):
    """How far the agent itself has come with an attempt that the backend has said nothing about."""

    QUEUED = "queued"  # journaled; the backend has not been asked
    ASKED = "asked"  # the backend has been asked, and may have launched it
    PARKED = "parked"  # journaled by an earlier life, and the backend does not list it: launched when the order is repeated
    KNOWN = "known"  # the backend has spoken


class Verdict(StrEnum):
    """What an order asks for, given what is known."""

    LAUNCH = "launch"
    STOP = "stop"
    TOMBSTONE = "tombstone"  # nothing was launched, and nothing with this epoch or an older one ever will be
    REPEAT = "repeat"  # it was carried out: say again what is known
    WAIT = "wait"  # it is being carried out
    STALE = "stale"  # an older controller's order
    IGNORE = "ignore"  # a verb that this agent does not know


def verdict(order: Order, known: Known | None, stage: Stage) -> Verdict:
    """What `order` asks for. `stage` matters only while the backend has said nothing of the attempt."""
    if order.verb not in ("launch", "stop"):
        return Verdict.IGNORE
    if known is not None and order.epoch < known.fence:
        return Verdict.STALE
    return _on_launch(order, known, stage) if order.verb == "launch" else _on_stop(order, known, stage)


def _on_launch(order: Order, known: Known | None, stage: Stage) -> Verdict:
    if known is None:
        return Verdict.LAUNCH
    if known.report is None:
        return Verdict.LAUNCH if stage is Stage.PARKED and known.stop is None else Verdict.WAIT
    return Verdict.LAUNCH if is_tombstone(known) and order.epoch > known.fence else Verdict.REPEAT


def _on_stop(order: Order, known: Known | None, stage: Stage) -> Verdict:
    if known is None:
        return Verdict.TOMBSTONE
    if is_ended(known):
        return Verdict.REPEAT
    if known.report is None and stage is Stage.QUEUED:
        return Verdict.TOMBSTONE
    return Verdict.WAIT if known.stop == order else Verdict.STOP


def is_ended(known: Known) -> bool:
    return known.report is not None and known.report.phase == "ended"


def is_tombstone(known: Known) -> bool:
    """Ended without ever having been launched, so that a later epoch may still launch it."""
    report = known.report
    return report is not None and report.outcome is Outcome.REJECTED and report.evidence.detail == NEVER_LAUNCHED


def launched(order: Order) -> Known:
    """A launch order, as it is journaled before anything is done about it."""
    return Known(attempt=order.attempt, fence=order.epoch, order=order)


def fenced(known: Known, order: Order) -> Known:
    return replace(known, fence=max(known.fence, order.epoch))


def stopping(known: Known, order: Order) -> Known:
    return replace(fenced(known, order), stop=order)


def tombstone(stop: Order, known: Known | None = None) -> Known:
    """The answer to a stop of what was never launched: the plane may release what it holds."""
    base = known or Known(attempt=stop.attempt, fence=stop.epoch)
    return rejected(stopping(base, stop), NEVER_LAUNCHED)


def rejected(known: Known, detail: str) -> Known:
    """Ended before the backend was asked, for a reason of the site's."""
    order = known.order or known.stop
    return known if order is None else replace(known, report=_rejected(order, detail))


def _rejected(order: Order, detail: str) -> AttemptReport:
    return replace(_blank(order), phase="ended", outcome=Outcome.REJECTED, evidence=Evidence(detail=detail))


def _blank(order: Order) -> AttemptReport:
    return AttemptReport(
        attempt=order.attempt,
        epoch=order.epoch,
        workload=order.workload,
        phase="launching",
        project=order.project,
        workers=order.workers,
        accelerator=order.accelerator,
        limit_ms=order.limit_ms,
        cores_milli=order.spec.demand.cores_milli if order.spec else 0,
        memory_mib=order.spec.demand.memory_mib if order.spec else 0,
    )


def found(seen: Observation) -> Known:
    """An attempt that the backend runs and the journal does not know (the journal was lost): reported, never touched."""
    report = AttemptReport(attempt=seen.attempt, epoch=seen.epoch, workload=seen.workload, phase=seen.phase)
    return Known(attempt=seen.attempt, fence=seen.epoch, report=replace(report, outcome=seen.outcome, evidence=seen.evidence))


def folded(known: Known, seen: Observation) -> Known:
    """`known` with what the backend says now. A phase never goes back: observations may come late and out of order."""
    report = known.report or (_blank(known.order) if known.order else found(seen).report)
    if report is None or _RANK.get(seen.phase, -1) < _RANK[report.phase] or report.phase == "ended":
        return known
    return replace(known, report=replace(report, phase=seen.phase, outcome=seen.outcome, evidence=seen.evidence))


def vanished(known: Known) -> Known:
    """The backend no longer lists what it once ran: lost, with the last evidence there is."""
    if known.report is None:
        return known
    last = known.report.evidence
    evidence = replace(last, ended_ms=last.started_ms + last.run_ms if last.started_ms else 0, detail=VANISHED)
    return replace(known, report=replace(known.report, phase="ended", outcome=Outcome.LOST, evidence=evidence))


def same_story(old: AttemptReport | None, new: AttemptReport | None) -> bool:
    """Whether two reports differ in nothing but how far the attempt has come."""
    if old is None or new is None:
        return old is new
    return (old.phase, old.outcome, old.evidence.started_ms) == (new.phase, new.outcome, new.evidence.started_ms)


def overran(known: Known, slack_ms: int) -> bool:
    """Whether a running attempt is so far beyond its limit that its backend has failed to end it."""
    if known.report is None or known.report.phase != "running" or known.report.limit_ms <= 0:
        return False
    return known.report.evidence.run_ms > known.report.limit_ms + grace_ms(known) + slack_ms


def grace_ms(known: Known) -> int:
    return known.order.spec.grace_ms if known.order and known.order.spec else 10_000


def launch_order(order: Order, bundle_path: str) -> LaunchOrder | None:
    """What the backend is asked, or None when the order lacks what a launch needs."""
    if order.spec is None or not order.spec.command or not order.workers:
        return None
    return LaunchOrder(
        attempt=order.attempt,
        epoch=order.epoch,
        workload=order.workload,
        project=order.project,
        array_index=order.array_index,
        spec=order.spec,
        workers=order.workers,
        accelerator=order.accelerator,
        limit_ms=order.limit_ms,
        bundle_path=bundle_path,
        env=_env(order),
        origin=order.origin,
        owner=order.owner,
    )


def _env(order: Order) -> dict[str, str]:
    env = {"DURE_ATTEMPT": order.attempt, "DURE_WORKLOAD": order.workload, "DURE_PROJECT": order.project}
    return env if order.array_index < 0 else {**env, "DURE_ARRAY_INDEX": str(order.array_index)}
