"""What a backend's folder still has running, asked from outside: by who has no driver, because no farm runs here any more.

As in the driver, the lock is the truth about life and the record of the run the second witness; what a dead shim may have left
behind is known by its namespace or its mark. Nothing is settled and nothing ended here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dure.backends.local import files, orders, processes


@dataclass(frozen=True, slots=True)
class Survivor:
    """An attempt that has not ended. pid: of its shim; orphaned: or of what a dead shim left behind."""

    attempt: str
    pid: int
    orphaned: bool = False


def survivors(root: Path) -> list[Survivor]:
    """What lives of the attempts below `root`, by name. Raises OSError when it cannot be read."""
    attempts = root / "attempts"
    if not attempts.is_dir():
        return []
    names = sorted(e.name for e in os.scandir(attempts) if orders.is_name(e.name))
    looked = (_look(attempts / name, name) for name in names if not (attempts / name / "exit").exists())
    return [found for found in looked if found is not None]


def _look(folder: Path, attempt: str) -> Survivor | None:
    run = files.read_record(str(folder / "run")) or {}
    if run.get("boot_id") != files.boot_id() or not isinstance(run.get("pid", 0), int):
        run = {}  # its numbers are those of processes before the machine was started anew
    shim = int(run.get("pid", 0))
    if _lives(shim, run.get("start_ticks", 0)):
        return Survivor(attempt, shim)
    if _is_locked(folder) and (shim := _shim_of(attempt)):
        return Survivor(attempt, shim)
    return _orphan(attempt, run)


def _orphan(attempt: str, run: Mapping[str, Any]) -> Survivor | None:
    init, ticks = run.get("init") or (0, 0)
    left = [init] if _lives(init, ticks) else processes.marked(f"DURE_ATTEMPT={attempt}".encode())
    return Survivor(attempt, left[0], orphaned=True) if left else None


def _lives(pid: int, ticks: int) -> bool:
    return bool(ticks) and processes.start_ticks(pid) == ticks


def _is_locked(folder: Path) -> bool:
    if not (folder / "lock").exists():
        return False
    lock = files.try_lock(str(folder / "lock"))
    if lock is not None:
        os.close(lock)
    return lock is None


def _shim_of(attempt: str) -> int:
    """One that has not noted yet that it runs, because it still unpacks. 0: the lock was held by who looked as we do."""
    words = f"\0dure-shim\0{attempt}\0".encode()
    return next((pid for pid in processes.everybody() if words in processes.command(pid)), 0)
