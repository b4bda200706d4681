"""Each contract test runs on every implementation of the Store port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dure.ports import Store
from dure.store.memory import MemoryStore
from dure.store.sql import SqlStore
from tests.builders.postgres import PostgresServer


class Doors:
    """Opens stores on one set of records, and closes them all at the end. `name` says on what."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self._opened: list[Any] = []

    def open(self) -> Store:
        """A handle of its own, as another process would have."""
        if self.url:
            store: Any = SqlStore.open(self.url)
        else:
            store = self._opened[0].another() if self._opened else MemoryStore()
        self._opened.append(store)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/dure.db"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with nothing in it, not even a schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.empty()
    yield server.url(name)
    server.drop(name)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def doors(request: pytest.FixtureRequest) -> Iterator[Doors]:
    yield from _doors(request)


@pytest.fixture(params=["sqlite", "postgres"])
def sql_doors(request: pytest.FixtureRequest) -> Iterator[Doors]:
    yield from _doors(request)


def _doors(request: pytest.FixtureRequest) -> Iterator[Doors]:
    fixture = {"memory": "", "sqlite": "sqlite_url", "postgres": "postgres_url"}[request.param]
    made = Doors(request.param, request.getfixturevalue(fixture) if fixture else "")
    yield made
    made.close()


@pytest.fixture
def store(doors: Doors) -> Store:
    return doors.open()


@pytest.fixture
def put(store: Store) -> Callable[..., None]:
    """Insert records in one transaction."""

    def insert_all(*records: Any) -> None:
        store.transact(lambda tx: [tx.insert(record) for record in records])

    return insert_all
