"""The Store port over one SQL database."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from psycopg import Error as PsycopgError
from sqlalchemy import Connection

from dure.errors import StoreError
from dure.ports import Reader, Search, Tx
from dure.store.rules import take_lead
from dure.store.sql.engines import Engines, open_engines
from dure.store.sql.failures import ConnectionLost, connecting, refused, translated
from dure.store.sql.leadership import LeadLock, lead_lock
from dure.store.sql.presence import Presence
from dure.store.sql.schema import prepare
from dure.store.sql.session import Link, SqlReader
from dure.store.sql.statements import Statements, require_orders
from dure.store.sql.writer import Writer

T = TypeVar("T")

READ_TRIES = 2  # a pooled connection may have died unnoticed; a fresh one that dies too is a fault


class SqlStore:
    """One process's door to the database: a writer thread, a pool of readers, and perhaps the lead. Safe for threads."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._write_statements = Statements(engines.writer.dialect)
        self._read_statements = Statements(engines.reader.dialect)
        require_orders(self._write_statements)
        self._presence = Presence(engines)
        self._writer = Writer(engines.writer, self._write_statements, self._presence)
        self._lock: LeadLock = lead_lock(engines)
        self._lock_guard = threading.Lock()
        self._epoch = 0
        self._closed = False

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> SqlStore:
        """url: `sqlite:///PATH` (the file is made, for its owner alone) or `postgresql://USER:PASSWORD@HOST/NAME`.
        migrate: make or upgrade the schema when it is not the one that this program needs.

        Raises ConfigError when the URL is wrong or the schema does not fit, StoreError when the database cannot be used."""
        engines = open_engines(url)
        try:
            prepare(engines, migrate)
            return cls(engines)
        except BaseException:
            engines.dispose()
            raise

    def transact(self, fn: Callable[[Tx], T], *, fence: int | None = None) -> T:
        if self._writer.is_current():
            raise StoreError("a transaction was waited for within a transaction or its after_commit call")
        return self._writer.submit(fn, fence).result()

    def submit(self, fn: Callable[[Tx], T], *, fence: int | None = None) -> Future[T]:
        """Every failure comes through the future: also that the queue is full (StoreError), when nothing was even tried."""
        return self._writer.submit(fn, fence)

    def read(self, fn: Callable[[Reader], T]) -> T:
        """`fn` is run again when the connection was lost."""
        return self._tried(lambda: self._read(fn))

    def look(self, searches: Sequence[Search]) -> list[list[Any]]:
        """On PostgreSQL that is one statement, which sees one moment by itself: no transaction is begun and ended for it."""
        return self._tried(lambda: self._read(lambda reader: reader.find_all(searches), alone=self._read_statements.postgres))

    def try_lead(self) -> int | None:
        with self._lock_guard:
            self._require_open()
            if self._epoch and self._lock.held():
                return self._epoch
            self._epoch = 0
            if not self._lock.acquire():
                return None
            try:
                self._epoch = self.transact(take_lead)
            except BaseException:
                self._lock.release()
                raise
            return self._epoch

    def leads(self) -> bool:
        with self._lock_guard:
            return bool(self._epoch) and self._lock.held()

    def close(self) -> None:
        """Writes what was submitted, gives up the lead, closes every connection. Twice is fine."""
        self._closed = True
        self._writer.close()
        with self._lock_guard:
            self._lock.release()
            self._epoch = 0
        self._engines.dispose()

    def _tried(self, read: Callable[[], T]) -> T:
        for left in reversed(range(READ_TRIES)):
            try:
                return read()
            except ConnectionLost:
                if not left:
                    raise
        raise StoreError("unreachable")  # the loop returns or raises

    def _read(self, fn: Callable[[SqlReader], T], alone: bool = False) -> T:
        """alone: on PostgreSQL, without a transaction."""
        self._require_open()
        self._presence.require_lately()
        pool = self._engines.reader.pool
        with connecting():
            connection = self._engines.reader.connect()
        try:
            with self._by_itself(connection) if alone else self._at_one_moment(connection):
                return fn(SqlReader(Link(connection, self._read_statements)))
        finally:
            connection.close()
            if self._closed:  # meanwhile: the pool that the connection went back to was emptied before, so once more
                pool.dispose()
                self._engines.reader.dispose()

    @contextlib.contextmanager
    def _at_one_moment(self, connection: Connection) -> Iterator[None]:
        with translated():
            connection.begin()
        yield
        # nothing was written, so one that is lost now has answered; at a rollback psycopg forgets what is planned already
        with contextlib.suppress(ConnectionLost), translated():
            connection.commit()

    @contextlib.contextmanager
    def _by_itself(self, connection: Connection) -> Iterator[None]:
        driver: Any = connection.connection.driver_connection
        try:
            driver.autocommit = True
        except PsycopgError as failure:
            raise refused(connection, "autocommit", failure) from failure
        try:
            yield
        finally:
            try:
                driver.autocommit = False
            except PsycopgError:  # whoever reads next would not see one moment
                connection.invalidate()

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError("this store is closed")
