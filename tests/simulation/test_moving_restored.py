"""A backup that was taken while work moved: after a restore it goes on where it was to, or waits.

It is not lost, is not run twice, and is paid for once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dure.backends.fake import FakeDriver, Script
from dure.controller.commands.sites import drain_node, resolve_quarantine
from dure.model.site import Quarantine
from dure.model.workload import Attempt, AttemptState, Outcome, WorkloadState
from dure.ports import LaunchOrder, Observation
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.sql import SqlStore
from dure.store.sql.transport import backup, restore
from tests.simulation.stories import DAY_MS, MINUTE_MS, attempts, node, workload
from tests.unit.controller.test_moves import RUN_MS, moving, open_world, sound


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Teller]:
    launch = FakeDriver.launch

    def alone(driver: FakeDriver, order: LaunchOrder) -> Observation:
        live = [seen.attempt for seen in driver.observe() if seen.workload == order.workload and seen.phase != "ended"]
        assert set(live) <= {order.attempt}, "no workload ever runs twice at a time"
        return launch(driver, order)

    monkeypatch.setattr(FakeDriver, "launch", alone)
    world = open_world(SqlStore.open(f"sqlite:///{tmp_path}/a.db"))
    yield Teller(world)
    world.store.close()


def stopping(tell: Teller, tmp_path: Path) -> tuple[World, str, str, Path]:
    """A backup of the moment at which one that is moved has been told to stop; who that is, and who waits for its place."""
    world, id, large = moving(tell)
    saved = backup(f"sqlite:///{tmp_path}/a.db", tmp_path / "saved.jsonl.gz", now_ms=world.clock.ms)
    assert [a.state for a in attempts(world, id)] == [AttemptState.STOPPING]
    return world, id, large, saved


def restored(world: World, tmp_path: Path, saved: Path) -> None:
    """The plane as it was then; its sites have gone on."""
    world.store.close()
    url = f"sqlite:///{tmp_path}/b.db"
    restore(saved, url, now_ms=world.clock.ms, key_of=lambda plane: lambda body: "")  # the world's signature
    world.store = SqlStore.open(url)
    world.restart_controller()


def aside(world: World) -> list[Quarantine]:
    return [q for q in world.store.read(lambda r: r.find(Quarantine)) if not q.resolved]


def paid(attempt: Attempt) -> tuple[str, str, str, int, int, int]:
    return attempt.id, attempt.moved_from, attempt.outcome, attempt.settled, attempt.refunded, attempt.evidence.run_ms


@pytest.mark.parametrize("later_ms", [-1, 0, 3_000, 10_000, 5 * MINUTE_MS, 60 * MINUTE_MS])
def test_it_is_where_it_would_have_been_without_the_restore(tell: Teller, tmp_path: Path, later_ms: int) -> None:
    """Restored before its site has heard of it, while it stops, while it runs in its new place, and when it has ended."""
    world, id, large, saved = stopping(tell, tmp_path)
    if later_ms >= 0:
        world.settle()
        world.advance(world.clock.ms + later_ms)
    moving_to = attempts(world, id)[0].move.attempt
    restored(world, tmp_path, saved)
    assert [a.state for a in attempts(world, id)] == [AttemptState.STOPPING]
    world.settle()
    world.advance(world.clock.ms + DAY_MS // 2)
    old, new = attempts(world, id)
    assert (old.outcome, new.outcome, new.moved_from, new.id) == (Outcome.PREEMPTED, Outcome.SUCCEEDED, old.id, moving_to)
    assert {workload(world, one).state for one in (id, large)} == {WorkloadState.SUCCEEDED} and not aside(world)
    saved_ms = old.evidence.checkpoint_ms - old.evidence.started_ms
    assert new.evidence.run_ms == RUN_MS - saved_ms > 0 < saved_ms, "nothing that was saved is done again"
    assert len(attempts(world, large)) == 1
    sound(world)


def test_it_is_paid_for_once(tell: Teller, tmp_path: Path) -> None:
    """What was billed between backup and restore is billed again from the same evidence, to the same won."""
    world, id, _, saved = stopping(tell, tmp_path)
    world.settle()
    world.advance(world.clock.ms + DAY_MS // 2)
    before = [paid(a) for a in attempts(world, id)]
    restored(world, tmp_path, saved)
    world.advance(world.clock.ms + MINUTE_MS)
    assert [paid(a) for a in attempts(world, id)] == before and len(before) == 2
    sound(world)


def test_where_it_must_not_go_on_it_waits_until_what_its_site_has_of_it_is_settled(tell: Teller, tmp_path: Path) -> None:
    """The restored plane has drained the node before its site tells that it has gone on there: nobody knows that attempt."""
    world, id, large, saved = stopping(tell, tmp_path)
    world.settle()
    world.advance(world.clock.ms + 10_000)
    (_, running) = attempts(world, id)
    assert running.state == AttemptState.RUNNING
    restored(world, tmp_path, saved)
    tell.ask(drain_node, node=running.workers[0].node, drained=True)
    world.settle()
    world.advance(world.clock.ms + MINUTE_MS)
    (old,) = attempts(world, id)
    assert old.state == AttemptState.ENDED and workload(world, id).state == WorkloadState.WAITING
    assert [(q.id, q.workload) for q in aside(world)] == [(running.id, id)]
    assert [a.state for a in attempts(world, large)] == [AttemptState.RUNNING]
    world.advance(world.clock.ms + 2 * RUN_MS)
    assert len(attempts(world, id)) == 1, "it may have run there to its end"
    deed = world.deed()
    world.store.transact(lambda tx: resolve_quarantine(tx, deed, attempt=running.id))
    world.advance(world.clock.ms + 2 * RUN_MS)
    assert workload(world, id).state == WorkloadState.SUCCEEDED and len(attempts(world, id)) == 2
    sound(world)


def test_of_a_site_that_has_lost_everything_it_begins_where_it_was_to_go(tell: Teller, tmp_path: Path) -> None:
    """A new machine: of the attempt that it is to stop it says that there is none."""
    world, id, large, saved = stopping(tell, tmp_path)
    moving_to = attempts(world, id)[0].move.attempt
    restored(world, tmp_path, saved)
    world.replace_site("north", [node("n1", devices=8), node("n2", devices=8)])
    for name in ("one", "two", "large"):
        world.sites["north"].driver.script(name, Script(run_ms=MINUTE_MS))
    world.settle()
    world.advance(world.clock.ms + 10 * MINUTE_MS)
    old, new = attempts(world, id)
    assert (old.evidence.run_ms, old.settled, new.id) == (0, 0, moving_to)
    assert {workload(world, one).state for one in (id, large)} == {WorkloadState.SUCCEEDED}
    sound(world)
