"""The agent's steps, without threads: tests and the simulator call them one by one, `runner` from its loops."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import dure
from dure.agent.attempts import grace_ms, launch_order
from dure.agent.book import Book, Told
from dure.agent.bundles import BundleCache, is_hash
from dure.agent.journal import Journal
from dure.agent.link import Link, is_stale
from dure.agent.logs import LogShipper
from dure.agent.settings import AgentSettings
from dure.errors import ApiError, BackendError, LinkError
from dure.model.codec import from_plain
from dure.model.event import Head
from dure.model.link import PROTOCOL, Hello, HelloAnswer, Order, Poll, PollAnswer, Report
from dure.model.workload import Outcome
from dure.ports import Clock, Driver, Forgetter, LogReader, Observation, Sweeper, Swept

log = logging.getLogger("dure.agent")

M = TypeVar("M", Poll, Report)
A = TypeVar("A")

_INT64 = 1 << 63  # what the journal can hold
_FORGET_BATCH = 100
_TOO_LARGE = 413
_BUNDLE_GONE = (404, 410, 413, 422)  # answers that will not change by asking again


@dataclass(frozen=True, slots=True)
class Session:
    """What the plane said to our last hello."""

    epoch: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class _Greeting:
    """What the plane said to a hello, what it told, and what it left for reports."""

    answer: HelloAnswer  # to the last part
    told: Sequence[Told]
    later: Sequence[Told]


class Agent:
    """One site's agent. Nothing is started by constructing it.

    Raises in every step: LinkError (plane out of reach), ApiError (plane refused), BackendError (backend out of reach),
    StoreError (journal cannot be written). After any of them the step may simply be called again: what had to be
    remembered was journaled before."""

    def __init__(self, driver: Driver, link: Link, journal: Journal, clock: Clock, settings: AgentSettings) -> None:
        self._driver = driver
        self._link = link
        self._journal = journal
        self._clock = clock
        self.settings = settings
        self._book = Book(journal, clock, settings)
        self._bundles = BundleCache(settings.folder / "bundles", settings.bundle_cache_bytes_max)
        reader = driver if isinstance(driver, LogReader) else None
        self._logs = LogShipper(reader, link, self._book.log_ended, clock, settings)
        self._session: Session | None = None
        self._hello_lock = threading.Lock()
        self._report_lock = threading.Lock()  # reports of one attempt must arrive in the order in which they were made
        self._batch = settings.report_batch
        self._hello_part = settings.hello_part_max
        self._hello_slim = False  # without workers
        self._nodes: tuple[Mapping[str, Any], ...] = ()
        self._nodes_told = True
        self._swept_ms = self._inventory_ms = self._tidied_ms = -1
        self.launch_wanted = threading.Event()
        self.report_wanted = threading.Event()
        self.logs_wanted = threading.Event()
        self.look_wanted = threading.Event()

    @property
    def connected(self) -> bool:
        return self._session is not None

    # -- the steps

    def connect(self) -> None:
        """Look at all that the backend has, then say hello with everything that is known."""
        with self._hello_lock:
            self.look(sweep=True)
            nodes = tuple(self._driver.inventory())
            greeting = self._greet(nodes)
            self._nodes, self._nodes_told = nodes, True
            self._session = Session(greeting.answer.epoch, greeting.answer.incarnation)
            self._book.heard(greeting.told, hello=True)
            self._book.untold(t.report.attempt for t in greeting.later)
            self.report_wanted.set()
        if greeting.later:  # before anything is asked of a plane that does not know of them
            self.send_reports()

    def _greet(self, nodes: tuple[Mapping[str, Any], ...]) -> _Greeting:
        """Say hello; where the plane, or a proxy before it, finds that too long, say it in smaller parts until it is heard: an
        agent that cannot say hello can do nothing."""
        while True:
            told = self._book.everything(self.settings.hello_settled_max, slim=self._hello_slim)
            try:
                return self._say_hello(nodes, told)
            except ApiError as refusal:
                if refusal.status != _TOO_LARGE or not self._shorten(len(told)):
                    raise

    def _say_hello(self, nodes: tuple[Mapping[str, Any], ...], told: Sequence[Told]) -> _Greeting:
        """All of it, in parts. A part that is lost, or refused because the plane does not wait for it any more, ends the try; the
        next one starts over. What an older plane, which knows no parts, was not told by the first is left for reports."""
        said = self._hello_part
        first = answer = self._link.hello(self._hello(nodes, told[:said], more=said < len(told)))
        while answer.more and said < len(told):
            part = told[said : said + max(self._hello_part, 1)]
            said += len(part)
            answer = self._link.hello(self._hello((), part, more=said < len(told), epoch=first.epoch))
            if answer.incarnation != first.incarnation:
                raise LinkError("the plane was restored while it heard a hello in parts")
        return _Greeting(answer, told[:said], told[said:])

    def _hello(self, nodes: tuple[Mapping[str, Any], ...], told: Sequence[Told], *, more: bool, epoch: int = 0) -> Hello:
        return Hello(
            protocol=PROTOCOL,
            agent_version=dure.__version__,
            boot_id=self.settings.boot_id,
            describe=self._driver.describe(),
            nodes=nodes,
            reports=tuple(t.report for t in told),
            more=more,
            epoch=epoch,
        )

    def _shorten(self, known: int) -> bool:
        """Half as many attempts in a part; where one alone is too long, all without their workers. False: nothing can be left
        out any more."""
        part = min(self._hello_part, known)
        if part == 0:
            return False
        self._hello_part = part // 2
        if part == 1 and not self._hello_slim:
            self._hello_slim, self._hello_part = True, 1
        log.warning("a hello of %d attempts is too long for the plane: telling %d at a time", part, self._hello_part)
        return True

    def step_orders(self, wait_ms: int) -> int:
        """Collect orders, carry them out, report. Returns how many things were new."""
        fresh = self.poll(wait_ms)
        while self.launch_next():
            pass
        self.send_reports()
        return fresh

    def step_observe(self) -> None:
        """See what became of the attempts, report what is new and the ends that the plane has not recorded."""
        self.look()
        self.send_reports()

    def step_logs(self) -> int:
        """Send what readers wait for; returns the pieces sent."""
        pieces = 0
        while (sent := self.ship_log()) is not None:
            pieces += sent
        return pieces

    # -- their parts: each may run in a thread of its own

    def poll(self, wait_ms: int) -> int:
        """Collect orders; journal them; stop what is to be stopped; leave the launches to `launch_next`."""
        if self._session is None:
            self.connect()
        session = self._session
        if session is None:
            return 0
        answer = self._say(self._link.poll, Poll(epoch=session.epoch, wait_ms=wait_ms, busy=self._book.busy()))
        if answer.incarnation != session.incarnation:
            log.warning("the plane is incarnation %d now, was %d: reporting all", answer.incarnation, session.incarnation)
            self._session = None
            self.connect()
            return 0  # orders are repeated by the restored plane, if it still means them
        return self._obey(answer)

    def _obey(self, answer: PollAnswer) -> int:
        head = _head(answer.head)
        accepted = self._book.accept(answer.orders, head)
        for attempt in accepted.stops:
            self._tell_stop(attempt)
        wanted = self._logs.want(answer.logs)
        if answer.orders:
            self.launch_wanted.set()
            self.report_wanted.set()
        if wanted:
            self.logs_wanted.set()
        return accepted.fresh + wanted + (head is not None)

    def launch_next(self) -> bool:
        """Launch the attempt that has waited longest. False when none is due. What fails on the way is tried again later."""
        order = self._book.next_launch()
        if order is None:
            return False
        try:
            stop_waits = self._launch(order)
        except (LinkError, ApiError, BackendError) as fault:
            log.warning("attempt %s cannot be launched now: %s", order.attempt, fault)
            stop_waits = self._book.postpone(order.attempt)
        except Exception:
            # A fault of the backend's code: nobody knows whether it launched, so asking again (idempotent) is all that is safe.
            log.exception("attempt %s: the backend failed in launch", order.attempt)
            stop_waits = self._book.postpone(order.attempt)
        if stop_waits:
            self._tell_stop(order.attempt)
        self.report_wanted.set()
        self.look_wanted.set()
        return True

    def _launch(self, order: Order) -> bool:
        bundle, fault = self._bundle(order)
        request = launch_order(order, bundle)
        if fault or request is None:
            self._book.refused(order.attempt, fault or "bad_order")
            return False
        if not self._book.ask(order.attempt):
            return False
        return self._book.launched(order.attempt, self._driver.launch(request))

    def _bundle(self, order: Order) -> tuple[str, str]:
        """Path of the code archive ("" when the job has none), and why there will never be one."""
        sha256 = order.spec.bundle if order.spec else ""
        if not sha256:
            return "", ""
        if not is_hash(sha256):
            return "", "bad_order"
        fault = self._bundles.obtain(sha256, partial(self._fetch, order.project, sha256), self._book.bundles_in_use())
        return ("", fault) if fault else (str(self._bundles.path(sha256)), "")

    def _fetch(self, project: str, sha256: str, target: Path) -> str:
        try:
            return self._link.fetch_bundle(project, sha256, target, self.settings.bundle_bytes_max)
        except ApiError as refusal:
            if refusal.status in _BUNDLE_GONE:
                return "bundle_missing"
            raise

    def launch_pause_ms(self) -> int | None:
        """How long until a postponed launch is due; None when none is waiting."""
        return self._book.launch_pause_ms()

    def look_pause_ms(self) -> int:
        """How long what was seen stays good enough."""
        s = self.settings
        if self._book.starting(s.starting_ms):
            return s.observe_starting_ms
        return s.observe_busy_ms if self._book.live() else s.observe_idle_ms

    def look(self, *, sweep: bool = False) -> None:
        """Bring in what the backend says. sweep: of all that it remembers, now rather than when it is next due."""
        watched = self._book.watched()
        sweep = sweep or self._passed(self._swept_ms, self.settings.sweep_ms)
        seen: Sequence[Observation] = self._driver.observe(None if sweep else watched) if sweep or watched else ()
        if sweep:
            self._swept_ms = self._clock.now_ms()
        result = self._book.observed(seen, watched)
        if result.news:
            self.report_wanted.set()
        self._enforce(result.zombies)
        if self._passed(self._inventory_ms, self.settings.inventory_ms):
            self._take_inventory()
        if self._passed(self._tidied_ms, self.settings.sweep_ms):
            self._tidy()

    def _enforce(self, zombies: Sequence[str]) -> None:
        """Stops that the backend has not taken yet, and those that nobody has to order."""
        for attempt in self._book.stops_due():
            self._tell_stop(attempt)
        for attempt in zombies:
            log.warning("attempt %s runs although its end was reported: stopping it", attempt)
            self._driver.stop(attempt, Outcome.LOST, 0)
        for known in self._book.overran():
            self._driver.stop(known.attempt, Outcome.TIMED_OUT, grace_ms(known))

    def _tell_stop(self, attempt: str) -> None:
        order = self._book.stop_of(attempt)
        if order is None:
            return
        try:
            self._driver.stop(attempt, order.cause or Outcome.CANCELLED, order.grace_ms)
        except BackendError as fault:
            log.warning("attempt %s cannot be stopped now: %s", attempt, fault)  # `look` tries again
            return
        self._book.stop_told(attempt, order)
        self.look_wanted.set()

    def _take_inventory(self) -> None:
        nodes = tuple(self._driver.inventory())
        self._inventory_ms = self._clock.now_ms()
        if nodes != self._nodes:
            self._nodes, self._nodes_told = nodes, False
            self.report_wanted.set()

    def _tidy(self) -> None:
        """Let the backend drop what was settled long ago, and the journal what was dropped longer ago."""
        s, now_ms = self.settings, self._clock.now_ms()
        swept = self._sweep(self._driver, now_ms) if isinstance(self._driver, Sweeper) else self._forget(now_ms)
        if swept.attempts:
            self._journal.mark_forgotten(swept.attempts)
        self._journal.prune(now_ms - s.keep_settled_ms, s.keep_settled_max)
        self._bundles.evict(self._book.bundles_in_use())
        self._tidied_ms = -1 if swept.more else now_ms  # more to do: go on at the next look

    def _sweep(self, driver: Sweeper, now_ms: int) -> Swept:
        """A backend that keeps its own bounds needs only to know what is billed. Where it cannot, looking must not suffer."""
        try:
            return driver.sweep(self._journal.recorded, now_ms)
        except BackendError as fault:
            log.warning("what ended attempts left cannot be swept now: %s", fault)
            return Swept()

    def _forget(self, now_ms: int) -> Swept:
        old = self._journal.forgettable(now_ms - self.settings.keep_ended_ms, self.settings.keep_ended_max, _FORGET_BATCH)
        for attempt in old:
            if isinstance(self._driver, Forgetter):
                self._driver.forget(attempt)
        return Swept(tuple(old), len(old) == _FORGET_BATCH)

    def send_reports(self) -> int:
        """Tell the plane what is due; returns how many attempts it now knows more of. Without a session: nothing."""
        sent = 0
        with self._report_lock:
            while (session := self._session) is not None:
                told = self._book.to_tell(self._batch)
                nodes = None if self._nodes_told else self._nodes
                if not told and nodes is None:
                    break
                sent += self._send(session, told, nodes)
        return sent

    def _send(self, session: Session, told: Sequence[Told], nodes: tuple[Mapping[str, Any], ...] | None) -> int:
        """nodes: the inventory, which may be empty; None: no news of it."""
        reports = tuple(t.report for t in told)
        report = Report(epoch=session.epoch, reports=reports, nodes=nodes or (), inventory=nodes is not None)
        try:
            answer = self._say(self._link.report, report)
        except ApiError as refusal:
            if is_stale(refusal) or refusal.status not in (400, 409, 413, 422):
                raise
            self._refused(refusal, told)
            return 0
        if nodes is self._nodes:
            self._nodes_told = True
        self._book.heard(told, answer.recorded)
        self._batch = min(self._batch * 2, self.settings.report_batch)
        return len(told)

    def _refused(self, refusal: ApiError, told: Sequence[Told]) -> None:
        """Halve until the one that the plane refuses is alone, so that the others arrive."""
        self._batch = max(len(told) // 2, 1)
        if len(told) > 1:
            return
        log.error("the plane refuses a report (%s): %s", refusal, told[0].report.attempt if told else "inventory")
        self._nodes_told = True  # said again when it changes
        for one in told:
            self._book.put_off(one)

    def ship_log(self) -> int | None:
        """Send a slice of one log; the pieces sent, None when there is nothing to do now."""
        session = self._session
        if session is None:
            return None
        try:
            return self._logs.ship_one(session.epoch)
        except ApiError:
            self._lost(session.epoch)
            raise

    def reading(self) -> bool:
        """Whether somebody reads a log."""
        return self._logs.reading()

    def hang_up(self) -> None:
        """End the calls in progress, so that the loops can stop; the link is of no use any more."""
        self._link.close()

    def _say(self, word: Callable[[M], A], message: M) -> A:
        try:
            return word(message)
        except ApiError as refusal:
            if is_stale(refusal):
                self._lost(message.epoch)
            raise

    def _lost(self, epoch: int) -> None:
        """The session with this epoch is over; a later one is left alone."""
        with self._hello_lock:
            if self._session is not None and self._session.epoch == epoch:
                self._session = None

    def _passed(self, since_ms: int, pause_ms: int) -> bool:
        """Whether the pause is over; also when the clock was set back, or nothing happened yet."""
        return since_ms < 0 or not 0 <= self._clock.now_ms() - since_ms < pause_ms


def _head(plain: Mapping[str, Any]) -> Head | None:
    """The signed head in an answer. One that cannot be read is worth nothing as evidence, and no reason to drop the orders."""
    try:
        head = from_plain(Head, plain) if plain else None
    except TypeError:
        head = None
    if head is not None and _is_kept(head):
        return head
    if plain:
        log.warning("the plane sent a head of its event chain that cannot be read")
    return None


def _is_kept(head: Head) -> bool:
    numbers, words = (head.seq, head.at_ms, head.incarnation), (head.hash, head.signature, head.key)
    return all(type(n) is int and 0 <= n < _INT64 for n in numbers) and all(type(w) is str for w in words)
