from __future__ import annotations

from dataclasses import replace

from dure.ledger import (
    AwardLine,
    JobLine,
    RemainderLine,
    hold_transfers,
    refund_transfers,
    release_transfers,
    settle_transfers,
    statement,
)
from dure.ledger.verify import Finding
from dure.model.funding import Remainder
from tests.unit.ledger.books import ATTEMPT, Book, funded

REMAINDERS = (
    Remainder(id="uni/ulsan/KRW", project="uni", site="ulsan", currency="KRW", nano=37_000_000),
    Remainder(id="uni/pohang/KRW", project="uni", site="pohang", currency="KRW", nano=100_000_000),
)


def story() -> Book:
    """A job that was preempted, refunded and then succeeded; one that was cancelled; one that runs."""
    book = funded(a1=300, a2=200)
    again = replace(ATTEMPT, id="att2")
    book.must(hold_transfers(ATTEMPT, (("a1", 100),), at_ms=1))
    book.must(settle_transfers(book.holds(), 60, at_ms=2))
    book.must(refund_transfers(book.holds(), 25, payer="policy:preemption:KRW", at_ms=2))
    book.must(hold_transfers(again, (("a1", 100),), at_ms=3))
    book.must(settle_transfers(book.holds("att2"), 90, at_ms=4))
    for n, name in enumerate(("cancelled", "running")):
        other = replace(ATTEMPT, id=f"{name}-1", workload=name)
        book.must(hold_transfers(other, (("a1", 10), ("a2", 40)), at_ms=5 + n))
    book.must(release_transfers(book.holds("cancelled-1"), at_ms=7))
    return book


def test_every_job_shows_what_it_held_paid_and_got_back() -> None:
    book = story()
    carried = {("job", "KRW"): -300_000_000, ("running", "KRW"): 437_000_000}
    told = statement(book.transfers.values(), book.accounts.values(), quotes={"job": 100}, energy={"job": 5, "running": 1},
                     carried=carried, remainders=REMAINDERS)  # fmt: skip
    assert told.jobs == (
        JobLine(workload="job", currency="KRW", attempts=2, quoted=100, held=200, pending=0, settled=150, released=50,
                refunded=25, net=125, carried_nano=-300_000_000, energy_mwh=5),
        JobLine(workload="cancelled", currency="KRW", attempts=1, quoted=0, held=50, pending=0, settled=0, released=50,
                refunded=0, net=0, carried_nano=0, energy_mwh=0),
        JobLine(workload="running", currency="KRW", attempts=1, quoted=0, held=50, pending=50, settled=0, released=0,
                refunded=0, net=0, carried_nano=437_000_000, energy_mwh=1),
    )  # fmt: skip
    assert told.totals == (
        JobLine(workload="", currency="KRW", attempts=4, quoted=100, held=300, pending=50, settled=150, released=100,
                refunded=25, net=125, carried_nano=137_000_000, energy_mwh=6),
    )  # fmt: skip
    assert told.remainders == (
        RemainderLine(site="pohang", currency="KRW", nano=100_000_000),
        RemainderLine(site="ulsan", currency="KRW", nano=37_000_000),
    )
    assert told.findings == ()


def test_what_is_carried_and_no_job_left_is_said() -> None:
    book = story()
    found = statement(book.transfers.values(), carried={("job", "KRW"): 138_000_000}, remainders=REMAINDERS).findings
    assert found == (Finding("carry_unbalanced", "KRW", {"jobs_nano": 138_000_000, "carried_nano": 137_000_000}),)
    assert statement((), remainders=REMAINDERS).findings[0].facts["jobs_nano"] == 0


def test_every_award_shows_where_its_money_is() -> None:
    book = story()
    told = statement(book.transfers.values(), book.accounts.values())
    assert told.awards == (
        AwardLine(
            account="award:a1",
            currency="KRW",
            granted=300,
            refunded=25,
            spent=150,
            withdrawn=0,
            expired=0,
            pending=10,
            available=165,
        ),
        AwardLine(
            account="award:a2",
            currency="KRW",
            granted=200,
            refunded=0,
            spent=0,
            withdrawn=0,
            expired=0,
            pending=40,
            available=160,
        ),
    )
    for line in told.awards:
        assert line.granted + line.refunded == line.spent + line.expired + line.pending + line.available


def test_a_statement_without_jobs_is_empty_and_true() -> None:
    told = statement(funded(a1=5).transfers.values())
    assert (told.jobs, told.totals, told.awards, told.findings) == ((), (), (), ())


def test_what_does_not_add_up_is_said() -> None:
    book = story()
    book.transfers["settle:att:0"] = replace(book.transfers["settle:att:0"], hold="gone")
    book.accounts["award:a2"] = replace(book.accounts["award:a2"], credits_posted=201)
    found = statement(book.transfers.values(), book.accounts.values()).findings
    assert [(f.kind, f.subject) for f in found] == [("job_unbalanced", "job"), ("award_unbalanced", "award:a2")]
    assert isinstance(found[0], Finding) and found[0].facts["released"] == 10
    assert (found[1].facts["credits"], found[1].facts["credits_stored"]) == (200, 201)
