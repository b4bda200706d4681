"""A quote is the plan, on a snapshot with one workload more."""

from __future__ import annotations

from dataclasses import replace

from dure.model.reason import ReasonKind
from dure.scheduler import Hypothetical, Outlook, check, outlook, plan, with_hypothetical
from dure.scheduler.plan import CAPACITY
from tests.builders.world import NOW_MS, World

ASKED = Hypothetical(
    id="asked", project=0, priority=200, workers=1, cores_milli=2000, memory_mib=512, devices=0, limit_ms=60_000,
    alternatives=((-1, (10, -1)),), submitted_ms=NOW_MS,
)  # fmt: skip


def seen(world: World, asked: Hypothetical) -> Outlook:
    s, row = with_hypothetical(world.snapshot(), asked)
    assert s.pending.ids[row] == asked.id
    p = plan(s)
    assert check(s, p) == ()
    return outlook(s, p, row)


def farm() -> World:
    return World().site("pohang", 1, cores=4, devices=2, accelerator="npu").award("lab", 100)


def test_it_stands_where_its_submission_puts_it() -> None:
    world = farm().pending("a", submitted=-5, sites=("pohang",)).pending("z", submitted=0, sites=("pohang",))
    two = ((0, (1, -1)), (-1, (2, -1)))
    s, row = with_hypothetical(world.snapshot(), replace(ASKED, sites=(0, 0), alternatives=two))
    assert s.pending.ids == ("a", "asked", "z") and row == 1
    assert s.pending.site_ptr.tolist() == [0, 1, 3, 4] and s.pending.alt_ptr.tolist() == [0, 1, 3, 4]
    assert s.alternatives.hold[:, 0].tolist() == [0, 1, 2, 0] and s.alternatives.accelerator.tolist() == [-1, 0, -1, -1]
    assert s.pending.alt_ptr.dtype == s.pending.site_row.dtype == "int32"
    last, row = with_hypothetical(world.snapshot(), replace(ASKED, submitted_ms=NOW_MS + 1))
    assert (last.pending.ids[-1], row) == ("asked", 2)


def test_the_first_workload_of_all_can_be_asked_about() -> None:
    assert seen(farm(), ASKED) == Outlook(starts=True, site="pohang")


def test_it_starts_or_claims_or_is_promised_or_waits() -> None:
    busy = farm().attempt("a", [("pohang/n0", 0)], cores=4, ends=100)
    urgent = replace(ASKED, priority=400, preempts=True)
    assert seen(busy, urgent) == Outlook(starts=True, claims=True, forced=True, site="pohang")
    idle = farm().attempt("a", [("pohang/n0", 0)], cores=4, ends=100, priority="background", yields=True)
    assert seen(idle, ASKED) == seen(idle, urgent) == Outlook(starts=True, claims=True, site="pohang")
    promised = seen(busy, ASKED)
    assert (promised.site, promised.promised_ms) == ("pohang", NOW_MS + 100_000)
    assert promised.reason is not None and promised.reason.kind in CAPACITY
    waits = seen(busy, replace(ASKED, alternatives=((-1, (101, -1)),)))
    assert not waits.starts and waits.promised_ms == 0
    assert waits.reason is not None and waits.reason.kind == ReasonKind.FUNDS_SHORT
