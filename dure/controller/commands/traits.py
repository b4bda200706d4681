"""What a plan may prefer a site for: the carbon and the price of its power, and the data that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dure.controller.deed import Deed, record, touch
from dure.controller.rules import bad, not_found
from dure.model.reason import Reason
from dure.model.site import UNTOLD, Site
from dure.ports import Tx

CARBON_MAX, POWER_PRICE_MAX = 10_000, 10**9  # g/kWh: ten times the dirtiest coal; won/MWh
DATASETS_MAX = 1_000  # data sets of a site


def set_traits(
    tx: Tx, deed: Deed, *, site: str, carbon_g_kwh: int | None = None, power_krw_mwh: int | None = None,
    datasets: Sequence[str] | None = None,
) -> Site | Reason:  # fmt: skip
    """Say what is known of a site now. None: as it was; `UNTOLD`: nobody knows. datasets: all that are there. Said again, it
    changes nothing."""
    row = tx.get(Site, site)
    if row is None:
        return not_found("site", site)
    for field, value, most in (("carbon_g_kwh", carbon_g_kwh, CARBON_MAX), ("power_krw_mwh", power_krw_mwh, POWER_PRICE_MAX)):
        if value is not None and not UNTOLD <= value <= most:
            return bad(field, "too_small", limit=0) if value < UNTOLD else bad(field, "too_large", limit=most)
    if datasets is not None and len(set(datasets)) > DATASETS_MAX:
        return bad("datasets", "too_many", limit=DATASETS_MAX)
    told = replace(
        row,
        carbon_g_kwh=row.carbon_g_kwh if carbon_g_kwh is None else carbon_g_kwh,
        power_krw_mwh=row.power_krw_mwh if power_krw_mwh is None else power_krw_mwh,
        datasets=row.datasets if datasets is None else tuple(sorted(set(datasets))),
    )
    if told == row:
        return row
    changed: Site = tx.update(told)
    facts = {"carbon_g_kwh": changed.carbon_g_kwh, "power_krw_mwh": changed.power_krw_mwh, "datasets": list(changed.datasets)}
    record(tx, deed, "site.traits_set", site, site=site, data=facts, touched=touch(changed))
    return changed
