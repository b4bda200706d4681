"""What `describe()["limits"]` says about each bound, exactly as it holds at the level and with the controllers in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dure.backends.local import cpus, isolation
from dure.backends.local.cgroups import Place, is_useful
from dure.backends.local.isolation import Isolation
from dure.backends.local.settings import DAY_MS, LocalSettings

# How complete the end of an attempt is, without a cgroup and with one.
KILL: Mapping[str, str] = {
    isolation.NAMESPACE: "complete: the kernel ends the attempt's PID namespace at one stroke, also when the shim dies",
    isolation.UID: "process groups and processes until none is left; after 2 s everything of the project's user on this machine; "
    "when the shim is killed, only what kept its environment is found",
    isolation.NONE: "best effort: process groups and processes until none is left; a program that forks and leaves its group "
    "without pause may evade it; when the shim is killed, only what kept its environment is found",
}
KILL_GROUP: Mapping[str, str] = {
    isolation.NAMESPACE: KILL[isolation.NAMESPACE] + "; its cgroup too",
    isolation.UID: "complete: the kernel ends the attempt's cgroup at one stroke; when the shim dies, by the agent",
    isolation.NONE: "the kernel ends the attempt's cgroup at one stroke; a hostile program may leave it",
}
MEMORY = (
    "watchdog, twice a second, over the whole attempt, memfd included; "
    "not seen: kernel buffers, memory files that are open nowhere but in an unread message"
)
SHARED_WITH_MACHINE = "the machine's: what no process maps in /dev/shm and in IPC segments is neither counted nor removed"
SHARED: Mapping[str, str] = {
    isolation.NAMESPACE: "the attempt's own, ends with it: /dev/shm is bounded by the kernel and counted, IPC segments counted",
    isolation.UID: SHARED_WITH_MACHINE,
    isolation.NONE: SHARED_WITH_MACHINE,
}


def describe(settings: LocalSettings, level: Isolation, groups: Place) -> Mapping[str, Any]:
    used = groups if is_useful(groups, level.level == isolation.NAMESPACE) else Place()
    return {
        "wall": "enforced by the shim's monotonic clock",
        "kill": (KILL_GROUP if used.base else KILL)[level.level],
        "memory": "the kernel, by cgroup, swap included" if "memory" in groups.controllers else MEMORY,
        "shared_memory": SHARED[level.level],
        "processes": _processes(settings, level, groups),
        "log_bytes": settings.log_bytes_max,
        "bundle_bytes": settings.bundle_bytes_max,
        "bundle_ms": settings.bundle_ms_max,
        "cores": _cores(settings, groups),
        "devices": "advisory (visible-devices variables)",
        "cgroup": used.base or f"none: {groups.why}",
        "cgroup_why": groups.why,
        "cgroup_controllers": list(groups.controllers),
        "kept_days": settings.keep_ms / DAY_MS if settings.keep_ms % DAY_MS else settings.keep_ms // DAY_MS,
        "kept_bytes": settings.keep_bytes_max,
    }


def _processes(settings: LocalSettings, level: Isolation, groups: Place) -> str:
    by = [f"{settings.processes_max} for each project on this machine"] if level.level != isolation.NONE else []
    by += [f"{settings.processes_max} for each attempt, by cgroup"] if "pids" in groups.controllers else []
    return "; ".join(by) or "not bounded: jobs have no user of their own"


def _cores(settings: LocalSettings, groups: Place) -> str:
    threads = "thread counts in the environment"
    if not cpus.pins(settings, cpus.allowed()):
        weighed = "; a share by cgroup when cores are short" if "cpu" in groups.controllers else ""
        return f"advisory: {threads}{weighed}"
    if "cpuset" in groups.controllers or "cpu" in groups.controllers:
        return f"the kernel, by cgroup; CPUs of its own, {threads}"
    return f"CPUs of its own, {threads}; a hostile program may take others"
