"""What sites may draw over time, and when nothing may run there."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from dure.access import Action
from dure.api import resources
from dure.api.bodies import MaintenanceIn, PowerIn
from dure.api.call import CallDep
from dure.api.documents import plain
from dure.api.route import DureRoute, requires
from dure.controller.commands import envelopes
from dure.model.envelope import Maintenance
from dure.model.site import Site

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["sites"])


@router.post("/sites/{id}/power", response_model=Site)
@requires(Action.SITE_OPERATE, resources.site)
async def set_power(call: CallDep, id: str, body: PowerIn) -> Response:
    """Cap what a site draws at the meter, for a while or for good. Nothing starts that would draw more; what runs runs on."""
    return await call.write(
        lambda tx, deed: envelopes.set_power(tx, deed, site=id, watts=body.watts, from_ms=body.starts, until_ms=body.ends),
        plain,
    )


@router.post("/sites/{id}/maintenance", status_code=201, response_model=Maintenance)
@requires(Action.SITE_OPERATE, resources.site)
async def plan_maintenance(call: CallDep, id: str, body: MaintenanceIn) -> Response:
    """Let nothing run there for a while: what starts ends before, by its limit. What runs when it begins is not stopped."""
    return await call.write(
        lambda tx, deed: envelopes.plan_maintenance(
            tx, deed, site=id, from_ms=body.starts, until_ms=body.ends, nodes=body.nodes, note=body.note
        ),
        plain,
        status=201,
    )


@router.delete("/sites/{id}/maintenance/{window}", response_model=Maintenance)
@requires(Action.SITE_OPERATE, resources.site)
async def cancel_maintenance(call: CallDep, id: str, window: str) -> Response:
    """Take a window of maintenance back, whether it has begun or not."""
    return await call.write(lambda tx, deed: envelopes.cancel_maintenance(tx, deed, site=id, window=window), plain)
