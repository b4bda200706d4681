"""Money: programmes, awards, the statement of a project, and the proof of the books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from dure.cli.commands.options import Amount, Id, Name, NewId, Sites, Starts, filled
from dure.cli.commands.people import done
from dure.cli.console import Column
from dure.cli.exits import Exit
from dure.cli.findings import finding_text
from dure.cli.naming import filtered, project_filter, project_of, resolved
from dure.cli.run import Run
from dure.model.funding import WithdrawalReason
from dure.model.money import NANO, nano_text


class View(StrEnum):
    STATEMENT = "statement"
    TRANSFERS = "transfers"
    VERIFY = "verify"


Currency = Annotated[str, typer.Option("--currency", help="opt.currency")]


def programme_create(
    run: Run,
    id: NewId,
    amount: Annotated[int, typer.Option("--budget", help="opt.budget", min=1)],
    starts: Starts,
    ends: Annotated[str, typer.Option("--ends", help="opt.ends", metavar="DATE")],
    name: Name = "",
    currency: Currency = "KRW",
) -> None:
    done(run, run.client.create_programme(id, name or id, amount, starts=starts, ends=ends, currency=currency), "done.created")


def _purses(
    run: Run,
    rows: Sequence[Mapping[str, Any]],
    whole: str,
    extra: tuple[tuple[str, str, int], ...],
    cash: Sequence[str] = (),
    awards: bool = False,
) -> None:
    """Things with an amount of money, and what is left of it. extra: heading, member, whether it can be spared (see `Column`);
    cash: further members that are money; awards: they are told what they may pay for."""
    run.console.document({"items": rows})
    told = _may_pay(run, rows) if awards else []
    columns = [
        Column(run.t("col.id"), keep=True),
        *(Column(run.t(key), slug=True, keep=m.endswith("_ms"), spare=spare) for key, m, spare in extra),
        Column(run.t("col.amount"), right=True),
        *(Column(run.t(f"col.{member}"), right=True, spare=1) for member in cash),
        Column(run.t("col.available"), right=True),
        *([Column(run.t("col.may_pay"))] if told else []),
    ]
    lines = [
        [
            r["id"],
            *(run.last_day(r[m]) if m.endswith("_ms") else str(r[m]) for _, m, _ in extra),
            *(run.money(r[member], r["currency"]) for member in (whole, *cash, "available")),
            *told[i : i + 1],
        ]
        for i, r in enumerate(rows)
    ]
    run.console.table(columns, lines)
    if not rows:
        run.say("list.none")


def programme_list(run: Run) -> None:
    _purses(run, list(run.client.programmes()), "budget", (("col.name", "name", 0), ("col.ends", "ends_ms", 1)))


def programme_show(run: Run, id: Id) -> None:
    row = run.client.programme(resolved(run, "programme", id))
    run.console.document(row)
    run.console.fields(
        {
            run.t("col.id"): row["id"],
            run.t("col.name"): row["name"],
            run.t("col.budget"): run.money(row["budget"], row["currency"]),
            run.t("col.available"): run.money(row["available"], row["currency"]),
            run.t("col.starts"): run.when(row["starts_ms"]),
            run.t("col.ends"): run.last_day(row["ends_ms"]),
        }
    )


def programme_fund(run: Run, id: Id, amount: Amount) -> None:
    row = run.client.fund_programme(resolved(run, "programme", id), amount)
    done(run, row, "done.funded", budget=run.money(row["budget"], row["currency"]))


def award_create(
    run: Run,
    programme: Annotated[str, typer.Argument(help="arg.programme", metavar="PROGRAMME")],
    project: Annotated[str, typer.Argument(help="arg.project", metavar="PROJECT")],
    amount: Amount,
    starts: Starts,
    expires: Annotated[str, typer.Option("--expires", help="opt.expires", metavar="DATE")],
    site: Sites = None,
    accelerator: Annotated[list[str] | None, typer.Option("--accelerator", help="opt.award_accelerator")] = None,
) -> None:
    programme, project = resolved(run, "programme", programme), resolved(run, "project", project)
    row = run.client.create_award(
        programme, project, amount, starts=starts, expires=expires, sites=site or [], accelerators=accelerator or []
    )
    done(run, row, "done.awarded", amount=run.money(row["amount"], row["currency"]), project=project)


def award_list(
    run: Run, programme: Annotated[str, typer.Option("--programme", help="opt.programme", callback=filled)] = ""
) -> None:
    rows = list(run.client.awards(project=project_filter(run), programme=filtered(run, "programme", programme)))
    extra = (("col.programme", "programme", 3), ("col.project", "project", 0), ("col.expires", "expires_ms", 2))
    _purses(run, rows, "amount", extra, ("withdrawn", "spent"), awards=True)


def _may_pay(run: Run, awards: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each may pay for: a column for when one is not open everywhere and for everything, else []."""
    told = [_pays(run, a) for a in awards]
    return told if set(told) - {run.t("award.open")} else []


