"""The quota in arrays says what Kueue's rules say, written here once more as plain recursion over nothing but what queues use."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dure.scheduler.kernels.quota import ENDLESS, NO_LIMIT, Quota, add, available, borrowed, borrows, fits, make_quota, remove
from tests.builders.worlds import examples

ROOT = Path(__file__).parents[3]
RESOURCES = 2
AMOUNT = st.one_of(st.integers(0, 9), st.sampled_from([0, 1, 40, 1 << 44]))
LIMIT = st.one_of(st.just(NO_LIMIT), AMOUNT)
DEED = st.tuples(st.integers(0, 99), st.integers(0, RESOURCES - 1), AMOUNT)
Deed = tuple[int, int, int]


@dataclass
class Tree:
    """One resource. No limit and no quota are infinity here; `use` is of each row itself."""

    parent: list[int]
    nominal: list[float]
    borrow: list[float]
    lend: list[float]
    use: list[int]

    def lenders(self, x: int) -> list[int]:
        """The children that have a quota: others have nothing to do with their parent."""
        return [c for c, above in enumerate(self.parent) if above == x and self.nominal[c] != math.inf]

    def stands_alone(self, x: int) -> bool:
        return self.parent[x] < 0 or self.nominal[x] == math.inf

    # -- as the code defines it: a quota of the subtree, a part of it that is never lent, and use beyond that part

    def subtree(self, x: int) -> float:
        return self.nominal[x] + sum(self.subtree(c) - self.local(c) for c in self.lenders(x))

    def local(self, x: int) -> float:
        return 0 if self.lend[x] == math.inf else max(0, self.subtree(x) - self.lend[x])

    def used(self, x: int) -> float:
        return self.use[x] + sum(max(0, self.used(c) - self.local(c)) for c in self.lenders(x))

    def available(self, x: int) -> float:
        if self.stands_alone(x):
            return self.subtree(x) - self.used(x)
        stored, used = self.subtree(x) - self.local(x), max(0, self.used(x) - self.local(x))
        from_parent = min(self.available(self.parent[x]), stored - used + self.borrow[x])
        return max(0, self.local(x) - self.used(x)) + from_parent

    # -- as the proposal defines it: a balance for each row, and a bound on how deep it may go

    def balance(self, x: int) -> float:
        return self.nominal[x] - self.use[x] + sum(min(self.lend[c], self.balance(c)) for c in self.lenders(x))

    def sound(self) -> bool:
        return all(self.balance(x) >= (0 if self.stands_alone(x) else -self.borrow[x]) for x in range(len(self.parent)))

    def root(self, x: int) -> int:
        return x if self.stands_alone(x) else self.root(self.parent[x])


@dataclass
class World:
    quota: Quota
    trees: list[Tree]  # by resource
    queues: list[int]

    def deed(self, deed: Deed) -> Deed:
        """With a queue for its number."""
        return self.queues[deed[0] % len(self.queues)], deed[1], deed[2]

    def add(self, row: int, resource: int, amount: int) -> None:
        add(self.quota, row, resource, amount)
        self.trees[resource].use[row] += amount

    def remove(self, row: int, resource: int, amount: int) -> None:
        remove(self.quota, row, resource, amount)
        self.trees[resource].use[row] -= amount


def infinite(column: list[int]) -> list[float]:
    return [math.inf if value == NO_LIMIT else value for value in column]


def world_of(parent: list[int], columns: list[list[list[int]]]) -> World:
    """columns: nominal, borrowing limit, lending limit and use, by resource and then by row."""
    quota = make_quota(np.array(parent), *(np.array(column, np.int64).T for column in columns))
    rows = zip(*columns, strict=True)
    trees = [Tree(parent, infinite(n), infinite(b), infinite(e), list(u)) for n, b, e, u in rows]
    return World(quota, trees, sorted(set(range(len(parent))) - set(parent)))


@st.composite
def worlds(draw: st.DrawFn, used: bool = True, uncapped: bool = True, rows_max: int = 9) -> World:
    parent = [-1]
    for above in draw(st.lists(st.integers(0, 9), max_size=rows_max - 1)):
        parent.append(above % 10 - 1 if above % 10 <= len(parent) else len(parent) - 1)  # -1 now and then; else often deep
    columns: list[list[list[int]]] = [[], [], [], []]
    for _ in range(RESOURCES):
        nominal = [draw(AMOUNT) if not uncapped or draw(st.integers(0, 5)) else NO_LIMIT for _ in parent]
        alone = [above < 0 or amount == NO_LIMIT for above, amount in zip(parent, nominal, strict=True)]
        limits = [[NO_LIMIT if single else draw(LIMIT) for single in alone] for _ in range(2)]
        use = [draw(AMOUNT) if used and row not in parent else 0 for row in range(len(parent))]
        for column, values in zip(columns, (nominal, *limits, use), strict=True):
            column.append(values)
    return world_of(parent, columns)


def finite(amount: float) -> int:
    return ENDLESS if amount == math.inf else int(amount)


def same(world: World) -> None:
    for resource, tree in enumerate(world.trees):
        for row in range(len(tree.parent)):
            most, own, used = tree.available(row), tree.subtree(row), tree.used(row)
            assert available(world.quota, row, resource) == finite(most)
            assert (world.quota.used[row, resource], world.quota.subtree[row, resource]) == (used, finite(own))
            assert borrowed(world.quota, row, resource) == max(0, used - own)
            for amount in {0, 1, max(0, min(int(own - used), 1 << 45) if own < math.inf else 5), 1 << 45}:
                assert borrows(world.quota, row, resource, amount) == (used + amount > own)
                assert fits(world.quota, row, resource, amount) == (amount == 0 or amount <= most)
                assert fits(world.quota, row, resource, amount + 1) == (amount + 1 <= most)


@given(worlds(), st.lists(st.tuples(st.booleans(), DEED), max_size=6))
@examples(150)
def test_quota_is_what_the_rules_say_whatever_was_added_and_removed(world: World, deeds: list[tuple[bool, Deed]]) -> None:
    same(world)
    for adds, deed in deeds:
        row, resource, amount = world.deed(deed)
        if adds:
            world.add(row, resource, amount)
        else:
            world.remove(row, resource, min(amount, world.trees[resource].use[row]))
    same(world)


@given(worlds(rows_max=14), st.lists(DEED, max_size=20), st.randoms(use_true_random=False))
@examples(150)
def test_what_is_added_and_removed_in_any_order_leaves_no_trace(world: World, deeds: list[Deed], chance: Random) -> None:
    before = [column.tobytes() for column in world.quota]
    named = [world.deed(deed) for deed in deeds]
    for deed in named:
        add(world.quota, *deed)
    chance.shuffle(named)
    for deed in named:
        remove(world.quota, *deed)
    assert [column.tobytes() for column in world.quota] == before


@given(worlds(used=False), st.lists(DEED, max_size=15))
@examples(150)
def test_what_fits_keeps_every_balance_and_what_does_not_breaks_one(world: World, deeds: list[Deed]) -> None:
    for deed in deeds:
        row, resource, amount = world.deed(deed)
        tree = world.trees[resource]
        tree.use[row] += amount
        sound = tree.sound()
        tree.use[row] -= amount
        assert fits(world.quota, row, resource, amount) == sound
        if sound:
            world.add(row, resource, amount)
        nobody_goes_beyond(world, resource)


def nobody_goes_beyond(world: World, resource: int) -> None:
    """No row uses more than it has and may borrow, and what a row keeps is there for it."""
    tree, quota = world.trees[resource], world.quota
    for row in range(len(tree.parent)):
        may = 0 if tree.stands_alone(row) else tree.borrow[row]
        assert quota.used[row, resource] <= tree.subtree(row) + may
        assert borrowed(quota, row, resource) <= may
        if not tree.stands_alone(row):
            assert available(quota, row, resource) >= tree.local(row) - quota.used[row, resource]


@given(worlds(used=False, uncapped=False), st.integers(0, 99), st.lists(st.integers(0, 99), min_size=1, max_size=12))
@examples(150)
def test_others_get_no_more_of_a_row_than_it_lends(world: World, lender: int, takers: list[int]) -> None:
    """Whoever is not below the lender takes all that there is; it has what it keeps, and the others have had no more than theirs
    and what it lends."""
    tree, keeps = world.trees[0], lender % len(world.quota.parent)
    within = {keeps}
    for row, above in enumerate(tree.parent):
        if above in within:
            within.add(row)
    outside = [row for row in range(len(tree.parent)) if row not in within and tree.root(row) == tree.root(keeps)]
    queues = [row for row in outside if row in world.queues]
    for taker in takers if queues else []:
        row = queues[taker % len(queues)]
        world.add(row, 0, max(0, available(world.quota, row, 0)))
    lent = min(tree.lend[keeps], tree.subtree(keeps))
    assert sum(tree.use[row] for row in outside) <= sum(tree.nominal[row] for row in outside) + lent
    assert available(world.quota, keeps, 0) >= tree.subtree(keeps) - lent


def fingerprint() -> str:
    """A story that is always the same, with every answer and every state, as a hash."""
    rng, seen = np.random.default_rng(11), hashlib.sha256()
    parent = np.concatenate([[-1, -1], rng.integers(0, 2, 6), rng.integers(2, 8, 40)])
    shape = (len(parent), 3)
    nominal = np.where(rng.random(shape) < 0.1, NO_LIMIT, rng.integers(0, 50, shape))
    alone = (parent[:, None] < 0) | (nominal == NO_LIMIT)
    borrow, lend = (np.where(alone | (rng.random(shape) < 0.4), NO_LIMIT, rng.integers(0, 60, shape)) for _ in range(2))
    quota = make_quota(parent, nominal, borrow, lend, np.where(np.arange(len(parent)) < 8, 0, 1)[:, None] * np.ones(3, np.int64))
    for _ in range(3_000):
        row, resource, amount = int(rng.integers(8, len(parent))), int(rng.integers(3)), int(rng.integers(0, 20))
        answers = (fits(quota, row, resource, amount), borrows(quota, row, resource, amount))
        seen.update(bytes(answers) + np.int64(available(quota, row, resource)).tobytes())
        if rng.random() < 0.4:
            remove(quota, row, resource, min(amount, int(quota.used[row, resource])))
        elif answers[0]:
            add(quota, row, resource, amount)
        seen.update(np.int64(borrowed(quota, int(parent[row]), resource)).tobytes() + quota.used.tobytes())
    return seen.hexdigest()


def test_compiled_and_uncompiled_quota_is_the_same_byte_for_byte() -> None:
    environ = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", __name__], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == fingerprint(), done.stderr


if __name__ == "__main__":
    sys.stdout.write(fingerprint() + "\n")
