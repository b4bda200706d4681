"""Running work moves to other room of its site, so that what has enough of it there, but not together, can start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dure.model.policy import Policy
from dure.model.reason import Reason, ReasonKind
from dure.scheduler import Basis, NextKind, Plan, Snapshot, check, freeze, parse_suppositions, plan, suppose, why, why_claimed
from dure.scheduler.attempts import latest_ends, projects_of
from dure.scheduler.kernels.moves import MOVES_MAX, MOVING_MAX, NODES_MAX
from dure.scheduler.planning import Chance, Planning
from dure.scheduler.rows import picked, without_attempts
from dure.scheduler.snapshot import LAUNCHING, STOPPING
from dure.scheduler.suppose import Asker
from tests.builders.plans import both
from tests.builders.world import World


def farm(nodes: int = 2, devices: int = 8, **more: Any) -> World:
    return World(policy=Policy(moves=True)).site("s", nodes, **{"cores": 64, "devices": devices, "accelerator": "h100", **more})


def runs(world: World, id: str, node: int, mask: int = 0x0F, **more: Any) -> World:
    wants = {"cores": 4, "grace": 30, "rest": 1800, "checkpoint": -60, **more}
    return world.attempt(id, [(f"s/n{node}", mask)], **wants)


def halves(**more: Any) -> World:
    """Two nodes, each half in use; `b` loses less."""
    return runs(runs(farm(**more), "a", 0), "b", 1, checkpoint=-10)


def wants(world: World, id: str = "job", devices: int = 8, **more: Any) -> World:
    return world.pending(id, **{"devices": devices, "cores": 8, **more})


def made(world: World, *, plain: bool = True) -> tuple[Snapshot, Plan]:
    s = world.snapshot()
    p = both(s) if plain else plan(s)
    assert check(s, p) == ()
    return s, p


def moved(world: World, *, plain: bool = True) -> dict[str, dict[str, tuple[str, int]]]:
    """By workload that starts, who moves for it, and where to: node and devices."""
    s, p = made(world, plain=plain)
    found: dict[str, dict[str, tuple[str, int]]] = {}
    for i, row in enumerate(p.start_pending.tolist()):
        victims = range(p.start_victim_ptr[i], p.start_victim_ptr[i + 1])
        assert bool(victims) == p.moved(i)
        found[s.pending.ids[row]] = {s.attempts.ids[p.victim_attempt[v]]: _place(s, p, v) for v in victims}
    return found


def _place(s: Snapshot, p: Plan, v: int) -> tuple[str, int]:
    at = range(p.victim_place_ptr[v], p.victim_place_ptr[v + 1])
    (node,) = {s.nodes.ids[p.place_node[k]] for k in at}
    return node, int(np.bitwise_or.reduce(p.place_mask[at.start : at.stop]))


def test_of_two_half_used_nodes_the_one_whose_work_loses_less_is_emptied() -> None:
    world = wants(halves())
    assert moved(world) == {"job": {"b": ("s/n0", 0xF0)}}
    s, p = made(world)
    assert s.nodes.ids[p.start_node[0]] == "s/n1" and p.start_mask[0] == 0xFF


def test_a_policy_says_whether_anybody_moves() -> None:
    world = wants(halves())
    world.policy = replace(world.policy, moves=False)
    assert moved(world) == {}


@pytest.mark.parametrize("firm", [
    {"rest": 0}, {"preemptible": False}, {"started": -30}, {"state": STOPPING}, {"share": 500, "mask": 1},
])  # fmt: skip
def test_some_work_stays_where_it_is(firm: Mapping[str, Any]) -> None:
    """That which may not be moved, has not had its guaranteed run, makes room already, or has a share of a device."""
    world = runs(runs(farm(shares=True), "a", 0, **firm), "b", 1, **firm)
    assert moved(wants(world), plain=False) == {}


def test_work_that_yields_has_its_guaranteed_run_before_it_is_moved() -> None:
    """For normal work it makes room whether it has run or not; for its like it does not, and nobody moves for it."""
    young = {"priority": "background", "yields": True, "started": -30}
    world = runs(runs(farm(), "a", 0, **young), "b", 1, **young)
    assert moved(wants(world, priority="background")) == {}
    _, p = made(wants(world, "other"))
    assert p.victim_attempt.size == 1 and not p.moved(0)
    old = runs(runs(farm(), "a", 0, priority="background"), "b", 1, priority="background")
    assert moved(wants(old, priority="background", preemptible=False)) == {"job": {"a": ("s/n1", 0xF0)}}, "it does not yield"


def test_a_gang_on_several_nodes_stays() -> None:
    world = farm().attempt("gang", [("s/n0", 0x0F), ("s/n1", 0x0F)], cores=4, grace=30, rest=1800)
    assert moved(wants(world)) == {}


def test_all_workers_of_one_node_move_together() -> None:
    world = runs(farm(), "b", 1, checkpoint=-60).attempt(
        "two", [("s/n0", 0x03), ("s/n0", 0x0C)], cores=4, grace=30, rest=1800, checkpoint=-1
    )  # fmt: skip
    _, p = made(wants(world))
    assert p.place_node.tolist() == [1, 1] and p.place_mask.tolist() == [0x30, 0xC0]


def test_it_moves_only_to_what_is_free_together_now() -> None:
    """There are enough devices in all, but for one of them nowhere together."""
    world = runs(runs(runs(farm(3), "a", 0, 0x3F), "b", 1, 0x3F), "c", 2, 0x3F)
    assert moved(wants(world, devices=6)) == {}
    assert moved(wants(world, "small", devices=2)) == {"small": {}}


def test_without_as_much_room_in_all_nobody_is_asked() -> None:
    world = runs(runs(farm(), "a", 0, 0x1F), "b", 1)
    assert moved(wants(world)) == {}
    assert moved(wants(runs(runs(farm(cores=8), "a", 0, 1), "b", 1, 1), devices=0, cores=9)) == {}


def test_room_of_cores_is_made_too() -> None:
    world = runs(runs(farm(cores=8, devices=0, accelerator=""), "a", 0, 0), "b", 1, 0, checkpoint=-1)
    assert moved(wants(world, devices=0)) == {"job": {"b": ("s/n0", 0)}}


def test_the_fullest_node_that_takes_it_is_taken() -> None:
    world = runs(runs(runs(farm(4), "a", 0, 0x3F), "b", 1, 0x03, checkpoint=-1), "c", 2, 0x07)
    runs(world, "d", 3, 0x01, rest=0)
    assert moved(wants(world)) == {"job": {"b": ("s/n0", 0xC0)}}


def test_a_node_on_which_one_more_fits_is_left_to_those_who_wait() -> None:
    """Of a gang, one worker has room; the other gets it where that is not the first one's."""
    world = runs(runs(farm(3), "a", 0), "b", 1, checkpoint=-1)
    assert moved(wants(world, workers=2)) == {"job": {"b": ("s/n0", 0xF0)}}


