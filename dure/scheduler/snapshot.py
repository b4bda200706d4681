"""The whole world that a plan may look at, in columns, at one moment.

Every group is a frozen structure of numpy arrays of one length; `*_ptr` columns are CSR offsets (length n + 1) into
the group they name. All times are ms since the epoch, all amounts whole currency units. If the core needs a fact, it is a
column here. Arrays are marked read-only by `freeze`; ids stand beside the columns only to name things in answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dure.model.policy import Policy
from dure.model.workload import WHOLE_MILLI

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
U64 = NDArray[np.uint64]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

G = TypeVar("G")
FOREVER_MS = np.int64(1 << 62)

# attempt state codes of `Attempts.state`
CLAIMED, LAUNCHING, RUNNING, STOPPING = 0, 1, 2, 3
# dependency codes of `Pending.dependency`
DEPENDENCY_MET, DEPENDENCY_WAITS, DEPENDENCY_FAILED = 0, 1, 2


@dataclass(frozen=True)
class Sites:
    ids: tuple[str, ...]
    reachable: Bool  # the agent was heard within policy.site_silent_ms, in this incarnation
    drained: Bool  # nothing new is started here
    pue_permille: I64  # at the meter over what the nodes draw, times 1000
    power_ptr: I32  # CSR into power_*: an empty run means that nothing caps
    power_from_ms: I64  # ascending within a site; of its first step at most now
    power_mw: I64  # what it may draw at the meter until the next step, milliwatts; -1: no cap
    carbon_g_kwh: I64  # of its power now; -1: nobody knows
    power_krw_mwh: I64  # likewise
    has_data: Bool  # shape (sites, data sets of Snapshot.data)


@dataclass(frozen=True)
class Nodes:
    """Sorted by (site, node id)."""

    ids: tuple[str, ...]
    site: I32
    accelerator: I32  # index into Snapshot.accelerators, -1 for none
    # topology block, by number within its site, below that of all nodes; -1: in none. All nodes of a block are of one accelerator
    block: I32
    cores_milli: I64  # total
    memory_mib: I64  # total
    device_mask: U64  # bit i set: device i exists (at most 64 a node)
    usable: Bool  # up, not drained
    idle_mw: I64  # what it draws with nothing to do, milliwatts; 0 of one that is down, or of which it is not known
    device_mw: I64  # and besides, per allocated device
    core_mw: I64  # and per busy core
    closed_ptr: I32  # CSR into closed_*: when nothing may run on it; mostly empty
    closed_from_ms: I64  # disjoint and ascending within a node
    closed_until_ms: I64  # after now
    shares: Bool  # its devices are divided among those who want a share of one


@dataclass(frozen=True)
class Attempts:
    """Live attempts (not ended), sorted by id; behind them, sorted by id, those that only their sites know of."""

    ids: tuple[str, ...]
    workloads: tuple[str, ...]
    state: I32  # CLAIMED, LAUNCHING, RUNNING, STOPPING
    project: I32
    priority: I64  # value of its priority class
    preemptible: Bool
    yields: Bool  # its class does: if it is preemptible, it makes room for any higher priority, at once
    started_ms: I64  # when it ran first as far as known, else when placed
    ends_ms: I64  # latest end by its limit and grace: what promises rest on
    checkpoint_ms: I64  # last known moment from which no work would be lost; started_ms when there is no checkpoint
    cores_milli: I64  # per worker
    memory_mib: I64  # per worker
    beneficiary: I32  # row in Attempts of the claim that waits for this one to stop, -1 for none
    worker_ptr: I32  # CSR into worker_*
    worker_node: I32
    worker_mask: U64  # devices taken on that node
    share_milli: I64  # thousandths that each worker has of the one device of its mask; 0: it has its devices whole
    grace_ms: I64  # between the polite signal and the kill, once it is told to stop
    # limit + grace that it would still have in another place, going on from its last checkpoint; 0: it may not be moved
    rest_ms: I64
    # -1; or the row keeps room for what is moved, for as long as that may stay, and is not there before this row has left
    follows: I32


@dataclass(frozen=True)
class Pending:
    """Waiting workloads, sorted by (submitted_ms, id)."""

    ids: tuple[str, ...]
    project: I32
    priority: I64
    preempts: Bool
    preemptible: Bool
    submitted_ms: I64
    eligible_ms: I64
    dependency: I32  # DEPENDENCY_*
    workers: I64
    cores_milli: I64  # per worker
    memory_mib: I64  # per worker
    devices: I64  # per worker
    limit_ms: I64  # limit + grace: how long it may occupy what it gets; where types differ in speed, on the first that it names
    block: Bool  # all workers within one topology block (or on one node), if there are several
    shape: I32  # rows of one number ask for the same: workers of the same size, sites, alternatives and topology; others may, too
    site_ptr: I32  # CSR into site_row: allowed sites; an empty run means all
    site_row: I32
    alt_ptr: I32  # CSR into Alternatives: at least one each, best first
    share_milli: I64  # per worker, thousandths of one device, below 1000; then `devices` is 0
    deadline_ms: I64  # by when it has to be over, by its limit; FOREVER_MS: any time will do
    data_ptr: I32  # CSR into data_row: what it reads
    data_row: I32  # index into Snapshot.data
    workers_min: I64  # the fewest that it can run with, less than `workers`; 0: no fewer than it asks for
    grace_ms: I64  # the part of limit_ms that is as long on every type


def fewest(pending: Pending) -> I64:
    """By row, with how many workers it can start."""
    least: I64 = np.where(pending.workers_min > 0, pending.workers_min, pending.workers)
    return least


def limits_ms(s: Snapshot) -> I64:
    """By alternative: limit and grace, how long it may occupy what it gets there."""
    own, of_all = s.alternatives.limit_ms, np.repeat(s.pending.limit_ms, np.diff(s.pending.alt_ptr))
    found: I64 = np.where(own > 0, own, of_all)
    return found


def devices_milli(attempts: Attempts) -> I64:
    """By worker, in thousandths of a device: what it has."""
    share = attempts.share_milli.repeat(attempts.worker_ptr[1:] - attempts.worker_ptr[:-1])
    whole = WHOLE_MILLI * np.bitwise_count(attempts.worker_mask).astype(np.int64)
    return np.where(share > 0, share, whole)


def unused_shape(pending: Pending) -> int:
    """The number of a shape that no waiting workload has."""
    return int(pending.shape.max(initial=-1)) + 1


@dataclass(frozen=True)
class Alternatives:
    """One way of running a waiting workload: an accelerator type, and what must be held for it."""

    accelerator: I32  # index into Snapshot.accelerators; -1: no devices needed
    hold: I64  # shape (n, len(CURRENCIES)): amount to hold, -1 when it cannot be paid in that currency
    limit_ms: I64  # limit + grace on this type, where it is not that of the workload; 0: it is


@dataclass(frozen=True)
class Projects:
    ids: tuple[str, ...]
    share: I32  # its leaf in Shares


@dataclass(frozen=True)
class Shares:
    """The tree of shares: organisations, and projects as leaves. Parents come before children; row 0 is the root."""

    ids: tuple[str, ...]
    parent: I32  # -1 for the root
    weight: I64
    use: F64  # decayed to now_ms, in normalised core-seconds; of leaves only (inner rows 0)


@dataclass(frozen=True)
class Quotas:
    """How much may be used at each row of Shares, in thousandths: of devices for each accelerator, in order, and last of cores.

    Shape (rows of Shares, accelerators + 1). `NO_LIMIT` (-1): no quota, or no limit; see dure/scheduler/quotas.py."""

    nominal: I64
    borrow_max: I64
    lend_max: I64
    used: I64  # by all attempts that hold a place, claims too; of leaves only (inner rows 0)


@dataclass(frozen=True)
class Awards:
    """Money that may be held now: open awards, sorted by (project, currency, expires_ms, id)."""

    ids: tuple[str, ...]
    project: I32
    currency: I32  # index into model.money.CURRENCIES
    available: I64
    expires_ms: I64
    site_ok: Bool  # shape (n, sites)
    accelerator_ok: Bool  # shape (n, accelerators + 1); the last column is "no accelerator"


@dataclass(frozen=True)
class Snapshot:
    now_ms: int
    epoch: int  # of the leader that took it
    sealed_seq: int  # of the last event that it includes
    draining: bool
    policy: Policy
    accelerators: tuple[str, ...]
    domestic: Bool  # per accelerator: its maker is at home here
    data: tuple[str, ...]  # names of data sets
    core_rate: F64  # per accelerator (and last, none): normalised core-seconds that one device-second weighs in fair share
    sites: Sites
    nodes: Nodes
    attempts: Attempts
    pending: Pending
    alternatives: Alternatives
    projects: Projects
    shares: Shares
    awards: Awards
    quotas: Quotas


def uncapped(sites: int) -> tuple[I64, I32, I64, I64, I64, I64, Bool]:
    """The last columns of Sites where nothing caps, the meter shows what the nodes draw, and nobody has told more."""
    none = np.zeros(0, np.int64)
    return np.full(sites, 1000, np.int64), np.zeros(sites + 1, np.int32), none, none.copy(), *untold(sites)


def untold(sites: int) -> tuple[I64, I64, Bool]:
    """The last columns of Sites where nothing is known to prefer any for."""
    return np.full(sites, -1, np.int64), np.full(sites, -1, np.int64), np.zeros((sites, 0), np.bool_)


def undrawn(nodes: int) -> tuple[I64, I64, I64, I32, I64, I64, Bool]:
    """The last columns of Nodes of whose draw nothing is known, that are open at any time, and whose devices are not divided."""
    idle, device, core = (np.zeros(nodes, np.int64) for _ in range(3))
    return (
        idle,
        device,
        core,
        np.zeros(nodes + 1, np.int32),
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
        np.zeros(nodes, np.bool_),
    )


def freeze(snapshot: Snapshot, before: Snapshot | None = None) -> Snapshot:
    """Make every column read-only, so that nobody can change what a plan was based on. before: one that is frozen, whose groups
    need not be looked at again where this has the same."""
    parts = _values(snapshot)
    for part, known in zip(parts, _values(before) if before is not None else (None,) * len(parts), strict=True):
        if part is not known:
            frozen(part)
    return snapshot


def frozen(group: G) -> G:
    """The same of some columns, or of one."""
    for column in (group,) if isinstance(group, np.ndarray) else _values(group):
        if isinstance(column, np.ndarray):
            column.setflags(write=False)
    return group


def _values(group: object) -> tuple[object, ...]:
    """Of its fields; nothing of what has none."""
    look = _fields(type(group))  # type: ignore[arg-type]  # classes are hashable, whatever their instances are
    return look(group) if look is not None else ()


@cache
def _fields(kind: type[object]) -> Callable[[object], tuple[object, ...]] | None:
    names = tuple(getattr(kind, "__dataclass_fields__", ()))
    return attrgetter(*names, names[0]) if names else None  # of one name it gives no tuple; to ask for one twice does no harm
