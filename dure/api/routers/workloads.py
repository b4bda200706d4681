"""Quotes, workloads, arrays."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.responses import Response

from dure.access import Action, Resource, visible_projects
from dure.api import resources
from dure.api.bodies import ResubmitIn, WhatIfIn, WorkloadIn
from dure.api.call import Call, CallDep
from dure.api.documents import (
    Plain,
    attempt_document,
    page,
    quote_document,
    submitted_document,
    what_if_document,
    why_document,
    workload_document,
    workload_documents,
)
from dure.api.faults import reasons_of
from dure.api.jobfile import Job, job_of, merged, spec_of
from dure.api.listing import Cursor, IdFilter, Limit, at_sites, project_filter, take_any, take_page
from dure.api.route import DureRoute, requires
from dure.api.shapes import (
    ArrayShape,
    AttemptShape,
    Cancelled,
    CancelledArray,
    Document,
    Page,
    ResubmittedShape,
    SubmittedShape,
    WorkloadShape,
)
from dure.api.veil import Veil
from dure.controller import QuoteAnswer, Usable, WhatIf
from dure.controller.commands import workloads
from dure.controller.rules import bad, policy_of
from dure.model.policy import PriorityClass
from dure.model.reason import Reason
from dure.model.records import WaitNote
from dure.model.workload import Attempt, Workload, WorkloadState
from dure.ports import Reader
from dure.scheduler import parse_suppositions

PROJECTS_TRIED = 3  # others of the caller, in which the smallest change is looked for: each may cost a plan of the queue
router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["work"])
StateFilter = Literal["", "waiting", "starting", "running", "succeeded", "failed", "cancelled"]


@router.post("/workloads", status_code=201, response_model=SubmittedShape)
@requires(Action.WORKLOAD_SUBMIT, resources.body_project)
async def submit(call: CallDep, body: WorkloadIn) -> Response:
    """Submit a job, or with `array` that many of it."""
    refusal = await _job_refusal(call, body.project, body.job)
    if refusal is not None:
        return call.refuse(refusal)
    spec, elements = spec_of(body.job), body.elements()
    return await call.write(
        lambda tx, deed: workloads.submit(tx, deed, project=body.project, spec=spec, array=elements),
        submitted_document,
        status=201,
        faults=lambda reader: workloads.spec_faults(reader, policy_of(reader), body.project, spec, elements),
    )


async def _job_refusal(call: Call, project: str, job: Job) -> Reason | None:
    """A class that preempts others needs a right of its own, and so does an archive of the project."""
    within = [Resource(kind="project", id=project)]
    chosen = (await call.api.policy()).priority_class(job.priority)
    urgent = _class_refusal(call, project, chosen) if chosen is not None else None
    return urgent or (call.refusal(Action.BUNDLE_READ, within) if job.bundle else None)


def _class_refusal(call: Call, project: str, chosen: PriorityClass) -> Reason | None:
    return call.refusal(Action.WORKLOAD_SUBMIT_URGENT, [Resource(kind="project", id=project)]) if chosen.preempts else None


async def _usable(call: Call, workload: Workload) -> Usable:
    """In which priority classes, and to which other projects, the caller may submit this work, as `submit` has it; to whoever may
    submit anywhere no other project is suggested."""
    project = workload.project
    if call.refusal(Action.WORKLOAD_SUBMIT, [Resource(kind="project", id=project)]) is not None:
        return Usable(classes=())
    policy, mine = await call.api.policy(), visible_projects(call.identity, Action.WORKLOAD_SUBMIT) or ()
    classes = tuple(c.name for c in policy.classes if _class_refusal(call, project, c) is None)
    own = policy.class_of(workload.spec.priority)
    others = [other for other in sorted(set(mine) - {project}) if _class_refusal(call, other, own) is None]
    return Usable(classes=classes, projects=others[:PROJECTS_TRIED])


@router.post("/workloads/{id}/resubmit", status_code=201, response_model=ResubmittedShape)
@requires(Action.WORKLOAD_SUBMIT, resources.copied)
async def resubmit(call: CallDep, id: str, body: ResubmitIn) -> Response:
    """Submit a workload, or a whole array, once more with changes: with more memory after it ran out of it, say.

    A copy under a new id, whose event names its `origin`. The old one stays as it is: cancel it if it still waits. In another
    `project` it starts from nothing: code archives and what was saved stay where they are."""
    old: Workload = call.record
    if old.array_id and old.array_id != id:
        return call.refuse(bad("id", "array_element", value=old.array_id))
    count = await call.read(lambda reader: reader.count(Workload, {"array_id": id})) if old.array_id else 0
    try:
        job = Job.model_validate(merged(job_of(old.spec), body.job))
    except ValidationError as error:
        return call.refuse(reasons_of(error.errors(include_url=False), Job))
    project = body.project or old.project
    elsewhere = call.refusal(Action.WORKLOAD_SUBMIT, [Resource(kind="project", id=project)])
    refusal = elsewhere or await _job_refusal(call, project, job)
    if refusal is not None:
        return call.refuse(refusal)
    spec, elements, origin = spec_of(job), body.array or job.array or count, id if project == old.project else ""
    return await call.write(
        lambda tx, deed: workloads.submit(tx, deed, project=project, spec=spec, array=elements, origin=origin),
        lambda made: {**submitted_document(made), "origin": origin},
        status=201,
        faults=lambda reader: workloads.spec_faults(reader, policy_of(reader), project, spec, elements),
    )


@router.post("/quotes", response_model=Document)
@requires(Action.QUOTE_CREATE, resources.body_project, keyed=False)
async def quote(call: CallDep, body: WorkloadIn) -> Response:
    """What it would cost (`hold`: by currency, per element) and when it would start by the plan as it stands. Changes nothing."""
    controller = call.api.services.controller
    spec, elements = spec_of(body.job), body.elements()

    def look() -> Plain | Reason | list[Reason]:
        def faults(reader: Reader) -> list[Reason]:
            return workloads.spec_faults(reader, policy_of(reader), body.project, spec, elements)

        wrong = call.api.services.store.read(faults)
        answer = wrong or controller.quote(body.project, spec, elements or 1)
        if not isinstance(answer, QuoteAnswer):
            return answer
        return call.api.services.store.read(lambda reader: quote_document(answer, call.lang, veil_of(call, reader)))

    return await call.ask(look)


def veil_of(call: Call, reader: Reader) -> Veil:
    return Veil(reader, visible_projects(call.identity, Action.WORKLOAD_READ))


@router.get("/workloads", response_model=Page[WorkloadShape])
@requires(Action.WORKLOAD_READ, None)
async def list_workloads(
    call: CallDep,
    project: IdFilter = "",
    state: Annotated[StateFilter, Query(description="only those in this state; absent: all")] = "",
    array: IdFilter = "",
    newest: Annotated[bool, Query(description="newest first")] = False,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Response:
    """Workloads of a project, or of all that the caller sees, with the reason why each waits or how it ended.

    Who operates a site sees, besides, what is placed there now, whosoever it is."""
    where = await project_filter(call, Action.WORKLOAD_READ, project)
    if isinstance(where, Reason):
        return call.refuse(where)
    asked: dict[str, Any] = {"state": WorkloadState(state)} if state else {}
    if array:
        asked["array_id"] = array

    def look(reader: Reader) -> Plain | Reason:
        here = at_sites(call, reader, Action.WORKLOAD_READ) if not project else None
        wheres = [{**seen, **asked} for seen in (where, here) if seen is not None]
        rows, next = take_any(reader, Workload, wheres, cursor, limit, newest=newest)
        return page(workload_documents(reader, rows, call.lang, veil_of(call, reader)), next)

    return await call.show(look)


@router.get("/workloads/{id}", response_model=WorkloadShape)
@requires(Action.WORKLOAD_READ, resources.workload)
async def get_workload(call: CallDep, id: str) -> Response:
    """One workload, with the reason why it waits or how it ended."""
    return await call.show(
        lambda reader: workload_document(call.record, reader.get(WaitNote, id), call.lang, veil_of(call, reader))
    )


@router.get("/workloads/{id}/attempts", response_model=Page[AttemptShape])
@requires(Action.WORKLOAD_READ, resources.workload)
async def list_attempts(call: CallDep, id: str) -> Response:
    """Every try, oldest first, with what it held, cost and got back, and what a running one has used so far."""
    now_ms = call.api.clock.now_ms()

    def look(reader: Reader) -> Plain | Reason:
        veil, rows = veil_of(call, reader), reader.find(Attempt, {"workload": id}, limit=1000)
        return page(attempt_document(reader, a, call.record, now_ms, veil) for a in rows)

    return await call.show(look)


@router.get("/workloads/{id}/why", response_model=Document)
@requires(Action.WORKLOAD_WHY, resources.workload)
async def why(call: CallDep, id: str) -> Response:
    """Why it is where it is; of a waiting one also the smallest change that would start it, `hold` now and `hold_then` with it.

    No priority class is suggested that the caller may not use in this project, and no other project but the caller's own."""
    usable = await _usable(call, call.record)
    awards = call.sees(Action.AWARD_READ, Resource(kind="project", id=call.record.project))

    def look() -> Plain | Reason:
        answer = call.api.services.controller.why(id, usable, awards=awards)
        if isinstance(answer, Reason):
            return answer
        return call.api.services.store.read(lambda reader: why_document(answer, call.lang, veil_of(call, reader)))

    return await call.ask(look)


