"""What sealed events told stands: nobody rewrites a row by telling something else of it later, or by telling it elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dure.controller import Deed, verify_audit, verify_store_books
from dure.controller.commands import funding, tenancy
from dure.controller.deed import record, record_digest
from dure.controller.forms import well_formed
from dure.controller.sealer import Sealer
from dure.errors import ChainContradicted
from dure.ledger import Finding, transfer_digest
from dure.model.event import RESTORED, Event
from dure.model.event import seal as sealed
from dure.model.funding import Account, Award, Programme, Transfer, TransferKind
from dure.model.policy import Policy, Price, PriorityClass
from dure.model.records import Plane
from dure.model.tenancy import Actor, Credential, Grant, Role
from dure.model.workload import Attempt, Outcome
from dure.ports import Tx
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import NOW_MS, begin, everything_once, open_world

LATER_MS = NOW_MS + 10 * 24 * 3_600_000


@pytest.fixture
def world() -> World:
    told = open_world(MemoryStore())
    begin(Teller(told))
    return told


@pytest.fixture(scope="module")
def whole() -> World:
    """Everything once; tests of it take back what they change."""
    told = open_world(MemoryStore())
    everything_once(Teller(told))
    admin = told.store.read(lambda r: r.find(Grant, {"role": Role.ADMIN}))[0].actor
    told.store.transact(lambda tx: tenancy.create_token(tx, deed(told), actor=admin))
    told.settle()
    return told


def sealer(world: World) -> Sealer:
    return world.controller.sealer


def seal(world: World) -> int:
    epoch = world.store.read(lambda r: r.get(Plane, "plane")).leader_epoch  # type: ignore[union-attr]
    return sealer(world).seal(world.store, epoch, LATER_MS)


def seal_by_hand(world: World, *events: Event) -> None:
    """As a leader would that looks at nothing: what was sealed before leaders looked."""
    from_here = sealer(world)

    def put(tx: Tx) -> None:
        plane = tx.get(Plane, "plane")
        assert plane is not None
        for event in sealed(plane.sealed_seq, plane.sealed_hash, events):
            tx.insert(event)
            plane = replace(plane, sealed_seq=event.seq, sealed_hash=event.hash)
        tx.update(replace(plane, head=from_here.signer.head(plane, LATER_MS)))

    world.store.transact(put)


def event(kind: str, subject: str, **data: Any) -> Event:
    return Event(id="ev_zzz", at_ms=LATER_MS, actor="controller", kind=kind, subject=subject, data=data)


def books(world: World) -> list[Finding]:
    return list(world.store.read(verify_store_books).findings)


def access(world: World) -> list[Finding]:
    report = world.store.read(lambda r: verify_audit(r, sealer(world).signer))
    assert report.fault is None
    return list(report.findings)


def raised(tx: Tx, by: int = 1000) -> tuple[Award, Transfer]:
    """An award is raised in every row that tells of it: itself, its transfer, and both accounts."""
    award = min(tx.find(Award), key=lambda a: a.id)
    transfer = tx.get(Transfer, f"award:{award.id}")
    assert transfer is not None
    award = tx.update(replace(award, amount=award.amount + by))
    transfer = tx.update(replace(transfer, amount=transfer.amount + by))
    for side, column in ((transfer.debit, "debits_posted"), (transfer.credit, "credits_posted")):
        account = tx.get(Account, side)
        assert account is not None
        tx.update(replace(account, **{column: getattr(account, column) + by}))
    return award, transfer


def claim(world: World, kind: str) -> tuple[Award, Event]:
    """The award is raised, and an event that nothing of the plane wrote says that it always was so."""

    def raise_it(tx: Tx) -> tuple[Award, Event]:
        award, transfer = raised(tx)
        data = {"digest": record_digest(award), "transfers": {transfer.id: transfer_digest(transfer)}}
        if kind == "award.created":
            data |= {name: getattr(award, name) for name in ("programme", "amount", "currency", "starts_ms", "expires_ms")}
        return award, replace(event(kind, award.id, **data), project=award.project)

    return world.store.transact(raise_it)


KINDS = ["site.returned", "award.created", "award.expired", "policy.written", "nobody.knows"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_sealed_award_is_not_rewritten_by_an_unsealed_event(world: World, kind: str) -> None:
    award, forged = claim(world, kind)
    world.store.transact(lambda tx: tx.insert(forged))
    found = [(f.kind, f.subject) for f in books(world)]
    assert ("altered", award.id) in found and ("altered", f"award:{award.id}") in found


@pytest.mark.parametrize("kind", KINDS)
def test_a_sealed_award_is_not_rewritten_by_a_sealed_one_either(world: World, kind: str) -> None:
    award, forged = claim(world, kind)
    seal_by_hand(world, forged)
    found = [(f.kind, f.subject) for f in books(world)]
    assert ("altered", award.id) in found and ("altered", f"award:{award.id}") in found
    assert {"told_twice", "misspoken"} & {kind for kind, _ in found}, "and the event itself is named"


@pytest.mark.parametrize("kind", ["site.returned", "award.created", "nobody.knows"])
def test_the_leader_seals_no_event_that_no_command_could_have_written(world: World, kind: str) -> None:
    _, forged = claim(world, kind)
    world.store.transact(lambda tx: tx.insert(forged))
    with pytest.raises(ChainContradicted) as refused:
        seal(world)
    assert (refused.value.fault, refused.value.event) == ("forged", forged.id)
    fault = world.store.read(lambda r: verify_audit(r, sealer(world).signer)).fault
    assert fault is not None and (fault.fault, fault.event) == ("forged", forged.id)
    world.store.transact(lambda tx: tx.delete(Event, forged.id))
    assert seal(world) == 0, "and goes on once it is gone"


@pytest.mark.parametrize(
    "forged",
    [
        event(RESTORED, "plane", incarnation=2),
        event("plane.founded", "plane", key="", digest=""),
        event("attempt.ended", "at_1"),
        event("attempt.ended", ""),
        event("grant.created", "actor_1", role=1, scope="*"),
        event("programme.funded", "call", amount=True, currency="KRW", transfers={}),
        event("award.expired", "award_1", amount=1, currency="KRW", transfers={"expire:1": 5}),
    ],
    ids=lambda e: e.kind,
)
def test_nor_one_that_lacks_what_its_kind_tells(world: World, forged: Event) -> None:
    world.store.transact(lambda tx: tx.insert(forged))
    with pytest.raises(ChainContradicted, match="forged"):
        seal(world)


@pytest.mark.parametrize("workload", ["", "wl_other"])
def test_nor_a_second_telling_of_where_an_attempt_was_placed(whole: World, workload: str) -> None:
    """Its subject is the workload, which may be placed again; an attempt is placed once, whatever workload is named."""
    first = whole.store.read(lambda r: r.find(Event, {"kind": "workload.placed"}))[0]
    subject = workload or first.subject
    forged = replace(first, id="ev_zzz", seq=0, hash="", subject=subject, data={**first.data, "held": 1, "transfers": {}})
    whole.store.transact(lambda tx: tx.insert(forged))
    try:
        with pytest.raises(ChainContradicted) as refused:
            seal(whole)
    finally:
        whole.store.transact(lambda tx: tx.delete(Event, forged.id))
    assert (refused.value.fault, refused.value.event) == ("forged", forged.id)


def test_a_workload_that_is_placed_again_is_sealed(whole: World) -> None:
    placed = whole.store.read(lambda r: r.find(Event, {"kind": "workload.placed"}))
    assert all(e.seq for e in placed)
    assert len({e.subject for e in placed}) < len({e.data["attempt"] for e in placed}) == len(placed)


def test_a_digest_tells_members_that_came_later_only_where_they_say_something() -> None:
    """These digests are in chains: a field that is added to the records must leave them as they are."""
    award = Award(id="a", programme="p", project="l", currency="KRW", amount=1, starts_ms=2, expires_ms=3)
    policy = Policy(classes=(PriorityClass(name="normal", value=1),), prices=(Price(resource="core", nano=1),))
    assert record_digest(award) == "a803934b2561937da646d7d40431ed68"
    assert record_digest(policy) == "b92ffdc855dcc3009a15e2a06ccc6d58"
    assert record_digest(replace(policy, written_by="actor_1")) != record_digest(policy)
    dear = replace(policy, classes=(replace(policy.classes[0], price_permille=2000),))
    assert record_digest(dear) != record_digest(policy)
    assert record_digest(replace(award, sites=("north",))) != record_digest(award)


def test_what_is_no_mapping_at_all_is_no_event() -> None:
    assert well_formed(event("site.returned", "north", last_seen_ms=1))
    assert not well_formed(replace(event("site.returned", "north"), data=[1]))  # type: ignore[arg-type]  # as by SQL


def test_a_malformed_event_that_was_sealed_breaks_no_proof_and_is_named(world: World) -> None:
    seal_by_hand(world, event("attempt.ended", "at_1", settled="much"))
    assert [(f.kind, f.subject) for f in books(world)] == [("misspoken", "ev_zzz")]


def test_what_only_the_unsealed_tail_tells_is_counted_and_proves_nothing(world: World) -> None:
    before = world.store.read(verify_store_books)
    assert (before.unsealed, before.unproved, before.findings) == (0, 0, ())
    act = world.store.transact
    act(lambda tx: tenancy.create_organisation(tx, deed(world), id="late", name="late", kind="sme"))
    act(lambda tx: funding.fund_programme(tx, deed(world), programme="call", amount=5, transfer_id="fund:call:again"))
    report = world.store.read(verify_store_books)
    assert (report.unsealed, report.unproved, report.findings) == (2, 1, ())
    world.settle()
    report = world.store.read(verify_store_books)
    assert (report.unsealed, report.unproved, report.findings) == (0, 0, ())


def test_a_transfer_may_not_be_told_by_the_event_of_something_else(world: World) -> None:
    """An award that did not exist is paid by the event of a funding: each has the shape of what a command writes."""

    def pay(tx: Tx) -> Event:
        (award, transfer) = (min(tx.find(Award), key=lambda a: a.id), tx.find(Transfer, {"kind": TransferKind.AWARD})[0])
        extra = replace(transfer, id="award:more", amount=7, version=1)
        tx.insert(extra)
        for side, column in ((extra.debit, "debits_posted"), (extra.credit, "credits_posted")):
            account = tx.get(Account, side)
            assert account is not None
            tx.update(replace(account, **{column: getattr(account, column) + 7}))
        told = {"amount": 7, "currency": "KRW", "transfers": {extra.id: transfer_digest(extra)}}
        return event("programme.funded", award.programme, **told)

    seal_by_hand(world, world.store.transact(pay))
    assert ("wrong_teller", "award:more") in [(f.kind, f.subject) for f in books(world)]


def test_a_transfer_that_two_events_tell_of_is_named(world: World) -> None:
    """The same funding told again, for a budget that was raised by hand."""

    def again(tx: Tx) -> Event:
        transfer = tx.find(Transfer, {"kind": TransferKind.FUND})[0]
        programme = tx.get(Programme, "call")
        assert programme is not None
        tx.update(replace(programme, budget=programme.budget + transfer.amount))
        told = {"amount": transfer.amount, "currency": "KRW", "transfers": {transfer.id: transfer_digest(transfer)}}
        return event("programme.funded", "call", **told)

    seal_by_hand(world, world.store.transact(again))
    found = books(world)
    assert {("told_twice", "fund:call:initial"), ("altered", "call")} <= {(f.kind, f.subject) for f in found}
    assert next(f.facts for f in found if f.subject == "call")["field"] == "budget"


def test_an_amount_that_its_transfers_do_not_make_is_named(world: World) -> None:
    def fund(tx: Tx) -> None:
        transfer = replace(tx.find(Transfer, {"kind": TransferKind.FUND})[0], id="fund:call:more", amount=7, version=1)
        tx.insert(transfer)
        for side, column in ((transfer.debit, "debits_posted"), (transfer.credit, "credits_posted")):
            account = tx.get(Account, side)
            assert account is not None
            tx.update(replace(account, **{column: getattr(account, column) + 7}))
        programme = tx.get(Programme, "call")
        assert programme is not None
        tx.update(replace(programme, budget=programme.budget + 7))
        data = {"amount": 9, "currency": "KRW", "transfers": {transfer.id: transfer_digest(transfer)}}
        record(tx, deed(world), "programme.funded", "call", data=data)

    world.store.transact(fund)
    seal(world)
    assert [(f.kind, f.subject) for f in books(world)] == [("amount_differs", "call")]


def deed(world: World) -> Deed:
    return world.controller.deed("somebody")


def set_aside(tx: Tx, kind: type[Any], **where: Any) -> Any:
    return min(tx.find(kind, where), key=lambda row: row.id)


def tampered(world: World, change: Callable[[Tx], str], look: Callable[[World], list[Finding]]) -> tuple[str, list[Finding]]:
    """What is found after a change, which is then taken back."""
    kinds = (Attempt, Award, Policy, Programme, Grant, Credential, Actor, Plane)
    before = world.store.read(lambda r: {kind: {row.id: row for row in r.find(kind)} for kind in kinds})
    subject = world.store.transact(change)
    found = look(world)

    def undo(tx: Tx) -> None:
        for kind, rows in before.items():
            for row in tx.find(kind):
                tx.delete(kind, row.id)
            for row in rows.values():
                tx.insert(row)

    world.store.transact(undo)
    return subject, found


ENDED = {
    "run_ms": lambda a: replace(a, evidence=replace(a.evidence, run_ms=a.evidence.run_ms + 1)),
    "exit_code": lambda a: replace(a, evidence=replace(a.evidence, exit_code=77)),
    "evidence": lambda a: replace(a, evidence=replace(a.evidence, cpu_ms=a.evidence.cpu_ms + 1)),
    "energy_mwh": lambda a: replace(a, energy_mwh=a.energy_mwh + 1),
    "energy_basis": lambda a: replace(a, energy_basis="measured"),
    "outcome": lambda a: replace(a, outcome=Outcome.LOST),
    "ended_ms": lambda a: replace(a, ended_ms=a.ended_ms + 1),
    "accelerator": lambda a: replace(a, accelerator="a100"),
    "devices": lambda a: replace(a, workers=tuple(replace(w, devices=w.devices[1:]) for w in a.workers)),
    "nodes": lambda a: replace(a, workers=tuple(replace(w, node="north/other") for w in a.workers)),
    "limit_ms": lambda a: replace(a, limit_ms=a.limit_ms + 1),
    "workload": lambda a: replace(a, workload="wl_other"),
    "policy_version": lambda a: replace(a, policy_version=9),
}


@pytest.mark.parametrize("field", ENDED)
def test_what_the_end_of_an_attempt_told_is_held_against_its_row(whole: World, field: str) -> None:
    assert books(whole) == []

    def change(tx: Tx) -> str:
        attempt = min((a for a in tx.find(Attempt) if a.settled), key=lambda a: a.id)
        tx.update(ENDED[field](attempt))
        return str(attempt.id)

    attempt, found = tampered(whole, change, books)
    assert ("altered", attempt, field) in [(f.kind, f.subject, f.facts.get("field")) for f in found]


def reopen(tx: Tx) -> str:
    award = set_aside(tx, Award, expired=True)
    tx.update(replace(award, expired=False))
    return str(award.id)


def enlarge(tx: Tx) -> str:
    programme = set_aside(tx, Programme)
    tx.update(replace(programme, ends_ms=programme.ends_ms + 1))
    return str(programme.id)


def gone(tx: Tx) -> str:
    award = set_aside(tx, Award)
    tx.delete(Award, award.id)
    return str(award.id)


@pytest.mark.parametrize(
    ("change", "kind", "field"), [(reopen, "altered", "expired"), (enlarge, "altered", "ends_ms"), (gone, "missing", None)]
)
def test_awards_and_programmes_are_what_was_told_of_them(
    whole: World, change: Callable[[Tx], str], kind: str, field: str
) -> None:
    subject, found = tampered(whole, change, books)
    assert (kind, subject, field) in [(f.kind, f.subject, f.facts.get("field")) for f in found]


# -- who may do what --------------------------------------------------------------------------------------------------


def promoted(tx: Tx) -> str:
    actor = set_aside(tx, Actor)
    tx.insert(Grant(id=f"{actor.id}:auditor:*", actor=actor.id, role=Role.AUDITOR))
    return f"{actor.id}:auditor:*"


def disguised(tx: Tx) -> str:
    """The row has the name of a grant that was made, and says something else."""
    grant = set_aside(tx, Grant)
    tx.update(replace(grant, role=Role.OFFICER))
    return str(grant.id)


def demoted(tx: Tx) -> str:
    grant = set_aside(tx, Grant)
    tx.delete(Grant, grant.id)
    return str(grant.id)


def minted(tx: Tx) -> str:
    tx.insert(Credential(id="mine", actor=set_aside(tx, Actor).id, digest=tenancy.token_digest("mine")))
    return "mine"


def exchanged(tx: Tx) -> str:
    """An administrator's token has another secret now."""
    token = set_aside(tx, Credential)
    tx.update(replace(token, digest=tenancy.token_digest("mine")))
    return str(token.id)


