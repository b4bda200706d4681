"""What a report needs to know of a fleet: how much there is, what it draws, what its power costs and emits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.errors import require
from dure.model.accelerators import find
from dure.simulator.traces.fleet import HOURS, Fleet, Pool

I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
MEASURED = ("devices", "cores")
_CELLS, _BY_HOUR = ("capacity_milli", "full_watts", "idle_watts"), ("carbon_g_mwh", "price_krw_mwh")


@dataclass(frozen=True, kw_only=True)
class FleetFacts:
    """Arrays by (site, accelerator), the last accelerator being "none"; by hour: of the local hour of the day. Read-only.

    measured: what use is counted in. On a fleet without devices it is cores, and whatever is said of devices is of cores then."""

    name: str
    source: str = ""
    measured: str = "devices"
    sites: tuple[str, ...]
    accelerators: tuple[str, ...]
    domestic: I8  # by accelerator, "none" included: 1 its maker is Korean, 0 it is not, -1 unknown
    capacity_milli: I64  # thousandths of a device (or core)
    full_watts: I64  # of the cell's nodes when all of it is in use, cooling left out; 0 unknown
    idle_watts: I64  # of the cell's nodes when nothing is in use; 0 unknown, and counted as none
    pue_permille: I64  # by site
    carbon_g_mwh: I64  # (site, hour)
    price_krw_mwh: I64  # (site, hour)

    def __post_init__(self) -> None:
        shape = (len(self.sites), len(self.accelerators) + 1)
        require(self.measured in MEASURED and shape[0] > 0, "a fleet has sites, and devices or cores are measured")
        require(all(getattr(self, name).shape == shape for name in _CELLS), "cells are sites times accelerators")
        require(all(getattr(self, name).shape == (shape[0], HOURS) for name in _BY_HOUR), "hours are 24 a site")
        require(len(self.domestic) == shape[1] and len(self.pue_permille) == shape[0], "one entry each")
        for name in (*_CELLS, *_BY_HOUR, "domestic", "pue_permille"):
            getattr(self, name).flags.writeable = False

    @property
    def total_milli(self) -> int:
        return int(self.capacity_milli.sum())

    @property
    def watts_known(self) -> bool:
        """Whether it is known of everything that can be used what it draws."""
        return bool((self.full_watts[self.capacity_milli > 0] > 0).all())

    def json(self) -> dict[str, Any]:
        """Everything, in types that JSON has; `facts_from` is the way back."""
        return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in vars(self).items()}


def facts_from(found: dict[str, Any]) -> FleetFacts:
    """The facts that `FleetFacts.json` told."""
    arrays = {name: np.array(found[name], np.int64) for name in (*_CELLS, *_BY_HOUR, "pue_permille")}
    words = {name: tuple(found[name]) for name in ("sites", "accelerators")}
    return FleetFacts(**{**found, **arrays, **words, "domestic": np.array(found["domestic"], np.int8)})


def facts_of(fleet: Fleet, measured: str = "") -> FleetFacts:
    """The facts of a fleet. measured: "devices", "cores", or "" for devices where there are some.

    Where use is counted in devices, nodes without devices are left out of capacity and energy."""
    chosen = measured or ("devices" if fleet.devices else "cores")
    shape = (len(fleet.sites), len(fleet.accelerators) + 1)
    cells = {name: np.zeros(shape, np.int64) for name in _CELLS}
    for site, pool, milli in _counted(fleet, chosen):
        at = site, fleet.accelerators.index(pool.accelerator) if pool.devices else len(fleet.accelerators)
        cells["capacity_milli"][at] += milli
        cells["full_watts"][at] += pool.nodes * fleet.node_watts(pool)
        cells["idle_watts"][at] += pool.nodes * pool.idle_watts
    _unknown_where_one_is(fleet, chosen, cells["full_watts"])
    return FleetFacts(
        name=fleet.name, source=fleet.source, measured=chosen, sites=tuple(site.name for site in fleet.sites),
        accelerators=fleet.accelerators, domestic=np.array([*map(partial(_domestic, fleet), fleet.accelerators), 0], np.int8),
        **cells,
        pue_permille=np.array([site.pue_permille for site in fleet.sites], np.int64),
        carbon_g_mwh=_hours([site.carbon_by_hour or (site.carbon_g_mwh,) * HOURS for site in fleet.sites]),
        price_krw_mwh=_hours([site.price_by_hour or (site.price_krw_mwh,) * HOURS for site in fleet.sites]),
    )  # fmt: skip


def idle_unknown(fleet: Fleet) -> int:
    """How many nodes do not say what they draw with nothing to do, though it is known of all what they draw at most: energy is
    told, and has nothing in it for these while they are idle."""
    facts = facts_of(fleet)
    return sum(pool.nodes for _, pool, _ in _counted(fleet, facts.measured) if not pool.idle_watts) if facts.watts_known else 0


def _counted(fleet: Fleet, measured: str) -> Iterator[tuple[int, Pool, int]]:
    for site, pool in fleet.pools():
        milli = pool.nodes * (pool.devices * 1000 if measured == "devices" else pool.cores_milli)
        if milli:
            yield site, pool, milli


def _unknown_where_one_is(fleet: Fleet, measured: str, watts: I64) -> None:
    """A cell of which one pool's watts are unknown has unknown watts, not too few."""
    for site, pool, _milli in _counted(fleet, measured):
        if not fleet.node_watts(pool):
            watts[site, fleet.accelerators.index(pool.accelerator) if pool.devices else len(fleet.accelerators)] = 0


def _domestic(fleet: Fleet, accelerator: str) -> int:
    known = find(accelerator) or any(kind.origin for kind in fleet.kinds if kind.id == accelerator)
    return int(fleet.domestic(accelerator)) if known else -1


def _hours(rows: list[tuple[int, ...]]) -> I64:
    return np.array(rows, np.int64).reshape(len(rows), HOURS)
