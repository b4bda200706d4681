"""An attempt that was attested lost and lives all the same is stopped, however the plane comes to hear of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dure.agent.agent import Agent
from dure.agent.journal import Journal
from dure.agent.settings import AgentSettings
from dure.backends.fake import Script
from dure.controller import WhyAnswer, verify_audit, verify_store_books
from dure.controller.commands.agents import report
from dure.controller.commands.sites import attest_lost, resolve_quarantine, stop_quarantined
from dure.errors import require
from dure.model.event import Event
from dure.model.link import AttemptReport, Report
from dure.model.reason import Reason, ReasonKind
from dure.model.site import Quarantine, Site
from dure.model.workload import Attempt, AttemptState, Evidence
from dure.ports import Store
from dure.simulator.crash import Teller, crash_points
from dure.simulator.world import World
from dure.store.sql import SqlStore
from dure.store.sql.transport import backup, restore
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec

TERM_MS = 5_000  # how long the job takes to end once it is told to
LONG = Script(run_ms=20 * MINUTE_MS, term_ms=TERM_MS)


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Teller]:
    made = World(now_ms=NOW_MS, policy=POLICY, store=SqlStore.open(f"sqlite:///{tmp_path}/a.db"))
    made.add_site("north", [node("n1")])
    teller = Teller(made)
    begin(teller)
    yield teller
    made.store.close()


def _attest(world: World, id: str, *, force: bool = False) -> Attempt | Reason:
    deed = world.deed()
    return world.store.transact(lambda tx: attest_lost(tx, deed, attempt=id, force=force))


def _rows(world: World) -> list[Quarantine]:
    return world.store.read(lambda r: r.find(Quarantine))


def _cut_off(tell: Teller) -> tuple[str, Attempt]:
    """A job on all devices of a site that nobody hears any more, attested lost after two minutes of silence."""
    world = tell.world
    world.sites["north"].driver.script("job", LONG)
    id = tell.submit(spec("job", devices=4))
    world.settle()
    assert world.workload(id).state == "running"
    world.advance(NOW_MS + MINUTE_MS)
    world.sites["north"].link.down = True
    world.advance(NOW_MS + 3 * MINUTE_MS)
    (attempt,) = world.attempts(id)
    ended = _attest(world, attempt.id)
    assert isinstance(ended, Attempt) and ended.outcome == "lost"
    return id, ended


def _reconnect(world: World) -> None:
    world.sites["north"].link.down = False


def _restart_agent(world: World) -> None:
    site = world.sites["north"]
    settings = AgentSettings(folder=site.agent.settings.folder, boot_id="boot-again")
    world.sites["north"] = replace(site, agent=Agent(site.driver, site.link, site.agent._journal, world.clock, settings))
    _reconnect(world)


def _lose_journal(world: World) -> None:
    site = world.sites["north"]
    settings = AgentSettings(folder=site.agent.settings.folder, boot_id="boot-new")
    world.sites["north"] = replace(site, agent=Agent(site.driver, site.link, Journal.in_memory(), world.clock, settings))
    _reconnect(world)


def _restart_controller(world: World) -> None:
    world.restart_controller()
    _reconnect(world)


WAYS: list[Callable[[World], None]] = [_reconnect, _restart_agent, _lose_journal, _restart_controller]


def _together(world: World, until_ms: int) -> int:
    """The most attempts that ran at the same time at any of the sites' machines until then, looked at every second."""
    most = 0
    while world.clock.ms < until_ms:
        world.advance(min(world.clock.ms + 1000, until_ms))
        running = [o for s in world.sites.values() for o in s.driver.observe(None) if o.phase == "running"]
        most = max(most, len(running))
    return most


