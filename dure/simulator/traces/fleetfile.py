"""FLEET.toml: read, and written so that reading it again gives the same fleet. Parquet files of nodes and queues, as fleets.

    [fleet]
    name = "two-farms"

    [[site]]
    name = "pohang"
    region = "KR-47"
    pue = 1.15
    power_kw = 900
    repeat_s = 86400
    power = [{from_s = 36000, until_s = 61200, kw = 700}]

    [[site.pool]]
    name = "h200"
    nodes = 40
    accelerator = "h200"
    devices = 8
    cores = 192
    memory_gib = 2048

docs/guides/simulate.md describes every key."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dure.model.accelerators import find
from dure.simulator.traces.faults import Fault, FaultKind, Faults, FleetError, shown
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site, Window
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.parquet import MAGIC, Column, column_names, read_columns

BYTES_MAX = 1 << 24
_HEADER = re.compile(r"^\s*\[\[\s*(accelerator|site|site\s*\.\s*pool)\s*\]\]", re.MULTILINE)
# key in the file → (field, from the file's unit to the field's); 0: a word
_SITE: Mapping[str, tuple[str, int]] = {
    "name": ("name", 0), "region": ("region", 0), "owner": ("owner", 0), "pue": ("pue_permille", 1000),
    "power_kw": ("power_watts", 1000), "repeat_s": ("every_ms", 1000),
}  # fmt: skip
_BY_HOUR: Mapping[str, tuple[str, str]] = {
    "price_krw_kwh": ("price_krw_mwh", "price_by_hour"), "carbon_g_kwh": ("carbon_g_mwh", "carbon_by_hour"),
}  # fmt: skip
_POOL: Mapping[str, tuple[str, int]] = {
    "name": ("name", 0), "nodes": ("nodes", 1), "accelerator": ("accelerator", 0), "devices": ("devices", 1),
    "cores": ("cores_milli", 1000), "memory_gib": ("memory_mib", 1024), "block": ("block", 1), "idle_watts": ("idle_watts", 1),
    "node_watts": ("node_watts", 1),
}  # fmt: skip
_KIND: Mapping[str, tuple[str, int]] = {
    "id": ("id", 0), "origin": ("origin", 0), "memory_gib": ("memory_gib", 1), "watts": ("watts", 1),
    "server_watts": ("server_watts", 1),
}  # fmt: skip
_WINDOW: Mapping[str, tuple[str, int]] = {"from_s": ("from_ms", 1000), "until_s": ("until_ms", 1000), "kw": ("watts", 1000)}
_FLEET: Mapping[str, tuple[str, int]] = {"name": ("name", 0), "source": ("source", 0)}


def read_fleet(path: Path) -> Fleet:
    """A fleet of a FLEET.toml, or of a Parquet file of nodes or queues. Raises FleetError or TraceError."""
    faults = Faults(path.name, skip_bad=False, unit="row", skippable=False)
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as cause:
        raise faults.unreadable(f"it cannot be opened ({cause.strerror or cause})", "Check the path.") from cause
    if data.startswith(MAGIC):
        return _from_parquet(path, faults)
    if len(data) > BYTES_MAX:
        raise faults.unreadable(f"it is longer than {BYTES_MAX:,} bytes", "A fleet is told by pools, not by nodes.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise faults.unreadable(f"byte {cause.start + 1} is not UTF-8", "Convert the file to UTF-8.") from cause
    return parse_fleet(text, path.name)


def parse_fleet(text: str, file: str = "FLEET.toml") -> Fleet:
    """A fleet of TOML text. Raises FleetError with everything that is wrong, and TraceError when it is no TOML."""
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as cause:
        raise Faults(file, skip_bad=False).unreadable(f"it is no TOML ({cause})", "See the guide: simulate, Fleets.") from cause
    parts = _Parts(file, _lines(text))
    head = parts.fields(tree.get("fleet", {}), _FLEET, "", {})
    parts.strangers(tree, {"fleet", "site", "accelerator"}, "")
    kinds = [
        parts.fields(entry, _KIND, f"accelerator {n}", {"id": ""}) for n, entry in enumerate(parts.tables(tree, "accelerator"), 1)
    ]
    sites = [_site(parts, entry, n) for n, entry in enumerate(parts.tables(tree, "site"), 1)]
    if parts.found:
        raise FleetError(tuple(parts.found))
    made = [Site(**{**site, "pools": tuple(Pool(**pool) for pool in site["pools"])}) for site in sites]
    return make_fleet(head.get("name", "fleet"), made, kinds=[Kind(**kind) for kind in kinds], source=head.get("source", ""),
                      file=file, lines=parts.lines)  # fmt: skip


def _site(parts: _Parts, entry: Any, number: int) -> dict[str, Any]:
    place = f"site {number}"
    site = parts.fields(entry, _SITE, place, {"name": ""}, beside={"pool", "power", *_BY_HOUR})
    for key, (one, hours) in _BY_HOUR.items():
        value = entry.get(key) if isinstance(entry, Mapping) else None
        if isinstance(value, list):
            site[hours] = tuple(parts.number(each, 1000, place, key) for each in value)
        elif value is not None:
            site[one] = parts.number(value, 1000, place, key)
    windows = [parts.fields(window, _WINDOW, place, dict.fromkeys(("from_ms", "until_ms", "watts"), 0))
               for window in parts.tables(entry, "power", place)]  # fmt: skip
    site["windows"] = tuple(Window(**window) for window in windows)
    pools = parts.tables(entry, "pool", place)
    site["pools"] = [parts.fields(pool, _POOL, f"{place}, pool {n}", {"name": "", "nodes": 0}) for n, pool in enumerate(pools, 1)]
    return site


class _Parts:
    """Takes a TOML tree apart, and notes what is not as it should be."""

    def __init__(self, file: str, lines: Mapping[str, int]) -> None:
        self.file = file
        self.lines = lines
        self.found: list[Fault] = []

    def wrong(self, place: str, field: str, kind: FaultKind, problem: str, remedy: str) -> None:
        line = f"line {self.lines[place]}, " if place in self.lines else ""
        self.found.append(Fault(kind, self.file, line + place, field, problem, remedy))

    def tables(self, tree: Any, key: str, place: str = "") -> list[Any]:
        value = tree.get(key, []) if isinstance(tree, Mapping) else []
        if isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value):
            return value
        self.wrong(place, key, FaultKind.BROKEN_ROW, "it is no list of tables", f"Write [[{key}]].")
        return []

    def strangers(self, entry: Mapping[str, Any], known: set[str], place: str) -> None:
        for key in entry.keys() - known:
            self.wrong(place, key, FaultKind.UNKNOWN_WORD, "there is no such key", f"Keys are: {', '.join(sorted(known))}.")

    def fields(
        self,
        entry: Any,
        keys: Mapping[str, tuple[str, int]],
        place: str,
        needed: Mapping[str, Any],
        beside: set[str] | None = None,
    ) -> dict[str, Any]:
        """The entry's values in the units of the records; where one is needed and not there, a fault and a stand-in."""
        if not isinstance(entry, Mapping):
            self.wrong(place, "", FaultKind.BROKEN_ROW, "it is no table", "Write key = value.")
            return dict(needed)
        self.strangers(entry, keys.keys() | (beside or set()), place)
        found = {}
        for key, (name, factor) in keys.items():
            if key in entry:
                found[name] = self.number(entry[key], factor, place, key) if factor else self.word(entry[key], place, key)
            elif name in needed:
                self.wrong(place, key, FaultKind.MISSING, "is not told", "It has no default.")
                found[name] = needed[name]
        return found

    def word(self, value: Any, place: str, field: str) -> str:
        if isinstance(value, str):
            return value
        self.wrong(place, field, FaultKind.BROKEN_ROW, f"{shown(value)} is no word", "Write it between quotation marks.")
        return ""

    def number(self, value: Any, factor: int, place: str, field: str) -> int:
        """A number in the record's unit, rounded to a whole one; where the unit is the file's own it must be whole."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(place, field, FaultKind.NOT_A_NUMBER, f"{shown(value)} is no number", "Write it without quotation marks.")
        elif abs(value) > 2**53 or not math.isfinite(value):  # in this order: a huge whole number is no float
            self.wrong(place, field, FaultKind.NOT_FINITE, f"{shown(value)} is no number of reasonable size", "Correct it.")
        elif factor == 1 and value != int(value):
            self.wrong(place, field, FaultKind.NOT_WHOLE, f"{value} is not whole", "Round it as its meaning asks.")
        else:
            return round(value * factor)
        return 0


def _lines(text: str) -> dict[str, int]:
    """Where the parts begin, by their path."""
    found: dict[str, int] = {}
    counts = {"accelerator": 0, "site": 0, "pool": 0}
    for match in _HEADER.finditer(text):
        word = "pool" if "pool" in match[1] else match[1]
        counts[word] += 1
        if word == "site":
            counts["pool"] = 0
        path = f"site {counts['site']}, pool {counts['pool']}" if word == "pool" else f"{word} {counts[word]}"
        found[path] = text.count("\n", 0, match.start(1)) + 1
    return found


# -- writing ----------------------------------------------------------------------------------------------------------


def write_fleet(fleet: Fleet) -> str:
    """The fleet as TOML. Pools that lie mixed (`ranks`) are written one after another."""
    out = ["[fleet]", f"name = {_text(fleet.name)}"]
    out += [f"source = {_text(fleet.source)}"] if fleet.source else []
    for kind in fleet.kinds:
        out += ["", "[[accelerator]]", *_pairs(kind, _KIND, Kind(id=""))]
    for site in fleet.sites:
        out += ["", "[[site]]", *_pairs(site, _SITE, Site(name=""))]
        for key, (one, hours) in _BY_HOUR.items():
            values = getattr(site, hours)
            if values:
                out.append(f"{key} = [{', '.join(_amount(value, 1000) for value in values)}]")
            elif getattr(site, one):
                out.append(f"{key} = {_amount(getattr(site, one), 1000)}")
        if site.windows:
            out += ["power = [", *(f"    {_window(window)}," for window in site.windows), "]"]
        for pool in site.pools:
            out += ["", "[[site.pool]]", *_pairs(pool, _POOL, Pool(name="", nodes=0))]
    return "\n".join(out) + "\n"


def _pairs(record: object, keys: Mapping[str, tuple[str, int]], plain: object) -> Iterator[str]:
    for key, (name, factor) in keys.items():
        value = getattr(record, name)
        if value != getattr(plain, name):
            yield f"{key} = {_amount(value, factor) if factor else _text(value)}"


def _window(window: Window) -> str:
    return "{" + ", ".join(f"{key} = {_amount(getattr(window, name), factor)}" for key, (name, factor) in _WINDOW.items()) + "}"


def _amount(value: int, factor: int) -> str:
    return str(value // factor) if value % factor == 0 else repr(value / factor)


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


# -- Parquet files of nodes and queues --------------------------------------------------------------------------------


def _from_parquet(path: Path, faults: Faults) -> Fleet:
    names = set(column_names(path, faults))
    columns = read_columns(path, faults)
    if {"queue", "nodes", "gpus_per_node"} <= names:
        return _from_queues(path.stem, columns, faults)
    if {"gpus", "gpu_type", "cpus", "mem_gib"} <= names:
        return _from_nodes(path.stem, columns, faults)
    known = "queue, nodes, gpus_per_node; or gpus, gpu_type, cpus, mem_gib"
    raise faults.unreadable(f"its columns are {', '.join(sorted(names)[:12])}", f"A fleet has the columns {known}.")


def _from_queues(name: str, columns: Mapping[str, Column], faults: Faults) -> Fleet:
    """One site for each queue (virtual cluster): its own nodes, whose type and cores nobody tells."""
    queues = [str(word or "") for word in columns["queue"]]
    nodes, devices = (_wholes(columns[field], field, faults) for field in ("nodes", "gpus_per_node"))
    sites = [Site(name=queue, pools=(Pool(name="gpu", nodes=n, accelerator=UNTOLD.id, devices=d),))
             for queue, n, d in zip(queues, nodes, devices, strict=True)]  # fmt: skip
    return make_fleet(slug(name), sites, kinds=(UNTOLD,), source=name, file=faults.file)


UNTOLD = Kind(id="gpu")  # a device of which only the number is known


def _from_nodes(name: str, columns: Mapping[str, Column], faults: Faults) -> Fleet:
    """One site with a pool for each kind of node, whose nodes keep their order in the file."""
    kinds = [str(word or "").lower() for word in columns["gpu_type"]]
    numbers = [
        _wholes(columns[field], field, faults, factor) for field, factor in (("gpus", 1), ("cpus", 1000), ("mem_gib", 1024))
    ]
    ranks: dict[tuple[str, int, int, int], list[int]] = {}
    for rank, shape in enumerate(zip(kinds, *numbers, strict=True)):
        ranks.setdefault(shape, []).append(rank)
    pools = node_pools({shape: tuple(places) for shape, places in ranks.items()})
    own = tuple(Kind(id=kind) for kind in sorted({kind for kind in kinds if kind and not find(kind)}))
    return make_fleet(slug(name), [Site(name=slug(name), pools=pools)], kinds=own, source=name, file=faults.file)


def node_pools(ranks: Mapping[tuple[str, int, int, int], Sequence[int]]) -> tuple[Pool, ...]:
    """Pools of nodes by (type, devices, thousandths of cores, MiB), each with the places of its nodes."""
    pools = []
    for (kind, devices, cores, memory), places in ranks.items():
        name = f"{kind or 'cpu'}-{devices}-{cores // 1000}c-{memory // 1024}g"
        pools.append(Pool(name=name, nodes=len(places), accelerator=kind if devices else "", devices=devices, cores_milli=cores,
                          memory_mib=memory, ranks=tuple(places)))  # fmt: skip
    return tuple(pools)


def _wholes(column: Column, field: str, faults: Faults, factor: int = 1) -> list[int]:
    if not isinstance(column, np.ndarray):
        raise faults.unreadable(f"its column {field} holds no numbers", "Write it with a type of numbers.")
    scaled = column * factor
    for row in np.flatnonzero(~(np.isfinite(scaled) & (np.abs(scaled) < 2**53))).tolist():
        faults.row(FaultKind.NOT_FINITE, row + 1, field, f"{column[row]} is no number of reasonable size", "Correct it.")
    faults.done()
    return [round(value) for value in scaled.tolist()]


def slug(text: str) -> str:
    """A name as fleets have them."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._") or "fleet"
