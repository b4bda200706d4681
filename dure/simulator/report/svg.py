"""Charts as plain SVG: scales, axes, lines, rows of marks and bars. Colours come from the page's style, by class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dure.simulator.report.markup import Html, join, tag

WIDTH, HEIGHT = 760, 330
LEFT, RIGHT, TOP, BOTTOM = 64, 30, 14, 52
ROW_LEFT = 190  # where rows have names
BAR_SAYS = 230
SERIES = 8  # colours, dashes and shapes that there are; a ninth series begins again
# Seconds at which a logarithmic axis of time has its marks.
_MOMENTS = (1, 10, 60, 600, 3_600, 6 * 3_600, 86_400, 10 * 86_400, 100 * 86_400, 1_000 * 86_400)
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "12 4", "4 2 1 2 1 2", "1 4", "14 3 3 3")
Say = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels. ticks: (value, label)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()

    def at(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        if self.log:
            part = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            part = (inside - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)


def linear(low: float, high: float, start: float, end: float, say: Say, marks: int = 5) -> Scale:
    """A scale with marks at round values; it ends at a mark."""
    span = max(high - low, 1e-12)
    rough = span / marks
    step = next(
        k * 10.0 ** math.floor(math.log10(rough)) for k in (1, 2, 2.5, 5, 10) if k * 10 ** math.floor(math.log10(rough)) >= rough
    )
    count = math.ceil(span / step - 1e-9)
    return Scale(
        low, low + step * count, start, end, False, tuple((low + step * i, say(low + step * i)) for i in range(count + 1))
    )


def log_time(high: float, start: float, end: float, say: Say) -> Scale:
    """Seconds from 1 on."""
    top = max(high, 10.0)
    return Scale(1, top, start, end, True, tuple((s, say(s)) for s in _MOMENTS if s <= top))


def log_ratio(high: float, start: float, end: float, say: Say) -> Scale:
    """Ratios from 1 on."""
    top = max(high, 2.0)
    marks = [k * 10**n for n in range(1 + math.ceil(math.log10(top))) for k in ((1, 2, 5) if top < 300 else (1,))]
    return Scale(1, top, start, end, True, tuple((m, say(m)) for m in marks if m <= top))


def drawing(name: str, title: str, about: str, height: float, *parts: Html) -> Html:
    """A whole picture. name: of its ids, once a page."""
    return tag(
        "svg", tag("title", title, id=f"{name}-title"), tag("desc", about, id=f"{name}-desc"), *parts, role="img",
        viewBox=f"0 0 {WIDTH} {height:g}", aria_labelledby=f"{name}-title {name}-desc",
    )  # fmt: skip


def across(scale: Scale, top: float, bottom: float, title: str) -> Html:
    """The axis below, its grid, and what it is."""
    parts = []
    for value, label in scale.ticks:
        x = scale.at(value)
        parts += [
            tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"),
            tag("text", label, x=x, y=bottom + 17, class_="tick mid"),
        ]
    middle = (scale.start + scale.end) / 2
    return tag("g", parts, tag("text", title, x=middle, y=bottom + 40, class_="axis mid"))


def upward(scale: Scale, left: float, right: float, title: str) -> Html:
    """The axis at the left, its grid, and what it is."""
    parts = []
    for value, label in scale.ticks:
        y = scale.at(value)
        parts += [
            tag("line", x1=left, x2=right, y1=y, y2=y, class_="grid"),
            tag("text", label, x=left - 8, y=y + 4, class_="tick end"),
        ]
    middle = (scale.start + scale.end) / 2
    return tag("g", parts, tag("text", title, x=14, y=middle, class_="axis mid", transform=f"rotate(-90 14 {middle:g})"))


def line(x: Scale, y: Scale, points: Sequence[tuple[float, float]], series: int, title: str, *, steps: bool = False) -> Html:
    """A line through points, or (steps) level from each to the next."""
    places = [(x.at(a), y.at(b)) for a, b in points]
    path, height = [f"M{places[0][0]:g} {places[0][1]:g}"], places[0][1]
    for a, b in places[1:]:
        path.append((f"H{a:g}" + (f"V{b:g}" if b != height else "")) if steps else f"L{a:g} {b:g}")
        height = b
    dash = _DASHES[series % SERIES] or None
    return tag("path", tag("title", title), d="".join(path), class_=f"line s{series % SERIES}", stroke_dasharray=dash)


def mark(x: float, y: float, series: int, title: str, size: float = 5) -> Html:
    """A mark whose shape, besides its colour, tells the series."""
    kind, s, kept = series % SERIES, size, {"class_": f"mark s{series % SERIES}"}
    if kind == 0:
        return tag("circle", tag("title", title), cx=x, cy=y, r=s, **kept)
    if kind == 1:
        return tag("rect", tag("title", title), x=x - s + 0.5, y=y - s + 0.5, width=2 * s - 1, height=2 * s - 1, **kept)
    sides = {2: 3, 3: 4, 4: 5, 5: 6, 6: 3, 7: 4}[kind]
    turn = math.pi / 2 if kind == 6 else math.pi / 4 if kind == 7 else -math.pi / 2
    corners = [turn + 2 * math.pi * i / sides for i in range(sides)]
    points = " ".join(f"{x + 1.25 * s * math.cos(c):.1f},{y + 1.25 * s * math.sin(c):.1f}" for c in corners)
    return tag("polygon", tag("title", title), points=points, **kept)


def sample(series: int) -> Html:
    """The line and mark of a series, for a legend."""
    x, y = Scale(0, 1, 1, 29), Scale(0, 1, 13, 1)
    drawn = line(x, y, [(0, 0.5), (1, 0.5)], series, ""), mark(15, 7, series, "", 4)
    return tag("svg", *drawn, viewBox="0 0 30 14", class_="sample", aria_hidden="true")


@dataclass(frozen=True, slots=True)
class Mark:
    """One series in one row: a mark, a line from low to high, and what pointing at it tells."""

    low: float
    value: float
    high: float
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its name, and a mark for each series; None where there is nothing."""

    name: str
    marks: tuple[Mark | None, ...]


