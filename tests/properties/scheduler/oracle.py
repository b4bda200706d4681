"""What the properties compare with: slow and plain, by planning the whole queue again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from itertools import combinations, product
from typing import Any

import numpy as np

from dure.model.reason import Reason
from dure.scheduler import (
    Change,
    NextEvent,
    NoChange,
    Plan,
    Rater,
    Snapshot,
    Why,
    apply_change,
    check,
    plan,
    reason_of,
    suggest,
    why,
)
from dure.scheduler.change import only as by_itself
from dure.scheduler.planning import Planning
from dure.scheduler.quotas import use_of
from dure.scheduler.rows import picked
from dure.scheduler.snapshot import LAUNCHING, Attempts, Pending, freeze, limits_ms

FIELDS = tuple(f.name for f in fields(Change) if f.name != "claims")  # cheapest for others first
NUMBERS = ("workers", "cores_milli", "memory_mib", "devices", "share_milli", "limit_ms")
LEAST = {
    "limit_ms": 60_000, "memory_mib": 64, "cores_milli": 100, "devices": 1, "share_milli": 50, "workers": 1, "workers_min": 1,
}  # fmt: skip


# -- changes ----------------------------------------------------------------------------------------------------------------


def priced(s: Snapshot, rater: Callable[[Snapshot, int], Rater]) -> Snapshot:
    """The snapshot with the holds that each one's rater asks for, as those of a plane are."""
    p, names = s.pending, (*s.accelerators, "")
    lasts = limits_ms(s).tolist()
    holds = [
        rater(s, row)(names[int(s.alternatives.accelerator[i])], *(int(getattr(p, n)[row]) for n in NUMBERS[:-1]), lasts[i],
                      bool(p.preemptible[row]), "")
        for row in range(len(p.ids))
        for i in range(p.alt_ptr[row], p.alt_ptr[row + 1])
    ]  # fmt: skip
    return freeze(replace(s, alternatives=replace(s.alternatives, hold=np.array(holds, np.int64))))


def starts(s: Snapshot, row: int, change: Change, rate: Rater) -> bool:
    return row in plan(apply_change(s, row, change, rate)).start_pending.tolist()


