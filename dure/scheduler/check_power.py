"""What the second program says of power and of maintenance: plain loops over plain numbers, as in `check`.

Whoever starts is gone, by its limit, before nothing may run on its nodes; nobody is promised a place within such a window. And at
no moment at which the draw of a site may rise over its cap (now, when the cap falls, when a promise begins) do the starts and
promises of the plan make it draw more than it may, everybody staying until the end of their limits."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from dure.scheduler.check_columns import run, windows
from dure.scheduler.check_moves import moved, stays_until
from dure.scheduler.plan import Plan
from dure.scheduler.snapshot import CLAIMED, I64, Snapshot

Stay = tuple[int, int]  # milliwatts that are drawn until a moment: (until_ms, mw)


@dataclass
class Here:
    """Who draws at one site. Of a claim and those who make room for it one side is there at a time, and nobody knows which."""

    idle: int = 0
    alone: list[Stay] = field(default_factory=list)
    claims: dict[int, list[Stay]] = field(default_factory=lambda: defaultdict(list))  # by row of the attempt
    leaving: dict[int, list[Stay]] = field(default_factory=lambda: defaultdict(list))  # by row of the claim
    starts: dict[int, list[Stay]] = field(default_factory=lambda: defaultdict(list))  # by number of the start
    victims: dict[int, list[Stay]] = field(default_factory=lambda: defaultdict(list))  # by number of the start, being asked
    unasked: list[Stay] = field(default_factory=list)  # the same, without the plan
    promises: list[tuple[int, int, int]] = field(default_factory=list)  # (from_ms, until_ms, mw)

    @property
    def until_ms(self) -> int:
        """From when on the plan makes nobody draw more: all that it starts and promises is gone."""
        starts = (until for stays in self.starts.values() for until, _ in stays)
        return max((*starts, *(end for _, end, _ in self.promises)), default=0)

    def before(self, at_ms: int) -> int:
        """What is drawn at a moment without the plan."""
        return self._settled(at_ms) + _sum(self.unasked, at_ms)

    def after(self, at_ms: int) -> int:
        """And with it."""
        starts = {*self.starts, *self.victims}
        groups = sum(max(_sum(self.starts.get(i, ()), at_ms), _sum(self.victims.get(i, ()), at_ms)) for i in starts)
        return self._settled(at_ms) + groups + sum(mw for begin, end, mw in self.promises if begin <= at_ms < end)

    def _settled(self, at_ms: int) -> int:
        rows = {*self.claims, *self.leaving}
        groups = sum(max(_sum(self.claims.get(i, ()), at_ms), _sum(self.leaving.get(i, ()), at_ms)) for i in rows)
        return self.idle + _sum(self.alone, at_ms) + groups


def _sum(stays: Iterable[Stay], at_ms: int) -> int:
    return sum(mw for until_ms, mw in stays if at_ms < until_ms)


def power_faults(s: Snapshot, p: Plan, ends: Sequence[int], leave: Sequence[int]) -> Iterator[str]:
    """Every rule of power and maintenance that the plan breaks. ends: when each attempt is gone at the latest; leave: if the plan
    asks it to make room."""
    if len(s.nodes.closed_from_ms):
        yield from _closed_starts(s, p, leave)
        yield from _closed_promises(s, p)
    touched = sorted({*p.start_site.tolist(), *p.reserve_site.tolist()})
    capped = [site for site in touched if s.sites.power_ptr[site] < s.sites.power_ptr[site + 1]]
    if capped:
        draw = _Draw(s, capped)
        draw.live(ends, leave, _victims(p))
        draw.starts(p, leave)
        draw.moves(p, leave)
        draw.promises(p)
        for site in capped:
            yield from _overdrawn(s, site, draw.here[site])


# -- maintenance ----------------------------------------------------------------------------------------------------------


def _closed_starts(s: Snapshot, p: Plan, leave: Sequence[int]) -> Iterator[str]:
    for i, row in enumerate(p.start_pending.tolist()):
        end = _end(s, p, i, leave)
        for node in run(p.start_worker_ptr, p.start_node, i):
            for begin, over in windows(s, node):
                if begin < end:
                    yield (
                        f"{s.pending.ids[row]} starts on {s.nodes.ids[node]} and may run until {end},"
                        f" though nothing may run there from {begin} until {over}"
                    )


def _closed_promises(s: Snapshot, p: Plan) -> Iterator[str]:
    for i, row in enumerate(p.reserve_pending.tolist()):
        at_ms = int(p.reserve_ms[i])
        end = at_ms + limit_of(s, row, int(p.reserve_alternative[i]))
        for node in run(p.reserve_worker_ptr, p.reserve_node, i):
            for begin, over in windows(s, node):
                if begin < end and at_ms < over:
                    yield (
                        f"{s.pending.ids[row]} is promised {s.nodes.ids[node]} from {at_ms} until {end},"
                        f" though nothing may run there from {begin} until {over}"
                    )


# -- power ----------------------------------------------------------------------------------------------------------------


def _overdrawn(s: Snapshot, site: int, here: Here) -> Iterator[str]:
    from_ms, mw = (run(s.sites.power_ptr, column, site) for column in (s.sites.power_from_ms, s.sites.power_mw))
    begins, until_ms = {begin for begin, _, _ in here.promises}, here.until_ms
    steps = {at for at in from_ms if s.now_ms < at < until_ms}
    pue = int(s.sites.pue_permille[site])
    for at_ms in sorted({s.now_ms, *begins, *steps}):
        cap = mw[bisect_right(from_ms, at_ms) - 1]
        if cap < 0 or (meant := _meter(here.after(at_ms), pue)) <= cap:
            continue
        without = _meter(here.before(at_ms), pue)
        if meant > without:
            yield (
                f"{s.sites.ids[site]} would draw {meant} mW at {at_ms}, where it may draw {cap};"
                f" without what the plan starts and promises it would be {without}"
            )


def _meter(mw: int, pue_permille: int) -> int:
    return -(-mw * pue_permille // 1000)


class _Draw:
    """Who draws how much, where and until when: at these sites, of the others only what the plan adds."""

    def __init__(self, s: Snapshot, sites: Sequence[int]) -> None:
        self._s, self._sites = s, sites
        self.here: dict[int, Here] = defaultdict(Here)
        for site in sites:
            self.here[site].idle = int(s.nodes.idle_mw[s.nodes.site == site].sum())

    def _worker(self, node: int, devices_milli: int, cores_milli: int) -> int:
        nodes = self._s.nodes
        return -(-int(nodes.device_mw[node]) * devices_milli // 1000) + -(-int(nodes.core_mw[node]) * cores_milli // 1000)

    def live(self, ends: Sequence[int], leave: Sequence[int], victims: dict[int, int]) -> None:
        """Attempts. victims: those that the plan asks to make room → the start for which."""
        a, ptr = self._s.attempts, self._s.attempts.worker_ptr
        seated = np.flatnonzero(ptr[1:] > ptr[:-1])  # the others are on nodes that the plane does not know
        site = self._s.nodes.site[a.worker_node[ptr[seated]]]
        at = np.isin(site, self._sites)
        rows = seated[at]
        columns = (column[rows].tolist() for column in (a.state, a.beneficiary))
        for i, there, mw, state, claim in zip(rows.tolist(), site[at].tolist(), self._drawn(rows), *columns, strict=True):
            here, stay = self.here[there], (ends[i], mw)
            if state == CLAIMED:
                here.claims[i].append(stay)
            elif claim >= 0:
                here.leaving[claim].append(stay)
            elif i in victims:
                here.victims[victims[i]].append((leave[i], mw))
                here.unasked.append(stay)
            else:
                here.alone.append(stay)

    def _drawn(self, rows: I64) -> Iterator[int]:
        """What each of these attempts draws, all of its workers together."""
        a, nodes = self._s.attempts, self._s.nodes
        length = np.diff(a.worker_ptr)[rows]
        ptr, of = np.concatenate([[0], length.cumsum()]), rows.repeat(length)
        seats = np.arange(len(of)) + (a.worker_ptr[rows] - ptr[:-1]).repeat(length)
        node, whole = a.worker_node[seats], 1000 * np.bitwise_count(a.worker_mask[seats]).astype(np.int64)
        devices = np.where(a.share_milli[of] > 0, a.share_milli[of], whole)
        asks = zip(
            nodes.device_mw[node].tolist(),
            devices.tolist(),
            nodes.core_mw[node].tolist(),
            a.cores_milli[of].tolist(),
            strict=True,
        )
        each = [-(-device * milli // 1000) - (-core * cores // 1000) for device, milli, core, cores in asks]
        return (sum(each[begin:end]) for begin, end in pairwise(ptr.tolist()))

    def starts(self, p: Plan, leave: Sequence[int]) -> None:
        s = self._s
        for i, row in enumerate(p.start_pending.tolist()):
            nodes, masks = run(p.start_worker_ptr, p.start_node, i), run(p.start_worker_ptr, p.start_mask, i)
            cores, share = int(s.pending.cores_milli[row]), int(s.pending.share_milli[row])
            mw = sum(self._worker(n, share or 1000 * m.bit_count(), cores) for n, m in zip(nodes, masks, strict=True))
            self.here[int(p.start_site[i])].starts[i].append((_end(s, p, i, leave), mw))

    def moves(self, p: Plan, leave: Sequence[int]) -> None:
        """New places of those who move; each draws from now on, as nobody knows when it changes over."""
        s = self._s
        for i, places in moved(p):
            mw = sum(self._worker(node, 1000 * mask.bit_count(), int(s.attempts.cores_milli[i])) for node, mask in places)
            self.here[int(s.nodes.site[places[0][0]])].starts[-1 - i].append((stays_until(s, i, leave), mw))

    def promises(self, p: Plan) -> None:
        s = self._s
        for i, row in enumerate(p.reserve_pending.tolist()):
            devices = int(1000 * s.pending.devices[row] + s.pending.share_milli[row])
            cores, at_ms = int(s.pending.cores_milli[row]), int(p.reserve_ms[i])
            mw = sum(self._worker(n, devices, cores) for n in run(p.reserve_worker_ptr, p.reserve_node, i))
            end = at_ms + limit_of(s, row, int(p.reserve_alternative[i]))
            self.here[int(p.reserve_site[i])].promises.append((at_ms, end, mw))


def _victims(p: Plan) -> dict[int, int]:
    return {v: i for i in range(len(p.start_pending)) for v in run(p.start_victim_ptr, p.victim_attempt, i)}


def _end(s: Snapshot, p: Plan, i: int, leave: Sequence[int]) -> int:
    """When a start is gone at the latest: a claim has all of its time once its victims have left."""
    gone = [leave[v] for v in run(p.start_victim_ptr, p.victim_attempt, i)]
    return max(gone, default=s.now_ms) + limit_of(s, int(p.start_pending[i]), int(p.start_alternative[i]))


def limit_of(s: Snapshot, row: int, alternative: int) -> int:
    """How long it may stay there: as long as the alternative says, or as its row does."""
    return int(s.alternatives.limit_ms[alternative] or s.pending.limit_ms[row])
