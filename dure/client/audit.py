"""Proof of the event chain without trusting the plane: its events are fetched, hashed again, and held against signed heads,
those of each incarnation against what that incarnation sealed (`dure.model.chain`). Heads and restores have to be signed.

An auditor keeps heads (or gets them from the sites' agents, in whose journals the plane cannot write) and the plane's public
key; whoever has these learns of every change, removal or reordering of what stood before a head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dure.client.client import DureClient
from dure.client.transport import Plain
from dure.model.chain import AuditProof, ChainProver
from dure.model.codec import from_plain
from dure.model.event import ChainFault, Event, Head, head_bytes


def prove(client: DureClient, heads: Iterable[Head] = (), *, public_key: str = "") -> AuditProof:
    """Fetch the whole chain and prove it. heads: kept ones; the plane's own present head is added.

    public_key: Ed25519, hex, known from elsewhere; "": the key that the first head names is believed."""
    own = client.audit_head()
    kept = [*heads, *([from_plain(Head, own)] if own else [])]
    return prove_events(client.events(), kept, public_key=public_key)


def prove_events(events: Iterable[Plain], heads: Sequence[Head], *, public_key: str = "") -> AuditProof:
    """As `prove`, on events that have been fetched already. With neither a key nor a head, no restore can be believed."""
    key = public_key or (heads[0].key if heads else "")
    forged = next((h for h in heads if not signed_by(h, key)), None)
    if forged is not None:
        fault = ChainFault(seq=forged.seq, event="", fault="bad_signature")
        return replace(ChainProver(signed=partial(_made_by, key)).proof(), fault=fault)
    prover = ChainProver(heads, signed=partial(_made_by, key))
    for plain in events:
        if not prover.take([from_plain(Event, plain)]):
            break
    return prover.proof()


def signed_by(head: Head, public_key: str) -> bool:
    """Whether `head` carries a valid signature by this key (Ed25519, hex)."""
    return _made_by(public_key, head_bytes(head.seq, head.hash, head.at_ms, head.incarnation), head.signature)


def _made_by(public_key: str, body: bytes, signature: str) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), body)
    except (ValueError, InvalidSignature):
        return False
    return True
