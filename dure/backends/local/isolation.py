"""How far jobs are kept from the farm and from each other on this machine, found out by trying, never assumed.

Levels, strongest first; the first whose trial run succeeds is in force, and `describe()["isolation"]` names it:

* ``namespace+uid``: every rank runs as an unprivileged user of its project, in a mount namespace in which the farm's folder is
  covered (but for the workload's own), /tmp, /var/tmp and /dev/shm are the attempt's, and a folder that only the farm's user may
  enter (such as /root) shows nothing but the Python installation, read-only. All ranks of an attempt share one PID and one IPC
  namespace: they see no other processes, and the kernel ends all of them at once. Needs root and the right to mount.
* ``uid``: the same user, without the namespace: the farm's folder is guarded by its mode. Needs root, and a Python and a farm
  folder that other users can reach.
* ``none: why``: jobs run as the farm's own user and can do what it can. When the farm does not run as root, or
  neither trial succeeded.

None of them protects against a hole in the kernel, against use of the network, or against device files that everybody may open;
only the first one keeps a job from seeing that other processes exist.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dure
from dure.backends.local import files
from dure.backends.local.settings import LocalSettings

NAMESPACE, UID, NONE = "namespace+uid", "uid", "none"
TMP_FOLDERS = ("/tmp", "/var/tmp")
SHM_FOLDER = "/dev/shm"
TRIAL_S = 30  # far above the 0.1 s that it takes: a slow disk is no reason to isolate less
PACKAGE_ROOT = str(Path(dure.__file__).resolve().parent.parent)
BOOT = "import sys; sys.path.append(sys.argv[1]); from dure.backends.local.{module} import main; main()"
# A shim needs nothing of the farm's environment; PATH is for tools that libc may look for.
SHIM_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Isolation:
    """level: namespace+uid, uid or none. why: what stood in the way of a stronger one, "" for the strongest."""

    level: str
    why: str = ""

    def __str__(self) -> str:
        return f"none: {self.why}" if self.level == NONE else self.level


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one attempt. shm: where the shim mounts its shared memory, out of everybody else's sight."""

    workload: Path
    tmp: Path

    @property
    def shm(self) -> Path:
        return self.tmp.parent.parent / "shm" / self.tmp.name


def python_command(module: str, *arguments: str) -> list[str]:
    """A bare interpreter (no environment, no site packages) that runs `main` of a module of this backend."""
    return [sys.executable, "-I", "-S", "-c", BOOT.format(module=module), PACKAGE_ROOT, *arguments]


def decide(settings: LocalSettings) -> Isolation:
    """Try the levels, strongest first. Takes about 0.1 s as root, nothing otherwise."""
    if os.geteuid() != 0:
        return Isolation(NONE, "the farm does not run as root")
    faults: list[str] = []
    for level in (NAMESPACE, UID):
        fault = _trial(settings, level)
        if not fault:
            return Isolation(level, "; ".join(faults))
        faults.append(f"{level}: {fault}")
    return Isolation(NONE, "; ".join(faults))


def _trial(settings: LocalSettings, level: str) -> str:
    """Run the job's Python as a job would run it: "" when that works and the farm's folder cannot be read, else what failed."""
    uid = settings.uid_base + settings.uid_range  # belongs to no project
    try:
        places = Places(settings.root / "workloads" / ".trial", settings.root / "tmp" / ".trial")
        make_places(places, uid)
        (places.workload / "work" / "trial").unlink(missing_ok=True)  # of another user, if uid_base was another one
        plan = sandbox_plan(settings, Isolation(level), uid, places)
        order = {"sandbox": plan, "cwd": str(places.workload / "work"), "forbidden": _forbidden(settings, Isolation(level))}
        order["command"] = [settings.python, "-c", "import json, ssl"]
        command = python_command("trial", json.dumps(order))
        done = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_S, env=SHIM_ENV, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as fault:
        return str(fault)
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"


def _forbidden(settings: LocalSettings, isolation: Isolation) -> list[str]:
    """What a job must not be able to list or read: other people's attempts, and what lies in the farm's folder now, but for
    the ways that lead to what it may see."""
    shown = [*_readable(settings), str(settings.root / "workloads"), str(settings.root / "tmp")]
    inside = [str(p) for p in settings.hidden.iterdir() if not any(_is_below(s, str(p)) for s in shown)]
    listed = [str(settings.hidden), str(settings.root)] if isolation.level == UID else []
    return [str(settings.root / "attempts"), *inside, *listed]


