from __future__ import annotations

from dataclasses import replace

import pytest

from dure.errors import InvariantViolated
from dure.ledger import AMOUNT_MAX, Posting, available, hold_transfers, open_account, post, post_all, settle_transfers
from dure.ledger.book import SUM_MAX
from dure.model.funding import Transfer, TransferKind, TransferState
from dure.model.reason import Reason, ReasonKind
from tests.unit.ledger.books import ATTEMPT, Book, fund, funded, grant


def held(amount: int = 400, **awards: int) -> Book:
    book = funded(**(awards or {"a1": 1000}))
    book.must(hold_transfers(ATTEMPT, (("a1", amount),), at_ms=5))
    return book


def ending(book: Book, kind: TransferKind, amount: int, id: str = "end") -> Transfer:
    return replace(book.transfers["hold:att:0"], id=id, kind=kind, amount=amount, state=TransferState.POSTED, settled=0,
                   hold="hold:att:0")  # fmt: skip


def test_a_hold_is_pending_on_both_sides_and_posts_nothing() -> None:
    book = held(400)
    giver, taker = book.accounts["award:a1"], book.accounts["site:pohang:KRW"]
    assert (giver.debits_posted, giver.debits_pending, available(giver)) == (0, 400, 600)
    assert (taker.credits_posted, taker.credits_pending) == (0, 400)
    assert book.transfers["hold:att:0"].state == TransferState.PENDING


def test_a_settlement_posts_its_amount_and_frees_the_rest() -> None:
    book = held(400)
    posting = book.must([ending(book, TransferKind.SETTLE, 150)])
    giver, taker = book.accounts["award:a1"], book.accounts["site:pohang:KRW"]
    assert (giver.debits_posted, giver.debits_pending, available(giver)) == (150, 0, 850)
    assert (taker.credits_posted, taker.credits_pending) == (150, 0)
    assert [t.id for t in posting.transfers] == ["end", "hold:att:0"]
    assert (book.transfers["hold:att:0"].state, book.transfers["hold:att:0"].settled) == (TransferState.SETTLED, 150)


def test_a_settlement_may_be_of_nothing() -> None:
    book = held(400)
    book.must([ending(book, TransferKind.SETTLE, 0)])
    assert available(book.accounts["award:a1"]) == 1000


def test_a_release_voids_the_hold() -> None:
    book = held(400)
    book.must([ending(book, TransferKind.RELEASE, 400)])
    assert available(book.accounts["award:a1"]) == 1000
    assert book.transfers["hold:att:0"].state == TransferState.RELEASED


def test_a_hold_ends_only_once() -> None:
    book = held(400)
    book.must([ending(book, TransferKind.SETTLE, 150)])
    again = book.post(ending(book, TransferKind.RELEASE, 400, "other"))
    assert again == Reason.of(ReasonKind.HOLD_ENDED, id="hold:att:0", state="settled")


def test_no_more_than_the_hold_is_settled() -> None:
    book = held(400)
    asked = book.post(ending(book, TransferKind.SETTLE, 401))
    assert asked == Reason.of(ReasonKind.LIMIT_EXCEEDED, what="hold", limit=400, asked=401)


def test_the_same_id_with_the_same_body_changes_nothing_whenever_it_is_asked() -> None:
    book = held(400)
    later = replace(hold_transfers(ATTEMPT, (("a1", 400),), at_ms=99)[0])
    assert post(book.accounts, book.transfers, later) == Posting(repeated=True)
    book.must([ending(book, TransferKind.SETTLE, 150)])
    assert book.post(later) == Posting(repeated=True)
    assert book.post(ending(book, TransferKind.SETTLE, 150)) == Posting(repeated=True)


@pytest.mark.parametrize("change", [{"amount": 401}, {"project": "other"}, {"rule_version": 4}, {"debit": "award:a2"}])
def test_the_same_id_with_another_body_is_refused(change: dict[str, object]) -> None:
    book = held(400)
    other = replace(hold_transfers(ATTEMPT, (("a1", 400),), at_ms=5)[0], **change)  # type: ignore[arg-type]
    assert book.post(other) == Reason.of(ReasonKind.EXISTS_DIFFERENT, id="hold:att:0")


def test_nobody_gives_more_than_is_left_and_the_numbers_say_so() -> None:
    book = held(400)
    more = hold_transfers(replace(ATTEMPT, id="b"), (("a1", 601),), at_ms=6)[0]
    facts = {"account": "award:a1", "asked": 601, "available": 600, "currency": "KRW"}
    assert book.post(more) == Reason(ReasonKind.BALANCE_SHORT, facts)
    assert isinstance(book.post(replace(more, amount=600)), Posting)


