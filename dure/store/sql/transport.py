"""Carrying all records out of a database and into another: backup, restore, and the move from SQLite to PostgreSQL.

A backup is gzip over JSON lines: a header, then one line per record (`[table, record]`), classes and ids in order. It holds
records and not rows, so it fits every database and every later schema. Nothing of it is believed before all has been checked.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, select, text

from dure.errors import StoreError, require
from dure.model.chain import restored_bytes
from dure.model.codec import from_plain, to_plain
from dure.model.event import RESTORED, Event, canonical, seal
from dure.model.records import Plane
from dure.model.tenancy import Credential
from dure.store.kinds import KINDS
from dure.store.rules import PLANE_ID
from dure.store.sql.engines import Engines, open_engines
from dure.store.sql.failures import translated
from dure.store.sql.leadership import lead_lock
from dure.store.sql.schema import complete, newest, prepare, present
from dure.store.sql.session import Link, SqlReader, SqlTx, Unit
from dure.store.sql.statements import Statements
from dure.store.sql.tables import TABLES, table_name

FORMAT = 1
PAGE = 1_000  # records held in memory at a time

Sign = Callable[[bytes], str]  # Ed25519 signature, hex

_KIND_OF = {table_name(kind): kind for kind in KINDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """First line of a backup. sha256 is over the other members and all lines that follow."""

    dure_backup: int
    schema: str
    created_ms: int
    incarnation: int
    counts: Mapping[str, int]
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What arrived: records per table, and the incarnation that the plane has now. backup_ms: when it was backed up.

    revived: tokens that open again, though they were revoked in the database that was replaced."""

    counts: Mapping[str, int]
    incarnation: int
    backup_ms: int = 0
    revived: tuple[str, ...] = ()


def backup(url: str, target: Path, *, now_ms: int) -> Path:
    """Write all records, as of one moment, to `target` (or, when that is a folder, to a file in it named by the time). The
    plane may run on meanwhile. The file appears only when it is whole, and only its owner can read it. Returns its path.

    Raises StoreError when the database cannot be read or the file not written, ConfigError when the schema is another's."""
    path = target / f"dure-{now_ms}.jsonl.gz" if target.is_dir() else target
    with _engines(url, existing=True) as engines, _reading(engines) as connection:
        try:
            _write_backup(connection, path, now_ms)
        except OSError as failure:
            raise StoreError(f"{path} cannot be written: {failure.strerror}") from failure
    return path


def restore(file: Path, url: str, *, now_ms: int, key_of: Callable[[Plane], Sign], force: bool = False) -> Carried:
    """Fill the database with a backup and raise the plane's incarnation, so that agents report everything anew. All or nothing.
    The restore is the first sealed event of the new incarnation: it says behind which number the chain goes on, and is signed.

    key_of: gives the key of the plane in the backup, before anything is touched; what it raises when it has none passes through.
    The database has to be empty, unless `force`: then what it held is lost. Refuses while a controller leads there.
    Raises StoreError when the file is not whole or made by a newer Dure, or the database is in use."""
    header = check_backup(file)
    plane = next((r for page in _pages(file) for r in page if isinstance(r, Plane)), None)
    raised = _Raised(now_ms, key_of(plane)) if plane is not None else None
    with _engines(url) as engines, _alone(engines), _writing(engines) as connection:
        return _fill(connection, header, file, force=force, raised=raised)


def migrate_to(source_url: str, target_url: str, *, now_ms: int) -> Carried:
    """Move the plane to another, empty database; record for record, incarnation and all. The source is only read. Refuses while a
    controller leads on either, because what it wrote meanwhile would be left behind.

    Raises StoreError and ConfigError as `restore` does."""
    with tempfile.TemporaryDirectory(prefix="dure-migrate-") as folder, _engines(source_url, existing=True) as source:
        file = Path(folder) / "all.jsonl.gz"
        with _alone(source), _engines(target_url) as target, _alone(target):
            with _reading(source) as connection:
                _write_backup(connection, file, now_ms)
            with _writing(target) as connection:
                return _fill(connection, check_backup(file), file, force=False)


def check_backup(file: Path) -> Header:
    """Read all of a backup. Raises StoreError when it is cut short, altered or no backup, or made by a newer Dure."""
    try:
        with gzip.open(file, "rb") as lines:
            header = _header(lines.readline())
            digest, counts = _digest(header), Counter[str]()
            for line in lines:
                digest.update(line)
                name, plain = json.loads(line)
                from_plain(_KIND_OF[name], plain)
                counts[name] += 1
        whole = digest.hexdigest() == header.sha256 and dict(counts) == dict(header.counts)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as failure:
        raise StoreError(f"{file} is no whole backup: {type(failure).__name__}: {failure}") from failure
    if not whole:
        raise StoreError(f"{file} was altered or cut short: its contents do not agree with its header")
    return header


