"""A second, simpler program that only verifies a plan, sharing nothing with the one that makes it but the columns.

Plain loops over plain numbers, so that it can be read against the rules. It runs in production on every plan."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from dure.model.money import CURRENCIES
from dure.model.policy import Taste
from dure.scheduler.check_columns import run
from dure.scheduler.check_moves import move_faults, moved, shape_faults, stays_until
from dure.scheduler.check_power import limit_of, power_faults
from dure.scheduler.check_quota import over_quota
from dure.scheduler.plan import WAIT_CODES, Plan
from dure.scheduler.snapshot import CLAIMED, DEPENDENCY_MET, FOREVER_MS, RUNNING, STOPPING, Snapshot

OVERDUE_MS = 1_000  # an attempt past its latest end counts as gone a second from now, as in the plan
WHOLE = 1000  # thousandths of a device
DIMENSIONS = ("cores", "memory", "devices")
DEVICES = 2


@dataclass(frozen=True)
class Stay:
    """A load on a node until a moment. kind: holds, leaves (makes room for a claim) or claims."""

    kind: str
    until_ms: int
    load: tuple[int, int, int]
    mask: int
    from_ms: int = 0
    share: int = 0  # thousandths of each device in the mask; 0: it has them whole


@dataclass
class Node:
    """All that is, or will be, on one node."""

    stays: list[Stay] = field(default_factory=list)
    starts: list[Stay] = field(default_factory=list)  # of this plan, claims too
    promises: list[Stay] = field(default_factory=list)


def check(snapshot: Snapshot, plan: Plan) -> tuple[str, ...]:
    """Every rule that the plan breaks, as sentences; empty when it is fine."""
    shape = [*_shape(snapshot, plan), *shape_faults(snapshot, plan)]
    if shape:  # the columns do not even belong together: the rest could not be read
        return tuple(shape)
    ends = _ends(snapshot)
    leave = _leave(snapshot, ends)
    world = _world(snapshot, plan, ends, leave)
    return (
        *_decided_once(snapshot, plan),
        *(fault for i in range(len(plan.start_pending)) for fault in _start(snapshot, plan, i)),
        *_deadlines(snapshot, plan, leave),
        *_victims(snapshot, plan),
        *move_faults(snapshot, plan, leave),
        *_funds(snapshot, plan),
        *over_quota(snapshot, plan),
        *(fault for node, on in sorted(world.items()) for fault in (*_devices(snapshot, node, on), *_room(snapshot, node, on))),
        *_promises(snapshot, plan),
        *(fault for node, on in sorted(world.items()) for fault in _promised_room(snapshot, node, on)),
        *(fault for node, on in sorted(world.items()) for fault in _promised_whole(snapshot, node, on)),
        *(fault for node, on in sorted(world.items()) for fault in _promised_shares(snapshot, node, on)),
        *power_faults(snapshot, plan, ends, leave),
    )


# -- columns --------------------------------------------------------------------------------------------------------------


def _shape(s: Snapshot, p: Plan) -> Iterator[str]:
    starts, waits, promises = len(p.start_pending), len(p.wait_code), len(p.reserve_pending)
    runs = (
        ("start_worker_ptr", p.start_worker_ptr, starts, len(p.start_node)),
        ("start_victim_ptr", p.start_victim_ptr, starts, len(p.victim_attempt)),
        ("reserve_worker_ptr", p.reserve_worker_ptr, promises, len(p.reserve_node)),
    )
    for name, ptr, rows, end in runs:
        ends = ptr.tolist()
        if len(ends) != rows + 1 or ends[0] != 0 or ends[-1] != end or any(a > b for a, b in pairwise(ends)):
            yield f"column {name} is no run over {rows} rows and {end} entries"
    lengths = {len(p.start_alternative), len(p.start_site), len(p.start_currency), starts}
    if lengths != {starts} or len(p.start_mask) != len(p.start_node):
        yield "columns of starts differ in length"
    if len(p.start_reclaims) != starts:
        yield "columns of starts differ in length"
    if len(p.reserve_mask) != len(p.reserve_node):
        yield "columns of promised places differ in length"
    if {len(p.reserve_ms), len(p.reserve_site), len(p.reserve_alternative)} != {promises} or p.wait_facts.shape != (waits, 4):
        yield "columns of promises or reasons differ in length"
    for name, column, size in (
        ("start_pending", p.start_pending, len(s.pending.ids)),
        ("start_alternative", p.start_alternative, len(s.alternatives.accelerator)),
        ("start_site", p.start_site, len(s.sites.ids)),
        ("start_currency", p.start_currency, len(CURRENCIES)),
        ("start_node", p.start_node, len(s.nodes.ids)),
        ("victim_attempt", p.victim_attempt, len(s.attempts.ids)),
        ("reserve_pending", p.reserve_pending, len(s.pending.ids)),
        ("reserve_site", p.reserve_site, len(s.sites.ids)),
        ("reserve_alternative", p.reserve_alternative, len(s.alternatives.accelerator)),
        ("reserve_node", p.reserve_node, len(s.nodes.ids)),
    ):
        if len(column) and not 0 <= column.min() <= column.max() < size:
            yield f"column {name} names a row that does not exist"


def _decided_once(s: Snapshot, p: Plan) -> Iterator[str]:
    if len(p.wait_code) != len(s.pending.ids):
        yield f"{len(s.pending.ids)} workloads wait, {len(p.wait_code)} were decided"
        return
    codes, starts = p.wait_code, np.bincount(p.start_pending, minlength=len(p.wait_code))
    unknown = (codes < -1) | (codes >= len(WAIT_CODES))
    for row in np.flatnonzero((starts > 1) | ((starts > 0) != (codes == -1)) | unknown).tolist():
        name = s.pending.ids[row]
        if starts[row] > 1:
            yield f"{name} is started {starts[row]} times"
        if (starts[row] > 0) != (codes[row] == -1):
            yield f"{name} must either start or have a reason to wait"
        if unknown[row]:
            yield f"{name} has an unknown reason {codes[row]}"


# -- each start -----------------------------------------------------------------------------------------------------------


def _start(s: Snapshot, p: Plan, i: int) -> Iterator[str]:
    row, site, w = int(p.start_pending[i]), int(p.start_site[i]), s.pending
    name, allowed = w.ids[row], _allowed(s, row)
    if s.draining:
        yield f"{name} starts although the plane drains"
    if w.dependency[row] != DEPENDENCY_MET or w.eligible_ms[row] > s.now_ms:
        yield f"{name} starts before it may"
    if not s.sites.reachable[site] or s.sites.drained[site]:
        yield f"{name} starts at {s.sites.ids[site]}, which is unreachable or drained"
    if allowed and site not in allowed:
        yield f"{name} starts at {s.sites.ids[site]}, which it does not allow"
    alternative = int(p.start_alternative[i])
    if not w.alt_ptr[row] <= alternative < w.alt_ptr[row + 1]:
        yield f"{name} starts on an alternative that is not its own"
    nodes, masks = run(p.start_worker_ptr, p.start_node, i), run(p.start_worker_ptr, p.start_mask, i)
    if not _least(s, row) <= len(nodes) <= w.workers[row]:
        yield f"{name} is a gang of {_size(s, row)}, but {len(nodes)} are placed"
    if w.block[row] and not _in_one_block(s, nodes):
        yield f"{name} is to sit in one topology block, and is spread over several"
    devices = int(w.devices[row]) if w.share_milli[row] == 0 else 1
    yield from _workers(s, name, site, int(s.alternatives.accelerator[alternative]), devices, nodes, masks)
    yield from _bounds(s, row, site, int(s.alternatives.accelerator[alternative]))
    for node in nodes:
        if w.share_milli[row] and not s.nodes.shares[node]:
            yield f"{name} gets a share of a device of {s.nodes.ids[node]}, which divides none"


def _deadlines(s: Snapshot, p: Plan, leave: list[int]) -> Iterator[str]:
    """Whoever starts, or is promised a moment, is over in time by its limit; a claim has all of it once its victims have left."""
    deadline = s.pending.deadline_ms
    if deadline.min(initial=FOREVER_MS) >= FOREVER_MS:
        return
    for i, row in enumerate(p.start_pending.tolist()):
        gone = [leave[v] for v in run(p.start_victim_ptr, p.victim_attempt, i)]
        if max(gone, default=s.now_ms) + limit_of(s, row, int(p.start_alternative[i])) > deadline[row]:
            yield f"{s.pending.ids[row]} starts too late to be over by its deadline"
    for i, row in enumerate(p.reserve_pending.tolist()):
        if int(p.reserve_ms[i]) + limit_of(s, row, int(p.reserve_alternative[i])) > deadline[row]:
            yield f"{s.pending.ids[row]} is promised a moment that is too late for its deadline"


def _bounds(s: Snapshot, row: int, site: int, accelerator: int) -> Iterator[str]:
    """What the policy never takes."""
    reads = run(s.pending.data_ptr, s.pending.data_row, row)
    lack = {
        Taste.DOMESTIC: int(accelerator >= 0 and not s.domestic[accelerator]),
        Taste.CARBON: int(s.sites.carbon_g_kwh[site]),
        Taste.POWER_PRICE: int(s.sites.power_krw_mwh[site]),
        Taste.DATA: sum(1 for name in reads if name < 0 or not s.sites.has_data[site, name]),
    }
    for preference in s.policy.preferences:
        if preference.most >= 0 and not 0 <= lack[preference.taste] <= preference.most:
            yield (
                f"{s.pending.ids[row]} starts at {s.sites.ids[site]}, which lacks {lack[preference.taste]} of"
                f" {preference.taste.value}, where the policy allows {preference.most}"
            )


def _workers(
    s: Snapshot, name: str, site: int, accelerator: int, devices: int, nodes: list[int], masks: list[int]
) -> Iterator[str]:
    for node, mask in zip(nodes, masks, strict=True):
        at = s.nodes.ids[node]
        if s.nodes.site[node] != site:
            yield f"{name} is split: {at} is not at {s.sites.ids[site]}"
        if not s.nodes.usable[node]:
            yield f"{name} starts on {at}, which is not usable"
        if (accelerator >= 0 or devices) and s.nodes.accelerator[node] != accelerator:
            yield f"{name} starts on {at}, which has another accelerator"
        if mask.bit_count() != devices:
            yield f"{name} gets {mask.bit_count()} devices on {at} instead of {devices}"
        if mask & ~int(s.nodes.device_mask[node]):
            yield f"{name} gets devices that {at} does not have"


def _in_one_block(s: Snapshot, nodes: list[int]) -> bool:
    """On one node, or on nodes that stand in the same block."""
    blocks = {(int(s.nodes.site[n]), int(s.nodes.block[n])) for n in nodes}
    return len(set(nodes)) <= 1 or (len(blocks) == 1 and all(block >= 0 for _, block in blocks))


def _victims(s: Snapshot, p: Plan) -> Iterator[str]:
    a, taken = s.attempts, Counter(p.victim_attempt.tolist())
    yield from (f"{a.ids[v]} is a victim {n} times" for v, n in sorted(taken.items()) if n > 1)
    for i, row in enumerate(p.start_pending.tolist()):
        victims, nodes = run(p.start_victim_ptr, p.victim_attempt, i), set(run(p.start_worker_ptr, p.start_node, i))
        by_quota = bool(p.start_reclaims[i])  # then `over_quota` says who may be asked
        moves = p.moved(i)  # and `move_faults`
        if not by_quota and not moves and not s.pending.preempts[row] and any(not a.yields[v] for v in victims):
            yield f"{s.pending.ids[row]} may not preempt, but has victims that do not yield"
        for v in victims:
            if a.state[v] != RUNNING or not a.preemptible[v] or a.beneficiary[v] >= 0:
                yield f"{a.ids[v]} may not be preempted"
            if not by_quota and not moves and a.priority[v] >= s.pending.priority[row]:
                yield f"{a.ids[v]} has no lower priority than {s.pending.ids[row]}"
            if not a.yields[v] and s.now_ms < a.started_ms[v] + s.policy.min_run_ms:
                yield f"{a.ids[v]} has not had its guaranteed run"
            if not by_quota and not nodes & set(run(a.worker_ptr, a.worker_node, v)):
                yield f"{a.ids[v]} makes no room for {s.pending.ids[row]}"


def _funds(s: Snapshot, p: Plan) -> Iterator[str]:
    project, starting = s.pending.project, np.zeros(len(s.projects.ids), np.bool_)
    starting[project[p.start_pending]] = True  # nobody else's money is asked for
    open_now = np.flatnonzero((s.awards.expires_ms > s.now_ms) & starting[s.awards.project]).tolist()
    left = {a: int(s.awards.available[a]) for a in open_now}
    by_purse: dict[tuple[int, int], list[int]] = defaultdict(list)
    for a in sorted(open_now, key=lambda a: (int(s.awards.expires_ms[a]), a)):
        by_purse[int(s.awards.project[a]), int(s.awards.currency[a])].append(a)
    for i, row in enumerate(p.start_pending.tolist()):
        alternative, currency = int(p.start_alternative[i]), int(p.start_currency[i])
        whole, workers = int(s.pending.workers[row]), int(p.start_worker_ptr[i + 1] - p.start_worker_ptr[i])
        due = -(-int(s.alternatives.hold[alternative, currency]) * workers // whole)  # for as many as it gets, rounded up
        if due < 0:
            yield f"{s.pending.ids[row]} cannot be paid in {CURRENCIES[currency].value}"
        for a in by_purse[int(project[row]), currency]:
            site, accelerator = int(p.start_site[i]), int(s.alternatives.accelerator[alternative])
            if due > 0 and s.awards.site_ok[a, site] and s.awards.accelerator_ok[a, accelerator]:
                part = min(due, left[a])
                left[a], due = left[a] - part, due - part
        if due > 0:
            yield f"{s.pending.ids[row]} is short of {due} {CURRENCIES[currency].value}"


# -- each node ------------------------------------------------------------------------------------------------------------


def _world(s: Snapshot, p: Plan, ends: list[int], leave: list[int]) -> dict[int, Node]:
    """The nodes that the plan touches, with everything on them."""
    touched = sorted({*p.start_node.tolist(), *p.place_node.tolist(), *p.reserve_node.tolist()})
    world = {node: Node() for node in touched}
    victims = set(p.victim_attempt.tolist())
    for i in _near(s, touched):
        state = s.attempts.state[i]
        leaves = (state == STOPPING and s.attempts.beneficiary[i] >= 0) or i in victims
        kind = "claims" if state == CLAIMED else "leaves" if leaves else "holds"
        cores_milli, memory_mib, share = (
            int(column[i]) for column in (s.attempts.cores_milli, s.attempts.memory_mib, s.attempts.share_milli)
        )
        for node, mask in _seats(s.attempts.worker_ptr, s.attempts.worker_node, s.attempts.worker_mask, i):
            if node in world:
                load = (cores_milli, memory_mib, 0 if share else mask.bit_count())
                until_ms = leave[i] if i in victims else ends[i]
                world[node].stays.append(Stay(kind, until_ms, load, mask, share=share))
    for i, row in enumerate(p.start_pending.tolist()):
        gone = [leave[v] for v in run(p.start_victim_ptr, p.victim_attempt, i)]
        limit = limit_of(s, row, int(p.start_alternative[i]))
        kind, end = "claims" if gone else "holds", max(gone, default=s.now_ms) + limit
        for node, mask in _seats(p.start_worker_ptr, p.start_node, p.start_mask, i):
            world[node].starts.append(Stay(kind, end, _load(s, row), mask, share=int(s.pending.share_milli[row])))
    for i, places in moved(p):
        for node, mask in places:
            load = (int(s.attempts.cores_milli[i]), int(s.attempts.memory_mib[i]), mask.bit_count())
            world[node].starts.append(Stay("holds", stays_until(s, i, leave), load, mask))
    for i, row in enumerate(p.reserve_pending.tolist()):
        at_ms, share = int(p.reserve_ms[i]), int(s.pending.share_milli[row])
        end = at_ms + limit_of(s, row, int(p.reserve_alternative[i]))
        for node, mask in _seats(p.reserve_worker_ptr, p.reserve_node, p.reserve_mask, i):
            world[node].promises.append(Stay("promised", end, _load(s, row), mask, at_ms, share))
    return world


def _near(s: Snapshot, touched: list[int]) -> list[int]:
    """The rows of the attempts that have a worker on one of these nodes, in order."""
    here = np.zeros(len(s.nodes.ids), np.bool_)
    here[touched] = True
    workers = s.attempts.worker_ptr[1:] - s.attempts.worker_ptr[:-1]
    rows: list[int] = np.arange(len(workers)).repeat(workers)[here[s.attempts.worker_node]].tolist()
    return list(dict.fromkeys(rows))


def _devices(s: Snapshot, node: int, on: Node) -> Iterator[str]:
    """No device twice: not with what is there, not with what was or is claimed; only a claim may take what a victim leaves."""
    kept, leaving = _taken(x for x in on.stays if x.kind != "leaves"), _taken(x for x in on.stays if x.kind == "leaves")
    for stay in on.starts:
        own = _taken([stay])
        there = kept if stay.kind == "claims" else kept + leaving
        if any(own[device] + there[device] > WHOLE for device in own):
            yield f"a device of {s.nodes.ids[node]} is given twice"
        kept += own


def _taken(stays: Iterable[Stay]) -> Counter[int]:
    """Device → thousandths that these have of it."""
    taken: Counter[int] = Counter()
    for stay in stays:
        for device in range(stay.mask.bit_length()):
            if stay.mask >> device & 1:
                taken[device] += stay.share or WHOLE
    return taken


def _room(s: Snapshot, node: int, on: Node) -> Iterator[str]:
    """What starts now fits beside everything that is there, and in the end beside every claim, the victims gone."""
    for d, total in enumerate(_total(s, node)):
        now = sum(x.load[d] for x in (*on.stays, *on.starts) if x.kind != "claims")
        then = sum(x.load[d] for x in (*on.stays, *on.starts) if x.kind != "leaves")
        starts_now = any(x.kind == "holds" and x.load[d] for x in on.starts)
        if (now > total and starts_now) or (then > total and any(x.load[d] for x in on.starts)):
            yield f"{s.nodes.ids[node]} has too few {DIMENSIONS[d]}: {max(now, then)} of {total}"


# -- promises -------------------------------------------------------------------------------------------------------------


def _promises(s: Snapshot, p: Plan) -> Iterator[str]:
    starts, given = set(p.start_pending.tolist()), Counter(p.reserve_pending.tolist())
    for i, row in enumerate(p.reserve_pending.tolist()):
        name, site, nodes = s.pending.ids[row], int(p.reserve_site[i]), run(p.reserve_worker_ptr, p.reserve_node, i)
        if row in starts or given[row] > 1:
            yield f"{name} is promised what it has"
        if p.reserve_ms[i] <= s.now_ms:
            yield f"{name} is promised a moment that has passed"
        if (_allowed(s, row) and site not in _allowed(s, row)) or not s.sites.reachable[site] or s.sites.drained[site]:
            yield f"{name} is promised a place at {s.sites.ids[site]}, where it cannot start"
        if len(nodes) != _least(s, row) or any(s.nodes.site[n] != site or not s.nodes.usable[n] for n in nodes):
            yield f"{name} is promised places that do not hold it whole"
        if s.pending.block[row] and not _in_one_block(s, nodes):
            yield f"{name} is promised places in several topology blocks"
        alternative = int(p.reserve_alternative[i])
        type_ = int(s.alternatives.accelerator[alternative])
        if not s.pending.alt_ptr[row] <= alternative < s.pending.alt_ptr[row + 1]:
            yield f"{name} is promised an alternative that is not its own"
        elif type_ >= 0 and any(s.nodes.accelerator[n] != type_ for n in nodes):
            yield f"{name} is promised places with another accelerator"


def _promised_room(s: Snapshot, node: int, on: Node) -> Iterator[str]:
    """When a promise begins, by everybody's limits, the node has cores and memory for it and for the promises before it."""
    for at_ms in sorted({p.from_ms for p in on.promises}):
        there = [x for x in (*on.stays, *on.starts) if x.until_ms > at_ms]
        due = [x for x in on.promises if x.from_ms <= at_ms < x.until_ms]
        for d, total in enumerate(_total(s, node)[:DEVICES]):
            now = sum(x.load[d] for x in there if x.kind != "claims")
            then = sum(x.load[d] for x in there if x.kind != "leaves")
            if max(now, then) + sum(x.load[d] for x in due) > total and any(x.load[d] for x in due):
                yield f"{s.nodes.ids[node]} cannot keep a promise: too few {DIMENSIONS[d]} at {at_ms}"


