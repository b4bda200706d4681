"""The turns in arrays are the turns of the plan, whatever is charged in between, and the same compiled and uncompiled."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dure.model.policy import Policy
from dure.scheduler.kernels.turns import NOBODY, SIZE, Turns, charge, make_turns, next_row
from dure.scheduler.snapshot import Snapshot
from tests.builders.worlds import examples
from tests.plain import turns as plan

ROOT = Path(__file__).parents[3]
DEPTH_MAX = 4
AMOUNTS = st.one_of(st.sampled_from([0.0, 1.0, 0.1, 2.5, 1e6]), st.floats(0, 1e9))
CHARGE = st.tuples(st.integers(0, 4), st.integers(0, 99), st.one_of(AMOUNTS, st.sampled_from([-0.0, -1.0, -2.5])))
# 0: the leaf of the row whose turn it is is charged; 1, 2: that of another row; 3, 4: none.


class World(NamedTuple):
    parent: list[int]
    weight: list[int]
    use: list[float]
    leaf: list[int]  # by workload
    priority: list[int]
    rows: list[int]

    @property
    def turns(self) -> Turns:
        columns = (np.array(self.parent, np.int32), np.array(self.weight), np.array(self.use, np.float64))
        return make_turns(*columns, *(np.array(column, np.int64) for column in (self.leaf, self.priority, self.rows)))

    @property
    def snapshot(self) -> Snapshot:
        """As much of one as the turns of the plan look at: each share is a project."""
        shares = SimpleNamespace(parent=np.array(self.parent), weight=np.array(self.weight), use=np.array(self.use, np.float64))
        pending = SimpleNamespace(project=np.array(self.leaf, np.int64), priority=np.array(self.priority))
        projects = SimpleNamespace(share=np.arange(len(self.parent)))
        return cast(Snapshot, SimpleNamespace(shares=shares, projects=projects, pending=pending, policy=Policy()))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    parent, depth = [-1], [0]
    for above in draw(st.lists(st.integers(0, 99), min_size=1, max_size=14)):
        row = above % len(parent)
        while depth[row] == DEPTH_MAX:
            row = parent[row]
        parent.append(row)
        depth.append(depth[row] + 1)
    leaves = sorted(set(range(1, len(parent))) - set(parent))
    even = draw(st.booleans())  # then siblings are told apart by age and by what is charged alone
    weights = st.just(1) if even else st.sampled_from([0, 1, 1, 2, 3, 10])
    weight = draw(st.lists(weights, min_size=len(parent), max_size=len(parent)))
    use = [draw(AMOUNTS) if row in leaves and not even else 0.0 for row in range(len(parent))]
    priorities = st.integers(-1, 2) if draw(st.booleans()) else st.just(0)
    workloads = draw(st.lists(st.tuples(st.sampled_from(leaves), priorities), max_size=30))
    rows = [row for row in range(len(workloads)) if draw(st.integers(0, 9))]
    return World(parent, weight, use, [leaf for leaf, _ in workloads], [priority for _, priority in workloads], rows)


@given(worlds(), st.lists(st.lists(CHARGE, max_size=2), max_size=30))
@examples(300)
def test_everybody_has_a_turn_in_the_order_of_the_plan(world: World, charges: list[list[tuple[int, int, float]]]) -> None:
    turns, expected = world.turns, plan.Turns(world.snapshot, world.rows)
    for at in range(len(world.rows)):
        row = next_row(turns)
        assert row == expected.next()
        for whose, other, amount in charges[at] if at < len(charges) else []:
            if whose < 3:
                charged = row if whose == 0 else other % len(world.leaf)
                charge(turns, world.leaf[charged], amount)
                expected.charge(charged, amount)
    assert (next_row(turns), expected.next()) == (NOBODY, None)
    assert not turns.share[:, SIZE].any()


@given(worlds(), st.integers(0, 30))
@examples(100)
def test_a_copy_of_the_arrays_goes_on_as_the_original_would(world: World, done: int) -> None:
    turns = world.turns
    for _ in range(done):
        row = next_row(turns)
        if row != NOBODY:
            charge(turns, world.leaf[row], 1.5)
    copy = Turns(*(column.copy() for column in turns))
    rest = [next_row(turns) for _ in world.rows]
    assert [next_row(copy) for _ in world.rows] == rest


def fingerprint() -> str:
    """A story that is always the same, with every turn and every state, as a hash."""
    rng = np.random.default_rng(7)
    seen, parent = hashlib.sha256(), np.concatenate([[-1], np.zeros(5, int), rng.integers(1, 6, 30), rng.integers(6, 36, 100)])
    leaves = np.setdiff1d(np.arange(1, len(parent)), parent)
    use = np.where(np.isin(np.arange(len(parent)), leaves), rng.uniform(0, 1e6, len(parent)), 0)
    leaf, priority = rng.choice(leaves, 2_000), rng.integers(0, 3, 2_000)
    turns = make_turns(parent, rng.integers(0, 9, len(parent)), use, leaf, priority, np.arange(2_000))
    while (row := next_row(turns)) != NOBODY:
        seen.update(np.int64(row).tobytes())
        if rng.random() < 0.7:
            charge(turns, leaf[row if rng.random() < 0.8 else rng.integers(2_000)], rng.uniform(0, 1e5))
    for column in turns:
        seen.update(column.tobytes())
    return seen.hexdigest()


def test_compiled_and_uncompiled_turns_are_the_same_byte_for_byte() -> None:
    environ = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", __name__], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == fingerprint(), done.stderr


if __name__ == "__main__":
    sys.stdout.write(fingerprint() + "\n")
