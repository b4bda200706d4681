"""One cgroup (version 2) an attempt, where the machine lets the farm make them. Imported by the shim: standard library only.

The kernel then bounds memory, processes and CPU time itself, says truthfully who ran out of memory, and ends all members at one
stroke. Which of these hold depends on the controllers that the machine hands down, so each is asked for on its own. The driver
finds the place once (`find`, with a trial); the shim makes the attempt's group, its ranks enter it, and it is removed at the
end; what a dead shim left is ended and removed by the driver."""
# ruff: noqa: PTH103, PTH106, PTH112, PTH119, PTH123, PTH208
# (pathlib costs the shim 3 ms at every start)

from __future__ import annotations

import contextlib
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs every start of a shim 3 ms
    from typing import Any

OFF, AUTO = "off", "auto"
LEAF = "farm"  # what a unit with DelegateSubgroup=farm runs us in: then what is above it is ours to divide
CONTROLLERS = ("memory", "pids", "cpu", "cpuset")
PERIOD_US = 100_000  # of cpu.max: the kernel's own
WEIGHT_OF_CORE, WEIGHT_MAX = 100, 10_000  # of cpu.weight: 100 is the kernel's default
MISSING = "there is no cgroup v2 here that the farm may divide"
SLEEPER = ("/bin/sh", "-c", "read -r line")  # ends also by itself: its input is empty


