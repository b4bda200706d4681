from __future__ import annotations

from pathlib import Path

import pytest

from dure.simulator.traces.faults import FaultKind
from dure.simulator.traces.sacct import parse_tres
from dure.simulator.traces.text import clock_seconds
from dure.simulator.traces.trace import CANCELLED, COMPLETED, PENDING, TIMEOUT
from tests.unit.traces.logs import SACCT_ROWS, read, refused, sacct

DAY, HOUR = 86_400_000, 3_600_000


def test_jobs_arrays_steps_and_parts(tmp_path: Path) -> None:
    reading = read(tmp_path, "jobs.txt", sacct(*SACCT_ROWS))
    trace = reading.trace
    assert reading.format == "sacct" and trace.zero == "2026-01-05T00:00:00"
    assert reading.left_out == {"job step": 1, "heterogeneous jobs read in parts": 1}
    assert trace.ids == ("101_4", "100", "102_1", "102_2", "102_3", "102_9", "103+0")
    assert trace.submit_ms.tolist()[:3] == [8 * HOUR, int(9.5 * HOUR), 10 * HOUR]
    assert trace.duration_ms.tolist() == [600_000, DAY + 7_384_000, -1, -1, -1, -1, -1], "what never ran has no duration"
    assert trace.status.tolist() == [TIMEOUT, COMPLETED, PENDING, PENDING, PENDING, PENDING, CANCELLED]
    assert trace.workers.tolist() == [1, 2, 1, 1, 1, 1, 1] and trace.devices.tolist() == [0, 8, 0, 0, 0, 0, 0]
    assert trace.accelerators == (("h100",),) and trace.accelerator.tolist() == [-1, 0, -1, -1, -1, -1, -1]
    assert trace.cores_milli.tolist()[:3] == [4000, 32_000, 1000]
    assert trace.memory_mib.tolist() == [16_384, 262_144, 1024, 1024, 1024, 1024, -1], "0 means all of a node: unknown"
    assert trace.limit_ms.tolist() == [0, 3 * DAY, 0, 0, 0, 0, HOUR], "UNLIMITED and Partition_Limit name none"
    assert trace.array.tolist() == [101, -1, 102, 102, 102, 102, -1]
    assert trace.extra["wait_ms"].tolist()[:3] == [0, 60_000, -1] and trace.priority.tolist()[1] == 4000
    assert {trace.tenants[i] for i in trace.tenant} == {"physics", "chem", "bio"}


def test_the_type_that_was_allocated_is_not_what_was_asked_for(tmp_path: Path) -> None:
    asked, given = "cpu=8,gres/gpu=1,mem=8G,node=1", "cpu=16,gres/gpu:a100=1,gres/gpu=1,mem=64G,node=1"
    row = f"7|kim|a|b|2026-01-05T09:30:00|2026-01-05T09:30:00|00:01:00|01:00:00|COMPLETED|1|8|8G|{asked}|{given}|1"
    plain, allocated = (read(tmp_path, "jobs", sacct(row), allocated=flag).trace for flag in (False, True))
    assert plain.accelerator.tolist() == [-1] and plain.cores_milli.tolist() == [8000] and plain.devices.tolist() == [1]
    assert allocated.accelerators == (("a100",),) and allocated.cores_milli.tolist() == [16_000]


def test_old_versions_count_memory_by_core_and_devices_by_node(tmp_path: Path) -> None:
    header = "JobID|Submit|Elapsed|State|NNodes|ReqCPUS|ReqMem|ReqGRES"
    rows = (
        "1|2020-01-01T00:00:00|02:03|COMPLETED|2|8|4Gc|gpu:v100:2",
        "2|2020-01-01T00:00:00|00:10:00|CANCELLED+|1|8|16Gn|gpu:1",
    )
    trace = read(tmp_path, "old", sacct(*rows, header=header)).trace
    assert trace.memory_mib.tolist() == [16_384, 16_384] and trace.workers.tolist() == [2, 1] and trace.devices.tolist() == [2, 1]
    assert trace.accelerators == (("v100",),) and trace.duration_ms.tolist() == [123_000, 600_000]


def test_devices_that_do_not_divide_over_nodes_are_workers_of_their_own(tmp_path: Path) -> None:
    row = SACCT_ROWS[0].replace("gres/gpu:h100=16,gres/gpu=16", "gres/gpu=7")
    trace = read(tmp_path, "jobs", sacct(row)).trace
    assert trace.workers.tolist() == [7] and trace.devices.tolist() == [1] and trace.extra["nodes"].tolist() == [2]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1-02:03:04", 93_784),
        ("00:00:01", 1),
        ("02:03", 123),
        ("02:03.500", 123),
        ("100:00:00", 360_000),
        ("-1", None),
        ("1:2:3:4", None),
    ],
)
def test_durations_as_slurm_writes_them(text: str, seconds: int | None) -> None:
    assert clock_seconds(text) == seconds


def test_resources_add_up_by_type() -> None:
    tres = parse_tres("billing=8,cpu=8,gres/gpu:a100=1,gres/gpu:h100=2,mem=1.50T,energy=7,fs/disk=0")
    assert (tres.cores, tres.devices, tres.memory_mib, tres.kinds) == (8, 3, 1_572_864, ("a100", "h100"))


def test_broken_rows_are_named_with_line_field_and_remedy(tmp_path: Path) -> None:
    good = SACCT_ROWS[0]
    cases = [
        (good.replace("1-02:03:04", "-5"), FaultKind.NEGATIVE, "Elapsed"),
        (good.replace("1-02:03:04", "soon"), FaultKind.NOT_A_NUMBER, "Elapsed"),
        (good.replace("COMPLETED", "DANCING"), FaultKind.UNKNOWN_WORD, "DANCING"),
        (good + "|x|y", FaultKind.BROKEN_ROW, "17 fields"),
        (good.replace("2026-01-05T09:30:00", "yesterday"), FaultKind.NOT_A_NUMBER, "submit"),
        (good, FaultKind.DUPLICATE, "line 2"),
        (good.replace("2026-01-05T09:30:00", "Unknown"), FaultKind.MISSING, "Submit"), (good.replace("mem=512G", "mem=lots"),
                                                                                       FaultKind.NOT_A_NUMBER, "lots"),
        (good.replace("gres/gpu:h100=16", "gres/gpu:h100=8,gres/gpu:a100=8"), FaultKind.CONTRADICTION, "several types"),
        (good.replace("100|", "job|", 1), FaultKind.BROKEN_ROW, "JobID"),
        (good.replace("cpu=64", "cpu=nan"), FaultKind.NOT_FINITE, "cores"),
    ]  # fmt: skip
    for row, kind, word in cases:
        text = sacct(good, row if kind is FaultKind.DUPLICATE else row.replace("100|", "200|", 1))
        refused(tmp_path, "jobs.txt", text, kind, "line 3", word)
        assert read(tmp_path, "jobs.txt", text, skip_bad=True).skipped == {kind: 1}


def test_a_header_is_needed(tmp_path: Path) -> None:
    refused(tmp_path, "jobs.sacct", "\n".join(SACCT_ROWS), FaultKind.UNREADABLE, "line 1", "--noheader", format="sacct")
