"""The plane signs nothing but what extends the head that it signed last: a rewritten past is refused, and nothing lost."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from dure.controller import Controller, Deed, found, verify_audit
from dure.controller.commands.tenancy import create_organisation
from dure.controller.sealer import Sealer, Signer
from dure.errors import ChainContradicted
from dure.model.chain import ChainProver, restored_bytes
from dure.model.event import GENESIS, NO_HEAD, RESTORED, ChainFault, Event, Head, seal
from dure.model.policy import Policy
from dure.model.records import Plane
from dure.ports import Tx
from dure.simulator.fakes import SeededEntropy, SimClock
from dure.store.memory import MemoryStore

NOW_MS = 1_700_000_000_000


def sign(body: bytes) -> str:
    """As deterministic as Ed25519, and as little to be guessed."""
    return hashlib.sha256(b"the secret key" + body).hexdigest()


class Bench:
    def __init__(self) -> None:
        self.store, self.clock, self.entropy = MemoryStore(), SimClock(NOW_MS), SeededEntropy()
        deed = Deed(actor="test", now_ms=NOW_MS, entropy=self.entropy)
        self.store.transact(lambda tx: found(tx, deed, policy=Policy(), public_key="key"))
        self.controller = self.another()

    def another(self) -> Controller:
        return Controller(self.store, self.clock, self.entropy, sign, "key")

    def happen(self, id: str) -> None:
        """Something that leaves an event."""
        deed = self.controller.deed("somebody")
        self.store.transact(lambda tx: create_organisation(tx, deed, id=id, name=id, kind="sme"))

    def step(self) -> bool:
        self.clock.ms += 2_000
        return self.controller.step() is not None

    @property
    def plane(self) -> Plane:
        row = self.store.read(lambda r: r.get(Plane, "plane"))
        assert row is not None
        return row

    def chain(self) -> list[Event]:
        return sorted((e for e in self.store.read(lambda r: r.find(Event)) if e.seq), key=lambda e: e.seq)

    def unsealed(self) -> int:
        return self.store.read(lambda r: r.count(Event, {"seq": 0}))

    def tamper(self, change: Callable[[Tx, Plane], Plane]) -> None:
        plane = self.plane
        self.store.transact(lambda tx: tx.update(change(tx, plane)))


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    for id in ("a", "b", "c", "d"):
        made.happen(id)
        assert made.step()
    return made


def rewritten(tx: Tx, plane: Plane, seq: int = 3) -> Plane:
    """Whoever edits the database well: an event is changed, every hash behind it made anew, and the plane's row fits."""
    events = sorted((e for e in tx.find(Event) if e.seq), key=lambda e: e.seq)
    before, after = events[: seq - 1], events[seq - 1 :]
    forged = [replace(e, hash="", data={"forged": True} if e.seq == seq else e.data) for e in after]
    for old, new in zip(after, seal(seq - 1, before[-1].hash if before else GENESIS, forged), strict=True):
        tx.update(replace(new, version=old.version))
    return replace(plane, sealed_hash=tx.find(Event, {"seq": plane.sealed_seq})[0].hash)


def with_its_head(tx: Tx, plane: Plane) -> Plane:
    """As `rewritten`, and the head says so too; but nobody without the key can sign it."""
    forged = rewritten(tx, plane)
    return replace(forged, head=replace(forged.head, hash=forged.sealed_hash))


def without_head(tx: Tx, plane: Plane) -> Plane:
    return replace(rewritten(tx, plane), head=NO_HEAD)


def cut(tx: Tx, plane: Plane) -> Plane:
    """The last event is gone, and the plane's row says that it never was."""
    (gone,) = tx.find(Event, {"seq": plane.sealed_seq})
    (before,) = tx.find(Event, {"seq": plane.sealed_seq - 1})
    tx.delete(Event, gone.id)
    return replace(plane, sealed_seq=before.seq, sealed_hash=before.hash)


def by_hand(seq: int, hash: str, kind: str, signature: str = "") -> Event:
    """A sealed event that says what a restore of incarnation 2 would say."""
    data = {"incarnation": 2, "after_seq": seq, "after_hash": hash, "signature": signature}
    (told,) = seal(seq, hash, [Event(id="by_hand", at_ms=NOW_MS, actor="restore", kind=kind, subject="plane", data=data)])
    return told


def went_back(tx: Tx, plane: Plane, told: Event, head: Head) -> Plane:
    """`told` is put in the place of everything behind the event that it follows, and `head` is said to be the last one signed."""
    for event in tx.find(Event):
        if event.seq >= told.seq:
            tx.delete(Event, event.id)
    tx.insert(told)
    incarnation = 2 if told.kind == RESTORED else plane.incarnation
    return replace(plane, sealed_seq=told.seq, sealed_hash=told.hash, incarnation=incarnation, head=head)


