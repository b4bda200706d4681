"""What an end leads to, on known values: how much of a loss comes back, when a workload tries again, what use is remembered."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.controller.lifecycle import after_attempt, bill, decayed
from dure.model.money import NANO
from dure.model.policy import Policy, Price
from dure.model.workload import Attempt, Demand, Evidence, Outcome, Worker, Workload, WorkloadSpec, WorkloadState

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1000, 60_000, 3_600_000, 86_400_000
NOW_MS = 1_767_571_200_000
HOUR_WON = 3600  # what the workload below costs: a won a second
POLICY = Policy(prices=(Price(resource="core", nano=NANO),), preemptible_permille=1000, min_run_ms=10 * MINUTE_MS)


def workload(*, interval_ms: int = 0, **fields: int) -> Workload:
    spec = WorkloadSpec(name="job", command=("run",), demand=Demand(), limit_ms=30 * HOUR_MS, checkpoint_interval_ms=interval_ms)
    made = Workload(id="w", project="lab", owner="ac", spec=spec, state=WorkloadState.RUNNING, attempt="a")
    return replace(made, **fields)


def attempt(outcome: Outcome, run_ms: int = 0, unsaved_ms: int = -1) -> Attempt:
    """One that ended now, after this long; unsaved_ms: since its last checkpoint, -1: it made none."""
    checkpoint_ms = NOW_MS - unsaved_ms if unsaved_ms >= 0 else 0
    evidence = Evidence(run_ms=run_ms, started_ms=NOW_MS - run_ms, ended_ms=NOW_MS, checkpoint_ms=checkpoint_ms)
    return Attempt(
        id="a", workload="w", project="lab", site="north", epoch=1, accelerator="", workers=(Worker(node="n", devices=()),),
        placed_ms=NOW_MS - run_ms, limit_ms=30 * HOUR_MS, currency="KRW", held=200_000, policy_version=1, outcome=outcome,
        evidence=evidence,
    )  # fmt: skip


# -- what comes back of lost work -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "unsaved_ms", "back_won"),
    [
        # a preemption: since the last checkpoint, an hour of it at most
        (Outcome.PREEMPTED, 0, 0),
        (Outcome.PREEMPTED, 40 * MINUTE_MS, 40 * 60),
        (Outcome.PREEMPTED, HOUR_MS, HOUR_WON),
        (Outcome.PREEMPTED, HOUR_MS + SECOND_MS, HOUR_WON),
        (Outcome.PREEMPTED, 9 * HOUR_MS, HOUR_WON),
        # without a checkpoint: the guaranteed minimum run
        (Outcome.PREEMPTED, -1, 10 * 60),
        # a node that died: four hours at most, with checkpoints or without
        (Outcome.LOST, 40 * MINUTE_MS, 40 * 60),
        (Outcome.LOST, HOUR_MS + SECOND_MS, HOUR_WON + 1),
        (Outcome.LOST, 4 * HOUR_MS, 4 * HOUR_WON),
        (Outcome.LOST, 4 * HOUR_MS + SECOND_MS, 4 * HOUR_WON),
        (Outcome.LOST, 19 * HOUR_MS, 4 * HOUR_WON),
        (Outcome.LOST, -1, 4 * HOUR_WON),
        # whoever ends by itself, or was asked for by its owner to end, lost nothing that others have to make good
        *((outcome, 9 * HOUR_MS, 0) for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED, Outcome.TIMED_OUT)),
    ],
)
def test_a_refund_is_for_what_was_lost_up_to_its_cap(outcome: Outcome, unsaved_ms: int, back_won: int) -> None:
    job = workload(interval_ms=10 * HOUR_MS)
    charge, refund = bill(POLICY, attempt(outcome, 20 * HOUR_MS, unsaved_ms), job, 20 * HOUR_MS)
    assert (charge, refund) == (20 * HOUR_WON * NANO, back_won * NANO)


@pytest.mark.parametrize(("outcome", "back_won"), [(Outcome.PREEMPTED, 20 * 60), (Outcome.LOST, HOUR_WON)])
def test_a_preemption_gives_back_no_more_than_the_interval_that_was_declared(outcome: Outcome, back_won: int) -> None:
    job = workload(interval_ms=20 * MINUTE_MS)
    assert bill(POLICY, attempt(outcome, 2 * HOUR_MS, HOUR_MS), job, 2 * HOUR_MS)[1] == back_won * NANO


def test_no_more_comes_back_than_was_charged() -> None:
    cheap = replace(attempt(Outcome.LOST, HOUR_MS), held=7)
    assert bill(POLICY, cheap, workload(), cheap.evidence.run_ms) == (7 * NANO, 7 * NANO)


# -- trying again ---------------------------------------------------------------------------------------------------------


def lives(outcome: Outcome, times: int) -> list[tuple[WorkloadState, int]]:
    """(state, pause) after each of that many ends of this kind in a row."""
    job, told = workload(), []
    for _ in range(times):
        state, _, changes = after_attempt(POLICY, job, attempt(outcome), NOW_MS)
        told.append((state, changes["eligible_ms"] - NOW_MS))
        job = replace(job, rejections=changes["rejections"])
    return told


def test_a_workload_that_was_lost_ten_times_in_a_row_has_failed() -> None:
    assert [state.value for state, _ in lives(Outcome.LOST, 10)] == ["waiting"] * 9 + ["failed"]


def test_a_workload_that_was_rejected_as_often_as_the_policy_allows_has_failed() -> None:
    assert POLICY.rejections_max == 3
    assert [state.value for state, _ in lives(Outcome.REJECTED, 3)] == ["waiting"] * 2 + ["failed"]


def test_the_pause_before_another_try_doubles() -> None:
    pauses = [pause_ms // POLICY.retry_pause_ms for _, pause_ms in lives(Outcome.LOST, 9)]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256]


def test_the_pause_doubles_ten_times_at_most() -> None:
    patient = replace(POLICY, rejections_max=100)
    _, _, changes = after_attempt(patient, workload(rejections=50), attempt(Outcome.REJECTED), NOW_MS)
    assert changes["eligible_ms"] == NOW_MS + 1024 * patient.retry_pause_ms


def test_tries_count_in_a_row_only() -> None:
    """A preemption in between shows that it could run: the count begins anew."""
    state, _, changes = after_attempt(POLICY, workload(rejections=9), attempt(Outcome.PREEMPTED), NOW_MS)
    assert (state, changes) == (WorkloadState.WAITING, {"rejections": 0})
    state, _, changes = after_attempt(POLICY, workload(rejections=9), attempt(Outcome.LOST), NOW_MS)
    assert (state, changes["rejections"]) == (WorkloadState.FAILED, 10)


# -- use is forgotten by halves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_ms", "left"),
    [(-HOUR_MS, 1024.0), (0, 1024.0), (DAY_MS, 512.0), (2 * DAY_MS, 256.0), (10 * DAY_MS, 1.0), (DAY_MS // 2, 724.0773439350246)],
)
def test_past_use_counts_half_after_each_half_life(age_ms: int, left: float) -> None:
    assert decayed(1024.0, age_ms, DAY_MS) == pytest.approx(left, rel=1e-15)


USE = st.integers(0, 10**12).map(float)  # core-seconds
AGE_MS = st.integers(0, 400 * DAY_MS)
HALF_LIFE_MS = st.integers(HOUR_MS, 365 * DAY_MS)


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(USE, USE, AGE_MS, AGE_MS, HALF_LIFE_MS)
def test_forgetting_in_two_goes_is_forgetting_at_once(one: float, two: float, first: int, then: int, half: int) -> None:
    """So it does not matter how often a project's use is written down, and of two the larger stays the larger."""
    at_once = decayed(one, first + then, half)
    assert math.isclose(decayed(decayed(one, first, half), then, half), at_once, rel_tol=1e-9, abs_tol=1e-9)
    assert 0 <= at_once <= one
    assert (decayed(one, first, half) >= decayed(two, first, half)) or one < two
    together = decayed(one, first, half) + decayed(two, first, half)
    assert math.isclose(decayed(one + two, first, half), together, rel_tol=1e-9, abs_tol=1e-9)
