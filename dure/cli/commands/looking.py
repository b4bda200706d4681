"""Looking at jobs: list, show, why, logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

import typer

from dure.cli.commands.options import Limit, WhatIf, WorkloadId, filled
from dure.cli.commands.waiting import ENDED, watched
from dure.cli.commands.work import Work, work_of
from dure.cli.console import Column
from dure.cli.exits import Exit
from dure.cli.naming import project_filter, resolved
from dure.cli.remedies import after_the_end
from dure.cli.run import Run
from dure.cli.why_words import sentences, smallest_change_command, what_if_sentences
from dure.errors import ApiError
from dure.model.money import NANO
from dure.model.render import cores_words
from dure.model.workload import WorkloadState
from dure.scheduler import THIS

STATES = tuple(state.value for state in WorkloadState)
ROWS_MAX = 5_000  # rows that are read so that arrays can be shown as one line each
PAGE_MAX = 500


def jobs(
    run: Run,
    state: Annotated[str, typer.Option("--state", help="opt.state")] = "",
    array: Annotated[str, typer.Option("--array", help="opt.of_array", metavar="ID", callback=filled)] = "",
    limit: Limit = 50,
) -> None:
    if state and state not in STATES:
        raise run.refusal("jobs.state", Exit.USAGE, state=state, known=", ".join(STATES))
    of = work_of(run, array).id if array else ""
    found = run.client.workloads(project=project_filter(run), state=state, array=of, newest=True, limit=PAGE_MAX)
    if run.console.as_json:
        run.console.document({"items": list(islice(found, limit))})
        return
    lines = list(islice(_lines(run, islice(found, ROWS_MAX), apart=bool(of or state)), limit + 1))
    _tell_jobs(run, lines[:limit], several=len({line.project for line in lines}) > 1)
    if not lines:
        run.say("jobs.none_so" if state or array else "jobs.none")
    if len(lines) > limit:
        run.note("list.cut", n=limit)


@dataclass(frozen=True, slots=True)
class _Line:
    id: str
    name: str
    project: str
    state: str
    tries: int
    reason: str


def _lines(run: Run, rows: Iterator[Mapping[str, Any]], *, apart: bool) -> Iterator[_Line]:
    """One line a job and one line an array; with `apart`, or where only some of it may be seen, its elements each on a line."""
    arrays: dict[str, _Line | None] = {}
    for row in rows:
        of = "" if apart else str(row["array_id"])
        if of and of not in arrays:
            arrays[of] = line = _array_line(run, row)
            if line is not None:
                yield line
        if not of or arrays[of] is None:
            yield _job_line(run, row)


def _job_line(run: Run, row: Mapping[str, Any]) -> _Line:
    state = run.texts.word("state", row["state"])
    return _Line(row["id"], row["spec"]["name"], row["project"], state, row["attempts"], _title(row))


def _title(row: Mapping[str, Any]) -> str:
    """The reason of a job in a word or two."""
    reason = (row.get("reason") or {}) if row["state"] not in ("succeeded", "cancelled") else {}
    return str((reason.get("text") or {}).get("title", reason.get("kind", "")))


def _array_line(run: Run, row: Mapping[str, Any]) -> _Line | None:
    """None where the array as a whole is not the caller's to see: who operates a site sees what of it runs there.
    row: an element; where all are in one state, its reason stands for theirs."""
    try:
        array = run.client.array(row["array_id"])
    except ApiError as refused:
        if refused.status not in (403, 404):
            raise
        return None
    name = f"{row['spec']['name']} × {array['elements']}"
    states = {state: count for state, count in array["states"].items() if count}
    only = next(iter(states)) if len(states) == 1 else ""
    state = run.texts.word("state", only) if only else run.t("word.several")
    return _Line(array["id"], name, row["project"], state, 0, _title(row) if only == row["state"] else run.counted(states))


def _tell_jobs(run: Run, lines: list[_Line], *, several: bool) -> None:
    columns = [
        Column(run.t("col.id"), keep=True),
        Column(run.t("col.name"), slug=True),
        Column(run.t("col.project"), slug=True, spare=2),
        Column(run.t("col.state"), keep=True),
        Column(run.t("col.tries"), right=True, spare=1),
        Column(run.t("col.reason")),
    ]
    cells = [
        [line.id, line.name, line.project if several else "", line.state, str(line.tries or ""), line.reason] for line in lines
    ]
    run.console.table(columns, cells)


def show(run: Run, id: WorkloadId) -> None:
    work = work_of(run, id)
    if work.is_array:
        _show_array(run, work)
        return
    row, attempts = work.row, run.client.attempts(work.id)
    run.console.document({**row, "tries": attempts})
    run.console.fields(
        {
            run.t("col.id"): row["id"],
            **_described(run, work),
            run.t("col.origin"): row.get("origin", ""),
            run.t("col.state"): run.texts.word("state", row["state"]),
            run.t("col.reason"): run.reason(row["reason"]) if row.get("reason") else "",
            run.t("col.quoted"): _quoted(run, row),
            run.t("col.submitted"): run.when(row["submitted_ms"]),
            run.t("col.started"): run.when(row["started_ms"]),
            run.t("col.ended"): run.when(row["ended_ms"]),
        }
    )
    _show_attempts(run, attempts)
    after_the_end(run, row)


def _quoted(run: Run, row: Mapping[str, Any]) -> str:
    """What one attempt costs at most, and what that is for."""
    if row["quoted_won"] < 0:
        return ""
    spec = row["spec"]
    limit, grace = (run.texts.duration(spec[member]) for member in ("limit_ms", "grace_ms"))
    key = "show.quoted_preemptible" if spec["preemptible"] else "show.quoted"
    return run.t(key, amount=run.money(row["quoted_won"]), limit=limit, grace=grace)


def _described(run: Run, work: Work) -> dict[str, str]:
    """What its owner said of it."""
    spec, demand = work.spec, work.spec["demand"]
    speeds = {s["accelerator"]: s["milli"] / 1000 for s in demand.get("speeds", ())}
    needs = run.t(
        "show.needs",
        cores=cores_words(demand["cores_milli"], run.texts.lang),
        memory=demand["memory_mib"],
        devices=demand["share_milli"] / 1000 if demand["share_milli"] else demand["devices"],
        workers=f"{spec['workers_min']}–{spec['workers']}" if spec.get("workers_min") else spec["workers"],
    )
    return {
        run.t("col.name"): spec["name"],
        run.t("col.project"): work.project,
        run.t("col.command"): " ".join(spec["command"]),
        run.t("col.needs"): needs,
        run.t("col.accelerators"): ", ".join(f"{a} ({speeds[a]:g}×)" if a in speeds else a for a in demand["accelerators"]),
        run.t("col.limit"): run.texts.duration(spec["limit_ms"]),
        run.t("col.priority"): spec["priority"],
    }


def _show_array(run: Run, work: Work) -> None:
    array = run.client.array(work.id)
    run.console.document(array)
    run.console.fields(
        {
            run.t("col.id"): work.id,
            **_described(run, work),
            run.t("col.elements"): f"{array['elements']:,}",
            run.t("col.state"): run.counted(array["states"]),
            run.t("col.submitted"): run.when(work.row["submitted_ms"]),
        }
    )
    run.say("show.array", id=work.id, first=array["ids"][0])


def _show_attempts(run: Run, attempts: list[Any]) -> None:
    columns = [
        Column(run.t("col.try"), keep=True),
        Column(run.t("col.site"), slug=True),
        Column(run.t("col.state")),
        Column(run.t("col.ran"), right=True),
        Column(run.t("col.cost"), right=True),
        Column(run.t("col.refunded"), right=True, spare=2),
        Column(run.t("col.energy"), right=True, spare=1),
    ]
    rows = [
        [
            a["id"],
            a["site"],
            run.texts.word("outcome", a["outcome"] or a["state"]),
            _so_far(run, a, run.texts.duration((a.get("so_far") or a["evidence"])["run_ms"])),
            run.exact(a["settled"] * NANO + a["charge_rest_nano"], a["currency"]),
            run.exact(a["refunded"] * NANO + a["refund_rest_nano"], a["currency"]),
            _so_far(run, a, run.t("unit.wh", n=(a.get("so_far") or a)["energy_mwh"] / 1000)),
        ]
        for a in attempts
    ]
    if rows:
        run.console.say("")
    run.console.table(columns, rows)


def _so_far(run: Run, attempt: Mapping[str, Any], text: str) -> str:
    """What one that still runs has used is marked, as it will be more."""
    return run.t("show.so_far", used=text) if attempt.get("so_far") else text


def why(run: Run, id: WorkloadId, what_if: WhatIf = None) -> None:
    work = work_of(run, id)
    if work.is_array:
        run.note("why.array", id=work.id, states=run.counted(Counter(work.states)))
    one = _telling(run, work) if work.is_array else work.id
    if what_if:
        supposed = run.client.what_if(one, [_by_id(run, said) for said in what_if])
        run.console.document(supposed)
        for sentence in what_if_sentences(run, supposed):
            run.console.say(sentence)
        return
    answer = run.client.why(one)
    run.console.document(answer)
    for sentence in sentences(run, answer):
        run.console.say(sentence)
    command = smallest_change_command(run, answer)
    if command:
        run.say("why.paste")
        run.console.say("  " + command)
    after_the_end(run, answer["workload"])


def _by_id(run: Run, said: str) -> str:
    """A supposition in which work and projects stand by their ids, though people may have named them."""
    words = said.split()
    if len(words) > 1 and words[0] in ("workload", "project") and words[1] != THIS:
        words[1] = resolved(run, words[0], words[1])
    return " ".join(words)


def _telling(run: Run, work: Work) -> str:
    """The element of an array that has most to tell: the first that waits or failed, else the first."""
    for state in ("waiting", "failed"):
        if state in work.states:
            return str(next(iter(run.client.workloads(array=work.id, state=state, limit=1)))["id"])
    return str(work.row["id"])


def logs(
    run: Run,
    id: WorkloadId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="opt.follow")] = False,
    worker: Annotated[int, typer.Option("--worker", help="opt.worker", min=0)] = 0,
    attempt: Annotated[str, typer.Option("--attempt", help="opt.attempt")] = "",
) -> None:
    work = work_of(run, id)
    if work.is_array:
        raise run.refusal("logs.array", Exit.USAGE, n=len(work.states), first=work.row["id"])
    if worker >= work.spec["workers"]:
        raise run.refusal("logs.worker", Exit.USAGE, n=work.spec["workers"], last=work.spec["workers"] - 1)
    pieces = run.client.logs(work.id, worker=worker, attempt=attempt, follow=follow)
    if run.console.as_json:
        text = b"".join(piece.data for piece in pieces).decode("utf-8", "replace")
        run.console.document({"workload": work.id, "worker": worker, "text": text})
        return
    printed = 0
    with watched(run, work.id) if follow and work.row["state"] not in ENDED else nullcontext():
        for piece in pieces:
            if piece.kind == "status":
                run.note("logs.waits", status=run.texts.word("log", str(piece.facts.get("status", ""))))
            printed += len(piece.data)
            run.console.bytes(piece.data)
    if not printed:
        run.note("logs.nothing", state=run.texts.word("state", work.row["state"]))
