"""The live attempts in columns, kept from one snapshot to the next: only those that have changed since are looked at again."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.controller.lifecycle import normalised_cores
from dure.controller.mirror import Mirror
from dure.controller.moved import movable_ms
from dure.model.workload import Attempt, AttemptState, WorkloadSpec
from dure.scheduler.runs import gather
from dure.scheduler.snapshot import CLAIMED, FOREVER_MS, LAUNCHING, RUNNING, STOPPING, Attempts

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

STATE: Mapping[AttemptState, int] = {
    AttemptState.CLAIMED: CLAIMED,
    AttemptState.LAUNCHING: LAUNCHING,
    AttemptState.RUNNING: RUNNING,
    AttemptState.STOPPING: STOPPING,
}
# numbers of an attempt, in order
_STATE, _PROJECT, _PRIORITY, _PREEMPTIBLE, _YIELDS, _STARTED, _ENDS, _SAVED, _CORES, _MEMORY, _SHARE, _RUNNING = range(12)
_GRACE, _REST, _WIDTH = 12, 13, 14


class Row(NamedTuple):
    """What an attempt contributes. weight: in fair share while it runs; nodes, masks: of its workers."""

    id: str
    workload: str
    accelerator: str
    numbers: tuple[int, ...]
    weight: float
    nodes: tuple[int, ...]
    masks: tuple[int, ...]


class LiveAttempts:
    """Sorted by id. number: of a project, by which `columns` and `use` are told where it stands."""

    def __init__(self, mirror: Mirror, number: Callable[[str], int]) -> None:
        self._mirror, self._number = mirror, number
        self._node_row: Mapping[str, int] = {}
        self.again()

    def again(self) -> None:
        """Everything may be different."""
        self._ids: list[str] = []
        self._workloads: list[str] = []
        self._kinds: list[str] = []
        self._numbers: I64 = np.zeros((_WIDTH, 0), np.int64)
        self._weight: F64 = np.zeros(0)
        self._seats: I64 = np.zeros(0, np.int64)  # how many workers each has
        self._node: NDArray[np.int32] = np.zeros(0, np.int32)
        self._mask: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._claims: dict[str, str] = {}  # workload → the attempt that waits for others to leave
        self._leaving: dict[str, str] = {}  # attempt → the workload that it makes room for
        self._moving: dict[str, None] = {}  # attempts that go on elsewhere once they have left
        self._accelerators: Counter[str] = Counter()
        self._touched: dict[str, None] = dict.fromkeys(self._mirror.attempts)

    def touch(self, id: str) -> None:
        """It has come, gone or changed, or its workload has."""
        self._touched[id] = None

    # -- what a snapshot wants -----------------------------------------------------------------------------------

    def accelerators(self) -> Iterable[str]:
        """The types that attempts run on; "" for none."""
        self._settle()
        return self._accelerators.keys()

    def columns(self, project_row: I64, node_row: Mapping[str, int]) -> Attempts:
        """project_row: by number of a project. node_row: the same object as long as no node has come or gone."""
        if node_row is not self._node_row:
            self._node_row = node_row
            self.again()
        self._settle()
        n = self._numbers.copy()
        return Attempts(
            ids=tuple(self._ids),
            workloads=tuple(self._workloads),
            state=n[_STATE].astype(np.int32),
            project=project_row[n[_PROJECT]].astype(np.int32),
            priority=n[_PRIORITY],
            preemptible=n[_PREEMPTIBLE].astype(np.bool_),
            yields=n[_YIELDS].astype(np.bool_),
            started_ms=n[_STARTED],
            ends_ms=n[_ENDS],
            checkpoint_ms=n[_SAVED],
            cores_milli=n[_CORES],
            memory_mib=n[_MEMORY],
            beneficiary=self._beneficiaries(),
            worker_ptr=np.concatenate([[0], np.cumsum(self._seats)]).astype(np.int32),
            worker_node=self._node.copy(),
            worker_mask=self._mask.copy(),
            share_milli=n[_SHARE],
            grace_ms=n[_GRACE],
            rest_ms=n[_REST],
            follows=np.full(len(self._ids), -1, np.int32),
        )

    def use(self, now_ms: int, project_row: I64, projects: int) -> F64:
        """By row of a project, what runs now for as long as it has run, in normalised core-seconds."""
        self._settle()
        found, began = np.zeros(projects), self._numbers[_RUNNING]
        runs = np.flatnonzero(began > 0)
        ran = self._weight[runs] * np.maximum(now_ms - began[runs], 0) / 1000
        np.add.at(found, project_row[self._numbers[_PROJECT, runs]], ran)
        return found

    def moved(self) -> tuple[list[int], list[Attempt]]:
        """Rows of those that go on elsewhere once they have left, and which these are."""
        self._settle()
        ids = sorted(self._moving)
        return [self._row_of(id) for id in ids], [self._mirror.attempts[id] for id in ids]

    def _beneficiaries(self) -> NDArray[np.int32]:
        """The row of the claim that each makes room for."""
        found = np.full(len(self._ids), -1, np.int32)
        for id, workload in self._leaving.items():
            claim = self._claims.get(workload)
            if claim is not None:
                found[self._row_of(id)] = self._row_of(claim)
        return found

    def _row_of(self, id: str) -> int:
        """Where it stands, or -1."""
        row = bisect_left(self._ids, id)
        return row if row < len(self._ids) and self._ids[row] == id else -1

    # -- bringing it up to date ----------------------------------------------------------------------------------

    def _settle(self) -> None:
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        gone, fresh = [], []
        for id in touched:
            row, made = self._row_of(id), self._made(id)
            if row >= 0:
                self._let_go(row)
            if made is not None and row >= 0 and self._seats[row] == len(made.nodes):
                self._put(row, made)  # where an attempt sits never changes
            else:
                gone += [row] if row >= 0 else []
                fresh += [made] if made is not None else []
            if made is not None:
                self._take_up(made)
        if gone:
            self._drop(gone)
        if fresh:
            self._add(sorted(fresh))

    def _let_go(self, row: int) -> None:
        kind = self._kinds[row]
        self._accelerators[kind] -= 1
        if not self._accelerators[kind]:
            del self._accelerators[kind]
        if self._claims.get(self._workloads[row]) == self._ids[row]:
            del self._claims[self._workloads[row]]
        self._leaving.pop(self._ids[row], None)
        self._moving.pop(self._ids[row], None)

    def _take_up(self, made: Row) -> None:
        self._accelerators[made.accelerator] += 1
        if made.numbers[_STATE] == CLAIMED:
            self._claims[made.workload] = made.id
        attempt = self._mirror.attempts[made.id]
        if attempt.beneficiary:
            self._leaving[made.id] = attempt.beneficiary
        if attempt.move.attempt:
            self._moving[made.id] = None

    def _put(self, row: int, made: Row) -> None:
        self._numbers[:, row] = made.numbers
        self._weight[row] = made.weight

    def _drop(self, rows: Sequence[int]) -> None:
        keep = np.ones(len(self._ids), np.bool_)
        keep[rows] = False
        seats = np.repeat(keep, self._seats)
        self._node, self._mask = self._node[seats], self._mask[seats]
        self._numbers, self._weight, self._seats = self._numbers[:, keep], self._weight[keep], self._seats[keep]
        for row in sorted(rows, reverse=True):
            del self._ids[row], self._workloads[row], self._kinds[row]

    def _add(self, rows: Sequence[Row]) -> None:
        in_order = not self._ids or self._ids[-1] < rows[0].id
        self._ids += [r.id for r in rows]
        self._workloads += [r.workload for r in rows]
        self._kinds += [r.accelerator for r in rows]
        self._numbers = np.concatenate([self._numbers, np.array([r.numbers for r in rows], np.int64).T], axis=1)
        self._weight = np.concatenate([self._weight, [r.weight for r in rows]])
        self._seats = np.concatenate([self._seats, np.array([len(r.nodes) for r in rows], np.int64)])
        self._node = np.concatenate([self._node, np.array([n for r in rows for n in r.nodes], np.int32)])
        self._mask = np.concatenate([self._mask, np.array([m for r in rows for m in r.masks], np.uint64)])
        if not in_order:
            self._sort()

    def _sort(self) -> None:
        order = sorted(range(len(self._ids)), key=self._ids.__getitem__)
        _, seats = gather(np.concatenate([[0], np.cumsum(self._seats)]), np.array(order, np.int64))
        self._node, self._mask = self._node[seats], self._mask[seats]
        self._numbers, self._weight, self._seats = self._numbers[:, order], self._weight[order], self._seats[order]
        self._ids, self._workloads, self._kinds = (
            [column[row] for row in order] for column in (self._ids, self._workloads, self._kinds)
        )  # fmt: skip

    def _made(self, id: str) -> Row | None:
        """None of one that has ended, or of whose workload nothing is known."""
        m = self._mirror
        attempt = m.attempts.get(id)
        workload = m.placed.get(attempt.workload) if attempt is not None else None
        if attempt is None or workload is None:
            return None
        spec, began = workload.spec, started(attempt)
        klass = m.policy.class_of(spec.priority)
        seats = [(self._node_row[w.node], mask(w.devices)) for w in attempt.workers if w.node in self._node_row]
        numbers = (  # a gang of whose nodes one is not known sits on more than are seen, and is not moved
            STATE[attempt.state], self._number(attempt.project), klass.value, spec.preemptible, klass.yields, began,
            ends(attempt, spec), max(began, attempt.evidence.checkpoint_ms), spec.demand.cores_milli, spec.demand.memory_mib,
            spec.demand.share_milli, attempt.running_ms, spec.grace_ms,
            movable_ms(m.policy, attempt, spec, began) if len(seats) == len(attempt.workers) else 0,
        )  # fmt: skip
        nodes, masks = zip(*seats, strict=True) if seats else ((), ())
        weight = normalised_cores(workload, attempt)
        return Row(id, attempt.workload, attempt.accelerator, numbers, weight, nodes, masks)


def started(attempt: Attempt) -> int:
    """When it ran first as far as the plane knows, else when it was placed."""
    return attempt.running_ms or attempt.placed_ms


def ends(attempt: Attempt, spec: WorkloadSpec) -> int:
    """Latest end by its limit. One that was told to stop ends within its grace; a claim has not begun to count."""
    if attempt.state == AttemptState.STOPPING:
        return min(attempt.stop_asked_ms, started(attempt) + attempt.limit_ms) + spec.grace_ms
    return min(started(attempt) + attempt.limit_ms + spec.grace_ms, int(FOREVER_MS))


def mask(devices: Sequence[int]) -> int:
    return sum(1 << d for d in devices)
