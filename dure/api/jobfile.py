"""The job file, and the `job` member of a request: strict and friendly, turned into a `WorkloadSpec`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from dure.api import forms
from dure.api.units import (
    CoresMilli,
    Count,
    DevicesMilli,
    DurationMs,
    EndMs,
    LimitMs,
    MemoryMib,
    PositiveDurationMs,
    SpeedMilli,
    fault,
)
from dure.model.accelerators import Speed
from dure.model.calendar import duration_text
from dure.model.workload import ANYWHERE, Demand, WorkloadSpec

COMMAND_BYTES_MAX = 128 << 10  # Linux takes no longer single argument
ENV_MAX = 256
ENV_VALUE_MAX = 32 << 10
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
ENV_RESERVED = "DURE_"  # what the plane itself tells a job

_SPACE = re.compile(r"[ \t\r\n]+")
_PIECE = re.compile(r"""[^ \t\r\n'"\\]+|'[^']*'|"(?:[^"\\]|\\.)*"|\\.""", re.DOTALL)
_WORD = re.compile(rf"(?:{_PIECE.pattern})++(?=[ \t\r\n]|\Z)", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r'\\(["\\])')

Id = Annotated[str, Field(pattern=forms.ID.pattern)]
Word = Annotated[str, Field(pattern=forms.WORD.pattern)]
Slug = Annotated[str, Field(pattern=forms.SLUG.pattern)]


