"""How a trace is to be read: every choice that a reader makes where a format leaves something open, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from dure.simulator.traces.faults import Fault, FaultKind
from dure.simulator.traces.trace import Trace


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Without options nothing is assumed: what a trace does not say stays unknown."""

    skip_bad: bool = False  # pass over rows that cannot be used, and count them by kind of fault
    format: str = ""  # a reader's name (registry.READERS); "" finds it by what the file holds
    queues: frozenset[str] | None = None  # the only queues that there are: a job of another one is a fault; None takes all
    variant: str = "default"  # of a file with a column `variant` (openb): which list to read
    devices_per_node: int = 0  # a job of more devices becomes a gang of whole nodes and a rest; 0 leaves it as told
    cores_milli_per_device: int = -1  # for jobs whose cores are unknown: so many a device (shares in proportion); -1 none
    memory_mib_per_device: int = -1  # likewise
    swf_processor: str = "core"  # what one processor of an SWF log is: "core" (a worker each) or "device" (one worker of them)
    allocated: bool = False  # sacct: take what was allocated, not what was asked for (AllocTRES before ReqTRES)
    philly_span: bool = False  # Philly's JSON: duration is first start to last end, not the sum of the attempts


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A trace, and what was not taken into it. skipped: rows passed over for a fault; left_out: records that the format itself
    says are no jobs (steps, partial executions), or that say nothing of what was asked for; header: what the file says of
    itself."""

    trace: Trace
    format: str
    skipped: Mapping[FaultKind, int] = field(default_factory=dict)
    first: tuple[Fault, ...] = ()  # of the skipped
    left_out: Mapping[str, int] = field(default_factory=Counter)
    header: Mapping[str, str] = field(default_factory=dict)
