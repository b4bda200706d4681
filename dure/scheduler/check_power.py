"""What the second program says of power and of maintenance: plain loops over plain numbers, as in `check`.

Whoever starts is gone, by its limit, before nothing may run on its nodes; nobody is promised a place within such a window. And at
no moment at which the draw of a site may rise over its cap (now, when the cap falls, when a promise begins) do the starts and
promises of the plan make it draw more than it may, everybody staying until the end of their limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dure.scheduler.plan import Plan
from dure.scheduler.snapshot import CLAIMED, Snapshot

LEAVES, STAYS = 0, 1  # the sides of a group: those who make room, and who comes after them; never both at a time


@dataclass(frozen=True)
class Drawer:
    """So many milliwatts at a site, from a moment until another."""

    site: int
    group: str
    side: int
    from_ms: int
    until_ms: int
    mw: int


def power_faults(s: Snapshot, p: Plan, ends: Sequence[int]) -> Iterator[str]:
    """Every rule of power and maintenance that the plan breaks. ends: when each attempt is gone at the latest."""
    yield from _closed_starts(s, p, ends)
    yield from _closed_promises(s, p)
    touched = sorted({*p.start_site.tolist(), *p.reserve_site.tolist()})
    capped = [site for site in touched if s.sites.power_ptr[site] < s.sites.power_ptr[site + 1]]
    if not capped:
        return
    world = _Draw(s)
    before, after = list(world.live(ends, {})), [*world.live(ends, _victims(p)), *world.starts(p, ends), *world.promises(p)]
    for site in capped:
        here, then = [d for d in before if d.site == site], [d for d in after if d.site == site]
        yield from _overdrawn(s, site, world.idle[site], here, then)


# -- maintenance ----------------------------------------------------------------------------------------------------------


def _closed_starts(s: Snapshot, p: Plan, ends: Sequence[int]) -> Iterator[str]:
    for i, row in enumerate(p.start_pending.tolist()):
        end = _end(s, p, i, ends)
        for node in _run(p.start_worker_ptr, p.start_node, i):
            for begin, over in _windows(s, node):
                if begin < end:
                    yield (
                        f"{s.pending.ids[row]} starts on {s.nodes.ids[node]} and may run until {end},"
                        f" though nothing may run there from {begin} until {over}"
                    )


def _closed_promises(s: Snapshot, p: Plan) -> Iterator[str]:
    for i, row in enumerate(p.reserve_pending.tolist()):
        at_ms = int(p.reserve_ms[i])
        end = at_ms + int(s.pending.limit_ms[row])
        for node in _run(p.reserve_worker_ptr, p.reserve_node, i):
            for begin, over in _windows(s, node):
                if begin < end and at_ms < over:
                    yield (
                        f"{s.pending.ids[row]} is promised {s.nodes.ids[node]} from {at_ms} until {end},"
                        f" though nothing may run there from {begin} until {over}"
                    )


def _windows(s: Snapshot, node: int) -> Iterator[tuple[int, int]]:
    n = s.nodes
    return zip(_run(n.closed_ptr, n.closed_from_ms, node), _run(n.closed_ptr, n.closed_until_ms, node), strict=True)


# -- power ----------------------------------------------------------------------------------------------------------------


def _overdrawn(s: Snapshot, site: int, idle: int, before: Sequence[Drawer], after: Sequence[Drawer]) -> Iterator[str]:
    steps = list(
        zip(_run(s.sites.power_ptr, s.sites.power_from_ms, site), _run(s.sites.power_ptr, s.sites.power_mw, site), strict=True)
    )
    begins = {d.from_ms for d in after} | {at for at, _ in steps if at > s.now_ms}
    pue = int(s.sites.pue_permille[site])
    for at_ms in sorted({s.now_ms, *begins}):
        cap = [mw for at, mw in steps if at <= at_ms][-1]
        if cap < 0:
            continue
        meant, else_ = _meter(idle + _worst(after, at_ms), pue), _meter(idle + _worst(before, at_ms), pue)
        if meant > cap and meant > else_:
            yield (
                f"{s.sites.ids[site]} would draw {meant} mW at {at_ms}, where it may draw {cap};"
                f" without what the plan starts and promises it would be {else_}"
            )


def _worst(drawers: Sequence[Drawer], at_ms: int) -> int:
    """The most that can be drawn at a moment: of each group the side that draws more."""
    groups: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for d in drawers:
        if d.from_ms <= at_ms < d.until_ms:
            groups[d.group][d.side] += d.mw
    return sum(max(sides) for sides in groups.values())


def _meter(mw: int, pue_permille: int) -> int:
    return -(-mw * pue_permille // 1000)


class _Draw:
    """Who draws how much, where and until when."""

    def __init__(self, s: Snapshot) -> None:
        self._s = s
        self._device_mw, self._core_mw, self._site = s.nodes.device_mw.tolist(), s.nodes.core_mw.tolist(), s.nodes.site.tolist()
        self.idle: dict[int, int] = defaultdict(int)
        for site, mw in zip(self._site, s.nodes.idle_mw.tolist(), strict=True):
            self.idle[site] += mw

    def _worker(self, node: int, devices: int, cores_milli: int) -> int:
        return int(self._device_mw[node] * devices + -(-self._core_mw[node] * cores_milli // 1000))

    def live(self, ends: Sequence[int], victims: dict[int, str]) -> Iterator[Drawer]:
        """Attempts. victims: those that the plan asks to make room, each with its group."""
        a, now_ms = self._s.attempts, self._s.now_ms
        for i, (state, claim, cores) in enumerate(
            zip(a.state.tolist(), a.beneficiary.tolist(), a.cores_milli.tolist(), strict=True)
        ):
            nodes, masks = _run(a.worker_ptr, a.worker_node, i), _run(a.worker_ptr, a.worker_mask, i)
            if not nodes:  # of a node that the plane does not know
                continue
            group = f"claim {i}" if state == CLAIMED else f"claim {claim}" if claim >= 0 else victims.get(i, f"attempt {i}")
            side = LEAVES if claim >= 0 or i in victims else STAYS
            mw = sum(self._worker(n, m.bit_count(), cores) for n, m in zip(nodes, masks, strict=True))
            yield Drawer(self._site[nodes[0]], group, side, now_ms, ends[i], mw)

    def starts(self, p: Plan, ends: Sequence[int]) -> Iterator[Drawer]:
        s = self._s
        for i, row in enumerate(p.start_pending.tolist()):
            nodes, masks = _run(p.start_worker_ptr, p.start_node, i), _run(p.start_worker_ptr, p.start_mask, i)
            cores = int(s.pending.cores_milli[row])
            mw = sum(self._worker(n, m.bit_count(), cores) for n, m in zip(nodes, masks, strict=True))
            yield Drawer(int(p.start_site[i]), f"start {i}", STAYS, s.now_ms, _end(s, p, i, ends), mw)

    def promises(self, p: Plan) -> Iterator[Drawer]:
        s = self._s
        for i, row in enumerate(p.reserve_pending.tolist()):
            devices, cores, at_ms = int(s.pending.devices[row]), int(s.pending.cores_milli[row]), int(p.reserve_ms[i])
            mw = sum(self._worker(n, devices, cores) for n in _run(p.reserve_worker_ptr, p.reserve_node, i))
            yield Drawer(int(p.reserve_site[i]), f"promise {i}", STAYS, at_ms, at_ms + int(s.pending.limit_ms[row]), mw)


def _victims(p: Plan) -> dict[int, str]:
    return {v: f"start {i}" for i in range(len(p.start_pending)) for v in _run(p.start_victim_ptr, p.victim_attempt, i)}


def _end(s: Snapshot, p: Plan, i: int, ends: Sequence[int]) -> int:
    """When a start is gone at the latest: a claim has all of its time once its victims have left."""
    leave = [ends[v] for v in _run(p.start_victim_ptr, p.victim_attempt, i)]
    return max(leave, default=s.now_ms) + int(s.pending.limit_ms[int(p.start_pending[i])])


def _run(ptr: object, column: object, i: int) -> list[int]:
    values: list[int] = column[ptr[i] : ptr[i + 1]].tolist()  # type: ignore[index]
    return values