def test_a_dearer_one_moves_where_the_cheapest_finds_no_place() -> None:
    world = farm(2, devices=4)
    for id, node, mask, ago in (("cheap", 0, 0xC, -10), ("dear", 0, 0x2, -20), ("other", 1, 0xE, -20)):
        runs(world, id, node, mask, checkpoint=ago)
    assert moved(wants(world, devices=2)) == {"job": {"dear": ("s/n1", 0x1)}}


def test_of_those_who_move_alone_few_are_tried_for_one_more_worker() -> None:
    """On each node the cheapest finds no place, and of the others the one that does stands behind so many who do not."""
    for nodes in (NODES_MAX - 2, NODES_MAX - 1):
        world = farm(nodes + 2, devices=4)
        for node in range(nodes):
            runs(world, f"cheap{node:02}", node, 0xE, checkpoint=-1)
        runs(runs(world, "pair", nodes, 0xC, checkpoint=-10), "dear", nodes, 0x2, checkpoint=-20)
        runs(world, "other", nodes + 1, 0xE, rest=0)
        found = {"job": {"dear": ("s/n0", 0x1)}} if nodes == NODES_MAX - 2 else {}
        assert moved(wants(world, devices=2)) == found, nodes


def test_none_moves_that_could_be_spared() -> None:
    """The cheap one on the node is let go where the dear one is needed anyway."""
    world = farm(2, devices=4)
    for id, node, mask, ago in (("cheap", 0, 0x1, -1), ("dear", 0, 0x6, -100), ("other", 1, 0x3, -2000)):
        runs(world, id, node, mask, checkpoint=ago)
    assert moved(wants(world, devices=3)) == {"job": {"dear": ("s/n1", 0xC)}}


