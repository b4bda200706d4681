from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from dure.simulator.traces import registry
from dure.simulator.traces.faults import FaultKind, TraceError
from dure.simulator.traces.jobtable import write_trace
from dure.simulator.traces.options import ReadOptions
from dure.simulator.traces.parquet import write_columns
from dure.simulator.traces.registry import READERS, read_trace
from tests.unit.traces.logs import CSV, PHILLY, SACCT_ROWS, SWF, philly, read, refused, sacct

SAMPLES = {"swf": SWF, "sacct": sacct(*SACCT_ROWS), "philly": philly(*PHILLY), "csv": CSV}


@pytest.mark.parametrize("form", SAMPLES)
@pytest.mark.parametrize("packed", [False, True])
def test_the_content_tells_the_reader_whatever_the_name(tmp_path: Path, form: str, packed: bool) -> None:
    data = SAMPLES[form].encode()
    assert read(tmp_path, "some-file", gzip.compress(data) if packed else data).format == form


def test_parquet_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "some-file"
    write_trace(path.with_suffix(".parquet"), read(tmp_path, "x", CSV).trace)
    path.with_suffix(".parquet").rename(path)
    assert read_trace(path).format == "parquet"


def test_what_nobody_knows_is_refused_with_the_list_of_formats(tmp_path: Path) -> None:
    refused(tmp_path, "notes.txt", "once upon a time\n", FaultKind.UNREADABLE, *READERS)
    refused(tmp_path, "notes.txt", "1 2 3\n", FaultKind.UNREADABLE, "chance", format="chance")
    refused(tmp_path, "empty.swf", "", FaultKind.UNREADABLE, "empty")
    refused(tmp_path, "empty.gz", gzip.compress(b""), FaultKind.UNREADABLE, "empty")
    refused(tmp_path, "only.swf", "; Version: 2.2\n", FaultKind.UNREADABLE, "no job")
    refused(tmp_path, "head.csv", CSV.splitlines()[0], FaultKind.UNREADABLE, "no job")
    refused(tmp_path, "none", "[]", FaultKind.UNREADABLE, "no job", format="philly")
    refused(tmp_path, "wide.csv", CSV.encode("utf-16"), FaultKind.ENCODING, "line 1")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.swf", tmp_path):
        with pytest.raises(TraceError, match="cannot be opened"):
            read_trace(path)


def test_a_truncated_archive_is_never_passed_over(tmp_path: Path) -> None:
    rows = "".join(f"{n} {n} 5 100 4 90 1024 4 600 2048 1 3 1 1 0 1 -1 -1\n" for n in range(1, 20_000))
    packed = gzip.compress(rows.encode())
    for damaged in (packed[: len(packed) // 2], packed[:-4], packed[:3], packed[:500] + b"\0" * 50 + packed[550:]):
        refused(tmp_path, "log.swf.gz", damaged, FaultKind.UNREADABLE, skip_bad=True)


def test_a_truncated_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole.parquet"
    write_columns(path, {"submit_s": [0.0] * 99, "duration_s": [1.0] * 99, "gpus": [1.0] * 99})
    data = path.read_bytes()
    for cut in (4, 50, len(data) // 2, len(data) - 1):
        refused(tmp_path, "cut.parquet", data[:cut], FaultKind.UNREADABLE, skip_bad=True)


def test_a_line_without_an_end_in_sight_is_a_fault_of_its_row(tmp_path: Path) -> None:
    text = SWF + "9" * (3 << 20) + "\n" + "9 40 0 1 1 -1 -1 1 -1 -1 1 1 1 1 1 1 -1 -1\n"
    refused(tmp_path, "log.swf", text, FaultKind.BROKEN_ROW, "line 10")
    assert len(read(tmp_path, "log.swf", text, skip_bad=True).trace) == 4


def test_options_begin_with_nothing_assumed() -> None:
    plain = ReadOptions()
    assert (plain.skip_bad, plain.queues, plain.devices_per_node) == (False, None, 0)
    assert (plain.cores_milli_per_device, plain.memory_mib_per_device, plain.allocated) == (-1, -1, False)


def test_pyarrow_has_one_home() -> None:
    files = sorted(Path(registry.__file__).parent.glob("*.py"))
    assert [path.name for path in files if "import pyarrow" in path.read_text(encoding="utf-8")] == ["parquet.py"]