@router.post("/workloads/{id}/why", response_model=Document)
@requires(Action.WORKLOAD_WHY, resources.workload, keyed=False)
async def what_if(call: CallDep, id: str, body: WhatIfIn) -> Response:
    """What it would be like (`then`, with its `why`) beside what it is (`now`), if these suppositions held. Changes nothing.

    Work and money of projects that the caller cannot see can neither be supposed nor are they named."""
    asked = parse_suppositions(body.what_if)
    if isinstance(asked, Reason):
        return call.refuse(asked)
    usable = await _usable(call, call.record)
    supposed = WhatIf(suppositions=asked, projects=visible_projects(call.identity, Action.WORKLOAD_READ))

    def look() -> Plain | Reason:
        answer = call.api.services.controller.what_if(id, supposed, usable)
        if isinstance(answer, Reason):
            return answer
        return call.api.services.store.read(lambda reader: what_if_document(answer, call.lang, veil_of(call, reader)))

    return await call.ask(look)


@router.post("/workloads/{id}/cancel", response_model=Cancelled | CancelledArray)
@requires(Action.WORKLOAD_CANCEL, resources.workload_or_array)
async def cancel(call: CallDep, id: str) -> Response:
    """Cancel a workload, or every element of an array: of an array, how many elements are in which state then.

    Cancelling again changes nothing."""
    lang, found = call.lang, call.record
    if found.id != id:
        return await call.write(
            lambda tx, deed: workloads.cancel_array(tx, deed, array=id),
            lambda states: {"array_id": id, "states": dict(states), "elements": sum(states.values())},
        )
    return await call.write(
        lambda tx, deed: workloads.cancel(tx, deed, id=id),
        lambda rows: {"items": [workload_document(w, None, lang) for w in rows]},
    )


@router.get("/arrays/{id}", response_model=ArrayShape)
@requires(Action.WORKLOAD_READ, resources.array)
async def get_array(call: CallDep, id: str, limit: Limit = 500, cursor: Cursor = "") -> Response:
    """How many elements are in which state, and a page of their ids."""

    def look(reader: Reader) -> Plain | Reason:
        rows, next = take_page(reader, Workload, {"array_id": id}, cursor, limit)
        states = count_by(reader, Workload, WorkloadState, array_id=id)
        return {
            "id": id,
            "project": call.record.project,
            "states": states,
            "elements": sum(states.values()),
            "ids": [w.id for w in rows],
            "next": next,
        }

    return await call.show(look)


def count_by(reader: Reader, kind: type[Any], states: Any, **where: Any) -> dict[str, int]:
    """How many records are in each state."""
    return {state.value: reader.count(kind, {"state": state, **where}) for state in states}
