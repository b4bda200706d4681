"""What may be used within quotas, once more: the algebra of dure/scheduler/kernels/quota.py in plain recursion over numbers.

It shares nothing with the program that plans but the columns, so that `check` can hold a plan against it; answers for people are
made of it as well."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from dure.model.policy import NO_LIMIT
from dure.scheduler.plan import Plan
from dure.scheduler.quotas import MILLI, quota_of, resource_of
from dure.scheduler.snapshot import STOPPING, Snapshot

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

    def inside(self, row: int, upto: int, amount: Amount) -> bool:
        """Whether, with so much more used at a row, the row `upto` on its way up would use no more than it has."""
        if row < 0 or row == upto:
            return row < 0 or self.used[row] + amount <= self.has[row]
        return self.inside(self.parent[row], upto, max(0, amount - max(0, self.keeps[row] - self.used[row])))

    def over(self, row: int, upto: int) -> bool:
        """Whether a row, and all rows above it up to `upto`, use more than they have."""
        return row >= 0 and self.used[row] > self.has[row] and (row == upto or self.over(self.parent[row], upto))

    def take(self, row: int, amount: Amount) -> None:
        """Count use of a leaf, whether or not it is available."""
        while amount > 0:
            over = max(0, self.used[row] - self.keeps[row])
            self.used[row] += amount
            amount = max(0, self.used[row] - self.keeps[row]) - over
            row = self.parent[row]

    def leave(self, row: int, amount: Amount) -> None:
        """Count no more what was used at a leaf."""
        while amount > 0:
            over = max(0, self.used[row] - self.keeps[row])
            self.used[row] -= amount
            amount = over - max(0, self.used[row] - self.keeps[row])
            row = self.parent[row]


def cohorts_of(snapshot: Snapshot) -> dict[int, Cohorts]:
    """By column of Quotas, those in which anybody has a quota."""
    q, parent = snapshot.quotas, snapshot.shares.parent.tolist()
    limited = np.flatnonzero((q.nominal != NO_LIMIT).any(axis=0)).tolist()
    columns = (q.nominal, q.borrow_max, q.lend_max, q.used)
    return {column: Cohorts(parent, *(c[:, column].tolist() for c in columns)) for column in limited}


def over_quota(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Starts, in their order and claims with them, that take more than is available to their project at that moment; and victims
    that quotas give nobody the right to ask. Of a claim by quota what its victims use is available; both count afterwards."""
    limited = cohorts_of(snapshot)
    guard = Guard(snapshot, limited)
    for i, row in enumerate(plan.start_pending.tolist() if limited else ()):
        workers = int(plan.start_worker_ptr[i + 1] - plan.start_worker_ptr[i])
        wanted = dict(_wanted(snapshot, row, int(plan.start_alternative[i]), workers))
        victims = plan.victim_attempt[plan.start_victim_ptr[i] : plan.start_victim_ptr[i + 1]].tolist()[
            ::-1
        ]  # as they were taken
        by_quota, leaf = bool(plan.start_reclaims[i]), int(snapshot.projects.share[snapshot.pending.project[row]])
        yield from guard.asked(row, wanted, victims, by_quota, moves=plan.moved(i))
        for v in victims if by_quota else ():
            guard.count(limited, v, -1)
        for column, amount in wanted.items():
            if column in limited and amount > (left := max(0, limited[column].available(leaf))):
                yield (
                    f"{snapshot.pending.ids[row]} takes {amount / MILLI:g} {resource_of(snapshot.accelerators, column)}, but "
                    f"{quota_of(snapshot, leaf)} may use {left / MILLI:g} more"
                )
        for v in victims if by_quota else ():
            guard.count(limited, v, 1)
        for column, amount in wanted.items():
            if column in limited:
                limited[column].take(leaf, amount)


