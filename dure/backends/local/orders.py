"""From a LaunchOrder to a prepared attempt folder: checked, its places made, its `order.json` written."""

from __future__ import annotations

import os
import re
import shlex
import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dure.backends.local import cgroups, files, isolation
from dure.backends.local.environment import SYSTEM_PATH, worker_env
from dure.backends.local.isolation import Isolation, Places
from dure.backends.local.settings import LocalSettings
from dure.model.workload import WHOLE_MILLI
from dure.ports import LaunchOrder

FORMAT = 1  # of order.json; a shim reads only what the same release wrote, the driver reads also what an older one did
INHERIT_MS_MAX = 300_000  # to copy an origin's checkpoint: as long as a bundle may take to unpack
INHERIT_ENTRIES_MAX = 100_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def fault_of(order: LaunchOrder, settings: LocalSettings, devices: int) -> str:
    """Why this order cannot be launched here, as a machine word; "" when it can."""
    indices = [d for w in order.workers for d in w.devices]
    checks = {
        "bad_id": all(map(is_name, (order.attempt, order.workload))),
        "no_command": bool(order.spec.command) and all("\0" not in word for word in order.spec.command),
        "no_limit": order.limit_ms > 0,
        "workers_mismatch": len(order.workers) == max(1, order.spec.workers),
        "unknown_node": all(w.node.rpartition("/")[2] == settings.node for w in order.workers),
        "unknown_device": all(0 <= d < devices for d in indices) and _apart(indices, order.spec.demand.share_milli),
        "bad_env": all(_is_env(k, v) for k, v in (*order.spec.env.items(), *order.env.items())),
        "bad_bundle": not order.bundle_path or os.access(order.bundle_path, os.R_OK),
    }
    return next((word for word, fine in checks.items() if not fine), "")


def _apart(indices: list[int], share_milli: int) -> bool:
    """Whether no device is given to more workers than it has room for."""
    return all(count * (share_milli or WHOLE_MILLI) <= WHOLE_MILLI for count in Counter(indices).values())


def is_name(text: str) -> bool:
    """Fit to be the name of a folder: ids come from the plane, but a path must not depend on trust."""
    return NAME.fullmatch(text) is not None


def _is_env(name: str, value: str) -> bool:
    return bool(name) and "=" not in name and "\0" not in name + value


def places_of(settings: LocalSettings, workload: str, attempt: str) -> Places:
    return Places(settings.root / "workloads" / workload, settings.root / "tmp" / attempt)


def cores_milli(order: LaunchOrder) -> int:
    """Of the whole attempt, all its workers together."""
    return order.spec.demand.cores_milli * len(order.workers)


def shim_order(
    order: LaunchOrder, settings: LocalSettings, level: Isolation, groups: cgroups.Place, cpus: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """Make the places of the attempt and say everything that its shim must know. cpus: (CPU, thousandths of it), [] for any.
    Raises OSError."""
    uid = isolation.project_uid(settings, order.project) if level.level != isolation.NONE else None
    places = places_of(settings, order.workload, order.attempt)
    isolation.make_places(places, uid)
    _note_project(places.workload, order.project)
    tmp = "/tmp" if level.level == isolation.NAMESPACE else str(places.tmp)
    port = _free_port() if len(order.workers) > 1 else 0
    path = job_path(settings)
    memory_mib = order.spec.demand.memory_mib * len(order.workers)
    return {
        "format": FORMAT,
        "attempt": order.attempt,
        "epoch": order.epoch,
        "workload": order.workload,
        "project": order.project,
        "retries": order.spec.retries,
        "command": list(order.spec.command),
        "cwd": str(places.workload / "work"),
        "workload_folder": str(places.workload),
        "checkpoint_folder": str(places.workload / "checkpoint"),
        "workers": [
            {"env": worker_env(order, rank, workload_folder=places.workload, tmp=tmp, path=path,
                               vendor=settings.accelerator_vendor, master_port=port)}
            for rank in range(len(order.workers))
        ],
        "limit_ms": order.limit_ms,
        "grace_ms": order.spec.grace_ms,
        "memory_mib": memory_mib,
        "cpus": [list(pair) for pair in cpus],
        "cgroup": groups.plan(order.attempt, memory_mib=memory_mib, processes_max=settings.processes_max,
                              cores_milli=cores_milli(order), cpus=[cpu for cpu, _ in cpus])
                  if cgroups.is_useful(groups, level.level == isolation.NAMESPACE) else None,
        "log_bytes_max": settings.log_bytes_max,
        "evidence_ms": settings.evidence_ms,
        "processes_max": settings.processes_max if uid is not None else 0,
        "bundle": _bundle(order, settings),
        "inherit": _inherit(order, settings),
        "sandbox": isolation.sandbox_plan(settings, level, uid, places),
    }  # fmt: skip


def _bundle(order: LaunchOrder, settings: LocalSettings) -> dict[str, Any] | None:
    if not order.bundle_path:
        return None
    bounds = {"bytes_max": settings.bundle_bytes_max, "files_max": settings.bundle_files_max, "ms_max": settings.bundle_ms_max}
    return {"path": order.bundle_path, **bounds}


def _note_project(workload: Path, project: str) -> None:
    """Whose the folder is, for who wants to go on from its checkpoint. A note torn by a power cut is replaced."""
    note = workload / "project"
    if not note.exists() or note.read_text(errors="replace") != project:
        note.write_text(project)


def _inherit(order: LaunchOrder, settings: LocalSettings) -> dict[str, Any] | None:
    """What to begin with, where there is a checkpoint of the origin here: of the same project, whoever asks for another's."""
    if order.spec.checkpoint_interval_ms <= 0 or not is_name(order.origin) or order.origin == order.workload:
        return None
    origin = places_of(settings, order.origin, order.attempt).workload
    try:
        if (origin / "project").read_text(errors="replace") != order.project or not any((origin / "checkpoint").iterdir()):
            return None
    except OSError:
        return None  # never here, or swept
    bounds = {"bytes_max": settings.keep_bytes_max, "entries_max": INHERIT_ENTRIES_MAX, "ms_max": INHERIT_MS_MAX}
    return {"from": str(origin / "checkpoint"), **bounds}


def _free_port() -> int:
    """A port that is free now. Another program may take it before the gang does: then the gang fails and its owner sees why."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def job_path(settings: LocalSettings) -> str:
    return f"{Path(settings.python).parent}:{settings.root / 'bin'}:{SYSTEM_PATH}"


def make_python_command(settings: LocalSettings) -> None:
    """See to it that "python" is found: where the interpreter has only another name (python3), a two-line script calls it.
    Not a link: an interpreter called through a link from elsewhere would not find its virtual environment."""
    if (Path(settings.python).parent / "python").exists():
        return
    folder = settings.root / "bin"
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    script = folder / f".python.{os.getpid()}"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(settings.python)} "$@"\n')
    script.chmod(0o755)
    script.rename(folder / "python")


def prepare(folder: Path, plain: dict[str, Any]) -> int | None:
    """Fill a new folder with what a shim needs, and take its lock (the open file is returned). Raises OSError."""
    folder.mkdir(mode=0o700)
    lock = files.try_lock(str(folder / "lock"))
    try:
        os.mkfifo(folder / "wake", 0o600)
        files.reserve(str(folder / "exit.tmp"))
        files.reserve(str(folder / "stop.kept"))
        files.write_record(str(folder / "order.json"), plain)
    except BaseException:
        if lock is not None:
            os.close(lock)
        raise
    return lock
