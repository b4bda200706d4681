"""The national workload of one cycle, as columns: a busy fleet, and a long queue of many shapes before it.

It measures `plan`, not policies: nothing here is fitted to a trace, and the shapes are as unlike each other as they can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dure.errors import require
from dure.model.accelerators import ACCELERATORS
from dure.simulator.traces.fitted import F64, pick
from dure.simulator.traces.fleet import Fleet, FleetNodes, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.fleets import apportion
from dure.simulator.traces.regions import CARBON_G_MWH, REGIONS
from dure.simulator.traces.trace import I32, I64, UNKNOWN, Bool, Trace, make_trace

U64 = NDArray[np.uint64]
HOUR_MS = 3_600_000
NOW_MS = 14 * 24 * HOUR_MS  # two weeks after the zero of the world's times
DEVICES = 8  # per node
CORES_MILLI, MEMORY_MIB = 192_000, 2048 * 1024  # per node
# How the busy devices of a node are held: for so many of them, ways of telling them apart into attempts.
_PARTITIONS = {
    1: ((1,),), 2: ((2,), (1, 1)), 3: ((2, 1), (1, 1, 1)), 4: ((4,), (2, 2), (1, 1, 1, 1)), 5: ((4, 1), (2, 2, 1)),
    6: ((4, 2), (2, 2, 1, 1)), 7: ((4, 2, 1), (1, 1, 1, 1, 1, 1, 1)), 8: ((8,), (4, 4), (4, 2, 1, 1), (1, 1, 1, 1, 1, 1, 1, 1)),
}  # fmt: skip
_PRIORITIES, _PRIORITY_WEIGHTS = (0, 100, 200, 300, 400), [0.1, 0.1, 0.7, 0.09, 0.01]


@dataclass(frozen=True, kw_only=True)
class CycleShape:
    """Parameters of `cycle_world`. Shares are of one."""

    devices: int = 50_000  # a multiple of 8
    sites: int = 30
    kinds: tuple[str, ...] = ("b200", "h200", "rngd")
    kind_weights: tuple[float, ...] = (0.6, 0.3, 0.1)  # of nodes
    queues: int = 200
    cohorts: int = 20
    pending: int = 100_000
    shapes: int = 5_000  # distinct: workers, devices, share, cores, memory, alternatives, residency
    gangs: float = 0.1  # of the pending
    running_gangs: float = 0.3  # of nodes that are wholly busy
    reservations: int = 100
    busy: float = 0.7  # of devices
    restricted: float = 0.4  # of shapes, by residency
    power: float = 0.9  # of its full draw that a site may draw


@dataclass(frozen=True)
class RunningAttempts:
    """What runs. Columns by attempt, but worker_*, which `worker_ptr` divides; nodes are rows of `Fleet.nodes()`."""

    queue: I32
    priority: I64
    preemptible: Bool
    started_ms: I64
    ends_ms: I64  # by its limit
    saved_ms: I64  # of its last checkpoint; started_ms where there is none
    cores_milli: I64  # per worker
    memory_mib: I64  # per worker
    devices: I64  # per worker
    worker_ptr: I64
    worker_node: I32
    worker_mask: U64  # bit i: it holds device i


@dataclass(frozen=True)
class Quotas:
    """Queues as leaves of a tree of cohorts (cohort 0 is the root, its own parent is -1). Amounts are devices, [queue, kind]."""

    names: tuple[str, ...]
    cohort: I32  # of each queue
    parent: I32  # of each cohort
    weight: I64
    use: F64  # decayed, in normalised core-seconds
    nominal: I64
    borrow_most: I64  # -1: no bound
    lend_most: I64


@dataclass(frozen=True)
class Reservations:
    """Nodes that are kept for a queue from one moment until another. node_ptr divides node."""

    queue: I32
    from_ms: I64
    until_ms: I64
    node_ptr: I64
    node: I32


@dataclass(frozen=True)
class CycleWorld:
    now_ms: int
    fleet: Fleet
    nodes: FleetNodes
    running: RunningAttempts
    pending: Trace
    quotas: Quotas
    reservations: Reservations


def cycle_world(rng: np.random.Generator, shape: CycleShape | None = None) -> CycleWorld:
    """A moment of a busy nation. The same generator state and shape give the same world, byte for byte."""
    given = shape or CycleShape()
    require(given.devices % DEVICES == 0 and given.devices >= DEVICES * given.sites, "every site has a node of 8 devices")
    require(given.pending >= given.shapes, "every shape is asked for at least once")
    fleet = _fleet(rng, given)
    nodes = fleet.nodes()
    running, pending = _running(rng, given, nodes), _pending(rng, given, fleet)
    return CycleWorld(NOW_MS, fleet, nodes, running, pending, _quotas(rng, given, fleet, nodes), _reservations(rng, given, nodes))


def _fleet(rng: np.random.Generator, given: CycleShape) -> Fleet:
    weights = (rng.dirichlet(np.full(given.sites, 2.0)) + 0.01) * 1_000_000
    extra = apportion(given.devices // DEVICES - given.sites, [int(weight) for weight in weights])
    sites = []
    for number, nodes in enumerate(extra):
        region = REGIONS[number % len(REGIONS)]
        counts = apportion(nodes + 1, [int(weight * 1000) for weight in given.kind_weights])
        pools = tuple(_pool(kind, count) for kind, count in zip(given.kinds, counts, strict=True) if count)
        draw = sum(pool.nodes * pool.node_watts for pool in pools) * region.pue_permille // 1000
        sites.append(Site(name=f"{region.slug}-{number:02}", region=region.code, pue_permille=region.pue_permille,
                          power_watts=int(draw * given.power), price_krw_mwh=region.price_krw_mwh, carbon_g_mwh=CARBON_G_MWH,
                          pools=pools))  # fmt: skip
    return make_fleet(f"cycle-{given.devices}", sites, source="generated")


def _pool(kind: str, nodes: int) -> Pool:
    full = DEVICES * ACCELERATORS[kind].server_watts
    return Pool(name=kind, nodes=nodes, accelerator=kind, devices=DEVICES, cores_milli=CORES_MILLI, memory_mib=MEMORY_MIB,
                block=32, idle_watts=full // 5, node_watts=full)  # fmt: skip


# -- what runs --------------------------------------------------------------------------------------------------------


def _running(rng: np.random.Generator, given: CycleShape, nodes: FleetNodes) -> RunningAttempts:
    held = _held(rng, given, len(nodes))
    gang = _gang_of(rng, given, nodes, held)
    ganged = np.flatnonzero(gang >= 0)
    single_node, mask = _singles(rng, held, gang)
    _numbers, lengths = np.unique(gang[ganged], return_counts=True)
    ptr = np.concatenate([[0], np.cumsum(np.concatenate([lengths, np.ones(len(single_node), np.int64)]))])
    worker_node = np.concatenate([ganged, single_node]).astype(np.int32)
    worker_mask = np.concatenate([np.full(len(ganged), (1 << DEVICES) - 1, np.uint64), mask])
    count = len(ptr) - 1
    devices = np.bitwise_count(worker_mask[ptr[:-1]]).astype(np.int64)
    started = NOW_MS - rng.integers(60_000, 7 * 24 * HOUR_MS, count)
    saved = np.where(rng.random(count) < 0.6, np.maximum(started, NOW_MS - rng.integers(0, HOUR_MS, count)), started)
    return RunningAttempts(
        queue=_queue(rng, given, count), priority=np.array(_PRIORITIES)[pick(rng, _PRIORITY_WEIGHTS, count)],
        preemptible=rng.random(count) < 0.5, started_ms=started, ends_ms=NOW_MS + rng.integers(60_000, 3 * 24 * HOUR_MS, count),
        saved_ms=saved, cores_milli=devices * rng.choice([4000, 8000, 12_000, 16_000], count),
        memory_mib=devices * rng.choice([16, 32, 64, 128], count) * 1024, devices=devices, worker_ptr=ptr,
        worker_node=worker_node, worker_mask=worker_mask,
    )  # fmt: skip


def _held(rng: np.random.Generator, given: CycleShape, count: int) -> I64:
    """Busy devices of each node: most nodes are wholly busy or wholly idle, so that gangs can run and small gaps are left."""
    partly = np.minimum(0.2, 2 * min(given.busy, 1 - given.busy))
    mean = (1 + DEVICES - 1) / 2 / DEVICES
    full = np.clip(given.busy - partly * mean, 0, 1 - partly)
    held = np.where(rng.random(count) < full / max(1 - partly, 1e-9), DEVICES, 0)
    some = rng.random(count) < partly
    held[some] = rng.integers(1, DEVICES, int(some.sum()))
    return held


def _gang_of(rng: np.random.Generator, given: CycleShape, nodes: FleetNodes, held: I64) -> I64:
    """The gang of each node, -1 for none: runs of wholly busy nodes of one pool, cut at random."""
    full = np.flatnonzero((held == DEVICES) & (rng.random(len(held)) < given.running_gangs))
    if not len(full):
        return np.full(len(held), UNKNOWN, np.int64)
    pool = nodes.pool[full]
    cut = np.r_[True, (pool[1:] != pool[:-1]) | (rng.random(len(full) - 1) < 0.15)]
    number = np.cumsum(cut) - 1
    gang = np.full(len(held), UNKNOWN, np.int64)
    gang[full] = np.where(np.bincount(number)[number] > 1, number, UNKNOWN)  # a run of one node is no gang
    return gang


def _singles(rng: np.random.Generator, held: I64, gang: I64) -> tuple[I64, U64]:
    """Attempts on one node: node and devices, ordered by node."""
    node_parts, mask_parts = [], []
    variant = rng.random(len(held))
    for count, ways in _PARTITIONS.items():
        for number, way in enumerate(ways):
            own = np.flatnonzero((held == count) & (gang < 0) & ((variant * len(ways)).astype(np.int64) == number))
            low = 0
            for size in way:
                node_parts.append(own)
                mask_parts.append(np.full(len(own), ((1 << size) - 1) << low, np.uint64))
                low += size
    node, mask = np.concatenate(node_parts), np.concatenate(mask_parts)
    order = np.lexsort((mask, node))
    return node[order], mask[order]


def _queue(rng: np.random.Generator, given: CycleShape, count: int) -> I32:
    """A few queues are long, most are short."""
    return np.minimum(rng.zipf(1.4, count) - 1, given.queues - 1).astype(np.int32)


# -- what waits -------------------------------------------------------------------------------------------------------


def _pending(rng: np.random.Generator, given: CycleShape, fleet: Fleet) -> Trace:
    columns, names, places = _shapes(rng, given, fleet)
    gangs = int(columns["gang"].sum())
    is_gang = rng.permutation(np.arange(given.pending) < round(given.pending * given.gangs))
    rank = np.empty(given.pending, np.int64)  # which shape, among those with or without a gang
    for mine, first, count in ((is_gang, 0, gangs), (~is_gang, gangs, given.shapes - gangs)):
        own = (count * rng.random(int(mine.sum())) ** 2).astype(np.int64)
        own[: min(count, len(own))] = np.arange(count)[: len(own)]
        rank[mine] = first + rng.permutation(own)
    rows = {name: column[rank] for name, column in columns.items() if name != "gang"}
    limit = rng.choice(np.array([1, 2, 4, 8, 12, 24, 48, 72, 168]), given.pending) * HOUR_MS
    submit = np.sort(NOW_MS - rng.integers(0, 24 * HOUR_MS, given.pending))
    queue = _queue(rng, given, given.pending)
    priority = np.array(_PRIORITIES)[pick(rng, _PRIORITY_WEIGHTS, given.pending)]
    return make_trace(
        given.pending, **rows, submit_ms=submit, queue=queue, tenant=queue, limit_ms=limit, accelerators=names,
        residencies=places, priority=priority, preemptible=rng.random(given.pending) < 0.4,
        queues=_queue_names(given), tenants=_queue_names(given),
    )  # fmt: skip


def _shapes(
    rng: np.random.Generator, given: CycleShape, fleet: Fleet
) -> tuple[dict[str, I64], tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """Distinct shapes, gangs first; alternatives are all subsets of the kinds, residencies twelve sets of six regions."""
    kinds = fleet.accelerators
    names = tuple(tuple(k for bit, k in enumerate(kinds) if number >> bit & 1) for number in range(1, 1 << len(kinds)))
    codes = sorted({site.region for site in fleet.sites})
    places = tuple(tuple(sorted(rng.choice(codes, min(6, len(codes)), replace=False).tolist())) for _ in range(12))
    gangs = max(round(given.shapes * given.gangs), 1) if given.gangs > 0 else 0
    counts = ((1, gangs), (0, given.shapes - gangs))
    made = [_distinct(rng, given, count, gang, len(names), len(places)) for gang, count in counts]
    columns = ("workers", "devices", "share_milli", "cores_milli", "memory_mib", "accelerator", "residency", "gang")
    return dict(zip(columns, np.concatenate(made).T, strict=True)), names, places


def _distinct(rng: np.random.Generator, given: CycleShape, count: int, gang: int, names: int, places: int) -> I64:
    found = np.zeros((0, 8), np.int64)
    while len(found) < count:
        more = max(2 * count, 64)
        workers = rng.choice([2, 4, 8, 16, 32], more, p=[0.4, 0.3, 0.2, 0.08, 0.02]) if gang else np.ones(more, np.int64)
        devices = np.full(more, DEVICES) if gang else rng.choice([0, 1, 2, 4, 8], more, p=[0.1, 0.6, 0.1, 0.08, 0.12])
        share = np.where(devices == 0, rng.choice([100, 250, 330, 470, 500, 810], more), 0)
        each = np.maximum(devices, 1)
        cores, memory = each * 500 * rng.integers(2, 40, more), each * 1024 * rng.integers(4, 128, more)
        bound = np.where(rng.random(more) < given.restricted, rng.integers(0, places, more), UNKNOWN)
        kinds = rng.integers(0, names, more)
        rows = np.stack([workers, devices, share, cores, memory, kinds, bound, np.full(more, gang)], axis=1)
        both = np.concatenate([found, rows])
        _values, first = np.unique(both, axis=0, return_index=True)
        found = both[np.sort(first)]
    return found[:count]


# -- rights -----------------------------------------------------------------------------------------------------------


def _queue_names(given: CycleShape) -> tuple[str, ...]:
    return tuple(f"queue-{number:03}" for number in range(given.queues))


def _quotas(rng: np.random.Generator, given: CycleShape, fleet: Fleet, nodes: FleetNodes) -> Quotas:
    weight = rng.integers(1, 11, given.queues)
    capacity = np.bincount(nodes.accelerator, weights=nodes.devices, minlength=len(fleet.accelerators)).astype(np.int64)
    nominal = np.array([apportion(int(total), weight.tolist()) for total in capacity], np.int64).T
    borrow = np.where(rng.random(nominal.shape) < 0.2, -1, (nominal * rng.uniform(0, 2, nominal.shape)).astype(np.int64))
    lend = (nominal * rng.uniform(0.3, 1, nominal.shape)).astype(np.int64)
    parent = np.concatenate([[-1], np.zeros(given.cohorts, np.int64)]).astype(np.int32)
    cohort = (1 + rng.integers(0, given.cohorts, given.queues)).astype(np.int32)
    return Quotas(_queue_names(given), cohort, parent, weight, rng.uniform(0, 400, given.queues) * 86_400, nominal, borrow, lend)


def _reservations(rng: np.random.Generator, given: CycleShape, nodes: FleetNodes) -> Reservations:
    """Runs of neighbouring nodes of one pool, within the next three days."""
    first = rng.integers(0, len(nodes), given.reservations)
    wide = rng.choice([1, 2, 4, 8, 16], given.reservations)
    runs = [np.flatnonzero(nodes.pool[at : at + width] == nodes.pool[at]) + at for at, width in zip(first, wide, strict=True)]
    start = NOW_MS + rng.integers(HOUR_MS // 4, 72 * HOUR_MS, given.reservations)
    ptr = np.concatenate([[0], np.cumsum([len(run) for run in runs])]).astype(np.int64)
    node = np.concatenate(runs).astype(np.int32) if runs else np.zeros(0, np.int32)
    until = start + rng.integers(HOUR_MS, 24 * HOUR_MS, given.reservations)
    return Reservations(_queue(rng, given, given.reservations), start, until, ptr, node)
