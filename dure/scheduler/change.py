"""What could be changed about a waiting workload, and the snapshot as it would be then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import numpy as np

from dure.errors import require
from dure.model.accelerators import exchange, exchanged_ms
from dure.model.money import round_up
from dure.model.workload import BLOCK, LIMIT_MS_MIN
from dure.scheduler.funds import KRW
from dure.scheduler.rows import picked
from dure.scheduler.snapshot import (
    FOREVER_MS,
    I32,
    I64,
    Alternatives,
    Awards,
    Pending,
    Snapshot,
    frozen,
    unused_shape,
)

Whole = TypeVar("Whole", I64, I32)
HOLD_MAX = (1 << 53) - 1  # more than any award: exchanged, a hold may be more than a column can tell
NUMBERS = ("workers", "cores_milli", "memory_mib", "devices", "share_milli", "limit_ms")


class Rater(Protocol):
    """What must be held to run a demand: one amount a currency, in the order of CURRENCIES; -1 where it cannot be paid.

    The scheduler knows no prices; who knows them passes this, made for one workload. `limit_ms` is the column of Pending: limit
    and grace. priority: name of the class that it is to have, "" for the one that it has."""

    def __call__(
        self, accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int, share_milli: int, limit_ms: int,
        preemptible: bool, priority: str,
    ) -> tuple[int, ...]: ...  # fmt: skip


class NoChange(StrEnum):
    """Why no change is suggested."""

    STARTS_ALREADY = "starts_already"
    NOT_YET = "not_yet"  # a dependency, a pause or draining holds it back, whatever it asks for
    NONE_SUFFICES = "none_suffices"  # no change of one or two of its fields starts it now
    FORBIDDEN_CLASS = "forbidden_class"  # none but a priority class that who asks may not use
    FORBIDDEN_PAIR = "forbidden_pair"  # none but such a class together with one other change
    SEARCH_ENDED = "search_ended"  # the bound on plans was reached before one was found


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New values of some fields; a field with its default stays as it is."""

    all_sites: bool = False
    topology: str = ""  # "any" where it may be spread over topology blocks, "block" where it may not; as `WorkloadSpec.topology`
    accelerators: tuple[str, ...] = ()  # instead of those accepted now
    limit_ms: int = 0  # limit and grace, as in Pending
    memory_mib: int = 0  # per worker, as are cores and devices
    cores_milli: int = 0
    devices: int = 0
    share_milli: int = 0  # of a device, by who has a share now
    workers: int = 0
    workers_min: int = 0  # the fewest that will do
    project: str = ""  # id of another project, by whose share, quota and money it goes then
    funds_won: int = 0  # more won, in an award for all sites and types
    priority: str = ""  # name of a class of the policy
    claims: bool = False  # with it, the workload starts behind victims rather than at once; not itself a change

    def changed(self) -> tuple[str, ...]:
        """Names of the fields that it changes."""
        return tuple(f.name for f in fields(self) if f.name != "claims" and getattr(self, f.name) != f.default)


def apply_change(snapshot: Snapshot, row: int, change: Change, rate: Rater | None = None) -> Snapshot:
    """The snapshot as it would be had the workload in `row` asked for this. Rows keep their numbers.

    What has to be held follows the demand and the class. With a rater it is rated again. Without one it grows and shrinks in
    proportion to workers x limit x the class's price factor, rounded up, and stays for smaller cores, memory and devices: never
    less than the true amount under prices that are linear in time and per worker. Another accelerator needs a rater, as nothing
    here knows its price."""
    require(not change.accelerators or rate is not None, "another accelerator cannot be rated without a rater")
    pending = _pending(snapshot, row, change)
    accelerators = tuple(snapshot.accelerators.index(a) for a in change.accelerators) or _accepted(snapshot, row)
    rated_anew = bool(set(change.changed()) & {*NUMBERS, "accelerators", "priority"})
    awards = _awards(snapshot, int(pending.project[row]), change.funds_won) if change.funds_won else snapshot.awards
    changed = replace(snapshot, pending=frozen(pending), awards=frozen(awards))
    if not rated_anew:
        return changed
    limits = _limits(snapshot, pending, row, change.accelerators)
    holds = _holds(snapshot, pending, row, accelerators, limits, change.priority, rate)
    return _with_alternatives(changed, row, accelerators, holds, limits)


