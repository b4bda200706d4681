"""Files that outlive their writer: durable records, locks, and who is alive. Imported by the shim: standard library only."""
# ruff: noqa: PTH104, PTH108, PTH120, PTH123
# (pathlib costs the shim 3 ms at every start)

from __future__ import annotations

import contextlib
import fcntl
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs every start of a shim 3 ms
    from typing import Any

RESERVED_BYTES = 4096  # kept for `exit` and `stop`: a full disk hides no end, and keeps nobody from ending what filled it


def write_record(path: str, value: dict[str, Any]) -> None:
    """Replace `path` by `value` so that a reader sees the old or the new, also after a power cut. Raises OSError.

    The temporary file is overwritten, not truncated first: blocks reserved for it stay."""
    data = json.dumps(value).encode()
    fd = os.open(path + ".tmp", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
        os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(path + ".tmp", path)
    sync_folder(os.path.dirname(path))


def write_record_once(path: str, value: dict[str, Any]) -> bool:
    """As write_record, but the first writer wins: False when the record was there. Uses the space reserved for it."""
    mine = f"{path}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.rename(path + ".kept", mine + ".tmp")
    write_record(mine, value)
    try:
        os.link(mine, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(mine)
    return True


def read_record(path: str) -> dict[str, Any] | None:
    """The record, {} when it is there but unreadable (a power cut), None when it is not there."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def reserve(path: str) -> None:
    """Take disk space now for a record that must be writable later: a temporary file (`.tmp` for write_record, `.kept` for
    write_record_once)."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, RESERVED_BYTES)
    finally:
        os.close(fd)


def sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def try_lock(path: str) -> int | None:
    """An open file that holds the lock until it is closed (by every process that inherited it), or None when it is taken."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:
        os.close(fd)
        raise
    return fd


def wake(path: str) -> bool:
    """Poke whoever reads the FIFO; False when nobody does. Unlike a signal this cannot hit a stranger with a reused pid."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        with contextlib.suppress(OSError):
            os.write(fd, b"!")
    finally:
        os.close(fd)
    return True


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
