"""Quotas, power and maintenance: plans keep to them, and what is said of them is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.policy import Policy
from dure.model.reason import ReasonKind
from dure.scheduler import NextKind, Snapshot, check, freeze, plan, reason_of, why
from dure.scheduler.check_quota import cohorts_of
from dure.scheduler.power import closing, draw_mw
from dure.scheduler.quotas import CORE, DEVICE, MILLI, no_quotas, resource_of
from dure.scheduler.snapshot import uncapped
from tests.builders.world import World
from tests.builders.worlds import examples, worlds
from tests.properties.scheduler.oracle import answered, changed

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


def limited(waiting_max: int = 8) -> st.SearchStrategy[World]:
    return worlds(waiting_max=waiting_max, money=False, power=True, windows=True, quotas=True)


@given(limited())
@examples(150)
def test_every_plan_keeps_to_quotas_power_and_maintenance(world: World) -> None:
    s = world.snapshot()
    assert check(s, plan(s)) == ()


@given(worlds(power=True))
@examples(100)
def test_no_start_raises_the_draw_of_a_site_above_its_cap(world: World) -> None:
    """By the formula that reports use, of the farm as it is right after the plan; claims apart, which change places later."""
    s = world.snapshot()
    p = plan(s)
    if p.victim_attempt.size:
        return
    before, added = draw_mw(s, s.now_ms), np.zeros(len(s.sites.ids), np.int64)
    for i, row in enumerate(p.start_pending.tolist()):
        for at in range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1]):
            node, devices = int(p.start_node[at]), int(p.start_mask[at]).bit_count()
            busy = int(s.nodes.core_mw[node]) * int(s.pending.cores_milli[row])
            added[s.nodes.site[node]] += int(s.nodes.device_mw[node]) * devices - -busy // MILLI
    for site in np.flatnonzero(added).tolist():
        steps = slice(int(s.sites.power_ptr[site]), int(s.sites.power_ptr[site + 1]))
        now = s.sites.power_mw[steps][s.sites.power_from_ms[steps] <= s.now_ms]
        if len(now) and now[-1] >= 0:
            assert before[site] + added[site] * int(s.sites.pue_permille[site]) // MILLI <= now[-1]


@given(limited())
@examples(150)
def test_what_is_said_of_limits_is_true(world: World) -> None:
    s = world.snapshot()
    p = plan(s)
    cohorts = cohorts_of(s)
    for i, row in enumerate(p.start_pending.tolist()):
        _take(s, cohorts, row, int(s.alternatives.accelerator[p.start_alternative[i]]))
    for row in range(len(s.pending.ids)):
        reason = reason_of(s, p, row)
        if reason is None:
            continue
        facts, end = reason.facts, s.now_ms + int(s.pending.limit_ms[row])
        if reason.kind == ReasonKind.QUOTA_REACHED:
            assert facts["wanted_milli"] > facts["available_milli"] >= 0
            column = [resource_of(s.accelerators, c) for c in range(len(s.accelerators) + 1)].index(str(facts["resource"]))
            leaf = int(s.projects.share[s.pending.project[row]])
            assert facts["available_milli"] == max(0, cohorts[column].available(leaf))
        elif reason.kind == ReasonKind.MAINTENANCE:
            assert facts["from_ms"] < end
            assert (facts["from_ms"], facts["until_ms"]) in {
                (int(a), int(b)) for a, b in zip(s.nodes.closed_from_ms, s.nodes.closed_until_ms, strict=True)
            }
        elif reason.kind == ReasonKind.POWER_SHORT:
            assert facts["wanted_mw"] > facts["free_mw"] >= 0
            assert s.now_ms <= facts["from_ms"] < end


def _take(s: Snapshot, cohorts: dict[int, object], row: int, kind: int) -> None:
    leaf, workers = int(s.projects.share[s.pending.project[row]]), int(s.pending.workers[row])
    amounts = {len(s.accelerators): workers * int(s.pending.cores_milli[row])}
    if kind >= 0:
        amounts[kind] = workers * int(s.pending.devices[row]) * MILLI
    for column, amount in amounts.items():
        if column in cohorts:
            cohorts[column].take(leaf, amount)  # type: ignore[attr-defined]


@given(limited(waiting_max=4))
@examples(40, most=2000)
def test_the_smallest_change_starts_it_within_all_limits(world: World) -> None:
    for row, _, p in changed(world.snapshot()):
        assert row in p.start_pending


@given(limited(waiting_max=4))
@examples(25, most=2000)
def test_why_tells_what_the_plan_tells_and_each_site_for_itself(world: World) -> None:
    """And the same from the state in which a plan was left, however often it is asked."""
    s = world.snapshot()
    for _, answer, reason, _ in answered(s):
        if reason is not None:
            assert len({r.kind for r in answer.reasons}) == len(answer.reasons)
            assert [site for site, _ in answer.sites] == list(s.sites.ids)


@given(limited())
@examples(60)
def test_without_limits_nobody_is_told_of_any(world: World) -> None:
    s = world.snapshot()
    nodes = replace(s.nodes, closed_ptr=np.zeros(len(s.nodes.ids) + 1, np.int32), closed_from_ms=s.nodes.closed_from_ms[:0],
                    closed_until_ms=s.nodes.closed_until_ms[:0])  # fmt: skip
    pue, ptr, since, mw = uncapped(len(s.sites.ids))[:4]
    free = freeze(replace(
        s, nodes=nodes, sites=replace(s.sites, pue_permille=pue, power_ptr=ptr, power_from_ms=since, power_mw=mw),
        quotas=no_quotas(len(s.shares.ids), len(s.accelerators)),
    ))  # fmt: skip
    told = {r.kind for row in range(len(s.pending.ids)) if (r := reason_of(free, plan(free), row)) is not None}
    assert not told & {ReasonKind.QUOTA_REACHED, ReasonKind.MAINTENANCE, ReasonKind.POWER_SHORT}


# -- one by one -------------------------------------------------------------------------------------------------------------


def kinds(s: Snapshot) -> dict[str, ReasonKind | None]:
    p = plan(s)
    assert check(s, p) == ()
    return {id: (r.kind if (r := reason_of(s, p, row)) else None) for row, id in enumerate(s.pending.ids)}


def test_a_project_borrows_what_its_cohort_does_not_use_and_no_more() -> None:
    world = World().site("s", 4, cores=8, devices=4, accelerator="h100")
    for project in ("ant", "bee"):
        world.quota(f"project:{project}", f"{DEVICE}h100", 6)
    world.attempt("r", [("s/n0", 0b1111)], cores=1, project="bee")
    for n in range(4):
        world.pending(f"a{n}", project="ant", devices=3, cores=1)
    told = kinds(world.snapshot())
    assert told == {"a0": None, "a1": None, "a2": ReasonKind.QUOTA_REACHED, "a3": ReasonKind.QUOTA_REACHED}


def test_a_quota_of_cores_counts_work_with_devices_too() -> None:
    world = World().site("s", 2, cores=8, devices=4, accelerator="h100").quota("project:ant", CORE, 5)
    world.pending("a", project="ant", devices=1, cores=4).pending("b", project="ant", cores=2).pending(
        "c", project="ant", cores=1
    )
    assert kinds(world.snapshot()) == {"a": None, "b": ReasonKind.QUOTA_REACHED, "c": None}


def test_work_ends_before_maintenance_or_waits_for_its_end() -> None:
    world = World().site("s", 0).node("s/n", "s", cores=16, closed=[(100, 400)])
    world.pending("long", cores=8, limit=200).pending("short", cores=4, limit=50)
    s = world.snapshot()
    p = plan(s)
    assert kinds(s) == {"long": ReasonKind.MAINTENANCE, "short": None}
    assert (p.reserve_ms - s.now_ms).tolist() == [400_000]
    assert closing(s.nodes, 0, s.now_ms) == (s.now_ms + 100_000, s.now_ms + 400_000)


def test_what_fits_under_the_cap_of_today_waits_where_the_cap_falls_tomorrow() -> None:
    world = World().site("s", 0, power=[(-10, 9_000), (100, 3_000), (500, -1)]).node("s/n", "s", cores=16, core_mw=1_000)
    world.pending("long", cores=4, limit=200).pending("short", cores=4, limit=90).pending("small", cores=3, limit=300)
    s = world.snapshot()
    p = plan(s)
    assert kinds(s) == {"long": ReasonKind.POWER_SHORT, "short": None, "small": None}
    assert (p.reserve_ms - s.now_ms).tolist() == [500_000]
    facts = reason_of(s, p, 0).facts  # type: ignore[union-attr]
    assert facts["wanted_mw"] == 4_000


def test_a_claim_may_draw_what_those_draw_who_make_room_and_no_more_than_the_cap() -> None:
    def of(cap: int, cores: int) -> ReasonKind | None:
        world = World().site("s", 0, power=[(-10, cap), (50, cap)]).node("s/n", "s", cores=8, core_mw=1_000)
        world.attempt("low", [("s/n", 0)], cores=6, priority="low", started=-900, ends=600)
        world.pending("urgent", cores=cores, priority="urgent", limit=900)
        return kinds(world.snapshot())["urgent"]

    assert of(6_000, 6) is None
    assert of(8_000, 8) is None
    assert of(6_500, 8) is ReasonKind.WAITS_CORES


def test_a_claim_looks_at_every_moment_at_which_its_own_site_may_draw_less() -> None:
    """The one that leaves last leaves in 600 s; what is capped elsewhere, or not at all for a while, does not matter."""

    def of(later: int) -> ReasonKind | None:
        world = World().site("s", 0, power=[(-10, -1), (300, 6_000), (700, later)]).site("t", 1, power=[(-10, 0), (20, 1)])
        for n, ends in enumerate((200, 600)):
            world.node(f"s/n{n}", "s", cores=8, core_mw=1_000)
            world.attempt(f"low{n}", [(f"s/n{n}", 0)], cores=3, priority="low", started=-900, ends=ends)
        world.pending("urgent", cores=6, workers=2, priority="urgent", limit=900)
        return kinds(world.snapshot())["urgent"]

    assert of(12_000) is ReasonKind.WAITS_CORES  # both together draw 12 W from the beginning on, where 6 W are allowed at 300 s
    assert of(5_000) is ReasonKind.WAITS_CORES


def test_promises_share_what_a_site_may_draw() -> None:
    world = World(policy=replace(Policy(), reservations_max=3)).site("s", 0, power=[(-10, 6_000)])
    world.node("s/n", "s", cores=16, core_mw=1_000).attempt("r", [("s/n", 0)], cores=5, started=-10, ends=100)
    for n in range(3):
        world.pending(f"w{n}", cores=3, limit=400 + n)
    s = world.snapshot()
    assert ((plan(s).reserve_ms - s.now_ms) // 1000).tolist() == [100, 100, 500]
    assert set(kinds(s).values()) == {ReasonKind.POWER_SHORT}


def test_who_may_draw_enough_is_told_its_turn() -> None:
    world = World(policy=replace(Policy(), reservations_max=1, backfill_depth=0)).site("s", 0, power=[(-10, 60_000)])
    world.node("s/n", "s", cores=8, core_mw=1_000).attempt("r", [("s/n", 0)], cores=5, started=-10, ends=100)
    world.pending("wide", cores=8, limit=10).pending("late", cores=1, limit=50)
    assert kinds(world.snapshot())["late"] is ReasonKind.WAITS_FOR_TURN


def test_what_helps_next_is_the_end_of_maintenance_and_of_own_work_where_a_quota_is_reached() -> None:
    world = World().site("t", 1, cores=8).attempt("own", [("t/n0", 0)], cores=2, ends=300, project="ant")
    world.attempt("other", [("t/n0", 0)], cores=2, ends=100, project="bee").attempt("mine", [("t/n0", 0)], cores=1, ends=200)
    world.quota("project:ant", CORE, 2).pending("more", project="ant", cores=1, sites=["t"])
    s = world.snapshot()
    more = why(s, plan(s), 0, plans_max=0).next_event
    assert more is not None and (more.subject, more.at_ms) == ("own", s.now_ms + 300_000)
    world = World().site("s", 0).node("s/n", "s", cores=16, closed=[(100, 400)]).pending("long", cores=8, limit=200)
    world.attempt("r", [("s/n", 0)], cores=1, ends=90)
    s = world.snapshot()
    found = why(s, plan(s), 0, plans_max=0).next_event
    assert found is not None and (found.kind, found.at_ms) == (NextKind.PROMISE_STARTS, s.now_ms + 400_000)


def test_maintenance_that_is_far_off_keeps_no_claim_away_and_one_that_it_would_reach_does() -> None:
    def of(begins: int) -> ReasonKind | None:
        world = World().site("s", 0).node("s/n", "s", cores=8, closed=[(begins, begins + 100)])
        world.attempt("low", [("s/n", 0)], cores=6, priority="low", started=-900, ends=600)
        world.pending("urgent", cores=8, priority="urgent", limit=900)
        return kinds(world.snapshot())["urgent"]

    assert of(90_000) is None
    assert of(1_500) is None  # the victim is gone in 600 s at the latest, and then it has its 900 s
    assert of(1_499) is ReasonKind.WAITS_CORES


def test_power_that_work_on_other_nodes_gives_back_is_promised_to_who_waits_for_it() -> None:
    world = World(policy=replace(Policy(), reservations_max=2)).site("s", 0, power=[(-10, 10_000)])
    world.node("s/a", "s", cores=8, devices=2, accelerator="a100", device_mw=2_500)
    world.node("s/b", "s", cores=8, devices=4, accelerator="npu", device_mw=2_500)
    for n in range(3):
        world.attempt(f"r{n}", [("s/b", 1 << n)], cores=1, started=-10, ends=100 * (n + 1))
    world.site("t", 0, power=[(-10, 10_000)]).node("t/n", "t", cores=8, core_mw=1_000)
    world.pending("else", cores=1, sites=["t"], priority="urgent", limit=50)
    world.pending("big", devices=2, cores=1, accelerators=["a100"], priority="high", limit=600)
    world.pending("small", devices=1, cores=1, accelerators=["npu"], limit=600)
    s = world.snapshot()
    p = plan(s)
    assert kinds(s) == {"else": None, "big": ReasonKind.POWER_SHORT, "small": ReasonKind.POWER_SHORT}
    assert dict(zip(p.reserve_pending.tolist(), ((p.reserve_ms - s.now_ms) // 1000).tolist(), strict=True))[1] == 100
