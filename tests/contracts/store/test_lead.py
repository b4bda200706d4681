"""One leads at a time, with an epoch above all before, and knows when it no longer does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dure.errors import StaleLeader
from dure.model.records import Plane
from dure.store.memory import MemoryStore
from dure.store.sql import SqlStore
from tests.builders.postgres import PostgresServer
from tests.builders.records import account
from tests.contracts.store.conftest import Doors

ROOT = Path(__file__).parents[3]


def test_the_first_leads_the_second_waits_and_the_epoch_rises(doors: Doors) -> None:
    one, two = doors.open(), doors.open()
    assert not one.leads()
    assert one.try_lead() == 1
    assert (one.leads(), two.leads()) == (True, False)
    assert two.try_lead() is None
    assert one.try_lead() == 1  # kept, not taken anew
    one.close()
    assert two.try_lead() == 2
    assert two.leads()
    assert two.read(lambda r: r.get(Plane, "plane")) == Plane(leader_epoch=2, version=2)


def test_a_leader_that_was_replaced_is_fenced(doors: Doors) -> None:
    old, new = doors.open(), doors.open()
    epoch = old.try_lead()
    _break_lock(doors, old)
    assert not old.leads()
    assert new.try_lead() == 2
    with pytest.raises(StaleLeader):
        old.transact(lambda tx: tx.insert(account("a")), fence=epoch)
    new.transact(lambda tx: tx.insert(account("a")), fence=2)
    assert old.try_lead() is None


def _break_lock(doors: Doors, store: Any) -> None:
    if isinstance(store, MemoryStore):
        store.lose_lead()
    elif doors.name == "sqlite":
        Path(doors.url.removeprefix("sqlite:///") + ".leader").unlink()
    else:
        with psycopg.connect(doors.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
                " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
            )
        await_free(doors.url)


def await_free(url: str) -> None:
    """A server notices the end of a session a moment later. Wait for that as one waits for a lock: by taking it."""
    key = (int.from_bytes(b"durelead", "big"),)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", key)
        connection.execute("SELECT pg_advisory_unlock(%s)", key)


def test_a_lost_lead_can_be_taken_back_under_a_new_epoch(doors: Doors) -> None:
    store = doors.open()
    assert store.try_lead() == 1
    _break_lock(doors, store)
    assert store.try_lead() == 2
    assert store.leads()


LEADER = """
import sys
from dure.store.sql import SqlStore
store = SqlStore.open(sys.argv[1])
print(store.try_lead(), flush=True)
sys.stdin.read()
"""


@contextmanager
def other_process(url: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", LEADER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_killed_leader_of_another_process_is_followed(sql_doors: Doors) -> None:
    store = sql_doors.open()
    with other_process(sql_doors.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        assert store.try_lead() is None
        process.kill()
        process.wait()
        if sql_doors.name == "postgres":
            await_free(sql_doors.url)
        assert store.try_lead() == 2


def test_databases_of_one_server_have_leaders_of_their_own(postgres_server: PostgresServer, postgres_url: str) -> None:
    other = postgres_server.migrated()
    stores = [SqlStore.open(postgres_url), SqlStore.open(postgres_server.url(other))]
    assert [store.try_lead() for store in stores] == [1, 1]
    for store in stores:
        store.close()
    postgres_server.drop(other)
