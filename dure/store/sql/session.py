"""What a closure is given: a reader of one moment, or a transaction that remembers what it has read and is about to write."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar, cast

from sqlalchemy import Connection

from dure.errors import Conflict, StoreError
from dure.model.records import Plane
from dure.ports import Where
from dure.store.kinds import KINDS, Form, shape
from dure.store.rules import ALL, PLANE_ID, check_paging, cursor_text, duplicate, is_collection, require_lead, storable
from dure.store.sql.failures import translated
from dure.store.sql.mapper import mapper
from dure.store.sql.statements import Question, Statement, Statements

R = TypeVar("R")


class Link:
    """A connection with a transaction open on it. `broken` is what first went wrong there: after that nothing may be committed,
    even if a closure swallowed the exception."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self.statements = statements
        self.broken: BaseException | None = None
        self._connection = connection

    def rows(self, statement: Statement, values: Mapping[str, Any]) -> Any:
        with self.watched(), translated():
            return self._connection.exec_driver_sql(statement.sql, statement.bind(values)).fetchall()

    def run(self, statement: Statement, parameters: Any) -> int:
        """Returns how many rows were written."""
        with self.watched(), translated():
            return self._connection.exec_driver_sql(statement.sql, parameters).rowcount

    @contextmanager
    def watched(self) -> Iterator[None]:
        try:
            yield
        except BaseException as failure:
            self.broken = self.broken or failure
            raise


