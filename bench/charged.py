"""A plane and its sites under a clock that is charged for the plane's own work and skips its rests.

What somebody waits for is then told as it would be with real time, computing included; a measurement takes only as long as the
plane computes. The agents and their backends, which in life are other machines, work at no charge."""

from __future__ import annotations

import importlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.agent.agent import Agent
from dure.agent.journal import Journal
from dure.agent.settings import AgentSettings
from dure.backends.fake import FakeDriver
from dure.bootstrap.machine import SystemEntropy
from dure.bootstrap.plane import public_half
from dure.controller import Controller
from dure.controller.columns import Columns
from dure.controller.commands import agents
from dure.controller.housekeeping import NoteKeeper
from dure.controller.sealer import Sealer
from dure.model.link import Hello, HelloAnswer, Poll, PollAnswer, Report, ReportAnswer
from dure.ports import Store
from dure.simulator.fakes import WorldLink, granted

if TYPE_CHECKING:
    from bench.booth import Booth

KEEP_ENDED_MS = 5_000  # what an attempt printed is read by nobody here


@dataclass
class Spent:
    """Seconds of wall time, and of CPU time of this process (the writer's thread too)."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


class ChargedClock:
    """Moves by what is charged to it and by what is skipped."""

    def __init__(self, now_ms: int) -> None:
        self._base_ms = now_ms
        self._s = 0.0
        self._deep = 0
        self.spent: dict[str, Spent] = defaultdict(Spent)

    def now_ms(self) -> int:
        return self._base_ms + int(self._s * 1000)

    @property
    def elapsed_s(self) -> float:
        return self._s

    def skip(self, ms: int) -> None:
        self._s += ms / 1000

    @contextmanager
    def charge(self, phase: str) -> Iterator[None]:
        """Within one, another phase is told apart and charged once."""
        wall, cpu = time.perf_counter(), time.process_time()
        self._deep += 1
        try:
            yield
        finally:
            self._deep -= 1
            took = time.perf_counter() - wall
            spent = self.spent[phase]
            spent.wall_s += took
            spent.cpu_s += time.process_time() - cpu
            if not self._deep:
                self._s += took


class ChargedLink(WorldLink):
    """Of what an agent says, the plane's side is charged; at a booth, together with what others say at that moment."""

    def __init__(self, controller: Controller, site: str, clock: ChargedClock, booth: Booth) -> None:
        super().__init__(lambda: controller, site)
        self._clock, self._booth = clock, booth
        self._noted_ms = 0

    def hello(self, hello: Hello) -> HelloAnswer:
        return self._booth.say(self._site, "hello", lambda: lambda: super(ChargedLink, self).hello(hello))

    def poll(self, poll: Poll) -> PollAnswer:
        return self._booth.say(self._site, "orders", lambda: lambda: self._polled(poll))

    def _polled(self, poll: Poll) -> PollAnswer:
        """As the API answers it: that a site lives is written down only now and then."""
        plane = self._reach()
        if self._clock.now_ms() - self._noted_ms >= agents.HEARD_EVERY_MS:
            self._noted_ms = self._clock.now_ms()
            deed = plane.deed(f"agent:{self._site}")
            plane.store.transact(lambda tx: agents.heard(tx, deed, site=self._site))
        orders, incarnation = agents.polled(plane.store, site=self._site, poll=poll)
        return PollAnswer(incarnation=incarnation, orders=granted(orders))

    def report(self, report: Report) -> ReportAnswer:
        return self._booth.say(self._site, "reports", lambda: self._reported(report))

    def _reported(self, report: Report) -> Callable[[], ReportAnswer]:
        plane = self._reach()
        deed = plane.deed(f"agent:{self._site}")
        written = plane.store.submit(lambda tx: agents.report(tx, deed, site=self._site, report=report))
        return lambda: granted(written.result())


def new_controller(store: Store, clock: ChargedClock) -> tuple[Controller, str]:
    """A controller as a farm has it, with a key of its own; the key's public half."""
    key = Ed25519PrivateKey.generate()
    public = public_half(key)
    return Controller(store, clock, SystemEntropy(), lambda body: key.sign(body).hex(), public), public


def new_agent(
    controller: Controller, site: str, booth: Booth, clock: ChargedClock, nodes: Sequence[Mapping[str, Any]],
    durations: Mapping[str, int],
) -> Agent:  # fmt: skip
    """The agent of a site on which nothing runs. durations: milliseconds of work by name of the job."""
    driver = FakeDriver(clock, nodes, durations=durations)
    folder = Path(tempfile.gettempdir()) / "dure-bench-agent"  # bundles are never fetched here, so nothing is written
    settings = AgentSettings(folder=folder, boot_id=f"boot-{site}", keep_ended_ms=KEEP_ENDED_MS)
    return Agent(driver, ChargedLink(controller, site, clock, booth), Journal.in_memory(), clock, settings)


stepping: Any = importlib.import_module("dure.controller.step")  # the package exports a function of that name

# What a step calls, and as which phase it is told.
_CALLS: tuple[tuple[Any, str, str], ...] = (
    (Sealer, "seal", "seal"),
    (stepping, "_follow", "follow"),
    (Columns, "snapshot", "snapshot"),
    (stepping, "plan", "plan"),
    (stepping, "check", "check"),
    (stepping, "groups_of", "apply"),
    (stepping, "apply_groups", "apply"),
    (NoteKeeper, "due", "notes"),
    (NoteKeeper, "write", "notes"),
)


@contextmanager
def phases_told(clock: ChargedClock) -> Iterator[None]:
    """While this lasts, steps charge their phases one by one."""
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in _CALLS]
    try:
        for owner, name, phase in _CALLS:
            setattr(owner, name, _told(clock, phase, getattr(owner, name)))
        yield
    finally:
        for owner, name, was in kept:
            setattr(owner, name, was)


def _told(clock: ChargedClock, phase: str, call: Any) -> Any:
    def told(*given: Any, **named: Any) -> Any:
        with clock.charge(phase):
            return call(*given, **named)

    return told
