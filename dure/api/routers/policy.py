"""The rules: those in force, those that were, and new ones."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as InPath
from starlette.responses import Response

from dure.access import Action
from dure.api import resources
from dure.api.bodies import PolicyIn
from dure.api.call import CallDep
from dure.api.cursors import opened
from dure.api.documents import Plain, page, policy_document, policy_documents
from dure.api.listing import Cursor, Limit
from dure.api.resources import quotas_seen
from dure.api.route import DureRoute, requires
from dure.api.shapes import Page, PolicyShape
from dure.controller.commands.policy import write_policy
from dure.controller.deed import Deed
from dure.controller.rules import not_found, policy_of
from dure.model.policy import Policy, policy_id
from dure.model.reason import Reason
from dure.ports import Reader, Tx

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["farm"])
Version = Annotated[int, InPath(ge=1, le=2**53 - 1, description="number of a policy")]


@router.get("/policy", response_model=PolicyShape)
@requires(Action.POLICY_READ, resources.farm("policy"))
async def get_policy(call: CallDep) -> Response:
    """The rules in force: priority classes, prices, quotas, limits. Quotas are told of those whom the caller may see."""
    return await call.show(lambda reader: policy_documents(reader, [policy_of(reader).version], quotas_seen(call, reader))[0])


@router.get("/policies", response_model=Page[PolicyShape])
@requires(Action.POLICY_READ, resources.farm("policy"))
async def list_policies(call: CallDep, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """Every version of the rules, newest first: who wrote it, when, and what it changed."""

    def look(reader: Reader) -> Plain:
        seen = opened(cursor)
        first = int(seen) - 1 if seen.isdecimal() else policy_of(reader).version
        last = max(0, first - limit)
        return page(policy_documents(reader, range(first, last, -1), quotas_seen(call, reader)), str(last + 1) if last else "")

    return await call.show(look)


@router.get("/policy/{version}", response_model=PolicyShape)
@requires(Action.POLICY_READ, resources.farm("policy"))
async def get_policy_version(call: CallDep, version: Version) -> Response:
    """One version of the rules. What was decided under it keeps its number."""

    def look(reader: Reader) -> Plain | Reason:
        found = policy_documents(reader, [version], quotas_seen(call, reader))
        return found[0] if found else not_found("policy", policy_id(version))

    return await call.show(look)


@router.put("/policy", response_model=PolicyShape)
@requires(Action.POLICY_WRITE, resources.farm("policy"))
async def put_policy(call: CallDep, body: PolicyIn) -> Response:
    """Put a whole policy in force as the next version. What was decided under an older one keeps its number.

    With `based_on` it is refused when another version is in force than that."""

    def command(tx: Tx, deed: Deed) -> tuple[Policy, Policy] | Reason:
        before = policy_of(tx)
        written = write_policy(tx, deed, policy=body.policy(), based_on=body.based_on, free=body.free)
        return written if isinstance(written, Reason) else (written, before)

    return await call.write(command, lambda made: policy_document(*made), forget=True)
