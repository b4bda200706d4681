"""Connections: how each database is opened, and what is asked of it so that a commit is a promise."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import IsolationLevel
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from dure.errors import ConfigError

# How long SQLite waits for another process's write (a restore, a second command). One process has one writer, so this is rare.
BUSY_MS = 10_000
READERS = 8  # connections kept for reading; as many again are opened under load and closed after it
READERS_EXTRA = 8
CONNECT_S = 10

_POSTGRES_NAMES = {"postgres", "postgresql", "postgresql+psycopg"}
_SQLITE_NAMES = {"sqlite", "sqlite+pysqlite"}


@dataclass(frozen=True, slots=True)
class Engines:
    """One database: an engine whose transactions write, and one whose transactions read a single moment."""

    writer: Engine
    reader: Engine
    lead: Engine  # PostgreSQL: for the one connection that holds the lead; else the writer's
    path: Path | None  # of an SQLite file; None for PostgreSQL
    identity: tuple[int, int] | None = None  # device and number of that file as it was opened

    def dispose(self) -> None:
        for engine in (self.writer, self.reader, self.lead):
            engine.dispose()


def open_engines(url: str, *, create: bool = True) -> Engines:
    """create: make an SQLite file that is not there. Connects to nothing yet.

    Raises ConfigError when the URL is not one of ours or the file cannot be opened."""
    parsed = _parse(url)
    if parsed.drivername in _SQLITE_NAMES:
        return _open_sqlite(parsed, create)
    return _open_postgres(parsed.set(drivername="postgresql+psycopg"))


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:  # its text may hold a password, and so is not passed on
        raise ConfigError("database url: not a URL; write sqlite:///PATH or postgresql://USER@HOST/NAME") from None
    if parsed.drivername not in _POSTGRES_NAMES | _SQLITE_NAMES:
        raise ConfigError(
            f"database url: {parsed.drivername!r} is not supported; use sqlite:///PATH or postgresql://USER@HOST/NAME"
        )
    return parsed


def _open_sqlite(url: URL, create: bool) -> Engines:
    if url.database in (None, "", ":memory:"):
        raise ConfigError("database url: SQLite needs a file, as in sqlite:////var/lib/dure/dure.db")
    path = Path(str(url.database)).absolute()
    try:
        # Made before SQLite does, which would let everybody read it; its -wal and -shm files take their mode from it.
        file = os.open(path, (os.O_CREAT if create else 0) | os.O_RDWR | os.O_CLOEXEC, 0o600)
        found = os.fstat(file)
        os.close(file)
    except OSError as failure:
        raise ConfigError(f"database url: {path} cannot be opened: {failure.strerror}") from failure
    url = url.set(drivername="sqlite+pysqlite", database=str(path))
    writer = create_engine(url, pool_size=1, max_overflow=0)
    reader = create_engine(url, pool_size=READERS, max_overflow=READERS_EXTRA)
    event.listen(writer, "connect", _tune_sqlite_writer)
    event.listen(reader, "connect", _tune_sqlite_reader)
    event.listen(writer, "begin", _begin_immediate)
    event.listen(reader, "begin", _begin_deferred)
    return Engines(writer, reader, writer, path, (found.st_dev, found.st_ino))


def _tune_sqlite_writer(connection: Any, _record: Any) -> None:
    # synchronous=FULL: in WAL mode nothing less survives a power cut. No foreign keys: records are checked before they come here.
    _pragmas(connection, "journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF", "journal_size_limit=67108864")


def _tune_sqlite_reader(connection: Any, _record: Any) -> None:
    _pragmas(connection, "query_only=ON")


def _pragmas(connection: Any, *pragmas: str) -> None:
    connection.isolation_level = None  # sqlite3 begins no transactions of its own: the "begin" events say which kind
    for pragma in (f"busy_timeout={BUSY_MS}", *pragmas):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # the write lock first: a deferred one fails halfway when another writes


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _open_postgres(url: URL) -> Engines:
    # A peer that vanished without a word is noticed within about 30 s, not within the hours of the system's defaults.
    arguments = {
        "connect_timeout": CONNECT_S,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "application_name": "dure",
    }
    writer = create_engine(url, paramstyle="format", pool_size=1, max_overflow=0, connect_args=arguments)
    reader = create_engine(url, paramstyle="format", pool_size=READERS, max_overflow=READERS_EXTRA, connect_args=arguments)
    lead = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments)
    event.listen(writer, "connect", _tune_postgres_writer)
    event.listen(reader, "connect", _tune_postgres_reader)
    return Engines(writer, reader, lead, None)


def _tune_postgres_writer(connection: Any, _record: Any) -> None:
    # A server may be set to answer before it has written. Ours is a promise, so for us it is switched back on.
    connection.execute("SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
    _go_by_index(connection)
    connection.isolation_level = IsolationLevel.READ_COMMITTED


# All that is asked for often is asked by id, or by columns that have an index. A server plans a statement for the size that a
# table has then and keeps that: what was planned on a new farm went on reading and joining whole tables as they grew.
_BY_INDEX = "; ".join(f"SET {way} = off" for way in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"))


def _go_by_index(connection: Any) -> None:
    """Where no index serves, the whole table is read as ever. Compiling a plan, which would be thought worth its time then, is
    not."""
    connection.execute(_BY_INDEX)
    connection.commit()


def _tune_postgres_reader(connection: Any, _record: Any) -> None:
    _go_by_index(connection)
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True
