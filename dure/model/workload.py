"""What people ask to be run, and the tries to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dure.model.accelerators import Speed

# `WorkloadSpec.topology`, besides "", which asks for nothing
BLOCK = "block"  # all workers in one topology block, or on one node
ANYWHERE = "any"  # what "" is called where a word is needed
WHOLE_MILLI = 1000  # thousandths of a device
LIMIT_MS_MIN = 1000  # the shortest wall time that may be asked for: less is a slip, such as a unit left out


class WorkloadState(StrEnum):
    WAITING = "waiting"  # admitted, not placed (or placed again later)
    STARTING = "starting"  # an attempt holds devices and money, its processes are not yet reported
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    CLAIMED = "claimed"  # devices are promised, but a victim still has to leave them
    LAUNCHING = "launching"  # the agent has been, or is to be, told to launch
    RUNNING = "running"
    STOPPING = "stopping"  # the agent has been, or is to be, told to stop
    ENDED = "ended"


class Outcome(StrEnum):
    """How an attempt ended. Empty while it has not."""

    NONE = ""
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # the tenant's command ended with a non-zero status
    TIMED_OUT = "timed_out"  # reached its limit
    CANCELLED = "cancelled"  # somebody asked
    PREEMPTED = "preempted"  # made room for another; refunded, runs again
    REJECTED = "rejected"  # the backend could not launch it; nothing ran, nothing is billed
    LOST = "lost"  # its node or shim died, or an operator attested so; billed up to the last evidence
    WITHDRAWN = "withdrawn"  # a claim given up before anything was launched


TERMINAL: frozenset[WorkloadState] = frozenset({WorkloadState.SUCCEEDED, WorkloadState.FAILED, WorkloadState.CANCELLED})

# Which state may follow which. Checked on every write.
WORKLOAD_NEXT: Mapping[WorkloadState, frozenset[WorkloadState]] = {
    WorkloadState.WAITING: frozenset({WorkloadState.STARTING, WorkloadState.CANCELLED, WorkloadState.FAILED}),
    WorkloadState.STARTING: frozenset(
        {
            WorkloadState.RUNNING,
            WorkloadState.WAITING,
            WorkloadState.SUCCEEDED,
            WorkloadState.FAILED,
            WorkloadState.CANCELLED,
        }
    ),
    WorkloadState.RUNNING: frozenset(
        {
            WorkloadState.WAITING,
            WorkloadState.STARTING,  # it is moved
            WorkloadState.SUCCEEDED,
            WorkloadState.FAILED,
            WorkloadState.CANCELLED,
        }
    ),
    WorkloadState.SUCCEEDED: frozenset(),
    WorkloadState.FAILED: frozenset(),
    WorkloadState.CANCELLED: frozenset(),
}

ATTEMPT_NEXT: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.CLAIMED: frozenset({AttemptState.LAUNCHING, AttemptState.ENDED}),
    AttemptState.LAUNCHING: frozenset({AttemptState.RUNNING, AttemptState.STOPPING, AttemptState.ENDED}),
    AttemptState.RUNNING: frozenset({AttemptState.STOPPING, AttemptState.ENDED}),
    AttemptState.STOPPING: frozenset({AttemptState.ENDED}),
    AttemptState.ENDED: frozenset(),
}
ATTEMPT_LIVE: tuple[AttemptState, ...] = tuple(state for state in AttemptState if state != AttemptState.ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one worker needs. A gang of n workers needs n times this, all at once."""

    cores_milli: int = 1000
    memory_mib: int = 512
    devices: int = 0  # whole ones
    share_milli: int = 0  # or so many thousandths of one, below 1000, beside others
    accelerators: tuple[str, ...] = ()  # accepted types, best first; empty where it wants devices means any
    speeds: tuple[Speed, ...] = ()  # of these, against the first; of one that is not here as fast as that

    @property
    def devices_milli(self) -> int:
        """Thousandths of devices, whole ones or a share."""
        return WHOLE_MILLI * self.devices + self.share_milli

    @property
    def wants_devices(self) -> bool:
        return self.devices_milli > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSpec:
    """A job as its owner described it; never changed after submission."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    bundle: str = ""  # sha256 of the code archive, "" when the command needs none
    demand: Demand = field(default_factory=Demand)
    workers: int = 1  # > 1 is a gang: whole or absent, unless it names the fewest
    workers_min: int = 0  # the fewest that an elastic gang runs with; 0: as many as it asks for
    limit_ms: int = 0  # wall time; 0 takes the policy's default
    deadline_ms: int = 0  # by when it has to be over, by its limit and grace; 0: any time will do
    priority: str = "normal"  # name of a priority class of the policy
    preemptible: bool = True
    checkpoint_interval_ms: int = 0  # 0: writes no checkpoints
    depends_on: tuple[str, ...] = ()  # workload or array ids that must have succeeded
    retries: int = 0  # further tries after a failure of the tenant's own command
    sites: tuple[str, ...] = ()  # allowed sites; empty means all
    datasets: tuple[str, ...] = ()  # names of the data sets that it reads: better where they are
    topology: str = ""  # how near to each other its workers have to be: "" anywhere at a site, or BLOCK
    grace_ms: int = 10_000  # between the polite signal and the kill

    @property
    def fewest(self) -> int:
        """With how many workers it starts at least."""
        return self.workers_min or self.workers

    @property
    def is_elastic(self) -> bool:
        return self.fewest < self.workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One element that is placed as a whole: a job, a gang, or one element of an array."""

    id: str
    project: str
    owner: str  # actor id
    spec: WorkloadSpec
    state: WorkloadState = WorkloadState.WAITING
    array_id: str = ""  # the id under which all elements were submitted; "" outside arrays
    array_index: int = -1
    origin: str = ""  # the workload of which it is a changed copy, and from whose checkpoint it may go on; "" when of none
    submitted_ms: int = 0
    eligible_ms: int = 0  # not placed before this moment (pause after a rejected or lost attempt)
    started_ms: int = 0  # first time that it ran
    ended_ms: int = 0
    attempt: str = ""  # id of the live attempt, "" when there is none
    attempts: int = 0  # how many tries so far
    failures: int = 0  # of those, how many count against `spec.retries`
    rejections: int = 0  # launches in a row that the backend refused
    cancel_asked_ms: int = 0
    reason: Mapping[str, Any] = field(default_factory=dict)  # why it ended, as Reason.to_json(); waiting: see WaitNote
    quoted_won: int = 0  # the most it may cost per attempt, as told at submission
    policy_version: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Where one worker of an attempt sits."""

    node: str  # node id
    devices: tuple[int, ...] = ()  # device indices on that node


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the site can show for an attempt. Times are the site's; durations are monotonic and are what is billed."""

    started_ms: int = 0
    ended_ms: int = 0
    run_ms: int = 0
    cpu_ms: int = 0
    rss_max_mib: int = 0
    exit_code: int | None = None  # of the first worker that failed, else 0; None while running or unknown
    signal: int = 0
    checkpoint_ms: int = 0  # site time of the last checkpoint seen, 0 when none
    detail: str = ""  # a short machine word, such as "no_such_command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where an attempt that makes room goes on when it has ended: in a place that is kept for it until then."""

    attempt: str = ""  # id of the attempt that it will be there; "": it does not go on, but waits again
    epoch: int = 0  # of the controller that keeps the place
    workers: tuple[Worker, ...] = ()
    limit_ms: int = 0  # at most: less what it saves until then


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to run a workload: placement, fencing epoch, evidence of use."""

    id: str
    workload: str
    project: str
    site: str
    epoch: int  # of the controller that placed it; goes with every order and report
    accelerator: str = ""  # type placed on, "" for none
    workers: tuple[Worker, ...] = ()  # of an elastic gang as many as it got: all that is held, billed and told to it is for these
    state: AttemptState = AttemptState.LAUNCHING
    outcome: Outcome = Outcome.NONE
    stop_cause: Outcome = Outcome.NONE  # why it was told to stop: cancelled, preempted, timed_out
    beneficiary: str = ""  # workload id that its preemption makes room for
    reclaimed_by: str = ""  # project whose quota it borrowed and has to give back; "": that is not why it makes room
    move: Move = field(default_factory=Move)  # where it goes on, if that is why it makes room
    moved_from: str = ""  # id of the attempt that was moved here
    victims: tuple[str, ...] = ()  # attempt ids that have to end before a claimed attempt is launched
    placed_ms: int = 0
    running_ms: int = 0  # when the plane learned that it runs
    stop_asked_ms: int = 0
    ended_ms: int = 0
    limit_ms: int = 0
    currency: str = "KRW"
    held: int = 0
    settled: int = 0
    refunded: int = 0
    # The exact charge is `settled` whole units and this many nano-units; below zero where the remainder paid for a part of
    # what was posted. The exact refund likewise. Between minus and plus one unit, so that every JSON reader keeps them whole.
    charge_rest_nano: int = 0
    refund_rest_nano: int = 0
    energy_mwh: int = 0  # milliwatt-hours at the meter, PUE in
    energy_basis: str = ""  # "measured" or "modelled"
    evidence: Evidence = field(default_factory=Evidence)
    policy_version: int = 0
    version: int = 1
