"""Who stays within its quota takes room back from those who borrow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dure.model.reason import Reason, ReasonKind
from dure.scheduler import Basis, Change, NextEvent, NextKind, Plan, Snapshot, check, plan, reason_of, suggest, why
from dure.scheduler.quotas import use_of
from dure.scheduler.snapshot import STOPPING, freeze
from tests.builders.world import World

H100 = "device:h100"


def farm(nodes: int = 2, ant: float = 4, bee: float = 4) -> World:
    """Two projects with quotas, and a place of four devices for each."""
    world = World().site("s", nodes, cores=8, devices=4, accelerator="h100")
    return world.quota("project:ant", H100, ant).quota("project:bee", H100, bee)


def runs(world: World, id: str, node: int, mask: int = 0b1111, project: str = "ant", **more: object) -> World:
    return world.attempt(id, [(f"s/n{node}", mask)], **{"cores": 1, "project": project, "grace": 10, **more})  # type: ignore[arg-type]


def lent() -> World:
    """All of it is ant's, who has half."""
    return runs(runs(farm(), "a0", 0, priority="urgent", started=-900), "a1", 1, priority="urgent", started=-700)


def wants(world: World, id: str = "job", project: str = "bee", devices: int = 2, **more: object) -> World:
    return world.pending(id, project=project, devices=devices, **{"cores": 1, "priority": "low", **more})  # type: ignore[arg-type]


def made(world: World) -> tuple[Snapshot, Plan]:
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == ()
    return s, p


def asked(world: World) -> dict[str, list[str]]:
    """By workload, who makes room for it; its quota has to be the reason."""
    s, p = made(world)
    found = {}
    for i, row in enumerate(p.start_pending.tolist()):
        victims = p.victim_attempt[p.start_victim_ptr[i] : p.start_victim_ptr[i + 1]].tolist()
        assert bool(victims) == bool(p.start_reclaims[i])
        found[s.pending.ids[row]] = [s.attempts.ids[v] for v in victims]
    return found


def test_work_within_its_quota_takes_back_what_is_borrowed_whatever_the_classes() -> None:
    assert asked(wants(lent())) == {"job": ["a1"]}  # which loses less


def test_no_more_is_taken_from_a_project_than_it_borrows() -> None:
    world = wants(wants(wants(lent(), "first"), "second", devices=1), "third", devices=4)
    assert asked(world) == {"first": ["a1"]}  # then ant has its four, and the second waits until a1 is gone
    assert asked(wants(lent(), devices=8)) == {}  # beyond its own quota
    small = farm(bee=8)
    for n, mask in enumerate((1, 2, 4, 8)):
        runs(small, f"a{n}", 0, mask, started=-900 - n)
        runs(small, f"b{n}", 1, mask, started=-600 - n)
    assert asked(wants(small, devices=4)) == {"job": ["b3", "b2", "b1", "b0"]}
    assert asked(wants(small, "more", devices=4)) == {"job": ["b3", "b2", "b1", "b0"]}  # ant is within its quota then


def test_what_was_told_to_stop_already_is_not_borrowed_any_more() -> None:
    world = runs(runs(farm(), "a0", 0), "a1", 1, state=STOPPING, ends=5)
    assert asked(wants(world)) == {}


def test_who_would_borrow_itself_reclaims_nothing() -> None:
    assert asked(wants(runs(lent(), "b", 0, 0, project="bee"), devices=4)) == {"job": ["a1"]}
    world = runs(runs(farm(3), "a0", 0), "a1", 1)
    runs(world, "b", 2, 0b111, project="bee")
    assert asked(wants(world, devices=2)) == {}  # five, of four that it has


def test_neither_a_guaranteed_run_nor_work_that_is_not_preemptible_is_taken() -> None:
    world = runs(runs(farm(), "a0", 0, preemptible=False), "a1", 1, started=-10)
    assert asked(wants(world)) == {}
    world.now_ms += 50_000
    assert asked(world) == {"job": ["a1"]}