class Body(BaseModel):
    """What every request body is: strict types, and no member that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _command(value: Any) -> Any:
    """A string is split as a shell would; lists stay as they are."""
    if not isinstance(value, str):
        return value
    if len(value) > COMMAND_BYTES_MAX:
        raise fault("too_large", limit="128KiB")
    words = shell_words(value)
    if words is None:
        raise fault("bad_format", detail="form_quotes", example="python train.py --epochs 3")
    return words


def shell_words(text: str) -> list[str] | None:
    """What `shlex.split` makes of `text`, in time proportional to its length (that one takes its square); None when a quote is
    left open or nothing follows the last backslash."""
    words: list[str] = []
    at = 0
    while at < len(text):
        gap = _SPACE.match(text, at)
        if gap is None:
            word = _WORD.match(text, at)
            if word is None:
                return None
            words.append("".join(_plain(p) for p in _PIECE.findall(word.group())))
        at = (gap or word).end()  # type: ignore[union-attr]
    return words


def _plain(piece: str) -> str:
    """A piece of a word without its quotes and backslashes."""
    if piece[0] == "'":
        return piece[1:-1]
    if piece[0] == '"':
        return _ESCAPED_IN_QUOTES.sub(r"\1", piece[1:-1])
    return piece[1:] if piece[0] == "\\" else piece


def _runnable(command: list[str]) -> list[str]:
    if not command or not command[0]:
        raise fault("bad_format", example="[python, train.py]")
    if sum(len(word.encode()) for word in command) > COMMAND_BYTES_MAX:
        raise fault("too_large", limit="128KiB")
    return command


def _environment(env: dict[str, str]) -> dict[str, str]:
    for name, value in env.items():
        if name.startswith(ENV_RESERVED):
            raise fault("reserved", of=f"env.{name[:64]}", value=ENV_RESERVED)
        if not ENV_NAME.fullmatch(name):
            raise fault("bad_format", of=f"env.{name[:64]}", detail="form_env_name", example="SEED")
        if len(value) > ENV_VALUE_MAX:
            raise fault("too_large", of=f"env.{name}", limit="32KiB")
    return env


def _speeds(speeds: dict[str, int]) -> dict[str, int]:
    for name in speeds:
        if not forms.WORD.fits(name):
            raise fault("bad_format", of=f"resources.speeds.{name[:64]}", example="a100")
    return speeds


_COMMAND_SCHEMA = {
    "anyOf": [
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 4096},
        {"type": "string", "minLength": 1},
    ]
}
Command = Annotated[
    list[str],
    Field(min_length=1, max_length=4096),
    BeforeValidator(_command),
    AfterValidator(_runnable),
    WithJsonSchema(_COMMAND_SCHEMA),
]
Environment = Annotated[dict[str, str], Field(max_length=ENV_MAX), AfterValidator(_environment)]


Speeds = Annotated[dict[str, SpeedMilli], AfterValidator(_speeds)]


class Resources(Body):
    """What one worker needs."""

    cores: CoresMilli = Field(default=1000, description="processor cores of one worker, to a thousandth of a core")
    memory: MemoryMib = Field(default=512, description="memory of one worker, with its unit: 512MiB, 8GiB")
    devices: DevicesMilli = Field(
        default=0, description="accelerator devices of one worker: whole ones, at most 64, or a share of one such as 0.5"
    )
    accelerators: list[Word] = Field(default=[], max_length=16, description="accepted types, best first; empty: any")
    speeds: Speeds = Field(
        default={}, max_length=16, description="how fast it runs on accepted types, measured against the first; absent: as fast"
    )


class Job(Body):
    """A job as people write it. Durations and sizes carry their units."""

    in_files: ClassVar[frozenset[str]] = frozenset({"code"})

    version: Literal[1] = Field(default=1, description="of this format")
    name: Slug = Field(description="1 to 63 of a–z, 0–9 and -, beginning with a letter")
    command: Command = Field(description="a list of words, or a text that is split as a shell would; no shell runs it")
    bundle: str = Field(default="", pattern=forms.SHA256.pattern, description="SHA-256 of an uploaded code archive")
    env: Environment = Field(default={}, description="environment variables; values are text; DURE_… is reserved")
    resources: Resources = Field(default=Resources(), description="what one worker needs")
    workers: Count = Field(
        default=1, ge=1, description="more than 1: a gang, whole or absent; at most `workers_max` of the policy"
    )
    workers_min: Count = Field(
        default=0, ge=0, description="the fewest it can run with, at most `workers`: it starts with as many as there are; 0: all"
    )
    array: Count | None = Field(
        default=None, ge=1, description="how many elements, at most `array_max` of the policy; absent: one job"
    )
    limit: LimitMs | None = Field(
        default=None,
        description="longest wall time, with its unit, at least 1s and at most the policy's `limit_ms_max`; absent: its default",
    )
    deadline: EndMs | None = Field(
        default=None,
        description="by when it has to be over, by its limit; one that cannot be any more fails; absent: any time will do",
    )
    priority: Word = Field(default="normal", description="a priority class of the policy")
    preemptible: bool = Field(default=True, description="may be stopped for others; costs less, and is refunded what it loses")
    checkpoint: PositiveDurationMs | None = Field(
        default=None, description="interval of its checkpoints, with its unit, at most 24h; absent: it writes none"
    )
    depends_on: list[Id] = Field(default=[], description="ids of workloads or arrays that must have succeeded, at most 100")
    retries: Count = Field(
        default=0, ge=0, description="further tries after a failure of its own command, at most `retries_max` of the policy"
    )
    sites: list[Word] = Field(default=[], max_length=256, description="ids of the sites at which it may run; empty: all")
    datasets: list[Slug] = Field(
        default=[], max_length=64, description="names of the data sets that it reads: it goes where they are, if it can"
    )
    topology: Literal["any", "block"] = Field(
        default="any", description="where its workers may sit: anywhere at a site, or all in one topology block of it"
    )
    grace: DurationMs = Field(default=10_000, description="between the polite signal and the kill, with its unit, at most 10m")


def spec_of(job: Job) -> WorkloadSpec:
    """The record that the controller is given."""
    resources = job.resources
    return WorkloadSpec(
        name=job.name,
        command=tuple(job.command),
        env=dict(job.env),
        bundle=job.bundle,
        demand=Demand(
            cores_milli=resources.cores,
            memory_mib=resources.memory,
            devices=resources.devices // 1000,
            share_milli=resources.devices % 1000,
            accelerators=tuple(resources.accelerators),
            speeds=tuple(Speed(accelerator=type_, milli=milli) for type_, milli in resources.speeds.items()),
        ),
        workers=job.workers,
        workers_min=0 if job.workers_min == job.workers else job.workers_min,
        limit_ms=job.limit or 0,
        deadline_ms=job.deadline or 0,
        priority=job.priority,
        preemptible=job.preemptible,
        checkpoint_interval_ms=job.checkpoint or 0,
        depends_on=tuple(job.depends_on),
        retries=job.retries,
        sites=tuple(job.sites),
        datasets=tuple(job.datasets),
        topology="" if job.topology == ANYWHERE else job.topology,
        grace_ms=job.grace,
    )


def job_of(spec: WorkloadSpec) -> dict[str, Any]:
    """A stored job as people would write it, so that it can be submitted again: `spec_of` of it is `spec`."""
    demand = spec.demand
    job = {
        "name": spec.name,
        "command": list(spec.command),
        "bundle": spec.bundle,
        "env": dict(spec.env),
        "resources": {
            "cores": demand.cores_milli / 1000,
            "memory": f"{demand.memory_mib}MiB",
            "devices": demand.share_milli / 1000 if demand.share_milli else demand.devices,
            "accelerators": list(demand.accelerators),
            **({"speeds": {s.accelerator: s.milli / 1000 for s in demand.speeds}} if demand.speeds else {}),
        },
        "workers": spec.workers,
        **({"workers_min": spec.workers_min} if spec.workers_min else {}),
        "limit": duration_text(spec.limit_ms),
        **({"deadline": spec.deadline_ms} if spec.deadline_ms else {}),
        "priority": spec.priority,
        "preemptible": spec.preemptible,
        "depends_on": list(spec.depends_on),
        "retries": spec.retries,
        "sites": list(spec.sites),
        "datasets": list(spec.datasets),
        "topology": spec.topology or ANYWHERE,
        "grace": duration_text(spec.grace_ms),
    }
    checkpoint = {"checkpoint": duration_text(spec.checkpoint_interval_ms)} if spec.checkpoint_interval_ms else {}
    return {**job, **checkpoint}


def merged(job: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`job` with `changes` (RFC 7396): a member of null goes back to its default, `resources` and `env` are changed by member."""
    made = dict(job)
    for name, value in changes.items():
        within = made.get(name)
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merged(within, value) if isinstance(value, Mapping) and isinstance(within, Mapping) else value
    return made
