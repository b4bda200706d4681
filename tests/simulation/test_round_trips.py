"""How often the database is asked: placing many, and hearing of the ends of many, takes no more questions than one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dure.model.workload import Workload, WorkloadState
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.sql import SqlStore
from dure.store.sql.session import Link
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec


def _asked(path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> Counter[str]:
    """Questions by what they are asked for, while so many jobs are placed, run and end together."""
    asked: Counter[str] = Counter()
    store = SqlStore.open(f"sqlite:///{path}/{jobs}.db")
    world = World(now_ms=NOW_MS, policy=POLICY, store=store)
    world.add_site("north", [node("n1", devices=0) | {"cores_milli": 64_000}])
    tell = Teller(world)
    begin(tell)
    world.settle()
    for number in range(jobs):
        tell.submit(spec(f"job {number}", devices=0, limit_ms=30 * MINUTE_MS))
    rows = Link.rows

    def counted(link: Link, statement: object, values: object) -> object:
        asked["rows"] += 1
        return rows(link, statement, values)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Link, "rows", counted)
        world.settle()
        world.run_out(NOW_MS + 60 * MINUTE_MS)
    states = Counter(w.state for w in store.read(lambda r: r.find(Workload)))
    store.close()
    assert states == {WorkloadState.SUCCEEDED: jobs}
    return asked


def test_twenty_jobs_that_go_together_ask_no_more_than_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, twenty = _asked(tmp_path, monkeypatch, 1), _asked(tmp_path, monkeypatch, 20)
    assert twenty["rows"] <= one["rows"] + 5
