"""The loop over time: jobs are submitted and end when the trace says, each at its own moment; the controller steps at every
event, or at the next multiple of so many seconds, and its sites do at once what they are told.

A trial (`dure.simulator.trial`) makes the same decisions, and tests hold the two together; docs/benchmarks/whole-plane.md says
what is different."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

import dure
from dure.backends.fake import FakeDriver, Script
from dure.controller import Controller, ControllerSettings, StepReport
from dure.controller.commands import agents
from dure.controller.commands.workloads import submit
from dure.controller.housekeeping import each
from dure.errors import require
from dure.model.calendar import DAY_MS
from dure.model.link import AttemptReport
from dure.model.reason import Reason
from dure.model.workload import Outcome
from dure.ports import Tx
from dure.simulator.fakes import SeededEntropy, SimClock
from dure.simulator.plane.farm import Founded, refusal, site_id
from dure.simulator.plane.outcome import outcome, prove
from dure.simulator.plane.site import NEVER, TracedSite
from dure.simulator.report.run import Run
from dure.simulator.traces.fleet import Fleet
from dure.simulator.traces.trace import Trace
from dure.simulator.trial.asks import Assumptions, asks_of
from dure.simulator.trial.history import History
from dure.simulator.trial.rules import ALL, Rules, said_by
from dure.simulator.trial.state import Farm
from dure.simulator.trial.trial import AGAIN_MAX, EVERY_EVENT, SAY_EVERY, Progress, assumed_of, price_note
from dure.store.memory import MemoryStore

Bool = NDArray[np.bool_]

ZERO_MS = 1_800_000_000_000  # the trace's zero by the plane's clock
POWER_MS = 7 * DAY_MS  # envelopes are told for so much longer than a plan looks ahead
# Time passes thousands of times faster than at a desk: what is due every ten minutes there is due once a day here.
DRIFT_EVERY_MS = DAY_MS
OWNER = "tenant"
KEY = b"simulated"


def whole_plane(
    trace: Trace, fleet: Fleet, rules: Rules, *, name: str = "", every_ms: int = EVERY_EVENT,
    assumptions: Assumptions | None = None, notes: Mapping[str, str] | None = None,
    say: Callable[[Progress], None] = lambda _: None,
) -> Run:  # fmt: skip
    """Run a trace on a fleet through the whole plane. Arguments as of `trial`.

    Raises ConfigError for rules that no plane has (`refusal`), TraceError for what cannot be simulated, InvariantViolated when
    the books or the chain of events do not hold in the end."""
    require(every_ms >= 0, "a cadence is not negative")
    fault = refusal(rules)
    if fault is not None:
        raise fault
    given = assumptions or Assumptions()
    asks = asks_of(trace, fleet, given, name or "trace")
    farm = Farm(trace, fleet, asks, rules)
    plane = WholePlane(Founded(trace, fleet, farm, rules), learns=given.learned_limits and not given.exact_limits)
    steps = plane.run(every_ms, say)
    events = plane.controller.store.read(prove)
    told = {
        "version": dure.__version__, "cadence": f"{every_ms / 1000:g} s" if every_ms else "every event", "steps": str(steps),
        **said_by(rules), "promises": str(rules.promises), "depth": "all" if rules.depth == ALL else str(rules.depth),
        "preempted": "leave at once", "power": "limits kept" if farm.envelopes.capped else "no limits",
        **price_note(farm.policy), "way": "whole plane", "events": f"{events:,}",
        **{f"assumed.{word}": str(count) for word, count in assumed_of(asks, fleet).items()},
        **({"refused": f"{plane.refused:,}"} if plane.refused else {}), **(notes or {}),
    }  # fmt: skip
    return outcome(plane.controller.store, plane.founded, plane.rows, ZERO_MS, name, told, until_ms=plane.now_ms)


def _sign(body: bytes) -> str:
    return hashlib.blake2b(body, key=KEY).hexdigest()


class WholePlane:
    """The plane, its sites and its clock."""

    def __init__(self, founded: Founded, *, learns: bool) -> None:
        self.founded, trace = founded, founded.trace
        self.clock = SimClock(ZERO_MS)
        settings = ControllerSettings(drift_every_ms=DRIFT_EVERY_MS)
        self.controller = Controller(MemoryStore(), self.clock, SeededEntropy(), _sign, KEY.hex(), settings)
        self.rows: dict[str, int] = {}  # workload → job
        self.refused, self._refused_urgent = 0, False  # jobs that no plane takes; a trial has them wait for ever
        self._arrived, self._decided, self._submit_ms = 0, 0, trace.submit_ms.tolist()
        self._run_ms = trace.duration_ms.tolist()
        self._apart, self._one = trace.apart.tolist(), False
        self._ended, self._heard_ms, self._tell_power_ms = 0, ZERO_MS, ZERO_MS
        self._quiet_ms = 0  # since when nothing has happened
        self._report: StepReport | None = None
        self._history = History(trace) if learns else None
        self._saved: dict[tuple[str, str], int] = {}  # checkpoints reach every site: a trace knows nothing of where they lie
        deed = self.controller.deed("admin")
        self._transact(lambda tx: founded.furnish(tx, deed, KEY.hex()))
        self.sites = [self._site(index) for index in range(len(founded.fleet.sites))]
        self._tell_power()

    def _site(self, index: int) -> TracedSite:
        driver = FakeDriver(self.clock, self.founded.inventory(index), saved=self._saved)
        return TracedSite(site_id(index), self.controller, driver, self.clock, self._script)

    def _script(self, workload: str) -> Script:
        return Script(run_ms=self._run_ms[self.rows[workload]], overstays=True)

    @property
    def now_ms(self) -> int:
        """Of the trace."""
        return self.clock.ms - ZERO_MS

    def _transact(self, do: Callable[[Tx], object]) -> None:
        self.controller.store.transact(do)

    # -- time -----------------------------------------------------------------------------------------------------------

    def run(self, every_ms: int, say: Callable[[Progress], None]) -> int:
        """Until nothing happens any more; how many times the controller was given a moment to decide."""
        steps, self._one = 0, every_ms == EVERY_EVENT
        while (at := self._next()) < NEVER:
            until = -(-at // every_ms) * every_ms if every_ms else at
            before = self._arrived, self._ended
            self._pass(until)
            self._step()
            if (self._arrived, self._ended) != before or self._live:
                self._quiet_ms = self.now_ms
            steps += 1
            if steps % SAY_EVERY == 0:
                say(Progress(self.founded.rules.name, self._ended, len(self.founded.trace), self.now_ms))
        return steps

    def _next(self) -> int:
        """The moment of the next event, by the trace's clock."""
        return min(self._arrival(), self._change(), self._guarantee(), self._power())

    def _arrival(self) -> int:
        return self._submit_ms[self._arrived] if self._arrived < len(self._submit_ms) else NEVER

    def _change(self) -> int:
        at = min(site.next_ms for site in self.sites)
        return at - ZERO_MS if at < NEVER else NEVER

    def _guarantee(self) -> int:
        """When the next running one has had its guaranteed run, while somebody waits who may take its place."""
        least = self.founded.rules.min_run_ms
        if self._report is None or not least or not self._urgent(self._report):
            return NEVER
        running, started = self._report.snapshot.attempts, self._report.plan.start_pending
        until = (running.started_ms + least)[running.preemptible]
        new = self.clock.ms + least if self._report.snapshot.pending.preemptible[started].any() else NEVER + ZERO_MS
        return int(until[until > self.clock.ms].min(initial=new)) - ZERO_MS

    def _power(self) -> int:
        """When a site may draw another amount, while somebody waits who could start then."""
        envelopes, since = self.founded.farm.envelopes, self._quiet_ms
        if not envelopes.capped or self._report is None or not (self.refused or self._waiting(self._report).any()):
            return NEVER
        at = envelopes.next_change(self.now_ms, NEVER)
        return NEVER if envelopes.period_ms > 0 and not self._live and at > since + envelopes.period_ms else at

    @staticmethod
    def _waiting(report: StepReport) -> Bool:
        waits: Bool = report.plan.wait_code >= 0
        return waits

    def _urgent(self, report: StepReport) -> bool:
        """Whether somebody waits who may take the place of others."""
        return self._refused_urgent or bool(report.snapshot.pending.preempts[self._waiting(report)].any())

    @property
    def _live(self) -> int:
        return sum(site.live for site in self.sites)

    # -- what happens by itself -------------------------------------------------------------------------------------------

    def _pass(self, until_ms: int) -> None:
        """Everything until a moment, each at its own."""
        while (at := min(self._arrival(), self._change())) <= until_ms:
            self.clock.ms = ZERO_MS + at
            happened = self._change() == at
            if happened:
                self._ends()
            while self._arrival() == at:
                if happened and self._one and self._apart[self._arrived]:
                    return  # it is decided about what has happened before this one comes
                self._arrive()
                happened = True
        self.clock.ms = ZERO_MS + until_ms

    def _ends(self) -> None:
        """In the order of their starts, over all sites: so they are billed, and so they are counted in fair share."""
        now_ms = self.clock.ms
        due = ((n, site) for n, site in enumerate(self.sites) if site.next_ms <= now_ms)
        changed = sorted((attempt, n) for n, site in due for attempt in site.changed())
        for index, group in groupby(changed, key=lambda pair: pair[1]):
            self._note(self.sites[index].tell([attempt for attempt, _ in group]))

    def _note(self, ended: Iterable[AttemptReport]) -> None:
        for report in ended:
            if report.outcome == Outcome.SUCCEEDED:
                self._ended += 1
                if self._history is not None:
                    job = self.rows[report.workload]
                    self._history.learn(job, self._run_ms[job])

    def _arrive(self) -> None:
        """The next job is submitted, as its owner would."""
        job, founded = self._arrived, self.founded
        self._arrived += 1
        asks = founded.farm.asks
        if self._history is not None and not asks.limit_named[job]:
            founded.farm.limit_ms[job] = self._history.limit_ms(job, int(asks.limit_ms[job]))
        deed, project, spec = self.controller.deed(OWNER), founded.project(job), founded.spec(job)
        answer = self.controller.store.transact(lambda tx: submit(tx, deed, project=project, spec=spec))
        if isinstance(answer, Reason):
            self.refused += 1
            self._refused_urgent |= bool(founded.urgent[job])
        else:
            self.rows[answer.ids[0]] = job

    # -- the step -----------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """One step; and where places were taken, another one for those who lost them, once they have gone."""
        self._hear()
        self._decided = self._arrived
        for _ in range(AGAIN_MAX):
            report = self.controller.step()
            require(report is not None, "the only controller leads")
            assert report is not None  # as just required; for the type checker
            self._report = report
            for index in np.unique(report.plan.start_site).tolist():
                self._note(self.sites[index].work())
            if not len(report.plan.victim_attempt):
                return

    def _hear(self) -> None:
        """What sites say without being asked: that they are there, and how far work is saved, where a step may rest on it."""
        if self.clock.ms - self._heard_ms >= agents.HEARD_EVERY_MS:
            self._heard_ms, deed = self.clock.ms, self.controller.deed("agents")
            self._transact(lambda tx: each(self.sites, lambda site: agents.heard(tx, deed, site=site.id)))
        if self.clock.ms >= self._tell_power_ms:
            self._tell_power()
        if self._may_preempt():
            for site in self.sites:
                site.tell_saved()

    def _may_preempt(self) -> bool:
        """Whether the step that comes may take somebody's place: some work yields to any, or is moved, or urgent work waits, or
        has come."""
        if self._report is None or self.founded.farm.yielding or self.founded.rules.moves:
            return self._report is not None
        return self._urgent(self._report) or bool(self.founded.urgent[self._decided : self._arrived].any())

    def _tell_power(self) -> None:
        """For as far as a plan looks and some days more; said again before a plan would see its end, if so much is remembered."""
        now_ms, deed = self.clock.ms, self.controller.deed("operator")
        wanted = now_ms + self.founded.ahead_ms + POWER_MS
        told = self.controller.store.transact(lambda tx: self.founded.tell_power(tx, deed, ZERO_MS, wanted))
        self._tell_power_ms = max(told - self.founded.ahead_ms, (now_ms + told) // 2)
