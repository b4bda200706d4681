"""Whoever makes others stop pays for at least the run that those are guaranteed, however soon it is over itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dure.backends.fake import Script
from dure.controller import verify_store_books
from dure.controller.commands import sites, workloads
from dure.model.tenancy import Project
from dure.model.workload import AttemptState, Outcome
from dure.simulator.crash import Teller
from dure.simulator.world import World
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec

DEVICES, CORES, DEVICE_WON, CORE_WON = 4, 1, 4000, 15
AN_HOUR_WON = (DEVICES * DEVICE_WON + CORES * CORE_WON) * POLICY.preemptible_permille / 1000
GUARANTEED = AN_HOUR_WON * POLICY.min_run_ms / 3_600_000  # won, for the run that others are guaranteed
SHORT_MS = 10_000


def made_way(urgent_ms: int, project: str = "flood", reject: str = "") -> tuple[Teller, str, str]:
    """A job that is being stopped for an urgent one of another organisation, and both."""
    world = World(now_ms=NOW_MS, policy=POLICY)
    driver = world.add_site("north", [node("n1")]).driver
    tell = Teller(world)
    begin(tell)
    driver.script("job", Script(run_ms=600 * MINUTE_MS, term_ms=5000))
    driver.script("urgent", Script(run_ms=urgent_ms, reject=reject))
    job = tell.submit(spec("job", devices=DEVICES, limit_ms=300 * MINUTE_MS))
    world.settle()
    world.advance(world.clock.ms + 3 * MINUTE_MS)
    urgent = tell.submit(spec("urgent", devices=DEVICES, priority="urgent"), project=project)
    world.settle()
    assert world.attempts(urgent)[0].state == AttemptState.CLAIMED
    return tell, job, urgent


def paid(tell: Teller, workload: str) -> tuple[Outcome, float]:
    (attempt,) = tell.world.attempts(workload)
    assert not tell.world.store.read(verify_store_books).findings
    return attempt.outcome, attempt.settled + attempt.charge_rest_nano / 1e9


def test_a_claim_that_its_owner_withdraws_pays_for_the_run_that_others_were_guaranteed() -> None:
    tell, job, urgent = made_way(MINUTE_MS)
    tell.ask(workloads.cancel, id=urgent)
    tell.world.advance(tell.world.clock.ms + MINUTE_MS)
    outcome, won = paid(tell, urgent)
    assert outcome == Outcome.WITHDRAWN and won == pytest.approx(GUARANTEED, abs=0.01)
    assert tell.world.attempts(urgent)[0].evidence.run_ms == 0
    assert tell.world.attempts(job)[0].refunded > 0


def test_what_made_others_stop_and_is_soon_over_pays_as_much_and_no_more_than_it_ran_when_that_is_longer() -> None:
    for run_ms, guaranteed in ((SHORT_MS, 1.0), (3 * POLICY.min_run_ms, 3.0)):
        tell, _, urgent = made_way(run_ms)
        tell.world.advance(tell.world.clock.ms + 20 * MINUTE_MS)
        outcome, won = paid(tell, urgent)
        assert outcome == Outcome.SUCCEEDED and won == pytest.approx(guaranteed * GUARANTEED, rel=0.01)


def test_what_made_nobody_stop_pays_for_its_seconds() -> None:
    world = World(now_ms=NOW_MS, policy=POLICY)
    world.add_site("north", [node("n1")]).driver.script("urgent", Script(run_ms=SHORT_MS))
    tell = Teller(world)
    begin(tell)
    urgent = tell.submit(spec("urgent", devices=DEVICES, priority="urgent"), project="flood")
    world.settle()
    world.advance(world.clock.ms + 5 * MINUTE_MS)
    assert paid(tell, urgent)[1] == pytest.approx(GUARANTEED * SHORT_MS / POLICY.min_run_ms, rel=0.01)


def test_work_of_the_own_organisation_that_makes_room_is_no_loss_of_others() -> None:
    tell, _, urgent = made_way(SHORT_MS, project="lab")
    tell.world.advance(tell.world.clock.ms + 5 * MINUTE_MS)
    assert paid(tell, urgent)[1] == pytest.approx(GUARANTEED * SHORT_MS / POLICY.min_run_ms, rel=0.01)


def test_code_that_cannot_be_unpacked_pays_for_each_time_that_it_made_others_stop() -> None:
    tell, _, urgent = made_way(MINUTE_MS, reject="bad_bundle")
    tell.world.advance(tell.world.clock.ms + 6 * MINUTE_MS)
    tries = tell.world.attempts(urgent)
    won = sum(t.settled + t.charge_rest_nano / 1e9 for t in tries)
    assert {t.outcome for t in tries} == {Outcome.REJECTED}
    assert won == pytest.approx(sum(bool(t.victims) for t in tries) * GUARANTEED, abs=0.01) and won > 0


def test_a_site_that_cannot_launch_it_charges_nothing() -> None:
    tell, _, urgent = made_way(MINUTE_MS, reject="isolation_failed")
    tell.world.advance(tell.world.clock.ms + 6 * MINUTE_MS)
    assert {(t.outcome, t.settled, t.charge_rest_nano) for t in tell.world.attempts(urgent)} == {(Outcome.REJECTED, 0, 0)}


def test_a_claim_that_an_operator_cancels_costs_its_project_nothing() -> None:
    tell, _, urgent = made_way(MINUTE_MS)
    keeper = replace(tell.world.deed(), actor="actor_operator")
    tell.world.store.transact(lambda tx: workloads.cancel(tx, keeper, id=urgent))
    tell.world.advance(tell.world.clock.ms + MINUTE_MS)
    assert paid(tell, urgent) == (Outcome.WITHDRAWN, 0)


def test_what_a_claim_was_charged_for_counts_in_the_fair_share() -> None:
    tell, _, urgent = made_way(MINUTE_MS)
    used = tell.world.store.read(lambda r: r.get(Project, "flood")).use
    tell.ask(workloads.cancel, id=urgent)
    assert tell.world.store.read(lambda r: r.get(Project, "flood")).use > used


def test_a_claim_that_is_given_up_for_other_reasons_costs_nothing() -> None:
    tell, _, urgent = made_way(MINUTE_MS)
    (claim,) = tell.world.attempts(urgent)
    tell.world.sites["north"].link.down = True
    tell.world.advance(tell.world.clock.ms + 3 * MINUTE_MS)
    tell.ask(sites.attest_lost, attempt=claim.id)
    assert paid(tell, urgent) == (Outcome.WITHDRAWN, 0)