class Place:
    """Where attempts' groups are made. base: "" where there is none, and then why. controllers: those whose bounds hold."""

    def __init__(self, base: str = "", prefix: str = "", controllers: tuple[str, ...] = (), why: str = "") -> None:
        self.base, self.prefix, self.controllers, self.why = base, prefix, controllers, why

    def path(self, attempt: str) -> str:
        return f"{self.base}/{self.prefix}{attempt}"

    def attempts(self) -> list[str]:
        """Of which a group is there."""
        with contextlib.suppress(OSError):
            if self.base:
                return [n[len(self.prefix) :] for n in os.listdir(self.base) if n.startswith(self.prefix)]
        return []

    def plan(
        self, attempt: str, *, memory_mib: int, processes_max: int, cores_milli: int, cpus: list[int]
    ) -> dict[str, Any] | None:
        """What the shim is to make: a path and [file, value], in this order. cpus: [] where they are not chosen."""
        if not self.base:
            return None
        weight = max(1, min(WEIGHT_MAX, cores_milli * WEIGHT_OF_CORE // 1000))
        bounds = {
            "memory": [["memory.max", str(memory_mib << 20)], ["memory.swap.max", "0"], ["memory.oom.group", "1"]],
            "pids": [["pids.max", str(processes_max)]] if processes_max else [],
            "cpu": [["cpu.weight", str(weight)]] + ([["cpu.max", f"{len(cpus) * PERIOD_US} {PERIOD_US}"]] if cpus else []),
            "cpuset": [["cpuset.cpus", ",".join(map(str, cpus))]] if cpus else [],
        }
        return {"path": self.path(attempt), "bounds": [b for c in CONTROLLERS if c in self.controllers for b in bounds[c]]}


class Group:
    """The group of one attempt. Nothing here raises: what does not hold is said by `make`, and watched otherwise."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.door: int | None = None
        self.bounds_memory = False

    def make(self, bounds: list[list[str]]) -> list[str]:
        """Make it, set its bounds, open its door: what went wrong, a line each. Without a door there is no group."""
        try:
            os.makedirs(self.path, exist_ok=True)
            door = os.open(f"{self.path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError as fault:
            return [f"no cgroup: {fault}"]
        self.door = door
        said = [self._set(name, value) for name, value in bounds]
        return [line for line in said if line]

    def _set(self, name: str, value: str) -> str:
        try:
            _write(f"{self.path}/{name}", value)
        except OSError as fault:
            swapless = name == "memory.swap.max" and isinstance(fault, FileNotFoundError)  # a kernel without swap
            return "" if swapless else f"{name} is not in force: {fault}"
        self.bounds_memory = self.bounds_memory or name == "memory.max"
        return ""

    def admit(self, pid: int) -> None:
        """Make a process a member, with all that it forks from now on. The kernel waits some 10 ms here, so the rank is admitted
        while it shuts itself in. Raises OSError."""
        if self.door is not None:
            os.write(self.door, str(pid).encode())

    def kill(self) -> None:
        """SIGKILL to all members at one stroke, however they fork."""
        with contextlib.suppress(OSError):
            _write(f"{self.path}/cgroup.kill", "1")

    def is_empty(self) -> bool:
        """Whether no member runs: also when there is no such group (any more)."""
        return _numbers(f"{self.path}/cgroup.events").get("populated", 0) == 0

    def used_mib(self) -> int:
        """What the members hold and the kernel could not take back: not the file cache, which memory.peak counts too."""
        held = _numbers(f"{self.path}/memory.stat")
        return sum(held.get(name, 0) for name in ("anon", "shmem", "kernel")) >> 20

    def oom(self) -> str:
        """Who ran out of memory when a member was killed for it: "job", "machine", or "" when none was."""
        events = _numbers(f"{self.path}/memory.events")
        if not events.get("oom_kill", 0):
            return ""
        return "job" if events.get("oom", 0) else "machine"

    def remove(self) -> bool:
        """Remove it and what a job made inside it; False while members are left."""
        for inner, _, _ in os.walk(self.path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(inner)
        return not os.path.isdir(self.path)


def is_useful(place: Place, space: bool) -> bool:
    """Whether a group bounds or ends more than there is without it. space: the attempt has a PID namespace, whose end is complete
    already; then a group that bounds nothing would only cost each start 10 ms."""
    return bool(place.base) and (bool(place.controllers) or not space)


def find(setting: str, prefix: str, *, proc: str = "/proc/self", root: bool | None = None) -> Place:
    """Where this farm may make groups, proved by a trial. setting: "auto", "off", or a folder. proc: where the kernel says what
    is mounted and where we are. Takes some milliseconds."""
    if setting == OFF:
        return Place(why="switched off")
    base = setting if setting != AUTO else _base(proc, os.geteuid() == 0 if root is None else root)
    if not base:
        return Place(why=MISSING)
    fault = _trial(f"{base}/{prefix}trial")
    if fault:
        return Place(why=f"{base}: {fault}")
    controllers = _hand_down(base)
    lacking = [c for c in CONTROLLERS if c not in controllers]
    return Place(base, prefix, controllers, f"not handed down to {base}: {', '.join(lacking)}" if lacking else "")


def _base(proc: str, root: bool) -> str:
    """The folder to divide: what a service manager gave us, else, as root, the top of what we see."""
    mount, own = _mounted(f"{proc}/mountinfo"), _own(f"{proc}/cgroup")
    if not mount or own is None:
        return ""
    if own.rpartition("/")[2] == LEAF:
        return mount + own.rpartition("/")[0]
    return mount if root else ""


def _mounted(path: str) -> str:
    """Where cgroup v2 is mounted (proc(5): the fifth word; behind "-" the type)."""
    with contextlib.suppress(OSError), open(path) as file:
        for line in file:
            before, _, behind = line.partition(" - ")
            if behind.split(" ", 1)[0] == "cgroup2":
                return before.split(" ")[4]
    return ""


def _own(path: str) -> str | None:
    with contextlib.suppress(OSError), open(path) as file:
        for line in file:
            if line.startswith("0::"):
                return line[3:].strip().rstrip("/")
    return None


def _hand_down(base: str) -> tuple[str, ...]:
    """Ask for each controller; those that groups below `base` then have."""
    for name in set(_words(f"{base}/cgroup.controllers")) & set(CONTROLLERS):
        with contextlib.suppress(OSError):
            if name not in _words(f"{base}/cgroup.subtree_control"):
                _write(f"{base}/cgroup.subtree_control", f"+{name}")
    given = _words(f"{base}/cgroup.subtree_control")
    return tuple(name for name in CONTROLLERS if name in given)


def _trial(path: str) -> str:
    """Make a group, move a process into it, end it there, remove the group: "" or what failed."""
    read, write = os.pipe2(os.O_CLOEXEC)
    pid = 0
    try:
        os.makedirs(path, exist_ok=True)
        pid = os.posix_spawn(SLEEPER[0], SLEEPER, {}, file_actions=[(os.POSIX_SPAWN_DUP2, read, 0)])
        _write(f"{path}/cgroup.procs", str(pid))
        _write(f"{path}/cgroup.kill", "1")
    except OSError as fault:
        return f"{os.path.basename(fault.filename or path)}: {fault.strerror}"
    finally:
        os.close(read)
        os.close(write)
        killed = bool(pid) and os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        Group(path).remove()
    return "" if killed else "cgroup.kill ends nothing"


def _write(path: str, value: str) -> None:
    """Into a file of the kernel's, which is there or not. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _words(path: str) -> list[str]:
    with contextlib.suppress(OSError), open(path) as file:
        return file.read().split()
    return []


def _numbers(path: str) -> dict[str, int]:
    """Lines of "name number"."""
    words = _words(path)
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=False) if value.isdigit()}
