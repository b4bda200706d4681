"""Server-sent events: framing, keep-alive comments, a bound on how many are open and for how long."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from pydantic_core import to_json
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

KEEP_ALIVE = b": still here\n\n"
# For openapi.json: what one event is; `data` is JSON.
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "server-sent events",
        "content": {
            "text/event-stream": {
                "schema": {"type": "object", "properties": {name: {"type": "string"} for name in ("event", "id", "data")}}
            }
        },
    }
}
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def frame(event: str, data: Any, id: str = "") -> bytes:
    """One event. `data` is JSON, so it has no line breaks."""
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {event}\n".encode() + b"data: " + to_json(data) + b"\n\n"


class Turnstile:
    """Counts the open streams."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0

    def full(self) -> bool:
        return self.open >= self.most


class EventStream(StreamingResponse):
    """Sends what `source` yields; closes the source when the reader goes away, so that its `finally` runs at once."""

    def __init__(self, source: AsyncGenerator[bytes, None], turnstile: Turnstile) -> None:
        super().__init__(source, media_type="text/event-stream", headers=HEADERS)
        self._source = source
        self._turnstile = turnstile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._turnstile.open += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._turnstile.open -= 1
            with contextlib.suppress(RuntimeError):  # it is being closed already
                await self._source.aclose()
