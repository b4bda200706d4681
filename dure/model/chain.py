"""Proof of a chain of events against the heads that were signed of it, incarnation by incarnation.

A restore goes on from an earlier moment and says so in an event of its own (`event.RESTORED`), the first of its incarnation. So
each incarnation's part of the chain has to agree with the heads that were signed in it, up to where the next restore went on;
what heads witnessed beyond that is gone, and that is known. Every other disagreement is a fault.

A restore excuses what it dropped, so it has to be signed with the plane's key, as a head is: who can only write to the database
cannot make one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dure.model.event import GENESIS, RESTORED, ChainFault, Event, Head, canonical, verify_chain

Signed = Callable[[bytes, str], bool]  # whether the second (hex) is the plane's signature over the first


def restored_bytes(incarnation: int, after_seq: int, after_hash: str, at_ms: int) -> bytes:
    """What a restore signs of itself: the incarnation that it begins, behind which event, and when (ms since 1970)."""
    return canonical(["dure-restored", incarnation, after_seq, after_hash, at_ms])


def believed(body: bytes, signature: str) -> bool:
    """For a proof where nobody has the key: whatever a restore carries as its signature is taken for one."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBreak:
    """Events that heads had witnessed and that a restore dropped. No fault: the restore tells of itself in the chain."""

    incarnation: int  # that the restore began
    event: str  # in which it tells of itself
    after_seq: int  # the last number that it kept
    witnessed_seq: int  # the highest number that a head had witnessed of what it dropped
    heads: int  # how many had witnessed some of it
    severity: str = "known_break"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditProof:
    """fault: the first thing that does not hold, None when all does. events: how many were hashed; heads: how many were met;
    breaks: one for each restore that dropped what a head had witnessed."""

    events: int
    heads: int
    last_seq: int
    last_hash: str
    incarnation: int  # of the last event
    fault: ChainFault | None
    breaks: tuple[KnownBreak, ...] = ()


@dataclass(frozen=True, slots=True)
class _Span:
    """The part of a chain that one incarnation sealed: what is behind `after_seq`, up to the next span."""

    incarnation: int
    after_seq: int
    event: str = ""


class ChainProver:
    """Takes sealed events in order, and at the end gives the proof. Heads are believed to be signed; restores are not.

    signed: holds the signature of a restore against the plane's key; seq, hash, incarnation: where to begin, for a part of a
    chain."""

    def __init__(
        self, heads: Iterable[Head] = (), *, signed: Signed, seq: int = 0, hash: str = GENESIS, incarnation: int = 1
    ) -> None:
        self._signed = signed
        self.seq, self.hash = seq, hash
        self.fault: ChainFault | None = None
        self._events = 0
        self._spans = [_Span(incarnation, seq)]
        self._ahead: defaultdict[int, list[Head]] = defaultdict(list)
        self._met = 0
        self._unmet: list[tuple[Head, str]] = []  # with the event that stands where the head says something else
        for head in heads:
            self._ahead[head.seq].append(head)
        self._meet("")

    @property
    def incarnation(self) -> int:
        return self._spans[-1].incarnation

    def take(self, events: Iterable[Event]) -> bool:
        """Go on with these. False once something does not hold: what follows cannot be judged any more."""
        for event in events:
            if self.fault is None:
                self.fault = verify_chain([event], self.seq, self.hash) or self._restored(event)
            if self.fault is not None:
                return False
            self.seq, self.hash = event.seq, event.hash
            self._events += 1
            self._meet(event.id)
        return self.fault is None

    def _restored(self, event: Event) -> ChainFault | None:
        """A restore begins an incarnation. What it says of where it went on has to be so, and the plane's key has to say it."""
        if event.kind != RESTORED:
            return None
        incarnation, told = event.data.get("incarnation"), (event.data.get("after_seq"), event.data.get("after_hash"))
        if not isinstance(incarnation, int) or incarnation <= self.incarnation or told != (self.seq, self.hash):
            return ChainFault(seq=event.seq, event=event.id, fault="bad_restore")
        signature = event.data.get("signature")
        body = restored_bytes(incarnation, self.seq, self.hash, event.at_ms)
        if not isinstance(signature, str) or not self._signed(body, signature):
            return ChainFault(seq=event.seq, event=event.id, fault="bad_restore")
        self._spans.append(_Span(incarnation, self.seq, event.id))
        return None

    def _meet(self, event: str) -> None:
        for head in self._ahead.pop(self.seq, ()):
            if head.hash == self.hash:
                self._met += 1
            else:
                self._unmet.append((head, event))

    def proof(self) -> AuditProof:
        """What has been proved by the events so far."""
        dropped: defaultdict[_Span, list[Head]] = defaultdict(list)
        faults = [self.fault] if self.fault is not None else []
        for head, event in self._disagreeing():
            restore = self._dropped_by(head)
            if restore is not None:
                dropped[restore].append(head)
            else:
                word = "head_beyond_end" if head.seq > self.seq else "head_mismatch"
                faults.append(ChainFault(seq=head.seq, event=event, fault=word))
        faults += _forks(head for heads in dropped.values() for head in heads)
        return AuditProof(
            events=self._events,
            heads=self._met,
            last_seq=self.seq,
            last_hash=self.hash,
            incarnation=self.incarnation,
            fault=min(faults, key=lambda f: f.seq, default=None),
            breaks=tuple(_break(restore, dropped[restore]) for restore in self._spans if restore in dropped),
        )

    def _disagreeing(self) -> Iterator[tuple[Head, str]]:
        """Heads that the chain does not bear out. Behind a fault nothing is known: neither of the heads that stand there, nor of
        incarnations that would only begin there."""
        if self.fault is None:
            yield from self._unmet
            yield from ((head, "") for heads in self._ahead.values() for head in heads)
            return
        begun = {s.incarnation for s in self._spans}
        yield from ((head, event) for head, event in self._unmet if head.incarnation in begun)

    def _dropped_by(self, head: Head) -> _Span | None:
        """The restore that left out what this head witnessed, or None when none did.

        An incarnation of which the chain holds nothing was dropped as a whole: a later restore went on from before it."""
        later = next((s for s in self._spans if s.incarnation > head.incarnation), None)
        if later is None:
            return None
        kept = any(s.incarnation == head.incarnation for s in self._spans) and head.seq <= later.after_seq
        return None if kept else later


def _break(restore: _Span, heads: list[Head]) -> KnownBreak:
    return KnownBreak(
        incarnation=restore.incarnation,
        event=restore.event,
        after_seq=restore.after_seq,
        witnessed_seq=max(h.seq for h in heads),
        heads=len(heads),
    )


def _forks(heads: Iterable[Head]) -> Iterator[ChainFault]:
    """What was dropped cannot be hashed again, but it had one history: two heads of one number must not differ."""
    said: dict[tuple[int, int], str] = {}
    for head in heads:
        if said.setdefault((head.incarnation, head.seq), head.hash) != head.hash:
            yield ChainFault(seq=head.seq, event="", fault="head_fork")
