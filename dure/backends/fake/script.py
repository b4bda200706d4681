"""What a pretended command does, and what therefore becomes of an attempt at a given moment. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dure.model.codec import changed
from dure.model.workload import Evidence, Outcome
from dure.ports import LaunchOrder, Observation

SIGTERM, SIGKILL = 15, 9
FOREVER_MS = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """run_ms: how long the work takes in all, None: exactly up to its limit. A gang acts as one."""

    run_ms: int | None = None
    launch_ms: int = 0  # between the launch and the first moment of running
    exit_code: int = 0
    signal: int = 0  # it dies of this signal; the exit code is then 128 + signal
    detail: str = ""
    term_ms: int | None = 0  # how long it takes to end after a polite signal; None: ignores it, and is killed after the grace
    overstays: bool = False  # its backend does not end it at its limit: work of a trace that ran longer did so
    cpu_permille: int = 1000  # CPU time per run time and worker
    rss_max_mib: int = 1
    reject: str = ""  # not empty: the launch is rejected with this detail
    log: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the fake remembers of an attempt: causes with their moments, never an outcome. `fate` derives that."""

    order: LaunchOrder
    script: Script
    launched_ms: int
    saved_ms: int = 0  # work that earlier attempts of the workload had saved: it is not done again
    stop_ms: int = FOREVER_MS
    stop_cause: Outcome = Outcome.NONE
    stop_grace_ms: int = 0
    died_ms: int = FOREVER_MS  # when one of its nodes died
    rejected: str = ""

    @property
    def started_ms(self) -> int:
        return self.launched_ms + self.script.launch_ms


@dataclass(frozen=True, slots=True)
class _End:
    at_ms: int
    outcome: Outcome
    exit_code: int | None = 0
    signal: int = 0
    detail: str = ""


def fate(record: Record, now_ms: int) -> Observation:
    """What a backend would see of this attempt at `now_ms`."""
    if record.rejected:
        return _observation(record, "ended", Outcome.REJECTED, Evidence(detail=record.rejected))
    end = _end_of(record)
    if end.at_ms > now_ms:
        phase = "running" if now_ms >= record.started_ms else "launching"
        return _observation(record, phase, Outcome.NONE, _evidence(record, now_ms))
    evidence = changed(
        _evidence(record, end.at_ms),
        started_ms=min(record.started_ms, end.at_ms),
        ended_ms=end.at_ms,
        exit_code=end.exit_code,
        signal=end.signal,
        detail=end.detail,
    )
    return _observation(record, "ended", end.outcome, evidence)


def next_change_ms(record: Record, now_ms: int) -> int | None:
    """When the phase of this attempt changes next; None when it has ended."""
    end_ms = FOREVER_MS if record.rejected else _end_of(record).at_ms
    if record.rejected or end_ms <= now_ms:
        return None
    return record.started_ms if now_ms < record.started_ms else min(end_ms, record.died_ms)


def has_ended(record: Record, now_ms: int) -> bool:
    return bool(record.rejected) or _end_of(record).at_ms <= now_ms


def progress_ms(record: Record, now_ms: int) -> int:
    """Work that is saved in checkpoints by `now_ms`, that of earlier attempts included."""
    return record.saved_ms + _saved_here_ms(record, min(now_ms, _end_of(record).at_ms))


def _end_of(record: Record) -> _End:
    """The first of: its own end, the end after its limit, the end after a stop, the death of its node."""
    script = record.script
    natural = _End(record.started_ms + _work_ms(record), Outcome.SUCCEEDED, script.exit_code, script.signal, script.detail)
    if script.signal:
        natural = replace(natural, outcome=Outcome.FAILED, exit_code=128 + script.signal)
    elif script.exit_code:
        natural = replace(natural, outcome=Outcome.FAILED)
    limit_ms = record.started_ms + record.order.limit_ms
    causes = [
        natural,
        None if script.overstays else _stopped(record, limit_ms, Outcome.TIMED_OUT, record.order.spec.grace_ms, natural),
        _stopped(record, record.stop_ms, record.stop_cause, record.stop_grace_ms, natural),
    ]
    first = min((c for c in causes if c is not None), key=lambda c: c.at_ms)
    if record.died_ms < first.at_ms:
        return _End(record.died_ms, Outcome.LOST, exit_code=None, detail="node_lost")
    return first


def _stopped(record: Record, asked_ms: int, cause: Outcome, grace_ms: int, natural: _End) -> _End | None:
    """The end that a polite signal at `asked_ms` brings about; None when the work is done by then. Once asked, the cause
    names the outcome, whatever the command made of it."""
    if asked_ms >= natural.at_ms:
        return None
    if asked_ms < record.started_ms:
        return _End(asked_ms, cause)
    term_ms = record.script.term_ms
    ignored = term_ms is None or term_ms > grace_ms
    at_ms = asked_ms + (grace_ms if term_ms is None or ignored else term_ms)
    if natural.at_ms < at_ms:
        return replace(natural, outcome=cause)
    number = SIGKILL if ignored else SIGTERM
    return _End(at_ms, cause, 128 + number, number)


def _work_ms(record: Record) -> int:
    run_ms = record.order.limit_ms if record.script.run_ms is None else record.script.run_ms
    return max(0, run_ms - record.saved_ms)


def _evidence(record: Record, at_ms: int) -> Evidence:
    run_ms = max(0, at_ms - record.started_ms)
    saved_ms = _saved_here_ms(record, at_ms)
    return Evidence(
        started_ms=record.started_ms if at_ms >= record.started_ms else 0,
        run_ms=run_ms,
        cpu_ms=run_ms * record.script.cpu_permille * len(record.order.workers) // 1000,
        rss_max_mib=record.script.rss_max_mib if run_ms else 0,
        # what was there at the start counts as saved at the start, as with the backends that look into folders
        checkpoint_ms=record.started_ms + saved_ms if run_ms and (saved_ms or record.saved_ms) else 0,
    )


def _saved_here_ms(record: Record, at_ms: int) -> int:
    interval_ms = record.order.spec.checkpoint_interval_ms
    run_ms = max(0, at_ms - record.started_ms)
    return run_ms // interval_ms * interval_ms if interval_ms > 0 and not record.rejected else 0


def _observation(record: Record, phase: str, outcome: Outcome, evidence: Evidence) -> Observation:
    order = record.order
    return Observation(
        attempt=order.attempt, epoch=order.epoch, workload=order.workload, phase=phase, outcome=outcome, evidence=evidence
    )
