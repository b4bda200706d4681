"""Sites and nodes, and the farm as a whole: what its operators look at and do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dure.cli.commands.envelopes import closing_text, show_steps, show_windows, watts_text
from dure.cli.commands.options import Id, Name, NewId
from dure.cli.commands.people import done, listed
from dure.cli.console import Column
from dure.cli.exits import Exit
from dure.cli.naming import resolved
from dure.cli.run import Run
from dure.model.site import ATTESTED

KEPT_BACK_SHOWN = 5
AttemptId = Annotated[str, typer.Argument(help="arg.attempt", metavar="ATTEMPT")]
NodeId = Annotated[str, typer.Argument(help="arg.node", metavar="SITE/NODE")]


def site_list(run: Run) -> None:
    rows = [run.client.site(site["id"]) for site in run.client.sites()]
    run.console.document({"items": rows})
    columns = [
        Column(run.t("col.id"), keep=True),
        Column(run.t("col.region"), keep=True, spare=1),
        Column(run.t("col.backend"), spare=2),
        Column(run.t("col.state")),
        Column(run.t("col.nodes"), right=True),
        Column(run.t("col.cores"), right=True),
        Column(run.t("col.memory"), right=True),
        Column(run.t("col.devices"), right=True),
        Column(run.t("col.attempts"), right=True, spare=3),
        *([Column(run.t("col.power"), right=True)] if _capped(rows) else []),
    ]
    run.console.table(columns, [_site_row(run, row, power=_capped(rows)) for row in rows])


def _capped(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether what sites may draw is worth a column: of a plane of an older version it is not known."""
    return any(row.get("power_watts", -1) >= 0 for row in rows)


def _site_row(run: Run, row: dict[str, Any], *, power: bool) -> list[str]:
    use = row["use"]
    return [
        row["id"],
        row["region"],
        str(row["backend"].get("name", "")),
        _site_state(run, row),
        str(use["nodes_up"]),
        f"{use['cores_milli'] / 1000:g}",
        f"{use['memory_mib']:,} MiB",
        f"{use['devices_used']}/{use['devices']}",
        str(use["attempts"]),
        *([watts_text(run, row["power_watts"])] if power else []),
    ]


def _site_state(run: Run, row: dict[str, Any]) -> str:
    state = run.t("site.reachable" if row["reachable"] else "site.silent")
    drained = run.t("site.drained") if row["drained"] else ""
    return ", ".join(part for part in (state, drained, closing_text(run, row)) if part)


def site_show(run: Run, id: Id) -> None:
    row = run.client.site(resolved(run, "site", id))
    run.console.document(row)
    run.console.fields(
        {
            run.t("col.id"): row["id"],
            run.t("col.name"): row["name"],
            run.t("col.region"): row["region"],
            run.t("col.state"): _site_state(run, row),
            run.t("col.backend"): str(row["backend"].get("name", "")),
            run.t("col.isolation"): str(row["backend"].get("isolation", "")),
            run.t("col.pue"): f"{row['pue_permille'] / 1000:g}",
            run.t("col.power"): watts_text(run, row.get("power_watts", -1)),
            run.t("col.last_seen"): run.when(row["last_seen_ms"]),
        }
    )
    columns = [
        Column(run.t("col.node"), keep=True),
        Column(run.t("col.state")),
        Column(run.t("col.cores"), right=True),
        Column(run.t("col.memory"), right=True),
        Column(run.t("col.devices"), right=True),
        Column(run.t("col.accelerator"), spare=1),
    ]
    lines = [
        [
            n["id"],
            _node_state(run, n),
            f"{n['cores_milli'] / 1000:g}",
            f"{n['memory_mib']:,} MiB",
            str(n["devices"]),
            n["accelerator"],
        ]
        for n in row["nodes"]
    ]
    if lines:
        run.console.say("")
    run.console.table(columns, lines)
    if row.get("power"):
        run.console.say("")
        show_steps(run, row)
    if row.get("maintenance"):
        run.console.say("")
        show_windows(run, row["maintenance"])
    _live(run, row)


def _live(run: Run, row: dict[str, Any]) -> None:
    """What runs at a site, and behind it what is set aside and holds its place there."""
    if row["attempts"]:
        run.console.say("")
        live = [Column(run.t("col.try"), keep=True), Column(run.t("col.job")), Column(run.t("col.state"))]
        run.console.table(live, [[a["id"], a["workload"], run.texts.word("outcome", a["state"])] for a in row["attempts"]])
    if row.get("quarantined"):
        run.console.say("")
        run.say("site.aside")
        aside = [Column(run.t("col.try"), keep=True), Column(run.t("col.job")), Column(run.t("col.phase"))]
        rows = [_set_aside(q) for q in row["quarantined"]]
        run.console.table(aside, [[q["id"], q["workload"], q["phase"]] for q in rows])


def _node_state(run: Run, node: dict[str, Any]) -> str:
    state = run.t("node.up" if node["up"] else "node.down")
    return f"{state}, {run.t('site.drained')}" if node["drained"] else state


def site_add(
    run: Run,
    id: NewId,
    name: Name = "",
    region: Annotated[str, typer.Option("--region", help="opt.region")] = "",
    private: Annotated[bool, typer.Option("--private", help="opt.private")] = False,
    pue: Annotated[float, typer.Option("--pue", help="opt.pue", min=1.0, max=5.0)] = 1.3,
) -> None:
    site = run.client.create_site(
        id, name=name, region=region, owner_kind="private" if private else "public", pue_permille=round(pue * 1000)
    )
    token = run.client.site_token(id)
    run.console.document({**site, "token": token["token"]})
    run.say("site.added", id=id)
    run.console.say(token["token"])
    run.note("token.once", id=token["id"])


