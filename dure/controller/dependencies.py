"""What a workload that waits for others learns of these: which of them comes next, and when. A plan knows only that it waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dure.controller.answers import WhyAnswer
from dure.model.reason import ReasonKind
from dure.model.workload import TERMINAL, Workload, WorkloadState
from dure.ports import Reader
from dure.scheduler import Basis, NextEvent, NextKind, Plan, Snapshot
from dure.scheduler.attempts import latest_ends
from dure.scheduler.snapshot import FOREVER_MS, STOPPING

ELEMENTS_MAX = 1000  # of arrays, that are looked at
_LIVE = tuple(state for state in WorkloadState if state not in TERMINAL)


def with_dependency(answer: WhyAnswer, reader: Reader, snapshot: Snapshot, plan: Plan) -> WhyAnswer:
    """The answer, which also tells what happens next to those that have to succeed first: the last of their ends by their limits
    where all of them run; else the last promised start of those that wait. It is as it was where it waits for none, or where no
    moment is known."""
    if answer.why is None or all(r.kind is not ReasonKind.WAITS_DEPENDENCY for r in answer.why.reasons):
        return answer
    live = list(_awaited(answer.workload, reader))
    event = _last_end(live, snapshot) if all(row.attempt for row in live) else _last_start(live, snapshot, plan)
    return answer if event is None else replace(answer, why=replace(answer.why, next_event=event))


def _awaited(workload: Workload, reader: Reader) -> Iterator[Workload]:
    """Those that it waits for and that have not ended."""
    for id in workload.spec.depends_on:
        row = reader.get(Workload, id)
        if row is None:
            yield from reader.find(Workload, {"array_id": id, "state": _LIVE}, limit=ELEMENTS_MAX)
        elif row.state not in TERMINAL:
            yield row


def _last_end(live: list[Workload], s: Snapshot) -> NextEvent | None:
    """They end by their limits and graces, as far as the state knows."""
    at = {workload: i for i, workload in enumerate(s.attempts.workloads)}
    rows = [at[row.id] for row in live if row.id in at]
    if not rows or len(rows) < len(live):
        return None
    ends = latest_ends(s)[rows]
    last = int(np.argmax(ends))
    if ends[last] >= FOREVER_MS:
        return None
    basis = Basis.GRACE if s.attempts.state[rows[last]] == STOPPING else Basis.LIMIT
    return NextEvent(NextKind.DEPENDENCY_ENDS, live[last].id, int(ends[last]), basis, live[last].id)


def _last_start(live: list[Workload], s: Snapshot, plan: Plan) -> NextEvent | None:
    promised = dict(zip((s.pending.ids[row] for row in plan.reserve_pending.tolist()), plan.reserve_ms.tolist(), strict=True))
    found = [(promised[row.id], row.id) for row in live if row.id in promised]
    if not found:
        return None
    at_ms, id = max(found)
    return NextEvent(NextKind.DEPENDENCY_STARTS, id, at_ms, Basis.PROMISE, id)
