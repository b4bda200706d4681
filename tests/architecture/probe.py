"""Planning, posting, deciding and rendering, watched by an audit hook: run as a program by test_purity.

Everything is imported and built first; then the hook is set, and whatever touches a file, a socket, a process or the search for
modules ends the program with its name. `python -m tests.architecture.probe plant` touches one on purpose."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from dure.access import Action, Identity, Resource, may
from dure.ledger import AttemptMoney, divide, hold_transfers, post_all, rate_all, settle_transfers, verify_books
from dure.model.event import Event, seal, verify_chain
from dure.model.policy import Policy, Price
from dure.model.reason import Reason, ReasonKind
from dure.model.render import render
from dure.model.tenancy import Grant, Role
from dure.scheduler import check, plan, why
from dure.scheduler.snapshot import Snapshot
from tests.builders.world import World
from tests.unit.ledger.books import ATTEMPT, Book, award, fund, grant

WATCHED = (
    "open",
    "os.",
    "socket.",
    "subprocess.",
    "shutil.",
    "tempfile.",
    "pathlib.",
    "urllib.",
    "ctypes.",
    "sqlite3.",
    "import",
)


def main() -> None:
    snapshot, book = a_snapshot(), a_book()
    everything(snapshot, book)  # once unwatched, so that numpy has loaded what it loads at first use
    book = a_book()
    sys.addaudithook(watch)
    if "plant" in sys.argv:
        Path("/dev/null").read_text()
    everything(snapshot, book)
    sys.stdout.write("pure\n")


def watch(event: str, args: tuple[Any, ...]) -> None:
    if event.startswith(WATCHED):
        raise RuntimeError(f"the pure core did {event} {args[:1]}")


def a_snapshot() -> Snapshot:
    world = World().site("s1", nodes=2, cores=8, devices=4, accelerator="h100")
    world.attempt("a1", [("s1/n0", 0b1111)], cores=8)
    world.award("lab", 10_000)
    for name, workers, devices in (("one", 1, 1), ("gang", 2, 4), ("huge", 9, 4)):
        world.pending(name, project="lab", workers=workers, devices=devices, hold=100)
    return world.snapshot()


def a_book() -> Book:
    book = Book().open("treasury:KRW", "programme:prog", "award:a1", "site:pohang:KRW")
    book.post(fund(10_000))
    return book


def everything(snapshot: Snapshot, book: Book) -> None:
    planned = plan(snapshot)
    assert check(snapshot, planned) == ()
    answers = [why(snapshot, planned, row) for row in range(len(snapshot.pending.ids))]
    assert any(answer.reasons for answer in answers)
    post_one_job(book)
    decide()
    for kind in ReasonKind:
        assert render(Reason.of(kind), "ko").title and render(Reason.of(kind), "en").title
    events = seal(0, "0" * 64, [Event(id="ev_1", at_ms=1, actor="a", kind="workload.submitted", subject="w")])
    assert verify_chain(events) is None


def post_one_job(book: Book) -> None:
    voucher = award("a1")
    book.must([grant("a1", 1000)])
    parts = divide(300, [(voucher, 1000)], site="pohang", accelerator="", now_ms=1)
    assert not isinstance(parts, Reason)
    holds = hold_transfers(ATTEMPT, parts, at_ms=1)
    book.must(holds)
    book.must(settle_transfers(holds, 120, at_ms=2))
    policy = Policy(prices=(Price(resource="core", nano=10**9),))
    assert rate_all(
        policy,
        accelerator="",
        workers=1,
        cores_milli=1000,
        memory_mib=0,
        devices=0,
        limit_ms=1000,
        preemptible=False,
        priority="normal",
    )
    assert isinstance(post_all(book.accounts, book.transfers, ()).transfers, tuple)  # type: ignore[union-attr]
    paid = AttemptMoney("att", False, 300, 120, 0)
    assert verify_books(tuple(book.accounts.values()), tuple(book.transfers.values()), (paid,)) == ()


def decide() -> None:
    member = Identity(id="p", grants=(Grant(id="g", actor="p", role=Role.MEMBER, scope="lab"),))
    assert may(member, Action.WORKLOAD_SUBMIT, Resource(kind="workload", project="lab")).allowed
    assert not may(member, Action.WORKLOAD_SUBMIT, Resource(kind="workload", project="other")).allowed


if __name__ == "__main__":
    main()
