"""Sites and what stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dure.model.envelope import Maintenance, PowerStep

UNTOLD = -1  # of a figure that nobody has told


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A farm: one backend in one place, run by one agent."""

    id: str  # a short name, such as "pohang"
    name: str = ""
    region: str = ""  # ISO 3166-2:KR, such as "KR-47"
    jurisdiction: str = "KR"
    owner_kind: str = "public"  # public or private
    pue_permille: int = 1300
    backend: Mapping[str, Any] = field(default_factory=dict)  # what the driver's describe() said
    agent_epoch: int = 0  # raised at every hello; an older agent's words are refused
    incarnation: int = 0  # of the plane, as the agent last confirmed with a full report
    accounted: tuple[str, ...] = ()  # live attempts that the parts so far of an unfinished hello told of, after a restore
    last_seen_ms: int = 0
    drained: bool = False  # no new starts
    power: tuple[PowerStep, ...] = ()  # ascending; (): no cap
    maintenance: tuple[Maintenance, ...] = ()
    carbon_g_kwh: int = UNTOLD  # grams of CO₂ in a kilowatt-hour of its power
    power_krw_mwh: int = UNTOLD  # won for a megawatt-hour
    datasets: tuple[str, ...] = ()  # names of the data sets that are there
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine of a site, as its backend reports it."""

    id: str  # "site/name"
    site: str
    name: str
    pool: str = "default"
    block: str = ""  # topology block of the site (switch, NVLink domain, rack) in which it stands; "": in none
    cores_milli: int = 0
    memory_mib: int = 0
    accelerator: str = ""
    devices: int = 0
    shares: bool = False  # its devices are divided: several that want a share of one may be on the same
    core_mw: int = 0  # milliwatts per busy core, for modelled energy
    device_mw: int = 0  # milliwatts per allocated device
    idle_mw: int = 0  # milliwatts of the whole node when it is up and nothing runs; 0: not known, counts as none
    up: bool = True
    drained: bool = False
    version: int = 1


ATTESTED = "attested"  # of a `Quarantine`, resolved so: an operator stated that it is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """An attempt that a site runs or ran and that the plane does not know (after a restore), so that an operator decides; or one
    that lives although its end is recorded, and is being stopped."""

    id: str  # attempt id
    site: str
    workload: str
    seen_ms: int
    observation: Mapping[str, Any] = field(default_factory=dict)
    # "", "adopted" (reported after all), "attested" (lost), "dismissed" by an operator, "ended" (and nobody has to decide)
    resolved: str = ""
    stopping: bool = False  # its site is told to stop it, and its end has not been seen
    version: int = 1

    @property
    def may_run(self) -> bool:
        """Its site has told of it, and not of its end: it still has what it was given there."""
        return self.observation.get("phase") in ("launching", "running")

    @property
    def holds_place(self) -> bool:
        """What it was given is given to nobody else: it may run, or was attested lost and its site has not told of it since."""
        return self.stopping if self.resolved == ATTESTED else self.may_run and not self.resolved
