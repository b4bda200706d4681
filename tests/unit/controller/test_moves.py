"""Work that is moved: its place is kept, it goes on there from its last checkpoint, and all that it runs is held for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from dure.backends.fake import Script
from dure.controller.commands import envelopes, sites, workloads
from dure.controller.drift import drift
from dure.controller.moved import go_on, movable_ms, rest_ms
from dure.controller.rules import policy_of
from dure.controller.verify import verify_audit, verify_store_books
from dure.ledger import hold_amount
from dure.model.event import Event
from dure.model.reason import ReasonKind
from dure.model.site import Node, Quarantine
from dure.model.workload import Attempt, AttemptState, Demand, Evidence, Outcome, WorkloadState
from dure.ports import Store, Tx
from dure.scheduler.attempts import rests
from dure.scheduler.snapshot import LAUNCHING
from dure.simulator.crash import Teller, crash_points
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import DAY_MS, MINUTE_MS, NOW_MS, POLICY, attempts, begin, node, spec, workload

RUN_MS, TERM_MS, HOUR_MS = 40 * MINUTE_MS, 3000, 60 * MINUTE_MS
MOVING = replace(POLICY, moves=True)


def open_world(store: Store) -> World:
    world = World(now_ms=NOW_MS, policy=MOVING, store=store)
    site = world.add_site("north", [node("n1", devices=8), node("n2", devices=8)])
    for name in ("one", "two", "short"):
        run_ms = 4 * MINUTE_MS if name == "short" else RUN_MS
        site.driver.script(name, Script(run_ms=run_ms, term_ms=TERM_MS))
    site.driver.script("large", Script(run_ms=10 * MINUTE_MS))
    return world


def scattered(tell: Teller, **changes: Any) -> tuple[str, str]:
    """Two nodes, each half in use: by `one`, which was beside `short` until that had ended, and by `two`."""
    begin(tell)
    saves = {"devices": 4, "checkpoint_interval_ms": MINUTE_MS, "limit_ms": 60 * MINUTE_MS, **changes}
    tell.submit(spec("short", devices=4))
    tell.world.settle()
    one = tell.submit(spec("one", **saves))
    tell.world.settle()
    two = tell.submit(spec("two", **saves))
    tell.world.settle()
    tell.world.advance(NOW_MS + 6 * MINUTE_MS + 20_000)
    return one, two


def story(tell: Teller) -> None:
    scattered(tell)
    tell.submit(spec("large", devices=8), project="flood")
    tell.world.settle()
    tell.world.advance(NOW_MS + 3 * DAY_MS)


@pytest.fixture
def tell() -> Teller:
    return Teller(open_world(MemoryStore()))


def nodes(attempt: Attempt) -> set[str]:
    return {w.node.removeprefix("north/") for w in attempt.workers}


def moving(tell: Teller, project: str = "flood", **changes: Any) -> tuple[World, str, str]:
    """The world while one of them is told to stop; who that is, and who waits for its place."""
    one, two = scattered(tell, **changes)
    assert [nodes(attempts(tell.world, id)[0]) for id in (one, two)] == [{"n1"}, {"n2"}]
    large = tell.submit(spec("large", devices=8), project=project)
    tell.world.controller.step()
    told = [id for id in (one, two) if attempts(tell.world, id)[0].state == AttemptState.STOPPING]
    assert len(told) == 1
    return tell.world, told[0], large


def sound(world: World) -> None:
    books, audit = world.store.read(verify_store_books), world.store.read(verify_audit)
    assert not books.findings and not audit.findings and not audit.fault


def test_it_goes_on_elsewhere_at_once_from_its_checkpoint(tell: Teller) -> None:
    world, id, large = moving(tell)
    (old,) = attempts(world, id)
    assert attempts(world, large)[0].state == AttemptState.CLAIMED and old.move.attempt
    asked_ms = world.clock.now_ms()
    world.settle()
    world.advance(asked_ms + MINUTE_MS)
    old, new = attempts(world, id)
    assert (old.state, old.outcome, new.moved_from, new.id) == (AttemptState.ENDED, Outcome.PREEMPTED, old.id, old.move.attempt)
    assert new.state == AttemptState.RUNNING and nodes(new) != nodes(old) == nodes(attempts(world, large)[0])
    assert workload(world, id).state == WorkloadState.RUNNING and workload(world, id).attempts == 2
    assert attempts(world, large)[0].state == AttemptState.RUNNING
    saved_ms = old.evidence.checkpoint_ms - old.evidence.started_ms
    assert new.limit_ms == old.limit_ms - saved_ms > 0 < saved_ms
    world.advance(NOW_MS + DAY_MS // 2)
    assert workload(world, id).state == WorkloadState.SUCCEEDED
    assert attempts(world, id)[1].evidence.run_ms == RUN_MS - saved_ms, "nothing that was saved is done again"
    sound(world)


def test_its_place_is_kept_until_it_is_there(tell: Teller) -> None:
    """Who comes meanwhile gets neither the place that is kept nor the one that is left."""
    world, id, _ = moving(tell)
    late = tell.submit(spec("late", devices=4), project="flood")
    world.controller.step()
    snapshot = world.controller.step().snapshot
    row = snapshot.attempts.ids.index(attempts(world, id)[0].move.attempt)
    a = snapshot.attempts
    assert (a.state[row], a.project[row], a.workloads[row]) == (LAUNCHING, -1, id)
    assert a.ids[a.follows[row]] == attempts(world, id)[0].id
    assert workload(world, late).state == WorkloadState.WAITING
    assert snapshot.quotas.used[:, 0].max() <= 16_000, "what is moved is counted once"
    columns = world.controller._memory.columns
    found = world.store.read(lambda r: drift(r, world.controller._memory.mirror, columns, world.clock.now_ms(), snapshot.epoch))
    assert found == "", "what is followed is what is stored"
    world.settle()
    world.advance(world.clock.now_ms() + MINUTE_MS)
    assert attempts(world, id)[-1].state == AttemptState.RUNNING


def test_it_costs_no_more_than_was_held_and_what_it_loses_is_refunded(tell: Teller) -> None:
    world, id, _ = moving(tell)
    held = attempts(world, id)[0].held
    world.settle()
    world.advance(NOW_MS + DAY_MS // 2)
    old, new = attempts(world, id)
    assert old.refunded > 0 and new.held <= held - old.settled + old.refunded + 1, "but for what is rounded"
    assert old.settled - old.refunded + new.settled <= held
    stays = [a for a in world.store.read(lambda r: r.find(Attempt)) if a.limit_ms == old.limit_ms and a.id != old.id]
    assert abs(old.settled - old.refunded + new.settled - stays[0].settled) <= 2, "it costs what one costs that stays"
    sound(world)


def test_those_who_look_are_told(tell: Teller) -> None:
    world, id, large = moving(tell)
    (old,) = attempts(world, id)
    answer = world.controller.why(id)
    assert answer.reason.kind == ReasonKind.MAKES_ROOM
    assert answer.reason.facts == {"by": large, "moved_to": old.move.workers[0].node}
    world.controller.step()
    asked = world.controller.why(large)
    assert asked.reason.kind == ReasonKind.WAITS_VICTIMS and asked.reason.facts == {"victims": 1, "moved": 1}
    world.settle()
    world.advance(world.clock.now_ms() + MINUTE_MS)
    events = world.store.read(lambda r: r.find(Event, order="seq"))
    assert [e.data["by"] for e in events if e.kind == "attempt.stopping"] == ["move"]
    placed = [e for e in events if e.kind == "workload.placed"]
    assert [e.subject for e in placed if e.data.get("moves")] == [large]
    assert [e.data["moved_from"] for e in placed if e.subject == id and "moved_from" in e.data] == [old.id]


def test_what_nobody_refunds_is_held_for_again(tell: Teller) -> None:
    """It moves for work of its own project, so nothing is refunded, and what its first hold has left is not enough."""
    world, id, _ = moving(tell, "lab", checkpoint_interval_ms=5 * MINUTE_MS)
    first = attempts(world, id)[0]
    world.settle()
    world.advance(world.clock.now_ms() + 2 * MINUTE_MS)
    old, new = attempts(world, id)
    policy, of = world.store.read(policy_of), workload(world, id).spec
    demand = of.demand
    needed = hold_amount(
        policy, currency=new.currency, accelerator=new.accelerator, workers=1, cores_milli=demand.cores_milli,
        memory_mib=demand.memory_mib, devices=demand.devices, share_milli=demand.share_milli, limit_ms=new.limit_ms,
        grace_ms=of.grace_ms, preemptible=of.preemptible, priority=of.priority,
    )  # fmt: skip
    assert new.held == needed and new.held > first.held - old.settled + old.refunded
    sound(world)


def test_who_stops_one_that_moves_keeps_it_from_going_on(tell: Teller) -> None:
    world, id, large = moving(tell)
    (old,) = attempts(world, id)
    tell.ask(sites.stop_attempt, attempt=old.id)
    (stopped,) = attempts(world, id)
    assert stopped.state == AttemptState.STOPPING and not stopped.move.attempt
    tell.ask(sites.stop_attempt, attempt=old.id)
    assert attempts(world, id) == [stopped]
    world.settle()
    world.advance(world.clock.now_ms() + MINUTE_MS)
    assert [a.moved_from for a in attempts(world, id)] == ["", ""], "it waited, and started as any other"
    assert attempts(world, large)[0].state == AttemptState.RUNNING
    sound(world)


def test_it_does_not_go_on_while_it_may_run_elsewhere(tell: Teller) -> None:
    """As after a restore, when another site tells of an attempt that nobody knows."""
    world, id, _ = moving(tell)
    strange = Quarantine(id="01STRANGE", site="south", workload=id, seen_ms=NOW_MS, observation={"phase": "running"})
    world.store.transact(lambda tx: tx.insert(strange))
    world.settle()
    world.advance(world.clock.now_ms() + MINUTE_MS)
    assert [a.moved_from for a in attempts(world, id)][1:] in ([], [""]), "it has not gone on where it was to"


class _Undone(Exception):
    pass


def goes_on(world: World, id: str) -> bool:
    """Whether it would go on if it had left now."""
    ended, deed, found = replace(attempts(world, id)[0], outcome=Outcome.PREEMPTED), world.deed(), []

    def look(tx: Tx) -> None:
        found.append(go_on(tx, deed, MOVING, workload(world, id), ended) is not None)
        raise _Undone

    with suppress(_Undone):
        world.store.transact(look)
    return found[0]


def change(world: World, kind: type[Any], id: str, **changes: Any) -> None:
    world.store.transact(lambda tx: tx.update(replace(tx.get(kind, id), **changes)))


@pytest.mark.parametrize(
    "machine", [{"devices": 0}, {"accelerator": "a100"}, {"memory_mib": 1}, {"cores_milli": 999}, {"up": False}]
)
def test_it_does_not_go_on_where_the_machine_is_not_what_it_was(tell: Teller, machine: dict[str, Any]) -> None:
    """It has lost what was kept there, or another has come under its name, while the old place was being left."""
    world, id, _ = moving(tell)
    (worker,) = attempts(world, id)[0].move.workers
    change(world, Node, worker.node, **machine)
    assert not goes_on(world, id)


def test_devices_that_were_not_kept_for_it_may_be_lost(tell: Teller) -> None:
    world, id, _ = moving(tell)
    (worker,) = attempts(world, id)[0].move.workers
    most = max(worker.devices)
    change(world, Node, worker.node, devices=most)
    assert not goes_on(world, id), "the last of its own"
    change(world, Node, worker.node, devices=most + 1)
    assert goes_on(world, id)


def test_it_does_not_go_on_where_something_may_run_that_nobody_knows(tell: Teller) -> None:
    """Set aside for an operator since its place was kept: on a device of its own, or nobody can tell on which."""
    world, id, _ = moving(tell)
    (worker,) = attempts(world, id)[0].move.workers
    spare = next(device for device in range(8) if device not in worker.devices)
    strange = Quarantine(id="01STRANGE", site="north", workload="01OTHER", seen_ms=NOW_MS)
    there = world.store.read(lambda reader: reader.get(Node, worker.node))
    assert there is not None

    def seen(*devices: int, node: str = worker.node) -> dict[str, Any]:
        return {"phase": "running", "cores_milli": 1000, "workers": [{"node": node, "devices": list(devices)}]}

    world.store.transact(lambda tx: tx.insert(strange))
    expected = (
        (seen(worker.devices[-1]), False), ({"phase": "running"}, False), (seen(*worker.devices, node="north/n9"), True),
        ({**seen(worker.devices[0]), "phase": "ended"}, True), (seen(spare), True),
        ({**seen(spare), "cores_milli": there.cores_milli}, False), ({**seen(spare), "memory_mib": there.memory_mib}, False),
    )  # fmt: skip
    for observation, may in expected:
        change(world, Quarantine, strange.id, observation=observation)
        assert goes_on(world, id) is may


@pytest.mark.parametrize("why", ["site", "node", "cancelled", "plane", "window"])
def test_it_goes_on_there_only_if_things_still_start_there(tell: Teller, why: str) -> None:
    world, id, large = moving(tell)
    stops: dict[str, Callable[[], Any]] = {
        "site": lambda: tell.ask(sites.drain_site, site="north", drained=True),
        "node": lambda: tell.ask(sites.drain_node, node=attempts(world, id)[0].move.workers[0].node, drained=True),
        "cancelled": lambda: tell.ask(workloads.cancel, id=id),
        "plane": lambda: tell.ask(sites.drain_farm, draining=True),
        "window": lambda: tell.ask(
            envelopes.plan_maintenance,
            site="north",
            from_ms=None,
            until_ms=world.clock.now_ms() + DAY_MS,
            nodes=tuple(w.node.split("/")[1] for w in attempts(world, id)[0].move.workers),
        ),
    }
    stops[why]()
    world.settle()
    world.advance(world.clock.now_ms() + MINUTE_MS)
    (old,) = attempts(world, id)
    expected = WorkloadState.CANCELLED if why == "cancelled" else WorkloadState.WAITING
    assert old.state == AttemptState.ENDED and not old.move.attempt and workload(world, id).state == expected
    assert attempts(world, large)[0].state == AttemptState.RUNNING
    sound(world)


def test_what_ends_by_itself_before_it_has_left_has_ended(tell: Teller) -> None:
    """It was asked in the last second of its work."""
    one, two = scattered(tell)
    tell.world.advance(NOW_MS + RUN_MS - 1000)
    large = tell.submit(spec("large", devices=8), project="flood")
    tell.world.settle()
    tell.world.advance(NOW_MS + RUN_MS + MINUTE_MS)
    assert [len(attempts(tell.world, id)) for id in (one, two)] == [1, 1]
    assert {workload(tell.world, id).state for id in (one, two)} == {WorkloadState.SUCCEEDED}
    assert attempts(tell.world, large)[0].state == AttemptState.RUNNING
    sound(tell.world)


def test_without_an_award_that_is_open_it_waits(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that its project has expired between the plan and its end."""
    world, id, _ = moving(tell)
    (old,) = attempts(world, id)
    ended, deed = replace(old, outcome=Outcome.PREEMPTED), world.deed()
    begun = world.store.transact(lambda tx: go_on(tx, deed, MOVING, workload(world, id), replace(ended, id="other")))
    assert begun is None, "it is not its attempt any more"
    monkeypatch.setattr("dure.controller.money.open_awards", lambda _, projects: {project: [] for project in projects})
    assert world.store.transact(lambda tx: go_on(tx, deed, MOVING, workload(world, id), ended)) is None
    assert len(attempts(world, id)) == 1


