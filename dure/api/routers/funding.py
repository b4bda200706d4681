"""Programmes, awards and the books."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from dure.access import Action, Resource, Scope, visible_ids
from dure.api import resources
from dure.api.bodies import AwardIn, FundsIn, ProgrammeIn, WithdrawalIn
from dure.api.call import CallDep
from dure.api.documents import (
    Plain,
    account_document,
    award_document,
    award_documents,
    award_lines,
    page,
    plain,
    programme_document,
    programme_documents,
)
from dure.api.listing import Cursor, IdFilter, Limit, among, find_page, project_refusal, take_any, take_page
from dure.api.resources import funded
from dure.api.route import DureRoute, requires
from dure.api.shapes import AccountShape, AwardShape, Document, Page, ProgrammeShape
from dure.controller import verify_store_books
from dure.controller.commands import funding
from dure.controller.deed import Deed
from dure.ledger import award_account, programme_account, statement
from dure.model.codec import to_plain
from dure.model.funding import Account, Award, Programme, Remainder, Transfer, WithdrawalReason
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
        seen = among("id", visible_ids(call.identity, Action.PROGRAMME_READ, Scope.PROGRAMME))
        rows, next = take_page(reader, Programme, seen, cursor, limit)
        return page(programme_documents(reader, rows), next)

    return await call.show(look)


@router.get("/programmes/{id}", response_model=ProgrammeShape)
@requires(Action.PROGRAMME_READ, resources.programme)
async def get_programme(call: CallDep, id: str) -> Response:
    """One programme, with what may still be awarded."""
    return await call.show(lambda reader: programme_documents(reader, [call.record])[0])


def _transfer_id(call: CallDep, deed: str, id: str) -> str:
    """The same request is the same transfer. Of its key a digest: callers choose keys, and a transfer's id is never erased."""
    return f"{deed}:{id}:{call.identity.id}:{hashlib.sha256(call.key.encode()).hexdigest()[:32]}"


@router.post("/programmes/{id}/funds", status_code=201, response_model=ProgrammeShape)
@requires(Action.PROGRAMME_FUND, resources.programme)
async def fund_programme(call: CallDep, id: str, body: FundsIn) -> Response:
    """Raise a programme's budget, drawn from the treasury: who runs one programme alone does not."""

    def command(tx: Tx, deed: Deed) -> tuple[Programme, Account | None] | Reason:
        transfer_id = _transfer_id(call, "fund", id)
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

    return await call.write(command, lambda made: award_document(*made, call.api.clock.now_ms()), status=201)


@router.get("/awards", response_model=Page[AwardShape])
@requires(Action.AWARD_READ, None)
async def list_awards(
    call: CallDep, project: IdFilter = "", programme: IdFilter = "", limit: Limit = 100, cursor: Cursor = ""
) -> Response:
    """The awards of the projects, or of the programmes, that the caller sees."""
    refusal = await _project_refusal(call, Action.AWARD_READ, project)
    if refusal is not None:
        return call.refuse(refusal)
    asked = {name: id for name, id in (("project", project), ("programme", programme)) if id}
    wheres = [within for seen in _sides(call, Action.AWARD_READ) if (within := _both(asked, seen)) is not None]

    def look(reader: Reader) -> Plain | Reason:
        rows, next = take_any(reader, Award, wheres, cursor, limit)
        return page(award_documents(reader, rows, call.api.clock.now_ms()), next)

    return await call.show(look)


async def _project_refusal(call: CallDep, action: Action, project: str) -> Reason | None:
    """Why there is nothing to filter by this project, or None: it is seen as one's own, or as one that one's programme funds."""
    if not project:
        return None
    programmes = visible_ids(call.identity, action, Scope.PROGRAMME) or frozenset()
    through = await call.read(lambda reader: funded(reader, programmes, project))
    return await project_refusal(call, action, Resource(kind="project", id=project, programme=through.get(project, "")))


def _sides(call: CallDep, action: Action) -> list[dict[str, list[str]]]:
    """What is of the caller's projects, and what is of the caller's programmes: field → ids. [{}]: everything is open."""
    seen = {s.value: visible_ids(call.identity, action, s) for s in (Scope.PROJECT, Scope.PROGRAMME)}
    return [{}] if None in seen.values() else [{field: sorted(ids)} for field, ids in seen.items() if ids]


def _both(asked: dict[str, str], seen: dict[str, list[str]]) -> dict[str, Any] | None:
    """A where-clause for what is asked for and seen; None: nothing is."""
    ((field, ids),) = seen.items() or [("", [])]
    return {**seen, **asked} if not field or asked.get(field, ids[0]) in ids else None


@router.get("/awards/{id}", response_model=AwardShape)
@requires(Action.AWARD_READ, resources.award)
async def get_award(call: CallDep, id: str) -> Response:
    """One award, with what is left, held and spent of it."""
    return await call.show(lambda reader: award_documents(reader, [call.record], call.api.clock.now_ms())[0])


