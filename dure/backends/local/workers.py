"""Starting the ranks of an attempt so that all of them run or none does. Imported by the shim: standard library only.

Each rank is forked, shut in, finds its command, says "ready" and waits. Only when every rank is ready are they let go; `exec`
closes the pipe on which a late failure would be told."""
# ruff: noqa: PTH113
# (pathlib costs the shim 3 ms at every start)

from __future__ import annotations

import contextlib
import errno
import os
import signal

from dure.backends.local import cgroups, sandbox

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs every start of a shim 3 ms
    from typing import Any, NoReturn

READY, MISSING = b"ready\n", b"missing\n"
NO_SUCH_COMMAND, NOT_EXECUTABLE = 127, 126  # exit codes, as shells give them
# What the shim handles itself and what Python ignores: a command starts with the defaults.
RESET = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)


class Gang:
    """The forked ranks, before and after they are let go."""

    def __init__(self) -> None:
        self.ranks: dict[int, int] = {}  # pid -> rank
        self._told: dict[int, int] = {}  # rank -> pipe on which it speaks
        self._go, self._let_go = os.pipe()

    def fork(self, order: dict[str, Any], folder: str, parent: int, group: cgroups.Group | None) -> str:
        """Fork every rank and wait until each is ready: "" when all are, else what the first one lacks ("missing: ..." for a
        command that is not there, "error: ..." for anything else); then none of them runs. parent: what the shim's pid is to a
        rank, 0 in a PID namespace (there the init's death does what the parent's death does elsewhere). group: what they
        become members of, before any of them is let go."""
        for rank, worker in enumerate(order["workers"]):
            told, tell = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(self._let_go)
                _be_rank(order, worker, f"{folder}/log.{rank}", (self._go, tell), parent)
            os.close(tell)
            self.ranks[pid], self._told[rank] = rank, told
        if group is not None and (fault := _admit(group, list(self.ranks))):
            self._abandon()
            return fault
        for rank in sorted(self._told):
            said = _read_line(self._told[rank])
            if said != READY:
                self._abandon()
                return f"missing: rank {rank}" if said == MISSING else f"error: rank {rank}: {said.decode(errors='replace')}"
        return ""

    def let_go(self) -> dict[int, int]:
        """Let all ranks execute their commands: rank -> errno of those that could not."""
        os.write(self._let_go, b"!" * len(self.ranks))
        self._close_go()
        failed = {}
        for rank, told in self._told.items():
            said = _read_line(told)
            os.close(told)
            if said:
                failed[rank] = int(said)
        return failed

    def _abandon(self) -> None:
        self._close_go()
        for told in self._told.values():
            os.close(told)

    def _close_go(self) -> None:
        os.close(self._go)
        os.close(self._let_go)


def _admit(group: cgroups.Group, pids: list[int]) -> str:
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it has found no command, and says so
                group.admit(pid)
    except OSError as fault:
        return f"error: {fault}"
    return ""


def as_user(plan: dict[str, Any], folder_fd: int) -> None:
    """Become the job's user in a folder given by descriptor, without a mount namespace (for unpacking)."""
    sandbox.enter({**plan, "level": "uid"})
    os.fchdir(folder_fd)


def be_fresh(shim: int) -> None:
    """What a fork of the shim undoes first: its signals, its lock (else a stuck child would look like a living shim)."""
    with contextlib.suppress(OSError):
        os.close(3)
    signal.set_wakeup_fd(-1)
    for number in RESET:
        signal.signal(number, signal.SIG_DFL)
    os.setpgid(0, 0)
    sandbox.die_with_parent(shim, signal.SIGKILL)


def _be_rank(order: dict[str, Any], worker: dict[str, Any], log: str, pipes: tuple[int, int], shim: int) -> NoReturn:
    go, tell = pipes
    try:
        be_fresh(shim)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sandbox.set_limits(order["processes_max"])
        sandbox.set_precedence([cpu for cpu, _ in order["cpus"]])
        sandbox.enter(order["sandbox"])
        sandbox.die_with_parent(shim, signal.SIGKILL)
        os.chdir(order["cwd"])
        _become_command(order["command"], worker["env"], go, tell)
    except BaseException as fault:
        with contextlib.suppress(OSError):
            os.write(tell, f"{type(fault).__name__}: {fault}".replace("\n", " ").encode())
    os._exit(NOT_EXECUTABLE)


def _become_command(command: list[str], env: dict[str, str], go: int, tell: int) -> NoReturn:
    path = _find(command[0], env.get("PATH", os.defpath))
    if not path:
        os.write(tell, MISSING)
        os._exit(NO_SUCH_COMMAND)
    os.write(tell, READY)
    if not os.read(go, 1):
        os._exit(NOT_EXECUTABLE)  # another rank was not ready
    try:
        os.execve(path, command, env)
    except OSError as fault:
        os.write(tell, str(fault.errno).encode())
        os._exit(NO_SUCH_COMMAND if fault.errno == errno.ENOENT else NOT_EXECUTABLE)


def _find(command: str, path: str) -> str:
    """The file that a command names: by PATH unless it holds a slash. Found although not executable: exec will say so."""
    if "/" in command:
        return command if os.path.isfile(command) else ""
    files = [f"{folder}/{command}" for folder in path.split(":") if folder and os.path.isfile(f"{folder}/{command}")]
    return next((f for f in files if os.access(f, os.X_OK)), files[0] if files else "")


def _read_line(fd: int) -> bytes:
    data = b""
    while not data.endswith(b"\n") and (more := os.read(fd, 4096)):
        data += more
    return data