def test_a_deadline_that_is_passed_when_the_grace_is_over_takes_no_place() -> None:
    assert asked(wants(lent(), limit=60, deadline=71)) == {"job": ["a1"]}
    assert asked(wants(lent(), limit=60, deadline=70)) == {}


def test_an_organisation_shields_its_projects_by_what_it_has_in_all() -> None:
    """The pool is north's: its projects use it as their own against others, and among themselves nobody has a right."""
    world = World().site("s", 2, cores=8, devices=4, accelerator="h100").organisation("north").organisation("south")
    world.project("ant", organisation="north").project("bee", organisation="north").project("cat", organisation="south")
    world.quota("organisation:north", H100, 8).quota("organisation:south", H100, 0)
    runs(runs(world, "c", 0, project="cat"), "a", 1)
    assert asked(wants(world)) == {"job": ["c"]}
    inner = World().site("s", 2, cores=8, devices=4, accelerator="h100").organisation("north")
    inner.project("ant", organisation="north").project("bee", organisation="north").quota("organisation:north", H100, 8)
    assert asked(wants(runs(runs(inner, "a0", 0), "a1", 1))) == {}


def test_whoever_has_no_quota_neither_takes_back_nor_gives_anything() -> None:
    world = World().site("s", 2, cores=8, devices=4, accelerator="h100").quota("project:ant", H100, 4)
    runs(runs(world, "a0", 0), "a1", 1)
    assert asked(wants(world, project="fox")) == {}
    other = World().site("s", 1, cores=8, devices=4, accelerator="h100").quota("project:bee", H100, 4)
    assert asked(wants(runs(other, "f", 0, project="fox"))) == {}


def test_in_every_resource_that_it_wants_it_has_to_stay_within_its_quota() -> None:
    world = wants(lent().quota("project:bee", "core", 2), cores=3)
    assert asked(world) == {}
    assert asked(wants(lent().quota("project:bee", "core", 2), cores=2)) == {"job": ["a1"]}


def test_quota_is_taken_back_at_another_site_where_room_alone_does_not_help() -> None:
    """The room is at t; what is borrowed runs at s."""
    world = lent().site("t", 1, cores=8, devices=4, accelerator="h100", power=[(-10, 10**9)])
    world.sites["s"]["power"] = [(world.now_ms, 10**9)]
    s, p = made(wants(world, sites=["t"]))
    assert [s.sites.ids[site] for site in p.start_site] == ["t"] and len(p.victim_attempt) == 1
    assert s.nodes.ids[s.attempts.worker_node[p.victim_attempt[0]]].startswith("s/")
    drained = wants(lent().site("t", 1, cores=8, devices=4, accelerator="h100"), sites=["t"])
    drained.sites["s"]["reachable"] = False
    assert asked(drained) == {}


def test_who_waits_for_quota_elsewhere_keeps_off_what_is_closed_here() -> None:
    """Nobody at t could be asked, so that nothing there tells how long the claim may last."""
    for closed, taken in (([(60, 900)], ["t/n1"]), ([], ["t/n0"])):
        world = lent().site("t").node("t/n0", "t", cores=8, devices=4, accelerator="h100", closed=closed)
        world.node("t/n1", "t", cores=9, devices=4, accelerator="h100")
        s, p = made(wants(world, sites=["t"], limit=120))
        assert [s.nodes.ids[node] for node in p.start_node] == taken and len(p.victim_attempt) == 1
    world = lent().site("t").node("t/n0", "t", cores=8, devices=4, accelerator="h100", closed=[(60, 900)])
    assert asked(wants(world, sites=["t"], limit=120)) == {}


def test_both_sides_of_a_claim_count_until_the_victim_is_gone() -> None:
    """Nobody gets in between what is about to be free."""
    world = wants(wants(lent(), devices=4), "late", "ant", devices=1, priority="urgent")
    s, p = made(world)
    assert [s.pending.ids[row] for row in p.start_pending] == ["job"]
    reason = reason_of(s, p, s.pending.ids.index("late"))
    assert reason is not None and reason.kind is ReasonKind.QUOTA_REACHED and reason.facts["available_milli"] == 0


