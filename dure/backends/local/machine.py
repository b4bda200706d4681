"""What this machine has: cores, memory, NVIDIA devices. The only place of this backend that asks the hardware."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from dure.backends.local.settings import LocalSettings
from dure.model.accelerators import idle_mw

QUERY = "index,name,power.default_limit"
SMI_TIMEOUT_S = 20  # a driver that is being loaded takes some seconds; a hung one must not hang the agent
MAKER_WORDS = {"nvidia", "geforce", "tesla", "quadro"}


@dataclass(frozen=True, slots=True)
class Accelerators:
    name: str = ""
    devices: int = 0
    device_mw: int = 0


def inventory(settings: LocalSettings, found: Accelerators) -> Mapping[str, Any]:
    """The node, as `Driver.inventory` gives it. Settings override what was found."""
    memory_mib = settings.memory_mib or max(1, (psutil.virtual_memory().total >> 20) - settings.memory_kept_mib)
    named = settings.accelerator != ""
    accelerator, devices = (settings.accelerator, settings.devices) if named else (found.name, found.devices)
    return {
        "name": settings.node,
        "pool": settings.pool,
        "block": settings.block,
        "cores_milli": settings.cores_milli or len(os.sched_getaffinity(0)) * 1000,
        "memory_mib": memory_mib,
        "accelerator": accelerator,
        "devices": devices,
        "core_mw": settings.core_mw,
        "device_mw": settings.device_mw or found.device_mw,
        "idle_mw": settings.idle_mw or idle_mw(accelerator, devices),
        "shares": settings.device_shares,
        "up": True,
    }


def find_accelerators() -> Accelerators:
    """NVIDIA devices, by nvidia-smi; none when it is not there or does not answer."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return Accelerators()
    try:
        answer = subprocess.run(
            [command, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=SMI_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return Accelerators()
    return parse_smi(answer.stdout)


def parse_smi(text: str) -> Accelerators:
    """Lines of "index, name, watts". A node has one type: of a mixed machine only the devices of the first one's type count, and
    only as far as their indices run from 0 without a gap, since index i is device i of the node."""
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines() if line.count(",") == 2]
    same = [row for row in rows if row[0].isdigit() and accelerator_name(row[1]) == accelerator_name(rows[0][1])]
    count = next((i for i, row in enumerate(same) if int(row[0]) != i), len(same))
    if count == 0:
        return Accelerators()
    return Accelerators(accelerator_name(same[0][1]), count, _milliwatts(same[0][2]))


def accelerator_name(product: str) -> str:
    """ "NVIDIA H100 80GB HBM3" → "h100"; "Tesla T4" → "t4"; "NVIDIA GeForce RTX 4090" → "rtx-4090"."""
    words = [w for w in product.lower().replace("-", " ").split() if w not in MAKER_WORDS]
    kept = words[:2] if words[:1] == ["rtx"] else words[:1]
    return "-".join(kept)


def _milliwatts(text: str) -> int:
    try:
        return int(float(text) * 1000)
    except ValueError:
        return 0  # "[N/A]"