def test_a_node_that_is_needed_no_more_keeps_its_work() -> None:
    """Where little is lost one of two workers fits; but both do where more is, and that alone suffices."""
    world = farm(4, devices=4)
    for id, node, mask, ago in (("a", 0, 0x3, -1), ("x", 0, 0x4, -1), ("b", 1, 0xF, -50), ("c", 2, 0x7, -5), ("d", 3, 0x7, -5)):
        runs(world, id, node, mask, checkpoint=ago, cores=1, rest=1800 if id in "ab" else 0)
    world.site("s", 0).node("s/n4", "s", cores=1, devices=4, accelerator="h100")
    world.node("s/n5", "s", cores=1, devices=3, accelerator="h100")
    assert moved(wants(world, devices=2, workers=2, cores=2)) == {"job": {"b": ("s/n4", 0xF)}}


def test_promised_nodes_take_nobody() -> None:
    world = halves()
    world.site("t", 1, cores=64, devices=8, accelerator="h100").attempt("long", [("t/n0", 0xFF)], cores=4, ends=600)
    wants(world, "first", sites=("t",), submitted=-5000)
    wants(world)
    assert moved(world) == {"job": {"b": ("s/n0", 0xF0)}}
    world.policy = replace(world.policy, reservations_max=2)
    blocked = wants(wants(halves(), "wide", devices=8, workers=2, submitted=-5000))
    assert moved(blocked) == {}, "both nodes are promised to the first"


def test_closed_nodes_take_nobody() -> None:
    world = wants(halves())
    world.nodes[0]["closed"] = [(world.now_ms + 600_000, world.now_ms + 700_000)]
    assert moved(world, plain=False) == {}, "b would move to where something is closed, and a leave what is"
    far = wants(halves())
    far.nodes[0]["closed"] = far.nodes[1]["closed"] = [(far.now_ms + 36_000_000, far.now_ms + 37_000_000)]
    assert moved(far, plain=False) == {"job": {"b": ("s/n0", 0xF0)}}, "all are gone by then"
    late = wants(halves(), limit=60)
    for node in late.nodes:
        node["closed"] = [(late.now_ms + 600_000, late.now_ms + 700_000)]
    assert moved(late, plain=False) == {}, "who moves may stay for half an hour"


def test_power_counts_both_places() -> None:
    def capped(mw: int) -> World:
        world = World(policy=Policy(moves=True)).site(
            "s", 2, cores=64, devices=8, accelerator="h100", device_mw=1000, power=[(-1, mw)]
        )  # fmt: skip
        return wants(runs(runs(world, "a", 0), "b", 1, checkpoint=-10))

    assert moved(capped(16_000), plain=False) == {"job": {"b": ("s/n0", 0xF0)}}, "as much as all devices of the site draw"
    assert moved(capped(15_999), plain=False) == {}


