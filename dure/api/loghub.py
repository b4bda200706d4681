"""Carries logs from the sites to those who read them, without keeping any: readers register wants, the site's long poll takes
them along, the agent posts chunks, and its answer waits until every reader has room. All on the event loop, no locks.

Readers of the same log share one flow. It goes at the place of the one furthest behind; who already has the bytes skips them.
A reader that leaves its buffer full for too long is let go, and comes back where it was by its offset."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections import deque
from dataclasses import dataclass, field

from dure.model.link import LogAnswer, LogChunk, LogWant
from dure.model.reason import Reason, ReasonKind
from dure.ports import Clock

NOBODY = LogAnswer(offset=-1)


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a log and the offset behind them."""

    data: bytes
    after: int


@dataclass(eq=False)
class LogReader:
    """One who reads one log. `position` is where the next byte that it has not got stands."""

    key: tuple[str, int]  # attempt, worker
    position: int
    pieces: deque[Piece] = field(default_factory=deque)
    buffered: int = 0
    caught_up: bool = False  # what was printed until the site last looked is all here
    ended: bool = False  # the attempt has ended and everything is in `pieces`
    let_go: bool = False  # was too slow
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    drained: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self) -> Piece | None:
        """The next piece, or None when there is none (yet)."""
        if not self.pieces:
            self.filled.clear()
            return None
        piece = self.pieces.popleft()
        self.buffered -= len(piece.data)
        self.drained.set()
        return piece

    async def wait(self, timeout_ms: int) -> bool:
        """Whether there is something to look at within `timeout_ms`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.filled.wait(), timeout_ms / 1000)
        return self.filled.is_set()


@dataclass(eq=False)
class _Flow:
    site: str
    readers: list[LogReader] = field(default_factory=list)
    told_ms: int = -1  # when the agent was last told of, or last served, this want; -1: never


class LogHub:
    """See the module's text. buffer_max: bytes kept per reader; room_wait_ms, want_again_ms: as in ApiSettings."""

    def __init__(self, clock: Clock, *, buffer_max: int, room_wait_ms: int, want_again_ms: int) -> None:
        self._clock = clock
        self._buffer_max = buffer_max
        self._room_wait_ms = room_wait_ms
        self._want_again_ms = want_again_ms
        self._flows: dict[tuple[str, int], _Flow] = {}
        self._heard_ms: dict[str, int] = {}
        self._wake: dict[str, asyncio.Event] = {}

    # -- readers ------------------------------------------------------------------------------------------------------

    def open(self, site: str, attempt: str, worker: int, offset: int) -> LogReader:
        """Begin to read. The caller must `close` it."""
        reader = LogReader(key=(attempt, worker), position=offset)
        flow = self._flows.setdefault(reader.key, _Flow(site))
        flow.readers.append(reader)
        if len(flow.readers) == 1 or offset < min(r.position for r in flow.readers[:-1]):
            flow.told_ms = -1
        self.bell(site).set()
        return reader

    def close(self, reader: LogReader) -> None:
        flow = self._flows.get(reader.key)
        if flow is None or reader not in flow.readers:
            return
        flow.readers.remove(reader)
        reader.drained.set()
        if not flow.readers:
            del self._flows[reader.key]

    def silent_ms(self, site: str) -> int | None:
        """How long this site's agent has not called this process; None when it never has."""
        heard = self._heard_ms.get(site)
        return None if heard is None else self._clock.now_ms() - heard

    # -- the agent ----------------------------------------------------------------------------------------------------

    def heard(self, site: str) -> None:
        self._heard_ms[site] = self._clock.now_ms()

    def bell(self, site: str) -> asyncio.Event:
        """Rings when a want is new for this site."""
        return self._wake.setdefault(site, asyncio.Event())

    def wants(self, site: str) -> tuple[LogWant, ...]:
        """What the agent of this site is to be told now; each again only when it brought nothing for a while."""
        now_ms = self._clock.now_ms()
        self.bell(site).clear()
        told = []
        for (attempt, worker), flow in self._flows.items():
            if flow.site != site or (0 <= now_ms - flow.told_ms < self._want_again_ms and flow.told_ms >= 0):
                continue
            flow.told_ms = now_ms
            told.append(LogWant(attempt=attempt, worker=worker, offset=_behind(flow)))
        return tuple(told)

    async def feed(self, site: str, chunk: LogChunk) -> LogAnswer | Reason:
        """Hand a chunk to its readers and wait until they have room for the next."""
        try:
            data = base64.b64decode(chunk.data, validate=True)
        except (binascii.Error, ValueError):
            return Reason.of(ReasonKind.BAD_FIELD, field="data", problem="bad_format", example="aGVsbG8=")
        key = (chunk.attempt, chunk.worker)
        flow = self._flows.get(key)
        if flow is None or flow.site != site:
            return NOBODY
        flow.told_ms = self._clock.now_ms()
        for reader in list(flow.readers):
            _deliver(reader, chunk, data)
        await self._room(flow)
        if self._flows.get(key) is not flow:
            return NOBODY
        flow.told_ms = self._clock.now_ms()
        if all(reader.ended for reader in flow.readers):
            return NOBODY
        return LogAnswer(offset=_behind(flow))

    async def _room(self, flow: _Flow) -> None:
        """Wait until nobody's buffer is full; let go of those who stay full for `room_wait_ms`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._room_wait_ms / 1000):
                for reader in list(flow.readers):
                    while reader in flow.readers and reader.buffered >= self._buffer_max:
                        reader.drained.clear()
                        await reader.drained.wait()
        for reader in [r for r in flow.readers if r.buffered >= self._buffer_max]:
            reader.let_go = True
            reader.filled.set()
            self.close(reader)


def _behind(flow: _Flow) -> int:
    return min((r.position for r in flow.readers if not r.ended), default=0)


def _deliver(reader: LogReader, chunk: LogChunk, data: bytes) -> None:
    end = chunk.offset + len(data)
    if chunk.offset <= reader.position < end:
        fresh = data[reader.position - chunk.offset :]
        reader.pieces.append(Piece(fresh, end))
        reader.buffered += len(fresh)
        reader.position = end
    reached = reader.position >= end and chunk.offset <= reader.position
    reader.caught_up = reached and (not data or not chunk.more)
    reader.ended = reader.ended or (reached and chunk.ended)
    if reader.pieces or reader.caught_up or reader.ended:
        reader.filled.set()
