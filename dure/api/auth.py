"""Who calls: bearer tokens `dure_<credential id>_<secret>`, of which the store knows a digest; a short memory of the answers."""

from __future__ import annotations

import hmac
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dure.access import Identity, carried
from dure.controller.commands.tenancy import token_digest
from dure.model.reason import Reason, ReasonKind
from dure.model.tenancy import Actor, Credential, Grant, Role
from dure.ports import Clock, Reader

TOKEN = re.compile(r"Bearer +dure_([0-9a-z]{1,64})_([A-Za-z0-9_-]{16,256})", re.IGNORECASE)
Read = Callable[[Callable[[Reader], "Known | None"]], Awaitable["Known | None"]]


@dataclass(frozen=True, slots=True)
class Known:
    """A credential and whom it stands for, as of `read_ms`."""

    credential: Credential
    identity: Identity
    read_ms: int


class Gate:
    """Tokens to identities. Remembers each answer for at most `keep_ms`, and at most `most` of them, on the event loop only.

    A token revoked by this process stops at once (`forget`), one revoked elsewhere within `keep_ms`."""

    def __init__(self, read: Read, clock: Clock, *, keep_ms: int, most: int) -> None:
        self._read = read
        self._clock = clock
        self._keep_ms = keep_ms
        self._most = most
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._generation = 0

    def forget(self) -> None:
        """Credentials or grants were written: everything is read anew."""
        self._generation += 1
        self._known.clear()

    async def identify(self, authorizations: Sequence[str]) -> Identity | Reason:
        """The identity behind the one Authorization header, or NOT_SIGNED_IN: of two, a proxy may mean the other."""
        found = TOKEN.fullmatch(authorizations[0].strip()) if len(authorizations) == 1 else None
        if found is None:
            return _refused("bad_format" if any(authorizations) else "missing")
        known = await self._find(found.group(1).lower())
        return _judged(known, found.group(2), self._clock.now_ms())

    async def _find(self, credential: str) -> Known | None:
        now_ms = self._clock.now_ms()
        known = self._known.get(credential)
        if known is not None and 0 <= now_ms - known.read_ms <= self._keep_ms:
            return known
        generation = self._generation
        fresh = await self._read(lambda reader: load(reader, credential, now_ms))
        if fresh is not None and generation == self._generation:
            self._known[credential] = fresh
            self._known.move_to_end(credential)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return fresh


def identity_of(reader: Reader, token: str, now_ms: int) -> Identity | Reason:
    """The identity behind a token, or NOT_SIGNED_IN."""
    found = TOKEN.fullmatch(f"Bearer {token}")
    if found is None:
        return _refused("bad_format" if token else "missing")
    return _judged(load(reader, found.group(1).lower(), now_ms), found.group(2), now_ms)


def _judged(known: Known | None, secret: str, now_ms: int) -> Identity | Reason:
    given = token_digest(secret)
    # compared also when nothing is known, so that the time taken does not tell which ids exist
    matches = hmac.compare_digest(given, known.credential.digest if known else "0" * len(given))
    return _valid(known, now_ms) if known is not None and matches else _refused("unknown")


def _valid(known: Known, now_ms: int) -> Identity | Reason:
    credential = known.credential
    if credential.revoked_ms:
        return _refused("revoked")
    if credential.expires_ms and credential.expires_ms <= now_ms:
        return _refused("expired")
    return _refused("disabled") if known.identity.disabled else known.identity


def _refused(problem: str) -> Reason:
    return Reason.of(ReasonKind.NOT_SIGNED_IN, problem=problem)


def load(reader: Reader, credential: str, now_ms: int) -> Known | None:
    """A credential with its actor and grants, or None."""
    row = reader.get(Credential, credential)
    actor = reader.get(Actor, row.actor) if row else None
    if row is None or actor is None:
        return None
    grants = carried(reader.find(Grant, {"actor": actor.id}), row.within)
    site = next((g.scope for g in grants if g.role == Role.AGENT), "")
    return Known(
        row,
        Identity(
            id=actor.id,
            disabled=actor.disabled,
            grants=grants,
            site=site,
            credential=row.id,
            expires_ms=row.expires_ms,
            within=row.within,
            made_by=row.made_by if row.within and not site else "",  # an agent's deeds are its site's, whoever made its token
        ),
        now_ms,
    )