def test_blocks_are_kept_to_and_work_may_move_to_another() -> None:
    world = farm(4)
    for node, block in zip(world.nodes, (0, 0, 1, 1), strict=True):
        node["block"] = block
    for id, node, mask, rest in (("a", 0, 0x0F, 1800), ("b", 1, 0x00, 0), ("c", 2, 0x0F, 0), ("d", 3, 0x0F, 0)):
        runs(world, id, node, mask, rest=rest)
    assert moved(wants(world, workers=2, block=True), plain=False) == {"job": {"a": ("s/n2", 0xF0)}}


def test_a_share_gets_a_device_that_another_leaves() -> None:
    world = farm(2, devices=2, shares=True, cores=8)
    runs(world, "a", 0, 0x1, cores=6)
    runs(world, "b", 0, 0x2, cores=1, rest=0)
    runs(world, "c", 1, 0x1, cores=2, rest=0)
    assert moved(wants(world, devices=0, share=500, cores=7), plain=False) == {"job": {"a": ("s/n1", 0x2)}}


def test_a_deadline_is_kept_behind_those_who_move() -> None:
    assert moved(wants(halves(), limit=600, deadline=632), plain=False) == {"job": {"b": ("s/n0", 0xF0)}}
    assert moved(wants(halves(), limit=600, deadline=630), plain=False) == {}


def test_money_and_quotas_are_those_of_any_start() -> None:
    assert moved(wants(halves(), hold=5)) == {}
    assert moved(wants(halves().award("lab", 5), hold=5)) == {"job": {"b": ("s/n0", 0xF0)}}
    world = wants(halves().quota("project:lab", "device:h100", 12))
    assert moved(world, plain=False) == {}
    world.policy = replace(world.policy, quotas=())
    assert moved(wants(halves().quota("project:lab", "device:h100", 16)), plain=False) == {"job": {"b": ("s/n0", 0xF0)}}


def test_moving_comes_before_reclaiming_and_preempting() -> None:
    world = wants(halves(), priority="urgent")
    assert moved(world) == {"job": {"b": ("s/n0", 0xF0)}}
    for attempt in world.attempts:
        attempt["rest_ms"] = 0
    _, p = made(world)
    assert p.victim_attempt.size == 1 and not p.moved(0)


def test_a_plan_has_few_claims_for_which_others_move_and_each_moves_few() -> None:
    world = farm(2 * MOVING_MAX + 4)
    for n in range(2 * MOVING_MAX + 4):
        runs(world, f"r{n:02}", n)
    for n in range(MOVING_MAX + 2):
        wants(world, f"w{n:02}")
    found = moved(world)
    assert sum(1 for some in found.values() if some) == MOVING_MAX
    many = farm(2, devices=2 * MOVES_MAX + 2)
    for n in range(MOVES_MAX + 1):
        runs(many, f"r{n:02}", 0, 1 << n)
        runs(many, f"s{n:02}", 1, 1 << n, rest=0)
    assert moved(wants(many, devices=2 * MOVES_MAX + 2, cores=1)) == {}


def test_who_waits_is_told_who_moves() -> None:
    world = wants(halves())
    s, p = made(world)
    answer = why(s, p, 0)
    assert answer.reasons == (Reason.of(ReasonKind.WAITS_VICTIMS, victims=1, moved=1),)
    event = answer.next_event
    assert event is not None and (event.kind, event.basis, event.subject) == (NextKind.PREEMPTION, Basis.MOVE, "b")
    asked = Planning(wants(halves()).snapshot())
    assert asked.about(s).chance == Chance.CLAIMS


def kept(**more: Any) -> World:
    """As the next plan sees it: `b` has been told to stop, and its place is kept."""
    world = farm()
    runs(world, "a", 0)
    runs(world, "b", 1, state=STOPPING, ends=30, rest=0)
    world.claim("c", [("s/n1", 0xFF)], ["b"], cores=8, workload="job", started=0, ends=3600)
    return world.attempt("b2", [("s/n0", 0xF0)], cores=4, state=LAUNCHING, preemptible=False, started=0, ends=1800, follows="b",
                         workload="w-b", **more)  # fmt: skip


