"""A store in plain dictionaries: for the simulator and for tests. Deterministic, and nothing outlives the process."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from operator import attrgetter
from typing import Any, TypeVar, cast

from dure.errors import Conflict, DuplicateKey, StoreError
from dure.model.codec import changed
from dure.model.records import Plane
from dure.ports import Reader, Search, Tx, Where
from dure.store.kinds import INDEXES, KINDS, SEQUENCES, shape
from dure.store.rules import (
    ALL,
    CONFLICT_TRIES,
    PLANE_ID,
    Gate,
    check_paging,
    duplicate,
    is_collection,
    require_lead,
    run_calls,
    take_lead,
)

R = TypeVar("R")
T = TypeVar("T")

_GONE: Any = object()  # in an overlay: deleted by this transaction


class _Table:
    """Records of one class by id, and their ids by the value of each indexed field."""

    def __init__(self, kind: type[Any]) -> None:
        self.rows: dict[str, Any] = {}
        self.gate = Gate(shape(kind))
        fields = dict.fromkeys(name for index in INDEXES.get(kind, ()) for name in index)
        # An inner dict is an ordered set of ids: a plain set would let the hash seed choose the order.
        self.indexes: dict[str, dict[Any, dict[str, None]]] = {name: {} for name in fields}

    def put(self, record: Any) -> None:
        old = self.rows.get(record.id)
        self.rows[record.id] = record
        for name, index in self.indexes.items():
            new_value = getattr(record, name)
            if old is not None:
                old_value = getattr(old, name)
                if old_value == new_value:
                    continue
                self._unlist(index, old_value, record.id)
            index.setdefault(new_value, {})[record.id] = None

    def drop(self, id: str) -> None:
        old = self.rows.pop(id, None)
        if old is not None:
            for name, index in self.indexes.items():
                self._unlist(index, getattr(old, name), id)

    @staticmethod
    def _unlist(index: dict[Any, dict[str, None]], value: Any, id: str) -> None:
        ids = index[value]
        del ids[id]
        if not ids:
            del index[value]

    def matching(self, where: Where) -> Iterator[Any]:
        if len(where) == 1:
            ((name, wanted),) = where.items()
            if name in self.indexes and not is_collection(wanted):  # the index knows, and nothing else is asked
                return map(self.rows.__getitem__, self.indexes[name].get(wanted, ()))
        return _filter(map(self.rows.__getitem__, self.candidates(where)), where)

    def candidates(self, where: Where) -> Iterable[str]:
        """Ids among which all matches are: by the most selective index that applies, else all."""
        best: Iterable[str] = self.rows
        size = len(self.rows)
        for name, wanted in where.items():
            index = self.indexes.get(name)
            if index is not None:
                found = [index[v] for v in (dict.fromkeys(wanted) if is_collection(wanted) else (wanted,)) if v in index]
                found_size = sum(map(len, found))
                if found_size < size:
                    best = found[0] if len(found) == 1 else [id for ids in found for id in ids]
                    size = found_size
        return best


class _Shared:
    """What all handles on one memory store have in common."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tables = {kind: _Table(kind) for kind in KINDS}
        self.leader: object | None = None

    def table(self, kind: type[Any]) -> _Table:
        table = self.tables.get(kind)
        if table is None:
            raise StoreError(f"records of class {kind.__name__} are not stored")
        return table


class _MemoryReader:
    def __init__(self, shared: _Shared) -> None:
        self._shared = shared

    def get(self, kind: type[R], id: str) -> R | None:
        table = self._shared.tables.get(kind) or self._shared.table(kind)
        return cast("R | None", table.rows.get(id))

    def get_many(self, kind: type[R], ids: Collection[str]) -> dict[str, R]:
        get = self.get
        wanted = sorted(set(ids)) if len(ids) > 1 else ids
        return {id: record for id in wanted if (record := get(kind, id)) is not None}

    def find(
        self, kind: type[R], where: Where = ALL, *, after: str = "", limit: int = 0, order: str = "id", descending: bool = False
    ) -> list[R]:
        check_paging(shape(kind), where, order)
        found = list(self._matching(kind, where))
        if len(found) < 2 and not after:
            return found
        records: Iterable[Any] = found
        key = attrgetter(order, "id")
        if after and order == "id":
            records = (r for r in records if (r.id < after if descending else r.id > after))
        elif after:
            last = self.get(kind, after)
            if last is None:
                return []
            mark = key(last)
            records = (r for r in records if (key(r) < mark if descending else key(r) > mark))
        if limit:
            pick = heapq.nlargest if descending else heapq.nsmallest
            return pick(limit, records, key=key)
        return sorted(records, key=key, reverse=descending)

    def count(self, kind: type[Any], where: Where = ALL) -> int:
        check_paging(shape(kind), where, "id")
        return sum(1 for _ in self._matching(kind, where))

    def _matching(self, kind: type[Any], where: Where) -> Iterator[Any]:
        return self._shared.table(kind).matching(where)


def _filter(records: Iterable[Any], where: Where) -> Iterator[Any]:
    tests = [(name, wanted if is_collection(wanted) else (wanted,)) for name, wanted in where.items()]
    return (r for r in records if all(getattr(r, name) in wanted for name, wanted in tests))