def added(tx: Tx, plane: Plane) -> Plane:
    """An event is sealed by hand behind the signed head, and the plane's row fits."""
    return went_back(tx, plane, by_hand(plane.sealed_seq, plane.sealed_hash, "award.made"), plane.head)


def called_a_restore(tx: Tx, plane: Plane) -> Plane:
    return went_back(tx, plane, by_hand(plane.sealed_seq, plane.sealed_hash, RESTORED, "f" * 64), plane.head)


def other_incarnation(tx: Tx, plane: Plane) -> Plane:
    return replace(plane, incarnation=plane.incarnation + 1)


def of_another_key(tx: Tx, plane: Plane) -> Plane:
    return replace(plane, head=replace(plane.head, key="another"))


def sealed_by_hand(tx: Tx, plane: Plane) -> Plane:
    return replace(plane, sealed_hash="0" * 64)


def numbered_by_hand(tx: Tx, plane: Plane) -> Plane:
    return replace(plane, sealed_seq=plane.sealed_seq + 3)


TAMPERED = [
    (rewritten, "head_mismatch"), (with_its_head, "bad_signature"), (without_head, "no_head"), (cut, "head_beyond_end"),
    (other_incarnation, "wrong_incarnation"), (of_another_key, "bad_signature"), (sealed_by_hand, "head_mismatch"),
    (numbered_by_hand, "gap"), (added, "unsigned"), (called_a_restore, "bad_restore"),
]  # fmt: skip


@pytest.mark.parametrize("fresh", [False, True], ids=["running", "started anew"])
@pytest.mark.parametrize(("change", "fault"), TAMPERED)
def test_a_rewritten_past_is_not_signed(
    bench: Bench, change: Callable[[Tx, Plane], Plane], fault: str, fresh: bool, caplog: pytest.LogCaptureFixture
) -> None:
    signed = bench.controller.head()
    if fresh:
        bench.controller = bench.another()
    bench.tamper(change)
    rows = bench.store.read(lambda r: (r.find(Event), r.get(Plane, "plane")))
    with caplog.at_level(logging.ERROR):
        assert not bench.step()
        assert not bench.step()
    assert bench.controller.contradiction is not None and bench.controller.contradiction.fault == fault
    assert [r.levelname for r in caplog.records] == ["ERROR"], "told once"
    assert fault in caplog.text and "nothing is sealed" in caplog.text
    bench.happen("later")
    assert not bench.step()
    assert bench.unsealed() == 1, "what happens meanwhile is kept"
    events, plane = rows
    assert bench.chain() == sorted((e for e in events if e.seq), key=lambda e: e.seq)
    assert plane is not None and bench.plane.head == plane.head
    assert bench.controller.head() in (signed, None)


@pytest.mark.parametrize(("change", "fault"), TAMPERED)
def test_the_planes_own_proof_names_it(bench: Bench, change: Callable[[Tx, Plane], Plane], fault: str) -> None:
    assert bench.store.read(lambda r: verify_audit(r, bench.controller.sealer.signer)).fault is None
    bench.tamper(change)
    told = bench.store.read(lambda r: verify_audit(r, bench.controller.sealer.signer)).fault
    assert told is not None and told.fault in (fault, "head_mismatch")


def test_sealing_goes_on_where_it_stopped_once_the_database_is_as_it_was(bench: Bench) -> None:
    before = bench.store.read(lambda r: (r.find(Event), r.get(Plane, "plane")))
    bench.tamper(rewritten)
    bench.happen("later")
    assert not bench.step()

    def repair(tx: Tx) -> None:
        events, plane = before
        for event in events:
            stored = tx.get(Event, event.id)
            assert stored is not None and plane is not None
            tx.update(replace(event, version=stored.version))
        tx.update(replace(plane, version=bench.plane.version))

    bench.store.transact(repair)
    assert bench.step()
    assert (bench.controller.contradiction, bench.unsealed()) == (None, 0)
    assert verified(bench) is None


def verified(bench: Bench) -> object:
    return bench.store.read(lambda r: verify_audit(r, bench.controller.sealer.signer)).fault


def test_a_database_that_went_back_in_time_is_noticed_by_who_saw_it_later(bench: Bench) -> None:
    """A consistent old copy carries a genuine old head: nothing in it is wrong but its age."""
    late = bench.controller.sealer
    old_row, old_events = bench.plane, {e.id: e for e in bench.chain()}
    bench.happen("e")
    assert bench.step()

    def back(tx: Tx, plane: Plane) -> Plane:
        for event in tx.find(Event):
            if event.id not in old_events:
                tx.delete(Event, event.id)
        return replace(old_row, version=plane.version)

    bench.tamper(back)
    epoch = bench.controller.epoch
    with pytest.raises(ChainContradicted, match="rolled_back"):
        late.seal(bench.store, epoch, NOW_MS)
    known = bench.controller.head()
    assert known is not None
    fault = bench.store.read(lambda r: verify_audit(r, bench.controller.sealer.signer, known)).fault
    assert fault is not None and fault.fault == "rolled_back"


