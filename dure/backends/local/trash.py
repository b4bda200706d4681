"""Where what is dropped goes first: out of sight by one rename, deleted a little at a time, also when a job has planted traps.

No link is ever followed, and no depth is too deep: a folder inside is moved up beside its parent before it is emptied, so one
open folder at a time is all that this needs. What is moved here is gone for everybody else at once, also across a crash."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path

LOOK_EVERY = 64  # entries between two looks at the clock


class Trash:
    """path: a folder of the farm's own, on the same file system as what is put into it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stuck: set[str] = set()  # what would not go: not tried again by this process
        self.stuck_why = ""

    def put(self, path: Path) -> bool:
        """Out of sight, whole. False when it was not there. Raises OSError."""
        self._path.mkdir(mode=0o700, exist_ok=True)
        try:
            path.rename(self._path / uuid.uuid4().hex)
        except FileNotFoundError:
            return False
        return True

    def empty(self, until_ns: int) -> bool:
        """Delete until that moment of the monotonic clock: True when nothing is left that can be deleted."""
        try:
            here = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            while names := [n for n in os.listdir(here) if n not in self._stuck]:  # noqa: PTH208 - by descriptor
                for name in names:
                    if time.monotonic_ns() >= until_ns:
                        return False
                    self._delete(here, name, until_ns)
            return True
        finally:
            os.close(here)

    def _delete(self, here: int, name: str, until_ns: int) -> None:
        try:
            inside = self._open(here, name)
            if inside is None:
                os.unlink(name, dir_fd=here)
                return
            try:
                emptied = _empty(inside, here, until_ns)
            finally:
                os.close(inside)
            if emptied:
                os.rmdir(name, dir_fd=here)
        except FileNotFoundError:
            return  # another process was faster
        except OSError as fault:
            self._stuck.add(name)
            self.stuck_why = str(fault)

    def _open(self, here: int, name: str) -> int | None:
        """The folder of that name, None for anything else. Raises OSError."""
        if not _is_folder(name, here):
            return None
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(name, flags, dir_fd=here)
        except PermissionError:
            if os.geteuid() == 0:
                raise
            os.chmod(name, 0o700, dir_fd=here)  # a job's own bits, where the farm is no root: it is the same user
            return os.open(name, flags, dir_fd=here)


def _empty(inside: int, here: int, until_ns: int) -> bool:
    """Delete what is in one folder and move its folders beside it. False when time ran out."""
    os.fchmod(inside, 0o700)
    with os.scandir(inside) as entries:
        for count, entry in enumerate(entries):
            if count % LOOK_EVERY == 0 and time.monotonic_ns() >= until_ns:
                return False
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    _move_up(inside, entry.name, here)
                else:
                    os.unlink(entry.name, dir_fd=inside)
    return True


def _move_up(inside: int, name: str, here: int) -> None:
    try:
        os.rmdir(name, dir_fd=inside)
    except OSError:
        if os.geteuid() != 0:
            os.chmod(name, 0o700, dir_fd=inside)  # a folder that may not be written cannot be moved either
        os.rename(name, uuid.uuid4().hex, src_dir_fd=inside, dst_dir_fd=here)


def _is_folder(name: str, here: int) -> bool:
    return (os.stat(name, dir_fd=here, follow_symlinks=False).st_mode & 0o170000) == 0o040000
