"""The charts of the report: each with what it shows in a sentence, a description, and its numbers as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dure.simulator.report import svg
from dure.simulator.report.exact import rank
from dure.simulator.report.groups import Group
from dure.simulator.report.markup import Html, join, shown
from dure.simulator.report.metrics import Value, waited_ms
from dure.simulator.report.run import Run
from dure.simulator.report.story import Story
from dure.simulator.report.usage import HOUR_MS, done_by, use_by_time
from dure.simulator.traces.fleet import HOURS

CURVE_POINTS = 240
TIME_POINTS = 300
DONE, TAIL = 0.99, 0.7  # where the last hundredth of the work takes more than the rest of this part of the time, it is not drawn
DATA_POINTS = 24  # rows of the table under a curve
TENANTS_MAX = 16
CUT = 24  # characters of a name that fit beside a row
_UNITS = ((HOURS * HOUR_MS, "d"), (HOUR_MS, "h"), (60_000, "min"))
_PARTS = (500, 750, 900, 950, 990, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """said: what it shows; header, rows: its numbers, the first column being what they are of."""

    key: str
    title: str
    said: str
    picture: Html
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()


def figures(story: Story) -> list[Figure]:
    """Those for which something is known."""
    made = [waits(story), use(story), sizes(story)]
    made += [tenants(story)] if len(story.tenants[0]) > 1 else []
    made += [power(story)] if story.has("energy") else []
    made += [carbon(story)] if story.has("carbon") else []
    made += [won(story)] if story.has("charged_krw") or story.has("power_krw") else []
    return made


def waits(story: Story) -> Figure:
    """The cumulative distribution of waiting times, over all jobs."""
    words = story.words
    ordered = [_waits_s(run) for run in story.runs]
    high = max((float(w[np.isfinite(w)].max(initial=0)) for w in ordered), default=0)
    x = svg.log_time(high, svg.LEFT, svg.WIDTH - svg.RIGHT, _from_one(story))
    y = svg.linear(0, 1, svg.HEIGHT - svg.BOTTOM, svg.TOP, lambda v: f"{100 * v:.0f} %")
    at = np.geomspace(1, x.high, CURVE_POINTS)
    lines, marks = [], []
    for series, (policy, wait) in enumerate(zip(story.policies, ordered, strict=True)):
        part = np.searchsorted(wait, at, "right") / max(len(wait), 1)
        lines.append(svg.line(x, y, list(zip(at.tolist(), part.tolist(), strict=True)), series, policy, steps=True))
        for permille in (500, 900, 990):
            value = rank(wait, permille)
            if value is not None and x.low <= value < float("inf"):
                told = words.say("c.waits.mark", policy=policy, share=f"{permille / 10:g} %", wait=words.duration(value))
                marks.append(svg.mark(x.at(value), y.at(permille / 1000), series, told))
    said = words.say("c.waits.said", items=story.each(lambda place: _share(_within(ordered[place], 60))))
    rows = [(f"{p / 10:g} %", *(_wait_said(story, rank(wait, p)) for wait in ordered)) for p in _PARTS]
    note = words.say("c.waits.note", n=CURVE_POINTS, jobs=f"{story.table.jobs:,}")
    frame = svg.across(x, svg.TOP, svg.HEIGHT - svg.BOTTOM, words.say("c.waits.x"))
    frame = join(frame, svg.upward(y, svg.LEFT, svg.WIDTH - svg.RIGHT, words.say("c.waits.y")))
    return _figure(
        story, "waits", said, svg.HEIGHT, (frame, *lines, *marks), (words.say("c.waits.y"), *story.policies), rows, note
    )


def _waits_s(run: Run) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Sorted; those who never started wait for ever."""
    return np.sort(np.where(run.start_ms < 0, np.inf, waited_ms(run) / 1000))


def _within(ordered: np.ndarray[tuple[int], np.dtype[np.float64]], seconds: float) -> float:
    return float(np.searchsorted(ordered, seconds, "right")) / max(len(ordered), 1)


