"""Arguments and options that several commands share. Their help is a key of the text catalogue."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer


class EmptyId(typer.BadParameter):
    """A text that names nothing, as of a variable that a script forgot to set. Asked for, it could only mean another thing."""


def filled(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
    """Callback of an argument or option that names a thing: what was given is not empty. Left out, an option may be."""
    source = context.get_parameter_source(parameter.name or "")
    given = value if isinstance(value, (list, tuple)) else [value]
    if source is not None and source.name == "COMMANDLINE" and any(isinstance(v, str) and not v.strip() for v in given):
        raise EmptyId("")
    return value


Id = Annotated[str, typer.Argument(help="arg.id", metavar="ID")]
NewId = Annotated[str, typer.Argument(help="arg.new_id", metavar="ID")]
WorkloadId = Annotated[str, typer.Argument(help="arg.workload", metavar="ID")]
Name = Annotated[str, typer.Option("--name", help="opt.name")]
Amount = Annotated[int, typer.Option("--amount", help="opt.amount", min=1)]
Starts = Annotated[str, typer.Option("--starts", help="opt.starts", metavar="DATE")]
Limit = Annotated[int, typer.Option("--limit", "-n", help="opt.page", min=1, max=10_000)]
Sites = Annotated[list[str] | None, typer.Option("--site", help="opt.award_site", callback=filled)]
WhatIf = Annotated[list[str] | None, typer.Option("--what-if", help="opt.what_if", metavar="SUPPOSITION", callback=filled)]
File = Annotated[Path, typer.Argument(help="arg.file", metavar="FILE", dir_okay=False)]


# -- a job on the command line: the options that submit, quote and resubmit share; each is the member of a job file with its name

JobOptions = dict[str, Any]  # by the names below, without those that were not given
JobName = Annotated[str, typer.Option("--name", help="opt.job_name")]
Cores = Annotated[float, typer.Option("--cores", help="opt.cores", min=0)]
Memory = Annotated[str, typer.Option("--memory", help="opt.memory", metavar="SIZE")]
Devices = Annotated[float, typer.Option("--devices", help="opt.devices", min=0)]
Accelerators = Annotated[list[str] | None, typer.Option("--accelerator", help="opt.accelerator")]
Workers = Annotated[int, typer.Option("--workers", help="opt.workers", min=0)]
WorkersMin = Annotated[int, typer.Option("--workers-min", help="opt.workers_min", min=0)]
Array = Annotated[int, typer.Option("--array", help="opt.array", min=0)]
TimeLimit = Annotated[str, typer.Option("--limit", help="opt.limit", metavar="TIME")]
Deadline = Annotated[str, typer.Option("--deadline", help="opt.deadline", metavar="MOMENT")]
Priority = Annotated[str, typer.Option("--priority", help="opt.priority")]
Topology = Annotated[str, typer.Option("--topology", help="opt.topology", metavar="any|block")]
Checkpoint = Annotated[str, typer.Option("--checkpoint", help="opt.checkpoint", metavar="TIME")]
Datasets = Annotated[list[str] | None, typer.Option("--dataset", help="opt.dataset", metavar="NAME")]
Env = Annotated[list[str] | None, typer.Option("--env", "-e", help="opt.env", metavar="NAME=VALUE")]
Set = Annotated[list[str] | None, typer.Option("--set", help="opt.set", metavar="FIELD=VALUE")]


def _declared(
    *,
    name: JobName = "",
    cores: Cores = 0,
    memory: Memory = "",
    devices: Devices = 0,
    accelerators: Accelerators = None,
    workers: Workers = 0,
    workers_min: WorkersMin = 0,
    array: Array = 0,
    limit: TimeLimit = "",
    deadline: Deadline = "",
    priority: Priority = "",
    topology: Topology = "",
    checkpoint: Checkpoint = "",
    datasets: Datasets = None,
    env: Env = None,
) -> None:
    """Only its signature counts."""


def with_job_options(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """The command, whose parameter `given: JobOptions` becomes one option for each of a job's members."""
    options = inspect.signature(_declared, eval_str=True).parameters
    own = inspect.signature(command, eval_str=True).parameters

    @functools.wraps(command)
    def taking(*args: Any, **words: Any) -> int | None:
        given = {name: words.pop(name) for name in options if words.get(name)}
        return command(*args, given=given, **{name: value for name, value in words.items() if name not in options})

    parameters = [p.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for p in own.values() if p.name != "given"]
    parameters += options.values()
    taking.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return taking
