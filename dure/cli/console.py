"""The one place that prints. People get sentences and tables, programs get one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console as RichConsole
from rich.text import Text

from dure.cli.tables import Column, field_lines, table_lines
from dure.model.codec import to_plain

__all__ = ["Column", "Console"]

# A pipe or a file has no edge: whoever reads it there (grep, a spreadsheet) wants whole lines.
WIDTH_MAX = 10_000
READING = 100  # cells: longer lines of sentences are hard to read

# What steers a terminal, or turns the direction in which a line is read, is shown as its number: names and commands are
# whatever somebody typed elsewhere. What a job printed is another matter, see `Console.bytes`.
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_SHOWN = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _CONTROLS if chr(code) not in "\n\t"}


def harmless(text: str) -> str:
    """The text without anything that a terminal would obey."""
    return text.translate(_SHOWN)


def _stdout() -> RichConsole:
    return RichConsole(file=sys.stdout, highlight=False, markup=False, emoji=False)


def _stderr() -> RichConsole:
    return RichConsole(file=sys.stderr, highlight=False, markup=False, emoji=False)


@dataclass
class Console:
    """out: what was asked for; err: what goes wrong or on. as_json: tables and sentences are for people only, so they are
    left out and `document` is printed instead. columns: cells of a line, 0: as the terminal is wide."""

    as_json: bool = False
    columns: int = 0
    out: RichConsole = field(default_factory=_stdout)
    err: RichConsole = field(default_factory=_stderr)

    def say(self, text: str, style: str = "") -> None:
        """A sentence of the answer."""
        if not self.as_json:
            self.out.print(Text(harmless(text), style=style), soft_wrap=not self.out.is_terminal)

    def note(self, text: str, style: str = "") -> None:
        """What goes on beside the answer; on stderr, so that pipes stay clean."""
        if not self.as_json:
            self.err.print(Text(harmless(text), style=style), soft_wrap=not self.err.is_terminal)

    def fail(self, text: str, error: Mapping[str, Any] | None = None) -> None:
        """What went wrong: a sentence on stderr for people; for programs the document {"error": error} when there is one."""
        if error is not None and self.as_json:
            self.document({"error": error})
            return
        self.err.print(Text(harmless(text), style="bold red"), soft_wrap=not self.err.is_terminal)

    def document(self, value: Any) -> None:
        """The one JSON document of a command, on stdout. Nothing happens when people read."""
        if self.as_json:
            self.raw(json.dumps(to_plain(value), ensure_ascii=False, indent=2) + "\n")

    def raw(self, text: str) -> None:
        """Exactly these characters, with nothing that is not encodable lost to an exception."""
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()

    def bytes(self, data: bytes) -> None:
        """What a job printed, untouched. Nothing when programs read: they get a document."""
        if not self.as_json and data:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        """A table for people; nothing at all without rows, so that a sentence can say so."""
        if self.as_json or not rows:
            return
        for line in table_lines(columns, rows, self.width):
            self._line(line.text, "bold" if line.heading else "")

    def fields(self, pairs: Mapping[str, str]) -> None:
        """Names and values under each other; what is empty is left out."""
        if not self.as_json:
            for line in field_lines(pairs.items(), self.width):
                self._line(line)

    def under(self, heading: str, pairs: Mapping[str, str]) -> None:
        """Fields under a heading. They hold sentences, which are folded for reading even where nothing says how wide it is."""
        if not self.as_json:
            self._line(heading, "bold")
            for line in field_lines(pairs.items(), min(self.width, READING) - 2):
                self._line("  " + line)

    @property
    def width(self) -> int:
        """Cells of a line."""
        return self.columns or (self.out.width if self.out.is_terminal else WIDTH_MAX)

    def _line(self, text: str, style: str = "") -> None:
        """A line as it stands: a word that sticks out is left to the terminal, which lets it be copied whole."""
        self.out.print(Text(harmless(text), style=style, end=""), soft_wrap=True)
