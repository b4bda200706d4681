"""What the agent knows, in memory and in the journal, in step: the journal first, always.

Holds the open attempts only (live, or their end is not recorded); settled ones are looked up in the journal.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dure.agent import attempts
from dure.agent.attempts import Known, Stage, Verdict
from dure.agent.backoff import doubled_ms
from dure.agent.journal import Journal
from dure.agent.settings import AgentSettings
from dure.model.event import Head
from dure.model.link import AttemptReport, Order
from dure.ports import Clock, Observation

MISSING_LOOKS = 3  # one listing may be cut short; three over `vanished_ms` are an answer


@dataclass(slots=True)
class Entry:
    """One open attempt and what is being done about it. Touched under the book's lock alone."""

    known: Known
    stage: Stage
    in_hand: bool = False  # a thread is launching it right now
    due_ms: int = 0  # not launched before
    tries: int = 0
    launched_ms: int = 0  # when the backend took it, in this life
    stop_told: bool = False  # the backend took the stop
    changed: int = 1  # rises with everything that the plane should hear
    sent: int = 0  # what `changed` was when the plane last heard
    sent_ms: int = 0
    told: AttemptReport | None = None  # what the plane last heard
    resends: int = 0  # since the last change: repetitions of an end, refusals of a report
    missing: int = 0  # looks in a row in which the backend did not list it
    missing_ms: int = 0  # of the first of them

    @property
    def live(self) -> bool:
        return not attempts.is_ended(self.known)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a batch of orders led to."""

    fresh: int  # orders that asked for something new
    stops: tuple[str, ...]  # attempts that the backend is to be told to stop


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the backend led to."""

    news: bool  # the plane should hear something
    zombies: tuple[str, ...]  # still run although the plane was told that they ended: they must be stopped


@dataclass(frozen=True, slots=True)
class Told:
    """A report and the state of the entry that it tells of."""

    report: AttemptReport
    changed: int