class SqlReader:
    """A Reader of the moment that a link's transaction sees."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def get(self, kind: type[R], id: str) -> R | None:
        shape(kind)
        if not storable(id):
            return None
        found = self.ask(Question(kind, equal=("id",)), {"is_id": id})
        return found[0] if found else None

    def get_many(self, kind: type[R], ids: Collection[str]) -> dict[str, R]:
        found: list[Any] = self.find(kind, {"id": list(ids)})
        return {record.id: record for record in found}

    def find(
        self, kind: type[R], where: Where = ALL, *, after: str = "", limit: int = 0, order: str = "id", descending: bool = False
    ) -> list[R]:
        check_paging(shape(kind), where, order)
        values = self._values(kind, where)
        if values is None:
            return []
        equal, any_of = _split(where)
        question = Question(kind, equal, any_of, order, descending, bool(after), limit > 0)
        return self.ask(question, values | {"after": cursor_text(after), "limit": limit})

    def count(self, kind: type[Any], where: Where = ALL) -> int:
        check_paging(shape(kind), where, "id")
        values = self._values(kind, where)
        if values is None:
            return 0
        statement = self._link.statements.ask(Question(kind, *_split(where), count=True))
        return int(self._link.rows(statement, values)[0][0])

    def ask(self, question: Question, values: Mapping[str, Any]) -> list[Any]:
        from_row = mapper(question.kind).from_row
        return [from_row(row) for row in self._link.rows(self._link.statements.ask(question), values)]

    def _values(self, kind: type[Any], where: Where) -> dict[str, Any] | None:
        """Parameters for `where`, or None when no record can match (a value that no column could hold)."""
        forms = shape(kind).forms
        values: dict[str, Any] = {}
        for name, wanted in where.items():
            if is_collection(wanted):
                some = [_plain(forms[name], one) for one in wanted if storable(one)]
                if not some:
                    return None
                values[f"in_{name}"] = some if self._link.statements.postgres else json.dumps(some)
            elif storable(wanted):
                values[f"is_{name}"] = _plain(forms[name], wanted)
            else:
                return None
        return values


def _split(where: Where) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        tuple(name for name, wanted in where.items() if not is_collection(wanted)),
        tuple(name for name, wanted in where.items() if is_collection(wanted)),
    )


def _plain(form: Form, value: Any) -> Any:
    """Drivers know an enum by its text only, and PostgreSQL takes no number for a truth."""
    if form in (Form.TEXT, Form.ENUM):
        return str(value)
    return bool(value) if form is Form.BOOL else value


class Unit:
    """What one database transaction knows and owes: shared by the closures that are committed together.

    Writes are kept back and go out as one executemany per table, before a search of that table and at the end. `known` holds
    every record read or written, as it will be stored: so a `get` needs no flush, and an update of a known record no query."""

    def __init__(self, link: Link) -> None:
        self.reader = SqlReader(link)
        self._link = link
        self._known: dict[type[Any], dict[str, Any]] = {kind: {} for kind in KINDS}
        self._fresh: dict[type[Any], dict[str, Any]] = {}  # to be inserted
        self._stale: dict[type[Any], dict[str, int]] = {}  # to be updated: id → version that the database has
        self._plane_locked = False

    def known(self, kind: type[Any]) -> dict[str, Any]:
        shape(kind)
        return self._known[kind]

    def learn(self, kind: type[Any], records: Iterable[Any]) -> None:
        self._known[kind].update((record.id, record) for record in records)

    def forget(self) -> None:
        """Drop what was read and written, for a transaction too large to keep in mind. Nothing may be owed."""
        for records in self._known.values():
            records.clear()

    def insert(self, record: Any) -> None:
        kind = type(record)
        known = self.known(kind)
        if record.id in known:
            raise duplicate(kind, record.id)
        mapper(kind).gate.check(record)
        known[record.id] = record
        self._fresh.setdefault(kind, {})[record.id] = record

    def update(self, stored: Any, record: Any) -> None:
        """`record` takes the place of `stored`, which is what `known` has."""
        kind = type(record)
        mapper(kind).gate.check(record)
        self._known[kind][record.id] = record
        fresh = self._fresh.get(kind)
        if fresh is not None and record.id in fresh:
            fresh[record.id] = record
        else:
            self._stale.setdefault(kind, {}).setdefault(record.id, stored.version)

    def delete(self, kind: type[Any], id: str) -> None:
        known = self.known(kind)
        self.flush(kind)
        if storable(id):
            self._link.run(self._link.statements.delete(kind), (id,))
        known.pop(id, None)

    def lead(self, fence: int) -> None:
        """Raises StaleLeader unless `fence` is in force, and keeps it so until the commit."""
        if not self._plane_locked:
            self.flush(Plane)
            self.learn(Plane, self.reader.ask(Question(Plane, equal=("id",), lock=True), {"is_id": PLANE_ID}))
            self._plane_locked = True
        require_lead(self._known[Plane].get(PLANE_ID), fence)

    def finish(self) -> None:
        """Write everything that is owed. Raises what broke this transaction, if a closure hid it."""
        if self._link.broken is None:
            for kind in KINDS:
                self.flush(kind)
        if self._link.broken is not None:
            raise self._link.broken

    def flush(self, kind: type[Any]) -> None:
        with self._link.watched():
            fresh = self._fresh.pop(kind, None)
            if fresh:
                to_row = mapper(kind).to_row
                self._link.run(self._link.statements.insert(kind), [tuple(to_row(record)) for record in fresh.values()])
            stale = self._stale.pop(kind, None)
            if stale:
                self._flush_updates(kind, stale)

    def _flush_updates(self, kind: type[Any], stale: Mapping[str, int]) -> None:
        known, to_row = self._known[kind], mapper(kind).to_row
        rows = [_update_row(to_row(known[id]), id, stale[id]) for id in sorted(stale)]  # sorted: see KINDS on deadlocks
        changed = self._link.run(self._link.statements.update(kind), rows)
        if changed != len(rows):
            raise Conflict(f"{len(rows) - changed} of {len(rows)} {kind.__name__} rows changed since they were read")


def _update_row(row: list[Any], id: str, version: int) -> tuple[Any, ...]:
    return (*row[1:], id, version)


class SqlTx:
    """A Tx over a Unit, alive while its closure runs."""

    def __init__(self, unit: Unit, calls: list[Callable[[], None]]) -> None:
        self._unit: Unit | None = unit
        self._calls = calls

    def get(self, kind: type[R], id: str) -> R | None:
        unit = self._live()
        known = unit.known(kind)
        if id not in known:
            found = unit.reader.get(kind, id)
            if found is None:
                return None
            known[id] = found
        return cast(R, known[id])

    def get_many(self, kind: type[R], ids: Collection[str]) -> dict[str, R]:
        unit = self._live()
        known = unit.known(kind)
        missing = [id for id in ids if id not in known]
        if missing:
            unit.learn(kind, unit.reader.get_many(kind, missing).values())
        return {id: known[id] for id in sorted(set(ids)) if id in known}

    def find(
        self, kind: type[R], where: Where = ALL, *, after: str = "", limit: int = 0, order: str = "id", descending: bool = False
    ) -> list[R]:
        unit = self._live()
        unit.known(kind)
        unit.flush(kind)
        found = unit.reader.find(kind, where, after=after, limit=limit, order=order, descending=descending)
        unit.learn(kind, found)
        return found

    def count(self, kind: type[Any], where: Where = ALL) -> int:
        unit = self._live()
        unit.known(kind)
        unit.flush(kind)
        return unit.reader.count(kind, where)

    def insert(self, record: Any) -> None:
        self._live().insert(record)

    def update(self, record: Any) -> Any:
        stored = self.get(type(record), record.id)
        if stored is None:
            raise Conflict(f"{type(record).__name__} {record.id!r} is gone")
        if stored.version != record.version:
            raise Conflict(f"{type(record).__name__} {record.id!r} is at version {stored.version}, not {record.version}")
        raised = replace(record, version=record.version + 1)
        self._live().update(stored, raised)
        return raised

    def delete(self, kind: type[Any], id: str) -> None:
        self._live().delete(kind, id)

    def after_commit(self, call: Callable[[], None]) -> None:
        self._live()
        self._calls.append(call)

    def end(self) -> None:
        self._unit = None

    def _live(self) -> Unit:
        if self._unit is None:
            raise StoreError("this transaction has ended")
        return self._unit
