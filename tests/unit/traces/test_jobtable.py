from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.simulator.traces.faults import FaultKind, Faults, TraceError
from dure.simulator.traces.jobtable import write_trace
from dure.simulator.traces.options import ReadOptions
from dure.simulator.traces.parquet import read_columns, write_columns
from dure.simulator.traces.registry import read_trace
from dure.simulator.traces.trace import COLUMNS, COMPLETED, FAILED, STATUS_UNKNOWN, Trace, make_trace
from tests.builders.worlds import examples
from tests.unit.traces.logs import CSV, read, refused

OPENB: dict[str, Any] = {
    "variant": ["default"] * 3 + ["cpu050"], "job_id": ["p0", "p1", "p2", "p0"], "submit_s": [3.0, 1.0, 2.0, 0.0],
    "duration_s": [5.0, None, 7.0, 1.0], "gpus": [0.81, 2.0, 0.0, 1.0], "gpu_type": ["", "V100M16|V100M32", None, "T4"],
    "queue": ["LS", "BE", "LS", "LS"], "status": ["Running", "Pending", "Failed", "Succeeded"], "num_gpu": [1, 2, 0, 1],
    "gpu_milli": [810, 1000, 0, 1000], "cpu_milli": [1500, 2000, 3000, 1], "memory_mib": [100, 200, 300, 1],
}  # fmt: skip


def test_a_csv_of_jobs(tmp_path: Path) -> None:
    trace = read(tmp_path, "jobs.csv", CSV).trace
    assert trace.ids == ("a", "b", "c") and trace.submit_ms.tolist() == [0, 10_000, 10_000]
    assert trace.duration_ms.tolist() == [30_000, 60_500, -1] and trace.devices.tolist() == [0, 16, 0]
    assert trace.share_milli.tolist() == [250, 0, 0] and trace.cores_milli.tolist() == [-1, 64_000, 4000]
    assert trace.memory_mib.tolist() == [-1, 524_288, -1] and trace.accelerators == (("t4", "v100"),)
    assert trace.status.tolist() == [FAILED, COMPLETED, STATUS_UNKNOWN] and trace.origin.tolist() == [3, 2, 4]
    assert read(tmp_path, "jobs.csv.gz", gzip.compress(("\ufeff" + CSV).encode())).trace.ids == trace.ids


def test_defaults_are_options_with_names(tmp_path: Path) -> None:
    options = {"cores_milli_per_device": 8000, "memory_mib_per_device": 1000, "devices_per_node": 8}
    trace = read(tmp_path, "jobs.csv", CSV, **options).trace
    assert trace.workers.tolist() == [1, 2, 1] and trace.devices.tolist() == [0, 8, 0]
    assert trace.cores_milli.tolist() == [2000, 32_000, 4000], "by share; as told; as told"
    assert trace.memory_mib.tolist() == [250, 262_144, -1], "a job without devices gets none"


def test_variants_of_openb(tmp_path: Path) -> None:
    path = tmp_path / "pods.parquet"
    write_columns(path, OPENB)
    trace = read_trace(path).trace
    assert trace.ids == ("p1", "p2", "p0") and trace.devices.tolist() == [2, 0, 0] and trace.share_milli.tolist() == [0, 0, 810]
    assert trace.cores_milli.tolist() == [2000, 3000, 1500] and trace.duration_ms.tolist() == [-1, 7000, 5000]
    assert trace.accelerators == (("v100m16", "v100m32"),) and trace.accelerator.tolist() == [0, -1, -1]
    assert len(read_trace(path, ReadOptions(variant="cpu050")).trace) == 1
    with pytest.raises(TraceError, match="no variant 'cpu051'"):
        read_trace(path, ReadOptions(variant="cpu051"))


def test_a_list_without_any_time_keeps_its_order(tmp_path: Path) -> None:
    path = tmp_path / "pods.parquet"
    write_columns(path, {**OPENB, "variant": ["default"] * 4, "job_id": ["d", "c", "b", "a"], "submit_s": [None] * 4})
    trace = read_trace(path).trace
    assert not trace.timed and trace.ids == ("d", "c", "b", "a") and trace.submit_ms.tolist() == [-1] * 4


