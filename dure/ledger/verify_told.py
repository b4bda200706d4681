"""Proof that each transfer was told by the deed that makes such transfers, and that the amounts told are what was posted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from dure.ledger.book import award_account, programme_account
from dure.ledger.verify import Finding, transfer_digest
from dure.model.funding import Programme, Transfer, TransferKind


class TransferTold(NamedTuple):
    """What an event tells of a transfer, and of whom the event was."""

    digest: str
    event: str  # its kind
    of: str  # id of the award, programme or attempt that it is about


def verify_told(
    told: Mapping[str, TransferTold], amounts: Iterable[tuple[str, int, tuple[str, ...]]], transfers: Iterable[Transfer]
) -> tuple[Finding, ...]:
    """wrong_teller: a transfer as recorded, but by an event of another kind or about something else. amount_differs: an event
    tells an amount that its transfers do not make.

    amounts: (subject, amount, ids of transfers). Transfers that are not as recorded are `verify_digests`'s to name."""
    rows = {t.id: t for t in transfers if t.id in told and transfer_digest(t) == told[t.id].digest}
    found = [
        Finding("wrong_teller", id, {"event": told[id].event, "of": told[id].of})
        for id, row in sorted(rows.items())
        if not _its_to_tell(told[id], row)
    ]
    for subject, amount, ids in amounts:
        made = sum(rows[id].amount for id in ids if id in rows)
        if made != amount and all(id in rows for id in ids):
            found.append(Finding("amount_differs", subject, {"recorded": amount, "stored": made}))
    return tuple(found)


def _its_to_tell(told: TransferTold, row: Transfer) -> bool:
    match row.kind:
        case TransferKind.FUND:
            return told.event == "programme.funded" and row.credit == programme_account(told.of)
        case TransferKind.AWARD:
            return told.event == "award.created" and row.credit == award_account(told.of)
        case TransferKind.EXPIRE:
            return told.event == "award.expired" and row.debit == award_account(told.of)
        case TransferKind.WITHDRAW:
            return told.event == "award.withdrawn" and row.debit == award_account(told.of)
        case TransferKind.HOLD:
            return told.event == "workload.placed" and row.attempt == told.of
    return told.event == "attempt.ended" and row.attempt == told.of


def verify_budgets(programmes: Iterable[Programme], transfers: Iterable[Transfer]) -> Iterator[Finding]:
    """A programme's budget is what was funded, no more and no less."""
    funded: Counter[str] = Counter()
    for transfer in transfers:
        if transfer.kind == TransferKind.FUND:
            funded[transfer.credit] += transfer.amount
    for programme in sorted(programmes, key=lambda p: p.id):
        made = funded[programme_account(programme.id)]
        if programme.budget != made:
            yield Finding("altered", programme.id, {"field": "budget", "recorded": made, "stored": programme.budget})
