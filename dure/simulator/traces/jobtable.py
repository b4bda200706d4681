"""Tables with one job a row, under the column names of `JOB_COLUMNS`: as CSV and as Parquet; read, and written back.

Required: submit_s, duration_s, and gpus (or num_gpu with gpu_milli). An empty cell is unknown. `gpus`, `cpus` and `mem_gib` are
of the whole job; `num_gpu`, `gpu_milli`, `cpu_milli` and `memory_mib` are of one worker. Columns of other names are counted as
left out."""

from __future__ import annotations

import csv
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.simulator.traces.draft import Draft
from dure.simulator.traces.faults import FaultKind, Faults, shown
from dure.simulator.traces.options import Reading, ReadOptions
from dure.simulator.traces.parquet import Column, column_names, read_columns, write_columns
from dure.simulator.traces.text import lines, number
from dure.simulator.traces.trace import STATUSES, UNKNOWN, Trace

F64 = NDArray[np.float64]
NUMBERS = (
    "submit_s", "duration_s", "gpus", "num_gpu", "gpu_milli", "cpus", "cpu_milli", "mem_gib", "memory_mib", "workers",
    "workers_min",
    "rest", "limit_s", "deadline_s", "checkpoint_s", "priority", "preemptible", "block",
    "array",
)  # fmt: skip
WORDS = {"job_id": "id", "gpu_type": "accelerator", "user": "user", "tenant": "tenant", "queue": "queue", "status": "status",
         "residency": "residency"}  # fmt: skip
JOB_COLUMNS = (*WORDS, *NUMBERS, "variant")
REQUIRED = ("submit_s", "duration_s")
# Words of well-known traces for how a job ended, beside Dure's own.
_STATUS_WORDS = {
    "pass": "completed", "passed": "completed", "succeeded": "completed", "success": "completed", "done": "completed",
    "killed": "cancelled", "canceled": "cancelled", "error": "failed", "": "unknown",
} | {word: word for word in STATUSES}  # fmt: skip
_PLAIN = ("submit_s", "duration_s", "limit_s", "deadline_s", "checkpoint_s", "priority", "preemptible", "block", "array", "rest")


def is_job_table(names: Sequence[str]) -> bool:
    """Whether these columns are of a table of jobs."""
    return set(REQUIRED) <= set(names) and bool({"gpus", "num_gpu"} & set(names))


def read_parquet_jobs(path: Path, options: ReadOptions) -> Reading:
    """Jobs of a Parquet file. Raises TraceError."""
    faults = Faults(path.name, skip_bad=options.skip_bad, unit="row")
    names = column_names(path, faults)
    _has_variants(options, names, faults)
    where = {"variant": options.variant} if "variant" in names else {}
    columns = read_columns(path, faults, where=where)
    rows = len(next(iter(columns.values()), []))
    if where and not rows:
        raise faults.unreadable(f"it has no variant {options.variant!r}", "Name one of those in its column `variant`.")
    for name, wanted in [*((n, "numbers") for n in NUMBERS), *((w, "words") for w in WORDS)]:
        if name in columns and isinstance(columns[name], list) != (wanted == "words"):
            columns[name] = _as_wanted(columns[name], wanted, name, faults)
    return _read(columns, np.arange(1, rows + 1), faults, options, "parquet")


def _as_wanted(column: Column, wanted: str, name: str, faults: Faults) -> Column:
    """A column of nothing but nulls has no type of its own; a number can name a job or a queue."""
    if wanted == "words" and isinstance(column, np.ndarray):
        return [
            None if np.isnan(v) else f"{v:g}" if abs(v) < 1e6 else str(int(v)) if np.isfinite(v) else str(v)
            for v in column.tolist()
        ]
    raise faults.unreadable(f"its column {name} holds words, not {wanted}", "Write it with a type of numbers.")


