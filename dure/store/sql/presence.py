"""Whether the files of an SQLite database are still those of their names.

A file that was removed or replaced while it was open goes on taking writes, and nobody will ever read them again. SQLite does not
look (in WAL mode), so this does: before and after every commit, and now and then for who reads. A look is two `stat`, some four
microseconds.
"""

from __future__ import annotations

import logging
import os
import time

from dure.store.sql.engines import Engines
from dure.store.sql.failures import Unreachable

log = logging.getLogger(__name__)

LOOK_S = 0.1  # between two looks for reads: a look is a twentieth of a small read, and a hundredth of a small commit


class Presence:
    """Of one store, with its log of commits (`-wal`). Always satisfied for a database that is no file. Safe for threads."""

    def __init__(self, engines: Engines) -> None:
        self._path = str(engines.path or "")  # a text: half the time of a Path
        self._log_path = self._path + "-wal"
        self._file = engines.identity
        self._log: tuple[int, int] | None = None  # of the -wal file while the writer's connection has it open
        self._told = False
        self._looked_s = 0.0  # when all was last found in order, of the monotonic clock

    def require_lately(self) -> None:
        """As `require`, of a moment that is at most LOOK_S ago: enough for who reads."""
        if self._told or time.monotonic() - self._looked_s > LOOK_S:
            self.require()

    def require(self) -> None:
        """Raises Unreachable, and says so in the log once, when a file is not the one that was opened. When it is put back, all
        goes on."""
        if not self._path:
            return
        if identity(self._path) != self._file:
            self._refuse(
                f"{self._path} was removed, moved or replaced while the plane had it open; nothing is read or written until it is"
                " back in its place. If it was moved, put it back. If it was removed, DO NOT STOP THE FARM: while it runs, what"
                f" the file held can be copied from /proc/{os.getpid()}/fd; docs/operations/when-things-go-wrong.md tells how,"
                " under 'The database is gone'. Only when that is in vain: dure down, dure restore FILE, dure up"
            )
        known = self._log
        # looked at once more at the end: SQLite itself removes its log when the last connection is closed
        if known is not None and identity(self._log_path) != known and self._log is known:
            self._refuse(
                f"{self._log_path} was removed or replaced while the plane had it open; nothing is read or written any more."
                " Stop the farm (dure down), which brings what it held into the database, and start it again"
            )
        self._told, self._looked_s = False, time.monotonic()

    def connected(self) -> None:
        """The writer's connection has begun: from now on, and until it is closed, SQLite keeps its log open."""
        if self._path and self._log is None:
            self._log = identity(self._log_path)

    def disconnecting(self) -> None:
        """To be said before it is closed."""
        self._log = None

    def _refuse(self, message: str) -> None:
        if not self._told:
            self._told = True
            log.critical("%s", message)
        raise Unreachable(message)


def identity(path: str) -> tuple[int, int] | None:
    """Device and number of the file that has this name now; None when there is none, or none that can be seen."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino
