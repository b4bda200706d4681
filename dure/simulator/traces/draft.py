"""From what a reader found to a trace: the checks that are the same for every format, and tables of names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.simulator.traces.faults import FaultKind, Faults, shown
from dure.simulator.traces.options import Reading, ReadOptions
from dure.simulator.traces.trace import I32, STATUSES, UNKNOWN, Trace, make_trace

F64 = NDArray[np.float64]
SECONDS_MAX = float(1 << 32)  # 136 years: a later time since the trace's zero or 1970 is a mistake, most likely of its unit
COUNT_MAX = float(1 << 24)
MEMORY_MIB_MAX = float(1 << 40)


class Rule(NamedTuple):
    """What a number must be. factor: from the field's unit to the column's; name: of the column in Trace, "" if it is not one."""

    column: str
    factor: float = 1.0
    most: float = COUNT_MAX
    least: float = 0.0
    whole: bool = True
    unknown: float = math.nan  # what the column holds where nothing is known; NaN: something must be


_TIME = {"factor": 1000.0, "most": SECONDS_MAX, "whole": False}
# The fields that a draft may hold, in their own units; NaN is unknown. What is not here goes to Trace.extra as it is.
RULES: dict[str, Rule] = {
    "submit_s": Rule("submit_ms", **_TIME),  # type: ignore[arg-type]
    "duration_s": Rule("duration_ms", **_TIME, unknown=UNKNOWN),  # type: ignore[arg-type]
    "limit_s": Rule("limit_ms", **_TIME, unknown=0),  # type: ignore[arg-type]
    "deadline_s": Rule("deadline_ms", **_TIME, unknown=0),  # type: ignore[arg-type]
    "checkpoint_s": Rule("checkpoint_ms", **_TIME, unknown=0),  # type: ignore[arg-type]
    "workers": Rule("workers", least=1),
    "workers_min": Rule("workers_min", least=1),
    "devices": Rule("devices", unknown=0),
    "share_milli": Rule("share_milli", most=999, unknown=0),
    "rest": Rule("rest", unknown=0),
    "cores": Rule("cores_milli", factor=1000.0, whole=False, unknown=UNKNOWN),
    "memory_mib": Rule("memory_mib", most=MEMORY_MIB_MAX, whole=False, unknown=UNKNOWN),
    "priority": Rule("priority", most=float(1 << 40), least=-float(1 << 40), unknown=0),
    "preemptible": Rule("preemptible", most=1, unknown=0),
    "block": Rule("block", most=1, unknown=0),
    "array": Rule("array", most=float(1 << 40), unknown=UNKNOWN),
}
WORDS = ("id", "accelerator", "residency", "tenant", "queue", "user", "status")
EMPTY = "It holds no job: check that the export is complete."


@dataclass
class Draft:
    """Rows as a reader found them. Numbers are floats with NaN for unknown; words are None for unknown."""

    faults: Faults
    options: ReadOptions
    format: str
    numbers: dict[str, list[float] | F64] = field(default_factory=dict)
    words: dict[str, Sequence[str | None]] = field(default_factory=dict)
    extra: dict[str, list[float] | F64] = field(default_factory=dict)
    places: list[int] | NDArray[np.int64] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    header: dict[str, str] = field(default_factory=dict)
    zero: str = ""
    _rows: list[int] = field(default_factory=list)

    def start(self, numbers: Sequence[str], words: Sequence[str] = (), extra: Sequence[str] = ()) -> None:
        """Name the columns that `row` fills."""
        self.numbers = {name: [] for name in numbers}
        self.words = {name: [] for name in words}
        self.extra = {name: [] for name in extra}
        self.places = self._rows = []

    def row(self, place: int, numbers: Sequence[float], words: Sequence[str | None] = (), extra: Sequence[float] = ()) -> None:
        """One job, in the order of `start`."""
        groups: Any = ((self.numbers, numbers), (self.words, words), (self.extra, extra))
        self._rows.append(place)
        for group, values in groups:
            for column, value in zip(group.values(), values, strict=True):
                column.append(value)

    def finish(self) -> Reading:
        """Check every row, leave out or refuse those that cannot be used, sort stably by submission, and freeze.

        Raises TraceError."""
        places = np.asarray(self.places, np.int64)
        numbers = {name: np.asarray(values, np.float64) for name, values in self.numbers.items()}
        untimed = len(places) > 0 and bool(np.isnan(numbers["submit_s"]).all())
        if untimed:
            del numbers["submit_s"]
        good = self._sound(places, numbers)
        self.faults.done()
        if not good.any():
            first = self.faults.first
            raise self.faults.unreadable(
                "no job can be read", f"Every row was passed over. The first: {first[0]}" if first else EMPTY
            )
        order = np.flatnonzero(good)
        if not untimed:
            order = order[np.argsort(numbers["submit_s"][order], kind="stable")]
        trace = self._defaults(self._trace(order, places, numbers))
        return Reading(trace=trace, format=self.format, skipped=dict(self.faults.skipped), first=self.faults.first,
                       left_out=self.left_out, header=self.header)  # fmt: skip

    def _sound(self, places: NDArray[np.int64], numbers: dict[str, F64]) -> NDArray[np.bool_]:
        good = np.ones(len(places), np.bool_)
        found = sorted(self._found(places, numbers), key=lambda fault: fault[0])
        for row, kind, name, problem, remedy in found:
            if good[row]:  # a row is counted once, by its first fault
                self.faults.row(kind, int(places[row]), name, problem, remedy)
            good[row] = False
        return good

    def _found(self, places: NDArray[np.int64], numbers: dict[str, F64]) -> Iterator[tuple[int, FaultKind, str, str, str]]:
        for name, values in numbers.items():
            if name in RULES:
                yield from _number_faults(name, values, RULES[name])
        if any(name is not None for name in self.words.get("id", ())):
            yield from _duplicates(self.words["id"], places, self.faults.unit)
        if self.options.queues is not None and "queue" in self.words:
            yield from _strangers(self.words["queue"], self.options.queues)
        yield from _contradictions(numbers)

    def _trace(self, order: NDArray[np.int64], places: NDArray[np.int64], numbers: dict[str, F64]) -> Trace:
        given: dict[str, Any] = {"origin": places[order], "zero": self.zero}
        for name, values in numbers.items():
            rule = RULES[name]
            scaled = np.rint(values[order] * rule.factor)
            given[rule.column] = np.where(np.isnan(scaled), 0.0 if math.isnan(rule.unknown) else rule.unknown, scaled)
        for name, words in self.words.items():
            given.update(_table(name, [words[row] for row in order.tolist()]))
        given["extra"] = {n: _whole(np.asarray(v, np.float64)[order]) for n, v in self.extra.items()}
        return make_trace(len(order), **given)

    def _defaults(self, trace: Trace) -> Trace:
        """Apply what the options say of cores, memory and nodes that the trace does not tell."""
        if self.options.devices_per_node > 0:
            trace = trace.gangs(self.options.devices_per_node)
        milli = trace.devices * 1000 + trace.share_milli
        changes = {}
        for name, each in (("cores_milli", self.options.cores_milli_per_device),
                           ("memory_mib", self.options.memory_mib_per_device)):  # fmt: skip
            column = getattr(trace, name)
            if each >= 0:
                changes[name] = np.where((column < 0) & (milli > 0), each * milli // 1000, column)
        return make_trace(len(trace), **{**vars(trace), **changes}) if changes else trace


def _number_faults(name: str, values: F64, rule: Rule) -> Iterator[tuple[int, FaultKind, str, str, str]]:
    checks = [
        (np.isinf(values), FaultKind.NOT_FINITE, "is not a finite number", "Write a number, or leave it empty if it is unknown."),
        ((values < rule.least) & (values < 0), FaultKind.NEGATIVE, "is negative", "Leave it empty if it is unknown."),
        (values < rule.least, FaultKind.CONTRADICTION, f"is less than {rule.least:g}", "Correct it."),
        (values > rule.most, FaultKind.TOO_LARGE, f"is more than {rule.most:,.0f}", "Check its unit."),
    ]
    if math.isnan(rule.unknown):
        checks.append((np.isnan(values), FaultKind.MISSING, "is not told", "Every job needs one."))
    if rule.whole:
        with np.errstate(invalid="ignore"):
            checks.append(
                (values != np.rint(values), FaultKind.NOT_WHOLE, "is not a whole number", "Round it as its meaning asks.")
            )
            checks[-1] = (checks[-1][0] & np.isfinite(values), *checks[-1][1:])
    for mask, kind, problem, remedy in checks:
        for row in np.flatnonzero(mask).tolist():
            yield row, kind, name, f"{values[row]:g} {problem}" if np.isfinite(values[row]) else problem, remedy


def _duplicates(
    ids: Sequence[str | None], places: NDArray[np.int64], unit: str
) -> Iterator[tuple[int, FaultKind, str, str, str]]:
    if len(set(ids)) == len(ids) and None not in ids:
        return
    seen: dict[str, int] = {}
    for row, name in enumerate(ids):
        if name is None:
            yield row, FaultKind.MISSING, "id", "is not told", "Every job needs one when the file names jobs at all."
        elif name in seen:
            problem = f"{shown(name)} is already the job of {unit} {places[seen[name]]}"
            yield row, FaultKind.DUPLICATE, "id", problem, "Keep one record of each job (sacct: without --duplicates)."
        else:
            seen[name] = row


def _strangers(queues: Sequence[str | None], known: frozenset[str]) -> Iterator[tuple[int, FaultKind, str, str, str]]:
    few = ", ".join(sorted(known)[:8]) + (", …" if len(known) > 8 else "")
    for row, queue in enumerate(queues):
        if queue not in known:
            yield row, FaultKind.UNKNOWN_QUEUE, "queue", f"{shown(queue)} is none of {few}", "Add it to the fleet, or correct it."


def _contradictions(numbers: dict[str, F64]) -> Iterator[tuple[int, FaultKind, str, str, str]]:
    def each(mask: NDArray[np.bool_], name: str, problem: str, remedy: str) -> Iterator[tuple[int, FaultKind, str, str, str]]:
        return ((row, FaultKind.CONTRADICTION, name, problem, remedy) for row in np.flatnonzero(mask).tolist())

    if {"share_milli", "devices"} <= numbers.keys():
        both = (numbers["share_milli"] > 0) & (numbers["devices"] > 0)
        yield from each(both, "share_milli", "a worker has whole devices or a share of one, not both", "Correct one of them.")
    if {"workers_min", "workers"} <= numbers.keys():
        more = numbers["workers_min"] > numbers["workers"]
        yield from each(more, "workers_min", "is more than workers", "Correct one of them.")
    if {"deadline_s", "submit_s"} <= numbers.keys():
        early = (numbers["deadline_s"] > 0) & (numbers["deadline_s"] < numbers["submit_s"])
        yield from each(early, "deadline_s", "is before the submission", "Both are in seconds since the trace's zero.")


def _table(name: str, words: Sequence[str | None]) -> dict[str, Any]:
    """A column of indices and its table; ids and statuses have none."""
    if name == "id":
        return {"ids": tuple(word or "" for word in words) if any(words) else ()}
    if name == "status":
        codes = {word: code for code, word in enumerate(STATUSES)}
        return {"status": np.array([codes[word or "unknown"] for word in words], np.int8)}
    names = sorted({word for word in words if word})
    place = {word: index for index, word in enumerate(names)}
    column: I32 = np.array([place.get(word or "", UNKNOWN) for word in words], np.int32)
    if name in ("accelerator", "residency"):
        plural = "accelerators" if name == "accelerator" else "residencies"
        return {name: column, plural: tuple(tuple(entry.split("|")) for entry in names)}
    return {name: column, f"{name}s": tuple(names)}


def _whole(values: F64) -> NDArray[np.int64]:
    """An extra column: what is no whole number of reasonable size is unknown."""
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(values) & (np.abs(values) < float(1 << 53))
    return np.where(usable, np.rint(np.where(usable, values, 0.0)), UNKNOWN).astype(np.int64)