# -- writing a file ---------------------------------------------------------------------------------------------------


def _write_backup(connection: Connection, path: Path, now_ms: int) -> None:
    """The body first, to learn its counts and digest; then header and body together, under another name until they are whole."""
    statements = Statements(connection.dialect)
    reader = SqlReader(Link(connection, statements))
    plane = reader.get(Plane, PLANE_ID)
    counts = {table_name(kind): reader.count(kind) for kind in KINDS}
    header = Header(
        dure_backup=FORMAT,
        schema=present(connection),
        created_ms=now_ms,
        incarnation=plane.incarnation if plane is not None else 0,
        counts={name: count for name, count in counts.items() if count},
    )
    digest, written = _digest(header), Counter[str]()
    with tempfile.TemporaryFile(dir=path.parent) as body, _private_file(path) as out:
        with gzip.GzipFile(fileobj=body, mode="wb", mtime=0) as lines:
            for name, line in _lines(reader):
                digest.update(line)
                lines.write(line)
                written[name] += 1
        require(dict(written) == dict(header.counts), "a backup's rows changed while they were read")
        out.write(gzip.compress(_header_line(replace(header, sha256=digest.hexdigest())), mtime=0))
        body.seek(0)
        shutil.copyfileobj(body, out)  # two gzip members in a row are one gzip file


@contextmanager
def _private_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file, synced and moved to `path` when the block ends well, gone when it does not."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lines(reader: SqlReader) -> Iterator[tuple[str, bytes]]:
    for kind in KINDS:
        name = table_name(kind)
        for record in _all(reader, kind):
            yield name, _line(record)


def _line(record: Any) -> bytes:
    return canonical([table_name(type(record)), to_plain(record)]) + b"\n"


def _all(reader: SqlReader, kind: type[Any]) -> Iterator[Any]:
    after = ""
    while page := reader.find(kind, after=after, limit=PAGE):
        yield from page
        after = page[-1].id


def _digest(header: Header) -> Any:
    return hashlib.sha256(_header_line(replace(header, sha256="")))


def _header_line(header: Header) -> bytes:
    return canonical(to_plain(header)) + b"\n"


def _header(line: bytes) -> Header:
    header = from_plain(Header, json.loads(line))
    if header.dure_backup != FORMAT or header.schema > newest():  # revisions are numbers with leading zeros
        raise ValueError(f"format {header.dure_backup}, schema {header.schema}: made by a newer Dure")
    return header


# -- filling a database -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Raised:
    """That the plane becomes another incarnation."""

    at_ms: int
    sign: Sign


def _fill(connection: Connection, header: Header, file: Path, *, force: bool, raised: _Raised | None = None) -> Carried:
    """raised: None: the plane stays the incarnation that it was."""
    statements = Statements(connection.dialect)
    reader = SqlReader(Link(connection, statements))
    old_plane, revoked = reader.get(Plane, PLANE_ID), _revoked(connection)
    _make_room(connection, reader, force)
    unit = Unit(Link(connection, statements))
    for page in _pages(file):
        for record in page:
            unit.insert(record)
        unit.finish()
        unit.forget()
    _require_same(header, file, reader)
    complete(connection, header.schema)
    if raised is not None:
        _raise_incarnation(unit, old_plane, header, raised)
    plane = reader.get(Plane, PLANE_ID)
    return Carried(
        counts=header.counts, incarnation=plane.incarnation if plane is not None else 0, backup_ms=header.created_ms,
        revived=tuple(token.id for token in _all(reader, Credential) if token.id in revoked and not token.revoked_ms),
    )  # fmt: skip


def _revoked(connection: Connection) -> set[str]:
    """Ids alone: a row that cannot be read keeps nobody from a restore."""
    tokens = TABLES[Credential]
    return set(connection.execute(select(tokens.c.id).where(tokens.c.revoked_ms > 0)).scalars())


def _make_room(connection: Connection, reader: SqlReader, force: bool) -> None:
    full = [table_name(kind) for kind in KINDS if reader.count(kind)]
    if full and not force:
        raise StoreError(f"the database is not empty ({', '.join(full)}); choose an empty one, or force it and lose all that")
    for kind in KINDS:
        connection.execute(TABLES[kind].delete())


