"""Whatever is lost, doubled, late or killed: one launch an attempt, and every end arrives."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from dure.errors import ApiError, BackendError, LinkError
from dure.model.workload import Outcome
from tests.unit.agent.fakes import Bench, launch, stop

WORDS = ("hello", "poll", "report", "bundle")


def one_fault(bench: Bench, chance: random.Random) -> None:
    """Something goes wrong, or nothing does."""
    kind = chance.randrange(8)
    if kind == 0:
        bench.plane.lose_requests.append(chance.choice(WORDS))
    elif kind == 1:
        bench.plane.lose_replies.append(chance.choice(WORDS))
    elif kind == 2:
        bench.driver.faults.append(chance.choice(["launch", "stop", "observe"]))
    elif kind == 3:
        bench.driver.late_faults.append("launch")
    elif kind == 4:
        bench.restart()
    elif kind == 5:
        bench.plane.epoch += 1
    elif kind == 6:
        bench.plane.incarnation += chance.randrange(2)


def one_deed(bench: Bench, chance: random.Random, names: list[str]) -> None:
    """The plane orders something, again or in the wrong order; or a job ends."""
    name = chance.choice(names)
    live = [a for a, o in bench.driver.seen.items() if o.phase != "ended"]
    kind = chance.randrange(6)
    if kind < 3:
        bench.plane.orders.append(launch(name))
    elif kind == 3:
        bench.plane.orders.append(stop(name))
    elif live:
        bench.driver.end(chance.choice(live))
    chance.shuffle(bench.plane.orders)


def one_step(bench: Bench, chance: random.Random) -> None:
    step = chance.choice([lambda: bench.agent.step_orders(0), bench.agent.step_observe, lambda: bench.agent.poll(0),
                          bench.agent.launch_next, bench.agent.look, bench.agent.send_reports])  # fmt: skip
    with suppress(LinkError, ApiError, BackendError):
        step()
    bench.clock.advance(chance.randrange(3_000))


@pytest.mark.parametrize("seed", range(60))
def test_no_mishap_launches_twice_or_loses_an_end(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    bench = Bench(tmp_path)
    names = [f"a{i}" for i in range(6)]
    for _ in range(120):
        one_deed(bench, chance, names)
        one_fault(bench, chance)
        one_step(bench, chance)
        assert max(bench.driver.starts.values(), default=0) <= 1
    settle(bench)
    for name, seen in bench.driver.seen.items():
        assert bench.plane.last(name).phase == "ended" and seen.phase == "ended"
        assert bench.plane.last(name).outcome is seen.outcome
    assert bench.driver.starts.keys() <= {r.attempt for r in bench.plane.reports}
    ends: dict[str, set[Outcome]] = {}
    for report in bench.plane.reports:
        if report.phase == "ended":
            ends.setdefault(report.attempt, set()).add(report.outcome)
    assert all(len(outcomes) == 1 for outcomes in ends.values())  # an end is never told in two ways
    assert all(k.report is None for k in bench.journal.open_rows())


def settle(bench: Bench) -> None:
    """The faults cease, everything is stopped; within bounded steps all is told."""
    bench.plane.lose_requests, bench.plane.lose_replies, bench.driver.faults, bench.driver.late_faults = [], [], [], []
    for name in list(bench.driver.seen):
        bench.plane.order(stop(name))
    for _ in range(6):
        bench.clock.advance(61_000)
        try:
            bench.agent.step_orders(0)
        except ApiError:  # a stale session: the next call says hello
            continue
        bench.agent.step_observe()
