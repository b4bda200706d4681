"""A trace on a fleet under one policy after the other: a table, and a report to read."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dure.cli.commands.simulate import MADE, Asked
from dure.cli.console import Column
from dure.cli.exits import Exit
from dure.cli.run import Refusal, Run
from dure.errors import ConfigError
from dure.simulator.report import Run as Outcome
from dure.simulator.report import compare, write_html, write_parquet
from dure.simulator.report.words import Words
from dure.simulator.traces import (
    FLEETS,
    Fleet,
    Reading,
    ReadOptions,
    Trace,
    Workload,
    built_in,
    national,
    read_fleet,
    read_trace,
)  # fmt: skip
from dure.simulator.trial import Assumptions, Rules, rules_of, trial
from dure.simulator.trial import Progress as Step

DAY_MS = 86_400_000


def compare_policies(run: Run, asked: Asked) -> int:
    """Every policy on the same trace and fleet; their table, and with `out` a page and a file a run."""
    try:
        rules = [rules_of(name) for name in asked.policies]
        fleet = built_in(asked.fleet) if asked.fleet in FLEETS else read_fleet(Path(asked.fleet))
        trace, notes = _trace(run, asked, fleet)
        runs = [_one(run, asked, each, trace, fleet, notes) for each in rules]
    except ConfigError as wrong:  # it names the file, the place and the remedy
        raise Refusal(str(wrong), Exit.USAGE) from wrong
    table, words = compare(runs), Words(run.texts.lang)
    rows = {
        row.measure.key: dict(zip(asked.policies, row.values, strict=True)) for row in table.rows
    }  # fmt: skip
    run.console.document({"jobs": table.jobs, "compared": table.compared, "measures": rows, "notes": dict(runs[0].notes)})
    run.console.table(
        [Column(words.say("table.measure")), *(Column(name, right=True, keep=True) for name in asked.policies)],
        [
            [words.label(row.measure.key), *(words.value(value, row.measure.unit) for value in row.values)]
            for row in table.rows
        ],
    )  # fmt: skip
    run.say("trial.compared", jobs=table.jobs, compared=table.compared)
    for word, count in _assumed(runs[0]).items():
        run.note(f"trial.assumed.{word}", count=count)
    if asked.out is not None:
        _write(run, asked.out, runs)
    return Exit.OK


def _trace(run: Run, asked: Asked, fleet: Fleet) -> tuple[Trace, Mapping[str, str]]:
    """The jobs, and what there is to say of where they are from."""
    if str(asked.trace) == MADE:
        made = national(np.random.default_rng(asked.seed), fleet, Workload(jobs=asked.jobs))
        return made, {"seed": str(asked.seed), "trace_source": "dure.simulator.traces.generate"}
    reading = read_trace(asked.trace, ReadOptions(skip_bad=asked.skip_bad, format=asked.format))
    _tell_skipped(run, reading)
    trace = reading.trace
    if asked.jobs and asked.jobs < len(trace):
        trace = trace.take(np.arange(asked.jobs))
    skipped = ", ".join(f"{kind.value} {count}" for kind, count in reading.skipped.items())
    left = ", ".join(f"{what} {count}" for what, count in reading.left_out.items())
    return trace, {key: text for key, text in (("skipped", skipped), ("left_out", left)) if text}


def _tell_skipped(run: Run, reading: Reading) -> None:
    if reading.skipped:
        run.note("trial.skipped", count=sum(reading.skipped.values()))
        for fault in reading.first[:3]:
            run.console.note("  " + str(fault))


def _one(run: Run, asked: Asked, rules: Rules, trace: Trace, fleet: Fleet, notes: Mapping[str, str]) -> Outcome:
    given = Assumptions(
        limit_ms=round(asked.limit_days * DAY_MS), exact_limits=asked.exact_limits, whole_shares=asked.whole_shares
    )
    every_ms = round(asked.every_s * 1000)
    with _shown(run, rules.name, len(trace)) as bar:
        return trial(trace, fleet, rules, name=asked.trace.name, every_ms=every_ms, assumptions=given, notes=notes, say=bar.tell)


class _Bar:
    """Progress of one trial at a terminal; silent elsewhere."""

    def __init__(self, bar: Progress | None, name: str, jobs: int) -> None:
        self._bar = bar
        self._task = bar.add_task(name, total=max(jobs, 1)) if bar else None

    def tell(self, step: Step) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step.ended)


@contextlib.contextmanager
def _shown(run: Run, name: str, jobs: int) -> Iterator[_Bar]:
    if run.console.as_json or not sys.stderr.isatty():
        run.note("trial.runs", policy=name, jobs=jobs)
        yield _Bar(None, name, jobs)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=run.console.err, transient=True) as bar:
        yield _Bar(bar, name, jobs)


def _assumed(outcome: Outcome) -> dict[str, int]:
    return {key.removeprefix("assumed."): int(text) for key, text in outcome.notes.items() if key.startswith("assumed.")}


def _write(run: Run, folder: Path, runs: list[Outcome]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    write_html(runs, page, run.texts.lang)
    for outcome in runs:
        write_parquet(outcome, folder / f"{outcome.policy}.parquet")
    run.say("trial.written", page=page, folder=folder)
