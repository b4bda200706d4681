"""Sites, nodes, attempts in an operator's hand, the quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.responses import Response

from dure.access import Action, Resource, Scope, visible_ids, visible_projects
from dure.api import resources
from dure.api.bodies import AttestIn, DismissIn, SiteIn
from dure.api.call import Call, CallDep
from dure.api.documents import Plain, new_token_document, plain, site_document, site_record
from dure.api.listing import Cursor, IdFilter, Limit, among, find_page
from dure.api.route import DureRoute, requires
from dure.api.routers.actors import Secret
from dure.api.shapes import NewTokenShape, Page, SiteShape
from dure.api.veil import Veil
from dure.controller.commands import sites, tenancy
from dure.controller.commands.tenancy import NewToken
from dure.controller.deed import Deed
from dure.model.reason import Reason
from dure.model.site import ATTESTED, Node, Quarantine, Site
from dure.model.tenancy import Actor, Grant, Role, site_bound
from dure.model.workload import ATTEMPT_LIVE, Attempt
from dure.ports import Reader, Tx

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["sites"])
UNFORCED = AttestIn()


@router.post("/sites", status_code=201, response_model=Site)
@requires(Action.SITE_CREATE, resources.farm("site"))
async def create_site(call: CallDep, body: SiteIn) -> Response:
    """A site, which an agent may then speak for."""
    return await call.write(lambda tx, deed: sites.create_site(tx, deed, **body.model_dump()), plain, status=201)


@router.get("/sites", response_model=Page[Site])
@requires(Action.SITE_READ, resources.farm("site"))
async def list_sites(call: CallDep, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """Every site; what its backend says of itself only for those who run it."""

    now_ms = call.api.clock.now_ms()

    def shown(site: Site) -> Plain:
        return _unless_inspector(call, site_record(site, now_ms))

    return await call.show(lambda reader: find_page(reader, Site, {}, cursor, limit, shown))


@router.get("/sites/{id}", response_model=SiteShape)
@requires(Action.SITE_READ, resources.site)
async def get_site(call: CallDep, id: str) -> Response:
    """With its nodes, how much is in use, and those of its live attempts that the caller may see."""
    now_ms, silent_ms_max = call.api.clock.now_ms(), (await call.api.policy()).site_silent_ms

    def look(reader: Reader) -> Plain | Reason:
        nodes, attempts = reader.find(Node, {"site": id}), reader.find(Attempt, {"site": id, "state": ATTEMPT_LIVE})
        strange = [q for q in reader.find(Quarantine, {"site": id, "resolved": ("", ATTESTED)}) if q.holds_place]
        document = site_document(call.record, nodes, attempts, strange, now_ms, silent_ms_max)
        if not call.sees(Action.SITE_OPERATE, Resource(kind="site", id=id, site=id)):
            document["quarantined"] = []
        veil = Veil(reader, visible_projects(call.identity, Action.WORKLOAD_READ))
        document["attempts"] = [veil.attempt(plain(a)) for a in attempts if _sees(call, a)]
        return _unless_inspector(call, document)

    return await call.show(look)


def _unless_inspector(call: Call, document: Plain) -> Plain:
    """A site without what its backend says of itself and which attempts it told of, for those who only use it."""
    seen = call.sees(Action.SITE_INSPECT, Resource(kind="site", id=document["id"]))
    return document if seen else {**document, "backend": {}, "accounted": []}


def _sees(call: Call, attempt: Attempt) -> bool:
    resource = Resource(kind="workload", id=attempt.workload, project=attempt.project, site=attempt.site)
    return call.sees(Action.WORKLOAD_READ, resource)


def _draining(drained: bool) -> Callable[[CallDep, str], Awaitable[Response]]:
    async def drain(call: CallDep, id: str) -> Response:
        return await call.write(lambda tx, deed: sites.drain_site(tx, deed, site=id, drained=drained), plain)

    return requires(Action.SITE_OPERATE, resources.site)(drain)


router.post("/sites/{id}/drain", response_model=Site, name="drain_site", description="Start nothing more at a site.")(
    _draining(True)
)
router.post("/sites/{id}/undrain", response_model=Site, name="undrain_site", description="Start work at it again.")(
    _draining(False)
)


@router.post("/sites/{id}/tokens", status_code=201, response_model=NewTokenShape)
@requires(Action.SITE_OPERATE, resources.site)
async def create_site_token(call: CallDep, id: str) -> Response:
    """A token for the site's agent, which ends with the caller's. The secret is in this answer alone. One that an operator made
    ends with the role by which they did."""
    secret, ends_ms = Secret(), call.identity.expires_ms
    within = () if visible_projects(call.identity, Action.TOKEN_CREATE) is None else (site_bound(id),)

    def command(tx: Tx, deed: Deed) -> NewToken | Reason:
        agent = _agent(tx, deed, id)
        if isinstance(agent, Reason):
            return agent
        made = tenancy.create_token(tx, deed, actor=agent, label=f"agent of {id}", expires_ms=ends_ms, within=within)
        return secret.keep(made)

    return await call.write(command, new_token_document, status=201, forget=True, seal=secret.show)


def _agent(tx: Tx, deed: Deed, site: str) -> str | Reason:
    """The actor that is the site's program and nothing else: a token of one that has other roles would open those as well. Made
    when there is none that is not disabled."""
    held = sorted(g.actor for g in tx.find(Grant, {"role": Role.AGENT, "scope": site}))
    roles = Counter(g.actor for g in tx.find(Grant, {"actor": held}))
    able = next((id for id, row in tx.get_many(Actor, held).items() if not row.disabled and roles[id] == 1), None)
    if able is not None:
        return able
    made = tenancy.create_actor(tx, deed, name=f"agent of {site}", kind="service", grants=[(Role.AGENT, site)])
    return made if isinstance(made, Reason) else made.id


@router.get("/nodes", response_model=Page[Node])
@requires(Action.SITE_READ, resources.farm("node"))
async def list_nodes(call: CallDep, site: IdFilter = "", limit: Limit = 100, cursor: Cursor = "") -> Response:
    """The nodes of a site, or of all."""
    where = {"site": site} if site else {}
    return await call.show(lambda reader: find_page(reader, Node, where, cursor, limit, plain))


def _draining_node(drained: bool) -> Callable[[CallDep, str, str], Awaitable[Response]]:
    async def drain(call: CallDep, site: str, name: str) -> Response:
        node = f"{site}/{name}"
        return await call.write(lambda tx, deed: sites.drain_node(tx, deed, node=node, drained=drained), plain)

    return requires(Action.SITE_OPERATE, resources.node)(drain)


router.post("/nodes/{site}/{name}/drain", response_model=Node, name="drain_node", description="Start nothing more on it.")(
    _draining_node(True)
)
router.post("/nodes/{site}/{name}/undrain", response_model=Node, name="undrain_node", description="Start work on it again.")(
    _draining_node(False)
)


@router.post("/attempts/{id}/stop", response_model=Attempt)
@requires(Action.SITE_OPERATE, resources.attempt)
async def stop_attempt(call: CallDep, id: str) -> Response:
    """Preempt one attempt: it is stopped, refunded by the rule, and its workload waits again."""
    return await call.write(lambda tx, deed: sites.stop_attempt(tx, deed, attempt=id), plain)


@router.post("/attempts/{id}/attest-lost", response_model=Attempt)
@requires(Action.SITE_OPERATE, resources.attempt)
async def attest_lost(call: CallDep, id: str, body: AttestIn = UNFORCED) -> Response:
    """State that an attempt is dead for certain, so that its workload may run again. A lost link proves nothing: should it live,
    it is stopped as soon as its site is heard again. At a site that answers it is refused, unless by force: stop it instead."""
    return await call.write(lambda tx, deed: sites.attest_lost(tx, deed, attempt=id, force=body.force), plain)


@router.get("/quarantine", response_model=Page[Quarantine])
@requires(Action.SITE_OPERATE, None)
async def list_quarantine(call: CallDep, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """Attempts that a site runs and that the plane does not know, after a restore; and those that live although their end is
    recorded, which are being stopped."""
    where = among("site", visible_ids(call.identity, Action.SITE_OPERATE, Scope.SITE))
    return await call.show(lambda reader: find_page(reader, Quarantine, where, cursor, limit, plain))


@router.post("/quarantine/{id}/dismiss", response_model=Quarantine)
@requires(Action.SITE_OPERATE, resources.quarantined)
async def dismiss_quarantine(call: CallDep, id: str, body: DismissIn) -> Response:
    """State that the attempt has been looked at and may be left alone. Again changes nothing."""
    return await call.write(lambda tx, deed: sites.resolve_quarantine(tx, deed, attempt=id, force=body.force), plain)


@router.post("/quarantine/{id}/stop", response_model=Quarantine)
@requires(Action.SITE_OPERATE, resources.quarantined)
async def stop_quarantined(call: CallDep, id: str) -> Response:
    """Have its site stop the attempt. It stays in the quarantine, to be dismissed once it has ended. Again changes nothing."""
    return await call.write(lambda tx, deed: sites.stop_quarantined(tx, deed, attempt=id), plain)
