"""What README shows of `make demo` is what the demo says: its steps, promises, tables and the words of its jobs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from io import StringIO
from typing import Any

from rich.console import Console as RichConsole

from dure.cli.commands import COMMANDS
from dure.cli.commands.money import tell_statement
from dure.cli.connecting import connect_http
from dure.cli.console import Console
from dure.cli.demo.story import AWARD_WON, CORES, ELEMENTS, PROJECT, TRAIN
from dure.cli.run import Run
from dure.cli.texts import CATALOGUES, Texts
from dure.config import load
from dure.model.reason_texts import REASON_TEXTS
from tests.architecture.test_docs import FENCE
from tests.architecture.tree import ROOT

EN = CATALOGUES["en"]
HOLE = re.compile(r"\{[^{}]*\}")
SHORTENED = "..."


@cache
def transcript() -> tuple[str, ...]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = [body for language, body in FENCE.findall(text) if language == "text" and EN["demo.step.run"] in body]
    return tuple(shown.splitlines())


def shape(text: str) -> str:
    """A regular expression for what a text becomes once its holes are filled."""
    return ".+".join(re.escape(part) for part in HOLE.split(text))


def said(line: str, texts: Iterable[str]) -> bool:
    """A text that is nothing but holes would fit any line."""
    return any(re.fullmatch(shape(text), line) for text in texts if len(HOLE.sub("", text)) > 5)


def part(key: str) -> list[str]:
    """The lines of one step, without its heading."""
    lines = list(transcript())
    first = lines.index(EN[key]) + 1
    return [line for line in lines[first : lines.index("", first) if "" in lines[first:] else None] if line.strip() != SHORTENED]


def test_its_headings_are_the_steps_of_the_demo_in_their_order() -> None:
    steps = sorted(text for key, text in EN.items() if key.startswith("demo.step."))
    assert [line for line in transcript() if re.match(r"\d+\. ", line)] == steps[1:]


def test_amounts_that_the_story_fixes_are_those_of_the_story() -> None:
    awarded, (quoted, submitted) = part("demo.step.award"), part("demo.step.submit")
    dates = re.findall(r"\d{4}-\d\d-\d\d", awarded[0])
    fixed = Texts("en").say("demo.awarded", amount=AWARD_WON, project=PROJECT, first=dates[0], last=dates[1])
    assert awarded == [f"  {fixed}"]
    assert re.fullmatch("  " + shape(EN["demo.quoted"]), quoted)
    assert submitted == "  " + Texts("en").say("demo.submitted", elements=ELEMENTS, cores=2 * CORES, have=CORES)


def test_what_happens_is_told_in_the_words_of_the_demo_and_of_its_jobs() -> None:
    events = [text for key, text in EN.items() if key.startswith("demo.event.")]
    states = [text for key, text in EN.items() if key.startswith("state.")]
    for line in part("demo.step.run"):
        job = re.fullmatch(r" {11}train \| (.+)", line)
        event = re.fullmatch(r" +\d+\.\d s  (.+)", line)
        if job:
            assert any(re.fullmatch(said_by_job, job[1]) for said_by_job in job_lines()), line
        else:
            assert event and (said(event[1], events) or event[1].partition(": ")[2] in states), line


@cache
def job_lines() -> tuple[str, ...]:
    """What the training program prints, with EPOCHS as the demo sets it."""
    tree = ast.parse((ROOT / "dure/cli/demo/jobs/train.py").read_text(encoding="utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "say"]
    told = [call.args[0] for call in calls if call.args and isinstance(call.args[0], ast.JoinedStr)]
    assert len(told) == 3
    return tuple("".join(map(_piece, text.values)) for text in told)


def _piece(value: ast.expr) -> str:
    if isinstance(value, ast.FormattedValue):
        environment: Any = TRAIN["env"]
        return str(environment["EPOCHS"]) if isinstance(value.value, ast.Name) and value.value.id == "EPOCHS" else r"[\d.]+"
    return re.escape(str(ast.literal_eval(value)))


def test_the_answer_to_why_is_one_that_is_given() -> None:
    reasons = [f"{text.en.detail} {text.en.remedy}" for text in REASON_TEXTS.values()]
    for line in map(str.strip, part("demo.step.why")):
        command = line.split()[1] if line.startswith("dure ") else ""
        assert command in COMMANDS or said(line, (*EN.values(), *reasons)), line


def test_its_tables_have_the_columns_of_the_bill_and_its_sentences_are_those_of_the_bill() -> None:
    sums = ("attempts", "quoted", "held", "pending", "settled", "released", "refunded", "net", "carried_nano", "energy_mwh")
    amounts = ("granted", "spent", "refunded", "withdrawn", "expired", "pending", "available")
    job = {"workload": "w", "currency": "KRW", **dict.fromkeys(sums, 0)}
    awards = [{"account": "award:a", "currency": "KRW", **dict.fromkeys(amounts, 0)}]
    out = StringIO()
    console = Console(out=RichConsole(file=out, width=200))
    run = Run(console, Texts("en"), load({}), connect_http)
    whole = {"jobs": [job], "totals": [job], "awards": awards, "remainders": [], "findings": [], "partial": False}
    tell_statement(run, whole, {})
    bill = "\n".join(transcript()).partition(EN["demo.step.ledger"] + "\n")[2].partition("\n\n7. ")[0].splitlines()
    headings = [words(line) for line in out.getvalue().splitlines() if line.startswith(("Job ", "Award "))]
    assert len(headings) == 2
    assert [words(line) for line in bill if line.startswith(("Job ", "Award "))] == headings
    rows = [line for line in bill if line and words(line) not in headings and len(words(line)) == 1]
    assert len(rows) == 3 and all(said(line, EN.values()) for line in rows)


def words(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_its_promises_are_checks_of_the_demo() -> None:
    promises = [f"{EN['demo.kept']}  {text}" for key, text in EN.items() if key.startswith("demo.check.")]
    *kept, last = (line.strip() for line in part("demo.step.checks"))
    assert len(kept) >= 2 and set(kept) <= set(promises)
    assert said(last, [EN["demo.done"]])
