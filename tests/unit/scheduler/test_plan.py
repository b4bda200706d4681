"""What a plan decides, behaviour by behaviour, by value."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from dure.model.money import Currency
from dure.model.reason import ReasonKind
from dure.scheduler import check, reason_of
from dure.scheduler.plan import CAPACITY
from dure.scheduler.snapshot import DEPENDENCY_FAILED, LAUNCHING, STOPPING
from tests.builders.plans import both
from tests.builders.world import World


@dataclass(frozen=True)
class Told:
    """A plan in names: where each one starts, who was told what, who makes room for whom, who was promised when."""

    starts: dict[str, list[tuple[str, int]]]
    waits: dict[str, tuple[ReasonKind, dict[str, object]]]
    victims: dict[str, list[str]]
    promises: dict[str, tuple[float, str]]  # seconds from now, site
    pays: dict[str, str]


def told(world: World) -> Told:
    s = world.snapshot()
    p = both(s)
    assert check(s, p) == ()
    starts, victims, pays, w = {}, {}, {}, s.pending.ids
    for i, row in enumerate(p.start_pending.tolist()):
        span = slice(p.start_worker_ptr[i], p.start_worker_ptr[i + 1])
        starts[w[row]] = [(s.nodes.ids[n], int(m)) for n, m in zip(p.start_node[span], p.start_mask[span], strict=True)]
        taken = p.victim_attempt[p.start_victim_ptr[i] : p.start_victim_ptr[i + 1]]
        victims |= {w[row]: [s.attempts.ids[v] for v in taken]} if len(taken) else {}
        pays[w[row]] = list(Currency)[p.start_currency[i]].value
    waits = {id: (r.kind, dict(r.facts)) for row, id in enumerate(w) if (r := reason_of(s, p, row)) is not None}
    promised = zip(p.reserve_pending.tolist(), p.reserve_ms.tolist(), p.reserve_site.tolist(), strict=True)
    promises = {w[row]: ((at - s.now_ms) / 1000, s.sites.ids[site]) for row, at, site in promised}
    return Told(starts, waits, victims, promises, pays)


def farm(**node: object) -> World:
    return World().site("pohang", 1, **{"cores": 8, **node})


GPU = {"devices": 4, "accelerator": "h100"}


# -- order ------------------------------------------------------------------------------------------------------------------


def test_higher_priority_goes_first_whoever_came_first() -> None:
    world = farm().pending("early", priority="low", cores=8).pending("late", priority="high", cores=8)
    assert list(told(world).starts) == ["late"]


def test_equal_projects_take_turns() -> None:
    world = farm(cores=4)
    for i in range(4):
        world.pending(f"a{i}", project="ant")
    for i in range(4):
        world.pending(f"b{i}", project="bee")
    assert list(told(world).starts) == ["a0", "b0", "a1", "b1"]


def test_a_project_of_twice_the_weight_gets_twice_as_much() -> None:
    world = farm(cores=6).project("ant", weight=1).project("bee", weight=2)
    for i in range(6):
        world.pending(f"a{i}", project="ant").pending(f"b{i}", project="bee")
    assert sorted(told(world).starts) == ["a0", "a1", "b0", "b1", "b2", "b3"]


def test_past_use_puts_a_project_behind() -> None:
    world = farm(cores=1).project("ant", use=10.0).project("bee")
    world.pending("a", project="ant").pending("b", project="bee")
    assert list(told(world).starts) == ["b"]


def test_organisations_are_compared_before_their_projects() -> None:
    """ant used nothing, but its organisation used most of all: bee's organisation goes first."""
    world = farm(cores=1).organisation("north").organisation("south")
    world.project("ant", organisation="north").project("elk", organisation="north", use=90.0)
    world.project("bee", organisation="south", use=10.0)
    world.pending("a", project="ant").pending("b", project="bee")
    assert list(told(world).starts) == ["b"]


def test_a_project_without_weight_goes_last() -> None:
    world = farm(cores=1).project("ant", weight=0).project("bee", use=1e9).pending("a", project="ant").pending("b", project="bee")
    assert list(told(world).starts) == ["b"]


def test_devices_count_in_fair_share_by_their_rate() -> None:
    """One start with a device weighs 1 + 16 cores, so bee gets seventeen core-seconds before ant's next turn."""
    world = farm(cores=20, **GPU).pending("a0", project="ant", devices=1).pending("a1", project="ant", cores=4)
    for i in range(17):
        world.pending(f"b{i:02}", project="bee")
    assert list(told(world).starts)[-1] == "b16" and "a1" not in told(world).starts


