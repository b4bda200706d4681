"""What an operator may say about the machine. Read from nowhere: `bootstrap` fills it in."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30
DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """root: absolute folder of this backend, in which nobody else writes. farm_folder: what no job may see (None: root)."""

    root: Path
    farm_folder: Path | None = None
    node: str = "node"
    pool: str = "default"
    block: str = ""  # topology block of the site in which this machine stands; "": in none
    cores_milli: int = 0  # 0: as many as this process may use
    memory_mib: int = 0  # 0: what the machine has, less memory_kept_mib
    memory_kept_mib: int = 512  # for the farm itself and the system
    accelerator: str = ""  # catalogue name; "": as nvidia-smi says, if it is there
    accelerator_vendor: str = "nvidia"  # nvidia, amd, huawei, rebellions, furiosa: names the visible-devices variable
    devices: int = 0  # counts only where `accelerator` is given
    # Several jobs may be on one device, each with a share of it, which is told to them and to CUDA's MPS where it runs: nothing
    # here keeps one from taking more.
    device_shares: bool = False
    device_mw: int = 0  # 0: as nvidia-smi says
    # Assumed: a 64-core server processor of 360 W (such as AMD EPYC 9554, its data sheet's TDP) is 5.6 W a core; with its share
    # of memory 6 W. A model, not a measurement.
    core_mw: int = 6_000
    idle_mw: int = 0  # of the machine with nothing to do; 0: by the catalogue, for types that it knows
    python: str = sys.executable  # what "python" means to a job
    # One unprivileged user and group a project, from [uid_base, uid_base + uid_range). Two farms on one machine need two ranges.
    uid_base: int = 200_000
    uid_range: int = 100_000
    # Shown to jobs, read-only, although they lie below a folder that only the farm's user may enter (data sets, say).
    readable: tuple[Path, ...] = ()
    log_bytes_max: int = 64 << 20  # per rank
    bundle_bytes_max: int = 2 * GIB  # unpacked
    bundle_files_max: int = 20_000
    bundle_ms_max: int = 300_000  # to unpack it: 2 GiB take about 20 s
    # Processes and threads of one project on this machine, all its jobs together: far more than training needs, far fewer than
    # the 32,768 process numbers of a small machine. Where jobs have no user of their own it does not hold.
    processes_max: int = 4096
    # Each attempt is given CPUs of its own to run on. Off: jobs may use every CPU of this process.
    cpu_affinity: bool = True
    cgroups: str = "auto"  # "auto": where the machine allows it; "off"; or the folder of a delegated cgroup v2
    # What ended attempts leave (log, evidence, work, checkpoint, out). 0: without a bound.
    keep_ms: int = 7 * DAY_MS
    keep_resumable_ms: int = 30 * DAY_MS  # of work that was preempted or lost, whose checkpoint may still be wanted
    keep_bytes_max: int = 50 * GIB
    keep_attempts_max: int = 10_000  # each costs a look at every sweep
    evidence_ms: int = 5_000  # between two notes of what an attempt has used: what a dead shim may cost the farm

    @property
    def hidden(self) -> Path:
        return self.farm_folder if self.farm_folder is not None else self.root
