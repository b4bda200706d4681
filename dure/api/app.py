"""`create_app`: the routes, in the order in which they are asked for most, and what answers when none is meant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from dure import __version__
from dure.api.apidoc import document
from dure.api.blobs import keep_swept
from dure.api.intake import language
from dure.api.problems import PAGE, problem, reasons_page
from dure.api.route import refuse_broken
from dure.api.routers import (
    actors,
    agent,
    bundles,
    envelopes,
    events,
    farm,
    funding,
    logs,
    policy,
    quotas,
    sites,
    snapshots,
    tenancy,
    traits,
    workloads,
)
from dure.api.services import PlaneServices
from dure.api.state import ApiState
from dure.model.reason import Reason, ReasonKind

_MODULES = (
    workloads, agent, logs, events, tenancy, actors, funding, bundles, sites, envelopes, traits, farm, policy, quotas, snapshots,
)  # fmt: skip
ROUTERS: tuple[APIRouter, ...] = tuple(module.router for module in _MODULES)
OPEN_PATHS = frozenset({"/healthz", "/api/v1/openapi.json", PAGE})  # need no token


class PlaneApp(FastAPI):
    """FastAPI with our own openapi.json: problem documents, keys and tokens are told once, for every route."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(self)
        return self.openapi_schema


def create_app(plane: PlaneServices) -> FastAPI:
    """The REST API over these services. Run it with an ASGI server in one process; `end_streams` before stopping it."""
    app = bare_app()
    app.state.api = state = ApiState(plane)
    plane.controller.on_change(state.changes.fire)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    bind(app.state.api)
    sweeper = asyncio.create_task(keep_swept(app.state.api))
    yield
    sweeper.cancel()
    app.state.api.close()


def bare_app() -> PlaneApp:
    """The routes without a plane behind them: enough for openapi.json, and for tests that walk them."""
    app = PlaneApp(
        title="Dure",
        version=__version__,
        summary="The control plane that makes the AI computing of many sites one service",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    app.router.routes.append(Route("/healthz", healthz, methods=["GET"]))
    app.router.routes.append(Route(PAGE, reasons, methods=["GET"]))
    app.add_exception_handler(HTTPException, _refuse_address)
    app.add_exception_handler(Exception, _refuse_broken)
    return app


def bind(state: ApiState) -> None:
    """Say which event loop the API runs on. Done by the ASGI lifespan; tests without one call it."""
    state.changes.bind(asyncio.get_running_loop())


def end_streams(app: FastAPI) -> None:
    """End every stream and long poll at once, so that a server that waits for its connections can stop. From any thread."""
    state: ApiState = app.state.api
    state.changes.close()


async def healthz(request: Request) -> Response:
    """Whether the process answers, and whether its event chain is the one that it signed. Says nothing about sites."""
    state: ApiState = request.app.state.api
    chain = "contradicted" if state.services.controller.contradiction else "ok"
    return Response(to_json({"status": "ok", "chain": chain}), media_type="application/json")


async def reasons(request: Request) -> Response:
    """What every kind of reason means, in the language that is asked for: where the `type` of a problem leads."""
    lang = language(request)
    return Response(reasons_page(lang), media_type="text/markdown", headers={"content-language": lang})


async def _refuse_address(request: Request, error: Exception) -> Response:
    """No such address, or no such method there."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    lang, path = language(request), request.url.path
    if status == 405:
        reason = Reason.of(ReasonKind.METHOD_NOT_ALLOWED, method=request.method[:20], allowed=", ".join(allowed(request)))
    elif status == 404:
        reason = Reason.of(ReasonKind.NOT_FOUND, what="address", id=path[:200])
    else:
        reason = Reason.of(ReasonKind.BAD_FIELD, field="request", problem="bad_format")
    return problem(reason, lang, path)


def allowed(request: Request) -> list[str]:
    """Every method that the address takes: each is a route of its own."""
    found: set[str] = set()
    for route in request.app.router.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


async def _refuse_broken(request: Request, error: Exception) -> Response:
    state: ApiState = request.app.state.api
    return refuse_broken(error, language(request), state.services.entropy, state.clock.now_ms())