def test_who_may_be_moved_and_for_how_long() -> None:
    one = spec("one", checkpoint_interval_ms=MINUTE_MS)
    ran = Attempt(
        id="a", workload="w", project="p", site="s", epoch=1, state=AttemptState.RUNNING, limit_ms=30 * MINUTE_MS,
        evidence=Evidence(checkpoint_ms=NOW_MS + 10 * MINUTE_MS),
    )  # fmt: skip
    assert movable_ms(MOVING, ran, one, NOW_MS) == 20 * MINUTE_MS + one.grace_ms
    assert movable_ms(MOVING, ran, replace(one, preemptible=False), NOW_MS) == 0
    assert movable_ms(MOVING, ran, replace(one, deadline_ms=NOW_MS + DAY_MS), NOW_MS) == 0
    assert movable_ms(MOVING, ran, replace(one, checkpoint_interval_ms=0), NOW_MS) == 0
    assert movable_ms(MOVING, replace(ran, evidence=Evidence()), one, NOW_MS) == 0, "it has saved nothing yet"
    assert movable_ms(MOVING, replace(ran, state=AttemptState.STOPPING), one, NOW_MS) == 0
    long, least = replace(one, checkpoint_interval_ms=HOUR_MS), MOVING.min_run_ms
    for saved_ms, of, policy, may in (
        (0, one, MOVING, False), (MINUTE_MS - 1, one, MOVING, False), (MINUTE_MS, one, MOVING, True),
        (least - 1, long, MOVING, False), (least, long, MOVING, True),
        (0, one, replace(MOVING, min_run_ms=0), False), (1, one, replace(MOVING, min_run_ms=0), True),
    ):  # fmt: skip
        saved = replace(ran, evidence=Evidence(started_ms=NOW_MS + 500, checkpoint_ms=NOW_MS + 500 + saved_ms))
        assert bool(movable_ms(policy, saved, of, NOW_MS)) is may, (saved_ms, of.checkpoint_interval_ms)
    assert rest_ms(MOVING, 30 * MINUTE_MS, 29 * MINUTE_MS) == MOVING.min_run_ms, "it is guaranteed a run in each place"
    assert rest_ms(MOVING, 30 * MINUTE_MS, -5) == 30 * MINUTE_MS


