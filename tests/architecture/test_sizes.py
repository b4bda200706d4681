"""A function fits on a screen, and a file can be read at a sitting."""

from __future__ import annotations

from statistics import median

from tests.architecture.tree import length, sources

FUNCTION_MAX = 70
FILE_MAX = 500
MEDIAN_MAX = 12
EVERYWHERE = ("dure", "tests", "bench", "docs")


def test_a_function_fits_on_a_screen() -> None:
    long = [(s.at(f), f.name, length(f)) for s in sources(*EVERYWHERE) for f in s.functions() if length(f) > FUNCTION_MAX]
    assert long == []


def test_a_file_is_read_at_a_sitting() -> None:
    lines = {str(source.path): source.text.count("\n") for source in sources(*EVERYWHERE)}
    assert {path: n for path, n in lines.items() if n > FILE_MAX} == {}


def test_half_of_all_functions_are_short() -> None:
    assert median(length(f) for source in sources("dure") for f in source.functions()) <= MEDIAN_MAX
