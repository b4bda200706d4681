"""Elastic gangs by value: how many workers one gets, what bounds it, and what is said when too few would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dure.model.money import Currency
from dure.model.reason import Reason, ReasonKind
from dure.scheduler import (
    Asker,
    Change,
    Snapshot,
    apply_change,
    check,
    decode,
    encode,
    parse_suppositions,
    plan,
    reason_of,
    suggest,
    suppose,
)
from dure.scheduler.funds import part_of
from dure.scheduler.planning import Planning
from dure.scheduler.snapshot import freeze
from tests.builders.plans import both
from tests.builders.world import World
from tests.unit.scheduler.test_saved import opened, place_of, sealed


def farm(*sizes: int) -> World:
    """A site for each of these, `a` first, with nodes of one device: so many of them."""
    world = World()
    for name, size in zip("abc", sizes, strict=False):
        world.site(name, size, cores=8, devices=1, accelerator="h100")
    return world


def placed(world: World, id: str = "job") -> tuple[str, int]:
    """At which site it starts and with how many workers; ("", 0) when it waits. The plan is checked."""
    s = world.snapshot()
    p = plan(s)
    assert check(s, p) == ()
    found = {s.pending.ids[row]: i for i, row in enumerate(p.start_pending.tolist())}
    if id not in found:
        return "", 0
    i = found[id]
    return s.sites.ids[p.start_site[i]], int(p.start_worker_ptr[i + 1] - p.start_worker_ptr[i])


def test_all_of_it_goes_where_all_of_it_fits_and_else_where_most_does() -> None:
    assert placed(farm(2, 6, 4).pending("job", workers=4, workers_min=2, devices=1)) == ("c", 4), "the tightest that takes all"
    assert placed(farm(2, 3, 3).pending("job", workers=4, workers_min=2, devices=1)) == ("b", 3), "the first of equals"
    assert placed(farm(2, 1).pending("job", workers=4, workers_min=2, devices=1)) == ("a", 2)
    assert placed(farm(1, 1).pending("job", workers=4, workers_min=2, devices=1)) == ("", 0)


def test_the_first_alternative_that_takes_the_fewest_is_taken_whatever_the_next_would_take() -> None:
    world = farm(2).site("z", 8, cores=8, devices=1, accelerator="npu")
    assert placed(world.pending("job", workers=4, workers_min=2, devices=1, accelerators=("h100", "npu"))) == ("a", 2)
    world = farm(2).site("z", 8, cores=8, devices=1, accelerator="npu")
    assert placed(world.pending("job", workers=4, workers_min=3, devices=1, accelerators=("h100", "npu"))) == ("z", 4)


@pytest.mark.parametrize(("won", "gets"), [(400, 4), (399, 3), (200, 2), (199, 0)])
def test_money_bounds_it(won: int, gets: int) -> None:
    world = farm(4).award("lab", won).pending("job", workers=4, workers_min=2, devices=1, hold=400)
    assert placed(world)[1] == gets
    both(world.snapshot())
    if not gets:
        s = world.snapshot()
        assert reason_of(s, plan(s), 0) == Reason.of(ReasonKind.FUNDS_SHORT, hold=200, available=199, currency="KRW")


def test_most_workers_are_worth_more_than_the_currency_that_goes_first() -> None:
    world = farm(4).award("lab", 400).award("lab", 50, currency=Currency.ACS)
    world.pending("job", workers=4, workers_min=2, devices=1, hold=400, merit=100)
    s = world.snapshot()
    p = both(s)
    assert (p.start_currency.tolist(), len(p.start_node)) == ([0], 4)
    s = world.award("lab", 50, currency=Currency.ACS).snapshot()
    assert both(s).start_currency.tolist() == [1], "of equals merit goes first"


def test_a_part_is_rounded_up_and_is_exact_for_any_amount() -> None:
    assert [part_of(10, n, 4) for n in range(1, 5)] == [3, 5, 8, 10]
    most, amount = 16_384, (1 << 53) - 1
    assert part_of(amount, most - 1, most) == -(-amount * (most - 1) // most)
    assert part_of(np.array([amount]), np.array([most - 1]), np.array([most])).tolist() == [-(-amount * (most - 1) // most)]


@pytest.mark.parametrize(("devices", "cores", "gets"), [(3, 32, 3), (9, 16, 2), (1, 99, 0), (9, 99, 4)])
def test_a_quota_bounds_it(devices: int, cores: int, gets: int) -> None:
    world = farm(4).quota("project:lab", "device:h100", devices).quota("project:lab", "core", cores)
    world.pending("job", workers=4, workers_min=2, devices=1, cores=8)
    assert placed(world)[1] == gets


def test_a_quota_of_what_it_does_not_ask_for_bounds_nothing() -> None:
    world = farm(4).quota("project:lab", "device:h100", 3).quota("project:lab", "core", 2)
    assert placed(world.pending("job", workers=4, workers_min=1, devices=1, cores=0)) == ("a", 3)
    world = farm(4).quota("project:lab", "device:h100", 1).quota("project:lab", "core", 2)
    assert placed(world.pending("job", workers=4, workers_min=1, devices=0, cores=1)) == ("a", 2)


@pytest.mark.parametrize(("watts", "gets"), [(40, 4), (39, 3), (20, 2), (19, 0)])
def test_power_bounds_it(watts: int, gets: int) -> None:
    world = World().site("a", 4, power=[(-60, watts * 1000)], cores=8, devices=1, accelerator="h100", device_mw=10_000)
    assert placed(world.pending("job", workers=4, workers_min=2, devices=1, cores=0))[1] == gets


def test_it_stands_and_is_told_by_the_fewest() -> None:
    world = farm(3).pending("job", workers=9, workers_min=2, devices=1).pending("wide", workers=9, workers_min=4, devices=1)
    s = world.snapshot()
    p = both(s)
    assert p.start_pending.tolist() == [0] and len(p.start_node) == 3
    assert reason_of(s, p, 1) == Reason.of(ReasonKind.SITE_TOO_SMALL, workers=4, workers_fit_empty=3)
    alone = farm(3).pending("wide", workers=9, workers_min=4, devices=1).snapshot()
    assert suggest(alone, 0).change == Change(workers_min=3)


def test_promises_and_making_room_are_for_the_fewest() -> None:
    world = farm(3)
    for n in range(3):
        world.attempt(f"r{n}", [(f"a/n{n}", 1)], priority="low", started=-900, ends=100 * (n + 1))
    gang = {"workers": 3, "workers_min": 2, "devices": 1}
    s = world.pending("job", **gang).snapshot()  # type: ignore[arg-type]
    p = both(s)
    assert p.reserve_ms.tolist() == [s.now_ms + 200_000] and len(p.reserve_node) == 2
    s = world.pending("now", priority="urgent", submitted=-1, **gang).snapshot()  # type: ignore[arg-type]
    p = both(s)
    assert len(p.victim_attempt) == 2 and len(p.start_node) == 2 and check(s, p) == ()


def test_a_project_is_charged_for_as_many_as_it_gets() -> None:
    """Two projects take turns: who got two of the four that it asked for comes before who got three."""
    world = World().site("a", 8, cores=1).site("b", 3, cores=1).site("c", 1, cores=1)
    world.pending("first", project="ant", workers=4, workers_min=2, sites=["c", "b"], submitted=-10)
    world.pending("rival", project="bee", workers=4, sites=["a"], submitted=-9)
    world.pending("ants", project="ant", workers=3, sites=["a"], submitted=-8)
    world.pending("bees", project="bee", workers=3, sites=["a"], submitted=-7)
    s = world.snapshot()
    p = both(s)
    assert [s.pending.ids[row] for row in p.start_pending.tolist()] == ["first", "rival", "ants"]


def test_a_gang_in_a_block_gets_what_the_largest_room_in_one_block_takes() -> None:
    world = World().site("s")
    for i, block in enumerate((0, 0, 1, 1, 1, -1)):
        world.node(f"n{i}", "s", cores=2, block=block)
    world.pending("job", workers=8, workers_min=2, cores=1, block=True)
    assert placed(world) == ("s", 6)


def test_shares_of_devices_count_as_any_worker_does() -> None:
    world = World().site("s", 1, cores=8, devices=2, accelerator="h100", shares=True)
    assert placed(world.pending("job", workers=9, workers_min=2, share=300, cores=1)) == ("s", 6)


def test_tables_have_room_for_the_most() -> None:
    world = World().site("s", 40, cores=8)
    for i in range(12):
        world.pending(f"job{i}", workers=60, workers_min=1, cores=1)
    s = world.snapshot()
    p = both(s)
    assert np.diff(p.start_worker_ptr).tolist() == [60, 60, 60, 60, 60, 20] and check(s, p) == ()


def test_a_question_about_it_is_answered_by_the_fewest() -> None:
    s = farm(2).pending("job", workers=4, workers_min=2, devices=1).snapshot()
    assert Planning(s).about(s).chance.name == "STARTS"
    assert check(s, replace(plan(s), start_node=plan(s).start_node[:1], start_mask=plan(s).start_mask[:1],
                            start_worker_ptr=np.array([0, 1], np.int32))) == (
        "job is a gang of 2 to 4, but 1 are placed",
    )  # fmt: skip


def test_a_hold_is_checked_for_as_many_as_are_placed() -> None:
    s = farm(3).award("lab", 301).pending("job", workers=4, workers_min=2, devices=1, hold=401).snapshot()
    p = plan(s)
    assert check(s, p) == () and len(p.start_node) == 3
    poorer = freeze(replace(s, awards=replace(s.awards, available=np.array([300]))))
    assert check(poorer, p) == ("job is short of 1 KRW",)


def test_what_changes_its_size_leaves_the_fewest_no_more_than_the_most() -> None:
    s = farm(4).pending("job", workers=4, workers_min=2, devices=1).pending("rigid", workers=3, devices=1).snapshot()

    def sizes(row: int, change: Change) -> tuple[int, int]:
        p = apply_change(s, row, change).pending
        return int(p.workers[row]), int(p.workers_min[row])

    assert sizes(0, Change(workers=3)) == (3, 2) and sizes(0, Change(workers=2)) == (2, 0)
    assert sizes(0, Change(workers_min=3)) == (4, 3) and sizes(0, Change(workers_min=9)) == (4, 0)
    assert sizes(1, Change(workers=9)) == (9, 0) and sizes(1, Change(workers_min=2)) == (3, 2)


def test_that_fewer_would_do_may_be_supposed() -> None:
    s = farm(2).pending("job", workers=4, devices=1).snapshot()
    asker = Asker(rater=lambda _, __: lambda *_: (0, -1), grace_ms=lambda _: 0)
    (said, wrong) = (parse_suppositions([f"workload job workers_min {n}"]) for n in (2, 0))
    assert isinstance(said, tuple) and isinstance(wrong, tuple)
    then = suppose(s, said, asker)
    assert isinstance(then, Snapshot) and len(plan(then).start_node) == 2
    assert isinstance(suppose(s, wrong, asker), Reason)


def test_a_snapshot_that_was_saved_before_there_were_any_has_none() -> None:
    s = farm(2).pending("job", workers=2, devices=1).snapshot()
    header, body = opened(encode(s))
    pending = header["fields"]["pending"]["fields"]
    at = place_of(header["fields"], pending["workers_min"])
    body = body[:at] + body[at + pending.pop("workers_min")["bytes"] :]
    again = decode(sealed({**header, "body_bytes": len(body)}, body))
    assert isinstance(again, Snapshot) and encode(again) == encode(s)
