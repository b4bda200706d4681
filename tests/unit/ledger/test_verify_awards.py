"""What an award says was taken back of it is held against its transfers."""

from __future__ import annotations

from dataclasses import replace

from dure.ledger import verify_withdrawals, withdraw_transfer
from dure.model.funding import Award

AWARD = Award(id="a1", programme="p", project="x", currency="KRW", amount=100, starts_ms=0, expires_ms=9, withdrawn=30)
TAKEN = tuple(withdraw_transfer(AWARD, n, id=f"withdraw:a1:{n}", rule_version=1, at_ms=1) for n in (10, 20))


def test_withdrawals_that_add_up_are_true_and_a_false_figure_is_named() -> None:
    assert verify_withdrawals([AWARD], TAKEN) == ()
    (found,) = verify_withdrawals([replace(AWARD, withdrawn=31)], TAKEN)
    assert (found.kind, found.subject, found.facts) == ("withdrawn_differs", "award:a1", {"stored": 31, "recomputed": 30})
    assert [f.facts["stored"] for f in verify_withdrawals([], TAKEN)] == [0]