def test_a_gang_of_whose_nodes_one_is_not_known_is_not_taken_for_one_that_sits_on_one(tell: Teller) -> None:
    begin(tell)
    world = tell.world
    world.sites["north"].driver.script("gang", Script(run_ms=RUN_MS))
    wide = Demand(devices=8)
    gang = tell.submit(replace(spec("gang", checkpoint_interval_ms=MINUTE_MS), demand=wide, workers=2))
    world.settle()
    world.advance(NOW_MS + 10 * MINUTE_MS)
    (attempt,) = attempts(world, gang)
    assert nodes(attempt) == {"n1", "n2"} and attempt.evidence.checkpoint_ms
    memory = world.controller._memory
    del memory.mirror.nodes["north/n2"]
    memory.mirror.farm += 1
    s = memory.columns.snapshot(world.clock.now_ms(), 1)
    assert s.nodes.ids == ("north/n1",) and s.attempts.worker_node.tolist() == [0]
    assert rests(s, s.now_ms).tolist() == [0]


def test_a_policy_that_does_not_move_leaves_it_where_it_is(tell: Teller) -> None:
    one, two = scattered(tell, checkpoint_interval_ms=0)
    large = tell.submit(spec("large", devices=8), project="flood")
    tell.world.settle()
    assert workload(tell.world, large).state == WorkloadState.WAITING
    assert {a.state for id in (one, two) for a in attempts(tell.world, id)} == {AttemptState.RUNNING}


def test_whatever_dies_in_between_it_is_neither_lost_nor_run_twice() -> None:
    report = crash_points(open_world, story)
    assert report.failures == () and report.ending.faults == ()
    assert [len(tries) for _, tries in report.ending.workloads.values()] in ([1, 2, 1, 1], [1, 1, 1, 2])
    assert {state for state, _ in report.ending.workloads.values()} == {"succeeded"}
