"""Slurm's accounting, as `sacct --parsable2` prints it: a header that names the fields, and `|` between them.

    sacct --allusers --allocations --parsable2 --starttime=2026-01-01 --endtime=2026-02-01 \\
          --format=JobID,User,Account,Partition,Submit,Start,Elapsed,Timelimit,State,NNodes,ReqCPUS,ReqMem,ReqTRES,AllocTRES,Priority

Needed: JobID, Submit, and Elapsed or ElapsedRaw. A job needs what it asked for: ReqTRES, or ReqCPUS, ReqMem and ReqGRES in old
versions; what that does not tell is taken from AllocTRES, but for the type of device, which nobody may have asked for (with the
option `allocated` it is the other way round). Account is tenant, partition is queue. Times count from the midnight before the
first job.

Job steps (`123.batch`, `123.0`) are left out. `123_4` is element 4 of array 123; `123_[5-7%2]`, an array that waits, is so many
jobs. `123+0` and `123+1`, parts of one heterogeneous job, are read as jobs of their own and counted in `left_out`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dure.simulator.traces.draft import Draft
from dure.simulator.traces.faults import FaultKind, Faults, shown
from dure.simulator.traces.options import Reading, ReadOptions
from dure.simulator.traces.text import clock_seconds, iso, lines, moment_seconds, number

DAY_S = 86_400
ELEMENTS_MAX = 4_000_001  # Slurm's own limit of MaxArraySize, and one
_JOB = re.compile(r"(\d+)(?:_(\d+)|_\[([\d,:%-]+)\]|\+(\d+))?", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)([nc]?)", re.ASCII)
_MIB = {"K": 1 / 1024, "": 1.0, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}
_GRES = re.compile(r"(?:gres[:/])?gpu(?::([\w.-]+?))?(?:[:=](\d+))?(?:\(.*\))?", re.ASCII)
# Spellings of "nothing is known" for moments and limits.
_NOTHING = frozenset({"", "unknown", "none", "n/a", "invalid"})
_NO_LIMIT = _NOTHING | {"unlimited", "partition_limit", "infinite"}
_STATES = {
    "COMPLETED": "completed", "COMPLETING": "completed", "FAILED": "failed", "BOOT_FAIL": "node_fail", "NODE_FAIL": "node_fail",
    "CANCELLED": "cancelled", "REVOKED": "cancelled", "DEADLINE": "cancelled", "TIMEOUT": "timeout",
    "OUT_OF_MEMORY": "out_of_memory",
    "PREEMPTED": "preempted", "REQUEUED": "preempted", "LAUNCH_FAILED": "failed", "RECONFIG_FAIL": "failed",
    "SPECIAL_EXIT": "failed",
    "RUNNING": "running", "SUSPENDED": "running", "RESIZING": "running", "STOPPED": "running", "SIGNALING": "running",
    "STAGE_OUT": "running", "PENDING": "pending", "CONFIGURING": "pending", "REQUEUE_HOLD": "pending", "REQUEUE_FED": "pending",
    "RESV_DEL_HOLD": "pending", "POWER_UP_NODE": "pending", "": "unknown",
}  # fmt: skip
_NUMBERS = ("submit_s", "duration_s", "workers", "workers_min", "devices", "cores", "memory_mib", "limit_s", "priority", "array")
_WORDS = ("id", "accelerator", "tenant", "queue", "user", "status")


class _Bad(Exception):
    """A field that cannot be read; becomes a fault of its row."""

    def __init__(self, kind: FaultKind, field: str, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.args_of_fault = (kind, field, problem, remedy)


@dataclass(frozen=True, slots=True)
class Tres:
    """Trackable resources of a whole job; NaN is not told. kinds: of devices, where they are told by type."""

    cores: float = math.nan
    memory_mib: float = math.nan
    nodes: float = math.nan
    devices: float = math.nan
    kinds: tuple[str, ...] = ()


def is_sacct(first_line: str) -> bool:
    """Whether this is the header of such a file."""
    names = {name.strip().lower() for name in first_line.split("|")}
    return "submit" in names and bool({"jobid", "jobidraw"} & names) and bool({"elapsed", "elapsedraw"} & names)


def read_sacct(path: Path, options: ReadOptions) -> Reading:
    """Jobs of an accounting file. Raises TraceError."""
    faults = Faults(path.name, skip_bad=options.skip_bad)
    draft = Draft(faults, options, "sacct")
    draft.start(_NUMBERS, _WORDS, ("wait_ms", "nodes"))
    numbered = lines(path, faults)
    header = [name.strip().lower() for name in next(numbered, (1, ""))[1].split("|")]
    if not is_sacct("|".join(header)):
        raise faults.unreadable(
            "its first line is no header of sacct with JobID, Submit and Elapsed", "Leave out --noheader.", "line 1"
        )
    for line, text in numbered:
        if text.strip():
            _line(draft, header, line, text)
    submits = [value for value in draft.numbers["submit_s"] if math.isfinite(value)]
    midnight = math.floor(min(submits, default=0.0) / DAY_S) * DAY_S
    draft.numbers["submit_s"] = [value - midnight for value in draft.numbers["submit_s"]]
    draft.zero = iso(midnight)
    return draft.finish()


def _line(draft: Draft, header: list[str], line: int, text: str) -> None:
    cells = text.split("|")
    if len(cells) == len(header) + 1 and not cells[-1]:
        cells.pop()  # --parsable, which ends each line with the separator
    if len(cells) != len(header):
        problem = f"{len(cells)} fields where the header has {len(header)}"
        draft.faults.row(FaultKind.BROKEN_ROW, line, "", problem, "Leave out fields that may hold | (JobName, Comment).")
        return
    try:
        _job(draft, line, dict(zip(header, (cell.strip() for cell in cells), strict=True)))
    except _Bad as bad:
        kind, field, problem, remedy = bad.args_of_fault
        draft.faults.row(kind, line, field, problem, remedy)


def _job(draft: Draft, line: int, row: Mapping[str, str]) -> None:
    name = row.get("jobid") or row.get("jobidraw", "")
    if "." in name:
        draft.left_out["job step"] += 1
        return
    match = _JOB.fullmatch(name)
    if not match:
        raise _Bad(FaultKind.BROKEN_ROW, "JobID", f"{shown(name)} is no job", "It is a number, with _element or +part.")
    if match[4]:
        draft.left_out["heterogeneous jobs read in parts"] += 1
    submit = _moment(row, "submit")
    if math.isnan(submit):
        raise _Bad(FaultKind.MISSING, "Submit", "is not told", "Every job needs one.")
    start, status = _moment(row, "start"), _status(row.get("state", ""))
    duration = _duration(row)
    if status == "pending" or (duration == 0 and "start" in row and math.isnan(start)):
        duration = math.nan  # it never ran: nothing says how long it would have
    tres = _asked(row, allocated=draft.options.allocated)
    workers, devices = _spread(tres)
    kind = "|".join(tres.kinds) or None
    if len(tres.kinds) > 1:
        raise _Bad(FaultKind.CONTRADICTION, "ReqTRES", f"devices of several types in one job ({kind})", "Split it by type.")
    numbers = (submit, duration, workers, workers, devices, tres.cores / workers, tres.memory_mib / workers, _limit(row),
               _plain(row, "priority"), float(match[1]) if match[2] or match[3] else math.nan)  # fmt: skip
    words = (kind, row.get("account") or None, row.get("partition") or None, row.get("user") or None, status)
    for own in _elements(name, match[1], match[3]):
        draft.row(line, numbers, (own, *words), ((start - submit) * 1000, tres.nodes))


def _elements(name: str, job: str, waiting: str | None) -> Iterator[str]:
    """The jobs that a row stands for: `123_[5-7,9%2]` for four."""
    if not waiting:
        yield name
        return
    count = 0
    for part in waiting.partition("%")[0].split(","):
        match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?", part, re.ASCII)
        if not match or match[3] == "0":
            raise _Bad(FaultKind.BROKEN_ROW, "JobID", f"{shown(name)} is no array", "Its elements are like 0-15:4 or 1,7.")
        span = range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1))
        count += len(span)
        if count > ELEMENTS_MAX:
            raise _Bad(FaultKind.TOO_LARGE, "JobID", f"{shown(name)} has more than {ELEMENTS_MAX:,} elements", "Correct it.")
        yield from (f"{job}_{element}" for element in span)


# -- fields -----------------------------------------------------------------------------------------------------------


def _moment(row: Mapping[str, str], name: str) -> float:
    text = row.get(name, "")
    if text.lower() in _NOTHING:
        return math.nan
    found = moment_seconds(text)
    if found is None:
        raise _Bad(FaultKind.NOT_A_NUMBER, name, f"{shown(text)} is no time", "It is like 2026-01-31T23:59:59.")
    return found


def _duration(row: Mapping[str, str]) -> float:
    if row.get("elapsedraw"):
        return _plain(row, "elapsedraw")
    text = row.get("elapsed", "")
    if text.lower() in _NOTHING:
        return math.nan
    found = clock_seconds(text)
    if found is None:
        kind = FaultKind.NEGATIVE if text.startswith("-") else FaultKind.NOT_A_NUMBER
        raise _Bad(kind, "Elapsed", f"{shown(text)} is no duration", "It is like 1-02:03:04 or 02:03:04.")
    return found


def _limit(row: Mapping[str, str]) -> float:
    text = row.get("timelimit", "")
    if text.lower() in _NO_LIMIT:
        raw = row.get("timelimitraw", "")
        return math.nan if raw.lower() in _NO_LIMIT else _plain(row, "timelimitraw") * 60
    found = clock_seconds(text)
    if found is None:
        raise _Bad(FaultKind.NOT_A_NUMBER, "Timelimit", f"{shown(text)} is no limit", "It is like 1-00:00:00, or UNLIMITED.")
    return found


def _plain(row: Mapping[str, str], name: str) -> float:
    text = row.get(name, "")
    found = number(text)
    if found is None:
        raise _Bad(FaultKind.NOT_A_NUMBER, name, f"{shown(text)} is no number", "Write digits.")
    return found


def _status(text: str) -> str:
    """`CANCELLED by 123` is cancelled; `CANCELLED+`, which a narrow column cut, too."""
    word = text.split(" ")[0].upper()
    cut = [full for full in _STATES if full.startswith(word[:-1])] if word.endswith("+") and len(word) > 3 else []
    found = _STATES.get(word) or (_STATES[cut[0]] if len(cut) == 1 else None)
    if found is None:
        raise _Bad(FaultKind.UNKNOWN_WORD, "State", f"{shown(text)} is no state of Slurm", "See JOB STATE CODES in man sacct.")
    return found


# -- what it needs ----------------------------------------------------------------------------------------------------


def parse_tres(text: str) -> Tres:
    """`billing=8,cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=64G,node=1`. Raises _Bad."""
    found: dict[str, float] = {}
    typed: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, sign, value = part.partition("=")
        if not sign:
            raise _Bad(FaultKind.BROKEN_ROW, "TRES", f"{shown(part)} has no value", "It is like cpu=8,mem=64G,node=1.")
        if name.startswith("gres/gpu:"):
            kind = name.removeprefix("gres/gpu:").lower()
            typed[kind] = typed.get(kind, 0) + _count(value, name)
        elif name in ("cpu", "node", "gres/gpu"):
            found[name] = _count(value, name)
        elif name == "mem":
            found[name] = _mib(value)[0]
    devices = found.get("gres/gpu", sum(typed.values()) if typed else math.nan)
    return Tres(
        found.get("cpu", math.nan), found.get("mem", math.nan), found.get("node", math.nan), devices, tuple(sorted(typed))
    )


def _asked(row: Mapping[str, str], *, allocated: bool) -> Tres:
    asked, given = parse_tres(row.get("reqtres", "")), parse_tres(row.get("alloctres", ""))
    first, second = (given, asked) if allocated else (asked, given)
    nodes = _first(first.nodes, _plain(row, "nnodes"), _plain(row, "reqnodes"), second.nodes)
    cores = _first(first.cores, _plain(row, "reqcpus"), second.cores, _plain(row, "ncpus"), _plain(row, "alloccpus"))
    memory = _first(first.memory_mib, _requested_memory(row.get("reqmem", ""), nodes, cores), second.memory_mib)
    old, kinds = _gres(row.get("reqgres") or row.get("allocgres") or "", nodes)
    known = bool(row.get("reqtres") or row.get("alloctres"))  # then no gres/gpu in it means none
    devices = _first(first.devices, second.devices, old, 0.0 if known or math.isnan(old) else math.nan)
    return Tres(cores, memory, nodes, devices, first.kinds or kinds)


def _gres(text: str, nodes: float) -> tuple[float, tuple[str, ...]]:
    """The old `gpu:a100:2`, or `gres:gpu:2`, which is of each node."""
    count, kinds = math.nan, set()
    for part in filter(None, text.split(",")):
        match = _GRES.fullmatch(part)
        if match:
            kind = match[1] if match[1] and not match[1].isdigit() else ""
            each = float(match[2] or (match[1] if match[1] and match[1].isdigit() else 1))
            count = each * _first(nodes, 1.0) + (0.0 if math.isnan(count) else count)
            kinds |= {kind.lower()} if kind else set()
    return count, tuple(sorted(kinds))


def _requested_memory(text: str, nodes: float, cores: float) -> float:
    """Of the whole job: `64G`, or in old versions `4Gc` a core and `64Gn` a node; 0 means all of the node, so unknown."""
    if text.lower() in _NOTHING:
        return math.nan
    mib, per = _mib(text)
    return math.nan if mib == 0 else mib * (cores if per == "c" else nodes if per == "n" else 1.0)


def _mib(text: str) -> tuple[float, str]:
    match = _SIZE.fullmatch(text)
    if not match:
        raise _Bad(FaultKind.NOT_A_NUMBER, "mem", f"{shown(text)} is no amount of memory", "It is like 512M or 64G.")
    return float(match[1]) * _MIB[match[2]], match[3]


def _count(text: str, name: str) -> float:
    found = number(text)
    if found is None or math.isnan(found):
        raise _Bad(FaultKind.NOT_A_NUMBER, name, f"{shown(text)} is no number", "It is like cpu=8.")
    return found


def _first(*values: float) -> float:
    return next((value for value in values if not math.isnan(value)), math.nan)


def _spread(tres: Tres) -> tuple[float, float]:
    """Workers, and devices of each: a node each; where devices do not divide evenly over nodes, a worker for every device."""
    nodes = max(1.0, _first(tres.nodes, 1.0))
    if not math.isfinite(tres.devices) or not math.isfinite(nodes) or tres.devices % nodes == 0:
        return nodes, tres.devices / nodes if math.isfinite(nodes) else tres.devices
    return tres.devices, 1.0
