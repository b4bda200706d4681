"""In which order waiting workloads get their turn: priority classes strictly, within a class the tree of shares.

The rule is that of Slurm's Fair Tree (SchedMD, fair_tree.shtml). Siblings are compared by use / weight, smallest first (weight 0:
infinite), equal ones by their oldest workload of this class, then by row; the winner's subtree is entered, down to a leaf, whose
workloads come in the order of their rows. It is progressive: `charge` counts what a workload will use at once, and a leaf keeps
its turn until something was charged. A sibling is compared by what it was worth when it was last put back, at the latest when its
class was entered: what is charged to others than the one whose turn it is counts from then on.

Everything is an array, and what changes are only arrays, so that a copy of them is a copy of the state. What is known of a share
lies side by side in one of them, as each array that a kernel is given costs time at each call. Entering a class costs its leaves
that have workloads times the depth of the tree, and a push onto a heap of siblings for each share below which somebody waits; a
turn costs a pop and a push for each level, or nothing but a step when nothing was charged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.errors import require
from dure.scheduler.kernels.ground import I32, I64
from dure.scheduler.kernels.heap import pop, push
from dure.scheduler.kernels.jit import kernel, wide
from dure.scheduler.kernels.sorting import sort_by

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]

NOBODY = -1
ROWS_MAX = 1 << 31  # of workloads and of shares: an entry of a heap holds one of each
PRIORITY_MAX = 1 << 62

# Columns of `share`. Those from HEAD on change.
PARENT, WEIGHT = 0, 1
BASE = 2  # where the heap of its children begins
SIZE = 3  # how many of its children are in it
HEAD, END = 4, 5  # the stretch of `rows` that still waits for its turn in this class
OLDEST = 6  # first row of a class below it
ENTERED = 7  # the first group of the class that OLDEST is of
_COLUMNS = 8

# Columns of `group`, the workloads of one class and leaf.
_LEAF, _FIRST, _BEHIND = 0, 1, 2  # a stretch of `rows`
_CLASS = 3

SOUND, DISORDERED, NO_LEAF, TOO_URGENT = range(4)
_FAULTS = (
    "", "rows of workloads ascend", "a workload belongs to a leaf of the tree of shares", "a priority is below 2^62",
)  # fmt: skip

_NEXT, _TURN, _CHARGED = (
    0,
    1,
    2,
)  # in `state`: first group of the next class; whose turn it is; whether anything was charged since

_ENTRY_BITS = 32
_SHARE = (1 << _ENTRY_BITS) - 1
_MAGNITUDE = np.int64((1 << 63) - 1)
_LAST = np.float64(np.inf)


class Turns(NamedTuple):
    """Shares are rows of a tree: row 0 is the root, parents come before their children."""

    share: I64  # shape (shares, columns)
    use: F64  # by share, with all below it
    key: I64  # heaps of siblings: what they are worth,
    entry: I64  # and oldest row above share, in one integer, to be compared in this order
    rows: I64  # of workloads: by class, highest first, then by leaf, then by who has to start first, then as they were given
    group: I64  # shape (groups, columns), in that order
    state: I64


def make_turns(
    parent: I64, weight: I64, use: F64, leaf: I64 | I32, priority: I64, rows: I64, latest: I64 | None = None
) -> Turns:  # fmt: skip
    """parent, weight, use: by share, use of leaves (what an inner row is given counts as its own). leaf, priority: by workload.
    rows: the workloads that get a turn, ascending; of one leaf and class those go first that have to start first. latest: by
    when, by workload; None: nobody has to. Nothing that is given is changed or kept."""
    _check(parent, use, leaf, priority, rows)
    lined, group = _lined_up(leaf, priority, rows if latest is None else sort_by(latest, rows), len(parent))
    turns = Turns(
        share=_shares(parent, weight),
        use=use.astype(np.float64),
        key=np.zeros(len(parent), np.int64),
        entry=np.zeros(len(parent), np.int64),
        rows=lined,
        group=group,
        state=np.array([0, NOBODY, 0]),
    )
    sum_up(turns)
    return turns


def _check(parent: I64, use: F64, leaf: I64 | I32, priority: I64, rows: I64) -> None:
    require(len(parent) > 0 and parent[0] == NOBODY, "row 0 of a tree of shares is its root")
    require(bool(((parent[1:] >= 0) & (parent[1:] < np.arange(1, len(parent)))).all()), "parents of shares come before children")
    require(bool(np.isfinite(use).all()), "use is a finite number")
    require(max(len(parent), len(leaf)) <= ROWS_MAX, f"there are at most {ROWS_MAX} shares and workloads")
    inner = np.zeros(len(parent), np.bool_)
    inner[0] = inner[parent[1:]] = True
    fault = _fault(inner, leaf, priority, rows)
    require(fault == SOUND, _FAULTS[fault])


@kernel
def _fault(inner: Bool, leaf: I64 | I32, priority: I64, rows: I64) -> int:
    """Which of `_FAULTS` the first row has that has any. inner: by share, whether it has children."""
    last = wide(NOBODY)
    for row in rows:
        if row <= last:
            return DISORDERED
        if inner[leaf[row]]:
            return NO_LEAF
        if not -PRIORITY_MAX < priority[row] < PRIORITY_MAX:
            return TOO_URGENT
        last = row
    return SOUND


@kernel
def _lined_up(leaf: I64 | I32, priority: I64, rows: I64, shares: int) -> tuple[I64, I64]:
    """The rows by class, highest first, then by leaf, and of one leaf as they stood; and their groups."""
    top, low, key = wide(0), wide(0), np.empty(len(leaf), np.int64)
    for row in rows:
        top, low = max(top, priority[row]), min(low, priority[row])
    if top - low < _MAGNITUDE // shares:  # both in one number, mostly
        for row in rows:
            key[row] = (top - priority[row]) * shares + leaf[row]
        lined = sort_by(key, rows)
    else:
        for row in rows:
            key[row] = leaf[row]
        lined = sort_by(key, rows)
        for row in rows:
            key[row] = top - priority[row]
        lined = sort_by(key, lined)
    group, count = np.empty((len(rows), 4), np.int64), 0
    for at in range(len(lined)):
        row, before = lined[at], lined[max(at - 1, 0)]
        if at == 0 or leaf[row] != leaf[before] or priority[row] != priority[before]:
            group[count, _LEAF], group[count, _FIRST], group[count, _CLASS] = leaf[row], at, top - priority[row]
            count += 1
        group[count - 1, _BEHIND] = at + 1
    return lined, group[:count].copy()


def _shares(parent: I64, weight: I64) -> I64:
    share = np.zeros((len(parent), _COLUMNS), np.int64)
    share[:, PARENT], share[:, WEIGHT], share[:, ENTERED] = parent, weight, NOBODY
    children = np.bincount(parent[1:], minlength=len(parent))
    share[:, BASE] = np.cumsum(children) - children
    return share


@kernel
def sum_up(turns: Turns) -> None:
    """Add to each share all that is used below it."""
    for share in range(len(turns.use) - 1, 0, -1):
        turns.use[turns.share[share, PARENT]] += turns.use[share]


@kernel
def again(turns: Turns, groups: int) -> Turns:
    """The same tree before anybody had a turn, with the first so many of the groups. The caller has written these anew
    (`line_up`), and `rows` and `use`: a step of a simulation costs no more than what waits in it."""
    for share in range(len(turns.use)):
        turns.share[share, SIZE] = turns.share[share, HEAD] = turns.share[share, END] = 0
        turns.share[share, ENTERED] = NOBODY
    turns.state[_NEXT], turns.state[_TURN], turns.state[_CHARGED] = 0, NOBODY, 0
    return Turns(turns.share, turns.use, turns.key, turns.entry, turns.rows, turns.group[:groups], turns.state)


@kernel
def line_up(turns: Turns, group: int, leaf: int, first: int, behind: int, below_top: int) -> None:
    """The workloads of a class and leaf are this stretch of `rows`. Groups stand by class, the highest first, then by leaf."""
    own = turns.group[group]
    own[_LEAF], own[_FIRST], own[_BEHIND], own[_CLASS] = leaf, first, behind, below_top


@kernel
def next_row(turns: Turns) -> int:
    """Row of the workload whose turn it is, -1 when all had theirs."""
    leaf = turns.state[_TURN]
    if leaf == NOBODY or turns.state[_CHARGED] != 0 or turns.share[leaf, HEAD] == turns.share[leaf, END]:
        _ascend(turns)
        if turns.share[0, SIZE] == 0 and turns.state[_NEXT] == len(turns.group):
            return NOBODY
        leaf = _descend(turns)
    turns.share[leaf, HEAD] += 1
    return int(turns.rows[turns.share[leaf, HEAD] - 1])


@kernel
def charge(turns: Turns, leaf: int, amount: float) -> None:
    """Count use that a workload of this leaf is about to make, in the unit of the tree's use; the turn may go to others then."""
    share = leaf
    while share != NOBODY:
        turns.use[share] += amount
        share = turns.share[share, PARENT]
    turns.state[_CHARGED] = 1


