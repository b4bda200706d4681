"""Standard Workload Format, version 2.2 (D. Feitelson, Parallel Workloads Archive): 18 numbers a line, -1 for unknown.

    1 job   2 submit s   3 wait s   4 run s   5 processors allocated   6 mean CPU s a processor   7 memory used KB a processor
    8 processors asked   9 time asked s   10 memory asked KB a processor   11 status   12 user   13 group   14 executable
    15 queue   16 partition   17 preceding job   18 think time s after that one

What a job needs is what was asked (8, 10), or, of processors, what was allocated (5) where nothing was asked. A processor is a
worker with one core, or with `swf_processor="device"` one of so many devices of one worker. Group is tenant, partition an extra
column. Records of status 2, 3 and 4 are parts of a job that has a record of its own, and are left out."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from dure.simulator.traces.draft import COUNT_MAX, Draft
from dure.simulator.traces.faults import FaultKind, Faults, shown
from dure.simulator.traces.options import Reading, ReadOptions
from dure.simulator.traces.text import lines, number
from dure.simulator.traces.trace import UNKNOWN

FIELDS = (
    "job", "submit", "wait", "run", "allocated", "cpu", "memory_used", "processors", "time", "memory", "status", "user", "group",
    "executable", "queue", "partition", "preceding", "think",
)  # fmt: skip
_STATUS: dict[float, str] = {0: "failed", 1: "completed", 5: "cancelled", -1: "unknown"}
_PARTIAL = (2, 3, 4)
_PLAIN = re.compile(r"[0-9.+\s-]+", re.ASCII)
_NUMBERS = ("submit_s", "duration_s", "workers", "workers_min", "devices", "cores", "memory_mib", "limit_s")
_WORDS = ("id", "tenant", "queue", "user", "status")
_EXTRA = ("wait_ms", "cpu_ms", "memory_used_kib", "executable", "partition", "preceding", "think_ms")


def read_swf(path: Path, options: ReadOptions) -> Reading:
    """Jobs of an SWF log, packed or not. `Reading.header` has its header comments, extra `after` the row of the preceding job.

    Raises TraceError."""
    faults = Faults(path.name, skip_bad=options.skip_bad)
    draft = Draft(faults, options, "swf")
    draft.start(_NUMBERS, _WORDS, _EXTRA)
    jobs: set[float] = set()
    for line, text in lines(path, faults):
        stripped = text.strip()
        if stripped.startswith(";"):
            _comment(draft.header, stripped)
        elif stripped and (values := _values(stripped, line, faults)) is not None:
            jobs.add(values[0])
            _record(draft, line, values)
    draft.zero = ""
    return _follow(draft.finish(), jobs, faults)


def _comment(header: dict[str, str], text: str) -> None:
    """`; Key: Value`; a key that stands again continues."""
    key, colon, value = text.lstrip("; \t").partition(":")
    if colon and key and " " not in key.strip():
        key = key.strip()
        header[key] = f"{header[key]}\n{value.strip()}" if key in header else value.strip()


def _values(text: str, line: int, faults: Faults) -> list[float] | None:
    cells = text.split()
    if len(cells) != len(FIELDS):
        faults.row(FaultKind.BROKEN_ROW, line, "", f"{len(cells)} fields where there are {len(FIELDS)}", "Write -1 for unknown.")
        return None
    if _PLAIN.fullmatch(text):  # nearly every row: its numbers need not be looked at one by one
        try:
            values = list(map(float, cells))
        except ValueError:
            values = [math.inf]
        if max(values) < math.inf and all(value >= 0 or value == -1 for value in values):
            return values
    return _named(cells, line, faults)


def _named(cells: list[str], line: int, faults: Faults) -> list[float] | None:
    """The numbers of a row, or a fault that names the field."""
    found = []
    for name, cell in zip(FIELDS, cells, strict=True):
        value = number(cell)
        if value is None or math.isinf(value):
            kind = FaultKind.NOT_A_NUMBER if value is None else FaultKind.NOT_FINITE
            faults.row(kind, line, name, f"{shown(cell)} is no finite number", "Write -1 for unknown.")
            return None
        if value < 0 and value != -1:
            faults.row(FaultKind.NEGATIVE, line, name, f"{shown(cell)} is negative", "Write -1 for unknown.")
            return None
        found.append(value)
    return found


def _record(draft: Draft, line: int, values: list[float]) -> None:
    (job, submit, wait, run, allocated, cpu, used, processors, time, memory, user, group, executable, queue, partition,
     preceding, think) = (math.nan if value == -1 else value for value in values[:10] + values[11:])  # fmt: skip
    code = values[10]
    if code in _PARTIAL:
        draft.left_out["partial execution"] += 1
        return
    count = processors if processors >= 1 else allocated
    if code not in _STATUS or not 1 <= count <= COUNT_MAX:
        _refuse(draft.faults, line, code, count)
        return
    device = draft.options.swf_processor == "device"
    workers = 1.0 if device else count
    kib = memory * count if device else memory
    draft.row(
        line,
        (submit, run, workers, workers, count if device else 0.0, math.nan if device else 1.0, kib / 1024, time),
        (_word(job), _word(group), _word(queue), _word(user), _STATUS[code]),
        (wait * 1000, cpu * 1000, used, executable, partition, preceding, think * 1000),
    )


def _refuse(faults: Faults, line: int, code: float, count: float) -> None:
    if code not in _STATUS:
        faults.row(FaultKind.UNKNOWN_WORD, line, "status", f"{code:g} is no status", "It is 0 to 5, or -1 for unknown.")
    elif count > COUNT_MAX:
        faults.row(FaultKind.TOO_LARGE, line, "processors", f"{count:g} is more than {COUNT_MAX:,.0f}", "Correct it.")
    else:
        faults.row(FaultKind.MISSING, line, "processors", "neither asked nor allocated is told", "Say how many the job needs.")


def _word(value: float) -> str | None:
    """A number as a name."""
    return None if math.isnan(value) else str(int(value)) if value == int(value) else repr(value)


def _follow(reading: Reading, jobs: set[float], faults: Faults) -> Reading:
    """Name preceding jobs by their row. One that the file does not have is a fault; one that was passed over is unknown."""
    trace = reading.trace
    preceding = trace.extra["preceding"]
    rows = {name: row for row, name in enumerate(trace.ids)}
    after = np.full(len(trace), UNKNOWN, np.int64)
    good = np.ones(len(trace), np.bool_)
    for row in np.flatnonzero(preceding >= 0).tolist():
        after[row] = rows.get(str(int(preceding[row])), UNKNOWN)
        if float(preceding[row]) not in jobs or after[row] == row:
            problem = f"no other job of this file is {int(preceding[row])}"
            faults.row(FaultKind.CONTRADICTION, int(trace.origin[row]), "preceding", problem, "Write -1 if there is none.")
            good[row] = False
    extra = {**{name: column for name, column in trace.extra.items() if name != "preceding"}, "after": after}
    faults.done()
    if not good.any():
        raise faults.unreadable("no job can be read", "Every job names a preceding one that is not there.")
    kept = replace(trace, extra=extra).take(good) if not good.all() else replace(trace, extra=extra)
    return replace(reading, trace=kept, skipped=dict(faults.skipped), first=faults.first)
