"""What people write for sizes, durations and moments, as integers with a unit. Pure; used as pydantic validators."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, LiteralString

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from dure.model.accelerators import SPEED_MILLI_MAX
from dure.model.calendar import parse_duration, parse_moment
from dure.model.workload import LIMIT_MS_MIN

MIB = 1 << 20
MEMORY_MIB_MAX = 1 << 30  # a pebibyte for one worker
DEVICES_MAX = 64  # of one worker: a node has no more
CORES_MAX = 10_000  # of one worker: the controller's bound, told at once
DURATION_MS_MAX = 400 * 86_400_000  # longer than any policy allows; keeps sums far from 64 bits
BEYOND = 2**31 - 1  # stands for every count that is larger: whoever knows the true bound refuses it by that bound
MOMENT_MS_MAX = 253_402_268_400_000  # the year 9999
_MEMORY = re.compile(r"([0-9]+)(?:\.([0-9]{1,3}))? ?([KMGT]i?B)")
_SIZES = {f"{letter}{suffix}": base**power
          for power, letter in enumerate("KMGT", start=1)
          for suffix, base in (("iB", 1024), ("B", 1000))}  # fmt: skip
_DIGITS_MAX = 15  # of a number with a unit; longer ones are beyond every bound
_DURATION_FORM = re.compile(r"(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m(?!s))?(?:[0-9]+s)?(?:[0-9]+ms)?")


def fault(problem: LiteralString, **facts: Any) -> PydanticCustomError:
    """A validation error that becomes BAD_FIELD with this `problem` (a code of the catalogue of reason texts) and these facts."""
    return PydanticCustomError(problem, problem, facts)


def memory_mib(value: Any) -> int:
    """ "1GiB", "512MiB", "1.5GB" → MiB, rounded up. Raises a validation error for anything else."""
    found = _MEMORY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise fault("bad_format", detail="form_memory", example=_with_unit(value, "MiB", "1GiB"))
    whole, fraction, unit = found.groups()
    if len(whole.lstrip("0")) > _DIGITS_MAX:
        raise fault("too_large", limit="1024TiB")
    size: int = _SIZES[unit]
    thousandths = int(whole) * 1000 + int((fraction or "0").ljust(3, "0"))
    mib = -(-thousandths * size // (1000 * MIB))
    if mib < 1:
        raise fault("too_small", limit="1MiB")
    if mib > MEMORY_MIB_MAX:
        raise fault("too_large", limit="1024TiB")
    return mib


def _with_unit(value: Any, unit: str, example: str) -> str:
    """An example that is what was written, with the unit that it lacked, when that is all that was wrong with it."""
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) and value != "" else ""
    return text + unit if len(text) <= 6 and text.isascii() and text.isdigit() and text.strip("0") else example


def cores_milli(value: Any) -> int:
    """Cores as a number (0.5, 1, 64) → thousandths. Raises a validation error for anything else."""
    milli, exact = _thousandths(value, 0.001, CORES_MAX)
    if not exact:
        raise fault("bad_format", detail="form_cores", example="0.125")
    return milli


def devices_milli(value: Any) -> int:
    """Whole devices (0, 1, 8), or a share of one (0.5) → thousandths. Raises a validation error for anything else."""
    milli, exact = _thousandths(value, 0, DEVICES_MAX)
    if not exact or (milli > 1000 and milli % 1000):
        raise fault("bad_format", detail="form_devices", example="0.5")
    return milli


def speed_milli(value: Any) -> int:
    """How many times as fast (0.45, 2) → thousandths. Raises a validation error for anything else."""
    milli, exact = _thousandths(value, 0.001, SPEED_MILLI_MAX // 1000)
    if not exact:
        raise fault("bad_format", detail="form_speed", example="0.45")
    return milli


def _thousandths(value: Any, least: float, most: int) -> tuple[int, bool]:
    """A number within bounds in thousandths, and whether it is a whole number of them."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value if isinstance(value, float) else 0):
        raise fault("wrong_type", expected="number", least=least, limit=most)
    if value > most:  # before anything is reckoned with it: an integer of a thousand digits is no float
        raise fault("too_large", limit=most)
    if value < least:
        raise fault("too_small", limit=least)
    milli = round(value * 1000)
    return milli, abs(value * 1000 - milli) <= 1e-6