@kernel
def _ascend(turns: Turns) -> None:
    """Put what was taken off the heaps back, if anything still waits below it."""
    share = max(turns.state[_TURN], 0)
    while share > 0:
        if turns.share[share, HEAD] < turns.share[share, END] or turns.share[share, SIZE] > 0:
            _put(turns, share)
        share = turns.share[share, PARENT]
    turns.state[_TURN], turns.state[_CHARGED] = NOBODY, 0


@kernel
def _descend(turns: Turns) -> int:
    """Take the first of the siblings off the heap at each level, down to the leaf whose turn it is."""
    if turns.share[0, SIZE] == 0:
        _enter(turns)
    share = 0
    while turns.share[share, HEAD] == turns.share[share, END]:
        entry = pop(turns.key, turns.entry, turns.share[share, BASE], turns.share[share, SIZE])
        turns.share[share, SIZE] -= 1
        share = entry & _SHARE
    turns.state[_TURN] = share
    return share


@kernel
def _enter(turns: Turns) -> None:
    """Queues and heaps of the next class. All heaps are empty now, as nobody of the last class waits for a turn any more."""
    first = turns.state[_NEXT]
    last = first
    while last < len(turns.group) and turns.group[last, _CLASS] == turns.group[first, _CLASS]:
        share, oldest = turns.group[last, _LEAF], turns.rows[turns.group[last, _FIRST]]
        turns.share[share, HEAD], turns.share[share, END] = turns.group[last, _FIRST], turns.group[last, _BEHIND]
        while share > 0 and (turns.share[share, ENTERED] != first or oldest < turns.share[share, OLDEST]):
            turns.share[share, OLDEST], turns.share[share, ENTERED] = oldest, first
            share = turns.share[share, PARENT]
        last += 1
    for group in range(first, last):
        share, oldest = turns.group[group, _LEAF], turns.rows[turns.group[group, _FIRST]]
        while share > 0 and oldest == turns.share[share, OLDEST]:  # each share by the leaf that has its oldest, so once
            _put(turns, share)
            share = turns.share[share, PARENT]
    turns.state[_NEXT] = last


@kernel
def _put(turns: Turns, share: int) -> None:
    """Add a share to the heap of its siblings, under what it is worth now."""
    above = turns.share[share, PARENT]
    entry = (turns.share[share, OLDEST] << _ENTRY_BITS) + share
    key = _key(turns.use[share], turns.share[share, WEIGHT])
    push(turns.key, turns.entry, turns.share[above, BASE], turns.share[above, SIZE], key, entry)
    turns.share[above, SIZE] += 1


@kernel
def _key(use: float, weight: int) -> int:
    """use / weight as an integer of the same order, for heaps hold integers.

    The bits of floats, read as an integer, ascend with floats that are not negative and descend with those that are, and adding
    0.0 leaves one zero of two."""
    bits = np.float64(use / weight + 0.0 if weight > 0 else _LAST).view(np.int64)
    return int(bits if bits >= 0 else bits ^ _MAGNITUDE)


@kernel
def due(workers: int, cores: int, devices: float, core_rate: float, limit: int) -> float:
    """What a gang is about to use by its limit, in normalised core-seconds. cores, devices: per worker."""
    return workers * (cores / 1000 + devices * core_rate) * limit / 1000
