"""Two plans side by side: what was planned, and what would be. Of everything in numbers, of one workload in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dure.cli.console import Column
from dure.cli.run import Run
from dure.controller.answers import PolicyRater
from dure.model.codec import to_plain
from dure.scheduler import Outlook, Snapshot, class_of, difference, outlook, plan, tally, why

SHOWN = 20  # ids of a difference that people are shown; programs get all
MEASURES = ("starts", "claims", "victims", "waits", "promised")
DIFFERENCES = ("only_first", "only_second", "elsewhere")


def tell_whole(run: Run, saved: Snapshot, other: Snapshot | None) -> None:
    """How many start and wait, and who starts in one and not in the other."""
    first = plan(saved)
    told: dict[str, Any] = {"now_ms": saved.now_ms, "sealed_seq": saved.sealed_seq, "saved": to_plain(tally(first))}
    columns = [Column(run.t("col.plan_measure")), Column(run.t("col.plan_saved"), right=True)]
    rows = [[run.t(f"plans.{name}"), f"{told['saved'][name]:,}"] for name in MEASURES]
    run.say("plans.of", when=run.when(saved.now_ms), seq=saved.sealed_seq, waiting=len(saved.pending.ids))
    if other is None:
        run.console.document(told)
        run.console.table(columns, rows)
        return
    second = plan(other)
    told["other"], differ = to_plain(tally(second)), to_plain(difference(saved, first, other, second))
    told["difference"] = differ
    run.console.document(told)
    columns.append(Column(run.t("col.plan_other"), right=True))
    run.console.table(columns, [[*row, f"{told['other'][name]:,}"] for row, name in zip(rows, MEASURES, strict=True)])
    _tell_difference(run, differ)


def _tell_difference(run: Run, differ: Mapping[str, list[str]]) -> None:
    if not any(differ[name] for name in DIFFERENCES):
        run.say("plans.same")
    for name in DIFFERENCES:
        if differ[name]:
            more = len(differ[name]) - SHOWN
            ids = ", ".join(differ[name][:SHOWN]) + (run.t("plans.more", n=more) if more > 0 else "")
            run.say(f"plans.{name}", n=len(differ[name]), ids=ids)


def tell_one(run: Run, saved: Snapshot, other: Snapshot | None, workload: str) -> None:
    """Whether it starts, where, why not, and what is promised."""
    first = _one(saved, workload)
    told = {"workload": workload, "now_ms": saved.now_ms, "sealed_seq": saved.sealed_seq, "saved": first}
    second = _one(other, workload) if other is not None else None
    run.console.document({**told, **({"other": second} if other is not None else {})})
    run.say("plans.one", id=workload, when=run.when(saved.now_ms))
    run.console.under(run.t("col.plan_saved"), _fields(run, first))
    if other is not None:
        run.console.under(run.t("col.plan_other"), _fields(run, second))
    if other is not None and first == second:
        run.say("plans.one_same")


def _one(snapshot: Snapshot, workload: str) -> dict[str, Any] | None:
    """None where it is supposed to be gone."""
    if workload not in snapshot.pending.ids:
        return None
    decided, row = plan(snapshot), snapshot.pending.ids.index(workload)
    own = class_of(snapshot.policy, int(snapshot.pending.priority[row]), bool(snapshot.pending.preempts[row]))
    found = why(snapshot, decided, row, PolicyRater(snapshot.policy, own.name if own else ""))
    seen: Outlook = outlook(snapshot, decided, row)
    return {**to_plain(seen), "why": to_plain(found)}


def _fields(run: Run, one: Mapping[str, Any] | None) -> dict[str, str]:
    """What people read of one side, by name; "" is left out."""
    if one is None:
        return {run.t("plans.one.outcome"): run.t("plans.gone")}
    outcome = "claims" if one["claims"] else "starts" if one["starts"] else "waits"
    reasons = [run.reason(r) for r in one["why"]["reasons"]] if not one["starts"] else []
    return {
        run.t("plans.one.outcome"): run.t(f"plans.one.{outcome}"),
        run.t("plans.one.site"): one["site"],
        run.t("plans.one.promised"): run.when(one["promised_ms"]),
        run.t("plans.one.why"): " ".join(reasons),
    }
