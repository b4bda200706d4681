"""What is free, now and later, and when a gang can start, is what a plain program says that looks at everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.scheduler.attempts import latest_ends
from dure.scheduler.boards import board_of
from dure.scheduler.kernels.board import NO_ROOM, Board, grown, promised_then, room_then
from dure.scheduler.kernels.classes import _same, classes
from dure.scheduler.kernels.future import earliest, promise, seat_then
from dure.scheduler.kernels.ground import Gang
from dure.scheduler.kernels.power import no_power
from dure.scheduler.kernels.seat import seat
from dure.scheduler.kernels.sit import settle, start
from dure.scheduler.snapshot import I32, I64, Snapshot
from tests.builders.world import World
from tests.builders.worlds import examples, worlds
from tests.plain.capacity import Ground, Promise
from tests.plain.place import Need, Seats
from tests.plain.promises import earliest as earliest_of_all

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine
FOREVER = 1 << 62


def told(found: int, node: I32, workers: I64) -> Seats | None:
    return Seats(tuple(node[:found].tolist()), tuple(workers[:found].tolist())) if found else None


@given(worlds())
@examples(150)
def test_seats_and_moments_are_those_of_the_plain_program(world: World) -> None:
    s = world.snapshot()
    ground, (board, runs) = Ground(s), board_of(s, latest_ends(s), np.argsort(latest_ends(s), kind="stable"), NO_ROOM)
    p = s.pending
    for row in range(len(p.ids)):
        need = (int(p.cores_milli[row]), int(p.memory_mib[row]), int(p.devices[row]))
        workers, limit, kind = int(p.workers[row]), int(p.limit_ms[row]), int(s.alternatives.accelerator[p.alt_ptr[row]])
        if kind < 0 and need[2]:
            continue
        board = grown(board, tenures=workers, promises=1, kept=workers)
        for site in range(len(s.sites.ids)):
            run = (int(runs.low[site, kind]), int(runs.high[site, kind]))
            if _starts(s, ground, board, run, site, need, workers, limit, kind):
                break
        else:
            _promises(s, ground, board, runs.low[:, kind], runs.high[:, kind], row, need, workers, limit, kind)
    _same_rooms(ground, board)


def _starts(
    s: Snapshot, ground: Ground, board: Board, run: tuple[int, int], site: int, need: Need, workers: int, limit: int, kind: int
) -> bool:
    node, many, end = np.zeros(workers, np.int32), np.zeros(workers, np.int64), s.now_ms + limit
    found = seat(board, *run, Gang(workers, *need), end, node, many)
    fit = ground.fit(need, kind, ground.layer(end))
    expected = ground.seats(site, fit.per_node, ground.empty, workers) if fit.per_site[site] >= workers else None
    assert told(found, node, many) == expected
    if expected is None:
        return False
    node_of, mask_of = np.zeros(workers, np.int32), np.zeros(workers, np.uint64)
    assert start(board, Gang(workers, *need), end, node[:found], many[:found], node_of, mask_of) == workers
    assert mask_of.tolist() == ground.start(expected, need, end)
    return True


def _promises(
    s: Snapshot, ground: Ground, board: Board, low: I64, high: I64, row: int, need: Need, workers: int, limit: int, kind: int
) -> None:
    found = []
    power = no_power(len(s.sites.ids), len(s.accelerators) + 1, len(s.attempts.ids))
    for site in range(len(s.sites.ids)):
        only = np.arange(len(s.sites.ids)) == site
        expected = earliest_of_all(ground, need, workers, limit, kind, only, [0] * len(only))
        at = earliest(board, power, site, low[site], high[site], Gang(workers, *need), limit, FOREVER, 0)
        assert at == (expected[0] if expected else -1)
        if expected is not None:
            assert earliest(board, power, site, low[site], high[site], Gang(workers, *need), limit, at, 0) == -1
            node, many = np.zeros(workers, np.int32), np.zeros(workers, np.int64)
            seats = seat_then(board, low[site], high[site], Gang(workers, *need), at, at + limit, node, many)
            assert told(seats, node, many) == expected[2]
            found.append((at, site, expected[2], node[:seats], many[:seats]))
            assert seat_then(board, low[site], high[site], Gang(1 << 30, *need), at, at + limit, node, many) == 0 or not any(need)
    if found:
        at, _, seats_then, node, many = min(found, key=lambda f: (f[0], f[1]))
        ground.promise(Promise(at, len(ground.promises), row, at + limit, need, seats_then, 0))
        promise(board, row, Gang(workers, *need), at, at + limit, node, many)


def _same_rooms(ground: Ground, board: Board) -> None:
    """At every moment at which anything changes."""
    for at in [ground.now_ms, *ground.departures(), *(p.at_ms for p in ground.promises)]:
        floor, promised = ground.floor(at), ground._promised(at)
        for node in range(ground.size):
            assert room_then(board, node, at) == tuple(floor[:, node].tolist())
            assert promised_then(board, node, at) == tuple(promised[:, node].tolist())
    before = [
        board.ground.nodes.cores_free.copy(),
        board.ground.nodes.whole_free.copy(),
        board.cells.cell.cores.copy(),
        board.cells.bits.copy(),
    ]
    settle(board)
    after = [board.ground.nodes.cores_free, board.ground.nodes.whole_free, board.cells.cell.cores, board.cells.bits]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 1), st.lists(st.integers(0, 2), max_size=3)), max_size=60))
@examples(150)
def test_rows_are_of_one_class_when_all_that_they_ask_for_is_equal(rows: list[tuple[int, int, list[int]]]) -> None:
    fixed = np.array([[a for a, _, _ in rows], [b for _, b, _ in rows]], np.int64)
    ptr = np.concatenate([[0], np.cumsum([len(run) for _, _, run in rows])]).astype(np.int64)
    of, first = classes(fixed, ((ptr, np.array([v for _, _, run in rows for v in run], np.int64)),))
    known: dict[str, int] = {}
    assert of.tolist() == [known.setdefault(repr(row), len(known)) for row in rows]
    assert [repr(rows[row]) for row in first] == list(known)


def test_rows_that_only_look_alike_are_told_apart() -> None:
    """As when two different ones have one hash, which nothing here can bring about."""
    fixed = np.array([[1, 1, 2, 1], [5, 5, 5, 5]], np.int64)
    ptr = np.array([[0, 2, 4, 6, 7]], np.int64)
    values = np.array([3, 4, 3, 9, 3, 4, 3], np.int64)
    assert [_same(fixed, ptr, values, 0, other) for other in range(4)] == [True, False, False, False]