def values(s: Snapshot, row: int, projects: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """By field: what it could be changed to, nearest first. Every value of the small numbers, steps of the rest."""
    p = s.pending
    own = s.alternatives.accelerator[p.alt_ptr[row] : p.alt_ptr[row + 1]].tolist()
    found: dict[str, list[Any]] = {"all_sites": [True] if p.site_ptr[row] < p.site_ptr[row + 1] else []}
    found["topology"] = ["any"] if p.block[row] and p.workers[row] > 1 else []
    others = [(a,) for i, a in enumerate(s.accelerators) if i not in own]
    found["accelerators"] = others if p.devices[row] + p.share_milli[row] else []
    for name, least in LEAST.items():
        asked = int(getattr(p, name)[row])
        step = 1 if asked <= 8 else max(1, (asked - least) // 7)
        found[name] = [*range(asked - 1, least, -step), least] if asked > least else []
    if p.workers_min[row]:  # then the fewest keep it waiting, and not the most
        found["workers"] = []
    found["project"] = [each for each in projects if each != s.projects.ids[p.project[row]]]
    found["funds_won"] = [1, 10, 40, 90, 500, 10_000, 1 << 40]
    found["priority"] = [c.name for c in sorted(s.policy.classes, key=lambda c: c.value) if c.value > p.priority[row]]
    return {name: found[name] for name in FIELDS if found[name]}


def smaller(s: Snapshot, row: int, than: Change | None, projects: tuple[str, ...] = ()) -> Iterator[Change]:
    """Changes that are smaller than one, in order; all of one or two fields when there is none. projects: that may be others."""
    known = values(s, row, projects)
    changed = than.changed() if than else ()
    for names in (*combinations(known, 1), *combinations(known, 2)):
        if set(names) == {"project", "priority"}:  # never looked for
            continue
        for chosen in product(*(known[name] for name in names)):
            change = Change(**dict(zip(names, chosen, strict=True)))
            if names != changed or _nearer(known, change, than):
                yield change
        if names == changed:
            return


def _nearer(known: dict[str, list[Any]], change: Change, than: Change | None) -> bool:
    """Whether the first field that differs is nearer to what was asked."""
    for name in change.changed():
        mine, its = getattr(change, name), getattr(than, name)
        if mine != its:
            if name in LEAST:
                return bool(mine > its)
            return bool(mine < its) if name == "funds_won" else known[name].index(mine) < known[name].index(its)
    return False


# -- what comes -------------------------------------------------------------------------------------------------------------


def later(s: Snapshot, p: Plan, at_ms: int, only: tuple[int, ...] = ()) -> Snapshot:
    """The snapshot at a later moment when the plan, without victims, was carried out and attempts left only by their limits.
    only: these still wait, and nobody else."""
    ends = np.maximum(s.attempts.ends_ms, s.now_ms + 1000)
    for i, claim in enumerate(s.attempts.beneficiary.tolist()):
        if claim >= 0:
            ends[claim] = max(ends[claim], ends[i] + s.attempts.ends_ms[claim] - s.attempts.started_ms[claim])
    waiting = np.array(only or np.setdiff1d(np.arange(len(s.pending.ids)), p.start_pending))
    live = _live(s, p, np.flatnonzero(ends > at_ms), at_ms)
    used = use_of(live, s.nodes, s.projects, len(s.shares.ids), len(s.accelerators))
    after = replace(s, now_ms=at_ms, attempts=live, quotas=replace(s.quotas, used=used))
    low, high = s.pending.alt_ptr[:-1][waiting], s.pending.alt_ptr[1:][waiting]
    rows = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
    alternatives = picked(s.alternatives, rows)
    return freeze(replace(after, pending=_taken(s.pending, waiting), alternatives=alternatives))


def _taken(p: Pending, rows: np.ndarray) -> Pending:
    runs = ("ids", "site_ptr", "site_row", "alt_ptr", "data_ptr", "data_row")
    plain = {f.name: getattr(p, f.name)[rows] for f in fields(p) if f.name not in runs}
    sites = [p.site_row[p.site_ptr[r] : p.site_ptr[r + 1]] for r in rows]
    data = [p.data_row[p.data_ptr[r] : p.data_ptr[r + 1]] for r in rows]
    return Pending(
        ids=tuple(p.ids[r] for r in rows),
        site_ptr=np.cumsum([0, *(len(x) for x in sites)]).astype(np.int32),
        site_row=np.concatenate([np.zeros(0, np.int32), *sites]).astype(np.int32),
        alt_ptr=np.cumsum([0, *(p.alt_ptr[1:] - p.alt_ptr[:-1])[rows]]).astype(np.int32),
        data_ptr=np.cumsum([0, *(len(x) for x in data)]).astype(np.int32),
        data_row=np.concatenate([np.zeros(0, np.int32), *data]).astype(np.int32),
        **plain,
    )


def _live(s: Snapshot, p: Plan, stay: np.ndarray, at_ms: int) -> Attempts:
    """Those that stay, and what the plan has started, which sorts behind them."""
    a, w = s.attempts, s.pending
    lasts = limits_ms(s)[p.start_alternative]
    new = [(i, row) for i, row in enumerate(p.start_pending.tolist()) if s.now_ms + lasts[i] > at_ms]
    rows = [row for _, row in new]
    seats = [range(a.worker_ptr[i], a.worker_ptr[i + 1]) for i in stay]
    mine = [range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1]) for i, _ in new]
    at = {int(old): i for i, old in enumerate(stay)}

    def column(old: np.ndarray, more: Any) -> np.ndarray:
        return np.concatenate([old[stay], np.array(more, old.dtype)])

    now = [s.now_ms] * len(new)
    return Attempts(
        ids=(*(a.ids[i] for i in stay), *(f"~{w.ids[row]}" for row in rows)),
        workloads=(*(a.workloads[i] for i in stay), *(w.ids[row] for row in rows)),
        state=column(a.state, [LAUNCHING] * len(new)),
        project=column(a.project, w.project[rows]),
        priority=column(a.priority, w.priority[rows]),
        preemptible=column(a.preemptible, w.preemptible[rows]),
        yields=column(a.yields, [False] * len(new)),
        started_ms=column(a.started_ms, now),
        ends_ms=column(a.ends_ms, [s.now_ms + lasts[i] for i, _ in new]),
        checkpoint_ms=column(a.checkpoint_ms, now),
        cores_milli=column(a.cores_milli, w.cores_milli[rows]),
        memory_mib=column(a.memory_mib, w.memory_mib[rows]),
        beneficiary=np.array([*(at.get(int(b), -1) for b in a.beneficiary[stay]), *[-1] * len(new)], np.int32),
        worker_ptr=np.cumsum([0, *map(len, seats), *map(len, mine)]).astype(np.int32),
        worker_node=np.array(
            [*(a.worker_node[k] for r in seats for k in r), *(p.start_node[k] for r in mine for k in r)], np.int32
        ),
        worker_mask=np.array(
            [*(a.worker_mask[k] for r in seats for k in r), *(p.start_mask[k] for r in mine for k in r)], np.uint64
        ),
        share_milli=column(a.share_milli, w.share_milli[rows]),
        rest_ms=column(a.rest_ms, [0] * len(new)),
        follows=np.array([*(at.get(int(f), -1) for f in a.follows[stay]), *[-1] * len(new)], np.int32),
        grace_ms=column(a.grace_ms, [0] * len(new)),
    )


