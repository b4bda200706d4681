"""What a step promises: nothing is applied that is not right, a race that is lost harms nobody, a drift is noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import pytest

from dure.backends.fake import Script
from dure.controller import Controller, verify_audit, verify_store_books
from dure.controller.answers import WhyAnswer
from dure.controller.apply import Applied, Group, apply_groups, groups_of
from dure.controller.commands import workloads
from dure.controller.controller import ControllerSettings
from dure.errors import InvariantViolated, StaleLeader
from dure.model.funding import Transfer, TransferKind
from dure.model.reason import ReasonKind
from dure.model.workload import Attempt, AttemptState, Outcome, Workload, WorkloadState
from dure.scheduler import Plan, Snapshot, plan
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec

PLENTY_S = 60
stepping = import_module("dure.controller.step")  # the package has a function of the same name


@pytest.fixture
def tell() -> Teller:
    """A lab and a rescue team with money, and one node of four accelerators."""
    world = World(now_ms=NOW_MS, policy=POLICY, store=MemoryStore())
    site = world.add_site("north", [node("n1", devices=4)])
    site.driver.script("train", Script(run_ms=20 * MINUTE_MS, term_ms=1000))
    site.driver.script("refused", Script(reject="no_such_image"))
    teller = Teller(world)
    begin(teller)
    return teller


def planned(world: World) -> tuple[Group, ...]:
    """What a controller that looks now would apply."""
    memory = stepping.load(world.store)
    snapshot = memory.columns.snapshot(world.clock.ms, world.controller.epoch)
    return groups_of(memory.mirror, snapshot, plan(snapshot), lambda: world.deed().new_id("at"), world.clock.ms)


def applied(world: World, groups: tuple[Group, ...]) -> Applied:
    return apply_groups(world.store, world.deed("controller"), groups, world.controller.epoch)


def holds(world: World) -> int:
    return world.store.read(lambda r: r.count(Transfer, {"kind": TransferKind.HOLD}))


def in_order(world: World) -> bool:
    world.controller.step()
    return world.store.read(verify_store_books).findings == () and world.store.read(verify_audit).fault is None


# -- plans that fail their check ------------------------------------------------------------------------------------------


def cursed(*names: str) -> Callable[[Snapshot], Plan]:
    """A plan that gives these no devices, wherever they start."""

    def wrong(snapshot: Snapshot) -> Plan:
        right = plan(snapshot)
        mask = right.start_mask.copy()
        for start, row in enumerate(right.start_pending.tolist()):
            if snapshot.pending.ids[row] in names:
                mask[right.start_worker_ptr[start] : right.start_worker_ptr[start + 1]] = 0
        return replace(right, start_mask=mask)

    return wrong


def test_who_breaks_a_plan_waits_and_the_others_do_not(
    tell: Teller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = tell.world
    first, bad, last = (tell.submit(spec(name)) for name in ("first", "bad", "last"))
    monkeypatch.setattr(stepping, "plan", cursed(bad))
    world.settle()
    assert [world.workload(id).state for id in (first, bad, last)] == [
        WorkloadState.RUNNING, WorkloadState.WAITING, WorkloadState.RUNNING
    ]  # fmt: skip
    assert (world.attempts(bad), world.controller.kept_back) == ([], (bad,))
    (told,) = [line.getMessage() for line in caplog.records if line.levelname == "ERROR"]
    assert "gets 0 devices on north/n1 instead of 1" in told and bad in told
    # it is tried again when its time has come, and kept back again as long as it is at fault
    world.advance(world.clock.ms + stepping.KEPT_BACK_MS)
    assert (world.workload(bad).state, world.controller.kept_back) == (WorkloadState.WAITING, (bad,))
    monkeypatch.undo()
    world.advance(world.clock.ms + stepping.KEPT_BACK_MS)
    assert (world.workload(bad).state, len(world.attempts(bad))) == (WorkloadState.RUNNING, 1)
    assert world.controller.kept_back == ()


def test_who_is_kept_back_pauses_and_is_told_so(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tell.submit(spec("bad"))
    monkeypatch.setattr(stepping, "plan", cursed(bad))
    tell.world.settle()
    answer = tell.world.controller.why(bad)
    assert isinstance(answer, WhyAnswer)
    assert answer.reason.kind == ReasonKind.WAITS_PAUSE
    assert 0 < answer.reason.facts["until_ms"] - tell.world.clock.ms <= stepping.KEPT_BACK_MS


def test_nothing_is_applied_where_no_plan_passes_its_check(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(snapshot: Snapshot) -> Plan:
        raise IndexError("a kernel broke")

    world, id = tell.world, tell.submit(spec("job"))
    monkeypatch.setattr(stepping, "plan", broken)
    with pytest.raises(InvariantViolated, match=r"failed its check and was not applied: IndexError\('a kernel broke'\)"):
        world.controller.step()
    assert (world.workload(id).state, world.attempts(id), holds(world)) == (WorkloadState.WAITING, [], 0)


# -- lost races -----------------------------------------------------------------------------------------------------------


def cancelled(tell: Teller, id: str) -> None:
    tell.ask(workloads.cancel, id=id)


def started_elsewhere(tell: Teller, id: str) -> None:
    tell.world.settle()
    assert tell.world.workload(id).state == WorkloadState.RUNNING


def started_and_refused(tell: Teller, id: str) -> None:
    """It waits again, as the plan saw it, and yet it is another one: it has a pause to make."""
    tell.world.settle()
    assert tell.world.workload(id).state == WorkloadState.WAITING
    assert tell.world.workload(id).eligible_ms > tell.world.clock.ms


@pytest.mark.parametrize(
    ("name", "change"),
    [("job", cancelled), ("job", started_elsewhere), ("refused", started_and_refused)],
    ids=["cancelled", "started elsewhere", "started and refused"],
)
def test_a_workload_that_has_changed_since_the_plan_is_not_started(
    tell: Teller, name: str, change: Callable[[Teller, str], None]
) -> None:
    world, id = tell.world, tell.submit(spec(name))
    groups = planned(world)
    assert [g.attempt.workload for g in groups] == [id]
    change(tell, id)
    before = (world.workload(id), world.attempts(id), holds(world))
    assert applied(world, groups) == Applied(started=(), lost=(id,))
    assert (world.workload(id), world.attempts(id), holds(world)) == before
    assert in_order(world)


def test_a_start_that_lost_its_race_does_not_harm_those_beside_it(tell: Teller) -> None:
    world = tell.world
    ids = [tell.submit(spec(f"j{n}")) for n in range(3)]
    groups = planned(world)
    assert [g.attempt.workload for g in groups] == ids
    cancelled(tell, ids[1])
    assert applied(world, groups).lost == (ids[1],)
    assert [world.workload(id).state.value for id in ids] == ["starting", "cancelled", "starting"]
    assert in_order(world)


def claim(tell: Teller) -> tuple[Attempt, str, tuple[Group, ...]]:
    """A training that runs, and an urgent job that a plan lets in at its cost: the victim, the urgent one, the plan."""
    world = tell.world
    train = tell.submit(spec("train", devices=4, checkpoint_interval_ms=MINUTE_MS))
    world.settle()
    world.clock.ms += 5 * MINUTE_MS
    world.settle()
    urgent = tell.submit(spec("urgent", devices=4, priority="urgent"), project="flood")
    groups = planned(world)
    (victim,) = world.attempts(train)
    assert [(g.attempt.workload, [v.id for v in g.victims]) for g in groups] == [(urgent, [victim.id])]
    return victim, urgent, groups


def ends_by_itself(tell: Teller, victim: Attempt) -> None:
    tell.world.clock.ms += 16 * MINUTE_MS
    tell.world._agent_round(tell.world.sites["north"])


def is_cancelled(tell: Teller, victim: Attempt) -> None:
    tell.ask(workloads.cancel, id=victim.workload)


@pytest.mark.parametrize("change", [ends_by_itself, is_cancelled], ids=lambda v: str(v.__name__))
def test_nobody_is_preempted_who_is_no_longer_as_the_plan_saw_him(
    tell: Teller, change: Callable[[Teller, Attempt], None]
) -> None:
    victim, urgent, groups = claim(tell)
    world = tell.world
    change(tell, victim)
    before = (world.attempts(victim.workload), world.workload(urgent), holds(world))
    assert before[0] != [victim]
    assert applied(world, groups) == Applied(started=(), lost=(urgent,))
    assert (world.attempts(victim.workload), world.workload(urgent), holds(world)) == before
    assert world.attempts(urgent) == []
    assert in_order(world)


def test_a_victim_that_has_only_saved_more_of_its_work_is_still_the_one(tell: Teller) -> None:
    victim, urgent, groups = claim(tell)
    world = tell.world
    newer = replace(victim, evidence=replace(victim.evidence, checkpoint_ms=victim.evidence.checkpoint_ms + 1))
    world.store.transact(lambda tx: tx.update(newer))
    assert applied(world, groups).lost == ()
    assert [a.state for a in (*world.attempts(victim.workload), *world.attempts(urgent))] == [
        AttemptState.STOPPING,
        AttemptState.CLAIMED,
    ]


def raced(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """Let `change` come between the snapshot of the next step and the moment at which its plan is applied."""

    def late(*arguments: object) -> Applied:
        monkeypatch.setattr(stepping, "apply_groups", apply_groups)
        change()
        return apply_groups(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(stepping, "apply_groups", late)


def test_a_race_that_a_step_loses_is_put_right_by_the_next_one(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, urgent, _ = claim(tell)
    world = tell.world
    raced(monkeypatch, lambda: ends_by_itself(tell, victim))
    first = world.controller.step()
    assert first is not None and first.lost == (urgent,) and first.started == () and first.busy
    assert world.workload(urgent).state == WorkloadState.WAITING
    second = world.controller.step()
    assert second is not None and second.lost == () and len(second.started) == 1
    (mine,), (theirs,) = world.attempts(urgent), world.attempts(victim.workload)
    assert (mine.state, mine.victims, theirs.outcome) == (AttemptState.LAUNCHING, (), Outcome.SUCCEEDED)
    assert in_order(world)


# -- the lead -------------------------------------------------------------------------------------------------------------


def test_what_a_former_leader_decided_is_refused_whole(tell: Teller) -> None:
    world, id = tell.world, tell.submit(spec("job"))
    groups = planned(world)
    assert isinstance(world.store, MemoryStore)
    world.store.lose_lead()
    assert (world.store.another().try_lead() or 0) > world.controller.epoch
    with pytest.raises(StaleLeader):
        applied(world, groups)
    assert (world.workload(id).state, world.attempts(id), holds(world)) == (WorkloadState.WAITING, [], 0)


# -- drift ----------------------------------------------------------------------------------------------------------------


def drifted(world: World) -> None:
    """The followed state differs from the stored one, as if a writer had not named what it wrote; the comparison is due."""
    world.controller.step()
    memory = world.controller._memory
    assert memory is not None
    memory.mirror.projects["lab"] = replace(memory.mirror.projects["lab"], weight=7)
    memory.mirror.tree += 1
    world.clock.ms += stepping.DRIFT_EVERY_MS
    world._agent_round(world.sites["north"])


def test_a_step_names_what_has_drifted_and_starts_nothing_on_it(tell: Teller) -> None:
    world = tell.world
    drifted(world)
    id = tell.submit(spec("job"))
    with pytest.raises(InvariantViolated, match=r"the followed state differs from the stored one in shares\.weight"):
        world.controller.step()
    assert (world.workload(id).state, world.attempts(id)) == (WorkloadState.WAITING, [])


def test_a_controller_that_has_drifted_says_so_and_reads_the_state_anew(tell: Teller) -> None:
    world = tell.world
    assert isinstance(world.store, MemoryStore)
    world.store.lose_lead()
    settings = ControllerSettings(retry_ms=1)
    world.controller = Controller(world.store.another(), world.clock, world.entropy, lambda body: "", "", settings)
    drifted(world)
    seen = world.controller.view()
    assert seen is not None
    world.controller.start()
    view = world.controller._next_view(seen, PLENTY_S)
    world.controller.stop()
    assert view is not None and view is not seen
    weights = dict(zip(view.snapshot.shares.ids, view.snapshot.shares.weight.tolist(), strict=True))
    assert (world.controller.faults, weights["lab"]) == (1, 1)


def test_the_comparison_is_made_at_the_next_step_when_something_is_not_sealed_yet(tell: Teller) -> None:
    """Until then it is not put off for another ten minutes."""
    world = tell.world
    drifted(world)
    memory = world.controller._memory
    assert memory is not None
    tell.submit(spec("job"))  # its event is not sealed: the stored state is ahead of every follower
    stepping._watch_drift(world.store, memory, world.clock.ms, world.controller.epoch)
    with pytest.raises(InvariantViolated, match=r"shares\.weight"):
        world.controller.step()


def test_a_type_that_no_site_has_is_no_drift_when_who_asked_for_it_runs(tell: Teller) -> None:
    """A snapshot goes on naming it; one that is made anew would not."""
    world = tell.world
    made = spec("train", devices=4)
    tell.submit(replace(made, demand=replace(made.demand, accelerators=("mi300x", "h100"))))
    tell.submit(spec("other", devices=4))
    for _ in range(12):
        world.advance(world.clock.ms + 10 * MINUTE_MS)
    assert world.store.read(lambda r: r.count(Workload, {"state": WorkloadState.SUCCEEDED})) == 2


def test_all_that_runs_and_waits_is_followed_without_a_drift_for_hours(tell: Teller) -> None:
    world = tell.world
    first = tell.submit(spec("train", devices=4))
    tell.submit(spec("after", depends_on=(first,)))
    for _ in range(12):
        world.advance(world.clock.ms + 10 * MINUTE_MS)
    assert world.store.read(lambda r: r.count(Workload, {"state": WorkloadState.SUCCEEDED})) == 2
