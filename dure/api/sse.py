"""Server-sent events: framing, keep-alive comments, a bound on how many are open and for how long."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
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
    """Counts the open streams, of each actor and in all."""

    def __init__(self, most: int, per_actor_max: int) -> None:
        self.most = most
        self.per_actor_max = per_actor_max
        self.open = 0
        self._of: Counter[str] = Counter()

    def full(self, actor: str) -> bool:
        """Whether `actor` may open no further stream now."""
        return self.open >= self.most or self._of[actor] >= self.per_actor_max

    @contextlib.contextmanager
    def passing(self, actor: str) -> Iterator[None]:
        self.open += 1
        self._of[actor] += 1
        try:
            yield
        finally:
            self.open -= 1
            self._of[actor] -= 1
            self._of += Counter()  # drops who has none left


class EventStream(StreamingResponse):
    """Sends what `source` yields; closes the source when the reader goes away, so that its `finally` runs at once."""

    def __init__(self, source: AsyncGenerator[bytes, None], turnstile: Turnstile, actor: str) -> None:
        super().__init__(source, media_type="text/event-stream", headers=HEADERS)
        self._source = source
        self._turnstile = turnstile
        self._actor = actor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._turnstile.passing(self._actor):
            try:
                await super().__call__(scope, receive, send)
            finally:
                with contextlib.suppress(RuntimeError):  # it is being closed already
                    await self._source.aclose()
