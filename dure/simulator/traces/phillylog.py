"""Microsoft Philly's `cluster_job_log` (msr-fiddle/philly-traces): one JSON list of jobs, each with its scheduling attempts.

    {"status": "Pass", "vc": "ee9e8c", "jobid": "application_1_2", "user": "ce2f4c", "submitted_time": "2017-10-07 01:11:39",
     "attempts": [{"start_time": "2017-10-07 01:12:09", "end_time": "None", "detail": [{"ip": "m47", "gpus": ["gpu0"]}]}]}

A job needs the devices of its first attempt, told as one worker: on how many machines it landed was the scheduler's choice, and
is the extra column `nodes`. Its duration is the sum of its attempts (with `philly_span`, from first start to last end), unknown
where one of them has no time. Jobs without any attempt are left out: nothing says what they needed. Virtual cluster is tenant and
queue.

The file may be larger than memory: it is read in pieces, object by object."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dure.simulator.traces.draft import Draft
from dure.simulator.traces.faults import FaultKind, Faults, shown
from dure.simulator.traces.options import Reading, ReadOptions
from dure.simulator.traces.text import chunks, iso, moment_seconds

DAY_S = 86_400
OBJECT_CHARS_MAX = 1 << 24  # a longer object is no job
_BETWEEN = re.compile(r"[\s,]*")
_STATUS = {"pass": "completed", "killed": "cancelled", "failed": "failed", "running": "running", "": "unknown"}
_NOTHING = (None, "", "None")
_REMEDY = "It is a list of objects with jobid, vc, submitted_time, status and attempts."


class _Bad(Exception):
    def __init__(self, kind: FaultKind, field: str, problem: str) -> None:
        super().__init__(problem)
        self.args_of_fault = (kind, field, problem, _REMEDY)


def is_philly(text: str) -> bool:
    """Whether a file that begins so is such a log."""
    return text.lstrip().startswith("[") and '"attempts"' in text


def read_philly(path: Path, options: ReadOptions) -> Reading:
    """Jobs of such a log. Raises TraceError."""
    faults = Faults(path.name, skip_bad=options.skip_bad)
    draft = Draft(faults, options, "philly")
    draft.start(("submit_s", "duration_s", "workers", "workers_min", "devices"), ("id", "tenant", "queue", "user", "status"),
                ("nodes", "attempts", "wait_ms"))  # fmt: skip
    for line, entry in _objects(path, faults):
        try:
            _job(draft, line, entry)
        except _Bad as bad:
            kind, field, problem, remedy = bad.args_of_fault
            faults.row(kind, line, field, problem, remedy)
    submits = [value for value in draft.numbers["submit_s"] if math.isfinite(value)]
    midnight = math.floor(min(submits, default=0.0) / DAY_S) * DAY_S
    draft.numbers["submit_s"] = [value - midnight for value in draft.numbers["submit_s"]]
    draft.zero = iso(midnight)
    return draft.finish()


def _objects(path: Path, faults: Faults) -> Iterator[tuple[int, object]]:
    """The members of the list with the line on which each begins. A list that breaks off is an error: nothing after it can be
    told."""
    scan = _Scan(faults)
    for piece in _decoded(path, faults):
        yield from scan.feed(piece)
    yield from scan.feed("", last=True)


class _Scan:
    """Objects of one list, from text that comes in pieces."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.text, self.place, self.line = "", 0, 1
        self.opened = self.closed = False
        self.wanted = 0  # characters before it is worth looking again
        self.decoder = json.JSONDecoder()

    def feed(self, piece: str, *, last: bool = False) -> Iterator[tuple[int, object]]:
        self.text, self.place = self.text[self.place :] + piece, 0
        if len(self.text) < self.wanted and not last:
            return
        while (step := self._step(last=last)) is not None:
            yield from step
        self.wanted = 2 * (len(self.text) - self.place)  # an object that did not fit: when there is twice as much
        if last and not self.closed:
            raise self._broken("the list breaks off, or is no JSON")

    def _step(self, *, last: bool) -> tuple[tuple[int, object], ...] | None:
        """Past one bracket or object; None when more text is needed, or nothing is left."""
        self._to(_BETWEEN.match(self.text, self.place).end())  # type: ignore[union-attr]
        if self.place >= len(self.text):
            return None
        mark = self.text[self.place]
        if self.closed or (not self.opened and mark != "["):
            raise self._broken("something follows the list" if self.closed else "it is no list")
        if not self.opened or mark == "]":
            self.opened, self.closed = True, self.opened
            self.place += 1
            return ()
        try:
            entry, end = self.decoder.raw_decode(self.text, self.place)
        except (ValueError, RecursionError) as cause:
            if last or len(self.text) - self.place > OBJECT_CHARS_MAX or isinstance(cause, RecursionError):
                raise self._broken("no job can be told from here on") from cause
            return None
        begin = self.line
        self._to(end)
        return ((begin, entry),)

    def _to(self, end: int) -> None:
        self.line += self.text.count("\n", self.place, end)
        self.place = end

    def _broken(self, problem: str) -> Exception:
        return self.faults.unreadable(problem, _REMEDY, f"line {self.line}")


