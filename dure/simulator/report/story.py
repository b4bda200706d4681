"""What a report tells, worked out once: the comparison, and who the runs are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from dure.simulator.report.compare import HIGHER, Row, Table, common, compare
from dure.simulator.report.groups import Group, by_size, by_tenant
from dure.simulator.report.markup import shown
from dure.simulator.report.metrics import Value
from dure.simulator.report.run import Run
from dure.simulator.report.usage import Draw, draw_of
from dure.simulator.report.words import Words, short

WORTH_SAYING = 0.05  # relative: what gets worse by more than this is said beside what got better
SECONDS_SAID = 60  # and of times, only where at least so many seconds lie between
WORSE_MAX = 3
# What may get worse when waiting gets better.
_PRICES = ("jobs.never_started", "queueing.p99", "wait.longest", "wait.widest", "slowdown.tenant_worst", "fairness.jain",
           "utilisation.steady", "fragmentation", "makespan", "lost", "energy", "domestic")  # fmt: skip


@dataclass(frozen=True)
class Story:
    """Runs of one trace, to be told in one language."""

    runs: Sequence[Run]
    words: Words

    @cached_property
    def table(self) -> Table:
        return compare(self.runs)

    @cached_property
    def policies(self) -> tuple[str, ...]:
        return tuple(shown(policy) for policy in self.table.policies)

    @cached_property
    def sizes(self) -> list[list[Group]]:
        among = common(self.runs)
        return [by_size(run, among) for run in self.runs]

    @cached_property
    def tenants(self) -> list[list[Group]]:
        among = common(self.runs)
        return [by_tenant(run, among) for run in self.runs]

    @cached_property
    def draws(self) -> list[Draw | None]:
        return [draw_of(run) for run in self.runs]

    @property
    def measured(self) -> str:
        return self.runs[0].fleet.measured

    def has(self, key: str) -> bool:
        """Whether a measure is known of any run."""
        return any(row.measure.key == key for row in self.table.rows)

    def each(self, say: Callable[[int], str]) -> str:
        """Something of every policy, in one breath."""
        told = (self.words.say("of_policy", policy=policy, value=say(place)) for place, policy in enumerate(self.policies))
        return self.words.say("and").join(told)

    def each_value(self, key: str) -> str:
        row = self.table.row(key)
        return self.each(lambda place: self.words.value(row.values[place], row.measure.unit))


def headline(story: Story) -> str:
    """What differs between the policies in waiting, in one sentence; in another the CO₂ of the whole run, where it is known."""
    return " ".join(part for part in (_waiting(story), _carbon(story)) if part)


def _carbon(story: Story) -> str:
    """What the policies emit: the least and the most, where it is not the same."""
    if not story.has("carbon"):
        return ""
    words, row = story.words, story.table.row("carbon")
    known = [(value, policy) for value, policy in zip(row.values, story.policies, strict=True) if value is not None]
    (low, best), (high, worst) = min(known), max(known)
    least, most = (words.value(value, row.measure.unit) for value in (low, high))
    if high - low <= 0.005 * high or least == most:
        return words.say("head.carbon", most=most)
    return words.say("head.carbon_from", best=best, least=least, worst=worst, most=most)


def _waiting(story: Story) -> str:
    words, waits = story.words, story.table.row("queueing.mean").values if story.table.compared else ()
    known = [value for value in waits if value is not None]
    if not known:
        return words.say("head.nothing")
    low, high = min(known), max(known)
    if len(known) == 1:
        half, use = (story.table.row(key).values[0] if story.has(key) else None for key in ("queueing.p50", "utilisation"))
        facts = {"policy": story.policies[0], "mean": words.duration(low), "use": words.value(use, "share")}
        return words.say("head.one", **facts, half=words.value(half, "s")) if half else words.say("head.one_now", **facts)
    if high - low <= max(0.005 * high, 0.001):
        return words.say("head.same", mean=words.duration(high))
    who = {"best": story.policies[waits.index(low)], "worst": story.policies[waits.index(high)], "high": words.duration(high)}
    if low < 0.001:
        return words.say("head.none", **who)
    kind, factor = ("times", short(high / low)) if high >= 2 * low else ("percent", short(100 * (high / low - 1)))
    return words.say(f"head.{kind}", **who, low=words.duration(low), factor=factor)


def price(story: Story) -> str:
    """What the policy that waits least does worse than another, or that nothing got worse; "" where there is no such policy."""
    words, rows = story.words, [story.table.row(key) for key in _PRICES if story.has(key)]
    if len(story.runs) < 2 or not story.table.compared or not any(story.table.row("queueing.mean").best):
        return ""
    best = story.table.row("queueing.mean").best.index(True)
    worse = sorted(((_worse(row, best), row) for row in rows), key=lambda each: -each[0])
    items = [_said(story, row, best) for by, row in worse[:WORSE_MAX] if by > WORTH_SAYING]
    if not items:
        return words.say("head.fine", best=story.policies[best], limit=short(100 * WORTH_SAYING))
    return words.say("head.but", best=story.policies[best], items="; ".join(items))


def _worse(row: Row, place: int) -> float:
    """By what part of the best value this one is worse; 0 where it is the best, or too little lies between to be said."""
    value, best = row.values[place], _best(row)
    if value is None or best is None or (row.measure.unit == "s" and abs(value - best) < SECONDS_SAID):
        return 0.0
    loss = best - value if row.measure.better == HIGHER else value - best
    return loss / best if best else float("inf") if loss > 0 else 0.0


def _best(row: Row) -> Value:
    known = [value for value, best in zip(row.values, row.best, strict=True) if best]
    return known[0] if known else None


def _said(story: Story, row: Row, place: int) -> str:
    words, unit, other = story.words, row.measure.unit, row.best.index(True)
    return words.say("head.but_item", what=words.label(row.measure.key), value=words.value(row.values[place], unit),
                     other=story.policies[other], there=words.value(row.values[other], unit))  # fmt: skip
