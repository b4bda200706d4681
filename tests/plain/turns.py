"""In which order waiting workloads are looked at.

Priority first, strictly. Within a priority the tree of shares decides, as in Slurm's Fair Tree (SchedMD, fair_tree.shtml):
siblings are compared by level fairness S / U, with S the sibling's weight over the weights of all siblings and U its
decayed use over theirs, and the winner's subtree is entered, down to a project. The sums over siblings are common to all that
are compared, so use / weight, smallest first, gives the same order. Equal ones go by their oldest workload of this
priority, then by row. Within a project: submission, then id, which is the order of rows.

It is progressive: each start or promise charges its project, at once, the use that it will have made by its limit,
    workers x (cores + devices x core_rate) x limit, in normalised core-seconds,
so that equal projects take turns within one plan.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush

from dure.model.policy import TurnOrder
from dure.scheduler.snapshot import Snapshot

Key = tuple[float, int, int]  # use / weight, oldest row of Pending, row of Shares


def _key_of(s: Snapshot, row: int) -> float:
    """Where turns are not fair: the least limit on any type; or the work by that on the first, as is charged; or nothing."""
    p, alternatives = s.pending, range(s.pending.alt_ptr[row], s.pending.alt_ptr[row + 1])
    limits = [int(s.alternatives.limit_ms[a]) or int(p.limit_ms[row]) for a in alternatives]
    if s.policy.order is TurnOrder.SHORTEST:
        return min(limits)
    if s.policy.order is TurnOrder.SUBMITTED:
        return 0
    rate = float(s.core_rate[s.alternatives.accelerator[alternatives[0]]])
    each = int(p.cores_milli[row]) / 1000 + (int(p.devices[row]) + int(p.share_milli[row]) / 1000) * rate
    return int(p.workers[row]) * each * limits[0] / 1000


class Turns:
    def __init__(self, s: Snapshot, rows: list[int]) -> None:
        self._parent: list[int] = s.shares.parent.tolist()
        self._weight: list[int] = s.shares.weight.tolist()
        self._use: list[float] = s.shares.use.tolist()
        for row in range(len(self._parent) - 1, 0, -1):  # children come after their parents
            self._use[self._parent[row]] += self._use[row]
        self._leaf: list[int] = s.projects.share[s.pending.project].tolist()
        priority = s.pending.priority.tolist()
        if s.policy.order is not TurnOrder.FAIR:  # each in a class of its own
            last = sorted(rows, key=lambda row: (-priority[row], _key_of(s, row), row))[::-1]
            priority = dict(zip(last, range(len(last)), strict=True))
        self._classes: dict[int, list[int]] = {}
        for row in rows:
            self._classes.setdefault(priority[row], []).append(row)
        self._priorities = sorted(self._classes)
        self._path: list[int] = []  # from below the root to the leaf whose turn it is
        self._queues: dict[int, deque[int]] = {}
        self._heaps: dict[int, list[Key]] = {}
        self._oldest: dict[int, int] = {}
        self._charged = False

    def next(self) -> int | None:
        """Row of the workload whose turn it is, or None when all had theirs."""
        if self._path and not self._charged and self._queues[self._path[-1]]:
            return self._queues[self._path[-1]].popleft()
        self._ascend()
        while not self._heaps.get(0):
            if not self._priorities:
                return None
            self._enter(self._classes.pop(self._priorities.pop()))
        self._descend()
        return self._queues[self._path[-1]].popleft()

    def charge(self, row: int, amount: float) -> None:
        """Count use that the workload in this row is about to make."""
        share = self._leaf[row]
        while share >= 0:
            self._use[share] += amount
            share = self._parent[share]
        self._charged = True

    def _enter(self, rows: list[int]) -> None:
        """Queues and heaps of one priority."""
        self._queues, self._heaps, self._oldest = {}, {}, {}
        for row in rows:
            self._queues.setdefault(self._leaf[row], deque()).append(row)
        for leaf, queue in self._queues.items():
            share = leaf
            while share >= 0:
                self._oldest[share] = min(self._oldest.get(share, queue[0]), queue[0])
                share = self._parent[share]
        for share in self._oldest:
            if share:
                self._heaps.setdefault(self._parent[share], []).append(self._key(share))
        for heap in self._heaps.values():
            heapify(heap)

    def _key(self, share: int) -> Key:
        weight, use = self._weight[share], self._use[share]
        return (use / weight if weight > 0 else float("inf"), self._oldest[share], share)

    def _ascend(self) -> None:
        """Put what was taken off the heaps back, under what it is worth now, if anything still waits below it."""
        for share in reversed(self._path):
            if self._queues.get(share) or self._heaps.get(share):
                heappush(self._heaps[self._parent[share]], self._key(share))
        self._path, self._charged = [], False

    def _descend(self) -> None:
        share = 0
        while share not in self._queues:
            share = heappop(self._heaps[share])[2]
            self._path.append(share)
