"""The report: whole, well formed, in both languages, needing nothing from elsewhere, and safe whatever a trace is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import numpy as np
import pytest

from dure.simulator.report import Run, page, run_of, write_html
from dure.simulator.report.charts import TENANTS_MAX, figures
from dure.simulator.report.compare import MEASURES
from dure.simulator.report.markup import shown, tag
from dure.simulator.report.story import Story
from dure.simulator.report.texts import TEXTS
from dure.simulator.report.words import words
from dure.simulator.traces import make_trace
from tests.unit.report.made import Drawn, empty, one_site, run_from, run_of_rows

VOID = {"meta", "br", "hr", "img", "link", "col"}
EVIL = "<script>alert(1)</script>\"'&\x00\u202e{policy}"
HOUR = 3_600_000


class Reader(HTMLParser):
    """Elements in order; what is opened is closed in its turn, or reading fails."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def all(self, kind: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.found if name == kind)


def several(jobs: int = 40, **given: object) -> list[Run]:
    """Two policies on jobs of all tenants, with everything known."""
    rows: list[Drawn] = [(i * 600_000, HOUR + i * 1000, 0, 1000 * (1 + i % 9), i % 3, i % 3, 0, 100) for i in range(jobs)]
    late: list[Drawn] = [(s, d, 60_000 * i, *rest) for i, (s, d, _wait, *rest) in enumerate(rows)]  # type: ignore[misc]
    return [run_from(rows, 0, policy="A", **given), run_from(late, 0, policy="B", **given)]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_page_is_well_formed_and_has_every_chart(lang: str) -> None:
    text = page(several(), lang)
    read = Reader(text)
    assert text.startswith("<!doctype html>\n") and next(read.all("html"))["lang"] == lang
    assert [f["id"] for f in read.all("figure")] == [
        "figure-waits", "figure-use", "figure-sizes", "figure-tenants", "figure-power", "figure-carbon", "figure-won",
    ]  # fmt: skip
    assert not re.search(r"\bnan\b|\binf\b|None|\{\w*\}", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL))


def test_nothing_comes_from_elsewhere_and_nothing_runs() -> None:
    text = page(several())
    read = Reader(text)
    assert {name for name, _ in read.found} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "image",
        "use",
        "foreignobject",
    } == set()
    assert not re.search(r"https?:|url\(|@import|javascript:", text)
    assert not [name for _, attributes in read.found for name in attributes if name.startswith("on") or name in ("src", "href")]
    assert "default-src 'none'" in str([attributes.get("content") for attributes in read.all("meta")])


def test_every_picture_has_a_title_a_description_and_its_numbers() -> None:
    text = page(several())
    read = Reader(text)
    ids = {attributes["id"] for _, attributes in read.found if "id" in attributes}
    pictures = [svg for svg in read.all("svg") if svg.get("role") == "img"]
    assert len(pictures) == 7 and all(set((svg["aria-labelledby"] or "").split()) <= ids for svg in pictures)
    assert len([1 for _, attributes in read.found if "id" in attributes]) == len(ids)
    assert all(figure.header and figure.rows and all(len(row) == len(figure.header) for row in figure.rows)
               for figure in figures(Story(several(), words("en"))))  # fmt: skip
    assert text.count("<details>") == len(pictures) + 1


def test_names_of_a_trace_cannot_become_markup() -> None:
    trace = make_trace(2, submit_ms=[0, 9], duration_ms=[5_000, 9_000], devices=[1, 2], tenant=[0, 1], tenants=(EVIL, EVIL + "2"),
                       ids=(EVIL, "b\ud800"))  # fmt: skip
    run = run_of(trace, np.array([0, 10]), one_site(), policy=EVIL, trace=EVIL, notes={EVIL: EVIL, "seed": EVIL})
    for lang in ("en", "ko"):
        text = page([run, run], lang)
        assert "<script" not in text and "&lt;script&gt;" in text and "\x00" not in text and "\u202e" not in text
        Reader(text)
        text.encode()


def test_long_names_are_cut() -> None:
    assert len(shown("x" * 500)) == 60 and shown("한글") == "한글"
    assert tag("p", "<", title='"') == '<p title="&quot;">&lt;</p>'


