"""The cycle of kernels decides what a plain program decides, whatever the world."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.policy import Policy
from dure.model.reason import Reason, ReasonKind
from dure.scheduler import plan
from dure.scheduler.kernels.board import KEPT, PROMISES
from dure.scheduler.kernels.cycle import run
from dure.scheduler.kernels.state import OVER, REACHED, STARTS, TRIED, VICTIMS, WORKERS, Cycle
from dure.scheduler.plan import WAIT_CODES, reason_of
from dure.scheduler.planning import Planning
from dure.scheduler.snapshot import RUNNING, STOPPING, Snapshot, freeze
from dure.scheduler.tables import cycle_of
from dure.scheduler.warm import nowhere
from tests.builders.plans import both, columns_of
from tests.builders.world import World
from tests.builders.worlds import examples, worlds
from tests.plain.cycle import Cycle as PlainCycle

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


def decided(cycle: Cycle) -> dict[str, object]:
    """Everything that was decided, in plain values."""
    found, used, promises = cycle.found, cycle.found.used, cycle.board.promises
    starts, made = int(used[STARTS]), int(cycle.board.used[PROMISES])
    seats, kept = cycle.board.seats, int(cycle.board.used[KEPT])
    return {
        "row": found.starts.row[:starts].tolist(), "alt": found.starts.alt[:starts].tolist(),
        "site": found.starts.site[:starts].tolist(),
        "currency": found.starts.currency[:starts].tolist(), "node": found.workers.node[: used[WORKERS]].tolist(),
        "mask": found.workers.mask[: used[WORKERS]].tolist(), "victims": found.victim[: used[VICTIMS]].tolist(),
        "promises": [(int(promises.pending[i]), int(promises.at[i]), int(promises.end[i])) for i in range(made)],
        "seats": list(zip(seats.node[:kept].tolist(), seats.workers[:kept].tolist(), strict=True)),
        "ahead": found.each.ahead.tolist(), "tried": int(used[TRIED]),
    }  # fmt: skip


def go(cycle: Cycle, before: int = -1, snapshot: Snapshot | None = None) -> Cycle:
    """Everybody has a turn, or those before a row."""
    planning = Planning(snapshot or nowhere())
    planning.cycle = cycle
    planning.run(before)
    return planning.cycle


def plainly(s: Snapshot) -> dict[str, object]:
    cycle = PlainCycle(s)
    cycle.run()
    starts, promises = list(cycle.done.starts.values()), list(cycle.done.promises.values())
    return {
        "row": [x.row for x in starts], "alt": [int(s.pending.alt_ptr[x.row]) + x.way.alt for x in starts],
        "site": [x.site for x in starts], "currency": [x.way.currency for x in starts],
        "node": [n for x in starts for n, k in zip(x.seats.nodes, x.seats.counts, strict=True) for _ in range(k)],
        "mask": [mask for x in starts for mask in x.masks], "victims": [v for x in starts for v in x.victims],
        "promises": [(p.pending, p.at_ms, p.end_ms) for p in promises],
        "seats": [seat for p in promises for seat in zip(p.seats.nodes, p.seats.counts, strict=True)],
        "ahead": [cycle.done.ahead.get(row, -1) for row in range(len(s.pending.ids))], "tried": cycle.done.tried,
    }  # fmt: skip


@pytest.mark.unmeasured
@given(worlds(waiting_max=14))
@examples(200, most=2000)
def test_kernels_decide_what_the_plain_program_decides(world: World) -> None:
    snapshot = world.snapshot()
    assert decided(go(cycle_of(snapshot))) == plainly(snapshot)


@pytest.mark.unmeasured
@given(worlds(waiting_max=14))
@examples(300, most=2000)
def test_the_plan_is_the_same_byte_for_byte(world: World) -> None:
    both(world.snapshot())


def test_what_keeps_work_that_fits_is_told_alike() -> None:
    """Promises in their order, the end of the depth, money for one site of two, and classes that were asked about before."""
    world = World(policy=replace(Policy(), reservations_max=1, backfill_depth=4))
    world.site("a", 2, cores=12, memory=8000).site("b", 1, cores=12, memory=8000)
    world.award("poor", 4000, sites=["b"]).award("broke", 5)
    for n, ends in enumerate((100, 400)):
        world.attempt(f"r{n}", [(f"a/n{n}", 0)], cores=6, started=-900, ends=ends)
    world.attempt("r2", [("b/n0", 0)], cores=6, started=-900, ends=200)
    world.pending("wider", workers=2, cores=12, sites=["a"], limit=60)  # promised both nodes, when the second is free
    for n, limit in enumerate((3600, 7200, 50, 399)):
        world.pending(f"long{n}", cores=2, sites=["a"], limit=limit, memory=600)
    for n, limit in enumerate((3600, 50, 3600)):
        world.pending(f"poor{n}", project="poor", cores=2, limit=limit, hold=30, memory=700)
    world.pending("broke", project="broke", hold=30).pending("anywhere", cores=2, limit=9000)
    snapshot = world.snapshot()
    made = both(snapshot)
    kinds = [WAIT_CODES[code][0] if code >= 0 else None for code in made.wait_code.tolist()]
    assert dict(zip(snapshot.pending.ids, kinds, strict=True)) == {
        "wider": ReasonKind.WAITS_CORES, "long0": ReasonKind.WAITS_RESERVED, "long1": ReasonKind.WAITS_RESERVED, "long2": None,
        "long3": None, "poor0": None, "poor1": ReasonKind.WAITS_FOR_TURN, "poor2": ReasonKind.WAITS_FOR_TURN,
        "broke": ReasonKind.FUNDS_SHORT, "anywhere": ReasonKind.WAITS_FOR_TURN,
    }  # fmt: skip


def test_the_promise_that_stands_in_the_way_is_the_first_that_leaves_no_room() -> None:
    world = World(policy=replace(Policy(), reservations_max=2)).site("a", 2, cores=12, memory=8000)
    for n, ends in enumerate((100, 400)):
        world.attempt(f"r{n}", [(f"a/n{n}", 0)], cores=6, started=-900, ends=ends)
    world.pending("first", cores=12, limit=9000).pending("second", cores=12, limit=9000).pending("long", cores=2, limit=9000)
    snapshot = world.snapshot()
    assert reason_of(snapshot, both(snapshot), 2) == Reason.of(
        ReasonKind.WAITS_RESERVED, for_workload="second", until_ms=world.now_ms + 400_000
    )


def test_what_remains_of_a_gang_goes_to_the_lower_of_equal_nodes() -> None:
    world = World().site("s").pending("gang", workers=5, cores=1, memory=1024)
    for node, memory in enumerate((1024, 4096, 4096)):
        world.node(f"n{node}", "s", cores=8, memory=memory)
    assert both(world.snapshot()).start_node.tolist() == [1, 1, 1, 1, 0]


def test_without_reasons_a_plan_decides_the_same() -> None:
    snapshot = busy().snapshot()
    whole, quick = plan(snapshot), plan(snapshot, reasons=False)
    assert columns_of(replace(quick, wait_code=whole.wait_code, wait_facts=whole.wait_facts)) == columns_of(whole)
    assert quick.wait_code.tolist() == [min(code, 0) for code in whole.wait_code.tolist()]


def test_with_no_depth_nobody_passes_who_was_promised_a_moment() -> None:
    world = World(policy=replace(Policy(), backfill_depth=0, reservations_max=1)).site("s", 1, cores=8)
    world.pending("first", cores=5).pending("wide", cores=8).pending("small", cores=1, limit=1)
    snapshot = world.snapshot()
    made = both(snapshot)
    assert (made.start_pending.tolist(), made.reserve_pending.tolist()) == ([0], [1])
    assert reason_of(snapshot, made, 2) == Reason.of(ReasonKind.WAITS_FOR_TURN, ahead=1)


@given(worlds(waiting_max=10), st.integers(1, 3))
@examples(60)
def test_a_cycle_that_is_made_in_pieces_is_the_same(world: World, piece: int) -> None:
    snapshot = world.snapshot()
    whole, cycle = go(cycle_of(snapshot)), cycle_of(snapshot)
    while (came := run(cycle, -1, piece)) != OVER:
        assert came == REACHED
    assert decided(cycle) == decided(whole)


def busy() -> World:
    """Sixty nodes, half of them taken by work that may be preempted, and a queue of everything."""
    world = World(policy=replace(Policy(), reservations_max=3))
    world.site("a", 40, cores=64, memory=64_000, devices=8, accelerator="h100").site("b", 20, cores=64, memory=64_000)
    for i in range(20):
        world.attempt(f"r{i}", [(f"a/n{i}", 255)], cores=8, state=RUNNING, priority="low", started=-900, ends=600 + 60 * i)
    for i in range(12):
        world.pending(
            f"gang{i}", workers=4 + 6 * (i % 3), devices=8, cores=32, priority=("normal", "urgent")[i % 4 == 3], limit=900
        )
        world.pending(f"cpu{i}", workers=1 + 200 * (i % 2), cores=2, memory=64, limit=300 * (i + 1))
        world.pending(f"one{i}", devices=1 + i % 8, cores=1, limit=60 * (i + 1))
    return world


def unlike() -> World:
    """Nodes of several sizes, partly in use, some by shares, with a claim; and some who want devices, or shares of them."""
    world = World(policy=replace(Policy(), reservations_max=3)).site("s")
    for n in range(12):
        size = (4, 8, 8, 2)[n % 4]
        world.node(f"n{n:02}", "s", cores=size * (2, 6, 4)[n % 3], devices=size, accelerator="a100", shares=n % 5 > 0)
        for device in range(n % size):
            world.attempt(f"r{n}-{device}", [(f"n{n:02}", 1 << device)], cores=1, memory=0, share=300 if n % 3 and n % 5 else 0)
    world.attempt("leaves", [("n11", 2)], cores=1, memory=0, state=STOPPING).claim("comes", [("n11", 2)], ["leaves"], cores=1)
    for i in range(30):
        share = (300, 0, 0)[i % 3]
        world.pending(f"w{i:02}", workers=1 + i % 2, cores=1 + i % 3, memory=0, share=share, devices=0 if share else 1 + i % 4)
    return world


def test_tables_grow_while_a_cycle_is_made() -> None:
    snapshot = busy().snapshot()
    cycle = cycle_of(snapshot)
    found = cycle.found
    small = found._replace(workers=found.workers[:201].view(np.recarray))
    assert decided(go(cycle._replace(found=small))) == plainly(snapshot)


def test_a_cycle_stops_before_the_turn_of_a_row_and_goes_on_with_it() -> None:
    snapshot = busy().snapshot()
    rows = decided(go(cycle_of(snapshot)))["row"]
    assert isinstance(rows, list)
    planning = Planning(snapshot)
    assert planning.run(before=rows[3])
    assert decided(planning.cycle)["row"] == rows[:3]
    planning.turn()
    assert decided(planning.cycle)["row"] == rows[:4]
    assert not planning.run()
    assert decided(planning.cycle)["row"] == rows


def test_nothing_starts_while_the_plane_drains() -> None:
    world = busy()
    world.draining = True
    assert decided(go(cycle_of(world.snapshot())))["row"] == []


def test_victims_are_those_that_cost_least_and_none_is_spared_in_vain() -> None:
    """Some are too important, some sit elsewhere, some would leave too little, and the dearest is let go where others suffice."""
    world = World().site("a", 6, cores=16, memory=8000, devices=4, accelerator="h100").site("b", 2, cores=16, memory=8000)
    world.site("c", 1, cores=16, memory=8000, devices=4, accelerator="npu")
    for node, (priority, saved) in enumerate(
        [("urgent", 0), ("low", -10), ("low", -500), ("normal", -300), ("low", -600), ("low", -1)]
    ):
        world.attempt(f"h{node}", [(f"a/n{node}", 15)], cores=4, priority=priority, started=-900, checkpoint=saved)
    world.attempt("gang", [("b/n0", 0), ("b/n1", 0)], cores=16, memory=100, priority="low", started=-900)
    world.attempt("other", [("c/n0", 3)], cores=4, priority="low", started=-900)
    for n, (workers, devices, cores) in enumerate([(1, 4, 4), (2, 2, 1), (3, 4, 1), (1, 0, 16), (4, 4, 1), (2, 0, 12)]):
        world.pending(f"w{n}", workers=workers, devices=devices, cores=cores, priority=("urgent", "high")[n % 2], memory=100)
    snapshot = world.snapshot()
    made = decided(go(cycle_of(snapshot)))
    assert made == plainly(snapshot)
    assert made["victims"]


def test_victims_that_are_not_needed_are_let_go_and_promised_nodes_left_alone() -> None:
    world = World(policy=replace(Policy(), reservations_max=2))
    world.site("a", 3, cores=16, memory=8000, devices=4, accelerator="h100").site("b", 4, cores=16, memory=8000)
    world.site("c", 3, cores=16, memory=8000)
    for id, seat, saved in (("half", ("a/n0", 3), -1), ("rest", ("a/n0", 12), -800), ("whole", ("a/n1", 15), -10)):
        world.attempt(id, [seat], cores=4, priority="low", started=-900, checkpoint=saved)
    world.attempt("important", [("a/n2", 15)], cores=4, priority="urgent", started=-900)
    for node in range(4):
        world.attempt(f"b{node}", [(f"b/n{node}", 0)], cores=16, priority=("urgent", "low")[node % 2], started=-900 - node)
    for node in range(3):
        world.attempt(f"c{node}", [(f"c/n{node}", 0)], cores=16, priority="low", started=-900, checkpoint=-5 * node, ends=7200)
    world.pending(
        "four", workers=4, cores=16, priority="urgent", sites=["b"]
    )  # only two could make room: it is promised a moment
    world.pending("one", devices=4, cores=1, priority="urgent")
    for n in range(4):
        world.pending(f"more{n}", cores=16, priority="urgent" if n else "high")
    world.pending("again", cores=16, priority="high")
    snapshot = world.snapshot()
    made = decided(go(cycle_of(snapshot)))
    assert made == plainly(snapshot)
    assert [snapshot.attempts.ids[v] for v in made["victims"]] == ["whole", "c0", "c1", "c2"]  # type: ignore[attr-defined]
    assert made["promises"]


def test_the_cheapest_site_makes_room_and_others_keep_what_is_theirs() -> None:
    world = World(policy=replace(Policy(), reservations_max=1))
    world.site("a", 2, cores=16, memory=8000, devices=4, accelerator="h100").node("a/cpu", "a", cores=16, memory=8000)
    world.site("b", 2, cores=16, memory=8000, devices=4, accelerator="h100").site("d", 5, cores=32, memory=8000)
    world.attempt("wide", [("a/n0", 15), ("a/cpu", 0)], cores=4, priority="low", started=-900, checkpoint=-1)
    world.attempt("a1", [("a/n1", 15)], cores=4, priority="urgent", started=-900)
    for node in range(2):
        world.attempt(f"b{node}", [(f"b/n{node}", 15)], cores=4, priority="low", started=-900, checkpoint=-300)
    for node in range(5):
        world.attempt(f"d{node}", [(f"d/n{node}", 0)], cores=32, priority=("low", "urgent")[node < 4], started=-900)
    world.pending("wide-gang", workers=4, cores=32, priority="urgent", sites=["d"])  # promised four of the five nodes
    world.pending("fifth", cores=32, priority="urgent", sites=["d"])
    world.pending("first", devices=4, cores=1, priority="urgent", submitted=-500)
    world.pending("patient", devices=3, cores=1, priority="urgent", submitted=-400)
    world.pending("forceful", devices=3, cores=1, priority="high", submitted=-300)
    snapshot = world.snapshot()
    forceful = np.array([id in ("fifth", "first", "forceful") for id in snapshot.pending.ids])
    snapshot = freeze(replace(snapshot, pending=replace(snapshot.pending, preempts=forceful)))
    made = decided(go(cycle_of(snapshot)))
    assert made == plainly(snapshot)
    assert {snapshot.attempts.ids[v] for v in made["victims"]} == {"wide", "d4", "b0"}  # type: ignore[attr-defined]


def test_what_no_node_could_ever_hold_is_told_apart_from_what_is_busy() -> None:
    world = World().site("a", 2, cores=8, memory=4000, devices=4, accelerator="h100").site("b", 1, cores=64, memory=4000)
    for n, (devices, cores, memory) in enumerate([(8, 1, 1), (4, 16, 1), (4, 8, 9000), (0, 65, 1), (0, 8, 9000), (0, 64, 4000)]):
        world.pending(f"w{n}", devices=devices, cores=cores, memory=memory)
    snapshot = world.snapshot()
    cycle = go(cycle_of(snapshot))
    assert decided(cycle) == plainly(snapshot)
    plain = [group.standing.verdict for group in PlainCycle(snapshot).groups]
    told = [(int(c), tuple(facts)) for c, facts in zip(cycle.standings.code, cycle.standings.facts.tolist(), strict=True)]
    assert [verdict[1] if verdict else (0, 0) for verdict in plain] == [facts for _, facts in told]


PRINT = """
import hashlib
from dataclasses import replace
from dure.model.policy import Packing
from dure.scheduler.tables import cycle_of
from dure.scheduler.warm import nowhere
from tests.properties.kernels.test_cycle import busy, decided, go, unlike
worlds = [made().snapshot() for made in (busy, unlike)]
every = [replace(s, policy=replace(s.policy, packing=packing)) for s in worlds for packing in Packing]
told = [sorted(decided(go(cycle_of(each))).items()) for each in every]
print(hashlib.sha256(repr(told).encode()).hexdigest(), len({repr(each) for each in told}))
"""


@pytest.mark.parametrize("seed", ["0", "77"])
def test_compiled_or_not_and_under_any_hash_seed_it_is_the_same(seed: str) -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", PRINT], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[3],
            env={**os.environ, "NUMBA_DISABLE_JIT": off, "PYTHONHASHSEED": seed},
        ).stdout
        for off in ("0", "1")
    ]  # fmt: skip
    assert told[0] == told[1]
    digest, different = told[0].split()
    assert len(digest) == 64
    assert int(different) > 8  # packings do decide something here
