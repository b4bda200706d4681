"""Quotas: who has, uses, borrows and lends how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dure.cli.console import Column
from dure.cli.naming import project_filter
from dure.cli.run import Run
from dure.model.policy import NO_LIMIT
from dure.model.render import tenant_words

Plain = Mapping[str, Any]
MILLI = 1000


def quota(run: Run) -> None:
    row = run.client.quotas(project=project_filter(run))
    run.console.document(row)
    if not row["items"]:
        run.say("quota.none")
        return
    names = ("nominal", "used", "borrowed", "lent", "available")
    columns = [
        Column(run.t("col.tenant"), slug=True),
        Column(run.t("col.resource")),
        *(Column(run.t(f"col.quota_{name}"), right=True) for name in names),
        *_limits(run),
    ]
    lines = [
        [*_whose(run, item), *(_amount(item[f"{name}_milli"]) for name in names), *_limit_cells(item)] for item in row["items"]
    ]
    run.console.table(columns, lines)
    run.say("quota.as_of", when=run.moment(row["as_of_ms"]))


def tell_quotas(run: Run, items: Iterable[Plain]) -> None:
    """The quotas of a policy, as a table behind the others; nothing when there are none."""
    lines = [[*_whose(run, item), _amount(item["nominal_milli"]), *_limit_cells(item)] for item in items]
    if not lines:
        return
    run.console.say("")
    columns = [
        Column(run.t("col.tenant"), slug=True),
        Column(run.t("col.resource")),
        Column(run.t("col.quota_nominal"), right=True),
    ]
    run.console.table([*columns, *_limits(run)], lines)


def limit_words(run: Run, milli: int) -> str:
    return run.t("quota.no_limit") if milli == NO_LIMIT else _amount(milli)


def _limits(run: Run) -> list[Column]:
    return [Column(run.t(f"col.quota_{name}"), right=True, spare=1) for name in ("borrow_max", "lend_max")]


def _limit_cells(item: Plain) -> list[str]:
    return ["" if item[name] == NO_LIMIT else _amount(item[name]) for name in ("borrow_max_milli", "lend_max_milli")]


def _whose(run: Run, item: Plain) -> list[str]:
    return [tenant_words(item["of"], run.texts.lang), item["resource"]]


def _amount(milli: int) -> str:
    """In devices or cores, with as many decimals as it has."""
    whole, rest = divmod(milli, MILLI)
    return f"{whole:,}" + (f".{rest:03}".rstrip("0") if rest else "")
