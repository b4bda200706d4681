"""Saved and read again, a snapshot plans the same; supposed, it is still a world in which plans keep every rule."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.reason import Reason
from dure.scheduler import Asker, Plan, Snapshot, check, decode, encode, parse_suppositions, plan, suppose, under_policy, why
from tests.builders.world import World
from tests.builders.worlds import PRIORITIES, PROJECTS, examples, worlds

pytestmark = pytest.mark.unmeasured


def free(*demand: Any) -> tuple[int, ...]:
    return (0, -1)


def columns(p: Plan) -> list[tuple[str, bytes]]:
    return [(f.name, getattr(p, f.name).tobytes()) for f in fields(p)]


@given(worlds())
@examples(75, most=1000)
def test_a_snapshot_that_was_saved_plans_the_same_to_the_byte(world: World) -> None:
    s = world.snapshot()
    data = encode(s)
    again = decode(data)
    assert isinstance(again, Snapshot)
    assert encode(again) == data
    made, anew = plan(s), plan(again)
    assert columns(anew) == columns(made)
    rows = range(len(s.pending.ids))
    assert [why(again, anew, row, plans_max=3) for row in rows] == [why(s, made, row, plans_max=3) for row in rows]


@given(worlds())
@examples(60)
def test_under_its_own_policy_a_snapshot_plans_the_same_to_the_byte(world: World) -> None:
    s = world.snapshot()
    assert columns(plan(under_policy(s, s.policy, lambda policy, name: free))) == columns(plan(s))


SUPPOSITIONS = st.one_of(
    st.builds("site s{} {}".format, st.integers(0, 2), st.sampled_from(("drained", "open", "reachable", "unreachable"))),
    st.builds("site s{} +{} nodes".format, st.integers(0, 2), st.integers(1, 3)),
    st.builds("node n{} {}".format, st.integers(0, 5), st.sampled_from(("up", "down"))),
    st.builds("workload w{} gone".format, st.integers(0, 7)),
    st.builds("workload w-a{} {}".format, st.integers(0, 8), st.sampled_from(("gone", "ended"))),
    st.builds("workload w{} {} {}".format, st.integers(0, 7), st.sampled_from(("workers", "devices")), st.integers(1, 4)),
    st.builds("workload w{} limit {}s".format, st.integers(0, 7), st.integers(1, 9000)),
    st.builds("workload w{} priority {}".format, st.integers(0, 7), st.sampled_from(PRIORITIES)),
    st.builds("project {} {}".format, st.sampled_from(PROJECTS), st.sampled_from(("gone", "funds +500won"))),
    st.builds("policy {} {}".format, st.sampled_from(("reservations_max", "backfill_depth", "min_run_ms")), st.integers(0, 9)),
    st.builds("now +{}s".format, st.integers(1, 5000)),
    st.sampled_from(("farm drained", "farm open")),
)


@given(worlds(), st.lists(SUPPOSITIONS, min_size=1, max_size=5))
@examples(150, most=5000)
def test_whatever_is_supposed_the_plan_keeps_every_rule_and_the_snapshot_stays_as_it_was(world: World, texts: list[str]) -> None:
    s = world.snapshot()
    before = encode(s)
    said = parse_suppositions(texts)
    assert not isinstance(said, Reason)
    then = suppose(s, said, Asker(rater=lambda workload, value: free, grace_ms=lambda workload: 0))
    assert encode(s) == before
    if isinstance(then, Reason):
        assert then.facts["wrong"] in ("not_there", "not_placed", "not_waiting", "nothing_alike", "beyond")
        return
    decided = plan(then)
    assert check(then, decided) == ()
    assert columns(plan(_again(then))) == columns(decided)
    for row in range(len(then.pending.ids)):
        assert why(then, decided, row, plans_max=0) is not None
    assert np.all(np.diff(then.nodes.site) >= 0)


def _again(s: Snapshot) -> Snapshot:
    read = decode(encode(s))
    assert isinstance(read, Snapshot)
    return read
