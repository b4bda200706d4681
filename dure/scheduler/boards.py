"""The board of a snapshot: the columns that the kernels work on, and where each site's nodes are in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dure.scheduler.kept import kept
from dure.scheduler.kernels.board import CLAIMS, HOLDS, LEAVES, Board, Room, make_board
from dure.scheduler.kernels.ground import NODE, Ground, copied, table
from dure.scheduler.kernels.index import Index, make_index
from dure.scheduler.kernels.sit import settle
from dure.scheduler.packings import packing_of
from dure.scheduler.snapshot import CLAIMED, I32, I64, STOPPING, U64, Bool, Snapshot


@dataclass(frozen=True)
class Runs:
    """Where the nodes of a site are that have a type of accelerator: cells `low` up to and without `high`; one cell, or where
    anybody asks for a topology block, one for each, in which a node that is in none has a cell of its own.

    Shape (sites, accelerators + 1); the last column, which is also column -1, is for work that takes any node."""

    low: I64
    high: I64


class Empty(NamedTuple):
    """A farm on which nobody sits, to be copied before anybody does."""

    ground: Ground
    cells: Index
    runs: Runs


def board_of(s: Snapshot, ends: I64, by_end: I64, room: Room) -> tuple[Board, Runs]:
    """Everybody sits where they sit; nothing is promised yet. ends: of attempts, as in `latest_ends`; by_end: they by those."""
    n, a = s.nodes, s.attempts
    farm = _empty(
        n.site, n.accelerator, n.block, n.cores_milli, n.memory_mib, n.device_mask, n.usable, n.shares, s.sites.reachable,
        s.sites.drained, len(s.accelerators) + 1, bool(s.pending.block.any()),
    )  # fmt: skip
    ground, index = farm.ground, farm.cells
    board = make_board(
        s.now_ms, ground._replace(nodes=copied(ground.nodes), share_free=ground.share_free.copy()),
        index._replace(
            node=copied(index.node), cell=copied(index.cell), cores=index.cores.copy(), bits=index.bits.copy(),
            size=index.size.copy(),
        ),
        n.device_mask, ptr=a.worker_ptr, node=a.worker_node, mask=a.worker_mask, role=_roles(s), end=ends,
        share=a.share_milli, cores=a.cores_milli, memory=a.memory_mib, by_end=by_end,
        windows=(n.closed_ptr, n.closed_from_ms, n.closed_until_ms), room=room, packing=packing_of(s),
    )  # fmt: skip
    settle(board)
    return board, farm.runs


@kept
def _empty(
    site: I32, kind: I32, block: I32, cores: I64, memory: I64, devices: U64, usable: Bool, shares: Bool, reachable: Bool,
    drained: Bool, kinds: int, blocks: bool,
) -> Empty:  # fmt: skip
    """blocks: whether anybody asks for one."""
    count, up = len(site), usable & (reachable & ~drained)[site]
    key = site.astype(np.int64) * kinds + kind + 1  # by site, then type; those without devices first
    part = np.where(block < 0, count + np.arange(count), block) if blocks else np.zeros(count, np.int64)
    used, cell = np.unique(key[up] * (2 * count + 1) + part[up], return_inverse=True)
    used //= 2 * count + 1
    cells = np.full(count, -1, np.int32)
    cells[up] = cell
    low, high = _runs(used, len(reachable), kinds)
    width = device_widths(devices)
    farm = table(NODE, count)
    farm.site, farm.kind, farm.block, farm.cores, farm.memory, farm.shares = site, kind, block, cores, memory, shares
    farm.cores_free, farm.memory_free, farm.whole_free = cores, memory, devices
    device_ptr = np.concatenate([[0], np.cumsum(width)]).astype(np.int64)
    ground = Ground(farm, device_ptr, np.zeros(int(width.sum()), np.int32))
    return Empty(ground, make_index(ground, cells, len(used)), Runs(low, high))


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
