"""What a site's agent and the plane say to each other. The agent calls; the plane answers. PROTOCOL is in every hello; the
plane talks to N and N-1 (members are only ever added, and readers ignore what they do not know)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dure.model.codec import INFORMATIONAL, UNREADABLE, nothing, one_by_one
from dure.model.workload import Evidence, Outcome, Worker, WorkloadSpec

PROTOCOL = 1
PROTOCOL_OLDEST = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """First word of an agent's life, and again whenever the plane's incarnation or its own epoch turns out stale.

    It may be said in parts: each but the last has `more`, each but the first the `epoch` that the first was answered with.
    What all parts tell counts as one hello, and only the last makes the incarnation confirmed. The inventory is in the first."""

    protocol: int
    agent_version: str
    boot_id: str
    describe: Mapping[str, Any]  # Driver.describe()
    nodes: tuple[Mapping[str, Any], ...]  # Driver.inventory()
    reports: tuple[AttemptReport, ...] = ()  # everything that the agent's journal knows
    more: bool = False  # another part follows
    epoch: int = 0  # of the hello that this is a part of; 0: this is a new one


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloAnswer:
    epoch: int  # of this agent session; goes with every later word
    incarnation: int
    now_ms: int
    protocol: int = PROTOCOL
    more: bool = False  # the plane waits for the next part; an older plane takes every hello for a whole one


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptReport:
    """What the site knows of one attempt. phase: launching, running, ended."""

    attempt: str
    epoch: int  # the attempt's own, from the order that launched it
    workload: str
    phase: str
    outcome: Outcome = field(default=Outcome.NONE, metadata=INFORMATIONAL)  # of an end: NONE counts as lost
    evidence: Evidence = field(default_factory=Evidence)
    project: str = ""
    workers: tuple[Worker, ...] = ()
    accelerator: str = ""
    limit_ms: int = 0
    cores_milli: int = 0  # per worker; 0: not told, by an older agent or of an attempt without its order
    memory_mib: int = 0  # per worker, likewise


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
    cause: Outcome = field(default=Outcome.NONE, metadata=INFORMATIONAL)  # of a stop, carried out whatever its cause
    grace_ms: int = 0
    origin: str = ""  # of a launch: the workload whose checkpoint it goes on from; "": none. An older agent starts from nothing
    owner: str = ""  # of a launch: the actor whose work it is; "": told by an older plane, which knew no owners here


GRACE_MS = 10_000  # of a stop that can be read no further


def unread_order(plain: Any) -> Order | None:
    """What is left of an order that this version cannot read: a stop is carried out all the same, anything else has nothing that
    could be, so that it is refused (`bad_order`) and the plane may place the work elsewhere. None: its attempt is not known."""
    try:
        named = [type(plain[name]) is str for name in ("verb", "attempt")]
        if not all(named) or type(plain["epoch"]) is not int:
            return None
    except UNREADABLE:
        return None
    workload = plain.get("workload")
    return Order(
        verb=plain["verb"],
        attempt=plain["attempt"],
        epoch=plain["epoch"],
        workload=workload if type(workload) is str else "",
        grace_ms=GRACE_MS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogWant:
    """Somebody reads this log, from this byte on."""

    attempt: str
    worker: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PollAnswer:
    incarnation: int
    orders: tuple[Order, ...] = field(default=(), metadata=one_by_one(unread_order))
    logs: tuple[LogWant, ...] = field(default=(), metadata=one_by_one(nothing))
    head: Mapping[str, Any] = field(default_factory=dict)  # signed head of the event chain, for the journal; {} when unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    epoch: int
    reports: tuple[AttemptReport, ...] = ()
    nodes: tuple[Mapping[str, Any], ...] = ()  # the whole inventory, when it changed
    inventory: bool = False  # `nodes` is it, even when empty: an older agent's empty list is no news

    def told_nodes(self) -> tuple[Mapping[str, Any], ...] | None:
        """The inventory, () when there is nothing at the site any more; None: no news."""
        return self.nodes if self.inventory or self.nodes else None


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
