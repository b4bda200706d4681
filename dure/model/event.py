"""The record of everything that anyone or anything did, and the chain that seals it.

Events hold ids and numbers, never names, e-mails, prompts or contents of files. A writer inserts an event unsealed;
the leader gives it the next number and a hash over its predecessor's hash and its own canonical bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dure.model.codec import changed, json_writer

GENESIS = "0" * 64
EVENT_FORMAT = 1  # version of the canonical bytes; a new one never changes how old events are hashed
RESTORED = "plane.restored"  # the first event of every incarnation but the first: says from which number the chain goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    id: str
    at_ms: int
    actor: str  # actor id, or "controller", "agent:SITE", "restore"
    kind: str  # "noun.verb", such as "workload.submitted"
    subject: str  # id of what it is about
    project: str = ""
    site: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    touched: tuple[str, ...] = ()  # "Kind:id" of every record that a follower has to read again
    format: int = EVENT_FORMAT
    seq: int = 0  # 0 while unsealed
    hash: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A signed statement of where the chain stood. Kept by the agents too, out of the plane's reach."""

    seq: int
    hash: str
    at_ms: int
    incarnation: int
    signature: str  # Ed25519 over `head_bytes`, hex
    key: str  # public key, hex


NO_HEAD = Head(seq=0, hash=GENESIS, at_ms=0, incarnation=0, signature="", key="")  # nothing was ever signed


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFault:
    """The first event at which the chain does not hold. fault: gap, altered, bad_restore, unsigned (of the events themselves);
    head_mismatch, head_beyond_end, head_fork, bad_signature (of heads); no_head, rolled_back, wrong_incarnation (of the plane's
    own row); forged (of an unsealed event, with the number that it would get)."""

    seq: int
    event: str
    fault: str


_write = json_writer(json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def canonical(value: Any) -> bytes:
    """One byte string per value: JSON, keys sorted, no spaces, UTF-8."""
    return _write(value).encode()


def event_hash(previous: str, event: Event, seq: int = 0) -> str:
    """seq: the number that it gets, where it has none yet."""
    body = [event.format, seq or event.seq, event.id, event.at_ms, event.actor, event.kind, event.subject, event.project,
            event.site, dict(event.data), list(event.touched)]  # fmt: skip
    return hashlib.sha256(previous.encode() + canonical(body)).hexdigest()


def seal(previous_seq: int, previous_hash: str, events: Iterable[Event]) -> tuple[Event, ...]:
    """Number and hash events, in the order given, behind the event with `previous_seq`."""
    sealed = []
    for event in events:
        previous_seq += 1
        previous_hash = event_hash(previous_hash, event, previous_seq)
        sealed.append(changed(event, seq=previous_seq, hash=previous_hash, version=event.version + 1))
    return tuple(sealed)


def verify_chain(events: Iterable[Event], previous_seq: int = 0, previous_hash: str = GENESIS) -> ChainFault | None:
    """The first fault in a run of sealed events, or None. Events come in order of `seq`."""
    for event in events:
        if event.seq != previous_seq + 1:
            return ChainFault(seq=previous_seq + 1, event=event.id, fault="gap")
        if event_hash(previous_hash, event) != event.hash:
            return ChainFault(seq=event.seq, event=event.id, fault="altered")
        previous_seq, previous_hash = event.seq, event.hash
    return None


def head_bytes(seq: int, hash_: str, at_ms: int, incarnation: int) -> bytes:
    return canonical(["dure-head", seq, hash_, at_ms, incarnation])


def digest(value: Any) -> str:
    """Short name of a JSON-able value: 32 hex digits of SHA-256 over its canonical bytes."""
    return hashlib.sha256(canonical(value)).hexdigest()[:32]
