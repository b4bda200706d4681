"""Power, maintenance and traits of sites, as columns of a snapshot: what counts of them at a moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from dure.model.envelope import UNCAPPED, closed, since
from dure.model.site import Node, Site

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]
MW = 1000  # milliwatts of a watt


def power_columns(sites: Sequence[Site], now_ms: int) -> tuple[I64, I32, I64, I64]:
    """pue_permille, power_ptr, power_from_ms and power_mw of `Sites`. A cap that begins later has "none" before it."""
    steps = []
    for site in sites:
        found = [(step.from_ms, step.watts * MW if step.watts != UNCAPPED else UNCAPPED) for step in since(site.power, now_ms)]
        if found and found[0][0] > now_ms:
            found.insert(0, (now_ms, UNCAPPED))
        steps.append(found)
    flat = list(chain.from_iterable(steps))
    pue = np.array([site.pue_permille for site in sites], dtype=np.int64)
    return pue, _ptr(steps), _i64([at for at, _ in flat]), _i64([mw for _, mw in flat])


def trait_columns(sites: Sequence[Site], data: Sequence[str]) -> tuple[I64, I64, Bool]:
    """carbon_g_kwh, power_krw_mwh and has_data of `Sites`. data: names of data sets."""
    has = np.array([[name in site.datasets for name in data] for site in sites], np.bool_).reshape(len(sites), len(data))
    return _i64([site.carbon_g_kwh for site in sites]), _i64([site.power_krw_mwh for site in sites]), has


def data_names(sites: Iterable[Site]) -> tuple[str, ...]:
    """Every data set that a site has, by its name."""
    return tuple(sorted({name for site in sites for name in site.datasets}))


def closed_columns(nodes: Sequence[Node], sites: Sequence[Site], now_ms: int) -> tuple[I32, I64, I64]:
    """closed_ptr, closed_from_ms and closed_until_ms of `Nodes`."""
    windows = {site.id: site.maintenance for site in sites if site.maintenance}
    if not windows:
        return np.zeros(len(nodes) + 1, np.int32), _i64([]), _i64([])
    known: dict[tuple[str, str], tuple[tuple[int, int], ...]] = {}  # those whom no window names are closed with their site
    named = {(site, name) for site, given in windows.items() for window in given for name in window.nodes}
    runs = []
    for node in nodes:
        key = (node.site, node.name) if (node.site, node.name) in named else (node.site, "")
        if key not in known:
            known[key] = closed(windows.get(node.site, ()), key[1], now_ms)
        runs.append(known[key])
    flat = list(chain.from_iterable(runs))
    return _ptr(runs), _i64([begin for begin, _ in flat]), _i64([end for _, end in flat])


def _ptr(runs: Sequence[Sequence[object]]) -> I32:
    return np.cumsum([0, *(len(run) for run in runs)]).astype(np.int32)


def _i64(values: Sequence[int]) -> I64:
    return np.array(values, dtype=np.int64)
