"""Who runs a farm on a data folder: a lock that the kernel frees, and a note (`farm.json`) that says where the farm answers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from dure.backends.local.processes import start_ticks

LOCK = "farm.lock"
NOTE = "farm.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """A running farm. pid with start_ticks (of the kernel's clock since boot, which nobody sets) names its process, so that a pid
    that was used again is never mistaken for it. started_ms: by the machine's clock. url is "" until it answers."""

    pid: int
    start_ticks: int
    started_ms: int
    url: str = ""


class Held(Exception):
    """Another process holds the folder. farm: who, None when it cannot be told."""

    def __init__(self, farm: Farm | None) -> None:
        super().__init__("the data folder is in use")
        self.farm = farm


@contextlib.contextmanager
def held(data: Path) -> Iterator[Farm]:
    """Hold the data folder for this process. Raises Held. The note is gone when the block is left."""
    fd = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Held(_read(data)) from None
        farm = Farm(pid=os.getpid(), start_ticks=start_ticks(os.getpid()), started_ms=round(time.time() * 1000))
        write(data, farm)
        try:
            yield farm
        finally:
            (data / NOTE).unlink(missing_ok=True)
    finally:
        os.close(fd)


def write(data: Path, farm: Farm) -> None:
    fresh = data / (NOTE + ".new")
    fresh.write_text(json.dumps(asdict(farm)) + "\n", encoding="utf-8")
    fresh.chmod(0o600)
    fresh.replace(data / NOTE)


def running(data: Path) -> Farm | None:
    """The farm that runs on this folder, or None. A note left by a farm that was killed does not count."""
    farm = _read(data)
    return farm if farm is not None and process(farm) is not None else None


def process(farm: Farm) -> psutil.Process | None:
    """The farm's process while it lives. A zombie does not."""
    if start_ticks(farm.pid) != farm.start_ticks:
        return None
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(farm.pid)
    return None


def _read(data: Path) -> Farm | None:
    try:
        plain = json.loads((data / NOTE).read_text(encoding="utf-8"))
        return Farm(**{name: plain[name] for name in ("pid", "start_ticks", "started_ms", "url")})
    except (OSError, ValueError, KeyError, TypeError):
        return None
