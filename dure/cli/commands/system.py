"""The plane's own matters: the event chain, the rules in force, settings, versions, the API's description."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer
import yaml

import dure
from dure.agent.journal import read_heads
from dure.cli.commands.options import File, Limit
from dure.cli.commands.people import done, listed
from dure.cli.console import Column
from dure.cli.exits import Exit
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
    whole = proof.fault is None and own["fault"] is None
    run.console.document({**to_plain(proof), "unsealed": own["unsealed"], "plane_fault": own["fault"], "ok": whole})
    for known in proof.breaks:
        run.say("audit.break", incarnation=known.incarnation, after=known.after_seq, witnessed=known.witnessed_seq)
    if proof.fault is not None:
        fault = run.texts.word("fault", proof.fault.fault)
        run.console.say(run.t("audit.broken", seq=proof.fault.seq, event=proof.fault.event or "-", fault=fault), "bold red")
    if own["fault"] is not None:
        fault = run.texts.word("fault", own["fault"]["fault"])
        words = run.t("audit.refused", seq=own["fault"]["seq"], fault=fault, unsealed=own["unsealed"])
        run.console.say(words, "bold red")
    if whole:
        run.say("audit.whole", events=proof.events, heads=proof.heads, unsealed=own["unsealed"])
    return Exit.OK if whole else Exit.FAULTY


def audit_log(
    run: Run,
    after: Annotated[int, typer.Option("--after", help="opt.after", min=0)] = 0,
    subject: Annotated[str, typer.Option("--subject", help="opt.subject", metavar="ID")] = "",
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
    if len(rows) == limit:
        run.note("audit.more", after=rows[-1]["seq"])


def policy_show(run: Run) -> None:
    row = run.client.policy()
    run.console.document(row)
    run.say("policy.version", n=row["version"], when=run.when(row["created_ms"]))
    columns = [Column(run.t("col.resource")), Column(run.t("col.per_hour"), right=True), Column(run.t("col.currency"))]
    run.console.table(columns, [[p["resource"], f"{p['nano'] * 3600 / 1e9:,.2f}", p["currency"]] for p in row["prices"]])
    run.console.say("")
    classes = [Column(run.t("col.priority")), Column(run.t("col.value"), right=True), Column(run.t("col.preempts"))]
    run.console.table(classes, [[c["name"], str(c["value"]), run.t("word.yes") if c["preempts"] else ""] for c in row["classes"]])


def policy_set(run: Run, file: File) -> None:
    """Put a whole policy in force, from a YAML or JSON file of the shape that `policy show --json` prints."""
    try:
        policy: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        problem = run.problem(fault)
        raise run.refusal("submit.unreadable", Exit.USAGE, file=str(file), problem=problem) from fault
    if not isinstance(policy, dict):
        raise run.refusal("submit.unreadable", Exit.USAGE, file=str(file), problem=run.t("policy.not_mapping"))
    given = {name: value for name, value in policy.items() if name not in ("id", "version", "created_ms")}
    row = run.client.write_policy(given)
    done(run, row, "policy.written", n=row["version"])


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
