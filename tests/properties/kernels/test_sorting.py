"""What is sorted digit by digit stands as a sort by comparing leaves it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.scheduler.kernels.sorting import FEW, sort_by
from tests.builders.worlds import examples

keys = st.lists(st.one_of(st.integers(-3, 3), st.integers(-(1 << 61), 1 << 61)), max_size=40)


@given(keys, st.randoms(use_true_random=False))
@examples(200)
def test_rows_are_sorted_and_equal_ones_stay_as_they_stood(values: list[int], chance: object) -> None:
    order = list(range(len(values)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    given_order, key = np.array(order, np.int64), np.array(values, np.int64)
    assert sort_by(key, given_order).tolist() == sorted(order, key=lambda row: values[row])
    assert given_order.tolist() == order, "what was given is as it was"


@pytest.mark.parametrize("span", [1, 1 << 15, 1 << 40])
def test_many_rows_are_sorted_by_larger_digits(span: int) -> None:
    key = np.random.default_rng(7).integers(-span, span, FEW + 1)
    assert (sort_by(key, np.arange(len(key))) == np.argsort(key, kind="stable")).all()
