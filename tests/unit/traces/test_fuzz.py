"""Whatever a file holds, a reader gives a trace or its own error, and nothing else ever comes out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.simulator.traces.faults import FleetError, TraceError
from dure.simulator.traces.fleetfile import parse_fleet, read_fleet, write_fleet
from dure.simulator.traces.fleets import national_fleet
from dure.simulator.traces.options import ReadOptions
from dure.simulator.traces.parquet import write_columns
from dure.simulator.traces.registry import READERS, read_trace
from tests.builders.worlds import examples
from tests.unit.traces.logs import CSV, PHILLY, SACCT_ROWS, SWF, philly, sacct

TEXTS = {"swf": SWF, "sacct": sacct(*SACCT_ROWS), "philly": philly(*PHILLY), "csv": CSV}
FLEET = write_fleet(national_fleet(8 * 40))
# Pieces that parsers stumble over.
TRICKS = st.sampled_from([
    "-1", "nan", "inf", "1e999", "-0", "9" * 400, "9" * 5000, "", " ", "|", ",", "\"", "'", ";", "\n", "\x00", "\r", "[",
    "]", "{}", "null",
    "None", "0x10", "1_0", "١٢", "0-00:00:00", "123_[0-9999999]", "123_[1-2:0]", "\ud7ff", "\ufeff", "𝟘", "gres/gpu=1", "=",
    "mem=1Z",
    "2017-10-07 01:00:00", "9999-12-31T23:59:59", "0001-01-01T00:00:00", "2026-01-01T00:00:00+23:59", "1e18", "true", "[[",
    "\u2028",
])  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def survives(path: Path, form: str, skip_bad: bool) -> None:
    """A trace whose columns hold what they promise, or an error that names the file and a remedy."""
    try:
        trace = read_trace(path, ReadOptions(format=form, skip_bad=skip_bad, devices_per_node=8, cores_milli_per_device=5)).trace
    except TraceError as error:
        assert error.fault.file == path.name and error.fault.problem and error.fault.remedy
        return
    assert len(trace) > 0 and bool((np.diff(trace.submit_ms) >= 0).all()) and bool((trace.duration_ms >= -1).all())
    assert bool((trace.workers >= 1).all()) and bool((trace.devices >= 0).all()) and bool((trace.share_milli < 1000).all())
    for column, table in ((trace.accelerator, trace.accelerators), (trace.queue, trace.queues), (trace.user, trace.users)):
        assert bool((column >= -1).all()) and bool((column < len(table)).all())


@examples(100)
@given(st.binary(max_size=400), st.sampled_from(["", *READERS]), st.booleans())
def test_random_bytes(folder: Path, data: bytes, form: str, skip_bad: bool) -> None:
    path = folder / "bytes"
    path.write_bytes(data)
    survives(path, form, skip_bad)


@given(st.sampled_from(sorted(TEXTS)), st.data(), st.booleans(), st.booleans())
@examples(120)
def test_mutated_logs(folder: Path, form: str, data: st.DataObject, skip_bad: bool, packed: bool) -> None:
    text = TEXTS[form]
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(TRICKS | st.text(max_size=4)) + text[end:]
    path = folder / "log"
    raw = text.encode("utf-8", errors="surrogatepass")
    path.write_bytes(gzip.compress(raw) if packed else raw)
    survives(path, form, skip_bad)
    survives(path, "", skip_bad)


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | TRICKS,
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*PHILLY[0], "detail",
                    "gpus"]), inner))  # fmt: skip


@examples(60)
@given(st.dictionaries(st.sampled_from(sorted(PHILLY[0])), JSON), st.booleans())
def test_jobs_with_fields_of_any_type(folder: Path, fields: dict[str, object], skip_bad: bool) -> None:
    path = folder / "cluster_job_log"
    path.write_text(json.dumps([PHILLY[0], {**PHILLY[1], **fields}]))
    survives(path, "philly", skip_bad)


CELL = st.none() | st.floats() | st.integers(-(2**63), 2**63 - 1)
NAMES = st.sampled_from(["submit_s", "duration_s", "gpus", "num_gpu", "gpu_milli", "cpus", "mem_gib", "workers", "rest",
"limit_s", "job_id",
                         "queue", "gpu_type", "status", "preemptible", "priority", "array", "residency"])  # fmt: skip


@given(st.dictionaries(NAMES, st.tuples(CELL, CELL) | st.tuples(TRICKS, TRICKS), min_size=1), st.booleans())
@examples(60)
def test_tables_with_columns_of_any_type(folder: Path, columns: dict[str, tuple[object, object]], skip_bad: bool) -> None:
    path = folder / "table.parquet"
    try:
        write_columns(path, {"submit_s": [1, 2], "duration_s": [1, 2], "gpus": [1, 2]} | {k: list(v) for k, v in columns.items()})
    except (ValueError, OverflowError, TypeError):
        return  # no such column can be written
    survives(path, "", skip_bad)
    with pytest.raises((TraceError, FleetError)):
        read_fleet(path)


@given(st.data())
@examples(80)
def test_mutated_fleets(data: st.DataObject) -> None:
    text = FLEET
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 15)))
        text = text[:start] + data.draw(TRICKS | st.text(max_size=4)) + text[end:]
    try:
        fleet = parse_fleet(text)
    except (TraceError, FleetError) as error:
        assert str(error).startswith("FLEET.toml")
        return
    assert len(fleet.nodes()) > 0 and parse_fleet(write_fleet(fleet)) == fleet