def test_a_kept_place_is_there_until_it_was_left_again() -> None:
    s = kept().snapshot()
    ends = latest_ends(s)
    assert ends[s.attempts.ids.index("b2")] == s.now_ms + 30_000 + 1_800_000
    world = kept()
    assert moved(wants(world, "late", devices=4)) == {}
    answer = why_claimed(world.snapshot(), "job")
    assert answer is not None and answer.reasons == (Reason.of(ReasonKind.WAITS_VICTIMS, victims=1, moved=1),)


def test_when_what_is_moved_has_gone_its_place_begins() -> None:
    s = kept().snapshot()
    gone = np.array([id == "b" for id in s.attempts.ids])
    then = without_attempts(s, gone)
    assert then.attempts.follows.tolist() == [-1, -1, -1]


def test_a_place_that_will_be_free_is_named_by_who_moves_there() -> None:
    """And not by the id of the attempt that it will be there, of which nobody has heard."""
    world = kept()
    for attempt in world.attempts:
        attempt["ends_ms"] += 7_200_000 if attempt["id"] in ("a", "c") else 0
    s = wants(world, "late", devices=4).snapshot()
    event = why(s, plan(s), s.pending.ids.index("late")).next_event
    assert event is not None and (event.kind, event.basis) == (NextKind.ATTEMPT_ENDS, Basis.LIMIT)
    assert (event.subject, event.workload, event.at_ms) == ("b", "w-b", s.now_ms + 1_830_000)


def test_of_those_who_end_together_the_one_is_named_whose_id_comes_first() -> None:
    """Places that are kept, and attempts of which only sites know, stand behind the others in a snapshot."""
    world = farm(1, devices=2).attempt("z", [("s/n0", 1)], ends=600).attempt("m", [("s/n0", 2)], ends=600)
    world.policy = replace(world.policy, reservations_max=0)
    s = wants(world, devices=1, cores=1).snapshot()
    turned = [s.attempts.ids.index(id) for id in ("z", "m")]
    for order in (turned, turned[::-1]):
        behind = replace(s, attempts=picked(s.attempts, np.array(order)))
        event = why(behind, plan(behind), 0).next_event
        assert event is not None and (event.kind, event.subject) == (NextKind.ATTEMPT_ENDS, "m")


def test_time_passes_also_for_what_moves() -> None:
    """It leaves by its grace and is in its new place then, with its limit before it, and its project uses no less."""
    s = kept().snapshot()
    leaf = int(s.projects.share[s.projects.ids.index("lab")])

    def later(text: str) -> Snapshot:
        said = parse_suppositions([text])
        then = suppose(s, said, Asker(rater=lambda workload, value: (0, -1), grace_ms=lambda workload: 0))  # type: ignore[arg-type]
        assert isinstance(then, Snapshot)
        return then

    then = later("now +60s")
    at = then.attempts.ids.index("b2")
    assert "b" not in then.attempts.ids and then.attempts.follows[at] == -1
    assert then.quotas.used[leaf].tolist() == s.quotas.used[leaf].tolist()
    assert latest_ends(then)[at] == s.now_ms + 30_000 + 1_800_000 == latest_ends(s)[s.attempts.ids.index("b2")]
    assert "b2" in later("now +1829s").attempts.ids and "b2" not in later("now +1831s").attempts.ids


def lent_by_owner(has: int = 12) -> World:
    """`lab` has 4 devices by its quota and uses 8, of what `owner` has."""
    world = farm(2).quota("*", "device:h100", 0).quota("project:lab", "device:h100", 4)
    world.policy = replace(world.policy, reclaims=True)
    return world.quota("project:owner", "device:h100", has)


