"""The loop over time: jobs arrive and end when the trace says; at every event, or every so many seconds, the plan decides.

What is preempted leaves at once and waits again; what it has not saved it does again. Money decides nothing; what jobs cost is
reckoned in the end. The loop here makes a snapshot and a plan for each step; `fast` makes the same run much quicker, where it
can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import dure
from dure.controller.lifecycle import decayed
from dure.errors import require
from dure.model.policy import Policy
from dure.scheduler import check, plan
from dure.scheduler.kernels.ground import table
from dure.scheduler.plan import Plan
from dure.simulator.report.facts import facts_of, idle_unknown
from dure.simulator.report.run import Run, Samples, Stretches, run_of
from dure.simulator.traces.fleet import Fleet
from dure.simulator.traces.trace import Trace
from dure.simulator.trial.asks import Asks, Assumptions, asks_of
from dure.simulator.trial.charging import PRICES, Billed, Ran, won_of
from dure.simulator.trial.columns import NOW, STRETCH
from dure.simulator.trial.fast import Fast, uncovered
from dure.simulator.trial.fragmentation import Watch, expected
from dure.simulator.trial.history import History
from dure.simulator.trial.rules import ALL, Order, Rules, said_by
from dure.simulator.trial.state import Farm, Live, urgent

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

EVERY_EVENT = 0
NEVER = np.int64(1 << 62)
CHECK_EVERY = 100  # plans: a check of each would take as long as all the rest
AGAIN_MAX = 100  # plans at one moment: what was preempted may find room elsewhere
SAY_EVERY, SAY_EVERY_FAST = 200, 2000  # steps: every few tenths of a second
COMPILED, STEPPED = "compiled", "a plan for each step"  # in the notes of a run
UNKEPT = "a promise could not be made"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a trial is: ended of all jobs, and the time of the trace."""

    policy: str
    ended: int
    jobs: int
    now_ms: int


def trial(
    trace: Trace, fleet: Fleet, rules: Rules, *, name: str = "", every_ms: int = EVERY_EVENT,
    assumptions: Assumptions | None = None, notes: Mapping[str, str] | None = None, compiled: bool = True,
    charges: bool = False, say: Callable[[Progress], None] = lambda _: None,
) -> Run:  # fmt: skip
    """Run a trace on a fleet. name: of the trace, as a report calls it. every_ms: decisions are made at multiples of this;
    EVERY_EVENT: whenever a job arrives or ends. compiled: as one compiled loop where that can be (`fast`), which makes the same
    run as a snapshot and a plan at each step; the notes say which it was. charges: what jobs would have cost is reckoned as well,
    at the prices of the rules, or ordinary ones (`charging`).

    Pure: the same trace, fleet and rules give the same run. Raises TraceError for what cannot be simulated (`asks_of`)."""
    require(every_ms >= 0, "a cadence is not negative")
    given = assumptions or Assumptions()
    asks = asks_of(trace, fleet, given, name or "trace")
    learns = given.learned_limits and not given.exact_limits
    farm = Farm(trace, fleet, asks, rules)
    why = uncovered(farm, asks, rules, learns=learns) if compiled else "asked for"
    made = None if why else _fast(trace, farm, asks, rules, say, learns=learns, every_ms=every_ms)
    if made is None:
        made = _stepped(trace, fleet, asks, rules, say, learns=learns, every_ms=every_ms)
    told = {
        "version": dure.__version__, "cadence": f"{every_ms / 1000:g} s" if every_ms else "every event", "steps": str(made.steps),
        **({"loop": COMPILED} if made.compiled else {"loop": STEPPED, "loop.why": why or UNKEPT}),
        **said_by(rules), "promises": str(rules.promises), "depth": "all" if rules.depth == ALL else str(rules.depth),
        "preempted": "leave at once", "power": "limits kept" if made.capped else "no limits",
        **{f"assumed.{word}": str(count) for word, count in assumed_of(asks, fleet).items()}, **(notes or {}),
    }  # fmt: skip
    return _outcome(trace, farm, asks, made, name, told, charges=charges)


