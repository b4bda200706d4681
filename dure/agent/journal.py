"""The agent's memory on disk: orders received, what the backend said of each attempt, unrecorded ends, signed heads.

SQLite (WAL, synchronous=FULL) rather than a log of our own: a commit is durable when the call returns, a torn tail is found by
checksum and dropped, looking up one of 100,000 settled attempts needs no memory, and `dure audit verify` may read the heads
while the agent writes. An own log would save nothing (both pay one fsync a write) and would need compaction written and proved.

    attempts   one row an attempt; state "open" (live, or its end is not recorded), "settled" (recorded), "forgotten" (the
               backend has dropped it too); body: `Known` in JSON
    heads      signed heads of the plane's event chain, out of the plane's reach
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dure.agent.attempts import Known
from dure.agent.folder_lock import FolderLock
from dure.errors import ConfigError, StoreError
from dure.model.codec import from_plain, to_plain
from dure.model.event import Head

FORMAT = 1
HEADS_NEWEST = 1_000
HEADS_MAX = 50_000  # with one an hour beyond the newest: more than five years
HOUR_MS = 3_600_000
_NAMES_MAX = 500  # of one question: SQLite takes 999 values and more
_PRUNE_EVERY = 64  # heads between two prunings, so that a commit does not pay for one each time

_SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
    attempt TEXT PRIMARY KEY, state TEXT NOT NULL, updated_ms INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attempts_by_state ON attempts (state, updated_ms);
CREATE TABLE IF NOT EXISTS heads (
    incarnation INTEGER NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, at_ms INTEGER NOT NULL,
    signature TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (incarnation, seq, hash)) WITHOUT ROWID;
"""


