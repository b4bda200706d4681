"""The fast path for head-of-line policies: a trace on a fleet, every event, in one compiled loop over the scheduler's kernels.

Each queue has nodes of its own (a cell) and an order: nothing passes the first that waits. Ends at a moment are freed before
anything starts at that moment, and all that arrives at a moment has arrived before anything starts. Workers of a job start
together; where a job has a smaller last worker (`rest`), it sits on one more node. No preemption, no limits: it runs as long as
it ran."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.board import Board
from dure.scheduler.kernels.ground import I32, I64, U64, Gang
from dure.scheduler.kernels.heap import pop, push
from dure.scheduler.kernels.index import move
from dure.scheduler.kernels.jit import constant, kernel
from dure.scheduler.kernels.room import ANY, Demand, count_whole, give, take
from dure.scheduler.kernels.seat import fullest, seat

Bool = NDArray[np.bool_]

ONE = constant(1)  # worker
NONE = constant(0)  # of shares, or blocks


class Jobs(NamedTuple):
    """One entry a job, in order of submission. Times in ms; cores in thousandths, memory in MiB, both by worker."""

    submit: I64
    duration: I64
    key: I64  # order within the queue, smallest first, then the lowest row
    queue: I64
    workers: I64
    cores: I64
    memory: I64
    devices: I64
    rest: I64  # devices of one further worker


class Seats(NamedTuple):
    """Where jobs sit: job j on entries `ptr[j]:ptr[j] + used[j]`."""

    ptr: I64
    used: I64
    node: I32
    workers: I64
    devices: I64  # of each of these workers
    taken: U64


def make_seats(jobs: Jobs) -> Seats:
    """Room for as many seats as every job can need at most."""
    most = jobs.workers + (jobs.rest > 0)
    ptr = np.concatenate([[0], np.cumsum(most)]).astype(np.int64)
    total = int(ptr[-1])
    return Seats(
        ptr[:-1], np.zeros(len(most), np.int64), np.zeros(total, np.int32), np.zeros(total, np.int64), np.zeros(total, np.int64),
        np.zeros(total, np.uint64),
    )  # fmt: skip


@kernel
def replay(board: Board, jobs: Jobs, seats: Seats, queues: int) -> I64:
    """When each job starts, ms; -1: never, because it, or what is ahead of it, does not fit into its cell at all."""
    count = len(jobs.submit)
    start = np.full(count, -1, np.int64)
    end_key, end_row, running = np.empty(count, np.int64), np.empty(count, np.int64), 0
    waits_key, waits_row = np.empty(count, np.int64), np.empty(count, np.int64)
    base, waiting = _bases(jobs, queues), np.zeros(queues, np.int64)
    stirred, awake = np.zeros(queues, np.bool_), np.empty(queues, np.int64)
    arrived = 0
    while arrived < count or running > 0:
        now = end_key[0] if running > 0 else jobs.submit[arrived]
        if arrived < count:
            now = min(now, jobs.submit[arrived])
        woken = 0
        while running > 0 and end_key[0] == now:
            job = pop(end_key, end_row, 0, running)
            running -= 1
            leave(board, jobs, seats, job)
            woken = _wake(jobs.queue[job], stirred, awake, woken)
        while arrived < count and jobs.submit[arrived] == now:
            queue = jobs.queue[arrived]
            push(waits_key, waits_row, base[queue], waiting[queue], jobs.key[arrived], arrived)
            waiting[queue] += 1
            if waits_row[base[queue]] == arrived:  # who waits behind another changes nothing
                woken = _wake(queue, stirred, awake, woken)
            arrived += 1
        for i in range(woken):
            queue = awake[i]
            stirred[queue] = False
            while waiting[queue] > 0 and enter(board, jobs, seats, waits_row[base[queue]]):
                job = pop(waits_key, waits_row, base[queue], waiting[queue])
                waiting[queue] -= 1
                start[job] = now
                push(end_key, end_row, 0, running, now + jobs.duration[job], job)
                running += 1
    return start


@kernel
def _bases(jobs: Jobs, queues: int) -> I64:
    base = np.zeros(queues + 1, np.int64)
    for queue in jobs.queue:
        base[queue + 1] += 1
    return np.cumsum(base)


@kernel
def _wake(queue: int, stirred: Bool, awake: I64, woken: int) -> int:
    if stirred[queue]:
        return woken
    stirred[queue] = True
    awake[woken] = queue
    return woken + 1


@kernel
def enter(board: Board, jobs: Jobs, seats: Seats, job: int) -> bool:
    """Seat all of a job now, or nothing of it."""
    first, cell = seats.ptr[job], jobs.queue[job]
    cores, memory, devices = jobs.cores[job], jobs.memory[job], jobs.devices[job]
    node, workers = seats.node[first:], seats.workers[first:]
    found = seat(board, cell, cell + 1, Gang(jobs.workers[job], cores, memory, devices, NONE, NONE), 0, node, workers)
    if found == 0:
        return False
    for i in range(first, first + found):
        seats.devices[i] = devices
        _sit(board, seats, i, cores, memory)
    seats.used[job] = found
    if jobs.rest[job] == 0:
        return True
    rest = jobs.rest[job]
    smaller = Gang(ONE, cores * rest // devices, memory * rest // devices, rest, NONE, NONE)
    last = fullest(board, cell, cell + 1, smaller, 0)
    if last < 0:
        leave(board, jobs, seats, job)
        return False
    i = first + found
    seats.node[i], seats.workers[i], seats.devices[i] = last, 1, jobs.rest[job]
    _sit(board, seats, i, cores * jobs.rest[job] // devices, memory * jobs.rest[job] // devices)
    seats.used[job] = found + 1
    return True


@kernel
def leave(board: Board, jobs: Jobs, seats: Seats, job: int) -> None:
    """Give back all that a job has."""
    devices = jobs.devices[job]
    for i in range(seats.ptr[job], seats.ptr[job] + seats.used[job]):
        cores, memory = jobs.cores[job], jobs.memory[job]
        if seats.devices[i] != devices:
            cores, memory = cores * seats.devices[i] // devices, memory * seats.devices[i] // devices
        node, workers = seats.node[i], seats.workers[i]
        give(board.ground, node, Demand(seats.devices[i] * workers, 0, cores * workers, memory * workers, ANY), seats.taken[i])
        move(board.cells, node, count_whole(board.ground.nodes.whole_free[node]))
    seats.used[job] = 0


@kernel
def _sit(board: Board, seats: Seats, i: int, cores: int, memory: int) -> None:
    node, workers = seats.node[i], seats.workers[i]
    seats.taken[i] = take(board.ground, node, Demand(seats.devices[i] * workers, 0, cores * workers, memory * workers, ANY), -1)
    move(board.cells, node, count_whole(board.ground.nodes.whole_free[node]))
