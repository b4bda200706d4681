"""The smallest change that would start a waiting workload now.

Smallest: fewest fields, one or two; then the field that stands first in FIELDS, which goes from what costs nobody anything to
what costs others their turn; of a number, the value nearest to what was asked. Numbers are found by bisection.

Those whose turn is earlier are the same for every change but of money (a project mate may take it), of project and of priority
(another turn), or where turns go by what is asked for. So the plan up to its turn is made once for each turn that it could have,
and what else it could ask for is tried there. In the end every suggestion is proved by planning again on the changed snapshot, so
what is suggested does start, at once or as a claim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np

from dure.errors import require
from dure.model.workload import ANYWHERE
from dure.scheduler.change import Change, NoChange, Rater, apply_change, only
from dure.scheduler.funds import KRW
from dure.scheduler.order import by_demand, place_of
from dure.scheduler.planning import Chance, Pace, Planning, at_once, not_yet
from dure.scheduler.runs import gather
from dure.scheduler.snapshot import I64, Snapshot

FIELDS = (
    "all_sites", "topology", "accelerators", "limit_ms", "memory_mib", "cores_milli", "devices", "share_milli", "workers",
    "workers_min", "project", "funds_won", "priority",
)  # fmt: skip
# A suggestion below these would start something that can do no work.
LEAST = {
    "limit_ms": 60_000, "memory_mib": 64, "cores_milli": 100, "devices": 1, "share_milli": 50, "workers": 1, "workers_min": 1,
}  # fmt: skip
PLANS_MAX = 50  # plans of the whole queue per search; one for each project and priority, and some dozens where money moves others
MATES_FIRST = 4  # of its project, whom money that is given for it may start first
SOME_WON = 1  # stands for however much is needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What a search found. Either a change or the reason why there is none."""

    change: Change | None = None
    site: str = ""  # where it starts with the change; "" without one
    no_change: NoChange | None = None
    plans: int = 0  # plans of the whole queue that it made
    stopped: bool = False  # the bound on them was reached: a smaller change than what was found may exist


def smallest_change(snapshot: Snapshot, row: int, rate: Rater | None = None, plans_max: int = PLANS_MAX) -> Change | None:
    """The smallest change that starts the workload in `row` now, or None; `suggest` says why None."""
    return suggest(snapshot, row, rate, plans_max).change


def suggest(
    snapshot: Snapshot,
    row: int,
    rate: Rater | None = None,
    plans_max: int = PLANS_MAX,
    pace: Pace = at_once,
    classes: Sequence[str] | None = None,
    projects: Sequence[str] = (),
) -> Suggestion:
    """The smallest change, or why there is none. plans_max bounds how often the whole queue is planned; the proof of what was
    found comes on top. pace: as in `Planning`. classes: names of the priority classes that may be suggested; None: all.
    projects: ids of those that may be suggested instead of its own."""
    if not_yet(snapshot, row) is not None:
        return Suggestion(no_change=NoChange.NOT_YET)
    search = Search(snapshot, row, rate, plans_max, pace)
    if search.chance(Change()) is not Chance.WAITS:
        return Suggestion(no_change=NoChange.STARTS_ALREADY, plans=search.plans)
    values = _values(snapshot, row, rate, projects)
    forbidden = [name for name in values.get("priority", []) if classes is not None and name not in classes]
    values["priority"] = [name for name in values.get("priority", []) if name not in forbidden]
    found = next((f for extreme in _extremes(values) if (f := search.nearest(extreme)) is not None), None)
    if found is not None:
        return Suggestion(change=found, site=search.proved(found), plans=search.plans, stopped=search.stopped)
    no_change = _no_change(search, {**values, "priority": forbidden})
    return Suggestion(no_change=no_change, plans=search.plans, stopped=search.stopped)


def _no_change(search: Search, forbidden: dict[str, list[object]]) -> NoChange:
    """Why nothing can be suggested. forbidden: as `_values`, of priorities those that may not be suggested."""
    if not search.stopped:
        helps = next((e for e in _extremes(forbidden) if "priority" in e and search.starts(e)), None)
        if helps is not None:
            return NoChange.FORBIDDEN_CLASS if len(helps) == 1 else NoChange.FORBIDDEN_PAIR
    return NoChange.SEARCH_ENDED if search.stopped else NoChange.NONE_SUFFICES


def _extremes(values: dict[str, list[object]]) -> Iterator[dict[str, Any]]:
    """One or two fields with values as far as they may go, the smaller change first."""
    for names in (*combinations(values, 1), *combinations(values, 2)):
        if set(names) == {"project", "priority"}:  # who may use a class in one project may not therefore in another
            continue
        for chosen in product(*(values[name] for name in names)):
            yield dict(zip(names, chosen, strict=True))


def chance_of(snapshot: Snapshot, row: int, pace: Pace = at_once) -> Chance:
    """What the plan gives this workload. Those whose turn comes later are not looked at: they change nothing."""
    return outcome_of(snapshot, row, pace)[0]


