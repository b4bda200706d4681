"""The columns of a trace: what was asked for, when, by whom, and what is known of how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.errors import require

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I8 = NDArray[np.int8]
Bool = NDArray[np.bool_]

UNKNOWN = -1  # in every column where 0 is a value of its own

# codes of Trace.status
STATUSES = (
    "unknown", "completed", "failed", "cancelled", "timeout", "running", "pending", "preempted", "node_fail", "out_of_memory",
)  # fmt: skip
(STATUS_UNKNOWN, COMPLETED, FAILED, CANCELLED, TIMEOUT, RUNNING, PENDING, PREEMPTED, NODE_FAIL, OUT_OF_MEMORY) = range(10)


@dataclass(frozen=True, slots=True)
class Member:
    """What a tenant is in fair share: its weight, among those of its organisation; "": among organisations, as one of them."""

    weight: int = 1
    organisation: str = ""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Jobs in order of submission (ties in the order of the file). Every array has one entry a job and is read-only.

    A job is `workers` equal workers, each of which needs `devices` whole devices, or `share_milli` thousandths of one device,
    with its cores and memory; and, where `rest` is not 0, one more worker with that many devices and as much of cores and memory
    as its devices are of the others'. Table entries are alternatives, best first; index -1 means any (accelerator, residency) or
    unknown."""

    submit_ms: I64  # since the trace's zero; -1 in all rows when the trace has an order but no times
    duration_ms: I64  # run time; -1 unknown; up to the end of the trace where status is running
    workers: I64
    workers_min: I64  # less than `workers`: an elastic gang
    cores_milli: I64  # per worker; -1 unknown
    memory_mib: I64  # per worker; -1 unknown
    devices: I64  # per worker, whole
    share_milli: I64  # of one device, 1 to 999, only where devices is 0; else 0
    rest: I64  # devices of one further, smaller worker; 0 none
    accelerator: I32  # into accelerators; -1 any
    residency: I32  # into residencies; -1 anywhere
    tenant: I32  # into tenants; -1 unknown
    queue: I32  # into queues; -1 unknown
    user: I32  # into users; -1 unknown
    array: I64  # rows with one number are elements of one array; -1 none
    status: I8  # STATUSES
    limit_ms: I64  # wall time as the user gave it; 0 unknown or none
    deadline_ms: I64  # since the trace's zero; 0 none
    priority: I64
    preemptible: Bool
    block: Bool  # all workers within one topology block
    checkpoint_ms: I64  # interval between checkpoints; 0 none
    origin: I64  # line or row of the file, from 1: names the job in errors
    accelerators: tuple[tuple[str, ...], ...] = ()  # ids of types, in lower case
    residencies: tuple[tuple[str, ...], ...] = ()  # ISO 3166-2 codes
    tenants: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()  # one a tenant; (): all are alike
    queues: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()  # empty: jobs are called by their origin
    # What only some formats tell; -1 unknown. `after`: the row of the job that it follows. `apart`: 1 where it comes only when it
    # has been decided about what else happens at its moment before.
    extra: Mapping[str, I64] = field(default_factory=lambda: MappingProxyType({}))
    zero: str = ""  # local time of submit_ms 0, ISO 8601; "" unknown

    def __post_init__(self) -> None:
        own = {name: getattr(self, name) for name in COLUMNS}
        for name, column in (own | dict(self.extra)).items():
            require(len(column) == len(self.submit_ms), f"the column {name} has a length of its own")
            column.flags.writeable = False
        require(len(self.members) in (0, len(self.tenants)), "members are one a tenant")

    def __len__(self) -> int:
        return len(self.submit_ms)

    @property
    def timed(self) -> bool:
        """Whether submission times are known, and not only their order."""
        return not len(self) or bool(self.submit_ms[0] >= 0)

    @property
    def devices_milli(self) -> I64:
        """Thousandths of devices that the whole job holds while it runs."""
        return self.workers * (self.devices * 1000 + self.share_milli) + self.rest * 1000

    @property
    def owners(self) -> tuple[I32, tuple[str, ...]]:
        """Whose each job is, and their names: tenants; queues in a trace that names no tenants."""
        return (self.tenant, self.tenants) if self.tenants else (self.queue, self.queues)

    @property
    def apart(self) -> I64:
        """By job: 1 where it comes only when it has been decided about what else happens at its moment before."""
        return self.extra["apart"] if "apart" in self.extra else np.zeros(len(self), np.int64)

    def name(self, row: int) -> str:
        return self.ids[row] if self.ids else str(int(self.origin[row]))

    def take(self, rows: NDArray[Any]) -> Trace:
        """These rows (numbers or a mask), in their order; tables of names stay whole, so that indices keep their meaning."""
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        changes: dict[str, Any] = {name: np.ascontiguousarray(getattr(self, name)[numbers]) for name in COLUMNS}
        changes["ids"] = tuple(self.ids[row] for row in numbers) if self.ids else ()
        extra = {name: column[numbers] for name, column in self.extra.items()}
        if "after" in extra:  # row numbers of this trace, so they move with it
            extra["after"] = _moved(extra["after"], numbers, len(self))
        return replace(self, **changes, extra=MappingProxyType(extra))

    def rebased(self) -> Trace:
        """The same jobs with the first submission at 0; deadlines move along, and `zero` is no longer known."""
        if not len(self) or not self.timed:
            return self
        start = self.submit_ms[0]
        deadline = np.where(self.deadline_ms > 0, self.deadline_ms - start, 0)
        return replace(self, submit_ms=self.submit_ms - start, deadline_ms=deadline, zero="")

    def gangs(self, devices_per_node: int) -> Trace:
        """Jobs told as one worker of more devices than a node has become gangs of whole nodes, with the remainder in `rest`.

        Cores and memory of such a job are divided by device, rounded down to a thousandth and a MiB."""
        require(devices_per_node > 0, "a node has at least one device")
        wide = (self.workers == 1) & (self.rest == 0) & (self.devices > devices_per_node)
        whole, rest = np.divmod(self.devices, devices_per_node)
        workers = np.where(wide, whole, self.workers)

        def part(column: I64) -> I64:
            split = column * devices_per_node // np.maximum(self.devices, 1)
            return np.where(wide & (column >= 0), split, column)

        return replace(
            self, workers=workers, workers_min=np.where(wide, workers, self.workers_min), rest=np.where(wide, rest, self.rest),
            devices=np.where(wide, devices_per_node, self.devices), cores_milli=part(self.cores_milli),
            memory_mib=part(self.memory_mib),
        )  # fmt: skip


