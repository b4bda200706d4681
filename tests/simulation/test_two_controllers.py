"""Two controllers on one PostgreSQL: one leads, the other follows; whatever happens to the leader, nothing starts twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from dure.controller import Controller, verify_audit, verify_store_books
from dure.controller.apply import Applied, apply_groups
from dure.controller.controller import ControllerSettings
from dure.errors import StaleLeader
from dure.model.workload import TERMINAL, Attempt, Workload
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.sql import SqlStore
from tests.builders.postgres import postgres_server, postgres_url
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec

__all__ = ["postgres_server", "postgres_url"]

JOBS = 40
PATIENCE_S = 180


@pytest.fixture
def world(postgres_url: str) -> Iterator[World]:
    made = World(now_ms=NOW_MS, policy=POLICY, store=SqlStore.open(postgres_url))
    made.add_site("north", [node("n1"), node("n2")])
    begin(Teller(made))
    yield made
    made.store.close()


def _rival(world: World, url: str) -> Controller:
    """A controller as another process would run it: with a connection, and so a lead, of its own."""
    settings = ControllerSettings(idle_ms=10, follow_ms=10, retry_ms=10)
    return Controller(SqlStore.open(url), world.clock, world.entropy, lambda body: "", "", settings)


def test_only_one_leads_and_the_other_takes_over_when_its_lock_is_lost(world: World, postgres_url: str) -> None:
    rival = _rival(world, postgres_url)
    assert world.controller.step() is not None
    assert rival.step() is None
    assert not rival.leads
    first = world.controller.epoch
    world.store.close()
    assert rival.step() is not None
    assert rival.epoch > first
    rival.store.close()


def test_a_stale_leader_writes_nothing(world: World, postgres_url: str) -> None:
    stale_epoch = world.controller.epoch
    rival = _rival(world, postgres_url)
    rival.store.transact(lambda tx: None)  # it lives
    world.store.close()
    assert rival.step() is not None
    with pytest.raises(StaleLeader):
        rival.store.transact(lambda tx: None, fence=stale_epoch)
    nothing: Applied = apply_groups(rival.store, rival.deed("late"), (), stale_epoch)
    assert nothing == Applied(started=(), lost=())
    rival.store.close()


def test_nothing_starts_twice_while_two_controllers_race(world: World, postgres_url: str) -> None:
    """Both run their loops for real, while people submit; in the middle the leader's store is lost."""
    world.store.close()
    world.store = SqlStore.open(postgres_url)  # people's process: it never takes the lead
    world.restart_controller()
    tell = Teller(world, first_key=100)
    rivals = [_rival(world, postgres_url) for _ in range(2)]
    for rival in rivals:
        rival.start()
    ids = [tell.submit(spec("job", limit_ms=MINUTE_MS)) for _ in range(JOBS)]
    _until(lambda: any(r.leads for r in rivals))
    leader = next(r for r in rivals if r.leads)
    threading.Thread(target=leader.stop).start()
    leader.store.close()
    other = next(r for r in rivals if r is not leader)
    _until(lambda: other.leads)
    _until(lambda: _settled(world, ids))
    for rival in rivals:
        rival.stop()
        rival.store.close()
    attempts = world.store.read(lambda r: r.find(Attempt))
    assert Counter(a.workload for a in attempts) == Counter(ids)
    assert world.store.read(verify_store_books).findings == ()
    assert world.store.read(verify_audit).fault is None


def _settled(world: World, ids: list[str]) -> bool:
    """The site's agent does its part, the clock goes on, until every job has ended."""
    world.clock.ms += 30_000
    for site in world.sites.values():
        world._agent_round(site)
    rows = world.store.read(lambda r: r.get_many(Workload, ids))
    return all(w.state in TERMINAL for w in rows.values())


def _until(done: object) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
