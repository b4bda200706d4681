"""What if: why a workload would wait, or that it would start, were some things otherwise; beside what the plan says now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from dure.controller.answers import EVERY_CLASS, PolicyRater, Usable, WhyAnswer, answer_why, row_of
from dure.errors import require
from dure.model.reason import Reason
from dure.model.workload import Workload
from dure.scheduler import (
    Asker,
    Outlook,
    Pace,
    Plan,
    Planning,
    Snapshot,
    Supposition,
    class_of,
    is_about,
    outlook,
    refused,
    suppose,
)

Find = Callable[[str], Workload | None]  # a workload by its id


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What is supposed. projects: those whose work and money who asks may see; None: all."""

    suppositions: tuple[Supposition, ...]
    projects: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfAnswer:
    """suppositions: as they were understood. reason: why it is where it is now; None when it starts. now, then: what the plan
    holds for it as things are, and under the suppositions; None when it does not wait, so that no plan is about it. answer: then,
    in full; without a `change` where the workload itself was supposed to ask for something else."""

    workload: Workload
    as_of_ms: int
    suppositions: tuple[str, ...]
    reason: Reason | None
    now: Outlook | None = None
    then: Outlook | None = None
    answer: WhyAnswer | None = None


def at_rest(known: WhyAnswer, asked: WhatIf) -> WhatIfAnswer:
    """About a workload that no plan is about: suppositions change nothing about it."""
    said = tuple(s.text for s in asked.suppositions)
    return WhatIfAnswer(workload=known.workload, as_of_ms=known.as_of_ms, suppositions=said, reason=known.reason)


def answer_what_if(
    find: Find,
    snapshot: Snapshot,
    decided: Plan,
    workload: Workload,
    asked: WhatIf,
    plans_max: int,
    pace: Pace,
    usable: Usable = EVERY_CLASS,
) -> WhatIfAnswer | Reason | None:
    """As `answer_why`, on the snapshot as it would be; a Reason when that cannot be supposed. Nothing is written anywhere.

    find: reads one record when it is needed, so that no transaction is open while this plans."""
    row = row_of(snapshot, workload)
    if row is None:
        return None
    pace()
    supposed = _supposed(snapshot, asked, asker_of(find, snapshot, asked.projects, workload.id), workload)
    if isinstance(supposed, Reason):
        return supposed
    then_row = row_of(supposed, workload)
    require(then_row is not None, "what is asked about still waits under the suppositions")
    assert then_row is not None  # as just required; for the type checker
    planning = Planning(supposed, pace)
    planning.run()
    then_decided = planning.plan()
    own = any(is_about(s, workload.id) for s in asked.suppositions)
    answer = answer_why(supposed, then_decided, workload, 0 if own else plans_max, pace, usable, planning)
    if answer is not None and answer.why is not None and own:
        answer = replace(answer, why=replace(answer.why, change=None, change_site="", no_change=None, stopped=False))
    now = outlook(snapshot, decided, row)
    return WhatIfAnswer(
        workload=workload,
        as_of_ms=snapshot.now_ms,
        suppositions=tuple(s.text for s in asked.suppositions),
        reason=now.reason,
        now=now,
        then=outlook(supposed, then_decided, then_row),
        answer=answer,
    )


def _supposed(snapshot: Snapshot, asked: WhatIf, asker: Asker, workload: Workload) -> Snapshot | Reason:
    """The snapshot under the suppositions, or the reason of the first that does not go, as it takes away what is asked about."""
    for supposition in asked.suppositions:
        found = suppose(snapshot, [supposition], asker)
        if isinstance(found, Reason):
            return found
        if row_of(found, workload) is None:
            return refused(supposition.text, "asked_gone")
        snapshot = found
    return snapshot


def asker_of(find: Find, snapshot: Snapshot, projects: frozenset[str] | None, this: str) -> Asker:
    """Who asks about a workload of the plane, with what its records know beyond the snapshot."""

    def rater(id: str, value: int) -> PolicyRater:
        found = find(id)
        own = snapshot.policy.class_of(found.spec.priority) if found else None
        other = class_of(snapshot.policy, value, preempts=False)
        supposed = other.name if other is not None and (own is None or own.value != value) else own.name if own else ""
        return PolicyRater(snapshot.policy, supposed)

    def grace_ms(id: str) -> int:
        found = find(id)
        return found.spec.grace_ms if found else 0

    return Asker(rater=rater, grace_ms=grace_ms, projects=projects, this=this)