# The arrays of a trace, with what a row holds where nothing is said.
DEFAULTS: Mapping[str, tuple[type[np.generic], int]] = MappingProxyType({
    "submit_ms": (np.int64, UNKNOWN), "duration_ms": (np.int64, UNKNOWN), "workers": (np.int64, 1), "workers_min": (np.int64, 1),
    "cores_milli": (np.int64, UNKNOWN), "memory_mib": (np.int64, UNKNOWN), "devices": (np.int64, 0), "share_milli": (np.int64, 0),
    "rest": (np.int64, 0), "accelerator": (np.int32, UNKNOWN), "residency": (np.int32, UNKNOWN), "tenant": (np.int32, UNKNOWN),
    "queue": (np.int32, UNKNOWN), "user": (np.int32, UNKNOWN), "array": (np.int64, UNKNOWN), "status": (np.int8, STATUS_UNKNOWN),
    "limit_ms": (np.int64, 0), "deadline_ms": (np.int64, 0), "priority": (np.int64, 0), "preemptible": (np.bool_, 0),
    "block": (np.bool_, 0),
    "checkpoint_ms": (np.int64, 0), "origin": (np.int64, 0),
})  # fmt: skip
COLUMNS = tuple(DEFAULTS)
require(set(COLUMNS) <= {f.name for f in fields(Trace)}, "every default is of a column")


def make_trace(rows: int, **given: Any) -> Trace:
    """A trace of so many rows: the columns that are given, the defaults for the others; `workers_min` follows `workers`."""
    columns: dict[str, Any] = {}
    for name, (kind, default) in DEFAULTS.items():
        value = given.pop(name, None)
        if value is None and name == "workers_min" and "workers" in columns:
            value = columns["workers"]
        if value is None and name == "origin":
            value = np.arange(1, rows + 1)
        columns[name] = np.full(rows, default, kind) if value is None else np.array(value, dtype=kind)
    given["extra"] = MappingProxyType(dict(given.get("extra", {})))
    return Trace(**columns, **given)


def _moved(targets: I64, numbers: NDArray[Any], rows: int) -> I64:
    """Row numbers after a selection: those that were not selected are unknown."""
    places = np.full(rows + 1, UNKNOWN, np.int64)
    places[numbers] = np.arange(len(numbers))
    places[rows] = UNKNOWN
    return places[np.where(targets < 0, rows, targets)]
