"""What trials came to, as people read it at a terminal: a table of measures, tables by tenant and by size, and what is to be
known about them; and the same as one document for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dure.cli.console import Column
from dure.cli.run import Run
from dure.simulator.report import Group, by_size, by_tenant, common, compare
from dure.simulator.report import Run as Outcome
from dure.simulator.report.words import Words

if TYPE_CHECKING:
    from dure.cli.commands.simulate import Asked

GROUPINGS: Mapping[str, Callable[..., list[Group]]] = {"tenant": by_tenant, "size": by_size}
SHOWN_MAX = 20  # groups at a terminal: those that ask for most; the document has all
Groups = Mapping[str, Sequence[Sequence[Group]]]  # by grouping, of each run


def tell(run: Run, asked: Asked, runs: Sequence[Outcome]) -> None:
    """The tables, and what is to be known about them."""
    table, words = compare(runs), Words(run.texts.lang)
    groups = {name: [grouped(outcome, common(runs)) for outcome in runs] for name, grouped in GROUPINGS.items()}
    rows = {row.measure.key: dict(zip(asked.policies, row.values, strict=True)) for row in table.rows}
    told = {name: dict(each.notes) for name, each in zip(asked.policies, runs, strict=True)}
    run.console.document({
        "jobs": table.jobs, "compared": table.compared, "measures": rows, "groups": _plain(asked.policies, groups), "notes": told,
    })  # fmt: skip
    run.console.table(
        [Column(words.known("table.measure")), *(Column(name, right=True, keep=True) for name in asked.policies)],
        [
            [words.label(row.measure.key), *(words.value(value, row.measure.unit) for value in row.values)]
            for row in table.rows
        ],
    )  # fmt: skip
    run.say("trial.compared" if table.compared < table.jobs else "trial.compared_all", jobs=table.jobs, compared=table.compared)
    for name in asked.by:
        _tell_groups(run, words, name, asked.policies, groups[name], runs[0].fleet.measured)
    _tell_jobs(run, asked, rows, told)
    ordinary = [policy for policy in asked.policies if told[policy]["prices"] == "ordinary"]
    if ordinary:
        some = len(ordinary) < len(asked.policies)
        run.note("trial.some_ordinary_prices" if some else "trial.ordinary_prices", policies=", ".join(ordinary))
    if "charged_krw" not in rows:
        run.note("trial.no_price")
    if "energy" not in rows:
        run.note("trial.no_energy")
    for word, count in _assumed(told[asked.policies[0]]).items():
        run.note(f"trial.assumed.{word}", count=count, days=asked.limit_days)


def _plain(policies: Sequence[str], groups: Groups) -> dict[str, Any]:
    """grouping → policy → its groups, with all that is known of each."""
    return {
        name: {policy: [asdict(group) for group in own] for policy, own in zip(policies, each, strict=True)}
        for name, each in groups.items()
    }


def _tell_groups(
    run: Run, words: Words, name: str, policies: Sequence[str], each: Sequence[Sequence[Group]], measured: str
) -> None:
    """A line for each group and policy; groups of all policies are the same ones, in one order."""
    labels = [words.label(key) for key in ("queueing.mean", "queueing.p50", "queueing.p90", "queueing.p99", "jct.mean")]
    columns = [
        Column(words.known("by.tenant" if name == "tenant" else f"by.size.{measured}"), keep=True),
        Column(words.known("policy"), keep=True),
    ]
    heads = [
        words.known("by.jobs"),
        words.known("by.never"),
        *labels,
        words.label("slowdown.mean"),
        words.known("m.wait.longest"),
    ]
    lines = []
    for alike in list(zip(*each, strict=True))[:SHOWN_MAX]:
        key = words.size(alike[0].key) if name == "size" else alike[0].key or words.known("c.tenants.unknown")
        lines += [[key, policy, *_cells(words, group)] for policy, group in zip(policies, alike, strict=True)]
    run.console.say("")
    run.console.table([*columns, *(Column(head, right=True, keep=True) for head in heads)], lines)
    more = len(each[0]) - SHOWN_MAX
    if more > 0:
        run.note("trial.more_groups", count=more, shown=SHOWN_MAX)


def _cells(words: Words, group: Group) -> list[str]:
    waits = [words.value(group.queueing[which], "s") for which in ("mean", "p50", "p90", "p99")]
    mean = [words.value(group.jct["mean"], "s"), words.value(group.slowdown["mean"], "ratio"), words.value(group.longest_s, "s")]
    return [f"{group.jobs:,}", f"{group.never_started:,}", *waits, *mean]


def _tell_jobs(run: Run, asked: Asked, rows: Mapping[str, Mapping[str, Any]], told: Mapping[str, Mapping[str, str]]) -> None:
    """Who never started, whether anybody waited, and what a plane proved."""
    for name, count in rows["jobs.never_started"].items():
        if count:
            run.note("trial.never_started", policy=name, count=count)
    if not any(rows["wait.longest"].values()):
        run.note("trial.nobody_waited")
    for name, notes in told.items():
        if asked.whole_plane:
            run.note("trial.proved", policy=name, events=int(notes["events"].replace(",", "")))
        if "refused" in notes:
            run.note("trial.refused", policy=name, count=int(notes["refused"].replace(",", "")))


def _assumed(notes: Mapping[str, str]) -> dict[str, int]:
    return {key.removeprefix("assumed."): int(text) for key, text in notes.items() if key.startswith("assumed.")}
