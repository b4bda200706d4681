"""Text files as lines with numbers, compressed or not; and numbers, durations and moments as their writers spell them."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from dure.simulator.traces.faults import FaultKind, Faults

GZIP = b"\x1f\x8b"
LINE_BYTES_MAX = 1 << 20  # a longer line is no row of any format here: most likely the file is not text
HEAD_BYTES = 1 << 16  # what a format is told by
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,6})-)?(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2})(?:\.\d+)?", re.ASCII)
_NOT_NUMBERS = frozenset({"nan", "inf", "infinity"})
_BROKEN = (OSError, EOFError, zlib.error)


def open_text(path: Path, faults: Faults) -> BinaryIO:
    """The bytes of a file, unpacked when they begin as gzip does. Raises TraceError when it cannot be opened."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP
        return cast("BinaryIO", gzip.open(path, "rb") if packed else path.open("rb"))
    except OSError as cause:
        raise faults.unreadable(
            f"it cannot be opened ({cause.strerror or cause})", "Check the path and its permissions."
        ) from cause


def head(path: Path, faults: Faults) -> bytes:
    """The first bytes, unpacked; of a damaged archive what can be had."""
    with open_text(path, faults) as stream:
        try:
            return stream.read(HEAD_BYTES)
        except _BROKEN as cause:
            raise _damaged(faults, 0, cause) from cause


def chunks(path: Path, faults: Faults) -> Iterator[bytes]:
    """The unpacked bytes in pieces. Raises TraceError for a truncated or damaged archive."""
    with open_text(path, faults) as stream:
        while piece := _guarded(stream, faults, 0, -1):
            yield piece


def lines(path: Path, faults: Faults) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends. A line that is not UTF-8, or too long, is a fault of its row."""
    with open_text(path, faults) as stream:
        number = 0
        while raw := _guarded(stream, faults, number, LINE_BYTES_MAX):
            number += 1
            if len(raw) >= LINE_BYTES_MAX and not raw.endswith(b"\n"):
                while raw and not raw.endswith(b"\n"):
                    raw = _guarded(stream, faults, number, LINE_BYTES_MAX)
                faults.row(
                    FaultKind.BROKEN_ROW, number, "", f"longer than {LINE_BYTES_MAX:,} bytes", "Check that this is a text file."
                )
                continue
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as cause:
                problem = f"byte {cause.start + 1} of the line is not UTF-8"
                faults.row(FaultKind.ENCODING, number, "", problem, "Convert the file to UTF-8 (iconv -f cp949 -t utf-8).")
                continue
            yield number, text.rstrip("\r\n")


def _guarded(stream: BinaryIO, faults: Faults, number: int, limit: int) -> bytes:
    """A line of at most limit bytes; a piece of 1 MiB when limit is negative."""
    try:
        return stream.read(1 << 20) if limit < 0 else stream.readline(limit)
    except _BROKEN as cause:
        raise _damaged(faults, number, cause) from cause


def _damaged(faults: Faults, number: int, cause: Exception) -> Exception:
    place = f"after line {number}" if number else ""
    return faults.unreadable(f"the file is truncated or damaged ({cause})", "Fetch it again, and compare its checksum.", place)


def number(text: str) -> float | None:
    """A decimal number; NaN for nothing, infinity for a word that means no finite number, None for what is no number at all."""
    text = text.strip()
    if not text:
        return math.nan
    if _NUMBER.fullmatch(text):
        return float(text)
    return math.inf if text.lower().lstrip("+-") in _NOT_NUMBERS else None


def clock_seconds(text: str) -> float | None:
    """Seconds of Slurm's `[D-][HH:]MM:SS[.micro]`; None when it is not one."""
    match = _CLOCK.fullmatch(text.strip())
    if not match:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def moment_seconds(text: str) -> float | None:
    """Seconds since 1970 of a local time in ISO 8601 (or digits, which are such seconds); None when it is not one.

    A time without a zone is taken as if it were UTC: only differences and the hour of the day are used."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 12:
        return float(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (when.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def iso(seconds: float) -> str:
    """The inverse of `moment_seconds`, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
