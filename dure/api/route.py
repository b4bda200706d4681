"""The one way into every route: authenticate → check the address → decide access → read the body → validate → run; and out: no
exception leaves.

`@requires(action, of)` declares what a route asks for; a route without it cannot be built."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from dure.access import ANYONE, RIGHTS, Action, Identity, Resource
from dure.api.call import Call
from dure.api.cursors import cursor_fault
from dure.api.faults import reasons_of, unknown_field
from dure.api.intake import content_fault, idempotency_key, is_id, language, parse_json, read_body
from dure.api.lanes import Lane
from dure.api.problems import problem
from dure.api.state import ApiState
from dure.errors import ConfigError, StoreError, StoreUnavailable, Unreadable
from dure.model.reason import Reason, ReasonKind
from dure.ports import Entropy

logger = logging.getLogger("dure.api")
LONG_BYTES = 64 << 10  # a body beyond it is made sense of beside the event loop
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
Of = Callable[[Call], Awaitable[Sequence[Resource] | Reason]]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """What a route asks for. of: the resources, all of which must be allowed; None: the route decides on every item it lists."""

    action: Action
    of: Of | None
    keyed: bool = True  # a write needs an Idempotency-Key
    streamed: bool = False  # the route reads the body itself
    bound: str = "body_bytes_max"  # which of the settings bounds the body
    in_body: bool = False  # the body names the resource: it is read before the decision


def requires(
    action: Action, of: Of | None, *, keyed: bool = True, streamed: bool = False, bound: str = "body_bytes_max"
) -> Callable[[F], F]:
    """Declare the access decision of a route function."""

    def declare(function: F) -> F:
        in_body = getattr(of, "in_body", False)
        function.__access__ = Access(action, of, keyed, streamed, bound, in_body)  # type: ignore[attr-defined]
        return function

    return declare


def named_in_body(of: F) -> F:
    """Declare that `of` looks at the body. All other decisions are made before a byte of it is read."""
    of.in_body = True  # type: ignore[attr-defined]
    return of


class CheckedRequest(Request):
    """A request whose body has been read and checked already."""

    checked: Call

    async def body(self) -> bytes:
        return self.checked.raw

    async def json(self) -> Any:
        return self.checked.document


class DureRoute(APIRoute):
    """A FastAPI route behind the steps of this module."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        access = getattr(endpoint, "__access__", None)
        if not isinstance(access, Access):
            raise ConfigError(f"{path}: a route without @requires(...) has no access decision")
        self.access = access
        options["operation_id"] = options.get("operation_id") or options.get("name") or endpoint.__name__
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        run = super().get_route_handler()
        model = _body_model(self)
        known = frozenset(p.alias for p in self.dependant.query_params)
        has_body = self.body_field is not None
        access = self.access

        async def handle(request: Request) -> Response:
            api: ApiState = request.app.state.api
            lane = Lane.AGENTS if access.action is Action.AGENT_ACT else Lane.PEOPLE
            call = Call(api, request, language(request), lane, cursors="cursor" in known)
            try:
                reason = await _admit(call, access, known, has_body)
                if reason is not None:
                    return call.refuse(reason)
                checked = CheckedRequest(request.scope, request.receive)
                checked.checked = call
                request.state.call = call
                call.checked_ms = api.clock.now_ms()
                call.recheck = lambda: _still(call, access)
                return await run(checked if not access.streamed else request)
            except RequestValidationError as error:
                return call.refuse(reasons_of(error.errors(), model))
            except HTTPException:
                raise
            except ClientDisconnect:
                return Response(status_code=408)  # nobody is there to read it
            except Exception as error:
                return refuse_broken(error, call.lang, api.services.entropy, api.clock.now_ms())

        return handle


def _body_model(route: APIRoute) -> type[BaseModel] | None:
    annotation = route.body_field.field_info.annotation if route.body_field else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


