"""A growable table of integers with named columns, kept in key order: how the waiting workloads stay columnar between steps."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Key = tuple[int, str]


class SlotTable:
    """Rows of `width` int64 by id. `put` and `drop` cost O(log n) and a memory move; `take` hands out everything in key order."""

    def __init__(self, width: int, capacity: int = 256) -> None:
        self._cells: NDArray[np.int64] = np.zeros((capacity, width), dtype=np.int64)
        self._slot: dict[str, int] = {}
        self._key: dict[str, Key] = {}
        self._free = list(range(capacity - 1, -1, -1))
        self._order: list[tuple[int, str, int]] = []  # (key, id, slot), sorted

    def __len__(self) -> int:
        return len(self._slot)

    def __contains__(self, id: str) -> bool:
        return id in self._slot

    def put(self, id: str, key: int, row: Sequence[int]) -> None:
        """Insert the row, or replace the one with this id."""
        if id in self._slot:
            self.drop(id)
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self._cells[slot] = row
        self._slot[id] = slot
        self._key[id] = (key, id)
        bisect.insort(self._order, (key, id, slot))

    def drop(self, id: str) -> None:
        """Remove the row; nothing happens when there is none."""
        slot = self._slot.pop(id, None)
        if slot is None:
            return
        key = self._key.pop(id)
        del self._order[bisect.bisect_left(self._order, (*key, slot))]
        self._free.append(slot)

    def _grow(self) -> None:
        capacity = len(self._cells)
        self._cells = np.concatenate([self._cells, np.zeros_like(self._cells)])
        self._free = list(range(2 * capacity - 1, capacity - 1, -1))

    def ids(self) -> tuple[str, ...]:
        return tuple(entry[1] for entry in self._order)

    def take(self) -> NDArray[np.int64]:
        """A copy of all rows in key order, shape (n, width)."""
        slots = np.fromiter((entry[2] for entry in self._order), dtype=np.int64, count=len(self._order))
        return self._cells[slots]
