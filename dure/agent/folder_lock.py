"""One agent a folder: a lock that dies with its process, however that dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from dure.errors import ConfigError


class FolderLock:
    """Held from construction to `release`. flock, because the kernel drops it at kill -9, so that no stale lock can ever stand.

    The file says who holds it, for the message of whoever comes second. Raises ConfigError when another has it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise ConfigError(
                f"{folder} is in use by the agent with process id {holder}; stop that one, or give this agent a folder of its own"
            ) from taken
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
