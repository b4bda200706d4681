"""What is known of a job when it comes is what ended before it, of jobs like it."""

from __future__ import annotations

import pytest

from dure.simulator.traces.trace import Trace, make_trace
from dure.simulator.trial.history import KEPT, LEAST_MS, MARGIN, History

HOUR_MS = 3_600_000
UNKNOWN_MS = 7


def trace() -> Trace:
    """0, 1: user 0 with one device; 2: user 0 with eight; 3: user 1 of the same tenant; 4: nobody known; 5: another tenant."""
    who = {"user": [0, 0, 0, 1, -1, 2], "tenant": [0, 0, 0, 0, 0, 1], "tenants": ("t", "u")}
    return make_trace(6, submit_ms=[0] * 6, duration_ms=[1] * 6, devices=[1, 1, 8, 1, 1, 1], **who)


def test_nothing_is_known_before_anything_has_ended() -> None:
    history = History(trace())
    assert (history.expected_ms(0, UNKNOWN_MS), history.limit_ms(0, UNKNOWN_MS)) == (UNKNOWN_MS, UNKNOWN_MS)


@pytest.mark.parametrize(
    ("ended", "asked", "expected"),
    [
        ([(0, 10), (2, 90)], 1, 10),  # its user and size
        ([(0, 10)], 2, 10),  # its user, though of another size
        ([(0, 10), (2, 90)], 3, 10),  # its tenant and size
        ([(2, 90)], 3, 90),  # its tenant
        ([(2, 90)], 4, 90),
        ([(0, 10)], 5, 10),  # anything at all
    ],
)
def test_what_is_most_like_it_counts(ended: list[tuple[int, int]], asked: int, expected: int) -> None:
    history = History(trace())
    for job, ran_ms in ended:
        history.learn(job, ran_ms)
    assert history.expected_ms(asked, UNKNOWN_MS) == expected


def test_the_last_two_are_averaged_and_the_longest_of_the_last_five_is_kept_within() -> None:
    history = History(trace())
    for ran_ms in (100 * HOUR_MS, *(n * HOUR_MS for n in (9, 1, 1, 2, 4))):
        history.learn(0, ran_ms)
    assert KEPT == 5
    assert history.expected_ms(0, UNKNOWN_MS) == 3 * HOUR_MS
    assert history.limit_ms(0, UNKNOWN_MS) == MARGIN * 9 * HOUR_MS


def test_a_learned_wall_time_is_never_tiny() -> None:
    history = History(trace())
    history.learn(0, 1)
    assert history.limit_ms(0, UNKNOWN_MS) == LEAST_MS
