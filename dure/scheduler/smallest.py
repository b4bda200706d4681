"""The smallest change that would start a waiting workload now.

Smallest: fewest fields, one or two; then the field that stands first in FIELDS, which goes from what costs nobody anything to
what costs others their turn; of a number, the value nearest to what was asked. Numbers are found by bisection. Every
change is proved by planning again on the changed snapshot, so what is suggested does start, at once or as a claim.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from typing import Any

from dure.scheduler.change import Change, NoChange, Rater, apply_change, only
from dure.scheduler.cycle import Cycle, not_yet
from dure.scheduler.decisions import Start
from dure.scheduler.funds import KRW
from dure.scheduler.snapshot import Snapshot

FIELDS = (
    "all_sites", "accelerators", "limit_ms", "memory_mib", "cores_milli", "devices", "workers", "funds_won", "priority",
)  # fmt: skip
# A suggestion below these would start something that can do no work.
LEAST = {"limit_ms": 60_000, "memory_mib": 64, "cores_milli": 100, "devices": 1, "workers": 1}
PLANS_MAX = 400  # plans of the whole queue per search; those of the workload alone, which come first, are cheap
TAKES_ALL = 1 << 50  # won that covers anything that a project could ask for


def smallest_change(snapshot: Snapshot, row: int, rate: Rater | None = None, plans_max: int = PLANS_MAX) -> Change | None:
    """The smallest change that starts the workload in `row` now, or None; `suggest` says why None."""
    found = suggest(snapshot, row, rate, plans_max)
    return found if isinstance(found, Change) else None


def suggest(snapshot: Snapshot, row: int, rate: Rater | None = None, plans_max: int = PLANS_MAX) -> Change | NoChange:
    """The smallest change, or why there is none."""
    if not_yet(snapshot, row) is not None:
        return NoChange.NOT_YET
    if start_of(snapshot, row) is not None:
        return NoChange.STARTS_ALREADY
    search = Search(snapshot, row, rate, plans_max)
    values = _values(snapshot, row, rate)
    for names in (*combinations(values, 1), *combinations(values, 2)):
        for chosen in product(*(values[name] for name in names)):
            found = search.nearest(dict(zip(names, chosen, strict=True)))
            if found is not None:
                return found
    return NoChange.NONE_SUFFICES if search.plans_left else NoChange.SEARCH_ENDED


def start_of(snapshot: Snapshot, row: int) -> Start | None:
    """How the plan starts this workload, if it does. Those whose turn comes later are not looked at: they change nothing."""
    cycle = Cycle(snapshot)
    cycle.run(until=row)
    return cycle.done.starts.get(row)


class Search:
    """Plans on changed snapshots of one workload, a bounded number of them."""

    def __init__(self, snapshot: Snapshot, row: int, rate: Rater | None, plans_max: int) -> None:
        self._snapshot, self._row, self._rate = snapshot, row, rate
        self._tried: dict[Change, Start | None] = {}
        self.plans_left = plans_max

    def start(self, change: Change) -> Start | None:
        if change not in self._tried:
            self._tried[change] = self._plan(change)
        return self._tried[change]

    def _plan(self, change: Change) -> Start | None:
        changed = apply_change(self._snapshot, self._row, change, self._rate)
        # Others only use up: what does not start alone does not start among them.
        if start_of(only(changed, self._row), 0) is None or self.plans_left == 0:
            return None
        self.plans_left -= 1
        return start_of(changed, self._row)

    def nearest(self, extreme: dict[str, Any]) -> Change | None:
        """From values as far as they may go, the nearest ones that still start it; None when not even the farthest do."""
        change = Change(**extreme)
        if self.start(change) is None:
            return None
        for name in extreme:
            if name in LEAST:
                asked = int(getattr(self._snapshot.pending, name)[self._row])
                change = self._bisect(change, name, asked)
            elif name == "funds_won":
                change = self._least_money(change)
        start = self.start(change)
        return replace(change, claims=bool(start and start.victims))

    def _bisect(self, change: Change, name: str, fails: int) -> Change:
        """The value nearest to one that fails, between it and the one in `change`, which starts."""
        starts = int(getattr(change, name))
        while abs(starts - fails) > 1:
            middle = (starts + fails) // 2
            if self.start(_with(change, name, middle)) is not None:
                starts = middle
            else:
                fails = middle
        return _with(change, name, starts)

    def _least_money(self, change: Change) -> Change:
        """The gap at its turn is nearly always the answer; where money also moves others, bisection finds it."""
        cycle = Cycle(apply_change(self._snapshot, self._row, replace(change, funds_won=0), self._rate))
        cycle.run(until=self._row)
        for gap in cycle.gaps(cycle.groups[cycle.group_of[self._row]]):
            exact = replace(change, funds_won=gap)
            if self.start(exact) is not None and (gap == 1 or self.start(replace(change, funds_won=gap - 1)) is None):
                return exact
        return self._bisect(change, "funds_won", 0)


def _with(change: Change, name: str, value: int) -> Change:
    values: Any = {name: value}
    return replace(change, **values)


def _values(s: Snapshot, row: int, rate: Rater | None) -> dict[str, list[object]]:
    """By field, in order of cost: the values to try; of numbers the farthest."""
    p = s.pending
    low, high = int(p.alt_ptr[row]), int(p.alt_ptr[row + 1])
    accepted = {s.accelerators[a] for a in s.alternatives.accelerator[low:high].tolist() if a >= 0}
    found: dict[str, list[object]] = {}
    found["all_sites"] = [True] if p.site_ptr[row] < p.site_ptr[row + 1] else []
    found["accelerators"] = [(a,) for a in s.accelerators if a not in accepted] if rate and p.devices[row] else []
    for name, least in LEAST.items():
        found[name] = [least] if getattr(p, name)[row] > least else []
    found["funds_won"] = [TAKES_ALL] if (s.alternatives.hold[low:high, KRW] > 0).any() else []
    higher = sorted((c.value, c.name) for c in s.policy.classes if c.value > p.priority[row])
    found["priority"] = [name for _, name in higher]
    return {name: found[name] for name in FIELDS if found[name]}
