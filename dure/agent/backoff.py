"""How long to pause after a fault."""

from __future__ import annotations

import hashlib

from dure.ports import Entropy


class Backoff:
    """Pauses that double from `first_ms` to `max_ms`, each drawn from its upper half, so that a thousand agents whose
    plane comes back do not all call in the same instant."""

    def __init__(self, entropy: Entropy, first_ms: int, max_ms: int) -> None:
        self._entropy = entropy
        self._first_ms = first_ms
        self._max_ms = max_ms
        self._next_ms = first_ms

    @property
    def failing(self) -> bool:
        return self._next_ms > self._first_ms

    def next_ms(self) -> int:
        pause, self._next_ms = self._next_ms, min(self._next_ms * 2, max(self._max_ms, self._first_ms + 1))
        drawn = int.from_bytes(hashlib.sha256(self._entropy.secret(8).encode()).digest()[:4], "big")
        return pause // 2 + drawn % (pause - pause // 2 + 1)

    def reset(self) -> None:
        self._next_ms = self._first_ms


def doubled_ms(first_ms: int, max_ms: int, tries: int) -> int:
    """Pause after the given number of tries, without chance: for what one agent repeats alone."""
    return min(first_ms << min(tries, 16), max_ms)
