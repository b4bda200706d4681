"""Money that comes by itself: an award that opens later, told to who waits because nothing that is open can pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dure.controller.answers import WhyAnswer
from dure.controller.rates import accepted, fewest_amounts
from dure.ledger import available, award_account
from dure.model.funding import Account, Award
from dure.model.money import CURRENCIES
from dure.model.reason import Reason, ReasonKind
from dure.model.workload import WorkloadSpec
from dure.ports import Reader
from dure.scheduler import Basis, NextEvent, NextKind, Snapshot, Why

UNPAID = (ReasonKind.FUNDS_SHORT, ReasonKind.NO_AWARD)


@dataclass(frozen=True, slots=True)
class Opening:
    """award: the one that opens at `at_ms`. enough: with it, and what else is open then, the hold can be paid."""

    award: str
    at_ms: int
    enough: bool


@dataclass(frozen=True, slots=True)
class _Purse:
    award: Award
    available: int

    def pays(self, currency: str, accelerator: str, site: str, at_ms: int) -> bool:
        a = self.award
        rules = a.currency == currency and (not a.sites or site in a.sites)
        return rules and (not a.accelerators or accelerator in a.accelerators) and a.starts_ms <= at_ms < a.expires_ms


def with_opening(answer: WhyAnswer, reader: Reader, snapshot: Snapshot) -> WhyAnswer:
    """The answer, which also tells of the award of the project that opens next and may pay; as it is where money is not what it
    waits for, or none opens."""
    if answer.why is None or answer.reason.kind not in UNPAID:
        return answer
    found = opening(reader, snapshot, answer.workload.project, answer.workload.spec)
    if found is None:
        return answer
    reasons = tuple(_told(r, found) for r in answer.why.reasons)
    sites = tuple((site, _told(r, found)) for site, r in answer.why.sites)
    event = _sooner(answer.why, found, snapshot, answer.workload.project)
    return replace(
        answer, reason=_told(answer.reason, found), why=replace(answer.why, reasons=reasons, sites=sites, next_event=event)
    )


def opening(reader: Reader, snapshot: Snapshot, project: str, spec: WorkloadSpec) -> Opening | None:
    """The award with whose opening the job can be paid; else the first to open that may pay a part of it; else None."""
    purses = _purses(reader, project)
    later = sorted((p.award.starts_ms, p.award.id) for p in purses if p.award.starts_ms > snapshot.now_ms and p.available > 0)
    types = accepted(spec, snapshot.accelerators)
    holds = {a: fewest_amounts(snapshot.policy, spec, a) for a in types}
    sites = [s for s in snapshot.sites.ids if not spec.sites or s in spec.sites]
    useful: list[tuple[int, str]] = []
    for at_ms, id in later:
        if _helps([p for p in purses if p.award.id == id], holds, sites, at_ms):
            useful.append((at_ms, id))
            if _suffices(purses, holds, sites, at_ms):
                return Opening(id, at_ms, enough=True)
    return Opening(useful[0][1], useful[0][0], enough=False) if useful else None


def _purses(reader: Reader, project: str) -> list[_Purse]:
    awards = [a for a in reader.find(Award, {"project": project}) if not a.expired]
    accounts = reader.get_many(Account, [award_account(a.id) for a in awards])
    return [_Purse(a, available(account)) for a in awards if (account := accounts.get(award_account(a.id)))]


def _helps(purses: Sequence[_Purse], holds: Mapping[str, Sequence[int]], sites: Sequence[str], at_ms: int) -> bool:
    return any(total > 0 for total, _ in _payable(purses, holds, sites, at_ms))


def _suffices(purses: Sequence[_Purse], holds: Mapping[str, Sequence[int]], sites: Sequence[str], at_ms: int) -> bool:
    return any(total >= hold for total, hold in _payable(purses, holds, sites, at_ms))


def _payable(
    purses: Sequence[_Purse], holds: Mapping[str, Sequence[int]], sites: Sequence[str], at_ms: int
) -> list[tuple[int, int]]:
    """What is there, and what has to be held, in every way in which it may be paid: one currency, one type, one site."""
    return [
        (sum(p.available for p in purses if p.pays(currency.value, accelerator, site, at_ms)), hold)
        for accelerator, amounts in holds.items()
        for currency, hold in zip(CURRENCIES, amounts, strict=True)
        for site in sites
        if hold >= 0
    ]


def _told(reason: Reason, found: Opening) -> Reason:
    """opens, starts_ms: the award and its first moment. until_ms: only where waiting for it is enough."""
    if reason.kind not in UNPAID:
        return reason
    enough = {"until_ms": found.at_ms} if found.enough else {}
    return Reason(reason.kind, {**reason.facts, "opens": found.award, "starts_ms": found.at_ms, **enough})


def _sooner(why: Why, found: Opening, snapshot: Snapshot, project: str) -> NextEvent | None:
    """What comes first of the opening and of an end of the project's own work, whose hold comes back: nobody else's helps."""
    event = why.next_event
    if event is not None and event.at_ms <= found.at_ms and _own(event, snapshot, project):
        return event
    return NextEvent(NextKind.AWARD_OPENS, found.award, found.at_ms, Basis.AWARD)


def _own(event: NextEvent, snapshot: Snapshot, project: str) -> bool:
    rows = [i for i, workload in enumerate(snapshot.attempts.workloads) if workload == event.workload]
    of = [int(number) for number in snapshot.attempts.project[rows]]
    return any(number >= 0 and snapshot.projects.ids[number] == project for number in of)