def test_what_moves_is_used_by_its_project_all_the_while() -> None:
    """It borrows: its owner may have one place back, though the other is being left."""
    world = lent_by_owner()
    runs(world, "a", 0, rest=0, grace=30)
    runs(world, "b", 1, state=STOPPING, ends=30, rest=0)
    world.claim("c", [("s/n1", 0xFF)], ["b"], cores=8, project="owner", workload="job", started=0, ends=3600)
    world.attempt("b2", [("s/n0", 0xF0)], cores=4, state=LAUNCHING, preemptible=False, started=0, ends=1800, follows="b")
    s = wants(world, "mine", devices=4, project="owner").snapshot()
    p = plan(s)
    assert check(s, p) == ()
    assert [s.attempts.ids[v] for v in p.victim_attempt.tolist()] == ["a"] and p.start_reclaims[0]


def test_what_a_plan_moves_stays_used_by_its_project_in_that_plan() -> None:
    """`b` goes on elsewhere for the first; the second takes back what `a`, of the same project, borrows."""
    world = lent_by_owner(20)
    world.node("s/n2", "s", cores=64, devices=4, accelerator="h100")
    runs(world, "a", 2, 0x0F, rest=0)
    runs(runs(world, "b", 0, 0x03), "d", 1, 0x3F, project="third", rest=0, preemptible=False)
    wants(world, "whole", project="owner", priority="urgent")
    s = wants(world, "mine", devices=4, project="owner").snapshot()
    p = plan(s)
    assert check(s, p) == ()
    told = {s.pending.ids[row]: (p.moved(i), bool(p.start_reclaims[i])) for i, row in enumerate(p.start_pending.tolist())}
    assert told == {"whole": (True, False), "mine": (False, True)}


# -- the check ------------------------------------------------------------------------------------------------------------


S = wants(halves(), "job").snapshot()
P = plan(S)


def attempts(**columns: Any) -> Snapshot:
    """The snapshot with other attempts, `a` and `b`."""
    changed = {name: np.array(value, getattr(S.attempts, name).dtype) for name, value in columns.items()}
    return freeze(replace(S, attempts=replace(S.attempts, **changed)))


def nodes(**columns: Any) -> Snapshot:
    changed = {name: np.array(value, getattr(S.nodes, name).dtype) for name, value in columns.items()}
    return freeze(replace(S, nodes=replace(S.nodes, **changed)))


def place(**columns: Any) -> Plan:
    return replace(P, **{name: np.array(value, getattr(P, name).dtype) for name, value in columns.items()})


FAULTS = [
    (S, place(victim_place_ptr=[0, 2]), "column victim_place_ptr is no run over 1 rows and 1 entries"),
    (S, place(place_mask=[0xF0, 1]), "columns of places differ in length"),
    (S, place(place_node=[7]), "column place_node names a row that does not exist"),
    (replace(S, policy=replace(S.policy, moves=False)), P, "others move for job, which the policy does not allow"),
    (S, place(start_reclaims=[True]), "for job some move and others do not"),
    (freeze(replace(S, pending=replace(S.pending, priority=np.array([0])))), P,
     "others move for job, though it is of a class that yields"),
    (attempts(rest_ms=[0, 0]), P, "b may not be moved"),
    (attempts(started_ms=[S.now_ms, S.now_ms]), P, "b is moved before it has had its guaranteed run"),
    (S, place(victim_place_ptr=[0, 2], place_node=[0, 0], place_mask=[0x30, 0xC0]),
     "b does not move whole from one node to one other"),
    (S, place(place_node=[1]), "b is moved to where it is"),
    (nodes(accelerator=[-1, 0]), P, "b is moved to s/n0, which is of another site or type"),
    (nodes(usable=[False, True]), P, "b is moved to s/n0, which is not usable"),
    (S, place(place_mask=[0x70]), "b is moved and does not get as many devices"),
    (S, place(place_mask=[0xF00]), "b gets devices that s/n0 does not have"),
    (S, place(place_mask=[0x78]), "a device of s/n0 is given twice"),
    (nodes(closed_ptr=[0, 1, 1], closed_from_ms=[S.now_ms + 60_000], closed_until_ms=[S.now_ms + 90_000]), P,
     "though nothing may run there"),
]  # fmt: skip