def test_within_a_project_submission_and_then_id_decide() -> None:
    world = farm(cores=2).pending("z", submitted=-9).pending("b", submitted=-5).pending("a", submitted=-5)
    assert list(told(world).starts) == ["z", "a"]


# -- placement --------------------------------------------------------------------------------------------------------------


def test_a_gang_waits_rather_than_starting_in_halves() -> None:
    world = World().site("pohang", 2, cores=8, **GPU).attempt("small", [("pohang/n0", 1)], ends=1800)
    world.pending("train", workers=8, devices=1)
    facts = {"workers": 8, "workers_fit_now": 7, "wanted": 1, "free": 4}
    assert told(world).waits == {"train": (ReasonKind.WAITS_DEVICES, facts)}
    assert told(world).promises == {"train": (1800.0, "pohang")}


def test_a_gang_is_never_spread_over_sites() -> None:
    world = World().site("busan", 1, cores=4).site("pohang", 1, cores=4).pending("train", workers=2, cores=3)
    assert told(world).waits["train"] == (ReasonKind.SITE_TOO_SMALL, {"workers": 2, "workers_fit_empty": 1})


def test_a_gang_may_share_a_node_and_takes_the_lowest_free_devices() -> None:
    world = farm(**GPU).attempt("a", [("pohang/n0", 0b0010)]).pending("pair", workers=3, devices=1)
    assert told(world).starts == {"pair": [("pohang/n0", 0b0001), ("pohang/n0", 0b0100), ("pohang/n0", 0b1000)]}


def test_the_fullest_node_that_fits_is_taken() -> None:
    world = World().site("pohang", 3, cores=8).attempt("a", [("pohang/n1", 0)], cores=5).pending("job", cores=3)
    assert told(world).starts == {"job": [("pohang/n1", 0)]}


def test_work_without_devices_keeps_off_free_devices() -> None:
    world = World().site("s").node("a", "s", cores=2, **GPU).node("b", "s", cores=8).pending("job")
    assert told(world).starts == {"job": [("b", 0)]}


def test_a_large_gang_fills_whole_nodes_and_the_remainder_goes_where_it_fits_best() -> None:
    world = World().site("s", 3, cores=8, **GPU).node("t", "s", cores=8, devices=2, accelerator="h100")
    world.pending("train", workers=9, devices=1, cores=0)
    nodes = [node for node, _ in told(world).starts["train"]]
    assert nodes == ["s/n0"] * 4 + ["s/n1"] * 4 + ["t"]


def test_the_tightest_site_is_taken_so_that_big_holes_remain() -> None:
    world = World().site("busan", 2, cores=8).site("pohang", 1, cores=8).pending("job", cores=2)
    assert told(world).starts == {"job": [("pohang/n0", 0)]}


def test_accelerators_are_tried_in_order_of_preference() -> None:
    world = World().site("s").node("a", "s", devices=1, accelerator="a100").node("n", "s", devices=1, accelerator="npu")
    world.pending("first", devices=1, accelerators=("npu", "a100")).pending("second", devices=1, accelerators=("npu", "a100"))
    assert told(world).starts == {"first": [("n", 1)], "second": [("a", 1)]}


def test_only_allowed_sites_are_used() -> None:
    world = World().site("busan", 1).site("pohang", 1).pending("job", sites=("pohang",))
    assert told(world).starts == {"job": [("pohang/n0", 0)]}


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ({"reachable": False}, ReasonKind.NO_SITE_REACHABLE),
        ({"drained": True}, ReasonKind.SITES_DRAINED),
        ({"drained": True, "reachable": False}, ReasonKind.NO_SITE_REACHABLE),
    ],
)
def test_nothing_starts_at_a_silent_or_drained_site(state: dict[str, bool], kind: ReasonKind) -> None:
    world = World().site("busan", 1, **state).pending("job")
    assert told(world).waits == {"job": (kind, {})}


def test_nothing_starts_on_an_unusable_node_and_no_moment_is_promised() -> None:
    told_ = told(farm(usable=False).pending("job").pending("same"))
    assert told_.waits["job"] == (ReasonKind.NODES_OUT, {"workers": 1, "workers_fit_usable": 0}) == told_.waits["same"]
    assert told_.promises == {}