def _decoded(path: Path, faults: Faults) -> Iterator[str]:
    kept = b""
    for piece in chunks(path, faults):
        data = kept + piece
        cut = max(data.rfind(b"\n"), data.rfind(b",")) + 1 or len(data)
        kept = data[cut:]
        yield _utf8(data[:cut], faults)
    yield _utf8(kept, faults)


def _utf8(data: bytes, faults: Faults) -> str:
    try:
        return data.decode("utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8")
    except UnicodeDecodeError as cause:
        raise faults.unreadable(f"it is not UTF-8 ({cause.reason})", "Convert the file to UTF-8.") from cause


def _job(draft: Draft, line: int, entry: object) -> None:
    if not isinstance(entry, Mapping):
        raise _Bad(FaultKind.BROKEN_ROW, "", f"{shown(entry)} is no object")
    attempts = entry.get("attempts")
    if not isinstance(attempts, list) or not all(isinstance(attempt, Mapping) for attempt in attempts):
        raise _Bad(FaultKind.BROKEN_ROW, "attempts", f"{shown(attempts)} is no list of objects")
    submit = _moment(entry, "submitted_time")
    if math.isnan(submit):
        raise _Bad(FaultKind.MISSING, "submitted_time", "is not told")
    placed = next((machines for attempt in attempts if (machines := _machines(attempt))), [])
    if not sum(placed):
        draft.left_out["job without a scheduled attempt"] += 1
        return
    times = [(_moment(attempt, "start_time"), _moment(attempt, "end_time")) for attempt in attempts]
    if any(end < start for start, end in times):
        raise _Bad(FaultKind.NEGATIVE, "end_time", "an attempt ends before it starts")
    spans = [end - start for start, end in times]
    duration = times[-1][1] - times[0][0] if draft.options.philly_span else sum(spans)
    words = (_word(entry, "jobid"), _word(entry, "vc"), _word(entry, "vc"), _word(entry, "user"), _status(entry))
    draft.row(line, (submit, duration, 1.0, 1.0, float(sum(placed))), words,
              (float(len(placed)), float(len(attempts)), (times[0][0] - submit) * 1000))  # fmt: skip


def _machines(attempt: Mapping[str, Any]) -> list[int]:
    detail = attempt.get("detail")
    if not isinstance(detail, list) or not all(isinstance(m, Mapping) and isinstance(m.get("gpus"), list) for m in detail):
        raise _Bad(FaultKind.BROKEN_ROW, "detail", f"{shown(detail)} is no list of machines with gpus")
    return [len(machine["gpus"]) for machine in detail]


def _moment(entry: Mapping[str, Any], name: str) -> float:
    text = entry.get(name)
    if text in _NOTHING:
        return math.nan
    found = moment_seconds(text) if isinstance(text, str) else None
    if found is None:
        raise _Bad(FaultKind.NOT_A_NUMBER, name, f"{shown(text)} is no time like 2017-10-07 01:11:39")
    return found


def _word(entry: Mapping[str, Any], name: str) -> str | None:
    value = entry.get(name)
    if value in _NOTHING:
        return None
    if not isinstance(value, str):
        raise _Bad(FaultKind.BROKEN_ROW, name, f"{shown(value)} is no word")
    return value


def _status(entry: Mapping[str, Any]) -> str:
    status = _STATUS.get((_word(entry, "status") or "").lower())
    if status is None:
        raise _Bad(FaultKind.UNKNOWN_WORD, "status", f"{shown(entry.get('status'))} is not Pass, Killed or Failed")
    return status
