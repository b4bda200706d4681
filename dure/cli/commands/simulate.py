"""Run a scenario on the simulator, or a trace on a fleet."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from dure.cli.exits import Exit
from dure.cli.run import Run
from dure.simulator import run_scenario
from dure.simulator.setting import OWN

MADE = "national"  # in place of a file: a workload that is made for the fleet
JOBS, EVERY_S = 10_000, 60  # of such a workload: how many jobs, and how often it is decided, unless it is said
OF_STORIES = frozenset({"update"})  # options that a scenario takes that is played; it says all else itself
OF_COMPARISONS = frozenset({"policy", "out", "by", "whole_plane", "scenario"})  # and one on which policies are compared
OF_FILES = frozenset({"format", "skip_bad", "read"})  # options of a trace that is read
OF_MADE = frozenset({"seed"})  # and of one that is made
LOAD_LEAST, LOAD_MOST = 0.01, 100
EVERY_MAX_S, LIMIT_DAYS_MAX = 365 * 24 * 3600, 36_500


class Group(StrEnum):
    """By what the jobs of a run are told apart."""

    TENANT = "tenant"
    SIZE = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A comparison of policies, as the command line asks for it."""

    trace: Path
    fleet: str
    policies: tuple[str, ...]
    every_s: float
    out: Path | None
    jobs: int  # 0: all
    load: float | None  # of a workload that is made; None: as it is unless said
    seed: int
    format: str
    read: tuple[str, ...]  # NAME=VALUE each
    by: tuple[str, ...]  # values of Group
    skip_bad: bool
    whole_shares: bool
    exact_limits: bool
    learned_limits: bool
    limit_days: float
    ignore_queues: bool
    whole_plane: bool
    scenario: int = 0  # of a page with several, from 1; 0: it has one


def simulate(
    run: Run,
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="arg.simulated", metavar="FILE", dir_okay=False)],
    update: Annotated[bool, typer.Option("--update", help="opt.update")] = False,
    fleet: Annotated[str, typer.Option("--fleet", help="opt.fleet", metavar="FLEET")] = "",
    policy: Annotated[list[str] | None, typer.Option("--policy", help="opt.policy")] = None,
    every: Annotated[float | None, typer.Option("--every", help="opt.every", metavar="SECONDS", min=0, max=EVERY_MAX_S)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="opt.out_folder", metavar="FOLDER", file_okay=False)] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="opt.jobs", min=0)] = 0,
    load: Annotated[float | None, typer.Option("--load", help="opt.load", min=LOAD_LEAST, max=LOAD_MOST)] = None,
    seed: Annotated[int, typer.Option("--seed", help="opt.seed", min=0)] = 1,
    format: Annotated[str, typer.Option("--format", help="opt.trace_format")] = "",
    read: Annotated[list[str] | None, typer.Option("--read", help="opt.read", metavar="NAME=VALUE")] = None,
    by: Annotated[list[Group] | None, typer.Option("--by", help="opt.by")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="opt.skip_bad")] = False,
    whole_shares: Annotated[bool, typer.Option("--whole-shares", help="opt.whole_shares")] = False,
    exact_limits: Annotated[bool, typer.Option("--exact-limits", help="opt.exact_limits")] = False,
    learned_limits: Annotated[bool, typer.Option("--learned-limits", help="opt.learned_limits")] = False,
    limit_days: Annotated[float, typer.Option("--limit-days", help="opt.limit_days", min=0.001, max=LIMIT_DAYS_MAX)] = 7,
    ignore_queues: Annotated[bool, typer.Option("--ignore-queues", help="opt.ignore_queues")] = False,
    whole_plane: Annotated[bool, typer.Option("--whole-plane", help="opt.whole_plane")] = False,
    scenario: Annotated[int, typer.Option("--scenario", help="opt.scenario", metavar="N", min=0)] = 0,
) -> int:
    """A scenario tells its own fleet; a trace is told which one."""
    made = str(file) == MADE
    if not made and not file.is_file():
        raise run.refusal("submit.unreadable", Exit.USAGE, file=str(file), problem=run.t("os.ENOENT"))
    if load is not None and (not made or math.isnan(load)):
        raise run.refusal("trial.load", Exit.USAGE)
    given = _given(context)
    story = file.suffix == ".md" or not (made or fleet or policy or out)
    compares = story and not given.keys().isdisjoint(OF_COMPARISONS)
    if story:
        takes = OF_COMPARISONS if compares else OF_STORIES
        _check_scenario(run, file, {name: typed for name, typed in given.items() if name not in takes})
    if story and not compares:
        return _scenario(run, file, update)
    if not story and not fleet:
        raise run.refusal("trial.no_fleet", Exit.USAGE)
    never = OF_STORIES | {"scenario"} | (OF_FILES if made else OF_MADE)
    strange = [] if story else [typed for name, typed in given.items() if name in never]
    if strange:
        key = "trial.not_of_made" if made else "trial.not_of_traces"
        raise run.refusal(key, Exit.USAGE, file=str(file), options=", ".join(strange))
    try:
        trials = import_module("dure.cli.commands.trials")  # numba and pyarrow, which nothing else here wants
    except ModuleNotFoundError as missing:
        raise run.refusal("trial.no_extra", Exit.USAGE, module=missing.name) from missing
    asked = Asked(
        trace=file, fleet=fleet, policies=tuple(dict.fromkeys(policy or [OWN if story else "default"])),
        out=out, seed=seed, format=format,
        every_s=every if every is not None else EVERY_S * made, jobs=jobs or (JOBS if made else 0), load=load, skip_bad=skip_bad,
        read=tuple(read or ()), by=tuple(dict.fromkeys(each.value for each in by or ())),
        whole_shares=whole_shares, exact_limits=exact_limits, learned_limits=learned_limits, limit_days=limit_days,
        ignore_queues=ignore_queues, whole_plane=whole_plane, scenario=scenario,
    )  # fmt: skip
    return int((trials.compare_on_scenario if story else trials.compare_policies)(run, asked))


def _given(context: typer.Context) -> dict[str, str]:
    """The options of this command that were typed: by their name here, as they are typed."""
    own = inspect.signature(simulate).parameters.keys() - {"run", "context", "file"}
    typed = {p.name: p.opts[0] for p in context.command.params if p.name in own}
    sources = {name: context.get_parameter_source(name) for name in typed}
    return {name: typed[name] for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def _check_scenario(run: Run, file: Path, strange: Mapping[str, str]) -> None:
    """strange: options that were given, and that it does not take."""
    if "```scenario" not in file.read_text(encoding="utf-8", errors="replace"):
        raise run.refusal("simulate.no_scenario", Exit.USAGE, file=str(file))
    if strange:
        key = "trial.scenario_every" if "every" in strange else "trial.scenario"
        raise run.refusal(key, Exit.USAGE, file=str(file), options=", ".join(strange.values()))


def _scenario(run: Run, file: Path, update: bool) -> int:
    """Tell the story of a scenario file and compare the plane's answers with those that stand in it."""
    result = run_scenario(file)
    run.console.document({"file": str(file), "ok": not result.stale, "stale": result.stale, "page": result.text})
    if update:
        file.write_text(result.text, encoding="utf-8")
    if not result.stale:
        run.say("simulate.same", file=file)
        return Exit.OK
    run.say("simulate.differs", file=file)
    for line in result.stale:
        run.console.say("  " + line)
    return Exit.OK if update else Exit.FAULTY
