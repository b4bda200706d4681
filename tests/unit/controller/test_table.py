"""The table of the waiting stays in key order, whatever is put in and dropped."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dure.controller.table import SlotTable

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
