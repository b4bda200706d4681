"""The controller as a running thing: it takes the lead when it can, steps when something happened, and answers questions."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from dure.controller import step as stepping
from dure.controller.answers import EVERY_CLASS, QuoteAnswer, Usable, WhyAnswer, answer_quote, answer_why
from dure.controller.courtesy import Courtesy
from dure.controller.deed import CONTROLLER, Deed
from dure.controller.dependencies import with_dependency
from dure.controller.lifecycle import reclaimed
from dure.controller.moved import moved
from dure.controller.openings import with_opening
from dure.controller.quotas import QuotasAnswer, answer_quotas
from dure.controller.rules import not_found
from dure.controller.sealer import Sealer, Sign, Signer
from dure.controller.whatif import WhatIf, WhatIfAnswer, answer_what_if, at_rest
from dure.errors import ChainContradicted, StaleLeader, require
from dure.model.event import NO_HEAD, ChainFault, Head
from dure.model.reason import Reason, ReasonKind
from dure.model.tenancy import Project
from dure.model.workload import Attempt, AttemptState, Workload, WorkloadSpec, WorkloadState
from dure.ports import Clock, Entropy, Store
from dure.scheduler import PLANS_MAX, Plan, Snapshot, plan

log = logging.getLogger("dure.controller")

A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    idle_ms: int = 500  # a step at least this often: awards end and pauses pass without anybody saying so
    duty: float = 4.0  # rest after a step for this many times what it took: under a flood, planning takes a fifth of a core
    rest_ms_max: int = 1_000  # but never longer than this
    follow_ms: int = 500  # how often a controller that does not lead looks for news, and for the lead
    view_ms_max: int = 5_000  # how old the state may be that a controller which follows answers from, when nothing happens
    retry_ms: int = 1_000  # pause after a step that broke
    head_every_ms: int = 1_000  # how often a newer head of the event chain is given out, at most
    answer_wait_ms: int = 3_000  # how long a question waits for the first plan that knows what it asks about
    courtesy_ms: int = 2_000  # how long a question that plans lets a step go first, each time that it looks up
    drift_every_ms: int = stepping.DRIFT_EVERY_MS  # how often the followed state is compared with a rebuilt one
    why_plans_max: int = PLANS_MAX  # plans of the whole queue that the search for a smallest change may make, per question


class View:
    """A snapshot and the plan for it. A controller that only follows plans when somebody asks."""

    def __init__(self, snapshot: Snapshot, decided: Plan | None = None) -> None:
        self.snapshot = snapshot
        self._decided = decided

    @property
    def plan(self) -> Plan:
        if self._decided is None:
            self._decided = plan(self.snapshot)
        return self._decided


class Controller:
    """Steps in a thread of its own (`start`), or one at a time when a test or the simulator calls `step`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        sign: Sign,
        public_key: str,
        settings: ControllerSettings | None = None,
    ) -> None:
        self.store = store
        self._clock, self._entropy = clock, entropy
        self.sealer = Sealer(Signer(sign, public_key))
        self._settings = settings or ControllerSettings()
        self._courtesy = Courtesy(self._settings.courtesy_ms)
        self._memory: stepping.Memory | None = None
        self._epoch: int | None = None
        self._view: View | None = None
        self._waiting: Mapping[str, int] = {}  # project → waiting workloads in the view
        self._viewed = threading.Condition()
        self._head: Head | None = None
        self._head_ms = 0  # when that was taken
        self.contradiction: ChainFault | None = None  # why nothing is sealed, and so nothing decided, at present
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._listeners: list[Callable[[], None]] = []
        self.faults = 0  # steps that broke since the start

    # -- circumstances -------------------------------------------------------------------------------------------

    def deed(self, actor: str, credential: str = "", made_by: str = "") -> Deed:
        """The circumstances of a command that `actor` gives now, having shown this credential. made_by: see `Deed`."""
        return Deed(
            actor=actor,
            now_ms=self._clock.now_ms(),
            entropy=self._entropy,
            notify=self._changed,
            waiting=lambda project: self._waiting.get(project, 0),
            credential=credential,
            made_by=made_by,
        )

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after every durable change made by this process. It must not block."""
        self._listeners.append(listener)

    def _changed(self) -> None:
        self.wake()
        for listener in self._listeners:
            listener()

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    # -- the loop ------------------------------------------------------------------------------------------------

    @property
    def leads(self) -> bool:
        return self._epoch is not None

    @property
    def epoch(self) -> int:
        """The leader epoch of this controller; 0 while it does not lead."""
        return self._epoch or 0

    @property
    def kept_back(self) -> tuple[str, ...]:
        """Workloads that broke a plan, which is made without them for a while."""
        memory = self._memory
        return tuple(sorted(memory.kept_back)) if memory is not None else ()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="dure-controller", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the loop after the step that is under way. Nothing that runs at a site is touched."""
        self._stopped.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            began = self._clock.now_ms()
            try:
                report = self.step()
            except Exception:  # whatever it was, the loop must live: the next step begins from what is stored
                log.exception("a step broke; the state is read anew")
                self.faults += 1
                self._memory = None
                self._rest(self._settings.retry_ms)
                continue
            took = self._clock.now_ms() - began
            self._pause(report, took)

    def _pause(self, report: stepping.StepReport | None, took_ms: int) -> None:
        if report is None:
            self._rest(self._settings.follow_ms)
            return
        if report.busy:
            self._rest(min(int(self._settings.duty * took_ms), self._settings.rest_ms_max))
            self._woken.clear()
            return
        self._woken.wait(self._settings.idle_ms / 1000)
        self._woken.clear()

    def _rest(self, ms: int) -> None:
        self._stopped.wait(ms / 1000)

    def step(self) -> stepping.StepReport | None:
        """One step when this controller leads (or can take the lead), else None: it then only follows."""
        if not self._take_lead():
            self._follow()
            return None
        if self._memory is None:
            self._memory = stepping.load(self.store, self._settings.drift_every_ms)
        require(self._epoch is not None, "a step is made by a controller that leads")
        assert self._epoch is not None  # as just required; for the type checker
        try:
            with self._courtesy.step():
                report = stepping.step(self.store, self._memory, self.deed(CONTROLLER), self._epoch, self.sealer)
        except StaleLeader:
            log.warning("another controller has taken the lead; this one follows")
            self._epoch, self._memory = None, None
            return None
        except ChainContradicted as fault:
            self._contradicted(fault)
            self._follow()
            return None
        self._in_order()
        self._publish(View(report.snapshot, report.plan))
        self._take_head(report.snapshot.now_ms)
        return report

    def _contradicted(self, fault: ChainContradicted) -> None:
        """Nothing is decided on top of a past that somebody rewrote. What is asked and reported meanwhile is kept, unsealed."""
        found = ChainFault(seq=fault.seq, event=fault.event, fault=fault.fault)
        if self.contradiction != found:
            log.error("%s; nothing is sealed or started until the database is repaired or restored", fault)
        self.contradiction = found

    def _in_order(self) -> None:
        if self.contradiction is not None:
            log.warning("the stored event chain extends the last signed head again")
        self.contradiction = None

    def _take_lead(self) -> bool:
        if self._epoch is not None and self.store.leads():
            return True
        epoch = self.store.try_lead()
        if epoch is None:
            if self._epoch is not None:
                self._memory = None
            self._epoch = None
            return False
        log.info("leading with epoch %d", epoch)
        self._epoch, self._memory = epoch, None
        return True

    def _follow(self) -> None:
        """Keep a view for questions without deciding anything."""
        now_ms = self._clock.now_ms()
        fresh = self._memory is None
        if self._memory is None:
            self._memory = stepping.load(self.store, self._settings.drift_every_ms)
        mirror = self._memory.mirror
        changed = self.store.read(mirror.follow)
        if fresh or changed or self._view is None or now_ms - self._view.snapshot.now_ms >= self._settings.view_ms_max:
            self.store.read(mirror.refresh_sites)
            self._publish(View(self._memory.columns.snapshot(now_ms, 0)))
        self._take_head(now_ms)

    def _publish(self, view: View) -> None:
        counts = np.bincount(view.snapshot.pending.project, minlength=len(view.snapshot.projects.ids)).tolist()
        self._waiting = dict(zip(view.snapshot.projects.ids, counts, strict=True))
        with self._viewed:
            self._view = view
            self._viewed.notify_all()

    # -- the head of the event chain -----------------------------------------------------------------------------

    def _take_head(self, now_ms: int) -> None:
        """Give out the head that stands in the plane's row, as the mirror read it: signed by the leader. A forged one is none."""
        if self._memory is None or (self._head is not None and 0 <= now_ms - self._head_ms < self._settings.head_every_ms):
            return
        head = self._memory.mirror.plane.head
        older = self._head is not None and (head.incarnation, head.seq) <= (self._head.incarnation, self._head.seq)
        if head == NO_HEAD or older or not self.sealer.signer.signed(head):
            return
        self._head, self._head_ms = head, now_ms

    def head(self) -> Head | None:
        """The last signed head; None before the first is known."""
        return self._head

    # -- questions -----------------------------------------------------------------------------------------------

    def view(self) -> View | None:
        return self._view

    def why(self, id: str, usable: Usable = EVERY_CLASS, *, awards: bool = True) -> WhyAnswer | Reason:
        """Why a workload is where it is. Blocks until a plan knows it, a few steps at most; call it outside an event loop.

        awards: whether who asks may see those of its project, and so is told which opens next."""

        def look(view: View) -> WhyAnswer | Reason | None:
            workload = self.store.read(lambda r: r.get(Workload, id))
            if workload is None:
                return not_found("workload", id)
            known = self._quarantined(workload, view.snapshot.now_ms) or self._stopping(workload)
            if known:
                return known
            plans_max, pace = self._settings.why_plans_max, self._courtesy.pace
            answer = answer_why(view.snapshot, view.plan, workload, plans_max, pace, usable)
            if answer is None:
                return None
            told = self.store.read(lambda r: with_dependency(answer, r, view.snapshot, view.plan))
            return self.store.read(lambda r: with_opening(told, r, view.snapshot)) if awards else told

        return self._ask(look) or Reason.of(ReasonKind.PLANE_STARTING)

    def what_if(self, id: str, asked: WhatIf, usable: Usable = EVERY_CLASS) -> WhatIfAnswer | Reason:
        """As `why`, beside what it would be like under suppositions. Changes nothing. Blocks like `why`."""

        def find(id: str) -> Workload | None:
            return self.store.read(lambda r: r.get(Workload, id))

        def look(view: View) -> WhatIfAnswer | Reason | None:
            workload = find(id)
            if workload is None:
                return not_found("workload", id)
            known = self._quarantined(workload, view.snapshot.now_ms) or self._stopping(workload)
            plans_max, pace = self._settings.why_plans_max, self._courtesy.pace
            if known is None and workload.state != WorkloadState.WAITING:
                known = answer_why(view.snapshot, view.plan, workload, plans_max, pace, usable)
            if known is not None:
                return at_rest(known, asked)
            return answer_what_if(find, view.snapshot, view.plan, workload, asked, plans_max, pace, usable)

        return self._ask(look) or Reason.of(ReasonKind.PLANE_STARTING)

    def snapshot(self) -> Snapshot | None:
        """What the last step planned from (of a controller that follows: the state that it saw last), for whoever wants to plan
        it again; without who wrote its policy. None before there is one."""
        view = self._view
        return replace(view.snapshot, policy=replace(view.snapshot.policy, written_by="")) if view else None

    def _quarantined(self, workload: Workload, now_ms: int) -> WhyAnswer | None:
        """What is set aside holds up work that waits, and what its site gives no account of; not what runs elsewhere by now."""
        memory = self._memory
        held_back = memory.mirror.held_back(workload.id, now_ms) if memory else []
        if workload.attempt in held_back:
            row = self.store.read(lambda r: r.get(Attempt, workload.attempt))
            reason = Reason.of(ReasonKind.UNACCOUNTED, attempt=workload.attempt, site=row.site if row else "")
        elif held_back and workload.state == WorkloadState.WAITING:
            reason = Reason.of(ReasonKind.WAITS_QUARANTINE, attempt=held_back[0])
        else:
            return None
        return WhyAnswer(workload=workload, as_of_ms=self._clock.now_ms(), reason=reason)

    def _stopping(self, workload: Workload) -> WhyAnswer | None:
        """Of what runs and was told to stop, why that is."""
        row = self.store.read(lambda r: r.get(Attempt, workload.attempt)) if workload.attempt else None
        if row is None or row.state != AttemptState.STOPPING:
            return None
        if workload.cancel_asked_ms:
            reason = Reason.of(ReasonKind.BEING_CANCELLED)
        else:
            by = {"by": row.beneficiary} if row.beneficiary else {}
            reason = Reason.of(ReasonKind.MAKES_ROOM, **by, **reclaimed(row), **moved(row))
        return WhyAnswer(workload=workload, as_of_ms=self._clock.now_ms(), reason=reason)

    def quote(self, project: str, spec: WorkloadSpec, elements: int = 1) -> QuoteAnswer | Reason:
        """What it would cost and when it would start, by the same plan that would place it. Blocks like `why`."""

        def look(view: View) -> QuoteAnswer | Reason | None:
            if project not in view.snapshot.projects.ids:
                known = self.store.read(lambda r: r.get(Project, project))
                return None if known else not_found("project", project)
            full = replace(spec, limit_ms=spec.limit_ms or view.snapshot.policy.limit_ms_default)
            return answer_quote(view.snapshot, project, full, elements)

        return self._ask(look) or Reason.of(ReasonKind.PLANE_STARTING)

    def quotas(self, visible: Collection[str] | None, project: str = "") -> QuotasAnswer | Reason:
        """What quotas leave to whom; see `answer_quotas`. Blocks like `why`."""
        return self._ask(lambda view: answer_quotas(view.snapshot, visible, project)) or Reason.of(ReasonKind.PLANE_STARTING)

    def _ask(self, look: Callable[[View], A | None]) -> A | None:
        """`look` at the present view, and at newer ones until it has an answer or the wait is over."""
        deadline_s = time.monotonic() + self._settings.answer_wait_ms / 1000  # people wait by real time, whatever the clock does
        view = self._view
        while True:
            answer = look(view) if view is not None else None
            left_s = deadline_s - time.monotonic()
            if answer is not None or left_s <= 0:
                return answer
            self.wake()
            view = self._next_view(view, left_s)

    def _next_view(self, seen: View | None, wait_s: float) -> View | None:
        with self._viewed:
            self._viewed.wait_for(lambda: self._view is not seen, wait_s)
            return self._view
