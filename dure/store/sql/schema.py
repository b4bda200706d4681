"""Which schema a database has, and how it gets the one that this program needs."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from dure import __version__
from dure.errors import ConfigError
from dure.store.sql.engines import Engines
from dure.store.sql.failures import translated

log = logging.getLogger(__name__)

_FOLDER = Path(__file__).parent / "migrations"
_MIGRATION_KEY = int.from_bytes(b"duremigr", "big")  # advisory lock: two processes started together migrate one after the other


def newest() -> str:
    """The revision that this program is written for."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise ConfigError("this installation of Dure has no migrations; install it again")
    return head


def present(connection: Connection) -> str:
    """The revision that the database has; "" when it is empty. Raises ConfigError when this program does not know it."""
    revision = MigrationContext.configure(connection).get_current_revision() or ""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision and revision not in known:
        raise ConfigError(
            f"the database's schema is at revision {revision}, which is newer than this program"
            f" (Dure {__version__} knows up to {newest()});"
            " install the newer version of Dure again, or restore a backup that this one made"
        )
    return revision


def prepare(engines: Engines, migrate: bool) -> None:
    """Bring the database to `newest`, or (without `migrate`) see that it is there.

    Raises ConfigError when the schema is newer than the program, or is behind and may not be migrated."""
    with translated(), engines.reader.connect() as connection:
        revision = present(connection)
    if revision == newest():
        if migrate:
            _complete_late(engines)
        return
    if not migrate:
        there = revision or "none"
        raise ConfigError(f"the database's schema is at revision {there} and {newest()} is needed; migrate it first")
    with translated(), engines.writer.begin() as connection:
        _one_at_a_time(connection)
        upgrade(connection, "head")  # nothing to do when another process was first


def upgrade(connection: Connection, revision: str) -> None:
    command.upgrade(_config(connection), revision)


def complete(connection: Connection, revision: str) -> int:
    """What the migrations after `revision` would have filled into rows that came from a backup of that age, without upgrading
    them: such a migration has a `fill`, which works on every later schema too and says how many rows lacked something."""
    filled = 0
    scripts = reversed(list(ScriptDirectory.from_config(_config()).walk_revisions()))
    for script in scripts:
        fill = getattr(script.module, "fill", None)
        if fill is not None and script.revision > revision:  # revisions are numbers with leading zeros
            filled += fill(connection)
    return filled


def _complete_late(engines: Engines) -> None:
    """A program of an older schema may have run on after the upgrade, and wrote rows as it knew them. Left so, proofs would take
    them for an intruder's for ever. Nobody else is named where somebody is: only what is empty is filled."""
    with translated(), engines.writer.begin() as connection:
        filled = complete(connection, "")
    if filled:
        log.warning("%d rows, as an older version of Dure would write them, were given what this one keeps besides", filled)


def downgrade(connection: Connection, revision: str) -> None:
    command.downgrade(_config(connection), revision)


def _one_at_a_time(connection: Connection) -> None:
    """SQLite's BEGIN IMMEDIATE has seen to it already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_KEY})


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
