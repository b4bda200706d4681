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
DEPTH_MAX = 100  # folders in folders, each of which is held open

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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
    look = _Look(files_max, time.monotonic_ns() + look_ns)
    look.below(folder)
    return look.newest_ms, look.whole


class _Look:
    """One walk. A folder is opened in the one that it was seen in, and only if it is one then: a job that puts a link in its
    place while it is waiting for its turn leads nowhere."""

    def __init__(self, files_max: int, until_ns: int) -> None:
        self.newest_ms = 0
        self.whole = True
        self._left, self._until_ns = files_max, until_ns
        self._over = False

    def below(self, folder: str, parent: int | None = None, depth: int = DEPTH_MAX) -> None:
        try:
            opened = os.open(folder, _FOLDER, dir_fd=parent)
        except FileNotFoundError:
            return  # deleted meanwhile
        except OSError:
            self.whole = False
            return
        try:
            for name in self._entries(opened):
                if self._over or not depth:
                    self.whole = False
                    return
                self.below(name, opened, depth - 1)
        finally:
            os.close(opened)

    def _entries(self, opened: int) -> list[str]:
        """Takes in the files; the folders that are to be looked into."""
        found: list[str] = []
        try:
            with os.scandir(opened) as entries:
                for entry in entries:
                    if self._left <= 0 or time.monotonic_ns() >= self._until_ns:
                        self._over, self.whole = True, False
                        break
                    self._left -= 1
                    self._take(entry, found)
        except OSError:
            self.whole = False
        return found

    def _take(self, entry: os.DirEntry[str], folders: list[str]) -> None:
        """Saving is often writing aside and renaming: what is gone since it was listed says nothing about its neighbours."""
        try:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                self.newest_ms = max(self.newest_ms, entry.stat(follow_symlinks=False).st_ctime_ns // 1_000_000)
        except FileNotFoundError:
            return
        except OSError:
            self.whole = False
