"""A table of integers with named columns, kept in key order: how the waiting workloads stay columnar between steps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

FEW = 64  # rows that go, each of which moves what stands behind it: of more it is quicker to write down who stays
Key = tuple[int, str]
I64 = NDArray[np.int64]


class SlotTable:
    """Rows of `width` int64 by id, in order of (key, id). `put` and `drop` only take note; what was noted is done at once when
    somebody looks, for as little as it takes to move the rows behind it."""

    def __init__(self, width: int) -> None:
        self._cells: I64 = np.zeros((0, width), dtype=np.int64)
        self._order: list[Key] = []  # by row,
        self._names: list[str] = []  # and the ids alone
        self._key: dict[str, int] = {}  # of every id that is in
        self._noted: dict[str, tuple[int, Sequence[int]] | None] = {}  # key and row; None: it goes
        self._ids: tuple[str, ...] | None = ()  # None: not made yet
        self.changes = 0  # how often it has changed

    def __len__(self) -> int:
        self._settle()
        return len(self._order)

    def __contains__(self, id: str) -> bool:
        return self._noted[id] is not None if id in self._noted else id in self._key

    def put(self, id: str, key: int, row: Sequence[int]) -> None:
        """Insert the row, or replace the one with this id."""
        self._noted[id] = key, row

    def drop(self, id: str) -> None:
        """Remove the row; nothing happens when there is none."""
        self._noted[id] = None

    def ids(self) -> tuple[str, ...]:
        self._settle()
        if self._ids is None:
            self._ids = tuple(self._names)
        return self._ids

    def take(self) -> I64:
        """All rows in key order, shape (n, width): not to be changed, and good until the next change."""
        self._settle()
        return self._cells

    def _settle(self) -> None:
        if not self._noted:
            return
        noted, self._noted = self._noted, {}
        self.changes += 1
        gone, fresh = [], []
        for id, told in noted.items():
            known = self._key.get(id)
            at = bisect_left(self._order, (known, id)) if known is not None else -1
            if told is not None and told[0] == known:
                self._cells[at] = told[1]
                continue
            if at >= 0:
                gone.append(at)
                del self._key[id]
            if told is not None:
                fresh.append((told[0], id, told[1]))
        self._drop(gone)
        self._add(sorted(fresh))

    def _drop(self, rows: Sequence[int]) -> None:
        if not rows:
            return
        stays = np.ones(len(self._order), np.bool_)
        stays[rows] = False
        self._cells = self._cells[stays]
        if len(rows) <= FEW:
            for row in sorted(rows, reverse=True):
                del self._order[row], self._names[row]
        else:
            which = stays.tolist()
            self._order, self._names = list(compress(self._order, which)), list(compress(self._names, which))
        self._ids = None

    def _add(self, rows: Sequence[tuple[int, str, Sequence[int]]]) -> None:
        if not rows:
            return
        at = [bisect_left(self._order, (key, id)) for key, id, _ in rows]
        cells = np.array([row for _, _, row in rows], np.int64)
        for key, id, _ in rows:
            self._key[id] = key
        if at[0] == len(self._order):
            self._cells = np.concatenate([self._cells, cells])
            self._order += [(key, id) for key, id, _ in rows]
            self._names += [id for _, id, _ in rows]
        else:
            self._cells = np.insert(self._cells, at, cells, axis=0)
            self._order = sorted([*self._order, *((key, id) for key, id, _ in rows)])
            self._names = [id for _, id in self._order]
        self._ids = None