def _wait_said(story: Story, value: Value) -> str:
    return story.words.value(None if value == float("inf") else value, "s")


def use(story: Story) -> Figure:
    """Utilisation over time, up to when nearly all work is done: a few last jobs would else take most of the picture."""
    words, (first, last) = story.words, _window(story)
    end = max(done_by(run, DONE) for run in story.runs)
    end = end if end - first < TAIL * (last - first) else last
    one, unit = next(entry for entry in _UNITS if end - first >= 2 * entry[0] or entry is _UNITS[-1])
    across, x_end = words.say("c.use.x"), svg.WIDTH - svg.RIGHT
    x = svg.linear(0, max((end - first) / one, 0.1), svg.LEFT, x_end, lambda v: words.say(f"unit.{unit}", n=f"{v:g}"), 6)
    y = svg.linear(0, 1, svg.HEIGHT - svg.BOTTOM, svg.TOP, lambda v: f"{100 * v:.0f} %")
    edges = np.linspace(first, max(end, first + 1), TIME_POINTS + 1)
    places = ((edges - first) / one).tolist()
    lines = []
    for series, run in enumerate(story.runs):
        values = use_by_time(run, edges).tolist()
        points = list(zip(places, [*values, values[-1]], strict=True))
        lines.append(svg.line(x, y, points, series, story.policies[series], steps=True))
    key = "utilisation.steady" if story.has("utilisation.steady") else "utilisation"
    said = words.say("c.use.said", items=story.each_value(key)) if story.has(key) else ""
    frame = join(svg.across(x, svg.TOP, svg.HEIGHT - svg.BOTTOM, across), svg.upward(y, svg.LEFT, x_end, words.say("c.use.y")))
    notes = [words.say("c.use.note", n=TIME_POINTS, step=words.duration((end - first) / TIME_POINTS / 1000))]
    notes += (
        [words.say("c.use.tail", share=f"{100 * DONE:g} %", last=words.duration((last - first) / 1000))] if end < last else []
    )
    rows = _use_rows(story, first, last, one, unit)
    return _figure(story, "use", said, svg.HEIGHT, (frame, *lines), (across, *story.policies), rows, *notes)


def _window(story: Story) -> tuple[int, int]:
    return min(run.span_ms[0] for run in story.runs), max(run.span_ms[1] for run in story.runs)


def _use_rows(story: Story, first: float, last: float, one: int, unit: str) -> list[tuple[str, ...]]:
    """The whole time, tail and all."""
    edges = np.linspace(first, max(last, first + 1), DATA_POINTS + 1)
    values = [use_by_time(run, edges).tolist() for run in story.runs]
    spans = [f"{(a - first) / one:.1f}–{(b - first) / one:.1f}" for a, b in pairwise(edges.tolist())]
    told = (story.words.say(f"unit.{unit}", n=span) for span in spans)
    return [(span, *map(_share, row)) for span, row in zip(told, zip(*values, strict=True), strict=True)]


def sizes(story: Story) -> Figure:
    """Waiting by size of job."""
    words = story.words
    by_key = [{group.key: group for group in groups} for groups in story.sizes]
    keys = [group.key for group in story.sizes[0]]
    high = max((group.queueing["p99"] or 0 for groups in story.sizes for group in groups), default=0)
    x = svg.log_time(high, svg.ROW_LEFT, svg.WIDTH - svg.RIGHT, _from_one(story))
    lines = [
        svg.Line(words.size(key), tuple(_wait_mark(story, place, groups[key]) for place, groups in enumerate(by_key)))
        for key in keys
    ]
    rows = [(words.size(key), *(_three(story, groups[key]) for groups in by_key)) for key in keys]
    last = [groups[keys[-1]].queueing["mean"] if keys else None for groups in by_key]
    said = words.say(
        "c.sizes.said", size=words.size(keys[-1]) if keys else "", items=story.each(lambda place: words.value(last[place], "s"))
    )
    header = (words.say(f"c.sizes.y.{story.measured}"), *(f"{p}: {words.say('stat.mean')} / p50 / p99" for p in story.policies))
    return _figure(story, "sizes", said, *_rows(lines, x, words.say("c.sizes.x"), header[0]), header, rows)


