"""A plane and its sites under one clock: the production controller and agents, on a store in memory and fake backends."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dure.agent.agent import Agent
from dure.agent.journal import Journal
from dure.agent.settings import AgentSettings
from dure.backends.fake import FakeDriver
from dure.controller import Controller, Deed, StepReport, found
from dure.controller.commands.sites import create_site
from dure.controller.rules import policy_of
from dure.errors import ApiError, BackendError, DureError, LinkError, require
from dure.model.funding import Award
from dure.model.policy import Policy
from dure.model.site import Site
from dure.model.workload import Attempt, AttemptState, Workload, WorkloadState
from dure.ports import Reader, Store
from dure.simulator.fakes import SeededEntropy, SimClock, WorldLink
from dure.store.memory import MemoryStore

ROUNDS_MAX = 500  # between two moments; a world that is not quiet by then never will be
ADMIN = "admin"
EVERY_EVENT = 0
NEVER = 1 << 62


class Crashed(DureError):
    """The process that held the controller died in the middle of a call."""


@dataclass
class SimSite:
    driver: FakeDriver
    agent: Agent
    link: WorldLink


class World:
    """`settle` lets everything happen that can happen now; `advance` moves the clock from one thing to the next."""

    def __init__(self, *, now_ms: int, policy: Policy | None = None, store: Store | None = None) -> None:
        self.clock = SimClock(now_ms)
        self.entropy = SeededEntropy()
        self.store: Store = store if store is not None else MemoryStore()
        self.controller = self._new_controller()
        self.sites: dict[str, SimSite] = {}
        self._every_ms, self._zero_ms, self._undecided = EVERY_EVENT, now_ms, False
        deed = self.deed()
        self.store.transact(lambda tx: found(tx, deed, policy=policy or Policy(), public_key=""))

    def _new_controller(self) -> Controller:
        return Controller(self.store, self.clock, self.entropy, lambda body: "", "")

    def restart_controller(self) -> None:
        """The controller's process ends; another one takes over, with nothing but the store."""
        self.controller = self._new_controller()

    def deed(self, actor: str = ADMIN) -> Deed:
        return self.controller.deed(actor)

    def add_site(self, id: str, nodes: Sequence[Mapping[str, Any]], region: str = "", pue_permille: int = 1300) -> SimSite:
        deed = self.deed()
        self.store.transact(lambda tx: create_site(tx, deed, id=id, region=region, pue_permille=pue_permille))
        return self.replace_site(id, nodes)

    def replace_site(self, id: str, nodes: Sequence[Mapping[str, Any]]) -> SimSite:
        """A machine for a site that exists: its backend and its agent's journal are empty."""
        driver = FakeDriver(self.clock, nodes)
        link = WorldLink(lambda: self.controller, id)
        folder = Path(tempfile.gettempdir()) / "dure-simulated-agent"  # bundles are never fetched here, so nothing is written
        settings = AgentSettings(folder=folder, boot_id=f"boot-{id}")
        site = SimSite(driver, Agent(driver, link, Journal.in_memory(), self.clock, settings), link)
        self.sites[id] = site
        return site

    # -- time ----------------------------------------------------------------------------------------------------

    def decide_every(self, every_ms: int, zero_ms: int) -> None:
        """From here on the controller steps only at multiples of `every_ms` since `zero_ms`, after everything else of such a
        moment; EVERY_EVENT: whenever anything happens. One that has just been started steps at once."""
        require(every_ms >= 0, "a cadence is not negative")
        self._every_ms, self._zero_ms = every_ms, zero_ms

    def settle(self) -> None:
        """Let agents and controller act until none of them has anything left to do at this moment. Between the moments of a
        cadence the agents alone act."""
        self._undecided = bool(self._every_ms) and self.controller.view() is not None
        self._rounds(decides=not self._undecided)

    def _rounds(self, *, decides: bool) -> None:
        for _ in range(ROUNDS_MAX):
            spoke = [self._agent_round(s) for s in self.sites.values()]
            report = self._controller_round() if decides else None
            if not any(spoke) and (not decides or (report is not None and not report.busy)):
                return
        require(False, f"the world is not quiet after {ROUNDS_MAX} rounds at {self.clock.ms}")

    def decides_ms(self) -> int:
        """When the controller decides about what has happened since it last did; NEVER when it has decided about everything."""
        if not self._undecided:
            return NEVER
        return self._zero_ms + -(-(self.clock.ms - self._zero_ms) // self._every_ms) * self._every_ms

    def _decide(self) -> None:
        """Where this is a moment of the cadence."""
        if self.decides_ms() == self.clock.ms:
            self._rounds(decides=True)
            self._undecided = False

    def _controller_round(self) -> StepReport | None:
        try:
            return self.controller.step()
        except Crashed:
            self.restart_controller()
            return None

    def _agent_round(self, site: SimSite) -> bool:
        """One round of an agent; whether it had anything new. A link or backend out of reach is a fact, not a fault."""
        try:
            fresh = site.agent.step_orders(0)
            site.agent.look(sweep=True)
            return bool(fresh + site.agent.send_reports())
        except Crashed:  # the plane died while it answered: for the agent a lost link
            self.restart_controller()
            return True
        except (LinkError, BackendError):
            return False
        except ApiError:
            return True  # its session was replaced: it says hello in the next round

    def advance(self, to_ms: int) -> None:
        """Go to `to_ms`, stopping at every moment in between at which something happens by itself. Under a cadence what is
        decided at `to_ms` itself is left to the next call: more may happen at that moment before."""
        while True:
            if self.clock.ms < to_ms:
                self._decide()
            next_ms = min(self._next_ms(), to_ms)
            if next_ms > self.clock.ms:
                self.clock.ms = next_ms
            self.settle()
            if next_ms >= to_ms:
                return

    def _next_ms(self) -> int:
        now_ms = self.clock.ms
        due = [at for s in self.sites.values() if (at := s.driver.next_change_ms()) is not None]
        due += [*self.store.read(self._timers), self.decides_ms()]
        return min((at for at in due if at > now_ms), default=NEVER)

    def _timers(self, reader: Reader) -> list[int]:
        policy = policy_of(reader)
        waits = reader.find(Workload, {"state": WorkloadState.WAITING})
        takes = policy.reclaims or policy.moves or any(policy.class_of(w.spec.priority).preempts for w in waits)
        running = reader.find(Attempt, {"state": AttemptState.RUNNING}) if takes else []
        ripe = [a.running_ms + policy.min_run_ms for a in running]  # of interest to those only who may take their place
        waiting = [w.eligible_ms for w in waits]
        awards = reader.find(Award, {"expired": False})
        sites = reader.find(Site)
        opens = [w.until_ms for s in sites for w in s.maintenance] + [p.from_ms for s in sites for p in s.power]
        return [*waiting, *ripe, *(a.starts_ms for a in awards), *(a.expires_ms for a in awards), *opens]

    def run_out(self, horizon_ms: int) -> None:
        """Advance until nothing is left that will happen by itself, at most to `horizon_ms`."""
        self._decide()
        while (next_ms := self._next_ms()) <= horizon_ms:
            self.advance(next_ms)
            self._decide()

    # -- looking -------------------------------------------------------------------------------------------------

    def workload(self, id: str) -> Workload:
        found_row = self.store.read(lambda r: r.get(Workload, id))
        require(found_row is not None, f"no workload {id}")
        assert found_row is not None  # as just required; for the type checker
        return found_row

    def attempts(self, workload: str) -> list[Attempt]:
        return self.store.read(lambda r: r.find(Attempt, {"workload": workload}))
