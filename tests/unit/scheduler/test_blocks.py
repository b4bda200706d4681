"""Topology blocks: where a gang sits that asks for one, and what is said when none takes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dure.model.reason import Reason, ReasonKind
from dure.scheduler import (
    Asker,
    Change,
    Hypothetical,
    NextKind,
    NoChange,
    Snapshot,
    apply_change,
    check,
    decode,
    encode,
    outlook,
    parse_suppositions,
    plan,
    reason_of,
    suggest,
    suppose,
    why,
    with_hypothetical,
)
from tests.builders.world import World
from tests.unit.scheduler.test_saved import opened, place_of, sealed


def farm(*blocks: int, **node: object) -> World:
    """A site with a node for each of these blocks."""
    world = World().site("pohang")
    for i, block in enumerate(blocks):
        world.node(f"n{i}", "pohang", **{"devices": 4, "accelerator": "h100", "block": block, **node})  # type: ignore[arg-type]
    return world


def nodes_of(world: World, id: str = "job") -> list[str]:
    """Where it starts, one entry a worker; the plan is checked."""
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == ()
    for i, row in enumerate(p.start_pending.tolist()):
        if s.pending.ids[row] == id:
            return [s.nodes.ids[n] for n in p.start_node[p.start_worker_ptr[i] : p.start_worker_ptr[i + 1]].tolist()]
    return []


def told(world: World, id: str = "job") -> Reason | None:
    s = world.snapshot()
    return reason_of(s, plan(s), s.pending.ids.index(id))


def test_a_gang_sits_in_the_block_with_least_to_spare_that_takes_it() -> None:
    world = farm(0, 0, 0, 1, 1, 2).pending("job", workers=2, devices=3, block=True)
    assert nodes_of(world) == ["n3", "n4"]
    assert nodes_of(world.attempt("a", [("n4", 0b0011)])) == ["n0", "n1"]


def test_of_blocks_with_as_many_devices_the_one_with_fewer_cores_is_taken() -> None:
    world = farm(0, 0, 1, 1).pending("job", workers=2, devices=3, block=True)
    assert nodes_of(world) == ["n0", "n1"]
    assert nodes_of(world.attempt("a", [("n3", 0)], cores=2)) == ["n3", "n2"]


def test_who_asks_for_no_block_is_spread_as_ever() -> None:
    world = farm(0, 1).pending("job", workers=2, devices=3)
    assert nodes_of(world) == ["n0", "n1"]
    assert nodes_of(world.pending("other", workers=2, block=True, cores=99)) == ["n0", "n1"]


def test_nodes_that_are_in_no_block_take_no_gang_together_and_one_of_them_may_take_all_of_it() -> None:
    apart = farm(-1, -1).pending("job", workers=2, devices=3, block=True)
    assert nodes_of(apart) == []
    assert told(apart) == Reason.of(ReasonKind.BLOCK_TOO_SMALL, workers=2, workers_fit_block=1)
    assert nodes_of(farm(-1, -1).pending("job", workers=2, devices=2, block=True)) == ["n0", "n0"]
    assert nodes_of(farm(-1, -1).pending("job", devices=4, block=True)) == ["n0"]


def test_a_gang_that_no_block_would_take_hears_how_much_the_largest_takes() -> None:
    world = farm(0, 0, 1).pending("job", workers=3, devices=4, block=True)
    assert told(world) == Reason.of(ReasonKind.BLOCK_TOO_SMALL, workers=3, workers_fit_block=2)
    assert told(world.pending("wide", workers=4, devices=4, block=True), "wide") == Reason.of(
        ReasonKind.SITE_TOO_SMALL, workers=4, workers_fit_empty=3
    )


def test_a_gang_that_waits_for_a_block_hears_so_and_may_give_it_up() -> None:
    world = farm(0, 0, 1, 1).pending("job", workers=2, devices=3, block=True)
    world.attempt("a", [("n0", 0b0011)], ends=100).attempt("b", [("n2", 0b0011)], ends=50)
    assert told(world) == Reason.of(ReasonKind.WAITS_BLOCK, workers=2, workers_fit_now=1)
    s = world.snapshot()
    p = plan(s)
    answer = why(s, p, 0)
    assert answer.change == Change(topology="any") == suggest(s, 0).change
    assert [reason.kind for _, reason in answer.sites] == [ReasonKind.WAITS_BLOCK]
    assert p.reserve_ms.tolist() == [world.now_ms + 50_000] and p.reserve_node.tolist() == [2, 3]
    assert answer.next_event is not None and answer.next_event.subject == "b"
    spread = apply_change(s, 0, Change(topology="any"))
    assert not spread.pending.block[0] and plan(spread).start_pending.tolist() == [0]
    assert apply_change(spread, 0, Change(topology="block")).pending.block[0]
    full = world.attempt("c", [("n1", 0b0011), ("n3", 0b0011)])
    assert told(full) == Reason.of(ReasonKind.WAITS_DEVICES, workers=2, workers_fit_now=0, wanted=3, free=2)


def test_a_gang_whose_blocks_are_out_of_use_hears_that_nodes_are() -> None:
    world = farm(0, 1).node("out", "pohang", devices=4, accelerator="h100", block=0, usable=False)
    world.pending("job", workers=2, devices=4, block=True)
    assert told(world) == Reason.of(ReasonKind.NODES_OUT, workers=2, workers_fit_usable=1)


def test_it_is_no_change_of_a_job_of_one_worker_to_give_up_the_block() -> None:
    world = farm(0).attempt("a", [("n0", 0b1111)], preemptible=False).pending("job", devices=4, cores=1, limit=60, block=True)
    found = suggest(world.snapshot(), 0)
    assert found.change is None and found.no_change is NoChange.NONE_SUFFICES


def test_an_urgent_gang_takes_the_place_of_the_cheapest_victims_of_one_block() -> None:
    world = farm(0, 0, 1, 1).pending("job", workers=2, devices=3, priority="urgent", block=True)
    world.attempt("a", [("n0", 0b0011)], started=-600).attempt("b", [("n2", 0b0011)], started=-300)
    s = world.snapshot()
    p = plan(s)
    assert [s.attempts.ids[v] for v in p.victim_attempt.tolist()] == ["b"] and check(s, p) == ()
    assert nodes_of(world) == ["n2", "n3"]


def test_an_urgent_gang_hears_when_it_may_take_a_block() -> None:
    world = farm(0, 0, 1, 1).pending("job", workers=2, devices=3, priority="urgent", block=True)
    world.attempt("a", [("n0", 0b0011)], started=-10).attempt("b", [("n2", 0b0011)], started=-30)
    s = world.snapshot()
    event = why(s, plan(s), 0).next_event
    assert event is not None and (event.kind, event.subject) == (NextKind.PREEMPTION, "b")
    assert event.at_ms == world.now_ms + 30_000


def test_a_quote_asks_for_the_block_as_well() -> None:
    world = farm(0, 1).award("lab", 10)
    asked = Hypothetical(
        id="~", project=0, priority=200, workers=2, cores_milli=1000, memory_mib=1, devices=4, limit_ms=60_000,
        alternatives=((0, (0, -1)),), submitted_ms=world.now_ms, block=True,
    )  # fmt: skip
    s, row = with_hypothetical(world.snapshot(), asked)
    assert outlook(s, plan(s), row).reason == Reason.of(ReasonKind.BLOCK_TOO_SMALL, workers=2, workers_fit_block=1)
    s, row = with_hypothetical(world.snapshot(), replace(asked, block=False))
    assert outlook(s, plan(s), row).starts


def supposed(s: Snapshot, text: str) -> Snapshot:
    def rater(workload: str, value: int) -> object:
        return lambda *demand: (0, -1)

    read = parse_suppositions([text])
    assert not isinstance(read, Reason)
    found = suppose(s, read, Asker(rater=rater, grace_ms=lambda _: 0))  # type: ignore[arg-type]
    assert isinstance(found, Snapshot)
    return found


def test_it_may_be_supposed_that_a_job_asks_for_a_block_or_for_none() -> None:
    s = farm(0, 1).pending("job", workers=2, devices=3).snapshot()
    assert plan(s).start_pending.tolist() == [0]
    kept = supposed(s, "workload job topology block")
    assert kept.pending.block.tolist() == [True] and plan(kept).start_pending.tolist() == []
    assert plan(supposed(kept, "workload job topology any")).start_pending.tolist() == [0]


SPREAD = farm(0, 1).pending("job", workers=2, devices=3).snapshot()
ASKED = replace(SPREAD, pending=replace(SPREAD.pending, block=np.ones(1, np.bool_)))
LATER = farm(0, 1).attempt("a", [("n0", 0b0011)]).pending("job", workers=2, devices=3).snapshot()


@pytest.mark.parametrize(("block", "fine"), [((0, 1), False), ((-1, -1), False), ((-1, 0), False), ((7, 7), True)])
def test_the_second_program_finds_a_gang_that_is_spread_over_blocks(block: tuple[int, int], fine: bool) -> None:
    s = replace(ASKED, nodes=replace(ASKED.nodes, block=np.array(block, np.int32)))
    found = check(s, plan(SPREAD))
    assert found == (() if fine else ("job is to sit in one topology block, and is spread over several",))


def test_the_second_program_finds_a_promise_that_is_spread_over_blocks() -> None:
    p = plan(LATER)
    assert len(p.reserve_pending) == 1 and check(LATER, p) == ()
    asked = replace(LATER, pending=replace(LATER.pending, block=np.ones(1, np.bool_)))
    assert check(asked, p) == ("job is promised places in several topology blocks",)


def test_a_snapshot_that_was_saved_before_there_were_blocks_is_read() -> None:
    s = farm(-1, -1).pending("job", workers=2, devices=3).snapshot()
    header, body = opened(encode(s))
    nodes, pending = header["fields"]["nodes"]["fields"], header["fields"]["pending"]["fields"]
    for fields, name in ((nodes, "block"), (pending, "block")):
        at = place_of(header["fields"], fields[name])
        body = body[:at] + body[at + fields[name]["bytes"] :]
        del fields[name]
    again = decode(sealed({**header, "body_bytes": len(body)}, body))
    assert isinstance(again, Snapshot) and encode(again) == encode(s)
