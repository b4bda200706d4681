"""The threads around an agent's steps: one collects orders, some launch, one looks, one reports, some carry logs.

A loop never dies: a fault of the link or the backend makes it pause, longer each time, and a fault of the program is logged and
treated the same. While the link is down only the poll knocks; when it answers again, whoever pauses goes on at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from dure.agent.agent import Agent
from dure.agent.backoff import Backoff
from dure.agent.journal import Journal
from dure.agent.link import Link, is_stale
from dure.agent.settings import AgentSettings
from dure.errors import ApiError, BackendError, LinkError, StoreError
from dure.ports import Clock, Driver, Entropy

log = logging.getLogger("dure.agent")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_QUICK_S = 0.05  # a poll that came back sooner than this with nothing new was no long poll
_DULL_MS, _DULL_MS_MAX = 20, 1_000  # pauses after such polls, so that a plane that repeats itself is not asked in a circle
_REPORT_IDLE_MS = 500  # between looks for ends to be said again
_LOOK_SHARE = 4  # looking takes at most a quarter of the time


@dataclass(slots=True)
class _Loop:
    """A step that is called again and again. step returns milliseconds to pause; `wake` cuts such a pause short, `retry` the
    pause after a fault. Loops that do the same share `wake`: every clearing of it is followed by a step, so nothing is missed."""

    name: str
    step: Callable[[], int]
    backoff: Backoff
    wake: threading.Event
    retry: threading.Event = field(default_factory=threading.Event)

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            event, pause_ms = self._once(stop)
            if pause_ms > 0 and not stop.is_set():
                event.wait(pause_ms / 1000)
            if not stop.is_set():  # else it is what tells the other loops to end
                event.clear()

    def _once(self, stop: threading.Event) -> tuple[threading.Event, int]:
        try:
            pause_ms = self.step()
        except Exception as fault:
            if not stop.is_set():
                self._log(fault)
            return self.retry, self.backoff.next_ms()
        if self.backoff.failing:
            log.info("%s: works again", self.name)
        self.backoff.reset()
        return self.wake, pause_ms

    def _log(self, fault: Exception) -> None:
        if isinstance(fault, ApiError) and is_stale(fault):
            log.info("%s: the plane has forgotten this session, saying hello again", self.name)
        elif not isinstance(fault, (LinkError, ApiError, BackendError, StoreError)):
            log.error("%s: fault in the program", self.name, exc_info=fault)
        elif not self.backoff.failing:  # once, not at every try
            log.warning("%s: %s", self.name, fault)


def run(agent: Agent, stop: threading.Event, entropy: Entropy) -> None:
    """Run the agent until `stop` is set; then hang up and return within `stop_ms`, with the jobs left running."""
    loops = _loops(agent, entropy)
    threads = [threading.Thread(target=loop.run, args=(stop,), name=f"dure-agent-{loop.name}", daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    stop.wait()
    agent.hang_up()  # ends the long poll
    for loop in loops:
        loop.wake.set()
        loop.retry.set()
    deadline = time.monotonic() + agent.settings.stop_ms / 1000
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    late = [t.name for t in threads if t.is_alive()]
    if late:
        log.warning("left behind while stopping: %s", ", ".join(late))


def run_agent(settings: AgentSettings, driver: Driver, link: Link, clock: Clock, entropy: Entropy, stop: threading.Event) -> None:
    """Open the journal, run until `stop` is set, close. Installs no signal handlers; jobs go on when it returns.

    Raises ConfigError when another agent has the folder, StoreError when the journal is damaged."""
    journal = Journal.open(settings.folder)
    try:
        known = replace(settings, boot_id=settings.boot_id or boot_id())
        run(Agent(driver, link, journal, clock, known), stop, entropy)
    finally:
        link.close()
        journal.close()


def boot_id() -> str:
    """The kernel's id of this boot, "" where there is none."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


def _loops(agent: Agent, entropy: Entropy) -> list[_Loop]:
    s = agent.settings

    def loop(name: str, step: Callable[[], int], wake: threading.Event) -> _Loop:
        return _Loop(name, step, Backoff(entropy, s.backoff_ms, s.backoff_ms_max), wake)

    others = [loop(f"launch-{n}", lambda: _launch(agent), agent.launch_wanted) for n in range(s.launch_workers)]
    others.append(loop("look", lambda: _look(agent), agent.look_wanted))
    others.append(loop("report", lambda: _report(agent), agent.report_wanted))
    others += [loop(f"log-{n}", lambda: _ship(agent), agent.logs_wanted) for n in range(s.log_workers)]
    poller = _Poller(agent, Backoff(entropy, _DULL_MS, _DULL_MS_MAX), [o.retry for o in others])
    return [loop("poll", poller.step, threading.Event()), *others]


class _Poller:
    """The one loop that knocks while the link is down."""

    def __init__(self, agent: Agent, dull: Backoff, retries: list[threading.Event]) -> None:
        self._agent = agent
        self._dull = dull
        self._retries = retries
        self._down = True

    def step(self) -> int:
        began = time.monotonic()
        try:
            fresh = self._agent.poll(self._poll_wait_ms())
        except Exception:
            self._down = True
            raise
        if self._down:
            self._down = False
            for retry in self._retries:
                retry.set()
        if fresh or time.monotonic() - began > _QUICK_S:
            self._dull.reset()
            return 0
        return self._dull.next_ms()

    def _poll_wait_ms(self) -> int:
        # After a fault ask without waiting: the answer tells the other loops at once that the link is back.
        return 0 if self._down else self._agent.settings.poll_wait_ms


def _launch(agent: Agent) -> int:
    if agent.launch_next():
        return 0
    pause_ms = agent.launch_pause_ms()
    return agent.settings.backoff_ms_max if pause_ms is None else max(pause_ms, 1)


def _look(agent: Agent) -> int:
    began = time.monotonic()
    agent.look()
    took_ms = int((time.monotonic() - began) * 1000)
    return max(agent.look_pause_ms(), took_ms * _LOOK_SHARE)


def _report(agent: Agent) -> int:
    agent.send_reports()
    return _REPORT_IDLE_MS


def _ship(agent: Agent) -> int:
    pieces = agent.ship_log()
    if pieces:
        return 0
    return agent.settings.log_idle_ms if agent.reading() else agent.settings.log_keepalive_ms
