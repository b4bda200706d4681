"""A site of a simulated plane: it speaks the agents' protocol, and carries out its orders on a fake backend at once.

It is an agent without what an agent has for the day on which something breaks: no journal, no repeated words. Nothing breaks
here; what does is for the stories and the crash search, which run real agents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import dure
from dure.agent.attempts import folded, launch_order, launched
from dure.backends.fake import FakeDriver, Script
from dure.controller import Controller
from dure.controller.commands import agents
from dure.errors import require
from dure.model.codec import changed
from dure.model.link import PROTOCOL, AttemptReport, Hello, Order, Poll, Report
from dure.model.reason import Reason
from dure.model.workload import Outcome
from dure.ports import Clock, Observation

NEVER = 1 << 62


class TracedSite:
    """script: what a workload does there, by its id."""

    def __init__(
        self, id: str, controller: Controller, driver: FakeDriver, clock: Clock, script: Callable[[str], Script]
    ) -> None:  # fmt: skip
        self.id, self._controller, self._driver, self._clock, self._script = id, controller, driver, clock, script
        self._actor = f"agent:{id}"
        self._told: dict[str, AttemptReport] = {}  # by live attempt, what the plane has heard last
        self._saving: dict[str, int] = {}  # those that write checkpoints, with the time between two
        self._saves_ms = 0  # before this none of them saves anything
        self._over: list[str] = []  # have ended at the moment of their launch, and the plane has not heard of it
        self.next_ms = NEVER  # when something changes here by itself
        deed = controller.deed(self._actor)
        hello = Hello(
            protocol=PROTOCOL, agent_version=dure.__version__, boot_id=id, describe=driver.describe(),
            nodes=tuple(driver.inventory()),
        )  # fmt: skip
        answer = controller.store.transact(lambda tx: agents.hello(tx, deed, site=id, hello=hello))
        require(not isinstance(answer, Reason), f"{id} may not join: {answer}")
        assert not isinstance(answer, Reason)  # as just required; for the type checker
        self._epoch = answer.epoch

    @property
    def live(self) -> int:
        """How many run here."""
        return len(self._told)

    def changed(self) -> list[str]:
        """Attempts that have ended here by themselves since this was last asked."""
        changed, self._over = [*self._driver.changed(), *self._over], []
        return changed

    def tell(self, attempts: Sequence[str]) -> list[AttemptReport]:
        """Report what has become of these; the ends that the plane has recorded."""
        return self._report(self._driver.observe(attempts))

    def tell_saved(self) -> None:
        """Report the checkpoints that were written since the plane last heard of them."""
        now_ms = self._clock.now_ms()
        if now_ms < self._saves_ms:
            return
        saves = {attempt: self._next_save_ms(attempt, interval_ms) for attempt, interval_ms in self._saving.items()}
        due = [attempt for attempt, at_ms in saves.items() if at_ms <= now_ms]
        self._saves_ms = min((at_ms for at_ms in saves.values() if at_ms > now_ms), default=NEVER) if not due else now_ms
        seen = self._driver.observe(due) if due else ()
        fresh = [o for o in seen if o.evidence.checkpoint_ms > self._told[o.attempt].evidence.checkpoint_ms]
        if fresh:
            self._report(fresh)

    def _next_save_ms(self, attempt: str, interval_ms: int) -> int:
        """When the next checkpoint may be written behind the one that the plane has heard of."""
        evidence = self._told[attempt].evidence
        return max(evidence.checkpoint_ms, evidence.started_ms) + interval_ms

    def work(self) -> list[AttemptReport]:
        """Collect orders and carry them out, until there are none; the ends that came of it."""
        ended: list[AttemptReport] = []
        while orders := self._orders():
            seen = [self._obey(order) for order in orders]
            over = self._report([o for o in seen if o.attempt not in self._over])
            ended += over
            if not over and len(orders) < agents.ORDERS_MAX:  # that were all, and more come only of an end
                break
        return ended

    def _orders(self) -> Sequence[Order]:
        poll = Poll(epoch=self._epoch, busy=tuple(f"{attempt}:launch" for attempt in self._over))
        answer = agents.orders(self._controller.store, site=self.id, poll=poll)
        require(not isinstance(answer, Reason), f"{self.id} is told nothing: {answer}")
        assert not isinstance(answer, Reason)  # as just required; for the type checker
        return answer

    def _obey(self, order: Order) -> Observation:
        if order.verb == "stop":
            self._driver.stop(order.attempt, order.cause, order.grace_ms)
            return self._driver.observe((order.attempt,))[0]
        request = launch_order(order, "")
        require(request is not None, f"{order.attempt} is ordered without what a launch needs")
        assert request is not None  # as just required; for the type checker
        self._driver.script(order.workload, self._script(order.workload))
        seen = self._driver.launch(request)
        known = folded(launched(order), seen)
        require(known.report is not None, f"of {order.attempt} nothing is known, although its backend has just spoken")
        assert known.report is not None  # as just required; for the type checker
        self._told[order.attempt] = known.report
        if request.spec.checkpoint_interval_ms:
            self._saving[order.attempt] = request.spec.checkpoint_interval_ms
            self._saves_ms = 0  # it is looked at again
        if seen.outcome == Outcome.SUCCEEDED:  # a job of no length: it has its place until the next look, as all others have
            self._over.append(order.attempt)
        return seen

    def _report(self, seen: Iterable[Observation]) -> list[AttemptReport]:
        reports = [changed(self._told[o.attempt], phase=o.phase, outcome=o.outcome, evidence=o.evidence) for o in seen]
        if reports:
            deed, report = self._controller.deed(self._actor), Report(epoch=self._epoch, reports=tuple(reports))
            answer = self._controller.store.transact(lambda tx: agents.report(tx, deed, site=self.id, report=report))
            require(not isinstance(answer, Reason), f"{self.id} is not heard: {answer}")
        self._told.update({r.attempt: r for r in reports})
        ended = [r for r in reports if r.phase == "ended"]
        for each in ended:
            require(each.outcome in (Outcome.SUCCEEDED, Outcome.PREEMPTED), f"{each.attempt} of a trace is {each.outcome}")
            del self._told[each.attempt]
            self._saving.pop(each.attempt, None)
            self._driver.forget(each.attempt)
        at_ms = self._driver.next_change_ms()
        self.next_ms = self._clock.now_ms() if self._over else NEVER if at_ms is None else at_ms
        return ended
