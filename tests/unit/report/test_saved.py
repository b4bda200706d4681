"""A run that was saved is the same run, and what is no run is said to be none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings

from dure.simulator.report import Run, Samples, measure, read_parquet, write_parquet
from dure.simulator.report.run import COLUMNS
from dure.simulator.traces import TraceError
from dure.simulator.traces.parquet import write_columns
from tests.unit.report.made import run_from, run_of_rows, runs

JOB = (0, 60_000, 10_000, 1_500, 1, 1, 25_000, 5)


@settings(
    max_examples=25, deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(runs())
def test_what_was_written_is_read_again(tmp_path: Path, run: Run) -> None:
    write_parquet(run, tmp_path / "run.parquet")
    again = read_parquet(tmp_path / "run.parquet")
    assert all(np.array_equal(getattr(again, name), getattr(run, name)) for name in COLUMNS)
    assert measure(again) == measure(run) and (again.policy, again.trace, again.tenants) == (run.policy, run.trace, run.tenants)
    assert again.fleet.json() == run.fleet.json() and (again.until_ms, again.clock_ms) == (run.until_ms, run.clock_ms)


def test_notes_names_and_samples_are_kept(tmp_path: Path) -> None:
    samples = Samples(at_ms=np.array([0, 5]), value=np.array([7, 8]))
    run = run_from([JOB, JOB], 1, notes={"seed": "7", "versions": "1.0"}, ids=("a", "\ud800b"), fragmentation=samples)
    write_parquet(run, tmp_path / "run.parquet")
    again = read_parquet(tmp_path / "run.parquet")
    assert again.notes == {"seed": "7", "versions": "1.0"} and again.ids == ("a", "?b")
    assert again.fragmentation is not None and again.fragmentation.value.tolist() == [7, 8]


def test_the_file_describes_itself_to_others(tmp_path: Path) -> None:
    write_parquet(run_from([JOB, (0, 1, -1, 1, -1, 0, 0, -1)], 1, notes={"seed": "7"}), tmp_path / "run.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "run.parquet")
    assert table.schema.metadata[b"note.seed"] == b"7" and b'"policy": "P"' in table.schema.metadata[b"dure"]
    assert table["start_ms"].to_pylist() == [10_000, None] and table["tenant"].to_pylist() == ["bee", None]
    assert table["ran_from_ms"].to_pylist() == [[10_000, 65_000], []] and table["ran_accelerator"].to_pylist() == [
        ["rngd"] * 2,
        [],
    ]


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    write_columns(tmp_path / "jobs.parquet", {"submit_s": [1.0]})
    (tmp_path / "text.parquet").write_text("no")
    for name in ("jobs.parquet", "text.parquet"):
        with pytest.raises(TraceError, match=name):
            read_parquet(tmp_path / name)


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.parquet"
    write_parquet(run_of_rows([(0, 5, 3, 1)]), path)
    table = pyarrow.parquet.read_table(path)
    early = table.set_column(table.column_names.index("start_ms"), "start_ms", [[-7]])
    pyarrow.parquet.write_table(early, path)
    with pytest.raises(TraceError, match="no run that Dure saved, or it was changed"):
        read_parquet(path)
