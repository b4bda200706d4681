"""What a site may draw and when nothing may run there, as its operators say it. What is over is forgotten with the next word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dure.controller.deed import Deed, record, touch
from dure.controller.rules import bad, not_found
from dure.model.envelope import UNCAPPED, WATTS_MAX, Maintenance, ahead, capped, same_window, since
from dure.model.reason import Reason
from dure.model.site import Node, Site
from dure.ports import Tx

# Of one site, still to come: a step an hour for three weeks. They are read with every plan.
STEPS_MAX = 500
WINDOWS_MAX = 500


def set_power(
    tx: Tx, deed: Deed, *, site: str, watts: int | None, from_ms: int | None = None, until_ms: int | None = None
) -> Site | Reason:
    """What a site may draw at the meter, from a moment (None, or one that has passed: now) until another (None: for ever).

    watts None: no cap. Behind `until_ms` the envelope is as it was. Said again, it changes nothing."""
    row = tx.get(Site, site)
    if row is None:
        return not_found("site", site)
    begin = max(deed.now_ms, from_ms or 0)
    if until_ms is not None and until_ms <= begin:
        return bad("ends", "ends_before_start")
    if watts is not None and not 0 <= watts <= WATTS_MAX:
        return bad("watts", "too_small", limit=0) if watts < 0 else bad("watts", "too_large", limit=WATTS_MAX)
    cap = UNCAPPED if watts is None else watts
    before = since(row.power, deed.now_ms)
    power = since(capped(before, cap, begin, until_ms), deed.now_ms)
    if len(power) > STEPS_MAX:
        return bad("power", "too_many", limit=STEPS_MAX)
    if power == before:
        return row
    changed: Site = tx.update(_pruned(replace(row, power=power), deed.now_ms))
    data = {"watts": cap, "from_ms": begin, "until_ms": until_ms}
    record(tx, deed, "site.power_set", site, site=site, data=data, touched=touch(changed))
    return changed


def plan_maintenance(
    tx: Tx, deed: Deed, *, site: str, until_ms: int, from_ms: int | None = None, nodes: Sequence[str] = (), note: str = ""
) -> Maintenance | Reason:
    """Let nothing run on a site, or on some of its nodes, from a moment (None: now) until another.

    Nothing starts that would not be over by then; what runs is not stopped. The same window again changes nothing."""
    row = tx.get(Site, site)
    if row is None:
        return not_found("site", site)
    begin = deed.now_ms if from_ms is None else from_ms
    if until_ms <= begin:
        return bad("ends", "ends_before_start")
    if until_ms <= deed.now_ms:
        return bad("ends", "in_the_past")
    strange = next((name for name in nodes if tx.get(Node, f"{site}/{name}") is None), None)
    if strange is not None:
        return not_found("node", f"{site}/{strange}")
    known = same_window(row.maintenance, begin, until_ms, nodes)
    if known is not None:
        return known
    window = Maintenance(id=deed.new_id("mw"), from_ms=begin, until_ms=until_ms, nodes=tuple(sorted(set(nodes))), note=note)
    changed = _pruned(replace(row, maintenance=(*row.maintenance, window)), deed.now_ms)
    if len(changed.maintenance) > WINDOWS_MAX:
        return bad("maintenance", "too_many", limit=WINDOWS_MAX)
    _tell(tx, deed, "site.maintenance_planned", tx.update(changed), window)
    return window


def cancel_maintenance(tx: Tx, deed: Deed, *, site: str, window: str) -> Maintenance | Reason:
    """Take a window back: work may run there again."""
    row = tx.get(Site, site)
    if row is None:
        return not_found("site", site)
    found = next((w for w in row.maintenance if w.id == window), None)
    if found is None:
        return not_found("maintenance", window)
    kept = tuple(w for w in row.maintenance if w.id != window)
    _tell(tx, deed, "site.maintenance_cancelled", tx.update(_pruned(replace(row, maintenance=kept), deed.now_ms)), found)
    return found


def _tell(tx: Tx, deed: Deed, kind: str, site: Site, window: Maintenance) -> None:
    """The note stays out of it: an event is for ever, and a note is free text."""
    data = {"window": window.id, "from_ms": window.from_ms, "until_ms": window.until_ms, "nodes": list(window.nodes)}
    record(tx, deed, kind, site.id, site=site.id, data=data, touched=touch(site))


def _pruned(site: Site, now_ms: int) -> Site:
    return replace(site, power=since(site.power, now_ms), maintenance=ahead(site.maintenance, now_ms))