def _promised_shares(s: Snapshot, node: int, on: Node) -> Iterator[str]:
    """When shares of a device are promised, it has them beside whoever is there."""
    for at_ms in sorted({p.from_ms for p in on.promises}):
        due = [x for x in on.promises if x.from_ms <= at_ms < x.until_ms]
        promised, taken = _taken(due), _taken(x for x in (*on.stays, *on.starts) if x.until_ms > at_ms)
        if any(promised[device] + taken[device] > WHOLE for device in promised):
            yield f"{s.nodes.ids[node]} cannot keep a promise: a device is promised twice at {at_ms}"


def _promised_whole(s: Snapshot, node: int, on: Node) -> Iterator[str]:
    """Promises of whole devices say how many, so here they choose, in the order in which they begin: each finds as many that
    nobody has then, and of which nothing is promised to another as long as it lasts."""
    there = [(x.mask, x.until_ms) for x in (*on.stays, *on.starts)]
    short: dict[int, str] = {}
    for own in sorted((x for x in on.promises if x.load[DEVICES]), key=lambda x: x.from_ms):
        free = int(s.nodes.device_mask[node])
        for mask, until_ms in there:
            free &= ~mask if until_ms > own.from_ms else ~0
        for x in on.promises:
            free &= ~x.mask if x.from_ms < own.until_ms and own.from_ms < x.until_ms else ~0
        chosen = [device for device in range(free.bit_length()) if free >> device & 1][: own.load[DEVICES]]
        if len(chosen) < own.load[DEVICES]:
            short[own.from_ms] = f"{s.nodes.ids[node]} cannot keep a promise: too few devices at {own.from_ms}"
        there.append((sum(1 << device for device in chosen), own.until_ms))
    yield from short.values()


