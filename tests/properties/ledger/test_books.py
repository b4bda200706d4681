"""The ledger against a small dictionary model: any order of deeds, any of them again with the same id."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from dure.ledger import (
    AttemptMoney,
    available,
    divide,
    expire_transfer,
    hold_amount,
    hold_transfers,
    open_account,
    post_all,
    refund_nano,
    refund_transfers,
    run_charge_nano,
    settle_transfers,
    statement,
    verify_books,
    verify_withdrawals,
    withdraw_transfer,
)
from dure.ledger.book import Posting
from dure.ledger.funding import Parts
from dure.model.funding import Account, Award, Transfer, TransferKind, TransferState
from dure.model.money import NANO
from dure.model.policy import Policy, Price, PriorityClass
from dure.model.reason import Reason, ReasonKind
from dure.model.workload import Attempt
from tests.builders.worlds import examples

PAYER = "policy:preemption:KRW"
AMOUNTS = st.integers(0, 200)


def moving(id: str, kind: TransferKind, debit: str, credit: str, amount: int) -> Transfer:
    return Transfer(id=id, kind=kind, debit=debit, credit=credit, amount=amount, currency="KRW")


@dataclass
class Pot:
    """An award, as the model sees it: three numbers."""

    given: int = 0
    spent: int = 0
    held: int = 0

    def left(self) -> int:
        return self.given - self.spent - self.held


class Books(RuleBasedStateMachine):
    """Left the ledger, right a dictionary of pots and of who paid what."""

    awards = Bundle("awards")
    live = Bundle("live")
    settled = Bundle("settled")

    def __init__(self) -> None:
        super().__init__()
        ids = ("treasury:KRW", "programme:p", "site:s:KRW", PAYER)
        self.accounts: dict[str, Account] = {id: open_account(id, "KRW") for id in ids}
        self.transfers: dict[str, Transfer] = {}
        self.rows: dict[str, Award] = {}
        self.pots: dict[str, Pot] = {}
        self.paid: dict[str, list[tuple[str, int]]] = {}  # attempt → what each award holds for it, then has paid for it
        self.money: dict[str, AttemptMoney] = {}
        self.n = 0
        self.do(moving("fund", TransferKind.FUND, "treasury:KRW", "programme:p", 10**6))

    def do(self, *new: Transfer) -> Posting | Reason:
        outcome = post_all(self.accounts, self.transfers, new)
        if isinstance(outcome, Posting):
            self.accounts.update({a.id: a for a in outcome.accounts})
            self.transfers.update({t.id: t for t in outcome.transfers})
        return outcome

    def next(self, prefix: str) -> str:
        self.n += 1
        return f"{prefix}{self.n:04}"

    @rule(target=awards, days=st.integers(1, 5))
    def open_award(self, days: int) -> str:
        id = self.next("a")
        self.rows[id] = Award(id=id, programme="p", project="x", currency="KRW", amount=0, starts_ms=0, expires_ms=days + 1)
        self.accounts[f"award:{id}"] = open_account(f"award:{id}", "KRW")
        self.pots[id] = Pot()
        return id

    @initialize(target=awards, amounts=st.lists(st.integers(1, 60), min_size=2, max_size=4))
    def begin(self, amounts: list[int]) -> object:
        """Several small awards, so that most jobs need more than one of them."""
        opened = [self.open_award(days=day) for day in range(len(amounts))]
        for award, amount in zip(opened, amounts, strict=True):
            self.top_up(award, amount)
        return multiple(*opened)

    @rule(award=awards, amount=st.integers(1, 60))
    def top_up(self, award: str, amount: int) -> None:
        id = self.next("award:")
        assert isinstance(self.do(moving(id, TransferKind.AWARD, "programme:p", f"award:{award}", amount)), Posting)
        self.pots[award].given += amount

    @rule(target=live, amount=AMOUNTS)
    def hold(self, amount: int) -> object:
        awards = [(row, available(self.accounts[f"award:{id}"])) for id, row in self.rows.items()]
        parts = divide(amount, awards, site="s", accelerator="", now_ms=0)
        open_now = sum(self.pots[id].left() for id, row in self.rows.items() if not row.expired)
        if isinstance(parts, Reason):
            assert amount > open_now and parts.kind in (ReasonKind.NO_AWARD, ReasonKind.FUNDS_SHORT)
            return multiple()
        assert sum(part for _, part in parts) == amount <= open_now or amount == 0
        attempt = Attempt(id=self.next("t"), workload="w", project="x", site="s", epoch=1)
        assert isinstance(self.do(*hold_transfers(attempt, parts, at_ms=self.n)), Posting)
        for award, part in parts:
            self.pots[award].held += part
        self.paid[attempt.id] = list(parts)
        self.money[attempt.id] = AttemptMoney(attempt.id, True, amount, 0, 0)
        return attempt.id

    def holds(self, attempt: str) -> list[Transfer]:
        return [t for t in self.transfers.values() if t.kind == TransferKind.HOLD and t.attempt == attempt]

    @rule(target=settled, attempt=consumes(live), percent=st.integers(0, 100))
    def settle_part(self, attempt: str, percent: int) -> str:
        """At 0 per cent a release of everything."""
        amount = left = self.money[attempt].held * percent // 100
        assert isinstance(self.do(*settle_transfers(self.holds(attempt), amount, at_ms=self.n)), Posting)
        paid = []
        for award, part in self.paid[attempt]:
            took = min(left, part)
            left -= took
            self.pots[award].held -= part
            self.pots[award].spent += took
            paid.append((award, took))
        self.paid[attempt] = paid
        self.money[attempt] = self.money[attempt]._replace(live=False, settled=amount)
        return attempt

    @rule(attempt=settled)
    def end_again(self, attempt: str) -> None:
        for hold in self.holds(attempt):
            (again,) = settle_transfers([hold], hold.amount, at_ms=self.n)
            refused = self.do(replace(again, id=f"{again.id}:again"))
            assert refused == Reason.of(ReasonKind.HOLD_ENDED, id=hold.id, state=hold.state.value)

    @rule(attempt=consumes(settled), percent=st.integers(0, 100))
    def refund(self, attempt: str, percent: int) -> None:
        amount = left = self.money[attempt].settled * percent // 100
        assert isinstance(self.do(*refund_transfers(self.holds(attempt), amount, payer=PAYER, at_ms=self.n)), Posting)
        for award, took in reversed(self.paid[attempt]):
            back = min(left, took)
            left -= back
            self.pots[award].given += back
        self.money[attempt] = self.money[attempt]._replace(refunded=amount)

    @rule(award=consumes(awards))
    def expire(self, award: str) -> None:
        left = self.pots[award].left()
        if left:
            gone = expire_transfer(self.rows[award], left, id=f"expire:{award}", rule_version=1, at_ms=self.n)
            assert isinstance(self.do(gone), Posting)
            self.pots[award].spent += left
        self.rows[award] = replace(self.rows[award], expired=True)

    @rule(award=awards, amount=st.integers(1, 60))
    def withdraw(self, award: str, amount: int) -> None:
        """Never below what is held or spent; what is asked for beyond it changes nothing."""
        left, programme = self.pots[award].left(), available(self.accounts["programme:p"])
        back = withdraw_transfer(self.rows[award], amount, id=self.next("withdraw:"), rule_version=1, at_ms=self.n)
        outcome = self.do(back)
        if amount > left:
            assert isinstance(outcome, Reason) and outcome.facts["available"] == left
            return
        assert isinstance(outcome, Posting) and available(self.accounts["programme:p"]) == programme + amount
        self.pots[award].spent += amount
        self.rows[award] = replace(self.rows[award], withdrawn=self.rows[award].withdrawn + amount)

    @rule(award=awards, amount=st.integers(1, 1000))
    def overdraw(self, award: str, amount: int) -> None:
        asked = self.pots[award].left() + amount
        attempt = Attempt(id="greedy", workload="w", project="x", site="s", epoch=1)
        refused = self.do(*hold_transfers(attempt, ((award, asked),), at_ms=self.n))
        assert isinstance(refused, Reason) and refused.kind == ReasonKind.BALANCE_SHORT
        assert (refused.facts["asked"], refused.facts["available"]) == (asked, asked - amount)

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Any deed again, later: nothing changes. With another amount: refused."""
        known = self.transfers[data.draw(st.sampled_from(sorted(self.transfers)))]
        new = replace(known, state=STATE_WHEN_NEW[known.kind], settled=0, at_ms=known.at_ms + 1000)
        before = (dict(self.accounts), dict(self.transfers))
        assert self.do(new) == Posting(repeated=True)
        assert self.do(replace(new, amount=known.amount + 1)) == Reason.of(ReasonKind.EXISTS_DIFFERENT, id=known.id)
        assert (self.accounts, self.transfers) == before

    @invariant()
    def the_model_agrees(self) -> None:
        for id, pot in self.pots.items():
            account = self.accounts[f"award:{id}"]
            assert (account.credits_posted, account.debits_posted, account.debits_pending) == (pot.given, pot.spent, pot.held)
            assert pot.left() >= 0

    @invariant()
    def the_books_are_true(self) -> None:
        assert verify_books(self.accounts.values(), self.transfers.values(), self.money.values()) == ()
        assert verify_withdrawals(self.rows.values(), self.transfers.values()) == ()
        told = statement([replace(t, project="x") for t in self.transfers.values()], self.accounts.values())
        assert not [f for f in told.findings if f.kind == "award_unbalanced"]
        assert {a.account: a.withdrawn for a in told.awards} == {f"award:{id}": r.withdrawn for id, r in self.rows.items()}


