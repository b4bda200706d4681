"""All of a transaction or none of it, in one order, and nobody is told before it is so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from dure.errors import Conflict, DuplicateKey, StaleLeader, StoreError
from dure.model.event import Event
from dure.model.funding import Account
from dure.model.records import Plane
from dure.model.workload import Workload, WorkloadState
from dure.ports import Store, Tx
from tests.builders.records import account, event, workload
from tests.contracts.store.conftest import Doors

Put = Callable[..., None]


class Abandoned(Exception):
    pass


def test_an_update_raises_the_version_by_one(store: Store, put: Put) -> None:
    put(account("a"))
    raised = store.transact(lambda tx: tx.update(account("a", debits_posted=7)))
    assert raised == account("a", debits_posted=7, version=2)
    assert store.read(lambda r: r.get(Account, "a")) == raised


def test_an_update_of_another_version_or_of_nothing_conflicts(store: Store, put: Put) -> None:
    put(account("a"))
    store.transact(lambda tx: tx.update(account("a", debits_posted=7)))
    for stale in (account("a"), account("a", version=3), account("gone")):
        with pytest.raises(Conflict):
            store.transact(lambda tx, s=stale: tx.update(s))
    assert store.read(lambda r: r.find(Account)) == [account("a", debits_posted=7, version=2)]


def test_a_closure_may_catch_a_conflict_and_go_on(store: Store, put: Put) -> None:
    """So a controller can record a lost race and apply the rest of its plan in the same transaction."""
    put(account("lost", version=5), account("won"))

    def apply(tx: Tx) -> list[str]:
        lost = []
        for record in (account("lost"), account("won")):
            try:
                tx.update(record)
            except Conflict:
                lost.append(record.id)
        return lost

    assert store.transact(apply) == ["lost"]
    assert {a.id: a.version for a in store.read(lambda r: r.find(Account))} == {"lost": 5, "won": 2}


def test_a_taken_id_is_refused_and_changes_nothing(store: Store, put: Put) -> None:
    put(account("a"))
    with pytest.raises(DuplicateKey):
        put(account("b"), account("a", debits_posted=9))
    with pytest.raises(DuplicateKey):
        put(account("c"), account("c"))
    assert store.read(lambda r: r.find(Account)) == [account("a")]


def test_a_sequence_number_is_given_once_and_zero_often(store: Store, put: Put) -> None:
    put(event("a", seq=1), event("b"), event("c"))
    with pytest.raises(DuplicateKey):
        put(event("d", seq=1))
    with pytest.raises(DuplicateKey):
        store.transact(lambda tx: tx.update(event("b", seq=1)))
    store.transact(lambda tx: tx.update(event("b", seq=2)))
    assert [(e.id, e.seq) for e in store.read(lambda r: r.find(Event))] == [("a", 1), ("b", 2), ("c", 0)]


def test_a_transaction_that_raises_leaves_nothing(store: Store, put: Put) -> None:
    put(account("a"), account("b"))

    def abandon(tx: Tx) -> None:
        tx.insert(account("c"))
        tx.update(account("a", debits_posted=1))
        tx.delete(Account, "b")
        assert tx.count(Account) == 2  # its own writes were really there
        raise Abandoned

    with pytest.raises(Abandoned):
        store.transact(abandon)
    assert store.read(lambda r: r.find(Account)) == [account("a"), account("b")]


def test_a_transaction_reads_its_own_writes(store: Store, put: Put) -> None:
    put(workload("1"), workload("2"), workload("3"))
    running = {"state": WorkloadState.RUNNING}

    def look(tx: Tx) -> None:
        tx.insert(workload("4", state=WorkloadState.RUNNING))
        assert tx.get(Workload, "4") == workload("4", state=WorkloadState.RUNNING)
        first = tx.update(replace(workload("1"), state=WorkloadState.RUNNING))
        assert tx.get(Workload, "1") == first
        assert [w.id for w in tx.find(Workload, running)] == ["1", "4"]
        tx.delete(Workload, "2")
        assert tx.get(Workload, "2") is None
        assert list(tx.get_many(Workload, ["3", "2", "1"])) == ["1", "3"]
        assert (tx.count(Workload), tx.count(Workload, running)) == (3, 2)
        tx.insert(workload("2", project="again"))
        assert [w.id for w in tx.find(Workload, limit=2, descending=True)] == ["4", "3"]
        assert tx.update(first).version == 3
        assert tx.update(workload("4")).version == 2
        assert [w.id for w in tx.find(Workload, {"state": "waiting"}, after="1")] == ["2", "3", "4"]

    store.transact(look)
    assert [(w.id, w.version) for w in store.read(lambda r: r.find(Workload))] == [("1", 3), ("2", 1), ("3", 1), ("4", 2)]
    assert store.read(lambda r: r.find(Workload, {"project": "again"}))[0].id == "2"


def test_deleting_what_is_not_there_is_fine(store: Store, put: Put) -> None:
    put(account("a"))
    store.transact(lambda tx: [tx.delete(Account, id) for id in ("a", "a", "never", "nul\0")])
    assert store.read(lambda r: r.find(Account)) == []


def test_a_reader_sees_whole_transactions_and_everything_that_returned(doors: Doors) -> None:
    store, other = doors.open(), doors.open()
    for n in range(20):
        store.transact(lambda tx, n=n: [tx.insert(account(f"{n}/{half}")) for half in "ab"])
        assert other.read(lambda r: r.count(Account)) == 2 * (n + 1)


@pytest.mark.parametrize("name", ["sqlite", "postgres"])
def test_a_reader_stays_in_its_moment(name: str, request: pytest.FixtureRequest) -> None:
    """The memory store reads under its lock: there nothing can come between."""
    store = Doors(name, request.getfixturevalue(f"{name}_url")).open()

    def look(reader: Any) -> tuple[int, int]:
        before = reader.count(Account)
        store.transact(lambda tx: tx.insert(account("late")))
        return before, reader.count(Account)

    assert store.read(look) == (0, 0)
    assert store.read(lambda r: r.count(Account)) == 1
    store.close()


def test_a_transaction_cannot_be_used_after_its_end(store: Store) -> None:
    kept: list[Tx] = []
    store.transact(kept.append)
    uses: list[Callable[[Tx], Any]] = [
        lambda tx: tx.get(Account, "a"),
        lambda tx: tx.get_many(Account, ["a"]),
        lambda tx: tx.find(Account),
        lambda tx: tx.count(Account),
        lambda tx: tx.insert(account("a")),
        lambda tx: tx.update(account("a")),
        lambda tx: tx.delete(Account, "a"),
        lambda tx: tx.after_commit(lambda: None),
    ]
    for use in uses:
        with pytest.raises(StoreError, match="has ended"):
            use(kept[0])
    assert store.read(lambda r: r.count(Account)) == 0


def test_a_transaction_within_a_transaction_is_refused(store: Store) -> None:
    def nested(tx: Tx) -> None:
        tx.insert(account("outer"))
        store.transact(lambda inner: inner.insert(account("inner")))

    with pytest.raises(StoreError, match="within a transaction"):
        store.transact(nested)
    assert store.read(lambda r: r.count(Account)) == 0


def test_a_transaction_submitted_within_a_transaction_is_refused(store: Store) -> None:
    """It would be lost, or done twice, when the outer one is run again."""
    inner = store.transact(lambda tx: store.submit(lambda inner: inner.insert(account("inner"))))
    assert "within a transaction" in str(inner.exception(0))
    assert store.read(lambda r: r.count(Account)) == 0


def test_calls_after_the_commit_come_once_it_is_durable_and_before_the_answer(doors: Doors) -> None:
    store, other = doors.open(), doors.open()
    seen: list[Any] = []

    def write(tx: Tx) -> str:
        tx.insert(account("a"))
        tx.after_commit(lambda: seen.append(other.read(lambda r: r.count(Account))))
        tx.after_commit(lambda: seen.append("second"))
        assert not seen
        return "done"

    assert store.transact(write) == "done"
    assert seen == [1, "second"]


def test_calls_after_the_commit_never_come_when_it_failed(store: Store, put: Put) -> None:
    put(account("a"))
    called: list[str] = []

    def fail(tx: Tx, how: Callable[[Tx], Any]) -> None:
        tx.after_commit(lambda: called.append("wrongly"))
        how(tx)

    def abandon(tx: Tx) -> None:
        raise Abandoned

    hows: list[Callable[[Tx], Any]] = [abandon, lambda tx: tx.insert(account("a")), lambda tx: tx.update(account("a", version=9))]
    for how in hows:
        with pytest.raises((Abandoned, StoreError)):
            store.transact(lambda tx, how=how: fail(tx, how))
    assert called == []


def test_a_call_after_the_commit_that_raises_harms_nobody(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def write(tx: Tx) -> None:
        tx.insert(account("a"))
        tx.after_commit(lambda: 1 // 0)

    store.transact(write)
    store.transact(lambda tx: tx.insert(account("b")))
    assert store.read(lambda r: r.count(Account)) == 2
    assert "a call after a commit failed" in caplog.text


def test_a_fence_admits_the_leader_alone(doors: Doors) -> None:
    store = doors.open()
    with pytest.raises(StaleLeader):
        store.transact(lambda tx: tx.insert(account("nobody leads")), fence=1)
    epoch = store.try_lead()
    assert epoch == 1
    store.transact(lambda tx: tx.insert(account("a")), fence=1)
    store.transact(lambda tx: tx.update(replace(_plane(tx), leader_epoch=2)))
    with pytest.raises(StaleLeader):
        store.transact(lambda tx: tx.insert(account("stale")), fence=1)
    store.transact(lambda tx: tx.insert(account("b")), fence=2)
    assert [a.id for a in store.read(lambda r: r.find(Account))] == ["a", "b"]


def test_a_fenced_transaction_may_change_the_plane_itself(store: Store) -> None:
    epoch = store.try_lead()
    for seq in (1, 2, 3):
        store.transact(lambda tx, s=seq: tx.update(replace(_plane(tx), sealed_seq=s)), fence=epoch)
    assert store.read(lambda r: r.get(Plane, "plane")) == Plane(leader_epoch=1, sealed_seq=3, version=4)


def _plane(tx: Tx) -> Plane:
    plane = tx.get(Plane, "plane")
    assert plane is not None
    return plane


def _increment(tx: Tx) -> int:
    counter = tx.get(Account, "counter")
    assert counter is not None
    return int(tx.update(replace(counter, debits_posted=counter.debits_posted + 1)).debits_posted)


def test_eight_threads_counting_lose_nothing(store: Store, put: Put) -> None:
    put(account("counter"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: store.transact(_increment), range(400)))
    assert sorted(answers) == list(range(1, 401))
    assert store.read(lambda r: r.get(Account, "counter")) == account("counter", debits_posted=400, version=401)


def test_two_stores_counting_on_one_database_lose_nothing(doors: Doors) -> None:
    """On PostgreSQL two processes write at once: their compare-and-sets collide, and the loser runs again."""
    stores = [doors.open(), doors.open()]
    stores[0].transact(lambda tx: tx.insert(account("counter")))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda n: stores[n % 2].transact(_increment), range(100)))
    assert sorted(answers) == list(range(1, 101))


def test_one_failing_closure_among_fifty_harms_no_other(store: Store, put: Put) -> None:
    put(account("taken"))
    gate = threading.Event()
    first = threading.Thread(target=store.transact, args=(lambda tx: gate.wait(10),))
    first.start()  # keeps the writer busy, so that the rest are submitted while it waits, and share a commit
    if not _is_memory(store):
        ready = [store.submit(_one_of_fifty(n)) for n in range(50)]
        gate.set()
    else:
        gate.set()
        ready = [store.submit(_one_of_fifty(n)) for n in range(50)]
    first.join()
    outcomes = [type(future.exception(30)) for future in ready]
    assert outcomes == [
        Abandoned if n == 7 else DuplicateKey if n == 23 else Conflict if n == 31 else type(None) for n in range(50)
    ]
    good = [n for n in range(50) if n not in (7, 23, 31)]
    assert [f.result() for n, f in enumerate(ready) if n in good] == good
    assert [a.id for a in store.read(lambda r: r.find(Account))] == [*(f"{n:02}" for n in good), "taken"]


def _is_memory(store: Store) -> bool:
    return type(store).__name__ == "MemoryStore"


def _one_of_fifty(n: int) -> Callable[[Tx], int]:
    def write(tx: Tx) -> int:
        tx.insert(account(f"{n:02}"))
        if n == 7:
            raise Abandoned
        if n == 23:
            tx.insert(account("taken"))
        if n == 31:
            tx.update(account("taken", version=2))
        return n

    return write


def test_submitted_transactions_are_run_in_their_order(store: Store, put: Put) -> None:
    put(account("counter"))
    futures = [store.submit(_increment) for _ in range(100)]
    assert [future.result(30) for future in futures] == list(range(1, 101))


def test_closing_writes_what_was_submitted_and_refuses_more(doors: Doors) -> None:
    store, other = doors.open(), doors.open()
    futures = [store.submit(lambda tx, n=n: tx.insert(account(f"{n:03}"))) for n in range(200)]
    store.close()
    assert [future.exception(0) for future in futures] == [None] * 200
    assert other.read(lambda r: r.count(Account)) == 200
    with pytest.raises(StoreError, match="closed"):
        store.transact(lambda tx: None)
    assert "closed" in str(store.submit(lambda tx: None).exception(0))
    with pytest.raises(StoreError, match="closed"):
        store.read(lambda r: None)
    store.close()
