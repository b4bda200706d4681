"""Who leads: a lock that ends with the process that holds it, whatever becomes of that process."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from dure.store.sql.engines import Engines
from dure.store.sql.failures import translated

# Advisory locks are named by a number per database; this one is "dure" and "lead" in ASCII, so that nobody takes it by accident.
LEAD_KEY = int.from_bytes(b"durelead", "big")


class LeadLock(Protocol):
    def acquire(self) -> bool:
        """Whether the lock is ours now."""

    def held(self) -> bool:
        """Whether it still is, asked of the system and not of memory."""

    def release(self) -> None: ...


def lead_lock(engines: Engines) -> LeadLock:
    if engines.path is not None:
        return FileLock(engines.path.with_name(engines.path.name + ".leader"))
    return AdvisoryLock(engines.lead)


class FileLock:
    """flock on a file beside the database. The kernel lets go of it when the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> bool:
        if self.held():
            return True
        self.release()
        file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return self.held()  # false when the file was replaced between the two calls

    def held(self) -> bool:
        if self._file is None:
            return False
        try:
            ours, there = os.fstat(self._file), self._path.stat()
        except FileNotFoundError:
            return False  # somebody removed it: another process can lock a new file of this name
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class AdvisoryLock:
    """A session's advisory lock, on a connection of its own. The server lets go of it when that session ends."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._taken = False

    def acquire(self) -> bool:
        if self.held():
            return True
        self.release()
        with translated():
            self._connection = self._engine.connect()
            self._taken = bool(self._connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LEAD_KEY}))
        if not self._taken:
            self.release()
        return self._connection is not None

    def held(self) -> bool:
        if self._connection is None:
            return False
        try:
            return bool(self._connection.scalar(_HELD))
        except SQLAlchemyError:
            self.release()
            return False

    def release(self) -> None:
        connection, self._connection = self._connection, None
        taken, self._taken = self._taken, False
        if connection is None:
            return
        if taken:
            # Closing would do, but the server notices that a moment later; so a successor need not wait and try again.
            with suppress(SQLAlchemyError):
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LEAD_KEY})
        connection.invalidate()
        connection.close()


# Asked in full, and not by a mere `SELECT 1`: behind a pooler the session may have become another one.
_HELD = text(
    "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()"
    f" AND classid = {LEAD_KEY >> 32} AND objid = {LEAD_KEY & 0xFFFFFFFF}"
)
