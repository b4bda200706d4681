"""Everything that is in one database arrives in another, or nothing does."""

from __future__ import annotations

import gzip
import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dure.errors import ConfigError, StoreError
from dure.model.chain import ChainProver
from dure.model.event import RESTORED, Event, seal
from dure.model.funding import Account
from dure.model.records import Plane
from dure.model.tenancy import Credential
from dure.store.kinds import KINDS
from dure.store.sql import SqlStore, transport
from dure.store.sql.transport import backup, check_backup, migrate_to, restore
from tests.builders.records import account, filled

Everything = dict[type[Any], list[Any]]


def key_of(plane: Plane) -> transport.Sign:
    return lambda body: hashlib.sha256(plane.public_key.encode() + body).hexdigest()


def read_all(url: str) -> Everything:
    store = SqlStore.open(url)
    found = store.read(lambda r: {kind: r.find(kind) for kind in KINDS})
    store.close()
    return found


def write(url: str, *records: Any) -> None:
    store = SqlStore.open(url)
    store.transact(lambda tx: [tx.insert(record) for record in records])
    store.close()


def full_records() -> list[Any]:
    several = [filled(kind, id) for kind in KINDS if kind.__name__ not in ("Plane", "Event") for id in ("가", "b", "C")]
    return [Plane(incarnation=3, leader_epoch=5), filled(next(k for k in KINDS if k.__name__ == "Event"), "e"), *several]


@pytest.fixture
def source(sqlite_url: str) -> str:
    write(sqlite_url, *full_records())
    return sqlite_url


@pytest.fixture
def file(source: str, tmp_path: Path) -> Path:
    return backup(source, tmp_path / "all.gz", now_ms=7)


@pytest.fixture
def target(empty_url: str) -> str:
    return empty_url


def but_the_plane(everything: Everything) -> Everything:
    """What a restore leaves as it was: all but the plane's own row, and what it adds to the chain itself."""
    told = [e for e in everything[Event] if e.kind != RESTORED]
    return {kind: records for kind, records in everything.items() if kind is not Plane} | {Event: told}


def test_a_backup_restored_elsewhere_and_back_is_the_same_record_for_record(source: str, target: str, tmp_path: Path) -> None:
    before = read_all(source)
    carried = restore(backup(source, tmp_path / "there.gz", now_ms=1), target, now_ms=9, key_of=key_of)
    assert carried.incarnation == 4
    assert sum(carried.counts.values()) == len(full_records())
    assert but_the_plane(read_all(target)) == but_the_plane(before)
    home = f"sqlite:///{tmp_path}/home.db"
    restore(backup(target, tmp_path / "back.gz", now_ms=2), home, now_ms=9, key_of=key_of)
    assert but_the_plane(read_all(home)) == but_the_plane(before)
    assert read_all(home)[Plane][0].incarnation == 5


def test_a_restore_is_the_sealed_first_event_of_its_incarnation(sqlite_url: str, target: str, tmp_path: Path) -> None:
    fresh = [Event(id=f"ev_{n}", at_ms=n, actor="a", kind="k.d", subject="s") for n in range(4)]
    sealed = seal(0, Plane().sealed_hash, fresh[:3])
    write(sqlite_url, Plane(sealed_seq=3, sealed_hash=sealed[-1].hash), *sealed, fresh[3])
    file = backup(sqlite_url, tmp_path / "a.gz", now_ms=1)
    restore(file, target, now_ms=9, key_of=key_of)
    after = read_all(target)
    chain, (plane,) = sorted((e for e in after[Event] if e.seq), key=lambda e: e.seq), after[Plane]
    told = chain[-1]
    assert (told.seq, told.at_ms, told.kind) == (4, 9, RESTORED)
    assert {k: told.data[k] for k in ("incarnation", "after_seq", "after_hash", "backup_ms")} == {
        "incarnation": 2, "after_seq": 3, "after_hash": sealed[-1].hash, "backup_ms": 1,
    }  # fmt: skip
    assert told.data["backup"] == check_backup(file).sha256
    assert (plane.sealed_seq, plane.sealed_hash, plane.incarnation) == (4, told.hash, 2)
    prover = ChainProver(signed=lambda body, signature: signature == key_of(plane)(body))
    assert prover.take(chain) and prover.incarnation == 2
    assert [e.id for e in after[Event] if not e.seq] == ["ev_3"]  # sealed behind it, by the next leader


