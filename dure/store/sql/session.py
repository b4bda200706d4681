"""What a closure is given: a reader of one moment, or a transaction that remembers what it has read and is about to write."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, zip_longest
from operator import attrgetter, methodcaller
from types import MappingProxyType
from typing import Any, TypeVar, cast

from sqlalchemy import Connection

from dure.errors import Conflict, StoreError
from dure.model.codec import changed, json_writer
from dure.model.records import Plane
from dure.ports import Search, Where
from dure.store.kinds import KINDS, Form, shape
from dure.store.rules import ALL, PLANE_ID, check_paging, cursor_text, duplicate, is_collection, require_lead, storable
from dure.store.sql.failures import refused
from dure.store.sql.mapper import mapper
from dure.store.sql.statements import KEYS, Joined, Question, Statement, Statements

R = TypeVar("R")


_all_rows, _rows_written = methodcaller("fetchall"), attrgetter("rowcount")


def _itself(cursor: Any) -> Any:
    return cursor


@contextmanager
def _caught(failed: list[BaseException]) -> Iterator[None]:
    try:
        yield
    except BaseException as failure:
        failed.append(failure)


def _ignored(written: int) -> None:
    """Of who knows how many rows were written, because it is told or raises."""


class Link:
    """A connection with a transaction open on it. `broken` is what first went wrong there: after that nothing may be committed,
    even if a closure swallowed the exception."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self.statements = statements
        self.broken: BaseException | None = None
        self._connection = connection
        self._cursor: Any = None
        self._unanswered: list[tuple[Any, Callable[[int], None]]] | None = None  # cursors, and who is told their rows

    def rows(self, statement: Statement, values: Mapping[str, Any]) -> Any:
        return self._execute(statement.sql, statement.bind(values), _all_rows)

    def joined(self, statement: Joined, values: Sequence[Mapping[str, Any]]) -> Any:
        """values: for each of its parts."""
        parameters = chain.from_iterable(part.bind(own) for part, own in zip(statement.parts, values, strict=True))
        return self._execute(statement.sql, tuple(parameters), _all_rows)

    def run(self, statement: Statement, parameters: Any, told: Callable[[int], None] = _ignored) -> None:
        """parameters: of one run, or a list of those of several. told: hears how many rows were written, at once or when the
        answers to all statements of a `pipeline` are in."""
        if self._unanswered is None:
            told(int(self._execute(statement.sql, parameters, _rows_written)))
        else:
            self._cursor = None  # each has an answer of its own
            self._unanswered.append((self._execute(statement.sql, parameters, _itself), told))
            self._cursor = None

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """Within this, PostgreSQL is not waited for after each statement that writes: it works while the next one is made."""
        if not self.statements.postgres:
            yield
            return
        answers: list[tuple[Any, Callable[[int], None]]] = []
        self._unanswered = answers
        failed: list[BaseException] = []
        try:
            driver: Any = self._connection.connection.driver_connection
            with self._translated("a pipeline"), driver.pipeline(), _caught(failed):
                yield
        except BaseException:
            if not failed:
                raise
        finally:
            self._unanswered = None
        if failed:  # what came of it after the first is nothing new
            raise failed[0]
        for cursor, told in answers:
            told(int(cursor.rowcount))

    def _execute(self, sql: str, parameters: Any, then: Callable[[Any], Any]) -> Any:
        """By the driver's own cursor: what SQLAlchemy makes of a result (how columns are called, and of which types they are)
        takes longer than most statements, and nobody asks for it."""
        with self._translated(sql):
            cursor = self._cursor = self._cursor or self._connection.connection.cursor()
            if isinstance(parameters, list) and len(parameters) > 1:
                cursor.executemany(sql, parameters)
            else:
                cursor.execute(sql, parameters[0] if isinstance(parameters, list) else parameters)
            return then(cursor)

    @contextmanager
    def _translated(self, sql: str) -> Iterator[None]:
        try:
            yield
        except BaseException as failure:
            raised = refused(self._connection, sql, failure)
            self.broken = self.broken or raised
            if raised is failure:
                raise
            raise raised from failure

    def insert(self, kind: type[Any], rows: list[tuple[Any, ...]]) -> None:
        """rows: as the mapper makes them."""
        together = self.statements.insert_together(kind) if len(rows) > 1 else None
        if together is None:
            self.run(self.statements.insert(kind), rows)
        else:
            self.run(together, (_objects(kind, mapper(kind).names, rows),))

    def update(self, kind: type[Any], names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """rows: the fields of these names, the id, the version expected; sorted by id. Raises Conflict where some are not as
        expected, within a `pipeline` at its end."""
        together = self.statements.update_together(kind, names) if len(rows) > 1 else None

        def told(written: int) -> None:
            if written != len(rows):
                self.broken = Conflict(f"{len(rows) - written} of {len(rows)} {kind.__name__} rows changed since they were read")
                raise self.broken

        if together is None:
            self.run(self.statements.update(kind, names), rows, told)
        else:
            self.run(together, (_objects(kind, (*names, *KEYS), rows),), told)

    def delete(self, kind: type[Any], ids: list[str]) -> None:
        self.run(self.statements.delete(kind), (ids if self.statements.postgres else json.dumps(ids),))

    @contextmanager
    def watched(self) -> Iterator[None]:
        try:
            yield
        except BaseException as failure:
            self.broken = self.broken or failure
            raise


NOTHING: Mapping[type[Any], Mapping[str, Any]] = MappingProxyType({})
_json = json_writer(json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False))


