"""Sealing: the leader gives the events of the last moments their numbers and their place in the hash chain, and signs its head.

The head stands in the plane's row, signed in the same transaction. Before anything is put behind it, the stored chain is held
against it: whoever edits the database can neither have a rewritten past signed nor have it grow. Then nothing is sealed any more
(`ChainContradicted`), until the database is what was signed again; what happens meanwhile is kept, unsealed. Nor is an unsealed
event sealed that no command of this plane can have written (`forms`): it has to go first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dure.controller.forms import forged
from dure.controller.rules import plane_of
from dure.errors import ChainContradicted
from dure.model.chain import ChainProver
from dure.model.codec import changed
from dure.model.event import NO_HEAD, RESTORED, ChainFault, Event, Head, head_bytes, seal
from dure.model.records import Plane
from dure.ports import Reader, Store, Tx

SEALED_AT_ONCE = 500  # events in one transaction, so that none grows without bound
EVENTS_AT_ONCE = 1000  # read at once, where many are

Sign = Callable[[bytes], str]  # Ed25519 signature, hex


@dataclass(frozen=True, slots=True)
class Signer:
    """The plane's key. Ed25519 is deterministic, so whoever can sign can also tell whether a signature is its own."""

    sign: Sign
    public_key: str  # hex

    def head(self, plane: Plane, now_ms: int) -> Head:
        body = head_bytes(plane.sealed_seq, plane.sealed_hash, now_ms, plane.incarnation)
        return Head(
            seq=plane.sealed_seq,
            hash=plane.sealed_hash,
            at_ms=now_ms,
            incarnation=plane.incarnation,
            signature=self.sign(body),
            key=self.public_key,
        )

    def signed(self, head: Head) -> bool:
        """Whether this head is one of this plane's."""
        return head.key == self.public_key and self.made(
            head_bytes(head.seq, head.hash, head.at_ms, head.incarnation), head.signature
        )

    def made(self, body: bytes, signature: str) -> bool:
        """Whether this is the plane's signature over `body`."""
        return signature == self.sign(body)


def _nobody(sealed: Sequence[Event]) -> None:
    """Who does not listen."""


class Sealer:
    """Seals for one process, and remembers how far it has come: a database that went back in time is no chain that goes on."""

    def __init__(self, signer: Signer) -> None:
        self.signer = signer
        self._last = Plane()  # as this process saw it last, when its chain was in order

    def seal(self, store: Store, epoch: int, now_ms: int, hear: Callable[[Sequence[Event]], None] = _nobody) -> int:
        """Seal everything that is unsealed; how many there were. hear: told of them once they are stored. Raises StaleLeader when
        another controller leads, ChainContradicted when what is stored is not what was signed."""
        total = 0
        while True:
            self._last, sealed = store.transact(lambda tx: self._seal_some(tx, now_ms), fence=epoch)
            hear(sealed)
            total += len(sealed)
            if len(sealed) < SEALED_AT_ONCE:
                return total

    def _seal_some(self, tx: Tx, now_ms: int) -> tuple[Plane, tuple[Event, ...]]:
        # by id: ids sort by time, and within one process exactly in the order in which they were made
        fresh = tx.find(Event, {"seq": 0}, limit=SEALED_AT_ONCE)
        plane = plane_of(tx)
        if not fresh and _chain_of(plane) == _chain_of(self._last):
            return plane, ()
        fault = contradiction(tx, plane, self.signer, self._last.head) or forged(tx, plane, fresh)
        if fault is not None:
            raise ChainContradicted(fault.seq, fault.fault, fault.event)
        if not fresh and plane.head.seq == plane.sealed_seq:
            return plane, ()
        sealed = seal(plane.sealed_seq, plane.sealed_hash, fresh)
        for before, after in zip(fresh, sealed, strict=True):
            tx.update(changed(after, version=before.version))
        if sealed:
            plane = changed(plane, sealed_seq=sealed[-1].seq, sealed_hash=sealed[-1].hash)
        return tx.update(changed(plane, head=self.signer.head(plane, now_ms))), sealed


def _chain_of(plane: Plane) -> tuple[object, ...]:
    return plane.head, plane.sealed_seq, plane.sealed_hash, plane.incarnation


def contradiction(reader: Reader, plane: Plane, signer: Signer, known: Head = NO_HEAD) -> ChainFault | None:
    """Why the stored chain does not extend the head in the plane's row, or None when it does.

    known: a head of which is known that it was signed; the stored one must not be older, unless a restore went back behind it.
    Events before the head are not read: their hashes are in its own. Sealing signs, so behind it may stand only what restores
    left, and that is signed too."""
    if plane.head == NO_HEAD:
        # an empty chain, or nothing but what restores said of themselves
        return _onwards(reader, plane, ChainProver(signed=signer.made), "no_head")
    if not signer.signed(plane.head):
        return ChainFault(seq=plane.head.seq, event="", fault="bad_signature")
    fault = _extends(reader, plane, plane.head, signer)
    if fault is None and plane.incarnation <= known.incarnation and plane.head.seq < known.seq:
        return ChainFault(seq=known.seq, event="", fault="rolled_back")
    return fault


def _extends(reader: Reader, plane: Plane, head: Head, signer: Signer) -> ChainFault | None:
    stands = reader.find(Event, {"seq": [head.seq]})
    if not stands or head.seq > plane.sealed_seq:
        return ChainFault(seq=head.seq, event="", fault="head_beyond_end")
    if stands[0].hash != head.hash:
        return ChainFault(seq=head.seq, event=stands[0].id, fault="head_mismatch")
    prover = ChainProver(signed=signer.made, seq=head.seq, hash=head.hash, incarnation=head.incarnation)
    return _onwards(reader, plane, prover, "unsigned")


def _onwards(reader: Reader, plane: Plane, prover: ChainProver, unsigned: str) -> ChainFault | None:
    """What does not hold behind where the prover stands. unsigned: what to call an event there that no restore left."""
    for event in (e for events in sealed_events(reader, after=prover.seq) for e in events):
        if event.kind != RESTORED:
            return ChainFault(seq=event.seq, event=event.id, fault=unsigned)
        if not prover.take([event]):
            return prover.fault
    return row_fault(plane, prover)


def row_fault(plane: Plane, prover: ChainProver) -> ChainFault | None:
    """What the plane's own row says of the chain's end, held against the chain."""
    if prover.seq != plane.sealed_seq:
        return ChainFault(seq=prover.seq + 1, event="", fault="gap")
    if prover.hash != plane.sealed_hash:
        return ChainFault(seq=prover.seq, event="", fault="head_mismatch")
    if prover.incarnation != plane.incarnation:
        return ChainFault(seq=prover.seq, event="", fault="wrong_incarnation")
    return None


def sealed_events(reader: Reader, after: int = 0) -> Iterator[list[Event]]:
    """The sealed events behind a number, in order, some at a time. Ends at the first number that is missing."""
    last, seq = plane_of(reader).sealed_seq, after
    while seq < last:
        numbers = list(range(seq + 1, min(last, seq + EVENTS_AT_ONCE) + 1))
        events = reader.find(Event, {"seq": numbers}, order="seq")
        yield events
        if len(events) < len(numbers):
            return
        seq = numbers[-1]
