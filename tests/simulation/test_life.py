"""Whatever people do, in whatever order: the books balance, the chain holds, plans pass their check, the mirror is true."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from dure.backends.fake import Script
from dure.controller import verify_audit, verify_store_books
from dure.controller.commands import funding, sites, tenancy, workloads
from dure.controller.drift import drift
from dure.controller.mirror import Mirror
from dure.model.reason import Reason
from dure.model.workload import TERMINAL, Attempt, AttemptState, Demand, Workload, WorkloadSpec
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import DAY_MS, MINUTE_MS, NOW_MS, POLICY, node

EXAMPLES = int(os.environ.get("DURE_EXAMPLES", "20"))


class Life(RuleBasedStateMachine):
    """People submit and cancel, operators drain and attest, links are cut, controllers die, time passes."""

    ids = Bundle("ids")

    @initialize(moves=st.booleans())
    def begin(self, moves: bool) -> None:
        self.world = World(now_ms=NOW_MS, policy=replace(POLICY, moves=moves), store=MemoryStore())
        self.count = 0
        self.world.add_site("north", [node("n1"), node("n2")])
        self.world.add_site("south", [node("s1", devices=0)])
        self.do(tenancy.create_organisation, id="uni", name="u", kind="university")
        for name in ("a", "b"):
            self.do(tenancy.create_project, id=name, name=name, organisation="uni")
        self.do(funding.create_programme, id="call", name="c", currency="KRW", budget=10**9, starts_ms=NOW_MS,
                ends_ms=NOW_MS + 90 * DAY_MS)  # fmt: skip
        self.award("a", 20_000, 600)
        self.world.settle()

    def do(self, command: Any, **arguments: Any) -> Any:
        deed = self.world.deed()
        return self.world.store.transact(lambda tx: command(tx, deed, **arguments))

    @rule(project=st.sampled_from("ab"), amount=st.integers(1, 50_000), minutes=st.integers(1, 600))
    def award(self, project: str, amount: int, minutes: int) -> None:
        now_ms = self.world.clock.ms
        self.do(funding.create_award, programme="call", project=project, amount=amount, starts_ms=now_ms,
                expires_ms=now_ms + minutes * MINUTE_MS)  # fmt: skip

    @rule(
        target=ids,
        project=st.sampled_from("ab"),
        devices=st.integers(0, 5),
        workers=st.integers(1, 3),
        minutes=st.integers(1, 60),
        run=st.integers(0, 70),
        code=st.sampled_from([0, 0, 0, 1]),
        priority=st.sampled_from(["low", "normal", "urgent"]),
        checkpoint=st.sampled_from([0, 60_000]),
        array=st.sampled_from([0, 0, 3]),
        preemptible=st.booleans(),
        settle=st.booleans(),
    )
    def submit(
        self, project: str, devices: int, workers: int, minutes: int, run: int, code: int, priority: str, checkpoint: int,
        array: int, preemptible: bool, settle: bool,
    ) -> str:  # fmt: skip
        self.count += 1
        name = f"w{self.count}"
        for site in self.world.sites.values():
            site.driver.script(name, Script(run_ms=run * MINUTE_MS, exit_code=code, term_ms=1500))
        spec = WorkloadSpec(
            name=name, command=("x",), demand=Demand(devices=devices), workers=workers, limit_ms=minutes * MINUTE_MS,
            priority=priority, preemptible=preemptible, checkpoint_interval_ms=checkpoint, retries=1,
        )  # fmt: skip
        made = self.do(workloads.submit, project=project, spec=spec, array=array)
        if settle:
            self.world.settle()
        id: str = made.array_id or made.ids[0]
        return id

    @rule(sizes=st.lists(st.sampled_from([1, 2, 2]), min_size=3, max_size=4), first=st.integers(3, 9))
    def scatter(self, sizes: list[int], first: int) -> None:
        """Work that saves and ends one after the other, so that others have room, but not together."""
        for i, devices in enumerate(sizes):
            self.submit("a", devices, 1, 60, first + 15 * i, 0, "normal", 60_000, 0, True, True)
        self.wait(first + 2)
        self.submit("a", 4, 1, 20, 5, 0, "normal", 0, 0, False, True)

    @rule(id=ids)
    def cancel(self, id: str) -> None:
        self.do(workloads.cancel, id=id)

    @rule(minutes=st.integers(0, 45))
    def wait(self, minutes: int) -> None:
        self.world.advance(self.world.clock.ms + minutes * MINUTE_MS)

    @rule(drained=st.booleans())
    def drain(self, drained: bool) -> None:
        self.do(sites.drain_site, site="north", drained=drained)

    @rule(down=st.booleans())
    def link(self, down: bool) -> None:
        self.world.sites["north"].link.down = down

    @rule(up=st.booleans())
    def node(self, up: bool) -> None:
        driver = self.world.sites["north"].driver
        driver.revive_node("n1") if up else driver.kill_node("n1")

    @rule()
    def crash(self) -> None:
        self.world.restart_controller()

    @rule()
    def attest_one_lost(self) -> None:
        """Only where nothing can be running any more: an attempt whose node is down."""
        live = self.world.store.read(lambda r: r.find(Attempt, {"state": AttemptState.CLAIMED}))
        if live:
            assert not isinstance(self.do(sites.attest_lost, attempt=live[0].id, force=True), Reason)

    @invariant()
    def books_and_chain_hold(self) -> None:
        if not hasattr(self, "world"):
            return
        audit, books = self.world.store.read(verify_audit), self.world.store.read(verify_store_books)
        assert audit.fault is None
        assert audit.findings == ()
        assert books.findings == ()

    @invariant()
    def the_mirror_is_true(self) -> None:
        memory = self.world.controller._memory if hasattr(self, "world") else None
        if memory is not None:
            epoch = self.world.controller.epoch
            self.world.controller.sealer.seal(self.world.store, epoch, self.world.clock.ms)
            found = self.world.store.read(lambda r: _drift(r, memory, self.world.clock.ms))
            assert found == ""

    @invariant()
    def no_device_is_given_twice(self) -> None:
        if not hasattr(self, "world"):
            return
        taken: set[tuple[str, int]] = set()
        busy = [AttemptState.LAUNCHING, AttemptState.RUNNING, AttemptState.STOPPING]
        for attempt in self.world.store.read(lambda r: r.find(Attempt, {"state": busy})):
            for worker in attempt.workers:
                for device in worker.devices:
                    assert (worker.node, device) not in taken
                    taken.add((worker.node, device))

    def teardown(self) -> None:
        """When the faults stop, everything that can end does."""
        if not hasattr(self, "world"):
            return
        self.world.sites["north"].link.down = False
        self.world.sites["north"].driver.revive_node("n1")
        self.do(sites.drain_site, site="north", drained=False)
        self.award("a", 5_000_000, 60 * 24 * 80)
        self.award("b", 5_000_000, 60 * 24 * 80)
        self.world.run_out(self.world.clock.ms + 30 * DAY_MS)
        for workload in self.world.store.read(lambda r: r.find(Workload)):
            impossible = workload.spec.demand.devices > 4 or workload.spec.demand.devices * workload.spec.workers > 8
            assert workload.state in TERMINAL or impossible, workload
        self.books_and_chain_hold()


def _drift(reader: Any, memory: Any, now_ms: int) -> str | None:
    assert isinstance(memory.mirror, Mirror)
    return drift(reader, memory.mirror, memory.columns, now_ms, 0)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    derandomize="DURE_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