def test_what_needs_more_nodes_than_are_in_use_waits_for_these_and_what_needs_no_more_for_who_is_on_them() -> None:
    world = World().site("s").node("a", "s", cores=4).node("b", "s", cores=4).node("c", "s", cores=4, usable=False)
    world.attempt("x", [("a", 0), ("b", 0)], cores=4).pending("three", workers=3, cores=4).pending("two", workers=2, cores=4)
    facts = {"workers": 2, "workers_fit_now": 0, "wanted_milli": 4000, "free_milli": 0}
    waits = told(world).waits
    assert waits["three"] == (ReasonKind.NODES_OUT, {"workers": 3, "workers_fit_usable": 2})
    assert waits["two"] == (ReasonKind.WAITS_CORES, facts)


def test_work_that_asks_for_nothing_waits_where_no_node_is_usable() -> None:
    facts = {"workers": 1, "workers_fit_usable": 0}
    assert told(farm(usable=False).pending("job", cores=0, memory=0)).waits["job"] == (ReasonKind.NODES_OUT, facts)


def test_what_is_short_is_what_no_node_has_beside_the_rest() -> None:
    """`a` has cores and no memory, `b` memory and no cores. Cores are what more of would help most; `b` alone has the rest."""
    world = World().site("s").node("a", "s", cores=8, memory=4096).node("b", "s", cores=8, memory=16_384)
    world.attempt("x", [("a", 0)], cores=2, memory=4096).attempt("y", [("b", 0)], cores=7, memory=1024)
    facts = {"workers": 1, "workers_fit_now": 0, "wanted_milli": 4000, "free_milli": 1000}
    assert told(world.pending("job", cores=4, memory=4096)).waits["job"] == (ReasonKind.WAITS_CORES, facts)


def test_where_no_node_has_the_rest_of_anything_the_scarcest_is_named() -> None:
    world = farm(devices=2, accelerator="h100").attempt("x", [("pohang/n0", 3)], cores=8, memory=30_000)
    facts = {"workers": 1, "workers_fit_now": 0, "wanted": 1, "free": 0}
    assert told(world.pending("job", devices=1, cores=1, memory=8192)).waits["job"] == (ReasonKind.WAITS_DEVICES, facts)


def test_nothing_starts_while_the_plane_drains() -> None:
    world = farm().pending("job")
    world.draining = True
    assert told(world).waits == {"job": (ReasonKind.WAITS_DRAINING, {})}


# -- what can never be ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demand", "kind", "facts"),
    [
        ({"cores": 9}, ReasonKind.NODE_TOO_SMALL_CORES, {"wanted_milli": 9000, "largest_milli": 8000}),
        ({"memory": 40_000}, ReasonKind.NODE_TOO_SMALL_MEMORY, {"wanted_mib": 40_000, "largest_mib": 32_768}),
        ({"devices": 5}, ReasonKind.NODE_TOO_SMALL_DEVICES, {"wanted": 5, "largest": 4}),
        ({"workers": 9}, ReasonKind.SITE_TOO_SMALL, {"workers": 9, "workers_fit_empty": 8}),
        ({"devices": 1, "accelerators": ("npu",)}, ReasonKind.NO_SUCH_ACCELERATOR, {}),
        ({"sites": ("gone",)}, ReasonKind.NO_SITE_ALLOWED, {}),
        ({"sites": ("bare",)}, ReasonKind.SITE_TOO_SMALL, {"workers": 1, "workers_fit_empty": 0}),
    ],
)
def test_what_can_never_start_is_told_so(demand: dict[str, object], kind: ReasonKind, facts: dict[str, int]) -> None:
    world = farm(**GPU).site("bare").pending("job", **demand)
    assert told(world).waits == {"job": (kind, facts)}


def test_a_farm_without_nodes_or_sites_still_plans() -> None:
    assert told(World().pending("job")).waits == {"job": (ReasonKind.NO_SITE_ALLOWED, {})}
    assert told(World().site("bare")).waits == {}


def test_a_dependency_and_a_pause_hold_work_back() -> None:
    world = farm().pending("after", dependency=DEPENDENCY_FAILED).pending("paused", eligible=30)
    assert told(world).waits == {
        "after": (ReasonKind.WAITS_DEPENDENCY, {}),
        "paused": (ReasonKind.WAITS_PAUSE, {"until_ms": world.now_ms + 30_000}),
    }


# -- money ------------------------------------------------------------------------------------------------------------------