def outcome_of(snapshot: Snapshot, row: int, pace: Pace = at_once) -> tuple[Chance, str]:
    """The same, and at which site; "" at none."""
    planning = Planning(snapshot, pace)
    planning.run(before=row)
    planning.turn()
    return planning.chance(row), planning.site(row)


class Search:
    """What changes of one workload would get it, with a bounded number of plans of the whole queue."""

    def __init__(self, snapshot: Snapshot, row: int, rate: Rater | None, plans_max: int, pace: Pace) -> None:
        self._snapshot, self._row, self._rate, self._pace = snapshot, row, rate, pace
        self._tried: dict[Change, Chance] = {}
        self._own = only(snapshot, row)
        self._empty = Planning(snapshot, pace)  # the plan before anybody had a turn
        self._turns: dict[tuple[str, str, int], Planning] = {}  # by `_turn`: the plan up to that
        self._plans_max = plans_max
        self.plans = 0
        self.stopped = False  # something was left out, as its plan would have gone beyond the bound

    def chance(self, change: Change) -> Chance:
        if change not in self._tried:
            self._tried[change] = self._with_money(change) if change.funds_won else self._at_its_turn(change)
        return self._tried[change]

    def proved(self, change: Change) -> str:
        """The site at which it starts with the change, after planning as the next step would."""
        chance, site = outcome_of(self._changed(change), self._row, self._pace)
        require(chance is (Chance.CLAIMS if change.claims else Chance.STARTS), f"it does not start with {change}")
        return site

    def starts(self, extreme: dict[str, Any]) -> bool:
        """Whether values as far as they may go start it. How near they could be is not looked for."""
        return self._reached(Change(**extreme)) is not None

    def nearest(self, extreme: dict[str, Any]) -> Change | None:
        """From values as far as they may go, the nearest ones that still start it; None when not even the farthest do, or when
        too few plans are left to tell how near they are."""
        stopped, self.stopped = self.stopped, False
        reached = self._reached(Change(**extreme))
        change = None if reached is None else self._narrowed(reached, list(extreme))
        told, self.stopped = not self.stopped, self.stopped or stopped
        return change if told else None

    # -- trying ---------------------------------------------------------------------------------------------------------

    def _at_its_turn(self, change: Change) -> Chance:
        alone = self._alone(change)
        if self._turn(change) not in self._turns and not self._starts_alone(alone):
            return Chance.WAITS
        planning = self._lead_up(change)
        return Chance.WAITS if planning is None else planning.about(alone).chance

    def _with_money(self, change: Change) -> Chance:
        if not self._starts_alone(self._alone(change)) or not self._may_plan():
            return Chance.WAITS
        return chance_of(self._changed(change), self._row, self._pace)

    def _alone(self, change: Change) -> Snapshot:
        """The changed workload and nobody else who waits."""
        return apply_change(self._own, 0, change, self._rate)

    def _starts_alone(self, alone: Snapshot) -> bool:
        """Others only use up: what does not start alone does not start among them, and need not be planned."""
        return self._empty.about(alone).chance is not Chance.WAITS

    def _changed(self, change: Change) -> Snapshot:
        return apply_change(self._snapshot, self._row, change, self._rate)

    def _turn(self, change: Change) -> tuple[str, str, int]:
        """The project and the class asked for ("": its own), and how many come before it, where what it asks for decides that."""
        s = self._snapshot
        ahead = place_of(s, self._row, self._alone(change)) if by_demand(s.policy.order) else 0
        return change.project, change.priority, ahead

    def _lead_up(self, change: Change) -> Planning | None:
        """The plan up to its turn, as though nothing but that kept it waiting: until then its demand, limit, sites and types
        cannot have changed anything, so any of them may be asked about. None when it would be one plan too many."""
        turn = self._turn(change)
        if turn not in self._turns:
            if not self._may_plan():
                return None
            there = Change(project=change.project, priority=change.priority)
            if by_demand(self._snapshot.policy.order):
                there = replace(change, funds_won=0)
            planning = Planning(self._changed(there), self._pace, also=self._row)
            planning.run(before=self._row)
            self._turns[turn] = planning
        return self._turns[turn]

    def _may_plan(self) -> bool:
        if self.plans == self._plans_max:
            self.stopped = True
            return False
        self.plans += 1
        return True

    # -- narrowing ------------------------------------------------------------------------------------------------------

    def _narrowed(self, change: Change, names: list[str]) -> Change:
        for name in names:
            if name in LEAST:
                change = self._bisect(change, name, int(getattr(self._snapshot.pending, name)[self._row]))
            elif name == "funds_won":
                change = self._least_money(change)
        return replace(change, claims=self.chance(change) is Chance.CLAIMS)

    def _reached(self, change: Change) -> Change | None:
        """The change if it starts it; one with money with the least of the amounts that are tried: the gaps at its turn, then all
        that its project could ask for. Mostly both do or neither, but more than the gap may let a project mate take its place."""
        for won in self._amounts(change) if change.funds_won else (0,):
            tried = replace(change, funds_won=won)
            if self.chance(tried) is not Chance.WAITS:
                return tried
        return None

    def _amounts(self, change: Change) -> list[int]:
        most = self._pays_all(change)
        if not most or not self._starts_alone(self._alone(replace(change, funds_won=most))):
            return []
        gaps = self._gaps(change)
        beside = [gaps[0] + others for others in self._mates_first(change)] if gaps else []
        return [*gaps, *(won for won in beside if gaps[-1] < won < most), most]

    def _mates_first(self, change: Change) -> list[int]:
        """What the cheapest of its project's other jobs want, one after the other: they may take what is given before it can."""
        holds = self._mates_holds(change)
        wanted: list[int] = np.cumsum(np.sort(holds[holds > 0])[:MATES_FIRST]).tolist()
        return wanted

    def _bisect(self, change: Change, name: str, fails: int) -> Change:
        """The value nearest to one that fails, between it and the one in `change`, which starts."""
        starts = int(getattr(change, name))
        while abs(starts - fails) > 1:
            middle = (starts + fails) // 2
            reached = self._reached(_with(change, name, middle))
            change, starts, fails = (change, starts, middle) if reached is None else (reached, middle, fails)
        return change

    def _least_money(self, change: Change) -> Change:
        """The amount in `change`, which starts it, is nearly always the gap at its turn, and one won less would not do. Where it
        is more, as money also moves others, bisection finds it."""
        starts, fails = change.funds_won, 0
        if starts in self._gaps(change) and self._fails_with(change, starts - 1):
            return change
        while starts - fails > 1:
            middle = (starts + fails) // 2
            starts, fails = (starts, middle) if self._fails_with(change, middle) else (middle, fails)
        return replace(change, funds_won=starts)

    def _fails_with(self, change: Change, won: int) -> bool:
        return won == 0 or self.chance(replace(change, funds_won=won)) is Chance.WAITS

    def _gaps(self, change: Change) -> list[int]:
        """Won that is missing when it is its turn, smallest first, for one alternative and site or another."""
        planning = self._lead_up(change)
        return [] if planning is None else planning.about(self._alone(replace(change, funds_won=0))).gaps()

    def _pays_all(self, change: Change) -> int:
        """Won that its whole project could not ask for more of: as good as any larger amount."""
        unpaid = self._alone(replace(change, funds_won=0))
        return int(self._mates_holds(change).sum()) + max(0, int(unpaid.alternatives.hold[:, KRW].max()))

    def _mates_holds(self, change: Change) -> I64:
        """Won that its project's other waiting jobs would hold, on each of the types that they accept."""
        p, hold, ids = self._snapshot.pending, self._snapshot.alternatives.hold, self._snapshot.projects.ids
        project = ids.index(change.project) if change.project else p.project[self._row]
        mates = np.flatnonzero(p.project == project)
        _, theirs = gather(p.alt_ptr, mates[mates != self._row])
        won: I64 = np.maximum(hold[theirs, KRW], 0)
        return won


