"""Who runs where: how a start becomes an attempt on the board that stays between steps, and how it leaves; kernels of the fast
path.

A plan has its tenures by cell and end in `Board.order`; here that order is kept as they come and go. The board's `settled` is the
length of the table, so all that are there count as settled; `used[TENURES]` is that too, but while a job is seated, when it says
where the job's own tenures begin."""

from __future__ import annotations

from dure.scheduler.attempts import OVERDUE_MS
from dure.scheduler.kernels.board import HOLDS, TENURES, Board
from dure.scheduler.kernels.ground import I64, column
from dure.scheduler.kernels.heap import push
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.sit import settle_node
from dure.simulator.trial.columns import HEAP, LIVE, NOW, NUMBER, STRETCHES, Track

_FROM, _PAST = constant(0), constant(1)


@kernel
def attempt_of(row: int) -> int:
    return 2 * row


@kernel
def saved_since(track: Track, row: int) -> int:
    """From when on work of a running job would be lost if it left now."""
    jobs, now = track.jobs, track.tally[NOW]
    if track.way.resumes:
        return int(now)
    every = jobs.checkpoint[row]
    return int(jobs.started[row] + ((now - jobs.started[row]) // every * every if every > 0 else 0))


@kernel
def lasts_until(track: Track, row: int) -> int:
    """When a running job is gone at the latest."""
    return int(max(track.jobs.started[row] + track.limit[row], track.tally[NOW] + OVERDUE_MS))


# -- the order of tenures ------------------------------------------------------------------------------------------------------


@kernel
def _until(board: Board, cell: int, end: int, past: int) -> int:
    """The first of a cell's tenures that ends at a moment or later; past 1: later."""
    low, high = board.cells.cell.settled[cell], board.cells.cell.settled[cell + 1]
    while low < high:
        middle = (low + high) // 2
        at = board.tenures.end[board.order[middle]]
        if at < end + past:
            low = middle + 1
        else:
            high = middle
    return int(low)


@kernel
def order_in(board: Board, tenure: int) -> None:
    cells, order = board.cells, board.order
    cell = wide(cells.node.cell[board.tenures.node[tenure]])
    last = len(cells.cell) - 1
    at = _until(board, cell, board.tenures.end[tenure], _PAST)
    for i in range(cells.cell.settled[last], at, -1):
        order[i] = order[i - 1]
    order[at] = tenure
    for behind in range(cell + 1, last + 1):
        cells.cell.settled[behind] += 1


@kernel
def order_out(board: Board, tenure: int) -> None:
    cells, order = board.cells, board.order
    cell = wide(cells.node.cell[board.tenures.node[tenure]])
    last = len(cells.cell) - 1
    at = _until(board, cell, board.tenures.end[tenure], _FROM)
    while order[at] != tenure:
        at += 1
    for i in range(at, cells.cell.settled[last] - 1):
        order[i] = order[i + 1]
    for behind in range(cell + 1, last + 1):
        cells.cell.settled[behind] -= 1


@kernel
def put_off(board: Board, now: int) -> None:
    """Who is there beyond the latest end is expected to be gone soon, and again at each step: a cell's first ones, which stay its
    first."""
    cells, soon = board.cells, now + OVERDUE_MS
    for cell in range(len(cells.cell) - 1):
        at = cells.cell.settled[cell]
        while at < cells.cell.settled[cell + 1] and board.tenures.end[board.order[at]] < soon:
            board.tenures.end[board.order[at]] = soon
            at += 1


# -- starting ------------------------------------------------------------------------------------------------------------------


@kernel
def clear_place(board: Board, ptr: I64, row: int) -> None:
    """The next tenures on the board are those of this job. ptr: of attempts, into the tenures."""
    board.used[TENURES] = ptr[attempt_of(row)]


@kernel
def seated(track: Track, board: Board, ptr: I64, row: int, site: int, kind: int) -> None:
    """A turn has given it a place: it runs from now on, behind others or not."""
    tally, jobs, now, last = track.tally, track.jobs, track.tally[NOW], board.used[TENURES]
    jobs.harms[row] = jobs.own[row] = False
    ptr[attempt_of(row) + 1] = last
    for tenure in range(ptr[attempt_of(row)], last):
        order_in(board, tenure)
    board.used[TENURES] = board.settled
    jobs.site[row], jobs.kind[row] = site, kind
    jobs.live[row], jobs.started[row], jobs.finish[row] = True, now, now + jobs.left[row]
    if jobs.start[row] < 0:
        jobs.start[row] = now
    _weigh(track, row, kind)
    track.live[tally[LIVE]] = row
    tally[LIVE] += 1
    jobs.number[row] = tally[NUMBER]
    tally[NUMBER] += 1
    push(track.heap_key, track.heap_row, 0, tally[HEAP], jobs.finish[row], row)
    tally[HEAP] += 1


@kernel
def _weigh(track: Track, row: int, kind: int) -> None:
    """Added up as the columns of a snapshot are: floats are the same only in the same order."""
    classes, c, worth = track.classes, track.jobs.klass[row], 0.0
    own = classes.cores[c] / 1000 + classes.devices[c] * track.core_rate[column(kind, len(track.core_rate))]
    track.jobs.rate[row] = classes.workers[c] * own
    for _ in range(classes.workers[c]):
        worth += own
    track.jobs.worth[row] = worth


# -- leaving -------------------------------------------------------------------------------------------------------------------


@kernel
def place_of(track: Track, row: int) -> int:
    """Where a running job stands in `live`."""
    low, high, number = 0, track.tally[LIVE], track.jobs.number[row]
    while low < high:
        middle = (low + high) // 2
        if track.jobs.number[track.live[middle]] < number:
            low = middle + 1
        else:
            high = middle
    return int(low)


@kernel
def leave(track: Track, board: Board, ptr: I64, row: int, at: int) -> None:
    """A job is gone, and its place is free; who settles what it used is `settle_use`."""
    jobs, tally, started = track.jobs, track.tally, track.jobs.started[row]
    if at > started or jobs.finish[row] == started:  # a job of no length has been there
        made, s = tally[STRETCHES], track.stretches
        s.job[made], s.since[made], s.until[made], s.site[made], s.kind[made] = row, started, at, jobs.site[row], jobs.kind[row]
        s.limit[made], s.harms[made], s.own[made] = track.limit[row], jobs.harms[row], jobs.own[row]
        tally[STRETCHES] += 1
    jobs.attained[row] += (at - started) * jobs.width[row]
    jobs.live[row] = False
    for tenure in range(ptr[attempt_of(row)], ptr[attempt_of(row) + 1]):
        order_out(board, tenure)
        _unchain(board, tenure)
        settle_node(board, wide(board.tenures.node[tenure]))
    for i in range(place_of(track, row), tally[LIVE] - 1):
        track.live[i] = track.live[i + 1]
    tally[LIVE] -= 1


@kernel
def _unchain(board: Board, tenure: int) -> None:
    node, following = board.tenures.node[tenure], board.tenures.next[tenure]
    before = board.here.tenure[node]
    if before == tenure:
        board.here.tenure[node] = following
        return
    while board.tenures.next[before] != tenure:
        before = board.tenures.next[before]
    board.tenures.next[before] = following


@kernel
def settle_use(track: Track, row: int, at: int, least: int) -> None:
    """As it ends: what its tenant used before counts less, and what it used counts. least: what made others leave is charged so
    much of run time."""
    jobs, tenant = track.jobs, track.tenants[track.jobs.tenant[row]]
    ran = at - jobs.started[row]
    if jobs.harms[row]:
        ran = max(ran, least)
    tenant.use = decayed(track, tenant.use, at - tenant.use_ms) + jobs.rate[row] * ran / 1000
    tenant.use_ms = at


@kernel
def decayed(track: Track, use: float, age_ms: int) -> float:
    """As `controller.lifecycle` has it."""
    return float(use * track.way.half ** (max(0, age_ms) / track.way.half_life_ms))


@kernel
def claims_over(board: Board, ptr: I64, row: int) -> None:
    """What a job claimed is its own, and nobody makes room any more on its nodes."""
    for tenure in range(ptr[attempt_of(row)], ptr[attempt_of(row) + 1]):
        board.tenures.role[tenure] = HOLDS
        board.here.claimed[board.tenures.node[tenure]] = 0


@kernel
def sort_by(key: I64, rows: I64, merged: I64, count: int) -> None:
    """Sort the first so many of these jobs by a column, by merging runs of twice the length each time; equal ones stay as they
    stand. merged: scratch."""
    length = 1
    while length < count:
        for first in range(0, count, 2 * length):
            middle, behind = min(first + length, count), min(first + 2 * length, count)
            one, other = first, middle
            for at in range(first, behind):
                if other < behind and (one >= middle or key[rows[other]] < key[rows[one]]):
                    merged[at] = rows[other]
                    other += 1
                else:
                    merged[at] = rows[one]
                    one += 1
        for at in range(count):
            rows[at] = merged[at]
        length *= 2
