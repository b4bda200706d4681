"""A trace on a fleet under one policy after the other: a table, and a report to read."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dure.cli.commands.simulate import MADE, Asked
from dure.cli.exits import Exit
from dure.cli.farm.compiling import compiled
from dure.cli.memory import keep_memory
from dure.cli.policyfiles import policy_said
from dure.cli.run import Refusal, Run
from dure.cli.trialtables import tell
from dure.errors import ConfigError
from dure.model.calendar import DAY_MS
from dure.model.policy import Policy
from dure.scheduler.warm import warm_plans
from dure.simulator.plane import refusal, whole_plane
from dure.simulator.report import Run as Outcome
from dure.simulator.report import write_html, write_parquet
from dure.simulator.retold import retold_page
from dure.simulator.traces import (
    FLEETS,
    BadOption,
    FaultKind,
    Fleet,
    Reading,
    ReadOptions,
    Trace,
    TraceError,
    Workload,
    built_in,
    format_of,
    national,
    of_format,
    offered_load,
    parse_options,
    read_fleet,
    read_trace,
)  # fmt: skip
from dure.simulator.trial import POLICIES, Assumptions, Rules, covered, rules_by, trial, unhonoured
from dure.simulator.trial import Progress as Step
from dure.simulator.trial.asks import asks_of, no_such_site, strays
from dure.simulator.trial.warm import warm

# Fields of a policy that count nowhere in a trial, and for which there is another way.
INSTEAD = frozenset({"trial.instead.quotas", "trial.instead.reclaims", "trial.instead.limit_ms_default", "trial.instead.speeds"})


def compare_policies(run: Run, asked: Asked) -> int:
    """Every policy on the same trace and fleet; their table, and with `out` a page and a file a run."""
    rules = _rules(run, asked)
    asked = replace(asked, policies=tuple(each.name for each in rules))
    try:
        fleet = _fleet(run, asked)
        trace, notes = _trace(run, asked, fleet)
        runs = _runs(run, asked, rules, trace, fleet, notes)
    except ConfigError as wrong:  # it names the file, the place and the remedy
        raise Refusal(str(wrong), Exit.USAGE) from wrong
    return _told(run, asked, runs)


def compare_on_scenario(run: Run, asked: Asked) -> int:
    """Every policy on what a scenario submits; `OWN` is the one that it states."""
    try:
        page = asked.trace.read_text(encoding="utf-8", errors="replace")
        story = retold_page(page, asked.scenario, asked.trace.stem)
        rules = [each if each is story.rules else story.under(each) for each in _rules(run, asked, story.rules)]
        asked = replace(asked, policies=tuple(each.name for each in rules), every_s=story.every_ms / 1000)
        runs = _runs(run, asked, rules, story.trace, story.fleet, {})
        for each in runs:
            story.prove_funded(each)
    except ConfigError as wrong:  # it names the line and the remedy
        raise Refusal(f"{asked.trace}: {wrong}", Exit.USAGE) from wrong
    return _told(run, asked, runs)


def _runs(
    run: Run, asked: Asked, rules: Sequence[Rules], trace: Trace, fleet: Fleet, notes: Mapping[str, str]
) -> list[Outcome]:  # fmt: skip
    asks_of(trace, fleet, _assumptions(asked), asked.trace.name)  # what cannot be simulated is told before anything is made
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)  # now: a trial may take long, and its outcome wants a place
    keep_memory(run.environ)
    fast = [not asked.whole_plane and covered(trace, fleet, each, _assumptions(asked)) for each in rules]
    if not all(fast):
        compiled(run, warm_plans)
    if any(fast):
        compiled(run, warm, "trial.compiles")
    return [_one(run, asked, each, trace, fleet, notes) for each in rules]


def _told(run: Run, asked: Asked, runs: list[Outcome]) -> int:
    tell(run, asked, runs)
    if asked.out is not None:
        _write(run, asked.out, runs)
    return Exit.OK


def _rules(run: Run, asked: Asked, own: Rules | None = None) -> list[Rules]:
    """By name, or of a file by its own name. own: of the scenario, where it is one."""
    known_here = dict(POLICIES) | ({own.name: own} if own else {})
    rules = [known_here[said] if said in known_here else _of_file(run, said, tuple(known_here)) for said in asked.policies]
    names = [each.name for each in rules]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise run.refusal("trial.policy_twice", Exit.USAGE, name=twice)
    strange = next((each for each in rules if asked.whole_plane and refusal(each)), None)
    if strange is not None:
        known = ", ".join(name for name, each in POLICIES.items() if not refusal(each))
        raise run.refusal("trial.not_a_planes", Exit.USAGE, name=strange.name, known=known)
    return rules


def _of_file(run: Run, said: str, known: Sequence[str]) -> Rules:
    """The rules of a plane under the policy of a file; what counts nowhere in a trial is refused, and not passed over."""
    if not Path(said).is_file():
        raise run.refusal("trial.unknown_policy", Exit.USAGE, name=said, known=", ".join(known))
    policy, name = policy_said(run, Policy(), said), Path(said).stem
    fields = unhonoured(policy)
    if fields:
        what = fields[0].partition(".")[0]
        remedy = run.texts.word("trial.instead", what if f"trial.instead.{what}" in INSTEAD else "else")
        raise run.refusal("trial.unhonoured", Exit.USAGE, file=said, fields=", ".join(fields), remedy=remedy)
    if name in known:
        raise run.refusal("trial.policy_named", Exit.USAGE, file=said, name=name)
    return rules_by(name, policy)


def _fleet(run: Run, asked: Asked) -> Fleet:
    """One that is built in, or of a file; with devices, where jobs are made for it."""
    if asked.fleet not in FLEETS and not Path(asked.fleet).is_file():
        raise run.refusal("trial.unknown_fleet", Exit.USAGE, name=asked.fleet, known=", ".join(FLEETS))
    fleet = built_in(asked.fleet) if asked.fleet in FLEETS else read_fleet(Path(asked.fleet))
    if str(asked.trace) == MADE and not fleet.devices:
        raise run.refusal("trial.no_devices", Exit.USAGE, fleet=asked.fleet)
    return fleet


def _trace(run: Run, asked: Asked, fleet: Fleet) -> tuple[Trace, Mapping[str, str]]:
    """The jobs, and what there is to say of where they are from."""
    if str(asked.trace) == MADE:
        load = Workload().load if asked.load is None else asked.load
        made = national(np.random.default_rng(asked.seed), fleet, Workload(jobs=asked.jobs, load=load))
        begun = int(made.extra["in_progress"].sum())
        run.note("trial.made", jobs=asked.jobs, begun=begun, load=offered_load(made, fleet.devices))
        return made, {
            "seed": str(asked.seed), "trace_source": "dure.simulator.traces.generate", "load": f"{load:g}",
            "in_progress": f"{begun:,}",
        }  # fmt: skip
    reading = read_trace(asked.trace, _options(run, asked))
    _tell_skipped(run, reading)
    notes = {f"skipped.{kind.value}": f"{count:,}" for kind, count in reading.skipped.items()}
    left = ", ".join(f"{what} {count}" for what, count in reading.left_out.items())
    notes |= {"left_out": left} if left else {}
    trace, unknown = _timed(run, asked, reading.trace)
    notes |= {"skipped.no_run_time": f"{unknown:,}"} if unknown else {}
    trace, strayed = _housed(run, asked, trace, fleet)
    if strayed:
        passed_over = strayed + reading.skipped.get(FaultKind.UNKNOWN_QUEUE, 0)
        notes |= {f"skipped.{FaultKind.UNKNOWN_QUEUE.value}": f"{passed_over:,}"}
    if asked.jobs and asked.jobs < len(trace):
        notes["taken"] = f"{asked.jobs:,} / {len(trace):,}"
        trace = trace.take(np.arange(asked.jobs))
    return trace, notes


def _options(run: Run, asked: Asked) -> ReadOptions:
    """How the trace is to be read; what its reader would not look at is refused."""
    plain = ReadOptions(skip_bad=asked.skip_bad, format=asked.format)
    try:
        given = parse_options(asked.read)
        if given:
            of_format(tuple(given), format_of(asked.trace, plain))
    except BadOption as bad:
        raise run.refusal(f"trial.read.{bad.what}", Exit.USAGE, **bad.facts) from bad
    return replace(plain, **given)


def _timed(run: Run, asked: Asked, trace: Trace) -> tuple[Trace, int]:
    """The jobs whose run time is known, and how many others were passed over."""
    unknown = np.flatnonzero(trace.duration_ms < 0)
    if not len(unknown):
        return trace, 0
    if not asked.skip_bad:
        job = trace.name(int(unknown[0]))
        raise run.refusal("trial.no_run_time", Exit.USAGE, file=asked.trace.name, job=job, count=len(unknown))
    if len(unknown) == len(trace):
        raise run.refusal("trial.nothing_left", Exit.USAGE, file=asked.trace.name)
    run.note("trial.skipped_no_run_time", count=len(unknown))
    return trace.take(np.flatnonzero(trace.duration_ms >= 0)), len(unknown)


def _housed(run: Run, asked: Asked, trace: Trace, fleet: Fleet) -> tuple[Trace, int]:
    """The jobs whose queue is a site, where queues are, and how many others were passed over. Of all jobs, whatever part of them
    is taken: whether queues are sites does not hang on that."""
    rows = strays(trace, fleet, _assumptions(asked))
    if not len(rows):
        return trace, 0
    fault = no_such_site(trace, fleet, rows, asked.trace.name)
    if not asked.skip_bad:
        raise TraceError(fault.or_skipped())
    run.note("trial.skipped_queue", count=len(rows))
    run.console.note("  " + str(fault))
    return trace.take(np.setdiff1d(np.arange(len(trace)), rows)), len(rows)


def _assumptions(asked: Asked) -> Assumptions:
    limit_ms = round(asked.limit_days * DAY_MS)
    return Assumptions(
        limit_ms=limit_ms, exact_limits=asked.exact_limits, learned_limits=asked.learned_limits,
        whole_shares=asked.whole_shares, ignore_queues=asked.ignore_queues,
    )  # fmt: skip


def _tell_skipped(run: Run, reading: Reading) -> None:
    if reading.skipped:
        run.note("trial.skipped", count=sum(reading.skipped.values()))
        for fault in reading.first[:3]:
            run.console.note("  " + str(fault))
    for what, count in reading.left_out.items():
        run.note("trial.left_out", what=_left_out(run, what), count=count)


def _left_out(run: Run, what: str) -> str:
    """What records are, in words: those of a reader, or a column by its name."""
    kind, _, name = what.partition(" ")
    return (
        run.t("trial.left_out.column", name=name)
        if kind == "column"
        else run.texts.word("trial.left_out", what.replace(" ", "_"))
    )


def _one(run: Run, asked: Asked, rules: Rules, trace: Trace, fleet: Fleet, notes: Mapping[str, str]) -> Outcome:
    given, every_ms = _assumptions(asked), round(asked.every_s * 1000)
    way = whole_plane if asked.whole_plane else partial(trial, charges=True)
    with _shown(run, rules.name, len(trace)) as bar:
        return way(trace, fleet, rules, name=asked.trace.name, every_ms=every_ms, assumptions=given, notes=notes, say=bar.tell)


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


def _write(run: Run, folder: Path, runs: list[Outcome]) -> None:
    page = folder / "report.html"
    write_html(runs, page, run.texts.lang)
    for outcome in runs:
        write_parquet(outcome, folder / f"{outcome.policy}.parquet")
    run.say("trial.written", page=page, folder=folder)
