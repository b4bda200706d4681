"""One snapshot under two policies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dure.model.policy import Policy, Price, PriorityClass
from dure.scheduler import Difference, Rater, Tally, class_of, difference, plan, tally, under_policy, without_effect
from dure.scheduler.compare import rated_anew
from tests.builders.world import World


def rater(policy: Policy, name: str) -> Rater:
    """A won for each worker, in thousandths of the class's factor."""

    def rate(
        accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int, share_milli: int, limit_ms: int,
        preemptible: bool, priority: str,
    ) -> tuple[int, ...]:  # fmt: skip
        return (workers * policy.class_of(priority or name).price_permille // 1000, -1)

    return rate


def world() -> World:
    made = World().site("s", nodes=1, cores=8).site("t", nodes=1, cores=2)
    made.award("lab", 10)
    made.pending("high", cores=8, priority="high", hold=3).pending("low", cores=8, priority="low", hold=1)
    return made.pending("small", cores=1, priority="normal", hold=2)


def classes(**values: int) -> tuple[PriorityClass, ...]:
    return tuple(replace(c, value=values.get(c.name, c.value)) for c in Policy().classes)


def test_under_the_same_policy_it_is_the_same_snapshot() -> None:
    s = world().snapshot()
    then = under_policy(s, s.policy, rater)
    assert plan(then).start_pending.tolist() == plan(s).start_pending.tolist()
    assert then.pending.priority.tolist() == s.pending.priority.tolist()
    assert then.alternatives.hold.tolist() == s.alternatives.hold.tolist()


def test_classes_keep_their_names_and_get_their_new_values() -> None:
    s = world().attempt("a", [("t/n0", 0)], priority="low", cores=1).snapshot()
    then = under_policy(s, replace(Policy(), classes=classes(low=900)), rater)
    first, second = plan(s), plan(then)
    assert then.attempts.priority.tolist() == [900]
    assert difference(s, first, then, second) == Difference(
        both=("small",), only_first=("high",), only_second=("low",), elsewhere=()
    )
    assert tally(first) == tally(second) == Tally(starts=2, claims=0, waits=1, promised=1, victims=0)


def test_a_class_that_is_gone_counts_as_the_first_and_one_that_never_was_stays() -> None:
    s = world().snapshot()
    strange = s.pending.priority.copy()
    strange[s.pending.ids.index("small")] = 12345
    s = replace(s, pending=replace(s.pending, priority=strange))
    without = tuple(c for c in Policy().classes if c.name != "high")
    then = under_policy(s, replace(Policy(), classes=without), rater)
    at = dict(zip(then.pending.ids, then.pending.priority.tolist(), strict=True))
    assert at == {"high": 0, "low": 100, "small": 12345}
    unknown = world().attempt("a", [("t/n0", 0)], cores=1).snapshot()
    odd = unknown.attempts.priority.copy()
    odd[:] = 777
    unknown = replace(unknown, attempts=replace(unknown.attempts, priority=odd))
    assert under_policy(unknown, Policy(), rater).attempts.priority.tolist() == [777]


def test_holds_are_rated_anew_where_a_price_or_factor_differs() -> None:
    s = world().snapshot()
    dearer = tuple(replace(c, price_permille=9000) for c in Policy().classes)
    then = under_policy(s, replace(Policy(), classes=dearer), rater)
    assert then.alternatives.hold[:, 0].tolist() == [9, 9, 9]
    assert plan(then).start_pending.tolist() == [0], "ten won pay for one of them"


@pytest.mark.parametrize(
    "other",
    [
        replace(Policy(), prices=(Price(resource="core", nano=1),)), replace(Policy(), preemptible_permille=1),
        replace(Policy(), classes=tuple(replace(c, price_permille=1) for c in Policy().classes)),
    ],
)  # fmt: skip
def test_what_makes_a_price_is_known(other: Policy) -> None:
    assert rated_anew(Policy(), other)
    assert not rated_anew(Policy(), replace(Policy(), reservations_max=1, classes=classes(low=7)))


def test_fields_whose_effect_is_in_the_snapshot_already_are_named() -> None:
    other = replace(Policy(), half_life_ms=1, reservations_max=1, site_silent_ms=2)
    assert without_effect(Policy(), other) == ("half_life_ms", "site_silent_ms")


def test_a_row_is_of_the_class_with_its_value_and_right() -> None:
    twins = (PriorityClass(name="a", value=5), PriorityClass(name="b", value=5, preempts=True))
    policy = replace(Policy(), classes=twins)
    found = [class_of(policy, 5, preempts) for preempts in (False, True)]
    assert [c.name for c in found if c] == ["a", "b"]
    assert class_of(policy, 6, False) is None
    only = class_of(replace(Policy(), classes=twins[:1]), 5, True)
    assert only is not None and only.name == "a"


def test_what_starts_at_another_site_is_told_apart() -> None:
    s = World().site("s", nodes=1, cores=4).site("t", nodes=1, cores=8).pending("job", cores=4).snapshot()
    then = replace(s, sites=replace(s.sites, drained=~s.sites.drained & (s.nodes.site == 0)))
    assert difference(s, plan(s), then, plan(then)).elsewhere == ("job",)
