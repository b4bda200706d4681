"""Questions go behind steps: they plan as much as a step does, on other threads of one interpreter."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Courtesy:
    """A step says when it is under way; a question looks up now and then, and lets it end first, `wait_ms` at most each time, so
    that it gets on even where one step follows the other."""

    def __init__(self, wait_ms: int) -> None:
        self._wait_ms = wait_ms
        self._idle = threading.Event()
        self._idle.set()

    @contextmanager
    def step(self) -> Iterator[None]:
        self._idle.clear()
        try:
            yield
        finally:
            self._idle.set()

    def pace(self) -> None:
        self._idle.wait(self._wait_ms / 1000)