@pytest.mark.parametrize("fresh", [False, True], ids=["running", "started anew"])
def test_a_tail_that_was_removed_without_the_key_is_not_excused_by_calling_it_a_restore(fresh: bool) -> None:
    """A genuine older head, and behind it a restore that nobody signed: all of it can be done with the database alone."""
    bench = Bench()
    bench.happen("a")
    assert bench.step()
    old = bench.plane.head
    bench.happen("b")
    assert bench.step()
    witnessed = bench.plane.head
    told = by_hand(old.seq, old.hash, RESTORED)
    bench.tamper(lambda tx, plane: went_back(tx, plane, told, old))
    if fresh:
        bench.controller = bench.another()
    assert not bench.step(), "nothing is put behind it"
    assert bench.plane.head == old
    made = bench.controller.sealer.signer.made
    prover = ChainProver([witnessed], signed=made)
    prover.take(bench.chain())
    assert verified(bench) == prover.proof().fault == ChainFault(seq=told.seq, event="by_hand", fault="bad_restore")
    assert prover.proof().breaks == ()


def test_what_a_restore_went_back_behind_is_no_contradiction(bench: Bench) -> None:
    """Also not to a process that saw later heads of the plane that was replaced."""
    late = bench.controller.sealer
    kept = bench.chain()[3].hash

    def restored(tx: Tx, plane: Plane) -> Plane:
        told = by_hand(4, kept, RESTORED, sign(restored_bytes(2, 4, kept, NOW_MS)))
        early = replace(plane, sealed_seq=4, sealed_hash=kept, incarnation=1)
        return went_back(tx, plane, told, Signer(sign, "key").head(early, NOW_MS))

    bench.tamper(restored)
    assert late.seal(bench.store, bench.controller.epoch, NOW_MS) == 0
    head = bench.plane.head
    assert (head.seq, head.incarnation) == (5, 2) and late.signer.signed(head), "signed although nothing was to be sealed"
    assert verified(bench) is None


def test_a_plane_that_was_restored_before_it_ever_signed_goes_on() -> None:
    bench = Bench()

    def restored(tx: Tx, plane: Plane) -> Plane:
        return went_back(tx, plane, by_hand(0, GENESIS, RESTORED, sign(restored_bytes(2, 0, GENESIS, NOW_MS))), NO_HEAD)

    bench.tamper(restored)
    assert bench.step() and verified(bench) is None
    assert bench.plane.head.incarnation == 2


def test_every_sealing_leaves_a_head_that_stands_and_the_chain_proves_all_of_them(bench: Bench) -> None:
    heads: list[Head] = [bench.plane.head]
    for n in range(5):
        bench.happen(f"more{n}")
        bench.step()
        heads.append(bench.plane.head)
    assert [h.seq for h in heads] == sorted({h.seq for h in heads})
    prover = ChainProver(heads, signed=bench.controller.sealer.signer.made)
    assert prover.take(bench.chain())
    assert prover.proof().heads == len(heads)


def test_a_controller_that_follows_gives_out_the_head_that_the_leader_signed(bench: Bench) -> None:
    follower = Controller(_Follows(bench.store), bench.clock, bench.entropy, sign, "key")
    assert follower.step() is None and follower.head() == bench.plane.head
    stranger = Controller(_Follows(bench.store), bench.clock, bench.entropy, lambda body: "", "key")
    assert stranger.step() is None and stranger.head() is None, "what is not signed by the plane's key is given to nobody"


class _Follows:
    """A store of which another process has the lead."""

    def __init__(self, store: MemoryStore) -> None:
        self.read, self.transact, self.submit, self.close = store.read, store.transact, store.submit, store.close

    def try_lead(self) -> int | None:
        return None

    def leads(self) -> bool:
        return False


def test_heads_are_given_out_at_most_once_a_second(bench: Bench) -> None:
    first = bench.controller.head()
    bench.happen("e")
    bench.clock.ms += 500
    bench.controller.step()
    assert bench.controller.head() == first != bench.plane.head
    bench.clock.ms += 1_000
    bench.controller.step()
    assert bench.controller.head() == bench.plane.head


def test_sealing_reads_and_writes_nothing_of_the_chain_while_nothing_happens(bench: Bench) -> None:
    sealer = Sealer(Signer(sign, "key"))
    epoch = bench.controller.epoch
    sealer.seal(bench.store, epoch, NOW_MS)
    version = bench.plane.version
    assert [sealer.seal(bench.store, epoch, NOW_MS) for _ in range(3)] == [0, 0, 0]
    assert bench.plane.version == version