class Book:
    """Safe from several threads. Never calls the backend or the plane. Raises StoreError when the journal cannot be written; then
    nothing has changed."""

    def __init__(self, journal: Journal, clock: Clock, settings: AgentSettings) -> None:
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._lock = threading.RLock()
        self._entries = {k.attempt: _resumed(k) for k in journal.open_rows()}
        self._to_launch: dict[str, None] = {}  # attempts for `next_launch`, the longest waiting first

    # -- orders

    def accept(self, orders: Sequence[Order], head: Head | None = None) -> Accepted:
        """Journal what is asked, in one commit, and make it ready to be carried out. Stops go before launches."""
        staged: dict[str, Entry] = {}
        stops: list[str] = []
        fresh = 0
        with self._lock:
            for order in sorted(orders, key=lambda o: o.verb != "stop"):
                entry = staged.get(order.attempt) or self._load(order.attempt)
                word = attempts.verdict(order, entry.known if entry else None, entry.stage if entry else Stage.KNOWN)
                new = _obeyed(order, word, entry)
                if new is not None:
                    staged[order.attempt] = new
                fresh += word in (Verdict.LAUNCH, Verdict.STOP, Verdict.TOMBSTONE)
                if word is Verdict.STOP:
                    stops.append(order.attempt)
            changed = [e.known for e in staged.values() if not e.known.recorded and not self._has(e.known)]
            self._journal.put(changed, self._clock.now_ms(), head)
            self._entries.update(staged)
            self._to_launch.update({a: None for a, e in staged.items() if _may_launch(e)})
        return Accepted(fresh, tuple(stops))

    def _has(self, known: Known) -> bool:
        entry = self._entries.get(known.attempt)
        return entry is not None and entry.known == known

    def _load(self, attempt: str) -> Entry | None:
        """A copy, so that a failed commit leaves the book as it was. A settled attempt comes back to be told again."""
        entry = self._entries.get(attempt)
        if entry is not None:
            return replace(entry)
        known = self._journal.get(attempt)
        return None if known is None else _resumed(known)

    # -- launches

    def next_launch(self) -> Order | None:
        """Take an attempt in hand, the longest waiting first. Give it back with `launched`, `refused` or `postpone`."""
        now_ms = self._clock.now_ms()
        with self._lock:
            for attempt in list(self._to_launch):
                entry = self._entries.get(attempt)
                if entry is None or not _may_launch(entry):
                    del self._to_launch[attempt]
                elif entry.due_ms <= now_ms and not entry.in_hand:
                    entry.in_hand = True
                    return entry.known.order
        return None

    def ask(self, attempt: str) -> bool:
        """Called right before the backend is asked. False when a stop came in the meantime: then it must not be."""
        with self._lock:
            entry = self._entries.get(attempt)
            if entry is None or not _may_launch(entry):
                self._put_down(attempt)
                return False
            entry.stage = Stage.ASKED
            return True

    def launched(self, attempt: str, seen: Observation) -> bool:
        """What the backend made of it. True when a stop came in the meantime and is still to be told.

        A running attempt is journaled with the next report: until then the journal says "may have been launched", which is
        as true, and saves a disk write between the order and the report."""
        with self._lock:
            self._put_down(attempt)
            entry = self._entries[attempt]
            entry.launched_ms = self._clock.now_ms()
            known = attempts.folded(entry.known, seen)
            self._change(entry, known, journal=attempts.is_ended(known))
            return entry.live and known.stop is not None

    def refused(self, attempt: str, detail: str) -> None:
        """The site cannot launch it, and its backend was not asked."""
        with self._lock:
            self._put_down(attempt)
            entry = self._entries.get(attempt)
            if entry is not None and entry.live:
                self._change(entry, attempts.rejected(entry.known, detail), journal=True)

    def postpone(self, attempt: str) -> bool:
        """It could not be tried now; if the backend was asked, nobody knows whether it acted. True as in `launched`."""
        with self._lock:
            self._put_down(attempt)
            entry = self._entries.get(attempt)
            if entry is None or not entry.live:
                return False
            pause_ms = doubled_ms(self._settings.retry_ms, self._settings.retry_ms_max, entry.tries)
            entry.due_ms = self._clock.now_ms() + pause_ms
            entry.tries += 1
            self._to_launch[attempt] = None
            return entry.known.stop is not None

    def _put_down(self, attempt: str) -> None:
        self._to_launch.pop(attempt, None)
        if attempt in self._entries:
            self._entries[attempt].in_hand = False

    def launch_pause_ms(self) -> int | None:
        """How long until the next launch that was postponed is due, None when there is none."""
        now_ms = self._clock.now_ms()
        with self._lock:
            queued = [e for a in self._to_launch if (e := self._entries.get(a)) is not None]
            waiting = [e.due_ms for e in queued if _may_launch(e) and not e.in_hand]
        return max(min(waiting) - now_ms, 0) if waiting else None

    def bundles_in_use(self) -> set[str]:
        with self._lock:
            orders = [e.known.order for e in self._entries.values() if e.live]
        return {o.spec.bundle for o in orders if o is not None and o.spec is not None and o.spec.bundle}

    # -- stops

    def stop_of(self, attempt: str) -> Order | None:
        """The stop to tell the backend now. None while the attempt is being launched: whoever launches it tells."""
        with self._lock:
            entry = self._entries.get(attempt)
            return None if entry is None or entry.in_hand or not entry.live else entry.known.stop

    def stop_told(self, attempt: str, order: Order) -> None:
        with self._lock:
            entry = self._entries.get(attempt)
            if entry is not None and entry.known.stop == order:
                entry.stop_told = True

    def stops_due(self) -> list[str]:
        with self._lock:
            stopping = [(a, e) for a, e in self._entries.items() if e.live and e.known.stop is not None]
            return [a for a, e in stopping if not e.stop_told and not e.in_hand]

    # -- observations

    def watched(self) -> list[str]:
        """Attempts that the backend should know of and that have not ended."""
        with self._lock:
            return [a for a, e in self._entries.items() if e.live and not e.in_hand and e.stage is not Stage.QUEUED]

    def observed(self, seen: Sequence[Observation], asked: Iterable[str]) -> Seen:
        """Bring in what the backend says, ends journaled in one commit. asked: those that it should have listed."""
        zombies: list[str] = []
        changes: list[tuple[Entry, Known]] = []
        listed = {o.attempt for o in seen}
        with self._lock:
            for observation in seen:
                entry = self._entries.get(observation.attempt)
                if entry is None:
                    entry = self._strange(observation, zombies)
                elif entry.in_hand:
                    continue
                elif not entry.live and observation.phase != "ended":
                    zombies.append(observation.attempt)
                if entry is not None:
                    changes.append((entry, attempts.folded(entry.known, observation)))
            gone = [self._entries[a] for a in asked if a not in listed and a in self._entries]
            changes += [(entry, self._missed(entry)) for entry in gone]
            self._apply(changes)
            return Seen(any(e.changed > e.sent and e.resends == 0 for e, _ in changes), tuple(zombies))

    def _strange(self, seen: Observation, zombies: list[str]) -> Entry | None:
        """The backend has what the book does not: settled long ago, or from before a lost journal."""
        known = self._journal.get(seen.attempt)
        if known is None:
            return Entry(attempts.found(seen), Stage.KNOWN, changed=0)
        if attempts.is_ended(known) and seen.phase != "ended":
            zombies.append(seen.attempt)
        return None

    def _missed(self, entry: Entry) -> Known:
        """An attempt that the backend did not list although it was asked about it."""
        known, now_ms = entry.known, self._clock.now_ms()
        if entry.in_hand or not entry.live:
            return known
        if known.report is None:  # nothing is said of it, and nothing ever was
            settled = known.stop is not None and entry.stop_told
            return attempts.tombstone(known.stop, known) if settled and known.stop is not None else known
        entry.missing_ms = entry.missing_ms if entry.missing else now_ms
        entry.missing += 1
        lost = entry.missing >= MISSING_LOOKS and not 0 <= now_ms - entry.missing_ms < self._settings.vanished_ms
        return attempts.vanished(known) if lost else known

    def _apply(self, changes: Sequence[tuple[Entry, Known]]) -> None:
        now_ms = self._clock.now_ms()
        durable = [k for e, k in changes if (attempts.is_ended(k) and e.live) or k.attempt not in self._entries]
        self._journal.put(durable, now_ms)
        for entry, known in changes:
            if known.report is not None and known is not entry.known:
                entry.missing = 0
            self._change(entry, known, journal=False)
            self._entries.setdefault(known.attempt, entry)

    def _change(self, entry: Entry, known: Known, *, journal: bool) -> None:
        if journal:
            self._journal.put([known], self._clock.now_ms())
        if entry.changed == 0 or not attempts.same_story(entry.known.report, known.report):
            entry.changed += 1
            entry.resends = 0
        if known.report is not None:
            entry.stage = Stage.KNOWN
        entry.known = known

    # -- what the plane hears

    def live(self) -> bool:
        with self._lock:
            return any(e.live for e in self._entries.values())

    def starting(self, within_ms: int) -> bool:
        """Whether an attempt that was launched so lately is not running yet."""
        now_ms = self._clock.now_ms()
        with self._lock:
            reports = [e.known.report for e in self._entries.values() if 0 <= now_ms - e.launched_ms < within_ms]
        return any(r is not None and r.phase == "launching" for r in reports)

    def busy(self) -> tuple[str, ...]:
        """ "ATTEMPT:VERB" of what is being carried out, or was and the plane has not heard of it yet."""
        words: list[str] = []
        with self._lock:
            for attempt, entry in self._entries.items():
                report = entry.known.report
                under_way = report is None and entry.stage is not Stage.PARKED
                if under_way or (report is not None and (entry.changed > entry.sent or report.phase == "launching")):
                    words.append(f"{attempt}:launch")
                if entry.known.stop is not None:
                    words.append(f"{attempt}:stop")
        return tuple(words)

    def everything(self, settled_max: int, *, slim: bool = False) -> tuple[Told, ...]:
        """For a hello: all open attempts of which there is something to say, the newest first (what a restored plane does not
        know of is new), and then the most lately settled ones, without the workers that nobody needs any more.

        slim: the open ones without theirs too, for where one attempt alone is too long."""
        with self._lock:
            told = [Told(e.known.report, e.changed) for e in self._entries.values() if e.known.report is not None]
            settled = [k.report for k in self._journal.settled(settled_max) if k.attempt not in self._entries]
        told.sort(key=lambda t: t.report.attempt, reverse=True)
        if slim:
            told = [_slim(t) for t in told]
        return (*told, *(_slim(Told(r, 0)) for r in settled if r is not None))

    def untold(self, attempts: Iterable[str]) -> None:
        """The plane has not heard of these in its new session: they are due at once."""
        with self._lock:
            for entry in [self._entries[a] for a in attempts if a in self._entries]:
                entry.sent, entry.told, entry.resends = 0, None, 0

    def to_tell(self, limit: int) -> list[Told]:
        """Reports that are due: news first, then what merely goes on and ends that have to be said again."""
        now_ms = self._clock.now_ms()
        with self._lock:
            due = [e for e in self._entries.values() if e.known.report is not None and self._due(e, now_ms)]
            due.sort(key=lambda e: e.changed <= e.sent)
            return [Told(e.known.report, e.changed) for e in due[:limit] if e.known.report is not None]

    def _due(self, entry: Entry, now_ms: int) -> bool:
        if entry.changed > entry.sent and entry.resends == 0:
            return True
        if entry.live and entry.changed <= entry.sent and entry.known.report == entry.told:
            return False
        s = self._settings
        pause_ms = s.evidence_ms if entry.live else doubled_ms(s.resend_ms, s.resend_ms_max, entry.resends - 1)
        return not 0 <= now_ms - entry.sent_ms < pause_ms  # a clock that was set back makes it due

    def heard(self, told: Iterable[Told], recorded: Iterable[str] = (), *, hello: bool = False) -> None:
        """The plane has these reports. recorded: ends that need not be said again. After a hello ends are said once more:
        its answer does not say whether they are recorded."""
        now_ms = self._clock.now_ms()
        with self._lock:
            entries = [(self._entries.get(t.report.attempt), t) for t in told]
            heard = [(e, t) for e, t in entries if e is not None and (e.live or not hello)]
            self._journal.put((e.known for e, _ in heard if e.live), now_ms)
            for entry, t in heard:
                entry.sent, entry.told, entry.sent_ms = max(entry.sent, t.changed), t.report, now_ms
                entry.resends = 0 if entry.live else entry.resends + 1
            self._settle(recorded, now_ms)

    def put_off(self, told: Told) -> None:
        """The plane refuses this report; others must not wait behind it."""
        with self._lock:
            entry = self._entries.get(told.report.attempt)
            if entry is not None:
                entry.sent_ms = self._clock.now_ms()
                entry.resends += 1

    def _settle(self, recorded: Iterable[str], now_ms: int) -> None:
        done = [self._entries[a] for a in recorded if a in self._entries and not self._entries[a].live]
        if done:
            self._journal.settle([_recorded(e.known) for e in done], now_ms)
        for entry in done:
            del self._entries[entry.known.attempt]

    # -- logs and limits

    def log_ended(self, attempt: str) -> bool:
        """Whether nothing more will be printed: it has ended, or nothing is known of it."""
        with self._lock:
            entry = self._entries.get(attempt)
        if entry is not None:
            return not entry.live
        known = self._journal.get(attempt)
        return known is None or attempts.is_ended(known)

    def overran(self) -> list[Known]:
        with self._lock:
            live = [e.known for e in self._entries.values() if e.live]
            return [k for k in live if attempts.overran(k, self._settings.limit_slack_ms)]


