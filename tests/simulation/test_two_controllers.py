"""Two controllers on one PostgreSQL: one leads, the other follows; whatever happens to the leader, nothing starts twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from dure.controller import Controller, QuoteAnswer, WhyAnswer, verify_audit, verify_store_books
from dure.controller.apply import Group, apply_groups, groups_of
from dure.controller.controller import ControllerSettings
from dure.controller.step import load
from dure.errors import StaleLeader
from dure.model.reason import ReasonKind
from dure.model.workload import TERMINAL, Attempt, Workload
from dure.scheduler import plan
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
    settings = ControllerSettings(idle_ms=10, follow_ms=10, retry_ms=10, answer_wait_ms=1000 * PATIENCE_S)
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
    groups = _planned(rival, world, stale_epoch)
    with pytest.raises(StaleLeader):
        apply_groups(rival.store, rival.deed("late"), groups, stale_epoch)
    assert rival.store.read(lambda r: r.find(Attempt)) == []
    assert apply_groups(rival.store, rival.deed("in time"), groups, rival.epoch).lost == ()
    rival.store.close()


def _planned(rival: Controller, world: World, epoch: int) -> tuple[Group, ...]:
    """What a leader of that epoch would start now: a job that has just come in."""
    world.store = rival.store
    id = Teller(world, first_key=100).submit(spec("job"))
    memory = load(rival.store)
    snapshot = memory.columns.snapshot(world.clock.ms, epoch)
    groups = groups_of(memory.mirror, snapshot, plan(snapshot), lambda: world.deed().new_id("at"), world.clock.ms)
    assert [g.attempt.workload for g in groups] == [id]
    return groups


def test_a_controller_that_follows_answers_why_and_quotes_as_the_leader_does(world: World, postgres_url: str) -> None:
    tell, leader = Teller(world, first_key=100), world.controller
    running = tell.submit(spec("job", devices=3))
    gang = tell.submit(spec("gang", workers=3, devices=2))
    world.settle()
    rival = _rival(world, postgres_url)
    assert rival.step() is None and leader.leads
    for id in (running, gang):
        asked, told = leader.why(id), rival.why(id)
        assert isinstance(asked, WhyAnswer) and isinstance(told, WhyAnswer)
        assert (told.workload.id, told.reason, told.change, told.hold, told.as_of_ms) == (
            id, asked.reason, asked.change, asked.hold, world.clock.ms,
        )  # fmt: skip
    for devices, starts_now in ((4, True), (5, False)):
        price = rival.quote("lab", spec("job", devices=devices))
        assert isinstance(price, QuoteAnswer) and price.starts_now == starts_now
        assert price == leader.quote("lab", spec("job", devices=devices))
    assert not rival.leads
    rival.store.close()


def test_a_controller_that_follows_learns_of_what_has_come_in_since(world: World, postgres_url: str) -> None:
    rival = _rival(world, postgres_url)
    assert rival.step() is None
    rival.start()
    id = Teller(world, first_key=100).submit(spec("gang", workers=3, devices=4))
    world.controller.step()
    told = rival.why(id)
    rival.stop()
    assert isinstance(told, WhyAnswer) and told.reason.kind == ReasonKind.SITE_TOO_SMALL
    assert not rival.leads
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
