from __future__ import annotations

import pytest

from dure.errors import InvariantViolated
from dure.model.calendar import (
    DAY_MS,
    DURATION_MS_MAX,
    date_text,
    duration_text,
    fiscal_year_bounds,
    is_zone,
    iso_text,
    month_bounds,
    parse_duration,
    parse_moment,
    people_text,
    year_month,
)

NEW_YEAR_SEOUL = 1_798_729_200_000  # 2027-01-01T00:00+09:00


def test_a_day_is_a_day_in_seoul_unless_said_otherwise() -> None:
    assert parse_moment("2027-01-01") == NEW_YEAR_SEOUL
    assert parse_moment("2027-01-01", "UTC") == NEW_YEAR_SEOUL + 9 * 3_600_000
    assert parse_moment("2027-01-01", "-03:30") == NEW_YEAR_SEOUL + 12 * 3_600_000 + 1_800_000


def test_a_day_ends_when_the_next_begins() -> None:
    assert parse_moment("2026-12-31", day_end=True) == NEW_YEAR_SEOUL
    assert parse_moment("9999-12-31", day_end=True) == parse_moment("9999-12-31", day_end=False) + DAY_MS  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    ["2027-01-01T00:00", "2027-01-01 00:00:00", "2026-12-31T15:00Z", "2026-12-31T15:00:00.000Z", "2027-01-01T00:00+0900",
     "2026-12-31T10:00:00-05:00"],
)  # fmt: skip
def test_a_moment_is_read_in_its_own_zone_or_in_seoul(text: str) -> None:
    assert parse_moment(text) == NEW_YEAR_SEOUL
    assert parse_moment(text, day_end=True) == NEW_YEAR_SEOUL


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2026-13-01", "2026-02-30", "26-01-01", "2026-1-1", "20260101", "2026-W01-1", "2026-01-01T25:00",
     "2026-01-01T10:00+99:00", "2026-01-01T10", "２０２６-01-01", "0000-01-01", " 2026-01-01"],
)  # fmt: skip
def test_what_is_no_moment_is_none(text: str) -> None:
    assert parse_moment(text) is None


def test_moments_are_written_in_a_zone() -> None:
    assert iso_text(NEW_YEAR_SEOUL) == "2027-01-01T00:00+09:00"
    assert iso_text(NEW_YEAR_SEOUL + 1, "Z", timespec="milliseconds") == "2026-12-31T15:00:00.001+00:00"
    assert iso_text(1 << 62) == f"{1 << 62} ms"
    assert people_text(NEW_YEAR_SEOUL) == "2027-01-01 00:00 KST"
    assert people_text(NEW_YEAR_SEOUL, "UTC") == "2026-12-31 15:00 UTC"
    assert people_text(NEW_YEAR_SEOUL, "-0330") == "2026-12-31 11:30 -03:30"
    assert people_text(1 << 62) == ""
    assert date_text(NEW_YEAR_SEOUL - 1) == "2026-12-31"
    assert date_text(-(1 << 62)) == ""


def test_months_and_fiscal_years_are_bounded_in_their_zone() -> None:
    assert month_bounds(2026, 12)[1] == NEW_YEAR_SEOUL == month_bounds(2027, 1)[0]
    assert month_bounds(2026, 12, "UTC")[1] == NEW_YEAR_SEOUL + 9 * 3_600_000
    start, end = fiscal_year_bounds(2026)
    assert (end - start, end) == (365 * DAY_MS, NEW_YEAR_SEOUL)
    assert year_month(NEW_YEAR_SEOUL - 1) == (2026, 12)
    assert year_month(NEW_YEAR_SEOUL - 1, "+10:00") == (2027, 1)
    for call in (lambda: month_bounds(2026, 13), lambda: month_bounds(9999, 1), lambda: year_month(1 << 62)):
        with pytest.raises(InvariantViolated):
            call()


def test_zones_are_offsets_or_a_few_names() -> None:
    assert all(is_zone(z) for z in ("Asia/Seoul", "KST", "UTC", "Z", "+09:00", "-0330"))
    assert not any(is_zone(z) for z in ("Mars", "+24:00", "+09:60", "9", ""))
    with pytest.raises(InvariantViolated, match="Mars"):
        parse_moment("2026-01-01", "Mars")


@pytest.mark.parametrize(
    ("text", "ms"),
    [("90s", 90_000), ("15m", 900_000), ("2h", 7_200_000), ("1d", DAY_MS), ("1h30m", 5_400_000), ("250ms", 250),
     ("1d2h3m4s5ms", 93_784_005), (" 0s ", 0), ("1m5ms", 60_005)],
)  # fmt: skip
def test_durations_are_read(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text", ["", "s", "90", "-1s", "1.5h", "30m1h", "1h1h", "1 h", "1w", "1H", "９０s", "9" * 15 + "d", "9" * 30 + "s"]
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration(text) is None


def test_durations_are_written_as_they_are_read() -> None:
    assert [duration_text(ms) for ms in (0, 5_400_000, 93_784_005)] == ["0s", "1h30m", "1d2h3m4s5ms"]
    assert parse_duration(f"{DURATION_MS_MAX}ms") is None  # sixteen digits are a slip of the keyboard
    assert parse_duration(duration_text(DURATION_MS_MAX)) == DURATION_MS_MAX
    with pytest.raises(InvariantViolated):
        duration_text(-1)