def _pays(run: Run, award: Mapping[str, Any]) -> str:
    """A plane of an older version says less of its awards, and nothing is made up of that."""
    opens = run.when(award.get("starts_ms", 0)).removesuffix(" 00:00 KST")
    when = {"later": [run.t("award.opens", when=opens)], "ended": [run.t("award.ended")]}.get(award.get("standing", ""), [])
    where = [run.t("award.only", what=", ".join(award[rule])) for rule in ("sites", "accelerators") if award.get(rule)]
    return "; ".join([*when, *where]) or run.t("award.open")


def award_show(run: Run, id: Id) -> None:
    row = run.client.award(resolved(run, "award", id))
    run.console.document(row)
    members = ("amount", "withdrawn", "available", "held", "spent", "refunded", "lapsed")
    cash = {member: run.money(row[member], row["currency"]) for member in members}
    run.console.fields(
        {
            run.t("col.id"): row["id"],
            run.t("col.programme"): row["programme"],
            run.t("col.project"): row["project"],
            **{run.t(f"col.{name}"): text for name, text in cash.items()},
            run.t("col.starts"): run.when(row["starts_ms"]),
            run.t("col.expires"): run.last_day(row["expires_ms"]),
            run.t("col.sites"): ", ".join(row["sites"]),
            run.t("col.accelerators"): ", ".join(row["accelerators"]),
        }
    )


def award_withdraw(
    run: Run,
    id: Id,
    amount: Annotated[int | None, typer.Option("--amount", help="opt.amount_back", min=1)] = None,
    reason: Annotated[WithdrawalReason, typer.Option("--reason", help="opt.reason")] = WithdrawalReason.OTHER,
) -> None:
    row = run.client.withdraw_award(resolved(run, "award", id), amount or 0, reason)
    cash = {member: run.money(row[member], row["currency"]) for member in ("amount", "withdrawn", "available")}
    done(run, row, "done.withdrawn", **cash)


def ledger(run: Run, view: Annotated[View, typer.Argument(help="arg.ledger_view")] = View.STATEMENT) -> int:
    if view is View.VERIFY:
        run.tenant = False  # the books of all are for auditors
        return _verify(run)
    if view is View.TRANSFERS:
        return _transfers(run)
    project = project_of(run)
    answer = run.client.statement(project)
    run.console.document(answer)
    tell_statement(run, answer, {job["workload"]: job["name"] for job in answer["jobs"]})
    return Exit.OK if not answer["findings"] else Exit.FAULTY