@pytest.mark.parametrize("way", WAYS)
def test_an_attempt_attested_lost_that_lives_is_stopped_and_its_place_held_until_then(
    tell: Teller, way: Callable[[World], None]
) -> None:
    world = tell.world
    id, ended = _cut_off(tell)
    way(world)
    back_ms = world.clock.ms
    assert _together(world, back_ms + TERM_MS + 3000) == 1, "its place, or its workload, was given away while it ran"
    seen = {o.attempt: o for o in world.sites["north"].driver.observe(None)}
    assert (seen[ended.id].phase, seen[ended.id].outcome) == ("ended", "cancelled")
    world.advance(back_ms + 40 * MINUTE_MS)
    assert world.workload(id).state == "succeeded"
    first, second = world.attempts(id)
    assert (first.id, first.outcome, second.outcome) == (ended.id, "lost", "succeeded")
    assert (first.settled, first.evidence) == (ended.settled, ended.evidence), "what it used afterwards is not billed"
    (row,) = _rows(world)
    assert (row.id, row.workload, row.resolved, row.stopping) == (ended.id, id, "ended", False)
    assert row.observation["phase"] == "ended"
    assert row.observation["unbilled_ms"] == row.observation["evidence"]["run_ms"] - ended.evidence.run_ms > MINUTE_MS
    kinds = [e.kind for e in world.store.read(lambda r: r.find(Event, {"subject": ended.id}))]
    assert kinds.count("attempt.attested") == kinds.count("attempt.resurfaced") == kinds.count("quarantine.resolved") == 1
    assert world.store.read(verify_store_books).findings == ()
    assert world.store.read(verify_audit).fault is None


def test_until_it_has_ended_it_is_listed_and_its_workload_waits_with_that_reason(tell: Teller) -> None:
    world = tell.world
    id, _ = _cut_off(tell)
    _restart_agent(world)
    world.settle()
    (row,) = _rows(world)
    assert (row.resolved, row.stopping, row.may_run) == ("", True, True)
    assert row.observation["workers"] and row.observation["cores_milli"] == 1000
    why = world.controller.why(id)
    assert isinstance(why, WhyAnswer) and why.reason.kind == ReasonKind.WAITS_QUARANTINE
    deed = world.deed()
    refused = world.store.transact(lambda tx: resolve_quarantine(tx, deed, attempt=row.id))
    assert isinstance(refused, Reason) and refused.kind == ReasonKind.STILL_RUNS
    world.store.transact(lambda tx: resolve_quarantine(tx, deed, attempt=row.id, force=True))
    (row,) = _rows(world)
    assert (row.resolved, row.stopping) == ("dismissed", True), "whoever gives its place away does not let it run on"
    world.advance(world.clock.ms + MINUTE_MS)
    (row,) = _rows(world)
    assert (row.resolved, row.stopping, row.observation["phase"]) == ("dismissed", False, "ended")


@pytest.mark.parametrize("way", WAYS)
def test_work_that_was_placed_again_meanwhile_runs_on_and_the_old_attempt_is_stopped(
    tell: Teller, way: Callable[[World], None]
) -> None:
    world = tell.world
    world.add_site("south", [node("s1")])
    world.settle()
    world.sites["south"].driver.script("job", LONG)
    id, ended = _cut_off(tell)
    world.advance(world.clock.ms + 2 * MINUTE_MS)
    again = world.attempts(id)[1]
    assert (again.site, again.state) == ("south", "running")
    way(world)
    world.settle()
    assert [(q.id, q.stopping) for q in _rows(world)] == [(ended.id, True)]
    why = world.controller.why(id)
    assert isinstance(why, WhyAnswer) and why.reason.kind != ReasonKind.WAITS_QUARANTINE, "it waits for nothing"
    world.advance(world.clock.ms + TERM_MS + 2000)
    (row,) = _rows(world)
    assert (row.id, row.resolved) == (ended.id, "ended")
    assert world.workload(id).attempt == again.id
    world.advance(world.clock.ms + 40 * MINUTE_MS)
    first, second = world.attempts(id)
    assert (first.outcome, second.outcome, world.workload(id).state) == ("lost", "succeeded", "succeeded")
    assert second.evidence.run_ms == 20 * MINUTE_MS
    assert world.store.read(verify_store_books).findings == ()


