"""Wakes everything on the event loop that waits for "something changed": long polls and streams."""

from __future__ import annotations

import asyncio
import contextlib


class Changes:
    """`fire` may be called from any thread; everything else only on the loop that `bind` was called on.

    To miss nothing: take `mark()`, look at the state, then `wait(mark, …)`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()
        self._scheduled = False
        self.closing = False

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def fire(self) -> None:
        """Wake all who wait. Many calls before the loop gets to it are one."""
        loop = self._loop
        if loop is None or self._scheduled:
            return
        self._scheduled = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """End every stream and long poll at once; safe from any thread."""
        self.closing = True
        self._scheduled = False
        self.fire()

    def mark(self) -> asyncio.Event:
        return self._event

    async def wait(self, mark: asyncio.Event, timeout_ms: int) -> bool:
        """True when something changed since `mark` was taken; False when `timeout_ms` passed or the API is closing."""
        if self.closing:
            return False
        try:
            await asyncio.wait_for(mark.wait(), timeout_ms / 1000)
        except TimeoutError:
            return False
        return not self.closing

    async def calm(self, ms: int) -> None:
        """Let more changes gather, unless the API is closing."""
        if not self.closing:
            await asyncio.sleep(ms / 1000)

    def _wake(self) -> None:
        self._scheduled = False
        event, self._event = self._event, asyncio.Event()
        event.set()
