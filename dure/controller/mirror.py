"""What the controller keeps in memory of the store, so that a snapshot does not have to read it all.

It is loaded once and then follows the sealed events: every event names the records that its transaction touched, and those are
read again. Level-triggered: an event says that something changed, never what it changed to, so a record that is read
twice, or later than the event, does no harm. `columns.py` makes the snapshot of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dure.controller.rates import shortest_ms
from dure.controller.rules import plane_of, policy_of
from dure.ledger import award_account
from dure.model.event import Event
from dure.model.funding import Account, Award
from dure.model.policy import Policy
from dure.model.records import Plane
from dure.model.site import Node, Quarantine, Site
from dure.model.tenancy import Organisation, Project
from dure.model.workload import ATTEMPT_LIVE, Attempt, AttemptState, Workload, WorkloadState
from dure.ports import Reader
from dure.scheduler.snapshot import DEPENDENCY_FAILED, DEPENDENCY_MET, DEPENDENCY_WAITS, FOREVER_MS

FOLLOW_MAX = 2000  # events read at once


@dataclass(frozen=True, slots=True)
class Waiting:
    """A waiting workload, and how far what it depends on has come."""

    workload: Workload
    dependency: int
    failed_on: str = ""  # what it depends on that will never succeed


class Mirror:
    """Records by id, and the place in the event chain up to which they are known."""

    def __init__(self) -> None:
        self.seq = 0
        self._heard: list[Event] = []  # what this process has sealed behind that: it need not be read
        self.plane = Plane()
        self.policy = Policy()
        self.sites: dict[str, Site] = {}
        self.nodes: dict[str, Node] = {}
        self.organisations: dict[str, Organisation] = {}
        self.projects: dict[str, Project] = {}
        self.awards: dict[str, Award] = {}
        self.accounts: dict[str, Account] = {}  # of the awards in `awards`
        self.waiting: dict[str, Waiting] = {}
        self.latest: dict[str, int] = {}  # of those with a deadline: the last moment at which they could start
        self.attempts: dict[str, Attempt] = {}  # live ones
        self.placed: dict[str, Workload] = {}  # workloads of the live attempts, by workload id
        # workload → attempts that may keep it from starting, each with the site whose silence sets it free; "": none does
        self.quarantined: dict[str, dict[str, str]] = {}
        self.strangers: dict[str, Quarantine] = {}  # by attempt: those that hold their places without being live
        self._dependents: dict[str, set[str]] = defaultdict(set)
        self._doomed: set[str] = set()  # of the waiting, those that wait for what will never succeed
        self._come: dict[str, int] = {}  # what waiting workloads depend on → how far it has come
        self._moved: dict[str, None] = {}  # of those, which may have come farther since
        self.changed: Callable[[str, Waiting | None], None] = lambda id, waiting: None  # told of every waiting workload
        self.moved: Callable[[str], None] = lambda id: None  # likewise of attempts, also where their workload has changed
        self.paid: Callable[[str], None] = lambda id: None  # likewise of the accounts of awards
        # How often what snapshots are mostly made of has changed: the nodes, the tree of shares, the awards.
        self.farm, self.tree, self.grants = 0, 0, 0
        self._expiry = (-1, 0)  # as of which grants, and what `first_expiry_ms` was then
        self.used: dict[str, None] = {}  # projects that have ever used anything
        self.reset: Callable[[], None] = lambda: None  # told when all that was derived has to be made anew

    # -- loading -------------------------------------------------------------------------------------------------

    def load(self, reader: Reader) -> None:
        """Forget everything and read what is live."""
        listeners = self.changed, self.moved, self.paid, self.reset
        counts = self.farm, self.tree, self.grants
        self.__init__()  # type: ignore[misc]
        self.changed, self.moved, self.paid, self.reset = listeners
        self.farm, self.tree, self.grants = (count + 1 for count in counts)
        self.plane, self.policy = plane_of(reader), policy_of(reader)
        self.seq = self.plane.sealed_seq
        self.reset()
        for kind in (Site, Node, Organisation, Project, Quarantine):
            self._take_all(reader, kind, reader.find(kind))
        awards = reader.find(Award, {"expired": False})
        self._take_all(reader, Award, awards)
        self._take_all(reader, Account, reader.get_many(Account, [award_account(a.id) for a in awards]).values())
        attempts = reader.find(Attempt, {"state": ATTEMPT_LIVE})
        self._take_all(reader, Attempt, attempts)
        self._take_all(reader, Workload, reader.get_many(Workload, [a.workload for a in attempts]).values())
        self._take_all(reader, Workload, reader.find(Workload, {"state": WorkloadState.WAITING}))

    # -- following -----------------------------------------------------------------------------------------------

    def hear(self, sealed: Sequence[Event]) -> None:
        """These were just sealed, and are stored: `follow` need not read them. Any others it reads."""
        self._heard += sealed

    def follow(self, reader: Reader) -> int:
        """Catch up with the sealed events; how many there were."""
        total = 0
        # the plane's row is read here for everybody: how far to follow, and the signed head, which no event tells of
        self.plane = plane_of(reader)
        while events := self._next_events(reader):
            self.refresh(reader, events)
            self.seq = events[-1].seq
            total += len(events)
        return total

    def _next_events(self, reader: Reader) -> list[Event]:
        heard, self._heard = self._heard[:FOLLOW_MAX], self._heard[FOLLOW_MAX:]
        numbers = [event.seq for event in heard]
        if numbers and numbers[-1] <= self.plane.sealed_seq and numbers == list(range(self.seq + 1, self.seq + 1 + len(heard))):
            return heard
        self._heard = []
        wanted = list(range(self.seq + 1, min(self.plane.sealed_seq, self.seq + FOLLOW_MAX) + 1))
        return reader.find(Event, {"seq": wanted}, order="seq") if wanted else []

    def refresh(self, reader: Reader, events: Iterable[Event]) -> None:
        """Read again every record that these events touched."""
        touched: dict[str, dict[str, None]] = defaultdict(dict)
        for event in events:
            for name in event.touched:
                kind, _, id = name.partition(":")
                touched[kind][id] = None
        for array in touched.pop("Array", {}):
            for workload in reader.find(Workload, {"array_id": array}):
                touched["Workload"][workload.id] = None
        # attempts before workloads: a placed workload is kept for as long as its attempt lives
        for name in sorted(touched, key=lambda n: (n == "Workload", n)):
            if name in KINDS:
                self._reread(reader, KINDS[name], touched[name])
        self._tell_dependents(reader)

    def _reread(self, reader: Reader, kind: type[Any], ids: dict[str, None]) -> None:
        found = reader.get_many(kind, tuple(ids))
        for id in ids:
            if id not in found:
                self._gone(kind, id)
        self._take_all(reader, kind, found.values())

    def _gone(self, kind: type[Any], id: str) -> None:
        if kind is Workload:
            self._forget_waiting(id)

    def refresh_sites(self, reader: Reader) -> None:
        """Heartbeats are no events: read the sites' rows for when they were last heard of."""
        found = {s.id: s for s in reader.find(Site)}
        self.farm += found.keys() != self.sites.keys()
        self.sites = found

    # -- what keeps work from starting ---------------------------------------------------------------------------

    def answers(self, site: str, now_ms: int) -> bool:
        """Whether a site was heard of lately, in this incarnation of the plane."""
        row = self.sites.get(site)
        # a moment in the future is no sign of life: a clock was wrong, and the next word of the agent will mend it
        heard = row is not None and abs(now_ms - row.last_seen_ms) <= self.policy.site_silent_ms
        return heard and row is not None and row.incarnation == self.plane.incarnation

    def held_back(self, workload: str, now_ms: int) -> list[str]:
        """Attempts because of which a workload may not start now: it would run twice.

        One that was attested lost is among them only while its site answers, which was told to stop it and will tell of its end:
        from a site that is silent nobody would ever hear, and it was attested so that the workload need not wait for that."""
        kept = dict(self.quarantined.get(workload, {}))
        return sorted(attempt for attempt, site in kept.items() if not site or self.answers(site, now_ms))

    def first_expiry_ms(self) -> int:
        """When the first award's last day is over; FOREVER_MS: there is none."""
        if self._expiry[0] != self.grants:
            self._expiry = self.grants, min((a.expires_ms for a in self.awards.values()), default=int(FOREVER_MS))
        return self._expiry[1]

    # -- taking one record ---------------------------------------------------------------------------------------

    def _take_all(self, reader: Reader, kind: type[Any], records: Iterable[Any]) -> None:
        take = _TAKERS[kind]
        for row in records:
            take(self, reader, row)

    def _take_plane(self, _: Reader, row: Plane) -> None:
        self.plane = row

    def _take_policy(self, reader: Reader, row: Policy) -> None:
        if row.version > self.policy.version:
            self.policy = row
            self.reset()  # limits and prices may have changed for everything that waits
            for id, waiting in self.waiting.items():
                self._note_latest(waiting.workload)
                self.changed(id, waiting)
            for attempt in self.attempts:
                self.moved(attempt)

    def _take_site(self, _: Reader, row: Site) -> None:
        self.farm += row.id not in self.sites
        self.sites[row.id] = row

    def _take_node(self, _: Reader, row: Node) -> None:
        self.farm += 1
        self.nodes[row.id] = row

    def _take_organisation(self, _: Reader, row: Organisation) -> None:
        self.tree += 1
        self.organisations[row.id] = row

    def _take_project(self, _: Reader, row: Project) -> None:
        old = self.projects.get(row.id)
        self.tree += old is None or (old.organisation, old.weight) != (row.organisation, row.weight)
        self.projects[row.id] = row
        if row.use:
            self.used[row.id] = None

    def _take_award(self, _: Reader, row: Award) -> None:
        self.grants += 1
        if row.expired:
            self.awards.pop(row.id, None)
            self.accounts.pop(award_account(row.id), None)
        else:
            self.awards[row.id] = row

    def _take_account(self, _: Reader, row: Account) -> None:
        if row.id.startswith("award:"):
            self.accounts[row.id] = row
            self.paid(row.id)

    def _take_quarantine(self, _: Reader, row: Quarantine) -> None:
        self.strangers.pop(row.id, None)
        if row.holds_place:
            self.strangers[row.id] = row
        if row.holds_place or not row.resolved:
            self.quarantined.setdefault(row.workload, {})[row.id] = row.site if row.resolved else ""
        elif row.workload in self.quarantined:
            self.quarantined[row.workload].pop(row.id, None)
            if not self.quarantined[row.workload]:
                del self.quarantined[row.workload]

    def _take_attempt(self, reader: Reader, row: Attempt) -> None:
        self.moved(row.id)
        if row.state != AttemptState.ENDED:
            self.attempts[row.id] = row
            return
        if self.attempts.pop(row.id, None) is not None:
            placed = self.placed.get(row.workload)
            if placed is not None and placed.attempt == row.id:
                del self.placed[row.workload]

    def _take_workload(self, reader: Reader, row: Workload) -> None:
        placed = self.placed.get(row.id)
        if placed is not None:
            self.moved(placed.attempt)
        if row.attempt:
            self.moved(row.attempt)
        if row.state == WorkloadState.WAITING:
            self.placed.pop(row.id, None)
            self._note_waiting(reader, row)
            return
        self._forget_waiting(row.id)
        if row.attempt:
            self.placed[row.id] = row
        else:
            self.placed.pop(row.id, None)
            self._moved |= {name: None for name in (row.id, row.array_id) if name in self._come}

    # -- waiting workloads and their dependencies ----------------------------------------------------------------

    def _note_waiting(self, reader: Reader, row: Workload) -> None:
        self._come |= {name: how_far(reader, name) for name in row.spec.depends_on if name not in self._come}
        for dependency in row.spec.depends_on:  # behind what may fail: an interrupted read leaves nobody noted by half
            self._dependents[dependency].add(row.id)
        self._put_waiting(row)

    def _put_waiting(self, row: Workload) -> None:
        codes = [(self._come[d], d) for d in row.spec.depends_on]
        failed_on = next((d for code, d in codes if code == DEPENDENCY_FAILED), "")
        waits = any(code == DEPENDENCY_WAITS for code, _ in codes)
        code = DEPENDENCY_FAILED if failed_on else DEPENDENCY_WAITS if waits else DEPENDENCY_MET
        waiting = Waiting(row, code, failed_on)
        self.waiting[row.id] = waiting
        (self._doomed.add if failed_on else self._doomed.discard)(row.id)
        self._note_latest(row)
        self.changed(row.id, waiting)

    def doomed(self) -> list[Waiting]:
        """Those that wait for what will never succeed."""
        return [self.waiting[id] for id in sorted(self._doomed)]

    def _note_latest(self, row: Workload) -> None:
        if row.spec.deadline_ms:
            self.latest[row.id] = row.spec.deadline_ms - shortest_ms(self.policy, row.spec)

    def _forget_waiting(self, id: str) -> None:
        waiting = self.waiting.pop(id, None)
        self.latest.pop(id, None)
        self._doomed.discard(id)
        if waiting is None:
            return
        for dependency in waiting.workload.spec.depends_on:
            self._dependents[dependency].discard(id)
            if not self._dependents[dependency]:
                del self._dependents[dependency]
                self._come.pop(dependency, None)
        self.changed(id, None)

    def _tell_dependents(self, reader: Reader) -> None:
        """Look once at each dependency of which something has ended; those who wait for it hear when it has come farther."""
        moved, self._moved = self._moved, {}
        for name in moved:
            if name not in self._come:
                continue
            before, self._come[name] = self._come[name], how_far(reader, name)
            if self._come[name] != before:
                for id in sorted(self._dependents[name]):
                    self._put_waiting(self.waiting[id].workload)


