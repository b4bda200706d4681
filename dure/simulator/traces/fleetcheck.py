"""What contradicts itself in a fleet: found all at once, so that a file is mended in one go."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from dure.model.accelerators import find
from dure.simulator.traces.faults import Fault, FaultKind, FleetError
from dure.simulator.traces.fleet import DEVICES_MAX, FOREVER_MS, HOURS, NODES_MAX, OWNERS, Fleet, Kind, Pool, Site

WATTS_MAX = 10**12  # a terawatt
MONEY_MAX = 10**10
# Of what the records have in smaller units than the file: how many of them are one of its.
_UNITS: Mapping[str, int] = {
    "pue": 1000, "power_kw": 1000, "repeat_s": 1000, "price_krw_kwh": 1000, "carbon_g_kwh": 1000, "power.kw": 1000,
    "power.from_s": 1000, "cores": 1000, "memory_gib": 1024,
}  # fmt: skip
_REGION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)


def make_fleet(
    name: str, sites: Sequence[Site], *, kinds: Sequence[Kind] = (), source: str = "", file: str = "",
    lines: Mapping[str, int] | None = None,
) -> Fleet:  # fmt: skip
    """A fleet, checked. lines: where in `file` a part begins, by its path ("site 2, pool 1"), for messages.

    Raises FleetError with everything that is wrong."""
    found = find_faults(sites, kinds, file or name)
    if found:
        raise FleetError(tuple(_with_line(fault, lines or {}) for fault in found))
    types = sorted({pool.accelerator for site in sites for pool in site.pools if pool.devices})
    return Fleet(name=name, sites=tuple(sites), kinds=tuple(kinds), source=source, accelerators=tuple(types))


def find_faults(sites: Sequence[Site], kinds: Sequence[Kind], file: str) -> tuple[Fault, ...]:
    """Everything that is wrong with what would be a fleet."""
    check = _Check(file)
    if not sites or not any(site.pools for site in sites):
        check.wrong("", "", FaultKind.MISSING, "a fleet has at least one site with one pool", "Add [[site]] and [[site.pool]].")
    check.names([kind.id for kind in kinds], "accelerator")
    check.names([site.name for site in sites], "site")
    for index, kind in enumerate(kinds, 1):
        _kind(check, f"accelerator {index} ({kind.id})", kind)
    own = {kind.id for kind in kinds}
    for index, site in enumerate(sites, 1):
        _site(check, f"site {index} ({site.name})", site)
        check.names([pool.name for pool in site.pools], f"site {index}, pool")
        for place, pool in enumerate(site.pools, 1):
            _pool(check, f"site {index}, pool {place} ({site.name}/{pool.name})", pool, own)
    return tuple(check.found)


def _with_line(fault: Fault, lines: Mapping[str, int]) -> Fault:
    line = lines.get(fault.place.split(" (")[0])
    return replace(fault, place=f"line {line}, {fault.place}") if line else fault


def _as_written(value: int, unit: int) -> str:
    return f"{value // unit:,}" if value % unit == 0 else f"{value / unit:,.10g}"


class _Check:
    """Collects faults of one fleet."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Fault] = []

    def wrong(self, place: str, field: str, kind: FaultKind, problem: str, remedy: str) -> None:
        self.found.append(Fault(kind, self.file, place, field, problem, remedy))

    def number(self, place: str, field: str, value: int, most: int, least: int = 0, unit: int = 0) -> None:
        """Numbers are in the units of the records, and told as the file has them. unit: of the former in one of the latter;
        0: by field."""
        said, bound, limit = (_as_written(each, unit or _UNITS.get(field, 1)) for each in (value, least, most))
        if value < 0:
            self.wrong(place, field, FaultKind.NEGATIVE, f"{said} is negative", "Correct it.")
        elif value < least:
            self.wrong(place, field, FaultKind.CONTRADICTION, f"{said} is less than {bound}", "Correct it.")
        elif value > most:
            self.wrong(place, field, FaultKind.TOO_LARGE, f"{said} is more than {limit}", "Check its unit.")

    def names(self, names: Sequence[str], what: str) -> None:
        seen: set[str] = set()
        for index, name in enumerate(names, 1):
            place = f"{what} {index} ({name})"
            if name in seen:
                self.wrong(place, "name", FaultKind.DUPLICATE, "another one has this name", "Rename one of them.")
            if not _NAME.fullmatch(name):
                problem = f"{name!r} is not of small letters, digits, '.', '_' and '-' (at most 63)"
                self.wrong(place, "name", FaultKind.UNKNOWN_WORD, problem, "Rename it.")
            seen.add(name)


