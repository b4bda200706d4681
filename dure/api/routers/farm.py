"""The farm as a whole."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from dure.access import Action, visible_projects
from dure.api import resources
from dure.api.call import CallDep
from dure.api.documents import Plain, plain
from dure.api.route import DureRoute, requires
from dure.api.routers.workloads import count_by
from dure.api.shapes import FarmShape
from dure.api.veil import Veil
from dure.controller.commands.sites import drain_farm
from dure.controller.rules import plane_of
from dure.model.codec import to_plain
from dure.model.reason import Reason
from dure.model.records import Plane
from dure.model.site import Node, Site
from dure.model.workload import Attempt, AttemptState, Workload, WorkloadState
from dure.ports import Reader

KEPT_BACK_SHOWN = 100

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["farm"])


@router.get("/farm", response_model=FarmShape)
@requires(Action.SITE_READ, resources.farm("site"))
async def get_farm(call: CallDep) -> Response:
    """The plane and its controller, and how much there is of everything."""
    controller = call.api.services.controller
    contradiction = to_plain(controller.contradiction)  # where the stored chain is not what was signed; None: nowhere
    told = {
        "leads": controller.leads, "epoch": controller.epoch, "faults": controller.faults, "contradiction": contradiction,
    }  # fmt: skip
    now_ms, kept_back = call.api.clock.now_ms(), controller.kept_back
    visible = visible_projects(call.identity, Action.WORKLOAD_READ)

    def document(reader: Reader) -> Plain | Reason:
        ids = [Veil(reader, visible).id(Workload, id) for id in kept_back[:KEPT_BACK_SHOWN]]
        return farm_document(reader, now_ms, {**told, "kept_back": ids, "kept_back_count": len(kept_back)})

    return await call.show(document)


def farm_document(reader: Reader, now_ms: int, controller: dict[str, Any]) -> Plain | Reason:
    plane = plane_of(reader)
    return {
        "incarnation": plane.incarnation,
        "leader_epoch": plane.leader_epoch,
        "sealed_seq": plane.sealed_seq,
        "sealed_hash": plane.sealed_hash,
        "public_key": plane.public_key,
        "draining": plane.draining,
        "now_ms": now_ms,
        "sites": reader.count(Site),
        "nodes": reader.count(Node),
        "nodes_in_use": reader.count(Node, {"up": True, "drained": False}),
        "workloads": count_by(reader, Workload, WorkloadState),
        "attempts": count_by(reader, Attempt, AttemptState),
        "controller": controller,
    }


@router.post("/farm/drain", response_model=Plane)
@requires(Action.FARM_DRAIN, resources.farm("site"))
async def drain(call: CallDep) -> Response:
    """Start nothing more anywhere. What runs runs on."""
    return await call.write(lambda tx, deed: drain_farm(tx, deed, draining=True), plain)


@router.post("/farm/undrain", response_model=Plane)
@requires(Action.FARM_DRAIN, resources.farm("site"))
async def undrain(call: CallDep) -> Response:
    """Start work again. Again changes nothing."""
    return await call.write(lambda tx, deed: drain_farm(tx, deed, draining=False), plain)