def read_csv_jobs(path: Path, options: ReadOptions) -> Reading:
    """Jobs of a CSV file with a header. Raises TraceError."""
    faults = Faults(path.name, skip_bad=options.skip_bad)
    rows = _csv_rows(path, faults)
    header = next(rows, (0, []))[1]
    names = [cell.strip() for cell in header]
    if len(set(names)) != len(names):
        raise faults.unreadable(f"a column name stands twice in {shown(','.join(names))}", "Rename one of them.", "line 1")
    _has_variants(options, names, faults)
    words: dict[str, list[str | None]] = {name: [] for name in names if name in (*WORDS, "variant")}
    numbers: dict[str, list[float]] = {name: [] for name in names if name in NUMBERS}
    places = []
    for line, cells in rows:
        if len(cells) != len(names):
            problem = f"{len(cells)} cells where the header has {len(names)}"
            faults.row(FaultKind.BROKEN_ROW, line, "", problem, "Quote cells that hold commas.")
            continue
        if _cells(dict(zip(names, cells, strict=True)), numbers, words, line, faults):
            places.append(line)
    columns: dict[str, Column] = {**words, **{name: np.array(values, np.float64) for name, values in numbers.items()}}
    columns |= {name: [] for name in names if name not in columns}
    return _read(columns, np.array(places, np.int64), faults, options, "csv")


