"""A backend that keeps its own bounds: the agent tells it what is billed, and remembers what it dropped."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from dure.agent.journal import Journal
from dure.errors import BackendError
from dure.ports import Swept
from tests.unit.agent.fakes import Bench, StrictDriver, launch
from tests.unit.agent.test_journal import ended, names


class SweepingDriver(StrictDriver):
    """Drops one billed attempt a step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[str]] = []
        self.broken = False

    def sweep(self, billed: Callable[[Collection[str]], Collection[str]], now_ms: int) -> Swept:
        if self.broken:
            raise BackendError("the disk is gone")
        known = sorted(billed([a for a, o in self.seen.items() if o.phase == "ended"]))
        self.steps.append(known)
        for attempt in known[:1]:
            del self.seen[attempt]
        return Swept(tuple(known[:1]), more=len(known) > 1)


def sweeping(folder: Path) -> tuple[Bench, SweepingDriver]:
    bench, driver = Bench(folder), SweepingDriver()
    bench.driver = driver
    bench.restart()
    for attempt in "abc":
        bench.plane.order(launch(attempt))
        bench.agent.step_orders(0)
    return bench, driver


def test_only_what_the_plane_has_recorded_is_swept_step_by_step_at_each_look(tmp_path: Path) -> None:
    bench, driver = sweeping(tmp_path)
    for attempt in "ab":
        driver.end(attempt)
    bench.agent.step_observe()  # reported, and recorded by the plane
    driver.end("c")
    bench.agent.look()  # seen, not reported yet
    bench.clock.advance(bench.settings.sweep_ms)
    driver.steps.clear()
    for _ in range(3):
        bench.agent.look()
    assert driver.steps == [["a", "b"], ["b"]]  # nothing is left: the third waits until it is due again
    assert driver.forgotten == [] and bench.journal.forgettable(bench.clock.now_ms() + 1, 100, 100) == []
    assert names(bench.journal.open_rows()) == {"c"}


def test_a_sweep_that_fails_keeps_nobody_from_looking(tmp_path: Path) -> None:
    bench, driver = sweeping(tmp_path)
    driver.broken = True
    bench.clock.advance(bench.settings.sweep_ms)
    driver.end("a")
    bench.agent.step_observe()
    assert bench.plane.last("a").phase == "ended"


def test_the_journal_knows_which_of_many_are_recorded() -> None:
    book = Journal.in_memory()
    book.put([ended("open")], 1)
    book.settle([ended(f"a{n}") for n in range(1200)], 1)
    book.mark_forgotten(["a7"])
    asked = ["open", "unknown", *(f"a{n}" for n in range(0, 1200, 2)), "a7"]
    assert set(book.recorded(asked)) == {"a7", *(f"a{n}" for n in range(0, 1200, 2))}
    assert book.recorded([]) == []
