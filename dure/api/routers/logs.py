"""What workloads print, as a stream from the site where they run."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from dure.access import Action
from dure.api import resources
from dure.api.call import Call, CallDep
from dure.api.listing import IdFilter
from dure.api.loghub import LogReader
from dure.api.route import DureRoute, requires
from dure.api.sse import KEEP_ALIVE, STREAMED, EventStream, frame
from dure.controller.rules import not_found
from dure.model.reason import Reason, ReasonKind
from dure.model.workload import TERMINAL, Attempt, Workload
from dure.ports import Reader

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["work"])
OFFSET_MAX = 2**53
SILENT_TOLD_MS = 5_000  # without a byte for this long a reader is told what is known of the site


@router.get("/workloads/{id}/logs", response_class=StreamingResponse, responses=STREAMED)
@requires(Action.WORKLOAD_LOG, resources.workload)
async def read_log(
    call: CallDep,
    id: str,
    worker: Annotated[int, Query(ge=0, le=16_384)] = 0,
    attempt: Annotated[IdFilter, Query(description="absent: the live attempt, or else the last")] = "",
    follow: Annotated[bool, Query(description="go on until the attempt ends")] = False,
    offset: Annotated[int, Query(ge=0, le=OFFSET_MAX, description="first byte")] = 0,
) -> Response:
    """Events: "log" {offset, data (base64)}; "status" {status: waiting, unreachable} when nothing comes; "end" {attempt, offset}.

    The id of an event is the offset behind it: `Last-Event-ID` goes on from there. A stream that ends without "end" is to be
    taken up again."""
    start = _resumed(call.request.headers.get("last-event-id", ""), offset)
    if start is None:
        return call.refuse(Reason.of(ReasonKind.BAD_FIELD, field="Last-Event-ID", problem="bad_format", example="4096"))
    chosen: Attempt | None = None
    if attempt:
        chosen = await call.read(lambda reader: reader.get(Attempt, attempt))
        if chosen is None or chosen.workload != id:
            return call.refuse(not_found("attempt", attempt))
    if call.api.turnstile.full(call.identity.id):
        return call.refuse(Reason.of(ReasonKind.PLANE_BUSY))
    return EventStream(_log(call, id, chosen, worker, start, follow), call.api.turnstile, call.identity.id)


def _resumed(last_id: str, offset: int) -> int | None:
    if not last_id:
        return offset
    return int(last_id) if last_id.isascii() and last_id.isdigit() and len(last_id) < 17 else None


async def _log(
    call: Call, workload: str, attempt: Attempt | None, worker: int, offset: int, follow: bool
) -> AsyncGenerator[bytes, None]:
    deadline_ms = call.api.clock.now_ms() + call.api.settings.stream_ms_max
    while attempt is None:
        attempt, terminal = await _last_attempt(call, workload)
        if attempt is not None:
            break
        if terminal or not follow:
            yield frame("end", {"attempt": "", "offset": offset})
            return
        yield frame("status", {"status": "waiting"})
        if call.api.changes.closing or call.api.clock.now_ms() >= deadline_ms:
            return
        await call.api.changes.wait(call.api.changes.mark(), SILENT_TOLD_MS)
    reader = call.api.hub.open(attempt.site, attempt.id, worker, offset)
    try:
        async for piece in _pieces(call, reader, attempt.site, follow, deadline_ms):
            yield piece
    finally:
        call.api.hub.close(reader)


async def _last_attempt(call: Call, workload: str) -> tuple[Attempt | None, bool]:
    """The live attempt, or else the last; and whether there will be no other."""

    def look(reader: Reader) -> tuple[Attempt | None, bool]:
        rows = reader.find(Attempt, {"workload": workload}, descending=True, limit=1)
        row = reader.get(Workload, workload)
        return next(iter(rows), None), row is None or row.state in TERMINAL

    return await call.read(look)


async def _pieces(call: Call, reader: LogReader, site: str, follow: bool, deadline_ms: int) -> AsyncGenerator[bytes, None]:
    """What the reader gets, until the log has ended, nothing more is there (when not following), or the stream's time is over."""
    hub, changes, clock = call.api.hub, call.api.changes, call.api.clock
    quiet_ms = 0
    wait_ms = min(SILENT_TOLD_MS, call.api.settings.stream_keep_alive_ms)
    while not changes.closing and not reader.let_go and await call.still_allowed():
        while (piece := reader.take()) is not None:
            data = base64.b64encode(piece.data).decode()
            yield frame("log", {"offset": piece.after - len(piece.data), "data": data}, id=str(piece.after))
            quiet_ms = 0
        if reader.ended or (reader.caught_up and not follow):
            yield frame("end", {"attempt": reader.key[0], "offset": reader.position}, id=str(reader.position))
            return
        if clock.now_ms() >= deadline_ms:
            return
        if await reader.wait(min(wait_ms, max(1, deadline_ms - clock.now_ms()))):
            continue
        quiet_ms += wait_ms
        silent_ms = hub.silent_ms(site)
        if silent_ms is None or silent_ms > (await call.api.policy()).site_silent_ms:
            yield frame("status", {"status": "unreachable", "site": site, "silent_ms": -1 if silent_ms is None else silent_ms})
            if not follow and quiet_ms >= 2 * wait_ms:
                yield frame("end", {"attempt": reader.key[0], "offset": reader.position}, id=str(reader.position))
                return
        else:
            yield KEEP_ALIVE