def _objects(kind: type[Any], names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> str:
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    forms = shape(kind).forms
    for name in names:
        if forms.get(name) is Form.FLOAT:  # as text, as which there is an infinity too
            for each in objects:
                each[name] = repr(float(each[name]))
    return _json(objects)


class SqlReader:
    """A Reader of the moment that a link's transaction sees."""

    def __init__(self, link: Link, known: Mapping[type[Any], Mapping[str, Any]] = NOTHING) -> None:
        """known: by class and id, records of this transaction that need not be made of their rows again."""
        self._link = link
        self._known = known

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

    def find_all(self, searches: Sequence[Search]) -> list[list[Any]]:
        """On PostgreSQL by one statement, or none."""
        for search in searches:
            check_paging(shape(search.kind), search.where, "id")
        if not self._link.statements.postgres:
            return [self.find(s.kind, s.where, limit=s.limit) for s in searches]
        values = [self._values(s.kind, s.where) for s in searches]
        asked = [(s, given | {"limit": s.limit}) for s, given in zip(searches, values, strict=True) if given is not None]
        if not asked:
            return [[] for _ in searches]
        questions = tuple([Question(s.kind, *_split(s.where), limit=s.limit > 0) for s, _ in asked])
        ((*answers,),) = self._link.joined(self._link.statements.together(questions), [given for _, given in asked])
        rows = iter(answers)
        return [self._made(s.kind, next(rows)) if given is not None else [] for s, given in zip(searches, values, strict=True)]

    def _made(self, kind: type[Any], rows: Sequence[Sequence[Any]]) -> list[Any]:
        return mapper(kind).from_rows(rows, self._known.get(kind, ALL))

    def count(self, kind: type[Any], where: Where = ALL) -> int:
        check_paging(shape(kind), where, "id")
        values = self._values(kind, where)
        if values is None:
            return 0
        statement = self._link.statements.ask(Question(kind, *_split(where), count=True))
        return int(self._link.rows(statement, values)[0][0])

    def ask(self, question: Question, values: Mapping[str, Any]) -> list[Any]:
        return self._made(question.kind, self._link.rows(self._link.statements.ask(question), values))

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


# Records of a class in one answer, which PostgreSQL makes one text of: a gigabyte at most. One with JSON in it may take some
# megabytes of that, one without next to nothing.
AHEAD_MAX, SCALARS_AHEAD_MAX = 100, 1_000


def _parts(kind: type[Any], ids: list[str]) -> Iterator[list[str]]:
    most = AHEAD_MAX if Form.JSON in shape(kind).forms.values() else SCALARS_AHEAD_MAX
    return (ids[first : first + most] for first in range(0, len(ids), most))


class Unit:
    """What one database transaction knows and owes: shared by the closures that are committed together.

    Writes are kept back and go out together per table, before a search of that table and at the end. `known` holds every record
    read or written, as it will be stored, and `_absent` the ids that were looked for in vain: so a `get` needs no flush and asks
    once, and an update of a known record needs no query. A search is asked once too, until something of its class is written.
    What another process writes meanwhile is met by the versions and keys when all this goes out."""

    def __init__(self, link: Link) -> None:
        self._known: dict[type[Any], dict[str, Any]] = {kind: {} for kind in KINDS}
        self._stored: dict[type[Any], dict[str, Any]] = {kind: {} for kind in KINDS}  # what was made of rows
        self.reader = SqlReader(link, self._stored)
        self._link = link
        self._absent: dict[type[Any], set[str]] = {kind: set() for kind in KINDS}
        self._answers: dict[type[Any], dict[Any, list[Any]]] = {kind: {} for kind in KINDS}  # to searches by scalars
        self._gone: dict[type[Any], dict[str, None]] = {}  # to be deleted, before anything is inserted
        self._fresh: dict[type[Any], dict[str, Any]] = {}  # to be inserted
        self._stale: dict[type[Any], dict[str, Any]] = {}  # to be updated: id → the record as the database has it
        self._plane_locked = False

    def known(self, kind: type[Any]) -> dict[str, Any]:
        found = self._known.get(kind)
        if found is None:
            shape(kind)  # raises: such records are not stored
        return cast("dict[str, Any]", found)

    def learn(self, kind: type[Any], records: Iterable[Any]) -> None:
        """What is known already stays the object that it is, so that an update of it is seen to leave its fields alone."""
        known, absent, stored = self._known[kind], self._absent[kind], self._stored[kind]
        for record in records:
            stored[record.id] = record
            before = known.get(record.id)
            if before is None or before.version != record.version:
                known[record.id] = record
            absent.discard(record.id)

    def look_up(self, kind: type[Any], ids: Collection[str]) -> dict[str, Any]:
        """`known` of a class, after those of `ids` have been read that nobody has looked for before."""
        unread = self._unread(kind, ids)
        if unread:
            self._looked(kind, unread, self._read(kind, unread))
        return self._known[kind]

    def read_ahead(self, wanted: Mapping[type[Any], Collection[str]]) -> None:
        """`look_up` of several classes, in one visit to the database where that can be."""
        parts = ([Search(kind, {"id": ids}) for ids in _parts(kind, self._unread(kind, ids))] for kind, ids in wanted.items())
        for visit in zip_longest(*parts):
            searches = [search for search in visit if search is not None]
            for search, found in zip(searches, self.reader.find_all(searches), strict=True):
                self._looked(search.kind, search.where["id"], found)

    def _unread(self, kind: type[Any], ids: Iterable[str]) -> list[str]:
        known, absent = self.known(kind), self._absent[kind]
        return [id for id in ids if id not in known and id not in absent]

    def _looked(self, kind: type[Any], unread: Collection[str], found: Collection[Any]) -> None:
        self.learn(kind, found)
        known = self._known[kind]
        self._absent[kind].update([id for id in unread if id not in known])

    def _read(self, kind: type[Any], ids: Collection[str]) -> Collection[Any]:
        if len(ids) > 1:
            return self.reader.get_many(kind, ids).values()
        found = self.reader.get(kind, *ids)
        return () if found is None else (found,)

    def search(self, kind: type[Any], asked: Hashable, look: Callable[[], list[Any]]) -> list[Any]:
        """What `look` finds, or found before. asked: tells searches apart; None: this one is not to be kept."""
        answers = self._answers[kind]
        if asked is not None and asked in answers:
            return list(answers[asked])
        self.flush(kind)
        found = look()
        self.learn(kind, found)
        if asked is not None:
            answers[asked] = list(found)
        return found

    def forget(self) -> None:
        """Drop what was read and written, for a transaction too large to keep in mind. Nothing may be owed."""
        for kind in KINDS:
            self._known[kind].clear()
            self._absent[kind].clear()
            self._answers[kind].clear()

    def insert(self, record: Any) -> None:
        kind = type(record)
        known = self.known(kind)
        if record.id in known:
            raise duplicate(kind, record.id)
        mapper(kind).gate.check(record)
        known[record.id] = record
        self._absent[kind].discard(record.id)
        self._answers[kind].clear()
        self._fresh.setdefault(kind, {})[record.id] = record

    def update(self, stored: Any, record: Any) -> None:
        """`record` takes the place of `stored`, which is what `known` has."""
        kind = type(record)
        mapper(kind).gate.check(record)
        self._known[kind][record.id] = record
        self._answers[kind].clear()
        fresh = self._fresh.get(kind)
        if fresh is not None and record.id in fresh:
            fresh[record.id] = record
        else:
            self._stale.setdefault(kind, {}).setdefault(record.id, stored)

    def delete(self, kind: type[Any], id: str) -> None:
        known = self.known(kind)
        if id in self._fresh.get(kind, ()) or id in self._stale.get(kind, ()):
            self.flush(kind)
        if storable(id):
            self._gone.setdefault(kind, {})[id] = None
        known.pop(id, None)
        self._absent[kind].add(id)
        self._answers[kind].clear()

    def lead(self, fence: int) -> None:
        """Raises StaleLeader unless `fence` is in force, and keeps it so until the commit."""
        if not self._plane_locked:
            self.flush(Plane)
            self.learn(Plane, self.reader.ask(Question(Plane, equal=("id",), lock=True), {"is_id": PLANE_ID}))
            self._plane_locked = True
        require_lead(self._known[Plane].get(PLANE_ID), fence)

    def finish(self) -> None:
        """Write everything that is owed. Raises what broke this transaction, if a closure hid it."""
        if self._link.broken is None and (self._gone or self._fresh or self._stale):  # else there is nothing to wait for
            with self._link.pipeline():
                for kind in KINDS:
                    self.flush(kind)
        if self._link.broken is not None:
            raise self._link.broken

    def flush(self, kind: type[Any]) -> None:
        with self._link.watched():
            gone = self._gone.pop(kind, None)
            if gone:
                self._link.delete(kind, list(gone))
            fresh = self._fresh.pop(kind, None)
            if fresh:
                to_row = mapper(kind).to_row
                self._link.insert(kind, [tuple(to_row(record)) for record in fresh.values()])
            stale = self._stale.pop(kind, None)
            if stale:
                self._flush_updates(kind, stale)

    def _flush_updates(self, kind: type[Any], stale: Mapping[str, Any]) -> None:
        """Only what has changed is sent: the version that is asked for vouches for the rest."""
        known, way = self._known[kind], mapper(kind)
        ids = sorted(stale)  # sorted: see KINDS on deadlocks
        names = way.changed((stale[id], known[id]) for id in ids)
        to_row = way.way((*names, "id"))
        self._link.update(kind, names, [(*to_row(known[id]), stale[id].version) for id in ids])


def _asked(where: Where, rest: tuple[Any, ...]) -> Hashable:
    """What a search is told from others by. None: it names collections, and hardly comes twice."""
    if not all(isinstance(wanted, (str, int, float)) for wanted in where.values()):
        return None
    # a truth and a number are equal to Python, and not to every database
    return (*((name, type(wanted), wanted) for name, wanted in where.items()), *rest)


class SqlTx:
    """A Tx over a Unit, alive while its closure runs."""

    def __init__(self, unit: Unit, calls: list[Callable[[], None]]) -> None:
        self._unit: Unit | None = unit
        self._calls = calls

    def get(self, kind: type[R], id: str) -> R | None:
        unit = self._live()
        record = unit.known(kind).get(id)  # most of what is asked for was read together before
        return cast("R | None", unit.look_up(kind, (id,)).get(id) if record is None else record)

    def get_many(self, kind: type[R], ids: Collection[str]) -> dict[str, R]:
        known = self._live().look_up(kind, ids)
        return {id: known[id] for id in sorted(set(ids)) if id in known}

    def find(
        self, kind: type[R], where: Where = ALL, *, after: str = "", limit: int = 0, order: str = "id", descending: bool = False
    ) -> list[R]:
        unit = self._live()
        unit.known(kind)
        look = partial(unit.reader.find, kind, where, after=after, limit=limit, order=order, descending=descending)
        return unit.search(kind, _asked(where, (after, limit, order, descending)), look)

    def read_ahead(self, wanted: Mapping[type[Any], Collection[str]]) -> None:
        self._live().read_ahead(wanted)

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
        raised = changed(record, version=record.version + 1)
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
