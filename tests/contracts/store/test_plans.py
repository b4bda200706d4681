"""How PostgreSQL finds what it is asked for: by index, whatever a table was like when it was asked first."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from dure.model.funding import Account
from dure.ports import Tx
from dure.store.sql import SqlStore
from tests.builders.records import account

ROWS = 3_000  # many pages more than the few rows that are asked for
PREPARED = 20  # times that a statement is asked: then driver and server have kept it, and its plan


def whole_reads(url: str) -> int:
    """How often the table of accounts was read from end to end by sessions that have ended."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'account'").fetchone()
        assert found is not None
        return int(found[0])


def touch(tx: Tx, ids: list[str]) -> None:
    for row in tx.get_many(Account, ids).values():
        tx.update(replace(row, debits_posted=row.debits_posted + 1))


def test_what_was_asked_first_of_an_empty_table_reads_no_whole_table_once_it_has_grown(postgres_url: str) -> None:
    known, store = whole_reads(postgres_url), SqlStore.open(postgres_url)
    for n in range(PREPARED):
        few = [f"{n}-a", f"{n}-b"]
        store.transact(lambda tx, ids=few: [tx.insert(account(id)) for id in ids])  # type: ignore[misc]
        store.transact(lambda tx, ids=few: touch(tx, ids))  # type: ignore[misc]
        store.read(lambda r, ids=few: r.get_many(Account, ids))  # type: ignore[misc]
    store.transact(lambda tx: [tx.insert(account(f"more {n}")) for n in range(ROWS)])
    for n in range(PREPARED):
        some = [f"more {n * 10}", f"more {n * 10 + 1}"]
        store.transact(lambda tx, ids=some: touch(tx, ids))  # type: ignore[misc]
        assert len(store.read(lambda r, ids=some: r.get_many(Account, ids))) == 2  # type: ignore[misc]
    store.close()
    assert whole_reads(postgres_url) == known
