"""What one transaction reads and writes in numbers: asked for once, written together, and the same as one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dure.errors import DuplicateKey
from dure.model.event import Event
from dure.model.funding import Account
from dure.model.workload import Workload, WorkloadState
from dure.ports import Store, Tx
from dure.store.kinds import KINDS
from dure.store.sql.session import AHEAD_MAX, SCALARS_AHEAD_MAX, SqlReader
from tests.builders.records import account, event, filled, workload
from tests.contracts.store.conftest import Doors

HARD = ('"', "\\u0000", "'; --", "%s :x", "대규모", "🌾", "\n\t", "[1,{}]", "null", "")


@pytest.mark.parametrize("kind", KINDS)
def test_many_rows_of_a_class_come_back_as_they_were_written(store: Store, kind: type[Any]) -> None:
    rows = [replace(filled(kind, f"id {n}"), id=f"id {n}", version=n + 1) for n in range(3)]
    if kind is Event:
        rows = [replace(row, seq=n + 1) for n, row in enumerate(rows)]
    store.transact(lambda tx: [tx.insert(row) for row in rows])
    assert store.read(lambda r: r.find(kind)) == rows
    store.transact(lambda tx: [tx.update(row) for row in reversed(rows)])
    assert store.read(lambda r: r.find(kind)) == [replace(row, version=row.version + 1) for row in rows]


def test_hard_values_survive_in_numbers(store: Store) -> None:
    rows = [event(f"{n} {text}", subject=text, data={text: text}, touched=(text,)) for n, text in enumerate(HARD)]
    largest = [account("most", debits_posted=2**63 - 1), account("least", debits_posted=-(2**63))]
    store.transact(lambda tx: [tx.insert(row) for row in (*rows, *largest)])
    assert store.read(lambda r: r.get_many(Event, [row.id for row in rows])) == {
        row.id: row for row in sorted(rows, key=lambda e: e.id)
    }
    changed = store.transact(lambda tx: [tx.update(replace(row, actor=row.subject)) for row in rows])
    assert sorted(store.read(lambda r: r.find(Event)), key=lambda e: e.id) == sorted(changed, key=lambda e: e.id)
    assert set(store.read(lambda r: r.find(Account))) == set(largest)


def test_a_row_updated_twice_among_many_is_written_as_it_was_last(store: Store) -> None:
    store.transact(lambda tx: [tx.insert(account(str(n))) for n in range(4)])

    def change(tx: Tx) -> None:
        for id in ("2", "0", "2", "3"):
            row = tx.get(Account, id)
            assert row is not None
            tx.update(replace(row, debits_posted=row.debits_posted + 5))

    store.transact(change)
    assert [(a.debits_posted, a.version) for a in store.read(lambda r: r.find(Account))] == [(5, 2), (0, 1), (10, 3), (5, 2)]


def test_rows_of_which_each_changes_in_other_columns_keep_the_rest(store: Store) -> None:
    store.transact(lambda tx: [tx.insert(workload(id, project=id, submitted_ms=7)) for id in "abc"])

    def change(tx: Tx) -> None:
        rows = tx.get_many(Workload, "abc")
        tx.update(replace(rows["a"], failures=3))
        tx.update(replace(rows["b"], state=WorkloadState.FAILED, reason={"kind": "x"}))
        tx.update(rows["c"])
        tx.update(replace(tx.get(Workload, "a") or rows["a"], failures=0))  # what it was, with a newer version

    store.transact(change)
    before = {id: workload(id, project=id, submitted_ms=7) for id in "abc"}
    assert store.read(lambda r: r.get_many(Workload, "abc")) == {
        "a": replace(before["a"], version=3),
        "b": replace(before["b"], version=2, state=WorkloadState.FAILED, reason={"kind": "x"}),
        "c": replace(before["c"], version=2),
    }


def test_one_row_among_many_that_another_process_changed_has_all_of_them_run_again(sql_doors: Doors) -> None:
    mine, other = sql_doors.open(), sql_doors.open()
    if sql_doors.name == "sqlite":
        pytest.skip("another process cannot write between, because a transaction keeps all others out")
    mine.transact(lambda tx: [tx.insert(account(str(n))) for n in range(3)])
    runs: list[int] = []

    def change(tx: Tx) -> None:
        rows = tx.get_many(Account, ["0", "1", "2"]).values()
        runs.append(len(runs))
        if len(runs) == 1:
            other.transact(lambda t: t.update(account("1", credits_posted=9)))
        for row in rows:
            tx.update(replace(row, debits_posted=row.debits_posted + 1))

    mine.transact(change)
    rows = mine.read(lambda r: r.find(Account))
    assert runs == [0, 1]
    assert [(a.debits_posted, a.credits_posted, a.version) for a in rows] == [(1, 0, 2), (1, 9, 3), (1, 0, 2)]


def test_a_taken_id_among_many_is_refused_and_nothing_of_them_stays(store: Store) -> None:
    store.transact(lambda tx: tx.insert(account("1")))
    with pytest.raises(DuplicateKey):
        store.transact(lambda tx: [tx.insert(account(str(n))) for n in range(3)])
    assert [a.id for a in store.read(lambda r: r.find(Account))] == ["1"]


def test_deleting_and_inserting_in_one_transaction_happen_in_their_order(store: Store) -> None:
    store.transact(lambda tx: [tx.insert(account(id)) for id in ("gone", "anew", "changed")])

    def change(tx: Tx) -> None:
        tx.delete(Account, "gone")
        tx.delete(Account, "anew")
        assert tx.get(Account, "anew") is None
        tx.insert(account("anew", debits_posted=3))
        tx.insert(account("passing"))
        tx.delete(Account, "passing")
        tx.update(account("changed", debits_posted=4))
        tx.delete(Account, "changed")
        tx.insert(account("last"))

    store.transact(change)
    assert store.read(lambda r: r.find(Account)) == [account("anew", debits_posted=3), account("last")]


def test_a_search_asked_again_sees_what_was_written_between(store: Store) -> None:
    store.transact(lambda tx: [tx.insert(workload(str(n))) for n in range(3)])

    def look(tx: Tx) -> None:
        waiting = {"state": WorkloadState.WAITING}
        found = tx.find(Workload, waiting)
        found.clear()  # whoever is answered owns the answer
        assert [w.id for w in tx.find(Workload, waiting)] == ["0", "1", "2"]
        tx.update(replace(workload("1"), state=WorkloadState.RUNNING))
        assert [w.id for w in tx.find(Workload, waiting)] == ["0", "2"]
        tx.insert(workload("3"))
        assert [w.id for w in tx.find(Workload, waiting)] == ["0", "2", "3"]
        tx.delete(Workload, "0")
        assert [w.id for w in tx.find(Workload, waiting)] == ["2", "3"]
        assert [w.id for w in tx.find(Workload, waiting, limit=1)] == ["2"]
        assert [w.id for w in tx.find(Workload, waiting, descending=True)] == ["3", "2"]

    store.transact(look)


def test_what_was_looked_for_in_vain_is_found_once_this_transaction_has_made_or_met_it(sql_doors: Doors) -> None:
    mine, other = sql_doors.open(), sql_doors.open()

    def look(tx: Tx) -> None:
        assert tx.get(Account, "a") is None
        assert tx.get_many(Account, ["a", "b"]) == {}
        tx.insert(account("a"))
        assert tx.get(Account, "a") == account("a")
        if sql_doors.name == "postgres":  # on SQLite a transaction keeps all others out
            other.transact(lambda t: t.insert(account("b")))
            assert [row.id for row in tx.find(Account)] == ["a", "b"]
            assert tx.get(Account, "b") == account("b")

    mine.transact(look)


def test_of_what_is_written_together_the_first_that_fails_is_told_and_nothing_stays(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.transact(lambda tx: [tx.insert(workload("a")), tx.insert(account("b"))])

    def write(tx: Tx) -> None:
        for row in (workload("a"), *(account(f"c{n}") for n in range(2_000)), account("b"), event("e1")):
            tx.insert(row)

    with pytest.raises(DuplicateKey, match="orkload"):
        store.transact(write)
    assert not caplog.records
    assert store.read(lambda r: (r.count(Account), r.count(Event))) == (1, 0)
    store.transact(lambda tx: tx.insert(event("e1")))  # and the next is none the worse for it


def test_what_is_read_ahead_is_not_asked_for_again(sql_doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    store = sql_doors.open()
    store.transact(lambda tx: [tx.insert(row) for row in (workload("a"), workload("b"), account("a"))])
    asked: list[type[Any]] = []
    ask = SqlReader.ask
    monkeypatch.setattr(
        SqlReader, "ask", lambda self, question, values: asked.append(question.kind) or ask(self, question, values)
    )

    def look(tx: Tx) -> None:
        tx.insert(workload("new"))
        tx.read_ahead({Workload: ["a", "b", "none", "new"], Account: {"a"}, Event: []})
        asked.clear()
        assert [tx.get(Workload, id) is not None for id in ("a", "b", "none", "new")] == [True, True, False, True]
        assert list(tx.get_many(Account, ["a"])) == ["a"]
        tx.read_ahead({Workload: ["a", "none"], Account: ["a"]})
        assert not asked
        assert tx.update(replace(workload("a"), failures=2)).version == 2

    store.transact(look)
    assert store.read(lambda r: r.find(Workload))[0].failures == 2


def test_much_that_is_read_ahead_is_read_in_parts(sql_doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one answer may take a gigabyte at most, which records without JSON never do."""
    store = sql_doors.open()
    ids = [f"a{n:03}" for n in range(AHEAD_MAX + 7)]
    store.transact(lambda tx: [tx.insert(account(id)) for id in ids])
    store.transact(lambda tx: [tx.insert(workload(id)) for id in ids])
    visits: list[dict[type[Any], int]] = []
    find_all = SqlReader.find_all
    monkeypatch.setattr(
        SqlReader,
        "find_all",
        lambda r, asked: visits.append({s.kind: len(s.where["id"]) for s in asked}) or find_all(r, asked),
    )

    def look(tx: Tx) -> None:
        tx.read_ahead({Account: [*ids, "none"], Workload: ids})
        assert len([id for id in ids if tx.get(Account, id) and tx.get(Workload, id)]) == len(ids)

    store.transact(look)
    assert visits == [{Account: AHEAD_MAX + 8, Workload: AHEAD_MAX}, {Workload: 7}]

    visits.clear()
    store.transact(lambda tx: tx.read_ahead({Account: [f"x{n}" for n in range(SCALARS_AHEAD_MAX + 1)]}))
    assert visits == [{Account: SCALARS_AHEAD_MAX}, {Account: 1}]
