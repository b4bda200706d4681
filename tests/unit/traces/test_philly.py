from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from dure.simulator.traces.faults import FaultKind
from dure.simulator.traces.trace import CANCELLED, COMPLETED
from tests.unit.traces.logs import PHILLY, philly, read, refused


def test_attempts_make_a_job(tmp_path: Path) -> None:
    reading = read(tmp_path, "cluster_job_log", philly(*PHILLY))
    trace = reading.trace
    assert reading.left_out == {"job without a scheduled attempt": 1} and trace.zero == "2017-10-07T00:00:00"
    assert trace.ids == ("application_2", "application_1") and trace.submit_ms.tolist() == [1_800_000, 3_600_000]
    assert trace.duration_ms.tolist() == [-1, 360_000], "an attempt without an end leaves the duration unknown"
    assert trace.devices.tolist() == [1, 4] and trace.workers.tolist() == [1, 1] and trace.extra["nodes"].tolist() == [1, 2]
    assert trace.status.tolist() == [CANCELLED, COMPLETED] and trace.extra["attempts"].tolist() == [1, 2]
    assert trace.queues == trace.tenants == ("aaa", "bbb") and [trace.users[i] if i >= 0 else "" for i in trace.user] == [
        "",
        "u1",
    ]
    assert trace.extra["wait_ms"].tolist() == [60_000, 60_000]


def test_duration_can_be_from_first_start_to_last_end(tmp_path: Path) -> None:
    assert read(tmp_path, "cluster_job_log", philly(*PHILLY), philly_span=True).trace.duration_ms.tolist() == [-1, 840_000]


def test_a_log_larger_than_a_piece_is_read_whole(tmp_path: Path) -> None:
    many = [{**PHILLY[0], "jobid": f"application_{n}", "note": "가" * 300} for n in range(2500)]
    text = json.dumps(many, ensure_ascii=False, indent=2)
    assert len(text.encode()) > 3 << 20
    trace = read(tmp_path, "cluster_job_log", text).trace
    assert len(trace) == 2500 and trace.ids[-1] == "application_2499"
    assert trace.origin[1] - trace.origin[0] == len(json.dumps(many[0], indent=2).splitlines())


def changed(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(PHILLY[0]), "jobid": "other", **fields}


def test_broken_jobs_are_named_with_line_field_and_remedy(tmp_path: Path) -> None:
    back = [{"start_time": "2017-10-07 02:00:00", "end_time": "2017-10-07 01:00:00", "detail": [{"ip": "m", "gpus": ["g"]}]}]
    cases: list[tuple[Any, FaultKind, str]] = [
        (7, FaultKind.BROKEN_ROW, "7"), (changed(attempts=None), FaultKind.BROKEN_ROW, "attempts"),
        (changed(submitted_time="None"), FaultKind.MISSING, "submitted_time"),
        (changed(status="Dancing"), FaultKind.UNKNOWN_WORD, "status"),
        (changed(submitted_time="10/7/2017"), FaultKind.NOT_A_NUMBER, "submitted_time"),
        (changed(attempts=back), FaultKind.NEGATIVE, "end_time"),
        (changed(vc=[1]), FaultKind.BROKEN_ROW, "vc"), (changed(jobid="application_1"), FaultKind.DUPLICATE, "application_1"),
        (changed(attempts=[{"detail": [{"gpus": 3}]}]), FaultKind.BROKEN_ROW, "detail"),
    ]  # fmt: skip
    for entry, kind, word in cases:
        text = philly(PHILLY[0], entry)
        line = f"line {len(philly(PHILLY[0]).splitlines())}"
        refused(tmp_path, "cluster_job_log", text, kind, line, word)
        assert read(tmp_path, "cluster_job_log", text, skip_bad=True).skipped == {kind: 1}


def test_a_list_that_breaks_off_is_never_passed_over(tmp_path: Path) -> None:
    text = philly(*PHILLY)
    for damaged in (text[:-40], text + "x", "{}", '[{"attempts" 1}]', "[" * 100_000):
        refused(tmp_path, "cluster_job_log", damaged, FaultKind.UNREADABLE, skip_bad=True, format="philly")
