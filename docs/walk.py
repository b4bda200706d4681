"""The life of a won, told by the ledger itself: one job that is preempted once, as a table whose columns add up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dure.errors import require
from dure.ledger import (
    available,
    award_account,
    award_transfer,
    charge_nano,
    divide,
    expire_transfer,
    fund_transfer,
    hold_amount,
    hold_transfers,
    open_account,
    policy_account,
    post_all,
    programme_account,
    refund_nano,
    refund_transfers,
    settle_exact,
    settle_transfers,
    site_account,
    treasury_account,
)
from dure.model.calendar import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from dure.model.funding import Account, Award, Programme, Transfer, TransferKind
from dure.model.money import NANO, nano_text
from dure.model.policy import Policy, Price
from dure.model.reason import Reason
from dure.model.workload import Attempt

SITE = "pohang"
POLICY = Policy(prices=(Price(resource="device:h100", nano=NANO),))  # one won a second: 3,600 won an hour
PROGRAMME = Programme(id="call", name="Call 2026", ends_ms=DAY_MS)
AWARD = Award(id="lab", programme="call", project="lab", currency="KRW", amount=100_000, starts_ms=0, expires_ms=DAY_MS)
DEMAND = {
    "currency": "KRW",
    "accelerator": "h100",
    "workers": 1,
    "cores_milli": 0,
    "memory_mib": 0,
    "devices": 8,
    "preemptible": True,
    "priority": "normal",
}
COLUMNS = (treasury_account("KRW"), programme_account("call"), award_account("lab"), site_account(SITE, "KRW"),
           policy_account("preemption", "KRW"))  # fmt: skip
FIRST_MS = 10 * MINUTE_MS + SECOND_MS
LOST_MS = 2 * MINUTE_MS + SECOND_MS
SECOND_MS_RUN = 52 * MINUTE_MS


class Walk:
    """Accounts that are posted to, and the rows that tell of it."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {id: open_account(id, "KRW") for id in COLUMNS}
        self.transfers: dict[str, Transfer] = {}
        self.rows: list[str] = []

    def post(self, what: str, transfers: Iterable[Transfer]) -> None:
        posting = post_all(self.accounts, self.transfers, transfers)
        require(not isinstance(posting, Reason), f"the walk was refused: {posting}")
        assert not isinstance(posting, Reason)  # as just required; for the type checker
        self.accounts |= {a.id: a for a in posting.accounts}
        self.transfers |= {t.id: t for t in posting.transfers}
        balances = [a.credits_posted - a.debits_posted for a in self.accounts.values()]
        require(sum(balances) == 0, "the books sum to zero")
        free = available(self.accounts[award_account("lab")])
        self.rows.append(f"| {what} | " + " | ".join(f"{b:,}" for b in balances) + f" | {free:,} |")

    def holds(self, attempt: str) -> list[Transfer]:
        return [t for t in self.transfers.values() if t.kind == TransferKind.HOLD and t.attempt == attempt]


def table() -> str:
    """The walk as a Markdown table: what is posted on every account after each deed, and what the award may still hold."""
    walk = Walk()
    walk.post("**fund** the programme", [fund_transfer(PROGRAMME, 1_000_000, id="fund:1", rule_version=1, at_ms=0)])
    walk.post("**award** a voucher", [award_transfer(AWARD, 100_000, id="award:lab", rule_version=1, at_ms=0)])
    first, held = _hold(walk, "first")
    charge = charge_nano(POLICY, **DEMAND, duration_ms=FIRST_MS) or 0
    back = refund_nano(POLICY, charged_nano=charge, run_ms=FIRST_MS, lost_ms=LOST_MS, checkpoint_interval_ms=15 * MINUTE_MS)
    made = settle_exact(0, charge, back, first.held)
    settles = settle_transfers(held, made.settled, at_ms=2)
    walk.post(f"**settle** {_of(made.settled, charge)} for 10 min 1 s; the rest is released", settles)
    paid = [replace(h, settled=made.settled) for h in walk.holds(first.id)]
    refunds = refund_transfers(paid, made.refunded, payer=COLUMNS[-1], at_ms=2)
    walk.post(f"**refund** {_of(made.refunded, back)} for 2 min 1 s that were lost", refunds)
    second, held = _hold(walk, "second")
    charge = charge_nano(POLICY, **DEMAND, duration_ms=SECOND_MS_RUN) or 0
    made = settle_exact(made.carry_nano, charge, 0, second.held)
    settles = settle_transfers(held, made.settled, at_ms=4)
    walk.post(f"**settle** {_of(made.settled, charge)} for 52 min; the rest is released", settles)
    left = available(walk.accounts[award_account("lab")])
    walk.post("**expire**: what is left goes back", _expired(left))
    names = " | ".join(("treasury", "programme", "award", "site", "policy"))
    return f"| deed | {names} | award may still hold |\n|---|--:|--:|--:|--:|--:|--:|\n" + "\n".join(walk.rows) + "\n"


def _of(posted: int, exact_nano: int) -> str:
    """Whole units that are posted, and what they are of when the exact amount is no whole number."""
    return f"{posted:,}" if posted * NANO == exact_nano else f"{posted:,} of {nano_text(exact_nano)}"


def _expired(left: int) -> list[Transfer]:
    return [expire_transfer(AWARD, left, id="expire:lab", rule_version=1, at_ms=DAY_MS)]


def _hold(walk: Walk, id: str) -> tuple[Attempt, tuple[Transfer, ...]]:
    """Hold for two hours and ten seconds of grace, as at every placement."""
    amount = hold_amount(POLICY, **DEMAND, limit_ms=2 * HOUR_MS, grace_ms=10 * SECOND_MS) or 0
    attempt = Attempt(id=id, workload="train", project="lab", site=SITE, epoch=1, held=amount, policy_version=1)
    parts = divide(amount, [(AWARD, available(walk.accounts[award_account("lab")]))], site=SITE, accelerator="h100", now_ms=1)
    require(not isinstance(parts, Reason), f"the hold was refused: {parts}")
    assert not isinstance(parts, Reason)  # as just required; for the type checker
    holds = hold_transfers(attempt, parts, at_ms=1)
    walk.post(f"**hold** {amount:,} for the {id} try: limit and grace", holds)
    return attempt, holds
