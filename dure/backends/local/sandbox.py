"""Shutting a process in: a mount namespace of its own, an unprivileged user, no way back. Linux only, by ctypes.

Imported by the shim: standard library only. Everything here acts on the calling process, between fork and exec."""
# ruff: noqa: PTH103
# (pathlib costs the shim 3 ms at every start)

from __future__ import annotations

import ctypes
import os
import resource
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE, MS_NOSUID, MS_NODEV = 1, 32, 4096, 16384, 1 << 18, 2, 4
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
NOFILE_MAX = 65_536  # data loaders and gang libraries open many sockets and files


def enter(plan: dict[str, Any]) -> None:
    """Apply a plan made by `isolation.sandbox_plan` for good. Raises OSError, after which the process must not go on.

    covers: [path, source]: hide `path` behind an empty folder, or behind `source`; binds: [path, read_only]: what stays visible
    inside covers; uid: become this user (None: stay)."""
    if plan["level"] == "namespace+uid":
        _private_mounts(plan["covers"], plan["binds"])
    os.umask(0o077)
    if plan["uid"] is not None:
        os.setgroups([])
        os.setresgid(plan["uid"], plan["uid"], plan["uid"])
        os.setresuid(plan["uid"], plan["uid"], plan["uid"])
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def set_limits() -> None:
    """No core files; as many open files as the machine allows, up to NOFILE_MAX."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = NOFILE_MAX if hard == resource.RLIM_INFINITY else min(hard, NOFILE_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


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
