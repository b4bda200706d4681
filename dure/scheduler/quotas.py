"""From the quotas of a policy to columns over the tree of shares, and what is in use there.

A policy names few rows; what counts for the others, in one resource:

* **below a row that has a quota**, a row without one has a nominal quota of 0: it lives on what that one and its relatives lend.
  Otherwise an organisation's quota would bind none of its projects.
* **above a row that has a quota**, a row without one has a nominal quota of 0 too: it is no pool of its own, and passes on what
  those below lend each other. Otherwise they would borrow from it without end.
* **every other row** has none (`NO_LIMIT`), and nothing limits it.

So as soon as one organisation or project has a quota in a resource, the root has one of 0 in it, and all who have a quota lend to
each other as far as their limits let them. A quota of the root, "*", makes all rows part of that.

A quota of an organisation or project that is not there, and of a type that nothing has, counts nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dure.model.policy import NO_LIMIT, WHOLE_FARM, Quota
from dure.scheduler.snapshot import I32, I64, Attempts, Bool, Nodes, Projects, Quotas, Shares, Snapshot, devices_milli

CORE, DEVICE, ANY_DEVICE = "core", "device:", "device:*"
MILLI = 1000  # thousandths of a device


def no_quotas(rows: int, accelerators: int) -> Quotas:
    """For a tree of so many rows: nothing is limited, and nobody counts what is used."""
    shape = (rows, accelerators + 1)
    nominal, borrow_max, lend_max = (np.full(shape, NO_LIMIT, np.int64) for _ in range(3))
    return Quotas(nominal, borrow_max, lend_max, np.zeros(shape, np.int64))


def quotas_of(given: Sequence[Quota], shares: Shares, projects: Projects, accelerators: Sequence[str], used: I64) -> Quotas:
    """The columns of a policy's quotas. used: see `use_of`. Of two quotas for the same row and resource the later counts."""
    found = no_quotas(len(shares.ids), len(accelerators))
    if given:
        rows, columns = quota_rows(shares, projects), _columns(accelerators)
        known = sorted((q for q in given if q.of in rows), key=lambda q: q.resource != ANY_DEVICE)  # what is named goes over it
        cells = [(rows[q.of], column, q) for q in known for column in columns.get(q.resource, ())]
        at = [row for row, _, _ in cells], [column for _, column, _ in cells]
        found.nominal[at] = [q.nominal_milli for _, _, q in cells]
        found.borrow_max[at] = [q.borrow_max_milli for _, _, q in cells]
        found.lend_max[at] = [q.lend_max_milli for _, _, q in cells]
        found.nominal[_joined(found.nominal != NO_LIMIT, shares.parent) & (found.nominal == NO_LIMIT)] = 0
    return Quotas(found.nominal, found.borrow_max, found.lend_max, used)


def quota_rows(shares: Shares, projects: Projects) -> Mapping[str, int]:
    """What `Quota.of` may name → its row of Shares."""
    leaves = projects.share.tolist()
    inner = sorted(set(range(1, len(shares.ids))) - set(leaves))
    named = {f"organisation:{shares.ids[row]}": row for row in inner}
    return {WHOLE_FARM: 0, **named, **{f"project:{id}": row for id, row in zip(projects.ids, leaves, strict=True)}}


def quota_of(snapshot: Snapshot, row: int) -> str:
    """What a row of Shares is called in `Quota.of`."""
    if row == 0:
        return WHOLE_FARM
    kind = "project" if row in snapshot.projects.share else "organisation"
    return f"{kind}:{snapshot.shares.ids[row]}"


def resource_of(accelerators: Sequence[str], column: int) -> str:
    """What a column of Quotas is called in `Quota.resource`."""
    return CORE if column == len(accelerators) else DEVICE + accelerators[column]


def use_of(attempts: Attempts, nodes: Nodes, projects: Projects, rows: int, accelerators: int) -> I64:
    """What everybody uses in a tree of so many rows, by leaf and resource: whatever is told to stop or claimed counts as well.
    Work of projects that are not known counts for nobody."""
    used = np.zeros((rows, accelerators + 1), np.int64)
    known = attempts.project >= 0
    leaf, uses = projects.share[attempts.project[known]], uses_of(attempts, nodes, accelerators)[known]
    for resource in range(accelerators + 1):
        np.add.at(used[:, resource], leaf, uses[:, resource])
    return used


def uses_of(attempts: Attempts, nodes: Nodes, accelerators: int) -> I64:
    """What each attempt uses of each resource; shape (attempts, accelerators + 1)."""
    uses = np.zeros((len(attempts.ids), accelerators + 1), np.int64)
    count = attempts.worker_ptr[1:] - attempts.worker_ptr[:-1]
    uses[:, accelerators] = attempts.cores_milli * count
    kind = nodes.accelerator[attempts.worker_node]
    has = kind >= 0
    owner = np.arange(len(count)).repeat(count)[has]
    # by place in the table as it lies in memory: numpy adds twice as fast along one dimension
    np.add.at(uses.reshape(-1), owner * (accelerators + 1) + kind[has], devices_milli(attempts)[has])
    return uses


def _columns(accelerators: Sequence[str]) -> Mapping[str, Sequence[int]]:
    """Resource → columns of Quotas."""
    single = {resource_of(accelerators, column): (column,) for column in range(len(accelerators) + 1)}
    return {**single, ANY_DEVICE: range(len(accelerators))}


def _joined(quota: Bool, parent: I32) -> Bool:
    """Rows that have a quota, and all above and below them."""
    at = np.where(parent < 0, np.arange(len(parent)), parent)
    below, above = quota.copy(), quota.copy()
    grown = True
    while grown:  # by a level of the tree each time
        before = int(below.sum() + above.sum())
        below |= below[at]
        np.logical_or.at(above, at, above)
        grown = int(below.sum() + above.sum()) > before
    return below | above
