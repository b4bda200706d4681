"""What `describe()["limits"]` says about each bound, exactly as it holds at the level that is in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dure.backends.local import isolation
from dure.backends.local.isolation import Isolation
from dure.backends.local.settings import LocalSettings

# How complete the end of an attempt is.
KILL: Mapping[str, str] = {
    isolation.NAMESPACE: "complete: the kernel ends the attempt's PID namespace at one stroke, also when the shim dies",
    isolation.UID: "process groups and processes until none is left; after 2 s everything of the project's user on this machine; "
    "when the shim is killed, only what kept its environment is found",
    isolation.NONE: "best effort: process groups and processes until none is left; a program that forks and leaves its group "
    "without pause may evade it; when the shim is killed, only what kept its environment is found",
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


def describe(settings: LocalSettings, level: Isolation) -> Mapping[str, Any]:
    own_user = level.level != isolation.NONE
    return {
        "wall": "enforced by the shim's monotonic clock",
        "kill": KILL[level.level],
        "memory": MEMORY,
        "shared_memory": SHARED[level.level],
        "processes": settings.processes_max if own_user else "not bounded: jobs have no user of their own",
        "log_bytes": settings.log_bytes_max,
        "bundle_bytes": settings.bundle_bytes_max,
        "cores": "advisory (OMP_NUM_THREADS)",
        "devices": "advisory (visible-devices variables)",
    }