def _resumed(known: Known) -> Entry:
    """An attempt from the journal. What was never reported on may or may not have been launched: the backend will say."""
    return Entry(known, Stage.KNOWN if known.report is not None else Stage.PARKED)


def _may_launch(entry: Entry) -> bool:
    return entry.known.report is None and entry.known.stop is None and entry.stage in (Stage.QUEUED, Stage.ASKED)


def _slim(told: Told) -> Told:
    return replace(told, report=replace(told.report, workers=()))


def _recorded(known: Known) -> Known:
    return replace(known, recorded=True)


def _obeyed(order: Order, word: Verdict, entry: Entry | None) -> Entry | None:
    """The entry after an order; None when the order changes nothing. `entry` is a copy of the book's own."""
    if word is Verdict.LAUNCH:
        # From an earlier life: the backend may have been asked then, so a stop has to go through the backend.
        parked = entry is not None and entry.stage is Stage.PARKED
        return Entry(attempts.launched(order), Stage.ASKED if parked else Stage.QUEUED)
    if word is Verdict.TOMBSTONE:
        known = attempts.tombstone(order, entry.known if entry else None)
        return Entry(known, Stage.KNOWN, in_hand=entry.in_hand if entry else False)
    if entry is None or word is Verdict.IGNORE:
        return None
    if word is Verdict.STOP:
        entry.known = attempts.stopping(entry.known, order)
        entry.stop_told = False
    elif word in (Verdict.REPEAT, Verdict.STALE):
        entry.known = attempts.fenced(entry.known, order)
        entry.changed += 1
        entry.resends = 0
    else:
        entry.known = attempts.fenced(entry.known, order)
    return entry
