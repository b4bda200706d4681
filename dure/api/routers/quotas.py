"""What quotas leave to whom."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from dure.access import Action, visible_projects
from dure.api.call import CallDep
from dure.api.documents import Plain, plain
from dure.api.listing import IdFilter
from dure.api.route import DureRoute, requires
from dure.api.shapes import QuotasShape
from dure.model.reason import Reason

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["farm"])


@router.get("/quotas", response_model=QuotasShape)
@requires(Action.PROJECT_READ, None)
async def list_quotas(call: CallDep, project: IdFilter = "") -> Response:
    """Who has a quota, and how much of it is used, borrowed, lent and available, as of the last step. Members of projects see
    these; who sees all projects sees organisations and the whole farm (`*`) too."""
    controller, visible = call.api.services.controller, visible_projects(call.identity, Action.PROJECT_READ)

    def look() -> Plain | Reason:
        answer = controller.quotas(visible, project)
        return answer if isinstance(answer, Reason) else plain(answer)

    return await call.ask(look)
