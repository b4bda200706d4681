"""What is put in comes out the same, and searches find the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy

from dure.errors import StoreError, UnknownValue
from dure.model.event import Event
from dure.model.funding import Account, Transfer
from dure.model.money import Currency
from dure.model.records import Idempotency, Plane
from dure.model.site import Site
from dure.model.tenancy import Organisation, Project
from dure.model.workload import Attempt, Evidence, Workload, WorkloadState
from dure.ports import Reader, Search, Store, Tx
from dure.store.kinds import KINDS
from dure.store.sql import SqlStore
from dure.store.sql.engines import open_engines
from tests.builders.records import account, event, filled, idempotency, transfer, workload
from tests.contracts.store.conftest import Doors

Put = Callable[..., None]


def ids(records: list[Any]) -> list[str]:
    return [record.id for record in records]


def test_what_a_transaction_finds_is_what_it_stored_also_of_its_own(sql_doors: Doors) -> None:
    """Not the object that it was given, which JSON may have changed: what is sealed has to be what others will read."""
    store, given = sql_doors.open(), event("e1", data={10: 1, 9: 2})

    def put_and_find(tx: Tx) -> list[Event]:
        tx.insert(given)
        return tx.find(Event, {"subject": given.subject}, order="seq")

    (found,) = store.transact(put_and_find)
    assert found.data == {"10": 1, "9": 2} == store.read(lambda r: r.find(Event))[0].data


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_of_every_class_comes_back(store: Store, put: Put, kind: type[Any]) -> None:
    record = filled(kind, "가/1")
    put(record)
    assert store.read(lambda r: r.get(kind, "가/1")) == record
    assert store.read(lambda r: r.find(kind)) == [record]
    raised = store.transact(lambda tx: tx.update(replace(record, version=record.version)))
    assert store.read(lambda r: r.get(kind, "가/1")) == raised == replace(record, version=record.version + 1)


def test_a_record_of_defaults_comes_back(store: Store, put: Put) -> None:
    put(Plane(), Site(id=""), workload("w"))
    assert store.read(lambda r: r.get(Plane, "plane")) == Plane()
    assert store.read(lambda r: r.get(Site, "")) == Site(id="")
    found = store.read(lambda r: r.get(Workload, "w"))
    assert found == workload("w")
    assert found is not None
    assert (type(found.state), type(found.spec.command), type(found.spec.demand.accelerators)) == (WorkloadState, tuple, tuple)


def test_what_is_missing_is_none_and_what_is_none_stays_none(store: Store, put: Put) -> None:
    base = filled(Attempt, "a")
    put(replace(base, id="none", evidence=Evidence(exit_code=None)), replace(base, id="zero", evidence=Evidence(exit_code=0)))
    assert store.read(lambda r: r.get(Attempt, "absent")) is None
    found = store.read(lambda r: r.get_many(Attempt, ["zero", "none", "absent"]))
    assert {id: record.evidence.exit_code for id, record in found.items()} == {"none": None, "zero": 0}
    assert store.read(lambda r: r.find(Attempt, {"site": None})) == []


def test_integers_of_64_bits_fit_and_larger_ones_are_refused(store: Store, put: Put) -> None:
    put(account("max", credits_posted=2**63 - 1), account("min", credits_posted=-(2**63)))
    assert store.read(lambda r: r.get(Account, "max")) == account("max", credits_posted=2**63 - 1)
    assert store.read(lambda r: r.find(Account, {"credits_posted": -(2**63)})) == [account("min", credits_posted=-(2**63))]
    for number in (2**63, -(2**63) - 1):
        with pytest.raises(StoreError, match="64 bits"):
            put(account("over", credits_posted=number))
        assert store.read(lambda r, n=number: r.find(Account, {"credits_posted": n})) == []
    assert store.read(lambda r: r.count(Account)) == 2


def test_text_of_every_script_fits(store: Store, put: Put) -> None:
    texts = ["두레", "a'b\"c\\d%s:x?", "\u202e\x7f\x01\t\r\n", "👩‍🌾", "x" * 100_000]
    put(*(Organisation(id=f"{n}", name=text) for n, text in enumerate(texts)))
    assert [o.name for o in store.read(lambda r: r.find(Organisation))] == texts
    for text in texts:
        assert [o.name for o in store.read(lambda r, t=text: r.find(Organisation, {"name": [t, "other"]}))] == [text]


@pytest.mark.parametrize("text", ["a\0b", "half \ud800"], ids=["nul", "half a pair"])
def test_text_that_no_database_holds_is_refused_and_never_found(store: Store, put: Put, text: str) -> None:
    with pytest.raises(StoreError, match="NUL or half a surrogate"):
        put(Organisation(id="o", name=text))
    put(Organisation(id="p", name="a"))
    assert store.read(lambda r: r.get(Organisation, text)) is None
    assert store.read(lambda r: r.get_many(Organisation, [text, "p"])) == {"p": Organisation(id="p", name="a")}
    assert store.read(lambda r: r.find(Organisation, {"name": text})) == []
    assert store.read(lambda r: r.count(Organisation, {"name": [text]})) == 0
    assert ids(store.read(lambda r: r.find(Organisation, after=text))) == ["p"]


def test_fractions_come_back_to_the_last_bit(store: Store, put: Put) -> None:
    uses = [0.1 + 0.2, 1e-300, 1.7976931348623157e308, 0.0]
    put(*(Project(id=str(n), name="", organisation="", use=use) for n, use in enumerate(uses)))
    assert [p.use for p in store.read(lambda r: r.find(Project))] == uses


def test_find_is_by_equality_any_of_and_both(store: Store, put: Put) -> None:
    put(
        workload("1", project="a"),
        workload("2", project="a", state=WorkloadState.RUNNING),
        workload("3", project="b", state=WorkloadState.FAILED),
        workload("4", project="b", array_index=3),
    )

    def found(**where: Any) -> list[str]:
        return ids(store.read(lambda r: r.find(Workload, where)))

    assert found() == ["1", "2", "3", "4"]
    assert found(project="a") == ["1", "2"]
    assert found(state=WorkloadState.WAITING) == found(state="waiting") == ["1", "4"]
    assert found(state=[WorkloadState.WAITING, WorkloadState.FAILED], project="b") == ["3", "4"]
    assert found(state={WorkloadState.RUNNING}, project=("a", "b", "a")) == ["2"]
    assert found(array_index=3) == found(array_index=frozenset({3, 4})) == ["4"]
    assert found(project="none") == found(state=[]) == found(state=[], project="a") == []
    assert found(id=["4", "1", "9"], project="a") == ["1"]
    assert store.read(lambda r: (r.count(Workload), r.count(Workload, {"project": "b"}), r.count(Workload, {"id": []}))) == (
        4,
        2,
        0,
    )


def test_find_by_truth_and_by_enum_of_text_fields(store: Store, put: Put) -> None:
    put(Site(id="up"), Site(id="down", drained=True), account("c", currency=Currency.ACS))
    assert ids(store.read(lambda r: r.find(Site, {"drained": True}))) == ["down"]
    assert ids(store.read(lambda r: r.find(Site, {"drained": [True, False]}))) == ["down", "up"]
    assert ids(store.read(lambda r: r.find(Account, {"currency": Currency.ACS}))) == ["c"]


def test_any_of_takes_thousands_of_values(store: Store, put: Put) -> None:
    names = [f"o{n:05}" for n in range(40_000)]  # more than SQLite allows parameters
    put(Organisation(id=names[7], name=""), Organisation(id=names[-1], name=""))
    assert ids(store.read(lambda r: r.find(Organisation, {"id": names}))) == [names[7], names[-1]]
    assert list(store.read(lambda r: r.get_many(Organisation, set(names)))) == [names[7], names[-1]]


def test_order_is_by_field_then_id_and_by_code_point(store: Store, put: Put) -> None:
    put(*(event(id, at_ms=at) for id, at in [("b", 2), ("가", 1), ("a", 2), ("Z", 1), ("é", 2), ("😀", 1), ("\uffff", 1)]))
    up = ["Z", "가", "\uffff", "😀", "a", "b", "é"]
    assert ids(store.read(lambda r: r.find(Event, order="at_ms"))) == up
    assert ids(store.read(lambda r: r.find(Event, order="at_ms", descending=True))) == up[::-1]
    assert ids(store.read(lambda r: r.find(Event, order="at_ms", descending=True, limit=2))) == up[:-3:-1]
    assert ids(store.read(lambda r: r.find(Event))) == ["Z", "a", "b", "é", "가", "\uffff", "😀"]


def test_order_on_postgresql_does_not_follow_the_databases_language(postgres_server: Any) -> None:
    from_icu = "LOCALE_PROVIDER icu ICU_LOCALE 'en' TEMPLATE template0"
    name = postgres_server.empty()
    postgres_server.drop(name)
    postgres_server.execute(f"CREATE DATABASE {name} {from_icu}")
    doors = SqlStore.open(postgres_server.url(name))
    doors.transact(lambda tx: [tx.insert(Organisation(id=id, name="")) for id in ("a", "B", "Z", "é")])
    assert ids(doors.read(lambda r: r.find(Organisation))) == ["B", "Z", "a", "é"]
    assert ids(doors.read(lambda r: r.find(Organisation, after="Z"))) == ["a", "é"]
    doors.close()
    postgres_server.drop(name)


def test_cursors_walk_all_pages_in_both_directions(store: Store, put: Put) -> None:
    names = [f"{n:02}" for n in range(10)]
    put(*(event(name, project="p" if int(name) % 2 else "q") for name in names))

    def walk(descending: bool, **where: Any) -> list[str]:
        seen, after = [], ""
        while page := store.read(lambda r, a=after: r.find(Event, where, after=a, limit=3, descending=descending)):
            assert len(page) <= 3
            seen += ids(page)
            after = seen[-1]
        return seen

    assert walk(False) == names
    assert walk(True) == names[::-1]
    assert walk(False, project="p") == names[1::2]
    assert walk(True, project=["p", "q"]) == names[::-1]


@pytest.mark.parametrize("descending", [False, True])
def test_pages_in_the_order_of_a_field_hold_each_record_once(store: Store, put: Put, descending: bool) -> None:
    put(*(event(f"e{i}", at_ms=at_ms) for i, at_ms in enumerate((50, 20, 20, 70, 20, 10))))
    want = ids(store.read(lambda r: r.find(Event, order="at_ms", descending=descending)))
    assert sorted(want) == [f"e{i}" for i in range(6)] and want != sorted(want, reverse=descending)

    def walk(reader: Reader) -> list[str]:
        seen: list[str] = []
        while page := reader.find(Event, order="at_ms", after=seen[-1] if seen else "", limit=2, descending=descending):
            seen += ids(page)
        return seen

    assert store.read(walk) == want
    assert store.read(lambda r: r.find(Event, order="at_ms", after="gone", limit=2)) == []


def test_the_latest_is_found_by_descending_order_and_limit(store: Store, put: Put) -> None:
    put(*(event(f"e{n}", seq=n) for n in (3, 1, 2)), event("unsealed"))
    assert ids(store.read(lambda r: r.find(Event, order="seq", descending=True, limit=1))) == ["e3"]
    assert ids(store.read(lambda r: r.find(Event, {"seq": 0}))) == ["unsealed"]
    assert ids(store.read(lambda r: r.find(Event, {"seq": [2, 3]}, order="seq"))) == ["e2", "e3"]


def test_several_searches_at_once_find_what_each_finds_alone(store: Store, put: Put) -> None:
    put(*(filled(kind, f"{kind.__name__} {n}") for kind in KINDS if kind is not Event for n in range(2)))
    put(event("ev 1", seq=1, data={"글": '"'}), event("ev 2", seq=2), event("ev 3"))
    whole = [Search(kind) for kind in KINDS]
    some = [
        Search(Event, {"seq": [2, 1, 7]}), Search(Event, {"seq": 0}), Search(Account, {"id": "Account 1"}),
        Search(Site, {"id": "nowhere"}), Search(Event, limit=2), Search(Workload, {"project": "none"}, 1),
        Search(Workload, {"id": ["Workload 0", "Workload 1"], "state": WorkloadState.WAITING}),
    ]  # fmt: skip
    part = [Search(Event, {"id": "ev 3"}), Search(Site, {"id": "\0"}), Search(Plane, {"id": []}), Search(Event, limit=1)]
    for searches in (whole, some, part, part[1:3], []):
        alone = store.read(lambda r, s=searches: [r.find(each.kind, each.where, limit=each.limit) for each in s])  # type: ignore[misc]
        assert store.look(searches) == alone
    with pytest.raises(StoreError, match="data"):
        store.look([Search(Event, {"data": {}})])


@pytest.mark.parametrize("use", [0.0, 1.0, 0.1, 1e300, 5e-324, float("inf"), float("-inf")])
def test_a_float_is_read_as_it_was_written_alone_and_among_others(store: Store, use: float) -> None:
    for ids in (["alone"], ["a", "b"]):
        rows = [Project(id=id, name=id, organisation="o") for id in ids]
        store.transact(lambda tx, rows=rows: [tx.insert(replace(row, use=use)) for row in rows])  # type: ignore[misc]
        store.transact(lambda tx, rows=rows: [tx.update(replace(row, use=use, name="other")) for row in rows])  # type: ignore[misc]
    for found in (store.read(lambda r: r.find(Project)), *store.look([Search(Project)])):
        assert [str(row.use) for row in found] == [str(use)] * 3
        assert all(isinstance(row.use, float) and row.name == "other" for row in found)


def test_a_question_without_an_answer_everywhere_is_refused(store: Store) -> None:
    questions: list[Callable[[Any], Any]] = [
        lambda r: r.find(Workload, {"spec": {}}),
        lambda r: r.find(Workload, {"no_such": 1}),
        lambda r: r.find(Workload, order="reason"),
        lambda r: r.count(Workload, {"command": 1}),
        lambda r: r.get(Evidence, "x"),
        lambda r: r.find(str),
    ]
    for question in questions:
        with pytest.raises(StoreError):
            store.read(question)
        with pytest.raises(StoreError):
            store.transact(question)


def test_records_of_different_classes_may_share_an_id(store: Store, put: Put) -> None:
    put(account("x"), transfer("x"), idempotency("x"))
    assert store.read(lambda r: (r.get(Account, "x"), r.get(Transfer, "x"), r.get(Idempotency, "x"))) == (
        account("x"), transfer("x"), idempotency("x"),
    )  # fmt: skip


NEWER = (("state", "hibernating", "'hibernating'"), ("evidence", "[1]", "'list' object"))


@pytest.mark.parametrize(("field", "written", "told"), NEWER)
def test_a_value_of_a_newer_version_is_told_with_its_record_its_field_and_the_remedy(
    sql_doors: Doors, field: str, written: str, told: str
) -> None:
    """In a column of its own, and within a nested record; other records are read as ever."""
    store: Any = sql_doors.open()
    attempts = [filled(Attempt, id) for id in ("a1", "a2", "a3")]
    store.transact(lambda tx: [tx.insert(attempt) for attempt in attempts])
    other = open_engines(sql_doors.url)
    with other.writer.begin() as connection:
        connection.execute(sqlalchemy.text(f"UPDATE attempt SET {field} = :written WHERE id = 'a2'"), {"written": written})
    other.dispose()
    for search in (lambda r: r.find(Attempt), lambda r: r.get(Attempt, "a2"), lambda r: r.find_all([Search(Attempt)])):
        with pytest.raises(UnknownValue) as raised:
            store.read(search)
        failure = raised.value
        assert (failure.kind, failure.id, failure.field) == ("Attempt", "a2", field)
        for words in (
            "Attempt a2",
            f"the field {field}",
            told,
            "a newer version wrote it: run that version",
            "damaged: restore a backup",
        ):
            assert words in str(failure)
    assert store.read(lambda r: r.get(Attempt, "a3")) == attempts[2]


def test_a_text_that_is_no_json_is_said_to_be_none(sql_doors: Doors) -> None:
    store: Any = sql_doors.open()
    store.transact(lambda tx: tx.insert(filled(Attempt, "a1")))
    other = open_engines(sql_doors.url)
    with other.writer.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE attempt SET evidence = '{' WHERE id = 'a1'"))
    other.dispose()
    with pytest.raises(StoreError, match="Attempt a1: the field evidence is no JSON") as raised:
        store.read(lambda r: r.find(Attempt))
    assert not isinstance(raised.value, UnknownValue)