STATE_WHEN_NEW = dict.fromkeys(TransferKind, TransferState.POSTED) | {TransferKind.HOLD: TransferState.PENDING}

TestBooks = Books.TestCase
TestBooks.settings = settings(examples(100, most=3000), stateful_step_count=30)
ordinary = examples(60)

shares = st.lists(st.integers(1, 50), min_size=1, max_size=6)


def balances(parts: list[int], *ends: tuple[str, int]) -> tuple[dict[str, Account], int]:
    """Hold `parts` from one award each for every attempt in `ends`, settle each, and look at the accounts."""
    accounts = {id: open_account(id, "KRW") for id in ("treasury:KRW", "programme:p", "site:s:KRW")}
    accounts |= {f"award:{n}": replace(open_account(f"award:{n}", "KRW"), credits_posted=2 * p) for n, p in enumerate(parts)}
    rows: dict[str, Transfer] = {}
    for attempt, amount in ends:
        split: Parts = tuple((str(n), part) for n, part in enumerate(parts))
        holds = hold_transfers(Attempt(id=attempt, workload="w", project="x", site="s", epoch=1), split, at_ms=1)
        posting = post_all(accounts, rows, [*holds, *settle_transfers(holds, amount, at_ms=2)])
        assert isinstance(posting, Posting)
        accounts |= {a.id: a for a in posting.accounts}
        rows |= {t.id: t for t in posting.transfers}
    return accounts, sum(a.debits_posted for a in accounts.values())