_TAKERS: dict[type, Callable[[Mirror, Reader, Any], None]] = {
    Site: Mirror._take_site,
    Node: Mirror._take_node,
    Organisation: Mirror._take_organisation,
    Project: Mirror._take_project,
    Account: Mirror._take_account,
    Award: Mirror._take_award,
    Plane: Mirror._take_plane,
    Policy: Mirror._take_policy,
    Quarantine: Mirror._take_quarantine,
    Attempt: Mirror._take_attempt,
    Workload: Mirror._take_workload,
}

# By the name under which events tell of them.
KINDS: dict[str, type] = {kind.__name__: kind for kind in _TAKERS}


def how_far(reader: Reader, dependency: str) -> int:
    """How far a workload or an array has come: DEPENDENCY_MET, WAITS or FAILED (also when there is no such thing)."""
    row = reader.get(Workload, dependency)
    if row is not None:
        return _ONE.get(row.state, DEPENDENCY_WAITS)
    total = reader.count(Workload, {"array_id": dependency})
    if not total or reader.count(Workload, {"array_id": dependency, "state": _NEVER}):
        return DEPENDENCY_FAILED
    succeeded = reader.count(Workload, {"array_id": dependency, "state": WorkloadState.SUCCEEDED})
    return DEPENDENCY_MET if succeeded == total else DEPENDENCY_WAITS


_NEVER = (WorkloadState.FAILED, WorkloadState.CANCELLED)
_ONE = {WorkloadState.SUCCEEDED: DEPENDENCY_MET, **dict.fromkeys(_NEVER, DEPENDENCY_FAILED)}
