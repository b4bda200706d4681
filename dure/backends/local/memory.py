"""How much memory an attempt holds, also in files that live in memory. Imported by the shim: standard library only."""
# ruff: noqa: PTH115, PTH116, PTH123
# (pathlib costs the shim 3 ms at every start)

from __future__ import annotations

import contextlib
import os
import time

from dure.backends.local import processes

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs every start of a shim 3 ms
    from collections.abc import Callable, Generator

    Key = tuple[int, int]  # device and inode of what lives in memory; inode 0: all of the shared memory folder

FDS_MAX = 20_000  # open files looked at for memory files in one look, so that no job can keep the shim busy
FDS_STEP = 500  # of them between two looks at the clock
BLOCK = 512  # st_blocks counts in these, whatever the file system's own block is
SLICE_NS = 100_000_000  # of a look without a pause: a stop and the wall limit wait so long at most
LOOK_NS = 5_000_000_000  # of a look in all; what a job makes costlier to count counts by its upper estimate
CHUNK = 4096  # of smaps in one read: the kernel walks a handful of mappings for it
ROLLUP_BYTES = 8 << 30  # resident; beyond it the kernel's own sum, which cannot be interrupted, takes too long
HEX = b"0123456789abcdef"  # what a head line of smaps begins with; all other lines begin with a capital


class Watch:
    """One look after the other, each in slices, so that no look keeps the shim from anything else."""

    def __init__(self) -> None:
        self._look: _Look | None = None
        self._steps: Generator[None, None, int] | None = None
        self._spent_ns = 0

    def used_mib(self, members: Callable[[], list[int]], shm: str, limit_mib: int) -> int | None:
        """What the members hold, and what is in their shared memory folder and segments (shm: "" where they have none).
        None: not known yet, ask again at once; it goes on where it was.

        An upper bound while that stays within the limit, since it is cheap: pages that several map count for each. Beyond it
        every page counts once, as far as LOOK_NS allows, then by the upper estimate again. Not seen: memory files that are open
        nowhere but in a message on its way, and the kernel's own buffers."""
        since = time.monotonic_ns()
        if self._look is None or self._steps is None:
            self._look, self._spent_ns = _Look(members(), shm, limit_mib << 20), 0
            self._steps = self._look.steps()
        look, until = self._look, since + min(SLICE_NS, LOOK_NS - self._spent_ns)
        used: int | None = None
        try:
            next(self._steps)
            while time.monotonic_ns() < until:
                next(self._steps)
        except StopIteration as end:
            used = end.value
        self._spent_ns += time.monotonic_ns() - since
        if used is None and self._spent_ns >= LOOK_NS:
            used = look.upper()
        if used is None:
            return None
        self._look = self._steps = None
        return used >> 20


