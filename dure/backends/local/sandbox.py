"""Shutting a process in: namespaces of its own, an unprivileged user, no way back. Linux only, by ctypes.

Imported by the shim: standard library only. Everything here acts on the calling process, most of it between fork and exec."""
# ruff: noqa: PTH103, PTH208
# (pathlib costs the shim 3 ms at every start)

from __future__ import annotations

import contextlib
import ctypes
import os
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs every start of a shim 3 ms
    from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID = 0x00020000, 0x08000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 8, 32, 4096, 16384
MS_PRIVATE, MS_SLAVE = 1 << 18, 1 << 19
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
NOFILE_MAX = 65_536  # data loaders and gang libraries open many sockets and files
OOM_SCORE = 500  # when the machine itself runs out of memory: a job before the farm and the system's services
KEYCTL_JOIN_SESSION_KEYRING = 1
# The number of keyctl(2) by machine; elsewhere the farm's keyring is left as it is.
KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219}
SHM_FILES_MAX = 65_536  # each costs the kernel about a KiB that the size of the folder does not count


def new_space(shm: str, shm_mib: int) -> None:
    """Give the children that this process forks from now on a PID namespace, and itself and them an IPC namespace and a view of
    mounts of their own, in which `shm` holds shared memory of at most `shm_mib`. All of it goes with its last process.

    The first child is the namespace's init: when it dies, the kernel kills all others and lets none be born. Raises OSError."""
    _check(_LIBC.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID), "unshare")
    _mount("none", "/", "", MS_REC | MS_SLAVE)  # not private: what the operator unmounts must not stay in use here
    _mount("dure-shm", shm, "tmpfs", MS_NOSUID | MS_NODEV, f"size={max(1, shm_mib)}m,nr_inodes={SHM_FILES_MAX},mode=1777")


def enter(plan: dict[str, Any]) -> None:
    """Apply a plan made by `isolation.sandbox_plan` for good. Raises OSError, after which the process must not go on.

    covers: [path, source]: hide `path` behind an empty folder, or behind `source`; binds: [path, read_only]: what stays visible
    inside covers; uid: become this user (None: stay)."""
    if plan["level"] == "namespace+uid":
        _private_mounts(plan["covers"], plan["binds"])
        _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)  # of the PID namespace: a job sees itself only
    os.umask(0o077)
    if plan["uid"] is not None:
        os.setgroups([])
        os.setresgid(plan["uid"], plan["uid"], plan["uid"])
        os.setresuid(plan["uid"], plan["uid"], plan["uid"])
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def set_limits(processes_max: int) -> None:
    """No core files; as many open files as the machine allows, up to NOFILE_MAX; processes and threads of the user that this
    process becomes next (0: as the machine allows). The kernel does not hold root to the last one."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = NOFILE_MAX if hard == resource.RLIM_INFINITY else min(hard, NOFILE_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if processes_max:
        resource.setrlimit(resource.RLIMIT_NPROC, (processes_max, processes_max))


def set_precedence(cpus: list[int]) -> None:
    """How this process stands to others: on these CPUs only ([]: any), never before its neighbours or the farm, whatever the
    farm was started with, and without the farm's keys. What the machine refuses is left: it is no reason not to run."""
    with contextlib.suppress(OSError):  # a cpuset that has shrunk meanwhile
        if cpus:
            os.sched_setaffinity(0, cpus)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(max(0, -os.nice(0)))
    for limit in (resource.RLIMIT_RTPRIO, resource.RLIMIT_NICE):
        resource.setrlimit(limit, (0, 0))
    with contextlib.suppress(OSError):
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(OOM_SCORE).encode())
        finally:
            os.close(fd)
    number = KEYCTL.get(os.uname().machine)
    if number is not None:
        _LIBC.syscall(ctypes.c_long(number), ctypes.c_long(KEYCTL_JOIN_SESSION_KEYRING), None)


def close_above(kept: int, *others: int) -> None:
    """Close every descriptor above `kept` but `others`."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > kept and int(name) not in others:
            with contextlib.suppress(OSError):  # the descriptor of this very listing is gone already
                os.close(int(name))


def die_with_parent(parent: int, number: int) -> None:
    """Have the kernel send `number` when the parent goes. Forgotten by the kernel on a change of user, so call it again then."""
    prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def prctl(option: int, value: int) -> None:
    _check(_LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def _private_mounts(covers: list[list[str]], binds: list[list[Any]]) -> None:
    """Covers and binds in order of depth, so that what is deeper lies on what is higher. Sources are opened before
    anything is covered: afterwards their paths may lead nowhere."""
    _check(_LIBC.unshare(CLONE_NEWNS), "unshare")
    _mount("none", "/", "", MS_REC | MS_PRIVATE)
    os.umask(0o022)  # folders made below covers must be open to the job's user
    steps = [(path, source, True) for path, source in covers] + [(path, "ro" if ro else "rw", False) for path, ro in binds]
    sources = {p: os.open(s if cover else p, os.O_PATH | os.O_CLOEXEC) for p, s, cover in steps if not cover or s}
    for path, how, cover in sorted(steps, key=lambda step: (step[0].count("/"), step[0])):
        os.makedirs(path, exist_ok=True)
        if cover and not how:
            _mount("dure", path, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
            continue
        _mount(f"/proc/self/fd/{sources[path]}", path, "", MS_BIND | (0 if cover else MS_REC))
        if how == "ro" and not cover:
            _mount("none", path, "", MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
    for fd in sources.values():
        os.close(fd)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    done = _LIBC.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _check(done, f"mount {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
