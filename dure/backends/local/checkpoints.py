"""When an attempt last saved: what a refund of lost work rests on, and so nothing that the job may set.

The kernel notes the last change of every file (ctime), which no unprivileged process can choose; modification times are the
job's own and count for nothing. What was there at the start counts as saved at the start. Loaded by the shim: standard library
only, and quick to load."""

from __future__ import annotations

import os
import time

FILES_MAX = 10_000  # looked at while the job runs; beyond, the newest of those seen counts
LOOK_NS = 50_000_000  # nothing else is watched meanwhile
LAST_FILES_MAX = 100_000  # looked at when it has ended
LAST_LOOK_NS = 2_000_000_000


class Checkpoints:
    """The newest file below `folder` that was ever seen: one that is deleted or hidden again has been saved all the same."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.newest_ms = 0  # 0: nothing was saved

    def look(self, began_ms: int, now_ms: int) -> int:
        """While the job runs. began_ms: when it began, 0 when it has not."""
        newest, _ = newest_change_ms(self._folder, FILES_MAX, LOOK_NS)
        return self._saw(newest, began_ms, now_ms)

    def last_look(self, began_ms: int, now_ms: int) -> int:
        """When the job has ended. What cannot be looked at, or in time, may have been saved just now, and counts so."""
        newest, whole = newest_change_ms(self._folder, LAST_FILES_MAX, LAST_LOOK_NS)
        return self._saw(newest if whole else now_ms, began_ms, now_ms)

    def _saw(self, newest_ms: int, began_ms: int, now_ms: int) -> int:
        if newest_ms:
            self.newest_ms = max(self.newest_ms, min(max(newest_ms, began_ms), now_ms))
        return self.newest_ms


def newest_change_ms(folder: str, files_max: int, look_ns: int) -> tuple[int, bool]:
    """When a file below `folder` was changed last, 0 when there is none; and whether all of it was seen.

    Bounded by files and by time, within a folder too. Links are not followed and do not count."""
    newest, whole, waiting = 0, True, [folder]
    left, until = files_max, time.monotonic_ns() + look_ns
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if left <= 0 or time.monotonic_ns() >= until:
                        return newest, False
                    left -= 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        newest = max(newest, entry.stat(follow_symlinks=False).st_ctime_ns // 1_000_000)
        except FileNotFoundError:
            continue  # deleted meanwhile
        except OSError:
            whole = False
    return newest, whole