@pytest.mark.parametrize("attested_first", [False, True])
def test_a_restored_plane_stops_it_too(tell: Teller, tmp_path: Path, attested_first: bool) -> None:
    world = tell.world
    if attested_first:
        id, ended = _cut_off(tell)
        saved = backup(f"sqlite:///{tmp_path}/a.db", tmp_path / "saved.jsonl.gz", now_ms=world.clock.ms)
    else:  # what the operator stated is among what the backup lost: it is running again, and is billed when it ends
        world.sites["north"].driver.script("job", LONG)
        id = tell.submit(spec("job", devices=4))
        world.settle()
        saved = backup(f"sqlite:///{tmp_path}/a.db", tmp_path / "saved.jsonl.gz", now_ms=NOW_MS)
        world.sites["north"].link.down = True
        world.advance(NOW_MS + 3 * MINUTE_MS)
        ended = world.attempts(id)[0]
        assert isinstance(_attest(world, ended.id), Attempt)
    world.store.close()
    url = f"sqlite:///{tmp_path}/b.db"
    restore(saved, url, now_ms=world.clock.ms, key_of=lambda plane: lambda body: "")
    world.store = SqlStore.open(url)
    world.restart_controller()
    _reconnect(world)
    assert _together(world, world.clock.ms + MINUTE_MS) == 1
    world.advance(world.clock.ms + 30 * MINUTE_MS)
    assert world.workload(id).state == "succeeded"
    assert [a.outcome for a in world.attempts(id)] == (["lost", "succeeded"] if attested_first else ["succeeded"])
    assert [q.resolved for q in _rows(world)] == (["ended"] if attested_first else [])
    assert world.store.read(verify_store_books).findings == ()


def test_one_that_had_ended_before_it_was_heard_of_again_tells_what_it_used_and_holds_nothing_up(tell: Teller) -> None:
    world = tell.world
    id, ended = _cut_off(tell)
    world.advance(world.clock.ms + 30 * MINUTE_MS)  # at the end of its run, unheard
    _reconnect(world)
    world.settle()
    (row,) = _rows(world)
    assert (row.resolved, row.stopping, row.observation["phase"]) == ("ended", False, "ended")
    assert row.observation["unbilled_ms"] == 20 * MINUTE_MS - ended.evidence.run_ms
    world.advance(world.clock.ms + 30 * MINUTE_MS)
    assert world.workload(id).state == "succeeded"


def test_a_machine_that_is_gone_for_good_holds_nothing_once_another_stands_in_its_place(tell: Teller) -> None:
    world = tell.world
    id, ended = _cut_off(tell)
    site = world.replace_site("north", [node("n1")])
    site.driver.script("job", LONG)
    world.advance(world.clock.ms + 30 * MINUTE_MS)
    assert world.workload(id).state == "succeeded"
    (row,) = _rows(world)
    assert (row.resolved, row.stopping, row.observation.get("unbilled_ms", 0)) == ("attested", False, 0)
    assert ended.id == row.id


def test_a_word_that_comes_late_of_an_attempt_that_ended_leaves_nothing_set_aside(tell: Teller) -> None:
    """Even where its place is another's by now, which is more than there is for as long as the word is believed."""
    world = tell.world
    world.sites["north"].driver.script("job", Script(run_ms=MINUTE_MS))
    id = tell.submit(spec("job", devices=4))
    world.settle()
    world.advance(NOW_MS + 2 * MINUTE_MS)
    (ended,) = world.attempts(id)
    assert ended.outcome == "succeeded"
    world.sites["north"].driver.script("next", LONG)
    following = tell.submit(spec("next", devices=4))
    world.settle()
    assert world.workload(following).state == "running"
    deed = world.deed()
    epoch = world.store.read(lambda r: r.get(Site, "north")).agent_epoch  # type: ignore[union-attr]
    late = AttemptReport(attempt=ended.id, epoch=ended.epoch, workload=id, phase="running", evidence=Evidence(run_ms=5))
    world.store.transact(lambda tx: report(tx, deed, site="north", report=Report(epoch=epoch, reports=(late,))))
    world.advance(NOW_MS + 3 * MINUTE_MS)
    assert [(q.resolved, q.stopping) for q in _rows(world)] == [("ended", False)]
    assert world.attempts(id) == [ended]
    world.advance(world.clock.ms + 20 * MINUTE_MS)
    assert [a.outcome for a in world.attempts(following)] == ["succeeded"]


@pytest.mark.parametrize("older", [0, 1])
def test_the_words_of_another_site_or_of_a_later_epoch_change_nothing(tell: Teller, older: int) -> None:
    world = tell.world
    world.add_site("south", [node("s1")])
    world.settle()
    id, ended = _cut_off(tell)
    before = _rows(world)
    deed = world.deed()
    site = "north" if older else "south"
    row = world.store.read(lambda r: r.get(Site, site))
    assert row is not None
    said = AttemptReport(attempt=ended.id, epoch=ended.epoch + older, workload=id, phase="running")
    world.store.transact(lambda tx: report(tx, deed, site=site, report=Report(epoch=row.agent_epoch, reports=(said,))))
    assert _rows(world) == before