def _with(change: Change, name: str, value: int) -> Change:
    values: Any = {name: value}
    return replace(change, **values)


def _values(s: Snapshot, row: int, rate: Rater | None, projects: Sequence[str]) -> dict[str, list[object]]:
    """By field, in order of cost: the values to try; of numbers the farthest."""
    p = s.pending
    low, high = int(p.alt_ptr[row]), int(p.alt_ptr[row + 1])
    accepted = {s.accelerators[a] for a in s.alternatives.accelerator[low:high].tolist() if a >= 0}
    found: dict[str, list[object]] = {}
    found["all_sites"] = [True] if p.site_ptr[row] < p.site_ptr[row + 1] else []
    found["topology"] = [ANYWHERE] if p.block[row] and p.workers[row] > 1 else []
    wants = p.devices[row] + p.share_milli[row] > 0
    found["accelerators"] = [(a,) for a in s.accelerators if a not in accepted] if rate and wants else []
    for name, least in LEAST.items():
        found[name] = [least] if getattr(p, name)[row] > least else []
    if p.workers_min[row]:  # that it asks for more than these keeps it from nothing
        found["workers"] = []
    own = s.projects.ids[p.project[row]]
    found["project"] = [each for each in projects if each != own and each in s.projects.ids]
    # with a rater, another demand may cost money where this one does not
    found["funds_won"] = [SOME_WON] if rate or (s.alternatives.hold[low:high, KRW] > 0).any() else []
    higher = sorted((c.value, c.name) for c in s.policy.classes if c.value > p.priority[row])
    found["priority"] = [name for _, name in higher]
    return {name: found[name] for name in FIELDS if found[name]}