def _with_alternatives(s: Snapshot, row: int, accelerators: tuple[int, ...], holds: I64, limits: list[int]) -> Snapshot:
    """With others for the workload in `row`."""
    low, high = _span(s.pending.alt_ptr, row)
    ptr, old = s.pending.alt_ptr, s.alternatives
    if len(accelerators) != high - low:
        ptr = ptr.copy()
        ptr[row + 1 :] += len(accelerators) - (high - low)
    alternatives = Alternatives(
        np.concatenate([old.accelerator[:low], np.array(accelerators, np.int32), old.accelerator[high:]]),
        np.concatenate([old.hold[:low], holds, old.hold[high:]]),
        np.concatenate([old.limit_ms[:low], np.array(limits, np.int64), old.limit_ms[high:]]),
    )
    return replace(s, pending=frozen(replace(s.pending, alt_ptr=ptr)), alternatives=frozen(alternatives))


def only(snapshot: Snapshot, row: int) -> Snapshot:
    """The snapshot with this workload alone waiting, in row 0."""
    low, high = _span(snapshot.pending.alt_ptr, row)
    old, pending = snapshot.alternatives, picked(snapshot.pending, np.array([row]))
    return replace(snapshot, pending=frozen(pending), alternatives=frozen(picked(old, np.arange(low, high))))


def _pending(s: Snapshot, row: int, change: Change) -> Pending:
    p = s.pending
    columns: dict[str, Any] = {name: _with(getattr(p, name), row, getattr(change, name)) for name in NUMBERS}
    if change.devices:  # of one kind or of the other
        columns["share_milli"] = _with(p.share_milli, row, 0, anyway=True)
    if change.share_milli:
        columns["devices"] = _with(p.devices, row, 0, anyway=True)
    if change.workers_min or (change.workers and p.workers_min[row]):  # one that is not elastic stays so
        fewest = change.workers_min or int(p.workers_min[row])
        columns["workers_min"] = _with(p.workers_min, row, fewest * (fewest < columns["workers"][row]), anyway=True)
    if change.priority:
        found = [c for c in s.policy.classes if c.name == change.priority]
        require(bool(found), f"the policy has no class {change.priority}")
        priority, preempts = p.priority.copy(), p.preempts.copy()
        priority[row], preempts[row] = found[0].value, found[0].preempts
        columns |= {"priority": priority, "preempts": preempts}
    if change.project:
        require(change.project in s.projects.ids, f"there is no project {change.project}")
        columns["project"] = p.project.copy()
        columns["project"][row] = s.projects.ids.index(change.project)
    if change.all_sites:
        low, high = _span(p.site_ptr, row)
        ptr = p.site_ptr.copy()
        ptr[row + 1 :] -= high - low
        columns |= {"site_ptr": ptr, "site_row": np.delete(p.site_row, np.s_[low:high])}
    if change.topology:
        columns["block"] = p.block.copy()
        columns["block"][row] = change.topology == BLOCK
    columns["shape"] = _with(p.shape, row, unused_shape(p))
    return replace(p, **columns)


def _with(column: Whole, row: int, value: int, *, anyway: bool = False) -> Whole:
    """With another value in one row; 0 leaves it as it is, unless it is to be 0 anyway."""
    if not value and not anyway:
        return column
    changed = column.copy()
    changed[row] = value
    return changed


def _accepted(s: Snapshot, row: int) -> tuple[int, ...]:
    accepted: list[int] = s.alternatives.accelerator[slice(*_span(s.pending.alt_ptr, row))].tolist()
    return tuple(accepted)