def test_an_attempt_at_a_site_that_answers_is_attested_lost_only_by_force_and_stopped_then(tell: Teller) -> None:
    world = tell.world
    world.sites["north"].driver.script("job", LONG)
    id = tell.submit(spec("job", devices=4))
    world.settle()
    (attempt,) = world.attempts(id)
    assert _attest(world, attempt.id) == Reason.of(ReasonKind.SITE_REACHABLE, attempt=attempt.id, site="north")
    assert world.attempts(id)[0].state == AttemptState.RUNNING
    assert _rows(world) == []
    assert isinstance(_attest(world, attempt.id, force=True), Attempt)
    assert _together(world, world.clock.ms + TERM_MS + 3000) == 1
    world.advance(world.clock.ms + 40 * MINUTE_MS)
    assert [a.outcome for a in world.attempts(id)] == ["lost", "succeeded"]
    assert world.store.read(verify_store_books).findings == ()


def _shown(world: World) -> list[tuple[str, str]]:
    """What runs at the sites' machines: (attempt, phase), as these see it."""
    return [(o.attempt, o.phase) for s in world.sites.values() for o in s.driver.observe(None) if o.phase != "ended"]


def _victim_cut_off(tell: Teller) -> tuple[Attempt, str]:
    """A job that is to make room for urgent work at a site that nobody hears: attested lost after three minutes."""
    world = tell.world
    for name in ("job", "urgent"):
        world.sites["north"].driver.script(name, LONG)
    id = tell.submit(spec("job", devices=4))
    world.settle()
    world.advance(NOW_MS + 5 * MINUTE_MS)
    urgent = tell.submit(spec("urgent", devices=4, priority="urgent"), project="flood")
    world.sites["north"].link.down = True
    world.settle()
    assert world.attempts(urgent)[0].state == AttemptState.CLAIMED
    world.advance(NOW_MS + 8 * MINUTE_MS)
    (victim,) = world.attempts(id)
    assert victim.state == AttemptState.STOPPING
    ended = _attest(world, victim.id)
    assert isinstance(ended, Attempt)
    world.advance(NOW_MS + 10 * MINUTE_MS)
    assert world.attempts(urgent)[0].state == AttemptState.CLAIMED, "its victim has its place still, for all that is known"
    return ended, urgent


@pytest.mark.parametrize("way", WAYS)
def test_who_waits_for_a_victim_that_was_attested_lost_starts_only_once_its_site_told_of_its_end(
    tell: Teller, way: Callable[[World], None]
) -> None:
    world = tell.world
    victim, urgent = _victim_cut_off(tell)
    way(world)
    assert _together(world, world.clock.ms + TERM_MS + 3000) == 1
    (claim,) = world.attempts(urgent)
    assert claim.state == AttemptState.RUNNING
    assert [(q.id, q.resolved, q.holds_place) for q in _rows(world)] == [(victim.id, "ended", False)]
    world.advance(world.clock.ms + 90 * MINUTE_MS)
    assert [a.outcome for a in world.attempts(urgent)] == ["succeeded"]
    assert world.workload(victim.workload).state == "succeeded"
    assert world.store.read(verify_store_books).findings == ()
    assert world.store.read(verify_audit).fault is None


def test_it_starts_once_another_machine_stands_in_the_place_of_the_one_that_is_gone(tell: Teller) -> None:
    world = tell.world
    victim, urgent = _victim_cut_off(tell)
    world.replace_site("north", [node("n1")])
    world.settle()
    assert world.attempts(urgent)[0].state in (AttemptState.LAUNCHING, AttemptState.RUNNING)
    assert [(q.id, q.resolved, q.holds_place) for q in _rows(world)] == [(victim.id, "attested", False)]


