"""The one thread of a process that writes. It commits transactions in groups, because a commit costs a disk flush and a
transaction alone costs far less.

A group is run in the order of its submission inside one database transaction; each closure sees what the ones before it wrote.
If anything in it raises, the whole group is rolled back and each of its closures is run again alone, in the same order, so one
bad closure costs its neighbours time and nothing else. Only after the commit do callers get their answers.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from dure.errors import Conflict, StoreError
from dure.ports import Tx
from dure.store.rules import CONFLICT_TRIES, run_calls
from dure.store.sql.failures import ConnectionLost, OutcomeUnknown, Unreachable, translated
from dure.store.sql.presence import Presence
from dure.store.sql.session import Link, SqlTx, Unit
from dure.store.sql.statements import Statements

log = logging.getLogger(__name__)
T = TypeVar("T")

# Transactions in one commit. More would spread a disk flush thinner, but at 64 it is already a small part of the whole, and a
# closure that fails makes all of its group run twice.
BATCH_MAX = 64

# Transactions that wait to be written. At 1,000 a second this is ten seconds: who comes later had better be told.
QUEUE_MAX = 10_000

# Tries to reach the database, with doubling pauses between them: three seconds in all, longer than a restart of a server.
CONNECT_TRIES = 6
CONNECT_PAUSE_S = 0.1

# Whole runs of a group whose connection breaks before the commit.
LOST_TRIES = 3


@dataclass(slots=True)
class Job:
    fn: Callable[[Tx], Any]
    fence: int | None
    future: Future[Any] = field(default_factory=Future)
    calls: list[Callable[[], None]] = field(default_factory=list)


class Writer:
    """Owns its engine's only connection. Closed once; what was submitted before that is still written."""

    def __init__(self, engine: Engine, statements: Statements, presence: Presence) -> None:
        self._engine = engine
        self._statements = statements
        self._presence = presence
        self._connection: Connection | None = None
        self._waiting: deque[Job] = deque()
        self._wake = threading.Condition()
        self._closing = threading.Event()
        self._running = False  # read and written by the writer's thread alone
        self._thread = threading.Thread(target=self._serve, name="dure-store-writer", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[Tx], T], fence: int | None) -> Future[T]:
        """Fails the future with StoreError when the queue is full, the store is closed, or this is within a transaction."""
        job = Job(fn, fence)
        with self._wake:
            refusal = self._refusal()
            if not refusal:
                self._waiting.append(job)
                self._wake.notify()
        if refusal:
            job.future.set_exception(StoreError(refusal))
        return job.future

    def _refusal(self) -> str:
        if self.is_current() and self._running:
            return "a transaction was started within a transaction"
        if self._closing.is_set():
            return "this store is closed"
        if len(self._waiting) >= QUEUE_MAX:
            return f"{QUEUE_MAX} transactions wait to be written already; try again later"
        return ""

    def is_current(self) -> bool:
        """Whether the caller is the writer's own thread, which must never wait for itself."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        with self._wake:
            self._closing.set()
            self._wake.notify()
        if not self.is_current():
            self._thread.join()

    # -- the thread -------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while batch := self._take():
            try:
                self._write(batch)
            except BaseException as failure:  # a bug of ours: nobody may wait for ever because of it
                log.exception("the writer failed")
                self._drop_connection()
                _fail([job for job in batch if not job.future.done()], failure)
        self._drop_connection()

    def _take(self) -> list[Job]:
        """The next group; empty when all is written and the store is closing."""
        while True:
            with self._wake:
                while not self._waiting and not self._closing.is_set():
                    self._wake.wait()
                if not self._waiting:
                    return []
                taken = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            batch = [job for job in taken if job.future.set_running_or_notify_cancel()]
            if batch:
                return batch

    def _write(self, batch: list[Job]) -> None:
        if len(batch) > 1 and self._written_together(batch):
            return
        for job in batch:
            if not job.future.done():
                self._write_alone(job, batch)

    def _written_together(self, batch: list[Job]) -> bool:
        """False when each has to be run alone. True when every caller has its answer, be it a failure of the database."""
        try:
            results = self._commit_through_loss(batch)
        except (OutcomeUnknown, Unreachable, ConnectionLost) as failure:
            self._give_up(batch, failure)
            return True
        except BaseException as failure:
            log.debug("a group of %d is run one by one: %r", len(batch), failure)
            return False
        _answer(batch, results)
        return True

    def _write_alone(self, job: Job, batch: list[Job]) -> None:
        for left in reversed(range(CONFLICT_TRIES)):
            try:
                results = self._commit_through_loss([job])
            except Conflict as failure:
                if left:
                    continue
                job.future.set_exception(failure)
            except Unreachable as failure:
                self._give_up([job for job in batch if not job.future.done()], failure)
            except BaseException as failure:
                job.future.set_exception(failure)
            else:
                _answer([job], results)
            return

    def _commit_through_loss(self, jobs: list[Job]) -> list[Any]:
        """Run and commit; again, on a new connection, when the old one broke before the commit was asked for."""
        for left in reversed(range(LOST_TRIES)):
            try:
                return self._commit(jobs)
            except ConnectionLost:
                if not left:
                    raise
                log.warning("the connection to the database was lost; trying again")
        raise StoreError("unreachable")  # the loop returns or raises

    def _commit(self, jobs: list[Job]) -> list[Any]:
        self._presence.require()
        connection = self._connect()
        try:
            with translated():
                connection.begin()
            self._presence.connected()
            unit = Unit(Link(connection, self._statements))
            results = [self._run(job, unit) for job in jobs]
            unit.finish()
        except BaseException:
            self._roll_back(connection)
            raise
        try:
            with translated():
                connection.commit()
        except ConnectionLost as failure:
            self._drop_connection()
            raise OutcomeUnknown("the connection was lost during a commit: it may have been written or not") from failure
        except BaseException:
            self._roll_back(connection)
            raise
        self._require_kept()
        return results

    def _require_kept(self) -> None:
        """Nothing is acknowledged that is not on disk under its name."""
        try:
            self._presence.require()
        except Unreachable as failure:
            raise OutcomeUnknown(f"{failure}; what was being written may have been lost") from failure

    def _run(self, job: Job, unit: Unit) -> Any:
        job.calls = []
        tx = SqlTx(unit, job.calls)
        self._running = True
        try:
            if job.fence is not None:
                unit.lead(job.fence)
            return job.fn(tx)
        finally:
            self._running = False
            tx.end()

    def _connect(self) -> Connection:
        if self._connection is not None and not self._connection.invalidated:
            return self._connection
        self._drop_connection()
        for attempt in range(CONNECT_TRIES):
            try:
                self._connection = self._engine.connect()
                return self._connection
            except DBAPIError as failure:
                cause = failure
                self._closing.wait(CONNECT_PAUSE_S * 2**attempt if attempt + 1 < CONNECT_TRIES else 0)
        raise Unreachable(f"the database could not be reached: {str(cause.orig).strip()}") from cause

    def _roll_back(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except BaseException:
            self._drop_connection()  # closing it rolls back too

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        self._presence.disconnecting()
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _give_up(self, jobs: list[Job], failure: BaseException) -> None:
        _fail(jobs, failure)
        if isinstance(failure, Unreachable):  # those behind would each wait as long for the same answer
            with self._wake:
                behind = [job for job in self._waiting if job.future.set_running_or_notify_cancel()]
                self._waiting.clear()
            _fail(behind, failure)


def _answer(jobs: list[Job], results: list[Any]) -> None:
    """All is durable: what was asked to happen then happens, and callers go on, in the order of the commit."""
    for job, result in zip(jobs, results, strict=True):
        run_calls(job.calls)
        job.future.set_result(result)


def _fail(jobs: list[Job], failure: BaseException) -> None:
    for job in jobs:
        job.future.set_exception(failure)
