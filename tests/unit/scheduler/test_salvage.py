"""What is kept of a plan that breaks its own rules."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import pytest

from dure.scheduler import Plan, Snapshot, check, paused, plan, salvage
from dure.scheduler.salvage import KEPT_BACK_MAX
from tests.builders.world import World

LATER_MS = 600_000


def crowd(count: int) -> Snapshot:
    world = World().site("east", nodes=1, cores=count)
    for i in range(count):
        world.pending(f"w{i:02d}")
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
    found = salvage(s, s.now_ms + LATER_MS, faulty(bad, how))
    assert found is not None and found.kept_back == bad
    assert check(found.snapshot, found.plan) == ()
    assert sorted(found.plan.start_pending.tolist()) == [row for row in range(8) if row not in bad]
    assert (found.snapshot.pending.eligible_ms[list(bad)] == s.now_ms + LATER_MS).all()


def test_behind_too_many_at_fault_all_are() -> None:
    s, bad = crowd(12), (1, 3, 5, 7, 9)
    found = salvage(s, s.now_ms + LATER_MS, faulty(bad, elsewhere))
    assert found is not None and check(found.snapshot, found.plan) == ()
    kept = set(found.kept_back)
    assert set(bad[: KEPT_BACK_MAX + 1]) <= kept
    assert sorted(found.plan.start_pending.tolist()) == [row for row in range(12) if row not in kept]


def test_of_a_plan_that_always_breaks_nothing_is_kept() -> None:
    def decide(_: Snapshot) -> Plan:
        raise IndexError("a kernel broke")

    assert salvage(crowd(3), LATER_MS, decide) is None


def test_a_plan_without_a_fault_is_kept_whole() -> None:
    s = crowd(3)
    found = salvage(s, s.now_ms + LATER_MS)
    assert found is not None and found.kept_back == () and len(found.plan.start_pending) == 3


def test_who_pauses_longer_anyway_goes_on_to() -> None:
    s = crowd(2)
    long = paused(s, np.array([0]), s.now_ms + 2 * LATER_MS)
    assert paused(long, np.array([0, 1]), s.now_ms + LATER_MS).pending.eligible_ms.tolist() == [
        s.now_ms + 2 * LATER_MS, s.now_ms + LATER_MS
    ]  # fmt: skip
    assert (s.pending.eligible_ms <= s.now_ms).all()
