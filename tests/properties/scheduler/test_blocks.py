"""Topology blocks: whoever asks for one sits in one, and nobody else notices."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.reason import ReasonKind
from dure.scheduler import Snapshot, apply_change, check, freeze, plan, reason_of
from dure.scheduler.change import Change
from dure.scheduler.planning import Planning
from tests.builders.world import World
from tests.builders.worlds import examples, worlds
from tests.properties.scheduler.oracle import answered, changed, may_start

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


def blocked(waiting_max: int = 8) -> st.SearchStrategy[World]:
    return worlds(waiting_max=waiting_max, money=False, blocks=True)


@given(worlds(blocks=True, power=True, windows=True, quotas=True, shares=True, tastes=True))
@examples(150)
def test_every_plan_keeps_gangs_within_the_blocks_that_they_ask_for(world: World) -> None:
    s = world.snapshot()
    assert check(s, plan(s)) == ()


@given(blocked(waiting_max=1))
@examples(200)
def test_a_gang_starts_when_one_block_has_room_and_only_then(world: World) -> None:
    """By brute force, of one workload that nobody is before and that may not make others stop."""
    s = world.snapshot()
    s = freeze(replace(s, pending=replace(s.pending, preempts=np.zeros(1, np.bool_))))
    p = plan(s)
    fits = max(takes(s, now=True).values(), default=0) >= s.pending.workers[0]
    assert (len(p.start_pending) == 1) == (fits and may_start(s))
    told = reason_of(s, p, 0)
    if told is not None and told.kind == ReasonKind.BLOCK_TOO_SMALL:
        largest = max(takes(s, now=False).values(), default=0)
        assert told.facts == {"workers": s.pending.workers[0], "workers_fit_block": largest}
        assert largest < s.pending.workers[0] <= max(takes(anywhere(s), now=False).values())
    if told is not None and told.kind == ReasonKind.WAITS_BLOCK:
        most = max(takes(s, now=True).values(), default=0)
        assert told.facts == {"workers": s.pending.workers[0], "workers_fit_now": most}
        assert most < s.pending.workers[0] <= max(takes(anywhere(s), now=True).values())
    ever = {place[:2] for place, workers in takes(s, now=False).items() if workers >= s.pending.workers[0]}
    roomy = {place[:2] for place, workers in takes(anywhere(s), now=True).items() if workers >= s.pending.workers[0]}
    if may_start(s) and not fits and (roomy & ever if ever else roomy):  # who could run at some sites is told of these
        assert told is not None and told.kind in (ReasonKind.WAITS_BLOCK, ReasonKind.BLOCK_TOO_SMALL, ReasonKind.NODES_OUT)


def anywhere(s: Snapshot) -> Snapshot:
    return freeze(replace(s, pending=replace(s.pending, block=np.zeros_like(s.pending.block))))


def takes(s: Snapshot, *, now: bool) -> dict[tuple[int, ...], int]:
    """How many workers of the first who waits there is room for, by where they may sit together: a block or, if it asks for none,
    a site, of one type or, if it names none, of any. now: beside who is there, at sites and on nodes that take work."""
    p, n = s.pending, s.nodes
    found: dict[tuple[int, ...], int] = defaultdict(int)
    allowed = p.site_row[p.site_ptr[0] : p.site_ptr[1]].tolist()
    for node in range(len(n.ids)):
        site, kind, block = int(n.site[node]), int(n.accelerator[node]), int(n.block[node])
        closed = now and not (n.usable[node] and s.sites.reachable[site] and not s.sites.drained[site])
        if closed or (allowed and site not in allowed):
            continue
        together = ((site, block) if block >= 0 else (site, -1, node)) if p.block[0] and p.workers[0] > 1 else (site,)
        for wanted in s.alternatives.accelerator.tolist():
            if wanted in (kind, -1) and not (wanted < 0 and p.devices[0]):
                found[(wanted, *together)] += fits(s, node, free(s, node, now))
    return found


def free(s: Snapshot, node: int, now: bool) -> tuple[int, int, int]:
    """Cores, memory and devices of a node; now: that nobody has and nobody claims."""
    a, n, planning = s.attempts, s.nodes, Planning(s)
    if now:
        ground = planning.cycle.board.ground.nodes
        return (
            int(ground.cores_free[node]), int(ground.memory_free[node]), int(ground.whole_free[node]).bit_count()
        )  # fmt: skip
    assert len(a.ids) >= 0
    return int(n.cores_milli[node]), int(n.memory_mib[node]), int(n.device_mask[node]).bit_count()


def fits(s: Snapshot, node: int, room: tuple[int, int, int]) -> int:
    wanted = (int(s.pending.cores_milli[0]), int(s.pending.memory_mib[0]), int(s.pending.devices[0]))
    return max(0, min([1 << 24, *(r // w for r, w in zip(room, wanted, strict=True) if w > 0)]))


@given(worlds(power=True, windows=True, quotas=True), st.data())
@examples(80)
def test_nobody_else_notices_that_somebody_asks_for_a_block(world: World, data: st.DataObject) -> None:
    """The nodes are looked at in other parts then; the plan is the same."""
    for node in world.nodes:
        node["block"] = data.draw(st.sampled_from((-1, 0, 1)))
    alone = world.snapshot()
    world.pending("zz", eligible=99, block=True, workers=2, submitted=50)  # behind all others, and it has no turn yet
    beside = world.snapshot()
    first, second = plan(alone), plan(beside)
    count = len(alone.pending.ids)
    for column in fields(first):
        mine, other = getattr(first, column.name), getattr(second, column.name)
        assert np.array_equal(mine, other[:count] if column.name.startswith("wait_") else other), column.name


@given(blocked(waiting_max=4))
@examples(30, most=2000)
def test_to_give_up_the_block_is_suggested_where_that_starts_it(world: World) -> None:
    s = world.snapshot()
    for row, change, _ in changed(s):
        gives_up = Change(topology="any")
        if change.changed() != ("topology",) and s.pending.block[row] and s.pending.workers[row] > 1:
            spread = plan(apply_change(s, row, gives_up))
            assert row not in spread.start_pending or change.changed() == ("all_sites",)


@given(blocked(waiting_max=4))
@examples(25, most=300)
def test_why_tells_what_the_plan_tells_and_each_site_for_itself(world: World) -> None:
    for _, answer, reason, _ in answered(world.snapshot()):
        assert reason is None or answer.reasons[0] == reason
