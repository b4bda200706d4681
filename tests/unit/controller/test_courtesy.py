"""A question that plans lets the step go first, and is not starved by it."""

from __future__ import annotations

import threading

import pytest

from dure.controller.courtesy import Courtesy
from dure.scheduler import plan, why
from tests.builders.world import World

PLENTY_S = 60


def question(courtesy: Courtesy, looked_up: threading.Event | None = None) -> threading.Thread:
    """A thread that asks why; looked_up: set when it comes to where it may have to wait."""
    world = World().site("pohang", 1, cores=8).pending("job", cores=9)
    s = world.snapshot()

    def pace() -> None:
        if looked_up:
            looked_up.set()
        courtesy.pace()

    return threading.Thread(target=lambda: why(s, plan(s), 0, pace=pace))


def test_a_question_waits_for_the_end_of_a_step() -> None:
    courtesy, looked_up = Courtesy(wait_ms=PLENTY_S * 1000), threading.Event()
    asked = question(courtesy, looked_up)
    with courtesy.step():
        asked.start()
        assert looked_up.wait(PLENTY_S)
        assert asked.is_alive()
    asked.join(PLENTY_S)
    assert not asked.is_alive()


def test_a_step_that_breaks_holds_no_question_up() -> None:
    courtesy = Courtesy(wait_ms=PLENTY_S * 1000)
    with pytest.raises(RuntimeError), courtesy.step():
        raise RuntimeError
    asked = question(courtesy)
    asked.start()
    asked.join(PLENTY_S)
    assert not asked.is_alive()


def test_a_question_gets_on_beside_a_step_that_does_not_end() -> None:
    courtesy = Courtesy(wait_ms=1)
    asked = question(courtesy)
    with courtesy.step():
        asked.start()
        asked.join(PLENTY_S)
        assert not asked.is_alive()
