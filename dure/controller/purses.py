"""What awards may be used now and what each has left, kept from one snapshot to the next: looked at again is what has changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dure.controller.mirror import Mirror
from dure.controller.parts import I64Array, Tree, i64
from dure.ledger import available, award_account
from dure.model.funding import Award
from dure.scheduler.snapshot import FOREVER_MS


class Purses:
    """The awards of a mirror. `touch` is told of the accounts of awards that have changed."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._open: list[Award] = []
        self._made_of: tuple[int, int] | None = None
        self._since_ms = self._until_ms = 0  # as long as none opens or expires
        self.opened = 0  # how often others were open than before
        self._rows: Sequence[Award] = ()
        self._at: dict[str, int] = {}  # account → its row
        self._left: I64Array = i64([])
        self._touched: dict[str, None] = {}

    def touch(self, account: str) -> None:
        self._touched[account] = None

    def open(self, now_ms: int, tree: Tree) -> list[Award]:
        """Those of known projects that may be used at a moment: the same list as long as they are the same."""
        m, made_of = self._mirror, (self._mirror.grants, tree.at)
        if made_of != self._made_of or not self._since_ms <= now_ms < self._until_ms:
            moments = {moment for a in m.awards.values() for moment in (a.starts_ms, a.expires_ms)}
            self._since_ms = max((at for at in moments if at <= now_ms), default=0)
            self._until_ms = min((at for at in moments if at > now_ms), default=int(FOREVER_MS))
            self._open = [a for a in m.awards.values() if a.starts_ms <= now_ms < a.expires_ms and a.project in tree.project_row]
            self._made_of, self.opened = made_of, self.opened + 1
        return self._open

    def available(self, rows: Sequence[Award]) -> I64Array:
        """By row, what may be held of it now."""
        accounts, touched = self._mirror.accounts, self._touched
        self._touched = {}
        if rows is not self._rows:
            self._rows, self._at = rows, {award_account(a.id): row for row, a in enumerate(rows)}
            self._left, touched = np.zeros(len(rows), np.int64), dict.fromkeys(self._at)
        for account in touched:
            row = self._at.get(account)
            if row is not None:
                self._left[row] = available(accounts[account])
        return self._left.copy()