async def _admit(call: Call, access: Access, known: frozenset[str], has_body: bool) -> Reason | None:
    """Steps before the route's function. The reason why not, or None."""
    request = call.request
    identity = await call.api.gate.identify(request.headers.getlist("authorization"))  # 1. who asks
    if isinstance(identity, Reason):
        return identity
    call.identity = identity
    fault = _form_fault(request, known)  # 2. is the address well formed
    if fault is not None:
        return fault
    fault = None if access.in_body else await decide(call, access)  # 3. may they
    if fault is not None:
        return fault
    if request.method in WRITES and not access.streamed:  # 4. is the body within bounds, and JSON
        fault = await _take_body(call, access, has_body)
        if fault is not None:
            return fault
    if access.in_body:  # or may they do that to what the body names
        fault = await decide(call, access)
        if fault is not None:
            return fault
    if request.method in WRITES and access.keyed:  # 5. is the write named
        key = idempotency_key(request)
        if isinstance(key, Reason):
            return key
        call.key = key
    return None


def _form_fault(request: Request, known: frozenset[str]) -> Reason | None:
    for value in request.path_params.values():
        if not is_id(value):
            return Reason.of(ReasonKind.NOT_FOUND, what="address", id=value[:64])
    if not request.scope["query_string"]:
        return None
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        return unknown_field(unknown[0][:64], unknown[0], sorted(known))
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name in seen:
            return Reason.of(ReasonKind.BAD_FIELD, field=name, problem="duplicate")
        if "\0" in value or len(value) > 256:
            return Reason.of(ReasonKind.BAD_FIELD, field=name, problem="bad_format")
        seen.add(name)
    return cursor_fault(request)


async def _take_body(call: Call, access: Access, has_body: bool) -> Reason | None:
    settings = call.api.settings
    bytes_max: int = getattr(settings, access.bound)
    if access.in_body and not _could(call.identity, access.action):
        bytes_max = min(bytes_max, settings.stranger_body_bytes_max)
    raw = await read_body(call.request, bytes_max)
    if isinstance(raw, Reason):
        return raw
    call.raw = raw
    if not raw:
        return None
    fault = content_fault(call.request)
    if fault is not None:
        return fault
    long = len(raw) > LONG_BYTES
    document = await call.api.beside(lambda: parse_json(raw), Lane.BODIES) if long else parse_json(raw)
    if isinstance(document, Reason):
        return document
    call.document = document
    takes_body = has_body or not access.keyed  # agents' words are looked at by their routes
    return None if takes_body or document in ({}, None) else _no_body(document)


def _no_body(document: Any) -> Reason:
    """Whoever sends something means something by it: better refused than not heeded."""
    if isinstance(document, dict):
        return unknown_field(str(next(iter(document)))[:64], "", [])
    return Reason.of(ReasonKind.BAD_FIELD, field="body", problem="no_body")


def _could(identity: Identity, action: Action) -> bool:
    """Whether there is anything at all to which they may do this."""
    return action in ANYONE or any(action in RIGHTS[g.role][1] for g in identity.grants)


async def _still(call: Call, access: Access) -> bool:
    """Whether what was decided would be decided again."""
    identity = await call.api.gate.identify(call.request.headers.getlist("authorization"))
    if isinstance(identity, Reason):
        return False
    call.identity = identity
    return await decide(call, access) is None


async def decide(call: Call, access: Access) -> Reason | None:
    """The access decision: None, or why not."""
    resources = [] if access.of is None else await access.of(call)
    if isinstance(resources, Reason):
        return resources
    refusal = call.refusal(access.action, resources)
    call.decided = refusal is None
    return refusal


def refuse_broken(error: Exception, lang: str, entropy: Entropy, now_ms: int) -> Response:
    """Something is broken: the caller gets a reference, the log gets the traceback under it."""
    if isinstance(error, StoreUnavailable):
        logger.warning("the store cannot be used: %s", error)
        return problem(Reason.of(ReasonKind.STORE_UNAVAILABLE), lang)
    if isinstance(error, StoreError) and not isinstance(error, Unreadable):
        # no room, or another controller leads: nothing was done, it may be tried again
        logger.warning("the store refused: %s", error)
        return problem(Reason.of(ReasonKind.PLANE_BUSY), lang)
    reference = entropy.new_id("err", now_ms)
    logger.error("request failed, reference %s", reference, exc_info=error)
    return problem(Reason.of(ReasonKind.INTERNAL, reference=reference), lang)
