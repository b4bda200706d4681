"""The plane's own matters: the event chain, settings, versions, the API's description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Any

import typer

import dure
from dure.agent.journal import read_heads
from dure.cli.commands.options import Limit, filled
from dure.cli.commands.people import listed
from dure.cli.console import Column
from dure.cli.exits import Exit
from dure.cli.findings import finding_text
from dure.cli.naming import project_filter
from dure.cli.run import Run
from dure.client.audit import prove
from dure.config import SETTINGS, load, settings_page
from dure.model.codec import to_plain
from dure.model.link import PROTOCOL


def audit_verify(run: Run, key: Annotated[str, typer.Option("--key", help="opt.public_key", metavar="HEX")] = "") -> int:
    """Prove the chain without trusting the plane, and hold it against the heads in the agent's journal when that is here."""
    journal = run.config.agent_folder
    heads = read_heads(journal) if journal.is_dir() else []
    proof = prove(run.client, heads, public_key=key or str(run.client.farm()["public_key"]))
    own = run.client.verify_audit()  # the plane's own proof: it knows which head it signed last
    whole = proof.fault is None and own["ok"]
    told = {"unsealed": own["unsealed"], "plane_fault": own["fault"], "findings": own["findings"], "unproved": own["unproved"]}
    run.console.document({**to_plain(proof), **told, "ok": whole})
    for known in proof.breaks:
        run.say("audit.break", incarnation=known.incarnation, after=known.after_seq, witnessed=known.witnessed_seq)
    if proof.fault is not None:
        fault = run.texts.word("fault", proof.fault.fault)
        run.console.say(run.t("audit.broken", seq=proof.fault.seq, event=proof.fault.event or "-", fault=fault), "bold red")
    if own["fault"] is not None:
        fault = run.texts.word("fault", own["fault"]["fault"])
        event = own["fault"]["event"] or "-"
        words = run.t("audit.refused", seq=own["fault"]["seq"], event=event, fault=fault, unsealed=own["unsealed"])
        run.console.say(words, "bold red")
    for found in own["findings"]:
        run.console.say(finding_text(run, "audit.finding", found), "bold red")
    if whole:
        run.say("audit.whole", events=proof.events, heads=proof.heads, unsealed=own["unsealed"])
    return Exit.OK if whole else Exit.FAULTY


def audit_log(
    run: Run,
    after: Annotated[int, typer.Option("--after", help="opt.after", min=0)] = 0,
    subject: Annotated[str, typer.Option("--subject", help="opt.subject", metavar="ID", callback=filled)] = "",
    limit: Limit = 100,
) -> None:
    rows = list(islice(run.client.events(after=after, project=project_filter(run), subject=subject), limit))
    run.console.document({"items": rows})
    columns = [
        Column(run.t("col.seq"), right=True),
        Column(run.t("col.when"), keep=True),
        Column(run.t("col.event"), keep=True),
        Column(run.t("col.subject"), keep=True),
        Column(run.t("col.actor"), keep=True, spare=1),
    ]
    run.console.table(columns, [[str(e["seq"]), run.moment(e["at_ms"]), e["kind"], e["subject"], e["actor"]] for e in rows])
    _borrowed(run, rows)
    if len(rows) == limit:
        run.note("audit.more", after=rows[-1]["seq"])


def _borrowed(run: Run, events: Sequence[Mapping[str, Any]]) -> None:
    """Which of them were done with a token that somebody else may hold. Below the table, where no narrow terminal hides it."""
    for event in (e for e in events if "credential" in e["data"]):
        told = {"credential": event["data"]["credential"], "maker": event["data"].get("made_by", "-")}
        run.say("audit.shown", seq=event["seq"], actor=event["actor"], **told)


def settings(run: Run, page: Annotated[bool, typer.Option("--page", help="opt.page_md")] = False) -> None:
    if page:
        run.console.raw(settings_page(run.texts.lang))
        return
    now = load(run.environ)
    rows = [
        {"env": s.env, "value": _shown(s.name, getattr(now, s.name)), "unit": s.unit, "about": getattr(s, run.texts.lang)}
        for s in SETTINGS
    ]
    columns = [("col.variable", "env"), ("col.value", "value"), ("col.unit", "unit"), ("col.about", "about")]
    listed(run, rows, columns, {"unit": 1})


def _shown(name: str, value: Any) -> str:
    """A setting as it may be seen: a secret only says that it is there."""
    return "***" if name == "token" and value else str(value)


def version(run: Run) -> None:
    run.console.document({"version": dure.__version__, "protocol": PROTOCOL, "api": "v1"})
    run.console.say(f"dure {dure.__version__}")
