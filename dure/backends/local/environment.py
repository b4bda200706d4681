"""The environment of a job: made from nothing, so that nothing of the farm's own leaks into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dure.backends.local.cpus import CORE, allowed
from dure.ports import LaunchOrder

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"

# vendor → variables that its runtime reads to learn which devices it may use.
VISIBLE_DEVICES: Mapping[str, tuple[str, ...]] = {
    "nvidia": ("CUDA_VISIBLE_DEVICES",),
    "amd": ("ROCR_VISIBLE_DEVICES",),
    "huawei": ("ASCEND_RT_VISIBLE_DEVICES",),
    "rebellions": ("RBLN_VISIBLE_DEVICES", "RBLN_DEVICES"),
    "furiosa": ("FURIOSA_DEVICES",),
}
# What numerical libraries read to learn how many threads to start; without it, one for each CPU of the machine. All of them know
# the first, but each goes by its own where that is set: so where a job names only the first, all follow it.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# How one device is written; most take its index.
DEVICE_WORD: Mapping[str, Callable[[int], str]] = {"furiosa": lambda index: f"npu:{index}"}


def worker_env(
    order: LaunchOrder, rank: int, *, workload_folder: Path, tmp: str, path: str, vendor: str, master_port: int
) -> dict[str, str]:
    """Everything that rank `rank` finds in its environment. What the job asked for goes before the defaults; who it is, where it
    sits and which devices it has goes before what it asked for. master_port: of gangs; 0 for a single worker."""
    return {
        **_defaults(order, workload_folder, tmp, path),
        **order.spec.env,
        **order.env,
        **_identity(order, rank, workload_folder),
        **(_gang(order, rank, master_port) if len(order.workers) > 1 else {}),
        **visible_devices(vendor, order.workers[rank].devices),
        **_share(order.spec.demand.share_milli),
    }


def _defaults(order: LaunchOrder, workload_folder: Path, tmp: str, path: str) -> dict[str, str]:
    user = f"dure-{order.project}"
    many = min(max(1, -(-order.spec.demand.cores_milli // CORE)), len(allowed()))
    threads = {**order.spec.env, **order.env}.get(THREADS[0], str(many))
    return {
        "PATH": path,
        "HOME": str(workload_folder / "work"),
        "USER": user,
        "LOGNAME": user,
        "LANG": "C.UTF-8",
        "TMPDIR": tmp,
        **dict.fromkeys(THREADS, threads),
        "PYTHONUNBUFFERED": "1",  # logs are followed live, and a killed job has said what it printed
    }


def _identity(order: LaunchOrder, rank: int, workload_folder: Path) -> dict[str, str]:
    return {
        "DURE_WORKLOAD": order.workload,
        "DURE_ATTEMPT": order.attempt,
        "DURE_PROJECT": order.project,
        "DURE_ARRAY_INDEX": str(order.array_index),
        "DURE_WORKER": str(rank),
        "DURE_WORKERS": str(len(order.workers)),
        "DURE_CHECKPOINT_DIR": str(workload_folder / "checkpoint"),
        "DURE_OUTPUT_DIR": str(workload_folder / "out"),
        "DURE_LIMIT_MS": str(order.limit_ms),
    }


def _gang(order: LaunchOrder, rank: int, master_port: int) -> dict[str, str]:
    """The variables that torchrun sets, for one node that holds all ranks."""
    size = str(len(order.workers))
    return {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(master_port),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": size,
        "LOCAL_WORLD_SIZE": size,
    }


def _share(milli: int) -> dict[str, str]:
    """How much of its device a worker may use. CUDA keeps to it where an MPS server runs; elsewhere that is up to the job."""
    percent = max(1, milli // 10)
    return {"DURE_DEVICE_SHARE": f"{milli / 1000:g}", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(percent)} if milli else {}


def visible_devices(vendor: str, devices: tuple[int, ...]) -> dict[str, str]:
    """The vendor's variables name the devices; every other vendor's are empty, so that a job without devices sees none.

    That asks the runtimes; it does not keep a hostile job from opening a device file that its user may open."""
    word = DEVICE_WORD.get(vendor, str)
    named = ",".join(word(d) for d in devices)
    return {name: named if owner == vendor else "" for owner, names in VISIBLE_DEVICES.items() for name in names}
