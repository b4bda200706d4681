"""The kernels of seating say what a plain program says that looks at every node."""

from __future__ import annotations

from bisect import insort

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dure.scheduler.kernels.board import empty_board
from dure.scheduler.kernels.ground import Gang, Ground
from dure.scheduler.kernels.heap import pop, push
from dure.scheduler.kernels.index import Index, make_index, move, next_node
from dure.scheduler.kernels.room import ANY, Demand, count_whole, make_ground, take
from dure.scheduler.kernels.seat import bound, seat
from tests.builders.worlds import examples
from tests.plain.place import emptiness, spread, workers_in

NODES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=80)


def ground_of(nodes: list[tuple[int, int, int]]) -> Ground:
    cores, memory, devices = (list(column) for column in zip(*nodes, strict=True))
    return make_ground(kind=[0] * len(nodes), cores=cores, memory=memory, devices=devices)


def level_of(ground: Ground, node: int) -> int:
    return int(ground.nodes.whole_free[node]).bit_count()


def walk(index: Index, cell: int, level: int) -> list[int]:
    found, slot = [], next_node(index, cell, level, 0)
    while slot >= 0:
        found.append(int(index.nodes[index.cell.first[cell] + slot]))
        slot = next_node(index, cell, level, slot + 1)
    return found


@given(NODES, st.data())
@examples(60)
def test_a_level_holds_its_nodes_in_order_whatever_happened(nodes: list[tuple[int, int, int]], data: st.DataObject) -> None:
    ground = ground_of(nodes)
    cell = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=len(nodes), max_size=len(nodes))), np.int32)
    index = make_index(ground, cell, 3)
    for node in data.draw(st.lists(st.integers(0, len(nodes) - 1), max_size=40)):
        if level_of(ground, node):
            take(ground, node, Demand(1, 0, 0, 0, ANY), -1)
        move(index, node, count_whole(ground.nodes.whole_free[node]))
    fresh = make_index(ground, cell, 3)
    for c in range(3):
        for level in range(5):
            here = [n for n in range(len(nodes)) if cell[n] == c and level_of(ground, n) == level]
            assert walk(index, c, level) == here
            assert index.size[c, level] == len(here)
    assert np.array_equal(index.bits, fresh.bits)
    assert np.array_equal(index.size, fresh.size)


@given(NODES, st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), st.integers(1, 40))
@examples(200)
def test_a_gang_sits_where_the_rule_says(nodes: list[tuple[int, int, int]], need: tuple[int, int, int], workers: int) -> None:
    ground = ground_of(nodes)
    index = make_index(ground, np.zeros(len(nodes), np.int32), 1)
    room = np.array([ground.nodes.cores_free, ground.nodes.memory_free, np.bitwise_count(ground.nodes.whole_free)], np.int64)
    fit = workers_in(room, need)
    board = empty_board(ground, index)
    node, many = np.zeros(workers, np.int32), np.zeros(workers, np.int64)
    found = seat(board, 0, 1, Gang(workers, *need), 0, node, many)
    assert bound(index.size, index.cell.top, 0, 1, Gang(workers, *need)) >= fit.sum()
    if fit.sum() < workers:
        assert found == 0
        return
    expected = spread(fit, emptiness(room), workers)
    assert [(int(n), int(w)) for n, w in zip(node[:found], many[:found], strict=True)] == expected


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), max_size=60))
@examples(100)
def test_a_heap_gives_the_smallest_first_and_the_lowest_row_of_equals(moves: list[tuple[int, bool]]) -> None:
    keys, rows, size, kept = np.zeros(100, np.int64), np.zeros(100, np.int64), 0, list[tuple[int, int]]()
    base = 7  # heaps share arrays
    for row, (key, out) in enumerate(moves):
        if out and kept:
            assert (int(keys[base]), int(rows[base])) == kept[0]
            assert pop(keys, rows, base, size) == kept.pop(0)[1]
            size -= 1
        else:
            push(keys, rows, base, size, key, row)
            insort(kept, (key, row))
            size += 1
    while kept:
        assert pop(keys, rows, base, size) == kept.pop(0)[1]
        size -= 1
    assert not keys[:base].any()


def test_a_walk_goes_on_over_words_without_anybody() -> None:
    ground = ground_of([(0, 0, 0)] * 200 + [(0, 0, 2)] + [(0, 0, 0)] * 5)
    index = make_index(ground, np.zeros(206, np.int32), 1)
    assert walk(index, 0, 2) == [200]
    assert next_node(index, 0, 0, 200) == 201
    assert next_node(index, 0, 2, 201) == -1