class Journal:
    """Every method that writes is durable when it returns. Raises StoreError when the disk refuses. Safe from several threads."""

    def __init__(self, connection: sqlite3.Connection, lock: FolderLock | None = None) -> None:
        self._db: sqlite3.Connection | None = connection
        self._folder_lock = lock
        self._mutex = threading.RLock()
        self._heads_added = 0

    @staticmethod
    def open(folder: Path) -> Journal:
        """Open or create the journal of `folder` and lock the folder. Raises ConfigError when another agent has it, or
        when a newer version of Dure wrote it; StoreError when the file is damaged."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FolderLock(folder)
        try:
            return Journal(_connect(folder / "journal.db"), lock)
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def in_memory() -> Journal:
        """For the simulator and tests: the same journal, gone with the object."""
        return Journal(_prepared(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)))

    # -- attempts

    def put(self, rows: Iterable[Known], now_ms: int, head: Head | None = None) -> None:
        """Keep these as open, and the head that came with them: all or none, in one commit."""
        values = [(k.attempt, now_ms, _body(k)) for k in rows]
        if not values and head is None:
            return
        with self._writing() as db:
            db.executemany("INSERT OR REPLACE INTO attempts VALUES (?, 'open', ?, ?)", values)
            if head is not None:
                self._add_head(db, head)

    def settle(self, rows: Iterable[Known], now_ms: int) -> None:
        """Their ends are recorded by the plane: keep them to refuse a second launch, and to tell a restored plane."""
        with self._writing() as db:
            values = [(k.attempt, now_ms, _body(k)) for k in rows]
            db.executemany("INSERT OR REPLACE INTO attempts VALUES (?, 'settled', ?, ?)", values)

    def get(self, attempt: str) -> Known | None:
        found = self._read("SELECT body FROM attempts WHERE attempt = ?", attempt)
        return _known(found[0][0]) if found else None

    def open_rows(self) -> list[Known]:
        return [_known(body) for (body,) in self._read("SELECT body FROM attempts WHERE state = 'open' ORDER BY attempt")]

    def settled(self, limit: int) -> list[Known]:
        """The most lately settled ones, newest first."""
        query = "SELECT body FROM attempts WHERE state IN ('settled', 'forgotten') ORDER BY updated_ms DESC, attempt DESC LIMIT ?"
        return [_known(body) for (body,) in self._read(query, limit)]

    def forgettable(self, before_ms: int, keep_max: int, limit: int) -> list[str]:
        """Settled attempts that the backend may drop: settled before that moment, or beyond the newest `keep_max`."""
        newest = "SELECT attempt FROM attempts WHERE state = 'settled' ORDER BY updated_ms DESC, attempt DESC LIMIT ?"
        query = f"SELECT attempt FROM attempts WHERE state = 'settled' AND (updated_ms < ? OR attempt NOT IN ({newest})) LIMIT ?"
        return [attempt for (attempt,) in self._read(query, before_ms, keep_max, limit)]

    def recorded(self, attempts: Collection[str]) -> list[str]:
        """Those of them whose end the plane has durably recorded."""
        found: list[str] = []
        wanted = list(attempts)
        for start in range(0, len(wanted), _NAMES_MAX):
            some = wanted[start : start + _NAMES_MAX]
            marks = ", ".join("?" * len(some))
            query = f"SELECT attempt FROM attempts WHERE state IN ('settled', 'forgotten') AND attempt IN ({marks})"
            found += [attempt for (attempt,) in self._read(query, *some)]
        return found

    def mark_forgotten(self, attempts: Iterable[str]) -> None:
        with self._writing() as db:
            db.executemany("UPDATE attempts SET state = 'forgotten' WHERE attempt = ?", [(a,) for a in attempts])

    def prune(self, before_ms: int, keep_max: int) -> None:
        """Drop what was forgotten before that moment, or is beyond the newest `keep_max`."""
        newest = "SELECT attempt FROM attempts WHERE state = 'forgotten' ORDER BY updated_ms DESC, attempt DESC LIMIT ?"
        query = f"DELETE FROM attempts WHERE state = 'forgotten' AND (updated_ms < ? OR attempt NOT IN ({newest}))"
        with self._writing() as db:
            db.execute(query, (before_ms, keep_max))

    # -- heads

    def _add_head(self, db: sqlite3.Connection, head: Head) -> None:
        # One that contradicts an earlier one is kept beside it: that is what heads are kept for.
        row = (head.incarnation, head.seq, head.hash, head.at_ms, head.signature, head.key)
        db.execute("INSERT OR IGNORE INTO heads VALUES (?, ?, ?, ?, ?, ?)", row)
        self._heads_added += 1
        if self._heads_added % _PRUNE_EVERY == 0:
            _prune_heads(db)

    def heads(self) -> list[Head]:
        """Oldest first."""
        return [_head(row) for row in self._read(_HEADS)]

    def close(self) -> None:
        with self._mutex:
            if self._db is not None:
                self._db.close()
                self._db = None
            if self._folder_lock is not None:
                self._folder_lock.release()

    # -- one way in, one way out

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            db = self._open_db()
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except BaseException as fault:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                if isinstance(fault, sqlite3.Error):
                    raise StoreError(f"the agent's journal could not be written: {fault}") from fault
                raise

    def _read(self, query: str, *values: Any) -> Sequence[Any]:
        with self._mutex:
            try:
                return self._open_db().execute(query, values).fetchall()
            except sqlite3.Error as fault:
                raise StoreError(f"the agent's journal could not be read: {fault}") from fault

    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreError("the agent's journal is closed")
        return self._db


def read_heads(folder: Path) -> list[Head]:
    """The signed heads in the journal of an agent that may be running. Raises ConfigError when there is no journal."""
    path = folder / "journal.db"
    if not path.exists():
        raise ConfigError(f"{folder} holds no agent's journal")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return [_head(row) for row in db.execute(_HEADS)]
    except sqlite3.Error as fault:
        raise StoreError(f"{path} could not be read: {fault}") from fault


_HEADS = "SELECT seq, hash, at_ms, incarnation, signature, key FROM heads ORDER BY incarnation, seq, at_ms"


def _head(row: Sequence[Any]) -> Head:
    return Head(seq=row[0], hash=row[1], at_ms=row[2], incarnation=row[3], signature=row[4], key=row[5])


def _connect(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        return _prepared(db)
    except sqlite3.DatabaseError as fault:
        raise StoreError(
            f"{path} is damaged ({fault}); move it away and start again: what the backend still remembers is reported anew"
        ) from fault


def _prepared(db: sqlite3.Connection) -> sqlite3.Connection:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        db.close()
        raise ConfigError(f"the agent's journal has format {version} and this Dure reads up to {FORMAT}; install a newer Dure")
    if version < FORMAT:
        db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
    return db


def _prune_heads(db: sqlite3.Connection) -> None:
    """Keep the newest HEADS_NEWEST; of the older ones each hour's last and those that contradict each other; HEADS_MAX in all."""
    (total,) = db.execute("SELECT count(*) FROM heads").fetchone()
    if total > HEADS_NEWEST:
        horizon = f"SELECT at_ms FROM heads ORDER BY at_ms DESC LIMIT 1 OFFSET {HEADS_NEWEST - 1}"
        hourly = f"SELECT incarnation, max(seq) FROM heads GROUP BY incarnation, at_ms / {HOUR_MS}"
        forked = "SELECT incarnation, seq FROM heads GROUP BY incarnation, seq HAVING count(*) > 1"
        keep = f"(incarnation, seq) IN ({hourly}) OR (incarnation, seq) IN ({forked})"
        db.execute(f"DELETE FROM heads WHERE at_ms < ({horizon}) AND NOT ({keep})")
    if total > HEADS_MAX:
        oldest = f"SELECT at_ms FROM heads ORDER BY at_ms DESC LIMIT 1 OFFSET {HEADS_MAX - 1}"
        db.execute(f"DELETE FROM heads WHERE at_ms < ({oldest})")


def _body(known: Known) -> str:
    return json.dumps(to_plain(known), separators=(",", ":"), ensure_ascii=False)


def _known(body: str) -> Known:
    return from_plain(Known, json.loads(body))
