"""Small records of the plane's own housekeeping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dure.model.event import GENESIS, NO_HEAD, Head


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """The one row that says which plane this is. id is "plane"."""

    id: str = "plane"
    incarnation: int = 1  # raised by every restore
    leader_epoch: int = 0  # raised whenever a controller takes the lead; fences every write of an older one
    sealed_seq: int = 0
    sealed_hash: str = GENESIS
    head: Head = NO_HEAD  # signed in the transaction that sealed last; what is sealed next has to extend it
    public_key: str = ""  # Ed25519, hex; the private half is a file
    draining: bool = False  # nothing new is started anywhere
    created_ms: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """The answer to a write, kept so that the same request gets it again. id is "ACTOR:KEY"."""

    id: str
    request: str  # digest of method, path and body
    status: int
    answer: Mapping[str, Any] = field(default_factory=dict)
    at_ms: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A code archive (tar.gz) by content hash. The bytes are in the blob folder."""

    id: str  # "PROJECT:SHA256": what one tenant uploads is not visible to another
    project: str
    sha256: str
    size: int
    created_ms: int = 0
    used_ms: int = 0  # when it was last uploaded or named by a submission, to the day; 0: not since it was created
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitNote:
    """Why a waiting workload waits, as of the last plan in which the answer changed. Same id as the workload."""

    id: str
    project: str
    reason: Mapping[str, Any] = field(default_factory=dict)
    promised_ms: int = 0  # start that rests on limits; 0 when none is promised
    at_ms: int = 0
    version: int = 1
