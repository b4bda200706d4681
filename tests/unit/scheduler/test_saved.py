"""A snapshot in a file: whole, or refused with what is wrong."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from dure.errors import InvariantViolated
from dure.model.policy import Policy, Price
from dure.model.reason import Reason, ReasonKind
from dure.model.render import render
from dure.scheduler import Snapshot, decode, encode
from dure.scheduler import saved as module
from dure.scheduler.saved import HEADER_MAX
from tests.builders.world import World

Header = dict[str, Any]


def snapshot() -> Snapshot:
    policy = replace(Policy(), prices=(Price(resource="core", nano=7),), reservations_max=3)
    made = World(policy=policy, draining=True).site("s1", nodes=2, devices=2, accelerator="x").site("서울", nodes=1)
    made.award("lab", 77).attempt("a1", [("s1/n0", 3)]).pending("w1", devices=1, hold=5).pending("w2", sites=["s1"])
    return made.snapshot()


def opened(data: bytes) -> tuple[Header, bytes]:
    line, _, body = zlib.decompress(data, 31).partition(b"\n")
    return json.loads(line), body


def sealed(header: Any, body: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(json.dumps(header).encode() + b"\n" + body) + packer.flush()


def place_of(fields: dict[str, dict[str, object]], wanted: object) -> int:
    """Where in the body a column begins."""
    flat = [part for field in fields.values() for part in (field.get("fields", {"": field}).values())]  # type: ignore[attr-defined]
    return sum(part.get("bytes", 0) for part in flat[: next(i for i, part in enumerate(flat) if part is wanted)])


def changed(change: Callable[[Header], object]) -> bytes:
    header, body = opened(encode(snapshot()))
    change(header)
    return sealed(header, body)


def refusal(data: bytes, **bounds: int) -> dict[str, Any]:
    found = decode(data, **bounds)
    assert isinstance(found, Reason) and found.kind == ReasonKind.SNAPSHOT_UNREADABLE, found
    for lang in ("en", "ko"):
        assert "‹" not in str(render(found, lang))
    return dict(found.facts)


def test_what_is_read_is_what_was_written_to_the_byte_and_cannot_be_changed() -> None:
    data = encode(snapshot())
    again = decode(data)
    assert isinstance(again, Snapshot)
    assert encode(again) == data == encode(snapshot())
    assert again.sites.ids == ("s1", "서울") and again.draining is True and again.policy == snapshot().policy
    assert again.pending.limit_ms.dtype == np.int64 and not again.pending.limit_ms.flags.writeable
    assert again.awards.site_ok.shape == (1, 2)


def test_a_file_describes_itself() -> None:
    header, body = opened(encode(snapshot()))
    assert (header["format"], header["version"], header["body_bytes"]) == ("dure-snapshot", 1, len(body))
    assert header["fields"]["sites"]["fields"]["reachable"] == {"dtype": "|b1", "shape": [2], "bytes": 2}
    assert header["fields"]["now_ms"] == {"value": snapshot().now_ms}


def test_an_id_with_a_line_end_is_no_id() -> None:
    s = snapshot()
    with pytest.raises(InvariantViolated, match="line end"):
        encode(replace(s, sites=replace(s.sites, ids=("a\n", "b"))))


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04", zlib.compress(b"x")])
def test_what_is_no_snapshot_is_called_so(data: bytes) -> None:
    assert refusal(data)["wrong"] in ("not_one", "damaged")
    assert data == b"" or refusal(data)["wrong"] == "not_one"


@pytest.mark.parametrize("header", [[], "x", {"format": "other"}, {}])
def test_another_kind_of_file_is_no_snapshot(header: object) -> None:
    assert refusal(sealed(header, b""))["wrong"] == "not_one"


def test_a_header_without_an_end_is_not_read() -> None:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    for line in (b"[" * HEADER_MAX, b"x" * (HEADER_MAX + 1), b"{not json"):
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        assert refusal(packer.compress(line) + packer.flush())["wrong"] == "not_one"


def test_a_damaged_file_is_never_planned_from() -> None:
    data = encode(snapshot())
    for at in range(0, len(data), 7):
        broken = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        found = decode(broken)
        assert isinstance(found, Reason) or encode(found) == data, "a flag of the frame that says nothing may differ"
    assert refusal(data[:-9])["wrong"] == "damaged"
    assert refusal(data + b"more")["wrong"] == "damaged"


def test_another_version_is_refused_and_named() -> None:
    facts = refusal(changed(lambda h: h.update(version=2)))
    assert (facts["wrong"], facts["found"], facts["known"]) == ("version", "2", 1)


def test_a_file_larger_than_the_bound_is_refused() -> None:
    assert refusal(encode(snapshot()), bytes_max=100) == {"wrong": "too_large", "limit_bytes": 100}


def test_columns_that_are_missing_or_unknown_are_named() -> None:
    def lose(h: Header) -> None:
        del h["fields"]["draining"]
        h["fields"]["weather"] = {"value": 1}

    facts = refusal(changed(lose))
    assert (facts["lacks"], facts["strange"]) == (["draining"], ["weather"])
    facts = refusal(changed(lambda h: h["fields"]["nodes"]["fields"].pop("usable")))
    assert facts["lacks"] == ["nodes.usable"]


@pytest.mark.parametrize(
    ("group", "name", "member", "value", "wrong"),
    [
        ("nodes", "site", "dtype", "<i8", "nodes.site"), ("nodes", "site", "shape", [-3], "nodes.site"),
        ("sites", "ids", "texts", 5, "sites.ids"),
    ],
)  # fmt: skip
def test_a_column_of_another_kind_is_named(group: str, name: str, member: str, value: object, wrong: str) -> None:
    facts = refusal(changed(lambda h: h["fields"][group]["fields"][name].update({member: value})))
    assert facts["wrong_kind"] == [wrong]


def test_a_number_that_is_none_is_named() -> None:
    for value in ("now", 1.5, True):
        assert refusal(changed(lambda h, v=value: h["fields"]["now_ms"].update(value=v)))["wrong_kind"] == ["now_ms"]  # type: ignore[misc]
    texts = changed(lambda h: h["fields"].update(sites={"fields": {**h["fields"]["sites"]["fields"], "reachable": {"value": 1}}}))
    assert refusal(texts)["wrong_kind"] == ["sites.reachable"]
    ids = changed(lambda h: h["fields"]["sites"]["fields"].update(ids={"dtype": "<i4", "shape": [0], "bytes": 0}))
    assert refusal(ids)["wrong_kind"] == ["sites.ids"]


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["fields"]["nodes"]["fields"]["site"].update(shape=[1]),
        lambda h: h["fields"]["nodes"]["fields"]["site"].update(bytes=10**9),
        lambda h: h["fields"]["nodes"]["fields"]["site"].update(bytes="many"),
        lambda h: h.update(body_bytes=3), lambda h: h.update(fields=7), lambda h: h.pop("fields"),
        lambda h: h["fields"]["policy"].update(value={"classes": 3}),
        lambda h: h["fields"]["awards"]["fields"]["accelerator_ok"].update(bytes=0, shape=[0]),
    ],
)  # fmt: skip
def test_a_header_that_contradicts_itself_is_damage(change: Callable[[Header], object]) -> None:
    assert refusal(changed(change))["wrong"] == "damaged"


def test_a_column_that_files_lack_takes_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Later(Snapshot):
        caps: int = 5

    data = encode(snapshot())
    hints = {**module._known(Snapshot)}
    hints["caps"] = (Later.__dataclass_fields__["caps"], int)
    made, _ = module._made(Later, *_parts(data, monkeypatch, hints), 0)
    assert made.caps == 5


def _parts(data: bytes, monkeypatch: pytest.MonkeyPatch, hints: Any) -> tuple[Header, bytes]:
    known = module._known
    monkeypatch.setattr(module, "_known", lambda kind: hints if kind.__name__ == "Later" else known(kind))
    header, body = opened(data)
    return header["fields"], body


def with_column(name: str, change: Callable[[Any], Any]) -> bytes:
    """The file of a snapshot of which one column is another."""
    s, (group, column) = full(), name.split(".")
    members = getattr(s, group)
    return encode(replace(s, **{group: replace(members, **{column: change(getattr(members, column).copy())})}))


def full() -> Snapshot:
    """With something in every column."""
    made = World(policy=Policy(moves=True)).site("s1", nodes=2, devices=8, accelerator="x", data=("d",), power=[(-5, 9_000_000)])
    made.node("s1/n9", "s1", closed=[(60, 90)])
    made.award("lab", 77).attempt("a1", [("s1/n0", 3)], rest=60).pending("w1", devices=1, hold=5, sites=["s1"], data=["d"])
    return made.claim("c", [("s1/n0", 3)], ["a1"]).snapshot()


def put(at: int, value: int) -> Callable[[Any], Any]:
    def change(column: Any) -> Any:
        column[at] = value
        return column

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nodes.site", 1), ("nodes.site", -1), ("nodes.accelerator", 1), ("nodes.block", 3), ("attempts.state", 4),
        ("attempts.project", 9), ("attempts.beneficiary", 2), ("attempts.follows", 2), ("attempts.follows", -2),
        ("attempts.rest_ms", -1), ("attempts.rest_ms", 2**62 + 1), ("attempts.grace_ms", -1), ("attempts.worker_node", 3),
        ("attempts.worker_ptr", 1), ("pending.project", 1), ("pending.dependency", 3), ("pending.workers", 0),
        ("pending.site_row", 1), ("pending.site_row", -2), ("pending.data_row", 1), ("pending.limit_ms", -1),
        ("pending.alt_ptr", 1), ("alternatives.accelerator", 1), ("projects.share", 9), ("shares.parent", 0),
        ("awards.project", 1), ("awards.currency", 2), ("sites.power_ptr", 1), ("nodes.closed_ptr", 1),
        ("pending.devices", -(2**58)), ("pending.devices", 65), ("pending.workers", 2**40), ("pending.workers_min", 1),
        ("pending.share_milli", 1000), ("pending.share_milli", 5), ("pending.shape", -1), ("pending.shape", 2**31 - 1),
        ("pending.priority", 2**62), ("pending.deadline_ms", 2**62 + 1), ("pending.cores_milli", -1),
        ("attempts.cores_milli", -1), ("attempts.share_milli", -1), ("attempts.ends_ms", -(2**60)), ("nodes.memory_mib", 2**41),
        ("nodes.closed_until_ms", -(2**60)), ("sites.pue_permille", 0), ("sites.power_mw", -2), ("shares.use", np.nan),
        ("shares.weight", -1), ("alternatives.hold", -2), ("awards.available", -1),
    ],
)  # fmt: skip
def test_a_row_that_does_not_exist_is_named_with_its_column(name: str, value: int) -> None:
    assert isinstance(decode(encode(full())), Snapshot)
    assert refusal(with_column(name, put(0, value)))["outside"] == [name]


@pytest.mark.parametrize(
    "name",
    ["nodes.usable", "attempts.follows", "pending.workers", "sites.has_data", "alternatives.hold", "awards.site_ok",
     "quotas.used", "attempts.worker_ptr"],
)  # fmt: skip
def test_a_column_of_another_length_is_named(name: str) -> None:
    assert name in refusal(with_column(name, lambda column: column[:-1]))["outside"]


def test_columns_of_no_group_and_ids_are_held_to_theirs() -> None:
    s = full()
    assert refusal(encode(replace(s, core_rate=s.core_rate[1:])))["outside"] == ["core_rate"]
    assert refusal(encode(replace(s, core_rate=s.core_rate - 1)))["outside"] == ["core_rate"]
    assert refusal(encode(replace(s, domestic=s.domestic[1:])))["outside"] == ["domestic"]
    longer = replace(s, attempts=replace(s.attempts, workloads=(*s.attempts.workloads, "w9")))
    assert refusal(encode(longer))["outside"] == ["attempts.workloads"]
    parent = s.shares.parent.copy()
    parent[1] = len(parent) - 1
    assert refusal(encode(replace(s, shares=replace(s.shares, parent=parent))))["outside"] == ["shares.parent"]


def test_numbers_that_contradict_each_other_are_named() -> None:
    """By the column that somebody would look at first."""
    s = full()
    inner = s.shares.parent[s.projects.share[0]]
    assert refusal(with_column("projects.share", put(0, inner)))["outside"] == ["projects.share"]
    assert refusal(with_column("quotas.borrow_max", put(0, 5)))["outside"] == ["quotas"]
    assert refusal(with_column("nodes.closed_until_ms", put(0, s.nodes.closed_from_ms[0])))["outside"] == ["nodes.closed_from_ms"]
    twice = World().site("s1", nodes=1, devices=8, accelerator="x", power=[(-5, 9_000_000), (60, 8_000_000)])
    twice.node("s1/n8", "s1", closed=[(60, 90), (120, 150)]).award("lab", 77)
    for group, column in (("sites", "power_from_ms"), ("nodes", "closed_from_ms")):
        made = twice.snapshot()
        members = getattr(made, group)
        falling = replace(members, **{column: getattr(members, column)[::-1].copy()})
        assert refusal(encode(replace(made, **{group: falling})))["outside"] == [f"{group}.{column}"]
    for name, value in (("reservations_max", 10**12), ("backfill_depth", -1), ("min_run_ms", -1)):
        assert refusal(encode(replace(s, policy=replace(s.policy, **{name: value}))))["outside"] == [f"policy.{name}"]


def test_those_of_one_shape_ask_for_the_same() -> None:
    """Otherwise the second would be given what the first one asks for."""
    made = World().site("s1", nodes=2, devices=8, accelerator="x").award("lab", 77)
    s = made.pending("w1", devices=1, hold=5).pending("w2", devices=2, hold=5).pending("w3", devices=1, hold=5).snapshot()
    shape = s.pending.shape.copy()

    def shaped(*numbers: int) -> bytes:
        return encode(replace(s, pending=replace(s.pending, shape=np.array(numbers, shape.dtype))))

    assert isinstance(decode(shaped(900_000, 3, 900_000)), Snapshot)
    assert refusal(shaped(7, 7, 7))["outside"] == refusal(shaped(1, 1, 0))["outside"] == ["pending.shape"]
