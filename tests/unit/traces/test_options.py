"""Options of a reader as people type them, and faults in the order of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from dure.simulator.traces.faults import FAULTS_KEPT_MAX, FaultKind, Faults, TraceError
from dure.simulator.traces.options import CHOICES, BadOption, ReadOptions, of_format, parse_options
from dure.simulator.traces.registry import READERS
from tests.unit.traces.logs import CSV, read, refused


def test_every_option_is_a_member_of_the_options_and_of_known_formats() -> None:
    assert CHOICES.keys() == vars(ReadOptions()).keys() - {"skip_bad", "format"}
    assert {form for choice in CHOICES.values() for form in choice.formats} == READERS.keys()


def test_values_become_what_readers_take() -> None:
    typed = ["variant = b", "swf_processor=device", "allocated=yes", "philly_span=no", "devices_per_node=8", "queues=x, y",
             "cores_milli_per_device=0", "memory_mib_per_device=1024"]  # fmt: skip
    assert parse_options(typed) == {
        "variant": "b", "swf_processor": "device", "allocated": True, "philly_span": False, "devices_per_node": 8,
        "queues": frozenset({"x", "y"}), "cores_milli_per_device": 0, "memory_mib_per_device": 1024,
    }  # fmt: skip
    assert ReadOptions(**parse_options(typed)).allocated


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("variant", "form"), ("skip_bad=yes", "unknown"), ("variant=", "empty"),
        ("swf_processor=gpu", "word"), ("allocated=1", "word"),
        ("devices_per_node=0", "number"), ("devices_per_node=1.5", "number"), ("devices_per_node=" + "9" * 30, "number"),
        ("queues=a", "twice"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_its_kind(typed: str, what: str) -> None:
    with pytest.raises(BadOption) as caught:
        parse_options(["queues=b", typed])
    assert caught.value.what == what and caught.value.facts


def test_an_option_that_a_reader_does_not_look_at_is_refused_with_those_that_it_does() -> None:
    of_format(["variant", "queues"], "csv")
    with pytest.raises(BadOption) as caught:
        of_format(["queues", "allocated"], "swf")
    assert caught.value.facts["name"] == "allocated" and caught.value.facts["formats"] == "sacct"
    assert "swf_processor" in caught.value.facts["known"] and "variant" not in caught.value.facts["known"]


def test_a_variant_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "jobs.csv", CSV, FaultKind.UNREADABLE, "no column `variant`", variant="b")
    text = "submit_s,duration_s,gpus,variant\n1,2,3,a\n2,3,4,b\n"
    assert read(tmp_path, "jobs.csv", text, variant="b").trace.devices.tolist() == [4]
    refused(tmp_path, "jobs.csv", text, FaultKind.UNREADABLE, "no variant 'c'", variant="c")


def test_the_fault_of_the_first_row_ends_the_reading_whichever_was_found_first() -> None:
    faults = Faults("x", skip_bad=False)
    for number in (7, 3, 5, 3):
        faults.row(FaultKind.NEGATIVE, number, f"found as {number}", "is negative", "Correct it.")
    with pytest.raises(TraceError, match=r"x, line 3, found as 3|x, line 3: found as 3") as caught:
        faults.done()
    assert "--skip-bad" in str(caught.value) and str(faults.unreadable("p", "r")) == str(caught.value)
    fixed = Faults("x", skip_bad=False, skippable=False)
    fixed.row(FaultKind.NEGATIVE, 1, "f", "is negative", "Correct it.")
    assert str(fixed.unreadable("p", "r")) == "x, line 1: f is negative. Correct it."


def test_of_those_that_are_passed_over_the_first_rows_are_kept() -> None:
    faults = Faults("x", skip_bad=True)
    for number in range(100, 0, -1):
        faults.row(FaultKind.NEGATIVE, number, "f", "is negative", "Correct it.")
    faults.done()
    assert [fault.place for fault in faults.first] == [f"line {n}" for n in range(1, FAULTS_KEPT_MAX + 1)]
    assert faults.skipped == {FaultKind.NEGATIVE: 100} and faults.unreadable("p", "r").fault.problem == "p"
