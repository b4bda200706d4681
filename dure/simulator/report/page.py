"""The report: one page of HTML that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dure.simulator.report import svg
from dure.simulator.report.charts import Figure, figures
from dure.simulator.report.compare import HIGHER, LOWER, Row
from dure.simulator.report.markup import Html, join, named, shown, tag
from dure.simulator.report.metrics import Waited, longest_wait, widest_gang
from dure.simulator.report.run import Run
from dure.simulator.report.story import Story, headline, price
from dure.simulator.report.style import CSS
from dure.simulator.report.words import words

# Nothing may be fetched and nothing may run, should a name of a trace find a way into the markup after all.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_TILES = ("queueing.mean", "queueing.p99", "wait.longest", "utilisation.steady")
_ARROWS = {LOWER: "↓", HIGHER: "↑"}
_MEANINGS = ("queueing", "jct", "slowdown", "percentiles", "wait", "utilisation", "fragmentation", "fairness", "energy")
_ABSENT = {"power": "energy", "carbon": "carbon", "won": "charged_krw", "tenants": "fairness.jain",
           "fragmentation": "fragmentation", "domestic": "domestic"}  # fmt: skip
_NOTE_MAX = 2000


def page(runs: Sequence[Run], lang: str = "en") -> str:
    """The report on runs of one trace, as HTML. lang: "ko" and what begins so is Korean, all else English.

    Raises InvariantViolated where the runs are not of the same jobs."""
    story = Story(runs, words(lang))
    say = story.words.say
    title = say("title", trace=shown(runs[0].trace), fleet=shown(runs[0].fleet.name), policies=" · ".join(story.policies))
    body = tag(
        "main", _opening(story, title), _tiles(story), [_figure(story, each) for each in figures(story)], _absent(story),
        _longest(story), _measures(story), _method(story),
    )  # fmt: skip
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"), tag("title", title), tag("style", Html(CSS)),
    )  # fmt: skip
    return "<!doctype html>\n" + tag("html", head, tag("body", body), lang=story.words.lang) + "\n"


def write_html(runs: Sequence[Run], path: Path, lang: str = "en") -> None:
    """Write `page`. Raises OSError."""
    path.write_text(page(runs, lang), encoding="utf-8")


def _opening(story: Story, title: str) -> Html:
    words, run, table = story.words, story.runs[0], story.table
    first, last = run.span_ms[0], max(each.span_ms[1] for each in story.runs)
    sites = len(run.fleet.sites)
    room = f"room.{story.measured}{'.one' if sites == 1 else ''}"
    room = words.say(room, n=f"{run.fleet.total_milli // 1000:,}", sites=f"{sites:,}")
    lede = words.say("lede", jobs=f"{table.jobs:,}", room=room, span=words.duration((last - first) / 1000))
    left = table.jobs - table.compared
    unlike = words.say("head.left", n=f"{left:,}", jobs=f"{table.jobs:,}", rest=f"{table.compared:,}") if left else None
    return tag(
        "header", tag("p", words.say("kicker"), class_="kicker"), tag("h1", title), tag("p", headline(story), class_="headline"),
        tag("p", price(story), class_="price") if price(story) else None, tag("p", unlike, class_="price") if unlike else None,
        tag("p", lede, class_="lede"),
    )  # fmt: skip


def _tiles(story: Story) -> Html:
    """The few numbers that most people came for."""
    return tag("div", [_tile(story, story.table.row(key)) for key in _TILES if story.has(key)], class_="tiles")


def _tile(story: Story, row: Row) -> Html:
    most = max(value for value in row.values if value is not None) or 1
    items = []
    for series, (policy, value, best) in enumerate(zip(story.policies, row.values, row.best, strict=True)):
        width = 100 * (value or 0) / (1 if row.measure.unit == "share" else most)
        said = story.words.value(value, row.measure.unit)
        number = tag("strong", f"★ {said}", class_="num") if best else tag("span", said, class_="num")
        bar = tag("span", class_=f"s{series % svg.SERIES}", style=f"width:{width:.1f}%")
        items.append(tag("li", tag("bdi", policy), number, tag("div", bar, class_="bar", aria_hidden="true")))
    return tag("section", tag("h2", story.words.label(row.measure.key), _way(story, row)), tag("ul", items), class_="tile")


def _way(story: Story, row: Row) -> Html | None:
    """Which way is better, for eyes and ears."""
    better = row.measure.better
    if better not in _ARROWS:
        return None
    said = story.words.say(f"table.{better}")
    return tag("span", _ARROWS[better], class_="way", title=said, role="img", aria_label=said)


def _figure(story: Story, each: Figure) -> Html:
    legend = [tag("li", svg.sample(series), tag("bdi", policy)) for series, policy in enumerate(story.policies)]
    numbers = _table(each.header, [(row[0], row[1:]) for row in each.rows], each.title)
    return tag(
        "figure", tag("figcaption", tag("h3", each.title), tag("p", each.said) if each.said else None),
        tag("ul", legend, class_="legend"),
        _scroll(each.picture, each.title), [tag("p", note, class_="note") for note in each.notes],
        tag("details", tag("summary", story.words.say("data")), _scroll(numbers, each.title)), id=f"figure-{each.key}",
    )  # fmt: skip


def _scroll(child: Html, name: str) -> Html:
    """What may be wider than a small screen; reachable by keyboard."""
    return tag("div", child, class_="scroll", tabindex="0", role="region", aria_label=name)


def _table(header: Sequence[str], rows: Sequence[tuple[str | Html, Sequence[str | Html]]], name: str) -> Html:
    """rows: (first cell, the others); a cell that is an element of its own stays as it is."""
    lines = []
    for first, others in rows:
        cells = [each if isinstance(each, Html) and each.startswith("<td") else tag("td", each) for each in others]
        lines.append(tag("tr", tag("th", first, scope="row"), cells))
    top = tag("tr", [tag("th", each, scope="col") for each in header])
    return tag("table", tag("thead", top), tag("tbody", lines), aria_label=name)


def _absent(story: Story) -> Html | None:
    """What a report like this could show and does not, and why."""
    lacking = {key: not story.has(measure) for key, measure in _ABSENT.items()}
    lacking["carbon"] &= not lacking["power"]  # which says it already
    items = [tag("li", story.words.say(f"absent.{key}")) for key, so in lacking.items() if so]
    return tag("section", tag("h2", story.words.say("absent")), tag("ul", items, class_="note")) if items else None


def _longest(story: Story) -> Html:
    """Starvation by name: the longest wait of all, and that of the widest gang."""
    say = story.words.say
    header = [say(key) for key in ("policy", "longest.case", "longest.job", "longest.width", "longest.wait")]
    rows = []
    for policy, run in zip(story.policies, story.runs, strict=True):
        for key, found in (("m.wait.longest", longest_wait(run)), ("m.wait.widest", widest_gang(run))):
            if found is not None:
                rows.append(
                    (policy, [say(key), named(found.name), story.words.width(found.milli, story.measured), _waited(story, found)])
                )
    title = say("longest.title")
    return tag("section", tag("h2", title), _scroll(_table(header, rows, title), title))


def _waited(story: Story, found: Waited) -> str:
    wait = story.words.duration(found.wait_ms / 1000)
    return wait if found.started else story.words.say("longest.never", wait=wait)


def _measures(story: Story) -> Html:
    words = story.words
    rows = [(join(words.label(row.measure.key), _way(story, row)), list(_cells(story, row))) for row in story.table.rows]
    table = _table([words.say("table.measure"), *story.policies], rows, words.say("table.title"))
    return tag("section", tag("h2", words.say("table.title")), _scroll(table, words.say("table.title")),
               tag("p", words.say("table.note"), class_="note"))  # fmt: skip


def _cells(story: Story, row: Row) -> Iterator[Html]:
    words, unit = story.words, row.measure.unit
    for value, best in zip(row.values, row.best, strict=True):
        said = words.value(value, unit)
        star = tag("span", "★ ", role="img", aria_label=words.say("table.best")) if best else None
        yield tag("td", star, said, class_="best" if best else None, title=words.exactly(value, unit))


def _method(story: Story) -> Html:
    say, first = story.words.say, story.runs[0]
    facts = [(say("method.trace"), named(first.trace)), (say("method.jobs"), f"{len(first):,}"),
             (say("method.fleet"), _differing(story, [run.fleet.name for run in story.runs]))]  # fmt: skip
    facts += [(say("method.source"), first.fleet.source[:_NOTE_MAX])] if first.fleet.source else []
    facts += [(say("method.policies"), " · ".join(story.policies))]
    for key in dict.fromkeys(key for run in story.runs for key in run.notes):
        told = [story.words.note(key, run.notes.get(key, "")) for run in story.runs]
        facts.append((shown(story.words.known(f"note.{key}")), _differing(story, told)))
    listed = [join(tag("dt", what), tag("dd", value)) for what, value in facts]
    meanings = [tag("li", tag("strong", say(f"m.{key}")), ": ", say(f"d.{key}")) for key in _MEANINGS]
    return tag(
        "section", tag("h2", say("method.title")), tag("dl", listed), tag("p", say("method.whole"), class_="note"),
        tag("details", tag("summary", say("method.measures")), tag("ul", meanings)),
    )  # fmt: skip


def _differing(story: Story, values: Sequence[str]) -> str:
    """One value where all runs have the same, else one line a policy."""
    bounded = [value[:_NOTE_MAX] for value in values]
    if len(set(bounded)) == 1:
        return bounded[0]
    return "\n".join(f"{policy}: {value}" for policy, value in zip(story.policies, bounded, strict=True))
