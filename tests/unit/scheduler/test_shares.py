"""Shares of a device: who sits where, what is kept for whom, and who makes room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dure.model.policy import Policy
from dure.model.reason import ReasonKind
from dure.scheduler import Plan, Snapshot, check, plan, reason_of, why
from dure.scheduler.kernels.short import PLACES
from dure.scheduler.snapshot import STOPPING
from tests.builders.world import World


def farm(nodes: int = 1, devices: int = 2, **rest: object) -> World:
    return World().site("pohang", nodes=nodes, devices=devices, accelerator="h100", shares=True, **rest)  # type: ignore[arg-type]


def made(world: World) -> tuple[Snapshot, Plan]:
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == ()
    return s, p


def seats(world: World) -> dict[str, list[tuple[str, int]]]:
    """Workload → (node, mask) of each worker that starts."""
    s, p = made(world)
    return {
        s.pending.ids[row]: [
            (s.nodes.ids[p.start_node[at]], int(p.start_mask[at]))
            for at in range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1])
        ]
        for i, row in enumerate(p.start_pending.tolist())
    }


def waits(world: World, id: str) -> tuple[ReasonKind, dict[str, object]]:
    s, p = made(world)
    reason = reason_of(s, p, s.pending.ids.index(id))
    assert reason is not None
    return reason.kind, dict(reason.facts)


def test_shares_fill_one_device_before_another() -> None:
    world = farm().pending("a", share=500).pending("b", share=300).pending("c", share=300).pending("d", share=200)
    assert seats(world) == {
        "a": [("pohang/n0", 1)], "b": [("pohang/n0", 1)], "c": [("pohang/n0", 2)], "d": [("pohang/n0", 1)],
    }  # fmt: skip


def test_a_share_leaves_whole_devices_whole_even_on_an_emptier_node() -> None:
    world = farm(nodes=2, devices=4)
    world.attempt("x", [("pohang/n0", 7)]).attempt("y", [("pohang/n1", 1)], share=400)
    assert seats(world.pending("a", share=500)) == {"a": [("pohang/n1", 1)]}  # n0 is fuller, but its last device is whole


def test_a_gang_of_shares_sits_on_as_few_devices_as_it_fits_on() -> None:
    world = farm(nodes=2).attempt("x", [("pohang/n1", 1)], share=500)
    found = seats(world.pending("gang", workers=6, share=400))
    assert sorted(found["gang"]) == [("pohang/n0", 1)] * 2 + [("pohang/n0", 2)] * 2 + [("pohang/n1", 1)] + [("pohang/n1", 2)]


def test_whoever_has_a_device_whole_has_it_alone() -> None:
    world = farm().attempt("x", [("pohang/n0", 1)]).attempt("y", [("pohang/n0", 2)], share=600)
    assert waits(world.pending("a", share=500), "a") == (
        ReasonKind.WAITS_SHARE,
        {"workers": 1, "workers_fit_now": 0, "wanted_share_milli": 500, "free_share_milli": 400},
    )
    assert waits(world.pending("b", devices=1), "b")[0] == ReasonKind.WAITS_DEVICES


def test_a_device_that_its_site_does_not_divide_is_shared_by_nobody() -> None:
    world = World().site("pohang", nodes=1, devices=2, accelerator="h100")
    assert waits(world.pending("a", share=500), "a") == (ReasonKind.DEVICES_UNDIVIDED, {})
    world.site("jeju", nodes=1, devices=2, accelerator="h100", shares=True)
    assert seats(world) == {"a": [("jeju/n0", 1)]}


def test_too_large_for_every_site_is_told_by_how_many_it_takes_empty() -> None:
    world = farm().pending("gang", workers=5, share=400)
    assert waits(world, "gang") == (ReasonKind.SITE_TOO_SMALL, {"workers": 5, "workers_fit_empty": 4})


def test_what_scarcest_besides_is_told_as_ever() -> None:
    world = farm(cores=4).attempt("x", [("pohang/n0", 0)], cores=3)
    assert waits(world.pending("a", share=100, cores=2), "a")[0] == ReasonKind.WAITS_CORES
    big = farm(cores=4).pending("a", share=100, cores=8)
    assert waits(big, "a") == (ReasonKind.NODE_TOO_SMALL_CORES, {"wanted_milli": 8000, "largest_milli": 4000})


def promised(world: World) -> dict[str, tuple[float, list[int]]]:
    """Workload → seconds until its promise, and the masks that it names."""
    s, p = made(world)
    return {
        s.pending.ids[row]: (
            (int(p.reserve_ms[i]) - s.now_ms) / 1000,
            p.reserve_mask[p.reserve_worker_ptr[i] : p.reserve_worker_ptr[i + 1]].tolist(),
        )
        for i, row in enumerate(p.reserve_pending.tolist())
    }


def test_a_share_that_waits_is_promised_the_moment_at_which_enough_of_one_device_is_left() -> None:
    world = farm(devices=1).attempt("x", [("pohang/n0", 1)], share=500, ends=100)
    world.attempt("y", [("pohang/n0", 1)], share=300, ends=900)
    assert promised(world.pending("a", share=600)) == {"a": (100, [1])}
    assert promised(world.pending("b", share=400)) == {"a": (100, [1]), "b": (900, [1])}  # beside a


def test_what_is_promised_to_a_share_is_kept_from_smaller_ones_that_last_too_long() -> None:
    world = farm(devices=1).attempt("x", [("pohang/n0", 1)], share=500, ends=100).pending("a", share=800)
    assert waits(world.pending("long", share=300, limit=200), "long")[0] == ReasonKind.WAITS_RESERVED
    assert set(seats(world.pending("short", share=300, limit=90))) == {"short"}


def test_whole_devices_that_are_promised_are_not_broken_into() -> None:
    world = farm(devices=2).attempt("x", [("pohang/n0", 1)], ends=100).pending("two", devices=2)
    world.pending("long", share=100, limit=200).pending("short", share=100, limit=90)
    assert set(seats(world)) == {"short"}
    more = farm(devices=3).attempt("x", [("pohang/n0", 3)], ends=100).pending("two", devices=2, limit=60)
    more.policy = Policy(reservations_max=1)
    more.pending("long", share=100, limit=200)
    assert set(seats(more)) == {"long"}  # of three devices two stay whole


def test_a_share_on_a_promised_device_counts_among_what_whole_ones_may_use() -> None:
    world = farm(devices=1).attempt("x", [("pohang/n0", 1)], share=500, ends=100).pending("a", share=600, limit=50)
    assert promised(world.pending("whole", devices=1)) == {"a": (100, [1]), "whole": (150, [0])}


def test_who_starts_with_a_whole_device_leaves_the_one_that_a_promise_names() -> None:
    """All devices are free, what is short for the share are cores: it is promised the first, so another is given away."""
    world = farm(cores=4).attempt("x", [("pohang/n0", 0)], cores=3, ends=100).pending("a", share=500, cores=4, limit=60)
    assert seats(world.pending("whole", devices=1, cores=0)) == {"whole": [("pohang/n0", 2)]}
    assert promised(world) == {"a": (100, [1])}
    assert seats(world.pending("short", devices=1, cores=0, limit=90))["short"] == [("pohang/n0", 1)]  # over before that
    assert promised(world.pending("next", devices=1, cores=0)) == {"a": (100, [1]), "next": (160, [0])}  # behind it


def test_a_share_is_promised_no_device_that_one_who_began_before_has_to_have() -> None:
    """When `whole` begins there is one device; when `a` begins there are two, of which it may have only the other."""
    world = farm(cores=4).attempt("x", [("pohang/n0", 1)], cores=0, ends=100).attempt("y", [("pohang/n0", 2)], cores=3, ends=200)
    world.pending("whole", devices=1, cores=0).pending("a", share=500, cores=4)
    assert promised(world) == {"whole": (100, [0]), "a": (200, [2])}


def named_in_turn() -> World:
    """Of two devices the second is named from 100 s to 200 s, and the first from then to 300 s: there is one at any moment."""
    world = farm(cores=4).attempt("x", [("pohang/n0", 0)], cores=3, ends=100)
    world.attempt("y", [("pohang/n0", 2)], share=300, cores=0, ends=150)
    return world.pending("a", share=500, cores=4, limit=100).pending("b", share=500, cores=4, limit=100)


def test_who_has_a_device_whole_has_the_same_one_all_the_time() -> None:
    a_and_b = {"a": (100, [2]), "b": (200, [1])}
    world = named_in_turn().pending("whole", devices=1, cores=0, limit=250)
    assert promised(world) == a_and_b | {"whole": (200, [0])}
    assert waits(world, "whole")[0] == ReasonKind.WAITS_RESERVED
    assert seats(named_in_turn().pending("whole", devices=1, cores=0, limit=200)) == {"whole": [("pohang/n0", 1)]}
    held = named_in_turn().attempt("z", [("pohang/n0", 1)], cores=0, ends=50)
    assert promised(held.pending("whole", devices=1, cores=0, limit=250)) == a_and_b | {"whole": (200, [0])}
    held = named_in_turn().attempt("z", [("pohang/n0", 1)], cores=0, ends=50)
    assert promised(held.pending("whole", devices=1, cores=0, limit=150)) == a_and_b | {"whole": (50, [0])}


def test_a_device_is_whole_when_the_last_of_those_who_share_it_has_left() -> None:
    shares = [("x", 100), ("y", 300), ("z", 300)]
    world = farm(devices=1)
    for id, ends in shares:
        world.attempt(id, [("pohang/n0", 1)], share=300, ends=ends)
    assert promised(world.pending("whole", devices=1)) == {"whole": (300, [0])}
    two = farm(devices=1).pending("long", share=500, limit=600).pending("short", share=500, limit=300)
    assert promised(two.pending("whole", devices=1)) == {"whole": (600, [0])}


def test_several_shares_leave_for_one_who_wants_the_whole_device() -> None:
    world = farm(devices=1)
    for id, share in (("x", 300), ("y", 300), ("z", 400)):
        world.attempt(id, [("pohang/n0", 1)], share=share, cores=0.5)
    s, p = made(world.pending("urgent", devices=1, priority="urgent"))
    assert [s.attempts.ids[v] for v in p.victim_attempt.tolist()] == ["z", "y", "x"]
    assert p.start_mask.tolist() == [1]


def test_as_few_shares_leave_as_a_share_needs() -> None:
    world = farm(devices=1)
    for id, share, started in (("x", 300, -600), ("y", 300, -500), ("z", 400, -400)):
        world.attempt(id, [("pohang/n0", 1)], share=share, started=started)
    s, p = made(world.pending("urgent", share=300, priority="urgent"))
    assert [s.attempts.ids[v] for v in p.victim_attempt.tolist()] == ["y"]  # least lost work: 0.3 of 500 s
    assert p.start_mask.tolist() == [1]


def test_a_claim_of_a_share_and_its_victim_are_on_the_device_together() -> None:
    world = farm(devices=1).attempt("x", [("pohang/n0", 1)], share=700, state=STOPPING, ends=50)
    world.claim("urgent", [("pohang/n0", 1)], victims=["x"], share=600, ends=500, started=0)
    assert seats(world.pending("small", share=300)) == {}
    assert seats(farm(devices=1).attempt("x", [("pohang/n0", 1)], share=700).pending("small", share=300)) == {
        "small": [("pohang/n0", 1)]
    }


def test_the_next_event_of_a_share_is_the_end_that_leaves_it_enough() -> None:
    world = farm(devices=1).attempt("x", [("pohang/n0", 1)], share=500, ends=100)
    world.attempt("y", [("pohang/n0", 1)], share=300, ends=900).pending("a", share=600)
    s, p = made(world)
    answer = why(s, p, 0)
    assert answer.next_event is not None
    assert answer.next_event.subject == "x"


def test_the_smallest_change_of_a_share_is_a_smaller_one() -> None:
    world = farm(devices=1).attempt("x", [("pohang/n0", 1)], share=500, ends=100).pending("a", share=600, limit=59)
    s, p = made(world)
    answer = why(s, p, 0)
    assert answer.change is not None
    assert answer.change.share_milli == 500


def test_half_a_device_weighs_half_in_fair_share_and_in_quotas() -> None:
    world = farm(devices=4).quota("project:lab", "device:h100", 1, borrow=0)
    world.pending("a", share=600, cores=0.1).pending("b", share=500, cores=0.1).pending("c", share=400, cores=0.1)
    assert set(seats(world)) == {"a", "c"}
    assert waits(world, "b")[0] == ReasonKind.QUOTA_REACHED


def test_a_node_without_cores_for_it_tells_nothing_of_its_devices() -> None:
    world = farm(nodes=1, devices=1, cores=4).node(
        "pohang/m", "pohang", cores=1, memory=64, devices=1, accelerator="h100", shares=True
    )
    world.attempt("x", [("pohang/n0", 1)], share=700, cores=1).attempt("y", [("pohang/m", 1)], share=100, cores=1, memory=0)
    kind, facts = waits(world.pending("a", share=500, cores=1, memory=128), "a")
    assert (kind, facts["free_share_milli"]) == (ReasonKind.WAITS_SHARE, 300)
    small = farm(nodes=1, devices=1).node("pohang/m", "pohang", cores=8, memory=64, devices=1, accelerator="h100", shares=True)
    small.attempt("x", [("pohang/n0", 1)], share=700, cores=1)
    assert waits(small.pending("a", share=500, cores=1, memory=128), "a")[1]["free_share_milli"] == 300


def test_whoever_preempts_finds_no_share_where_devices_are_not_divided() -> None:
    world = World().site("pohang", nodes=1, cores=8, devices=1, accelerator="h100", shares=True)
    world.node("pohang/m", "pohang", cores=8, devices=1, accelerator="h100")
    world.attempt("x", [("pohang/n0", 1)], cores=1).attempt("y", [("pohang/m", 1)], cores=1)
    s, p = made(world.pending("urgent", share=300, priority="urgent"))
    assert [s.attempts.ids[v] for v in p.victim_attempt.tolist()] == ["x"]


def test_check_finds_shares_that_are_not_divided_promised_twice_or_of_columns_that_differ() -> None:
    s = farm(devices=1).pending("a", share=500).snapshot()
    undivided = replace(s, nodes=replace(s.nodes, shares=np.zeros(1, np.bool_)))
    assert check(undivided, plan(s)) == ("a gets a share of a device of pohang/n0, which divides none",)
    waiting = farm(devices=1).attempt("x", [("pohang/n0", 1)], share=500, ends=100).pending("a", share=800).snapshot()
    p = plan(waiting)
    fuller = replace(waiting, attempts=replace(waiting.attempts, ends_ms=waiting.attempts.ends_ms + 10**6))
    assert any("promised twice" in fault for fault in check(fuller, p))
    assert check(waiting, replace(p, reserve_mask=p.reserve_mask[:0])) == ("columns of promised places differ in length",)


def test_check_finds_a_promise_of_a_whole_device_that_no_device_could_keep() -> None:
    """One is free until a share of it begins, another from when the first share has ended: at any moment there is one."""
    world = farm(cores=4).attempt("x", [("pohang/n0", 0)], cores=3, ends=100)
    world.pending("a", share=500, cores=4, limit=100).pending("b", share=500, cores=4, limit=100)
    s = world.pending("whole", devices=1, cores=4, limit=250).snapshot()
    p = plan(s)
    assert dict(zip(p.reserve_pending.tolist(), p.reserve_ms.tolist(), strict=True)) == {
        0: s.now_ms + 100_000, 1: s.now_ms + 200_000, 2: s.now_ms + 300_000,
    }  # fmt: skip
    idle = replace(s, pending=replace(s.pending, cores_milli=s.pending.cores_milli * 0))
    sooner = replace(p, reserve_ms=np.where(p.reserve_pending == 2, s.now_ms + 90_000, p.reserve_ms))
    assert check(idle, p) == check(idle, sooner) == ()
    apart = replace(sooner, reserve_mask=np.where(p.reserve_pending == 1, np.uint64(2), p.reserve_mask))
    assert check(idle, apart) == (f"pohang/n0 cannot keep a promise: too few devices at {s.now_ms + 90_000}",)
    later = replace(apart, reserve_ms=np.where(p.reserve_pending == 2, s.now_ms + 200_000, p.reserve_ms))
    assert check(idle, later) == ()


def test_what_is_left_elsewhere_is_not_told_to_work_that_may_not_run_there() -> None:
    world = (
        farm(devices=1)
        .attempt("x", [("pohang/n0", 1)], share=700)
        .site("jeju", nodes=1, devices=1, accelerator="h100", shares=True)
    )
    assert waits(world.pending("a", share=500, sites=("pohang",)), "a")[1]["free_share_milli"] == 300


def test_many_sizes_of_shares_are_told_apart() -> None:
    """More than there are places for; each is told what it would be if it were alone."""
    sizes = range(200, 200 + 3 * PLACES, 2)
    crowd = farm(devices=1).attempt("there", [("pohang/n0", 1)], share=900)
    for size in sizes:
        crowd.pending(f"p{size}", share=size)
    told = [waits(crowd, f"p{size}") for size in sizes]
    for size, own in zip(sizes, told, strict=True):
        alone = farm(devices=1).attempt("there", [("pohang/n0", 1)], share=900).pending("alone", share=size)
        assert waits(alone, "alone") == own and own[0] is ReasonKind.WAITS_SHARE
