"""A database's file that is taken away under the plane: nothing is acknowledged any more, and the log says what to do."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event as sql_event

from dure.errors import StoreError
from dure.model.funding import Account
from dure.store.sql import SqlStore
from dure.store.sql.failures import OutcomeUnknown, Unreachable
from tests.builders.records import account


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dure.db"


@pytest.fixture
def store(file: Path) -> Iterator[SqlStore]:
    made = SqlStore.open(f"sqlite:///{file}")
    made.transact(lambda tx: tx.insert(account("before")))
    yield made
    made.close()


def remove(file: Path) -> None:
    for path in file.parent.glob(file.name + "*"):
        path.unlink()


def test_a_database_that_was_removed_is_neither_written_nor_read(
    store: SqlStore, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    remove(file)
    for _ in range(2):
        with pytest.raises(Unreachable, match=r"dure\.db was removed, moved or replaced.*DO NOT STOP.*dure restore FILE"):
            store.transact(lambda tx: tx.insert(account("after")))
        with pytest.raises(StoreError, match="was removed"):
            store.read(lambda r: r.count(Account))
    told = [r for r in caplog.records if r.levelno == logging.CRITICAL]
    assert [(str(file) in r.getMessage(), "dure restore FILE" in r.getMessage()) for r in told] == [(True, True)]
    assert not file.exists(), "nobody makes an empty one in its place"


def test_a_database_that_was_replaced_is_neither_written_nor_read(store: SqlStore, file: Path) -> None:
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").replace(file)
    with pytest.raises(Unreachable, match="was removed, moved or replaced"):
        store.transact(lambda tx: tx.insert(account("after")))
    with pytest.raises(StoreError, match="was removed"):
        store.read(lambda r: r.count(Account))


def test_a_database_that_is_put_back_goes_on_and_is_missed_again(
    store: SqlStore, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        file.rename(file.with_name("moved"))
        with pytest.raises(Unreachable):
            store.transact(lambda tx: tx.insert(account("lost")))
        file.with_name("moved").rename(file)
        store.transact(lambda tx: tx.count(Account))
    assert [a.id for a in store.read(lambda r: r.find(Account))] == ["before"]
    assert [r.levelno for r in caplog.records] == [logging.CRITICAL] * 2


def test_what_is_removed_while_it_is_committed_is_not_acknowledged(store: SqlStore, file: Path) -> None:
    sql_event.listen(store._engines.writer, "commit", lambda connection: remove(file), once=True)
    with pytest.raises(OutcomeUnknown, match="may have been lost"):
        store.transact(lambda tx: tx.insert(account("after")))


def test_a_group_whose_database_goes_is_told_so_and_not_run_again(store: SqlStore, file: Path) -> None:
    """It may have been written, and the file may be put back."""
    gate, busy, runs = threading.Event(), threading.Event(), []
    blocked = store.submit(lambda tx: busy.set() or gate.wait(10))
    assert busy.wait(10)
    group = [store.submit(lambda tx, n=n: runs.append(n)) for n in range(3)]
    commits: list[int] = []

    def commit(connection: object) -> None:
        commits.append(1)
        if len(commits) == 2:
            file.rename(file.with_name("moved"))

    sql_event.listen(store._engines.writer, "commit", commit)
    gate.set()
    assert blocked.result(10)
    assert {type(future.exception(10)) for future in group} == {OutcomeUnknown}
    assert (runs, len(commits)) == ([0, 1, 2], 2)


def test_a_log_of_commits_that_was_removed_ends_reading_and_writing_and_loses_nothing(store: SqlStore, file: Path) -> None:
    """A connection that was opened now would begin a second one."""
    file.with_name("dure.db-wal").unlink()
    with pytest.raises(Unreachable, match=r"dure\.db-wal was removed or replaced.*dure down"):
        store.transact(lambda tx: tx.insert(account("after")))
    with pytest.raises(Unreachable, match="was removed or replaced"):
        store.read(lambda r: r.count(Account))
    store.close()
    again = SqlStore.open(f"sqlite:///{file}")
    assert [a.id for a in again.read(lambda r: r.find(Account))] == ["before"]
    again.transact(lambda tx: tx.insert(account("after")))
    again.close()


def test_what_a_removed_database_held_can_be_saved_while_its_plane_still_runs(store: SqlStore, file: Path) -> None:
    """As the page on what goes wrong says."""
    remove(file)
    saved = file.with_name("saved")
    saved.mkdir()
    for held in Path("/proc/self/fd").iterdir():
        name = str(held.readlink()) if held.is_symlink() else ""
        if name in (f"{file} (deleted)", f"{file}-wal (deleted)"):
            shutil.copyfile(held, saved / Path(name.removesuffix(" (deleted)")).name)
    again = SqlStore.open(f"sqlite:///{saved}/dure.db")
    assert [a.id for a in again.read(lambda r: r.find(Account))] == ["before"]
    again.close()
