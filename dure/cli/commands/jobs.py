"""Jobs: submit, quote, submit again, cancel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dure.cli.commands.jobrequest import Request, changes_of, code_at, from_words, upload
from dure.cli.commands.options import JobOptions, Set, WorkloadId, filled, with_job_options
from dure.cli.commands.waiting import ENDED, follow, watched
from dure.cli.commands.work import Work, work_of
from dure.cli.exits import Exit
from dure.cli.naming import project_of
from dure.cli.policies import factor
from dure.cli.remedies import after_the_end
from dure.cli.run import Refusal, Run
from dure.errors import ApiError
from dure.model.money import NANO

Words = Annotated[list[str] | None, typer.Argument(help="arg.submit_words", metavar="JOB.yaml | -- COMMAND...")]
Code = Annotated[Path | None, typer.Option("--code", help="opt.code", metavar="FOLDER")]
To = Annotated[str, typer.Option("--to", help="opt.to_project", metavar="PROJECT", callback=filled)]
Watch = Annotated[bool, typer.Option("--follow", "-f", help="opt.follow_job")]
LIVE = ("starting", "running")


@with_job_options
def submit(run: Run, given: JobOptions, words: Words = None, set_: Set = None, watch: Watch = False) -> int:
    request = from_words(run, words or [], given, set_ or [], Path.cwd())
    _require_one_log(run, request.array, watch=watch)
    project = project_of(run)
    job = upload(run, project, request)
    answer = _pointed(run, request, lambda: run.client.submit(project, job, array=request.array))
    return _told_submitted(run, answer, watch=watch)


def _require_one_log(run: Run, array: object, *, watch: bool) -> None:
    if watch and array:
        raise run.refusal("submit.follow_array", Exit.USAGE)


def _pointed(run: Run, request: Request, call: Any) -> Any:
    """The call; when the plane refuses fields of a job file, the refusal says on which line each stands."""
    try:
        return call()
    except ApiError as refused:
        reason = refused.problem.get("reason") or {}
        every = list(refused.problem.get("reasons") or [reason])
        lines = [request.lines.get(_field(r), 0) for r in every]
        if not any(lines):
            raise
        text = "\n".join(
            run.t("submit.at_line", file=request.source, line=line, text=run.reason(r)) if line else run.reason(r)
            for line, r in zip(lines, every, strict=True)
        )
        error = {"status": refused.status, "reason": reason, "reasons": every, "line": lines[0], "lines": lines, "detail": text}
        raise Refusal(text, Exit.REFUSED, error) from refused


def _field(reason: Mapping[str, Any]) -> str:
    return str((reason.get("facts") or {}).get("field", "")).removeprefix("job.")


def _told_submitted(run: Run, answer: Mapping[str, Any], *, watch: bool, also: Mapping[str, Any] | None = None) -> int:
    """Say what was submitted; with `watch` go on with what it prints. also: more members for the document."""
    each = run.money(answer["quoted_won"]) if answer["quoted_won"] >= 0 else run.t("submit.no_won")
    if answer["array_id"]:
        run.say("submit.array", id=answer["array_id"], n=len(answer["ids"]), each=each)
    else:
        run.say("submit.one", id=answer["ids"][0], each=each)
    if watch:
        return _follow_job(run, str(answer["ids"][0]))
    run.console.document({**answer, **(also or {})})
    return Exit.OK


def _follow_job(run: Run, id: str) -> int:
    with watched(run, id):
        for data in follow(run.client, id):
            run.console.bytes(data)
    workload = run.client.workload(id)
    run.console.document(workload)
    run.say("submit.ended", id=id, state=run.texts.word("state", workload["state"]))
    if workload["state"] == "succeeded":
        return Exit.OK
    run.console.say(run.reason(workload["reason"]))
    after_the_end(run, workload)
    return Exit.JOB_FAILED


@with_job_options
def resubmit(
    run: Run, given: JobOptions, id: WorkloadId, set_: Set = None, code: Code = None, to: To = "", watch: Watch = False
) -> int:  # fmt: skip
    """Submit a job again as it was but for the changes; one that still waits is cancelled once the plane has taken the new."""
    old = work_of(run, id)
    _require_resubmittable(run, old, changes=bool(given or set_ or code or to))
    changes, elements = changes_of(run, given, set_ or [])
    _require_one_log(run, elements or old.is_array, watch=watch)
    if code is not None:
        changes = upload(run, to or old.project, Request(changes, archive=code_at(code)))
    elif old.spec["bundle"] and "bundle" not in changes:
        if to and to != old.project:
            raise run.refusal("resubmit.code_stays", Exit.USAGE, id=old.id, project=old.project)
        run.note("resubmit.same_code", id=old.id)
    answer = run.client.resubmit(old.id, changes, array=elements, project=to)
    waits = [state for state in old.states if state not in ENDED]
    if waits:
        run.client.cancel(old.id)
        run.note("resubmit.cancelled", id=old.id)
    return _told_submitted(run, answer, watch=watch, also={"cancelled": old.id} if waits else None)


def _require_resubmittable(run: Run, old: Work, *, changes: bool) -> None:
    if any(state in LIVE for state in old.states) and _may_submit(run, old.project):
        raise run.refusal("resubmit.runs", id=old.id)
    if old.element_of:
        raise run.refusal("resubmit.element", id=old.id, array=old.element_of)
    if not changes and any(state == "waiting" for state in old.states):
        raise run.refusal("resubmit.no_change", Exit.USAGE, id=old.id)


def _may_submit(run: Run, project: str) -> bool:
    """Whether it is worth cancelling anything first; whoever may not is told so by the plane, and nothing is lost."""
    return any(g["role"] == "admin" or g["scope"] == project for g in run.client.me()["grants"])


@with_job_options
def quote(run: Run, given: JobOptions, words: Words = None, set_: Set = None) -> None:
    request = from_words(run, words or [], given, set_ or [], Path.cwd())
    project = project_of(run)
    answer = _pointed(run, request, lambda: run.client.quote(project, request.job, array=request.array))
    run.console.document(answer)
    tell_quote(run, answer)


def tell_quote(run: Run, answer: Mapping[str, Any]) -> None:
    """What it would cost at most and when it would start."""
    for accelerator, amounts in answer["hold_by_accelerator"].items():
        for currency, amount in ((c, a) for c, a in amounts.items() if a >= 0):
            where = run.t("quote.on", accelerator=accelerator) if accelerator else ""
            limit = answer.get("limit_ms_by_accelerator", {}).get(accelerator, answer["limit_ms"])  # an older plane tells but one
            run.say("quote.most", amount=run.money(amount, currency), limit=run.texts.duration(limit), where=where)
            if answer["elements"] > 1:
                run.say("quote.elements", n=answer["elements"], all=run.money(amount * answer["elements"], currency))
    run.say("quote.grace", grace=run.texts.duration(answer["grace_ms"]))
    if answer["preemptible_permille"] != 1000:
        run.say("quote.preemptible", factor=f"{answer['preemptible_permille'] / 1000:g}")
    if answer["price_permille"] != 1000:
        run.say("quote.class", priority=answer["priority"], factor=factor(answer))
    if answer["claims"]:
        run.say("quote.claims", site=answer["site"], least=run.texts.duration(answer["least_ms"]))
    elif answer["starts_now"]:
        run.say("quote.now", site=answer["site"])
    elif answer["starts_ms"]:
        run.say("quote.promised", when=run.when(answer["starts_ms"]))
    if answer.get("reason"):
        run.console.say(run.reason(answer["reason"]))


def cancel(run: Run, id: WorkloadId) -> None:
    """Cancelling what has ended changes nothing, and is no failure: nothing of it runs, which is what was asked for."""
    old = work_of(run, id)
    answer = _cancelled(run, old)
    run.console.document(answer)
    states = answer["states"] if old.is_array else Counter(row["state"] for row in answer["items"])
    stopping = sum(count for state, count in states.items() if state not in ENDED)
    asked = sum(1 for state in old.states if state not in ENDED)
    if not asked:
        key = "cancel.already" if set(old.states) == {"cancelled"} else "cancel.ended"
        run.say(key, id=old.id, states=_counted(run, old.states))
        return
    if stopping:
        run.say("cancel.stopping", n=stopping, id=old.id)
    if asked > stopping:
        run.say("cancel.done", n=asked - stopping, id=old.id)
        _tell_claim(run, old)
    if asked < len(old.states):
        ended = [state for state in old.states if state in ENDED]
        run.say("cancel.others", n=len(ended), states=_counted(run, ended))


def _tell_claim(run: Run, old: Work) -> None:
    """Of one that had a claim: what it costs that others were made to stop."""
    tries = [] if old.is_array else list(run.client.attempts(old.id))
    last = tries[-1] if tries else {}
    nano = last["settled"] * NANO + last["charge_rest_nano"] if last.get("outcome") == "withdrawn" else 0
    if nano:
        run.say("cancel.claimed", cost=run.exact(nano, last["currency"]))


def _cancelled(run: Run, old: Work) -> Mapping[str, Any]:
    """The plane's answer; the same of how things are when all have ended, also when that happened just now."""
    if any(state not in ENDED for state in old.states):
        try:
            return run.client.cancel(old.id)
        except ApiError as refused:
            if (refused.problem.get("reason") or {}).get("kind") != "already_ended":
                raise
    if not old.is_array:
        return {"items": [run.client.workload(old.id)]}
    array = run.client.array(old.id)
    states = {state: count for state, count in array["states"].items() if count}
    return {"array_id": old.id, "states": states, "elements": array["elements"]}


def _counted(run: Run, states: Sequence[str]) -> str:
    """ "succeeded" for one, "2 succeeded, 1 failed" for several."""
    if len(states) == 1:
        return run.texts.word("state", states[0])
    return run.counted(Counter(states))