def test_holds_of_one_plan_reduce_what_the_next_one_finds() -> None:
    world = farm().award("lab", 100).pending("a", hold=60).pending("b", hold=60).pending("c", hold=40)
    found = told(world)
    assert list(found.starts) == ["a", "c"]
    assert found.waits == {"b": (ReasonKind.FUNDS_SHORT, {"hold": 60, "available": 0, "currency": "KRW"})}


def test_several_awards_pay_for_one_job() -> None:
    world = farm().award("lab", 30, expires=50).award("lab", 40).pending("a", hold=70)
    assert list(told(world).starts) == ["a"]


def test_merit_is_preferred_where_it_covers_the_whole_hold() -> None:
    world = farm().award("lab", 1000).award("lab", 50, currency=Currency.ACS)
    world.pending("a", hold=10, merit=30).pending("b", hold=10, merit=30)
    assert told(world).pays == {"a": "ACS", "b": "KRW"}


def test_a_free_job_needs_no_award() -> None:
    assert told(farm().pending("a", hold=0)).pays == {"a": "KRW"}


@pytest.mark.parametrize(
    ("award", "hold"),
    [
        ({"expires": 0}, 5), ({"sites": ("busan",)}, 5), ({"accelerators": ("h100",)}, 5), ({"project": "other"}, 5), ({}, -1),
    ],
)  # fmt: skip
def test_an_award_pays_only_by_its_rules(award: dict[str, object], hold: int) -> None:
    world = World().site("pohang", 1).site("busan").award(**{"project": "lab", "amount": 100, **award}).pending("job", hold=hold)
    assert told(world).waits == {"job": (ReasonKind.NO_AWARD, {})}


def test_an_award_for_one_site_leads_there() -> None:
    world = World().site("busan", 1).site("pohang", 1).award("lab", 100, sites=("pohang",)).pending("job", hold=10)
    assert told(world).starts == {"job": [("pohang/n0", 0)]}


def test_who_cannot_pay_blocks_nobody() -> None:
    world = farm(cores=4).attempt("a", [("pohang/n0", 0)], cores=2).award("lab", 10)
    world.pending("poor", cores=4, hold=11, priority="high").pending("small", cores=2, hold=10, limit=1e6)
    found = told(world)
    assert list(found.starts) == ["small"] and found.promises == {}


def test_money_short_in_the_smallest_gap_is_named() -> None:
    world = World().site("s").node("a", "s", devices=1, accelerator="a100").node("n", "s", devices=1, accelerator="npu")
    world.award("lab", 10).pending("job", devices=1, accelerators=("a100", "npu"), hold=(90, 40), merit=7)
    assert told(world).waits["job"] == (ReasonKind.FUNDS_SHORT, {"hold": 40, "available": 10, "currency": "KRW"})


# -- claims -----------------------------------------------------------------------------------------------------------------


def claimed(**more: object) -> World:
    """A node of 8 cores: 2 free, 3 held, 3 about to be left for a claim of 4."""
    world = farm(**more).attempt("stays", [("pohang/n0", 0b1000)], cores=3, state=LAUNCHING)
    world.attempt("leaves", [("pohang/n0", 0b0001)], cores=3, state=STOPPING, ends=20)
    return world.claim("claim", [("pohang/n0", 0b0011)], ["leaves"], cores=4, ends=3600, started=0)


def test_what_a_claim_will_need_beside_its_victims_is_kept_for_it() -> None:
    found = told(claimed().pending("two", cores=2).pending("one", cores=1))
    assert list(found.starts) == ["one"]
    facts = {"workers": 1, "workers_fit_now": 0, "wanted_milli": 2000, "free_milli": 0}
    assert found.waits["two"] == (ReasonKind.WAITS_CORES, facts)


def test_claimed_devices_are_nobody_elses() -> None:
    assert told(claimed(**GPU).pending("job", devices=1)).starts == {"job": [("pohang/n0", 0b0100)]}
    assert told(claimed(**GPU).pending("job", devices=2)).promises == {"job": (3600.0, "pohang")}


def test_a_claim_ends_its_whole_limit_after_its_victims() -> None:
    """The victim leaves after 20 s at the latest and the claim may run 3600 s: 3620, not 3600."""
    world = claimed()
    world.attempts[0]["ends_ms"] = world.now_ms + 10_000_000
    assert told(world.pending("job", cores=5)).promises == {"job": (3620.0, "pohang")}


# -- backfill ---------------------------------------------------------------------------------------------------------------


def busy() -> World:
    """8 cores, of which 6 are free in 100 s."""
    return farm().attempt("a", [("pohang/n0", 0)], cores=6, ends=100)