def tell_statement(run: Run, answer: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """A project's statement as a table: one line a job, arrays gathered, then the totals, the awards and what is wrong."""
    columns = [
        Column(run.t("col.job"), slug=True),
        Column(run.t("col.tries"), right=True),
        Column(run.t("col.quoted"), right=True, spare=1),
        Column(run.t("col.held"), right=True, spare=2),
        Column(run.t("col.settled"), right=True),
        Column(run.t("col.released"), right=True, spare=3),
        Column(run.t("col.refunded"), right=True),
        Column(run.t("col.cost"), right=True),
        Column(run.t("col.energy_wh"), right=True),
    ]
    lines = [_statement_row(line, "") for line in gathered(answer["jobs"], names)]
    lines += [
        _statement_row({**total, "name": ""}, run.t("ledger.total", currency=total["currency"])) for total in answer["totals"]
    ]
    if answer["partial"]:
        run.say("ledger.partial")
    else:
        run.console.table(columns, lines)
        run.say("ledger.unit")
    _tell_awards(run, answer["awards"])
    for line in answer["remainders"]:
        if line["nano"]:
            run.say("ledger.carried", site=line["site"], amount=run.exact(line["nano"], line["currency"]))
    for finding in answer["findings"]:
        run.console.say(finding_text(run, "ledger.finding", finding), "bold red")
    if not answer["findings"]:
        run.say("ledger.adds_up")


def _tell_awards(run: Run, awards: Sequence[Mapping[str, Any]]) -> None:
    """What each award gave, and what it has left. A narrow terminal is spared what is mostly nothing."""
    told = _may_pay(run, awards)
    members = (("granted", 0), ("spent", 0), ("refunded", 2), ("withdrawn", 4), ("expired", 3), ("pending", 1), ("available", 0))
    columns = [
        Column(run.t("col.award"), keep=True),
        *(Column(run.t(f"col.{name}"), right=True, spare=spare) for name, spare in members),
        *([Column(run.t("col.may_pay"))] if told else []),
    ]
    lines = [
        [a["account"].removeprefix("award:"), *(run.money(a[name], a["currency"]) for name, _ in members), *told[i : i + 1]]
        for i, a in enumerate(awards)
    ]
    run.console.say("")
    run.console.table(columns, lines)


_SUMS = ("attempts", "quoted", "held", "pending", "settled", "released", "refunded", "net", "carried_nano", "energy_mwh")


def gathered(jobs: list[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Statement lines with names; the elements of an array become one line."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for job in jobs:
        base, dot, _ = job["workload"].partition(".")
        line = groups.setdefault(
            (base, job["currency"]),
            {**job, "name": names.get(job["workload"], job["workload"]), "elements": 0, **dict.fromkeys(_SUMS, 0)},
        )
        line["elements"] += 1 if dot else 0
        for member in _SUMS:
            line[member] += job[member]
    return list(groups.values())


def _statement_row(line: Mapping[str, Any], title: str) -> list[str]:
    name = title or (f"{line['name']} × {line['elements']}" if line.get("elements") else line["name"])
    return [
        name,
        str(line["attempts"]),
        *(f"{line[m]:,}" for m in ("quoted", "held", "settled", "released", "refunded")),
        nano_text(line["net"] * NANO + line["carried_nano"], 3),
        f"{line['energy_mwh'] / 1000:,.3f}",
    ]


def _verify(run: Run) -> int:
    answer = run.client.verify_ledger()
    run.console.document(answer)
    findings = answer["findings"]
    if not findings:
        run.say("ledger.verified", transfers=answer["transfers"], accounts=answer["accounts"], attempts=answer["attempts"])
        if answer["unproved"]:
            run.say("ledger.unproved", rows=answer["unproved"], unsealed=answer["unsealed"])
        return Exit.OK
    run.console.say(finding_text(run, "ledger.first_bad", findings[0]), "bold red")
    return Exit.FAULTY


def _transfers(run: Run) -> int:
    rows = list(run.client.transfers(project=project_of(run)))
    run.console.document({"items": rows})
    columns = [
        Column(run.t("col.when"), keep=True),
        Column(run.t("col.kind"), keep=True),
        Column(run.t("col.debit"), keep=True, spare=2),
        Column(run.t("col.credit"), keep=True, spare=3),
        Column(run.t("col.subject"), keep=True),
        Column(run.t("col.amount"), right=True),
        Column(run.t("col.state"), keep=True, spare=1),
    ]
    run.console.table(
        columns,
        [
            [
                run.moment(t["at_ms"]),
                run.texts.word("transfer", t["kind"]),
                t["debit"],
                t["credit"],
                t["workload"] or t["credit"].removeprefix("award:"),
                run.money(t["amount"], t["currency"]),
                run.texts.word("transfer", t["state"]),
            ]
            for t in rows
        ],
    )
    return Exit.OK
