"""How much memory an attempt holds, also in files that live in memory. Imported by the shim: standard library only."""
# ruff: noqa: PTH115, PTH116, PTH123, PTH208
# (pathlib costs the shim 3 ms at every start)

from __future__ import annotations

import contextlib
import os

from dure.backends.local import processes

FDS_MAX = 20_000  # open files looked at for memory files in one look, so that no job can keep the shim busy
BLOCK = 512  # st_blocks counts in these, whatever the file system's own block is


def used_mib(pids: list[int], shm: str, limit_mib: int) -> int:
    """What these processes hold, and what is in their shared memory folder and segments (shm: "" where they have none).

    An upper bound while that stays within the limit, since it is cheap: pages that several map count for each. Beyond it every
    page counts once. Not seen: memory files that are open nowhere but in a message on its way, and the kernel's own buffers."""
    files = _memory_files(pids)
    lasting = sum(files.values()) + (_folder_bytes(shm) + _segment_bytes() if shm else 0)
    bound = processes.rss_mib(pids) + (lasting >> 20)
    if bound <= limit_mib:
        return bound
    if not lasting:
        return processes.pss_mib(pids)
    device = os.stat(shm).st_dev if shm else None
    return (sum(_pss_besides(p, files, device) for p in pids) + lasting) >> 20


def _memory_files(pids: list[int]) -> dict[tuple[int, int], int]:
    """(device, inode) -> bytes of every memfd that one of them has open, mapped or not."""
    found: dict[tuple[int, int], int] = {}
    seen = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                seen += 1
                if seen > FDS_MAX:
                    return found
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{name}").startswith("/memfd:"):
                        file = os.stat(f"/proc/{pid}/fd/{name}")
                        found[file.st_dev, file.st_ino] = file.st_blocks * BLOCK
    return found


def _folder_bytes(shm: str) -> int:
    """Also of files that are deleted and still open."""
    about = os.statvfs(shm)
    return (about.f_blocks - about.f_bfree) * about.f_frsize


def _segment_bytes() -> int:
    """Resident and swapped bytes of System V segments of this IPC namespace, attached or not."""
    try:
        with open("/proc/sysvipc/shm", "rb") as file:
            return sum(sum(int(word) for word in line.split()[-2:]) for line in file.readlines()[1:])
    except OSError:
        return 0  # a kernel without them


def _pss_besides(pid: int, files: dict[tuple[int, int], int], device: int | None) -> int:
    """Proportional size in bytes without the mappings of what is counted already."""
    total, counted = 0, False
    try:
        with open(f"/proc/{pid}/smaps", "rb") as smaps:
            for line in smaps:
                first = line.split(b" ", 1)[0]
                if not first.endswith(b":"):
                    counted = _is_counted(line.split(), files, device)
                elif first == b"Pss:" and not counted:
                    total += int(line.split()[1]) << 10
    except OSError:
        return processes.pss_mib([pid]) << 20
    return total


def _is_counted(mapping: list[bytes], files: dict[tuple[int, int], int], device: int | None) -> bool:
    """mapping: the words of a head line of smaps: range, rights, offset, device, inode, path if any."""
    major, _, minor = mapping[3].partition(b":")
    number = os.makedev(int(major, 16), int(minor, 16))
    is_segment = device is not None and mapping[-1].startswith(b"/SYSV")
    return is_segment or number == device or (number, int(mapping[4])) in files
