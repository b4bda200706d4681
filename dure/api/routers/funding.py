"""Programmes, awards and the books."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from dure.access import Action, Resource
from dure.api import resources
from dure.api.bodies import AwardIn, FundsIn, ProgrammeIn
from dure.api.call import CallDep
from dure.api.cursors import opened
from dure.api.documents import (
    Plain,
    account_document,
    award_document,
    award_documents,
    page,
    plain,
    programme_document,
    programme_documents,
)
from dure.api.listing import Cursor, IdFilter, Limit, find_page, project_filter, take_page
from dure.api.route import DureRoute, requires
from dure.api.shapes import AccountShape, AwardShape, Document, Page, ProgrammeShape
from dure.controller import verify_store_books
from dure.controller.commands import funding
from dure.controller.deed import Deed
from dure.ledger import award_account, programme_account, statement
from dure.model.codec import to_plain
from dure.model.funding import Account, Award, Programme, Remainder, Transfer
from dure.model.reason import Reason
from dure.model.workload import Attempt, Workload
from dure.ports import Reader, Tx

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["money"])


@router.post("/programmes", status_code=201, response_model=ProgrammeShape)
@requires(Action.PROGRAMME_CREATE, resources.farm("programme"))
async def create_programme(call: CallDep, body: ProgrammeIn) -> Response:
    """A programme, with its budget drawn from the treasury."""

    def command(tx: Tx, deed: Deed) -> tuple[Programme, Account | None] | Reason:
        made = funding.create_programme(
            tx, deed, id=body.id, name=body.name, currency=body.currency, budget=body.budget,
            starts_ms=body.starts, ends_ms=body.ends,
        )  # fmt: skip
        return made if isinstance(made, Reason) else (made, tx.get(Account, programme_account(made.id)))

    return await call.write(command, lambda made: programme_document(*made), status=201)


@router.get("/programmes", response_model=Page[ProgrammeShape])
@requires(Action.PROGRAMME_READ, None)
async def list_programmes(call: CallDep, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """The programmes that the caller sees, with what may still be awarded."""

    def look(reader: Reader) -> Plain | Reason:
        rows, next = take_page(reader, Programme, {}, cursor, limit)
        seen = [p for p in rows if call.sees(Action.PROGRAMME_READ, Resource(kind="programme", id=p.id))]
        return page(programme_documents(reader, seen), next)

    return await call.show(look)


@router.get("/programmes/{id}", response_model=ProgrammeShape)
@requires(Action.PROGRAMME_READ, resources.programme)
async def get_programme(call: CallDep, id: str) -> Response:
    """One programme, with what may still be awarded."""
    return await call.show(lambda reader: programme_documents(reader, [call.record])[0])


@router.post("/programmes/{id}/funds", status_code=201, response_model=ProgrammeShape)
@requires(Action.PROGRAMME_FUND, resources.programme)
async def fund_programme(call: CallDep, id: str, body: FundsIn) -> Response:
    """Raise a programme's budget, drawn from the treasury."""

    def command(tx: Tx, deed: Deed) -> tuple[Programme, Account | None] | Reason:
        transfer_id = f"fund:{id}:{call.identity.id}:{call.key}"  # the same request is the same transfer
        funded = funding.fund_programme(tx, deed, programme=id, amount=body.amount, transfer_id=transfer_id)
        return funded if isinstance(funded, Reason) else (funded, tx.get(Account, programme_account(id)))

    return await call.write(command, lambda made: programme_document(*made), status=201)


@router.post("/awards", status_code=201, response_model=AwardShape)
@requires(Action.AWARD_CREATE, resources.body_programme)
async def create_award(call: CallDep, body: AwardIn) -> Response:
    """An award (a voucher) to a project, paid out of its programme at once."""

    def command(tx: Tx, deed: Deed) -> tuple[Award, Account | None] | Reason:
        made = funding.create_award(
            tx, deed, programme=body.programme, project=body.project, amount=body.amount, starts_ms=body.starts,
            expires_ms=body.expires, sites=body.sites, accelerators=body.accelerators,
        )  # fmt: skip
        return made if isinstance(made, Reason) else (made, tx.get(Account, award_account(made.id)))

    return await call.write(command, lambda made: award_document(*made), status=201)


