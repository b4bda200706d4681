"""The way of what an attempt prints to those who read it: on demand, in pieces, as fast as the slowest reader allows."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dure.agent.link import Link, is_stale
from dure.agent.settings import AgentSettings
from dure.errors import ApiError
from dure.model.link import LogChunk, LogWant
from dure.ports import Clock, LogReader

SLICE = 16  # pieces in a row of one log, so that a long one does not keep the others waiting
FAULT_PAUSE_MS = 1_000

Key = tuple[str, int]


@dataclass(slots=True)
class _Reading:
    """One worker's log on its way."""

    offset: int
    due_ms: int = 0
    sent_ms: int = 0  # when the plane was last asked whether anybody reads
    in_hand: bool = False
    at_end: bool = False  # the last read gave nothing


class LogShipper:
    """reader: None when the backend hands out no logs; then every reader is told at once that there is nothing.
    ended: whether an attempt prints nothing more. Safe from several threads; each log is in one thread's hand at a time."""

    def __init__(
        self, reader: LogReader | None, link: Link, ended: Callable[[str], bool], clock: Clock, settings: AgentSettings
    ) -> None:
        self._reader = reader
        self._link = link
        self._ended = ended
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._readings: dict[Key, _Reading] = {}

    def want(self, wants: Iterable[LogWant]) -> int:
        """Take up what is wanted; returns how much of it is new. Beyond `log_readers_max` the plane has to ask again."""
        fresh = 0
        with self._lock:
            for want in wants:
                key = (want.attempt, want.worker)
                reading = self._readings.get(key)
                if reading is None and len(self._readings) < self._settings.log_readers_max:
                    self._readings[key] = _Reading(offset=want.offset)
                    fresh += 1
                elif reading is not None and reading.at_end and not reading.in_hand and reading.offset != want.offset:
                    # A new reader from another place. While pieces are under way the plane's answers steer instead.
                    reading.offset, reading.due_ms, reading.at_end = want.offset, 0, False
                    fresh += 1
        return fresh

    def reading(self) -> bool:
        with self._lock:
            return bool(self._readings)

    def ship_one(self, epoch: int) -> int | None:
        """Send a slice of the log that has waited longest; returns the pieces sent, None when no log is due.

        epoch: of the agent's session. Raises LinkError, ApiError (EPOCH_STALE only), BackendError; the log is tried again."""
        key, reading = self._take()
        if key is None or reading is None:
            return None
        sent = 0
        try:
            while sent < SLICE and self._send_piece(epoch, key, reading):
                sent += 1
        except Exception as fault:
            if isinstance(fault, ApiError) and not is_stale(fault):
                self._drop(key)  # refused for good; whoever still reads asks again
                return sent
            self._put_back(key, reading, FAULT_PAUSE_MS)
            raise
        self._put_back(key, reading)
        return sent

    def _take(self) -> tuple[Key, _Reading] | tuple[None, None]:
        now_ms = self._clock.now_ms()
        with self._lock:
            for key, reading in self._readings.items():
                if not reading.in_hand and reading.due_ms <= now_ms:
                    reading.in_hand = True
                    return key, reading
        return None, None

    def _send_piece(self, epoch: int, key: Key, reading: _Reading) -> bool:
        """Send what comes next; False when there is nothing to send now or nobody to send it to."""
        attempt, worker = key
        ended = self._reader is None or self._ended(attempt)  # asked before the read: what is printed in between is read
        data = self._reader.read_log(attempt, worker, reading.offset, self._settings.log_chunk_bytes) if self._reader else b""
        reading.at_end = not data
        now_ms = self._clock.now_ms()
        if not data and not ended and 0 <= now_ms - reading.sent_ms < self._settings.log_keepalive_ms:
            return False
        text = base64.b64encode(data).decode()
        more = len(data) >= self._settings.log_chunk_bytes
        chunk = LogChunk(
            epoch=epoch, attempt=attempt, worker=worker, offset=reading.offset, data=text, ended=ended and not data, more=more
        )
        offset = self._link.send_log(chunk).offset
        reading.sent_ms = now_ms
        return self._steer(key, reading, chunk, offset)

    def _steer(self, key: Key, reading: _Reading, chunk: LogChunk, offset: int) -> bool:
        """Go where the plane says. True when there may be more to send at once."""
        moved_back = chunk.ended and 0 <= offset < chunk.offset  # somebody new reads an ended log from an earlier byte
        if offset < 0 or (chunk.ended and not moved_back):
            self._drop(key)
            return False
        more = bool(chunk.data) or offset != reading.offset
        reading.offset, reading.at_end = offset, not more
        return more

    def _drop(self, key: Key) -> None:
        with self._lock:
            self._readings.pop(key, None)

    def _put_back(self, key: Key, reading: _Reading, pause_ms: int = 0) -> None:
        with self._lock:
            reading.in_hand = False
            idle_ms = self._settings.log_idle_ms if reading.at_end else 0
            reading.due_ms = self._clock.now_ms() + max(pause_ms, idle_ms)
            if self._readings.pop(key, None) is not None:
                self._readings[key] = reading  # to the end of the line
