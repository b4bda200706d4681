"""Who has, uses, borrows and lends how much within quotas, as of the last step: for people. What decides is the plan."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from dure.model.policy import NO_LIMIT
from dure.scheduler import Snapshot
from dure.scheduler.check_quota import Cohorts, cohorts_of
from dure.scheduler.quotas import quota_rows, resource_of


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUse:
    """One resource of one tenant, in thousandths of a device or core. nominal_milli: 0 also where the policy names none and it
    lives on what others lend. used_milli: of an organisation, by all below it. borrowed_milli: beyond what it and those below
    have. lent_milli: of what it has and does not use, what it could not have now, because others use it. available_milli: how
    much more may be used here now."""

    of: str
    resource: str
    nominal_milli: int
    borrow_max_milli: int
    lend_max_milli: int
    used_milli: int
    borrowed_milli: int
    lent_milli: int
    available_milli: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotasAnswer:
    """as_of_ms: the moment of the state that it is about; policy_version: of the policy in force then."""

    as_of_ms: int
    policy_version: int
    items: tuple[QuotaUse, ...]


def answer_quotas(snapshot: Snapshot, visible: Collection[str] | None, project: str = "") -> QuotasAnswer:
    """Tenants that have a quota, from the root down.

    visible: the projects that who asks may see; None: all, and organisations too. project: only it, and those above it. Who asks
    for all that there is gets those that the policy names and those that use something: others only live on what is lent."""
    rows = quota_rows(snapshot.shares, snapshot.projects)
    within = set(rows) if visible is None else {f"project:{id}" for id in visible} & set(rows)
    if project:
        within &= _way(snapshot, rows.get(f"project:{project}", -1))
    named = {q.of for q in snapshot.policy.quotas}
    every = visible is not None or bool(project)
    found = [
        (row, column, use)
        for column, cohorts in cohorts_of(snapshot).items()
        for row, use in _uses(snapshot, cohorts, column, {of: rows[of] for of in within})
        if every or use.of in named or use.used_milli
    ]
    items = tuple(use for _, _, use in sorted(found, key=lambda entry: entry[:2]))
    return QuotasAnswer(as_of_ms=snapshot.now_ms, policy_version=snapshot.policy.version, items=items)


def _way(s: Snapshot, row: int) -> set[str]:
    """What a row and those above it are called."""
    names = {at: of for of, at in quota_rows(s.shares, s.projects).items()}
    found = set()
    while row >= 0:
        found.add(names[row])
        row = int(s.shares.parent[row])
    return found


def _uses(s: Snapshot, cohorts: Cohorts, column: int, rows: dict[str, int]) -> Iterator[tuple[int, QuotaUse]]:
    total = _below(s, column)
    for of, row in rows.items():
        if s.quotas.nominal[row, column] != NO_LIMIT:
            yield (
                row,
                QuotaUse(
                    of=of,
                    resource=resource_of(s.accelerators, column),
                    nominal_milli=int(s.quotas.nominal[row, column]),
                    borrow_max_milli=int(s.quotas.borrow_max[row, column]),
                    lend_max_milli=int(s.quotas.lend_max[row, column]),
                    used_milli=total[row],
                    borrowed_milli=int(cohorts.borrowed(row)),
                    lent_milli=int(cohorts.lent(row)),
                    available_milli=int(max(0, cohorts.available(row))),
                ),
            )


def _below(s: Snapshot, column: int) -> list[int]:
    """What is in use at each row and below it, by those who have to do with a quota there."""
    total: list[int] = s.quotas.used[:, column].tolist()
    for row in range(len(total) - 1, 0, -1):
        if s.quotas.nominal[row, column] != NO_LIMIT:
            total[int(s.shares.parent[row])] += total[row]
    return total
