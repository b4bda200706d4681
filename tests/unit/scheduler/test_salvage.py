"""What is kept of a plan that breaks its own rules."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from dure.scheduler import Plan, Salvaged, Snapshot, check, paused, plan, salvage
from dure.scheduler.salvage import FOUND_MAX
from tests.builders.world import World

LATER_MS, SOON_MS = 600_000, 60_000


def salvaged(s: Snapshot, decide: Callable[[Snapshot], Plan]) -> Salvaged | None:
    return salvage(s, s.now_ms + LATER_MS, s.now_ms + SOON_MS, decide)


def crowd(count: int, kinds: int = 0) -> Snapshot:
    """kinds: of demands, one behind the other; 0: everybody asks for something else."""
    world = World().site("east", nodes=1, cores=count)
    for i in range(count):
        world.pending(f"w{i:02d}", memory=100 + i % (kinds or count))
    return world.snapshot()


def faulty(bad: Collection[int], how: Callable[[Plan, int], Plan]) -> Callable[[Snapshot], Plan]:
    """A plan that goes wrong for these rows, when they start."""

    def decide(s: Snapshot) -> Plan:
        made = plan(s)
        for start, row in enumerate(made.start_pending.tolist()):
            if row in bad:
                return how(made, start)
        return made

    return decide


def elsewhere(made: Plan, start: int) -> Plan:
    """On a device that is not there."""
    mask = made.start_mask.copy()
    mask[made.start_worker_ptr[start]] = 1
    return replace(made, start_mask=mask)


def breaks(made: Plan, start: int) -> Plan:
    raise IndexError("a kernel broke")


@pytest.mark.parametrize("how", [elsewhere, breaks])
@pytest.mark.parametrize("bad", [(0,), (7,), (3,), (1, 6), (0, 4, 7)])
def test_exactly_those_at_fault_are_kept_back(bad: tuple[int, ...], how: Callable[[Plan, int], Plan]) -> None:
    s = crowd(8)
    found = salvaged(s, faulty(bad, how))
    assert found is not None and found.kept_back == bad
    assert check(found.snapshot, found.plan) == ()
    assert sorted(found.plan.start_pending.tolist()) == [row for row in range(8) if row not in bad]
    assert (found.snapshot.pending.eligible_ms[list(bad)] == s.now_ms + LATER_MS).all()


def test_of_many_at_fault_the_first_are_found_and_who_is_behind_waits_for_a_moment() -> None:
    s, bad = crowd(14), (1, 3, 5, 7, 9)
    found = salvaged(s, faulty(bad, elsewhere))
    assert found is not None and check(found.snapshot, found.plan) == ()
    assert found.kept_back == bad[: FOUND_MAX - 1] and found.behind and min(found.behind) == bad[FOUND_MAX - 1]
    assert set(found.plan.start_pending.tolist()) == set(range(14)) - {*found.kept_back, *found.behind}
    eligible = found.snapshot.pending.eligible_ms
    assert (eligible[list(found.kept_back)] == s.now_ms + LATER_MS).all()
    assert (eligible[list(found.behind)] == s.now_ms + SOON_MS).all()


def test_where_two_who_ask_for_the_same_are_at_fault_all_of_these_are_kept_back() -> None:
    """As the elements of an array, which would be found one by one for ever."""
    s = crowd(30, kinds=3)
    alike = tuple(range(1, 30, 3))
    found = salvaged(s, faulty(alike, elsewhere))
    assert found is not None and (found.kept_back, found.behind) == (alike, ())
    assert sorted(found.plan.start_pending.tolist()) == [row for row in range(30) if row not in alike]


def test_a_check_that_breaks_is_a_fault_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def strict(s: Snapshot, made: Plan) -> tuple[str, ...]:
        if 2 in made.start_pending.tolist():
            raise KeyError("w02")
        return check(s, made)

    monkeypatch.setattr(import_module("dure.scheduler.salvage"), "check", strict)  # the package has a function of the name
    found = salvaged(crowd(4), plan)
    assert found is not None and found.kept_back == (2,)


def test_of_a_plan_that_always_breaks_nothing_is_kept() -> None:
    def decide(_: Snapshot) -> Plan:
        raise IndexError("a kernel broke")

    assert salvaged(crowd(3), decide) is None


def test_a_plan_without_a_fault_is_kept_whole() -> None:
    s = crowd(3)
    found = salvage(s, s.now_ms + LATER_MS, s.now_ms + SOON_MS)
    assert found is not None and found.kept_back == () and len(found.plan.start_pending) == 3


def test_who_pauses_longer_anyway_goes_on_to() -> None:
    s = crowd(2)
    long = paused(s, np.array([0]), s.now_ms + 2 * LATER_MS)
    assert paused(long, np.array([0, 1]), s.now_ms + LATER_MS).pending.eligible_ms.tolist() == [
        s.now_ms + 2 * LATER_MS, s.now_ms + LATER_MS
    ]  # fmt: skip
    assert (s.pending.eligible_ms <= s.now_ms).all()
