"""An older reader and a newer writer: what is not known is ignored, refused, or dropped, by one rule for each place."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model import codec
from dure.model.codec import INFORMATIONAL, changed, filler, from_plain, json_writer, nothing, one_by_one, to_plain
from dure.model.link import GRACE_MS, AttemptReport, Order, PollAnswer
from dure.model.tenancy import Grant
from dure.model.workload import Outcome, Worker

LAUNCH = {"verb": "launch", "attempt": "a", "epoch": 3, "workload": "w"}


def test_an_unknown_value_refuses_the_record_that_it_stands_in() -> None:
    with pytest.raises(ValueError, match="owner"):
        from_plain(Grant, {"id": "g", "actor": "a", "role": "owner"})


def test_where_a_value_only_informs_an_unknown_one_is_dropped() -> None:
    said = {"attempt": "a", "epoch": 1, "workload": "w", "phase": "ended"}
    assert from_plain(AttemptReport, {**said, "outcome": "lost"}).outcome is Outcome.LOST
    assert from_plain(AttemptReport, {**said, "outcome": Outcome.LOST}).outcome is Outcome.LOST
    for strange in ("evaporated", None, 7, ["lost"], {}):
        assert from_plain(AttemptReport, {**said, "outcome": strange}) == from_plain(AttemptReport, said)


def test_an_unknown_cause_does_not_keep_a_stop_from_being_carried_out() -> None:
    stop = from_plain(Order, {"verb": "stop", "attempt": "a", "epoch": 3, "cause": "evicted_by_weather", "grace_ms": 5})
    assert stop == Order(verb="stop", attempt="a", epoch=3, grace_ms=5)


@pytest.mark.parametrize(
    "broken",
    [{"spec": {"name": "n"}}, {"spec": 7}, {"workers": [{"devices": []}]}, {"workers": 1}, {"spec": {"name": "n", "command": 3}}],
)
def test_an_order_that_cannot_be_read_is_left_without_what_could_be_carried_out_and_the_others_stand(broken: Any) -> None:
    orders = [{**LAUNCH, **broken}, {**LAUNCH, "attempt": "b", "limit_ms": 9}]
    answer = from_plain(PollAnswer, {"incarnation": 1, "orders": orders})
    assert answer.orders == (
        Order(verb="launch", attempt="a", epoch=3, workload="w", grace_ms=GRACE_MS),
        Order(verb="launch", attempt="b", epoch=3, workload="w", limit_ms=9),
    )


def test_a_stop_that_cannot_be_read_is_a_stop_all_the_same() -> None:
    plain = {"verb": "stop", "attempt": "a", "epoch": 3, "workload": 8, "workers": 1}
    (stop,) = from_plain(PollAnswer, {"incarnation": 1, "orders": [plain]}).orders
    assert stop == Order(verb="stop", attempt="a", epoch=3, grace_ms=GRACE_MS)


@pytest.mark.parametrize(
    "plain",
    [None, 7, [], "launch", {}, {"verb": "stop"}, {**LAUNCH, "attempt": 7, "spec": 1}, {**LAUNCH, "epoch": "3", "spec": 1}],
)
def test_what_names_no_attempt_is_left_out(plain: Any) -> None:
    assert from_plain(PollAnswer, {"incarnation": 1, "orders": [plain]}).orders == ()


def test_a_wish_for_a_log_that_cannot_be_read_is_left_out() -> None:
    logs = [{"attempt": "a"}, {"attempt": "a", "worker": 0, "offset": 3}, None]
    assert [w.offset for w in from_plain(PollAnswer, {"incarnation": 1, "logs": logs}).logs] == [3]


def test_a_list_of_records_that_stand_for_each_other_is_refused_as_a_whole() -> None:
    with pytest.raises(TypeError):
        from_plain(Order, {**LAUNCH, "workers": [{"node": "n"}, {"devices": [1]}]})


def test_the_marks_of_a_field_change_nothing_about_what_is_written() -> None:
    @dataclass(frozen=True)
    class Marked:
        outcome: Outcome = field(default=Outcome.NONE, metadata=INFORMATIONAL)
        workers: tuple[Worker, ...] = field(default=(), metadata=one_by_one(nothing))

    assert Marked() == Marked(outcome=Outcome.NONE, workers=())
    full = Marked(outcome=Outcome.LOST, workers=(Worker(node="n"),))
    assert to_plain(full) == {"outcome": "lost", "workers": [{"node": "n", "devices": []}]}
    assert from_plain(Marked, to_plain(full)) == full
    with pytest.raises(TypeError):
        from_plain(Marked, {"workers": 7})


def test_a_changed_record_is_what_replace_would_make() -> None:
    worker = Worker(node="s/n", devices=(1, 2))
    assert changed(worker, devices=()) == replace(worker, devices=()) and changed(worker) == worker
    assert (worker.devices, type(changed(worker))) == ((1, 2), Worker)
    with pytest.raises(KeyError, match="nodes"):
        changed(worker, nodes="s/m")


def test_a_record_is_filled_with_the_values_of_all_its_fields_in_order() -> None:
    fill = filler(Grant, {"id": str.upper})
    made = Grant(id="g", actor="a", role="admin", scope="*", version=3)
    values = [getattr(made, name) for name in codec.field_names(Grant)]
    assert fill(values) == replace(made, id="G")
    for wrong in (values[:-1], [*values, 1]):
        with pytest.raises(ValueError, match="values"):
            fill(wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
ENCODERS = (
    json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False),
    json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=repr),
)


@pytest.mark.parametrize("encoder", ENCODERS)
@given(JSON)
def test_a_writer_writes_what_its_encoder_does(encoder: json.JSONEncoder, value: Any) -> None:
    assert json_writer(encoder)(value) == encoder.encode(value)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_writer_takes_and_refuses_what_its_encoder_does(encoder: json.JSONEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    infinite, strange = float("inf"), object()
    for write in (json_writer(encoder), _without_c(encoder, monkeypatch)):
        assert write(("대", {"b": 1, "a": [Outcome.LOST]})) == encoder.encode(["대", {"b": 1, "a": ["lost"]}])
        if encoder is ENCODERS[0]:
            assert write(infinite) == "Infinity"
            with pytest.raises(TypeError, match="object"):
                write(strange)
        else:
            assert write([strange]) == json.dumps([repr(strange)])
            with pytest.raises(ValueError, match="JSON"):
                write(infinite)


def _without_c(encoder: json.JSONEncoder, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(codec, "c_make_encoder", None)
    return json_writer(encoder)
