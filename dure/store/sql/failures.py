"""What a database's errors mean to us. The one place that knows their codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import ConnectionTimeout
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError, SQLAlchemyError

from dure.errors import Conflict, DuplicateKey, StoreError, StoreUnavailable

_UNIQUE = {"23505", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"}
_SERIALIZATION = {"40001", "40P01"}  # serialization_failure, deadlock_detected

LOST_BEFORE = "the connection to the database was lost, and the transaction with it"


class ConnectionLost(StoreUnavailable):
    """The connection broke before a commit was asked for: nothing was written, so all of it may be tried again."""


class Unreachable(StoreUnavailable):
    """No connection could be had, or another program kept the database locked, although it was tried for some seconds; or the
    database's file is no longer there. Nothing was written."""


class OutcomeUnknown(StoreUnavailable):
    """The connection broke during a commit: the transaction may have been written or not. It is not run again here,
    because that could do it twice; the caller's idempotency key finds out."""


@contextmanager
def translated() -> Iterator[None]:
    """Database errors leave this block as StoreErrors."""
    try:
        yield
    except DBAPIError as failure:
        raise _translate(failure) from failure
    except PendingRollbackError as failure:  # it was lost at an earlier statement of this transaction
        raise ConnectionLost(LOST_BEFORE) from failure
    except SQLAlchemyError as failure:  # a pool that is exhausted, a connection already marked broken
        raise StoreError(f"the database could not be used: {failure}") from failure


@contextmanager
def connecting() -> Iterator[None]:
    """As `translated`, where a connection is opened: one that dies on the way, or is refused, is lost like any other."""
    try:
        yield
    except DBAPIError as failure:
        told = _translate(failure)
        if type(told) is StoreError and isinstance(failure, OperationalError):
            message = f"no connection to the database could be opened: {str(failure.orig).strip()}"
            told = Unreachable(message) if isinstance(failure.orig, ConnectionTimeout) else ConnectionLost(message)
        raise told from failure
    except SQLAlchemyError as failure:
        raise StoreError(f"the database could not be used: {failure}") from failure


def refused(connection: Connection, sql: str, failure: BaseException) -> BaseException:
    """What to raise when the driver of a connection has raised `failure` at a statement. One that is lost is not used again, nor
    are those that wait beside it: they are as old."""
    dialect, driver = connection.dialect, connection.dialect.loaded_dbapi
    if connection.invalidated and isinstance(failure, (driver.Error, PendingRollbackError)):
        return ConnectionLost(LOST_BEFORE)  # at an earlier statement: of what it was nothing can be asked any more
    if not isinstance(failure, driver.Error):
        return failure
    lost = bool(dialect.is_disconnect(failure, connection.connection.dbapi_connection, None))
    if lost:
        connection.invalidate(failure)
        connection.engine.dispose()
    known = DBAPIError.instance(sql, (), failure, driver.Error, connection_invalidated=lost, dialect=dialect)
    return _translate(known) if isinstance(known, DBAPIError) else known


def _translate(failure: DBAPIError) -> StoreError:
    code = getattr(failure.orig, "sqlstate", None) or getattr(failure.orig, "sqlite_errorname", None) or ""
    message = str(failure.orig).strip()
    if failure.connection_invalidated:
        return ConnectionLost(f"the connection to the database was lost: {message}")
    if code.startswith("SQLITE_BUSY"):
        return Unreachable("another program keeps the database locked")
    if code in _UNIQUE:
        return DuplicateKey(message)
    if code in _SERIALIZATION:
        return Conflict(message)
    return StoreError(f"the database refused: {message}")
