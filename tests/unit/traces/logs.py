"""Small logs, written by hand in the formats that the readers know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dure.simulator.traces.faults import FaultKind, TraceError
from dure.simulator.traces.options import Reading, ReadOptions
from dure.simulator.traces.registry import read_trace

SWF = """; Version: 2.2
; Computer: a machine of ours
; MaxNodes: 64
; UnixStartTime: 1000000000
1  0   5  100  4  90 1024  4  600 2048 1 3 1 1 0 1 -1 -1
2  30  -1   50  2  -1   -1 -1  -1   -1 0 4 1 2 1 1  1 10

3  30   0   -1 -1  -1   -1  8 3600   -1 5 -1 -1 -1 -1 -1 -1 -1
4  31   0   10  1  -1   -1  1   -1   -1 2 3 1 1 0 1 -1 -1
"""

SACCT_HEADER = (
    "JobID|User|Account|Partition|Submit|Start|Elapsed|Timelimit|State|NNodes|ReqCPUS|ReqMem|ReqTRES|AllocTRES|Priority"
)
SACCT_ROWS = (
    "100|kim|physics|gpu|2026-01-05T09:30:00|2026-01-05T09:31:00|1-02:03:04|3-00:00:00|COMPLETED|2|64|512G|"
    "billing=64,cpu=64,gres/gpu:h100=16,gres/gpu=16,mem=512G,node=2|billing=64,cpu=64,gres/gpu=16,mem=512G,node=2|4000",
    "100.batch||physics||2026-01-05T09:31:00|2026-01-05T09:31:00|1-02:03:04||COMPLETED|1|32||||",
    "101_4|lee|chem|cpu|2026-01-05T08:00:00|2026-01-05T08:00:00|00:10:00|UNLIMITED|TIMEOUT|1|4|16G|cpu=4,mem=16G,node=1|"
    "cpu=4,mem=16G,node=1|1",
    "102_[1-3,9%2]|lee|chem|cpu|2026-01-05T10:00:00|Unknown|00:00:00|Partition_Limit|PENDING|1|1|1G|cpu=1,mem=1G,node=1||1",
    "103+0|park|bio|gpu|2026-01-05T11:00:00|Unknown|00:00:00|01:00:00|CANCELLED by 1000|1|8|0|cpu=8,node=1||",
)

PHILLY: list[dict[str, Any]] = [
    {
        "status": "Pass", "vc": "aaa", "jobid": "application_1", "user": "u1", "submitted_time": "2017-10-07 01:00:00",
        "attempts": [
            {"start_time": "2017-10-07 01:01:00", "end_time": "2017-10-07 01:02:00",
             "detail": [{"ip": "m1", "gpus": ["gpu0", "gpu1"]}, {"ip": "m2", "gpus": ["gpu0", "gpu1"]}]},
            {"start_time": "2017-10-07 01:10:00", "end_time": "2017-10-07 01:15:00",
             "detail": [{"ip": "m3", "gpus": ["gpu0", "gpu1", "gpu2", "gpu3"]}]},
        ],
    },
    {
        "status": "Killed", "vc": "bbb", "jobid": "application_2", "user": "None", "submitted_time": "2017-10-07 00:30:00",
        "attempts": [{"start_time": "2017-10-07 00:31:00", "end_time": "None", "detail": [{"ip": "m1", "gpus": ["gpu7"]}]}],
    },
    {"status": "Failed", "vc": "bbb", "jobid": "application_3", "user": "u2", "submitted_time": "2017-10-08 00:00:00",
    "attempts": []},
]  # fmt: skip

CSV = """job_id,submit_s,duration_s,gpus,gpu_type,user,queue,status,cpus,mem_gib
b,10,60.5,16,,kim,lab,completed,64,512
a,0,30,0.25,T4|T4|V100,,lab,Failed,,
c,10,,0,,lee,,,4,
"""


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def sacct(*rows: str, header: str = SACCT_HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def philly(*entries: object) -> str:
    return json.dumps(list(entries), indent=1)


def read(folder: Path, name: str, text: str | bytes, **options: Any) -> Reading:
    return read_trace(write(folder, name, text), ReadOptions(**options))


def refused(folder: Path, name: str, text: str | bytes, kind: FaultKind, *words: str, **options: Any) -> TraceError:
    """Reading it is refused for this kind of fault, in words that hold these; each fault names its file and a remedy."""
    with pytest.raises(TraceError) as caught:
        read(folder, name, text, **options)
    fault = caught.value.fault
    assert fault.kind is kind, str(fault)
    assert str(fault).startswith(name) and fault.remedy
    for word in words:
        assert word in str(fault), (word, str(fault))
    return caught.value
