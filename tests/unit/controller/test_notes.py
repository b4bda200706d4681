"""Why somebody waits is written when it changes; numbers alone that change, now and then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dure.controller.housekeeping import NOTES_AT_ONCE, NoteKeeper
from dure.model.reason import ReasonKind
from dure.scheduler import Plan, Snapshot, plan
from dure.scheduler.plan import WAIT_CODE
from tests.builders.world import World

NOTE_EVERY_MS = 10_000
FREE_MILLI = 3  # which of the facts: cores that are free


def full(jobs: int = 1) -> tuple[Snapshot, Plan]:
    """A node of which six cores of eight are taken, and jobs that want four each."""
    farm = World().site("pohang", 1, cores=8).attempt("long", [("pohang/n0", 0)], cores=6, preemptible=False)
    for n in range(jobs):
        farm.pending(f"w{n}", cores=4)
    snapshot = farm.snapshot()
    return snapshot, plan(snapshot)


def later(snapshot: Snapshot, ms: int) -> Snapshot:
    return replace(snapshot, now_ms=snapshot.now_ms + ms)


def with_free(decided: Plan, milli: int) -> Plan:
    facts = decided.wait_facts.copy()
    facts[:, FREE_MILLI] = milli
    return replace(decided, wait_facts=facts)


def test_a_reason_is_written_once_for_as_long_as_it_is_the_same() -> None:
    (s, p), keeper = full(), NoteKeeper()
    (note,) = keeper.due(s, p)
    assert (note.id, note.at_ms, note.reason["kind"]) == ("w0", s.now_ms, "waits_cores")
    assert [keeper.due(later(s, ms), p) for ms in (1, NOTE_EVERY_MS, 9 * NOTE_EVERY_MS)] == [[], [], []]


def test_a_reason_whose_numbers_alone_change_is_written_again_after_ten_seconds_at_the_earliest() -> None:
    (s, p), keeper = full(), NoteKeeper()
    assert len(keeper.due(s, p)) == 1
    for ms in range(500, NOTE_EVERY_MS, 500):
        assert keeper.due(later(s, ms), with_free(p, ms)) == []
    (note,) = keeper.due(later(s, NOTE_EVERY_MS), with_free(p, 1500))
    assert note.reason["facts"]["free_milli"] == 1500
    assert keeper.due(later(s, NOTE_EVERY_MS + 500), with_free(p, 1000)) == []
    assert len(keeper.due(later(s, 2 * NOTE_EVERY_MS), with_free(p, 1000))) == 1


def test_a_promise_that_moves_is_a_number_that_changes() -> None:
    (s, p), keeper = full(), NoteKeeper()
    assert len(p.reserve_ms) == 1
    keeper.due(s, p)
    moved = replace(p, reserve_ms=p.reserve_ms + 60_000)
    assert keeper.due(later(s, 500), moved) == []
    (note,) = keeper.due(later(s, NOTE_EVERY_MS), moved)
    assert note.promised_ms == int(moved.reserve_ms[0])


def test_another_kind_of_reason_is_written_at_once() -> None:
    (s, p), keeper = full(), NoteKeeper()
    keeper.due(s, p)
    drains = replace(p, wait_code=np.full_like(p.wait_code, WAIT_CODE[ReasonKind.WAITS_DRAINING]))
    (note,) = keeper.due(later(s, 1), drains)
    assert note.reason["kind"] == "waits_draining"
    assert len(keeper.due(later(s, 2), p)) == 1


def test_what_is_too_much_for_one_step_is_written_in_the_next_ones() -> None:
    (s, p), keeper = full(NOTES_AT_ONCE + 30), NoteKeeper()
    told = [[n.id for n in keeper.due(later(s, ms), p)] for ms in (0, 1, 2)]
    assert [len(ids) for ids in told] == [NOTES_AT_ONCE, 30, 0]
    assert len({*told[0], *told[1]}) == NOTES_AT_ONCE + 30


def test_who_started_and_waits_again_is_told_anew() -> None:
    (s, p), keeper = full(), NoteKeeper()
    keeper.due(s, p)
    keeper.due(later(s, 1), replace(p, wait_code=np.full_like(p.wait_code, -1)))
    assert len(keeper.due(later(s, 2), p)) == 1


def test_who_was_told_is_known_by_name_wherever_it_stands() -> None:
    (s, p), keeper = full(3), NoteKeeper()
    assert [n.id for n in keeper.due(s, p)] == ["w0", "w1", "w2"]
    one_left = World().site("pohang", 1, cores=8).attempt("long", [("pohang/n0", 0)], cores=6, preemptible=False)
    for name in ("new", "w1", "w2"):
        one_left.pending(name, cores=4)
    after = one_left.snapshot()
    assert after.pending.ids != s.pending.ids
    assert [n.id for n in keeper.due(later(after, 1), plan(after))] == ["new"]
    assert keeper.due(later(after, 2), plan(after)) == []
    (again,) = keeper.due(later(s, 3), p)
    assert again.id == "w0", "it had gone"
