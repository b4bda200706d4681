"""A workload that begins with what another one saved: a copy of its checkpoint folder, whole or not at all.

Loaded by the shim only when there is something to take over. `copy` runs as the job's user, in the new folder: what that user may
not read is not copied. No link is followed and nothing outside the two folders is touched, whatever a job has planted in the old
one. Standard library only."""
# ruff: noqa: PTH104, PTH116
# (paths here are relative to folders given by descriptor)

from __future__ import annotations

import os
import shutil
import stat

DEPTH_MAX = 64  # folders within folders, each of which keeps two descriptors open
COPY_BYTES = 1 << 20
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # not to wait on what became a FIFO meanwhile
MAKE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class TooMuch(Exception):
    """More than may be copied: bytes, entries or depth."""


def begin(folder: str, uid: int | None) -> None:
    """Make an empty folder for the copy, in place of what a shim that died has left of one. Raises OSError."""
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder, 0o700)  # noqa: PTH102
    if uid is not None:
        os.chown(folder, uid, uid, follow_symlinks=False)


def end(folder: str, checkpoint: str, source: str, source_fd: int, *, whole: bool) -> bool:
    """Put a whole copy in the place of the empty checkpoint folder, by one rename, or drop it. True when it is in place.

    A source that was swept while it was copied is no longer where it was, and its copy may lack anything: dropped too."""
    try:
        here = os.stat(source, follow_symlinks=False)
        if whole and os.path.samestat(here, os.fstat(source_fd)):
            os.rename(folder, checkpoint)  # refused by the kernel when something has been saved there
            return True
    except OSError:
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return False


def copy(source_fd: int, bytes_max: int, entries_max: int) -> None:
    """Copy what is in the folder `source_fd` into the current one. bytes_max: 0 for no bound. Raises OSError, TooMuch.

    Files keep their times, by which jobs find the newest. Links that stay inside are made again as links; sockets and such are
    left out. All of it is on disk when this returns."""
    here = os.open(".", OPEN_FOLDER)
    try:
        Copy(bytes_max, entries_max).folder(source_fd, here, 0)
    finally:
        os.close(here)


class Copy:
    """What is left of the bounds while one folder is copied."""

    def __init__(self, bytes_max: int, entries_max: int) -> None:
        self._bounded, self._bytes, self._entries = bytes_max > 0, bytes_max, entries_max

    def folder(self, source: int, target: int, depth: int) -> None:
        _require(depth < DEPTH_MAX)
        for name in sorted(os.listdir(source)):
            self._entries -= 1
            _require(self._entries >= 0)
            mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                self._below(source, target, name, depth)
            elif stat.S_ISREG(mode):
                self._file(source, target, name)
            elif stat.S_ISLNK(mode):
                to = os.readlink(name, dir_fd=source)
                if _is_inside(to, depth):
                    os.symlink(to, name, dir_fd=target)
        os.fsync(target)

    def _below(self, source: int, target: int, name: str, depth: int) -> None:
        os.mkdir(name, 0o700, dir_fd=target)
        inner = os.open(name, OPEN_FOLDER, dir_fd=source)
        try:
            made = os.open(name, OPEN_FOLDER, dir_fd=target)
            try:
                self.folder(inner, made, depth + 1)
                _like(inner, made)
            finally:
                os.close(made)
        finally:
            os.close(inner)

    def _file(self, source: int, target: int, name: str) -> None:
        old = os.open(name, OPEN_FILE, dir_fd=source)
        try:
            if not stat.S_ISREG(os.fstat(old).st_mode):
                return
            new = os.open(name, MAKE_FILE, 0o600, dir_fd=target)
            try:
                self._bytes_of(old, new)
                _like(old, new)
                os.fsync(new)
            finally:
                os.close(new)
        finally:
            os.close(old)

    def _bytes_of(self, old: int, new: int) -> None:
        while data := os.read(old, COPY_BYTES):
            self._bytes -= len(data)
            _require(not self._bounded or self._bytes >= 0)
            while data:
                data = data[os.write(new, data) :]


def _like(old: int, new: int) -> None:
    about = os.fstat(old)
    os.fchmod(new, about.st_mode & 0o777 | stat.S_IRUSR | stat.S_IWUSR)
    os.utime(new, ns=(about.st_atime_ns, about.st_mtime_ns))


def _is_inside(to: str, depth: int) -> bool:
    """Whether a link in a folder that deep stays within the top one. A chain through another link is followed by the job only."""
    if to.startswith("/"):
        return False
    for part in to.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return False
    return True


def _require(condition: bool) -> None:
    if not condition:
        raise TooMuch
