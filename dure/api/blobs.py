"""The folder of code archives: whether there is room in it, and the removal of files that nothing tells of any more."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from dure.api.lanes import Lane
from dure.api.state import ApiState
from dure.errors import DureError
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Bundle

logger = logging.getLogger("dure.api")
PART = ".part-"
ARCHIVE = ".tar.gz"
STRAY_MS = 3_600_000  # a file that no row tells of is left alone this long: an upload may still be at it
SWEEP_EVERY_S = 600


def no_room(blobs: Path, size: int, reserve_bytes: int) -> Reason | None:
    """Why an upload of that size would leave too little of the disk, or None. The folder exists."""
    free = shutil.disk_usage(blobs).free
    if free - size >= reserve_bytes:
        return None
    return Reason.of(ReasonKind.DISK_LOW, free_bytes=free, reserve_bytes=reserve_bytes)


async def keep_swept(state: ApiState) -> None:
    """Sweep at once and every ten minutes, until cancelled."""
    while True:
        try:
            await state.beside(lambda: sweep(state), Lane.BODIES)
        except (OSError, DureError) as fault:
            logger.warning("the code archives were not swept: %s", fault)
        await asyncio.sleep(SWEEP_EVERY_S)


def sweep(state: ApiState) -> int:
    """Remove what interrupted uploads left and the archives that were forgotten; how many files. Raises OSError, DureError."""
    blobs, now_ms = state.settings.blobs, state.clock.now_ms()
    folders = [folder for folder in blobs.iterdir() if folder.is_dir()] if blobs.is_dir() else []
    return sum(_sweep_folder(state, folder, now_ms) for folder in folders)


def _sweep_folder(state: ApiState, folder: Path, now_ms: int) -> int:
    old = list(_old(folder, now_ms))
    parts = [path for path in old if path.name.startswith(PART)]
    for path in parts:
        path.unlink(missing_ok=True)
    archives = [path for path in old if path.name.endswith(ARCHIVE)]
    known: Collection[str] = _known(state, folder.name) if archives else ()
    strays = [path for path in archives if path.name.removesuffix(ARCHIVE) not in known]
    return len(parts) + sum(_remove_stray(path, now_ms) for path in strays)


def _old(folder: Path, now_ms: int) -> Iterator[Path]:
    return (path for path in folder.iterdir() if _is_old(path, now_ms))


def _is_old(path: Path, now_ms: int) -> bool:
    try:
        return now_ms - path.stat().st_mtime_ns // 1_000_000 > STRAY_MS
    except FileNotFoundError:
        return False  # an upload has just ended


def _known(state: ApiState, project: str) -> Collection[str]:
    return state.services.store.read(lambda reader: {b.sha256 for b in reader.find(Bundle, {"project": project})})


def _remove_stray(path: Path, now_ms: int) -> bool:
    """Put aside, look again, remove: the same bytes may have been uploaded since it was found to be old."""
    aside = path.with_name(f"{PART}{path.name}")
    path.replace(aside)
    if not _is_old(aside, now_ms):
        aside.replace(path)
        return False
    aside.unlink(missing_ok=True)
    return True