# -- reading columns ------------------------------------------------------------------------------------------------------


def _seats(ptr: object, nodes: object, masks: object, i: int) -> Iterator[tuple[int, int]]:
    return zip(run(ptr, nodes, i), run(ptr, masks, i), strict=True)


def _least(s: Snapshot, row: int) -> int:
    """With how many workers it can run: all that it asks for, unless it says that fewer will do."""
    return int(s.pending.workers_min[row] or s.pending.workers[row])


def _size(s: Snapshot, row: int) -> str:
    least, most = _least(s, row), int(s.pending.workers[row])
    return str(most) if least == most else f"{least} to {most}"


def _allowed(s: Snapshot, row: int) -> list[int]:
    return run(s.pending.site_ptr, s.pending.site_row, row)


def _load(s: Snapshot, row: int) -> tuple[int, int, int]:
    return int(s.pending.cores_milli[row]), int(s.pending.memory_mib[row]), int(s.pending.devices[row])


def _total(s: Snapshot, node: int) -> tuple[int, int, int]:
    return int(s.nodes.cores_milli[node]), int(s.nodes.memory_mib[node]), int(s.nodes.device_mask[node]).bit_count()


def _leave(s: Snapshot, ends: list[int]) -> list[int]:
    """When each is gone at the latest if this plan asks it to make room."""
    asked: list[int] = np.minimum(np.array(ends, np.int64), s.now_ms + OVERDUE_MS + s.attempts.grace_ms).tolist()
    return asked


def _ends(s: Snapshot) -> list[int]:
    """When every live attempt is gone at the latest; a claim begins when its victims have left, what is moved when it has."""
    a = s.attempts
    ends: list[int] = np.maximum(a.ends_ms, s.now_ms + OVERDUE_MS).tolist()
    begins: dict[int, int] = {}
    for i in np.flatnonzero(a.beneficiary >= 0).tolist():
        claim = int(a.beneficiary[i])
        begins[claim] = max(begins.get(claim, 0), ends[i])
    for i in np.flatnonzero(a.follows >= 0).tolist():  # what is moved, in its new place
        begins[i] = ends[int(a.follows[i])]
    for row, begin in begins.items():
        ends[row] = max(ends[row], begin + int(a.ends_ms[row] - a.started_ms[row]))
    return ends
