"""Whatever number somebody writes into a saved snapshot: it is refused by the column's name, or planned. Kernels are compiled
without a look at the bounds of their tables, so nothing else may be left to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dure.model.policy import Policy
from dure.scheduler import Snapshot, plan
from dure.scheduler.change import HOLD_MAX, Change, apply_change
from dure.scheduler.snapshot import STOPPING, freeze
from dure.scheduler.sound import unsound
from tests.builders.world import World
from tests.builders.worlds import examples

ENDS = (-(2**63), -(2**58), -1, 0, 1, 2, 3, 63, 64, 65, 1000, 2**31, 2**40, 2**53, 2**62, 2**63 - 1)
FLOATS = (np.nan, np.inf, -np.inf, -1.0, 1e308)


def full() -> Snapshot:
    """With something in every column that planning reads."""
    made = World(policy=replace(Policy(), reservations_max=3, moves=True))
    made.site("s1", nodes=3, devices=4, accelerator="x", data=("d",), power=[(-5, 9_000_000), (60, 8_000_000)])
    made.site("s2", nodes=1).node("s1/n9", "s1", closed=[(60, 90), (120, 150)]).award("lab", 10**9)
    made.attempt("a1", [("s1/n0", 3)], rest=60).attempt("a2", [("s1/n1", 15)])
    made.pending("w1", devices=1, hold=5, sites=["s1"], data=["d"]).pending("w2", sites=["s1"]).pending("w3", devices=4, hold=5)
    made.pending("w4", devices=2, workers=2, workers_min=1, hold=3)
    return made.claim("c", [("s1/n0", 3)], ["a1"]).snapshot()


def columns(s: Snapshot) -> Iterator[tuple[str, str]]:
    for group in fields(s):
        members = getattr(s, group.name)
        if isinstance(members, np.ndarray):
            yield "", group.name
        elif is_dataclass(members) and group.name != "policy":
            yield from ((group.name, f.name) for f in fields(members) if isinstance(getattr(members, f.name), np.ndarray))


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, Snapshot]:
    """One number of one column is another."""
    s = full()
    group, name = draw(st.sampled_from(sorted(columns(s))))
    column: Any = getattr(getattr(s, group) if group else s, name).copy()
    assume(column.size > 0)
    kind = column.dtype.kind
    values = FLOATS if kind == "f" else (True, False) if kind == "b" else ENDS
    value = draw(st.sampled_from(values))
    if kind in "iu":
        info = np.iinfo(column.dtype)
        value = min(max(value, int(info.min)), int(info.max))
    column.flat[draw(st.integers(0, column.size - 1))] = value
    path = f"{group}.{name}" if group else name
    return path, replace(s, **{group: replace(getattr(s, group), **{name: column})} if group else {name: column})


@given(mutants())
@examples(300)
def test_a_number_that_cannot_be_is_refused_and_any_other_is_planned(mutant: tuple[str, Snapshot]) -> None:
    name, s = mutant
    refused = unsound(s)
    if refused:
        group = name.split(".")[0]
        assert any(each.split(".")[0] in (group, "quotas", "projects") for each in refused), f"{refused} and not {name}"
    else:
        decided = plan(freeze(s))
        assert len(decided.wait_code) == len(s.pending.ids)


@pytest.mark.parametrize("now_ms", [(1 << 53) + 1, -(1 << 53) - 1, 1 << 63, -(1 << 64), 10**400])
def test_a_moment_that_no_clock_shows_is_refused(now_ms: int) -> None:
    assert unsound(replace(full(), now_ms=now_ms)) == ("now_ms",)


def test_a_limit_of_nothing_is_refused() -> None:
    s = full()
    none = replace(s.pending, limit_ms=np.zeros_like(s.pending.limit_ms))
    assert unsound(replace(s, pending=none)) == ("pending.limit_ms",)


def test_quotas_of_which_less_is_used_than_by_those_who_stop_are_refused() -> None:
    world = World().site("a", 1, cores=8).quota("project:lab", "core", 4)
    world.attempt("leaves", [("a/n0", 0)], cores=2, project="lab", state=STOPPING).pending("next", cores=8)
    s = world.snapshot()
    assert unsound(s) == ()
    none = replace(s.quotas, used=np.zeros_like(s.quotas.used))
    assert unsound(replace(s, quotas=none)) == ("quotas.used",)


def test_a_hold_that_is_exchanged_is_no_more_than_a_column_can_tell() -> None:
    world = World().site("a", 1, cores=1).pending("dear", cores=2, limit=1, hold=HOLD_MAX)
    s = world.snapshot()
    assert unsound(s) == ()
    assert apply_change(s, 0, Change(limit_ms=1 << 52)).alternatives.hold.max() == HOLD_MAX


def test_a_grace_that_leaves_nothing_of_the_limit_is_refused() -> None:
    s = full()
    all_of_it = replace(s.pending, grace_ms=s.pending.limit_ms.copy())
    assert unsound(replace(s, pending=all_of_it)) == ("pending.grace_ms",)
