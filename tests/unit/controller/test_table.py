"""The table of the waiting stays in key order, whatever is put in and dropped."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.controller.table import FEW, SlotTable

DEEDS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 99))))


@settings(derandomize=True)
@given(DEEDS)
def test_it_holds_what_a_dictionary_would_in_order_of_key_and_id(deeds: list[tuple[str, int, int | None]]) -> None:
    table, model = SlotTable(2), dict[str, tuple[int, int]]()
    for id, key, value in deeds:
        if value is None:
            table.drop(id)
            model.pop(id, None)
        else:
            table.put(id, key, (key, value))
            model[id] = (key, value)
    ordered = sorted(model, key=lambda id: (model[id][0], id))
    assert table.ids() == tuple(ordered)
    assert table.take().tolist() == [list(model[id]) for id in ordered]
    assert len(table) == len(model)
    assert all(id in table for id in model)


@pytest.mark.parametrize("gone", [FEW, FEW + 1, 3 * FEW])
def test_however_many_go_the_others_stand_as_they_stood(gone: int) -> None:
    table, ids = SlotTable(1), [f"w{n:03}" for n in range(3 * FEW)]
    for n, id in enumerate(ids):
        table.put(id, n, (n,))
    assert len(table) == len(ids)
    leaves = [(7 * n) % len(ids) for n in range(gone)]
    for n in leaves:
        table.drop(ids[n])
    stays = [n for n in range(len(ids)) if n not in set(leaves)]
    assert table.ids() == tuple(ids[n] for n in stays)
    assert table.take()[:, 0].tolist() == stays
    table.put("first", -1, (99,))
    assert table.ids() == ("first", *(ids[n] for n in stays))