def count(value: Any) -> Any:
    """A whole number; one beyond `BEYOND` as that, so that the controller refuses it by the bound of the policy in force."""
    return BEYOND if isinstance(value, (int, float)) and value > BEYOND else value


def duration_ms(value: Any) -> int:
    """ "90s", "30m", "1h30m" → ms. Raises a validation error for anything else.

    What is longer than `DURATION_MS_MAX` comes back as a moment more than that: the controller knows what is allowed."""
    text = value.strip() if isinstance(value, str) else ""
    parsed = parse_duration(text)
    if parsed is not None:
        return min(parsed, DURATION_MS_MAX + 1)
    if text and _DURATION_FORM.fullmatch(text):
        return DURATION_MS_MAX + 1
    raise fault("bad_format", detail="form_duration", example=_with_unit(value, "s", "1h30m"))


def limit_ms(value: Any) -> int:
    """As `duration_ms`, but no shorter than a limit may be: one of nothing would otherwise be taken for none."""
    parsed = duration_ms(value)
    if parsed < LIMIT_MS_MIN:
        raise fault("too_small", limit_ms=LIMIT_MS_MIN)
    return parsed


def positive_duration_ms(value: Any) -> int:
    """As `duration_ms`, but longer than nothing."""
    parsed = duration_ms(value)
    if parsed <= 0:
        raise fault("too_small", limit="1ms")
    return parsed


def start_ms(value: Any) -> int:
    """A date (its first moment in Korea), an ISO 8601 moment, or ms since 1970 → ms."""
    return _moment(value, day_end=False)


def end_ms(value: Any) -> int:
    """A date (that day is still in: the first moment of the next), an ISO 8601 moment, or ms since 1970 → ms."""
    return _moment(value, day_end=True)


def _moment(value: Any, *, day_end: bool) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        parsed: int | None = value
    else:
        parsed = parse_moment(value, day_end=day_end) if isinstance(value, str) else None
    if parsed is None or not 0 <= parsed <= MOMENT_MS_MAX:
        raise fault("bad_format", detail="form_moment", example="2026-12-31")
    return parsed


def _text(pattern: str, example: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern, "examples": [example]}


_MOMENT_SCHEMA = {
    "anyOf": [
        _text(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}", "2026-12-31"),
        {"type": "integer", "minimum": 0, "maximum": MOMENT_MS_MAX},
    ]
}
_DURATION_TEXT = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"

MemoryMib = Annotated[int, BeforeValidator(memory_mib), WithJsonSchema(_text(r"^[0-9]+(\.[0-9]{1,3})? ?[KMGT]i?B$", "1GiB"))]
CoresMilli = Annotated[
    int, BeforeValidator(cores_milli), WithJsonSchema({"type": "number", "minimum": 0.001, "maximum": CORES_MAX})
]
DevicesMilli = Annotated[
    int, BeforeValidator(devices_milli), WithJsonSchema({"type": "number", "minimum": 0, "maximum": DEVICES_MAX})
]
SpeedMilli = Annotated[
    int, BeforeValidator(speed_milli), WithJsonSchema({"type": "number", "minimum": 0.001, "maximum": SPEED_MILLI_MAX // 1000})
]
Count = Annotated[int, BeforeValidator(count)]
DurationMs = Annotated[int, BeforeValidator(duration_ms), WithJsonSchema(_text(_DURATION_TEXT, "10s"))]
LimitMs = Annotated[int, BeforeValidator(limit_ms), WithJsonSchema(_text(_DURATION_TEXT, "30m"))]
PositiveDurationMs = Annotated[int, BeforeValidator(positive_duration_ms), WithJsonSchema(_text(_DURATION_TEXT, "30m"))]
StartMs = Annotated[int, BeforeValidator(start_ms), WithJsonSchema(_MOMENT_SCHEMA)]
EndMs = Annotated[int, BeforeValidator(end_ms), WithJsonSchema(_MOMENT_SCHEMA)]