def _held(s: Snapshot, row: int) -> I64:
    return s.alternatives.hold[slice(*_span(s.pending.alt_ptr, row))]


def _limits(s: Snapshot, new: Pending, row: int, accelerators: tuple[str, ...]) -> list[int]:
    """Limit and grace on each alternative of the changed workload; 0: as long as it says itself.

    One of its own follows the workload's, and as it was rounded up it is never shorter than it would be. accelerators: others
    than it named, of which none is measured but by the policy."""
    low, high = _span(s.pending.alt_ptr, row)
    grace, was, now = int(new.grace_ms[row]), int(s.pending.limit_ms[row]), int(new.limit_ms[row])
    least = s.policy.min_run_ms if new.preempts[row] else LIMIT_MS_MIN
    if accelerators:
        rates = [exchange(s.policy.speeds, accelerators[0], a) for a in accelerators]
    else:
        rates = [(own - grace, was - grace) if own else (1, 1) for own in s.alternatives.limit_ms[low:high].tolist()]
    return [0 if many == one else grace + exchanged_ms(max(now - grace, 1), many, one, least) for many, one in rates]


def _holds(
    s: Snapshot, new: Pending, row: int, accelerators: tuple[int, ...], limits: Sequence[int], priority: str, rate: Rater | None
) -> I64:
    """What must be held for each alternative of the changed workload. limits: as of Alternatives."""
    lasts = [limit or int(new.limit_ms[row]) for limit in limits]
    if rate is not None:
        names = (*s.accelerators, "")
        workers, cores_milli, memory_mib, devices, share_milli, _ = (int(getattr(new, name)[row]) for name in NUMBERS)
        demand, preemptible = (workers, cores_milli, memory_mib, devices, share_milli), bool(new.preemptible[row])
        rated = [rate(names[a], *demand, lasts[i], preemptible, priority) for i, a in enumerate(accelerators)]
        return np.array(rated, np.int64)
    dearer, than = _factors(s, row, priority) if priority else (1, 1)
    over, under = int(new.workers[row]) * dearer, int(s.pending.workers[row]) * than
    was = int(s.pending.limit_ms[row])
    lasted = [own or was for own in s.alternatives.limit_ms[slice(*_span(s.pending.alt_ptr, row))].tolist()]
    held = zip(_held(s, row).tolist(), lasts, lasted, strict=True)
    exchanged = [[round_up(h * over * now, under * was) if h > 0 else h for h in hold] for hold, now, was in held]
    return np.array([[min(h, HOLD_MAX) for h in hold] for hold in exchanged], np.int64)


def _factors(s: Snapshot, row: int, priority: str) -> tuple[int, int]:
    """Price factors of the class asked for and of its own; a row knows its class by the value alone, so the cheapest of that."""
    own = [c.price_permille for c in s.policy.classes if c.value == s.pending.priority[row]]
    return s.policy.class_of(priority).price_permille, max(1, min(own, default=1000))


def _awards(s: Snapshot, project: int, amount: int) -> Awards:
    """The awards and one more: won, for every site and type, never expiring, so that it is drawn on last."""
    a = s.awards
    after = (a.project < project) | ((a.project == project) & (a.currency <= KRW))
    at = int(np.count_nonzero(after))
    return Awards(
        ids=(*a.ids[:at], "", *a.ids[at:]),
        project=np.insert(a.project, at, project),
        currency=np.insert(a.currency, at, KRW),
        available=np.insert(a.available, at, amount),
        expires_ms=np.insert(a.expires_ms, at, FOREVER_MS),
        site_ok=np.insert(a.site_ok, at, True, axis=0),
        accelerator_ok=np.insert(a.accelerator_ok, at, True, axis=0),
    )


def _span(ptr: I32, row: int) -> tuple[int, int]:
    return int(ptr[row]), int(ptr[row + 1])
