"""Power and maintenance on random worlds: the formula against a plain reading, and what is said of plans that ignore them."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from math import ceil

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dure.scheduler import Plan, Snapshot, check, plan
from dure.scheduler.attempts import latest_ends
from dure.scheduler.power import cap_mw, closing, draw_mw
from dure.scheduler.snapshot import CLAIMED, uncapped, undrawn
from tests.builders.world import World
from tests.builders.worlds import examples, worlds

SECONDS = st.integers(0, 6000)
DRAWS, CLOSED = " would draw ", " though nothing may run there "


def drawn(s: Snapshot, site: int, at_ms: int) -> int:
    """The docstring of `power`, read aloud."""
    a, n = s.attempts, s.nodes
    live = [i for i in range(len(a.ids)) if latest_ends(s)[i] > at_ms]

    def own(i: int) -> int:
        seats = range(a.worker_ptr[i], a.worker_ptr[i + 1])
        there = [(int(a.worker_node[k]), int(a.worker_mask[k]).bit_count()) for k in seats if n.site[a.worker_node[k]] == site]
        cores = int(a.cores_milli[i])
        return sum(int(n.device_mw[node]) * devices + ceil(cores * int(n.core_mw[node]) / 1000) for node, devices in there)

    total = sum(int(mw) for mw, where in zip(n.idle_mw, n.site, strict=True) if where == site)
    for i in range(len(a.ids)):
        if a.beneficiary[i] >= 0:
            continue
        room = sum(own(v) for v in live if a.beneficiary[v] == i) if a.state[i] == CLAIMED else 0
        total += max(own(i) if i in live else 0, room)
    return -(-total * int(s.sites.pue_permille[site]) // 1000)


@given(worlds(power=True), SECONDS)
@examples(60)
def test_a_site_draws_what_the_formula_says_at_any_moment(world: World, seconds: int) -> None:
    s = world.snapshot()
    at_ms = s.now_ms + 1000 * seconds
    assert draw_mw(s, at_ms).tolist() == [drawn(s, site, at_ms) for site in range(len(s.sites.ids))]


@given(worlds(power=True), SECONDS)
@examples(40)
def test_what_lives_never_draws_more_later(world: World, seconds: int) -> None:
    s = world.snapshot()
    assert (draw_mw(s, s.now_ms + 1000 * seconds) >= draw_mw(s, s.now_ms + 1000 * seconds + 700)).all()


# -- the second program ---------------------------------------------------------------------------------------------------


def alone(s: Snapshot) -> Snapshot:
    """The same without attempts: only what the plan does counts."""
    a = s.attempts
    none = {f.name: getattr(a, f.name)[:0] for f in fields(a)}
    return replace(s, attempts=replace(a, **{**none, "worker_ptr": np.zeros(1, np.int32)}))


def blind(s: Snapshot) -> Plan:
    """A plan that knows of no power and no windows, and promises nothing."""
    pue, ptr, from_ms, mw = uncapped(len(s.sites.ids))[:4]
    closed_ptr, closed_from_ms, closed_until_ms = undrawn(len(s.nodes.ids))[3:-1]
    sites = replace(s.sites, pue_permille=pue, power_ptr=ptr, power_from_ms=from_ms, power_mw=mw)
    nodes = replace(s.nodes, closed_ptr=closed_ptr, closed_from_ms=closed_from_ms, closed_until_ms=closed_until_ms)
    return plan(replace(s, sites=sites, nodes=nodes, policy=replace(s.policy, reservations_max=0)))


def seats(s: Snapshot, p: Plan) -> list[tuple[int, int, int, int]]:
    """(row of the workload, node, devices, end) of every worker that starts."""
    return [
        (row, int(p.start_node[k]), int(p.start_mask[k]).bit_count(), s.now_ms + int(s.pending.limit_ms[row]))
        for i, row in enumerate(p.start_pending.tolist())
        for k in range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1])
    ]


def overfull(s: Snapshot, p: Plan, site: int, at_ms: int) -> bool:
    """Whether what starts makes a site, on which nothing else runs, draw more than it may at a moment."""
    n, added = s.nodes, 0
    for row, node, devices, end in seats(s, p):
        if n.site[node] == site and at_ms < end:
            cores = int(s.pending.cores_milli[row])
            added += devices * int(n.device_mw[node]) + ceil(cores * int(n.core_mw[node]) / 1000)
    idle, pue = int(n.idle_mw[n.site == site].sum()), int(s.sites.pue_permille[site])
    cap = cap_mw(s.sites, site, at_ms)
    return added > 0 and 0 <= cap < -(-(idle + added) * pue // 1000)


@given(worlds(power=True, windows=True))
@examples(80)
def test_of_a_plan_that_knows_of_neither_the_second_program_says_just_what_is_wrong(world: World) -> None:
    """On a farm where nothing runs, that can be told by hand."""
    s = alone(world.snapshot())
    p = blind(s)
    steps = [s.sites.power_from_ms[a:b].tolist() for a, b in pairwise(s.sites.power_ptr.tolist())]
    over = {site for site, at in enumerate(steps) if any(overfull(s, p, site, max(m, s.now_ms)) for m in at)}
    late = {
        (s.pending.ids[row], s.nodes.ids[node])
        for row, node, _, end in seats(s, p)
        if (window := closing(s.nodes, node, s.now_ms)) is not None and window[0] < end
    }
    faults = check(s, p)
    assert {f.split(DRAWS)[0] for f in faults if DRAWS in f} == {s.sites.ids[site] for site in over}
    closed = {tuple(f.split(" and may run until ")[0].split(" starts on ")) for f in faults if CLOSED in f}
    assert closed == late
    assert all(DRAWS in f or CLOSED in f for f in faults)
