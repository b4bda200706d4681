"""Clock, entropy and link of a fake world."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from dure.controller import Controller
from dure.controller.commands import agents
from dure.controller.rules import plane_of
from dure.errors import ApiError, LinkError
from dure.model.link import Hello, HelloAnswer, LogAnswer, LogChunk, Poll, PollAnswer, Report, ReportAnswer
from dure.model.reason import Reason

A = TypeVar("A")

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, as ULIDs use it


class SimClock:
    """Stands still until it is told to move."""

    def __init__(self, now_ms: int) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms


class SeededEntropy:
    """One seed, one sequence of ids. They count, so that they sort by when they were made, also within a millisecond."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._count = 0

    def new_id(self, prefix: str, now_ms: int) -> str:
        self._count += 1
        return f"{prefix}_{_moment(now_ms)}{_block(self._count >> _BLOCK)}{_LAST[self._count & _BLOCK_MASK]}"

    def secret(self, n_bytes: int) -> str:
        return self._random.randbytes(n_bytes).hex()


def _base32(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


# Many ids are made in a moment, and a thousand with all but the last two digits alike.
_BLOCK = 10
_BLOCK_MASK = (1 << _BLOCK) - 1
_LAST = tuple(_base32(number, 2) for number in range(1 << _BLOCK))


@lru_cache(maxsize=16)
def _moment(now_ms: int) -> str:
    return _base32(now_ms, 10)


@lru_cache(maxsize=16)
def _block(number: int) -> str:
    return _base32(number, 14)


class WorldLink:
    """An agent's link to the plane, without a network: the same commands that the API calls. Faults: `down`."""

    def __init__(self, controller: Callable[[], Controller], site: str) -> None:
        self._controller = controller  # asked for at each word: a crash replaces it
        self._site = site
        self.down = False

    def hello(self, hello: Hello) -> HelloAnswer:
        plane = self._reach()
        deed = plane.deed(f"agent:{self._site}")
        return granted(plane.store.transact(lambda tx: agents.hello(tx, deed, site=self._site, hello=hello)))

    def poll(self, poll: Poll) -> PollAnswer:
        plane = self._reach()
        deed = plane.deed(f"agent:{self._site}")
        orders = granted(agents.orders(plane.store, site=self._site, poll=poll))
        plane.store.transact(lambda tx: agents.heard(tx, deed, site=self._site))
        incarnation = plane.store.read(plane_of).incarnation
        return PollAnswer(incarnation=incarnation, orders=orders)

    def report(self, report: Report) -> ReportAnswer:
        plane = self._reach()
        deed = plane.deed(f"agent:{self._site}")
        return granted(plane.store.transact(lambda tx: agents.report(tx, deed, site=self._site, report=report)))

    def send_log(self, chunk: LogChunk) -> LogAnswer:
        self._reach()
        return LogAnswer()

    def fetch_bundle(self, project: str, sha256: str, target: Path, size_max: int) -> str:
        return "bundle_missing"

    def close(self) -> None:
        self.down = True

    def _reach(self) -> Controller:
        if self.down:
            raise LinkError("the link is cut")
        return self._controller()


def granted(answer: A | Reason) -> A:
    """What the plane answers, or its refusal as a client meets it: ApiError."""
    if isinstance(answer, Reason):
        raise ApiError(409, {"title": answer.kind.value, "reason": answer.to_json()})
    return answer
