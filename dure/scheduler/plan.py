"""What a plan says, in columns. Objects (`Reason`, placements) are made on demand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dure.model.money import CURRENCIES
from dure.model.reason import Reason, ReasonKind
from dure.scheduler.preferences import TASTES
from dure.scheduler.quotas import quota_of, resource_of
from dure.scheduler.snapshot import I32, I64, U64, Bool, Snapshot

# Reason codes of waiting workloads. Facts are four int64 columns, named here in order; a name that ends in
# _site, _accelerator, _project or _workload (pending row) is an index that `reason_of` turns into an id.
WAIT_CODES: tuple[tuple[ReasonKind, tuple[str, ...]], ...] = (
    (ReasonKind.WAITS_FOR_TURN, ("ahead",)),  # fits, but others go first / the depth bound was reached
    (ReasonKind.WAITS_DEPENDENCY, ()),
    (ReasonKind.WAITS_PAUSE, ("until_ms",)),
    (ReasonKind.WAITS_DRAINING, ()),
    (ReasonKind.NO_SITE_ALLOWED, ()),
    (ReasonKind.NO_SITE_REACHABLE, ()),
    (ReasonKind.SITES_DRAINED, ()),
    (ReasonKind.NO_SUCH_ACCELERATOR, ()),
    # no allowed node is large enough for even one worker on an empty farm: which dimension, wanted, largest there is
    (ReasonKind.NODE_TOO_SMALL_CORES, ("wanted_milli", "largest_milli")),
    (ReasonKind.NODE_TOO_SMALL_MEMORY, ("wanted_mib", "largest_mib")),
    (ReasonKind.NODE_TOO_SMALL_DEVICES, ("wanted", "largest")),
    # one worker would fit but not all together, even on an empty site
    (ReasonKind.SITE_TOO_SMALL, ("workers", "workers_fit_empty")),
    # and on an empty site it would, were all of its nodes in use
    (ReasonKind.NODES_OUT, ("workers", "workers_fit_usable")),
    # would fit on an empty site, but now too much is in use: of what is scarcest, wanted by each worker, and the most that is
    # free on one node that has room for the rest of a worker
    (ReasonKind.WAITS_CORES, ("workers", "workers_fit_now", "wanted_milli", "free_milli")),
    (ReasonKind.WAITS_MEMORY, ("workers", "workers_fit_now", "wanted_mib", "free_mib")),
    (ReasonKind.WAITS_DEVICES, ("workers", "workers_fit_now", "wanted", "free")),
    # capacity is there, but is kept for a workload with a promised start
    (ReasonKind.WAITS_RESERVED, ("for_workload", "until_ms")),
    (ReasonKind.FUNDS_SHORT, ("hold", "available", "currency")),
    (ReasonKind.NO_AWARD, ()),  # the project has no open award that may pay for this
    # victims were told to stop for it; it starts when they are gone (only as a decision, never while planning again)
    (ReasonKind.WAITS_VICTIMS, ("victims", "yielding", "reclaimed", "moved")),
    # what it would draw at the meter; what its site may still draw, and from which moment on (now, or when the cap falls)
    (ReasonKind.POWER_SHORT, ("wanted_mw", "free_mw", "from_ms")),
    # the window in which nothing may run there, and before which it would not end
    (ReasonKind.MAINTENANCE, ("from_ms", "until_ms")),
    # by quotas its project may not use so much now: in thousandths, what it wants in all and what is available (0 or more), of
    # which column of Quotas, and whose limit that is: a row of Shares that may borrow no more, or the root when nobody lends more
    (ReasonKind.QUOTA_REACHED, ("wanted_milli", "available_milli", "resource", "quota_of")),
    (ReasonKind.DEVICES_UNDIVIDED, ()),  # it wants a share of a device, and where it may run nobody divides any
    # as WAITS_DEVICES: the share that each worker wants, in thousandths, and the most that is left of one device
    (ReasonKind.WAITS_SHARE, ("workers", "workers_fit_now", "wanted_share_milli", "free_share_milli")),
    (ReasonKind.RULED_OUT, ("taste",)),  # wherever it could run, a bound of the policy's preferences keeps it off: one of them
    # a site would take all workers, but no topology block would, even were everything empty: what the largest takes
    (ReasonKind.BLOCK_TOO_SMALL, ("workers", "workers_fit_block")),
    # a site would take all of them now, but no block has room: what that takes which has most
    (ReasonKind.WAITS_BLOCK, ("workers", "workers_fit_now")),
    (ReasonKind.TOO_LATE, ("deadline_ms", "limit_ms")),  # by its limit, it would not be over by its deadline
)
WAIT_CODE: dict[ReasonKind, int] = {kind: i for i, (kind, _) in enumerate(WAIT_CODES)}
# too much is in use, by dimension: cores, memory, devices, shares of one
CAPACITY = (ReasonKind.WAITS_CORES, ReasonKind.WAITS_MEMORY, ReasonKind.WAITS_DEVICES, ReasonKind.WAITS_SHARE)


@dataclass(frozen=True)
class Plan:
    """A decision for every pending workload: exactly one of start (maybe as a claim behind victims) or wait.

    Starts are grouped with the preemptions that make room for them: a group wins or loses together."""

    start_pending: I32  # row in Pending, one entry a start, in the order in which they were decided
    start_alternative: I32  # row in Alternatives
    start_site: I32
    start_currency: I32  # column of Alternatives.hold that pays
    start_worker_ptr: I32  # CSR into start_node, start_mask
    start_node: I32
    start_mask: U64
    start_victim_ptr: I32  # CSR into victim_attempt; empty run: starts at once
    victim_attempt: I32  # row in Attempts; each appears at most once in a plan
    start_reclaims: Bool  # its victims make room because they use what its project has by its quota
    reserve_pending: I32  # row in Pending of the blocked workloads with a promised start
    reserve_ms: I64  # the promise: rests on limits
    reserve_site: I32
    reserve_alternative: I32  # row in Alternatives
    wait_code: I32  # one entry for every row of Pending; -1: it starts
    wait_facts: I64  # shape (n, 4)
    # where the promises would sit if nothing changed, so that `check` can hold every start against them
    reserve_worker_ptr: I32 = field(default_factory=lambda: np.zeros(1, np.int32))  # CSR into reserve_node, reserve_mask
    reserve_node: I32 = field(default_factory=lambda: np.zeros(0, np.int32))
    reserve_mask: U64 = field(
        default_factory=lambda: np.zeros(0, np.uint64)
    )  # the device of which each has a share; 0: whole ones
    # where victims go on that are moved, and whose places those are from now on; an empty run: it waits again
    victim_place_ptr: I32 = field(default_factory=lambda: np.zeros(1, np.int32))  # CSR into place_*: a run a victim
    place_node: I32 = field(default_factory=lambda: np.zeros(0, np.int32))
    place_mask: U64 = field(default_factory=lambda: np.zeros(0, np.uint64))

    def moved(self, start: int) -> bool:
        """Whether the victims of a start go on elsewhere."""
        first = int(self.start_victim_ptr[start])
        return bool(self.start_victim_ptr[start + 1] > first and self.victim_place_ptr[first + 1] > self.victim_place_ptr[first])


def reason_of(snapshot: Snapshot, plan: Plan, row: int) -> Reason | None:
    """Why the pending workload in `row` waits, or None when the plan starts it."""
    code = int(plan.wait_code[row])
    return None if code < 0 else make_reason(snapshot, code, [int(f) for f in plan.wait_facts[row]])


def make_reason(snapshot: Snapshot, code: int, numbers: list[int]) -> Reason:
    kind, names = WAIT_CODES[code]
    return Reason.of(kind, **{name: _fact(snapshot, name, n) for name, n in zip(names, numbers, strict=False)})


def _fact(snapshot: Snapshot, name: str, number: int) -> int | str:
    if name.endswith("_workload"):
        return snapshot.pending.ids[number]
    if name == "currency":
        return CURRENCIES[number].value
    if name == "resource":
        return resource_of(snapshot.accelerators, number)
    if name == "taste":
        return TASTES[number].value
    return quota_of(snapshot, number) if name == "quota_of" else number