def _pages(file: Path) -> Iterator[list[Any]]:
    with gzip.open(file, "rb") as lines:
        lines.readline()
        page: list[Any] = []
        for line in lines:
            name, plain = json.loads(line)
            page.append(from_plain(_KIND_OF[name], plain))
            if len(page) == PAGE:
                yield page
                page = []
        yield page


def _require_same(header: Header, file: Path, reader: SqlReader) -> None:
    """Reads everything back: what is there now must have the digest of what was to be there. Records of an older schema lack
    members that they have by now, so there the file's records are told with those, and table by table, in whatever order."""
    if header.schema == newest():
        same = _whole_digest(header, _lines(reader)) == header.sha256
    else:
        told = ((table_name(type(r)), _line(r)) for page in _pages(file) for r in page)
        same = _table_digests(told) == _table_digests(_lines(reader))
    if not same:
        raise StoreError("the database does not hold what the backup says; nothing was restored")


def _whole_digest(header: Header, lines: Iterable[tuple[str, bytes]]) -> str:
    digest = _digest(header)
    for _, line in lines:
        digest.update(line)
    return str(digest.hexdigest())


def _table_digests(lines: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    digests: dict[str, Any] = {}
    for name, line in lines:
        digests.setdefault(name, hashlib.sha256()).update(line)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _raise_incarnation(unit: Unit, old_plane: Plane | None, header: Header, raised: _Raised) -> None:
    """Above the backup's and above that of the plane it replaces: agents must not take the new plane for either of them."""
    tx = SqlTx(unit, [])
    plane = tx.get(Plane, PLANE_ID)
    if plane is not None:
        past = [plane, *([old_plane] if old_plane is not None else [])]
        incarnation, epoch = max(p.incarnation for p in past) + 1, max(p.leader_epoch for p in past)
        (told,) = seal(plane.sealed_seq, plane.sealed_hash, [_restored(plane, incarnation, header, raised)])
        tx.insert(told)
        # the row's head stays the one that was signed last: the next leader signs what now stands behind it
        tx.update(replace(plane, incarnation=incarnation, leader_epoch=epoch, sealed_seq=told.seq, sealed_hash=told.hash))
        unit.finish()


def _restored(plane: Plane, incarnation: int, header: Header, raised: _Raised) -> Event:
    """What a restore says of itself. Who verifies the chain knows by it that heads of later events are no contradiction, so it
    is signed: otherwise whoever can write to the database could excuse whatever he removed."""
    return Event(
        id=f"ev_restored_{incarnation}",  # no chain restores the same incarnation twice
        at_ms=raised.at_ms,
        actor="restore",
        kind=RESTORED,
        subject=PLANE_ID,
        data={
            "incarnation": incarnation,
            "after_seq": plane.sealed_seq,
            "after_hash": plane.sealed_hash,
            "backup": header.sha256,
            "backup_ms": header.created_ms,
            "signature": raised.sign(restored_bytes(incarnation, plane.sealed_seq, plane.sealed_hash, raised.at_ms)),
        },
        touched=(f"Plane:{PLANE_ID}",),
    )


# -- opening databases ------------------------------------------------------------------------------------------------


@contextmanager
def _engines(url: str, existing: bool = False) -> Iterator[Engines]:
    engines = open_engines(url, create=not existing)
    try:
        prepare(engines, migrate=not existing)
        yield engines
    finally:
        engines.dispose()


@contextmanager
def _reading(engines: Engines) -> Iterator[Connection]:
    with translated(), engines.reader.connect() as connection:
        yield connection


@contextmanager
def _writing(engines: Engines) -> Iterator[Connection]:
    with translated(), engines.writer.begin() as connection:
        _lock_tables(connection)
        yield connection


def _lock_tables(connection: Connection) -> None:
    """SQLite's BEGIN IMMEDIATE keeps other writers out; on PostgreSQL somebody might fill a table that was found empty."""
    if connection.dialect.name == "postgresql":
        names: Iterable[str] = (connection.dialect.identifier_preparer.format_table(TABLES[kind]) for kind in KINDS)
        connection.execute(text(f"LOCK TABLE {', '.join(names)} IN EXCLUSIVE MODE"))


@contextmanager
def _alone(engines: Engines) -> Iterator[None]:
    """Holds the lead meanwhile, so that no controller can take it. Raises StoreError when one has it."""
    lock = lead_lock(engines)
    if not lock.acquire():
        raise StoreError("a plane is running on this database; stop it first")
    try:
        yield
    finally:
        lock.release()
