"""What was planned from, to plan it again elsewhere."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from dure.access import Action
from dure.api import resources
from dure.api.call import CallDep
from dure.api.route import DureRoute, requires
from dure.model.reason import Reason, ReasonKind
from dure.scheduler import encode

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["farm"])
GZIP = "application/gzip"
FILE: dict[int | str, dict[str, Any]] = {200: {"content": {GZIP: {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/snapshot", response_class=Response, responses=FILE)
@requires(Action.SNAPSHOT_READ, resources.farm("snapshot"))
async def get_snapshot(call: CallDep) -> Response:
    """The state that the last plan was made from, as a file for `dure snapshot plan`: ids, amounts and moments, no names.

    It holds the work and the money of every project."""
    controller = call.api.services.controller
    if call.api.questions.full(call.identity.id):
        return call.refuse(Reason.of(ReasonKind.PLANE_BUSY))

    def look() -> bytes | None:
        snapshot = controller.snapshot()
        return encode(snapshot) if snapshot is not None else None

    data = await call.api.questions.ask(call.identity.id, look)
    if data is None:
        return call.refuse(Reason.of(ReasonKind.PLANE_STARTING))
    return Response(data, media_type=GZIP)
