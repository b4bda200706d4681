"""Shares of devices and preferences: plans keep to them, keep what they promise, and what is said of them is true."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.reason import ReasonKind
from dure.scheduler import Plan, Snapshot, check, plan, reason_of
from tests.builders.world import World
from tests.builders.worlds import examples, promising, worlds
from tests.properties.scheduler.oracle import changed, later

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


def shared(waiting_max: int = 8, limits: bool = True) -> st.SearchStrategy[World]:
    return worlds(waiting_max=waiting_max, shares=True, blocks=limits, tastes=limits, power=limits, windows=limits, quotas=limits)


@pytest.mark.unmeasured
@given(shared())
@examples(300)
def test_every_plan_with_shares_passes_the_second_program(world: World) -> None:
    s = world.snapshot()
    assert check(s, plan(s)) == ()


@pytest.mark.unmeasured
def test_shares_and_whole_devices_that_are_promised_side_by_side_are_all_kept() -> None:
    """Worlds that are drawn at large have hardly any promise of a share: here many have one beside a promise of whole devices on
    the same node, and who starts could take what they name."""
    met = Counter[str]()

    @given(promising())
    @examples(500)
    def kept(world: World) -> None:
        s = world.snapshot()
        p = plan(s)
        assert check(s, p) == ()
        named, counted = _promised_on(s, p)
        met["shares"] += bool(named)
        met["both on a node"] += bool(named & counted)
        met["starts there"] += bool(named & set(p.start_node[p.start_mask > 0].tolist()))

    kept()
    assert min(met["shares"], met["both on a node"], met["starts there"]) > 50, met


def _promised_on(s: Snapshot, p: Plan) -> tuple[set[int], set[int]]:
    """Nodes of which shares of devices are promised, and those of which whole ones are."""
    found: tuple[set[int], set[int]] = set(), set()
    for i, row in enumerate(p.reserve_pending.tolist()):
        nodes = p.reserve_node[p.reserve_worker_ptr[i] : p.reserve_worker_ptr[i + 1]].tolist()
        for which, asked in zip(found, (s.pending.share_milli[row], s.pending.devices[row]), strict=True):
            which.update(nodes if asked else ())
    return found


@given(promising())
@examples(200, most=2000)
def test_the_first_that_is_promised_a_moment_starts_then(world: World) -> None:
    """Everybody takes all of their limit, and what the plan starts has started: then there is room for it, as was said."""
    s = world.snapshot()
    p = plan(s)
    if not len(p.reserve_pending) or len(p.victim_attempt):
        return
    first = int(np.argmin(p.reserve_ms))
    then = later(s, p, int(p.reserve_ms[first]), (int(p.reserve_pending[first]),))
    assert plan(then).start_pending.tolist() == [0]


@pytest.mark.unmeasured
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


@pytest.mark.unmeasured
@given(shared(waiting_max=4))
@examples(60, most=2000)
def test_the_smallest_change_of_shares_starts_it(world: World) -> None:
    for row, _, p in changed(world.snapshot()):
        assert row in p.start_pending
