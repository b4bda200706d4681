"""What a plan may prefer a site for."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from dure.access import Action
from dure.api import resources
from dure.api.bodies import TraitsIn
from dure.api.call import CallDep
from dure.api.documents import plain
from dure.api.route import DureRoute, requires
from dure.controller.commands import traits
from dure.model.site import Site

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["sites"])


@router.post("/sites/{id}/traits", response_model=Site)
@requires(Action.SITE_OPERATE, resources.site)
async def set_traits(call: CallDep, id: str, body: TraitsIn) -> Response:
    """Say what is known of a site now: the carbon and the price of its power, and the data that is there. What is left out stays
    as it is."""
    return await call.write(
        lambda tx, deed: traits.set_traits(
            tx, deed, site=id, carbon_g_kwh=body.carbon_g_kwh, power_krw_mwh=body.power_krw_mwh, datasets=body.datasets
        ),
        plain,
    )
