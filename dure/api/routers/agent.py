"""What the sites' agents say and are told: hello, a long poll, reports, logs, archives."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from dure.access import Action
from dure.api import resources
from dure.api.agentwords import HelloWords, LogWords, PollWords, ReportWords, understand
from dure.api.call import Call, CallDep
from dure.api.lanes import Lane
from dure.api.route import LONG_BYTES, DureRoute, requires
from dure.api.routers.bundles import SHA256, blob_path
from dure.controller.commands import agents
from dure.controller.rules import not_found, plane_of
from dure.model.codec import to_plain
from dure.model.link import Hello, HelloAnswer, LogAnswer, LogChunk, LogWant, Order, Poll, PollAnswer, Report, ReportAnswer
from dure.model.reason import Reason
from dure.model.records import Bundle
from dure.model.site import Site
from dure.model.workload import Attempt, AttemptState, Workload
from dure.ports import Reader

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["agent"])
T = TypeVar("T", Hello, Poll, Report, LogChunk)
CALM_MS = 15  # changes gathered before orders are read again: a flood of submissions is not a flood of reads


def _body(model: type[Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _words(call: Call, kind: type[T]) -> T | list[Reason]:
    """What the agent says; a long body is looked through beside the event loop."""
    if len(call.raw) <= LONG_BYTES:
        return understand(kind, call.document)
    return await call.api.beside(lambda: understand(kind, call.document), Lane.BODIES)


@router.post("/agent/hello", response_model=HelloAnswer, openapi_extra=_body(HelloWords))
@requires(Action.AGENT_ACT, resources.own_site, keyed=False, bound="hello_body_bytes_max")
async def hello(call: CallDep) -> Response:
    """An agent takes charge of its site; whoever did before is fenced off."""
    words, site = await _words(call, Hello), call.identity.site
    if isinstance(words, list):
        return call.refuse(words)
    deed = call.deed()
    answer = await call.api.write(lambda tx: agents.hello(tx, deed, site=site, hello=words))
    call.api.hub.heard(site)
    call.api.told_heads.pop(site, None)
    return call.answer(answer if isinstance(answer, Reason) else to_plain(answer))


@router.post("/agent/report", response_model=ReportAnswer, openapi_extra=_body(ReportWords))
@requires(Action.AGENT_ACT, resources.own_site, keyed=False, bound="log_body_bytes_max")
async def report(call: CallDep) -> Response:
    """What the site sees of its attempts."""
    words, site = await _words(call, Report), call.identity.site
    if isinstance(words, list):
        return call.refuse(words)
    deed = call.deed()
    answer = await call.api.write(lambda tx: agents.report(tx, deed, site=site, report=words))
    call.api.hub.heard(site)
    return call.answer(answer if isinstance(answer, Reason) else to_plain(answer))


@router.post("/agent/poll", response_model=PollAnswer, openapi_extra=_body(PollWords))
@requires(Action.AGENT_ACT, resources.own_site, keyed=False)
async def poll(call: CallDep) -> Response:
    """Answers at once when there is something to do, else after `wait_ms`."""
    words = await _words(call, Poll)
    if isinstance(words, list):
        return call.refuse(words)
    await _note_heard(call)
    answer = await _orders(call, words)
    if isinstance(answer, Reason):
        return call.refuse(answer)
    orders, wants, incarnation = answer
    told = PollAnswer(incarnation=incarnation, orders=orders, logs=wants, head=_fresh_head(call))
    return call.answer(to_plain(told))


async def _orders(call: Call, words: Poll) -> tuple[tuple[Order, ...], tuple[LogWant, ...], int] | Reason:
    """Wait for orders or wants, until the poll's time is over, or the agent has given it up and polls anew; and the incarnation
    of the plane then."""
    api, site = call.api, call.identity.site
    turn = api.polls[site] = api.polls.get(site, 0) + 1
    api.hub.bell(site).set()
    deadline_ms = api.clock.now_ms() + min(words.wait_ms, api.settings.poll_wait_ms_max)
    while True:
        if api.polls[site] != turn:
            return (), (), (await call.read(plane_of)).incarnation
        mark = api.changes.mark()
        orders, incarnation = await api.beside(lambda: agents.polled(api.services.store, site=site, poll=words), call.lane)
        if isinstance(orders, Reason):
            return orders
        wants = api.hub.wants(site)
        left_ms = deadline_ms - api.clock.now_ms()
        if orders or wants or left_ms <= 0 or api.changes.closing:
            return orders, wants, incarnation
        await _either(mark, api.hub.bell(site), min(left_ms, api.settings.log_want_again_ms))
        await api.changes.calm(CALM_MS)


async def _either(first: asyncio.Event, second: asyncio.Event, timeout_ms: int) -> None:
    """Until one of two events is set, or the time is over."""
    waits = [asyncio.ensure_future(e.wait()) for e in (first, second)]
    try:
        await asyncio.wait(waits, timeout=timeout_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _note_heard(call: Call) -> None:
    """A poll shows that the site lives; that is written down only now and then."""
    api, site = call.api, call.identity.site
    api.hub.heard(site)
    now_ms = api.clock.now_ms()
    if 0 <= now_ms - api.noted_heard.get(site, -agents.HEARD_EVERY_MS) < agents.HEARD_EVERY_MS:
        return
    api.noted_heard[site] = now_ms
    deed = call.deed()
    await api.write(lambda tx: agents.heard(tx, deed, site=site))


def _fresh_head(call: Call) -> dict[str, Any]:
    """The signed head of the chain, for the agent's journal; {} when it has been told already."""
    head, site = call.api.services.controller.head(), call.identity.site
    if head is None or call.api.told_heads.get(site) == head.seq:
        return {}
    call.api.told_heads[site] = head.seq
    return dict(to_plain(head))


@router.post("/agent/logs", response_model=LogAnswer, openapi_extra=_body(LogWords))
@requires(Action.AGENT_ACT, resources.own_site, keyed=False, bound="log_body_bytes_max")
async def logs(call: CallDep) -> Response:
    """A piece of a log. The answer waits until its readers have room."""
    words, site = await _words(call, LogChunk), call.identity.site
    if isinstance(words, list):
        return call.refuse(words)
    row = await call.read(lambda reader: reader.get(Site, site))
    fault = not_found("site", site) if row is None else agents.epoch_fault(row, words.epoch)
    if fault is not None:
        return call.refuse(fault)
    call.api.hub.heard(site)
    answer = await call.api.hub.feed(site, words)
    return call.answer(answer if isinstance(answer, Reason) else to_plain(answer))


@router.get("/agent/bundles/{project}/{sha256}", response_class=FileResponse)
@requires(Action.AGENT_ACT, resources.own_site)
async def fetch_bundle(call: CallDep, project: str, sha256: str) -> Response:
    """The archive of an attempt that this site has to run, and of no other."""
    site, path = call.identity.site, blob_path(call.api.settings.blobs, project, sha256)

    def needed(reader: Reader) -> bool:
        states = (AttemptState.LAUNCHING, AttemptState.RUNNING, AttemptState.STOPPING)
        if not SHA256.fullmatch(sha256) or reader.get(Bundle, f"{project}:{sha256}") is None:
            return False
        attempts = reader.find(Attempt, {"site": site, "project": project, "state": states})
        workloads = reader.get_many(Workload, {a.workload for a in attempts})
        return any(w.spec.bundle == sha256 for w in workloads.values())

    if not await call.read(needed) or not await call.api.beside(path.is_file, call.lane):
        return call.refuse(not_found("bundle", sha256))
    return FileResponse(path, media_type="application/gzip")
