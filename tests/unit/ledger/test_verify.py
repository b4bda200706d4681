from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dure.ledger import (
    AMOUNT_MAX,
    AttemptMoney,
    Finding,
    hold_transfers,
    refund_transfers,
    settle_transfers,
    transfer_digest,
    verify_books,
    verify_digests,
)
from dure.model.funding import TransferKind, TransferState
from tests.unit.ledger.books import ATTEMPT, Book, funded, grant

PAYER = "policy:preemption:KRW"
ATTEMPTS = [AttemptMoney("att", False, 150, 120, 20), AttemptMoney("live", True, 50, 0, 0)]


def story() -> Book:
    """One attempt that held 150 of two awards, settled 100 and 20, and got 20 back; another that still runs."""
    book = funded(a1=100, a2=100, a3=30)
    book.must(hold_transfers(ATTEMPT, (("a1", 100), ("a2", 40), ("a3", 10)), at_ms=1))
    book.must(settle_transfers(book.holds(), 120, at_ms=2))
    book.must(refund_transfers(book.holds(), 20, payer=PAYER, at_ms=3))
    book.must(hold_transfers(replace(ATTEMPT, id="live", workload="job2"), (("a2", 50),), at_ms=4))
    return book


def findings(book: Book, attempts: list[AttemptMoney] | None = None) -> set[tuple[str, str]]:
    found = verify_books(book.accounts.values(), book.transfers.values(), ATTEMPTS if attempts is None else attempts)
    return {(f.kind, f.subject) for f in found}


def test_true_books_have_no_finding() -> None:
    book = story()
    assert verify_books(book.accounts.values(), book.transfers.values(), ATTEMPTS) == ()
    assert verify_books(reversed(book.accounts.values()), reversed(book.transfers.values())) == ()
    assert verify_books((), (), ()) == ()


def alter(id: str, **change: object) -> Callable[[Book], None]:
    return lambda book: book.transfers.update({id: replace(book.transfers[id], **change)})  # type: ignore[arg-type]


def alter_account(id: str, **change: object) -> Callable[[Book], None]:
    return lambda book: book.accounts.update({id: replace(book.accounts[id], **change)})  # type: ignore[arg-type]


def remove(id: str) -> Callable[[Book], None]:
    return lambda book: book.transfers.__delitem__(id)


def twice(book: Book) -> None:
    book.transfers["again"] = replace(book.transfers["settle:att:0"], id="again")


