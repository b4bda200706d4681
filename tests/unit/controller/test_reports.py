"""What agents say is taken for what it can be: late, twice, of another life, or more than is possible."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dure.controller import verify_store_books
from dure.controller.commands import agents
from dure.controller.lifecycle import CLOCK_SLACK_MS
from dure.model.event import Event
from dure.model.link import AttemptReport, Hello, Poll, Report, ReportAnswer
from dure.model.reason import Reason, ReasonKind
from dure.model.site import Quarantine, Site
from dure.model.workload import Attempt, Evidence, Outcome
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from dure.store.memory import _MemoryTx as MemoryTx
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec


@pytest.fixture
def world() -> World:
    made = World(now_ms=NOW_MS, policy=POLICY, store=MemoryStore())
    made.add_site("north", [node("n1")])
    tell = Teller(made)
    begin(tell)
    tell.submit(spec("job", devices=1, limit_ms=30 * MINUTE_MS))
    made.settle()
    made.clock.ms += 10 * MINUTE_MS
    return made


def _attempt(world: World) -> Attempt:
    return world.store.read(lambda r: r.find(Attempt))[0]


def _seen(world: World, **changes: Any) -> AttemptReport:
    attempt = _attempt(world)
    evidence = Evidence(run_ms=10 * MINUTE_MS, exit_code=0)
    said = AttemptReport(attempt=attempt.id, epoch=attempt.epoch, workload=attempt.workload, phase="ended",
                         outcome=Outcome.SUCCEEDED, evidence=evidence)  # fmt: skip
    return replace(said, **changes)


def _report(world: World, seen: AttemptReport, epoch: int | None = None, site: str = "north") -> ReportAnswer | Reason:
    row = world.store.read(lambda r: r.get(Site, site))
    assert row is not None
    said = Report(epoch=row.agent_epoch if epoch is None else epoch, reports=(seen,))
    deed = world.deed("agent:north")
    return world.store.transact(lambda tx: agents.report(tx, deed, site=site, report=said))


def test_an_end_is_billed_once_however_often_it_is_told(world: World) -> None:
    answers = [_report(world, _seen(world)) for _ in range(3)]
    attempt = _attempt(world)
    assert answers == [ReportAnswer(recorded=(attempt.id,))] * 3
    assert (attempt.outcome, attempt.settled) == (Outcome.SUCCEEDED, 535)
    assert world.store.read(verify_store_books).findings == ()


def test_a_run_cannot_have_been_longer_than_since_it_was_placed(world: World) -> None:
    _report(world, _seen(world, evidence=Evidence(run_ms=10**15, exit_code=0)))
    attempt = _attempt(world)
    assert attempt.evidence.run_ms == 11 * MINUTE_MS
    assert attempt.settled <= attempt.held
    assert world.store.read(verify_store_books).findings == ()


def test_the_words_of_a_replaced_agent_are_refused(world: World) -> None:
    refused = _report(world, _seen(world), epoch=0)
    assert isinstance(refused, Reason)
    assert refused.kind == ReasonKind.EPOCH_STALE
    assert _attempt(world).outcome == Outcome.NONE


def test_a_report_of_another_life_of_the_attempt_changes_nothing(world: World) -> None:
    answer = _report(world, _seen(world, epoch=_attempt(world).epoch + 7))
    assert answer == ReportAnswer()
    assert _attempt(world).outcome == Outcome.NONE


def test_an_agent_cannot_end_the_attempts_of_another_site(world: World) -> None:
    world.add_site("south", [node("s1")])
    world.settle()
    assert _report(world, _seen(world), site="south") == ReportAnswer()
    assert _attempt(world).outcome == Outcome.NONE


def test_an_end_without_an_outcome_counts_as_lost_and_is_refunded(world: World) -> None:
    _report(world, _seen(world, outcome=Outcome.NONE))
    attempt = _attempt(world)
    assert (attempt.outcome, attempt.refunded) == (Outcome.LOST, attempt.settled)


def test_an_attempt_that_the_plane_never_made_is_set_aside(world: World) -> None:
    answer = _report(world, _seen(world, attempt="at_unknown"))
    assert answer == ReportAnswer(recorded=("at_unknown",))
    assert [q.id for q in world.store.read(lambda r: r.find(Quarantine))] == ["at_unknown"]


@pytest.mark.parametrize("said", [Outcome.PREEMPTED, Outcome.CANCELLED, Outcome.WITHDRAWN, Outcome.REJECTED])
def test_nobody_but_the_plane_decides_that_an_attempt_was_stopped(world: World, said: Outcome) -> None:
    _report(world, _seen(world, outcome=said))
    assert _attempt(world).outcome == Outcome.LOST


def test_an_agent_cannot_hold_up_work_with_attempts_that_it_invents(world: World) -> None:
    id = Teller(world, first_key=70).submit(spec("next", devices=4))
    _report(world, _seen(world, attempt="at_invented", workload=id))
    world.clock.ms = NOW_MS + 31 * MINUTE_MS
    world.settle()
    assert world.workload(id).state == "running"


def test_running_told_late_does_not_wake_the_dead(world: World) -> None:
    _report(world, _seen(world))
    assert _report(world, _seen(world, phase="running", outcome=Outcome.NONE)) == ReportAnswer()
    assert _attempt(world).outcome == Outcome.SUCCEEDED


def test_an_agent_that_is_too_old_or_too_new_is_told_which_it_may_be(world: World) -> None:
    deed = world.deed("agent:north")
    for protocol in (0, 99):
        said = Hello(protocol=protocol, agent_version="x", boot_id="b", describe={}, nodes=(node("n1"),))
        refused = world.store.transact(lambda tx, s=said: agents.hello(tx, deed, site="north", hello=s))  # type: ignore[misc]
        assert isinstance(refused, Reason)
        assert refused.kind == ReasonKind.PROTOCOL_UNSUPPORTED


def test_orders_are_told_until_a_report_shows_that_they_were_carried_out(world: World) -> None:
    tell = Teller(world, first_key=50)
    world.clock.ms = NOW_MS  # heard of a moment ago
    world.sites["north"].link.down = True
    id = tell.submit(spec("next", devices=1))
    world.controller.step()
    row = world.store.read(lambda r: r.get(Site, "north"))
    assert row is not None
    poll = Poll(epoch=row.agent_epoch)
    told = [agents.orders(world.store, site="north", poll=poll) for _ in range(2)]
    assert told[0] == told[1]
    assert not isinstance(told[0], Reason)
    assert [(o.verb, o.workload) for o in told[0]] == [("launch", id)]
    busy = replace(poll, busy=(f"{told[0][0].attempt}:launch",))
    assert agents.orders(world.store, site="north", poll=busy) == ()


def test_a_checkpoint_that_lies_in_the_future_is_noted_once_a_report_and_not_once_a_word(world: World) -> None:
    far = Evidence(run_ms=MINUTE_MS, checkpoint_ms=1 << 53)
    attempt = _attempt(world)
    said = AttemptReport(attempt=attempt.id, epoch=attempt.epoch, workload=attempt.workload, phase="running", evidence=far)
    row = world.store.read(lambda r: r.get(Site, "north"))
    assert row is not None
    deed = world.deed("agent:north")
    report = Report(epoch=row.agent_epoch, reports=(said,) * 50)
    for _ in range(2):  # at one moment
        world.store.transact(lambda tx: agents.report(tx, deed, site="north", report=report))
    told = world.store.read(lambda r: r.find(Event, {"subject": attempt.id}))
    assert [e.kind for e in told].count("attempt.checkpointed") == 1
    assert _attempt(world).evidence.checkpoint_ms == deed.now_ms + CLOCK_SLACK_MS


def test_of_attempts_that_nobody_knows_as_many_are_set_aside_as_a_site_may_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many one report tells of, they are counted once."""
    monkeypatch.setattr(agents, "QUARANTINED_MAX", 3)
    row = world.store.read(lambda r: r.get(Site, "north"))
    assert row is not None
    deed, counted = world.deed("agent:north"), []
    count = MemoryTx.count
    monkeypatch.setattr(MemoryTx, "count", lambda tx, kind, where: counted.append(kind) or count(tx, kind, where))
    for first in (0, 2):
        said = [AttemptReport(attempt=f"at_{n}", epoch=1, workload=f"wl_{n}", phase="running") for n in range(first, first + 4)]
        report = Report(epoch=row.agent_epoch, reports=tuple(said))
        world.store.transact(lambda tx, r=report: agents.report(tx, deed, site="north", report=r))  # type: ignore[misc]
    assert [q.id for q in world.store.read(lambda r: r.find(Quarantine))] == ["at_0", "at_1", "at_2"]
    assert counted == [Quarantine] * 2