class Guard:
    """Who may be asked to make room by the quotas of both sides. `dure/scheduler/kernels/reclaim.py` has the rule."""

    def __init__(self, s: Snapshot, limited: dict[int, Cohorts]) -> None:
        self._s, self._limited, self._stays = s, limited, cohorts_of(s)
        self._yielding = {c.value for c in s.policy.classes if c.yields}
        goes_on = set(s.attempts.follows.tolist())  # who moves uses as much where it goes
        stops = np.flatnonzero(s.attempts.state == STOPPING).tolist() if limited else ()
        for v in stops:
            if v not in goes_on:
                self.count(self._stays, v, -1)

    def asked(
        self, row: int, wanted: dict[int, int], victims: list[int], by_quota: bool, *, moves: bool = False
    ) -> Iterator[str]:  # fmt: skip
        """Who of these victims of a start should not have been asked, in the order in which they are taken. moves: they go on
        elsewhere, which no quota keeps them from."""
        s, name = self._s, self._s.pending.ids[row]
        leaf = int(s.projects.share[s.pending.project[row]])
        if by_quota and not s.policy.reclaims:
            yield f"{name} reclaims quota, which the policy does not allow"
        if by_quota and s.pending.preemptible[row] and s.pending.priority[row] in self._yielding:
            yield f"{name} reclaims quota, though it is of a class that yields"
        for v in victims:
            theirs, uses = self._leaf(v), self._uses(v)
            if by_quota and not self._right(leaf, wanted, theirs, uses):
                yield f"{s.attempts.ids[v]} uses nothing that {name} may reclaim"
            by_class = not by_quota and not moves and s.policy.reclaims and not s.attempts.yields[v]
            if by_class and self._shielded(leaf, wanted, theirs, uses):
                yield f"{s.attempts.ids[v]} makes room for {name}, though its project stays within its quota"
            if not moves:
                self.count(self._stays, v, -1)

    def count(self, cohorts: dict[int, Cohorts], attempt: int, sign: int) -> None:
        """Count what an attempt uses again (1), or no more (-1)."""
        leaf = self._leaf(attempt)
        for column, amount in self._uses(attempt).items() if leaf >= 0 else ():
            if column in cohorts:
                (cohorts[column].take if sign > 0 else cohorts[column].leave)(leaf, amount)

    def _right(self, leaf: int, wanted: dict[int, int], other: int, uses: dict[int, int]) -> bool:
        """Whether one that wants so much at a leaf may take back the place of one that uses so much at another."""
        if other < 0 or leaf == other:
            return False
        mine, theirs = self._sides(leaf, other)
        own = [c for c, amount in wanted.items() if amount and self._has_quota(leaf, c)]
        within = all(self._limited[c].inside(leaf, mine, wanted[c]) for c in own)
        return within and any(uses.get(c, 0) > 0 and self._stays[c].over(other, theirs) for c in own)

    def _shielded(self, leaf: int, wanted: dict[int, int], other: int, uses: dict[int, int]) -> bool:
        """Whether one that uses so much at another leaf makes no room for this one by its class."""
        limited = [c for c, amount in uses.items() if amount and other >= 0 and self._has_quota(other, c)]
        if leaf == other or not limited:
            return False
        theirs = self._sides(leaf, other)[1]
        return not any(wanted.get(c, 0) > 0 and self._stays[c].over(other, theirs) for c in limited)

    def _has_quota(self, leaf: int, column: int) -> bool:
        return column in self._limited and self._limited[column].has[leaf] < math.inf

    def _sides(self, one: int, other: int) -> tuple[int, int]:
        """The rows below the nearest one above both."""
        ways = self._way(one), self._way(other)
        common = next(row for row in ways[0] if row in ways[1])
        mine, theirs = (way[way.index(common) - 1] for way in ways)
        return mine, theirs

    def _way(self, row: int) -> list[int]:
        above = int(self._s.shares.parent[row])
        return [row, *(self._way(above) if above >= 0 else ())]

    def _leaf(self, attempt: int) -> int:
        project = int(self._s.attempts.project[attempt])
        return int(self._s.projects.share[project]) if project >= 0 else -1

    def _uses(self, attempt: int) -> dict[int, int]:
        """By column of Quotas."""
        s, a, uses = self._s, self._s.attempts, Counter[int]()
        for at in range(a.worker_ptr[attempt], a.worker_ptr[attempt + 1]):
            kind, mask = int(s.nodes.accelerator[a.worker_node[at]]), int(a.worker_mask[at])
            if kind >= 0:
                uses[kind] += int(a.share_milli[attempt]) or MILLI * mask.bit_count()
            uses[len(s.accelerators)] += int(a.cores_milli[attempt])
        return uses


def _wanted(s: Snapshot, row: int, alternative: int, workers: int) -> Iterator[tuple[int, int]]:
    """By column of Quotas, in thousandths, of so many workers."""
    accelerator = int(s.alternatives.accelerator[alternative])
    if accelerator >= 0:
        yield accelerator, workers * int(s.pending.devices[row] * MILLI + s.pending.share_milli[row])
    yield len(s.accelerators), workers * int(s.pending.cores_milli[row])


def _endless(amount: int) -> Amount:
    return math.inf if amount == NO_LIMIT else amount