# -- what is told of those who wait ----------------------------------------------------------------------------------------------


def changed(s: Snapshot, rate: Rater | None = None) -> Iterator[tuple[int, Change, Plan]]:
    """Each that a smallest change is told of, with the plan that it makes: it starts there, and the plan passes the check."""
    for row in range(len(s.pending.ids)):
        found = suggest(s, row, rate)
        if found.change is None:
            continue
        then = apply_change(s, row, found.change, rate)
        p = plan(then)
        assert row in p.start_pending
        assert check(then, p) == ()
        yield row, found.change, p


def victims_of(p: Plan, i: int) -> list[int]:
    found: list[int] = p.victim_attempt[p.start_victim_ptr[i] : p.start_victim_ptr[i + 1]].tolist()
    return found


def start_as_told(s: Snapshot) -> None:
    """Each that a smallest change is told of makes others leave exactly if that was told, too."""
    for row, change, p in changed(s):
        assert bool(victims_of(p, p.start_pending.tolist().index(row))) == change.claims


def answered(s: Snapshot) -> Iterator[tuple[int, Why, Reason | None, Plan]]:
    """What each is told, the same from the state in which the plan was left; first of all what the plan says, if it waits."""
    left = Planning(s)
    left.run()
    p = left.plan()
    for row in range(len(s.pending.ids)):
        reason, answer = reason_of(s, p, row), why(s, p, row, plans_max=0)
        assert answer == why(s, p, row, plans_max=0, residual=left)
        assert reason is None or answer.reasons[0] == reason
        yield row, answer, reason, p


def may_start(s: Snapshot) -> bool:
    """Whether the first that waits takes part at all."""
    return bool(not s.draining and s.pending.eligible_ms[0] <= s.now_ms and s.pending.dependency[0] == 0)


def nothing_smaller_starts(s: Snapshot, rater: Callable[[Snapshot, int], Rater]) -> None:
    """Of each that waits, if it were alone: by brute force, no smaller change than is suggested starts it."""
    for row in range(len(s.pending.ids)):
        alone, rate = by_itself(s, row), rater(s, row)
        found = suggest(alone, 0, rate, plans_max=1000)
        if found.no_change not in (NoChange.STARTS_ALREADY, NoChange.NOT_YET):
            assert not any(starts(alone, 0, c, rate) for c in smaller(alone, 0, found.change))


def preempted_then(s: Snapshot, p: Plan, id: str, event: NextEvent) -> Snapshot:
    """The snapshot of the moment that was told of: it starts then behind as many victims, and not a millisecond before."""
    before, then = later(s, p, event.at_ms - 1), later(s, p, event.at_ms)
    assert before.pending.ids.index(id) not in plan(before).start_pending
    carried = plan(then)
    assert check(then, carried) == ()
    at = carried.start_pending.tolist().index(then.pending.ids.index(id))
    victims = carried.victim_attempt[carried.start_victim_ptr[at] : carried.start_victim_ptr[at + 1]].tolist()
    assert event.subject in {then.attempts.ids[v] for v in victims} and event.victims == len(victims)
    return then