def covered(trace: Trace, fleet: Fleet, rules: Rules, assumptions: Assumptions) -> bool:
    """Whether the compiled loop knows how to decide this."""
    asks = asks_of(trace, fleet, assumptions)
    learns = assumptions.learned_limits and not assumptions.exact_limits
    return not uncovered(Farm(trace, fleet, asks, rules), asks, rules, learns=learns)


class _Trial:
    def __init__(self, trace: Trace, fleet: Fleet, asks: Asks, rules: Rules, *, learns: bool) -> None:
        self.trace, self.asks, self.rules = trace, asks, rules
        self.farm = Farm(trace, fleet, asks, rules)
        count, none = len(trace), np.zeros(0, np.int64)
        self.live, self.waiting, self.arrived, self.now_ms = Live(), none, 0, 0
        self._quiet_ms = 0  # since when nothing has happened
        self._plans = 0
        self._apart = trace.apart
        self.left_ms: I64 = trace.duration_ms.astype(np.int64)  # of run time
        self.start_ms, self.end_ms = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
        self.preemptions, self.lost_ms = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.width = asks.width
        self.attained: I64 = np.zeros(count, np.int64)  # device-milliseconds
        self._learns = learns
        self.expected: I64 = np.zeros(count, np.int64)  # device-milliseconds
        self._history = History(trace) if learns or rules.order == Order.EXPECTED else None
        tenants = len(self.farm.projects.ids)
        self.use, self.use_ms = np.zeros(tenants), np.zeros(tenants, np.int64)
        self.parts: list[Ran] = []
        self._preempts = preempting(asks, rules)
        begin_ms = int(trace.submit_ms[0]) if count else 0
        self.watch = Watch(self.farm.nodes, asks, expected(asks, self.farm), begin_ms)

    # -- time -----------------------------------------------------------------------------------------------------------

    def run(self, every_ms: int, say: Callable[[Progress], None]) -> int:
        """Until nothing happens any more; how many times it was decided."""
        steps = 0
        while (at := self._next()) < NEVER:
            self.now_ms = -(-at // every_ms) * every_ms if every_ms else at
            happened = len(self.live.job), self.arrived
            ended = self._end()
            self._arrive(one=every_ms == EVERY_EVENT, ended=ended)
            self._decide()
            self.watch.sample(self.now_ms)
            if (len(self.live.job), self.arrived) != happened or len(self.live.job):
                self._quiet_ms = self.now_ms
            steps += 1
            if steps % SAY_EVERY == 0:
                say(Progress(self.rules.name, int((self.end_ms >= 0).sum()), len(self.trace), self.now_ms))
        return steps

    def _next(self) -> int:
        """The moment of the next event."""
        submit = self.trace.submit_ms
        arrival = int(submit[self.arrived]) if self.arrived < len(submit) else int(NEVER)
        fall = self._next_fall() if self.rules.steps_s and len(self.waiting) else int(NEVER)
        return min(arrival, int(self.live.finish_ms.min(initial=NEVER)), fall, self._next_guarantee(), self._next_power())

    def _next_power(self) -> int:
        """When a site may draw another amount, while somebody waits who could start then."""
        envelopes, since = self.farm.envelopes, self._quiet_ms
        if not envelopes.capped or not len(self.waiting):
            return int(NEVER)
        at = envelopes.next_change(self.now_ms, int(NEVER))
        repeats = envelopes.period_ms > 0
        return int(NEVER) if repeats and not len(self.live.job) and at > since + envelopes.period_ms else at

    def _next_guarantee(self) -> int:
        """When the next running one has had its guaranteed run, while somebody waits who may take its place."""
        if not self.rules.min_run_ms or not self._preempts[self.waiting].any():
            return int(NEVER)
        until = self.live.started_ms + self.rules.min_run_ms
        return int(until[(until > self.now_ms) & self.trace.preemptible[self.live.job]].min(initial=NEVER))

    def _next_fall(self) -> int:
        """When the next running one has attained so much that others may take its place."""
        steps = np.array(self.rules.steps_s, np.int64) * 1000
        job, live = self.live.job, self.live
        rate = self.width[job]
        had = self.attained[job] + (self.now_ms - live.started_ms) * rate
        step = np.searchsorted(steps, had, side="right")
        falls = np.where(step < len(steps), self.now_ms - (had - np.append(steps, NEVER)[step]) // rate, NEVER)
        return int(falls.min(initial=NEVER))

    def _end(self) -> bool:
        """Whoever is done by now; whether anybody is."""
        done = self.live.finish_ms <= self.now_ms
        if done.any():
            at = self.live.finish_ms[done]
            job = self._leave(done, at, least_ms=self.rules.min_run_ms)
            self.end_ms[job] = at
            self.left_ms[job] = 0
            if self._history is not None:
                for row in job[np.argsort(at, kind="stable")].tolist():
                    self._history.learn(row, int(self.trace.duration_ms[row]))
        return bool(done.any())

    def _arrive(self, *, one: bool, ended: bool) -> None:
        """Whoever has come by now. one: but of those who come apart only the first, and none where others have ended."""
        until = int(np.searchsorted(self.trace.submit_ms, self.now_ms, side="right"))
        if one:
            apart = np.flatnonzero(self._apart[self.arrived + (not ended) : until])
            until = self.arrived + (not ended) + int(apart[0]) if len(apart) else until
        if until > self.arrived:
            self.waiting = np.concatenate([self.waiting, np.arange(self.arrived, until)])
            if self._history is not None:
                for job in range(self.arrived, until):
                    self._foresee(self._history, job)
            self.arrived = until

    def _foresee(self, history: History, job: int) -> None:
        """What is known of a job when it comes."""
        self.expected[job] = self.width[job] * history.expected_ms(job, int(self.asks.limit_ms[job]))
        if self._learns and not self.asks.limit_named[job]:
            self.farm.limit_ms[job] = history.limit_ms(job, int(self.asks.limit_ms[job]))

    def _leave(self, rows: Bool, at: I64, *, least_ms: int = 0, own: Bool | None = None) -> I64:
        """These of the live ones are gone; which jobs they are. at: by row that leaves. least_ms: for what made others leave, at
        least so much is charged. own: by row that leaves, whether it does for its own tenant's work."""
        live = self.live
        job, kind, ran = live.job[rows], live.kind[rows], at - live.started_ms[rows]
        sat = (at > live.started_ms[rows]) | (live.finish_ms[rows] == live.started_ms[rows])  # a job of no length has been there
        own = np.zeros(len(job), np.bool_) if own is None else own
        ran_there = (job, live.started_ms[rows], at, live.site[rows], kind, live.limit_ms[rows], live.harms[rows], own)
        self.parts.append(Ran(*(column[sat] for column in ran_there)))
        self.attained[job] += ran * self.width[job]
        order = np.argsort(at, kind="stable")
        due = np.where(live.harms[rows], np.maximum(ran, least_ms), ran)
        weight = self.farm.weight_of(job, kind) * due / 1000
        for i in order.tolist():  # as each ends: what was used before it counts less
            tenant = self.farm.tenant[job[i]]
            self.use[tenant] = self._decayed(tenant, int(at[i])) + weight[i]
            self.use_ms[tenant] = at[i]
        self.watch.leave(live, rows)
        live.keep(~rows)
        return job

    def _decayed(self, tenant: int, at_ms: int) -> float:
        return decayed(float(self.use[tenant]), at_ms - int(self.use_ms[tenant]), self.farm.policy.half_life_ms)

    # -- deciding -------------------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        for _ in range(AGAIN_MAX):
            if not len(self.waiting):
                return
            waiting, priority = self._ordered(), self._priority()
            world = self.farm.snapshot(self.now_ms, self.live, self._saved(), waiting, priority, self._preempts, self._use())
            made = plan(world, reasons=False)
            if self._plans % CHECK_EVERY == 0:
                faults = check(world, made)
                require(not faults, f"a plan of a trial failed its check: {'; '.join(faults[:5])}")
            self._plans += 1
            harms, moved = self._harms(made, waiting), self._moved(made)
            self._preempt(made, waiting)
            self._start(made, waiting, harms, moved)
            if not len(made.victim_attempt):
                return

    def _ordered(self) -> I64:
        """Who waits, in the order in which equals have their turn."""
        waiting = np.sort(self.waiting)
        if self.rules.order == Order.SHORTEST:
            return waiting[np.argsort(self.trace.duration_ms[waiting], kind="stable")]
        if self.rules.order == Order.EXPECTED:
            return waiting[np.argsort(self.expected[waiting], kind="stable")]
        return waiting

    def _priority(self) -> I64:
        """By job of the trace."""
        if self.rules.order == Order.FAIR:
            return self.asks.priority
        if self.rules.order == Order.REMAINING:
            left = self.left_ms.copy()
            left[self.live.job] = self.live.finish_ms - self.now_ms
            return -left
        if self.rules.order == Order.ATTAINED:
            had, job = self.attained.copy(), self.live.job
            had[job] += (self.now_ms - self.live.started_ms) * self.width[job]
            return -np.searchsorted(np.array(self.rules.steps_s) * 1000, had, side="right").astype(np.int64)
        return np.zeros(len(self.trace), np.int64)

    def _saved(self) -> I64:
        """By live one: from when on work would be lost if it left now."""
        live = self.live
        if self.rules.resumes:
            return np.full(len(live.job), self.now_ms, np.int64)
        every = self.trace.checkpoint_ms[live.job]
        ran = self.now_ms - live.started_ms
        return live.started_ms + np.where(every > 0, ran // np.maximum(every, 1) * every, 0)

    def _use(self) -> F64:
        """By tenant: decayed past use, and what runs now for as long as it has run, as the controller counts it. Of tenants for
        whom nobody waits nothing is asked, unless they are of organisations."""
        use = np.zeros(len(self.use))
        for tenant in range(len(use)) if self.farm.nested else np.unique(self.farm.tenant[self.waiting]).tolist():
            use[tenant] = self._decayed(tenant, self.now_ms)
        live = self.live
        weight = self.farm.weight_of(live.job, live.kind) * (self.now_ms - live.started_ms) / 1000
        np.add.at(use, self.farm.tenant[live.job], weight)
        return use

    def _preempt(self, plan: Plan, waiting: I64) -> None:
        """Its victims wait again, but those that go on elsewhere, with what they have not saved to be done again."""
        if not len(plan.victim_attempt):
            return
        rows = np.zeros(len(self.live.job), np.bool_)
        rows[plan.victim_attempt] = True
        goes = np.zeros(len(rows), np.bool_)
        goes[plan.victim_attempt[np.diff(plan.victim_place_ptr) > 0]] = True
        saved, started, elsewhere = self._saved()[rows], self.live.started_ms[rows], goes[rows]
        own = np.zeros(len(rows), np.bool_)
        own[plan.victim_attempt] = self._own_victims(plan, waiting)
        job = self._leave(rows, np.full(int(rows.sum()), self.now_ms, np.int64), own=own[rows])
        self.left_ms[job] -= saved - started
        self.lost_ms[job] += self.now_ms - saved
        sat = started < self.now_ms  # others were seated at this very moment, and somebody else is in their place
        self.preemptions[job[sat]] += 1
        first = job[~sat & (self.start_ms[job] == self.now_ms) & (self.preemptions[job] == 0)]
        self.start_ms[first] = -1  # it has not run at all
        self.waiting = np.concatenate([self.waiting, job[~elsewhere]])

    def _moved(self, plan: Plan) -> Live:
        """Its victims that go on elsewhere, as they are there; what they have not saved they do again."""
        victims = np.flatnonzero(np.diff(plan.victim_place_ptr))
        rows, live, saved = plan.victim_attempt[victims], self.live, self._saved()
        job = live.job[rows]
        left = self.left_ms[job] - (saved - live.started_ms)[rows]
        return Live(
            job=job, started_ms=np.full(len(rows), self.now_ms, np.int64), finish_ms=self.now_ms + left, kind=live.kind[rows],
            site=live.site[rows], harms=np.zeros(len(rows), np.bool_), limit_ms=self.farm.rest_ms(live, saved)[rows],
            workers=live.workers[rows], node=plan.place_node, mask=plan.place_mask,
        )  # fmt: skip

    def _own_victims(self, plan: Plan, waiting: I64) -> Bool:
        """By victim: whether it leaves for its own tenant's work."""
        start = np.repeat(np.arange(len(plan.start_pending)), np.diff(plan.start_victim_ptr))
        tenant, victim = self.farm.tenant, self.live.job[plan.victim_attempt]
        return np.asarray(tenant[victim] == tenant[waiting[plan.start_pending[start]]])

    def _harms(self, plan: Plan, waiting: I64) -> Bool:
        """By start: whether work of another tenant that is guaranteed a run leaves for it."""
        found = np.zeros(len(plan.start_pending), np.bool_)
        start = np.repeat(np.arange(len(found)), np.diff(plan.start_victim_ptr))
        firm = ~self.farm.yields[self.live.job[plan.victim_attempt]]
        found[start[firm & ~self._own_victims(plan, waiting)]] = True
        return found

    def _start(self, plan: Plan, waiting: I64, harms: Bool, moved: Live) -> None:
        job = waiting[plan.start_pending]
        if not len(job):
            return
        _, kinds = self.farm.kinds_of(self.asks.kind_choice[waiting])
        started = Live(
            job=job, started_ms=np.full(len(job), self.now_ms, np.int64), finish_ms=self.now_ms + self.left_ms[job],
            kind=kinds[plan.start_alternative], site=plan.start_site, harms=harms, limit_ms=self.farm.limit_ms[job],
            workers=np.diff(plan.start_worker_ptr).astype(np.int64), node=plan.start_node, mask=plan.start_mask,
        )  # fmt: skip
        if len(moved.job):  # each behind the one for which it moved
            started.add(moved)
            behind = np.repeat(np.arange(len(job)), np.diff(plan.start_victim_ptr))[np.diff(plan.victim_place_ptr) > 0]
            started = started.picked(np.argsort(np.concatenate([np.arange(len(job)), behind]), kind="stable"))
        self.watch.come(started)
        self.live.add(started)
        self.start_ms[job] = np.where(self.start_ms[job] < 0, self.now_ms, self.start_ms[job])
        self.waiting = self.waiting[~np.isin(self.waiting, job)]


# -- both ways -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What became of every job."""

    start_ms: I64
    end_ms: I64
    preemptions: I64
    lost_ms: I64
    ran: Ran
    until_ms: int
    fragmentation: Samples | None
    steps: int
    capped: bool
    compiled: bool


def _stepped(
    trace: Trace, fleet: Fleet, asks: Asks, rules: Rules, say: Callable[[Progress], None], *, learns: bool, every_ms: int
) -> _Made:
    t = _Trial(trace, fleet, asks, rules, learns=learns)
    steps = t.run(every_ms, say)
    nobody = table(STRETCH, 0)
    parts = t.parts or [Ran(*(nobody[name] for name in Ran._fields))]
    ran = Ran(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return _Made(
        start_ms=t.start_ms, end_ms=t.end_ms, preemptions=t.preemptions, lost_ms=t.lost_ms,
        ran=ran, until_ms=t.now_ms,
        fragmentation=t.watch.samples(t.now_ms), steps=steps,
        capped=bool(t.farm.envelopes.capped),
        compiled=False,
    )  # fmt: skip


def _fast(
    trace: Trace, farm: Farm, asks: Asks, rules: Rules, say: Callable[[Progress], None], *, learns: bool, every_ms: int
) -> _Made | None:
    """None where it came to what the fast path does not know how to decide."""
    t = Fast(trace, farm, asks, rules, preempting(asks, rules), learns=learns, every_ms=every_ms)
    steps = t.run(SAY_EVERY_FAST, lambda ended, now_ms: say(Progress(rules.name, ended, len(trace), now_ms)))
    if not t.sure:
        return None
    jobs, s = t.track.jobs, t.stretches
    start, end, preemptions, lost = (np.ascontiguousarray(jobs[name]) for name in ("start", "end", "preemptions", "lost"))
    ran = Ran(*(np.ascontiguousarray(s[name]) for name in Ran._fields))
    return _Made(
        start_ms=start, end_ms=end, preemptions=preemptions, lost_ms=lost, ran=ran, until_ms=int(t.track.tally[NOW]),
        fragmentation=t.fragmentation(), steps=steps, capped=False, compiled=True,
    )  # fmt: skip


def _billed(trace: Trace, farm: Farm, asks: Asks, made: _Made) -> Billed:
    policy = replace(farm.policy, prices=farm.policy.prices or PRICES)
    tenant, fair = trace.owners[0], farm.rules.order == Order.FAIR
    return Billed(
        trace=trace, asks=asks, policy=policy, tenant=tenant if fair else np.zeros_like(tenant), end_ms=made.end_ms,
        accelerators=farm.fleet.accelerators, resumes=farm.rules.resumes, classes=fair,
    )  # fmt: skip


def price_note(policy: Policy) -> Mapping[str, str]:
    """At which prices it was reckoned what jobs cost."""
    return {"prices": "of the policy" if policy.prices else "ordinary"}


def assumed_of(asks: Asks, fleet: Fleet) -> Mapping[str, int]:
    """What is assumed of jobs, and of the fleet that they run on."""
    idle = idle_unknown(fleet)
    return {**asks.assumed, **({"idle_unknown": idle} if idle else {})}


def preempting(asks: Asks, rules: Rules) -> Bool:
    """By job: whether it may take others' places."""
    found: Bool = rules.preempts | ((rules.order == Order.FAIR) & urgent(asks.priority))
    return found


def _outcome(
    trace: Trace, farm: Farm, asks: Asks, made: _Made, name: str, notes: Mapping[str, str], *, charges: bool
) -> Run:  # fmt: skip
    rules, facts = farm.rules, facts_of(farm.fleet)
    ran = made.ran
    devices = asks.workers * asks.devices_milli
    held = devices if facts.measured == "devices" else asks.workers * asks.cores_milli
    stretches = Stretches(
        job=ran.job, from_ms=ran.since, until_ms=ran.until, held_milli=held[ran.job], site=ran.site, accelerator=ran.kind
    )
    tenant, tenants = trace.owners
    won = won_of(_billed(trace, farm, asks, made), ran) if charges else -1
    return run_of(
        trace, made.start_ms, facts, end_ms=made.end_ms, devices_milli=devices, policy=rules.name, trace=name,
        stretches=stretches, preemptions=made.preemptions, lost_ms=made.lost_ms, until_ms=made.until_ms, tenant=tenant,
        tenants=tenants, fragmentation=made.fragmentation, won=won,
        notes={**notes, **price_note(farm.policy)} if charges else notes,
    )  # fmt: skip
