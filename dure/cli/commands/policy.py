"""The rules: those in force, those that were, and putting others in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from dure.cli.commands.quotas import limit_words, tell_quotas
from dure.cli.console import Column
from dure.cli.exits import Exit
from dure.cli.policies import BadItems, factor, merged
from dure.cli.run import Run
from dure.client.plane import POLICY_READ_ONLY
from dure.model.money import NANO

Plain = Mapping[str, Any]
PolicyFile = Annotated[Path | None, typer.Argument(help="arg.policy_file", metavar="FILE", dir_okay=False)]
HOUR_S = 3600
CHANGES_SHOWN = 3  # of one version in the list; `policy show --version N` tells all


def policy_show(
    run: Run, version: Annotated[int | None, typer.Option("--version", help="opt.policy_version", min=1)] = None
) -> None:
    row = run.client.policy_version(version) if version else run.client.policy()
    run.console.document(row)
    run.say("policy.version", n=row["version"], when=run.when(row["created_ms"]))
    columns = [Column(run.t("col.resource")), Column(run.t("col.per_hour"), right=True), Column(run.t("col.currency"))]
    run.console.table(columns, [[p["resource"], _an_hour(p["nano"]), p["currency"]] for p in row["prices"]])
    run.console.say("")
    classes = [
        Column(run.t("col.priority")),
        Column(run.t("col.value"), right=True),
        Column(run.t("col.price_factor"), right=True),
        Column(run.t("col.preempts")),
        Column(run.t("col.yields")),
    ]
    said = run.t("word.yes")
    lines = [
        [c["name"], str(c["value"]), factor(c), said if c["preempts"] else "", said if c.get("yields") else ""]
        for c in row["classes"]
    ]
    run.console.table(classes, lines)
    tell_quotas(run, row["quotas"])
    _tell_means(run, row)
    _tell_preferences(run, row.get("preferences") or ())
    if row.get("speeds"):  # of a plane of an older version there are none
        run.console.say("")
        run.say("policy.speeds", speeds=", ".join(f"{s['accelerator']} {s['milli'] / 1000:g}" for s in row["speeds"]))
    for line in _changes(run, row) if version else ():
        run.console.say(line)


def _tell_means(run: Run, row: Plain) -> None:
    """Whether quotas reclaim and work is moved; of a plane of an older version that knows of neither, nothing."""
    told = [f"policy.{name}.{'yes' if row[name] else 'no'}" for name in ("reclaims", "moves") if name in row]
    told += [f"policy.{name}.{row[name]}" for name in ("order", "packing") if name in row]
    if told:
        run.console.say("")
    for sentence in told:
        run.say(sentence)


def _tell_preferences(run: Run, preferences: Iterable[Plain]) -> None:
    """Also by a plane of an older version, which has none."""
    lines = [run.t("policy.preference_bound" if p["most"] >= 0 else "policy.preference", **p) for p in preferences]
    if lines:
        run.console.say("")
        run.say("policy.preferences")
        for line in lines:
            run.console.say(f"  {line}")


def _an_hour(nano: int) -> str:
    return f"{nano * HOUR_S / NANO:,.2f}"


def policy_list(run: Run) -> None:
    rows = list(run.client.policies())
    run.console.document({"items": rows})
    columns = [
        Column(run.t("col.version"), right=True),
        Column(run.t("col.when"), keep=True),
        Column(run.t("col.actor"), slug=True, spare=1),
        Column(run.t("col.changes")),
    ]
    run.console.table(columns, [[str(r["version"]), run.moment(r["created_ms"]), r["written_by"], _few(run, r)] for r in rows])


def _few(run: Run, row: Plain) -> str:
    told = [line.strip() for line in _changes(run, row)]
    if not told:
        return run.t("policy.founded") if row["version"] == 1 else ""
    more = [run.t("policy.more", n=len(told) - CHANGES_SHOWN)] if len(told) > CHANGES_SHOWN else []
    return "; ".join([*told[:CHANGES_SHOWN], *more])


def _changes(run: Run, row: Plain) -> Iterator[str]:
    """Field: old -> new; prices by item and hour, as people think of them."""
    for change in row["changes"]:
        what, _, rest = change["field"].partition(".")
        words: Callable[[Any], str] = _an_hour if what == "prices" else str
        if what == "quotas":
            words = partial(limit_words, run)
        old, new = (run.t("policy.absent") if v is None else words(v) for v in (change["old"], change["new"]))
        if what == "prices":
            resource, _, currency = rest.rpartition(".")
            yield run.t("policy.change_price", resource=resource, currency=currency, old=old, new=new)
        else:
            yield run.t("policy.change", field=change["field"], old=old, new=new)


def policy_set(
    run: Run,
    file: PolicyFile = None,
    from_version: Annotated[int | None, typer.Option("--from-version", help="opt.from_version", min=1)] = None,
    free: Annotated[bool, typer.Option("--free", help="opt.free")] = False,
) -> None:
    """Merge a YAML or JSON file into the policy in force, or put an older one back, and say what is different."""
    if (file is None) == (from_version is None):
        raise run.refusal("policy.one_source", Exit.USAGE)
    now = run.client.policy()
    given: Plain = _read(run, file) if file is not None else {}
    try:
        wanted = run.client.policy_version(from_version) if from_version else merged(now, given)
    except BadItems as wrong:
        raise _unreadable(run, file, run.t("policy.bad_items", field=wrong.field, member=wrong.key)) from wrong
    if all(wanted[name] == now.get(name) for name in wanted if name not in POLICY_READ_ONLY):
        run.console.document(now)
        run.say("policy.same", n=now["version"])
        return
    # A file that was printed by `policy show --json` says on which version it is based; else it is what was merged into.
    based_on = given.get("version", now["version"])
    row = run.client.write_policy(wanted, based_on=based_on, free=free)
    run.console.document(row)
    run.say("policy.written", n=row["version"])
    for line in _changes(run, row):
        run.console.say(line)
    if free:
        run.say("policy.free")


def _read(run: Run, file: Path) -> Plain:
    try:
        given: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise _unreadable(run, file, run.problem(fault)) from fault
    if not isinstance(given, dict):
        raise _unreadable(run, file, run.t("policy.not_mapping"))
    return given


def _unreadable(run: Run, file: Path | None, problem: str) -> Exception:
    refusal: Exception = run.refusal("submit.unreadable", Exit.USAGE, file=str(file), problem=problem)
    return refusal
