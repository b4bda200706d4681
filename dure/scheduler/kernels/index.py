"""Which nodes have how much free, found without looking at all of them.

Nodes are kept in cells (the nodes of one accelerator type at one site), and within a cell by level: how many of a node's devices
are wholly free. A level is a set of bits over the nodes of the cell, so what is found depends on what is free and never on what
happened before; walking a level visits its nodes in their order. A search costs the size of one level, mostly, instead of that of
the fleet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dure.scheduler.kernels.ground import I32, I64, U64, Columns, Ground, Table, table
from dure.scheduler.kernels.jit import kernel

WORD, WORD_BITS = 64, 6
LEVELS = 65  # 0 to 64 devices wholly free

_ONE, _ZERO = np.uint64(1), np.uint64(0)

OF_NODE: Columns = [
    ("cell", np.int32),  # -1: in none (nothing may start there)
    ("slot", np.int32),  # its bit
    ("level", np.int32),  # where it stands now
]
OF_CELL: Columns = [  # one row more than there are cells, for the ends of the last one's runs
    ("first", np.int64),  # where its nodes begin in `nodes`
    ("word", np.int64),  # where its words begin; `LEVELS` runs of as many words as its nodes need
    ("words", np.int64),  # how many that is
    ("top", np.int64),  # no level above this one has ever been used
    ("free", np.int64),  # devices wholly free, all levels together
    ("cores", np.int64),  # thousandths free, none counted where too many are given away; kept by `board`
    ("latest", np.int64),  # of the tenures in it, that of the board which came last; -1: none ever did
    ("settled", np.int64),  # where its tenures begin in `Board.order`
]


class Index(NamedTuple):
    """Nodes of a cell stand in `nodes[cell.first[c]:cell.first[c + 1]]`, ascending; bit i of a level is the i-th of them."""

    node: Table  # by node, OF_NODE
    cell: Table  # by cell, OF_CELL
    nodes: I32
    cores: I64  # thousandths that each of `nodes` has free, none where too many are given away; kept by `board`
    bits: U64
    size: I64  # shape (cells, LEVELS): nodes at this level


def make_index(ground: Ground, cell: I32, cells: int) -> Index:
    """Sort the nodes into `cells` cells and their levels. cell: by node, -1 for none."""
    counts = np.bincount(cell[cell >= 0], minlength=cells)
    node_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    nodes = np.argsort(np.where(cell < 0, cells, cell), kind="stable")[: node_ptr[-1]].astype(np.int32)
    by_node, by_cell = table(OF_NODE, len(cell)), table(OF_CELL, cells + 1)
    by_node.cell, by_cell.first, by_cell.latest = cell, node_ptr, -1
    by_node.slot[nodes] = np.arange(len(nodes)) - np.repeat(node_ptr[:-1], counts)
    by_cell.words[:cells] = (counts + WORD - 1) // WORD
    by_cell.word[1:] = np.cumsum(by_cell.words[:cells] * LEVELS)
    np.maximum.at(by_cell.top, cell[nodes], np.diff(ground.device_ptr)[nodes])
    bits, size = np.zeros(by_cell.word[cells], np.uint64), np.zeros((cells, LEVELS), np.int64)
    cores = np.maximum(ground.nodes.cores_free[nodes], 0)
    index = Index(by_node, by_cell, nodes, cores, bits, size)
    _fill(index, np.bitwise_count(ground.nodes.whole_free).astype(np.int32))
    return index


@kernel
def _fill(index: Index, level: I32) -> None:
    for node in index.nodes:
        index.node.level[node] = level[node]
        _set(index, node)


@kernel
def _set(index: Index, node: int) -> None:
    cell, level, slot = index.node.cell[node], index.node.level[node], index.node.slot[node]
    word = index.cell.word[cell] + level * index.cell.words[cell] + slot // WORD
    index.bits[word] ^= _ONE << np.uint64(slot % WORD)
    index.size[cell, level] += 1
    index.cell.free[cell] += level


@kernel
def move(index: Index, node: int, level: int) -> None:
    """A node has this many devices wholly free now."""
    cell, before, slot = index.node.cell[node], index.node.level[node], index.node.slot[node]
    if cell < 0 or before == level:
        index.node.level[node] = level
        return
    bit = _ONE << np.uint64(slot % WORD)
    first = index.cell.word[cell] + slot // WORD
    index.bits[first + before * index.cell.words[cell]] ^= bit
    index.bits[first + level * index.cell.words[cell]] ^= bit
    index.size[cell, before] -= 1
    index.size[cell, level] += 1
    index.cell.free[cell] += level - before
    index.node.level[node] = level


@kernel
def lowest_bit(word: np.uint64) -> int:
    """The place of the lowest bit that is set: how many are below it, as processors count bits at once. `word` is not 0."""
    below, place = (word ^ (word - _ONE)) >> _ONE, 0
    while below != _ZERO:
        below &= below - _ONE
        place += 1
    return place


@kernel
def next_node(index: Index, cell: int, level: int, slot: int) -> int:
    """The slot of the first node at this level that stands at `slot` or behind it; -1: none."""
    words = index.cell.words[cell]
    if index.size[cell, level] == 0 or slot >= words * WORD:
        return -1
    first = index.cell.word[cell] + level * words
    at = slot >> WORD_BITS
    word = index.bits[first + at] >> np.uint64(slot & (WORD - 1))
    if word != _ZERO:
        return slot + lowest_bit(word)
    for i in range(at + 1, words):
        if index.bits[first + i] != _ZERO:
            return i * WORD + lowest_bit(index.bits[first + i])
    return -1