def test_the_tail_of_many_tenants_is_said_to_be_left_out() -> None:
    names = tuple(f"t{i:03}" for i in range(40))
    trace = make_trace(40, submit_ms=range(40), duration_ms=[5_000] * 40, devices=[1] * 40, tenant=range(40), tenants=names)
    run = run_of(trace, np.arange(40), one_site(64), policy="p", trace="t")
    found = next(figure for figure in figures(Story([run], words("en"))) if figure.key == "tenants")
    assert len(found.rows) == TENANTS_MAX and found.notes == (
        "Shown are the 16 of 40 tenants that asked for most, 40.0 % of all demand.",
    )


def test_a_long_tail_of_use_is_cut_and_said_so() -> None:
    def notes(run: Run) -> tuple[str, ...]:
        return next(figure for figure in figures(Story([run], words("en"))) if figure.key == "use").notes

    even = [(0, 100_000, 0, 30), (0, 130_000, 0, 30)]
    assert len(notes(run_of_rows(even))) == 1
    said = notes(run_of_rows([*even, (0, 900_000, 5, 0)]))  # a last job without devices ends long after all others
    assert len(said) == 2 and said[1] == (
        "The picture ends where 99 % of the work is done; the last jobs end after 10.4 d, and the table has them."
    )


def test_what_is_not_known_is_said_to_be_absent() -> None:
    read = Reader(page([run_of_rows([(0, 9, 0, 1)])]))
    text = " ".join(read.said)
    assert "the fleet does not say what everything in it draws" in text and "fewer than two tenants" in text
    assert "no run sampled it" in text and not [f for f in read.all("figure") if f["id"] == "figure-power"]


def test_who_never_started_is_named() -> None:
    text = " ".join(Reader(page([run_of_rows([(0, 9, 0, 1), (1, 9, -1, 4)], until_ms=90_000)])).said)
    assert "1.48 min, and had not started at the end" in text and "1 of 2 jobs did not finish under every policy" in text


@pytest.mark.parametrize("runs", [[empty()], [run_of_rows([(5, 0, 5, 0)])], [run_of_rows([(5, 9, -1, 2)])]])
def test_hardly_anything_is_a_page_too(runs: list[Run]) -> None:
    Reader(page(runs, "ko"))


def test_a_hundred_thousand_jobs_are_a_small_file(tmp_path: Path) -> None:
    jobs, chance = 100_000, np.random.default_rng(3)
    submit, wait = np.sort(chance.integers(0, 10**9, jobs)), chance.integers(0, 10**7, jobs)
    trace = make_trace(jobs, submit_ms=submit, duration_ms=chance.integers(0, 10**6, jobs), devices=[1] * jobs,
                       tenant=chance.integers(0, 500, jobs), tenants=tuple(f"tenant-{i}" for i in range(500)))  # fmt: skip
    fleet = replace(one_site(), capacity_milli=np.array([[10**9, 0]]))
    made = [run_of(trace, submit + wait // k, fleet, policy=f"P{k}", trace="t") for k in range(1, 5)]
    write_html(made, tmp_path / "r.html", "ko")
    assert (tmp_path / "r.html").stat().st_size < 300_000


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_tell_the_same_facts(key: str) -> None:
    en, ko = ({name for _, name, _, _ in Formatter().parse(text) if name} for text in TEXTS[key])
    assert en == ko


def test_every_measure_has_words() -> None:
    for lang in ("en", "ko"):
        assert len({words(lang).label(each.key) for each in MEASURES}) == len(MEASURES)


@pytest.mark.parametrize(
    ("value", "unit", "en", "ko"),
    [
        (0.0, "s", "0 s", "0초"), (5.757, "s", "5.76 s", "5.76초"), (3_600, "s", "1 h", "1시간"),
        (990_166, "s", "11.5 d", "11.5일"),
        (0.9383, "ratio", "0.938", "0.938"), (1_931.9, "ratio", "1,932", "1,932"), (0.4473, "share", "44.7 %", "44.7 %"),
        (6.1e9, "wh", "6.10 GWh", "6.10 GWh"), (950, "g", "950 g", "950 g"), (2.5e9, "g", "2,500 t", "2,500 t"),
        (1_759_262_433, "krw", "1,759,262,433 won", "1,759,262,433원"), (None, "s", "–", "–"), (7, "jobs", "7", "7"),
    ],
)  # fmt: skip
def test_numbers_read_well(value: float | None, unit: str, en: str, ko: str) -> None:
    assert (words("en").value(value, unit), words("ko_KR.UTF-8").value(value, unit)) == (en, ko)
