"""What was acknowledged is there after a kill -9, a lost connection or a full queue; what is not known is said to be unknown."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event as sql_event
from sqlalchemy.exc import PendingRollbackError

from dure.errors import StoreError, StoreUnavailable
from dure.model.event import Event
from dure.model.funding import Account
from dure.model.tenancy import Organisation
from dure.model.workload import Workload
from dure.ports import Reader, Search, Tx
from dure.store.sql import SqlStore, engines, writer
from dure.store.sql.failures import ConnectionLost, OutcomeUnknown, Unreachable, translated
from tests.builders.records import account, workload
from tests.contracts.store.conftest import Doors

ROOT = Path(__file__).parents[3]

WRITER = """
import sys, threading
from dure.model.event import Event
from dure.store.sql import SqlStore
from tests.builders.records import event, workload
store = SqlStore.open(sys.argv[1])
out = threading.Lock()

def write(thread):
    for n in range(1_000_000):
        id = f"{thread}-{n}"
        store.transact(lambda tx: [tx.insert(workload(id)), tx.insert(event(id))])
        with out:
            print(id, flush=True)

for thread in range(4):
    threading.Thread(target=write, args=(thread,)).start()
"""


def test_every_acknowledged_write_survives_a_kill(sqlite_url: str) -> None:
    command = [sys.executable, "-c", WRITER, sqlite_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(300)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    store = SqlStore.open(sqlite_url)
    written = {w.id for w in store.read(lambda r: r.find(Workload))}
    assert set(acknowledged) <= written
    events = {e.id for e in store.read(lambda r: r.find(Event))}
    assert events == written  # whole transactions only
    store.close()


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[SqlStore]:
    store = SqlStore.open(postgres_url)
    yield store
    store.close()


def cut(url: str) -> None:
    """End every other session of the database, as a restart of the server does."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_connection_lost_between_transactions_is_replaced(postgres_store: SqlStore, postgres_url: str) -> None:
    postgres_store.transact(lambda tx: tx.insert(account("a")))
    assert postgres_store.read(lambda r: r.count(Account)) == 1
    cut(postgres_url)
    postgres_store.transact(lambda tx: tx.insert(account("b")))
    assert postgres_store.read(lambda r: r.count(Account)) == 2


def test_a_connection_lost_within_a_transaction_has_it_run_again(postgres_store: SqlStore, postgres_url: str) -> None:
    runs: list[int] = []

    def write(tx: Tx) -> None:
        runs.append(len(runs))
        tx.insert(account("a"))
        if len(runs) == 1:
            cut(postgres_url)
        assert tx.count(Account) == 1

    postgres_store.transact(write)
    assert runs == [0, 1]
    assert postgres_store.read(lambda r: r.count(Account)) == 1


def test_a_connection_lost_before_what_is_owed_was_sent_has_it_run_again(postgres_store: SqlStore, postgres_url: str) -> None:
    runs: list[int] = []

    def write(tx: Tx) -> None:
        runs.append(tx.count(Account))
        tx.insert(account("a"))
        tx.insert(workload("b"))
        if len(runs) == 1:
            cut(postgres_url)

    postgres_store.transact(write)
    assert runs == [0, 0]
    assert postgres_store.read(lambda r: (r.count(Account), r.count(Workload))) == (1, 1)


def test_a_look_outlives_a_lost_connection_and_leaves_it_as_it_was(postgres_store: SqlStore, postgres_url: str) -> None:
    """Whoever reads on the same connection later sees one moment."""
    postgres_store.transact(lambda tx: tx.insert(account("a")))
    closed = postgres_store._engines.reader.connect()
    closed.connection.driver_connection.close()  # type: ignore[union-attr]  # the pool has not noticed
    closed.close()
    for lost in (False, True):
        if lost:
            cut(postgres_url)
        assert postgres_store.look([Search(Account)]) == [[account("a")]]

    def read(reader: Reader) -> tuple[int, int]:
        before = reader.count(Account)
        postgres_store.transact(lambda tx: tx.insert(account("b")))
        return before, reader.count(Account)

    assert postgres_store.read(read) == (1, 1)


