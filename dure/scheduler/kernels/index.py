"""Which nodes have how much free, found without looking at all of them.

Nodes are kept in cells (the nodes of one accelerator type at one site), and within a cell by level: how many of a node's devices
are wholly free. A level is a set of bits over the nodes of the cell, so what is found depends on what is free and never on what
happened before; walking a level visits its nodes in their order. A search costs the size of one level, mostly, instead of that of
the fleet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dure.scheduler.kernels.ground import I32, I64, U64, Ground
from dure.scheduler.kernels.jit import kernel

WORD = 64
LEVELS = 65  # 0 to 64 devices wholly free

_ONE, _ZERO = np.uint64(1), np.uint64(0)
_HALVES = (
    (np.uint64(0xFFFFFFFF), 32),
    (np.uint64(0xFFFF), 16),
    (np.uint64(0xFF), 8),
    (np.uint64(0xF), 4),
    (np.uint64(3), 2),
    (_ONE, 1),
)
_LOW = np.array([mask for mask, _ in _HALVES], np.uint64)
_STEP = np.array([step for _, step in _HALVES], np.uint64)


class Index(NamedTuple):
    """Nodes of a cell stand in `nodes[node_ptr[c]:node_ptr[c + 1]]`, ascending; bit i of a level is the i-th of them."""

    cell: I32  # by node, -1: in none (nothing may start there)
    slot: I32  # by node: its bit
    level: I32  # by node: where it stands now
    node_ptr: I64
    nodes: I32
    word_ptr: I64  # by cell: where its words begin; `LEVELS` runs of as many words as its nodes need
    words: I64  # by cell: how many that is
    bits: U64
    size: I64  # shape (cells, LEVELS): nodes at this level
    top: I32  # by cell: no level above this one has ever been used
    free: I64  # by cell: devices wholly free, all levels together


def make_index(ground: Ground, cell: I32, cells: int) -> Index:
    """Sort the nodes into `cells` cells and their levels. cell: by node, -1 for none."""
    counts = np.bincount(cell[cell >= 0], minlength=cells)
    node_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    nodes = np.argsort(np.where(cell < 0, cells, cell), kind="stable")[: node_ptr[-1]].astype(np.int32)
    slot = np.zeros(len(cell), np.int32)
    slot[nodes] = np.arange(len(nodes)) - np.repeat(node_ptr[:-1], counts)
    words = (counts + WORD - 1) // WORD
    word_ptr = np.concatenate([[0], np.cumsum(words * LEVELS)]).astype(np.int64)
    top = np.zeros(cells, np.int32)
    np.maximum.at(top, cell[nodes], np.diff(ground.device_ptr)[nodes].astype(np.int32))
    index = Index(
        cell.astype(np.int32), slot, np.zeros(len(cell), np.int32), node_ptr, nodes, word_ptr[:-1], words.astype(np.int64),
        np.zeros(word_ptr[-1], np.uint64), np.zeros((cells, LEVELS), np.int64), top,
        np.zeros(cells, np.int64),
    )  # fmt: skip
    _fill(index, np.bitwise_count(ground.whole_free).astype(np.int32))
    return index


@kernel
def _fill(index: Index, level: I32) -> None:
    for node in index.nodes:
        index.level[node] = level[node]
        _set(index, node)


@kernel
def _set(index: Index, node: int) -> None:
    cell, level, slot = index.cell[node], index.level[node], index.slot[node]
    word = index.word_ptr[cell] + level * index.words[cell] + slot // WORD
    index.bits[word] ^= _ONE << np.uint64(slot % WORD)
    index.size[cell, level] += 1
    index.free[cell] += level


@kernel
def move(index: Index, node: int, level: int) -> None:
    """A node has this many devices wholly free now."""
    cell, before, slot = index.cell[node], index.level[node], index.slot[node]
    if cell < 0 or before == level:
        index.level[node] = level
        return
    bit = _ONE << np.uint64(slot % WORD)
    first = index.word_ptr[cell] + slot // WORD
    index.bits[first + before * index.words[cell]] ^= bit
    index.bits[first + level * index.words[cell]] ^= bit
    index.size[cell, before] -= 1
    index.size[cell, level] += 1
    index.free[cell] += level - before
    index.level[node] = level


@kernel
def lowest_bit(word: np.uint64) -> int:
    """The place of the lowest bit that is set; `word` is not 0."""
    place = 0
    for i in range(6):
        if word & _LOW[i] == _ZERO:
            word >>= _STEP[i]
            place += int(_STEP[i])
    return place


@kernel
def next_node(index: Index, cell: int, level: int, slot: int) -> int:
    """The slot of the first node at this level that stands at `slot` or behind it; -1: none."""
    words = index.words[cell]
    if index.size[cell, level] == 0 or slot >= words * WORD:
        return -1
    first = index.word_ptr[cell] + level * words
    at = slot // WORD
    word = index.bits[first + at] >> np.uint64(slot % WORD)
    if word != _ZERO:
        return slot + lowest_bit(word)
    for i in range(at + 1, words):
        if index.bits[first + i] != _ZERO:
            return i * WORD + lowest_bit(index.bits[first + i])
    return -1