@ordinary
@given(parts=shares, data=st.data())
def test_settling_a_and_then_b_pays_what_settling_their_sum_pays(parts: list[int], data: st.DataObject) -> None:
    a = data.draw(st.integers(0, sum(parts)))
    b = data.draw(st.integers(0, sum(parts) - a))
    apart, paid_apart = balances(parts, ("one", a), ("two", b))
    together, paid_together = balances(parts, ("both", a + b))
    assert paid_apart == paid_together == a + b
    assert apart["site:s:KRW"].credits_posted == together["site:s:KRW"].credits_posted
    assert all(a.debits_pending == 0 for a in apart.values())


@ordinary
@given(parts=shares, data=st.data())
def test_the_order_of_unrelated_attempts_does_not_matter(parts: list[int], data: st.DataObject) -> None:
    ends = [(name, data.draw(st.integers(0, sum(parts)))) for name in ("one", "two")]
    assert balances(parts, *ends)[0] == balances(parts, *reversed(ends))[0]


@ordinary
@given(amount=st.integers(0, 400), left=st.lists(st.tuples(st.integers(-5, 100), st.integers(1, 4)), max_size=6))
def test_a_division_is_exact_or_says_how_much_there_is(amount: int, left: list[tuple[int, int]]) -> None:
    awards = [
        (Award(id=str(n), programme="p", project="x", currency="KRW", amount=0, starts_ms=0, expires_ms=day), have)
        for n, (have, day) in enumerate(left)
    ]
    parts = divide(amount, awards, site="s", accelerator="", now_ms=0)
    total = sum(max(0, have) for have, _ in left)
    if isinstance(parts, Reason):
        assert amount > total
        assert parts.facts == ({"hold": amount, "available": total, "currency": "KRW"} if left else {})
        return
    by_id = {award.id: (award.expires_ms, award.id, have) for award, have in awards}
    assert sum(part for _, part in parts) == amount
    assert all(0 < part <= by_id[id][2] for id, part in parts)
    assert [by_id[id][:2] for id, _ in parts] == sorted(by_id[id][:2] for id, _ in parts)
    assert all(part == by_id[id][2] for id, part in parts[:-1])  # each is used up before the next one pays