def test_whoever_goes_on_after_a_lost_connection_is_told_the_same_again(postgres_store: SqlStore, postgres_url: str) -> None:
    """In a transaction and in a read, by whatever asks next."""
    told: list[type[BaseException]] = []

    def ask(reader: Reader) -> None:
        reader.count(Account)
        cut(postgres_url)
        for _ in range(2):
            try:
                reader.count(Account)
            except StoreError as failure:
                told.append(type(failure))
        raise StoreError("it had enough")

    for door in (postgres_store.read, postgres_store.transact):
        told.clear()
        with pytest.raises(StoreError, match="had enough"):
            door(ask)
        assert told == [ConnectionLost] * 2


def test_a_read_whose_connection_is_lost_when_all_is_answered_has_answered(postgres_store: SqlStore, postgres_url: str) -> None:
    """It is not run again: what it did beside, such as following, would be told as nothing."""
    runs: list[int] = []

    def ask(reader: Reader) -> int:
        runs.append(reader.count(Account))
        cut(postgres_url)
        return len(runs)

    assert (postgres_store.read(ask), runs) == (1, [0])
    assert postgres_store.read(lambda reader: reader.count(Account)) == 0, "and the next one has a connection"


DYING = (
    ("once", sqlite3.OperationalError("disk I/O error"), None),
    ("always", sqlite3.OperationalError("unable to open database file"), ConnectionLost),
    ("always", sqlite3.DatabaseError("file is not a database"), StoreError),
)


@pytest.mark.parametrize(("how", "failure", "told"), DYING)
def test_a_connection_for_reading_that_dies_while_it_is_opened_is_lost_and_tried_once_more(
    sqlite_url: str, how: str, failure: Exception, told: type[StoreError] | None
) -> None:
    store, tries = SqlStore.open(sqlite_url), 0
    store._engines.reader.dispose()

    def die(*_: Any) -> None:
        nonlocal tries
        tries += 1
        if how == "always" or tries == 1:
            raise failure

    sql_event.listen(store._engines.reader, "do_connect", die)
    if told is None:
        assert store.read(lambda r: r.count(Account)) == 0
    else:
        with pytest.raises(StoreError, match=str(failure)) as raised:
            store.read(lambda r: r.count(Account))
        assert type(raised.value) is told
    assert tries == (1 if told is StoreError else 2)
    sql_event.remove(store._engines.reader, "do_connect", die)
    assert store.read(lambda r: r.count(Account)) == 0
    store.close()


def test_a_server_that_refuses_or_does_not_answer_is_unavailable(postgres_store: SqlStore) -> None:
    """Whoever waited long for nothing does not wait as long again."""
    for failure, told, expected in (
        (psycopg.OperationalError("the database system is starting up"), ConnectionLost, 2),
        (psycopg.errors.ConnectionTimeout("connection timeout expired"), Unreachable, 1),
    ):
        tries: list[int] = []

        def refuse(*_: Any, failure: Exception = failure, tries: list[int] = tries) -> None:
            tries.append(1)
            raise failure

        postgres_store._engines.reader.dispose()
        sql_event.listen(postgres_store._engines.reader, "do_connect", refuse)
        with pytest.raises(StoreUnavailable, match=str(failure)) as raised:
            postgres_store.read(lambda r: r.count(Account))
        sql_event.remove(postgres_store._engines.reader, "do_connect", refuse)
        assert (type(raised.value), len(tries)) == (told, expected)


def test_a_connection_that_was_lost_before_is_called_lost() -> None:
    """Where SQLAlchemy itself notices: it wants such a transaction rolled back first."""
    with pytest.raises(ConnectionLost, match="with it"), translated():
        raise PendingRollbackError("Can't reconnect until invalid transaction is rolled back.")


def test_a_connection_that_is_always_lost_is_given_up(postgres_store: SqlStore, postgres_url: str) -> None:
    runs: list[int] = []

    def write(tx: Tx) -> None:
        runs.append(len(runs))
        cut(postgres_url)
        tx.count(Account)

    with pytest.raises(StoreError, match="lost"):
        postgres_store.transact(write)
    assert len(runs) == writer.LOST_TRIES
    assert postgres_store.read(lambda r: r.count(Account)) == 0