@pytest.mark.parametrize(("s", "p", "fault"), FAULTS, ids=[fault for _, _, fault in FAULTS])
def test_each_fault_is_named(s: Snapshot, p: Plan, fault: str) -> None:
    assert check(S, P) == ()
    assert any(fault in told for told in check(s, p)), check(s, p)


def test_a_plan_that_moves_more_than_it_may_is_named() -> None:
    """Plans that nobody makes: two claims as one, the moves of both for it; and claims for whose place others move for once."""
    world = farm(2 * MOVING_MAX + 4)
    for n in range(2 * MOVING_MAX + 4):
        runs(world, f"r{n:02}", n)
    for n in range(MOVING_MAX + 1):
        wants(world, f"w{n:02}")
    s, p = made(world, plain=False)
    assert len(p.victim_attempt) == MOVING_MAX
    ptr = p.start_victim_ptr.copy()
    ptr[1 : MOVES_MAX + 1] = MOVES_MAX
    assert not any("who may be" in told for told in check(s, replace(p, start_victim_ptr=ptr)))
    ptr[1 : MOVES_MAX + 2] = MOVES_MAX + 1
    assert f"for w00 {MOVES_MAX + 1} move, who may be {MOVES_MAX}" in check(s, replace(p, start_victim_ptr=ptr))
    starts = ("start_pending", "start_alternative", "start_site", "start_currency", "start_reclaims", "start_node", "start_mask")
    rows, ends = (
        (*starts, "victim_attempt", "place_node", "place_mask"),
        ("start_victim_ptr", "start_worker_ptr", "victim_place_ptr"),
    )
    twice = {name: np.append(getattr(p, name), getattr(p, name)[-1:]) for name in rows}
    more = replace(p, **twice, **{name: np.append(getattr(p, name), getattr(p, name)[-1] + 1) for name in ends})
    assert f"others move for {MOVING_MAX + 1} claims of a plan, which may be {MOVING_MAX}" in check(s, more)


def test_what_moves_is_gone_late_also_when_nobody_claims_its_place_any_more() -> None:
    world = farm(2).attempt("b", [("s/n1", 0x0F)], cores=4, state=STOPPING, ends=600, grace=600, started=-900)
    world.attempt(
        "b2", [("s/n0", 0xFF)], cores=4, state=LAUNCHING, preemptible=False, started=0, ends=1800, follows="b", grace=30
    )  # fmt: skip
    world.attempt("x", [("s/n1", 0xF0)], cores=4, ends=9000, preemptible=False)
    s, p = made(wants(world), plain=False)
    assert (latest_ends(s) - s.now_ms).tolist() == [600_000, 2_400_000, 9_000_000]
    assert (p.reserve_ms - s.now_ms).tolist() == [2_400_000]


def test_what_if_knows_whose_work_it_is_that_moves() -> None:
    world = farm(2).attempt("b", [("s/n1", 0x0F)], cores=4, state=STOPPING, ends=600, grace=600, started=-900)
    world.attempt(
        "b2", [("s/n0", 0x0F)], cores=4, workload="w-b", state=LAUNCHING, preemptible=False, project="", started=0, ends=1800,
        follows="b", grace=30,
    )  # fmt: skip
    s = wants(world, project="other").snapshot()
    assert projects_of(s.attempts).tolist() == [s.projects.ids.index("lab")] * 2
    asker = Asker(rater=lambda _, __: lambda *_: (0, -1), grace_ms=lambda _: 0, projects=frozenset({"lab"}))
    for text in ("workload w-b ended", "project lab gone"):
        said = suppose(s, parse_suppositions([text]), asker)
        assert isinstance(said, Snapshot), said
        assert "project" not in text or said.attempts.ids == (), "nor the place that was kept"