prices = st.integers(0, 10**13)
amounts = st.integers(0, 10**7)


@ordinary
@given(
    core=prices, memory=prices, device=prices, workers=st.integers(1, 2000), cores=amounts, mib=amounts,
    devices=st.integers(0, 8), limit=amounts, grace=st.integers(0, 60_000), run=st.integers(0, 10**8),
    preemptible=st.booleans(), permille=st.integers(0, 1000), lost=st.integers(-10, 10**8), interval=amounts,
    capped=st.booleans(), currency=st.sampled_from(("KRW", "ACS")), factor=st.integers(1, 100_000),
)  # fmt: skip
def test_a_charge_never_exceeds_its_hold_nor_a_refund_the_charge(
    core: int, memory: int, device: int, workers: int, cores: int, mib: int, devices: int, limit: int, grace: int, run: int,
    preemptible: bool, permille: int, lost: int, interval: int, capped: bool, currency: str, factor: int,
) -> None:  # fmt: skip
    tags = (("core", core), ("memory_gib", memory), ("device:*", device))
    priced = tuple(Price(resource=r, nano=n, currency=currency) for r, n in tags)
    classes = (PriorityClass(name="normal", value=0), PriorityClass(name="dear", value=1, price_permille=factor))
    policy = Policy(prices=priced, classes=classes, preemptible_permille=permille)
    work = {"currency": currency, "accelerator": "h100", "workers": workers, "cores_milli": cores, "memory_mib": mib,
            "devices": devices, "preemptible": preemptible, "priority": "dear", "limit_ms": limit}  # fmt: skip
    held = hold_amount(policy, grace_ms=grace, **work)  # type: ignore[arg-type]
    if held is None:
        assert currency == "ACS" and devices == 0
        return
    paid = run_charge_nano(policy, run_ms=run, **work)  # type: ignore[arg-type]
    back = refund_nano(
        policy, charged_nano=paid, run_ms=min(run, limit), lost_ms=lost, checkpoint_interval_ms=interval, capped=capped
    )
    assert 0 <= back <= paid <= held * NANO
