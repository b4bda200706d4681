"""Proof of the event chain without trusting the plane: its events are fetched, hashed again, and held against signed heads.

An auditor keeps heads (or gets them from the sites' agents, in whose journals the plane cannot write) and the plane's public
key; whoever has these learns of every change, removal or reordering of what stood before a head."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dure.client.client import DureClient
from dure.client.transport import Plain
from dure.model.codec import from_plain
from dure.model.event import GENESIS, ChainFault, Event, Head, head_bytes, verify_chain


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditProof:
    """fault: the first thing that does not hold, None when all does. events: how many were hashed; heads: how many were met."""

    events: int
    heads: int
    last_seq: int
    last_hash: str
    fault: ChainFault | None


def prove(client: DureClient, heads: Iterable[Head] = (), *, public_key: str = "") -> AuditProof:
    """Fetch the whole chain and prove it. heads: kept ones; the plane's own present head is added.

    public_key: Ed25519, hex, known from elsewhere; "": the key that the first head names is believed."""
    own = client.audit_head()
    kept = [*heads, *([from_plain(Head, own)] if own else [])]
    return prove_events(client.events(), kept, public_key=public_key)


def prove_events(events: Iterable[Plain], heads: Sequence[Head], *, public_key: str = "") -> AuditProof:
    """As `prove`, on events that have been fetched already."""
    key = public_key or (heads[0].key if heads else "")
    forged = next((h for h in heads if not signed_by(h, key)), None)
    if forged is not None:
        fault = ChainFault(seq=forged.seq, event="", fault="bad_signature")
        return AuditProof(events=0, heads=0, last_seq=0, last_hash=GENESIS, fault=fault)
    return _walk(events, sorted(heads, key=lambda h: h.seq))


def _walk(events: Iterable[Plain], heads: Sequence[Head]) -> AuditProof:
    seq, hash_, met = 0, GENESIS, sum(1 for h in heads if h.seq == 0 and h.hash == GENESIS)
    by_seq: defaultdict[int, list[Head]] = defaultdict(list)
    for head in heads:
        by_seq[head.seq].append(head)
    for plain in events:
        event = from_plain(Event, plain)
        fault = verify_chain([event], seq, hash_)
        if fault is not None:
            return AuditProof(events=seq, heads=met, last_seq=seq, last_hash=hash_, fault=fault)
        seq, hash_ = event.seq, event.hash
        for head in by_seq[seq]:
            if head.hash != hash_:
                fault = ChainFault(seq=seq, event=event.id, fault="head_mismatch")
                return AuditProof(events=seq, heads=met, last_seq=seq, last_hash=hash_, fault=fault)
            met += 1
    beyond = next((h for h in heads if h.seq > seq), None)
    fault = ChainFault(seq=beyond.seq, event="", fault="head_beyond_end") if beyond else None
    return AuditProof(events=seq, heads=met, last_seq=seq, last_hash=hash_, fault=fault)


def signed_by(head: Head, public_key: str) -> bool:
    """Whether `head` carries a valid signature by this key (Ed25519, hex)."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(head.signature), head_bytes(head.seq, head.hash, head.at_ms, head.incarnation))
    except (ValueError, InvalidSignature):
        return False
    return True