DAMAGE: dict[str, tuple[Callable[[Book], None], set[tuple[str, str]]]] = {
    "a changed amount": (alter("award:a3", amount=31), {("sum_differs", "award:a3"), ("sum_differs", "programme:prog")}),
    "a lost grant": (remove("award:a3"), {("sum_differs", "award:a3"), ("sum_differs", "programme:prog")}),
    "a hidden account": (lambda b: b.accounts.__delitem__("award:a3"),
                         {("account_missing", "award:a3"), ("account_missing", "hold:att:2"),
                          ("account_missing", "release:att:2"), ("unbalanced", "KRW")}),
    "another currency": (alter("award:a3", currency="ACS"), {("currency_differs", "award:a3")}),
    "swapped sides": (alter("fund:1", debit="programme:prog", credit="treasury:KRW"),
                      {("wrong_accounts", "fund:1"), ("sum_differs", "programme:prog"), ("sum_differs", "treasury:KRW")}),
    "an amount of nothing": (alter("award:a3", amount=0),
                             {("bad_amount", "award:a3"), ("sum_differs", "award:a3"), ("sum_differs", "programme:prog")}),
    "an absurd amount": (alter("release:att:2", amount=AMOUNT_MAX + 1),
                         {("bad_amount", "release:att:2"), ("hold_state_differs", "hold:att:2")}),
    "a state that only holds have": (alter("award:a3", state=TransferState.RELEASED), {("bad_state", "award:a3")}),
    "a hold gone": (remove("hold:att:2"), {("hold_missing", "release:att:2"), ("attempt_held_differs", "att")}),
    "an end of no hold": (alter("release:att:2", hold="fund:1"),
                          {("hold_missing", "release:att:2"), ("hold_state_differs", "hold:att:2")}),
    "a hold that ended twice": (twice, {("hold_ended_twice", "hold:att:0"), ("sum_differs", "award:a1"),
                                        ("sum_differs", "site:pohang:KRW"), ("attempt_settled_differs", "att")}),
    "a hold open again": (alter("hold:att:2", state=TransferState.PENDING),
                          {("hold_state_differs", "hold:att:2"), ("sum_differs", "award:a3"), ("sum_differs", "site:pohang:KRW"),
                           ("attempt_hold_left", "att")}),
    "a hold that says too much": (alter("hold:att:1", settled=21), {("hold_state_differs", "hold:att:1")}),
    "an end with other accounts": (alter("release:att:2", debit="award:a1"), {("hold_state_differs", "hold:att:2")}),
    "a release lost": (remove("release:att:2"), {("hold_state_differs", "hold:att:2")}),
    "a running hold released": (alter("hold:live:0", state=TransferState.RELEASED),
                                {("hold_state_differs", "hold:live:0"), ("sum_differs", "award:a2"),
                                 ("sum_differs", "site:pohang:KRW"), ("attempt_held_differs", "live")}),
    "a raised balance": (alter_account("award:a3", credits_posted=31), {("sum_differs", "award:a3"), ("unbalanced", "KRW")}),
    "a lowered hold": (alter_account("award:a2", debits_pending=0), {("sum_differs", "award:a2"), ("unbalanced", "KRW")}),
    "an award overdrawn by one": (alter_account("award:a2", debits_posted=71),
                                  {("sum_differs", "award:a2"), ("overdrawn", "award:a2"), ("unbalanced", "KRW")}),
    "an award spent to the last won": (alter_account("award:a2", debits_posted=70),
                                       {("sum_differs", "award:a2"), ("unbalanced", "KRW")}),
    "a normal side turned": (alter_account("award:a2", normal="debit"), {("wrong_normal", "award:a2")}),
    "an overdrawn award": (alter_account("award:a2", debits_posted=1001),
                           {("sum_differs", "award:a2"), ("overdrawn", "award:a2"), ("unbalanced", "KRW")}),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_named(name: str) -> None:
    damage, expected = DAMAGE[name]
    book = story()
    damage(book)
    assert findings(book) == expected


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        (ATTEMPTS[:1], {("attempt_missing", "live")}),
        ([ATTEMPTS[0], ATTEMPTS[1]._replace(live=False)], {("attempt_hold_left", "live")}),
        ([ATTEMPTS[0], ATTEMPTS[1]._replace(held=51)], {("attempt_held_differs", "live")}),
        ([ATTEMPTS[0]._replace(live=True), ATTEMPTS[1]], {("attempt_held_differs", "att")}),
        ([ATTEMPTS[0]._replace(settled=119), ATTEMPTS[1]], {("attempt_settled_differs", "att")}),
        ([ATTEMPTS[0]._replace(refunded=0), ATTEMPTS[1]], {("attempt_refunded_differs", "att")}),
        ([*ATTEMPTS, AttemptMoney("free", True, 0, 0, 0)], set()),
        ([*ATTEMPTS, AttemptMoney("ghost", False, 9, 0, 0)], {("attempt_held_differs", "ghost")}),
    ],
)
def test_attempts_and_books_tell_the_same(attempts: list[AttemptMoney], expected: set[tuple[str, str]]) -> None:
    assert findings(story(), attempts) == expected


def test_a_refund_beyond_what_was_paid_is_found() -> None:
    book = story()
    book.must([replace(book.transfers["refund:att:1"], id="more", amount=101)])
    found = findings(book, [ATTEMPTS[0]._replace(refunded=121), ATTEMPTS[1]])
    assert found == {("refund_exceeds", "att")}


def test_the_first_bad_row_comes_first_and_says_what_differs() -> None:
    book = story()
    alter("award:a3", amount=31)(book)
    first = verify_books(book.accounts.values(), book.transfers.values())[0]
    assert first == Finding("sum_differs", "award:a3", {"column": "credits_posted", "stored": 30, "recomputed": 31})


def test_a_digest_covers_the_body_and_nothing_that_changes() -> None:
    hold = hold_transfers(ATTEMPT, (("a1", 100),), at_ms=1)[0]
    assert transfer_digest(hold) == transfer_digest(replace(hold, state=TransferState.SETTLED, settled=5, version=9))
    changes = ({"id": "x"}, {"kind": TransferKind.FUND}, {"debit": "x"}, {"credit": "x"}, {"amount": 1},
               {"currency": "x"}, {"hold": "x"}, {"project": "x"}, {"workload": "x"}, {"attempt": "x"},
               {"rule_version": 9}, {"at_ms": 9})  # fmt: skip
    digests = {transfer_digest(replace(hold, **c)) for c in changes}  # type: ignore[arg-type]
    assert len(digests | {transfer_digest(hold)}) == len(changes) + 1


def test_books_are_compared_with_what_the_chain_recorded() -> None:
    kept, changed, extra = grant("a", 1), grant("b", 2), grant("c", 3)
    recorded = {"award:a": transfer_digest(kept), "award:b": transfer_digest(changed), "award:d": "0" * 32}
    assert verify_digests({"award:a": transfer_digest(kept)}, [kept]) == ()
    found = verify_digests(recorded, [kept, replace(changed, amount=9), extra])
    assert [(f.kind, f.subject) for f in found] == [("altered", "award:b"), ("unrecorded", "award:c"), ("missing", "award:d")]