def _kind(check: _Check, place: str, kind: Kind) -> None:
    for field in ("memory_gib", "watts", "server_watts"):
        check.number(place, field, getattr(kind, field), 1 << 20, unit=1)
    if find(kind.id):
        check.wrong(place, "id", FaultKind.DUPLICATE, "the catalogue has this type", "Leave it out.")
    if kind.origin and not re.fullmatch(r"[A-Z]{2}", kind.origin):
        check.wrong(place, "origin", FaultKind.UNKNOWN_WORD, f"{kind.origin!r} is no ISO 3166-1 code", "It is like KR.")


def _site(check: _Check, place: str, site: Site) -> None:
    if site.region and not _REGION.fullmatch(site.region):
        check.wrong(place, "region", FaultKind.UNKNOWN_WORD, f"{site.region!r} is no ISO 3166-2 code", "It is like KR-47.")
    if site.owner not in OWNERS:
        check.wrong(place, "owner", FaultKind.UNKNOWN_WORD, f"{site.owner!r} is none of {', '.join(OWNERS)}", "Correct it.")
    check.number(place, "pue", site.pue_permille, 5000, 1000)
    check.number(place, "power_kw", site.power_watts, WATTS_MAX)
    check.number(place, "repeat_s", site.every_ms, FOREVER_MS)
    prices = ("price_krw_kwh", site.price_krw_mwh, site.price_by_hour)
    for field, one, hours in (prices, ("carbon_g_kwh", site.carbon_g_mwh, site.carbon_by_hour)):
        if len(hours) not in (0, HOURS):
            check.wrong(
                place, field, FaultKind.BROKEN_ROW, f"{len(hours)} numbers", f"It is one number, or {HOURS}: one an hour."
            )
        for value in (one, *hours):
            check.number(place, field, value, MONEY_MAX)
    _windows(check, place, site)
    _power(check, place, site)


def _windows(check: _Check, place: str, site: Site) -> None:
    for window in site.windows:
        check.number(place, "power.kw", window.watts, WATTS_MAX, 1)
        check.number(place, "power.from_s", window.from_ms, FOREVER_MS)
        if window.until_ms <= window.from_ms:
            check.wrong(place, "power.until_s", FaultKind.CONTRADICTION, "a window ends before it begins", "Correct it.")
        elif window.until_ms > (site.every_ms or FOREVER_MS):
            check.wrong(
                place, "power.until_s", FaultKind.CONTRADICTION, "is after the period that repeats", "Cut the window in two."
            )
    for first, second in pairwise(sorted(site.windows, key=lambda window: window.from_ms)):
        if second.from_ms < first.until_ms:
            problem = f"two windows overlap from {second.from_ms // 1000} s on"
            check.wrong(place, "power", FaultKind.CONTRADICTION, problem, "Let one end where the next begins.")


def _power(check: _Check, place: str, site: Site) -> None:
    """A site whose nodes, idle, already draw more than it may."""
    idle = sum(pool.nodes * pool.idle_watts for pool in site.pools) * site.pue_permille // 1000
    caps = [watts for watts in (site.power_watts, *(window.watts for window in site.windows)) if watts > 0]
    if caps and min(caps) < idle:
        problem = f"{min(caps):,} W is below the {idle:,} W that its nodes draw when idle (cooling included)"
        check.wrong(place, "power_kw", FaultKind.CONTRADICTION, problem, "Raise it, or correct idle_watts and pue.")


def _pool(check: _Check, place: str, pool: Pool, own: set[str]) -> None:
    check.number(place, "nodes", pool.nodes, NODES_MAX, 1)
    check.number(place, "devices", pool.devices, DEVICES_MAX)
    check.number(place, "cores", pool.cores_milli, 10**9)
    check.number(place, "memory_gib", pool.memory_mib, 1 << 40)
    check.number(place, "block", pool.block, NODES_MAX)
    check.number(place, "idle_watts", pool.idle_watts, 10**7)
    check.number(place, "node_watts", pool.node_watts, 10**7)
    known = pool.accelerator in own or (find(pool.accelerator) is not None and pool.accelerator == pool.accelerator.lower())
    if pool.devices > 0 and not known:
        problem = (
            f"{pool.accelerator!r} is neither in the catalogue nor declared" if pool.accelerator else "the devices have no type"
        )
        check.wrong(place, "accelerator", FaultKind.UNKNOWN_WORD, problem, "Declare it under [[accelerator]], or correct it.")
    if pool.accelerator and pool.devices == 0:
        check.wrong(place, "devices", FaultKind.CONTRADICTION, "a type is named, but no device", "Say how many a node has.")
    if pool.devices == 0 and pool.cores_milli == 0:
        check.wrong(place, "cores", FaultKind.CONTRADICTION, "a node has neither devices nor cores", "Say what a node has.")
    if pool.node_watts and pool.idle_watts > pool.node_watts:
        check.wrong(place, "idle_watts", FaultKind.CONTRADICTION, "is more than node_watts", "Correct one of them.")
    if pool.ranks and len(set(pool.ranks)) != pool.nodes:
        check.wrong(place, "ranks", FaultKind.CONTRADICTION, "is not one place for each node", "Correct it.")
