"""What a site's agent and the plane say to each other. The agent calls; the plane answers. PROTOCOL is in every hello; the
plane talks to N and N-1 (members are only ever added, and readers ignore what they do not know)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dure.model.workload import Evidence, Outcome, Worker, WorkloadSpec

PROTOCOL = 1
PROTOCOL_OLDEST = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """First word of an agent's life, and again whenever the plane's incarnation or its own epoch turns out stale."""

    protocol: int
    agent_version: str
    boot_id: str
    describe: Mapping[str, Any]  # Driver.describe()
    nodes: tuple[Mapping[str, Any], ...]  # Driver.inventory()
    reports: tuple[AttemptReport, ...] = ()  # everything that the agent's journal knows: makes the incarnation confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloAnswer:
    epoch: int  # of this agent session; goes with every later word
    incarnation: int
    now_ms: int
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptReport:
    """What the site knows of one attempt. phase: launching, running, ended."""

    attempt: str
    epoch: int  # the attempt's own, from the order that launched it
    workload: str
    phase: str
    outcome: Outcome = Outcome.NONE
    evidence: Evidence = field(default_factory=Evidence)
    project: str = ""
    workers: tuple[Worker, ...] = ()
    accelerator: str = ""
    limit_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Long poll for orders. `busy`: "ATTEMPT:VERB" of the orders that the agent has and is carrying out."""

    epoch: int
    wait_ms: int = 0
    busy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """verb "launch" or "stop". Repeated until the agent reports that it was carried out; doing so twice changes nothing."""

    verb: str
    attempt: str
    epoch: int
    workload: str = ""
    project: str = ""
    array_index: int = -1
    spec: WorkloadSpec | None = None
    workers: tuple[Worker, ...] = ()
    accelerator: str = ""
    limit_ms: int = 0
    cause: Outcome = Outcome.NONE  # of a stop
    grace_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogWant:
    """Somebody reads this log, from this byte on."""

    attempt: str
    worker: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PollAnswer:
    incarnation: int
    orders: tuple[Order, ...] = ()
    logs: tuple[LogWant, ...] = ()
    head: Mapping[str, Any] = field(default_factory=dict)  # signed head of the event chain, for the journal; {} when unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    epoch: int
    reports: tuple[AttemptReport, ...] = ()
    nodes: tuple[Mapping[str, Any], ...] = ()  # inventory, when it changed


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAnswer:
    """recorded: attempts whose end is durably billed, so that the agent may forget them."""

    recorded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """Bytes of a log, base64. `ended`: the attempt has ended and nothing comes after these. `more`: the log went on behind
    these when they were read, or nobody can tell."""

    epoch: int
    attempt: str
    worker: int
    offset: int
    data: str = ""
    ended: bool = False
    more: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAnswer:
    """offset to send next, or -1 when nobody reads any more. Given only when there is room: that is the back-pressure."""

    offset: int = -1
