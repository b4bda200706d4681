"""What the plane answered, in the words of a scenario: short, generated, the same each time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dure.errors import require
from dure.ledger import award_account, statement
from dure.model.calendar import SEOUL, people_text
from dure.model.event import Event
from dure.model.funding import Account, Award, Remainder, Transfer
from dure.model.money import NANO, nano_text
from dure.model.reason import Reason
from dure.model.render import render
from dure.model.workload import Attempt, Outcome, Workload, WorkloadState
from dure.scheduler import reason_of
from dure.simulator.story import GENERATED
from dure.simulator.world import World

MINUTE_MS = 60_000


class Teller:
    """Tells what happened since it was last asked."""

    def __init__(self, world: World, names: Mapping[str, str], midnight_ms: int) -> None:
        self._world, self._midnight_ms = world, midnight_ms
        self._names = names
        self._seen = self._last_seq()

    def _last_seq(self) -> int:
        rows = self._world.store.read(lambda r: r.find(Event, order="seq", descending=True, limit=1))
        return rows[0].seq if rows else 0

    def _fresh(self) -> list[Event]:
        last = self._last_seq()
        numbers = list(range(self._seen + 1, last + 1))
        self._seen = last
        return self._world.store.read(lambda r: r.find(Event, {"seq": numbers}, order="seq")) if numbers else []

    def news(self) -> str:
        """Everything new, as one line; "nothing changes" when there is nothing."""
        return "; ".join(self._phrases(self._fresh())) or "nothing changes"

    def between(self) -> list[str]:
        """Everything new, as generated lines, one for each moment."""
        moments: dict[int, list[Event]] = defaultdict(list)
        for event in self._fresh():
            moments[event.at_ms].append(event)
        told = ((at_ms, self._phrases(events)) for at_ms, events in moments.items())
        return [f"{_clock(at_ms - self._midnight_ms)}   {GENERATED} {'; '.join(p)}" for at_ms, p in told if p]

    def submitted(self, name: str) -> str:
        """What became of a workload that was just submitted, and what else that changed."""
        phrases = self._phrases(self._fresh())
        waiting = [w for w in self._elements(self._names[name]) if w.state == WorkloadState.WAITING]
        if waiting:
            whole = len(waiting) == len(self._elements(self._names[name]))
            which = "waits" if whole and len(waiting) == 1 else f"{len(waiting)} wait"
            phrases.append(f"{which}: {self._waits(waiting[-1])}")
        return "; ".join(phrases)

    def _elements(self, id: str) -> list[Workload]:
        row = self._world.store.read(lambda r: r.get(Workload, id))
        return [row] if row else self._world.store.read(lambda r: r.find(Workload, {"array_id": id}))

    def why(self, id: str) -> str:
        element = self._elements(id)[-1]
        if element.state != WorkloadState.WAITING:
            return f"it is {element.state.value}"
        return self._waits(element)

    def _waits(self, workload: Workload) -> str:
        view = self._world.controller.view()
        require(view is not None, "a story is told by a controller that has stepped")
        assert view is not None  # as just required; for the type checker
        if workload.id not in view.snapshot.pending.ids:  # it came after the last moment of the cadence
            return f"the plane decides at {_clock(self._world.decides_ms() - self._midnight_ms)}"
        row = view.snapshot.pending.ids.index(workload.id)
        reason = reason_of(view.snapshot, view.plan, row)
        told = self.plain(reason) if reason else "it starts"
        promises = dict(zip(view.plan.reserve_pending.tolist(), view.plan.reserve_ms.tolist(), strict=True))
        if row in promises:
            told += f" (promised for {people_text(promises[row], SEOUL)[11:16]})"
        return told

    def plain(self, reason: Reason) -> str:
        """A reason in words, with the story's names for ids."""
        facts = {k: self._name(v) if isinstance(v, str) else v for k, v in reason.facts.items()}
        detail = render(Reason(reason.kind, facts), "en").detail.rstrip(".")
        return detail[0].lower() + detail[1:]

    # -- events as phrases ---------------------------------------------------------------------------------------

    def _phrases(self, events: Iterable[Event]) -> list[str]:
        phrases = [p for e in events if (p := self._phrase(e))]
        return _merged(phrases)

    def _phrase(self, event: Event) -> str:
        if event.kind == "workload.placed":
            return self._placed(event)
        if event.kind == "attempt.launching":
            attempt = self._attempt(event.subject)
            return f"{self._name(attempt.workload)} starts on {_nodes(attempt)}"
        if event.kind == "attempt.ended":
            return self._ended(event)
        name = self._name(event.subject)
        known = {
            "workload.cancelled": f"{name} is cancelled",
            "workload.failed": f"{name} will never start: {self._name(str(event.data.get('on', '')))} did not succeed",
            "site.unknown": f"{event.subject} is unknown, what runs there is left alone",
            "site.returned": f"{event.subject} is back",
            "award.expired": f"{event.data.get('amount', 0):_} won of {event.project} go back to the programme",
        }
        return known.get(event.kind, "")

    def _placed(self, event: Event) -> str:
        name, attempt = self._name(event.subject), self._attempt(event.data["attempt"])
        victims = attempt.victims
        if not victims:
            return f"{name} {'goes on' if attempt.moved_from else 'starts'} on {_nodes(attempt)}"
        makers = ", ".join(self._name(self._attempt(v).workload) for v in victims)
        if event.data.get("moves"):
            return f"{name} is to start when {makers} is elsewhere"
        return f"{name} is to take the place of {makers}" + (", back from borrowed quota" if event.data.get("reclaims") else "")

    def _ended(self, event: Event) -> str:
        name = self._name(event.data["workload"])
        attempt = self._attempt(event.subject)
        charge = event.data["settled"] * NANO + event.data["charge_rest_nano"]
        refund = event.data["refunded"] * NANO + event.data["refund_rest_nano"]
        paid = f"{_amount(charge)} won"
        if refund:
            paid += f", {_amount(refund)} of them refunded"
        words = {
            Outcome.SUCCEEDED: "succeeds",
            Outcome.FAILED: f"fails with exit code {event.data['exit_code']}",
            Outcome.TIMED_OUT: "is ended at its limit",
            Outcome.CANCELLED: "is stopped",
            Outcome.PREEMPTED: "is preempted",
            Outcome.LOST: "is lost with its node",
            Outcome.REJECTED: "cannot be launched",
            Outcome.WITHDRAWN: "gives up its claim",
        }
        how = "leaves its place" if attempt.move.attempt else words[attempt.outcome]
        return f"{name} {how} ({paid})"

    def _attempt(self, id: str) -> Attempt:
        row = self._world.store.read(lambda r: r.get(Attempt, id))
        require(row is not None, f"no attempt {id}")
        assert row is not None  # as just required; for the type checker
        return row

    def _name(self, id: str) -> str:
        """As the story calls it; an element of an array with its number."""
        for name, known in self._names.items():
            if id == known:
                return name
            if id.startswith(f"{known}."):
                return f"{name}.{int(id.rsplit('.', 1)[1])}"
        row = self._world.store.read(lambda r: r.get(Attempt, id))
        return self._name(row.workload) if row else id

    # -- money ---------------------------------------------------------------------------------------------------

    def ledger(self, project: str) -> str:
        """What a tenant's awards have come to."""

        awards = self._world.store.read(lambda r: r.find(Award, {"project": project}))
        accounts = self._world.store.read(lambda r: r.get_many(Account, [award_account(a.id) for a in awards]))
        transfers = self._world.store.read(lambda r: r.find(Transfer, {"project": project}))
        remainders = self._world.store.read(lambda r: r.find(Remainder, {"project": project}))
        told = statement(transfers, accounts.values())
        sums = {
            "held": sum(a.pending for a in told.awards),
            "settled": sum(a.spent for a in told.awards),
            "refunded": sum(a.refunded for a in told.awards),
            "available": sum(a.available for a in told.awards),
        }
        words = [f"{k} {v:_}" for k, v in sums.items()]
        words += [f"carried {_amount(r.nano)}" for r in remainders if r.nano]
        return "; ".join([", ".join(words), *(f.kind for f in told.findings)])


def _amount(nano: int) -> str:
    """As stories write numbers: 3_846.4."""
    return nano_text(nano).replace(",", "_")


def _nodes(attempt: Attempt) -> str:
    return ", ".join(sorted({w.node.rpartition("/")[2] for w in attempt.workers}))


def _clock(ms: int) -> str:
    minutes, rest = divmod(ms, MINUTE_MS)
    seconds = f":{rest // 1000:02d}" if rest else ""
    return f"{minutes // 60:02d}:{minutes % 60:02d}{seconds}"


def _merged(phrases: list[str]) -> list[str]:
    """Elements of one array that do the same are told once: "sweep.0, sweep.1 succeed" would be a wall of words."""
    groups: dict[tuple[str, str], list[str]] = {}
    for phrase in phrases:
        subject, _, rest = phrase.partition(" ")
        array, dot, _ = subject.rpartition(".")
        key = (array, rest) if dot else (subject, rest)
        groups.setdefault(key, []).append(subject)
    return [
        f"{names[0]} {rest}" if len(names) == 1 else f"{head}: {len(names)} × {rest}" for (head, rest), names in groups.items()
    ]