def test_null_is_unknown_but_nan_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    columns = {"submit_s": [0.0, 1.0], "duration_s": np.array([1.0, np.nan]), "gpus": [1.0, 1.0]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    with pytest.raises(TraceError, match=r"row 2: duration_s is not a finite number") as caught:
        read_trace(path)
    assert caught.value.fault.kind is FaultKind.NOT_FINITE
    write_columns(path, {**columns, "duration_s": [1.0, None]})
    assert read_trace(path).trace.duration_ms.tolist() == [1000, -1]


def test_broken_rows_are_named_with_line_field_and_remedy(tmp_path: Path) -> None:
    cases = [
        ("d,-1,1,1,,,,,,", FaultKind.NEGATIVE, "submit_s"), ("d,nan,1,1,,,,,,", FaultKind.NOT_FINITE, "submit_s"),
        ("d,1e12,1,1,,,,,,", FaultKind.TOO_LARGE, "submit_s"), ("d,,1,1,,,,,,", FaultKind.MISSING, "submit_s"),
        ("d,1,one,1,,,,,,", FaultKind.NOT_A_NUMBER, "duration_s"), ("d,1,1,1.5,,,,,,", FaultKind.NOT_WHOLE, "gpus"),
        ("d,1,1,,,,,,,", FaultKind.MISSING, "gpus"), ("d,1,1,1,,,,dancing,,", FaultKind.UNKNOWN_WORD, "dancing"),
        ("d,1,1,1,,,,,", FaultKind.BROKEN_ROW, "9 cells"), ("a,1,1,1,,,,,,", FaultKind.DUPLICATE, "line 3"),
        ('d,"1,1,1', FaultKind.BROKEN_ROW, "CSV"), ("d,1_0,1,1,,,,,,", FaultKind.NOT_A_NUMBER, "1_0"),
        ("d,1,1,-1,,,,,,", FaultKind.NEGATIVE, "devices"), ("d,1,1,1e18,,,,,,", FaultKind.TOO_LARGE, "devices"),
    ]  # fmt: skip
    for row, kind, word in cases:
        refused(tmp_path, "jobs.csv", CSV + row + "\n", kind, "line 5", word)
        skipped = read(tmp_path, "jobs.csv", CSV + row + "\n", skip_bad=True)
        assert skipped.skipped == {kind: 1} and len(skipped.trace) == 3


def test_unknown_queues_are_faults_only_where_queues_are_known(tmp_path: Path) -> None:
    text = CSV.replace(",lee,,,", ",lee,other,,")
    assert read(tmp_path, "jobs.csv", text).trace.queues == ("lab", "other")
    refused(tmp_path, "jobs.csv", text, FaultKind.UNKNOWN_QUEUE, "line 4", "'other' is none of lab", queues=frozenset({"lab"}))


def test_a_line_in_another_encoding_is_a_fault_of_its_line(tmp_path: Path) -> None:
    text = CSV.encode() + "d,1,1,1,,김,,,,\n".encode("cp949")
    refused(tmp_path, "jobs.csv", text, FaultKind.ENCODING, "line 5", "UTF-8")
    assert read(tmp_path, "jobs.csv", text, skip_bad=True).skipped == {FaultKind.ENCODING: 1}


def test_skipped_rows_are_counted_by_kind_and_the_first_are_kept(tmp_path: Path) -> None:
    text = CSV + "".join(f"x{n},-1,1,1,,,,,,\n" for n in range(50)) + "y,1,1,,,,,,,\n"
    reading = read(tmp_path, "jobs.csv", text, skip_bad=True)
    assert reading.skipped == {FaultKind.NEGATIVE: 50, FaultKind.MISSING: 1} and len(reading.first) == 20
    refused(tmp_path, "jobs.csv", CSV.splitlines()[0] + "\na,-1,1,1,,,,,,\n", FaultKind.UNREADABLE, "no job", skip_bad=True)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    rows = draw(st.integers(1, 6))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    workers = column(st.integers(1, 9))
    share = column(st.sampled_from([0, 0, 1, 250, 999]))
    devices = [0 if part else draw(st.integers(0, 8)) for part in share]
    return make_trace(
        rows, submit_ms=sorted(column(st.integers(0, 10**9))), duration_ms=column(st.integers(-1, 10**10)), workers=workers,
        workers_min=[draw(st.integers(1, most)) for most in workers], share_milli=share, devices=devices,
        rest=[draw(st.integers(0, each - 1)) if each > 1 else 0 for each in devices], cores_milli=column(st.integers(-1, 10**6)),
        memory_mib=column(st.integers(-1, 10**6)), limit_ms=column(st.integers(0, 10**9)), priority=column(st.integers(-9, 999)),
        checkpoint_ms=column(st.integers(0, 10**6)), array=column(st.integers(-1, 9)), preemptible=column(st.booleans()),
        block=column(st.booleans()),
        status=column(st.integers(0, 9)), accelerator=[0] * rows, accelerators=(("h100", "a100"),), residency=[0] * rows,
        residencies=(("KR-47", "KR-11"),), queue=[0] * rows, queues=("q,\"x\"",), tenant=[0] * rows, tenants=("가",),
        user=[-1] * rows, ids=tuple(f"j{row}" for row in range(rows)),
    )  # fmt: skip


@examples(50)
@given(traces(), st.sampled_from(["t.csv", "t.parquet"]))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, trace: Trace, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / name
    write_trace(path, trace)
    back = read_trace(path).trace
    for column in COLUMNS:
        if column != "origin":
            assert getattr(back, column).tolist() == getattr(trace, column).tolist(), column
    assert (back.ids, back.accelerators, back.residencies, back.queues, back.tenants) == (
        trace.ids, trace.accelerators, trace.residencies, trace.queues, trace.tenants,
    )  # fmt: skip


def test_columns_of_every_type_come_out_as_numbers_or_words(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_columns(path, {"a": [1, None], "b": [True, False], "c": ["x", None], "d": [None, None], "e": [[1], [2]]})
    found = read_columns(path, Faults("x", skip_bad=False))
    assert set(found) == {"a", "b", "c", "d"} and found["c"] == ["x", None]
    assert np.isnan(np.asarray(found["d"], float)).all() and np.asarray(found["b"]).tolist() == [1.0, 0.0]
