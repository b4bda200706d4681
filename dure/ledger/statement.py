"""The statement of a project: what each job was quoted, held, paid and given back, what of it is carried, what each award
still has, and whether it adds up.

Every column is summed from transfers of its own kind, none is the difference of others, so that the check at the end can fail.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dure.ledger.book import account_kind, available
from dure.ledger.verify import Finding
from dure.model.funding import Account, Remainder, Transfer, TransferKind, TransferState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """One workload in one currency, all its attempts together. Amounts in whole units. workload "" is a total.

    Exactly, it cost net × 10⁹ + carried_nano nano-units: never less than nothing, however small."""

    workload: str
    currency: str
    attempts: int
    quoted: int  # the most it may cost per attempt, as told at submission; in won
    held: int  # ever held
    pending: int  # of that, held now
    settled: int
    released: int  # voided holds, and what settlements left of theirs
    refunded: int
    net: int  # settled - refunded: what was posted for it in the end
    carried_nano: int  # what it cost beyond `net`; below zero: what others had carried was posted with it
    energy_mwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardLine:
    """One award account. granted + refunded = spent + withdrawn + expired + pending + available."""

    account: str
    currency: str
    granted: int
    refunded: int
    spent: int
    withdrawn: int
    expired: int
    pending: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemainderLine:
    """What has been used at a site and not been posted: less than one unit, carried to the next settlement there."""

    site: str
    currency: str
    nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """jobs by (first posting, workload, currency); totals one per currency; findings empty when everything adds up."""

    jobs: tuple[JobLine, ...]
    totals: tuple[JobLine, ...]
    awards: tuple[AwardLine, ...]
    remainders: tuple[RemainderLine, ...]
    findings: tuple[Finding, ...]


def statement(
    transfers: Iterable[Transfer],
    accounts: Iterable[Account] = (),
    *,
    quotes: Mapping[str, int] | None = None,
    energy: Mapping[str, int] | None = None,
    carried: Mapping[tuple[str, str], int] | None = None,
    remainders: Iterable[Remainder] = (),
) -> Statement:
    """A project's statement.

    transfers: all of the project's. accounts: its awards' (others are passed over). quotes: workload → quoted won; energy:
    workload → milliwatt-hours of all its attempts; carried: (workload, currency) → nano-units that their ends left to be carried
    (`charge_rest_nano` - `refund_rest_nano`); remainders: all of the project's."""
    rows = sorted(transfers, key=lambda t: (t.at_ms, t.id))
    groups: defaultdict[tuple[str, str], list[Transfer]] = defaultdict(list)
    for row in rows:
        if row.workload:
            groups[row.workload, row.currency].append(row)
    rests = carried or {}
    jobs = tuple(_job_line(*key, group, quotes or {}, energy or {}, rests.get(key, 0)) for key, group in groups.items())
    totals = tuple(_total(currency, jobs) for currency in sorted({j.currency for j in jobs}))
    books = sorted((a for a in accounts if account_kind(a.id) == "award"), key=lambda a: a.id)
    awards = tuple(_award_line(account, rows) for account in books)
    findings = [f for line in jobs for f in _job_findings(line)]
    findings += [f for account, line in zip(books, awards, strict=True) for f in _award_findings(account, line)]
    left = tuple(RemainderLine(site=r.site, currency=r.currency, nano=r.nano) for r in sorted(remainders, key=lambda r: r.id))
    findings += _carry_findings(totals, left)
    return Statement(jobs=jobs, totals=totals, awards=awards, remainders=left, findings=tuple(findings))


def _job_line(
    workload: str, currency: str, rows: list[Transfer], quotes: Mapping[str, int], energy: Mapping[str, int], carried_nano: int
) -> JobLine:
    sums = _by_kind(rows)
    settled, refunded = sums[TransferKind.SETTLE], sums[TransferKind.REFUND]
    holds = {r.id: r for r in rows if r.kind == TransferKind.HOLD}
    rests = sum(holds[r.hold].amount - r.amount for r in rows if r.kind == TransferKind.SETTLE and r.hold in holds)
    return JobLine(
        workload=workload,
        currency=currency,
        attempts=len({r.attempt for r in rows}),
        quoted=quotes.get(workload, 0),
        held=sums[TransferKind.HOLD],
        pending=_pending(holds.values()),
        settled=settled,
        released=sums[TransferKind.RELEASE] + rests,
        refunded=refunded,
        net=settled - refunded,
        carried_nano=carried_nano,
        energy_mwh=energy.get(workload, 0),
    )


def _total(currency: str, jobs: Iterable[JobLine]) -> JobLine:
    lines = [j for j in jobs if j.currency == currency]
    names = ("attempts", "quoted", "held", "pending", "settled", "released", "refunded", "net", "carried_nano", "energy_mwh")
    return JobLine(workload="", currency=currency, **{name: sum(getattr(line, name) for line in lines) for name in names})


def _award_line(account: Account, rows: Iterable[Transfer]) -> AwardLine:
    own = [r for r in rows if account.id in (r.debit, r.credit)]
    sums = _by_kind(own)
    return AwardLine(
        account=account.id,
        currency=account.currency,
        granted=sums[TransferKind.AWARD],
        refunded=sums[TransferKind.REFUND],
        spent=sums[TransferKind.SETTLE],
        withdrawn=sums[TransferKind.WITHDRAW],
        expired=sums[TransferKind.EXPIRE],
        pending=_pending(own),
        available=available(account),
    )


def _by_kind(rows: Iterable[Transfer]) -> Counter[TransferKind]:
    sums: Counter[TransferKind] = Counter()
    for row in rows:
        sums[row.kind] += row.amount
    return sums


def _pending(rows: Iterable[Transfer]) -> int:
    return sum(r.amount for r in rows if r.kind == TransferKind.HOLD and r.state == TransferState.PENDING)


def _job_findings(line: JobLine) -> list[Finding]:
    ended = line.pending + line.settled + line.released
    if line.held == ended and line.refunded <= line.settled:
        return []
    facts = {"held": line.held, "pending": line.pending, "settled": line.settled, "released": line.released,
             "refunded": line.refunded}  # fmt: skip
    return [Finding("job_unbalanced", line.workload, facts)]


def _carry_findings(totals: Iterable[JobLine], remainders: Iterable[RemainderLine]) -> list[Finding]:
    """What the jobs left to be carried, against what is carried."""
    left: Counter[str] = Counter()
    for line in remainders:
        left[line.currency] += line.nano
    said = {line.currency: line.carried_nano for line in totals}
    return [
        Finding("carry_unbalanced", currency, {"jobs_nano": said.get(currency, 0), "carried_nano": left[currency]})
        for currency in sorted(said.keys() | left.keys())
        if said.get(currency, 0) != left[currency]
    ]


def _award_findings(account: Account, line: AwardLine) -> list[Finding]:
    came, went = line.granted + line.refunded, line.spent + line.withdrawn + line.expired
    if (came, went, line.pending) == (account.credits_posted, account.debits_posted, account.debits_pending):
        return []
    facts = {"credits": came, "credits_stored": account.credits_posted, "debits": went, "debits_stored": account.debits_posted,
             "pending": line.pending, "pending_stored": account.debits_pending}  # fmt: skip
    return [Finding("award_unbalanced", account.id, facts)]
