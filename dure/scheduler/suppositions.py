"""The language of suppositions: "site pohang drained", "now +2h". A text becomes frozen data, or a Reason that names the word.

The grammar of a form is its usage line: small words stand for themselves ("up|down" for one of several), capital ones for values
(`VALUES`), and what is in brackets may be left out. A form that is added to the table of `suppose` is understood at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from dure.model.calendar import parse_duration
from dure.model.envelope import parse_watts
from dure.model.reason import Reason, ReasonKind

Value = int | str | tuple[str, ...]

TEXT_MAX = 256  # characters of one supposition
SUPPOSED_MAX = 16  # suppositions of one question: each may copy every column
_ID = re.compile(r"[^\s,]{1,128}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_WON = re.compile(r"\+([0-9][0-9,_]{0,22})(won|원)")
_CORES = re.compile(r"([0-9]{1,5})(?:\.([0-9]{1,3}))?")
_MEMORY = re.compile(r"([0-9]{1,9})([KMGT])i?B")
_MIB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1 << 20}
_WON_MAX = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposition:
    """text: as it was said, single-spaced. usage: the line of the table that it is an instance of. values: what stands for the
    capital words of that line, and under "" the small word that was chosen, where there is a choice."""

    text: str
    usage: str
    values: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))

    def word(self, name: str) -> str:
        return str(self.values.get(name, ""))

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(self.values[name])  # type: ignore[arg-type]

    def number(self, name: str) -> int:
        return int(self.values[name])  # type: ignore[arg-type]


def refused(text: str, wrong: str, token: str = "", **facts: object) -> Reason:
    """Why this cannot be supposed. wrong: a machine word of `reason_words.SUPPOSITION_FAULTS`."""
    return Reason.of(ReasonKind.BAD_SUPPOSITION, supposition=text, wrong=wrong, token=token, **facts)


def _id(token: str) -> str | None:
    return token if _ID.fullmatch(token) else None


def _ids(token: str) -> tuple[str, ...] | None:
    found = tuple(dict.fromkeys(token.split(",")))
    return found if all(_id(t) for t in found) else None


def _number(token: str) -> int | None:
    return int(token) if _NUMBER.fullmatch(token) else None


def _more(token: str) -> int | None:
    return _number(token[1:]) if token.startswith("+") else None


def _later(token: str) -> int | None:
    return parse_duration(token[1:]) if token.startswith("+") else None


def _won(token: str) -> int | None:
    found = _WON.fullmatch(token)
    amount = int(found[1].replace(",", "").replace("_", "")) if found else 0
    return amount if 0 < amount <= _WON_MAX else None


def _cores_milli(token: str) -> int | None:
    found = _CORES.fullmatch(token)
    return int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0")) if found else None


def _memory_mib(token: str) -> int | None:
    """MiB, rounded up; "GB" is read as "GiB", as a supposition is no order."""
    found = _MEMORY.fullmatch(token)
    return -int(-int(found[1]) * _MIB[found[2]] // 1) if found else None


def _amount(token: str) -> int | None:
    """A whole number, or a duration in ms."""
    number = _number(token)
    return parse_duration(token) if number is None else number


# What a capital word stands for: token → value, None when it is none of these.
VALUES: Mapping[str, Callable[[str], Value | None]] = MappingProxyType({
    "SITE": _id, "NODE": _id, "WORKLOAD": _id, "PROJECT": _id, "CLASS": _id, "TYPE": _id, "FIELD": _id, "TYPES": _ids,
    "NUMBER": _number, "+COUNT": _more, "TIME": parse_duration, "+TIME": _later, "+WON": _won, "CORES": _cores_milli,
    "MEMORY": _memory_mib, "VALUE": _amount, "WATTS": parse_watts,
})  # fmt: skip


def parse(text: str, usages: Sequence[str]) -> Supposition | Reason:
    """The supposition that a text says, in the grammar of these usage lines; else what is wrong with which word of it."""
    tokens = text.split()
    said = " ".join(tokens)
    if len(text) > TEXT_MAX:
        return refused(said[:TEXT_MAX], "too_long", most=TEXT_MAX)
    readings = [(usage, *_read(tokens, usage)) for usage in usages]
    for usage, values, _ in readings:
        if values is not None:
            return Supposition(text=said, usage=usage, values=MappingProxyType(values))
    furthest = max(read for _, _, read in readings)
    allowed = [usage for usage, _, read in readings if read == furthest]
    if furthest < len(tokens):
        return refused(said, "word", tokens[furthest], allowed=allowed)
    return refused(said, "ends_early", tokens[-1] if tokens else "", allowed=allowed)


def parse_all(texts: Sequence[str], usages: Sequence[str]) -> tuple[Supposition, ...] | Reason:
    """Every one, or the reason of the first that cannot be read."""
    if len(texts) > SUPPOSED_MAX:
        return refused(" ".join(texts[SUPPOSED_MAX].split())[:TEXT_MAX], "too_many", most=SUPPOSED_MAX)
    read = [parse(text, usages) for text in texts]
    wrong = next((r for r in read if isinstance(r, Reason)), None)
    return wrong if wrong is not None else tuple(r for r in read if isinstance(r, Supposition))


def _read(tokens: Sequence[str], usage: str) -> tuple[dict[str, Value] | None, int]:
    """The values of a text in this form, None when it is not of it; and how many of its words fit."""
    values: dict[str, Value] = {}
    expected = usage.split()
    for at, token in enumerate(tokens):
        if at >= len(expected) or not _take(expected[at].strip("[]"), token, values):
            return None, at
    left = expected[len(tokens) :]
    return (None if any(not word.startswith("[") for word in left) else values), len(tokens)


def _take(word: str, token: str, values: dict[str, Value]) -> bool:
    """Whether the token is what stands here; its value is kept."""
    if word in VALUES:
        value = VALUES[word](token)
        if value is None:
            return False
        values[word] = value
        return True
    choices = word.split("|")
    if len(choices) > 1 and token in choices:
        values[""] = token
    return token in choices
