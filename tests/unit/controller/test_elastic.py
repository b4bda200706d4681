"""An elastic gang through the plane: placed with as many workers as there are, and held, ordered and billed for these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dure.backends.fake import Script
from dure.controller.commands import funding, tenancy
from dure.controller.commands.workloads import Submitted, submit
from dure.controller.drift import drift
from dure.controller.lifecycle import normalised_cores
from dure.controller.openings import opening
from dure.controller.rates import fewest_amounts, hold_amounts, quoted_won
from dure.ledger import rate_all
from dure.model.policy import Policy, Price
from dure.model.workload import AttemptState, Demand, Outcome, WorkloadSpec, WorkloadState
from dure.scheduler import Snapshot
from dure.simulator.crash import Teller
from dure.simulator.world import World
from tests.simulation.stories import DAY_MS, MINUTE_MS, NOW_MS, POLICY, attempts, begin, node, workload


@pytest.fixture
def tell() -> Teller:
    world = World(now_ms=NOW_MS, policy=POLICY)
    site = world.add_site("north", [node(name, devices=4) for name in ("n1", "n2", "n3")])
    site.driver.script("gang", Script(run_ms=10 * MINUTE_MS, term_ms=1000))
    site.driver.script("other", Script(run_ms=5 * MINUTE_MS))
    teller = Teller(world)
    begin(teller)
    return teller


def spec(**changes: Any) -> WorkloadSpec:
    wants: dict[str, Any] = {"workers": 4, "workers_min": 1, "limit_ms": 30 * MINUTE_MS, "demand": Demand(devices=4), **changes}
    return WorkloadSpec(name=wants.pop("name", "gang"), command=("run",), **wants)


def asks(world: World, project: str = "lab", **changes: Any) -> str:
    deed = world.deed()
    made = world.store.transact(lambda tx: submit(tx, deed, project=project, spec=spec(**changes)))
    assert isinstance(made, Submitted)
    return made.ids[0]


def rated(workers: int) -> int:
    own = spec()
    return rate_all(
        POLICY, accelerator="h100", workers=workers, cores_milli=own.demand.cores_milli, memory_mib=own.demand.memory_mib,
        devices=4, limit_ms=own.limit_ms, grace_ms=own.grace_ms, preemptible=True, priority="normal",
    )[0]  # fmt: skip


def test_it_is_placed_held_ordered_weighed_and_billed_with_as_many_as_there_are(tell: Teller) -> None:
    world = tell.world
    id = asks(world)
    world.settle()
    (attempt,) = attempts(world, id)
    assert [w.node for w in attempt.workers] == ["north/n1", "north/n2", "north/n3"]
    assert attempt.held == -(-rated(4) * 3 // 4) >= rated(3) and attempt.state == AttemptState.RUNNING
    (record,) = world.sites["north"].driver._records.values()
    assert (record.order.spec.workers, record.order.spec.workers_min, len(record.order.workers)) == (3, 0, 3)
    one = replace(attempt, workers=attempt.workers[:1])
    assert normalised_cores(workload(world, id), attempt) == 3 * normalised_cores(workload(world, id), one)
    world.advance(NOW_MS + 11 * MINUTE_MS)
    (ended,) = attempts(world, id)
    assert ended.outcome == Outcome.SUCCEEDED and ended.evidence.run_ms == 10 * MINUTE_MS
    of_a_worker = (15 + 4 * 4000) * 0.8 / 6  # won for ten minutes
    assert ended.settled * 10**9 + ended.charge_rest_nano == pytest.approx(3 * of_a_worker * 10**9, rel=1e-5)
    memory = world.controller._memory
    assert memory is not None
    assert world.store.read(lambda reader: drift(reader, memory.mirror, memory.columns, world.clock.ms, 1)) == ""


def test_it_neither_grows_nor_shrinks_and_starts_again_with_another_count(tell: Teller) -> None:
    world = tell.world
    other = asks(world, name="other", workers=1, workers_min=0)
    world.settle()
    id = asks(world)
    world.settle()
    assert len(attempts(world, id)[0].workers) == 2
    world.advance(NOW_MS + 6 * MINUTE_MS)
    assert attempts(world, other)[0].outcome == Outcome.SUCCEEDED
    assert len(attempts(world, id)[0].workers) == 2, "room that comes free is others'"
    asks(world, project="flood", name="other", workers=2, workers_min=0, priority="urgent")
    world.settle()
    world.advance(NOW_MS + 30 * MINUTE_MS)
    first, second = attempts(world, id)
    assert (first.outcome, len(first.workers)) == (Outcome.PREEMPTED, 2)
    assert (second.outcome, len(second.workers)) == (Outcome.SUCCEEDED, 1)
    assert workload(world, id).state == WorkloadState.SUCCEEDED


def planned(world: World) -> Snapshot:
    world.settle()
    view = world.controller.view()
    assert view is not None
    return view.snapshot


def test_two_jobs_that_differ_only_in_the_fewest_are_of_two_shapes(tell: Teller) -> None:
    tell.world.sites["north"].link.down = True
    tell.world.clock.ms += 2 * MINUTE_MS
    for least in (0, 2, 4, 2):
        asks(tell.world, workers_min=least)
    s = planned(tell.world)
    assert s.pending.workers_min.tolist() == [0, 2, 0, 2] and s.pending.shape.tolist() == [0, 1, 0, 1]


def test_what_is_quoted_is_for_all_and_an_opening_has_to_pay_for_the_fewest(tell: Teller) -> None:
    own = spec()
    assert quoted_won(POLICY, own) == hold_amounts(POLICY, own, "h100")[0] == rated(4)
    least = fewest_amounts(POLICY, own, "h100")
    assert least == (-(-rated(4) // 4), -1)
    tell.ask(tenancy.create_project, id="poor", name="Poor", organisation="uni")
    opens = {"starts_ms": NOW_MS + DAY_MS, "expires_ms": NOW_MS + 9 * DAY_MS}
    tell.ask(funding.create_award, programme="call", project="poor", amount=least[0], **opens)
    s = planned(tell.world)
    found = tell.world.store.read(lambda reader: [opening(reader, s, "poor", each) for each in (own, spec(workers_min=2))])
    assert [each.enough if each else None for each in found] == [True, False]


def test_what_no_award_can_hold_says_nothing_of_a_part_of_it() -> None:
    dear = Policy(prices=(Price(resource="core", nano=10**22), Price(resource="device:*", nano=10**22)))
    assert hold_amounts(dear, spec(workers_min=0), "h100")[0] > 0
    assert hold_amounts(dear, spec(), "h100") == (-1, -1)
