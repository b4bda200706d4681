"""How a trace is to be read: every choice that a reader makes where a format leaves something open, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from dure.simulator.traces.faults import Fault, FaultKind
from dure.simulator.traces.trace import Trace


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Without options nothing is assumed: what a trace does not say stays unknown."""

    skip_bad: bool = False  # pass over rows that cannot be used, and count them by kind of fault
    format: str = ""  # a reader's name (registry.READERS); "" finds it by what the file holds
    queues: frozenset[str] | None = None  # the only queues that there are: a job of another one is a fault; None takes all
    variant: str = "default"  # of a file with a column `variant` (openb): which list to read
    devices_per_node: int = 0  # a job of more devices becomes a gang of whole nodes and a rest; 0 leaves it as told
    cores_milli_per_device: int = -1  # for jobs whose cores are unknown: so many a device (shares in proportion); -1 none
    memory_mib_per_device: int = -1  # likewise
    swf_processor: str = "core"  # what one processor of an SWF log is: "core" (a worker each) or "device" (one worker of them)
    allocated: bool = False  # sacct: take what was allocated, not what was asked for (AllocTRES before ReqTRES)
    philly_span: bool = False  # Philly's JSON: duration is first start to last end, not the sum of the attempts


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A trace, and what was not taken into it. skipped: rows passed over for a fault; left_out: records that the format itself
    says are no jobs (steps, partial executions), or that say nothing of what was asked for; header: what the file says of
    itself."""

    trace: Trace
    format: str
    skipped: Mapping[FaultKind, int] = field(default_factory=dict)
    first: tuple[Fault, ...] = ()  # of the skipped
    left_out: Mapping[str, int] = field(default_factory=Counter)
    header: Mapping[str, str] = field(default_factory=dict)


# -- as people type them -------------------------------------------------------------------------------------------------------

WHOLE_MAX = 1 << 40
_YES = MappingProxyType({"yes": True, "true": True, "no": False, "false": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the options that are typed as NAME=VALUE. formats: whose readers look at it. values: the words that will do, () for
    any; least: of a whole number; None: it is none."""

    formats: tuple[str, ...]
    values: tuple[str, ...] = ()
    least: int | None = None


_ALL = ("parquet", "swf", "sacct", "philly", "csv")
CHOICES: Mapping[str, Choice] = MappingProxyType({
    "variant": Choice(formats=("csv", "parquet")),
    "swf_processor": Choice(formats=("swf",), values=("core", "device")),
    "allocated": Choice(formats=("sacct",), values=("yes", "no")),
    "philly_span": Choice(formats=("philly",), values=("yes", "no")),
    "devices_per_node": Choice(formats=_ALL, least=1),
    "cores_milli_per_device": Choice(formats=_ALL, least=0),
    "memory_mib_per_device": Choice(formats=_ALL, least=0),
    "queues": Choice(formats=_ALL),
})  # fmt: skip


class BadOption(Exception):
    """What was typed is no option of a reader. what: "form" (no NAME=VALUE), "unknown" (no such name), "twice", "word" (none of
    the values), "number" (not a whole number, or below the least), "empty", or "format" (of other formats). facts: for a
    message."""

    def __init__(self, what: str, **facts: str) -> None:
        super().__init__(what, facts)
        self.what, self.facts = what, facts


def parse_options(typed: Sequence[str]) -> dict[str, Any]:
    """Members of `ReadOptions` out of NAME=VALUE each. Raises BadOption."""
    found: dict[str, Any] = {}
    for said in typed:
        name, equals, value = (part.strip() for part in said.partition("="))
        if not equals:
            raise BadOption("form", said=said, known=", ".join(CHOICES))
        if name not in CHOICES:
            raise BadOption("unknown", name=name, known=", ".join(CHOICES))
        if name in found:
            raise BadOption("twice", name=name)
        if not value:
            raise BadOption("empty", name=name)
        found[name] = _value(name, value, CHOICES[name])
    return found


def of_format(names: Sequence[str], form: str) -> None:
    """Raises BadOption for the first option that the reader of this format does not look at."""
    for name in names:
        if form not in CHOICES[name].formats:
            known = ", ".join(each for each, choice in CHOICES.items() if form in choice.formats)
            raise BadOption("format", name=name, format=form, formats=", ".join(CHOICES[name].formats), known=known)


def _value(name: str, value: str, choice: Choice) -> Any:
    if choice.least is not None:
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 19 else -1
        if not choice.least <= number <= WHOLE_MAX:
            raise BadOption("number", name=name, value=value, least=f"{choice.least:,}")
        return number
    if choice.values and value not in choice.values and not (choice.values == ("yes", "no") and value in _YES):
        raise BadOption("word", name=name, value=value, known=", ".join(choice.values))
    if name == "queues":
        queues = frozenset(part.strip() for part in value.split(",") if part.strip())
        if not queues:
            raise BadOption("empty", name=name)
        return queues
    return _YES[value] if choice.values == ("yes", "no") else value
