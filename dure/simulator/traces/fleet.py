"""A fleet: sites with their power, price and carbon, and pools of equal nodes in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dure.model.accelerators import core_rate, find

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]

OWNERS = ("public", "private")
DEVICES_MAX = 64  # a node's devices are bits of one word in the scheduler
NODES_MAX = 1 << 20
HOURS = 24
FOREVER_MS = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A type of device that the catalogue does not have. What is 0 or "" is unknown."""

    id: str
    origin: str = ""  # ISO 3166-1 alpha-2 of the maker's home; "KR" is domestic
    memory_gib: int = 0
    watts: int = 0  # of the device
    server_watts: int = 0  # of a full server, per device


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a site may draw at its meter from one moment until another (not included), since the trace's zero."""

    from_ms: int
    until_ms: int
    watts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Equal nodes. idle_watts, node_watts: of one node with nothing to do, and at most; 0 is unknown (then by the device's
    type)."""

    name: str
    nodes: int
    accelerator: str = ""  # id of its type; "" when the nodes have no devices
    devices: int = 0  # per node
    cores_milli: int = 0  # per node
    memory_mib: int = 0  # per node
    block: int = 0  # nodes of one topology block, within which a gang communicates fastest; 0: the pool is one
    idle_watts: int = 0
    node_watts: int = 0
    ranks: tuple[int, ...] = ()  # the nodes' places among the site's, where pools lie mixed; (): one pool after another


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One place with one owner. power_watts: at the meter, cooling included, where no window says otherwise; 0 is no limit.

    every_ms: the windows repeat with this period; 0: they happen once. Price and carbon by hour are of the local hour of the day,
    24 numbers, or () where the one number holds all day."""

    name: str
    region: str = ""  # ISO 3166-2
    owner: str = "public"
    pue_permille: int = 1000
    power_watts: int = 0
    windows: tuple[Window, ...] = ()
    every_ms: int = 0
    price_krw_mwh: int = 0
    price_by_hour: tuple[int, ...] = ()
    carbon_g_mwh: int = 0
    carbon_by_hour: tuple[int, ...] = ()
    pools: tuple[Pool, ...] = ()


@dataclass(frozen=True, slots=True)
class FleetNodes:
    """Every node, sorted by (site, place): what kernels work on. pool numbers all pools of the fleet, in order of its sites."""

    site: I32
    pool: I32
    accelerator: I32  # index into Fleet.accelerators, -1 for none
    block: I32  # number over the whole fleet; -1 where the pool is one block
    cores_milli: I64
    memory_mib: I64
    devices: I32

    def __len__(self) -> int:
        return len(self.site)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A fleet that does not contradict itself: made by `fleetcheck.make_fleet`."""

    name: str
    sites: tuple[Site, ...]
    kinds: tuple[Kind, ...] = ()
    source: str = ""  # where its figures are from
    accelerators: tuple[str, ...] = field(default=())  # the types that it has, sorted

    @property
    def devices(self) -> int:
        return sum(pool.nodes * pool.devices for _site, pool in self.pools())

    def pools(self) -> Iterator[tuple[int, Pool]]:
        """(index of its site, pool), in order."""
        return ((index, pool) for index, site in enumerate(self.sites) for pool in site.pools)

    def domestic(self, accelerator: str) -> bool:
        """Whether its maker is Korean, by the catalogue or by the fleet's own word."""
        entry = find(accelerator)
        return (entry.origin if entry else next((k.origin for k in self.kinds if k.id == accelerator), "")) == "KR"

    def core_rates(self) -> tuple[float, ...]:
        """Normalised core-seconds a device-second weighs, by type."""
        return tuple(core_rate(name) for name in self.accelerators)

    def node_watts(self, pool: Pool) -> int:
        """What one node draws at most, cooling left out: as told, or by its devices' type; 0 unknown."""
        return pool.node_watts or pool.devices * _server_watts(pool.accelerator, self.kinds)

    def nodes(self) -> FleetNodes:
        """Every node as columns."""
        pools = list(self.pools())
        counts = np.array([pool.nodes for _site, pool in pools], np.int64)
        number = np.repeat(np.arange(len(pools), dtype=np.int32), counts)
        within = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
        site = np.repeat(np.array([index for index, _pool in pools], np.int32), counts)
        order = np.arange(len(number))
        if any(pool.ranks for _site, pool in pools):
            ranks = [np.array(pool.ranks or range(pool.nodes), np.int64) for _site, pool in pools]
            order = np.lexsort((np.concatenate(ranks), site))
        columns = {
            "accelerator": (np.int32, [self.accelerators.index(p.accelerator) if p.devices else -1 for _s, p in pools]),
            "cores_milli": (np.int64, [p.cores_milli for _s, p in pools]),
            "memory_mib": (np.int64, [p.memory_mib for _s, p in pools]),
            "devices": (np.int32, [p.devices for _s, p in pools]),
        }
        spread = {name: np.array(values, kind)[number][order] for name, (kind, values) in columns.items()}
        return FleetNodes(site=site[order], pool=number[order], block=self._blocks(number, within)[order], **spread)

    def _blocks(self, number: I32, within: I64) -> I32:
        sizes = np.array([pool.block for _site, pool in self.pools()], np.int64)
        counts = [-(-pool.nodes // pool.block) if pool.block else 0 for _site, pool in self.pools()]
        first = np.cumsum([0, *counts[:-1]])
        own = sizes[number]
        return np.where(own > 0, first[number] + within // np.maximum(own, 1), -1).astype(np.int32)

    def envelope(self, site: int, from_ms: int, until_ms: int) -> list[tuple[int, int, int]]:
        """What a site may draw over a time: (from, until, watts) pieces that cover it without a gap; watts 0 is no limit."""
        own = self.sites[site]
        edges, at = [], from_ms
        for start, end, watts in _unrolled(own, from_ms, until_ms):
            if start > at:
                edges.append((at, start, own.power_watts))
            edges.append((max(start, at), min(end, until_ms), watts))
            at = edges[-1][1]
        return [*edges, (at, until_ms, own.power_watts)] if at < until_ms else edges


def _unrolled(site: Site, from_ms: int, until_ms: int) -> Iterator[tuple[int, int, int]]:
    """A site's windows that touch a time, in order, each repeated as often as it happens."""
    windows = sorted(site.windows, key=lambda window: window.from_ms)
    first, last = (from_ms // site.every_ms - 1, until_ms // site.every_ms) if site.every_ms else (0, 0)
    for turn in range(first if windows else 0, last + 1 if windows else 0):
        for window in windows:
            start, end = window.from_ms + turn * site.every_ms, window.until_ms + turn * site.every_ms
            if end > from_ms and start < until_ms:
                yield start, end, window.watts


def _server_watts(accelerator: str, kinds: Sequence[Kind]) -> int:
    entry = find(accelerator)
    return entry.server_watts if entry else next((kind.server_watts for kind in kinds if kind.id == accelerator), 0)
