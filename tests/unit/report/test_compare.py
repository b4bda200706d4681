"""Policies side by side: the best is the best, and nobody looks better for what was left undone."""

from __future__ import annotations

import pytest

from dure.errors import InvariantViolated
from dure.simulator.report import MEASURES, compare, measure
from dure.simulator.report.story import Story, headline, price
from dure.simulator.report.words import words
from tests.unit.report.made import empty, one_site, run_from, run_of_rows

FIFO = [(0, 100, 0, 8), (0, 300, 100, 8), (10, 10, 400, 4)]
SJF = [(0, 100, 0, 8), (0, 300, 110, 8), (10, 10, 100, 4)]


def test_every_measure_has_a_row_and_no_other() -> None:
    assert {each.key for each in MEASURES} == set(measure(empty())) and len({each.key for each in MEASURES}) == len(MEASURES)


def test_the_best_of_each_row_is_marked() -> None:
    table = compare([run_of_rows(FIFO), run_of_rows(SJF, policy="SJF")])
    assert table.policies == ("FIFO", "SJF") and table.compared == 3
    assert table.row("queueing.mean").best == (False, True) and table.row("makespan").best == (False, False)
    assert (
        table.row("wait.widest").best == (True, False)
        and table.row("utilisation").values[0] == table.row("utilisation").values[1]
    )


def test_what_nobody_knows_has_no_row() -> None:
    keys = {row.measure.key for row in compare([run_of_rows(FIFO)]).rows}
    assert not keys & {"energy", "carbon", "fragmentation", "charged_krw", "fairness.jain"} and "jobs" in keys


def test_only_what_finished_everywhere_is_compared() -> None:
    starving = run_of_rows([(0, 100, 0, 8), (0, 300, -1, 8), (10, 10, 100, 4)], policy="starves", until_ms=500_000)
    table = compare([run_of_rows(FIFO), starving])
    assert table.compared == 2 and table.row("jobs.never_started").best == (True, False)
    assert table.row("queueing.mean").values == (195.0, 45.0)  # of the first and third job, under both
    assert table.row("wait.longest").values == (390.0, 500.0) and table.row("makespan").values == (400 + 10.0, None)


def test_other_jobs_cannot_be_compared() -> None:
    with pytest.raises(InvariantViolated, match="same jobs"):
        compare([run_of_rows(FIFO), run_of_rows(SJF[:2])])


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_headline_says_what_differs_and_its_price(lang: str) -> None:
    story = Story([run_of_rows(FIFO), run_of_rows(SJF, policy="SJF")], words(lang))
    assert (
        headline(story)
        == {
            "en": "With SJF a job waits 1.11 min on average; with FIFO it waits 2.72 min, 2.45 times as long.",
            "ko": "SJF에서는 작업이 평균 1.11분 기다리고, FIFO에서는 그 2.45배인 2.72분 기다립니다.",
        }[lang]
    )
    wide = [(0, 100, 0, 8), (0, 300, 500, 8), (10, 10, 100, 4)]
    far = Story([run_of_rows(wide), run_of_rows([(0, 100, 0, 8), (0, 300, 100, 8), (10, 10, 6000, 4)], policy="X")], words(lang))
    told = {"en": "What FIFO does worse: wait of the widest gang 8.33 min (X: 1.67 min).",
            "ko": "FIFO에서 더 나빠진 것: 가장 큰 갱의 대기 8.33분(X 1.67분)."}[lang]  # fmt: skip
    assert price(far) == told


def test_headlines_without_a_difference_say_so() -> None:
    same = Story([run_of_rows(FIFO), run_of_rows(FIFO, policy="B")], words("en"))
    assert headline(same) == "It makes no difference to waiting: a job waits 2.72 min on average with every policy."
    assert price(same) == ""
    none = Story([run_of_rows([(0, 9, -1, 1)], until_ms=9_000)], words("en"))
    assert headline(none).startswith("No job finished")
    idle = Story([run_of_rows([(0, 9, 0, 1)]), run_of_rows([(0, 9, 5, 1)], policy="late")], words("en"))
    assert headline(idle) == "With FIFO jobs do not wait; with late a job waits 5 s on average."
    assert price(idle) == "Nothing else that is measured here gets more than 5 % worse with FIFO."


def test_one_policy_is_told_alone() -> None:
    assert headline(Story([run_of_rows(FIFO, one_site(8))], words("en"))) == (
        "With FIFO a job waits 2.72 min on average, and half of the jobs at most 1.67 min; 98.8 % of the fleet is in use."
    )


@pytest.mark.parametrize(("lang", "one", "two"), [
    ("en", "All of it emits {most} of CO₂.", "All of it emits {least} of CO₂ with south and {most} with north."),
    ("ko", "전체 CO₂ 배출량은 {most}입니다.", "전체 CO₂ 배출량은 south에서 {least}, north에서 {most}입니다."),
])  # fmt: skip
def test_the_headline_says_what_is_emitted_where_that_is_known(lang: str, one: str, two: str) -> None:
    """The same job at the site whose power emits more, and at the other."""
    north, south = (
        run_from([(0, 3_600_000, 0, 4_000_000, 0, place, 0, -1)], 0, policy=name) for place, name in ((0, "north"), (2, "south"))
    )
    row = compare([north, south]).row("carbon")
    most, least = (words(lang).value(value, "g") for value in row.values)
    assert headline(Story([north], words(lang))).endswith(one.format(most=most))
    assert headline(Story([north, south], words(lang))).endswith(two.format(most=most, least=least))
    assert headline(Story([north, north], words(lang))).endswith(one.format(most=most))
