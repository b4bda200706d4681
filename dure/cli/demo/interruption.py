"""Ctrl-C and SIGTERM while the demo runs: noted at once, obeyed where nothing is half done.

An exception that a signal handler raises comes out of any line: it can leave a lock of some library held for ever, or be lost in
a finalizer. The demo promises that it leaves nothing behind, so it does not depend on luck.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOK_S = 0.1


class Interruption:
    """Around the whole demo, in its main thread. The first signal is obeyed at the next `check` or `pause`, a second one on the
    spot, for somebody to whom that takes too long; none any more once `cleaning` was called: what is begun there is bounded."""

    def __init__(self) -> None:
        self._asked = self._cleaning = (
            False  # no threading.Event: a handler that takes a lock may find it held by what it interrupts
        )
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again, self._asked = self._asked, True
        if again and not self._cleaning:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raises KeyboardInterrupt, in the main thread, when a signal came."""
        if self._asked and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt

    def pause(self, seconds: float) -> None:
        """Sleep, unless a signal came or comes: then as `check`."""
        deadline_s = time.monotonic() + seconds
        self.check()
        while (left_s := deadline_s - time.monotonic()) > 0:
            time.sleep(min(left_s, LOOK_S))
            self.check()

    def cleaning(self) -> None:
        """From now on nothing is interrupted."""
        self._cleaning = True
