"""Jobs: submit, quote, list, show, why, logs, cancel."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from dure.cli.commands.jobrequest import Request, changed, from_words, upload
from dure.cli.commands.options import Limit, WorkloadId
from dure.cli.commands.waiting import ENDED, follow
from dure.cli.console import Column
from dure.cli.exits import Exit
from dure.cli.run import Refusal, Run
from dure.cli.why_words import sentences, smallest_change_command
from dure.errors import ApiError

Words = Annotated[list[str] | None, typer.Argument(help="arg.submit_words", metavar="JOB.yaml | -- COMMAND...")]
JobName = Annotated[str, typer.Option("--name", help="opt.job_name")]
Cores = Annotated[float, typer.Option("--cores", help="opt.cores", min=0)]
Memory = Annotated[str, typer.Option("--memory", help="opt.memory", metavar="SIZE")]
Devices = Annotated[int, typer.Option("--devices", help="opt.devices", min=0)]
Accelerator = Annotated[list[str] | None, typer.Option("--accelerator", help="opt.accelerator")]
Workers = Annotated[int, typer.Option("--workers", help="opt.workers", min=0)]
Array = Annotated[int, typer.Option("--array", help="opt.array", min=0)]
TimeLimit = Annotated[str, typer.Option("--limit", help="opt.limit", metavar="TIME")]
Priority = Annotated[str, typer.Option("--priority", help="opt.priority")]
Checkpoint = Annotated[str, typer.Option("--checkpoint", help="opt.checkpoint", metavar="TIME")]
Env = Annotated[list[str] | None, typer.Option("--env", "-e", help="opt.env", metavar="NAME=VALUE")]
Set = Annotated[list[str] | None, typer.Option("--set", help="opt.set", metavar="FIELD=VALUE")]


def submit(
    run: Run,
    words: Words = None,
    name: JobName = "",
    cores: Cores = 0,
    memory: Memory = "",
    devices: Devices = 0,
    accelerator: Accelerator = None,
    workers: Workers = 0,
    array: Array = 0,
    limit: TimeLimit = "",
    priority: Priority = "",
    checkpoint: Checkpoint = "",
    env: Env = None,
    set_: Set = None,
    watch: Annotated[bool, typer.Option("--follow", "-f", help="opt.follow_job")] = False,
) -> int:
    given = {
        "name": name,
        "cores": cores,
        "memory": memory,
        "devices": devices,
        "accelerators": accelerator,
        "workers": workers,
        "array": array,
        "limit": limit,
        "priority": priority,
        "checkpoint": checkpoint,
        "env": env,
    }
    request = from_words(run, words or [], given, set_ or [], Path.cwd())
    project = run.project()
    job = upload(run, project, request)
    answer = _pointed(run, request, lambda: run.client.submit(project, job, array=request.array))
    if not watch:
        run.console.document(answer)
    _tell_submitted(run, answer)
    return _follow_job(run, answer) if watch else Exit.OK


def _pointed(run: Run, request: Request, call: Any) -> Any:
    """The call; when the plane refuses a field of a job file, the refusal says on which line it stands."""
    try:
        return call()
    except ApiError as refused:
        reason = refused.problem.get("reason") or {}
        field = str((reason.get("facts") or {}).get("field", "")).removeprefix("job.")
        if field not in request.lines:
            raise
        line = request.lines[field]
        text = run.t("submit.at_line", file=request.source, line=line, text=run.reason(reason))
        raise Refusal(text, Exit.REFUSED, {"status": refused.status, "reason": reason, "line": line, "detail": text}) from refused


def _tell_submitted(run: Run, answer: Mapping[str, Any]) -> None:
    each = run.money(answer["quoted_won"]) if answer["quoted_won"] >= 0 else run.t("submit.no_won")
    if answer["array_id"]:
        run.say("submit.array", id=answer["array_id"], n=len(answer["ids"]), each=each)
    else:
        run.say("submit.one", id=answer["ids"][0], each=each)


def _follow_job(run: Run, answer: Mapping[str, Any]) -> int:
    if answer["array_id"]:
        raise run.refusal("submit.follow_array", Exit.USAGE)
    id = str(answer["ids"][0])
    for data in follow(run.client, id):
        run.console.bytes(data)
    workload = run.client.workload(id)
    run.console.document(workload)
    run.say("submit.ended", id=id, state=run.texts.word("state", workload["state"]))
    return Exit.OK if workload["state"] == "succeeded" else Exit.JOB_FAILED


def resubmit(
    run: Run,
    id: WorkloadId,
    set_: Set = None,
    watch: Annotated[bool, typer.Option("--follow", "-f", help="opt.follow_job")] = False,
) -> int:
    """Submit a waiting job again with changes, and cancel the old one once the plane has taken the new."""
    old = run.client.workload(id)
    if old["state"] != "waiting" or old["array_id"]:
        raise run.refusal("resubmit.not_waiting", state=run.texts.word("state", old["state"]))
    answer = run.client.submit(old["project"], changed(run, old["spec"], set_ or []))
    run.client.cancel(id)
    if not watch:
        run.console.document({**answer, "cancelled": id})
    _tell_submitted(run, answer)
    run.say("resubmit.cancelled", id=id)
    return _follow_job(run, answer) if watch else Exit.OK


def quote(
    run: Run,
    words: Words = None,
    name: JobName = "",
    cores: Cores = 0,
    memory: Memory = "",
    devices: Devices = 0,
    accelerator: Accelerator = None,
    workers: Workers = 0,
    array: Array = 0,
    limit: TimeLimit = "",
    priority: Priority = "",
    checkpoint: Checkpoint = "",
    env: Env = None,
    set_: Set = None,
) -> None:
    given = {
        "name": name,
        "cores": cores,
        "memory": memory,
        "devices": devices,
        "accelerators": accelerator,
        "workers": workers,
        "array": array,
        "limit": limit,
        "priority": priority,
        "checkpoint": checkpoint,
        "env": env,
    }
    request = from_words(run, words or [], given, set_ or [], Path.cwd())
    project = run.project()
    answer = _pointed(run, request, lambda: run.client.quote(project, request.job, array=request.array))
    run.console.document(answer)
    tell_quote(run, answer)


def tell_quote(run: Run, answer: Mapping[str, Any]) -> None:
    """What it would cost at most and when it would start."""
    for accelerator, amounts in answer["hold_by_accelerator"].items():
        for currency, amount in ((c, a) for c, a in amounts.items() if a >= 0):
            where = run.t("quote.on", accelerator=accelerator) if accelerator else ""
            run.say("quote.most", amount=run.money(amount, currency), limit=run.texts.duration(answer["limit_ms"]), where=where)
            if answer["elements"] > 1:
                run.say("quote.elements", n=answer["elements"], all=run.money(amount * answer["elements"], currency))
    if answer["claims"]:
        run.say("quote.claims", site=answer["site"])
    elif answer["starts_now"]:
        run.say("quote.now", site=answer["site"])
    elif answer["starts_ms"]:
        run.say("quote.promised", when=run.when(answer["starts_ms"]))
    if answer.get("reason"):
        run.console.say(run.reason(answer["reason"]))


def jobs(
    run: Run,
    state: Annotated[str, typer.Option("--state", help="opt.state")] = "",
    array: Annotated[str, typer.Option("--array", help="opt.of_array", metavar="ID")] = "",
    limit: Limit = 50,
) -> None:
    found = run.client.workloads(project=run.config.project, state=state, array=array, newest=True, limit=min(limit, 500))
    rows = list(islice(found, limit))
    run.console.document({"items": rows})
    columns = [
        Column(run.t("col.id"), keep=True),
        Column(run.t("col.name")),
        Column(run.t("col.state"), keep=True),
        Column(run.t("col.tries"), right=True),
        Column(run.t("col.reason")),
    ]
    run.console.table(columns, [_job_row(run, row) for row in rows])
    if not rows:
        run.say("jobs.none")
    if len(rows) == limit:
        run.note("list.cut", n=limit)


def _job_row(run: Run, row: Mapping[str, Any]) -> list[str]:
    reason = row.get("reason") or {}
    title = (reason.get("text") or {}).get("title", reason.get("kind", "")) if row["state"] not in ("succeeded",) else ""
    return [row["id"], row["spec"]["name"], run.texts.word("state", row["state"]), str(row["attempts"]), title]


def show(run: Run, id: WorkloadId) -> None:
    row = run.client.workload(id)
    attempts = run.client.attempts(id)
    run.console.document({**row, "tries": attempts})
    spec, demand = row["spec"], row["spec"]["demand"]
    run.console.fields(
        {
            run.t("col.id"): row["id"],
            run.t("col.name"): spec["name"],
            run.t("col.project"): row["project"],
            run.t("col.state"): run.texts.word("state", row["state"]),
            run.t("col.reason"): run.reason(row["reason"]) if row.get("reason") else "",
            run.t("col.command"): " ".join(spec["command"]),
            run.t("col.needs"): run.t(
                "show.needs",
                cores=demand["cores_milli"] / 1000,
                memory=demand["memory_mib"],
                devices=demand["devices"],
                workers=spec["workers"],
            ),
            run.t("col.limit"): run.texts.duration(spec["limit_ms"]),
            run.t("col.priority"): spec["priority"],
            run.t("col.quoted"): run.money(row["quoted_won"]) if row["quoted_won"] >= 0 else "",
            run.t("col.submitted"): run.when(row["submitted_ms"]),
            run.t("col.started"): run.when(row["started_ms"]),
            run.t("col.ended"): run.when(row["ended_ms"]),
        }
    )
    _show_attempts(run, attempts)


def _show_attempts(run: Run, attempts: list[Any]) -> None:
    if not attempts:
        return
    columns = [
        Column(run.t("col.try"), keep=True),
        Column(run.t("col.site")),
        Column(run.t("col.state")),
        Column(run.t("col.ran"), right=True),
        Column(run.t("col.settled"), right=True),
        Column(run.t("col.refunded"), right=True),
        Column(run.t("col.energy"), right=True),
    ]
    rows = [
        [
            a["id"],
            a["site"],
            run.texts.word("outcome", a["outcome"] or a["state"]),
            run.texts.duration(a["evidence"]["run_ms"]),
            run.money(a["settled"], a["currency"]),
            run.money(a["refunded"], a["currency"]),
            run.t("unit.wh", n=a["energy_mwh"] / 1000),
        ]
        for a in attempts
    ]
    run.console.say("")
    run.console.table(columns, rows)


def why(run: Run, id: WorkloadId) -> None:
    answer = run.client.why(id)
    run.console.document(answer)
    for sentence in sentences(run, answer):
        run.console.say(sentence)
    command = smallest_change_command(run, answer)
    if command:
        run.say("why.paste")
        run.console.say("  " + command)


def logs(
    run: Run,
    id: WorkloadId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="opt.follow")] = False,
    worker: Annotated[int, typer.Option("--worker", help="opt.worker", min=0)] = 0,
    attempt: Annotated[str, typer.Option("--attempt", help="opt.attempt")] = "",
) -> None:
    pieces = run.client.logs(id, worker=worker, attempt=attempt, follow=follow)
    if run.console.as_json:
        text = b"".join(piece.data for piece in pieces).decode("utf-8", "replace")
        run.console.document({"workload": id, "worker": worker, "text": text})
        return
    for piece in pieces:
        if piece.kind == "status":
            run.note("logs.waits", status=str(piece.facts.get("status", "")))
        run.console.bytes(piece.data)


def cancel(run: Run, id: WorkloadId) -> None:
    items = run.client.cancel(id)
    run.console.document({"items": items})
    stopping = sum(1 for item in items if item["state"] not in ENDED)
    run.say("cancel.done", n=len(items) - stopping)
    if stopping:
        run.say("cancel.stopping", n=stopping)
