"""Work of seconds, on the whole plane: every nano-won of it is billed or carried, and what is lost of it comes back."""

from __future__ import annotations

from collections import defaultdict

import pytest

from dure.backends.fake import Script
from dure.controller import verify_store_books
from dure.model.event import Event
from dure.model.funding import Account, Remainder
from dure.model.money import NANO
from dure.model.workload import Attempt, Demand, Outcome, WorkloadSpec
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import NOW_MS, POLICY, begin, node, spec

SECOND_MS = 1000
CORE_NANO = 15 * (NANO // 3600) * 8 // 10  # a core costs this much a second, preemptible


@pytest.fixture
def tell() -> Teller:
    world = World(now_ms=NOW_MS, policy=POLICY, store=MemoryStore())
    for site in ("north", "south"):
        world.add_site(site, [node(f"{site[0]}1", devices=4)])
    teller = Teller(world)
    begin(teller)
    return teller


def _small(tell: Teller, name: str, seconds: int, **changes: object) -> str:
    for site in tell.world.sites.values():
        site.driver.script(name, Script(run_ms=seconds * SECOND_MS))
    return tell.submit(WorkloadSpec(name=name, command=("run",), demand=Demand(), limit_ms=60_000, **changes))  # type: ignore[arg-type]


def _ended(world: World) -> list[Attempt]:
    return [a for a in world.store.read(lambda r: r.find(Attempt)) if a.outcome != Outcome.NONE]


def _run_on(world: World, seconds: int) -> None:
    world.advance(world.clock.ms + seconds * SECOND_MS)


def test_a_hundred_jobs_of_seconds_cost_what_they_cost_and_not_nothing(tell: Teller) -> None:
    world = tell.world
    for n in range(100):
        _small(tell, f"s{n}", 9, sites=("north",) if n % 3 else ("south",))
        if n % 4 == 3:
            world.settle()
            _run_on(world, 20)
    _run_on(world, 120)
    attempts, charge = _ended(world), 9 * CORE_NANO
    assert [a.settled * NANO + a.charge_rest_nano for a in attempts] == [charge] * 100
    assert {a.settled for a in attempts} == {0, 1}
    posted: defaultdict[str, int] = defaultdict(int)
    for attempt in attempts:
        posted[attempt.site] += attempt.settled
    carried = {r.site: r.nano for r in world.store.read(lambda r: r.find(Remainder, {"project": "lab"}))}
    accounts = world.store.read(lambda r: r.get_many(Account, ["site:north:KRW", "site:south:KRW"]))
    for site, jobs in (("north", 66), ("south", 34)):  # each is paid for its own work, to the whole won
        assert (posted[site], carried[site]) == divmod(jobs * charge, NANO)
        earned = accounts.get(f"site:{site}:KRW")
        assert (earned.credits_posted if earned else 0) == posted[site]
    assert world.store.read(verify_store_books).findings == ()


def test_ends_that_come_together_are_numbered_as_the_attempts_were_placed(tell: Teller) -> None:
    world = tell.world
    for n in range(6):
        _small(tell, f"s{n}", 30, sites=("north",))
    world.settle()
    _run_on(world, 60)
    attempts = sorted(_ended(world), key=lambda a: a.id)
    assert len({a.ended_ms for a in attempts}) == 1
    events = {e.subject: e.data for e in world.store.read(lambda r: r.find(Event)) if e.kind == "attempt.ended"}
    assert [events[a.id]["carry_number"] for a in attempts] == [1, 2, 3, 4, 5, 6]
    charge = 30 * CORE_NANO
    assert [events[a.id]["carry_nano"] for a in attempts] == [n * charge % NANO for n in range(1, 7)]


def test_what_a_preemption_destroys_of_a_small_job_is_given_back_to_the_nano_won(tell: Teller) -> None:
    world = tell.world
    for site in world.sites.values():
        site.driver.script("train", Script(run_ms=20 * 60 * SECOND_MS, term_ms=500))
        site.driver.script("urgent", Script(run_ms=SECOND_MS))
    tell.submit(spec("train", devices=4, sites=("north",)))
    world.settle()
    _run_on(world, 150)  # longer than the guaranteed minimum run, and no checkpoint
    tell.submit(spec("urgent", devices=4, priority="urgent", sites=("north",)), project="flood")
    world.settle()
    _run_on(world, 10)
    (lost,) = [a for a in _ended(world) if a.outcome == Outcome.PREEMPTED]
    charge = lost.settled * NANO + lost.charge_rest_nano
    refund = lost.refunded * NANO + lost.refund_rest_nano
    run_ms, cap_ms = lost.evidence.run_ms, POLICY.min_run_ms
    assert 2 * abs(refund * run_ms - charge * cap_ms) <= run_ms  # the share of the run that counts, to the nearest nano-won
    (left,) = world.store.read(lambda r: r.find(Remainder, {"project": "lab"}))
    assert (lost.settled - lost.refunded, left.nano) == divmod(charge - refund, NANO)
    assert world.store.read(verify_store_books).findings == ()


def test_what_costs_nothing_opens_no_remainder(tell: Teller) -> None:
    world = tell.world
    _small(tell, "instant", 0, sites=("north",))
    world.settle()
    _run_on(world, 5)
    (attempt,) = _ended(world)
    assert (attempt.outcome, attempt.settled, attempt.charge_rest_nano) == (Outcome.SUCCEEDED, 0, 0)
    assert world.store.read(lambda r: r.count(Remainder)) == 0