def test_a_swallowed_failure_of_the_database_is_not_committed_over(postgres_store: SqlStore, postgres_url: str) -> None:
    def write(tx: Tx) -> str:
        tx.insert(account("a"))
        cut(postgres_url)
        try:
            tx.count(Account)
        except StoreError:
            return "went on"
        raise AssertionError("the connection was cut")

    with pytest.raises(StoreError, match="lost"):
        postgres_store.transact(write)
    assert postgres_store.read(lambda r: r.count(Account)) == 0


def test_a_connection_lost_during_the_commit_is_reported_and_not_retried(postgres_store: SqlStore, postgres_url: str) -> None:
    engine = postgres_store._engines.writer
    runs: list[int] = []

    sql_event.listen(engine, "commit", lambda connection: cut(postgres_url), once=True)

    def write(tx: Tx) -> None:
        runs.append(len(runs))
        tx.insert(account("a"))

    with pytest.raises(OutcomeUnknown, match="may have been written or not"):
        postgres_store.transact(write)
    assert runs == [0]
    postgres_store.transact(lambda tx: tx.insert(account("b")))
    assert [a.id for a in postgres_store.read(lambda r: r.find(Account))] == ["b"]


def test_a_database_that_cannot_be_reached_is_said_so_to_all_that_wait(
    postgres_store: SqlStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those behind the first group are told with it, instead of each waiting for as long to hear the same."""
    monkeypatch.setattr(writer, "CONNECT_PAUSE_S", 0.001)
    engine = postgres_store._engines.writer
    gate, busy, tries = threading.Event(), threading.Event(), []

    def refuse(*_: Any) -> None:
        tries.append(1)
        raise psycopg.OperationalError("connection refused")

    def block(tx: Tx) -> None:
        busy.set()
        gate.wait(10)
        cut(postgres_url)
        tx.count(Account)

    futures = [postgres_store.submit(block)]
    assert busy.wait(10)
    futures += [postgres_store.submit(lambda tx: tx.insert(account("x"))) for _ in range(writer.BATCH_MAX * 2)]
    sql_event.listen(engine, "do_connect", refuse)
    gate.set()
    assert {type(future.exception(30)) for future in futures} == {Unreachable}
    assert len(tries) == writer.CONNECT_TRIES
    sql_event.remove(engine, "do_connect", refuse)
    postgres_store.transact(lambda tx: tx.insert(account("again")))


def test_a_full_queue_is_refused_at_once_and_the_rest_is_written(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_MAX", 10)
    store = SqlStore.open(sqlite_url)
    gate, busy = threading.Event(), threading.Event()
    blocked = store.submit(lambda tx: busy.set() or gate.wait(10))
    assert busy.wait(10)
    waiting = [store.submit(lambda tx, n=n: tx.insert(account(f"{n}"))) for n in range(10)]
    refused = store.submit(lambda tx: tx.insert(account("too many")))
    assert "10 transactions wait" in str(refused.exception(0))
    gate.set()
    assert [future.exception(30) for future in [blocked, *waiting]] == [None] * 11
    assert store.read(lambda r: r.count(Account)) == 10
    store.close()


def test_a_read_that_outlives_its_store_leaves_no_connection_open(sql_doors: Doors) -> None:
    store: Any = sql_doors.open()
    opened: list[Any] = []
    sql_event.listen(store._engines.reader, "checkout", lambda connection, *_: opened.append(connection))
    store.read(lambda r: (r.count(Account), store.close()))
    assert opened
    for connection in opened:
        with pytest.raises((psycopg.OperationalError, sqlite3.ProgrammingError), match="closed"):
            connection.execute("SELECT 1")
    with pytest.raises(StoreError, match="closed"):
        store.read(lambda r: r.count(Account))


def test_transactions_that_wait_together_share_a_commit(sqlite_url: str) -> None:
    store = SqlStore.open(sqlite_url)
    commits: list[int] = []
    sql_event.listen(store._engines.writer, "commit", lambda connection: commits.append(1))
    gate, busy = threading.Event(), threading.Event()
    blocked = store.submit(lambda tx: busy.set() or gate.wait(10))
    assert busy.wait(10)
    waiting = [store.submit(lambda tx, n=n: tx.insert(account(f"{n}"))) for n in range(writer.BATCH_MAX)]
    gate.set()
    assert [future.exception(30) for future in [blocked, *waiting]] == [None] * (writer.BATCH_MAX + 1)
    store.close()
    assert len(commits) == 2


def test_a_transaction_cancelled_while_it_waits_is_never_run(sqlite_url: str) -> None:
    store = SqlStore.open(sqlite_url)
    gate, busy = threading.Event(), threading.Event()
    store.submit(lambda tx: busy.set() or gate.wait(10))
    assert busy.wait(10)
    cancelled = store.submit(lambda tx: tx.insert(account("cancelled")))
    kept = store.submit(lambda tx: tx.insert(account("kept")))
    assert cancelled.cancel()
    gate.set()
    kept.result(30)
    assert [a.id for a in store.read(lambda r: r.find(Account))] == ["kept"]
    store.close()


def test_a_call_after_the_commit_that_would_wait_for_itself_is_refused(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = SqlStore.open(sqlite_url)
    later: list[Any] = []

    def write(tx: Tx) -> None:
        tx.after_commit(lambda: store.transact(lambda inner: inner.insert(account("waited for"))))
        tx.after_commit(lambda: later.append(store.submit(lambda inner: inner.insert(account("submitted")))))

    store.transact(write)
    later[0].result(30)
    assert "waited for within" in caplog.text
    assert [a.id for a in store.read(lambda r: r.find(Account))] == ["submitted"]
    store.close()


def test_a_database_locked_for_too_long_is_said_so_to_all_that_wait(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SqlStore.open(sqlite_url)
    monkeypatch.setattr(engines, "BUSY_MS", 20)
    store = SqlStore.open(sqlite_url)
    gate, busy = threading.Event(), threading.Event()
    holds = other.submit(lambda tx: (busy.set(), gate.wait(30)))
    assert busy.wait(10)
    futures = [store.submit(lambda tx: tx.insert(account("x"))) for _ in range(5)]
    assert {type(future.exception(10)) for future in futures} == {Unreachable}
    gate.set()
    holds.result(10)
    store.transact(lambda tx: tx.insert(account("y")))
    for one in (store, other):
        one.close()


def test_a_database_locked_by_another_program_is_waited_for(sqlite_url: str) -> None:
    store, other = SqlStore.open(sqlite_url), SqlStore.open(sqlite_url)
    gate, busy = threading.Event(), threading.Event()
    holds = other.submit(lambda tx: (tx.insert(account("other")), busy.set(), gate.wait(10)))
    assert busy.wait(10)
    waits = store.submit(lambda tx: tx.insert(account("mine")))
    assert store.read(lambda r: r.count(Account)) == 0  # readers wait for nobody
    gate.set()
    assert (holds.exception(30), waits.exception(30)) == (None, None)
    assert store.read(lambda r: r.count(Account)) == 2
    for one in (store, other):
        one.close()


def test_what_cannot_be_read_any_more_is_told_as_the_stores_error(tmp_path: Path) -> None:
    """The disk gave other pages back: it shows while rows are fetched, and nothing may be committed after that."""
    file = tmp_path / "farm.db"
    store = SqlStore.open(f"sqlite:///{file}")
    store.transact(lambda tx: [tx.insert(Organisation(id=f"o{i:05d}", name="x" * 200, kind="university")) for i in range(3000)])
    store.close()
    link = sqlite3.connect(file)
    link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size, count = (link.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_size", "page_count"))
    link.close()
    with file.open("r+b") as pages:
        pages.seek((count - 20) * size)
        pages.write(b"\xff" * size * 15)
    store = SqlStore.open(f"sqlite:///{file}")

    def swallows(tx: Tx) -> None:
        with suppress(StoreError):
            tx.find(Organisation)
        tx.insert(Organisation(id="new", name="new", kind="university"))

    for work in (lambda: store.read(lambda r: r.find(Organisation)), lambda: store.transact(swallows)):
        with pytest.raises(StoreError, match="malformed"):
            work()
    store.close()