@router.post("/awards/{id}/withdraw", response_model=AwardShape)
@requires(Action.AWARD_WITHDRAW, resources.award)
async def withdraw_award(call: CallDep, id: str, body: WithdrawalIn) -> Response:
    """Take back what is neither held nor spent of an award, or `amount` of it, into its programme."""

    def command(tx: Tx, deed: Deed) -> Plain | Reason:
        transfer_id = _transfer_id(call, "withdraw", id)
        less = funding.withdraw_award(
            tx, deed, award=id, amount=body.amount or 0, reason=WithdrawalReason(body.reason), transfer_id=transfer_id
        )
        return less if isinstance(less, Reason) else award_documents(tx, [less], deed.now_ms)[0]

    return await call.write(command, dict)


@router.get("/projects/{id}/ledger", response_model=Document)
@requires(Action.LEDGER_READ, resources.project)
async def get_statement(call: CallDep, id: str) -> Response:
    """What each job was quoted, held, paid and given back, what each award still has, and whether it adds up (`findings`).

    A job cost `net` whole units and `carried_nano` nano-units; `remainders`: what is carried to the next settlement at a site.
    Who runs a programme gets the lines of its awards alone (`partial`): jobs and remainders are not told apart by who paid."""
    now_ms = call.api.clock.now_ms()
    if call.sees(Action.LEDGER_READ, Resource(kind="project", id=id)):
        return await call.show(lambda reader: project_statement(reader, id, now_ms))
    programmes = visible_ids(call.identity, Action.LEDGER_READ, Scope.PROGRAMME) or frozenset()
    return await call.show(lambda reader: awards_statement(reader, id, programmes, now_ms))


def awards_statement(reader: Reader, project: str, programmes: Collection[str], now_ms: int) -> Plain:
    """Of a project's statement the lines of the awards that these programmes gave it."""
    awards = reader.find(Award, {"project": project, "programme": sorted(programmes)})
    accounts = [award_account(a.id) for a in awards]
    transfers = [t for t in reader.find(Transfer, {"project": project}) if t.debit in accounts or t.credit in accounts]
    told = statement((replace(t, workload="") for t in transfers), reader.get_many(Account, accounts).values())
    made: Plain = to_plain(told)
    return {"project": project, "partial": True, **made, "awards": award_lines(made["awards"], awards, now_ms)}


def project_statement(reader: Reader, project: str, now_ms: int) -> Plain:
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
    made["awards"] = award_lines(made["awards"], awards, now_ms)
    return {"project": project, "partial": False, **made}


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
    """Postings and holds, oldest first: of the caller's projects, and of the accounts of the caller's programmes and awards."""
    refusal = await _project_refusal(call, Action.LEDGER_READ, project)
    if refusal is not None:
        return call.refuse(refusal)
    asked = {name: id for name, id in (("project", project), ("workload", workload)) if id}

    def look(reader: Reader) -> Plain | Reason:
        wheres: list[dict[str, Any]] = []
        for seen in _sides(call, Action.LEDGER_READ):
            programmes = seen.get("programme")
            within = {**asked} if programmes else _both(asked, seen)
            if within is not None:
                wheres += _of_accounts(within, account, _accounts(reader, programmes) if programmes else None)
        rows, next = take_any(reader, Transfer, wheres, cursor, limit, order="at_ms")
        return page(map(plain, rows), next)

    return await call.show(look)


def _accounts(reader: Reader, programmes: Sequence[str]) -> list[str]:
    """The accounts of programmes and of all that they have awarded."""
    awards = reader.find(Award, {"programme": programmes})
    return [*map(programme_account, programmes), *(award_account(a.id) for a in awards)]


def _of_accounts(within: dict[str, Any], account: str, seen: list[str] | None) -> list[dict[str, Any]]:
    """Where-clauses for either side of one account, or of those that are seen (None: all)."""
    if not account and seen is None:
        return [within]
    sides = [account] if account else seen
    bound = [{**within, side: sides} for side in ("debit", "credit")]
    return bound if seen is None or not account or account in seen else []


@router.get("/accounts", response_model=Page[AccountShape])
@requires(Action.LEDGER_READ, resources.farm("account"))
async def list_accounts(call: CallDep, limit: Limit = 100, cursor: Cursor = "") -> Response:
    """Every account of the books, with its balance."""
    return await call.show(lambda reader: find_page(reader, Account, {}, cursor, limit, account_document))


@router.get("/ledger/verify", response_model=Document)
@requires(Action.LEDGER_VERIFY, resources.farm("ledger"))
async def verify_ledger(call: CallDep) -> Response:
    """Makes every sum again, and compares each transfer, award, programme, policy and attempt with what the chain tells; the
    first finding is the first bad row. `unproved`: how many rows rest on the `unsealed` events alone."""

    def look(reader: Reader) -> Plain | Reason:
        report = verify_store_books(reader)
        return {"ok": not report.findings, **to_plain(report)}

    return await call.ask(lambda: call.api.services.store.read(look))