def test_a_restore_without_the_planes_key_is_refused_before_the_target_is_touched(file: Path, tmp_path: Path) -> None:
    def no_key(plane: Plane) -> transport.Sign:
        raise ConfigError(f"no key of incarnation {plane.incarnation}")

    with pytest.raises(ConfigError, match="no key of incarnation 3"):
        restore(file, f"sqlite:///{tmp_path}/target.db", now_ms=9, key_of=no_key)
    assert not (tmp_path / "target.db").exists()


def test_pages_larger_than_memory_should_hold_are_walked(sqlite_url: str, target: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(transport, "PAGE", 7)
    write(sqlite_url, *(account(f"{n:03}", debits_posted=n) for n in range(50)))
    restore(backup(sqlite_url, tmp_path / "all.gz", now_ms=1), target, now_ms=9, key_of=key_of)
    assert read_all(target) == read_all(sqlite_url)


def test_a_move_carries_the_plane_as_it_is(source: str, target: str) -> None:
    before = read_all(source)
    carried = migrate_to(source, target, now_ms=1)
    assert carried.incarnation == 3
    assert read_all(target) == before == read_all(source)


def test_a_backup_is_of_one_moment_while_writers_go_on(sqlite_url: str, tmp_path: Path, monkeypatch: Any) -> None:
    write(sqlite_url, account("a"))
    plain = transport._lines

    def interrupted(reader: Any) -> Iterator[Any]:
        write(sqlite_url, account("b"), filled(KINDS[-1], "late"))
        yield from plain(reader)

    monkeypatch.setattr(transport, "_lines", interrupted)
    header = check_backup(backup(sqlite_url, tmp_path / "all.gz", now_ms=1))
    assert header.counts == {"account": 1}
    assert len(read_all(sqlite_url)[Account]) == 2


def test_a_backup_is_private_named_by_its_time_and_says_what_is_in_it(source: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    path = backup(source, folder, now_ms=1234)
    assert [p.name for p in folder.iterdir()] == ["dure-1234.jsonl.gz"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    header = check_backup(path)
    assert (header.created_ms, header.incarnation, header.counts["account"]) == (1234, 3, 3)
    with pytest.raises(StoreError, match="cannot be written"):
        backup(source, tmp_path / "no" / "folder.gz", now_ms=1)


def rewrite(file: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    file.write_bytes(gzip.compress(b"".join(change(lines))))


def change_header(lines: list[bytes], **members: Any) -> list[bytes]:
    return [json.dumps(json.loads(lines[0]) | members).encode() + b"\n", *lines[1:]]


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a line is missing": lambda lines: [*lines[:-2], lines[-1]],
    "the end is missing": lambda lines: lines[:-3],
    "a number is changed": lambda lines: [line.replace(b'"debits_posted":1003', b'"debits_posted":1004') for line in lines],
    "two lines are swapped": lambda lines: [*lines[:-2], lines[-1], lines[-2]],
    "a line is doubled": lambda lines: [*lines, lines[-1]],
    "an unknown table": lambda lines: [*lines, b'["no_such",{}]\n'],
    "a line that is no JSON": lambda lines: [*lines, b"{\n"],
    "a line that is no record": lambda lines: [*lines, b'["account",7]\n'],
    "a record without its id": lambda lines: [*lines, b'["account",{}]\n'],
    "other counts": lambda lines: change_header(lines, counts={}),
    "counts that are no counts": lambda lines: change_header(lines, counts=7),
    "another time": lambda lines: change_header(lines, created_ms=8),
    "a newer schema": lambda lines: change_header(lines, schema="9999"),
    "a newer format": lambda lines: change_header(lines, dure_backup=2),
    "a header that is no header": lambda lines: [b"[]\n", *lines[1:]],
    "nothing": lambda lines: [],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_an_altered_backup_is_refused_and_changes_nothing(file: Path, tmp_path: Path, change: Any) -> None:
    rewrite(file, change)
    url = f"sqlite:///{tmp_path}/target.db"
    write(url, account("old"))
    before = read_all(url)
    with pytest.raises(StoreError):
        restore(file, url, now_ms=9, key_of=key_of, force=True)
    assert read_all(url) == before


@pytest.mark.parametrize("size", [0, 10, 300, -1, -9])
def test_a_truncated_backup_is_refused_before_the_target_is_touched(file: Path, tmp_path: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(StoreError, match=r"no whole backup|cut short"):
        restore(file, f"sqlite:///{tmp_path}/target.db", now_ms=9, key_of=key_of)
    assert not (tmp_path / "target.db").exists()


def test_a_plain_file_and_no_file_are_no_backups(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for name in ("text", "absent"):
        with pytest.raises(StoreError, match="no whole backup"):
            check_backup(tmp_path / name)


def test_a_target_that_holds_something_is_kept_unless_forced(file: Path, source: str, target: str) -> None:
    write(target, Plane(incarnation=8, leader_epoch=2), account("old"))
    with pytest.raises(StoreError, match=r"not empty \(plane, account\)"):
        restore(file, target, now_ms=9, key_of=key_of)
    with pytest.raises(StoreError, match="not empty"):
        migrate_to(source, target, now_ms=1)
    assert [a.id for a in read_all(target)[Account]] == ["old"]
    carried = restore(file, target, now_ms=9, key_of=key_of, force=True)
    assert carried.incarnation == 9  # above both the backup's and that of the plane it replaced
    after = read_all(target)
    assert but_the_plane(after) == but_the_plane(read_all(source))
    assert after[Plane][0].leader_epoch == 5


def test_tokens_that_were_revoked_since_the_backup_are_named_by_a_restore_over_them(sqlite_url: str, tmp_path: Path) -> None:
    """Of the database that is replaced; what was revoked in the backup already stays so."""
    tokens = [Credential(id=id, actor="a", digest="d", revoked_ms=revoked) for id, revoked in (("t1", 0), ("t2", 0), ("t3", 5))]
    write(sqlite_url, Plane(), *tokens)
    file = backup(sqlite_url, tmp_path / "a.gz", now_ms=7)
    store = SqlStore.open(sqlite_url)
    store.transact(lambda tx: tx.update(replace(tx.get(Credential, "t2"), revoked_ms=8)))
    store.transact(lambda tx: tx.insert(Credential(id="t4", actor="a", digest="d", revoked_ms=9)))
    store.close()
    carried = restore(file, sqlite_url, now_ms=9, key_of=key_of, force=True)
    assert (carried.revived, carried.backup_ms) == (("t2",), 7)
    assert [(t.id, t.revoked_ms) for t in read_all(sqlite_url)[Credential]] == [("t1", 0), ("t2", 0), ("t3", 5)]
    assert restore(file, f"sqlite:///{tmp_path}/new.db", now_ms=9, key_of=key_of).revived == ()


def test_nothing_is_carried_while_a_plane_leads(file: Path, source: str, target: str) -> None:
    leader = SqlStore.open(target)
    assert leader.try_lead() == 1
    carries = (
        lambda: restore(file, target, now_ms=9, key_of=key_of, force=True),
        lambda: migrate_to(source, target, now_ms=1),
    )
    for carry in carries:
        with pytest.raises(StoreError, match="a plane is running"):
            carry()
    assert leader.leads()
    leader.close()
    running = SqlStore.open(source)
    running.try_lead()
    with pytest.raises(StoreError, match="a plane is running"):
        migrate_to(source, target, now_ms=1)
    assert check_backup(backup(source, file, now_ms=2)).created_ms == 2  # but a backup may be made
    running.close()


def test_a_backup_without_later_members_is_restored_with_their_defaults(
    sqlite_url: str, tmp_path: Path, monkeypatch: Any
) -> None:
    write(sqlite_url, account("a", normal="debit"))
    monkeypatch.setattr(transport, "to_plain", _without_normal)
    monkeypatch.setattr(transport, "present", lambda connection: "0000")
    file = backup(sqlite_url, tmp_path / "old.gz", now_ms=1)
    monkeypatch.undo()
    url = f"sqlite:///{tmp_path}/target.db"
    restore(file, url, now_ms=9, key_of=key_of)
    assert read_all(url)[Account] == [account("a")]


def _without_normal(record: Any) -> Any:
    plain = {name: getattr(record, name) for name in record.__dataclass_fields__}
    plain.pop("normal", None)
    return plain


def test_what_is_not_there_is_not_made_by_a_backup(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        backup(f"sqlite:///{tmp_path}/absent.db", tmp_path / "all.gz", now_ms=1)
    with pytest.raises(ConfigError, match="No such file"):
        migrate_to(f"sqlite:///{tmp_path}/absent.db", f"sqlite:///{tmp_path}/target.db", now_ms=1)
    assert list(tmp_path.iterdir()) == []
