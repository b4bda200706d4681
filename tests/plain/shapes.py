"""What a waiting workload asks for, and what an empty farm says to it. Workloads of one shape get one answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dure.model.reason import ReasonKind
from dure.scheduler.plan import WAIT_CODE
from dure.scheduler.snapshot import I64, Bool, Snapshot
from tests.plain.capacity import Ground
from tests.plain.place import CORES, DEVICES, MEMORY, Need, workers_in

Verdict = tuple[int, tuple[int, ...]]  # wait code and its facts


@dataclass(frozen=True, slots=True)
class Shape:
    sites: tuple[int, ...]  # allowed; empty: all
    accelerators: tuple[int, ...]  # best first
    need: Need
    workers: int  # the fewest that it can run with
    most: int  # and as many as it asks for


@dataclass(slots=True)
class Way:
    """Sites at which a workload may run on its alternative `alt`, paying in `currency`."""

    alt: int
    accelerator: int
    currency: int
    hold: int  # for the fewest workers
    sites: Bool
    whole: int  # for all that it asks for
    limit_ms: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds whatever else runs: a verdict when it can start nowhere, and the sites in question by alternative."""

    verdict: Verdict | None
    sites: tuple[Bool, ...] = ()


@dataclass(slots=True)
class Group:
    """Waiting workloads that differ in nothing but who came first: what is learned of one holds for all."""

    shape: Shape
    standing: Standing
    project: int
    holds: tuple[tuple[int, ...], ...]  # by alternative, by currency; for the fewest workers
    wholes: tuple[tuple[int, ...], ...]  # likewise, for all that it asks for
    limits: tuple[int, ...]  # by alternative
    priority: int
    preempts: bool
    firm: bool  # it does not yield
    ways: list[Way] = field(default_factory=list)  # as of the last look
    ways_at: int = -1  # version of the project's funds at that look
    key: tuple[object, ...] = ()  # shape and payable sites: workloads with the same key fit alike
    failed: I64 | None = None  # by alternative and site, the shortest limit that failed; one table for all of its shape
    hopeless: bool = False  # no moment is known at which it could start
    told: Verdict | None = None  # why those that got nothing wait, once everybody had their turn


def groups_of(s: Snapshot, ground: Ground) -> tuple[list[Group], list[int]]:
    """The groups, and the group of each row of Pending."""
    standings: dict[Shape, Standing] = {}
    p, groups, rows = s.pending, {}, []
    site_ptr, site_row, alt_ptr = p.site_ptr.tolist(), p.site_row.tolist(), p.alt_ptr.tolist()
    accelerators, holds = s.alternatives.accelerator.tolist(), [tuple(h) for h in s.alternatives.hold.tolist()]
    limits = s.alternatives.limit_ms.tolist()
    yielding = [c.value for c in s.policy.classes if c.yields]
    firm = ~(p.preemptible & np.isin(p.priority, yielding))
    columns = (p.project, p.priority, p.preempts, firm, p.workers, p.workers_min, p.cores_milli, p.memory_mib, p.devices)
    found: list[Group] = []
    for row, values in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        sites = tuple(site_row[site_ptr[row] : site_ptr[row + 1]])
        low, high = alt_ptr[row], alt_ptr[row + 1]
        lasts = tuple(own or int(p.limit_ms[row]) for own in limits[low:high])
        key = (values, sites, tuple(accelerators[low:high]), tuple(holds[low:high]), lasts)
        if key not in groups:
            groups[key] = len(found)
            found.append(_group(ground, standings, *key))
        rows.append(groups[key])
    return found, rows


def _group(
    ground: Ground, standings: dict[Shape, Standing], values: tuple[int, ...], sites: tuple[int, ...],
    accelerators: tuple[int, ...], holds: tuple[tuple[int, ...], ...], limits: tuple[int, ...],
) -> Group:  # fmt: skip
    project, priority, preempts, firm, workers, workers_min, cores_milli, memory_mib, devices = values
    shape = Shape(sites, accelerators, (cores_milli, memory_mib, devices), workers_min or workers, workers)
    if shape not in standings:
        standings[shape] = standing(ground, shape)
    least = tuple(tuple(for_some(hold, shape.workers, shape.most) for hold in each) for each in holds)
    return Group(shape, standings[shape], project, least, holds, limits, priority, bool(preempts), bool(firm))


def for_some(hold: int, workers: int, most: int) -> int:
    """What is held for so many of `most` workers, for all of whom it is `hold`; -1 stays what it is."""
    return -(-hold * workers // most) if hold > 0 else hold


def standing(ground: Ground, shape: Shape) -> Standing:
    """What the farm as it was built says to a shape, everybody else gone."""
    allowed = allowed_sites(ground, shape.sites)
    if not allowed.any():
        return Standing((WAIT_CODE[ReasonKind.NO_SITE_ALLOWED], ()))
    nodes = [_nodes(ground, shape, a) & allowed[ground.site] for a in shape.accelerators]
    if not any(n.any() for n in nodes):
        if shape.need[DEVICES] or min(shape.accelerators) >= 0:
            return Standing((WAIT_CODE[ReasonKind.NO_SUCH_ACCELERATOR], ()))
        return Standing((WAIT_CODE[ReasonKind.SITE_TOO_SMALL], (shape.workers, 0)))  # sites without a single node
    takes = [ground.by_site(workers_in(ground.total, shape.need) * n) for n in nodes]
    most = max(int(t.max()) for t in takes)
    if most == 0:
        return Standing(_node_too_small(ground.total[:, np.logical_or.reduce(nodes)], shape.need))
    if most < shape.workers:
        return Standing((WAIT_CODE[ReasonKind.SITE_TOO_SMALL], (shape.workers, most)))
    sites = tuple((t >= shape.workers) & ground.site_up for t in takes)
    if not any(s.any() for s in sites):
        drained = any(((t >= shape.workers) & ground.site_drained).any() for t in takes)
        return Standing((WAIT_CODE[ReasonKind.SITES_DRAINED if drained else ReasonKind.NO_SITE_REACHABLE], ()))
    return Standing(None, sites)


def allowed_sites(ground: Ground, sites: tuple[int, ...]) -> Bool:
    """A mask over sites. A negative row stands for a site that is not (any more) in the farm."""
    allowed = np.full(ground.site_count, not sites, np.bool_)
    allowed[[site for site in sites if site >= 0]] = True
    return allowed


def _nodes(ground: Ground, shape: Shape, accelerator: int) -> Bool:
    """Nodes of a type; work that wants devices of no known type finds none."""
    if accelerator < 0 and shape.need[DEVICES]:
        return np.zeros(ground.size, np.bool_)
    return ground.typed(accelerator)


def _node_too_small(total: I64, need: Need) -> Verdict:
    """The dimension that fails: among nodes with enough devices, then cores, the largest there is."""
    for dimension, kind in ((DEVICES, ReasonKind.NODE_TOO_SMALL_DEVICES), (CORES, ReasonKind.NODE_TOO_SMALL_CORES)):
        if int(total[dimension].max()) < need[dimension]:
            return WAIT_CODE[kind], (need[dimension], int(total[dimension].max()))
        total = total[:, total[dimension] >= need[dimension]]
    return WAIT_CODE[ReasonKind.NODE_TOO_SMALL_MEMORY], (need[MEMORY], int(total[MEMORY].max()))