def test_small_work_passes_a_blocked_one_only_when_it_delays_nobody() -> None:
    world = busy().pending("wide", cores=8).pending("short", cores=1, limit=100).pending("long", cores=1, limit=101)
    found = told(world)
    assert list(found.starts) == ["short"] and found.promises["wide"] == (100.0, "pohang")
    assert found.waits["long"] == (ReasonKind.WAITS_RESERVED, {"for_workload": "wide", "until_ms": world.now_ms + 100_000})
    assert found.promises["long"] == (3700.0, "pohang")


def test_long_work_may_use_what_a_promise_leaves() -> None:
    world = busy().pending("wide", cores=7).pending("long", cores=1, limit=9999)
    assert list(told(world).starts) == ["long"]


def test_a_promise_goes_into_the_gap_before_another() -> None:
    """Free: 2 now, 6 at 100 s, 8 at 300 s. `wide` takes all at 300; `middle` fits from 100 to 300."""
    world = farm().attempt("a", [("pohang/n0", 0)], cores=4, ends=100).attempt("b", [("pohang/n0", 0)], cores=2, ends=300)
    world.pending("wide", cores=8).pending("middle", cores=5, limit=200).pending("later", cores=5, limit=201)
    assert told(world).promises == {"wide": (300.0, "pohang"), "middle": (100.0, "pohang"), "later": (3900.0, "pohang")}


def test_promises_are_bounded_and_whoever_gets_none_may_still_be_passed() -> None:
    world = busy().pending("one", cores=8).pending("two", cores=8).pending("three", cores=8)
    world.policy = replace(world.policy, reservations_max=2)
    assert list(told(world).promises) == ["one", "two"]


def test_an_overdue_attempt_is_expected_gone_in_a_second() -> None:
    world = farm().attempt("a", [("pohang/n0", 0)], cores=6, ends=-50).pending("job", cores=8)
    assert told(world).promises == {"job": (1.0, "pohang")}


def test_nothing_is_promised_behind_an_end_that_nobody_knows() -> None:
    world = farm().attempt("a", [("pohang/n0", 0)], cores=6, ends=None).pending("job", cores=8)
    assert told(world).promises == {}


def test_the_better_of_two_moments_is_promised() -> None:
    world = World().site("s").node("a", "s", cores=2, devices=1, accelerator="a100").node("n", "s", cores=2, devices=1,
        accelerator="npu").attempt("x", [("a", 1)], ends=500).attempt("y", [("n", 1)], ends=400)  # fmt: skip
    world.pending("job", devices=1, accelerators=("a100", "npu"))
    assert told(world).promises == {"job": (400.0, "s")}


def test_behind_the_first_promise_only_so_many_are_tried() -> None:
    world = busy().pending("wide", cores=8)
    for i in range(3):
        world.pending(f"s{i}", cores=1, limit=90 - i)
    world.policy = replace(world.policy, backfill_depth=1)
    found = told(world)
    assert list(found.starts) == ["s0"]
    assert found.waits["s1"] == (ReasonKind.WAITS_FOR_TURN, {"ahead": 1})
    assert found.waits["s2"] == (ReasonKind.WAITS_FOR_TURN, {"ahead": 2})


# -- preemption -------------------------------------------------------------------------------------------------------------


def full(**changes: object) -> World:
    """Two nodes of 8 cores, each with two jobs of 4."""
    world = World().site("pohang", 2, cores=8)
    for i, (node, checkpoint) in enumerate((("pohang/n0", -10), ("pohang/n0", -20), ("pohang/n1", -30), ("pohang/n1", -40))):
        world.attempt(f"v{i}", [(node, 0)], cores=4, **{"checkpoint": checkpoint, **changes})
    return world


def test_the_cheapest_victims_are_taken_and_none_more_than_needed() -> None:
    found = told(full().pending("urgent", priority="urgent", cores=4))
    assert found.victims == {"urgent": ["v0"]} and found.starts == {"urgent": [("pohang/n0", 0)]}


def test_victims_that_do_not_help_are_let_go() -> None:
    """v0 is the cheapest, but node n0 cannot be cleared as v1 may not be preempted: v2 and v3 alone make the room."""
    world = full()
    world.attempts[1]["preemptible"] = False
    assert sorted(told(world.pending("urgent", priority="urgent", cores=8)).victims["urgent"]) == ["v2", "v3"]


