"""A transfer counts as recorded only when the deed that makes such transfers told of it, and of the amount that it made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dure.ledger.verify import transfer_digest
from dure.ledger.verify_told import TransferTold, verify_budgets, verify_told
from dure.model.funding import Programme, Transfer, TransferKind
from tests.unit.ledger.books import fund, grant


def made(kind: TransferKind, debit: str, credit: str, attempt: str = "") -> Transfer:
    return Transfer(id=f"t:{kind}", kind=kind, debit=debit, credit=credit, amount=10, currency="KRW", attempt=attempt)


TELLERS = {
    TransferKind.FUND: ("programme.funded", "prog", made(TransferKind.FUND, "treasury:KRW", "programme:prog")),
    TransferKind.AWARD: ("award.created", "a1", made(TransferKind.AWARD, "programme:prog", "award:a1")),
    TransferKind.EXPIRE: ("award.expired", "a1", made(TransferKind.EXPIRE, "award:a1", "programme:prog")),
    TransferKind.WITHDRAW: ("award.withdrawn", "a1", made(TransferKind.WITHDRAW, "award:a1", "programme:prog")),
    TransferKind.HOLD: ("workload.placed", "att", made(TransferKind.HOLD, "award:a1", "site:north", "att")),
    TransferKind.SETTLE: ("attempt.ended", "att", made(TransferKind.SETTLE, "award:a1", "site:north", "att")),
}


@pytest.mark.parametrize("kind", list(TELLERS))
def test_only_its_own_deed_may_tell_a_transfer(kind: TransferKind) -> None:
    event, of, row = TELLERS[kind]
    told = TransferTold(transfer_digest(row), event, of)
    assert verify_told({row.id: told}, [], [row]) == ()
    for false in (told._replace(event="site.returned"), told._replace(of="somebody-else")):
        (found,) = verify_told({row.id: false}, [], [row])
        assert (found.kind, found.subject, found.facts) == ("wrong_teller", row.id, {"event": false.event, "of": false.of})


def test_what_is_not_as_recorded_is_for_others_to_name() -> None:
    _, of, row = TELLERS[TransferKind.AWARD]
    told = {row.id: TransferTold(transfer_digest(row), "site.returned", of)}
    assert verify_told(told, [], [replace(row, amount=11)]) == ()
    assert verify_told({}, [], [row]) == ()


def test_an_amount_that_its_transfers_do_not_make_is_found() -> None:
    rows = [grant("a1", 30, id="one"), grant("a1", 12, id="two")]
    told = {t.id: TransferTold(transfer_digest(t), "award.created", "a1") for t in rows}
    assert verify_told(told, [("a1", 42, ("one", "two"))], rows) == ()
    (found,) = verify_told(told, [("a1", 43, ("one", "two"))], rows)
    assert (found.kind, found.facts) == ("amount_differs", {"recorded": 43, "stored": 42})
    assert verify_told(told, [("a1", 43, ("one", "gone"))], rows) == ()


def test_a_budget_is_what_was_funded() -> None:
    programme = Programme(id="prog", name="Call", budget=300)
    transfers = [fund(100, "f1"), fund(200, "f2"), grant("a1", 50)]
    assert list(verify_budgets([programme], transfers)) == []
    (found,) = verify_budgets([replace(programme, budget=900)], transfers)
    assert (found.kind, found.subject, found.facts) == ("altered", "prog", {"field": "budget", "recorded": 300, "stored": 900})