def test_whoever_knows_better_dismisses_it_by_force_and_its_place_is_free(tell: Teller) -> None:
    world = tell.world
    victim, urgent = _victim_cut_off(tell)
    deed = world.deed()
    refused = world.store.transact(lambda tx: resolve_quarantine(tx, deed, attempt=victim.id))
    assert refused == Reason.of(ReasonKind.STILL_RUNS, attempt=victim.id, site="north")
    before = _rows(world)
    stopped = world.store.transact(lambda tx: stop_quarantined(tx, deed, attempt=victim.id))
    assert [stopped] == before == _rows(world), "its site is told to stop it anyway"
    assert world.attempts(urgent)[0].state == AttemptState.CLAIMED
    for _ in range(2):  # again changes nothing
        world.store.transact(lambda tx: resolve_quarantine(tx, deed, attempt=victim.id, force=True))
        (row,) = _rows(world)
        assert (row.resolved, row.stopping, row.holds_place) == ("dismissed", True, False)
    assert world.attempts(urgent)[0].state == AttemptState.LAUNCHING
    world.replace_site("north", [node("n1")]).driver.script("urgent", LONG)
    world.settle()
    world.advance(world.clock.ms + 30 * MINUTE_MS)
    assert world.workload(urgent).state == "succeeded"
    (row,) = _rows(world)
    assert (row.resolved, row.stopping) == ("dismissed", False)
    assert world.store.read(verify_audit).fault is None


def _forced_with_room_to_spare(tell: Teller) -> tuple[str, Attempt]:
    world = tell.world
    world.sites["north"].driver.script("job", LONG)
    id = tell.submit(spec("job", devices=1))
    world.settle()
    world.advance(NOW_MS + MINUTE_MS)
    attempt = _attest(world, world.attempts(id)[0].id, force=True)
    assert isinstance(attempt, Attempt)
    return id, attempt


def test_work_attested_lost_at_a_site_that_answers_is_not_placed_beside_itself(tell: Teller) -> None:
    world = tell.world
    id, first = _forced_with_room_to_spare(tell)
    world.controller.step()
    why = world.controller.why(id)
    assert isinstance(why, WhyAnswer) and why.reason == Reason.of(ReasonKind.WAITS_QUARANTINE, attempt=first.id)
    assert _together(world, world.clock.ms + TERM_MS + 60_000) == 1
    assert _shown(world) == [(world.workload(id).attempt, "running")] != [(first.id, "running")]
    world.advance(world.clock.ms + 40 * MINUTE_MS)
    assert [a.outcome for a in world.attempts(id)] == ["lost", "succeeded"]


def test_once_its_site_has_fallen_silent_it_need_not_wait_for_it(tell: Teller) -> None:
    world = tell.world
    world.add_site("south", [node("s1")])
    world.settle()
    for site in world.sites.values():
        site.driver.script("job", LONG)
    id = tell.submit(spec("job", devices=4))
    world.settle()
    world.advance(NOW_MS + MINUTE_MS)
    (first,) = world.attempts(id)
    world.sites[first.site].link.down = True
    assert isinstance(_attest(world, first.id, force=True), Attempt)
    world.advance(NOW_MS + MINUTE_MS + 45_000)
    assert [a.id for a in world.attempts(id)] == [first.id]
    world.advance(NOW_MS + 4 * MINUTE_MS)
    (again,) = world.attempts(id)[1:]
    assert again.site != first.site and again.state == AttemptState.RUNNING
    assert [(q.id, q.holds_place) for q in _rows(world)] == [(first.id, True)]


def _story(tell: Teller) -> None:
    world = tell.world
    begin(tell)
    id = tell.submit(spec("job", devices=4))
    world.settle()
    world.sites["north"].link.down = True
    world.advance(NOW_MS + 3 * MINUTE_MS)
    (attempt,) = world.attempts(id)
    tell.ask(attest_lost, attempt=attempt.id)
    world.advance(NOW_MS + 4 * MINUTE_MS)
    world.sites["north"].link.down = False
    world.settle()
    require(len(_rows(world)) == 1 and not _rows(world)[0].resolved, "it is set aside until it has ended")
    require(_together(world, world.clock.ms + 10_000) == 1, "two run")
    world.advance(NOW_MS + 60 * MINUTE_MS)
    require([(q.resolved, q.stopping) for q in _rows(world)] == [("ended", False)], "it is told how it ended")


def _open(store: Store) -> World:
    world = World(now_ms=NOW_MS, policy=POLICY, store=store)
    world.add_site("north", [node("n1")]).driver.script("job", LONG)
    return world


def test_it_ends_the_same_wherever_the_controller_dies() -> None:
    report = crash_points(_open, _story)
    assert report.failures == ()
    assert report.ending.faults == () and report.runs > 20
    assert [outcome for outcome, _, _ in report.ending.workloads["job.-1"][1]] == ["lost", "succeeded"]
