"""What the jobs of a trace ask of a fleet, in the columns of a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dure.model.calendar import DAY_MS
from dure.model.policy import Policy
from dure.model.workload import LIMIT_MS_MIN
from dure.scheduler.runs import gather
from dure.simulator.traces.faults import Fault, FaultKind, TraceError, shown
from dure.simulator.traces.fleet import Fleet
from dure.simulator.traces.trace import UNKNOWN, Trace

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]

NAMED_MAX = 8  # queues or sites in one message


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What stands in for what a trace does not say. whole_shares: a job that asks for a part of a device gets all of it.

    limit_ms: of jobs that name no wall time. exact_limits: everybody knows how long they run, whatever they named.
    learned_limits: jobs that name none get one by what ended before they came (`history`), once anything has.
    ignore_queues: jobs run at any site, though queues have the names of sites."""

    limit_ms: int = 7 * DAY_MS
    exact_limits: bool = False
    learned_limits: bool = False
    whole_shares: bool = False
    ignore_queues: bool = False


@dataclass(frozen=True, kw_only=True)
class Asks:
    """One entry a job. Sites and alternatives are one of a few lists each: `sites[site_choice[job]]`, () for anywhere.

    assumed: what had to be, by word, and of how many jobs."""

    workers: I64
    cores_milli: I64  # per worker, as are memory and devices
    memory_mib: I64
    devices: I64
    share_milli: I64  # or thousandths of one device
    block: Bool  # all workers within one topology block
    limit_ms: I64
    limit_named: Bool
    site_choice: I32
    sites: tuple[tuple[int, ...], ...]
    kind_choice: I32
    kinds: tuple[tuple[int, ...], ...]
    priority: I64  # values of the plane's classes
    assumed: Mapping[str, int] = field(default_factory=dict)

    @property
    def any_kind(self) -> int:
        """The list of `kinds` of those who name no type."""
        return len(self.kinds) - 2

    @property
    def devices_milli(self) -> I64:
        """Per worker, in thousandths of a device."""
        milli: I64 = 1000 * self.devices + self.share_milli
        return milli

    @property
    def width(self) -> I64:
        """Devices of the whole job, rounded up; of one without devices, what it is worth in sums over device time: 1."""
        width: I64 = np.maximum(-(-self.workers * self.devices_milli // 1000), 1)
        return width


def asks_of(trace: Trace, fleet: Fleet, given: Assumptions, name: str = "trace") -> Asks:
    """Raises TraceError for a trace without times, a job whose run time is unknown, and one of a queue that is no site where
    other queues are (`strays`)."""
    _check(trace, fleet, given, name)
    assumed: Counter[str] = Counter()
    shared = trace.share_milli > 0
    split_one = shared & (trace.devices == 0) & (trace.rest == 0) & (not given.whole_shares)
    assumed["whole_shares"] = int((shared & ~split_one).sum())
    share = np.where(split_one, trace.share_milli, 0)
    devices = trace.devices + (shared & ~split_one)
    kind_choice, kinds = _kinds(trace, fleet, devices + share)
    most = np.array([_most(fleet, choice) for choice in kinds], np.int64)[kind_choice]
    workers, equal_devices, split = _equal_workers(trace.workers, devices, trace.rest, most)
    assumed["equal_workers"] = int(split.sum())
    cores, memory = (  # a plane takes no job that asks for none
        np.maximum(np.where(split, np.maximum(column, 0) * equal_devices // np.maximum(devices, 1), column), 1)
        for column in (trace.cores_milli, trace.memory_mib)
    )
    devices = equal_devices
    assumed["cores_unknown"] = int((trace.cores_milli < 0).sum())
    assumed["memory_unknown"] = int((trace.memory_mib < 0).sum())
    unlimited = trace.limit_ms <= 0
    limit = np.where(unlimited, given.limit_ms, trace.limit_ms)
    if given.exact_limits:
        limit = trace.duration_ms
    else:
        assumed["limit_learned" if given.learned_limits else "limit_unknown"] = int(unlimited.sum())
        assumed["longer_than_limit"] = int((trace.duration_ms > limit).sum())
    limit = np.maximum(limit, LIMIT_MS_MIN)  # the least that a plane takes
    site_choice, sites = _sites(trace, fleet, given, assumed)
    assumed["after_ignored"] = int((trace.extra["after"] >= 0).sum()) if "after" in trace.extra else 0
    assumed["deadline_ignored"] = int((trace.deadline_ms > 0).sum())
    priority = _priority(trace, assumed)
    return Asks(
        workers=workers, cores_milli=cores, memory_mib=memory, devices=devices, share_milli=share, block=trace.block,
        limit_ms=limit, limit_named=~unlimited,
        site_choice=site_choice, sites=sites, kind_choice=kind_choice, kinds=kinds, priority=priority,
        assumed={word: n for word, n in assumed.items() if n},
    )  # fmt: skip


def _check(trace: Trace, fleet: Fleet, given: Assumptions, name: str) -> None:
    if not trace.timed:
        raise _fault(
            name, trace, 0, "submit_s", "is unknown: the trace has an order and no times", "Give every job a submission time."
        )
    unknown = np.flatnonzero(trace.duration_ms < 0)
    if len(unknown):
        raise _fault(name, trace, int(unknown[0]), "duration_s", "is unknown", "A job without a run time cannot be simulated.")
    strayed = strays(trace, fleet, given)
    if len(strayed):
        raise TraceError(no_such_site(trace, fleet, strayed, name))


def _fault(file: str, trace: Trace, row: int, column: str, problem: str, remedy: str) -> TraceError:
    return TraceError(Fault(FaultKind.MISSING, file, f"job {trace.name(row)}", column, problem, remedy))


# -- queues that are sites -------------------------------------------------------------------------------------------------


def queues_bind(trace: Trace, fleet: Fleet, given: Assumptions) -> bool:
    """Whether jobs run at the site that has the name of their queue: as soon as one of them has such a queue."""
    return not given.ignore_queues and bool((_site_of(trace, fleet) >= 0).any())


def strays(trace: Trace, fleet: Fleet, given: Assumptions) -> I64:
    """Rows of jobs whose queue has the name of no site, though that of other jobs has. They are never guessed to run anywhere."""
    if not queues_bind(trace, fleet, given):
        return np.zeros(0, np.int64)
    return np.flatnonzero((trace.queue >= 0) & (_site_of(trace, fleet) < 0))


def no_such_site(trace: Trace, fleet: Fleet, rows: I64, file: str) -> Fault:
    """What is wrong with these jobs (`strays`), told of the first."""
    queue = trace.queues[int(trace.queue[rows[0]])]
    others = sorted({trace.queues[number] for number in np.unique(trace.queue[rows]).tolist()} - {queue})
    problem = (
        f"{shown(queue)} has the name of no site, though queues of other jobs have: {len(rows):,} of {len(trace):,} jobs are of "
        f"such queues ({_few([queue, *others])}). The fleet has the sites {_few([site.name for site in fleet.sites])}"
    )
    remedy = "Correct the queue, or add the site to the fleet. Or let all jobs run anywhere with --ignore-queues."
    return Fault(FaultKind.UNKNOWN_QUEUE, file, f"job {trace.name(int(rows[0]))}", "queue", problem, remedy)


def _site_of(trace: Trace, fleet: Fleet) -> I32:
    """By job: the site that has the name of its queue; -1 none. Names that no job bears do not count."""
    number = _site_numbers(fleet)
    return np.array([*(number.get(queue, UNKNOWN) for queue in trace.queues), UNKNOWN], np.int32)[trace.queue]


def _site_numbers(fleet: Fleet) -> dict[str, int]:
    return {site.name: index for index, site in enumerate(fleet.sites)}


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED_MAX]) + (f" and {len(names) - NAMED_MAX:,} more" if len(names) > NAMED_MAX else "")


# -- what they ask for -----------------------------------------------------------------------------------------------------


def _most(fleet: Fleet, kinds: tuple[int, ...]) -> int:
    """Devices of the largest node of these types."""
    names = {fleet.accelerators[kind] for kind in kinds if kind >= 0}
    return max((pool.devices for _site, pool in fleet.pools() if pool.accelerator in names), default=0)


def _equal_workers(workers: I64, devices: I64, rest: I64, most: I64) -> tuple[I64, I64, Bool]:
    """As few workers of equal size as a node of `most` devices takes, and which jobs are not as the trace tells them."""
    split: Bool = (rest > 0) | ((devices > most) & (most > 0))
    whole = workers * devices + rest
    made_workers, made_devices = workers.copy(), devices.copy()
    for row in np.flatnonzero(split).tolist():
        total = int(whole[row])
        count = next(n for n in range(-(-total // max(int(most[row]), 1)), total + 1) if total % n == 0)
        made_workers[row], made_devices[row] = count, total // count
    return made_workers, made_devices, split


def _sites(
    trace: Trace, fleet: Fleet, given: Assumptions, assumed: Counter[str]
) -> tuple[I32, tuple[tuple[int, ...], ...]]:  # fmt: skip
    """Where jobs may run: at the site of their queue's name, where queues bind; else in the regions that they name."""
    queued = int((trace.queue >= 0).sum())
    if queues_bind(trace, fleet, given):
        assumed["queues_are_sites"], assumed["queue_unknown"] = queued, len(trace) - queued
        number = _site_numbers(fleet)
        return _choices(trace.queue, [(number.get(queue, UNKNOWN),) for queue in trace.queues])
    assumed["queues_ignored" if given.ignore_queues else "queues_are_no_sites"] = queued
    places = [tuple(i for i, s in enumerate(fleet.sites) if s.region in codes) or (UNKNOWN,) for codes in trace.residencies]
    return _choices(trace.residency, places)


def _kinds(trace: Trace, fleet: Fleet, devices: I64) -> tuple[I32, tuple[tuple[int, ...], ...]]:
    """Types, best first. Who names none takes any that there is; who wants no devices takes any node."""
    known = {name: number for number, name in enumerate(fleet.accelerators)}
    named = [tuple(known[kind] for kind in kinds if kind in known) or (UNKNOWN,) for kinds in trace.accelerators]
    every = tuple(range(len(fleet.accelerators))) or (UNKNOWN,)
    choice = np.where(devices == 0, len(named) + 1, np.where(trace.accelerator < 0, len(named), trace.accelerator))
    return choice.astype(np.int32), (*named, every, (UNKNOWN,))


def _priority(trace: Trace, assumed: Counter[str]) -> I64:
    """Priorities mean what the plane's classes mean where all of them are values of these; else everybody is alike."""
    classes = [c.value for c in Policy().classes]
    normal = np.full(len(trace), Policy().class_of("normal").value, np.int64)
    if not trace.priority.any():
        return normal
    if np.isin(trace.priority, classes).all():
        return trace.priority
    assumed["priority_ignored"] = int((trace.priority != 0).sum())
    return normal


def _choices(column: I32, lists: Sequence[tuple[int, ...]]) -> tuple[I32, tuple[tuple[int, ...], ...]]:
    """The list of each row; -1 is anywhere, which is the last one."""
    return np.where(column < 0, len(lists), column).astype(np.int32), (*lists, ())


def runs_of(lists: Sequence[tuple[int, ...]]) -> Callable[[I32], tuple[I32, I32]]:
    """How to get the lists of any rows as CSR: (ptr, values)."""
    whole = np.cumsum([0, *(len(each) for each in lists)])
    values = np.array([number for each in lists for number in each], np.int32)

    def chosen(choice: I32) -> tuple[I32, I32]:
        ptr, at = gather(whole, choice)
        return ptr.astype(np.int32), values[at]

    return chosen