def prolonged(tx: Tx) -> str:
    token = set_aside(tx, Credential)
    tx.update(replace(token, expires_ms=LATER_MS))
    return str(token.id)


def handed_over(tx: Tx) -> str:
    token = set_aside(tx, Credential)
    tx.update(replace(token, actor="actor_other"))
    return str(token.id)


def stranger(tx: Tx) -> str:
    tx.insert(Actor(id="actor_x"))
    return "actor_x"


def locked_out(tx: Tx) -> str:
    actor = set_aside(tx, Actor)
    tx.update(replace(actor, disabled=True))
    return str(actor.id)


def other_key(tx: Tx) -> str:
    plane = set_aside(tx, Plane)
    tx.update(replace(plane, public_key="ab" * 32))
    return "plane"


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        (promoted, "unrecorded", None), (disguised, "altered", "role"), (demoted, "missing", None), (minted, "unrecorded", None),
        (exchanged, "altered", "fingerprint"), (prolonged, "altered", "expires_ms"), (handed_over, "altered", "actor"),
        (stranger, "unrecorded", None), (locked_out, "altered", "disabled"), (other_key, "altered", "public_key"),
    ],
)  # fmt: skip
def test_who_may_do_what_is_what_the_chain_says(whole: World, change: Callable[[Tx], str], kind: str, field: str) -> None:
    assert access(whole) == []
    subject, found = tampered(whole, change, access)
    assert [(f.kind, f.subject, f.facts.get("field")) for f in found] == [(kind, subject, field)]


