"""What can be wrong with a trace or a fleet file, said so that a person can mend it: file, place, field, remedy."""

from __future__ import annotations

from bisect import insort_right
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum

from dure.errors import ConfigError

FAULTS_KEPT_MAX = 20  # of those passed over: enough to see what is wrong with a file, whatever its length
VALUE_SHOWN_MAX = 60


class FaultKind(StrEnum):
    """Kinds of fault in a row, counted where such rows are passed over; `UNREADABLE` is of the file, and never is."""

    UNREADABLE = "unreadable"
    BROKEN_ROW = "broken_row"
    ENCODING = "encoding"
    MISSING = "missing"
    NOT_A_NUMBER = "not_a_number"
    NOT_FINITE = "not_finite"
    NEGATIVE = "negative"
    TOO_LARGE = "too_large"
    NOT_WHOLE = "not_whole"
    UNKNOWN_WORD = "unknown_word"
    UNKNOWN_QUEUE = "unknown_queue"
    DUPLICATE = "duplicate"
    CONTRADICTION = "contradiction"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. place: "line 17" or "row 3", "" when it is the whole file; field: "" when it is the whole row."""

    kind: FaultKind
    file: str
    place: str
    field: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.file, self.place) if part)
        verb = "" if self.problem.startswith("is ") else ":"
        what = f"{self.field}{verb} {self.problem}" if self.field else self.problem
        return f"{where}: {what}. {self.remedy}"

    def or_skipped(self) -> Fault:
        """The same where its row ends the reading, and need not: with the remedy that passes over it."""
        return replace(self, remedy=f"{self.remedy} Or pass over such rows with --skip-bad.")


class TraceError(ConfigError):
    """A trace cannot be read. fault: what is wrong first."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class FleetError(ConfigError):
    """A fleet contradicts itself. faults: everything that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def shown(value: object) -> str:
    """A value as a message quotes it: of bounded length."""
    text = repr(value)
    return text if len(text) <= VALUE_SHOWN_MAX else text[: VALUE_SHOWN_MAX - 1] + "…"


class Faults:
    """Collects the faults of one file: the one of the first line ends the reading, whichever was found first, or every one is
    counted."""

    def __init__(self, file: str, *, skip_bad: bool, unit: str = "line", skippable: bool = True) -> None:
        """skippable: whether who reads the file could have its bad rows passed over."""
        self.file = file
        self._skippable = skippable
        self.unit = unit
        self.skip_bad = skip_bad
        self.skipped: Counter[FaultKind] = Counter()
        self._first: list[tuple[int, Fault]] = []

    @property
    def first(self) -> tuple[Fault, ...]:
        """Those of the first rows, in the order of the file."""
        return tuple(fault for _number, fault in self._first)

    def unreadable(self, problem: str, remedy: str, place: str = "") -> TraceError:
        """The error to raise when nothing of the file can be used: a row that could not be is told before."""
        if self._first and not self.skip_bad:
            return self._ended()
        return TraceError(Fault(FaultKind.UNREADABLE, self.file, place, "", problem, remedy))

    def row(self, kind: FaultKind, number: int, field: str, problem: str, remedy: str) -> None:
        """A row that cannot be used: it is left out by the caller, and `done` says whether that will do."""
        self.skipped[kind] += 1
        if len(self._first) == FAULTS_KEPT_MAX and number >= self._first[-1][0]:
            return
        fault = Fault(kind, self.file, f"{self.unit} {number}", field, problem, remedy)
        insort_right(self._first, (number, fault), key=lambda kept: kept[0])
        del self._first[FAULTS_KEPT_MAX:]

    def done(self) -> None:
        """Every row was looked at. Raises TraceError for the first that cannot be used, unless such rows are passed over."""
        if self._first and not self.skip_bad:
            raise self._ended()

    def _ended(self) -> TraceError:
        return TraceError(self.first[0].or_skipped() if self._skippable else self.first[0])