def test_a_policy_may_leave_borrowed_work_in_peace() -> None:
    world = wants(lent())
    world.policy = replace(world.policy, reclaims=False)
    assert asked(world) == {}


def force(world: World, project: str = "ant") -> list[str]:
    """Who makes room by class for an urgent job."""
    s, p = made(wants(world, "urgent", project, priority="urgent"))
    assert not p.start_reclaims.any()
    return [s.attempts.ids[v] for v in p.victim_attempt.tolist()]


def within() -> World:
    """There is quota for everybody and more, and room for nobody: bee's work stays within its own."""
    world = runs(runs(farm(), "a", 0, preemptible=False), "b", 1, project="bee", priority="low")
    return world.quota("*", H100, 8)


def test_quotas_shield_what_is_within_them_from_the_classes_of_others() -> None:
    assert force(within()) == []
    assert force(within(), "bee") == ["b"]  # its own
    assert force(within(), "fox") == []  # who lives on what is lent
    open_to_all = within()
    open_to_all.policy = replace(open_to_all.policy, reclaims=False)
    assert force(open_to_all) == ["b"]


def test_what_is_borrowed_makes_room_by_class_as_ever_and_so_does_who_has_no_quota() -> None:
    world = runs(runs(farm(3, ant=2, bee=4), "b0", 0, project="bee"), "b1", 1, project="bee", started=-900)
    assert force(runs(world.quota("*", H100, 8), "x", 2, project="ant", preemptible=False)) == ["b0"]
    free = World().site("s", 1, cores=8, devices=4, accelerator="h100").quota("project:ant", "core", 4)
    assert force(runs(free, "f", 0, project="fox")) == ["f"]


def test_work_of_nobody_who_is_known_makes_room_by_class_and_by_no_quota() -> None:
    s = wants(runs(farm(1, ant=0), "x", 0), priority="urgent").snapshot()
    unknown = replace(s.attempts, project=np.full(1, -1, np.int32))
    used = use_of(unknown, s.nodes, s.projects, len(s.shares.ids), len(s.accelerators))
    s = freeze(replace(s, attempts=unknown, quotas=replace(s.quotas, used=used)))
    p = plan(s)
    assert check(s, p) == () and p.victim_attempt.tolist() == [0] and not p.start_reclaims.any()


def test_work_that_yields_stands_apart() -> None:
    """It makes room as ever, also within its quota, and takes nothing back."""
    world = runs(runs(farm(), "a", 0, preemptible=False), "b", 1, project="bee", priority="background", yields=True)
    assert force(world.quota("*", H100, 8)) == ["b"]
    assert asked(wants(lent(), priority="background")) == {}
    assert asked(wants(lent(), priority="background", preemptible=False)) == {"job": ["a1"]}


def test_of_what_is_borrowed_background_work_goes_first_without_a_guaranteed_run() -> None:
    world = runs(runs(farm(), "a0", 0, priority="background", yields=True, started=-10), "a1", 1, checkpoint=0)
    assert asked(wants(world, devices=4)) == {"job": ["a0"]}
    freed = runs(runs(farm(bee=8), "a0", 0, priority="background", yields=True), "a1", 1)
    _, p = made(wants(freed))
    assert p.victim_attempt.tolist() == [0] and not p.start_reclaims.any()  # by its class, which needs no quota of it


# -- what is said of it -----------------------------------------------------------------------------------------------------


def test_why_says_that_borrowed_quota_is_taken_back() -> None:
    s, p = made(wants(lent()))
    answer = why(s, p, 0)
    assert answer.reasons == (Reason.of(ReasonKind.WAITS_VICTIMS, victims=1, reclaimed=1),)
    assert answer.next_event == NextEvent(NextKind.PREEMPTION, "a1", s.now_ms, Basis.QUOTA, "w-a1", 1)


