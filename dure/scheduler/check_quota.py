"""What may be used within quotas, once more: the algebra of dure/scheduler/kernels/quota.py in plain recursion over numbers.

It shares nothing with the program that plans but the columns, so that `check` can hold a plan against it; answers for people are
made of it as well."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from dure.model.policy import NO_LIMIT
from dure.scheduler.plan import Plan
from dure.scheduler.quotas import MILLI, quota_of, resource_of
from dure.scheduler.snapshot import Snapshot

Amount = float  # whole numbers, or infinity
Column = Sequence[int]


class Cohorts:
    """One resource. Amounts are whole; what has no end is infinite. Parents come before children."""

    def __init__(self, parent: Column, nominal: Column, borrow_max: Column, lend_max: Column, used: Column) -> None:
        """used: of leaves. See `dure.scheduler.kernels.quota.make_quota` for the rest."""
        # a row without quota has nothing to do with its parent
        self.parent = [-1 if has == NO_LIMIT else above for above, has in zip(parent, nominal, strict=True)]
        self.borrow_max = [_endless(limit) for limit in borrow_max]
        self.has = [_endless(amount) for amount in nominal]  # with what those below lend
        self.keeps: list[Amount] = [math.inf] * len(parent)  # for itself and those below alone
        self.used: list[Amount] = list(used)  # of what it has
        for row in reversed(range(len(parent))):
            above = self.parent[row]
            if above >= 0:
                self.keeps[row] = max(0, self.has[row] - _endless(lend_max[row]))
                self.has[above] += self.has[row] - self.keeps[row]
                self.used[above] += max(0, self.used[row] - self.keeps[row])

    def available(self, row: int) -> Amount:
        """How much more may be used at a row; negative when more is in use, there or above, than there is."""
        return self._left(row)[0]

    def bound_by(self, row: int) -> int:
        """Whose limit it is that no more is available: of a row on the way up its borrowing limit, the nearest if several; else
        the last, which has nobody to borrow from."""
        return self._left(row)[1]

    def _left(self, row: int) -> tuple[Amount, int]:
        spare, above = self.has[row] - self.used[row], self.parent[row]
        if above < 0:
            return spare, row
        left, whose = self._left(above)
        left += max(0, self.keeps[row] - self.used[row])
        most = spare + self.borrow_max[row]
        return (most, row) if most <= left and most < math.inf else (left, whose)

    def borrowed(self, row: int) -> Amount:
        """What is in use beyond what the row and those below have."""
        return max(0, self.used[row] - self.has[row])

    def lent(self, row: int) -> Amount:
        """Of what a row has and does not use, how much it could not have now, because others use it."""
        spare = self.has[row] - self.used[row]
        return 0 if spare == math.inf else max(0, spare - max(0, self.available(row)))

    def take(self, row: int, amount: Amount) -> None:
        """Count use of a leaf, whether or not it is available."""
        while amount > 0:
            over = max(0, self.used[row] - self.keeps[row])
            self.used[row] += amount
            amount = max(0, self.used[row] - self.keeps[row]) - over
            row = self.parent[row]


def cohorts_of(snapshot: Snapshot) -> dict[int, Cohorts]:
    """By column of Quotas, those in which anybody has a quota."""
    q, parent = snapshot.quotas, snapshot.shares.parent.tolist()
    limited = np.flatnonzero((q.nominal != NO_LIMIT).any(axis=0)).tolist()
    columns = (q.nominal, q.borrow_max, q.lend_max, q.used)
    return {column: Cohorts(parent, *(c[:, column].tolist() for c in columns)) for column in limited}


def over_quota(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Starts, in their order and claims with them, that take more than is available to their project at that moment."""
    limited = cohorts_of(snapshot)
    for i, row in enumerate(plan.start_pending.tolist() if limited else ()):
        leaf = int(snapshot.projects.share[snapshot.pending.project[row]])
        workers = int(plan.start_worker_ptr[i + 1] - plan.start_worker_ptr[i])
        for column, amount in _wanted(snapshot, row, int(plan.start_alternative[i]), workers):
            if column not in limited:
                continue
            left = max(0, limited[column].available(leaf))
            if amount > left:
                yield (
                    f"{snapshot.pending.ids[row]} takes {amount / MILLI:g} {resource_of(snapshot.accelerators, column)}, but "
                    f"{quota_of(snapshot, leaf)} may use {left / MILLI:g} more"
                )
            limited[column].take(leaf, amount)


def _wanted(s: Snapshot, row: int, alternative: int, workers: int) -> Iterator[tuple[int, int]]:
    """By column of Quotas, in thousandths, of so many workers."""
    accelerator = int(s.alternatives.accelerator[alternative])
    if accelerator >= 0:
        yield accelerator, workers * int(s.pending.devices[row] * MILLI + s.pending.share_milli[row])
    yield len(s.accelerators), workers * int(s.pending.cores_milli[row])


def _endless(amount: int) -> Amount:
    return math.inf if amount == NO_LIMIT else amount