def _wait_mark(story: Story, place: int, group: Group) -> svg.Mark | None:
    words, wait = story.words, group.queueing
    low, middle, high = wait["p50"], wait["mean"], wait["p99"]
    if low is None or middle is None or high is None:
        return None
    said = {name: words.value(value, "s") for name, value in wait.items()}
    told = words.say(
        "c.sizes.mark", policy=story.policies[place], size=words.size(group.key), longest=words.duration(group.longest_s), **said
    )
    return svg.Mark(low, middle, high, told)


def _three(story: Story, group: Group) -> str:
    return " / ".join(story.words.value(group.queueing[name], "s") for name in ("mean", "p50", "p99"))


def tenants(story: Story) -> Figure:
    """Mean slowdown by tenant."""
    words, first = story.words, story.tenants[0]
    by_key = [{group.key: group for group in groups} for groups in story.tenants]
    keys = [group.key for group in first[:TENANTS_MAX]]
    slow = [[groups[key].slowdown["mean"] for key in keys] for groups in by_key]
    high = max((value for values in slow for value in values if value is not None), default=1)
    x = svg.log_ratio(high, svg.ROW_LEFT, svg.WIDTH - svg.RIGHT, lambda v: f"{v:,.0f}×")

    def called(key: str) -> str:
        return shown(key) if key else words.say("c.tenants.unknown")

    def marked(place: int, row: int) -> svg.Mark | None:
        value = slow[place][row]
        told = words.say(
            "c.tenants.mark", policy=story.policies[place], tenant=called(keys[row]), value=words.value(value, "ratio")
        )
        return None if value is None else svg.Mark(1, value, value, told)

    lines = [
        svg.Line(_cut(called(key)), tuple(marked(place, row) for place in range(len(story.runs)))) for row, key in enumerate(keys)
    ]
    rows = [(called(key), *(words.value(values[row], "ratio") for values in slow)) for row, key in enumerate(keys)]
    said = words.say("c.tenants.said", items=story.each_value("fairness.jain")) if story.has("fairness.jain") else ""
    everything = sum(group.asked_hours for group in first)
    share = sum(group.asked_hours for group in first[:TENANTS_MAX]) / everything if everything else 1.0
    notes = (words.say("c.tenants.note", n=len(keys), all=len(first), share=_share(share)),) if len(keys) < len(first) else ()
    return _figure(
        story,
        "tenants",
        said,
        *_rows(lines, x, words.say("c.tenants.x"), words.say("c.tenants.y")),
        (words.say("c.tenants.y"), *story.policies),
        rows,
        *notes,
    )


def _cut(name: str) -> str:
    """What fits beside a row or bar, its end with it, where names often differ; the table below has it in full."""
    return name if len(name) <= CUT else f"{name[: CUT - 8]}…{name[-7:]}"


def power(story: Story) -> Figure:
    watts = [draw.mean_watts if draw else () for draw in story.draws]
    return _by_hour(story, "power", watts, ((1e6, "MW"), (1e3, "kW"), (1, "W")), "energy")


def carbon(story: Story) -> Figure:
    grams = [
        tuple(g / h if h else 0.0 for g, h in zip(draw.grams, draw.hours, strict=True)) if draw else () for draw in story.draws
    ]
    return _by_hour(story, "carbon", grams, ((1e6, "t/h"), (1e3, "kg/h"), (1, "g/h")), "carbon")


