"""Fleets that need no file: those of well-known traces, and national ones of any size over 17 regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from dure.errors import require
from dure.model.accelerators import ACCELERATORS
from dure.simulator.traces.faults import Faults
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site, Window
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.fleetfile import UNTOLD, node_pools
from dure.simulator.traces.regions import CARBON_G_MWH, REGIONS, Region

HOUR_MS = 3_600_000
DEVICES = 8  # per node
BLOCK = 32  # nodes of a topology block: 256 devices, as a scalable unit of NVIDIA's reference design

# Microsoft Philly, 2017: nodes of 8 GPUs by virtual cluster, as S-Lab's HeliosArtifact (MIT) models them. The type is not told.
_PHILLY = {"6214e9": 64, "7f04ca": 32, "11cb48": 16, "b436b2": 64, "ee9e8c": 64, "e13805": 16, "6c71a0": 32, "2869ce": 16,
           "ed69ec": 8, "103959": 8, "0e4a51": 32}  # fmt: skip
# Alibaba openb (clusterdata, gpu-v2023; Apache-2.0 in the FGD simulator): (type, GPUs, cores, GiB) and how many such nodes.
_OPENB = {
    ("p100", 2, 64, 256): 22, ("g3", 8, 128, 768): 39, ("v100m32", 8, 96, 768): 21, ("v100m16", 4, 32, 128): 28,
    ("g2", 8, 96, 384): 549, ("t4", 4, 96, 384): 17, ("t4", 2, 104, 512): 387, ("p100", 2, 16, 120): 107, ("v100m32", 4, 48,
    368): 9,
    ("v100m16", 1, 8, 32): 19, ("v100m16", 8, 64, 256): 7, ("p100", 1, 8, 60): 3, ("p100", 2, 8, 60): 2, ("a10", 1, 128, 1024): 2,
    ("v100m16", 8, 82, 336): 1,
}  # fmt: skip

# Permille of a site's nodes by type (assumptions): a national or private centre for training, and a region's farm.
_CENTRE = {"b200": 920, "h200": 60, "rngd": 20}
_FARM = {"b200": 300, "h200": 280, "h100": 150, "rngd": 110, "rebel100": 80, "l40s": 80}
_CENTRES = frozenset({"jeonnam", "gyeongbuk", "ulsan"})
# Cores and GiB of a node of 8 (assumptions: two 96-core processors; two 80-core ones beside accelerators for inference).
_NODE = {True: (192_000, 2048 * 1024), False: (160_000, 1024 * 1024)}
_IDLE_PERMILLE = 200  # of a full server's draw that it draws with nothing to do (assumption)
_CAP_PERMILLE, _PEAK_PERMILLE = 900, 700  # of the fleet's full draw: the contract, and from 14 to 17 h (assumptions)


def philly_fleet() -> Fleet:
    """The 11 virtual clusters as a site each: 352 nodes, 2,816 GPUs."""
    pools = {name: (Pool(name="gpu", nodes=nodes, accelerator=UNTOLD.id, devices=DEVICES),) for name, nodes in _PHILLY.items()}
    sites = [Site(name=name, pools=own) for name, own in pools.items()]
    return make_fleet("philly", sites, kinds=(UNTOLD,), source="msr-fiddle/philly-traces, sizes by S-Lab HeliosArtifact")


def openb_fleet() -> Fleet:
    """1,213 nodes, 6,212 GPUs of 7 types. Pools follow one another: only the file of nodes has them in their own order."""
    shapes = {(kind, devices, cores * 1000, gib * 1024): range(nodes) for (kind, devices, cores, gib), nodes in _OPENB.items()}
    pools = tuple(replace(pool, ranks=()) for pool in node_pools(shapes))
    own = tuple(Kind(id=kind) for kind in sorted({shape[0] for shape in _OPENB} - set(ACCELERATORS)))
    return make_fleet("openb", [Site(name="openb", pools=pools)], kinds=own, source="alibaba/clusterdata gpu-v2023")


def national_fleet(devices: int, name: str = "") -> Fleet:
    """So many devices on nodes of 8, over 17 regions: one site each, weighted by `Region.site`. devices is a multiple of 8.

    Deterministic: shares are rounded by the largest remainder, so that the total is exact."""
    require(devices % DEVICES == 0 and devices >= DEVICES * len(REGIONS), "devices: a multiple of 8, with a node a region")
    nodes = apportion(devices // DEVICES, [region.site for region in REGIONS])
    sites = [_site(region, count) for region, count in zip(REGIONS, nodes, strict=True) if count]
    return make_fleet(name or f"kr-{devices}", sites, source="generated: dure.simulator.traces.fleets")


def apportion(total: int, weights: list[int]) -> list[int]:
    """Whole parts of a total in proportion to weights, by the largest remainder; earlier ones first where remainders are
    equal."""
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts


def _site(region: Region, nodes: int) -> Site:
    mix = _CENTRE if region.slug in _CENTRES else _FARM
    counts = apportion(nodes, list(mix.values()))
    pools = tuple(_pool(kind, count) for kind, count in zip(mix, counts, strict=True) if count)
    full = sum(pool.nodes * pool.node_watts for pool in pools) * region.pue_permille // 1000
    peak = Window(from_ms=14 * HOUR_MS, until_ms=17 * HOUR_MS, watts=full * _PEAK_PERMILLE // 1000)
    return Site(
        name=region.slug, region=region.code, owner="private" if region.slug in ("gyeongbuk", "ulsan") else "public",
        pue_permille=region.pue_permille, power_watts=full * _CAP_PERMILLE // 1000, windows=(peak,), every_ms=24 * HOUR_MS,
        price_krw_mwh=region.price_krw_mwh, carbon_g_mwh=CARBON_G_MWH, pools=pools,
    )  # fmt: skip


def _pool(kind: str, nodes: int) -> Pool:
    entry = ACCELERATORS[kind]
    cores, memory = _NODE[entry.trains]
    full = DEVICES * entry.server_watts
    return Pool(name=kind, nodes=nodes, accelerator=kind, devices=DEVICES, cores_milli=cores, memory_mib=memory, block=BLOCK,
                idle_watts=full * _IDLE_PERMILLE // 1000, node_watts=full)  # fmt: skip


FLEETS: Mapping[str, Callable[[], Fleet]] = MappingProxyType({
    "philly": philly_fleet,
    "openb": openb_fleet,
    "kr-15000": lambda: national_fleet(15_000),
    "kr-50000": lambda: national_fleet(50_000),
    "kr-260000": lambda: national_fleet(260_000),
})  # fmt: skip


def built_in(name: str) -> Fleet:
    """A fleet of this package by its name. Raises TraceError when there is none."""
    if name not in FLEETS:
        raise Faults(name, skip_bad=False).unreadable("there is no such fleet", f"Fleets are: {', '.join(FLEETS)}.")
    return FLEETS[name]()
