"""Which running work yields follows from the policy in force, and a policy of before there was such a thing yields nothing."""

from __future__ import annotations

from dataclasses import replace

from dure.backends.fake import Script
from dure.controller.commands.policy import write_policy
from dure.controller.rules import policy_of
from dure.model.codec import from_plain, to_plain
from dure.model.policy import Policy
from dure.simulator.crash import Teller
from dure.simulator.world import World
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec


def teller(policy: Policy) -> Teller:
    world = World(now_ms=NOW_MS, policy=policy)
    world.add_site("north", [node("n1"), node("n2")]).driver.script("job", Script(run_ms=20 * MINUTE_MS))
    made = Teller(world)
    begin(made)
    return made


def yields(world: World) -> list[bool]:
    world.settle()
    world.clock.ms += 1000
    world.controller.step()
    view = world.controller.view()
    assert view is not None
    found: list[bool] = view.snapshot.attempts.yields.tolist()
    return found


def test_running_work_yields_while_its_class_does() -> None:
    tell = teller(replace(POLICY, classes=Policy().classes))
    for priority in ("background", "normal"):
        tell.submit(spec("job", priority=priority))
    tell.world.settle()
    assert sorted(yields(tell.world)) == [False, True]
    deed = tell.world.deed()
    firm = tuple(replace(c, yields=False) for c in Policy().classes)
    tell.world.store.transact(lambda tx: write_policy(tx, deed, policy=replace(policy_of(tx), classes=firm)))
    assert yields(tell.world) == [False, False]


def test_a_policy_that_was_stored_before_keeps_its_background_work_as_it_was() -> None:
    stored = to_plain(Policy())
    for c in stored["classes"]:
        del c["yields"]
    assert not any(c.yields for c in from_plain(Policy, stored).classes)
