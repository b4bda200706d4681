"""A national workload: sessions of tenants, told apart into jobs; everything is drawn from one generator, in one fixed order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dure.errors import require
from dure.simulator.traces.fitted import draw, pick
from dure.simulator.traces.fleet import Fleet, Pool
from dure.simulator.traces.national import (
    ARRAY,
    BATCH,
    CPU,
    DAY_S,
    GANG,
    HOUR_S,
    JOB_KINDS,
    LAB,
    SERVICE,
    TENANT_KINDS,
    WEEK_S,
    Workload,
)  # fmt: skip
from dure.simulator.traces.regions import REGIONS, zone_of
from dure.simulator.traces.stationary import Law, Shapes, window
from dure.simulator.traces.trace import COMPLETED, I32, I64, TIMEOUT, UNKNOWN, Bool, Trace, make_trace

F64 = NDArray[np.float64]
BACKGROUND, NORMAL, HIGH, URGENT = 0, 200, 300, 400  # values of model.policy's classes
ZERO = "2026-01-05T00:00:00"  # a Monday
SAMPLED = 20_000  # jobs of each kind from which those in progress are drawn


@dataclass(frozen=True)
class Tenants:
    kind: I64  # index into TENANT_KINDS
    region: I64  # index into REGIONS
    weight: F64  # of its sessions


@dataclass(frozen=True)
class Menu:
    """What a kind of job may run on: alternatives that the fleet has, with their weights."""

    entries: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]


def national(rng: np.random.Generator, fleet: Fleet, workload: Workload | None = None) -> Trace:
    """Jobs for a fleet, in order of submission: `jobs` that are submitted in a window of time, and before them, submitted at 0,
    those that are in progress when it begins, with what they have left to run (`stationary`). `extra["kind"]` indexes JOB_KINDS,
    `extra["in_progress"]` is 1 of the latter. Every job fits the empty fleet.

    The same generator state, fleet and parameters give the same trace, byte for byte."""
    given = workload or Workload()
    require(fleet.devices > 0, "a national workload needs a fleet with devices")
    require(given.jobs > 0 and given.load > 0 and given.tenants > 0, "a workload has jobs, a load and tenants")
    tenants = _tenants(rng, given)
    kind, tenant, session = _sessions(rng, given, tenants)
    new = _shapes(rng, given, fleet, kind, session)
    time = window(rng, _law(given, fleet), new, fleet.devices, given.load, _arrivals(rng, given, kind, session))
    begun, others = time.begun, len(time.begun.kinds)
    shapes, age = begun.shapes.joined(new), np.concatenate([begun.age_ms, np.zeros(given.jobs, np.int64)])
    kind, tenant = np.concatenate([begun.kinds, kind]), np.concatenate([_whose(rng, given, tenants, begun.kinds), tenant])
    session = np.concatenate([np.arange(others), session + others])
    submit = np.concatenate([np.zeros(others, np.int64), time.submit_ms])
    kinds, who, user = kind[session], tenant[session], _users(rng, given, tenant)[session]
    nodes = -(-shapes.workers // np.maximum(_node_devices(fleet) // np.maximum(shapes.devices, 1), 1))
    choice, names, residency, places = _where(rng, given, fleet, kind, kinds, session, tenants, who, nodes * _node_devices(fleet))
    cores, memory = _needs(rng, given, fleet, kinds, shapes.devices, shapes.shares)
    priority, preemptible, checkpoint = _treatment(rng, given, kinds, shapes.duration_ms)
    due = _deadlines(rng, given, kinds, submit - age, np.maximum(shapes.limit_ms, shapes.duration_ms))
    queue, queues = _queues(tenants, who)
    order = np.argsort(submit, kind="stable")
    columns: Mapping[str, I64 | I32 | Bool] = {
        "submit_ms": submit, "duration_ms": shapes.duration_ms - age, "workers": shapes.workers, "workers_min": shapes.least,
        "cores_milli": cores, "memory_mib": memory, "devices": shapes.devices, "share_milli": shapes.shares,
        "accelerator": choice, "residency": residency, "tenant": who, "queue": queue, "user": user,
        "array": np.where(kinds == ARRAY, session, UNKNOWN), "status": shapes.status,
        "limit_ms": np.where(shapes.limit_ms > 0, shapes.limit_ms - age, 0), "deadline_ms": due, "priority": priority,
        "preemptible": preemptible, "checkpoint_ms": checkpoint,
    }  # fmt: skip
    return make_trace(
        len(submit), **{name: column[order] for name, column in columns.items()}, accelerators=names, residencies=places,
        tenants=_tenant_names(tenants), queues=queues, users=_user_names(given), zero=ZERO,
        extra={"kind": kinds[order], "in_progress": (np.arange(len(submit)) < others).astype(np.int64)[order]},
    )  # fmt: skip


def _shapes(rng: np.random.Generator, given: Workload, fleet: Fleet, kind: I64, session: I64) -> Shapes:
    """What jobs hold and for how long; kind by session, session by job."""
    kinds = kind[session]
    devices, workers, least = _sizes(rng, given, kind, kinds, session, fleet)
    shares = _shares(rng, given, kinds)
    devices = np.where(shares > 0, 0, devices)
    limit, status, duration = _limits(rng, given, kinds, _durations(rng, given, kinds, devices * workers))
    return Shapes(
        devices=devices, workers=workers, least=least, shares=shares, duration_ms=duration, limit_ms=limit, status=status
    )


def _law(given: Workload, fleet: Fleet) -> Law:
    """So many jobs of each kind, each with its part of what is submitted."""
    rng = np.random.default_rng(0)  # the laws are no choice of this workload
    kinds = np.repeat(np.arange(len(JOB_KINDS)), SAMPLED)
    shapes = _shapes(rng, given, fleet, kinds, np.arange(len(kinds)))
    group = kinds * len(given.batch_duration) + _class(shapes.devices * shapes.workers)
    order, share = np.argsort(group, kind="stable"), np.array(given.kinds) / sum(given.kinds)
    return Law(kinds=kinds[order], group=group[order], weight=share[kinds[order]] / SAMPLED, shapes=shapes.take(order))


# -- who --------------------------------------------------------------------------------------------------------------


def _tenants(rng: np.random.Generator, given: Workload) -> Tenants:
    kind = pick(rng, list(given.tenant_kinds), given.tenants)
    region = pick(rng, [region.people for region in REGIONS], given.tenants)
    return Tenants(kind, region, np.arange(1, given.tenants + 1, dtype=np.float64) ** -given.activity_exponent)


def _tenant_names(tenants: Tenants) -> tuple[str, ...]:
    pairs = zip(tenants.kind.tolist(), tenants.region.tolist(), strict=True)
    return tuple(f"{TENANT_KINDS[kind]}-{REGIONS[region].slug}-{n:03}" for n, (kind, region) in enumerate(pairs, 1))


def _user_names(given: Workload) -> tuple[str, ...]:
    return tuple(
        f"u{tenant:03}.{user:02}" for tenant in range(1, given.tenants + 1) for user in range(1, given.users_per_tenant + 1)
    )


def _users(rng: np.random.Generator, given: Workload, tenant: I64) -> I64:
    own = (rng.random(len(tenant)) ** 2 * given.users_per_tenant).astype(np.int64)
    return tenant * given.users_per_tenant + own


def _queues(tenants: Tenants, who: I64) -> tuple[I64, tuple[str, ...]]:
    """A queue for each kind of tenant in each region."""
    names = tuple(f"{kind}-{region.slug}" for kind in TENANT_KINDS for region in REGIONS)
    return (tenants.kind * len(REGIONS) + tenants.region)[who], names


# -- sessions: jobs of one user, of one kind and size, close together ---------------------------------------------------


def _sessions(rng: np.random.Generator, given: Workload, tenants: Tenants) -> tuple[I64, I64, I64]:
    """Kind and tenant of each session, and the session of each job."""
    probe = np.random.default_rng(0)  # means of the laws, which are no choice of this workload
    means = np.array([_session_jobs(probe, given, np.full(20_000, k)).mean() for k in range(len(JOB_KINDS))])
    weights = np.array(given.kinds) / means
    expected = given.jobs / float((weights / weights.sum() * means).sum())
    kind = np.zeros(0, np.int64)
    jobs = np.zeros(0, np.int64)
    while jobs.sum() < given.jobs:  # mostly once: drawn with a margin
        more = pick(rng, weights, int(expected * 1.2) + 64)
        kind, jobs = np.concatenate([kind, more]), np.concatenate([jobs, _session_jobs(rng, given, more)])
    session = np.repeat(np.arange(len(jobs)), jobs)[: given.jobs]
    kind = kind[: session[-1] + 1]
    return kind, _whose(rng, given, tenants, kind), session


def _whose(rng: np.random.Generator, given: Workload, tenants: Tenants, kind: I64) -> I64:
    """The tenant of each session."""
    tenant = np.zeros(len(kind), np.int64)
    appetite = np.array([given.appetite[name] for name in TENANT_KINDS])
    for each in range(len(JOB_KINDS)):
        mine = kind == each
        tenant[mine] = pick(rng, tenants.weight * appetite[tenants.kind, each], int(mine.sum()))
    return tenant


def _session_jobs(rng: np.random.Generator, given: Workload, kind: I64) -> I64:
    jobs = np.ones(len(kind), np.int64)
    many = (kind == BATCH) | (kind == CPU)
    jobs[many] = np.maximum(draw(rng, given.session_jobs, int(many.sum())) + 1e-9, 1).astype(np.int64)
    arrays = kind == ARRAY
    pareto = 2 * (1 - rng.random(int(arrays.sum()))) ** (-1 / given.array_tail)
    jobs[arrays] = np.minimum(pareto, given.array_most).astype(np.int64)
    return jobs


# -- sizes ------------------------------------------------------------------------------------------------------------


def _sizes(rng: np.random.Generator, given: Workload, kind: I64, kinds: I64, session: I64, fleet: Fleet) -> tuple[I64, I64, I64]:
    """Devices per worker, workers, and the fewest workers, of each job; one size a session."""
    total, workers, least = np.ones(len(kind), np.int64), np.ones(len(kind), np.int64), np.ones(len(kind), np.int64)
    most = _node_devices(fleet)
    room = max(most, *(_at_once(fleet, site, pool) for site, pool in _usable(fleet)))
    sizes = list(given.batch_sizes)
    batch = kind == BATCH
    total[batch] = np.array(sizes)[pick(rng, [float(given.batch_sizes[size]) for size in sizes], int(batch.sum()))]
    gang = kind == GANG
    steps = max(min(given.gang_most, room) // given.gang_least, 1).bit_length()
    total[gang] = given.gang_least << pick(rng, given.gang_ratio ** np.arange(steps), int(gang.sum()))
    total = np.where(kind == CPU, 0, np.minimum(total, room))
    wide = total > most
    workers[wide] = -(-total[wide] // most)
    devices = np.where(wide, most, total)
    least[:] = workers
    half = gang & (rng.random(len(kind)) < given.elastic)
    least[half] = np.maximum(workers[half] // 2, 1)
    service = kind == SERVICE
    count = int(service.sum())
    replicas = list(given.service_sizes)
    devices[service] = np.minimum(np.array(replicas)[pick(rng, list(given.service_sizes.values()), count)], most)
    least[service] = rng.geometric(1 / given.service_replicas, count)
    peak = np.array(given.service_peak)[rng.integers(0, len(given.service_peak), count)]
    workers[service] = np.ceil(least[service] * peak)
    fits = room // most * (most // np.maximum(devices, 1))  # workers of this size in the largest pool
    workers = np.where(service, np.minimum(workers, fits), workers)
    least = np.minimum(least, workers)
    return devices[session], workers[session], least[session]


def _shares(rng: np.random.Generator, given: Workload, kinds: I64) -> I64:
    shares = np.zeros(len(kinds), np.int64)
    labs = np.flatnonzero(kinds == LAB)
    labs = labs[rng.random(len(labs)) < given.share_of_labs]
    values = list(given.shares)
    shares[labs] = np.array(values)[pick(rng, [float(weight) for weight in given.shares.values()], len(labs))]
    return shares


def _node_devices(fleet: Fleet) -> int:
    return max(pool.devices for _site, pool in fleet.pools())


def _usable(fleet: Fleet) -> list[tuple[int, Pool]]:
    """The pools of the largest nodes: jobs are made for these, so that each of them fits wherever it may go."""
    return [(site, pool) for site, pool in fleet.pools() if pool.devices == _node_devices(fleet)]


def _at_once(fleet: Fleet, site: int, pool: Pool) -> int:
    """Devices of a pool, in whole nodes, that may be in use at every hour while the rest of its site is idle. Work that lasts for
    days runs through the hours in which the site may draw least."""
    own, draws = fleet.sites[site], fleet.node_watts(pool) - pool.idle_watts
    caps = [watts for watts in (own.power_watts, *(each.watts for each in own.windows)) if watts]
    if not caps or draws <= 0:
        return pool.nodes * pool.devices
    idle = sum(each.nodes * each.idle_watts for each in own.pools)
    return min(max(min(caps) * 1000 // own.pue_permille - idle, 0) // draws, pool.nodes) * pool.devices


# -- where ------------------------------------------------------------------------------------------------------------


def _where(
    rng: np.random.Generator,
    given: Workload,
    fleet: Fleet,
    kind: I64,
    kinds: I64,
    session: I64,
    tenants: Tenants,
    who: I64,
    devices: I64,
) -> tuple[I64, tuple[tuple[str, ...], ...], I64, tuple[tuple[str, ...], ...]]:
    """Alternatives and residency of each job, such that what it asks for exists: where it does not, it may run anywhere,
    and on the type of which most stand together."""
    menus = {name: _menu(given, fleet, name) for name in JOB_KINDS if name != "cpu"}
    names = tuple(sorted({entry for menu in menus.values() for entry in menu.entries} | {_largest(fleet)}))
    chosen = np.full(len(kind), UNKNOWN, np.int64)
    for number, name in enumerate(JOB_KINDS):
        mine = kind == number
        if name in menus:
            own = np.array([names.index(entry) for entry in menus[name].entries])
            chosen[mine] = own[pick(rng, list(menus[name].weights), int(mine.sum()))]
    places = tuple((region.code,) for region in REGIONS) + tuple(zone_of(region.code) for region in REGIONS)
    u, bound = rng.random(len(kinds)), tenants.kind[who]
    home, zone = np.array(given.home)[bound], np.array(given.zone)[bound]
    region = tenants.region[who]
    residency = np.where(u < home, region, np.where(u < home + zone, region + len(REGIONS), UNKNOWN))
    choice = chosen[session]
    room = _room(fleet, names, places)  # [alternatives, or any type; residency, or anywhere]
    residency = np.where(room[choice, residency] < devices, UNKNOWN, residency)
    widest = names.index(_largest(fleet))
    return np.where((room[choice, residency] < devices) & (choice >= 0), widest, choice), names, residency, places


def _menu(given: Workload, fleet: Fleet, name: str) -> Menu:
    """The alternatives that the fleet has; all of its types where it has none of them."""
    types = tuple(sorted({pool.accelerator for _site, pool in _usable(fleet)}))
    found: dict[tuple[str, ...], float] = {}
    for weight, words in given.accelerators[name]:
        entry = tuple(word for word in words.split("|") if word in types)
        if entry:
            found[entry] = found.get(entry, 0.0) + weight
    found = found or {types: 1.0}
    return Menu(tuple(found), tuple(found.values()))


def _largest(fleet: Fleet) -> tuple[str, ...]:
    return (max((_at_once(fleet, site, pool), pool.accelerator) for site, pool in _usable(fleet))[1],)


def _room(fleet: Fleet, names: tuple[tuple[str, ...], ...], places: tuple[tuple[str, ...], ...]) -> I64:
    """The most devices of one pool by alternatives and residency; the last row is of any type, the last column of anywhere."""
    room = np.zeros((len(names) + 1, len(places) + 1), np.int64)
    for site, pool in _usable(fleet):
        rows = [row for row, entry in enumerate(names) if pool.accelerator in entry] + [len(names)]
        columns = [column for column, place in enumerate(places) if fleet.sites[site].region in place] + [len(places)]
        block = np.ix_(rows, columns)
        room[block] = np.maximum(room[block], _at_once(fleet, site, pool))
    return room


# -- how long ---------------------------------------------------------------------------------------------------------


def _durations(rng: np.random.Generator, given: Workload, kinds: I64, devices: I64) -> I64:
    """Milliseconds."""
    seconds = np.empty(len(kinds), np.float64)
    like_batch = (kinds != LAB) & (kinds != SERVICE)
    classes = _class(devices)
    for number, table in enumerate(given.batch_duration):
        mine = like_batch & (classes == number)
        seconds[mine] = draw(rng, table, int(mine.sum()))
    labs, services = kinds == LAB, kinds == SERVICE
    seconds[labs] = np.minimum(draw(rng, given.lab_duration, int(labs.sum())), given.lab_most_s)
    seconds[services] = rng.lognormal(np.log(given.service_median_s), given.service_sigma, int(services.sum()))
    return (np.clip(np.rint(seconds), 1, given.duration_most_s) * 1000).astype(np.int64)


def _class(devices: I64) -> I64:
    """Of `batch_duration`."""
    return np.searchsorted(np.array([1, 4, 8]), devices, side="left")


def _limits(rng: np.random.Generator, given: Workload, kinds: I64, duration: I64) -> tuple[I64, I64, I64]:
    """Wall time as given, how the job ends, and its run time: a job that times out runs exactly to its limit."""
    menu = np.array(given.limit_menu_s, np.int64) * 1000
    u = given.limit_least_u + (1 - given.limit_least_u) * rng.random(len(kinds))
    limit = menu[np.minimum(np.searchsorted(menu, duration / u), len(menu) - 1)]
    below = np.searchsorted(menu, duration, side="right") - 1
    late = (rng.random(len(kinds)) < given.timeout) & (below >= 0) & (kinds != SERVICE)
    limit = np.where(late, menu[np.maximum(below, 0)], np.maximum(limit, duration))
    none = (rng.random(len(kinds)) < given.no_limit) & ~late
    return np.where(none, 0, limit), np.where(late, TIMEOUT, COMPLETED), np.where(late, limit, duration)


# -- what beside devices ----------------------------------------------------------------------------------------------


def _needs(rng: np.random.Generator, given: Workload, fleet: Fleet, kinds: I64, devices: I64, shares: I64) -> tuple[I64, I64]:
    """Cores and memory of a worker; no more than its part of the poorest node that has devices."""
    cores, memory = np.zeros(len(kinds), np.int64), np.zeros(len(kinds), np.int64)
    groups = ((kinds == CPU, given.needs_cpu), (shares > 0, given.needs_share), (devices > 0, given.needs_whole))
    for mine, table in groups:
        row = pick(rng, [float(entry[2]) for entry in table], int(mine.sum()))
        cores[mine], memory[mine] = np.array([e[0] for e in table])[row], np.array([e[1] for e in table])[row]
    pools = [pool for _site, pool in _usable(fleet)]
    part = np.where(kinds == CPU, max((pool.devices for pool in pools), default=1), np.maximum(devices, 1))
    each = np.maximum(devices, 1)
    core_most = min((pool.cores_milli // pool.devices for pool in pools if pool.cores_milli), default=1 << 40)
    memory_most = min((pool.memory_mib // pool.devices for pool in pools if pool.memory_mib), default=1 << 40)
    return np.minimum(cores * each, core_most * part), np.minimum(memory * each, memory_most * part)


# -- when -------------------------------------------------------------------------------------------------------------


def _arrivals(rng: np.random.Generator, given: Workload, kind: I64, session: I64) -> Callable[[float], I64]:
    """When jobs are submitted, in ms, in a window of so many seconds: sessions by the hour of the week, jobs within one after
    another (an array's all at once). What of a session would come after the window comes at its beginning, as the rest of one
    that had begun before it would."""
    labs, at = kind == LAB, rng.random(len(kind))
    gap = np.floor(draw(rng, given.session_gap_s, len(session)))
    gap[(kind == ARRAY)[session]] = 0
    first = np.r_[True, session[1:] != session[:-1]]
    gap[first] = 0
    total = np.cumsum(gap)
    within = total - np.maximum.accumulate(np.where(first, total, 0))

    def submitted(span_s: float) -> I64:
        start = np.empty(len(kind), np.float64)
        for mine, hours in ((labs, given.lab_hours), (~labs, given.hours)):
            start[mine] = _moments(at[mine], np.outer(given.days, hours).ravel(), span_s)
        found: I64 = (np.floor((start[session] + within) % span_s) * 1000).astype(np.int64)
        return found

    return submitted


def _moments(at: F64, week: F64, span_s: float) -> F64:
    """Moments of a Poisson process whose rate follows the hour of the week (168 weights from Monday). at: uniform numbers."""
    hours = np.arange(int(np.ceil(span_s / HOUR_S)) + 1)
    rate = week[hours % (WEEK_S // HOUR_S)]
    mass = np.concatenate([[0.0], np.cumsum(rate)])
    full = np.interp(span_s, np.arange(len(mass)) * HOUR_S, mass)
    found: F64 = np.interp(at * full, mass, np.arange(len(mass)) * HOUR_S)
    return found


def _deadlines(rng: np.random.Generator, given: Workload, kinds: I64, submit: I64, run: I64) -> I64:
    some = (rng.random(len(kinds)) < given.deadline) & ((kinds == BATCH) | (kinds == GANG))
    slack = 1 + rng.exponential(given.deadline_slack, len(kinds))
    return np.where(some, submit + (run * slack).astype(np.int64), 0)


# -- how --------------------------------------------------------------------------------------------------------------


def _treatment(rng: np.random.Generator, given: Workload, kinds: I64, duration: I64) -> tuple[I64, Bool, I64]:
    u, v, w = rng.random(len(kinds)), rng.random(len(kinds)), rng.random(len(kinds))
    low = ((kinds == BATCH) | (kinds == ARRAY)) & (u < given.background)
    high, urgent = u > 1 - given.high, u > 1 - given.urgent
    priority = np.where(low, BACKGROUND, np.where(urgent, URGENT, np.where(high, HIGH, NORMAL)))
    movable = (kinds == BATCH) | (kinds == ARRAY) | (kinds == GANG)
    preemptible = low | (movable & (v < given.preemptible) & (priority <= NORMAL))
    every = np.array(given.checkpoint_s, np.int64)[rng.integers(0, len(given.checkpoint_s), len(kinds))] * 1000
    saves = (kinds == GANG) | ((kinds == BATCH) & (duration > HOUR_S * 1000) & (w < 0.5))
    return priority, preemptible, np.where(saves, every, 0)


def days(trace: Trace) -> float:
    """How long a trace's submissions last, in days."""
    return float(trace.submit_ms[-1] - trace.submit_ms[0]) / (1000 * DAY_S) if len(trace) else 0.0


def submitted(trace: Trace) -> Trace:
    """The jobs that are submitted in the window of a national workload, without those in progress when it begins."""
    return trace.take(trace.extra["in_progress"] == 0)


def offered_load(trace: Trace, devices: int) -> float:
    """Device-time that is asked for until the last submission, over what so many devices have until then: as if every job started
    when it is submitted."""
    last = int(trace.submit_ms.max(initial=0))
    held = float((trace.devices_milli / 1000) @ np.minimum(trace.duration_ms, last - trace.submit_ms))
    return held / (devices * last) if last else 0.0
