"""Whether the followed state still equals the state as it would be read anew: column for column."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from dure.controller.columns import Columns
from dure.controller.mirror import Mirror
from dure.model.event import Event
from dure.ports import Reader
from dure.scheduler import Snapshot


def drift(reader: Reader, mirror: Mirror, columns: Columns, now_ms: int, epoch: int) -> str | None:
    """Name of the first column in which the followed state differs from a rebuilt one; "" when there is none.

    Both are brought to the same place in the event chain first, on one consistent view. While there are unsealed events the
    stored state is ahead of every follower, and nothing can be said: None."""
    if reader.count(Event, {"seq": 0}):
        return None
    mirror.follow(reader)
    mirror.refresh_sites(reader)
    fresh = Mirror()
    rebuilt = Columns(fresh, columns.asked)  # of a type that nobody has nor asks for any more, its name is left
    fresh.load(reader)
    return first_difference(columns.snapshot(now_ms, epoch), rebuilt.snapshot(now_ms, epoch))


def first_difference(a: Snapshot, b: Snapshot) -> str:
    """Path of the first member in which two snapshots differ, such as "pending.limit_ms"."""
    return next((f.name + rest for f in fields(a) if (rest := _differs(getattr(a, f.name), getattr(b, f.name))) is not None), "")


def _differs(a: Any, b: Any) -> str | None:
    if isinstance(a, np.ndarray):
        return None if a.dtype == b.dtype and np.array_equal(a, b) else ""
    if is_dataclass(a) and any(isinstance(getattr(a, f.name), np.ndarray) for f in fields(a)):
        inner = ((f.name, _differs(getattr(a, f.name), getattr(b, f.name))) for f in fields(a))
        return next((f".{name}{rest}" for name, rest in inner if rest is not None), None)
    return None if a == b else ""