class _Look:
    """All in bytes."""

    def __init__(self, pids: list[int], shm: str, limit: int) -> None:
        self.pids, self.limit = pids, limit
        self.high = {p: processes.rss_bytes(p) for p in pids}  # what a process holds at most
        self.device = os.stat(shm).st_dev if shm else None
        self.kernel, self.lasting = _segments() if shm else (None, {})
        self.segments = frozenset(self.lasting)
        if self.device is not None:
            self.lasting[self.device, 0] = _folder_bytes(shm)
        self.mapped: dict[Key, int] = {}  # proportional bytes seen mapped of what lasts

    def upper(self) -> int:
        return sum(self.high.values()) + self._counted()

    def _counted(self) -> int:
        """What lasts counts whole, mapped or not, and never for less than what was left out of the processes for its sake: were
        something taken for what it is not, or grown meanwhile, nothing would be lost."""
        return sum(max(held, self.mapped.get(key, 0)) for key, held in self.lasting.items())

    def steps(self) -> Generator[None, None, int]:
        """From cheap to costly, as far as it takes to know on which side of the limit it is."""
        yield from self._find_files()
        if self.upper() <= self.limit:
            return self.upper()
        low, huge = 0, []
        for pid in self.pids:
            if self.high[pid] > ROLLUP_BYTES:
                huge.append(pid)
                continue
            least, self.high[pid] = _rollup(pid)
            low += least
            yield
        counted = self._counted()
        if self.upper() <= self.limit or not (huge or counted):
            return self.upper()
        if low + counted > self.limit:
            return low + counted
        for pid in self.pids if counted else huge:
            self.high[pid] = yield from self._walk(pid)
        return self.upper()

    def _find_files(self) -> Generator[None, None, None]:
        """Every memfd that one of them has open, mapped or not."""
        seen = 0
        for pid in self.pids:
            with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
                for entry in entries:
                    seen += 1
                    if seen > FDS_MAX:
                        return
                    if seen % FDS_STEP == 0:
                        yield
                    with contextlib.suppress(OSError):
                        if os.readlink(entry.path).startswith("/memfd:"):
                            file = os.stat(entry.path)
                            self.lasting[file.st_dev, file.st_ino] = file.st_blocks * BLOCK
            yield

    def _walk(self, pid: int) -> Generator[None, None, int]:
        """Proportional size without the shared pages of what counts already. Pages of a private mapping of it that were written
        are the process's own, wherever they were copied from."""
        own = pss = 0
        mapped: dict[Key, int] = {}
        key: Key | None = None
        rest = b""
        try:
            with open(f"/proc/{pid}/smaps", "rb", buffering=0) as smaps:
                while chunk := smaps.read(CHUNK):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line and line[0] in HEX:
                            key = self._key(line)
                        elif line.startswith(b"Pss:"):
                            pss = _bytes(line)
                            own += 0 if key else pss
                        elif key and line.startswith(b"Anonymous:"):
                            private = min(_bytes(line), pss)  # not proportional in itself
                            own += private
                            mapped[key] = mapped.get(key, 0) + pss - private
                        elif key and line.startswith(b"SwapPss:"):
                            own += _bytes(line)
                    yield
        except OSError:
            return processes.rss_bytes(pid)
        for key, part in mapped.items():
            self.mapped[key] = self.mapped.get(key, 0) + part
        return own

    def _key(self, head: bytes) -> Key | None:
        """What a mapping is of, where that counts already. head: range, rights, offset, device, inode, and a path if any,
        which may hold spaces and be of the job's own choosing: it decides only on the device where nobody can make a name."""
        words = head.split(None, 5)
        major, _, minor = words[3].partition(b":")
        number, inode = os.makedev(int(major, 16), int(minor, 16)), int(words[4])
        if number == self.device:
            return number, 0
        path = words[5] if len(words) > 5 else b""
        # Memory files and segments are numbered apart from each other on one device: a number alone names two things.
        if path.startswith(b"/SYSV"):
            found = number == self.kernel and (number, -inode - 1) in self.segments
            return (number, -inode - 1) if found else None
        return (number, inode) if path.startswith(b"/memfd:") and (number, inode) in self.lasting else None


def _bytes(line: bytes) -> int:
    return int(line.split()[1]) << 10


def _folder_bytes(shm: str) -> int:
    """Also of files that are deleted and still open."""
    about = os.statvfs(shm)
    return (about.f_blocks - about.f_bfree) * about.f_frsize


def _segments() -> tuple[int | None, dict[Key, int]]:
    """The kernel's own device of memory files, and on it, by its identifier, resident and swapped bytes of every System V segment
    of this IPC namespace, attached or not. An identifier n stands as -n - 1, apart from the inodes of memory files."""
    try:
        file = os.memfd_create("dure")
        try:
            device = os.fstat(file).st_dev
        finally:
            os.close(file)
        with open("/proc/sysvipc/shm", "rb") as table:
            rows = [line.split() for line in table.readlines()[1:]]
    except OSError:
        return None, {}  # a kernel without them
    return device, {(device, -int(row[1]) - 1): int(row[-2]) + int(row[-1]) for row in rows}


def _rollup(pid: int) -> tuple[int, int]:
    """Proportional size: without all that may lie in memory files, and with it. Where it is not readable, the resident size."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            sizes = {line.split(b":")[0]: _bytes(line) for line in file.readlines()[1:]}
    except OSError:
        return (processes.rss_bytes(pid),) * 2
    pss = sizes.get(b"Pss", 0)
    return pss - sizes.get(b"Pss_Shmem", pss), pss
