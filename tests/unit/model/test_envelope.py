"""Power and maintenance over time: what a command changes, what still counts, and when a node is closed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.envelope import (
    UNCAPPED,
    WATTS_MAX,
    Maintenance,
    PowerStep,
    ahead,
    capped,
    closed,
    parse_watts,
    same_window,
    since,
    watts_at,
)


def steps(*pairs: tuple[int, int]) -> tuple[PowerStep, ...]:
    return tuple(PowerStep(from_ms=at, watts=watts) for at, watts in pairs)


DAY = steps((0, 60), (14, 40), (17, 60))


def test_a_cap_holds_until_the_next_step_and_before_the_first_there_is_none() -> None:
    assert [watts_at(DAY, at) for at in (-1, 0, 13, 14, 16, 17, 99)] == [UNCAPPED, 60, 60, 40, 40, 60, 60]
    assert watts_at((), 5) == UNCAPPED


@pytest.mark.parametrize(
    ("watts", "from_ms", "until_ms", "then"),
    [
        (50, 10, None, steps((0, 60), (10, 50))),  # for ever: what was to come is forgotten
        (50, 10, 20, steps((0, 60), (10, 50), (20, 60))),
        (50, 10, 15, steps((0, 60), (10, 50), (15, 40), (17, 60))),  # behind it the envelope is as it was
        (50, 5, 14, steps((0, 60), (5, 50), (14, 40), (17, 60))),
        (60, 14, 17, steps((0, 60))),  # and steps that change nothing are none
        (40, 10, 14, steps((0, 60), (10, 40), (17, 60))),
        (UNCAPPED, 10, None, steps((0, 60), (10, UNCAPPED))),
        (UNCAPPED, 0, None, ()),
        (50, -5, -2, steps((-5, 50), (-2, UNCAPPED), (0, 60), (14, 40), (17, 60))),
    ],
)
def test_a_cap_is_laid_over_a_stretch_of_the_envelope(
    watts: int, from_ms: int, until_ms: int | None, then: tuple[PowerStep, ...]
) -> None:
    changed = capped(DAY, watts, from_ms, until_ms)
    assert changed == then
    for at in range(-10, 30):
        within = from_ms <= at and (until_ms is None or at < until_ms)
        assert watts_at(changed, at) == (watts if within else watts_at(DAY, at))


def test_of_an_envelope_the_step_in_force_and_those_to_come_still_count() -> None:
    assert since(DAY, 13) == DAY
    assert since(DAY, 14) == DAY[1:] and since(DAY, 20) == DAY[2:]
    assert since(steps((0, 60), (10, UNCAPPED)), 10) == ()
    assert since(steps((10, 60)), 5) == steps((10, 60)) and since((), 5) == ()


def window(id: str, from_ms: int, until_ms: int, *nodes: str) -> Maintenance:
    return Maintenance(id=id, from_ms=from_ms, until_ms=until_ms, nodes=nodes)


WINDOWS = (window("d", 50, 60), window("c", 20, 30, "n1"), window("b", 10, 20), window("a", 10, 15, "n1", "n2"))


STRETCH = st.tuples(st.sampled_from((UNCAPPED, 40, 60)), st.integers(0, 20), st.none() | st.integers(1, 12))


@given(st.lists(STRETCH, max_size=8), st.integers(0, 25))
def test_however_it_was_made_an_envelope_has_every_cap_at_its_moments_and_no_step_too_many(
    said: list[tuple[int, int, int | None]], now: int
) -> None:
    """Laid one over the other, as a table of moments would have it."""
    made: tuple[PowerStep, ...] = ()
    plain = [UNCAPPED] * 60
    for watts, begin, length in said:
        made = capped(made, watts, begin, None if length is None else begin + length)
        over = len(plain) if length is None else begin + length
        plain[begin:over] = [watts] * (over - begin)
        assert [watts_at(made, at) for at in range(60)] == plain
        assert all(a.from_ms < b.from_ms and a.watts != b.watts for a, b in pairwise(made))
    left = since(made, now)
    assert [watts_at(left, at) for at in range(now, 60)] == plain[now:]
    assert all(step.from_ms > now for step in left[1:]) and (not left or left[0].watts != UNCAPPED)


def test_windows_that_are_over_are_none_and_the_others_come_in_order() -> None:
    assert [w.id for w in ahead(WINDOWS, 0)] == ["a", "b", "c", "d"]
    assert [w.id for w in ahead(WINDOWS, 15)] == ["b", "c", "d"]
    assert ahead(WINDOWS, 60) == ()


def test_a_node_is_closed_by_the_windows_of_its_site_and_its_own_without_overlaps() -> None:
    assert closed(WINDOWS, "n1", 0) == ((10, 30), (50, 60))
    assert closed(WINDOWS, "n2", 0) == closed(WINDOWS, "n3", 0) == ((10, 20), (50, 60))
    assert closed(WINDOWS, "n1", 20) == ((20, 30), (50, 60))


def test_a_window_that_is_there_already_is_known_whatever_the_order_of_its_nodes() -> None:
    assert same_window(WINDOWS, 10, 15, ["n2", "n1"]) is WINDOWS[3]
    assert same_window(WINDOWS, 10, 15, ["n1"]) is None


@pytest.mark.parametrize(
    ("text", "watts"),
    [("60kW", 60_000), ("1.5 MW", 1_500_000), ("500W", 500), ("0W", 0), (" 10GW ", WATTS_MAX), ("0.0005kW", None), ("60", None),
     ("60KW", None), ("-1W", None), ("10.1GW", None), ("1.W", None), ("9999999999999W", None), ("", None)],
)  # fmt: skip
def test_power_is_read_with_its_unit_as_whole_watts(text: str, watts: int | None) -> None:
    assert parse_watts(text) == watts