def _csv_rows(path: Path, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    texts = lines(path, faults)
    current = 0

    def feed() -> Iterator[str]:
        nonlocal current
        for current, text in texts:  # noqa: B007 - the number of the line is read outside
            yield text + "\n"

    reader = csv.reader(feed(), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as cause:
            faults.row(FaultKind.BROKEN_ROW, current, "", f"not CSV: {cause}", "Close every quotation mark.")
            continue
        if cells:
            yield current, cells


def _cells(
    cells: Mapping[str, str], numbers: dict[str, list[float]], words: dict[str, list[str | None]], line: int, faults: Faults
) -> bool:
    parsed = {name: number(cells[name]) for name in numbers}
    for name, value in parsed.items():
        if value is None:
            faults.row(FaultKind.NOT_A_NUMBER, line, name, f"{shown(cells[name])} is no number", "Write digits, with a point.")
            return False
    for name, value in parsed.items():
        numbers[name].append(value)  # type: ignore[arg-type]
    for name, column in words.items():
        column.append(cells[name].strip() or None)
    return True


def _read(columns: dict[str, Column], places: NDArray[np.int64], faults: Faults, options: ReadOptions, form: str) -> Reading:
    missing = [name for name in REQUIRED if name not in columns]
    if missing or not ({"gpus", "num_gpu"} & columns.keys()):
        raise faults.unreadable(
            f"it lacks the column {(missing or ['gpus'])[0]}", f"Its columns are {shown(', '.join(columns))}."
        )
    if form == "csv" and "variant" in columns:
        mine = np.array([word == options.variant for word in columns["variant"]], np.bool_)
        if len(mine) and not mine.any():
            raise faults.unreadable(f"it has no variant {options.variant!r}", "Name one of those in its column `variant`.")
        columns, places = {n: _rows(c, mine) for n, c in columns.items()}, places[mine]
    draft = Draft(faults, options, form)
    draft.left_out.update({f"column {name}": len(places) for name in columns if name not in JOB_COLUMNS})
    numbers: dict[str, F64] = {name: np.asarray(columns[name], np.float64) for name in NUMBERS if name in columns}
    good = np.ones(len(places), np.bool_)
    words = {field: list(columns[name]) for name, field in WORDS.items() if name in columns}
    for field in ("accelerator", "residency"):
        if field in words:
            words[field] = [alternatives(word, upper=field == "residency") for word in words[field]]
    if "status" in words:
        words["status"] = _statuses(words["status"], good, places, faults)
    draft.numbers = dict(_demand(numbers, good, places, faults))
    draft.numbers |= {name: numbers[name] for name in _PLAIN if name in numbers}
    _select(draft, good, places, words)
    return draft.finish()


def _has_variants(options: ReadOptions, names: Container[str], faults: Faults) -> None:
    if options.variant != ReadOptions.variant and "variant" not in names:
        raise faults.unreadable(
            f"variant {options.variant!r} is asked for, and it has no column `variant`", "Leave that option out."
        )


def _select(draft: Draft, good: NDArray[np.bool_], places: NDArray[np.int64], words: Mapping[str, list[str | None]]) -> None:
    keep = np.flatnonzero(good).tolist()
    draft.places = places[good]
    draft.numbers = {name: np.asarray(values)[good] for name, values in draft.numbers.items()}
    draft.words = {name: [column[row] for row in keep] for name, column in words.items()}


def _rows(column: Column, mine: NDArray[np.bool_]) -> Column:
    return (
        column[mine] if isinstance(column, np.ndarray) else [word for word, is_mine in zip(column, mine, strict=False) if is_mine]
    )


def alternatives(word: str | None, *, upper: bool = False) -> str | None:
    """`V100M16|V100M32` in one spelling, each alternative once, in its order; None for any."""
    parts = [part.strip() for part in (word or "").split("|")]
    found = dict.fromkeys(part.upper() if upper else part.lower() for part in parts if part)
    return "|".join(found) or None


def _statuses(
    words: Sequence[str | None], good: NDArray[np.bool_], places: NDArray[np.int64], faults: Faults
) -> list[str | None]:
    found = [_STATUS_WORDS.get((word or "").strip().lower()) for word in words]
    for row, status in enumerate(found):
        if status is None:
            problem = f"{shown(words[row])} is no status"
            faults.row(
                FaultKind.UNKNOWN_WORD, int(places[row]), "status", problem, f"Write one of {', '.join(STATUSES)}, or nothing."
            )
            good[row] = False
    return found


def _demand(
    numbers: Mapping[str, F64], good: NDArray[np.bool_], places: NDArray[np.int64], faults: Faults
) -> Iterator[tuple[str, F64]]:
    """What one worker needs, from what the table says of the job or of the worker."""
    rows = len(places)
    unknown = np.full(rows, np.nan)
    workers = np.where(np.isnan(numbers.get("workers", unknown)), 1.0, numbers.get("workers", unknown))
    rest = np.nan_to_num(numbers.get("rest", np.zeros(rows)))
    with np.errstate(all="ignore"):  # what overflows here is infinite, and a fault of its row
        if "num_gpu" in numbers:
            devices, share = _by_worker(numbers["num_gpu"], numbers.get("gpu_milli", np.full(rows, 1000.0)), good, places, faults)
        else:
            devices, share = _by_job((numbers["gpus"] - rest) / workers, numbers["gpus"], good, places, faults)
        parts = workers + np.where((rest > 0) & (devices > 0), rest / devices, 0.0)
        cores = numbers["cpu_milli"] / 1000 if "cpu_milli" in numbers else numbers.get("cpus", unknown) / parts
        memory = numbers["memory_mib"] if "memory_mib" in numbers else numbers.get("mem_gib", unknown) * 1024 / parts
    yield from {"workers": workers, "devices": devices, "share_milli": share, "cores": cores, "memory_mib": memory}.items()
    least = numbers.get("workers_min", unknown)
    yield "workers_min", np.where(np.isnan(least), workers, least)


def _by_worker(count: F64, milli: F64, good: NDArray[np.bool_], places: NDArray[np.int64], faults: Faults) -> tuple[F64, F64]:
    """openb's way: how many devices, and how many thousandths of each."""
    _refuse_missing(count, "num_gpu", good, places, faults)
    part = (count == 1) & (milli > 0) & (milli < 1000)
    odd = (count > 0) & ~part & (milli != 1000)
    _refuse(odd, good, places, faults, FaultKind.CONTRADICTION, "gpu_milli",
            "is not 1000 for more than one device, or not 1 to 1000 for one")  # fmt: skip
    return np.where(part, 0.0, count), np.where(part, milli, 0.0)


def _by_job(each: F64, total: F64, good: NDArray[np.bool_], places: NDArray[np.int64], faults: Faults) -> tuple[F64, F64]:
    _refuse_missing(total, "gpus", good, places, faults)
    milli = np.rint(each * 1000)
    part = (each > 0) & (milli < 1000) & (milli >= 1)
    odd = np.isfinite(each) & (each > 0) & ~part & (np.abs(each - np.rint(each)) > 1e-9)
    told = "a worker's devices are neither whole nor a share from 0.001 to 0.999"
    _refuse(odd, good, places, faults, FaultKind.NOT_WHOLE, "gpus", told)
    return np.where(part, 0.0, each), np.where(part, milli, 0.0)


def _refuse_missing(column: F64, name: str, good: NDArray[np.bool_], places: NDArray[np.int64], faults: Faults) -> None:
    _refuse(np.isnan(column), good, places, faults, FaultKind.MISSING, name, "is not told")


def _refuse(
    mask: NDArray[np.bool_],
    good: NDArray[np.bool_],
    places: NDArray[np.int64],
    faults: Faults,
    kind: FaultKind,
    name: str,
    problem: str,
) -> None:
    for row in np.flatnonzero(mask & good).tolist():
        faults.row(kind, int(places[row]), name, problem, "Say what a worker holds.")
        good[row] = False


# -- writing ----------------------------------------------------------------------------------------------------------


def job_columns(trace: Trace) -> dict[str, Any]:
    """The trace as columns of such a table; what is unknown is NaN or "". Reading them gives the same trace (but its extras)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = trace.workers + np.where(trace.rest > 0, trace.rest / np.maximum(trace.devices, 1), 0.0)
    return {
        "job_id": [trace.name(row) for row in range(len(trace))],
        "submit_s": _seconds(trace.submit_ms, UNKNOWN), "duration_s": _seconds(trace.duration_ms, UNKNOWN),
        "gpus": trace.devices_milli / 1000, "workers": trace.workers, "workers_min": trace.workers_min, "rest": trace.rest,
        "gpu_type": _named(trace.accelerator, ["|".join(entry) for entry in trace.accelerators]),
        "cpus": _known(trace.cores_milli, trace.cores_milli / 1000 * parts),
        "mem_gib": _known(trace.memory_mib, trace.memory_mib / 1024 * parts),
        "tenant": _named(trace.tenant, trace.tenants), "queue": _named(trace.queue, trace.queues),
        "user": _named(trace.user, trace.users), "status": [STATUSES[code] for code in trace.status.tolist()],
        "residency": _named(trace.residency, ["|".join(entry) for entry in trace.residencies]),
        "limit_s": _seconds(trace.limit_ms, 0), "deadline_s": _seconds(trace.deadline_ms, 0),
        "checkpoint_s": _seconds(trace.checkpoint_ms, 0), "priority": trace.priority,
        "preemptible": trace.preemptible.astype(np.int64), "block": trace.block.astype(np.int64),
        "array": _known(trace.array, trace.array.astype(np.float64)),
    }  # fmt: skip


def write_trace(path: Path, trace: Trace) -> None:
    """Write a table of jobs: Parquet, or CSV where the name ends so. Raises OSError."""
    columns = job_columns(trace)
    if path.suffix != ".csv":
        write_columns(path, columns)
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in zip(*(_cell_texts(column) for column in columns.values()), strict=True):
            writer.writerow(row)


def _cell_texts(column: Any) -> Iterator[str]:
    values = column.tolist() if isinstance(column, np.ndarray) else column
    return ("" if value != value else repr(value) if isinstance(value, float) else str(value) for value in values)


def _seconds(column: NDArray[np.int64], unknown: int) -> F64:
    return np.where(column == unknown, np.nan, column / 1000)


def _known(column: NDArray[np.int64], values: F64) -> F64:
    return np.where(column < 0, np.nan, values)


def _named(column: NDArray[np.int32], names: Sequence[str]) -> list[str]:
    return ["" if index < 0 else names[index] for index in column.tolist()]
