"""Tables as lines of text: pure layout for a width, with double-width letters counted as two cells.

A table that does not fit first gives up the columns that can be spared, then folds texts at spaces, and when even that would
break a word becomes a list: one thing after the other, its values beside their names. So no word and no id is ever broken or cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

GAP = 2  # cells between two columns
VALUE_MIN = 16  # cells that a value beside its name should have before it goes under it


@dataclass(frozen=True, slots=True)
class Column:
    """heading; right: numbers stand under each other; keep: never folded; slug: may be folded behind a hyphen too; spare: 0
    stands always, the highest goes first when the table is too wide."""

    heading: str
    right: bool = False
    keep: bool = False
    slug: bool = False
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    heading: bool = False


def table_lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[Line]:
    """The table in `width` cells. A single word that is wider than all of it stands whole and sticks out."""
    shown = _shown(columns, rows, width)
    columns = [columns[i] for i in shown]
    rows = [[row[i] for i in shown] for row in rows]
    least = [_least(c, _cells(rows, i)) for i, c in enumerate(columns)]
    if _total(least) > width:
        return list(_records(columns, rows, width))
    widths = _widths(least, [_natural(c, _cells(rows, i)) for i, c in enumerate(columns)], width)
    lines = [Line(text, heading=True) for text in _row_lines(columns, [c.heading for c in columns], widths)]
    for row in rows:
        lines += [Line(text) for text in _row_lines(columns, row, widths)]
    return lines


def field_lines(pairs: Iterable[tuple[str, str]], width: int) -> list[str]:
    """Names and values under each other; what is empty is left out. Names are padded to the longest one."""
    shown = [(name, value) for name, value in pairs if value]
    margin = max((cell_len(name) for name, _ in shown), default=0) + GAP
    room = width - margin
    if room < VALUE_MIN:
        return [line for name, value in shown for line in (name, *("  " + piece for piece in fold(value, width - 2)))]
    lines = []
    for name, value in shown:
        first, *more = fold(value, room)
        lines += [_padded(name, margin) + first, *(" " * margin + piece for piece in more)]
    return lines


def fold(text: str, width: int, *, slug: bool = False) -> list[str]:
    """Lines of at most `width` cells, broken at spaces and at the text's own line ends alone; with `slug` behind hyphens too."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for glue, piece in _pieces(paragraph, slug=slug):
            if line and cell_len(line + glue + piece) > width:
                lines.append(line)
                line = piece
            else:
                line = f"{line}{glue}{piece}" if line else piece
        lines.append(line)
    return lines


def _pieces(text: str, *, slug: bool) -> Iterator[tuple[str, str]]:
    """What may not be broken, each with what stands before it on the same line."""
    for word in text.split(" "):
        parts = re.findall(r"[^-]*-+|[^-]+", word) if slug else [word]
        yield from ((" " if number == 0 else "", part) for number, part in enumerate(parts or [""]))


def _shown(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The columns that stand: while the table would have to fold, the most sparing column goes. Empty ones go at once."""
    shown = [i for i, c in enumerate(columns) if not c.spare or any(row[i] for row in rows)]
    while _total([_natural(columns[i], _cells(rows, i)) for i in shown]) > width:
        most = max((columns[i].spare for i in shown), default=0)
        if not most:
            break
        shown = [i for i in shown if columns[i].spare < most]
    return shown


def _cells(rows: Sequence[Sequence[str]], index: int) -> list[str]:
    return [row[index] for row in rows]


def _natural(column: Column, cells: Sequence[str]) -> int:
    return max(cell_len(line) for cell in (column.heading, *cells) for line in cell.split("\n"))


def _least(column: Column, cells: Sequence[str]) -> int:
    """The width below which a word of the column would break."""
    if column.keep or column.right:
        return _natural(column, cells)
    words = (
        word for cell in (column.heading, *cells) for line in cell.split("\n") for _, word in _pieces(line, slug=column.slug)
    )
    return max(map(cell_len, words))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * max(len(widths) - 1, 0)


def _widths(least: Sequence[int], natural: Sequence[int], width: int) -> list[int]:
    """What is free above the least goes to the columns one cell after the other, to the one that lacks most first."""
    widths = list(least)
    free = width - _total(widths)
    while free > 0:
        lacking = [n - w for n, w in zip(natural, widths, strict=True)]
        if max(lacking, default=0) <= 0:
            break
        widths[lacking.index(max(lacking))] += 1
        free -= 1
    return widths


def _row_lines(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    pieces = [fold(cell, width, slug=c.slug) for c, cell, width in zip(columns, cells, widths, strict=True)]
    for number in range(max((len(p) for p in pieces), default=0)):
        parts = [
            _padded(piece[number] if number < len(piece) else "", width, right=column.right)
            for column, piece, width in zip(columns, pieces, widths, strict=True)
        ]
        yield (" " * GAP).join(parts).rstrip()


def _records(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Iterator[Line]:
    for number, row in enumerate(rows):
        if number:
            yield Line("")
        pairs = [(column.heading, cell) for column, cell in zip(columns, row, strict=True)]
        for count, text in enumerate(field_lines(pairs, width)):
            yield Line(text, heading=count == 0)


def _padded(text: str, width: int, *, right: bool = False) -> str:
    blank = " " * max(width - cell_len(text), 0)
    return blank + text if right else text + blank
