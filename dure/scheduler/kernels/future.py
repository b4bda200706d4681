"""When a blocked workload starts at the latest, if everything runs to its limit and nothing more important comes.

The first moment at which a gang can start without delaying any promise can only be one at which something leaves. A run of
cells' departures are walked in the order of time. On nodes with neither promises nor claims room only grows, so what has left is
added up there; the others, which are few, are looked at anew at each moment at which they could tip the balance."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.board import KEPT, PROMISES, TENURES, Board, closed_within, promised_then, room_beside, room_until
from dure.scheduler.kernels.ground import I32, I64, WHOLE, Gang
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.power import MORE, NEXT, NONE, UNTIL, Power, leaves_behind, limited, may_draw
from dure.scheduler.kernels.room import count_whole, tightest_of
from dure.scheduler.kernels.seat import emptiness, one_part, parts, place, workers_of
from dure.scheduler.kernels.slots import slots, usable

FOREVER = 1 << 62
FEW = 16  # moments: to put each in its place is quicker than to sort all
ONE = constant(1)  # worker
_ONE, _ZERO = np.uint64(1), np.uint64(0)


@kernel
def departures(board: Board, power: Power, site: int, low: int, high: int, before: int) -> tuple[I64, I32]:
    """Moments `before` one at which something leaves a run of cells of a site, in order, and the tenure that does; -1: the end of
    a promise or of maintenance, or the site may draw more. Those at which somebody leaves it elsewhere are not among them."""
    t, p, index = board.tenures, board.promises, board.cells
    first, last = index.cell.settled[low], index.cell.settled[high]
    most = last - first + board.used[TENURES] - board.settled + board.used[PROMISES] + len(board.closed)
    most += power.site.step[site + 1] - power.site.step[site]
    if limited(power, site):
        most += power.used[MORE]
    end, who, found = np.empty(most, np.int64), np.empty(most, np.int32), 0
    for cell in range(low, high):
        for i in range(index.cell.settled[cell], index.cell.settled[cell + 1]):
            end[found], who[found] = t.end[board.order[i]], board.order[i]
            if end[found] >= before:
                break
            found += 1
    ordered = found  # for one cell
    for cell in range(low, high):
        tenure = index.cell.latest[cell]
        while tenure >= board.settled:  # those of the plan
            end[found], who[found] = t.end[tenure], tenure
            found += end[found] < before
            tenure = t.older[tenure]
    for promise in range(board.used[PROMISES]):  # wherever it is: one moment more does no harm
        end[found], who[found] = p.end[promise], -1
        found += end[found] < before
    for until in board.closed.until:
        end[found], who[found] = until, -1
        found += until < before
    for step in range(power.site.step[site], power.site.step[site + 1]):
        end[found], who[found] = power.step.since[step], -1
        found += end[found] < before
    if limited(power, site):
        i = power.site.more[site]
        while i != NONE:
            end[found], who[found] = power.more[i, UNTIL], -1
            found += end[found] < before
            i = power.more[i, NEXT]
    if high - low > 1:  # ordered cell by cell
        order = np.argsort(end[:found], kind="mergesort")
        return end[:found][order], who[:found][order]
    if found - ordered <= FEW:
        _put_in(end, who, ordered, found)
        return end[:found], who[:found]
    return _merged(end, who, ordered, found)


@kernel
def _merged(end: I64, who: I32, ordered: int, count: int) -> tuple[I64, I32]:
    """Moments of which the first `ordered` are in order, sorted."""
    others = ordered + np.argsort(end[ordered:count], kind="mergesort")
    moments, tenures, one, other = np.empty(count, np.int64), np.empty(count, np.int32), 0, 0
    for at in range(count):
        if other == len(others) or (one < ordered and end[one] <= end[others[other]]):
            moments[at], tenures[at] = end[one], who[one]
            one += 1
        else:
            moments[at], tenures[at] = end[others[other]], who[others[other]]
            other += 1
    return moments, tenures


@kernel
def _put_in(end: I64, who: I32, ordered: int, count: int) -> None:
    """Sort moments of which the first `ordered` are in order."""
    for i in range(ordered, count):
        moment, tenure, at = end[i], who[i], i
        while at > 0 and end[at - 1] > moment:
            end[at], who[at] = end[at - 1], who[at - 1]
            at -= 1
        end[at], who[at] = moment, tenure


@kernel
def earliest(
    board: Board, power: Power, site: int, low: int, high: int, gang: Gang, limit: int, by: int, mw: int
) -> int:  # fmt: skip
    """The first moment before `by` at which all workers could start in a run of cells of a site, stay for `limit` and draw so
    much there; -1: none is known."""
    step, best = parts(gang, low, high), -1
    for part in range(low, high, step):
        at = _earliest(board, power, site, part, part + step, gang, limit, by, mw)
        if at >= 0:
            best = by = at
    return int(best)


@kernel
def _earliest(
    board: Board, power: Power, site: int, low: int, high: int, gang: Gang, limit: int, by: int, mw: int
) -> int:  # fmt: skip
    end, who = departures(board, power, site, low, high, min(by, FOREVER))
    index, t, first = board.cells, board.tenures, board.cells.cell.first[low]
    lasts = board.now if len(end) == 0 else end[-1]
    behind = power.site.gone[site + 1] if limited(power, site) else power.site.gone[site]  # whoever leaves it leaves power
    if len(end) == 0 and behind == power.site.gone[site]:
        return -1
    if behind > power.site.gone[site]:
        lasts = max(lasts, power.gone.at[behind - 1])
    room, fits, mixed, most = _grounds(board, low, high, gang, lasts + limit)
    total, at, moment = fits.sum() + len(mixed), 0, wide(board.now)  # -1 stands for each of the mixed ones
    takes, until = np.empty(len(mixed), np.int64), np.full(len(mixed), -1)  # what those took when last looked at
    while True:
        follows = wide(end[at] if at < len(end) else FOREVER)
        if total + most >= gang.workers:  # then it may be power that is missing
            leaves = leaves_behind(power, site, moment)
            if leaves < behind:
                follows = min(follows, wide(power.gone.at[leaves]))
        moment = follows
        if moment >= min(by, FOREVER):
            return -1
        while at < len(end) and end[at] == moment:
            tenure = who[at]
            at += 1
            if tenure < 0:
                continue
            node = t.node[tenure]
            i = index.cell.first[index.node.cell[node]] + index.node.slot[node] - first
            if fits[i] >= 0:
                room[0, i] += t.cores[tenure]
                room[1, i] += t.memory[tenure]
                room[2, i] += _whole_again(board, tenure)
                if gang.share > 0:
                    now = takes_from(board, wide(node), moment, moment + limit, gang)
                else:
                    now = workers_of((room[0, i], room[1, i], room[2, i]), gang)
                total += now - fits[i]
                fits[i] = now
        if moment > board.now and total + most >= gang.workers:
            sure = total
            for i in range(len(mixed)):
                if sure >= gang.workers:
                    break
                if until[i] <= moment:
                    node = wide(mixed[i])
                    takes[i] = takes_from(board, node, moment, moment + limit, gang)
                    until[i] = _same_until(board, node, moment, limit)
                sure += takes[i]
            if sure >= gang.workers and may_draw(power, site, moment, moment + limit, mw):
                return int(moment)


@kernel
def _same_until(board: Board, node: int, at: int, limit: int) -> int:
    """Until which moment a node takes as much of work that stays for `limit` as at this one: until somebody leaves, or a promise
    begins, ends, or comes within its time."""
    if board.here.closed[node] < board.here.closed[node + 1]:
        return at + 1
    same, tenure, kept = wide(FOREVER), board.here.tenure[node], board.here.kept[node]
    while tenure >= 0:
        end = board.tenures.end[tenure]
        if end > at:
            same = min(same, end)
        tenure = board.tenures.next[tenure]
    while kept >= 0:
        promise = board.seats.promise[kept]
        begins, over = board.promises.at[promise], board.promises.end[promise]
        for moment in (begins - limit + 1, begins, begins + 1, over):
            if moment > at:
                same = min(same, moment)
        kept = board.seats.next[kept]
    return int(same)


@kernel
def _whole_again(board: Board, tenure: int) -> int:
    """How many devices are whole once somebody has left: of those that others have shares of, none who stay longer. Of who leave
    at once, the last one counts."""
    t, left = board.tenures, board.tenures.mask[tenure]
    if t.share[tenure] > 0:
        other = board.here.tenure[t.node[tenure]]
        while other >= 0:
            if t.end[other] > t.end[tenure] or (t.end[other] == t.end[tenure] and other > tenure):
                left &= ~t.mask[other]
            other = t.next[other]
    return count_whole(left)


@kernel
def _grounds(board: Board, low: int, high: int, gang: Gang, lasts: int) -> tuple[I64, I64, I32, int]:
    """What is free now on the nodes of a run and how many workers each takes; -1 for mixed ones, whose future until `lasts` is
    not just growth; those; and no more than how many workers those take when they are empty."""
    index, ground = board.cells, board.ground
    first, last = index.cell.first[low], index.cell.first[high]
    room, fits = np.empty((3, last - first), np.int64), np.empty(last - first, np.int64)
    mixed, found, most = np.empty(last - first, np.int32), 0, 0
    for i in range(last - first):
        node = index.nodes[first + i]
        room[0, i], room[1, i], room[2, i] = ground.nodes.cores_free[node], ground.nodes.memory_free[node], index.node.level[node]
        units = slots(board, wide(node), gang.share, board.now, board.now, True) if gang.share > 0 else room[2, i]
        fits[i] = workers_of((room[0, i], room[1, i], units), gang)
        closes = closed_within(board, wide(node), board.now, lasts)
        if board.here.claimed[node] > 0 or board.here.kept[node] >= 0 or closes:
            units = count_whole(board.here.exists[node]) * (WHOLE // gang.share if gang.share > 0 else 1)
            most += workers_of((ground.nodes.cores[node], ground.nodes.memory[node], units), gang)
            fits[i] = -1
            mixed[found] = node
            found += 1
    return room, fits, mixed[:found], most


@kernel
def room_from(board: Board, node: int, at: int, end: int, share: int) -> tuple[int, int, int]:
    """What work may use on a node that starts at a moment and delays no promise until `end`. share: of a device, that it
    wants, and then how many of these; 0: whole ones."""
    p, seats = board.promises, board.seats
    room, promised = room_until(board, node, at, end), promised_then(board, node, at)
    cores, memory, devices = room[0] - promised[0], room[1] - promised[1], room[2] - promised[2]
    kept = board.here.kept[node]
    while kept >= 0:
        if at <= p.at[seats.promise[kept]] < end:  # one that begins then may be longer, and lack other devices
            room = room_beside(board, node, seats.promise[kept])
            cores, memory, devices = min(cores, room[0]), min(memory, room[1]), min(devices, room[2])
        kept = seats.next[kept]
    return cores, memory, slots(board, node, share, at, end, True) if share > 0 else devices


@kernel
def takes_from(board: Board, node: int, at: int, end: int, gang: Gang) -> int:
    """How many workers of this need a node takes from a moment until another, delaying no promise."""
    if closed_within(board, node, at, end):
        return 0
    return workers_of(room_from(board, node, at, end, gang.share), gang)


@kernel
def seat_then(board: Board, low: int, high: int, gang: Gang, at: int, end: int, seat_node: I32, seat_workers: I64) -> int:
    """Seats for all workers from `at` to `end`, by the rule of `seat`; how many, 0: they do not fit."""
    first, last = board.cells.cell.first[low], board.cells.cell.first[high]
    nodes = np.sort(board.cells.nodes[first:last])
    room, empty = np.empty(len(nodes), np.int64), np.empty(len(nodes), np.int64)
    for i in range(len(nodes)):
        free = room_from(board, wide(nodes[i]), at, end, gang.share)
        closed = closed_within(board, wide(nodes[i]), at, end)
        room[i] = 0 if closed else workers_of(free, gang)
        empty[i] = emptiness(free[2], free[0])
    if gang.block:
        one_part(board, low, high, nodes, room, empty, gang.workers)
    return place(nodes, room, empty, gang.workers, seat_node, seat_workers)


@kernel
def promise(board: Board, pending: int, gang: Gang, at: int, end: int, seat_node: I32, seat_workers: I64) -> None:
    """Keep these seats from `at` to `end`."""
    p, made = board.promises, board.used[PROMISES]
    p.at[made], p.end[made], p.pending[made] = at, end, pending
    p.cores[made], p.memory[made], p.devices[made], p.share[made] = gang.cores, gang.memory, gang.devices, gang.share
    board.used[PROMISES] = made + 1
    left = board.scratch[0]
    for i in range(len(seat_node)):
        node, workers = wide(seat_node[i]), seat_workers[i]
        if gang.share == 0:
            _keep(board, node, _ZERO, workers)
            continue
        devices = usable(board, node, gang.share, at, end, True, left)
        for _ in range(workers):
            device = tightest_of(left, 0, devices, gang.share)
            left[device] -= gang.share
            _keep(board, node, _ONE << np.uint64(device), ONE)


@kernel
def _keep(board: Board, node: int, mask: np.uint64, workers: int) -> None:
    """One seat more, of the promise made last."""
    seats, kept = board.seats, board.used[KEPT]
    seats.promise[kept], seats.node[kept], seats.mask[kept] = board.used[PROMISES] - 1, node, mask
    seats.workers[kept], seats.next[kept] = workers, board.here.kept[node]
    board.here.kept[node] = kept
    board.used[KEPT] = kept + 1
