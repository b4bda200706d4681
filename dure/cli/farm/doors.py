"""Who may stand in the plane's doors, and for how long, before anybody has asked for a token: uvicorn bounds neither how many
connections there are, nor the time in which a request has to arrive, nor the length of its head.

A connection in which no request is under way (half a head, or an idle keep-alive) gives way to a new one when all places are
taken, the longest waiting first. So holding connections open keeps nobody out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger("dure.farm")

BACKLOG = 100  # connections that the kernel keeps, and that one turn of the loop accepts before any of them is counted
CONNECTIONS_MAX = 10_000
CONNECTIONS_MIN = 16
FILES_RESERVED = 512  # the store, archives, pipes, and three turns of BACKLOG
HEAD_S = 10.0  # in which the head of a request has to be there, from its first byte or the connection's beginning
HEAD_BYTES_MAX = 64 << 10
BODY_S = 30.0  # in which a body has to be there, and
BODY_BYTES_PER_S = 16 << 10  # a second more for every so many bytes of it that have come
FULL = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
QUIET_S = 10.0  # between two lines about the same want of the system
_WANT = "socket.accept() out of system resource"  # asyncio's words


def raise_files() -> tuple[int, int]:
    """Allow this process as many open files as it may have; the limits as they were, for its children: programs that close or
    select over every number of a file do not expect a million."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems promise more than they allow
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    return before


def places() -> int:
    """How many connections may be open, so that the store and the agent never lack a file."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(CONNECTIONS_MIN, min(CONNECTIONS_MAX, allowed - FILES_RESERVED))


class Door:
    """The places, and those who wait in them without a request, the longest waiting first."""

    def __init__(self, most: int, *, head_s: float = HEAD_S, body_s: float = BODY_S) -> None:
        self.most = most
        self.head_s = head_s
        self.body_s = body_s
        self.open = 0
        self.idle: dict[GuardedProtocol, None] = {}

    def protocol(self, **options: Any) -> GuardedProtocol:
        """What uvicorn calls for every connection."""
        return GuardedProtocol(self, **options)

    def enter(self, newcomer: GuardedProtocol) -> bool:
        """Take a place, that of the longest idle one if need be. False when every place has a request under way."""
        self.open += 1
        if self.open <= self.most:
            return True
        longest = next((p for p in self.idle if not p.transport.is_closing()), None)
        if longest is None or longest is newcomer:
            return False
        del self.idle[longest]
        longest.transport.abort()
        return True

    def leave(self, gone: GuardedProtocol) -> None:
        self.open -= 1
        self.idle.pop(gone, None)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a time for the head and a time for the body of every request."""

    def __init__(self, door: Door, **options: Any) -> None:
        super().__init__(**options)
        self._door = door
        self._timer: asyncio.TimerHandle | None = None
        self._heading = False  # a head is awaited, or there in part
        self._begun_s = 0.0
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self._door.enter(self):
            transport.write(FULL)
            transport.close()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._timer is None and self in self._door.idle:
            self._await_head()  # the first bytes of the next request
        self._received += len(data)
        super().data_received(data)
        if self._heading and self._received > HEAD_BYTES_MAX:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._heading, self._received = True, 0

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._door.idle.pop(self, None)
        self._heading, self._begun_s, self._received = False, self.loop.time(), 0
        self._timer = self.loop.call_later(self._door.body_s, self._body_due)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop_timer()
        super().on_message_complete()
        if self.cycle.response_complete:  # refused before the body was there: uvicorn has let go of its own timer
            self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._door.idle[self] = None
            if self._heading and self._timer is None:
                self._await_head()  # it came in part while the answer was made; otherwise uvicorn's time for keep-alive runs

    def _await_head(self) -> None:
        self._heading, self._received = True, 0
        self._door.idle.setdefault(self)
        self._timer = self.loop.call_later(self._door.head_s, self.transport.abort)

    def _body_due(self) -> None:
        """The body is not there. It goes on only while it comes fast enough."""
        left_s = self._begun_s + self._door.body_s + self._received / BODY_BYTES_PER_S - self.loop.time()
        if left_s <= 0:
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(left_s, self._body_due)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def quietly(clock_s: Callable[[], float] = time.monotonic) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """An exception handler for the loop that says once in `QUIET_S` that the system lacks files or memory: asyncio says it for
    every connection that it cannot take."""
    said_s, kept = -QUIET_S, 0

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal said_s, kept
        if context.get("message") != _WANT:
            loop.default_exception_handler(context)
            return
        kept += 1
        if clock_s() - said_s >= QUIET_S:
            logger.error("connections cannot be taken: %s (%d times)", context.get("exception"), kept)
            said_s, kept = clock_s(), 0

    return handle
