"""A plane that began with the first schema goes on with this program: its database is upgraded and its backups are restored, and
what its chain sealed then still proves its rows.

The fixture is the backup that Dure made when 0001 was all there was: a funded lab, work that ran, was preempted and ended,
tokens, two policies, awards that expired, and a job that waits."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from dure.controller import verify_audit, verify_store_books
from dure.controller.commands import policy as policies
from dure.controller.rules import policy_of
from dure.errors import StoreError
from dure.model.event import Event, digest
from dure.model.policy import Policy
from dure.model.tenancy import Actor, Credential
from dure.simulator.world import World
from dure.store.kinds import KINDS
from dure.store.sql import SqlStore, transport
from dure.store.sql.engines import open_engines
from dure.store.sql.schema import newest, present, upgrade
from dure.store.sql.session import Unit
from dure.store.sql.transport import check_backup, restore

RECORDED = Path(__file__).parents[2] / "fixtures" / "schema" / "0001.jsonl"


@pytest.fixture
def first(empty_url: str) -> str:
    """A database as the first schema left it."""
    engines = open_engines(empty_url)
    with engines.writer.begin() as connection:
        upgrade(connection, "0001")
        for line in RECORDED.read_text().splitlines()[1:]:
            _insert(connection, *json.loads(line))
    engines.dispose()
    return empty_url


def _insert(connection: Connection, table: str, plain: dict[str, Any]) -> None:
    assert plain.keys() == {column["name"] for column in inspect(connection).get_columns(table)}, "0001 is what it was"
    row = {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in plain.items()}
    names = ", ".join(f'"{name}"' for name in row)
    connection.execute(text(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join(f":{name}" for name in row)})'), row)


@pytest.fixture
def old_backup(tmp_path: Path) -> Path:
    file = tmp_path / "old.jsonl.gz"
    file.write_bytes(gzip.compress(RECORDED.read_bytes()))
    assert check_backup(file).schema == "0001" < newest()
    return file


def proved(url: str) -> None:
    """Both proofs hold, and who made what is known as if it had always been written down."""
    store = SqlStore.open(url, migrate=False)
    books, audit = store.read(verify_store_books), store.read(verify_audit)
    assert (books.findings, audit.fault, audit.findings) == ((), None, ())
    made = store.read(lambda r: {e.subject: e.actor for e in r.find(Event, {"kind": ["actor.created", "token.created"]})})
    rows = store.read(lambda r: [*r.find(Actor), *r.find(Credential)])
    assert rows and {row.id: row.made_by for row in rows} == made
    assert "" not in made.values()
    store.close()


def test_a_database_of_the_first_schema_is_upgraded_and_proves_what_it_did(first: str) -> None:
    SqlStore.open(first).close()
    engines = open_engines(first)
    with engines.reader.connect() as connection:
        assert present(connection) == newest()
    engines.dispose()
    proved(first)


def test_what_a_program_of_the_first_schema_wrote_after_the_upgrade_is_completed_at_the_next_start(first: str) -> None:
    """It runs on when the database is upgraded under it, and knows nothing of who made what."""
    SqlStore.open(first).close()
    engines = open_engines(first)
    with engines.writer.begin() as connection:
        connection.execute(text("UPDATE actor SET made_by = ''"))
        connection.execute(text("UPDATE credential SET made_by = ''"))
    engines.dispose()
    store = SqlStore.open(first, migrate=False)
    assert {f.kind for f in store.read(verify_audit).findings} == {"altered"}
    store.close()
    SqlStore.open(first).close()
    proved(first)


def test_who_made_a_thing_is_filled_in_where_nobody_is_named_and_nowhere_else(first: str) -> None:
    SqlStore.open(first).close()
    engines = open_engines(first)
    with engines.writer.begin() as connection:
        connection.execute(text("UPDATE credential SET made_by = 'somebody'"))
    engines.dispose()
    store = SqlStore.open(first)
    assert {f.kind for f in store.read(verify_audit).findings} == {"altered"}
    store.close()


@pytest.mark.parametrize("change", ["waiting_max = waiting_max + 1", "written_by = 'somebody'"])
def test_what_is_changed_in_an_upgraded_database_is_found(first: str, change: str) -> None:
    SqlStore.open(first).close()
    engines = open_engines(first)
    with engines.writer.begin() as connection:
        connection.execute(text(f"UPDATE policy SET {change} WHERE id = 'policy:2'"))
    engines.dispose()
    store = SqlStore.open(first)
    assert [(f.kind, f.subject) for f in store.read(verify_store_books).findings] == [("altered", "policy:2")]
    store.close()


def test_a_backup_of_the_first_schema_is_restored_and_proves_what_it_did(old_backup: Path, empty_url: str) -> None:
    carried = restore(old_backup, empty_url, now_ms=1_800_000_000_000, key_of=lambda plane: lambda body: "")
    assert carried.incarnation == 2
    proved(empty_url)


def test_upgraded_and_restored_hold_the_same(first: str, old_backup: Path, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    restore(old_backup, other, now_ms=1_800_000_000_000, key_of=lambda plane: lambda body: "")
    kinds = [kind for kind in KINDS if kind.__name__ not in ("Plane", "Event")]  # a restore is told in these
    held = []
    for url in (first, other):
        store = SqlStore.open(url)
        held.append(store.read(lambda r: {kind: r.find(kind) for kind in kinds}))
        store.close()
    assert held[0] == held[1]


def test_a_restore_of_an_older_backup_that_loses_a_value_is_noticed(
    old_backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful(Unit):
        def insert(self, record: Any) -> Any:
            return super().insert(replace(record, waiting_max=7) if isinstance(record, Policy) else record)

    monkeypatch.setattr(transport, "Unit", Forgetful)
    url = f"sqlite:///{tmp_path}/target.db"
    with pytest.raises(StoreError, match="does not hold what the backup says"):
        restore(old_backup, url, now_ms=1, key_of=lambda plane: lambda body: "")
    store = SqlStore.open(url)
    assert store.read(lambda r: r.count(Policy)) == 0, "nothing of it stays"
    store.close()


def test_a_plane_that_was_upgraded_goes_on_and_is_proved_with_what_came_since(first: str) -> None:
    world = World(now_ms=1_800_000_000_000, store=SqlStore.open(first))

    def raised(tx: Any) -> Any:
        return policies.write_policy(tx, world.deed(), policy=policy_of(tx))

    written = world.store.transact(raised)
    world.settle()
    assert (written.version, written.written_by) == (3, "admin")
    world.store.close()
    proved(first)


def test_a_migration_that_databases_have_is_never_edited() -> None:
    """What changes goes into the next one."""
    folder = Path(transport.__file__).parent / "migrations" / "versions"
    assert digest((folder / "0001_first.py").read_text()) == "566c631709b29350279cf25d1574cdfc"
