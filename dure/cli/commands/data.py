"""A plane's database as a whole: backup, restore, and the move to another one; and the description of its API."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from dure.bootstrap.machine import write_secret
from dure.bootstrap.plane import SIGNING_KEY, back_up, bring_up_to_date, move_to, openapi_text
from dure.bootstrap.plane import restore as restore_database
from dure.cli.commands.options import File
from dure.cli.exits import Exit
from dure.cli.farm import lock
from dure.cli.run import Run

BUNDLES = "bundles"  # code archives, by content hash: copying what is missing is enough


def backup(
    run: Run, target: Annotated[Path, typer.Argument(help="arg.backup_target", metavar="FOLDER", file_okay=False)]
) -> None:
    """The database, the code archives and the signing key. The farm may run on."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (run.config.data / BUNDLES).is_dir():
        # archives first: a record in the database may then lack nothing that was there when it was written
        shutil.copytree(run.config.data / BUNDLES, target / BUNDLES, dirs_exist_ok=True)
    file = back_up(run.config, target)
    if (run.config.data / SIGNING_KEY).exists():
        write_secret(target / SIGNING_KEY, (run.config.data / SIGNING_KEY).read_text(encoding="ascii").strip())
    run.console.document({"file": str(file)})
    run.say("backup.done", file=file)


def restore(run: Run, file: File, force: Annotated[bool, typer.Option("--force", help="opt.force")] = False) -> None:
    """Fill the database of the data folder (or of DURE_STORE) from a backup, with what lies beside it."""
    _require_stopped(run)
    carried = restore_database(run.config, file, force=force)
    beside = file.resolve().parent
    if (beside / BUNDLES).is_dir():
        shutil.copytree(beside / BUNDLES, run.config.data / BUNDLES, dirs_exist_ok=True)
    if (beside / SIGNING_KEY).exists():
        write_secret(run.config.data / SIGNING_KEY, (beside / SIGNING_KEY).read_text(encoding="ascii").strip())
    run.console.document(carried)
    run.say("restore.done", records=sum(carried.counts.values()), incarnation=carried.incarnation)
    run.note("restore.rights", when=run.when(carried.backup_ms))
    for token in carried.revived:
        run.note("restore.revived", token=token, command=f"dure token revoke {token}")


def migrate(run: Run, to: Annotated[str, typer.Option("--to", help="opt.to", metavar="URL")] = "") -> None:
    """Bring the schema to this version; with --to, move the whole plane into another, empty database."""
    if not to:
        bring_up_to_date(run.config)
        run.console.document({"ok": True})
        run.say("migrate.schema")
        return
    _require_stopped(run)
    carried = move_to(run.config, to)
    run.console.document(carried)
    run.say("migrate.done", records=sum(carried.counts.values()))


def _require_stopped(run: Run) -> None:
    farm = lock.running(run.config.data)
    if farm is not None:
        raise run.refusal("farm.must_stop", Exit.REFUSED, pid=farm.pid)


def openapi(run: Run, file: Annotated[Path | None, typer.Option("--out", help="opt.out", dir_okay=False)] = None) -> None:
    text = openapi_text()
    if file is None:
        run.console.raw(text)
    else:
        file.write_text(text, encoding="utf-8")
