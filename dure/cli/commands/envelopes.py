"""What sites may draw over time, and when nothing may run there: what their operators set, and everybody may look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from dure.cli.commands.options import Id, filled
from dure.cli.commands.people import done
from dure.cli.console import Column
from dure.cli.exits import Exit
from dure.cli.naming import resolved
from dure.cli.run import Run
from dure.model.envelope import parse_watts
from dure.model.render import power_words


def site_power(
    run: Run,
    id: Id,
    watts: Annotated[str | None, typer.Argument(help="arg.watts", metavar="POWER")] = None,
    begins: Annotated[str, typer.Option("--from", help="opt.power_from", metavar="MOMENT", callback=filled)] = "",
    until: Annotated[str, typer.Option("--until", help="opt.power_until", metavar="MOMENT", callback=filled)] = "",
    clear: Annotated[bool, typer.Option("--clear", help="opt.clear_power")] = False,
) -> None:
    if watts is None and not clear:
        if begins or until:
            raise run.refusal("power.alone", Exit.USAGE)
        _show_power(run, resolved(run, "site", id))
        return
    if watts is not None and clear:
        raise run.refusal("power.one", Exit.USAGE)
    cap = None if watts is None else parse_watts(watts)
    if watts is not None and cap is None:
        raise run.refusal("power.form", Exit.USAGE, text=watts)
    id = resolved(run, "site", id)
    row = run.client.set_power(id, cap, starts=begins or None, ends=until or None)
    if cap is None:
        done(run, row, "power.cleared", id=id)
    elif begins:
        done(run, row, "power.set_later", id=id, power=watts_text(run, cap), when=begins)
    else:
        done(run, row, "power.set", id=id, power=watts_text(run, cap))


def _show_power(run: Run, id: str) -> None:
    row = run.client.site(id)
    run.console.document({"power": row.get("power", []), "power_watts": row.get("power_watts", -1)})
    show_steps(run, row)


def watts_text(run: Run, watts: int) -> str:
    return run.t("power.none") if watts < 0 else power_words(watts * 1000)


def show_steps(run: Run, row: Mapping[str, Any]) -> None:
    """The steps of a site's power, or that there is none. A plane of an older version tells nothing of it."""
    steps = row.get("power") or []
    if not steps:
        run.console.say(run.t("power.none"))
        return
    columns = [Column(run.t("col.starts"), keep=True), Column(run.t("col.power"), right=True, keep=True)]
    run.console.table(columns, [[run.when(s["from_ms"]), watts_text(run, s["watts"])] for s in steps])


def site_maintenance(
    run: Run,
    id: Id,
    begins: Annotated[str, typer.Option("--from", help="opt.maintenance_from", metavar="MOMENT", callback=filled)] = "",
    until: Annotated[str, typer.Option("--until", help="opt.maintenance_until", metavar="MOMENT", callback=filled)] = "",
    node: Annotated[list[str] | None, typer.Option("--node", help="opt.maintenance_node", callback=filled)] = None,
    note: Annotated[str, typer.Option("--note", help="opt.maintenance_note")] = "",
    remove: Annotated[str, typer.Option("--remove", help="opt.maintenance_remove", metavar="WINDOW", callback=filled)] = "",
) -> None:
    given = bool(begins or until or node or note)
    if remove and given:
        raise run.refusal("maintenance.one", Exit.USAGE)
    if given and not until:
        raise run.refusal("maintenance.until", Exit.USAGE)
    id = resolved(run, "site", id)
    if remove:
        done(run, run.client.cancel_maintenance(id, remove), "maintenance.removed", id=remove)
    elif until:
        names = [name.removeprefix(f"{id}/") for name in node or []]
        row = run.client.plan_maintenance(id, starts=begins or None, ends=until, nodes=names, note=note)
        command = f"dure node drain {id}/{names[0]}" if names else f"dure site drain {id}"
        done(run, row, "maintenance.planned", site=id, begin=run.when(row["from_ms"]), command=command)
    else:
        row = run.client.site(id)
        run.console.document({"items": row.get("maintenance", [])})
        show_windows(run, row.get("maintenance", []))


def show_windows(run: Run, windows: Sequence[Mapping[str, Any]]) -> None:
    if not windows:
        run.say("list.none")
        return
    columns = [
        Column(run.t("col.window"), keep=True),
        Column(run.t("col.starts"), keep=True),
        Column(run.t("col.expires"), keep=True),
        Column(run.t("col.maintenance_nodes")),
        Column(run.t("col.note"), spare=1),
    ]
    rows = [
        [
            w["id"],
            run.when(w["from_ms"]),
            run.when(w["until_ms"]),
            ", ".join(w["nodes"]) or run.t("maintenance.whole"),
            w["note"],
        ]
        for w in windows
    ]
    run.console.table(columns, rows)


def closing_text(run: Run, row: Mapping[str, Any]) -> str:
    """The next time in which a whole site is closed, for its state; "" when none is planned."""
    whole = next((w for w in row.get("maintenance") or () if not w["nodes"]), None)
    return run.t("maintenance.closed", begin=run.when(whole["from_ms"]), end=run.when(whole["until_ms"])) if whole else ""
