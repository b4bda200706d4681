"""The state of a plan at another moment, as a loop over many plans takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dure.scheduler.kernels.board import board_at
from dure.scheduler.kernels.state import cycle_at
from dure.scheduler.kernels.turns import again, line_up, next_row
from dure.scheduler.tables import cycle_of
from tests.builders.world import World


def plain(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled, it would give copies of the tuples that it is given."""
    return getattr(kernel, "__wrapped__", kernel)


def test_turns_are_given_once_more_to_the_groups_that_are_lined_up() -> None:
    world = World().site("pohang", 1, cores=8).pending("a").pending("b").pending("c")
    cycle = cycle_of(world.snapshot())
    assert [next_row(cycle.turns) for _ in range(4)] == [0, 1, 2, -1]
    leaf = int(cycle.queue.leaf[0])
    plain(line_up)(cycle.turns, 0, leaf, 0, 2, 0)
    turns = plain(again)(cycle.turns, 1)
    assert [next_row(turns) for _ in range(3)] == [0, 1, -1]


def test_a_state_at_another_moment_shares_everything_else() -> None:
    cycle = cycle_of(World().site("pohang", 1, cores=8).pending("a").snapshot())
    board = plain(board_at)(cycle.board, cycle.board.now + 5)
    assert board.now == cycle.board.now + 5 and board.ground is cycle.board.ground
    victims = np.zeros(3, np.int32)
    then = plain(cycle_at)(cycle, board, cycle.turns, victims)
    assert then.board is board and then.victims is victims and then.found is cycle.found