@router.get("/awards", response_model=Page[AwardShape])
@requires(Action.AWARD_READ, None)
async def list_awards(
    call: CallDep, project: IdFilter = "", programme: IdFilter = "", limit: Limit = 100, cursor: Cursor = ""
) -> Response:
    """The awards of the projects, or of the programmes, that the caller sees."""
    where = {name: id for name, id in (("project", project), ("programme", programme)) if id}

    def look(reader: Reader) -> Plain | Reason:
        rows, next = take_page(reader, Award, where, cursor, limit)
        return page(award_documents(reader, [a for a in rows if _sees(call, a)]), next)

    return await call.show(look)


def _sees(call: CallDep, award: Award) -> bool:
    resource = Resource(kind="award", id=award.id, project=award.project, programme=award.programme)
    return call.sees(Action.AWARD_READ, resource)


@router.get("/awards/{id}", response_model=AwardShape)
@requires(Action.AWARD_READ, resources.award)
async def get_award(call: CallDep, id: str) -> Response:
    """One award, with what is left, held and spent of it."""
    return await call.show(lambda reader: award_documents(reader, [call.record])[0])


@router.get("/projects/{id}/ledger", response_model=Document)
@requires(Action.LEDGER_READ, resources.project)
async def get_statement(call: CallDep, id: str) -> Response:
    """What each job was quoted, held, paid and given back, what each award still has, and whether it adds up (`findings`).

    A job cost `net` whole units and `carried_nano` nano-units; `remainders`: what is carried to the next settlement at a site."""
    return await call.show(lambda reader: project_statement(reader, id))


def project_statement(reader: Reader, project: str) -> Plain:
    """`dure.ledger.statement` of everything that a project was ever charged."""
    transfers = reader.find(Transfer, {"project": project})
    awards = reader.find(Award, {"project": project})
    accounts = reader.get_many(Account, [award_account(a.id) for a in awards])
    workloads = reader.get_many(Workload, {t.workload for t in transfers if t.workload})
    energy: Counter[str] = Counter()
    carried: Counter[tuple[str, str]] = Counter()
    for attempt in reader.find(Attempt, {"project": project}):
        energy[attempt.workload] += attempt.energy_mwh
        carried[attempt.workload, attempt.currency] += attempt.charge_rest_nano - attempt.refund_rest_nano
    remainders = reader.find(Remainder, {"project": project})
    quotes = {w.id: w.quoted_won for w in workloads.values()}
    names = {w.id: w.spec.name for w in workloads.values()}
    told = statement(transfers, accounts.values(), quotes=quotes, energy=energy, carried=carried, remainders=remainders)
    made: Plain = to_plain(told)
    made["jobs"] = [{**line, "name": names.get(line["workload"], "")} for line in made["jobs"]]
    return {"project": project, **made}


@router.get("/transfers", response_model=Page[Transfer])
@requires(Action.LEDGER_READ, None)
async def list_transfers(
    call: CallDep,
    project: IdFilter = "",
    workload: IdFilter = "",
    account: IdFilter = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Response:
    """Postings and holds, oldest first."""
    where = project_filter(call, Action.LEDGER_READ, project)
    if isinstance(where, Reason):
        return call.refuse(where)
    if workload:
        where["workload"] = workload
    if account:
        return await call.show(lambda reader: _of_account(reader, where, account, cursor, limit))
    return await call.show(lambda reader: find_page(reader, Transfer, where, cursor, limit, plain))


def _of_account(reader: Reader, where: dict[str, Any], account: str, cursor: str, limit: int) -> Plain:
    """Both sides of an account, merged by id."""
    sides = [
        reader.find(Transfer, {**where, side: account}, after=opened(cursor), limit=limit + 1) for side in ("debit", "credit")
    ]
    rows = sorted({t.id: t for side in sides for t in side}.values(), key=lambda t: t.id)
    return page((plain(t) for t in rows[:limit]), rows[limit - 1].id if len(rows) > limit else "")


@router.get("/accounts", response_model=Page[AccountShape])
@requires(Action.LEDGER_READ, resources.farm("account"))
async def list_accounts(call: CallDep, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """Every account of the books, with its balance."""
    return await call.show(lambda reader: find_page(reader, Account, {}, cursor, limit, account_document))


@router.get("/ledger/verify", response_model=Document)
@requires(Action.LEDGER_VERIFY, resources.farm("ledger"))
async def verify_ledger(call: CallDep) -> Response:
    """Makes every sum again, and compares each transfer with what the chain tells; the first finding is the first bad row."""

    def look(reader: Reader) -> Plain | Reason:
        report = verify_store_books(reader)
        return {"ok": not report.findings, **to_plain(report)}

    return await call.ask(lambda: call.api.services.store.read(look))
