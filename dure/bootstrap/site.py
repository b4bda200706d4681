"""The agent of this machine's site: its journal, its link to the plane, and the local backend; and what jobs run here."""

from __future__ import annotations

import threading
from typing import Any

from dure.agent.runner import run_agent
from dure.agent.settings import AgentSettings
from dure.backends.local.driver import LocalDriver
from dure.backends.local.settings import DAY_MS, LocalSettings
from dure.backends.local.survivors import Survivor, survivors
from dure.bootstrap.machine import LOCAL, SystemClock, SystemEntropy, make_folder, read_secret
from dure.client.link import HttpLink
from dure.config import Config
from dure.model.accelerators import find


def running_here(config: Config) -> list[Survivor]:
    """What still runs on this machine of what farms on this data folder have started. Raises OSError."""
    return [found for root in sorted(config.data.glob(f"{LOCAL}*")) for found in survivors(root)]


# What the catalogue calls a maker, and what the local backend calls it when it names the devices to a job.
_VENDORS = {"NVIDIA": "nvidia", "AMD": "amd", "Rebellions": "rebellions", "FuriosaAI": "furiosa"}


def _device_facts(accelerator: str) -> dict[str, Any]:
    """What the catalogue knows of a type that the operator named: whose variable names it to jobs, and its watts."""
    known = find(accelerator)
    if known is None:
        return {}
    facts: dict[str, Any] = {"device_mw": known.watts * 1000}
    if known.vendor in _VENDORS:
        facts["accelerator_vendor"] = _VENDORS[known.vendor]
    return facts


def run_site(config: Config, url: str, stop: threading.Event) -> None:
    """Run the agent of this machine's site until `stop` is set; jobs go on when it returns. Raises ConfigError, StoreError."""
    folder = make_folder(config)
    accelerator, _, devices = config.devices.partition(":")
    local = LocalSettings(
        root=folder / f"{LOCAL}{config.site}",
        farm_folder=folder,
        node=config.node,
        block=config.block,
        cores_milli=config.cores * 1000,
        memory_mib=config.memory_mib,
        accelerator=accelerator,
        devices=int(devices or 0),
        device_shares=config.device_shares,
        **_device_facts(accelerator),
        uid_base=config.uid_base,
        processes_max=config.processes_max,
        bundle_ms_max=config.bundle_s * 1000,
        cpu_affinity=config.cpu_affinity,
        cgroups=config.cgroups,
        keep_ms=config.keep_days * DAY_MS,
        keep_bytes_max=config.keep_mib << 20,
    )
    link = HttpLink(url, read_secret(config.site_token))
    run_agent(AgentSettings(folder=config.agent_folder), LocalDriver(local), link, SystemClock(), SystemEntropy(), stop)
