"""A plane, a backend and a clock in memory, with the faults that the real ones have."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dure.agent.agent import Agent
from dure.agent.journal import Journal
from dure.agent.settings import AgentSettings
from dure.errors import ApiError, BackendError, LinkError
from dure.model.codec import to_plain
from dure.model.link import (
    AttemptReport,
    Hello,
    HelloAnswer,
    LogAnswer,
    LogChunk,
    LogWant,
    Order,
    Poll,
    PollAnswer,
    Report,
    ReportAnswer,
)
from dure.model.workload import Evidence, Outcome, Worker, WorkloadSpec
from dure.ports import LaunchOrder, Observation

SPEC = WorkloadSpec(name="job", command=("true",), grace_ms=5_000)


class ManualClock:
    def __init__(self, now_ms: int = 1_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, ms: int) -> None:
        self._now_ms += ms


class CountingEntropy:
    """Chance without chance: counts."""

    def __init__(self) -> None:
        self._count = 0

    def new_id(self, prefix: str, now_ms: int) -> str:
        self._count += 1
        return f"{prefix}_{self._count}"

    def secret(self, n_bytes: int) -> str:
        self._count += 1
        return f"{self._count:0{n_bytes}d}"


class StrictDriver:
    """A backend that outlives its agents and counts what really starts. `faults`: verbs whose next call raises before it acts;
    `late_faults`: after it acted."""

    def __init__(self) -> None:
        self.seen: dict[str, Observation] = {}
        self.orders: dict[str, LaunchOrder] = {}
        self.starts: Counter[str] = Counter()
        self.stops: list[tuple[str, Outcome, int]] = []
        self.calls: list[tuple[str, str]] = []
        self.forgotten: list[str] = []
        self.faults: list[str] = []
        self.late_faults: list[str] = []
        self.phase = "running"  # what a launch comes to at once
        self.reject = ""
        self.nodes: list[dict[str, Any]] = [{"name": "n0", "cores_milli": 4000}]
        self.logs: dict[tuple[str, int], bytes] = {}
        self.in_launch: Any = None  # called in the middle of a launch
        self.lock = threading.RLock()
        self.launched = threading.Semaphore(0)

    def describe(self) -> Mapping[str, Any]:
        return {"name": "strict", "authority": "exact"}

    def inventory(self) -> Sequence[Mapping[str, Any]]:
        return [dict(n) for n in self.nodes]

    def launch(self, order: LaunchOrder) -> Observation:
        self._fault("launch", order.attempt)
        if self.in_launch is not None:
            self.in_launch()
        with self.lock:
            if order.attempt not in self.seen:
                self._start(order)
            seen = self.seen[order.attempt]
        self._late_fault("launch")
        self.launched.release()
        return seen

    def _start(self, order: LaunchOrder) -> None:
        phase, outcome, evidence = self.phase, Outcome.NONE, Evidence(started_ms=5)
        if self.reject:
            phase, outcome, evidence = "ended", Outcome.REJECTED, Evidence(detail=self.reject)
        else:
            self.starts[order.attempt] += 1
        self.orders[order.attempt] = order
        self.seen[order.attempt] = Observation(
            attempt=order.attempt, epoch=order.epoch, workload=order.workload, phase=phase, outcome=outcome, evidence=evidence
        )

    def stop(self, attempt: str, cause: Outcome, grace_ms: int) -> None:
        self._fault("stop", attempt)
        with self.lock:
            self.stops.append((attempt, cause, grace_ms))
            if attempt in self.seen and self.seen[attempt].phase != "ended":
                self.end(attempt, cause)

    def observe(self, attempts: Collection[str] | None = None) -> Sequence[Observation]:
        self._fault("observe", "")
        with self.lock:
            return [o for a, o in self.seen.items() if attempts is None or a in attempts]

    def read_log(self, attempt: str, worker: int, offset: int, size: int) -> bytes:
        self._fault("read_log", attempt)
        return self.logs.get((attempt, worker), b"")[offset : offset + size]

    def forget(self, attempt: str) -> None:
        with self.lock:
            self.forgotten.append(attempt)
            self.seen.pop(attempt, None)

    def end(self, attempt: str, outcome: Outcome = Outcome.SUCCEEDED, run_ms: int = 7_000) -> None:
        with self.lock:
            evidence = Evidence(started_ms=5, ended_ms=5 + run_ms, run_ms=run_ms, exit_code=0)
            self.seen[attempt] = replace(self.seen[attempt], phase="ended", outcome=outcome, evidence=evidence)

    def progress(self, attempt: str, **evidence: Any) -> None:
        with self.lock:
            seen = self.seen[attempt]
            self.seen[attempt] = replace(seen, phase="running", evidence=replace(seen.evidence, **evidence))

    def _fault(self, verb: str, attempt: str) -> None:
        self.calls.append((verb, attempt))
        if verb in self.faults:
            self.faults.remove(verb)
            raise BackendError(f"{verb}: no answer")

    def _late_fault(self, verb: str) -> None:
        if verb in self.late_faults:
            self.late_faults.remove(verb)
            raise BackendError(f"{verb}: the answer was lost")


def stale(epoch: int, current: int) -> ApiError:
    reason = {"kind": "epoch_stale", "facts": {"epoch": epoch, "current": current}}
    return ApiError(409, {"title": "Conflict", "status": 409, "reason": reason})


@dataclass
class FakePlane:
    """A Link and the plane behind it. An order is repeated until the agent lists it as busy or a report shows that it is done.

    down: nothing gets through. lose_requests, lose_replies: words lost before, or after, the plane acted."""

    down: bool = False
    incarnation: int = 1
    epoch: int = 0
    orders: list[Order] = field(default_factory=list)
    logs: list[LogWant] = field(default_factory=list)
    head: dict[str, Any] = field(default_factory=dict)
    records: bool = True  # ends are recorded as soon as they are reported
    heeds_busy: bool = True
    lose_requests: list[str] = field(default_factory=list)
    lose_replies: list[str] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)  # attempts whose report is refused
    parts: bool = True  # False: an older plane, which takes every hello for a whole one
    confirmed: int = 0  # incarnation of the last hello that was said to its end
    hello_nodes: tuple[Mapping[str, Any], ...] = ()
    hello_bytes_max: int = 1 << 62
    hello_sizes: list[int] = field(default_factory=list)  # of those refused too
    bundles: dict[str, bytes] = field(default_factory=dict)
    bundle_fault: str = ""
    hellos: list[Hello] = field(default_factory=list)
    polls: list[Poll] = field(default_factory=list)
    reports: list[AttemptReport] = field(default_factory=list)
    nodes: list[tuple[Mapping[str, Any], ...]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    read: dict[tuple[str, int], bytes] = field(default_factory=dict)
    chunks: list[LogChunk] = field(default_factory=list)
    log_end: set[tuple[str, int]] = field(default_factory=set)
    deaf: set[tuple[str, int]] = field(default_factory=set)  # logs that nobody reads any more
    closed: bool = False
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))

    def hello(self, hello: Hello) -> HelloAnswer:
        with self._word("hello"):
            size = len(json.dumps(to_plain(hello)))
            self.hello_sizes.append(size)
            if size > self.hello_bytes_max:
                raise ApiError(413, {"title": "Content Too Large", "status": 413})
            if hello.epoch and self.parts:
                self._check(hello.epoch)
            else:
                self.epoch += 1
                self.hello_nodes = hello.nodes
            self.hellos.append(hello)
            self._take(hello.reports)
            more = hello.more and self.parts
            self.confirmed = self.confirmed if more else self.incarnation
            return HelloAnswer(epoch=self.epoch, incarnation=self.incarnation, now_ms=0, more=more)

    def poll(self, poll: Poll) -> PollAnswer:
        with self._word("poll"):
            self._check(poll.epoch)
            self.polls.append(poll)
            self.changed.notify_all()
            self.changed.wait_for(
                lambda: self.closed or self.down or self._due(poll) or self.logs or self.head, poll.wait_ms / 1000
            )
            if self.closed or self.down:
                raise LinkError("cut")
            logs, self.logs = tuple(self.logs), []
            head, self.head = self.head, {}
            return PollAnswer(incarnation=self.incarnation, orders=self._due(poll), logs=logs, head=head)

    def report(self, report: Report) -> ReportAnswer:
        with self._word("report"):
            self._check(report.epoch)
            if any(r.attempt in self.poison for r in report.reports):
                raise ApiError(400, {"title": "Bad Request", "status": 400, "reason": {"kind": "bad_field", "facts": {}}})
            nodes = report.told_nodes()
            if nodes is not None:
                self.nodes.append(nodes)
            self._take(report.reports)
            ended = tuple(r.attempt for r in report.reports if r.phase == "ended")
            return ReportAnswer(recorded=ended if self.records else ())

    def send_log(self, chunk: LogChunk) -> LogAnswer:
        with self._word("logs"):
            self._check(chunk.epoch)
            self.chunks.append(chunk)
            key = (chunk.attempt, chunk.worker)
            have = self.read.get(key, b"")
            if chunk.offset == len(have):
                self.read[key] = have + base64.b64decode(chunk.data)
            if chunk.ended:
                self.log_end.add(key)
            return LogAnswer(offset=-1 if chunk.ended or key in self.deaf else len(self.read.get(key, b"")))

    def fetch_bundle(self, project: str, sha256: str, target: Path, size_max: int) -> str:
        with self._word("bundle"):
            self.fetched.append(sha256)
            if self.bundle_fault or sha256 not in self.bundles:
                return self.bundle_fault or "bundle_missing"
            target.write_bytes(self.bundles[sha256])
            return ""

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    # -- what a test does to it

    def order(self, *orders: Order) -> None:
        with self.changed:
            self.orders += orders
            self.changed.notify_all()

    def cut(self, down: bool = True) -> None:
        with self.changed:
            self.down = down
            self.changed.notify_all()

    def wait_for(self, done: Any, timeout_s: float = 20) -> None:
        with self.changed:
            assert self.changed.wait_for(done, timeout_s), "the plane never heard it"

    def phases(self, attempt: str) -> list[str]:
        return [r.phase for r in self.reports if r.attempt == attempt]

    def last(self, attempt: str) -> AttemptReport:
        return next(r for r in reversed(self.reports) if r.attempt == attempt)

    def _due(self, poll: Poll) -> tuple[Order, ...]:
        return tuple(o for o in self.orders if not self.heeds_busy or f"{o.attempt}:{o.verb}" not in poll.busy)

    def _take(self, reports: Sequence[AttemptReport]) -> None:
        self.reports += reports
        for r in reports:
            done = ("launch", "stop") if r.phase == "ended" else ("launch",) if r.phase == "running" else ()
            self.orders = [o for o in self.orders if o.attempt != r.attempt or o.verb not in done]
        self.changed.notify_all()

    def _check(self, epoch: int) -> None:
        if epoch != self.epoch:
            raise stale(epoch, self.epoch)

    def _word(self, word: str) -> _Word:
        return _Word(self, word)


@dataclass
class _Word:
    plane: FakePlane
    word: str

    def __enter__(self) -> None:
        self.plane.changed.acquire()
        lost = self.word in self.plane.lose_requests
        if lost:
            self.plane.lose_requests.remove(self.word)
        if lost or self.plane.down or self.plane.closed:
            self.plane.changed.release()
            raise LinkError(f"{self.word}: the plane could not be reached")

    def __exit__(self, kind: Any, *_: Any) -> None:
        self.plane.changed.notify_all()
        self.plane.changed.release()
        if kind is None and self.word in self.plane.lose_replies:
            self.plane.lose_replies.remove(self.word)
            raise LinkError(f"{self.word}: the answer was lost")


def launch(attempt: str, epoch: int = 1, **spec: Any) -> Order:
    return Order(
        verb="launch",
        attempt=attempt,
        epoch=epoch,
        workload=f"w-{attempt}",
        project="p",
        spec=replace(SPEC, **spec),
        workers=(Worker(node="site/n0"),),
        limit_ms=60_000,
    )


def stop(attempt: str, epoch: int = 1, cause: Outcome = Outcome.CANCELLED, grace_ms: int = 1_000) -> Order:
    return Order(verb="stop", attempt=attempt, epoch=epoch, workload=f"w-{attempt}", cause=cause, grace_ms=grace_ms)


class Bench:
    """A site whose agent may die and come back; plane, backend and journal remain."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.plane = FakePlane()
        self.driver = StrictDriver()
        self.clock = ManualClock()
        self.journal = Journal.in_memory()
        self.settings = AgentSettings(folder=folder, boot_id="boot", **settings)
        self.agent = self.restart()

    def restart(self) -> Agent:
        """kill -9 and start again: nothing but the journal and the backend remembers."""
        self.agent = Agent(self.driver, self.plane, self.journal, self.clock, self.settings)
        return self.agent
