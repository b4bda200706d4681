"""The plain program about quotas and the kernel say the same of random trees; and of a policy's quotas, whatever it names."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.policy import NO_LIMIT
from dure.scheduler.check_quota import Cohorts, cohorts_of
from dure.scheduler.kernels import quota as kernel
from dure.scheduler.quotas import quota_rows
from tests.builders.world import World
from tests.builders.worlds import examples, worlds

pytestmark = pytest.mark.unmeasured

AMOUNT = st.one_of(st.integers(0, 9), st.sampled_from([0, 40, 1 << 44]))
LIMIT = st.one_of(st.just(NO_LIMIT), AMOUNT)
Columns = tuple[list[int], ...]


@st.composite
def trees(draw: st.DrawFn) -> Columns:
    """parent, nominal, borrowing limit, lending limit, use of leaves."""
    parent = [-1]
    for above in draw(st.lists(st.integers(-1, 9), max_size=9)):
        parent.append(min(above, len(parent) - 1))
    nominal = [draw(LIMIT) for _ in parent]
    alone = [above < 0 or has == NO_LIMIT for above, has in zip(parent, nominal, strict=True)]
    borrow, lend = ([NO_LIMIT if single else draw(LIMIT) for single in alone] for _ in range(2))
    return parent, nominal, borrow, lend, [draw(AMOUNT) if row not in parent else 0 for row in range(len(parent))]


def same(plain: Cohorts, other: kernel.Quota, column: int) -> None:
    for row in range(len(plain.parent)):
        left = plain.available(row)
        assert kernel.available(other, row, column) == (kernel.ENDLESS if left == math.inf else left)
        assert kernel.borrowed(other, row, column) == plain.borrowed(row)
        assert other.used[row, column] == plain.used[row]


@given(trees(), st.lists(st.tuples(st.integers(0, 99), AMOUNT), max_size=6))
@examples(300)
def test_plain_numbers_and_the_kernel_agree_whatever_is_taken(columns: Columns, deeds: list[tuple[int, int]]) -> None:
    parent, *rest = columns
    plain = Cohorts(parent, *rest)
    other = kernel.make_quota(np.array(parent, np.int64), *(np.array(column, np.int64)[:, None] for column in rest))
    same(plain, other, 0)
    leaves = sorted(set(range(len(parent))) - set(parent))
    for number, amount in deeds:
        leaf = leaves[number % len(leaves)]
        plain.take(leaf, amount)
        kernel.add(other, leaf, 0, amount)
        same(plain, other, 0)


@given(trees())
@examples(200)
def test_what_binds_a_row_is_a_limit_of_it_or_above_it_and_no_lent_amount_is_missed_twice(columns: Columns) -> None:
    plain = Cohorts(*columns)
    for row in range(len(plain.parent)):
        way = [row]
        while plain.parent[way[-1]] >= 0:
            way.append(plain.parent[way[-1]])
        bound = plain.bound_by(row)
        assert bound in way and (bound == way[-1] or plain.borrow_max[bound] < math.inf)
        spare = max(0, plain.has[row] - plain.used[row])
        assert 0 <= plain.lent(row) <= spare
        if plain.lent(row):
            assert plain.available(row) < spare


@given(worlds(quotas=True))
@examples(200)
def test_quotas_of_a_policy_are_what_the_kernel_takes_and_bind_only_who_has_to_do_with_one(world: World) -> None:
    s = world.snapshot()
    q, rows = s.quotas, quota_rows(s.shares, s.projects)
    other = kernel.make_quota(s.shares.parent, q.nominal, q.borrow_max, q.lend_max, q.used)
    limited = cohorts_of(s)
    for column in range(q.nominal.shape[1]):
        if column in limited:
            same(limited[column], other, column)
        named = {rows[given.of] for given in world.policy.quotas if _names(given.resource, s.accelerators, column)}
        for row in rows.values():
            related = any(row in _way(s.shares.parent, name) or name in _way(s.shares.parent, row) for name in named)
            assert (q.nominal[row, column] == NO_LIMIT) == (not related)
            endless = kernel.available(other, row, column) == kernel.ENDLESS
            assert endless == (not related), "whoever has a quota never borrows without end"


def _names(resource: str, accelerators: tuple[str, ...], column: int) -> bool:
    if column == len(accelerators):
        return resource == "core"
    return resource in ("device:*", f"device:{accelerators[column]}")


def _way(parent: np.ndarray, row: int) -> set[int]:
    found = set()
    while row >= 0:
        found.add(row)
        row = int(parent[row])
    return found
