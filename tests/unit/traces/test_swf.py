from __future__ import annotations

import gzip
from pathlib import Path

from dure.simulator.traces.faults import FaultKind
from dure.simulator.traces.trace import CANCELLED, COMPLETED, FAILED
from tests.unit.traces.logs import SWF, read, refused

ROW = "1 0 5 100 4 90 1024 4 600 2048 1 3 1 1 0 1 -1 -1"


def test_every_field_is_read(tmp_path: Path) -> None:
    reading = read(tmp_path, "log.swf", SWF)
    trace = reading.trace
    assert reading.format == "swf" and reading.header["MaxNodes"] == "64" and reading.left_out == {"partial execution": 1}
    assert trace.ids == ("1", "2", "3") and trace.origin.tolist() == [5, 6, 8]
    assert trace.submit_ms.tolist() == [0, 30_000, 30_000] and trace.duration_ms.tolist() == [100_000, 50_000, -1]
    assert trace.workers.tolist() == [4, 2, 8] and trace.cores_milli.tolist() == [1000] * 3 and trace.devices.tolist() == [0] * 3
    assert trace.memory_mib.tolist() == [2, -1, -1] and trace.limit_ms.tolist() == [600_000, 0, 3_600_000]
    assert trace.status.tolist() == [COMPLETED, FAILED, CANCELLED]
    assert [trace.users[i] if i >= 0 else None for i in trace.user] == ["3", "4", None]
    assert [trace.queues[i] if i >= 0 else None for i in trace.queue] == ["0", "1", None]
    extra = {name: column.tolist() for name, column in trace.extra.items()}
    assert extra == {
        "wait_ms": [5000, -1, 0], "cpu_ms": [90_000, -1, -1], "memory_used_kib": [1024, -1, -1], "executable": [1, 2, -1],
        "partition": [1, 1, -1], "think_ms": [-1, 10_000, -1], "after": [-1, 0, -1],
    }  # fmt: skip


def test_a_packed_log_reads_the_same(tmp_path: Path) -> None:
    packed = read(tmp_path, "log.swf.gz", gzip.compress(SWF.encode())).trace
    assert packed.submit_ms.tolist() == read(tmp_path, "log.swf", SWF).trace.submit_ms.tolist()


def test_processors_can_be_devices(tmp_path: Path) -> None:
    trace = read(tmp_path, "log.swf", SWF, swf_processor="device", devices_per_node=4).trace
    assert (
        trace.workers.tolist() == [1, 1, 2] and trace.devices.tolist() == [4, 2, 4] and trace.memory_mib.tolist() == [8, -1, -1]
    )


def test_submissions_out_of_order_are_sorted_stably(tmp_path: Path) -> None:
    rows = [ROW.replace("1 0", f"{job} {submit}", 1) for job, submit in ((1, 9), (2, 3), (3, 9), (4, 3))]
    assert read(tmp_path, "log.swf", "\n".join(rows)).trace.ids == ("2", "4", "1", "3")


def test_broken_rows_are_named_with_line_field_and_remedy(tmp_path: Path) -> None:
    cases = [
        (ROW.replace(" 100 ", " -100 "), FaultKind.NEGATIVE, "run"), (ROW.replace(" 100 ", " NaN "), FaultKind.NOT_FINITE, "run"),
        (ROW.replace(" 100 ", " 1e300 "), FaultKind.TOO_LARGE, "duration_s"), (ROW + " 7", FaultKind.BROKEN_ROW, "19 fields"),
        (ROW.replace(" 100 ", " x "), FaultKind.NOT_A_NUMBER, "run"), (ROW.replace("4 600 2048 1", "4 600 2048 9"),
                                                                      FaultKind.UNKNOWN_WORD, "status"),
        (ROW.replace(" 4 90 1024 4 ", " -1 90 1024 0 "), FaultKind.MISSING, "processors"),
        (ROW.replace("-1 -1", "77 0"), FaultKind.CONTRADICTION, "preceding"), (ROW, FaultKind.DUPLICATE, "line 2"),
    ]  # fmt: skip
    for row, kind, word in cases:
        text = f"; Version: 2.2\n{ROW}\n{row if kind is FaultKind.DUPLICATE else row.replace('1 0', '2 0', 1)}\n"
        refused(tmp_path, "log.swf", text, kind, "line 3", word)
        skipped = read(tmp_path, "log.swf", text, skip_bad=True)
        assert skipped.skipped == {kind: 1} and len(skipped.trace) == 1 and skipped.first[0].place == "line 3"
