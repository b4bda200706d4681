"""Sizes, durations and moments as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from dure.api.jobfile import Job, job_of, merged, spec_of
from dure.api.units import BEYOND, DURATION_MS_MAX, cores_milli, count, duration_ms, end_ms, memory_mib, start_ms
from dure.model.workload import Demand
from tests.builders.api_plane import JOB


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("1GiB", 1024),
        ("512MiB", 512),
        ("1 GiB", 1024),
        ("1.5GiB", 1536),
        ("1GB", 954),
        ("1MB", 1),
        ("1KiB", 1),
        ("2TiB", 2 << 20),
    ],
)
def test_memory_is_rounded_up_to_mib(text: str, mib: int) -> None:
    assert memory_mib(text) == mib


@pytest.mark.parametrize(("number", "milli"), [(1, 1000), (0.5, 500), (0.001, 1), (1.1, 1100), (64, 64_000), (4.7, 4700)])
def test_cores_are_thousandths(number: float, milli: int) -> None:
    assert cores_milli(number) == milli


@pytest.mark.parametrize("value", [True, None, "1", float("nan"), float("inf"), -1, 0, 1e300, 10**400, -(10**400)])
def test_what_is_no_number_of_cores_is_refused(value: Any) -> None:
    with pytest.raises(PydanticCustomError):
        cores_milli(value)


def test_durations_carry_their_unit() -> None:
    assert duration_ms("1h30m") == 5_400_000
    for wrong in (90, "90", "", "1x", "-1s", None, "1.5h", "1h 30m", "1m1h"):
        with pytest.raises(PydanticCustomError):
            duration_ms(wrong)


@pytest.mark.parametrize("long", ["401d", "999999d", "9" * 15 + "d", "9" * 30 + "s"])
def test_a_duration_beyond_everything_is_left_to_who_knows_the_bound(long: str) -> None:
    assert duration_ms(long) == DURATION_MS_MAX + 1


@pytest.mark.parametrize(("value", "example"), [(60, "60s"), ("60", "60s"), ("soon", "1h30m"), (True, "1h30m"), (0, "1h30m")])
def test_a_duration_without_its_unit_is_told_with_one(value: Any, example: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        duration_ms(value)
    assert (refused.value.context or {})["example"] == example


@pytest.mark.parametrize(("value", "taken"), [(3, 3), (-1, -1), (10**400, BEYOND), (1e30, BEYOND), (float("inf"), BEYOND)])
def test_a_count_beyond_everything_is_one_that_everybody_refuses(value: Any, taken: int) -> None:
    assert count(value) == taken


def test_a_last_day_is_still_in() -> None:
    day = 86_400_000
    assert end_ms("2026-12-31") - start_ms("2026-12-31") == day
    assert start_ms("1970-01-02") == day - 9 * 3_600_000  # midnight in Korea
    assert start_ms(5) == end_ms(5) == 5
    for wrong in (-1, True, 1.5, "tomorrow", "2026-13-01", None, 10**20):
        with pytest.raises(PydanticCustomError):
            end_ms(wrong)


def test_a_job_becomes_the_record_that_the_controller_is_given() -> None:
    resources = {"cores": 2.5, "memory": "1GiB", "devices": 2, "accelerators": ["h100", "a100"]}
    job = {**JOB, "command": "python train.py --name 'a b'", "resources": resources, "checkpoint": "60s", "grace": "0s"}
    spec = spec_of(Job.model_validate(job))
    assert spec.command == ("python", "train.py", "--name", "a b")
    assert spec.demand == Demand(cores_milli=2500, memory_mib=1024, devices=2, accelerators=("h100", "a100"))
    assert (spec.limit_ms, spec.checkpoint_interval_ms, spec.grace_ms) == (600_000, 60_000, 0)
    plain = spec_of(Job.model_validate({"name": "a", "command": ["true"]}))
    assert (plain.limit_ms, plain.priority, plain.preemptible, plain.workers) == (0, "normal", True, 1)
    assert [spec_of(Job.model_validate({**JOB, "topology": word})).topology for word in ("any", "block")] == ["", "block"]
    assert [spec_of(Job.model_validate({**JOB, "workers": 3, "workers_min": n})).workers_min for n in (0, 2, 3)] == [0, 2, 0]


def test_a_stored_job_becomes_the_job_that_was_written() -> None:
    resources = {"cores": 2.5, "memory": "1GiB", "devices": 2, "accelerators": ["h100", "a100"], "speeds": {"a100": 0.45}}
    job = {**JOB, "resources": resources, "checkpoint": "60s", "grace": "0s", "env": {"A": "1"}, "retries": 2}
    job |= {"topology": "block", "workers": 4, "workers_min": 2}
    spec = spec_of(Job.model_validate(job))
    assert spec_of(Job.model_validate(job_of(spec))) == spec
    assert [(s.accelerator, s.milli) for s in spec.demand.speeds] == [("a100", 450)]


def test_changes_are_merged_by_member_and_null_takes_one_back() -> None:
    job = {"name": "a", "resources": {"cores": 1, "memory": "1GiB"}, "env": {"A": "1", "B": "2"}, "limit": "1h"}
    changes = {"resources": {"memory": "2GiB"}, "env": {"A": None, "C": "3"}, "limit": None, "retries": 1}
    wanted = {"name": "a", "resources": {"cores": 1, "memory": "2GiB"}, "env": {"B": "2", "C": "3"}, "retries": 1}
    assert merged(job, changes) == wanted
    assert job["limit"] == "1h"