def sandbox_plan(settings: LocalSettings, isolation: Isolation, uid: int | None, places: Places) -> dict[str, Any]:
    """What `sandbox.enter` is to do for a rank."""
    plan: dict[str, Any] = {"level": isolation.level, "uid": uid if isolation.level != NONE else None, "covers": [], "binds": []}
    if isolation.level != NAMESPACE:
        return plan
    shown = [(path, True) for path in _readable(settings)] + [(str(places.workload), False)]
    shut = {first for path, _ in shown if (first := _first_shut(path))}
    hidden = {os.path.realpath(settings.hidden), os.path.realpath(settings.root)}
    tmp = [path for path in TMP_FOLDERS if Path(path).is_dir()]
    own = {**dict.fromkeys(tmp, str(places.tmp)), **({SHM_FOLDER: str(places.shm)} if Path(SHM_FOLDER).is_dir() else {})}
    own.update(dict.fromkeys(sorted((shut | hidden) - set(own)), ""))
    plan["covers"] = [[path, source] for path, source in own.items()]
    plan["shm"] = str(places.shm)
    # Outside covers nothing has to be shown again, and a link there still leads to the real place, which is shown.
    plan["binds"] = [[path, ro] for path, ro in shown if any(_is_below(path, cover) for cover, _ in plan["covers"])]
    return plan


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _readable(settings: LocalSettings) -> list[str]:
    """The Python installation of the jobs, at its own and at its real paths, and what the operator adds."""
    wanted = [*python_prefixes(settings.python), *map(str, settings.readable), str(settings.root / "bin")]
    every = {p for path in wanted for p in (os.path.abspath(path), os.path.realpath(path))}  # noqa: PTH100 - links kept
    return sorted(p for p in every if Path(p).is_dir() and p not in ("/", "/usr", "/usr/local"))


@cache
def python_prefixes(python: str) -> tuple[str, ...]:
    """The folders that this interpreter loads from: its prefixes, and those that its links lead through."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix}
    if Path(python) != Path(sys.executable):
        ask = "import sys; print(sys.prefix, sys.base_prefix, sys.exec_prefix, sep='\\n')"
        prefixes = set(subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True, check=True).stdout.split("\n"))
    hop = Path(python)
    while hop.is_symlink():
        hop = hop.parent / hop.readlink()
        # Only what looks like an installation: the folder above ~/bin would be somebody's whole home.
        if any((hop.parent.parent / "lib").glob("python3*")):
            prefixes.add(str(hop.parent.parent))
    return tuple(sorted(prefixes - {""}))


def _first_shut(path: str) -> str:
    """The highest folder on the way to `path` that other users may not enter; "" when the way is open."""
    for parent in (*reversed(Path(path).parents), Path(path)):
        if not parent.stat().st_mode & 0o001:
            return str(parent) if parent != Path(path) else ""
    return ""


def make_places(places: Places, uid: int | None) -> None:
    """The folders of a workload and of an attempt's temporary files. The workload's own folder stays the farm's, so that a job
    cannot replace `work` by a link to where the farm would then change owners."""
    for folder in (places.workload.parent.parent, places.workload.parent, places.tmp.parent, places.shm.parent, places.workload):
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        if uid is not None:
            folder.chmod(0o711)
    places.shm.mkdir(mode=0o700, exist_ok=True)
    for folder in (places.workload / "work", places.workload / "checkpoint", places.workload / "out", places.tmp):
        folder.mkdir(mode=0o700, exist_ok=True)
        if uid is not None and folder.stat().st_uid != uid:
            os.chown(folder, uid, uid, follow_symlinks=False)


def project_uid(settings: LocalSettings, project: str) -> int:
    """The user of a project, the same for ever: by hash (so that farms on one machine mostly agree), moved on when it is taken.

    Kept in `<root>/uids.json` under a lock, so that two agents never give one number to two projects. Raises OSError."""
    path = str(settings.root / "uids.json")
    with (settings.root / "uids.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = files.read_record(path)
        if known == {}:
            raise OSError("uids.json is damaged: which user owns which project's folders is not known")
        known = known or {}
        if project not in known:
            known[project] = _free_uid(settings, project, set(known.values()))
            files.write_record(path, known)
        return int(known[project])


def _free_uid(settings: LocalSettings, project: str, taken: set[int]) -> int:
    if len(taken) >= settings.uid_range:
        raise OSError("no user number is left for another project")
    offset = int.from_bytes(hashlib.sha256(project.encode()).digest()[:8], "big")
    candidates = (settings.uid_base + (offset + step) % settings.uid_range for step in range(settings.uid_range))
    return next(uid for uid in candidates if uid not in taken)