def _by_hour(
    story: Story, key: str, values: Sequence[tuple[float, ...]], units: Sequence[tuple[float, str]], sum_key: str
) -> Figure:
    """24 values a policy, over the hours of the day."""
    words, high = story.words, max(max(v, default=0.0) for v in values)
    one, unit = next((entry for entry in units if high >= entry[0]), units[-1])
    x = svg.linear(0, HOURS, svg.LEFT, svg.WIDTH - svg.RIGHT, lambda v: f"{v:.0f}", 8)
    x = svg.Scale(0, HOURS, x.start, x.end, False, tuple((float(h), str(h)) for h in range(0, HOURS + 1, 3)))
    y = svg.linear(0, max(high / one, 1e-9), svg.HEIGHT - svg.BOTTOM, svg.TOP, lambda v: f"{v:,g}")
    lines = []
    for place, each in enumerate(values):
        points = [(float(hour), value / one) for hour, value in enumerate([*each, *each[-1:]])]
        lines += [svg.line(x, y, points, place, story.policies[place], steps=True)] if points else []
    frame = svg.across(x, svg.TOP, svg.HEIGHT - svg.BOTTOM, words.say("c.power.x"))
    frame = join(frame, svg.upward(y, svg.LEFT, svg.WIDTH - svg.RIGHT, words.say(f"c.{key}.y", unit=unit)))
    rows = [(str(hour), *(f"{each[hour] / one:,.2f} {unit}" if each else "–" for each in values)) for hour in range(HOURS)]
    notes = () if story.runs[0].clock_ms >= 0 else (words.say("c.clock.note"),)
    said = words.say(f"c.{key}.said", items=story.each_value(sum_key))
    return _figure(story, key, said, svg.HEIGHT, (frame, *lines), (words.say("hour"), *story.policies), rows, *notes)


def won(story: Story) -> Figure:
    """What was charged, and what the power cost."""
    words = story.words
    sums = [story.table.row(key) for key in ("charged_krw", "power_krw") if story.has(key)]
    high = max(value for row in sums for value in row.values if value is not None)
    x = svg.linear(0, max(high / 1e6, 1e-6), svg.ROW_LEFT, svg.WIDTH - svg.BAR_SAYS, lambda v: f"{v:,g}")

    def bar(place: int, value: Value) -> svg.Mark | None:
        told = words.say("c.won.mark", policy=_cut(story.policies[place]), value=words.value(value, "krw"))
        return None if value is None else svg.Mark(0, value / 1e6, value / 1e6, told)

    lines = [svg.Line(words.label(row.measure.key), tuple(map(bar, range(len(row.values)), row.values))) for row in sums]
    rows = [(words.label(row.measure.key), *(words.value(value, "krw") for value in row.values)) for row in sums]
    said = words.say("c.won.said", items=story.each_value(sums[0].measure.key))
    return _figure(
        story, "won", said, *_rows(lines, x, words.say("c.won.x"), "", bars=True), (words.say("c.won.y"), *story.policies), rows
    )


def _rows(
    lines: Sequence[svg.Line], x: svg.Scale, title: str, what: str, *, bars: bool = False
) -> tuple[float, tuple[Html, ...]]:
    each = svg.row_height(max((len(entry.marks) for entry in lines), default=1))
    bottom = svg.TOP + len(lines) * each
    return bottom + svg.BOTTOM, (svg.across(x, svg.TOP, bottom, title), svg.rows(lines, x, what, bars=bars))


def _figure(
    story: Story, key: str, said: str, height: float, parts: tuple[Html, ...], header: tuple[str, ...],
    rows: Sequence[tuple[str, ...]], *notes: str,
) -> Figure:  # fmt: skip
    title = story.words.say(f"c.{key}")
    picture = svg.drawing(key, title, story.words.say(f"c.{key}.desc", items=said.rstrip(".")), height, *parts)
    return Figure(key=key, title=title, said=said, picture=picture, header=header, rows=rows, notes=notes)


def _from_one(story: Story) -> Callable[[float], str]:
    return lambda seconds: ("≤ " if seconds <= 1 else "") + story.words.duration(seconds)


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
