"""The one door to civil time. Everywhere else a moment is an integer: milliseconds since 1970-01-01T00:00:00Z.

Zones are fixed offsets ("+09:00") or one of the few names in `ZONES`: Korea has no
daylight saving time, so no zone database is needed.
A day that ends ends at the first moment of the next one, which is what `Award.expires_ms` means too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

from dure.errors import require

SEOUL = "+09:00"
ZONES: Mapping[str, str] = {"Asia/Seoul": SEOUL, "KST": SEOUL, "UTC": "+00:00", "Z": "+00:00"}

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
DURATION_MS_MAX = 2**53  # beyond it JavaScript, and so the console, would lose digits

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_NUMBER = "([0-9]{1,15})"
_DURATION = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m(?!s))?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?")
_UNITS = (("d", DAY_MS), ("h", HOUR_MS), ("m", MINUTE_MS), ("s", SECOND_MS), ("ms", 1))


def is_zone(zone: str) -> bool:
    """Whether `zone` is a name or an offset that the functions here understand."""
    return _zone(zone) is not None


def parse_moment(text: str, zone: str = SEOUL, *, day_end: bool = False) -> int | None:
    """ISO 8601 text to ms, or None when it is not that.

    A bare date means the first moment of that day in `zone`, or with `day_end` the first moment of the next day; a time
    without an offset is in `zone`; fractions below a millisecond are cut off."""
    if _DATE.fullmatch(text):
        start = _parsed(f"{text}T00:00", zone)
        return start if start is None or not day_end else start + DAY_MS
    return _parsed(text, zone) if _MOMENT.fullmatch(text) else None


def iso_text(ms: int, zone: str = SEOUL, *, timespec: str = "minutes") -> str:
    """`ms` as ISO 8601 in `zone`: "2026-12-31T14:05+09:00". timespec: minutes, seconds or milliseconds.

    A moment outside the years 1 to 9999 comes back as the plain number with its unit."""
    moment = _moment(ms, zone)
    return f"{ms} ms" if moment is None else moment.isoformat(timespec=timespec)


def people_text(ms: int, zone: str = SEOUL) -> str:
    """`ms` to the minute as people read it: "2026-12-31 14:05 KST"; "" outside the years 1 to 9999."""
    moment = _moment(ms, zone)
    if moment is None:
        return ""
    offset = moment.isoformat()[-6:]
    label = {SEOUL: "KST", "+00:00": "UTC"}.get(offset, offset)
    return f"{moment.isoformat(sep=' ', timespec='minutes')[:16]} {label}"


def date_text(ms: int, zone: str = SEOUL) -> str:
    """The civil day of `ms` in `zone`, "2026-12-31"; "" outside the years 1 to 9999."""
    moment = _moment(ms, zone)
    return "" if moment is None else moment.date().isoformat()


def year_month(ms: int, zone: str = SEOUL) -> tuple[int, int]:
    """The civil year and month in which `ms` lies."""
    moment = _moment(ms, zone)
    require(moment is not None, f"{ms} ms is outside the calendar")
    assert moment is not None  # as just required; for the type checker
    return moment.year, moment.month


def month_bounds(year: int, month: int, zone: str = SEOUL) -> tuple[int, int]:
    """First moment of the month, and first moment of the next."""
    require(1 <= month <= 12 and 1 <= year <= 9998, f"no such month: {year}-{month}")
    after = (year, month + 1) if month < 12 else (year + 1, 1)
    return _month_start(year, month, zone), _month_start(*after, zone)


def fiscal_year_bounds(year: int, zone: str = SEOUL) -> tuple[int, int]:
    """First moment of the fiscal year, and of the next. Korea's is the calendar year (National Finance Act, article 2)."""
    return month_bounds(year, 1, zone)[0], month_bounds(year, 12, zone)[1]


def parse_duration(text: str) -> int | None:
    """ "90s", "15m", "2h", "1d", "1h30m", "250ms" to ms: units in falling order, each at most once. None when it is not that."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    total = sum(int(number) * unit for number, (_, unit) in zip(found.groups(default="0"), _UNITS, strict=True))
    return total if total <= DURATION_MS_MAX else None


def duration_text(ms: int) -> str:
    """The shortest text that `parse_duration` reads as `ms` (not negative): 5_400_000 → "1h30m"."""
    require(ms >= 0, "a duration is not negative")
    parts = []
    for name, unit in _UNITS:
        count, ms = divmod(ms, unit)
        parts.append(f"{count}{name}" if count else "")
    return "".join(parts) or "0s"


def _zone(name: str) -> timezone | None:
    found = _OFFSET.fullmatch(ZONES.get(name, name))
    if found is None:
        return None
    sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if sign == "-" else offset) if offset < timedelta(hours=24) and int(minutes) < 60 else None


def _known_zone(name: str) -> timezone:
    zone = _zone(name)
    require(zone is not None, f"no such zone: {name!r}")
    return zone or UTC


def _parsed(text: str, zone: str) -> int | None:
    known = _known_zone(zone)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # the right shape, but no such day, hour or offset
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=known)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def _moment(ms: int, zone: str) -> datetime | None:
    known = _known_zone(zone)
    try:
        return (_EPOCH + timedelta(milliseconds=ms)).astimezone(known)
    except OverflowError:
        return None


def _month_start(year: int, month: int, zone: str) -> int:
    return (datetime(year, month, 1, tzinfo=_known_zone(zone)) - _EPOCH) // timedelta(milliseconds=1)