def test_the_treasury_and_policies_give_without_a_balance() -> None:
    book = Book().open("treasury:KRW", "programme:prog")
    book.must([fund(10**12)])
    assert book.accounts["treasury:KRW"].debits_posted == 10**12


def test_a_hold_can_be_ended_even_on_an_account_that_was_overdrawn_by_accident() -> None:
    book = held(400)
    book.accounts["award:a1"] = replace(book.accounts["award:a1"], credits_posted=100)
    assert isinstance(book.post(ending(book, TransferKind.SETTLE, 300)), Posting)


def test_amounts_and_sums_are_bounded() -> None:
    book = Book().open("treasury:KRW", "programme:prog")
    asked = AMOUNT_MAX + 1
    assert book.post(fund(asked)) == Reason.of(ReasonKind.LIMIT_EXCEEDED, what="amount", limit=AMOUNT_MAX, asked=asked)
    book.accounts["treasury:KRW"] = replace(book.accounts["treasury:KRW"], debits_posted=SUM_MAX)
    assert book.post(fund(1)) == Reason.of(ReasonKind.LIMIT_EXCEEDED, what="account", limit=SUM_MAX, asked=SUM_MAX + 1)


WRONG = {
    "not_these_accounts": {"debit": "site:pohang:KRW"},
    "an_account_not_open": {"credit": "site:busan:KRW"},
    "another_currency": {"currency": "ACS"},
    "nothing": {"amount": 0},
    "less_than_nothing": {"amount": -1},
    "posted_at_once": {"state": TransferState.POSTED},
    "settled_at_once": {"settled": 1},
    "a_hold_on_a_hold": {"hold": "hold:x:0"},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_what_no_caller_may_ask_is_an_error_of_the_program(change: dict[str, object]) -> None:
    book = funded(a1=1000)
    hold = replace(hold_transfers(ATTEMPT, (("a1", 400),), at_ms=5)[0], **change)  # type: ignore[arg-type]
    with pytest.raises(InvariantViolated):
        book.post(hold)


def test_an_account_on_its_wrong_side_is_an_error_of_the_program() -> None:
    book = funded(a1=1000)
    book.accounts["award:a1"] = replace(book.accounts["award:a1"], normal="debit")
    with pytest.raises(InvariantViolated, match="normal side"):
        book.must(hold_transfers(ATTEMPT, (("a1", 400),), at_ms=5))


def test_only_an_existing_hold_between_the_same_accounts_is_ended_and_wholly() -> None:
    book = held(400, a1=1000, a2=1000)
    settle = ending(book, TransferKind.SETTLE, 100)
    for wrong in (replace(settle, hold="hold:x:0"), replace(settle, hold="award:a1"), replace(settle, debit="award:a2"),
                  replace(settle, hold=""), ending(book, TransferKind.RELEASE, 399), replace(settle, amount=-1)):  # fmt: skip
        with pytest.raises(InvariantViolated):
            book.post(wrong)
    book.accounts["award:a1"] = replace(book.accounts["award:a1"], debits_pending=399)
    with pytest.raises(InvariantViolated, match="more was held"):
        book.post(settle)


def test_several_transfers_see_each_other_and_fail_together() -> None:
    book = funded(a1=0)
    holds = hold_transfers(ATTEMPT, (("a1", 70),), at_ms=1)
    posting = book.must([grant("a1", 100), *holds, *settle_transfers(holds, 30, at_ms=2)])
    assert {t.id: t.state for t in posting.transfers}["hold:att:0"] == TransferState.SETTLED
    assert available(book.accounts["award:a1"]) == 70
    before = (dict(book.accounts), dict(book.transfers))
    refused = book.post(grant("a1", 5, id="more"), grant("a1", 10**7, id="too much"))
    assert isinstance(refused, Reason) and refused.kind == ReasonKind.BALANCE_SHORT
    assert (book.accounts, book.transfers) == before


def test_a_series_is_repeated_only_when_all_of_it_was() -> None:
    book = funded(a1=100)
    assert post_all(book.accounts, book.transfers, ()) == Posting()
    assert book.must([grant("a1", 100)]).repeated
    assert not book.must([grant("a1", 100), grant("a1", 1, id="more")]).repeated


def test_accounts_that_money_comes_from_are_debit_normal() -> None:
    ids = ("treasury:KRW", "policy:x:KRW", "award:a", "programme:p", "site:s:KRW")
    normals = {id: open_account(id, "KRW").normal for id in ids}
    assert [k for k, v in normals.items() if v == "debit"] == ["treasury:KRW", "policy:x:KRW"]
