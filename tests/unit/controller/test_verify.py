"""Whoever alters what is stored is found, and the first bad row is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dure.controller import verify_audit, verify_store_books
from dure.model.event import Event
from dure.model.funding import Account, Award, Remainder, Transfer, TransferKind
from dure.model.policy import Policy
from dure.model.records import Plane
from dure.model.workload import Attempt
from dure.ports import Tx
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import everything_once, open_world


@pytest.fixture
def world() -> World:
    told = open_world(MemoryStore())
    everything_once(Teller(told))
    return told


def _first(tx: Tx, kind: TransferKind) -> Transfer:
    return min(tx.find(Transfer, {"kind": kind}), key=lambda t: t.id)


def test_an_honest_plane_verifies(world: World) -> None:
    audit, books = world.store.read(verify_audit), world.store.read(verify_store_books)
    assert (audit.fault, audit.unsealed, books.findings) == (None, 0, ())
    assert audit.events > 50
    assert books.transfers > 20


def test_an_altered_amount_is_named_even_when_the_sums_are_altered_with_it(world: World) -> None:
    def steal(tx: Tx) -> str:
        award = _first(tx, TransferKind.AWARD)
        tx.update(replace(award, amount=award.amount + 1))
        for side, column in ((award.debit, "debits_posted"), (award.credit, "credits_posted")):
            account = tx.get(Account, side)
            assert account is not None
            tx.update(replace(account, **{column: getattr(account, column) + 1}))
        return award.id

    altered = world.store.transact(steal)
    found = world.store.read(verify_store_books).findings
    # it had been closed: what was added to it by hand did not go back to the programme
    named = [("altered", altered), ("closed_award_not_empty", altered.removeprefix("award:"))]
    assert [(f.kind, f.subject) for f in found] == named


def test_a_sum_that_no_transfer_explains_is_named(world: World) -> None:
    def pad(tx: Tx) -> str:
        account = min(tx.find(Account), key=lambda a: a.id)
        tx.update(replace(account, credits_posted=account.credits_posted + 5))
        return account.id

    padded = world.store.transact(pad)
    assert world.store.read(verify_store_books).findings[0].subject == padded


def test_a_transfer_that_vanished_is_missing(world: World) -> None:
    def lose(tx: Tx) -> str:
        refund = _first(tx, TransferKind.REFUND)
        tx.delete(Transfer, refund.id)
        return refund.id

    lost = world.store.transact(lose)
    found = world.store.read(verify_store_books).findings
    assert ("missing", lost) in [(f.kind, f.subject) for f in found]


def test_a_carry_that_no_end_explains_is_named(world: World) -> None:
    def pocket(tx: Tx) -> str:
        row = tx.find(Remainder, {"project": "lab"})[0]
        tx.update(replace(row, nano=row.nano + 1))
        return row.id

    padded = world.store.transact(pocket)
    found = world.store.read(verify_store_books).findings
    assert [(f.kind, f.subject) for f in found] == [("carry_differs", padded), ("remainder_altered", padded)]


def test_an_attempt_that_was_made_cheaper_by_a_nano_won_is_named_even_when_the_carry_is_altered_with_it(world: World) -> None:
    def cheapen(tx: Tx) -> str:
        attempt = next(a for a in tx.find(Attempt, {"project": "lab"}) if a.settled)
        tx.update(replace(attempt, charge_rest_nano=attempt.charge_rest_nano - 1))
        row = tx.find(Remainder, {"project": "lab"})[0]
        tx.update(replace(row, nano=row.nano - 1))
        return attempt.id

    cheaper = world.store.transact(cheapen)
    found = world.store.read(verify_store_books).findings
    assert found[0].kind == "altered"
    assert found[0].subject == cheaper


def test_money_that_a_closed_award_kept_is_named(world: World) -> None:
    def keep(tx: Tx) -> str:
        award = min(tx.find(Award, {"expired": True}), key=lambda a: a.id)
        account = tx.get(Account, f"award:{award.id}")
        assert account is not None
        tx.update(replace(account, credits_posted=account.credits_posted + 5))
        return award.id

    kept = world.store.transact(keep)
    found = world.store.read(verify_store_books).findings
    assert ("closed_award_not_empty", kept) in [(f.kind, f.subject) for f in found]


def _rewrite(tx: Tx) -> int:
    event = tx.find(Event, {"seq": 9})[0]
    tx.update(replace(event, data={**event.data, "extra": 1}))
    return 9


def _remove(tx: Tx) -> int:
    tx.delete(Event, tx.find(Event, {"seq": 12})[0].id)
    return 12


def _cut(tx: Tx) -> int:
    plane = tx.get(Plane, "plane")
    assert plane is not None
    tx.delete(Event, tx.find(Event, {"seq": plane.sealed_seq})[0].id)
    return plane.sealed_seq


@pytest.mark.parametrize(("tamper", "fault"), [(_rewrite, "altered"), (_remove, "gap"), (_cut, "gap")])
def test_a_broken_chain_names_its_first_bad_event(world: World, tamper: Callable[[Tx], int], fault: str) -> None:
    seq = world.store.transact(tamper)
    found = world.store.read(verify_audit).fault
    assert found is not None
    assert (found.seq, found.fault) == (seq, fault)


def test_a_price_that_was_altered_in_an_old_policy_is_named(world: World) -> None:
    def cheapen(tx: Tx) -> None:
        policy = tx.get(Policy, "policy:1")
        assert policy is not None
        tx.update(replace(policy, prices=(replace(policy.prices[0], nano=1), *policy.prices[1:])))

    world.store.transact(cheapen)
    found = world.store.read(verify_store_books).findings
    assert ("altered", "policy:1") in [(f.kind, f.subject) for f in found]


def test_an_award_that_was_made_to_last_longer_is_named(world: World) -> None:
    def prolong(tx: Tx) -> str:
        award = min(tx.find(Award), key=lambda a: a.id)
        tx.update(replace(award, expires_ms=award.expires_ms + 1))
        return award.id

    prolonged = world.store.transact(prolong)
    found = world.store.read(verify_store_books).findings
    assert ("altered", prolonged) in [(f.kind, f.subject) for f in found]
