"""The board of a snapshot: the columns that the kernels work on, and where each site's nodes are in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dure.scheduler.attempts import owners
from dure.scheduler.kernels.board import CLAIMS, HOLDS, LEAVES, Board, Room, make_board
from dure.scheduler.kernels.ground import NODE, Ground, table
from dure.scheduler.kernels.index import make_index
from dure.scheduler.kernels.sit import settle
from dure.scheduler.snapshot import CLAIMED, I32, I64, STOPPING, U64, Snapshot


@dataclass(frozen=True)
class Runs:
    """Where the nodes of a site are that have a type of accelerator: cells `low` up to and without `high`; one cell, or where
    anybody asks for a topology block, one for each, in which a node that is in none has a cell of its own.

    Shape (sites, accelerators + 1); the last column, which is also column -1, is for work that takes any node."""

    low: I64
    high: I64


def board_of(s: Snapshot, ends: I64, room: Room) -> tuple[Board, Runs]:
    """Everybody sits where they sit; nothing is promised yet. ends: of attempts, as in `latest_ends`."""
    nodes, kinds = s.nodes, len(s.accelerators) + 1
    up = nodes.usable & (s.sites.reachable & ~s.sites.drained)[nodes.site]
    key = nodes.site.astype(np.int64) * kinds + nodes.accelerator + 1  # by site, then type; those without devices first
    count = len(nodes.ids)
    part = (
        np.where(nodes.block < 0, count + np.arange(count), nodes.block) if s.pending.block.any() else np.zeros(count, np.int64)
    )
    used, cell = np.unique(key[up] * (2 * count + 1) + part[up], return_inverse=True)
    used //= 2 * count + 1
    cells = np.full(count, -1, np.int32)
    cells[up] = cell
    low, high = _runs(used, len(s.sites.ids), kinds)
    width = device_widths(nodes.device_mask)
    farm = table(NODE, len(nodes.ids))
    farm.site, farm.kind, farm.block, farm.cores, farm.memory = (
        nodes.site,
        nodes.accelerator,
        nodes.block,
        nodes.cores_milli,
        nodes.memory_mib,
    )
    farm.shares = nodes.shares
    farm.cores_free, farm.memory_free, farm.whole_free = nodes.cores_milli, nodes.memory_mib, nodes.device_mask
    device_ptr = np.concatenate([[0], np.cumsum(width)]).astype(np.int64)
    ground = Ground(farm, device_ptr, np.zeros(int(width.sum()), np.int32))
    a, owner = s.attempts, owners(s)
    board = make_board(
        s.now_ms, ground, make_index(ground, cells, len(used)), nodes.device_mask, node=a.worker_node, role=_roles(s)[owner],
        end=ends[owner], mask=a.worker_mask, share=a.share_milli[owner],
        cores=a.cores_milli[owner], memory=a.memory_mib[owner],
        windows=(nodes.closed_ptr, nodes.closed_from_ms, nodes.closed_until_ms), room=room,
    )  # fmt: skip
    settle(board)
    return board, Runs(low, high)


def _roles(s: Snapshot) -> I32:
    a = s.attempts
    role = np.full(len(a.ids), HOLDS, np.int32)
    role[a.state == CLAIMED] = CLAIMS
    role[(a.state == STOPPING) & (a.beneficiary >= 0)] = LEAVES
    return role


def device_widths(masks: U64) -> I64:
    """How many bits each mask is long: its highest one is copied to all below, and those are counted."""
    filled = masks.copy()
    for step in (1, 2, 4, 8, 16, 32):
        filled |= filled >> np.uint64(step)
    return np.bitwise_count(filled).astype(np.int64)


def _runs(used: I64, sites: int, kinds: int) -> tuple[I64, I64]:
    site = np.arange(sites)[:, None] * kinds
    typed = np.searchsorted(used, site + np.arange(1, kinds)[None, :])
    typed_end = np.searchsorted(used, site + np.arange(1, kinds)[None, :], side="right")
    every = np.searchsorted(used, site)
    every_end = np.searchsorted(used, site + kinds)
    return np.concatenate([typed, every], axis=1), np.concatenate([typed_end, every_end], axis=1)
