"""Another project as the smallest change: by its money, its share and its quota, and never together with another class."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dure.errors import InvariantViolated
from dure.model.policy import Policy
from dure.scheduler import Change, NoChange, apply_change, plan, suggest
from tests.builders.world import World


def two_projects() -> World:
    """A job of a project without money, and a project that has some."""
    world = World().site("s", 1, cores=8).project("poor").project("rich").award("rich", 100)
    return world.pending("w", project="poor", cores=4, hold=50)


def test_the_project_that_can_pay_is_suggested_with_the_site_where_it_starts() -> None:
    s = two_projects().snapshot()
    found = suggest(s, 0, projects=("poor", "nowhere", "rich"))
    assert (found.change, found.site) == (Change(project="rich"), "s")
    then = apply_change(s, 0, Change(project="rich"))
    assert plan(then).start_pending.tolist() == [0]
    assert then.projects.ids[then.pending.project[0]] == "rich"


def test_without_others_money_is_suggested() -> None:
    found = suggest(two_projects().snapshot(), 0)
    assert found.change is not None and found.change.changed() == ("funds_won",)


def test_more_money_in_another_project_is_a_pair() -> None:
    """In neither is enough."""
    world = World().site("s", 1, cores=8).project("poor").project("rich").quota("project:poor", "core", 0.01, borrow=0)
    world.award("rich", 20).pending("w", project="poor", cores=4, limit=60, hold=50)
    s = world.snapshot()
    found = suggest(s, 0, projects=("rich",))
    assert found.change == Change(project="rich", funds_won=30)


def test_another_project_and_another_class_together_are_not_looked_for() -> None:
    """Only an urgent job of the rich project would start: but a class that may be used here may not be used there."""
    world = World(policy=replace(Policy(), min_run_ms=0)).site("s", 1, cores=8).project("poor").project("rich").project("busy")
    world.award("rich", 10**6).attempt("a", [("s/n0", 0)], project="busy", priority="high", cores=8, started=-900)
    world.quota("project:poor", "core", 0.01, borrow=0)
    s = world.pending("w", project="poor", cores=0.1, memory=64, limit=60, hold=50).snapshot()
    assert plan(apply_change(s, 0, Change(project="rich", priority="urgent"))).start_pending.tolist() == [0]
    found = suggest(s, 0, projects=("rich",))
    assert (found.change, found.no_change) == (None, NoChange.NONE_SUFFICES)


def test_a_project_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvariantViolated, match="no project gone"):
        apply_change(two_projects().snapshot(), 0, Change(project="gone"))
