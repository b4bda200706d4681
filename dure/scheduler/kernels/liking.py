"""Seats for who starts now by a packing policy, where that is not the fullest node (`seat`).

The rule is the same with the policy's score in the place of fullness: of the nodes that take all workers, that on which it scores
them highest; else those that take most are filled, of equals the higher score of as many as they take, and what remains goes to
the node that takes it and scores it highest. Ties go to the lower node. Several workers on a node are scored as one that wants as
much as all of them; of shares, and of groups that cluster, one is scored. So the workers of a gang sit together, as far as the
devices allow, under every policy."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.board import Board
from dure.scheduler.kernels.fragments import gain_on
from dure.scheduler.kernels.ground import I32, I64, Gang
from dure.scheduler.kernels.jit import kernel, wide
from dure.scheduler.kernels.packed import POLICY, guests_in, minds_fragments, mix_of
from dure.scheduler.kernels.packing import FGD, GPU_CLUSTERING, liked
from dure.scheduler.kernels.room import ANY, Demand, tightest_of
from dure.scheduler.kernels.slots import usable


@kernel
def dislike(board: Board, gang: Gang, workers: int, end: int, nodes: I32, room: I64, found: I64) -> None:
    """Write, by node, the less the higher so many workers score there, or as many as it takes. room: how many that is."""
    policy, mix, guests, left = board.packing[POLICY], mix_of(board.packing), guests_in(board.packing), board.scratch[0]
    for i in range(len(nodes)):
        node, together = wide(nodes[i]), wide(min(room[i], workers))
        if gang.share > 0 or policy == GPU_CLUSTERING:
            together = wide(1)
        demand = _demand(gang, together)
        if gang.share > 0 and minds_fragments(policy):
            usable(board, node, gang.share, board.now, end, True, left)
        found[i] = -liked(policy, board.ground, guests, mix, node, demand, left, wide(0))


@kernel
def _demand(gang: Gang, workers: int) -> Demand:
    return Demand(workers * gang.devices, wide(gang.share), workers * gang.cores, workers * gang.memory, wide(ANY))


@kernel
def place_liked(
    board: Board, gang: Gang, end: int, nodes: I32, room: I64, seat_node: I32, seat_workers: I64
) -> int:  # fmt: skip
    """Seats for all workers on nodes, in their order, that take `room` each; how many, 0: they do not fit."""
    if room.sum() < gang.workers:
        return 0
    least = np.empty(len(nodes), np.int64)
    dislike(board, gang, gang.workers, end, nodes, room, least)
    best = _best(np.arange(len(nodes)), room, least, gang.workers)
    if best >= 0:
        seat_node[0], seat_workers[0] = nodes[best], gang.workers
        return 1
    order = np.argsort(least, kind="mergesort")
    order = order[np.argsort(-room[order], kind="mergesort")]
    left, at = gang.workers, 0
    while room[order[at]] < left:
        seat_node[at], seat_workers[at] = nodes[order[at]], room[order[at]]
        left -= room[order[at]]
        at += 1
    dislike(board, gang, left, end, nodes, room, least)
    seat_node[at], seat_workers[at] = nodes[_best(order[at:], room, least, left)], left
    return at + 1


@kernel
def _best(rows: I64, room: I64, least: I64, workers: int) -> int:
    """Of these rows, that which takes all workers and is least, the lowest of equals; -1: none takes them."""
    best = -1
    for row in rows:
        if room[row] >= workers and (best < 0 or least[row] < least[best] or (least[row] == least[best] and row < best)):
            best = row
    return int(best)


@kernel
def device_liked(board: Board, node: int, gang: Gang, left: I64, devices: int) -> int:
    """The device for one who wants a share and starts now, of those that have enough in `left`: the one with the least left, or
    that which leaves the smallest fragment where the policy minds them."""
    policy = board.packing[POLICY]
    if not minds_fragments(policy):
        return tightest_of(left, 0, devices, gang.share)
    return gain_on(mix_of(board.packing), board.ground, node, _demand(gang, wide(1)), policy == FGD, left, wide(0))[1]
