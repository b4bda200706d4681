from __future__ import annotations

import pytest

from dure.model.accelerators import ACCELERATORS, RATE_UNKNOWN, core_rate, find, idle_mw


def test_every_entry_is_complete_and_sourced() -> None:
    for id, entry in ACCELERATORS.items():
        assert id == entry.id == id.lower() and entry.name and entry.vendor and entry.source
        assert entry.memory_gib > 0 and entry.tera_ops > 0 and entry.precision in ("bf16", "fp16", "int8")
        assert entry.kind in ("gpu", "npu", "tpu", "asic") and len(entry.origin) == 2
        assert (entry.watts == entry.server_watts == 0) if entry.kind == "tpu" else 0 < entry.watts < entry.server_watts


def test_domestic_types_are_known_as_such() -> None:
    assert {a.id for a in ACCELERATORS.values() if a.origin == "KR"} == {"atom", "atom-max", "rebel100", "warboy", "rngd"}


def test_an_entry_is_found_whatever_its_case() -> None:
    assert find("H100") is ACCELERATORS["h100"]
    assert find("abacus") is None


def test_figures_are_dense_peaks_at_the_precision_named() -> None:
    assert (ACCELERATORS["h100"].tera_ops, ACCELERATORS["h100"].precision) == (989, "bf16")
    assert (ACCELERATORS["warboy"].tera_ops, ACCELERATORS["warboy"].precision) == (64, "int8")


@pytest.mark.parametrize(("id", "rate"), [("h100", 98.9), ("warboy", 3.2), ("atom", 3.2), ("abacus", RATE_UNKNOWN), ("", 0.0)])
def test_a_device_weighs_by_its_peak_in_fair_share(id: str, rate: float) -> None:
    assert core_rate(id) == pytest.approx(rate)


def test_a_node_draws_a_fifth_of_its_servers_maximum_with_nothing_to_do_where_that_is_known() -> None:
    assert idle_mw("h100", 8) == 8 * 1275 * 200
    assert idle_mw("", 0) == idle_mw("abacus", 8) == idle_mw("tpu-v5e", 4) == idle_mw("h100", 0) == 0