class _MemoryTx(_MemoryReader):
    """Reads through to the tables, keeps its own writes in an overlay, and lays it over them on commit."""

    def __init__(self, shared: _Shared) -> None:
        super().__init__(shared)
        self._overlay: dict[type[Any], dict[str, Any]] = {}
        self._live = True
        self.calls: list[Callable[[], None]] = []

    def get(self, kind: type[R], id: str) -> R | None:
        self._require_live()
        written = self._overlay.get(kind)
        record = written.get(id) if written else None
        if record is not None:
            return None if record is _GONE else cast(R, record)
        table = self._shared.tables.get(kind) or self._shared.table(kind)
        return cast("R | None", table.rows.get(id))

    def read_ahead(self, wanted: Mapping[type[Any], Collection[str]]) -> None:
        """All is at hand."""

    def insert(self, record: Any) -> None:
        kind = type(record)
        if self.get(kind, record.id) is not None:
            raise duplicate(kind, record.id)
        self._write(record)

    def update(self, record: Any) -> Any:
        stored = self.get(type(record), record.id)
        if stored is None:
            raise Conflict(f"{type(record).__name__} {record.id!r} is gone")
        if stored.version != record.version:
            raise Conflict(f"{type(record).__name__} {record.id!r} is at version {stored.version}, not {record.version}")
        raised = changed(record, version=record.version + 1)
        self._write(raised)
        return raised

    def delete(self, kind: type[Any], id: str) -> None:
        if self.get(kind, id) is not None:
            self._overlay.setdefault(kind, {})[id] = _GONE

    def after_commit(self, call: Callable[[], None]) -> None:
        self._require_live()
        self.calls.append(call)

    def commit(self) -> None:
        for kind, name in SEQUENCES.items():
            self._require_unique(kind, name)
        for kind, changes in self._overlay.items():
            table = self._shared.table(kind)
            for id, record in changes.items():
                if record is _GONE:
                    table.drop(id)
                else:
                    table.put(record)

    def end(self) -> None:
        self._live = False

    def _write(self, record: Any) -> None:
        kind = type(record)
        self._shared.table(kind).gate.check(record)
        self._overlay.setdefault(kind, {})[record.id] = record

    def _matching(self, kind: type[Any], where: Where) -> Iterator[Any]:
        self._require_live()
        overlay = self._overlay.get(kind)
        if not overlay:
            return super()._matching(kind, where)
        table = self._shared.table(kind)
        below = (table.rows[id] for id in table.candidates(where) if id not in overlay)
        above = (record for record in overlay.values() if record is not _GONE)
        return _filter((*below, *above), where)

    def _require_unique(self, kind: type[Any], name: str) -> None:
        written = self._overlay.get(kind)
        if not written:
            return
        stored, given = self._shared.table(kind).indexes[name], set()
        for id, record in written.items():
            value = getattr(record, name) if record is not _GONE else 0
            if value <= 0:
                continue
            others = [other for other in stored.get(value, ()) if other != id and other not in written]
            if value in given or others:
                raise DuplicateKey(f"{kind.__name__}.{name} {value} is taken")
            given.add(value)

    def _require_live(self) -> None:
        if not self._live:
            raise StoreError("this transaction has ended")


class MemoryStore:
    """The Store port in memory. Every transaction runs at once, in the caller's thread, under one lock.

    To test what a crash does, wrap it: a Store whose `transact` raises before or after it has called this one's."""

    def __init__(self) -> None:
        self._shared = _Shared()
        self._closed = False
        self._epoch = 0
        self._within = False  # guarded by the lock: a transaction of this handle is running

    def another(self) -> MemoryStore:
        """A second handle on the same records, as a second process would have: with a lead of its own to take."""
        twin = MemoryStore()
        twin._shared = self._shared
        return twin

    def transact(self, fn: Callable[[Tx], T], *, fence: int | None = None) -> T:
        with self._shared.lock:
            self._require_open()
            if self._within:
                raise StoreError("a transaction was started within a transaction")
            self._within = True
            try:
                result, calls = self._until_no_conflict(fn, fence)
            finally:
                self._within = False
        run_calls(calls)
        return result

    def submit(self, fn: Callable[[Tx], T], *, fence: int | None = None) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(self.transact(fn, fence=fence))
        except Exception as failure:
            future.set_exception(failure)
        return future

    def read(self, fn: Callable[[Reader], T]) -> T:
        with self._shared.lock:
            self._require_open()
            return fn(_MemoryReader(self._shared))

    def look(self, searches: Sequence[Search]) -> list[list[Any]]:
        return self.read(lambda reader: [reader.find(s.kind, s.where, limit=s.limit) for s in searches])

    def try_lead(self) -> int | None:
        with self._shared.lock:
            if self.leads():
                return self._epoch
            if self._shared.leader is not None:
                return None
            self._epoch = self.transact(take_lead)
            self._shared.leader = self
            return self._epoch

    def leads(self) -> bool:
        return self._shared.leader is self

    def lose_lead(self) -> None:
        """The lock is lost, as when a connection breaks: another handle may take the lead. This one's epoch still stands
        until then."""
        with self._shared.lock:
            if self.leads():
                self._shared.leader = None

    def close(self) -> None:
        self.lose_lead()
        self._closed = True

    def _until_no_conflict(self, fn: Callable[[Tx], T], fence: int | None) -> tuple[T, list[Callable[[], None]]]:
        for left in reversed(range(CONFLICT_TRIES)):
            try:
                return self._once(fn, fence)
            except Conflict:
                if not left:
                    raise
        raise StoreError("unreachable")  # the loop returns or raises

    def _once(self, fn: Callable[[Tx], T], fence: int | None) -> tuple[T, list[Callable[[], None]]]:
        tx = _MemoryTx(self._shared)
        try:
            if fence is not None:
                require_lead(tx.get(Plane, PLANE_ID), fence)
            result = fn(tx)
            tx.commit()
        finally:
            tx.end()
        return result, tx.calls

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError("this store is closed")