def row_height(series: int) -> int:
    return 15 * series + 11


def rows(lines: Sequence[Line], x: Scale, what: str, *, bars: bool = False) -> Html:
    """Rows from the top, each series on a level of its own; as bars they begin at the scale's low end. what: rows are of."""
    parts, each = [], row_height(max((len(entry.marks) for entry in lines), default=1))
    for place, entry in enumerate(lines):
        top = TOP + place * each
        parts.append(tag("text", entry.name, x=ROW_LEFT - 10, y=top + each / 2 + 4, class_="tick end"))
        parts.append(tag("line", x1=x.start, x2=x.end, y1=top, y2=top, class_="grid"))
        for series, at in enumerate(entry.marks):
            if at is not None:
                parts.append((_bar if bars else _range)(x, top + 13 + 15 * series, at, series))
    below = TOP + len(lines) * each
    return tag("g", parts, tag("text", what, x=ROW_LEFT - 10, y=below + 40, class_="axis end"))


def _range(x: Scale, y: float, at: Mark, series: int) -> Html:
    reach = (
        tag("line", x1=x.at(at.low), x2=x.at(at.high), y1=y, y2=y, class_=f"reach s{series % SERIES}")
        if at.high > at.low
        else None
    )
    return join(reach, mark(x.at(at.value), y, series, at.title))


def _bar(x: Scale, y: float, at: Mark, series: int) -> Html:
    """A bar from the scale's low end; what it says stands behind it, so the scale ends `BAR_SAYS` before the picture does."""
    width = round(x.at(at.value) - x.start, 1)
    shape = tag("rect", tag("title", at.title), x=x.start, y=y - 5, width=width, height=11, class_=f"mark s{series % SERIES}")
    return join(shape, tag("text", at.title, x=x.start + width + 8, y=y + 4.5, class_="tick"))