def test_roles_and_tokens_that_come_and_go_by_command_are_in_order(world: World) -> None:
    def live(tx: Tx) -> str:
        actor = tenancy.create_actor(tx, deed(world), name="Kim", grants=[(Role.MEMBER, "lab")])
        assert isinstance(actor, Actor)
        tenancy.revoke_grant(tx, deed(world), grant=f"{actor.id}:member:lab")
        tenancy.grant(tx, deed(world), actor=actor.id, role=Role.MEMBER, scope="lab")
        tenancy.create_token(tx, deed(world), actor=actor.id, expires_ms=LATER_MS)
        tenancy.erase_person(tx, deed(world), actor=actor.id)
        return actor.id

    actor = world.store.transact(live)
    assert access(world) == [], "unsealed"
    world.settle()
    assert access(world) == [], "sealed"

    def revive(tx: Tx) -> str:
        (token,) = tx.find(Credential, {"actor": actor})
        tx.update(replace(token, revoked_ms=0))
        return str(token.id)

    token = world.store.transact(revive)
    assert [(f.subject, f.facts["field"]) for f in access(world)] == [(token, "revoked_ms")]


def test_events_tell_neither_names_nor_secrets(whole: World) -> None:
    rows = whole.store.read(lambda r: r.find(Credential))
    said = str([e.data for e in whole.store.read(lambda r: r.find(Event))])
    assert rows and all(row.digest not in said for row in rows)
