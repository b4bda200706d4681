"""The record of everything that anyone did: pages, a stream, the head, the proof."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from dure.access import Action, Resource, visible_projects
from dure.api import resources
from dure.api.call import Call, CallDep
from dure.api.documents import Plain, page, plain
from dure.api.listing import IdFilter, Limit, project_refusal
from dure.api.route import DureRoute, requires
from dure.api.shapes import Document, Page
from dure.api.sse import KEEP_ALIVE, STREAMED, EventStream, frame
from dure.controller import verify_audit
from dure.controller.rules import plane_of
from dure.model.codec import to_plain
from dure.model.event import NO_HEAD, Event
from dure.model.reason import Reason, ReasonKind
from dure.model.tenancy import Role
from dure.ports import Reader

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["events"])
SEQ_MAX = 2**53
WINDOW = 500  # numbers looked at in one query
WINDOWS_MAX = 40  # of one answer: who sees little gets short pages, not long waits
CALM_MS = 50  # a stream gathers changes this long, so that a flood of commits is not a flood of reads
LOOK_MS = 500  # events are sealed without a wake, within about this time
After = Annotated[int, Query(ge=0, le=SEQ_MAX, description="number of the last event seen")]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted, and which of them the caller may see."""

    call: Call
    where: dict[str, Any]

    def sees(self, event: Event) -> bool:
        resource = Resource(kind="event", id=event.id, project=event.project, site=event.site)
        return self.call.sees(Action.EVENT_READ, resource)


async def _filter(call: Call, project: str, subject: str) -> Filter | Reason:
    where: dict[str, Any] = {"subject": subject} if subject else {}
    if project:
        refusal = await project_refusal(call, Action.EVENT_READ, Resource(kind="project", id=project))
        return refusal or Filter(call, {**where, "project": project})
    visible = visible_projects(call.identity, Action.EVENT_READ)
    if visible is not None and not any(g.role == Role.OPERATOR for g in call.identity.grants):
        where["project"] = sorted(visible)
    return Filter(call, where)


def look_behind(reader: Reader, wanted: Filter, after: int, limit: int) -> tuple[list[Event], int, bool]:
    """Events behind number `after`; the last number looked at; whether that is the end of what is sealed."""
    last, found = plane_of(reader).sealed_seq, list[Event]()
    for _ in range(WINDOWS_MAX):
        if after >= last or len(found) >= limit:
            break
        numbers = list(range(after + 1, min(after + WINDOW, last) + 1))
        rows = [e for e in reader.find(Event, {**wanted.where, "seq": numbers}, order="seq") if wanted.sees(e)]
        taken = rows[: limit - len(found)]
        found += taken
        after = taken[-1].seq if len(taken) < len(rows) else numbers[-1]
    return found, after, after >= last


@router.get("/events", response_model=Page[Event])
@requires(Action.EVENT_READ, None)
async def list_events(
    call: CallDep, after: After = 0, project: IdFilter = "", subject: IdFilter = "", limit: Limit = 100
) -> Response:
    """Sealed events, oldest first; `next` is the `after` of the next page, "" at the end."""
    wanted = await _filter(call, project, subject)
    if isinstance(wanted, Reason):
        return call.refuse(wanted)

    def look(reader: Reader) -> Plain | Reason:
        events, seen, end = look_behind(reader, wanted, after, limit)
        return page((plain(e) for e in events), "" if end else str(seen))

    return await call.show(look)


@router.get("/events/stream", response_class=StreamingResponse, responses=STREAMED)
@requires(Action.EVENT_READ, None)
async def stream_events(call: CallDep, project: IdFilter = "", after: After = 0) -> Response:
    """Events ("event") as they are sealed, each with its number as id, from behind `Last-Event-ID` or `after`."""
    wanted = await _filter(call, project, "")
    if isinstance(wanted, Reason):
        return call.refuse(wanted)
    last_id = call.request.headers.get("last-event-id", "") or str(after)
    if not (last_id.isascii() and last_id.isdigit() and len(last_id) < 17):
        return call.refuse(Reason.of(ReasonKind.BAD_FIELD, field="Last-Event-ID", problem="bad_format", example="4096"))
    if call.api.turnstile.full(call.identity.id):
        return call.refuse(Reason.of(ReasonKind.PLANE_BUSY))
    return EventStream(_events(call, wanted, int(last_id)), call.api.turnstile, call.identity.id)


async def _events(call: Call, wanted: Filter, after: int) -> AsyncGenerator[bytes, None]:
    api = call.api
    started_ms = spoke_ms = api.clock.now_ms()
    while not api.changes.closing and await call.still_allowed():
        mark = api.changes.mark()
        events, after, end = await call.read(lambda reader, seen=after: look_behind(reader, wanted, seen, 100))  # type: ignore[misc]
        for event in events:
            yield frame("event", plain(event), id=str(event.seq))
        now_ms = api.clock.now_ms()
        if now_ms - started_ms >= api.settings.stream_ms_max:
            return
        if events:
            spoke_ms = now_ms
        elif now_ms - spoke_ms >= api.settings.stream_keep_alive_ms:
            spoke_ms = now_ms
            yield KEEP_ALIVE
        if end and await api.changes.wait(mark, min(LOOK_MS, api.settings.stream_ms_max)):
            await api.changes.calm(CALM_MS)


@router.get("/audit/head", response_model=Document)
@requires(Action.EVENT_READ, None)
async def audit_head(call: CallDep) -> Response:
    """The last signed head of the chain, to be kept out of the plane's reach; {} before the first."""
    head = call.api.services.controller.head()
    return call.answer(plain(head) if head else {})


@router.get("/audit/verify", response_model=Document)
@requires(Action.AUDIT_VERIFY, resources.farm("event"))
async def audit_verify(call: CallDep) -> Response:
    """Hashes the chain again from its beginning, and holds it against the last signed head; `fault` names the first event that
    does not hold. While it names one, nothing is sealed and nothing is started. Then it holds actors, roles and credentials
    against what the chain tells of them; `findings` names each that is not so."""
    controller = call.api.services.controller
    known = controller.head() or NO_HEAD

    def look(reader: Reader) -> Plain | Reason:
        report = verify_audit(reader, controller.sealer.signer, known)
        return {"ok": report.fault is None and not report.findings, **to_plain(report)}

    return await call.ask(lambda: call.api.services.store.read(look))
