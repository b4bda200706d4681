"""Shares of devices and preferences: plans keep to them, keep what they promise, and what is said of them is true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.reason import ReasonKind
from dure.scheduler import apply_change, check, plan, reason_of, suggest
from tests.builders.world import World
from tests.builders.worlds import examples, worlds

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


def shared(waiting_max: int = 8, limits: bool = True) -> st.SearchStrategy[World]:
    return worlds(waiting_max=waiting_max, shares=True, blocks=limits, tastes=limits, power=limits, windows=limits, quotas=limits)


@given(shared())
@examples(300)
def test_every_plan_with_shares_passes_the_second_program(world: World) -> None:
    s = world.snapshot()
    assert check(s, plan(s)) == ()


@given(shared(limits=False))
@examples(200)
def test_no_share_waits_while_a_device_has_room_for_it(world: World) -> None:
    """Of one worker that needs nothing but its share, where nothing is promised: it is free on every device that is told of."""
    s = world.snapshot()
    p = plan(s)
    left = _left(world, s, p)
    for row in range(len(s.pending.ids)):
        reason = reason_of(s, p, row)
        if reason is None or reason.kind != ReasonKind.WAITS_SHARE:
            continue
        facts = reason.facts
        assert facts["wanted_share_milli"] == s.pending.share_milli[row]
        assert 0 <= facts["workers_fit_now"] < facts["workers"]
        assert facts["free_share_milli"] <= max(left.values(), default=0)


def _left(world: World, s, p) -> dict[tuple[int, int], int]:  # type: ignore[no-untyped-def]
    """Thousandths of each device that nobody has, claims counted as well."""
    left = {
        (node, device): 1000
        for node in range(len(s.nodes.ids))
        for device in range(int(s.nodes.device_mask[node]).bit_length())
        if s.nodes.shares[node]
    }

    def take(node: int, mask: int, amount: int) -> None:
        for device in range(mask.bit_length()):
            if mask >> device & 1 and (node, device) in left:
                left[node, device] -= amount

    a = s.attempts
    for i in range(len(a.ids)):
        for at in range(a.worker_ptr[i], a.worker_ptr[i + 1]):
            take(int(a.worker_node[at]), int(a.worker_mask[at]), int(a.share_milli[i]) or 1000)
    for i, row in enumerate(p.start_pending.tolist()):
        for at in range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1]):
            take(int(p.start_node[at]), int(p.start_mask[at]), int(s.pending.share_milli[row]) or 1000)
    return left


@given(shared(waiting_max=4))
@examples(60, most=2000)
def test_the_smallest_change_of_shares_starts_it(world: World) -> None:
    s = world.snapshot()
    for row in range(len(s.pending.ids)):
        found = suggest(s, row)
        if found.change is None:
            continue
        then = apply_change(s, row, found.change)
        p = plan(then)
        assert row in p.start_pending
        assert check(then, p) == ()