def test_lost_work_counts_workers_devices_and_time_since_the_checkpoint() -> None:
    """4 cores for 100 s cost 400; 1 core and 1 device of rate 16 for 30 s cost 510."""
    world = World().site("s", 2, cores=4, devices=1, accelerator="h100")
    world.attempt("cores", [("s/n0", 1)], cores=4, checkpoint=-100).attempt("device", [("s/n1", 1)], cores=1, checkpoint=-30)
    world.core_rate["h100"] = 16.0
    world.attempts[0]["seats"] = (("s/n0", 0),)
    assert told(world.pending("urgent", priority="urgent", cores=4)).victims == {"urgent": ["cores"]}


@pytest.mark.parametrize(
    ("change", "victim"),
    [({"priority": 0}, "v2"), ({"started_ms": 1_800_000_000_000 - 90_000}, "v2"), ({}, "v0")],
)
def test_equal_losses_go_by_priority_then_age_then_id(change: dict[str, int], victim: str) -> None:
    world = full(checkpoint=-50)
    world.attempts[2].update(change)
    assert told(world.pending("urgent", priority="urgent", cores=4)).victims == {"urgent": [victim]}


@pytest.mark.parametrize(
    "guard", [{"preemptible": False}, {"priority": "urgent"}, {"started": -59}, {"state": STOPPING}, {"state": LAUNCHING}]
)
def test_some_may_not_be_preempted(guard: dict[str, object]) -> None:
    found = told(full(**{"checkpoint": -1, **guard}).pending("urgent", priority="urgent", cores=4))
    assert found.victims == {} and found.waits["urgent"][0] in CAPACITY


def test_only_classes_that_preempt_do() -> None:
    assert told(full(priority="low").pending("high", priority="high", cores=4)).victims == {}


def test_nobody_is_preempted_for_work_that_fits_elsewhere_or_cannot_be_paid() -> None:
    fits = full().site("busan", 1, cores=4).pending("urgent", priority="urgent", cores=4)
    assert told(fits).starts == {"urgent": [("busan/n0", 0)]}
    assert told(full().pending("urgent", priority="urgent", cores=4, hold=1)).victims == {}


def test_two_claims_share_no_victim() -> None:
    world = full().pending("u1", priority="urgent", cores=8).pending("u2", priority="urgent", cores=8)
    world.pending("u3", priority="urgent", cores=8)
    found = told(world)
    assert sorted(v for run in found.victims.values() for v in run) == ["v0", "v1", "v2", "v3"]
    assert found.waits["u3"][0] in CAPACITY


def test_a_claim_takes_its_victims_devices_before_free_ones() -> None:
    world = farm(cores=4, **GPU).attempt("v", [("pohang/n0", 0b1100)], cores=4)
    assert told(world.pending("urgent", priority="urgent", devices=3)).starts == {"urgent": [("pohang/n0", 0b1101)]}


def test_victims_are_sought_at_the_site_where_least_is_lost() -> None:
    world = World().site("busan", 1, cores=4).site("pohang", 1, cores=4)
    world.attempt("dear", [("busan/n0", 0)], cores=4, checkpoint=-99).attempt("cheap", [("pohang/n0", 0)], cores=4, checkpoint=-9)
    assert told(world.pending("urgent", priority="urgent", cores=4)).victims == {"urgent": ["cheap"]}


def test_a_claim_keeps_off_promised_nodes() -> None:
    """`wide` may preempt nobody (they have run too short) and is promised the node; `next` may not take it first."""
    world = farm().attempt("young", [("pohang/n0", 0)], cores=6, started=-5, ends=100)
    world.attempt("old", [("pohang/n0", 0)], cores=2, ends=50)
    world.pending("wide", priority="urgent", cores=8).pending("next", priority="urgent", cores=2)
    found = told(world)
    assert found.victims == {} and found.promises["wide"] == (100.0, "pohang")


def test_a_claim_forgets_what_failed_before_it() -> None:
    """Work that failed behind a promise is tried again after a claim changed what is kept."""
    world = full(ends=500).pending("u0", priority="urgent", cores=4).pending("n0", cores=8).pending("n1", cores=8)
    found = told(world)
    assert found.victims == {"u0": ["v0"]} and set(found.promises) == {"n0", "n1"}


def test_a_preemptor_that_found_nobody_is_not_searched_for_twice() -> None:
    world = full(preemptible=False).pending("u0", priority="urgent", cores=4).pending("u1", priority="urgent", cores=4)
    assert told(world).victims == {} and len(told(world).promises) == 2
