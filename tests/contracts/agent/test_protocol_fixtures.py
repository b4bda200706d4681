"""Words recorded from protocol 1 are understood by this and every later version, with or without members added since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dure.model import link
from dure.model.codec import from_plain, to_plain

RECORDED = Path(__file__).parents[2] / "fixtures" / "link" / "v1"
KINDS: dict[str, type[Any]] = {
    "hello": link.Hello,
    "hello_answer": link.HelloAnswer,
    "poll": link.Poll,
    "poll_answer": link.PollAnswer,
    "report": link.Report,
    "report_answer": link.ReportAnswer,
    "log_chunk": link.LogChunk,
    "log_answer": link.LogAnswer,
}


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def with_strangers(plain: Any) -> Any:
    """The same with members that this version has never heard of, at every depth."""
    if isinstance(plain, list):
        return [with_strangers(p) for p in plain]
    if isinstance(plain, dict):
        return {**{k: with_strangers(v) for k, v in plain.items()}, "from_the_future": {"x": [1]}}
    return plain


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(k in whole and contains(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


def test_every_word_of_the_protocol_is_recorded() -> None:
    assert {p.stem for p in RECORDED.glob("*.json")} == KINDS.keys()
    assert link.PROTOCOL_OLDEST <= 1 <= link.PROTOCOL


@pytest.mark.parametrize("name", KINDS)
def test_a_recorded_word_is_understood_and_said_again_without_loss(name: str) -> None:
    plain = recorded(name)
    assert contains(to_plain(from_plain(KINDS[name], plain)), plain)


@pytest.mark.parametrize("name", KINDS)
def test_a_word_with_members_of_a_later_version_means_the_same(name: str) -> None:
    plain = recorded(name)
    assert to_plain(without(from_plain(KINDS[name], with_strangers(plain)))) == to_plain(from_plain(KINDS[name], plain))


def without(word: Any) -> Any:
    """Free-form mappings (describe, nodes, head, env) carry strangers along; everything else has dropped them."""
    return from_plain(type(word), _cleaned(to_plain(word)))


def _cleaned(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_cleaned(p) for p in plain]
    if isinstance(plain, dict):
        return {k: _cleaned(v) for k, v in plain.items() if k != "from_the_future"}
    return plain


def test_strangers_are_dropped_where_the_shape_is_fixed() -> None:
    answer = from_plain(link.PollAnswer, with_strangers(recorded("poll_answer")))
    assert "from_the_future" not in to_plain(answer.orders[0])
    assert answer.orders[1].spec is not None and answer.orders[1].spec.demand.devices == 2


@pytest.mark.parametrize("name", ["poll", "report", "report_answer", "log_answer", "poll_answer"])
def test_only_what_identifies_a_word_must_be_there(name: str) -> None:
    least = {"poll": {"epoch": 1}, "report": {"epoch": 1}, "poll_answer": {"incarnation": 1}}.get(name, {})
    assert contains(to_plain(from_plain(KINDS[name], least)), least)
