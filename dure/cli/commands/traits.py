"""What a plan may prefer a site for: the carbon and the price of its power, and the data that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dure.cli.commands.options import Id, filled
from dure.cli.commands.people import done
from dure.cli.exits import Exit
from dure.cli.naming import resolved
from dure.cli.run import Run

_WON_PER_MWH = 1000  # of a won for a kilowatt-hour


def site_traits(
    run: Run,
    id: Id,
    carbon: Annotated[int | None, typer.Option("--carbon", help="opt.carbon", min=-1)] = None,
    price: Annotated[float | None, typer.Option("--power-price", help="opt.power_price", min=-1)] = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="opt.site_dataset", metavar="NAME", callback=filled)
    ] = None,
    no_datasets: Annotated[bool, typer.Option("--no-datasets", help="opt.no_datasets")] = False,
) -> None:
    if dataset and no_datasets:
        raise run.refusal("traits.one", Exit.USAGE)
    id = resolved(run, "site", id)
    won = None if price is None else -1 if price < 0 else round(price * _WON_PER_MWH)
    named = [] if no_datasets else dataset or None
    if carbon is None and won is None and named is None:
        _show(run, run.client.site(id))
        return
    row = run.client.set_traits(id, carbon_g_kwh=carbon, power_krw_mwh=won, datasets=named)
    done(run, row, "traits.set", id=id)
    _tell(run, row)


def _show(run: Run, row: Mapping[str, Any]) -> None:
    run.console.document({name: row.get(name) for name in ("carbon_g_kwh", "power_krw_mwh", "datasets")})
    _tell(run, row)


def _tell(run: Run, row: Mapping[str, Any]) -> None:
    """A plane of an older version tells nothing of them."""
    carbon, won = row.get("carbon_g_kwh", -1), row.get("power_krw_mwh", -1)
    unknown = run.t("traits.unknown")
    run.console.fields(
        {
            run.t("col.carbon"): unknown if carbon < 0 else run.t("traits.carbon", grams=carbon),
            run.t("col.power_price"): unknown if won < 0 else run.t("traits.price", won=won / _WON_PER_MWH),
            run.t("col.datasets"): ", ".join(row.get("datasets") or ()),
        }
    )
