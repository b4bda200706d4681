"""What /proc says about processes: trees, use, and leftovers of an attempt. Imported by the shim: standard library only."""
# ruff: noqa: PTH110, PTH115, PTH123, PTH208
# (pathlib costs the shim 3 ms at every start)

from __future__ import annotations

import contextlib
import os
import signal

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
# Positions behind the command name in /proc/PID/stat, as proc(5) numbers its fields, less 3.
STATE, PARENT, GROUP, FLAGS, UTIME, CSTIME, START, RSS = 0, 1, 2, 6, 11, 14, 19, 21
PF_EXITING = 4  # in FLAGS: it executes nothing of its program any more


def stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the state on, None when there is no such process (any more)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None


def start_ticks(pid: int) -> int:
    """When it started, in clock ticks since boot; with the pid it names a process. 0 when it is gone or a zombie."""
    fields = stat(pid)
    return 0 if fields is None or fields[STATE] in (b"Z", b"X") else int(fields[START])


def descendants(pid: int) -> list[int]:
    """Every live process below `pid`, parents before children. Zombies are left out."""
    found, wave = [], [pid]
    while wave:
        wave = [child for parent in wave for child in _children(parent)]
        found += wave
    return [p for p in found if start_ticks(p)]


def _children(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    children = []
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                children += [int(word) for word in file.read().split()]
        except FileNotFoundError:
            if not os.path.exists("/proc/self/task/" + str(os.getpid()) + "/children"):
                return _children_by_scan(pid)  # a kernel without CONFIG_PROC_CHILDREN
        except OSError:
            continue
    return children


def _children_by_scan(pid: int) -> list[int]:
    wanted = str(pid).encode()
    return [p for p in everybody() if (fields := stat(p)) is not None and fields[PARENT] == wanted]


def everybody() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def cpu_ms(pids: list[int]) -> int:
    """CPU time of these processes and of the children that they have waited for."""
    ticks = sum(sum(int(f) for f in fields[UTIME : CSTIME + 1]) for p in pids if (fields := stat(p)) is not None)
    return ticks * 1000 // TICKS


def rss_bytes(pid: int) -> int:
    """Resident size: an upper bound, since pages that processes share are counted for each. 0 when it is gone."""
    fields = stat(pid)
    return 0 if fields is None else int(fields[RSS]) * PAGE


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def strike(pid: int) -> None:
    """SIGKILL to everything below `pid`, nearest first, and to their process groups but our own: the kernel kills a group at one
    stroke, while a listed process may have forked and gone before its turn comes."""
    own = os.getpgid(0)
    wave = [pid]
    while wave:
        wave = [child for parent in wave for child in _children(parent)]
        for child in wave:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if (group := os.getpgid(child)) != own:
                    os.killpg(group, signal.SIGKILL)
                os.kill(child, signal.SIGKILL)


def kill_space(init: int, ticks: int) -> bool:
    """Kill the PID namespace of this init (pid and start ticks), and with it everything inside. True when nothing runs in there.

    The kernel lets an init become a zombie only when all others are collected. While it waits for that it counts as ended as
    soon as all others execute nothing any more: on a machine whose pid 1 does not collect orphans it waits for ever."""
    if start_ticks(init) != ticks:
        return True
    with contextlib.suppress(OSError):
        fd = os.pidfd_open(init)
        try:
            if start_ticks(init) == ticks:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)
    space = _space(init)
    return not any(_executes(p) and (p == init or _space(p) == space) for p in everybody()) or start_ticks(init) != ticks


def _space(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _executes(pid: int) -> bool:
    fields = stat(pid)
    return fields is not None and fields[STATE] not in (b"Z", b"X") and not int(fields[FLAGS]) & PF_EXITING


def kill_marked(marker: bytes) -> bool:
    """Kill every process whose initial environment holds `marker` (NAME=value). True when none is left.

    A process that was let go by a dead shim keeps the environment it was started with. One kill per call and process, by
    pidfd, so that a pid that is reused meanwhile is not hit."""
    left = False
    for pid in everybody():
        if pid == os.getpid() or not _is_marked(pid, marker):
            continue
        left = True
        with contextlib.suppress(OSError):
            fd = os.pidfd_open(pid)
            try:
                if _is_marked(pid, marker):
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
            finally:
                os.close(fd)
    return not left


def marked(marker: bytes) -> list[int]:
    """Those whose initial environment holds `marker`, this process left out."""
    return [pid for pid in everybody() if pid != os.getpid() and _is_marked(pid, marker)]


def command(pid: int) -> bytes:
    """Its words, each with a NUL behind it; empty when there is no such process, or it must not be looked at."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _is_marked(pid: int, marker: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return marker in file.read().split(b"\0")
    except OSError:
        return False
