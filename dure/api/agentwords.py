"""What an agent may say, checked in form before the controller takes it in.

Unlike people's bodies these ignore members that they do not know: agents of the next version talk to this plane too."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from dure.api.faults import reasons_of
from dure.api.units import fault
from dure.model.codec import from_plain
from dure.model.link import Hello, LogChunk, Poll, Report
from dure.model.reason import Reason

COUNT_MAX = 2**53 - 1
DESCRIBE_BYTES_MAX = 16 << 10  # what a backend says of itself is read with every site, for ever
Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]
Short = Annotated[str, Field(max_length=256)]
AnId = Annotated[str, Field(min_length=1, max_length=192)]


class _Words(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class WorkerWords(_Words):
    node: AnId
    devices: list[Annotated[int, Field(ge=0, le=63)]] = Field(default=[], max_length=64)


class EvidenceWords(_Words):
    started_ms: Count = 0
    ended_ms: Count = 0
    run_ms: Count = 0
    cpu_ms: Count = 0
    rss_max_mib: Count = 0
    exit_code: Annotated[int, Field(ge=-(2**31), le=2**32)] | None = None
    signal: Annotated[int, Field(ge=0, le=255)] = 0
    checkpoint_ms: Count = 0
    detail: Short = ""


class AttemptWords(_Words):
    attempt: AnId
    epoch: Count
    workload: Short
    phase: Annotated[str, Field(pattern="^(launching|running|ended)$")]
    outcome: Short = ""  # one that this plane does not know counts as lost: it ended, and nobody here knows how
    evidence: EvidenceWords = EvidenceWords()
    project: Short = ""
    workers: list[WorkerWords] = Field(default=[], max_length=16_384)
    accelerator: Short = ""
    limit_ms: Count = 0
    cores_milli: Count = 0
    memory_mib: Count = 0


class NodeWords(_Words):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    pool: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = "default"
    block: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})?$")] = ""
    cores_milli: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    memory_mib: Annotated[int, Field(ge=0, le=1 << 30)] = 0
    accelerator: Annotated[str, Field(pattern=r"^[a-z0-9_-]{0,63}$")] = ""
    devices: Annotated[int, Field(ge=0, le=64)] = 0
    core_mw: Annotated[int, Field(ge=0, le=10**9)] = 0
    device_mw: Annotated[int, Field(ge=0, le=10**9)] = 0
    idle_mw: Annotated[int, Field(ge=0, le=10**9)] = 0
    shares: bool = False
    up: bool = True


def _one_each(nodes: list[NodeWords]) -> list[NodeWords]:
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            raise fault("duplicate", value=node.name)
        seen.add(node.name)
    return nodes


def _brief(describe: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(describe, ensure_ascii=False, allow_nan=False).encode())
    except ValueError as error:  # a number such as 1e999, which no store could keep
        raise fault("wrong_type", expected="number") from error
    if size > DESCRIBE_BYTES_MAX:
        raise fault("too_large", limit="16KiB")
    return describe


Nodes = Annotated[list[NodeWords], Field(max_length=20_000), AfterValidator(_one_each)]


class HelloWords(_Words):
    protocol: Annotated[int, Field(ge=0, le=1_000_000)]
    agent_version: Short
    boot_id: Short
    describe: Annotated[dict[str, Any], Field(max_length=64), AfterValidator(_brief)]
    nodes: Nodes
    reports: list[AttemptWords] = Field(default=[], max_length=100_000)
    more: bool = False
    epoch: Count = 0


class PollWords(_Words):
    epoch: Count
    wait_ms: Count = 0
    busy: list[Short] = Field(default=[], max_length=100_000)


class ReportWords(_Words):
    epoch: Count
    reports: list[AttemptWords] = Field(default=[], max_length=100_000)
    nodes: Nodes = []
    inventory: bool = False


class LogWords(_Words):
    epoch: Count
    attempt: AnId
    worker: Annotated[int, Field(ge=0, le=16_384)]
    offset: Count
    data: str = ""
    ended: bool = False
    more: bool = True


WORDS: dict[type[Any], type[_Words]] = {Hello: HelloWords, Poll: PollWords, Report: ReportWords, LogChunk: LogWords}
T = TypeVar("T", Hello, Poll, Report, LogChunk)


def understand(kind: type[T], document: Any) -> T | list[Reason]:
    """The record that an agent sent, or what is wrong with it."""
    model = WORDS[kind]
    try:
        words = model.model_validate(document)
    except ValidationError as error:
        return reasons_of(error.errors(include_url=False, include_input=False), model)
    return from_plain(kind, words.model_dump(exclude_unset=True))