def site_drain(run: Run, id: Id) -> None:
    id = resolved(run, "site", id)
    done(run, run.client.drain_site(id), "done.drained", id=id)


def site_undrain(run: Run, id: Id) -> None:
    id = resolved(run, "site", id)
    done(run, run.client.undrain_site(id), "done.undrained", id=id)


def _node(run: Run, node: str) -> tuple[str, str]:
    site, slash, name = node.partition("/")
    if not (slash and site.strip() and name.strip()):
        raise run.refusal("node.name", Exit.USAGE, node=node)
    return resolved(run, "site", site), name


def node_list(run: Run) -> None:
    rows = [
        {**n, "cores": f"{n['cores_milli'] / 1000:g}", "memory": f"{n['memory_mib']:,} MiB", "state": _node_state(run, n)}
        for n in run.client.nodes()
    ]
    listed(
        run,
        rows,
        [
            ("col.node", "id"),
            ("col.state", "state"),
            ("col.cores", "cores"),
            ("col.memory", "memory"),
            ("col.accelerator", "accelerator"),
            ("col.devices", "devices"),
        ],
        {"accelerator": 1},
    )


def node_drain(run: Run, node: NodeId) -> None:
    site, name = _node(run, node)
    done(run, run.client.drain_node(site, name), "done.drained", id=node)


def node_undrain(run: Run, node: NodeId) -> None:
    site, name = _node(run, node)
    done(run, run.client.undrain_node(site, name), "done.undrained", id=node)


def attempt_stop(run: Run, attempt: AttemptId) -> None:
    done(run, run.client.stop_attempt(attempt), "done.stopping", id=attempt)


def attempt_attest(
    run: Run,
    attempt: AttemptId,
    yes: Annotated[bool, typer.Option("--yes", help="opt.yes")] = False,
    force: Annotated[bool, typer.Option("--force", help="opt.force_attest")] = False,
) -> None:
    if not yes:
        raise run.refusal("attest.sure", Exit.USAGE, id=attempt)
    done(run, run.client.attest_lost(attempt, force=force), "done.attested", id=attempt)


def quarantine_list(run: Run, all: Annotated[bool, typer.Option("--all", help="opt.all_resolved")] = False) -> None:
    rows = [_set_aside(row) for row in run.client.quarantine() if all or _open(row)]
    columns = [
        ("col.try", "id"),
        ("col.site", "site"),
        ("col.job", "workload"),
        ("col.project", "project"),
        ("col.phase", "phase"),
        ("col.devices", "devices"),
        ("col.when", "seen_ms"),
    ]
    listed(run, rows, [*columns, ("col.resolved", "resolved")] if all else columns, {"seen_ms": 1, "site": 2, "project": 3})


def _open(row: dict[str, Any]) -> bool:
    """Whether it is not settled: somebody has to decide, or its place is held although it was attested lost."""
    return not row["resolved"] or bool(row["resolved"] == ATTESTED and row["stopping"])


def _set_aside(row: dict[str, Any]) -> dict[str, Any]:
    """With what its site told of it: whose it is, how far it has come, and on which devices of which nodes."""
    seen = row["observation"]
    places = [f"{w['node']}:{','.join(map(str, w.get('devices') or ()))}" for w in seen.get("workers") or ()]
    told = {"project": seen.get("project", ""), "phase": seen.get("phase", ""), "devices": " ".join(places)}
    return {**row, **told, "workload": row["workload"] or seen.get("workload", "")}


def quarantine_dismiss(
    run: Run, attempt: AttemptId, force: Annotated[bool, typer.Option("--force", help="opt.force_dismiss")] = False
) -> None:
    done(run, run.client.dismiss_quarantine(attempt, force=force), "done.dismissed", id=attempt)


def quarantine_stop(run: Run, attempt: AttemptId) -> None:
    done(run, run.client.stop_quarantined(attempt), "done.stopping_aside", id=attempt)


def status(run: Run) -> None:
    """The farm in a few lines."""
    row = run.client.farm()
    run.console.document(row)

    run.console.fields(
        {
            run.t("col.sites"): str(row["sites"]),
            run.t("col.nodes"): _nodes(run, row),
            run.t("col.jobs"): run.counted(row["workloads"]) or run.t("word.none"),
            run.t("col.attempts"): run.counted(row["attempts"], "outcome") or run.t("word.none"),
            run.t("col.events"): f"{row['sealed_seq']:,}",
            run.t("col.incarnation"): str(row["incarnation"]),
            run.t("col.state"): run.t("farm.draining") if row["draining"] else run.t("farm.open"),
        }
    )
    contradiction = row["controller"].get("contradiction")
    if contradiction:
        fault = run.texts.word("fault", contradiction["fault"])
        run.console.say(run.t("farm.contradicted", seq=contradiction["seq"], fault=fault), "bold red")
    kept_back = row["controller"].get("kept_back")
    if kept_back:
        count = row["controller"]["kept_back_count"]
        run.console.say(run.t("farm.kept_back", count=count, ids=", ".join(kept_back[:KEPT_BACK_SHOWN])), "bold red")


def _nodes(run: Run, row: dict[str, Any]) -> str:
    """How many there are, and how many of them are drained or down, if any is."""
    out = row["nodes"] - row.get("nodes_in_use", row["nodes"])
    return run.t("farm.nodes_out", n=row["nodes"], out=out) if out else str(row["nodes"])


def farm_drain(run: Run) -> None:
    done(run, run.client.drain_farm(), "farm.now_draining")


def farm_undrain(run: Run) -> None:
    done(run, run.client.undrain_farm(), "farm.now_open")