def test_who_waits_for_its_quota_hears_when_a_guaranteed_run_ends_that_keeps_it() -> None:
    world = runs(runs(farm(), "a0", 0, preemptible=False), "a1", 1, started=-20)
    s, p = made(wants(world))
    assert reason_of(s, p, 0).kind is ReasonKind.QUOTA_REACHED  # type: ignore[union-attr]
    assert why(s, p, 0, plans_max=0).next_event == NextEvent(NextKind.PREEMPTION, "a1", s.now_ms + 40_000, Basis.QUOTA, "w-a1", 1)
    world.policy = replace(world.policy, reclaims=False)
    s, p = made(world)
    assert why(s, p, 0, plans_max=0).next_event is None


def test_to_ask_for_as_much_as_its_quota_has_is_the_smallest_change() -> None:
    s, _ = made(wants(lent(), devices=4, workers=2))
    change = suggest(s, 0).change
    assert change is not None and change.claims and change.changed() == ("devices",)
    assert change == Change(devices=2, claims=True)


# -- the check --------------------------------------------------------------------------------------------------------------


def test_check_finds_quota_that_is_taken_from_the_wrong_ones() -> None:
    s, p = made(wants(lent()))
    plain = replace(p, start_reclaims=np.zeros(1, np.bool_))
    assert any("may not preempt" in fault for fault in check(s, plain))
    strict = replace(s, policy=replace(s.policy, reclaims=False))
    assert check(strict, p) == ("job reclaims quota, which the policy does not allow",)
    quotas = replace(s.quotas, nominal=np.where(s.quotas.nominal > 0, 8000, s.quotas.nominal))
    assert check(replace(s, quotas=quotas), p) == ("a1 uses nothing that job may reclaim",)
    assert check(s, replace(p, start_reclaims=p.start_reclaims[:0])) == ("columns of starts differ in length",)


def test_check_finds_a_victim_that_its_quota_shields() -> None:
    free = wants(within(), project="ant", priority="urgent").snapshot()
    loose = replace(free, policy=replace(free.policy, reclaims=False))
    assert check(free, plan(loose)) == ("b makes room for job, though its project stays within its quota",)


def test_check_finds_background_work_that_reclaims() -> None:
    s, p = made(wants(lent(), priority="low"))
    yields = replace(s, policy=replace(s.policy, classes=tuple(replace(c, yields=True) for c in s.policy.classes)))
    assert check(yields, p) == ("job reclaims quota, though it is of a class that yields",)


def test_what_fails_for_ones_own_money_or_time_fails_for_nobody_else_of_the_project() -> None:
    """Who asks for the same may be shorter, and so cheaper or in time."""
    dear = lent().award("bee", 1000)
    assert asked(wants(wants(dear, "first", hold=5000), "second", hold=500)) == {"second": ["a1"]}
    late = wants(wants(lent(), "first", limit=3600, deadline=3605), "second", limit=60, deadline=3605)
    assert asked(late) == {"second": ["a1"]}


def test_nor_does_it_where_a_class_preempts() -> None:
    world = runs(farm(nodes=1, ant=8, bee=8), "v", 0, priority="low", started=-900).award("ant", 1000)
    for id, hold in (("first", 5000), ("second", 500)):
        wants(world, id, project="ant", priority="urgent", hold=hold)
    s, p = made(world)
    assert [s.pending.ids[row] for row in p.start_pending.tolist()] == ["second"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_gang_makes_room_also_where_one_of_its_nodes_is_out(order: tuple[int, int]) -> None:
    world = farm(3)
    world.attempt("g", [(f"s/n{node}", 0xF) for node in order], cores=1, project="ant", grace=10, started=-900)
    world.attempt("f", [("s/n2", 0xF)], cores=1, project="zed", grace=10, started=-900, preemptible=False)
    world.pending("job", project="bee", devices=4, cores=1, priority="low")
    next(node for node in world.nodes if node["id"] == "s/n0")["usable"] = False
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == () and [s.attempts.ids[v] for v in p.victim_attempt] == ["g"]
