"""Whether a project can pay, and of which awards: open ones that are good for the site and the type, by order of expiry."""

from __future__ import annotations

import numpy as np

from dure.scheduler.snapshot import I64, Bool, Snapshot


class Funds:
    """What the awards of a snapshot still hold while one plan is made. It only shrinks."""

    def __init__(self, s: Snapshot) -> None:
        a = s.awards
        self._site_ok, self._accelerator_ok = a.site_ok, a.accelerator_ok
        self.left: I64 = np.array(a.available, np.int64)
        self.sites = len(s.sites.ids)
        self.version = [0] * len(s.projects.ids)  # raised when what somebody can pay for may have changed
        self._largest = _largest_hold(s)
        self._rows: dict[tuple[int, int], list[int]] = {}
        for row in np.flatnonzero(a.expires_ms > s.now_ms).tolist():
            self._rows.setdefault((int(a.project[row]), int(a.currency[row])), []).append(row)
        self._kept: dict[tuple[int, int, int], tuple[int, I64, int]] = {}

    def forget(self) -> None:
        """Look again at everything that was kept."""
        self._kept.clear()

    def eligible(self, project: int, accelerator: int, currency: int) -> list[int]:
        """Award rows good for this type, at one site or another, by order of expiry."""
        rows = self._rows.get((project, currency), [])
        return [row for row in rows if self._accelerator_ok[row, accelerator]]

    def available(self, project: int, accelerator: int, currency: int) -> I64:
        """What may be held, by site."""
        return self._look(project, accelerator, currency)[0]

    def covers(self, project: int, accelerator: int, currency: int, hold: int) -> bool:
        """Whether a hold can be paid at every site."""
        return self._look(project, accelerator, currency)[1] >= hold

    def _look(self, project: int, accelerator: int, currency: int) -> tuple[I64, int]:
        key = (project, accelerator, currency)
        kept = self._kept.get(key)
        if kept is None or kept[0] != self.version[project]:
            rows = self.eligible(project, accelerator, currency)
            available = self.left[rows] @ self._site_ok[rows].astype(np.int64)
            kept = self._kept[key] = (self.version[project], available, int(available.min()))
        return kept[1], kept[2]

    def award_sites(self, project: int, accelerator: int, currency: int) -> Bool:
        """Sites for which there is an award at all, however empty."""
        found: Bool = np.logical_or.reduce(self._site_ok[self.eligible(project, accelerator, currency)], axis=0)
        return found

    def take(self, project: int, accelerator: int, currency: int, site: int, hold: int) -> None:
        """Hold an amount that `available` covers."""
        for row in self.eligible(project, accelerator, currency):
            part = min(hold, int(self.left[row])) if self._site_ok[row, site] else 0
            self.left[row] -= part
            hold -= part
            # An award that still covers the largest hold of its project still covers whatever it covered before.
            if part and self.left[row] < self._largest[project]:
                self.version[project] += 1


def _largest_hold(s: Snapshot) -> list[int]:
    """By project, over all alternatives and currencies of its waiting workloads."""
    owner = np.repeat(s.pending.project, np.diff(s.pending.alt_ptr))
    largest = np.zeros(len(s.projects.ids), np.int64)
    np.maximum.at(largest, owner, s.alternatives.hold.max(axis=1))
    found: list[int] = largest.tolist()
    return found
