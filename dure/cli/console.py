"""The one place that prints. People get sentences and tables, programs get one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console as RichConsole
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dure.model.codec import to_plain


@dataclass(frozen=True, slots=True)
class Column:
    """heading; right: numbers stand under each other; keep: never folded (an id has to be copied whole)."""

    heading: str
    right: bool = False
    keep: bool = False
    style: str = ""


def _stdout() -> RichConsole:
    return RichConsole(file=sys.stdout, highlight=False, markup=False, emoji=False)


def _stderr() -> RichConsole:
    return RichConsole(file=sys.stderr, highlight=False, markup=False, emoji=False)


@dataclass
class Console:
    """out: what was asked for; err: what goes wrong or on. as_json: tables and sentences are for people only, so they are
    left out and `document` is printed instead."""

    as_json: bool = False
    out: RichConsole = field(default_factory=_stdout)
    err: RichConsole = field(default_factory=_stderr)

    def say(self, text: str, style: str = "") -> None:
        """A sentence of the answer."""
        if not self.as_json:
            self.out.print(Text(text, style=style), soft_wrap=not self.out.is_terminal)

    def note(self, text: str, style: str = "") -> None:
        """What goes on beside the answer; on stderr, so that pipes stay clean."""
        if not self.as_json:
            self.err.print(Text(text, style=style), soft_wrap=not self.err.is_terminal)

    def fail(self, text: str) -> None:
        self.err.print(Text(text, style="bold red"), soft_wrap=not self.err.is_terminal)

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

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]], title: str = "") -> None:
        if self.as_json:
            return
        table = Table(
            box=None, pad_edge=False, title=title or None, title_justify="left", header_style="bold", title_style="bold"
        )
        for column in columns:
            table.add_column(
                column.heading,
                justify="right" if column.right else "left",
                no_wrap=column.keep or column.right,
                overflow="fold",
                style=column.style or None,
            )
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.out.print(table)

    def fields(self, pairs: Mapping[str, str], indent: int = 0) -> None:
        """Names and values under each other; what is empty is left out."""
        if self.as_json:
            return
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True, style="dim")
        grid.add_column(overflow="fold")
        for name, value in pairs.items():
            if value:
                grid.add_row(Text(name), Text(value))
        self.out.print(Padding(grid, (0, 0, 0, indent)))
