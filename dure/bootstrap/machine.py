"""This machine: its clock, its chance, and the data folder with what is secret in it."""

from __future__ import annotations

import os
import secrets
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

from dure.config import Config
from dure.errors import ConfigError

DRAINED_FOR_STOP = "drained-for-stop"  # left by `dure down --jobs`: the next start opens the farm again
LOCAL = "local-"  # and the name of a site: where its backend keeps everything

# -- time and chance ---------------------------------------------------------------------------------------------------


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _CROCKFORD for low in _CROCKFORD)  # two digits of an id at once


class SystemEntropy:
    """ULIDs and secrets from the operating system's randomness. Ids of one millisecond go up by one, so that they sort in
    the order in which they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = -1
        self._last = 0

    def new_id(self, prefix: str, now_ms: int) -> str:
        with self._lock:
            # the top bit starts at 0: 2^79 ids fit into the millisecond before the number could overflow
            self._last = self._last + 1 if now_ms == self._last_ms else secrets.randbits(79)
            self._last_ms = now_ms
            number = (now_ms << 80) | self._last
        return f"{prefix}_" + "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])

    def secret(self, n_bytes: int) -> str:
        return secrets.token_urlsafe(n_bytes)


# -- the data folder ------------------------------------------------------------------------------------------------------


def make_folder(config: Config) -> Path:
    """The data folder, open to its owner alone. Raises ConfigError when it cannot be made, or when everybody uses it: closing
    /tmp to all others would stop the machine."""
    try:
        config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        shared = config.data.stat().st_mode & (stat.S_ISVTX | stat.S_IWOTH)
        if not shared:
            config.data.chmod(0o700)
    except OSError as fault:
        raise ConfigError(
            f"DURE_DATA={config.data} cannot be used as the data folder: {fault.strerror}; name another folder"
        ) from fault
    if shared:
        raise ConfigError(
            f"DURE_DATA={config.data} is a folder that everybody may write to, and the farm's has to be its own; "
            f"name one inside it, such as {config.data / 'dure'}"
        )
    return config.data


def write_secret(path: Path, text: str) -> None:
    """Whole or not at all, readable by its owner alone, on disk when this returns."""
    fresh = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read_secret(path: Path) -> str:
    """A token from its file, "" when there is none that may be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
