"""Reading a scenario: a Markdown page with ```scenario blocks. Left of the arrow is what people and machines do; right of it
what the plane answered, which is generated and therefore passed over here.

    pool    north  2 nodes x 8 h100  [32 cores] [256 GiB] [block 4]
    price   h100 4_000 won per hour          (also: core, memory_gib)
    policy  min_run 10m
    every   60 seconds                        (or: event, as where nothing is said)
    tenant  uni-a  [share 2] [of ORGANISATION] budget 1_000_000 won [until 18:00]
    09:00   submit train uni-a gpus 8 workers 2 for 1h runs 40m    → ...
    ledger  uni-a                                                  → ...
    why     train                                                  → ...
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dure.errors import ConfigError
from dure.model.calendar import parse_duration

ARROW = "→"
GENERATED = "·"  # a line that the plane wrote by itself: something happened between two deeds
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a scenario. at_ms: since midnight, -1 when the line has no time. words: as typed, left of the arrow."""

    number: int  # in the file, from 1
    left: str
    at_ms: int
    verb: str
    words: tuple[str, ...]

    def fault(self, problem: str) -> ConfigError:
        return ConfigError(f"line {self.number}: {problem}: {self.left.strip()!r}")


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one ```scenario block, and where they stand: lines first..last of the page, the fences left out."""

    first: int
    last: int
    lines: tuple[Line, ...]


def blocks_of(page: str) -> Iterator[Block]:
    """The scenario blocks of a page, each a story of its own."""
    rows = page.split("\n")
    start = -1
    for number, row in enumerate(rows, 1):
        if start < 0 and row.strip() == "```scenario":
            start = number + 1
        elif start > 0 and row.strip() == "```":
            lines = (read_line(n, rows[n - 1]) for n in range(start, number))
            yield Block(start, number - 1, tuple(line for line in lines if line is not None))
            start = -1
    if start > 0:
        raise ConfigError(f"line {start - 1}: this ```scenario block is never closed")


def read_line(number: int, row: str) -> Line | None:
    """One line, or None for an empty, commented or generated one."""
    left = row.split(ARROW, 1)[0].rstrip()
    if not left.strip() or left.lstrip().startswith("#"):
        return None
    words = shlex.split(left.replace("×", "x"))
    at_ms = time_of_day_ms(words[0])
    if at_ms >= 0:
        words = words[1:]
    if not words or words[0] == GENERATED:
        return None
    return Line(number, left, at_ms, words[0], tuple(words[1:]))


def time_of_day_ms(word: str) -> int:
    """ "09:30" or "09:30:15" since midnight (hours may pass 24), -1 when it is no time."""
    match = re.fullmatch(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?", word)
    if match is None:
        return -1
    hours, minutes, seconds = (int(g or 0) for g in match.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


@dataclass
class Options:
    """The words behind a verb, taken one after the other; what is left over at the end is a fault."""

    line: Line
    words: list[str] = field(default_factory=list)

    @staticmethod
    def of(line: Line) -> Options:
        return Options(line, list(line.words))

    def next(self, what: str) -> str:
        if not self.words:
            raise self.line.fault(f"{what} is missing")
        return self.words.pop(0)

    def take(self, name: str) -> str | None:
        """The word behind `name`, both taken out; None when `name` does not occur."""
        if name not in self.words:
            return None
        at = self.words.index(name)
        if at + 1 >= len(self.words):
            raise self.line.fault(f"a value is missing behind {name!r}")
        value = self.words[at + 1]
        del self.words[at : at + 2]
        return value

    def drop(self, *names: str) -> bool:
        """Take out words that are only there to be read aloud; whether any was."""
        before = len(self.words)
        self.words = [w for w in self.words if w not in names]
        return len(self.words) < before

    def number(self, name: str, default: int) -> int:
        word = self.take(name)
        return default if word is None else self.whole(word)

    def whole(self, word: str) -> int:
        try:
            return int(word.replace("_", "").replace(",", ""))
        except ValueError:
            raise self.line.fault(f"{word!r} is no whole number") from None

    def duration(self, name: str, default_ms: int) -> int:
        word = self.take(name)
        return default_ms if word is None else self.span(word)

    def span(self, word: str) -> int:
        """A duration, ms."""
        duration_ms = parse_duration(word)
        if duration_ms is None:
            raise self.line.fault(f"{word!r} is no duration such as 90s, 15m, 1h30m")
        return duration_ms

    def finish(self) -> None:
        if self.words:
            raise self.line.fault(f"not understood: {' '.join(self.words)!r}")


def apply_answers(page: str, answers: Mapping[int, str], between: Mapping[int, list[str]]) -> str:
    """The page with the right column written anew. answers: line number → text; between: generated lines to stand before
    the line with this number."""
    out: list[str] = []
    inside = False
    for number, row in enumerate(page.split("\n"), 1):
        out += between.get(number, [])
        if inside and _is_generated(row):
            continue
        inside = row.strip() == "```scenario" or (inside and row.strip() != "```")
        out.append(_with_answer(row, answers[number]) if number in answers else row)
    return "\n".join(out)


def _is_generated(row: str) -> bool:
    words = row.split()
    return len(words) > 1 and words[1] == GENERATED


COLUMN = 63  # where the right column begins, unless the left one is longer


def _with_answer(row: str, answer: str) -> str:
    left = row.split(ARROW, 1)[0].rstrip()
    return f"{left:<{COLUMN}} {ARROW} {answer}" if answer else left
