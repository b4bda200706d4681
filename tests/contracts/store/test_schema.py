"""Tables, records and migrations say the same; a database of another age is migrated or refused, never guessed at."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import BigInteger, Boolean, Double, Text, inspect, text

from dure import __version__
from dure.errors import ConfigError
from dure.model import event, funding, policy, records, site, tenancy, workload
from dure.store.kinds import INDEXES, KINDS, SEQUENCES
from dure.store.sql import SqlStore
from dure.store.sql.engines import Engines, open_engines
from dure.store.sql.schema import downgrade, newest, prepare, upgrade
from dure.store.sql.tables import METADATA, TABLES, table_name
from tests.builders.records import account


@pytest.fixture
def engines(empty_url: str) -> Any:
    opened = open_engines(empty_url)
    yield opened
    opened.dispose()


def test_every_record_that_has_an_id_and_a_version_has_a_table() -> None:
    modules = (event, funding, policy, records, site, tenancy, workload)
    classes = {value for module in modules for value in vars(module).values() if dataclasses.is_dataclass(value)}
    stored = {c for c in classes if {"id", "version"} <= {f.name for f in dataclasses.fields(c)}}
    assert stored == set(KINDS)
    assert set(TABLES) == stored


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_table_has_its_records_columns(kind: type[Any]) -> None:
    simple = {"str": Text, "int": BigInteger, "bool": Boolean, "float": Double}
    fields = {f.name: simple.get(str(f.type), Text) for f in dataclasses.fields(kind)}
    columns = {column.name: type(column.type) for column in TABLES[kind].columns}
    assert columns == fields
    assert list(columns) == list(fields)
    assert [column.name for column in TABLES[kind].primary_key] == ["id"]
    assert not any(column.nullable for column in TABLES[kind].columns)


def test_indexes_are_on_fields_that_exist() -> None:
    for kind, indexes in INDEXES.items():
        for index in indexes:
            assert set(index) <= {f.name for f in dataclasses.fields(kind)}
    assert list(SEQUENCES.items()) == [(event.Event, "seq")]


def test_migrations_end_in_the_schema_that_the_tables_describe(engines: Engines) -> None:
    prepare(engines, migrate=True)
    with engines.writer.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        found = inspect(connection)
        for kind in KINDS:
            name = table_name(kind)
            there = {index["name"]: tuple(index["column_names"]) for index in found.get_indexes(name)}
            wanted = {f"ix_{name}_{'_'.join(index)}": (*index, "id") for index in INDEXES.get(kind, ())}
            if kind in SEQUENCES:
                wanted[f"uq_{name}_{SEQUENCES[kind]}"] = (SEQUENCES[kind],)
            assert there == wanted


def test_a_changed_table_is_noticed_by_that_comparison(engines: Engines) -> None:
    prepare(engines, migrate=True)
    with engines.writer.begin() as connection:
        connection.execute(text("ALTER TABLE person ADD COLUMN shoe_size BIGINT"))
        connection.execute(text("DROP INDEX ix_node_site"))
        found = compare_metadata(MigrationContext.configure(connection), METADATA)
        assert sorted(change[0] for change in found) == ["add_index", "remove_column"]


def test_migrations_go_up_down_and_up_again(engines: Engines) -> None:
    for _ in range(2):
        with engines.writer.begin() as connection:
            upgrade(connection, "head")
            assert set(inspect(connection).get_table_names()) == {*METADATA.tables, "alembic_version"}
        with engines.writer.begin() as connection:
            downgrade(connection, "base")
            assert set(inspect(connection).get_table_names()) == {"alembic_version"}


def test_a_migration_that_fails_leaves_no_half_schema(engines: Engines) -> None:
    with engines.writer.begin() as connection:
        connection.execute(text("CREATE TABLE transfer (id TEXT)"))  # in the way of a later step
    with pytest.raises(Exception, match="transfer"):
        prepare(engines, migrate=True)
    with engines.writer.connect() as connection:
        assert inspect(connection).get_table_names() == ["transfer"]


def test_an_empty_database_is_migrated_only_where_that_is_allowed(empty_url: str) -> None:
    with pytest.raises(ConfigError, match=f"revision none and {newest()} is needed"):
        SqlStore.open(empty_url, migrate=False)
    SqlStore.open(empty_url).close()
    store = SqlStore.open(empty_url, migrate=False)
    store.transact(lambda tx: tx.insert(account("a")))
    store.close()


def test_a_schema_newer_than_the_program_is_refused(empty_url: str, engines: Engines) -> None:
    """An older Dure on a database that a newer one has migrated: it says what it found, what it is, and what to do."""
    SqlStore.open(empty_url).close()
    with engines.writer.begin() as connection:
        connection.execute(text("ALTER TABLE person ADD COLUMN pronoun TEXT NOT NULL DEFAULT ''"))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    said = rf"9999.*newer than this program \(Dure {__version__} knows up to {newest()}\).*install the newer version.*or restore"
    for migrate in (True, False):
        with pytest.raises(ConfigError, match=said):
            SqlStore.open(empty_url, migrate=migrate)
    with engines.writer.connect() as connection:
        assert "pronoun" in {column["name"] for column in inspect(connection).get_columns("person")}, "nothing was taken back"


def test_an_sqlite_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = SqlStore.open(f"sqlite:///{tmp_path}/dure.db")
    store.try_lead()
    store.transact(lambda tx: tx.insert(account("a")))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"dure.db": 0o600, "dure.db-wal": 0o600, "dure.db-shm": 0o600, "dure.db.leader": 0o600}
    store.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:secret@h/d", "'mysql' is not supported"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
        ("sqlite:////no/such/folder/dure.db", "No such file or directory"),
        ("secret", "not a URL"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_what_is_in_it(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        SqlStore.open(url)
    assert "secret" not in str(caught.value)


def test_writes_are_fully_synchronous_and_readers_cannot_write(sqlite_url: str) -> None:
    SqlStore.open(sqlite_url).close()
    engines = open_engines(sqlite_url)
    with engines.writer.connect() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 0]  # 2 is FULL
    with engines.reader.connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.execute(text("DELETE FROM event"))
    engines.dispose()


def test_searches_of_the_hot_paths_use_an_index(sqlite_url: str) -> None:
    SqlStore.open(sqlite_url).close()
    engines = open_engines(sqlite_url)
    searches = [
        "SELECT * FROM workload WHERE project = ? AND id < ? ORDER BY id DESC LIMIT 50",
        "SELECT * FROM workload WHERE state IN (SELECT value FROM json_each(?))",
        "SELECT * FROM event WHERE seq = ? ORDER BY id",
        "SELECT * FROM event ORDER BY seq DESC, id DESC LIMIT 1",
        "SELECT * FROM transfer WHERE hold = ?",
        "SELECT * FROM idempotency ORDER BY at_ms, id LIMIT 100",
    ]
    with engines.reader.connect() as connection:
        for search in searches:
            parameters = tuple("x" for _ in range(search.count("?")))
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {search}", parameters)]
            assert "USING INDEX" in plan[0], (search, plan)
    engines.dispose()
