"""The job file, and the `job` member of a request: strict and friendly, turned into a `WorkloadSpec`. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from dure.api.units import CoresMilli, DurationMs, MemoryMib, PositiveDurationMs, fault
from dure.model.workload import Demand, WorkloadSpec

COMMAND_BYTES_MAX = 128 << 10  # Linux takes no longer single argument
ENV_MAX = 256
ENV_VALUE_MAX = 32 << 10
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
ENV_RESERVED = "DURE_"  # what the plane itself tells a job
ELEMENTS_MAX = 10_000
WORKERS_MAX = 16_384

_SPACE = re.compile(r"[ \t\r\n]+")
_PIECE = re.compile(r"""[^ \t\r\n'"\\]+|'[^']*'|"(?:[^"\\]|\\.)*"|\\.""", re.DOTALL)
_WORD = re.compile(rf"(?:{_PIECE.pattern})++(?=[ \t\r\n]|\Z)", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r'\\(["\\])')

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$")]
Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


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
        raise fault("bad_format", example="python train.py --epochs 3")
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
            raise fault("reserved", value=name[:64])
        if not ENV_NAME.fullmatch(name):
            raise fault("bad_format", value=name[:64], example="SEED")
        if len(value) > ENV_VALUE_MAX:
            raise fault("too_large", value=name, limit="32KiB")
    return env


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


class Resources(Body):
    """What one worker needs."""

    cores: CoresMilli = 1000
    memory: MemoryMib = 512
    devices: int = Field(default=0, ge=0, le=64, description="accelerator devices per worker")
    accelerators: list[Word] = Field(default=[], max_length=16, description="accepted types, best first; empty: any")


class Job(Body):
    """A job as people write it. Durations and sizes carry their units."""

    version: Literal[1] = 1
    name: Slug
    command: Command
    bundle: str = Field(default="", pattern=r"^([0-9a-f]{64})?$", description="SHA-256 of an uploaded code archive")
    env: Environment = {}
    resources: Resources = Resources()
    workers: int = Field(default=1, ge=1, le=WORKERS_MAX, description="more than 1: a gang, whole or absent")
    array: int | None = Field(default=None, ge=1, le=ELEMENTS_MAX, description="how many elements; absent: one job")
    limit: PositiveDurationMs | None = Field(default=None, description="wall time; absent: the policy's")
    priority: Word = "normal"
    preemptible: bool = True
    checkpoint: PositiveDurationMs | None = Field(default=None, description="interval; absent: writes no checkpoints")
    depends_on: list[Id] = Field(default=[], max_length=1000)
    retries: int = Field(default=0, ge=0, le=100)
    sites: list[Word] = Field(default=[], max_length=256)
    grace: DurationMs = 10_000


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
            devices=resources.devices,
            accelerators=tuple(resources.accelerators),
        ),
        workers=job.workers,
        limit_ms=job.limit or 0,
        priority=job.priority,
        preemptible=job.preemptible,
        checkpoint_interval_ms=job.checkpoint or 0,
        depends_on=tuple(job.depends_on),
        retries=job.retries,
        sites=tuple(job.sites),
        grace_ms=job.grace,
    )
