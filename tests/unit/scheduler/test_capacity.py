"""What is left, now and later: the parts below the plan, by value."""

from __future__ import annotations

import numpy as np

from tests.builders.world import World
from tests.plain.capacity import FLOORS_MAX, Ground
from tests.plain.place import Seats, lowest, spread, workers_in


def test_room_is_counted_by_the_scarcest_dimension_and_never_below_nothing() -> None:
    room = np.array([[4000, 4000, -1], [100, 1000, 1000], [4, 4, 4]])
    assert workers_in(room, (1000, 50, 1)).tolist() == [2, 4, 0]


def test_the_lowest_bits_of_a_mask_are_taken() -> None:
    assert lowest(0b101100, 2) == 0b001100
    assert lowest(0b1, 0) == 0


def test_a_gang_fills_the_largest_nodes_and_puts_the_rest_where_it_fits_best() -> None:
    assert spread(np.array([4, 4, 2, 1]), np.array([40, 40, 20, 10]), 7) == [(0, 4), (1, 3)]
    assert spread(np.array([4, 4, 2, 1]), np.array([40, 40, 20, 10]), 9) == [(0, 4), (1, 4), (3, 1)]
    assert spread(np.array([4, 4, 2, 1]), np.array([40, 40, 20, 10]), 2) == [(2, 2)]


def test_what_is_free_grows_as_limits_pass_and_is_remembered_within_bounds() -> None:
    world = World().site("s", 1, cores=8)
    for i in range(4):
        world.attempt(f"a{i}", [("s/n0", 0)], cores=2, ends=100 * (i + 1))
    ground = Ground(world.snapshot())
    later = [int(ground.floor(world.now_ms + 1000 * second)[0, 0]) for second in range(FLOORS_MAX + 150)]
    assert [later[0], later[99], later[100], later[399], later[400]] == [0, 0, 2000, 6000, 8000]
    assert later == sorted(later)


def test_answers_kept_for_a_need_follow_every_start() -> None:
    ground = Ground(World().site("a", 9, cores=4).site("b", 2, cores=4).snapshot())
    need = (1000, 0, 0)
    assert ground.fit(need, -1, 0).per_site.tolist() == [36, 8]
    ground.start(Seats((0, 10), (2, 3)), need, ground.now_ms + 1000)
    assert ground.fit(need, -1, 0).per_site.tolist() == [34, 5]
    for node in range(9):
        ground.start(Seats((node,), (1,)), need, ground.now_ms + 1000)
    assert ground.fit(need, -1, 0).per_site.tolist() == [25, 5]
    assert ground.fit(need, -1, 0).per_node.tolist() == [1, 3, 3, 3, 3, 3, 3, 3, 3, 4, 1]
