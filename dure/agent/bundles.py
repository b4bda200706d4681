"""The cache of code bundles: fetched once per content hash, never evicted while in use, bounded otherwise."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Collection
from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = ".part-*"  # what a fetch leaves when its process is killed
_LOCKS = 16  # one fetch at a time of any hash; two hashes that share a lock merely wait for each other

Fetch = Callable[[Path], str]  # puts the bundle at that path; "" or why it never will be


def is_hash(sha256: str) -> bool:
    """Whether this is a content hash, and therefore fit for a file name."""
    return _SHA256.fullmatch(sha256) is not None


class BundleCache:
    """Files named by their SHA-256. bytes_max bounds those that nobody uses; the ones in use may go beyond it, because a
    job whose money is held must not fail for the cache's sake."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._mutex = threading.Lock()
        self._fetching = tuple(threading.Lock() for _ in range(_LOCKS))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in folder.glob(_PART):
            part.unlink()

    def path(self, sha256: str) -> Path:
        return self._folder / sha256

    def obtain(self, sha256: str, fetch: Fetch, in_use: Collection[str]) -> str:
        """Have the bundle at `path(sha256)`: "" when it is, else what `fetch` answered. in_use: hashes not to be evicted.

        Raises what `fetch` raises."""
        with self._lock_of(sha256):
            path = self.path(sha256)
            if not path.exists():
                fault = fetch(path)
                if fault:
                    return fault
            os.utime(path)  # least recently used is by this time, so that it outlives a restart
        self.evict({sha256, *in_use})
        return ""

    def evict(self, in_use: Collection[str]) -> None:
        """Delete the least recently used bundles until those that nobody uses fit."""
        with self._mutex:
            unused = [p for p in self._folder.iterdir() if is_hash(p.name) and p.name not in in_use]
            idle = [(p.stat().st_mtime_ns, p.stat().st_size, p) for p in unused]
            excess = sum(size for _, size, _ in idle) - self._bytes_max
            for _, size, path in sorted(idle):
                if excess <= 0:
                    return
                path.unlink()
                excess -= size

    def _lock_of(self, sha256: str) -> threading.Lock:
        return self._fetching[int(sha256[:2], 16) % len(self._fetching)]
